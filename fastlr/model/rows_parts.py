"""Rows in parts: the data lie in several places, and sums over them are made part by part.

What needs single rows takes every so many-th of all parts as one small dense block.
"""

import copy
from functools import partial

import numpy as np

from fastlr.model import rows_moments
from fastlr.model.affine import Affine
from fastlr.model.rows import DenseRows
from fastlr.model.rows_base import SAFE, add
from fastlr.model.rows_engine import Part, weighted_rows
from fastlr.model.rows_targets import link
from fastlr.model.sample_size import least_step


class PartRows:
    """Rows that an engine has the parts of, with the methods of `DenseRows` that need no single rows.

    Parameters
    ----------
    parts : engine
        See rows_engine.py.
    n, d, n_logits : int
        Rows with a weight, features, logits.
    real : dtype
    loss, intercept, n_threads, random_state
        As of `DenseRows`; threads are for what is made of samples here.

    Attributes
    ----------
    As of `DenseRows`; `n` and samples leave out rows of weight 0.
    """

    is_at_hand = is_measured = is_sparse = adds_up_classes = knows_classes = False
    offset = None

    def __init__(self, parts, n, d, n_logits, real, *, loss, intercept=True, n_threads=1, random_state=0):
        self.parts, self.n, self.d, self.k, self.real = parts, n, d, n_logits, np.dtype(real)
        self.loss, self.intercept, self.n_threads, self.seed = loss, bool(intercept), n_threads, random_state
        self.D, self.n_values = d + self.intercept, n * d
        self.affine, self._moments, self._constant_gradient = Affine(), None, None
        self._samples = {}
        self.n_passes = 1.0
        self.total_weight, squares, rates, least = parts.reduce(_facts, join=_join_facts)
        self.effective_rows, self.base_rate = self.total_weight**2 / squares, rates / self.total_weight
        self.least_weight = least
        self.least_step = least_step(n, self.D, n_logits, self.n_values)

    def through(self, affine):
        """The same rows, their features seen through another map of X."""
        seen = copy.copy(self)
        seen.affine, seen._constant_gradient, seen._samples = affine, None, {}
        return seen

    def moments(self):
        """Weighted means and rough deviations (d,) of X's own features."""
        if self._moments is None:
            mean, _, deviation = self.parts.reduce(_moments, join=join_moments, size=2 * self.d)
            self._moments = mean, deviation
        return self._moments

    def within_range(self):
        """The rows, or copies of them with features divided by powers of two, and the exponents (d,)."""
        exponent = rows_moments.far_exponents(
            lambda: self.parts.reduce(_exponents, join=np.maximum, size=self.d), *self.moments(),
            SAFE[self.real.itemsize])
        if not exponent.any():
            return self, exponent
        divided = copy.copy(self)
        divided.parts, divided._moments = self.parts.transform(_divided, exponent), None
        return divided, exponent

    def first_nonfinite(self):
        """((row, column), value) of the first one that is nan or infinite, rows counted within their part, or None."""
        return next((found for found in self.parts.map(_first_nonfinite) if found is not None), None)

    # ---- sums over the rows -----------------------------------------------------------------------------------------
    def over_parts(self, function, *args, join=add):
        """As of `DenseRows`: a pass, of a function that can be pickled."""
        self.n_passes += 1
        return self._reduce(function, *args, join=join, size=(self.k * self.D) ** 2)

    def mean_over_parts(self, function, W, Z=None):
        """As of `DenseRows`: a pass."""
        self.n_passes += 1
        return self._reduce(partial(_weighted_sum, function), W, size=(self.k * self.D) ** 2) / self.total_weight

    def loss_and_grad(self, W):
        """Sum of the losses at W (k, D), and its gradient (k, D)."""
        self.n_passes += 1
        total, G = self._reduce(DenseRows.loss_and_grad, W, size=W.size)
        if self._constant_gradient is None and not W[:, : self.d].any():
            self._constant_gradient = G[:, : self.d] / self.total_weight
        return total, G

    def hessp(self, W, U):
        """The Hessian of the sum of the losses at W times U (k, D)."""
        self.n_passes += 1
        return self._reduce(DenseRows.hessp, W, U, size=W.size)

    def constant_gradient(self):
        """Mean of (rate - y) u' (k, d): the gradient of a constant model, whatever the constant, if u has mean 0."""
        if self._constant_gradient is None:
            W = np.zeros((self.k, self.D))
            if self.intercept:
                W[:, -1] = link(self.base_rate, self.loss)
            self.loss_and_grad(W)
        return self._constant_gradient

    # ---- single rows ------------------------------------------------------------------------------------------------
    def sample(self, step):
        """Every step-th row, as data of their own here."""
        if step not in self._samples:
            blocks = [block for block in self.parts.map(_every, step) if block is not None]
            X, y, weight = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
            rows = weighted_rows(
                X, y, self.k, weight, loss=self.loss, intercept=self.intercept, n_threads=self.n_threads,
                random_state=self.seed, size=self.n_values,
            ).through(self.affine)
            rows.n_passes = 0.0
            self._samples = {step: rows}
            self.n_passes += 1 / step
        return copy.copy(self._samples[step])

    def weight_of_every(self, step):
        """Total weight of every step-th row with a weight."""
        return self.sample(step).total_weight

    def _reduce(self, function, *args, join=add, size):
        return self.parts.reduce(partial(_seen, function), self.affine, *args, join=join, size=size)


# ---- functions of a Part: of one without rows they return None ----------------------------------------------------
def _seen(function, part, affine, *args):
    return None if part.rows is None else function(part.through(affine), *args)


def _weighted_sum(function, rows, W):
    return function(rows, rows.activations_at(W)) * rows.total_weight


def _facts(part):
    rows = part.rows
    if rows is None:
        return None
    total = rows.total_weight
    return total, total**2 / rows.effective_rows, rows.base_rate * total, rows.least_weight


def _join_facts(a, b):
    return *add(a[:-1], b[:-1]), min(a[-1], b[-1])


def _moments(part):
    rows = part.rows
    return None if rows is None else rows_moments.with_weight(rows)


def join_moments(a, b):
    """Equal means of features that are constant stay as they are, and deviations of 0 stay 0."""
    (mean_a, weight_a, deviation_a), (mean_b, weight_b, deviation_b) = a, b
    total = weight_a + weight_b
    between = mean_b - mean_a
    mean = mean_a + between * (weight_b / total)
    within = np.hypot(deviation_a * np.sqrt(weight_a / total), deviation_b * np.sqrt(weight_b / total))
    return mean, total, np.hypot(within, between * (np.sqrt(weight_a * weight_b) / total))


def _exponents(part):
    return None if part.rows is None else rows_moments.exponents(part.rows._X)


def _divided(part, exponent):
    if part.rows is None:
        return part
    rows = copy.copy(part.rows)
    rows._X, rows._moments = rows._divided(exponent), None
    rows._take_size()
    return Part(rows, part.first)


def _first_nonfinite(part):
    return None if part.rows is None else part.rows.first_nonfinite()


def _every(part, step):
    """X, y and weights of the rows whose place among all with a weight is a multiple of step."""
    rows = part.rows
    if rows is None:
        return None
    some = slice(-part.first % step, None, step)
    if rows.weight is not None and not rows.weight.all():
        some = np.flatnonzero(rows.weight)[some]
    X = np.ascontiguousarray(rows._X[some])  # no view, which would keep all rows of the part
    weight = np.ones(len(X)) if rows.weight is None else rows.weight[some]
    return X, rows.y[some], weight
