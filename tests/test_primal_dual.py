"""Newton's method with probabilities as variables: its optimum, its bound, and starts that are hard on it."""

import numpy as np
import pytest

from fastlr import _core, solvers
from fastlr.model.objective import Objective
from fastlr.solvers import auto, primal_dual, primal_dual_cg
from fastlr.solvers.progress import Progress


def problem(loss, k, *, soft=False, extras=False, fit_intercept=True, spread=0.0, seed=0):
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
    return Objective(X, y, k, loss=loss, alpha=1 / n, fit_intercept=fit_intercept, **options)


@pytest.mark.parametrize(("loss", "k"), [("softmax", 2), ("softmax", 4), ("sigmoid", 1), ("sigmoid", 3)])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_finds_the_optimum_and_proves_it(monkeypatch, loss, k, soft, extras, fit_intercept):
    F = problem(loss, k, soft=soft, extras=extras, fit_intercept=fit_intercept)
    assert primal_dual.serves(F)
    progress = Progress(F, 1e-9, 100, None)
    primal_dual.primal_dual(F, progress, F.start())
    assert progress.message == "converged"
    value, _ = F.loss_and_grad(progress.w)
    assert progress.value == pytest.approx(value, rel=1e-12)
    monkeypatch.setattr(auto, "keeps_probabilities", lambda objective: False)
    best = solvers.minimise(F, tol=1e-9, solver="newton-cholesky")
    assert best.converged
    assert progress.value == pytest.approx(best.value, rel=2e-9)
    assert progress.lower_bound <= best.value * (1 + 1e-12)


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
    assert result.value == pytest.approx(solvers.minimise(F, tol=1e-8).value, rel=2e-6)


@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("sigmoid", 1), ("sigmoid", 3)])
@pytest.mark.parametrize("gauge", [0.0, 100.0])
@pytest.mark.parametrize("steps", ["exact", "cg"])
def test_bound_holds_from_the_first_probabilities_on(loss, k, gauge, steps):
    """Where offsets all but decide the rows, what vanishing probabilities are raised by must not count as entropy."""
    rng = np.random.default_rng(0)
    labels = np.r_[np.arange(k), np.zeros(57, np.int32)].astype(np.int32)
    y = labels if loss == "softmax" else np.ones((len(labels), k))
    if loss == "sigmoid":
        y[0] = 0
    offset = 30.0 * np.eye(k)[labels] + gauge if loss == "softmax" else 60.0 * y - 30
    F = Objective(rng.normal(size=(len(labels), 2)), y, k, loss=loss, alpha=1.0, offset=offset, fit_intercept=False)
    progress = Progress(F, 1e-12, 1, None)
    w = np.zeros(F.size)
    progress.begin(w)
    if steps == "exact":
        primal_dual.primal_dual(F, progress, w)
    else:
        primal_dual_cg.primal_dual_cg(F, progress)
    assert progress.lower_bound <= F.loss_and_grad(w)[0]


def test_goes_on_by_newton_cholesky_where_its_steps_are_not_enough(monkeypatch):
    monkeypatch.setattr(primal_dual, "MOST_STEPS", 2)
    assert solvers.minimise(problem("softmax", 3), tol=1e-6).converged


def test_does_not_serve_what_it_has_no_bound_for():
    F = problem("softmax", 3)
    F.factors[0] = 0
    assert not primal_dual.serves(F)
    absent = Objective(np.random.default_rng(0).normal(size=(9, 2)), np.zeros(9, np.int32), 2, alpha=0.1)
    assert not primal_dual.serves(absent)
    assert not primal_dual.serves(Objective(np.ones((9, 2)), np.ones((9, 1)), 1, loss="squared_error", alpha=0.1))


@pytest.mark.parametrize(("loss", "k"), [("softmax", 2), ("softmax", 4), ("sigmoid", 1), ("sigmoid", 3)])
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("rows", [primal_dual_cg.ROWS, 200])
def test_conjugate_gradients_find_the_same_optimum(monkeypatch, loss, k, extras, fit_intercept, rows):
    """From samples of the rows or from all of them."""
    monkeypatch.setattr(primal_dual_cg, "ROWS", rows)
    F = problem(loss, k, extras=extras, fit_intercept=fit_intercept)
    progress = Progress(F, 1e-9, 100, None)
    progress.begin(F.start())
    primal_dual_cg.primal_dual_cg(F, progress)
    assert progress.message == "converged"
    value, _ = F.loss_and_grad(progress.w)
    assert progress.value == pytest.approx(value, rel=1e-12)
    best = solvers.minimise(F, tol=1e-9)
    assert progress.value == pytest.approx(best.value, rel=2e-9)
    assert progress.lower_bound <= best.value * (1 + 1e-12)


def test_large_problems_without_a_bound_take_primal_dual_steps(monkeypatch):
    """And L-BFGS goes on from where they end if they are too few, to the same optimum."""
    calls = []

    def counted(objective, progress):
        calls.append(progress.lower_bound)
        primal_dual_cg.primal_dual_cg(objective, progress)

    monkeypatch.setattr(auto, "primal_dual_cg", counted)
    rng = np.random.default_rng(0)
    X = rng.random((3000, 300))
    y = (X @ rng.normal(size=(300, 4)) * 10 + rng.gumbel(size=(3000, 4))).argmax(axis=1).astype(np.int32)
    F = Objective(X, y, 4, alpha=1e-10)
    whole = solvers.minimise(F, tol=1e-6)
    assert whole.converged
    monkeypatch.setattr(primal_dual_cg, "MOST_STEPS", 2)
    short = solvers.minimise(F, tol=1e-2)
    assert short.converged
    assert calls == [0.0, 0.0]
    assert short.value == pytest.approx(whole.value, rel=1e-2)


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("softmax", 200), ("sigmoid", 2)])
def test_hessian_product_at_known_logits(real, loss, k):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 30)).astype(real)
    y = rng.integers(0, k, 700).astype(np.int32) if loss == "softmax" else rng.random((700, k)).astype(real)
    weight, offset = rng.random(700), rng.normal(size=(700, k)).astype(real)
    scale, shift = rng.random(30) + 0.5, rng.normal(size=30)
    P = _core.Problem(X, y, k, loss=loss, weight=weight, offset=offset, scale=scale, shift=shift, n_threads=2)
    W, b, V, c = rng.normal(size=(k, 30)), rng.normal(size=k), rng.normal(size=(k, 30)), rng.normal(size=k)
    for known, expected in zip(P.hessp_at(P.logits(W, b), V, c), P.hessp(W, b, V, c), strict=True):
        np.testing.assert_array_equal(known, expected)
    with pytest.raises(ValueError, match="logits"):
        P.hessp_at(np.zeros((3, k), real), V, c)


@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("sigmoid", 1), ("sigmoid", 3)])
@pytest.mark.parametrize("steps", ["exact", "cg"])
def test_losses_beyond_the_least_probability_count_in_full(loss, k, steps):
    F = problem(loss, k)
    w = 300 * np.random.default_rng(1).normal(size=F.size)
    expected = F.loss_and_grad(w)[0]
    progress = Progress(F, 1e-12, 0, None)
    if steps == "exact":
        primal_dual.primal_dual(F, progress, w)
    else:
        progress.begin(w)
        progress.value = np.inf
        primal_dual_cg.primal_dual_cg(F, progress)
    assert progress.value == pytest.approx(expected, rel=1e-12)
