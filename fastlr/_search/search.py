"""Fits of all folds along C: neighbours in C and in rows help each other.

For each value of C a *lead* is solved first: all rows where there are several folds and a refit, else the first fold.
The folds follow from its solution plus what they differed from it at the last value of C: training rows that are 1/K
different have solutions that are O(1/n) apart, and so have their curvatures.
"""

import math
from dataclasses import replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastlr._runtime.threads import blas_limit
from fastlr._runtime.warnings import warn_user
from fastlr._search.folds import left_out
from fastlr._search.member import LeaveOneOut, Member
from fastlr._verdict import are_hard, certain_separation
from fastlr.model.leave_one_out import check_leverages
from fastlr.model.line import Point
from fastlr.model.objective import Objective
from fastlr.solvers.lbfgs import REFRESH
from fastlr.solvers.path import Curvature, go_on, share_curvature
from fastlr.solvers.plan import NEWTON_SIZE

NEAR = 2  # times the tolerance, that a value may fall on the way to a solution that goes first
ROUNDS = 2  # steps that followers take together
RENEWED = 2  # points that a lead looks at in a Hessian that is near enough to be kept
WORN = 9  # the same for class blocks,
SPENT = 8  # and the part of the followers' passes, if they took as many as the lead, that better ones may cost
LACKING = "all training rows are of one class"
SEPARABLE = "the classes are separable, and without a penalty there is no optimum"


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
        self.curvature = None
        for member in (self.lead, *self.followers):
            member.keeps_all = self.shares and member.objective.size <= NEWTON_SIZE
        self.real = whole.objective.rows.real

    @classmethod
    def of_folds(cls, data, folds, *, C0, l1_ratio, class_weight, intercept, seed, **options):
        """The search of training data's folds."""
        weight = data.weight(class_weight)
        objective = data.objective(C0, weight, intercept=intercept, seed=seed, l1_ratio=l1_ratio)
        alpha, _ = data.penalty(C0, weight)
        weights = []
        for fold in folds:
            counts = fold.counts(len(data.X))
            if data.sample_weight is not None and not (counts * data.sample_weight).any():
                raise ValueError(f"cv: the training rows of fold {fold.number} have no weight; expected at least one "
                                 f"with a positive sample_weight")
            weights.append(data.weight(class_weight, counts))
        parts = objective.weighted(weights, [data.penalty(C0, weight)[0] / alpha for weight in weights])
        members = [Member(part, C0, fold) for part, fold in zip(parts, folds, strict=True)]
        return cls(Member(objective, C0), members, **options)

    @classmethod
    def leaving_one_out(cls, data, *, C0, l1_ratio, class_weight, intercept, seed, **options):
        """The search of all rows by leave-one-out, a path of fits of all rows."""
        if l1_ratio > 0:
            raise ValueError(f"cv='loo' with l1_ratios of {l1_ratio:g}: a Newton step for each row needs a smooth "
                             f"penalty; use l1_ratios=(0,), or folds")
        objective = data.objective(C0, data.weight(class_weight), intercept=intercept, seed=seed)
        check_leverages(objective)
        whole = LeaveOneOut(objective, C0, left_out(len(data.X)))
        return cls(whole, [whole], whole_leads=False, **options)

    @property
    def members(self):
        """All rows and the folds, each once."""
        return list(dict.fromkeys([self.whole, *self.folds]))

    @property
    def n_passes(self):
        """Passes over X of all fits."""
        return float(sum(member.objective.n_passes for member in self.members))

    def base_rates(self):
        """The mean targets (k,) of each fold's training rows."""
        return [member.objective.rows.base_rate for member in self.folds]

    def score(self, selection, scorer, show):
        """Fit and score the folds at all values of C of a `Selection`; show(C, scores) is told of each."""
        last = None if selection.Cs is None else float(selection.Cs.max())
        for C in selection.values():
            self.fit(C, last)
            scores, logits = [], []
            for member in self.folds:
                Z = member.held_out_logits(C)
                scores.append(scorer.score(member.fold, C, *member.parts(C), Z))
                logits.append(Z if selection.keep_logits else None)
            selection.see(C, scores, logits)
            show(C, scores)

    def fit(self, C, last=None):
        """Solve all members at C, from what they are at the nearest C they are solved at.

        `last` is the largest value of C to come: where its solution is near, it goes first, and often proves that those
        between need none of their own.
        """
        with blas_limit(), np.errstate(all="ignore"):
            if last is not None and self._is_near(last):
                self._fit(last)
            if C not in self.lead.models:
                self._fit(C)

    def _is_near(self, C):
        """Whether the lead's solution at C should be so near to the last one that one of the two serves between."""
        known = self.lead.known(C)
        if C in self.lead.models or not known or not self.shares or not self.curvature.is_whole:
            return False
        fall = -0.5 * float(known[0].grad @ self.curvature.step(self.lead.at(C), known[0].grad))
        return fall <= NEAR * self.options["tol"] * known[0].value

    def _fit(self, C):
        lead, before = self.lead, self.lead.known(C)
        near = min(lead.models, key=lambda other: abs(math.log(other / C)), default=None)
        self._solve(lead, C, [] if before or near is None else [lead.at(C).start(*lead.parts(near))], first=True)
        at_lead, n_points = lead.known(C), lead.models[C].n_iter
        at_lead = at_lead[0] if at_lead else None
        if self.shares and (not before or n_points > (RENEWED if self.curvature.is_whole else WORN)):
            passes = min(REFRESH, n_points * len(self.followers) // SPENT)
            self.curvature = Curvature(lead.at(C), at_lead.w, self.curvature, passes)
        starts = {member: self._expected(member, C, at_lead) for member in self.followers}
        if self.shares and lead.objective.rows.k == 1:
            starts.update(self._at_once(C, starts))
        for member, start in starts.items():
            seen = self._solve(member, C, [start])
            if self.shares and self.curvature.is_whole and seen is not None:
                objective = member.at(C)
                there = objective.start(*lead.parts(C))
                member.differs = self._loss_gradient(objective, seen) - self._loss_gradient(lead.at(C), at_lead)
                member.differs -= self.curvature.hessian @ (seen.w - there)

    def _expected(self, member, C, at_lead):
        """Where a follower's solution is expected beside the lead's.

        With the Hessian of the mean loss, that is a Newton step from the lead's: the gradients of the two mean losses
        differ by what they did before. Else the way between the two solutions is extrapolated along log C.
        """
        objective, lead = member.at(C), self.lead
        there = objective.start(*lead.parts(C))
        if objective.penalty.has_l1:  # what is 0 stays so
            return there
        if self.shares and self.curvature.is_whole:
            grad = self._loss_gradient(lead.at(C), at_lead) + member.differs
            grad += objective.penalty.gradient(objective.matrix(there)).ravel()
            return there + self.curvature.step(objective, grad)
        solved = sorted(member.solved, key=lambda other: abs(math.log(other / C)))[:2]
        for i, near in enumerate(solved):
            far = solved[1 - i] if len(solved) == 2 else None
            part = 1.0 if far is None else math.log(C / far) / math.log(near / far)
            there = there + part * (objective.start(*member.parts(near)) - objective.start(*lead.parts(near)))
        return there

    def _at_once(self, C, starts):
        """The Points where followers start, or one step further, of those that are not near enough already.

        Each round is one pass over the rows for all of them.
        """
        points, objectives = {}, {member: member.at(C) for member in starts}
        for _ in range(ROUNDS):
            known = {member: [*member.known(C), *([points[member]] if member in points else [])] for member in starts}
            starts = {member: w for member, w in starts.items() if not self._is_enough(member, C, known[member])}
            if len(starts) < 2:
                break
            points.update(zip(starts, Objective.at_once([objectives[member] for member in starts], starts.values()),
                              strict=True))
            starts = {member: points[member].w + self.curvature.step(objectives[member], points[member].grad)
                      for member in starts}
        return points

    def _is_enough(self, member, C, points):
        """Whether what is known, for no pass, proves one of the Points near enough."""
        objective, tol = member.at(C), self.options["tol"]
        bound = max([member.bound(C), *(objective.lower_bound(point) for point in points)])
        return bool(points) and min(point.value for point in points) - bound <= tol * bound

    @staticmethod
    def _loss_gradient(objective, point):
        """The gradient (size,) of the mean loss at a Point."""
        return point.grad - objective.penalty.gradient(objective.matrix(point.w)).ravel()

    def refit(self, C):
        """All rows' member, solved at C."""
        if C not in self.whole.models:
            with blas_limit(), np.errstate(all="ignore"):
                w = self.whole.objective.start(*self.lead.parts(C))
                self.curvature = Curvature(self.whole.at(C), w) if self.shares else None
                self._solve(self.whole, C, [w])
        return self.whole

    def _solve(self, member, C, starts, *, first=False):
        """Solve a member at C from what is known, or from where the solution may be; the Point of the first of these.

        The Point is None if none was looked at.
        """
        objective, known, seen = member.at(C), member.known(C), []

        def points():
            yield from known
            for start in starts:
                seen.append(start if isinstance(start, Point) else objective.at(start))
                yield seen[-1]

        rows = objective.rows
        lacking = rows.base_rate.max() == 1 if rows.loss == "softmax" else rows.k == 1 and rows.base_rate[0] in (0, 1)
        ends = lacking or (objective.is_free and are_hard(rows.y))  # there may be no optimum
        enough = certain_separation(rows) if ends else 0.0
        callback = (lambda iteration, value, gap, point: value < enough) if ends else None
        result, point = go_on(objective, points(), self.curvature, bound=member.bound(C), first=first,
                              callback=callback, **self.options)
        if point is None and self.shares:
            point = objective.at(result.w)
        if result.value < enough:
            result = replace(result, message=LACKING if lacking else SEPARABLE)
        member.keep(C, objective, result, point)
        return seen[0] if seen else None


def warn_of_shortfalls(searches, tol):
    """Warn if fits of some searches ended short of the tolerance."""
    members = [member for search in searches for member in search.members]
    short = [(model.suboptimality, C, model.message) for member in members
             for C, model in member.models.items() if model.suboptimality > tol and model.message != LACKING]
    if short:
        worst, C, message = max(short)
        n_fits = sum(len(member.models) for member in members)
        known = f"proved to be within {worst:.1e} of the optimum" if math.isfinite(worst) else "not proved"
        warn_user(f"{len(short)} of {n_fits} fits ended short of tol={tol:g}; the worst, at C={C:g}, is {known} "
                  f"({message}). The models are usable; raise tol or max_iter, or leave out large values of C",
                  ConvergenceWarning)
