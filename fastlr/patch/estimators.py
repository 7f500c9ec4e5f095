"""scikit-learn's classes with fastlr's fits, where fastlr can do them.

Subclasses of scikit-learn's own, so that all but `fit` is theirs. A fit that fastlr refuses is scikit-learn's, whose
errors are then raised.
"""

import inspect
import logging
import math

import numpy as np
import sklearn
from sklearn.linear_model import _logistic as peers
from sklearn.utils import compute_class_weight

import fastlr.linear_model
import fastlr.linear_model_cv
from fastlr._input.foreign import penalty_kind
from fastlr._input.options import is_number
from fastlr.model.rows_base import SMALL

__all__ = ["LogisticRegression", "LogisticRegressionCV"]

_log = logging.getLogger("fastlr")
_log.addHandler(logging.NullHandler())

_BALANCES_WEIGHTS = "sample_weight" in inspect.signature(compute_class_weight).parameters  # from scikit-learn 1.7 on
_SHORT = {"float16", "float32", "bool", "int8", "uint8", "int16", "uint16"}  # computed in float32 where X is large
_OWN_MEANING = {"scale_", "shift_", "targets_"}  # attributes of fastlr's that say nothing here
_EXTRAS = {"objective_", "suboptimality_", "n_passes_", "oof_decision_function_"}


class _LikeScikitLearns(type(peers.LogisticRegression)):
    """Objects and subclasses of the class that was replaced pass for its replacement's."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, _REPLACED.get(cls, ())) or super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass):
        return issubclass(subclass, _REPLACED.get(cls, ())) or super().__subclasscheck__(subclass)


class LogisticRegression(peers.LogisticRegression, metaclass=_LikeScikitLearns):
    """scikit-learn's LogisticRegression, fitted by fastlr where it can: see `fastlr.patch_sklearn`."""

    def fit(self, X, y, sample_weight=None):
        """Fit as scikit-learn's LogisticRegression does; attributes are those of scikit-learn."""
        reason = _not_done(self, X, y, sample_weight)
        if reason is None:
            model = fastlr.linear_model.LogisticRegression(**_parameters(self, X))
            if self.warm_start and hasattr(self, "coef_"):
                _take(model, vars(self))
            try:
                model.fit(X, y, sample_weight)
            except (TypeError, ValueError) as error:
                reason = f"fastlr refuses: {error}"
            else:
                _take(self, vars(model))
                if self.solver == "liblinear":
                    self.intercept_ = 0.0
                elif getattr(X, "dtype", None) == np.float32:
                    self.coef_, self.intercept_ = self.coef_.astype(np.float32), self.intercept_.astype(np.float32)
        _say(self, reason)
        return self if reason is None else super().fit(X, y, sample_weight)


class LogisticRegressionCV(peers.LogisticRegressionCV, metaclass=_LikeScikitLearns):
    """scikit-learn's LogisticRegressionCV, fitted by fastlr where it can: see `fastlr.patch_sklearn`."""

    def fit(self, X, y, sample_weight=None, **params):
        """Fit as scikit-learn's LogisticRegressionCV does; attributes are those of scikit-learn."""
        reason = _not_done(self, X, y, sample_weight)
        if reason is None:
            parameters = _parameters(self, X)
            model = fastlr.linear_model_cv.LogisticRegressionCV(**parameters)
            try:
                if self.class_weight == "balanced":  # by the weights of all rows, not of each fold's
                    model.class_weight = _balanced(y, sample_weight)
                model.fit(X, y, sample_weight, **params)
            except (TypeError, ValueError) as error:
                reason = f"fastlr refuses: {error}"
            else:
                _take(self, vars(model))
        _say(self, reason)
        return self if reason is None else super().fit(X, y, sample_weight, **params)


_REPLACED = {LogisticRegression: peers.LogisticRegression, LogisticRegressionCV: peers.LogisticRegressionCV}


_SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")


def _not_done(estimator, X, y, sample_weight):
    """Why fastlr does not even try this fit, or None."""
    own = [name for name in ("cv", "Cs") if isinstance(getattr(estimator, name, None), str)]
    if estimator.solver not in _SOLVERS or own:  # fastlr has values of its own
        return "the parameters are not valid"
    many = hasattr(estimator, "l1_ratios")
    ratio = getattr(estimator, "l1_ratios" if many else "l1_ratio", None)
    ratio = None if isinstance(ratio, str) else ratio  # "warn": its default is about to change
    try:
        penalty = penalty_kind(estimator.penalty, ratio, getattr(estimator, "C", 1.0))
    except (TypeError, ValueError):
        return "the parameters are not valid"
    if penalty not in ("l2", None):
        if many:
            return f"fastlr searches no penalty of the kind {penalty!r}"
        if estimator.solver not in ("saga", "liblinear"):
            return f"solver={estimator.solver!r} has no penalty of the kind {penalty!r}"
    if estimator.solver == "liblinear" and estimator.fit_intercept:
        return "fastlr does not penalise the intercept, as liblinear does"
    if getattr(estimator, "multi_class", "deprecated") not in ("deprecated", "auto", "multinomial"):
        return f"fastlr has softmax only, not multi_class={estimator.multi_class!r}"
    if getattr(estimator, "_skl_callbacks", None):
        return "callbacks follow the iterations of scikit-learn's solvers"
    if sklearn.get_config().get("array_api_dispatch"):
        return "array API dispatch is on"
    if estimator.class_weight == "balanced" and sample_weight is not None and not _BALANCES_WEIGHTS:
        return "this scikit-learn's balanced weights do not count sample weights"
    if np.ndim(y) != 1:
        return "y is not one-dimensional"
    return None


def _parameters(estimator, X):
    """Parameters of fastlr's estimator, those of the same name and others in their meaning."""
    many = hasattr(estimator, "Cs")
    make = fastlr.linear_model_cv.LogisticRegressionCV if many else fastlr.linear_model.LogisticRegression
    given, own = estimator.get_params(deep=False), make().get_params(deep=False)
    parameters = {name: value for name, value in given.items() if name in own}
    if estimator.solver != "liblinear":  # whose rules of `dual` are its own
        parameters["solver"] = "auto"
    if is_number(estimator.tol) and estimator.tol >= 0:  # a gradient of norm tol leaves an excess of the order of tol^2
        parameters["tol"] = max(float(estimator.tol) ** 2, _least_tol(X))
    if not _is_deprecated(type(estimator)):  # before scikit-learn 1.8 these meant more, and warned of nothing
        unpenalised = given["penalty"] is None
        l1_ratio = {"l1": 1.0, "elasticnet": given.get("l1_ratio")}.get(given["penalty"], 0.0)
        for name in ("penalty", "l1_ratio", "l1_ratios", "n_jobs"):
            parameters.pop(name, None)
        if not many:
            parameters["l1_ratio"] = l1_ratio
        if unpenalised and not many:
            parameters["C"] = math.inf
    if many:
        parameters["use_legacy_attributes"] = bool(given.get("use_legacy_attributes", True))  # "warn", too
        for name in ("l1_ratios", "scoring"):
            if isinstance(parameters.get(name), str) and parameters[name] == "warn":
                parameters[name] = None
    return parameters


def _least_tol(X):
    """What can be proved of a fit of X, an array or a data frame, in the precision it is computed in."""
    dtypes = getattr(X, "dtypes", [getattr(X, "dtype", "float64")])
    return 1e-6 if {str(dtype) for dtype in dtypes} <= _SHORT and np.size(X) > SMALL else 1e-12


def _is_deprecated(make):
    """Whether `penalty` is, in this scikit-learn."""
    return make().penalty == "deprecated"


def _balanced(y, sample_weight):
    classes, codes = np.unique(np.asarray(y), return_inverse=True)
    weights = np.bincount(codes, sample_weight)
    return dict(zip(classes.tolist(), weights.sum() / (len(classes) * weights), strict=True))


def _take(estimator, attributes):
    """Set the attributes of a fit on an estimator."""
    for name, value in attributes.items():
        if name.endswith("_") and not name.startswith("_") and name not in _OWN_MEANING:
            setattr(estimator, name, value)


def _say(estimator, reason):
    """Log who fits; what only fastlr's fits have does not outlive them."""
    if reason is not None:
        for name in _EXTRAS & vars(estimator).keys():
            delattr(estimator, name)
    _log.info("%s.fit: %s", type(estimator).__name__, "fastlr" if reason is None else f"scikit-learn, as {reason}")
