"""Blocks of sparse rows: fits are those of the same rows in one matrix, and what such blocks may not be."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from growth import FIT, first_fit, growth

from fastlr import LogisticRegression, LogisticRegressionCV, RowBlocks, Trainer, _core
from fastlr._input.csr import check_csr

RNG = np.random.default_rng(0)
X = sp.random_array((6000, 300), density=0.04, rng=RNG, format="csr")
Y = np.array(["a", "b", "c"])[np.argmax(X[:, :3].toarray() * 3 + RNG.gumbel(size=(6000, 3)), axis=1)]
WEIGHT = RNG.random(6000)
BOUNDS = [(0, 2000), (2000, 2000), (2000, 2001), (2001, 6000)]


def in_blocks(matrix, *arrays):
    return [(matrix[a:b], *(array[a:b] for array in arrays)) for a, b in BOUNDS]


def large():
    """More values than are computed with in float64 whatever they are, in float32, rows unsorted with duplicates."""
    n, per_row, d = 15_000, 40, 500
    indices = RNG.integers(0, d, n * per_row).astype(np.int32)
    data = RNG.normal(size=n * per_row).astype(np.float32)
    matrix = sp.csr_array((data, indices, np.arange(0, n * per_row + 1, per_row)), shape=(n, d))
    y = (matrix @ RNG.normal(size=d) + 5 * RNG.logistic(size=n) > 0).astype(int)
    return matrix, y


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fit_is_that_of_all_rows_in_one_matrix(kind, dtype):
    whole = X.astype(dtype)
    rows = RowBlocks([(kind(block), *rest) for block, *rest in in_blocks(whole, Y, WEIGHT)])
    found, expected = LogisticRegression(tol=1e-8).fit(rows), LogisticRegression(tol=1e-8).fit(whole, Y, WEIGHT)
    assert found.objective_ == pytest.approx(expected.objective_, rel=1e-12)
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    assert (rows.shape, rows.dtype) == (X.shape, dtype)
    assert (whole != rows.X).nnz == 0
    assert found.score(rows) == expected.score(whole, Y, WEIGHT)
    np.testing.assert_array_equal(found.predict_proba(rows), expected.predict_proba(whole))
    np.testing.assert_array_equal(np.concatenate(list(rows.predictions(found))), expected.predict(whole))


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg"])
def test_rows_in_files_are_those_in_memory(solver):
    matrix, y = large()
    rows = RowBlocks([(matrix[:9], y[:9]), (matrix[9:], y[9:])])
    assert _core.is_read_once(_core.file_behind(rows.rows.data))
    assert (rows.rows.indices.dtype, rows.rows.indptr.dtype) == (np.int32, np.int64)
    fits = [LogisticRegression(tol=1e-8, solver=solver, n_threads=2).fit(*data) for data in ((rows,), (matrix, y))]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)


def test_classes_of_which_rows_in_memory_have_a_transposed_copy():
    """In memory k d > 2^17 makes a copy of X, of rows in a file it does not; sums then have another order."""
    n, d, k = 20_000, 40_000, 4
    matrix = sp.random_array((n, d), density=0.001, rng=RNG, format="csr")
    y = RNG.integers(0, k, n)
    rows = RowBlocks([(matrix[:7_000], y[:7_000]), (matrix[7_000:], y[7_000:])])
    found, expected = (LogisticRegression(tol=1e-13, C=0.1).fit(*data) for data in ((rows,), (matrix, y)))
    assert found.objective_ == pytest.approx(expected.objective_, rel=1e-12)


def test_searches_and_trainers_take_sparse_blocks():
    rows = RowBlocks(in_blocks(X, Y, WEIGHT))
    searched, expected = (LogisticRegressionCV(Cs=[0.1, 1.0], cv=3).fit(*data) for data in ((rows,), (X, Y, WEIGHT)))
    np.testing.assert_array_equal(searched.scores_, expected.scores_)
    np.testing.assert_array_equal(searched.coef_, expected.coef_)
    for optimizer in ("sgd", "ftrl"):
        trained, expected = (Trainer(epochs=2, random_state=0, optimizer=optimizer).fit(*data)
                             for data in ((rows,), (X, Y, WEIGHT)))
        np.testing.assert_array_equal(trained.coef_, expected.coef_)
        assert trained.score(rows) == expected.score(X, Y, WEIGHT)


def test_a_generator_is_read_once_and_kept():
    rows = RowBlocks(block for block in in_blocks(X, Y))
    model = LogisticRegression().fit(rows)
    np.testing.assert_array_equal(np.concatenate(list(rows.predictions(model))), model.predict(X))


def test_rows_from_all_over_a_file():
    matrix, _ = large()
    kept, there = RowBlocks([matrix]).rows, check_csr(matrix, 1)
    mask = np.zeros(len(there), bool)
    mask[RNG.integers(0, len(there), 999)] = True
    for part in (slice(5, 900), slice(None, None, 7), RNG.permutation(len(there)), mask, np.zeros(0, int)):
        found, expected = kept[part], there[part]
        for name in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_blocks_without_values():
    empty = sp.csr_array((5, 3))
    rows = RowBlocks([(empty, [0, 1, 0, 1, 0])])
    assert rows.rows.size == 0
    assert LogisticRegression().fit(rows).coef_.tolist() == [[0, 0, 0]]


BROKEN = X[:100].copy()
BROKEN.indices[7] = 300
NAN = X[:100].copy()
NAN.data[NAN.indptr[9]] = np.nan
SHORT = X[:100].copy()
SHORT.indptr[3] = 10**6
WRONG = {
    "another width": ([X[:100], X[100:200, :9]], r"block 1 \(from row 100 on\) has 9 features and those before 300"),
    "another dtype": ([X[:100], X[:7], X[:9].astype(np.float32)], r"block 2 \(from row 107 on\) has dtype float32"),
    "dense after sparse": ([X[:100], X[:9].toarray()], "block 1 .* is dense and those before sparse"),
    "sparse after dense": ([X[:100].toarray(), X[:9]], "block 1 .* is sparse and those before dense"),
    "an index outside": ([X[:100], BROKEN], r"block 1 \(from row 100 on\): X.indices has 300 in row"),
    "indptr outside": ([X[:100], SHORT], "block 1 .*: X.indptr falls"),
    "not finite": ([X[:100], NAN], r"block 1 \(from row 100 on\): Input X contains NaN, first at row 9"),
    "complex": ([X[:100] * 1j], "block 0 .*Complex data"),
}


@pytest.mark.parametrize("name", WRONG)
def test_sparse_blocks_that_are_wrong_are_named(name, tmp_path):
    blocks, message = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=message):
        LogisticRegression().fit(RowBlocks([(x, np.arange(x.shape[0]) % 2) for x in blocks], cache=tmp_path))
    assert not list(tmp_path.iterdir())


MANY = """
n, per_row, d = 50_000, 50, 20_000
def blocks():
    rng = np.random.default_rng(0)
    true = rng.normal(size=d)
    for _ in range(int(sys.argv[1])):
        indices = rng.integers(0, d, n * per_row).astype(np.int32)
        data = rng.normal(size=n * per_row).astype(np.float32)
        X = sp.csr_array((data, indices, np.arange(0, n * per_row + 1, per_row)), shape=(n, d))
        yield X, X @ true + 5 * rng.logistic(size=n) > 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_a_block_and_the_labels():
    grown, data = growth(MANY, first_fit("sp.csr_array((1, 20_000))"), FIT, 15)
    assert data > 280
    assert grown < 140  # places of rows, samples, labels, logits, a block
