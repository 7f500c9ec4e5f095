# What functions of this module are given, as the drivers take it: pointers, sizes, counts of threads.

from libc.stdint cimport int32_t, int64_t
cimport numpy as np

import numpy as np

LOSSES = {"softmax": 0, "sigmoid": 1, "squared_error": 2}


cdef _check(int status):
    if status == FLR_NO_MEMORY:
        raise MemoryError("fastlr could not allocate its scratch memory (a few tiles and one gradient per thread); "
                          "use fewer threads")


cdef int _workers(n_threads) except -1:
    """n_threads, an int of any size, as the drivers take it."""
    return min(n_threads, FLR_MAX_WORKERS)


cdef const int32_t *_labels(y, int64_t n, int64_t k, flr_loss loss) except? NULL:
    """Labels (n,), which kernels take for places: none may lie outside."""
    cdef const int32_t *labels = <const int32_t *>_pointer(y, np.int32, (n,), "y")
    cdef int64_t most = 2 if k == 1 and loss != LOSSES["softmax"] else min(k, 2**31)
    cdef int64_t row = flr_label_outside(labels, n, most)
    if row >= 0:
        raise ValueError(f"y has label {labels[row]} at row {row}; expected labels in [0, {most})")
    return labels


cdef void *_pointer(array, dtype, tuple shape, name) except? NULL:
    """The data of a C-contiguous, aligned array of this type and shape, NULL for None."""
    if array is None:
        return NULL
    cdef np.ndarray a = array
    if a.dtype != dtype or (<object>a).shape != shape or not np.PyArray_ISCARRAY_RO(a):
        raise ValueError(f"{name} has dtype {a.dtype} and shape {(<object>a).shape}; "
                         f"expected C-contiguous, aligned {dtype} {shape}")
    return np.PyArray_DATA(a)


cdef void *_output(array, dtype, tuple shape, name) except? NULL:
    """The same of an array that is written."""
    cdef void *data = _pointer(array, dtype, shape, name)
    if array is not None and not np.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{name} is read-only; expected an array that can be written")
    return data


cdef int64_t _real_size(np.ndarray array, name) except -1:
    if not (array.dtype == np.float32 or array.dtype == np.float64) or not np.PyArray_ISCARRAY_RO(array):
        raise ValueError(f"{name} has dtype {array.dtype}, strides {(<object>array).strides}; expected C-contiguous, "
                         "aligned float32 or float64")
    return np.PyArray_ITEMSIZE(array)
