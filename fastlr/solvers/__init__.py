"""Solvers: they see an objective's values, gradients and Hessian products, never X.

`minimise` is the one entry; docs/solvers.md tells the algorithms, their sources and when each is chosen.
"""

from fastlr.solvers.lbfgs import lbfgs
from fastlr.solvers.metric import GramMetric
from fastlr.solvers.progress import Progress
from fastlr.solvers.result import Result

__all__ = ["SOLVERS", "Result", "minimise"]

SOLVERS = ("auto", "lbfgs", "newton-cholesky", "newton-cg")


def minimise(objective, w0=None, *, solver="auto", tol=1e-4, max_iter=1000, callback=None):
    """Minimise an objective to a proved relative suboptimality.

    Parameters
    ----------
    objective : Objective
    w0 : ndarray (size,), default=None
        Where to start; None takes the constant model of the base rates, `objective.start()`.
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
    progress = Progress(objective, tol, max_iter, callback)
    w = objective.start() if w0 is None else w0
    try:
        metric = GramMetric(objective, slice(None), 0.5)
        lbfgs(objective, w, progress, metric)
    except KeyboardInterrupt:
        if progress.w is None:
            raise
        progress.message = "interrupted"
    return progress.result("lbfgs")
