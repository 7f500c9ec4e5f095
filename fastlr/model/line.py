"""The objective along a line v + t s: what a line search asks, by passes or from logits that are kept.

Logits are linear in the parameters: those of v + t s are Z + t S, which the row kernels turn into losses and residuals
R; the slope of the mean loss is <R, S> / total weight, that of the penalty is linear in t.  A search then costs the two
halves of a pass, X S' before it and R' X after it, however many lengths it tries.  But X is read twice: few classes
wait for memory, and few features leave nothing to save (`keeps_logits`).

What rounding does: Z is a sum of products with parameters that were each rounded to the real type, the logits of a
point within rounding of v, as rounding.py has it, but for errors of single rows.  Each step adds one rounding of its
own to those, so that Z is made anew after RENEWED steps.
"""

import numpy as np

from fastlr import _core

KEPT_VALUES = 1 << 25  # of an array that is kept for a fit, logits (twice), rows or metrics: 128 MiB of float32
CLASSES = 30  # and 8 times as many features, from which the halves of a pass cost about what a whole one does
RENEWED = 16  # steps: then the rows' errors have about doubled
BLOCK_VALUES = 1 << 15  # logits that are worked on at a time, in cache


def keeps_logits(objective):
    """Whether searches along lines cost least from kept logits."""
    return min(objective.k, objective.d // 8) >= CLASSES and objective.n * objective.k <= KEPT_VALUES


class PassLine:
    """F at v + t s, a pass each time."""

    flat = 0.9  # part of the first slope that is small enough to end a search: another length costs a pass

    def __init__(self, objective, v, s):
        self.objective, self.v, self.s = objective, v, s
        self.last = None

    def value_and_slope(self, t):
        """F and its derivative by t; infinities where there are none."""
        v = self.v + t * self.s
        value, grad = self.objective.loss_and_grad(v)
        self.last = t, (v, value, grad)
        return (value, float(grad @ self.s)) if np.isfinite(value) else (np.inf, np.inf)

    def end(self, t):
        """v + t s, F and its gradient there."""
        if self.last is None or self.last[0] != t:
            self.value_and_slope(t)
        return self.last[1]


class LogitLine:
    """F at v + t s, from the logits Z (n, k) of v, which change to those of the line's end."""

    flat = 0.3

    def __init__(self, objective, v, Z, s):
        self.objective, self.v, self.s, self.Z = objective, v, s, Z
        self.S = objective.logits(s, with_offset=False)
        rows = max(1, BLOCK_VALUES // objective.k)
        self.parts = [slice(i, i + rows) for i in range(0, objective.n, rows)]
        V, D = objective.split(v)[0], objective.split(s)[0]
        self.penalty = _square(V, D, 0.5 * objective.strength)
        self.size = _square(V, D, objective.kappa**2)

    def _by_part(self, work):
        return _core.parallel_for(lambda i: work(self.parts[i]), len(self.parts), self.objective.n_threads)

    def value_and_slope(self, t):
        """F and its derivative by t; infinities where logits have lost their digits."""
        o, step = self.objective, self.Z.dtype.type(t)
        if not o.has_digits(max(self.size(t), 0.0) ** 0.5):
            return np.inf, np.inf

        def work(part):
            S = self.S[part]
            R = step * S
            R += self.Z[part]
            weight = None if o.weight is None else o.weight[part]
            return _core.residual(o.loss, R, o.y[part], weight=weight, R_out=R), float(np.vdot(R, S))

        loss, slope = np.sum(self._by_part(work), axis=0) / o.total_weight
        value, slope = float(loss + self.penalty(t)), float(slope + self.penalty.deriv()(t))
        return (value, slope) if np.isfinite(value) else (np.inf, np.inf)

    def end(self, t):
        """v + t s, F and its gradient there: half a pass."""
        step = self.Z.dtype.type(t)

        def work(part):
            self.Z[part] += step * self.S[part]

        self._by_part(work)
        self.S = None
        v = self.v + t * self.s
        return v, *self.objective.end_of_line(v, self.Z)


def _square(V, D, factors):
    """sum factors (V + t D)^2 as a polynomial in t."""
    return np.polynomial.Polynomial([np.vdot(V * factors, V), 2 * np.vdot(V * factors, D), np.vdot(D * factors, D)])
