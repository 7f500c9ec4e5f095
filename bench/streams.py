"""Suite "streams": steps of single sparse rows, by gradient descent and by FTRL-proximal, against peers.

Descent takes the documents of the suite "sparse", in a new order each epoch.  FTRL-proximal takes rows of 12
categories, hashed from strings, once and in their order; vowpalwabbit reads the same rows and values from the cache it
has made of them, which is in memory.
"""

import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import fastlr

from . import data
from .sparse import documents
from .table import Row, Table, Target
from .timing import best_seconds

EPOCHS, RATE, ALPHA = 5, 0.1, 1e-5
CATEGORIES = (2, 7, 10, 24, 50, 100, 300, 1000, 4000, 5000, 20_000, 60_000)
BITS = 18
LEADER = {"learning_rate": 0.1, "beta": 1.0, "l1": 0.1, "l2": 0.1}
DESCENT = Target(1.5, 3.0, "at least")
FTRL = Target(1.0, 3.0, "at least")


def tables(settings):
    """Yield the table of the suite."""
    yield Table(
        "Sparse rows one at a time",
        "Milliseconds; the result is the peer's time over that of fastlr. Losses are the means of the last epoch, each "
        "row's before its step.", [_descent(settings), _ftrl(settings)],
    )


def _descent(settings):
    from sklearn.linear_model import SGDClassifier

    n = settings.rows(200_000)
    X, y = documents(n, settings.width(50_000), 2)
    trainer = fastlr.Trainer("sigmoid", learning_rate=RATE, alpha=ALPHA, batch_size=1, epochs=EPOCHS, random_state=0,
                             n_threads=settings.n_threads)
    peer = SGDClassifier(loss="log_loss", alpha=ALPHA, learning_rate="constant", eta0=RATE, max_iter=EPOCHS, tol=None,
                         random_state=0)
    contestants = {"fastlr": partial(trainer.fit, X, y), "scikit-learn": partial(peer.fit, X, y)}
    seconds = best_seconds(contestants, **settings.effort)
    figures = {"ns a row": 1e9 * seconds["fastlr"] / (EPOCHS * n), "loss": trainer.history_["loss"][-1]}
    name = f"descent, {n:,} rows of {X.nnz / n:.0f}, {EPOCHS} epochs"
    return Row(name, seconds, seconds["scikit-learn"] / seconds["fastlr"], "x faster", DESCENT, figures=figures)


def hashed_rows(n):
    """X (n, 2^BITS) of hashed categories, CSR, float32 and int32, and y (n,) of 0 and 1."""
    from sklearn.feature_extraction import FeatureHasher

    rng = np.random.default_rng(data.SEED)
    values = np.column_stack([rng.zipf(1.3, n) % size for size in CATEGORIES])
    rows = [[f"{field}={value}" for field, value in enumerate(row)] for row in values.tolist()]
    X = FeatureHasher(1 << BITS, input_type="string", dtype=np.float32, alternate_sign=False).transform(rows)
    z = X @ rng.normal(scale=0.5, size=1 << BITS)
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)


def _ftrl(settings):
    n = settings.rows(200_000)
    X, y = hashed_rows(n)
    trainer = fastlr.Trainer("sigmoid", optimizer="ftrl", batch_size=1, epochs=1, shuffle=False,
                             n_threads=settings.n_threads, **LEADER)
    name, contestants = f"FTRL-proximal, {n:,} rows of {len(CATEGORIES)}", {"fastlr": partial(trainer.fit, X, y)}
    if not find_spec("vowpalwabbit"):
        return Row(name, best_seconds(contestants, **settings.effort), note="vowpalwabbit is not installed")
    with tempfile.TemporaryDirectory() as folder:
        contestants["vowpalwabbit"] = run = _vowpal_wabbit(X, y, Path(folder) / "rows.vw")
        loss = run()  # makes the cache
        seconds = best_seconds(contestants, **settings.effort)
    figures = {"ns a row": 1e9 * seconds["fastlr"] / n, "loss": trainer.history_["loss"][0], "its loss": loss}
    return Row(name, seconds, seconds["vowpalwabbit"] / seconds["fastlr"], "x faster", FTRL, figures=figures)


def _vowpal_wabbit(X, y, file):
    """A run of vowpalwabbit over these rows, which returns its mean loss."""
    from vowpalwabbit.pyvw import Workspace

    with open(file, "w") as out:
        for i, label in enumerate(2 * y - 1):
            places = range(X.indptr[i], X.indptr[i + 1])
            out.write(f"{label} | {' '.join(f'{X.indices[j]}:{X.data[j]:g}' for j in places)}\n")
    options = {"ftrl_alpha": LEADER["learning_rate"], "ftrl_beta": LEADER["beta"], "l1": LEADER["l1"],
               "l2": LEADER["l2"], "b": BITS, "loss_function": "logistic"}
    words = " ".join(f"{'-' if len(name) == 1 else '--'}{name} {value}" for name, value in options.items())

    def run():
        workspace = Workspace(f"-d {file} -c --ftrl {words} --quiet")
        loss = workspace.get_sum_loss() / workspace.get_weighted_examples()
        workspace.finish()
        return loss

    return run
