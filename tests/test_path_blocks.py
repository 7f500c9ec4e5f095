"""Both sides of the sizes at which rows are read, kept, taken and given back in blocks, and labels numbered.

docs/notes/path-constants.md lists them.
The judge is NumPy: the same rows and labels in one array in memory, or sums that are exact in any order.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from test_row_sources import write_safetensors

import fastlr
from fastlr import RowBlocks, _core
from fastlr._input.csr import problem_of
from fastlr._input.labels import check_label_array, number_labels
from fastlr.model.memory import BLOCK_VALUES
from fastlr.model.rows_taken import every, taken

RNG = np.random.default_rng(0)


def in_a_file(X):
    """X as RowBlocks have it, mapped, so that what has been read is given back."""
    mapped = RowBlocks([X]).X
    assert _core.is_read_once(_core.file_behind(mapped))
    return mapped


def around(*sizes):
    return [size + step for size in sizes for step in (-1, 0, 1)]


# ---- given back -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [24 * 1024 - 24, 24 * 1024, 24 * 1024 + 24])
def test_passes_that_give_back_what_they_have_read(n):
    """RELEASE_BYTES: 24 chunks of 4 MiB, a little less or more; of a model of zeros all sums are exact."""
    X = RNG.integers(0, 256, (n, 4096), dtype=np.uint8)
    y = RNG.integers(0, 2, n)
    _, G, g, _ = fastlr.partial_loss_and_grad(in_a_file(X), y, np.zeros(4096), 0.0, loss="sigmoid", n_threads=2)
    exact = X.sum(axis=0, dtype=np.int64) / 2 - X[y == 1].sum(axis=0, dtype=np.int64)
    np.testing.assert_array_equal(G, exact)
    assert g == n / 2 - y.sum()


@pytest.mark.parametrize("n", [2047, 2048, 2049, 4096, 4097])
def test_gram_matrices_that_give_back_what_they_have_read(n):
    """RELEASE_BYTES: 2048 rows of 2 KiB."""
    X = RNG.integers(0, 4, (n, 512)).astype(np.float32)
    G, s = _core.Problem(in_a_file(X), None, 1, n_threads=1).gram()
    np.testing.assert_array_equal(G, X.T.astype(np.float64) @ X)
    np.testing.assert_array_equal(s, X.sum(axis=0))


@pytest.mark.parametrize("n", [24 * 512 - 24, 24 * 512, 24 * 512 + 24])
def test_sparse_passes_that_give_back_what_they_have_read(n):
    """RELEASE_BYTES, RELEASE_ROWS: 24 chunks of 4 MiB, a little less or more; all sums are exact."""
    d, per_row = 3000, 1024
    indices = RNG.integers(0, d, n * per_row).astype(np.int32)
    data = RNG.integers(0, 9, n * per_row).astype(np.float32)
    X = sp.csr_array((data, indices, np.arange(0, n * per_row + 1, per_row)), shape=(n, d))
    rows = RowBlocks([X]).rows
    assert _core.is_read_once(_core.file_behind(rows.data))
    y = RNG.integers(0, 2, n)
    exact = np.bincount(indices, data * (0.5 - np.repeat(y, per_row)), d)
    problem = problem_of(rows, y.astype(np.int32), 1, loss="sigmoid", n_threads=2)
    for _ in range(2):  # what has been given back is read again
        np.testing.assert_array_equal(problem.loss_and_grad(np.zeros((1, d)), np.zeros(1))[1][0], exact)
    arrays = rows.data, rows.indices, rows.indptr, d
    sums = _core.csr_column_sums(*arrays, n_threads=2, want=("sums",))["sums"]
    np.testing.assert_array_equal(sums, np.bincount(indices, data, d))
    some = X[:, :5].toarray().astype(np.float64)
    G, s = _core.csr_gram(*arrays, np.arange(5), n_threads=2)
    np.testing.assert_array_equal(G, some.T @ some)
    np.testing.assert_array_equal(s, some.sum(axis=0))


# ---- taken ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("m", [0, 1, *around(1024, 2048)])
def test_rows_from_all_over(m):
    """APART."""
    X = RNG.normal(size=(5000, 3)).astype(np.float32)
    some = RNG.permutation(5000)[:m]
    mask = np.zeros(5000, bool)
    mask[some] = True
    for rows in (X, in_a_file(X)):
        np.testing.assert_array_equal(taken(rows, some), X[some])
        np.testing.assert_array_equal(taken(rows, mask), X[mask])
        np.testing.assert_array_equal(taken(rows, slice(3, m, 2)), X[3:m:2])


@pytest.mark.parametrize("step", [1, 16, 100])
@pytest.mark.parametrize("past", [-1, 0, 1])
def test_every_so_many_th_row(step, past):
    """BLOCK_VALUES: one block of rows, or two."""
    n = BLOCK_VALUES // (64 * step) * step + past
    X = RNG.random((n, 64), np.float32)
    for rows in (X, in_a_file(X)):
        np.testing.assert_array_equal(every(rows, step), X[::step])


# ---- read -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["npy", "safetensors"])
@pytest.mark.parametrize("n", around(4096, 8192))
def test_files_that_are_read_in_blocks(tmp_path, kind, n):
    """BLOCK_BYTES of row_sources.py: 4096 rows of 4 KiB; and of rows that were kept."""
    X, y = RNG.integers(0, 256, (n, 4096), dtype=np.uint8), RNG.integers(0, 3, n + 2)
    few = X[:2]
    names = [tmp_path / f"{number}.{kind}" for number in (1, 2)]
    for name, part in zip(names, (X, few), strict=True):
        np.save(name, part) if kind == "npy" else write_safetensors(name, {"X": part})
    rows = (RowBlocks.from_npy if kind == "npy" else RowBlocks.from_safetensors)(names, y)
    blocks = list(rows._blocks())
    assert [len(block) for block, _, _ in blocks] == [*(min(4096, n - at) for at in range(0, n, 4096)), 2]
    np.testing.assert_array_equal(rows.X, np.concatenate([X, few]))
    np.testing.assert_array_equal(rows.y, y)
    once = RowBlocks(block for block in (X, few))
    assert once.shape == (n + 2, 4096)
    np.testing.assert_array_equal(np.concatenate(list(once._kept_blocks())), rows.X)


@pytest.mark.parametrize("n", around(1 << 20))
def test_parquet_that_is_read_in_blocks(tmp_path, n):
    """BLOCK_BYTES: 2^20 rows of two columns."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    x, y = RNG.integers(0, 100, n, dtype=np.int8), RNG.integers(0, 2, n, dtype=np.int8)
    parquet.write_table(arrow.table({"x": x, "y": y}), tmp_path / "rows.parquet", row_group_size=n)
    rows = RowBlocks.from_parquet(tmp_path / "rows.parquet", "y")
    np.testing.assert_array_equal(rows.X[:, 0], x)
    np.testing.assert_array_equal(rows.y, y)


@pytest.mark.parametrize("n", around(1 << 16))
def test_kept_values_that_grow(n):
    """BLOCK_VALUES of kept.py."""
    small, large = RNG.integers(0, 100, n).astype(np.int8), np.array([-1, 1 << 40])
    rows = RowBlocks([(np.zeros((n, 1)), small), (np.zeros((2, 1)), large)])
    np.testing.assert_array_equal(rows.y, np.concatenate([small, large]))
    texts = np.array(["a", "bc", "def"])[small % 3]
    rows = RowBlocks([(np.zeros((n, 1)), texts), (np.zeros((2, 1)), np.array(["long", "longer"]))])
    np.testing.assert_array_equal(rows.y, np.concatenate([texts, ["long", "longer"]]))


# ---- labels ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "uint64"])
@pytest.mark.parametrize("n", around(1 << 16, 1 << 17))
def test_labels_that_are_counted_in_blocks(n, dtype):
    """_BLOCK of labels.py: the last label of all is in the last block alone."""
    y = RNG.integers(0, 9, n).astype(dtype) * 3
    y[-1] = 100
    classes, codes = number_labels(check_label_array(y, n))
    expected, places = np.unique(y, return_inverse=True)
    np.testing.assert_array_equal(classes, expected)
    np.testing.assert_array_equal(codes, places)
    assert (classes.dtype, codes.dtype) == (dtype, np.int32)
