"""scikit-learn's parameters that mean nothing here, or ask for what fastlr does not have: one rule for both estimators.

    penalty, l1_ratio (l1_ratios), dual, intercept_scaling, n_jobs; solver="liblinear", "sag", "saga"

What means nothing is taken by the rules of scikit-learn 1.9, deprecations too; what is absent says so, and what to use.
"""

import math
from numbers import Integral

import numpy as np

from fastlr._input.options import check_rules, is_flag, is_number, one_of
from fastlr._runtime.warnings import warn_user

FOREIGN_SOLVERS = ("liblinear", "sag", "saga")


def _is_ratio(value):
    return is_number(value) and 0 <= value <= 1


def _are_ratios(values):
    return values is None or (np.ndim(values) == 1 and len(values) > 0 and all(map(_is_ratio, values)))


_RULES = {
    "penalty": (lambda v: v is None or (isinstance(v, str) and v in ("deprecated", "l1", "l2", "elasticnet")),
                "'l1', 'l2', 'elasticnet' or None; or leave it out and use C and l1_ratio"),
    "l1_ratio": (lambda v: v is None or _is_ratio(v), "a number in [0, 1]"),
    "l1_ratios": (_are_ratios, "a sequence of numbers in [0, 1]"),
    "dual": (is_flag, "True or False"),
    "intercept_scaling": (lambda v: is_number(v) and 0 < v < math.inf, "a positive finite number"),
    "n_jobs": (lambda v: v is None or (isinstance(v, Integral) and not is_flag(v)), "None or an integer"),
}


def understood(estimator, own_solvers):
    """What scikit-learn's parameters of an estimator come to here.

    Parameters
    ----------
    estimator : LogisticRegression or LogisticRegressionCV
    own_solvers : sequence of str

    Returns
    -------
    solver : str
        One of our own; "auto" for those of `FOREIGN_SOLVERS`, whose optimum is the same.
    C : float or None
        np.inf for penalty=None, else the estimator's; None where it has no C.
    l1_ratio : float, or tuple of float where the estimator has l1_ratios
        0 for the ridge penalty, or none.

    Raises
    ------
    ValueError
        For values that are not allowed and combinations that scikit-learn refuses.

    Warns
    -----
    FutureWarning, UserWarning
        Where scikit-learn 1.9 does, but for the defaults that it is about to change: those are its coming ones here.
    """
    check_rules(estimator, _RULES)
    accepts, expected = one_of(*own_solvers, *FOREIGN_SOLVERS)
    if not accepts(estimator.solver):
        raise ValueError(f"solver is {estimator.solver!r}; expected {expected}")
    many = hasattr(estimator, "l1_ratios")
    name, ratio = ("l1_ratios", estimator.l1_ratios) if many else ("l1_ratio", estimator.l1_ratio)
    penalty = penalty_kind(estimator.penalty, ratio, getattr(estimator, "C", 1.0))
    _warn_of_deprecations(estimator, name, ratio)
    _check_combination(estimator.solver, penalty, estimator.dual)
    _warn_of_inconsistency(estimator, penalty, name, ratio)
    if penalty == "elasticnet" and ratio is None:
        raise ValueError(f"{name} is None with penalty='elasticnet'; expected numbers in [0, 1]")
    if estimator.solver == "liblinear" and estimator.fit_intercept:
        warn_user("solver='liblinear' penalises the intercept in scikit-learn; fastlr never does: the fit is that of "
                  "any other solver. Use solver='auto'")
    C = getattr(estimator, "C", None)
    if estimator.penalty is None:
        if many:
            raise ValueError("penalty is None; expected a penalty, whose C is searched for: leave it out")
        if C != 1.0:
            warn_user("Setting penalty=None will ignore the C and l1_ratio parameters")
        C = np.inf
    solver = "auto" if estimator.solver in FOREIGN_SOLVERS else estimator.solver
    alone = {"l1": 1.0, "elasticnet": ratio}.get(penalty, 0.0)
    if not many:
        return solver, C, float(alone)
    n_ratios = 1 if ratio is None else len(ratio)
    return solver, C, tuple(map(float, ratio)) if penalty == "elasticnet" else (alone,) * n_ratios


def failure(solver, n_iter):
    """How scikit-learn's warning of a fit by this solver that reached max_iter begins."""
    if solver in ("sag", "saga"):
        return "The max_iter was reached which means the coef_ did not converge"
    if solver == "newton-cholesky":
        return f"Newton solver did not converge after {n_iter} iterations"
    if solver == "liblinear":
        return "Liblinear failed to converge, increase the number of iterations"
    return f"{'the fit' if solver == 'auto' else solver} failed to converge"


def refuse_classes_for_liblinear(solver, n_classes):
    """Raise ValueError where scikit-learn's liblinear, whose models are binary, does."""
    if solver == "liblinear" and n_classes > 2:
        raise ValueError("The 'liblinear' solver does not support multiclass classification (n_classes >= 3). Use "
                         "solver='auto' for softmax regression, or a OneVsRestClassifier for one binary model a class")


def penalty_kind(penalty, ratio, C):
    """The penalty that scikit-learn 1.9 makes of `penalty`, l1_ratio or l1_ratios, and C, where it is known.

    Returns
    -------
    {"l1", "l2", "elasticnet"} or None
    """
    if penalty != "deprecated":
        return penalty
    if math.inf == C:
        return None
    ratios = np.zeros(1) if ratio is None else np.atleast_1d(np.asarray(ratio, np.float64))
    return "l2" if not ratios.any() else "l1" if (ratios == 1).all() else "elasticnet"


def _warn_of_deprecations(estimator, name, ratio):
    """scikit-learn's warnings of what it is about to remove."""
    if estimator.penalty != "deprecated":
        l1, l2 = (1, 0) if name == "l1_ratio" else ("(1,)", "(0,)")
        instead = {"l2": f"{name}={l2} is", "l1": f"use {name}={l1}, which is", "elasticnet": f"{name} alone is"}
        instead = instead.get(estimator.penalty, "C=np.inf is")
        warn_user(f"'penalty' was deprecated in scikit-learn 1.8 and will be removed in 1.10. To avoid this warning, "
                  f"leave it out: {instead} the same as penalty={estimator.penalty!r}", FutureWarning)
    elif ratio is None and name == "l1_ratio":
        warn_user("'l1_ratio=None' was deprecated in scikit-learn 1.8 and will trigger an error in 1.10. Use 0 for the "
                  "L2 penalty, which is the default", FutureWarning)
    if name == "l1_ratio" and estimator.n_jobs is not None:
        warn_user(f"'n_jobs' has no effect since scikit-learn 1.8 and will be removed there in 1.10. You provided "
                  f"'n_jobs={estimator.n_jobs}'; please leave it out: fastlr's threads are n_threads", FutureWarning)


def _check_combination(solver, penalty, dual):
    """Raise ValueError where scikit-learn does, in its words."""
    if solver not in ("auto", "liblinear", "saga") and penalty not in ("l2", None):
        raise ValueError(f"Solver {solver} supports only 'l2' or None penalties, got {penalty} penalty; use "
                         f"solver='auto' for it")
    if solver != "liblinear" and dual:
        raise ValueError(f"Solver {solver} supports only dual=False, got dual={dual}")
    if solver == "liblinear" and penalty == "elasticnet":
        raise ValueError("Only 'saga' solver supports elasticnet penalty, got solver=liblinear.")
    if solver == "liblinear" and penalty is None:
        raise ValueError("C=np.inf as well as penalty=None is not supported for the liblinear solver; use "
                         "solver='auto'")


def _warn_of_inconsistency(estimator, penalty, name, ratio):
    """scikit-learn's warnings of a ratio that is not that of `penalty`."""
    if estimator.penalty == "deprecated" or ratio is None:
        return
    if name == "l1_ratio" and penalty != "elasticnet" and ratio not in (0, 1):
        warn_user(f"l1_ratio parameter is only used when penalty is 'elasticnet'. Got (penalty={penalty})")
    if name == "l1_ratio" and ((penalty == "l2" and ratio != 0) or (penalty == "l1" and ratio != 1)):
        warn_user(f"Inconsistent values: penalty={penalty} with l1_ratio={ratio}. penalty is deprecated. Please use "
                  f"l1_ratio only.")
