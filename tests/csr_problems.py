"""Random arrays of compressed sparse rows, for the tests of their kernels and of what trains on them."""

import numpy as np
from scipy import sparse
from tolerances import TRAINED


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


TASKS = [("softmax", 2), ("softmax", 3), ("sigmoid", 2), ("sigmoid", 4), ("squared_error", 2), ("squared_error", 3),
         ("sigmoid", "labels"), ("softmax", "probabilities"), ("squared_error", "probabilities")]


def make_task(rng, n, d, outputs, dtype=np.float64, index=np.int32, mean=4):
    """CSR with entries in any order, some twice; the same written out; y as a user has it."""
    data, indices, indptr, dense = random_csr(rng, n, d, mean, dtype, index, index)
    X = sparse.csr_array((n, d), dtype=dtype)
    X.data, X.indices, X.indptr = data, indices, indptr
    if outputs == "labels":
        y = (rng.random((n, 3)) < 0.4).astype(float)
    elif outputs == "probabilities":
        y = rng.dirichlet(np.ones(3), size=n)
    else:
        y = rng.permutation(np.append(np.arange(outputs), rng.integers(0, outputs, n - outputs)))
    return X, dense, y


def assert_close(one, other, real="float64", n_steps=1):
    size = max(np.abs(other).max(initial=0), 1e-3)
    np.testing.assert_allclose(one, other, rtol=0, atol=n_steps * TRAINED[real] * size)
