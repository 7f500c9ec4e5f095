"""The loss of rows in float64, whatever their real type: for figures that are published, not for steps.

And the gradient of a constant model.
"""

import numpy as np

from fastlr import _core
from fastlr.model.memory import BLOCK_VALUES


def gradient_of_constants(rows, c):
    """The sum of the losses' gradients (k, d) where all logits are c (k,), without offsets."""
    rows.n_passes += 1
    problem = rows._pass(weight=rows.weight, with_offset=False)
    return problem.loss_and_grad(np.zeros((rows.k, rows.d)), c)[1]


def loss_in_float64(rows, W):
    """Sum of the losses at W (k, D): a pass that converts a block of X at a time."""
    total = 0.0
    for problem, y, weight in _blocks(rows):
        if rows.is_sparse:
            Z = problem.logits(*rows._parts(W))
            total += _core.residual(rows.loss, Z, y, weight=weight, n_threads=rows.n_threads)
        else:
            total += problem.evaluate(*rows._parts(W))[0]
    rows.n_passes += 1
    return total


def loss_and_grad_in_float64(rows, W):
    """The same, and its gradient (k, D)."""
    total, gradient = 0.0, 0.0
    for problem, _, _ in _blocks(rows):
        loss, G, g = problem.loss_and_grad(*rows._parts(W))
        total, gradient = total + loss, gradient + rows._joined(G, g)
    rows.n_passes += 1
    return total, gradient


def _blocks(rows):
    """Problems in float64 of a block of rows each, and its targets and weights."""
    size = max(1, BLOCK_VALUES * rows.n // max(rows.n_values, 1))
    for start in range(0, rows.n, size):
        part = slice(start, start + size)
        y, weight, offset = (None if array is None else array[part] for array in (rows.y, rows.weight, rows.offset))
        y = y if y.ndim == 1 and y.dtype.kind == "i" else y.astype(np.float64)
        X = rows._X[part]
        values = X.astype(np.float64)
        X.release() if rows.is_sparse else _core.release(X)
        yield rows._problem(
            values, y, rows.k, loss=rows.loss, weight=weight,
            offset=None if offset is None else offset.astype(np.float64), scale=rows.affine.scale,
            shift=rows.affine.shift, n_threads=rows.n_threads,
        ), y, weight
