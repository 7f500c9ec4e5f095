"""The functions of one number and of rows, for `fastlr.bench.oracle`, and what all of its checks share.

A check takes a Draw, makes one call, and raises a Fault, or what fastlr raises, if that is not as it should be.
"""

import numpy as np

import fastlr

from . import long_double as exact
from .long_double import REAL
from .ulp import ULP


class Fault(Exception):
    """A value, or an error, that should not be."""


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
    kind = "".join(f", {fact}" for fact in facts if fact)
    raise Fault(f"{what}{near}{kind}: {len(wrong)} of {actual.size} wrong, at {place} {actual[place]!r} for "
                f"{expected[place]!r}, {excess[worst]:.3g} times the tolerance")


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


def elementwise(name):
    """sigmoid, sigmoid_derivative, log_sigmoid, logit."""
    judge = getattr(exact, name)

    def check(draw):
        n, k = draw.shape()
        dtype = draw.dtype()
        z = draw.logits(n, k, dtype)
        if name == "logit" and dtype.kind == "f":
            p = draw.rng.random((n, k)) ** draw.choice((1, 1, 10, 300))
            p = np.where(draw.rng.random((n, k)) < 0.5, p, 1 - p) if draw.chance(0.8) else z
            z = np.clip(p, -1, 2).astype(dtype)
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
    dtype = draw.choice(("int8", "uint8", "int64")) if k < 128 else "int32"
    y = draw.rng.integers(0, k, shape).astype(dtype)
    expected = exact.one_hot(y.ravel(), k).reshape(*shape, k)
    compare(f"{dtype} {shape} {k}", fastlr.one_hot(draw.layout(y), k), expected, 0)
