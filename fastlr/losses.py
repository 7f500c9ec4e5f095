"""Cross-entropy and its gradient, from logits.

Cross-entropy of a row is -sum_j y_j log softmax(z)_j, its gradient A - Y; binary cross-entropy of an element is
-y log sigmoid(z) - (1 - y) log sigmoid(-z), its gradient sigmoid(z) - y.  With weights w both are multiplied by w, and
"mean" divides by the sum of the weights (of no rows: nan).  Losses are summed in double.  float32 logits are computed
in float32, all other reals in float64.
"""

import numpy as np

from fastlr import _core
from fastlr._input.arrays import as_array, check_labels, check_sample_weight, check_targets
from fastlr._input.hints import hinted_function
from fastlr._input.layout import as_real, check_out, deliver, is_ready
from fastlr._input.options import check_number, check_option
from fastlr._runtime.threads import resolve_n_threads
from fastlr._runtime.warnings import warn_user


@hinted_function
def cross_entropy(Z, y, *, sample_weight=None, label_smoothing=0.0, reduction="mean", n_threads=None):
    """Cross-entropy of softmax(Z) against labels or target probabilities, from the logits.

    Parameters
    ----------
    Z : array-like (n, k), or (k,) for one row
        Logits.
    y : array-like of integers (n,), or of target probabilities (n, k)
        A scalar or (k,) where Z is one row.  Rows of probabilities sum to 1: within 1e-4, or the rounding of float16
        or bfloat16 if they came in these.  A row that misses 1 by more than the rounding of Z's dtype is divided by
        its sum: only then is the gradient A - Y that of the loss.
    sample_weight : array-like (n,), default=None
        Non-negative; None means 1.
    label_smoothing : float in [0, 1], default=0.0
        Targets become (1 - label_smoothing) Y + label_smoothing / k.
    reduction : {"mean", "sum", "none"}, default="mean"
        The weighted mean, the weighted sum, or the weighted loss of each row.
    n_threads : int, default=None
        As in `fastlr.softmax`.

    Returns
    -------
    float, or ndarray (n,) in the logits' dtype for "none"

    Raises
    ------
    TypeError
        If Z or y are not of usable types.
    ValueError
        If shapes do not match, labels lie outside [0, k), target rows do not sum to 1, weights are negative or all
        zero, or an option has an unknown value.
    """
    Z, target, weight = _softmax_arguments(Z, y, sample_weight)
    _warn_of_probabilities(Z)
    loss, _ = _reduced("softmax", Z, target, weight, label_smoothing, reduction, False, None, n_threads)
    return loss


@hinted_function
def cross_entropy_from_probabilities(A, y, *, sample_weight=None, label_smoothing=0.0, reduction="mean",
                                     n_threads=None):
    """Cross-entropy of probabilities A against labels or target probabilities: -sum_j y_j log A_j a row.

    From logits use `cross_entropy`: probabilities that have been rounded to 0 or 1 no longer tell losses apart.

    Parameters
    ----------
    A : array-like (n, k), or (k,) for one row
        Probabilities, rows summing to 1 as those of y: within 1e-4, or the rounding of float16 or bfloat16 if they are
        of these types.
    y, sample_weight, label_smoothing, reduction, n_threads
        As in `cross_entropy`.

    Returns
    -------
    float, or ndarray (n,) in the probabilities' dtype for "none"
        Infinite where a target has probability 0.

    Raises
    ------
    TypeError, ValueError
        As `cross_entropy`; and if A has values outside of [0, 1] or rows that do not sum to 1.
    """
    given = as_array(A, "A")
    A, target, weight = _softmax_arguments(given, y, sample_weight, "A")
    k, n_threads = A.shape[-1], resolve_n_threads(n_threads)
    rows = check_targets(given.reshape(-1, k), len(target), k, A.dtype, loss="softmax", name="A")  # by the type it has
    Z = np.empty(A.shape, A.dtype)
    _core.map("log", rows, Z, n_threads)  # -inf of 0: the kernel has 0 log 0 = 0
    loss, _ = _reduced("softmax", Z, target, weight, label_smoothing, reduction, False, None, n_threads)
    return loss


@hinted_function
def cross_entropy_and_grad(Z, y, *, sample_weight=None, label_smoothing=0.0, reduction="mean", out=None,
                           n_threads=None):
    """`cross_entropy` and its gradient with respect to the logits, in one pass.

    Parameters
    ----------
    Z, y, sample_weight, label_smoothing, reduction, n_threads
        As in `cross_entropy`.
    out : ndarray, default=None
        Where to write the gradient: Z's shape and dtype, any strides; it may be Z itself.

    Returns
    -------
    loss : float, or ndarray (n,) for "none"
    dZ : ndarray of Z's shape
        Gradient of the reduced loss; for "none" that of the sum.

    Raises
    ------
    TypeError, ValueError
        As in `cross_entropy`, and for an `out` of wrong shape or dtype, read-only, or overlapping other arguments.
    """
    Z, target, weight = _softmax_arguments(Z, y, sample_weight)
    _warn_of_probabilities(Z)
    return _reduced("softmax", Z, target, weight, label_smoothing, reduction, True, out, n_threads)


@hinted_function
def binary_cross_entropy(z, y, *, sample_weight=None, label_smoothing=0.0, reduction="mean", n_threads=None):
    """Cross-entropy of sigmoid(z) against 0/1 labels or probabilities, elementwise, from the logits.

    Parameters
    ----------
    z : array-like of any shape
        Logits.
    y : array-like of z's shape
        Labels 0 and 1 (integers or booleans), or probabilities in [0, 1].
    sample_weight : array-like that broadcasts to z's shape, default=None
        Non-negative; None means 1.
    label_smoothing : float in [0, 1], default=0.0
        Targets become (1 - label_smoothing) y + label_smoothing / 2.
    reduction : {"mean", "sum", "none"}, default="mean"
        The weighted mean over all elements, the weighted sum, or the weighted loss of each.
    n_threads : int, default=None
        As in `fastlr.softmax`.

    Returns
    -------
    float, or ndarray of z's shape for "none"

    Raises
    ------
    TypeError, ValueError
        As in `cross_entropy`.
    """
    z, target, weight = _sigmoid_arguments(z, y, sample_weight)
    loss, _ = _reduced("sigmoid", z, target, weight, label_smoothing, reduction, False, None, n_threads)
    return loss


@hinted_function
def binary_cross_entropy_and_grad(z, y, *, sample_weight=None, label_smoothing=0.0, reduction="mean", out=None,
                                  n_threads=None):
    """`binary_cross_entropy` and its gradient with respect to the logits, in one pass.

    Parameters
    ----------
    z, y, sample_weight, label_smoothing, reduction, n_threads
        As in `binary_cross_entropy`.
    out : ndarray, default=None
        Where to write the gradient: z's shape and dtype, any strides; it may be z itself.

    Returns
    -------
    loss : float, or ndarray of z's shape for "none"
    dz : ndarray of z's shape, or a scalar for a scalar
        Gradient of the reduced loss; for "none" that of the sum.

    Raises
    ------
    TypeError, ValueError
        As in `cross_entropy_and_grad`.
    """
    z, target, weight = _sigmoid_arguments(z, y, sample_weight)
    return _reduced("sigmoid", z, target, weight, label_smoothing, reduction, True, out, n_threads)


def _softmax_arguments(Z, y, sample_weight, name="Z"):
    """Z as given, and its rows' labels (n,) or probabilities (n, k) and weights."""
    Z, y = as_real(Z, name), as_array(y, "y")
    if Z.ndim not in (1, 2) or Z.shape[-1] == 0:
        what = "logits" if name == "Z" else "probabilities"
        raise ValueError(f"{name} has shape {Z.shape}; expected {what} (n, k), or (k,) for one row, with at least one "
                         f"class")
    k = Z.shape[-1]
    n = len(Z) if Z.ndim == 2 else 1
    if y.ndim == Z.ndim:
        like = "the logits" if name == "Z" else name
        target = check_targets(np.atleast_2d(y), n, k, Z.dtype, loss="softmax", like=like)
    else:
        target = check_labels(np.atleast_1d(y), n, k)
    return Z, target, check_sample_weight(sample_weight, n)


def _warn_of_probabilities(Z):
    """Warn where all of several rows Z (n, k) look like a softmax's result; of most logits a few values tell."""
    if Z.ndim != 2 or len(Z) < 2 or Z.shape[1] < 2:
        return
    first = Z[0, :64].tolist()
    if not (min(first) >= 0 and max(first) <= 1):
        return
    with np.errstate(all="ignore"):
        for rows in (Z[:8], Z):
            if not (abs(rows.sum(axis=1) - 1).max() <= 1e-4 and rows.min() >= 0 and rows.max() <= 1):
                return
    warn_user("Z has values in [0, 1] only and rows that sum to 1; expected logits, not their softmax: for "
              "probabilities use fastlr.cross_entropy_from_probabilities")


def _sigmoid_arguments(z, y, sample_weight):
    """z as given, and its elements' labels (size,) or probabilities (size, 1) and weights."""
    z, y = as_real(z, "z"), as_array(y, "y")
    if y.shape != z.shape:
        raise ValueError(f"y has shape {y.shape} and z {z.shape}; expected the same shape")
    if y.dtype.kind in "iub":
        target = check_labels(y.reshape(-1), z.size, 2)
    else:
        target = check_targets(y.reshape(-1, 1), z.size, 1, z.dtype, loss="sigmoid")
    if sample_weight is not None:
        sample_weight = as_array(sample_weight, "sample_weight")
        try:
            sample_weight = np.broadcast_to(sample_weight, z.shape).reshape(-1)
        except ValueError:
            raise ValueError(f"sample_weight has shape {sample_weight.shape}; expected one that broadcasts to "
                             f"{z.shape}") from None
    return z, target, check_sample_weight(sample_weight, z.size)


def _reduced(loss, Z, target, weight, smoothing, reduction, with_grad, out, n_threads):
    """The reduced loss at logits Z of the user's shape and, if asked for, its gradient in that shape (else None)."""
    check_option("reduction", reduction, ("mean", "sum", "none"))
    smoothing = check_number("label_smoothing", smoothing, 0, 1)
    if out is not None:
        check_out(out, Z, target, weight)
    k = Z.shape[-1] if loss == "softmax" else 1
    n = len(target)
    rows = (Z if is_ready(Z) else Z.copy()).reshape(n, k)
    grad = None
    if with_grad:
        grad = out.reshape(n, k) if out is not None and is_ready(out) else np.empty((n, k), Z.dtype)
    losses = np.empty(n, Z.dtype) if reduction == "none" else None
    factor = 1.0
    if reduction == "mean":
        weight, _ = _core.moderate_weights(weight)
        factor = mean_factor(n, weight)
    total = _core.residual(loss, rows, target, weight=weight, smoothing=smoothing, grad_scale=factor, R_out=grad,
                           loss_out=losses, n_threads=resolve_n_threads(n_threads))
    grad = deliver(grad.reshape(Z.shape), out) if with_grad else None
    if losses is None:
        return total * factor, grad
    return losses.reshape(Z.shape[:-1] if loss == "softmax" else Z.shape)[()], grad


def mean_factor(n, weight):
    """What turns a sum over rows into a mean: nan for no rows, as in NumPy."""
    if n == 0:
        return np.nan
    return 1.0 / n if weight is None else 1.0 / float(weight.sum())
