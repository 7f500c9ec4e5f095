# The passes over X.

from libc.stdint cimport int64_t
cimport numpy as np

import numpy as np


cdef class Problem(_ProblemData):
    """X, targets, weights and a loss, checked for shape and type; what every pass needs, and what keeps it alive.

    X (n, d) of any type in DTYPES and any layout; y int32 labels (n,) or targets (n, k) in the real type, or None;
    weight (n,) float64; offset (n, k) real; scale, shift (d,) float64: the model sees (X - shift) * scale.
    """

    cdef tuple gradient(self):
        return np.empty((self.k, self.d)), np.empty(self.k)

    def loss_and_grad(self, W, b, R_out=None):
        """Sum of the losses, its gradient (k, d) and (k,); R_out (n, k) real = weight * (A - Y), if it is not None."""
        cdef flr_pass c
        _alive = self.multiply_with(&c, W, b, True)
        return self.loss_gradient(&c, R_out)

    def loss_and_grad_at(self, logits, R_out=None):
        """The same where the rows' logits (n, k), real, offset and all, are these; R_out may be logits."""
        cdef flr_pass c = self.c
        check_file(self.file)
        c.logits = _pointer(logits, self.real, (self.n, self.k), "logits")
        c.has_reference, c.reference = flr_wants_reference(&c), self.k - 1
        return self.loss_gradient(&c, R_out)

    cdef tuple loss_gradient(self, flr_pass *c, R_out):
        cdef np.ndarray G, g
        cdef double loss = 0
        cdef int status
        G, g = self.gradient()
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *g_out = <double *>np.PyArray_DATA(g)
        c.R_out = _output(R_out, self.real, (self.n, self.k), "R_out")
        with nogil:
            status = flr_loss_and_grad(&loss, G_out, g_out, c)
        _check(status)
        self.unfold(G, g, self.unit)
        if R_out is not None and self.unit != 1:
            R_out *= self.real.type(self.unit)
        return loss * self.unit, G, g

    def hessp(self, W, b, V, c):
        """The Hessian of the loss sum at (W, b) times (V, c): (k, d) and (k,)."""
        cdef flr_pass p
        _alive = self.multiply_with(&p, W, b, False)
        return self.hessian_product(&p, V, c)

    def hessp_at(self, logits, V, c):
        """The same where the rows' logits (n, k), real, offset and all, are these."""
        cdef flr_pass p = self.c
        check_file(self.file)
        p.logits = _pointer(logits, self.real, (self.n, self.k), "logits")
        return self.hessian_product(&p, V, c)

    cdef tuple hessian_product(self, flr_pass *p, V, c):
        cdef np.ndarray G, g, V_real, c_real
        cdef int status
        V_real, c_real = self.fold(p, V, c)
        p.ldw = V_real.shape[1]
        G, g = self.gradient()
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *g_out = <double *>np.PyArray_DATA(g)
        cdef void *V_in = np.PyArray_DATA(V_real)
        cdef void *c_in = np.PyArray_DATA(c_real)
        with nogil:
            status = flr_hessp(G_out, g_out, p, V_in, c_in)
        _check(status)
        self.unfold(G, g, self.unit)
        return G, g

    def outer(self, R):
        """R' Xs (k, d) and R' 1 (k,) of residuals R (n, k) in the real type, with Xs = (X - shift) * scale.

        R is weighted already: weights only say which rows of X, those of weight 0, count as zeros.
        """
        cdef np.ndarray G, g
        cdef int status
        cdef const void *R_in = _pointer(R, self.real, (self.n, self.k), "R")
        check_file(self.file)
        G, g = self.gradient()
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *g_out = <double *>np.PyArray_DATA(g)
        with nogil:
            status = flr_outer(G_out, g_out, &self.c, R_in)
        _check(status)
        self.unfold(G, g, 1)
        return G, g

    def logits(self, W, b):
        """Z (n, k) in the real type."""
        cdef flr_pass c
        cdef np.ndarray Z = np.empty((self.n, self.k), self.real)
        cdef void *Z_out = np.PyArray_DATA(Z)
        cdef int status
        _alive = self.multiply_with(&c, W, b, False)
        with nogil:
            status = flr_logits(Z_out, &c)
        _check(status)
        return Z

    def evaluate(self, W, b):
        """Sum of the losses and, for labels, the number of rows labelled correctly."""
        cdef flr_pass c
        cdef double loss = 0
        cdef int64_t correct = 0
        cdef int status
        _alive = self.multiply_with(&c, W, b, False)
        with nogil:
            status = flr_evaluate(&loss, &correct, &c)
        _check(status)
        return loss * self.unit, correct

    def gram(self):
        """Xs' diag(weight) Xs (d, d) and Xs' weight (d,), with Xs = (X - shift) * scale."""
        cdef np.ndarray G = np.empty((self.d, self.d)), s = np.empty(self.d)
        cdef np.ndarray scale = None, shift = None
        cdef void *scale_in = NULL
        cdef void *shift_in = NULL
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *s_out = <double *>np.PyArray_DATA(s)
        cdef int status
        check_file(self.file)
        if self.scale is not None:
            scale = self.scale.astype(self.real)
            scale_in = np.PyArray_DATA(scale)
        if self.shift is not None:
            shift = self.shift.astype(self.real)
            shift_in = np.PyArray_DATA(shift)
        with nogil:
            status = flr_gram(G_out, s_out, &self.c, scale_in, shift_in)
        _check(status)
        if self.unit != 1:
            G *= self.unit
            s *= self.unit
        return G, s

    def epoch(self, W, b, W_velocity, b_velocity, order, int64_t batch, *, double learning_rate, double momentum=0,
              double alpha=0, reduction="mean"):
        """One epoch of gradient descent; W, b and the velocities change in place.

        Returns the sum of the losses and, for labels, the number of rows labelled correctly, each before its batch's
        step.  A signal handler that raises (Ctrl-C) stops the epoch after the batch, and the exception propagates.
        """
        cdef flr_epoch_options options
        cdef flr_pass c = self.c
        cdef double loss = 0
        cdef int64_t correct = 0
        cdef int status
        cdef _Interrupt interrupt = _describe_epoch(&options, (self.k, self.d), self.n, self.unit, W, b, W_velocity,
                                                    b_velocity, order, batch, learning_rate, momentum, alpha, reduction)
        options.scale = <const double *>_pointer(self.scale, np.float64, (self.d,), "scale")
        options.shift = <const double *>_pointer(self.shift, np.float64, (self.d,), "shift")
        check_file(self.file)
        _alive = _take(&c, self.padded(self.k), np.zeros(self.k, self.real))
        with nogil:
            status = flr_epoch(&loss, &correct, &c, &options)
        release(self.X)
        if status == FLR_INTERRUPTED:
            raise interrupt.error
        _check(status)
        return loss * self.unit, correct
