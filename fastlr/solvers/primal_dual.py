"""Newton's method for small penalised problems, with the probabilities as variables of their own.

An optimum is a pair W, p with

    mean w (p - y) u' + alpha P W = 0,                p_i = activation(z_i),  z_i = W u_i + o_i.

Newton's method on p = activation(z) takes its curvature J(p) where W is: as a row's error vanishes, so does its weight,
and each step gains the row one unit of its logit.  Here the second condition is L(p) = z, L the inverse of the
activation (log p up to a constant, or log p - log(1 - p)).  Linearised, p' = p + J(p) (z' - L(p)), which makes the
first one a system for W':

    (mean w J(p) u u' + alpha P) (W' - W) = mean w (y - p - J(p) (z - L(p))) u' - alpha P W.

W' is taken whole; p' where it is a probability, else p times LEAST, so that a row's error may fall 300 fold in a
step, however small its slope.  Once no row is cut short, p' satisfies the first condition and is a dual point: its
bound on the optimal value (duality.py) does not suffer from features that are hardly penalised.  Compare Chan
and others (1999), A nonlinear primal-dual method for total variation-based image restoration, which linearises the same
way, and primal-dual interior point methods (Boyd and Vandenberghe, Convex Optimization, section 11.7).

All that a step needs of a row depends on that row alone, so that each step is one pass over X.
"""

import numpy as np

from fastlr.model.duality import probability_bound
from fastlr.model.hessian import add_hessian, add_penalty
from fastlr.model.line import KEPT_VALUES
from fastlr.solvers import dual
from fastlr.solvers.newton import factorised

LEAST = 3e-3  # factor of a probability in a step
FIRST = 1e-8  # probability at least, of a start: far from an optimum all slopes may vanish
MOST_STEPS = 100  # then L-BFGS goes on
_ROW_VALUES = 1 << 20  # values of the rows that are standardised at a time


def serves(objective):
    """Whether the method applies: all features penalised, all classes present, probabilities that can be kept."""
    rate = objective.base_rate
    return (
        objective.loss != "squared_error"
        and objective.is_penalised
        and objective.n * objective.k <= KEPT_VALUES
        and rate.min() > 0
        and (objective.loss == "softmax" or rate.max() < 1)
    )


def primal_dual(objective, progress, w):
    """Minimise from w until `progress` is done; if MOST_STEPS are not enough, it has the gradient to go on."""
    rows, W = _Rows(objective), objective.by_class(w)
    L = np.empty((objective.n, objective.k))
    for step in range(MOST_STEPS):
        value, bound, H, rhs = _pass(objective, rows, W, L, follow=step > 0)
        if not np.isfinite(value):
            break
        progress.keep(objective.flat(W), value, bound)
        if progress.stop():
            return
        W = W + factorised(objective, H)(rhs)
    progress.begin(w if progress.w is None else progress.w)


def _pass(objective, rows, W, L, *, follow):
    """F at W, the bound of the probabilities, of logits L, after they followed W, and the next system."""
    (k, D), d = W.shape, objective.d
    H = np.zeros((k, D, k, D))
    loss, entropy = 0.0, 0.0
    G, rest = np.zeros((2, k, D))
    for part, U, Y, offset, weight in rows:
        Z = U @ W.T + offset
        losses = dual.losses(objective.loss, Z, Y)
        before = dual.rows(objective.loss, L[part] if follow else Z)
        L[part] = before.following(Z, LEAST) if follow else before.raised(FIRST)
        p = dual.rows(objective.loss, L[part])
        R, lag = p.p - Y, p.lag(Z)
        entropies = p.entropies() + np.sum(R * offset, axis=1)
        if weight is not None:
            losses, entropies = losses * weight, entropies * weight
            R, lag = R * weight[:, None], lag * weight[:, None]
        loss += float(losses.sum())
        entropy += float(entropies.sum())
        G += R.T @ U
        rest += lag.T @ U
        add_hessian(H, objective, U, p.p, weight)
    objective.n_passes += 1
    for sums in (G, rest, H):
        sums /= objective.total_weight
    if not follow:
        objective.note_gradient(W[:, :d], G[:, :d].copy())
    penalised = objective.penalised(W)
    value = loss / objective.total_weight + 0.5 * float(np.vdot(W, penalised))
    g = G[:, d] if objective.fit_intercept else None
    bound = probability_bound(objective, entropy / objective.total_weight, G[:, :d], g)
    return value, bound, add_penalty(H, objective), -G - rest - penalised


class _Rows:
    """Blocks of rows: a slice, U (m, D), Y (m, k), offset (m, k) or 0, weight (m,) or None.  One block is kept."""

    def __init__(self, objective):
        self.objective = objective
        self.size = max(1, _ROW_VALUES // (objective.k * (objective.d + 1)))
        self.only = self._block(0) if objective.n <= self.size else None

    def __iter__(self):
        if self.only is not None:
            return iter([self.only])
        return map(self._block, range(0, self.objective.n, self.size))

    def _block(self, start):
        o, part = self.objective, slice(start, start + self.size)
        offset = 0.0 if o.offset is None else o.offset[part]
        return part, o.standardised(part), o.dense_targets(part), offset, None if o.weight is None else o.weight[part]
