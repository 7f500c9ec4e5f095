"""The picture of a training run: how the loss fell, what is taken for what, and what the weights look like.

Figures are made without pyplot, so that nothing global changes and no display is needed.
"""

from pathlib import Path

import numpy as np

__all__ = ["check_picture_path", "draw_confusion", "draw_history", "draw_weights", "save_run"]

TRAIN_COLOUR = "#1f4e79"
TEST_COLOUR = "#d1495b"
MOST_COUNTED = 20  # classes up to which a confusion matrix has room for its numbers
IMAGE_COLUMNS = 5


def check_picture_path(path):
    """Raise if no picture could be saved there, so that nobody learns it after the training.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    ImportError
        If matplotlib is missing.
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the name does not end in a format matplotlib can write.
    """
    formats = _new_figure().canvas.get_supported_filetypes()
    path = Path(path).expanduser()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: {path.parent} is not a folder; make it first")
    if path.suffix.lstrip(".").lower() not in formats:
        raise ValueError(f"cannot write {path}: its ending is {path.suffix!r}; expected one of .{', .'.join(formats)}")


def save_run(path, history, confusion, coef, image_shape, *, classes=None, title=None):
    """Draw learning curve, confusion matrix and one weight image a class, and save them as one picture.

    Parameters
    ----------
    path : str or os.PathLike
        Its ending chooses the format.
    history : dict of lists
        ``Trainer.history_``; see `draw_history`.
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
    if len(image_shape) != 2 or np.prod(image_shape) != coef.shape[1]:
        raise ValueError(f"image_shape is {image_shape}, but coef has {coef.shape[1]} columns; expected their product")
    classes = np.arange(len(confusion)) if classes is None else np.asarray(classes)
    n_rows = -(-len(coef) // IMAGE_COLUMNS)
    figure = _new_figure(figsize=(11, 5.2 + 2.1 * n_rows), layout="constrained")
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
        ``loss`` and, as far as present, ``accuracy``, ``val_loss``, ``val_accuracy``: one value an epoch.
    """
    measures = [name for name in ("loss", "accuracy") if history.get(name) or history.get(f"val_{name}")]
    all_axes = figure.subplots(len(measures), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(all_axes, measures, strict=True):
        for key, label, colour in ((name, "training", TRAIN_COLOUR), (f"val_{name}", "test", TEST_COLOUR)):
            values = history.get(key)
            if values:
                epochs = np.arange(1, len(values) + 1)
                axes.plot(epochs, values, color=colour, label=label, linewidth=1.8, marker="o", markersize=3)
        axes.set_ylabel(name)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.legend(frameon=False)
    all_axes[0].set_title("Learning curve")
    all_axes[-1].set_xlabel("epoch")
    all_axes[-1].xaxis.get_major_locator().set_params(integer=True)


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
    # a few extreme pixels would leave all others pale
    limit = float(np.quantile(np.abs(coef), 0.998)) or 1.0
    names = classes if len(coef) > 1 else classes[-1:]
    n_rows = -(-len(coef) // IMAGE_COLUMNS)
    all_axes = figure.subplots(n_rows, IMAGE_COLUMNS, squeeze=False)
    for axes in all_axes.flat:
        axes.set_axis_off()
    for axes, weights, name in zip(all_axes.flat, coef, names, strict=False):
        image = axes.imshow(weights.reshape(image_shape), cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(name, fontsize=11)
    bar = figure.colorbar(image, ax=all_axes, shrink=0.8, aspect=25, extend="both", label="weight")
    bar.outline.set_visible(False)
    figure.suptitle("Weights of each class: red speaks for it, blue against it", fontsize=12)


def _new_figure(**options):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing needs matplotlib, which is not installed: pip install 'fastlr-ml[plot]'") from error
    return Figure(**options)
