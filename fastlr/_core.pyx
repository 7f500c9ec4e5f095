"""Bindings: take checked arrays, drop the GIL, call the drivers of csrc/fastlr.h.

Nothing is checked here beyond what keeps memory safe; messages for users belong to the Python layer above.
"""

from libc.stdint cimport int32_t, int64_t
cimport numpy as np

import numpy as np

from fastlr._input.mapped_file import check_file, file_behind

np.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


if flr_pool_init() != FLR_OK:
    raise MemoryError("fastlr could not register its fork handler")


# ---- instruction sets -----------------------------------------------------------------------------------------------
def available_isas():
    """Names of the instruction sets this processor can run, best first."""
    cdef const flr_isa *found[8]
    cdef int count = flr_available(found, 8)
    return [found[i].name.decode() for i in range(count)]


def isa_name():
    """Name of the instruction set in use."""
    return flr_active.name.decode()


def select_isa(name):
    """Use the named instruction set from now on (None: the best)."""
    cdef bytes encoded
    if name is None:
        flr_select(NULL)
        return
    encoded = str(name).encode()
    if flr_select(encoded) == NULL:
        raise ValueError(f"FASTLR_ISA={name!r} is unknown or not supported by this processor; "
                         f"use one of {', '.join(available_isas())}, or unset it for the best")


# ---- functions of logits --------------------------------------------------------------------------------------------
MAPS = {"exp": 0, "log": 1, "sigmoid": 2, "sigmoid_derivative": 3, "log_sigmoid": 4, "logit": 5}
ROW_MAPS = {"softmax": 0, "log_softmax": 1, "logsumexp": 2}
LOSSES = {"softmax": 0, "sigmoid": 1, "squared_error": 2}


cdef int64_t _real_size(np.ndarray array, name) except -1:
    if not (array.dtype == np.float32 or array.dtype == np.float64) or not np.PyArray_ISCARRAY_RO(array):
        raise ValueError(f"{name} has dtype {array.dtype}, strides {(<object>array).strides}; expected C-contiguous, "
                         "aligned float32 or float64")
    return np.PyArray_ITEMSIZE(array)


def map(name, np.ndarray z, np.ndarray out, n_threads):
    """out = the function called name (a key of MAPS) of each value of z; out may be z."""
    cdef int64_t size = _real_size(z, "z"), n = np.PyArray_SIZE(z)
    cdef flr_map function = MAPS[name]
    if np.PyArray_SIZE(out) != n or out.dtype != z.dtype:
        raise ValueError(f"out has {np.PyArray_SIZE(out)} values of {out.dtype}; expected {n} of {z.dtype}")
    _real_size(out, "out")
    _output(out, out.dtype, (<object>out).shape, "out")
    cdef const void *z_in = np.PyArray_DATA(z)
    cdef void *z_out = np.PyArray_DATA(out)
    cdef int workers = _workers(n_threads)
    with nogil:
        flr_map_values(z_out, z_in, n, size, function, workers)


def rows(name, np.ndarray Z, np.ndarray out, n_threads):
    """out = the function called name (a key of ROW_MAPS) of each row of Z (n, k); out (n, k) or, logsumexp, (n,)."""
    cdef int64_t size = _real_size(Z, "Z"), n = Z.shape[0], k = Z.shape[1] if Z.ndim == 2 else 0
    cdef flr_row_map function = ROW_MAPS[name]
    cdef int status
    if k < 1:
        raise ValueError(f"Z has shape {(<object>Z).shape}; expected (n, k) with k > 0")
    cdef tuple shape = (n, k)
    if name == "logsumexp":
        shape = (n,)
    cdef void *z_out = _output(out, Z.dtype, shape, "out")
    cdef const void *z_in = np.PyArray_DATA(Z)
    cdef int workers = _workers(n_threads)
    with nogil:
        status = flr_map_rows(z_out, z_in, n, k, size, function, workers)
    _check(status)


def residual(loss, np.ndarray Z, np.ndarray y, *, weight=None, double smoothing=0, double grad_scale=1, R_out=None,
             loss_out=None, n_threads=1):
    """Sum of the weighted losses of logits Z (n, k) against y, int32 (n,) labels or (n, k) targets of Z's type.

    R_out (n, k) = grad_scale * weight * (A - Y), may be Z; loss_out (n,) = the weighted losses.
    """
    cdef int64_t size = _real_size(Z, "Z"), n = Z.shape[0], k = Z.shape[1] if Z.ndim == 2 else 0
    cdef flr_loss function = LOSSES[loss]
    cdef flr_targets targets
    cdef double total = 0
    cdef int status
    if k < 1:
        raise ValueError(f"Z has shape {(<object>Z).shape}; expected (n, k) with k > 0")
    targets.label, targets.prob = NULL, NULL
    if y.dtype == np.int32 and y.ndim == 1:
        targets.label = _labels(y, n, k, function)
    else:
        targets.prob = _pointer(y, Z.dtype, (n, k), "y")
    targets.weight = <const double *>_pointer(weight, np.float64, (n,), "weight")
    targets.smoothing, targets.grad_scale = smoothing, grad_scale
    cdef void *R = _output(R_out, Z.dtype, (n, k), "R_out")
    cdef void *losses = _output(loss_out, Z.dtype, (n,), "loss_out")
    cdef const void *z_in = np.PyArray_DATA(Z)
    cdef int workers = _workers(n_threads)
    with nogil:
        status = flr_residuals(&total, R, losses, z_in, &targets, function, n, k, size, workers)
    _check(status)
    return total


# ---- passes over X --------------------------------------------------------------------------------------------------
DTYPES = {"float64": 0, "float32": 1, "float16": 2, "bfloat16": 3, "uint8": 4, "bool": 4, "int8": 5, "uint16": 6,
          "int16": 7, "int32": 8, "uint32": 9, "int64": 10, "uint64": 11}
_codes = {}  # dtype -> its code: dtype.name is slow


cdef int _code(dtype) except -1:
    """Code of a dtype; TypeError if X of that type is not supported."""
    code = _codes.get(dtype)
    if code is None:
        if dtype.name not in DTYPES or not dtype.isnative:
            raise TypeError(f"X has dtype {dtype}; expected one of {', '.join(DTYPES)}")
        code = _codes[dtype] = DTYPES[dtype.name]
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
    return 0


def first_nonfinite(np.ndarray X, n_threads):
    """(row, column) of the first value of X (n, d) that is nan or infinite, in row order; None if all are finite."""
    cdef flr_matrix matrix
    cdef int64_t row, col
    cdef int status, workers = _workers(n_threads)
    _describe(&matrix, X)
    with nogil:
        status = flr_find_nonfinite(&row, &col, &matrix, workers)
    _check(status)
    return None if row < 0 else (row, col)


cdef class Problem:
    """X, targets, weights and a loss, checked for shape and type; what every pass needs, and what keeps it alive.

    X (n, d) of any type in DTYPES and any layout; y int32 labels (n,) or targets (n, k) in the real type, or None;
    weight (n,) float64; offset (n, k) real; scale, shift (d,) float64: the model sees (X - shift) * scale.
    """

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

    cdef unfold(self, G, g):
        """The gradient of the folded parameters and of scaled weights, in place."""
        if self.shift is not None:
            G -= np.outer(g, self.shift)
        if self.scale is not None:
            G *= self.scale
        if self.unit != 1:
            G *= self.unit
            g *= self.unit

    cdef tuple gradient(self):
        return np.empty((self.k, self.d)), np.empty(self.k)

    def loss_and_grad(self, W, b, R_out=None):
        """Sum of the losses, its gradient (k, d) and (k,); R_out (n, k) real = weight * (A - Y), if it is not None."""
        cdef flr_pass c
        cdef np.ndarray G, g
        cdef double loss = 0
        cdef int status
        _alive = self.multiply_with(&c, W, b, True)
        G, g = self.gradient()
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *g_out = <double *>np.PyArray_DATA(g)
        c.R_out = _output(R_out, self.real, (self.n, self.k), "R_out")
        with nogil:
            status = flr_loss_and_grad(&loss, G_out, g_out, &c)
        _check(status)
        self.unfold(G, g)
        if R_out is not None and self.unit != 1:
            R_out *= self.real.type(self.unit)
        return loss * self.unit, G, g

    def loss_and_grad_at(self, logits):
        """The same, without R_out, where the rows' logits (n, k), real, offset and all, are these: half a pass."""
        cdef flr_pass c = self.c
        cdef np.ndarray G, g
        cdef double loss = 0
        cdef int status
        check_file(self.file)
        c.logits = _pointer(logits, self.real, (self.n, self.k), "logits")
        G, g = self.gradient()
        cdef double *G_out = <double *>np.PyArray_DATA(G)
        cdef double *g_out = <double *>np.PyArray_DATA(g)
        with nogil:
            status = flr_loss_and_grad(&loss, G_out, g_out, &c)
        _check(status)
        self.unfold(G, g)
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
        self.unfold(G, g)
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
        step.  A signal handler that raises (Ctrl-C) stops
        the epoch after the batch and the exception propagates.
        """
        cdef flr_epoch_options options
        cdef flr_pass c = self.c
        cdef double loss = 0
        cdef int64_t correct = 0
        cdef int status
        shape, vector = (self.k, self.d), (self.k,)
        options.W = <double *>_output(W, np.float64, shape, "W")
        options.b = <double *>_output(b, np.float64, vector, "b")
        options.W_velocity = <double *>_output(W_velocity, np.float64, shape, "W_velocity")
        options.b_velocity = <double *>_output(b_velocity, np.float64, vector, "b_velocity")
        options.order = <const int64_t *>_pointer(order, np.int64, (self.n,), "order")
        options.scale = <const double *>_pointer(self.scale, np.float64, (self.d,), "scale")
        options.shift = <const double *>_pointer(self.shift, np.float64, (self.d,), "shift")
        options.batch = batch
        options.learning_rate, options.momentum, options.alpha = learning_rate, momentum, alpha
        options.factor = self.unit if reduction == "sum" else 0
        options.poll = _poll
        if batch < 1:
            raise ValueError(f"batch is {batch}; expected at least 1")
        if options.order != NULL and flr_order_outside(options.order, self.n, self.n) >= 0:
            raise ValueError(f"order has rows outside [0, {self.n})")
        check_file(self.file)
        _alive = _take(&c, self.padded(self.k), np.zeros(self.k, self.real))
        with nogil:
            status = flr_epoch(&loss, &correct, &c, &options)
        if status == FLR_INTERRUPTED:
            _raise_pending()
        _check(status)
        return loss * self.unit, correct


cdef tuple _take(flr_pass *c, np.ndarray W_real, np.ndarray b_real):
    """Let c take these parameters, which are returned to be kept alive."""
    c.W = np.PyArray_DATA(W_real)
    c.ldw = W_real.shape[1]
    c.b = np.PyArray_DATA(b_real)
    return W_real, b_real


def moderate_weights(weight):
    """Weights (n,) float64 or None that products in float32 and sums can hold, and e: they were divided by 2^e.

    e is 0, and the weights themselves are returned, unless the largest is far from 1.
    """
    if weight is None or weight.dtype != np.float64 or not weight.size:
        return weight, 0
    largest = weight.max()
    if not 0 < largest < np.inf or 2.0**-60 <= largest <= 2.0**60:
        return weight, 0
    exponent = int(np.frexp(largest)[1]) - 1
    with np.errstate(under="ignore"):
        return np.ldexp(weight, -exponent), exponent


# ---- threads of BLAS -------------------------------------------------------------------------------------------------
ctypedef int (*get_threads)() noexcept nogil
ctypedef void (*set_threads)(int) noexcept nogil


cdef class BlasLimit:
    """BLAS on one thread while anyone is inside: the first in sets the limit of the process, the last out lifts it.

    Entering and leaving run no Python code: neither a signal's handler nor another Python thread comes between the
    count and the limit, so that no interrupt leaves one without the other and nothing waits for a lock.

    functions: pairs of addresses of int get(void) and void set(int), for each BLAS there is.
    """

    cdef get_threads get[8]
    cdef set_threads set[8]
    cdef int before[8]
    cdef int n_libraries, n_inside

    def __init__(self, functions):
        for get, set_ in functions[:8]:
            self.get[self.n_libraries] = <get_threads><size_t>get
            self.set[self.n_libraries] = <set_threads><size_t>set_
            self.n_libraries += 1

    def __enter__(self):
        if self.n_inside == 0:
            for i in range(self.n_libraries):
                self.before[i] = self.get[i]()
                self.set[i](1)
        self.n_inside += 1

    def __exit__(self, *_):
        self.n_inside -= 1
        if self.n_inside == 0:
            self.lift()

    def start_again_after_fork(self):
        """The threads that were inside are not in the child."""
        if self.n_inside:
            self.n_inside = 0
            self.lift()

    cdef void lift(self) noexcept:
        for i in range(self.n_libraries):
            self.set[i](self.before[i])


# ---- Python work on the pool's threads -------------------------------------------------------------------------------
cdef class _Tasks:
    """Calls of one function, some of them made, and what the first that failed raised."""

    cdef object work
    cdef list results
    cdef object error


cdef void _run_task(void *context, int64_t task, int worker) noexcept with gil:
    cdef _Tasks tasks = <_Tasks>context
    if tasks.error is not None:
        return
    try:
        tasks.results[task] = tasks.work(task)
    except BaseException as error:
        tasks.error = error


def parallel_for(work, int64_t n_tasks, int n_threads):
    """[work(0), ..., work(n_tasks - 1)], made by up to n_threads threads of the pool, the caller's among them.

    They take turns to hold the GIL, so this is for work that gives it up: NumPy's, and passes, each on its own thread
    alone.  What the first task to fail raises is raised again, and no other task is begun after it.
    """
    cdef _Tasks tasks = _Tasks()
    tasks.work, tasks.results = work, [None] * n_tasks
    cdef void *context = <void *>tasks
    with nogil:
        flr_parallel_for(_run_task, context, n_tasks, n_threads)
    if tasks.error is not None:
        raise tasks.error
    return tasks.results


cdef object _pending = None


cdef int _poll() noexcept with gil:
    """Run signal handlers; keep what they raise until the epoch has stopped."""
    global _pending
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        _pending = error
        return 1
    return 0


cdef _raise_pending():
    global _pending
    error, _pending = _pending, None
    raise error


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
