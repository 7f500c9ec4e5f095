"""What the machine can do, measured beside the contestants by code that is not fastlr's.

read   bytes/s: dot products of the halves of a large array, a Python thread for each part (np.dot drops the GIL); two
       streams a thread keep more of memory's requests in flight than one
write  bytes/s read plus written of y = c * x, which reads, computes and writes as the row kernels do
copy   the same of np.copyto, for comparison: the C library's copy past the caches
gemm   flop/s: the product of two square matrices by SciPy's BLAS on all threads

Limit of a pass over X (n, d) with k classes: max(bytes of X / read, 4 n d k / gemm): X need cross the memory bus once.
Limit of a row kernel: its bytes read and written / write; logsumexp writes next to nothing: bytes of Z / read.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from scipy.linalg.blas import dgemm, sgemm

BUFFER_BYTES = 512 << 20
GEMM_SIZE = 2048


class Probes:
    """Contestants that measure the machine, and the rates that follow from their times.

    Parameters
    ----------
    n_threads : int
    """

    def __init__(self, n_threads):
        self.n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads)

    @cached_property
    def _buffers(self):
        x, y = (np.ones(BUFFER_BYTES // 4, np.float32) for _ in range(2))
        return np.array_split(x, self.n_threads), np.array_split(y, self.n_threads)

    def _on_parts(self, function):
        list(self._pool.map(function, *self._buffers))

    def read(self):
        """Read one buffer."""
        self._on_parts(lambda x, y: np.dot(x[: len(x) // 2], x[-(len(x) // 2) :]))

    def copy(self):
        """Copy one buffer to another."""
        self._on_parts(lambda x, y: np.copyto(y, x))

    def multiply(self):
        """Multiply one buffer by a constant into another."""
        self._on_parts(lambda x, y: np.multiply(x, np.float32(1.5), out=y))

    @cached_property
    def _matrices(self):
        return {
            dtype: [np.ones((GEMM_SIZE, GEMM_SIZE), dtype, order="F") for _ in range(3)]
            for dtype in ("float32", "float64")
        }

    def gemm(self, dtype):
        """One product of square matrices."""
        A, B, C = self._matrices[dtype]
        multiply = sgemm if dtype == "float32" else dgemm
        multiply(1.0, A, B, c=C, overwrite_c=1)

    def reading(self):
        """Contestants that give `read`."""
        return {"read": self.read}

    def writing(self):
        """Contestants that give `write`."""
        return {"write": self.multiply}

    def copying(self):
        """Contestants that give `copy`."""
        return {"copy": self.copy}

    def multiplying(self, dtype):
        """Contestants that give `gemm` of a dtype."""
        return {"gemm": lambda: self.gemm(dtype)}


def read_rate(times):
    """Bytes per second, from the times of `Probes.reading`."""
    return BUFFER_BYTES / times["read"]


def write_rate(times):
    """Bytes read plus written per second, from the times of `Probes.writing`."""
    return 2 * BUFFER_BYTES / times["write"]


def copy_rate(times):
    """Bytes read plus written per second, from the times of `Probes.copying`."""
    return 2 * BUFFER_BYTES / times["copy"]


def gemm_rate(times):
    """Floating point operations per second, from the times of `Probes.multiplying`."""
    return 2 * GEMM_SIZE**3 / times["gemm"]
