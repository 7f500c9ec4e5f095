"""Means and variances of raw features, cheaply: means are exact, variances only have to be roughly right.

Small X is converted and measured.  Of larger X random groups of rows are summed, in one pass of the kernels whatever
its type: the sum of m independent values scatters with m times their variance, so that 16 sums tell it within a third.
"""

import numpy as np
from scipy.sparse import csr_array

from fastlr import _core

GROUPS = 16
MANY_GROUPS = 64  # from here on a sparse product costs less than a pass
BLOCK = 1 << 19  # values of X that it converts at a time
SMALL = 1 << 17  # values of X; up to here they are converted
ROWS = 1 << 14  # rows that tell the variance, unless a feature is constant in them


def moments(X, weight, rng, n_threads, labels=None):
    """Weighted means and rough variances of the features; a variance is 0 where only rounding varies.

    Parameters
    ----------
    X : ndarray (n, d) of a dtype in `_core.DTYPES`
    weight : ndarray (n,) float64 or None
    rng : Generator
        Assigns the groups.
    n_threads : int
    labels : ndarray (n,) int32, default=None
        Few classes.

    Returns
    -------
    mean, variance : ndarray (d,) float64
    class_sums : ndarray (n_classes, d) float64, or None
        Weighted sums of each class's rows, where the mean comes from them.
    """
    if X.size <= SMALL:
        values = X.astype(np.float64)
        mean = np.average(values, axis=0, weights=weight)
        variance = np.average((values - mean) ** 2, axis=0, weights=weight)
        return mean, _without_noise(variance, mean, X.dtype), None
    step = len(X) // ROWS
    if step > 8:
        part = None if weight is None else weight[::step].copy()
        _, variance = _group_moments(X[::step], part, rng, n_threads)
        if variance.all():
            group = np.zeros(len(X), np.int32) if labels is None else labels
            sums, weights = group_sums(X, group, int(group.max()) + 1, weight, n_threads)
            return sums.sum(axis=0) / weights.sum(), variance, None if labels is None else sums
    return *_group_moments(X, weight, rng, n_threads), None


def group_sums(X, group, n_groups, weight, n_threads):
    """Weighted sums of each group's rows (n_groups, d) and the groups' weights (n_groups,), float64.

    With residual -1 for its group alone in every row, they are minus the gradient; for many groups a sparse product
    costs less.
    """
    if n_groups < MANY_GROUPS:
        problem = _core.Problem(X, group, n_groups, loss="squared_error", weight=weight, n_threads=n_threads)
        _, sums, weights = problem.loss_and_grad(np.zeros((n_groups, X.shape[1])), np.zeros(n_groups))
        return -sums, -weights
    sums, weights = np.zeros((n_groups, X.shape[1])), np.bincount(group, weight, n_groups).astype(np.float64)
    block = max(1, BLOCK // X.shape[1])
    for start in range(0, len(X), block):
        rows = slice(start, start + block)
        values = np.ones(len(group[rows])) if weight is None else weight[rows]
        members = csr_array((values, (group[rows], np.arange(len(values)))), shape=(n_groups, len(values)))
        sums += members @ X[rows].astype(np.float64)
    return sums, weights


def _group_moments(X, weight, rng, n_threads):
    """Of random groups."""
    group = rng.integers(0, GROUPS, len(X), dtype=np.int32)
    sums, weights = group_sums(X, group, GROUPS, weight, n_threads)
    mean = sums.sum(0) / weights.sum()
    squared_weight = len(X) if weight is None else float(weight @ weight)
    scatter = ((sums - np.outer(weights, mean)) ** 2).sum(0)
    return mean, _without_noise(scatter * (GROUPS / (GROUPS - 1) / squared_weight), mean, X.dtype)


def _without_noise(variance, mean, dtype):
    noise = 16 * np.finfo(_core.real_dtype(dtype)).eps * np.abs(mean)
    return np.where(variance <= noise**2, 0.0, variance)
