"""Every elementwise, row and loss kernel x instruction set x dtype x odd length against its NumPy twin in long double.

Failures name kernel, dtype, shape and place.
"""

import numpy as np
import pytest
from problems import LOSSES, REALS, targets, wide
from tolerances import assert_ulp

from fastlr import _core, reference

LENGTHS = (*range(41), 100, 1000)


def exact(kernel, *args):
    """The twin of that name in long double."""
    twin = {"exp": np.exp, "log": np.log}.get(kernel) or getattr(reference, kernel)
    with np.errstate(all="ignore"):
        return twin(*(np.asarray(a, np.longdouble) for a in args))


def special_values(kernel, dtype):
    """Where elementwise kernels tend to break: zeros, subnormals, the ends of the range, infinities, nan."""
    info = np.finfo(dtype)
    if kernel in ("log", "logit"):
        near_half = 0.5 + np.array([-1, 1, 3, -1000]) * info.eps
        ends = [0, 1, info.tiny, info.smallest_subnormal, 1 - info.epsneg, 0.25, 0.75, 0.5, np.nan]
        return np.concatenate([ends, near_half, [2, info.max, np.inf] if kernel == "log" else []]).astype(dtype)
    edge = float(np.log(info.max)), float(np.log(info.smallest_subnormal)), float(np.log(info.tiny))
    values = [0, info.tiny, info.eps, 0.3, 1, 17, 1e4, info.max, np.inf, *edge]
    return np.array([*values, *(-v for v in values), np.nan], dtype)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("kernel", ["exp", "log", "sigmoid", "sigmoid_derivative", "log_sigmoid", "logit"])
def test_elementwise_kernels(isa, kernel, dtype):
    rng = np.random.default_rng(0)
    special = special_values(kernel, dtype)
    for n in LENGTHS:
        z = rng.random(n) if kernel in ("log", "logit") else rng.normal(size=n) * rng.choice([0.1, 1, 8, 60], n)
        z = z.astype(dtype)
        z[: len(special)] = special[:n]
        rng.shuffle(z)
        out = np.full(n + 2, 77, dtype)
        _core.map(kernel, z, out[1:-1], 1)
        assert_ulp(kernel, out[1:-1], exact(kernel, z), f"length {n}")
        assert out[0] == out[-1] == 77, f"{kernel} {dtype} length {n} wrote beyond its destination"
        _core.map(kernel, z, z, 1)
        np.testing.assert_array_equal(z, out[1:-1], f"{kernel} {dtype} length {n} in place")


def logits(rng, n, k, sigma, dtype):
    """Rows of normal logits, the last few with ties, infinities, nan and subnormal results."""
    Z = (sigma * rng.normal(size=(n, k))).astype(dtype)
    peculiar = [(0.0,) * 4, (-np.inf, 0, 0, 0), (np.inf, 0, 0, 0), (-np.inf,) * 4, (np.nan, 0, 0, 0),
                (40, 0, 0, 0), (0, -np.log(np.finfo(dtype).max) - 3, 0, 0), (1e4, -1e4, 1e4, 0)]
    for row, values in zip(Z[::-1], peculiar, strict=False):
        row[:] = np.resize(np.array(values, dtype), k)
    return Z


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("kernel", ["softmax", "log_softmax", "logsumexp"])
def test_row_kernels(isa, kernel, dtype):
    rng = np.random.default_rng(1)
    for k in LENGTHS[1:]:
        for n in (1, 2, 7, 17, 33):
            Z = logits(rng, n, k, rng.choice([1, 8, 100]), dtype)
            expected = exact(kernel, Z)
            out = np.full(expected.size + 2, 77, dtype)
            inner = out[1:-1].reshape(expected.shape)
            _core.rows(kernel, Z, inner, 1)
            unit = None
            if kernel == "logsumexp":  # near zero the maximum and the logarithm cancel, in any working precision
                unit = np.maximum(np.abs(expected), np.abs(np.where(np.isfinite(Z), Z, 0)).max(axis=1))
            assert_ulp(kernel, inner, expected, f"rows {Z.shape}", unit)
            assert out[0] == out[-1] == 77, f"{kernel} {dtype} {Z.shape} wrote beyond its destination"
            if kernel != "logsumexp":
                _core.rows(kernel, Z, Z, 1)
                np.testing.assert_array_equal(Z, inner, f"{kernel} {dtype} {Z.shape} in place")


@pytest.mark.parametrize("k", [1000, 5000, 32_000])
@pytest.mark.parametrize("dtype", REALS)
def test_long_rows(isa, k, dtype):
    rng = np.random.default_rng(k)
    for spread in (0.01, 1, 8, 100):
        Z = (spread * rng.normal(size=(4, k))).astype(dtype)
        Z[0] = Z[0, 0]  # errors of equal terms have one sign
        for kernel in ("softmax", "log_softmax", "logsumexp"):
            out = np.empty(4 if kernel == "logsumexp" else Z.shape, dtype)
            _core.rows(kernel, Z, out, 1)
            assert_ulp(kernel, out, exact(kernel, Z), f"spread {spread}, k = {k}")
        y, losses = rng.integers(0, k, 4).astype(np.int32), np.empty(4, dtype)
        _core.residual("softmax", Z, y, loss_out=losses)
        assert_ulp("cross_entropy", losses, -exact("log_softmax", Z)[np.arange(4), y], f"spread {spread}, k = {k}")


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("loss", LOSSES)
def test_residual_kernels(isa, loss, dtype):
    rng = np.random.default_rng(2)
    eps = np.finfo(dtype).eps
    for k in (*range(1, 20), 31, 33, 100, 1000):
        for n, kind in ((1, "labels"), (17, "labels"), (35, "labels"), (18, "targets")):
            for weighted, smoothing in ((False, 0.0), (True, 0.1)):
                Z = (rng.choice([1, 8, 100]) * rng.normal(size=(n, k))).astype(dtype)
                y, Y = targets(rng, loss, n, k, dtype, kind)
                Y = Y if loss == "squared_error" else reference.smooth(loss, *wide(Y), smoothing)
                weight = rng.random(n) + 0.1 if weighted else None
                note = f"{loss} {dtype} {Z.shape} {kind} weighted={weighted} smoothing={smoothing}"
                losses, R = reference.residual(loss, *wide(Z, Y), 1.0 if weight is None else weight)
                R_out, loss_out = np.empty((n, k), dtype), np.empty(n, dtype)
                total = _core.residual(loss, Z, y, weight=weight, grad_scale=0.5, R_out=R_out, loss_out=loss_out,
                                       smoothing=0.0 if loss == "squared_error" else smoothing)
                if loss == "softmax" and kind == "labels" and smoothing == 0:
                    assert_ulp("cross_entropy", loss_out, losses, note)
                size = np.abs(Z).max() ** (2 if loss == "squared_error" else 1) * (1 if loss == "softmax" else k) + 1
                np.testing.assert_allclose(loss_out, losses.astype(float), 8 * eps, 8 * eps * size, err_msg=note)
                np.testing.assert_allclose(total, float(losses.sum()), 8 * eps, 8 * eps * size * n, err_msg=note)
                np.testing.assert_allclose(R_out, 0.5 * R.astype(float), 8 * eps, 8 * eps, err_msg=note)
                again = _core.residual(loss, Z, y, weight=weight, grad_scale=0.5, R_out=Z,
                                       smoothing=0.0 if loss == "squared_error" else smoothing)
                assert again == total, note
                np.testing.assert_array_equal(Z, R_out, f"{note} in place")
