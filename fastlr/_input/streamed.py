"""Rows that found no room on disk: their source is read again, and compared, whenever they are needed."""

import copy
import zlib

import numpy as np

from fastlr._input.blocks import checked
from fastlr._input.csr import Csr, stacked
from fastlr._runtime.warnings import warn_user


class Streamed:
    """Rows (n, d), dense or sparse, of a source that can be read any number of times.

    Parameters
    ----------
    read : callable
        Returns an iterator of what users have as blocks.
    keeper : fastlr._input.blocks.Keeper
        Of the first reading, which knows the rows' size and why they are not kept.
    y : ndarray (n, ...) or None
        Labels that the first reading has found.

    Attributes
    ----------
    shape, dtype, ndim
        As of an array.
    size : int
        Values; of sparse rows those that are stored.
    is_sparse : bool
    """

    ndim = 2

    def __init__(self, read, keeper, y):
        self._read, self.error, self.y = read, keeper.no_room, y
        self.shape, self.dtype, self.size = (keeper.n, keeper.d), keeper.dtype, keeper.n_values
        self.is_sparse, self._converts = keeper.is_sparse, ()
        self._first_dtype = self.dtype
        self._checksums = {}  # of all rows before one, where a block has ended

    def __len__(self):
        return self.shape[0]

    def warn(self):
        """Say once what it costs."""
        n_bytes = self.size * self.dtype.itemsize + (4 * self.size + 8 * len(self)) * self.is_sparse
        warn_user(f"{self.error.strerror}. The {len(self)} rows take {n_bytes / 2**20:,.0f} MB there; without it every "
                  f"pass reads the blocks again, which takes longer", RuntimeWarning)

    def through(self, convert, dtype):
        """The same rows, each block X of them seen as convert(X), which is of this dtype."""
        seen = copy.copy(self)
        seen._converts, seen.dtype = (*self._converts, convert), np.dtype(dtype)
        return seen

    def astype(self, dtype, copy=False):
        """The same rows with values of another type."""
        return self if dtype == self.dtype else self.through(lambda X: X.astype(dtype), dtype)

    def blocks(self):
        """Iterator of (first row, X) of the blocks.

        Raises
        ------
        ValueError
            If they are not those of the first reading; OSError of a source that is gone.
        """
        n, checksum = 0, (0,)
        for block in checked(self._read()):
            n, checksum = n + len(block.X), _checksum(block.X, checksum)
            self._compare(block, checksum)
            if len(block.X):
                X = block.X
                for convert in self._converts:
                    X = convert(X)
                yield block.first, X
        if n != len(self):
            raise self._changed(f"the blocks have {n} rows", f"{len(self)} as before")

    def __getitem__(self, part):
        """Some rows in memory, of a slice, indices or a mask: one reading, which ends where they do."""
        shares, found, parts = Shares(part, len(self)), 0, []
        rows = None if self.is_sparse else np.empty((shares.n, self.shape[1]), self.dtype)
        for first, X in self.blocks() if shares.n else ():
            some, places = shares.of(first, first + len(X))
            if self.is_sparse:
                parts.append(X[some].copy())  # a program may fill the arrays of a block anew
            else:
                rows[places] = X[some]
            found += places.stop - places.start if isinstance(places, slice) else len(places)
            if found == shares.n:
                break
        return shares.in_order(stacked(parts, self.shape[1], self.dtype)) if self.is_sparse else rows

    def windows(self, n_first, n_rows):
        """Iterator of X of n_first rows, then of n_rows each and of what is left: in memory that the next one takes."""
        room = None if self.is_sparse else np.empty((max(n_first, n_rows), self.shape[1]), self.dtype)
        parts, n, wanted = [], 0, n_first
        for _, X in self.blocks():
            begin = 0
            while begin < len(X):
                some = X[begin : begin + wanted - n]
                if self.is_sparse:
                    parts.append(some.copy())
                else:
                    room[n : n + len(some)] = some
                begin, n = begin + len(some), n + len(some)
                if n == wanted:
                    yield self._taken(parts) if self.is_sparse else room[:n]
                    n, wanted = 0, n_rows
        if n:
            yield self._taken(parts) if self.is_sparse else room[:n]

    def _taken(self, parts):
        X = stacked(parts, self.shape[1], self.dtype)
        parts.clear()
        return X

    def _compare(self, block, checksum):
        first, end = block.first, block.first + len(block.X)
        is_like = (isinstance(block.X, Csr), block.X.shape[1], block.X.dtype) == (
            self.is_sparse, self.shape[1], self._first_dtype)
        if end > len(self) or not is_like:
            kinds = ("dense", "sparse")
            raise self._changed(f"{block} has {block.X.shape[1]} {kinds[isinstance(block.X, Csr)]} features of dtype "
                                f"{block.X.dtype} and ends at row {end}", f"{self.shape[1]} {kinds[self.is_sparse]} "
                                f"ones of {self._first_dtype}, and {len(self)} rows in all, as before")
        known, found = self.y, block.y
        is_same = found is None if known is None else found is not None and np.array_equal(found, known[first:end])
        if not is_same:
            raise self._changed(f"{block} has other labels than before", "the same")
        if self._checksums.setdefault(end, checksum) != checksum:  # blocks of other sizes meet at the last row
            raise self._changed(f"{block} has other values than before, or one before it has", "the same")

    def _changed(self, found, expected):
        return ValueError(f"{found}; expected {expected}: the source changed while it was read pass by pass, as there "
                          f"was no room to keep its rows. Let nothing write to it, and let a function return the same "
                          f"blocks each time; or name a folder with room with cache=")

    def refuse(self, what, instead):
        """The error for what needs rows that are kept, and what can be done instead of naming another folder."""
        return OSError(self.error.errno, f"{self.error.strerror}; {what} needs it: {instead}")


class Shares:
    """Which rows of each block are among some of all n rows: a slice that rises, indices (m,) in any order or a mask.

    Attributes
    ----------
    n : int
        How many they are.
    """

    def __init__(self, part, n):
        self.order = None
        if isinstance(part, slice):
            self.rows = range(*part.indices(n))
        else:
            part = np.asarray(part)
            part = np.flatnonzero(part) if part.dtype == bool else part
            self.order = np.argsort(part, kind="stable")
            self.rows = part[self.order]
        self.n = len(self.rows)

    def of(self, first, stop):
        """Those from a row on before another: where in the block they are, and where among all."""
        if self.order is None:
            start, step = self.rows.start, self.rows.step
            begin, end = (min(max(0, -((start - row) // step)), self.n) for row in (first, stop))
            return slice(start + begin * step - first, start + end * step - first, step), slice(begin, end)
        begin, end = np.searchsorted(self.rows, (first, stop))
        return self.rows[begin:end] - first, self.order[begin:end]

    def in_order(self, X):
        """Rows that came as the blocks have them, as they were asked for."""
        return X if self.order is None or (np.diff(self.order) == 1).all() else X[np.argsort(self.order)]


def _checksum(X, before):
    """Checksums of the values of X and of those before them, of sparse rows of columns and lengths too."""
    parts = (X.data, X.indices.astype(np.int64, copy=False), np.diff(X.indptr).astype(np.int64, copy=False)) if (
        isinstance(X, Csr)) else (X,)
    before = before * len(parts) if len(before) != len(parts) else before
    return tuple(zlib.crc32(np.ascontiguousarray(part).reshape(-1).view(np.uint8), known)
                 for part, known in zip(parts, before, strict=True))
