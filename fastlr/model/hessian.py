"""Second derivatives of an objective's losses as matrices, from all rows or from a telling sample of them.

The Hessian of the mean loss is sum_i w_i J_i (x) u_i u_i' / s with u_i a standardised row (1 appended for the
intercept) and J_i = d a_i / d z_i: diag(a) - a a' for softmax, diag(a (1 - a)) for sigmoid, I for squared error.

The class block H_c = sum_i q_i u_i u_i' / s has row weights q_i = w_i a_ic (1 - a_ic).  Near an optimum most rows are
classified with confidence and weigh nothing, so a few thousand rows drawn with probabilities in proportion to q, each
weighted by q_i / p_i, give an unbiased H_c of small variance.
"""

from functools import partial

import numpy as np

from fastlr import _core

_PILOT_VALUES = 1 << 22  # probabilities computed at most to draw samples from
_SLOPE_VALUES = 1 << 25  # probabilities computed at most for their mean slopes
_BLOCK_VALUES = 1 << 18  # values of X whose squares are made at a time
_SUMS = 24  # parts of a sum over all rows, whatever the number of threads
_LEAST_ERROR = 1e-9  # whose logit is finite
_TINY = np.finfo(float).tiny
_PRODUCT_VALUES = 1 << 21  # values of the weighted rows made at a time for the whole Hessian


def activations(objective, v, rows=slice(None)):
    """A (m, k) in the real type: the model's probabilities (squared error: values) of some rows."""
    A = objective.some_logits(v, rows)
    if objective.loss == "softmax":
        _core.rows("softmax", A, A, objective.n_threads)
    elif objective.loss == "sigmoid":
        _core.map("sigmoid", A, A, objective.n_threads)
    return A


def mean_slopes(objective, v):
    """Mean of J_i = d a_i / d z_i (k, k) at v: the Hessian of the mean loss in the intercept."""
    step = max(1, -(-objective.n * objective.k // _SLOPE_VALUES))
    A = activations(objective, v, slice(None, None, step))
    weight = None if objective.weight is None else np.ascontiguousarray(objective.weight[::step])
    total = len(A) if weight is None else max(weight.sum(), np.finfo(float).tiny)
    mean = np.average(A, axis=0, weights=weight) if weight is not None else A.mean(axis=0, dtype=np.float64)
    squares = _core.Problem(A, None, 1, weight=weight, n_threads=objective.n_threads).gram()[0] / total
    if objective.loss == "softmax":
        return np.diag(squares.sum(axis=1)) - squares
    return np.diag(mean - np.diag(squares))


def class_blocks(objective, v, n_rows):
    """Functions of a number of threads that make H_c (d + 1, d + 1), or (d, d) without an intercept, for each class.

    From about n_rows rows each.  What these rows miss of a feature's own curvature, which for rare features can be all
    of it, is added to the diagonal.
    """
    step = max(1, -(-objective.n * objective.k // _PILOT_VALUES))
    rows = slice(None, None, step)
    Q = _mending_slopes(activations(objective, v, rows), objective.dense_targets(rows), objective.loss)
    weight = np.ones(len(Q)) if objective.weight is None else objective.weight[rows]
    Q *= (weight * (objective.total_weight / max(weight.sum(), _TINY))).astype(Q.dtype)[:, None]
    own = _own_curvature(objective, Q, step) if n_rows < len(Q) else np.zeros((objective.k, 1))
    makers = []
    for c in range(objective.k):
        q = Q[:, c].astype(np.float64)
        taken, probability = _sample(q, n_rows, objective.rng)
        makers.append(partial(_block, objective, step * taken, q[taken] / probability, own[c]))
        objective.n_passes += len(taken) / objective.n
    return makers


def _block(objective, rows, weight, own, n_threads):
    H = objective.gram(rows, weight, n_threads)
    diagonal = np.einsum("jj->j", H)
    np.maximum(diagonal, own, out=diagonal)
    return H


def _own_curvature(objective, Q, step):
    """The diagonals (k, D) of H_c, from every step-th row: Q (m, k) is for them."""
    n, size = len(Q), max(1, _BLOCK_VALUES // objective.d)
    n_blocks = -(-n // size)
    n_sums = min(n_blocks, _SUMS)

    def block(start):
        stop = min(start + size, n)
        U = objective.standardised(slice(start * step, stop * step, step), Q.dtype)
        return (Q[start:stop].T @ np.square(U, out=U)).astype(np.float64)

    def partial_sum(i):
        return sum(block(b * size) for b in range(i * n_blocks // n_sums, (i + 1) * n_blocks // n_sums))

    return sum(_core.parallel_for(partial_sum, n_sums, objective.n_threads)) / objective.total_weight


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


def _sample(q, m, rng):
    """Indices of about m rows drawn in proportion to q, and the probability of each; all that weigh where m suffice.

    Systematic sampling: one random offset on the cumulated probabilities, so that the number drawn hardly varies.
    """
    if m >= len(q):
        taken = np.flatnonzero(q)
        return taken, np.ones(len(taken))
    probability = np.minimum(q * (m / max(q.sum(), np.finfo(float).tiny)), 1.0)
    for _ in range(4):  # what certain rows cannot take is left to the others
        certain = probability >= 1
        rest = probability[~certain].sum()
        if not certain.any() or rest == 0:
            break
        probability[~certain] = np.minimum(probability[~certain] * ((m - certain.sum()) / rest), 1.0)
    ticks = np.floor(np.cumsum(probability) + rng.random())
    taken = np.flatnonzero(np.diff(ticks, prepend=0.0) >= 1)
    return taken, probability[taken]


def hessian(objective, v):
    """The whole Hessian of F at v (size, size), float64, class by class as `Objective.by_class` has them."""
    k, D = objective.k, objective.d + objective.fit_intercept
    H = np.zeros((k, D, k, D))
    if objective.loss == "softmax":
        block = max(1, _PRODUCT_VALUES // (k * D))
        for start in range(0, objective.n, block):
            rows = slice(start, start + block)
            A = activations(objective, v, rows).astype(np.float64)
            weight = None if objective.weight is None else objective.weight[rows]
            add_hessian(H, objective, objective.standardised(rows), A, weight)
        H /= objective.total_weight
    else:
        slopes = _slopes(activations(objective, v).astype(np.float64), objective.loss)
        if objective.weight is not None:
            slopes *= objective.weight[:, None]
        for c in range(k):
            H[c, :, c] = objective.gram(weight=slopes[:, c].copy())
    return add_penalty(H, objective)


def add_hessian(H, objective, U, A, weight):
    """H (k, D, k, D) += sum_i w_i J(a_i) (x) u_i u_i' for some rows U (m, D), their activations A (m, k) and weights.

    For softmax the Gram matrix of the rows a_i (x) u_i is subtracted.
    """
    k, D = H.shape[:2]
    weight = np.ones(len(U)) if weight is None else weight
    if objective.loss == "softmax":
        AU = (A[:, :, None] * U[:, None, :]).reshape(len(U), k * D)
        flat = H.reshape(k * D, k * D)
        flat -= _gram(AU, weight, objective.n_threads)
    slopes = A if objective.loss == "softmax" else _slopes(A, objective.loss)
    for c in range(k):
        H[c, :, c] += _gram(U, weight * slopes[:, c], objective.n_threads)


def add_penalty(H, objective):
    """The Hessian of F (size, size) from that of the mean loss (k, D, k, D), which is used up."""
    k, D = H.shape[:2]
    H = H.reshape(k * D, k * D)
    np.einsum("jj->j", H).reshape(k, D)[:, : objective.d] += objective.strength
    return H


def _gram(U, weight, n_threads):
    return _core.Problem(U, None, 1, weight=weight, n_threads=n_threads).gram()[0]
