"""The decision boundary of a linear model in the plane of two of its features."""

import copy

import numpy as np

from fastlr.plotting._figures import axes_for

COLOURS = ("#3b7dd8", "#e07b39", "#3a9a5b", "#8a5fb5", "#c2464f", "#7f7f7f", "#b5a33a", "#46b0b5", "#d67fb0", "#6b4c3b")


class DecisionBoundaryDisplay:
    """Probabilities and decision boundary in the plane of two features, the others held where they are on average.

    Make it by `from_estimator`. Each point has the colours of the classes, mixed by their probabilities; lines are
    where two classes tie. scikit-learn's display of that name takes estimators of two features; this one takes any
    number of features, and `Trainer` too.

    Parameters
    ----------
    x0, x1 : ndarray (m,)
        The places of the grid, by the first feature and by the second.
    shares : ndarray (m, m, n_classes)
        Probabilities at the grid, the second feature first.
    margins : ndarray (m, m, n_lines)
        Functions whose zeros are the boundary.
    names : (str, str)
        Of the features.
    classes : array-like (n_classes,)

    Attributes
    ----------
    ax_ : matplotlib Axes
    image_ : matplotlib AxesImage
    contours_ : list of matplotlib QuadContourSet
    figure_ : matplotlib Figure or SubFigure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LogisticRegression
    >>> from fastlr.plotting import DecisionBoundaryDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = LogisticRegression().fit(X, y)
    >>> display = DecisionBoundaryDisplay.from_estimator(model, X, y, features=(2, 3))
    >>> display.ax_.get_xlabel()
    'petal length (cm)'
    """

    def __init__(self, *, x0, x1, shares, margins, names, classes):
        self.x0, self.x1 = x0, x1
        self.shares, self.margins = shares, margins
        self.names, self.classes = names, classes

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, features=(0, 1), grid_resolution=200, ax=None):
        """Draw the boundary over the range of X.

        Parameters
        ----------
        estimator : fitted LogisticRegression, LogisticRegressionCV or Trainer
            Of classes; labels that do not exclude each other have no common boundary.
        X : array-like (n, d)
            Gives the range of the two features, and the means of the others.
        y : array-like (n,), default=None
            With it the rows of X are drawn as points, coloured by class.
        features : (int, int), default=(0, 1)
            The columns of X on the axes.
        grid_resolution : int, default=200
            Points of the grid along each axis.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        DecisionBoundaryDisplay

        Raises
        ------
        ValueError
            If `features` are not two columns of X, or the model is of independent labels.
        """
        from sklearn.utils import check_array

        if getattr(estimator, "targets_", "classes") == "labels":
            raise ValueError("the model is of independent labels; expected one of classes: draw a model of one label")
        names = getattr(estimator, "feature_names_in_", None)
        X = check_array(X, dtype=np.float64)
        i, j = features
        if i == j or not {i, j} <= set(range(X.shape[1])):
            raise ValueError(f"features is {features}; expected two different columns from 0 to {X.shape[1] - 1}")
        x0, x1 = (_places(X[:, column], grid_resolution) for column in (i, j))
        grid = np.tile(X.mean(axis=0), (grid_resolution**2, 1))
        grid[:, i], grid[:, j] = (values.ravel() for values in np.meshgrid(x0, x1))
        shares, margins = _responses(estimator, grid)
        display = cls(
            x0=x0, x1=x1, shares=shares.reshape(grid_resolution, grid_resolution, -1),
            margins=margins.reshape(grid_resolution, grid_resolution, -1), classes=estimator.classes_,
            names=tuple(f"feature {column}" if names is None else names[column] for column in (i, j)),
        ).plot(ax)
        if y is not None:
            display.draw_points(X[:, i], X[:, j], y)
        return display

    def plot(self, ax=None):
        """Draw colours and lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        DecisionBoundaryDisplay
            Itself.
        """
        from matplotlib.colors import to_rgb

        (self.ax_,) = axes_for(ax, 1, size=(6, 4.8))
        self.figure_ = self.ax_.get_figure()
        colours = np.array([to_rgb(self._colour(c)) for c in range(len(self.classes))])
        extent = (self.x0[0], self.x0[-1], self.x1[0], self.x1[-1])
        mixed = 1 - 0.55 * (1 - np.clip(self.shares, 0, 1) @ colours)  # paler, so that points stand out
        self.image_ = self.ax_.imshow(np.clip(mixed, 0, 1), extent=extent, origin="lower", aspect="auto",
                                      interpolation="bilinear")
        # a class that nowhere wins has no line, and matplotlib would warn of it
        lines = [m for m in np.moveaxis(self.margins, -1, 0) if m.min() < 0 < m.max()]
        self.contours_ = [self.ax_.contour(self.x0, self.x1, m, levels=[0.0], colors="#333333", linewidths=1.2)
                          for m in lines]
        self.ax_.set_xlabel(self.names[0])
        self.ax_.set_ylabel(self.names[1])
        return self

    def draw_points(self, x0, x1, y):
        """Draw points, coloured by class, with a legend.

        Parameters
        ----------
        x0, x1 : array-like (n,)
            The two features.
        y : array-like (n,)
            Labels.

        Returns
        -------
        DecisionBoundaryDisplay
            Itself.
        """
        x0, x1, y = np.asarray(x0), np.asarray(x1), np.asarray(y)
        for c, name in enumerate(self.classes):
            self.ax_.scatter(x0[y == name], x1[y == name], s=30, color=self._colour(c), edgecolor="white",
                             linewidth=0.6, label=name)
        self.ax_.legend()
        return self

    def _colour(self, c):
        return COLOURS[c % len(COLOURS)]


def _places(values, m):
    """`m` places over the range of the values and a twentieth more on either side."""
    low, high = values.min(), values.max()
    margin = 0.05 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, m)


def _responses(estimator, grid):
    """Shares of the classes (n, n_classes), and functions of the grid that are 0 at the boundary (n, lines)."""
    model = copy.copy(estimator)
    vars(model).pop("feature_names_in_", None)  # the grid is an array without names
    Z = np.asarray(model.decision_function(grid), np.float64)
    Z = Z[:, None] if Z.ndim == 1 else Z
    is_adaline = getattr(model, "loss", None) == "squared_error"
    if Z.shape[1] == 1:
        margins = Z - (0.5 if is_adaline else 0.0)
    else:
        best = np.partition(Z, -2, axis=1)[:, -2:]
        margins = np.where(best[:, 1:] == Z, Z - best[:, :1], Z - best[:, 1:])  # to the best of the other classes
    if is_adaline:  # outputs are no probabilities
        return (model.predict(grid)[:, None] == np.asarray(model.classes_)).astype(float), margins
    return np.asarray(model.predict_proba(grid)), margins
