"""Both sides of the sizes at which passes, Gram matrices and row kernels change their path.

docs/notes/path-constants.md lists them.
Sizes stand around the constants of today, and on ladders, so that a constant that moves stays covered.  The judge is
fastlr.bench.long_double: its own errors do not count, and it knows the rounding that docs/numerics.md allows.
"""

from functools import cache

import numpy as np
import pytest
from fastlr.bench import long_double as exact
from fastlr.bench.oracle_models import linear_sums
from problems import REALS
from tolerances import GRAM_EPS, assert_ulp

import fastlr
from fastlr import _core

pytestmark = pytest.mark.skipif(not exact.WIDE_ENOUGH, reason="long double is no wider than double")

LADDER = [1, 2, 3, 5, 7, 11, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 97, 127, 129, 191, 193]
AROUND = (-1, 0, 1)


def around(*sizes):
    return [size + step for size in sizes for step in AROUND]


# n, d, k
PASSES = sorted({
    *((n, 7, 3) for n in LADDER),  # blocks of rows, and remainders
    *((n, 20, 3) for n in (*around(256, 512, 1536, 2048), 1000, 5000)),  # sums in real of FLUSH_ROWS, CHUNKS, a tile
    *((n, 16, 1) for n in (*around(256, 768, 2048), 3073)),  # tiles of one logit
    *((n, 1700, 2) for n in (23, 25, 200)),  # the least tile
    *((n, 520, 1) for n in (4607, 4609, 4633)),  # chunks of whole tiles
    *((50, 33, k) for k in LADDER),  # blocks of classes of both products, packed panels, with and without a reference
    *((n, 5, k) for n in around(32) for k in around(32, 48)),  # packed or not
    *((40, d, 50) for d in around(16, 256, 512)),  # PANEL_FEATURES
    *((7, d, k) for d in around(400, 800, 1600) for k in (1, 3, 12)),  # LINEAR_FEATURES
    *((n, 2, 48) for n in around(12 * 64, 12 * 128)),  # chunks of many classes
    *((3, 4, k) for k in around(512, 2048)),  # BLOCK of independent losses, rows longer than FLR_STAGE
})
HEAVY = [(33, 2049, 64), (33, 4097, 64),  # PACKED_LONG_TILE_BYTES, in both types
         (701, 2, 3000),  # PACKED_TILE_LOGITS
         (24_577, 1, 48)]  # PACKED_CHUNK_ROWS


def data(n, d, k, dtype, loss):
    rng = np.random.default_rng([n, d, k])
    X = rng.normal(size=(n, d)).astype(dtype)
    W, b, V, c = (rng.normal(size=shape) for shape in ((k, d), k, (k, d), k))
    weight = rng.random(n) + 0.1
    if loss == "softmax":
        y = rng.integers(0, k, n).astype(np.int32)
        return X, W / np.sqrt(d), b, V, c, y, exact.one_hot(y, k), weight
    Y = rng.random((n, k)).astype(dtype)
    return X, W / np.sqrt(d), b, V, c, Y, Y.astype(exact.REAL), weight


@cache
def judge(n, d, k, dtype, loss):
    """Sums at (W, b), and the Hessian's product with (V, c) and what it may be off."""
    X, W, b, V, c, _, Y, weight = (np.asarray(a) for a in data(n, d, k, dtype, loss))
    X, W, b, V, c, weight = (a.astype(exact.REAL) for a in (X, W, b, V, c, weight))
    sums = linear_sums(X, W, b, Y, weight, loss, {}, np.dtype(dtype))
    U, size = X @ V.T + c, np.abs(X) @ np.abs(V).T + np.abs(c)
    if loss == "softmax":
        A = exact.Rows(sums.Z).softmax()
        H = A * (U - (A * U).sum(axis=1, keepdims=True))
        largest = np.abs(U).max(axis=1, keepdims=True)
        moved = 1 + 2 * sums.Z_error.max(axis=1, keepdims=True) / np.finfo(dtype).eps
        error = A * size + A * (A * size).sum(axis=1, keepdims=True) + 4 * A * largest * moved
    else:
        A = exact.sigmoid(sums.Z)
        H = A * (1 - A) * U
        error = size + np.abs(U) * (1 + sums.Z_error / np.finfo(dtype).eps)
    H, error = weight[:, None] * H, 4 * np.finfo(dtype).eps * weight[:, None] * error
    return sums, (H.T @ X, H.sum(axis=0)), (error.T @ np.abs(X), error.sum(axis=0))


def assert_within(what, actual, expected, error):
    good = exact.bounded(np.asarray(actual), expected, error)
    worst = np.max(np.abs(actual - expected) / error, initial=0)
    assert good.all(), f"{what}: {(~good).sum()} of {good.size}, worst {worst:.3g} x allowed"


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(("shape", "loss"), [*((shape, loss) for shape in PASSES for loss in ("softmax", "sigmoid")),
                                             *((shape, "softmax") for shape in HEAVY)], ids=str)
def test_passes(isa, shape, dtype, loss):
    n, d, k = shape
    X, W, b, V, c, y, _, weight = data(n, d, k, dtype, loss)
    sums, H, H_error = judge(n, d, k, dtype, loss)
    problem = _core.Problem(X, y, k, loss=loss, weight=weight, n_threads=1 + n % 2)
    R = np.empty((n, k), dtype) if d % 2 else None
    loss_sum, G, g = problem.loss_and_grad(W, b, R)
    assert_within("loss", np.float64(loss_sum), sums.loss, sums.loss_error)
    assert_within("G", G, sums.G, sums.G_error)
    assert_within("g", g, sums.g, sums.g_error)
    if R is not None:
        allowed = 8 * np.finfo(dtype).eps * (1 + 2 * sums.Z_error.max(axis=1, keepdims=True) / np.finfo(dtype).eps)
        assert_within("R", R, sums.R, allowed * weight[:, None])
    assert_within("logits", problem.logits(W, b), sums.Z, sums.Z_error)
    assert_within("evaluate", np.float64(problem.evaluate(W, b)[0]), sums.loss, sums.loss_error)
    for actual, expected, error in zip(problem.hessp(W, b, V, c), H, H_error, strict=True):
        assert_within("hessp", actual, expected, error)


@pytest.mark.parametrize("k", [1, 50])
def test_passes_over_more_than_their_chunks(k):
    """CHUNK_BYTES: overlapping rows, 230 MB that take 50 kB."""
    n, d = 11_500, 5000
    rng = np.random.default_rng(k)
    X = np.lib.stride_tricks.sliding_window_view(rng.normal(size=n + d - 1).astype(np.float32), d)
    W, b, Y = rng.normal(size=(k, d)) / np.sqrt(d), rng.normal(size=k), rng.random((n, k), np.float32)
    loss, G, g = _core.Problem(X, Y, k, loss="sigmoid", n_threads=2).loss_and_grad(W, b)
    expected, error = np.zeros(1 + k * d + k), np.zeros(1 + k * d + k)
    eps = np.finfo(np.float32).eps
    for rows in (slice(i, i + 500) for i in range(0, n, 500)):
        U = X[rows].astype(np.float64)
        Z, Z_error = U @ W.T + b, 4 * eps * (np.abs(U) @ np.abs(W).T + np.abs(b))
        R, losses = exact.binary_residual(Z, Y[rows]), exact.binary_cross_entropy(Z, Y[rows])
        expected += np.r_[losses.sum(), (R.T @ U).ravel(), R.sum(axis=0)]
        R_error = Z_error / 4 + 8 * eps
        error += np.r_[(Z_error + 4 * eps * losses).sum(), (R_error.T @ np.abs(U)).ravel(), R_error.sum(axis=0)]
    assert_within("loss, G and g", np.r_[loss, G.ravel(), g], expected, error)


@pytest.mark.parametrize("k", [2, 40, 70])
@pytest.mark.parametrize("d", [15, 16, 48, 64])
@pytest.mark.parametrize("dtype", REALS)
def test_passes_wherever_a_row_begins(isa, dtype, d, k):
    """The first columns of rows that are whole cache lines apart are taken apart up to a line's begin."""
    n = 49
    X, W, b, V, c, y, _, weight = data(n, d, k, dtype, "softmax")
    sums, H, H_error = judge(n, d, k, dtype, "softmax")
    memory = np.zeros(X.nbytes + 256, np.uint8)
    line = -memory.ctypes.data % 64
    for start in range(0, 64, X.itemsize):
        placed = memory[line + start : line + start + X.nbytes].view(dtype).reshape(n, d)
        placed[...] = X
        problem = _core.Problem(placed, y, k, weight=weight)
        _, G, g = problem.loss_and_grad(W, b)
        assert_within(f"G at {start}", G, sums.G, sums.G_error)
        assert_within(f"g at {start}", g, sums.g, sums.g_error)
        assert_within(f"hessp at {start}", problem.hessp(W, b, V, c)[0], H[0], H_error[0])


@pytest.mark.parametrize("n", [23, 25, 71, 73, 1271, 1273, 3815, 3817, 6145])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "float16", "int16"])
def test_passes_over_columns(isa, dtype, n):
    """TILES_OF_COLUMNS: Fortran order is read some tiles at once."""
    rng = np.random.default_rng(n)
    d, k = 20, 2
    X = np.asfortranarray((9 * rng.random((n, d))).astype(dtype))
    W, b, y = rng.normal(size=(k, d)) / 20, rng.normal(size=k), rng.integers(0, k, n).astype(np.int32)
    real = _core.real_dtype(X.dtype)
    sums = linear_sums(*(a.astype(exact.REAL) for a in (X, W, b)), exact.one_hot(y, k), None, "softmax", {}, real)
    loss, G, g = _core.Problem(X, y, k).loss_and_grad(W, b)
    assert_within("loss", np.float64(loss), sums.loss, sums.loss_error)
    assert_within("G", G, sums.G, sums.G_error)
    assert_within("g", g, sums.g, sums.g_error)


@pytest.mark.parametrize("d", [1, 3, 17, 40])
@pytest.mark.parametrize("n", around(64, 512, 4096, 8 * 512, 8 * 4096))
@pytest.mark.parametrize("dtype", REALS)
def test_gram(dtype, n, d):
    if n > 5000 and d > 3:
        pytest.skip("long doubles have no BLAS")
    rng = np.random.default_rng(n)
    X, weight = rng.normal(size=(n, d)).astype(dtype), rng.random(n)
    scale, shift = rng.random(d) + 0.5, rng.normal(size=d)
    U = (X.astype(exact.REAL) - shift) * scale
    G, s = _core.Problem(X, None, 1, weight=weight, scale=scale, shift=shift, n_threads=2).gram()
    size = (np.abs(X) + np.abs(shift)).astype(exact.REAL) * scale
    eps = np.finfo(dtype).eps
    assert_within("G", G, (U * weight[:, None]).T @ U, GRAM_EPS * eps * ((size * weight[:, None]).T @ size))
    assert_within("s", s, weight @ U, GRAM_EPS * eps * (weight @ size))


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (7, 3), (25, 700), (300, 1000), (70_000, 5), (600_000, 1)])
def test_first_nonfinite_value(dtype, n, d, n_threads):
    X = np.ones((n, d), dtype)
    assert _core.first_nonfinite(X, n_threads) is None
    for row, column in sorted({(n - 1, d - 1), (n // 2, d // 3), (min(n - 1, 24), d - 1), (0, 0)}, reverse=True):
        X[row, column] = np.nan if row % 2 else np.inf
        assert _core.first_nonfinite(X, n_threads) == (row, column)
        assert _core.first_nonfinite(np.asfortranarray(X), n_threads) == (row, column)


def test_memory_that_is_kept():
    """MOST_KEPT: passes that need more than 16 MiB, and passes after them, leave each other alone."""
    cases = []
    for d, k in ((5, 3), (4000, 600)):
        X, *_, y, _, _ = data(40, d, k, "float64", "softmax")
        cases.append(_core.Problem(X, y, k))
    results = [[problem.loss_and_grad(np.ones((problem.k, problem.d)), np.ones(problem.k)) for problem in cases]
               for _ in range(3)]
    for again in results[1:]:
        for first, other in zip(results[0], again, strict=True):
            assert first[0] == other[0]
            np.testing.assert_array_equal(first[1], other[1])


def test_more_threads_than_there_are():
    """MAX_WORKERS; more tasks than threads."""
    Z = np.random.default_rng(0).normal(size=(900_000, 10)).astype(np.float32)
    expected = fastlr.softmax(Z, n_threads=1)
    for n_threads in (2, 255, 256, 257, 10_000):
        np.testing.assert_array_equal(fastlr.softmax(Z, n_threads=n_threads), expected)


# ---- rows -----------------------------------------------------------------------------------------------------------
WIDTHS = [*range(1, 36), *around(40, 48, 64, 80, 96, 128, 256, 512), *around(1024, 2048, 4096), 32_767, 32_768, 40_000]


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("k", WIDTHS)
def test_rows_of_any_width(isa, dtype, k):
    """GROUP_MOST_CLASSES, groups, EXPSUM_FOLD, FLR_STAGE, CHUNK_VALUES; logits on both sides of EXPSUM_NEAR."""
    rng = np.random.default_rng(k)
    n = 37 if k < 300 else 3
    near = 72 if dtype == "float32" else 690
    Z = (rng.normal(size=(n, k)) * rng.choice((1, 8, 30), (n, 1))).astype(dtype)
    Z[n // 3] += near - 0.5
    Z[n // 2] = rng.uniform(-near - 1, near + 1, k)
    rows = exact.Rows(Z.astype(exact.REAL))
    assert_ulp("softmax", fastlr.softmax(Z), rows.softmax(), f"{isa} k={k}")
    assert_ulp("log_softmax", fastlr.log_softmax(Z), rows.log_softmax(), f"{isa} k={k}")
    assert_ulp("logsumexp", fastlr.logsumexp(Z), rows.logsumexp(), f"{isa} k={k}")
    y = rng.integers(0, k, n)
    losses, R = fastlr.cross_entropy_and_grad(Z, y, reduction="none")
    Y = exact.one_hot(y, k)
    assert_ulp("cross_entropy", losses, rows.cross_entropy(Y), f"{isa} k={k}")
    assert_within("residual", R, rows.residual(Y), 5 * exact.unit(rows.residual(Y), R.dtype))


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("k", [2, 64, 65, 1000])
@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("much", [False, True])
def test_rows_that_leave_past_the_caches(isa, dtype, k, n_threads, much):
    """STREAM_BYTES: a block of rows again and again, on both sides of 16 MiB."""
    rng = np.random.default_rng(k)
    block = rng.normal(size=(48, k)).astype(dtype)
    times = (16 << 20) // block.nbytes + much
    Z = np.tile(block, (times, 1))
    rows = exact.Rows(block.astype(exact.REAL))
    for function in ("softmax", "log_softmax", "logsumexp"):
        result = getattr(fastlr, function)(Z, n_threads=n_threads)
        first = result[:48]
        assert_ulp(function, first, getattr(rows, function)())
        assert (result.reshape(times, *first.shape) == first).all()
    y = np.tile(rng.integers(0, k, 48), times)
    loss, R = fastlr.cross_entropy_and_grad(Z, y, reduction="sum", n_threads=n_threads)
    Y = exact.one_hot(y[:48], k)
    assert_within("residual", R[:48], rows.residual(Y), 5 * exact.unit(rows.residual(Y), R.dtype))
    assert (R.reshape(times, 48, k) == R[:48]).all()
    allowed = 4 * float(np.finfo(dtype).eps) + len(Z) * 2.0**-53
    assert loss == pytest.approx(times * float(rows.cross_entropy(Y).sum()), rel=allowed)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("n", [*around(16, 512, 1024, 4096, 32_768, 65_536), (4 << 20) + 5])
def test_numbers_of_any_length(isa, dtype, n):
    """CHUNK_VALUES, FAR and STREAM_BYTES of the functions of one number."""
    block = np.linspace(-30, 30, 4099, dtype=dtype)
    z = np.resize(block, n)
    for function in ("sigmoid", "log_sigmoid", "sigmoid_derivative", "logit"):
        values = 1 / (32 + block) if function == "logit" else block
        given = np.resize(values, n) if function == "logit" else z
        expected = getattr(exact, function)(values.astype(exact.REAL))
        result = getattr(fastlr, function)(given, n_threads=2)
        assert_ulp(function, result[:4099], expected[: min(n, 4099)])
        assert (result == np.resize(result[:4099], n)).all()
