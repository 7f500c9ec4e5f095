"""What is measured, and what it must and should reach: the one place of all cases and targets.

Sizes and targets are the project's; a pass is judged by its time over the machine's limit, a row kernel likewise.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import fit_data
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

    @property
    def has_labels(self):
        return self.function == "cross_entropy_and_grad"


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


@dataclass(frozen=True)
class FitCase:
    """A data set, the suboptimality to reach, scikit-learn's solvers, and by what factor to beat the fastest of them.

    `load` takes the settings.  `against` names the solver that the target is set for, where that need not be the
    fastest.
    """

    name: str
    load: Callable
    to: float
    solvers: tuple
    target: Target
    against: str | None = None


def available(cases):
    """Those of the fits whose data are there."""
    return [case for case in cases if fit_data.has_mnist() or "MNIST" not in case.name]


FITS = (
    FitCase("MNIST", fit_data.mnist_float32, 1e-3, ("newton-cg", "lbfgs"), Target(12, 25, "at least")),
    FitCase(
        "1,000,000 x 50, binary", fit_data.binary, 1e-6, ("newton-cholesky", "newton-cg", "lbfgs"),
        Target(5, 10, "at least"), against="newton-cholesky",
    ),
    FitCase("20,000 x 768, k=1000", fit_data.embeddings, 1e-3, ("lbfgs",), Target(5, 15, "at least")),
)
LABELS = FitCase(
    "100,000 x 512, 100 labels", fit_data.independent_labels, 1e-4, ("newton-cholesky", "newton-cg", "lbfgs"),
    Target(20, 50, "at least"),
)
"""Independent labels: all in one fit by fastlr, one at a time by scikit-learn."""

SPEED_UP = Target(1.7, None, "at least")
"""Of a compute-bound pass on two threads."""
PASS_MEMORY = Target(64)
"""MB beside a memory-mapped X."""
FIT_MEMORY = Target(60)
"""MB beside MNIST's bytes."""
MNIST_SECONDS = Target(3.5, 1.5)
"""A fit of MNIST to a proved 1e-6."""
MNIST_BYTES = Target(1.05, 1.0)
"""Its time as uint8 over that as float32, to 1e-3."""
DEFAULT_FIT = Target(1e-4)
"""Suboptimality, proved and true, of fits with default parameters."""
SMALL_FIT = Target(1, 3, "at least")
"""scikit-learn's time over fastlr's on iris."""
TRAINING_ACCURACY = Target((92.0, 92.4), sense="between")
"""Percent of MNIST's test images after 25 epochs of batches of 256."""
MINI_BATCHES = Target(3, 6, "at least")
"""NumPy's time over fastlr's."""
EPOCH = Target(2.0)
"""An epoch's steps over the limit of one full-batch gradient."""
ONE_AT_A_TIME = Target(10, 30, "at least")
"""SGDClassifier's time, on one thread, over fastlr's."""
CLUSTER_PASS = Target(1.5, 1.2)
"""A pass on a cluster of processes of this machine over one in memory, on as many threads."""
CLUSTER_FIT = Target(5, 20, "at least")
"""dask-ml's time over fastlr's, both on the cluster."""
AGAINST_RELEASE = Target(1.1)
"""A case's time over that of the last release."""
IMPORT_SECONDS = Target(0.3, 0.15)
