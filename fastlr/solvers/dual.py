"""Rows of probabilities as variables of their own, known by their logits L: p = softmax(L), or sigmoid(L) of each label.

Linearised, the condition L(p) = Z of an optimum makes p' = p + J(p) (Z - L) of p, J(p) = diag(p) - p p', or p (1 - p).
That is p (1 + x) for softmax, x = Z - L less its mean under p, and p (1 + (1 - p) x), (1 - p) (1 - p x) for a label.
"""

import numpy as np

from fastlr import _core

LOWEST = -690.0  # logarithm of a probability: its exponential is a float64


def rows(loss, L):
    """The probabilities of logits L (m, k)."""
    return _Softmax(L) if loss == "softmax" else _Sigmoid(L)


class _Softmax:
    def __init__(self, L):
        self.log = np.empty(L.shape)
        _core.rows("log_softmax", np.asarray(L, np.float64, order="C"), self.log, 1)
        np.maximum(self.log, LOWEST, out=self.log)
        self.p = np.exp(self.log)

    def losses(self, Y):
        """-sum y log p of each row (m,)."""
        return -np.einsum("ij,ij->i", Y, self.log)

    def entropies(self):
        """-sum p log p of each row (m,)."""
        return -np.einsum("ij,ij->i", self.p, self.log)

    def slopes(self):
        """p (1 - p)."""
        return self.p * (1 - self.p)

    def mean_slope(self, weight):
        """Weighted sum of J(p) (k, k)."""
        weighted = self.p if weight is None else self.p * weight[:, None]
        return np.diag(weighted.sum(axis=0)) - self.p.T @ weighted

    def lag(self, Z):
        """Z - L, less its mean under p."""
        x = Z - self.log
        return x - np.einsum("ij,ij->i", self.p, x)[:, None]

    def times_slope(self, x):
        """J(p) x, of an x whose mean under p is 0."""
        return self.p * x

    def moved(self, x, factor):
        """Logits of p factor(x), x as from lag, normalised."""
        L = self.log + np.log(factor(x))
        _core.rows("log_softmax", L, L, 1)
        return np.maximum(L, LOWEST, out=L)

    def shift(self, e):
        """The x of J(p) e for the same e (k,) in all rows."""
        return e - (self.p @ e)[:, None]


class _Sigmoid:
    def __init__(self, L):
        self.L = np.asarray(L, np.float64, order="C")
        self.log_p, self.log_q = np.empty((2, *L.shape))
        _core.map("log_sigmoid", self.L, self.log_p, 1)
        _core.map("log_sigmoid", -self.L, self.log_q, 1)
        self.p, self.q = np.exp(self.log_p), np.exp(self.log_q)

    def losses(self, Y):
        return -(Y * self.log_p + (1 - Y) * self.log_q).sum(axis=1)

    def entropies(self):
        return -(self.p * self.log_p + self.q * self.log_q).sum(axis=1)

    def slopes(self):
        return self.p * self.q

    def mean_slope(self, weight):
        slopes = self.slopes()
        return np.diag(slopes.sum(axis=0) if weight is None else weight @ slopes)

    def lag(self, Z):
        return Z - self.L

    def times_slope(self, x):
        return self.p * self.q * x

    def moved(self, x, factor):
        L = self.L + np.log(factor(self.q * x)) - np.log(factor(-self.p * x))
        return np.clip(L, LOWEST, -LOWEST, out=L)

    def shift(self, e):
        return np.broadcast_to(e, self.L.shape)
