"""Rows of one X that count for more or less: folds of cross-validation are weights on the same array."""

import copy

import numpy as np

from fastlr import _core
from fastlr.model import rows_moments
from fastlr.model.memory import BLOCK_VALUES


def weighted(rows, weight):
    """The same rows with other weights (n,) float64; the deviations of their features stay those of all."""
    mean, deviation = rows.moments()
    part = copy.copy(rows)
    part.weight, _ = _core.moderate_weights(weight)
    part.n_passes, part._class_sums = 0.0, None
    part._take_size()
    if part.is_measured:
        mean, _ = rows_moments.measured(part._X, part.weight)
    elif part.intercept:
        part.n_passes += 1
        by_class = part.y.ndim == 1 and part.loss != "squared_error"
        group = part.y if by_class else np.zeros(part.n, np.int32)
        n_groups = max(part.k, 2) if by_class else 1
        sums, weights = rows_moments.group_sums(part._X, group, n_groups, part.weight, part.n_threads)
        mean, part._class_sums = sums.sum(axis=0) / weights.sum(), sums if by_class else None
    part._moments = mean, deviation
    return part


def logits_of(rows, W, some):
    """Z (m, k) of some rows, indices (m,), in the real type; no more than a block of them is copied at a time."""
    size = max(1, BLOCK_VALUES // rows.d)
    Z = np.empty((len(some), rows.k), rows.real)
    for start in range(0, len(some), size):
        taken = some[start : start + size]
        first, last = int(taken[0]), int(taken[-1])
        together = last - first + 1 == len(taken) and (np.diff(taken) == 1).all()
        Z[start : start + size] = rows.logits(W, slice(first, last + 1) if together else taken)
    return Z
