# Coordinate descent on the quadratic model of a loss with an L1 penalty.

from libc.stdint cimport int32_t, int64_t
cimport numpy as np

import numpy as np


cdef class CoordinateModel:
    """A quadratic model of some columns, and the step that sweeps over its coordinates have come to.

    columns: float32 (any, n), or (values, rows, starts) of their non-zero values: float32 (nnz,), int32 (nnz,), int64
    (any + 1,), all times the roots of the rows' weights; order (m,) int64 says which of them are the model's; h (k, n);
    root (n,) or None without an intercept; g and w (k, m), g0 (k,), l1 and l2 (m,): see csrc/drivers/coordinate.c.

    t (k, m) is the step; n_values how many values its columns have.
    """

    cdef flr_coordinate c
    cdef object held
    cdef int workers
    cdef readonly object t
    cdef readonly int64_t n_values
    cdef object w, t0, g0, mean, weight, moved

    def __init__(self, columns, h, root, g, g0, w, l1, l2, order, *, bint softmax, double floor, n_threads=1):
        is_sparse = isinstance(columns, tuple)
        cdef int64_t k = len(h), n = h.shape[1], m = len(l1), n_columns
        if is_sparse:
            values, rows, starts = columns
            nnz = len(values)
            self.c.values = <const float *>_pointer(values, np.float32, (nnz,), "values")
            self.c.rows = <const int32_t *>_pointer(rows, np.int32, (nnz,), "rows")
            n_columns = len(starts) - 1
            self.c.starts = <const int64_t *>_pointer(starts, np.int64, (n_columns + 1,), "starts")
            if nnz and not (0 <= rows.min() and rows.max() < n):
                raise ValueError(f"rows lie in [{rows.min()}, {rows.max()}]; expected places below {n}")
            if starts[0] != 0 or starts[-1] != nnz or (np.diff(starts) < 0).any():
                raise ValueError(f"starts is {starts}; expected it to rise from 0 to {nnz}")
        else:
            n_columns = len(columns)
            self.c.values = <const float *>_pointer(columns, np.float32, (n_columns, n), "columns")
        self.c.order = <const int64_t *>_pointer(order, np.int64, (m,), "order")
        if flr_order_outside(self.c.order, m, n_columns) >= 0:
            raise ValueError(f"order has values outside [0, {n_columns})")
        self.n_values = int(np.diff(starts)[order].sum()) if is_sparse else m * n
        self.c.n, self.c.m, self.c.k = n, m, k
        self.c.h = <const double *>_pointer(h, np.float64, (k, n), "h")
        self.c.root = <const double *>_pointer(root, np.float64, (n,), "root")
        self.c.g = <const double *>_pointer(g, np.float64, (k, m), "g")
        self.c.g0 = <const double *>_pointer(g0, np.float64, (k,), "g0")
        self.c.w = <const double *>_pointer(w, np.float64, (k, m), "w")
        self.c.l1 = <const double *>_pointer(l1, np.float64, (m,), "l1")
        self.c.l2 = <const double *>_pointer(l2, np.float64, (m,), "l2")
        self.c.floor, self.c.softmax = floor, softmax
        self.workers = _workers(n_threads)
        curvature, P, q = np.zeros((k, m)), np.zeros((k, n)), np.zeros(n if softmax else 0)
        self.mean, self.weight, self.moved = np.zeros((k, m)), np.zeros(k), np.zeros(k)
        self.t, self.t0, self.g0, self.w = np.zeros((k, m)), np.zeros(k), g0, w
        self.held = columns, order, h, root, g, l1, l2, curvature, P, q
        self.c.curvature = <double *>np.PyArray_DATA(curvature)
        self.c.mean = <double *>np.PyArray_DATA(self.mean)
        self.c.weight = <double *>np.PyArray_DATA(self.weight)
        self.c.t = <double *>np.PyArray_DATA(self.t)
        self.c.t0 = <double *>np.PyArray_DATA(self.t0)
        self.c.P = <double *>np.PyArray_DATA(P)
        self.c.q = <double *>np.PyArray_DATA(q)
        self.c.moved = <double *>np.PyArray_DATA(self.moved)
        with nogil:
            flr_coordinate_measure(&self.c, self.workers)

    def sweep(self, *, bint everything):
        """One sweep over all coefficients, or those that are not 0: how far it found each class from optimal (k,)."""
        violation = np.zeros(self.c.k)
        cdef double *out = <double *>np.PyArray_DATA(violation)
        with nogil:
            flr_coordinate_sweep(&self.c, out, everything, self.workers)
        return violation

    def share(self):
        """The part of the coefficients that are not 0."""
        return float(np.mean(self.w + self.t != 0)) if self.t.size else 0.0

    def intercepts(self):
        """The step of the intercepts (k,)."""
        if self.c.root == NULL or self.c.softmax:
            return self.t0
        return -(self.moved + self.g0) / (self.weight + self.c.floor)
