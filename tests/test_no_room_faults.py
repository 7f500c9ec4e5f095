"""Disks that are full, and programs behind blocks that are read pass by pass."""

import os
import tempfile
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from streaming import Source, streamed

from fastlr import LogisticRegression, LogisticRegressionCV, RowBlocks, Trainer, solvers
from fastlr._input import kept
from fastlr._input.csr import Csr
from fastlr._input.streamed import Shares, Streamed

RNG = np.random.default_rng(0)
N, D = 12_000, 12
X = RNG.normal(size=(N, D))
SPARSE = sp.random_array((N, 60), density=0.1, rng=RNG, format="csr")
Y = np.argmax(X[:, :3] + RNG.gumbel(size=(N, 3)), axis=1)
CODES = (Y == 1).astype(int)
LABELS = (X[:, :2] + RNG.logistic(size=(N, 2)) > 0).astype(int)
WEIGHT = RNG.random(N)
BOUNDS = [0, 0, 1, 1, 3_000, 7_000, 9_000, N, N]
LR, CV = LogisticRegression, LogisticRegressionCV


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


KINDS = {
    "whole": np.arange(N) % 5, "text": np.array(["a", "bb"] * (N // 2)), "matrix": LABELS,
    "longer text in the end": np.where(np.arange(N) > N // 2, "longer", "s"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_that_run_out_of_room(kind, tmp_path):
    y = KINDS[kind]
    rows = streamed(Source(X, y, bounds=range(0, N + 1, 500)), tmp_path, y.nbytes // 2)
    np.testing.assert_array_equal(rows.y, y)
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
            for first, last in pairwise(bounds):
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
