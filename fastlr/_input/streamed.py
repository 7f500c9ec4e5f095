"""Rows that found no room on disk: their source is read again, and compared, whenever they are needed."""

import zlib

import numpy as np

from fastlr._input.blocks import checked
from fastlr._runtime.warnings import warn_user


class Streamed:
    """Dense rows (n, d) of a source that can be read any number of times.

    Parameters
    ----------
    read : callable
        Returns an iterator of what users have as blocks.
    d, dtype
        Of the rows.
    error : OSError
        Why they are not kept.

    Attributes
    ----------
    shape, dtype, size, ndim
        As of an array.
    """

    ndim = 2

    def __init__(self, read, d, dtype, error):
        self._read, self.dtype, self.error = read, dtype, error
        self.shape, self.y = (0, d), None
        self._checksums = {}  # of all rows before one, where a block has ended

    size = property(lambda self: self.shape[0] * self.shape[1])

    def __len__(self):
        return self.shape[0]

    def take(self, n, y):
        """The number of rows and the labels (n, ...) or None that the first reading has found; warns."""
        self.shape, self.y = (n, self.shape[1]), y
        size = self.size * self.dtype.itemsize
        warn_user(f"{self.error.strerror}. The {n} rows take {size / 2**20:,.0f} MB there; without it every pass reads "
                  f"the blocks again, which takes longer", RuntimeWarning)

    def blocks(self):
        """Iterator of (first row, X) of the blocks.

        Raises
        ------
        ValueError
            If they are not those of the first reading; OSError of a source that is gone.
        """
        n, checksum = 0, 0
        for block in checked(self._read()):
            n, checksum = n + len(block.X), zlib.crc32(_bytes(block.X), checksum)
            self._compare(block, checksum)
            if len(block.X):
                yield block.first, block.X
        if n != len(self):
            raise self._changed(f"the blocks have {n} rows", f"{len(self)} as before")

    def _compare(self, block, checksum):
        first, end = block.first, block.first + len(block.X)
        if end > len(self) or block.X.shape[1] != self.shape[1] or block.X.dtype != self.dtype:
            raise self._changed(f"{block} has {block.X.shape[1]} features of dtype {block.X.dtype} and ends at row "
                                f"{end}", f"{self.shape[1]} of {self.dtype}, and {len(self)} rows in all, as before")
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

    def refuse(self, what):
        """The error for what needs rows that are kept."""
        return OSError(self.error.errno, f"{self.error.strerror}. LogisticRegression.fit and predictions do without; "
                                         f"{what} needs it")


def _bytes(X):
    """The values of X as bytes, row by row."""
    return np.ascontiguousarray(X).reshape(-1).view(np.uint8)
