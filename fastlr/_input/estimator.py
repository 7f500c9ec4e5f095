"""What scikit-learn's conventions ask of an estimator's input: parameters, X as its users have it, untouched on errors.

X is never copied if it is an array the kernels read; scikit-learn's own conversion and messages serve the rest (data
frames, lists, objects). The one reading of X that looks for NaN and infinities is threaded.
"""

import math
import numbers
from contextlib import contextmanager

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from fastlr import _core
from fastlr._input.arrays import (
    as_array,
    as_kernels_read,
    check_feature_vector,
    check_X,
    is_in_range,
    is_real,
    refuse_masked,
)


@contextmanager
def unchanged_on_error(estimator):
    """Give the estimator back the attributes it had if fitting it fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before  # in one step, that no signal can cut
        raise


def convert(estimator, X, *, fitting):
    """X as scikit-learn makes an array of it, and its checks of the number and names of the features.

    Raises
    ------
    TypeError, ValueError
        As scikit-learn does, with the name of the column where values of a data frame are not numbers.
    """
    refuse_masked(X, "X")
    ready = type(X) in (np.ndarray, np.memmap) and X.ndim == 2 and X.size > 0 and X.dtype.name in _core.DTYPES
    try:
        array = validate_data(estimator, X, reset=fitting, skip_check_array=ready, dtype="numeric",
                              ensure_all_finite=False)
        return array.astype(np.float64) if array.dtype.kind == "O" else array  # categories, None in a list
    except (TypeError, ValueError) as error:
        column = _column_without_numbers(X)
        if column is None:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{error}; column {column!r} of X has values that are not numbers: encode it as numbers, or leave "
                   f"it out") from None


def _column_without_numbers(frame):
    """Name of the first column of a data frame that does not become floats, None where there is none."""
    names = frame.column_names if hasattr(frame, "column_names") else getattr(frame, "columns", None)
    for name in names if hasattr(frame, "__getitem__") and names is not None else ():
        column = np.asarray(frame[name])
        try:
            column.astype(np.float64)
        except (TypeError, ValueError):
            return name
        if column.dtype.kind in "mMc":  # times and complex numbers: NumPy makes floats of them
            return name
    return None


def convert_frame(owner, X, feature_names, n_features):
    """X, and the names of its features or None, for an owner that is no scikit-learn estimator.

    Where n_features is not None, the features must be as many and have these names.
    """
    stand_in = type(owner, (BaseEstimator,), {})()
    if n_features is not None:
        stand_in.n_features_in_ = n_features
    if feature_names is not None:
        stand_in.feature_names_in_ = feature_names
    X = convert(stand_in, X, fitting=n_features is None)
    return X, getattr(stand_in, "feature_names_in_", None)


def check_input(estimator, X, n_threads, *, fitting):
    """X (n, d) as the kernels read it; sets, or when not fitting compares, the number and names of its features.

    Raises
    ------
    TypeError
        For sparse X and dtypes without a kernel.
    ValueError
        For other shapes or features than in `fit`, NaN and infinities (unless scikit-learn is to assume finite data).
    """
    X = convert(estimator, X, fitting=fitting)
    X = check_X(X)
    if X.dtype.kind in "fV" and not sklearn.get_config()["assume_finite"]:
        place = _core.first_nonfinite(X, n_threads)
        if place is not None:
            value = "NaN" if np.isnan(X[place]) else "infinity"
            raise ValueError(f"Input X contains {value}, first at row {place[0]}, column {place[1]}; "
                             f"{type(estimator).__name__} expects finite numbers: drop such rows or fill in the values")
    return X


def check_offset(offset, X, k):
    """The offset of the logits of X (n, d) as (n, k) in X's real type, C-contiguous; (n,) will do for k = 1."""
    if offset is None:
        return None
    offset = as_array(offset, "offset")
    n = len(X)
    if not is_real(offset.dtype):
        raise TypeError(f"offset has dtype {offset.dtype}; expected real numbers")
    if offset.shape != (n, k) and (offset.shape != (n,) or k > 1):
        expected = f"({n},)" if k == 1 else f"({n}, {k})"
        raise ValueError(f"offset has shape {offset.shape}; expected {expected}, one for each logit of the {n} rows")
    given, offset = offset, as_kernels_read(offset.reshape(n, k), _core.real_dtype(X.dtype))
    if not np.isfinite(offset).all():
        row, column = np.argwhere(~np.isfinite(offset))[0]
        value = given.reshape(n, k)[row, column]
        beyond = f": {value} is beyond the range of {offset.dtype}, in which X of {X.dtype} is computed"
        raise ValueError(f"offset is not finite at row {row}{beyond if np.isfinite(value) else ''}; expected finite "
                         f"numbers")
    return offset


def check_penalty_factors(factors, d):
    """float64 (d,) of at least 0, from a number for all features or one a feature; None stays None."""
    factors = check_feature_vector(factors, d, "penalty_factors")
    if factors is not None and (factors < 0).any():
        raise ValueError(f"penalty_factors has {factors.min()}; expected numbers of at least 0")
    return factors


def check_parameters(estimator):
    """Raise ValueError naming the first parameter that is not allowed, its value and what is."""
    parameters = estimator.get_params(deep=False)
    for name, (accepts, expected) in _RULES.items():
        value = parameters.get(name)
        if name in parameters and not accepts(value):
            raise ValueError(f"{name} is {value!r}; expected {expected}")


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and is_in_range(value)


def _is_flag(value):
    return isinstance(value, bool | np.bool_)


# parameter -> what it accepts, and the same in words
_RULES = {
    "C": (lambda v: _is_number(v) and v > 0, "a positive number, or np.inf for no penalty"),
    "tol": (lambda v: _is_number(v) and 0 <= v < math.inf, "a finite number of at least 0"),
    "fit_intercept": (_is_flag, "True or False"),
    "class_weight": (
        lambda v: v is None or isinstance(v, dict) or (isinstance(v, str) and v == "balanced"),
        "None, 'balanced' or a dict from labels to weights",
    ),
    "max_iter": (lambda v: isinstance(v, numbers.Integral) and v >= 0, "an integer of at least 0"),
    "refit": (_is_flag, "True or False"),
    "warm_start": (_is_flag, "True or False"),
    "verbose": (lambda v: isinstance(v, numbers.Integral) and v >= 0, "0 or 1"),
    "targets": (lambda v: isinstance(v, str) and v in ("auto", "classes", "labels"), "'auto', 'classes' or 'labels'"),
}
