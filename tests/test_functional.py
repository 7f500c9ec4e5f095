"""The sigmoid and softmax families as users call them: values, accuracy, axes, layouts, dtypes, `out`."""

import mpmath
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from problems import REALS
from tolerances import assert_ulp

import fastlr
from fastlr import reference

ELEMENTWISE = ("sigmoid", "sigmoid_derivative", "log_sigmoid", "logit")
AXIS_FUNCTIONS = ("softmax", "log_softmax")
RNG = np.random.default_rng(0)


def logits(**kwargs):
    """Float arrays of any small shape, also without elements, with ordinary and extreme values."""
    shape = kwargs.pop("shape", hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7))
    dtype = st.sampled_from(REALS)
    return dtype.flatmap(
        lambda name: hnp.arrays(name, shape, elements=st.floats(-1e4, 1e4, width=int(name[-2:])), **kwargs)
    )


# ---- values ---------------------------------------------------------------------------------------------------------
def test_values_by_hand():
    assert fastlr.sigmoid(0.0) == 0.5
    assert fastlr.sigmoid_derivative(0.0) == 0.25
    assert fastlr.log_sigmoid(0.0) == -np.log(2)
    assert fastlr.logit(0.5) == 0
    np.testing.assert_array_equal(fastlr.softmax([0.0, 0.0]), [0.5, 0.5])
    np.testing.assert_allclose(fastlr.softmax(np.log([1.0, 2, 5])), [0.125, 0.25, 0.625], rtol=1e-15)
    np.testing.assert_allclose(fastlr.logsumexp(np.log([1.0, 2, 5])), np.log(8), rtol=1e-15)


def test_log_softmax_keeps_what_scipy_loses():
    assert fastlr.log_softmax([40.0, 0.0])[0] == -4.248354255291589e-18
    assert scipy.special.log_softmax([40.0, 0.0])[0] == 0
    assert fastlr.log_softmax(np.float32([20, 0]))[0] == np.float32(-2.0611536e-09)


@pytest.mark.parametrize(("dtype", "huge"), [("float32", 1e4), ("float32", 3e38), ("float64", 1e4), ("float64", 1e300)])
def test_extreme_logits(dtype, huge):
    z = np.array([-huge, huge], dtype)
    np.testing.assert_array_equal(fastlr.sigmoid(z), [0, 1])
    np.testing.assert_array_equal(fastlr.sigmoid_derivative(z), [0, 0])
    np.testing.assert_array_equal(fastlr.log_sigmoid(z), [-z[1], 0])
    np.testing.assert_array_equal(fastlr.softmax(z), [0, 1])
    np.testing.assert_array_equal(fastlr.log_softmax(z / 2), [-z[1], 0])
    assert fastlr.logsumexp(z) == z[1]
    np.testing.assert_array_equal(fastlr.softmax(np.full(3, z[1])), np.full(3, 1, dtype) / np.array(3, dtype))


@pytest.mark.parametrize("k", [2, 3, 5, 17, 40])
@pytest.mark.parametrize("dtype", REALS)
def test_infinities_and_nans_as_in_scipy(dtype, k):
    rows = [[np.inf, 0], [-np.inf, 0], [-np.inf, -np.inf], [np.inf, -np.inf], [np.inf, np.inf], [np.nan, 0],
            [0, np.nan], [np.nan, np.inf], [-np.inf, np.nan]]
    Z = np.array([np.resize(row, k) for row in rows] + [np.eye(k)[-1]], dtype)
    with np.errstate(all="ignore"):
        for name in ("softmax", "log_softmax", "logsumexp"):
            expected = getattr(scipy.special, name)(Z, axis=-1)
            np.testing.assert_allclose(getattr(fastlr, name)(Z), expected, rtol=1e-6, err_msg=name)


def test_logit_outside_its_domain():
    np.testing.assert_array_equal(fastlr.logit([0.0, 1, -0.1, 1.1, np.nan]), [-np.inf, np.inf, np.nan, np.nan, np.nan])


# ---- accuracy -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sigma", [1, 8, 100])
@pytest.mark.parametrize("dtype", REALS)
def test_accuracy_of_the_sigmoid_family(isa, dtype, sigma):
    z = (sigma * np.random.default_rng(sigma).normal(size=300)).astype(dtype)
    with mpmath.workprec(400):
        wide = [mpmath.mpf(float(v)) for v in z]
        sigmoids = [1 / (1 + mpmath.exp(-v)) for v in wide]
        expected = {
            "sigmoid": sigmoids,
            "sigmoid_derivative": [s * (1 / (1 + mpmath.exp(v))) for s, v in zip(sigmoids, wide, strict=True)],
            "log_sigmoid": [-mpmath.log1p(mpmath.exp(-v)) for v in wide],
        }
        expected = {name: np.array([as_longdouble(v) for v in values]) for name, values in expected.items()}
    for name, values in expected.items():
        assert_ulp(name, getattr(fastlr, name)(z), values, f"sigma {sigma}")


@pytest.mark.parametrize("sigma", [1, 8, 100])
@pytest.mark.parametrize("dtype", REALS)
def test_accuracy_of_the_softmax_family(isa, dtype, sigma):
    Z = (sigma * np.random.default_rng(sigma).normal(size=(60, 10))).astype(dtype)
    log_A, lse = np.empty(Z.shape, np.longdouble), np.empty(len(Z), np.longdouble)
    A = np.empty(Z.shape, np.longdouble)
    with mpmath.workprec(800):
        for i, row in enumerate(Z):
            wide = [mpmath.mpf(float(v)) for v in row]
            total = mpmath.log(sum(mpmath.exp(v) for v in wide))
            lse[i] = as_longdouble(total)
            log_A[i] = [as_longdouble(v - total) for v in wide]
            A[i] = [as_longdouble(mpmath.exp(v - total)) for v in wide]
    assert_ulp("softmax", fastlr.softmax(Z), A, f"sigma {sigma}")
    assert_ulp("log_softmax", fastlr.log_softmax(Z), log_A, f"sigma {sigma}")
    assert_ulp("logsumexp", fastlr.logsumexp(Z), lse, f"sigma {sigma}", unit=np.maximum(abs(lse), abs(Z.max(axis=1))))
    y = np.arange(60) % 10
    losses = fastlr.cross_entropy(Z, y, reduction="none")
    assert_ulp("cross_entropy", losses, -log_A[np.arange(60), y], f"sigma {sigma}")


def as_longdouble(value):
    return np.longdouble(mpmath.nstr(value, 30))


# ---- axes and layouts -----------------------------------------------------------------------------------------------
@settings(max_examples=200, deadline=None)
@given(logits(), st.data())
def test_any_axis_as_in_scipy(Z, data):
    ndim = Z.ndim
    axes = st.none() | st.sampled_from(range(-ndim, ndim)) if ndim else st.none()
    if ndim:
        axes |= st.lists(st.integers(0, ndim - 1), unique=True, max_size=ndim).map(tuple)
    axis = data.draw(axes)
    for name in ("softmax", "log_softmax", "logsumexp"):
        result = getattr(fastlr, name)(Z, axis=axis)
        assert result.dtype == Z.dtype
        if Z.size:  # scipy refuses the maximum of nothing
            expected = getattr(scipy.special, name)(Z.astype(np.float64), axis=axis)
            np.testing.assert_allclose(result, expected, 1e-4, 1e-4, err_msg=name)
    if Z.size == 0:
        assert np.all(np.isneginf(fastlr.logsumexp(Z, axis=axis)))
    kept = fastlr.logsumexp(Z, axis=axis, keepdims=True)
    assert kept.shape == np.sum(Z, axis=axis, keepdims=True).shape
    np.testing.assert_array_equal(kept.ravel(), np.ravel(fastlr.logsumexp(Z, axis=axis)))


def unaligned(z):
    copy = np.zeros(z.nbytes + 1, np.uint8)[1:].view(z.dtype).reshape(z.shape)
    copy[...] = z
    return copy


def frozen(z):
    z = z.copy()
    z.flags.writeable = False
    return z


LAYOUTS = {
    "C": lambda z: z,
    "Fortran": np.asfortranarray,
    "strided": lambda z: np.repeat(z, 2, axis=-1)[..., ::2],
    "backwards": lambda z: z[::-1, :, ::-1].copy()[::-1, :, ::-1],
    "transposed": lambda z: z.transpose(2, 0, 1).copy().transpose(1, 2, 0),
    "unaligned": unaligned,
    "byte-swapped": lambda z: z.astype(z.dtype.newbyteorder()),
    "read-only": frozen,
}


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_values(dtype, layout):
    z = RNG.random((5, 4, 9)).astype(dtype)
    other = LAYOUTS[layout](z)
    for name in ELEMENTWISE:
        function = getattr(fastlr, name)
        np.testing.assert_array_equal(function(other), function(z), f"{name} {layout}")
    for name in (*AXIS_FUNCTIONS, "logsumexp"):
        function = getattr(fastlr, name)
        for axis in (0, 1, 2, (0, 2), (2, 0), None):
            np.testing.assert_allclose(function(other, axis), function(z, axis), 1e-6, err_msg=f"{name} axis {axis}")


@pytest.mark.parametrize("name", [*ELEMENTWISE, *AXIS_FUNCTIONS])
def test_dtypes(name):
    function = getattr(fastlr, name)
    assert function(np.float32([0.25, 0.5])).dtype == np.float32
    assert function(np.float32([0.25, 0.5]).astype(">f4")).dtype == np.float32
    for other in ("float16", "longdouble", "int8", "uint64", "bool", ">f8"):
        z = np.array([0, 1], other)
        result = function(z)
        assert result.dtype == np.float64, other
        np.testing.assert_array_equal(result, function(z.astype(np.float64)))
    np.testing.assert_array_equal(function([0, 1]), function(np.array([0.0, 1.0])))


@pytest.mark.parametrize("name", [*ELEMENTWISE, *AXIS_FUNCTIONS])
def test_scalars_and_empty_arrays(name):
    function = getattr(fastlr, name)
    for scalar in (0.25, np.float32(0.25), np.array(0.25)):
        result = function(scalar)
        assert isinstance(result, np.floating)
        assert result == function(np.atleast_1d(scalar))[0]
    for shape in ((0,), (0, 3), (3, 0), (2, 0, 3)):
        assert function(np.empty(shape, np.float32)).shape == shape
    assert function([]).dtype == np.float64


def test_logsumexp_of_scalars_and_nothing():
    assert isinstance(fastlr.logsumexp([1.0, 2.0]), np.float64)
    assert fastlr.logsumexp(3.0) == 3
    assert fastlr.logsumexp(np.float32(3), axis=None, keepdims=True).shape == ()
    np.testing.assert_array_equal(fastlr.logsumexp(np.empty((2, 0))), [-np.inf, -np.inf])
    assert fastlr.logsumexp(np.empty((0, 3))).shape == (0,)


# ---- out ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["sigmoid", *AXIS_FUNCTIONS])
@pytest.mark.parametrize("layout", ["C", "Fortran", "strided", "backwards", "transposed", "unaligned"])
def test_out_of_any_layout(name, layout):
    function = getattr(fastlr, name)
    z = RNG.normal(size=(5, 4, 9))
    for options in [{}] if name == "sigmoid" else [{"axis": axis} for axis in (-1, 0, (0, 1), None)]:
        expected = function(z, **options)
        out = LAYOUTS[layout](np.zeros_like(z))
        assert function(z, out=out, **options) is out
        np.testing.assert_allclose(out, expected, 1e-14)
        in_place = LAYOUTS[layout](z.copy())
        assert function(in_place, out=in_place, **options) is in_place
        np.testing.assert_allclose(in_place, expected, 1e-14)


@pytest.mark.parametrize("name", ["sigmoid", *AXIS_FUNCTIONS])
def test_out_that_does_not_fit(name):
    function = getattr(fastlr, name)
    z = RNG.normal(size=(4, 6))
    untouched = z.copy()
    memory = np.zeros((5, 6))
    memory[:4] = z
    with pytest.raises(ValueError, match=r"out has dtype float64 and shape \(4, 5\); expected .*\(4, 6\)"):
        function(z, out=np.empty((4, 5)))
    with pytest.raises(ValueError, match="dtype float32"):
        function(z, out=np.empty((4, 6), np.float32))
    with pytest.raises(ValueError, match="read-only"):
        function(z, out=frozen(z))
    with pytest.raises(TypeError, match="out is a list"):
        function(z, out=[])
    for overlapping in (memory[1:], memory[3::-1], memory[:4, ::-1]):
        with pytest.raises(ValueError, match="overlaps"):
            function(memory[:4], out=overlapping)
    np.testing.assert_array_equal(z, untouched)
    np.testing.assert_array_equal(memory[:4], untouched)
    interleaved = np.zeros((4, 12))
    interleaved[:, ::2] = z
    function(interleaved[:, ::2], out=interleaved[:, 1::2])  # shares the block of memory, but no element
    np.testing.assert_array_equal(interleaved[:, 1::2], function(z))


# ---- the rest -------------------------------------------------------------------------------------------------------
@settings(max_examples=50, deadline=None)
@given(logits(shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)))
def test_softmax_rows_are_probabilities(Z):
    A = fastlr.softmax(Z)
    assert np.all((A >= 0) & (A <= 1))
    np.testing.assert_allclose(A.sum(axis=-1), 1, rtol=1e-6)
    J = fastlr.softmax_jacobian(A)
    assert J.shape == (*Z.shape, Z.shape[-1])
    assert J.dtype == Z.dtype
    np.testing.assert_allclose(J.sum(axis=-1), 0, atol=1e-6)
    np.testing.assert_array_equal(J, np.swapaxes(J, -1, -2))


def test_softmax_jacobian_near_certainty():
    a = np.nextafter(1, 0)
    J = fastlr.softmax_jacobian([a, 1 - a])
    np.testing.assert_array_equal(J[0], [a * (1 - a), -a * (1 - a)])
    with pytest.raises(ValueError, match="scalar"):
        fastlr.softmax_jacobian(0.5)


def test_one_hot():
    np.testing.assert_array_equal(fastlr.one_hot([0, 2, 1]), np.eye(3)[[0, 2, 1]])
    np.testing.assert_array_equal(fastlr.one_hot([[1], [0]], 4), np.eye(4)[[[1], [0]]])
    assert fastlr.one_hot(3).shape == (4,)
    assert fastlr.one_hot(np.empty(0, int)).shape == (0, 0)
    assert fastlr.one_hot(np.empty(0, int), 3).shape == (0, 3)
    np.testing.assert_array_equal(fastlr.one_hot(np.array([True, False])), reference.one_hot([1, 0], 2))
    with pytest.raises(ValueError, match=r"1 label outside \[0, 3\): first is 3 at row 1"):
        fastlr.one_hot([0, 3], 3)
    with pytest.raises(ValueError, match="outside"):
        fastlr.one_hot([-1, 2])
    with pytest.raises(TypeError, match="float64"):
        fastlr.one_hot([0.0, 1.0])


@pytest.mark.parametrize("name", [*ELEMENTWISE, *AXIS_FUNCTIONS, "logsumexp"])
@pytest.mark.parametrize("bad", [1j, "a", [object()], np.array(["2020"], "M8[Y]"), None])
def test_what_is_not_a_real_number(name, bad):
    with pytest.raises(TypeError, match="expected real numbers"):
        getattr(fastlr, name)(bad)


@pytest.mark.parametrize("axis", [2, -3, (0, 5)])
def test_axis_that_does_not_exist(axis):
    with pytest.raises(np.exceptions.AxisError):
        fastlr.softmax(np.zeros((2, 2)), axis)
    with pytest.raises(ValueError, match="once"):
        fastlr.softmax(np.zeros((2, 2)), (0, 0))
    with pytest.raises(TypeError):
        fastlr.softmax(np.zeros((2, 2)), 0.5)
