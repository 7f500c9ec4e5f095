"""Sparse rows of many features: nothing is made of them but sums over their stored values.

Truncated Newton steps by conjugate gradients, each product one trip over the rows at kept logits, the length of the
step an exact search along kept logits.
"""

import numpy as np

from fastlr.solvers.lbfgs import Pairs, lbfgs
from fastlr.solvers.line_search import search

MAX_CG = 500  # products of a step
QUADRATIC = 0.5  # part of the mean gain of a product, at which the next one is not worth it


def run_sparse(objective, w, progress, solver):
    """Minimise from w, or from the constant model of the base rates where that is better."""
    if progress.max_iter == 0:
        progress.begin(np.zeros(objective.size) if w is None else w)
        progress.stop()
        return
    if w is not None:
        point = objective.at(w)
        w = w if point.value <= objective.constant_value() else None
    if w is None:
        progress.begin(objective.start())
    else:
        progress.see(point)
    progress.solver = "newton-cg" if solver == "auto" else solver
    if solver == "lbfgs":
        lbfgs(objective, progress, DiagonalMetric(objective, progress.point).solve, Pairs(), np.inf)
    else:
        truncated_newton(objective, progress)


class DiagonalMetric:
    """The Hessian's diagonal at a Point, but for what slopes have to do with features: variances of features are 1."""

    def __init__(self, objective, point):
        rows = objective.rows
        self.shape, self.centred = (rows.k, rows.D), rows.loss == "softmax"
        A = objective.activations(point)(slice(None))
        slopes = np.ones_like(A) if rows.loss == "squared_error" else A * (1 - A)
        self.diagonal = np.maximum(rows.mean(slopes), 1e-9)[:, None] + objective.penalty.strength

    def solve(self, grad):
        """The step M^-1 grad (size,)."""
        S = grad.reshape(self.shape) / self.diagonal
        if self.centred:  # a row added to all classes changes no probability
            S -= S.mean(axis=0)
        return S.ravel()


def truncated_newton(objective, progress):
    """Minimise from the best point of `progress`."""
    point = progress.point
    while not progress.stop():
        solve = DiagonalMetric(objective, point).solve
        found = search(objective, point, newton_step(objective, point, solve))
        if found is None:
            progress.stall()
            return
        progress.see(found)
        point = found


def newton_step(objective, point, solve):
    """A step s (size,) towards the minimum of g s + s' H s / 2, by conjugate gradients in the metric of `solve`.

    The j-th product is the last when j times what it gained is no more than a part of all that was gained: further ones
    are not worth it as long as the quadratic model is that of a point which is not the minimum (Nash and Sofer 1990,
    Assessing a search direction within a truncated-Newton method; Galli and Lin 2021, A study on truncated Newton
    methods for linear classification).
    """
    s, r = np.zeros(objective.size), -point.grad
    z = solve(r)
    p, rz, gain = z, float(r @ z), 0.0
    for j in range(1, MAX_CG + 1):
        Hp = objective.hessp(point, p)
        curvature = float(p @ Hp)
        if not (rz > 0 and curvature > objective.resolution * float(np.linalg.norm(p) * np.linalg.norm(Hp))):
            break
        t = rz / curvature
        s += t * p
        r -= t * Hp
        last, rz = rz, None
        gained = 0.5 * t * last
        gain += gained
        if j * gained <= QUADRATIC * gain:
            break
        z = solve(r)
        rz = float(r @ z)
        if not rz > 0:
            break
        p = z + (rz / last) * p
    return s if s.any() else solve(-point.grad)
