"""What the solvers minimise: mean loss + penalty of a linear model, in coordinates made for solving.

    F(W, b) = 1/s sum_i w_i loss(W u_i + b + o_i, y_i) + alpha/2 sum_j p_j ||W_j||^2        s = sum_i w_i

n rows u_i = (x_i - shift) * scale, d features, k logits; W (k, d), b (k,) never penalised, o an offset, p penalty
factors of the features.

Design: solvers see one flat float64 vector v = [V row by row (k d), c (k)] for *standardised* features (u - m) / t:
V = W t, c = b + W m, penalty factors p / t^2.  The optimum is that of the user's problem, and no second array is made,
for passes fold m and t into their parameters.  m is the weighted mean; t need not be exact, only fixed.  Tiles compute
in X's own real type (small X is converted to float64: proofs to any tolerance for a copy that costs nothing), sums and
everything here in float64.

`lower_bound` turns any gradient into a proved bound of the optimal value by Fenchel duality: docs/solvers.md.
"""

import copy

import numpy as np

from fastlr import _core
from fastlr.model import moments, rounding
from fastlr.model.duality import entropies, gradient_bound, shifted_bound
from fastlr.model.line import RENEWED, LogitLine, PassLine, keeps_logits

SMALL = 1 << 19  # values of X: up to here they are computed with in float64, whatever their type
SAFE = {4: 60, 8: 400}  # powers of two that X's values may be from 1, by size: beyond, a copy nearer to it is made
LOST = 0.5  # rounding of logits, from which on losses are noise
VISIBLE = 1e-11  # part of a value that rounding of logits may change unseen
MOST_SHIFT = 1e14  # deviations from a feature's mean that float64 can subtract
NEGLIGIBLE = 1e-26  # strength of a penalty that is none
FAR_POWER = 600  # of two, that alpha may be from 1
TINIEST = 1e-300  # deviation of a feature whose coefficient is a float64
STIFFEST = 1e-15  # root of the strongest penalty in units of a feature's deviation
FAR = 16  # rows so far apart are copied: passes over them would wait for memory


class Objective:
    """Penalised mean loss of a linear model over dense rows.

    Parameters
    ----------
    X : ndarray (n, d) of a dtype in `_core.DTYPES`, any layout
    y : ndarray
        int32 labels (n,), or targets (n, k) in `_core.real_dtype(X.dtype)`.
    n_logits : int
        k, the logits of a row: 1 for binary problems.
    loss : {"softmax", "sigmoid", "squared_error"}, default="softmax"
    alpha : float, default=0.0
        Strength of the penalty.
    penalty : ndarray (d,) float64, default=None
        Non-negative factors of the penalty, one a feature; None means 1.
    fit_intercept : bool, default=True
        Without it there is no c in v, and features are scaled but not shifted.
    weight : ndarray (n,) float64, default=None
    offset : ndarray (n, k) in the real type, default=None
    scale, shift : ndarray (d,) float64, default=None
        The user's features are (X - shift) * scale; alpha penalises their coefficients.
    n_threads : int, default=1
    random_state : int, default=0
        Seed of the samples of rows: they shape the path to the optimum, not the optimum.

    Attributes
    ----------
    size : int
        Length of v.
    n_passes : float
        Passes over the rows so far; a Hessian product is one, a sample of rows the fraction that it is.
    resolution : float
        Relative rounding error of a value.
    kappa : ndarray (d,)
        1 + |mean| / deviation of each feature: what digits are lost by.
    effective_rows : float
        (sum w)^2 / sum w^2.
    """

    def __init__(
        self, X, y, n_logits, *, loss="softmax", alpha=0.0, penalty=None, fit_intercept=True, weight=None, offset=None,
        scale=None, shift=None, n_threads=1, random_state=0,
    ):
        (self.n, self.d), self.k = X.shape, n_logits
        X, y, offset = (as_computed(array, X.size) for array in (X, y, offset))
        if X.size <= SMALL and loss == "softmax" and y.ndim == 2:  # probabilities were rounded when of another type
            y = y / y.sum(axis=1, keepdims=True)
        self.y, self.loss, self.alpha, self.fit_intercept = y, loss, float(alpha), fit_intercept
        self.offset, self.n_threads = offset, n_threads
        self.weight, _ = _core.moderate_weights(weight)
        self.size = self.k * self.d + (self.k if fit_intercept else 0)
        self.total_weight = float(self.n if weight is None else self.weight.sum())
        self.resolution = float(np.finfo(_core.real_dtype(X.dtype)).eps)
        self.rng = np.random.default_rng(random_state)
        self.n_passes = 1.0
        with np.errstate(all="ignore"):  # what is not finite is told from results
            class_sums = self._take_coordinates(X, scale, shift, penalty)
            self._describe_targets()
            if class_sums is not None:
                self._base_gradient = self._gradient_by_class(class_sums)

    def _take_coordinates(self, X, scale, shift, penalty):
        """Choose m and t, and describe the user's features by them; returns the sums of each class's rows, or None.

        Powers of two are kept apart: those of X, of its deviations and of `scale` may leave the range where their
        product does not.
        """
        labels = self.y if self.y.ndim == 1 and self.loss != "squared_error" and self.k <= moments.GROUPS else None
        safe = SAFE[np.dtype(_core.real_dtype(X.dtype)).itemsize]
        exponent = np.zeros(self.d, np.intc)
        mean, deviation, class_sums = moments.moments(X, self.weight, self.rng, self.n_threads, labels)
        size = np.frexp(np.abs(mean) + deviation)[1]
        if not (np.isfinite(deviation) & (np.abs(size) <= safe)).all():
            exponent = _far_exponents(X, safe)
            X = np.ldexp(X.astype(_core.real_dtype(X.dtype), copy=False), -exponent)
            mean, deviation, class_sums = moments.moments(X, self.weight, self.rng, self.n_threads, labels)
        self.X = X
        scale, power = np.frexp(np.ones(self.d) if scale is None else scale)
        power = power + exponent
        if shift is None:
            centre = mean
        else:
            shift = np.ldexp(shift, -exponent)
            centre = mean - shift
        if not self.fit_intercept:
            deviation, mean = np.hypot(deviation, centre), np.zeros(self.d) if shift is None else shift
            centre = np.zeros(self.d)
        varies = (deviation > 0) | (mean == 0) & (X.size > moments.SMALL)  # sums of 0 need not be of zeros
        deviation = np.where(deviation == 0, 1.0, deviation)
        true = np.ldexp(deviation * np.abs(scale), power)
        penalty_root = np.ones(self.d) if penalty is None else np.sqrt(penalty)
        # far below the penalty's size a feature's own does not matter
        self.deviation = np.maximum(true, STIFFEST * np.sqrt(self.alpha) * penalty_root)
        self.mean = np.ldexp(centre * scale, power)
        fits = self.deviation + np.abs(self.mean) + np.abs(mean) < np.inf
        fits &= (self.deviation >= TINIEST) | (scale == 0) | ~varies
        if not fits.all():
            raise ValueError(f"(X - shift) * scale leaves the range of float64, first in column {fits.argmin()}, whose "
                             f"values deviate from their mean by about {self.deviation[fits.argmin()]:.1e}; expected "
                             f"at least {TINIEST:g} and at most 1e308: use another scale or shift")
        self.deviation = np.where(self.deviation < TINIEST, 1.0, self.deviation)
        if shift is not None and (lost := (np.abs(self.mean) > MOST_SHIFT * self.deviation) & varies).any():
            j = lost.argmax()
            raise ValueError(f"shift is {np.ldexp(shift[j], exponent[j]):.3g} for column {j}, whose values deviate "
                             f"from their mean by {np.ldexp(deviation[j], exponent[j]):.3g} only: expected a shift "
                             f"among them, or their difference keeps no digit")
        self.mean_deviations = self.mean / self.deviation
        self.own_scale, self.own_shift = np.ldexp(scale, power), shift
        self.problem_shift = mean
        self.problem_scale = np.where(varies, np.sign(scale) * (true / self.deviation) / deviation, 0.0)
        self.factors = np.minimum((penalty_root / self.deviation) ** 2, 1e300)  # reached without a penalty only
        # too weak to hold what separates the rows: added to F when all is done
        strength = self.alpha * self.factors
        self.neglected = strength * (strength < NEGLIGIBLE)
        self.factors = self.factors * (strength >= NEGLIGIBLE)
        self._strength = None
        self.kappa = 1 + np.abs(self.problem_shift * self.problem_scale)
        self.is_constant = self.problem_scale == 0  # such features need no coefficient
        return class_sums

    def _describe_targets(self):
        """The passes over X, and what `lower_bound` needs of y and the offset."""
        self.problem = self.rows_problem(slice(None), self.weight)
        self.base_rate = self._base_rate()
        squares = self.n if self.weight is None else float(self.weight @ self.weight)
        self.effective_rows = self.total_weight**2 / squares
        self.mean_offset, self.mean_target_offset, self.offset_size = np.zeros(self.k), 0.0, 0.0
        if self.offset is not None:
            self.offset_size = float(np.abs(self.offset).max(initial=0.0))
            self.mean_offset = self._mean(self.offset)
            self.mean_target_offset = self._target_offset()
        self._base_gradient = None
        self._kept, self._steps = None, 0

    # ---- coordinates ------------------------------------------------------------------------------------------------
    def start(self, W=None, b=None):
        """v of the user's W (k, d) and b (k,); without W the constant model of the base rates."""
        v = np.zeros(self.size)
        V, c = self.split(v)
        if W is not None:
            V[:] = W * self.deviation
            c += b + V @ self.mean_deviations
        elif self.fit_intercept:
            c[:] = _link(self.base_rate, self.loss)
        return v

    def centred(self, v):
        """v with class rows that sum to 0 for softmax: the same added to all changes nothing but the penalty."""
        if self.loss != "softmax":
            return v
        v = v.copy()
        for rows in (v[: self.k * self.d].reshape(self.k, self.d), v[self.k * self.d :].reshape(self.k, -1)):
            rows -= np.add.reduce(rows, axis=0) / self.k
        return v

    def finished(self, v, value):
        """W, b and F of the model, centred, with what was neglected until now, from F(v).

        Where v's rounding shows, for the features' means are far from 0, F is that of W and b as they are returned.
        """
        with np.errstate(all="ignore"):
            return self._finished(v, self.centred(v), value)

    def _finished(self, v, centred, value):
        V, c = self.split(centred)
        W, b = self.coefficients(centred)
        squares = V**2
        value -= 0.5 * float(np.sum(self.strength * (self.split(v)[0] ** 2 - squares)))
        rounded = self.resolution * (rounding.together(V * self.kappa) + rounding.together(c))
        if self.resolution < 1e-10 and not rounded < VISIBLE * value:
            problem = _core.Problem(
                self.X, self.y, self.k, loss=self.loss, weight=self.weight, offset=self.offset, scale=self.own_scale,
                shift=self.own_shift, n_threads=self.n_threads,
            )
            self.n_passes += 1
            total = problem.loss_and_grad(W, b)[0]
            if np.isfinite(total):
                value = total / self.total_weight + 0.5 * float(np.sum(self.strength * squares))
        return W, b, value + 0.5 * float(np.sum(self.neglected * squares))

    def value_error(self, v):
        """What rounding of float64 logits may change of F; that of float32 is counted in bounds."""
        return rounding.logit_error(self, *self.split(v)) if self.resolution < 1e-10 else 0.0

    def coefficients(self, v):
        """W (k, d) and b (k,) of the user's features."""
        V, c = self.split(v)
        return V / self.deviation, c - V @ self.mean_deviations

    def split(self, v):
        """V (k, d) and c (k,) as views of v; c is a fresh zero without an intercept."""
        V = v[: self.k * self.d].reshape(self.k, self.d)
        return V, v[self.k * self.d :] if self.fit_intercept else np.zeros(self.k)

    def by_class(self, v):
        """v as one row (D,) a class, D = d + 1 with an intercept, which comes last: a copy (k, D)."""
        V, c = self.split(v)
        return np.column_stack([V, c]) if self.fit_intercept else V.copy()

    def flat(self, M):
        """v (size,) of one row a class."""
        return np.concatenate([M[:, : self.d].ravel(), M[:, self.d :].ravel()])

    def blame(self):
        """The error that says why values are not finite."""
        place = _core.first_nonfinite(self.X, self.n_threads)
        if place is not None:
            return ValueError(f"X has {float(self.X[place])} at row {place[0]}, column {place[1]}; expected finite "
                              f"numbers: X was changed during the fit, pass a copy")
        return ValueError(f"losses or their gradient leave the range of {self.problem.real}: logits or weights are too "
                          f"large; expected features of moderate size: pass X as float64, or use scale and shift")

    # ---- value, gradient, Hessian -----------------------------------------------------------------------------------
    def loss_and_grad(self, v):
        """F(v) and its gradient (size,); infinity where logits are so large that none of their digits is right."""
        V, c = self.split(v)
        if not self.has_digits(rounding.together(V * self.kappa)):
            return np.inf, np.zeros(self.size)
        if keeps_logits(self):
            return self._value_and_grad(V, *self.problem.loss_and_grad_at(self.kept_logits(v)), 0.5)
        return self._value_and_grad(V, *self.problem.loss_and_grad(V, c), 1.0)

    def _value_and_grad(self, V, total, G, g, passes):
        """F and its gradient from the sum of the losses and its gradient."""
        self.n_passes += passes
        if np.isnan(total) and _core.first_nonfinite(self.X, self.n_threads) is not None:
            raise self.blame()
        penalised = self.strength * V
        self.note_gradient(V, G / self.total_weight)
        value = total / self.total_weight + 0.5 * float(np.vdot(V, penalised))
        return value, self._join(G, g, penalised)

    def has_digits(self, size):
        """Whether logits made of coefficients of this norm, times kappa, are more than rounding."""
        return self.resolution * size < LOST

    # ---- lines, and logits kept along them (line.py) ----
    def along(self, v, s):
        """F along v + t s: an object whose value_and_slope(t) is F and its derivative, and whose end(t) is v + t s, F
        and its gradient there.
        """
        if not keeps_logits(self):
            return PassLine(self, v, s)
        return LogitLine(self, v, self.kept_logits(v), s)

    def kept_logits(self, v):
        """Z (n, k) in the real type: those kept if they are of v, half a pass otherwise; they are kept from now on."""
        if self._kept is None or self._kept[0] is not v or self._steps >= RENEWED:
            self._kept, self._steps = (v, self.logits(v)), 0
        return self._kept[1]

    def some_logits(self, v, rows):
        """Z (m, k) of some rows, a slice, the caller's to use up."""
        if self._kept is not None and self._kept[0] is v:
            return self._kept[1][rows].copy()
        problem = self.rows_problem(rows)
        self.n_passes += 0.5 * problem.n / max(self.n, 1)
        return problem.logits(*self.split(v))

    def end_of_line(self, v, logits):
        """F and its gradient at v, where a line ends, from its logits, which are kept: half a pass."""
        self._kept, self._steps = (v, logits), self._steps + 1
        return self._value_and_grad(self.split(v)[0], *self.problem.loss_and_grad_at(logits), 0.5)
    # ----

    def note_gradient(self, V, G):
        """Keep the gradient G (k, d) of the mean loss at V for `gradient_at_base_rate`, if it is that of a constant."""
        if self._base_gradient is None and self.offset is None and not V.any():
            self._base_gradient = G

    def hessp(self, v, u):
        """The Hessian at v times u (size,)."""
        V, c = self.split(v)
        U, e = self.split(u)
        self.n_passes += 1
        if self._kept is not None and self._kept[0] is v:
            G, g = self.problem.hessp_at(self._kept[1], U, e)
        else:
            G, g = self.problem.hessp(V, c, U, e)
        return self._join(G, g, self.strength * U)

    def logits(self, v, *, with_offset=True):
        """Z (n, k) in the real type."""
        self.n_passes += 0.5
        complete = with_offset or self.offset is None
        problem = self.problem if complete else self.rows_problem(slice(None), with_offset=False)
        return problem.logits(*self.split(v))

    def penalised(self, W):
        """The penalty's gradient (k, D) at W, by class."""
        return self._as_rows(self.strength * W[:, : self.d], np.zeros(self.k))

    def _as_rows(self, V, c):
        return np.column_stack([V, c]) if self.fit_intercept else V

    def _join(self, G, g, penalised):
        G /= self.total_weight
        G += penalised
        return np.concatenate([G.ravel(), g / self.total_weight]) if self.fit_intercept else G.ravel()

    # ---- the certificate --------------------------------------------------------------------------------------------
    def lower_bound(self, v, value, grad):
        """A number that the optimal value cannot be below, from the value and gradient at any v."""
        return gradient_bound(self, v, value, grad)

    def promised_bound(self, v, value, grad):
        """What `lower_bound` would be if the intercept were optimal: near an optimum, what `shifted_bound` finds."""
        return gradient_bound(self, v, value, grad, is_balanced=True)

    def shifted_bound(self, v, value, grad):
        """A number that the optimal value cannot be below, for a Hessian product and half a pass."""
        return shifted_bound(self, v, value, grad)

    @property
    def is_penalised(self):
        """Whether every coefficient is; `lower_bound` knows nothing above 0 otherwise."""
        return bool(((self.strength > 0) | self.is_constant).all())

    @property
    def strength(self):
        """alpha p / t^2 (d,): the penalty's curvature in v."""
        if self._strength is None or self._strength[0] != self.alpha:  # that of a sample changes
            self._strength = self.alpha, self.alpha * self.factors
        return self._strength[1]

    @property
    def is_free(self):
        """Whether nothing is penalised."""
        return not (self.strength[~self.is_constant] > 0).any()

    def constant_value(self):
        """F of the model of the base rates."""
        if self.offset is None and self.fit_intercept and self.loss != "squared_error":
            return float(np.sum(entropies(self.base_rate, self.loss)))
        return self.loss_and_grad(self.start())[0]

    def gradient_at_base_rate(self):
        """Mean of (rate - y) u' (k, d): the gradient of a constant model, whatever the constant."""
        if self._base_gradient is None and self._is_cheaper_by_class():
            sums, _ = moments.group_sums(self.X, self.y, self.k, self.weight, self.n_threads)
            self._base_gradient = self._gradient_by_class(sums)
        if self._base_gradient is None:
            V, c = self.split(self.start())
            self.n_passes += 1
            problem = self.rows_problem(slice(None), self.weight, with_offset=False)
            _, G, _ = problem.loss_and_grad(V, c)
            self._base_gradient = G / self.total_weight
        return self._base_gradient

    def constant_model(self):
        """The model of the base rates: v, F and its gradient."""
        v = self.start()
        if self.offset is not None or not self.fit_intercept or not self._is_cheaper_by_class():
            return v, *self.loss_and_grad(v)
        c = self.split(v)[1]
        value = float(np.log(np.exp(c).sum()) - self.base_rate @ c)
        return v, value, self._join(self.gradient_at_base_rate() * self.total_weight, np.zeros(self.k), 0.0)

    def _is_cheaper_by_class(self):
        """Whether adding up the features of each class's rows costs less than a pass."""
        return self.y.ndim == 1 and self.loss == "softmax" and self.k >= moments.MANY_GROUPS

    def _gradient_by_class(self, sums):
        """Mean of (rate - y) u' (k, d) from the sums of each class's rows."""
        rate = self.base_rate
        if self.loss == "sigmoid":
            rate = np.r_[1 - rate, rate]
        sums = np.vstack([sums, np.zeros((len(rate) - len(sums), self.d))])  # the last classes may be absent
        centred = (sums / self.total_weight - np.outer(rate, self.problem_shift)) * self.problem_scale
        return (np.outer(rate, centred.sum(axis=0)) - centred)[-self.k :]

    def gram(self, rows=slice(None), weight=None, n_threads=None):
        """sum_i weight_i u_i u_i' / s (D, D) over some rows, D = d + 1 with an intercept: the last u is its 1.

        Without weights they are the objective's, made to sum to s.  Callers on threads of their own say n_threads and
        count the pass themselves.
        """
        if weight is None and self.weight is not None:
            weight = self.weight[rows]
            weight = weight * (self.total_weight / weight.sum()) if weight.any() else np.ones(len(weight))
        problem = self.rows_problem(rows, weight, n_threads=n_threads)
        if n_threads is None:
            self.n_passes += problem.n / max(self.n, 1)
        G, s = problem.gram()
        total = float(problem.n if weight is None else weight.sum())
        D = self.d + self.fit_intercept
        result = np.empty((D, D))
        result[: self.d, : self.d] = G
        if self.fit_intercept:
            result[self.d, : self.d] = result[: self.d, self.d] = s
            result[self.d, self.d] = total
        result /= problem.n if weight is None else self.total_weight
        return result

    # ---- what the data are like -------------------------------------------------------------------------------------
    def rows_problem(self, rows, weight=None, *, with_offset=True, n_threads=None):
        """The passes over some rows (a slice or indices), with weights (m,) of their own."""
        offset = None if self.offset is None or not with_offset else np.ascontiguousarray(self.offset[rows])
        return _core.Problem(
            self.X[rows], np.ascontiguousarray(self.y[rows]), self.k, loss=self.loss, weight=weight, offset=offset,
            scale=self.problem_scale, shift=self.problem_shift, n_threads=n_threads or self.n_threads,
        )

    def standardised(self, rows, dtype=np.float64):
        """u of some rows (m, d), with a last column of ones if there is an intercept."""
        X = self.X[rows]
        U = np.ones((len(X), self.d + self.fit_intercept), dtype)
        np.subtract(X, self.problem_shift.astype(dtype), out=U[:, : self.d], dtype=dtype)
        U[:, : self.d] *= self.problem_scale.astype(dtype)
        return U

    def project(self, rows, T):
        """The rows u (m, D) of standardised(rows) times T (D, p), in the real type."""
        problem = _core.Problem(
            self.X[rows], None, T.shape[1], scale=self.problem_scale, shift=self.problem_shift,
            n_threads=self.n_threads,
        )
        return problem.logits(np.ascontiguousarray(T[: self.d].T), T[self.d :].sum(axis=0))

    def dense_targets(self, rows=slice(None)):
        """Y (m, k) of some rows, float64."""
        y = self.y[rows]
        if y.ndim == 2:
            return y.astype(np.float64)
        if self.k == 1 and self.loss != "softmax":
            return y[:, None].astype(np.float64)
        return np.eye(self.k).take(y, axis=0)

    def sample(self, step):
        """The objective of every step-th row, in the same coordinates and with the same C: its alpha is larger."""
        part = copy.copy(self)
        part.X = self.X[::step].copy() if step >= FAR else self.X[::step]
        part.y = np.ascontiguousarray(self.y[::step])
        part.weight, part.offset = (
            None if rows is None else np.ascontiguousarray(rows[::step]) for rows in (self.weight, self.offset)
        )
        part.n = len(part.X)
        part.total_weight = float(part.n if part.weight is None else part.weight.sum())
        part.alpha = self.alpha * self.total_weight / max(part.total_weight, np.finfo(float).tiny)
        part.n_passes = 0.0
        part._describe_targets()
        return part

    def _mean(self, rows):
        """Weighted mean of an array's rows."""
        if self.weight is None:
            return rows.mean(axis=0, dtype=np.float64)
        return np.average(rows, axis=0, weights=self.weight)

    def _target_offset(self):
        """Weighted mean of <y, offset>."""
        if self.y.ndim == 2:
            return float(self._mean((self.y * self.offset).sum(1)))
        if self.k == 1 and self.loss != "softmax":
            return float(self._mean(self.y * self.offset[:, 0]))
        return float(self._mean(np.take_along_axis(self.offset, self.y[:, None].astype(np.intp), 1)[:, 0]))

    def _base_rate(self):
        """Weighted mean target (k,)."""
        if self.y.ndim == 2:
            return self._mean(self.y)
        if self.k == 1 and self.loss != "softmax":
            return np.array([self._mean(self.y)])
        return np.bincount(self.y, self.weight, minlength=self.k) / self.total_weight


def as_computed(array, size):
    """A matrix as an objective of `size` values of X computes with it: in float64 if it is small."""
    if array is None or array.ndim == 1 or size > SMALL:
        return array
    return array.astype(np.float64, copy=False)


def penalty_strength(C, weight_sum, exponent, factors, d):
    """alpha = 1 / (C 2^exponent weight_sum) and factors (d,) or None of the penalty, which take what alpha cannot."""
    if np.isinf(C):
        return 0.0, factors
    (mantissa, power), (total, total_power) = np.frexp(C), np.frexp(weight_sum)
    power = -int(power) - int(total_power) - exponent
    within = min(max(power, -FAR_POWER), FAR_POWER)
    if power != within:
        with np.errstate(over="ignore", under="ignore"):
            factors = np.ldexp(np.ones(d) if factors is None else factors, power - within)
        factors = np.minimum(factors, 2.0**FAR_POWER)
    return float(np.ldexp(1 / (mantissa * total), within)), factors


def _far_exponents(X, safe):
    """Of the features of X (n, d) whose values are far from 1, the e of the power of two above them; else 0."""
    exponents = moments.exponents(X)
    return np.where(np.abs(exponents) > safe, exponents, 0).astype(np.intc)


def _link(rate, loss):
    """The constants c (k,) whose model predicts the rates."""
    if loss == "squared_error":
        return rate
    tiny = 1e-12
    if loss == "sigmoid":
        rate = np.clip(rate, tiny, 1 - tiny)
        return np.log(rate) - np.log1p(-rate)
    c = np.log(np.maximum(rate, tiny))
    return c - c.mean()
