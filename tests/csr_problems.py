"""Random arrays of compressed sparse rows, for the tests of their kernels."""

import numpy as np


def random_csr(rng, n, d, mean, dtype=np.float64, index=np.int32, pointer=np.int64, distinct=False, dense=True):
    """Arrays of rows that are unsorted, have duplicates, explicit zeros and nothing at all, and the dense float64 X."""
    lengths = rng.poisson(mean, n) * (rng.random(n) < 0.8)
    if d == 0:
        lengths[:] = 0
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(pointer)
    indices = rng.integers(0, max(d, 1), indptr[-1]).astype(index)
    if distinct:
        for i in range(n):
            count = min(lengths[i], d)
            indices[indptr[i] : indptr[i] + count] = np.sort(rng.permutation(d)[:count])
    data = (rng.normal(size=len(indices)) * (rng.random(len(indices)) < 0.9)).astype(dtype)
    if not dense:
        return data, indices, indptr, None
    X = np.zeros((n, d))
    np.add.at(X, (np.repeat(np.arange(n), np.diff(indptr)), indices), data.astype(np.float64))
    return data, indices, indptr, X


def absolute(data, indices, indptr, d):
    """|X| with the sizes of duplicates added up: what rounding errors are measured against."""
    A = np.zeros((len(indptr) - 1, d))
    np.add.at(A, (np.repeat(np.arange(len(A)), np.diff(indptr)), indices), np.abs(data).astype(np.float64))
    return A
