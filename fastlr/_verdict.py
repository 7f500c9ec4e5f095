"""What is said of a fit that ended: how near the optimum it is proved to be, and what to do if that is not enough."""

import math

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastlr import _core
from fastlr._input.foreign import failure
from fastlr._runtime.warnings import warn_user
from fastlr.model.separation import are_separable
from fastlr.solvers.state import FITTED, LATE


def no_optimum(result, objective, separated_below, *, hard):
    """Why there is none, or None.

    Parameters
    ----------
    result : fastlr.solvers.Result
    objective : Objective
    separated_below : float
        A value below this is that of a model that classifies every row right.
    hard : bool
        Whether the targets are labels and nothing is penalised: then there may be no optimum.
    """
    if result.value < separated_below:
        return ("the classes are separable: some coefficients classify every row right, and without a penalty "
                "(C=inf, penalty_factors of 0, an intercept alone) larger ones always fit better, so there is no "
                "optimum. The coefficients found do so; use a finite C for a unique model, and penalise features that "
                "vary")
    if hard and result.lower_bound == 0 and are_separable(objective.rows, objective.matrix(result.w)):
        return ("the classes are separable, perhaps but for rows on the border (quasi-complete separation): without "
                "a penalty (C=inf) some coefficients always fit better when they grow, so there is no optimum, and "
                "those found need not classify every row right; use a finite C for a unique model")
    return None


def verdict(estimator, result, dtype, unattainable, *, stopped):
    """Warn if the fit ended short of `tol`, saying why; returns what there is to say if Ctrl-C ended it, else None.

    Parameters
    ----------
    estimator : LogisticRegression
        With all attributes of its fit.
    result : fastlr.solvers.Result
    dtype : dtype
        Of the user's X where it is computed with in float32, else float64.
    unattainable : str or None
        Why there is no optimum.
    stopped : bool
        A callback asked for the end.
    """
    if result.message == "interrupted":
        return _shortfall(estimator, result.message, dtype)
    if unattainable:
        _warn(unattainable)
    elif estimator.suboptimality_ > estimator.tol and not stopped:
        _warn(_shortfall(estimator, result.message, dtype))
    return None


def _shortfall(estimator, message, dtype):
    """What is known of a fit that did not get within tol, and what to do."""
    known = (f"its objective is proved to be within {estimator.suboptimality_:.1e} of the optimum, relatively"
             if math.isfinite(estimator.suboptimality_) else "how far it is from the optimum is not known")
    n_iter = estimator.n_iter_[0]
    what = "the fit" if message == "interrupted" else f"{failure(estimator.solver, n_iter)}: the fit"
    is_short = _core.real_dtype(dtype) == np.float32
    easier = "or lower C: a stronger penalty is easier to fit"
    if message == "interrupted":
        remedy = "warm_start=True goes on from here"
    elif message == LATE:
        remedy = f"Raise max_time ({estimator.max_time:g} s), or go on with warm_start=True"
    elif n_iter >= estimator.max_iter:
        remedy = f"Increase the number of iterations: raise max_iter ({estimator.max_iter}), {easier}"
    elif message == FITTED:
        remedy = ("Every row is fitted, and rounding hides what is better: a lower C has a unique model, but where no "
                  "label varies the intercept, which is not penalised, grows for ever")
    elif not math.isfinite(estimator.suboptimality_):
        remedy = ("It may well be optimal, but a proof takes a penalty on every feature and labels that vary"
                  + (f"; or pass X as float64: {dtype} data are computed in float32" * is_short))
    elif is_short:
        remedy = f"Raise tol, or pass X as float64: {dtype} data are computed in float32"
    else:
        remedy = f"Raise tol, {easier}"
    if message == "converged":
        message = "converged, but for the rounding of what is returned"
    return (f"{what} ended after {n_iter} iterations ({message}): {known}; tol is {estimator.tol:g}. The model is "
            f"usable. {remedy}")


def finished(objective, w, value):
    """Coefficients, intercept and F of a model, from F(w); ValueError where they leave the range of float64."""
    coef, intercept, value = objective.finished(w, value)
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all() and np.isfinite(value)):
        raise ValueError(f"the optimum's coefficients leave the range of float64: features are as small as "
                         f"{objective.coordinates.deviation.min():.1e}; expected moderate sizes: use scale")
    return coef, intercept, value


def are_hard(targets):
    """Whether they are labels, whose losses have no least value above 0."""
    return targets.ndim == 1 or bool(((targets == 0) | (targets == 1)).all())


def certain_separation(rows):
    """A mean loss below this leaves no row a loss of log 2, which means that every row is classified right."""
    return math.log(2) * rows.least_weight / rows.total_weight


def proved_suboptimality(value, lower_bound, error):
    """(value - lower_bound) / lower_bound, inf where nothing above 0 is known; value may be off by the error.

    A value below the bound is off by more than that, and so may the bound be.
    """
    return float((abs(value - lower_bound) + error) / lower_bound) if lower_bound > 0 else math.inf


def _warn(message):
    warn_user(message, ConvergenceWarning)
