# What epochs of dense and sparse rows have in common.

from libc.stdint cimport int64_t
cimport numpy as np

import numpy as np


cdef _Interrupt _describe_epoch(flr_epoch_options *out, tuple shape, int64_t n, double unit, W, b, W_velocity,
                                b_velocity, order, int64_t batch, double learning_rate, double momentum, double alpha,
                                reduction):
    """The options of an epoch over n rows, without scale and shift; what is returned must live as long."""
    cdef _Interrupt interrupt = _Interrupt()
    out.W = <double *>_output(W, np.float64, shape, "W")
    out.b = <double *>_output(b, np.float64, shape[:1], "b")
    out.W_velocity = <double *>_output(W_velocity, np.float64, shape, "W_velocity")
    out.b_velocity = <double *>_output(b_velocity, np.float64, shape[:1], "b_velocity")
    out.order = <const int64_t *>_pointer(order, np.int64, (n,), "order")
    out.scale, out.shift = NULL, NULL
    out.batch = batch
    out.learning_rate, out.momentum, out.alpha = learning_rate, momentum, alpha
    out.factor = unit if reduction == "sum" else 0
    out.poll, out.poll_context = _poll, <void *>interrupt
    if batch < 1:
        raise ValueError(f"batch is {batch}; expected at least 1")
    if (W_velocity is None) != (b_velocity is None):
        raise ValueError("one of W_velocity and b_velocity is None; expected both or neither")
    if out.order != NULL and flr_order_outside(out.order, n, n) >= 0:
        raise ValueError(f"order has rows outside [0, {n})")
    return interrupt


def ftrl_table(int64_t k, int64_t d):
    """What FTRL-proximal knows of k logits of d features before the first step; see `flr_csr_epoch`."""
    return np.zeros((d + 1, FLR_FTRL_FIELDS, flr_csr_width(k)))
