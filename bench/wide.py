"""Suite "wide": default fits of dense X with more columns than rows, and an elastic net on MNIST.

Default fits stop at each library's own tolerance; their memory is told with X, in units of it.  Of the elastic net
every contestant is timed to a true relative suboptimality, F being evaluated in float64 and F* the least F that any
reached.
"""

import math
import warnings
from functools import partial

import numpy as np

import fastlr

from . import data, fit_data, memory, race
from .table import Row, Table, Target

SHAPES = ((60, 20_000), (2_000, 5_000))
TIMES = Target(1.0, sense="at least")
MEMORY = Target(3.0)
L1_RATIO, C, TO = 0.5, 0.01, 1e-4
ELASTIC = Target(3.0, 6.0, "at least")
ELASTIC_SECONDS = 60.0  # of an attempt of a peer, or as long as the aim is away
TOLERANCES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4)

SCRIPT = """
n, d, n_threads = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
X = rng.standard_normal((n, d))
y = (X[:, :20].sum(axis=1) + rng.standard_normal(n) > 0).astype(int)
model = fastlr.LogisticRegression(n_threads=n_threads)
model.fit(rng.standard_normal((60, 700)), y[:60])  # what imports and the BLAS take once is not the fit's
forget_peak()
before = peak_resident()
model.fit(X, y)
print(round((1 + (peak_resident() - before) / X.nbytes) * 1e6))
"""


def tables(settings):
    """Yield the tables of the suite."""
    shapes = [(n, settings.width(d)) for n, d in SHAPES]
    yield Table("Wide dense X: default fits", "Milliseconds; two classes, standard normal float64; each stops at its "
                "default tolerance. F's excess is over the lower of the two.",
                [_default(*shape, settings) for shape in shapes])
    yield Table("Wide dense X: peak memory", "X and what the fit takes above it, in units of X.",
                [Row(f"{n:,} x {d:,}", value=memory.above(SCRIPT, n, d, settings.n_threads), unit="x X", target=MEMORY)
                 for n, d in shapes])
    yield Table(f"Elastic net on MNIST, l1_ratio={L1_RATIO:g}, C={C:g}: time to {TO:g}",
                "Milliseconds, pixels / 255 as float32, softmax; proved: fastlr with tol at the figure.",
                [_elastic(settings) if fit_data.has_mnist() else Row("MNIST", note=data.NO_MNIST)])


def _default(n, d, settings):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(data.SEED)
    X = rng.standard_normal((n, d))
    y = (X[:, :20].sum(axis=1) + rng.standard_normal(n) > 0).astype(int)
    fits = {"fastlr": partial(_fit, partial(fastlr.LogisticRegression, n_threads=settings.n_threads), X, y),
            "scikit-learn": partial(_fit, LogisticRegression, X, y)}
    finishes, values = {}, {}
    for who, fit in fits.items():
        seconds, model = race.timed(fit)
        values[who] = _value(X, y, *model, 1.0, 0.0)
        finishes[who] = race.Finish("defaults", fit, seconds, 0.0)
    race.repeat(finishes.values(), settings)
    seconds = {who: finish.seconds for who, finish in finishes.items()}
    excess = "; ".join(f"{who} {value / min(values.values()) - 1:.0e}" for who, value in values.items())
    gain = seconds["scikit-learn"] / seconds["fastlr"]
    return Row(f"{n:,} x {d:,}", seconds, gain, "x faster", TIMES, f"excess: {excess}")


def _elastic(settings):
    from sklearn.linear_model import LogisticRegression

    d = fit_data.mnist_float32(settings)
    optimum = math.inf

    def judge(model):
        nonlocal optimum
        value = _value(d.X, d.y, *model, C, L1_RATIO)
        optimum = min(optimum, value)
        return value / optimum - 1

    def ours(tol):
        return partial(_fit, partial(fastlr.LogisticRegression, C=C, l1_ratio=L1_RATIO, tol=tol,
                                     n_threads=settings.n_threads), d.X, d.y)

    judge(ours(TO / 100)())
    finishes = {"fastlr, proved": race.climb([(f"tol={TO:g}", ours(TO))], judge, TO)}
    if finishes["fastlr, proved"] is None:
        return Row("MNIST", target=ELASTIC, note="fastlr did not reach it")
    each = math.inf if settings.quick else max(ELASTIC_SECONDS, ELASTIC.aim * finishes["fastlr, proved"].seconds)
    saga = [(f"tol={tol:g}", partial(_fit, partial(LogisticRegression, solver="saga", C=C, l1_ratio=L1_RATIO, tol=tol,
                                                   max_iter=1000), d.X, d.y)) for tol in TOLERANCES]
    finish = race.climb(settings.ladder(saga), judge, 1.0 if settings.quick else TO, each=each)
    if finish is not None:
        finishes["saga"] = finish
    race.repeat(finishes.values(), settings)
    seconds = {who: finish.seconds for who, finish in finishes.items()}
    ours_seconds = seconds["fastlr, proved"]
    note = "; ".join(f"{who} {finish}" for who, finish in finishes.items())
    if "saga" not in seconds:
        note += f"; saga not in {each:.0f} s"
        return Row("MNIST", seconds, each / ours_seconds, "x faster at least", ELASTIC, note)
    return Row("MNIST", seconds, seconds["saga"] / ours_seconds, "x faster", ELASTIC, note)


def _fit(make, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not all prove or reach what they were asked for
        model = make().fit(X, y)
    return model.coef_, model.intercept_


def _value(X, y, W, b, C, l1_ratio):
    """F in float64: C times the sum of the losses, and the penalty."""
    W, Z = np.asarray(W, np.float64), X @ np.asarray(W, np.float64).T + b
    if Z.shape[1] == 1:
        loss = np.logaddexp(0, np.where(y == 1, -Z[:, 0], Z[:, 0])).sum()
    else:
        top = Z.max(axis=1)
        loss = (top + np.log(np.exp(Z - top[:, None]).sum(axis=1)) - Z[np.arange(len(y)), y]).sum()
    return float(C * loss + l1_ratio * np.abs(W).sum() + (1 - l1_ratio) / 2 * np.vdot(W, W))
