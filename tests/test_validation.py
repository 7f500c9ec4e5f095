"""Bad input: a clear error that says what was got and what was expected, and nothing changed."""

import mmap
import os
import warnings

import numpy as np
import pytest

import fastlr
from fastlr import _core
from fastlr._input import arrays, options

X = np.arange(12.0).reshape(4, 3)
W = np.ones((2, 3))
B = np.zeros(2)
Y = np.array([0, 1, 1, 0])


def raises(error, message, function, *args, **kwargs):
    with pytest.raises(error, match=message):
        function(*args, **kwargs)


# ---- X --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (X[0], ValueError, r"X has shape \(3,\); expected two dimensions .*reshape\(-1, 1\)"),
        (X[None], ValueError, r"X has shape \(1, 4, 3\).*reshape\(len\(X\), -1\)"),
        (3.0, ValueError, r"X has shape \(\)"),
        (X.astype(object), TypeError, "X has dtype object; expected one of float64, float32, float16, bfloat16, uint8"),
        (X.astype(str), TypeError, "X has dtype <U.*use numbers"),
        (X + 1j, ValueError, "X has dtype complex128.*X.real"),
        (X.astype(np.longdouble), TypeError, r"X.astype\(np.float64\)"),
        (X.astype("M8[s]"), TypeError, "datetime64"),
    ],
)
def test_X(bad, error, message):
    raises(error, message, fastlr.loss_and_grad, bad, W, B, Y)


def test_X_is_not_copied():
    for dtype in ("float64", "float32", "float16", "uint8", "bool"):
        for array in (X.astype(dtype), np.asfortranarray(X.astype(dtype)), X.astype(dtype)[::-2, ::2]):
            assert arrays.check_X(array) is array
    swapped = arrays.check_X(X.astype(">f8"))
    assert swapped.dtype.isnative
    np.testing.assert_array_equal(swapped, X)
    assert arrays.check_X([[1, 2]]).dtype == np.int64


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("loss", _core.LOSSES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_first_value_that_is_not_finite(value, loss, dtype):
    bad = X.astype(dtype)
    bad[2, 1] = bad[3, 0] = value
    name = "NaN" if np.isnan(value) else "infinity"
    with pytest.raises(ValueError, match=f"X contains {name}, first at row 2, column 1; expected finite"):
        fastlr.loss_and_grad(bad, W, B, Y, loss=loss)


def mapped(path, offset=0, rows=6000):
    """Rows of 50 float32 behind offset bytes of a file that ends with them."""
    path.write_bytes(bytes(offset) + np.ones((rows, 50), np.float32).tobytes())
    return np.memmap(path, np.float32, "r", offset=offset, shape=(rows, 50))


MAPPED_VIEWS = {
    "whole": (lambda X: X, 6000 * 200),
    "array": (np.asarray, 6000 * 200),
    "first rows": (lambda X: X[:5000], 5000 * 200),
    "backwards": (lambda X: X[::-1, ::-1], 6000 * 200),
    "some of rows and columns": (lambda X: np.asarray(X)[1:5000:2, 3:9], 4999 * 200 + 36),
    "columns as rows": (lambda X: X[:5000].T, 5000 * 200),
}


@pytest.mark.parametrize("offset", [0, 100, 70_000])
@pytest.mark.parametrize("view", MAPPED_VIEWS)
def test_mapped_file_that_became_too_short(tmp_path, view, offset):
    take, needed = MAPPED_VIEWS[view]
    X = take(mapped(tmp_path / "X", offset))
    n, d = X.shape

    def run():
        return fastlr.loss_and_grad(X, np.zeros((2, d)), np.zeros(2), np.zeros(n, int))

    os.truncate(tmp_path / "X", offset + needed)  # all of X is there still
    assert run()[0] == pytest.approx(np.log(2))
    os.truncate(tmp_path / "X", offset + needed - 1)
    with pytest.raises(ValueError, match=f"X is memory-mapped and needs {offset + needed} bytes of its file, which has "
                                         f"{offset + needed - 1}"):
        run()


def test_mapped_file_that_is_cut_between_passes(tmp_path):
    X = mapped(tmp_path / "X")
    W, b = np.zeros((2, 50)), np.zeros(2)
    problem = _core.Problem(X, np.zeros(len(X), np.int32), 2)
    logits = problem.logits(W, b)
    os.truncate(tmp_path / "X", 1000)
    for run in (lambda: problem.loss_and_grad(W, b), lambda: problem.hessp(W, b, W, b), lambda: problem.logits(W, b),
                lambda: problem.hessp_at(logits, W, b), lambda: problem.evaluate(W, b), problem.gram,
                lambda: problem.loss_and_grad_at(logits), lambda: problem.outer(logits),
                lambda: problem.epoch(W, b, None, None, None, 256, learning_rate=0.1)):
        with pytest.raises(ValueError, match="bytes of its file, which has 1000"):
            run()
    assert not W.any()
    with pytest.raises(ValueError, match="bytes of its file"):
        fastlr.LogisticRegression().fit(X, np.arange(len(X)) % 2)


def test_mapped_memory_without_a_file():
    X = np.frombuffer(mmap.mmap(-1, 6000 * 200), np.float32).reshape(6000, 50)
    loss, _, _ = fastlr.loss_and_grad(X, np.zeros((2, 50)), np.zeros(2), np.zeros(6000, int))
    assert loss == pytest.approx(np.log(2))


def test_parameters_that_are_not_finite():
    raises(ValueError, "W has values that are not finite", fastlr.loss_and_grad, X, W * np.nan, B, Y)
    raises(ValueError, "b has values that are not finite", fastlr.loss_and_grad, X, W, B + np.inf, Y)


# ---- shapes ---------------------------------------------------------------------------------------------------------
def test_shapes_of_the_linear_model():
    raises(ValueError, r"W has shape \(2, 2\) and X \(4, 3\); expected W \(n_classes, 3\)", fastlr.loss_and_grad, X,
           W[:, :2], B, Y)
    raises(ValueError, r"b has shape \(3,\) and W \(2, 3\); expected b \(2,\)", fastlr.loss_and_grad, X, W, X[0], Y)
    raises(ValueError, r"b has shape \(\) and W", fastlr.loss_and_grad, X, W, 0.0, Y)
    raises(ValueError, r"y has shape \(3,\); expected \(4,\)", fastlr.loss_and_grad, X, W, B, Y[:3])
    raises(ValueError, r"y has shape \(4, 3\); expected \(4, 2\)", fastlr.loss_and_grad, X, W, B, np.ones((4, 3)))
    raises(ValueError, r"scale has shape \(2,\); expected one number, or \(3,\) for the 3 features",
           fastlr.loss_and_grad, X, W, B, Y, scale=[1, 2])
    raises(ValueError, "shift has values that are not finite", fastlr.loss_and_grad, X, W, B, Y, shift=np.nan)


def test_shapes_of_cross_entropy():
    raises(ValueError, r"y has shape \(4,\); expected \(3,\)", fastlr.cross_entropy, X[:3], Y)
    raises(ValueError, r"y has shape \(4, 2\); expected \(4, 3\)", fastlr.cross_entropy, X, np.ones((4, 2)))
    raises(ValueError, r"Z has shape \(1, 4, 3\); expected logits", fastlr.cross_entropy, X[None], Y)
    raises(ValueError, r"Z has shape \(4, 0\)", fastlr.cross_entropy, X[:, :0], Y)
    raises(ValueError, r"y has shape \(4,\) and z \(4, 3\)", fastlr.binary_cross_entropy, X, Y)
    raises(ValueError, r"sample_weight has shape \(4,\); expected one that broadcasts to \(4, 3\)",
           fastlr.binary_cross_entropy, X, X > 5, sample_weight=np.ones(4))


# ---- labels and targets ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["int64", "int8", "uint64", ">i4"])
def test_labels_outside_the_classes(dtype):
    y = np.array([0, 1, 3, 7, 2], dtype)
    raises(ValueError, r"y has 2 labels outside \[0, 3\): first is 3 at row 2", arrays.check_labels, y, 5, 3)
    np.testing.assert_array_equal(arrays.check_labels(y, 5, 8), [0, 1, 3, 7, 2])


def test_negative_and_huge_labels():
    Z = X[:, :2]
    raises(ValueError, r"y has 1 label outside \[0, 2\): first is -1 at row 3", fastlr.cross_entropy, Z, [0, 1, 1, -1])
    raises(ValueError, r"first is 4294967296 at row 0", fastlr.cross_entropy, Z, [2**32, 0, 0, 0])
    raises(ValueError, r"outside \[0, 2\): first is 2", fastlr.binary_cross_entropy, X[0], [0, 2, 1])
    assert arrays.check_labels(np.array([True, False]), 2, 2).dtype == np.int32


def test_labels_of_other_types():
    raises(TypeError, "y has dtype float64; expected integer labels", fastlr.cross_entropy, X, Y.astype(float))
    raises(TypeError, "y has dtype <U1.*np.unique", fastlr.cross_entropy, X, list("abba"))
    raises(TypeError, "y has dtype complex128; expected real target", fastlr.cross_entropy, X, X + 1j)


def test_target_probabilities():
    P = np.full((4, 3), 1 / 3)
    P[2] = [0.5, 0.25, 0.5]
    raises(ValueError, "y has 1 of 4 rows that do not sum to 1: first is row 2 with 1.25", fastlr.cross_entropy, X, P)
    P[2] = [1.5, -0.5, 0]
    raises(ValueError, r"y has 1.5 at row 2, column 0; expected .* in \[0, 1\]", fastlr.cross_entropy, X, P)
    P[2, 0] = np.nan
    raises(ValueError, "y has nan at row 2, column 0", fastlr.cross_entropy, X, P)
    raises(ValueError, "y has 1.5 at row 1", fastlr.binary_cross_entropy, X[0], [0, 1.5, 1])
    raises(ValueError, "y has inf at row 0, column 1; expected finite numbers", fastlr.loss_and_grad, X, W, B,
           [[0, np.inf]] * 4, loss="squared_error")


# ---- weights, options -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        ([1, 1, 1], ValueError, r"sample_weight has shape \(3,\); expected \(4,\)"),
        ([1, -2, 1, -3], ValueError, "sample_weight has -2.0 at row 1"),
        ([1, np.nan, 1, 1], ValueError, "sample_weight has nan at row 1"),
        ([0, 0, 0, 0], ValueError, "sample_weight is zero at all 4 rows"),
        (list("abcd"), TypeError, "sample_weight has dtype <U1"),
    ],
)
def test_sample_weight(weight, error, message):
    raises(error, message, fastlr.cross_entropy, X, Y, sample_weight=weight)
    raises(error, message, fastlr.loss_and_grad, X, W, B, Y, sample_weight=weight)


def test_options():
    raises(ValueError, "reduction is 'max'; expected one of 'mean', 'sum', 'none'", fastlr.cross_entropy, X, Y,
           reduction="max")
    raises(ValueError, "loss is 'hinge'; expected one of 'softmax', 'sigmoid', 'squared_error'",
           fastlr.loss_and_grad, X, W, B, Y, loss="hinge")
    raises(ValueError, r"label_smoothing is 1.5; expected a finite number in \[0, 1\]", fastlr.cross_entropy, X, Y,
           label_smoothing=1.5)
    raises(ValueError, "alpha is -1", fastlr.loss_and_grad, X, W, B, Y, alpha=-1)
    raises(TypeError, "alpha is 'a'; expected a number", fastlr.loss_and_grad, X, W, B, Y, alpha="a")
    assert options.check_number("alpha", np.float32(0.5)) == 0.5


def test_out_stays_untouched_when_arguments_are_wrong():
    out = np.full(X.shape, 7.0)
    raises(ValueError, "outside", fastlr.cross_entropy_and_grad, X, Y + 5, out=out)
    raises(ValueError, "reduction", fastlr.cross_entropy_and_grad, X, Y, out=out, reduction="")
    raises(ValueError, "out has dtype float64 and shape", fastlr.cross_entropy_and_grad, X[:, :2], Y, out=out)
    raises(ValueError, "overlaps", fastlr.cross_entropy_and_grad, out[1:], Y[1:], out=out[:-1])
    assert np.all(out == 7)
    P = np.full(X.shape, 1 / 3)
    raises(ValueError, "out overlaps an input", fastlr.cross_entropy_and_grad, X, P, out=P)
    assert np.all(P == 1 / 3)


@pytest.mark.parametrize("bad", [0, -1, True, 1.5, "2"])
def test_n_threads(bad):
    raises((TypeError, ValueError), "n_threads is .*expected a positive integer", fastlr.sigmoid, X, n_threads=bad)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", ">i2"])
@pytest.mark.parametrize("k", [3, 128, 129, 255, 256, 257, 400, 32_769, 65_536, 65_537])
def test_negative_labels_are_outside_whatever_their_size(dtype, k):
    """Read as unsigned, -1 of one byte is 255, which is a label of 256 classes."""
    for label in (-1, -100, np.iinfo(dtype).min):
        y = np.array([0, 1, label, 2], dtype)
        with pytest.raises(ValueError, match=rf"1 label outside \[0, {k}\): first is {label} at row 2"):
            fastlr.one_hot(y, k)
        if k < 1000:
            with pytest.raises(ValueError, match="outside"):
                fastlr.cross_entropy(np.zeros((4, k)), y)
            with pytest.raises(ValueError, match="outside"):
                fastlr.loss_and_grad(np.zeros((4, 1)), np.zeros((k, 1)), np.zeros(k), y)


@pytest.mark.parametrize("axis", [True, 1.5, "0", [0], (0, True), None.__class__], ids=repr)
@pytest.mark.parametrize("function", [fastlr.softmax, fastlr.log_softmax, fastlr.logsumexp])
def test_axes_are_integers(function, axis):
    with pytest.raises(TypeError, match=r"axis is .*; expected an int, a tuple of ints or None"):
        function(np.zeros((2, 3)), axis)


def test_no_warnings_about_numbers():
    extreme = np.array([[1e300, -1e300, 0], [np.nan, 1, 2], [np.inf, -np.inf, 0], [-np.inf] * 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function in (fastlr.softmax, fastlr.log_softmax, fastlr.logsumexp, fastlr.sigmoid, fastlr.log_sigmoid):
            function(extreme)
        fastlr.logit([0.0, 1, 2])
        fastlr.cross_entropy_and_grad(extreme, [0, 0, 0, 0])
        fastlr.cross_entropy(np.empty((0, 2)), np.empty(0, int))
