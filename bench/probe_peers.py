"""A probe by fastlr and by its peers: seconds until F is truly within 1e-3 of the optimum, on float16 embeddings.

    python -m fastlr.bench.probe_peers

Peers minimise the same F from zero, on X as float32, which they are fastest on; the making of it counts.  Each is
stopped at its first evaluation of F that is low enough, which a tight fit of fastlr's before has told, with its proof.
"""

import time
from unittest import mock

import numpy as np

from . import peers_torch
from .probes import TIGHT, TO, clusters, fastlr_course
from .settings import Settings
from .table import Row, Table, Target

N, D, K, C = 60_000, 384, 300, 1.0
HISTORY = 20
MOST = 2000  # evaluations
FASTER = Target(2, 4, sense="at least")


class _ReachedError(Exception):
    """F is low enough."""


def tables(settings):
    """The table of one probe."""
    n, d, k = settings.rows(N), settings.width(D), settings.width(K)
    X, y = clusters(n, d, k, 2.0)
    X = X.astype(np.float16)
    _, tight = fastlr_course(X, y, C, TIGHT, settings.n_threads)
    target = (1 + TO) * tight.value / (1 + min(tight.suboptimality, TIGHT) / 2)
    seconds, cpu, figures = {}, {}, {"F* proved to": tight.suboptimality}
    for name, value, gap in (("fastlr", target, np.inf), ("fastlr, proved", np.inf, TO)):
        begin = time.process_time()
        course, _ = fastlr_course(X, y, C, TO, settings.n_threads, value if gap > TO else -np.inf)
        seconds[name], cpu[f"{name}, CPU s"] = course.until(value, gap)[1], time.process_time() - begin
    for name, fit in (("torch L-BFGS", _torch(settings.n_threads)), ("scikit-learn lbfgs", _scikit_learn)):
        if fit is not None:
            fit(X[: 4 * k], y[: 4 * k], np.inf)  # imports are no part of it
            wall, begin = time.perf_counter(), time.process_time()
            figures[f"{name}, evaluations"] = fit(X, y, target)
            seconds[name], cpu[f"{name}, CPU s"] = time.perf_counter() - wall, time.process_time() - begin
    best = min(value for name, value in seconds.items() if not name.startswith("fastlr"))
    yield Table(f"probes: seconds to a true {TO:g}", "On X of float16; peers convert it. The result is the best peer's "
                "time over fastlr's; CPU seconds do not depend on what else the machine does.", [
        Row(f"{n:,} x {d} float16, k={k}, C={C:g}", seconds, figures=cpu | figures, value=best / seconds["fastlr"],
            unit="x as fast", target=FASTER)])


def _torch(n_threads):
    """Full-batch LBFGS with a strong Wolfe line search, or None without torch; returns its evaluations."""
    torch = peers_torch.torch_on(n_threads)
    if torch is None:
        return None

    def fit(X, y, target):
        k, n = int(y.max()) + 1, len(X)
        x, labels = torch.from_numpy(X.astype(np.float32)), torch.from_numpy(y).long()
        W, b = torch.zeros(k, X.shape[1], requires_grad=True), torch.zeros(k, requires_grad=True)
        solver = torch.optim.LBFGS([W, b], max_iter=MOST, max_eval=MOST, history_size=HISTORY, tolerance_grad=0,
                                   tolerance_change=0, line_search_fn="strong_wolfe")
        count = 0

        def closure():
            nonlocal count
            solver.zero_grad()
            loss = torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, W, b), labels)
            loss = loss + W.square().sum() / (2 * n * C)
            loss.backward()
            count += 1
            if loss.item() <= target:
                raise _ReachedError
            return loss

        return _until_reached(lambda: solver.step(closure), lambda: count)

    return fit


def _scikit_learn(X, y, target):
    """scikit-learn's lbfgs, whose F is watched where it is handed to SciPy; returns its evaluations."""
    from scipy import optimize
    from sklearn.linear_model import LogisticRegression

    minimise, count = optimize.minimize, 0

    def watched(function, *args, **options):
        def value_and_grad(*point):
            nonlocal count
            value, grad = function(*point)
            count += 1
            if value <= target:
                raise _ReachedError
            return value, grad

        return minimise(value_and_grad, *args, **options)

    model = LogisticRegression(C=C, tol=1e-9, max_iter=MOST)
    with mock.patch.object(optimize, "minimize", watched):
        return _until_reached(lambda: model.fit(X.astype(np.float32), y), lambda: count)


def _until_reached(work, count):
    """The evaluations until F was low enough."""
    try:
        work()
    except _ReachedError:
        return count()
    raise RuntimeError(f"F was not low enough after {count()} evaluations")


def main():
    """Print the table."""
    from fastlr._runtime.threads import resolve_n_threads

    for table in tables(Settings(resolve_n_threads(None))):
        print(table.render())


if __name__ == "__main__":
    main()
