"""The penalty of the coefficients: the one place that knows it.

    Ridge        alpha/2 sum_j p_j ||W_j||_2^2
    ElasticNet   alpha sum_j p_j (l1_ratio ||W_j||_1 + (1 - l1_ratio)/2 ||W_j||_2^2)

Coefficients come as W (k, D), a row a class, with the intercept, which is never penalised, in a last column.
"""

import numpy as np

from fastlr.model.model_blocks import in_blocks
from fastlr.model.numerics import TINY

NEGLIGIBLE = 1e-26  # strength, in units of a standardised feature's, that holds nothing: counted when all is done
FAR_POWER = 600  # of two: what alpha may be from 1, and what is beyond goes to the factors
LARGEST_FACTOR = 1e300  # of a feature; larger ones are reached without a penalty only
SURE = 1e-12  # relatively, by what a penalty must fall


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

    has_l1, l1 = False, None

    def __init__(self, alpha, factors, intercept):
        self.alpha, self.intercept = float(alpha), intercept
        self.factors = np.minimum(factors, LARGEST_FACTOR)
        strength = self.alpha * self.factors
        too_weak, none = strength < NEGLIGIBLE, np.zeros(int(intercept))
        self._neglected = np.append(np.where(too_weak, strength, 0.0), none) if too_weak.any() else 0.0
        strength[too_weak] = 0.0
        self.strength = np.append(strength, none)

    def times(self, factor):
        """The same with an alpha so many times as large."""
        return Ridge(self.alpha * factor, self.factors, self.intercept)

    def value(self, W):
        """Of the coefficients W (k, D)."""
        return 0.5 * sum(in_blocks(lambda at: float(np.vdot(W[at], self.strength[at[1]] * W[at])), W.shape, 1))

    def gradient(self, W):
        """(k, D) at W."""
        return self.strength * W

    def subgradient(self, W, G, *, balanced):
        """A subgradient (k, D) at W, such that with the loss's gradient G it comes near 0; `balanced` over classes."""
        return self.gradient(W)

    def worth_of_shift(self, slope, W, value):
        """What the penalty could fall by where all classes move alike, along this slope (D,), from W of F's value."""
        with np.errstate(all="ignore"):
            return float(np.where(self.strength > 0, slope**2 / (2 * len(W) * self.strength), 0.0).sum())

    def shift(self, mean):
        """What to take off all classes, for the least penalty: their mean (D,)."""
        return mean

    def without(self, constant):
        """The strength (d,) and l1 (d,), or None, inf for features of a mask, which need no coefficient."""
        strength = np.where(constant, np.inf, self.strength[: len(constant)])
        return strength, np.where(constant, np.inf, self.l1) if self.has_l1 else None

    def along(self, W, D, n_threads=1):
        """Of W + t D (k, D), a function of t with a method `deriv`."""
        return square(W, D, 0.5 * self.strength, n_threads)

    def add_curvature(self, H):
        """Add the penalty's to the Hessian H (k D, k D) of a mean loss, in place."""
        diagonal = np.einsum("jj->j", H).reshape(-1, len(self.strength))
        diagonal += self.strength

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


class ElasticNet(Ridge):
    """The same with alpha (1 - l1_ratio), and sum_j l1_j ||W_j||_1.

    `gradient`, `add_curvature` and what is said of a curvature are the smooth part's.

    Parameters
    ----------
    alpha, l1_ratio : float
    factors, l1_factors : ndarray (d,)
        p_j of those coordinates for squares and for absolute values, which scale otherwise.
    intercept : bool

    Attributes
    ----------
    l1 : ndarray (d,)
        alpha l1_ratio p_j, 0 where that holds nothing.
    has_l1 : bool
        Whether any is left.
    """

    def __init__(self, alpha, l1_ratio, factors, l1_factors, intercept):
        super().__init__(alpha * (1 - l1_ratio), factors, intercept)
        self._whole, self.l1_ratio, self._l1_factors = float(alpha), l1_ratio, l1_factors
        l1 = np.minimum(alpha * l1_ratio * l1_factors, LARGEST_FACTOR)
        self.l1, self._neglected_l1 = np.where(l1 < NEGLIGIBLE, 0.0, l1), np.where(l1 < NEGLIGIBLE, l1, 0.0)
        self.has_l1 = bool(self.l1.any())

    def times(self, factor):
        """The same with an alpha so many times as large."""
        return ElasticNet(self._whole * factor, self.l1_ratio, self.factors, self._l1_factors, self.intercept)

    def value(self, W):
        """Of the coefficients W (k, D)."""
        return super().value(W) + self.absolute(W)

    def absolute(self, W):
        """The part that is not smooth."""
        return float(np.einsum("cj,j->", np.abs(W[:, : len(self.l1)]), self.l1))

    def subgradient(self, W, G, *, balanced):
        """A subgradient (k, D) at W, such that with the loss's gradient G it comes near 0; `balanced` over classes."""
        S, d = self.gradient(W), len(self.l1)
        V = W[:, :d]
        s = np.where(V == 0, np.clip(-(G + S)[:, :d], -self.l1, self.l1), np.sign(V) * self.l1)
        if balanced:  # by what the coefficients that are 0 leave free
            excess = (S[:, :d] + s).sum(axis=0)
            room = np.where(V == 0, np.maximum(self.l1 + np.sign(excess) * s, 0.0), 0.0)
            s -= np.sign(excess) * room * np.minimum(np.abs(excess) / np.maximum(room.sum(axis=0), TINY), 1.0)
        S[:, :d] += s
        return S

    def worth_of_shift(self, slope, W, value):
        """What the penalty could fall by where all classes move alike, along this slope (D,), from W of F's value.

        Nowhere below F do they move by more than F's value over k l1, but for where they are.
        """
        k, d = len(W), len(self.l1)
        with np.errstate(all="ignore"):
            far = np.abs(slope[:d]) * (value / (k * self.l1) + np.abs(W[:, :d].mean(axis=0)))
            near = np.where(self.strength[:d] > 0, slope[:d] ** 2 / (2 * k * self.strength[:d]), np.inf)
            return float(np.where(slope[:d] == 0, 0.0, np.fmin(far, near)).sum())

    def shift(self, mean):
        """What to take off all classes: nothing where absolute values are least for medians, not for means."""
        return np.append(np.where(self.l1 > 0, 0.0, mean[: len(self.l1)]), mean[len(self.l1) :])

    def along(self, W, D, n_threads=1):
        """Of W + t D (k, D), a function of t with a method `deriv`, from the right."""
        return _ElasticLine(self, W, D, super().along(W, D, n_threads))

    def prox(self, W, step):
        """argmin_V ||V - W||^2 / (2 step) + sum_j l1_j ||V_j||_1, (k, D): the smooth part is left out."""
        V = W.copy()
        V[:, : len(self.l1)] = soft(W[:, : len(self.l1)], step * self.l1)
        return V

    def common_shift(self, W, some):
        """What to add to all classes of W (k, m), coefficients of some features (m,), for the least penalty: (m,)."""
        k, l1, l2 = len(W), self.l1[some], self.strength[some]
        V, total = np.sort(W, axis=0), W.sum(axis=0)
        best, least = np.zeros(len(some)), self._of_features(W, l1, l2)
        least -= SURE * least  # ties stay
        for r in range(1, k):  # with r classes at most 0
            with np.errstate(all="ignore"):
                shift = np.where(l2 > 0, -(l1 / l2 * (k - 2 * r) + total) / k, -V[r - 1] if 2 * r >= k else -V[r])
            shift = np.clip(shift, -V[r], -V[r - 1])
            value = self._of_features(W + shift, l1, l2)
            best = np.where(value < least, shift, best)
            least = np.minimum(least, value)
        return best

    @staticmethod
    def _of_features(W, l1, l2):
        return l1 * np.abs(W).sum(axis=0) + 0.5 * l2 * (W * W).sum(axis=0)

    def violation(self, W, G):
        """How far each coefficient (k, d) is from optimal, G (k, D) being the gradient of the smooth part at W."""
        W, G = W[:, : len(self.l1)], G[:, : len(self.l1)]
        return np.where(W == 0, np.maximum(np.abs(G) - self.l1, 0.0), np.abs(G + np.sign(W) * self.l1))

    def neglected(self, W):
        """What `value` leaves out, since no solver could tell."""
        return super().neglected(W) + float(np.einsum("cj,j->", np.abs(W[:, : len(self.l1)]), self._neglected_l1))

    def is_on_all(self, but):
        """Whether every feature is penalised, but those of the mask (d,)."""
        return bool(((self.strength[: len(but)] > 0) | (self.l1 > 0) | but).all())

    def is_on_none(self, but):
        """Whether no feature is penalised, but perhaps those of the mask (d,)."""
        return super().is_on_none(but) and not (self.l1[~but] > 0).any()


class _ElasticLine:
    """An elastic net along a line."""

    def __init__(self, penalty, W, D, squares):
        d = len(penalty.l1)
        moves = D[:, :d].any(axis=0)
        self.W, self.D, self.l1, self.squares = W[:, :d][:, moves], D[:, :d][:, moves], penalty.l1[moves], squares
        self.rest = float(np.einsum("cj,j->", np.abs(W[:, :d][:, ~moves]), penalty.l1[~moves]))

    def __call__(self, t):
        return self.squares(t) + self.rest + float(np.einsum("cj,j->", np.abs(self.W + t * self.D), self.l1))

    def deriv(self):
        """The derivative, a function of t."""
        slopes = self.squares.deriv()

        def slope(t):
            V = self.W + t * self.D
            return slopes(t) + float(np.einsum("cj,cj,j->", np.where(V == 0, np.sign(self.D), np.sign(V)), self.D,
                                               self.l1))

        return slope


def square(V, D, factors, n_threads=1):
    """sum factors (V + t D)^2 as a polynomial in t."""
    def part(at):
        scaled = V[at] * factors[at[1]]
        return np.vdot(scaled, V[at]), 2 * np.vdot(scaled, D[at]), np.vdot(D[at] * factors[at[1]], D[at])

    return np.polynomial.Polynomial(np.sum(in_blocks(part, V.shape, n_threads), axis=0))


def soft(W, by):
    """W, nearer to 0 by so much."""
    return np.sign(W) * np.maximum(np.abs(W) - by, 0.0)


def penalty_of(alpha, l1_ratio, root, deviation, intercept):
    """The penalty of features of these deviations (d,), factors root^2 being for the user's coefficients."""
    factors = (root / deviation) ** 2
    if alpha > 0 and l1_ratio > 0:
        return ElasticNet(alpha, l1_ratio, factors, root * (root / deviation), intercept)
    return Ridge(alpha, factors, intercept)


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
