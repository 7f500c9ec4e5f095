"""A Trainer on blocks that find no room on disk: in memory what fits a window, else window after window."""

import gc
import os
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from growth import growth
from streaming import Source, streamed

from fastlr import LogisticRegression, Trainer, _training_streamed

RNG = np.random.default_rng(0)
N, D = 6_000, 30
X = RNG.normal(size=(N, D))
SPARSE = sp.random_array((N, 200), density=0.05, rng=RNG, format="csr")
Y = np.argmax(X[:, :3] + RNG.gumbel(size=(N, 3)), axis=1)
WEIGHT = RNG.random(N)
WEIGHT[:500] = 0
BOUNDS = [0, 0, 1, 2_000, 2_001, N, N]
DATA = {"dense": X, "sparse": SPARSE}


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(_training_streamed, "WINDOW_BYTES", 1 << 17)


RULES = {
    "rows": {"batch_size": 1, "learning_rate": 0.01, "reduction": "sum"},
    "batches": {"batch_size": 7, "momentum": 0.5, "alpha": 1e-3, "learning_rate": 0.01},
    "sums": {"batch_size": 50, "learning_rate": 1e-3, "reduction": "sum"},
    "all": {"batch_size": None},
    "labels against the rest": {"loss": "sigmoid", "class_weight": {0: 3.0, 2: 0.5}},
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("name", RULES)
def test_rows_of_one_window_are_trained_on_as_those_with_room(kind, name, recwarn, tmp_path):
    matrix = DATA[kind]
    rows = streamed(source := Source(matrix, Y, WEIGHT, bounds=BOUNDS), tmp_path)
    scale = np.linspace(1, 2, matrix.shape[1])
    found, expected = (Trainer(epochs=3, random_state=0, **RULES[name]).fit(*data, scale=scale)
                       for data in ((rows,), (matrix, Y, WEIGHT)))
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    assert found.history_["loss"] == expected.history_["loss"]
    assert source.n_readings == 2  # which it takes to see that there is no room, and to come by the rows
    np.testing.assert_array_equal(found.predict_proba(rows), expected.predict_proba(matrix))
    assert found.score(rows) == expected.score(matrix, Y, WEIGHT)
    found.partial_fit(rows)
    expected.partial_fit(matrix, Y, sample_weight=WEIGHT)
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    assert not recwarn.list
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("batch", [1, 7, 300])
def test_windows_in_their_order_are_all_rows_in_theirs(small_windows, kind, batch):
    matrix = DATA[kind]
    rows = streamed(source := Source(matrix, Y, WEIGHT, bounds=BOUNDS))
    found, expected = (Trainer(epochs=3, batch_size=batch, shuffle=False, momentum=0.5, learning_rate=0.01).fit(*data)
                       for data in ((rows,), (matrix, Y, WEIGHT)))
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-9, atol=1e-12)
    assert found.history_["loss"] == pytest.approx(expected.history_["loss"], rel=1e-12)
    assert found.history_["accuracy"] == expected.history_["accuracy"]
    assert source.n_readings == 4


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("optimizer", ["sgd", "ftrl"])
def test_shuffled_windows_train_as_well(small_windows, kind, optimizer):
    if kind == "dense" and optimizer == "ftrl":
        pytest.skip("of sparse rows alone")
    matrix = DATA[kind]
    rows = streamed(Source(matrix, Y, WEIGHT, bounds=BOUNDS))
    options = {"epochs": 3, "batch_size": 32, "optimizer": optimizer, "learning_rate": 0.05}
    fits = [Trainer(**options, random_state=seed, n_threads=n_threads).fit(rows, validation_data=(rows, Y))
            for seed, n_threads in ((0, 1), (0, 2), (1, 1))]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    assert (fits[0].coef_ != fits[2].coef_).any()
    expected = Trainer(**options, random_state=0).fit(matrix, Y, WEIGHT, validation_data=(matrix, Y))
    for name in ("loss", "val_loss"):
        assert fits[0].history_[name][-1] == pytest.approx(expected.history_[name][-1], rel=0.02)
    assert fits[0].score(rows) == pytest.approx(expected.score(matrix, Y, WEIGHT), abs=0.02)


@pytest.mark.parametrize("rng", [np.random.default_rng(3), np.random.RandomState(3)])
@pytest.mark.parametrize("batch", [1, 7, 300])
def test_each_row_is_in_one_window(small_windows, rng, batch):
    numbered = np.column_stack([np.arange(N, dtype=float), X])
    rows = streamed(Source(numbered, Y, bounds=BOUNDS)).rows
    problem = _training_streamed.StreamedProblem(rows, Y.astype(np.int32), 3, loss="softmax", weight=WEIGHT, scale=None,
                                                 shift=None, n_threads=1)
    starts = set()
    for _ in range(5):
        seen, sizes = [], []
        for make, order in problem.windows(rng, batch):
            part = make()
            np.testing.assert_array_equal(np.sort(order), np.arange(part.n))
            numbers = part.X[:, 0].astype(int)
            np.testing.assert_array_equal(part.y, Y[numbers])
            np.testing.assert_allclose(part.weight / part.weight.max(initial=1e-300),
                                       WEIGHT[numbers] / WEIGHT[numbers].max(initial=1e-300))
            seen.append(numbers)
            sizes.append(part.n)
            assert part.X.nbytes <= 1 << 17
        np.testing.assert_array_equal(np.concatenate(seen), np.arange(N))
        assert all(size % batch == 0 for size in sizes[:-1])
        starts.add(sizes[0])
    assert len(starts) > 1 or problem.n_window < 2 * batch


def test_batches_of_more_than_a_window_are_refused(small_windows):
    rows, model = streamed(Source(X, Y)), Trainer(epochs=1).fit(X, Y)
    before = dict(vars(model))
    for batch in (900, None):
        model.batch_size = before["batch_size"] = batch
        message = rf"no room for .* with cache=; a batch of {batch or N} rows needs it: pass batch_size=546 or less"
        with pytest.raises(OSError, match=message):
            model.fit(rows)
        assert vars(model) == before
    Trainer(epochs=1, batch_size=546).fit(rows)


@pytest.mark.parametrize("kind", DATA)
def test_a_source_that_changes_between_epochs(small_windows, kind):
    source = Source(DATA[kind], Y, bounds=BOUNDS)
    rows = streamed(source)

    def change(trainer, epoch):
        matrix = DATA[kind].copy()
        if kind == "dense":
            matrix[-1, 0] += 1
        else:
            matrix.data[-1] += 1
        source.arrays = matrix, Y

    model = Trainer(epochs=3, callbacks=[change])
    with pytest.raises(ValueError, match="has other values than before"):
        model.fit(rows)
    assert np.isfinite(model.coef_).all()
    assert len(model.history_["loss"]) == 1


def test_a_source_that_fails_in_an_epoch_leaves_a_usable_model(small_windows):
    source = Source(X, Y, bounds=range(0, N + 1, 500))
    rows = streamed(source)
    for error in (RuntimeError, KeyboardInterrupt):
        last, model = source.n_blocks + 30, Trainer(epochs=5, random_state=0)

        def fail(n, last=last, error=error):
            if n == last:
                raise error

        source.after = fail
        with pytest.raises(error):
            model.fit(rows)
        source.after = None
        assert len(model.history_["loss"]) == 2
        assert model.score(rows) > 0.5
        model.partial_fit(rows)


def test_a_trainer_warns_of_no_progress(small_windows):
    rows = streamed(Source(X * 1000, Y))
    with pytest.warns(RuntimeWarning, match=r"features are as large as .*: pass scale="):
        Trainer(epochs=1, learning_rate=1.0).fit(rows)


LIMITED = """
import resource, warnings
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
"""
CHEAP = """
import resource, warnings
base = np.random.default_rng(0).normal(size=(10_000, 250)).astype(np.float32)
noise = np.random.default_rng(1).normal(size=10_000)
def blocks():
    for i in range(int(sys.argv[1])):
        X = np.roll(base, i)
        yield X, X[:, 0] + noise > 0
"""
LIMITED = """
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
"""
FITS = {
    "Trainer": ("Trainer(epochs=1, batch_size=64)", 200),  # a window and two blocks, labels and the order
    "search": ("LogisticRegressionCV(Cs=[0.01], cv=2, tol=1e-2)", 200),  # weights and logits of folds, a sample
    "L1": ("LogisticRegression(tol=1e-2, C=1e-4, l1_ratio=0.5)", 250),  # columns that have coefficients
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", FITS)
def test_memory_is_that_of_a_window_or_a_block(name):
    estimator, limit = FITS[name]
    first = f"fastlr.{estimator}.fit(fastlr.RowBlocks([next(blocks())])){LIMITED}"
    grown, data = growth(CHEAP, first, f"fastlr.{estimator}.fit(data)", 50)
    assert data > 450
    assert grown < limit


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_file_is_left_open(small_windows, tmp_path):
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for matrix in DATA.values():
        rows = streamed(Source(matrix, Y), tmp_path)
        for model in (Trainer(epochs=2), LogisticRegression(l1_ratio=0.5)):
            model.fit(rows)
        assert not list(tmp_path.iterdir())
        del rows
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
