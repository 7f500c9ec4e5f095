"""Coordinates made for solving: features of mean 0 and deviation about 1, whatever the user's.

The user's features x' = (X - shift) * scale have weighted means m and deviations t; solvers see u = (x' - m) / t and a
model W (k, D) of it.  The user's is W / t, with intercept c - (W / t) m, and penalty factors p become p / t^2, so that
the optimum is the user's.  t need not be exact, only fixed.  Without an intercept features are scaled but not centred.

Powers of two are kept apart: those of X, of its deviations and of `scale` may leave the range where their product does
not.
"""

import copy

import numpy as np

from fastlr.model.affine import Affine

MOST_SHIFT = 1e14  # deviations from a feature's mean that float64 can subtract
TINIEST = 1e-300  # deviation of a feature whose coefficient is a float64


class Coordinates:
    """The map between the user's coefficients and those of u.

    Parameters
    ----------
    rows : Rows
        Seen as they are.
    scale, shift : ndarray (d,) or None
        The user's.
    least : ndarray (d,)
        Deviations at least, for penalties that would swamp a feature's own curvature.

    Attributes
    ----------
    rows : Rows
        Of u.
    own : Affine
        From X of these rows to the user's features.
    deviation : ndarray (d,)
        t.
    is_constant : ndarray (d,) of bool
        Features whose values are all equal, which need no coefficient.
    """

    def __init__(self, rows, scale, shift, least):
        rows, exponent = rows.within_range()
        mean, deviation = rows.moments()
        is_plain = scale is None and not exponent.any()
        scale, power = np.frexp(np.ones(rows.d) if scale is None else scale)
        power = power + exponent
        shift = None if shift is None else np.ldexp(shift, -exponent)
        centre = mean if shift is None else mean - shift
        if not rows.intercept:
            deviation, mean = np.hypot(deviation, centre), np.zeros(rows.d) if shift is None else shift
            centre = np.zeros(rows.d)
        varies = (deviation > 0) | (mean == 0) & ~np.bool_(rows.is_measured)  # sums of 0 need not be of zeros
        deviation = np.where(deviation == 0, 1.0, deviation)
        true = np.ldexp(deviation * np.abs(scale), power)
        self.deviation = np.maximum(true, least)
        self.mean = centre if is_plain else np.ldexp(centre * scale, power)  # memory, where features are millions
        self._check_range(rows, varies, scale, mean)
        self.deviation = np.where(self.deviation < TINIEST, 1.0, self.deviation)
        if shift is not None and (lost := (np.abs(self.mean) > MOST_SHIFT * self.deviation) & varies).any():
            j = lost.argmax()
            raise ValueError(f"shift is {np.ldexp(shift[j], exponent[j]):.3g} for column {j}, whose values deviate "
                             f"from their mean by {np.ldexp(deviation[j], exponent[j]):.3g} only: expected a shift "
                             f"among them, or their difference keeps no digit")
        to_u = np.where(varies, np.sign(scale) * (true / self.deviation) / deviation, 0.0)
        self.own = Affine(None if is_plain else np.ldexp(scale, power), shift)
        self.is_constant = to_u == 0
        self.rows = rows.through(Affine(to_u, mean))

    def _check_range(self, rows, varies, scale, mean):
        fits = self.deviation + np.abs(self.mean) + np.abs(mean) < np.inf
        fits &= (self.deviation >= TINIEST) | (scale == 0) | ~varies
        if not fits.all():
            j = fits.argmin()
            raise nonfinite_error(rows) or ValueError(
                f"(X - shift) * scale leaves the range of float64, first in column {j}, whose values deviate from "
                f"their mean by about {self.deviation[j]:.1e}; expected at least {TINIEST:g} and at most 1e308: use "
                f"another scale or shift"
            )

    def recentred(self, rows):
        """The coordinates of the same rows with other weights, whose means are others; deviations stay.

        Features may have become constant: they are told exactly, for a weight from elsewhere would hardly fade.
        """
        seen, affine = copy.copy(self), self.rows.affine
        if rows.intercept:
            mean, _ = rows.moments()
            seen.mean = self.own.of_sums(mean[None], np.ones(1))[0]
            seen.is_constant = self.is_constant | rows.constant_features()
            affine = Affine(np.where(seen.is_constant, 0.0, affine.scale), mean)
        seen.rows = rows.through(affine)
        return seen

    @property
    def _mean_deviations(self):
        return self.mean / self.deviation

    def model_of(self, W, b):
        """W (k, D) of the user's coefficients (k, d) and intercept (k,)."""
        V = W * self.deviation
        return np.column_stack([V, b + V @ self._mean_deviations]) if self.rows.intercept else V

    def gradient_of(self, G, g):
        """The gradient (k, D) by W of what has the gradients G (k, d) and g (k,) by the user's coefficients."""
        G = G / self.deviation - np.outer(g, self._mean_deviations)
        return np.column_stack([G, g]) if self.rows.intercept else G

    def coefficients(self, W):
        """The user's coefficients (k, d) and intercept (k,) of W (k, D)."""
        V = W[:, : self.rows.d]
        c = W[:, self.rows.d] if self.rows.intercept else np.zeros(len(W))
        return V / self.deviation, c - V @ self._mean_deviations


def nonfinite_error(rows):
    """The error for a value of X that is not finite, or None if there is none."""
    found = rows.first_nonfinite()
    if found is None:
        return None
    (row, column), value = found
    return ValueError(f"X has {value} at row {row}, column {column}; expected finite numbers: X was changed during the "
                      f"fit (pass a copy), or is assumed to be finite (fill in the values)")
