"""The fits of some training rows along C: what is known of their solutions, and what that proves of others.

As a function of alpha = 1 / (C s) the optimal value is a minimum of straight lines, mean loss + alpha times the penalty
of a model: it is concave. So the chord between bounds at two values of alpha is a bound between them, and any model's
value is known at every alpha. Where the two are within the tolerance, a solution serves a second C for no pass.
"""

from dataclasses import dataclass

import numpy as np

from fastlr._runtime.threads import blas_limit
from fastlr._verdict import finished, proved_suboptimality
from fastlr.model.leave_one_out import leave_one_out
from fastlr.model.line import Point
from fastlr.model.memory import KEPT_VALUES
from fastlr.model.rows_folds import logits_of


@dataclass(frozen=True, eq=False)
class Model:
    """A solution.

    Attributes
    ----------
    W : ndarray (k, D)
        In the user's coordinates, the intercepts in a last column if there are any.
    value, suboptimality : float
        F, and a proved bound of (F - F*) / F*.
    n_iter : int
        Points that were looked at.
    message : str
    """

    W: np.ndarray
    value: float
    suboptimality: float
    n_iter: int
    message: str


@dataclass(frozen=True, eq=False)
class Known:
    """A solution w with its mean loss, the bound of its F, the gradient (k, D) of its mean loss, and its Model's W."""

    w: np.ndarray
    loss: float
    lower_bound: float
    grad: np.ndarray
    W: np.ndarray


class Member:
    """The fits of some training rows along C.

    Parameters
    ----------
    objective : Objective
        At C0.
    C0 : float
    fold : Fold or None
        None for all rows.
    """

    def __init__(self, objective, C0, fold=None):
        self.objective, self.C0, self.fold = objective, C0, fold
        self.models, self.solved = {}, []
        self.differs, self.keeps_all = 0.0, False
        self._known, self._held_out = {}, []

    def at(self, C):
        """The objective at C."""
        return self.objective.penalised(self.C0 / C)

    def parts(self, C):
        """Coefficients (k, d) and intercept (k,) of the model at C."""
        W, d = self.models[C].W, self.objective.rows.d
        return W[:, :d].copy(), W[:, d].copy() if self.objective.rows.intercept else np.zeros(len(W))

    def known(self, C):
        """The solutions at the nearest values of C, below and above, as Points of the objective at C."""
        objective, points = self.at(C), []
        below, above = [c for c in self._known if c <= C], [c for c in self._known if c > C]
        for c in ([max(below)] if below else []) + ([min(above)] if above else []):
            known = self._known[c]
            W = objective.matrix(known.w)
            value, grad = known.loss + objective.penalty.value(W), known.grad + objective.penalty.gradient(W)
            points.append(Point(known.w, value, grad.ravel()))
        return points

    def bound(self, C):
        """A number that the optimal value at C cannot be below: as a function of alpha = 1 / (C s) it is concave."""
        below, above = [c for c in self._known if c <= C], [c for c in self._known if c > C]
        if not below or not above:
            return 0.0
        low, high = max(below), min(above)
        part = (1 / C - 1 / high) / (1 / low - 1 / high)
        return part * self._known[low].lower_bound + (1 - part) * self._known[high].lower_bound

    def keep(self, C, objective, result, point):
        """Take note of the solution at C, and of its Point if there is one."""
        w, penalty = objective.without_constants(result.w), objective.penalty
        value = float(result.value) + penalty.value(objective.matrix(w)) - penalty.value(objective.matrix(result.w))
        coef, intercept, value = finished(objective, w, value)
        gap = proved_suboptimality(value, result.lower_bound, objective.value_error(result.w))
        same = next((known for known in self._known.values() if known.w is result.w), None)
        if same is None:
            W = np.column_stack([coef, intercept]) if objective.rows.intercept else coef
            self.solved.append(C)
        else:
            W = same.W
        self.models[C] = Model(W, value, gap, result.n_iter + 1, result.message)
        if not self.keeps_all:
            self._known.clear()
        if point is not None and point.grad is not None:
            V = objective.matrix(point.w)
            self._known[C] = Known(point.w, point.value - objective.penalty.value(V), result.lower_bound,
                                   objective.matrix(point.grad) - objective.penalty.gradient(V), W)
            if self.fold is not None and point.logits is not None:
                self._remember(W, point.logits[self.fold.test])

    def held_out_logits(self, C):
        """Logits (m, k) of the rows that are held out."""
        W = self.models[C].W
        known = next((Z for other, Z in self._held_out if W is other), None)
        if known is not None:
            return known
        w = self.objective.start(*self.parts(C))
        Z = logits_of(self.objective.rows, self.objective.matrix(w), self.fold.test)
        self._remember(W, Z)
        return Z

    def _remember(self, W, Z):
        """Keep the held-out logits of the last two models, unless they are large."""
        if self.objective.rows.n * self.objective.rows.k <= KEPT_VALUES:
            self._held_out = [*self._held_out[-1:], (W, Z)]


class LeaveOneOut(Member):
    """All rows, of which each is held out from the model that predicts it, nearly."""

    def held_out_logits(self, C):
        """Logits (n, k) of the rows."""
        objective = self.at(C)
        with blas_limit(), np.errstate(all="ignore"):
            return leave_one_out(objective, objective.start(*self.parts(C)))

    def _remember(self, W, Z):
        """Logits of the model of all rows are none of rows that are held out."""
