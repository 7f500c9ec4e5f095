"""What every solver keeps: the best point, the best bound, and whether it is time to stop."""

import numpy as np

from fastlr.solvers.result import Result

IDLE = 60  # iterations: gradients go on falling, and with them the gap, long after values have
SLOW_PASSES = 2000  # in fewer iterations, for one of newton-cg may take hundreds,
SLOW = 0.1  # and a fall of the value, in units of tol, that is not worth them
PATIENCE = 3  # passes until a bound that costs two is tried again
EXHAUSTED = "reached max_iter"
STALLED = "hardly any further decrease: the rounding errors of X's type are reached, or this solver's limits"


class Progress:
    """The record of one minimisation.

    Parameters
    ----------
    objective : Objective
    tol : float
        Stop at this relative suboptimality.
    max_iter : int
    callback : callable or None
        callback(iteration, value, suboptimality, w) -> true to stop.
    """

    def __init__(self, objective, tol, max_iter, callback):
        self.objective, self.tol, self.max_iter, self.callback = objective, tol, max_iter, callback
        self.w, self.value, self.grad, self.lower_bound = None, np.inf, None, 0.0
        self.n_iter = 0
        self.next_proof = 0.0
        self.message, self.solver = "", ""
        self.idle, self.marked_value, self.marked_gap = 0, np.inf, np.inf
        self.slow_since, self.slow_value = 0.0, np.inf

    @property
    def suboptimality(self):
        """Proved bound of (F - F*) / F* at the best point."""
        gap = max(self.value - self.lower_bound, 0.0)
        if gap == 0:
            return 0.0
        return gap / self.lower_bound if self.lower_bound > 0 else np.inf

    def begin(self, w):
        """Evaluate the first point."""
        self.see(w, *self.objective.loss_and_grad(w))
        if self.w is None:
            raise self.objective.blame()

    def keep(self, w, value, bound):
        """Take note of F at w without its gradient, and of a bound."""
        self.see_bound(bound)
        if value < self.value:
            self.w, self.value, self.grad = w, value, None

    def see(self, w, value, grad):
        """Take note of F and its gradient at w: the best point and the best bound need not be of the same w."""
        if not np.isfinite(value):
            return
        self.see_bound(self.objective.lower_bound(w, value, grad))
        if value < self.value or self.grad is None:
            self.w, self.value, self.grad = w, value, grad
        if self.suboptimality > self.tol:
            self._prove(w, value, grad)

    def _prove(self, w, value, grad):
        """Pay for a better bound where one that proves convergence is in reach, but not again at once."""
        if self.objective.n_passes < self.next_proof:
            return
        promised = self.objective.promised_bound(w, value, grad)
        if self.value - promised <= self.tol * promised:
            self.see_bound(self.objective.shifted_bound(w, value, grad))
            self.next_proof = self.objective.n_passes + PATIENCE

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
        elif self._is_idle():
            self.message = STALLED
        elif self.callback is not None and self.callback(self.n_iter, self.value, self.suboptimality, self.w):
            self.message = "stopped by the callback"
        self.n_iter += not self.message
        return bool(self.message)

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
            w=self.w, value=self.value, lower_bound=self.lower_bound, suboptimality=self.suboptimality,
            n_iter=self.n_iter, n_passes=self.objective.n_passes, converged=self.suboptimality <= self.tol,
            message=self.message, solver=self.solver,
        )
