"""Sums over the entries of models and gradients (k, D), on threads, a block at a time.

What is made of a block stays in the cache, where arrays of all entries would go to memory and back.
"""

from fastlr import _core
from fastlr.model.memory import CACHED_VALUES

SMALL = 1 << 18  # multiplications that are done before other threads have begun


def threads_for(n_multiplications, n_threads):
    """How many threads so much work is worth."""
    return n_threads if n_multiplications > SMALL else 1


def in_blocks(work, shape, n_threads):
    """[work(at), ...] for blocks of a model of that shape, at = (classes, columns), the same for any number of threads.

    Both are slices.
    """
    k, D = shape
    size = max(1, CACHED_VALUES // max(D, 1))
    if k <= size and D <= CACHED_VALUES:
        return [work((slice(0, k), slice(0, D)))]
    blocks = [(slice(c, c + size), slice(j, j + CACHED_VALUES))
              for c in range(0, k, size) for j in range(0, max(D, 1), CACHED_VALUES)]
    return _core.parallel_for(lambda i: work(blocks[i]), len(blocks), n_threads)
