"""LogisticRegressionCV: scores are scikit-learn's; which C is chosen; what is known of held-out rows."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from problems import drawn_classes
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegressionCV as SklearnCV
from sklearn.metrics import accuracy_score, get_scorer, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit, StratifiedKFold

from fastlr import LogisticRegression, LogisticRegressionCV

IN_A_BUDGET = """
import json
import numpy as np
from fastlr import LogisticRegressionCV
rng = np.random.default_rng(0)
X = rng.normal(size=(270_000, 4)).astype(np.float32)
y = (X[:, 0] + rng.logistic(size=len(X)) > 0).astype(int)
model = LogisticRegressionCV([0.1, 1], cv=2).fit(X, y)
print(json.dumps({"kept": model.oof_decision_function_ is not None, "scores": model.scores_.tolist(),
                  "coef": model.coef_.tolist()}))
"""


def test_scores_and_choice_are_those_of_scikit_learn():
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    for scoring in (None, "neg_log_loss", "roc_auc", "balanced_accuracy"):
        Cs = np.logspace(-4, 1, 6)  # beyond, probabilities round to 1, and scikit-learn clips their logarithms
        model = LogisticRegressionCV(Cs, scoring=scoring, tol=1e-9).fit(X, y)
        other = SklearnCV(Cs=Cs, scoring=scoring, tol=1e-9, solver="newton-cholesky", l1_ratios=(0,),
                          use_legacy_attributes=False).fit(X, y)
        np.testing.assert_allclose(model.scores_, other.scores_[:, 0], atol=1e-4)
        assert model.C_ == other.C_
        assert model.coefs_paths_.shape == other.coefs_paths_[:, 0].shape
        np.testing.assert_allclose(model.coef_, other.coef_, atol=5e-3)
        np.testing.assert_allclose(model.score(X, y), other.score(X, y), atol=1e-4)
        np.testing.assert_array_equal(model.Cs_, other.Cs_)


def test_sample_weights_reach_the_scorer():
    X, y, rng = drawn_classes()
    weight = rng.uniform(0, 3, 300)
    splits = list(StratifiedKFold(5).split(X, y))
    for scoring in ("accuracy", "neg_log_loss", "f1_macro"):
        model = LogisticRegressionCV([1.0], scoring=scoring, tol=1e-9).fit(X, y, weight)
        for i, (train, test) in enumerate(splits):
            own = LogisticRegression(1.0, tol=1e-9).fit(X[train], y[train], weight[train])
            expected = get_scorer(scoring)(own, X[test], y[test], sample_weight=weight[test])
            assert model.scores_[i, 0] == pytest.approx(expected, abs=1e-5)


def test_a_scorer_of_ones_own_sees_a_classifier_and_the_rows_held_out():
    X, y, _ = drawn_classes(k=2)
    names = np.array(["no", "yes"])[y]
    seen = []

    def scorer(estimator, X_held, y_held):
        seen.append((estimator.C, X_held.copy(), y_held.copy()))
        assert estimator.classes_.tolist() == ["no", "yes"]
        np.testing.assert_allclose(estimator.decision_function(X_held), X_held @ estimator.coef_[0] +
                                   estimator.intercept_[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(estimator.predict(X_held), estimator.predict(X_held.copy()))
        return estimator.score(X_held, y_held)

    folds = KFold(4, shuffle=True, random_state=0)
    model = LogisticRegressionCV([1.0, 0.1], cv=folds, scoring=scorer).fit(X, names)
    plain = LogisticRegressionCV([1.0, 0.1], cv=folds).fit(X, names)
    np.testing.assert_array_equal(model.scores_, plain.scores_)
    tests = [test for _, test in folds.split(X)]
    assert [C for C, _, _ in seen] == [0.1] * 4 + [1.0] * 4
    for (_, X_held, y_held), test in zip(seen, tests * 2, strict=True):
        np.testing.assert_array_equal(X_held, X[test])
        np.testing.assert_array_equal(y_held, names[test])


def test_out_of_fold_logits():
    X, y, _ = drawn_classes(k=2)
    model = LogisticRegressionCV(scoring="neg_log_loss", cv=4).fit(X, y)
    Z = model.oof_decision_function_
    assert Z.shape == (300,)
    best = model.Cs_.tolist().index(model.C_)
    for i, (_, test) in enumerate(StratifiedKFold(4).split(X, y)):
        W = model.coefs_paths_[i, best, 0]
        np.testing.assert_allclose(Z[test], X[test] @ W[:-1] + W[-1], rtol=1e-8, atol=1e-10)
        assert model.scores_[i, best] == pytest.approx(-log_loss(y[test], 1 / (1 + np.exp(-Z[test]))))
    assert roc_auc_score(y, Z) > 0.7


def test_rows_held_out_twice_or_never():
    X, y, _ = drawn_classes(k=3)
    twice = LogisticRegressionCV([0.3], cv=RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)).fit(X, y)
    splits = list(RepeatedKFold(n_splits=3, n_repeats=2, random_state=0).split(X))
    expected = np.zeros((300, 3))
    for i, (_, test) in enumerate(splits):
        W = twice.coefs_paths_[i, 0]
        expected[test] += (X[test] @ W[:, :-1].T + W[:, -1]) / 2
    np.testing.assert_allclose(twice.oof_decision_function_, expected, rtol=1e-8, atol=1e-9)
    once = LogisticRegressionCV([0.3], cv=ShuffleSplit(1, test_size=0.2, random_state=0)).fit(X, y)
    (_, test), = ShuffleSplit(1, test_size=0.2, random_state=0).split(X)
    held_out = np.zeros(300, bool)
    held_out[test] = True
    np.testing.assert_array_equal(np.isnan(once.oof_decision_function_).any(axis=1), ~held_out)


def test_logits_that_are_too_many_are_not_kept():
    found = {}
    for budget in ("1", "128"):
        done = subprocess.run([sys.executable, "-c", IN_A_BUDGET], capture_output=True, text=True, check=True,
                              env=os.environ | {"FASTLR_KEPT_MIB": budget})
        found[budget] = json.loads(done.stdout)
    assert (found["1"]["kept"], found["128"]["kept"]) == (False, True)
    assert found["1"]["scores"] == found["128"]["scores"]
    np.testing.assert_allclose(found["1"]["coef"], found["128"]["coef"], rtol=1e-4)


def test_without_refit_the_folds_are_averaged():
    X, y, _ = drawn_classes(k=3)
    model = LogisticRegressionCV([0.01, 1.0, 30.0], refit=False, cv=4, scoring="neg_log_loss").fit(X, y)
    best = model.scores_.argmax(axis=1)
    assert np.mean(model.Cs_[best]) == model.C_
    np.testing.assert_allclose(model.coef_, np.mean(
        [model.coefs_paths_[i, j, :, :-1] for i, j in enumerate(best)], axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.intercept_, np.mean(
        [model.coefs_paths_[i, j, :, -1] for i, j in enumerate(best)], axis=0), rtol=1e-12)
    assert not hasattr(model, "objective_")
    again = model.set_params(refit=True).fit(X, y)
    assert again.objective_ > 0
    assert not hasattr(again.set_params(refit=False).fit(X, y), "suboptimality_")


def test_values_of_c_keep_their_order_and_the_first_of_equals_is_chosen():
    X, y, _ = drawn_classes(k=2)
    model = LogisticRegressionCV([10.0, 0.1, 1.0, 0.1], cv=3).fit(X, y)
    up = LogisticRegressionCV([0.1, 1.0, 10.0], cv=3).fit(X, y)
    np.testing.assert_array_equal(model.scores_, up.scores_[:, [2, 0, 1, 0]])
    assert model.Cs_.tolist() == [10.0, 0.1, 1.0, 0.1]
    first = model.scores_.sum(axis=0).argmax()
    assert model.Cs_[first] == model.C_
    same = LogisticRegressionCV([5.0, 0.5], cv=3, scoring=lambda *_: 1.0).fit(X, y)
    assert same.C_ == 5.0


def test_auto_grows_until_the_best_is_inside():
    X, y, _ = drawn_classes(n=400, k=2)
    for target in (3e-4, 1e4):
        def scorer(estimator, X, y, target=target):
            return -abs(np.log(estimator.C / target))

        model = LogisticRegressionCV("auto", cv=2, scoring=scorer).fit(X, y)
        assert abs(np.log10(model.C_ / target)) <= 0.25 + 1e-9
        assert model.Cs_.min() < model.C_ < model.Cs_.max()
        assert (np.diff(model.Cs_) > 0).all()


@pytest.mark.parametrize(("direction", "end"), [(1, 1e6), (-1, 1e-6)])
def test_auto_ends(direction, end):
    X, y, _ = drawn_classes(n=100, k=2)
    model = LogisticRegressionCV("auto", cv=2, scoring=lambda m, X, y: direction * m.C, tol=0.1).fit(X, y)
    assert pytest.approx(end) == model.C_


def test_metrics_of_scikit_learn_take_what_the_classifier_says():
    X, y = load_iris(return_X_y=True)
    scorer = make_scorer(accuracy_score)
    model = LogisticRegressionCV(Cs=3, scoring=scorer).fit(X, y)
    np.testing.assert_array_equal(model.scores_, LogisticRegressionCV(Cs=3).fit(X, y).scores_)


@pytest.mark.parametrize(("labels", "scoring"), [
    (["a", "b", "c"], "neg_brier_score"), (["a", "b", "c"], "f1_macro"), (["no", "yes"], "f1"),
    (["no", "yes"], "neg_brier_score"),
])
@pytest.mark.filterwarnings("ignore:.*(class|train|ill-defined|label)")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scorers_know_the_classes_that_a_fold_does_not_hold_out(labels, scoring):
    if "use_legacy_attributes" not in SklearnCV().get_params():
        pytest.skip("scikit-learn before 1.9 does not tell them")
    y = np.repeat(labels, 20)
    X = np.random.default_rng(0).normal(size=(len(y), 3)) + np.arange(len(y))[:, None] / 20
    mixed = np.random.default_rng(1).permutation(len(y))
    train = [np.delete(np.arange(len(y)), test) for test in (range(5), range(25, 30))]  # of one class each
    folds = list(zip(train, (np.arange(5), np.arange(25, 30)), strict=True))
    folds.append((mixed[10:], mixed[:10]))
    params = {"Cs": [0.1, 1.0], "cv": folds, "scoring": scoring, "use_legacy_attributes": False, "tol": 1e-9,
              "max_iter": 10**4}
    ours, theirs = LogisticRegressionCV(**params).fit(X, y), SklearnCV(**params, l1_ratios=(0,)).fit(X, y)
    np.testing.assert_allclose(ours.scores_, theirs.scores_, rtol=1e-4)
