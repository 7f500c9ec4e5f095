"""pytest-benchmark: one epoch of mini-batches on MNIST, fastlr and NumPy."""

import pytest

import fastlr
from fastlr._runtime.threads import resolve_n_threads

from . import data, peers_numpy
from .training import RECIPE


@pytest.fixture(scope="module")
def images():
    if data.mnist_folder() is None:
        pytest.skip(data.NO_MNIST)
    X, y = data.mnist("train")
    return data.pixels_over_255(X), y


@pytest.mark.benchmark(group="MNIST, batch 256, one epoch")
def test_fastlr_epoch(benchmark, images):
    trainer = fastlr.Trainer(**RECIPE, epochs=1, n_threads=resolve_n_threads(None), random_state=0)
    benchmark.pedantic(trainer.fit, images, rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="MNIST, batch 256, one epoch")
def test_numpy_epoch(benchmark, images):
    benchmark.pedantic(
        peers_numpy.sgd, (*images, 10), {**RECIPE, "epochs": 1, "seed": 0}, rounds=5, warmup_rounds=1
    )
