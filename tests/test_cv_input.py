"""What LogisticRegressionCV says of bad input, its place among scikit-learn's tools, and interrupts."""

import doctest
import importlib.util
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import get_scorer
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_classifier_multioutput, parametrize_with_checks

from fastlr import LogisticRegression, LogisticRegressionCV, linear_model_cv

EXAMPLES = Path(__file__).parents[1] / "examples"


@parametrize_with_checks([
    LogisticRegressionCV(Cs=3, cv=3),
    LogisticRegressionCV(Cs=[0.1, 1.0], cv=3, refit=False),
    LogisticRegressionCV(Cs=[0.1, 1.0], cv=3, scoring="f1_micro"),
])
def test_estimator_check(estimator, check):
    check(estimator)


def test_several_outputs_check():
    check_classifier_multioutput("LogisticRegressionCV", LogisticRegressionCV(Cs=[0.1, 1.0]))


@pytest.fixture
def iris():
    return load_iris(return_X_y=True)


@pytest.mark.parametrize(("parameters", "message"), [
    ({"Cs": []}, "Cs is empty; expected an integer of at least 1, a list of positive finite numbers, or 'auto'"),
    ({"Cs": 0}, "Cs is 0; expected an integer of at least 1"),
    ({"Cs": True}, "Cs is True; expected"),
    ({"Cs": 1.0}, "Cs is 1.0; expected"),
    ({"Cs": [1.0, 0.0]}, "Cs has 0.0; expected"),
    ({"Cs": [1.0, -2.0]}, "Cs has -2.0; expected"),
    ({"Cs": [np.inf]}, "Cs has inf; expected"),
    ({"Cs": [1.0, np.nan]}, "Cs has nan; expected"),
    ({"Cs": "all"}, "Cs is 'all'; expected"),
    ({"Cs": ["1", 2]}, "expected an integer of at least 1"),
    ({"Cs": [[1.0, 2.0]]}, "expected an integer of at least 1"),
    ({"Cs": [True, 2.0]}, "expected an integer of at least 1"),
    ({"Cs": [10**400]}, "expected an integer of at least 1"),
    ({"refit": "yes"}, "refit is 'yes'; expected True or False"),
    ({"tol": -1}, "tol is -1; expected a finite number"),
    ({"solver": "sgd"}, "solver is 'sgd'; expected one of 'auto'"),
    ({"cv": 2.5}, "cv is 2.5; expected None, a number of folds"),
    ({"cv": 1}, "n_splits=1"),
    ({"cv": []}, "cv gives no fold; expected at least one pair"),
    ({"cv": [np.arange(100)]}, "cv: fold 0 is ndarray; expected a pair"),
    ({"cv": [([0, 50, 100], [3]), ([], [0])]}, "cv: fold 1 has no rows that train; expected at least one"),
    ({"cv": [([0, 50, 100], [])]}, "cv: fold 0 has no rows that are held out"),
    ({"cv": [(np.arange(0, 149), [148, 149])]}, "1 rows of fold 0 both train and are held out, first is row 148"),
    ({"cv": [(np.arange(0, 149), [150])]}, "cv: fold 0 has row 150; expected indices from 0 to 149 of the 150 rows"),
    ({"cv": [([-1, 0, 50], [3])]}, "cv: fold 0 has row -1; expected indices from 0 to 149"),
    ({"scoring": "excellence"}, "excellence"),
    ({"scoring": ""}, "not a valid scoring value"),
])
def test_bad_parameters(iris, parameters, message):
    with pytest.raises(ValueError, match=message):
        LogisticRegressionCV(**parameters).fit(*iris)


def test_rows_of_a_fold_are_indices_or_a_mask(iris):
    X, y = iris
    with pytest.raises(TypeError, match=r"fold 0 that train have dtype float64 and shape \(3,\); expected indices"):
        LogisticRegressionCV(cv=[([0.0, 50.0, 100.0], [3])]).fit(X, y)
    held_out = np.arange(150) % 5 == 0
    by_mask = LogisticRegressionCV(Cs=2, cv=[(~held_out, held_out)]).fit(X, y)
    by_index = LogisticRegressionCV(Cs=2, cv=[(np.flatnonzero(~held_out), np.flatnonzero(held_out))]).fit(X, y)
    np.testing.assert_array_equal(by_mask.coefs_paths_, by_index.coefs_paths_)


def test_a_fold_without_a_class_warns_and_goes_on(iris):
    X, y = iris
    train, test = np.arange(100), np.arange(100, 150)
    rest = np.arange(0, 150, 2), np.arange(1, 150, 2)
    with pytest.warns(UserWarning, match="training rows lack class 2 in fold 1: there the class's coefficients are 0"):
        model = LogisticRegressionCV([0.1, 1.0], cv=[rest, (train, test)], tol=1e-9).fit(X, y)
    W = model.coefs_paths_[1, 1]
    np.testing.assert_allclose(W[2, :-1], 0, atol=1e-5)
    own = LogisticRegression(1.0, targets="classes", tol=1e-9).fit(X[train], np.eye(3)[y[train]])
    np.testing.assert_allclose(W[:, :-1], own.coef_, atol=1e-4)
    assert model.scores_[1].tolist() == [0, 0]
    binary = y[:100]
    with pytest.warns(UserWarning, match="training rows lack class 1 in fold 0"):
        LogisticRegressionCV([1.0], cv=[(np.arange(40), np.arange(40, 100))]).fit(X[:100], binary)


def test_a_fold_without_weight(iris):
    X, y = iris
    weight = np.where(np.arange(150) < 50, 0.0, 1.0)
    with pytest.raises(ValueError, match="cv: the training rows of fold 1 have no weight"):
        LogisticRegressionCV(cv=[(np.arange(0, 150, 2), [1]), (np.arange(40), [60])]).fit(X, y, weight)


def test_a_scorer_that_fails_is_named_with_fold_and_c(iris):
    X, y = iris
    calls = []

    def broken(estimator, X, y):
        calls.append(estimator.C)
        if len(calls) == 5:
            raise ZeroDivisionError("nothing there")
        return 1.0

    with pytest.raises(ValueError, match=r"broken.* failed on the held-out rows of fold 1 at C=10: ZeroDivisionError: "
                                         r"nothing there") as caught:
        LogisticRegressionCV([1.0, 10.0], cv=3, scoring=broken).fit(X, y)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(ValueError, match="is nan on the held-out rows of fold 0 at C=1; expected a number"):
        LogisticRegressionCV([1.0], cv=3, scoring=lambda *_: np.nan).fit(X, y)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_interrupts_and_errors_leave_the_estimator_as_it_was(iris, error, monkeypatch):
    X, y = iris
    model = LogisticRegressionCV([0.1, 1.0], cv=3).fit(X, y)
    before = dict(vars(model))

    def scorer(estimator, X_held, y_held):
        raise error

    model.scoring = before["scoring"] = scorer
    with pytest.raises(error if error is KeyboardInterrupt else ValueError):
        model.fit(X[:, :2], y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


def test_an_interrupt_within_a_fit(iris, monkeypatch):
    from fastlr.model.objective import Objective

    X, y = iris
    model = LogisticRegressionCV([0.1, 1.0], cv=3).fit(X, y)
    before = dict(vars(model))
    at, calls = Objective.at, []

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return at(self, *args, **kwargs)

    monkeypatch.setattr(Objective, "at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :2], y)
    assert all(vars(model)[name] is before[name] for name in before)


def test_groups(iris):
    X, y = iris
    groups = np.arange(150) % 7
    model = LogisticRegressionCV([1.0], cv=GroupKFold(3)).fit(X, y, groups=groups)
    splits = GroupKFold(3).split(X, y, groups)
    for i, (train, test) in enumerate(splits):
        own = LogisticRegression(1.0).fit(X[train], y[train])
        assert model.scores_[i, 0] == pytest.approx(own.score(X[test], y[test]), abs=0.03)
    with pytest.raises(ValueError, match="The 'groups' parameter should not be None"):
        LogisticRegressionCV(cv=GroupKFold(3)).fit(X, y)
    with pytest.raises(ValueError, match=r"got speed; expected sample_weight, offset or groups: "):
        LogisticRegressionCV().fit(X, y, speed=3)


def test_metadata_is_routed(iris):
    X, y = iris
    weight, groups = np.linspace(0.1, 2, 150), np.arange(150) % 4
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
        model = LogisticRegressionCV([1.0], cv=LeaveOneGroupOut(), scoring=scorer)
        model.set_fit_request(sample_weight=True).fit(X, y, sample_weight=weight, groups=groups)
        unweighted = get_scorer("accuracy").set_score_request(sample_weight=False)
        other = clone(model).set_params(scoring=unweighted).fit(X, y, sample_weight=weight, groups=groups)
        assert model.score(X, y, sample_weight=weight) == np.average(model.predict(X) == y, weights=weight)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), clone(model))
        assert pipe.fit(X, y, sample_weight=weight, groups=groups).score(X, y, sample_weight=weight) > 0.9
    for i, test in enumerate(groups == g for g in range(4)):
        own = LogisticRegression(1.0, tol=1e-6).fit(X[~test], y[~test], weight[~test])
        right = own.predict(X[test]) == y[test]
        assert model.scores_[i, 0] == pytest.approx(np.average(right, weights=weight[test]))
        assert other.scores_[i, 0] == pytest.approx(right.mean())


def test_scores_of_the_estimator_are_those_of_scoring(iris):
    X, y = iris
    offset = np.random.default_rng(0).normal(size=(150, 3))
    model = LogisticRegressionCV(3, scoring="neg_log_loss").fit(X, y, offset=offset)
    loss = -np.log(model.predict_proba(X, offset=offset)[np.arange(150), y]).mean()
    assert model.score(X, y, offset=offset) == pytest.approx(-loss)
    plain = LogisticRegressionCV(3).fit(X, y)
    assert plain.score(X, y) == np.mean(plain.predict(X) == y)


def test_among_scikit_learns_tools(iris):
    X, y = iris
    model = LogisticRegressionCV(Cs=3, cv=KFold(3, shuffle=True, random_state=0)).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(clone(model).fit(X, y).coefs_paths_, model.coefs_paths_)
    assert cross_val_score(make_pipeline(StandardScaler(), clone(model)), X, y).mean() > 0.9


def test_names_of_features(iris):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = iris
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = LogisticRegressionCV(Cs=2, scoring="f1_macro").fit(frame, pandas.Series(y))
    assert model.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(model.scores_, LogisticRegressionCV(Cs=2, scoring="f1_macro").fit(X, y).scores_)


def test_verbose_writes_a_line_for_each_c(iris, capsys):
    LogisticRegressionCV([0.1, 1.0], verbose=1).fit(*iris)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["C=0.1", "C=1"]
    assert all("mean score" in line and "passes" in line for line in lines)


def test_fits_that_end_early_are_one_warning(iris):
    X, y = iris
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match=r"of \d+ fits ended short of tol=1e-12"):
        LogisticRegressionCV([1e4], tol=1e-12, max_iter=2, cv=3).fit(X, y)


def test_the_example_of_the_documentation():
    results = doctest.testmod(linear_model_cv)
    assert results.attempted >= 5
    assert results.failed == 0


def test_parts_and_groups_of_another_length():
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    with pytest.raises(ValueError, match="cv splits 20 rows, and X has 60"):
        LogisticRegressionCV(cv=PredefinedSplit(np.arange(20) % 2)).fit(X, y)
    with pytest.raises(ValueError, match=r"groups has shape \(59,\); expected \(60,\)"):
        LogisticRegressionCV(cv=GroupKFold(2)).fit(X, y, groups=np.arange(59))


@pytest.mark.skipif(not EXAMPLES.exists(), reason="an installed package, without its sources")
def test_example_of_a_sweep(capsys):
    spec = importlib.util.spec_from_file_location("probe_sweep", EXAMPLES / "probe_sweep.py")
    probe_sweep = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(probe_sweep)
    probe_sweep.main(["--rows", "600", "--features", "16", "--classes", "6"])
    out = capsys.readouterr().out
    assert out.startswith("45 values of C in ")
    top_1, top_5 = map(float, re.search(r"top-1 ([\d.]+), top-5 ([\d.]+)", out).groups())
    assert 0.5 < top_1 < top_5 <= 1
