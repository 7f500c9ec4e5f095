"""Fits of all folds along C: neighbours in C and in rows help each other.

For each value of C a *lead* is solved first: all rows where there are several folds and a refit, else the first fold.
The folds follow from its solution plus what they differed from it at the last value of C: training rows that are 1/K
different have solutions that are O(1/n) apart, and so have their curvatures.
"""

import math
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastlr._runtime.threads import blas_limit
from fastlr._runtime.warnings import warn_user
from fastlr._verdict import are_hard, certain_separation, proved_suboptimality
from fastlr.model.rows_folds import logits_of
from fastlr.solvers.path import Curvature, go_on, share_curvature


@dataclass(frozen=True, eq=False)
class Model:
    """A solution.

    Attributes
    ----------
    W : ndarray (k, D)
        In the user's coordinates, the intercepts in a last column if there are any.
    value, suboptimality : float
        F, and a proved bound of (F - F*) / F*.
    n_iter : int
        Points that were looked at.
    message : str
    """

    W: np.ndarray
    value: float
    suboptimality: float
    n_iter: int
    message: str


class Member:
    """The fits of some training rows along C.

    Parameters
    ----------
    objective : Objective
        At C0.
    C0 : float
    fold : Fold or None
        None for all rows.
    """

    def __init__(self, objective, C0, fold=None):
        self.objective, self.C0, self.fold = objective, C0, fold
        self.models = {}

    def at(self, C):
        """The objective at C."""
        return self.objective.penalised(self.C0 / C)

    def parts(self, C):
        """Coefficients (k, d) and intercept (k,) of the model at C."""
        W, d = self.models[C].W, self.objective.rows.d
        return W[:, :d].copy(), W[:, d].copy() if self.objective.rows.intercept else np.zeros(len(W))

    def point(self, C):
        """The model at C in the objective's coordinates."""
        return self.objective.start(*self.parts(C))

    def keep(self, C, objective, result):
        """Take note of the solution at C."""
        coef, intercept, value = objective.finished(result.w, float(result.value))
        if not (np.isfinite(coef).all() and np.isfinite(intercept).all() and np.isfinite(value)):
            raise ValueError(f"the coefficients at C={C:g} leave the range of float64; expected features of moderate "
                             f"size: use scale")
        gap = proved_suboptimality(value, result.lower_bound, objective.value_error(result.w))
        W = np.column_stack([coef, intercept]) if objective.rows.intercept else coef
        self.models[C] = Model(W, value, gap, result.n_iter + 1, result.message)

    def held_out_logits(self, C):
        """Logits (m, k) of the rows that are held out."""
        rows = self.objective.rows
        return logits_of(rows, self.objective.matrix(self.point(C)), self.fold.test)


class Search:
    """The fits of all rows and of the folds.

    Parameters
    ----------
    whole : Member
        All rows.
    folds : list of Member
    whole_leads : bool
        All rows are solved at each C, else the first fold leads.
    solver, tol, max_iter
        As for `fastlr.solvers.minimise`.
    """

    def __init__(self, whole, folds, *, whole_leads, solver, tol, max_iter):
        self.whole, self.folds = whole, folds
        self.lead, self.followers = (whole, folds) if whole_leads else (folds[0], folds[1:])
        self.options = {"solver": solver, "tol": tol, "max_iter": max_iter}
        self.shares = share_curvature(self.lead.objective, solver)
        self.real = whole.objective.rows.real

    @classmethod
    def of_folds(cls, data, folds, *, C0, class_weight, intercept, seed, **options):
        """The search of training data's folds."""
        weight = data.weight(class_weight)
        objective = data.objective(C0, weight, intercept=intercept, seed=seed)
        alpha, _ = data.penalty(C0, weight)
        members = []
        for fold in folds:
            counts = fold.counts(len(data.X))
            if data.sample_weight is not None and not (counts * data.sample_weight).any():
                raise ValueError(f"cv: the training rows of fold {fold.number} have no weight; expected at least one "
                                 f"with a positive sample_weight")
            weight = data.weight(class_weight, counts)
            members.append(Member(objective.weighted(weight, data.penalty(C0, weight)[0] / alpha), C0, fold))
        return cls(Member(objective, C0), members, **options)

    @property
    def n_passes(self):
        """Passes over X of all fits."""
        return float(sum(member.objective.n_passes for member in (self.whole, *self.folds)))

    def base_rates(self):
        """The mean targets (k,) of each fold's training rows."""
        return [member.objective.rows.base_rate for member in self.folds]

    def fit(self, C):
        """Solve all members at C, from what they are at the nearest C they are solved at."""
        with blas_limit(), np.errstate(all="ignore"):
            last = min(self.lead.models, key=lambda other: abs(math.log(other) - math.log(C)), default=None)
            w = None if last is None else self.lead.point(last)
            curvature = self._solve(self.lead, C, w, None)
            for member in self.followers:
                w = self.lead.point(C)
                if last is not None:
                    w += member.point(last) - self.lead.point(last)
                self._solve(member, C, w, curvature)

    def refit(self, C):
        """All rows' member, solved at C."""
        if C not in self.whole.models:
            with blas_limit(), np.errstate(all="ignore"):
                self._solve(self.whole, C, self.lead.point(C), None)
        return self.whole

    def warn_of_shortfalls(self):
        """Warn if fits ended short of the tolerance."""
        tol = self.options["tol"]
        short = [(model.suboptimality, C, model.message) for member in (*self.folds, self.whole)
                 for C, model in member.models.items() if model.suboptimality > tol]
        if short:
            worst, C, message = max(short)
            n_fits = sum(len(member.models) for member in (*self.folds, self.whole))
            known = f"proved to be within {worst:.1e} of the optimum" if math.isfinite(worst) else "not proved"
            warn_user(f"{len(short)} of {n_fits} fits ended short of tol={tol:g}; the worst, at C={C:g}, is {known} "
                      f"({message}). The models are usable; raise tol or max_iter, or leave out large values of C",
                      ConvergenceWarning)

    def _solve(self, member, C, w, curvature):
        """Solve a member at C from w; the curvature that served, the member's own where there was none."""
        objective = member.at(C)
        rows, own = objective.rows, curvature is None
        if own and self.shares and w is not None:
            curvature = Curvature(objective, w)
        separated = certain_separation(rows) if objective.is_free and are_hard(rows.y) else 0.0
        callback = (lambda iteration, value, gap, point: value < separated) if separated else None
        result = go_on(objective, w, curvature, first=own, callback=callback, **self.options)
        member.keep(C, objective, result)
        if own and self.shares and w is None and self.followers:
            curvature = Curvature(objective, result.w)
        return curvature
