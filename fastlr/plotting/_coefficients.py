"""Coefficients by the names of their features."""

import numpy as np

from fastlr.plotting._figures import CONTRAST, PLAIN, axes_for, dense_coef, plain, row_names


class CoefficientsDisplay:
    """The largest coefficients of each class or label, by the names of their features.

    Make it by `from_estimator`. The coefficients are those of the features as the model sees them: compare them where
    the features have one scale.

    Parameters
    ----------
    coef : ndarray (k, d)
    feature_names : array-like (d,)
    names : array-like (k,)
        What each row of `coef` speaks for.

    Attributes
    ----------
    axes_ : ndarray (k,) of matplotlib Axes
    bars_ : list of matplotlib BarContainer
    figure_ : matplotlib Figure or SubFigure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LogisticRegression
    >>> from fastlr.plotting import CoefficientsDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> display = CoefficientsDisplay.from_estimator(LogisticRegression().fit(X, y))
    >>> [label.get_text() for label in display.axes_[2].get_yticklabels()][-1]
    'petal length (cm)'
    """

    def __init__(self, coef, feature_names, names):
        self.coef = np.asarray(coef)
        self.feature_names = feature_names
        self.names = names

    @classmethod
    def from_estimator(cls, estimator, *, feature_names=None, max_features=15, ax=None):
        """Draw the largest coefficients.

        Parameters
        ----------
        estimator : fitted LogisticRegression, LogisticRegressionCV or Trainer
            Or whatever else has `coef_` and `classes_`.
        feature_names : array-like (d,), default=None
            None takes `feature_names_in_`, or the features' numbers where X had no names.
        max_features, ax
            As in `plot`.

        Returns
        -------
        CoefficientsDisplay

        Raises
        ------
        ValueError
            If there are not as many names as features.
        """
        coef = dense_coef(estimator)
        if feature_names is None:
            numbers = [f"feature {j}" for j in range(coef.shape[1])]
            feature_names = getattr(estimator, "feature_names_in_", numbers)
        if len(feature_names) != coef.shape[1]:
            raise ValueError(f"feature_names has {len(feature_names)} names; expected {coef.shape[1]}, one a feature")
        return cls(coef, feature_names, row_names(estimator)).plot(ax, max_features=max_features)

    def plot(self, ax=None, *, max_features=15):
        """Draw a bar for each of the largest coefficients, those of large absolute value above.

        Parameters
        ----------
        ax : matplotlib Axes, or array-like of them, default=None
            One for each row of `coef`; None makes a new figure.
        max_features : int, default=15
            The most bars of a class.

        Returns
        -------
        CoefficientsDisplay
            Itself.

        Raises
        ------
        ValueError
            If the number of axes is wrong.
        """
        n_bars = min(max_features, self.coef.shape[1])
        self.axes_ = axes_for(ax, len(self.coef), n_columns=3, size=(3.7, 1.1 + 0.26 * n_bars), sharex=True)
        self.figure_ = self.axes_[0].get_figure()
        names = np.asarray(self.feature_names)
        self.bars_ = []
        for axes, coef, name in zip(self.axes_, self.coef, self.names, strict=True):
            largest = np.argsort(-np.abs(coef), kind="stable")[:n_bars][::-1]
            colours = np.where(coef[largest] > 0, CONTRAST, PLAIN)
            self.bars_.append(axes.barh(np.arange(n_bars), coef[largest], color=colours))
            axes.set_yticks(np.arange(n_bars), names[largest])
            axes.axvline(0, color="#666666", linewidth=0.8)
            axes.set_title(name, fontsize=11)
            axes.set_xlabel("coefficient")
            plain(axes)
        return self
