"""L-BFGS whose initial metric knows the data.

The two-loop recursion (Nocedal 1980; Nocedal and Wright, Numerical Optimization, algorithm 7.4) with a metric's inverse
in place of a multiple of the identity.
"""

import math
from collections import deque

from fastlr.solvers.line_search import LineSearch

MEMORY = 20


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

    def direction(self, grad, solve):
        """Minus the inverse Hessian's approximation times grad, from H0^-1 = solve."""
        q = grad.copy()
        parts = []
        for s, y, rho in reversed(self.pairs):
            a = rho * float(s @ q)
            parts.append(a)
            q -= a * y
        q = solve(q)
        if self.pairs:  # times the curvature along the last step over the metric's, which may be out of date
            s, y, rho = self.pairs[-1]
            change = float(y @ solve(y))
            q *= 1 / (rho * change) if change > 0 else 1.0
        for (s, y, rho), a in zip(self.pairs, reversed(parts), strict=True):
            q += (a - rho * float(y @ q)) * s
        return -q


def lbfgs(objective, progress, solve, pairs, budget, line=None):
    """Minimise from the best point of `progress` in the metric that `solve` inverts, for about so many passes.

    The pairs outlive the metric, for they tell of the objective, and so may `line`, a LineSearch.
    """
    point = progress.point
    line, limit = line or LineSearch(objective), objective.n_passes + budget
    while objective.n_passes < limit and not progress.stop():
        found = line.search(point, pairs.direction(point.grad, solve))
        if found is None:
            pairs.clear()
            found = line.search(point, -solve(point.grad))
        if found is None:
            progress.stall()
            return
        progress.see(found)
        pairs.add(found.w - point.w, found.grad - point.grad)
        point = found
