"""All that RowBlocks serve, on blocks that find no room on disk: models are those of rows that did."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.model_selection import GroupKFold
from streaming import Source, streamed

from fastlr import LogisticRegression, LogisticRegressionCV, Trainer

RNG = np.random.default_rng(0)
N, D = 12_000, 12
X = RNG.normal(size=(N, D))
SPARSE = sp.random_array((N, 60), density=0.1, rng=RNG, format="csr")
WIDE = sp.random_array((N, 1500), density=0.006, rng=RNG, format="csr")
Y = np.argmax(X[:, :3] + RNG.gumbel(size=(N, 3)), axis=1)
CODES = (Y == 1).astype(int)
LABELS = (X[:, :2] + RNG.logistic(size=(N, 2)) > 0).astype(int)
WEIGHT = RNG.random(N) * (RNG.random(N) > 0.2)
WEIGHT[7_000:9_000] = 0
GROUPS = np.arange(N) // 1000
BOUNDS = [0, 0, 1, 1, 3_000, 7_000, 9_000, N, N]
LR, CV = LogisticRegression, LogisticRegressionCV

FITS = {
    "L1": (partial(LR, l1_ratio=1.0, C=0.02), (X, Y), {}),
    "elastic net, weights": (partial(LR, l1_ratio=0.5, C=0.02), (X, Y, WEIGHT), {}),
    "L1, two classes, no intercept": (partial(LR, l1_ratio=1.0, C=0.02, fit_intercept=False), (X, CODES), {}),
    "L1, float32": (partial(LR, l1_ratio=1.0, C=0.02, tol=1e-6), (np.tile(X, 3).astype(np.float32), Y), {}),
    "leave-one-out": (partial(LR, leave_one_out=True), (X, Y, WEIGHT), {}),
    "labels": (LR, (X, LABELS), {}),
    "offset": (LR, (X, Y), {"offset": RNG.normal(size=(N, 3))}),
    "tiny and huge features": (LR, (X * 10.0 ** RNG.integers(-150, 150, D), Y), {}),
    "constant features": (LR, (np.where(np.arange(D) == 3, 7.0, X), Y, WEIGHT), {}),
    "sparse": (partial(LR, tol=1e-10), (SPARSE, Y, WEIGHT), {}),
    "sparse, many features": (partial(LR, C=100), (WIDE, Y, WEIGHT), {}),
    "sparse, float32": (partial(LR, tol=1e-6), (WIDE.astype(np.float32), CODES), {}),
    "sparse, newton-cg": (partial(LR, solver="newton-cg"), (WIDE, Y), {}),
    "sparse, no intercept": (partial(LR, fit_intercept=False), (WIDE, CODES), {}),
    "sparse, L1": (partial(LR, l1_ratio=1.0), (WIDE, Y, WEIGHT), {}),
    "sparse, tiny and huge features": (LR, (SPARSE * 10.0 ** RNG.integers(-150, 150, 60), Y), {}),
    "sparse, offset": (LR, (SPARSE, CODES), {"offset": RNG.normal(size=N)}),
    "sparse, leave-one-out": (partial(LR, leave_one_out=True), (SPARSE[:, :20], CODES), {}),
}
SEARCHES = {
    "classes, weights": (partial(CV, Cs=[0.01, 1.0], cv=3), (X, Y, WEIGHT), {}),
    "two classes": (partial(CV, Cs=3), (X, CODES), {}),
    "L1": (partial(CV, Cs=[0.003, 0.01], cv=2, l1_ratios=[0.5, 1.0]), (X, CODES), {}),
    "leave-one-out": (partial(CV, Cs=[0.01, 1.0], cv="loo"), (X, CODES), {}),
    "another scorer": (partial(CV, Cs=[0.01, 1.0], cv=3, scoring="roc_auc"), (X, CODES), {}),
    "groups": (partial(CV, Cs=[0.01, 1.0], cv=GroupKFold(3), scoring="neg_log_loss"), (X, Y), {"groups": GROUPS}),
    "no refit": (partial(CV, Cs=[0.01, 1.0], cv=3, refit=False), (X, CODES), {}),
    "sparse": (partial(CV, Cs=[0.01, 1.0], cv=3), (SPARSE, Y, WEIGHT), {}),
    "sparse, L1": (partial(CV, Cs=[0.01, 0.03], cv=2, l1_ratios=[1.0]), (SPARSE, CODES), {}),
    "sparse, another scorer": (partial(CV, Cs=[0.01, 1.0], cv=3, scoring="roc_auc"), (SPARSE, CODES), {}),
}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_is_that_of_rows_with_room(name, recwarn, tmp_path):
    make, arrays, options = FITS[name]
    rows = streamed(Source(*arrays, bounds=BOUNDS), tmp_path)
    tol = getattr(make, "keywords", {}).get("tol", 1e-9)
    found, expected = (make().set_params(tol=tol).fit(*data, **options) for data in ((rows,), arrays))
    assert not recwarn.list  # it has been said
    assert not list(tmp_path.iterdir())
    assert found.suboptimality_ <= tol
    assert found.objective_ == pytest.approx(expected.objective_, rel=2 * tol)
    np.testing.assert_allclose(found.predict_proba(rows), expected.predict_proba(arrays[0]), atol=20 * tol**0.5)
    assert found.score(rows) == pytest.approx(expected.score(*arrays), abs=1e-3)
    if found.leave_one_out:
        np.testing.assert_allclose(found.loo_decision_function_, expected.loo_decision_function_, atol=1e-5)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_is_that_of_rows_with_room(name, recwarn, tmp_path):
    make, arrays, options = SEARCHES[name]
    rows = streamed(Source(*arrays, bounds=BOUNDS), tmp_path)
    found, expected = (make(tol=1e-10).fit(*data, **options) for data in ((rows,), arrays))
    assert not recwarn.list
    assert not list(tmp_path.iterdir())
    np.testing.assert_allclose(found.scores_, expected.scores_, atol=3e-4)
    assert found.C_ == expected.C_
    np.testing.assert_allclose(found.oof_decision_function_, expected.oof_decision_function_, atol=1e-3)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-3 * np.abs(expected.coef_).max())


@pytest.mark.parametrize("estimator", [LR(), LR(l1_ratio=0.5, C=0.02), CV(Cs=[0.01, 1.0], cv=3),
                                       Trainer(epochs=2, random_state=0)])
@pytest.mark.parametrize("matrix", [X, SPARSE], ids=["dense", "sparse"])
def test_the_number_of_threads_changes_nothing(estimator, matrix):
    rows, models = streamed(Source(matrix, Y, WEIGHT)), []
    for n_threads in (1, 2):
        estimator.n_threads = n_threads
        models.append(estimator.fit(rows).coef_.copy())
    np.testing.assert_array_equal(*models)


DATA = {"dense": X, "sparse": SPARSE}
ESTIMATORS = {
    "fit": partial(LR, tol=1e-10), "L1": partial(LR, l1_ratio=0.5, C=1, tol=1e-9),
    "search": partial(CV, Cs=[0.01, 1.0], cv=3), "leave-one-out": partial(LR, leave_one_out=True),
}


def in_a_later_pass(source, act):
    """Let `act` happen in the third reading from now on, before its second block."""
    first = source.n_readings

    def after(n):
        if source.n_readings == first + 3:
            source.after = None
            act()

    source.after = after


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_source_that_fails_in_a_later_pass(kind, name, tmp_path):
    source = Source(DATA[kind], CODES)
    rows = streamed(source, tmp_path)
    model = ESTIMATORS[name]().fit(rows)
    before = dict(vars(model))

    def fail():
        raise RuntimeError("the database is gone")

    in_a_later_pass(source, fail)
    with pytest.raises(RuntimeError, match="the database is gone"):
        model.fit(rows)
    assert vars(model) == before
    assert not list(tmp_path.iterdir())
    model.fit(rows)  # it is there again


def other(matrix):
    changed = matrix.copy()
    if sp.issparse(matrix):
        changed.data[-1] += 1
    else:
        changed[-1, -1] += 1
    return changed


def moved():
    """The same values, one in another column."""
    changed = SPARSE.copy()
    lengths = np.diff(changed.indptr)
    row = int(np.flatnonzero((lengths > 0) & (lengths < 60))[-1])
    taken = changed.indices[changed.indptr[row] : changed.indptr[row + 1]]
    changed.indices[changed.indptr[row]] = np.setdiff1d(np.arange(60), taken)[0]
    return changed


def shifted():
    """The same values and columns, one of them in the row before."""
    changed = SPARSE.copy()
    row = int(np.flatnonzero(np.diff(changed.indptr) > 0)[-1])
    changed.indptr[row] += 1
    return changed


CHANGES = {
    "values": (lambda: (other(X), CODES), "dense", "has other values than before"),
    "fewer rows": (lambda: (X[:-1], CODES[:-1]), "dense", "other values|the blocks have 11999 rows; expected 12000"),
    "labels": (lambda: (X, 1 - CODES), "dense", "has other labels than before"),
    "now sparse": (lambda: (sp.csr_array(X), CODES), "dense", "has 12 sparse features .* 12 dense ones|is sparse and"),
    "sparse values": (lambda: (other(SPARSE), CODES), "sparse", "has other values than before"),
    "places of values": (lambda: (moved(), CODES), "sparse", "has other values than before"),
    "rows of values": (lambda: (shifted(), CODES), "sparse", "has other values than before"),
    "sparse, fewer rows": (lambda: (SPARSE[:-1], CODES[:-1]), "sparse", "has other values|the blocks have 11999 rows"),
    "another width": (lambda: (SPARSE[:, :59], CODES), "sparse", "has 59 (sparse )?features"),
    "another dtype": (lambda: (SPARSE.astype(np.float32), CODES), "sparse", "of dtype float32|has dtype float32"),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_source_that_changes_in_a_later_pass(name, estimator):
    make, kind, message = CHANGES[name]
    source = Source(DATA[kind], CODES)
    rows = streamed(source)
    model = ESTIMATORS[estimator]().fit(rows)
    before = dict(vars(model))
    in_a_later_pass(source, lambda: setattr(source, "arrays", make()))
    with pytest.raises(ValueError, match=message):
        model.fit(rows)
    assert vars(model) == before


@pytest.mark.parametrize("kind", DATA)
def test_ctrl_c_leaves_the_best_model_so_far(kind):
    source = Source(DATA[kind], CODES)
    rows = streamed(source)

    model, expected = LR(tol=1e-12), LR(tol=1e-12).fit(rows)
    first = source.n_readings

    def after(n):
        if source.n_readings == first + 7:
            raise KeyboardInterrupt

    source.after = after
    with pytest.raises(KeyboardInterrupt):
        model.fit(rows)
    source.after = None
    assert model.suboptimality_ < np.inf
    assert model.set_params(warm_start=True).fit(rows).objective_ == pytest.approx(expected.objective_, rel=1e-10)
