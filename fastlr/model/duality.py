"""Numbers that the optimal value of an objective cannot be below: docs/solvers.md has the proofs.

By Fenchel duality: for residuals r_i (k,) in the domain of the conjugates f_i* of the rows' losses, with S* = 1/s sum_i
w_i (r_i . o_i - f_i*(r_i)) and G_j = 1/s sum_i w_i r_i u_ij,

    F* >= S* - sum_j ||G_j||^2 / (2 alpha p_j),    provided that G_j = 0 where nothing is penalised, as the intercept.

`gradient_bound` takes r_i = loss'(z_i) at any point, moved so that the intercept's G is 0: it costs no pass.
`shifted_bound` moves them less, by a Newton step of the intercept: a Hessian product.

Rounding (rounding.py) counts against them.  Where the point V itself is used, D = S - <V, G> - sum_j ||G_j||^2 / (2
alpha p_j) changes with G by -(V + G / (alpha p)), which vanishes at an optimum: errors of G only cost what is left of
it.
"""

import numpy as np

from fastlr.model import rounding
from fastlr.model.hessian import mean_slopes

_TINY = np.finfo(float).tiny
_ALWAYS = 1e-12  # what a rate may be short of 1 that is taken for it
_MEANS = 16 * np.finfo(float).eps  # what means of the targets and offsets, and logarithms near 0, are off by
_SLOPE = 100  # times the slopes, at most, an entropy is: -log a of the least probability that counts


def gradient_bound(objective, v, value, grad, *, is_balanced=False):
    """A bound of the optimal value from F and its gradient at any v; 0 where features are not penalised.

    Rounding errors of X's real type are allowed for.  `is_balanced` takes the intercept's gradient for 0, which tells
    what `shifted_bound` might prove.
    """
    G, g = objective.split(grad)
    G = G - objective.strength * objective.split(v)[0]
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
    G = G - objective.strength * objective.split(v)[0]
    return _bound(objective, v, value, float(step @ change), G, g)


def _pseudo_solve(J, g):
    """J^+ g for the positive semi-definite J (k, k) of any loss."""
    scale, vectors = np.linalg.eigh(J)
    inverse = np.where(scale > 1e-7 * scale.max(), 1 / np.maximum(scale, _TINY), 0.0)
    return vectors @ (inverse * (vectors.T @ g))


def _bound(objective, v, value, lost, G, g):
    """The dual value of residuals with gradients G, g of the mean loss, less what their conjugates lost."""
    V, c = objective.split(v)
    S = value - 0.5 * float(np.vdot(V, objective.strength * V))
    known = np.zeros(objective.k) if g is None else g
    dual = S - lost - float(np.vdot(V, G)) - float(c @ known)
    dual -= rounding.value_error(objective, V, c, S, G, known)
    return _dual_value(objective, dual, G, g, V)


def probability_bound(objective, S, G, g):
    """A bound of the optimal value from any probabilities: their S*, and the gradients of their residuals."""
    dual = S - rounding.unit(objective) * (rounding.VALUE * abs(S) + rounding.LOGITS * objective.offset_size)
    return _dual_value(objective, dual, G, g)


def _dual_value(objective, dual, G, g, V=0.0):
    """A bound from the S* of residuals, less what G costs, once they are moved so that g, if given, becomes 0.

    V (k, d) is the point that S* was made with, if any.
    """
    if not (dual > 0 and objective.is_penalised):
        return 0.0
    strength = np.where(objective.is_constant, np.inf, objective.strength)
    error = rounding.gradient_error(objective, G)
    with np.errstate(over="ignore", invalid="ignore"):
        if objective.fit_intercept and g is not None:
            scattered = float(np.maximum.reduce(error, axis=None, initial=0.0)) ** 2 * objective.k
            dual -= _SLOPE * scattered / max(dual, _TINY) if objective.loss != "squared_error" else scattered
            dual, G = _balanced(objective, *_without_absent(objective, dual, G, g))
        dual -= rounding.together((V + G / strength) * error)
        dual -= 0.5 * float(np.vdot(G / strength, G) + np.vdot(error / strength, error))
    return max(dual, 0.0) if np.isfinite(dual) else 0.0


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
    never = rate[absent] if objective.loss == "softmax" else np.minimum(rate, 1 - rate)[absent]
    chosen = np.minimum(np.abs(g[absent]) + np.abs(never) + objective.resolution, 0.5)
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
    q_value -= _MEANS * (objective.k + objective.offset_size)
    return (1 - theta) * dual + theta * q_value, (1 - theta) * G + theta * objective.gradient_at_base_rate()


def entropies(p, loss):
    """-p log p for probabilities of any shape, plus the same of 1 - p for labels."""
    def part(p):
        return -p * np.log(np.where(p > 0, p, 1.0))

    return part(p) + part(1 - p) if loss == "sigmoid" else part(p)


def _entropy(q, loss):
    """Entropy of the row q (k,), or the sum of its k binary entropies."""
    return float(np.sum(entropies(q, loss)))
