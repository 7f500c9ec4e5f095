"""Both sides of the number of rows from which wide data try L-BFGS first: see docs/notes/path-constants.md."""

import numpy as np
import pytest

from fastlr import LogisticRegression
from fastlr.model.objective import Objective
from fastlr.model.rows import DenseRows
from fastlr.solvers import minimise


@pytest.mark.parametrize(("n", "C"), [(799, 1.0), (800, 1.0), (801, 1.0), (800, 1e5)])
def test_wide_data_with_and_without_a_lead(n, C):
    """ROWS_A_PASS and LEAST_LEAD: proved either way, and iterations are counted through."""
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, 1100))
    y = X[:, :20].sum(axis=1) + rng.standard_normal(n) > 0
    model = LogisticRegression(C=C, tol=1e-5).fit(X, y)
    tight = LogisticRegression(C=C, tol=1e-6, solver="newton-cholesky", max_iter=500).fit(X, y)
    assert model.suboptimality_ <= 1e-5
    assert tight.suboptimality_ <= 1e-6
    assert model.objective_ <= tight.objective_ * (1 + 1.1e-5)
    seen = []
    objective = Objective(DenseRows(X, y.astype(np.int32), 1, loss="sigmoid"), alpha=1 / (C * n))
    result = minimise(objective, tol=1e-5, callback=lambda iteration, *_: seen.append(iteration))
    assert result.converged
    assert seen == sorted(set(seen))
    assert result.n_iter - max(seen) in (0, 1)
