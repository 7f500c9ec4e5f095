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

from fastlr.model.hessian import add_hessian
from fastlr.model.memory import BLOCK_VALUES, KEPT_VALUES
from fastlr.solvers import dual
from fastlr.solvers.newton import factorised
from fastlr.solvers.state import IDLE

LEAST = 3e-3  # factor of a probability in a step, and probability of a start: far from an optimum slopes may vanish


def serves(objective):
    """Whether the method applies: all features penalised, all classes present, probabilities that can be kept."""
    rows = objective.rows
    return (
        rows.is_at_hand
        and rows.loss != "squared_error"
        and objective.has_dual
        and rows.n * rows.k <= KEPT_VALUES
        and rows.base_rate.min() > 0
        and (rows.loss == "softmax" or rows.base_rate.max() < 1)
    )


def primal_dual(objective, progress, w):
    """Minimise from w until `progress` is done; if IDLE steps are not enough, it has the gradient to go on."""
    blocks, W = _Blocks(objective.rows), objective.matrix(w)
    L = np.empty((objective.rows.n, objective.rows.k))
    for step in range(IDLE):
        value, bound, H, rhs = _pass(objective, blocks, W, L, follow=step > 0)
        if not np.isfinite(value):
            break
        progress.keep(W.ravel(), value, bound)
        if progress.stop():
            return
        W = W + objective.matrix(factorised(objective, H)(rhs.ravel()))
    progress.begin(w if progress.point is None else progress.point.w)
    if progress.point.grad is None:  # in X's type no logit there has digits
        progress.stall()


def _pass(objective, blocks, W, L, *, follow):
    """F at W, the bound of the probabilities, of logits L, after they followed W, and the next system."""
    (k, D), rows = W.shape, objective.rows
    H = np.zeros((k, D, k, D))
    loss, entropy = 0.0, 0.0
    G, rest = np.zeros((2, k, D))
    for part, U, Y, offset, weight in blocks:
        Z = U @ W.T + offset
        losses = dual.losses(rows.loss, Z, Y)
        before = dual.rows(rows.loss, L[part] if follow else Z)
        L[part] = before.following(Z, LEAST) if follow else before.raised(LEAST)
        p = dual.rows(rows.loss, L[part])
        R, lag = p.p - Y, p.lag(Z)
        entropies = p.entropies() + np.einsum("ij,ij->i", R, offset)
        losses, entropies = losses * weight, entropies * weight
        R, lag = R * weight[:, None], lag * weight[:, None]
        loss += float(losses.sum())
        entropy += float(entropies.sum())
        G += R.T @ U
        rest += lag.T @ U
        add_hessian(H, rows, U, p.p, weight)
    rows.n_passes += 1
    for sums in (G, rest, H):
        sums /= rows.total_weight
    value = loss / rows.total_weight + objective.penalty.value(W)
    bound = objective.dual.of_probabilities(entropy / rows.total_weight, G)
    H = H.reshape(k * D, k * D)
    objective.penalty.add_curvature(H)
    return value, bound, H, -G - rest - objective.penalty.gradient(W)


class _Blocks:
    """Blocks of rows: a slice, U (m, D), Y (m, k), offset (m, k), weight (m,).  One block is kept."""

    def __init__(self, rows):
        self.rows = rows
        self.size = max(1, BLOCK_VALUES // (rows.k * (rows.d + 1)))
        self.only = self._block(0) if rows.n <= self.size else None

    def __iter__(self):
        if self.only is not None:
            return iter([self.only])
        return map(self._block, range(0, self.rows.n, self.size))

    def _block(self, start):
        part = slice(start, start + self.size)
        return part, *self.rows.block(part)
