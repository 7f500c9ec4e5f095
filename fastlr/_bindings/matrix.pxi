# X as the drivers see it: its type, its strides, and whether it is finite.

from libc.stdint cimport int64_t
cimport numpy as np

import numpy as np

DTYPES = {"float64": 0, "float32": 1, "float16": 2, "bfloat16": 3, "uint8": 4, "bool": 4, "int8": 5, "uint16": 6,
          "int16": 7, "int32": 8, "uint32": 9, "int64": 10, "uint64": 11}
_CODES = {np.dtype(name): code for name, code in DTYPES.items() if name != "bfloat16"}  # dtype.name is slow


cdef int _code(dtype) except -1:
    """Code of a dtype; TypeError if X of that type is not supported."""
    code = _CODES.get(dtype)
    if code is None:
        if dtype.name != "bfloat16" or not dtype.isnative:
            raise TypeError(f"X has dtype {dtype}; expected one of {', '.join(DTYPES)}")
        code = DTYPES["bfloat16"]  # a type that NumPy does not know until its owner is imported
    return code


def real_dtype(dtype):
    """The type a tile of such X computes in: float32 for float32 and 8- or 16-bit input, else float64."""
    return np.dtype(np.float32 if flr_real_size(_code(dtype)) == 4 else np.float64)


cdef int _describe(flr_matrix *out, np.ndarray X) except -1:
    if X.ndim != 2:
        raise ValueError(f"X has {X.ndim} dimensions; expected 2, (n_samples, n_features)")
    out.data = <const char *>np.PyArray_DATA(X)
    out.dtype = _code(X.dtype)
    out.n, out.d = X.shape[0], X.shape[1]
    out.row_stride, out.col_stride = X.strides[0], X.strides[1]
    if out.d == 1:  # the stride of a single column says nothing
        out.col_stride = np.PyArray_ITEMSIZE(X)
    out.release = 0
    return 0


def first_nonfinite(np.ndarray X, n_threads):
    """(row, column) of the first value of X (n, d) that is nan or infinite, in row order; None if all are finite."""
    cdef flr_matrix matrix
    cdef int64_t row, col
    cdef int status, workers = _workers(n_threads)
    _describe(&matrix, X)
    matrix.release = FLR_RELEASE if is_read_once(file_behind(X)) else 0
    with nogil:
        status = flr_find_nonfinite(&row, &col, &matrix, workers)
    _check(status)
    return None if row < 0 else (row, col)
