"""Suite "sparse": fits of text-like CSR matrices against peers, and one gradient against SciPy's products.

The data: n documents of about 75 of d words whose frequencies fall as 1 / (rank + 2)^1.1, tf-idf with rows of length 1,
float32, int32 indices; classes drawn from a linear model.  Peers have the setting that reaches the target soonest; F is
evaluated in float64, F* is the least F of all contestants, a tight fit by fastlr among them.  An attempt of a peer has
PEER_SECONDS, or as long as the aim is away; each table is printed as soon as it is there.
"""

import math
import warnings
from functools import partial
from importlib.util import find_spec

import numpy as np
from scipy import sparse

import fastlr

from . import data, race, text
from .table import Row, Table, Target
from .timing import best_seconds

WORDS = 75
SPREAD = 4.0  # deviation of the coefficients that classes are drawn from
REFERENCE_TOL = 1e-8
REFERENCE_SECONDS = 15.0  # for that fit, which may not be provable in float32
PEER_SECONDS = 20.0
TOLERANCES = tuple(10.0 ** (-j / 2) for j in range(4, 17))
FITS = (
    # classes, C, to, what the result must and should be
    (2, 1.0, 1e-6, Target(2.0, 4.0, "at least")),
    (2, 100.0, 1e-6, Target(2.0, 4.0, "at least")),
    (20, 1.0, 1e-4, Target(5.0, 12.0, "at least")),
)
GRADIENT = Target(2.5, 5.0, "at least")


def documents(n, d, n_classes, words=WORDS):
    """X (n, d) CSR, float32 and int32, and classes y (n,)."""
    rng = np.random.default_rng(data.SEED)
    frequency = (np.arange(d) + 3.0) ** -1.1
    shares = np.cumsum(frequency) / frequency.sum()
    row = np.repeat(np.arange(n), rng.poisson(1.27 * words, n))  # some words come twice
    word = np.searchsorted(shares, rng.random(len(row))).astype(np.int32)
    X = sparse.csr_array((np.ones(len(row), np.float32), (row, word)), shape=(n, d))
    X.sum_duplicates()
    in_documents = np.bincount(X.indices, minlength=d)
    X.data = (1 + np.log(X.data)) * (np.log((1 + n) / (1 + in_documents)) + 1).astype(np.float32)[X.indices]
    size = np.sqrt(np.add.reduceat(np.append(X.data**2, 0), np.minimum(X.indptr[:-1], len(X.data))))
    X.data /= np.repeat(np.maximum(size, 1e-6), np.diff(X.indptr)).astype(np.float32)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    W = SPREAD * rng.standard_normal((d, n_classes), np.float32)
    return X, np.argmax(X @ W + rng.gumbel(size=(n, n_classes)), axis=1).astype(np.int32)


def tables(settings):
    """Yield the tables of the suite."""
    n, d = settings.rows(200_000), settings.width(50_000)
    yield Table("Sparse: one gradient", "Milliseconds of the loss and gradient; scipy: X @ w, the residuals, X.T @ r, "
                "all in float32.", [_gradient(*documents(n, d, 2), settings)])
    yield from text.tables(settings)
    for k, C, to, target in FITS:
        yield Table(
            f"Sparse fit: time to a relative suboptimality of {to:g}, {k} classes, C = {C:g}",
            f"Milliseconds, {n:,} x {d:,} CSR, about {WORDS} values a row, float32; proved: fastlr with tol at "
            "the figure. The result is the time of the fastest peer over that of fastlr, proved.",
            [_race(*documents(n, d, k), C, to, target, settings)],
        )


def _race(X, y, C, to, target, settings):
    k = int(y.max()) + 1
    name = f"{'binary' if k == 2 else f'{k} classes'}, C = {C:g}, to {to:g}"
    judge = _Judge(X, y, C, settings)
    ours = [(f"tol={to:.0e}", partial(_fastlr, X, y, C, to, settings))]
    finishes, best = {"fastlr, proved": race.climb(ours, judge, to)}, math.inf
    if finishes["fastlr, proved"] is None:
        return Row(name, target=target, note="fastlr did not reach it")
    each = math.inf if settings.quick else max(PEER_SECONDS, target.aim * finishes["fastlr, proved"].seconds)
    late = []
    for peer, ladder in _peers(X, y, C, settings).items():
        finish = race.climb(settings.ladder(ladder), judge, to, give_up_after=best, each=min(each, best))
        if finish is not None:
            finishes[peer], best = finish, min(best, finish.seconds)
        else:
            late.append(peer)
    race.repeat(finishes.values(), settings)
    seconds = {who: finish.seconds for who, finish in finishes.items()}
    note = "; ".join(f"{who} {finish}" for who, finish in finishes.items())
    if late:
        note += f"; not within {min(each, best):.3g} s: {', '.join(late)}"
    theirs = [time for who, time in seconds.items() if who != "fastlr, proved"]
    if not theirs:
        return Row(name, seconds, each / seconds["fastlr, proved"], "x faster at least", target, note)
    return Row(name, seconds, min(theirs) / seconds["fastlr, proved"], "x faster", target, note)


def _fastlr(X, y, C, tol, settings, max_time=None):
    model = fastlr.LogisticRegression(C=C, tol=tol, max_time=max_time, n_threads=settings.n_threads).fit(X, y)
    return model.coef_, model.intercept_


class _Judge:
    """(F - F*) / F* of a model."""

    def __init__(self, X, y, C, settings):
        self.X, self.y, self.C, self.optimum = X.astype(np.float64), y, C, math.inf
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not all of that can be proved in float32
            self(_fastlr(X, y, C, REFERENCE_TOL, settings, REFERENCE_SECONDS))

    def __call__(self, model):
        W, b = (np.asarray(part, np.float64) for part in model)
        Z, y = self.X @ np.atleast_2d(W).T + b, self.y
        if Z.shape[1] == 1:
            loss = np.logaddexp(0, np.where(y == 1, -Z[:, 0], Z[:, 0])).mean()
        else:
            top = Z.max(axis=1)
            loss = (top + np.log(np.exp(Z - top[:, None]).sum(axis=1)) - Z[np.arange(len(y)), y]).mean()
        value = float(loss + np.vdot(W, W) / (2 * len(y) * self.C))
        self.optimum = min(self.optimum, value)
        return value / self.optimum - 1


def _peers(X, y, C, settings):
    """Name -> ladder of the peers that minimise this objective; liblinear and snapml for two classes."""
    from sklearn.linear_model import LogisticRegression

    def fit(make, tol):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make(tol).fit(X, y)
        return np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)

    makers = {}
    if y.max() == 1:
        # its intercept is one more penalised coefficient, which may keep it from the optimum; a larger feature for it
        # (intercept_scaling) changes that, but makes it slower
        makers["liblinear"] = lambda tol: LogisticRegression(C=C, solver="liblinear", tol=tol, max_iter=10_000)
        if find_spec("snapml"):
            from snapml import LogisticRegression as Snap

            makers["snapml"] = lambda tol: Snap(regularizer=1 / C, fit_intercept=True, tol=tol, max_iter=1000,
                                                n_jobs=settings.n_threads, random_state=0)
    for solver in ("newton-cg", "lbfgs"):
        makers[solver] = lambda tol, solver=solver: LogisticRegression(C=C, solver=solver, tol=tol, max_iter=10_000)
    return {name: [(f"tol={tol:.0e}", partial(fit, make, tol)) for tol in TOLERANCES] for name, make in makers.items()}


def _gradient(X, y, settings):
    rng = np.random.default_rng(data.SEED)
    w, b = rng.standard_normal(X.shape[1]), 0.1
    w32, transposed, targets = w.astype(np.float32), X.T, y.astype(np.float32)

    def scipys():
        z = X @ w32 + np.float32(b)
        return transposed @ (1 / (1 + np.exp(-z)) - targets)

    contestants = {
        "fastlr": partial(fastlr.loss_and_grad, X, w, b, y, loss="sigmoid", n_threads=settings.n_threads),
        "scipy": scipys,
    }
    times = best_seconds(contestants, **settings.effort)
    return Row("binary", times, times["scipy"] / times["fastlr"], "x faster", GRADIENT)
