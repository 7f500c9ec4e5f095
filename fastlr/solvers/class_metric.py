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
from fastlr.model.model_blocks import threads_for
from fastlr.model.numerics import TINY_SINGLE
from fastlr.model.sample_size import CLASS_ROWS, FEATURE_ROWS, SAMPLE_STEP
from fastlr.solvers.block_metric import SAMPLED, WHOLE

INTERCEPT = 0.01  # variance that stands for the intercept's, which is 0
_PARTS = (1.0, 1 / 8, 1 / 64)  # of the constant model's curvature, tried for the first point
_TRIAL_ROWS = 256  # that choose among them
_POWER = 4.0  # between the rho whose inverses are made
LEAST = 1e-9  # of the largest rho, and what of it a penalty may outweigh
CLASSES, _COLUMNS = 16, 256  # treated at a time, whatever the threads


class Covariance:
    """S of an objective's features, and products with inverses of S + alpha P / rho.

    Attributes
    ----------
    gram : ndarray (D, D) or None
        Mean of u u', where S is made of it.
    """

    def __init__(self, objective):
        rows = objective.rows
        self.penalty, self.n_threads, self.inverses = objective.penalty.strength, rows.n_threads, {}
        self.curvature = (_FewRows if rows.D**2 > 2 * KEPT_VALUES else _Gram)(rows)
        self.gram = self.curvature.gram

    def solver(self, rho):
        """A function that makes (S + alpha P / rho_c)^-1 G_c for each row of G (k, D), in float32."""
        power = np.round(np.log(rho) / np.log(_POWER)).astype(int)
        powers, largest = np.unique(power), KEPT_VALUES // (self.curvature.n_values + 1)
        if len(powers) > max(1, largest):  # they would not fit into the memory there is
            power[:] = powers = [int(np.round(np.log(rho.mean()) / np.log(_POWER)))]
        lacking = [e for e in powers if e not in self.inverses]

        def make(i):
            e = lacking[i]
            self.inverses[e] = self.curvature.inverse(np.minimum(self.penalty / _POWER**e, 1 / LEAST**2))

        _core.parallel_for(make, len(lacking), self.n_threads)
        parts = []
        for e in powers:
            classes = np.flatnonzero(power == e)
            parts += [(classes[i : i + CLASSES], self.inverses[e]) for i in range(0, len(classes), CLASSES)]
        n_threads = threads_for(len(rho) * len(self.penalty) ** 2, self.n_threads)

        def solve(G):
            solved = np.empty(G.shape, np.float32)

            def solve_part(i):
                classes, inverse = parts[i]
                solved[classes] = inverse(G[classes])

            _core.parallel_for(solve_part, len(parts), n_threads)
            return solved

        return solve


class _Gram:
    """S as a matrix."""

    def __init__(self, rows):
        step = max(1, rows.n // (FEATURE_ROWS * rows.d))
        self.gram = mean_gram(rows, slice(None, None, step))
        mean = self.gram[-1] * rows.intercept
        self.S = self.gram - np.outer(mean, mean)
        diagonal = np.einsum("jj->j", self.S)
        diagonal += (WHOLE if step == 1 else SAMPLED) * diagonal.mean() + TINY_SINGLE
        if rows.intercept:
            diagonal[-1] = INTERCEPT
        self.n_values, self.n_threads = self.S.size, rows.n_threads

    def inverse(self, penalty):
        """The product of rows (m, D) with (S + diag(penalty))^-1."""
        diagonal = self.S.diagonal() + penalty
        M = self.S.astype(np.float32).T  # symmetric, and in the order that LAPACK likes
        np.einsum("jj->j", M)[:] = diagonal
        L, failed = lapack.spotrf(M, lower=1, clean=1, overwrite_a=1)
        if failed:
            M = self.S.copy()
            np.einsum("jj->j", M)[:] = diagonal
            L = lapack.dpotrf(M, lower=1, clean=1)[0].astype(np.float32)
        inverse, _ = lapack.spotri(L, lower=1, overwrite_c=1)
        diagonal = inverse.diagonal().copy()
        inverse = inverse + inverse.T
        np.einsum("jj->j", inverse)[:] = diagonal
        parts = [slice(i, i + _COLUMNS) for i in range(0, len(inverse), _COLUMNS)]

        def product(G):
            solved = np.empty(G.shape, np.float32)
            n_threads = threads_for(len(G) * inverse.size, self.n_threads)
            _core.parallel_for(lambda i: np.matmul(G, inverse[:, parts[i]], out=solved[:, parts[i]]), len(parts),
                               n_threads)
            return solved

        return product


class _FewRows:
    """S as the mean of u u' of a few rows and a diagonal, inverted in the space of these m rows.

    With U (m, D) the rows, each over the root of m, and a diagonal Q of penalty and damping, Woodbury's identity

        (Q + U'U)^-1 = Q^-1 - Q^-1 U' (1 + U Q^-1 U')^-1 U Q^-1

    takes memory in proportion to m D in place of D^2.
    """

    gram = None

    def __init__(self, rows):
        m = max(1, min(rows.n // SAMPLE_STEP, KEPT_VALUES // (4 * rows.D)))
        self.U = rows.features(slice(None, None, -(-rows.n // m)), np.float32)
        self.U -= self.U.mean(axis=0) * rows.intercept
        self.U /= np.float32(np.sqrt(len(self.U)))
        own = np.einsum("ij,ij->j", self.U, self.U)
        self.damping = SAMPLED * own.mean() + np.maximum(1 - own, 0) + TINY_SINGLE
        if rows.intercept:
            self.damping[-1] = INTERCEPT
        self.n_values = len(self.U) ** 2

    def inverse(self, penalty):
        """As of `_Gram`."""
        U, inverse = self.U, (1 / (self.damping + penalty)).astype(np.float32)
        inner = lapack.spotrf(np.eye(len(U), dtype=np.float32) + (U * inverse) @ U.T, lower=1)[0]

        def product(G):
            own = G * inverse
            T = lapack.spotrs(inner, U @ own.T, lower=1)[0]
            return own - (T.T @ U) * inverse

        return product


class ClassMetric:
    """The metric at a Point."""

    def __init__(self, objective, covariance, point):
        rows = objective.rows
        self.shape, self.centred = (rows.k, rows.D), rows.loss == "softmax"
        step = max(1, rows.n // (CLASS_ROWS * rows.k))
        rho, mean = weighted_means(rows, objective.activations(point), step)
        self.rho = np.maximum(rho, LEAST * rho.max() + TINY_SINGLE)
        self.mean = mean.astype(np.float32)
        self.by_covariance = covariance.solver(self.rho)
        self.tilted = self.by_covariance(self.mean)
        self.inner = 1 + np.einsum("cj,cj->c", self.mean, self.tilted, dtype=np.float64)

    def solve(self, grad):
        """The step M^-1 grad (size,)."""
        G = grad.reshape(self.shape) / self.rho[:, None]
        size = np.abs(G).max() + TINY_SINGLE
        S = self.by_covariance((G / size).astype(np.float32))
        along = np.einsum("cj,cj->c", self.mean, S, dtype=np.float64) / self.inner
        S = size * (S - along[:, None] * self.tilted)
        if self.centred:  # a row added to all classes changes no probability
            S -= S.mean(axis=0)
        return S.ravel()


def first_point(objective, covariance, constant):
    """A point about as good as linear discriminants, from the Point of the constant model.

    It is t times -(alpha P + part rho S)^-1 grad, with the part and the t that serve a few hundred rows best.
    """
    rows, grad = objective.rows, objective.matrix(constant.grad)
    rate = np.clip(rows.base_rate, 1e-6, 1 - 1e-6)
    rho = rate * (1 - rate) if rows.loss != "squared_error" else np.ones(rows.k)
    few = slice(None, None, max(1, rows.n // _TRIAL_ROWS))
    Z = rows.logits(objective.matrix(constant.w), few)
    total = len(Z) if rows.weight is None else float(rows.weight[few].sum()) + TINY_SINGLE

    def trial(i):
        part = _PARTS[i]
        G = grad / -(part * rho)[:, None]
        size = np.abs(G).max() + TINY_SINGLE
        W = size * covariance.solver(part * rho)((G / size).astype(np.float32)).astype(np.float64)
        W -= W.mean(axis=0) * (rows.loss == "softmax")
        along, penalty = rows.logits(W, few, with_offset=False, n_threads=1), objective.penalty.value(W)

        def value(log_t):
            t = np.exp(log_t)
            return rows.residuals(Z + Z.dtype.type(t) * along, few) / total + t * t * penalty

        found = minimize_scalar(value, bounds=(-9, 3), method="bounded", options={"xatol": 0.05, "maxiter": 12})
        return float(found.fun), np.exp(found.x) * W.ravel()

    trials = _core.parallel_for(trial, len(_PARTS), rows.n_threads)
    rows.n_passes += 0.5 * len(_PARTS) * len(Z) / rows.n
    return constant.w + min(trials, key=lambda found: found[0] if np.isfinite(found[0]) else np.inf)[1]
