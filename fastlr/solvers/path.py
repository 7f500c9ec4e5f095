"""Fits of neighbours: objectives of nearly the same rows or penalty, each begun at the solution of another.

Neighbours have nearly the same curvature. It is made once, near a solution, and serves them all as the metric of
L-BFGS, with the pairs that the first of them has gathered.
"""

from collections import deque
from dataclasses import replace
from functools import cached_property

from fastlr.model.hessian import hessian
from fastlr.model.line import Point
from fastlr.model.row_space import is_wide
from fastlr.model.sample_size import FEATURE_ROWS, SAMPLE_STEP
from fastlr.solvers.auto import minimise
from fastlr.solvers.block_metric import BlockMetric
from fastlr.solvers.lbfgs import MEMORY, REFRESH, Pairs, lbfgs
from fastlr.solvers.newton import factorised
from fastlr.solvers.plan import (
    BLOCK_PASSES,
    EARLY,
    NEWTON_SIZE,
    block_rows,
    blocks_fit,
    has_cheap_hessian,
    pays_for_probabilities,
    samples_weigh,
)
from fastlr.solvers.state import STALLED, Progress


class Curvature:
    """The Hessian of the mean loss at a point, for objectives near the one it is made of; made when first asked for.

    Parameters
    ----------
    objective : Objective
    w : ndarray (size,)
    before : Curvature, default=None
        Whose pairs it takes over.
    passes : int, default=0
        What class blocks may cost, in the operations of passes.

    Attributes
    ----------
    is_whole : bool
        Whether it is the whole Hessian, of some rows at least, so that a penalty can be changed; else class blocks.
    """

    def __init__(self, objective, w, before=None, passes=0):
        self.is_whole = objective.size <= NEWTON_SIZE
        self._objective, self._point, self._passes = objective, Point(w, 0.0, None), max(passes, BLOCK_PASSES)
        self._changes = deque(() if before is None else before._changes, maxlen=MEMORY)

    def solver(self, objective):
        """The inverse of a neighbour's metric, a function."""
        if not self.is_whole:
            return self._metric.solve
        H = self.hessian.copy()
        objective.penalty.add_curvature(H)
        return factorised(objective, H)

    def step(self, objective, grad):
        """The step (size,) from where a neighbour has this gradient to where its minimum is expected."""
        return self.pairs(objective).direction(grad, self.solver(objective))

    def pairs(self, objective):
        """The pairs to begin a neighbour's fit with: known changes of the loss's gradient, and the penalty's."""
        pairs = Pairs()
        for s, y in self._changes:
            pairs.add(s, y + objective.penalty.gradient(objective.matrix(s)).ravel())
        return pairs

    def learn(self, objective, pairs):
        """Take note of the pairs of a fit."""
        self._changes.clear()
        self._changes.extend(
            (s, y - objective.penalty.gradient(objective.matrix(s)).ravel()) for s, y, _ in pairs.pairs
        )

    @cached_property
    def _metric(self):
        hand = self._objective.at_hand
        n_rows = min(block_rows(self._objective.rows, self._passes), hand.rows.n)
        return BlockMetric(hand, self._point, n_rows, is_near=True)

    @cached_property
    def hessian(self):
        """Of the mean loss (size, size)."""
        part, rows = _sampled(self._objective), self._objective.rows
        H = part.rows.mean_over_parts(hessian, part.matrix(self._point.w))
        if part is not self._objective:
            rows.n_passes += part.n_passes * part.rows.n / rows.n
        return H


def share_curvature(objective, solver):
    """Whether neighbours are solved in a common curvature: else each is a fit of its own, begun at a better point.

    Tiny problems have Newton steps of their own that cost less.
    """
    fits = objective.size <= NEWTON_SIZE or blocks_fit(objective.rows)
    shares = solver == "auto" and fits and objective.has_dual and not is_wide(objective)
    return shares and not pays_for_probabilities(objective)


def go_on(objective, points, curvature=None, *, bound=0.0, solver="auto", tol=1e-4, max_iter=1000, callback=None,
          first=False):
    """Minimise an objective from near its minimum, to a proved relative suboptimality.

    Parameters
    ----------
    objective : Objective
    points : iterable of Point
        Where the minimum may be, the cheapest first: what proves one of them good enough ends the fit.
    curvature : Curvature, default=None
        None where a fit is on its own.
    bound : float, default=0.0
        A number that the optimal value is known not to be below.
    solver, tol, max_iter, callback
        As for `minimise`.
    first : bool, default=False
        The curvature learns from this fit.

    Returns
    -------
    Result
    Point or None
        That of the result with its gradient, where a solver leaves it.

    Raises
    ------
    KeyboardInterrupt
        At once: a point of a search that has no end is no model.
    """
    progress = Progress(objective, tol, max_iter, callback)
    progress.see_bound(bound)
    for point in points:
        progress.see(point)
        if progress.suboptimality <= tol:
            progress.stop()
            return progress.result(), progress.point
    if curvature is not None and max_iter > 0 and progress.point is not None:
        pairs = curvature.pairs(objective)
        lbfgs(objective, progress, curvature.solver(objective), pairs, EARLY if curvature.is_whole else REFRESH,
              scaled=not curvature.is_whole)
        if first:
            curvature.learn(objective, pairs)
        if progress.message not in ("", STALLED):
            return progress.result(), progress.point
    w, done = None if progress.point is None else progress.point.w, progress.n_iter
    result = minimise(objective, w, solver=solver, tol=tol, max_iter=max(max_iter - done, 0), callback=callback)
    if result.message == "interrupted":
        raise KeyboardInterrupt
    return replace(result, n_iter=result.n_iter + done), None


def _sampled(objective):
    """The objective, or that of some of its rows where they tell enough of its curvature."""
    rows = objective.rows
    step = rows.n // max(FEATURE_ROWS * objective.size, rows.n // SAMPLE_STEP)
    if step < 2 or has_cheap_hessian(objective) or not samples_weigh(rows, step):
        return objective
    return objective.sample(step)
