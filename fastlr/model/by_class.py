"""Sums over the entries of models and gradients (k, D), on threads, a few classes at a time.

What is made of some classes stays in the cache, where arrays of all of them would go to memory and back.
"""

from fastlr import _core

CACHED_VALUES = 1 << 13  # entries at a time: what is made of them needs no new pages
WIDE_VALUES = 1 << 18  # columns at a time, where arrays of all of them would cost more memory than X
SMALL = 1 << 18  # multiplications that are done before other threads have begun


def threads_for(n_multiplications, n_threads):
    """How many threads so much work is worth."""
    return n_threads if n_multiplications > SMALL else 1


def by_class(work, shape, n_threads):
    """[work(part), ...] for slices of the classes of a model of that shape: the same ones for any number of threads."""
    k, D = shape
    size = max(1, CACHED_VALUES // max(D, 1))
    if k <= size:
        return [work(slice(0, k))]
    return _core.parallel_for(lambda i: work(slice(i * size, (i + 1) * size)), -(-k // size), n_threads)


def columns_of(D):
    """Slices of D columns, a few at a time where there are many."""
    return [slice(start, start + WIDE_VALUES) for start in range(0, max(D, 1), WIDE_VALUES)]
