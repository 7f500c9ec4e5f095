"""Numbers that the optimal value of an objective cannot be below: docs/solvers.md has the proofs.

By Fenchel duality: for residuals r_i (k,) in the domain of the conjugates f_i* of the rows' losses, with S* = 1/s sum_i
w_i (r_i . o_i - f_i*(r_i)) and G_j = 1/s sum_i w_i r_i u_ij,

    F* >= S* - sum_j ||G_j||^2 / (2 alpha p_j),    provided that G_j = 0 where nothing is penalised, as the intercept.

An elastic net takes another conjugate in place of the last term.

`Dual.of_point` takes r_i = loss'(z_i) at any point, moved so that the intercept's G is 0: it costs no pass.
`Dual.of_probabilities` takes any others.

Rounding counts against them.  Where the point V itself is used, D = S - <V, G> - sum_j ||G_j||^2 / (2 alpha p_j)
changes with G by -(V + G / (alpha p)), which vanishes at an optimum: errors of G only cost what is left of it.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special
from scipy.linalg import lapack

from fastlr.model.model_blocks import in_blocks
from fastlr.model.numerics import EPS, TINY
from fastlr.model.penalty import soft
from fastlr.model.rounding import Rounding, together

_ALWAYS = 1e-12  # what a rate may be short of 1 that is taken for it
_MEANS = 16 * EPS  # what means of the targets and offsets, and logarithms near 0, are off by
_REFINED = 3  # solutions, each of what the one before has left
_SURE = 1e-4  # what a value may be off by, relatively, that need not be known well
_PARTS = (0.0, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0)  # of the way between the least mu and that at which nothing is outside
_ABOVE = 1e-14  # what rounding may take off such a mu
_SLOPE = 100  # times the slopes, at most, an entropy is: -log a of the least probability that counts


@dataclass(frozen=True, eq=False)
class Dual:
    """What bounds of one problem are made of besides a point.

    Attributes
    ----------
    loss : {"softmax", "sigmoid", "squared_error"}
    strength : ndarray (d,)
        The penalty's curvature; inf for features that need no coefficient. A 0 where l1 is none or 0 leaves no bound
        above 0.
    intercept : bool
    base_rate, mean_offset : ndarray (k,)
    mean_target_offset : float
        Weighted mean of <y, offset>.
    constant_gradient : ndarray (k, d) or None
        Of a constant model, whatever the constant; None without an intercept.
    rounding : Rounding
    l1 : ndarray (d,) or None
        What an elastic net has for each absolute value; inf where the strength is.
    """

    loss: str
    strength: np.ndarray
    intercept: bool
    base_rate: np.ndarray
    mean_offset: np.ndarray
    mean_target_offset: float
    constant_gradient: np.ndarray | None
    rounding: Rounding
    l1: np.ndarray | None = None

    def __post_init__(self):
        if self.loss not in ("softmax", "sigmoid", "squared_error"):
            raise ValueError(f"loss is {self.loss!r}; expected one whose conjugate is known: add it to this file")

    def of_point(self, W, S, G, lost=0.0, *, most=np.inf, is_balanced=False):
        """A bound from the mean loss S and its gradient G (k, D) at W (k, D), whose conjugates lost so much.

        `most` is a value of the objective, which the penalty of the optimum cannot exceed; an elastic net needs it.
        `is_balanced` takes the intercept's gradient for 0, which tells what a step of the intercept might prove.
        """
        d = len(self.strength)
        V, c = W[:, :d], W[:, d] if self.intercept else np.zeros(len(W))
        g = G[:, d] if self.intercept else np.zeros(len(W))
        known = np.zeros(len(W)) if is_balanced else g
        G = G[:, :d]
        product = sum(self._in_blocks(lambda at: float(np.vdot(V[at], G[at])), G))
        dual = S - lost - product - float(c @ known)
        dual -= self.rounding.of_dual_value(V, c, S, G, known)
        return self._bound(dual, G, None if is_balanced else g, V, most)

    def of_probabilities(self, S, G):
        """A bound from any probabilities: their S*, and the gradient (k, D) of their residuals."""
        d = len(self.strength)
        return self._bound(S - self.rounding.of_entropy(S), G[:, :d], G[:, d] if self.intercept else None)

    @cached_property
    def _is_on_all(self):
        """Whether every coefficient is penalised."""
        return bool((self.strength > 0 if self.l1 is None else (self.strength > 0) | (self.l1 > 0)).all())

    @cached_property
    def _absent(self):
        """Mask (k,) of classes or labels that never, of labels also that always occur; None if there are none."""
        absent = self.base_rate == 0
        if self.loss == "sigmoid":
            absent |= self.base_rate >= 1 - _ALWAYS
        return absent if absent.any() else None

    def _in_blocks(self, work, G):
        return in_blocks(work, G.shape, self.rounding.n_threads)

    def _bound(self, dual, G, g, V=None, most=np.inf):
        """From the S* of residuals, less what G costs, once they are moved so that g, if given, becomes 0.

        V (k, d) is the point that S* was made with, if any.
        """
        if not (dual > 0 and self._is_on_all):
            return 0.0
        as_given, theta = G, 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            if self.intercept and g is not None:
                largest = max(self._in_blocks(
                    lambda at: float(np.maximum.reduce(self.rounding.of_gradient(G[at], at[1]), None, initial=0.0)), G))
                scattered = largest**2 * len(G)
                dual -= _SLOPE * scattered / max(dual, TINY) if self.loss != "squared_error" else scattered
                dual, G, g = self._without_absent(dual, G, g)
                dual, theta = self._balanced(dual, g)

            if self.l1 is not None:
                moved = (1 - theta) * G + theta * self.constant_gradient if theta else G
                error = self.rounding.of_gradient(as_given)
                dual -= _elastic_conjugate(moved, error, 0.0 if V is None else V, self.l1, self.strength,
                                          (1 + _SURE) * most)
                return max(dual, 0.0) if np.isfinite(dual) else 0.0

            def costs(at):
                error, moved = self.rounding.of_gradient(as_given[at], at[1]), G[at]
                if theta:
                    moved = (1 - theta) * moved + theta * self.constant_gradient[at]
                step = moved / self.strength[at[1]]
                cost = 0.5 * float(np.vdot(step, moved) + np.vdot(error / self.strength[at[1]], error))
                return together((step if V is None else V[at] + step) * error) ** 2, cost

            squares, halves = zip(*self._in_blocks(costs, G), strict=True)
            dual -= math.sqrt(sum(squares)) + sum(halves)
        return max(dual, 0.0) if np.isfinite(dual) else 0.0

    def _without_absent(self, dual, G, g):
        """The dual value, G and g of residuals that are 0 for classes or labels that never (labels: always) occur.

        Their probabilities must have mean 0.  Given to another class they take at most the entropy H(mean) of whether
        the class is chosen, by concavity, and change what the offset adds by at most twice its largest value.
        """
        rate = self.base_rate
        if self.loss == "squared_error":
            return dual, G, g
        absent = self._absent
        if absent is None:
            return dual, G, g
        never = rate[absent] if self.loss == "softmax" else np.minimum(rate, 1 - rate)[absent]
        chosen = np.minimum(np.abs(g[absent]) + np.abs(never) + self.rounding.eps, 0.5)
        dual -= _entropy(chosen, "sigmoid") + 2 * self.rounding.offset_size * float(np.abs(g[absent]).sum())
        G, g = G.copy(), g.copy()
        if self.loss == "softmax":
            heir = rate.argmax()
            G[heir] += G[absent].sum(axis=0)
            g[heir] += g[absent].sum()
        G[absent] = 0.0
        g[absent] = 0.0
        return dual, G, g

    def _balanced(self, dual, g):
        """The dual value of residuals moved so that their mean g becomes 0, and theta of the move.

        Probabilities become (1 - theta) a + theta q, with the q in reach of the base rates that cancels g at the least
        theta; their entropy is concave, so this value is a bound from below.
        """
        rate = self.base_rate
        if self.loss == "squared_error":  # the residuals r - g: standardised features have mean 0
            return dual + 0.5 * float(g @ g) + float(g @ (rate - self.mean_offset)), 0.0
        need = g / np.maximum(rate, TINY)
        if self.loss == "sigmoid":
            need = np.maximum(need, -g / np.maximum(1 - rate, TINY))
        ratio = max(float(need.max()), 0.0)
        if ratio == 0:
            return dual, 0.0
        theta = ratio / (1 + ratio)
        q = np.minimum(np.maximum(rate - g / ratio, 0), 1)
        q_value = _entropy(q, self.loss) + float(q @ self.mean_offset) - self.mean_target_offset
        q_value -= _MEANS * (len(q) + self.rounding.offset_size)
        return (1 - theta) * dual + theta * q_value, theta


def intercept_step(J, g, loss):
    """The Newton step e (k,) of the intercept alone, J (k, k) the mean slopes, g (k,) its gradient.

    Shortened so that a + J_i e remain probabilities in every row.
    """
    H = J + 1e-7 * np.diag(J).max() * np.eye(len(J))  # of softmax one slope is 0, others are lost in rounding
    L, failed = lapack.dpotrf(H, lower=1)
    if failed:
        return np.zeros_like(g)
    e = np.zeros_like(g)
    for _ in range(_REFINED):
        e -= lapack.dpotrs(L, g + J @ e, lower=1)[0]
    return e / max(1.0, np.ptp(e), np.abs(e).max() if loss == "sigmoid" else 0.0)


def entropies(p, loss):
    """-p log p for probabilities of any shape, plus the same of 1 - p for labels."""
    def part(p):
        return special.entr(np.maximum(p, 0.0))  # means of labels may be above 1 by rounding

    return part(p) + part(1 - p) if loss == "sigmoid" else part(p)


def _entropy(q, loss):
    """Entropy of the row q (k,), or the sum of its k binary entropies."""
    return float(entropies(q, loss).sum())


def _elastic_conjugate(G, error, V, l1, strength, most):
    """What the gradient G (k, d) of a loss takes off a dual value, G being known but for errors.

    The optimum's penalty P is at most `most`, so that for any mu >= 0

        min_W <G, W> + P(W) >= min_W <G, W> + (1 + mu) P(W) - mu most
                             = -sum_j (|G_j| - (1 + mu) l1_j)_+^2 / (2 (1 + mu) strength_j) - mu most,

    which needs |G_j| <= (1 + mu) l1_j where the strength is 0. The least of a few mu counts. V (k, d), 0 or the point G
    is taken at, is what the rest of the dual value multiplies G with.
    """
    size = np.abs(G) + error
    with np.errstate(all="ignore"):
        ratio = np.where(l1 > 0, size / l1, 0.0)
    hard = strength == 0
    least = max(float(ratio[:, hard].max(initial=0.0)) - 1, 0.0)
    enough = max(float(ratio.max(initial=0.0)) - 1, 0.0)
    return min(_conjugate(G, error, V, l1, strength, hard, least + part * (enough - least), most) for part in _PARTS)


def _conjugate(G, error, V, l1, strength, hard, mu, most):
    mu *= 1 + _ABOVE
    within, q = (1 + mu) * l1, (1 + mu) * strength
    outside = (np.abs(G) + error > within) & ~hard
    with np.errstate(all="ignore"):
        U = np.where(outside, soft(G, within) / q, 0.0)
        squares = np.where(outside, q * U * U + error * error / q, 0.0)
    lost = (V + U) * error
    return mu * most + 0.5 * float(squares.sum()) + float(np.sqrt(np.vdot(lost, lost)))
