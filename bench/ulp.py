"""The accuracy that fastlr promises, and how an error is counted: for the tests and for ``fastlr.bench.numerics``.

ULP is the largest error in units in the last place of the exact result, at any finite input.  Tighten an entry when a
kernel improves; never loosen one without saying why.

Those of the softmax family are what its roundings come to where all are at their worst and of one sign, with rows of
any length: two exponentials of 1.2 ULP, each up to 2.4 of a result just below a power of 2, a sum, a reciprocal, a
product or a logarithm.  Samples show two thirds of that.  A sum of subnormal terms errs by half of the least number for
each of them.
"""

import numpy as np

ULP = {
    ("exp", "float32"): 1, ("exp", "float64"): 1,
    ("log", "float32"): 1, ("log", "float64"): 1,
    ("sigmoid", "float32"): 2, ("sigmoid", "float64"): 2,
    ("sigmoid_derivative", "float32"): 5, ("sigmoid_derivative", "float64"): 5,
    ("log_sigmoid", "float32"): 2, ("log_sigmoid", "float64"): 2,
    ("logit", "float32"): 4, ("logit", "float64"): 4,
    ("softmax", "float32"): 7.5, ("softmax", "float64"): 7.5,
    ("log_softmax", "float32"): 8, ("log_softmax", "float64"): 8,
    ("logsumexp", "float32"): 3, ("logsumexp", "float64"): 3,
    ("cross_entropy", "float32"): 8, ("cross_entropy", "float64"): 8,
    ("residual", "float32"): 4, ("residual", "float64"): 4,  # of the larger of A (1 - Y) and Y (1 - A)
    ("residual of softmax", "float32"): 10, ("residual of softmax", "float64"): 10,
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
