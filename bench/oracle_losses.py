"""Losses of logits and their gradients, for `fastlr.bench.oracle`."""

from dataclasses import dataclass

import numpy as np

import fastlr

from . import long_double as exact
from .long_double import REAL
from .oracle_functions import check_out, compare, real_of, refused
from .ulp import ULP

RESIDUAL_ULP = 5  # as softmax
SOFT_ULP = ULP["residual of softmax", "float32"]
LOSS_ULP = 3.5
SOFT_LOSS_ULP = 1  # more where targets are probabilities: their sums are compensated, a product and a sum are not
TARGET_ULP = 2.5  # of a target that is smoothed: two factors of 1/2 ULP, up to twice that of a sum, and two terms of it
SUM_EPS = 4
PRODUCT_ERROR = REAL(2) ** -1075  # of weight times loss in double, where it is subnormal


@dataclass
class Expected:
    """Exact values without weights: losses (n, 1) of rows or (n, k) of elements, the rest (n, k)."""

    losses: np.ndarray
    residuals: np.ndarray
    A: np.ndarray
    Y: np.ndarray
    loss_ulp: float
    target_error: np.ndarray | float = 0.0  # of losses, for targets that are smoothed in the real type
    either: np.ndarray | bool = False  # losses that may be inf or nan, by the order of their terms
    smoothed: bool = False


def cross_entropy(draw):
    """cross_entropy and its gradient."""
    n, k = draw.shape()
    n = 1 if draw.chance(0.05) else n
    Z = draw.spoil(draw.logits(n, k, draw.dtype()))
    wide, real = real_of(Z)
    y, s = draw.targets(n, k, real), draw.smoothing()
    soft = y.ndim > 1 or s > 0
    Y = exact.smoothed(y.astype(REAL) if y.ndim > 1 else exact.one_hot(y, k), s, k)
    rows = exact.Rows(wide)
    losses, either = rows.cross_entropy(Y)[:, None], (rows.max == np.inf) & soft
    losses[either] = np.nan
    target_error = np.where(Y > 0, -rows.log_softmax() * TARGET_ULP * exact.unit(Y, real), 0) if s else np.zeros((n, 1))
    expected = Expected(losses, rows.residual(Y), rows.softmax(), Y, LOSS_ULP + soft * SOFT_LOSS_ULP,
                        target_error.sum(axis=1, keepdims=True), either=either, smoothed=s > 0)
    given = draw.layout(Z), draw.layout(y)
    if n == 1 and draw.chance(0.5):
        given = given[0].reshape(k), given[1].reshape(y.shape[1:])
    weight = draw.weights(n)
    check_losses(draw, "cross_entropy", given, expected, weight, weight, s, real, "targets" if y.ndim > 1 else "")


def binary_cross_entropy(draw):
    """binary_cross_entropy and its gradient."""
    n, k = draw.shape()
    z = draw.spoil(draw.logits(n, k, draw.dtype()))
    wide, real = real_of(z)
    s = draw.smoothing()
    labels = draw.chance(0.6)
    y = draw.rng.integers(0, 2, (n, k))
    if labels:
        y = y.astype(draw.choice(("int8", "int64", "bool")))
    else:
        y = np.where(draw.rng.random((n, k)) < 0.3, y, draw.rng.random((n, k))).astype(real)
    Y = exact.smoothed(y.astype(REAL), s, 2)
    target_error = np.abs(wide) * TARGET_ULP * exact.unit(Y, real) if s else 0.0
    expected = Expected(exact.binary_cross_entropy(wide, Y), exact.binary_residual(wide, Y), exact.sigmoid(wide), Y,
                        LOSS_ULP + 2 * (s > 0 or not labels), target_error, smoothed=s > 0)
    weight = draw.weights(n)
    given_weight = None if weight is None else weight[:, None]
    given = draw.layout(z), draw.layout(y)
    kind = "" if labels else "targets"
    check_losses(draw, "binary_cross_entropy", given, expected, weight, given_weight, s, real, kind)


def check_losses(draw, name, given, expected, weight, given_weight, smoothing, real, kind):
    """A loss function of logits and targets `given`; weight (n,) or None."""
    reduction, with_grad = draw.choice(("mean", "sum", "none")), draw.chance(0.7)
    options = {"sample_weight": given_weight, "label_smoothing": smoothing, "reduction": reduction,
               "n_threads": draw.threads()}
    function = getattr(fastlr, f"{name}_and_grad" if with_grad else name)
    if weight is not None and not weight.any():
        return refused(lambda: function(*given, **options), ValueError)
    out = draw.out(given[0], real) if with_grad else None
    if out is not None:
        options["out"] = out
    what = f"{real} {np.shape(given[0])}"
    result = function(*given, **options)
    loss, grad = result if with_grad else (result, None)
    check_out(grad, out)

    n = len(expected.losses)
    w = np.ones((n, 1), REAL) if weight is None else weight.astype(REAL)[:, None]
    facts = [kind, "smoothed" if smoothing else "", "" if weight is None else "weights", reduction]
    factor = 1 / (np.zeros_like(expected.losses) + w).sum() if reduction == "mean" else REAL(1)
    _check_loss(loss, expected, w, factor, reduction, real, f"loss {what}", facts)
    if with_grad:
        weighed = weight is not None or reduction == "mean"
        value, error = _gradient(expected, w, factor, reduction, weighed, real)
        vanishes = ((w * factor).astype(np.float64) == 0) & ~np.isfinite(value)  # weights too far apart for a float64
        value, error = np.where(vanishes, np.reshape(grad, value.shape), value), np.where(vanishes, 0, error)
        facts.append("out" if out is not None else "")
        compare(f"gradient {what}", grad, value.reshape(np.shape(grad)), error.reshape(np.shape(grad)), *facts)
    return None


def _check_loss(loss, expected, w, factor, reduction, real, what, facts):
    """Weighted losses of rows or elements, or their sum times factor."""
    eps, least = np.finfo(real).eps, np.finfo(real).smallest_subnormal
    error = (expected.loss_ulp + exact.OWN_ULP[real]) * exact.unit(expected.losses, real)
    error = w * (error + expected.A.shape[1] / 2 * least + expected.target_error)
    losses = np.where(w == 0, 0, w * expected.losses)
    error = np.where((w == 0) | ~np.isfinite(losses), 0, error)  # what is not finite is compared as it is
    either = (np.zeros(losses.shape, bool) | expected.either) & (w > 0)
    if reduction == "none":
        losses, error = (values.reshape(np.shape(loss)) for values in (losses, error + exact.unit(losses, real)))
        loss = np.where(np.reshape(either, np.shape(loss)) & ~np.isfinite(loss), loss.dtype.type(np.nan), loss)
        compare(what, loss, losses, error, *facts)
        return
    total = losses.sum()
    lost = (w > 0) & ((w * factor).astype(np.float64) < np.finfo(np.float64).tiny) & ~np.isfinite(losses)
    if np.any(lost):  # weights too far apart for a float64
        return
    if (np.any(either) or total > np.finfo(np.float64).max) and not np.isfinite(loss):
        loss = float(total * factor)  # the sum is beyond the range, though its mean may not be
    size = w.max(initial=0)
    unit = size if reduction == "mean" and not 2.0**-60 <= size <= 2.0**60 else 1  # weights are divided by about that
    error = error.sum() + (SUM_EPS * eps + losses.size * 2.0**-53) * total + losses.size * PRODUCT_ERROR * unit
    compare(what, np.float64(loss), total * factor, error * factor + exact.unit(total * factor, np.float64), *facts)


def _gradient(expected, w, factor, reduction, weighed, real):
    """w factor (A - Y), and what it may be off."""
    rate = w * factor
    sharp = ((expected.Y == 0) | (expected.Y == 1)) & (not expected.smoothed)
    size = np.where(sharp, expected.residuals, np.maximum(expected.A, expected.Y))
    error = np.where(sharp, RESIDUAL_ULP, SOFT_ULP) * exact.unit(size, real)
    value = np.where(w == 0, 0, rate * expected.residuals)
    error = rate * (error + 2 * np.finfo(real).smallest_subnormal) + weighed * exact.unit(value, real)
    if weighed:  # w factor is a float64: below the normal ones it has few digits
        error = error + np.spacing(np.abs(rate).astype(np.float64)) * np.abs(expected.residuals)
    if reduction == "mean":
        error = error + (2 + np.log2(len(value) + 1)) * 2.0**-53 * np.abs(value)
    return value, np.where(w == 0, 0, error)
