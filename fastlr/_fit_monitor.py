"""How a fit gets on: told to scikit-learn's callbacks and to the terminal, once an iteration; either may end it.

scikit-learn's callbacks (from 1.9 on) see a fit as a task with a subtask for each iteration. The solver reports an
iteration when it is over, so the next one's subtask begins there and then.
"""

import sys

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
        In a fit; has the attributes of a fitted one but those that `attributes_of` gives.
    attributes_of : callable
        From the solver's parameters w to the attributes of the model they are, a dict.
    X, y, sample_weight
        The training data, for callbacks.
    enough : float
        An objective below this ends the fit.

    Attributes
    ----------
    stopped : bool
        A callback asked to end the fit.
    """

    def __init__(self, estimator, attributes_of, X, y, sample_weight, enough):
        self.estimator = estimator
        self.attributes_of = attributes_of
        self.enough = enough
        self.stopped = False
        self.line = _ProgressLine(estimator.max_iter) if estimator.verbose else None
        self.data = {"X": X, "y": y,
                     "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
        self.fit = estimator._init_callback_context(max_subtasks=estimator.max_iter + 1)
        self.iteration = None

    def begin(self, w):
        """The fit begins at the parameters w."""
        if hasattr(self.estimator, "_skl_callbacks"):
            self.fit.call_on_fit_task_begin(estimator=self.estimator, **self.data)
            self._begin_iteration(w)

    def __call__(self, iteration, value, suboptimality, w=None):
        """Iterations up to this one are done (0: none), the best parameters are w; whether the fit is to end."""
        if self.line:
            self.line.show(iteration, value, suboptimality)
        if self.iteration and iteration:
            self.stopped = self.iteration.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes=lambda: self.attributes_of(w), **self.data
            )
            self.iteration = None
            if not self.stopped:
                self._begin_iteration(w)
        return self.stopped or value < self.enough

    def end(self):
        """The fit is over and the estimator has its attributes."""
        if self.line:
            self.line.close()
        for task in (self.iteration, self.fit) if hasattr(self.estimator, "_skl_callbacks") else ():
            if task:
                task.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes={}, **self.data)

    def _begin_iteration(self, w):
        self.iteration = self.fit.subcontext(task_name="iteration")
        self.iteration.call_on_fit_task_begin(
            estimator=self.estimator, reconstruction_attributes=lambda: self.attributes_of(w), **self.data
        )


class _ProgressLine:
    """The last iteration's figures on stderr: one line rewritten on a terminal, else a line an iteration."""

    def __init__(self, max_iter):
        self.max_iter = max_iter
        self.on_terminal = sys.stderr.isatty()

    def show(self, iteration, value, suboptimality):
        line = f"iteration {iteration}/{self.max_iter}  objective {value:.6g}  suboptimality {suboptimality:.1e}"
        start, end = ("\r", "\x1b[K") if self.on_terminal else ("", "\n")  # K: clear what a longer line left
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)

    def close(self):
        if self.on_terminal:
            print(file=sys.stderr)
