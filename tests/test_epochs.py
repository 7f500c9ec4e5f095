"""Epochs of gradient descent by the kernels: their twin, the precision of their sums, every shape of a batch."""

import numpy as np
import pytest
from problems import features, targets, wide
from tolerances import PASS_EPS

from fastlr import _core, reference


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_epoch(isa, dtype, batch):
    rng = np.random.default_rng(7)
    n, d = 150, 19
    X = features(rng, n, d, np.dtype(dtype))
    for loss, k in (("softmax", 3), ("sigmoid", 1), ("squared_error", 2), ("softmax", 70)):
        y, Y = targets(rng, loss, n, k, None, "labels")
        order, weight = rng.permutation(n), rng.random(n)
        scale, shift = np.full(d, 0.01 if dtype == "uint8" else 0.5), rng.random(d)
        for plain in (True, False):
            options = {"scale": scale} if plain else {"weight": weight, "scale": scale, "shift": shift}
            rule = {"learning_rate": 1e-3, "reduction": "sum"}
            if not plain:
                rule = {"learning_rate": 0.02, "momentum": 0.9, "alpha": 0.01, "reduction": "mean"}
            W, b = np.zeros((k, d)), np.zeros(k)
            velocity = (None, None) if plain else (np.zeros((k, d)), np.zeros(k))
            problem = _core.Problem(X, y, k, loss=loss, n_threads=2, **options)
            total, _ = problem.epoch(W, b, *velocity, None if plain else order, batch, **rule)
            X_seen = reference.standardise(*wide(X), options.get("scale"), options.get("shift"))
            rows = np.arange(n) if plain else order
            expected = reference.epoch(loss, X_seen, np.zeros((k, d)), np.zeros(k), *wide(Y), rows, batch,
                                       weight=1.0 if plain else weight, **rule)
            tolerance = 1e-9 if problem.real == np.float64 else 1e-4
            note = f"epoch X {dtype} {loss} k={k} batch={batch} plain={plain}"
            for actual, e in zip((total, W, b, *velocity), expected, strict=True):
                if actual is not None:
                    e = np.asarray(e, float)
                    np.testing.assert_allclose(actual, e, tolerance, tolerance * np.abs(e).max(), err_msg=note)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_large_batches_are_double(isa, dtype, weighted):
    """Values near 3 in one batch of all rows: float32 alone would lose the gradient's digits."""
    rng = np.random.default_rng(11)
    n, d = 100_000, 3
    X = (3 + 0.1 * rng.normal(size=(n, d))).astype(dtype)
    Y = (5 + rng.random((n, 2))).astype(dtype)
    weight = rng.random(n) if weighted else None
    for batch in (n, 30_001, 1025, 1024):
        W, b = np.zeros((2, d)), np.zeros(2)
        problem = _core.Problem(X, Y, 2, loss="squared_error", weight=weight, n_threads=2)
        problem.epoch(W, b, None, None, None, batch, learning_rate=1e-9 / batch, reduction="sum")
        w = 1.0 if weight is None else weight
        _, expected, _, *_ = reference.epoch("squared_error", X.astype(np.longdouble), np.zeros((2, d)), np.zeros(2),
                                             Y.astype(np.longdouble), np.arange(n), batch, weight=w,
                                             learning_rate=1e-9 / batch, reduction="sum")
        rtol = 2 * PASS_EPS * np.finfo(dtype).eps
        np.testing.assert_allclose(W, np.asarray(expected, float), rtol, err_msg=f"batch {batch}")


@pytest.mark.parametrize("n_threads", [1, 2, 3, 7])
def test_epochs_of_every_shape_of_batch(n_threads):
    """Barriers and rounds: parts, workers, classes and shift in every combination, against one thread."""
    rng = np.random.default_rng(12)
    n, d = 3000, 5
    X = rng.normal(size=(n, d)).astype(np.float32)
    for k in (1, 3, 64, 65, 130):
        y = rng.integers(0, max(k, 2), n).astype(np.int32)
        for shift in (None, rng.normal(size=d)):
            for batch in (2, 17, 65, 68, 256, 1023, 1024, 1025, 2999, 3000):
                results = []
                for threads in (1, n_threads):
                    W, b = np.zeros((k, d)), np.zeros(k)
                    problem = _core.Problem(X, y, k, loss="softmax" if k > 1 else "sigmoid", weight=np.full(n, 2.0),
                                            shift=shift, n_threads=threads)
                    total = problem.epoch(W, b, None, None, None, batch, learning_rate=0.1)
                    results.append((total, W, b))
                for a, e in zip(*results, strict=True):
                    np.testing.assert_array_equal(a, e, f"k={k} batch={batch} shift={shift is not None}")


def test_batches_whose_gradient_is_large():
    """Rounds of as few parts as step adds up: their memory is bounded."""
    rng = np.random.default_rng(16)
    n, d, k = 1100, 2000, 1100
    X, y = rng.normal(size=(n, d)).astype(np.float32), rng.integers(0, k, n).astype(np.int32)
    results = []
    for n_threads in (1, 2):
        W, b = np.zeros((k, d)), np.zeros(k)
        _core.Problem(X, y, k, n_threads=n_threads).epoch(W, b, None, None, None, n, learning_rate=1, reduction="sum")
        results.append(W)
    np.testing.assert_array_equal(*results)
    R = np.full((n, k), 1 / k)
    R[np.arange(n), y] -= 1
    np.testing.assert_allclose(W, -R.T @ X, 0, 1e-6 * np.abs(X).sum(axis=0).max() / 10)
