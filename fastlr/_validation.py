"""Checks of what users pass in.

Each returns what the kernels take, or raises with what was got, what was expected and how to fix it.
"""

import numbers

import numpy as np

from fastlr import _core
from fastlr._mapping import check_file, file_behind

_PROBABILITY_SUM_TOLERANCE = 1e-4  # what rounding to float32 or a printed table leaves of a row's sum


def check_X(X, name="X"):
    """A 2-D array of a dtype the kernels read; never a copy of an array that already is one.

    Parameters
    ----------
    X : array-like (n, d)
        Numbers, any layout: C or Fortran order, strided, read-only, memory-mapped.
    name : str
        What messages call it.

    Returns
    -------
    ndarray (n, d), dtype in ``_core.DTYPES``, native byte order

    Raises
    ------
    TypeError
        For dtypes without a kernel, sparse matrices among them.
    ValueError
        If X is not two-dimensional, or memory-mapped from a file that has since become too short.
    """
    if hasattr(X, "toarray"):
        raise TypeError(f"{name} is sparse ({type(X).__name__}); expected a dense array: pass {name}.toarray()")
    X = np.asarray(X)
    if X.dtype.name not in _core.DTYPES:
        remedy = "use numbers" if X.dtype.kind in "OSUMmV" else f"use {name}.astype(np.float64)"
        if X.dtype.kind == "c":
            remedy = f"use {name}.real and {name}.imag as separate features"
        raise TypeError(f"{name} has dtype {X.dtype}; expected one of {', '.join(_core.DTYPES)}: {remedy}")
    if X.ndim != 2:
        remedy = f"; {name}.reshape(-1, 1) is one feature, {name}.reshape(1, -1) one sample" if X.ndim == 1 else ""
        if X.ndim > 2:
            remedy = f"; flatten each sample: {name}.reshape(len({name}), -1)"
        raise ValueError(f"{name} has shape {X.shape}; expected two dimensions (n_samples, n_features){remedy}")
    check_file(file_behind(X), name)
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def check_finite(X, n_threads, name="X"):
    """Raise ValueError naming the first nan or infinity of X (n, d), a result of `check_X`; return nothing."""
    place = _core.first_nonfinite(X, n_threads)
    if place is not None:
        row, column = place
        raise ValueError(f"{name} has {float(X[row, column])} at row {row}, column {column}; expected finite numbers: "
                         f"drop such rows or fill in the values")


def check_labels(y, n, k, name="y"):
    """Class labels as the kernels take them.

    Parameters
    ----------
    y : array-like (n,) of integers or booleans
    n, k : int
        Rows, and classes: labels are 0 .. k - 1.

    Returns
    -------
    ndarray (n,), int32, C-contiguous

    Raises
    ------
    TypeError
        If y is not of an integer dtype.
    ValueError
        If its shape is not (n,) or labels lie outside [0, k).
    """
    y = np.asarray(y)
    if y.dtype.kind not in "iub" and y.size:
        raise TypeError(f"{name} has dtype {y.dtype}; expected integer labels: {name}.astype(int) if it holds whole "
                        f"numbers, np.unique({name}, return_inverse=True)[1] to number other labels")
    if y.shape != (n,):
        raise ValueError(f"{name} has shape {y.shape}; expected ({n},), one label for each of the {n} rows")
    y = y.astype(y.dtype.newbyteorder("="), copy=False)
    if n and y.view(f"u{y.itemsize}").max() >= k:  # as unsigned, negative labels are large: one pass instead of two
        outside = np.flatnonzero((y < 0) | (y >= k))
        noun = "label" if len(outside) == 1 else "labels"
        raise ValueError(f"{name} has {len(outside)} {noun} outside [0, {k}): first is {y[outside[0]]} at row "
                         f"{outside[0]}; number the classes from 0")
    return _as_kernels_read(y, np.int32)


def check_targets(y, n, k, dtype, *, loss=None, name="y"):
    """Target probabilities, or target values, as the kernels take them.

    Parameters
    ----------
    y : array-like (n, k) of real numbers
    dtype : dtype
        float32 or float64, what the kernel computes in.
    loss : {None, "softmax", "sigmoid", "squared_error"}
        What the targets must be, beyond finite: for "softmax" probabilities whose rows sum to 1 (else the gradient
        A - Y would not be the gradient of the loss), for "sigmoid" numbers in [0, 1].

    Returns
    -------
    ndarray (n, k), dtype, C-contiguous

    Raises
    ------
    TypeError
        If y does not hold real numbers.
    ValueError
        If its shape is not (n, k) or its values are not what the loss needs.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "fiub" and y.dtype.name not in _core.DTYPES:
        raise TypeError(f"{name} has dtype {y.dtype}; expected real target values, or integer labels ({n},)")
    if y.shape != (n, k):
        raise ValueError(f"{name} has shape {y.shape}; expected ({n}, {k}), the shape of the logits, or integer labels "
                         f"({n},)")
    y = _as_kernels_read(y, dtype)
    if not y.size:
        return y
    lowest, highest = y.min(), y.max()
    if loss in ("softmax", "sigmoid"):
        if not (lowest >= 0 and highest <= 1):
            row, column = np.argwhere(~((y >= 0) & (y <= 1)))[0]
            raise ValueError(f"{name} has {y[row, column]} at row {row}, column {column}; expected target "
                             f"probabilities in [0, 1]")
    elif not np.isfinite(lowest) or not np.isfinite(highest):
        row, column = np.argwhere(~np.isfinite(y))[0]
        raise ValueError(f"{name} has {y[row, column]} at row {row}, column {column}; expected finite targets")
    if loss == "softmax":
        sums = np.einsum("nk->n", y)  # faster than y.sum(axis=1), and leaves no thread of a BLAS spinning
        wrong = np.flatnonzero(np.abs(sums - 1) > _PROBABILITY_SUM_TOLERANCE)
        if len(wrong):
            raise ValueError(f"{name} has {len(wrong)} of {n} rows that do not sum to 1: first is row {wrong[0]} with "
                             f"{sums[wrong[0]]}; divide each row by its sum")
    return y


def check_sample_weight(weight, n, name="sample_weight"):
    """float64 (n,) weights, C-contiguous, or None; ValueError for negative, non-finite or all zero ones."""
    if weight is None:
        return None
    weight = _as_float64(weight, name)
    if weight.shape != (n,):
        raise ValueError(f"{name} has shape {weight.shape}; expected ({n},), one weight for each of the {n} rows")
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise ValueError(f"{name} has {weight[wrong[0]]} at row {wrong[0]}; expected finite weights of at least 0")
    if n and not weight.any():
        raise ValueError(f"{name} is zero at all {n} rows; expected at least one positive weight")
    return weight


def check_feature_vector(v, d, name):
    """float64 (d,), C-contiguous, from a number for all features or one a feature; None stays None."""
    if v is None:
        return None
    v = _as_float64(v, name)
    if v.shape not in ((), (d,)):
        raise ValueError(f"{name} has shape {v.shape}; expected one number, or ({d},) for the {d} features")
    if not np.isfinite(v).all():
        raise ValueError(f"{name} has values that are not finite; expected finite numbers")
    return np.ascontiguousarray(np.broadcast_to(v, (d,)))


def check_option(name, value, allowed):
    """The value of an option that takes one of a few words; ValueError lists the allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, allowed))}")
    return value


def check_number(name, value, minimum=-np.inf, maximum=np.inf):
    """A finite real number in [minimum, maximum] as a float."""
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}; expected a number")
    if not (np.isfinite(value) and minimum <= value <= maximum):
        raise ValueError(f"{name} is {value!r}; expected a finite number in [{minimum}, {maximum}]")
    return float(value)


def _as_float64(v, name):
    v = np.asarray(v)
    if v.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {v.dtype}; expected real numbers")
    return _as_kernels_read(v, np.float64) if v.ndim else v.astype(np.float64)


def _as_kernels_read(v, dtype):
    """C-contiguous and aligned, copied if it is not: a view of bytes may begin anywhere."""
    return np.require(v, dtype, "CA")
