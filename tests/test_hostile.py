"""Fits of problems hard on arithmetic, judged in long double: no false proof, objective_ is F, no other errors."""

import numpy as np
import pytest
from fastlr.bench import hostile
from fastlr.bench.hostile_problems import problem
from fastlr.bench.judge import Judge

pytestmark = pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no better than float64")


@pytest.mark.parametrize("first", range(0, 300, 20))
def test_hostile_problems(first):
    """``python -m fastlr.bench.hostile`` judges many more."""
    verdicts = {seed: hostile.judged(seed) for seed in range(first, first + 20)}
    assert {seed: found for seed, found in verdicts.items() if found[0] not in hostile.FINE} == {}


@pytest.mark.parametrize("seed", [3971, 4475, 4690, 4819, 5089, 5778, 6554, 7896, 8291, 211639, 216339, 701816])
def test_problems_that_were_once_at_fault(seed):
    kind, details = hostile.judged(seed)
    assert kind in hostile.FINE, details


def test_the_judge_knows_the_optimum_of_ordinary_problems():
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    X, y = load_iris(return_X_y=True)
    theirs = LogisticRegression(tol=1e-12, solver="newton-cg", max_iter=1000).fit(X, y)
    judge = Judge(X, y, {"C": 1.0}, {})
    assert float(judge.optimum()) == pytest.approx(float(judge.value(theirs.coef_, theirs.intercept_)), rel=1e-12)


def test_problems_are_the_same_for_the_same_seed():
    for seed in range(5):
        a, b = problem(seed), problem(seed)
        assert a.story == b.story
        np.testing.assert_array_equal(a.X, b.X)
