"""Arrays of compressed sparse rows: what is wrong with them, their transposed copies, sums of their columns."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from csr_problems import random_csr

from fastlr import _core


def test_transposed_copies():
    rng = np.random.default_rng(11)
    for n, d, k, dtype in ((3000, 200, 1, np.float32), (3000, 40, 30, np.float64), (70_000, 70_000, 2, np.float32)):
        data, indices, indptr, _ = random_csr(rng, n, d, 9, dtype, dense=False)
        columns = _core.CsrColumns(data, indices, indptr, d, k, 2)
        rows = columns.block_rows
        assert len(columns.starts) == -(-n // rows) == (2 if k == 30 else 1)
        assert columns.rows.dtype == (np.uint16 if n < 70_000 else np.int32)
        order = np.lexsort((np.arange(len(data)), indices, np.repeat(np.arange(n), np.diff(indptr)) // rows))
        np.testing.assert_array_equal(columns.data, data[order])
        row = np.repeat(np.arange(n), np.diff(indptr))[order]
        np.testing.assert_array_equal(columns.rows, row % rows)
        p = _core.CsrProblem(data, indices, indptr, d, None, k, columns=columns)
        assert p.columns is columns
    with pytest.raises(ValueError, match="copy of other arrays"):
        _core.CsrProblem(data.copy(), indices, indptr, d, None, k, columns=columns)


def test_large_gradients_take_a_transposed_copy_by_themselves():
    rng = np.random.default_rng(12)
    n, d, k = 500, 100_000, 2
    indices = np.sort(rng.integers(0, d, (n, 8)), axis=1).astype(np.int32).ravel()
    indptr, data = np.arange(0, 8 * n + 1, 8, dtype=np.int32), rng.normal(size=8 * n)
    p = _core.CsrProblem(data, indices, indptr, d, None, k, n_threads=2)
    assert p.columns is None
    R = rng.normal(size=(n, k))
    G, _ = p.outer(R)
    assert p.columns is not None
    for c in range(k):
        expected = np.bincount(indices, weights=data * np.repeat(R[:, c], 8), minlength=d)
        np.testing.assert_allclose(G[c], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("n", "d"), [(0, 5), (0, 0), (4, 0), (1, 1)])
def test_empty_parts(n, d):
    data, indices, indptr = np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(n + 1, np.int32)
    for k in (1, 3):
        p = _core.CsrProblem(data, indices, indptr, d, np.zeros(n, np.int32), k, loss="sigmoid", n_threads=2)
        loss, G, g = p.loss_and_grad(np.zeros((k, d)), np.zeros(k))
        np.testing.assert_allclose(loss, n * k * np.log(2))
        assert (G.shape, g.shape) == ((k, d), (k,))
        assert not G.any()
        assert p.logits(np.zeros((k, d)), np.ones(k)).tolist() == [[1.0] * k] * n
    assert _core.csr_first_fault(data, indices, indptr, d, 2) is None
    sums = _core.csr_column_sums(data, indices, indptr, d)
    assert not sums["sums"].any()
    assert np.isinf(sums["smallest"]).all()


@pytest.mark.parametrize(("index", "pointer"), list(itertools.product((np.int32, np.int64), repeat=2)))
def test_faults_are_found_with_their_place(index, pointer):
    rng = np.random.default_rng(4)
    n, d = 70_000, 50
    data, indices, indptr, _ = random_csr(rng, n, d, 4, np.float32, index, pointer)
    nnz = len(data)
    at = nnz - 3
    row = int(np.searchsorted(indptr, at, side="right") - 1)

    def fault(data=data, indices=indices, indptr=indptr, **kwargs):
        found = [_core.csr_first_fault(data, indices, indptr, d, n_threads, **kwargs) for n_threads in (1, 3)]
        assert found[0] == found[1] or found[0][3] != found[0][3]
        return found[0]

    assert fault() is None
    for value in (-1, d, np.iinfo(index).max, np.iinfo(index).min):
        bad = indices.copy()
        bad[at] = value
        assert fault(indices=bad) == ("index", row, at, value)
        bad[10] = value
        assert fault(indices=bad)[2] == 10
    for value in (np.nan, np.inf, -np.inf):
        bad = data.copy()
        bad[at] = value
        what, *place, found = fault(data=bad)
        assert (what, place) == ("value", [row, at])
        np.testing.assert_equal(found, value)
        assert fault(data=bad, values=False) is None
    for value in (-1, np.iinfo(pointer).min, 0):
        bad = indptr.copy()
        bad[n - 9] = value
        assert fault(indptr=bad) == ("falls", n - 10, n - 9, value)
    bad = indptr.copy()
    bad[20] = np.iinfo(pointer).max
    assert fault(indptr=bad) == ("falls", 20, 21, indptr[21])
    bad = indptr.copy()
    bad[-1] = np.iinfo(pointer).max
    assert fault(indptr=bad) == ("end", n - 1, n, np.iinfo(pointer).max)
    assert fault(data=data[:-1]) == fault(indices=indices[:-1]) == ("end", n - 1, n, nnz)
    bad = indptr.copy()
    bad[0] = -1
    assert fault(indptr=bad) == ("start", 0, 0, -1)


def test_column_sums_and_gram_add_duplicates_up_first():
    rng = np.random.default_rng(8)
    for n, d, dtype, distinct in ((500, 30, np.float64, False), (3000, 10, np.float32, False),
                                  (3, 900, np.float64, True)):
        data, indices, indptr, X = random_csr(rng, n, d, 12, dtype, np.int64, distinct=distinct)
        weight = rng.random(n) * (rng.random(n) < 0.8)
        sums = _core.csr_column_sums(data, indices, indptr, d, weight, 2)
        np.testing.assert_allclose(sums["sums"], weight @ X, atol=1e-11)
        np.testing.assert_allclose(sums["squares"], weight @ X**2, rtol=1e-12, atol=1e-11)
        kept = np.abs(X[weight > 0])
        np.testing.assert_array_equal(sums["count"], (kept > 0).sum(axis=0))
        np.testing.assert_allclose(sums["largest"], kept.max(axis=0, initial=0))
        smallest = np.where(kept > 0, kept, np.inf).min(axis=0, initial=np.inf)
        np.testing.assert_allclose(sums["smallest"], smallest, rtol=1e-9)
        np.testing.assert_array_equal(_core.csr_hessian_diagonal(data, indices, indptr, d, weight), sums["squares"])
        columns = rng.permutation(d)[: d // 2]
        G, s = _core.csr_gram(data, indices, indptr, d, columns, weight, 2)
        np.testing.assert_allclose(G, (X[:, columns].T * weight) @ X[:, columns], atol=1e-11)
        np.testing.assert_allclose(s, weight @ X[:, columns], atol=1e-11)
        np.testing.assert_array_equal(G, G.T)
    with pytest.raises(ValueError, match="more than once"):
        _core.csr_gram(data, indices, indptr, d, np.array([1, 1]))
    with pytest.raises(ValueError, match="outside"):
        _core.csr_gram(data, indices, indptr, d, np.array([d]))


def test_arrays_that_kernels_cannot_read_are_refused():
    X = sp.random_array((20, 9), density=0.3, format="csr", rng=np.random.default_rng(1))
    data, indices, indptr = X.data, X.indices, X.indptr
    y, W, b = np.zeros(20, np.int32), np.zeros((2, 9)), np.zeros(2)

    def unaligned(array):
        memory = np.empty(array.nbytes + 1, np.uint8)[1:]
        memory[:] = array.view(np.uint8)
        return memory.view(array.dtype)

    readable = {"data": data, "indices": indices, "indptr": indptr}
    for changed in ({"data": unaligned(data)}, {"indices": unaligned(indices)}, {"indptr": unaligned(indptr)},
                    {"data": data[::2]}, {"data": data.astype(">f8")}, {"data": data.astype(np.float16)},
                    {"indices": indices.astype(np.uint32)}, {"indptr": indptr.astype(float)}, {"indptr": indptr[:0]}):
        parts = list((readable | changed).values())
        with pytest.raises(ValueError, match="expected"):
            _core.CsrProblem(*parts, 9, y, 2)
        with pytest.raises(ValueError, match="expected"):
            _core.csr_first_fault(*parts, 9, 1)
    for arguments in ({"y": np.full(20, 2, np.int32)}, {"y": np.zeros((20, 3))}, {"weight": np.ones(19)},
                      {"scale": np.ones(8)}, {"offset": np.zeros((20, 2), np.float32)}):
        with pytest.raises(ValueError, match="expected"):
            _core.CsrProblem(data, indices, indptr, 9, arguments.pop("y", y), 2, **arguments)
    problem = _core.CsrProblem(data, indices, indptr, 9, y, 2)
    for wrong in (W[:, 1:], W[:1]):
        with pytest.raises(ValueError, match="W has shape"):
            problem.loss_and_grad(wrong, b)
    with pytest.raises(ValueError, match="logits"):
        problem.loss_and_grad_at(np.zeros((20, 2), np.float32))
    with pytest.raises(ValueError, match="y is None"):
        _core.CsrProblem(data, indices, indptr, 9, None, 2).loss_and_grad(W, b)


def test_read_only_and_memory_mapped_parts(tmp_path):
    X = sp.random_array((50, 30), density=0.2, format="csr", rng=np.random.default_rng(2))
    parts = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))
        parts.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    y, W, b = np.arange(50, dtype=np.int32) % 2, np.ones((1, 30)), np.zeros(1)
    problem = _core.CsrProblem(*parts, 30, y, 1, loss="sigmoid")
    np.testing.assert_allclose(problem.logits(W, b)[:, 0], X @ W[0])
    with open(tmp_path / "data.npy", "r+b") as file:
        file.truncate(200)
    with pytest.raises(ValueError, match="cut"):
        problem.loss_and_grad(W, b)
