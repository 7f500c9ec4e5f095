"""Both sides of the constants of wide data: see docs/notes/path-constants.md."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastlr import LogisticRegression
from fastlr.model.objective import Objective
from fastlr.model.rows import DenseRows
from fastlr.solvers import minimise


def wide(n, n_classes=2, d=1100, shift=0.0):
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, d))
    Z = X[:, :20] @ rng.standard_normal((20, n_classes))
    return X + shift, np.argmax(Z + rng.gumbel(size=Z.shape), axis=1)


def value(model, X, y, C):
    """F in units of 1 / n, in float64."""
    Z = X @ model.coef_.T.astype(float) + model.intercept_
    if Z.shape[1] == 1:
        Z = np.column_stack([np.zeros(len(Z)), Z[:, 0]])
    losses = np.logaddexp.reduce(Z, axis=1) - Z[np.arange(len(y)), y]
    return losses.sum() + np.vdot(model.coef_, model.coef_) / (2 * C)


@pytest.mark.parametrize("n", [575, 576, 577])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_wide_rows_whose_deviations_are_sampled(n, n_classes):
    """WIDE_ROWS: the optimum is that of Newton's method in the span of the rows."""
    X, y = wide(n, n_classes)
    model = LogisticRegression(tol=1e-5).fit(X, y)
    tight = LogisticRegression(tol=1e-6, solver="newton-cg").fit(X, y)
    assert model.suboptimality_ <= 1e-5
    assert value(model, X, y, 1.0) == pytest.approx(value(tight, X, y, 1.0), rel=1.2e-5)


@pytest.mark.parametrize(("tol", "shift"), [(0.9e-5, 0.0), (1e-5, 0.0), (1e-5, 15.0), (1e-5, 18.0)])
def test_directions_from_float32_and_from_x(tol, shift):
    """LEAST_TOL and NEAR: proved either way, for what is returned."""
    X, y = wide(600, shift=shift)
    model = LogisticRegression(C=10.0, tol=tol).fit(X, y)
    tight = LogisticRegression(C=10.0, tol=1e-7).fit(X, y)
    assert model.suboptimality_ <= tol
    assert value(model, X, y, 10.0) <= value(tight, X, y, 10.0) * (1 + 1.1 * tol)


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("C", [0.01, 1.0, 1e5])
def test_directions_that_become_too_many(n_classes, C):
    """SHARE: of 10 classes 30 directions are few, and iterations are counted through."""
    X, y = wide(60, n_classes)
    k = 1 if n_classes == 2 else n_classes
    objective = Objective(DenseRows(X, y.astype(np.int32), k, loss="sigmoid" if k == 1 else "softmax"),
                          alpha=1 / (C * len(y)))
    seen = []
    result = minimise(objective, tol=1e-5, callback=lambda iteration, *_: seen.append(iteration))
    assert result.converged
    assert seen == sorted(set(seen))
    assert result.n_iter - max(seen) in (0, 1)


@pytest.mark.parametrize("C", [1.0, 100.0])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_float32_is_proved_in_float64(n_classes, C):
    X, y = wide(800, n_classes)
    X = X.astype(np.float32)
    model = LogisticRegression(C=C).fit(X, y)
    tight = LogisticRegression(C=C, tol=1e-6).fit(X.astype(np.float64), y)
    assert model.suboptimality_ <= 1e-4
    assert value(model, X.astype(float), y, C) <= value(tight, X.astype(float), y, C) * (1 + 1.1e-4)


def test_weights_offsets_and_a_start():
    """Rows of no weight count for nothing, and a warm start loses nothing."""
    X, y = wide(700)
    weight = np.where(np.arange(700) % 7 == 0, 0.0, 1.0 + np.arange(700) % 3)
    kept = weight > 0
    model = LogisticRegression(warm_start=True, tol=1e-5).fit(X, y, sample_weight=weight)
    alone = LogisticRegression(tol=1e-5).fit(X[kept], y[kept], sample_weight=weight[kept])
    assert model.objective_ == pytest.approx(alone.objective_, rel=2.1e-5)
    again = model.n_passes_
    assert model.set_params(tol=1e-6).fit(X, y, sample_weight=weight).suboptimality_ <= 1e-6
    assert model.n_passes_ < again + 30


@pytest.mark.parametrize("max_iter", [1, 2, 3])
def test_objective_is_f_where_the_iterations_end_between_proofs(max_iter):
    """Directions are taken from a copy in float32, and F of it is not the one that is published."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2000)), rng.integers(0, 2, 300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=max_iter).fit(X, y)
    z = X @ model.coef_[0] + model.intercept_
    F = np.mean(np.logaddexp(0, z) - y * z) + model.coef_[0] @ model.coef_[0] / (2 * 300)
    assert model.objective_ == pytest.approx(F, rel=1e-10)
