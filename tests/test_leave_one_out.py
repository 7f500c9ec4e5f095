"""Leave-one-out logits: near those of models that were fitted without the row."""

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, get_scorer

from fastlr import LogisticRegression, LogisticRegressionCV
from fastlr.model.leave_one_out import leave_one_out
from fastlr.model.objective import Objective
from fastlr.model.rows import DenseRows

TIGHT = 1e-11
PART = 0.2  # of what leaving out a row changes, root mean square, may be wrong: 0.003 to 0.18 were seen
MOST = 0.4  # the same of the row that is worst: at most 0.37


def drawn(kind="classes", n=70, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    Z = X @ rng.normal(size=(d, 3)) + rng.gumbel(size=(n, 3))
    y = {"two classes": Z[:, 0] > Z[:, 1], "labels": (Z > 0).astype(int), "classes": Z.argmax(axis=1),
         "probabilities": np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)}[kind]
    return X, y, rng


def without_each(X, y, weight=None, offset=None, **parameters):
    """Each row's logits by the model of the others."""
    logits = []
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        model = LogisticRegression(tol=TIGHT, **parameters).fit(
            X[rest], y[rest], None if weight is None else weight[rest], offset=None if offset is None else offset[rest]
        )
        logits.append(model.decision_function(X[i : i + 1], offset=None if offset is None else offset[i : i + 1])[0])
    return np.array(logits)


def assert_near(model, X, exact, offset=None):
    """The logits are nearer to the exact ones than those of the model of all rows, by far."""
    error = model.loo_decision_function_ - exact
    change = model.decision_function(X, offset=offset) - exact
    assert error.shape == change.shape
    assert np.sqrt(np.mean(error**2)) <= PART * np.sqrt(np.mean(change**2))
    assert np.abs(error).max() <= MOST * np.abs(change).max()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("C", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("kind", ["two classes", "classes", "labels", "probabilities"])
def test_near_exact_refits(kind, C):
    X, y, _ = drawn(kind)
    model = LogisticRegression(C, tol=TIGHT, leave_one_out=True).fit(X, y)
    exact = without_each(X, y, C=C)
    assert_near(model, X, exact)
    if kind == "classes":
        assert abs(model.loo_score_ - np.mean(exact.argmax(axis=1) == y)) <= 1 / len(y)
    elif kind == "two classes":
        assert abs(model.loo_score_ - np.mean((exact > 0) == y)) <= 1 / len(y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["two classes", "classes"])
def test_weights_offset_scale_and_no_intercept(kind):
    X, y, rng = drawn(kind)
    weight = rng.integers(0, 4, len(X)).astype(float)
    offset = rng.normal(size=(len(X), 3) if kind == "classes" else len(X))
    parameters = {"fit_intercept": False, "scale": [2, 1, 0.5, 1], "shift": 0.3, "penalty_factors": [1, 0.1, 2, 1],
                  "class_weight": {0: 2.0}}
    model = LogisticRegression(tol=TIGHT, leave_one_out=True, **parameters).fit(X, y, weight, offset=offset)
    assert_near(model, X, without_each(X, y, weight, offset, **parameters), offset)
    plain = model.decision_function(X, offset=offset)
    np.testing.assert_allclose(model.loo_decision_function_[weight == 0], plain[weight == 0], rtol=1e-4, atol=1e-4)
    right = (model.loo_decision_function_ > 0) == y if kind == "two classes" else (
        model.loo_decision_function_.argmax(axis=1) == y)
    np.testing.assert_allclose(model.loo_score_, np.average(right, weights=weight))


@pytest.mark.parametrize("kind", ["two classes", "classes", "labels"])
@pytest.mark.parametrize("weighted", [False, True])
def test_more_features_than_rows(kind, weighted):
    X, y, rng = drawn(kind, n=40, d=500)
    weight = rng.integers(0, 3, 40) / 2 if weighted else None
    model = LogisticRegression(0.01, tol=1e-9, leave_one_out=True).fit(X, y, weight)
    exact = without_each(X, y, weight, C=0.01)
    error = model.loo_decision_function_ - exact
    assert np.abs(error).max() <= 0.05 * np.abs(model.decision_function(X) - exact).max()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_error_falls_faster_than_the_change():
    errors = []
    for n in (50, 400):
        X, y, _ = drawn(n=n)
        model = LogisticRegression(tol=TIGHT, leave_one_out=True).fit(X, y)
        errors.append(np.std(model.loo_decision_function_ - without_each(X, y)))
    assert errors[1] < errors[0] / 20  # 8 times the rows


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_a_fit_leaves_is_taken_out():
    X, y, _ = drawn(n=300)
    tight = LogisticRegression(tol=1e-10, leave_one_out=True).fit(X, y)
    loose = LogisticRegression(tol=1e-2, max_iter=3, solver="lbfgs", leave_one_out=True).fit(X, y)
    left = np.abs(loose.decision_function(X) - tight.decision_function(X)).max()
    assert left > 1e-3
    assert np.abs(loose.loo_decision_function_ - tight.loo_decision_function_).max() < 0.2 * left


@pytest.mark.parametrize("intercept", [False, True])
def test_squared_error_is_exact(intercept):
    X, _, rng = drawn()
    y, weight, alpha = rng.random(len(X)), rng.random(len(X)) + 0.1, 0.03
    rows = DenseRows(X, y[:, None], 1, loss="squared_error", weight=weight, intercept=intercept)
    objective = Objective(rows, alpha=alpha)
    found = leave_one_out(objective, objective.start(rng.normal(size=(1, 4)), rng.normal(size=1)))
    U = np.column_stack([X, np.ones(len(X))]) if intercept else X
    ridge = alpha * weight.sum() * np.diag([1, 1, 1, 1, 0][: U.shape[1]])
    for i in range(len(X)):
        w = np.where(np.arange(len(X)) == i, 0, weight)
        solution = np.linalg.solve(U.T @ (w[:, None] * U) + ridge, U.T @ (w * y))
        np.testing.assert_allclose(found[i, 0], U[i] @ solution, rtol=1e-9, atol=1e-9)


def test_copies_of_a_column_and_constant_columns_without_a_penalty():
    X, y, _ = drawn("two classes", n=300)
    plain = LogisticRegression(np.inf, tol=1e-10, leave_one_out=True).fit(X, y)
    more = np.column_stack([X, X[:, 0], np.ones(300)])
    with pytest.warns(ConvergenceWarning, match="a proof takes a penalty"):
        model = LogisticRegression(np.inf, tol=1e-10, leave_one_out=True).fit(more, y)
    np.testing.assert_allclose(model.loo_decision_function_, plain.loo_decision_function_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["two classes", "classes", "labels"])
def test_large_float32_data_on_any_number_of_threads(kind):
    X, y, _ = drawn(kind, n=40_000, d=20)
    models = [LogisticRegression(n_threads=n_threads, leave_one_out=True).fit(X.astype(np.float32), y)
              for n_threads in (1, 2)]
    assert models[0].loo_decision_function_.dtype == np.float32
    np.testing.assert_array_equal(*(model.loo_decision_function_ for model in models))
    exact = LogisticRegression(tol=1e-8, leave_one_out=True).fit(X, y)
    np.testing.assert_allclose(models[0].loo_decision_function_, exact.loo_decision_function_, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "f1_macro"])
@pytest.mark.parametrize("kind", ["two classes", "classes"])
def test_choice_of_C(kind, scoring):
    X, y, _ = drawn(kind, n=200)
    Cs = [30.0, 0.01, 1.0]
    search = LogisticRegressionCV(Cs, cv="loo", scoring=scoring, tol=1e-9).fit(X, y)
    assert search.scores_.shape == (1, 3)
    assert search.coefs_paths_.shape[:2] == (1, 3)
    scores = []
    for C in Cs:
        model = LogisticRegression(C, tol=1e-9, leave_one_out=True).fit(X, y)
        Z = model.loo_decision_function_
        logits = Z if Z.ndim == 2 else np.column_stack([np.zeros(len(Z)), Z])
        own = np.log(np.exp(logits[np.arange(len(y)), y.astype(int)]) / np.exp(logits).sum(axis=1)).mean()
        f1 = f1_score(y, logits.argmax(axis=1), average="macro")
        scores.append({None: model.loo_score_, "neg_log_loss": own, "f1_macro": f1}[scoring])
    np.testing.assert_allclose(search.scores_[0], scores, rtol=1e-5)
    np.testing.assert_equal(search.C_, Cs[int(np.argmax(scores))])
    assert search.loo_score_ == search.scores_.max()
    best = LogisticRegression(search.C_, tol=1e-9, leave_one_out=True).fit(X, y)
    np.testing.assert_allclose(search.loo_decision_function_, best.loo_decision_function_, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(search.oof_decision_function_, search.loo_decision_function_)
    np.testing.assert_allclose(search.coef_, best.coef_, rtol=1e-3, atol=1e-5)


def test_search_of_weighted_rows_costs_a_path_of_fits():
    X, y, rng = drawn("two classes", n=3000)
    weight = rng.integers(0, 3, 3000).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
        search = LogisticRegressionCV("auto", cv="loo", scoring=scorer).fit(X, y, weight)
    right = (search.loo_decision_function_ > 0) == y
    np.testing.assert_allclose(search.loo_score_, np.average(right, weights=weight))
    by_fold = LogisticRegressionCV(search.Cs_, cv=5).fit(X, y, weight)
    assert search.n_passes_ < by_fold.n_passes_


def test_a_later_fit_without_it_forgets():
    X, y, _ = drawn()
    model = LogisticRegression(leave_one_out=True).fit(X, y)
    assert not hasattr(model.set_params(leave_one_out=False).fit(X, y), "loo_score_")
    assert not hasattr(model, "loo_decision_function_")
    search = LogisticRegressionCV(2, cv="loo").fit(X, y)
    assert not hasattr(search.set_params(cv=3).fit(X, y), "loo_decision_function_")


def test_refusals():
    X, y, rng = drawn("two classes")
    with pytest.raises(ValueError, match="leave_one_out is 1; expected True or False"):
        LogisticRegression(leave_one_out=1).fit(X, y)
    with pytest.raises(ValueError, match=r"leave_one_out=True: the classes are separable.* use a finite C"):
        LogisticRegression(np.inf, leave_one_out=True).fit(X, X[:, 0] > 0)
    with pytest.raises(ValueError, match="cv is 'lo'; expected None, a number of folds, 'loo'"):
        LogisticRegressionCV(cv="lo").fit(X, y)
    many = rng.normal(size=(1500, 1400))
    for model in (LogisticRegression(leave_one_out=True), LogisticRegressionCV(cv="loo")):
        with pytest.raises(ValueError, match=r"Hessian of 4203 x 4203 values; expected at most 16777216 in all: use f"):
            model.fit(many, np.arange(1500) % 3)
