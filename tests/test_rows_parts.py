"""Rows in parts: the same objective as of all rows together, whatever the parts."""

import pickle

import numpy as np
import pytest

from fastlr import solvers
from fastlr.model.objective import Objective
from fastlr.model.rows import DenseRows
from fastlr.model.rows_base import SMALL
from fastlr.model.rows_engine import FAN, LocalParts, Part, joined, part_of
from fastlr.model.rows_parts import PartRows
from fastlr.model.separation import are_separable


def arrays(n, d, k, *, dtype=np.float64, weighted=True, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) * rng.exponential(size=d) + rng.normal(size=d)).astype(dtype)
    Z = X @ rng.normal(size=(d, k)) / d**0.5 + rng.gumbel(size=(n, k))
    y = (Z[:, 0] > 0.5) if k == 1 else Z.argmax(axis=1)
    return X, y.astype(np.int32), rng.exponential(size=n) * (rng.random(n) < 0.9) if weighted else None


def in_parts(X, y, weight, k, loss, edges, **options):
    """PartRows of slices of the rows."""
    parts, first = [], 0
    for start, stop in zip([0, *edges], [*edges, len(X)], strict=True):
        w = None if weight is None else weight[start:stop]
        parts.append(part_of(X[start:stop], y[start:stop], k, w, first, loss=loss, size=X.size, **options))
        first += stop - start if w is None else np.count_nonzero(w)
    real = np.float64 if X.size <= SMALL else DenseRows(X, y, k, loss=loss).real
    return PartRows(LocalParts(parts), first, X.shape[1], k, real, loss=loss, **options)


def both(n, d, k, *, C=1.0, edges=None, loss=None, arrays_=None, **options):
    X, y, weight = arrays_ or arrays(n, d, k, **options)
    loss = loss or ("sigmoid" if k == 1 else "softmax")
    alpha = 1 / (C * (n if weight is None else weight.sum()))
    edges = [n // 7, n // 2, n // 2] if edges is None else edges
    return (Objective(DenseRows(X, y, k, loss=loss, weight=weight), alpha=alpha),
            Objective(in_parts(X, y, weight, k, loss, edges), alpha=alpha))


@pytest.mark.parametrize(("k", "loss"), [(1, "sigmoid"), (3, "softmax"), (3, "sigmoid"), (2, "squared_error")])
def test_values_gradients_and_products_are_those_of_all_rows(k, loss):
    whole, parts = both(900, 6, k, loss=loss)
    rng = np.random.default_rng(1)
    M = rng.normal(size=(k, 6)), rng.normal(size=k)
    a, b = (F.at(F.start(*M)) for F in (whole, parts))
    assert b.value == pytest.approx(a.value, rel=1e-13)
    rates = [F.rows.base_rate for F in (whole, parts)]
    np.testing.assert_allclose(rates[1], rates[0], rtol=1e-13)
    assert parts.rows.effective_rows == pytest.approx(whole.rows.effective_rows, rel=1e-13)

    def of_user(F, point):
        """What does not depend on the coordinates: the step of Newton's method, and a product."""
        step = solvers.newton.hessian_solver(F, point)(point.grad)
        return F.coefficients(step), F.coefficients(solvers.newton.hessian_solver(F, point)(F.hessp(point, step)))

    for got, expected in zip(of_user(parts, b), of_user(whole, a), strict=True):
        for x, y in zip(got, expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12 * np.abs(expected[0]).max())
    assert parts.lower_bound(b) <= b.value


@pytest.mark.parametrize(
    ("n", "d", "k", "options"),
    [(1500, 5, 1, {}), (1500, 5, 3, {"weighted": False}), (3000, 120, 12, {}), (40_000, 20, 2, {"loss": "sigmoid"})],
)
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg", "newton-cholesky"])
def test_fits_reach_the_optimum_of_all_rows(n, d, k, options, solver):
    if solver == "newton-cholesky" and k * d > 1000:
        pytest.skip("a Hessian of 1452 parameters takes long")
    loss = options.get("loss")
    X, y, weight = arrays(n, d, k, weighted=options.get("weighted", True))
    if loss:
        y = np.column_stack([y, 1 - y]).astype(np.float64)
    whole, parts = both(n, d, k, loss=loss, arrays_=(X, y, weight))
    a, b = (solvers.minimise(F, tol=1e-9, solver=solver) for F in (whole, parts))
    assert b.converged
    (V, c, f), (W, b_, g) = whole.finished(a.w, a.value), parts.finished(b.w, b.value)
    assert g == pytest.approx(f, rel=1e-9)
    np.testing.assert_allclose(W, V, rtol=0, atol=1e-4 * np.abs(V).max())
    np.testing.assert_allclose(b_, c, rtol=0, atol=1e-4 * max(np.abs(c).max(), 1))


@pytest.mark.parametrize("k", [1, 3])
def test_without_a_penalty_the_bound_is_that_of_all_rows(k):
    whole, parts = both(900, 5, k, C=np.inf)
    a, b = (solvers.minimise(F, tol=1e-10) for F in (whole, parts))
    assert b.converged
    assert b.value == pytest.approx(a.value, rel=1e-10)
    assert 0 <= b.suboptimality <= 1e-10


def test_parts_without_rows_or_weights_count_for_nothing():
    X, y, weight = arrays(600, 4, 3)
    weight[100:200] = 0
    _, some = both(600, 4, 3, arrays_=(X, y, weight), edges=[100, 200, 200])
    kept = np.r_[0:100, 200:600]
    _, less = both(500, 4, 3, arrays_=(X[kept], y[kept], weight[kept]), edges=[100])
    w = some.start(np.ones((3, 4)), np.arange(3.0))
    assert some.at(w).value == less.at(w).value
    np.testing.assert_array_equal(some.at(w).grad, less.at(w).grad)
    assert some.rows.sample(7).n == less.rows.sample(7).n == -(-np.count_nonzero(weight) // 7)


def test_a_sample_is_every_so_many_th_row_of_all_parts():
    X, y, _ = arrays(1000, 3, 3, weighted=False)
    rows = in_parts(X, y, None, 3, "softmax", [1, 300, 555, 556])
    for step in (1, 4, 300):
        np.testing.assert_array_equal(rows.sample(step)._X, X[::step])
        np.testing.assert_array_equal(rows.sample(step).y, y[::step])
        assert rows.weight_of_every(step) == len(y[::step])


def test_constant_and_far_features():
    X, y, weight = arrays(800, 5, 1)
    X[:, 1], X[:, 2], X[:, 3] = 0.1, X[:, 2] * 1e-200, X[:, 3] + 1e6
    X[:, 4] = np.arange(800) >= 400  # constant within each part
    whole, parts = both(800, 5, 1, arrays_=(X, y, weight), edges=[400])
    assert parts.coordinates.is_constant.tolist() == [False, True, False, False, False]
    (V, _, f), (W, _, g) = (F.finished((r := solvers.minimise(F, tol=1e-9)).w, r.value) for F in (whole, parts))
    assert W[0, 1] == 0
    assert g == pytest.approx(f, rel=1e-9)
    np.testing.assert_allclose(W, V, rtol=1e-3, atol=1e-6)


def test_a_part_that_travelled_gives_the_same_bits():
    """Where the arrays lie in a message they need not be aligned."""
    X, y, weight = arrays(500, 4, 3, dtype=np.float32)
    Y = np.random.default_rng(0).dirichlet(np.ones(3), 500)
    for targets in (y, Y):
        part = part_of(X, targets, 3, weight, 7, loss="softmax", size=X.size)
        data = bytearray(pickle.dumps(part, protocol=5))
        other = pickle.loads(data)
        buffers = []
        head = pickle.dumps(part, protocol=5, buffer_callback=buffers.append)
        shifted = []
        for buffer in buffers:
            raw = memoryview(buffer).cast("B")
            shifted.append(memoryview(bytearray(1) + bytearray(raw))[1:])
        third = pickle.loads(head, buffers=shifted)
        W = np.random.default_rng(1).normal(size=(3, 5))
        expected = part.rows.loss_and_grad(W)
        for copy in (other, third):
            assert copy.first == 7
            total, G = copy.rows.loss_and_grad(W)
            assert total == expected[0]
            np.testing.assert_array_equal(G, expected[1])


def test_results_are_joined_in_one_order():
    """Strings tell the order: it depends on the number of parts alone, and leaves out what is None."""
    for n in (1, FAN, FAN + 1, 3 * FAN * FAN + 5):
        names = [f"{i}" for i in range(n)]
        assert joined(names, lambda a, b: f"{a},{b}") == ",".join(names)
        assert joined([None, *names, None], lambda a, b: f"{a},{b}") == ",".join(names)
    pairs = joined([f"{i}" for i in range(FAN + 2)], lambda a, b: f"({a} {b})")
    assert pairs == "((((((((0 1) 2) 3) 4) 5) 6) 7) (8 9))"
    assert joined([None, None], None) is None


def test_separable_rows_are_told():
    X = np.linspace(-1, 1, 50)[:, None]
    y = (X[:, 0] > 0).astype(np.int32)
    W = np.zeros((1, 2))
    assert are_separable(in_parts(X, y, None, 1, "sigmoid", [20]), W)
    y[10] = 1
    assert not are_separable(in_parts(X, y, None, 1, "sigmoid", [20]), W)


def test_weights_far_below_those_of_other_parts_keep_their_scale():
    X, y, _ = arrays(400, 3, 1, weighted=False)
    weight = np.where(np.arange(400) < 200, 1.0, 1e-30)
    rows = in_parts(X, y, weight, 1, "sigmoid", [200])
    assert rows.total_weight == 200
    assert rows.least_weight == 1e-30


def test_a_value_that_is_not_finite_is_found():
    X, y, _ = arrays(100, 3, 1, weighted=False)
    rows = in_parts(X, y, None, 1, "sigmoid", [40])
    assert rows.first_nonfinite() is None
    rows.parts.parts[1].rows._X[5, 2] = np.nan
    (place, value) = rows.first_nonfinite()
    assert place == (5, 2)
    assert np.isnan(value)
    assert isinstance(rows.parts.parts[0], Part)
