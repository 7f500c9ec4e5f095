"""Rows of an array.  Nothing outside rows*.py touches X."""

import copy

import numpy as np

from fastlr import _core
from fastlr.model import rows_folds, rows_moments
from fastlr.model.memory import BLOCK_VALUES, KEPT_VALUES
from fastlr.model.rows_base import SAFE, Rows, as_computed
from fastlr.model.rows_columns import dense_columns
from fastlr.model.rows_kernel import kernel
from fastlr.model.rows_taken import every, taken
from fastlr.model.sample_size import SAMPLE_STEP

NEAR = 16  # deviations of a mean, to which float32 keeps the digits of what products need


class DenseRows(Rows):
    """Rows of X, an ndarray (n, d) of a dtype in `_core.DTYPES`, any layout; see `Rows`."""

    is_sparse = False
    is_measured = property(lambda self: self._X.size <= rows_moments.SMALL)

    def _some(self, part):
        """Every so many-th row of X; a copy where they lie so far apart that passes would wait for memory."""
        return every(self._X, part.step) if part.step >= SAMPLE_STEP else self._X[part]

    def _at(self, part):
        return taken(self._X, part)

    @staticmethod
    def _problem(X, y, k, **options):
        return _core.Problem(X, y, k, **options)

    def within_range(self):
        """The rows, or a copy of them with features divided by powers of two, and the exponents (d,)."""
        exponent = rows_moments.far_exponents(self._exponents, *self.moments(), SAFE[self.real.itemsize])
        if not exponent.any():
            return self, exponent
        part = copy.copy(self)
        part._X, part._moments = self._divided(exponent), None
        part._whole = None
        return part, exponent

    def _exponents(self):
        return rows_moments.exponents(self._X)

    def _divided(self, exponent):
        return self.divided(self._X, exponent, self.real)

    @staticmethod
    def divided(X, exponent, real):
        """X (n, d) in the real type, each feature divided by a power of two."""
        return np.ldexp(X.astype(real, copy=False), -exponent)

    def with_features(self, X, part):
        """Some of the rows, indices (m,), with other features X (m, d'), float64."""
        y, weight, offset = (None if a is None else a[part] for a in (self.y, self.weight, self.offset))
        return DenseRows(
            X, as_computed(y, 0), self.k, loss=self.loss, weight=weight, offset=as_computed(offset, 0),
            intercept=self.intercept, n_threads=self.n_threads,
        )

    def in_float32(self):
        """The rows with X copied to float32; None where they are in float32, or would lose digits or range, or many."""
        if self.n_values > KEPT_VALUES:
            return None
        mean, deviation = self.moments()
        size = np.where(deviation > 0, deviation, 1.0)
        if self.real == np.float32 or not (np.abs(np.frexp(size)[1]) < SAFE[4]).all() or (
                np.abs(mean) > NEAR * size).any():
            return None
        part, size = copy.copy(self), max(1, BLOCK_VALUES // self.d)
        part._X, part.real = np.empty(self._X.shape, np.float32), np.dtype(np.float32)
        part._whole, part.n_passes = None, 1.0
        blocks = [slice(start, start + size) for start in range(0, self.n, size)]

        def convert(i):
            part._X[blocks[i]] = self._X[blocks[i]]

        _core.parallel_for(convert, len(blocks), self.n_threads)
        if self.weight is not None:
            part._X[self.weight == 0] = 0.0  # what they hold may be beyond float32
        return part

    def moments(self):
        """Weighted means and rough deviations (d,) of X's own features."""
        if self._moments is None:
            labels = self.y if self.y.ndim == 1 and self.loss != "squared_error" else None
            mean, deviation, self._class_sums = rows_moments.moments(
                self._X, self.weight, self.rng, self.n_threads, labels if self.k <= rows_moments.GROUPS else None
            )
            self._moments = mean, deviation
        return self._moments

    def measured(self):
        """Weighted means and deviations (d,) of X's own features, from every value."""
        return rows_moments.measured(self._X, self.weight)

    def constant_features(self):
        """Mask (d,) of features whose values are all equal in the rows that have a weight."""
        return rows_folds.constant_features(self._X, self.moments()[0], self.weight)

    def first_nonfinite(self):
        """(row, column) and value of the first one of X that is nan or infinite, or None."""
        found = _core.first_nonfinite(self._X, self.n_threads)
        return found and (found, float(self._X[found]))

    def gram(self, weight=None, part=slice(None), n_threads=None):
        """sum_i weight_i u_i u_i' (D, D) over part of the rows; without weights they count 1 each.

        Callers on threads of their own say n_threads and count the trip themselves.
        """
        if isinstance(part, slice):
            G, n = self._gram_of(weight, part, n_threads), len(self.y[part])
        else:  # copies, of so many at a time
            part = np.flatnonzero(part) if part.dtype == bool else part
            size = max(1, BLOCK_VALUES // max(self.d, 1))
            blocks = [slice(start, start + size) for start in range(0, max(len(part), 1), size)]
            G = sum(self._gram_of(None if weight is None else weight[b], part[b], n_threads) for b in blocks)
            n = len(part)
        if n_threads is None:
            self.n_passes += n / max(self.n, 1)
        return G

    def _gram_of(self, weight, part, n_threads):
        problem = self._pass(part, weight, n_threads=n_threads, with_offset=False)
        G, s = problem.gram()
        if not self.intercept:
            return G
        result = np.empty((self.D, self.D))
        result[: self.d, : self.d] = G
        result[self.d, : self.d] = result[: self.d, self.d] = s
        result[self.d, self.d] = problem.n if weight is None else weight.sum()
        return result

    def columns(self, features, root):
        """Some features (m, n), each row times a root, as `_core.CoordinateModel` takes them."""
        self.n_passes += 0.5
        return dense_columns(self._X, self.affine, features, root)

    def kernel(self, factors):
        """sum_j factors_j u_ij u_lj (n, n), its lower triangle, over the features, the intercept's left out."""
        self.n_passes += 1
        return kernel(self._X, self.affine, factors, self.n_threads)

    def _sums_of_classes(self):
        if self._class_sums is None and self.adds_up_classes:
            self._class_sums, _ = rows_moments.group_sums(self._X, self.y, self.k, self.weight, self.n_threads)
            self.n_passes += 0.5
        return self._class_sums

    @property
    def adds_up_classes(self):
        """Whether adding up the features of each class's rows costs less than a pass."""
        return self.y.ndim == 1 and self.loss == "softmax" and self.k >= rows_moments.MANY_GROUPS

    def features(self, part, dtype=np.float64):
        """U (m, D) of part of the rows, the intercept's 1 in the last column."""
        X = self._at(part)
        U = np.ones((len(X), self.D), dtype)
        self.affine.apply(X, U[:, : self.d])
        _core.release(X)
        return U
