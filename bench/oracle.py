"""Random calls of every public function against long doubles: ``python -m fastlr.bench.oracle --calls N --seed S``.

    functions of one number, of rows          ULP as in bench/ulp.py
    residuals A - Y                           4 ULP of each element where Y is 0 or 1, also where A rounds to 1; else 6 of the
                                              larger of A and Y; then one rounding for the weight
    losses of rows                            ULP of cross_entropy; log2(k) + 1 more where targets are probabilities, and 2
                                              ULP of a target that is smoothed
    logarithms of sums of k terms             half a subnormal more for each term; where maximum and logarithm cancel, what
                                              float64 leaves of a float32 result and long double of a float64 one
    sums over rows                            4 machine epsilons of what is added, all signs positive
    steps of Trainer                          what the sums behind them may be off

Where the exact value rounds to a finite number that is expected, else the infinity of its sign, nan for nan.  Rows that
are finite are held to their bounds whatever other rows hold; rows of weight 0 give 0 whatever they hold.  Each call is
made on one instruction set; a call that ends the process is a fault like any other.  Failures are printed as
``SEED:INDEX ...``, which ``--seed SEED --first INDEX --calls 1`` repeats.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import fastlr
from fastlr import _core

from . import long_double as exact
from .draw import Draw
from .long_double import REAL
from .ulp import ULP

RESIDUAL_ULP = 4
SOFT_ULP = 6  # softmax and one rounding
SUM_EPS = 4
ISAS = tuple(_core.available_isas())
HANG = 60  # seconds without a call that ends


class Fault(Exception):
    """A value, or an error, that should not be."""


# ---- comparing --------------------------------------------------------------------------------------------------------
def compare(what, actual, expected, tolerance, *facts):
    """Raise a Fault naming the worst place, unless all are within the tolerance."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise Fault(f"{what}: shape {actual.shape}, expected {expected.shape}")
    good = exact.bounded(actual, expected, tolerance)
    if good.all():
        return
    wrong = np.argwhere(~good)
    with np.errstate(all="ignore"):
        excess = (np.abs(actual - expected) / (np.zeros_like(expected) + tolerance))[~good]
    worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
    place = tuple(wrong[worst].tolist())
    near = ""
    if actual.ndim and actual.dtype.kind == "f" and not np.isfinite(expected).all() and np.isfinite(expected[place]):
        near = " beside nan or inf"
    raise Fault(f"{what}{near}{''.join(f', {fact}' for fact in facts if fact)}: {len(wrong)} of {actual.size} wrong, at "
                f"{place} {actual[place]!r} for {expected[place]!r}, {excess[worst]:.3g} times the tolerance")


def within_ulp(what, function, actual, expected, *facts, more=0):
    """`compare` with the bound of bench/ulp.py."""
    dtype = np.asarray(actual).dtype
    ulps = ULP[function, dtype.name] + exact.OWN_ULP[dtype]
    compare(what, actual, expected, ulps * exact.unit(expected, dtype) + more, *facts)


def real_of(values):
    """float32 and float64 as the functions compute them: values as they are read, and the type of results."""
    dtype = np.dtype(np.float32 if values.dtype == np.float32 or values.dtype == ">f4" else np.float64)
    return values.astype(REAL), dtype


def refused(call, error):
    """Whether the call raises that error, which it has to."""
    try:
        call()
    except error:
        return True
    raise Fault(f"no {error.__name__}")


def check_out(result, out):
    """A result is what was passed as out."""
    if out is not None and result is not out:
        raise Fault("the result is not out")


# ---- functions --------------------------------------------------------------------------------------------------------
def elementwise(name):
    """sigmoid, sigmoid_derivative, log_sigmoid, logit."""
    judge = getattr(exact, name)

    def check(draw):
        n, k = draw.shape()
        dtype = draw.dtype()
        z = draw.logits(n, k, dtype)
        if name == "logit" and dtype.kind == "f":
            p = draw.rng.random((n, k)) ** draw.choice((1, 1, 10, 300))
            z = np.clip(np.where(draw.rng.random((n, k)) < 0.5, p, 1 - p) if draw.chance(0.8) else z, -1, 2).astype(dtype)
        z = draw.layout(draw.spoil(z).reshape((n, k) if draw.chance(0.7) else (-1,)))
        if z.size and draw.chance(0.05):
            z = z.reshape(-1)[0]
        wide, real = real_of(np.asarray(z))
        expected = judge(wide)
        kwargs = {"n_threads": draw.threads()}
        out = draw.out(z, real) if name == "sigmoid" and np.ndim(z) else None
        if out is not None:
            kwargs["out"] = out
        result = getattr(fastlr, name)(z, **kwargs)
        check_out(result, out)
        within_ulp(f"{real} {np.shape(z)}", name, result, expected)

    return check


def along_rows(name):
    """softmax, log_softmax, logsumexp."""

    def check(draw):
        n, k = draw.shape()
        shape, order, axis = draw.axes(n, k)
        values = draw.spoil(draw.logits(n, k, draw.dtype()))
        Z = draw.layout(values.reshape(shape).transpose(order))
        if draw.chance(0.02):
            Z = Z.tolist() if Z.dtype == np.float64 else Z
        wide, real = real_of(values)
        rows = exact.Rows(wide)
        expected = getattr(rows, name)()
        more, kwargs, out = 0, {"n_threads": draw.threads()}, None
        if name == "logsumexp":
            kept = [a for a in order if a < len(shape) - (1 if len(shape) < 4 else 2)]
            keepdims = kwargs["keepdims"] = draw.chance(0.3)
            expected = expected.reshape([shape[a] for a in sorted(kept)])
            if keepdims:
                expected = expected.reshape([*expected.shape, *[1] * (len(shape) - len(kept))])
                expected = expected.transpose(order)
            else:
                expected = expected.transpose([sorted(kept).index(a) for a in kept])
            peak = exact.REAL(0) + np.where(np.isfinite(rows.max), np.abs(rows.max), 0)[:, 0]
            cancelled = np.abs(rows.logsumexp()) < 2.0**-9 * peak
            wide_eps = np.finfo(np.float64 if real == np.float32 else REAL).eps
            more = np.where(cancelled, 16 * wide_eps * peak, 0).reshape([shape[a] for a in sorted(kept)])
            if not keepdims:
                more = more.transpose([sorted(kept).index(a) for a in kept])
            else:
                more = more.reshape([*more.shape, *[1] * (len(shape) - len(kept))]).transpose(order)
        else:
            expected = expected.reshape(shape).transpose(order)
            out = draw.out(Z, real) if isinstance(Z, np.ndarray) else None
            if out is not None:
                kwargs["out"] = out
        result = getattr(fastlr, name)(Z, axis, **kwargs)
        check_out(result, out)
        if name != "softmax":
            more = more + k / 2 * np.finfo(real).smallest_subnormal
        within_ulp(f"{real} {shape} axis {axis}", name, result, expected, "k > 64" if k > 64 else "", more=more)

    return check


def softmax_jacobian(draw):
    """A (delta - A') of rows."""
    n, k = draw.length(10), draw.length(20)
    dtype = draw.choice((np.float32, np.float64))
    A = draw.spoil(fastlr.softmax(draw.logits(n, k, np.dtype(dtype))))
    wide = A.astype(REAL)
    J = -wide[:, :, None] * wide[:, None, :]
    J[:, np.arange(k), np.arange(k)] = wide * (1 - wide)
    A = draw.layout(A)
    compare(f"{A.dtype} {A.shape}", fastlr.softmax_jacobian(A), J, 2 * exact.unit(J, A.dtype))


def one_hot(draw):
    """Zeros and a one."""
    shape, k = draw.choice(((draw.length(50),), (3, draw.length(9)), (0,))), draw.length(200)
    y = draw.layout(draw.rng.integers(0, k, shape).astype(draw.choice(("int8", "uint8", "int64")) if k < 128 else "int32"))
    Y = fastlr.one_hot(y, k)
    if Y.shape != (*shape, k) or not (Y.sum(axis=-1) == 1).all() or not (np.take_along_axis(Y, y[..., None].astype(np.intp), -1) == 1).all():
        raise Fault(f"{shape} {k}")


# ---- losses of logits -------------------------------------------------------------------------------------------------
def cross_entropy(draw):
    """cross_entropy and its gradient."""
    n, k = draw.shape()
    if draw.chance(0.05):
        n = 1
    Z = draw.spoil(draw.logits(n, k, draw.dtype()))
    wide, real = real_of(Z)
    y, s = draw.targets(n, k, real), draw.smoothing()
    Y = exact.one_hot(y, k) if y.ndim == 1 else y.astype(REAL)
    Y = exact.smoothed(Y, s, k)
    rows = exact.Rows(wide)
    losses = rows.cross_entropy(Y)
    infinite = (rows.max == np.inf)[:, 0] & ((s > 0) | (y.ndim > 1))  # inf or nan, by the order of the terms
    losses[infinite] = np.nan
    given = draw.layout(Z), draw.layout(y)
    if n == 1 and draw.chance(0.5):
        given = given[0].reshape(k), given[1].reshape(y.shape[1:])
    kind = "targets" if y.ndim > 1 else ""
    check_losses(draw, "cross_entropy", given, losses[:, None], infinite[:, None], None, rows.residual(Y), rows.softmax(), Y,
                 draw.weights(n), s, real, f"{real} {Z.shape}", kind, np.log2(k) + 1 if kind or s else 0)


def binary_cross_entropy(draw):
    """binary_cross_entropy and its gradient."""
    n, k = draw.shape()
    z = draw.spoil(draw.logits(n, k, draw.dtype()))
    wide, real = real_of(z)
    s = draw.smoothing()
    if draw.chance(0.6):
        y = draw.rng.integers(0, 2, (n, k)).astype(draw.choice(("int8", "int64", "bool")))
        kind = ""
    else:
        y = np.where(draw.rng.random((n, k)) < 0.3, draw.rng.integers(0, 2, (n, k)), draw.rng.random((n, k))).astype(real)
        kind = "targets"
    Y = exact.smoothed(y.astype(REAL), s, 2)
    weight = draw.weights(n)
    if weight is not None and (k > 1 or draw.chance(0.5)):
        weight = weight[:, None]
    check_losses(draw, "binary_cross_entropy", (draw.layout(z), draw.layout(y)), exact.binary_cross_entropy(wide, Y),
                 np.zeros((n, k), bool), wide, exact.binary_residual(wide, Y), exact.sigmoid(wide), Y, weight, s, real,
                 f"{real} {z.shape}", kind, 2 if kind or s else 0)


def check_losses(draw, name, given, losses, either, slopes, residuals, A, Y, weight, s, real, what, kind, more):
    """A loss function of logits and targets `given`: losses (n, 1) or of each element, residuals A - Y.

    either: losses that may be inf or nan; slopes: derivatives of the losses in their targets, if that matters.
    """
    n = len(losses)
    reduction, with_grad = draw.choice(("mean", "sum", "none")), draw.chance(0.7)
    kwargs = {"sample_weight": weight, "label_smoothing": s, "reduction": reduction, "n_threads": draw.threads()}
    if name == "binary_cross_entropy" and weight is not None and weight.ndim == 1 and residuals.shape[1] == 1:
        weight = kwargs["sample_weight"] = weight[:, None]
    function = getattr(fastlr, f"{name}_and_grad" if with_grad else name)
    if weight is not None and n and not weight.any():
        return refused(lambda: function(*given, **kwargs), ValueError)
    Z = given[0]
    out = draw.out(Z, real) if with_grad else None
    if out is not None:
        kwargs["out"] = out
    result = function(*given, **kwargs)
    loss, grad = result if with_grad else (result, None)
    check_out(grad, out)

    w = np.ones((n, 1), REAL) if weight is None else np.asarray(weight, REAL).reshape(n, 1)
    losses = np.where(w == 0, 0, w * losses)
    eps, least = np.finfo(real).eps, np.finfo(real).smallest_subnormal
    loss_error = (3.5 + more + exact.OWN_ULP[real]) * w * exact.unit(np.where(w == 0, 0, losses / np.where(w == 0, 1, w)), real)
    loss_error = loss_error + w * (A.shape[1] / 2 * least + (np.abs(slopes) * 2 * exact.unit(Y, real) if s and slopes is not None else 0))
    loss_error = np.where(np.isfinite(losses), loss_error, 0)
    facts = (kind, "smoothed" if s else "", "weights" if weight is not None else "", reduction)
    broadcast = np.zeros(losses.shape, REAL) + w
    if reduction == "none":
        loss_error = loss_error + exact.unit(losses, real)
        if either.any():
            loss = np.where((either & (w > 0)).reshape(loss.shape) & ~np.isfinite(loss), np.asarray(np.nan, real), loss)
        compare(f"losses {what}", loss, losses.reshape(np.shape(loss)), loss_error.reshape(np.shape(loss)), *facts)
        factor = REAL(1)
    else:
        factor = 1 / broadcast.sum() if reduction == "mean" else REAL(1)
        total = losses.sum()
        if either.any() and not np.isfinite(loss) and not np.isfinite(total):
            loss = float(total)
        error = loss_error.sum() + (SUM_EPS * eps + np.sqrt(n) * 2.0**-53) * total
        compare(f"loss {what}", np.float64(loss), total * factor, error * factor + exact.unit(total * factor, np.float64), *facts)
    if with_grad:
        rate = w * factor
        expected = np.where(w == 0, 0, rate * residuals)
        sharp = ((Y == 0) | (Y == 1)) & (s == 0)
        error = np.where(sharp, RESIDUAL_ULP, SOFT_ULP) * exact.unit(np.where(sharp, residuals, np.maximum(A, Y)), real)
        error = rate * (error + 2 * least) + (weight is not None or reduction == "mean") * exact.unit(expected, real)
        if reduction == "mean":
            error = error + (2 + np.log2(n + 1)) * 2.0**-53 * np.abs(expected)
        error = np.where(w == 0, 0, error).reshape(np.shape(grad))
        compare(f"gradient {what}", grad, expected.reshape(np.shape(grad)), error, *facts, "out" if out is not None else "")


# ---- models -----------------------------------------------------------------------------------------------------------
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
    scale, shift = (np.zeros(X.shape[1], REAL) + scaling.get(name, default) for name, default in (("scale", 1), ("shift", 0)))
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
    slack = (np.sqrt(n) + 8) * 2.0**-52
    penalty = alpha / 2 * (W**2).sum()
    for name, got, sum_, error, more in (
        ("loss", value, sums.loss, sums.loss_error, penalty),
        ("gradient W", G, sums.G, sums.G_error, alpha * W), ("gradient b", g, sums.g, sums.g_error, np.zeros(k, REAL)),
    ):
        expected = sum_ / total + more
        error = error / total + slack * (np.abs(sum_) / total + np.abs(more)) + exact.unit(expected, np.float64)
        compare(f"{name} {what}", np.float64(got), expected.reshape(np.shape(got)), error.reshape(np.shape(got)), *facts)
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
    if weight is not None:
        weight = draw.rng.random(len(X)) + 0.1
    n, d = X.shape
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
    facts = ("weights" if weight is not None else "", *scaling, f"momentum {momentum}" if momentum else "", "one row" if batch == 1 else "")
    compare(f"W {what}", t.coef_, W, W_error, *facts)
    compare(f"b {what}", t.intercept_, b, b_error, *facts)
    sums = linear_sums(wide, t.coef_.astype(REAL), t.intercept_.astype(REAL), Y, None, loss, scaling, real)
    Z = t.decision_function(given)
    compare(f"decision_function {what}", Z, sums.Z.reshape(Z.shape), sums.Z_error.reshape(Z.shape) + exact.unit(sums.Z, real).reshape(Z.shape), *facts)


CALLS = {
    "sigmoid": (10, elementwise("sigmoid")), "sigmoid_derivative": (5, elementwise("sigmoid_derivative")),
    "log_sigmoid": (8, elementwise("log_sigmoid")), "logit": (5, elementwise("logit")),
    "softmax": (15, along_rows("softmax")), "log_softmax": (12, along_rows("log_softmax")),
    "logsumexp": (10, along_rows("logsumexp")), "softmax_jacobian": (2, softmax_jacobian), "one_hot": (2, one_hot),
    "cross_entropy": (14, cross_entropy), "binary_cross_entropy": (9, binary_cross_entropy),
    "loss_and_grad": (6, loss_and_grad), "Trainer": (2, trainer),
}
NAMES = tuple(CALLS)
_WHEEL = [name for name, (share, _) in CALLS.items() for _ in range(share)]


def make_call(seed, index):
    """One call: its function, instruction set, and what is wrong with it or None."""
    draw = Draw(seed, index)
    name, isa = draw.choice(_WHEEL), draw.choice(ISAS)
    before = _core.isa_name()
    _core.select_isa(isa)
    try:
        with np.errstate(all="ignore"):
            CALLS[name][1](draw)
    except Fault as fault:
        return name, isa, str(fault)
    except Exception as error:
        return name, isa, f"{type(error).__name__}: {error}"
    finally:
        _core.select_isa(before)
    return name, isa, None


# ---- running ----------------------------------------------------------------------------------------------------------
class State:
    """What a worker has done, in a file that outlives it: the index it is at, calls and faults by function and ISA."""

    def __init__(self, path):
        size = 2 + 2 * len(NAMES) * len(ISAS)
        if not path.exists():
            path.write_bytes(bytes(8 * size))
        self.values = np.memmap(path, np.int64, "r+", shape=size)
        self.table = self.values[2:].reshape(2, len(NAMES), len(ISAS))

    def count(self, name, isa, fault):
        """One more call."""
        self.table[0, NAMES.index(name), ISAS.index(isa)] += 1
        self.table[1, NAMES.index(name), ISAS.index(isa)] += fault


def work(seed, first, last, deadline, state):
    """The calls [first, last), until the deadline; faults are printed."""
    warnings.simplefilter("ignore")
    for index in range(first, last):
        if time.time() > deadline:
            break
        state.values[0] = index
        name, isa, fault = make_call(seed, index)
        state.count(name, isa, fault is not None)
        if fault:
            print(f"{seed}:{index} {name} {isa}: {fault}", flush=True)
        state.values[0] = index + 1


def supervise(seed, first, last, deadline, path):
    """Workers, one after another: each call that ends its process, or does not end, is printed, and the next goes on."""
    state = State(path)
    crashes = 0
    while first < last and time.time() < deadline:
        command = [sys.executable, "-m", __spec__.name, "--seed", seed, "--first", first, "--calls", last - first,
                   "--seconds", deadline - time.time(), "--worker", path]
        worker = subprocess.Popen(list(map(str, command)))
        seen, since = -1, time.time()
        while worker.poll() is None:
            if state.values[0] != seen:
                seen, since = int(state.values[0]), time.time()
            if time.time() - since > HANG:
                worker.kill()
            time.sleep(0.05)
        if worker.returncode == 0:
            break
        first = int(state.values[0]) + 1
        crashes += 1
        how = "no end" if time.time() - since > HANG else f"the process ended with {worker.returncode}"
        print(f"{seed}:{first - 1} {describe(seed, first - 1)}: {how}, at this call or by one before it", flush=True)
    return state, crashes


def describe(seed, index):
    """Function and instruction set of a call that is not made."""
    draw = Draw(seed, index)
    return f"{draw.choice(_WHEEL)} {draw.choice(ISAS)}"


def main(argv=None):
    """Make the calls and print the counts; the exit status is 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m fastlr.bench.oracle", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="how many (20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="index of the first (0)")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if not exact.WIDE_ENOUGH:
        parser.error("long double is no wider than double here")
    span = options.seed, options.first, options.first + options.calls, time.time() + options.seconds
    if options.worker:
        work(*span, State(options.worker))
        return 0
    start = time.time()
    with tempfile.TemporaryDirectory() as folder:
        state, crashes = supervise(*span, Path(folder) / "state")
        calls, faults = np.array(state.table)
        del state
    print(f"\n{'calls (faults)':24}" + "".join(f"{isa:>20}" for isa in ISAS))
    for name, made, wrong in zip(NAMES, calls, faults, strict=True):
        print(f"{name:24}" + "".join(f"{f'{m} ({w})':>20}" for m, w in zip(made, wrong, strict=True)))
    print(f"{calls.sum()} calls, {faults.sum()} with wrong values or errors, {crashes} ended the process; "
          f"{time.time() - start:.0f} s")
    return int(faults.sum() + crashes > 0)


if __name__ == "__main__":
    raise SystemExit(main())
