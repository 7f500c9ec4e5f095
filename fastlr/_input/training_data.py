"""The X of a Trainer: arrays and sparse matrices without scikit-learn, anything else as it converts them."""

import numpy as np

from fastlr._input.arrays import as_table, check_finite, check_size, check_X
from fastlr._input.csr import Csr, check_csr, is_sparse
from fastlr._input.streamed import Streamed


def check_rows(X, n_threads, n_features=None, names=None, *, name="X"):
    """X as the kernels read it, and the names of its features or None; as in the fit where these are given."""
    sparse = is_sparse(X)
    if not sparse:
        X = as_table(X, name)
        if names is not None or not isinstance(X, np.ndarray) or X.dtype == object:
            from fastlr._input.estimator import convert_frame  # scikit-learn, which arrays do not need

            X, names = convert_frame("Trainer", X, names, n_features)
    if sparse:
        X = check_csr(X, n_threads, finite=True, name=name)
    elif not isinstance(X, Csr | Streamed):  # as RowBlocks have it
        X = check_X(X, name)
    if n_features not in (None, X.shape[1]):
        raise ValueError(f"{name} has {X.shape[1]} features, but Trainer is expecting {n_features} features as input.")
    check_size(X, name)
    if not isinstance(X, Csr | Streamed):
        check_finite(X, n_threads, name)
    return X, names
