"""The metric of class blocks: the Hessian without its blocks off the diagonal, near an optimum.

It keeps an inverse triangular factor in float32 of each class's block (D, D): a metric need not be exact, and applying
it reads half the memory.
"""

import numpy as np
from scipy.linalg import lapack

from fastlr import _core
from fastlr.model.hessian import class_blocks
from fastlr.model.model_blocks import threads_for
from fastlr.model.numerics import TINY_SINGLE

SAMPLED, WHOLE = 0.15, 1e-4  # damping of the curvature of some rows and of all: of its mean diagonal
BLOCK_ROWS = 4  # rows a feature of a class block at least


class BlockMetric:
    """The Hessian's own class blocks at a Point, from n_rows rows each.

    Damping stands for what a sample of rows leaves out, and for the change of the curvature on the way, which is little
    where the Point `is_near` the optimum.
    """

    def __init__(self, objective, point, n_rows, is_near=False):
        rows = objective.rows
        self.shape, self.centred, self.n_threads = (rows.k, rows.D), rows.loss == "softmax", rows.n_threads
        blocks = class_blocks(rows, objective.activations(point), n_rows)
        is_near = is_near or n_rows >= rows.n
        damping = WHOLE if is_near else SAMPLED * min(1.0, (BLOCK_ROWS * rows.d / n_rows) ** 0.5)
        workers = min(rows.n_threads, len(blocks))
        n_threads = max(1, rows.n_threads // workers)

        def inverse_factor(c):
            return _inverse_factor(blocks[c](n_threads), objective.penalty.strength, damping)

        self.inverse_factors = _core.parallel_for(inverse_factor, len(blocks), workers)

    def solve(self, grad):
        """The step M^-1 grad (size,)."""
        size = np.abs(grad).max() + TINY_SINGLE
        G = (grad.reshape(self.shape) / size).astype(np.float32)

        def solve(c):
            inverse = self.inverse_factors[c]
            G[c] = inverse.T @ (inverse @ G[c])

        _core.parallel_for(solve, len(G), threads_for(2 * G.size * G.shape[1], self.n_threads))
        S = G * size
        if self.centred:  # a row added to all classes changes no probability
            S -= S.mean(axis=0)
        return S.ravel()


def _inverse_factor(H, penalty, damping):
    """L^-1 in float32 of H + diag(penalty) + damping = L L'."""
    diagonal = np.einsum("jj->j", H)
    diagonal += damping * diagonal.mean() + TINY_SINGLE
    diagonal += penalty
    L, failed = lapack.spotrf(H.astype(np.float32, order="F"), lower=1, overwrite_a=1)
    if failed:
        L = lapack.dpotrf(H, lower=1)[0].astype(np.float32)
    return lapack.strtri(L, lower=1, overwrite_c=1)[0]
