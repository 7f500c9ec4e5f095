"""Rows of probabilities as variables of their own, known by logits L: p = softmax(L), or sigmoid(L) for each label.

L(p) = Z is a condition of the optimum.  Linearised, it makes p' = p + J(p) (Z - L) of p, J(p) = diag(p) - p p', or
p (1 - p): the factors of p are 1 + x for softmax, x = Z - L less its mean under p, and 1 + (1 - p) x for a label, whose
1 - p takes 1 - p x.
"""

import numpy as np

from fastlr import _core

LOWEST = -60.0  # logarithm of a probability: products with subnormal numbers would take ten times as long


def losses(loss, Z, Y):
    """The losses (m,) of a model whose logits are Z (m, k), however large, at targets Y (m, k)."""
    Z = np.asarray(Z, np.float64, order="C")
    log = np.empty_like(Z)
    if loss == "softmax":
        _core.rows("log_softmax", Z, log, 1)
        return -np.einsum("ij,ij->i", Y, log)
    _core.map("log_sigmoid", Z, log, 1)
    total = Y * log
    _core.map("log_sigmoid", -Z, log, 1)
    return -(total + (1 - Y) * log).sum(axis=1)


def rows(loss, L):
    """The probabilities of logits L (m, k), but at least e^LOWEST."""
    return (_Softmax if loss == "softmax" else _Sigmoid)(np.asarray(L, np.float64, order="C"))


class _Softmax:
    def __init__(self, L):
        self.log = np.empty_like(L)
        _core.rows("log_softmax", L, self.log, 1)
        np.maximum(self.log, LOWEST, out=self.log)
        self.p = np.exp(self.log)

    def entropies(self):
        """-sum p log p of each row (m,)."""
        return -np.einsum("ij,ij->i", self.p, self.log)

    def slopes(self):
        """d p / d z of each logit (m, k)."""
        return self.p * (1 - self.p)

    def mean_slope(self, weight):
        """Weighted sum of J(p) (k, k)."""
        weighted = self.p if weight is None else self.p * weight[:, None]
        return np.diag(weighted.sum(axis=0)) - self.p.T @ weighted

    def _centred(self, x):
        return x - np.einsum("ij,ij->i", self.p, x)[:, None]

    def lag(self, Z):
        """J(p) (Z - L) (m, k)."""
        return self.p * self._centred(Z - self.log)

    def moved(self, x, factor):
        """Logits of p times factor(x) once x is centred, Z - L or the same shift (k,) for all rows."""
        return self.log + np.log(factor(self._centred(np.broadcast_to(x, self.p.shape))))

    def following(self, Z, factor):
        """Logits of p', with factor(x) in place of 1 + x."""
        return self.moved(Z - self.log, factor)

    def raised(self, least):
        """Logits of p, but at least `least`."""
        return np.maximum(self.log, np.log(least))


class _Sigmoid:
    def __init__(self, L):
        self.L = L = np.clip(L, LOWEST, -LOWEST)
        self.log_p, self.log_q = np.empty((2, *L.shape))
        _core.map("log_sigmoid", L, self.log_p, 1)
        _core.map("log_sigmoid", -L, self.log_q, 1)
        self.p, self.q = np.exp(self.log_p), np.exp(self.log_q)

    def entropies(self):
        return -(self.p * self.log_p + self.q * self.log_q).sum(axis=1)

    def slopes(self):
        return self.p * self.q

    def mean_slope(self, weight):
        slopes = self.slopes()
        return np.diag(slopes.sum(axis=0) if weight is None else weight @ slopes)

    def lag(self, Z):
        return self.slopes() * (Z - self.L)

    def moved(self, x, factor):
        return self.L + np.log(factor(self.q * x)) - np.log(factor(-self.p * x))

    def following(self, Z, factor):
        return self.moved(Z - self.L, factor)

    def raised(self, least):
        return np.clip(self.L, np.log(least), -np.log(least))
