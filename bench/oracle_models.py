"""Linear models, for `fastlr.bench.oracle`: loss_and_grad, the learning rule of Trainer, and its logits."""

import numpy as np

import fastlr

from . import long_double as exact
from .long_double import REAL
from .oracle_functions import compare, refused

X_DTYPES = ("float32", "float32", "float64", "float16", "uint8", "bool", "int8", "uint16", "int16", "int32", "uint32",
            "int64", "uint64")


def model(draw, smallest_k=1):
    """A problem: X, loss, Y, the targets as they are passed, weights, scale and shift, and X's floating type."""
    work = draw.choice((3e2, 3e3, 1e4)) if draw.chance(0.98) else 3e5  # n d k; long doubles have no BLAS
    k = max(smallest_k, draw.choice((1, 2, 3, draw.length(20), draw.length(70), draw.length(work / 10))))
    n = draw.length(work / k)
    d = max(1, draw.length(work / k / n))
    dtype = np.dtype(draw.choice(X_DTYPES))
    loss = draw.choice(("softmax", "softmax", "sigmoid", "squared_error"))
    X = draw.rng.standard_normal((n, d)) * draw.choice((0.1, 1, 10)) + draw.choice((0, 0, 3))
    X = (np.clip(X, 0 if dtype.kind in "ub" else -100, 100) if dtype.kind in "iub" else X).astype(dtype)
    real = np.dtype(np.float64 if dtype.itemsize == 8 or dtype in (np.int32, np.uint32) else np.float32)
    binary = k == 1 and loss != "softmax"
    if draw.chance(0.6):
        y = draw.rng.integers(0, 2 if binary else k, n)
        Y = y[:, None].astype(REAL) if binary else exact.one_hot(y, k)
    else:
        y = draw.rng.random((n, k)).astype(real)
        if loss == "softmax":
            y = (y / y.sum(axis=1, keepdims=True, dtype=np.float64)).astype(real)
        Y = y.astype(REAL)
    scaling = {}
    if draw.chance(0.3):
        scaling["scale"] = draw.rng.uniform(0.1, 2, d) if draw.chance(0.5) else draw.between(0.1, 2)
    if draw.chance(0.3):
        scaling["shift"] = draw.rng.standard_normal(d) if draw.chance(0.5) else draw.between(-3, 3)
    return X, loss, k, y, Y, draw.weights(n), scaling, real


def linear_sums(X, W, b, Y, weight, loss, scaling, real, W_error=None, b_error=0):
    """Exact sums of the model of (X - shift) * scale, gradients in W and b as given, and their errors."""
    zeros = np.zeros(X.shape[1], REAL)
    scale, shift = zeros + scaling.get("scale", 1), zeros + scaling.get("shift", 0)
    folded, size = W * scale, np.abs(shift)
    W_error = np.zeros_like(W) if W_error is None else W_error
    b_error = b_error + np.finfo(real).eps * (np.abs(folded) @ size) + (W_error * np.abs(scale)) @ size
    sums = exact.LinearSums(X, folded, b - folded @ shift, Y, weight, loss, real, W_error=W_error * np.abs(scale),
                            b_error=b_error)
    sums.G_error = (sums.G_error + np.outer(sums.g_error, np.abs(shift))) * np.abs(scale)
    sums.G = (sums.G - np.outer(sums.g, shift)) * scale
    return sums


def loss_and_grad(draw):
    """The mean loss of a linear model and its gradient."""
    X, loss, k, y, Y, weight, scaling, real = model(draw)
    n, d = X.shape
    W = draw.rng.standard_normal((k, d)) * draw.choice((0, 0.01, 0.3, 1)) / np.sqrt(d)
    b = draw.rng.standard_normal(k)
    alpha = draw.choice((0.0, 0.0, 0.3))
    kwargs = {"loss": loss, "sample_weight": weight, "alpha": alpha, "n_threads": draw.threads(), **scaling}
    flat = k == 1 and draw.chance(0.3)
    given = draw.layout(X), W[0] if flat else draw.layout(W), b[0] if flat else b, draw.layout(y)
    if weight is not None and not weight.any():
        return refused(lambda: fastlr.loss_and_grad(*given, **kwargs), ValueError)
    what = f"{X.dtype} {X.shape} k={k} {loss}"
    if X.dtype.kind == "f" and draw.chance(0.03):
        X = X.copy()
        X[draw.below(n), draw.below(d)] = draw.choice((np.nan, np.inf))
        if weight is not None and (weight < 1e-30).any():
            return None
        return refused(lambda: fastlr.loss_and_grad(X, *given[1:], **kwargs), ValueError)
    value, G, g = fastlr.loss_and_grad(*given, **kwargs)
    w = None if weight is None else weight.astype(REAL)
    total = REAL(n) if w is None else w.sum()
    W = W.astype(REAL)
    sums = linear_sums(X.astype(REAL), W, b.astype(REAL), Y, w, loss, scaling, real)
    facts = ("weights" if w is not None else "", *scaling, "many" if k >= 32 and n >= 32 else "")
    terms = n if loss == "softmax" else n * k  # of the sum of losses, each of them rounded in double
    penalty = alpha / 2 * (W**2).sum()
    for name, got, sum_, error, more, added in (
        ("loss", value, sums.loss, sums.loss_error, penalty, terms),
        ("gradient W", G, sums.G, sums.G_error, alpha * W, n),
        ("gradient b", g, sums.g, sums.g_error, np.zeros(k, REAL), n),
    ):
        slack = (added + 16) * 2.0**-53
        expected = sum_ / total + more
        error = error / total + slack * (np.abs(sum_) / total + np.abs(more)) + exact.unit(expected, np.float64)
        shape = np.shape(got)
        compare(f"{name} {what}", np.float64(got), expected.reshape(shape), error.reshape(shape), *facts)
    return None


def learning_rule(X, Y, weight, real, batch, *, loss="softmax", learning_rate=0.1, momentum=0.0, alpha=0.0,
                  reduction="mean", **scaling):
    """W, b and what they may be off after one epoch from 0, rows in their order; all long double."""
    k, d = Y.shape[1], X.shape[1]
    W, b, V, v = np.zeros((k, d), REAL), np.zeros(k, REAL), np.zeros((k, d), REAL), np.zeros(k, REAL)
    W_error, b_error, V_error, v_error = W, b, V, v
    for first in range(0, len(X), batch):
        rows = slice(first, first + batch)
        w = None if weight is None else weight[rows]
        sums = linear_sums(X[rows], W, b, Y[rows], w, loss, scaling, real, W_error, b_error)
        divisor = 1 if reduction == "sum" else len(X[rows]) if w is None else w.sum()
        V, v = momentum * V + sums.G / divisor + alpha * W, momentum * v + sums.g / divisor
        V_error = momentum * V_error + sums.G_error / divisor + alpha * W_error
        v_error = momentum * v_error + sums.g_error / divisor
        W, b = W - learning_rate * V, b - learning_rate * v
        W_error, b_error = W_error + learning_rate * V_error, b_error + learning_rate * v_error
    return W, b, W_error + 1e-14 * np.abs(W) + 1e-300, b_error + 1e-14 * np.abs(b) + 1e-300


def trainer(draw):
    """The learning rule over a few batches, and the logits of the model it gives."""
    X, loss, k, y, Y, weight, scaling, real = model(draw, 2)
    n = len(X)
    if weight is not None:
        weight = draw.rng.random(n) + 0.1
    if y.ndim == 1:
        y[:2], Y = [0, k - 1][:n], None
        classes, y = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            return
        k = 1 if len(classes) == 2 and loss != "softmax" else len(classes)
        Y = y[:, None].astype(REAL) if k == 1 else exact.one_hot(y, k)
    batch = draw.choice((1, 2, draw.length(n), n, None)) if n < 30 else draw.choice((n // 2 + 1, n, None, n // 3 + 1))
    momentum, alpha, reduction = draw.choice((0.0, 0.9)), draw.choice((0.0, 0.0, 0.1)), draw.choice(("mean", "sum"))
    rate = 10 ** draw.between(-4, -1) / (1 if reduction == "mean" else n)
    t = fastlr.Trainer(loss=loss, learning_rate=rate, epochs=1, batch_size=batch, momentum=momentum, alpha=alpha,
                       reduction=reduction, shuffle=False, n_threads=draw.threads())
    given = draw.layout(X)
    t.fit(given, draw.layout(y), sample_weight=weight, **scaling)
    what = f"{X.dtype} {X.shape} k={k} {loss} batch={batch}"
    wide = X.astype(REAL)
    W, b, W_error, b_error = learning_rule(wide, Y, None if weight is None else weight.astype(REAL), real, batch or n,
                                           loss=loss, learning_rate=rate, momentum=momentum, alpha=alpha,
                                           reduction=reduction, **scaling)
    if not np.isfinite(W).all() or np.abs(W).max(initial=0) > 1e6:
        return
    facts = "weights" if weight is not None else "", *scaling, "momentum" if momentum else "", f"{reduction} {alpha}"
    compare(f"W {what}", t.coef_, W, W_error, *facts)
    compare(f"b {what}", t.intercept_, b, b_error, *facts)
    sums = linear_sums(wide, t.coef_.astype(REAL), t.intercept_.astype(REAL), Y, None, loss, scaling, real)
    Z = t.decision_function(given)
    logits, error = sums.Z, sums.Z_error + exact.unit(sums.Z, real)
    if k == 2 and Z.ndim == 1:  # of two classes
        logits, error = logits[:, 1] - logits[:, 0], error.sum(axis=1)
        error += exact.unit(logits, real)
    compare(f"decision_function {what}", Z, logits.reshape(Z.shape), error.reshape(Z.shape), *facts)
