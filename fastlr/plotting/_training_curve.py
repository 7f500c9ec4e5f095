"""How a training run or a fit got on."""

import numpy as np

from fastlr.plotting._figures import CONTRAST, PLAIN, axes_for, plain

MEASURES = {  # of a Trainer's history by epoch, of a fit by iteration
    "loss": "epoch", "accuracy": "epoch", "objective": "iteration", "suboptimality": "iteration",
}


class TrainingCurveDisplay:
    """Loss and accuracy by epoch of a `Trainer`, or objective and proved bound by iteration of a fit.

    Make it by `from_estimator`. (scikit-learn's `LearningCurveDisplay` shows another thing: scores by the number of
    training rows.)

    Parameters
    ----------
    history : dict of lists
        `Trainer.history_`: "loss" and, as far as present, "accuracy", "val_loss", "val_accuracy", one value an epoch.
        Or "objective" and "suboptimality", one value an iteration.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each measure.
    lines_ : list of matplotlib Line2D
    figure_ : matplotlib Figure or SubFigure

    Examples
    --------
    >>> import fastlr
    >>> from fastlr.plotting import TrainingCurveDisplay
    >>> X, y = fastlr.datasets.load_digits()
    >>> trainer = fastlr.Trainer(epochs=5).fit(X, y, scale=1 / 16)
    >>> display = TrainingCurveDisplay.from_estimator(trainer)
    >>> len(display.axes_)
    2
    """

    def __init__(self, history):
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, X=None, y=None, *, sample_weight=None, measures=None, ax=None):
        """Draw the curve of a trained `Trainer`, or fit a copy of a `LogisticRegression` and draw its curve.

        Parameters
        ----------
        estimator : Trainer or LogisticRegression
            A `Trainer` has its history; of a `LogisticRegression` a copy is fitted, which scikit-learn 1.9 or later
            follows by a callback.
        X, y, sample_weight
            For the fit of a `LogisticRegression`, as its `fit` takes them.
        measures, ax
            As in `plot`.

        Returns
        -------
        TrainingCurveDisplay

        Raises
        ------
        TypeError
            If the estimator is neither.
        ValueError
            If the `Trainer` is not fitted, or X is missing.
        ImportError
            If matplotlib is missing, or scikit-learn has no callbacks yet.
        """
        if hasattr(estimator, "epochs"):
            if getattr(estimator, "history_", None) is None:
                raise ValueError(f"{estimator!r} has no epochs yet; fit it first")
            return cls(estimator.history_).plot(ax, measures=measures)
        return cls(_history_of_fit(estimator, X, y, sample_weight)).plot(ax, measures=measures)

    def plot(self, ax=None, *, measures=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, or array-like of them, default=None
            One for each measure; None makes a new figure.
        measures : str or sequence of str, default=None
            Of "loss", "accuracy", "objective", "suboptimality"; None takes all that the history has.

        Returns
        -------
        TrainingCurveDisplay
            Itself.

        Raises
        ------
        ValueError
            If the history lacks a measure, or the number of axes is wrong.
        """
        known = [name for name in MEASURES if self.history.get(name) or self.history.get(f"val_{name}")]
        if isinstance(measures, str):
            measures = [measures]
        measures = known if measures is None else list(measures)
        if not known:
            raise ValueError("history has no epochs; expected at least one that did not diverge")
        if not measures or not set(measures) <= set(known):
            raise ValueError(f"measures is {measures}; expected some of {known}, which the history has")
        self.axes_ = axes_for(ax, len(measures), size=(6.4, 2.6 if len(measures) > 1 else 4.2), sharex=True)
        self.lines_ = []
        for axes, name in zip(self.axes_, measures, strict=True):
            self._plot_measure(axes, name)
        self.axes_[-1].set_xlabel(MEASURES[measures[-1]])
        self.axes_[-1].xaxis.get_major_locator().set_params(integer=True)
        self.figure_ = self.axes_[0].get_figure()
        return self

    def _plot_measure(self, axes, name):
        for key, label, colour in ((name, "training", PLAIN), (f"val_{name}", "validation", CONTRAST)):
            values = self.history.get(key)
            if values:
                x = np.arange(1, len(values) + 1)
                self.lines_ += axes.plot(x, values, color=colour, label=label, linewidth=1.8, marker="o", markersize=3)
        axes.set_ylabel(name)
        if name == "suboptimality":
            axes.set_ylabel("suboptimality, proved")
            axes.set_yscale("log")
        elif self.history.get(f"val_{name}"):
            axes.legend(frameon=False)
        plain(axes)


def _history_of_fit(estimator, X, y, sample_weight):
    """Objective and proved bound of a copy of the estimator after each iteration of its fit."""
    from fastlr.linear_model import LogisticRegression

    if not isinstance(estimator, LogisticRegression):
        raise TypeError(f"estimator is a {type(estimator).__name__}; expected fastlr's Trainer or LogisticRegression")
    if X is None:
        raise ValueError("X is None; expected the data to fit: a LogisticRegression keeps no history of its own")
    if not hasattr(estimator, "set_callbacks"):
        raise ImportError("the curve of a fit needs the callbacks of scikit-learn 1.9 or later: pip install -U "
                          "scikit-learn")
    from sklearn.base import clone

    recorder = _Recorder()
    model = clone(estimator).set_callbacks(recorder).fit(X, y, sample_weight)
    reached = recorder.reached or [(model.objective_, model.suboptimality_)]
    objective, suboptimality = map(list, zip(*reached, strict=True))
    return {"objective": objective, "suboptimality": suboptimality}


class _Recorder:
    """A callback of scikit-learn that keeps what each iteration has reached."""

    def __init__(self):
        self.reached = []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "iteration":
            self.reached.append((fitted_estimator.objective_, fitted_estimator.suboptimality_))

    def teardown(self, estimator, context):
        pass
