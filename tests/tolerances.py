"""What the tests allow: for single results the table of fastlr.bench.ulp, which docs/numerics.md is measured against.

Sums over rows (passes over X) are held to PASS_EPS (Gram matrices: GRAM_EPS) machine epsilons of what was added up, all
signs positive; rows of any shape to ROW_EPS, of the value or of 1; mean losses and their gradients to LOSS_EPS.
TRAINED is the largest distance of weights after some epochs from the twin's, relative to the largest weight, by the
type a batch computes in.  Tighten an entry when a kernel improves; never loosen one without saying why.
"""

import numpy as np
from fastlr.bench.ulp import ULP, ulp_error

PASS_EPS = 4
GRAM_EPS = 8  # 192 rows are added up in the tile's type, and a chunk's tiles likewise
ROW_EPS = 16  # not in units in the last place: the judge of single results is the table of ULP
LOSS_EPS = 20  # 30 rows are added up
TRAINED = {"float64": 1e-12, "float32": 2e-5}

# a long double of 64 bits (Windows, macOS on Arm) is no better than float64: the twin's own error then counts as well
TWIN_ULP = 0 if np.finfo(np.longdouble).eps < 1e-18 else 4


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
