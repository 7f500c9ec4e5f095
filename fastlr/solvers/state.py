"""What every solver keeps: the best point, the best bound, and whether it is time to stop; what it returns."""

import math
import time
from dataclasses import dataclass

import numpy as np

from fastlr.model.line import Point
from fastlr.model.numerics import EPS

IDLE = 60  # iterations without gain: gradients go on falling, and with them the gap, long after values have
SLOW_PASSES = 1000  # in fewer iterations, for one of newton-cg may take hundreds,
SLOW = 0.1  # and a fall of the value, in units of tol, that is not worth them
EXHAUSTED = "reached max_iter"
LATE = "reached max_time"
FITTED = "the loss is 0 but for rounding"
STALLED = "hardly any further decrease: the limits of rounding, or of this solver, are reached"


@dataclass(frozen=True)
class Result:
    """The end of a minimisation.

    Attributes
    ----------
    w : ndarray (size,)
        The best point seen, in the objective's coordinates.
    value : float
        F(w).
    lower_bound : float
        A number that the optimal value is proved not to be below.
    suboptimality : float
        (value - lower_bound) / lower_bound, which (F - F*) / F* cannot exceed; inf where no bound above 0 is known.
    n_iter : int
    n_passes : float
        Passes over the rows, samples in proportion.
    converged : bool
        Whether the suboptimality is at most the tolerance.
    message : str
        Why the solver stopped.
    solver : str
        The one that was used.
    """

    w: np.ndarray
    value: float
    lower_bound: float
    suboptimality: float
    n_iter: int
    n_passes: float
    converged: bool
    message: str
    solver: str


class Progress:
    """The record of one minimisation.

    Parameters
    ----------
    objective : Objective
    tol : float
        Stop at this relative suboptimality.
    max_iter : int
    callback : callable or None
        callback(iteration, value, suboptimality, point) -> true to stop; point() is the best w.
    deadline : float
        Stop when time.monotonic() has reached it.
    """

    def __init__(self, objective, tol, max_iter, callback, deadline=math.inf):
        self.objective, self.tol, self.max_iter, self.callback = objective, tol, max_iter, callback
        self.deadline = deadline
        self.point, self.value, self.lower_bound = None, np.inf, 0.0
        self.first_value = np.inf
        self.n_iter = 0
        self.message, self.solver = "", ""
        self.idle, self.marked_value, self.marked_gap = 0, np.inf, np.inf
        self.slow_since, self.slow_value = 0.0, np.inf

    @property
    def suboptimality(self):
        """Proved bound of (F - F*) / F* at the best point."""
        if self.value == self.lower_bound == 0:  # losses of logistic type underflow
            return 0.0 if self._reaches_0() else np.inf
        gap = max(self.value - self.lower_bound, 0.0)
        if gap == 0:
            return 0.0
        return gap / self.lower_bound if self.lower_bound > 0 else np.inf

    def begin(self, w):
        """Evaluate the first point."""
        self.see(self.objective.at(w))
        if self.point is None:
            raise self.objective.blame()

    def begin_at_best(self, w):
        """Begin at w, or at the constant model of the base rates where that is better or w is None."""
        point = None if w is None else self.objective.at(w)
        if point is None or not point.value <= self.objective.constant_value():
            self.begin(self.objective.start())
        else:
            self.see(point)

    def keep(self, w, value, bound):
        """Take note of F at w without its gradient, and of a bound."""
        self.see_bound(bound)
        if self.point is None:
            self.first_value = value
        if value < self.value:
            self.point, self.value = Point(w, value, None), value

    def see(self, point):
        """Take note of a Point: the best one and that of the best bound need not be the same."""
        if not np.isfinite(point.value):
            return
        if self.point is None:
            self.first_value = point.value
        self.see_bound(self.objective.lower_bound(point))
        if point.value < self.value or self.point is None or self.point.grad is None:
            self.point, self.value = point, point.value
        if self.suboptimality > self.tol:
            self._prove(point)

    def _prove(self, point):
        """Pay for a better bound where one that proves convergence is in reach."""
        promised = self.objective.promised_bound(point)
        if self.value - promised <= self.tol * promised:
            self.see_bound(self.objective.shifted_bound(point))

    def see_bound(self, lower_bound):
        """Take note of a number that the optimal value is proved not to be below."""
        self.lower_bound = max(self.lower_bound, lower_bound)

    def see_exactly(self, value, lower_bound):
        """Take note of F at the best point without the rounding of X's type, and of a bound."""
        self.value = value
        self.see_bound(lower_bound)

    def stop(self):
        """Whether to stop, asked once an iteration; self.message then says why."""
        if self.suboptimality <= self.tol:
            self.message = "converged"
        elif self.n_iter >= self.max_iter:
            self.message = EXHAUSTED
        elif time.monotonic() >= self.deadline:
            self.message = LATE
        elif self._is_fitted():
            self.message = FITTED
        elif self._is_idle():
            self.message = STALLED
        elif self.callback is not None and self.callback(
            self.n_iter, self.value, self.suboptimality, lambda: self.point.w
        ):
            self.message = "stopped by the callback"
        self.n_iter += not self.message
        return bool(self.message)

    def _is_fitted(self):
        """Whether a loss, of which no bound is known for it may well fall for ever, is nothing any more.

        Losses of rows are right to an eps, and no more is of a first value above 1.
        """
        if self.lower_bound > 0 or not self.value < EPS * max(self.first_value, 1.0):
            return False
        return self.value < EPS * self.first_value or not self._reaches_0()

    def _reaches_0(self):
        """Whether the loss does: then an F of 0 is optimal."""
        return self.objective.rows.loss == "squared_error"

    def _is_idle(self):
        """Whether value and gap have not fallen by more than rounding for long, or not by much for many passes."""
        gap = self.value - self.lower_bound
        gains = gap < 0.9 * self.marked_gap
        if self.value < self.slow_value - SLOW * self.tol * self.value or gains:
            self.slow_since, self.slow_value = self.objective.n_passes, self.value
        if self.value < self.marked_value - self.objective.resolution * abs(self.value) or gains:
            self.idle, self.marked_value, self.marked_gap = 0, self.value, gap
        else:
            self.idle += 1
        return self.idle >= IDLE or self.objective.n_passes - self.slow_since >= SLOW_PASSES

    def stall(self):
        """Take note that no step lowers the value."""
        self.message = STALLED

    def result(self):
        """The Result as it stands."""
        return Result(
            w=self.point.w, value=self.value, lower_bound=self.lower_bound, suboptimality=self.suboptimality,
            n_iter=self.n_iter, n_passes=self.objective.n_passes, converged=self.suboptimality <= self.tol,
            message=self.message, solver=self.solver,
        )
