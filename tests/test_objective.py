"""Objective: coordinates, derivatives, row samples, and a lower bound that is one."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from problems import least_value, objective_of

from fastlr import reference, solvers
from fastlr.model.duality import entropies
from fastlr.model.hessian import class_blocks
from fastlr.model.rows_moments import moments

LOSSES = ("softmax", "sigmoid", "squared_error")


def make(seed=0, n=60, d=4, k=3, loss="softmax", soft=False, weighted=False, offset=False, dtype=np.float64, **options):
    """An objective of random data whose features have means and scales of their own; X is its `given_X`."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-2, 2, d) + rng.normal(size=d)).astype(dtype)
    y = rng.integers(0, max(k, 2), n).astype(np.int32)
    if soft:
        y = rng.dirichlet(np.ones(k), n) if loss == "softmax" else rng.random((n, k))
        y = y.astype(dtype)
    weight = rng.exponential(size=n) * (rng.random(n) < 0.9) if weighted else None
    o = rng.normal(size=(n, k)).astype(dtype) if offset else None
    options = {"alpha": 0.05, "penalty": rng.exponential(size=d)} | options
    F = objective_of(X, y, k, loss=loss, weight=weight, offset=o, **options)
    F.given_X = X
    return F


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("soft", [True, False])
def test_value_is_the_users_objective(loss, intercept, soft):
    rng = np.random.default_rng(1)
    scale, shift = rng.normal(size=4), rng.normal(size=4)
    F = make(loss=loss, soft=soft, weighted=True, offset=True, intercept=intercept, scale=scale, shift=shift)
    W, b = rng.normal(size=(3, 4)), rng.normal(size=3) * intercept
    v = F.start(W, b)
    for got, expected in zip(F.coefficients(v), (W, b), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    rows = F.rows
    Z = (F.given_X - shift) * scale @ W.T + b + rows.offset
    Y = rows.y if soft else np.eye(3)[rows.y]
    if loss == "softmax":
        losses = np.logaddexp.reduce(Z, axis=1) - (Y * Z).sum(1)
    elif loss == "sigmoid":
        losses = (np.logaddexp(0, Z) - Y * Z).sum(1)
    else:
        losses = 0.5 * ((Z - Y) ** 2).sum(1)
    penalty = F.penalty.factors * F.coordinates.deviation**2
    expected = np.average(losses, weights=rows.weight) + F.penalty.alpha / 2 * (penalty * W**2).sum()
    assert F.at(v).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [True, False])
def test_derivatives(loss, intercept):
    F = make(loss=loss, weighted=True, intercept=intercept)
    rng = np.random.default_rng(2)
    v, u, h = rng.normal(size=F.size), rng.normal(size=F.size), 1e-5
    point, up, down = F.at(v), F.at(v + h * u), F.at(v - h * u)
    assert point.grad @ u == pytest.approx((up.value - down.value) / (2 * h), rel=1e-6)
    np.testing.assert_allclose(F.hessp(point, u), (up.grad - down.grad) / (2 * h), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(F.hessian(point) @ u, F.hessp(point, u), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("n", "n_rows"), [(20_000, 10**6), (20_000, 2000), (300_000, 10**6)])  # the last: BLOCK_VALUES
def test_class_blocks_from_all_rows_or_a_sample(n, n_rows):
    F = make(n=n, soft=True, weighted=True, alpha=0.0)
    v = np.random.default_rng(3).normal(size=F.size)
    A = F.activations(F.at(v))
    F.rows.y[:] = A(slice(None))  # without errors the blocks are the Hessian's own
    H, d = F.hessian(F.at(v)), F.rows.d
    for c, make_block in enumerate(class_blocks(F.rows, A, n_rows)):
        block = make_block(1)
        own = slice(c * (d + 1), (c + 1) * (d + 1))
        exact = H[own, own]
        size = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
        np.testing.assert_allclose(block / size, exact / size, atol=1e-9 if n_rows > F.rows.n else 0.15)


def test_class_blocks_of_a_sample_miss_no_rare_feature():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(20000, 40))
    X[:, 3] = 0
    X[:3, 3] = 1
    F = objective_of(X, rng.integers(0, 3, len(X)).astype(np.int32), 3, alpha=1e-3)
    rows, A = F.rows, F.activations(F.at(F.start()))
    for exact, sampled in zip(class_blocks(rows, A, 10**6), class_blocks(rows, A, 500), strict=True):
        assert sampled(1)[3, 3] >= exact(1)[3, 3] * (1 - 1e-5)


def slope_of(error):
    """The weight in its class block of a row of target 0 whose activation is this."""
    F = objective_of(np.ones((1, 1)), np.zeros(1, np.int32), 1, loss="sigmoid")
    block, = class_blocks(F.rows, lambda part: np.array([[error]]), 10)
    return block(1)[-1, -1]


@pytest.mark.parametrize("x", [-1.0, 0.0, 1e-3, 0.5, 3.0, 14.0])
def test_slopes_of_an_error_bound_its_loss(x):
    error = 1 / (1 + np.exp(-x))  # of a row of target 0 and logit x
    slope = slope_of(error)
    if x <= 0:
        assert slope == pytest.approx(error * (1 - error))
    else:
        z = np.linspace(-20, 20, 401)
        parabola = np.logaddexp(0, x) + error * (z - x) + slope / 2 * (z - x) ** 2
        assert (parabola >= np.logaddexp(0, z) - 1e-9).all()
        at_minus_x = np.logaddexp(0, x) - 2 * error * x + 2 * slope * x**2
        assert at_minus_x == pytest.approx(np.logaddexp(0, -x), abs=1e-6)


def test_slopes_of_float32_errors_above_a_half_are_precise():
    error = float(np.float32(0.5001))
    expected = (error - 0.5) / (np.log(error) - np.log1p(-error))
    assert slope_of(np.float32(error)) == pytest.approx(expected, rel=1e-6)


def test_activations_are_probabilities():
    F = make()
    v = np.random.default_rng(4).normal(size=F.size)
    W, b = F.coefficients(v)
    np.testing.assert_allclose(F.activations(F.at(v))(slice(None)), reference.softmax(F.given_X @ W.T + b), rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000), loss=st.sampled_from(LOSSES), k=st.integers(1, 4), soft=st.booleans(),
    weighted=st.booleans(), offset=st.booleans(), intercept=st.booleans(), alpha=st.floats(1e-6, 10),
    step=st.floats(0, 3), dtype=st.sampled_from([np.float32, np.float64]),
)
@example(
    seed=3, loss="softmax", k=3, soft=False, weighted=False, offset=True, intercept=True, alpha=1e-6, step=0.0,
    dtype=np.float32,
)
def test_lower_bound_is_below_the_optimum_from_any_point(
    seed, loss, k, soft, weighted, offset, intercept, alpha, step, dtype
):
    k += loss == "softmax"
    F = make(
        seed, n=40, k=k, loss=loss, soft=soft, weighted=weighted, offset=offset, dtype=dtype,
        intercept=intercept, alpha=alpha,
    )
    found = solvers.minimise(F, tol=1e-9, solver="newton-cholesky", max_iter=100)
    best = least_value(F, found.w)
    v = found.w + step * np.random.default_rng(seed).normal(size=F.size)
    if loss == "softmax":  # the solvers' points
        V = F.matrix(v)[:, : F.rows.d]
        V -= V.mean(axis=0)
    assert F.lower_bound(F.at(v)) <= best
    assert F.shifted_bound(F.at(v)) <= best
    assert found.lower_bound <= best + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000), loss=st.sampled_from(LOSSES), k=st.integers(1, 4), soft=st.booleans(),
    weighted=st.booleans(), offset=st.booleans(), alpha=st.sampled_from([0.0, 1e-3, 0.1]), step=st.floats(-6, 0),
    unpenalised=st.integers(0, 4),
)
def test_newton_bound_is_below_the_optimum(seed, loss, k, soft, weighted, offset, alpha, step, unpenalised):
    k += loss == "softmax"
    factors = np.r_[np.zeros(unpenalised), np.ones(4 - unpenalised)]
    F = make(seed, k=k, loss=loss, soft=soft, weighted=weighted, offset=offset, alpha=alpha, penalty=factors)
    found = solvers.minimise(F, tol=1e-10, solver="newton-cholesky", max_iter=100)
    best = least_value(F, found.w)
    v = found.w + 10**step * np.random.default_rng(seed).normal(size=F.size)
    value, bound = F.newton_bound(v)
    assert value == pytest.approx(F.at(v).value, rel=1e-12)
    assert bound <= best * (1 + 1e-10)
    if step < -4 and np.isfinite(found.suboptimality):
        assert bound >= best * (1 - 1e-5)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("offset", [True, False])
def test_lower_bound_where_a_class_is_absent(loss, offset):
    rng = np.random.default_rng(6)
    Y = rng.dirichlet([1, 1, 1], 60)
    if loss == "sigmoid":
        Y[:, 1] = 1.0
    Y = np.insert(Y, 1, 0.0, axis=1)
    o = rng.normal(size=(60, 4)) if offset else None
    F = objective_of(rng.normal(size=(60, 4)), Y, 4, loss=loss, alpha=0.1, offset=o)
    found = solvers.minimise(F, tol=1e-9)
    assert found.converged
    best = least_value(F, found.w)
    for _ in range(20):
        v = found.w + rng.normal() * rng.normal(size=F.size)
        if loss == "softmax":
            V = F.matrix(v)[:, : F.rows.d]
            V -= V.mean(axis=0)
        assert F.lower_bound(F.at(v)) <= best
        assert F.shifted_bound(F.at(v)) <= best


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("weighted", [True, False])
def test_shifted_bound_forgives_an_error_of_the_intercept(loss, weighted):
    F = make(loss=loss, weighted=weighted)
    best = solvers.minimise(F, tol=1e-10, solver="newton-cholesky").w
    step = np.zeros(F.size)
    F.matrix(step)[:, -1] = 1e-3 * np.random.default_rng(7).normal(size=3)
    point = F.at(best + step)
    gap = point.value - F.lower_bound(point)
    assert point.value - F.shifted_bound(point) < 0.02 * gap


def test_lower_bound_is_tight_at_the_optimum():
    for loss in LOSSES:
        best = solvers.minimise(make(loss=loss, soft=True), tol=1e-12, solver="newton-cholesky")
        assert best.value - best.lower_bound <= 1e-9 * best.value


def test_moments_of_large_x_are_exact_means_and_rough_deviations():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(300_000, 6)).astype(np.float32) * [1, 10, 100, 1e-3, 0, 0] + [0, 1, -5, 3, 7, 0]
    X = X.astype(np.float32)
    X[777, 5] = 1  # a feature that a sample does not see
    mean, deviation, _ = moments(X, None, rng, 2)
    y = rng.integers(0, 3, len(X)).astype(np.int32)
    sums = moments(X[:, :4], None, rng, 2, y)[2]
    np.testing.assert_allclose(sums, [X[y == c, :4].sum(0, dtype=np.float64) for c in range(3)], rtol=1e-4, atol=500)
    np.testing.assert_allclose(mean, X.mean(0, dtype=np.float64), rtol=1e-4, atol=1e-3)
    assert deviation[4] == 0
    seen = [0, 1, 2, 3, 5]
    ratio = deviation[seen] / X[:, seen].std(0, dtype=np.float64)
    assert np.all((ratio > 0.3) & (ratio < 3)), ratio


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("k", [5, 63, 64, 70])
def test_constant_model_by_the_sums_of_classes(k, weighted):
    F, other = make(n=600, k=k, weighted=weighted), make(n=600, k=k, weighted=weighted)
    expected = F.at(F.start())
    got = other.constant_model()
    assert got.value == pytest.approx(expected.value, rel=1e-12)
    np.testing.assert_allclose(got.grad, expected.grad, atol=1e-10)


@pytest.mark.parametrize("k", [2, 3])
def test_gradient_at_base_rate_comes_from_the_moments_of_large_data(k):
    rng = np.random.default_rng(8)
    X = (rng.normal(size=(160_000, 5)) + 3).astype(np.float32)
    y = rng.integers(0, k, len(X)).astype(np.int32)
    options = {"loss": "softmax"} if k > 2 else {"loss": "sigmoid"}
    F = objective_of(X, y, k if k > 2 else 1, weight=rng.exponential(size=len(X)), **options)
    got = F.rows.constant_gradient()
    assert F.n_passes == 1
    np.testing.assert_allclose(got, F.matrix(F.at(F.start()).grad)[:, :5], atol=1e-6)


def test_constant_feature_needs_no_coefficient():
    F = make()
    X = F.given_X.copy()
    X[:, 1] = 1e6
    F = objective_of(X, F.rows.y, 3, alpha=0.1)
    W, _ = F.coefficients(solvers.minimise(F).w)
    assert not W[:, 1].any()


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_entropies_of_rates_that_rounding_has_put_beyond_their_range(loss):
    found = entropies(np.array([0.0, 1.0, 1 + 4e-16, -4e-16, 0.5]), loss)
    expected = np.log(2) if loss == "sigmoid" else np.log(2) / 2
    np.testing.assert_allclose(found, [0, 0, 0, 0, expected], atol=1e-15)
