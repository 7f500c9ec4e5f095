"""Solvers: the optimum by every one of them, its proof, and how they stop."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from fastlr.bench.judge import Judge
from problems import least_value, objective_of
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from fastlr import LogisticRegression, solvers

NAMES = [name for name in solvers.SOLVERS if name != "auto"]
LOADERS = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits}


def problem_of(X, y, C=1.0, **options):
    k = int(y.max()) + 1
    binary = k == 2
    loss = "sigmoid" if binary else "softmax"
    return objective_of(X, y.astype(np.int32), 1 if binary else k, loss=loss, alpha=1 / (C * len(X)), **options)


def clusters(seed=0, n=3000, d=12, k=4, dtype=np.float64, spread=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    return (rng.normal(size=(k, d))[y] + spread * rng.normal(size=(n, d))).astype(dtype), y


@cache
def judged(data, C):
    """Arrays of the data, and the optimal value by long doubles."""
    X, y = LOADERS[data](return_X_y=True)
    return X, y, float(Judge(X, y, {"C": C}, {}).optimum())


@pytest.mark.parametrize("solver", NAMES)
@pytest.mark.parametrize("data", LOADERS)
@pytest.mark.parametrize(("dtype", "C"), [(np.float64, 0.01), (np.float64, 1), (np.float64, 30), (np.float32, 1)])
def test_every_solver_finds_the_optimum_of_raw_data(data, dtype, solver, C):
    X, y, best = judged(data, C)
    result = solvers.minimise(problem_of(X.astype(dtype), y, C), solver=solver)
    assert result.converged, result.message
    assert result.suboptimality <= 1e-4
    noise = 1e-12 if dtype == np.float64 else 2e-5  # X itself is rounded
    assert -noise <= result.value / best - 1 <= result.suboptimality + noise
    assert result.lower_bound <= best * (1 + noise)


@pytest.mark.parametrize("data", LOADERS)
def test_defaults_do_not_mind_the_scale_of_features(data):
    X, y = LOADERS[data](return_X_y=True)
    result = solvers.minimise(problem_of(X * 10 ** np.random.default_rng(0).uniform(-4, 4, X.shape[1]), y))
    assert result.converged
    assert result.n_iter < 100


@pytest.mark.parametrize("solver", NAMES)
@pytest.mark.parametrize("k", [2, 4])
def test_a_sample_of_the_rows_as_start(solver, k):
    X, y = clusters(n=120_000, k=k, dtype=np.float32, spread=3.0)
    F = problem_of(X, y)
    result = solvers.minimise(F, solver=solver, tol=1e-5)
    exact = problem_of(X.astype(np.float64), y)
    best = least_value(exact, exact.start(*F.coefficients(result.w)))
    assert result.converged
    assert abs(result.value / best - 1) <= 1e-5
    assert result.n_passes < 50


@pytest.mark.parametrize("loss", ["sigmoid", "squared_error"])
@pytest.mark.parametrize("solver", NAMES)
def test_independent_labels(loss, solver):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 6))
    Y = (X @ rng.normal(size=(6, 3)) > rng.normal(size=(500, 3))).astype(np.float64)
    together = solvers.minimise(objective_of(X, Y, 3, loss=loss, alpha=0.01), solver=solver, tol=1e-7)
    apart = [
        solvers.minimise(objective_of(X, np.ascontiguousarray(Y[:, c : c + 1]), 1, loss=loss, alpha=0.01), tol=1e-7)
        for c in range(3)
    ]
    assert together.converged
    assert together.value == pytest.approx(sum(r.value for r in apart), rel=2e-7)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_many_classes_of_few_rows(intercept, weighted):
    """More classes than blocks serve."""
    k = 600
    X, y = clusters(n=1800, k=k, d=240, spread=0.7)
    rng = np.random.default_rng(3)
    options = {"alpha": 1e-2, "intercept": intercept}
    options["weight"] = rng.exponential(size=len(X)) if weighted else None
    options["offset"] = rng.normal(size=(len(X), k)) if weighted else None
    F = objective_of(X, y.astype(np.int32), k, **options)
    result = solvers.minimise(F, tol=1e-6)
    best = least_value(F, result.w)
    assert result.converged
    assert result.n_passes < 60
    assert result.lower_bound <= best
    assert result.value <= best * (1 + 1e-6)


def test_weights_repeat_rows():
    X, y = clusters(n=200)
    times = np.random.default_rng(2).integers(0, 4, 200)
    weighted = objective_of(X, y.astype(np.int32), 4, alpha=0.01, weight=times.astype(np.float64))
    repeated = objective_of(X.repeat(times, axis=0), y.repeat(times).astype(np.int32), 4, alpha=0.01)
    a, b = (solvers.minimise(F, tol=1e-10) for F in (weighted, repeated))
    for got, expected in zip(weighted.coefficients(a.w), repeated.coefficients(b.w), strict=True):
        np.testing.assert_allclose(got - got.mean(0), expected - expected.mean(0), atol=1e-6)


def test_start_at_the_optimum_stays():
    X, y = clusters()
    F = problem_of(X, y)
    first = solvers.minimise(F, tol=1e-6)
    again = solvers.minimise(F, first.w, tol=1e-4)
    assert again.converged
    assert again.n_iter == 0


def test_callback_may_stop_and_sees_falling_values():
    X, y = clusters()
    seen = []

    def callback(iteration, value, suboptimality, point):
        seen.append((iteration, value, suboptimality))
        return iteration == 3

    result = solvers.minimise(problem_of(X, y), solver="lbfgs", tol=1e-12, callback=callback)
    assert [i for i, _, _ in seen] == [0, 1, 2, 3]
    assert all(a[1] >= b[1] and a[2] >= b[2] for a, b in pairwise(seen))
    assert result.message == "stopped by the callback"
    assert not result.converged


def test_interrupt_returns_the_best_point():
    X, y = clusters()

    def interrupt(iteration, value, suboptimality, point):
        if iteration == 2:
            raise KeyboardInterrupt

    F = problem_of(X, y)
    result = solvers.minimise(F, tol=1e-12, callback=interrupt)
    assert result.message == "interrupted"
    assert not result.converged
    assert F.at(result.w).value == result.value


@pytest.mark.parametrize("solver", NAMES)
def test_max_iter(solver):
    X, y = clusters()
    result = solvers.minimise(problem_of(X, y), solver=solver, tol=1e-12, max_iter=2)
    assert (result.n_iter, result.message, result.converged) == (2, "reached max_iter", False)


@pytest.mark.parametrize("solver", NAMES)
def test_unreachable_tolerance_ends_with_an_honest_figure(solver):
    X, y = clusters(n=50_000, dtype=np.float32)
    F, exact = problem_of(X, y), problem_of(X.astype(np.float64), y)
    result = solvers.minimise(F, solver=solver, tol=1e-16)
    assert not result.converged
    assert 1e-16 < result.suboptimality < 1e-4
    assert result.lower_bound <= least_value(exact, exact.start(*F.coefficients(result.w)))


def test_small_data_are_computed_in_float64():
    X, y = clusters(dtype=np.float32)
    result = solvers.minimise(problem_of(X, y), tol=1e-12)
    exact = solvers.minimise(problem_of(X.astype(np.float64), y), tol=1e-12)
    assert result.converged
    assert result.value == exact.value


@pytest.mark.parametrize("solver", solvers.SOLVERS)
@pytest.mark.parametrize("k", [2, 4])
def test_without_penalty(solver, k):
    X, y = clusters(n=400, d=3, k=k, spread=2.0)
    F = problem_of(X, y, C=np.inf)
    result = solvers.minimise(F, solver=solver, tol=1e-8)
    assert result.converged
    np.testing.assert_allclose(F.at(result.w).grad, 0, atol=1e-4)


@pytest.mark.parametrize(("n", "d"), [(20_000, 40), (4_000, 400)])
def test_results_do_not_depend_on_the_number_of_threads(n, d):
    X, y = clusters(n=n, d=d, dtype=np.float32)
    a, b = (solvers.minimise(problem_of(X, y, n_threads=threads)) for threads in (1, 2))
    np.testing.assert_array_equal(a.w, b.w)


def test_newton_cg_without_penalty_and_with_the_mean_of_classes_left_free():
    rng = np.random.default_rng(42)
    X, W = rng.normal(size=(300, 4)), rng.normal(size=(3, 4))
    y = (X @ W.T + rng.gumbel(size=(300, 3))).argmax(axis=1)
    model = LogisticRegression(C=np.inf, solver="newton-cg", tol=1e-9).fit(X, y)
    assert model.suboptimality_ < 1e-9
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-12)
