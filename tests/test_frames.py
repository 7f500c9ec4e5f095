"""Data frames and columns: both estimators convert them alike and hold to the names they were fitted with."""

import numpy as np
import pytest

from fastlr import LogisticRegression, Trainer

pandas = pytest.importorskip("pandas")
N = 12
Y = np.arange(N) % 2
MIXED = pandas.DataFrame({"a": np.arange(N), "b": np.linspace(0, 1, N), "c": Y.astype(bool)})
ESTIMATORS = pytest.mark.parametrize("make", [LogisticRegression, lambda: Trainer(epochs=2, random_state=0)],
                                     ids=["LogisticRegression", "Trainer"])

# what becomes numbers -> those numbers
NUMBERS = {
    "mixed dtypes": (MIXED, MIXED.to_numpy(float)),
    "nullable": (pandas.DataFrame({"a": pandas.array(range(N), dtype="Int64"),
                                   "b": pandas.array(Y.astype(bool), dtype="boolean"),
                                   "c": pandas.array(np.linspace(0, 1, N), dtype="Float64")}),
                 np.column_stack([range(N), Y, np.linspace(0, 1, N)])),
    "objects": (MIXED.astype(object), MIXED.to_numpy(float)),
    "categories of numbers": (pandas.DataFrame({"a": range(N), "b": pandas.Categorical(Y)}),
                              np.column_stack([range(N), Y])),
    "an array of objects": (MIXED.to_numpy(float).astype(object), MIXED.to_numpy(float)),
}


@ESTIMATORS
@pytest.mark.parametrize("name", NUMBERS)
def test_columns_that_are_numbers(make, name):
    frame, numbers = NUMBERS[name]
    model, plain = make().fit(frame, Y), make().fit(numbers, Y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    np.testing.assert_array_equal(model.decision_function(frame), plain.decision_function(numbers))
    assert model.score(frame, pandas.Series(Y)) == plain.score(numbers, Y)


@ESTIMATORS
@pytest.mark.parametrize("column", [
    ["x", "y"] * 6, pandas.Categorical(["x", "y"] * 6), pandas.to_datetime(["2020-01-01", "2021-01-01"] * 6),
    pandas.array(["x", None] * 6, dtype="string"),
], ids=["text", "categories", "dates", "strings"])
def test_a_column_that_is_no_number_is_named(make, column):
    model = make()
    with pytest.raises((TypeError, ValueError), match="column 'town' of X has values that are not numbers"):
        model.fit(MIXED.assign(town=column), Y)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "feature_names_in_")


@ESTIMATORS
def test_missing_values_are_found(make):
    for frame in (MIXED.assign(b=pandas.array([None, *range(N - 1)], dtype="Int64")), MIXED.assign(b=[None] * N),
                  [[1.0, None]] * N):
        with pytest.raises(ValueError, match="row 0, column 1"):
            make().fit(frame, Y)


@ESTIMATORS
def test_columns_must_be_those_of_the_fit_in_their_order(make):
    model = make().fit(MIXED, Y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    calls = [model.predict, model.decision_function, model.predict_proba, lambda X: model.score(X, Y)]
    if isinstance(model, Trainer):
        calls += [lambda X: model.partial_fit(X, Y), lambda X: make().fit(MIXED, Y, validation_data=(X, Y))]
    before = model.coef_.copy()
    for call in calls:
        for other, message in ((MIXED[["b", "a", "c"]], "same order"), (MIXED[["a", "b"]], "missing"),
                               (MIXED.rename(columns={"a": "z"}), "unseen")):
            with pytest.raises(ValueError, match=message):
                call(other)
        call(MIXED)
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            call(MIXED.to_numpy(float))
    if not isinstance(model, Trainer):
        np.testing.assert_array_equal(model.coef_, before)
    model.fit(MIXED.to_numpy(float), Y)
    assert not hasattr(model, "feature_names_in_")
    with pytest.warns(UserWarning, match="X has feature names, but .* was fitted without feature names"):
        model.predict(MIXED[["b", "a", "c"]])


LABELS = {
    "strings": pandas.array(["a", "b"] * 6, dtype="string"), "str": pandas.Series(["a", "b"] * 6),
    "categories": pandas.Series(["a", "b"] * 6, dtype="category"), "Int64": pandas.array([3, 7] * 6, dtype="Int64"),
    "boolean": pandas.array([True, False] * 6, dtype="boolean"),
    "categories of numbers": pandas.Series([3, 7] * 6, dtype="category"),
    "objects": pandas.Series([3, 7] * 6, dtype=object), "booleans in objects": np.array([True, False] * 6, object),
    "whole floats in objects": np.array([1.0, 2] * 6, object),
}


@ESTIMATORS
@pytest.mark.parametrize("name", LABELS)
def test_columns_of_labels(make, name):
    y = LABELS[name]
    X = np.column_stack([np.arange(N) % 2 * 2.0 - 1, np.linspace(0, 1, N)])
    model = make().fit(X, y)
    assert model.classes_.tolist() == sorted(set(y))
    assert model.classes_.dtype.kind != "O" or isinstance(model.classes_[0], str)
    assert model.score(X, y) == model.score(X, model.predict(X)) == 1.0
    weighted = LogisticRegression(class_weight={label: 1.0 for label in set(y)}).fit(X, y)
    np.testing.assert_allclose(weighted.coef_, LogisticRegression().fit(X, y).coef_)
    if isinstance(model, Trainer):
        model.partial_fit(X, y)
        make().partial_fit(X[:1], y[:1], classes=y)
        make().fit(X, y, validation_data=(X, y))


@ESTIMATORS
@pytest.mark.parametrize("y", [
    pandas.Series(["a", None] * 6, dtype="string"), pandas.Series(["a", None, "b"] * 4, dtype="category"),
    pandas.Series([1, None] * 6, dtype="Int64"), pandas.Series([1, "a"] * 6), ["a", "b", float("nan")] * 4,
    ["a", "b", None] * 4, [1, "a"] * 6,
], ids=str)
def test_missing_and_mixed_labels_are_refused(make, y):
    with pytest.raises((TypeError, ValueError), match=r"at row [012]; expected"):
        make().fit(MIXED, y)
