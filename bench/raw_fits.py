"""Fits of data as they come: passes against standardised features, default parameters, and small fits."""

import math
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

import fastlr

from . import fit_data
from .fit_objective import true_objective
from .table import Row, Table, Target
from .timing import best_seconds

TIGHT = 1e-9
MOST_PARAMETERS = 2000
"""Up to here scikit-learn's Newton solver in float64 gives F*; above, a tight fit by fastlr does."""
SEEDS = (0, 1, 2)
"""Of the sampled rows, for counts of passes."""


def tables(settings):
    """Yield the tables."""
    sets = fit_data.raw_sets(settings)
    yield Table(
        "Passes over X of raw features",
        "With default parameters, the mean of three seeds; the result is the passes over those of the standardised "
        "features.",
        [_passes(name, *Xy, settings) for name, Xy in sets.items()],
    )
    yield Table(
        "Fits with default parameters",
        "The result is the true suboptimality; a fit that warns has failed.",
        [_defaults(name, *Xy, settings) for name, Xy in sets.items()],
    )
    yield Table(
        "Small fits",
        "Milliseconds with default parameters; the result is scikit-learn's time over fastlr's.",
        [_small(*sets["iris"], settings)],
    )


def _passes(name, X, y, settings):
    deviation = X.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    standardised = ((X - X.mean(axis=0, dtype=np.float64)) / deviation).astype(X.dtype)
    raw, scaled = (_count_passes(data, y, settings.n_threads) for data in (X, standardised))
    note = f"{raw:.1f} passes, standardised {scaled:.1f}"
    return Row(name, value=raw / scaled, unit="x the passes", target=Target(1.5, 1.1), note=note)


def _count_passes(X, y, n_threads):
    """What `LogisticRegression().fit` needs; asked of the solver, for the estimator does not tell.

    The mean of some seeds: where metrics are made of sampled rows, counts vary by a tenth.
    """
    from fastlr import solvers
    from fastlr.model.objective import Objective

    classes, labels = np.unique(y, return_inverse=True)
    k = len(classes) if len(classes) > 2 else 1
    loss, passes = "softmax" if k > 1 else "sigmoid", []
    for seed in SEEDS:
        objective = Objective(
            X, labels.astype(np.int32), k, loss=loss, alpha=1 / len(X), n_threads=n_threads, random_state=seed
        )
        solvers.minimise(objective)
        passes.append(objective.n_passes)
    return float(np.mean(passes))


def _defaults(name, X, y, settings):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fastlr.LogisticRegression(n_threads=settings.n_threads).fit(X, y)
    value = true_objective(X, y, model.coef_, model.intercept_)
    optimum = min(value, _least_objective(X, y, settings))
    note = f"claims {model.suboptimality_:.1e}" + "".join(f"; warned: {str(w.message)[:80]}" for w in caught)
    return Row(name, value=math.inf if caught else value / optimum - 1, target=Target(1e-4), note=note)


def _least_objective(X, y, settings):
    """F* or a little more."""
    from sklearn.linear_model import LogisticRegression

    n_parameters = (len(np.unique(y)) if y.max() > 1 else 1) * (X.shape[1] + 1)
    if n_parameters <= MOST_PARAMETERS:
        model = LogisticRegression(solver="newton-cholesky", tol=TIGHT, max_iter=1000)
        X = X.astype(np.float64)
    else:
        model = fastlr.LogisticRegression(tol=1e-7, n_threads=settings.n_threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    return true_objective(X, y, model.coef_, model.intercept_)


def _small(X, y, settings):
    from sklearn.linear_model import LogisticRegression

    ours, theirs = fastlr.LogisticRegression(n_threads=settings.n_threads), LogisticRegression()
    with threadpool_limits(1):  # threads of a BLAS only slow so small a fit
        times = best_seconds(
            {"fastlr": lambda: ours.fit(X, y), "scikit-learn": lambda: theirs.fit(X, y)}, **settings.effort
        )
    ratio = times["scikit-learn"] / times["fastlr"]
    return Row("iris, 150 x 4, k=3", times, ratio, "x faster", Target(1, 3, "at least"))
