"""Primal-dual Newton steps (primal_dual.py) of large problems: conjugate gradients solve their systems.

The logits L of the probabilities p (n, k) are kept, and products with the Hessian start from them.  The preconditioner
is the class blocks at p, from rows drawn in proportion to what they can add to it (`Leverage`): a residual in features
that few rows light costs the bound most, and those rows have to be among them.

A bound also wants the mean of p - y to be 0, and pays in first order for what the system's residual leaves of it:
before each, p goes the way J(p) e of the shift e of all rows' logits that makes it so.
"""

import numpy as np

from fastlr import _core
from fastlr.model.duality import probability_bound
from fastlr.model.hessian import Leverage
from fastlr.solvers import dual
from fastlr.solvers.newton import conjugate_gradients
from fastlr.solvers.preconditioner import Metric

FIRST = 1e-12  # probability at least, of the start
LEAST = 1e-2  # factor of a probability at least,
CAP = 10.0  # and x up to which probabilities that grow do so by 1 + x + x^2 / 2: one that was far too small catches up
ROWS = 10  # rows a feature of each class block
DAMPING = 1e-5
ETA = 0.1  # residual's norm, of the right side's in the metric
# What the residual may cost the bound, once F is within CLOSE of it: SHARE of the gap, or ENOUGH of tol where that is
# no more than REACH times as little
ENOUGH, SHARE, CLOSE, REACH = 0.8, 0.1, 0.1, 20.0
MOST_PRODUCTS = 60
MOST_STEPS = 40  # fewer than `progress` takes for a standstill: L-BFGS goes on
MOST_VALUES = 1 << 25  # logits (n, k) that are kept
_BLOCK_VALUES = 1 << 16  # logits that are worked on at a time


def primal_dual_cg(objective, progress):
    """Minimise from the best point of `progress` until it is done; after MOST_STEPS, `progress` has the gradient."""
    W = objective.by_class(progress.w)
    p = _Probabilities(objective)
    leverage = Leverage(objective, ROWS * objective.d)
    penalty = objective.strength

    noise = objective.resolution

    def product(v):
        return objective.hessp_at(p.L, v)

    for step in range(MOST_STEPS):
        Z = objective.logits(objective.flat(W))
        if step:
            p.follow(Z)
        else:
            p.start(Z)
        value, bound, Q, rhs = _system(objective, W, Z, p)
        if not np.isfinite(value):
            break
        progress.keep(objective.flat(W), value, bound)
        if progress.stop():
            return
        solve = Metric(objective, leverage.blocks(Q), DAMPING, np.ones(objective.k)).solve
        cheap = _allowance(progress)

        def is_done(r, size, start, cheap=cheap):
            cost = 0.5 * float(np.sum(objective.split(r)[0] ** 2 / penalty))
            return size <= ETA**2 * start and cost <= cheap

        W = W + objective.by_class(conjugate_gradients(product, solve, rhs, is_done, MOST_PRODUCTS, noise))
    progress.begin(progress.w)


def _allowance(progress):
    """What the residual of the next system may cost the bound: a share of the gap, or of tol where that is in reach."""
    gap = progress.value - progress.lower_bound
    if gap > CLOSE * progress.value:
        return np.inf
    enough = ENOUGH * progress.tol * progress.value
    return enough if SHARE * gap < REACH * enough else SHARE * gap


def _system(objective, W, Z, p):
    """F at W, whose logits are Z, the bound of p, the weighted slopes of p and the next right side."""
    loss, entropy, R, lag, Q = p.sums(Z)
    G = objective.mean_outer(R)
    g = G[:, objective.d] if objective.fit_intercept else None
    bound = probability_bound(objective, entropy / objective.total_weight, G[:, : objective.d], g)
    penalised = objective.penalised(W)
    value = loss / objective.total_weight + 0.5 * float(np.vdot(W, penalised))
    return value, bound, Q, objective.flat(-G - objective.mean_outer(lag) - penalised)


class _Probabilities:
    """p of all rows by their logits L (n, k) in the real type, worked on block by block on all threads."""

    def __init__(self, objective):
        self.objective = objective
        m = max(1, _BLOCK_VALUES // objective.k)
        self.parts = [slice(i, i + m) for i in range(0, objective.n, m)]
        self.L = np.empty((objective.n, objective.k), objective.problem.real)

    def _by_part(self, work):
        return _core.parallel_for(lambda i: work(self.parts[i]), len(self.parts), self.objective.n_threads)

    def _rows(self, part):
        """p, targets and weights of some rows."""
        o = self.objective
        weight = None if o.weight is None else o.weight[part]
        return dual.rows(o.loss, self.L[part]), o.dense_targets(part), weight

    def start(self, Z):
        """The model's probabilities at logits Z, but at least FIRST."""

        def work(part):
            self.L[part] = dual.rows(self.objective.loss, Z[part]).raised(FIRST)

        self._by_part(work)

    def follow(self, Z):
        """p' from p, the mean of p' - y made 0 but for terms of second order."""

        def work(part):
            self.L[part] = dual.rows(self.objective.loss, self.L[part]).following(Z[part], growth)
            return self._imbalance(part)

        found = self._by_part(work)
        if self.objective.fit_intercept:
            for _ in range(2):
                found = self._balance(*(sum(parts) for parts in zip(*found, strict=True)))

    def _imbalance(self, part):
        """Sums of p - y (k,) and of J(p) (k, k)."""
        p, Y, weight = self._rows(part)
        return _weighted(p.p - Y, weight).sum(axis=0), p.mean_slope(weight)

    def _balance(self, g, J):
        e = -np.linalg.pinv(J, rcond=1e-7, hermitian=True) @ g
        e /= max(1.0, 2.2 * np.abs(e).max())

        def work(part):
            self.L[part] = dual.rows(self.objective.loss, self.L[part]).moved(e, growth)
            return self._imbalance(part)

        return self._by_part(work)

    def sums(self, Z):
        """Sums of the losses at Z and of S*; weighted p - y, J(p) (Z - L) and p (1 - p) (n, k) in the real type."""
        offset = self.objective.offset
        results = np.empty((3, *self.L.shape), self.L.dtype)

        def work(part):
            p, Y, weight = self._rows(part)
            z = Z[part].astype(np.float64)
            residual = p.p - Y
            losses, entropies = dual.losses(self.objective.loss, z, Y), p.entropies()
            if offset is not None:
                entropies += np.einsum("ij,ij->i", residual, offset[part])
            for result, values in zip(results, (residual, p.lag(z), p.slopes()), strict=True):
                result[part] = _weighted(values, weight)
            return float(_weighted(losses, weight).sum()), float(_weighted(entropies, weight).sum())

        loss, entropy = (sum(parts) for parts in zip(*self._by_part(work), strict=True))
        return loss, entropy, *results


def growth(x):
    """1 + x, but at least LEAST, and x^2 / 2 more where x is positive, up to CAP."""
    return np.maximum(1 + x, LEAST) + 0.5 * np.clip(x, 0, CAP) ** 2


def _weighted(values, weight):
    """Rows, or one value of each, times their weights."""
    return values if weight is None else (values.T * weight).T
