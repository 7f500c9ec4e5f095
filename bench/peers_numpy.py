"""NumPy and SciPy doing fastlr's work at their best: buffers allocated beforehand, all in place, BLAS on all threads.

Each factory takes the arrays and returns a callable without arguments that does the work once.
"""

import numpy as np
from scipy import special


def loss_and_grad(X, W, b, y):
    """Mean loss and gradient: softmax for W of several rows, else sigmoid of the one logit."""
    n, k = len(X), len(W)
    WT, b = np.ascontiguousarray(W.T, X.dtype), b.astype(X.dtype)
    Z = np.empty((n, k), X.dtype)
    residual = _softmax_residual(Z, Z, y) if k > 1 else _sigmoid_residual(Z.reshape(n), y)

    def run():
        np.matmul(X, WT, out=Z)
        np.add(Z, b, out=Z)
        loss = residual()
        return loss, Z.T @ X, Z.sum(axis=0)

    return run


def softmax(Z, out):
    """Softmax of the rows of Z into out."""
    extreme = np.empty((len(Z), 1), Z.dtype)

    def run():
        np.max(Z, axis=1, keepdims=True, out=extreme)
        np.subtract(Z, extreme, out=out)
        np.exp(out, out=out)
        np.sum(out, axis=1, keepdims=True, out=extreme)
        np.divide(out, extreme, out=out)

    return run


def logsumexp(Z):
    """Log-sum-exp of the rows of Z."""
    exps = np.empty_like(Z)
    extreme, total = (np.empty((len(Z), 1), Z.dtype) for _ in range(2))

    def run():
        np.max(Z, axis=1, keepdims=True, out=extreme)
        np.subtract(Z, extreme, out=exps)
        np.exp(exps, out=exps)
        np.sum(exps, axis=1, keepdims=True, out=total)
        np.log(total, out=total)
        return np.add(total, extreme, out=total)

    return run


def log_softmax(Z, out):
    """Log-softmax of the rows of Z into out."""
    lse = logsumexp(Z)
    return lambda: np.subtract(Z, lse(), out=out)


def cross_entropy_and_grad(Z, out, y):
    """Mean cross-entropy of the rows of Z and its gradient into out."""
    return _softmax_residual(Z, out, y)


def sigmoid(z, out):
    """Sigmoid of z into out."""

    def run():
        np.negative(z, out=out)
        np.exp(out, out=out)
        np.add(out, 1, out=out)
        np.reciprocal(out, out=out)

    return run


def _softmax_residual(Z, out, y):
    """Mean cross-entropy of logits Z (n, k); out = (softmax(Z) - Y) / n; out may be Z."""
    n = len(Z)
    rows = np.arange(n)
    extreme = np.empty((n, 1), Z.dtype)

    def run():
        np.max(Z, axis=1, keepdims=True, out=extreme)
        np.subtract(Z, extreme, out=out)
        picked = out[rows, y]
        np.exp(out, out=out)
        np.sum(out, axis=1, keepdims=True, out=extreme)
        np.divide(out, extreme, out=out)
        out[rows, y] -= 1
        np.multiply(out, Z.dtype.type(1 / n), out=out)
        return np.log(extreme[:, 0]).mean() - picked.mean()

    return run


def _sigmoid_residual(z, y):
    """Mean binary cross-entropy of logits z (n,), which become (sigmoid(z) - y) / n."""
    n = len(z)
    y = y.astype(z.dtype)
    softplus = np.empty_like(z)

    def run():
        np.logaddexp(0, z, out=softplus)
        loss = (softplus.sum() - np.dot(y, z)) / n
        special.expit(z, out=z)
        np.subtract(z, y, out=z)
        np.multiply(z, z.dtype.type(1 / n), out=z)
        return loss

    return run


def sgd(X, y, k, *, learning_rate, batch_size, epochs, seed):
    """Softmax regression by mini-batch gradient descent from zero weights, as one would write it in NumPy.

    Returns W (k, d), b (k,).
    """
    n, d = X.shape
    rng = np.random.default_rng(seed)
    W, b = np.zeros((k, d), X.dtype), np.zeros(k, X.dtype)
    batch, Z = np.empty((batch_size, d), X.dtype), np.empty((batch_size, k), X.dtype)
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, batch_size):
            rows = order[start : start + batch_size]
            m = len(rows)
            x = np.take(X, rows, axis=0, out=batch[:m], mode="clip")  # the default mode would buffer
            z = np.matmul(x, W.T, out=Z[:m])
            z += b
            z -= z.max(axis=1, keepdims=True)
            np.exp(z, out=z)
            z /= z.sum(axis=1, keepdims=True)
            z[np.arange(m), y[rows]] -= 1
            z *= learning_rate / m
            W -= z.T @ x
            b -= z.sum(axis=0)
    return W, b
