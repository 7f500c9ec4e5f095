"""The objective along a line w + t s: what a line search asks, by passes or from logits that are kept.

Logits are linear in the parameters: those of w + t s are Z + t S, which the row kernels turn into losses and residuals
R; the slope of the mean loss is <R, S> / total weight, that of the penalty is linear in t.  A search then costs the two
halves of a pass, X S' before it and R' X after it, however many lengths it tries.  But X is read twice: few classes
wait for memory, and few features leave nothing to save (`keeps_logits`).  Of sparse rows the halves are a pass.

What rounding does: Z is a sum of products with parameters that were each rounded to the real type, the logits of a
point within rounding of w, as rounding.py has it, but for errors of single rows.  Each step adds one rounding of its
own to those, so that Z is made anew after RENEWED steps.
"""

import numpy as np

from fastlr import _core
from fastlr.model.memory import CACHED_VALUES, KEPT_VALUES
from fastlr.model.penalty import square

CLASSES = 30  # and 8 times as many features, from which the halves of a pass cost about what a whole one does
RENEWED = 16  # steps: then the rows' errors have about doubled


class Point:
    """A point w, F and its gradient there, and its logits (n, k) where they are kept.

    A line that starts here takes the logits along to the point where it ends.
    """

    def __init__(self, w, value, grad, logits=None, steps=0):
        self.w, self.value, self.grad = w, value, grad
        self.logits, self.steps = logits, steps


def keeps_logits(rows):
    """Whether searches along lines cost least from kept logits."""
    if not rows.is_at_hand or rows.n * rows.k > KEPT_VALUES:
        return False
    return rows.is_sparse or min(rows.k, rows.d // 8) >= CLASSES


class PassLine:
    """F at w + t s, a pass each time."""

    flat = 0.9  # part of the first slope that is small enough to end a search: another length costs a pass

    def __init__(self, objective, start, s):
        self.objective, self.w, self.s = objective, start.w, s
        self.last = None

    def value_and_slope(self, t):
        """F and its derivative by t; infinities where there are none."""
        point = self.objective.at(self.w + t * self.s)
        self.last = t, point
        return (point.value, float(point.grad @ self.s)) if np.isfinite(point.value) else (np.inf, np.inf)

    def end(self, t):
        """The Point w + t s."""
        if self.last is None or self.last[0] != t:
            self.value_and_slope(t)
        return self.last[1]


class LogitLine:
    """F at w + t s, from the logits Z (n, k) of w, which change to those of the line's end."""

    flat = 0.3

    def __init__(self, objective, start, s):
        self.objective, self.start, self.s = objective, start, s
        rows, penalty = objective.rows, objective.penalty
        W, D = objective.matrix(start.w), objective.matrix(s)
        if start.logits is None or start.steps >= RENEWED:
            start.logits, start.steps = rows.logits(W), 0
        self.S = rows.logits(D, with_offset=False)
        size = max(1, CACHED_VALUES // rows.k)
        self.parts = [slice(i, i + size) for i in range(0, rows.n, size)]
        self.penalty = penalty.along(W, D, rows.n_threads)
        d = rows.d
        self.size = square(W[:, :d], D[:, :d], objective.rounding.kappa**2, rows.n_threads)

    def _by_part(self, work):
        return _core.parallel_for(lambda i: work(self.parts[i]), len(self.parts), self.objective.rows.n_threads)

    def value_and_slope(self, t):
        """F and its derivative by t; infinities where logits have lost their digits."""
        rows, Z = self.objective.rows, self.start.logits
        if not self.objective.has_digits(max(self.size(t), 0.0) ** 0.5):
            return np.inf, np.inf

        def work(part):
            S = self.S[part]
            R = Z.dtype.type(t) * S
            R += Z[part]
            return rows.residuals(R, part), float(np.vdot(R, S))

        loss, slope = np.sum(self._by_part(work), axis=0) / rows.total_weight
        value, slope = float(loss + self.penalty(t)), float(slope + self.penalty.deriv()(t))
        return (value, slope) if np.isfinite(value) else (np.inf, np.inf)

    def end(self, t):
        """The Point w + t s: half a pass."""
        Z, start = self.start.logits, self.start
        start.logits = None

        def work(part):
            Z[part] += Z.dtype.type(t) * self.S[part]

        self._by_part(work)
        self.S = None
        return self.objective.at(start.w + t * self.s, logits=Z, steps=start.steps + 1)
