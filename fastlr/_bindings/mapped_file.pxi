# Memory-mapped X: to read what its file no longer has would end the process (SIGBUS), so its size is looked at before.
# That leaves the time of one pass: a file cut while a pass reads it ends the process, as it does in NumPy.

from libc.stdint cimport int64_t
cimport numpy as np

import mmap

import numpy as np


class PassingMap(mmap.mmap):
    """A file mapped for reading, of which passes keep no more in this process than what they are reading.

    Its pages go back to the system, which reads them from its cache of files the next time.
    """


cdef class MappedFile:
    """The mapping an array lies in and the size, in bytes, that its file must have to hold all of the array."""

    cdef readonly object mapping, needed

    def __init__(self, mapping, needed):
        self.mapping, self.needed = mapping, needed


def file_behind(X):
    """The MappedFile that X lies in, or None if it lies in memory."""
    holder, offset = X, 0
    while holder is not None and not isinstance(holder, mmap.mmap):
        if isinstance(holder, np.memmap) and holder.offset:
            offset = holder.offset - holder.offset % mmap.ALLOCATIONGRANULARITY  # where the mapping begins
        holder = holder.obj if isinstance(holder, memoryview) else getattr(holder, "base", None)
    if holder is None or not X.size:
        return None
    first = np.frombuffer(holder, np.uint8, 1).ctypes.data
    last = X.ctypes.data + sum((length - 1) * max(stride, 0) for length, stride in zip(X.shape, X.strides, strict=True))
    return MappedFile(holder, offset + last + X.itemsize - first)


def check_file(file, name="X"):
    """Raise ValueError if the file, a result of file_behind, has become too short; return nothing."""
    if file is None:
        return
    try:
        size = file.mapping.size()
    except (OSError, ValueError):  # memory without a file
        return
    if size < file.needed:
        raise ValueError(f"{name} is memory-mapped and needs {file.needed} bytes of its file, which has {size}: it was "
                         f"cut after {name} was mapped; write it anew and map it again")


def is_read_once(file):
    """Whether pages of the file, a result of file_behind, are given back once they have been read."""
    return file is not None and isinstance(file.mapping, PassingMap)


cdef bint _are_read_once(np.ndarray a, np.ndarray b) except -1:
    """Whether pages of both arrays are given back."""
    if np.PyArray_ISWRITEABLE(a) or np.PyArray_ISWRITEABLE(b):
        return False
    return is_read_once(file_behind(a)) and is_read_once(file_behind(b))


def release(np.ndarray X):
    """Give back the pages that hold X (n, d), if they are of a PassingMap."""
    cdef flr_matrix matrix
    if X.flags.writeable or not is_read_once(file_behind(X)):
        return
    _describe(&matrix, X)
    matrix.release = FLR_RELEASE
    flr_release(&matrix)


def release_csr(np.ndarray data, np.ndarray indices):
    """The same of values and columns (nnz,) of some rows in compressed sparse rows."""
    cdef flr_csr matrix
    cdef np.ndarray indptr = np.array([0, len(data)])
    _describe_csr(&matrix, data, indices, indptr, 0)
    flr_csr_release(&matrix)
