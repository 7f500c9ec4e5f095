"""Data sets of the fits, deterministic; what each is like is said where it is made."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from . import data

MNIST_OPTIMUM = 0.23211769531537582
"""F* of all 60,000 images / 255 at C = 1, from fits in float64."""
MNIST_RAW_OPTIMUM = 0.19994826637006635
MNIST_STANDARDISED_OPTIMUM = 0.2046051965310382
"""The same of pixels 0..255, and standardised in float32, after steps of scikit-learn's newton-cholesky in float64 (tol
1e-10, from the end of a fit by fastlr): gradients of at most 2.2e-13 and 3.5e-11, evaluated by NumPy."""


@dataclass(frozen=True)
class FitData:
    """X (n, d) and labels y (n,), or an indicator matrix (n, k); the model sees X * scale; F* where it is known."""

    X: np.ndarray
    y: np.ndarray
    scale: float = 1.0
    optimum: float | None = None


def mnist_float32(settings):
    """Pixels / 255; of all of them F* is known."""
    X, y = data.mnist("train")
    n = settings.rows(data.MNIST_ROWS)
    return FitData(data.pixels_over_255(X[:n]), y[:n], optimum=None if settings.quick else MNIST_OPTIMUM)


def mnist_uint8(settings):
    """The same images as bytes."""
    X, y = data.mnist("train")
    n = settings.rows(data.MNIST_ROWS)
    return FitData(X[:n], y[:n], scale=1 / 255, optimum=None if settings.quick else MNIST_OPTIMUM)


def binary(settings):
    """1,000,000 x 50 independent normal features; labels drawn from a logistic model with logits of deviation 1."""
    n, d = settings.rows(1_000_000), 50
    X = data.features(n, d)
    W, b = data.weights(1, d)
    return FitData(X, _draw_labels(X, W, b)[:, 0])


def embeddings(settings):
    """20,000 x 768, 1000 classes: layer-normalised embeddings in clusters.

    Directions have variances 1 / (1 + j / 16), as the spectra of embeddings fall; each class has a centre, and rows
    lie about it with twice its deviation; each row is then divided by its root mean square.
    """
    n, d, k = settings.rows(20_000), settings.width(768), settings.width(1000)
    return FitData(*_clusters(n, d, k))


def independent_labels(settings):
    """100,000 x 512 such embeddings; 100 labels drawn from logistic models, each on for about a tenth of the rows."""
    n, d, k = settings.rows(100_000), settings.width(512), settings.width(100)
    X, _ = _clusters(n, d, 1000)
    W, _ = data.weights(k, d)
    return FitData(X, _draw_labels(X, 2 * W, np.full(k, -3.0)))


def _clusters(n, d, k):
    rng = np.random.default_rng(data.SEED)
    deviation = (1 / np.sqrt(1 + np.arange(d) / 16)).astype(np.float32)
    centres = rng.standard_normal((k, d), np.float32) * deviation
    y = rng.permutation(np.arange(n, dtype=np.int32) % k)
    X = rng.standard_normal((n, d), np.float32)
    X *= 2 * deviation
    X += centres[y]
    X /= np.sqrt(np.mean(X * X, axis=1, keepdims=True))
    return X, y


def _draw_labels(X, W, b):
    """0/1 labels (n, k) of logistic models."""
    Z = X @ W.T.astype(np.float32) + b.astype(np.float32)
    uniform = np.random.default_rng(data.SEED + 4).random(Z.shape, np.float32)
    return (uniform < 1 / (1 + np.exp(-Z))).astype(np.int32)


def has_mnist():
    """Whether MNIST can be loaded."""
    return data.mnist_folder() is not None


def raw_sets(settings):
    """Name -> function that loads a `FitData` whose features are on scales of their own, or the same standardised."""
    sets = {}
    for name in ("iris", "wine") if settings.quick else ("iris", "wine", "breast_cancer", "digits"):
        sets[name] = partial(_bundled, name, lambda X: X)
        sets[f"{name}, standardised"] = partial(_bundled, name, _standardised)
        if name in ("wine", "breast_cancer"):
            sets[f"{name}, columns x 10^uniform(-4, 4)"] = partial(_bundled, name, _on_wild_scales)
    if has_mnist() and not settings.quick:
        sets["MNIST 0..255"] = partial(_mnist_pixels, lambda X: X, MNIST_RAW_OPTIMUM)
        sets["MNIST, standardised"] = partial(_mnist_pixels, _standardised, MNIST_STANDARDISED_OPTIMUM)
    return sets


def _bundled(name, transform):
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return FitData(transform(X), y)


def _mnist_pixels(transform, optimum):
    X, y = data.mnist("train")
    return FitData(transform(X.astype(np.float32)), y, optimum=optimum)


def _on_wild_scales(X):
    return _standardised(X) * 10 ** np.random.default_rng(data.SEED).uniform(-4, 4, X.shape[1])


def _standardised(X):
    deviation = X.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    return ((X - X.mean(axis=0, dtype=np.float64)) / deviation).astype(X.dtype)
