"""Which solver runs from where: the choice of `solver="auto"`, the start on a sample of the rows, the metric.

0. Where features are more than rows, the problem is solved in the span of the rows.
1. Where many rows stand against few features, a sample of the rows is solved first: its optimum is near the whole's and
   its passes cost a fraction.
2. Small problems take exact Newton steps.  The others take L-BFGS in the metric of one covariance for all classes, and
   go on in class blocks if it takes as long as these cost; many classes of few rows by models of the classes.
"""

import math
import time
from functools import cache, partial

import numpy as np

from fastlr import _core
from fastlr._runtime.threads import blas_limit
from fastlr.model.row_space import RowSpace, is_wide
from fastlr.solvers.block_metric import BlockMetric
from fastlr.solvers.class_metric import ClassMetric, Covariance, first_point
from fastlr.solvers.gradient_span import minimise_over_gradients
from fastlr.solvers.lbfgs import METRIC_PASSES, REFRESH, Pairs, lbfgs
from fastlr.solvers.line_search import search
from fastlr.solvers.many_classes import ClassModel, Spectrum, serves
from fastlr.solvers.newton import hessian_solver, newton_cg, newton_cholesky
from fastlr.solvers.plan import (
    BLOCK_PASSES,
    EARLY,
    NEWTON_SIZE,
    block_rows,
    blocks_cost,
    blocks_fit,
    has_cheap_hessian,
    pays_for_probabilities,
    sample_step,
    solvers_of,
)
from fastlr.solvers.primal_dual import primal_dual
from fastlr.solvers.proximal_newton import run_proximal
from fastlr.solvers.sparse import run_sparse, solves_by_hessian
from fastlr.solvers.state import EXHAUSTED, STALLED, Progress

SOLVERS = ("auto", "lbfgs", "newton-cholesky", "newton-cg")

MODEL_GAIN = 1e-3  # part of F from which on the step of one class model is followed by that of the next


def minimise(objective, w0=None, *, solver="auto", tol=1e-4, max_iter=1000, max_time=math.inf, callback=None):
    """Minimise an objective to a proved relative suboptimality.

    Parameters
    ----------
    objective : Objective
    w0 : ndarray (size,), default=None
        Where to start; None takes the optimum of a sample of the rows, or the constant model of the base rates.
    solver : {"auto", "lbfgs", "newton-cholesky", "newton-cg"}, default="auto"
    tol : float, default=1e-4
        Stop when (F - F*) / F* is proved to be at most this.
    max_iter : int, default=1000
    max_time : float, default=inf
        Seconds; looked at once an iteration.
    callback : callable, default=None
        callback(iteration, value, suboptimality, point) -> bool, called once an iteration; point() is the best w so
        far; true stops.

    Returns
    -------
    Result
        After KeyboardInterrupt too: the best point so far, message "interrupted".
    """
    progress = Progress(objective, tol, max_iter, callback, time.monotonic() + max_time)
    with np.errstate(all="ignore"):  # what is not finite is told from results
        return _interruptible(objective, w0, progress, solver)


def _interruptible(objective, w0, progress, solver):
    """Run the solvers until they end or Ctrl-C is pressed."""
    try:
        with blas_limit():
            _run(objective, w0, progress, solver)
    except KeyboardInterrupt:
        if progress.point is None:
            raise
        progress.message = "interrupted"
    return progress.result()


def _run(objective, w, progress, solver):
    """Solve in the way that penalty and rows ask for: in the span of the rows where that is small."""
    if progress.max_iter == 0:
        progress.begin(np.zeros(objective.size) if w is None else w)
        progress.stop()
    elif objective.penalty.has_l1:
        run_proximal(objective, w, progress)
    elif objective.rows.is_sparse and objective.size > NEWTON_SIZE and not solves_by_hessian(objective, solver):
        run_sparse(objective, w, progress, solver)
    elif objective.size > NEWTON_SIZE and is_wide(objective):
        _run_wide(objective, w, progress, solver)
    else:
        _run_on_features(objective, w, progress, solver)


def _run_wide(objective, w, progress, solver):
    """Solve over the span of some gradients, or where these are too many, for the rows' multipliers."""
    rows = objective.rows
    is_finite = rows.weight is None or rows.weight.all() or rows.first_nonfinite() is None  # in rows without a weight
    if solver == "auto" and is_finite:
        progress.solver = "gradient-span"
        if w is None:
            progress.see(objective.constant_model())
        else:
            progress.begin_at_best(w)
        minimise_over_gradients(objective, progress, partial(_run_on_features, solver="auto"))
        if progress.message not in ("", STALLED):
            return
        w, progress.message = progress.point.w, ""
    _run_in_row_space(objective, w, progress, solver)


def _run_in_row_space(objective, w, progress, solver):
    """Solve for the rows' multipliers, then finish in the space of the features, where the proof counts."""
    space = RowSpace(objective)
    v = None if w is None else space.project(w)
    if w is not None:
        progress.see(objective.at(w))  # what is kept is never worse than the start
    led = progress.n_iter
    part = Progress(space.objective, progress.tol / 2, progress.max_iter - led, progress.callback and (
        lambda iteration, value, gap, point: progress.callback(led + iteration, value, gap,
                                                               lambda: space.expand(point()))
    ), progress.deadline)
    try:
        _run_on_features(space.objective, v, part, solver)
    finally:
        objective.rows.n_passes += part.objective.n_passes * objective.rows.n / objective.rows.d
        if part.point is not None:
            progress.begin(space.expand(part.point.w))
    progress.n_iter, progress.solver = led + part.n_iter, part.solver
    progress.message = "" if part.message in ("converged", STALLED) else part.message
    if progress.suboptimality <= progress.tol:
        progress.message = "converged"
    elif not progress.message:  # K was rounded
        rows = space.objective.rows
        blocks = blocks_fit(rows)
        metric = (BlockMetric(space.objective, part.point, rows.n) if blocks else
                  ClassMetric(space.objective, Covariance(space.objective), part.point))
        lbfgs(objective, progress, lambda grad: space.expand(metric.solve(space.restrict(grad))), Pairs(), np.inf)


def _run_on_features(objective, w, progress, solver):
    """Solve a sample of the rows for a start if none was given that is better than the base rates, then the whole."""
    cold = w is None or not objective.matrix(w)[:, : objective.rows.d].any()
    if not cold:
        point = objective.at(w)
        cold = not point.value <= objective.constant_value()
        if not cold:
            progress.see(point)
        w = None if cold else w
    sampled, early = _start_on_sample(objective, progress, solver) if cold else (False, None)
    plan = solvers_of(objective, solver)
    by_probabilities = plan[0] == "newton-cholesky" and pays_for_probabilities(objective)
    rows = objective.rows
    fits = blocks_fit(rows)
    covariance = cache(lambda: Covariance(objective.at_hand))
    spectrum = cache(lambda: Spectrum(objective, covariance().gram)) if serves(objective) else None
    if not sampled:
        w = objective.start() if w is None else w
        if cold and plan[0] == "lbfgs" and objective.size > NEWTON_SIZE:
            w = _start_on_discriminants(objective, progress, covariance(), spectrum)
        if not by_probabilities and cold:
            progress.begin(w)

    def metric(point, renewed=False):
        if spectrum is not None:
            return ClassModel(spectrum(), point)
        if not fits:
            return ClassMetric(objective.at_hand, covariance(), point)
        n_rows, hand = block_rows(rows, REFRESH if renewed else BLOCK_PASSES), objective.at_hand
        return BlockMetric(hand, point, n_rows if rows.is_at_hand else min(n_rows, hand.rows.n - 1), renewed)

    for name in plan:
        progress.solver, progress.message = name, ""
        if name == "newton-cholesky":
            if by_probabilities:
                primal_dual(objective, progress, w if progress.point is None else progress.point.w)
            newton_cholesky(objective, progress)
        elif name == "newton-cg":
            small = objective.size <= NEWTON_SIZE
            newton_cg(objective, progress, metric, partial(hessian_solver, objective) if small else None)
        elif spectrum is not None:
            _by_class_models(objective, progress, spectrum())
        else:
            pairs = Pairs()
            if early is not None:
                lbfgs(objective, progress, early, pairs, EARLY, scaled=True)
            else:
                least = 0 if sampled else EARLY  # passes that show whether blocks are needed
                budget = max(least, blocks_cost(rows)) if fits else np.inf
                _by_class_metrics(objective, progress, covariance(), pairs, budget)
            _by_blocks(objective, progress, metric, pairs)
        if progress.message not in ("", STALLED):
            break
    ended = progress.message == STALLED or (progress.message == EXHAUSTED and not objective.has_dual)
    if ended and progress.suboptimality > progress.tol and objective.size <= NEWTON_SIZE:
        progress.see_exactly(*objective.newton_bound(progress.point.w))


def _by_class_metrics(objective, progress, covariance, pairs, budget):
    """L-BFGS in one class metric after the other, for about so many passes: each serves twice as long as the last."""
    limit, serves = objective.n_passes + budget, METRIC_PASSES
    while objective.n_passes < limit and not progress.message:
        metric = ClassMetric(objective.at_hand, covariance, progress.point)
        lbfgs(objective, progress, metric.solve, pairs, serves, scaled=True)
        serves *= 2


def _by_blocks(objective, progress, metric, pairs):
    """L-BFGS in metrics that serve for long, one after the other."""
    stalls, made = progress.message == STALLED, 0
    while not progress.message or stalls == 1:
        progress.message = ""
        solve = metric(progress.point, renewed=made > 0).solve
        lbfgs(objective, progress, solve, pairs, REFRESH, scaled=True)
        stalls = stalls + 1 if progress.message == STALLED else 0  # once, it may be for the metric
        made += 1


def _by_class_models(objective, progress, spectrum):
    """Go from the minimum of one class model to that of the next, in the end by L-BFGS in their curvature."""
    pairs = Pairs()
    while not progress.message and not progress.stop():
        point = progress.point
        model = ClassModel(spectrum, point)
        found = search(objective, point, model.step(point.grad))
        if found is not None:
            progress.see(found)
            pairs.add(found.w - point.w, found.grad - point.grad)
        if found is None or point.value - found.value <= MODEL_GAIN * point.value:
            lbfgs(objective, progress, model.solve, pairs, METRIC_PASSES)


def _start_on_discriminants(objective, progress, covariance, spectrum):
    """Take note of the constant model and return a point that is better; meanwhile make the spectrum, if any."""
    def start():
        constant = objective.constant_model()
        progress.see(constant)
        return first_point(objective.at_hand, covariance, constant)

    works = [start] if spectrum is None else [start, spectrum]
    return _core.parallel_for(lambda i: works[i](), len(works), objective.rows.n_threads)[0]


def _start_on_sample(objective, whole, solver):
    """Begin `whole` at the rough optimum of some of the rows, if that pays and holds for all of them.

    Returns whether so, and the inverse of those rows' Hessian there, where few parameters make it cheap.
    """
    rows = objective.rows
    step = sample_step(rows)
    if step is None:
        return False, None
    part = objective.sample(step)
    progress = Progress(part, whole.tol, EARLY, None)
    progress.begin(part.start())
    if solver == "newton-cholesky":
        newton_cholesky(part, progress)
    else:
        _by_class_metrics(part, progress, Covariance(part), Pairs(), EARLY)
    rows.n_passes += part.n_passes * part.rows.n / rows.n
    point = objective.at(progress.point.w)
    if not point.value <= objective.constant_value():
        return False, None
    whole.see(point)
    if objective.size > NEWTON_SIZE or not has_cheap_hessian(part) or whole.suboptimality <= whole.tol:
        return True, None
    part.penalty = objective.penalty
    return True, hessian_solver(part, progress.point)
