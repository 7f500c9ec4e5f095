"""Newton's method with probabilities as variables: its optimum, its bound, and starts that are hard on it."""

import numpy as np
import pytest
from problems import least_value, objective_of

from fastlr import solvers
from fastlr.solvers import primal_dual
from fastlr.solvers.newton import newton_cholesky
from fastlr.solvers.state import Progress


def problem(loss, k, *, soft=False, extras=False, intercept=True, spread=0.0, seed=0):
    """A problem of 120 x 5; extras: weights (some 0), offsets and penalty factors; spread: decades of the columns."""
    rng = np.random.default_rng(seed)
    n, d = 120, 5
    X = rng.normal(size=(n, d)) * 10 ** rng.uniform(-spread, spread, d)
    if loss == "softmax":
        y = rng.dirichlet(np.ones(k), n) if soft else np.r_[np.arange(k), rng.integers(0, k, n - k)].astype(np.int32)
    else:
        y = rng.random((n, k)) if soft else rng.integers(0, 2, (n, k)).astype(float)
    options = {}
    if extras:
        weight = rng.random(n)
        weight[::7] = 0
        options = {"weight": weight, "offset": rng.normal(size=(n, k)), "penalty": rng.random(d) + 0.1}
    return objective_of(X, y, k, loss=loss, alpha=1 / n, intercept=intercept, **options)


@pytest.mark.parametrize(("loss", "k"), [("softmax", 2), ("softmax", 4), ("sigmoid", 1), ("sigmoid", 3)])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_finds_the_optimum_and_proves_it(loss, k, soft, extras, intercept):
    F = problem(loss, k, soft=soft, extras=extras, intercept=intercept)
    assert primal_dual.serves(F)
    progress = Progress(F, 1e-9, 100, None)
    primal_dual.primal_dual(F, progress, F.start())
    assert progress.message == "converged"
    value = F.at(progress.point.w).value
    assert progress.value == pytest.approx(value, rel=1e-12)
    best = least_value(F, F.start())
    assert progress.value == pytest.approx(best, rel=2e-9)
    assert progress.lower_bound <= best * (1 + 1e-12)


def test_scaled_columns_cost_few_passes():
    F = problem("softmax", 3, spread=4.0)
    result = solvers.minimise(F)
    assert result.converged
    assert result.n_passes <= 20


@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("sigmoid", 1)])
@pytest.mark.parametrize("size", [10.0, 1e3])
def test_starts_whose_probabilities_vanish(loss, k, size):
    F = problem(loss, k)
    w0 = size * np.random.default_rng(1).normal(size=F.size)
    result = solvers.minimise(F, w0, tol=1e-6)
    assert result.converged
    assert result.value == pytest.approx(least_value(F, F.start()), rel=2e-6)


@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("sigmoid", 1), ("sigmoid", 3)])
@pytest.mark.parametrize("gauge", [0.0, 100.0])
def test_bound_holds_from_the_first_probabilities_on(loss, k, gauge):
    """Where offsets all but decide the rows, what vanishing probabilities are raised by must not count as entropy."""
    rng = np.random.default_rng(0)
    labels = np.r_[np.arange(k), np.zeros(57, np.int32)].astype(np.int32)
    y = labels if loss == "softmax" else np.ones((len(labels), k))
    if loss == "sigmoid":
        y[0] = 0
    offset = 30.0 * np.eye(k)[labels] + gauge if loss == "softmax" else 60.0 * y - 30
    F = objective_of(rng.normal(size=(len(labels), 2)), y, k, loss=loss, alpha=1.0, offset=offset, intercept=False)
    progress = Progress(F, 1e-12, 1, None)
    w = np.zeros(F.size)
    progress.begin(w)
    primal_dual.primal_dual(F, progress, w)
    assert progress.lower_bound <= F.at(w).value


def test_where_its_steps_are_not_enough_newtons_method_goes_on():
    F = problem("softmax", 3)
    progress = Progress(F, 1e-6, 1000, None)
    primal_dual.primal_dual(F, progress, 1e3 * np.random.default_rng(1).normal(size=F.size))
    assert not progress.message
    newton_cholesky(F, progress)
    assert progress.value == pytest.approx(least_value(F, F.start()), rel=2e-6)


def test_does_not_serve_what_it_has_no_bound_for():
    X, y = np.random.default_rng(0).normal(size=(9, 2)), np.arange(9, dtype=np.int32) % 3
    assert not primal_dual.serves(objective_of(X, y, 3, alpha=0.1, penalty=np.array([0.0, 1.0])))
    assert primal_dual.serves(objective_of(X, y, 3, alpha=0.1))
    absent = objective_of(np.random.default_rng(0).normal(size=(9, 2)), np.zeros(9, np.int32), 2, alpha=0.1)
    assert not primal_dual.serves(absent)
    assert not primal_dual.serves(objective_of(np.ones((9, 2)), np.ones((9, 1)), 1, loss="squared_error", alpha=0.1))


@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("sigmoid", 1), ("sigmoid", 3)])
def test_losses_beyond_the_least_probability_count_in_full(loss, k):
    F = problem(loss, k)
    w = 300 * np.random.default_rng(1).normal(size=F.size)
    expected = F.at(w).value
    progress = Progress(F, 1e-12, 0, None)
    primal_dual.primal_dual(F, progress, w)
    assert progress.value == pytest.approx(expected, rel=1e-12)
