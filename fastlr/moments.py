"""Means and variances of raw features, cheaply: means are exact, variances only have to be roughly right.

Small X is converted and measured.  Of larger X random groups of rows are summed, in one pass of the kernels whatever
its type: the sum of m independent values scatters with m times their variance, so that 16 sums tell it within a third.
"""

import numpy as np

from fastlr import _core

GROUPS = 16
SMALL = 1 << 17  # values of X; up to here they are converted
ROWS = 1 << 16  # rows that tell the variance, unless a feature is constant in them


def moments(X, weight, rng, n_threads):
    """Weighted means and rough variances of the features; a variance is 0 where only rounding varies.

    Parameters
    ----------
    X : ndarray (n, d) of a dtype in `_core.DTYPES`
    weight : ndarray (n,) float64 or None
    rng : Generator
        Assigns the groups.
    n_threads : int

    Returns
    -------
    mean, variance : ndarray (d,) float64
    """
    if X.size <= SMALL:
        values = X.astype(np.float64)
        mean = np.average(values, axis=0, weights=weight)
        variance = np.average((values - mean) ** 2, axis=0, weights=weight)
        return mean, _without_noise(variance, mean, X.dtype)
    step = len(X) // ROWS
    if step > 1:
        part = None if weight is None else weight[::step].copy()
        _, variance = _group_moments(X[::step], part, rng, n_threads)
        if variance.all():
            return _mean(X, weight, n_threads), variance
    return _group_moments(X, weight, rng, n_threads)


def _mean(X, weight, n_threads):
    """With residual 1 in every row, the gradient is the sum."""
    problem = _core.Problem(
        X, np.zeros(len(X), np.int32), 1, loss="squared_error", weight=weight, n_threads=n_threads
    )
    _, sums, total = problem.loss_and_grad(np.zeros((1, X.shape[1])), np.ones(1))
    return sums[0] / total


def _group_moments(X, weight, rng, n_threads):
    """With residual -1 for its group alone in every row, minus the gradient is the groups' sums."""
    group = rng.integers(0, GROUPS, len(X), dtype=np.int32)
    problem = _core.Problem(X, group, GROUPS, loss="squared_error", weight=weight, n_threads=n_threads)
    _, sums, weights = problem.loss_and_grad(np.zeros((GROUPS, X.shape[1])), np.zeros(GROUPS))
    mean = sums.sum(0) / weights.sum()
    squared_weight = len(X) if weight is None else float(weight @ weight)
    scatter = ((sums - np.outer(weights, mean)) ** 2).sum(0)
    return mean, _without_noise(scatter * (GROUPS / (GROUPS - 1) / squared_weight), mean, X.dtype)


def _without_noise(variance, mean, dtype):
    noise = 16 * np.finfo(_core.real_dtype(dtype)).eps * np.abs(mean)
    return np.where(variance <= noise**2, 0.0, variance)
