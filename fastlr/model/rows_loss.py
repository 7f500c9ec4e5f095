"""The loss of rows in float64, whatever their real type: for figures that are published, not for steps."""

import numpy as np

from fastlr import _core
from fastlr.model.memory import BLOCK_VALUES


def loss_in_float64(rows, W):
    """Sum of the losses at W (k, D): a pass that converts a block of X at a time."""
    size = max(1, BLOCK_VALUES * rows.n // max(rows.n_values, 1))
    total = 0.0
    for start in range(0, rows.n, size):
        part = slice(start, start + size)
        y, weight, offset = (None if array is None else array[part] for array in (rows.y, rows.weight, rows.offset))
        y = y if y.ndim == 1 and y.dtype.kind == "i" else y.astype(np.float64)
        problem = rows._problem(
            rows._X[part].astype(np.float64), y, rows.k, loss=rows.loss, weight=weight,
            offset=None if offset is None else offset.astype(np.float64), scale=rows.affine.scale,
            shift=rows.affine.shift, n_threads=rows.n_threads,
        )
        if rows.is_sparse:
            Z = problem.logits(*rows._parts(W))
            total += _core.residual(rows.loss, Z, y, weight=weight, n_threads=rows.n_threads)
        else:
            total += problem.evaluate(*rows._parts(W))[0]
    rows.n_passes += 1
    return total
