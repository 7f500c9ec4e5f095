"""Trainers on rows in files that are larger than a window: the order, what is read, and the model it makes."""

import os
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from growth import DENSE, growth

from fastlr import RowBlocks, Trainer, _training_windows
from fastlr._input.csr import check_csr, problem_of
from fastlr._training_windows import run_epoch, shuffled

RNG = np.random.default_rng(0)
N, D = 6_000, 30
X = RNG.normal(size=(N, D))
SPARSE = sp.random_array((N, 200), density=0.05, rng=RNG, format="csr")
Y = RNG.integers(0, 3, N).astype(np.int32)
WEIGHT = RNG.random(N)
WEIGHT[:500] = 0


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(_training_windows, "WINDOW_BYTES", 1 << 17)
    monkeypatch.setattr(_training_windows, "BLOCK_BYTES", 1 << 12)


@pytest.mark.parametrize("window", [1, 7, 127, 128, 129, 1000, 4096, 10_000])
@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_an_order_has_every_row_once(window, kind):
    for n in (1, window - 1, window, window + 1, 5 * window + 3):
        order = shuffled(kind(0), n, window)
        assert order.dtype == np.int64
        np.testing.assert_array_equal(np.sort(order), np.arange(n))
        np.testing.assert_array_equal(order, shuffled(kind(0), n, window))


def test_a_window_reads_long_runs_from_all_over():
    order = shuffled(np.random.default_rng(0), 100_000, 12_800)
    for start in range(0, 89_600, 12_800):
        rows = np.sort(order[start : start + 12_800])
        runs = 1 + np.count_nonzero(np.diff(rows) != 1)
        assert runs <= 130  # blocks of 100 rows, one of them cut
        assert rows[0] < 5_000
        assert rows[-1] > 95_000
    assert abs(np.corrcoef(order[:12_800], np.arange(12_800))[0, 1]) < 0.05


RULES = {
    "rows": (1, {"learning_rate": 0.01}),
    "batches": (7, {"learning_rate": 0.05, "momentum": 0.9, "alpha": 1e-3}),
    "sums": (50, {"learning_rate": 1e-3, "reduction": "sum"}),
    "batches of a window": (546, {"learning_rate": 0.1}),
    "batches of more": (900, {"learning_rate": 0.1}),
    "all": (N, {"learning_rate": 0.1}),
}


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("rng", [None, 5])
@pytest.mark.parametrize("name", RULES)
def test_epochs_in_windows_are_those_of_the_same_order_in_memory(small_windows, monkeypatch, kind, rng, name):
    batch, rule = RULES[name]
    matrix = X if kind == "dense" else SPARSE
    mapped = RowBlocks([matrix]).rows
    loss = "softmax"
    problem = problem_of(mapped, Y, 3, loss=loss, weight=WEIGHT, n_threads=1)
    window = _training_windows._window(problem)
    assert 0 < window < N / 4
    there = problem_of(X if kind == "dense" else check_csr(matrix, 1), Y, 3, loss=loss, weight=WEIGHT, n_threads=1)
    order = None if rng is None else shuffled(np.random.default_rng(rng), N, window // batch * batch or window)
    results, parts, part_of = [], [], _training_windows._part
    monkeypatch.setattr(_training_windows, "_part", lambda *args: parts.append(args) or part_of(*args))
    for run in (lambda p: run_epoch(problem, rng and np.random.default_rng(rng), batch, p, 1, **rule),
                lambda p: there.epoch(*p, order, batch, **rule)):
        d = matrix.shape[1]
        velocity = (np.zeros((3, d)), np.zeros(3)) if "momentum" in rule else (None, None)
        parameters = np.zeros((3, d)), np.zeros(3), *velocity
        results.append((*run(parameters), *parameters[:2]))
    if rng is not None and parts:  # a window's rows lie in few runs
        runs = [1 + np.count_nonzero(np.diff(rows) != 1) for _, rows, _ in parts]
        assert max(runs) <= 34
    assert len(parts) == (-(-N // (window // batch * batch)) if batch <= window else 0)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_windows_without_weight_change_nothing(small_windows):
    weight = (np.arange(N) >= 3000).astype(float)
    fits = [Trainer(epochs=2, batch_size=32, shuffle=False, alpha=0).fit(*data)
            for data in ((RowBlocks([X]), Y, weight), (X, Y, weight))]
    np.testing.assert_allclose(fits[0].coef_, fits[1].coef_, rtol=1e-9, atol=1e-12)
    assert fits[0].history_["loss"] == pytest.approx(fits[1].history_["loss"])


def test_a_file_that_is_cut_between_epochs(small_windows, tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")

    def cut(trainer, epoch):
        os.truncate(tmp_path / "x.npy", 5000)

    with pytest.raises(ValueError, match=r"X is memory-mapped and needs .* bytes of its file, which has 5000"):
        Trainer(epochs=2, callbacks=[cut]).fit(mapped, Y)


def test_steps_of_ftrl_go_on_from_window_to_window(small_windows):
    fits = [Trainer(optimizer="ftrl", epochs=2, random_state=0, batch_size=1).fit(rows, Y)
            for rows in (RowBlocks([SPARSE]), RowBlocks([SPARSE[:900], SPARSE[900:]]))]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    in_memory = Trainer(optimizer="ftrl", epochs=2, random_state=0, batch_size=1).fit(SPARSE, Y)
    assert fits[0].history_["loss"][-1] == pytest.approx(in_memory.history_["loss"][-1], rel=0.02)


@pytest.mark.parametrize("rows", ["dense", "sparse", "memmap"])
def test_a_random_state_makes_one_model(small_windows, rows, tmp_path):
    matrix = SPARSE if rows == "sparse" else X
    if rows == "memmap":
        np.save(tmp_path / "x.npy", X)
        source = np.load(tmp_path / "x.npy", mmap_mode="r")
    else:
        source = RowBlocks([matrix[:1000], matrix[1000:]])
    fits = [Trainer(epochs=3, batch_size=32, random_state=seed, n_threads=threads).fit(source, Y, WEIGHT)
            for seed, threads in ((0, 1), (0, 2), (1, 1))]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    assert (fits[0].coef_ != fits[2].coef_).any()
    in_memory = Trainer(epochs=3, batch_size=32, random_state=0).fit(matrix, Y, WEIGHT)
    assert fits[0].history_["loss"][-1] == pytest.approx(in_memory.history_["loss"][-1], rel=0.02)


def test_rows_of_one_window_are_shuffled_as_those_in_memory():
    fits = [Trainer(epochs=2, random_state=0).fit(rows, Y) for rows in (X, RowBlocks([X]))]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_a_window():
    first = "fastlr.Trainer(epochs=1).fit(fastlr.RowBlocks([next(blocks())]))"
    grown, data = growth(DENSE, first, "fastlr.Trainer(epochs=1, batch_size=64).fit(data)", 50)
    assert data > 450
    assert grown < 170  # a window, a block, labels and the order
