"""Fits on a cluster of two processes on this machine: the optimum, its bits, and what goes wrong on the way."""

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastlr import LogisticRegression

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
import dask.array as da  # noqa: E402
import pandas as pd  # noqa: E402

from fastlr import _dask_engine  # noqa: E402
from fastlr.dask import DaskLogisticRegression  # noqa: E402

dd = pytest.importorskip("dask.dataframe")

QUIET = {"processes": True, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}


@pytest.fixture(scope="module")
def client():
    with distributed.LocalCluster(n_workers=2, **QUIET) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def fragile():
    """A client of workers that are there to be killed."""
    with distributed.LocalCluster(n_workers=2, **QUIET) as cluster, distributed.Client(cluster) as client:
        yield client


def arrays(n=6000, d=8, k=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.exponential(size=d) + rng.normal(size=d)
    y = (X @ rng.normal(size=(d, k)) + rng.gumbel(size=(n, k))).argmax(axis=1)
    return X, y, rng.exponential(size=n) * (rng.random(n) < 0.9)


def chunked(*arrays, chunk=2200):
    return [da.from_array(a, chunks=(chunk, *a.shape[1:])) for a in arrays]


def assert_same_model(model, local, rtol=1e-9):
    assert model.objective_ == pytest.approx(local.objective_, rel=1e-12)
    assert model.suboptimality_ <= model.tol
    np.testing.assert_allclose(model.coef_, local.coef_, rtol=0, atol=rtol * np.abs(local.coef_).max())
    np.testing.assert_allclose(model.intercept_, local.intercept_, rtol=0, atol=rtol * np.abs(local.coef_).max())
    np.testing.assert_array_equal(model.classes_, local.classes_)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("options", [{}, {"C": 0.01, "fit_intercept": False}, {"class_weight": "balanced"}])
def test_the_optimum_is_that_of_the_rows_in_memory(client, k, options):
    X, y, weight = arrays(k=k)
    names = np.array(["a", "b", "c"])[y]
    dX, dy, dweight = chunked(X, names, weight)
    model = DaskLogisticRegression(tol=1e-12, client=client, **options).fit(dX, dy, dweight.rechunk(500))
    assert_same_model(model, LogisticRegression(tol=1e-12, **options).fit(X, names, weight), 1e-6)
    assert model.n_features_in_ == X.shape[1]
    assert "_in_use" not in vars(model)


@pytest.mark.parametrize("targets", ["labels", "classes"])
def test_matrices_of_targets(client, targets):
    X, y, _ = arrays()
    Y = np.eye(3)[y]
    local = LogisticRegression(tol=1e-12, targets=targets).fit(X, Y)
    model = DaskLogisticRegression(tol=1e-12, targets=targets).fit(*chunked(X, Y))
    assert_same_model(model, local, 1e-6)
    np.testing.assert_array_equal(model.predict(da.from_array(X, chunks=(4000, -1))).compute(), local.predict(X))


def test_data_frames(client):
    X, y, weight = arrays(k=2)
    frame = pd.DataFrame(X, columns=[f"f{j}" for j in range(X.shape[1])])
    frame["y"], frame["weight"] = np.where(y, "yes", "no"), weight
    frames = dd.from_pandas(frame, npartitions=5)
    columns = [f"f{j}" for j in range(X.shape[1])]
    model = DaskLogisticRegression(tol=1e-12).fit(frames[columns], frames["y"], frames["weight"])
    local = LogisticRegression(tol=1e-12).fit(frame[columns], frame["y"], frame["weight"])
    assert_same_model(model, local, 1e-6)
    assert model.feature_names_in_.tolist() == columns
    predicted = model.predict(frames[columns])
    assert isinstance(predicted, da.Array)
    np.testing.assert_array_equal(predicted.compute(), local.predict(frame[columns]))
    np.testing.assert_allclose(model.predict_proba(frames[columns]).compute(), local.predict_proba(frame[columns]),
                               atol=1e-6)


def test_bits_do_not_depend_on_workers(client):
    X, y, weight = arrays()
    data = chunked(X.astype(np.float32), y, weight, chunk=600)  # more parts than are joined at a time
    model = DaskLogisticRegression(client=client).fit(*data)
    one = {**QUIET, "processes": False, "threads_per_worker": 2}
    with distributed.LocalCluster(n_workers=1, **one) as cluster, distributed.Client(cluster) as other:
        again = DaskLogisticRegression(client=other).fit(*data)
    for name in ("coef_", "intercept_", "objective_", "suboptimality_", "n_passes_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(again, name))


def test_large_models_are_joined_on_workers(client, monkeypatch):
    X, y, _ = arrays(n=3000, k=3)
    data = chunked(X, y, chunk=300)
    here = DaskLogisticRegression(client=client).fit(*data)
    monkeypatch.setattr(_dask_engine, "JOINED_HERE", 0)
    there = DaskLogisticRegression(client=client).fit(*data)
    np.testing.assert_array_equal(here.coef_, there.coef_)
    assert here.objective_ == there.objective_


def test_workers_keep_to_what_all_can_do(client):
    """One worker is lowered: results are those of a cluster that is all lower."""
    from fastlr import _core

    if len(_core.available_isas()) < 2:
        pytest.skip("one instruction set only")
    lowest = _core.available_isas()[-1]
    X, y, _ = arrays(n=2000)
    data = chunked(X, y, chunk=300)
    best = DaskLogisticRegression(client=client).fit(*data)
    client.run(_core.select_isa, lowest, workers=[next(iter(client.run(os.getpid)))])
    mixed = DaskLogisticRegression(client=client).fit(*data)
    assert set(client.run(_core.isa_name).values()) == {lowest}
    lower = DaskLogisticRegression(client=client).fit(*data)
    client.run(_core.select_isa, None)
    np.testing.assert_array_equal(mixed.coef_, lower.coef_)
    assert best.objective_ == pytest.approx(lower.objective_, rel=1e-10)


def test_predictions_are_lazy_and_those_of_the_local_model(client):
    X, y, weight = arrays(k=2)
    dX, dy, dweight = chunked(X.astype(np.float32), y, weight)
    model = DaskLogisticRegression(client=client).fit(dX, dy)
    local = model.to_local()
    assert type(local) is LogisticRegression
    assert local.get_params() == {name: v for name, v in model.get_params().items() if name != "client"}
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        lazy, expected = getattr(model, method)(dX), getattr(local, method)(X.astype(np.float32))
        assert isinstance(lazy, da.Array)
        assert lazy.chunks[0] == dX.chunks[0]
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(lazy.compute(), expected)
    assert model.score(dX, dy, dweight) == pytest.approx(local.score(X.astype(np.float32), y, weight), rel=1e-12)
    few = dX[dX[:, 0] > 1e9]  # no row in any chunk
    few.compute_chunk_sizes()
    assert model.predict_proba(few).compute().shape == (0, 2)


def test_the_client_is_no_part_of_the_model(client):
    X, y, _ = arrays(n=1000)
    model = DaskLogisticRegression(client=client, C=2.0).fit(*chunked(X, y))
    assert clone(model).client is client
    restored = pickle.loads(pickle.dumps(model))
    assert restored.client is None
    np.testing.assert_array_equal(restored.coef_, model.coef_)
    assert not hasattr(clone(model), "coef_")


def test_warm_start_and_options(client):
    X, y, _ = arrays(k=2)
    data = chunked(X, y)
    model = DaskLogisticRegression(client=client, tol=1e-8, warm_start=True, scale=0.5, shift=1.0).fit(*data)
    assert_same_model(model, LogisticRegression(tol=1e-8, scale=0.5, shift=1.0).fit(X, y), 1e-3)
    assert model.fit(*data).n_iter_[0] == 0
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        DaskLogisticRegression(client=client, tol=1e-12, max_iter=1).fit(*data)
    separable = chunked(X, (X[:, 0] > X[:, 0].mean()).astype(int))
    with pytest.warns(ConvergenceWarning, match="separable"):
        DaskLogisticRegression(C=np.inf, client=client).fit(*separable)


# ---- what goes wrong on the way ------------------------------------------------------------------------------------
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


def test_workers_that_are_killed_are_survived(fragile, monkeypatch):
    """One after the other, while chunks are read and while passes run."""
    X, y, weight = arrays()
    data = chunked(X, y, weight)
    whole = DaskLogisticRegression(client=fragile, tol=1e-10).fit(*data)
    for number, pid in zip((1, 9), fragile.run(os.getpid).values(), strict=True):
        with monkeypatch.context() as patch:
            calls = at_gather(patch, number, lambda pid=pid: os.kill(pid, signal.SIGKILL))
            killed = DaskLogisticRegression(client=fragile, tol=1e-10).fit(*data)
        assert calls[0] > number
        np.testing.assert_array_equal(killed.coef_, whole.coef_)
        assert killed.objective_ == whole.objective_


def test_chunks_that_cannot_be_made_again_are_an_error(fragile, monkeypatch):
    X, y, _ = arrays(n=2000)
    chunks = fragile.scatter([X[:1000], X[1000:]])
    dX = da.concatenate([da.from_delayed(dask.delayed(chunk), (1000, 8), float) for chunk in chunks])
    pids = fragile.run(os.getpid)
    at_gather(monkeypatch, 6, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids.values()])
    with pytest.raises(RuntimeError, match="expected collections that Dask can compute"):
        DaskLogisticRegression(client=fragile, tol=1e-12).fit(dX, da.from_array(y, chunks=1000))


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


# ---- bad input -----------------------------------------------------------------------------------------------------
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
        ("fails", ZeroDivisionError, "division by zero"),
    ],
)
def test_bad_input(client, name, error, message):
    with pytest.raises(error, match=message):
        DaskLogisticRegression(client=client).fit(**spoiled(name))


def test_other_labels_in_some_chunks_are_classes_too(client):
    """A class that one chunk alone has, in other integers."""
    X, y, _ = arrays(k=2)
    y[5500:5600] = 7
    dX, dy = chunked(X, y)
    model = DaskLogisticRegression(client=client, tol=1e-12).fit(dX, dy)
    assert_same_model(model, LogisticRegression(tol=1e-12).fit(X, y), 1e-5)


def test_without_a_client_the_message_says_how_to_make_one(monkeypatch):
    def none():
        raise ValueError("No clients found")

    monkeypatch.setattr("fastlr.dask.default_client", none)
    with pytest.raises(ValueError, match=r"distributed.Client\(address\)"):
        DaskLogisticRegression().fit(*chunked(*arrays(n=100)[:2]))


def test_without_dask_the_message_says_what_to_install():
    code = "import sys; sys.modules['distributed'] = None; import fastlr; import fastlr.dask"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install fastlr-ml[dask]" in done.stderr
