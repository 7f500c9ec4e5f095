"""Residuals A - Y keep their digits, weights their range, and rows their bits whatever other rows hold."""

import numpy as np
import pytest
from problems import LOSSES, REALS, targets
from tolerances import assert_ulp

import fastlr
from fastlr import _core

L = np.longdouble
FAR = {"float32": 103, "float64": 744}  # exp(-z) is not 0 yet


def residual(loss, Z, y, **options):
    """The residuals R and the losses of the rows."""
    R, losses = np.empty_like(Z), np.empty(len(Z), Z.dtype)
    _core.residual(loss, Z, y, R_out=R, loss_out=losses, **options)
    return R, losses


def exact_residual(loss, Z, Y, smoothing=0.0):
    """A - Y as A (1 - Y) - Y (1 - A) in long double, and the larger of the two."""
    Z, Y, s, k = Z.astype(L), Y.astype(L), L(smoothing), Z.shape[1]
    if loss == "sigmoid":
        outcomes = max(k, 2)
        A, one_less_A = 1 / (1 + np.exp(-Z)), 1 / (1 + np.exp(Z))
        one_less_Y = (1 - s) * (1 - Y) + (s - s / outcomes)
    else:
        outcomes, others = k, 1 - np.eye(k, dtype=L)
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        A, one_less_A = E / E.sum(axis=1, keepdims=True), E @ others / E.sum(axis=1, keepdims=True)
        one_less_Y = ((1 - s) * Y + s / outcomes) @ others
    over, under = A * one_less_Y, ((1 - s) * Y + s / outcomes) * one_less_A
    return over - under, np.maximum(over, under)


def grid(dtype):
    """Logits up to where exp(-z) vanishes, the round ones among them."""
    z = np.random.default_rng(0).uniform(-FAR[dtype], FAR[dtype], 1000)
    return np.concatenate([[8, 20, 37, 100, 0], np.linspace(-40, 40, 501), z]).astype(dtype)


# ---- digits ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1e-6])
@pytest.mark.parametrize("dtype", REALS)
def test_binary_residuals_keep_their_digits(isa, dtype, smoothing):
    z, rng = grid(dtype)[:, None], np.random.default_rng(1)
    ones = np.ones(len(z), np.int32)
    for y in (ones, ones[:, None].astype(dtype), rng.random(z.shape).astype(dtype)):
        R, _ = residual("sigmoid", z, y, smoothing=smoothing)
        exact, unit = exact_residual("sigmoid", z, y.reshape(-1, 1), smoothing)
        assert_ulp("residual", R, exact, f"smoothing {smoothing}", unit)
        if y.ndim == 1 or y.min() == 1:
            mirrored, unlike = residual("sigmoid", -z, 1 - y, smoothing=smoothing)[0], z != 0
            np.testing.assert_array_equal(R[unlike], -mirrored[unlike])


@pytest.mark.parametrize("k", [2, 3, 20])
@pytest.mark.parametrize("dtype", REALS)
def test_residuals_of_independent_labels_keep_their_digits(isa, dtype, k):
    rng = np.random.default_rng(k)
    Z = np.resize(rng.permutation(grid(dtype)), (300, k))
    for kind in ("labels", "targets"):
        y, Y = targets(rng, "sigmoid", 300, k, dtype, kind)
        exact, unit = exact_residual("sigmoid", Z, Y)
        assert_ulp("residual", residual("sigmoid", Z, y)[0], exact, kind, unit)


@pytest.mark.parametrize("k", [2, 3, 10, 64, 65, 200])
@pytest.mark.parametrize("dtype", REALS)
def test_softmax_residuals_keep_their_digits(isa, dtype, k):
    rng = np.random.default_rng(k)
    z = grid(dtype)[:400]
    Z = np.minimum(z, 0)[:, None] - rng.random((len(z), k)) * (k > 2)
    y = rng.integers(0, k, len(z)).astype(np.int32)
    Z[np.arange(len(z)), y] = np.maximum(z, 0)
    Z = Z.astype(dtype)
    one_hot = np.eye(k, dtype=dtype)[y]
    soft = (0.9999 * one_hot + 0.0001 * rng.dirichlet(np.ones(k), len(z))).astype(dtype)
    for target, smoothing in ((y, 0.0), (y, 0.1), (y, 1e-6), (one_hot, 0.0), (soft, 0.0), (soft, 0.1)):
        R, _ = residual("softmax", Z, target, smoothing=smoothing)
        exact, unit = exact_residual("softmax", Z, one_hot if target is y else target, smoothing)
        if k > 2:  # a sum of subnormal terms, each of them rounded
            unit = np.maximum(unit, k * np.finfo(dtype).tiny)
        assert_ulp("residual of softmax" if k > 2 or target is soft or smoothing else "residual", R, exact,
                   f"k = {k} smoothing {smoothing}", unit)
        if target is y and smoothing == 0:
            tiny, largest = np.finfo(dtype).tiny, np.abs(R).max(axis=1)
            assert np.all(np.abs(R.astype(L).sum(axis=1)) <= 4 * np.finfo(dtype).eps * largest + k * tiny)
            own = R[np.arange(len(z)), y]
            normal = np.abs(own) > k * tiny
            others = np.where(np.arange(k) == y[:, None], 0, R.astype(L)).sum(axis=1)
            assert_ulp("residual", own[normal], -others[normal], f"k = {k}: minus the sum of the others")
        if k == 2 and target is y:
            mirrored, _ = residual("softmax", Z[:, ::-1].copy(), 1 - y, smoothing=smoothing)
            np.testing.assert_array_equal(mirrored, R[:, ::-1])


@pytest.mark.parametrize("dtype", REALS)
def test_gradients_of_certain_labels(dtype):
    for z in (8, 20, 37, 100):
        q = np.exp(L(-z)) / (1 + np.exp(L(-z)))
        for grad in (
            fastlr.binary_cross_entropy_and_grad(np.full(3, z, dtype), np.ones(3, int), reduction="sum")[1],
            fastlr.binary_cross_entropy_and_grad(np.full(3, z, dtype), np.ones(3, dtype), reduction="sum")[1],
            fastlr.cross_entropy_and_grad(np.array([[z, 0]] * 3, dtype), [0] * 3, reduction="sum")[1][:, 0],
            fastlr.cross_entropy_and_grad(np.array([z, 0], dtype), np.array([1, 0], dtype), reduction="sum")[1][:1],
        ):
            assert_ulp("residual", grad, np.full(grad.shape, -q), f"z = {z}")


# ---- weights --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("k", [1, 2, 3, 10, 70])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", REALS)
def test_weights_of_any_size(isa, dtype, loss, k):
    rng = np.random.default_rng(k)
    n = 40
    Z = rng.uniform(-20, 20, (n, k)).astype(dtype)
    Z[::4] -= 70
    if k > 1:
        Z[::4] = Z[::4] / 20 - 65
    for kind in ("labels", "targets"):
        y, _ = targets(rng, loss, n, k, dtype, kind)
        exact, losses = residual(loss, Z, y)
        for weight in (1e9, 1e-15, 1e40, 1e-46, 1e300, 1e-300):
            for scale in (1.0, 1e-40, 1e38):
                w = np.full(n, weight)
                w[1::7] = 0
                R, weighted = residual(loss, Z, y, weight=w, grad_scale=scale)
                with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                    factor = (w * scale)[:, None]
                    expected = np.where(factor == 0, 0, exact.astype(float) * factor).astype(dtype)
                    expected_losses = (losses.astype(float) * w).astype(dtype)
                note = f"{kind} weight {weight} scale {scale}"
                np.testing.assert_allclose(R, expected, 4 * np.finfo(dtype).eps, np.finfo(dtype).smallest_subnormal * 2,
                                           err_msg=note)
                if dtype == "float64" or loss != "squared_error":
                    np.testing.assert_allclose(weighted, expected_losses, 8 * np.finfo(dtype).eps,
                                               np.finfo(dtype).smallest_subnormal * 2, err_msg=note)


def test_softmax_far_below_zero_with_large_and_small_weights(isa):
    Z = np.float32([[-70, -71, -72]] * 20)
    exact, _ = exact_residual("softmax", Z, np.eye(3)[[2] * 20])
    for weight in (1e9, 1e-15):
        for kind in ([2] * 20, np.eye(3, dtype=np.float32)[[2] * 20]):
            R = fastlr.cross_entropy_and_grad(Z, kind, sample_weight=np.full(20, weight), reduction="sum")[1]
            np.testing.assert_allclose(R, (exact * weight).astype(float), 1e-6)


def test_squares_are_summed_in_double(isa):
    Z = np.float32([[1e30], [1e-30]])
    assert _core.residual("squared_error", Z[:1], np.float32([[0]])) == pytest.approx(0.5e60)
    assert _core.residual("squared_error", Z[1:], np.float32([[0]])) == pytest.approx(0.5e-60)


@pytest.mark.parametrize("k", [1, 2, 3, 10, 65])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", REALS)
def test_a_row_of_weight_zero_counts_for_nothing(isa, dtype, loss, k):
    rng = np.random.default_rng(k)
    Z, weight = rng.normal(size=(50, k)).astype(dtype), rng.random(50) + 0.5
    idle = rng.random(50) < 0.3
    for kind in ("labels", "targets"):
        y, _ = targets(rng, loss, 50, k, dtype, kind)
        weight[idle] = 0
        R, losses = residual(loss, Z, y, weight=weight)
        for bad in (np.nan, np.inf, -np.inf):
            spoilt = Z.copy()
            spoilt[idle, rng.integers(0, k)] = bad
            R_spoilt, losses_spoilt = residual(loss, spoilt, y, weight=weight)
            np.testing.assert_array_equal(R_spoilt, R)
            np.testing.assert_array_equal(losses_spoilt, losses)
            assert not R_spoilt[idle].any()
            if loss != "squared_error":
                H, h = curvature(loss, spoilt, weight)
                np.testing.assert_array_equal(H, curvature(loss, Z, weight)[0])
                assert np.isfinite(h).all()


def curvature(loss, Z, weight=None):
    """Hessian product in a fixed direction of rows that are unit vectors: column i is row i's; and its sum."""
    n, k = Z.shape
    V = np.random.default_rng(0).normal(size=(k, n))
    return _core.Problem(np.eye(n, dtype=Z.dtype), None, k, loss=loss, weight=weight).hessp_at(Z, V, np.zeros(k))


# ---- rows do not see each other -------------------------------------------------------------------------------------
@pytest.mark.parametrize("k", [1, 2, 3, 8, 10, 17, 40, 64, 65, 130])
@pytest.mark.parametrize("dtype", REALS)
def test_what_a_row_holds_does_not_change_others(isa, dtype, k):
    rng = np.random.default_rng(k)
    n = 70
    for _ in range(4):
        Z = (rng.choice([0.1, 1, 8], (n, 1)) * rng.normal(size=(n, k))).astype(dtype)
        Z[rng.random(n) < 0.1] *= 100
        spoilt, rows = Z.copy(), rng.random(n) < 0.2
        bad = rng.choice([np.nan, np.inf, -np.inf, 1e4, np.finfo(dtype).max], (rows.sum(), 1))
        spoilt[rows] = np.where(rng.random((rows.sum(), k)) < 0.5, bad, Z[rows])
        for name in ("softmax", "log_softmax", "logsumexp"):
            results = []
            for z in (Z, spoilt):
                results.append(np.empty(n if name == "logsumexp" else z.shape, dtype))
                _core.rows(name, z, results[-1], 1)
            np.testing.assert_array_equal(results[1][~rows], results[0][~rows], name)
        for loss in LOSSES:
            for kind, smoothing in (("labels", 0.0), ("labels", 0.1), ("targets", 0.0)):
                y, _ = targets(rng, loss, n, k, dtype, kind)
                clean, other = (residual(loss, z, y, smoothing=smoothing) for z in (Z, spoilt))
                for a, b in zip(clean, other, strict=True):
                    np.testing.assert_array_equal(b[~rows], a[~rows], f"{loss} {kind} {smoothing}")


def test_a_nan_does_not_hide_a_large_logit(isa):
    Z = np.zeros((32, 3), np.float32)
    Z[0, 0], Z[16] = np.nan, (100, 99, 98)
    expected = fastlr.log_softmax(Z[16:17])[0]
    np.testing.assert_allclose(expected, [-0.40760597, -1.407606, -2.407606], 1e-6)
    np.testing.assert_array_equal(fastlr.log_softmax(Z)[16], expected)
