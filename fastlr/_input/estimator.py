"""What scikit-learn's conventions ask of an estimator's input: X as its users have it, names of features, offsets.

X is never copied if it is an array the kernels read; scikit-learn's own conversion serves data frames and objects. The
one reading of X that looks for NaN and infinities is threaded.
"""

from contextlib import contextmanager

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from fastlr import _core
from fastlr._input import csr
from fastlr._input.arrays import (
    as_kernels_read,
    as_real_array,
    as_table,
    check_feature_vector,
    check_finite,
    check_size,
    check_X,
    column_without_numbers,
    refuse_nonfinite,
)
from fastlr._input.row_blocks import RowBlocks


@contextmanager
def unchanged_on_error(estimator):
    """Give the estimator back the attributes it had if fitting it fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before  # in one step, that no signal can cut
        raise


def convert(estimator, X, n_threads, *, fitting):
    """X (n, d) as the kernels read it: numbers of data frames and objects as scikit-learn makes them.

    Sparse X becomes a `Csr`.

    Raises
    ------
    TypeError, ValueError
        As `check_X`, and as scikit-learn does for other features than in `fit`; with the name of the column where
        values are not numbers.
    """
    if csr.is_sparse(X):
        validate_data(estimator, X, reset=fitting, skip_check_array=True)
        return csr.check_csr(X, n_threads, finite=not sklearn.get_config()["assume_finite"])
    if isinstance(X, RowBlocks):
        _check_names(estimator, X, fitting=fitting)
        rows = X.rows
        return check_X(rows) if isinstance(rows, np.ndarray) else rows  # whose file may have been cut
    X = as_table(X, "X")
    plain = type(X) in (np.ndarray, np.memmap) and X.dtype != object
    if plain:
        X = check_X(X)
    try:
        array = validate_data(estimator, X, reset=fitting, skip_check_array=plain, dtype="numeric",
                              ensure_all_finite=False)
        return check_X(array.astype(np.float64) if array.dtype == object else array)  # categories, None in a list
    except (TypeError, ValueError) as error:
        column = column_without_numbers(X)
        if column is None:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{error}; column {column!r} of X has values that are not numbers: encode it as numbers, or leave "
                   f"it out") from None


def _check_names(estimator, rows, *, fitting):
    """What `validate_data` does for the number and names of features, of RowBlocks."""
    d, names = rows.shape[1], rows.feature_names  # which are known once the blocks are read
    if fitting:
        estimator.n_features_in_ = d
        vars(estimator).pop("feature_names_in_", None)
        if names is not None:
            estimator.feature_names_in_ = np.array(names, object)
        return
    if d != getattr(estimator, "n_features_in_", d):
        raise ValueError(f"X has {d} features, but {type(estimator).__name__} is expecting "
                         f"{estimator.n_features_in_} features as input.")
    known = getattr(estimator, "feature_names_in_", None)
    if names is not None and known is not None and list(known) != list(names):
        raise ValueError(f"The feature names should match those that were passed during fit: X has {list(names)}; "
                         f"expected {list(known)}")


def convert_frame(owner, X, feature_names, n_features):
    """X, and the names of its features or None, for an owner that is no scikit-learn estimator.

    Where n_features is not None, the features must be as many and have these names.
    """
    stand_in = type(owner, (BaseEstimator,), {})()
    stand_in.n_features_in_ = n_features
    if feature_names is not None:
        stand_in.feature_names_in_ = feature_names
    X = convert(stand_in, as_table(X, "X"), 1, fitting=n_features is None)
    return X, getattr(stand_in, "feature_names_in_", None)


def check_input(estimator, X, n_threads, *, fitting):
    """X (n, d) as the kernels read it; sets, or when not fitting compares, the number and names of its features.

    Raises
    ------
    TypeError
        For dtypes without a kernel.
    ValueError
        For other shapes or features than in `fit`, NaN and infinities (unless scikit-learn is to assume finite data).
    """
    is_known = isinstance(X, RowBlocks)  # to be finite, from the reading of the blocks
    X = convert(estimator, X, n_threads, fitting=fitting)
    check_size(X)
    if not (is_known or isinstance(X, csr.Csr) or sklearn.get_config()["assume_finite"]):
        check_finite(X, n_threads)
    return X


def check_offset(offset, X, k):
    """The offset of the logits of X (n, d) as (n, k) in X's real type, C-contiguous; (n,) will do for k = 1."""
    if offset is None:
        return None
    given, n = as_real_array(offset, "offset"), len(X)
    if given.shape != (n, k) and (given.shape != (n,) or k > 1):
        expected = f"({n},)" if k == 1 else f"({n}, {k})"
        raise ValueError(f"offset has shape {given.shape}; expected {expected}, one for each logit of the {n} rows")
    given = given.reshape(n, k)
    offset = as_kernels_read(given, _core.real_dtype(X.dtype))
    if not np.isfinite(offset).all():
        refuse_nonfinite(offset, given, "offset")
    return offset


def check_penalty_factors(factors, d):
    """float64 (d,) of at least 0, from a number for all features or one a feature; None stays None."""
    factors = check_feature_vector(factors, d, "penalty_factors")
    if factors is not None and (factors < 0).any():
        raise ValueError(f"penalty_factors has {factors.min()}; expected numbers of at least 0")
    return factors
