"""What goes wrong with fits on a cluster: bad chunks, Ctrl-C, no scheduler, no workers, workers that are killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("distributed")
import dask
import dask.array as da
import dask.dataframe as dd
import distributed
import pandas as pd
from clusters import QUIET, arrays, chunked, two_workers

from fastlr import LogisticRegression, _dask_engine
from fastlr.dask import DaskLogisticRegression


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


def none_from(number):
    """A function of a chunk and its place that returns None from this chunk on."""
    return lambda x, block_id=None: None if block_id and block_id[0] >= number else x


def spoiled(name):
    """X, y and weights, as keyword arguments, with something wrong in them."""
    X, y, weight = arrays()
    dX, dy, dweight = chunked(X, y, weight, chunk=1100)
    if name == "nan":
        X[3456, 2] = np.nan
        return {"X": da.from_array(X, chunks=(1100, -1)), "y": dy}
    if name == "infinite":
        X[10, 0] = np.inf
        return {"X": da.from_array(X, chunks=(1100, -1)), "y": dy}
    if name == "width":
        return {"X": da.concatenate([dX[:3300], dX[3300:, :7].map_blocks(lambda x: x, chunks=((1100, 1100, 500), (8,)),
                                                                         dtype=float)]), "y": dy}
    if name == "dtype":
        return {"X": dX.map_blocks(lambda x, block_id=None: x.astype(np.float32) if block_id[0] == 4 else x,
                                   dtype=float), "y": dy}
    if name == "text":
        frame = pd.DataFrame(X).rename(columns=str).assign(city="Bern")
        return {"X": dd.from_pandas(frame, npartitions=3), "y": dd.from_pandas(pd.Series(y), npartitions=3)}
    if name == "kinds":
        labels = y.astype(object)
        labels[2200:] = [f"{label}" for label in labels[2200:]]
        return {"X": dX, "y": da.from_array(labels, chunks=1100)}
    if name == "missing":
        labels = y.astype(float)
        labels[2201] = np.nan
        return {"X": dX, "y": da.from_array(labels, chunks=1100)}
    if name == "negative":
        return {"X": dX, "y": dy, "sample_weight": da.where(da.arange(6000, chunks=1100) == 5000, -1.0, dweight)}
    return {
        "numpy": {"X": X, "y": dy},
        "numpy y": {"X": dX, "y": y},
        "side by side": {"X": dX.rechunk((1100, 4)), "y": dy},
        "rows": {"X": dX, "y": dy[:-1]},
        "one class": {"X": dX, "y": da.zeros_like(dy)},
        "no y": {"X": dX, "y": None},
        "zero": {"X": dX, "y": dy, "sample_weight": da.zeros_like(dweight)},
        "no rows": {"X": dX[:0], "y": dy[:0]},
        "complex": {"X": dX + 1j, "y": dy},
        "no features": {"X": dX[:, :0], "y": dy},
        "none": {"X": dX.map_blocks(none_from(2), dtype=float, meta=np.empty((0, 8))), "y": dy},
        "none y": {"X": dX, "y": dy.map_blocks(none_from(1), dtype=int, meta=np.empty(0, int))},
        "none weight": {"X": dX, "y": dy, "sample_weight": dweight.map_blocks(none_from(4), dtype=float,
                                                                              meta=np.empty(0))},
        "number": {"X": dX.map_blocks(lambda x: 3.0, dtype=float, meta=np.empty((0, 8))), "y": dy},
        "fails": {"X": dX.map_blocks(lambda x: 1 / 0, dtype=float, meta=np.empty((0, 8))), "y": dy},
    }[name]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nan", ValueError, r"chunk 3.*NaN, first at row 156, column 2"),
        ("infinite", ValueError, r"chunk 0.*infinity, first at row 10, column 0"),
        ("width", ValueError, "chunk 3 of X has features 7 and chunk 0 8"),
        ("dtype", ValueError, "chunk 4 of X has dtype float32 and chunk 0 float64"),
        ("text", ValueError, "chunk 0.*column 'city'"),
        ("kinds", TypeError, "chunk 2.*use the same labels"),
        ("missing", ValueError, "chunk 2.*nan at row 1"),
        ("negative", ValueError, "chunk 4.*sample_weight has -1.0 at row 600"),
        ("numpy", TypeError, "X is ndarray; expected a Dask array"),
        ("numpy y", TypeError, "y is ndarray; expected a Dask array"),
        ("side by side", ValueError, r"X.rechunk\({1: -1}\)"),
        ("rows", ValueError, "y has 5999 rows and X 6000"),
        ("one class", ValueError, "y has 1 class"),
        ("no y", ValueError, "y is None"),
        ("zero", ValueError, "sample_weight is zero"),
        ("no rows", ValueError, r"0 sample\(s\)"),
        ("complex", ValueError, "Complex data not supported"),
        ("no features", ValueError, r"chunk 0.*X has 0 feature\(s\)"),
        ("none", TypeError, r"chunk 2.*X is NoneType; expected chunks that are arrays or data frames"),
        ("none y", TypeError, r"chunk 1.*y is NoneType; expected chunks"),
        ("none weight", TypeError, r"chunk 4.*sample_weight is NoneType; expected chunks"),
        ("number", TypeError, r"chunk 0.*X is float; expected chunks"),
        ("fails", ZeroDivisionError, "division by zero"),
    ],
)
def test_bad_input(client, name, error, message):
    with pytest.raises(error, match=message):
        DaskLogisticRegression(client=client).fit(**spoiled(name))


def test_a_client_that_is_none():
    X, y, _ = arrays(n=1000)
    for client, kind in ((3, "int"), ("tcp://127.0.0.1:8786", "str")):
        with pytest.raises(TypeError, match=rf"client is of type {kind}; expected a distributed.Client, or None"):
            DaskLogisticRegression(client=client).fit(*chunked(X, y))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score"])
def test_bad_chunks_in_predictions(client, method):
    X, y, _ = arrays(n=1000)
    dX, dy = chunked(X, y, chunk=250)
    model = DaskLogisticRegression(client=client).fit(dX, dy)
    bad = dX.map_blocks(none_from(2), dtype=float, meta=np.empty((0, 8)))
    with pytest.raises(TypeError, match="X is NoneType; expected chunks that are arrays or data frames"):
        model.score(bad, dy) if method == "score" else getattr(model, method)(bad).compute()


@pytest.mark.parametrize("name", sorted({*LogisticRegression().get_params(), "offset"}
                                        - set(DaskLogisticRegression().get_params())))
def test_arguments_of_the_local_model_that_are_not_here(name):
    with pytest.raises(TypeError, match=f"Regression has no argument '{name}': .*(LogisticRegression|leave it out)"):
        DaskLogisticRegression(**{name: 1})
    with pytest.raises(TypeError, match=r"no argument 'max_itr'; did you mean 'max_iter'"):
        DaskLogisticRegression(max_itr=1)
    with pytest.raises(TypeError, match=r"Regression.fit has no argument 'offset': .*use LogisticRegression"):
        DaskLogisticRegression().fit(None, None, offset=1)


def at_gather(monkeypatch, number, action):
    """Do something while the results of the so many-th step of a fit are waited for."""
    gather, calls = _dask_engine.Cluster.gather, [0]

    def acting(self, futures):
        calls[0] += 1
        if calls[0] == number:
            action()
        return gather(self, futures)

    monkeypatch.setattr(_dask_engine.Cluster, "gather", acting)
    return calls


def n_tasks(client):
    """Tasks of ours that the scheduler knows, once those that were let go of had time to go."""
    def count(dask_scheduler):
        return len(dask_scheduler.tasks)

    for _ in range(100):
        if not client.run_on_scheduler(count):
            return 0
        time.sleep(0.05)
    return client.run_on_scheduler(count)


def test_a_fit_leaves_no_tasks(client):
    X, y, _ = arrays()
    DaskLogisticRegression(client=client).fit(*chunked(X, y))
    assert n_tasks(client) == 0
    with pytest.raises(ValueError, match="chunk 1") as caught:
        DaskLogisticRegression(client=client).fit(*chunked(np.where(np.arange(6000)[:, None] == 2300, np.nan, X), y))
    assert caught.tb is not None  # a traceback that is kept keeps no tasks
    assert n_tasks(client) == 0


def test_an_interrupted_fit_leaves_the_model_and_no_tasks(client, monkeypatch):
    X, y, _ = arrays()
    data = chunked(X, y)
    model = DaskLogisticRegression(client=client, tol=1e-12)
    with monkeypatch.context() as patch:
        at_gather(patch, 9, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt, match="warm_start=True goes on from here"):
            model.fit(*data)
    assert np.isfinite(model.coef_).all()
    assert n_tasks(client) == 0
    before = model.coef_
    with monkeypatch.context() as patch:
        at_gather(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            model.fit(*data)
    assert model.coef_ is before
    assert n_tasks(client) == 0


def test_a_scheduler_that_is_gone_is_an_error_in_seconds(monkeypatch):
    X, y, _ = arrays(n=2000)
    data = chunked(X, y)
    cluster = distributed.LocalCluster(n_workers=1, **QUIET | {"processes": False})
    client = distributed.Client(cluster)

    def cut():
        asyncio.run_coroutine_threadsafe(cluster.scheduler.close(), cluster.loop.asyncio_loop).result(20)

    try:
        at_gather(monkeypatch, 5, cut)
        start = time.monotonic()
        with pytest.raises(ConnectionError, match="no connection to the scheduler"):
            DaskLogisticRegression(client=client).fit(*data)
        with pytest.raises(ConnectionError, match="make a new Client"):
            DaskLogisticRegression(client=client).fit(*data)
        assert time.monotonic() - start < 30
    finally:
        client.close(timeout=1)
        with contextlib.suppress(TimeoutError):
            cluster.close(timeout=2)


def test_a_cluster_without_workers_is_an_error(monkeypatch):
    monkeypatch.setattr(_dask_engine, "NO_WORKERS", 0.5)
    X, y, _ = arrays(n=100)
    with (distributed.LocalCluster(n_workers=0, **QUIET) as cluster, distributed.Client(cluster) as client,
          pytest.raises(TimeoutError, match="no workers")):
        DaskLogisticRegression(client=client).fit(*chunked(X, y))


def test_without_a_client_the_message_says_how_to_make_one(monkeypatch):
    def none():
        raise ValueError("No clients found")

    monkeypatch.setattr("fastlr.dask.default_client", none)
    with pytest.raises(ValueError, match=r"distributed.Client\(address\)"):
        DaskLogisticRegression().fit(*chunked(*arrays(n=100)[:2]))


def test_without_dask_the_message_says_what_to_install():
    code = "import sys; sys.modules['distributed'] = None; import fastlr; import fastlr.dask"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'fastlr-ml[dask]'" in done.stderr


# ---- last, for the workers' sake
def test_workers_that_are_killed_are_survived(client, monkeypatch):
    """One after the other, while chunks are read and while passes run."""
    X, y, weight = arrays()
    data = chunked(X, y, weight)
    whole = DaskLogisticRegression(client=client, tol=1e-10).fit(*data)
    for number, pid in zip((1, 9), client.run(os.getpid).values(), strict=True):
        with monkeypatch.context() as patch:
            calls = at_gather(patch, number, lambda pid=pid: os.kill(pid, signal.SIGKILL))
            killed = DaskLogisticRegression(client=client, tol=1e-10).fit(*data)
        assert calls[0] > number
        np.testing.assert_array_equal(killed.coef_, whole.coef_)
        assert killed.objective_ == whole.objective_


def test_chunks_that_cannot_be_made_again_are_an_error(client, monkeypatch):
    X, y, _ = arrays(n=2000)
    chunks = client.scatter([X[:1000], X[1000:]])
    dX = da.concatenate([da.from_delayed(dask.delayed(chunk), (1000, 8), float) for chunk in chunks])
    pids = client.run(os.getpid)
    at_gather(monkeypatch, 6, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids.values()])
    with pytest.raises(RuntimeError, match="expected collections that Dask can compute"):
        DaskLogisticRegression(client=client, tol=1e-12).fit(dX, da.from_array(y, chunks=1000))
