"""Primal-dual Newton steps (primal_dual.py) of large problems: their systems are solved by conjugate gradients.

The probabilities' logits (n, k) are kept, and products with the Hessian start from them.  The preconditioner is the
class blocks at the same probabilities, from rows drawn in proportion to what they add to the most telling direction, q
sum_j u_j^2 / M_jj: rows that light rare features have to be among them.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastlr.certificate import probability_bound
from fastlr.curvature import Leverage
from fastlr.solvers import dual
from fastlr.solvers.metric import Metric
from fastlr.solvers.newton import conjugate_gradients

LEAST = 1e-2
CAP = 10.0
FIRST = np.log(1e-12)
MOST_STEPS = 40
MOST_VALUES = 1 << 25  # logits (n, k) that are kept
ROWS = 10  # rows a feature of each class block
DAMPING = 1e-5
ETA, ENOUGH, SHARE, CLOSE = 0.1, 0.3, 0.1, 0.1
_BLOCK = 1 << 16  # values of the probabilities that are worked on at a time
MOST_CG = 60


def growth(x):
    """1 + x, but at least LEAST, and 1 + x + x^2 / 2 where probabilities grow."""
    positive = np.clip(x, 0, CAP)
    return np.maximum(1 + x, LEAST) + 0.5 * positive * positive


def serves(objective):
    """Whether the method applies: all features penalised, all classes present, probabilities that can be kept."""
    rate = objective.base_rate
    return (
        objective.loss != "squared_error"
        and objective.alpha * objective.factors.min(initial=1.0) > 0
        and objective.n * objective.k <= MOST_VALUES
        and rate.min() > 0
        and (objective.loss == "softmax" or rate.max() < 1)
    )


def primal_dual_cg(objective, progress):
    """Minimise from the best point of `progress` until it is done, or for MOST_STEPS."""
    w = progress.w
    Z = objective.logits(w)
    p = _Probabilities(objective, Z)
    penalty = objective.by_class(np.zeros(objective.size))
    penalty[:, : objective.d] = objective.alpha * objective.factors
    penalty = objective.flat(penalty)
    held = penalty > 0
    leverage = None
    for step in range(MOST_STEPS):
        if step:
            Z = objective.logits(w)
            loss = p.follow(Z)
            if not np.isfinite(loss):
                break
            bound = p.bound()
            progress.keep(w, loss + 0.5 * float(np.sum(penalty * w * w)), bound)
            if progress.stop():
                return
        rhs = p.force(Z) - penalty * w
        Q = p.slopes()
        leverage = leverage or Leverage(objective, Q, ROWS * objective.d)
        blocks = leverage.blocks(Q)
        solve = Metric(objective, blocks, DAMPING, np.ones(objective.k)).solve
        small = ETA**2 * float(rhs @ solve(rhs))
        gap = progress.value - progress.lower_bound
        cheap = max(ENOUGH * progress.tol * progress.value, SHARE * gap) if gap < CLOSE * progress.value else np.inf

        def is_done(r, rz, small=small, cheap=cheap):
            return rz <= small and 0.5 * float(np.sum(r[held] ** 2 / penalty[held])) <= cheap

        w = w + conjugate_gradients(lambda v: objective.hessp_at(p.L, v), solve, rhs, is_done, MOST_CG)


class _Probabilities:
    def __init__(self, objective, Z):
        self.objective = objective
        m = max(1, _BLOCK // objective.k)
        self.parts = [slice(i, min(i + m, objective.n)) for i in range(0, objective.n, m)]
        self.L = np.empty_like(Z)

        def start(part):
            p = dual.rows(objective.loss, Z[part])
            if objective.loss == "softmax":
                self.L[part] = np.maximum(p.log, FIRST)
            else:
                self.L[part] = np.clip(Z[part], FIRST, -FIRST)

        self._map(start)
        self._G = None

    def _map(self, work):
        with ThreadPoolExecutor(self.objective.n_threads) as pool:
            return list(pool.map(work, self.parts))

    def _weight(self, part):
        return None if self.objective.weight is None else self.objective.weight[part]

    def _sums(self, part, p, Y):
        """g and J of a part."""
        weight = self._weight(part)
        R = p.p - Y
        return (R if weight is None else R * weight[:, None]).sum(axis=0), p.mean_slope(weight)

    def follow(self, Z):
        """p' from p; the mean loss at Z."""
        o = self.objective

        def work(part):
            Y, weight = o.dense_targets(part), self._weight(part)
            z = Z[part].astype(np.float64)
            losses = dual.rows(o.loss, z).losses(Y)
            p = dual.rows(o.loss, self.L[part])
            self.L[part] = p.moved(p.lag(z), growth)
            sums = self._sums(part, dual.rows(o.loss, self.L[part]), Y)
            return float((losses if weight is None else losses * weight).sum()), *sums

        found = self._map(work)
        loss, g, J = (sum(parts) for parts in zip(*found))
        for _ in range(2 if o.fit_intercept else 0):
            e = -np.linalg.pinv(J, rcond=1e-7, hermitian=True) @ g
            e /= max(1.0, 1.1 * np.ptp(e) if o.loss == "softmax" else 1.1 * np.abs(e).max())

            def shift(part):
                p = dual.rows(o.loss, self.L[part])
                self.L[part] = p.moved(p.shift(e), growth)
                return self._sums(part, dual.rows(o.loss, self.L[part]), o.dense_targets(part))

            g, J = (sum(parts) for parts in zip(*self._map(shift)))
        return loss / o.total_weight

    def bound(self):
        o = self.objective
        R = np.empty_like(self.L)

        def work(part):
            p, weight = dual.rows(o.loss, self.L[part]), self._weight(part)
            entropies, r = p.entropies(), p.p - o.dense_targets(part)
            if o.offset is not None:
                entropies += np.einsum("ij,ij->i", r, o.offset[part])
            R[part] = r if weight is None else r * weight[:, None]
            return float((entropies if weight is None else entropies * weight).sum())

        entropy = sum(self._map(work))
        self._G = G, g = o.mean_outer(R)
        return probability_bound(o, entropy / o.total_weight, G.copy(), g.copy() if o.fit_intercept else None)

    def force(self, Z):
        """-G - rest, flat."""
        o = self.objective
        R = np.empty_like(self.L)

        def work(part):
            p, weight = dual.rows(o.loss, self.L[part]), self._weight(part)
            r = p.times_slope(p.lag(Z[part].astype(np.float64)))
            if self._G is None:
                r += p.p - o.dense_targets(part)
            R[part] = r if weight is None else r * weight[:, None]

        self._map(work)
        G, g = o.mean_outer(R)
        if self._G is not None:
            G, g = G + self._G[0], g + self._G[1]
        return -o._join(G * o.total_weight, g * o.total_weight, 0.0)

    def slopes(self):
        """Weighted p (1 - p) (n, k) in the real type."""
        Q = np.empty_like(self.L)

        def work(part):
            weight, q = self._weight(part), dual.rows(self.objective.loss, self.L[part]).slopes()
            Q[part] = q if weight is None else q * weight[:, None]

        self._map(work)
        return Q
