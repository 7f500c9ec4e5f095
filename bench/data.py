"""The data of the benchmarks: deterministic, made in float32 by blocks so that nothing larger than they exists."""

import os
from functools import cache
from pathlib import Path

import numpy as np

SEED = 20240229


def features(n, d, dtype="float32", order="C"):
    """Features (n, d) of any dtype: standard normal, or whole numbers 0 .. 255 for uint8."""
    rng = np.random.default_rng(SEED)
    X = np.empty((n, d), dtype, order)
    step = max(1, (1 << 22) // d)
    for i in range(0, n, step):
        shape = X[i : i + step].shape
        X[i : i + step] = rng.integers(0, 256, shape) if dtype == "uint8" else rng.standard_normal(shape, np.float32)
    return X


def labels(n, k):
    """Labels (n,) int32, uniform over the classes; 0 and 1 for k = 1."""
    return np.random.default_rng(SEED + 1).integers(0, max(k, 2), n).astype(np.int32)


def weights(k, d):
    """Parameters W (k, d), b (k,) that give logits of about unit variance, on standard normal features."""
    rng = np.random.default_rng(SEED + 2)
    return rng.standard_normal((k, d)) / np.sqrt(d), rng.standard_normal(k) / 10


def logits(n, k, dtype):
    """Logits (n, k), normal with standard deviation 3."""
    Z = np.random.default_rng(SEED + 3).standard_normal((n, k), np.float32)
    Z *= 3
    return Z.astype(dtype, copy=False)


def mnist_folder():
    """Where the four IDX files of MNIST are, or None: FASTLR_DATA/mnist, or ../shared/data/mnist of the checkout."""
    checkout = Path(__file__).resolve().parent.parent
    root = Path(os.environ.get("FASTLR_DATA") or checkout.parent / "shared" / "data").expanduser()
    return next((folder for folder in (root / "mnist", root) if list(folder.glob("train-images*"))), None)


MNIST_ROWS = 60_000
"""Of its training images."""
NO_MNIST = "no MNIST: set FASTLR_DATA to the folder that holds mnist/"


@cache
def mnist(split):
    """Pixels (n, 784) uint8 and labels (n,) int32 of "train" or "test"."""
    from fastlr import datasets

    X, y = datasets.load_mnist(mnist_folder(), split)
    return X.reshape(len(X), -1), y.astype(np.int32)


def pixels_over_255(X):
    """Pixels as float32 in [0, 1]."""
    return np.divide(X, 255, dtype=np.float32)
