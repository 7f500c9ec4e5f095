"""A cluster on this machine for tests, and data in chunks; only for tests that have made sure that Dask is there."""

from contextlib import contextmanager

import dask.array as da
import distributed
import numpy as np

QUIET = {"processes": True, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}


@contextmanager
def two_workers():
    """A client of two processes of one thread."""
    with distributed.LocalCluster(n_workers=2, **QUIET) as cluster, distributed.Client(cluster) as client:
        yield client


def arrays(n=6000, d=8, k=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.exponential(size=d) + rng.normal(size=d)
    y = (X @ rng.normal(size=(d, k)) + rng.gumbel(size=(n, k))).argmax(axis=1)
    return X, y, rng.exponential(size=n) * (rng.random(n) < 0.9)


def chunked(*arrays, chunk=2200):
    return [da.from_array(a, chunks=(chunk, *a.shape[1:])) for a in arrays]
