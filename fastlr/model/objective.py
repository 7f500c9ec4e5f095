"""What the solvers minimise: mean loss + penalty of a linear model, in coordinates made for solving.

    F(W) = 1/s sum_i w_i loss(W u_i + o_i, y_i) + penalty(W)        s = sum_i w_i

n rows u_i (D,) of features that coordinates.py makes of the user's, a 1 for the intercept in their last column, k
logits; W (k, D), o an offset, p penalty factors.  Solvers see W as one flat float64 vector w (k D,), row by row.  Tiles
compute in X's own real type (float64 where X is small), sums and everything here in float64.
"""

import copy

import numpy as np

from fastlr.model.coordinates import Coordinates, nonfinite_error
from fastlr.model.duality import Dual, entropies, intercept_step
from fastlr.model.hessian import hessian, mean_slopes
from fastlr.model.line import LogitLine, PassLine, Point, keeps_logits
from fastlr.model.newton_bound import newton_bound
from fastlr.model.penalty import penalty_of
from fastlr.model.rounding import Rounding, together
from fastlr.model.rows_folds import losses_and_grads, weighted
from fastlr.model.rows_loss import loss_in_float64
from fastlr.model.rows_targets import link

LOST = 0.5  # rounding of logits, from which on losses are noise
VISIBLE, VISIBLE_SHORT = 1e-11, 1e-4  # parts of a value that rounding of logits may change unseen: float64, float32
STIFFEST = 1e-15  # root of the strongest penalty in units of a feature's deviation


class Objective:
    """Penalised mean loss of a linear model of rows.

    Parameters
    ----------
    rows : Rows
        As the user has them.
    alpha, l1_ratio : float, default=0.0
        Strength of the penalty, and its absolute values' part.
    penalty : ndarray (d,) float64, default=None
        Non-negative factors of the penalty, one a feature; None means 1.
    scale, shift : ndarray (d,) float64, default=None
        The user's features are (X - shift) * scale; alpha penalises their coefficients.

    Attributes
    ----------
    rows : Rows
        Seen in the coordinates of w.
    penalty : Ridge or ElasticNet
    size : int
        Length of w, k D.
    resolution : float
        Relative rounding error of a value.
    """

    def __init__(self, rows, *, alpha=0.0, penalty=None, scale=None, shift=None, l1_ratio=0.0):
        root = np.ones(rows.d) if penalty is None else np.sqrt(penalty)
        with np.errstate(all="ignore"):  # what is not finite is told from results
            self.coordinates = Coordinates(rows, scale, shift, STIFFEST * np.sqrt(alpha) * root)
            self.penalty = penalty_of(alpha, l1_ratio, root, self.coordinates.deviation, rows.intercept)
        self._take(self.coordinates.rows)

    def _take(self, rows):
        self.rows, self._dual = rows, None
        self.size = rows.k * rows.D
        self.resolution = float(np.finfo(rows.real).eps)
        affine, offset = self.coordinates.rows.affine, rows.offset
        self.rounding = Rounding(self.resolution, affine.centre, rows.effective_rows,
                                 0.0 if offset is None else float(np.abs(offset).max(initial=0.0)), rows.n_threads)

    n_passes = property(lambda self: self.rows.n_passes, doc="Passes over the rows so far.")

    # ---- points -----------------------------------------------------------------------------------------------------
    def start(self, W=None, b=None):
        """w of the user's W (k, d) and b (k,); without W the constant model of the base rates."""
        if W is not None:
            return self.without_constants(self.coordinates.model_of(W, b).ravel())
        M = np.zeros((self.rows.k, self.rows.D))
        if self.rows.intercept:
            M[:, -1] = link(self.rows.base_rate, self.rows.loss)
        return M.ravel()

    def without_constants(self, w):
        """w with coefficients 0 of features that are constant: they are 0 in these coordinates."""
        W = self.matrix(w.copy())
        W[:, : self.rows.d][:, self.coordinates.is_constant] = 0.0
        return W.ravel()

    def matrix(self, w):
        """W (k, D), a view of w."""
        return w.reshape(self.rows.k, self.rows.D)

    def centred(self, w):
        """w with rows of W that sum to 0 for softmax: the same added to all changes nothing but the penalty."""
        if self.rows.loss != "softmax":
            return w
        W = self.matrix(w)
        return (W - self.penalty.shift(np.add.reduce(W, axis=0) / len(W))).ravel()

    def coefficients(self, w):
        """The user's W (k, d) and b (k,)."""
        return self.coordinates.coefficients(self.matrix(w))

    def finished(self, w, value):
        """W, b and F of the model, centred, with what was neglected until now, from F(w).

        Where w's rounding shows, for the features' means are far from 0, F is that of W and b as they are returned.
        """
        with np.errstate(all="ignore"):
            M = self.matrix(self.centred(w))
            W, b = self.coordinates.coefficients(M)
            value += self.penalty.value(M) - self.penalty.value(self.matrix(w))
            if not self._visible_rounding(M) < (VISIBLE_SHORT if self.rounding.is_short else VISIBLE) * value:
                own = self.coordinates.rows.through(self.coordinates.own)
                total = own.over_parts(loss_in_float64, np.column_stack([W, b]) if own.intercept else W)
                self.rows.n_passes += 1
                if np.isfinite(total):
                    value = total / self.rows.total_weight + self.penalty.value(M)
            return W, b, value + self.penalty.neglected(M)

    def value_error(self, w):
        """What rounding of float64 logits may change of F; that of float32 is counted in bounds."""
        return 0.0 if self.rounding.is_short else self.rounding.of_logits(*self._split(self.matrix(w)))

    def _visible_rounding(self, W):
        """What may show: of float32, whose rounding is allowed for, what the features' means add."""
        V, c = self._split(W)
        kappa, short = self.rounding.kappa, self.rounding.is_short
        return self.resolution * (together(V * (kappa - short)) + (0.0 if short else together(c)))

    def _split(self, W):
        d = self.rows.d
        return W[:, :d], W[:, d] if self.rows.intercept else np.zeros(len(W))

    # ---- value, gradient, Hessian -----------------------------------------------------------------------------------
    def at(self, w, logits=None, steps=0):
        """The Point w, from its logits if they are known; F is infinite where no digit of the logits is right."""
        W = self.matrix(w)
        if not self.has_digits(self.rounding.size_of(W[:, : self.rows.d])):
            return Point(w, np.inf, np.zeros(self.size))
        if logits is None and keeps_logits(self.rows) and (self.rows.is_sparse or W[:, : self.rows.d].any()):
            logits = self.rows.logits(W)
        total, G = self.rows.loss_and_grad(W) if logits is None else self.rows.loss_and_grad_at(logits, W)
        if np.isnan(total) and self.rows.first_nonfinite() is not None:
            raise self.blame()
        G /= self.rows.total_weight
        G += self.penalty.gradient(W)
        return Point(w, total / self.rows.total_weight + self.penalty.value(W), G.ravel(), logits, steps)

    @staticmethod
    def at_once(objectives, ws):
        """Points of objectives that are `weighted` views of the same rows of one logit: a pass for all of them."""
        models, points = [F.matrix(w) for F, w in zip(objectives, ws, strict=True)], []
        sums = losses_and_grads([F.rows for F in objectives], models)
        for F, w, W, total, G, Z in zip(objectives, ws, models, *sums, strict=True):
            s, sure = F.rows.total_weight, F.has_digits(together(W[:, : F.rows.d] * F.rounding.kappa))
            value = total / s + F.penalty.value(W) if sure else np.inf
            points.append(Point(w, value, (G / s + F.penalty.gradient(W)).ravel(), Z))
        return points

    def along(self, point, s):
        """F along w + t s: value_and_slope(t) is F and its derivative, end(t) the Point w + t s."""
        return (LogitLine if keeps_logits(self.rows) else PassLine)(self, point, s)

    def has_digits(self, size):
        """Whether logits made of coefficients of this norm, times kappa, are more than rounding."""
        return self.resolution * size < LOST

    def hessp(self, point, u):
        """The Hessian at a Point times u (size,)."""
        U = self.matrix(u)
        if point.logits is None:
            product = self.rows.hessp(self.matrix(point.w), U)
        else:
            product = self.rows.hessp_at(point.logits, U)
        return (product / self.rows.total_weight + self.penalty.gradient(U)).ravel()

    def hessian(self, point):
        """The Hessian at a Point (size, size)."""
        H = self.rows.mean_over_parts(hessian, self.matrix(point.w), point.logits)
        self.penalty.add_curvature(H)
        return H

    def activations(self, point):
        """A function of part of the rows, a slice, that makes their activations A (m, k) at a Point."""
        return self.rows.activations_at(self.matrix(point.w), point.logits)

    def constant_model(self):
        """The Point of the base rates."""
        w, rows = self.start(), self.rows
        if rows.offset is not None or not rows.intercept or not rows.knows_classes:
            return self.at(w)
        c = self.matrix(w)[:, -1]
        value = (np.logaddexp(0, c) if rows.loss == "sigmoid" else np.log(np.exp(c).sum())).sum() - rows.base_rate @ c
        return Point(w, float(value), np.column_stack([rows.constant_gradient(), np.zeros(rows.k)]).ravel())

    def constant_value(self):
        """F of the model of the base rates."""
        if self.rows.offset is None and self.rows.intercept and self.rows.loss != "squared_error":
            return float(np.sum(entropies(self.rows.base_rate, self.rows.loss)))
        return self.at(self.start()).value

    def sample(self, step):
        """The objective of every step-th row, in the same coordinates and with the same C: its alpha is larger."""
        part = copy.copy(self)
        part._take(self.rows.sample(step))
        part.penalty = self.penalty.times(self.rows.total_weight / max(part.rows.total_weight, np.finfo(float).tiny))
        return part

    @property
    def at_hand(self):
        """What metrics are made from: itself, or a sample of rows that lie elsewhere, with the same penalty."""
        part = self if self.rows.is_at_hand else self.sample(self.rows.least_step)
        part.penalty = self.penalty
        return part

    def weighted(self, weights, factors):
        """Objectives of the same rows, once with each of some weights (n,), and with alpha so many times as large."""
        objectives = []
        for rows, factor in zip(weighted(self.rows, weights), factors, strict=True):
            part = self.penalised(factor)
            part.coordinates = self.coordinates.recentred(rows)
            part._take(part.coordinates.rows)
            objectives.append(part)
        return objectives

    def penalised(self, factor):
        """The same with an alpha so many times as large; the two count passes together."""
        other = copy.copy(self)
        other.penalty, other._dual = self.penalty.times(factor), None
        return other

    def blame(self):
        """The error that says why values are not finite."""
        return nonfinite_error(self.rows) or ValueError(
            f"losses or their gradient leave the range of {self.rows.real}: logits or weights are too "
            f"large; expected features of moderate size: pass X as float64, or use scale and shift")

    # ---- bounds of the optimal value --------------------------------------------------------------------------------
    def lower_bound(self, point):
        """A number that the optimal value cannot be below, from the value and gradient at any Point."""
        return self._bound(point, point.grad)

    def promised_bound(self, point):
        """What `lower_bound` would be if the intercept were optimal: near an optimum, what `shifted_bound` finds."""
        return self._bound(point, point.grad, is_balanced=True)

    def shifted_bound(self, point):
        """A number that the optimal value cannot be below, for a Hessian product and half a pass.

        Probabilities a + J e, J = da/dz, stand for those after a Newton step e of the intercept alone: their mean
        residual is 0 but for rounding, and their entropy is less than its tangent by at most e' (mean J) e.
        """
        rows = self.rows
        if not rows.intercept or rows.loss == "squared_error" or not self.has_dual:
            return 0.0
        step = np.zeros((rows.k, rows.D))
        slopes = rows.mean_over_parts(mean_slopes, self.matrix(point.w), point.logits)
        e = intercept_step(slopes, self.matrix(point.grad)[:, -1], rows.loss)
        step[:, -1] = e
        change = self.hessp(point, step.ravel())
        return self._bound(point, point.grad + change, lost=float(e @ self.matrix(change)[:, -1]))

    def newton_bound(self, w):
        """F of w summed in float64, and a number that the optimal value cannot be below, penalised or not."""
        centred = self.matrix(self.centred(w))
        value, bound = newton_bound(self.rows, self.penalty, centred)
        return value + self.penalty.value(self.matrix(w)) - self.penalty.value(centred), bound

    @property
    def has_dual(self):
        """Whether every coefficient is penalised; bounds from gradients know nothing above 0 otherwise."""
        return self.penalty.is_on_all(but=self.coordinates.is_constant)

    @property
    def is_free(self):
        """Whether nothing is penalised."""
        return self.penalty.is_on_none(but=self.coordinates.is_constant)

    @property
    def dual(self):
        """The facts that bounds are made of."""
        if self._dual is None:
            rows = self.rows
            has_offset = rows.offset is not None
            strength, l1 = self.penalty.without(self.coordinates.is_constant)
            self._dual = Dual(
                loss=rows.loss, strength=strength, l1=l1, intercept=rows.intercept, base_rate=rows.base_rate,
                mean_offset=rows.mean(rows.offset) if has_offset else np.zeros(rows.k),
                mean_target_offset=rows.mean_target_offset() if has_offset else 0.0,
                constant_gradient=rows.constant_gradient() if rows.intercept else None, rounding=self.rounding,
            )
        return self._dual

    def _bound(self, point, grad, lost=0.0, *, is_balanced=False):
        if not self.has_dual:
            return 0.0
        W = self.matrix(point.w)
        S, G = point.value - self.penalty.value(W), self.penalty.gradient(W)
        np.subtract(self.matrix(grad), G, out=G)
        return self.dual.of_point(W, S, G, lost, most=point.value, is_balanced=is_balanced)
