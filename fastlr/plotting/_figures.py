"""Figures, axes and files of pictures."""

from pathlib import Path

import numpy as np

PLAIN = "#1f4e79"
CONTRAST = "#d1495b"
NO_MATPLOTLIB = "drawing needs matplotlib, which is not installed: pip install 'fastlr-ml[plot]'"


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
    formats = new_figure().canvas.get_supported_filetypes()
    path = Path(path).expanduser()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: {path.parent} is not a folder; make it first")
    if path.suffix.lstrip(".").lower() not in formats:
        raise ValueError(f"cannot write {path}: its ending is {path.suffix!r}; expected one of .{', .'.join(formats)}")


def new_figure(**options):
    """A figure without pyplot: nothing global changes, and no display is needed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(NO_MATPLOTLIB) from error
    return Figure(**options)


def axes_for(ax, n, *, n_columns=1, size=(6.4, 4.8), **options):
    """`n` axes (n,): those that the user gave, or of a new figure of pyplot, a grid of them, each of some `size`."""
    if ax is not None:
        axes = np.atleast_1d(np.asarray(ax, object)).ravel()
        if len(axes) != n:
            raise ValueError(f"ax has {len(axes)} axes; expected {n}, or None for a new figure")
        return axes
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(NO_MATPLOTLIB) from error
    n_columns = min(n, n_columns)
    n_rows = -(-n // n_columns)
    size = (size[0] * n_columns, size[1] * n_rows)
    _, axes = pyplot.subplots(n_rows, n_columns, squeeze=False, figsize=size, layout="constrained", **options)
    for spare in axes.flat[n:]:
        spare.remove()
    return axes.ravel()[:n]


def plain(axes):
    """Take away the frame's upper and right edges, and draw a pale grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def row_names(estimator):
    """What each row of `coef_` speaks for: its class or label; of a single row the second class."""
    names = np.asarray(estimator.classes_)
    return names[-1:] if estimator.coef_.shape[0] == 1 else names


def dense_coef(estimator):
    """`coef_` (k, d) as an array, of a sparsified model too; NotFittedError where there is none."""
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator, "coef_")
    coef = estimator.coef_
    return coef.toarray() if hasattr(coef, "toarray") else np.asarray(coef)
