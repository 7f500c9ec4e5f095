"""Fits on both sides of the sizes at which solvers, samples and moments change their path.

docs/notes/path-constants.md lists them.
The judge is the objective in NumPy's float64, and SciPy's L-BFGS-B: from where a fit ended it must not get further than
`tol` and `suboptimality_` say.
"""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp
from sklearn.exceptions import ConvergenceWarning

from fastlr import LogisticRegression


def objective(X, Y, C, multilabel=False):
    """Mean loss + ||W||^2 / (2 C n) and its gradient, as functions of [W, b] (k, d + 1) raveled."""
    U, n = np.column_stack([X, np.ones(len(X))]).astype(np.float64), len(X)
    k = Y.shape[1]
    penalty = np.r_[np.full(X.shape[1], 1 / (C * n)), 0]

    def function(v):
        V = v.reshape(k, -1)
        Z = U @ V.T
        if k > 1 and not multilabel:
            lse = logsumexp(Z, axis=1, keepdims=True)
            loss, A = (Y.sum(axis=1, keepdims=True) * lse).sum() - (Y * Z).sum(), np.exp(Z - lse)
        else:
            loss, A = -(Y * log_expit(Z) + (1 - Y) * log_expit(-Z)).sum(), expit(Z)
        return loss / n + 0.5 * (penalty * V**2).sum(), (((A - Y).T @ U) / n + penalty * V).ravel()

    return function


def check_fit(X, y, *, C=1.0, tol=1e-4, evaluations=30, **parameters):
    """Fit, and compare with what SciPy makes of it."""
    model = LogisticRegression(C=C, tol=tol, **parameters).fit(X, y)
    n, k = len(X), len(model.coef_)
    y = np.asarray(y)
    if y.ndim == 2:
        Y = y.astype(np.float64) if k == y.shape[1] else y[:, 1:].astype(np.float64)
    else:
        codes = np.unique(y, return_inverse=True)[1]
        Y = codes[:, None].astype(np.float64) if k == 1 else np.eye(k)[codes]
    multilabel = parameters.get("targets") == "labels"
    F = objective(X, Y, C, multilabel)
    W = np.column_stack([model.coef_, model.intercept_])
    value, _ = F(W.ravel())
    rounding = 2e-6 if X.dtype != np.float64 else 1e-9
    assert model.objective_ == pytest.approx(value, rel=rounding), "objective_ is not F"
    options = {"maxfun": evaluations, "ftol": 0, "gtol": 1e-12}
    best = min(value, minimize(F, W.ravel(), jac=True, method="L-BFGS-B", options=options).fun)
    assert value <= best * (1 + tol) + rounding, f"{value} and {best} not within tol"
    proved = model.suboptimality_
    assert value <= best * (1 + proved) + rounding, f"{value} is proved within {proved} of {best}"
    assert n == len(model.predict(X))
    return model


def task(n, d, k, dtype=np.float32, seed=0):
    """Rows about k centres, so that classes overlap; every class has rows."""
    rng = np.random.default_rng([seed, n, d, k])
    y = rng.permutation(np.arange(n) % k)
    X = rng.normal(size=(n, d)) + (rng.normal(size=(k, d)) * min(1.0, 3 / np.sqrt(d)))[y]
    return X.astype(dtype), y


@pytest.mark.parametrize("k", [2, 3, 16, 17, 100])
def test_many_rows(k):
    check_fit(*task(200_000, 10, k), evaluations=4)


@pytest.mark.parametrize("n", [32_767, 32_768])
@pytest.mark.parametrize("kind", ["17 classes", "3 classes", "probabilities", "labels", "two columns"])
@pytest.mark.parametrize("d", [5, 6])
def test_rows_whose_variance_is_sampled(kind, n, d):
    rng = np.random.default_rng(n)
    if kind.endswith("classes"):
        check_fit(*task(n, d, int(kind.split()[0])), evaluations=4)
        return
    X, y = task(n, d, 3)
    if kind == "labels":
        check_fit(X, (rng.random((n, 3)) < 0.2 + 0.3 * (y == 1)[:, None]).astype(int), targets="labels", evaluations=5)
        return
    Y = 0.7 * np.eye(3)[y] + 0.3 * rng.dirichlet(np.ones(3), n)
    if kind == "two columns":
        Y = np.column_stack([1 - Y[:, 0], Y[:, 0]])
    check_fit(X, Y.astype(np.float32), evaluations=4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(200, 1, 3), (200, 2, 3), (200_000, 1, 2), (400, 3000, 2), (65_535, 2, 3), (65_537, 2, 3),
              (262_143, 2, 2), (262_145, 2, 2)], ids=str)
def test_few_and_many_features(shape, dtype):
    """SMALL of moments and of objectives."""
    check_fit(*task(*shape, dtype), evaluations=4)


# n, d, k
FITS = [
    (3000, 99, 10), (3000, 100, 10),  # NEWTON_SIZE
    (20_000, 99, 2), (20_100, 99, 2), (100, 99, 2), (101, 99, 2),  # NEWTON_WORK, TINY_WORK
    (5242, 100, 3), (5243, 100, 3), (40_000, 30, 2), (60_000, 30, 5),  # SMALL of samples, and what they take
    (8200, 16, 15), (8200, 16, 16), (8200, 16, 17),  # GROUPS
    (9000, 20, 63), (9000, 20, 64), (9000, 20, 65),  # MANY_GROUPS
    (30_000, 20, 64),  # BLOCK of moments
    (2047, 30, 40), (2049, 30, 40),  # ALL_ROWS
    (4000, 40, 70), (4000, 40, 80), (3000, 30, 300),  # few rows a class: class models serve
    (700, 10, 600),
    (60_000, 30, 80),  # _PILOT_VALUES
    (2000, 250, 600),  # KEPT_VALUES: class models
]


@pytest.mark.parametrize("shape", FITS, ids=str)
def test_solvers_paths(shape):
    check_fit(*task(*shape), evaluations=6)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky"])
@pytest.mark.parametrize("shape", [(147_456, 2, 17), (3000, 20, 5), (8200, 16, 2)], ids=str)
def test_each_solver(shape, solver):
    check_fit(*task(*shape), solver=solver, evaluations=10)


@pytest.mark.parametrize("ratio", [1, 3e3, 3e4])
def test_features_of_unlike_scales(ratio):
    """UNEVEN."""
    X, y = task(4000, 6, 3, np.float64)
    check_fit(X * np.array([ratio, 1, 1, 1, 1, 1]), y)


@pytest.mark.parametrize("k", [2, 3, 16, 17, 50, 300])
@pytest.mark.parametrize("d", [1, 20])
def test_one_row_a_class(k, d):
    X, _ = task(k, d, k)
    check_fit(X, np.arange(k), evaluations=30)


@pytest.mark.parametrize("spread", [(1 << 16) - 1, 1 << 16, 1 << 40])
def test_labels_far_apart(spread):
    """_COUNTABLE_RANGE: numbered by counting or by sorting."""
    X, y = task(300, 4, 3)
    labels = np.array([-5, 7, spread - 5])
    model = check_fit(X, labels[y])
    np.testing.assert_array_equal(model.classes_, labels)


def test_very_many_classes():
    """A row each: rows times classes are what a pass costs, and no memory."""
    k = 8000
    X, _ = task(k, 2, k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=1).fit(X, np.arange(k))
    assert np.isfinite(model.objective_)
    assert 0 < model.objective_ <= np.log(k) * (1 + 1e-6)


def test_a_matrix_of_very_many_classes():
    rng = np.random.default_rng(0)
    n, k = 20, 100_000
    Y = rng.random((n, k))
    model = LogisticRegression(max_iter=3, tol=0.1).fit(rng.normal(size=(n, 3)), Y / Y.sum(axis=1, keepdims=True))
    assert 0 < model.objective_ <= np.log(k) * (1 + 1e-6)
