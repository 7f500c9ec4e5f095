"""Sparse X as users pass it in: every format, hostile parts, nothing of the user's changed, clear messages."""

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.utils import get_tags

import fastlr
from fastlr import LogisticRegression, LogisticRegressionCV
from fastlr._input.csr import Csr, check_csr

FORMATS = ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")
Y = np.array([0, 1, 2, 0, 1, 2])


def small(dtype=np.float64):
    """6 x 4, with an empty row and an empty column."""
    X = np.array([[0, 1.5, 0, 0], [2, 0, 0, -1], [0, 0, 0, 0], [1, 0.5, 0, 0], [0, 3, 0, 2], [-1, 0, 0, 1]])
    return X.astype(dtype)


def of_parts(data, indices, indptr, shape=(3, 4)):
    """A CSR array of these very parts, whatever they hold."""
    X = sparse.csr_array(shape)
    X.data, X.indices, X.indptr = np.asarray(data), np.asarray(indices), np.asarray(indptr)
    return X


def parts(X):
    return [part.tobytes() for part in (X.data, X.indices, X.indptr)]


# ---- formats and types ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("container", ["array", "matrix"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_fits_and_predicts_as_dense_data_do(name, container):
    X = getattr(sparse, f"{name}_{container}")(small())
    dense, model = LogisticRegression(tol=1e-10).fit(small(), Y), LogisticRegression(tol=1e-10).fit(X, Y)
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-5)
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        np.testing.assert_allclose(getattr(model, method)(X), getattr(model, method)(small()), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(model.predict(X), model.predict(small()))
    assert model.score(X, Y) == model.score(small(), Y)
    assert model.n_features_in_ == 4


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float32", "float64"])
def test_every_type_of_value(dtype):
    X = np.abs(small()).round().astype(dtype)
    value, G, g = fastlr.loss_and_grad(sparse.csr_array(X), np.ones((3, 4)), np.zeros(3), Y)
    expected = fastlr.loss_and_grad(X.astype(np.float64), np.ones((3, 4)), np.zeros(3), Y)
    for found, right in zip((value, G, g), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("indptr", [np.int32, np.int64])
@pytest.mark.parametrize("indices", [np.int32, np.int64])
def test_csr_is_read_as_it_is(indices, indptr):
    X = sparse.csr_array(small())
    X.indices, X.indptr = X.indices.astype(indices), X.indptr.astype(indptr)
    read = check_csr(X, 1)
    assert all(np.shares_memory(getattr(read, name), getattr(X, name)) for name in ("data", "indices", "indptr"))
    assert (read.indices.dtype, read.indptr.dtype) == (indices, indptr)
    np.testing.assert_array_equal(read.toarray(), small())


def test_unsorted_and_repeated_places_and_zeros_are_the_matrix_they_mean(tmp_path):
    indices, data = np.array([3, 1, 1, 0, 2, 0], np.int32), np.array([1.0, 2.0, 0.5, 0.0, 4.0, -1.0])
    indptr = np.array([0, 3, 4, 6, 6], np.int32)
    X = of_parts(data, indices, indptr, (4, 4))
    X.has_sorted_indices = X.has_canonical_format = True  # a lie
    X.data.flags.writeable = X.indices.flags.writeable = X.indptr.flags.writeable = False
    dense = np.array([[0, 2.5, 0, 1], [0, 0, 0, 0], [-1, 0, 4, 0], [0, 0, 0, 0.0]])
    before, y = parts(X), np.array([0, 1, 1, 0])
    for intercept in (True, False):
        model = LogisticRegression(tol=1e-10, fit_intercept=intercept).fit(X, y)
        twin = LogisticRegression(tol=1e-10, fit_intercept=intercept).fit(dense, y)
        np.testing.assert_allclose(model.coef_, twin.coef_, atol=1e-6)
        np.testing.assert_allclose(model.decision_function(X), model.decision_function(dense), rtol=1e-13)
    assert parts(X) == before
    mapped = []
    for name, part in (("data", data), ("indices", indices), ("indptr", indptr)):
        np.save(tmp_path / f"{name}.npy", part)
        mapped.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    X = of_parts(*mapped, (4, 4))
    np.testing.assert_array_equal(LogisticRegression(tol=1e-10, fit_intercept=False).fit(X, y).coef_, model.coef_)


def test_parts_longer_than_the_matrix_are_no_part_of_it():
    X = of_parts([1.0, 2.0, np.nan], [0, 1, 99], [0, 1, 1, 2])
    model = LogisticRegression().fit(X, [0, 1, 1])
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(sparse.csr_array(X.toarray()), [0, 1, 1]).coef_)


@pytest.mark.parametrize("part", [slice(1, 4), slice(0, 6), slice(0, 6, 2), slice(4, 1), slice(-2, None), [5, 0, 0],
                                  np.arange(6) % 3 == 0], ids=str)
def test_rows_of_rows(part):
    X = check_csr(sparse.csr_array(small()), 1)[part]
    np.testing.assert_array_equal(X.toarray(), small()[part])
    np.testing.assert_array_equal(X.to_scipy().toarray(), small()[part])


def test_the_tag_says_so():
    assert get_tags(LogisticRegression()).input_tags.sparse
    assert get_tags(LogisticRegressionCV()).input_tags.sparse


# ---- what is refused ------------------------------------------------------------------------------------------------
BAD = {
    "negative index": (of_parts([1.0, 2.0], [0, -1], [0, 1, 1, 2]), r"X.indices has -1 in row 2, at place 1; expected "
                                                                     r"columns from 0 to 3"),
    "index too large": (of_parts([1.0, 2.0], [0, 4], [0, 1, 1, 2]), "X.indices has 4 in row 2, at place 1"),
    "huge index": (of_parts([1.0], np.array([1 << 40]), [0, 0, 1, 1]), "X.indices has 1099511627776 in row 1"),
    "falling indptr": (of_parts([1.0, 2.0], [0, 1], [0, 2, 1, 2]), "X.indptr falls to 1 at the end of row 1"),
    "first place": (of_parts([1.0, 2.0], [0, 1], [1, 1, 1, 2]), "X.indptr begins with 1; expected 0"),
    "too few indices": (of_parts([1.0, 2.0], [0], [0, 1, 1, 2]), "X.indptr ends with 2, .* have 1 entries"),
    "too few values": (of_parts([1.0], [0, 1], [0, 1, 1, 2]), "X.indptr ends with 2, .* have 1 entries"),
    "too few rows": (of_parts([1.0, 2.0], [0, 1], [0, 1, 2]), "X.indptr has 3 values; expected 4"),
    "indices that are floats": (of_parts([1.0], [0.0], [0, 1, 1, 1]), "X.indices has dtype float64"),
    "nan": (of_parts([1.0, np.nan], [0, 3], [0, 1, 1, 2]), "Input X contains NaN, first at row 2, column 3"),
    "infinity": (of_parts([-np.inf], [1], [0, 1, 1, 1]), "Input X contains infinity, first at row 0, column 1"),
    "complex": (of_parts([1j], [1], [0, 1, 1, 1]), "Complex data not supported"),
    "objects": (of_parts(np.array([1.0], object), [1], [0, 1, 1, 1]), "X has dtype object; expected real numbers"),
    "one dimension": (sparse.coo_array(np.eye(3)[0]), r"X has shape \(3,\); expected two dimensions"),
    "no rows": (sparse.csr_array((0, 4)), r"0 sample\(s\)"),
    "no features": (sparse.csr_array((3, 0)), r"0 feature\(s\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parts_are_named_and_nothing_is_changed(case):
    X, message = BAD[case]
    model = LogisticRegression().fit(np.eye(3), [0, 1, 2])
    before = vars(model).copy()
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, [0, 1, 1])
    assert vars(model) == before
    if X.shape == (3, 4) and "Input" not in message:
        with pytest.raises((TypeError, ValueError), match=message):
            fastlr.loss_and_grad(X, np.ones(4), 0.0, [0, 1, 1], loss="sigmoid")


def test_parts_of_other_formats_are_checked_before_they_are_converted():
    coo = sparse.coo_array(np.eye(3, 4))
    coo.coords = (coo.coords[0], np.array([0, 1, 4]))
    csc = sparse.csc_array(np.eye(3, 4))
    csc.indices = np.array([0, 1, 7], np.int32)
    short = sparse.csc_array(np.eye(3, 4))
    short.data = short.data[:2]
    bsr = sparse.bsr_array(np.eye(4), blocksize=(2, 2))
    bsr.indices = np.array([0, 2], np.int32)
    for X, message in ((coo, "X.col has 4 at place 2"), (csc, "X.indices has 7"), (short, "X.indptr does not fit"),
                       (bsr, "X.indices has 2")):
        with pytest.raises(ValueError, match=message):
            LogisticRegression().fit(X, np.arange(X.shape[0]) % 2)


def test_values_that_are_not_finite_may_be_left_unlooked_for():
    X = of_parts([1.0, np.nan], [0, 3], [0, 1, 1, 2])
    model = LogisticRegression().fit(small(), Y)
    with sklearn.config_context(assume_finite=True):
        assert np.isnan(model.decision_function(X)[2]).all()
        assert np.isfinite(model.decision_function(X)[:2]).all()
    with pytest.raises(ValueError, match="Input X contains NaN, first at row 2, column 3"):
        fastlr.loss_and_grad(X, np.ones((3, 4)), np.zeros(3), [0, 1, 1])


def test_other_places_say_that_they_take_no_sparse_arrays():
    X = sparse.csr_array(small())
    with pytest.raises(TypeError, match=r"Z is sparse \(csr_array\); expected a dense array: pass Z.toarray\(\)"):
        fastlr.softmax(X)
    with pytest.raises(TypeError, match="y is sparse"):
        LogisticRegression().fit(X, sparse.csr_array(np.eye(6)))
    with pytest.raises(ValueError, match="X has 3 features, but LogisticRegression is expecting 4"):
        LogisticRegression().fit(X, Y).predict(X[:, :3])


# ---- loss_and_grad --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "k"), [("softmax", 3), ("sigmoid", 1), ("sigmoid", 4), ("squared_error", 2)])
def test_loss_and_grad_is_that_of_the_dense_twin(loss, k, dtype):
    rng = np.random.default_rng(0)
    X = sparse.random_array((300, 50), density=0.1, rng=rng, dtype=dtype, format="csr")
    W, b, weight = rng.normal(size=(k, 50)), rng.normal(size=k), rng.random(300)
    y = rng.integers(0, max(k, 2), 300) if k == 1 or loss == "softmax" else rng.random((300, k))
    options = {"loss": loss, "sample_weight": weight, "alpha": 0.1, "scale": rng.random(50) + 0.5,
               "shift": rng.normal(size=50)}
    found = fastlr.loss_and_grad(X, W, b, y, **options)
    expected = fastlr.loss_and_grad(X.toarray(), W, b, y, **options)
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    for a, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, right, rtol=tolerance, atol=tolerance)
    again = fastlr.loss_and_grad(X, W, b, y, **options, n_threads=1)
    assert all(np.array_equal(a, c) for a, c in zip(found, again, strict=True))


def test_a_csr_is_its_parts():
    X = Csr(np.ones(2), np.array([0, 1]), np.array([0, 1, 2]), (2, 3))
    assert (len(X), X.size, X.ndim, X.dtype) == (2, 2, 2, np.float64)
