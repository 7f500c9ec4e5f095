"""Means and deviations of raw features, cheaply: means are exact, deviations only have to be roughly right.

Small X is measured.  Of larger X random groups of rows are summed, in one pass of the kernels whatever its type: the
sum of m independent values scatters with m times their variance, so that 16 sums tell it within a third.  Features
whose sums tell nothing, because they hardly vary beside their mean, are measured too.

Whether a feature is constant is never told by rounding: its values are compared.  Squares are made of values that were
divided by the power of two above the largest, so that they neither over- nor underflow.
"""

import numpy as np
from scipy.sparse import csr_array

from fastlr import _core
from fastlr.model.memory import BLOCK_VALUES
from fastlr.model.sample_size import ALL_ROWS, SAMPLE_STEP

GROUPS = 16
MANY_GROUPS = 64  # from here on a sparse product costs less than a pass
SMALL = 1 << 17  # values of X; up to here they are measured
WIDE_ROWS = 64  # rows that tell the variance of more features, where the other sums are most of a fit
SMALLEST, LARGEST = 1e-140, 1e140  # deviations whose squares are told without care
NOISE = 64  # machine epsilons of a mean that sums of groups may scatter by


def moments(X, weight, rng, n_threads, labels=None):
    """Weighted means and rough deviations of the features; a deviation is 0 where a feature is constant.

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
    mean, deviation : ndarray (d,) float64
    class_sums : ndarray (n_classes, d) float64, or None
        Weighted sums of each class's rows, where the mean comes from them.
    """
    if X.size <= SMALL:
        return *measured(X, weight), None
    # some rows tell the variance, unless a feature is constant in them
    enough, step = (ALL_ROWS, SAMPLE_STEP) if len(X) > X.shape[1] else (WIDE_ROWS, len(X) // WIDE_ROWS)
    if len(X) >= SAMPLE_STEP * enough:
        part = None if weight is None else weight[::step].copy()
        if part is None or part.any():
            about, deviation = _group_moments(X[::step], part, rng, n_threads)
            if deviation.all():
                group = np.zeros(len(X), np.int32) if labels is None else labels
                sums, weights = group_sums(X, group, int(group.max()) + 1, weight, n_threads)
                mean = sums.sum(axis=0) / weights.sum()
                if (np.abs(mean - about) <= deviation).all():  # else the sample has missed what varies most
                    return mean, deviation, None if labels is None else sums
    mean, deviation = _group_moments(X, weight, rng, n_threads)
    doubtful = np.flatnonzero((deviation == 0) & (mean != 0) | ~np.isfinite(deviation))
    at_once = max(1, BLOCK_VALUES // len(X))
    for start in range(0, len(doubtful), at_once):
        some = doubtful[start : start + at_once]
        mean[some], deviation[some] = measured(X[:, some], weight)
    return mean, deviation, None


def measured(X, weight):
    """Weighted means (d,) and deviations (d,) of the features of X (n, d), whose values are converted to float64."""
    if weight is not None and not weight.all():
        X, weight = X[weight > 0], weight[weight > 0]
    values = X.astype(np.float64, copy=False)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean, deviation, constant = _centred_moments(values, weight)
        if not (constant | (deviation > SMALLEST) & (deviation < LARGEST)).all():
            size = exponents(values)
            mean, deviation, _ = _centred_moments(np.ldexp(values, -size), weight)
            mean, deviation = np.ldexp(mean, size), np.ldexp(deviation, size)
    return mean, deviation


def _centred_moments(values, weight):
    """Means, deviations and whether all values are the same; means are taken of differences from the first row."""
    first = values[0]
    values = values - first
    constant = ~values.any(axis=0)
    mean = np.average(values, axis=0, weights=weight)
    values -= mean
    deviation = np.sqrt(np.average(values * values, axis=0, weights=weight))
    if not (constant | (deviation > 0)).all():  # what weighs does not vary enough to be squared
        deviation = np.where(deviation > 0, deviation, np.abs(values).max(axis=0))
    return first + np.where(constant, 0.0, mean), np.where(constant, 0.0, deviation), constant


def exponents(X):
    """For each feature of X (n, d) the e of the power of two above its largest value; 0 for zeros."""
    largest = np.maximum(X.max(axis=0, initial=0), -X.min(axis=0, initial=0).astype(np.float64))
    return np.frexp(largest.astype(np.float64))[1].astype(np.intc)


def with_weight(rows):
    """Means and deviations (d,) of some rows' own features, and the rows' weight between them."""
    mean, deviation = rows.moments()
    return mean, rows.total_weight, deviation


def far_exponents(find, mean, deviation, safe):
    """The powers of two (d,) to divide features by, 0 for all where none leaves 2^-safe to 2^safe.

    `find` makes the `exponents` of the features.
    """
    size = np.frexp(np.abs(mean) + deviation)[1]
    if (np.isfinite(deviation) & (np.abs(size) <= safe)).all():
        return np.zeros(len(mean), np.intc)
    found = find()
    return np.where(np.abs(found) > safe, found, 0).astype(np.intc)


def group_sums(X, group, n_groups, weight, n_threads):
    """Weighted sums of each group's rows (n_groups, d) and the groups' weights (n_groups,), float64.

    With residual -1 for its group alone in every row, they are minus the gradient; for many groups a sparse product
    costs less.
    """
    if n_groups < MANY_GROUPS:
        if n_groups == 1:  # one output takes values, not labels
            group = np.ones((len(X), 1), _core.real_dtype(X.dtype))
        problem = _core.Problem(X, group, n_groups, loss="squared_error", weight=weight, n_threads=n_threads)
        _, sums, weights = problem.loss_and_grad(np.zeros((n_groups, X.shape[1])), np.zeros(n_groups))
        return -sums, -weights
    sums, weights = np.zeros((n_groups, X.shape[1])), np.bincount(group, weight, n_groups).astype(np.float64)
    block = max(1, BLOCK_VALUES // X.shape[1])
    for start in range(0, len(X), block):
        rows = slice(start, start + block)
        values = np.ones(len(group[rows])) if weight is None else weight[rows]
        members = csr_array((values, (group[rows], np.arange(len(values)))), shape=(n_groups, len(values)))
        sums += members @ X[rows].astype(np.float64)
    return sums, weights


def _group_moments(X, weight, rng, n_threads):
    """Of random groups; the deviation is 0 where it may be rounding."""
    group = rng.integers(0, GROUPS, len(X), dtype=np.int32)
    sums, weights = group_sums(X, group, GROUPS, weight, n_threads)
    mean = sums.sum(0) / weights.sum()
    squared_weight = len(X) if weight is None else float(weight @ weight)
    with np.errstate(over="ignore", invalid="ignore"):
        scatter = ((sums - np.outer(weights, mean)) ** 2).sum(0)
    deviation = np.sqrt(scatter * (GROUPS / (GROUPS - 1) / squared_weight))
    noise = NOISE * np.finfo(_core.real_dtype(X.dtype)).eps * np.abs(mean)
    return mean, np.where(deviation <= noise, 0.0, deviation)
