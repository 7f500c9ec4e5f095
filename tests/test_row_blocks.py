"""Rows in blocks: the fit is that of the rows in one array, bit for bit; and what blocks may not be."""

import os
import pickle
import re
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import scipy.sparse as sp
from growth import DENSE, FIT, first_fit, growth
from problems import in_blocks
from streaming import Source, streamed

from fastlr import LogisticRegression, LogisticRegressionCV, RowBlocks, Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 6)).astype(np.float32)
Y = np.array(["a", "b", "c"])[np.argmax(X[:, :3] + RNG.normal(size=(900, 3)), axis=1)]
WEIGHT = RNG.random(900)


@pytest.mark.parametrize("kind", ["list", "function", "generator"])
def test_a_fit_is_that_of_all_rows_in_one_array(kind):
    blocks = in_blocks(X, Y, WEIGHT)
    source = {"list": blocks, "function": lambda: iter(blocks), "generator": (block for block in blocks)}[kind]
    whole, parts = LogisticRegression().fit(X, Y, WEIGHT), LogisticRegression().fit(rows := RowBlocks(source))
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    np.testing.assert_array_equal(parts.classes_, whole.classes_)
    assert rows.shape == X.shape
    assert rows.dtype == X.dtype
    assert parts.score(rows) == whole.score(X, Y, WEIGHT)
    np.testing.assert_array_equal(parts.predict_proba(rows), whole.predict_proba(X))


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, ml_dtypes.bfloat16, np.float64, np.bool_])
def test_features_stay_of_their_dtype(dtype):
    values = (np.abs(X) * 50).astype(np.uint8).astype(dtype)
    rows = RowBlocks(in_blocks(values, Y))
    np.testing.assert_array_equal(rows.X, values)
    assert rows.dtype == dtype
    np.testing.assert_array_equal(LogisticRegression().fit(rows).coef_, LogisticRegression().fit(values, Y).coef_)


def test_searches_and_trainers_take_blocks():
    rows = RowBlocks(in_blocks(X, Y, WEIGHT))
    searched, expected = (LogisticRegressionCV(Cs=[0.1, 1.0], cv=3).fit(*data) for data in ((rows,), (X, Y, WEIGHT)))
    np.testing.assert_array_equal(searched.scores_, expected.scores_)
    np.testing.assert_array_equal(searched.coef_, expected.coef_)
    assert searched.score(rows) == expected.score(X, Y, WEIGHT)
    trained, expected = (Trainer(epochs=2, random_state=0).fit(*data) for data in ((rows,), (X, Y, WEIGHT)))
    np.testing.assert_array_equal(trained.coef_, expected.coef_)
    assert trained.score(rows) == expected.score(X, Y, WEIGHT)
    trained.partial_fit(rows)


def test_labels_may_grow():
    y = np.array(["a", "b"] * 450), np.array(["long", "a"] * 450), np.array(["b", "c"] * 450)
    assert list(RowBlocks([(X, part) for part in y]).y) == [label for part in y for label in part]
    small, large = np.arange(900, dtype=np.uint8) % 7, np.arange(900) * 1000 - 5
    np.testing.assert_array_equal(RowBlocks([(X, small), (X, large)]).y, np.concatenate([small, large]))
    objects = np.array(["x", "yy"] * 450, object)
    np.testing.assert_array_equal(LogisticRegression().fit(RowBlocks([(X, objects)])).classes_, ["x", "yy"])


def test_matrices_of_targets_and_frames(tmp_path):
    pandas = pytest.importorskip("pandas")
    P = RNG.dirichlet(np.ones(3), 900)
    frames = [(pandas.DataFrame(x), p) for x, p in in_blocks(X, P)]
    np.testing.assert_array_equal(LogisticRegression().fit(RowBlocks(frames, cache=tmp_path)).coef_,
                                  LogisticRegression().fit(X, P).coef_)
    assert not list(tmp_path.iterdir())


NAN = X[:50].copy()
NAN[7, 2] = np.nan
WRONG = {
    "another width": ([(X, Y), (X[:, :3], Y)], r"block 1 \(from row 900 on\) has 3 features and those before 6"),
    "another dtype": ([(X, Y), (X.astype(np.float64), Y)], "block 1 .* has dtype float64"),
    "not finite": ([(X, Y), (NAN, Y[:50])], r"block 1 \(from row 900 on\): Input X contains NaN, first at row 7"),
    "labels of another length": ([(X, Y[:-1])], "block 0 .*: y has shape"),
    "no labels in one": ([(X, Y), (X,)], "block 1 .* has no y"),
    "weights in one": ([(X, Y), (X, Y, WEIGHT)], "block 1 .* has some weight"),
    "labels of another kind": ([(X, Y), (X, np.arange(900))], "block 1 .* has y of shape .* and dtype int64"),
    "too many parts": ([(X, Y, WEIGHT, WEIGHT)], "4 parts"),
    "no blocks": ([], "0 rows"),
    "no rows": ([(X[:0], Y[:0])], "0 rows"),
    "no features": ([(X[:, :0], Y)], "0 features"),
    "one dimension": ([(X[0], Y[:6])], "block 0.*two dimensions"),
    "text": ([(Y[:, None], Y)], "block 0.*dtype"),
}


@pytest.mark.parametrize("name", WRONG)
def test_blocks_that_are_wrong_are_named(name, tmp_path):
    blocks, message = WRONG[name]
    model = LogisticRegression().fit(X, Y)
    before = vars(model).copy()
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(RowBlocks(blocks, cache=tmp_path))
    assert vars(model).keys() == before.keys()
    assert not list(tmp_path.iterdir())


def test_what_is_no_source_and_what_is_given_twice():
    with pytest.raises(TypeError, match="blocks is of type int"):
        RowBlocks(3)
    with pytest.raises(ValueError, match="y was passed"):
        LogisticRegression().fit(RowBlocks([(X, Y)]), Y)
    with pytest.raises(ValueError, match="requires y"):
        LogisticRegression().fit(RowBlocks([(X,)]))
    with pytest.raises(ValueError, match="requires y"):
        LogisticRegression().fit(X)


def test_a_folder_without_room_is_named(monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("no device that is always full")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir=None: open("/dev/full", "wb"))  # noqa: SIM115
    message = r"no room for .* name another folder with cache="
    with pytest.warns(RuntimeWarning, match=message), pytest.raises(OSError, match=message):
        RowBlocks([(X, Y)]).X  # noqa: B018


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_a_block_and_the_labels():
    grown, data = growth(DENSE, first_fit("np.zeros((1, 250))"), FIT, 50)
    assert data > 450
    assert grown < 120  # samples, labels, logits, a block


def test_an_iterator_is_read_once():
    def blocks():
        yield X[:100], Y[:100]
        yield NAN, Y[:50]
        yield X[100:], Y[100:]

    rows = RowBlocks(blocks())
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().fit(rows)
    with pytest.raises(ValueError, match="was begun before, so that rows would be missing"):
        LogisticRegression().fit(rows)
    iterator = iter(in_blocks(X, Y))
    rows = RowBlocks(lambda: iterator)
    model = LogisticRegression().fit(rows)
    np.testing.assert_array_equal(np.concatenate(list(rows.predictions(model))), model.predict(X))
    rows = RowBlocks(iter(in_blocks(X, Y)))
    next(rows.predictions(model))
    with pytest.raises(ValueError, match="was begun before"):
        LogisticRegression().fit(rows)


def test_names_of_frames_are_compared():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    rows = RowBlocks([(frame[:400], Y[:400]), (frame[400:], Y[400:])])
    model = LogisticRegression().fit(rows)
    assert list(model.feature_names_in_) == list("abcdef")
    assert model.score(rows) == model.score(frame, Y)
    for other in (frame[list("fedcba")], X):
        with pytest.raises(ValueError, match=r"block 1 .* has features named"):
            LogisticRegression().fit(RowBlocks([(frame, Y), (other, Y)]))
    permuted = RowBlocks([(frame[list("fedcba")], Y)])
    for predict in (model.predict, lambda rows: list(rows.predictions(model))):
        with pytest.raises(ValueError, match="feature names"):
            predict(permuted)


def test_they_cannot_be_pickled():
    with pytest.raises(TypeError, match="RowBlocks cannot be pickled"):
        pickle.dumps(RowBlocks([(X, Y)]))


MISTAKES = {
    "a Parquet file": ("x.parquet", r"blocks is 'x.parquet', a path; .* RowBlocks.from_parquet\('x.parquet', target\)"),
    "a path": (Path("a.npy"), r"blocks is 'a.npy', a path; .* RowBlocks.from_npy\('a.npy', y\)"),
    "a pattern": ("img_*.safetensors", r"RowBlocks.from_safetensors\('img_\*.safetensors', y\)"),
    "files": (["a.npy", "b.npy"], r"blocks is \['a.npy', ...\], paths; .* RowBlocks.from_npy\(\['a.npy', ...\], y\)"),
    "a folder": ("folder", "RowBlocks.from_parquet, from_npy or from_safetensors"),
    "text": ("rows.csv", "pandas.read_csv"),
    "an array": (X, r"blocks is a ndarray, all rows at once; .* RowBlocks\(\[\(X, y\)\]\)"),
    "a sparse matrix": (sp.csr_array(X), "blocks is a csr_array, all rows at once"),
    "one block": ((X, Y), r"blocks is a tuple \(X, y\); .* RowBlocks\(\[\(X, y\)\]\)"),
    "one block as a list": ([X, list(range(900))], r"blocks is a list \(X, y\)"),
    "nothing": (None, "blocks is of type NoneType; expected an iterable"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_passed_for_blocks_by_mistake(name):
    blocks, message = MISTAKES[name]
    with pytest.raises(TypeError, match=message):
        RowBlocks(blocks)


def test_datasets_have_a_constructor(tmp_path):
    arrow, dataset = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.dataset")
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table({"a": [1.0]}), tmp_path / "a")
    with pytest.raises(TypeError, match=r"RowBlocks.from_parquet\(dataset, target\)"):
        RowBlocks(dataset.dataset(tmp_path / "a"))


@pytest.mark.parametrize("make", [LogisticRegression, LogisticRegressionCV, Trainer])
def test_labels_that_are_missing_are_asked_for(make):
    model = make()
    rows = RowBlocks([X])
    message = r"this requires y, and the blocks have none: let them be \(X, y\), name target= in from_parquet"
    with pytest.raises(ValueError, match=message):
        model.fit(rows)
    model.fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.score(rows)
    assert model.score(rows, Y) == model.score(X, Y)


def test_they_say_what_they_are(tmp_path):
    rows = RowBlocks(in_blocks(X, Y))
    assert repr(rows) == f"RowBlocks(list of {len(in_blocks(X, Y))} blocks: not read yet, blocks of any size)"
    len(rows)
    assert re.fullmatch(r"RowBlocks\(list of \d blocks: 900 rows, 6 columns of float32, \d blocks of about \d+ rows, "
                        r"kept on disk\)", repr(rows))
    assert repr(RowBlocks(x for x in [X])) == "RowBlocks(generator: not read yet, blocks of any size)"
    sparse = RowBlocks([sp.csr_array(X)])
    len(sparse)
    assert "900 rows, 6 columns of sparse float32, 1 block of about 900 rows" in repr(sparse)
    np.save(tmp_path / "a.npy", X)
    mapped = RowBlocks.from_npy(tmp_path / "a.npy", Y)
    assert repr(mapped) == f"RowBlocks({tmp_path}/a.npy: 900 rows, 6 columns of float32, mapped where they are)"
    several = RowBlocks.from_npy([tmp_path / "a.npy"] * 2)
    assert repr(several) == f"RowBlocks(2 files from {tmp_path}/a.npy on: not read yet, blocks of up to 16 MB)"
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"a": [1.0], "b": [2.0], "y": [0]}), tmp_path / "a.parquet")
    table = RowBlocks.from_parquet(tmp_path / "a.parquet", "y")
    assert repr(table) == f"RowBlocks({tmp_path}/a.parquet: 2 columns, not read yet, blocks of up to 16 MB)"
    unkept = streamed(Source(X, Y, bounds=[0, 500, 900]), limit=1000)
    assert repr(unkept).endswith("2 blocks of about 450 rows, read again in each pass)")
