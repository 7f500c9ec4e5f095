"""Fits on a cluster of two processes on this machine: the optimum and its bits, predictions, the estimator."""

import os
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastlr import LogisticRegression

pytest.importorskip("distributed")
import dask.array as da
import dask.dataframe as dd
import distributed
import pandas as pd
from clusters import QUIET, arrays, chunked, two_workers

from fastlr import _dask_engine
from fastlr.dask import DaskLogisticRegression


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


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
    assert local.get_params().items() >= {name: v for name, v in model.get_params().items() if name != "client"}.items()
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
    model = DaskLogisticRegression(client=client, tol=1e-12, warm_start=True, scale=0.5, shift=1.0).fit(*data)
    assert_same_model(model, LogisticRegression(tol=1e-12, scale=0.5, shift=1.0).fit(X, y), 1e-3)
    assert model.fit(*data).n_iter_[0] == 0
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        DaskLogisticRegression(client=client, tol=1e-12, max_iter=1).fit(*data)
    separable = chunked(X, (X[:, 0] > X[:, 0].mean()).astype(int))
    with pytest.warns(ConvergenceWarning, match="separable"):
        DaskLogisticRegression(C=np.inf, client=client).fit(*separable)


def test_other_labels_in_some_chunks_are_classes_too(client):
    """A class that one chunk alone has, in other integers."""
    X, y, _ = arrays(k=2)
    y[5500:5600] = 7
    dX, dy = chunked(X, y)
    model = DaskLogisticRegression(client=client, tol=1e-12).fit(dX, dy)
    assert_same_model(model, LogisticRegression(tol=1e-12).fit(X, y), 1e-5)
