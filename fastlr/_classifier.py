"""What linear classifiers are once they are fitted: logits of rows, and what is made of them."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastlr import _core
from fastlr._input.csr import is_sparse
from fastlr._input.estimator import check_input, check_offset
from fastlr._input.fitted import NEEDED, fitted_model
from fastlr._input.row_blocks import take_blocks
from fastlr._runtime.threads import resolve_n_threads


class LogitClassifier(ClassifierMixin, BaseEstimator):
    """Predictions from `coef_`, `intercept_`, `classes_`, and `targets_`, `scale_`, `shift_` where they are set.

    Subclasses have the parameters n_threads and random_state.
    """

    def decision_function(self, X, *, offset=None):
        """Logits of X (n_samples, n_features): (n_samples,) for two classes, else (n_samples, k).

        float32 or float64, by the dtype of X; `offset` as in `fit`.
        """
        outputs, Z = self._logits(X, offset)
        return outputs.decisions(Z)

    def predict(self, X, *, offset=None):
        """Most probable classes (n_samples,), or 0/1 indicators (n_samples, k) of labels."""
        outputs, Z = self._logits(X, offset)
        return outputs.predict(Z)

    def predict_proba(self, X, *, offset=None):
        """Probabilities (n_samples, n_classes), rows summing to 1; or (n_samples, k), each of a label."""
        outputs, Z = self._logits(X, offset)
        return outputs.probabilities(Z, resolve_n_threads(self.n_threads))

    def predict_log_proba(self, X, *, offset=None):
        """Logarithms of `predict_proba`, accurate where the probabilities round to 0 or 1."""
        outputs, Z = self._logits(X, offset)
        n_threads = resolve_n_threads(self.n_threads)
        if outputs.loss == "softmax":
            _core.rows("log_softmax", Z, Z, n_threads)
            return Z
        if not outputs.multilabel:
            Z = np.concatenate([-Z, Z], axis=1)
        _core.map("log_sigmoid", Z, Z, n_threads)
        return Z

    def score(self, X, y=None, sample_weight=None, *, offset=None):
        """Fraction of the rows of X, or of their `sample_weight`, that are predicted correctly; without `class_weight`.

        y (n_samples,) are labels. Of a matrix of class probabilities a row's class is the largest; of an indicator of
        independent labels a row counts if all its labels are right. `offset` is as in `fit`. TypeError if y is text and
        the classes are numbers, or the reverse.
        """
        X, y, sample_weight = take_blocks(X, y, sample_weight)
        outputs, Z = self._logits(X, offset)
        return outputs.accuracy(Z, y, sample_weight)

    def sparsify(self):
        """Keep `coef_` as a sparse matrix, which takes less memory where most coefficients are 0; returns itself.

        Predictions work as before, and make a dense copy each time. `fit` makes it dense again.
        """
        check_is_fitted(self, NEEDED)
        self.coef_ = csr_array(self.coef_)
        return self

    def densify(self):
        """Make `coef_` an array again; returns itself."""
        check_is_fitted(self, NEEDED)
        if is_sparse(self.coef_):
            self.coef_ = self.coef_.toarray()
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags

    def _take_meaning(self, outputs, scale, shift):
        """Set the attributes that say what the logits of X mean."""
        self.classes_, self.scale_, self.shift_ = outputs.classes, scale, shift
        self.targets_ = "labels" if outputs.multilabel else "classes"

    @np.errstate(all="ignore")
    def _logits(self, X, offset):
        """What the logits of X mean, and the logits (n, k)."""
        check_is_fitted(self, NEEDED)
        model = fitted_model(self)
        n_threads = resolve_n_threads(self.n_threads)
        X = check_input(self, X, n_threads, fitting=False)
        d = model.coef.shape[1]
        if X.shape[1] != d:
            raise ValueError(f"X has {X.shape[1]} features; expected {d}, the columns of coef_")
        return model.outputs, model.logits(X, n_threads, check_offset(offset, X, model.outputs.k))

    def _seed(self):
        return 0 if self.random_state is None else check_random_state(self.random_state).randint(2**31)
