"""Fits of sparse rows: the optimum of their dense twins, whatever the loss, the solver, the precision, the options."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression as ScikitLearns
from sklearn.pipeline import make_pipeline

from fastlr import LogisticRegression, LogisticRegressionCV
from fastlr._input.csr import check_csr
from fastlr.model.objective import Objective
from fastlr.model.rows import DenseRows
from fastlr.model.rows_sparse import CsrRows
from fastlr.solvers import SOLVERS, minimise
from fastlr.solvers import sparse as sparse_solver

KINDS = ("binary", "classes", "labels", "probabilities")


def documents(n=400, d=1500, density=0.02, seed=0):
    """X (n, d) with a constant and an empty column, and a matrix of logits (n, 4) that depend on it."""
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n, d), density=density, rng=rng).tolil()
    X[:, 3], X[:, 5] = 1.0, 0.0
    X = sparse.csr_array(X)
    return X, X @ rng.normal(size=(d, 4)) * 2 + rng.gumbel(size=(n, 4)), rng


def target(Z, kind):
    if kind == "binary":
        return Z[:, 0] > Z[:, 1]
    if kind == "labels":
        return (np.median(Z, axis=0) < Z).astype(int)
    return Z.argmax(axis=1) if kind == "classes" else np.eye(4)[Z.argmax(axis=1)] * 0.8 + 0.05


def assert_same_fit(model, twin, X):
    """Proved to the same tolerance, they are models of one optimum."""
    tol = model.tol
    assert model.suboptimality_ <= tol
    assert abs(model.objective_ - twin.objective_) <= 2 * tol * twin.objective_
    difference = np.abs(model.coef_ - twin.coef_).max() / np.abs(twin.coef_).max()
    assert difference < 30 * np.sqrt(tol)  # the objective is strongly convex, but weakly
    np.testing.assert_allclose(model.decision_function(X), model.decision_function(X.toarray()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_the_optimum_is_that_of_the_dense_twin(kind, C):
    X, Z, _ = documents()
    options = {"C": C, "tol": 1e-9, "targets": "classes" if kind == "probabilities" else "auto"}
    y = target(Z, kind)
    model, twin = (LogisticRegression(**options).fit(x, y) for x in (X, X.toarray()))
    assert_same_fit(model, twin, X)


OPTIONS = {
    "no intercept": ({"fit_intercept": False}, ()),
    "weights": ({}, ("sample_weight",)),
    "offset": ({}, ("offset",)),
    "scale and shift": ({"scale": np.linspace(0.5, 2, 1500), "shift": np.linspace(-1, 1, 1500)}, ()),
    "penalty factors": ({"penalty_factors": np.linspace(0.2, 3, 1500)}, ()),
    "balanced": ({"class_weight": "balanced"}, ()),
    "newton-cg": ({"solver": "newton-cg"}, ("sample_weight",)),
    "lbfgs": ({"solver": "lbfgs"}, ()),
}


@pytest.mark.parametrize("kind", ["binary", "classes"])
@pytest.mark.parametrize("case", OPTIONS)
def test_options(case, kind):
    X, Z, rng = documents()
    options, names = OPTIONS[case]
    k = 1 if kind == "binary" else 4
    passed = {"sample_weight": rng.random(400) * (rng.random(400) < 0.9), "offset": rng.normal(size=(400, k))}
    passed = {name: passed[name] for name in names}
    model, twin = (
        LogisticRegression(C=3.0, tol=1e-9, **options).fit(x, target(Z, kind), **passed) for x in (X, X.toarray())
    )
    assert model.suboptimality_ <= 1e-9
    assert abs(model.objective_ - twin.objective_) <= 2e-9 * twin.objective_
    assert model.coef_[:, 5].tolist() == [0.0] * k  # nothing is stored of this feature


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60), d=st.integers(1, 40), density=st.floats(0.0, 1.0),
       kind=st.sampled_from(KINDS), intercept=st.booleans(), weighted=st.booleans(), log_C=st.floats(-3, 3))
def test_sums_over_sparse_rows_are_those_of_dense_rows(seed, n, d, density, kind, intercept, weighted, log_C):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n, d), density=density, rng=rng, format="csr")
    X.data = np.ldexp(X.data - 0.3, rng.integers(-3, 4, len(X.data)))
    Z = rng.gumbel(size=(n, 4))
    y = target(Z, kind)
    y = y.astype(np.int32) if y.ndim == 1 else y.astype(np.float64)
    k, loss = (1, "sigmoid") if kind == "binary" else (4, "sigmoid" if kind == "labels" else "softmax")
    weight = rng.random(n) + 0.01 if weighted else None
    F, G = (Objective(make(x, y, k, loss=loss, weight=weight, intercept=intercept, n_threads=2), alpha=10.0**log_C)
            for make, x in ((CsrRows, check_csr(X, 1)), (DenseRows, X.toarray())))
    np.testing.assert_allclose(F.coordinates.deviation, G.coordinates.deviation, rtol=1e-9)
    np.testing.assert_array_equal(F.coordinates.is_constant, G.coordinates.is_constant)
    w = rng.normal(size=F.size)
    w = F.without_constants(F.start(*G.coefficients(w)))
    at, twin = F.at(w), G.at(G.start(*F.coefficients(w)))
    size = np.abs(twin.grad).max() + 1
    np.testing.assert_allclose(at.value, twin.value, rtol=1e-9)
    np.testing.assert_allclose(at.grad, twin.grad, atol=1e-8 * size)
    np.testing.assert_allclose(F.hessp(at, w), G.hessp(twin, w), atol=1e-8 * size)
    np.testing.assert_allclose(F.hessian(at), G.hessian(twin), atol=1e-8 * size)
    np.testing.assert_allclose(F.lower_bound(at), G.lower_bound(twin), rtol=1e-7, atol=1e-9)
    result = minimise(F, tol=1e-8)
    assert result.converged or not minimise(G, tol=1e-8).converged  # where all rows are of one class nothing is proved
    assert result.value <= G.at(G.start(*F.coefficients(result.w))).value * (1 + 1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_few_features_of_many_rows(solver):
    X, Z, _ = documents(3000, 40, 0.2)
    for kind in ("binary", "classes"):
        y = target(Z, kind)
        model, twin = (LogisticRegression(tol=1e-8, solver=solver).fit(x, y) for x in (X, X.toarray()))
        assert_same_fit(model, twin, X)


def test_no_penalty():
    X, Z, _ = documents(3000, 40, 0.2)
    y = target(Z, "binary")
    model, twin = (LogisticRegression(C=np.inf, tol=1e-8).fit(x, y) for x in (X, X.toarray()))
    assert model.suboptimality_ <= 1e-8
    np.testing.assert_allclose(model.predict_proba(X), twin.predict_proba(X), atol=1e-4)
    X, Z, _ = documents()
    with pytest.warns(ConvergenceWarning, match="the classes are separable"):
        LogisticRegression(C=np.inf).fit(X, target(Z, "binary"))


def test_float32_is_proved_too():
    X, Z, _ = documents(3000, 2500, 0.1)  # more values than are computed with in float64
    y = target(Z, "classes")
    model, twin = (LogisticRegression(tol=1e-5).fit(x, y) for x in (X.astype(np.float32), X))
    assert model.decision_function(X.astype(np.float32)).dtype == np.float32
    assert model.suboptimality_ <= 1e-5
    assert abs(model.objective_ - twin.objective_) <= 1e-5 * twin.objective_


def test_the_features_that_vary_most_have_a_block(monkeypatch):
    """One-hot columns exclude each other: with their covariance a fit takes a fraction of the passes."""
    rng = np.random.default_rng(0)
    codes = [np.minimum(rng.zipf(1.3, 5000), size) - 1 for size in (10, 300, 300, 900, 3000)]
    starts = np.cumsum([0, 10, 300, 300, 900])
    indices = np.stack([code + start for code, start in zip(codes, starts, strict=True)], axis=1)
    indptr = np.arange(0, indices.size + 1, 5)
    X = sparse.csr_array((np.ones(indices.size), indices.ravel(), indptr), shape=(5000, 4510))
    z = X @ rng.normal(size=4510)
    y = z + rng.logistic(size=5000) > np.median(z)
    with_block = LogisticRegression(C=10.0, tol=1e-7).fit(X, y)
    monkeypatch.setattr(sparse_solver, "BLOCK_AFTER", np.inf)
    without = LogisticRegression(C=10.0, tol=1e-7).fit(X, y)
    assert with_block.suboptimality_ <= 1e-7
    assert abs(with_block.objective_ - without.objective_) <= 2e-7 * without.objective_
    assert with_block.n_passes_ < 0.75 * without.n_passes_


def test_threads_do_not_change_a_bit():
    X, Z, _ = documents(2500, 2200, 0.1)
    y = target(Z, "binary")
    one, two = (LogisticRegression(C=10.0, n_threads=n, tol=1e-6).fit(X.astype(np.float32), y) for n in (1, 2))
    assert one.coef_.tobytes() == two.coef_.tobytes()
    assert one.predict_proba(X).tobytes() == two.predict_proba(X).tobytes()


def test_far_values_are_brought_near():
    X, Z, _ = documents(200, 1200)
    y = target(Z, "binary")
    scale = np.ldexp(1.0, np.resize([-900, 0, 900], 1200))
    far = sparse.csr_array(X * scale)
    model = LogisticRegression(tol=1e-9, penalty_factors=1.0, scale=1 / scale).fit(far, y)
    twin = LogisticRegression(tol=1e-9).fit(X, y)
    assert abs(model.objective_ - twin.objective_) <= 2e-9 * twin.objective_


def test_constant_features_are_told_by_their_values():
    """A column that is stored in every row and hardly varies, one that is constant, one whose squares are 0."""
    n = 1200
    hardly = 1 + 1e-9 * (np.arange(n) % 2)
    X = np.zeros((n, 4))
    X[:, 0], X[:, 1], X[::2, 2], X[:, 3] = hardly, 0.1, 1e-200, np.arange(n) % 3
    F, G = (Objective(make(x, np.arange(n, dtype=np.int32) % 2, 1, loss="sigmoid"), alpha=1.0)
            for make, x in ((CsrRows, check_csr(sparse.csr_array(X), 1)), (DenseRows, X)))
    assert F.coordinates.is_constant.tolist() == [False, True, False, False]
    np.testing.assert_allclose(F.coordinates.deviation, G.coordinates.deviation, rtol=1e-6)
    np.testing.assert_allclose(F.coordinates.mean, G.coordinates.mean, rtol=1e-12)


def test_warm_start_and_time():
    X, Z, _ = documents()
    y = target(Z, "classes")
    model = LogisticRegression(C=10.0, tol=1e-8, warm_start=True).fit(X, y)
    passes = model.n_passes_
    assert model.fit(X, y).n_passes_ < passes / 3
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        short = LogisticRegression(C=10.0, tol=1e-8, max_iter=8).fit(X, y)
    assert 1e-8 < short.suboptimality_ < np.inf


def test_newton_cholesky_refuses_what_it_cannot_hold():
    X, Z, _ = documents(60, 8000, 0.01)
    with pytest.raises(ValueError, match=r"newton-cholesky.* makes a matrix of 8001 x 8001 .*: use solver='auto'"):
        LogisticRegression(solver="newton-cholesky").fit(X, target(Z, "binary"))


@pytest.mark.parametrize(("n", "d", "kind"), [(300, 1200, "binary"), (300, 1200, "classes"), (1500, 30, "binary")])
def test_cross_validation_is_that_of_the_dense_twin(n, d, kind):
    X, Z, _ = documents(n, d, 0.1)
    y = target(Z, kind)
    options = {"Cs": [0.01, 1.0, 100.0], "cv": 3, "tol": 1e-7, "scoring": "neg_log_loss"}
    search, twin = (LogisticRegressionCV(**options).fit(x, y) for x in (X, X.toarray()))
    assert search.C_ == twin.C_
    np.testing.assert_allclose(search.scores_, twin.scores_, rtol=2e-3)
    assert abs(search.objective_ - twin.objective_) <= 3e-7 * twin.objective_
    assert search.score(X, y) == pytest.approx(search.score(X.toarray(), y), rel=1e-12)


def test_scorers_see_the_rows_held_out():
    X, Z, _ = documents(300, 1200, 0.1)
    seen = []

    def scorer(model, rows, y):
        seen.append((sparse.issparse(rows), rows.shape))
        return model.score(rows, y)

    own = LogisticRegressionCV(Cs=[1.0], cv=3, scoring=scorer).fit(X, target(Z, "binary"))
    assert seen == [(True, (100, 1200))] * 3
    plain = LogisticRegressionCV(Cs=[1.0], cv=3).fit(X, target(Z, "binary"))
    np.testing.assert_array_equal(own.scores_, plain.scores_)


def test_text_through_scikit_learns_pipelines():
    texts = ["red green blue", "one two three", "green green", "two two one", "blue red", "three one"] * 20
    y = np.array(["colour", "number"] * 60)
    for vectorizer in (TfidfVectorizer(), HashingVectorizer(n_features=1 << 16)):
        piped = make_pipeline(vectorizer, LogisticRegression(tol=1e-8)).fit(texts, y)
        theirs = make_pipeline(vectorizer, ScikitLearns(tol=1e-10, max_iter=10_000)).fit(texts, y)
        assert piped.score(texts, y) == 1.0
        np.testing.assert_allclose(piped.predict_proba(texts), theirs.predict_proba(texts), atol=1e-3)


def test_no_warning_and_nothing_changed():
    X, Z, _ = documents()
    X.indices, X.data = X.indices.copy(), X.data.astype(np.float32)
    before = [part.tobytes() for part in (X.data, X.indices, X.indptr)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LogisticRegressionCV(Cs=[0.1, 1.0], cv=2).fit(X, target(Z, "classes")).predict(X)
    assert [part.tobytes() for part in (X.data, X.indices, X.indptr)] == before
