# Functions of logits: element by element, row by row, and losses with their residuals.

from libc.stdint cimport int64_t
cimport numpy as np

import numpy as np

MAPS = {"exp": 0, "log": 1, "sigmoid": 2, "sigmoid_derivative": 3, "log_sigmoid": 4, "logit": 5}
ROW_MAPS = {"softmax": 0, "log_softmax": 1, "logsumexp": 2}


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
