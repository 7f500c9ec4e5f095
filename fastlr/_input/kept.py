"""Arrays that are kept in files without names, mapped for reading: in the system's cache of files, in no process."""

import contextlib
import errno
import math
import mmap
import os
import tempfile

import numpy as np

from fastlr import _core
from fastlr._input.csr import Csr

BLOCK_VALUES = 1 << 16  # labels that are converted at a time
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def folder_of(cache):
    """Where files are, the user's choice or else the system's; None where it has no folder with room."""
    if cache is not None:
        return os.path.expanduser(os.fspath(cache))
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return None


class Kept:
    """Arrays, one after the other, in a file without a name; objects in memory.

    folder is None where the system has no folder for temporary files with room.
    """

    def __init__(self, folder, first):
        self.folder, self.dtype, self.shape = folder, first.dtype, (0, *first.shape[1:])
        self.file, self.in_memory = None, [] if first.dtype.hasobject else None

    def add(self, array):
        if self.in_memory is not None:
            self.in_memory.append(array.copy())
        else:
            try:
                if array.dtype != self.dtype:
                    self._widen(np.result_type(array, self.dtype))
                self._opened().write(array.astype(self.dtype, copy=False).tobytes())
                self.file.flush()
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                raise OSError(error.errno, f"no room for {array.nbytes} more bytes of decoded rows in "
                                           f"{self.folder or 'any folder for temporary files'}: name another folder "
                                           f"with cache=") from None
        self.shape = (self.shape[0] + len(array), *self.shape[1:])

    def _opened(self):
        if self.file is None:
            self.file = self._new()
        return self.file

    def _new(self):
        if self.folder is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return tempfile.TemporaryFile(dir=self.folder)

    def _widen(self, dtype):
        """Longer strings, or larger integers, have come."""
        if dtype == self.dtype:
            return
        with contextlib.ExitStack() as closing:
            wider = closing.enter_context(self._new())
            before = self._opened()
            before.seek(0)
            while some := before.read(BLOCK_VALUES * self.dtype.itemsize):
                wider.write(np.frombuffer(some, self.dtype).astype(dtype).tobytes())
            wider.flush()
            closing.pop_all()
        before.close()
        self.file, self.dtype = wider, dtype

    def go_on_in_memory(self, array):
        """Keep what the file has, this array, which found no room, and those to come in memory."""
        before = np.array(self._mapped())
        self.drop()
        self.in_memory = [before, array.copy()]
        self.shape = (self.shape[0] + len(array), *self.shape[1:])

    def array(self):
        """All of them as one array, mapped for reading if they are in a file."""
        if self.in_memory is not None:
            return np.concatenate(self.in_memory)
        try:
            return self._mapped()
        finally:
            self.drop()

    def _mapped(self):
        if not math.prod(self.shape):  # there are no mappings of no bytes
            return np.empty(self.shape, self.dtype)
        n_bytes = math.prod(self.shape) * self.dtype.itemsize  # more may have been written of what found no room
        mapping = _core.PassingMap(self.file.fileno(), n_bytes, access=mmap.ACCESS_READ)
        return np.frombuffer(mapping, np.uint8).view(self.dtype).reshape(self.shape)

    def drop(self):
        """Give the room back, but for what is mapped."""
        if self.file is not None:
            with contextlib.suppress(OSError):  # of what could not be written
                self.file.close()


class KeptCsr:
    """Blocks of sparse rows, one after the other: their three arrays, each in a file of its own."""

    def __init__(self, folder, first):
        self.dtype, self.shape = first.dtype, (0, first.shape[1])
        columns = np.int32 if first.shape[1] <= 1 << 31 else np.int64
        self.parts = [Kept(folder, np.empty(0, dtype)) for dtype in (self.dtype, columns, np.int64)]

    def add(self, X):
        data, indices, indptr = self.parts
        if not indptr.shape[0]:
            indptr.add(np.zeros(1, np.int64))
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
