"""What every kind of rows has: targets, weights, offsets, and passes over X through an affine map.

A kind of data is one subclass of `Rows`.  Its methods take a model as W (k, D), a row a class and D = d + 1 columns,
the last the intercept's (D = d without one), and see features u through an affine map.  What they return are *sums*
over the rows, so that those of two blocks of rows, added, are those of both; `total_weight` makes means of them.
"""

import copy

import numpy as np

from fastlr import _core
from fastlr.model.affine import Affine
from fastlr.model.memory import BLOCK_VALUES
from fastlr.model.rows_loss import gradient_of_constants
from fastlr.model.rows_targets import base_rate, dense_targets, gradient_of_classes, link, target_offsets

SMALL = 1 << 19  # values of X: up to here they are computed with in float64, whatever their type
SAFE = {4: 60, 8: 400}  # powers of two that X's values may be from 1, by size: beyond, a copy nearer to it is made


def add(a, b):
    """The sum of two results: numbers or arrays, or tuples of them."""
    return tuple(map(add, a, b)) if isinstance(a, tuple) else a + b


class Rows:
    """Some rows X, with targets, weights and offsets.

    A subclass says how X is read: `_problem`, `moments`, `measured`, `within_range`, `first_nonfinite`, `gram`,
    `features`, `columns`, `constant_features`, and the attributes `is_measured` and `is_sparse`.

    Parameters
    ----------
    X : ndarray or fastlr._input.csr.Csr (n, d)
    y : ndarray
        int32 labels (n,), or targets (n, k) in X's real type.
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
    size : int, default=None
        Values of all X that this one is a part of: few are computed with in float64. None: those of X.

    Attributes
    ----------
    n, d, k, n_values : int
        Rows, features, logits, and the values of X that are stored.
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

    is_at_hand = True  # whether single rows can be looked at, and logits of all be kept; else those of a sample
    least_step = 1  # of samples: every how many-th row can be brought here at most

    def __init__(self, X, y, n_logits, *, loss="softmax", weight=None, offset=None, intercept=True, n_threads=1,
                 random_state=0, size=None):
        size = X.size if size is None else size
        X, y, offset = (as_computed(array, size) for array in (X, y, offset))
        if size <= SMALL and loss == "softmax" and y.ndim == 2:  # probabilities were rounded when of another type
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
        self.D = self.d + self.intercept
        self.real = _core.real_dtype(self._X.dtype)
        self.total_weight = float(self.n if self.weight is None else self.weight.sum())
        squares = self.n if self.weight is None else float(self.weight @ self.weight)
        self.effective_rows = self.total_weight**2 / squares
        self.base_rate = base_rate(self.y, self.k, self.loss, self.mean, self.weight)
        self._constant_gradient = self._whole = None

    # ---- other views of the data ------------------------------------------------------------------------------------
    def through(self, affine):
        """The same rows, their features seen through another map of X."""
        seen = copy.copy(self)
        seen.affine, seen._constant_gradient, seen._whole = affine, None, None
        return seen

    def sample(self, step):
        """Every step-th row, as data of their own."""
        part = copy.copy(self)
        part._X = self._some(slice(None, None, step))
        part.y = np.ascontiguousarray(self.y[::step])
        part.weight, part.offset = (
            None if values is None else np.ascontiguousarray(values[::step]) for values in (self.weight, self.offset)
        )
        part._moments = part._class_sums = None
        part.n_passes = 0.0
        part._take_size()
        return part

    # ---- sums over the rows -----------------------------------------------------------------------------------------
    def over_parts(self, function, *args, join=add):
        """function(rows, *args); of rows in parts the results of all parts, two at a time joined into one."""
        return function(self, *args)

    def row_by_row(self, function, *args):
        """function(rows, *args), an array (n, ...) whose rows belong to these; of blocks the results of all."""
        return function(self, *args)

    def mean_over_parts(self, function, W, Z=None):
        """function(rows, activations) at W (k, D) or logits Z (n, k): a mean over the rows by their weights."""
        return function(self, self.activations_at(W, Z))

    def loss_and_grad(self, W):
        """Sum of the losses at W (k, D), and its gradient (k, D)."""
        self.n_passes += 1
        return self._seen(W, *self._all.loss_and_grad(*self._parts(W)))

    def loss_and_grad_at(self, Z, W):
        """The same at W's logits Z (n, k) in the real type, offset and all: half a pass."""
        self.n_passes += 0.5
        return self._seen(W, *self._all.loss_and_grad_at(Z))

    def _seen(self, W, total, G, g):
        """A sum of losses and its gradient (k, D); where W is a constant model its gradient is kept."""
        if self._constant_gradient is None and self.offset is None and not W[:, : self.d].any():
            self._constant_gradient = G / self.total_weight
        return total, self._joined(G, g)

    def hessp(self, W, U):
        """The Hessian of the sum of the losses at W times U (k, D)."""
        self.n_passes += 1
        return self._joined(*self._all.hessp(*self._parts(W), *self._parts(U)))

    def hessp_at(self, Z, U):
        """The same at logits Z (n, k)."""
        self.n_passes += 1
        return self._joined(*self._all.hessp_at(Z, *self._parts(U)))

    def outer(self, R, part=slice(None), n_threads=None):
        """sum_i r_i u_i' (p, D) of values R (m, p) of part of the rows.

        Callers on threads of their own say n_threads and count the trip themselves.
        """
        problem = self._columns_of(R.shape[1], part, n_threads)
        if n_threads is None:
            self.n_passes += 0.5 * problem.n / max(self.n, 1)
        return self._joined(*problem.outer(np.ascontiguousarray(R, self.real)))

    def constant_gradient(self):
        """Mean of (rate - y) u' (k, d): the gradient of a constant model, whatever the constant, if u has mean 0."""
        if self._constant_gradient is None:
            sums = self._sums_of_classes()
            if sums is not None:
                means = sums / self.total_weight
                self._constant_gradient = gradient_of_classes(means, self.base_rate, self.loss, self.affine)
        if self._constant_gradient is None:
            c = link(self.base_rate, self.loss) * self.intercept
            self._constant_gradient = self.over_parts(gradient_of_constants, c) / self.total_weight
        return self._constant_gradient

    def _sums_of_classes(self):
        """Weighted sums (n_classes, d) of each class's rows of X, where they are known or cost less than a pass."""
        return None

    adds_up_classes = False
    """Whether adding up the features of each class's rows costs less than a pass."""

    knows_classes = property(lambda self: self.adds_up_classes or self._class_sums is not None,
                             doc="Whether the gradient of a constant model costs less than a pass.")

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

    def activations_at(self, W, Z=None):
        """A function of part of the rows, a slice, that makes their activations A (m, k) at W (k, D) or logits Z."""

        def of(part, n_threads=None):
            if Z is None:
                return self.activations(self.logits(W, part, n_threads=n_threads), n_threads)
            logits = np.ascontiguousarray(Z[part])
            return self.activations(logits, n_threads, logits if logits.base is None else np.empty_like(logits))

        return of

    def residuals(self, Z, part):
        """Sum of the losses at logits Z (m, k) of part of the rows, on this thread; Z becomes weight (A - Y)."""
        weight = None if self.weight is None else np.ascontiguousarray(self.weight[part])
        return _core.residual(self.loss, Z, np.ascontiguousarray(self.y[part]), weight=weight, R_out=Z)

    def project(self, T, part=slice(None)):
        """U T (m, p) in the real type of part of the rows U (m, D) and T (D, p)."""
        problem = self._columns_of(T.shape[1], part)
        self.n_passes += 0.5 * problem.n / max(self.n, 1)
        return problem.logits(np.ascontiguousarray(T[: self.d].T), T[self.d :].sum(axis=0))

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

    def weight_of_every(self, step):
        """Total weight of every step-th row."""
        return float(-(-self.n // step) if self.weight is None else self.weight[::step].sum())

    @property
    def least_weight(self):
        """The smallest weight above 0."""
        return 1.0 if self.weight is None else float(np.min(self.weight, where=self.weight > 0, initial=np.inf))

    def mean_target_offset(self):
        """Weighted mean of <y, offset>."""
        return float(self.mean(target_offsets(self.y, self.offset, self.loss)))

    # ---- the C boundary ---------------------------------------------------------------------------------------------
    def _pass(self, part=slice(None), weight=None, *, with_offset=True, n_threads=None):
        """The passes over part of the rows, with weights (m,) of their own."""
        offset = None if self.offset is None or not with_offset else np.ascontiguousarray(self.offset[part])
        return self._problem(
            self._at(part), np.ascontiguousarray(self.y[part]), self.k, loss=self.loss, weight=weight, offset=offset,
            scale=self.affine.scale, shift=self.affine.shift, n_threads=n_threads or self.n_threads,
        )

    def _columns_of(self, p, part, n_threads=None):
        """Passes over part of the rows for products with p columns."""
        map_ = self.affine
        return self._problem(self._at(part), None, p, scale=map_.scale, shift=map_.shift,
                             n_threads=n_threads or self.n_threads)

    def _at(self, part):
        """Part of the rows of X."""
        return self._X[part]

    @property
    def _all(self):
        """The passes over all rows."""
        if self._whole is None:
            self._whole = self._pass(weight=self.weight)
        return self._whole

    def _parts(self, W):
        return W[:, : self.d], W[:, self.d] if self.intercept else np.zeros(self.k)

    def _joined(self, G, g):
        return np.column_stack([G, g]) if self.intercept else G


def as_computed(array, size):
    """A matrix as rows of `size` values of X compute with it: in float64 if they are few."""
    if array is None or array.ndim == 1 or size > SMALL:
        return array
    return array.astype(np.float64, copy=False)
