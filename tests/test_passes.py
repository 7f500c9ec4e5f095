"""Every pass over X x instruction set x dtype x layout x loss x number of classes against its NumPy twin.

Errors are measured against the sum of the absolute values that were added up, in machine epsilons of the type that the
tiles compute in.
"""

import ml_dtypes
import numpy as np
import pytest
from problems import LOSSES, REALS, X_DTYPES, features, layouts, targets, wide
from tolerances import GRAM_EPS, PASS_EPS

from fastlr import _core, reference


def parameters(rng, k, d):
    return rng.normal(size=(k, d)) / np.sqrt(d), rng.normal(size=k)


def check_pass(X, y, Y, k, note, *, loss="softmax", weight=None, offset=None, scale=None, shift=None):
    """Every pass of one problem against the twins."""
    n, d = X.shape
    rng = np.random.default_rng(d)
    (W, b), (V, c) = parameters(rng, k, d), parameters(rng, k, d)
    if scale is not None:
        W, V = W / scale, V / scale
    problem = _core.Problem(X, y, k, loss=loss, weight=weight, offset=offset, scale=scale, shift=shift, n_threads=2)
    eps = np.finfo(problem.real).eps

    X_seen = reference.standardise(*wide(X), scale, shift)
    w = np.longdouble(1) if weight is None else weight.astype(np.longdouble)
    intercept = b if offset is None else b + offset.astype(np.longdouble)
    Y = np.asarray(Y, np.longdouble)
    # what was added up to a logit, in the folded form (x scale) w - (shift scale) w
    folded = np.abs(W) * (1 if scale is None else scale)
    far = 0 if shift is None else np.abs(shift)
    z_size = (np.abs(wide(X)[0]) + far) @ folded.T + np.abs(intercept)
    Z = reference.forward(X_seen, W, intercept)
    w_rows = np.broadcast_to(w, n)[:, None]
    x_size = (np.abs(wide(X)[0]) + far) * (1 if scale is None else scale)

    def close(what, actual, expected, size):
        error = np.abs(np.asarray(actual, np.longdouble) - expected)
        allowed = PASS_EPS * eps * np.asarray(size, np.longdouble)
        assert np.all(error <= allowed), (
            f"{what}: {note} X {X.dtype} {X.shape} k={k} {loss}: error {float((error / allowed).max()):.3g} x allowed"
        )

    value, G, g = problem.loss_and_grad(W, b)
    H, h = problem.hessp(W, b, V, c)
    for at_logits, product in zip(problem.hessp_at(problem.logits(W, b), V, c), (H, h), strict=True):
        np.testing.assert_array_equal(at_logits, product, "the Hessian at kept logits")
    evaluated, n_correct = problem.evaluate(W, b)
    Z_out = problem.logits(W, b)
    close("logits", Z_out, Z, z_size)
    losses, R = reference.residual(loss, Z, Y, w)
    residual_size = 1 if loss != "squared_error" else np.abs(Z - Y)
    R_size = w_rows * (z_size + residual_size)
    loss_size = np.sum(R_size * (1 + np.abs(Z - Y)) + np.abs(losses)[:, None])
    close("loss", value, losses.sum(), loss_size)
    close("evaluate", evaluated, losses.sum(), loss_size)
    close("G", G, R.T @ X_seen, R_size.T @ x_size)
    close("g", g, R.sum(axis=0), R_size.sum(axis=0))
    check_kept_logits(problem, loss, Y, w, X_seen, x_size, close)
    U = reference.forward(X_seen, V, c)
    u_size = (np.abs(wide(X)[0]) + far) @ (np.abs(V) * (1 if scale is None else scale)).T + np.abs(c)
    H_row = reference.curvature(loss, Z, U, w)
    H_size = w_rows * (u_size + np.abs(U).max(axis=1, keepdims=True) * (1 + z_size))
    close("H", H, H_row.T @ X_seen, H_size.T @ x_size)
    close("h", h, H_row.sum(axis=0), H_size.sum(axis=0))
    if y.ndim == 1:
        margin = 0.5 if loss == "squared_error" else 0
        predicted = Z_out[:, 0] > margin if k == 1 else Z_out.argmax(axis=1)
        assert n_correct == np.sum(predicted == y), f"evaluate: {note} {X.dtype} k={k}"
    return value, G, g


def check_kept_logits(problem, loss, Y, w, X_seen, x_size, close):
    """loss_and_grad_at logits that the parameters have no part in, and outer of the same numbers."""
    n, k = problem.n, problem.k
    Z = (3 * np.random.default_rng(n).normal(size=(n, k))).astype(problem.real)
    losses, R = reference.residual(loss, Z.astype(np.longdouble), Y, w)
    w_rows = np.broadcast_to(w, n)[:, None]
    R_size = w_rows * (1 if loss != "squared_error" else np.abs(Z) + np.abs(Y))
    R_size = np.broadcast_to(R_size, (n, k))
    R_out = np.empty_like(Z)
    value, G, g = problem.loss_and_grad_at(Z, R_out=R_out)
    close("loss at logits", value, losses.sum(), np.sum(R_size * (1 + np.abs(Z - Y)) + np.abs(losses)[:, None]))
    close("R at logits", R_out, R, R_size)
    close("G at logits", G, R.T @ X_seen, R_size.T @ x_size)
    close("g at logits", g, R.sum(axis=0), R_size.sum(axis=0))
    in_place = Z.copy()
    for actual, expected in zip(problem.loss_and_grad_at(in_place, R_out=in_place), (value, G, g), strict=True):
        np.testing.assert_array_equal(actual, expected, "residuals in the place of logits")
    np.testing.assert_array_equal(in_place, R_out, "residuals in the place of logits")
    R = np.where(w_rows == 0, 0, Z)
    G, g = problem.outer(R)
    R = R.astype(np.longdouble)
    close("outer", G, R.T @ X_seen, np.abs(R).T @ x_size)
    close("outer's sums", g, R.sum(axis=0), np.abs(R).sum(axis=0))


@pytest.mark.parametrize("dtype", X_DTYPES, ids=str)
def test_passes_in_every_dtype_and_layout(isa, dtype, tmp_path):
    rng = np.random.default_rng(3)
    n, d, k = 150, 37, 3
    X = features(rng, n, d, dtype)
    y, Y = targets(rng, "softmax", n, k, None, "labels")
    scale = None if dtype.kind in "fV" else np.full(d, 0.02)
    results = [check_pass(Xl, y, Y, k, layout, scale=scale) for layout, Xl in layouts(X, tmp_path)]
    for (layout, _), result in zip(layouts(X, tmp_path), results, strict=True):
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b, f"{dtype} {layout}: bits differ from C order")


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10, 17, 33, 61, 100])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_passes_in_every_loss_and_number_of_classes(isa, dtype, loss, k):
    rng = np.random.default_rng(k)
    n, d = 301, 21
    X = features(rng, n, d, np.dtype(dtype))
    real = _core.real_dtype(X.dtype)
    scale, shift = (rng.random(d) + 0.5) / (1 if dtype != "uint8" else 50), rng.normal(size=d)
    weight, offset = rng.random(n), rng.normal(size=(n, k)).astype(real)
    weight[::7] = 0
    y, Y = targets(rng, loss, n, k, real, "labels")
    P, P_wide = targets(rng, loss, n, k, real, "targets")
    unit = {"scale": scale} if dtype == "uint8" else {}
    check_pass(X, y, Y, k, "labels", loss=loss, **unit)
    check_pass(X, P, P_wide, k, "targets, weights", loss=loss, weight=weight, **unit)
    check_pass(X, y, Y, k, "labels, weights, scale and shift", loss=loss, weight=weight, scale=scale, shift=shift)
    check_pass(X, P, P_wide, k, "targets, offset, scale and shift", loss=loss, offset=offset, scale=scale, shift=shift)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(
    ("loss", "k"), [("sigmoid", 1), ("sigmoid", 4), ("sigmoid", 40), ("sigmoid", 60), ("softmax", 2), ("softmax", 10)]
)
def test_passes_of_odd_shapes(isa, dtype, loss, k):
    rng = np.random.default_rng(4)
    shapes = (0, 5), (1, 1), (5, 0), (3, 2), (17, 15), (16, 16), (33, 17), (64, 31), (65, 33), (100, 1025), (2, 5000)
    for n, d in shapes:
        X = rng.normal(size=(n, d)).astype(dtype)
        y, Y = targets(rng, loss, n, k, dtype, "labels")
        if n:
            check_pass(X, y, Y, k, "odd shape", loss=loss)
        else:
            value, G, g = _core.Problem(X, y, k, loss=loss).loss_and_grad(np.ones((k, d)), np.ones(k))
            assert value == 0
            assert not G.any()
            assert not g.any()


@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("what", ["weights", "intercept"])
def test_weights_or_intercept_of_any_class_may_be_large(isa, k, what):
    """Softmax passes subtract the weights of one class from the others', whose rounding must not become theirs."""
    rng = np.random.default_rng(k)
    X = rng.random((300, 40), np.float32)
    for large in range(k):
        W, b = parameters(rng, k, 40)
        if what == "weights":
            W[large] = -1000 * np.abs(W[large])
        else:
            W[large], b[large] = 0, -3000
        y = (large + 1 + rng.integers(0, k - 1, 300)).astype(np.int32) % k
        R, R_exact = np.empty((300, k), np.float32), np.empty((300, k))
        value, G, g = _core.Problem(X, y, k).loss_and_grad(W, b, R_out=R)
        value_exact, G_exact, g_exact = _core.Problem(X.astype(np.float64), y, k).loss_and_grad(W, b, R_out=R_exact)
        assert value == pytest.approx(value_exact, rel=1e-6)
        np.testing.assert_allclose(R, R_exact, rtol=0, atol=1e-6)
        np.testing.assert_allclose(G, G_exact, rtol=0, atol=1e-6 * np.abs(X).sum())
        np.testing.assert_allclose(g, g_exact, rtol=0, atol=1e-4)
        np.testing.assert_allclose(G.sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("k", [3, 40])
def test_rows_that_overlap_or_repeat(isa, k):
    """Windows over a series, and one row seen n times: strides shorter than a row."""
    rng = np.random.default_rng(5)
    y, Y = targets(rng, "softmax", 100, k, None, "labels")
    series = rng.normal(size=119).astype(np.float32)
    check_pass(np.lib.stride_tricks.sliding_window_view(series, 20), y, Y, k, "windows")
    check_pass(np.broadcast_to(series[:20], (100, 20)), y, Y, k, "one row n times")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8"])
def test_gram(isa, dtype):
    rng = np.random.default_rng(6)
    for n, d in ((0, 3), (1, 1), (4, 0), (50, 7), (20, 48), (300, 33), (33, 49), (210, 100), (5000, 20)):
        X = features(rng, n, d, np.dtype(dtype))
        scale, shift, weight = rng.random(d) * 0.1 + 0.1, rng.normal(size=d), rng.random(n)
        for options in ({}, {"scale": scale, "shift": shift}, {"weight": weight}, {"scale": scale, "weight": weight}):
            problem = _core.Problem(X, None, 1, n_threads=2, **options)
            G, s = problem.gram()
            w = options.get("weight", np.longdouble(1))
            X_seen = reference.standardise(*wide(X), options.get("scale"), options.get("shift"))
            expected_G, expected_s = reference.gram(X_seen, w)
            size_G, size_s = reference.gram(np.abs(X_seen) + (np.abs(shift) if "shift" in options else 0), w)
            eps = GRAM_EPS * np.finfo(problem.real).eps
            note = f"gram X {X.dtype} {X.shape} {list(options)}"
            assert np.all(np.abs(G - expected_G) <= eps * size_G), note
            assert np.all(np.abs(s - expected_s) <= eps * size_s), note
            np.testing.assert_array_equal(G, G.T, note)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_first_nonfinite(isa, dtype, tmp_path):
    rng = np.random.default_rng(8)
    dtype = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    X = rng.normal(size=(500, 23)).astype(dtype)
    assert _core.first_nonfinite(X, 2) is None
    for value in (np.nan, np.inf, -np.inf):
        for place in ((0, 0), (499, 22), (250, 7)):
            bad = X.copy()
            bad[place] = value
            bad[-1, -1] = np.nan
            for layout, Xl in layouts(bad, tmp_path):
                assert _core.first_nonfinite(Xl, 2) == place, f"{value} at {place}, {dtype}, {layout}"
    assert _core.first_nonfinite(np.ones((3, 3), np.int32), 1) is None
    assert _core.first_nonfinite(np.full((2, 2), ml_dtypes.finfo(dtype).max, dtype), 1) is None


@pytest.mark.parametrize("dtype", X_DTYPES, ids=str)
@pytest.mark.parametrize("order", "CF")
def test_rows_of_weight_zero_may_hold_nan(isa, dtype, order):
    if dtype.kind in "iub":
        pytest.skip("integers hold no nan")
    rng = np.random.default_rng(13)
    n, d = 70, 19
    weight = rng.random(n)
    weight[::3] = 0
    X = np.asarray(features(rng, n, d, dtype), order=order)
    hostile = X.copy(order="K")
    hostile[::3, rng.integers(d)] = np.nan
    hostile[::6, rng.integers(d)] = np.inf
    for loss, k in (("softmax", 3), ("sigmoid", 1), ("squared_error", 2), ("softmax", 50), ("sigmoid", 40)):
        y, _ = targets(rng, loss, n, k, None, "labels")
        (W, b), (V, c) = parameters(rng, k, d), parameters(rng, k, d)
        clean, dirty = (_core.Problem(A, y, k, loss=loss, weight=weight) for A in (X, hostile))
        Z, R = clean.logits(W, b), np.empty((n, k), clean.real)
        clean.loss_and_grad(W, b, R_out=R)
        results = [(*problem.loss_and_grad(W, b), *problem.hessp(W, b, V, c), *problem.gram(),
                    *problem.loss_and_grad_at(Z), *problem.outer(R)) for problem in (clean, dirty)]
        for expected, actual in zip(*results, strict=True):
            np.testing.assert_array_equal(actual, expected, f"{loss} k={k}")


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("unit", [1e-300, 1e-46, 1e-20, 1e20, 1e40, 1e290])
def test_weights_of_any_scale(isa, dtype, unit):
    """Powers of two come out exactly; others as the same weights do near 1."""
    rng = np.random.default_rng(14)
    n, d = 60, 7
    X, weight = features(rng, n, d, np.dtype(dtype)), rng.random(n)
    factor = 2.0 ** np.round(np.log2(unit))
    for loss, k in (("softmax", 3), ("sigmoid", 1), ("squared_error", 2), ("softmax", 50)):
        y, _ = targets(rng, loss, n, k, None, "labels")
        (W, b), (V, c) = parameters(rng, k, d), parameters(rng, k, d)
        scale = np.full(d, 0.01) if dtype == "uint8" else None
        plain, scaled = (_core.Problem(X, y, k, loss=loss, weight=w, scale=scale) for w in (weight, weight * factor))
        for expected, actual in zip(
            *((*problem.loss_and_grad(W, b), *problem.hessp(W, b, V, c), *problem.gram(), problem.evaluate(W, b)[0],
               *problem.loss_and_grad_at(problem.logits(W, b))) for problem in (plain, scaled)),
            strict=True,
        ):
            np.testing.assert_allclose(np.asarray(actual) / factor, expected, 1e-5, 1e-6 * np.abs(expected).max())
        steps = []
        for problem, rate in ((plain, 0.1), (scaled, 0.1 / factor)):
            for reduction in ("mean", "sum"):
                W, b = np.zeros((k, d)), np.zeros(k)
                loss_sum, _ = problem.epoch(W, b, None, None, None, 16, reduction=reduction,
                                            learning_rate=rate if reduction == "sum" else 0.1)
                steps.append((loss_sum / (1 if problem is plain else factor), W, b))
        for expected, actual in zip(steps[:2], steps[2:], strict=True):
            for e, a in zip(expected, actual, strict=True):
                np.testing.assert_allclose(a, e, 1e-4, 1e-5 * np.abs(e).max())


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "uint8"])
@pytest.mark.parametrize("k", [1, 3, 40])
def test_blocks_of_rows_without_weight_add_nothing(dtype, k):
    """Rows that follow each other and weigh nothing are skipped: sums are those of the others."""
    rng = np.random.default_rng(0)
    n, d, loss = 9001, 33, "sigmoid" if k == 1 else "softmax"
    X, y = rng.integers(0, 100, (n, d)).astype(dtype), rng.integers(0, max(k, 2), n).astype(np.int32)
    (W, b), (V, c) = parameters(rng, k, d), parameters(rng, k, d)
    W, V = 0.05 * W, 0.05 * V
    for start, stop in [(0, 4000), (2500, 7013), (6000, 9001), (1, 9000)]:
        weight = rng.uniform(0.5, 2, n)
        weight[start:stop] = 0
        some, found = weight > 0, []
        for part in (slice(None), some):
            problem = _core.Problem(X[part], y[part], k, loss=loss, weight=weight[part], n_threads=2)
            Z = problem.logits(W, b)
            found.append([*problem.loss_and_grad(W, b), *problem.loss_and_grad_at(Z), *problem.hessp(W, b, V, c),
                          *problem.hessp_at(Z, V, c)])
        for whole, rest in zip(*found, strict=True):
            np.testing.assert_allclose(whole, rest, rtol=0, atol=1e-5 * np.abs(rest).max())
