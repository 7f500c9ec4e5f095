"""Rows of a sparse matrix: what solvers see is centred and scaled, what is read is X's stored values and nothing else.

A pass folds the affine map into the parameters and takes it off the gradient, so that it costs what X's stored values
do.  Written out are only blocks of rows, for Hessians of few features.
"""

import copy

import numpy as np

from fastlr import _core
from fastlr._input.csr import first_nonfinite
from fastlr.model.memory import BLOCK_VALUES
from fastlr.model.rows_base import SAFE, Rows
from fastlr.model.rows_columns import sparse_columns

DOUBTFUL = 1e-6  # of the mean square: variances less than this may be rounding
PILOT_ROWS = 1000  # that tell how many products of two values a row has


class CsrRows(Rows):
    """Rows of X, a `Csr` (n, d); see `Rows`."""

    is_sparse = True
    is_measured = True

    def _some(self, part):
        """Every so many-th row of X."""
        return self._X[part]

    @staticmethod
    def _problem(X, y, k, **options):
        return _core.CsrProblem(X.data, X.indices, X.indptr, X.shape[1], y, k, **options)

    def within_range(self):
        """The rows, or a copy of them with features divided by powers of two, and the exponents (d,)."""
        mean, deviation = self.moments()
        safe = SAFE[self.real.itemsize]
        size = np.frexp(np.abs(mean) + deviation)[1]
        if (np.isfinite(deviation) & (np.abs(size) <= safe)).all():
            return self, np.zeros(self.d, np.intc)
        exponent = np.frexp(self._column_sums("largest")["largest"])[1].astype(np.intc)
        exponent[np.abs(exponent) <= safe] = 0
        part = copy.copy(self)
        part._X, part._moments = self._X.with_data(np.ldexp(self._X.data, -exponent[self._X.indices])), None
        part._all = part._pass(weight=self.weight)
        return part, exponent

    def _column_sums(self, *want):
        X = self._X
        self.n_passes += 0.5
        return _core.csr_column_sums(X.data, X.indices, X.indptr, self.d, self.weight, self.n_threads, want=want)

    def moments(self):
        """Weighted means and deviations (d,) of X's own features."""
        if self._moments is None:
            self._moments = self.measured()
        return self._moments

    def measured(self):
        """The same for the weights that the rows have now."""
        sums = self._column_sums("sums", "squares", "count")
        with np.errstate(over="ignore", invalid="ignore"):
            mean, square = sums["sums"] / self.total_weight, sums["squares"] / self.total_weight
            variance = square - mean * mean
        deviation = np.sqrt(np.maximum(variance, 0.0))
        doubtful = np.flatnonzero(~(variance > DOUBTFUL * square) & (sums["count"] > 0))  # nan too
        if len(doubtful):
            self._measure(doubtful, mean, deviation)
        return mean, deviation

    def _measure(self, some, mean, deviation):
        """Put the moments of some columns right whose sums of squares do not tell them."""
        from scipy.sparse import csc_array

        X, weight = self._X, self.weight
        number = np.full(self.d, -1)
        number[some] = np.arange(len(some))
        places = np.flatnonzero(number[X.indices] >= 0)
        row, column = np.searchsorted(X.indptr, places, side="right") - 1, number[X.indices[places]]
        power = np.zeros(len(some))
        values = X.data[places].astype(np.float64)
        np.maximum.at(power, column, np.abs(values))
        power = np.frexp(power)[1]
        part = csc_array((np.ldexp(values, -power[column]), (row, column)), shape=(self.n, len(some)))  # adds up places
        weight = np.ones(self.n) if weight is None else weight
        n_counted = np.count_nonzero(weight)
        for j in range(len(some)):
            column = slice(part.indptr[j], part.indptr[j + 1])
            w, x = weight[part.indices[column]], part.data[column]
            w, x = w[w > 0], x[w > 0]
            if len(x) < n_counted:
                w, x = np.append(w, max(self.total_weight - w.sum(), 0.0)), np.append(x, 0.0)
            m = float(w @ x) / self.total_weight
            is_constant = (x == x[0]).all()
            deviates = 0.0 if is_constant else np.sqrt(float(w @ (x - m) ** 2) / self.total_weight)
            if not (is_constant or deviates > 0):
                deviates = np.abs(x - m).max()
            mean[some[j]], deviation[some[j]] = np.ldexp((x[0] if is_constant else m, deviates), power[j])

    def constant_features(self):
        """Mask (d,) of features whose values are all equal in the rows that have a weight."""
        return self.measured()[1] == 0

    def first_nonfinite(self):
        """(row, column) and value of the first one of X that is nan or infinite, or None."""
        return first_nonfinite(self._X, self.n_threads)

    def gram(self, weight=None, part=slice(None), n_threads=None):
        """sum_i weight_i u_i u_i' (D, D) over part of the rows, as of `DenseRows`: a block at a time is written out."""
        X, G = self._X[part], np.zeros((self.D, self.D))
        size = max(1, BLOCK_VALUES // self.D)
        for start in range(0, len(X), size):
            some = slice(start, start + size)
            w = None if weight is None else weight[some]
            G += _core.Problem(self._written_out(X[some], self.real), None, 1, weight=w,
                               n_threads=n_threads or self.n_threads).gram()[0]
        if n_threads is None:
            self.n_passes += len(X) / max(self.n, 1)
        return G

    def features(self, part, dtype=np.float64):
        """U (m, D) of part of the rows, the intercept's 1 in the last column."""
        return self._written_out(self._X[part], dtype)

    def _written_out(self, X, dtype):
        U = np.ones((len(X), self.D), dtype)
        self.affine.apply(X.toarray(dtype), U[:, : self.d])
        return U

    def columns(self, features, root):
        """Some features, not centred, each row times a root, as `_core.CoordinateModel` takes them."""
        self.n_passes += 0.5
        return sparse_columns(self._X, self.affine.scale, features, root)

    def covariance(self, columns, n_rows, cost):
        """Covariance (m, m) of some features u, from so many rows at least, and as many as so many passes cost."""
        X, affine = self._X, self.affine
        weight = np.ones(self.n) if self.weight is None else self.weight
        is_in = np.zeros(self.d, bool)
        is_in[columns] = True
        step = max(1, self.n // n_rows)
        pilot = X[:: max(1, self.n // PILOT_ROWS)]
        counts = np.add.reduceat(np.append(is_in[pilot.indices], False).astype(np.int64), pilot.indptr[:-1])
        counts[np.diff(pilot.indptr) == 0] = 0
        products = float(np.mean(counts * (counts + 1))) / 2 * self.n
        step = min(step, max(1, int(products / (cost * max(self.n_values, 1)))))
        sampled = np.zeros(self.n)
        sampled[::step] = weight[::step]
        if not sampled.any():
            sampled, step = weight, 1
        G, s = _core.csr_gram(X.data, X.indices, X.indptr, self.d, columns.astype(np.int64), sampled, self.n_threads)
        self.n_passes += products / step / max(self.n_values, 1)
        total, scale = sampled.sum(), affine.scale[columns]
        G, s = G / total, s / total
        return (G - np.outer(s, s)) * np.outer(scale, scale)
