"""Rows of .npy and safetensors files and of Parquet, predictions into files, and files that lie."""

import json
import os
import threading

import ml_dtypes
import numpy as np
import pytest
from problems import in_blocks

from fastlr import LogisticRegression, RowBlocks
from fastlr._runtime.ahead import read_ahead

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 6)).astype(np.float32)
Y = np.array(["a", "b", "c"])[np.argmax(X[:, :3] + RNG.normal(size=(900, 3)), axis=1)]
WEIGHT = RNG.random(900)


def test_npy_files(tmp_path):
    for i, (x, y) in enumerate(in_blocks(X, np.arange(900) % 3, bounds=(0, 300, 310, 900))):
        np.save(tmp_path / f"img_emb_{2 * i + 8}.npy", x)  # 8, 10, 12: not the order of names
        np.save(tmp_path / f"label_{2 * i + 8}.npy", y)
    rows = RowBlocks.from_npy(str(tmp_path / "img_emb_*.npy"), str(tmp_path / "label_*.npy"))
    np.testing.assert_array_equal(rows.X, X)
    np.testing.assert_array_equal(rows.y, np.arange(900) % 3)
    one = RowBlocks.from_npy(tmp_path / "img_emb_12.npy", Y[310:], weight=WEIGHT[310:])
    np.testing.assert_array_equal(one.X, X[310:])
    np.testing.assert_array_equal(LogisticRegression().fit(one).coef_,
                                  LogisticRegression().fit(X[310:], Y[310:], WEIGHT[310:]).coef_)


def test_npy_files_that_are_not(tmp_path):
    whole, cut, pickled, flat = (tmp_path / f"{name}.npy" for name in ("whole", "cut", "pickled", "flat"))
    np.save(whole, X)
    cut.write_bytes(whole.read_bytes()[:-5])
    np.save(pickled, np.array([{}], object), allow_pickle=True)
    np.save(flat, X[0])
    for path in (cut, pickled):
        with pytest.raises(ValueError, match=path.name):
            RowBlocks.from_npy([whole, path], Y).X  # noqa: B018
    with pytest.raises(ValueError, match="two dimensions"):
        RowBlocks.from_npy([whole, flat], Y).X  # noqa: B018
    with pytest.raises(FileNotFoundError, match="nothing_"):
        RowBlocks.from_npy(tmp_path / "nothing_*.npy", Y)
    for y in (Y, tmp_path):
        with pytest.raises(IsADirectoryError, match=r"is a folder; expected files: a pattern, .*\*\.npy"):
            RowBlocks.from_npy(tmp_path if y is Y else whole, y)
    for paths in (whole, [whole, whole]):
        with pytest.raises(ValueError, match="y has 7 rows"):
            RowBlocks.from_npy(paths, Y[:7]).X  # noqa: B018
    with pytest.raises(ValueError, match="y has 2000 rows"):
        RowBlocks.from_npy([whole, whole], np.arange(2000)).X  # noqa: B018


def write_safetensors(path, tensors, lie=None):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        code = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "uint8": "U8"}[array.dtype.name]
        place = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": place} | (lie or {})
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.uint8])
def test_safetensors(tmp_path, dtype):
    values = np.abs(X).astype(dtype)
    write_safetensors(tmp_path / "a1.safetensors", {"other": values[:3, :2].ravel(), "emb": values[:500]})
    write_safetensors(tmp_path / "a2.safetensors", {"emb": values[500:]})
    rows = RowBlocks.from_safetensors(tmp_path / "a*.safetensors", Y, tensor="emb")
    np.testing.assert_array_equal(rows.X, values)
    np.testing.assert_array_equal(LogisticRegression().fit(rows).coef_, LogisticRegression().fit(values, Y).coef_)
    np.testing.assert_array_equal(RowBlocks.from_safetensors(tmp_path / "a2.safetensors").X, values[500:])
    with pytest.raises(ValueError, match="tensors 'other', 'emb'; expected one: name it"):
        RowBlocks.from_safetensors(tmp_path / "a1.safetensors")


LIES = {
    "cut": ({}, -3, "is cut or its header wrong"),
    "shape": ({"shape": [900, 7]}, None, "is cut or its header wrong"),
    "negative": ({"shape": [-900, -6]}, None, "is cut or its header wrong"),
    "dtype": ({"dtype": "C64"}, None, "has dtype C64; expected one of F64"),
    "offsets": ({"data_offsets": "x"}, None, "lacks dtype, shape or data_offsets"),
    "floats": ({"shape": [900.0, 6.0]}, None, "lacks dtype, shape or data_offsets"),
    "header": ({}, 20, "is no safetensors file"),
    "nothing": ({}, 4, "is no safetensors file"),
}


@pytest.mark.parametrize("name", LIES)
def test_safetensors_that_lie(tmp_path, name):
    lie, end, message = LIES[name]
    path = tmp_path / "lie.safetensors"
    write_safetensors(path, {"emb": X}, lie)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match=message):
        RowBlocks.from_safetensors(path, Y)


def test_parquet(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {f"x{j}": X[:, j] for j in range(6)} | {"label": Y, "weight": WEIGHT}
    path = tmp_path / "rows.parquet"
    parquet.write_table(arrow.table(columns), path, row_group_size=200)
    rows = RowBlocks.from_parquet(path, "label", weight="weight")
    model, expected = LogisticRegression().fit(rows), LogisticRegression().fit(X, Y, WEIGHT)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    assert list(model.feature_names_in_) == [f"x{j}" for j in range(6)]
    some = RowBlocks.from_parquet(path, "label", features=["x5", "x4"])
    np.testing.assert_array_equal(some.X, X[:, [5, 4]])
    with pytest.raises(ValueError, match="feature names"):
        model.predict(RowBlocks.from_parquet(path, features=[f"x{j}" for j in (1, 0, 2, 3, 4, 5)]))
    with pytest.raises(ValueError, match="no column 'x9'"):
        RowBlocks.from_parquet(path, "label", features=["x9"])
    with pytest.raises(TypeError, match=r"'label'.*not numbers"):
        RowBlocks.from_parquet(path, "weight").X  # noqa: B018
    lists = arrow.FixedSizeListArray.from_arrays(arrow.array(X.ravel()), 6)
    parquet.write_table(arrow.table({"emb": lists, "y": np.arange(900) % 3}), tmp_path / "lists.parquet")
    embedded = RowBlocks.from_parquet(tmp_path / "lists.parquet", "y", features="emb")
    np.testing.assert_array_equal(embedded.X, X)
    holes = arrow.table({"a": arrow.array([1.0, None, 2.0]), "y": [0, 1, 0]})
    parquet.write_table(holes, tmp_path / "holes.parquet")
    with pytest.raises(ValueError, match="'a' has a missing value at row 1"):
        RowBlocks.from_parquet(tmp_path / "holes.parquet", "y").X  # noqa: B018


def test_patterns_of_parquet_files_are_read_in_the_order_of_their_numbers(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for number, rows in ((2, slice(0, 500)), (10, slice(500, 900))):
        columns = {f"x{j}": X[rows, j] for j in range(6)} | {"label": Y[rows]}
        parquet.write_table(arrow.table(columns), tmp_path / f"part_{number}.parquet")
    rows = RowBlocks.from_parquet(tmp_path / "part_*.parquet", "label")
    np.testing.assert_array_equal(rows.X, X)
    np.testing.assert_array_equal(rows.y, Y)
    with pytest.raises(FileNotFoundError, match=r"no file matches .*clicks"):
        RowBlocks.from_parquet(tmp_path / "clicks_*.parquet", "label")


def test_predicted_text_goes_to_npy_in_a_fixed_width_only(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    model, rows = LogisticRegression().fit(X, Y), RowBlocks([X])
    (tmp_path / "p.npy").write_bytes(b"what was there before")
    rows.write_predictions(tmp_path / "p.npy", model)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), model.predict(X))
    objects = LogisticRegression().fit(X, Y.astype(object))
    with pytest.raises(TypeError, match=r"type object cannot be written as .npy.*write Parquet"):
        rows.write_predictions(tmp_path / "o.npy", objects)
    rows.write_predictions(tmp_path / "o.parquet", objects)
    table = parquet.read_table(tmp_path / "o.parquet")
    assert table.schema.names == ["prediction"]
    np.testing.assert_array_equal(table["prediction"].to_pylist(), model.predict(X))
    rows.write_predictions(tmp_path / "o.parquet", objects, "predict_proba")
    assert parquet.read_schema(tmp_path / "o.parquet").names == [f"prediction_{j}" for j in range(3)]


@pytest.mark.parametrize("name", ["p.npy", "p.parquet"])
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_predictions_go_to_a_file_block_by_block(tmp_path, name, method):
    model, rows = LogisticRegression().fit(X, np.arange(900) % 3), RowBlocks(in_blocks(X, Y))
    expected = getattr(model, method)(X)
    np.testing.assert_array_equal(np.concatenate(list(rows.predictions(model, method))), expected)
    if name.endswith("parquet"):
        parquet = pytest.importorskip("pyarrow.parquet")
    assert rows.write_predictions(tmp_path / name, model, method) == 900
    if name.endswith("parquet"):
        table = parquet.read_table(tmp_path / name)
        written = np.column_stack([column.to_numpy() for column in table.columns]).reshape(expected.shape)
    else:
        written = np.load(tmp_path / name)
    np.testing.assert_array_equal(written, expected)
    bad = RowBlocks([*in_blocks(X, Y), (X[:, :2], Y)])
    with pytest.raises(ValueError, match="2 features"):
        bad.write_predictions(tmp_path / f"bad_{name}", model, method)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_was_cut(tmp_path):
    np.save(tmp_path / "x.npy", X)
    rows = RowBlocks.from_npy(tmp_path / "x.npy", Y)
    os.truncate(tmp_path / "x.npy", 500)
    with pytest.raises(ValueError, match=r"needs .* bytes of its file, which has 500"):
        LogisticRegression().fit(rows)


# ---- reading ahead --------------------------------------------------------------------------------------------------
def in_parquet(folder, n=300_000):
    path = folder / "rows.parquet"
    columns = {"x": np.arange(n, dtype=np.float32), "y": np.arange(n) % 2}
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(columns), path, row_group_size=50_000)
    return RowBlocks.from_parquet(path, "y")


def test_a_parquet_file_is_read_ahead_by_one_thread_that_ends(tmp_path):
    seen, before = [], threading.active_count()
    iterator = in_parquet(tmp_path)._iterate()
    for X, _, _ in iterator:
        seen.append(X[:, 0])
        assert threading.active_count() <= before + 1
    assert len(seen) > 1
    np.testing.assert_array_equal(np.concatenate(seen), np.arange(300_000))
    iterator = in_parquet(tmp_path)._iterate()
    next(iterator)
    iterator.close()
    assert threading.active_count() == before


def test_it_is_read_without_a_thread_where_there_is_none(tmp_path, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    np.testing.assert_array_equal(in_parquet(tmp_path).X[:, 0], np.arange(300_000))


def test_errors_of_what_is_read_ahead_are_raised():
    def numbers():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    seen = []
    with pytest.raises(OSError, match="the disk is gone"):
        seen.extend(read_ahead(numbers()))
    items = read_ahead(numbers())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)
