"""Loss and gradient of a linear model in one pass over X: the mean, or sums that add up over parts of the rows.

The logits, their loss, the residual R = w (A - Y) and the gradient R' X are made tile by tile while a tile is in the
cache.  Parameters, gradients and sums are float64; tiles compute in float32 for float32, 8- and 16-bit X, else float64.
"""

import numpy as np

from fastlr import _core
from fastlr._input.arrays import (
    as_array,
    check_feature_vector,
    check_finite,
    check_labels,
    check_sample_weight,
    check_targets,
    check_X,
)
from fastlr._input.csr import Csr, check_csr, check_finite_values, is_sparse, problem_of
from fastlr._input.hints import hinted_function
from fastlr._input.layout import as_real
from fastlr._input.options import check_number, check_option
from fastlr._runtime.threads import resolve_n_threads
from fastlr.losses import mean_factor


@hinted_function
@np.errstate(all="ignore")  # results are looked at
def loss_and_grad(X, W, b, y, *, loss="softmax", sample_weight=None, alpha=0.0, scale=None, shift=None,
                  n_threads=None):
    """Mean loss of the linear model and its gradient, in one pass over X.

    With logits Z = ((X - shift) * scale) W' + b, computes sum(w * loss(Z, y)) / sum(w) + alpha / 2 ||W||^2.  X is read
    once, as it is: no copy is made of an array in native byte order, and no (n, k) array.

    Parameters
    ----------
    X : array-like (n, d)
        float64, float32, float16, bfloat16, or integers or booleans of any size; any layout.  Or a sparse matrix or
        array of SciPy: CSR is read as it is, other formats are converted first.
    W : array-like (k, d), or (d,) for one logit a row
        Weights.
    b : array-like (k,), or a scalar or (1,) where W is (d,)
        Intercepts, not penalised.
    y : array-like
        Integer labels (n,) or targets (n, k); with one logit 0/1 labels or targets (n,).  Rows of probabilities for
        "softmax" are taken as in `fastlr.cross_entropy`.
    loss : {"softmax", "sigmoid", "squared_error"}, default="softmax"
        Multinomial cross-entropy; binary cross-entropy (k = 1) or k independent ones, summed; half the squared error,
        summed over the k outputs.  Integer labels with k > 1 mean their one-hot rows.
    sample_weight : array-like (n,), default=None
        Non-negative; None means 1.
    alpha : float, default=0.0
        Strength of the L2 penalty.
    scale, shift : float or array-like (d,), default=None
        The model sees (X - shift) * scale; None means 1 and 0.
    n_threads : int, default=None
        As in `fastlr.softmax`; the result does not depend on it.

    Returns
    -------
    loss : float
    grad_W : ndarray of W's shape, float64
    grad_b : ndarray of b's shape, float64

    Raises
    ------
    TypeError
        If X or y are not of usable types.
    ValueError
        If shapes do not match, X, W or b are not finite (naming the first place in X), labels lie outside [0, k),
        weights are negative or all zero, an option has an unknown value, or X is memory-mapped and its file has become
        too short (if that happens during the pass, the system ends the process).

    See Also
    --------
    partial_loss_and_grad : Sums over a part of the rows; its arguments are in another order, X, y, W, b.
    """
    alpha = check_number("alpha", alpha, minimum=0)
    (value, grad_W, grad_b), n, weight = _sums(X, y, W, b, loss, sample_weight, scale, shift, n_threads)
    per_weight = mean_factor(n, weight)
    value, grad_W, grad_b = value * per_weight, grad_W * per_weight, grad_b * per_weight
    if alpha:
        W = as_real(W, "W").astype(np.float64, copy=False)
        grad_W += alpha * W
        value += 0.5 * alpha * float(np.einsum("...j,...j->...", W, W).sum())  # a BLAS would leave its threads spinning
    return value, grad_W, grad_b


@hinted_function
@np.errstate(all="ignore")
def partial_loss_and_grad(X, y, W, b, *, loss="softmax", sample_weight=None, scale=None, shift=None, n_threads=None):
    """Sums over some of the rows that add up to the loss and gradient of all, in one pass over X.

    Of parts of the data, wherever they lie, the four results are added; the mean loss is the sum of the losses over the
    sum of the weights, its gradient likewise, and alpha / 2 ||W||^2 and alpha W are added once.

    Parameters
    ----------
    X, y, W, b, loss, scale, shift, n_threads
        As in `loss_and_grad`, X and y of this part; X may have no rows.
    sample_weight : array-like (n,), default=None
        Non-negative, all 0 too; None means 1.

    Returns
    -------
    loss : float
        sum(w * loss(Z, y)).
    grad_W : ndarray of W's shape, float64
        R' X' of residuals R = w (A - Y) and features X' = (X - shift) * scale.
    grad_b : ndarray of b's shape, float64
        Sums of the columns of R.
    weight : float
        sum(w).

    Raises
    ------
    TypeError, ValueError
        As in `loss_and_grad`.

    See Also
    --------
    loss_and_grad : The mean over all rows; its arguments are in another order, X, W, b, y.

    Notes
    -----
    X and y come first, so that a part of the data, an (X, y), is passed as ``partial_loss_and_grad(*part, W, b)``.
    """
    (value, grad_W, grad_b), n, weight = _sums(X, y, W, b, loss, sample_weight, scale, shift, n_threads, is_part=True)
    return value, grad_W, grad_b, float(n if weight is None else weight.sum())


def _sums(X, y, W, b, loss, sample_weight, scale, shift, n_threads, *, is_part=False):
    """The loss and its gradients as sums, the number of rows and their weights; those of a part as they are given."""
    n_threads = resolve_n_threads(n_threads)
    X = check_csr(X, n_threads) if is_sparse(X) else check_X(X)
    check_option("loss", loss, _core.LOSSES)
    n, d = X.shape
    W, b = (as_real(value, name).astype(np.float64, copy=False) for value, name in ((W, "W"), (b, "b")))
    if W.ndim not in (1, 2) or W.shape[-1] != d:
        raise ValueError(f"W has shape {W.shape} and X {X.shape}; expected W (n_classes, {d}), or ({d},) for one "
                         f"logit; the arguments are {'X, y, W, b' if is_part else 'X, W, b, y'}")
    W_rows = np.atleast_2d(W)
    k = len(W_rows)
    if b.shape != (k,) and not (W.ndim == 1 and b.ndim == 0):
        raise ValueError(f"b has shape {b.shape} and W {W.shape}; expected b ({k},), one intercept a row of W")
    target = _model_targets(y, n, k, loss, _core.real_dtype(X.dtype))
    weight = check_sample_weight(sample_weight, n, may_be_zero=is_part)
    weight = weight if is_part else _core.moderate_weights(weight)[0]  # of a mean the largest may be any
    problem = problem_of(X, target, k, loss=loss, weight=weight, scale=check_feature_vector(scale, d, "scale"),
                         shift=check_feature_vector(shift, d, "shift"), n_threads=n_threads)
    value, grad_W, grad_b = problem.loss_and_grad(W_rows, b.reshape(k))
    if not (np.isfinite(value) and np.isfinite(grad_W).all() and np.isfinite(grad_b).all()):
        for name, parameter in (("W", W), ("b", b)):
            if not np.isfinite(parameter).all():
                raise ValueError(f"{name} has values that are not finite; expected finite parameters")
        (check_finite_values if isinstance(X, Csr) else check_finite)(X, n_threads)
    return (value, grad_W.reshape(W.shape), grad_b.reshape(b.shape)[()]), n, weight


def _model_targets(y, n, k, loss, dtype):
    """Labels or targets of a model with k logits a row."""
    y = as_array(y, "y")
    if k > 1 or loss == "softmax":
        return check_labels(y, n, k) if y.ndim == 1 else check_targets(y, n, k, dtype, loss=loss)
    if loss == "sigmoid" and y.dtype.kind in "iub" and y.ndim == 1:
        return check_labels(y, n, 2)
    return check_targets(y[:, None] if y.ndim == 1 else y, n, 1, dtype, loss=loss)
