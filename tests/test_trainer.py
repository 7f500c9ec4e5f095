"""What Trainer adds: the learning rule against its NumPy twin, and the numbers the lecture prints."""

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import TRAINED

import fastlr
from fastlr import _core, reference

pytestmark = pytest.mark.filterwarnings("ignore:sample_weight and class_weight have no effect")


def descend(X, Y, seed, *, loss, batch_size, epochs, learning_rate=0.1, weight=1.0, **rule):
    """W and b after the twin's epochs over the trainer's orders of the rows."""
    rng = np.random.default_rng(seed)
    W, b, *velocity = (np.zeros(shape) for shape in [(Y.shape[1], X.shape[1]), Y.shape[1]] * 2)
    for _ in range(epochs):
        _, W, b, *velocity = reference.epoch(
            loss, X, W, b, Y, rng.permutation(len(X)), batch_size or len(X), learning_rate=learning_rate, weight=weight,
            velocity=velocity, **rule,
        )
    return W, b


def make_task(loss, outputs, n=43, d=5, seed=0):
    """X, y as a user has it, Y as the formula has it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    if outputs == "labels":
        Y = (rng.random((n, 3)) < 0.4).astype(float)
        return X, Y, Y
    if outputs == "probabilities":
        Y = rng.dirichlet(np.ones(3), size=n)
        return X, Y, Y
    k = {"two": 2, "three": 3}[outputs]
    y = rng.permutation(np.arange(n) % k)
    return X, y, (y[:, None] == 1).astype(float) if k == 2 and loss != "softmax" else np.eye(k)[y]


def assert_same_model(trainer, W, b, real="float64"):
    size = max(np.abs(W).max(), np.abs(b).max(), 1e-3)
    np.testing.assert_allclose(trainer.coef_, W, rtol=0, atol=TRAINED[real] * size)
    np.testing.assert_allclose(trainer.intercept_, b, rtol=0, atol=TRAINED[real] * size)


DATA = Path(os.environ.get("FASTLR_DATA") or Path(__file__).parents[2] / "shared" / "data")
TASKS = [*product(["softmax", "sigmoid", "squared_error"], ["two", "three"]), ("sigmoid", "labels"),
         ("softmax", "probabilities"), ("squared_error", "probabilities")]
RULES = [{}, {"momentum": 0.9}, {"alpha": 0.3},
         {"momentum": 0.5, "alpha": 0.1, "reduction": "sum", "learning_rate": 0.01}]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("batch_size", [1, 7, None])
@pytest.mark.parametrize(("loss", "outputs"), TASKS)
def test_epochs_match_the_twin(loss, outputs, batch_size, rule, weighted):
    X, y, Y = make_task(loss, outputs)
    weight = np.arange(len(X)) % 4 / 2 if weighted else np.ones(len(X))
    rule = {"loss": loss, "epochs": 3, "batch_size": batch_size, **rule}
    trainer = fastlr.Trainer(random_state=5, **rule).fit(X, y, weight if weighted else None)
    assert_same_model(trainer, *descend(X, Y, 5, weight=weight, **rule))


@given(n=st.integers(3, 80), d=st.integers(1, 40), k=st.integers(2, 12), batch=st.integers(1, 90),
       seed=st.integers(0, 1000), momentum=st.sampled_from([0.0, 0.8]),
       loss=st.sampled_from(["softmax", "squared_error"]))
@settings(deadline=None, max_examples=40)
def test_any_size_matches_the_twin(n, d, k, batch, seed, momentum, loss):
    rng = np.random.default_rng(seed)
    X, Y = rng.uniform(-1, 1, size=(n, d)), rng.dirichlet(np.ones(k), size=n)
    rule = {"loss": loss, "epochs": 2, "batch_size": batch, "momentum": momentum, "learning_rate": 0.02}
    assert_same_model(fastlr.Trainer(random_state=seed, **rule).fit(X, Y), *descend(X, Y, seed, **rule))


@pytest.mark.parametrize("batch_size", [1, 16, None])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool", "float16", "bfloat16", "float32", "int16", "int64",
                                   "float64"])
def test_dtypes_and_scaling_match_the_twin(dtype, batch_size):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    _, y, Y = make_task("softmax", "three", n=60)
    X = (np.random.default_rng(3).random((60, 9)) * 100).astype(dtype)
    scale, shift = np.linspace(0.005, 0.02, 9), np.linspace(20, 70, 9)
    rule = {"loss": "softmax", "epochs": 2, "batch_size": batch_size}
    trainer = fastlr.Trainer(random_state=1, **rule).fit(X, y, scale=scale, shift=shift)
    seen = (X.astype(np.float64) - shift) * scale
    real = _core.real_dtype(X.dtype).name
    assert_same_model(trainer, *descend(seen, Y, 1, **rule), real)
    np.testing.assert_allclose(trainer.decision_function(X), seen @ trainer.coef_.T + trainer.intercept_,
                               rtol=0, atol=1e-4 if real == "float32" else 1e-12)


@pytest.mark.parametrize("layout", ["fortran", "strided", "reversed", "list"])
def test_layouts_give_the_same_model(layout):
    X, y, _ = make_task("softmax", "three")
    arranged = {"fortran": np.asfortranarray(X), "strided": np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3],
                "reversed": np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1], "list": X.tolist()}[layout]
    expected = fastlr.Trainer(epochs=2, batch_size=8, random_state=0).fit(X, y)
    got = fastlr.Trainer(epochs=2, batch_size=8, random_state=0).fit(arranged, y)
    np.testing.assert_array_equal(got.coef_, expected.coef_)
    np.testing.assert_array_equal(got.predict(arranged), expected.predict(X))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 40, None])
def test_more_columns_than_rows_of_a_tile_in_column_order(batch_size, shuffle):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(300, 1000)).astype(np.float32)[:, :999], np.arange(300) % 3
    rule = {"epochs": 2, "batch_size": batch_size, "shuffle": shuffle, "random_state": 0}
    expected = fastlr.Trainer(**rule).fit(X, y)
    got = fastlr.Trainer(**rule).fit(np.asfortranarray(X), y)
    np.testing.assert_array_equal(got.coef_, expected.coef_)
    assert got.history_["loss"] == expected.history_["loss"]


@pytest.mark.parametrize("batch_size", [1, 100, 999, None])
@pytest.mark.parametrize("k", [2, 10, 40])
def test_bits_do_not_depend_on_threads_or_runs(batch_size, k):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(3000, 70)).astype(np.float32), np.arange(3000) % k
    fits = [fastlr.Trainer(epochs=2, batch_size=batch_size, momentum=0.5, n_threads=threads, random_state=9).fit(X, y)
            for threads in (1, 1, 2, 3, 8)]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.coef_, fits[0].coef_)
        np.testing.assert_array_equal(fit.intercept_, fits[0].intercept_)
        assert fit.history_["loss"] == fits[0].history_["loss"]
        assert fit.history_["accuracy"] == fits[0].history_["accuracy"]


def test_full_batch_history_is_taken_before_each_step():
    X, y, _ = make_task("softmax", "three")
    trainer = fastlr.Trainer(epochs=4, batch_size=None, alpha=0.1).fit(X, y, validation_data=(X, y))
    assert trainer.history_["loss"][0] == pytest.approx(np.log(3), rel=1e-12)
    assert trainer.history_["loss"][1:] == pytest.approx(trainer.history_["val_loss"][:-1], rel=1e-12)
    assert trainer.history_["accuracy"][1:] == trainer.history_["val_accuracy"][:-1]
    assert trainer.history_["val_accuracy"][-1] == trainer.score(X, y)


@pytest.fixture(scope="module")
def toy_split():
    """The lecture's split and standardisation of its toy data."""
    path = DATA / "lecture" / "toydata.txt"
    if not path.is_file():
        pytest.skip(f"no {path}; set FASTLR_DATA to a folder that holds lecture/toydata.txt")
    table = np.loadtxt(path)
    order = np.arange(len(table))
    np.random.RandomState(123).shuffle(order)
    test, train = order[:25], order[25:]
    X, y = table[:, :2], table[:, 2].astype(int)
    X = (X - X[train].mean(axis=0)) / X[train].std(axis=0)
    return X[train], y[train], X[test], y[test]


def test_lecture_toy_data(toy_split):
    X, y, X_test, y_test = toy_split
    trainer = fastlr.Trainer("sigmoid", learning_rate=0.1, epochs=30, batch_size=None, reduction="sum")
    trainer.fit(X, y, validation_data=(X, y))
    np.testing.assert_allclose(trainer.coef_, [[5.0453, 3.4349]], atol=5e-5)
    np.testing.assert_allclose(trainer.intercept_, [-0.7931], atol=5e-5)
    costs, accuracies = trainer.history_["val_loss"], trainer.history_["val_accuracy"]
    assert [round(costs[i], 3) for i in (0, -1)] == [0.055, 0.032]
    assert [round(accuracies[i], 3) for i in (0, -1)] == [0.973, 1.0]
    assert trainer.score(X_test, y_test) == 0.96


def test_adaline_on_the_lecture_toy_data(toy_split):
    X, y, X_test, y_test = toy_split
    trainer = fastlr.Trainer("squared_error", learning_rate=0.1, epochs=200, batch_size=None).fit(X, y)
    design = np.column_stack([X, np.ones(len(X))])
    best = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(np.append(trainer.coef_, trainer.intercept_), best, atol=1e-4)
    np.testing.assert_array_equal(trainer.predict(X_test), (trainer.decision_function(X_test) >= 0.5).astype(int))
    assert trainer.score(X_test, y_test) >= 0.92


@pytest.fixture(scope="module")
def mnist():
    """Flat images and labels, training and test."""
    folder = DATA / "mnist"
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set FASTLR_DATA to a folder that holds mnist")
    images, y = fastlr.datasets.load_mnist(folder, "train")
    test_images, y_test = fastlr.datasets.load_mnist(folder, "test")
    return images.reshape(len(images), -1), y, test_images.reshape(len(test_images), -1), y_test


def test_mnist_as_in_the_lecture(mnist):
    X, y, X_test, y_test = mnist
    trainer = fastlr.Trainer(random_state=0).fit(X, y, validation_data=(X, y), scale=1 / 255)
    assert trainer.history_["val_accuracy"][0] == pytest.approx(0.88, abs=0.01)
    assert trainer.history_["val_accuracy"][-1] == pytest.approx(0.922, abs=0.003)
    assert trainer.history_["accuracy"][-1] == pytest.approx(trainer.history_["val_accuracy"][-1], abs=0.003)
    assert 0.920 <= trainer.score(X_test, y_test) <= 0.924
    pixels = X[:256] / np.float32(255)
    first = fastlr.Trainer(epochs=1, shuffle=False).fit(pixels, y[:256], validation_data=(pixels, y[:256]))
    assert first.history_["loss"][0] == pytest.approx(2.3026, abs=5e-5)


def test_mnist_bytes_and_unit_floats_give_the_same_model(mnist):
    X, y = mnist[0][:6000], mnist[1][:6000]
    from_bytes = fastlr.Trainer(epochs=2, random_state=0).fit(X, y, scale=1 / 255)
    from_floats = fastlr.Trainer(epochs=2, random_state=0).fit(X / np.float32(255), y)
    np.testing.assert_allclose(from_bytes.coef_, from_floats.coef_, atol=1e-5)
