"""Rows of one X that count for more or less: folds of cross-validation are weights on the same array."""

import copy

import numpy as np

from fastlr import _core
from fastlr.model import rows_moments
from fastlr.model.memory import BLOCK_VALUES, KEPT_VALUES

NEAR = 1e-5  # relative rounding of a mean in float32


def weighted(rows, weights):
    """The same rows, once with each of some weights (n,) float64; their features' deviations stay those of all."""
    _, deviation = rows.moments()
    views = []
    for weight in weights:
        view = copy.copy(rows)
        view.weight, _ = _core.moderate_weights(weight)
        view.n_passes, view._class_sums = 0.0, None
        view._take_size()
        views.append(view)
    if rows.is_measured:
        for view in views:
            view._moments = view.measured()[0], deviation
    elif rows.intercept:
        by_class = rows.y.ndim == 1 and rows.loss != "squared_error"
        n_groups = max(rows.k, 2) if by_class else 1
        at_once = max(1, rows_moments.MANY_GROUPS // n_groups)
        for start in range(0, len(views), at_once):
            some = views[start : start + at_once]
            for view, (sums, total) in zip(some, _class_sums(some, n_groups), strict=True):
                view._moments, view._class_sums = (sums.sum(axis=0) / total, deviation), sums if by_class else None
            some[0].n_passes += 0.5
    return views


def _class_sums(views, n_groups):
    """For each view the weighted sums of its classes' rows of X (n_groups, d), and their weight; X is read once."""
    rows, m = views[0], len(views) * n_groups
    if m > rows_moments.MANY_GROUPS:
        sums, weights = rows.over_parts(_group_sums, n_groups)
        return [(sums, weights.sum())]

    def block(part, X, n_threads):
        R = np.zeros((len(X), m), rows.real)
        for i, view in enumerate(views):
            R[np.arange(len(R)), i * n_groups + (rows.y[part] if n_groups > 1 else 0)] = view.weight[part]
        return _core.Problem(X, None, m, n_threads=n_threads).outer(R)[0]

    sums = np.sum(_by_blocks(rows, block, max(1, BLOCK_VALUES // (rows.d + m))), axis=0)
    return [(sums[i * n_groups : (i + 1) * n_groups], view.total_weight) for i, view in enumerate(views)]


def _by_blocks(rows, work, size):
    """[work(part, X, n_threads) of blocks of so many rows, or as they come: a slice and X as it is]."""
    if not rows.is_at_hand:
        return rows.by_blocks(work)
    n_blocks = -(-rows.n // size)
    n_threads = rows.n_threads if n_blocks == 1 else 1

    def block(j):
        part = slice(j * size, (j + 1) * size)
        return work(part, rows._X[part], n_threads)

    return [block(0)] if n_blocks == 1 else _core.parallel_for(block, n_blocks, rows.n_threads)


def _group_sums(rows, n_groups):
    return rows_moments.group_sums(rows._X, rows.y, n_groups, rows.weight, rows.n_threads)


def constant_features(X, mean, weight):
    """Mask (d,) of features whose values are all equal in the rows that have a weight, and so have their mean."""
    counted = np.flatnonzero(weight)
    value = X[counted[0]].astype(np.float64)
    mask = np.abs(mean - value) <= NEAR * np.abs(value)  # a sum of zeros is 0
    size = max(1, BLOCK_VALUES // len(mask))
    for start in range(0, len(counted), size):
        some = np.flatnonzero(mask)
        if not len(some):
            break
        mask[some] = (X[counted[start : start + size, None], some] == value[some]).all(axis=0)
    return mask


def logits_of(rows, W, some):
    """Z (m, k) of some rows, indices (m,), in the real type; no more than a block of them is copied at a time."""
    if not rows.is_at_hand:  # a trip for each block would be one for all
        return rows.logits(W, some)
    size = max(1, BLOCK_VALUES * rows.n // max(rows.n_values, 1))
    Z = np.empty((len(some), rows.k), rows.real)
    for start in range(0, len(some), size):
        Z[start : start + size] = rows.logits(W, as_slice(some[start : start + size]))
    return Z


def as_slice(some):
    """Indices (m,) as a slice if they follow each other: it takes no copy."""
    first, last = int(some[0]), int(some[-1])
    together = last - first + 1 == len(some) and (np.diff(some) == 1).all()
    return slice(first, last + 1) if together else some


def losses_and_grads(views, models):
    """Sums of losses, gradients (1, D) and logits of models W (1, D), each of its own view of the same rows.

    The views, results of `weighted`, have other weights and means. X is read once for all of them: where a pass waits
    for memory, or there are few features, that costs little more than one.
    """
    first, K = views[0], len(views)
    d, zero = first.d, np.zeros(first.d)
    scale, shift = (np.array([zero + by for by in each]) for each in zip(
        *((1.0 if view.affine.scale is None else view.affine.scale,
           0.0 if view.affine.shift is None else view.affine.shift) for view in views), strict=True))
    V = np.concatenate([W[:, :d] for W in models]) * scale  # of X itself
    c = np.array([W[0, d] if first.intercept else 0.0 for W in models]) - np.sum(V * shift, axis=1)
    size = first.n if first.is_sparse else max(1, BLOCK_VALUES // (d + K))
    logits = np.empty((K, first.n, 1), first.real) if K * first.n <= KEPT_VALUES else [None] * K

    def block(part, X, n_threads):
        problem = first._problem(X, None, K, n_threads=n_threads)
        Z, losses = problem.logits(V, c), np.empty(K)
        for i, rows in enumerate(views):
            z = Z[:, i : i + 1].copy()
            if rows.offset is not None:
                z += rows.offset[part]
            if logits[i] is not None:
                logits[i][part] = z
            weight = rows.weight[part]
            if weight.any():  # rows that a fold holds out often follow each other
                losses[i] = _core.residual(rows.loss, z, rows.y[part], weight=weight, R_out=z)
                Z[:, i] = z[:, 0]
            else:
                losses[i] = Z[:, i] = 0.0
        return losses, *problem.outer(Z)

    parts = _by_blocks(first, block, size)
    losses, G, g = (np.sum(sums, axis=0) for sums in zip(*parts, strict=True))
    first.n_passes += 1
    G = (G - g[:, None] * shift) * scale
    return losses, [rows._joined(G[i : i + 1], g[i : i + 1]) for i, rows in enumerate(views)], logits
