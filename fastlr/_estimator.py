"""What scikit-learn's conventions ask of an estimator's input: parameters, X as its users have it, untouched on errors.

X is never copied if it is an array the kernels read; scikit-learn's own conversion and messages serve the rest (data
frames, lists, objects). The one reading of X that looks for NaN and infinities is threaded.
"""

import math
import numbers
from contextlib import contextmanager

import numpy as np
import sklearn
from sklearn.utils.validation import validate_data

from fastlr import _core
from fastlr._validation import check_feature_vector, check_X


@contextmanager
def unchanged_on_error(estimator):
    """Give the estimator back the attributes it had if fitting it fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_input(estimator, X, n_threads, *, fitting):
    """X (n, d) as the kernels read it; sets, or when not fitting compares, the number and names of its features.

    Raises
    ------
    TypeError
        For sparse X and dtypes without a kernel.
    ValueError
        For other shapes or features than in `fit`, NaN and infinities (unless scikit-learn is to assume finite data).
    """
    ready = type(X) in (np.ndarray, np.memmap) and X.ndim == 2 and X.size > 0 and X.dtype.name in _core.DTYPES
    X = validate_data(estimator, X, reset=fitting, skip_check_array=ready, dtype="numeric", ensure_all_finite=False)
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
    offset = np.asarray(offset)
    n = len(X)
    if offset.dtype.kind not in "fiub":
        raise TypeError(f"offset has dtype {offset.dtype}; expected real numbers")
    if offset.shape != (n, k) and (offset.shape != (n,) or k > 1):
        expected = f"({n},)" if k == 1 else f"({n}, {k})"
        raise ValueError(f"offset has shape {offset.shape}; expected {expected}, one for each logit of the {n} rows")
    if not np.isfinite(offset).all():
        raise ValueError(f"offset is not finite at row {np.argwhere(~np.isfinite(offset))[0][0]}; expected finite "
                         f"numbers")
    return np.require(offset.reshape(n, k), _core.real_dtype(X.dtype), "CA")


def check_penalty_factors(factors, d):
    """float64 (d,) of at least 0, from a number for all features or one a feature; None stays None."""
    factors = check_feature_vector(factors, d, "penalty_factors")
    if factors is not None and (factors < 0).any():
        raise ValueError(f"penalty_factors has {factors.min()}; expected numbers of at least 0")
    return factors


def check_parameters(estimator):
    """Raise ValueError naming the first parameter that is not allowed, its value and what is."""
    for name, (accepts, expected) in _RULES.items():
        value = getattr(estimator, name)
        if not accepts(value):
            raise ValueError(f"{name} is {value!r}; expected {expected}")


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


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
    "max_iter": (lambda v: isinstance(v, numbers.Integral) and v >= 1, "a positive integer"),
    "warm_start": (_is_flag, "True or False"),
    "verbose": (lambda v: isinstance(v, numbers.Integral) and v >= 0, "0 or 1"),
    "targets": (lambda v: isinstance(v, str) and v in ("auto", "classes", "labels"), "'auto', 'classes' or 'labels'"),
}
