"""Wide data: minima over the span of the gradients so far, few of which come near the optimum.

Where every coefficient is penalised, the optimum and all gradients are T'U P^-1 of some multipliers T (n, k) of the
rows, P = diag(alpha p).  With directions B (m, d), B P B' = I, whose logits are M = U B' (n, m), W = V B has

    F(W) = mean loss(V M') + 1/2 ||V||^2,

a problem of m features.  Its solution costs little beside the two half passes of another direction, and makes more of
the directions than L-BFGS, whose curvature is out of date once probabilities have moved.

Directions are in turn the gradient, which also proves how near the optimum is, and T / (1 + kappa slopes), T being the
gradient's multipliers and kappa the mean of u' P^-1 u: a Newton step of rows that are orthogonal.  The one serves
where rows depend on each other, the other where their slopes lie far apart.
"""

import numpy as np

from fastlr.model.line import Point
from fastlr.model.objective import Objective
from fastlr.solvers.state import Progress

SHARE = 4  # rows for each direction
EXACTNESS = 0.1  # part of tol that the problem of the directions is solved to
RESOLVED = 1e-10  # of a direction's square, that is not in the span but for rounding


def minimise_over_gradients(objective, progress, n_passes, solve):
    """Minimise from the point of `progress` for about so many passes, or until directions are too many.

    solve(objective, v, progress) minimises the problem of the directions from v.
    """
    span, limit = _Span(objective, progress, solve), objective.n_passes + n_passes
    point = progress.point
    while not progress.stop() and objective.n_passes < limit:
        if not span.follow_gradient(objective.matrix(point.grad)) or not span.follow_rows():
            return
        point = span.point()
        progress.see(point)


class _Span:
    def __init__(self, objective, progress, solve):
        rows, W = objective.rows, objective.matrix(progress.point.w)
        n, d, k = rows.n, rows.d, rows.k
        self.objective, self.rows, self.progress, self.solve = objective, rows, progress, solve
        self.strength, is_constant = objective.penalty.strength[:d], objective.coordinates.is_constant
        self.inverse = np.divide(1.0, self.strength, out=np.zeros(d), where=~is_constant)
        self.kappa = float(self.inverse.sum())
        self.share = (np.ones(n) if rows.weight is None else rows.weight)[:, None] / rows.total_weight
        self.Y = rows.targets()
        self.B, self.M, self.T = np.zeros((0, d)), np.zeros((n, 0)), np.zeros((n, 0))
        self.V, self.b = np.zeros((k, 0)), W[:, d] if rows.intercept else np.zeros(k)
        if W[:, :d].any():
            self._add(W[:, :d], np.zeros((n, k)))
            self.V = (W[:, :d] * self.strength) @ self.B.T
        self._see_rows()

    def follow_gradient(self, G):
        """Take the gradient (k, D) at W to the directions and go to the minimum; whether there was something new."""
        return self._add(-G[:, : self.rows.d] * self.inverse, self.T @ self.V.T + self.R) and self._minimise()

    def follow_rows(self):
        """The same with what the rows' multipliers would be if they were orthogonal."""
        T = (self.T @ self.V.T + self.R) / (1 + self.kappa * self.share * self.slopes)
        return self._add(-self._combined(T)[:, : self.rows.d] * self.inverse, T) and self._minimise()

    def point(self):
        """The Point W, with its gradient."""
        W, G = np.column_stack([self.V @ self.B, self.b][: 1 + self.rows.intercept]), self._combined(self.R)
        return Point(W.ravel(), self.value, (G + self.objective.penalty.gradient(W)).ravel())

    def _combined(self, T):
        return self.rows.outer(T)

    def _see_rows(self):
        rows, Z = self.rows, self.M @ self.V.T + self.b
        A = rows.activations(Z if rows.offset is None else Z + rows.offset)
        self.R = self.share * (A - self.Y)
        self.slopes = np.ones_like(A) if rows.loss == "squared_error" else A * (1 - A)

    def _add(self, D, T):
        """Take the part of directions D (k, d), of multipliers -T, that is new."""
        T, before = -T, np.einsum("cj,j,cj->c", D, self.strength, D).max()
        for _ in range(2):  # what the first time leaves is rounding
            C = (D * self.strength) @ self.B.T
            D, T = D - C @ self.B, T - self.T @ C.T
        squares, axes = np.linalg.eigh((D * self.strength) @ D.T)
        axes = (axes / np.sqrt(np.abs(squares)))[:, squares > RESOLVED * before]
        if not axes.size or self.B.shape[0] + axes.shape[1] > self.rows.n // SHARE:
            return False
        D = axes.T @ D
        padded = np.zeros((self.rows.D, len(D)))
        padded[: self.rows.d] = D.T
        self.M = np.column_stack([self.M, self.rows.project(padded)])
        self.B, self.T = np.vstack([self.B, D]), np.column_stack([self.T, T @ axes])
        return True

    def _minimise(self):
        part = Objective(self.rows.with_features(self.M, slice(None)), alpha=1.0)
        V = np.zeros((self.rows.k, self.M.shape[1]))
        V[:, : self.V.shape[1]] = self.V
        inner = Progress(part, EXACTNESS * self.progress.tol, self.progress.max_iter, None, self.progress.deadline)
        self.solve(part, part.start(V, self.b), inner)
        self.V, self.b = part.coefficients(inner.point.w)
        self.value = inner.value
        self._see_rows()
        return True
