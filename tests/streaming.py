"""Blocks of rows that find no room on disk, as the system says it."""

import resource
from contextlib import contextmanager
from itertools import pairwise

import pytest

from fastlr import RowBlocks


@contextmanager
def files_of_at_most(size):
    """A limit that the system sets: what writes more gets EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Source:
    """Blocks of rows, and how often they were begun; `arrays` may be replaced.

    bounds are those of blocks; None for blocks of 7,000 rows. `after(n)`, where it is set, is called before the n-th
    block of all readings.
    """

    def __init__(self, *arrays, bounds=None):
        self.arrays, self.bounds, self.n_readings, self.n_blocks, self.after = arrays, bounds, 0, 0, None

    def __call__(self):
        self.n_readings += 1
        n = self.arrays[0].shape[0]
        bounds = [*range(0, n, 7_000), n] if self.bounds is None else self.bounds
        for start, stop in pairwise(bounds):
            self.n_blocks += 1
            if self.after:
                self.after(self.n_blocks)
            yield tuple(array[start:stop] for array in self.arrays)


def streamed(source, cache=None, limit=1 << 17):
    """RowBlocks that have been read, without room for X."""
    rows = RowBlocks(source, cache=cache)
    message = "no room for .* every pass reads the blocks"
    with files_of_at_most(limit), pytest.warns(RuntimeWarning, match=message) as warnings:
        assert len(rows)
    assert len(warnings) == 1
    return rows
