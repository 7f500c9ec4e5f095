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
SAMPLE_STEP = 32  # but at least every 32nd row
SAMPLE_VALUES = 1 << 20  # values of X below which a pass costs too little to save any
SAMPLE_TOL = 1e-3
SAMPLE_ITERATIONS = 20
BLOCK_ROWS = 4  # rows a feature of each class block
ALL_ROWS = 2048  # so few rows are never sampled for a metric
NEWTON_WORK = 2e8  # operations of one whole Hessian that are still cheaper than the other solvers' fixed costs
GRAM_ROWS = 8  # rows a feature of a Gram metric
EARLY = 10  # iterations that the Gram metric serves where there is no sample to start from
REFRESH = 50  # iterations that class blocks serve
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
            _run(objective, w0, progress, solver)
    except KeyboardInterrupt:
        if progress.w is None:
            raise
        progress.message = "interrupted"
    return progress.result(solver)


def choose(objective):
    """The solver that the cost model expects to be fastest: docs/solvers.md."""
    size = objective.size
    return "newton-cholesky" if size <= 700 and objective.n * size**2 <= NEWTON_WORK else "lbfgs"


def _run(objective, w, progress, solver):
    """Solve a sample of the rows for a start if none was given, then the whole."""
    if w is None:
        step = _sample_step(objective)
        w = objective.start() if step == 1 else _solve_sample(objective, solver, step)
        early = step == 1
    else:
        early = not w[: objective.k * objective.d].any()

    def metric(w):
        if objective.k * objective.d**2 > BLOCK_VALUES:
            return gram_metric(objective, GRAM_ROWS * objective.d)
        return block_metric(objective, w, max(BLOCK_ROWS * objective.d, ALL_ROWS))

    if solver == "newton-cholesky":
        newton_cholesky(objective, w, progress)
    elif solver == "newton-cg":
        newton_cg(objective, w, progress, metric)
    elif early:
        first = gram_metric(objective, GRAM_ROWS * objective.d)
        lbfgs(objective, w, progress, first, refresh=metric, after=EARLY, every=REFRESH)
    else:
        lbfgs(objective, w, progress, metric(w), refresh=metric, after=REFRESH, every=REFRESH)


def _sample_step(objective):
    """How many rows apart the sample's are, 1 where solving a sample does not pay."""
    rows = max(SAMPLE_ROWS * (objective.d + 1), objective.n // SAMPLE_STEP)
    step = objective.n // rows
    return step if step >= 2 and objective.X.size >= SAMPLE_VALUES else 1


def _solve_sample(objective, solver, step):
    """The rough optimum of every step-th row."""
    part = objective.sample(step)
    progress = Progress(part, SAMPLE_TOL, SAMPLE_ITERATIONS, None)
    if solver == "newton-cholesky":
        newton_cholesky(part, part.start(), progress)
    else:
        lbfgs(part, part.start(), progress, gram_metric(part, GRAM_ROWS * part.d))
    objective.n_passes += part.n_passes * part.n / objective.n
    return progress.w
