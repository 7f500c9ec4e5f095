"""Sparse rows of many features: L-BFGS in a metric that is diagonal but for the features that vary most.

Solvers see features u of mean 0 and variance 1.  Where they hardly depend on each other the class block of the Hessian
is about

    rho_c I + alpha P        rho_c the mean slope of the class's activation,

which costs no look at X.  A few frequent features depend on each other, though, and the penalty hardly holds them: text
has its topics, the columns of a one-hot encoding exclude each other; and rows that are classified with confidence,
which have rare features, weigh nothing.  When it is seen that a fit takes many passes, I becomes S: variances, and for
those features their covariance, of rows that weigh what their slopes come to.  One factorisation serves all rho_c.
"""

import numpy as np
from scipy.linalg import blas, lapack

from fastlr.model.memory import KEPT_VALUES
from fastlr.model.numerics import TINY
from fastlr.solvers.class_metric import LEAST
from fastlr.solvers.lbfgs import MEMORY, Pairs, lbfgs
from fastlr.solvers.newton import newton_cg
from fastlr.solvers.state import STALLED

METRIC_PASSES = 10  # that rho_c serve,
BLOCK_AFTER = 10  # that show whether features depend on each other,
BLOCK_PASSES = 30  # that S serves
BLOCK = 400  # features of the block at most,
BLOCK_WORK = 10  # operations of a pass that their number's cube may be,
BLOCK_ROWS = 8  # rows for each of them at least,
BLOCK_COST = 2  # passes that their covariance may cost
DAMPING = 1e-3  # of the covariance
LEAST_VARIANCE = 1e-3  # under the slopes, in units of that of all rows
SOME_PAIRS, LEAST_PAIRS = 10, 3  # where features have few values, where they are so many that memory is short


def run_sparse(objective, w, progress, solver):
    """Minimise from w, or from the constant model of the base rates where that is better."""
    progress.begin_at_best(w)
    block, due = None, objective.n_passes + BLOCK_AFTER

    def metric(point):
        nonlocal block, due
        if objective.n_passes >= due and not objective.coordinates.is_constant.all():
            block, due = Block(objective, point), objective.n_passes + BLOCK_PASSES
        return SparseMetric(objective, point, block)

    progress.solver = "newton-cg" if solver == "newton-cg" else "lbfgs"
    if solver == "newton-cg":
        newton_cg(objective, progress, metric)
        return
    pairs, stalls = Pairs(_memory(objective)), 0
    while not progress.message:
        lbfgs(objective, progress, metric(progress.point).solve, pairs, METRIC_PASSES, scaled=True)
        stalls = stalls + 1 if progress.message == STALLED else 0
        if stalls == 1:  # it may be for the metric
            progress.message = ""


def _memory(objective):
    """How many pairs L-BFGS keeps: as many as have products that cost about a pass."""
    rows = objective.rows
    n_pairs = min(MEMORY, max(SOME_PAIRS, rows.n_values // rows.D))
    return min(n_pairs, max(LEAST_PAIRS, KEPT_VALUES // (2 * objective.size)))


def solves_by_hessian(objective, solver):
    """Whether the user wants "newton-cholesky"; ValueError where its matrix is too large."""
    if solver == "newton-cholesky" and objective.size**2 > KEPT_VALUES:
        raise ValueError(f"solver='newton-cholesky' makes a matrix of {objective.size} x {objective.size} for these "
                         f"data; expected at most {KEPT_VALUES} values: use solver='auto'")
    return solver == "newton-cholesky"


class SparseMetric:
    """The metric at a Point, with an S of `block`, or I."""

    def __init__(self, objective, point, block=None):
        rows = objective.rows
        self.shape, self.centred, self.block = (rows.k, rows.D), rows.loss == "softmax", block
        slopes, weight = _slopes(objective, point)
        rho = slopes.mean(axis=0, dtype=np.float64) if weight is None else weight @ slopes / (weight.sum() + TINY)
        self.rho = np.maximum(rho, LEAST * rho.max() + TINY)
        variance = 1.0 if block is None else block.variance
        self.diagonal = self.rho[:, None] * variance + objective.penalty.strength

    def solve(self, grad):
        """The step M^-1 grad (size,)."""
        G = grad.reshape(self.shape)
        S = G / self.diagonal
        if self.block is not None:
            S[:, self.block.columns] = self.block.solve(G[:, self.block.columns], self.rho)
        if self.centred:  # a row added to all classes changes no probability
            S -= S.mean(axis=0)
        return S.ravel()


def _slopes(objective, point):
    """Slopes (m, k) of the activations at every so many-th row, and the rows' weights or None."""
    rows = objective.rows
    part = slice(None, None, max(1, -(-rows.n * rows.k // KEPT_VALUES)))
    weight = None if rows.weight is None else rows.weight[part]
    if rows.loss == "squared_error":
        return np.ones((len(rows.y[part]), rows.k), rows.real), weight
    A = objective.activations(point)(part)
    A *= 1 - A
    return A, weight


class Block:
    """S at a Point, and products with (rho S + alpha P)^-1, for any rho, of the features that vary most.

    With rho_0 S + alpha P = L L' and the eigenvalues s and vectors V of L^-1 S L^-T, T = L^-T V makes both matrices
    diagonal: (rho S + alpha P)^-1 = T diag(1 / (1 + (rho - rho_0) s)) T'.

    Attributes
    ----------
    columns : ndarray (m,) int64
    variance : ndarray (D,)
        1 for the intercept.
    """

    def __init__(self, objective, point):
        rows, strength = objective.rows, objective.penalty.strength
        deviation = np.where(objective.coordinates.is_constant, 0.0, objective.coordinates.deviation)
        worth = int(np.cbrt(BLOCK_WORK * rows.n_values * rows.k))
        m = max(1, min(BLOCK, worth, np.count_nonzero(deviation), rows.n // BLOCK_ROWS))
        self.columns = np.sort(np.argpartition(-deviation, m - 1)[:m])
        slopes, weight = _slopes(objective, point)
        slope = slopes.mean(axis=1, dtype=np.float64)
        slope = slope if weight is None else slope * weight
        self.rho = float(slope.sum() / (len(slope) if weight is None else weight.sum() + TINY))
        every = np.zeros(rows.n)
        every[:: -(-rows.n // len(slope))] = slope
        variance, S = rows.second_moments(every, self.columns, BLOCK_ROWS * m, BLOCK_COST)
        self.variance = np.append(np.maximum(variance, LEAST_VARIANCE), np.ones(int(rows.intercept)))
        diagonal = np.einsum("jj->j", S)
        damping = DAMPING * diagonal.mean() + TINY
        while True:
            diagonal += damping
            M = self.rho * S
            np.einsum("jj->j", M)[:] += strength[self.columns]
            L, failed = lapack.dpotrf(M, lower=1, clean=1)
            if not failed:
                break
            damping *= 10
        reduced, _ = lapack.dsygst(S, L, lower=1)
        self.spread, vectors = np.linalg.eigh(reduced)
        self.T = blas.dtrsm(1.0, L, vectors, lower=1, trans_a=1)

    def solve(self, G, rho):
        """The rows of G (k, m), each times the inverse for its rho (k,)."""
        scaled = (G @ self.T) / np.maximum(1 + np.outer(rho - self.rho, self.spread), LEAST)
        return scaled @ self.T.T
