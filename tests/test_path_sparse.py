"""Both sides of the sizes at which passes over sparse X, sums of its columns and its fits change their path.

docs/notes/path-constants.md lists them.
The judge is SciPy's sparse products in float64, and of fits that of their dense twin.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from test_csr import curvature, expected_residuals
from tolerances import PASS_EPS

from fastlr import LogisticRegression, _core
from fastlr._input.csr import check_csr
from fastlr.model.rows_columns import sparse_columns
from fastlr.model.rows_sparse import CsrRows
from fastlr.solvers import sparse as sparse_solver


def around(*sizes):
    return [size + step for size in sizes for step in (-1, 0, 1)]


def drawn(n, d, lengths, dtype, seed=0):
    """Arrays of n rows of these lengths, unsorted and with equal columns, X and |X| as SciPy has them."""
    rng = np.random.default_rng([seed, n, d])
    indptr = np.append(0, np.cumsum(np.broadcast_to(lengths, n)))
    indices = rng.integers(0, d, indptr[-1]).astype(np.int32)
    data = rng.normal(size=len(indices)).astype(dtype)
    wide = data.astype(np.float64)
    X, size = (sp.csr_array((values, indices, indptr), shape=(n, d)) for values in (wide, np.abs(wide)))
    return rng, data, indices, indptr, X, size


def check_passes(n, d, k, lengths, dtype, by_column, n_threads=2):
    """Logits, loss, gradient, Hessian product and the product with given residuals; the problem is returned."""
    rng, data, indices, indptr, X, size = drawn(n, d, lengths, dtype)
    eps, loss = np.finfo(dtype).eps, "sigmoid" if k == 1 else "softmax"
    y = rng.integers(0, max(k, 2), n).astype(np.int32)
    weight = rng.random(n) * (rng.random(n) < 0.9)
    W, V, b, c = rng.normal(size=(k, d)) / 3, rng.normal(size=(k, d)) / 3, rng.normal(size=k), rng.normal(size=k)
    columns = _core.CsrColumns(data, indices, indptr, d, k, n_threads) if by_column else None
    p = _core.CsrProblem(data, indices, indptr, d, y, k, loss=loss, weight=weight, n_threads=n_threads, columns=columns)
    Z, Z_size = X @ W.T + b, size @ np.abs(W).T + np.abs(b)
    error = PASS_EPS * eps * Z_size.max()
    np.testing.assert_array_less(np.abs(p.logits(W, b) - Z), PASS_EPS * eps * Z_size)

    expected, R = expected_residuals(Z, y, loss, weight)
    found, G, g = p.loss_and_grad(W, b)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=(weight.sum() + 1) * 2 * error)
    each = weight[:, None] * (2 * error + 8 * eps)
    assert (np.abs(G - (X.T @ R).T) <= (size.T @ (PASS_EPS * eps * np.abs(R) + each)).T + 1e-300).all()
    assert (np.abs(g - R.sum(axis=0)) <= each.sum(axis=0) + 1e-300).all()

    U, U_size = X @ V.T + c, size @ np.abs(V).T + np.abs(c)
    H = curvature(Z, U, loss, weight)
    H_error = weight[:, None] * (2 * PASS_EPS * eps * U_size + np.abs(U).max() * 4 * error)
    products, sums = p.hessp(W, b, V, c)
    assert (np.abs(products - (X.T @ H).T) <= (size.T @ (H_error + PASS_EPS * eps * np.abs(H))).T + 1e-300).all()
    assert (np.abs(sums - H.sum(axis=0)) <= H_error.sum(axis=0) + 1e-300).all()

    R = rng.normal(size=(n, k)).astype(dtype)
    G, g = p.outer(R)
    R = R.astype(np.float64)
    read = R * (weight > 0)[:, None]
    assert (np.abs(G - (X.T @ read).T) <= PASS_EPS * eps * (size.T @ np.abs(read)).T + 1e-300).all()
    np.testing.assert_allclose(g, R.sum(axis=0), rtol=0, atol=1e-13 * n)
    return p


# n, d, k, values a row
BY_ROW = [
    *((n, 7, k, 1) for n in around(1024) for k in (1, 8, 9, 16, 17)),  # MOST_ROWS and TILE_BYTES of a tile
    *((n, 5, k, 3) for n in (15, 16, 17, 33) for k in around(512, 1024)),  # LEAST_ROWS
    *((n, 4, 3, 8) for n in (*around(2048), *around(24 * 1024))),  # CHUNK_NONZEROS, CSR_CHUNKS, CSR_ROW_COST
    *((2048, d, 3, 8) for d in around(4096)),  # CHUNK_FILL
    *((50, d, k, 20) for d in around(64, 4096) for k in (1, 5)),  # PANEL, PANELS
]
BY_COLUMN = [
    *((n, 9, 3, 4) for n in around(64, 128, 24 * 64)),  # TASK_ROWS, CSR_CHUNKS
    *((n, d, 2, 8) for n in around(1024) for d in (2, 700)),  # PART_NONZEROS; columns that parts cut, and whole ones
    *((n, 2, 1, 8) for n in around(32 * 1024)),  # PARTS
    *((n, 3, 2, 2) for n in around(32 * 1024, 64 * 1024)),  # BLOCK_BYTES
    *((n, 3, 1, 1) for n in around(64 * 1024)),  # SHORT_ROWS
    *((n, 3, 300, 2) for n in (*around(256), 513)),  # LEAST_ROWS
    *((600, d, 300, 8) for d in around(600)),  # COLUMN_FILL
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", BY_ROW, ids=str)
def test_passes_by_row(shape, dtype):
    check_passes(*shape, dtype, by_column=False)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", BY_COLUMN, ids=str)
def test_passes_by_column(shape, dtype):
    check_passes(*shape, dtype, by_column=True)


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("lengths", [[4095, 1, 0, 7], [4096, 1, 0, 7], [4097, 1, 0, 7], [1, 4095, 4095, 2], [8193] * 4],
                         ids=str)
def test_long_rows(lengths, by_column):
    """CSR_TILE_NONZEROS."""
    for dtype in ("float32", "float64"):
        check_passes(4, 300, 3, lengths, dtype, by_column)


@pytest.mark.parametrize("k", [1, 2, 20])
@pytest.mark.parametrize("n", around(256, 512))
def test_full_columns(isa, n, k):
    """CSR_BLOCK: each column has a value in every row."""
    for dtype in (np.float32, np.float64):
        rng = np.random.default_rng(n)
        assert_full_columns(rng.normal(size=(n, 3)).astype(dtype), rng.normal(size=(n, k)).astype(dtype), PASS_EPS)


@pytest.mark.parametrize("k", [1, 2, 20])
def test_full_columns_of_like_terms(isa, k):
    """float32 alone would lose hundreds of epsilons; docs/numerics.md allows 22 where all terms are equal."""
    assert_full_columns(np.full((60_000, 3), 3.1, np.float32), np.ones((60_000, k), np.float32), 22)


def assert_full_columns(X, R, allowed):
    n, k = R.shape
    indptr, indices = np.arange(0, 3 * n + 1, 3), np.tile(np.arange(3, dtype=np.int32), n)
    data = X.ravel()
    columns = _core.CsrColumns(data, indices, indptr, 3, k)
    G, _ = _core.CsrProblem(data, indices, indptr, 3, None, k, columns=columns).outer(R)
    eps, X, R = np.finfo(X.dtype).eps, X.astype(np.float64), R.astype(np.float64)
    assert (np.abs(G - R.T @ X) <= allowed * eps * np.abs(R).T @ np.abs(X)).all()


@pytest.mark.parametrize("n", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1])
def test_numbers_of_rows_in_a_block_take_two_bytes_or_four(n):
    """SHORT_ROWS, where features are so many that a block is all rows."""
    p = check_passes(n, 20_000, 1, 1, "float32", by_column=True)
    assert p.columns.rows.dtype == (np.uint16 if n <= 1 << 16 else np.int32)


@pytest.mark.parametrize(("k", "d"), [*((2, d) for d in around(1 << 16)), (1, (1 << 21) + 1)])
def test_a_transposed_copy_where_sums_are_large(k, d):
    """_MOST_SUMS: of more classes than one."""
    p = check_passes(300, d, k, 8, "float64", by_column=False)
    assert (p.columns is not None) == (k > 1 and d > 1 << 16)


# ---- sums of columns, Gram matrices, the check -----------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "d"), [*((n, 5) for n in (*around(4096), *around(24 * 2048))),
                                      *((4096, d) for d in around(1024))])
def test_sums_of_columns(n, d, dtype):
    """CHUNK_NONZEROS, CHUNKS and CHUNK_FILL of csr_sums.c: rows of 7 values, all of them, or of other columns each."""
    rng, data, indices, indptr, X, size = drawn(n, d, 7, dtype)
    weight = rng.random(n) * (rng.random(n) < 0.9)
    sums = _core.csr_column_sums(data, indices, indptr, d, weight, 2)
    X.sum_duplicates()
    kept = sp.csc_array(X * (weight > 0)[:, None])
    np.testing.assert_allclose(sums["sums"], X.T @ weight, rtol=0, atol=1e-14 * (size.T @ weight).max())
    np.testing.assert_allclose(sums["squares"], (X**2).T @ weight, rtol=1e-12)
    np.testing.assert_array_equal(sums["count"], (kept != 0).sum(axis=0))
    np.testing.assert_allclose(sums["largest"], np.abs(kept).max(axis=0).toarray().ravel(), rtol=1e-12)
    smallest = [np.abs(kept[:, [j]].data[kept[:, [j]].data != 0]).min() for j in range(min(d, 20))]
    np.testing.assert_allclose(sums["smallest"][:20], smallest, rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "m"), [*((n, 4) for n in (*around(4096), *around(24 * 2048))),
                                      *((4096, m) for m in around(512))])
def test_gram_matrices_of_columns(n, m, dtype):
    """CHUNK_NONZEROS, CHUNKS and CHUNK_FILL of csr_gram.c."""
    rng, data, indices, indptr, X, _ = drawn(n, 600, 7, dtype)
    weight, columns = rng.random(n), rng.permutation(600)[:m]
    G, s = _core.csr_gram(data, indices, indptr, 600, columns, weight, 2)
    part = sp.csr_array(sp.csc_array(X)[:, columns])
    np.testing.assert_allclose(G, (part.T @ (part * weight[:, None])).toarray(), rtol=0, atol=1e-12 * np.abs(G).max())
    np.testing.assert_allclose(s, part.T @ weight, rtol=0, atol=1e-12 * G.trace())


@pytest.mark.parametrize("place", around(1 << 17, 1 << 18))
def test_faults_are_found_wherever_they_are(place):
    """CHUNK_NONZEROS and CHUNK_ROWS of csr_check.c: of values and indices, and of indptr."""
    n = (1 << 18) + 5
    data, indices, indptr = np.ones(n, np.float32), np.zeros(n, np.int32), np.arange(n + 1)
    for array, value, what in ((data, np.nan, "value"), (indices, 1, "index")):
        before, array[place] = array[place], value
        assert _core.csr_first_fault(data, indices, indptr, 1, 2)[:3] == (what, place, place)
        array[place] = before
    for row in (place, (1 << 16) - 1, 1 << 16):
        indptr[row] -= 2
        assert _core.csr_first_fault(data, indices, indptr, 1, 2)[:3] == ("falls", row - 1, row)
        indptr[row] += 2
    assert _core.csr_first_fault(data, indices, indptr, 1, 2) is None


# ---- fits ------------------------------------------------------------------------------------------------------------
def text(n, d, mean, seed=0):
    """Rows with few of many features, frequent ones first, and logits that depend on them."""
    rng = np.random.default_rng([seed, n, d])
    lengths = rng.poisson(mean, n) + 1
    indices = (d * rng.random(lengths.sum()) ** 3).astype(np.int32)
    X = sp.csr_array((rng.random(len(indices)) + 0.2, indices, np.append(0, np.cumsum(lengths))), shape=(n, d))
    X.sum_duplicates()
    Z = X @ rng.normal(size=(d, 3)) + rng.gumbel(size=(n, 3))
    return X, Z.argmax(axis=1)


def check_fit(X, y, **options):
    model, twin = (LogisticRegression(tol=1e-7, **options).fit(x, y) for x in (X, X.toarray()))
    assert model.suboptimality_ <= 1e-7
    assert abs(model.objective_ - twin.objective_) <= 2e-7 * twin.objective_
    return model


@pytest.mark.parametrize("values", [9, 10, 11, 15, 20, 21, 25])
def test_as_many_pairs_as_cost_a_pass(values):
    """SOME_PAIRS and MEMORY: values a feature."""
    n = 300
    X, y = text(n, 400, 400 * values / n)
    check_fit(X, y, C=3.0)


@pytest.mark.parametrize("kept", [1, 1200 * 2 * 4, 1200 * 2 * 7, 1200 * 2 * 30])
@pytest.mark.parametrize("classes", [2, 3])
def test_few_pairs_where_memory_is_short(monkeypatch, kept, classes):
    """LEAST_PAIRS; and slopes of every so many-th row."""
    monkeypatch.setattr(sparse_solver, "KEPT_VALUES", kept)
    X, y = text(300, 1200, 30)
    check_fit(X, y % classes, C=3.0)


@pytest.mark.parametrize(("d", "n"), [*((1100, n) for n in (8 * 400 - 8, 8 * 400, 8 * 400 + 8)), (1100, 40), (1100, 9)])
def test_features_of_the_block(monkeypatch, d, n):
    """BLOCK and BLOCK_ROWS: 400 features, or one for 8 rows; BLOCK_WORK: few where rows have few values."""
    monkeypatch.setattr(sparse_solver, "BLOCK_AFTER", 2)
    for mean in (1, 30):
        X, y = text(n, d, mean)
        check_fit(X, y > 0, C=10.0)


@pytest.mark.parametrize("n", around(1000, 2000))
def test_products_of_two_values(n):
    """PILOT_ROWS: of all rows the number is exact, else within what a sample leaves."""
    X, _ = text(n, 60, 9)
    rows = CsrRows(check_csr(X, 1), np.zeros(n, np.int32), 1, loss="sigmoid")
    columns = np.arange(0, 60, 2)
    counts = np.diff(X[:, columns].indptr)
    found, expected = rows._products_of(columns), (counts * (counts + 1) / 2).sum()
    assert found == pytest.approx(expected, rel=1e-12 if n < 2000 else 0.2)


@pytest.mark.parametrize("at_a_time", [1, 49, 50, 51, 1 << 22])
def test_columns_of_rows_that_are_looked_at_in_parts(monkeypatch, at_a_time):
    """RUN_VALUES."""
    monkeypatch.setattr("fastlr._input.csr.RUN_VALUES", at_a_time)
    _, data, indices, indptr, X, _ = drawn(20, 30, [5, 0] * 10, "float64")
    features, root = np.array([3, 29, 0, 7]), np.linspace(0.5, 2, 20)
    values, rows, starts = sparse_columns(check_csr(sp.csr_array((data, indices, indptr), shape=(20, 30)), 1),
                                          np.linspace(1, 3, 30), features, root)
    expected = (X.toarray() * root[:, None] * np.linspace(1, 3, 30))[:, features]
    found = sp.csc_array((values, rows, starts), shape=(20, 4)).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
