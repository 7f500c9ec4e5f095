"""L1 penalties that hardly hold, columns that depend on each other, models without an optimum."""

import itertools
import time
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

from fastlr import LogisticRegression

rng = np.random.default_rng(0)
COUNTS, Y7 = rng.integers(0, 3, (80, 80)) + 100.0, np.r_[np.arange(7), rng.integers(0, 7, 73)]
SHIFTED = rng.standard_normal((2000, 40)) * (rng.random((2000, 40)) < 0.1) + 3
YS = (SHIFTED[:, :4].sum(axis=1) + 0.1 * rng.standard_normal(2000) > 12).astype(int)


def proved(X, y, offset=None, **params):
    """A fit without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return LogisticRegression(**params).fit(X, y, offset=offset)


@pytest.mark.parametrize("targets", ["classes", "labels"])
@pytest.mark.parametrize("l1_ratio", [0.9, 1.0])
def test_sparse_columns_far_from_0_have_the_dense_optimum(targets, l1_ratio):
    y = Y7 if targets == "classes" else np.eye(7, dtype=int)[Y7]
    params = {"l1_ratio": l1_ratio, "C": 1e4, "tol": 0.01, "targets": targets}
    centred, dense, sparse = (proved(A, y, **params) for A in (COUNTS - 100, COUNTS, sp.csr_array(COUNTS)))
    for model in (dense, sparse):
        assert model.suboptimality_ <= 0.01
        assert model.objective_ == pytest.approx(centred.objective_, rel=0.01)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_means_that_no_intercept_takes(kind):
    params = {"l1_ratio": 1, "C": 0.1, "fit_intercept": False}
    model = proved(kind(SHIFTED), YS, tol=1e-8, **params)
    assert model.n_passes_ < 500

    def value(V):  # of the positive and the negative parts
        z = SHIFTED @ (V[:40] - V[40:])
        G = SHIFTED.T @ (expit(z) - YS) / len(YS)
        alpha = 1 / (0.1 * len(YS))
        return np.logaddexp(0, z).mean() - YS @ z / len(YS) + alpha * V.sum(), np.append(G, -G) + alpha

    W = model.coef_[0]
    judge = minimize(value, np.zeros(80), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 80)
    assert model.objective_ == pytest.approx(value(np.maximum(np.append(W, -W), 0))[0], rel=1e-9)
    assert judge.fun / (1 + 1e-3) <= model.objective_ <= judge.fun * (1 + 1e-8)


def test_max_time_is_looked_at_between_sweeps(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model = LogisticRegression(l1_ratio=1, C=1e6, tol=1e-12, max_time=20).fit(COUNTS, Y7)
    assert model.n_passes_ < 40
