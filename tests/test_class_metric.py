"""The metric of one covariance for all classes: that it is what it says, and fits on both sides of where it changes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fastlr.bench.judge import Judge
from problems import objective_of

from fastlr import LogisticRegression
from fastlr.solvers.class_metric import INTERCEPT, ClassMetric, Covariance

IN_A_SMALL_BUDGET = """
import sys
import numpy as np
from fastlr import LogisticRegression
d = int(sys.argv[1])
rng = np.random.default_rng(d)
X = rng.normal(size=(900, d)).astype(np.float32)
y = rng.integers(0, 3, 900)
X[:, :3] += 2 * np.eye(3)[y]
model = LogisticRegression(C=1e-2, tol=1e-4).fit(X, y)
print(model.objective_, model.suboptimality_)
"""


def clusters(n, d, k, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % k).astype(np.int32)
    return rng.normal(size=(k, d))[y] + 1.5 * rng.normal(size=(n, d)), y


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_it_is_what_it_says(loss, intercept):
    X, y = clusters(60, 4, 3)
    Y = y if loss == "softmax" else np.eye(3)[y]
    alpha = 1e-9  # the inverses for rho that are near each other are the same
    F = objective_of(X, Y, 3, loss=loss, alpha=alpha, intercept=intercept)
    point = F.at(0.01 * np.random.default_rng(1).normal(size=F.size))
    A, U = F.activations(point)(slice(None)), F.rows.features(slice(None))
    error = np.abs(A - np.eye(3)[y])
    q = np.where(error > 0.5, (error - 0.5) / np.log(error / (1 - error)), A * (1 - A))
    metric = ClassMetric(F, Covariance(F), point)
    S = U.T @ U / 60
    S[np.diag_indices(4)] += 1e-3 * (np.trace(S) - intercept) / F.rows.D
    if intercept:
        S[4], S[:, 4] = 0, 0
        S[4, 4] = INTERCEPT
    grad = np.random.default_rng(2).normal(size=(3, F.rows.D))
    steps = np.empty_like(grad)
    for c in range(3):
        m = q[:, c] @ U / q[:, c].sum()
        steps[c] = np.linalg.solve(q[:, c].mean() * (S + np.outer(m, m)) + np.diag(F.penalty.strength), grad[c])
    if loss == "softmax":
        steps -= steps.mean(axis=0)
    found = metric.solve(grad.ravel()).reshape(grad.shape)
    np.testing.assert_allclose(found, steps, atol=2e-3 * np.abs(steps).max())


@pytest.mark.parametrize("kind", ["separated", "no weight", "uneven"])
def test_it_leads_downhill_from_anywhere(kind):
    X, y = clusters(300, 20, 5)
    weight, penalty, size = None, None, 1.0
    if kind == "separated":
        size = 1e4
    elif kind == "no weight":
        weight = np.where(y == 2, 0.0, np.where(y == 1, 1e-200, 1.0))
    else:
        penalty = 10.0 ** np.random.default_rng(3).uniform(-20, 20, 20)
    F = objective_of(X, y, 5, alpha=1e-3, weight=weight, penalty=penalty)
    point = F.at(size * np.random.default_rng(4).normal(size=F.size) / np.sqrt(1 + np.tile(F.penalty.strength, 5)))
    step = ClassMetric(F, Covariance(F), point).solve(point.grad)
    assert np.isfinite(step).all()
    assert step @ point.grad > 0


@pytest.mark.parametrize("n", [63 * 21, 64 * 21, 65 * 21, 8 * 50 - 1, 8 * 50 + 1])
def test_fits_from_some_rows_and_all(n):
    X, y = clusters(n, 50, 21)
    check(X, y)


@pytest.mark.parametrize("d", [95, 97])
def test_either_side_of_class_models(d):
    X, y = clusters(1200, d, 60)
    check(X, y)


def check(X, y):
    options = {"C": 0.1, "tol": 1e-5}
    model = LogisticRegression(**options).fit(X, y)
    assert model.suboptimality_ <= 1e-5
    judge = Judge(X, y, {"C": 0.1, "fit_intercept": True}, {})
    assert float(judge.value(model.coef_, model.intercept_)) == pytest.approx(model.objective_, rel=1e-9)


@pytest.mark.parametrize("d", [723, 725])
def test_either_side_of_a_covariance_that_fits(d):
    found = {}
    for budget in ("1", "128"):
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", IN_A_SMALL_BUDGET, str(d)], text=True, check=True,
                              env=os.environ | {"FASTLR_KEPT_MIB": budget}, capture_output=True)
        found[budget], suboptimality = map(float, done.stdout.split())
        assert suboptimality <= 1e-4
    assert found["1"] == pytest.approx(found["128"], rel=1e-4)
