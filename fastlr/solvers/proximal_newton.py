"""Proximal Newton steps on working sets, for penalties that have absolute values.

Each step minimises the quadratic model of the mean loss, plus the penalty, over the coefficients of some features:
those that are not 0, and those that violate optimality most (Yuan, Ho and Lin 2012, An improved GLMNET for
l1-regularized logistic regression; working sets as in Massias, Gramfort and Salmon 2018, Celer). It is found by
coordinate descent on columns of the features, and its length by halving until the objective falls by a part of what is
promised. Logits and gradient of all features cost a pass, and prove how near the optimum is.

Where the rows' logits or the columns take too much memory, accelerated proximal gradients (Beck and Teboulle 2009) with
restarts (O'Donoghue and Candes 2015) take their place.
"""

import math
import time

import numpy as np

from fastlr import _core
from fastlr.model.exact_bound import exact_bound, promised_exactly
from fastlr.model.line import Point
from fastlr.model.memory import KEPT_VALUES
from fastlr.model.numerics import TINY
from fastlr.solvers.plan import NEWTON_SIZE, samples_weigh
from fastlr.solvers.support_step import step_on_support

LEAST_SET, PART, FIRST_SET = 1000, 8, 16_000  # features that are added at least: d / PART, if between the others,
GROWTH = 2.0  # and in units of those that have coefficients
NEAR = 0.8  # of l1 is a gradient that may become a coefficient's
SWEEPS = 40  # over all of a working set, in a step,
SUPPORT_SWEEPS = 10  # and over what is not 0 between them
WORTH = 50  # coefficients whose Newton step costs what such a sweep does
EASIER = 0.3  # part of a violation that these leave
ROUGH, FINE = 0.1, 1e-6  # part of the first violation at which a step ends: far from the optimum, and near it
MODEL_ROWS, LEAST_ROWS = 8, 2048  # rows a feature, and at least, that dense models are made of at first,
CLOSE = 30  # times tol is a gap from which on rounding is taken out of float32's gradients
EARLIER = 0.1  # part of the fall of F when a costly proof failed, at which the next is tried
SLOW = 0.5  # until a step lowers F by more than this part of what the last did; then four times as many
DAMPING = 0.05  # of such models, in units of a feature's curvature
FLOOR = 1e-12  # of a curvature, in the same units
HALVINGS = 40
ENOUGH = 1e-4  # part of the promised fall, but for
NOISE = 100  # units of rounding, below which only gradients tell what a step is worth
FIRST_CURVATURE, EASED = 0.25, 0.95  # of proximal gradients: the first that is tried, and how it falls in a step
_COLUMNS = 2 * KEPT_VALUES  # values of dense columns that are kept


def run_proximal(objective, w, progress):
    """Minimise from w, or from the constant model of the base rates where that is better."""
    progress.begin_at_best(w)
    if fits(objective):
        progress.solver = "proximal-newton"
        _proximal_newton(objective, progress)
    if not progress.message:
        progress.solver = "proximal-gradient"
        _proximal_gradient(objective, progress)


def fits(objective):
    """Whether logits can be kept, and columns be read as they are."""
    rows = objective.rows
    centred = rows.intercept or not np.any(rows.affine.centre)
    return rows.n * rows.k <= KEPT_VALUES and (not rows.is_sparse or centred)


def _proximal_newton(objective, progress):
    step = model_step(objective.rows)
    columns, point, first, last, tried = Columns(objective, step), progress.point, None, np.inf, np.inf
    while not progress.stop():
        violation = objective.penalty.violation(objective.matrix(point.w), objective.matrix(point.grad))
        violation[:, objective.coordinates.is_constant] = 0.0
        total = float(violation.sum())
        first = total if first is None else first
        features = columns.choose(point, violation.max(axis=0))
        if features is None:
            return
        part = min(ROUGH, max(FINE, total / first)) if step == 1 and first > 0 else ROUGH
        s = Model(objective, point, columns, features).step(part, progress.deadline)
        found = _search(objective, point, s)
        if found is None:
            progress.stall()
            return
        progress.see(found)
        fall = point.value - found.value
        is_late = fall <= progress.tol * progress.value and fall < EARLIER * tried
        if is_late and objective.size <= NEWTON_SIZE and progress.suboptimality > progress.tol:
            progress.see_exactly(*objective.newton_bound(progress.point.w))
            tried = fall
        point = _exactly(objective, progress, found, fall)
        if step > 1 and not fall <= SLOW * last:
            step = max(1, step // 4)
            columns = Columns(objective, step)
        last = fall


def _exactly(objective, progress, point, fall):
    """The Point, in float64 where float32's rounding may be all that is in the way of a proof, or of a lower F."""
    if not objective.rounding.is_short or progress.suboptimality <= progress.tol:
        return point
    promised = promised_exactly(objective, point)
    if point.value - promised > CLOSE * progress.tol * promised and fall > progress.tol * point.value:
        return point
    point, bound = exact_bound(objective, point.w)
    progress.see_bound(bound)
    if point.value <= progress.value * (1 + objective.resolution):
        progress.point, progress.value = point, point.value
    return point


def model_step(rows):
    """Every how many-th row dense models are made of at first."""
    step = 1 if rows.is_sparse else max(1, rows.n // max(MODEL_ROWS * rows.d, LEAST_ROWS))
    return step if samples_weigh(rows, step) else 1


def _search(objective, point, s):
    """The Point w + t s, t halved until F falls enough; None where it does not."""
    W, S = objective.matrix(point.w), objective.matrix(s)
    penalty = objective.penalty.along(W, S)
    smooth = float(point.grad @ s) - float(np.vdot(objective.penalty.gradient(W), S))
    line, t = objective.along(point, s), 1.0
    noise = NOISE * objective.resolution * abs(point.value)
    for _ in range(HALVINGS):
        value, _ = line.value_and_slope(t)
        promised = t * smooth + penalty(t) - penalty(0.0)
        if value <= point.value + ENOUGH * min(promised, 0.0) + noise:
            found = line.end(t)
            return found if np.isfinite(found.value) else None
        t /= 2
    return None


class Columns:
    """Columns of the features that have been in a working set."""

    def __init__(self, objective, step):
        self.objective, self.part, self.step = objective, objective if step == 1 else objective.sample(step), step
        rows = self.rows = self.part.rows
        share = np.full(rows.n, 1 / rows.total_weight) if rows.weight is None else rows.weight / rows.total_weight
        self.root = np.sqrt(share)
        self.place, self.was_in = np.full(rows.d, -1), np.zeros(rows.d, bool)
        self.n_kept, self.parts = 0, []
        self.n_vain = 0  # sweeps since the last Newton step that have not been enough

    def choose(self, point, violation):
        """The features (m,) of the next working set; None where their columns would take too much memory."""
        W, G = self.objective.matrix(point.w)[:, : self.rows.d], self.objective.matrix(point.grad)[:, : self.rows.d]
        support = W.any(axis=0)
        n_support = np.count_nonzero(support)
        n_more = max(LEAST_SET, min(self.rows.d // PART, FIRST_SET), int(GROWTH * n_support))
        wanted = np.flatnonzero((violation > 0) & ~support)
        if len(wanted) > n_more:
            wanted = wanted[np.argpartition(-violation[wanted], n_more - 1)[:n_more]]
        near = self.was_in & (np.abs(G).max(axis=0) > NEAR * self.objective.penalty.l1)
        near |= support
        near[wanted] = True
        features = np.flatnonzero(near & ~self.objective.coordinates.is_constant)
        self.was_in[features] = True
        new = features[self.place[features] < 0]
        if self.rows.is_sparse and len(new) and self.rows.n_values <= KEPT_VALUES:  # one trip takes them all
            new = np.arange(self.rows.d)
        if not self.rows.is_sparse and (self.n_kept + len(new)) * self.rows.n > _COLUMNS:
            return None
        if len(new):
            self.place[new] = np.arange(self.n_kept, self.n_kept + len(new))
            self.n_kept += len(new)
            self._keep(self.rows.columns(new, self.root))
        return features

    def _keep(self, part):
        if not self.parts:
            self.parts = [part]
        elif self.rows.is_sparse:
            (values, rows, starts), (more, more_rows, more_starts) = self.parts[0], part
            self.parts = [(np.append(values, more), np.append(rows, more_rows),
                           np.append(starts, more_starts[1:] + starts[-1]))]
        else:
            self.parts = [np.concatenate([self.parts[0], part])]

    def all(self):
        """What is kept, as `_core.CoordinateModel` takes it."""
        if self.parts:
            return self.parts[0]
        empty = np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(1, np.int64)
        return empty if self.rows.is_sparse else np.zeros((0, self.rows.n), np.float32)


class Model:
    """The quadratic model of the loss at a Point, in the coefficients of some features.

    Columns of sparse rows are not centred: their intercept is another.
    """

    def __init__(self, objective, point, columns, features):
        part, penalty = columns.part, objective.penalty
        rows = part.rows
        self.objective, self.features, self.columns = objective, features, columns
        seen = point if part is objective else Point(point.w, point.value, None)
        A = part.activations(seen)(slice(None)).T.astype(np.float64, order="C")
        slope = 1.0 if rows.loss == "squared_error" else float(np.mean(A * (1 - A)))
        damping = 0.0 if columns.step == 1 else DAMPING * slope
        if rows.loss == "sigmoid":
            A *= 1 - A
        elif rows.loss == "squared_error":
            A = np.ones((rows.k, rows.n))
        G, W = objective.matrix(point.grad), objective.matrix(point.w)
        g = G[:, features]
        self.centre = np.zeros(len(features))
        if rows.is_sparse and rows.intercept:
            self.centre = rows.affine.centre[features]
            g = g + np.outer(G[:, -1], self.centre)
        self.W, self.order = W[:, features].copy(), columns.place[features]
        self.model = _core.CoordinateModel(
            columns.all(), A, columns.root if rows.intercept else None, np.ascontiguousarray(g),
            G[:, -1].copy() if rows.intercept else np.zeros(rows.k), self.W,
            penalty.l1[features], penalty.strength[features] + damping, self.order,
            softmax=rows.loss == "softmax", floor=FLOOR * max(slope, TINY), n_threads=rows.n_threads,
        )

    def step(self, part, deadline):
        """The step (size,) to a point where violations are such a part of the first, or where it is time to stop."""
        rows, n_swept, first = self.objective.rows, 0.0, None
        for _ in range(SWEEPS):
            left = float(self.model.sweep(everything=True).sum())
            n_swept += 1
            first = left if first is None else first
            if (left <= part * first and n_swept > 1) or time.monotonic() >= deadline:
                break
            self._shift()
            n_swept += self.model.share() * self._on_support(EASIER * max(EASIER * left, part * first), deadline)
        seen = self.columns.rows
        seen.n_passes += n_swept * self.model.n_values / max(seen.n_values, 1)
        if seen is not rows:
            rows.n_passes += seen.n_passes * seen.n / rows.n
            seen.n_passes = 0.0
        S = np.zeros((rows.k, rows.D))
        t = self.model.t
        S[:, self.features] = t
        if rows.intercept:
            S[:, -1] = self.model.intercepts() + np.einsum("cj,j->c", t, self.centre)
        return S.ravel()

    def _on_support(self, enough, deadline):
        """Sweep over what is not 0 until violations are small enough, or go on by Newton steps; how many sweeps."""
        model, n_swept = self.model, 0
        while n_swept < SUPPORT_SWEEPS:
            n_swept += 1
            if float(model.sweep(everything=False).sum()) <= enough or time.monotonic() >= deadline:
                return n_swept
        self.columns.n_vain += n_swept
        if step_on_support(model, self.columns.all(), self.order, WORTH * self.columns.n_vain, deadline):
            self.columns.n_vain = 0
        return n_swept + 1

    def _shift(self):
        """Move all classes of each feature alike, which no loss of softmax sees, for the least penalty."""
        if self.objective.rows.loss == "softmax":
            t, W = self.model.t, self.W + self.model.t
            shift = self.objective.penalty.common_shift(W, self.features)
            np.copyto(t, np.where(W + shift == 0, -self.W, t + shift))


def _proximal_gradient(objective, progress):
    penalty, point = objective.penalty, progress.point
    y, momentum, L = point, 1.0, FIRST_CURVATURE
    while not progress.stop():
        W, G = objective.matrix(y.w), objective.matrix(y.grad)
        smooth = y.value - penalty.absolute(W)
        for _ in range(HALVINGS):
            V = penalty.prox(W - G / L, 1 / L)
            found = objective.at(V.ravel())
            D = V - W
            above = smooth + float(np.vdot(G, D)) + 0.5 * L * float(np.vdot(D, D))
            if found.value - penalty.absolute(V) <= above + 4 * objective.resolution * abs(smooth):
                break
            L *= 2
        progress.see(found)
        if found.value > point.value and y is not point:
            y, momentum = point, 1.0
            continue
        before, momentum = momentum, (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = (before - 1) / momentum * (found.w - point.w)
        point, L = found, EASED * L
        y = objective.at(found.w + ahead) if ahead.any() else found
