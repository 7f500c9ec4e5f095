"""Weights of models of images, as images."""

import numpy as np

from fastlr.plotting._figures import axes_for, dense_coef, row_names


class WeightImagesDisplay:
    """The weights of each class as an image: red speaks for the class, blue against it, on one scale for all.

    Make it by `from_estimator`.

    Parameters
    ----------
    coef : ndarray (k, d)
    image_shape : (int, int)
        Height and width of an image, with height * width = d.
    names : array-like (k,)
        What each row of `coef` speaks for.

    Attributes
    ----------
    axes_ : ndarray (k,) of matplotlib Axes
    images_ : list of matplotlib AxesImage
    colorbar_ : matplotlib Colorbar
    figure_ : matplotlib Figure or SubFigure

    Examples
    --------
    >>> import fastlr
    >>> from fastlr.plotting import WeightImagesDisplay
    >>> X, y = fastlr.datasets.load_digits()
    >>> model = fastlr.LogisticRegression(scale=1 / 16).fit(X, y)
    >>> display = WeightImagesDisplay.from_estimator(model, (8, 8))
    >>> len(display.axes_)
    10
    """

    def __init__(self, coef, image_shape, names):
        self.coef = np.asarray(coef)
        self.image_shape = image_shape
        self.names = names

    @classmethod
    def from_estimator(cls, estimator, image_shape, *, ax=None):
        """Draw the rows of `coef_`.

        Parameters
        ----------
        estimator : fitted LogisticRegression, LogisticRegressionCV or Trainer
            Or whatever else has `coef_` and `classes_`.
        image_shape : (int, int)
            Height and width of an image.
        ax : array-like of matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        WeightImagesDisplay
        """
        return cls(dense_coef(estimator), image_shape, row_names(estimator)).plot(ax)

    def plot(self, ax=None):
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, or array-like of them, default=None
            One for each row of `coef`; None makes a new figure.

        Returns
        -------
        WeightImagesDisplay
            Itself.

        Raises
        ------
        ValueError
            If `image_shape` does not fit `coef`, or the number of axes is wrong.
        """
        check_image_shape(self.image_shape, self.coef.shape[1])
        self.axes_ = axes_for(ax, len(self.coef), n_columns=5, size=(2, 2.1))
        self.figure_ = self.axes_[0].get_figure()
        # a few extreme pixels would leave all others pale
        limit = float(np.quantile(np.abs(self.coef), 0.998)) or 1.0
        self.images_ = []
        for axes, weights, name in zip(self.axes_, self.coef, self.names, strict=True):
            axes.set_axis_off()
            axes.set_title(name, fontsize=11)
            image = axes.imshow(weights.reshape(self.image_shape), cmap="RdBu_r", vmin=-limit, vmax=limit)
            self.images_.append(image)
        bar = self.figure_.colorbar(image, ax=list(self.axes_), shrink=0.8, aspect=25, extend="both", label="weight")
        bar.outline.set_visible(False)
        self.colorbar_ = bar
        return self


def check_image_shape(image_shape, n_features):
    """Raise ValueError unless height * width is the number of features."""
    if len(image_shape) != 2 or np.prod(image_shape) != n_features:
        raise ValueError(f"image_shape is {image_shape}, but coef has {n_features} columns; expected their product")
