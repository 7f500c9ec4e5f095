"""The logits of each row by the model that was fitted without it, nearly, from one Hessian of the whole fit.

Without row i the sum of the losses and the penalty has at the optimum W of all rows the gradient -w_i r_i u_i' and the
Hessian H - w_i J_i (x) u_i u_i', r_i = a_i - y_i and J_i = d a_i / d z_i. A Newton step from W, by Woodbury's identity
with only (k, k) matrices a row, changes the row's own logits to

    z_i + (I - w_i G_i J_i)^-1 G_i w_i r_i,        G_i = (I (x) u_i') H^-1 (I (x) u_i),

for one logit z_i + w_i g_i r_i / (1 - h_i) with the leverage h_i = w_i g_i J_i (Rad and Maleki 2020, A scalable
estimate of the out-of-sample prediction error via approximate leave-one-out cross-validation, section 2). It is exact
for squared error. C keeps its meaning: the sum's penalty is the same with one row less.

A fit ends near W, not at it: the gradient that is left joins in the step, so that what it leaves of the error is of
second order. H is that of standardised features; the freedom of softmax, to add one row to all classes, does not show,
for r_i and J_i know nothing of it.
"""

import numpy as np
from scipy.linalg import lapack

from fastlr import _core
from fastlr.model.hessian import cholesky, label_blocks
from fastlr.model.memory import BLOCK_VALUES, KEPT_VALUES
from fastlr.model.numerics import EPS
from fastlr.model.row_space import RowSpace, is_wide

LEAST = 4 * EPS  # of 1 - h: less is rounding's


def check_leverages(objective):
    """ValueError if the Hessian is too large to be inverted."""
    rows = objective.rows
    size = (rows.n if is_wide(objective) else rows.d) + rows.intercept
    n_blocks = rows.k if rows.loss != "softmax" else 1
    size *= rows.k // n_blocks
    if n_blocks * size**2 > KEPT_VALUES // 2:
        shape = f"{size} x {size}" if n_blocks == 1 else f"{n_blocks} x {size} x {size}"
        raise ValueError(f"leave-one-out would invert a Hessian of {shape} values; expected at most {KEPT_VALUES // 2} "
                         f"in all: use folds, LogisticRegressionCV(cv=5), or raise FASTLR_KEPT_MIB")


def leave_one_out(objective, w):
    """Logits (n, k) of each row, in the rows' real type, by the model that was fitted without it.

    Parameters
    ----------
    objective : Objective
    w : ndarray (size,)
        Its minimum, or near it.

    Raises
    ------
    ValueError
        If the Hessian is too large, or values are not finite.
    """
    check_leverages(objective)
    rows = objective.rows
    if is_wide(objective):  # without a row the optimum still lies in the span of all
        space = RowSpace(objective)
        Z = rows.logits(objective.matrix(w))
        Z[space.part] = leave_one_out(space.objective, space.project(w))
        rows.n_passes += space.objective.n_passes * rows.n / rows.d
        return Z
    point = objective.at(w)
    W, grad = objective.matrix(w), objective.matrix(point.grad)
    parts, step = [], np.empty(W.shape)
    for logits, H in _hessians(objective, point):
        if not np.isfinite(np.einsum("jj->j", H)).all():
            raise objective.blame()
        L = cholesky(H, len(H) // rows.D, rows.loss)
        step[logits] = lapack.dpotrs(L, grad[logits].ravel(), lower=1)[0].reshape(-1, rows.D)
        parts.append((logits, lapack.dtrtri(L, lower=1)[0] / np.sqrt(rows.total_weight)))
    return rows.row_by_row(_left_out, W, step, parts)


def _left_out(rows, W, step, parts):
    """The logits (n, k) of some rows, from W and a Newton step (k, D), and (logits, root) of the Hessians' inverses."""
    move = _move_of_classes if rows.loss == "softmax" else _move_of_label
    k = rows.k if rows.loss == "softmax" else 1
    size = max(1, BLOCK_VALUES // (3 * (rows.D + rows.k) + k**2 * (rows.D + 3)))
    result = np.empty((rows.n, rows.k), rows.real)

    def block(b):
        part = slice(b * size, (b + 1) * size)
        U, Y, offset, weight = rows.block(part)
        Z = U @ W.T + offset
        A = rows.activations(Z.copy(), 1)
        R, left = weight[:, None] * (A - Y), U @ step.T
        for logits, root in parts:
            Z[:, logits] += move(rows.loss, _inverse_at(U, root), A[:, logits], R[:, logits], left[:, logits], weight)
        result[part] = Z

    _core.parallel_for(block, -(-rows.n // size), rows.n_threads)
    rows.n_passes += 1
    return result


def _hessians(objective, point):
    """Slices of logits whose parameters no others touch, and the Hessians of F in them."""
    rows = objective.rows
    if rows.loss == "softmax":
        yield slice(None), objective.hessian(point)
        return
    for c, H in enumerate(rows.mean_over_parts(label_blocks, objective.matrix(point.w), point.logits)):
        objective.penalty.add_curvature(H)
        yield slice(c, c + 1), H


def _inverse_at(U, root):
    """G (m, k, k) of rows U (m, D), from L^-1 (k D, k D), lower triangular, of H = L L'.

    From H^-1 itself copies of a feature, held by rounding alone, would cost all digits.
    """
    (m, D), size = U.shape, len(root)
    V = np.zeros((m, size // D, size))
    for a in range(size // D):
        V[:, a, a * D :] = U @ root[a * D :, a * D : (a + 1) * D].T
    return V @ V.transpose(0, 2, 1)


def _move_of_label(loss, G, A, R, left, weight):
    """What leaving out each row adds to its one logit (m, 1); `left` is what is missing to the optimum of all rows."""
    g, slope = G[:, 0], 1.0 if loss == "squared_error" else A * (1 - A)
    return (g * R - left) / np.maximum(1 - weight[:, None] * g * slope, LEAST)


def _move_of_classes(_, G, A, R, left, weight):
    """The same (m, k) for softmax."""
    GJ = (G - G @ A[:, :, None]) * A[:, None, :]
    M = (1 + LEAST) * np.eye(A.shape[1]) - weight[:, None, None] * GJ
    return np.linalg.solve(M, G @ R[:, :, None] - left[:, :, None])[:, :, 0]
