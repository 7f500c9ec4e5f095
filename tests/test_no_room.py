"""All that RowBlocks serve, on blocks that find no room on disk: models are those of rows that did."""

import os
import tempfile
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.model_selection import GroupKFold
from streaming import Source, files_of_at_most, streamed

from fastlr import LogisticRegression, LogisticRegressionCV, RowBlocks, Trainer, solvers
from fastlr._input import kept
from fastlr._input.csr import Csr
from fastlr._input.streamed import Shares, Streamed

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
    found, expected = (make(tol=1e-8).fit(*data, **options) for data in ((rows,), arrays))
    assert not recwarn.list
    assert not list(tmp_path.iterdir())
    np.testing.assert_allclose(found.scores_, expected.scores_, atol=3e-4)
    assert found.C_ == expected.C_
    np.testing.assert_allclose(found.oof_decision_function_, expected.oof_decision_function_, atol=1e-3)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-3 * np.abs(expected.coef_).max())


@pytest.mark.parametrize("estimator", [LR(), LR(l1_ratio=0.5, C=0.02), CV(Cs=[0.01, 1.0], cv=3), Trainer(epochs=2, random_state=0)])
@pytest.mark.parametrize("matrix", [X, SPARSE], ids=["dense", "sparse"])
def test_the_number_of_threads_changes_nothing(estimator, matrix):
    rows, models = streamed(Source(matrix, Y, WEIGHT)), []
    for n_threads in (1, 2):
        estimator.n_threads = n_threads
        models.append(estimator.fit(rows).coef_.copy())
    np.testing.assert_array_equal(*models)


DATA = {"dense": X, "sparse": SPARSE}
ESTIMATORS = {
    "fit": partial(LR, tol=1e-10), "L1": partial(LR, l1_ratio=0.5, C=1, tol=1e-9), "search": partial(CV, Cs=[0.01, 1.0], cv=3),
    "leave-one-out": partial(LR, leave_one_out=True),
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
    "fewer rows": (lambda: (X[:-1], CODES[:-1]), "dense", "has other values|the blocks have 11999 rows; expected 12000"),
    "labels": (lambda: (X, 1 - CODES), "dense", "has other labels than before"),
    "now sparse": (lambda: (sp.csr_array(X), CODES), "dense", "has 12 sparse features .* expected 12 dense ones|is sparse and"),
    "sparse values": (lambda: (other(SPARSE), CODES), "sparse", "has other values than before"),
    "places of values": (lambda: (moved(), CODES), "sparse", "has other values than before"),
    "rows of values": (lambda: (shifted(), CODES), "sparse", "has other values than before"),
    "sparse, fewer rows": (lambda: (SPARSE[:-1], CODES[:-1]), "sparse", "has other values|the blocks have 11999 rows"),
    "another width": (lambda: (SPARSE[:, :59], CODES), "sparse", "has 59 sparse features|has 59 features and those before 60"),
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


def test_a_disk_that_is_full_from_the_beginning(monkeypatch, recwarn):
    """Labels and weights go on in memory, and so they do where the system has no folder for temporary files."""
    texts = np.array(["a", "long", "b"])[Y]
    expected = LR(tol=1e-9).fit(X, texts, WEIGHT)

    def no_folder():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", no_folder)
    model = LR(tol=1e-9)
    with pytest.warns(RuntimeWarning, match="no room for .* in any folder for temporary files: name another folder"):
        model.fit(RowBlocks(Source(X, texts, WEIGHT, bounds=BOUNDS)))
    np.testing.assert_array_equal(model.classes_, expected.classes_)
    assert model.objective_ == pytest.approx(expected.objective_, rel=2e-9)


@pytest.mark.parametrize("y", [np.arange(N) % 5, np.array(["a", "bb"] * (N // 2)), LABELS], ids=["whole", "text", "matrix"])
def test_labels_that_run_out_of_room(y, tmp_path):
    limit = y.nbytes // 2
    with files_of_at_most(limit), pytest.warns(RuntimeWarning, match="no room"):
        rows = RowBlocks(Source(X, y, bounds=range(0, N + 1, 500)), cache=tmp_path)
        np.testing.assert_array_equal(rows.y, y)
    longer = np.where(np.arange(N) > N // 2, "longer", "s")
    with files_of_at_most(limit), pytest.warns(RuntimeWarning, match="no room"):
        rows = RowBlocks(lambda: ((X[i : i + 500], longer[i : i + 500]) for i in range(0, N, 500)), cache=tmp_path)
        np.testing.assert_array_equal(rows.y, longer)
    assert not list(tmp_path.iterdir())


def test_what_is_written_is_given_back_if_files_cannot_be_made(monkeypatch):
    made, new = [], kept.Kept._new

    def some(self):
        if len(made) == 2:
            raise OSError(28, os.strerror(28))
        made.append(new(self))
        return made[-1]

    monkeypatch.setattr(kept.Kept, "_new", some)
    rows = RowBlocks(Source(SPARSE, CODES))
    with pytest.warns(RuntimeWarning, match="no room"):
        assert isinstance(rows.rows, Streamed)
    assert [file.closed for file in made] == [True, True]


def test_a_program_may_fill_its_arrays_anew():
    """Blocks that share memory: nothing that is kept of them is a view."""
    room = np.empty((3_000, D))
    sparse = SPARSE[:3_000].copy()

    def dense():
        for start in range(0, N, 3_000):
            room[...] = X[start : start + 3_000]
            yield room, CODES[start : start + 3_000]

    def rows_of_values():
        for factor in range(4):
            sparse.data[...] = SPARSE[:3_000].data + factor
            yield sparse, CODES[:3_000]

    whole = sp.vstack([sp.csr_array((SPARSE[:3_000].data + i, sparse.indices, sparse.indptr), sparse.shape)
                       for i in range(4)], format="csr")
    for source, matrix, y in ((dense, X, CODES), (rows_of_values, whole, np.tile(CODES[:3_000], 4))):
        rows = streamed(source)
        some = RNG.permutation(N)[:300]
        for part in (slice(3, None, 7), slice(2_990, 3_010), some, np.isin(np.arange(N), some)):
            found, expected = rows.rows[part], matrix[part]
            found = found.to_scipy() if isinstance(found, Csr) else found
            assert abs(found - expected).max() == 0
        for estimator in (partial(LR, tol=1e-9), partial(LR, tol=1e-9, l1_ratio=1.0, C=0.05)):
            assert estimator().fit(rows).objective_ == pytest.approx(estimator().fit(matrix, y).objective_, rel=1e-8)


def test_shares_of_blocks_are_those_of_all_rows():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 50))
        bounds = np.sort(np.r_[0, rng.integers(0, n + 1, 4), n])
        values = rng.normal(size=n)
        mask = rng.random(n) < rng.random()
        start, stop = rng.integers(0, n + 1, 2)
        for part in (slice(start, stop, int(rng.integers(1, 9))), rng.permutation(n)[: rng.integers(0, n + 1)], mask,
                     rng.integers(0, n, 7), slice(None), slice(-3, None)):
            shares, found = Shares(part, n), []
            result = np.full(shares.n, np.nan)
            for first, last in zip(bounds, bounds[1:], strict=False):
                some, places = shares.of(first, last)
                result[places] = values[first:last][some]
                found.append(values[first:last][some])
            np.testing.assert_array_equal(result, values[part])
            np.testing.assert_array_equal(shares.in_order(np.concatenate(found)), values[part])


def test_no_search_and_no_fit_begins_before_a_source_is_read_twice(monkeypatch):
    iterator = Source(X, CODES)()
    rows = streamed(lambda: iterator)
    monkeypatch.setattr(solvers, "minimise", None)  # would be called
    for model in (LR(), CV(Cs=2), Trainer()):
        with pytest.raises(ValueError, match="was begun before, so that rows would be missing"):
            model.fit(rows)
