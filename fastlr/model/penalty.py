"""The penalty of the coefficients, alpha/2 sum_j p_j ||W_j||^2: the one place that knows it.

Coefficients come as W (k, D), a row a class, with the intercept, which is never penalised, in a last column.
"""

import numpy as np

from fastlr.model.by_class import by_class

NEGLIGIBLE = 1e-26  # strength, in units of a standardised feature's, that holds nothing: counted when all is done
FAR_POWER = 600  # of two: what alpha may be from 1, and what is beyond goes to the factors
LARGEST_FACTOR = 1e300  # of a feature; larger ones are reached without a penalty only


class Ridge:
    """alpha/2 sum_j p_j ||W_j||^2 in coordinates in which solvers work.

    Parameters
    ----------
    alpha : float
    factors : ndarray (d,)
        p_j of those coordinates.
    intercept : bool
        Whether W has a last column that is not penalised.

    Attributes
    ----------
    strength : ndarray (D,)
        alpha p_j: the curvature, 0 where nothing is penalised.
    """

    def __init__(self, alpha, factors, intercept):
        self.alpha, self.intercept = float(alpha), intercept
        self.factors = np.minimum(factors, LARGEST_FACTOR)
        strength = self.alpha * self.factors
        self._too_weak = strength < NEGLIGIBLE
        self.strength = np.append(np.where(self._too_weak, 0.0, strength), np.zeros(int(intercept)))
        self._neglected = np.append(np.where(self._too_weak, strength, 0.0), np.zeros(int(intercept)))

    def times(self, factor):
        """The same with an alpha so many times as large."""
        return Ridge(self.alpha * factor, self.factors, self.intercept)

    def value(self, W):
        """Of the coefficients W (k, D)."""
        return 0.5 * sum(by_class(lambda part: float(np.vdot(W[part], self.strength * W[part])), W.shape, 1))

    def gradient(self, W):
        """(k, D) at W."""
        return self.strength * W

    def add_curvature(self, H):
        """Add the penalty's to the Hessian H (k D, k D) of a mean loss, in place."""
        diagonal = np.einsum("jj->j", H)
        diagonal += np.tile(self.strength, len(H) // len(self.strength))

    def neglected(self, W):
        """What `value` leaves out, since no solver could tell."""
        return 0.5 * float(np.sum(self._neglected * W**2))

    def is_uneven(self, ratio):
        """Whether the largest factor is more than so many times the least."""
        return self.factors.max() > ratio * self.factors.min()

    def is_on_all(self, but):
        """Whether every feature is penalised, but those of the mask (d,)."""
        return bool(((self.strength[: len(but)] > 0) | but).all())

    def is_on_none(self, but):
        """Whether no feature is penalised, but perhaps those of the mask (d,)."""
        return not (self.strength[: len(but)][~but] > 0).any()


def penalty_strength(C, weight_sum, exponent, factors, d):
    """alpha = 1 / (C 2^exponent weight_sum) and factors (d,) or None of the penalty, which take what alpha cannot."""
    if np.isinf(C):
        return 0.0, factors
    (mantissa, power), (total, total_power) = np.frexp(C), np.frexp(weight_sum)
    power = -int(power) - int(total_power) - exponent
    within = min(max(power, -FAR_POWER), FAR_POWER)
    if power != within:
        with np.errstate(over="ignore", under="ignore"):
            factors = np.ldexp(np.ones(d) if factors is None else factors, power - within)
        factors = np.minimum(factors, 2.0**FAR_POWER)
    return float(np.ldexp(1 / (mantissa * total), within)), factors
