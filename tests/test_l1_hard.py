"""L1 penalties that hardly hold, columns that depend on each other, models without an optimum."""

import itertools
import time
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

from fastlr import LogisticRegression, solvers
from fastlr.model.objective import Objective
from fastlr.model.penalty import ElasticNet
from fastlr.model.rows import DenseRows
from fastlr.solvers import proximal_newton

rng = np.random.default_rng(0)
COUNTS, Y7 = rng.integers(0, 3, (80, 80)) + 100.0, np.r_[np.arange(7), rng.integers(0, 7, 73)]
SHIFTED = rng.standard_normal((2000, 40)) * (rng.random((2000, 40)) < 0.1) + 3
YS = (SHIFTED[:, :4].sum(axis=1) + 0.1 * rng.standard_normal(2000) > 12).astype(int)


def proved(X, y, offset=None, **params):
    """A fit without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return LogisticRegression(**params).fit(X, y, offset=offset)


@pytest.mark.parametrize("targets", ["classes", "labels"])
def test_sparse_columns_far_from_0_have_the_dense_optimum(targets):
    y = Y7 if targets == "classes" else np.eye(7, dtype=int)[Y7]
    params = {"l1_ratio": 0.9, "C": 1e4, "tol": 0.01, "targets": targets}
    centred, dense, sparse = (proved(A, y, **params) for A in (COUNTS - 100, COUNTS, sp.csr_array(COUNTS)))
    for model in (dense, sparse):
        assert model.suboptimality_ <= 0.01
        assert model.objective_ == pytest.approx(centred.objective_, rel=0.01)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_means_that_no_intercept_takes(kind):
    params = {"l1_ratio": 1, "C": 0.1, "fit_intercept": False}
    model = proved(kind(SHIFTED), YS, tol=1e-8, **params)
    assert model.n_passes_ < 500

    def value(V):  # of the positive and the negative parts
        z = SHIFTED @ (V[:40] - V[40:])
        G = SHIFTED.T @ (expit(z) - YS) / len(YS)
        alpha = 1 / (0.1 * len(YS))
        return np.logaddexp(0, z).mean() - YS @ z / len(YS) + alpha * V.sum(), np.append(G, -G) + alpha

    W = model.coef_[0]
    judge = minimize(value, np.zeros(80), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 80)
    assert model.objective_ == pytest.approx(value(np.maximum(np.append(W, -W), 0))[0], rel=1e-9)
    assert judge.fun / (1 + 1e-3) <= model.objective_ <= judge.fun * (1 + 1e-8)


def test_max_time_is_looked_at_between_sweeps(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model = LogisticRegression(l1_ratio=1, C=1e6, tol=1e-12, max_time=20).fit(COUNTS, Y7)
    assert model.n_passes_ < 40


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("twice", [False, True])
def test_weak_penalties_are_proved_for_every_type(dtype, twice):
    noise = np.random.default_rng(1).standard_normal((60_000, 10))
    if twice:
        noise[:, 1] = noise[:, 0]
    y = np.random.default_rng(2).integers(0, 2, len(noise))
    model = proved(noise.astype(dtype), y, l1_ratio=1, C=1000.0)
    assert model.suboptimality_ <= 1e-4
    assert model.n_passes_ < 100


def test_weak_penalties_of_many_parameters_are_proved(monkeypatch):
    """Without a Hessian of all parameters."""
    monkeypatch.setattr(proximal_newton, "NEWTON_SIZE", 0)
    noise = np.random.default_rng(1).standard_normal((60_000, 10)).astype(np.float32)
    model = proved(noise, np.random.default_rng(2).integers(0, 2, len(noise)), l1_ratio=1, C=1000.0)
    assert model.n_passes_ < 300


@pytest.mark.parametrize("targets", ["classes", "labels"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.9])
@pytest.mark.parametrize("intercept", [True, False])
def test_bounds_by_newton_hold(targets, l1_ratio, intercept):
    """At random points near an optimum, with a feature that is not penalised."""
    X, y = COUNTS[:, :6] - 100, Y7 % 3
    factors = np.array([0.0, 1e-6, 1.0, 1.0, 2.0, 1.0])
    y, loss = (y.astype(np.int32), "softmax") if targets == "classes" else (np.eye(3)[y], "sigmoid")
    rows = DenseRows(X, y, 3, loss=loss, intercept=intercept)
    objective = Objective(rows, alpha=0.02, l1_ratio=l1_ratio, penalty=factors)
    best = solvers.minimise(objective, tol=1e-12)
    assert best.suboptimality <= 1e-11
    _, bound = objective.newton_bound(best.w)
    assert bound >= best.value * (1 - 1e-9)
    found = 0
    for size in (1e-9, 1e-6, 1e-4, 1e-3, 1e-2):
        for direction in rng.standard_normal((20, objective.size)):
            value, bound = objective.newton_bound(best.w + size * direction * (rng.random() < 0.5 or best.w != 0))
            assert value == pytest.approx(objective.at(best.w + 0 * direction).value, rel=10 * size)
            assert bound <= best.value * (1 + 1e-12)
            found += bound > 0
    assert found > 20


def test_penalties_that_hold_nothing_are_proved():
    X, y = COUNTS[:, :5] - 100, (Y7 > 3).astype(int)
    free = proved(X, y, C=np.inf)
    for params in ({"C": 1e300}, {"penalty_factors": 0.0}):  # the same path, to the bit
        model = proved(X, y, l1_ratio=1, **params)
        np.testing.assert_array_equal(model.coef_, free.coef_)
    ridge, nearly = proved(X, y), proved(X, y, l1_ratio=1e-320)
    np.testing.assert_allclose(nearly.coef_, ridge.coef_, atol=1e-2)
    part = proved(X, y, l1_ratio=1, penalty_factors=[0, 1, 1, 1, 1], tol=1e-9)
    assert part.suboptimality_ <= 1e-9


@pytest.mark.parametrize("l1_ratio", [0.0, 0.9, 1.0])
def test_labels_that_do_not_vary_end_where_rounding_hides_the_loss(l1_ratio):
    X, Y = rng.standard_normal((5, 80)), np.ones((5, 3), int)
    with pytest.warns(ConvergenceWarning, match=r"the loss is 0 but for rounding.*no label varies the intercept"):
        model = LogisticRegression(l1_ratio=l1_ratio, targets="labels").fit(X, Y)
    assert model.n_iter_ < 60
    assert 0 < model.objective_ < 1e-15
    assert model.suboptimality_ == np.inf


def test_an_objective_that_underflows_is_not_called_optimal():
    X = np.array([[-1.0], [1.0]])
    with pytest.warns(ConvergenceWarning, match="separable"):
        model = LogisticRegression(C=np.inf).fit(X, [0, 1], offset=np.array([20.0, -20.0]))
    assert model.objective_ < 1e-3
    assert model.suboptimality_ == np.inf


def test_separable_and_hardly_penalised():
    X, y = rng.standard_normal((30, 150)), rng.integers(0, 2, 30)
    with pytest.warns(ConvergenceWarning, match="the loss is 0 but for rounding"):
        model = LogisticRegression(l1_ratio=1, C=1e20).fit(X, y)
    assert model.n_iter_ < 100
    assert model.score(X, y) == 1


def test_nearly_equal_columns_without_an_intercept():
    """Of rank 3 where weights are above 0; the value is L-BFGS-B's, of positive and negative parts."""
    X = np.array([[1, 100, 100, 100, 99.10159], [1, 100, 100, 100, 100], [1, 99.21259, 100, 100, 100],
                  [1, 99.2438, 100, 100, 100], [1, 100, 100, 100, 100]])
    scale = np.array([-52.33250106, 5.27751654, 39.61593368, 1.22756788, -0.05303284])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticRegression(C=1e6, l1_ratio=0.999, fit_intercept=False, scale=scale)
        model.fit(X, [0, 1, 0, 0, 0], sample_weight=[0, 0.3, 1, 0, 2])
    assert model.objective_ == pytest.approx(0.26987646731212, rel=1e-4)


@pytest.mark.parametrize(("n", "d", "k"), [(30, 30, 2), (40, 40, 7), (6, 6, 2)])
@pytest.mark.parametrize("size", [20, 50, 300])
def test_offsets_that_saturate_every_row(n, d, k, size):
    """Of separable classes the coefficients found classify every row right, and so says the warning."""
    random = np.random.default_rng(size)
    X, y = random.standard_normal((n, d)), np.r_[np.arange(k), random.integers(0, k, n - k)]
    offset = size * random.standard_normal((n, k) if k > 2 else n)
    with pytest.warns(ConvergenceWarning, match="the classes are separable: some"):
        model = LogisticRegression(C=np.inf).fit(X, y, offset=offset)
    assert model.score(X, y, offset=offset) == 1


def test_penalty_names_what_is_accepted():
    with pytest.raises(ValueError, match="penalty is 'foo'; expected 'l1', 'l2', 'elasticnet' or None"):
        LogisticRegression(penalty="foo").fit(COUNTS, Y7)


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("k", [2, 3, 4, 7])
def test_common_shift_is_the_best(k, l2):
    W = np.random.default_rng(k).standard_normal((k, 20))
    penalty = ElasticNet(1.0, 1 / (1 + l2), np.ones(20), np.ones(20), False)
    shift = penalty.common_shift(W, np.arange(20))
    for j in range(20):
        values = [penalty._of_features(W[:, [j]] + s, penalty.l1[:1], penalty.strength[:1]) for s in
                  np.append(-W[:, j], np.linspace(-3, 3, 601))]
        found = penalty._of_features(W[:, [j]] + shift[j], penalty.l1[:1], penalty.strength[:1])
        assert found <= min(values) * (1 + 1e-12)


@pytest.mark.parametrize("d", [490, 515])
def test_supports_of_any_size_take_newton_steps(d):
    """Columns with a mean that no intercept takes; from 500 coefficients on more sweeps are made first."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, d)) + 3
    y = (X @ rng.normal(size=d) * 2 / np.sqrt(d) + rng.logistic(size=1500) > 0).astype(int)
    model = proved(X, y, l1_ratio=1, C=30, fit_intercept=False, tol=1e-3)
    assert model.n_passes_ < 2000
    assert model.suboptimality_ <= 1e-3
