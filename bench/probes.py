"""Softmax fits between and beyond the named ones: passes of fastlr over those of plain L-BFGS, cell by cell of a grid.

    python -m fastlr.bench.probes [--case TEXT] [--n N ...] [--d D ...] [--kind KIND]

Plain L-BFGS is SciPy's with 20 pairs, from zero, on the same fused passes of the features as they are; each evaluation
is a pass.  Both are stopped when F is within 1e-3 of the optimum, which a tight fit before has told.
"""

import argparse
import contextlib
import sys
import time
from dataclasses import dataclass
from itertools import product

import numpy as np

from fastlr._runtime.threads import resolve_n_threads

from . import data
from .settings import Settings
from .table import Row, Table, Target

TO = 1e-3
TIGHT = 2e-5
PROOF = "proved / true"
PAIRS = 20
MOST_EVALUATIONS = 2000
IN_EACH, IN_THE_MEAN, OF_THE_PROOF = Target(1.0), Target(0.6, 0.4), Target(2.0, 1.3)


@dataclass(frozen=True)
class Probe:
    """A cell: n rows of d features, n_a_class rows in each class, deviation about the centres."""

    n: int
    d: int
    n_a_class: int
    C: float
    deviation: float = 2.0
    kind: str = "clusters"

    @property
    def k(self):
        return max(2, self.n // self.n_a_class)

    @property
    def name(self):
        return f"{self.kind} {self.deviation:g}, {self.n:,} x {self.d}, k={self.k}, C={self.C:g}"


def grid(ns=(10_000, 60_000), ds=(64, 384)):
    """The cells in the order of their cost."""
    cells = product(ns, ds, (1000, 200, 60, 20), (2.0, 4.0), (0.01, 1.0, 100.0))
    return [Probe(n, d, m, C, deviation) for n, d, m, deviation, C in cells]


KINDS = {
    "clusters": {},
    "imbalanced": {"zipf": 1.0},
    "noisy": {"flipped": 0.1},
    "raw": {"normalised": False},
    "flat": {"decay": 0.0},
    "steep": {"decay": 1.5},
}
"""Kinds of data -> how they differ from the first: see `clusters`."""


def clusters(n, d, k, deviation, *, zipf=0.0, flipped=0.0, normalised=True, decay=0.5):
    """Embeddings X (n, d) float32 in clusters about a centre for each class, and the classes y (n,).

    Direction j has deviation (1 + j / 16)^-decay; rows lie about their centres with `deviation` times that of the
    centres; class c has a share in proportion to (c + 1)^-zipf; a part `flipped` of the labels is drawn anew; each row
    is divided by its root mean square if `normalised`.
    """
    rng = np.random.default_rng(data.SEED)
    scale = ((1 + np.arange(d) / 16) ** -decay).astype(np.float32)
    centres = rng.standard_normal((k, d), np.float32) * scale
    share = np.arange(1, k + 1) ** -zipf
    y = rng.permutation(np.searchsorted(np.cumsum(share) / share.sum(), (np.arange(n) + 0.5) / n)).astype(np.int32)
    X = rng.standard_normal((n, d), np.float32)
    X *= deviation * scale
    X += centres[y]
    if normalised:
        X /= np.sqrt(np.mean(X * X, axis=1, keepdims=True))
    anew = rng.random(n) < flipped
    y[anew] = rng.integers(0, k, anew.sum())
    return X, np.unique(y, return_inverse=True)[1].astype(np.int32)


@dataclass
class Course:
    """What a fit had reached after each iteration: passes, seconds, values and proved suboptimality."""

    passes: list
    seconds: list
    values: list
    gaps: list

    def until(self, value=np.inf, gap=np.inf):
        """Passes and seconds of the first iteration with at most this value and gap; infinite without one."""
        for i, reached in enumerate(zip(self.values, self.gaps, strict=True)):
            if reached[0] <= value and reached[1] <= gap:
                return self.passes[i], self.seconds[i]
        return np.inf, np.inf


def fastlr_course(X, y, C, tol, n_threads, target=-np.inf):
    """The course of a fit of LogisticRegression's objective, and F's best value and bound; it ends at the target."""
    from fastlr import solvers
    from fastlr.model.objective import Objective
    from fastlr.model.rows import DenseRows
    from fastlr.model.rows_base import as_computed

    course = Course([], [], [], [])
    start = time.perf_counter()
    k = int(y.max()) + 1
    loss, k = ("sigmoid", 1) if k == 2 else ("softmax", k)
    rows = DenseRows(as_computed(X, X.size), y, k, loss=loss, intercept=True, n_threads=n_threads)
    looked = rows.n_passes  # for what is not finite: no part of the solver, and plain L-BFGS does not
    objective = Objective(rows, alpha=1 / (C * len(X)))

    def record(iteration, value, gap, _point):
        for to, what in zip((course.passes, course.seconds, course.values, course.gaps),
                            (objective.n_passes - looked, time.perf_counter() - start, value, gap), strict=True):
            to.append(what)
        return value <= target

    result = solvers.minimise(objective, tol=tol, max_iter=3000, callback=record)
    record(result.n_iter, result.value, result.suboptimality, None)
    return course, result


def plain_course(X, y, C, target, n_threads):
    """Evaluations and seconds of SciPy's L-BFGS until F is at most target; infinite where it never is."""
    from scipy.optimize import minimize

    from fastlr import loss_and_grad

    n, d = X.shape
    k = int(y.max()) + 1
    k, loss = (1, "sigmoid") if k == 2 else (k, "softmax")
    count, start, there = 0, time.perf_counter(), None

    def value_and_grad(w):
        nonlocal count, there
        M = w.reshape(k, d + 1)
        value, grad_W, grad_b = loss_and_grad(X, np.ascontiguousarray(M[:, :d]), M[:, d].copy(), y, loss=loss,
                                              alpha=1 / (C * n), n_threads=n_threads)
        count += 1
        if value <= target and there is None:
            there = count, time.perf_counter() - start
            raise StopIteration
        return value, np.column_stack([grad_W, grad_b]).ravel()

    most = {"maxfun": MOST_EVALUATIONS, "maxiter": MOST_EVALUATIONS}
    with contextlib.suppress(StopIteration):
        minimize(value_and_grad, np.zeros(k * (d + 1)), jac=True, method="L-BFGS-B",
                 options={"maxcor": PAIRS, "ftol": 0.0, "gtol": 0.0, **most})
    return there or (np.inf, np.inf)


def measure(probe, n_threads):
    """The Row of a cell."""
    X, y = clusters(probe.n, probe.d, probe.k, probe.deviation, **KINDS[probe.kind])
    tight, result = fastlr_course(X, y, probe.C, TIGHT, n_threads)
    optimum = result.value / (1 + min(result.suboptimality, TIGHT) / 2)
    course, _ = fastlr_course(X, y, probe.C, TO, n_threads)
    (true, _), (proved, seconds) = tight.until(optimum * (1 + TO)), course.until(gap=TO)
    plain, plain_seconds = plain_course(X, y, probe.C, optimum * (1 + TO), n_threads)
    figures = {"F*": optimum, "plain": plain, "true": true}
    if np.isfinite(proved):
        figures |= {"proved": proved, PROOF: proved / true, "plain, s": plain_seconds, "proved, s": seconds}
    return Row(probe.name, figures=figures, value=true / plain, unit="x the passes", target=IN_EACH)


def tables(settings):
    """The tables of the grid, of one probe by peers, and of what runs on one thread."""
    from . import probe_peers, serial

    yield from grid_tables(settings)
    yield from probe_peers.tables(settings)
    yield from serial.tables(settings)


def grid_tables(settings, cells=None):
    """The table of the grid's cells, and of their means."""
    cells = cells or (grid((400,), (8,))[::5] if settings.quick else grid())
    rows = []
    for probe in cells:
        row = measure(probe, settings.n_threads)
        print(f"{row.case}: " + "  ".join(f"{name} {value:.4g}" for name, value in row.figures.items())
              + f"  -> {row.value:.2f}", file=sys.stderr, flush=True)
        rows.append(row)
    about = f"Passes until F is within {TO:g} of the optimum, and until that is proved; plain: L-BFGS of {PAIRS} pairs."
    yield Table("probes: passes against plain L-BFGS", about, rows)
    ratios = np.array([row.value for row in rows])
    proof = np.array([row.figures[PROOF] for row in rows if PROOF in row.figures])
    yield Table("probes: means", "Over all cells, or all that are proved.", [
        Row("passes over plain L-BFGS's, geometric mean", value=float(np.exp(np.log(ratios).mean())),
            target=IN_THE_MEAN),
        Row("passes until proved over those until true", value=float(proof.mean()), target=OF_THE_PROOF,
            note=f"{len(proof)} cells of {len(rows)}"),
    ])


def main(argv=None):
    """Measure some cells, or those of another kind of data."""
    parser = argparse.ArgumentParser(prog="python -m fastlr.bench.probes")
    parser.add_argument("--case", default="", help="only cells whose names contain it")
    parser.add_argument("--n", type=int, nargs="+", default=[10_000, 60_000])
    parser.add_argument("--d", type=int, nargs="+", default=[64, 384])
    parser.add_argument("--kind", default="clusters", choices=KINDS)
    args = parser.parse_args(argv)
    cells = [Probe(p.n, p.d, p.n_a_class, p.C, p.deviation, args.kind) for p in grid(args.n, args.d)]
    for table in grid_tables(Settings(resolve_n_threads(None)), [p for p in cells if args.case in p.name]):
        print(f"\n{table.render()}", flush=True)


if __name__ == "__main__":
    main()
