"""Line search, L-BFGS and Newton-CG on objectives of the test's own, with what solvers are promised and no more."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fastlr.model.line import Point
from fastlr.solvers.lbfgs import Pairs, lbfgs
from fastlr.solvers.line_search import search
from fastlr.solvers.newton import newton_cg
from fastlr.solvers.state import STALLED, Progress


class Line:
    def __init__(self, objective, w, s, flat):
        self.objective, self.w, self.s, self.flat = objective, w, s, flat

    def value_and_slope(self, t):
        point = self.end(t)
        return point.value, float(point.grad @ self.s)

    def end(self, t):
        return self.objective.at(self.w + t * self.s)


class Smooth:
    """An objective of a function's value, gradient and Hessian, at least `convexity` in every direction."""

    resolution = 1e-15

    def __init__(self, function, convexity=0.0, flat=0.5):
        self.function, self.convexity, self.flat = function, convexity, flat
        self.has_dual = convexity > 0
        self.n_passes = 0

    def at(self, w):
        self.n_passes += 1
        return Point(w, *self.function(w)[:2])

    def hessp(self, point, u):
        self.n_passes += 1
        return self.function(point.w)[2] @ u

    def along(self, point, s):
        return Line(self, point.w, s, self.flat)

    def lower_bound(self, point):
        return point.value - float(point.grad @ point.grad) / (2 * self.convexity) if self.convexity else 0.0

    promised_bound = shifted_bound = lower_bound

    def blame(self):
        return ValueError("the start has no value")


def logistic(alpha):
    """Mean logistic loss of 80 rows, apart but for the penalty alpha."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 5)) * [1, 1, 1, 10, 0.1]
    y = np.where(X @ rng.normal(size=5) > 0, 1.0, -1.0)

    def function(w):
        z = y * (X @ w)
        p = 1 / (1 + np.exp(np.minimum(z, 700)))
        H = (X * (p * (1 - p))[:, None]).T @ X / len(X) + alpha * np.eye(5)
        return float(np.logaddexp(0, -z).mean() + alpha / 2 * (w @ w)), -(X.T @ (y * p)) / len(X) + alpha * w, H

    return function


def quartic(w):
    """sum (w - 1)^4: far from quadratic, without curvature at its minimum."""
    return float(((w - 1) ** 4).sum()), 4 * (w - 1) ** 3, np.diag(12 * (w - 1) ** 2)


def slide(w):
    """It falls for ever, without curvature."""
    return 1e6 - float(w.sum()), -np.ones_like(w), np.zeros((len(w), len(w)))


def hill(w):
    """sqrt(1 + |w|^2) for a value, but the Hessian is that of a hilltop."""
    value = float(np.sqrt(1 + w @ w))
    return value, w / value, -np.eye(len(w))


class Plain:
    """The metric of the identity."""

    def __init__(self, w):
        pass

    def solve(self, grad):
        return grad.copy()


def run(solver, F, w, tol, max_iter=300):
    progress = Progress(F, tol, max_iter, None)
    progress.begin(w)
    if solver == "lbfgs":
        lbfgs(F, progress, Plain(w).solve, Pairs(), 10_000)
    else:
        newton_cg(F, progress, Plain)
    return progress.result()


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
@pytest.mark.parametrize("alpha", [1e-1, 1e-3])
def test_finds_the_optimum(solver, alpha):
    F = Smooth(logistic(alpha), alpha)
    result = run(solver, F, np.full(5, 2.0), 1e-9)
    best = minimize(lambda w: F.function(w)[:2], np.zeros(5), jac=True, method="BFGS", options={"gtol": 1e-9}).fun
    assert result.converged
    assert result.value == pytest.approx(best, rel=2e-9)
    assert result.lower_bound <= best * (1 + 1e-14)


@pytest.mark.parametrize("function", [logistic(0.0), quartic, slide, hill])
@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
@pytest.mark.parametrize("size", [0.0, 1.0, 100.0])
def test_never_ends_above_its_start(solver, function, size):
    F, w = Smooth(function), size * np.array([1.0, -1.0, 0.5, 2.0, -0.25])
    result = run(solver, F, w, 1e-9, max_iter=30)
    assert result.value == function(result.w)[0] <= function(w)[0]
    assert np.isfinite(result.w).all()


def test_newton_cg_takes_no_direction_of_negative_curvature():
    """Its products tell of a hilltop, so that it goes down the gradient."""
    F, w = Smooth(hill), np.array([3.0, 0.0])
    result = run("newton-cg", F, w, 1e-9, max_iter=20)
    assert result.value == pytest.approx(1.0, rel=1e-6)


def test_newton_cg_takes_the_whole_hessian_where_products_cost_more():
    scales = np.logspace(0, 12, 60)  # of the curvature

    def bowl(w):
        v = w - 1
        return float(scales @ (v**2 / 2 + v**4 / 4)), scales * (v + v**3), np.diag(scales * (1 + 3 * v**2))

    def whole(point):
        H = bowl(point.w)[2]
        return lambda grad: np.linalg.solve(H, grad)

    ends = []
    for given in (None, whole):
        F = Smooth(bowl)
        F.size = 60
        progress = Progress(F, 1e-9, 12, None)
        progress.begin(np.zeros(60))
        newton_cg(F, progress, Plain, given)
        ends.append((progress.value, F.n_passes))
    assert ends[1][0] < 1e-6 * ends[0][0]
    assert ends[1][1] < ends[0][1] / 2


def test_a_start_without_a_value_is_blamed():
    with pytest.raises(ValueError, match="no value"):
        Progress(Smooth(lambda w: (np.nan, w, None)), 1e-4, 10, None).begin(np.zeros(2))


def test_stalls_where_no_step_lowers_the_value():
    F = Smooth(lambda w: (1.0, np.ones(2), np.eye(2)))  # its gradient is wrong
    result = run("lbfgs", F, np.zeros(2), 1e-9)
    assert result.message == STALLED


@pytest.mark.parametrize("flat", [0.9, 0.3, 0.01])
@pytest.mark.parametrize("length", [1e-4, 0.1, 1.0, 100.0])
def test_line_search_satisfies_wolfe(length, flat):
    F = Smooth(quartic, flat=flat)
    start = F.at(np.array([-3.0, 2.0]))
    direction = -length * start.grad
    end = search(F, start, direction)
    assert end.value < start.value
    assert abs(end.grad @ direction) <= flat * abs(start.grad @ direction)


def test_a_metric_that_is_too_small_is_mended_by_the_last_pair():
    F, pairs = Smooth(quartic, flat=0.9), Pairs()
    point, passes = F.at(np.array([-3.0, 2.0])), []
    for _ in range(8):
        before = F.n_passes
        found = search(F, point, pairs.direction(point.grad, lambda grad: 1e-4 * grad, scaled=True))
        pairs.add(found.w - point.w, found.grad - point.grad)
        point = found
        passes.append(F.n_passes - before)
    assert passes[0] > 2
    assert passes[-1] == 2  # a length, and its end


def test_line_search_refuses_an_ascent():
    F = Smooth(quartic)
    start = F.at(np.array([3.0, 0.0]))
    assert search(F, start, start.grad) is None
