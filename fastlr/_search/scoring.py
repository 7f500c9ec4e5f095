"""Scores of held-out rows: by accuracy and log loss from their logits alone, by any other scorer as scikit-learn does.

A scorer is shown a fitted classifier and the held-out rows. What it asks the classifier about these very rows comes
from logits that are known, offset and all.
"""

import math

import numpy as np
from sklearn.metrics import get_scorer

from fastlr import _core
from fastlr._input.csr import Csr
from fastlr._input.fitted import fitted_model
from fastlr._search.labels import with_all_classes
from fastlr.linear_model import LogisticRegression
from fastlr.model.rows_folds import as_slice


class HeldOutClassifier(LogisticRegression):
    """A fitted classifier that knows the logits of some rows."""

    def know(self, X, Z):
        """Answer what is asked about this very X by the logits Z (m, k)."""
        self._known = X, Z
        return self

    def _logits(self, X, offset):
        known, Z = self._known
        return (fitted_model(self).outputs, Z.copy()) if X is known and offset is None else super()._logits(X, offset)


def classifier_like(search, C, coef, intercept, outputs, scale, shift):
    """A `HeldOutClassifier` with these coefficients, its parameters those of a LogisticRegressionCV."""
    parameters = search.get_params(deep=False)
    model = HeldOutClassifier(C)
    model.set_params(**{name: parameters[name] for name in model.get_params(deep=False) if name in parameters})
    model.coef_, model.intercept_ = coef, intercept
    model._take_meaning(outputs, scale, shift)
    model.n_features_in_ = coef.shape[1]
    return model


def scorer_of(scoring):
    """scorer(estimator, X, y) of a scorer's name or itself; None means accuracy."""
    return get_scorer("accuracy" if scoring is None else scoring)


class HeldOutScorer:
    """Scores of models on the rows that a fold holds out.

    Parameters
    ----------
    estimator : LogisticRegressionCV
        Has `scoring` and n_threads.
    data : fastlr._training_data.TrainingData
    y : ndarray
        The targets as the user has them.
    params : dict
        What the scorer is called with, rows to be taken from.
    """

    def __init__(self, estimator, data, y, params):
        self.estimator, self.data, self.y, self.params = estimator, data, y, params
        self.scorer = with_all_classes(scorer_of(estimator.scoring), data.outputs)
        only_weights = params.keys() <= {"sample_weight"}
        own = {None: self._accuracy, "accuracy": self._accuracy, "neg_log_loss": self._neg_log_loss}
        is_name = estimator.scoring is None or isinstance(estimator.scoring, str)
        self.from_logits = own.get(estimator.scoring) if is_name and only_weights else None

    def score(self, fold, C, coef, intercept, Z):
        """The score of a model, from the logits Z (m, k) of the held-out rows.

        Raises
        ------
        ValueError
            Naming the scorer, the fold and C where the scorer fails, or returns no number.
        """
        params = {name: self._of_rows(value, fold.test) for name, value in self.params.items()}
        try:
            if self.from_logits:
                value = self.from_logits(fold.test, Z, params.get("sample_weight"))
            else:
                value = self._called(fold.test, C, coef, intercept, Z, params)
            value = float(value)
        except Exception as error:
            raise ValueError(f"scoring={self.estimator.scoring!r} failed on the held-out rows of fold {fold.number} "
                             f"at C={C:g}: {type(error).__name__}: {error}") from error
        if math.isnan(value):
            raise ValueError(f"scoring={self.estimator.scoring!r} is nan on the held-out rows of fold {fold.number} "
                             f"at C={C:g}; expected a number")
        return value

    def _of_rows(self, value, rows):
        """Metadata of some rows, if they are a value a row."""
        is_rowwise = hasattr(value, "__len__") and not isinstance(value, str) and len(value) == len(self.data.X)
        return np.asarray(value)[rows] if is_rowwise else value

    def _accuracy(self, test, Z, weight):
        return self.data.accuracy(Z, test, weight)

    def _neg_log_loss(self, test, Z, weight):
        """Minus the mean loss that a fit minimises; probabilities of 0 are not clipped."""
        weight = None if weight is None else np.ascontiguousarray(weight, np.float64)
        total = len(Z) if weight is None else weight.sum()
        return -_core.residual(self.data.outputs.loss, Z, self.data.targets[test], weight=weight) / total

    def _called(self, test, C, coef, intercept, Z, params):
        data = self.data
        X = data.X[as_slice(test)]
        X = X.to_scipy() if isinstance(X, Csr) else X
        model = classifier_like(self.estimator, C, coef, intercept, data.outputs, data.scale, data.shift)
        return self.scorer(model.know(X, Z), X, self.y[test], **params)
