"""Rows in blocks: the fit is that of the rows in one array, bit for bit; and what blocks may not be."""

import json
import os
import pickle
import subprocess
import sys
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest

from fastlr import LogisticRegression, LogisticRegressionCV, RowBlocks, Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(900, 6)).astype(np.float32)
Y = np.array(["a", "b", "c"])[np.argmax(X[:, :3] + RNG.normal(size=(900, 3)), axis=1)]
WEIGHT = RNG.random(900)
BOUNDS = (0, 100, 100, 450, 900)


def in_blocks(*arrays, bounds=BOUNDS):
    return [tuple(array[a:b] for array in arrays) for a, b in pairwise(bounds)]


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


NAN = X[:50].copy()
NAN[7, 2] = np.nan
WRONG = {
    "another width": ([(X, Y), (X[:, :3], Y)], "block 1 has 3 features and those before 6"),
    "another dtype": ([(X, Y), (X.astype(np.float64), Y)], "block 1 has dtype float64"),
    "not finite": ([(X, Y), (NAN, Y[:50])], "block 1.*(?s:.)*row 7"),
    "labels of another length": ([(X, Y[:-1])], "block 0: y has shape"),
    "no labels in one": ([(X, Y), (X,)], "block 1 has no y"),
    "weights in one": ([(X, Y), (X, Y, WEIGHT)], "block 1 has some weight"),
    "labels of another kind": ([(X, Y), (X, np.arange(900))], "block 1 has y of shape .* and dtype int64"),
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
    with pytest.raises(OSError, match=r"no room for .* name another folder with cache="):
        RowBlocks([(X, Y)]).X  # noqa: B018


MEMORY = """
import resource, sys, tempfile
import numpy as np
import fastlr
rows, d = 10_000, 250
def blocks():
    rng = np.random.default_rng(0)
    for _ in range(int(sys.argv[1])):
        X = rng.normal(size=(rows, d)).astype(np.float32)
        yield X, X[:, 0] + rng.normal(size=rows) > 0
def peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
fastlr.LogisticRegression(tol=1e-2).fit(fastlr.RowBlocks([next(blocks())])).predict(np.zeros((1, d)))
before = peak()
data = fastlr.RowBlocks(blocks)
model = fastlr.LogisticRegression(tol=1e-3, n_threads=2).fit(data)
assert model.suboptimality_ < 1e-3
print(peak() - before, data.X.nbytes / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_a_block_and_the_labels():
    out = subprocess.run([sys.executable, "-c", MEMORY, "50"], capture_output=True, text=True, check=True).stdout
    grown, data = map(float, out.split())
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
        with pytest.raises(ValueError, match="block 1 has features named"):
            LogisticRegression().fit(RowBlocks([(frame, Y), (other, Y)]))
    permuted = RowBlocks([(frame[list("fedcba")], Y)])
    for predict in (model.predict, lambda rows: list(rows.predictions(model))):
        with pytest.raises(ValueError, match="feature names"):
            predict(permuted)


def test_what_cannot_be_pickled_and_a_file_that_was_cut(tmp_path):
    np.save(tmp_path / "x.npy", X)
    rows = RowBlocks.from_npy(tmp_path / "x.npy", Y)
    with pytest.raises(TypeError, match="RowBlocks cannot be pickled"):
        pickle.dumps(rows)
    os.truncate(tmp_path / "x.npy", 500)
    with pytest.raises(ValueError, match=r"needs .* bytes of its file, which has 500"):
        LogisticRegression().fit(rows)
