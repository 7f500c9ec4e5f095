"""(x - shift) * scale, feature by feature: the one place in Python that applies it, to blocks and to sums of rows.

A linear model of u = (x - shift) * scale is one of x: W u + c = (W * scale) x + c - (W * scale) shift.  Passes over X
make use of that: `_core.Problem` folds the map into parameters, so that no array of u is ever made; only small blocks
of rows are.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Affine:
    """The map x -> (x - shift) * scale.

    Attributes
    ----------
    scale, shift : ndarray (d,) float64, or None for 1 and 0
    """

    scale: np.ndarray | None = None
    shift: np.ndarray | None = None

    @property
    def centre(self):
        """shift * scale (d,): how many units of u the origin of x is from that of u."""
        if self.shift is None:
            return 0.0
        return self.shift if self.scale is None else self.shift * self.scale

    def apply(self, values, out):
        """Write (x - shift) * scale of some rows (m, d) to `out`, in its type."""
        dtype = out.dtype
        if self.shift is None:
            out[...] = values
        else:
            np.subtract(values, self.shift.astype(dtype), out=out, dtype=dtype)
        if self.scale is not None:
            out *= self.scale.astype(dtype)

    def of_sums(self, sums, weights):
        """Sums of u (m, d) from sums of x (m, d) and the weights (m,) of what was added up."""
        if self.shift is not None:
            sums = sums - np.outer(weights, self.shift)
        return sums if self.scale is None else sums * self.scale
