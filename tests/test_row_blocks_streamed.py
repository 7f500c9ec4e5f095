"""Blocks that find no room on disk: fits read them again in each pass, say so once, and notice another source."""

import gc
import os
import sys

import numpy as np
import pytest
from streaming import Source, files_of_at_most, streamed

from fastlr import LogisticRegression, RowBlocks

RNG = np.random.default_rng(0)
N = 30_000
X = RNG.normal(size=(N, 20))
Y = np.array(["a", "b", "c"])[np.argmax(X[:, :3] + RNG.gumbel(size=(N, 3)), axis=1)]
WEIGHT = RNG.random(N) * (RNG.random(N) > 0.1)
CODES = (Y == "a").astype(np.int8)


CASES = {
    "classes": ((X, Y), {}),
    "weights": ((X, Y, WEIGHT), {}),
    "class weights": ((X, Y), {"class_weight": "balanced"}),
    "float32": ((X.astype(np.float32), Y), {}),
    "two classes": ((X, CODES), {"fit_intercept": False}),
    "probabilities": ((X, RNG.dirichlet(np.ones(3), N)), {}),
    "no penalty": ((X, Y), {"C": np.inf}),
    "bytes, by column": ((np.asfortranarray(X * 20 + 100).astype(np.uint8), Y), {"scale": 0.05, "shift": 100.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fit_goes_on_without(name, recwarn):
    arrays, options = CASES[name]
    model = LogisticRegression(tol=1e-7, **options)
    rows = streamed(source := Source(*arrays), limit=arrays[0].nbytes - 1)
    found = model.fit(rows)
    assert source.n_readings > 5
    assert found.suboptimality_ <= 1e-7
    predicted, score = model.predict_proba(rows), model.score(rows)
    in_parts = np.concatenate(list(rows.predictions(model, "predict_proba")))
    objective = model.objective_
    model.fit(*arrays)
    assert objective == pytest.approx(model.objective_, rel=2e-7)
    np.testing.assert_allclose(predicted, model.predict_proba(arrays[0]), atol=2e-3)
    np.testing.assert_array_equal(in_parts, predicted)
    assert score == pytest.approx(model.score(*arrays), abs=1e-3)
    assert not recwarn.list  # it has been said


def test_the_optimum_is_that_of_rows_in_memory():
    found = LogisticRegression(tol=1e-12).fit(streamed(Source(X, Y)))
    assert found.objective_ == pytest.approx(LogisticRegression(tol=1e-12).fit(X, Y).objective_, rel=2e-12)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_is_left_of_what_was_written(tmp_path):
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    rows = streamed(Source(X, Y), tmp_path)
    LogisticRegression().fit(rows)
    assert not list(tmp_path.iterdir())
    del rows
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_array_of_the_rows_needs_room_and_says_what_does_without():
    rows = streamed(Source(X, Y))
    message = r"no room for .* with cache=; an array of the rows needs it: LogisticRegression.* and Trainer do"
    with pytest.raises(OSError, match=message):
        rows.X  # noqa: B018


def test_what_cannot_be_read_again_needs_room(tmp_path):
    message = r"no room for .*; or pass a function that returns an iterator"
    with files_of_at_most(2 << 20), pytest.raises(OSError, match=message):
        LogisticRegression().fit(RowBlocks(Source(X, Y)(), cache=tmp_path))
    iterator = Source(X, Y)()
    rows = streamed(lambda: iterator)
    with pytest.raises(ValueError, match="was begun before, so that rows would be missing"):
        LogisticRegression().fit(rows)
    assert not list(tmp_path.iterdir())


OTHER = X.copy()
OTHER[8_000, 3] += 1
CHANGES = {
    "a value": ((OTHER, Y), r"block 1 \(from row 7000 on\) has other values than before"),
    "labels": ((X, np.roll(Y, 1)), r"block 0 \(from row 0 on\) has other labels than before"),
    "no labels": ((X,), r"block 0 .* has other labels"),
    "fewer rows": ((X[:-1], Y[:-1]), "the blocks have 29999 rows; expected 30000 as before"),
    "more rows": ((np.vstack([X, X[:9]]), np.append(Y, Y[:9])), "ends at row 30009; expected .* 30000 rows in all"),
    "another width": ((X[:, 1:], Y), "has 19 dense features of dtype float64 .* expected 20 dense ones of float64"),
    "another dtype": ((X.astype(np.float32), Y), "of dtype float32"),
    "not finite": ((np.where(X[9] == X, np.nan, X), Y), "block 0 .*contains NaN, first at row 9"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_source_that_changes_between_passes(name):
    source = Source(X, Y)
    rows = streamed(source)
    model = LogisticRegression().fit(rows)
    before = model.coef_
    source.arrays, message = CHANGES[name]
    with pytest.raises(ValueError, match=message):
        model.fit(rows)
    assert model.coef_ is before


@pytest.mark.parametrize("harm", ["removed", "cut", "replaced"])
def test_files_that_change_between_passes(harm, tmp_path):
    for i in range(3):
        np.save(tmp_path / f"x{i}.npy", X[i * 10_000 : (i + 1) * 10_000])
    rows = RowBlocks.from_npy(tmp_path / "x*.npy", Y)
    with files_of_at_most(2 << 20), pytest.warns(RuntimeWarning, match="no room"):
        rows.rows  # noqa: B018
    model = LogisticRegression().fit(rows)
    path = tmp_path / "x1.npy"
    if harm == "removed":
        path.unlink()
    elif harm == "cut":
        os.truncate(path, 500_000)
    else:
        np.save(path, X[:10_000])
    with pytest.raises((OSError, ValueError), match=r"x1\.npy" if harm != "replaced" else "has other values"):
        model.fit(rows)


def test_other_values_in_blocks_of_other_sizes_are_noticed():
    readings = []

    def blocks():
        readings.append(len(readings))
        changed, size = (X * [-1, *[1] * (X.shape[1] - 1)], 70) if len(readings) > 4 else (X, 100)
        return iter([(changed[i : i + size], CODES[i : i + size]) for i in range(0, N, size)])

    rows = RowBlocks(blocks)
    with files_of_at_most(2 << 20), pytest.warns(RuntimeWarning, match="no room"):
        assert rows.shape == X.shape
    with pytest.raises(ValueError, match="has other values than before, or one before it has"):
        LogisticRegression().fit(rows)
