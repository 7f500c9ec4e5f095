"""The X and y of a Trainer: arrays without scikit-learn, anything else as it converts them."""

import numpy as np

from fastlr._input.arrays import as_array, check_finite, check_X, refuse_masked


def check_data(X, y, n_threads, name="", n_features=None, names=None):
    """X and y of as many rows, X as the kernels read it, and the names of its features or None."""
    X, names = check_rows(X, f"{name}X", n_threads, n_features, names)
    y = as_array(y, f"{name}y")
    if len(X) == 0 or y.ndim == 0 or len(y) != len(X):
        raise ValueError(f"{name}X has shape {X.shape} and {name}y {y.shape}; expected the same number of rows, "
                         f"at least one")
    return X, y, names


def check_rows(X, name, n_threads, n_features, names):
    """X as the kernels read it, and the names of its features or None."""
    refuse_masked(X, name)
    if isinstance(X, list | tuple):
        X = as_array(X, name)
    if names is not None or not isinstance(X, np.ndarray) or X.dtype == object:
        from fastlr._input.estimator import convert_frame  # scikit-learn, which arrays do not need

        X, names = convert_frame("Trainer", X, names, n_features)
    X = check_X(X, name)
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"{name} has shape {X.shape}; expected (n, {n_features}), the features of the fit")
    check_finite(X, n_threads, name)
    return X, names
