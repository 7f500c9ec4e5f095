"""Sources that are at fault: each has an error that says where, and leaves the model as it was and nothing on disk."""

import datetime
import gc
import os

import numpy as np
import pytest

from fastlr import LogisticRegression, RowBlocks, Trainer, solvers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 3)).astype(np.float32)
Y = np.arange(900) % 3
TWICE = np.tile(Y, 2)


def refused(make, message, cache):
    """A fit of what `make(cache)` returns is refused; of the fit before nothing is changed."""
    model = LogisticRegression().fit(X, Y)
    before = dict(vars(model))
    with pytest.raises((OSError, TypeError, ValueError), match=message):
        model.fit(make(cache))
    assert vars(model) == before
    assert not os.listdir(cache)


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def numbers_with(place, value):
    labels = Y.astype(float)
    labels[place] = value
    return labels


TEXT = np.array(["a", "b", "c"], object)[Y]
LABELS = {
    "not whole": ((Y.astype(float), numbers_with(7, 0.5)), "y has 0.5 at row 907"),
    "missing": ((Y.astype(float), numbers_with(7, np.nan)), "y has nan at row 907"),
    "none": ((TEXT, np.where(np.arange(900) == 7, None, TEXT)), "y has None at row 907"),
    "of two kinds": ((TEXT, Y.astype(object)), "y has 0 at row 900; expected strings in all rows"),
    "of two dtypes": ((Y, np.array(["a", "b", "c"])[Y]), r"block 1 \(from row 900 on\) has y of shape \(m\) and dtype"),
    "of two widths": ((np.eye(3)[Y], np.eye(4)[Y]), r"block 1 \(from row 900 on\) has y of shape \(m, 4\)"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_disagree(name, cache):
    (first, second), message = LABELS[name]
    refused(lambda cache: RowBlocks([(X, first), (X, second)], cache=cache), message, cache)


def test_weights_that_are_none(cache):
    refused(lambda cache: RowBlocks([(X, Y, np.ones(900)), (X, Y, np.full(900, -1.0))], cache=cache),
            "sample_weight has -1.0 at row 900", cache)


def test_labels_that_were_not_declared(cache):
    rows = RowBlocks([(X, Y), (X, Y + 1)], cache=cache)
    message = r"y has 300 labels not among the 3 classes \[0, 1, 2\]: first is 3 at row 902"
    trainer = Trainer()
    with pytest.raises(ValueError, match=message):
        trainer.partial_fit(rows, classes=[0, 1, 2])
    assert not hasattr(trainer, "coef_")
    trainer.partial_fit(X, Y)
    before = trainer.coef_.copy()
    with pytest.raises(ValueError, match=message):
        trainer.partial_fit(rows)
    np.testing.assert_array_equal(trainer.coef_, before)


def test_functions_that_return_no_iterator(cache):
    refused(lambda cache: RowBlocks(lambda: 3, cache=cache), "returned a value of type int; expected an itera", cache)

    def fails():
        yield X, Y
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        LogisticRegression().fit(RowBlocks(fails, cache=cache))
    assert not os.listdir(cache)


def npy(path, array, **header):
    np.save(path, array)
    if header:
        (old, new), = header.values()
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new))
    return path


NPY = {
    "another width": (lambda path: npy(path, X[:, :2]), "b.npy, from row 900 of all on, has 2 features of .*a.npy 3"),
    "another dtype": (lambda path: npy(path, X.astype(float)), "b.npy, from row 900 .* dtype float64, and .*float32"),
    "more rows in the header": (lambda path: npy(path, X, shape=(b"(900,", b"(990,")), "b.npy is no .npy .*or is cut"),
    "fewer rows in the header": (lambda path: npy(path, X, shape=(b"(900,", b"(800,")), "b.npy has .* bytes, and by"),
    "objects in the header": (lambda path: npy(path, X, dtype=(b"'<f4'", b"'|O' ")), "b.npy is no .npy file"),
    "nothing": (lambda path: path.write_bytes(b""), "b.npy is no .npy file of numbers, or is cut"),
    "text": (lambda path: path.write_text("hello " * 99), "b.npy is no .npy file of numbers"),
    "texts": (lambda path: npy(path, np.array([["a", "b", "c"]] * 900)), "b.npy, from row 900 .* of dtype <U1"),
    "not there": (lambda path: None, "b.npy"),
}


@pytest.mark.parametrize("name", NPY)
def test_npy_files(name, tmp_path, cache):
    write, message = NPY[name]
    np.save(tmp_path / "a.npy", X)
    write(tmp_path / "b.npy")
    refused(lambda cache: RowBlocks.from_npy([tmp_path / "a.npy", tmp_path / "b.npy"], TWICE, cache=cache),
            message, cache)


def test_npy_files_without_rows(tmp_path, cache):
    np.save(tmp_path / "a.npy", X[:0])
    refused(lambda cache: RowBlocks.from_npy(tmp_path / "a.npy", Y[:0], cache=cache), "0 sample", cache)
    refused(lambda cache: RowBlocks.from_npy([tmp_path / "a.npy"] * 2, Y[:0], cache=cache), "0 rows", cache)
    refused(lambda cache: RowBlocks.from_npy([], Y[:0], cache=cache), "paths is empty", cache)


def test_a_mapped_file_that_changes_or_disappears(tmp_path, cache):
    path = tmp_path / "a.npy"
    np.save(path, X)
    os.utime(path, ns=(1, 1))
    rows = RowBlocks.from_npy(path, Y)
    model = LogisticRegression().fit(rows)
    np.save(tmp_path / "new.npy", X + 1)
    os.replace(tmp_path / "new.npy", path)  # the mapping is of the file before
    np.testing.assert_array_equal(LogisticRegression().fit(rows).coef_, model.coef_)
    path.unlink()
    np.testing.assert_array_equal(LogisticRegression().fit(rows).coef_, model.coef_)
    np.save(path, X)
    rows = RowBlocks.from_npy(path, Y)
    os.utime(path, ns=(1, 1))
    refused(lambda cache: rows, "a.npy was written to after it was mapped", cache)


def test_a_mapped_file_that_changes_in_a_fit(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    np.save(path, X)
    rows, model = RowBlocks.from_npy(path, Y), LogisticRegression().fit(X, Y)
    before, minimise = model.coef_, solvers.minimise

    def minimise_and_touch(*args, **options):
        os.utime(path, ns=(1, 1))
        return minimise(*args, **options)

    monkeypatch.setattr(solvers, "minimise", minimise_and_touch)
    with pytest.raises(ValueError, match="was written to after it was mapped"):
        model.fit(rows)
    assert model.coef_ is before


def table(**columns):
    arrow = pytest.importorskip("pyarrow")
    return arrow.table({"x0": X[:, 0], "x1": X[:, 1], "y": Y, **columns})


def write_table(path, what):
    pytest.importorskip("pyarrow.parquet").write_table(what, path)


def damaged(path):
    write_table(path, table())
    data = path.read_bytes()
    path.write_bytes(data[:500] + b"\xff" * 4000 + data[4500:])


def cut(path):
    write_table(path, table())
    os.truncate(path, 3000)


PARQUET = {
    "no such column": (lambda p: write_table(p, table().drop_columns(["x1"])), "'x1' .*b.parquet has no such column"),
    "another type": (lambda p: write_table(p, table(x1=X[:, 1].astype(float))), "'x1' .*b.parquet has it of type dou"),
    "text": (lambda p: write_table(p, table(x1=["a"] * 900)), "'x1' .*b.parquet has it of type string"),
    "labels of another type": (lambda p: write_table(p, table(y=["a"] * 900)), "'y' .*b.parquet has it of type string"),
    "missing": (lambda p: write_table(p, table(y=[None, *map(int, Y[1:])])), "'y' has a missing value at row 900"),
    "cut": (cut, "b.parquet"),
    "damaged": (damaged, "b.parquet cannot be read; expected whole Parquet files"),
    "nothing": (lambda p: p.write_bytes(b""), "b.parquet"),
    "not there": (lambda p: None, "b.parquet"),
}


@pytest.mark.parametrize("name", PARQUET)
def test_parquet_files(name, tmp_path, cache):
    pytest.importorskip("pyarrow")
    write, message = PARQUET[name]
    write_table(tmp_path / "a.parquet", table())
    write(tmp_path / "b.parquet")
    refused(lambda cache: RowBlocks.from_parquet([tmp_path / "a.parquet", tmp_path / "b.parquet"], "y", cache=cache),
            message, cache)


def test_parquet_without_rows_or_columns(tmp_path, cache):
    pytest.importorskip("pyarrow")
    write_table(tmp_path / "a.parquet", table()[:0])
    refused(lambda cache: RowBlocks.from_parquet(tmp_path / "a.parquet", "y", cache=cache), "0 rows", cache)
    refused(lambda cache: RowBlocks.from_parquet(cache, "y", cache=cache), "cache has no columns", cache)


def test_columns_that_are_no_numbers(tmp_path, cache):
    arrow = pytest.importorskip("pyarrow")
    texts = arrow.array(["a", "b", "c"] * 300)
    for column in (texts, texts.dictionary_encode(), arrow.array([datetime.date(2026, 1, 1)] * 900),
                   arrow.array([b"x"] * 900), arrow.array([["a"]] * 900)):
        write_table(tmp_path / "a.parquet", table(c=column))
        refused(lambda cache: RowBlocks.from_parquet(tmp_path / "a.parquet", "y", cache=cache),
                "column 'c' has values of type .*, which are not numbers; encode it as numbers, or leave it out", cache)


def test_columns_of_frames_that_are_no_numbers(cache):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(float)})
    for column in (["t"] * 900, pandas.Categorical(["t", "u", "v"] * 300), pandas.to_datetime(["2026-01-01"] * 900)):
        other = frame.assign(b=column)
        refused(lambda cache, other=other: RowBlocks([(frame, Y), (other, Y)], cache=cache),
                r"block 1 \(from row 900 on\): column 'b' has values that are not numbers: encode it", cache)
    whole = frame.assign(b=pandas.array([1, 2] * 450, dtype="Int64"))
    np.testing.assert_array_equal(RowBlocks([(whole, Y)]).X[:, 1], [1, 2] * 450)
    missing = frame.assign(b=pandas.array([1, None] * 450, dtype="Int64"))
    refused(lambda cache: RowBlocks([(missing, Y)], cache=cache), "block 0 .* NaN, first at row 1, column 1", cache)


def test_nothing_is_left_open_after_an_error(recwarn):
    def blocks():
        yield np.zeros((5, 3)), np.arange(5) % 2
        yield np.zeros((5, 4)), np.arange(5) % 2

    with pytest.raises(ValueError, match="has 4 features"):
        LogisticRegression().fit(RowBlocks(blocks))
    gc.collect()
    assert not [w for w in recwarn if w.category is ResourceWarning]
