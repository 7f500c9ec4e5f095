"""Rows: sums over rows add up over blocks of them; wide data are solved in the span of their rows."""

import os
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from problems import objective_of
from scipy.optimize import minimize

from fastlr import LogisticRegression, solvers
from fastlr.model.affine import Affine
from fastlr.model.line import keeps_logits
from fastlr.model.row_space import RowSpace, is_wide
from fastlr.model.rows import DenseRows


def arrays(n, d, k, loss, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) + rng.normal(size=d)).astype(dtype)
    y = rng.integers(0, k, n).astype(np.int32) if loss == "softmax" else rng.random((n, k)).astype(dtype)
    return X, y, rng.exponential(size=n) * (rng.random(n) < 0.9), rng.normal(size=(n, k)).astype(dtype)


@pytest.mark.parametrize("n_blocks", [1, 2, 7])
@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("softmax", 60), ("sigmoid", 1), ("squared_error", 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_blocks_add_up(n_blocks, loss, k, dtype):
    """The sums of parts of the rows, added, are those of all; of one part they are the same bits."""
    n, d = 5003, 105  # more values than are converted to float64
    X, y, weight, offset = arrays(n, d, k, loss, dtype=dtype)
    rng = np.random.default_rng(1)
    affine = Affine(rng.random(d) + 0.5, rng.normal(size=d))
    W, U, Z, R = rng.normal(size=(k, d + 1)) / 10, rng.normal(size=(k, d + 1)), *rng.normal(size=(2, n, k))

    def sums(part):
        rows = DenseRows(X[part], y[part], k, loss=loss, weight=weight[part], offset=offset[part]).through(affine)
        z, r = (np.ascontiguousarray(values[part], rows.real) for values in (Z, R))
        yield "weight", rows.total_weight
        yield "loss", *rows.loss_and_grad(W)
        yield "loss at logits", *rows.loss_and_grad_at(z, W)
        yield "Hessian", rows.hessp(W, U)
        yield "Gram", rows.gram(rows.weight)
        yield "outer", rows.outer(r)

    parts = [slice(i * n // n_blocks, (i + 1) * n // n_blocks) for i in range(n_blocks)]
    tolerance = 2e-5 if X.dtype == np.float32 and X.size > 1 << 19 else 1e-12
    for whole, *blocks in zip(sums(slice(None)), *map(sums, parts), strict=True):
        for i, expected in enumerate(whole[1:], 1):
            got = sum(block[i] for block in blocks)
            if n_blocks == 1:
                np.testing.assert_array_equal(got, expected, err_msg=whole[0])
            else:
                size = np.abs(expected).max()
                np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * size, err_msg=whole[0])


def wide(n, d, k, *, loss=None, seed=0, dtype=np.float64, **options):
    X, y, *_ = arrays(n, d, k, loss or ("softmax" if k > 1 else "sigmoid"), seed, dtype)
    return objective_of(X, y, k, loss=loss or ("softmax" if k > 1 else "sigmoid"), alpha=0.01 / n, **options)


def scipy_optimum(F, w):
    def value_and_grad(w):
        point = F.at(w)
        return point.value, point.grad

    return minimize(value_and_grad, w, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "gtol": 1e-10}).fun


@pytest.mark.parametrize(("k", "loss"), [(1, None), (4, None), (3, "sigmoid"), (3, "squared_error")])
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg"])
def test_wide_data(k, loss, solver):
    rng = np.random.default_rng(2)
    n, d = 90, 1100
    factors = rng.exponential(size=d) + 0.1
    F = wide(n, d, k, loss=loss, penalty=factors, scale=rng.random(d) + 0.5, shift=rng.normal(size=d))
    assert is_wide(F)
    result = solvers.minimise(F, solver=solver, tol=1e-6)
    assert result.converged, result.message
    best = scipy_optimum(F, result.w)
    assert result.lower_bound <= best * (1 + 1e-12)
    assert result.value <= best * (1 + 1.1e-6)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("k", [1, 3])
def test_the_span_of_the_rows_has_the_same_objective(k, intercept):
    F = wide(40, 300, k, intercept=intercept)
    space = RowSpace(F)
    w = space.expand(np.random.default_rng(3).normal(size=space.objective.size))
    v = space.project(w)  # without what centred rows, which depend on each other, cannot tell
    point, expanded = space.objective.at(v), F.at(w)
    assert expanded.value == pytest.approx(point.value, rel=1e-6)
    np.testing.assert_allclose(space.expand(v), w, rtol=1e-4, atol=1e-4 * np.abs(w).max())
    step = 1e-6 * space.project(space.expand(np.random.default_rng(4).normal(size=len(v))))
    change = space.objective.at(v + step).value - point.value
    assert expanded.grad @ space.expand(step) == pytest.approx(change, rel=1e-3)
    assert space.restrict(expanded.grad) @ step == pytest.approx(change, rel=1e-3)


def test_wide_fits_take_a_start_and_callbacks():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(80, 2000))
    y = (X[:, 0] > 0).astype(int)
    model = LogisticRegression(tol=1e-6, warm_start=True).fit(X, y)
    first = model.coef_.copy()
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, first, rtol=1e-2, atol=1e-5)
    seen = []
    F = wide(80, 1500, 3)
    solvers.minimise(F, tol=1e-6, callback=lambda i, value, gap, point: seen.append((value, F.at(point()).value)))
    assert len(seen) > 1
    for value, expanded in seen:
        assert expanded == pytest.approx(value, rel=1e-6)


def test_an_interrupt_in_the_span_of_the_rows_leaves_the_best_point():
    def interrupt(iteration, value, suboptimality, point):
        if iteration == 2:
            raise KeyboardInterrupt

    F = wide(80, 1500, 3)
    result = solvers.minimise(F, tol=1e-9, callback=interrupt)
    assert result.message == "interrupted"
    assert F.at(result.w).value == result.value < F.at(F.start()).value


@pytest.mark.parametrize(("n", "d", "k"), [(30, 20_000, 2), (300, 6000, 5), (4200, 8400, 3)])
def test_wide_data_take_no_square_of_the_features(n, d, k):
    """Nor do more rows than a kernel is made of, whose Gram metric would be as large."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n, d)).astype(np.float32)
    y = (X[:, :3] @ rng.normal(size=(3, k)) + rng.gumbel(size=(n, k))).argmax(axis=1)
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        LogisticRegression(tol=1e-2, max_iter=10).fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < max(3 * X.nbytes, 8 * d * k * 60 + 200e6)
    assert peak < 4 * d**2 + 100e6


@pytest.mark.parametrize("C", [1.0, 1e4])
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg"])
def test_rows_of_weight_0_are_not_in_the_span(C, solver):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(100, 1000)) + 10 * rng.normal(size=(100, 8)) @ rng.normal(size=(8, 1000))
    y, weight = rng.random((100, 3)), np.ones(100)
    weight[:30] = 0
    X[0] = 1e300
    options = {"C": C, "targets": "labels", "solver": solver}
    weighted = LogisticRegression(**options).fit(X, y, weight)
    without = LogisticRegression(**options).fit(X[30:], y[30:])
    assert weighted.objective_ == pytest.approx(without.objective_, rel=1e-4)
    assert weighted.suboptimality_ <= 1e-4


def test_a_wide_fit_never_ends_above_its_start():
    rng = np.random.default_rng(6)
    X = rng.integers(0, 256, (150, 1500)).astype(np.uint8)
    y = rng.integers(0, 2, 150)
    model = LogisticRegression(C=1e3, tol=1e-8, warm_start=True).fit(X, y)
    best = model.objective_
    for max_iter in (1, 2, 5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.set_params(max_iter=max_iter).fit(X, y)
        assert model.objective_ <= best * (1 + 1e-9)


def test_a_start_of_zeros_keeps_its_intercept():
    y = np.random.default_rng(0).choice(3, 300, p=[0.7, 0.2, 0.1])
    model = LogisticRegression(warm_start=True).fit(np.zeros((300, 4)), y)
    intercept = model.intercept_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(max_iter=0).fit(np.zeros((300, 4)), y)
    np.testing.assert_allclose(model.intercept_, intercept)


@pytest.mark.parametrize(("k", "d"), [(29, 240), (30, 239), (30, 240), (31, 248)])
def test_either_side_of_kept_logits(k, d):
    """Searches by passes and on kept logits end at one optimum."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(k, d))
    y = rng.integers(0, k, 500).astype(np.int32)
    X = centres[y] + 2 * rng.normal(size=(500, d))
    F = objective_of(X, y, k, alpha=1e-2, weight=rng.exponential(size=500), offset=rng.normal(size=(500, k)))
    assert keeps_logits(F.rows) == (k >= 30 and d >= 240)
    result = solvers.minimise(F, solver="lbfgs", tol=1e-6)
    assert result.converged
    best = scipy_optimum(F, result.w)
    assert result.lower_bound <= best <= result.value <= best * (1 + 1e-6)


@pytest.mark.parametrize("n", [119, 120, 121])
def test_either_side_of_wide(n):
    """As many features as rows, one more, one less."""
    F = wide(n, 120, 9)
    assert is_wide(F) == (n < 120)
    result = solvers.minimise(F, tol=1e-6)
    best = scipy_optimum(F, result.w)
    assert result.converged
    assert result.lower_bound <= best * (1 + 1e-12)
    assert result.value <= best * (1 + 1.1e-6)


SMALL_BUDGET = """
import sys, warnings
import numpy as np
import fastlr
warnings.simplefilter("ignore")
n, d, k = map(int, sys.argv[1:])
rng = np.random.default_rng(8)
y = rng.integers(0, k, n)
X = rng.normal(size=(k, d))[y] + 2 * rng.normal(size=(n, d))
model = fastlr.LogisticRegression(C=1e-2, tol=1e-5).fit(X, y)
print(repr(model.objective_), model.suboptimality_)
"""


@pytest.mark.parametrize(
    ("n", "d", "k"),
    [(361, 2000, 3), (363, 2000, 3), (900, 723, 2), (900, 725, 2), (350, 1600, 12), (700, 100, 26), (700, 100, 27)],
)
def test_a_small_budget_takes_other_paths_to_the_same_optimum(n, d, k):
    """1 MiB: either side of the kernel of rows, the Gram matrix, class blocks, and blocks that a wide fit ends in."""

    def fit(**environment):
        process = subprocess.run([sys.executable, "-c", SMALL_BUDGET, *map(str, (n, d, k))], capture_output=True,
                                 text=True, check=True, timeout=120, env=os.environ | environment)
        return map(float, process.stdout.split())

    value, gap = fit()
    other, other_gap = fit(FASTLR_KEPT_MIB="1")
    assert value <= other * (1 + gap)
    assert other <= value * (1 + other_gap)
    assert max(gap, other_gap) <= 1e-5


def test_a_wide_fit_of_many_classes_ends_within_the_budget():
    """Blocks of each class's (n, n) would be 490 MB where float32 leaves a proof to be finished on the features."""
    rng = np.random.default_rng(9)
    n, d, k = 900, 1000, 150
    y = np.arange(n) % k
    X = (rng.normal(size=(k, d))[y] + 2 * rng.normal(size=(n, d))).astype(np.float32)
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        LogisticRegression(C=1e-3, tol=1e-9).fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 250e6
