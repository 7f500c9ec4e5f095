"""What LogisticRegression takes, without copies, and what it refuses, leaving the model as it was."""

import tracemalloc

import numpy as np
import pytest
from problems import X_DTYPES, features, layouts
from scipy import sparse

from fastlr import LogisticRegression


def learnable(X, seed=0):
    """Three classes that the values of X tell something about."""
    score = X.astype(np.float64)
    score = (score - score.mean(axis=0)) / (score.std(axis=0) + 1e-9) @ np.linspace(-1, 1, X.shape[1])
    noise = np.random.default_rng(seed).normal(scale=score.std(), size=len(X))
    return np.searchsorted(np.quantile(score, [0.3, 0.7]), score + noise)


@pytest.mark.parametrize("dtype", X_DTYPES, ids=str)
def test_every_dtype_and_layout(dtype, tmp_path):
    X = features(np.random.default_rng(0), 120, 5, dtype)
    y = learnable(X)
    wide = X.astype(np.float64)
    plain = LogisticRegression(tol=1e-5).fit(wide, y)
    for layout, view in layouts(X, tmp_path):
        model = LogisticRegression(tol=1e-5).fit(view, y)
        Z = model.decision_function(view)
        assert Z.dtype == (np.float64 if X.dtype.itemsize >= 4 and dtype != np.float32 else np.float32), layout
        np.testing.assert_allclose(model.predict_proba(view), plain.predict_proba(wide), atol=1e-2, err_msg=layout)


def peak_memory(function, *args):
    tracemalloc.start()
    try:
        function(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_no_copy_of_X_is_made(dtype, order):
    """Twice the rows take less than a copy of the second half would: samples of rows are copied, X is not."""
    n, d = 30_000, 100
    X = np.asarray(features(np.random.default_rng(0), 2 * n, d, np.dtype(dtype)), order=order)
    y = learnable(X)
    model = LogisticRegression(scale=0.01, n_threads=1)
    for function, args in ((model.fit, (X, y)), (model.predict, (X,))):
        half, whole = (peak_memory(function, *(a[:m] for a in args)) for m in (n, 2 * n))
        assert whole - half < 0.9 * X[n:].nbytes
        assert whole < 50e6


def test_scale_and_shift_stand_for_another_array():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (300, 10)).astype(np.uint8)
    y = learnable(pixels)
    shift = pixels.mean(axis=0)
    model = LogisticRegression(tol=1e-6, scale=1 / 255, shift=shift).fit(pixels, y)
    X = (pixels - shift) / 255
    plain = LogisticRegression(tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=3e-3)
    np.testing.assert_allclose(model.predict_proba(pixels), plain.predict_proba(X), atol=1e-3)
    model.set_params(scale=1.0)
    np.testing.assert_allclose(model.predict_proba(pixels), plain.predict_proba(X), atol=1e-3)  # as fitted
    assert model.scale_.tolist() == [1 / 255] * 10


@pytest.mark.parametrize("labels", [
    ["b", "a", "b", "a"], [True, False, True, True], [3.0, -1.0, 3.0, 3.0], np.uint8([255, 0, 255, 0]),
    np.array(["b", "a", "b", "a"], object),
])
def test_labels_of_any_kind(labels):
    X = np.arange(8.0).reshape(4, 2)
    model = LogisticRegression().fit(X, labels)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert set(model.predict(X)) <= set(labels)


def test_a_matrix_of_0_and_1_means_labels_unless_told_otherwise():
    X = np.random.default_rng(0).normal(size=(60, 3))
    Y = np.eye(3)[learnable(X)]
    assert LogisticRegression().fit(X, Y).predict(X).shape == (60, 3)
    assert LogisticRegression(targets="classes").fit(X, Y).predict(X).shape == (60,)
    soft = 0.9 * Y + 0.1 / 3
    assert LogisticRegression().fit(X, soft).predict(X).shape == (60,)
    assert LogisticRegression(targets="labels").fit(X, soft).predict(X).shape == (60, 3)
    assert LogisticRegression(targets="labels").fit(X, Y[:, :1]).predict_proba(X).shape == (60, 1)
    classes = LogisticRegression().fit(X, soft)
    assert classes.score(X, soft) == classes.score(X, Y.argmax(axis=1))
    labels = LogisticRegression().fit(X, Y.astype(bool))
    assert labels.score(X, Y) == np.mean((labels.predict(X) == Y).all(axis=1))


def test_tiny_data():
    model = LogisticRegression().fit([[1.0], [2.0]], [0, 1])
    assert model.predict([[0.0], [3.0]]).tolist() == [0, 1]
    wide = np.eye(3, 50)
    assert LogisticRegression().fit(wide, [0, 1, 2]).score(wide, [0, 1, 2]) == 1.0
    assert LogisticRegression().fit(wide[:0:-1], ["a", "b"]).coef_.shape == (1, 50)


X, Y = np.random.default_rng(0).normal(size=(6, 2)), np.array([0, 1, 2, 0, 1, 2])
NAN = X.copy()
NAN[3, 1] = np.nan
INFINITE = X.astype(np.float16)
INFINITE[5, 0] = np.inf

BAD_DATA = {
    "nan": (NAN, Y, {}, "Input X contains NaN, first at row 3, column 1"),
    "infinity": (INFINITE, Y, {}, "Input X contains infinity, first at row 5, column 0"),
    "one dimension": (X[:, 0], Y, {}, "Reshape your data"),
    "complex": (X + 1j, Y, {}, "Complex data not supported"),
    "no rows": (X[:0], Y[:0], {}, "0 sample"),
    "text": (np.array([["a", "b"]] * 6), Y, {}, "X has dtype <U1; .* use numbers"),
    "text in objects": (np.array([[1, "b"]] * 6, object), Y, {}, "column 1 of X has values that are not numbers"),
    "no features": (X[:, :0], Y, {}, r"0 feature\(s\) \(shape=\(6, 0\)\)"),
    "long double": (X.astype(np.longdouble), Y, {}, "expected one of float64"),
    "lengths": (X, Y[:5], {}, r"y has shape \(5,\); expected \(6,\)"),
    "one class": (X, np.ones(6), {}, "1 class"),
    "continuous": (X, X[:, 0], {}, "Unknown label type.*row 0"),
    "no y": (X, None, {}, "target y is None"),
    "sparse y": (X, sparse.csr_array(np.eye(6)), {}, "toarray"),
    "three-dimensional y": (X, np.zeros((6, 1, 2)), {}, r"y has shape \(6, 1, 2\); expected \(6,\)"),
    "codes in columns": (X, np.arange(12).reshape(6, 2), {}, r"expected target probabilities in \[0, 1\]"),
    "rows not summing to 1": (X, np.full((6, 2), 0.3), {}, "do not sum to 1.* divide each row"),
    "mixed labels": (X, [1, "a"] * 3, {}, "Unknown label type: y has 'a' at row 1; expected numbers in all rows"),
    "negative weight": (X, Y, {"sample_weight": [1, 1, 1, -1, 1, 1]}, "sample_weight has -1.0 at row 3"),
    "zero weights": (X, Y, {"sample_weight": np.zeros(6)}, "zero"),
    "offset": (X, Y, {"offset": np.zeros(6)}, r"offset has shape \(6,\); expected \(6, 3\)"),
    "offset of nan": (X, Y, {"offset": np.full((6, 3), np.nan)}, "offset has nan at row 0, column 0; expected finite"),
    "offset of text": (X, Y, {"offset": ["a"] * 6}, "expected real numbers"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_change_nothing(case):
    bad_X, bad_y, other, message = BAD_DATA[case]
    model = LogisticRegression().fit(np.eye(3), [0, 1, 2])
    before = vars(model).copy()
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(bad_X, bad_y, **other)
    assert vars(model) == before


@pytest.mark.parametrize(("parameters", "message"), [
    ({"C": 0}, "C is 0; expected a positive number"),
    ({"C": "1"}, "C is '1'"),
    ({"tol": -1e-4}, "tol is -0.0001"),
    ({"solver": "sgd"}, "solver is 'sgd'; expected one of 'auto', 'lbfgs'"),
    ({"max_iter": -1}, "max_iter is -1"),
    ({"fit_intercept": "yes"}, "fit_intercept is 'yes'"),
    ({"class_weight": "even"}, "class_weight is 'even'"),
    ({"class_weight": {7: 2.0}}, r"class_weight names \[7\], which y does not have; y has \[0, 1, 2\]"),
    ({"class_weight": {0: -1.0}}, "class_weight has -1.0 for class 0; expected a finite weight of at least 0"),
    ({"class_weight": {0: "a"}}, "class_weight has 'a' for class 0"),
    ({"targets": "both"}, "targets is 'both'; expected one of 'auto', 'classes', 'labels'"),
    ({"n_threads": 0}, "n_threads is 0"),
    ({"penalty_factors": [1.0, -1.0]}, "penalty_factors has -1.0"),
    ({"penalty_factors": [1.0, 1.0, 1.0]}, r"penalty_factors has shape \(3,\)"),
    ({"scale": np.nan}, "scale has values that are not finite"),
    ({"random_state": "seed"}, "random_state is 'seed'; expected None, an integer of 0 to"),
])
def test_bad_parameters(parameters, message):
    with pytest.raises((TypeError, ValueError), match=message):
        LogisticRegression(**parameters).fit(X, Y)


def test_class_weight_of_a_matrix_is_refused():
    with pytest.raises(ValueError, match="use sample_weight instead"):
        LogisticRegression(class_weight="balanced").fit(X, np.eye(3)[Y])


def test_finite_data_may_be_assumed():
    import sklearn

    model = LogisticRegression().fit(X, Y)
    with sklearn.config_context(assume_finite=True):
        assert np.isnan(model.decision_function(NAN)[3]).all()
