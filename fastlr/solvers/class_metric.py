"""A metric for any number of classes: one covariance of the features for all, and where the rows of each class weigh.

The class block of the Hessian is a mean over the rows with weights q_ic, the slopes of the activations:

    H_c = mean_i q_ic u_i u_i' = rho_c (S_c + m_c m_c')        rho_c the mean weight, m_c and S_c mean and covariance

of the features under it.  Logits are linear, so that q_c tilts the distribution of the features as an exponential of
a linear function does: of normal features that moves the mean and leaves the covariance as it is.  One S serves all
classes, then, and rho_c and m_c (k, D) cost half a pass over some rows:

    M_c = rho_c (S + m_c m_c') + alpha P

is inverted by Sherman and Morrison's formula from inverses of S + alpha P / rho, for a few rho.
"""

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize_scalar

from fastlr import _core
from fastlr.model.hessian import mean_gram, weighted_means
from fastlr.model.memory import KEPT_VALUES

COVARIANCE_ROWS = 8  # a feature, of S
DAMPING = 0.15, 1e-3  # of S from some rows and from all, in units of its mean diagonal
INTERCEPT = 0.01  # variance that stands for none
CLASS_ROWS = 64  # a class, of rho_c and m_c
STEP, MOST = 2, 12  # powers of two between the rho whose inverses are made, and how many there are at most
SPREADS = (1.0, 1 / 4, 1 / 16)
TRIAL_ROWS = 256
PART = 64  # classes treated at a time
_TINY = np.finfo(np.float32).tiny


class Covariance:
    """S (D, D), and the inverses of S + alpha P / rho."""

    def __init__(self, objective):
        rows = objective.rows
        step = max(1, rows.n // (COVARIANCE_ROWS * rows.d))
        self.penalty, self.n_threads, self.inverses = objective.penalty.strength, rows.n_threads, {}
        self.S = mean_gram(rows, slice(None, None, step))
        if rows.intercept:
            self.S -= np.outer(self.S[-1], self.S[-1])
        diagonal = np.einsum("jj->j", self.S)
        diagonal += DAMPING[step == 1] * diagonal.mean() + _TINY
        if rows.intercept:
            diagonal[-1] = INTERCEPT

    def solve(self, G, rho):
        """(S + alpha P / rho_c)^-1 times the row of G (k, D) for each c, in float32."""
        power = STEP * np.round(np.log2(rho) / STEP).astype(int)
        power = np.maximum(power, power.max() - STEP * (MOST - 1))
        parts = []
        for e in np.unique(power):
            if e not in self.inverses:
                self.inverses[e] = self._inverse(2.0**e)
            classes = np.flatnonzero(power == e)
            parts += [(classes[i : i + PART], self.inverses[e]) for i in range(0, len(classes), PART)]
        X = np.empty(G.shape, np.float32)

        def solve(i):
            classes, inverse = parts[i]
            X[classes] = G[classes] @ inverse

        _core.parallel_for(solve, len(parts), self.n_threads)
        return X

    def _inverse(self, rho):
        M = self.S.astype(np.float32, order="F")
        diagonal = np.einsum("jj->j", M)
        diagonal += self.penalty / rho
        L, failed = lapack.spotrf(M, lower=1, overwrite_a=1)
        if failed:
            M = self.S + np.diag(self.penalty / rho)
            return np.linalg.inv(M).astype(np.float32)
        inverse, _ = lapack.spotri(L, lower=1, overwrite_c=1)
        lower = np.tril(inverse, -1)
        return np.ascontiguousarray(inverse - np.triu(inverse, 1) + lower.T)


class ClassMetric:
    """The metric at a Point."""

    def __init__(self, covariance, objective, point):
        rows = objective.rows
        self.covariance, self.shape, self.centred = covariance, (rows.k, rows.D), rows.loss == "softmax"
        step = max(1, rows.n // (CLASS_ROWS * rows.k))
        rho, mean = weighted_means(rows, objective.activations(point), step)
        self.rho = np.maximum(rho, 1e-6 * rho.max() + _TINY)
        self.mean = mean.astype(np.float32)
        self.tilted = covariance.solve(self.mean, self.rho)
        self.inner = 1 + np.einsum("cj,cj->c", self.mean, self.tilted, dtype=np.float64)

    def solve(self, grad):
        """The step M^-1 grad (size,)."""
        G = grad.reshape(self.shape) / self.rho[:, None]
        size = np.abs(G).max() + _TINY
        X = self.covariance.solve((G / size).astype(np.float32), self.rho)
        along = np.einsum("cj,cj->c", self.mean, X, dtype=np.float64) / self.inner
        X -= along.astype(np.float32)[:, None] * self.tilted
        S = X * size
        if self.centred:
            S -= S.mean(axis=0)
        return S.ravel()


def first_point(objective, covariance):
    """The constant model, and a point about as good as linear discriminants.

    It is t steps along -(alpha P + part rho S)^-1 grad, with the part and the t that serve a few hundred rows best.
    """
    rows, constant = objective.rows, objective.constant_model()
    rate = np.clip(rows.base_rate, 1e-3, 1 - 1e-3)
    rho = np.ones(rows.k) if rows.loss == "squared_error" else rate * (1 - rate)
    few = slice(None, None, max(1, rows.n // TRIAL_ROWS))
    Z = rows.logits(objective.matrix(constant.w), few)
    total = len(Z) if rows.weight is None else max(float(rows.weight[few].sum()), _TINY)
    best, step = np.inf, None
    for part in SPREADS:
        W = covariance.solve((objective.matrix(constant.grad) / -(part * rho)[:, None]).astype(np.float32), part * rho).astype(float)
        if rows.loss == "softmax":
            W -= W.mean(axis=0)
        along, penalty = rows.logits(W, few, with_offset=False), objective.penalty.value(W)

        def value(t, along=along, penalty=penalty):
            R = Z + Z.dtype.type(np.exp(t)) * along
            return rows.residuals(R, few) / total + np.exp(2 * t) * penalty

        found = minimize_scalar(value, bounds=(-9, 3), method="bounded", options={"xatol": 0.05, "maxiter": 12})
        if found.fun < best:
            best, step, which = found.fun, np.exp(found.x) * W.ravel(), (part, found.x)
    return constant, constant.w + step
