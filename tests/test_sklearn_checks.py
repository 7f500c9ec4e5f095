"""scikit-learn's own checks of an estimator, none expected to fail, and its tools around a LogisticRegression."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_classifier_multioutput, parametrize_with_checks

from fastlr import LogisticRegression


@parametrize_with_checks([
    LogisticRegression(),
    LogisticRegression(solver="lbfgs"),
    LogisticRegression(solver="newton-cholesky"),
    LogisticRegression(solver="newton-cg"),
])
def test_estimator_check(estimator, check):
    check(estimator)


def test_several_outputs_check():
    check_classifier_multioutput("LogisticRegression", LogisticRegression())


def test_pickled_and_cloned():
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(C=2.0, scale=np.full(4, 0.5)).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    copy = clone(model)
    assert copy.C == 2.0
    assert not hasattr(copy, "coef_")
    np.testing.assert_array_equal(copy.fit(X, y).coef_, model.coef_)


def test_grid_search_through_a_pipeline():
    X, y = load_breast_cancer(return_X_y=True)
    search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()),
                          {"logisticregression__C": [0.01, 1.0, 100.0]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.96


def test_in_other_meta_estimators():
    X, y = load_iris(return_X_y=True)
    assert CalibratedClassifierCV(LogisticRegression(), cv=3).fit(X, y).score(X, y) > 0.9
    assert OneVsRestClassifier(LogisticRegression()).fit(X, y).score(X, y) > 0.9
    labels = np.eye(3, dtype=int)[y]
    folds = KFold(3, shuffle=True, random_state=0)
    assert cross_val_predict(LogisticRegression(), X, labels, cv=folds).shape == (150, 3)


def test_metadata_is_routed():
    import sklearn

    X, y = load_iris(return_X_y=True)
    weight = np.linspace(0.1, 2, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True, offset=True)
        model.set_score_request(sample_weight=True, offset=True)
        offset = np.zeros((150, 3))
        scores = cross_validate(model, X, y, cv=3, params={"sample_weight": weight, "offset": offset})["test_score"]
        assert (scores > 0.9).all()
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        piped = make_pipeline(scaler, clone(model)).fit(X, y, sample_weight=weight, offset=offset)
    direct = LogisticRegression().fit(StandardScaler().fit_transform(X), y, weight)
    np.testing.assert_allclose(piped[-1].coef_, direct.coef_, rtol=1e-12)


def test_html_repr_and_repr():
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(C=3.0, penalty_factors=np.ones(4)).fit(X, y)
    assert "LogisticRegression" in model._repr_html_()
    assert "C=3.0" in repr(model)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_data_frames(library):
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    X, y = load_iris(return_X_y=True)
    names = ["a", "b", "c", "d"]
    columns = dict(zip(names, X.T, strict=True))
    species = np.array(["setosa", "versicolor", "virginica"])[y]
    if library == "pyarrow":
        frame, labels = frames.table(columns), frames.array(species.tolist())
    else:
        frame, labels = frames.DataFrame(columns), frames.Series(species.tolist())
    model = LogisticRegression().fit(frame, labels)
    assert model.feature_names_in_.tolist() == names
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    plain = LogisticRegression().fit(X, species)
    np.testing.assert_allclose(model.predict_proba(frame), plain.predict_proba(X), rtol=1e-10)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


def test_pandas_columns_of_other_types():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"a": pandas.array([1, 2, 3, 4], dtype="Int64"), "b": np.float32([1, 0, 1, 0]),
                              "c": [True, False, False, True]})
    labels = pandas.Series(["x", "y", "y", "x"], dtype="category")
    model = LogisticRegression().fit(frame, labels)
    assert model.coef_.shape == (1, 3)
    frame.loc[2, "a"] = pandas.NA
    with pytest.raises(ValueError, match="Input X contains NaN, first at row 2, column 0"):
        model.predict(frame)
