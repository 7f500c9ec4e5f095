"""Checks of what users pass in.

Each returns what the kernels take, or raises with what was got, what was expected and how to fix it.
"""

import numpy as np

from fastlr import _core

_SUM_TOLERANCE = 1e-4  # what a printed table leaves of a row's sum
_EPS_OF_SHORT = {"float16": 2.0**-10, "bfloat16": 2.0**-7}  # what rounding to these types leaves of it
_LEAST_OF_SHORT = {"float16": 2.0**-24, "bfloat16": 2.0**-133}  # their smallest numbers

_MOST_CLASSES = np.iinfo(np.int32).max


def as_array(value, name):
    """`value` as a plain ndarray, without a copy if it is one; TypeError for masked and sparse ones."""
    if type(value) is np.ndarray:
        return value
    refuse_sparse_and_masked(value, name)
    array = np.asarray(value)
    listed = array.dtype.kind == "U" and array.ndim == 1 and isinstance(value, list | tuple)
    if listed and not all(isinstance(part, str) for part in value):
        return np.array(value, object)  # of a list with text NumPy makes strings only: of nan, "nan"
    return array


def as_table(X, name):
    """Lists as an array, all else as it is; TypeError as by `as_array`."""
    refuse_sparse_and_masked(X, name)
    return as_array(X, name) if isinstance(X, list | tuple) else X


def refuse_sparse_and_masked(value, name):
    """Raise TypeError for a sparse matrix, and for masked arrays, whose masks NumPy would drop without a word."""
    if type(value) is np.ndarray:
        return
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} is sparse ({type(value).__name__}); expected a dense array: pass {name}.toarray()")
    parts = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise TypeError(f"{name} is a masked array; expected one whose values all count: leave out the masked rows, "
                        f"fill in values with {name}.filled(value), or pass {name}.data if nothing is masked")


def is_real(dtype):
    """Whether it is one of floats (bfloat16 too), integers or booleans."""
    return dtype.kind in "fiub" or dtype.name in _core.DTYPES


def as_real_array(value, name):
    """`as_array`, and TypeError for what are no real numbers."""
    array = as_array(value, name)
    if not is_real(array.dtype):
        raise TypeError(f"{name} has dtype {array.dtype}; expected real numbers")
    return array


def as_parameters(value, name):
    """Finite numbers as float64, C-contiguous."""
    value = _as_float64(value, name)
    if not np.isfinite(value).all():
        raise ValueError(f"{name} has values that are not finite; expected finite numbers")
    return value


def _as_float64(value, name):
    value = as_real_array(value, name)
    return as_kernels_read(value, np.float64).reshape(value.shape)


def as_kernels_read(array, dtype):
    """The array in this dtype, native, C-contiguous and aligned; itself if it is that already.

    What is beyond the dtype's range becomes infinite, without a warning: callers look for it.
    """
    if array.dtype != dtype:
        with np.errstate(all="ignore"):
            array = array.astype(dtype)
    array = np.ascontiguousarray(array)
    return array if array.flags.aligned else array.copy()


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
        If X is complex, not two-dimensional, or memory-mapped from a file that has since become too short.
    """
    X = as_array(X, name)
    if X.dtype.kind == "c":  # a ValueError and its words, as scikit-learn has them
        raise ValueError(f"Complex data not supported: {name} has dtype {X.dtype}; use {name}.real and {name}.imag as "
                         f"separate features")
    if X.dtype.name not in _core.DTYPES:
        remedy = "use numbers" if X.dtype.kind in "OSTUMmV" else f"use {name}.astype(np.float64)"
        raise TypeError(f"{name} has dtype {X.dtype}; expected one of {', '.join(_core.DTYPES)}: {remedy}")
    if X.ndim != 2:
        remedy = (f"{name}.reshape(len({name}), -1) flattens each sample" if X.ndim > 2 else
                  f"{name}.reshape(-1, 1) is one feature, {name}.reshape(1, -1) one sample")
        raise ValueError(f"{name} has shape {X.shape}; expected two dimensions (n_samples, n_features). Reshape your "
                         f"data: {remedy}")
    _core.check_file(_core.file_behind(X), name)
    return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))


def check_finite(X, n_threads, name="X"):
    """Raise ValueError naming the first nan or infinity of X (n, d), a result of `check_X`; return nothing."""
    place = _core.first_nonfinite(X, n_threads)
    if place is not None:
        value = "NaN" if np.isnan(X[place]) else "infinity"
        raise ValueError(f"Input {name} contains {value}, first at row {place[0]}, column {place[1]}; expected finite "
                         f"numbers: drop such rows or fill in the values")


def column_without_numbers(X):
    """Name of the first column of a data frame, or number of that of objects, that does not become floats, or None."""
    if isinstance(X, np.ndarray):
        columns = enumerate(X.T if X.ndim == 2 and X.dtype == object else ())
    else:
        names = getattr(X, "column_names", getattr(X, "columns", ()))
        columns = ((name, np.asarray(X[name])) for name in names)
    for name, column in columns:
        try:
            column.astype(np.float64)
        except (TypeError, ValueError):
            return name
        if column.dtype.kind in "mMc":  # times and complex numbers: NumPy makes floats of them
            return name
    return None


def check_size(X, name="X"):
    """Raise ValueError, as scikit-learn does, if X (n, d) has no rows or no columns."""
    if 0 in X.shape:
        noun = "feature" if X.shape[0] else "sample"
        raise ValueError(f"{name} has 0 {noun}(s) (shape={X.shape}) while a minimum of 1 is required.")


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
    y = as_array(y, name)
    if y.dtype.kind not in "iub" and y.size:
        raise TypeError(f"{name} has dtype {y.dtype}; expected integer labels: {name}.astype(int) if it holds whole "
                        f"numbers, np.unique({name}, return_inverse=True)[1] to number other labels")
    if y.shape != (n,):
        raise ValueError(f"{name} has shape {y.shape}; expected ({n},), one label for each of the {n} rows")
    if k > _MOST_CLASSES:
        raise ValueError(f"{name} labels {k} classes; expected at most {_MOST_CLASSES}")
    y = y if y.dtype.isnative else y.astype(y.dtype.newbyteorder("="))
    limit = min(k, 1 << (8 * y.itemsize - 1)) if y.dtype.kind == "i" else k
    if n and np.maximum.reduce(y.view(f"u{y.itemsize}")) >= limit:  # unsigned, negative labels are large: one pass
        outside = np.flatnonzero((y < 0) | (y >= k))
        noun = "label" if len(outside) == 1 else "labels"
        remedy = "one logit tells two classes with loss='sigmoid'" if k == 1 else "number the classes from 0"
        raise ValueError(f"{name} has {len(outside)} {noun} outside [0, {k}): first is {y[outside[0]]} at row "
                         f"{outside[0]}; {remedy}")
    return as_kernels_read(y.astype(np.int32, copy=False), np.int32)


def check_targets(y, n, k, dtype, *, loss=None, name="y", like="the logits"):
    """Target probabilities, or target values, as the kernels take them.

    Parameters
    ----------
    y : array-like (n, k) of real numbers
    dtype : dtype
        float32 or float64, what the kernel computes in.
    loss : {None, "softmax", "sigmoid", "squared_error"}
        What the targets must be, beyond finite: for "softmax" probabilities whose rows sum to 1 within 1e-4, or within
        the rounding of float16 or bfloat16 if they are of these types; for "sigmoid" numbers in [0, 1].
    name, like : str
        What messages call the targets, "A" for a model's probabilities, and what has their shape.

    Returns
    -------
    ndarray (n, k), dtype, C-contiguous
        For "softmax", rows whose sums miss 1 by more than rounding to dtype are divided by them: of other rows A - Y
        is not the gradient of the loss, and a bound of the optimum made from it not a bound.

    Raises
    ------
    TypeError
        If y does not hold real numbers.
    ValueError
        If its shape is not (n, k) or its values are not what the loss needs.
    """
    y = as_array(y, name)
    if not is_real(y.dtype):
        raise TypeError(f"{name} has dtype {y.dtype}; expected real target values ({n}, {k}), or labels ({n},)")
    if y.shape != (n, k):
        raise ValueError(f"{name} has shape {y.shape}; expected ({n}, {k}), the shape of {like}, or labels ({n},)")
    given, y = y, as_kernels_read(y, dtype)
    if not y.size:
        return y
    lowest, highest = y.min(), y.max()
    if loss in ("softmax", "sigmoid"):
        if not (lowest >= 0 and highest <= 1):
            row, column = np.argwhere(~((y >= 0) & (y <= 1)))[0]
            what = "target probabilities in [0, 1]" if name != "A" else "probabilities: of logits use cross_entropy"
            raise ValueError(f"{name} has {y[row, column]} at row {row}, column {column}; expected {what}")
    elif not np.isfinite(lowest) or not np.isfinite(highest):
        refuse_nonfinite(y, given, name)
    return _with_sums_of_1(y, given, name) if loss == "softmax" else y


def refuse_nonfinite(y, given, name):
    """Raise ValueError naming the first value of y (n, k), which was made of `given`, that is not finite."""
    row, column = np.argwhere(~np.isfinite(y))[0]
    beyond = f", beyond the range of {y.dtype}" if np.isfinite(given[row, column]) else ""
    raise ValueError(f"{name} has {given[row, column]} at row {row}, column {column}{beyond}; expected finite numbers")


def _with_sums_of_1(y, given, name):
    """Probabilities y (n, k), whose rows are divided by their sums where these miss 1; `given` is y as it came."""
    rounding = 8 * np.finfo(y.dtype).eps
    if np.abs(np.einsum("nk->n", y) - 1).max() <= rounding:  # no BLAS, whose threads would go on spinning
        return y
    sums = np.einsum("nk->n", y, dtype=np.float64)
    missing = np.abs(sums - 1)
    worst = missing.max()
    if worst <= rounding:
        return y
    type_name = given.dtype.name
    tolerance = max(_SUM_TOLERANCE, _EPS_OF_SHORT.get(type_name, 0) + y.shape[1] * _LEAST_OF_SHORT.get(type_name, 0))
    if worst > tolerance:
        wrong = np.flatnonzero(missing > tolerance)
        remedy = ("divide each row by its sum" if name == "A" or ((y != 0) & (y != 1)).any() else
                  "labels that do not exclude each other take loss='sigmoid', in LogisticRegression targets='labels'")
        raise ValueError(f"{name} has {len(wrong)} of {len(y)} rows that do not sum to 1: first is row {wrong[0]} with "
                         f"{sums[wrong[0]]}; expected 1 within {tolerance:.2g}: {remedy}")
    with np.errstate(all="ignore"):  # subnormal probabilities
        return (y / sums[:, None]).astype(y.dtype, copy=False)


def check_sample_weight(weight, n, name="sample_weight", *, may_be_zero=False):
    """float64 (n,) weights, C-contiguous, or None; ValueError for negative ones and, unless they may, all 0."""
    if weight is None:
        return None
    weight = _as_float64(weight, name)
    if weight.shape != (n,):
        raise ValueError(f"{name} has shape {weight.shape}; expected ({n},), one weight for each of the {n} rows")
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise ValueError(f"{name} has {weight[wrong[0]]} at row {wrong[0]}; expected finite weights of at least 0")
    if n and not may_be_zero and not weight.any():
        raise ValueError(f"{name} is zero at all {n} rows; expected at least one positive weight")
    return weight


def check_feature_vector(v, d, name):
    """float64 (d,), C-contiguous, from a number for all features or one a feature; None stays None."""
    if v is None:
        return None
    if isinstance(v, dict):
        raise TypeError(f"{name} is a dict; expected one number, or an array of one a feature, in the order of X's "
                        f"columns: of a data frame [{name}[column] for column in X.columns]")
    v = as_parameters(v, name)
    if v.shape not in ((), (d,)):
        raise ValueError(f"{name} has shape {v.shape}; expected one number, or ({d},) for the {d} features")
    return np.ascontiguousarray(np.broadcast_to(v, (d,)))  # of one number: an array of its own


