"""Rows: the data, whatever they are.  Nothing outside rows*.py touches X.

A kind of data is one class with the methods of `DenseRows`.  They take a model as W (k, D), a row a class and D = d + 1
columns, the last the intercept's (D = d without one), and see features u through an affine map.  What they return are
*sums* over the rows, so that those of two blocks of rows, added, are those of both; `total_weight` makes means of them.
"""

import copy

import numpy as np

from fastlr import _core
from fastlr.model import rows_moments
from fastlr.model.affine import Affine
from fastlr.model.memory import BLOCK_VALUES
from fastlr.model.rows_kernel import kernel
from fastlr.model.rows_targets import base_rate, dense_targets, gradient_of_classes, link, target_offsets

SMALL = 1 << 19  # values of X: up to here they are computed with in float64, whatever their type
SAFE = {4: 60, 8: 400}  # powers of two that X's values may be from 1, by size: beyond, a copy nearer to it is made
FAR = 16  # rows so far apart are copied when sampled: passes over them would wait for memory


class DenseRows:
    """Rows of an array, with targets, weights and offsets.

    Parameters
    ----------
    X : ndarray (n, d) of a dtype in `_core.DTYPES`, any layout
    y : ndarray
        int32 labels (n,), or targets (n, k) in `_core.real_dtype(X.dtype)`.
    n_logits : int
        k, the logits of a row: 1 for binary problems.
    loss : {"softmax", "sigmoid", "squared_error"}, default="softmax"
    weight : ndarray (n,) float64, default=None
    offset : ndarray (n, k) in the real type, default=None
        Added to the logits.
    intercept : bool, default=True
        Whether u ends with a 1.
    n_threads : int, default=1
    random_state : int, default=0
        Seed of samples of rows.

    Attributes
    ----------
    n, d, k, n_values : int
        Rows, features, logits, and the values of X.
    D : int
        d, and 1 for the intercept.
    real : dtype
        What tiles compute in.
    total_weight, effective_rows : float
        sum w, and (sum w)^2 / sum w^2.
    base_rate : ndarray (k,)
        Weighted mean target.
    is_measured : bool
        Whether `moments` looks at every value, so that a mean of 0 is none of rounding.
    n_passes : float
        Trips over the rows so far; of some rows the part that they are, one of a pass's two products a half.
    """

    def __init__(self, X, y, n_logits, *, loss="softmax", weight=None, offset=None, intercept=True, n_threads=1,
                 random_state=0):
        X, y, offset = (as_computed(array, X.size) for array in (X, y, offset))
        if X.size <= SMALL and loss == "softmax" and y.ndim == 2:  # probabilities were rounded when of another type
            y = y / y.sum(axis=1, keepdims=True)
        self._X, self.y, self.offset, self.loss = X, y, offset, loss
        self.weight, _ = _core.moderate_weights(weight)
        self.intercept, self.n_threads = bool(intercept), n_threads
        self.k, self.rng = n_logits, np.random.default_rng(random_state)
        self.affine = Affine()
        self.n_passes, self._moments, self._class_sums = 1.0, None, None  # a pass looked for what is not finite
        self._take_size()

    def _take_size(self):
        (self.n, self.d), self.n_values = self._X.shape, self._X.size
        self.D, self.is_measured = self.d + self.intercept, self._X.size <= rows_moments.SMALL
        self.real = _core.real_dtype(self._X.dtype)
        self.total_weight = float(self.n if self.weight is None else self.weight.sum())
        squares = self.n if self.weight is None else float(self.weight @ self.weight)
        self.effective_rows = self.total_weight**2 / squares
        self.base_rate = base_rate(self.y, self.k, self.loss, self.mean, self.weight)
        self._constant_gradient = None
        self._all = self._pass(weight=self.weight)

    # ---- other views of the data ------------------------------------------------------------------------------------
    def through(self, affine):
        """The same rows, their features seen through another map of X."""
        seen = copy.copy(self)
        seen.affine, seen._constant_gradient = affine, None
        seen._all = seen._pass(weight=self.weight)
        return seen

    def sample(self, step):
        """Every step-th row, as data of their own."""
        part = copy.copy(self)
        part._X = self._X[::step].copy() if step >= FAR else self._X[::step]
        part.y = np.ascontiguousarray(self.y[::step])
        part.weight, part.offset = (
            None if values is None else np.ascontiguousarray(values[::step]) for values in (self.weight, self.offset)
        )
        part._moments = part._class_sums = None
        part.n_passes = 0.0
        part._take_size()
        return part

    def within_range(self):
        """The rows, or a copy of them with features divided by powers of two, and the exponents (d,)."""
        exponent = rows_moments.far_exponents(self._X, *self.moments(), SAFE[self.real.itemsize])
        if not exponent.any():
            return self, exponent
        part = copy.copy(self)
        part._X, part._moments = np.ldexp(self._X.astype(self.real, copy=False), -exponent), None
        part._all = part._pass(weight=self.weight)
        return part, exponent

    def with_features(self, X, part):
        """Some of the rows, indices (m,), with other features X (m, d'), float64."""
        y, weight, offset = (None if a is None else a[part] for a in (self.y, self.weight, self.offset))
        return DenseRows(
            X, as_computed(y, 0), self.k, loss=self.loss, weight=weight, offset=as_computed(offset, 0),
            intercept=self.intercept, n_threads=self.n_threads,
        )

    def moments(self):
        """Weighted means and rough deviations (d,) of X's own features."""
        if self._moments is None:
            labels = self.y if self.y.ndim == 1 and self.loss != "squared_error" else None
            mean, deviation, self._class_sums = rows_moments.moments(
                self._X, self.weight, self.rng, self.n_threads, labels if self.k <= rows_moments.GROUPS else None
            )
            self._moments = mean, deviation
        return self._moments

    def first_nonfinite(self):
        """(row, column) and value of the first one of X that is nan or infinite, or None."""
        found = _core.first_nonfinite(self._X, self.n_threads)
        return found and (found, float(self._X[found]))

    # ---- sums over the rows -----------------------------------------------------------------------------------------
    def loss_and_grad(self, W):
        """Sum of the losses at W (k, D), and its gradient (k, D)."""
        self.n_passes += 1
        total, G, g = self._all.loss_and_grad(*self._parts(W))
        if self._constant_gradient is None and self.offset is None and not W[:, : self.d].any():
            self._constant_gradient = G / self.total_weight
        return total, self._joined(G, g)

    def loss_and_grad_at(self, Z):
        """The same at logits Z (n, k) in the real type, offset and all: half a pass."""
        self.n_passes += 0.5
        total, G, g = self._all.loss_and_grad_at(Z)
        return total, self._joined(G, g)

    def hessp(self, W, U):
        """The Hessian of the sum of the losses at W times U (k, D)."""
        self.n_passes += 1
        return self._joined(*self._all.hessp(*self._parts(W), *self._parts(U)))

    def hessp_at(self, Z, U):
        """The same at logits Z (n, k)."""
        self.n_passes += 1
        return self._joined(*self._all.hessp_at(Z, *self._parts(U)))

    def gram(self, weight=None, part=slice(None), n_threads=None):
        """sum_i weight_i u_i u_i' (D, D) over part of the rows; without weights they count 1 each.

        Callers on threads of their own say n_threads and count the trip themselves.
        """
        problem = self._pass(part, weight, n_threads=n_threads, with_offset=False)
        if n_threads is None:
            self.n_passes += problem.n / max(self.n, 1)
        G, s = problem.gram()
        if not self.intercept:
            return G
        result = np.empty((self.D, self.D))
        result[: self.d, : self.d] = G
        result[self.d, : self.d] = result[: self.d, self.d] = s
        result[self.d, self.d] = problem.n if weight is None else weight.sum()
        return result

    def outer(self, R, part=slice(None), n_threads=None):
        """sum_i r_i u_i' (k, D) of values R (m, k) of part of the rows.

        Callers on threads of their own say n_threads and count the trip themselves.
        """
        problem = self._pass(part, n_threads=n_threads)
        if n_threads is None:
            self.n_passes += 0.5 * problem.n / max(self.n, 1)
        return self._joined(*problem.outer(np.ascontiguousarray(R, self.real)))

    def kernel(self, factors):
        """sum_j factors_j u_ij u_lj (n, n), its lower triangle, over the features, the intercept's left out."""
        self.n_passes += 1
        return kernel(self._X, self.affine, factors, self.n_threads)

    def constant_gradient(self):
        """Mean of (rate - y) u' (k, d): the gradient of a constant model, whatever the constant, if u has mean 0."""
        if self._constant_gradient is None and (self._class_sums is not None or self.adds_up_classes):
            if self._class_sums is None:
                self._class_sums, _ = rows_moments.group_sums(self._X, self.y, self.k, self.weight, self.n_threads)
                self.n_passes += 0.5
            means = self._class_sums / self.total_weight
            self._constant_gradient = gradient_of_classes(means, self.base_rate, self.loss, self.affine)
        if self._constant_gradient is None:
            self.n_passes += 1
            _, G, _ = self._pass(weight=self.weight, with_offset=False).loss_and_grad(
                np.zeros((self.k, self.d)), link(self.base_rate, self.loss) * self.intercept
            )
            self._constant_gradient = G / self.total_weight
        return self._constant_gradient

    @property
    def adds_up_classes(self):
        """Whether adding up the features of each class's rows costs less than a pass."""
        return self.y.ndim == 1 and self.loss == "softmax" and self.k >= rows_moments.MANY_GROUPS

    # ---- row by row -------------------------------------------------------------------------------------------------
    def logits(self, W, part=slice(None), *, with_offset=True, n_threads=None):
        """Z (m, k) of part of the rows in the real type; n_threads as for `outer`."""
        is_all = isinstance(part, slice) and part == slice(None) and (with_offset or self.offset is None)
        problem = self._all if is_all else self._pass(part, with_offset=with_offset, n_threads=n_threads)
        if n_threads is None:
            self.n_passes += 0.5 * problem.n / max(self.n, 1)
        return problem.logits(*self._parts(W))

    def activations(self, Z, n_threads=None, out=None):
        """Logits Z (m, k) as the model's probabilities (squared error: values) A, in their place without `out`."""
        n_threads, out = n_threads or self.n_threads, Z if out is None else out
        if self.loss == "squared_error":
            out[...] = Z
        else:
            (_core.rows if self.loss == "softmax" else _core.map)(self.loss, Z, out, n_threads)
        return out

    def residuals(self, Z, part):
        """Sum of the losses at logits Z (m, k) of part of the rows, on this thread; Z becomes weight (A - Y)."""
        weight = None if self.weight is None else np.ascontiguousarray(self.weight[part])
        return _core.residual(self.loss, Z, np.ascontiguousarray(self.y[part]), weight=weight, R_out=Z)

    def project(self, T, part=slice(None)):
        """U T (m, p) in the real type of part of the rows U (m, D) and T (D, p)."""
        map_, X = self.affine, self._X[part]
        problem = _core.Problem(X, None, T.shape[1], scale=map_.scale, shift=map_.shift, n_threads=self.n_threads)
        self.n_passes += 0.5 * problem.n / max(self.n, 1)
        return problem.logits(np.ascontiguousarray(T[: self.d].T), T[self.d :].sum(axis=0))

    def features(self, part, dtype=np.float64):
        """U (m, D) of part of the rows, the intercept's 1 in the last column."""
        X = self._X[part]
        U = np.ones((len(X), self.D), dtype)
        self.affine.apply(X, U[:, : self.d])
        return U

    def targets(self, part=slice(None)):
        """Y (m, k) of part of the rows, float64."""
        return dense_targets(self.y[part], self.k, self.loss)

    def block(self, part):
        """U (m, D), Y (m, k), offset (m, k), weight (m,) of part of the rows, float64."""
        U, Y = self.features(part), self.targets(part)
        offset = np.zeros(Y.shape) if self.offset is None else self.offset[part].astype(np.float64)
        return U, Y, offset, np.ones(len(U)) if self.weight is None else self.weight[part]

    def blocks(self):
        """All rows, one `block` after the other."""
        size = max(1, BLOCK_VALUES // (self.d + self.k))
        yield from (self.block(slice(start, start + size)) for start in range(0, self.n, size))
        self.n_passes += 1

    def mean(self, values):
        """Weighted mean over the rows of an array (n, ...)."""
        plain = self.weight is None
        return values.mean(axis=0, dtype=float) if plain else np.average(values, axis=0, weights=self.weight)

    def mean_target_offset(self):
        """Weighted mean of <y, offset>."""
        return float(self.mean(target_offsets(self.y, self.offset, self.loss)))

    # ---- the C boundary ---------------------------------------------------------------------------------------------
    def _pass(self, part=slice(None), weight=None, *, with_offset=True, n_threads=None):
        """The passes over part of the rows, with weights (m,) of their own."""
        offset = None if self.offset is None or not with_offset else np.ascontiguousarray(self.offset[part])
        return _core.Problem(
            self._X[part], np.ascontiguousarray(self.y[part]), self.k, loss=self.loss, weight=weight, offset=offset,
            scale=self.affine.scale, shift=self.affine.shift, n_threads=n_threads or self.n_threads,
        )

    def _parts(self, W):
        return W[:, : self.d], W[:, self.d] if self.intercept else np.zeros(self.k)

    def _joined(self, G, g):
        return np.column_stack([G, g]) if self.intercept else G


def as_computed(array, size):
    """A matrix as rows of `size` values of X compute with it: in float64 if they are few."""
    if array is None or array.ndim == 1 or size > SMALL:
        return array
    return array.astype(np.float64, copy=False)
