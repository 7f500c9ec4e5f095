"""Passes over compressed sparse rows against NumPy in float64."""

import itertools

import numpy as np
import pytest
from csr_problems import absolute, random_csr
from tolerances import PASS_EPS

from fastlr import _core

LOSSES = ("softmax", "sigmoid", "squared_error")


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
        columns = _core.CsrColumns(data, indices, indptr, d, k) if rng.random() < 0.5 else None
        problem = _core.CsrProblem(data, indices, indptr, d, y, k, loss=loss, weight=weight, offset=offset, scale=scale,
                                   shift=shift, columns=columns)
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
@pytest.mark.parametrize("by_column", [False, True])
def test_bits_do_not_depend_on_threads(dtype, k, by_column):
    rng = np.random.default_rng(k)
    n, d = 6000 if k < 10 else 900, 60
    data, indices, indptr, _ = random_csr(rng, n, d, 40, dtype)
    y = rng.integers(0, max(k, 2), n).astype(np.int32)
    loss = "sigmoid" if k == 1 else "softmax"
    W, b = rng.normal(size=(k, d)), rng.normal(size=k)
    weight = rng.random(n) * (rng.random(n) < 0.9)

    def results(n_threads):
        columns = _core.CsrColumns(data, indices, indptr, d, k, n_threads) if by_column else None
        p = _core.CsrProblem(data, indices, indptr, d, y, k, loss=loss, weight=weight, n_threads=n_threads,
                             columns=columns)
        Z = p.logits(W, b)
        sums = _core.csr_column_sums(data, indices, indptr, d, weight, n_threads)
        gram = _core.csr_gram(data, indices, indptr, d, np.arange(0, d, 2), weight, n_threads)
        return [Z, *p.loss_and_grad(W, b), *p.hessp(W, b, W[::-1].copy(), b), *p.hessp_at(Z, W, b), *p.outer(Z),
                *sums.values(), *gram]

    for n_threads in (2, 3):
        for one, more in zip(results(1), results(n_threads), strict=True):
            np.testing.assert_array_equal(one, more)


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_rows_of_weight_0_may_hold_anything_and_nan_stays_in_its_row(k, by_column):
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
        columns = _core.CsrColumns(values, indices, indptr, d, k) if by_column else None
        p = _core.CsrProblem(values, indices, indptr, d, y, k, loss=loss, weight=weight, n_threads=2, columns=columns)
        results.append([*p.loss_and_grad(W, b), *p.hessp(W, b, W, b), *p.outer(R),
                        *_core.csr_column_sums(values, indices, indptr, d, weight, 2).values(),
                        *_core.csr_gram(values, indices, indptr, d, np.arange(d), weight, 2)])
    for clean, other in zip(*results, strict=True):
        # where a copy has values that are not finite its sums are double, as is their order
        np.testing.assert_allclose(clean, other, rtol=2e-5 if by_column else 0, atol=2e-5 if by_column else 0)
    Z, clean = (_core.CsrProblem(values, indices, indptr, d, None, k).logits(W, b) for values in (spoilt, data))
    rest = np.setdiff1d(np.arange(n), bad)
    np.testing.assert_array_equal(Z[rest], clean[rest])
    assert not np.isfinite(Z[bad]).all(axis=1).any()
