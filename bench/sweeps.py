"""Sweeps of C by cross-validation, against single fits and against scikit-learn's.

Five folds and ten values of C from 1e-4 to 1e2; the single fit is LogisticRegression at the C that was chosen.
"""

import time
from functools import partial

import numpy as np

from . import data, fit_data
from .table import Row, Table, Target

CS = np.logspace(-4, 2, 10)
REPEATS = 3


def tables(settings):
    """The table of sweeps over single fits, and that of scikit-learn's sweeps of fewer rows over fastlr's."""
    cases = {"binary, {:,} x 50": (_binary, 1_000_000, 100_000, Target(8, 3), None)}
    if fit_data.has_mnist():
        cases["MNIST, {:,} rows of bytes"] = _mnist, data.MNIST_ROWS, 2_000, Target(15, 8), Target(10, sense="at least")
    own, peers = [], []
    for name, (load, n, n_peer, target, peer_target) in cases.items():
        own.append(_against_single_fits(name, *load(settings.rows(n)), settings, target))
        peers.append(_against_sklearn(name, *load(max(settings.rows(n_peer), 500)), settings, peer_target))
    about = f"Five folds, ten values of C, and the refit; the best of {REPEATS}."
    yield Table("sweeps: cross-validation over a single fit", about, own)
    yield Table("sweeps: scikit-learn's LogisticRegressionCV over fastlr's",
                "The same sweep of fewer rows; scores are the accuracies of folds at values of C.", peers)


def _sweep(X, y, scale, n_threads):
    from fastlr import LogisticRegressionCV

    return LogisticRegressionCV(CS, scale=scale, n_threads=n_threads).fit(X, y)


def _fit(X, y, scale, C, n_threads):
    from fastlr import LogisticRegression

    return LogisticRegression(C, scale=scale, n_threads=n_threads).fit(X, y)


def _peer(X, y):
    from sklearn.linear_model import LogisticRegressionCV

    return LogisticRegressionCV(Cs=CS, l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=False,
                                max_iter=10_000).fit(X, y)


def _against_single_fits(name, X, y, scale, settings, target):
    repeats = 1 if settings.quick else REPEATS
    _sweep(X[:1000], y[:1000], scale, settings.n_threads)  # imports are no part of a sweep
    sweep, seconds = _timed(partial(_sweep, X, y, scale, settings.n_threads), repeats)
    fit, alone = _timed(partial(_fit, X, y, scale, sweep.C_, settings.n_threads), repeats)
    return Row(name.format(len(X)), {"sweep": seconds, "single fit": alone}, value=seconds / alone, unit="single fits",
               target=target, figures={"passes": sweep.n_passes_, "passes of a fit": fit.n_passes_, "C": sweep.C_})


def _against_sklearn(name, X, y, scale, settings, target):
    sweep, seconds = _timed(partial(_sweep, X, y, scale, settings.n_threads), 1 if settings.quick else REPEATS)
    peer, theirs = _timed(partial(_peer, X * np.float64(scale or 1), y), 1)
    differ = float(np.abs(peer.scores_[:, 0] - sweep.scores_).max())
    return Row(name.format(len(X)), {"fastlr": seconds, "scikit-learn": theirs}, value=theirs / seconds, unit="x",
               target=target, figures={"scores differ by": differ})


def _mnist(n):
    X, y = data.mnist("train")
    return X[:n], y[:n], 1 / 255


def _binary(n):
    rng = np.random.default_rng(data.SEED)
    X = rng.standard_normal((n, 50), np.float32)
    return X, (X @ rng.normal(size=50) * 0.5 + rng.logistic(size=n) > 0).astype(int), None


def _timed(function, repeats):
    best = np.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - begin)
    return result, best
