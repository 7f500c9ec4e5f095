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

    def _centred(self, x):
        return x - np.einsum("ij,ij->i", self.p, x)[:, None]

    def lag(self, Z):
        """J(p) (Z - L) (m, k)."""
        return self.p * self._centred(Z - self.log)

    def following(self, Z, least):
        """Logits of p', with a factor of at least `least`."""
        return self.log + np.log(np.maximum(1 + self._centred(Z - self.log), least))

    def raised(self, least):
        """Logits of p, but at least `least`."""
        return np.maximum(self.log, np.log(least))


class _Sigmoid:
    def __init__(self, L):
        self.L = L = _clipped(L, LOWEST)
        self.log_p, self.log_q = np.empty((2, *L.shape))
        _core.map("log_sigmoid", L, self.log_p, 1)
        _core.map("log_sigmoid", -L, self.log_q, 1)
        self.p, self.q = np.exp(self.log_p), np.exp(self.log_q)

    def entropies(self):
        return -(self.p * self.log_p + self.q * self.log_q).sum(axis=1)

    def lag(self, Z):
        return self.p * self.q * (Z - self.L)

    def following(self, Z, least):
        x = Z - self.L
        return self.L + np.log(np.maximum(1 + self.q * x, least)) - np.log(np.maximum(1 - self.p * x, least))

    def raised(self, least):
        return _clipped(self.L, np.log(least))


def _clipped(L, lowest):
    return np.minimum(np.maximum(L, lowest), -lowest)  # np.clip takes longer to begin than small fits can afford
