"""Every small shape of rows on every instruction set, random large ones, and those that once overwrote memory."""

from functools import cache

import numpy as np
import pytest
from problems import LOSSES, REALS, targets
from tolerances import ROW_EPS

import fastlr
from fastlr import _core, reference

SMALL = 70
KINDS = (("labels", 0.0), ("labels", 0.1), ("targets", 0.0))
CANARY = 77
L = np.longdouble


def guarded(shape, dtype):
    """An array of this shape in the midst of a larger one, and that."""
    size = int(np.prod(shape))
    memory = np.full(size + 256, CANARY, dtype)
    return memory[128 : 128 + size].reshape(shape), memory


def untouched(memory):
    return (memory[:128] == CANARY).all() and (memory[-128:] == CANARY).all()


def row_kernel(name, Z):
    out, memory = guarded(len(Z) if name == "logsumexp" else Z.shape, Z.dtype)
    _core.rows(name, Z, out, 1)
    assert untouched(memory), f"{name} {Z.shape} {Z.dtype} wrote beyond its destination"
    return out


def residual_kernel(loss, Z, y, weight, smoothing):
    (R, memory), (losses, loss_memory) = guarded(Z.shape, Z.dtype), guarded(len(Z), Z.dtype)
    _core.residual(loss, Z, y, R_out=R, loss_out=losses, weight=weight, smoothing=smoothing)
    assert untouched(memory), f"{loss} {Z.shape} {Z.dtype} wrote beyond its residuals"
    assert untouched(loss_memory), f"{loss} {Z.shape} {Z.dtype} wrote beyond its losses"
    return R, losses


def tolerance(dtype):
    return {"rtol": ROW_EPS * np.finfo(dtype).eps, "atol": ROW_EPS * np.finfo(dtype).eps}


@cache
def problem(k, dtype):
    """SMALL rows of k logits, targets and weights; Y by kind and loss."""
    rng = np.random.default_rng(k)
    Z = (rng.choice([1, 8, 60], (SMALL, 1)) * rng.normal(size=(SMALL, k))).astype(dtype)
    return Z, {(loss, kind): targets(rng, loss, SMALL, k, dtype, kind) for loss in LOSSES
               for kind in ("labels", "targets")}, rng.random(SMALL) + 0.5


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_row_kernels_of_all_small_shapes(isa, name, dtype):
    for k in range(1, SMALL + 1):
        Z, _, _ = problem(k, dtype)
        whole = row_kernel(name, Z)
        np.testing.assert_allclose(whole, getattr(reference, name)(Z.astype(L)).astype(dtype), **tolerance(dtype))
        for m in range(1, SMALL):
            np.testing.assert_array_equal(row_kernel(name, Z[:m]), whole[:m], f"{name} {m} x {k}")


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("loss", LOSSES)
def test_residual_kernels_of_all_small_shapes(isa, loss, dtype):
    for k in range(1, SMALL + 1):
        Z, all_targets, weights = problem(k, dtype)
        for (kind, smoothing), weight in zip(KINDS, (None, weights, None), strict=True):
            if loss == "squared_error":
                smoothing = 0.0
            y, Y = all_targets[loss, kind]
            Y = reference.smooth(loss, Y.astype(L), smoothing) if smoothing else Y.astype(L)
            losses, R = reference.residual(loss, Z.astype(L), Y, 1 if weight is None else weight)
            whole_R, whole_losses = residual_kernel(loss, Z, y, weight, smoothing)
            note = f"{loss} {kind} k = {k}"
            np.testing.assert_allclose(whole_R, R.astype(float), **tolerance(dtype), err_msg=note)
            size = ROW_EPS * np.finfo(dtype).eps * max(1, float(np.abs(losses).max()))
            np.testing.assert_allclose(whole_losses, losses.astype(float), 1e-6, size, err_msg=note)
            for m in range(1, SMALL):
                part_R, part_losses = residual_kernel(loss, Z[:m], y[:m], None if weight is None else weight[:m],
                                                      smoothing)
                if m == 1 and loss == "softmax":  # a row alone is summed along its classes
                    np.testing.assert_allclose(part_R, whole_R[:1], **tolerance(dtype), err_msg=note)
                    continue
                np.testing.assert_array_equal(part_R, whole_R[:m], f"{note} m = {m}")
                np.testing.assert_array_equal(part_losses, whole_losses[:m], f"{note} m = {m}")


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_curvature_of_all_small_shapes(isa, loss, dtype):
    rng = np.random.default_rng(0)
    identity = np.eye(SMALL, dtype=dtype)  # rows that are unit vectors: column i of the product is row i's
    for k in range(1, SMALL + 1):
        Z, _, weight = problem(k, dtype)
        U = rng.normal(size=(SMALL, k)).astype(dtype)
        for w in (None, weight):
            exact = reference.curvature(loss, Z.astype(L), U.astype(L), 1 if w is None else w).astype(float).T
            for m in range(1, SMALL + 1, 1 if k < 20 or k > 60 else 9):
                X = np.ascontiguousarray(identity[:m, :m])
                p = _core.Problem(X, None, k, loss=loss, weight=None if w is None else w[:m])
                H, _ = p.hessp_at(Z[:m], np.ascontiguousarray(U[:m].T, np.float64), np.zeros(k))
                np.testing.assert_allclose(H, exact[:, :m], **tolerance(dtype), err_msg=f"{loss} {m} x {k}")


def random_shapes(count):
    """(m, k) with k to 5,000, m to 100,000 and not too many values."""
    rng = np.random.default_rng(7)
    while count:
        k, m = (int(10 ** rng.uniform(0, top)) for top in (3.7, 5))
        if 20_000 < m * k < 300_000:
            count -= 1
            yield m, k


@cache
def large(m, k, dtype):
    rng = np.random.default_rng(m)
    Z = (4 * rng.normal(size=(m, k))).astype(dtype)
    y, Y = targets(rng, "softmax", m, k, dtype, "labels")
    wide = Z.astype(L)
    log_A = reference.log_softmax(wide)
    return Z, y, {"softmax": np.exp(log_A), "log_softmax": log_A, "logsumexp": wide[:, 0] - log_A[:, 0],
                  "residual": np.exp(log_A) - Y, "losses": -log_A[np.arange(m), y]}


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(("m", "k"), [*random_shapes(12)])
def test_large_shapes(isa, m, k, dtype):
    Z, y, exact = large(m, k, dtype)
    for name in ("softmax", "log_softmax", "logsumexp"):
        np.testing.assert_allclose(row_kernel(name, Z), exact[name].astype(dtype), **tolerance(dtype), err_msg=name)
    R, losses = residual_kernel("softmax", Z, y, None, 0)
    np.testing.assert_allclose(R, exact["residual"].astype(dtype), **tolerance(dtype))
    np.testing.assert_allclose(losses, exact["losses"].astype(dtype), **tolerance(dtype))


# ---- shapes that wrote behind the stage -----------------------------------------------------------------------------
BEHIND_THE_STAGE = [(40, 50), (49, 40), (34, 55), (33, 61), (100, 20), (40, 48), (225, 9), (226, 9), (227, 9)]


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(("m", "k"), BEHIND_THE_STAGE)
def test_partial_blocks_at_the_end_of_the_stage(isa, m, k, dtype):
    Z, y = np.zeros((m, k), dtype), np.zeros(m, np.int32)
    for _ in range(20):
        np.testing.assert_allclose(fastlr.softmax(Z), 1 / k, 1e-6)
        np.testing.assert_allclose(fastlr.log_softmax(Z), -np.log(k), 1e-6)
        for target in (y, np.full((m, k), 1 / k, dtype)):
            R = fastlr.cross_entropy_and_grad(Z, target, reduction="sum")[1]
            expected = 1 / k - (np.eye(k)[y] if target is y else target)
            np.testing.assert_allclose(R, expected, 1e-5, 1e-7)


@pytest.mark.parametrize(("d", "k"), [(768, 50), (784, 47), (768, 48)])
def test_gradients_with_partial_blocks(isa, d, k):
    rng = np.random.default_rng(0)
    X, W, y = rng.normal(size=(4000, d)).astype(np.float32), rng.normal(size=(k, d)) / 30, rng.integers(0, k, 4000)
    loss, G, g = fastlr.loss_and_grad(X, W, np.zeros(k), y, n_threads=1)
    losses, R = reference.residual("softmax", X.astype(float) @ W.T, np.eye(k)[y])
    assert loss == pytest.approx(losses.mean(), rel=1e-6)
    np.testing.assert_allclose(G, R.T @ X / 4000, 1e-4, 1e-6)
    np.testing.assert_allclose(g, R.mean(axis=0), 1e-4, 1e-6)


def test_batches_with_partial_blocks(isa):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 20)), rng.integers(0, 40, 2000)
    t = fastlr.Trainer(learning_rate=0.1, epochs=2, batch_size=200, shuffle=False).fit(X, y)
    W, b = np.zeros((40, 20)), np.zeros(40)
    for _ in range(2):
        _, W, b, _, _ = reference.epoch("softmax", X, W, b, np.eye(40)[y], np.arange(2000), 200, learning_rate=0.1)
    np.testing.assert_allclose(t.coef_, W, 1e-10, 1e-12)
    np.testing.assert_allclose(t.intercept_, b, 1e-10, 1e-12)
