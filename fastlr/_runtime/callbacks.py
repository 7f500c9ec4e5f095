"""How a fit gets on: told to scikit-learn's callbacks and to the terminal, once an iteration; either may end it.

scikit-learn's callbacks (from 1.9 on) see a fit as a task with a subtask for each iteration. The solver reports an
iteration when it is over, so the next one's subtask begins there and then.
"""

import numpy as np

from fastlr._runtime.terminal import ProgressLine

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9: a fit without callbacks

    class CallbackSupportMixin:
        """No callbacks."""

        def _init_callback_context(self, **_):
            return None

    def with_callbacks(method):
        """The method itself."""
        return method


class FitMonitor:
    """What the solver calls after each iteration.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        In a fit; has the attributes of a fitted one but those of `model_at`.
    model_at : callable
        From a point of the objective to the attributes of that model, a dict.
    X, y, sample_weight
        The training data, for callbacks.
    enough : float
        A value below this ends the fit.

    Attributes
    ----------
    stopped : bool
        A callback asked to end the fit.
    """

    def __init__(self, estimator, model_at, X, y, sample_weight, enough):
        self.estimator, self.model_at = estimator, model_at
        self.enough = enough
        self.stopped = False
        self.line = ProgressLine(estimator.verbose)
        self.data = {"X": X, "y": y,
                     "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
        self.fit_task = estimator._init_callback_context(max_subtasks=int(estimator.max_iter) + 1)
        self.has_callbacks = hasattr(estimator, "_skl_callbacks")
        self.iteration = None

    def begin(self, w):
        """The fit begins at the point w."""
        if self.has_callbacks:
            self.fit_task.call_on_fit_task_begin(estimator=self.estimator, **self.data)
            self._begin_iteration(lambda: w)

    def __call__(self, iteration, value, suboptimality, point):
        """Iterations up to this one are done (0: none); whether the fit is to end."""
        if self.estimator.verbose:
            self.line.show(f"iteration {iteration}/{self.estimator.max_iter}  objective {value:.6g}  suboptimality "
                           f"{suboptimality:.1e}")
        if self.iteration and iteration:
            task, self.iteration = self.iteration, None  # a hook that raises has still been called
            reached = {"objective_": value, "suboptimality_": suboptimality, "n_iter_": np.array([iteration], np.int32)}
            self.stopped = task.call_on_fit_task_end(estimator=self.estimator, **self._state(point, reached))
            if not self.stopped:
                self._begin_iteration(point)
        return self.stopped or value < self.enough

    def end(self):
        """The fit is over and the estimator has its attributes."""
        self.line.close()
        for task in (self.iteration, self.fit_task) if self.has_callbacks else ():
            if task:
                task.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes={}, **self.data)

    def _begin_iteration(self, point):
        self.iteration = self.fit_task.subcontext(task_name="iteration")
        self.iteration.call_on_fit_task_begin(estimator=self.estimator, **self._state(point))

    def _state(self, point, reached=None):
        return {"reconstruction_attributes": lambda: self.model_at(point()) | (reached or {}), **self.data}
