"""The formulas and printed numbers of the lecture on logistic and softmax regression, as facts."""

import numpy as np
import pytest

import fastlr

# the lecture's example of four rows and three classes
LOGITS = np.array([[-0.3, -0.5, -0.5], [-0.4, -0.1, -0.5], [-0.3, -0.94, -0.5], [-0.99, -0.88, -0.5]])
LABELS = np.array([0, 1, 2, 2])
PROBABILITIES = np.array(
    [[0.3792, 0.3104, 0.3104], [0.3072, 0.4147, 0.2780], [0.4263, 0.2248, 0.3490], [0.2668, 0.2978, 0.4354]]
)


def test_derivative_of_the_sigmoid():
    z = np.linspace(-20, 20, 101)
    s = fastlr.sigmoid(z)
    np.testing.assert_allclose(fastlr.sigmoid_derivative(z), s * (1 - s), 1e-7, 1e-15)
    np.testing.assert_allclose(s + fastlr.sigmoid(-z), 1, 1e-15)


def test_logit_inverts_the_sigmoid():
    z = np.linspace(-15, 15, 101)
    np.testing.assert_allclose(fastlr.logit(fastlr.sigmoid(z)), z, 1e-9, 1e-15)
    p = np.linspace(0.001, 0.999, 101)
    np.testing.assert_allclose(fastlr.sigmoid(fastlr.logit(p)), p, 1e-15)
    np.testing.assert_allclose(fastlr.logit(p), np.log(p / (1 - p)), 1e-12, 1e-15)


def test_softmax_of_two_classes_is_the_sigmoid():
    z = np.linspace(-30, 30, 101)
    two = np.stack([z, np.zeros_like(z)], axis=1)
    np.testing.assert_allclose(fastlr.softmax(two)[:, 0], fastlr.sigmoid(z), 1e-14)
    np.testing.assert_allclose(fastlr.log_softmax(two)[:, 0], fastlr.log_sigmoid(z), 1e-14)


def test_one_hot_encoding():
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_array_equal(fastlr.one_hot(LABELS), expected)


def test_example_probabilities():
    np.testing.assert_allclose(fastlr.softmax(LOGITS), PROBABILITIES, atol=5e-5)


def test_example_losses():
    losses = fastlr.cross_entropy(LOGITS, LABELS, reduction="none")
    np.testing.assert_allclose(losses, [0.9698, 0.8801, 1.0527, 0.8314], atol=1e-4)
    assert fastlr.cross_entropy(LOGITS, LABELS) == pytest.approx(0.9335, abs=5e-5)
    assert fastlr.cross_entropy(LOGITS, LABELS, reduction="sum") == pytest.approx(losses.sum())
    np.testing.assert_allclose(fastlr.cross_entropy(LOGITS, fastlr.one_hot(LABELS), reduction="none"), losses, 1e-14)


def test_example_losses_from_the_rounded_probabilities():
    losses = fastlr.cross_entropy(np.log(PROBABILITIES), LABELS, reduction="none")
    # the rows of rounded probabilities do not quite sum to 1, which cross_entropy makes good: take that out
    losses -= np.log(PROBABILITIES.sum(axis=1))
    np.testing.assert_allclose(losses, [0.969692, 0.880200, 1.05268, 0.831490], atol=5e-6)
    assert losses.mean() == pytest.approx(0.9335, abs=5e-5)


def test_jacobian_of_softmax():
    a = fastlr.softmax(LOGITS[0])
    J = fastlr.softmax_jacobian(a)
    for i in range(3):
        for j in range(3):
            assert J[i, j] == pytest.approx(a[i] * ((i == j) - a[j]), rel=1e-14)


def test_loss_is_minus_the_log_of_the_likelihood():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=12), rng.integers(0, 2, 12)
    a = fastlr.sigmoid(z)
    likelihood = np.prod(a**y * (1 - a) ** (1 - y))
    assert fastlr.binary_cross_entropy(z, y, reduction="sum") == pytest.approx(-np.log(likelihood), rel=1e-13)
    likelihood = np.prod(fastlr.softmax(LOGITS)[np.arange(4), LABELS])
    assert fastlr.cross_entropy(LOGITS, LABELS, reduction="sum") == pytest.approx(-np.log(likelihood), rel=1e-13)


def test_gradient_with_respect_to_the_logits_is_a_minus_y():
    _, dZ = fastlr.cross_entropy_and_grad(LOGITS, LABELS, reduction="sum")
    np.testing.assert_allclose(dZ, fastlr.softmax(LOGITS) - fastlr.one_hot(LABELS), 1e-13)
    z, y = LOGITS[:, 0], np.array([0, 1, 1, 0])
    _, dz = fastlr.binary_cross_entropy_and_grad(z, y, reduction="sum")
    np.testing.assert_allclose(dz, fastlr.sigmoid(z) - y, 1e-13)
    # the chain rule by hand: dL/da da/dz
    a = fastlr.sigmoid(z)
    np.testing.assert_allclose(dz, (a - y) / (a * (1 - a)) * fastlr.sigmoid_derivative(z), 1e-12)


def test_gradient_with_respect_to_the_weights():
    """dL/dW = -(X' (Y - A))', the mean over rows; dL/db = -(Y - A) summed."""
    rng = np.random.default_rng(1)
    X, W, b = rng.normal(size=(4, 5)), rng.normal(size=(3, 5)), rng.normal(size=3)
    Y, A = fastlr.one_hot(LABELS), fastlr.softmax(X @ W.T + b)
    loss, grad_W, grad_b = fastlr.loss_and_grad(X, W, b, LABELS)
    assert loss == pytest.approx(-np.sum(Y * np.log(A)) / 4, rel=1e-13)
    np.testing.assert_allclose(grad_W, -(X.T @ (Y - A)).T / 4, 1e-12, 1e-14)
    np.testing.assert_allclose(grad_b, -(Y - A).sum(axis=0) / 4, 1e-12, 1e-14)


def test_gradients_of_logistic_regression_and_adaline_have_the_same_form():
    """dL/dw = -(y - a) x, whether a is the sigmoid of the net input or the net input itself."""
    rng = np.random.default_rng(2)
    X, w, b, y = rng.normal(size=(6, 2)), rng.normal(size=2), 0.3, np.array([0, 1, 0, 1, 1, 0])
    for loss, a in (("sigmoid", fastlr.sigmoid(X @ w + b)), ("squared_error", X @ w + b)):
        _, grad_w, grad_b = fastlr.loss_and_grad(X, w, b, y, loss=loss)
        np.testing.assert_allclose(grad_w, -(y - a) @ X / 6, 1e-12)
        assert grad_b == pytest.approx(-np.mean(y - a), rel=1e-12)


def test_first_batch_from_zero_weights_costs_log_k():
    X = np.random.default_rng(3).random((256, 784), np.float32)
    y = np.arange(256) % 10
    loss, _, _ = fastlr.loss_and_grad(X, np.zeros((10, 784)), np.zeros(10), y)
    assert loss == pytest.approx(2.3026, abs=5e-5)
