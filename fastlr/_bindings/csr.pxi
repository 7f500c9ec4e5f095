# The passes over X in compressed sparse rows.

from libc.stdint cimport int32_t, int64_t
cimport numpy as np

import numpy as np


cdef int _describe_csr(flr_csr *out, data, indices, indptr, int64_t d) except -1:
    """X of these arrays (nnz,), (nnz,), (n + 1,); no value of them is looked at."""
    for array, types, name in ((data, (np.float32, np.float64), "data"), (indices, (np.int32, np.int64), "indices"),
                               (indptr, (np.int32, np.int64), "indptr")):
        if array.ndim != 1 or array.dtype.type not in types or not np.PyArray_ISCARRAY_RO(array):
            raise ValueError(f"{name} has dtype {array.dtype}, shape {array.shape}, strides {array.strides}; expected "
                             f"(n,), contiguous, aligned {' or '.join(t.__name__ for t in types)}")
    if len(indptr) < 1 or d < 0:
        raise ValueError(f"indptr has {len(indptr)} values and d is {d}; expected at least 1 and 0")
    out.data = np.PyArray_DATA(data)
    out.dtype = _code(data.dtype)
    out.indices = np.PyArray_DATA(indices)
    out.indptr = np.PyArray_DATA(indptr)
    out.index_size = np.PyArray_ITEMSIZE(indices)
    out.indptr_size = np.PyArray_ITEMSIZE(indptr)
    out.n, out.d = len(indptr) - 1, d
    out.release = FLR_RELEASE if _are_read_once(data, indices) else 0
    return 0


cdef class CsrColumns:
    """A transposed copy of X for k classes: with it a gradient needs no memory for each thread, and is faster if k > 1.

    It takes 6 bytes (float32) or 10 for a non-zero, 2 more where columns are so many that blocks have over 65,536 rows,
    and up to 2 for the places of columns.  Problems of the same X with other weights may share it.
    """

    cdef flr_csr_columns c
    cdef readonly object data, rows, starts
    cdef readonly int64_t block_rows
    cdef object source

    def __init__(self, np.ndarray data, np.ndarray indices, np.ndarray indptr, int64_t d, int64_t k, n_threads=1):
        cdef flr_csr X
        cdef int workers = _workers(n_threads)
        _describe_csr(&X, data, indices, indptr, d)
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1")
        self.source = (data, indices, indptr, d)
        self.c = flr_csr_plan_columns(&X, k)
        self.block_rows = self.c.block_rows
        self.data = np.empty(indptr[X.n], data.dtype)
        self.rows = np.empty(indptr[X.n], np.uint16 if self.c.row_size == 2 else np.int32)
        self.starts = np.empty((self.c.n_blocks, d + 1), np.int64)
        self.c.data, self.c.rows = np.PyArray_DATA(self.data), np.PyArray_DATA(self.rows)
        self.c.starts = <int64_t *>np.PyArray_DATA(self.starts)
        with nogil:
            flr_csr_transpose(&self.c, &X, workers)

    cdef bint is_of(self, data, indices, indptr, d):
        a, b, c, e = self.source
        return a is data and b is indices and c is indptr and e == d


# Gradients (k, d) of more values, of some classes, are made by a transposed copy, which a problem makes for itself:
# their sums leave the caches, and one gradient pays for the copy. Of one class the copy costs what 15 gradients save.
_MOST_SUMS = 1 << 17


cdef class CsrProblem:
    """`Problem` for X in compressed sparse rows: the same passes, and the same conventions.

    data (nnz,) float32 or float64, the real type; indices (nnz,) and indptr (n + 1,) int32 or int64; d columns.  Rows
    may be unsorted and name a column more than once.  Passes trust indices and indptr: `csr_first_fault` first.
    """

    cdef flr_csr_pass c  # never changed: calls from several threads each take a copy
    cdef double unit  # the passes' weights times this are the weights
    cdef readonly object data, indices, indptr, y, weight, offset, scale, shift, real, loss
    cdef readonly int64_t n, d, k
    cdef object held  # what c.weight points to
    cdef readonly CsrColumns columns
    cdef list files  # that data, indices and indptr lie in, or None; they may shrink between passes

    def __init__(self, np.ndarray data, np.ndarray indices, np.ndarray indptr, int64_t d, y, int64_t k, *,
                 loss="softmax", weight=None, offset=None, scale=None, shift=None, n_threads=1,
                 CsrColumns columns=None):
        self.data, self.indices, self.indptr = data, indices, indptr
        self.y, self.weight, self.offset, self.scale, self.shift = y, weight, offset, scale, shift
        _describe_csr(&self.c.X, data, indices, indptr, d)
        self.n, self.d, self.k = self.c.X.n, d, k
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1")
        self.real = data.dtype
        if columns is not None and not columns.is_of(data, indices, indptr, d):
            raise ValueError("columns is a copy of other arrays; expected one of data, indices and indptr")
        self.columns = columns
        self.files = [file_behind(array) for array in (data, indices, indptr)]
        self.loss = loss
        self.c.loss = LOSSES[loss]
        self.c.k = k
        self.c.n_threads = _workers(n_threads)
        if y is not None and y.dtype == np.int32 and y.ndim == 1:
            self.c.label = _labels(y, self.n, k, self.c.loss)
        elif y is not None:
            self.c.prob = _pointer(y, self.real, (self.n, k), "y")
        _pointer(weight, np.float64, (self.n,), "weight")
        self.held, exponent = moderate_weights(weight)
        self.unit = 2.0**exponent
        self.c.weight = <const double *>_pointer(self.held, np.float64, (self.n,), "weight")
        self.c.offset = _pointer(offset, self.real, (self.n, k), "offset")
        _pointer(scale, np.float64, (d,), "scale")
        _pointer(shift, np.float64, (d,), "shift")

    cdef flr_csr_pass checked(self) except *:
        """The pass, if the files of memory-mapped parts are still as long as they were."""
        for file, name in zip(self.files, ("data", "indices", "indptr"), strict=True):
            check_file(file, name)
        return self.c

    cdef need_targets(self):
        if self.y is None:
            raise ValueError("y is None; expected labels or targets, which a loss needs")

    cdef CsrColumns gather(self, flr_csr_pass *c):
        """Let c, of a gradient, take the transposed copy, which must live as long, if there is to be one."""
        cdef CsrColumns columns = self.columns
        cdef bint has_room = self.c.X.release != FLR_RELEASE  # X is no larger than memory
        if columns is None and has_room and self.k > 1 and self.k * self.d > _MOST_SUMS:
            columns = CsrColumns(self.data, self.indices, self.indptr, self.d, self.k, self.c.n_threads)
            self.columns = columns
        c.columns = NULL if columns is None else &columns.c
        return columns

    cdef tuple fold(self, W, b):
        """W (k, d), b (k,) for (X - shift) * scale as parameters for X itself: float64 and real."""
        if W.shape != (self.k, self.d) or b.shape != (self.k,):
            raise ValueError(f"W has shape {W.shape} and b {b.shape}; expected {(self.k, self.d)} and {(self.k,)}")
        if self.scale is not None:
            W = W * self.scale
        if self.shift is not None:
            b = b - np.einsum("cj,j->c", W, self.shift)  # a BLAS would leave its threads spinning
        return np.ascontiguousarray(W, np.float64), np.ascontiguousarray(b, self.real)

    cdef tuple unfold(self, G, g, double unit):
        """The gradient of the folded parameters, times the weights' unit, in place."""
        cdef double[:, ::1] sums = G
        cdef const double[::1] shift
        cdef double of_intercept
        cdef int64_t c, j
        if self.shift is not None:
            shift = self.shift
            for c in range(self.k):  # an outer product would be one more array of millions
                of_intercept = g[c]
                for j in range(self.d):
                    sums[c, j] -= of_intercept * shift[j]
        if self.scale is not None:
            G *= self.scale
        if unit != 1:
            G *= unit
            g *= unit
        return G, g

    def loss_and_grad(self, W, b, R_out=None):
        """Sum of the losses, its gradient (k, d) and (k,); R_out (n, k) real = weight * (A - Y), if it is not None."""
        cdef flr_csr_pass c = self.checked()
        cdef np.ndarray W_in, b_in
        W_in, b_in = self.fold(W, b)
        c.W, c.b = <const double *>np.PyArray_DATA(W_in), np.PyArray_DATA(b_in)
        return self.loss_gradient(&c, R_out)

    def loss_and_grad_at(self, logits, R_out=None):
        """The same where the rows' logits (n, k), real, offset and all, are these; R_out may be logits."""
        cdef flr_csr_pass c = self.checked()
        c.logits = _pointer(logits, self.real, (self.n, self.k), "logits")
        return self.loss_gradient(&c, R_out)

    cdef tuple loss_gradient(self, flr_csr_pass *c, R_out):
        cdef np.ndarray G = np.empty((self.k, self.d)), g = np.empty(self.k)
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *g_out = <double *>np.PyArray_DATA(g)
        cdef double loss = 0
        cdef int status
        self.need_targets()
        c.R_out = _output(R_out, self.real, (self.n, self.k), "R_out")
        _alive = self.gather(c)
        with nogil:
            status = flr_csr_loss_and_grad(&loss, G_out, g_out, c)
        _check(status)
        self.unfold(G, g, self.unit)
        if R_out is not None and self.unit != 1:
            R_out *= self.real.type(self.unit)
        return loss * self.unit, G, g

    def hessp(self, W, b, V, c):
        """The Hessian of the loss sum at (W, b) times (V, c): (k, d) and (k,)."""
        cdef flr_csr_pass p = self.checked()
        cdef np.ndarray W_in, b_in
        W_in, b_in = self.fold(W, b)
        p.W, p.b = <const double *>np.PyArray_DATA(W_in), np.PyArray_DATA(b_in)
        return self.hessian_product(&p, V, c)

    def hessp_at(self, logits, V, c):
        """The same where the rows' logits (n, k), real, offset and all, are these."""
        cdef flr_csr_pass p = self.checked()
        p.logits = _pointer(logits, self.real, (self.n, self.k), "logits")
        return self.hessian_product(&p, V, c)

    cdef tuple hessian_product(self, flr_csr_pass *p, V, c):
        cdef np.ndarray G = np.empty((self.k, self.d)), g = np.empty(self.k), V_in, c_in
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *g_out = <double *>np.PyArray_DATA(g)
        cdef int status
        V_in, c_in = self.fold(V, c)
        cdef const double *V_data = <const double *>np.PyArray_DATA(V_in)
        cdef const void *c_data = np.PyArray_DATA(c_in)
        _alive = self.gather(p)
        with nogil:
            status = flr_csr_hessp(G_out, g_out, p, V_data, c_data)
        _check(status)
        return self.unfold(G, g, self.unit)

    def outer(self, R):
        """R' Xs (k, d) and R' 1 (k,) of residuals R (n, k) in the real type, with Xs = (X - shift) * scale.

        R is weighted already: weights only say which rows of X, those of weight 0, count as zeros.
        """
        cdef flr_csr_pass c = self.checked()
        cdef np.ndarray G = np.empty((self.k, self.d)), g = np.empty(self.k)
        cdef const void *R_in = _pointer(R, self.real, (self.n, self.k), "R")
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *g_out = <double *>np.PyArray_DATA(g)
        cdef int status
        _alive = self.gather(&c)
        with nogil:
            status = flr_csr_outer(G_out, g_out, &c, R_in)
        _check(status)
        return self.unfold(G, g, 1)

    def logits(self, W, b):
        """Z (n, k) in the real type."""
        cdef flr_csr_pass c = self.checked()
        cdef np.ndarray Z = np.empty((self.n, self.k), self.real), W_in, b_in
        cdef void *Z_out = np.PyArray_DATA(Z)
        cdef int status
        W_in, b_in = self.fold(W, b)
        c.W, c.b = <const double *>np.PyArray_DATA(W_in), np.PyArray_DATA(b_in)
        with nogil:
            status = flr_csr_logits(Z_out, &c)
        _check(status)
        return Z

    def evaluate(self, W, b):
        """Sum of the losses and, for labels, the number of rows labelled correctly."""
        cdef flr_csr_pass c = self.checked()
        cdef double loss = 0
        cdef int64_t correct = 0
        cdef np.ndarray W_in, b_in
        cdef int status
        self.need_targets()
        W_in, b_in = self.fold(W, b)
        c.W, c.b = <const double *>np.PyArray_DATA(W_in), np.PyArray_DATA(b_in)
        with nogil:
            status = flr_csr_evaluate(&loss, &correct, &c)
        _check(status)
        return loss * self.unit, correct

    def epoch(self, W, b, W_velocity, b_velocity, order, int64_t batch, *, double learning_rate, double momentum=0,
              double alpha=0, reduction="mean", ftrl=None, double beta=0, double l1=0, double l2=0):
        """`Problem.epoch` for X as it is, without scale and shift and offset.

        ftrl, a table by `ftrl_table` that changes in place, asks for steps of FTRL-proximal with beta, l1 and l2.
        """
        cdef flr_csr_pass c = self.checked()
        cdef flr_epoch_options options
        cdef flr_ftrl rule
        cdef double loss = 0
        cdef int64_t correct = 0
        cdef int status
        cdef _Interrupt interrupt = _describe_epoch(&options, (self.k, self.d), self.n, self.unit, W, b, W_velocity,
                                                    b_velocity, order, batch, learning_rate, momentum, alpha, reduction)
        cdef tuple shape = (self.d + 1, FLR_FTRL_FIELDS, flr_csr_width(self.k))
        cdef double *table = <double *>_output(ftrl, np.float64, shape, "ftrl")
        self.need_targets()
        if not (self.scale is None and self.shift is None and self.offset is None):
            raise ValueError("scale, shift or offset is set; expected none in an epoch of sparse rows")
        rule.learning_rate, rule.beta, rule.l1, rule.l2 = learning_rate, beta, l1, l2
        with nogil:
            status = flr_csr_epoch(&loss, &correct, &c, &options, NULL if table == NULL else &rule, table)
        if status == FLR_INTERRUPTED:
            raise interrupt.error
        _check(status)
        return loss * self.unit, correct
