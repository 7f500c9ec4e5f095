"""Rows of a sparse matrix: what solvers see is centred and scaled, what is read is X's stored values and nothing else.

A pass folds the affine map into the parameters and takes it off the gradient, so that it costs what X's stored values
do.  Written out are only blocks of rows, for Hessians of few features.
"""

import copy

import numpy as np

from fastlr import _core
from fastlr._input.csr import first_nonfinite
from fastlr.model.memory import BLOCK_VALUES
from fastlr.model.numerics import TINY
from fastlr.model.rows_base import SAFE, Rows
from fastlr.model.rows_columns import sparse_columns

DOUBTFUL = 1e-6  # of the mean square: variances less than this may be rounding
MOST_KEPT = 1 << 20  # features whose moments are kept once their coordinates are made
PILOT_ROWS = 1000  # that tell how many products of two values a row has


class CsrRows(Rows):
    """Rows of X, a `Csr` (n, d); see `Rows`."""

    is_sparse = True
    is_measured = True

    def _some(self, part):
        """Every so many-th row of X."""
        return self._X[part]

    def __init__(self, X, *args, **options):
        self._transposed = {}  # k -> X and the copy that gradients have made of it, which serves all views
        self._known = None, None, None  # X, weights, and their moments
        super().__init__(X, *args, **options)

    def _problem(self, X, y, k, **options):
        source, columns = self._transposed.get(k, (None, None))
        return _core.CsrProblem(X.data, X.indices, X.indptr, X.shape[1], y, k,
                                columns=columns if X is source else None, **options)

    def _seen(self, *found):
        if self._all.columns is not None:
            self._transposed[self.k] = self._X, self._all.columns
        return super()._seen(*found)

    def through(self, affine):
        """As of `Rows`."""
        seen = super().through(affine)
        if self.d > MOST_KEPT:
            seen._moments, seen._known = None, (None, None, None)
        return seen

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
        part._X, part._moments = self._divided(exponent), None
        part._whole = None
        return part, exponent

    def _divided(self, exponent):
        return self.divided(self._X, exponent)

    @staticmethod
    def divided(X, exponent):
        """X, a `Csr`, each feature divided by a power of two."""
        return X.with_data(np.ldexp(X.data, -exponent[X.indices]))

    def _column_sums(self, *want):
        self.n_passes += 0.5
        return self._sums_of_columns(self.weight, *want)

    def _sums_of_columns(self, weight, *want):
        X = self._X
        return _core.csr_column_sums(X.data, X.indices, X.indptr, self.d, weight, self.n_threads, want=want)

    def _gram_of_columns(self, columns, weight):
        """Weighted sums of the products of some columns (m, m), and of their values (m,)."""
        X = self._X
        return _core.csr_gram(X.data, X.indices, X.indptr, self.d, columns, weight, self.n_threads)

    def moments(self):
        """Weighted means and deviations (d,) of X's own features."""
        if self._moments is None:
            self._moments = self.measured()
        return self._moments

    def measured(self):
        """The same for the weights that the rows have now."""
        X, weight, found = self._known
        if X is not self._X or weight is not self.weight:
            found = self._measured()
            self._known = self._X, self.weight, found
        return found

    def _measured(self):
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

        weight = self.weight
        values, row, column = self._of_columns(some)
        power = np.zeros(len(some))
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

    def _of_columns(self, some):
        """Values (float64), rows and columns, numbered from 0 on, of what is stored in some columns."""
        X, parts = self._X, []
        number = np.full(self.d, -1)
        number[some] = np.arange(len(some))
        for _, run in X.runs():
            places = run.start + np.flatnonzero(number[X.indices[run]] >= 0)
            row = np.searchsorted(X.indptr, places, side="right") - 1
            parts.append((X.data[places].astype(np.float64), row, number[X.indices[places]]))
            X.release()
        return map(np.concatenate, zip(*parts, strict=True))

    def constant_features(self):
        """Mask (d,) of features whose values are all equal in the rows that have a weight."""
        return self.measured()[1] == 0

    def first_nonfinite(self):
        """(row, column) and value of the first one of X that is nan or infinite, or None."""
        return first_nonfinite(self._X, self.n_threads)

    def logits(self, W, part=slice(None), **options):
        """As of `Rows`; those of a constant model cost no trip."""
        if W[:, : self.d].any() or self.offset is not None or not isinstance(part, slice):
            return super().logits(W, part, **options)
        _, c = self._parts(W)
        return np.tile(c.astype(self.real), (len(range(self.n)[part]), 1))

    def hessp_at(self, Z, U):
        """As of `Rows`; for a step of the intercept alone half a pass."""
        if U[:, : self.d].any() or not self.intercept:
            return super().hessp_at(Z, U)
        A, c = self.activations(Z.copy()), U[:, self.d].astype(Z.dtype)
        if self.loss == "softmax":
            R = A * (c - (A @ c)[:, None])
        else:
            R = A * (1 - A) * c if self.loss == "sigmoid" else np.broadcast_to(c, A.shape)
        if self.weight is not None:
            R = R * self.weight[:, None]
        self.n_passes += 0.5
        return self._joined(*self._all.outer(np.ascontiguousarray(R, self.real)))

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
        X.release()
        return U

    def columns(self, features, root):
        """Some features, not centred, each row times a root, as `_core.CoordinateModel` takes them."""
        self.n_passes += 0.5
        return sparse_columns(self._X, self.affine.scale, features, root)

    def second_moments(self, weight, columns, n_rows, cost):
        """Weighted variances (d,) of the features u, and the covariance (m, m) of some of them, indices (m,) int64.

        The covariance comes from n_rows rows at least, and from as many as so many passes cost.
        """
        scale = self.affine.scale
        sums = self._sums_of_columns(weight, "sums", "squares")
        total = max(weight.sum(), TINY)
        variance = np.maximum(sums["squares"] / total - (sums["sums"] / total) ** 2, 0.0) * scale**2
        products = self._products_of(columns)
        step = max(1, min(self.n // n_rows, int(products / (cost * max(self.n_values, 1)))))
        some = np.zeros(self.n)
        some[::step] = weight[::step]
        if not some.any():
            some, step = weight, 1
        G, s = self._gram_of_columns(columns, some)
        self.n_passes += 0.5 + products / step / max(self.n_values, 1)
        total, scale = max(some.sum(), TINY), scale[columns]
        G, s = G / total, s / total
        return variance, (G - np.outer(s, s)) * np.outer(scale, scale)

    def _products_of(self, columns):
        """About how many products of two values in some columns the rows have."""
        is_in = np.zeros(self.d, np.int64)
        is_in[columns] = 1
        pilot = self._X[:: max(1, self.n // PILOT_ROWS)]
        ends = np.append(0, np.cumsum(is_in[pilot.indices]))[pilot.indptr]
        counts = np.diff(ends)
        return float(np.mean(counts * (counts + 1))) / 2 * self.n
