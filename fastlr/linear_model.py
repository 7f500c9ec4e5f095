"""LogisticRegression: scikit-learn's conventions around an objective and a solver.

    F(W, b) = 1/s sum_i w_i loss(W x_i + b + o_i, y_i) + alpha sum_j p_j ((1 - r)/2 ||W_j||_2^2 + r ||W_j||_1)

with s = sum_i w_i, alpha = 1 / (C s), so that C means what it means in scikit-learn: C s F is its objective. x is a row
of (X - shift) * scale, W (k, d) is `coef_`, b (k,) `intercept_`, o an offset, p the penalty factors of the features, r
`l1_ratio`.
"""

import numpy as np

from fastlr import solvers
from fastlr._classifier import LogitClassifier
from fastlr._input.estimator import unchanged_on_error
from fastlr._input.fitted import fitted_model, is_fitted
from fastlr._input.foreign import refuse_classes_for_liblinear, understood
from fastlr._input.hints import hinted
from fastlr._input.options import LOGISTIC_RULES, check_rules
from fastlr._input.row_blocks import RowBlocks, take_blocks
from fastlr._runtime.callbacks import CallbackSupportMixin, FitMonitor, with_callbacks
from fastlr._runtime.threads import blas_limit
from fastlr._training_data import check_training_data
from fastlr._verdict import certain_separation, finished, no_optimum, proved_suboptimality, verdict
from fastlr.model.leave_one_out import check_leverages, leave_one_out


class LogisticRegression(CallbackSupportMixin, LogitClassifier):
    """Logistic regression, softmax regression and independent labels, fitted to a proved distance from the optimum.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the penalty's strength, as in scikit-learn; `np.inf` means no penalty.
    tol : float, default=1e-4
        The fit ends when its objective F is within tol of the optimum F*: (F - F*) / F* <= tol, by a bound that is
        proved, whatever the solver.
    fit_intercept : bool, default=True
        The intercept is never penalised.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes (1 for those that a dict does not name), multiplied with those of the rows; "balanced"
        gives all classes the same total.
    solver : {"auto", "lbfgs", "newton-cholesky", "newton-cg"}, default="auto"
        "auto" takes the one that should be fastest for the shape and type of the data. scikit-learn's "liblinear",
        "sag" and "saga" are taken for "auto": the optimum is the same. What scikit-learn refuses is refused here too:
        three classes by "liblinear", absolute values by "lbfgs", "sag" and Newton's methods.
    max_iter : int, default=1000
        Most iterations of the solver; 0 leaves the start, with a warning.
    max_time : float or None, default=None
        Seconds after which the fit ends with the best model and the bound it has, with a warning. The clock is looked
        at once an iteration; what a fit found in time may differ from run to run.
    warm_start : bool, default=False
        Start from the coefficients of the last fit.
    verbose : int, default=0
        1 writes the objective and its bound to stderr: one line rewritten on a terminal, else a line an iteration.
    n_threads : int or None, default=None
        None: FASTLR_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process may use. Never changes the result.
    random_state : int, RandomState instance or None, default=None
        Seeds the samples of rows that solvers look at to find their way; the optimum does not depend on it. None
        means 0: fits are reproducible.
    penalty_factors : float or array-like (n_features,), default=None
        Factors of the penalty, one a feature, of squares and absolute values alike: 0 leaves a feature unpenalised.
        None means 1.
    l1_ratio : float, default=0.0
        From 0, the ridge penalty, to 1, absolute values alone, with which coefficients are exactly 0: the penalty is
        l1_ratio ||W||_1 + (1 - l1_ratio)/2 ||W||^2, times 1/C, as in scikit-learn. Above 0 `solver` is "auto" (or
        scikit-learn's "saga", or "liblinear" for 1). With C=inf there is no penalty.
    scale, shift : float or array-like (n_features,), default=None
        The model sees (X - shift) * scale, in `fit` and in predictions, without a second array: scale=1/255 for bytes.
        `coef_` belongs to those scaled features, and so does the penalty.
    targets : {"auto", "classes", "labels"}, default="auto"
        What the columns of a matrix y are. "classes": probabilities of classes that exclude each other; rows sum to 1
        (within 1e-4, or the rounding of float16 or bfloat16 if they are of these types: they are divided by their
        sums).
        "labels": labels that do not exclude each other, 0 and 1 or their probabilities. "auto": labels if all values
        are 0 or 1, else classes. A single column is that of class 1, unless the targets are "labels".
    leave_one_out : bool, default=False
        After the fit, predict each row as if the model had been fitted without it: `loo_decision_function_` and
        `loo_score_`. ValueError where the Hessian is too large to be inverted.
    penalty, dual, intercept_scaling, n_jobs
        scikit-learn's, for those who come from it: its defaults, rules and deprecations hold. They change nothing, but
        for penalty: None is C=np.inf, "l1" l1_ratio=1, "elasticnet" the l1_ratio.

    Attributes
    ----------
    coef_ : ndarray (k, n_features), float64
        k is 1 for two classes, else the number of classes or labels. The rows of classes sum to zero, and so do
        their intercepts: adding the same to all classes changes no probability.
    intercept_ : ndarray (k,), float64
        Zero without `fit_intercept`.
    classes_ : ndarray (n_classes,)
        Sorted labels in their own dtype; 0 .. k - 1 for a matrix y.
    n_iter_ : ndarray (1,), int32
        Iterations of the solver.
    objective_ : float
        F at the fit: mean loss plus penalty.
    n_passes_ : float
        Trips over X that the fit took; samples of rows counted in proportion, one of a pass's two products a half.
    suboptimality_ : float
        Proved upper bound of (F - F*) / F*; inf where none is known.
    loo_decision_function_ : ndarray (n_samples,) or (n_samples, k)
        Logits of each row by the model of all other rows with the same C, approximately: see Notes. Only with
        `leave_one_out`, and so is the next.
    loo_score_ : float
        Their accuracy, weighted by `sample_weight`.
    scale_, shift_ : ndarray (n_features,) or None
        What the fit used.
    targets_ : {"classes", "labels"}
        What `predict` returns: classes (n,), or an indicator of labels (n, k) that do not exclude each other.
    n_features_in_ : int
    feature_names_in_ : ndarray (n_features,) of str
        Only if X had names, all of them strings.

    Notes
    -----
    X may be any array of booleans, integers or floats (float16 and bfloat16 too) in any layout: in native byte order it
    is neither copied nor converted whole beyond 2^19 values (small X is computed with in float64). Samples and
    workspaces of the solvers come on top: docs/running.md says how much. Data frames are converted as in scikit-learn.
    Sparse matrices and arrays of SciPy are read as they are if they are CSR of float32 or float64, and converted to
    that if not: docs/sparse.md. Masked arrays are refused: NumPy would drop their masks.

    Predictions are made of public attributes alone: `coef_`, `intercept_` and `classes_`, and `targets_`, `scale_` and
    `shift_` where they are set ("classes", None, None). A model made by hand predicts, a changed one accordingly. One
    row of `coef_` is a sigmoid, several are a softmax of classes, or sigmoids of labels.

    Leave-one-out logits come from a Newton step for each row (Rad and Maleki 2020, A scalable estimate of the
    out-of-sample prediction error via approximate leave-one-out cross-validation), for about the time of two Hessians.
    Their error falls faster with the number of rows than what they change: docs/choosing.md has figures. Weights of
    `class_weight="balanced"` stay those of all rows. The Hessian may have 2^24 values (see FASTLR_KEPT_MIB):
    (k (d + 1))^2 for classes, k (d + 1)^2 for labels; with d > n, and all features penalised, n takes the place of d.

    Ctrl-C (KeyboardInterrupt) leaves the best model so far in the estimator, ready to predict or to go on from with
    `warm_start`, and is raised again, so that it ends searches and scripts too; an earlier fit is still there if the
    solver had not begun. Other errors leave the estimator as it was.

    scikit-learn's callbacks (1.9 and later) are set by `set_callbacks`; one that returns True ends the fit. The model
    that they may rebuild after an iteration has `objective_`, `suboptimality_`, `n_iter_` and `n_passes_` so far.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastlr import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression().fit(X, y)
    >>> model.predict(X[:2])
    array([0, 0])
    >>> float(model.score(X, y)) > 0.95
    True
    """

    @hinted
    def __init__(self, C=1.0, *, tol=1e-4, fit_intercept=True, class_weight=None, solver="auto", max_iter=1000,
                 max_time=None, warm_start=False, verbose=0, n_threads=None, random_state=None, penalty_factors=None,
                 scale=None, shift=None, targets="auto", leave_one_out=False, penalty="deprecated", l1_ratio=0.0,
                 dual=False, intercept_scaling=1, n_jobs=None):
        self.C = C
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.max_iter = max_iter
        self.max_time = max_time
        self.warm_start = warm_start
        self.verbose = verbose
        self.n_threads = n_threads
        self.random_state = random_state
        self.penalty_factors = penalty_factors
        self.scale = scale
        self.shift = shift
        self.targets = targets
        self.leave_one_out = leave_one_out
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.intercept_scaling = intercept_scaling
        self.n_jobs = n_jobs

    @hinted
    def fit(self, X, y=None, sample_weight=None, *, offset=None):
        """Find the optimum.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features), or RowBlocks
        y : array-like (n_samples,) or (n_samples, k); None where RowBlocks have it
            Labels: integers, whole floats, strings or booleans, all of one kind; in arrays of objects and columns of
            data frames too. Or a matrix, see `targets`.
        sample_weight : array-like (n_samples,), default=None
            At least 0; None means 1.
        offset : array-like (n_samples,) or (n_samples, k), default=None
            Added to the logits, as they are.

        Returns
        -------
        LogisticRegression
            Itself.

        Raises
        ------
        TypeError, ValueError
            For bad parameters or data; an earlier fit is then still there.
        KeyboardInterrupt
            After Ctrl-C; the best model so far is there.
        """
        with np.errstate(all="ignore"), unchanged_on_error(self):
            interrupted = self._fit(X, y, sample_weight, offset)
        if interrupted:
            raise KeyboardInterrupt(interrupted)
        return self

    @with_callbacks
    def _fit(self, X, y, sample_weight, offset):
        """Set the attributes of the fit; returns what there is to say if Ctrl-C ended it, else None."""
        check_rules(self, LOGISTIC_RULES)
        X, y, sample_weight = take_blocks(X, y, sample_weight)
        solver, C, l1_ratio = understood(self, solvers.SOLVERS)
        data = self._check(X, y, sample_weight, offset)
        outputs, d = data.outputs, data.n_features
        refuse_classes_for_liblinear(self.solver, len(outputs.classes))
        weight = data.weight(self.class_weight)
        data.warn_of_one_class(weight)
        objective = data.objective(C, weight, intercept=self.fit_intercept, seed=self._seed(), l1_ratio=l1_ratio)
        if self.leave_one_out:
            if l1_ratio > 0:
                raise ValueError(f"leave_one_out=True with l1_ratio={l1_ratio:g}: a Newton step for each row needs a "
                                 f"smooth penalty; use l1_ratio=0, or scikit-learn's cross_val_predict")
            check_leverages(objective)
        last = self._last_fit(outputs, d)
        w = objective.centred(objective.start(*last))
        self._take_meaning(outputs, data.scale, data.shift)

        def model_at(w):
            coef, intercept = objective.coefficients(objective.centred(w))
            return {"coef_": coef, "intercept_": intercept, "n_passes_": float(objective.n_passes)}

        hard = objective.is_free and data.is_hard
        separated_below = certain_separation(objective.rows) if hard else 0.0
        shown = data.X if isinstance(data.X, np.ndarray) else X
        monitor = FitMonitor(self, model_at, shown, y, data.sample_weight, enough=separated_below)
        monitor.begin(w)
        w = w if last else None
        result = solvers.minimise(
            objective, w, solver=solver, tol=float(self.tol), max_iter=int(self.max_iter),
            max_time=np.inf if self.max_time is None else float(self.max_time), callback=monitor,
        )
        self.coef_, self.intercept_, value = finished(objective, result.w, float(result.value))
        self.n_iter_ = np.array([result.n_iter], np.int32)
        self.objective_ = value
        self.n_passes_ = float(objective.n_passes)
        self.suboptimality_ = proved_suboptimality(value, result.lower_bound, objective.value_error(result.w))
        monitor.end()
        interrupted = result.message == "interrupted"
        unattainable = None if interrupted else no_optimum(result, objective, separated_below,
                                                           hard=hard and not monitor.stopped)
        for name in ("loo_decision_function_", "loo_score_"):  # of an earlier fit
            vars(self).pop(name, None)
        if self.leave_one_out and not interrupted:
            if unattainable:
                raise ValueError(f"leave_one_out=True: {unattainable}")
            try:
                self._leave_out(data, objective, result.w)
            except KeyboardInterrupt:
                return "the fit had ended; leave-one-out predictions are missing"
        if isinstance(X, RowBlocks):
            X.check_unchanged()
        dtype = data.dtype if objective.rows.real == np.float32 else np.dtype(float)
        return verdict(self, result, dtype, unattainable, stopped=monitor.stopped)

    def _check(self, X, y, sample_weight, offset):
        """What `fit` was passed, as training data."""
        return check_training_data(self, X, y, sample_weight, offset)

    def _leave_out(self, data, objective, w):
        """Set the attributes of leave-one-out."""
        with blas_limit():
            Z = leave_one_out(objective, w)
        self.loo_decision_function_ = data.outputs.decisions(Z)
        self.loo_score_ = data.accuracy(Z, weight=data.sample_weight)
        self.n_passes_ = float(objective.n_passes)

    def _last_fit(self, outputs, d):
        """The coefficients and the intercept to start from, or nothing."""
        if not self.warm_start or not is_fitted(self):
            return ()
        last = fitted_model(self)
        if last.coef.shape != (outputs.k, d) or not np.array_equal(last.outputs.classes, outputs.classes):
            raise ValueError(f"warm_start: the last fit has coef_ of shape {last.coef.shape} and classes "
                             f"{last.outputs.classes}; the new data ask for {(outputs.k, d)} and {outputs.classes}: "
                             f"use warm_start=False")
        return last.coef, last.intercept * self.fit_intercept
