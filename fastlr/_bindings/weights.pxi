# Weights of rows whose size would leave the range of float32.

import numpy as np


def moderate_weights(weight):
    """Weights (n,) float64 or None that products in float32 and sums can hold, and e: they were divided by 2^e.

    e is 0, and the weights themselves are returned, unless the largest is far from 1.
    """
    if weight is None or weight.dtype != np.float64 or not weight.size:
        return weight, 0
    largest = weight.max()
    if not 0 < largest < np.inf or 2.0**-60 <= largest <= 2.0**60:
        return weight, 0
    exponent = int(np.frexp(largest)[1]) - 1
    with np.errstate(under="ignore"):
        return np.ldexp(weight, -exponent), exponent
