"""What the machine can do for a case, measured in the same rounds as the contestants by code that is not fastlr's.

Each probe works on arrays of the case's own size, so that they lie in cache where the case's do:

read      one pass over an array: dot products of the halves of a part, a part a thread; two streams a thread keep more
          of memory's requests in flight than one
scale     y = c * x, which reads, computes and writes as the row kernels do, a part a thread
copy      np.copyto likewise: the C library writes large arrays past the caches, as the row kernels do, which spares
          memory the reading of what is overwritten; `scale` does not
products  the two products of a gradient, X W' and R'X, of the case's own n, d, k, by SciPy's BLAS on all threads
square    a product of square matrices likewise: what BLAS reaches where the case's shape does not suit it

Limit of a pass over X (n, d) with k classes: the longer of `read` over X's bytes, and the faster of `products` and
4 n d k operations at the rate of `square`; softmax needs but k - 1 of its k classes, so both count with (k - 1) / k.
Limit of a row kernel: the faster of `scale` and `copy` from as many bytes to as many (with labels, half of theirs added
to both); of logsumexp, which writes next to nothing, `read` over the bytes of Z.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.linalg.blas import dgemm, sgemm

BUFFER_BYTES = 512 << 20
"""Of the rates that the head of a run names; no limit is made of them."""
SQUARE = 2048


def read(n_bytes, n_threads):
    """Read so many bytes once."""
    x = np.ones(n_bytes // 4, np.float32)
    parts = [np.array_split(part[: len(part) // 2 * 2], 2) for part in np.array_split(x, n_threads)]
    return _on_threads(np.dot, parts)  # np.dot drops the GIL, as the ufuncs below do


def scale(n_bytes, dtype, n_threads):
    """Read so many bytes and write as many."""
    c = np.dtype(dtype).type(1.5)
    return _on_threads(lambda x, y: np.multiply(x, c, out=y), _pairs(n_bytes, dtype, n_threads))


def copy(n_bytes, dtype, n_threads):
    """Copy so many bytes."""
    return _on_threads(lambda x, y: np.copyto(y, x), _pairs(n_bytes, dtype, n_threads))


def products(n, d, k, dtype):
    """X W' (n, k) and R'X (k, d), both with results in place."""
    gemm = _gemm(dtype)
    XT, R, W, G = (np.ones(shape, dtype, order="F") for shape in ((d, n), (k, n), (d, k), (d, k)))

    def run():
        gemm(1.0, W, XT, c=R, trans_a=1, overwrite_c=1)
        gemm(1.0, XT, R, c=G, trans_b=1, overwrite_c=1)

    return run


def square(size, dtype):
    """One product of square matrices."""
    gemm = _gemm(dtype)
    A, B, C = (np.ones((size, size), dtype, order="F") for _ in range(3))
    return lambda: gemm(1.0, A, B, c=C, overwrite_c=1)


def probes_of_pass(case, n, settings):
    """The probes of a `cases.PassCase` on n rows."""
    return {
        "read": read(n * case.d * np.dtype(case.dtype).itemsize, settings.n_threads),
        "products": products(n, case.d, case.k, case.real),
        "square": square(settings.square, case.real),
    }


def limit_of_pass(case, n, settings, times):
    """Seconds that n rows need, from the times of `probes_of_pass`."""
    needed = max(case.k - 1, 1) / case.k
    at_square_rate = 4 * n * case.d * case.k * times["square"] / (2 * settings.square**3)
    return max(times["read"], needed * min(times["products"], at_square_rate))


def probes_of_rows(case, n, settings):
    """The probes of a `cases.RowCase` on n rows; the limit is the fastest of them."""
    n_bytes = n * case.k * np.dtype(case.dtype).itemsize
    if case.reads_only:
        return {"read": read(n_bytes, settings.n_threads)}
    n_bytes += 2 * n * case.has_labels
    return {name: f(n_bytes, case.dtype, settings.n_threads) for name, f in (("y = c * x", scale), ("copy", copy))}


def _pairs(n_bytes, dtype, n_threads):
    """Parts of two arrays of so many bytes each, a pair a thread."""
    arrays = (np.ones(n_bytes // np.dtype(dtype).itemsize, dtype) for _ in range(2))
    return list(zip(*(np.array_split(array, n_threads) for array in arrays), strict=True))


def _on_threads(function, parts):
    """A call that applies function to each part, one in this thread and the others in threads of a pool."""
    pool = ThreadPoolExecutor(max(1, len(parts) - 1))

    def run():
        others = [pool.submit(function, *part) for part in parts[1:]]
        function(*parts[0])
        for other in others:
            other.result()

    return run


def _gemm(dtype):
    return sgemm if dtype == "float32" else dgemm
