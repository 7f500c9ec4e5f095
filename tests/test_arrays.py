"""Arrays as they come: masked ones are refused, all others give what a plain copy of them gives, or an error."""

import numpy as np
import pytest

import fastlr
from fastlr import LogisticRegression, Trainer

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
ml_dtypes = pytest.importorskip("ml_dtypes")
RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(30, 4)), RNG.normal(size=(30, 3))
Y = np.arange(30) % 3
P = RNG.dirichlet(np.ones(3), 30)
WEIGHT = RNG.random(30)
W, B = RNG.normal(size=(3, 4)), RNG.normal(size=3)


def fit(X=X, y=Y, weight=WEIGHT, offset=Z, scale=1.0, shift=0.0, factors=1.0):
    model = LogisticRegression(scale=scale, shift=shift, penalty_factors=factors)
    return model.fit(X, y, weight, offset=offset)


FITTED = fit()
TRAINED = Trainer(epochs=1, random_state=0).fit(X, Y)

# every place where an array enters -> a call with it, and an array
ENTRIES = {
    "sigmoid": (fastlr.sigmoid, Z), "sigmoid_derivative": (fastlr.sigmoid_derivative, Z),
    "log_sigmoid": (fastlr.log_sigmoid, Z), "logit": (fastlr.logit, P), "softmax": (fastlr.softmax, Z),
    "log_softmax": (fastlr.log_softmax, Z), "logsumexp": (fastlr.logsumexp, Z),
    "logsumexp along columns": (lambda Z: fastlr.logsumexp(Z, axis=0), Z),
    "softmax_jacobian": (fastlr.softmax_jacobian, P), "one_hot": (fastlr.one_hot, Y),
    "cross_entropy Z": (lambda Z: fastlr.cross_entropy_and_grad(Z, Y), Z),
    "cross_entropy y": (lambda y: fastlr.cross_entropy_and_grad(Z, y), Y),
    "cross_entropy P": (lambda P: fastlr.cross_entropy_and_grad(Z, P), P),
    "cross_entropy weight": (lambda w: fastlr.cross_entropy_and_grad(Z, Y, sample_weight=w), WEIGHT),
    "binary z": (lambda z: fastlr.binary_cross_entropy_and_grad(z, P), Z),
    "binary y": (lambda y: fastlr.binary_cross_entropy_and_grad(Z, y), P),
    "binary weight": (lambda w: fastlr.binary_cross_entropy_and_grad(Z, P, sample_weight=w), P),
    "loss_and_grad X": (lambda X: fastlr.loss_and_grad(X, W, B, Y), X),
    "loss_and_grad W": (lambda W: fastlr.loss_and_grad(X, W, B, Y), W),
    "loss_and_grad b": (lambda b: fastlr.loss_and_grad(X, W, b, Y), B),
    "loss_and_grad y": (lambda y: fastlr.loss_and_grad(X, W, B, y), Y),
    "loss_and_grad P": (lambda P: fastlr.loss_and_grad(X, W, B, P), P),
    "loss_and_grad weight": (lambda w: fastlr.loss_and_grad(X, W, B, Y, sample_weight=w), WEIGHT),
    "loss_and_grad scale": (lambda v: fastlr.loss_and_grad(X, W, B, Y, scale=v, shift=v), RNG.random(4)),
    "fit X": (lambda X: fit(X=X).coef_, X), "fit y": (lambda y: fit(y=y).coef_, Y),
    "fit P": (lambda y: fit(y=y).coef_, P),
    "fit weight": (lambda w: fit(weight=w).coef_, WEIGHT), "fit offset": (lambda o: fit(offset=o).coef_, Z),
    "fit scale": (lambda v: fit(scale=v).coef_, RNG.random(4)),
    "fit shift": (lambda v: fit(shift=v).coef_, RNG.random(4)),
    "fit factors": (lambda v: fit(factors=v).coef_, RNG.random(4)),
    "predict": (lambda X: FITTED.predict_proba(X, offset=Z), X),
    "predict offset": (lambda o: FITTED.predict(X, offset=o), Z),
    "score": (lambda y: FITTED.score(X, y, offset=Z), Y), "score P": (lambda y: FITTED.score(X, y, offset=Z), P),
    "score weight": (lambda w: FITTED.score(X, Y, w, offset=Z), WEIGHT),
    "train X": (lambda X: Trainer(random_state=0).fit(X, Y).coef_, X),
    "train y": (lambda y: Trainer(random_state=0).fit(X, y).coef_, Y),
    "train P": (lambda y: Trainer(random_state=0).fit(X, y).coef_, P),
    "train weight": (lambda w: Trainer(random_state=0).fit(X, Y, w).coef_, WEIGHT),
    "train classes": (lambda c: Trainer(random_state=0).partial_fit(X, Y, c).coef_, np.arange(5)),
    "validation X": (lambda X: Trainer(random_state=0).fit(X, Y, validation_data=(X, Y)).history_["val_loss"], X),
    "validation y": (lambda y: Trainer(random_state=0).fit(X, Y, validation_data=(X, y)).history_["val_loss"], Y),
    "train scale": (lambda v: Trainer(random_state=0).fit(X, Y, scale=v, shift=v).coef_, RNG.random(4)),
    "trainer predict": (TRAINED.predict_proba, X), "trainer score": (lambda y: TRAINED.score(X, y), Y),
    "trainer score weight": (lambda w: TRAINED.score(X, Y, w), WEIGHT),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_masked_arrays_are_refused_with_advice(entry):
    call, array = ENTRIES[entry]
    for masked in (np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) == 1), np.ma.array(array)):
        with pytest.raises(TypeError, match=r"is a masked array; .*filled"):
            call(masked)
        with pytest.raises(TypeError, match=r"is a masked array; .*filled"):
            call(list(masked) if array.ndim == 2 else [*array[:-1], np.ma.masked])


def forms(array, tmp_path):
    yield "unaligned", unaligned(array)
    yield "byte-swapped", array.astype(array.dtype.newbyteorder())
    yield "byte-swapped and unaligned", unaligned(array.astype(array.dtype.newbyteorder()))
    frozen = array.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    yield "backwards", array[::-1].copy()[::-1]
    yield "Fortran", np.asfortranarray(array)
    yield "strided", np.repeat(array, 2, axis=-1)[..., ::2]
    yield "list", array.tolist()
    if array.ndim == 2:
        yield "matrix", np.matrix(array)
    path = tmp_path / "array"
    array.tofile(path)
    yield "memory-mapped", np.memmap(path, array.dtype, "r", shape=array.shape)
    yield "shifted map", np.memmap(write_shifted(array, path), array.dtype, "r", offset=1, shape=array.shape)
    if array.dtype == float:
        yield "long double", array.astype(np.longdouble)


def unaligned(array):
    copy = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def write_shifted(array, path):
    shifted = path.with_suffix(".shifted")
    shifted.write_bytes(b"x" + array.tobytes())
    return shifted


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_form_of_an_array_counts_the_same(entry, tmp_path):
    call, array = ENTRIES[entry]
    expected = call(array)
    for form, other in forms(array, tmp_path):
        if form == "long double" and entry.endswith((" X", "predict")):
            continue  # X of long doubles is refused: tests/test_linear_model_input.py
        if form == "matrix" and entry in ("fit X", "predict"):  # as scikit-learn does
            with pytest.raises(TypeError, match=r"np\.matrix is not supported"):
                call(other)
            continue
        got = call(other)
        for a, b in zip(np.atleast_1d(expected) if not isinstance(expected, tuple) else expected,
                        np.atleast_1d(got) if not isinstance(got, tuple) else got, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=form)


@pytest.mark.parametrize("name", ["sigmoid", "softmax", "log_softmax", "cross_entropy_and_grad",
                                  "binary_cross_entropy_and_grad"])
def test_out_is_right_or_untouched(name):
    function = getattr(fastlr, name)
    if "entropy" in name:
        def call(Z, out):
            return function(Z, Y if name.startswith("cross") else P, out=out)[1]
    else:
        def call(Z, out):
            return function(Z, out=out)
    expected = call(Z, None)
    for make in (np.asfortranarray, unaligned, lambda a: np.repeat(a, 2, axis=1)[:, ::2],
                 lambda a: a[::-1].copy()[::-1], np.matrix, lambda a: a[:, None].transpose(2, 1, 0)[:, 0].T):
        out = make(np.zeros_like(Z))
        assert call(Z, out) is out
        np.testing.assert_array_equal(out, expected)
        own = make(Z.copy())
        np.testing.assert_array_equal(call(own, own), expected)
    memory = np.zeros(200)
    frozen = np.zeros_like(Z)
    frozen.flags.writeable = False
    bad = {
        "dtype": np.zeros((30, 3), np.float32), "byte order": np.zeros((30, 3), ">f8"), "shape": np.zeros((3, 30)),
        "more dimensions": np.zeros((30, 3, 1)), "read-only": frozen, "masked": np.ma.zeros((30, 3)),
        "list": Z.tolist(), "number": 3.0, "broadcast": np.lib.stride_tricks.as_strided(memory, (30, 3), (8, 0)),
        "overlaps itself": np.lib.stride_tricks.as_strided(memory, (30, 3), (16, 8)),
    }
    for what, out in bad.items():
        before = np.array(out)
        with pytest.raises((TypeError, ValueError), match="out "):
            call(Z, out)
        np.testing.assert_array_equal(np.array(out), before, err_msg=what)
    memory[: Z.size] = Z.ravel()
    source, before = memory[: Z.size].reshape(Z.shape), memory.copy()
    overlapping = memory[1 : Z.size + 1].reshape(Z.shape), source.reshape(3, 30).T, source[::-1], source[:, ::-1]
    for out in overlapping:
        with pytest.raises(ValueError, match="out overlaps an input"):
            call(source, out)
        np.testing.assert_array_equal(memory, before)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0), (2, 0, 3), (1,), (1, 1), ()])
def test_arrays_without_values_or_with_one(shape):
    z = np.ones(shape)
    for function in (fastlr.sigmoid, fastlr.log_sigmoid, fastlr.sigmoid_derivative, fastlr.logit):
        assert np.shape(function(z)) == shape
    for axis in (-1, None, *range(len(shape))):
        assert np.shape(fastlr.softmax(z, axis)) == np.shape(fastlr.log_softmax(z, axis)) == shape
        with np.errstate(divide="ignore"):
            expected = np.log(np.sum(np.exp(z), axis=axis if shape else None))
        np.testing.assert_allclose(fastlr.logsumexp(z, axis), expected)
        np.testing.assert_allclose(fastlr.softmax(z, axis).sum(axis if shape else None), np.exp(expected) > 0)
    loss, grad = fastlr.binary_cross_entropy_and_grad(z, z)
    assert np.shape(grad) == shape
    assert np.isnan(loss) == (z.size == 0)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "float32", "float64"], ids=str)
@pytest.mark.parametrize("k", [3, 7, 10, 1000])
def test_probabilities_sum_to_1_within_their_own_rounding(dtype, k):
    exact = RNG.dirichlet(np.ones(k), 40)
    exact[0] = 1 / k
    given = exact.astype(dtype)
    P = given.astype(np.float64)
    P /= P.sum(axis=1, keepdims=True)
    logits = RNG.normal(size=(40, k))
    loss, grad = fastlr.cross_entropy_and_grad(logits, given)
    expected, expected_grad = fastlr.cross_entropy_and_grad(logits, P)
    np.testing.assert_allclose(loss, expected, rtol=1e-13)
    np.testing.assert_allclose(grad, expected_grad, atol=1e-15)
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-15)  # the gradient of a loss of logits
    if k < 1000:
        for x in (X[:40], X[:40].astype(np.float32)):
            pair = np.resize(given, (30, k))
            exact = np.resize(P, (30, k))
            np.testing.assert_allclose(LogisticRegression(tol=1e-6).fit(x, pair).coef_,
                                       LogisticRegression(tol=1e-6).fit(x, exact).coef_, atol=2e-3)
            Trainer(epochs=1).fit(x, pair)
            fastlr.loss_and_grad(x, np.zeros((k, 4)), np.zeros(k), pair)


def test_rows_that_miss_1_are_refused_or_divided():
    P = np.full((30, 3), 1 / 3)
    P[4] *= 1 + 5e-5
    before = P.copy()
    _, grad = fastlr.cross_entropy_and_grad(Z, P)
    np.testing.assert_array_equal(P, before)
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-16)
    P[4] *= 1.001
    for dtype, fails in (("float64", True), ("float32", True), ("float16", True), (ml_dtypes.bfloat16, False)):
        if fails:
            with pytest.raises(ValueError, match=r"1 of 30 rows that do not sum to 1: first is row 4 with 1.00"):
                fastlr.cross_entropy(Z, P.astype(dtype))
        else:
            fastlr.cross_entropy(Z, P.astype(dtype))


@pytest.mark.parametrize("weight", [[1e308] * 30, [1e-310] * 30, [5e-324] + [0] * 29],
                         ids=["large", "small", "one bit"])
def test_weights_whose_sum_has_no_reciprocal(weight):
    """Means are those of the same weights nearer to 1."""
    near = np.ldexp(np.array(weight), -int(np.frexp(max(weight))[1]))
    for call in (lambda w: fastlr.cross_entropy(Z, Y, sample_weight=w), lambda w: Trainer().fit(X, Y, w).coef_,
                 lambda w: fastlr.loss_and_grad(X, W, B, Y, sample_weight=w)[1],
                 lambda w: FITTED.score(X, Y, w, offset=Z)):
        np.testing.assert_allclose(call(weight), call(near), rtol=1e-14)


def test_offsets_beyond_float32():
    rows = np.resize(np.arange(30), 300_000)  # few values are computed in float64
    offset = np.where(np.arange(len(rows))[:, None] == 3, 1e39, Z[rows])
    with pytest.raises(ValueError, match="offset has 1e\\+39 at row 3, column 0, beyond the range of float32"):
        fit(X=X.astype(np.float32)[rows], y=Y[rows], weight=None, offset=offset)
    with pytest.raises(ValueError, match="y has 1e\\+39 at row 3, column 0, beyond the range of float32"):
        fastlr.loss_and_grad(X.astype(np.float32), W[0], 0.0, np.where(np.arange(30) == 3, 1e39, Z[:, 0]),
                             loss="squared_error")
