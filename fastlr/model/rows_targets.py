"""Targets of rows, labels or a matrix, in one form: dense, their mean, and the constants that predict it.

y is int32 labels (n,), of one logit 0 and 1, of k the column whose target is 1; or targets (n, k).
"""

import numpy as np

LEAST_RATE = 1e-12  # whose logarithm is a logit to begin with


def dense_targets(y, k, loss):
    """Y (m, k), float64."""
    if y.ndim == 2:
        return y.astype(np.float64)
    if k == 1 and loss != "softmax":
        return y[:, None].astype(np.float64)
    return np.eye(k).take(y, axis=0)


def base_rate(y, k, loss, mean, weight):
    """Mean target (k,): `mean` is the weighted mean over the rows."""
    if y.ndim == 2:
        return mean(y)
    if k == 1 and loss != "softmax":
        return np.array([mean(y)])
    return np.bincount(y, weight, minlength=k) / (len(y) if weight is None else weight.sum())


def target_offsets(y, offset, loss):
    """<y, offset> of each row (n,)."""
    if y.ndim == 2:
        return (y * offset).sum(1)
    if offset.shape[1] == 1 and loss != "softmax":
        return y * offset[:, 0]
    return np.take_along_axis(offset, y[:, None].astype(np.intp), 1)[:, 0]


def link(rate, loss):
    """The constants (k,) whose model predicts the rates."""
    if loss == "squared_error":
        return rate
    if loss == "sigmoid":
        rate = np.clip(rate, LEAST_RATE, 1 - LEAST_RATE)
        return np.log(rate) - np.log1p(-rate)
    c = np.log(np.maximum(rate, LEAST_RATE))
    return c - c.mean()


def gradient_of_classes(means, rate, loss, affine):
    """Mean of (rate - y) u' (k, d) from the classes' mean features of X, each times the class's share of the weight."""
    k = len(rate)
    if loss == "sigmoid":
        rate = np.r_[1 - rate, rate]
    means = np.vstack([means, np.zeros((len(rate) - len(means), means.shape[1]))])  # absent classes
    centred = affine.of_sums(means, rate)
    return (np.outer(rate, centred.sum(axis=0)) - centred)[-k:]
