"""Values at the ends of the range: fits are right, with a bound that holds, or end with an error that says why."""

import itertools
import warnings

import numpy as np
import pytest
from fastlr.bench.judge import Judge
from problems import objective_of
from sklearn.exceptions import ConvergenceWarning

from fastlr import LogisticRegression, solvers
from fastlr.model.rows_moments import moments
from fastlr.solvers.newton import conjugate_gradients


def data(seed=0, n=200, d=4, k=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, (X @ rng.normal(size=(d, k)) + rng.gumbel(size=(n, k))).argmax(axis=1)


def judged(X, y, fit_data=None, *, tol=1e-6, **options):
    """A fit, whose objective_ is F and whose bound is below the optimum; and the optimum."""
    fit_data = fit_data or {}
    model = LogisticRegression(tol=tol, **options).fit(X, y, **fit_data)
    judge = Judge(X, y, options, fit_data)
    best = judge.optimum((model.coef_, model.intercept_))
    value = judge.value(model.coef_, model.intercept_)
    lost = 4 * np.finfo(float).eps * judge.sensitivity(model.coef_, model.intercept_)
    assert abs(model.objective_ - value) <= 1e-10 * value + lost
    assert model.objective_ / (1 + model.suboptimality_) <= float(best) * (1 + 1e-12)
    return model, float(best)


# ---- sizes that switch a path ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n", "kind"), [
    *itertools.product([32_767, 32_768], ["2", "3", "17", "soft", "labels"]), (147_456, "100"),  # fewer rows fit noise
])
def test_on_both_sides_of_the_sample_that_tells_deviations(n, kind):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 5)) + 3
    k = int(kind) if kind.isdigit() else 3
    y = np.r_[np.arange(k), rng.integers(0, k, n - k)]
    if kind == "soft":
        y = rng.dirichlet(np.ones(k), n)
    elif kind == "labels":
        y = (rng.random((n, k)) < [0.1, 0.5, 0.7]).astype(float)
    model = LogisticRegression(tol=1e-3).fit(X, y)
    assert model.suboptimality_ <= 1e-3
    rate = np.bincount(y) / n if y.ndim == 1 else y.mean(axis=0)  # what y is made of, as X says nothing of it
    entropy = -np.sum(rate * np.log(rate) + (1 - rate) * np.log1p(-rate) * (kind in ("2", "labels")))
    assert model.objective_ == pytest.approx(entropy / (2 if kind == "2" else 1), rel=2e-3)


@pytest.mark.parametrize("labels", [None, "one", "two", "many"])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_any_number_of_groups(labels, d, weighted):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(150_000, d)) * 5 - 2
    weight = rng.exponential(size=len(X)) if weighted else None
    groups = {"one": 1, "two": 2, "many": 16}
    y = None if labels is None else rng.integers(0, groups[labels], len(X)).astype(np.int32)
    mean, deviation, _ = moments(X, weight, rng, 1, y)
    np.testing.assert_allclose(mean, np.average(X, axis=0, weights=weight), rtol=1e-9)
    assert (np.abs(np.log(deviation / 5)) < 1).all()


def test_an_outlier_that_the_sample_of_rows_misses():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200_000, 2))
    X[777, 1] = 1e10
    mean, deviation, _ = moments(X, None, rng, 1)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-9)
    assert 0.3 < deviation[1] / X[:, 1].std() < 3


@pytest.mark.parametrize("d", [1, 3000])
def test_one_row_a_class(d):
    X = np.random.default_rng(4).normal(size=(40, d))
    model = LogisticRegression(C=0.1).fit(X, np.arange(40))
    assert model.suboptimality_ <= 1e-4


# ---- losses beyond what probabilities can say -----------------------------------------------------------------------
@pytest.mark.parametrize("k", [2, 3])
def test_a_far_mislabelled_row_counts_in_full(k):
    X, y = data(n=782, k=k)
    X[5] = 300 * X[y == y[5]].mean(axis=0)
    y[5] = (y[5] + 1) % k
    judged(X, y, C=1.0)


@pytest.mark.parametrize("k", [2, 3])
def test_large_offsets(k):
    X, y = data(k=k)
    offset = 1e4 * np.random.default_rng(5).normal(size=(len(X), k if k > 2 else 1))
    model, best = judged(X, y, {"offset": offset if k > 2 else offset.ravel()}, C=1.0)
    assert model.objective_ <= best * (1 + 1e-6)


# ---- scales ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-30, 1e30, 1e-160, 1e-170, 1e155, 1e170, 1e290])
@pytest.mark.parametrize("is_undone", [True, False])
def test_scales_of_x(size, is_undone, dtype):
    if dtype == np.float32 and not 1e-31 < size < 1e31:
        pytest.skip("beyond float32")
    X, y = data()
    plain = LogisticRegression(tol=1e-8).fit(X, y)
    model, best = judged((X * size).astype(dtype), y, scale=1 / size if is_undone else 1.0)
    assert model.objective_ <= best * (1 + 1e-6)
    if is_undone:
        np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-3)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e305, 1e307])
def test_scales_of_weights(size):
    X, y = data()
    weight = np.random.default_rng(6).random(len(X)) * size
    judged(X, y, {"sample_weight": weight}, C=1.0)
    same, best = judged(X, y, {"sample_weight": weight}, C=1 / size)
    plain = LogisticRegression(tol=1e-8).fit(X, y, sample_weight=weight / size)
    assert same.objective_ <= best * (1 + 1e-6)
    np.testing.assert_allclose(same.coef_, plain.coef_, atol=1e-3)


@pytest.mark.parametrize("C", [1e-310, 1e-200, 1e-100, 1e100, 1e300])
def test_scales_of_C(C):
    X, y = data()
    model, best = judged(X, y, C=C)
    assert model.objective_ <= best * (1 + 1e-6)
    judged(X, y, {"sample_weight": np.full(len(X), 1e-200)}, C=C)


@pytest.mark.parametrize("size", [1e-35, 1e35])
def test_large_float32_data_at_the_ends_of_their_range(size):
    X, y = data(n=60_000, d=10)
    plain = LogisticRegression(tol=1e-6).fit(X, y)
    model = LogisticRegression(tol=1e-4, scale=1 / size).fit((X * size).astype(np.float32), y)
    assert model.objective_ == pytest.approx(plain.objective_, rel=1e-4)


def test_an_outlier_without_a_penalty():
    X, y = data(n=500)
    X[7, 1] = 9_999_999_999
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        judged(X, y, C=np.inf)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e10, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_constant_columns_without_a_penalty(value, weighted):
    X, y = data(n=10_000, d=3)
    X[:, 1] = value
    fit_data = {"sample_weight": np.random.default_rng(7).random(len(X))} if weighted else {}
    model, best = judged(X, y, fit_data, C=np.inf)
    assert model.objective_ <= best * (1 + 1e-6)
    assert model.coef_[0, 1] == 0
    assert (model.coef_[0, [0, 2]] != 0).all()


def test_a_column_that_varies_less_than_its_mean_rounds():
    X, y = data(n=2000, d=2)
    X[:, 0] = 1e9 + 1e-6 * np.round(X[:, 0])
    judged(X, y, C=1e15, tol=0.1)


def test_a_constant_label_column():
    X, y = data(n=100)
    judged(X, np.column_stack([y, np.ones(100), np.zeros(100)]).astype(float), tol=1e-8)


def test_scaled_copies_of_a_column_without_a_penalty():
    X, y = data(n=300, d=3)
    X = np.column_stack([X, X[:, 0] * 1e-8, X[:, 1] * 3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        judged(X, y, C=np.inf)


# ---- what cannot work says so ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("X_size", "options"), [
    (1e300, {"scale": 1e100}), (1.0, {"scale": 1e200, "shift": 1e200}), (1e-300, {"scale": 1e-100, "C": np.inf}),
    (1.0, {"shift": 1e30}),
])
def test_features_out_of_range(X_size, options):
    X, y = data()
    with pytest.raises(ValueError, match="expected"):
        LogisticRegression(**options).fit(X * X_size, y)


def test_nan_written_into_x_during_a_fit():
    X, y = data(n=3000, d=8)

    def callback(iteration, value, suboptimality, w):
        X[17, 3] = np.nan

    F = objective_of(X, y.astype(np.int32), 1, loss="sigmoid", alpha=1e-4)
    with pytest.raises(ValueError, match=r"X has nan at row 17, column 3.*changed during the fit"):
        solvers.minimise(F, solver="lbfgs", tol=1e-10, callback=callback)


@pytest.mark.parametrize("C", [1.0, np.inf])
def test_objective_is_f_where_float32_features_are_far_from_0(C):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(3000, 215)) * np.exp(4 * rng.normal(size=215)) + 1000).astype(np.float32)
    y = rng.integers(0, 5, 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=C, max_iter=20).fit(X, y)
    judge = Judge(X, y, {"C": C}, {})
    assert model.objective_ == pytest.approx(float(judge.value(model.coef_, model.intercept_)), rel=1e-9)


# ---- no penalty, starts ---------------------------------------------------------------------------------------------
def test_quasi_complete_separation_is_named():
    x = np.r_[np.zeros(20), np.ones(20), -np.ones(20)]
    y = np.r_[np.arange(20) % 2, np.ones(20), np.zeros(20)].astype(int)
    with pytest.warns(ConvergenceWarning, match="separable.*quasi-complete"):
        LogisticRegression(C=np.inf).fit(x[:, None], y)


@pytest.mark.parametrize("is_separable", [True, False])
@pytest.mark.parametrize(("n", "d", "k"), [(1300, 29, 6), (1500, 29, 6), (8000, 400, 2)])
def test_quasi_complete_separation_of_many_parameters_is_named(n, d, k, is_separable):
    """One class alone has rows whose first feature is not 0: on both sides of the size of a whole linear program."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    y = (X @ rng.normal(size=(d, k)) / 2 + rng.gumbel(size=(n, k)) * 4).argmax(axis=1)
    X[:, 0] = (y == 0) & (rng.random(n) < 0.1)
    if not is_separable:
        X[[np.flatnonzero(y == label)[0] for label in range(k)], 0] = 1
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        LogisticRegression(C=np.inf).fit(X, y)
    assert any("quasi-complete" in str(w.message) for w in told) == is_separable


@pytest.mark.parametrize("noise", [0, 1])
def test_separation_is_told_where_columns_are_nearly_dependent(noise):
    """Columns that hardly vary beside their means, without an intercept."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 20))
    W = rng.normal(size=(20, 3))
    y = (X @ (W - W.mean(axis=0)) + noise * rng.gumbel(size=(600, 3))).argmax(axis=1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        LogisticRegression(C=np.inf, fit_intercept=False, max_iter=5).fit(X + 3e5, y)
    assert any("the classes are separable" in str(w.message) for w in told) == (noise == 0)


@pytest.mark.parametrize("C", [1e30, 1e100, 1e300])
def test_hardly_any_penalty_is_none(C):
    X, y = data()
    none = LogisticRegression(C=np.inf, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(LogisticRegression(C=C, tol=1e-8).fit(X, y).coef_, none.coef_, rtol=1e-4)
    X[:, 0] += 20 * y
    with pytest.warns(ConvergenceWarning, match="the classes are separable"):
        LogisticRegression(C=C).fit(X, y)


@pytest.mark.parametrize("solver", solvers.SOLVERS)
@pytest.mark.parametrize("size", [1e3, 1e100, 1e300])
def test_a_warm_start_far_away_is_no_worse_than_none(solver, size):
    X, y = data(k=3)
    model = LogisticRegression(warm_start=True, solver=solver, tol=1e-6).fit(X, y)
    best, model.coef_ = model.objective_, size * np.random.default_rng(8).normal(size=model.coef_.shape)
    assert model.fit(X, y).objective_ <= best * (1 + 2e-6)


@pytest.mark.parametrize("name", ["coef_", "intercept_"])
def test_nan_in_a_warm_start(name):
    X, y = data(k=3)
    model = LogisticRegression(warm_start=True).fit(X, y)
    getattr(model, name)[...] = np.nan
    with pytest.raises(ValueError, match=r"not finite"):
        model.fit(X, y)


def test_no_iteration_leaves_zeros():
    X, y = data()
    F = objective_of(X, y.astype(np.int32), 1, loss="sigmoid", alpha=0.1)
    result = solvers.minimise(F, max_iter=0)
    assert (result.n_iter, result.value) == (0, pytest.approx(np.log(2)))
    assert not result.w.any()


@pytest.mark.parametrize("solver", solvers.SOLVERS)
def test_all_weight_on_one_class_ends(solver):
    X, y = data()
    F = objective_of(X, y.astype(np.int32), 1, loss="sigmoid", alpha=0.1, weight=1.0 * y)
    assert solvers.minimise(F, solver=solver, max_iter=50).value < 1e-6


def test_conjugate_gradients_stop_where_there_is_no_curvature():
    H, b = np.diag([1.0, 0.0]), np.array([0.0, 1e-9])

    def solve(metric):
        return conjugate_gradients(lambda p: H @ p, lambda r: metric * r, b, lambda *_: False, 50, 1e-16)

    assert not solve(1.0).any()
    assert not solve(-1.0).any()
