"""Whether some coefficients rank no row wrong and some row right: then larger ones always fit better.

A linear program finds steps D, within a box, that raise no row's loss however long they are and lower some: of each
class that a row's target has, the logit must grow by at least as much as every other's.  If all rows can be strictly
right the classes are separable; if some lie on the border they are so quasi-completely (Albert and Anderson 1984).
"""

import numpy as np
from scipy.sparse import csr_array, vstack

from fastlr.model.numerics import EPS, TINY

MOST_VALUES = 1 << 22  # of the program's matrix
MOST_STEPS = 10_000  # of the simplex method, which may go in circles where rows are nearly dependent
TOLERANCE = 1e-7


def are_separable(rows):
    """Whether the rows of positive weight are, completely or quasi-completely; False for problems too large to tell."""
    k = rows.k
    if rows.loss == "squared_error" or rows.n * k * k * rows.D > MOST_VALUES:
        return False
    from scipy.optimize import linprog

    rows = rows if rows.is_at_hand else rows.sample(1)
    part = slice(None) if rows.weight is None else rows.weight > 0
    U, Y = _directions(rows.features(part)), rows.targets(part)
    U /= np.maximum(np.abs(U).max(axis=1, keepdims=True), TINY)
    D, parts = U.shape[1], []
    for a in range(k):
        for b in range(k if rows.loss == "softmax" else 1):
            block = np.zeros((len(U), k, D))
            if rows.loss == "softmax":
                if a == b:
                    continue
                block[:, a], block[:, b] = U, -U
                parts.append(csr_array(block[Y[:, a] > 0].reshape(-1, k * D)))
            else:
                block[:, a] = U
                parts.append(csr_array(block[Y[:, a] > 0].reshape(-1, k * D)))
                parts.append(csr_array(-block[Y[:, a] < 1].reshape(-1, k * D)))
    gains = vstack(parts)  # times D: by how much a row's own logit outgrows another
    total = np.asarray(gains.sum(axis=0)).ravel()
    found = linprog(-total, A_ub=-gains, b_ub=np.zeros(gains.shape[0]), bounds=(-1, 1), method="highs",
                    options={"maxiter": MOST_STEPS})
    if found.x is None:
        return False
    gained = gains @ found.x
    return bool(gained.max(initial=0.0) > 1e3 * TOLERANCE and gained.min(initial=0.0) > -TOLERANCE)


def _directions(U):
    """Orthonormal columns (n, r) that span those of U (n, D): nearly dependent ones cost the simplex method most."""
    U = U / np.maximum(np.abs(U).max(axis=0, keepdims=True), TINY)
    left, size, _ = np.linalg.svd(U, full_matrices=False)
    return left[:, size > max(U.shape) * EPS * size.max(initial=0.0)]
