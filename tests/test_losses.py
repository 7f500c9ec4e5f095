"""Cross-entropy and the fused loss as users call them: targets, weights, reductions, shapes, `out`."""

from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest
from problems import LOSSES, REALS, features, layouts, targets, wide
from tolerances import LOSS_EPS

import fastlr
from fastlr import reference

RNG = np.random.default_rng(0)
N, K = 30, 4


def expected(loss, Z, Y, weight, smoothing, reduction):
    """Loss and gradient by the twins."""
    w = 1.0 if weight is None else weight
    losses, R = reference.residual(loss, np.asarray(Z, np.longdouble), reference.smooth(loss, Y, smoothing), w)
    total_weight = len(Z) if weight is None else weight.sum()
    return {"none": (losses, R), "sum": (losses.sum(), R),
            "mean": (losses.sum() / total_weight, R / total_weight)}[reduction]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", REALS)
def test_cross_entropy(dtype, weighted, smoothing, reduction):
    Z = (5 * RNG.normal(size=(N, K))).astype(dtype)
    weight = RNG.random(N) if weighted else None
    options = {"sample_weight": weight, "label_smoothing": smoothing, "reduction": reduction}
    for kind in ("labels", "targets"):
        y, Y = targets(RNG, "softmax", N, K, dtype, kind)
        loss, dZ = fastlr.cross_entropy_and_grad(Z, y, **options)
        e_loss, e_dZ = expected("softmax", Z, Y, weight, smoothing, reduction)
        tolerance = LOSS_EPS * np.finfo(dtype).eps
        np.testing.assert_allclose(loss, e_loss.astype(float), tolerance, tolerance)
        np.testing.assert_allclose(dZ, e_dZ.astype(float), tolerance, tolerance)
        assert dZ.dtype == dtype
        assert isinstance(loss, float) if reduction != "none" else loss.dtype == dtype
        np.testing.assert_array_equal(fastlr.cross_entropy(Z, y, **options), loss)


@pytest.mark.parametrize("shape", [(), (7,), (5, 3), (2, 3, 4), (0,), (3, 0)])
@pytest.mark.parametrize("kind", ["integers", "booleans", "probabilities"])
def test_binary_cross_entropy_of_any_shape(shape, kind):
    z = 5 * RNG.normal(size=shape)
    p = RNG.random(shape)
    y = {"integers": np.int64(p < 0.5), "booleans": p < 0.5, "probabilities": p}[kind]
    for z_layout in (z, np.array(z, order="F"), np.float32(z)):
        loss, dz = fastlr.binary_cross_entropy_and_grad(z_layout, y, reduction="none")
        e_losses, R = reference.residual("sigmoid", z.reshape(-1, 1), np.asarray(y, float).reshape(-1, 1))
        assert np.shape(loss) == np.shape(dz) == shape
        np.testing.assert_allclose(np.ravel(loss), e_losses, 1e-5, 1e-6)
        np.testing.assert_allclose(np.ravel(dz), R[:, 0], 1e-5, 1e-6)
        total = fastlr.binary_cross_entropy(z_layout, y, reduction="sum")
        assert total == pytest.approx(np.sum(loss, dtype=float), rel=1e-6)
        mean = fastlr.binary_cross_entropy(z_layout, y)
        assert mean == pytest.approx(total / z.size if z.size else np.nan, nan_ok=True)


def test_binary_cross_entropy_weights_broadcast():
    z, y, weight = RNG.normal(size=(5, 3)), RNG.integers(0, 2, (5, 3)), RNG.random((5, 1))
    loss, dz = fastlr.binary_cross_entropy_and_grad(z, y, sample_weight=weight)
    each, grad = fastlr.binary_cross_entropy_and_grad(z, y, reduction="none")
    total = 3 * weight.sum()
    assert loss == pytest.approx((weight * each).sum() / total)
    np.testing.assert_allclose(dz, weight * grad / total, 1e-13)


def test_one_row():
    Z = np.array([0.5, -1, 2])
    loss, dZ = fastlr.cross_entropy_and_grad(Z, 2)
    two_dimensional = fastlr.cross_entropy_and_grad(Z[None], [2])
    assert loss == two_dimensional[0]
    np.testing.assert_array_equal(dZ, two_dimensional[1][0])
    soft = fastlr.cross_entropy(Z, [0.2, 0.3, 0.5], reduction="none")
    assert soft == pytest.approx(-np.dot([0.2, 0.3, 0.5], fastlr.log_softmax(Z)))
    assert np.shape(soft) == ()


def test_single_class_costs_nothing():
    loss, dZ = fastlr.cross_entropy_and_grad([[3.0], [-1.0]], [0, 0])
    assert loss == 0
    assert not dZ.any()


def test_no_rows():
    Z, y = np.empty((0, 3)), np.empty(0, int)
    assert np.isnan(fastlr.cross_entropy(Z, y))
    assert fastlr.cross_entropy(Z, y, reduction="sum") == 0
    losses, dZ = fastlr.cross_entropy_and_grad(Z, y, reduction="none")
    assert losses.shape == (0,)
    assert dZ.shape == (0, 3)
    loss, grad_W, _ = fastlr.loss_and_grad(np.empty((0, 2)), np.zeros((3, 2)), np.zeros(3), y)
    assert np.isnan(loss)
    assert grad_W.shape == (3, 2)


@pytest.mark.parametrize("dtype", REALS)
def test_certain_and_impossible_labels(dtype):
    Z = np.array([[1e4, -1e4, 0]] * 3, dtype)
    losses = fastlr.cross_entropy(Z, [0, 1, 2], reduction="none")
    np.testing.assert_array_equal(losses, [0, 2e4, 1e4])
    Z = np.array([[0, -np.inf]] * 2, dtype)
    np.testing.assert_array_equal(fastlr.cross_entropy(Z, [0, 1], reduction="none"), [0, np.inf])
    z = np.array([1e4, -1e4, 1e4, -1e4], dtype)
    np.testing.assert_array_equal(fastlr.binary_cross_entropy(z, [1, 0, 0, 1], reduction="none"), [0, 0, 1e4, 1e4])


def test_small_losses_keep_their_digits():
    assert fastlr.cross_entropy([40.0, 0.0], 0) == 4.248354255291589e-18
    assert fastlr.binary_cross_entropy(40.0, 1) == 4.248354255291589e-18


@pytest.mark.parametrize("layout", ["C", "Fortran", "strided"])
def test_gradient_into_out(layout):
    Z, y = RNG.normal(size=(N, K)), RNG.integers(0, K, N)
    arrange = {
        "C": np.array, "Fortran": np.asfortranarray, "strided": lambda Z: np.repeat(Z, 2, axis=1)[:, ::2]
    }[layout]
    loss, dZ = fastlr.cross_entropy_and_grad(Z, y)
    out = arrange(np.zeros_like(Z))
    assert fastlr.cross_entropy_and_grad(Z, y, out=out)[1] is out
    np.testing.assert_array_equal(out, dZ)
    in_place = arrange(Z)
    assert fastlr.cross_entropy_and_grad(in_place, y, out=in_place)[0] == loss
    np.testing.assert_array_equal(in_place, dZ)
    out = arrange(np.zeros_like(Z))
    assert fastlr.binary_cross_entropy_and_grad(Z, y[:, None] == np.arange(K), out=out)[1] is out
    np.testing.assert_allclose(out, (fastlr.sigmoid(Z) - fastlr.one_hot(y, K)) / Z.size, 1e-13, 1e-16)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "uint8", "bool"])
@pytest.mark.parametrize(("loss", "k"), [(loss, k) for loss in LOSSES for k in (1, 3) if (loss, k) != ("softmax", 1)])
def test_fused_loss_in_every_layout(dtype, loss, k, tmp_path):
    X = features(RNG, 40, 7, np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype))
    W, b, weight = RNG.normal(size=(k, 7)), RNG.normal(size=k), RNG.random(40)
    scale, shift, alpha = 0.1, RNG.normal(size=7), 0.2
    y, Y = targets(RNG, loss, 40, k, None, "labels")
    value, G, g = reference.loss_and_grad(loss, reference.standardise(*wide(X), scale, shift), W, b, Y, weight)
    total = weight.sum()
    options = {"loss": loss, "sample_weight": weight, "alpha": alpha, "scale": scale, "shift": shift}
    for layout, Xl in layouts(X, tmp_path):
        result = fastlr.loss_and_grad(Xl, W, b, y, **options)
        e = value / total + alpha / 2 * np.sum(W**2), G / total + alpha * W, g / total
        for got, want in zip(result, e, strict=True):
            np.testing.assert_allclose(got, np.asarray(want, float), 1e-5, 1e-5, err_msg=f"{dtype} {layout}")


@pytest.mark.parametrize("loss", ["sigmoid", "squared_error"])
def test_one_logit_a_row(loss):
    X, w, y = RNG.normal(size=(20, 3)), RNG.normal(size=3), RNG.integers(0, 2, 20)
    value, grad_w, grad_b = fastlr.loss_and_grad(X, w, 0.5, y, loss=loss)
    assert isinstance(value, float)
    assert grad_w.shape == (3,)
    assert isinstance(grad_b, float)
    same = [
        (w[None], [0.5], y), (w, [0.5], y == 1), (w, np.array(0.5), y.astype(float)),
        (w, 0.5, y.astype(float)[:, None]), (w.tolist(), 0.5, y.astype(np.uint8)),
    ]
    for W, b, target in same:
        other = fastlr.loss_and_grad(X.tolist(), W, b, target, loss=loss)
        np.testing.assert_allclose(other[0], value, 1e-14)
        assert other[1].shape == np.shape(W)
        assert other[2].shape == np.shape(b)
        np.testing.assert_allclose(other[1].ravel(), grad_w, 1e-13)
    if loss == "squared_error":
        y = RNG.integers(-50, 50, 20)
        expected_loss = 0.5 * np.mean((X @ w + 0.5 - y) ** 2)
        assert fastlr.loss_and_grad(X, w, 0.5, y, loss=loss)[0] == pytest.approx(expected_loss)


def test_pixels_by_scale_are_pixels_divided():
    X = RNG.integers(0, 256, (50, 20), np.uint8)
    W, b, y = RNG.normal(size=(3, 20)), RNG.normal(size=3), RNG.integers(0, 3, 50)
    by_scale = fastlr.loss_and_grad(X, W, b, y, scale=1 / 255)
    divided = fastlr.loss_and_grad(X / 255, W, b, y)
    for a, e in zip(by_scale, divided, strict=True):
        np.testing.assert_allclose(a, e, 1e-5, 1e-6)


def test_arguments_are_left_alone():
    X, W, b, y = RNG.normal(size=(20, 3)), RNG.normal(size=(2, 3)), RNG.normal(size=2), RNG.integers(0, 2, 20)
    copies = [a.copy() for a in (X, W, b, y)]
    fastlr.loss_and_grad(X, W, b, y, alpha=1, scale=2, shift=3)
    fastlr.cross_entropy_and_grad(X[:, :2], y)
    for a, copy in zip((X, W, b, y), copies, strict=True):
        np.testing.assert_array_equal(a, copy)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "squared_error"])
def test_partial_sums_add_up_to_the_mean_and_its_gradient(loss):
    rng = np.random.default_rng(5)
    X, W, b = rng.normal(size=(90, 6)), rng.normal(size=(4, 6)), rng.normal(size=4)
    y, weight = rng.integers(0, 4, 90), rng.random(90)
    weight[20:50] = 0
    options = {"loss": loss, "scale": rng.random(6), "shift": rng.random(6)}
    bounds = [0, 20, 20, 50, 90]  # a part without rows, a part whose weights are all 0
    parts = [fastlr.partial_loss_and_grad(X[a:e], y[a:e], W, b, sample_weight=weight[a:e], **options)
             for a, e in pairwise(bounds)]
    value, grad_W, grad_b, total = (sum(each) for each in zip(*parts, strict=True))
    expected = fastlr.loss_and_grad(X, W, b, y, sample_weight=weight, alpha=0.3, **options)
    np.testing.assert_allclose(value / total + 0.15 * (W**2).sum(), expected[0], rtol=1e-14)
    np.testing.assert_allclose(grad_W / total + 0.3 * W, expected[1], atol=1e-14)
    np.testing.assert_allclose(grad_b / total, expected[2], atol=1e-14)
    assert total == pytest.approx(weight.sum(), rel=1e-15)
    unweighted = fastlr.partial_loss_and_grad(X[:20], y[:20], W[0], 0.5, loss="squared_error")
    assert unweighted[3] == 20
    assert unweighted[1].shape == (6,)
    assert np.ndim(unweighted[2]) == 0
