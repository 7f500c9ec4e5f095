"""Wide data: minima over the span of the gradients so far, few of which come near the optimum.

Where every coefficient is penalised, the optimum and all gradients are T'U P^-1 of some multipliers T (n, k) of the
rows, P = diag(alpha p).  With directions B (m, d), B P B' = I, whose logits are M = U B' (n, m), W = V B has

    F(W) = mean loss(V M') + 1/2 ||V||^2,

a problem of m features.  Its solution costs little beside the trip over X that takes new directions, and makes more of
them than L-BFGS, whose curvature is out of date once probabilities have moved.

Each trip takes two directions a class, for little more than one: the gradient, of multipliers T, which also proves how
near the optimum is, and that of T / (1 + kappa slopes), kappa the mean of u' P^-1 u: a Newton step of rows that are
orthogonal.  The one serves where rows depend on each other, the other where their slopes lie far apart.

Trips over X in float64 wait for memory, and directions need no more than float32: they are taken from a copy, and X is
looked at where that promises a proof.
"""

from functools import partial

import numpy as np
from scipy.linalg import lapack

from fastlr.model.duality import intercept_step
from fastlr.model.exact_bound import exact_bound, promised_exactly
from fastlr.model.hessian import mean_slopes
from fastlr.model.line import Point
from fastlr.model.memory import KEPT_VALUES
from fastlr.model.objective import Objective
from fastlr.solvers.line_search import DECREASE
from fastlr.solvers.state import Progress

SHARE = 2  # rows for each direction
EXACTNESS = 0.1  # part of tol that the problem of the directions is solved to
LEAST_TOL = 1e-5  # that float32's logits tell
BALANCED = 2  # Newton steps of the intercept that follow
SHORTEST = 1e-6  # of a Newton step
RESOLVED = 1e-10  # of a direction's square: what is left of others is rounding


def minimise_over_gradients(objective, progress, solve):
    """Minimise from the point of `progress` until directions are too many.

    solve(objective, v, progress) minimises the problem of the directions from v.
    """
    try:
        _minimise(objective, progress, _Span(objective, progress, solve))
    finally:
        if progress.point.grad is None:  # its value is that of a copy
            progress.see(objective.at(progress.point.w))


def _minimise(objective, progress, span):
    grad, others = objective.matrix(progress.point.grad), np.zeros((0, objective.rows.d))
    while not progress.stop() and span.add(grad, others):
        W, grad, others = span.minimum()
        point = Point(W.ravel(), span.value, grad.ravel())
        if span.is_copy:
            progress.keep(point.w, point.value, 0.0)
            promised, look = objective.promised_bound(point), objective.at
        else:
            progress.see(point)
            promised, look = promised_exactly(objective, point), partial(_exactly, objective, progress)
        if progress.suboptimality > progress.tol and point.value - promised <= progress.tol * promised:
            progress.see(look(point.w))


def _exactly(objective, progress, w):
    """The Point w in float64, whose bound is taken note of."""
    point, bound = exact_bound(objective, w)
    progress.see_bound(bound)
    return point


class _Span:
    """The directions, and the minimum of F over them."""

    def __init__(self, objective, progress, solve):
        rows, W = objective.rows, objective.matrix(progress.point.w)
        n, d, k = rows.n, rows.d, rows.k
        self.objective, self.rows, self.progress, self.solve = objective, rows, progress, solve
        self.strength, is_constant = objective.penalty.strength[:d], objective.coordinates.is_constant
        self.inverse = np.divide(1.0, self.strength, out=np.zeros(d), where=~is_constant)
        self.kappa = float(self.inverse.sum())
        self.share = (np.ones(n) if rows.weight is None else rows.weight)[:, None] / rows.total_weight
        copied = rows.in_float32() if progress.tol >= LEAST_TOL else None
        self.is_copy, self.seen = copied is not None, rows if copied is None else copied
        self.exact = rows.with_features(np.zeros((n, 1)), slice(None))  # targets and offsets in float64
        self.B, self.M, self.T = np.zeros((0, d)), np.zeros((n, 0)), np.zeros((n, 0))
        self.V, self.b = np.zeros((k, 0)), W[:, d] if rows.intercept else np.zeros(k)
        self.value = progress.value
        if W[:, :d].any():
            self._take(W[:, :d], np.zeros((n, k)))
            self.V = (W[:, :d] * self.strength) @ self.B.T
        _, self.R, self.slopes = self._at(self.V, self.b)

    def add(self, grad, others):
        """Take the gradient (k, D) at the minimum and what else `minimum` found; whether there was something new."""
        T = self.T @ self.V.T + self.R
        T = T if not len(others) else np.column_stack([T, T / (1 + self.kappa * self.slopes)])
        return self._take(-np.vstack([grad[:, : self.rows.d], others]) * self.inverse, -T)

    def minimum(self):
        """W (k, D) of the minimum, its gradient, and the gradients (k, d) of orthogonal rows' multipliers."""
        self._newton() if self.rows.k == 1 else self._minimise()
        k, d = self.rows.k, self.rows.d
        T = (self.T @ self.V.T + self.R) / (1 + self.kappa * self.slopes)
        G = self.seen.outer(np.column_stack([self.R, T]))
        if self.is_copy:
            self.rows.n_passes += self.seen.n_passes
            self.seen.n_passes = 0.0
        W = np.column_stack([self.V @ self.B, self.b][: 1 + self.rows.intercept])
        return W, G[:k] + self.objective.penalty.gradient(W), G[k:, :d]

    def _take(self, D, T):
        """Take directions D (p, d) of multipliers T (n, p), or what is new of them, if anything."""
        before = np.einsum("cj,j,cj->c", D, self.strength, D).max()
        if not np.isfinite(before):
            return False
        for _ in range(2):  # what the first time leaves is rounding
            C = (D * self.strength) @ self.B.T
            D, T = D - C @ self.B, T - self.T @ C.T
        squares, axes = np.linalg.eigh((D * self.strength) @ D.T)
        is_new = squares > RESOLVED * before
        axes = axes[:, is_new] / np.sqrt(squares[is_new])
        if not is_new.any() or len(self.B) + axes.shape[1] > min(self.rows.n // SHARE, KEPT_VALUES // self.rows.d):
            return False
        D = axes.T @ D
        padded = np.zeros((self.rows.D, len(D)))
        padded[: self.rows.d] = D.T
        M = self.seen.project(padded)
        M[self.share[:, 0] == 0] = 0.0  # rows without a weight may hold anything
        self.M = np.column_stack([self.M, M])
        self.B, self.T = np.vstack([self.B, D]), np.column_stack([self.T, T @ axes])
        self.V = np.column_stack([self.V, np.zeros((len(self.V), len(D)))])
        return True

    def _at(self, V, b):
        """The mean loss at V (k, m) and b (k,), and the rows' residuals and slopes (n, k), their shares of the mean."""
        Z, A = self._logits(V, b)
        slopes = np.ones_like(Z) if self.rows.loss == "squared_error" else A * (1 - A)
        loss = self.exact.residuals(Z, slice(None)) / self.rows.total_weight
        return loss, Z / self.rows.total_weight, self.share * slopes

    def _logits(self, V, b):
        """Logits (n, k) and activations."""
        Z = self.M @ V.T + b
        if self.exact.offset is not None:
            Z += self.exact.offset
        return Z, self.exact.activations(Z.copy())

    def _minimise(self):
        """The minimum for several logits."""
        part = Objective(self.rows.with_features(self.M, slice(None)), alpha=1.0)
        inner = Progress(part, EXACTNESS * self.progress.tol, self.progress.max_iter, None, self.progress.deadline)
        self.solve(part, part.start(self.V, self.b), inner)
        self.V, self.b = part.coefficients(inner.point.w)
        for _ in range(BALANCED if self.rows.intercept else 0):  # what is left of its gradient loosens bounds
            A = self._logits(self.V, self.b)[1]
            slopes = mean_slopes(self.exact, lambda part, A=A: A[part])
            self.b = self.b + intercept_step(slopes, self._at(self.V, self.b)[1].sum(axis=0), self.rows.loss)
        loss, self.R, self.slopes = self._at(self.V, self.b)
        self.value = loss + 0.5 * float(np.vdot(self.V, self.V))

    def _newton(self):
        """The minimum for one logit: a last step is taken where it hardly matters, and balances the intercept."""
        m, n_free = self.M.shape[1], int(self.rows.intercept)
        U = np.column_stack([self.M, np.ones((self.rows.n, n_free))])
        ridge = np.append(np.ones(m), np.zeros(n_free))

        def at(v):
            V, b = v[None, :m], np.array([v[m:].sum()])
            loss, R, slopes = self._at(V, b)
            return loss + 0.5 * float(v[:m] @ v[:m]), v, V, b, R, slopes

        found, decrement = at(np.append(self.V, self.b[:n_free])), np.inf
        while decrement > EXACTNESS * self.progress.tol * found[0]:
            value, v, *_, R, slopes = found
            grad = U.T @ R[:, 0] + ridge * v
            step, failed = lapack.dposv((U * slopes).T @ U + np.diag(ridge), grad)[1:]
            decrement, t = float(grad @ step), 1.0
            if failed or not decrement > 0:
                break
            while not (found := at(v - t * step))[0] <= value - DECREASE * t * decrement and t > SHORTEST:
                t /= 2
        self.value, _, self.V, self.b, self.R, self.slopes = found
