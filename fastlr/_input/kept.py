"""Arrays that are kept in files without names, mapped for reading: in the system's cache of files, in no process."""

import contextlib
import errno
import math
import mmap
import tempfile

import numpy as np

from fastlr import _core
from fastlr._input.csr import Csr

BLOCK_VALUES = 1 << 16  # labels that are converted at a time
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Kept:
    """Arrays, one after the other, in a file without a name; objects in memory."""

    def __init__(self, folder, first):
        self.folder, self.dtype, self.shape = folder, first.dtype, (0, *first.shape[1:])
        self.file, self.objects = tempfile.TemporaryFile(dir=folder), []  # noqa: SIM115 -- closed by `array`, `drop`

    def add(self, array):
        self.shape = (self.shape[0] + len(array), *self.shape[1:])
        if self.dtype.hasobject:
            self.objects.append(array)
            return
        if array.dtype != self.dtype:
            self._widen(np.result_type(array, self.dtype))
        try:
            self.file.write(array.astype(self.dtype, copy=False).tobytes())
            self.file.flush()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise OSError(error.errno, f"no room for {array.nbytes} more bytes of decoded rows in {self.folder}: "
                                       f"name another folder with cache=") from None

    def _widen(self, dtype):
        """Longer strings, or larger integers, have come."""
        if dtype != self.dtype:
            before, self.file = self.file, tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
            with before:
                before.seek(0)
                while some := before.read(BLOCK_VALUES * self.dtype.itemsize):
                    self.file.write(np.frombuffer(some, self.dtype).astype(dtype).tobytes())
            self.dtype = dtype

    def array(self):
        """All of them as one array, mapped for reading."""
        with self.file:
            if self.dtype.hasobject:
                return np.concatenate(self.objects)
            if not math.prod(self.shape):  # there are no mappings of no bytes
                return np.empty(self.shape, self.dtype)
            mapping = _core.PassingMap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapping, np.uint8).view(self.dtype).reshape(self.shape)

    def drop(self):
        """Give the room back."""
        with contextlib.suppress(OSError):  # of what could not be written
            self.file.close()


class KeptCsr:
    """Blocks of sparse rows, one after the other: their three arrays, each in a file of its own."""

    def __init__(self, folder, first):
        self.dtype, self.shape = first.dtype, (0, first.shape[1])
        columns = np.int32 if first.shape[1] <= 1 << 31 else np.int64
        self.parts = [Kept(folder, np.empty(0, dtype)) for dtype in (self.dtype, columns, np.int64)]
        self.parts[-1].add(np.zeros(1, np.int64))

    def add(self, X):
        data, indices, indptr = self.parts
        self.shape = (self.shape[0] + len(X), self.shape[1])
        before = data.shape[0]
        data.add(X.data)
        indices.add(X.indices.astype(indices.dtype, copy=False))
        indptr.add(before + X.indptr[1:].astype(np.int64))

    def array(self):
        """All of them as one `Csr`."""
        return Csr(*(part.array() for part in self.parts), self.shape)

    def drop(self):
        for part in self.parts:
            part.drop()
