"""Passes over compressed sparse rows against NumPy in float64, and what is found wrong with such arrays."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from tolerances import PASS_EPS

from fastlr import _core

LOSSES = ("softmax", "sigmoid", "squared_error")


def random_csr(rng, n, d, mean, dtype=np.float64, index=np.int32, pointer=np.int64, distinct=False):
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
    X = np.zeros((n, d))
    np.add.at(X, (np.repeat(np.arange(n), np.diff(indptr)), indices), data.astype(np.float64))
    return data, indices, indptr, X


def absolute(data, indices, indptr, d):
    """|X| with the sizes of duplicates added up: what rounding errors are measured against."""
    A = np.zeros((len(indptr) - 1, d))
    np.add.at(A, (np.repeat(np.arange(len(A)), np.diff(indptr)), indices), np.abs(data).astype(np.float64))
    return A


def targets(rng, loss, n, k, dtype, kind):
    if kind == "labels":
        return rng.integers(0, 2 if k == 1 and loss != "softmax" else k, n).astype(np.int32)
    Y = rng.random((n, k))
    return (Y / Y.sum(axis=1, keepdims=True) if loss == "softmax" else Y).astype(dtype)


def expected_residuals(Z, y, loss, weight):
    """Loss sum and residuals (n, k) at logits Z, in float64."""
    n, k = Z.shape
    Y = np.eye(k)[y] if y.ndim == 1 and (k > 1 or loss == "softmax") else y.astype(float).reshape(n, k)
    w = np.ones(n) if weight is None else weight
    if loss == "softmax":
        shifted = Z - Z.max(axis=1, keepdims=True, initial=0)
        log_total = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        losses = (Y * (log_total - shifted)).sum(axis=1)
        A = np.exp(shifted - log_total) * Y.sum(axis=1, keepdims=True)
    elif loss == "sigmoid":
        losses = (np.logaddexp(0, Z) - Y * Z).sum(axis=1)
        A = 1 / (1 + np.exp(-Z))
    else:
        losses = ((Z - Y) ** 2).sum(axis=1) / 2
        A = Z
    return w @ losses, w[:, None] * (A - Y)


def curvature(Z, U, loss, weight):
    """Weighted (dA/dZ) U in float64."""
    if loss == "softmax":
        A = np.exp(Z - Z.max(axis=1, keepdims=True, initial=0))
        A /= A.sum(axis=1, keepdims=True)
        H = A * (U - (A * U).sum(axis=1, keepdims=True))
    elif loss == "sigmoid":
        A = 1 / (1 + np.exp(-Z))
        H = A * (1 - A) * U
    else:
        H = U
    return H if weight is None else weight[:, None] * H


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("k", [1, 2, 3, 5, 9, 20, 37, 70])
def test_passes_agree_with_dense_float64(loss, k, dtype):
    rng = np.random.default_rng([k, LOSSES.index(loss), np.dtype(dtype).itemsize])
    eps = np.finfo(dtype).eps
    for case, (index, pointer) in enumerate(itertools.product((np.int32, np.int64), repeat=2)):
        n, d = int(rng.integers(1, 400)), int(rng.integers(1, 90))
        data, indices, indptr, X = random_csr(rng, n, d, 7, dtype, index, pointer)
        y = targets(rng, loss, n, k, dtype, ("labels", "targets")[case % 2])
        weight = None if case == 0 else rng.random(n) * (rng.random(n) < 0.8)
        offset = rng.normal(size=(n, k)).astype(dtype) if case >= 2 else None
        scale, shift = (rng.random(d) + 0.5, rng.normal(size=d)) if case == 3 else (None, None)
        W, V, b, c = rng.normal(size=(k, d)) / 3, rng.normal(size=(k, d)) / 3, rng.normal(size=k), rng.normal(size=k)
        problem = _core.CsrProblem(data, indices, indptr, d, y, k, loss=loss, weight=weight, offset=offset, scale=scale,
                                   shift=shift)
        assert (problem.n, problem.d, problem.k, problem.real) == (n, d, k, dtype)
        size = absolute(data, indices, indptr, d) + (0 if shift is None else np.abs(shift))
        Xs = (X - (0 if shift is None else shift)) * (1 if scale is None else scale)
        size = size * (1 if scale is None else scale)
        Z = Xs @ W.T + b + (0 if offset is None else offset)
        Z_size = size @ np.abs(W).T + np.abs(b) + (0 if offset is None else np.abs(offset))
        error = 2 * PASS_EPS * eps * Z_size.max(initial=0)
        np.testing.assert_allclose(problem.logits(W, b), Z, rtol=0, atol=error)

        loss_sum, R = expected_residuals(Z, y, loss, weight)
        total = np.abs(R).sum() + n * k
        at = Z.astype(dtype)
        for got in (problem.loss_and_grad(W, b), problem.loss_and_grad_at(at)):
            np.testing.assert_allclose(got[0], loss_sum, rtol=1e-13, atol=total * error)
            reach = (np.abs(R) + error + 8 * eps * (1 + np.abs(Z))).T @ size
            assert (np.abs(got[1] - R.T @ Xs) <= 8 * PASS_EPS * (eps * reach + error * size.sum(axis=0))).all()
            each = error + 8 * eps * (1 + np.abs(Z).max())
            np.testing.assert_allclose(got[2], R.sum(axis=0), rtol=0, atol=n * each)

        H = curvature(Z, Xs @ V.T + c, loss, weight)
        reach = 16 * PASS_EPS * eps * (size.sum(axis=0) + 1) * (1 + Z_size.max())
        reach *= (size @ np.abs(V).T + np.abs(c)).max()
        for got in (problem.hessp(W, b, V, c), problem.hessp_at(at, V, c)):
            assert (np.abs(got[0] - H.T @ Xs) <= reach).all()
            np.testing.assert_allclose(got[1], H.sum(axis=0), rtol=0, atol=n * reach.max())

        R = rng.normal(size=(n, k)).astype(dtype)
        G, g = problem.outer(R)
        R, empty = R.astype(float), 0 if shift is None else -shift * scale
        read = Xs if weight is None else np.where(weight[:, None] == 0, empty, Xs)
        assert (np.abs(G - R.T @ read) <= PASS_EPS * eps * np.abs(R).T @ size + 1e-300).all()
        np.testing.assert_allclose(g, R.sum(axis=0), rtol=0, atol=1e-13 * n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 4, 300, 1000])
def test_bits_do_not_depend_on_threads(dtype, k):
    rng = np.random.default_rng(k)
    n, d = 6000 if k < 10 else 900, 60
    data, indices, indptr, _ = random_csr(rng, n, d, 40, dtype)
    y = rng.integers(0, max(k, 2), n).astype(np.int32)
    loss = "sigmoid" if k == 1 else "softmax"
    W, b = rng.normal(size=(k, d)), rng.normal(size=k)
    weight = rng.random(n) * (rng.random(n) < 0.9)

    def results(n_threads):
        p = _core.CsrProblem(data, indices, indptr, d, y, k, loss=loss, weight=weight, n_threads=n_threads)
        Z = p.logits(W, b)
        sums = _core.csr_column_sums(data, indices, indptr, d, weight, n_threads)
        gram = _core.csr_gram(data, indices, indptr, d, np.arange(0, d, 2), weight, n_threads)
        return [Z, *p.loss_and_grad(W, b), *p.hessp(W, b, W[::-1].copy(), b), *p.hessp_at(Z, W, b), *p.outer(Z),
                *sums.values(), *gram]

    for n_threads in (2, 3):
        for one, more in zip(results(1), results(n_threads), strict=True):
            np.testing.assert_array_equal(one, more)


@pytest.mark.parametrize("k", [1, 3, 20])
def test_rows_of_weight_0_may_hold_anything_and_nan_stays_in_its_row(k):
    rng = np.random.default_rng(k)
    n, d = 300, 40
    data, indices, indptr, _ = random_csr(rng, n, d, 9, np.float32)
    bad = [i for i in range(n) if indptr[i + 1] > indptr[i]][::5]
    weight = np.ones(n)
    weight[bad] = 0
    spoilt = data.copy()
    for i in bad:
        spoilt[indptr[i] : indptr[i + 1]] = [np.nan, np.inf][i % 2]
    y = rng.integers(0, max(k, 2), n).astype(np.int32)
    W, b = rng.normal(size=(k, d)), rng.normal(size=k)
    loss = "sigmoid" if k == 1 else "softmax"
    R = rng.normal(size=(n, k)).astype(np.float32)
    results = []
    for values in (data, spoilt):
        p = _core.CsrProblem(values, indices, indptr, d, y, k, loss=loss, weight=weight, n_threads=2)
        results.append([*p.loss_and_grad(W, b), *p.hessp(W, b, W, b), *p.outer(R),
                        *_core.csr_column_sums(values, indices, indptr, d, weight, 2).values(),
                        *_core.csr_gram(values, indices, indptr, d, np.arange(d), weight, 2)])
    for clean, other in zip(*results, strict=True):
        np.testing.assert_array_equal(clean, other)
    Z, clean = (_core.CsrProblem(values, indices, indptr, d, None, k).logits(W, b) for values in (spoilt, data))
    rest = np.setdiff1d(np.arange(n), bad)
    np.testing.assert_array_equal(Z[rest], clean[rest])
    assert not np.isfinite(Z[bad]).all(axis=1).any()


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
