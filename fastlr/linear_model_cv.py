"""LogisticRegressionCV: the choice of C by cross-validation, with folds that are weights on one X."""

from functools import partial
from typing import ClassVar

import numpy as np
import sklearn
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing

from fastlr import solvers
from fastlr._classifier import LogitClassifier
from fastlr._input.arrays import as_array
from fastlr._input.csr import Csr
from fastlr._input.estimator import unchanged_on_error
from fastlr._input.foreign import refuse_classes_for_liblinear, understood
from fastlr._input.hints import hinted
from fastlr._input.options import LOGISTIC_RULES, check_rules
from fastlr._input.row_blocks import take_blocks
from fastlr._runtime.terminal import ProgressLine
from fastlr._search.attributes import as_scikit_learn_has_them, grids_of
from fastlr._search.folds import is_leave_one_out, make_folds, warn_of_absent
from fastlr._search.scoring import HeldOutScorer, classifier_like, scorer_of
from fastlr._search.search import Search, warn_of_shortfalls
from fastlr._search.selection import Selection, check_Cs
from fastlr._training_data import check_training_data
from fastlr.model.memory import KEPT_VALUES


class LogisticRegressionCV(LogitClassifier):
    """Logistic regression with C chosen by cross-validation, as scikit-learn's LogisticRegressionCV does.

    All folds are fitted on the one X, which is not copied: held-out rows have weight 0. Each model begins at the
    solutions of its neighbours in C and in rows, so that a search of several folds costs less than as many fits.

    Parameters
    ----------
    Cs : int, array-like of float or "auto", default=10
        Values of C to try. An integer means so many, evenly spaced from 1e-4 to 1e4 on a logarithmic scale. "auto"
        tries 0.01 to 100 by factors of 10, goes on beyond an end of these while it is the best, to 1e-6 and 1e6 at
        most, and then tries sqrt(10) times less and more than the best.
    cv : int, "loo", splitter, iterable of (train, test) or None, default=None
        As in scikit-learn: None means 5 folds, an integer so many, stratified where y are labels. `PredefinedSplit`
        with -1 for all training rows holds out a fixed validation part. A row that a fold's `train` names twice counts
        twice. "loo" leaves out one row at a time, approximately, from one fit of all rows a value of C; see
        `LogisticRegression`'s `leave_one_out`. It counts as one fold.
    scoring : str, callable or None, default=None
        A scorer's name, or scorer(estimator, X, y) of a fitted classifier and the rows held out. None means accuracy.
        Accuracy and "neg_log_loss" are computed from logits; other scorers get the rows held out as a copy, one fold
        at a time. "neg_log_loss" is minus the mean loss that fits minimise, for labels that do not exclude each other
        the sum over them; unlike scikit-learn's it does not clip probabilities.
    refit : bool, default=True
        Choose the C of the best mean score, and fit all rows with it. False: every fold chooses a C of its own, and
        `coef_`, `intercept_`, `C_` and `l1_ratio_` are the means.
    tol, fit_intercept, class_weight, solver, max_iter, n_threads, random_state, penalty_factors, scale, shift, targets
        As for `LogisticRegression`, for every model of the search. "balanced" weights are those of a fold's training
        rows.
    verbose : int, default=0
        1 writes a line to stderr for each C.
    use_legacy_attributes : bool or None, default=None
        None leaves the axis of l1_ratios out of the attributes. False gives them scikit-learn 1.9's shapes with that
        axis, as does a sequence for `l1_ratios`; True its older ones, dicts by class.
    l1_ratios : array-like of float or None, default=None
        Each is tried with each C, and with the best the model is fitted; of equals the first. None is (0,), L2 alone.
        "auto" for Cs takes one ratio.
    penalty, dual, intercept_scaling, n_jobs
        scikit-learn's, as of `LogisticRegression`.

    Attributes
    ----------
    C_ : float
    Cs_ : ndarray (n_Cs,)
        The values that were tried, in the order of `Cs`; ascending for "auto".
    l1_ratio_, l1_ratios_ : float, ndarray (n_l1_ratios,)
        The best ratio, and those that were tried; only with `l1_ratios` or `use_legacy_attributes`. The arrays of all
        fits have an axis of ratios then, before that of C.
    scores_ : ndarray (n_folds, n_Cs)
    coefs_paths_ : ndarray (n_folds, n_Cs, k, n_features + 1), float64
        The folds' models, the intercepts in the last column; without an intercept there is no such column.
    n_iter_ : ndarray (n_folds, n_Cs), int32
        Points at which each fit looked: 1 where its start was proved to be near enough.
    n_passes_ : float
        Trips over X of the whole search, counted as `LogisticRegression` does; those of scorers are not among them.
    oof_decision_function_ : ndarray (n,) or (n, k), or None
        Out of fold: the logits of each row by the model at `C_` that did not see it (without `refit`, at its fold's own
        C). The mean over folds where several hold a row out, nan where none does. None where n k is more than 2^25
        (see FASTLR_KEPT_MIB).
    loo_decision_function_ : ndarray (n,) or (n, k)
        Only with cv="loo", and so is the next: logits of each row without it at `C_`, the same as out of fold.
    loo_score_ : float
        Their score by `scoring`.
    coef_, intercept_, classes_, scale_, shift_, targets_, n_features_in_, feature_names_in_
        As of `LogisticRegression`.
    objective_, suboptimality_ : float
        Of the model of all rows; only with `refit`.

    Notes
    -----
    C means the same in every fold: alpha = 1 / (C s) with s the sum of the fold's training weights. Fits end when they
    are proved to be within `tol`; those that are not are told of in one warning. Neighbouring values of C share a
    model, and then a score, where it is proved to be within `tol` for both.

    A fold whose training rows lack a class is fitted without it, with a warning: the class's coefficients are those
    that the penalty alone leaves, 0.

    KeyboardInterrupt leaves the estimator as it was, and so do errors.

    With metadata routing enabled, the splitter and the scorer get what they request, as in scikit-learn; without,
    `groups` go to the splitter and `sample_weight` to the scorer. An offset is part of what the scorer's classifier
    says of the rows held out.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = LogisticRegressionCV(Cs=[0.01, 1, 100], scoring="neg_log_loss").fit(X, y)
    >>> search.C_
    100.0
    >>> search.scores_.shape
    (5, 3)
    >>> search.predict(X[:2])
    array([0, 0])
    """

    __metadata_request__score: ClassVar = {"sample_weight": UNUSED, "offset": UNUSED}

    @hinted
    def __init__(
        self, Cs=10, *, cv=None, scoring=None, refit=True, tol=1e-4, fit_intercept=True, class_weight=None,
        solver="auto", max_iter=1000, verbose=0, n_threads=None, random_state=None, penalty_factors=None, scale=None,
        shift=None, targets="auto", penalty="deprecated", l1_ratios=None, dual=False, intercept_scaling=1, n_jobs=None,
        use_legacy_attributes=None,
    ):
        self.Cs = Cs
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.n_threads = n_threads
        self.random_state = random_state
        self.penalty_factors = penalty_factors
        self.scale = scale
        self.shift = shift
        self.targets = targets
        self.penalty = penalty
        self.l1_ratios = l1_ratios
        self.dual = dual
        self.intercept_scaling = intercept_scaling
        self.n_jobs = n_jobs
        self.use_legacy_attributes = use_legacy_attributes

    def fit(self, X, y=None, sample_weight=None, *, offset=None, **params):
        """Fit all folds along C, choose the best C, and fit all rows with it.

        Parameters
        ----------
        X, y, sample_weight, offset
            As for `LogisticRegression.fit`.
        **params
            `groups` for the splitter; with metadata routing enabled, what the splitter and the scorer request.

        Returns
        -------
        LogisticRegressionCV
            Itself.

        Raises
        ------
        TypeError, ValueError
            For bad parameters, data or folds, and where the scorer fails; an earlier fit is then still there.
        """
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight, offset, params)
        return self

    def score(self, X, y=None, sample_weight=None, *, offset=None, **params):
        """The score of X and y by `scoring`; accuracy where that is None, as of `LogisticRegression`."""
        X, y, sample_weight = take_blocks(X, y, sample_weight)
        routed = self._routed("score", sample_weight, params).get("scorer", {}).get("score", {})
        if self.scoring is None and routed.keys() <= {"sample_weight"}:
            return super().score(X, y, **routed, offset=offset)
        if offset is None:
            return scorer_of(self.scoring)(self, X, y, **routed)
        outputs, Z = self._logits(X, offset)
        model = classifier_like(self, float(np.ravel(self.C_)[0]), self.coef_, self.intercept_, outputs, self.scale_,
                                self.shift_)
        return scorer_of(self.scoring)(model.know(X, Z), X, y, **routed)

    def get_metadata_routing(self):
        """Which metadata go where: see scikit-learn's user guide on metadata routing."""
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
            .add(scorer=scorer_of(self.scoring),
                 method_mapping=MethodMapping().add(caller="score", callee="score").add(caller="fit", callee="score"))
        )

    def _routed(self, method, sample_weight, params):
        """What the splitter's `split` and the scorer are called with."""
        if sample_weight is not None:
            sample_weight = as_array(sample_weight, "sample_weight")
            params = {**params, "sample_weight": sample_weight}
        if sklearn.get_config()["enable_metadata_routing"]:
            return process_routing(self, method, **params)
        unknown = params.keys() - ({"groups", "sample_weight"} if method == "fit" else {"sample_weight"})
        if unknown:
            expected = "sample_weight, offset or groups" if method == "fit" else "sample_weight or offset"
            raise ValueError(f"{type(self).__name__}.{method} got {', '.join(sorted(unknown))}; expected {expected}: "
                             f"other metadata is only supported if enable_metadata_routing=True, by sklearn.set_config")
        scorer = {"sample_weight": sample_weight} if sample_weight is not None else {}
        groups = {"groups": params["groups"]} if params.get("groups") is not None else {}
        return {"splitter": {"split": groups}, "scorer": {"score": scorer}}

    def _fit(self, X, y, sample_weight, offset, params):
        """Set the attributes of the search and of its best model."""
        check_rules(self, LOGISTIC_RULES)
        solver, _, ratios = understood(self, solvers.SOLVERS)
        Cs = check_Cs(self.Cs)
        if Cs is None and len(set(ratios)) > 1:
            raise ValueError(f"Cs='auto' with l1_ratios={self.l1_ratios!r}: each ratio would have a grid of its own; "
                             f"expected an integer or numbers for Cs, or one l1_ratio")
        X, y, sample_weight = take_blocks(X, y, sample_weight)
        routed = self._routed("fit", sample_weight, params)
        data = check_training_data(self, X, y, sample_weight, offset)
        outputs, n = data.outputs, len(data.X)
        refuse_classes_for_liblinear(self.solver, len(outputs.classes))
        y = outputs.classes[data.targets] if data.targets.ndim == 1 else as_array(y, "y")
        scorer = HeldOutScorer(self, data, y, routed["scorer"]["score"])
        options = {
            "C0": 1.0 if Cs is None else float(Cs.min()), "class_weight": self.class_weight,
            "intercept": self.fit_intercept, "seed": self._seed(), "solver": solver, "tol": float(self.tol),
            "max_iter": int(self.max_iter),
        }
        keep_logits = n * outputs.k <= KEPT_VALUES
        if is_leave_one_out(self.cv):
            keep_logits, make = True, partial(Search.leaving_one_out, data, **options)
        else:
            shown = data.X.to_scipy() if isinstance(data.X, Csr) else data.X
            folds = make_folds(self.cv, shown, y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y,
                               routed["splitter"]["split"])
            make = partial(Search.of_folds, data, folds, whole_leads=self.refit and len(folds) > 1, **options)
        searches, selections, line = {}, {}, ProgressLine(self.verbose)
        try:
            for ratio in dict.fromkeys(ratios):
                search = searches[ratio] = make(l1_ratio=ratio)
                folds = [member.fold for member in search.folds]
                if len(searches) == 1:
                    warn_of_absent(folds, search.base_rates(), outputs)
                selections[ratio] = Selection(folds, Cs, by_fold=not self.refit, keep_logits=keep_logits)
                search.score(selections[ratio], scorer, partial(self._show, line, search, ratio))
        finally:
            line.close()
        self._take(data, [searches[ratio] for ratio in ratios], [selections[ratio] for ratio in ratios], ratios)
        warn_of_shortfalls(searches.values(), float(self.tol))

    @staticmethod
    def _show(line, search, ratio, C, scores):
        of = f"l1_ratio={ratio:g}  " if ratio else ""
        line.show(f"{of}C={C:.3g}  mean score {np.mean(scores):.6g}  passes {search.n_passes:.1f}")

    def _take(self, data, searches, selections, ratios):
        """Set the attributes of searches that have ended, one a ratio."""
        outputs, (selection, chosen) = data.outputs, Selection.best_of(selections)
        self.Cs_ = selection.tried()
        grids = grids_of(searches, selections, self.Cs_)
        self._take_meaning(outputs, data.scale, data.shift)
        best, search = selection.best(), searches[chosen[0]]
        if self.refit:
            self.C_ = best[0]
            self.coef_, self.intercept_ = search.refit(self.C_).parts(self.C_)
            model = search.whole.models[self.C_]
            self.objective_, self.suboptimality_ = model.value, model.suboptimality
        else:
            self.C_ = float(np.mean(best))
            parts = [searches[r].folds[i].parts(C) for i, (r, C) in enumerate(zip(chosen, best, strict=True))]
            self.coef_, self.intercept_ = (np.mean(part, axis=0) for part in zip(*parts, strict=True))
            for name in ("objective_", "suboptimality_"):  # of an earlier fit
                vars(self).pop(name, None)
        Z = selection.out_of_fold(len(data.X), outputs.k, search.real)
        self.oof_decision_function_ = None if Z is None else outputs.decisions(Z)
        for name in ("loo_decision_function_", "loo_score_"):
            vars(self).pop(name, None)
        if is_leave_one_out(self.cv):
            self.loo_decision_function_ = self.oof_decision_function_
            self.loo_score_ = float(selections[chosen[0]].scores[best[0]][0])
        self.n_passes_ = float(sum(search.n_passes for search in dict.fromkeys(searches)))
        if self.l1_ratios is not None or self.use_legacy_attributes is not None:
            ratio = float(ratios[chosen[0]] if self.refit else np.mean([ratios[r] for r in chosen]))
            vars(self).update(as_scikit_learn_has_them(self, grids, ratio))
        else:
            vars(self).update({name: grid[:, 0] for name, grid in grids.items()})
