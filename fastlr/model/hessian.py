"""Second derivatives of the mean loss of rows as matrices, from all rows or from a telling sample of them.

The Hessian of the mean loss is sum_i w_i J_i (x) u_i u_i' / s with u_i a standardised row (1 appended for the
intercept) and J_i = d a_i / d z_i: diag(a) - a a' for softmax, diag(a (1 - a)) for sigmoid, I for squared error.

The class block H_c = sum_i q_i u_i u_i' / s has row weights q_i = w_i a_ic (1 - a_ic).  Near an optimum most rows are
classified with confidence and weigh nothing, so a few thousand rows drawn with probabilities in proportion to q, each
weighted by q_i / p_i, give an unbiased H_c of small variance.

`activations` is a function of part of the rows, a slice, that makes the A (m, k) of the model in question, the
caller's to use up.
"""

from functools import partial

import numpy as np
from scipy.linalg import lapack

from fastlr import _core
from fastlr.model.memory import BLOCK_VALUES, KEPT_VALUES
from fastlr.model.numerics import EPS, TINY

_PILOT_VALUES = 1 << 22  # probabilities computed at most to draw samples from
_SUMS = 24  # parts of a sum over all rows, whatever the number of threads
_LEAST_ERROR = 1e-9  # whose logit is finite


def mean_slopes(rows, activations):
    """Mean of J_i = d a_i / d z_i (k, k): the Hessian of the mean loss in the intercept."""
    step = max(1, -(-rows.n * rows.k // KEPT_VALUES))
    A = activations(slice(None, None, step))
    weight = None if rows.weight is None else np.ascontiguousarray(rows.weight[::step])
    total = len(A) if weight is None else max(weight.sum(), TINY)
    mean = np.average(A, axis=0, weights=weight) if weight is not None else A.mean(axis=0, dtype=np.float64)
    squares = _core.Problem(A, None, 1, weight=weight, n_threads=rows.n_threads).gram()[0] / total
    if rows.loss == "softmax":
        return np.diag(squares.sum(axis=1)) - squares
    return np.diag(mean - np.diag(squares))


def mean_gram(rows, part):
    """Mean of u u' (D, D) over part of the rows, by their weights if they have any."""
    weight = None if rows.weight is None else np.ascontiguousarray(rows.weight[part])
    if weight is not None and not weight.any():
        weight = None
    gram = rows.gram(weight, part)
    return gram / (len(rows.y[part]) if weight is None else weight.sum())


def weighted_means(rows, activations, step):
    """Mean weight rho (k,) of every step-th row's slopes, and the mean features (k, D) under these weights."""
    n, size = -(-rows.n // step), max(1, BLOCK_VALUES // max(rows.k, rows.d))
    n_blocks = -(-n // size)
    n_sums = min(n_blocks, _SUMS)

    def block(b):
        part = slice(b * size * step, min((b + 1) * size, n) * step, step)
        Q = _mending_slopes(activations(part, n_threads=1), rows.targets(part), rows.loss)
        if rows.weight is not None:
            Q *= rows.weight[part].astype(Q.dtype)[:, None]
        return np.column_stack([rows.outer(Q, part, n_threads=1), Q.sum(axis=0, dtype=np.float64)])

    def partial_sum(i):
        return sum(block(b) for b in range(i * n_blocks // n_sums, (i + 1) * n_blocks // n_sums))

    sums = sum(_core.parallel_for(partial_sum, n_sums, rows.n_threads))
    rows.n_passes += 0.5 / step
    total = n if rows.weight is None else rows.weight[::step].sum()
    weight = np.maximum(sums[:, -1], TINY)
    return weight / total, sums[:, :-1] / weight[:, None]


def class_blocks(rows, activations, n_rows):
    """Functions of a number of threads that make H_c (D, D) of the mean loss for each class.

    From about n_rows rows each.  What these rows miss of a feature's own curvature, which for rare features can be all
    of it, is added to the diagonal.
    """
    step = max(1, -(-rows.n * rows.k // _PILOT_VALUES))
    part = slice(None, None, step)
    Q = _mending_slopes(activations(part), rows.targets(part), rows.loss)
    weight = np.ones(len(Q)) if rows.weight is None else rows.weight[part]
    Q *= (weight * (rows.total_weight / max(weight.sum(), TINY))).astype(Q.dtype)[:, None]
    own = _own_curvature(rows, Q, step) if n_rows < len(Q) else np.zeros((rows.k, 1))
    offset = rows.rng.random(rows.k)

    def sample(c):
        q = Q[:, c].astype(np.float64)
        taken, probability = _sample(q, n_rows, offset[c])
        return step * taken, q[taken] / probability

    samples = _core.parallel_for(sample, rows.k, rows.n_threads)
    rows.n_passes += sum(len(taken) for taken, _ in samples) / rows.n
    return [partial(_block, rows, *samples[c], own[c]) for c in range(rows.k)]


def _block(rows, part, weight, own, n_threads):
    H = rows.gram(weight, part, n_threads) / rows.total_weight
    diagonal = np.einsum("jj->j", H)
    np.maximum(diagonal, own, out=diagonal)
    return H


def _own_curvature(rows, Q, step):
    """The diagonals (k, D) of H_c, from every step-th row: Q (m, k) is for them."""
    n, size = -(-rows.n // step), max(1, BLOCK_VALUES // rows.d)
    n_blocks = -(-n // size)
    n_sums = min(n_blocks, _SUMS)

    def block(start):
        stop = min(start + size, n)
        U = rows.features(slice(start * step, stop * step, step), Q.dtype)
        return (Q[start:stop].T @ np.square(U, out=U)).astype(np.float64)

    def partial_sum(i):
        return sum(block(b * size) for b in range(i * n_blocks // n_sums, (i + 1) * n_blocks // n_sums))

    rows.n_passes += 0.5 / step
    return sum(_core.parallel_for(partial_sum, n_sums, rows.n_threads)) / rows.total_weight


def _mending_slopes(A, Y, loss):
    """Slopes of the activations (m, k), but of an error r > 1/2 what mends it.

    With r = 1 / (1 + e^-x), (r - 1/2) / x is the curvature of the parabola that touches the loss at x and -x and lies
    above it (Jaakkola and Jordan 2000, Bayesian parameter estimation via variational methods, section 2), where a
    Newton step goes far beyond what mends the error.
    """
    slopes = _slopes(A, loss)
    if loss == "squared_error":
        return slopes
    errors = np.abs(np.subtract(A, Y, out=A), out=A)  # callers have no more use for A
    varies = errors > 0.5
    r = np.clip(errors[varies].astype(np.float64), 0.5 + _LEAST_ERROR, 1 - _LEAST_ERROR)  # x is neither 0 nor infinite
    slopes[varies] = (r - 0.5) / np.log(r / (1 - r))
    return slopes


def _slopes(A, loss):
    """d a / d z of each logit (m, k)."""
    return np.ones_like(A) if loss == "squared_error" else A * (1 - A)


def _sample(q, m, offset):
    """Indices of about m rows drawn in proportion to q, and the probability of each; all that weigh where m suffice.

    Systematic sampling: one random offset in [0, 1) on the cumulated probabilities, so that the number drawn hardly
    varies.
    """
    if m >= len(q):
        taken = np.flatnonzero(q)
        return taken, np.ones(len(taken))
    probability = q * (m / max(q.sum(), TINY))
    np.minimum(probability, 1.0, out=probability)
    for _ in range(4):  # what certain rows cannot take is left to the others
        certain = probability >= 1
        rest = probability.sum(where=~certain)
        if not certain.any() or rest == 0:
            break
        np.multiply(probability, (m - certain.sum()) / rest, out=probability, where=~certain)
        np.minimum(probability, 1.0, out=probability)
    ticks = np.cumsum(probability)
    ticks += offset
    np.floor(ticks, out=ticks)
    passed = np.empty(len(ticks), bool)
    passed[0] = ticks[0] >= 1
    np.greater(ticks[1:], ticks[:-1], out=passed[1:])
    taken = np.flatnonzero(passed)
    return taken, probability[taken]


def hessian(rows, activations):
    """The whole Hessian of the mean loss (k D, k D), float64, class by class."""
    k, D = rows.k, rows.D
    H = np.zeros((k, D, k, D))
    if rows.loss == "softmax":
        block = max(1, BLOCK_VALUES // (k * D))
        for start in range(0, rows.n, block):
            part = slice(start, start + block)
            A = activations(part).astype(np.float64)
            weight = None if rows.weight is None else rows.weight[part]
            add_hessian(H, rows, rows.features(part), A, weight)
        rows.n_passes += 0.5
        H /= rows.total_weight
    else:
        for c, block in enumerate(label_blocks(rows, activations)):
            H[c, :, c] = block
    return H.reshape(k * D, k * D)


def label_blocks(rows, activations):
    """H_c of the mean loss (k, D, D), exactly, for each logit: of labels these are the Hessian."""
    H, size = np.zeros((rows.k, rows.D, rows.D)), max(1, BLOCK_VALUES // rows.k)
    for start in range(0, rows.n, size):
        part = slice(start, start + size)
        slopes = _slopes(activations(part).astype(np.float64), rows.loss)
        if rows.weight is not None:
            slopes *= rows.weight[part, None]
        for c in range(rows.k):
            H[c] += rows.gram(slopes[:, c].copy(), part)
    return H / rows.total_weight


def cholesky(H, n_logits, loss):
    """L (size, size), lower, of L L' = H, a Hessian of so many logits, finite and used up.

    What rounding made indefinite, and features without curvature, are raised as little as will do. For softmax one row
    added to all classes changes no probability: that freedom gets a curvature.
    """
    diagonal = np.einsum("jj->j", H)
    if loss == "softmax":
        curvature = np.add.reduce(diagonal.reshape(n_logits, -1), axis=0) / n_logits
        D = len(curvature)
        of_same_feature = np.einsum("ajbj->abj", H.reshape(n_logits, D, n_logits, D))
        of_same_feature += curvature
    relative = EPS
    while True:
        diagonal *= 1 + relative
        L, failed = lapack.dpotrf(H, lower=1)
        if not failed:
            return L
        relative *= 10
        diagonal[diagonal <= 0] = 1.0


def add_hessian(H, rows, U, A, weight):
    """H (k, D, k, D) += sum_i w_i J(a_i) (x) u_i u_i' for some rows U (m, D), their activations A (m, k) and weights.

    For softmax the Gram matrix of the rows a_i (x) u_i is subtracted.
    """
    k, D = H.shape[:2]
    weight = np.ones(len(U)) if weight is None else weight
    if rows.loss == "softmax":
        AU = (A[:, :, None] * U[:, None, :]).reshape(len(U), k * D)
        flat = H.reshape(k * D, k * D)
        flat -= _gram(AU, weight, rows.n_threads)
    slopes = A if rows.loss == "softmax" else _slopes(A, rows.loss)
    for c in range(k):
        H[c, :, c] += _gram(U, weight * slopes[:, c], rows.n_threads)


def _gram(U, weight, n_threads):
    return _core.Problem(U, None, 1, weight=weight, n_threads=n_threads).gram()[0]
