"""L-BFGS whose initial metric knows the data.

The two-loop recursion (Nocedal 1980; Nocedal and Wright, Numerical Optimization, algorithm 7.4 and equation 7.20) with
a metric's inverse in place of the identity: if asked to, times the factor that makes it right along the last step, for
curvature falls by orders where classes are nearly separable.
"""

import math
from collections import deque

import numpy as np

from fastlr.model.numerics import TINY
from fastlr.solvers.line_search import search

MEMORY = 20  # pairs
METRIC_PASSES = 4  # passes that a metric serves whose successor costs about as much,
REFRESH = 50  # and one that costs many


class Pairs:
    """Steps s and changes y of the gradient, at most `memory` of them, and the product with the inverse they imply."""

    def __init__(self, memory=MEMORY):
        self.pairs = deque(maxlen=memory)

    def add(self, s, y):
        """Take a pair note unless its curvature is lost in rounding."""
        curvature = float(s @ y)
        if curvature > 1e-12 * math.sqrt(float(s @ s) * float(y @ y)):
            self.pairs.append((s, y, 1 / curvature))

    def clear(self):
        """Forget them all."""
        self.pairs.clear()

    def direction(self, grad, solve, *, scaled=False):
        """Minus the inverse Hessian's approximation times grad, from H0^-1 = solve, scaled to the last pair or not."""
        q, parts = grad.copy(), []
        part = np.empty_like(q)  # arrays made at each pair cost more than what is computed with them
        for s, y, rho in reversed(self.pairs):
            a = rho * float(s @ q)
            parts.append(a)
            q -= np.multiply(a, y, out=part)
        q = solve(q)
        if self.pairs and scaled:
            _, y, rho = self.pairs[-1]
            q /= rho * max(float(y @ solve(y)), TINY)
        for (s, y, rho), a in zip(self.pairs, reversed(parts), strict=True):
            q += np.multiply(a - rho * float(y @ q), s, out=part)
        return np.negative(q, out=q)


def lbfgs(objective, progress, solve, pairs, budget, *, scaled=False):
    """Minimise from the best point of `progress` in the metric that `solve` inverts, for about so many passes.

    The pairs outlive the metric, for they tell of the objective.  Metrics that are cheap and soon out of date are best
    `scaled` to the last of them.
    """
    point, limit = progress.point, objective.n_passes + budget
    while objective.n_passes < limit and not progress.stop():
        found = search(objective, point, pairs.direction(point.grad, solve, scaled=scaled))
        if found is None:
            pairs.clear()
            found = search(objective, point, -solve(point.grad))
        if found is None:
            progress.stall()
            return
        progress.see(found)
        pairs.add(found.w - point.w, found.grad - point.grad)
        point = found
