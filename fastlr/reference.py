"""The kernels' twins in plain NumPy: the lecture's formulas, the tests' oracle and the benchmarks' baseline.

Everything computes in the dtype of its arguments (tests pass long double, benchmarks float32) and makes whatever
temporaries the formula suggests.  Shapes: X (n, d), W (k, d), b (k,), Z (n, k), targets Y (n, k), weights (n,).
"""

import numpy as np


# ---- elementwise ----------------------------------------------------------------------------------------------------
def sigmoid(z):
    """1 / (1 + exp(-z)), through exp of negative numbers only."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def sigmoid_derivative(z):
    """sigmoid(z) (1 - sigmoid(z)), with 1 - sigmoid(z) = sigmoid(-z)."""
    return sigmoid(z) * sigmoid(-z)


def log_sigmoid(z):
    """-log(1 + exp(-z))."""
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def logit(p):
    """log(p / (1 - p)); near 1/2, where the logarithm would cancel, 2 artanh(2 p - 1)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(p - 0.5) < 0.25, 2 * np.arctanh(2 * p - 1), np.log(p) - np.log1p(-p))


# ---- rows -----------------------------------------------------------------------------------------------------------
def softmax(Z):
    """exp(Z) over the sums of its rows, the maximum taken off first."""
    with np.errstate(invalid="ignore"):
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)


def logsumexp(Z):
    """max + log1p(sum of the others' exp(z - max)) of each row."""
    largest, others = _largest_and_others(Z)
    with np.errstate(divide="ignore"):
        return largest + np.log1p(others)


def log_softmax(Z):
    """(z - max) - log1p(sum of the others' exp(z - max)), which keeps the digits that log(softmax) loses."""
    largest, others = _largest_and_others(Z)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (Z - largest[:, None]) - np.log1p(others)[:, None]


def _largest_and_others(Z):
    """Each row's maximum, 0 where it is not finite, and the sum of exp(z - maximum) less the maximum's own 1."""
    argmax = Z.argmax(axis=1)[:, None]
    largest = np.take_along_axis(Z, argmax, 1)
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(over="ignore"):
        E = np.exp(Z - largest)
    np.put_along_axis(E, argmax, np.take_along_axis(E, argmax, 1) - 1, 1)
    return largest[:, 0], E.sum(axis=1)


# ---- losses ---------------------------------------------------------------------------------------------------------
def one_hot(y, k, dtype=np.float64):
    """Y (n, k) of labels (n,); with k = 1 the label is the target itself."""
    return np.asarray(y, dtype)[:, None] if k == 1 else np.eye(k, dtype=dtype)[y]


def smooth(loss, Y, smoothing):
    """(1 - smoothing) Y + smoothing / k; the one logit of a sigmoid stands for two classes."""
    k = Y.shape[1] if loss == "softmax" else max(Y.shape[1], 2)
    return (1 - smoothing) * Y + smoothing / k


def activation(loss, Z):
    """A: what the model predicts at logits Z."""
    return {"softmax": softmax, "sigmoid": sigmoid, "squared_error": np.copy}[loss](Z)


def row_losses(loss, Z, Y):
    """The loss of each row (n,): -sum y log a;  -sum (y log a + (1 - y) log(1 - a));  half the squared error."""
    if loss == "softmax":
        return -_times(Y, log_softmax(Z)).sum(axis=1)
    if loss == "sigmoid":
        return -(_times(Y, log_sigmoid(Z)) + _times(1 - Y, log_sigmoid(-Z))).sum(axis=1)
    return 0.5 * ((Z - Y) ** 2).sum(axis=1)


def _times(Y, log_A):
    """Y log_A, where what has no probability counts nothing even if log_A is -inf."""
    with np.errstate(invalid="ignore"):
        return np.where(Y == 0, 0, Y * log_A)


def residual(loss, Z, Y, weight=1.0):
    """Weighted loss of each row (n,), and R = weight (A - Y) (n, k)."""
    weight = np.broadcast_to(weight, len(Z))
    return weight * row_losses(loss, Z, Y), weight[:, None] * (activation(loss, Z) - Y)


def curvature(loss, Z, U, weight=1.0):
    """weight (dA/dZ) U (n, k): softmax a_i (u_i - sum_j a_j u_j), sigmoid a (1 - a) u, squared error u."""
    weight = np.broadcast_to(weight, len(Z))[:, None]
    if loss == "softmax":
        A = softmax(Z)
        return weight * A * (U - (A * U).sum(axis=1, keepdims=True))
    return weight * (sigmoid_derivative(Z) * U if loss == "sigmoid" else U)


# ---- passes over X: sums over rows ----------------------------------------------------------------------------------
def standardise(X, scale=None, shift=None):
    """(X - shift) * scale: what the model sees."""
    if shift is not None:
        X = X - shift
    return X if scale is None else X * scale


def forward(X, W, b):
    """Logits Z = X W' + b."""
    return X @ W.T + b


def loss_and_grad(loss, X, W, b, Y, weight=1.0):
    """Sum of the losses, R' X (k, d) and R' 1 (k,)."""
    losses, R = residual(loss, forward(X, W, b), Y, weight)
    return losses.sum(), R.T @ X, R.sum(axis=0)


def gram(X, weight=1.0):
    """X' diag(weight) X (d, d) and X' weight (d,)."""
    weighted = np.broadcast_to(weight, len(X))[:, None] * X
    return X.T @ weighted, weighted.sum(axis=0)


def epoch(loss, X, W, b, Y, order, batch, *, learning_rate, momentum=0.0, alpha=0.0, reduction="mean", weight=1.0,
          velocity=(0.0, 0.0)):
    """Gradient descent over batches of the rows in this order.

    gradient = G / (sum of the batch's weights, or 1 for reduction "sum") + alpha W (not b);
    v = momentum v + gradient;  W -= learning_rate v.

    Returns the sum of the losses, each before its batch's step; W; b; the velocities of W and b.
    """
    weight = np.broadcast_to(weight, len(X))
    (v_W, v_b), total = velocity, 0.0
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        losses, G, g = loss_and_grad(loss, X[rows], W, b, Y[rows], weight[rows])
        total += losses
        divisor = weight[rows].sum() if reduction == "mean" else 1
        if divisor == 0:
            continue
        v_W = momentum * v_W + G / divisor + alpha * W
        v_b = momentum * v_b + g / divisor
        W, b = W - learning_rate * v_W, b - learning_rate * v_b
    return total, W, b, v_W, v_b


def ftrl_epoch(loss, X, W, b, Y, order, batch, *, learning_rate, beta=1.0, l1=0.0, l2=0.0, reduction="mean", weight=1.0,
               sums=None):
    """FTRL-proximal over batches of the rows in this order, from the gradients of `epoch` without its penalty.

    For each coefficient, and for each intercept with l1 = l2 = 0 (McMahan et al., 2013, algorithm 1):
    z += g - (sqrt(n + g^2) - sqrt(n)) / learning_rate w;  n += g^2;
    w = -sign(z) max(|z| - l1, 0) / ((beta + sqrt(n)) / learning_rate + l2), and 0 while n, beta and l2 are.

    Returns the sum of the losses, each before its batch's step; W; b; z and n (k, d + 1), intercepts last.
    """
    weight, total = np.broadcast_to(weight, len(X)), 0.0
    w = np.column_stack([W, b])
    z, n = (np.zeros_like(w), np.zeros_like(w)) if sums is None else sums
    l1, l2 = (np.append(np.full(W.shape[1], value), 0) for value in (l1, l2))
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        losses, G, g = loss_and_grad(loss, X[rows], w[:, :-1], w[:, -1], Y[rows], weight[rows])
        total += losses
        divisor = weight[rows].sum() if reduction == "mean" else 1
        if divisor == 0:
            continue
        g = np.column_stack([G, g]) / divisor
        z = z + g - (np.sqrt(n + g**2) - np.sqrt(n)) / learning_rate * w
        n = n + g**2
        curvature = (beta + np.sqrt(n)) / learning_rate + l2
        excess = np.maximum(np.abs(z) - l1, 0)
        w = np.divide(-np.sign(z) * excess, curvature, out=np.zeros_like(z), where=(curvature > 0) & (excess > 0))
    return total, w[:, :-1], w[:, -1], z, n
