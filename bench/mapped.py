"""Suite "mapped": passes over files larger than what is in memory beside them, against passes over rows in memory.

The files are in the system's cache where it has room for them; the rows in memory are a part of those in the files.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

import fastlr

from . import data
from .table import Row, Table, Target
from .timing import wait_until_idle

MAPPED, SHARDS = Target(1.3, 1.05), Target(1.15, 1.02)
D, IMAGES, EMBEDDING, CLASSES = 50, 1_281_167, 768, 1000
"""Features of the binary rows; rows, features and classes of embedded ImageNet."""
IN_MEMORY = 1 << 30
"""Bytes at most of the rows in memory."""
IMAGES_IN_MEMORY = 20_000
N_SHARDS = 8
ROUNDS = 3


def tables(settings):
    """Yield the table of the suite."""
    n_bytes = settings.rows(int(settings.gigabytes * 2**30))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        yield Table("mapped: a pass over files, for each row against one over rows in memory",
                    "Milliseconds of a pass over 2^20 rows: the fastest of a few, in turn.",
                    [_gradient(Path(folder), n_bytes, settings), _shards(Path(folder), n_bytes, settings)])


def _gradient(folder, n_bytes, settings):
    """loss_and_grad of two classes over one .npy file."""
    n = max(n_bytes // (4 * D), 1000)
    X = _write(folder / "rows.npy", n, D, np.float32)
    part = min(n, IN_MEMORY // (4 * D))
    copy, y, (W, b) = X[:part].copy(), data.labels(n, 1), data.weights(1, D)
    options = {"loss": "sigmoid", "n_threads": settings.n_threads}
    seconds = _in_turn({"files": (n, lambda: fastlr.loss_and_grad(X, W, b, y, **options)),
                        "memory": (part, lambda: fastlr.loss_and_grad(copy, W, b, y[:part], **options))})
    return _row(f"memory map, {n:,} x {D}, binary, float32, {n * 4 * D / 1e9:.2g} GB", seconds, MAPPED, settings)


def _shards(folder, n_bytes, settings):
    """A pass of k classes over the cache that `RowBlocks` make of shards."""
    n = min(max(n_bytes // (2 * EMBEDDING), 800), IMAGES)
    names = [folder / f"img_emb_{i}.npy" for i in range(N_SHARDS)]
    for i, name in enumerate(names):
        _write(name, n * (i + 1) // N_SHARDS - n * i // N_SHARDS, EMBEDDING, np.float16)
    y, (W, b) = data.labels(n, CLASSES), data.weights(CLASSES, EMBEDDING)
    rows = fastlr.RowBlocks.from_npy(names, y, cache=folder)
    X = rows.X
    for name in names:
        name.unlink()
    part = min(n, settings.rows(IMAGES_IN_MEMORY))
    copy = X[:part].copy()
    seconds = _in_turn({"files": (n, lambda: fastlr.loss_and_grad(X, W, b, y, n_threads=settings.n_threads)),
                        "memory": (part, lambda: fastlr.loss_and_grad(copy, W, b, y[:part],
                                                                      n_threads=settings.n_threads))})
    return _row(f"{N_SHARDS} shards, {n:,} x {EMBEDDING}, k={CLASSES}, float16", seconds, SHARDS, settings)


def _write(path, n, d, dtype):
    """A .npy file of random features, mapped."""
    rng, X = np.random.default_rng(data.SEED), np.lib.format.open_memmap(path, "w+", dtype, (n, d))
    step = max(1, (1 << 22) // d)
    for start in range(0, n, step):
        X[start : start + step] = rng.standard_normal(X[start : start + step].shape, np.float32)
    X.flush()
    return np.load(path, mmap_mode="r")


def _in_turn(contestants):
    """Seconds of 2^20 rows each, the fastest of some rounds; a first one brings what it can into memory."""
    best = dict.fromkeys(contestants, float("inf"))
    for done in range(ROUNDS + 1):
        for name, (n, call) in contestants.items():
            wait_until_idle()
            start = time.perf_counter()
            call()
            if done:
                best[name] = min(best[name], (time.perf_counter() - start) * 2**20 / n)
    return best


def _row(case, seconds, target, settings):
    return Row(case, seconds, value=seconds["files"] / seconds["memory"], unit="x the time",
               target=None if settings.quick else target)
