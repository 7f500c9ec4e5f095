"""Which solver runs from where: the choice of `solver="auto"`, the start on a sample of the rows, the metric.

0. Where features are more than rows, the problem is solved in the span of the rows.
1. Where many rows stand against few features, a sample of the rows is solved first: its optimum is near the whole's and
   its passes cost a fraction.
2. Small problems take exact Newton steps.  The others take L-BFGS in the metric of one covariance for all classes, and
   go on in class blocks if it takes as long as these cost; many classes of few rows by models of the classes.
"""

import math
import time
from functools import cache

import numpy as np

from fastlr._runtime.threads import blas_limit
from fastlr.model.memory import KEPT_VALUES
from fastlr.model.row_space import RowSpace, is_wide
from fastlr.solvers.block_metric import BLOCK_ROWS, BlockMetric
from fastlr.solvers.class_metric import ClassMetric, Covariance, first_point
from fastlr.solvers.lbfgs import Pairs, lbfgs
from fastlr.solvers.line_search import search
from fastlr.solvers.many_classes import ClassModel, Spectrum, serves
from fastlr.solvers.newton import hessian_solver, newton_cg, newton_cholesky
from fastlr.solvers.primal_dual import primal_dual
from fastlr.solvers.primal_dual import serves as keeps_probabilities
from fastlr.solvers.state import EXHAUSTED, STALLED, Progress

SOLVERS = ("auto", "lbfgs", "newton-cholesky", "newton-cg")

SAMPLE_ROWS = 14  # rows a feature of the sample that is solved first
SAMPLE_STEP = 16  # but at least every 16th row
LEAST_STEP = 4  # of a sample whose passes are worth it
SAMPLE_VALUES = 1 << 20  # values of X below which a pass costs too little to save any
SAMPLE_TOL = 1e-3  # proved on the sample, which is no nearer to the optimum of all rows
EARLY = 12  # passes over the sample, or at least before class blocks are made
OVERFITTED = 2.5  # times its own value, a sample's optimum has on all rows where it is no start
BLOCK_PASSES = 2  # or as many rows as cost the operations of so many passes, when they are first made
ALL_ROWS = 2048  # so few rows are never sampled for a metric
NEWTON_SIZE = 1000  # parameters whose Hessian is worth factorising
NEWTON_WORK = 2e8  # operations of one whole Hessian that are still cheaper than the other solvers' fixed costs
TINY_WORK = 1e6  # the same where a Hessian a pass costs no more than what surrounds it
BLOCK_COST = 3  # times the passes that class blocks cost, the class metric serves before
METRIC_PASSES = 4  # that a class metric serves
REFRESH = 50  # passes that class blocks serve
EASIER = 0.02  # times as much as those before, are class blocks damped
MODEL_PASSES = 2  # passes that a class model serves after its own step,
MODEL_GAIN = 1e-3  # unless that lowered F by more: then the next model's step does
UNEVEN = 1e8  # ratio of penalty factors from which the Hessian is no longer like blocks of it: scales 10,000 fold apart


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
    """Solve in the span of the rows where that is small, else in the space of the features."""
    if objective.size > NEWTON_SIZE and is_wide(objective) and progress.max_iter > 0:
        _run_in_row_space(objective, w, progress, solver)
    else:
        _run_on_features(objective, w, progress, solver)


def _run_in_row_space(objective, w, progress, solver):
    """Solve for the rows' multipliers, then finish in the space of the features, where the proof counts."""
    space = RowSpace(objective)
    v = None if w is None else space.project(w)
    if w is not None:
        progress.see(objective.at(w))  # what is kept is never worse than the start
    part = Progress(space.objective, progress.tol / 2, progress.max_iter, progress.callback and (
        lambda iteration, value, gap, point: progress.callback(iteration, value, gap, lambda: space.expand(point()))
    ), progress.deadline)
    try:
        _run_on_features(space.objective, v, part, solver)
    finally:
        objective.rows.n_passes += part.objective.n_passes * objective.rows.n / objective.rows.d
        if part.point is not None:
            progress.begin(space.expand(part.point.w))
    progress.n_iter, progress.solver = part.n_iter, part.solver
    progress.message = "" if part.message in ("converged", STALLED) else part.message
    if progress.suboptimality <= progress.tol:
        progress.message = "converged"
    elif not progress.message:  # K was rounded
        rows = space.objective.rows
        blocks = _blocks_fit(rows)
        metric = (BlockMetric(space.objective, part.point, rows.n) if blocks else
                  ClassMetric(space.objective, Covariance(space.objective), part.point))
        lbfgs(objective, progress, lambda grad: space.expand(metric.solve(space.restrict(grad))), Pairs(), np.inf)


def _run_on_features(objective, w, progress, solver):
    """Solve a sample of the rows for a start if none was given that is better than the base rates, then the whole."""
    cold = w is None or not objective.matrix(w)[:, : objective.rows.d].any()
    if progress.max_iter == 0:
        progress.begin(np.zeros(objective.size) if w is None else w)
        progress.stop()
        return
    if not cold:
        point = objective.at(w)
        cold = not point.value <= objective.constant_value()
        if not cold:
            progress.see(point)
        w = None if cold else w
    sampled, early = _start_on_sample(objective, progress, solver) if cold else (False, None)
    plan = _plan(objective, solver)
    by_probabilities = plan[0] == "newton-cholesky" and _pays_for_probabilities(objective)
    covariance = cache(lambda: Covariance(objective))
    if not sampled:
        w = objective.start() if w is None else w
        if cold and plan[0] == "lbfgs" and objective.size > NEWTON_SIZE:
            w = _start_on_discriminants(objective, progress, covariance())
        if not by_probabilities and cold:
            progress.begin(w)

    rows = objective.rows
    fits = _blocks_fit(rows)
    spectrum = Spectrum(objective) if serves(objective) else None

    def metric(point, factor=1.0, renewed=False):
        if spectrum is not None:
            return ClassModel(spectrum, point)
        if not fits:
            return ClassMetric(objective, covariance(), point)
        return BlockMetric(objective, point, _block_rows(rows, REFRESH if renewed else BLOCK_PASSES), factor)

    for name in plan:
        progress.solver, progress.message = name, ""
        if name == "newton-cholesky":
            if by_probabilities:
                primal_dual(objective, progress, w if progress.point is None else progress.point.w)
            newton_cholesky(objective, progress)
        elif name == "newton-cg":
            newton_cg(objective, progress, metric)
        elif spectrum is not None:
            _by_class_models(objective, progress, spectrum)
        else:
            pairs = Pairs()
            if early is not None:
                lbfgs(objective, progress, early, pairs, EARLY, scaled=True)
            else:
                least = 0 if sampled else EARLY  # passes that show whether blocks are needed
                budget = max(least, _blocks_cost(rows)) if fits else np.inf
                _by_class_metrics(objective, progress, covariance(), pairs, budget)
            n_metrics = 1 if solver == "auto" and objective.size <= NEWTON_SIZE else progress.max_iter
            _by_blocks(objective, progress, metric, pairs, n_metrics)
        if progress.message not in ("", STALLED):
            break
    ended = progress.message == STALLED or (progress.message == EXHAUSTED and not objective.has_dual)
    if ended and progress.suboptimality > progress.tol and objective.size <= NEWTON_SIZE:
        progress.see_exactly(*objective.newton_bound(progress.point.w))


def _plan(objective, solver):
    """The solvers to run one after the other until one is done."""
    if solver != "auto":
        return [solver]
    if objective.size <= NEWTON_SIZE:
        exact_at_once = _has_cheap_hessian(objective) or _is_uneven(objective)
        return ["newton-cholesky"] if exact_at_once else ["lbfgs", "newton-cholesky"]
    return ["lbfgs"]


def _has_cheap_hessian(objective, work=NEWTON_WORK):
    return objective.rows.n * objective.size**2 <= work


def _is_uneven(objective):
    return objective.penalty.is_uneven(UNEVEN)


def _pays_for_probabilities(objective):
    """Whether a Hessian a pass costs little, or fewer passes are worth it."""
    pays = _has_cheap_hessian(objective, TINY_WORK) or (_has_cheap_hessian(objective) and _is_uneven(objective))
    return pays and keeps_probabilities(objective)


def _blocks_fit(rows):
    """Whether a block for each class can be kept."""
    return rows.k * rows.d**2 <= KEPT_VALUES


def _block_rows(rows, passes):
    """How many rows class blocks are made from: as many as cost the operations of so many passes, or what they need."""
    return max(BLOCK_ROWS * rows.d, passes * 4 * rows.n // rows.d, ALL_ROWS)


def _blocks_cost(rows):
    """Passes to go without class blocks: some times the trips that these cost."""
    return BLOCK_COST * min(_block_rows(rows, BLOCK_PASSES), rows.n) / rows.n * rows.k


def _by_class_metrics(objective, progress, covariance, pairs, budget):
    """L-BFGS in one class metric after the other, for about so many passes."""
    limit = objective.n_passes + budget
    while objective.n_passes < limit and not progress.message:
        metric = ClassMetric(objective, covariance, progress.point)
        lbfgs(objective, progress, metric.solve, pairs, METRIC_PASSES, scaled=True)


def _by_blocks(objective, progress, metric, pairs, n_metrics):
    """L-BFGS in up to so many metrics, each for long."""
    factor, stalls, made = 1.0, progress.message == STALLED, 0
    while made < n_metrics and (not progress.message or stalls == 1):
        progress.message = ""
        solve = metric(progress.point, factor, renewed=made > 0).solve
        lbfgs(objective, progress, solve, pairs, REFRESH, scaled=True)
        stalls = stalls + 1 if progress.message == STALLED else 0  # once, it may be for the metric
        factor *= EASIER
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
            lbfgs(objective, progress, model.solve, pairs, MODEL_PASSES)


def _start_on_discriminants(objective, progress, covariance):
    """Take note of the constant model and return a point that is better."""
    constant = objective.constant_model()
    progress.see(constant)
    return first_point(objective, covariance, constant)


def _samples_weigh(rows, step):
    """Whether every step-th row has about its share of the weights."""
    return rows.weight is None or 2 * step * rows.weight[::step].sum() > rows.total_weight


def _start_on_sample(objective, whole, solver):
    """Begin `whole` at the rough optimum of some of the rows, if that pays and holds for all of them.

    Returns whether so, and the inverse of those rows' Hessian there, where few parameters make it cheap.
    """
    rows = objective.rows
    n_logits = rows.k if rows.loss == "softmax" else 1  # fitted to the same rows
    step = rows.n // max(max(SAMPLE_ROWS, n_logits) * rows.D, rows.n // SAMPLE_STEP)
    if step < LEAST_STEP or rows.n_values < SAMPLE_VALUES or not _samples_weigh(rows, step):
        return False, None
    part = objective.sample(step)
    progress = Progress(part, SAMPLE_TOL, EARLY, None)
    progress.begin(part.start())
    if solver == "newton-cholesky":
        newton_cholesky(part, progress)
    else:
        _by_class_metrics(part, progress, Covariance(part), Pairs(), EARLY)
    rows.n_passes += part.n_passes * part.rows.n / rows.n
    point = objective.at(progress.point.w)
    if not (point.value <= OVERFITTED * progress.value and point.value <= objective.constant_value()):
        return False, None
    whole.see(point)
    if objective.size > NEWTON_SIZE or not _has_cheap_hessian(part) or whole.suboptimality <= whole.tol:
        return True, None
    part.penalty = objective.penalty
    return True, hessian_solver(part, progress.point)
