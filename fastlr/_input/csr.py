"""Sparse X: rows of (column, value) pairs as the kernels read them, and the check of what users pass in.

A CSR matrix of SciPy is taken as it is, its three arrays unchanged and uncopied: entries in any order, several of the
same place (they add up), zeros, indices of 32 or 64 bits.  SciPy's flags, which may lie, are not looked at.  Other
formats are converted once.  Every index is compared with the shape before a kernel uses it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fastlr import _core
from fastlr._input.arrays import as_kernels_read, refuse_sparse_and_masked

_INDEX = (np.dtype(np.int32), np.dtype(np.int64))
RUN_VALUES = 1 << 20  # values of rows that are worked on at a time
_REAL = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True, eq=False)
class Csr:
    """n rows of d columns: row i holds values `data[indptr[i]:indptr[i + 1]]` at the columns `indices` of these places.

    Attributes
    ----------
    data : ndarray (nnz,) float32 or float64
    indices : ndarray (nnz,) int32 or int64
    indptr : ndarray (n + 1,) int32 or int64
    shape : (n, d)
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple

    dtype = property(lambda self: self.data.dtype)
    ndim = 2
    size = property(lambda self: len(self.data), doc="Values that are stored.")

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, part):
        """Some rows: a slice, indices or a mask. Rows that follow each other are not copied."""
        if isinstance(part, slice):
            start, stop, step = part.indices(len(self))
            if step == 1:
                return self._run(start, max(start, stop))
            part = np.arange(start, stop, step)
        elif np.asarray(part).dtype == bool:
            part = np.flatnonzero(part)
        starts = self.indptr[part].astype(np.int64)
        indptr = np.zeros(len(part) + 1, np.int64)
        np.cumsum(self.indptr[np.add(part, 1)] - starts, out=indptr[1:])
        taken = Csr(np.empty(indptr[-1], self.dtype), np.empty(indptr[-1], self.indices.dtype), indptr,
                    (len(part), self.shape[1]))
        for rows, there in taken.runs():
            places = np.repeat(starts[rows] - indptr[rows], np.diff(indptr[rows.start : rows.stop + 1]))
            places += np.arange(there.start, there.stop)
            taken.data[there], taken.indices[there] = self.data[places], self.indices[places]
            some = np.asarray(part)[rows]
            self.release(some.min(), some.max() + 1)
        self.release()
        return taken

    def runs(self):
        """Slices of rows that follow each other and have about RUN_VALUES values, and the slices of these values."""
        ends = np.arange(0, max(self.indptr[-1], 1), RUN_VALUES)
        bounds = np.unique([0, *np.searchsorted(self.indptr, ends), len(self)])
        for first, last in pairwise(bounds):
            yield slice(first, last), slice(self.indptr[first], self.indptr[last])

    def release(self, first=0, end=-1):
        """Give back the pages of mapped files in which rows lie that have been read."""
        places = slice(int(self.indptr[first]), int(self.indptr[end]))
        _core.release_csr(self.data[places], self.indices[places])

    def _run(self, start, stop):
        if stop - start == len(self):
            return self
        indptr = self.indptr[start : stop + 1]
        entries = slice(int(indptr[0]), int(indptr[-1]))
        return Csr(self.data[entries], self.indices[entries], indptr - indptr[0], (stop - start, self.shape[1]))

    def copy(self):
        """The same in memory of its own."""
        return Csr(self.data.copy(), self.indices.copy(), self.indptr.copy(), self.shape)

    def astype(self, dtype, copy=True):
        """The same with values of another type."""
        return self.with_data(self.data.astype(dtype, copy=copy))

    def with_data(self, data):
        """The same places with other values (nnz,)."""
        return Csr(data, self.indices, self.indptr, self.shape)

    def row_numbers(self):
        """The row of each stored value (nnz,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def toarray(self, dtype=np.float64):
        """The rows (n, d) as they are when written out."""
        n, d = self.shape
        places = self.row_numbers() * d + self.indices
        return np.bincount(places, self.data, n * d).reshape(n, d).astype(dtype, copy=False)

    def to_scipy(self):
        """As SciPy has it."""
        from scipy.sparse import csr_array

        return csr_array((self.data, self.indices, self.indptr), shape=self.shape)


def stacked(parts, d, dtype):
    """One `Csr` of several of the same d columns, one after the other."""
    n_values = np.cumsum([0, *(part.size for part in parts)])
    indptr = [np.zeros(1, np.int64), *(part.indptr[1:].astype(np.int64) + before
                                       for part, before in zip(parts, n_values, strict=False))]
    data, indices = (np.concatenate([np.empty(0, kind), *(getattr(part, name) for part in parts)])
                     for name, kind in (("data", dtype), ("indices", np.int32)))
    indptr = np.concatenate(indptr)
    return Csr(data, indices, indptr, (len(indptr) - 1, d))


def problem_of(X, y, k, **options):
    """The passes over X, an ndarray or a `Csr`: see `_core.Problem`."""
    if isinstance(X, Csr):
        return _core.CsrProblem(X.data, X.indices, X.indptr, X.shape[1], y, k, **options)
    return _core.Problem(X, y, k, **options)


def is_sparse(value):
    """Whether it is a sparse matrix or array of SciPy."""
    return hasattr(value, "tocsr") and hasattr(value, "toarray")


def check_csr(X, n_threads, *, finite=False, name="X"):
    """The `Csr` of a sparse matrix or array of SciPy.

    Values of float32 and float64 stay what they are, others are converted.  `finite` asks for finite ones.

    Raises
    ------
    TypeError
        For values that are no real numbers.
    ValueError
        If X is complex, not two-dimensional, its parts do not fit together, an index lies outside, or a value is not
        finite.
    """
    if X.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {X.dtype}; use {name}.real and {name}.imag as "
                         f"separate features")
    if X.dtype.name not in _core.DTYPES:
        raise TypeError(f"{name} has dtype {X.dtype}; expected real numbers: use {name}.astype(np.float64)")
    if X.ndim != 2:
        raise ValueError(f"{name} has shape {X.shape}; expected two dimensions (n_samples, n_features). Reshape your "
                         f"data: {name}.reshape(1, -1) is one sample")
    if X.format != "csr":
        _check_before_conversion(X, name)
        X = X.tocsr()
    refuse_sparse_and_masked(X.data, f"{name}.data")
    parts = [_part(getattr(X, part), f"{name}.{part}") for part in ("data", "indices", "indptr")]
    return _checked(*parts, tuple(map(int, X.shape)), n_threads, finite, name)


def _part(array, name):
    """One of the three arrays, of a type that kernels read."""
    array = np.asarray(array)
    _core.check_file(_core.file_behind(array), name)
    is_index = not name.endswith("data")
    if is_index and array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}; expected int32 or int64")
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; expected one dimension")
    native = array.dtype.newbyteorder("=")
    if is_index:
        return as_kernels_read(array, native if native in _INDEX else np.int64)
    return as_kernels_read(array, native if native in _REAL else _core.real_dtype(native))


def _checked(data, indices, indptr, shape, n_threads, finite, name):
    n, d = shape
    if len(indptr) != n + 1:
        raise ValueError(f"{name}.indptr has {len(indptr)} values; expected {n + 1}, one more than the {n} rows")
    fault = _core.csr_first_fault(data, indices, indptr, d, n_threads, values=finite)
    if fault is not None:
        _refuse(*fault, Csr(data, indices, indptr, shape), name)
    nnz = int(indptr[-1])
    return Csr(data[:nnz], indices[:nnz], indptr, shape)


def _check_before_conversion(X, name):
    """Raise ValueError if an index of another format lies outside: SciPy's conversions trust them."""
    if X.format == "coo":
        if not len(X.row) == len(X.col) == len(X.data):
            raise ValueError(f"{name} has {len(X.row)} rows, {len(X.col)} columns and {len(X.data)} values; expected "
                             f"as many of each")
        _check_range(X.row, X.shape[0], f"{name}.row")
        _check_range(X.col, X.shape[1], f"{name}.col")
    elif X.format in ("csc", "bsr"):
        n, d = X.shape[::-1] if X.format == "csc" else np.floor_divide(X.shape, X.blocksize)
        n_entries, steps = min(len(X.indices), len(X.data)), np.diff(X.indptr)
        if len(X.indptr) != n + 1 or X.indptr[0] != 0 or steps.min(initial=0) < 0 or X.indptr[-1] > n_entries:
            raise ValueError(f"{name}.indptr does not fit {name}.indices and {name}.data, which have {n_entries} "
                             f"entries; expected {n + 1} places from 0 on, none less than the one before")
        _check_range(X.indices, d, f"{name}.indices")


def _check_range(index, size, name):
    """Raise ValueError if an index lies outside [0, size)."""
    if len(index) and not (index.min() >= 0 and index.max() < size):
        place = np.flatnonzero((index < 0) | (index >= size))[0]
        raise ValueError(f"{name} has {index[place]} at place {place}; expected indices from 0 to {size - 1}")


def _refuse(what, row, place, value, X, name):
    """Raise ValueError for what `_core.csr_first_fault` has found."""
    (n, d), n_entries = X.shape, min(len(X.indices), len(X.data))
    if what == "value":
        number = "NaN" if np.isnan(value) else "infinity"
        raise ValueError(f"Input {name} contains {number}, first at row {row}, column {X.indices[place]}; expected "
                         f"finite numbers: drop such rows or fill in the values")
    found, expected = {
        "start": (f"{name}.indptr begins with {value}", "0"),
        "falls": (f"{name}.indptr falls to {value} at the end of row {row}", "at least the value before it"),
        "end": (f"{name}.indptr ends with {value}, and {name}.indices and {name}.data have {n_entries} entries",
                "at most as many"),
        "index": (f"{name}.indices has {value} in row {row}, at place {place}", f"columns from 0 to {d - 1}"),
    }[what]
    raise ValueError(f"{found}; expected {expected}: build the matrix anew, as its parts do not describe one of shape "
                     f"{(n, d)}")


def check_finite_values(X, n_threads, name="X"):
    """Raise ValueError naming the first stored value of a `Csr` that is nan or infinite; return nothing."""
    fault = _core.csr_first_fault(X.data, X.indices, X.indptr, X.shape[1], n_threads)
    if fault is not None:
        _refuse(*fault, X, name)


def first_nonfinite(X, n_threads):
    """(row, column) and value of the first stored value that is nan or infinite, or None."""
    fault = _core.csr_first_fault(X.data, X.indices, X.indptr, X.shape[1], n_threads)
    if fault is None:
        return None
    _, row, place, value = fault
    return (row, int(X.indices[place])), value
