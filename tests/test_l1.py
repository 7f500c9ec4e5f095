"""L1 and elastic-net penalties: optima of scikit-learn's solvers, exact zeros, bounds that hold, odd input."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Peer

from fastlr import LogisticRegression
from fastlr.model import memory
from fastlr.model.objective import Objective
from fastlr.model.rows import DenseRows
from fastlr.solvers import minimise, proximal_newton

rng = np.random.default_rng(0)
N, D = 300, 30
X = rng.standard_normal((N, D)) * np.exp(rng.standard_normal(D)) + rng.standard_normal(D)
ALIKE = X / X.std(axis=0)  # without which saga takes long
W = rng.standard_normal((3, D)) * (rng.random((3, D)) < 0.3) / 2
Y3 = (X @ W.T + rng.gumbel(size=(N, 3))).argmax(axis=1)
Y2 = (Y3 > 0).astype(int)
LABELS = (X @ W.T + rng.logistic(size=(N, 3)) > 0).astype(int)
WEIGHT = rng.exponential(size=N) * (rng.random(N) < 0.9)
SPARSE = sp.random_array((400, 200), density=0.03, rng=np.random.default_rng(1), format="csr")
YS = (SPARSE @ rng.standard_normal((200, 3)) + 0.3 * rng.gumbel(size=(400, 3))).argmax(axis=1)


def value(model, X, y, C, l1_ratio, *, weight=None, factors=1.0, offset=0.0):
    """F of a model, by NumPy alone."""
    W, b = model.coef_, model.intercept_
    Z = X @ W.T + b + offset
    if y.ndim == 2:
        losses = (np.logaddexp(0, Z) - y * Z).sum(axis=1)
    elif len(W) == 1:
        losses = (np.logaddexp(0, Z) - y[:, None] * Z)[:, 0]
    else:
        losses = np.logaddexp.reduce(Z, axis=1) - Z[np.arange(len(y)), y]
    weight = np.ones(len(y)) if weight is None else weight
    penalty = (factors * (l1_ratio * np.abs(W) + (1 - l1_ratio) / 2 * W**2)).sum()
    return (weight @ losses + penalty / C) / weight.sum()


def fit(*data, tol=1e-9, **params):
    """A fit that must have converged."""
    weight, offset = params.pop("weight", None), params.pop("offset", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return LogisticRegression(tol=tol, **params).fit(*data, sample_weight=weight, offset=offset)


@pytest.mark.parametrize("C", [0.05, 0.1])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("y", [Y2, Y3], ids=["binary", "softmax"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_optimum_is_sagas(C, l1_ratio, y, weight):
    X = ALIKE
    ours = fit(X, y, C=C, l1_ratio=l1_ratio, weight=weight)
    theirs = Peer(C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-8, max_iter=100_000, random_state=0)
    theirs.fit(X, y, sample_weight=weight)
    best = value(theirs, X, y, C, l1_ratio, weight=weight)
    assert ours.objective_ == pytest.approx(value(ours, X, y, C, l1_ratio, weight=weight), rel=1e-10)
    assert ours.objective_ <= best * (1 + 1e-9)
    assert ours.objective_ / (1 + ours.suboptimality_) <= best * (1 + 1e-12)
    assert best <= ours.objective_ * (1 + 1e-6)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)


@pytest.mark.filterwarnings("ignore:solver='liblinear' penalises")
def test_optimum_is_liblinears():
    theirs = Peer(l1_ratio=1, solver="liblinear", fit_intercept=False, tol=1e-9, max_iter=10_000, random_state=0)
    theirs.fit(X, Y2)
    ours = fit(X, Y2, l1_ratio=1, fit_intercept=False, solver="liblinear")
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("y", "targets"), [(YS > 0, "auto"), (YS, "auto"), (np.eye(3, dtype=int)[YS], "labels")],
                         ids=["binary", "softmax", "labels"])
def test_sparse_is_dense(l1_ratio, intercept, y, targets):
    params = {"l1_ratio": l1_ratio, "fit_intercept": intercept, "targets": targets, "C": 0.7}
    sparse, dense = fit(SPARSE, y, **params), fit(SPARSE.toarray(), y, **params)
    assert sparse.objective_ == pytest.approx(dense.objective_, rel=2e-9)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=2e-3)
    assert 0 < np.count_nonzero(sparse.coef_) < sparse.coef_.size
    shifted = {"shift": np.linspace(0, 0.1, 200), "scale": 2.0, **params}
    sparse, dense = (LogisticRegression(tol=1e-6, **shifted).fit(A, y) for A in (SPARSE, SPARSE.toarray()))
    assert sparse.objective_ == pytest.approx(dense.objective_, rel=2e-6)


def test_labels_are_fits_of_their_own():
    together = fit(X, LABELS, l1_ratio=0.7, targets="labels")
    for label in range(3):
        alone = fit(X, LABELS[:, label], l1_ratio=0.7)
        np.testing.assert_allclose(together.coef_[label], alone.coef_[0], atol=1e-4)
    assert together.objective_ == pytest.approx(value(together, X, LABELS, 1.0, 0.7), rel=1e-12)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
@pytest.mark.parametrize("y", [Y2, Y3], ids=["binary", "softmax"])
def test_factors_scale_shift_and_offset(l1_ratio, y):
    scale, shift = np.linspace(0.2, 3, D), np.linspace(-1, 1, D)
    factors, offset = np.linspace(0.5, 2, D), rng.standard_normal((N, 1 if y is Y2 else 3))
    U = (X - shift) * scale
    params = {"l1_ratio": l1_ratio, "C": 0.3, "penalty_factors": factors, "offset": offset}
    model, plain = fit(X, y, scale=scale, shift=shift, **params), fit(U, y, **params)
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-4)
    expected = value(model, U, y, 0.3, l1_ratio, factors=factors, offset=offset)
    assert model.objective_ == pytest.approx(expected, rel=1e-12)
    near = model.coef_.copy()
    for _ in range(50):  # no neighbour is better
        model.coef_ = near + 1e-3 * rng.standard_normal(near.shape) * (near != 0)
        assert value(model, U, y, 0.3, l1_ratio, factors=factors, offset=offset) >= expected


def test_elastic_net_of_ratio_near_0_is_ridge():
    ridge, nearly = fit(X, Y3), fit(X, Y3, l1_ratio=1e-9)
    np.testing.assert_allclose(nearly.coef_, ridge.coef_, atol=1e-4)


@pytest.mark.parametrize("y", [Y2, Y3], ids=["binary", "softmax"])
def test_alpha_max(y):
    """At 1/C above the largest gradient of the constant model all is 0, below it is not."""
    T = np.eye(3)[y][:, : y.max() + 1]
    if len(T[0]) == 2:
        T = T[:, 1:]
    largest = np.abs((T - T.mean(axis=0)).T @ X).max()
    model = fit(X, y, l1_ratio=1, C=0.999 / largest)
    assert not model.coef_.any()
    np.testing.assert_allclose(model.predict_proba(X[:1]), np.bincount(y)[None] / N, rtol=1e-9)
    assert fit(X, y, l1_ratio=1, C=1.01 / largest).coef_.any()
    assert not fit(X, y, l1_ratio=1, C=1e-12).coef_.any()


def test_warm_starts_along_a_path():
    model, n_passes, cold = LogisticRegression(l1_ratio=1, warm_start=True, tol=1e-7), 0, 0
    for C in np.geomspace(0.01, 1, 6):
        model.set_params(C=C).fit(X, Y3)
        n_passes += model.n_passes_
        other = LogisticRegression(l1_ratio=1, C=C, tol=1e-7).fit(X, Y3)
        cold += other.n_passes_
        assert model.objective_ == pytest.approx(other.objective_, rel=2e-7)
    assert n_passes < cold


@pytest.mark.parametrize("loss", ["sigmoid", "softmax", "squared_error"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.01])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bounds_hold_at_random_points(loss, l1_ratio, intercept, dtype, monkeypatch):
    if dtype == np.float32:
        monkeypatch.setattr("fastlr.model.rows_base.SMALL", 0)
    y = {"sigmoid": Y2.astype(np.int32), "softmax": Y3.astype(np.int32), "squared_error": X[:, :2] + Y2[:, None]}[loss]
    k = {"sigmoid": 1, "softmax": 3, "squared_error": 2}[loss]
    y = y.astype(dtype) if y.ndim == 2 else y
    rows = DenseRows(X.astype(dtype), y, k, loss=loss, intercept=intercept, weight=WEIGHT)
    objective = Objective(rows, alpha=0.02, l1_ratio=l1_ratio)
    best = minimise(objective, tol=1e-10 if dtype == np.float64 else 1e-4)
    assert best.converged
    floor = best.value * (1 + 1e-6 * (dtype == np.float32))
    for size in (0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0):
        for direction in rng.standard_normal((20, objective.size)):
            point = objective.at(best.w + size * direction)
            for bound in (objective.lower_bound(point), objective.shifted_bound(point)):
                assert bound <= floor


def test_without_kept_logits(monkeypatch):
    plain = fit(X, Y3, l1_ratio=0.5, C=0.1, tol=1e-6)
    monkeypatch.setattr(proximal_newton, "KEPT_VALUES", 0)
    other = fit(X, Y3, l1_ratio=0.5, C=0.1, tol=1e-6)
    assert plain.objective_ != other.objective_
    assert other.objective_ == pytest.approx(plain.objective_, rel=2e-6)
    assert (other.coef_ == 0).any()
    assert memory.KEPT_VALUES > 0


@pytest.mark.parametrize("y", [Y2, Y3], ids=["binary", "softmax"])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_odd_columns(y, kind):
    constant, twice = np.full((N, 2), 7.0), X[:, :3]
    table = np.hstack([X, constant, twice, np.zeros((N, 1)), 1e-8 * X[:, :1], 1e3 * X[:, 1:2]])
    model = fit(kind(table), y, l1_ratio=1, C=0.2, tol=1e-7)
    assert not model.coef_[:, D : D + 2].any()
    assert not model.coef_[:, D + 5].any()
    plain = fit(X, y, l1_ratio=1, C=0.2, tol=1e-7)
    assert model.objective_ <= plain.objective_ * (1 + 1e-6)


def test_separable_classes_and_large_C():
    y = (X[:, 0] > X[:, 0].mean()).astype(int)
    for C in (1e2, 1e6):
        model = fit(X, y, l1_ratio=1, C=C, tol=1e-4)
        assert model.score(X, y) == 1
        assert model.suboptimality_ <= 1e-4


def test_unpenalised_features_are_proved(monkeypatch):
    factors = np.ones(D)
    factors[0] = 0
    model = fit(X, Y2, l1_ratio=1, C=0.1, penalty_factors=factors, tol=1e-6)
    monkeypatch.setattr(proximal_newton, "NEWTON_SIZE", 0)
    with pytest.warns(ConvergenceWarning, match="a proof takes a penalty on every feature"):
        assert LogisticRegression(l1_ratio=1, C=0.1, penalty_factors=factors).fit(X, Y2).suboptimality_ == np.inf
    factors[0] = 1e-4
    nearly = fit(X, Y2, l1_ratio=1, C=0.1, penalty_factors=factors, tol=1e-4)
    np.testing.assert_allclose(model.coef_, nearly.coef_, atol=1e-3)


@pytest.mark.parametrize("y", [Y3, LABELS], ids=["softmax", "labels"])
def test_same_bits_for_any_number_of_threads(y):
    for data in (X, sp.csr_array(X)):
        one, two = (fit(data, y, l1_ratio=0.9, n_threads=n, targets="labels" if y.ndim == 2 else "auto")
                    for n in (1, 2))
        np.testing.assert_array_equal(one.coef_, two.coef_)
        np.testing.assert_array_equal(one.intercept_, two.intercept_)
        assert one.suboptimality_ == two.suboptimality_


@pytest.mark.parametrize("l1_ratio", [-0.1, 1.1, np.nan, "1", np.inf])
def test_ratios_outside_0_and_1(l1_ratio):
    with pytest.raises(ValueError, match=r"l1_ratio is .*; expected a number in \[0, 1\]"):
        LogisticRegression(l1_ratio=l1_ratio).fit(X, Y2)


def test_what_does_not_go_together():
    with pytest.raises(ValueError, match="Solver lbfgs supports only 'l2' or None penalties"):
        LogisticRegression(l1_ratio=1, solver="lbfgs").fit(X, Y2)
    with pytest.raises(ValueError, match="needs a smooth penalty"):
        LogisticRegression(l1_ratio=1, leave_one_out=True).fit(X, Y2)
    free = LogisticRegression(l1_ratio=1, C=np.inf).fit(X, Y2)
    np.testing.assert_array_equal(free.coef_, LogisticRegression(C=np.inf).fit(X, Y2).coef_)


def test_max_iter_and_callbacks_end_fits():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = LogisticRegression(l1_ratio=1, max_iter=2, tol=1e-12).fit(X, Y3)
    assert model.n_iter_ == [2]
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        assert not LogisticRegression(l1_ratio=1, max_iter=0).fit(X, Y3).coef_.any()


def test_sparse_coefficients_predict():
    model = fit(X, Y3, l1_ratio=1, C=0.1)
    Z, W = model.decision_function(X), model.coef_
    assert sp.issparse(model.sparsify().coef_)
    np.testing.assert_array_equal(model.decision_function(X), Z)
    np.testing.assert_array_equal(model.densify().coef_, W)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_float32_is_proved_in_float64(kind, monkeypatch):
    monkeypatch.setattr("fastlr.model.rows_base.SMALL", 0)
    monkeypatch.setattr(proximal_newton, "NEWTON_SIZE", 0)
    for y in (Y2, Y3):
        short = fit(kind(X.astype(np.float32)), y, l1_ratio=1, C=1.0, tol=1e-5)
        exact = fit(X.astype(np.float32).astype(np.float64), y, l1_ratio=1, C=1.0, tol=1e-9)
        assert short.objective_ / (1 + short.suboptimality_) <= exact.objective_ <= short.objective_ * (1 + 1e-6)
        exactly = proximal_newton._exactly
        monkeypatch.setattr(proximal_newton, "_exactly", lambda objective, progress, point, fall: point)
        with pytest.warns(ConvergenceWarning, match="pass X as float64"):
            LogisticRegression(l1_ratio=1, tol=1e-5).fit(kind(X.astype(np.float32)), y)
        monkeypatch.setattr(proximal_newton, "_exactly", exactly)


def test_models_of_some_rows(monkeypatch):
    monkeypatch.setattr(proximal_newton, "LEAST_ROWS", 40)
    monkeypatch.setattr(proximal_newton, "MODEL_ROWS", 1)
    for y in (Y2, Y3):
        some = LogisticRegression(l1_ratio=0.8, tol=1e-7).fit(X, y, sample_weight=WEIGHT + 0.1)
        monkeypatch.setattr(proximal_newton, "LEAST_ROWS", N)
        whole = LogisticRegression(l1_ratio=0.8, tol=1e-7).fit(X, y, sample_weight=WEIGHT + 0.1)
        monkeypatch.setattr(proximal_newton, "LEAST_ROWS", 40)
        assert some.suboptimality_ <= 1e-7
        assert some.objective_ == pytest.approx(whole.objective_, rel=2e-7)
        assert some.objective_ != whole.objective_
