# Coordinate descent on the quadratic model of a loss with an L1 penalty.

from libc.stdint cimport int32_t, int64_t
cimport numpy as np

import numpy as np


cdef class CoordinateModel:
    """A quadratic model of some columns, and the step that sweeps over its coordinates have come to.

    columns: float32 (any, n), or (values, rows, starts) of their non-zero values: float32 (nnz,), int32 (nnz,), int64
    (any + 1,), all times the roots of the rows' weights; order (m,) int64 says which of them are the model's; h (k, n);
    root (n,) or None without an intercept; g and w (k, m), g0 (k,), l1 and l2 (m,): see csrc/drivers/coordinate.c.

    t (k, m) and, of softmax, t0 (k,) are the step; n_values how many values its columns have.
    """

    cdef flr_coordinate c
    cdef object held
    cdef int workers
    cdef readonly object t, t0, w, g, h, P, q, l1, l2, root, weight
    cdef readonly int64_t n_values
    cdef object g0, moved

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
            if nnz and rows.view(np.uint32).max() >= n:  # negative ones are large
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
        _pointer(h, np.float64, (k, n), "h")
        pairs = np.zeros((k, n if is_sparse else 0, 2))
        if is_sparse:
            pairs[:, :, 0] = h
            h = pairs[:, :, 0]
        self.c.h = <const double *>np.PyArray_DATA(<np.ndarray>h)
        self.c.root = <const double *>_pointer(root, np.float64, (n,), "root")
        self.c.g = <const double *>_pointer(g, np.float64, (k, m), "g")
        self.c.g0 = <const double *>_pointer(g0, np.float64, (k,), "g0")
        self.c.w = <const double *>_pointer(w, np.float64, (k, m), "w")
        self.c.l1 = <const double *>_pointer(l1, np.float64, (m,), "l1")
        self.c.l2 = <const double *>_pointer(l2, np.float64, (m,), "l2")
        self.c.floor, self.c.softmax = floor, softmax
        self.workers = _workers(n_threads)
        curvature, mean = np.zeros((k, m)), np.zeros((k, m))
        self.P, self.q = pairs[:, :, 1] if is_sparse else np.zeros((k, n)), np.zeros(n if softmax else 0)
        self.weight, self.moved = np.zeros(k), np.zeros(k)
        self.t, self.t0, self.g, self.g0, self.w = np.zeros((k, m)), np.zeros(k), g, g0, w
        self.h, self.l1, self.l2, self.root = h, l1, l2, root
        self.held = columns, order, curvature, mean
        self.c.curvature = <double *>np.PyArray_DATA(curvature)
        self.c.mean = <double *>np.PyArray_DATA(mean)
        self.c.weight = <double *>np.PyArray_DATA(self.weight)
        self.c.t = <double *>np.PyArray_DATA(self.t)
        self.c.t0 = <double *>np.PyArray_DATA(self.t0)
        self.c.P = <double *>np.PyArray_DATA(<np.ndarray>self.P)
        self.c.q = <double *>np.PyArray_DATA(self.q)
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

    def move(self, t, t0):
        """Take t (k, m) and, of softmax, t0 (k,) for the step."""
        cdef const double *to = <const double *>_pointer(t, np.float64, (self.c.k, self.c.m), "t")
        cdef const double *to0 = <const double *>_pointer(t0, np.float64, (self.c.k,), "t0")
        with nogil:
            flr_coordinate_move(&self.c, to, to0, self.workers)

    def slope_by_intercept(self, int64_t c):
        """The slope by the intercept of class c, of a sigmoid without a step of it; 0 where there is none."""
        if self.c.root == NULL:
            return 0.0
        if not self.c.softmax:
            return self.g0[c] + self.moved[c]
        return self.g0[c] + self.root @ (self.h[c] * (self.P[c] - self.q))

    def value(self):
        """The model and its penalty at the step, but for a constant."""
        t, h, P = self.t, self.h, self.P
        penalty = np.einsum("cj,j->", np.abs(self.w + t), self.l1) + np.einsum("cj,cj,j->", t, t, self.l2) / 2
        loss = np.vdot(self.g, t) + np.einsum("ci,ci,ci->", h, P, P) / 2 - self.q @ self.q / 2
        if self.c.root == NULL:
            return float(loss + penalty)
        if self.c.softmax:
            return float(loss + penalty + self.g0 @ self.t0)
        return float(loss + penalty - 0.5 * np.sum((self.moved + self.g0) ** 2 / (self.weight + self.c.floor)))

    @property
    def softmax(self):
        """Whether classes exclude each other."""
        return bool(self.c.softmax)

    @property
    def floor(self):
        """What is added to curvatures."""
        return self.c.floor

    def share(self):
        """The part of the coefficients that are not 0."""
        return float(np.mean(self.w + self.t != 0)) if self.t.size else 0.0

    def intercepts(self):
        """The step of the intercepts (k,)."""
        if self.c.root == NULL or self.c.softmax:
            return self.t0
        return -(self.moved + self.g0) / (self.weight + self.c.floor)
