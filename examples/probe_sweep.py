"""A linear probe on frozen embeddings: 45 values of C, chosen on a fixed validation part.

    python examples/probe_sweep.py [--rows N] [--features D] [--classes K]

The embeddings are made here, float16 like those of large encoders: a direction for each class in a subspace of the
features, noise, and features of uneven size. They are read as they are, and no part of them is copied.
"""

import argparse
import time

import numpy as np
from sklearn.model_selection import PredefinedSplit

from fastlr import LogisticRegressionCV


def make_embeddings(n, d, k, seed=0):
    """Embeddings (n, d) in float16 and their classes (n,)."""
    rng = np.random.default_rng(seed)
    rank = max(2, d // 4)
    size = np.geomspace(1, 0.05, d, dtype=np.float32)
    classes = rng.normal(size=(k, rank)).astype(np.float32) * (2.2 / np.sqrt(rank))
    directions = np.linalg.qr(rng.normal(size=(d, rank)))[0].T.astype(np.float32) * np.sqrt(d / rank).astype(np.float32)
    y = rng.integers(0, k, n)
    X = np.empty((n, d), np.float16)
    for start in range(0, n, 4096):  # small pieces: float32 of all rows would be twice the size of X
        part = slice(start, start + 4096)
        latent = classes[y[part]] + 0.7 * rng.standard_normal((len(y[part]), rank), np.float32)
        X[part] = (latent @ directions + 0.5 * rng.standard_normal((len(latent), d), np.float32)) * size
    return X, y


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="training and validation rows together")
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--classes", type=int, default=20)
    options = parser.parse_args(arguments)

    n_test = max(options.classes, options.rows // 5)
    X, y = make_embeddings(options.rows + n_test, options.features, options.classes)
    X, X_test, y, y_test = X[:-n_test], X[-n_test:], y[:-n_test], y[-n_test:]
    validation = np.where(np.arange(len(y)) < 0.8 * len(y), -1, 0)  # -1: always in training

    begin = time.perf_counter()
    probe = LogisticRegressionCV(np.logspace(-6, 3, 45), cv=PredefinedSplit(validation), tol=1e-3).fit(X, y)
    seconds = time.perf_counter() - begin

    logits = probe.decision_function(X_test)
    best = np.argsort(-logits, axis=1)[:, :5]
    top_1, top_5 = (np.mean((best[:, :m] == y_test[:, None]).any(axis=1)) for m in (1, 5))
    print(f"{len(probe.Cs_)} values of C in {seconds:.1f} s, {probe.n_passes_:.0f} passes over {X.nbytes / 1e6:.0f} MB")
    print(f"C {probe.C_:.3g}, validation accuracy {probe.scores_.max():.4f}")
    print(f"test accuracy: top-1 {top_1:.4f}, top-5 {top_5:.4f}")


if __name__ == "__main__":
    main()
