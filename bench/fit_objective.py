"""The true objective of a fit, in float64 by NumPy alone: the judge of every solver.

    F(W, b) = 1/n sum_i loss(W x_i + b, y_i) + ||W||^2 / (2 n C)

loss: softmax for labels (n,) of more than two classes, binary cross-entropy for two, the sum of independent ones for an
indicator matrix (n, k).  Rows are taken block by block; X is never converted as a whole.
"""

import numpy as np

BLOCK_VALUES = 1 << 22


def true_objective(X, y, W, b, C=1.0, scale=1.0):
    """F at W (k, d), b (k,) for features X * scale, X (n, d) of any dtype."""
    n, d = X.shape
    W, b = np.asarray(W, np.float64), np.asarray(b, np.float64)
    step = max(1, BLOCK_VALUES // max(d, len(W)))
    total = 0.0
    for start in range(0, n, step):
        rows = slice(start, start + step)
        Z = (X[rows].astype(np.float64) * scale) @ W.T + b
        total += _loss_sum(Z, y[rows])
    return total / n + np.vdot(W, W) / (2 * n * C)


def _loss_sum(Z, y):
    if y.ndim == 1 and Z.shape[1] > 1:
        top = Z.max(axis=1)
        lse = top + np.log(np.exp(Z - top[:, None]).sum(axis=1))
        return lse.sum() - Z[np.arange(len(y)), y].sum()
    return np.logaddexp(0, Z).sum() - (Z * y.reshape(Z.shape)).sum()
