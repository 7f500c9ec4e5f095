# A problem's data, and parameters of standardised X as parameters of X itself.

from libc.stdint cimport int64_t
cimport numpy as np

import numpy as np


cdef class _ProblemData:
    """Arrays checked for shape and type, kept alive, and described as a pass takes them."""

    cdef flr_pass c  # never changed: calls from several threads each take a copy
    cdef double unit  # the passes' weights times this are the weights
    cdef readonly object X, y, weight, offset, scale, shift, real, loss
    cdef readonly int64_t n, d, k
    cdef object held  # what c.weight points to
    cdef object file  # that X lies in, or None; it may shrink between passes

    def __init__(self, np.ndarray X, y, int64_t k, *, loss="softmax", weight=None, offset=None, scale=None, shift=None,
                 n_threads=1):
        self.X, self.y, self.weight, self.offset, self.scale, self.shift = X, y, weight, offset, scale, shift
        self.n, self.d, self.k = X.shape[0], X.shape[1], k
        self.real = real_dtype(X.dtype)
        self.file = file_behind(X)
        self.loss = loss
        _describe(&self.c.X, X)
        self.c.X.release = FLR_RELEASE if is_read_once(self.file) else 0
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
        _pointer(scale, np.float64, (self.d,), "scale")
        _pointer(shift, np.float64, (self.d,), "shift")

    cdef np.ndarray padded(self, int64_t k):
        """Zeros (k, ldw), aligned to cache lines as the rows of a tile are."""
        cdef int64_t ldw = (self.d + 15) // 16 * 16, size = self.real.itemsize, offset = 0
        if self.X.dtype == self.real and self.c.X.col_stride == size:
            offset = <int64_t>(<size_t>self.c.X.data % 64) // size * size
        memory = np.zeros(k * ldw * size + 128, np.uint8)
        offset += 64 - <int64_t>(<size_t>np.PyArray_DATA(memory) % 64)
        return memory[offset:offset + k * ldw * size].view(self.real).reshape(k, ldw)

    cdef tuple fold(self, const flr_pass *c, W, b):
        """W (k, d), b (k,) for (X - shift) * scale as padded real parameters for X itself.

        With a reference, W of the other classes less its own, the last class in its place; in b the two change places.
        """
        if W.shape != (self.k, self.d) or b.shape != (self.k,):
            raise ValueError(f"W has shape {W.shape} and b {b.shape}; expected {(self.k, self.d)} and {(self.k,)}")
        cdef int64_t last = self.k - 1, reference = c.reference
        if c.has_reference:
            with np.errstate(invalid="ignore"):  # infinities, which callers report
                W = W - W[reference]
            W[reference] = W[last]
            W, b = W[:last], b.copy()
            b[reference], b[last] = b[last], b[reference]
        if self.scale is not None:
            W = W * self.scale
        if self.shift is not None:
            b = b.copy()
            b[:W.shape[0]] -= np.einsum("cj,j->c", W, self.shift)  # a BLAS would leave its threads spinning
        W_real = self.padded(W.shape[0])
        W_real[:, :self.d] = W
        return W_real, np.ascontiguousarray(b, self.real)

    cdef tuple multiply_with(self, flr_pass *c, W, b, bint reference):
        """Let c take W, b, folded; with a reference class, if the pass may have one and gains by it.

        The class of the smallest weights is the reference: rounding to real errs at most twice as far as without one.
        What is returned must live as long as c.
        """
        check_file(self.file)
        c[0] = self.c
        c.has_reference = reference and flr_wants_reference(c)
        if c.has_reference:
            scaled = W if self.scale is None else W * self.scale
            c.reference = np.argmin(np.einsum("cj,cj->c", scaled, scaled))
        W_real, b_real = self.fold(c, W, b)
        return _take(c, W_real, b_real)

    cdef unfold(self, G, g, double unit):
        """The gradient of the folded parameters, times the weights' unit, in place."""
        if self.shift is not None:
            G -= np.outer(g, self.shift)
        if self.scale is not None:
            G *= self.scale
        if unit != 1:
            G *= unit
            g *= unit


cdef tuple _take(flr_pass *c, np.ndarray W_real, np.ndarray b_real):
    """Let c take these parameters, which are returned to be kept alive."""
    c.W = np.PyArray_DATA(W_real)
    c.ldw = W_real.shape[1]
    c.b = np.PyArray_DATA(b_real)
    return W_real, b_real
