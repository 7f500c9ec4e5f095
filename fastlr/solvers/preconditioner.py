"""Metrics: positive definite approximations of the Hessian that are cheap to invert.

All are block diagonal, one block M_c (D, D) a class, D = d + 1 with an intercept, and kept as inverse triangular
factors in float32: a metric need not be exact, and applying it reads half the memory.  Where a single block is too
large, a few rows stand for it (`SampledMetric`).
"""

import numpy as np
from scipy.linalg import blas, lapack

from fastlr import _core
from fastlr.model.hessian import class_blocks, mean_gram
from fastlr.model.memory import KEPT_VALUES

SAMPLED, WHOLE, LEAST = 0.15, 1e-3, 1e-8  # damping of blocks of a sample, of all rows, and at least
GRAM_ROWS, BLOCK_ROWS = 8, 4  # rows a feature of a Gram metric, and of a class block at least
FEW_ROWS = 8  # what part of all rows stand for a Gram matrix that is too large: to apply them costs so much of a pass
_TINY = np.finfo(np.float32).tiny


class Metric:
    """Blocks M_c = H_c + alpha P + damping, times a factor each.

    Parameters
    ----------
    objective : Objective
        Gives alpha P and the shapes.
    blocks : list of callables
        From a number of threads to H_c (D, D) of each class, or one for all.
    damping : float
        Added to the diagonal, in units of its mean: it stands for what a sample of rows or the change of the curvature
        on the way leaves out.
    factors : ndarray (k,)
        Of the blocks; 1 where they are right as they are.
    """

    def __init__(self, objective, blocks, damping, factors):
        rows = objective.rows
        self.shape = rows.k, rows.D
        self.centred = rows.loss == "softmax"  # a row added to all classes changes no probability
        self.factors = np.asarray(factors)[:, None]
        penalty = objective.penalty.strength / np.mean(factors)
        workers = min(rows.n_threads, len(blocks))
        n_threads = max(1, rows.n_threads // workers)

        def factor(c):
            return _inverse_factor(blocks[c](n_threads), penalty, damping)

        self.inverse_factors = _core.parallel_for(factor, len(blocks), workers)

    def solve(self, grad):
        """The step M^-1 grad (size,)."""
        G = grad.reshape(self.shape) / self.factors
        size = np.abs(G).max() + _TINY
        G = (G / size).astype(np.float32)
        for c, row in enumerate(G):
            inverse = self.inverse_factors[c % len(self.inverse_factors)]
            G[c] = blas.strmv(inverse, blas.strmv(inverse, row, lower=1), lower=1, trans=1)
        S = G * size
        if self.centred:
            S -= S.mean(axis=0)
        return S.ravel()


def _inverse_factor(H, penalty, damping):
    """L^-1 in float32 of H + diag(penalty) + damping = L L'."""
    diagonal = np.einsum("jj->j", H)
    diagonal += damping * diagonal.mean() + _TINY
    diagonal += penalty
    L, failed = lapack.spotrf(H.astype(np.float32, order="F"), lower=1, overwrite_a=1)
    if failed:
        L = lapack.dpotrf(H, lower=1)[0].astype(np.float32)
    return lapack.strtri(L, lower=1, overwrite_c=1)[0]


def block_metric(objective, point, n_rows, factor=1.0):
    """The Hessian's own class blocks at a Point, from n_rows rows each; `factor` multiplies their damping."""
    rows = objective.rows
    blocks = class_blocks(rows, objective.activations(point), n_rows)
    sampling = SAMPLED * min(1.0, (BLOCK_ROWS * rows.d / n_rows) ** 0.5)
    damping = WHOLE if n_rows >= rows.n else max(LEAST, factor * sampling)
    return Metric(objective, blocks, damping, np.ones(rows.k))
