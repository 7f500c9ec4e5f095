"""Machine numbers, one name each."""

import numpy as np

EPS = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)  # what sums are at least, or more by, that are divided by
TINY_SINGLE = float(np.finfo(np.float32).tiny)  # the same in float32
