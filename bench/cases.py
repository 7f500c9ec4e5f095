"""The tables of cases: what is measured, and what it must and should reach.

Sizes and targets are the project's; a pass is judged by its time over the machine's limit, a row kernel likewise.
"""

from dataclasses import dataclass

import numpy as np

from .limits import gemm_rate, read_rate, write_rate
from .table import Target


@dataclass(frozen=True)
class PassCase:
    """One full-batch loss and gradient over X (n, d); k = 1 is binary."""

    n: int
    d: int
    k: int
    dtype: str
    target: Target
    order: str = "C"
    scale: float | None = None

    @property
    def name(self):
        classes = "binary" if self.k == 1 else f"k={self.k}"
        extra = ", Fortran order" if self.order == "F" else ", scale 1/255" if self.scale else ""
        return f"{self.n:,} x {self.d}, {classes}, {self.dtype}{extra}"

    @property
    def loss(self):
        return "sigmoid" if self.k == 1 else "softmax"

    @property
    def real(self):
        """The type that a pass computes in."""
        return "float64" if self.dtype == "float64" else "float32"

    @property
    def peers_read_it(self):
        """Peers have no fast path from other types."""
        return self.dtype in ("float32", "float64")

    def limit(self, times, n):
        """Seconds that n rows need, from the times of the machine's probes."""
        n_bytes = n * self.d * np.dtype(self.dtype).itemsize
        return max(n_bytes / read_rate(times), 4 * n * self.d * self.k / gemm_rate(times))


PASSES = (
    PassCase(1_000_000, 50, 1, "float32", Target(1.5, 1.15)),
    PassCase(1_000_000, 50, 1, "float64", Target(1.5, 1.15)),
    PassCase(60_000, 784, 10, "float32", Target(1.4, 1.15)),
    PassCase(60_000, 784, 10, "uint8", Target(1.5, 1.25), scale=1 / 255),
    PassCase(60_000, 784, 10, "float16", Target(1.6, 1.25)),
    PassCase(60_000, 784, 10, "float64", Target(1.4, 1.15)),
    PassCase(60_000, 784, 10, "float32", Target(1.8, 1.4), order="F"),
    PassCase(100_000, 768, 100, "float32", Target(1.25, 1.1)),
    PassCase(20_000, 768, 1000, "float32", Target(1.1, 1.03)),
)

SCALING = tuple(case for case in PASSES if case.k in (10, 100) and case.dtype == "float32" and case.order == "C")
"""Compute-bound passes that are timed on one thread as well."""


@dataclass(frozen=True)
class RowCase:
    """A function of the rows of logits Z (n, k), or of each element for k = 1."""

    function: str
    n: int
    k: int
    dtype: str
    target: Target

    @property
    def name(self):
        size = f"{self.n:,}" if self.k == 1 else f"{self.n:,} x {self.k:,}"
        return f"{self.function}, {size}, {self.dtype}"

    @property
    def reads_only(self):
        return self.function == "logsumexp"

    def limit(self, times, n):
        """Seconds that n rows need, from the times of the machine's probes."""
        n_bytes = n * self.k * np.dtype(self.dtype).itemsize
        if self.reads_only:
            return n_bytes / read_rate(times)
        n_labels = n if self.function == "cross_entropy_and_grad" else 0
        return (2 * n_bytes + 4 * n_labels) / write_rate(times)


SHAPES = ((1_000_000, 10), (100_000, 100), (10_000, 1000), (1000, 32_000))
WRITERS = ("softmax", "log_softmax", "cross_entropy_and_grad")

ROWS = (
    *(RowCase(f, n, k, "float32", Target(1.8, 1.2)) for f in WRITERS for n, k in SHAPES),
    *(RowCase(f, n, k, "float64", Target(2.0, 1.3)) for f in WRITERS for n, k in SHAPES),
    *(RowCase(f, 1_000_000, 2, "float32", Target(4, 2)) for f in WRITERS),
    *(RowCase("logsumexp", n, k, "float32", Target(2.5, 1.4)) for n, k in SHAPES),
    RowCase("sigmoid", 10_000_000, 1, "float32", Target(1.5, 1.1)),
)

AGAINST_NUMPY = tuple(
    RowCase(f, n, k, "float32", Target(6, 20, "at least"))
    for f in ("softmax", "cross_entropy_and_grad")
    for n, k in (SHAPES[0], SHAPES[2])
)
"""The cases that are judged by NumPy's time over fastlr's."""
