"""A number that the optimal value cannot be below, from a point near the optimum, with or without a penalty.

Losses of logistic type are generalised self-concordant (Bach 2010, Self-concordant analysis for logistic regression,
section 2; Sun and Tran-Dinh 2019): along a step D their third derivative is at most max_i range(D u_i) times the
second, range the largest difference of two logits' changes (of labels, the largest change).  With lambda = ||grad
F||_{H^-1} and R >= range(D u_i) / ||D||_H for all rows and steps,

    F* >= F - (x + (1 - x) log(1 - x)) / R^2,    x = R lambda,    provided that x < 1,

and then there is an optimum, too: the classes are not separable.  Of a penalty with absolute values any subgradient at
the point stands for it: the line it makes is nowhere above the penalty.  Softmax sees no step that all classes make
alike: what the penalty could gain by such steps is counted for itself.  For small x the gap is lambda^2 / 2, as by
Newton's quadratic model, which is exact for squared error.

All is summed in float64.  An error of the gradient's entries adds its norm in H^-1 to lambda; one of the curvatures is
taken off H before it is factorised.  Where columns depend on each other H then has no factor, and nothing is proved.
"""

import numpy as np
from scipy.linalg import lapack

from fastlr.model.numerics import EPS
from fastlr.model.rows_base import add

_LEAST_CURVATURE = 1e-100  # of a feature: products with what is smaller underflow
_BLAS = 16  # epsilons of what is added up that a sum of products may be off by


def newton_bound(rows, penalty, W):
    """F(W), and the bound.

    Parameters
    ----------
    rows : Rows
        With so few parameters that a Hessian can be factorised.
    penalty : Ridge or ElasticNet
    W : ndarray (k, D)
        For softmax centred by the penalty's `shift`.

    Returns
    -------
    value : float
        Summed in float64, whatever X's real type.
    bound : float
        0 where W is not yet near enough, or rounding hides the curvature.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        value, least, factors = _expansion(rows, penalty, W)
        lamda, inverse = (np.inf, None) if factors is None else factors
        gap = lamda**2 / 2
        if not gap < least:
            return value, 0.0
        if rows.loss != "squared_error":
            R = _range(rows, inverse)
            x = R * lamda
            if not x < 1:
                return value, 0.0
            if x > 1e-3:  # else x^2/2 + x^3/6 + ... loses its digits
                gap = (x + (1 - x) * np.log1p(-x)) / R**2
            else:
                gap *= 1 + x
        return value, max(float(least - gap), 0.0)


def _expansion(rows, penalty, W):
    """F(W), a number that it is at least, and of its derivatives lambda, at most, and H^-1 (k D, k D), H from below.

    None in place of the last two if H has no factor.
    """
    k, D = rows.k, rows.D
    value, lost, G, E, H, own, squares, shaken = rows.over_parts(_sums, W, join=_join)
    total, strength = rows.total_weight, penalty.strength
    value, lost, G, E, H, own = value / total, lost / total, G / total, E / total, H / total, own / total
    S = penalty.subgradient(W, G, balanced=rows.loss == "softmax")
    if rows.loss == "softmax":
        slope = S.sum(axis=0)
        S = S - slope / k
    G += S
    E += 4 * EPS * (strength * np.abs(W) + np.abs(G))
    value += penalty.value(W)
    least = value - lost - 8 * EPS * value
    if rows.loss == "softmax":
        least -= penalty.worth_of_shift(slope, W, value)
    own = (own + strength).ravel()
    H = H.reshape(k * D, k * D)
    penalty.add_curvature(H)
    if rows.loss == "softmax":  # one row added to all classes changes no probability: steps are centred
        H += np.tile(np.diag(own.reshape(k, D).mean(axis=0)), (k, k))
    used = np.tile((squares > 0) | (strength > 0), k)
    if not (np.isfinite(H).all() and np.isfinite(value) and shaken < 0.05 and (own[used] > _LEAST_CURVATURE).all()):
        return value, least, None
    root = np.sqrt(np.where(used, own, 1.0))
    H = H / np.outer(root, root)
    H *= 1 - 8 * shaken
    H[~used] = H[:, ~used] = 0.0
    H[~used, ~used] = 1.0
    H -= np.diag(np.full(len(H), (_BLAS + 4 * np.sqrt(len(H))) * EPS * len(H) ** 0.5))
    L, failed = lapack.dpotrf(H, lower=1, clean=1)
    if failed:
        return value, least, None
    inverse = lapack.dpotri(L, lower=1)[0]
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    g, e = np.where(used, G.ravel(), 0) / root, np.where(used, E.ravel(), 0) / root
    lamda = np.linalg.norm(lapack.dtrtrs(L, g, lower=1)[0]) + float(e @ np.sqrt(np.diag(inverse)))
    scaled = inverse / np.outer(root, root)
    scaled[~used] = scaled[:, ~used] = 0.0
    return value, least, (float(lamda) * (1 + 1e-9), scaled)


def _sums(rows, W):
    """Losses, what rounding may have changed of them, gradient and its error (k, D), curvature (k, D, k, D), what its
    diagonal is made from (k, D), squares of the features (D,); and, no sum, the largest rounding error of a logit.
    """
    k, D = rows.k, rows.D
    value, lost, G, E = 0.0, 0.0, np.zeros((k, D)), np.zeros((k, D))
    H, own, squares = np.zeros((k, D, k, D)), np.zeros((k, D)), np.zeros(D)
    shaken = 0.0
    for U, Y, offset, weight in rows.blocks():
        Z = U @ W.T + offset
        shake = EPS * (_BLAS * (np.abs(U) @ np.abs(W).T) + np.abs(offset) + np.abs(Z)).max(axis=1)  # of logits
        losses, A, R, slopes = _parts(rows.loss, Z, Y)
        error = EPS * (8 * np.abs(R) + 2 * Y * A) + 4 * shake[:, None] * slopes
        value += float(weight @ losses)
        lost += float(weight @ (np.abs(R).sum(axis=1) * 2 * shake + 8 * EPS * losses))
        G += (R * weight[:, None]).T @ U
        E += ((error + _BLAS * EPS * np.abs(R)) * weight[:, None]).T @ np.abs(U)
        shaken = max(shaken, float(shake[weight > 0].max(initial=0.0)))
        _add_curvature(H, own, rows.loss, U, A, slopes, weight)
        squares += weight @ (U * U)
    return value, lost, G, E, H, own, squares, shaken


def _join(a, b):
    """The sums of two parts of the rows, and the larger of their last values."""
    return *add(a[:-1], b[:-1]), max(a[-1], b[-1])


def _range(rows, inverse):
    """R."""
    k, D = rows.k, rows.D
    blocks = np.einsum("ajal->ajl", inverse.reshape(k, D, k, D))
    if rows.loss == "softmax":  # a range is at most sqrt(2) times the norm of the changes
        blocks = 2 * blocks.sum(axis=0, keepdims=True)
    return np.sqrt(rows.over_parts(_largest_form, blocks, join=max)) * (1 + 1e-6)


def _largest_form(rows, blocks):
    """The largest u' B u over the rows u and the blocks B (D, D)."""
    largest = 0.0
    for U, _, _, weight in rows.blocks():
        U = U[weight > 0]
        for block in blocks:
            found = float(np.einsum("ij,ij->i", U @ block, U).max(initial=0.0))
            largest = max(largest, found if np.isfinite(found) else np.inf)
    return largest


def _parts(loss, Z, Y):
    """Losses (m,), activations, residuals and slopes (m, k) of logits Z; residuals of labels keep their digits."""
    if loss == "squared_error":
        R = Z - Y
        return 0.5 * np.sum(R * R, axis=1), np.abs(Z), R, np.ones_like(Z)
    if loss == "sigmoid":
        small = np.exp(-np.abs(Z))
        p, q = np.where(Z > 0, 1.0, small) / (1 + small), np.where(Z > 0, small, 1.0) / (1 + small)
        losses = np.log1p(small) + np.where(Z > 0, (1 - Y) * Z, -Y * Z)
        return losses.sum(axis=1), p, (1 - Y) * p - Y * q, p * q
    top = Z.argmax(axis=1)[:, None]
    shifted = Z - np.take_along_axis(Z, top, axis=1)
    E = np.exp(shifted)
    np.put_along_axis(E, top, 0.0, axis=1)
    others = E.sum(axis=1, keepdims=True)
    np.put_along_axis(E, top, 1.0, axis=1)
    A = E / (1 + others)
    rest = _sums_of_others(A)
    R = (1 - Y) * A - Y * rest  # of rows that sum to 1
    return np.log1p(others[:, 0]) - np.sum(Y * shifted, axis=1), A, R, A * rest


def _sums_of_others(A):
    """For each class the sum of the other classes' probabilities (m, k)."""
    before, after = np.zeros_like(A), np.zeros_like(A)
    np.cumsum(A[:, :-1], axis=1, out=before[:, 1:])
    np.cumsum(A[:, :0:-1], axis=1, out=after[:, -2::-1])
    return before + after


def _add_curvature(H, own, loss, U, A, slopes, weight):
    """H (k, D, k, D) += sum_i w_i J_i (x) u_i u_i', and to own (k, D) what its diagonal is made from."""
    k = A.shape[1]
    for a in range(k):
        q = weight * slopes[:, a]
        H[a, :, a] += (U * q[:, None]).T @ U
        own[a] += q @ (U * U)
        for b in range(a if loss == "softmax" else 0):
            part = (U * (weight * A[:, a] * A[:, b])[:, None]).T @ U
            H[a, :, b] -= part
            H[b, :, a] -= part
