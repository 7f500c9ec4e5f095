"""Suite "scale": a pass and a fit on a cluster of this machine's processes, against the same rows in memory.

As many workers of one thread as threads are asked for.  The rows of a chunk are made where they stay; the cluster's
and the ones in memory are the same.
"""

import sys
import time
from importlib.util import find_spec

import numpy as np

import fastlr

from .cases import CLUSTER_FIT, CLUSTER_PASS
from .table import Row, Table
from .timing import best_seconds

N, D = 4_000_000, 50
CHUNKS = 8
EMPTY = (2, 8, 32, 128)
"""Numbers of chunks without rows, which show the cost of tasks."""


def tables(settings):
    """Yield the tables of the suite; none where Dask is not installed."""
    if not find_spec("distributed"):
        print("Dask is not installed: pip install 'fastlr-ml[dask]'", file=sys.stderr)
        return
    import dask.array as da
    from distributed import Client, LocalCluster

    n = settings.rows(N)
    size = n // CHUNKS
    cluster = LocalCluster(n_workers=settings.n_threads, threads_per_worker=1, processes=True, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        data = da.arange(CHUNKS, chunks=1).map_blocks(
            _chunk, size, chunks=((size,) * CHUNKS, (D + 1,)), new_axis=1, meta=np.empty((0, D + 1), np.float32)
        ).persist()
        dX, dy = data[:, :D], data[:, D].astype(np.int32)
        parts = [_chunk(np.array([i]), size) for i in range(CHUNKS)]
        X = np.concatenate([part[:, :D] for part in parts])
        y = np.concatenate([part[:, D].astype(np.int32) for part in parts])
        del parts
        yield _latency(client, settings)
        yield _passes(client, dX, dy, X, y, settings)
        yield _fits(client, dX, dy, X, y, settings)


def _chunk(number, size):
    """Features of a chunk and, in a last column, its labels."""
    rng = np.random.default_rng(int(number[0]))
    rows = np.empty((size, D + 1), np.float32)
    rows[:, :D] = rng.standard_normal((size, D), np.float32)
    logits = rows[:, :D] @ np.linspace(-0.5, 0.5, D, dtype=np.float32)
    rows[:, D] = logits > rng.logistic(size=size)
    return rows


def _latency(client, settings):
    from fastlr._dask_engine import Cluster, DaskParts

    cluster, rows = Cluster(client), []
    for n_chunks in EMPTY[:: 3 if settings.quick else 1]:
        parts = DaskParts(cluster, cluster.start(_no_rows, range(n_chunks)))
        times = best_seconds({"pass": lambda parts=parts: parts.map(_nothing)}, **settings.effort)
        rows.append(Row(f"{n_chunks} chunks", times, figures={"ms a chunk": 1e3 * times["pass"] / n_chunks}))
    cluster.close()
    return Table(f"A pass over nothing, {settings.n_threads} workers of one thread", "Milliseconds: what Dask takes.",
                 rows)


def _no_rows(number):
    from fastlr.model.rows_engine import Part

    return Part(None)


def _nothing(part):
    return None


def _passes(client, dX, dy, X, y, settings):
    from fastlr._dask_data import DaskTrainingData
    from fastlr._dask_engine import Cluster
    from fastlr.dask import DaskLogisticRegression

    cluster = Cluster(client)
    estimator = DaskLogisticRegression(n_threads=settings.n_threads)
    rows = DaskTrainingData(estimator, cluster, dX, dy, None).objective(1.0, None, intercept=True, seed=0).rows
    W = np.zeros((1, D + 1))
    W[0, :D] = 0.1
    options = {"loss": "sigmoid", "n_threads": settings.n_threads}
    times = best_seconds({
        "in memory": lambda: fastlr.loss_and_grad(X, W[:, :D], W[:, D], y, **options),
        "cluster": lambda: rows.loss_and_grad(W),
    }, **settings.effort)
    cluster.close()
    return Table(
        f"A pass on {settings.n_threads} workers of one thread, {CHUNKS} chunks",
        f"Milliseconds; in memory on {settings.n_threads} threads.",
        [Row(f"{len(X):,} x {D}, binary, float32", times, times["cluster"] / times["in memory"], "x in memory",
             CLUSTER_PASS)],
    )


def _fits(client, dX, dy, X, y, settings):
    """To the default tolerance, and dask-ml's as it comes where it is installed."""
    from fastlr.dask import DaskLogisticRegression

    local, model = fastlr.LogisticRegression(n_threads=settings.n_threads), DaskLogisticRegression(client=client)
    seconds = {"in memory": _seconds(lambda: local.fit(X, y)), "cluster": _seconds(lambda: model.fit(dX, dy))}
    value, note = None, ""
    if find_spec("dask_ml"):
        from dask_ml.linear_model import LogisticRegression

        try:
            seconds["dask-ml"] = _seconds(lambda: LogisticRegression(solver="lbfgs").fit(dX, dy))
            value = seconds["dask-ml"] / seconds["cluster"]
        except Exception as error:  # it has not kept up with Dask
            note = f"dask-ml fails: {type(error).__name__}"
    figures = {"relative difference of F": abs(model.objective_ / local.objective_ - 1), "passes": model.n_passes_}
    return Table(
        "A fit to tol=1e-4", "Milliseconds, the data there already.",
        [Row(f"{len(X):,} x {D}, binary, float32", seconds, value, "x faster" if value else "",
             CLUSTER_FIT if value else None, note, figures=figures)],
    )


def _seconds(fit):
    start = time.perf_counter()
    fit()
    return time.perf_counter() - start
