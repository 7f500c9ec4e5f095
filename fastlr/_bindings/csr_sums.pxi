# Sparse X before a fit: is it sound, and sums of its columns.

from libc.stdint cimport int64_t
cimport numpy as np

import numpy as np

_CSR_FAULTS = (None, "start", "falls", "end", "index", "value")


def csr_first_fault(np.ndarray data, np.ndarray indices, np.ndarray indptr, int64_t d, n_threads, values=True):
    """What is wrong with X of these arrays, or None: the first fault, found in one reading.

    (what, row, position, value), with the value found at that position:
        "start"  indptr does not begin at 0          "falls"  indptr[position] is less than the value before it
        "end"    indptr ends beyond indices or data  "index"  indices[position] is outside [0, d)
        "value"  data[position] is nan or infinite, if values is true
    Faults of indptr come first, then those of indices and data by position.
    """
    cdef flr_csr X
    cdef flr_csr_fault fault
    cdef int workers = _workers(n_threads), with_values = bool(values)
    cdef int64_t n_indices = len(indices), n_data = len(data)
    _describe_csr(&X, data, indices, indptr, d)
    for array, name in ((data, "data"), (indices, "indices"), (indptr, "indptr")):
        check_file(file_behind(array), name)
    with nogil:
        fault = flr_csr_first_fault(&X, n_indices, n_data, with_values, workers)
    what = _CSR_FAULTS[fault.kind]
    if what is None:
        return None
    source = indices if what == "index" else data if what == "value" else indptr
    return what, fault.row, fault.position, source[fault.position].item()


def csr_column_sums(np.ndarray data, np.ndarray indices, np.ndarray indptr, int64_t d, weight=None, n_threads=1, *,
                    want=("sums", "squares", "count", "largest", "smallest")):
    """Of each column, over rows of weight other than 0, equal columns of a row added up: {name: (d,)} of those wanted.

    "sums" of weight * x, "squares" of weight * x^2; "count" of rows in which x is not 0 (int64), "largest" |x|, and
    "smallest" |x| that is not 0 (inf if there is none).
    """
    cdef flr_csr X
    cdef flr_csr_sums out
    cdef int status, workers = _workers(n_threads)
    _describe_csr(&X, data, indices, indptr, d)
    cdef const double *weight_in = <const double *>_pointer(weight, np.float64, (X.n,), "weight")
    results = {name: np.empty(d, np.int64 if name == "count" else np.float64) for name in want}
    out.sums = <double *>_output(results.get("sums"), np.float64, (d,), "sums")
    out.squares = <double *>_output(results.get("squares"), np.float64, (d,), "squares")
    out.largest = <double *>_output(results.get("largest"), np.float64, (d,), "largest")
    out.smallest = <double *>_output(results.get("smallest"), np.float64, (d,), "smallest")
    out.count = <int64_t *>_output(results.get("count"), np.int64, (d,), "count")
    with nogil:
        status = flr_csr_column_sums(&out, &X, weight_in, workers)
    _check(status)
    return results


def csr_hessian_diagonal(data, indices, indptr, d, weight, n_threads=1):
    """sum_i weight_i x_ij^2 (d,): of the Hessian with these weights of rows (n,), what is on the diagonal."""
    return csr_column_sums(data, indices, indptr, d, weight, n_threads, want=("squares",))["squares"]


def csr_gram(np.ndarray data, np.ndarray indices, np.ndarray indptr, int64_t d, columns, weight=None, n_threads=1):
    """X[:, columns]' diag(weight) X[:, columns] (m, m) and X[:, columns]' weight (m,); columns (m,) int64, distinct."""
    cdef flr_csr X
    cdef int status, workers = _workers(n_threads)
    cdef int64_t m = len(columns)
    _describe_csr(&X, data, indices, indptr, d)
    cdef const double *weight_in = <const double *>_pointer(weight, np.float64, (X.n,), "weight")
    cdef const int64_t *columns_in = <const int64_t *>_pointer(columns, np.int64, (m,), "columns")
    if flr_order_outside(columns_in, m, d) >= 0 or len(np.unique(columns)) < m:
        raise ValueError(f"columns has values outside [0, {d}), or one more than once")
    cdef np.ndarray G = np.empty((m, m)), s = np.empty(m)
    cdef double *G_out = <double *>np.PyArray_DATA(G)
    cdef double *s_out = <double *>np.PyArray_DATA(s)
    with nogil:
        status = flr_csr_gram(G_out, s_out, &X, columns_in, m, weight_in, workers)
    _check(status)
    return G, s
