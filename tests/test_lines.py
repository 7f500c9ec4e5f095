"""Lines through the objective: by passes and from kept logits they are the same, and rounding stays within bounds."""

import numpy as np
import pytest
from problems import objective_of

from fastlr import solvers
from fastlr.model.line import LogitLine, PassLine, Point, keeps_logits


def problem(k, *, loss="softmax", n=300, d=6, extras=False, dtype=np.float64, as_float64=False, **options):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(n, d)) + rng.normal(size=d)).astype(dtype)
    if loss == "softmax":
        y = (X[:, :2].sum(axis=1) * k / 8 + rng.normal(size=n)).astype(np.int32) % k
    else:
        y = rng.integers(0, 2, (n, k)).astype(dtype)
    if extras:
        weight = rng.random(n)
        weight[::7] = 0
        options |= {"weight": weight, "offset": rng.normal(size=(n, k)).astype(dtype), "penalty": rng.random(d)}
    return objective_of(X.astype(np.float64) if as_float64 else X, y, k, loss=loss, alpha=1e-3, **options)


@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("softmax", 40), ("sigmoid", 3), ("squared_error", 2)])
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_kept_logits_give_what_passes_give(loss, k, extras, intercept):
    F = problem(k, loss=loss, extras=extras, intercept=intercept)
    v, s = np.random.default_rng(1).normal(size=(2, F.size))
    by_logits, by_passes = (kind(F, Point(v, None, None), s) for kind in (LogitLine, PassLine))
    for t in (0.0, 0.3, 2.0):
        np.testing.assert_allclose(by_logits.value_and_slope(t), by_passes.value_and_slope(t), rtol=1e-10, atol=1e-12)
    a, b = by_logits.end(0.7), by_passes.end(0.7)
    for name in ("w", "value", "grad"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-12)


def test_logits_without_digits_are_no_value():
    F = problem(40)
    v, s = np.zeros(F.size), np.ones(F.size)
    for kind in (LogitLine, PassLine):
        line = kind(F, Point(v, None, None), s)
        assert line.value_and_slope(1e18) == (np.inf, np.inf)


def test_a_search_on_kept_logits_costs_one_pass():
    F = problem(30, d=240, n=400)
    assert keeps_logits(F.rows)
    v, s = np.random.default_rng(1).normal(size=(2, F.size))
    start = F.at(v)
    before = F.n_passes
    line = F.along(start, s)
    for t in (1.0, 0.5, 0.25):
        line.value_and_slope(t)
    end = line.end(0.25)
    assert F.n_passes == before + 1
    F.along(end, s)
    assert F.n_passes == before + 1.5


def test_lines_do_not_depend_on_the_number_of_threads():
    ends = []
    for n_threads in (1, 2):
        F = problem(30, d=240, n=3000, dtype=np.float32, n_threads=n_threads)
        v, s = np.random.default_rng(1).normal(size=(2, F.size)) / 50
        line = F.along(F.at(v), s)
        end = (np.array(line.value_and_slope(0.5)), line.end(0.5))
        ends.append((end[0], end[1].value, end[1].grad))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [2500, 20_000])
def test_many_steps_on_kept_logits_keep_the_allowances_for_rounding(n):
    """At every iterate of a long fit in float32: value and gradient against float64, the bound against the optimum."""
    F = problem(30, d=240, n=n, dtype=np.float32)
    exact = problem(30, d=240, n=n, dtype=np.float32, as_float64=True)
    seen = []

    def callback(iteration, value, suboptimality, point):
        seen.append((value, value / (1 + suboptimality), point()))

    solvers.minimise(F, tol=1e-12, max_iter=60, callback=callback)
    best = solvers.minimise(exact, tol=1e-9)
    assert best.converged
    assert len(seen) > 20
    for value, bound, w in seen:
        W = F.matrix(w)
        expected = exact.at(exact.start(*F.coefficients(w)))
        G = exact.matrix(expected.grad)
        S = value - F.penalty.value(W)
        assert abs(value - expected.value) <= F.rounding.of_dual_value(W[:, :-1], W[:, -1], S, G[:, :-1], G[:, -1])
        assert bound <= best.value * (1 + 1e-9)
