"""One table of tolerances.  Tighten an entry when a kernel improves; never loosen one without saying why.

ULP is the largest error in units in the last place of the exact result, at any finite input.  Sums over rows (passes
over X) are held to PASS_EPS (Gram matrices: GRAM_EPS) machine epsilons of what was added up, all signs positive.
"""

import numpy as np

ULP = {
    ("exp", "float32"): 2, ("exp", "float64"): 1,
    ("log", "float32"): 2, ("log", "float64"): 1,
    ("sigmoid", "float32"): 2, ("sigmoid", "float64"): 2,
    ("sigmoid_derivative", "float32"): 4, ("sigmoid_derivative", "float64"): 4,
    ("log_sigmoid", "float32"): 2, ("log_sigmoid", "float64"): 2,
    ("logit", "float32"): 4, ("logit", "float64"): 4,
    ("softmax", "float32"): 5, ("softmax", "float64"): 5,
    ("log_softmax", "float32"): 10, ("log_softmax", "float64"): 10,
    ("logsumexp", "float32"): 2, ("logsumexp", "float64"): 2,
    ("cross_entropy", "float32"): 4, ("cross_entropy", "float64"): 4,
}

PASS_EPS = 4
GRAM_EPS = 16  # BLAS adds up to 4096 rows in the tile's type

# a long double of 64 bits (Windows, macOS on Arm) is no better than float64: the twin's own error then counts as well
TWIN_ULP = 0 if np.finfo(np.longdouble).eps < 1e-18 else 4


def ulp_error(actual, exact, unit=None):
    """|actual - exact| in units in the last place of `unit` (None: of exact) in actual's dtype.

    Equal infinities and nan for nan are no error.
    """
    actual, exact = np.asarray(actual), np.asarray(exact, np.longdouble)
    largest = np.finfo(actual.dtype).max
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = exact.astype(actual.dtype)
        size = np.minimum(np.abs(exact if unit is None else unit), largest).astype(actual.dtype)
        error = (np.abs(actual.astype(np.longdouble) - exact) / np.spacing(size)).astype(np.float64)
    same = (actual == rounded) & np.isinf(rounded) | np.isnan(actual) & np.isnan(rounded)
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def assert_ulp(function, actual, exact, note="", unit=None):
    """The error is within the table."""
    actual, exact = np.asarray(actual), np.asarray(exact)
    error = ulp_error(actual, exact, unit)
    allowed = ULP[function, actual.dtype.name] + TWIN_ULP
    if error.size and error.max() > allowed:
        worst = np.unravel_index(error.argmax(), error.shape)
        raise AssertionError(
            f"{function} {actual.dtype} shape {actual.shape} {note}: {error[worst]:.3g} ULP at {worst}, "
            f"{allowed} allowed; got {actual[worst]!r}, expected {exact[worst]!r}"
        )
