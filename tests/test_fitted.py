"""A model is its public attributes: set by hand, changed after a fit, copied or restored, it predicts accordingly."""

import copy
import pickle
import pickletools

import joblib
import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastlr import LogisticRegression, Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y2, Y3 = np.arange(40) % 2, np.arange(40) % 3
LABELS = (RNG.random((40, 2)) < 0.5).astype(int)


def by_hand(estimator, **attributes):
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


@pytest.mark.parametrize("make", [LogisticRegression, lambda: Trainer("sigmoid")], ids=["estimator", "trainer"])
def test_two_classes_by_hand(make):
    w = np.array([[1.0, -2.0, 0.5]])
    model = by_hand(make(), coef_=w.tolist(), intercept_=0.25, classes_=["no", "yes"])
    Z = X @ w[0] + 0.25
    np.testing.assert_allclose(model.decision_function(X), Z, rtol=1e-13)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expit(Z), rtol=1e-13)
    assert model.predict(X).tolist() == ["yes" if z > 0 else "no" for z in Z]
    assert model.score(X, model.predict(X)) == 1.0
    by_hand(model, scale_=2.0, shift_=[1.0, 0.0, -1.0])
    np.testing.assert_allclose(model.decision_function(X), (X - [1, 0, -1]) * 2 @ w[0] + 0.25, rtol=1e-12)


@pytest.mark.parametrize("make", [LogisticRegression, Trainer], ids=["estimator", "trainer"])
def test_several_classes_by_hand(make):
    W, b = RNG.normal(size=(3, 3)).astype(np.float32), np.array([1, 0, -1])
    model = by_hand(make(), coef_=np.asfortranarray(W), intercept_=b, classes_=np.array([7, 3, 5]))  # in any order
    Z = X @ W.T.astype(float) + b
    np.testing.assert_allclose(model.predict_proba(X), softmax(Z, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), np.array([7, 3, 5])[Z.argmax(axis=1)])
    two = by_hand(make(), coef_=W[:2], intercept_=b[:2], classes_=["a", "b"])  # a softmax of two
    np.testing.assert_allclose(two.predict_proba(X), softmax(Z[:, :2], axis=1), rtol=1e-12)


@pytest.mark.parametrize("make", [LogisticRegression, lambda: Trainer("sigmoid")], ids=["estimator", "trainer"])
@pytest.mark.parametrize("k", [1, 2])
def test_labels_by_hand(make, k):
    W = RNG.normal(size=(k, 3))
    model = by_hand(make(), coef_=W, intercept_=np.zeros(k), classes_=np.arange(2), targets_="labels")
    np.testing.assert_allclose(model.predict_proba(X), expit(X @ W.T), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), (X @ W.T > 0).astype(int))


def test_a_trainer_by_hand_goes_on_training():
    fitted = Trainer(epochs=2, batch_size=None, shuffle=False).fit(X, Y3, scale=0.5)
    hand = by_hand(Trainer(batch_size=None, shuffle=False), coef_=fitted.coef_.tolist(),
                   intercept_=fitted.intercept_, classes_=[0, 1, 2], scale_=0.5)
    before = fitted.coef_.copy()
    hand.partial_fit(X, Y3)
    np.testing.assert_array_equal(fitted.coef_, before)
    np.testing.assert_array_equal(hand.coef_, fitted.partial_fit(X, Y3).coef_)
    np.testing.assert_array_equal(fitted.coef_ == before, False)
    assert len(hand.history_["loss"]) == 1
    unsorted = by_hand(Trainer(), coef_=np.zeros((3, 3)), intercept_=np.zeros(3), classes_=["c", "a", "b"])
    assert unsorted.partial_fit(X, np.array(["a", "b", "c"])[Y3]).score(X, np.array(["a", "b", "c"])[Y3]) > 0.3


FITS = {
    "two classes": lambda: LogisticRegression().fit(X, Y2),
    "classes": lambda: LogisticRegression(scale=2.0).fit(X, Y3),
    "labels": lambda: LogisticRegression().fit(X, LABELS),
    "one label": lambda: LogisticRegression(targets="labels").fit(X, LABELS[:, :1]),
    "trainer": lambda: Trainer(epochs=2, random_state=0).fit(X, Y3),
    "trainer of two": lambda: Trainer("sigmoid", epochs=2, random_state=0).fit(X, Y2, shift=1.0),
    "trainer of labels": lambda: Trainer("sigmoid", epochs=2, random_state=0).fit(X, LABELS),
    "adaline": lambda: Trainer("squared_error", epochs=2, random_state=0).fit(X, Y3),
}


@pytest.mark.parametrize("name", FITS)
def test_changes_after_a_fit_count(name):
    model = FITS[name]()
    Z, predicted = model.decision_function(X), model.predict(X)
    model.coef_ = -model.coef_
    model.intercept_ = -model.intercept_
    np.testing.assert_allclose(model.decision_function(X), -Z, rtol=1e-12, atol=1e-12)
    model.coef_ *= -1  # in place
    model.intercept_ *= -1
    np.testing.assert_array_equal(model.decision_function(X), Z)
    if predicted.ndim == 1:
        model.classes_ = np.array(["zero", "one", "two"])[model.classes_]
        assert model.predict(X).tolist() == np.array(["zero", "one", "two"])[predicted].tolist()


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("through", ["pickle", "copy", "deepcopy", "joblib", "attributes"])
def test_models_are_restored(name, through, tmp_path):
    model = FITS[name]()
    if through == "joblib":
        joblib.dump(model, tmp_path / "model")
        again = joblib.load(tmp_path / "model", mmap_mode="r")  # read-only arrays
    elif through == "attributes":
        again = clone(model)
        for attribute in ("coef_", "intercept_", "classes_", "targets_", "scale_", "shift_"):
            setattr(again, attribute, getattr(model, attribute))
    else:
        again = {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "copy": copy.copy, "deepcopy": copy.deepcopy}[
            through](model)
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if isinstance(model, Trainer):
        before = model.decision_function(X)
        y = LABELS if name == "trainer of labels" else Y2 if name == "trainer of two" else Y3
        again.partial_fit(X, y)
        np.testing.assert_array_equal(model.decision_function(X), before)  # the copy trains on its own


@pytest.mark.parametrize("name", FITS)
def test_pickles_name_public_classes_only(name):
    text = [arg for _, arg, _ in pickletools.genops(pickle.dumps(FITS[name]())) if isinstance(arg, str)]
    modules = {arg for arg in text if arg.startswith("fastlr")}
    assert modules <= {"fastlr.linear_model", "fastlr.trainer"}


@pytest.mark.parametrize(("change", "message"), [
    ({"coef_": np.zeros(3)}, r"coef_ has shape \(3,\); expected \(k, n_features\)"),
    ({"coef_": np.full((3, 3), np.nan)}, "coef_ has values that are not finite"),
    ({"coef_": np.ones((3, 3), complex)}, "coef_ has dtype complex128"),
    ({"coef_": np.ma.ones((3, 3))}, "coef_ is a masked array"),
    ({"intercept_": np.zeros(2)}, r"intercept_ has shape \(2,\); expected \(3,\)"),
    ({"intercept_": [0, 0, np.inf]}, "intercept_ has values that are not finite"),
    ({"classes_": [0, 1]}, "expected 3 classes for 3 rows"),
    ({"classes_": 3}, "expected 3 classes for 3 rows"),
    ({"targets_": "both"}, "targets_ is 'both'; expected one of 'classes', 'labels'"),
    ({"scale_": [1.0, 2.0]}, r"scale_ has shape \(2,\)"),
    ({"coef_": np.zeros((3, 4))}, "features|shape"),
])
@pytest.mark.parametrize("name", ["classes", "trainer"])
def test_attributes_that_do_not_fit_are_named(name, change, message):
    model = by_hand(FITS[name](), **change)
    for method in (model.predict, model.decision_function):
        with pytest.raises((TypeError, ValueError), match=message):
            method(X)


def test_what_is_missing_is_no_fit():
    with pytest.raises(NotFittedError):
        by_hand(LogisticRegression(), coef_=np.zeros((1, 3))).predict(X)
    with pytest.raises(AttributeError, match="no model yet"):
        by_hand(Trainer(), coef_=np.zeros((3, 3))).predict(X)
    with pytest.raises(ValueError, match="one row is enough for two classes"):
        by_hand(Trainer("softmax"), coef_=np.zeros((1, 3)), intercept_=0, classes_=[0, 1]).predict(X)
    with pytest.raises(ValueError, match="coef_ has values that are not finite"):
        by_hand(LogisticRegression(warm_start=True).fit(X, Y3), coef_=np.full((3, 3), np.inf)).fit(X, Y3)
