"""Some rows of X, and no more of a mapped file in memory than is being read."""

import numpy as np

from fastlr import _core
from fastlr.model.memory import BLOCK_VALUES
from fastlr.model.sample_size import SAMPLE_STEP

APART = 1024  # rows from all over X; for each the system may map 64 KiB


def taken(X, part):
    """X[part]: a view for slices; for indices (m,), in any order, or a mask (n,) a copy, made block by block.

    A few rows from all over a mapped file are copied too: with each of them the system maps what lies around it.
    """
    if isinstance(part, slice):
        rows = X[part]
        few = (part.step or 1) >= SAMPLE_STEP and rows.size <= BLOCK_VALUES
        return every(X[part.start : part.stop], part.step) if few and _is_read_once(X) else rows
    part = np.flatnonzero(part) if part.dtype == bool else part
    rows = np.empty((len(part), X.shape[1]), X.dtype)
    for start in range(0, len(part), APART):
        some = part[start : start + APART]
        rows[start : start + APART] = X[some]
        _core.release(X[some.min() : some.max() + 1])
    _core.release(X)  # what the system mapped around them
    return rows


def _is_read_once(X):
    return _core.is_read_once(_core.file_behind(X))


def every(X, step):
    """A copy of every step-th row of X (n, d)."""
    rows = np.empty((-(-len(X) // step), X.shape[1]), X.dtype)
    size = max(1, BLOCK_VALUES // (X.shape[1] * step))
    for start in range(0, len(rows), size):
        block = X[start * step : (start + size) * step]
        rows[start : start + size] = block[::step]
        _core.release(block)
    return rows
