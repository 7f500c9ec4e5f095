"""The picture of a training run: how the loss fell, what is taken for what, and what the weights look like."""

from pathlib import Path

import numpy as np

from fastlr.plotting._figures import new_figure
from fastlr.plotting._training_curve import MEASURES, TrainingCurveDisplay
from fastlr.plotting._weight_images import WeightImagesDisplay, check_image_shape

MOST_COUNTED = 20  # classes up to which a confusion matrix has room for its numbers
IMAGE_COLUMNS = 5


def save_run(path, history, confusion, coef, image_shape, *, classes=None, title=None):
    """Draw learning curve, confusion matrix and one weight image a class, and save them as one picture.

    The figure is made without pyplot: nothing global changes, and no display is needed.

    Parameters
    ----------
    path : str or os.PathLike
        Its ending chooses the format.
    history : dict of lists
        ``Trainer.history_``.
    confusion : array-like of shape (k, k)
        Counts: rows the true classes, columns the predicted.
    coef : array-like of shape (k, d), or (1, d) for binary models
    image_shape : (int, int)
        Height and width of an image, with height * width = d.
    classes : array-like of shape (k,), optional
        Names of the classes, 0 to k - 1 by default.
    title : str, optional

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If `image_shape` does not fit `coef`.
    """
    confusion, coef = np.asarray(confusion), np.asarray(coef)
    check_image_shape(image_shape, coef.shape[1])
    classes = np.arange(len(confusion)) if classes is None else np.asarray(classes)
    n_rows = -(-len(coef) // IMAGE_COLUMNS)
    figure = new_figure(figsize=(11, 5.2 + 2.1 * n_rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    top, bottom = figure.subfigures(2, 1, height_ratios=(5.2, 2.1 * n_rows))
    left, right = top.subfigures(1, 2, width_ratios=(1, 1.1))
    draw_history(left, history)
    draw_confusion(right.subplots(), confusion, classes)
    draw_weights(bottom, coef, image_shape, classes)
    if title:
        figure.suptitle(title, fontsize=14, fontweight="bold")
    figure.savefig(Path(path).expanduser(), dpi=120)


def draw_history(figure, history):
    """Loss and accuracy by epoch, one above the other; those of the validation data where the history has them.

    Parameters
    ----------
    figure : matplotlib Figure or SubFigure
    history : dict of lists
        As `TrainingCurveDisplay` takes it.
    """
    n_curves = sum(bool(history.get(name) or history.get(f"val_{name}")) for name in MEASURES)
    curves = TrainingCurveDisplay(history).plot(figure.subplots(n_curves, 1, sharex=True, squeeze=False))
    curves.axes_[0].set_title("Learning curve")


def draw_confusion(axes, confusion, classes):
    """Confusion matrix: shaded by the share of its row, so that rare classes show too; labelled with the counts.

    Parameters
    ----------
    axes : matplotlib Axes
    confusion : ndarray of shape (k, k), int
        Rows the true classes, columns the predicted.
    classes : ndarray of shape (k,)
    """
    n_true = confusion.sum(axis=1, keepdims=True)
    share = confusion / np.maximum(n_true, 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MOST_COUNTED:
        for (row, column), count in np.ndenumerate(confusion):
            colour = "white" if share[row, column] > 0.5 else "black" if count else "#bbbbbb"
            axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(len(classes)), classes)
        axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    n_correct, n_all = np.trace(confusion), confusion.sum()
    axes.set_title(f"Confusion matrix: {n_correct:,} of {n_all:,} right ({n_correct / max(n_all, 1):.2%})")


def draw_weights(figure, coef, image_shape, classes):
    """The weights of each class as an image: red speaks for the class, blue against it, on one scale for all.

    Parameters
    ----------
    figure : matplotlib Figure or SubFigure
    coef : ndarray of shape (k, d), or (1, d) for binary models
    image_shape : (int, int)
    classes : ndarray of shape (k,)
    """
    cells = figure.subplots(-(-len(coef) // IMAGE_COLUMNS), IMAGE_COLUMNS, squeeze=False).ravel()
    for spare in cells[len(coef):]:
        spare.set_axis_off()  # left in the layout: images of a last row that is not full stay as large as the others
    names = classes if len(coef) > 1 else classes[-1:]
    WeightImagesDisplay(coef, image_shape, names).plot(cells[: len(coef)])
    figure.suptitle("Weights of each class: red speaks for it, blue against it", fontsize=12)
