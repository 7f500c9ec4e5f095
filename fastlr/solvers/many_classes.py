"""A model of the objective with a problem of its own for each of many classes of few rows.

Near w, with s_c (D,) the step of class c and phi(x) = log(1 + a (e^x - 1)) - a x, what a row's loss changes by beyond
its tangent if one logit of probability a alone grows by x:

    F(w + s) = F(w) + grad . s + sum_c [ 1/2 s_c' B_c s_c + sum_{i in R_c} w_i phi_ic(u_i . s_c) / s_total ]

The m rows R_c that weigh most, a class's own and those taken for it, keep their losses, whose curvature changes
severalfold within a step; the many others are B_c = alpha P + rho_c Gram, rho_c their mean curvature.

One matrix T diagonalises alpha P and Gram at once: T' B_c T = diag(penal + rho_c spread) for every class.  What is left
of each class is a problem in the m changes x of its logits, x = x0 - K phi'(x) with K = R B^-1 R' (m, m): a few Newton
steps.  The model's curvature at the minimum then is a metric at the point reached.
"""

import numpy as np
from scipy.linalg import blas, lapack

from fastlr import _core
from fastlr.model.memory import CACHED_VALUES, KEPT_VALUES
from fastlr.model.numerics import TINY, TINY_SINGLE
from fastlr.solvers.block_metric import WHOLE
from fastlr.solvers.class_metric import CLASSES

_OWN, _LEAST, _MOST = 2.4, 32, 192  # m: times the rows of a class, and its limits
_COUPLED = 1.2  # times the curvature of a class alone: what classes that share rows do to each other
_STEPS, _LONGEST, _CLOSE = 12, 2.0, 0.1  # Newton steps in the logits: how many, how long, when short enough


def serves(objective):
    """Whether the rows that weigh are few in every class beside the features, and Spectrum costs less than a pass."""
    rows = objective.rows
    few = _OWN * rows.n <= min(_MOST, rows.d / 2) * rows.k
    return rows.is_at_hand and rows.loss == "softmax" and few and 4 * rows.d**2 <= min(rows.n * rows.k, 2 * KEPT_VALUES)


class Spectrum:
    """T (D, D) with T' (alpha P + rho Gram) T = diag(penal + rho spread), from Gram (D, D), a mean of u u'."""

    def __init__(self, objective, gram):
        self.objective, self._rotated = objective, None
        rate = objective.rows.base_rate
        self.rho = float(np.mean(rate * (1 - rate)))
        base = self.rho * gram
        diagonal = np.einsum("jj->j", base)
        diagonal += 1e-9 * diagonal.mean()
        diagonal += objective.penalty.strength
        L, _ = lapack.dpotrf(base, lower=1, clean=1)
        reduced, _ = lapack.dsygst(gram, L, lower=1)  # L^-1 gram L^-T, its lower triangle
        self.spread, vectors = np.linalg.eigh(reduced.astype(np.float32))
        self.T = blas.dtrsm(1.0, L, vectors, lower=1, trans_a=1)
        self.penal = np.maximum(1 - self.rho * self.spread, 0.0)

    def rotate(self, grad):
        """A gradient (size,) in T's coordinates, (k, D)."""
        return self._product(self.objective.matrix(grad), self.T)

    def step(self, W):
        """The step (size,) of W (k, D) in T's coordinates."""
        return self._product(W - W.mean(axis=0), self.T.T).ravel()  # a row added to all classes changes nothing

    def _product(self, A, B):
        """A (k, D) times B (D, D) in float32, on all threads: steps need not be exact."""
        size = np.abs(A).max() + TINY
        n_threads = self.objective.rows.n_threads
        problem = _core.Problem((A / size).astype(np.float32), None, B.shape[1], n_threads=n_threads)
        return size * problem.logits(np.ascontiguousarray(B.T), np.zeros(B.shape[1])).astype(np.float64)

    def rotated_rows(self, rows, step):
        """Rows (r, D) in T's coordinates, float32, and the places (k, m) among them of every step-th row's rows."""
        data = self.objective.rows
        if data.n * len(self.T) > KEPT_VALUES:
            taken, place = np.unique(rows, return_inverse=True)
            return data.project(self.T, taken * step).astype(np.float32, copy=False), place.reshape(rows.shape)
        if self._rotated is None:
            self._rotated = data.project(self.T).astype(np.float32, copy=False)
        return self._rotated, rows * step


class ClassModel:
    """The model at a Point."""

    def __init__(self, spectrum, point):
        objective = spectrum.objective
        self.spectrum = spectrum
        rows = objective.rows
        step = max(1, -(-rows.n * rows.k // KEPT_VALUES))
        A = objective.activations(point)(slice(None, None, step))
        weight = np.ones(len(A)) if rows.weight is None else rows.weight[::step]
        weight = weight * (_COUPLED / max(weight.sum(), TINY))
        m = min(len(A), _MOST, max(_LEAST, int(_OWN * rows.n / rows.k)))
        telling, self.a, self.weight, rest = _telling_rows(A, weight, m, rows.n_threads)
        del A
        self.scale = (spectrum.penal + rest[:, None] * spectrum.spread).astype(np.float32)
        self.rows, self.place = spectrum.rotated_rows(telling, step)
        self.K = np.empty((*telling.shape, telling.shape[1]), np.float32)
        self.curvature = self.weight * self.a * (1 - self.a)
        self._by_class(self._add_gram)

    def step(self, grad):
        """The step (size,) to the model's minimum."""
        return self._move(-grad, self._minimise)

    def solve(self, grad):
        """M^-1 grad (size,), M the model's curvature where the last step ended, or at w."""
        return self._move(grad, lambda part, x: self.curvature[part] * self._inverse(part, x))

    def _move(self, force, slope):
        """B^-1 (force - R' slope(x0)) as a step, from the changes x0 of the logits that B^-1 force means."""
        W = (self.spectrum.rotate(force) / self.scale).astype(np.float32)

        def move(part):
            R = self.rows[self.place[part]]
            x = (R @ W[part, :, None])[:, :, 0].astype(np.float64)
            W[part] -= (slope(part, x)[:, None, :].astype(np.float32) @ R)[:, 0, :] / self.scale[part]

        self._by_class(move)
        return self.spectrum.step(W)

    def _minimise(self, part, x0):
        """phi'(x) at the solution of x = x0 - K phi'(x); keeps the curvature there."""
        x, K = np.zeros_like(x0), self.K[part]
        for _ in range(_STEPS):
            slope = self._slope(part, x)
            change = self._inverse(part, x - x0 + (K @ slope[:, :, None])[:, :, 0])
            x -= np.clip(change, -_LONGEST, _LONGEST)
            if np.abs(change).max() < _CLOSE:
                break
        return self._slope(part, x)

    def _slope(self, part, x):
        """phi'(x) with the rows' weights; keeps phi''(x)."""
        a, weight = self.a[part], self.weight[part]
        grown = a * np.exp(np.minimum(x, 50))
        grown /= 1 - a + grown
        self.curvature[part] = weight * grown * (1 - grown)
        return weight * (grown - a)

    def _inverse(self, part, x):
        """(1 + K diag(curvature))^-1 x, class by class."""
        try:
            return self._solved(part, x, np.float32)
        except np.linalg.LinAlgError:  # hardly any curvature holds the class: 1 was lost beside K
            return self._solved(part, x, np.float64)

    def _solved(self, part, x, dtype):
        J = self.K[part].astype(dtype, copy=False) * self.curvature[part, None, :].astype(dtype)
        J += np.eye(x.shape[1], dtype=dtype)
        return np.linalg.solve(J, x[:, :, None].astype(dtype))[:, :, 0]

    def _add_gram(self, part):
        R = self.rows[self.place[part]]
        self.K[part] = (R / self.scale[part, None, :]) @ R.transpose(0, 2, 1)

    def _by_class(self, work):
        """work(slice) for slices of the classes, on all threads."""
        n_parts = -(-len(self.K) // CLASSES)
        _core.parallel_for(
            lambda i: work(slice(i * CLASSES, (i + 1) * CLASSES)), n_parts, self.spectrum.objective.rows.n_threads
        )


def _telling_rows(A, weight, m, n_threads):
    """For each class about m rows (k, m) of the largest q = weight * a (1 - a), their a and weights, 0 where there are
    fewer, and the sum of q over the other rows (k,).

    A is (n, k).  Only pairs of a row and a class with an a above a threshold are looked at one by one.
    """
    n, k = A.shape
    threshold = np.quantile(A[:: max(1, n // 512)], max(0.0, 1 - 2 * m / n)) if m < n else -1.0
    size = max(1, CACHED_VALUES // k)

    def block(i):
        part = slice(i * size, (i + 1) * size)
        found = np.flatnonzero(threshold < A[part])
        return found + i * size * k, A[part].ravel()[found].astype(np.float64), weight[part].astype(A.dtype) @ A[part]

    pair, a, rest = zip(*_core.parallel_for(block, -(-n // size), n_threads), strict=True)
    pair, a, rest = np.concatenate(pair), np.concatenate(a), np.sum(rest, axis=0, dtype=np.float64)
    row, column = np.divmod(pair, k)
    q = weight[row] * a * (1 - a)  # of the others 1 - a is about 1
    rest -= np.bincount(column, weight[row] * a, k)
    order = np.lexsort((-q, column))
    rank = np.arange(len(pair)) - np.searchsorted(column[order], np.arange(k))[column[order]]
    few, others = order[rank < m], order[rank >= m]
    rest = np.maximum(rest, 0) + np.bincount(column[others], q[others], k)
    rest += WHOLE * np.bincount(column, q, k) + TINY_SINGLE
    at = column[few], rank[rank < m]
    rows, chosen, weights = np.zeros((k, m), np.intp), np.zeros((k, m)), np.zeros((k, m))
    rows[at], chosen[at], weights[at] = row[few], a[few], weight[row[few]]
    return rows, chosen, weights, rest
