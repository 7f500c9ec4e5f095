"""Both sides of the sizes at which an epoch of Trainer changes its path, by the rule alone.

docs/notes/path-constants.md lists them.
The judge is the learning rule in long double, with the rounding that docs/numerics.md allows carried from step to step.
"""

import numpy as np
import pytest
from fastlr.bench import long_double as exact
from fastlr.bench.oracle_models import learning_rule

import fastlr

pytestmark = [
    pytest.mark.skipif(not exact.WIDE_ENOUGH, reason="long double is no wider than double"),
    pytest.mark.filterwarnings("ignore:sample_weight and class_weight have no effect"),
]


def assert_epoch(n, d, k, dtype, *, batch_size, weighted=False, n_threads=2, loss="softmax", X=None, **rule):
    """One epoch over random rows against the rule; the history's loss and accuracy are finite."""
    rng = np.random.default_rng([n, d, k])
    X = rng.normal(size=(n, d)).astype(dtype) if X is None else X
    y = rng.permutation(np.arange(n) % k)
    weight = rng.random(n) + 0.1 if weighted else None
    scaling = {name: rule.pop(name) for name in ("scale", "shift") if name in rule}
    t = fastlr.Trainer(loss=loss, epochs=1, batch_size=batch_size, shuffle=False, n_threads=n_threads, **rule)
    t.fit(X, y, sample_weight=weight, **scaling)
    Y = exact.one_hot(y, k) if k > 2 or loss == "softmax" else y[:, None].astype(exact.REAL)
    real = np.dtype(np.float64 if np.dtype(dtype).itemsize == 8 else np.float32)
    wide = None if weight is None else weight.astype(exact.REAL)
    batch = min(batch_size or n, n)
    W, b, *errors = learning_rule(X.astype(exact.REAL), Y, wide, real, batch, loss=loss, **rule, **scaling)
    for what, actual, expected, error in (("W", t.coef_, W, errors[0]), ("b", t.intercept_, b, errors[1])):
        good = exact.bounded(actual, expected, error)
        assert good.all(), f"{what}: worst {np.max(np.abs(actual - expected) / error):.3g} x allowed"
    assert np.isfinite(t.history_["loss"]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("batch_size", [2, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 66, 68, 127, 129, 257])
def test_batches_of_any_size(isa, batch_size, dtype):
    """LEAST_CHUNK, CHUNKS, and what lies behind an odd number of labels and weights in a worker's memory."""
    for k in (2, 3):
        X = np.random.default_rng(k).integers(0, 3, (300, 7)).astype(dtype)
        for weighted in (False, True):
            assert_epoch(300, 7, k, dtype, batch_size=batch_size, weighted=weighted, X=X)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("d", [1, 2, 255, 256, 257, 1023, 1024, 1025, 2049])
@pytest.mark.parametrize("rule", [{}, {"momentum": 0.9, "alpha": 0.1}, {"shift": 0.5, "scale": 0.7}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_of_any_width(isa, dtype, rule, d, n_threads):
    """STEP_BLOCK and COLUMNS."""
    assert_epoch(40, d, 3, dtype, batch_size=20, n_threads=n_threads, learning_rate=0.1 / d, **rule)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("k", [2, 10, 11, 32, 48, 63, 64, 65, 100])
@pytest.mark.parametrize("shift", [False, True])
def test_steps_of_any_number_of_classes(isa, shift, k, n_threads):
    """k = 64: whose sums of b each worker makes; blocks of classes."""
    for dtype in ("float32", "float64"):
        assert_epoch(210, 9, k, dtype, batch_size=70, n_threads=n_threads, **({"shift": 0.25} if shift else {}))


@pytest.mark.parametrize("rule", [{}, {"scale": 0.3}, {"reduction": "sum"}, {"momentum": 0.5}, {"alpha": 0.1},
                                  {"shift": 0.2}], ids=str)
@pytest.mark.parametrize("n", [2, 3, 11, 12, 13, 23, 24, 25, 35, 37, 47, 48, 49, 73])
def test_one_row_at_a_time(isa, n, rule):
    """GROUP and BLOCK of rows whose steps are made together, and the rules that are not."""
    for k in (2, 3, 12):
        for dtype in ("float32", "float64"):
            if n >= k:
                assert_epoch(n, 5, k, dtype, batch_size=1, weighted=n % 2 == 0, learning_rate=0.02, **rule)


@pytest.mark.parametrize("n", [24 * 128 - 1, 24 * 128 + 1])
def test_one_row_at_a_time_between_polls(n):
    """BLOCKS_BETWEEN_POLLS, and the error that this many steps may add up to."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 3)), rng.integers(0, 2, n)
    t = fastlr.Trainer(loss="sigmoid", epochs=1, batch_size=1, shuffle=False, learning_rate=0.01).fit(X, y)
    w = np.zeros(4)
    for row, label in zip(np.column_stack([X, np.ones(n)]), y, strict=True):
        w -= 0.01 * (1 / (1 + np.exp(-row @ w)) - label) * row
    np.testing.assert_allclose(np.r_[t.coef_[0], t.intercept_], w, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize(("n", "batch_size"), [(5000, None), (10_300, 5150), (9000, 8193), (20_000, None)])
def test_batches_of_more_than_a_tile(k, n, batch_size):
    assert_epoch(n, 8, k, "float32", batch_size=batch_size)


@pytest.mark.parametrize("loss", ["sigmoid", "softmax", "squared_error"])
@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_a_batch_of_a_million_rows(loss, n_threads):
    """Its sums are as exact as those of a pass: values near 3 leave nothing to chance."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    X = (3 + 0.1 * rng.normal(size=(n, 4))).astype(np.float32)
    X[:, 3] = 3.1
    y = (rng.random(n) < 0.3).astype(int)
    t = fastlr.Trainer(loss=loss, epochs=1, batch_size=None, learning_rate=1.0, n_threads=n_threads).fit(X, y)
    residual = (0.5 if loss != "squared_error" else 0.0) - y
    expected = -np.array([*(residual @ X.astype(np.float64)), residual.sum()]) / n
    size = np.array([*(np.abs(residual) @ np.abs(X.astype(np.float64))), np.abs(residual).sum()]) / n
    assert (np.abs(np.r_[t.coef_[-1], t.intercept_[-1]] - expected) <= 8 * np.finfo(np.float32).eps * size).all()
