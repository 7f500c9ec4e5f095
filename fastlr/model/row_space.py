"""Wide data: a penalised problem of n rows and more features, as one of n features.

With every coefficient penalised, the optimum lies in the span of the rows: W = T U P^-1 for some T (k, n), P = diag
(alpha p), whatever the loss (the representer theorem, Kimeldorf and Wahba 1971).  With the kernel K = U P^-1 U' = L L'
the rows of L (n, n) serve as features in place of the rows of U: V = T L has the same logits, V L' = W U', and

    sum_j alpha p_j ||W_j||^2 = ||V||^2,

so that F(W) is mean loss + 1/2 ||V||^2, an objective of a square array.  The intercept is the same.
"""

import numpy as np
from scipy.linalg import lapack, solve_triangular

from fastlr.model.memory import KEPT_VALUES
from fastlr.model.objective import Objective

JITTER = 8  # sqrt(n) epsilons of K's largest diagonal entry: what rounding may have taken from its eigenvalues
LEAST_EPS = 1e-12  # so that what is left of centred rows' sum, which K knows nothing of, is not blown up


def is_wide(objective):
    """Whether the span of the rows is smaller than the features' space, and K can be kept."""
    rows = objective.rows
    has_kernel = rows.is_at_hand and not rows.is_sparse
    return has_kernel and rows.n < rows.d and 2 * rows.n**2 <= KEPT_VALUES and objective.has_dual


class RowSpace:
    """The problem in the span of its rows.

    Attributes
    ----------
    objective : Objective
        mean loss + 1/2 ||V||^2.
    """

    def __init__(self, objective):
        self.whole = objective
        rows, d = objective.rows, objective.rows.d
        strength = objective.penalty.strength[:d]
        self.inverse = np.divide(1.0, strength, out=np.zeros(d), where=strength > 0)
        # rows without weight would leave directions that no loss holds
        self.part = np.arange(rows.n) if rows.weight is None else np.flatnonzero(rows.weight)
        K = rows.kernel(self.inverse)
        self.L = _factor(K if len(self.part) == rows.n else K[np.ix_(self.part, self.part)], objective.resolution)
        self.objective = Objective(rows.with_features(self.L, self.part), alpha=1.0)

    def project(self, w):
        """The point of this problem that has the logits of w of the whole one, if that lies in the span of the rows."""
        W, d = self.whole.matrix(w), len(self.inverse)
        T = W.T.copy()
        T[d:] = 0.0
        b = W[:, d] if self.whole.rows.intercept else np.zeros(len(W))
        return self.objective.start(self._solve(self.whole.rows.project(T)), b)

    def expand(self, v):
        """w of the whole problem from v of this one, a linear map."""
        return self._up(*self.objective.coefficients(v))

    def restrict(self, grad):
        """The gradient (size,) in this problem's coordinates of one of the whole problem, from the span of the rows."""
        rows, d = self.whole.rows, len(self.inverse)
        G = self.whole.matrix(grad)
        T = np.zeros((rows.D, rows.k))
        T[:d] = (G[:, :d] * self.inverse).T
        V = self._solve(rows.project(T))
        g = G[:, d] if rows.intercept else np.zeros(rows.k)
        return self.objective.coordinates.gradient_of(V, g).ravel()

    def _solve(self, Z):
        """V (k, m) with L V' = Z, of Z (n, k) the m rows that weigh."""
        return solve_triangular(self.L, Z[self.part].astype(np.float64), lower=True, check_finite=False).T

    def _up(self, V, c):
        T = np.zeros((self.whole.rows.n, len(V)))
        T[self.part] = solve_triangular(self.L, V.T, lower=True, trans="T", check_finite=False)
        W = self.whole.rows.outer(T)
        W[:, : len(self.inverse)] *= self.inverse
        if self.whole.rows.intercept:
            W[:, -1] = c
        return W.ravel()


def _factor(K, eps):
    """L (n, n) with L L' = K, of its lower triangle, but for what rounding of entries to eps may have cost."""
    diagonal = np.einsum("ii->i", K)
    jitter = JITTER * np.sqrt(len(K)) * max(eps, LEAST_EPS) * diagonal.max() + np.finfo(float).tiny
    while True:
        diagonal += jitter
        L, failed = lapack.dpotrf(K, lower=1, clean=1)
        if not failed:
            return np.ascontiguousarray(L)
        jitter *= 10
