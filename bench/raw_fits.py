"""Fits with default parameters of data as they come and of the same standardised, and small fits.

F is evaluated in float64 (fit_objective.py).  F* is an outside judge's: Newton's method in long double (judge.py), or
for MNIST a constant (fit_data.py); or F of one of the two contestants, should that be less (a note says so where the
difference is more than rounding).
"""

import warnings

from threadpoolctl import threadpool_limits

import fastlr

from . import fit_data, fit_peers, race
from .cases import DEFAULT_FIT, SMALL_FIT
from .fit_objective import true_objective
from .judge import Judge
from .table import Row, Table
from .timing import best_seconds

BEYOND_ROUNDING = 1e-9


def tables(settings):
    """Yield the tables."""
    sets = fit_data.raw_sets(settings)
    yield Table(
        "Fits with default parameters",
        "Milliseconds of a fit, C = 1. fastlr proves its suboptimality (suboptimality_, at most tol = 1e-4); true is "
        "(F - F*) / F* with F* of an outside judge (Newton's method in long double, for MNIST scikit-learn's "
        "newton-cholesky in float64). lbfgs is scikit-learn's LogisticRegression() with its own tol and at "
        "most 100 iterations. The result is the larger of fastlr's proved and true suboptimality.",
        [_default_fit(name, load(), settings) for name, load in sets.items()],
    )
    yield Table(
        "Small fits",
        "Milliseconds with default parameters; the result is scikit-learn's time over fastlr's.",
        [_small(sets["iris"](), settings)],
    )


def _default_fit(name, d, settings):
    model = fastlr.LogisticRegression(n_threads=settings.n_threads)
    fits = {"fastlr": lambda: model.fit(d.X, d.y), "lbfgs": fit_peers.scikit_learn_default(d.X, d.y)}
    seconds, values, notes = {}, {}, []
    for who, fit in fits.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            seconds[who], fitted = race.timed(fit)
        values[who] = true_objective(d.X, d.y, fitted.coef_, fitted.intercept_)
        notes += [f"{who} warned: {str(w.message).splitlines()[0].rstrip(':')}" for w in caught]
    judged = float(Judge(d.X, d.y, {}, {}).optimum()) if d.optimum is None else d.optimum
    optimum = min(judged, *values.values())
    if optimum < judged * (1 - BEYOND_ROUNDING):
        notes.append(f"F is less than the judge's by {1 - optimum / judged:.1e} of it")
    finishes = {who: race.Finish("", fit, seconds[who], values[who] / optimum - 1) for who, fit in fits.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        race.repeat(finishes.values(), settings)
    figures = {"fastlr, proved": model.suboptimality_}
    figures |= {f"{who}, true": finish.suboptimality for who, finish in finishes.items()}
    if hasattr(model, "n_passes_"):
        figures["fastlr, passes"] = model.n_passes_
    times = {who: finish.seconds for who, finish in finishes.items()}
    worst = max(figures["fastlr, proved"], figures["fastlr, true"])
    return Row(name, times, worst, target=DEFAULT_FIT, note="; ".join(notes), figures=figures)


def _small(d, settings):
    ours = fastlr.LogisticRegression(n_threads=settings.n_threads)
    contestants = {"fastlr": lambda: ours.fit(d.X, d.y), "scikit-learn": fit_peers.scikit_learn_default(d.X, d.y)}
    with threadpool_limits(1), warnings.catch_warnings():  # threads of a BLAS only slow so small a fit
        warnings.simplefilter("ignore")  # 100 iterations of lbfgs are too few
        times = best_seconds(contestants, **settings.effort)
    return Row("iris, 150 x 4, k=3", times, times["scikit-learn"] / times["fastlr"], "x faster", SMALL_FIT)
