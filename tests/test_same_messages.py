"""The same mistake gets the same error, or the same warning, from both estimators."""

import re
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from fastlr import LogisticRegression, Trainer

X = np.random.default_rng(0).normal(size=(6, 2))
Y = np.array([0, 1, 2, 0, 1, 2])
NAN = np.where(np.arange(12).reshape(6, 2) == 7, np.nan, X)
WEIGHT = {"sample_weight": [1, 1, 1, -1, 1, 1]}

MISTAKES = {
    "nan": (NAN, Y, {}, "Input X contains NaN, first at row 3, column 1; expected finite numbers"),
    "infinity": (np.where(np.isnan(NAN), -np.inf, X), Y, {}, "Input X contains infinity, first at row 3, column 1"),
    "text": (X.astype(str), Y, {}, "X has dtype <U.*: use numbers"),
    "text in a list": ([["1", "2"]] * 6, Y, {}, "X has dtype <U1"),
    "text in objects": (np.array([[1, "b"]] * 6, object), Y, {}, "column 1 of X has values that are not numbers"),
    "complex": (X + 1j, Y, {}, "Complex data not supported: X has dtype complex128"),
    "dates": (X.astype("M8[s]"), Y, {}, "X has dtype datetime64"),
    "long double": (X.astype(np.longdouble), Y, {}, r"use X.astype\(np.float64\)"),
    "masked": (np.ma.masked_array(X), Y, {}, "X is a masked array"),
    "no features": (X[:, :0], Y, {}, r"X has 0 feature\(s\) \(shape=\(6, 0\)\)"),
    "no rows": (X[:0], Y[:0], {}, r"X has 0 sample\(s\) \(shape=\(0, 2\)\)"),
    "one dimension": (X[:, 0], Y, {}, r"X has shape \(6,\).* Reshape your data: X.reshape\(-1, 1\)"),
    "three dimensions": (X[None], Y, {}, r"X has shape \(1, 6, 2\).* X.reshape\(len\(X\), -1\) flattens each sample"),
    "nothing": (None, Y, {}, "Expected 2D array"),
    "no y": (X, None, {}, "requires y to be passed, but the target y is None"),
    "fewer labels": (X, Y[:5], {}, r"y has shape \(5,\); expected \(6,\), one label for each of the 6 rows"),
    "a number for y": (X, 3, {}, r"y has shape \(\); expected \(6,\)"),
    "one class": (X, ["a"] * 6, {}, r"y has 1 class \[a\]; expected at least 2"),
    "mixed labels": (X, [1, "a"] * 3, {}, "Unknown label type: y has 'a' at row 1; expected numbers in all rows"),
    "missing label": (X, np.array(["a", None] * 3, object), {}, "y has None at row 1; expected strings in all rows"),
    "fractions": (X, X[:, 0], {}, r"Unknown label type: y has 0.1\d+ at row 0; expected labels"),
    "nan label": (X, [0, 1, np.nan] * 2, {}, "Input y contains NaN: y has nan at row 2; expected labels"),
    "bytes": (X, np.array([b"a", b"b"] * 3), {}, r"Unknown label type: y has dtype \|S1.*: use y.astype\(str\)"),
    "sparse y": (X, sparse.csr_array(np.eye(6)), {}, "y is sparse .*: pass y.toarray"),
    "text in a matrix": (X, np.array([["a", "b"]] * 6), {}, r"y has dtype <U1; expected real target values \(6, 2\)"),
    "no columns": (X, np.zeros((6, 0)), {}, r"y has shape \(6, 0\); expected labels \(6,\), or a matrix \(6, k\)"),
    "above 1": (X, 2 * np.eye(6), {}, r"y has 2.0 at row 0, column 0; expected target probabilities in \[0, 1\]"),
    "sums": (X, np.full((6, 2), 0.3), {}, "6 of 6 rows that do not sum to 1: .*: divide each row by its sum"),
    "indicator": (X, np.ones((6, 2)), {}, "rows that do not sum to 1: .* take loss='sigmoid', .* targets='labels'"),
    "negative weight": (X, Y, WEIGHT, "sample_weight has -1.0 at row 3; expected finite weights of at least 0"),
    "few weights": (X, Y, {"sample_weight": [1, 2]}, r"sample_weight has shape \(2,\); expected \(6,\)"),
}
MAKERS = (lambda **options: LogisticRegression(targets="classes", **options), Trainer)


def errors(call):
    found = []
    for make in MAKERS:
        with pytest.raises((TypeError, ValueError)) as error:
            call(make)
        found.append((error.type, str(error.value)))
    return found


@pytest.mark.parametrize("name", MISTAKES)
def test_data_that_do_not_fit(name):
    bad_X, bad_y, options, message = MISTAKES[name]
    first, second = errors(lambda make: make().fit(bad_X, bad_y, **options))
    assert first == second
    assert re.search(message, first[1])


@pytest.mark.parametrize(("name", "bad"), [("verbose", "yes"), ("verbose", -1), ("n_threads", 0),
                                           ("random_state", "a")])
def test_options_that_are_not_allowed(name, bad):
    for _, message in errors(lambda make: make(**{name: bad}).fit(X, Y)):
        assert message.startswith(f"{name} is {bad!r}; expected ")


@pytest.mark.parametrize("bad_X", [X[:0], NAN, X[:, :1], X[0], X.astype(str)], ids=str)
def test_predictions_of_bad_data(bad_X):
    first, second = errors(lambda make: make().fit(X, Y).predict(bad_X))
    assert first == (second[0], second[1].replace("Trainer", "LogisticRegression"))


@pytest.mark.parametrize("y", [Y, Y.astype(float), np.array(["a", "b", "c"])[Y], Y > 0, Y.astype(str).astype(object),
                               (Y > 0).astype(object)], ids=str)
def test_a_column_of_labels_is_taken_for_labels_with_a_warning(y):
    for make in (*MAKERS, lambda: Trainer("sigmoid"), lambda: Trainer("squared_error")):
        with pytest.warns(DataConversionWarning, match="A column-vector y was passed when a 1d array was expected"):
            model = make().fit(X, y[:, None])
        assert repr(model.classes_.tolist()) == repr(np.unique(y).tolist())
        with pytest.warns(DataConversionWarning):
            assert model.score(X, y[:, None]) == model.score(X, y)


def test_a_column_of_fractions_is_the_probability_of_class_1():
    p = np.linspace(0.1, 0.8, 6)
    both = LogisticRegression(C=np.inf, tol=1e-10).fit(X, np.column_stack([1 - p, p]))
    for model in (LogisticRegression(C=np.inf, tol=1e-10), Trainer("sigmoid", 1.0, epochs=2000, batch_size=None)):
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataConversionWarning)
            model.fit(X, p[:, None])
        np.testing.assert_allclose(model.coef_, both.coef_, rtol=1e-4)


def test_all_weight_on_one_class_is_said():
    for make in MAKERS:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            make().fit(X, Y, Y == 1)
        assert "all weight is on rows of class 1: the model will predict no other" in str(caught[0].message)


def test_labels_are_no_columns():
    with pytest.raises(ValueError, match=r"y has shape \(6,\); expected a matrix \(6, k\) of 0 and 1"):
        LogisticRegression(targets="labels").fit(X, Y)
    with pytest.raises(ValueError, match=r"y has shape \(6,\); expected a matrix \(6, k\) of 0 and 1"):
        Trainer("sigmoid").fit(X, np.eye(3)[Y]).partial_fit(X, Y)
