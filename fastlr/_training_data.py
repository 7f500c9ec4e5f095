"""What a user passes to `fit` of an estimator, checked: the data of a training problem, whichever rows it is about."""

from dataclasses import dataclass

import numpy as np

from fastlr import _core
from fastlr._input.arrays import check_feature_vector, check_sample_weight
from fastlr._input.csr import Csr
from fastlr._input.estimator import check_input, check_offset, check_penalty_factors
from fastlr._input.streamed import Streamed
from fastlr._input.targets import Outputs, learn_outputs, warn_of_one_class, weigh_classes
from fastlr._runtime.threads import resolve_n_threads
from fastlr._verdict import are_hard
from fastlr.model.objective import Objective
from fastlr.model.penalty import penalty_strength
from fastlr.model.rows import DenseRows
from fastlr.model.rows_base import as_computed
from fastlr.model.rows_sparse import CsrRows
from fastlr.model.rows_streamed import StreamedCsrRows, StreamedDenseRows


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Checked arrays and what the targets ask of the model.

    Attributes
    ----------
    X : ndarray, Csr or Streamed (n, d)
        As the kernels read it.
    computed : ndarray, Csr or Streamed (n, d)
        What rows compute with: X, or a float64 copy of a small one.
    outputs : Outputs
    targets : ndarray, int32 (n,) or (n, k)
    sample_weight : ndarray (n,) float64 or None
        Divided by 2^weight_exponent.
    weight_exponent, n_threads : int
    offset : ndarray (n, k) or None
    scale, shift, factors : ndarray (d,) or None
    """

    X: np.ndarray | Csr | Streamed
    computed: np.ndarray | Csr | Streamed
    outputs: Outputs
    targets: np.ndarray
    sample_weight: np.ndarray | None
    weight_exponent: int
    n_threads: int
    offset: np.ndarray | None
    scale: np.ndarray | None
    shift: np.ndarray | None
    factors: np.ndarray | None

    n_features = property(lambda self: self.X.shape[1])
    dtype = property(lambda self: self.X.dtype)
    is_hard = property(lambda self: are_hard(self.targets))

    def warn_of_one_class(self, weight):
        """Warn if all weight (n,) is on rows of one class."""
        warn_of_one_class(self.outputs, self.targets, weight)

    def weight(self, class_weight, counts=None):
        """Weights (n,) of the rows or None, where each row counts so many times."""
        weight = self.sample_weight
        if counts is not None:
            weight = counts if weight is None else counts * weight
        return weigh_classes(class_weight, weight, self.outputs, self.targets)

    def accuracy(self, Z, rows=slice(None), weight=None):
        """Part of some rows, or of their weight, that logits Z (m, k) predict right."""
        outputs = self.outputs
        codes = Outputs(outputs.loss, np.arange(len(outputs.classes)), outputs.k, outputs.multilabel)
        return codes.accuracy(Z, self.targets[rows], weight)

    def penalty(self, C, weight):
        """alpha and factors of the penalty of rows of these weights."""
        total = float(len(self.X) if weight is None else weight.sum())
        return penalty_strength(float(C), total, self.weight_exponent, self.factors, self.X.shape[1])

    def objective(self, C, weight, *, intercept, seed, l1_ratio=0.0):
        """The Objective of the rows with these weights."""
        if isinstance(self.X, Streamed):
            kind = StreamedCsrRows if self.X.is_sparse else StreamedDenseRows
        else:
            kind = CsrRows if isinstance(self.X, Csr) else DenseRows
        rows = kind(self.computed, self.targets, self.outputs.k, loss=self.outputs.loss, weight=weight,
                    offset=self.offset, intercept=intercept, n_threads=self.n_threads, random_state=seed)
        alpha, factors = self.penalty(C, weight)
        return Objective(rows, alpha=alpha, penalty=factors, scale=self.scale, shift=self.shift, l1_ratio=l1_ratio)


def check_training_data(estimator, X, y, sample_weight, offset):
    """The `TrainingData` of an estimator's parameters and of what its `fit` was passed.

    Raises
    ------
    TypeError, ValueError
        Naming what is wrong.
    """
    n_threads = resolve_n_threads(estimator.n_threads)
    X = check_input(estimator, X, n_threads, fitting=True)
    n, d = X.shape
    computed = as_computed(X, X.size)
    real = _core.real_dtype(computed.dtype)
    outputs, targets = learn_outputs(y, n, real, targets=estimator.targets)
    sample_weight, exponent = _core.moderate_weights(check_sample_weight(sample_weight, n))
    return TrainingData(
        X, computed, outputs, targets, sample_weight, exponent, n_threads,
        offset=check_offset(offset, computed, outputs.k), scale=check_feature_vector(estimator.scale, d, "scale"),
        shift=check_feature_vector(estimator.shift, d, "shift"),
        factors=check_penalty_factors(estimator.penalty_factors, d),
    )
