"""Which solver runs from where: the choice of `solver="auto"`, the start on a sample of the rows, the metric.

1. Where many rows stand against few features, a sample of the rows is solved first: its optimum is near the whole's and
   its passes cost a fraction.
2. Small problems take exact Newton steps.  The others begin in the Gram metric and go on in class blocks taken near the
   solution, from the rows that weigh there.
"""

from fastlr._threads import single_threaded_blas
from fastlr.solvers.lbfgs import lbfgs
from fastlr.solvers.metric import block_metric, gram_metric
from fastlr.solvers.newton import newton_cg, newton_cholesky
from fastlr.solvers.progress import Progress

SOLVERS = ("auto", "lbfgs", "newton-cholesky", "newton-cg")

SAMPLE_ROWS = 16  # rows a feature of the sample that is solved first
SAMPLE_TOL = 1e-3
SAMPLE_ITERATIONS = 20
BLOCK_ROWS = 4  # rows a feature of each class block
ALL_ROWS = 2048  # so few rows are never sampled for a metric
REFRESH = 50  # iterations that a metric serves
BLOCK_VALUES = 1 << 25  # float32 values of all blocks at most


def minimise(objective, w0=None, *, solver="auto", tol=1e-4, max_iter=1000, callback=None):
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
    callback : callable, default=None
        callback(iteration, value, suboptimality) -> bool, called once an iteration; true stops.

    Returns
    -------
    Result
        After KeyboardInterrupt too: the best point so far, message "interrupted".
    """
    solver = choose(objective) if solver == "auto" else solver
    progress = Progress(objective, tol, max_iter, callback)
    try:
        with single_threaded_blas():
            w = _solve_sample(objective, solver) if w0 is None else w0
            _run(objective, w, progress, solver)
    except KeyboardInterrupt:
        if progress.w is None:
            raise
        progress.message = "interrupted"
    return progress.result(solver)


def choose(objective):
    """The solver that the cost model expects to be fastest: docs/solvers.md."""
    return "newton-cholesky" if objective.size <= 700 else "lbfgs"


def _solve_sample(objective, solver):
    """A start: the rough optimum of every step-th row, with as many rows as pay."""
    w = objective.start()
    step = objective.n // (SAMPLE_ROWS * (objective.d + 1))
    if solver == "newton-cholesky" and step < 4:
        return w
    part = objective.sample(max(step, 1))
    progress = Progress(part, SAMPLE_TOL, SAMPLE_ITERATIONS, None)
    if solver == "newton-cholesky":
        newton_cholesky(part, w, progress)
    else:
        lbfgs(part, w, progress, gram_metric(part, BLOCK_ROWS * part.d))
    objective.n_passes += part.n_passes * part.n / objective.n
    return progress.w


def _run(objective, w, progress, solver):
    def metric(w):
        if objective.k * objective.d**2 > BLOCK_VALUES:
            return gram_metric(objective, 2 * BLOCK_ROWS * objective.d)
        return block_metric(objective, w, max(BLOCK_ROWS * objective.d, ALL_ROWS))

    if solver == "newton-cholesky":
        newton_cholesky(objective, w, progress)
    elif solver == "newton-cg":
        newton_cg(objective, w, progress, metric(w))
    else:
        lbfgs(objective, w, progress, metric(w), refresh=metric, every=REFRESH)
