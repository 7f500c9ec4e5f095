"""Both sides of the sizes at which fits of sparse X keep less, or make it again: see docs/notes/path-constants.md."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from test_path_sparse import drawn, text

from fastlr import LogisticRegression
from fastlr._input.csr import check_csr
from fastlr.model import model_blocks, rows_sparse
from fastlr.model.rows_columns import sparse_columns
from fastlr.solvers import proximal_newton


@pytest.mark.parametrize("wide", [1, 399, 400, 401])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_sums_a_few_columns_at_a_time(monkeypatch, wide, l1_ratio):
    """CACHED_VALUES: bounds and penalties of 400 features and the intercept."""
    X, y = text(300, 400, 10)
    options = {"C": 3.0, "l1_ratio": l1_ratio, "tol": 1e-7}
    whole = LogisticRegression(**options).fit(X, y)
    monkeypatch.setattr(model_blocks, "CACHED_VALUES", wide)
    model = LogisticRegression(**options).fit(X, y)
    assert model.suboptimality_ <= 1e-7
    assert abs(model.objective_ - whole.objective_) <= 2e-7 * whole.objective_


@pytest.mark.parametrize("kept", [399, 400])
def test_moments_that_are_not_kept(monkeypatch, kept):
    """MOST_KEPT: the fit is the same."""
    X, y = text(300, 400, 10)
    whole = LogisticRegression(C=3.0).fit(X, y)
    monkeypatch.setattr(rows_sparse, "MOST_KEPT", kept)
    np.testing.assert_array_equal(LogisticRegression(C=3.0).fit(X, y).coef_, whole.coef_)


@pytest.mark.parametrize("is_even", [False, True])
def test_all_columns_or_some(is_even):
    """All in one trip: unsorted rows with equal columns, as columns that are chosen."""
    rng, data, indices, indptr, X, _ = drawn(200, 30, 20, np.float32)
    scale, root = rng.random(30) + 0.5, np.full(200, 0.3) if is_even else rng.random(200)
    rows = check_csr(sp.csr_array((data, indices, indptr), shape=(200, 30)), 1)
    for features in (np.arange(30), np.arange(29)):
        values, places, starts = sparse_columns(rows, scale, features, root)
        found = sp.csc_array((values, places, starts), shape=(200, len(features))).toarray()
        expected = (X.toarray() * scale * root[:, None])[:, features]
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
        assert values.dtype == np.float32
        assert all(np.all(np.diff(places[a:b]) > 0) for a, b in itertools.pairwise(starts))


@pytest.mark.parametrize("offset", [-1, 0])
def test_columns_of_one_trip_or_of_each_set(monkeypatch, offset):
    """KEPT_VALUES: values of X that have a second copy by columns."""
    X, y = text(300, 1200, 30)
    monkeypatch.setattr(proximal_newton, "KEPT_VALUES", X.nnz + offset)
    monkeypatch.setattr(proximal_newton, "LEAST_SET", 20)
    monkeypatch.setattr(proximal_newton, "FIRST_SET", 20)
    model = LogisticRegression(C=3.0, l1_ratio=0.7, tol=1e-7).fit(X, y > 0)
    assert model.suboptimality_ <= 1e-7
