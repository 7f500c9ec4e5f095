"""Numbers that the optimal value of an objective cannot be below, by Fenchel duality: docs/solvers.md has the proofs.

For residuals r_i (k,) in the domain of the conjugates f_i* of the rows' losses, with S* = 1/s sum_i w_i (r_i . o_i -
f_i*(r_i)) and G_j = 1/s sum_i w_i r_i u_ij,

    F* >= S* - sum_j ||G_j||^2 / (2 alpha p_j),    provided that G_j = 0 where nothing is penalised, as the intercept.

`gradient_bound` takes r_i = loss'(z_i) at any point, moved so that the intercept's G is 0: it costs no pass.
`shifted_bound` moves them less, by a Newton step of the intercept: a Hessian product.
`newton_bound` takes the residuals after a Newton step, linearised, which makes any G_j 0: a pass and a solve.
"""

import numpy as np

from fastlr.curvature import activations, mean_slopes

_ROW_VALUES = 1 << 20  # values of the float64 rows that newton_bound makes at a time
_REFINEMENTS = 3
_REST = 1e-9  # mean residual times standardised feature that may be taken for rounding
_TINY = np.finfo(float).tiny
_ROUNDING = 8 * np.finfo(float).eps  # of sums, and of a value from the next
_ALWAYS = 1e-12  # rounding of a weighted mean of ones


def gradient_bound(objective, v, value, grad, *, is_balanced=False):
    """A bound of the optimal value from F and its gradient at any v; 0 where features are not penalised.

    Rounding errors of X's real type are allowed for.  `is_balanced` takes the intercept's gradient for 0, which tells
    what `shifted_bound` might prove.
    """
    G, g = objective.split(grad)
    G = G - objective.alpha * objective.factors * objective.split(v)[0]
    return _bound(objective, v, value, 0.0, G, None if is_balanced else g)


def shifted_bound(objective, v, value, grad):
    """A bound of the optimal value, from F and its gradient at v and one Hessian product.

    Probabilities a + J e, J = da/dz, stand for those after a Newton step e of the intercept alone: their mean residual
    is 0 but for rounding, and their entropy is less than its tangent by at most e' (mean J) e.
    """
    if not objective.fit_intercept or objective.loss == "squared_error":
        return 0.0
    _, g = objective.split(grad)
    e = -_pseudo_solve(mean_slopes(objective, v), g)
    e /= max(1.0, np.ptp(e), np.abs(e).max() if objective.loss == "sigmoid" else 0.0)  # a + J e >= 0
    step = np.zeros(objective.size)
    objective.split(step)[1][:] = e
    change = objective.hessp(v, step)
    G, g = objective.split(grad + change)
    G = G - objective.alpha * objective.factors * objective.split(v)[0]
    return _bound(objective, v, value, float(step @ change), G, g)


def _pseudo_solve(J, g):
    """J^+ g for the positive semi-definite J (k, k) of any loss."""
    scale, vectors = np.linalg.eigh(J)
    inverse = np.where(scale > 1e-7 * scale.max(), 1 / np.maximum(scale, _TINY), 0.0)
    return vectors @ (inverse * (vectors.T @ g))


def _bound(objective, v, value, lost, G, g):
    """The dual value of residuals with gradients G, g of the mean loss, less what their conjugates lost."""
    V, c = objective.split(v)
    S = value - 0.5 * float(np.vdot(V, objective.alpha * objective.factors * V))
    terms = [S, -lost, -float(np.vdot(V, G))]
    if objective.fit_intercept and g is not None:
        terms.append(-float(c @ g))
    return _dual_value(objective, terms, G, g)


def probability_bound(objective, S, G, g):
    """A bound of the optimal value from any probabilities: their S*, and the gradients of their residuals."""
    return _dual_value(objective, [S], G, g)


def _dual_value(objective, terms, G, g):
    """S* = sum of the terms, less what G costs, for residuals moved so that g, if given, becomes 0."""
    strength = objective.alpha * objective.factors
    dual = sum(terms)
    if objective.fit_intercept and g is not None:
        dual, G = _balanced(objective, *_without_absent(objective, dual, G, g))
    squares = np.einsum("cj,cj->j", G, G)
    free = strength == 0
    if np.any(squares[free] > 0):
        return 0.0
    dual -= 0.5 * float(np.sum(squares / np.where(free, 1.0, strength)))
    rounding = 4 * objective.resolution + _ROUNDING  # of each term: X's real type, and float64 whatever X is
    return max(dual - rounding * sum(map(abs, terms)), 0.0)


def _without_absent(objective, dual, G, g):
    """The dual value, G and g of residuals that are 0 for classes or labels that never (or, labels, always) occur.

    Their probabilities must have mean 0.  Given to another class they take at most the entropy H(mean) of whether the
    class is chosen, by concavity, and change what the offset adds by at most twice its largest value.
    """
    rate = objective.base_rate
    if objective.loss == "squared_error":
        return dual, G, g
    absent = rate == 0
    if objective.loss == "sigmoid":
        absent |= rate >= 1 - _ALWAYS
    if not absent.any():
        return dual, G, g
    chosen = np.minimum(np.abs(g[absent]), 0.5)
    largest = 0.0 if objective.offset is None else float(np.abs(objective.offset).max())
    dual -= _entropy(chosen, "sigmoid") + 2 * largest * float(np.abs(g[absent]).sum())
    G, g = G.copy(), g.copy()
    if objective.loss == "softmax":
        heir = rate.argmax()
        G[heir] += G[absent].sum(axis=0)
        g[heir] += g[absent].sum()
    G[absent] = 0.0
    g[absent] = 0.0
    return dual, G, g


def _balanced(objective, dual, G, g):
    """The dual value and gradient of residuals moved so that their mean g becomes 0.

    Probabilities become (1 - theta) a + theta q, with the q in reach of the base rates that cancels g at the least
    theta; their entropy is concave, so this value is a bound from below.
    """
    rate = objective.base_rate
    if objective.loss == "squared_error":  # the residuals r - g: standardised features have mean 0
        return dual + 0.5 * float(g @ g) + float(g @ (rate - objective.mean_offset)), G
    need = g / np.maximum(rate, _TINY)
    if objective.loss == "sigmoid":
        need = np.maximum(need, -g / np.maximum(1 - rate, _TINY))
    ratio = max(float(need.max()), 0.0)
    if ratio == 0:
        return dual, G
    theta = ratio / (1 + ratio)
    q = np.clip(rate - g / ratio, 0, 1)
    q_value = _entropy(q, objective.loss) + float(q @ objective.mean_offset) - objective.mean_target_offset
    return (1 - theta) * dual + theta * q_value, (1 - theta) * G + theta * objective.gradient_at_base_rate()


def newton_bound(objective, v, solve):
    """A bound of the optimal value from a point near the optimum, with or without a penalty.

    With s = -H^-1 grad, the probabilities a' = a + J U s satisfy G' = -alpha P (V + s) up to rounding: the condition of
    an optimum.  If they lie in [0, 1] they are a dual point whose gap is of second order in s.  What rounding leaves of
    G' where there is no penalty is counted with the coefficients at v + s in place of the optimum's.

    Parameters
    ----------
    objective : Objective
    v : ndarray (size,)
    solve : callable
        (size,) -> (size,), the inverse of the Hessian at v, or nearly.

    Returns
    -------
    float
        0 where some a' is no probability: v is not yet near enough.
    """
    strength = objective.alpha * objective.factors
    free = strength == 0
    s, best = np.zeros(objective.size), 0.0
    for _ in range(_REFINEMENTS):
        dual, residual, inside = _linearised(objective, v, s)
        V, c = objective.split(v + s)
        G, g = objective.split(residual)
        rest = max(np.abs(G[:, free]).max(initial=0.0), np.abs(g).max(initial=0.0))
        if inside and rest <= _REST:
            squares = np.einsum("cj,cj->j", G, G)
            penalty = 0.5 * float(np.sum(squares[~free] / strength[~free]))
            rounding = float(np.abs(G * V)[:, free].sum() + np.abs(g * c).sum())
            best = max(best, dual - penalty - 2 * rounding - 4 * np.finfo(float).eps * abs(dual))
        gradient = (G + strength * V).ravel()
        s = s - solve(np.concatenate([gradient, g]) if objective.fit_intercept else gradient)
    return best


def _linearised(objective, v, s):
    """S* and G of the residuals at a + J U s, in v's order, and whether these are probabilities; float64 throughout."""
    S, e = objective.split(s)
    G, g = np.zeros_like(S), np.zeros_like(e)
    dual, inside, k = 0.0, True, objective.k
    block = max(1, _ROW_VALUES // (objective.d + k))
    for start in range(0, objective.n, block):
        rows = slice(start, start + block)
        U, A = objective.standardised(rows)[:, : objective.d], activations(objective, v, rows).astype(np.float64)
        Y = objective.dense_targets(rows)
        change = U @ S.T + e
        if objective.loss == "softmax":
            A /= A.sum(axis=1, keepdims=True)
            A *= 1 + change - (A * change).sum(axis=1, keepdims=True)
        else:
            A += change * (A * (1 - A) if objective.loss == "sigmoid" else 1.0)
        R = A - Y
        if objective.loss == "squared_error":
            values = -R * (0.5 * R + Y)
        else:
            inside = inside and A.min(initial=0.0) >= 0 and A.max(initial=0.0) <= 1 + 1e-12
            values = _entropies(A, objective.loss)
        if objective.offset is not None:
            values = values + R * objective.offset[rows]
        if objective.weight is not None:
            values, R = values * objective.weight[rows, None], R * objective.weight[rows, None]
        dual += float(values.sum())
        G += R.T @ U
        g += R.sum(axis=0)
    objective.n_passes += 1
    residual = np.concatenate([G.ravel(), g]) if objective.fit_intercept else G.ravel()
    return dual / objective.total_weight, residual / objective.total_weight, inside


def _entropies(p, loss):
    """-p log p for probabilities of any shape, plus the same of 1 - p for labels."""
    def part(p):
        return -p * np.log(np.where(p > 0, p, 1.0))

    return part(p) + part(1 - p) if loss == "sigmoid" else part(p)


def _entropy(q, loss):
    """Entropy of the row q (k,), or the sum of its k binary entropies."""
    return float(np.sum(_entropies(q, loss)))
