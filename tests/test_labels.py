"""What the label layer adds: classes and codes of any labels, predictions and probabilities of logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastlr import LogisticRegression, Trainer
from fastlr._input.labels import check_label_array, number_labels
from fastlr._input.targets import learn_outputs

LABELS = {
    "int": np.array([5, -3, 5, 70]),
    "uint8": np.array([200, 7, 255, 7], np.uint8),
    "far apart": np.array([2**62, -(2**62), 0, 2**62]),
    "uint64": np.array([2**64 - 1, 2**64 - 5, 2**64 - 1], np.uint64),
    "bool": np.array([True, False, True]),
    "whole float": np.array([1.0, -2.0, 1.0]),
    "float16": np.array([1.0, -2.0, 1.0], np.float16),
    "str": np.array(["cat", "dog", "ant", "dog"]),
    "object": np.array(["cat", "dog", "a longer one"], object),
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_labels_are_numbered_in_order_and_kept(y):
    with np.errstate(all="raise"):
        classes, codes = number_labels(check_label_array(y, len(y)))
    expected, inverse = np.unique(y, return_inverse=True)
    assert classes.dtype == y.dtype
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(classes, expected)
    np.testing.assert_array_equal(codes, inverse)


@given(hnp.arrays(st.sampled_from([np.int8, np.int64, np.uint8, np.uint64, np.float32]), st.integers(1, 50),
                  elements=st.integers(0, 127)))
def test_known_labels_are_encoded_as_they_were_learnt(y):
    if len(np.unique(y)) < 2:
        return
    outputs, codes = learn_outputs(y, len(y), np.float64, "softmax")
    np.testing.assert_array_equal(outputs.encode(y, len(y), np.float64), codes)
    np.testing.assert_array_equal(outputs.predict(np.eye(outputs.k)[codes]), y)


@pytest.mark.parametrize(("loss", "y", "k", "multilabel"), [
    ("softmax", [0, 1], 2, False),
    ("sigmoid", [0, 1], 1, False),
    ("squared_error", [0, 1], 1, False),
    ("sigmoid", [0, 1, 2], 3, False),
    ("squared_error", ["a", "b", "c"], 3, False),
    ("sigmoid", [[0.3], [1.0]], 1, False),
    ("sigmoid", [[0, 1], [1, 1]], 2, True),
    ("softmax", [[0.3, 0.7], [1, 0]], 2, False),
    ("squared_error", [[0, 1], [1, 0]], 2, False),
])
def test_outputs_of_losses_and_targets(loss, y, k, multilabel):
    outputs, targets = learn_outputs(y, len(y), np.float32, loss)
    assert (outputs.k, outputs.multilabel) == (k, multilabel)
    if np.ndim(y) == 1:
        np.testing.assert_array_equal(outputs.classes[targets], y)
    else:
        assert targets.dtype == np.float32
        np.testing.assert_array_equal(targets, np.asarray(y, np.float32))


def test_predictions_of_two_classes_at_the_threshold():
    Z = np.array([[-1.0], [0.0], [0.49], [0.5], [1.0]])
    sigmoid, _ = learn_outputs(["no", "yes"], 2, np.float64, "sigmoid")
    adaline, _ = learn_outputs(["no", "yes"], 2, np.float64, "squared_error")
    assert sigmoid.predict(Z).tolist() == ["no", "no", "yes", "yes", "yes"]
    assert adaline.predict(Z).tolist() == ["no", "no", "no", "yes", "yes"]


def test_probabilities():
    two, _ = learn_outputs([0, 1], 2, np.float64, "sigmoid")
    A = two.probabilities(np.array([[50.0], [-50.0], [0.0]]))
    np.testing.assert_allclose(A, [[np.exp(-50), 1], [1, np.exp(-50)], [0.5, 0.5]], rtol=1e-14)
    Z = np.random.default_rng(0).normal(size=(9, 3)) * 3
    sigmoid = 1 / (1 + np.exp(-Z))
    rest, _ = learn_outputs([0, 1, 2], 3, np.float64, "sigmoid")
    np.testing.assert_allclose(rest.probabilities(Z.copy()), sigmoid / sigmoid.sum(axis=1, keepdims=True), rtol=1e-13)
    np.testing.assert_allclose(rest.probabilities(np.full((1, 3), -1e4)), [[1 / 3] * 3])
    labels, _ = learn_outputs(np.eye(3), 3, np.float64, "sigmoid")
    np.testing.assert_allclose(labels.probabilities(Z.copy()), sigmoid, rtol=1e-14)
    softmax, _ = learn_outputs(np.eye(3), 3, np.float64, "softmax")
    np.testing.assert_allclose(softmax.probabilities(Z.copy()).sum(axis=1), 1)


def test_accuracy_of_labels_and_matrices():
    Z = np.array([[2.0, 1.0], [0.0, 3.0], [-1.0, -2.0]])
    exclusive, _ = learn_outputs(["a", "b"], 2, np.float64, "softmax")
    assert exclusive.accuracy(Z, ["a", "b", "b"]) == pytest.approx(2 / 3)
    assert exclusive.accuracy(Z, ["a", "b", "never seen"]) == pytest.approx(2 / 3)
    assert exclusive.accuracy(Z, [[0.9, 0.1], [0.4, 0.6], [0, 1]]) == pytest.approx(2 / 3)
    labels, _ = learn_outputs(np.eye(2), 2, np.float64, "sigmoid")
    assert labels.accuracy(Z, [[1, 1], [0, 1], [1, 0]]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match=r"y has shape \(2,\); expected \(3,\)"):
        exclusive.accuracy(Z, ["a", "b"])
    with pytest.raises(ValueError, match=r"y has shape \(3, 4\); expected \(3, 2\), .* or labels \(3,\)"):
        exclusive.accuracy(Z, np.zeros((3, 4)))


BAD_LABELS = {
    "shape": (["a", "b", "c"], {}, ValueError, r"y has shape \(3,\); expected \(4,\)"),
    "fraction": ([0, 1, 0.5, 1], {}, ValueError, "y has 0.5 at row 2; expected labels"),
    "infinite": ([0, 1, np.inf, 1], {}, ValueError, "y has inf at row 2"),
    "mixed": (np.array(["a", None, "b", "a"], object), {}, TypeError, "None at row 1; .*drop such rows"),
    "numbers, then text": (np.array([1, 0, "1", 0], object), {}, TypeError, "'1' at row 2; expected numbers"),
    "beyond 64 bits": (np.array([1, 0, 2**70, 0], object), {}, TypeError, r"use y.astype\(str\)"),
    "bytes": (np.array([b"a", b"b"] * 2), {}, TypeError, r"dtype \|S1.*use y.astype\(str\)"),
    "masked": (np.ma.array([0, 1, 0, 1], mask=[0, 0, 0, 1]), {}, TypeError, "y is a masked array"),
    "complex": (np.zeros(4, complex), {}, TypeError, "y has dtype complex128; expected labels"),
    "dates": (np.zeros(4, "M8[D]"), {}, TypeError, r"y has dtype datetime64\[D\]"),
    "one class": (["a"] * 4, {}, ValueError, r"y has 1 class \[a\]; expected at least 2"),
    "unknown": ([0, 1, 7, 8], {"classes": [0, 1]}, ValueError, r"2 labels not among the 2 classes \[0, 1\]: .* 7 "),
    "other kind": ([0, 1, 0, 1], {"classes": ["0", "1"]}, TypeError, "y has dtype int64; the classes have <U1"),
    "columns": (np.eye(4), {"classes": [0, 1]}, ValueError, "means 4 classes; classes has 2"),
    "one column": (np.ones((4, 1)) / 2, {}, ValueError, r"\(4, 1\); expected labels .* a column for each of k classes"),
    "too few classes": (["a"] * 4, {"classes": ["a"]}, ValueError, r"classes has 1 class \[a\]; expected at least 2"),
    "nothing": (None, {}, ValueError, "requires y to be passed"),
    "indicator": (np.ones((4, 2)), {}, ValueError, "do not sum to 1: .*targets='labels'"),
    "above 1": (np.eye(4) * 2, {}, ValueError, r"y has 2.0 at row 0, column 0; expected .*\[0, 1\]"),
}


@pytest.mark.parametrize(("y", "options", "error", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_bad_labels_are_named(y, options, error, message):
    with pytest.raises(error, match=message):
        learn_outputs(y, 4, np.float64, "softmax", **options)


@pytest.mark.parametrize("y", [[3, 9, 9], [True, False, False], ["b", "a", "a"], [1.0, 2.0, 2.0]], ids=str)
@pytest.mark.parametrize("loss", ["softmax", "sigmoid", "squared_error"])
def test_a_trainer_predicts_in_its_labels(loss, y):
    X = [[1.0, 0.0], [-1.0, 0.3], [-1.0, -0.2]]
    trainer = Trainer(loss, batch_size=None, epochs=200).fit(X, y)
    assert trainer.classes_.dtype == np.asarray(y).dtype
    assert trainer.predict(X).tolist() == y
    assert trainer.score(X, y) == 1.0


def test_pandas_columns_are_labels():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"height": [1.0, 2.0, 3.0], "weight": [1.0, 0.0, 1.0]})
    for y in (pandas.Series(["a", "b", "b"]), pandas.Series(["a", "b", "b"], dtype="category")):
        assert Trainer().fit(X, y).classes_.tolist() == ["a", "b"]


StringDType = getattr(np.dtypes, "StringDType", None)


@pytest.mark.skipif(StringDType is None, reason="NumPy 2 has StringDType")
@pytest.mark.parametrize("missing", [{}, {"na_object": None}, {"na_object": np.nan}], ids=str)
def test_strings_of_any_length_are_labels(missing):
    dtype = StringDType(**missing)
    y = np.array(["cat", "dog", "a label of more than sixteen bytes"] * 4, dtype)
    X = np.eye(3)[[1, 2, 0] * 4]
    plain = LogisticRegression().fit(X, y.astype("U60"))
    for model in (LogisticRegression(), Trainer(epochs=50), Trainer("sigmoid", epochs=50),
                  LogisticRegression(class_weight={label: 1 for label in y.tolist()})):
        model.fit(X, y)
        assert model.classes_.dtype == model.predict(X).dtype == dtype
        assert model.classes_.tolist() == plain.classes_.tolist()
        for form in (y, y.astype("U60"), y.astype(object), y.tolist()):
            assert model.score(X, form) == 1.0
    trainer = Trainer(epochs=50).fit(X, y, validation_data=(X, y.astype(object)))
    trainer.partial_fit(X, y.astype("U60")).partial_fit(X, y)
    assert Trainer().partial_fit(X[:1], y[:1], classes=y).classes_.dtype == dtype
    with pytest.raises(ValueError, match="first is a label of more than sixteen bytes, and longer"):
        Trainer().fit(X[:2], ["cat", "dog"]).partial_fit(X[:1], ["a label of more than sixteen bytes, and longer"])
    if missing:
        y[4] = missing["na_object"]
        with pytest.raises((TypeError, ValueError), match="at row 4; expected strings"):
            LogisticRegression().fit(X, y)


@pytest.mark.parametrize("labels", [["0", "1"], np.array(["0", "1"], object), [0, 1], [False, True], [0.0, 1.0]],
                         ids=repr)
@pytest.mark.parametrize("make", [LogisticRegression, Trainer, lambda: Trainer("squared_error")])
def test_text_is_not_scored_against_numbers(labels, make):
    X = np.array([[-1.0], [1.0]])
    model = make().fit(X, labels)
    others = [[0, 1], [False, True]] if isinstance(labels[0], str) else [["0", "1"], np.array(["0", "1"], object)]
    for other in others:
        with pytest.raises(TypeError, match=r"the classes have .*: use the same labels"):
            model.score(X, other)
    if not isinstance(labels[0], str):
        assert model.score(X, [0, 1]) == model.score(X, [False, True]) == model.score(X, np.uint64([0, 1])) == 1.0
    for other in ([np.nan, 1], [0.5, 1], [None, 1]):
        with pytest.raises((TypeError, ValueError)):
            model.score(X, other)


@pytest.mark.parametrize("classes", [np.array([2**63 + 1, 2**63 + 3, 5], np.uint64), np.array([2**60, 2**60 + 1, -7])])
def test_large_labels_are_told_apart(classes):
    y = classes[[0, 1, 2, 2]]
    outputs, codes = learn_outputs(y, 4, np.float64, "softmax")
    for form in (y, y[::-1].copy()[::-1], y.astype(y.dtype.newbyteorder())):
        np.testing.assert_array_equal(outputs.encode(form, 4, np.float64), codes)
    with pytest.raises(ValueError, match="1 label not among"):
        outputs.encode(np.array([300]), 1, np.float64)
    with pytest.raises(ValueError, match=r"9.22\S+e\+18 at row 0; expected .* in an array of dtype uint64"):
        outputs.encode([2**63 + 1, 1], 2, np.float64)


def test_scores_are_weighted():
    X = np.array([[-1.0], [1.0], [1.0]])
    for model in (LogisticRegression().fit(X, [0, 1, 1]), Trainer().fit(X, [0, 1, 1])):
        assert model.score(X, [0, 1, 0], [1, 2, 3]) == pytest.approx(0.5)
    labels = LogisticRegression().fit(X, [[0, 1], [1, 0], [1, 0]])
    assert labels.score(X, [[0.1, 0.9], [1, 0], [0.9, 0.6]], [1, 2, 3]) == pytest.approx(0.5)


def test_a_label_that_is_missing_is_the_one_named():
    y = np.array([np.nan, "a", "b", "a"], object)
    with pytest.raises(TypeError, match=r"nan at row 0; expected strings in all rows"):
        check_label_array(y, 4)
