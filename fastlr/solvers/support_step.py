"""Newton steps of what is not 0, class by class: for models whose columns depend on each other.

Coordinate descent then creeps: features that share a mean that no intercept takes, or that are copies of each other but
for noise.  The coefficients of one class that are not 0 have a Hessian, all others fixed and the class's intercept
minimised out.  A step towards the minimum ends where the first coefficient becomes 0, and goes on without it.
"""

import time

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array

from fastlr.model.memory import BLOCK_VALUES

MOST = 4096  # coefficients of a class whose Hessian is made: 128 MiB
RIDGE = 1e-12  # of a curvature, added
MOST_ZEROS = 50  # that coefficients become


def step_on_support(model, columns, order, most, deadline):
    """Move a `_core.CoordinateModel` of some columns, as it takes them, that are in this order, until it is time.

    Classes with more than so many coefficients that are not 0 are left as they are; returns whether there were none.
    """
    if isinstance(columns, tuple):
        values, rows, starts = columns
        columns = csr_array((values, rows, starts), shape=(len(starts) - 1, model.h.shape[1]))
    is_whole = True
    for c in range(len(model.t)):
        some = np.flatnonzero(model.w[c] + model.t[c])
        is_whole &= len(some) <= most
        if 0 < len(some) <= min(most, MOST) and time.monotonic() < deadline:
            _step_class(model, c, some, columns, order[some])
    return is_whole


def _step_class(model, c, some, columns, order):
    w, t, h = model.w[c, some], model.t[c, some], model.h[c]
    slopes, seen = (h * (1 - h), model.P[c] - model.q) if model.softmax else (h, model.P[c])
    root = np.zeros(len(h)) if model.root is None else model.root
    H, (grad, mean) = _products(columns, order, slopes, np.array([h * seen, slopes * root]))
    curvature = np.diag(H).copy()
    weight, pull = model.weight[c] + model.floor, model.slope_by_intercept(c)
    H -= np.outer(mean, mean / weight)
    H += np.diag(model.l2[some] + RIDGE * curvature.max())
    grad += model.g[c, some] + model.l2[some] * t - mean / weight * pull + model.l1[some] * np.sign(w + t)
    before, value = (model.t.copy(), model.t0.copy()), model.value()
    to, to_intercepts = model.t.copy(), model.t0.copy()
    to[c, some] = _minimum(H, grad, w + t) - w
    to_intercepts[c] -= (pull + mean @ (to[c, some] - t)) / weight
    model.move(to, to_intercepts)
    if not model.value() <= value:  # H has no digits
        model.move(*before)


def _minimum(H, grad, w):
    """Where the quadratic of this Hessian, and gradient at w (m,), is least without changes of sign, or towards it."""
    w, free = w.copy(), np.arange(len(w))
    for _ in range(MOST_ZEROS):
        step, failed = lapack.dposv(H[np.ix_(free, free)], grad[free])[1:]
        if failed or not np.isfinite(step).all():
            break
        with np.errstate(all="ignore"):
            lengths = np.where(w[free] * (w[free] - step) <= 0, w[free] / step, np.inf)
        length = min(1.0, lengths.min())
        w[free] -= length * step
        w[free[lengths <= length]] = 0.0
        grad = grad - length * (H[:, free] @ step)
        if length == 1:
            break
        free = free[lengths > length]
        if not len(free):
            break
    return w


def _products(columns, order, slopes, vectors):
    """A diag(slopes) A' and vectors (v, n) A', in float64, for some of the columns as rows of A (m, n)."""
    m, n = len(order), len(slopes)
    H, sums = np.zeros((m, m)), np.zeros((len(vectors), m))
    chosen = columns if isinstance(columns, np.ndarray) else columns[order]
    size = max(1, BLOCK_VALUES // m)
    for start in range(0, n, size):
        part = slice(start, start + size)
        A = chosen[order, part] if chosen is columns else chosen[:, part].toarray()
        A = A.astype(np.float64)
        H += (A * slopes[part]) @ A.T
        sums += vectors[:, part] @ A.T
    return H, sums
