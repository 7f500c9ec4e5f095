"""A part of the rows, and engines that have the parts of some rows and run functions on them.

An engine, `LocalParts` in this process or that of fastlr/_dask_engine.py on a cluster, has the methods, of functions
that can be pickled,

    map(function, *args)                          [function(part, *args) of each part], in the parts' order
    reduce(function, *args, join, size)           these results joined by `joined`; each has about `size` values
    transform(function, *args)                    another engine, whose parts are the results

Results are joined in an order that depends on the number of parts alone, so that they have the same bits wherever the
parts lie.
"""

from functools import reduce

import numpy as np

from fastlr.model.rows import DenseRows
from fastlr.model.rows_base import SMALL, add

FAN = 8  # results that are joined at a time


class Part:
    """Some of the rows, as an engine keeps them.

    Parameters
    ----------
    rows : DenseRows or None
        None where no row has a weight.
    first : int, default=0
        How many rows with a weight the parts before have.
    """

    def __init__(self, rows, first=0):
        self.rows, self.first, self._seen = rows, first, None

    def __getstate__(self):
        rows = self.rows
        return self.first, rows and ((rows._X, rows.y, rows.weight), rows.k, rows.loss, rows.intercept)

    def __setstate__(self, state):
        self.first, made = state
        self.rows = self._seen = None
        if made is not None:
            arrays, k, loss, intercept = made
            X, y, weight = map(aligned, arrays)
            self.rows = weighted_rows(X, y, k, weight, loss=loss, intercept=intercept, size=SMALL + 1)

    def __sizeof__(self):  # what Dask takes for this part's memory
        rows = self.rows
        arrays = () if rows is None else (rows._X, rows.y, rows.weight)
        return object.__sizeof__(self) + sum(array.nbytes for array in arrays if array is not None)

    def through(self, affine):
        """The rows through a map; the last one is kept."""
        seen = self._seen
        if seen is None or not (_same(seen.affine.scale, affine.scale) and _same(seen.affine.shift, affine.shift)):
            self._seen = seen = self.rows.through(affine)
        return seen


def _same(a, b):
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def aligned(value):
    """The value, or a copy of an array that does not lie as kernels read it: it may come out of a message."""
    return value.copy() if isinstance(value, np.ndarray) and not value.flags.aligned else value


def part_of(X, y, n_logits, weight=None, first=0, **options):
    """The Part of arrays, and `options` of `DenseRows`: `size` is the number of values of all parts' X.

    Weights (n,) are those of all parts divided by the same number, so that the largest of all is near 1.
    """
    if not len(X) or (weight is not None and not weight.any()):
        return Part(None, first)
    return Part(weighted_rows(*map(aligned, (X, y)), n_logits, weight, **options), first)


def weighted_rows(X, y, n_logits, weight, **options):
    """DenseRows whose weights are taken as they are: parts have no scale of their own."""
    rows = DenseRows(X, y, n_logits, **options)
    if weight is not None and not (weight == 1).all():
        rows.weight = weight
        rows._take_size()
    return rows


def joined(results, join):
    """Results, None where there is none, joined in groups of FAN, and these likewise, until one is left."""
    while len(results) > 1:
        results = [join_group(results[i : i + FAN], join) for i in range(0, len(results), FAN)]
    return results[0]


def join_group(results, join):
    """A few results joined one after the other."""
    known = [result for result in results if result is not None]
    return reduce(join, known) if known else None


class LocalParts:
    """The engine of parts in this process."""

    def __init__(self, parts):
        self.parts = list(parts)

    def map(self, function, *args):
        return [function(part, *args) for part in self.parts]

    def reduce(self, function, *args, join=add, size=1):
        return joined(self.map(function, *args), join)

    def transform(self, function, *args):
        return LocalParts(self.map(function, *args))
