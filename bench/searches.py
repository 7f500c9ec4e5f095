"""Searches of C against single fits, and against scikit-learn's.

    python -m fastlr.bench.searches {mnist,binary} [--rows N] [--repeats N] [--against-sklearn]

Five folds and ten values of C from 1e-4 to 1e2; the single fit is LogisticRegression at the C that was chosen.
"""

import argparse
import sys
import time

import numpy as np

import fastlr

from . import data

CS = np.logspace(-4, 2, 10)
REPEATS = 3


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["mnist", "binary"])
    parser.add_argument("--rows", type=int, default=None, help="all of MNIST's 60,000, or 1,000,000")
    parser.add_argument("--repeats", type=int, default=1, help="of the search; the best counts")
    parser.add_argument("--against-sklearn", action="store_true", help="slow: take fewer rows")
    options = parser.parse_args(arguments)
    X, y, scale = _mnist(options.rows) if options.data == "mnist" else _binary(options.rows or 1_000_000)
    fastlr.LogisticRegressionCV(CS[:2], scale=scale).fit(X[:1000], y[:1000])  # imports are no part of a search
    search, seconds = _timed(lambda: fastlr.LogisticRegressionCV(CS, scale=scale).fit(X, y), options.repeats)
    fit, alone = _timed(lambda: fastlr.LogisticRegression(search.C_, scale=scale).fit(X, y), REPEATS)
    print(f"{len(X):,} x {X.shape[1]} {X.dtype}, {len(CS)} values of C, {len(search.scores_)} folds")
    print(f"search      {seconds:8.2f} s {search.n_passes_:8.1f} passes, C = {search.C_:.3g}")
    print(f"single fit  {alone:8.2f} s {fit.n_passes_:8.1f} passes")
    print(f"ratio       {seconds / alone:8.1f}   {search.n_passes_ / fit.n_passes_:8.1f}")
    if options.against_sklearn:
        from sklearn.linear_model import LogisticRegressionCV

        X = X * np.float64(scale or 1)
        peer = LogisticRegressionCV(Cs=CS, l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=False,
                                    max_iter=10_000)
        peer, theirs = _timed(lambda: peer.fit(X, y), 1)
        print(f"scikit-learn {theirs:7.2f} s, {theirs / seconds:.1f} times as long, C = {peer.C_:.3g}")
        print(f"scores differ by at most {np.abs(peer.scores_[:, 0] - search.scores_).max():.1e}")


def _mnist(n):
    if data.mnist_folder() is None:
        sys.exit(data.NO_MNIST)
    X, y = data.mnist("train")
    return X[:n], y[:n], 1 / 255


def _binary(n):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 50), np.float32)
    return X, (X @ rng.normal(size=50) * 0.5 + rng.logistic(size=n) > 0).astype(int), None


def _timed(function, repeats):
    best = np.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - begin)
    return result, best


if __name__ == "__main__":
    main()
