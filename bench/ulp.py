"""The accuracy that fastlr promises, and how an error is counted: for the tests and for ``fastlr.bench.numerics``.

ULP is the largest error in units in the last place of the exact result, at any finite input.  Tighten an entry when a
kernel improves; never loosen one without saying why.
"""

import numpy as np

ULP = {
    ("exp", "float32"): 1, ("exp", "float64"): 1,
    ("log", "float32"): 1, ("log", "float64"): 1,
    ("sigmoid", "float32"): 2, ("sigmoid", "float64"): 2,
    ("sigmoid_derivative", "float32"): 4, ("sigmoid_derivative", "float64"): 4,
    ("log_sigmoid", "float32"): 2, ("log_sigmoid", "float64"): 2,
    ("logit", "float32"): 4, ("logit", "float64"): 4,
    ("softmax", "float32"): 5, ("softmax", "float64"): 5,
    ("log_softmax", "float32"): 5, ("log_softmax", "float64"): 5,
    ("logsumexp", "float32"): 2, ("logsumexp", "float64"): 2,
    ("cross_entropy", "float32"): 3.5, ("cross_entropy", "float64"): 3.5,
    ("residual", "float32"): 4, ("residual", "float64"): 4,  # of the larger of A (1 - Y) and Y (1 - A)
    ("residual of softmax", "float32"): 6, ("residual of softmax", "float64"): 6,
}


def ulp_error(actual, exact, unit=None):
    """|actual - exact| in units in the last place of `unit` (None: of exact) in actual's dtype.

    The difference is taken in float64 for float32, in long double for float64.  Equal infinities and nan for nan are no
    error.
    """
    actual = np.asarray(actual)
    wide = np.float64 if actual.dtype == np.float32 else np.longdouble
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        exact = np.asarray(exact).astype(wide)
        rounded = exact.astype(actual.dtype)
        size = np.minimum(np.abs(exact if unit is None else unit), np.finfo(actual.dtype).max).astype(actual.dtype)
        error = (np.abs(actual.astype(wide) - exact) / np.spacing(size)).astype(np.float64)
    same = (actual == rounded) & np.isinf(rounded) | np.isnan(actual) & np.isnan(rounded)
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))
