"""Gradients are the derivatives of the losses, and Hessian products those of the gradients: central differences."""

import numpy as np
import pytest
from problems import LOSSES, targets

import fastlr
from fastlr import _core

N, D = 23, 5


def central_differences(f, x, h=1e-5):
    """df/dx of a scalar function at the array x, each element in turn."""
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        gradient[i] = (f(up) - f(down)) / (2 * h)
    return gradient


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["labels", "targets"])
@pytest.mark.parametrize("function", ["cross_entropy", "binary_cross_entropy"])
def test_gradient_of_cross_entropy(isa, function, kind, weighted, smoothing, reduction):
    rng = np.random.default_rng(1)
    binary = function == "binary_cross_entropy"
    for k in (1,) if binary else (2, 3, 20):
        Z = rng.normal(size=(N, k))
        y, _ = targets(rng, "sigmoid" if binary else "softmax", N, k, np.float64, kind)
        if binary:
            y = y.reshape(N, 1)
        weight = rng.random(N).reshape((N, 1) if binary else N) if weighted else None
        options = {"sample_weight": weight, "label_smoothing": smoothing, "reduction": reduction}

        def total(Z, y=y, options=options):
            return np.sum(getattr(fastlr, function)(Z, y, **options))

        loss, dZ = getattr(fastlr, function + "_and_grad")(Z, y, **options)
        np.testing.assert_array_equal(loss, getattr(fastlr, function)(Z, y, **options))
        np.testing.assert_allclose(dZ, central_differences(total, Z), 1e-6, 1e-8)


@pytest.mark.parametrize("k", [1, 2, 3, 10, 33])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["labels", "targets"])
def test_gradient_of_the_linear_model(isa, loss, kind, k):
    rng = np.random.default_rng(k)
    X, W, b = rng.normal(size=(N, D)), rng.normal(size=(k, D)), rng.normal(size=k)
    y, _ = targets(rng, loss, N, k, np.float64, kind)
    plain = {"loss": loss}
    weight, scale = rng.random(N), rng.random(D) + 0.5
    everything = {"loss": loss, "sample_weight": weight, "alpha": 0.3, "scale": scale, "shift": 2.0}
    for options in (plain, everything):
        _, grad_W, grad_b = fastlr.loss_and_grad(X, W, b, y, **options)

        def at_W(W, options=options):
            return fastlr.loss_and_grad(X, W, b, y, **options)[0]

        def at_b(b, options=options):
            return fastlr.loss_and_grad(X, W, b, y, **options)[0]

        np.testing.assert_allclose(grad_W, central_differences(at_W, W), 1e-6, 1e-7)
        np.testing.assert_allclose(grad_b, central_differences(at_b, b), 1e-6, 1e-7)


@pytest.mark.parametrize("k", [1, 2, 3, 10, 33])
@pytest.mark.parametrize("loss", LOSSES)
def test_hessian_product_of_the_linear_model(isa, loss, k):
    rng = np.random.default_rng(k)
    X, W, b = rng.normal(size=(N, D)), rng.normal(size=(k, D)), rng.normal(size=k)
    V, c = rng.normal(size=(k, D)), rng.normal(size=k)
    y, _ = targets(rng, loss, N, k, np.float64, "labels")
    plain = {}
    everything = {"weight": rng.random(N), "scale": rng.random(D) + 0.5, "shift": rng.normal(size=D),
                  "offset": rng.normal(size=(N, k))}
    for options in (plain, everything):
        problem = _core.Problem(X, y, k, loss=loss, **options)
        H, h = problem.hessp(W, b, V, c)
        step = 1e-5
        _, G_up, g_up = problem.loss_and_grad(W + step * V, b + step * c)
        _, G_down, g_down = problem.loss_and_grad(W - step * V, b - step * c)
        np.testing.assert_allclose(H, (G_up - G_down) / (2 * step), 1e-6, 1e-6)
        np.testing.assert_allclose(h, (g_up - g_down) / (2 * step), 1e-6, 1e-6)


def test_sigmoid_derivative_is_the_derivative(isa):
    z, h = np.linspace(-8, 8, 41), 1e-6
    differences = (fastlr.sigmoid(z + h) - fastlr.sigmoid(z - h)) / (2 * h)
    np.testing.assert_allclose(fastlr.sigmoid_derivative(z), differences, 1e-6, 1e-10)
    differences = (fastlr.log_sigmoid(z + h) - fastlr.log_sigmoid(z - h)) / (2 * h)
    np.testing.assert_allclose(fastlr.sigmoid(-z), differences, 1e-6, 1e-9)


def test_jacobian_is_the_derivative_of_softmax(isa):
    Z = np.random.default_rng(0).normal(size=6)
    J = fastlr.softmax_jacobian(fastlr.softmax(Z))
    columns = [central_differences(lambda z, i=i: fastlr.softmax(z)[i], Z) for i in range(6)]
    np.testing.assert_allclose(J, columns, 1e-6, 1e-9)
