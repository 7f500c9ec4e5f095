"""The sigmoid and softmax families and one-hot codes, on arrays of any layout.

float32 in gives float32 out; every other real type (integers, booleans, float16, lists) is computed in float64.
Complex, object and string input raises TypeError.  Stable for any finite input; accuracy in units in the last place
is tabled in docs/numerics.md.  ``n_threads=None`` takes FASTLR_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this
process may use; results do not depend on it.
"""

import numpy as np

from fastlr._input.arrays import as_array, check_labels
from fastlr._input.hints import hinted_function
from fastlr._input.layout import along_axes, as_real, elementwise, reduce_axes
from fastlr._input.options import check_count


@hinted_function
def sigmoid(z, *, out=None, n_threads=None):
    """The logistic function 1 / (1 + exp(-z)), elementwise.

    Parameters
    ----------
    z : array-like of any shape
    out : ndarray, default=None
        Where to write the result: z's shape and the result's dtype, any strides; it may be z itself.
    n_threads : int, default=None

    Returns
    -------
    ndarray of z's shape (`out` where given), or a scalar for a scalar

    Raises
    ------
    TypeError
        If z is not real or out not an array.
    ValueError
        If out has the wrong shape or dtype, is read-only, or overlaps z without being z.
    """
    return elementwise("sigmoid", z, out, n_threads)


@hinted_function
def sigmoid_derivative(z, *, n_threads=None):
    """The derivative sigmoid(z) (1 - sigmoid(z)) of the logistic function, elementwise.

    Parameters
    ----------
    z : array-like of any shape
    n_threads : int, default=None

    Returns
    -------
    ndarray of z's shape, or a scalar for a scalar
    """
    return elementwise("sigmoid_derivative", z, None, n_threads)


@hinted_function
def log_sigmoid(z, *, n_threads=None):
    """log(sigmoid(z)) = -log(1 + exp(-z)), elementwise, without overflow or cancellation.

    Parameters
    ----------
    z : array-like of any shape
    n_threads : int, default=None

    Returns
    -------
    ndarray of z's shape, or a scalar for a scalar
    """
    return elementwise("log_sigmoid", z, None, n_threads)


@hinted_function
def logit(p, *, n_threads=None):
    """The inverse of the logistic function, log(p / (1 - p)), elementwise.

    Parameters
    ----------
    p : array-like of any shape
        Probabilities: -inf for 0, inf for 1, nan outside [0, 1].
    n_threads : int, default=None

    Returns
    -------
    ndarray of p's shape, or a scalar for a scalar
    """
    return elementwise("logit", p, None, n_threads)


@hinted_function
def softmax(Z, axis=-1, *, out=None, n_threads=None):
    """exp(Z) divided by its sum along the axes: probabilities of the classes.

    Parameters
    ----------
    Z : array-like of any shape
        Logits, classes along `axis`.  Slices with nan, with +inf, or of nothing but -inf give nan.
    axis : int, tuple of int or None, default=-1
        Axes that sum to one; None for all.
    out : ndarray, default=None
        Where to write the result: Z's shape and the result's dtype, any strides; it may be Z itself.
    n_threads : int, default=None

    Returns
    -------
    ndarray of Z's shape (`out` where given), or a scalar for a scalar

    Raises
    ------
    TypeError
        If Z is not real or out not an array.
    ValueError
        If out has the wrong shape or dtype, is read-only, or overlaps Z without being Z; AxisError for an axis that Z
        does not have.
    """
    return along_axes("softmax", Z, axis, out, n_threads)


@hinted_function
def log_softmax(Z, axis=-1, *, out=None, n_threads=None):
    """log(softmax(Z)), also where the probability rounds to 1: ``log_softmax([40., 0.])[0]`` is -4.2e-18.

    The largest logit is left out of the sum, log_softmax = z - max - log1p(sum of the others' exp(z - max)), which
    keeps the digits that log(softmax) loses (Blanchard, Higham and Higham, 2021).

    Parameters
    ----------
    Z : array-like of any shape
        Logits, classes along `axis`.  Slices with +inf give nan there and -inf elsewhere; with nan, or of nothing
        but -inf, nan.
    axis : int, tuple of int or None, default=-1
    out : ndarray, default=None
        As in `softmax`.
    n_threads : int, default=None

    Returns
    -------
    ndarray of Z's shape (`out` where given), or a scalar for a scalar

    Raises
    ------
    TypeError, ValueError
        As in `softmax`.
    """
    return along_axes("log_softmax", Z, axis, out, n_threads)


@hinted_function
def logsumexp(Z, axis=-1, keepdims=False, *, n_threads=None):
    """log(sum(exp(Z))) along the axes, without overflow.

    Parameters
    ----------
    Z : array-like of any shape
    axis : int, tuple of int or None, default=-1
        Axes to sum over; None for all.
    keepdims : bool, default=False
        Keep the summed axes, with size 1.
    n_threads : int, default=None

    Returns
    -------
    ndarray without the summed axes, or a scalar; -inf for a sum of no values
    """
    return reduce_axes("logsumexp", Z, axis, keepdims, n_threads)


@hinted_function
def softmax_jacobian(A, *, n_threads=None):
    """The derivatives of softmax, from its values: J[i, j] = dA_i / dZ_j = A_i (delta_ij - A_j).

    Parameters
    ----------
    A : array-like (..., k)
        Rows of probabilities, as `softmax` returns them.
    n_threads : int, default=None
        Accepted as everywhere; NumPy does this on one thread.

    Returns
    -------
    ndarray (..., k, k)

    Raises
    ------
    ValueError
        If A is a scalar.
    """
    A = as_real(A, "A")
    if A.ndim == 0:
        raise ValueError("A is a scalar; expected rows of probabilities, (n, k) or (k,)")
    with np.errstate(all="ignore"):  # products of small probabilities underflow
        J = -A[..., :, None] * A[..., None, :]
        diagonal = np.arange(A.shape[-1])
        J[..., diagonal, diagonal] = A * (1 - A)  # A - A * A would lose the digits near 1
    return J


@hinted_function
def one_hot(y, n_classes=None, *, n_threads=None):
    """Rows of zeros with a one in the label's column.

    Parameters
    ----------
    y : array-like of integers, any shape
        Labels 0 .. n_classes - 1.
    n_classes : int, default=None
        Columns; None for the largest label + 1.
    n_threads : int, default=None
        Accepted as everywhere; NumPy does this on one thread.

    Returns
    -------
    ndarray (..., n_classes), float64

    Raises
    ------
    TypeError
        If y does not hold integers.
    ValueError
        If labels lie outside [0, n_classes).
    """
    y = as_array(y, "y")
    if n_classes is None:
        n_classes = int(y.max()) + 1 if y.size and y.dtype.kind in "iub" else 0
    n_classes = check_count("n_classes", n_classes)
    labels = check_labels(y.reshape(-1), y.size, n_classes)
    Y = np.zeros((y.size, n_classes))
    Y[np.arange(y.size), labels] = 1
    return Y.reshape(*y.shape, n_classes)
