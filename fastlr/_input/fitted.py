"""A fitted model as its public attributes tell it, whoever set them: a fit, a file, a user's hand.

    coef_ (k, d), intercept_ (k,) or a number, classes_ (n_classes,)      must be there
    targets_                                                              "classes" where missing
    scale_, shift_ (d,) or a number                                       None where missing
"""

from dataclasses import dataclass

import numpy as np

from fastlr._core import real_dtype
from fastlr._input.arrays import as_array, as_parameters, check_feature_vector
from fastlr._input.csr import is_sparse, problem_of
from fastlr._input.options import check_option
from fastlr._input.streamed import Streamed
from fastlr._input.targets import Outputs

NEEDED = ("coef_", "intercept_", "classes_")


@dataclass(frozen=True, eq=False)
class FittedModel:
    """Checked arrays, float64, and what the logits mean."""

    outputs: Outputs
    coef: np.ndarray
    intercept: np.ndarray
    scale: np.ndarray | None
    shift: np.ndarray | None

    def logits(self, X, n_threads, offset=None):
        """Z (n, k) of X (n, d), a result of `check_X` or `check_csr` or `Streamed`, in its real type."""
        outputs = self.outputs
        if isinstance(X, Streamed):
            Z = np.empty((len(X), outputs.k), real_dtype(X.dtype))
            for first, block in X.blocks():
                some = slice(first, first + len(block))
                Z[some] = self.logits(block, n_threads, None if offset is None else offset[some])
            return Z
        problem = problem_of(X, None, outputs.k, loss=outputs.loss, offset=offset, scale=self.scale, shift=self.shift,
                             n_threads=n_threads)
        return problem.logits(self.coef, self.intercept)


def is_fitted(estimator):
    """Whether it has the attributes in `NEEDED`."""
    return all(hasattr(estimator, name) for name in NEEDED)


def fitted_model(estimator, loss=None):
    """The `FittedModel` of an estimator that has the attributes in `NEEDED`.

    Parameters
    ----------
    loss : {"softmax", "sigmoid", "squared_error"}, default=None
        None: "softmax" for several classes, "sigmoid" for one row of `coef_` and for labels.

    Raises
    ------
    TypeError, ValueError
        If an attribute is not of a shape and type that fit the others, or not finite.
    """
    coef = as_parameters(estimator.coef_.toarray() if is_sparse(estimator.coef_) else estimator.coef_, "coef_")
    if coef.ndim != 2 or not len(coef):
        raise ValueError(f"coef_ has shape {coef.shape}; expected (k, n_features), a row for each logit")
    k, d = coef.shape
    intercept = as_parameters(estimator.intercept_, "intercept_")
    if intercept.shape not in ((), (k,)):
        raise ValueError(f"intercept_ has shape {intercept.shape}; expected ({k},), one a row of coef_")
    labels = check_option("targets_", getattr(estimator, "targets_", "classes"), ("classes", "labels")) == "labels"
    if loss is None:
        loss = "sigmoid" if labels or k == 1 else "softmax"
    classes = as_array(estimator.classes_, "classes_")
    n_classes = max(k, 2) if loss != "softmax" else k
    if classes.shape != (n_classes,) or n_classes < 2:
        expected = (f"{n_classes} classes for {k} rows" if n_classes > 1 else
                    "several rows; with loss='sigmoid' one row is enough for two classes")
        raise ValueError(f"classes_ has shape {classes.shape} and coef_ {coef.shape}; expected {expected}")
    return FittedModel(
        Outputs(loss, classes, k, multilabel=labels), coef,
        intercept if intercept.ndim else np.full(k, intercept),
        check_feature_vector(getattr(estimator, "scale_", None), d, "scale_"),
        check_feature_vector(getattr(estimator, "shift_", None), d, "shift_"),
    )
