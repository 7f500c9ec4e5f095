"""The optimum of LogisticRegression: against scikit-learn, by hand, under changes that must not matter."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, logsumexp
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression
from sklearn.preprocessing import StandardScaler

from fastlr import LogisticRegression

TIGHT = 1e-11


def objective(X, y, coef, intercept, *, C=1.0, weight=None, factors=1.0, offset=0.0):
    """F of the module's first lines, in float64 NumPy; y codes (n,) or, for independent labels, (n, k)."""
    Z = X.astype(np.float64) @ coef.T + intercept + offset
    weight = np.ones(len(X)) if weight is None else weight
    if y.ndim == 2:
        losses = (np.logaddexp(0, Z) - y * Z).sum(axis=1)
    elif Z.shape[1] == 1:
        losses = np.logaddexp(0, Z[:, 0]) - y * Z[:, 0]
    else:
        losses = logsumexp(Z, axis=1) - Z[np.arange(len(y)), y]
    return (weight @ losses + (factors * coef**2).sum() / (2 * C)) / weight.sum()


def objective_of(model, X, y, **kwargs):
    return objective(X, y, model.coef_, model.intercept_, **kwargs)


def blobs(k=3, n=200, d=6, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    y[:k] = np.arange(k)
    return rng.normal(size=(k, d))[y] + 1.5 * rng.normal(size=(n, d)), y


DATA = {
    "iris": load_iris,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", DATA)
def test_reaches_scikit_learns_optimum(name, dtype, C, weighted):
    X, y = DATA[name](return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(dtype)
    weight = np.random.default_rng(0).random(len(X)) * 2 if weighted else None
    if name == "digits":  # the peer's Newton steps take seconds for more
        X, y = X[:300, ::3], y[:300]
        weight = None if weight is None else weight[:300]
    peer = SklearnLogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    peer.fit(X.astype(np.float64), y, weight)
    best = objective_of(peer, X, y, C=C, weight=weight)

    model = LogisticRegression(C=C).fit(X, y, weight)
    excess = objective_of(model, X, y, C=C, weight=weight) / best - 1
    rounding = 1e-12 if dtype == "float64" else 2e-6
    assert model.suboptimality_ <= 1e-4
    assert excess <= model.suboptimality_ + rounding
    assert excess >= -1e-8
    assert model.objective_ == pytest.approx(objective_of(model, X, y, C=C, weight=weight), rel=1e-9 + rounding)

    if dtype == "float64":
        model = LogisticRegression(C=C, tol=TIGHT).fit(X, y, weight)
        np.testing.assert_allclose(model.coef_, peer.coef_, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("name", DATA)
def test_raw_features_need_no_scaling(name):
    X, y = DATA[name](return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticRegression().fit(X, y)
        scaled = LogisticRegression().fit(X * 10.0 ** np.random.default_rng(0).uniform(-4, 4, X.shape[1]), y)
    assert model.suboptimality_ <= 1e-4
    assert scaled.suboptimality_ <= 1e-4


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0}, {0: 1, 1: 2.5, 2: 0.5}])
def test_class_weights_as_in_scikit_learn(class_weight):
    X, y = blobs()
    weight = np.random.default_rng(1).random(len(X))
    model = LogisticRegression(class_weight=class_weight, tol=TIGHT).fit(X, y, weight)
    peer = SklearnLogisticRegression(class_weight=class_weight, tol=1e-9, solver="newton-cholesky").fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-4)


# ---- by hand --------------------------------------------------------------------------------------------------------
def test_without_information_the_intercept_is_the_log_odds():
    model = LogisticRegression(tol=TIGHT).fit(np.ones((4, 1)), [0, 1, 1, 1])
    assert model.intercept_[0] == pytest.approx(np.log(3), abs=1e-4)
    assert model.coef_[0, 0] == pytest.approx(0, abs=1e-6)
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert model.objective_ == pytest.approx(entropy, rel=1e-9)

    y = np.repeat([0, 1, 2], [1, 3, 4])
    model = LogisticRegression(tol=TIGHT).fit(np.zeros((8, 2)), y)
    np.testing.assert_allclose(model.predict_proba(np.zeros((1, 2)))[0], [1 / 8, 3 / 8, 4 / 8], atol=1e-5)
    assert model.intercept_.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("C", [0.1, 1.0, 30.0])
def test_two_points(C):
    """x = -1, 1 with their own classes: the derivative of log(1 + exp(-w)) + w^2 / (4 C) vanishes, b = 0."""
    w = brentq(lambda w: -expit(-w) + w / (2 * C), 0, 100)
    model = LogisticRegression(C=C, tol=TIGHT).fit([[-1.0], [1.0]], ["a", "b"])
    assert model.coef_[0, 0] == pytest.approx(w, rel=1e-4)
    assert model.intercept_[0] == pytest.approx(0, abs=1e-6)


def test_target_probabilities_of_a_constant_feature():
    Y = np.array([[0.9, 0.1], [0.3, 0.7], [0.4, 0.6]])
    model = LogisticRegression(tol=TIGHT).fit(np.ones((3, 1)), Y)
    np.testing.assert_allclose(model.predict_proba([[1.0]])[0], Y.mean(axis=0), atol=1e-5)
    assert model.coef_.shape == (1, 1)


# ---- what must not matter -------------------------------------------------------------------------------------------
@pytest.fixture(params=[2, 3], ids=["binary", "three classes"])
def problem(request):
    X, y = blobs(request.param)
    return X, y, LogisticRegression(tol=TIGHT).fit(X, y)


def assert_same_predictions(model, other, X, X_other=None):
    X_other = X if X_other is None else X_other
    np.testing.assert_allclose(other.predict_proba(X_other), model.predict_proba(X), atol=2e-5)


def test_order_of_rows(problem):
    X, y, model = problem
    order = np.random.default_rng(3).permutation(len(X))
    assert_same_predictions(model, LogisticRegression(tol=TIGHT).fit(X[order], y[order]), X)


def test_names_of_classes(problem):
    X, y, model = problem
    names = np.array(["zebra", "ape", "newt"])[y]
    other = LogisticRegression(tol=TIGHT).fit(X, names)
    order = np.argsort(["zebra", "ape", "newt"][: len(model.classes_)])
    np.testing.assert_allclose(other.predict_proba(X), model.predict_proba(X)[:, order], atol=2e-5)


def test_scale_of_features_with_adapted_penalty(problem):
    X, y, model = problem
    scale = 10.0 ** np.linspace(-4, 4, X.shape[1])
    other = LogisticRegression(tol=TIGHT, penalty_factors=scale**2).fit(X * scale, y)
    assert_same_predictions(model, other, X, X * scale)
    other = LogisticRegression(tol=TIGHT, scale=1 / scale).fit(X * scale, y)
    assert_same_predictions(model, other, X, X * scale)
    np.testing.assert_allclose(other.coef_, model.coef_, atol=1e-4)


def test_place_of_features(problem):
    X, y, model = problem
    shift = np.linspace(-1000, 1000, X.shape[1])
    assert_same_predictions(model, LogisticRegression(tol=TIGHT).fit(X + shift, y), X, X + shift)
    other = LogisticRegression(tol=TIGHT, shift=shift).fit(X + shift, y)
    np.testing.assert_allclose(other.intercept_, model.intercept_, atol=1e-4)


def test_a_weight_is_a_repetition(problem):
    X, y, _ = problem
    weight = np.random.default_rng(4).integers(0, 4, len(X))
    weighted = LogisticRegression(tol=TIGHT).fit(X, y, weight)
    assert_same_predictions(weighted, LogisticRegression(tol=TIGHT).fit(X.repeat(weight, 0), y.repeat(weight)), X)
    assert_same_predictions(weighted, LogisticRegression(C=0.1, tol=TIGHT).fit(X, y, 10.0 * weight), X)


def test_constant_and_repeated_columns(problem):
    X, y, model = problem
    wider = np.column_stack([X, np.full(len(X), 7.0), np.zeros(len(X))])
    other = LogisticRegression(tol=TIGHT).fit(wider, y)
    assert_same_predictions(model, other, X, wider)
    np.testing.assert_allclose(other.coef_[:, -2:], 0, atol=1e-5)

    twice = np.hstack([X, X])
    other = LogisticRegression(tol=TIGHT, penalty_factors=2.0).fit(twice, y)
    assert_same_predictions(model, other, X, twice)
    np.testing.assert_allclose(other.coef_[:, : X.shape[1]], other.coef_[:, X.shape[1] :], atol=1e-4)


def test_one_hot_probabilities_are_labels(problem):
    X, y, model = problem
    other = LogisticRegression(tol=TIGHT, targets="classes").fit(X, np.eye(len(model.classes_))[y])
    assert_same_predictions(model, other, X)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_independent_labels_are_separate_fits():
    X, _ = blobs()
    Y = (X[:, :4] + np.random.default_rng(5).normal(size=(len(X), 4)) > 0).astype(int)
    together = LogisticRegression(tol=TIGHT).fit(X, Y)
    assert together.coef_.shape == (4, X.shape[1])
    for j in range(4):
        alone = LogisticRegression(tol=TIGHT).fit(X, Y[:, j])
        np.testing.assert_allclose(together.predict_proba(X)[:, j], alone.predict_proba(X)[:, 1], atol=5e-5)
    np.testing.assert_array_equal(together.predict(X), together.predict_proba(X) > 0.5)
    assert together.objective_ == pytest.approx(objective_of(together, X, Y), rel=1e-9)


def test_an_offset_is_a_feature_of_known_coefficient(problem):
    X, y, _ = problem
    k = 1 if y.max() == 1 else 3
    known = np.random.default_rng(6).normal(size=(k, X.shape[1]))
    offset = X @ known.T
    offset = offset.ravel() if k == 1 else offset
    free = LogisticRegression(C=np.inf, tol=1e-9).fit(X, y)
    other = LogisticRegression(C=np.inf, tol=1e-9).fit(X, y, offset=offset)
    np.testing.assert_allclose(other.predict_proba(X, offset=offset), free.predict_proba(X), atol=1e-4)
    assert other.score(X, y, offset=offset) == free.score(X, y)


@given(
    n=st.integers(2, 40), d=st.integers(1, 6), k=st.integers(2, 4), log_C=st.floats(-3, 3), seed=st.integers(0, 1000),
    intercept=st.booleans(), weighted=st.booleans(), spread=st.floats(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_no_point_is_better_than_the_bound_allows(n, d, k, log_C, seed, intercept, weighted, spread):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10 ** rng.uniform(-spread, spread, d)
    y = rng.integers(0, k, n)
    y[:2] = 0, 1
    y = np.unique(y, return_inverse=True)[1]
    weight = rng.random(n) + 0.01 if weighted else None
    C = 10**log_C
    model = LogisticRegression(C=C, fit_intercept=intercept).fit(X, y, weight)
    value = objective_of(model, X, y, C=C, weight=weight)
    assert model.objective_ == pytest.approx(value, rel=1e-8)
    assert model.suboptimality_ <= 1e-4
    lowest = value / (1 + model.suboptimality_) * (1 - 1e-10)
    tight = LogisticRegression(C=C, fit_intercept=intercept, tol=1e-8).fit(X, y, weight)
    assert objective_of(tight, X, y, C=C, weight=weight) >= lowest
    for size in (1e-4, 1e-2, 1.0):
        coef = tight.coef_ + size * rng.normal(size=tight.coef_.shape)
        b = tight.intercept_ + size * rng.normal(size=tight.intercept_.shape) * intercept
        assert objective(X, y, coef, b, C=C, weight=weight) >= lowest


def test_log_probabilities_where_probabilities_round():
    X, y = np.array([[-1.0], [0.0], [1.0]] * 20), np.array([0, 1, 2] * 20)
    model = LogisticRegression().fit(X, y)
    far = np.array([[1e4], [-1e4]])
    Z = model.decision_function(far)
    np.testing.assert_allclose(model.predict_log_proba(far), log_softmax(Z, axis=1), rtol=1e-12)
    binary = LogisticRegression().fit(X[y < 2], y[y < 2])
    assert np.isfinite(binary.predict_log_proba(far)).all()
    assert (binary.predict_log_proba(far).min(axis=1) < -1000).all()
