"""What a user passes to `DaskLogisticRegression.fit`, checked here once the chunks have been read where they lie.

Labels, weights and sizes of all chunks make the outputs and the weights of the classes; then each chunk becomes a part.
"""

import dask
import numpy as np
import sklearn

from fastlr import _core
from fastlr._dask_chunks import aligned, chunks_of, error_of, facts_of, part_of_chunk, read_chunk
from fastlr._dask_engine import DaskParts
from fastlr._input.arrays import check_feature_vector
from fastlr._input.estimator import check_penalty_factors
from fastlr._input.labels import check_same_kind, encode_labels
from fastlr._input.targets import class_weights, learn_outputs, warn_of_one_class
from fastlr._runtime.threads import resolve_n_threads
from fastlr.model.objective import Objective
from fastlr.model.penalty import penalty_strength
from fastlr.model.rows_base import SMALL
from fastlr.model.rows_parts import PartRows


class DaskTrainingData:
    """Checked chunks and what the targets ask of the model; as `fastlr._training_data.TrainingData`.

    Parameters
    ----------
    estimator : DaskLogisticRegression
    cluster : Cluster
    X, y, sample_weight
        As `fit` takes them.
    """

    def __init__(self, estimator, cluster, X, y, sample_weight):
        self.X, self.sample_weight, self.cluster = X, sample_weight, cluster
        self.n_threads = resolve_n_threads(estimator.n_threads)
        if y is None:
            raise ValueError("fit requires y to be passed, but the target y is None")
        read = dask.delayed(read_chunk, pure=False)
        lists = (chunks_of(X, "X")[0], aligned(X, y, "y"), aligned(X, sample_weight, "sample_weight"))
        options = sklearn.get_config()["assume_finite"], sample_weight is not None
        self._chunks = cluster.compute([read(*chunk, *options) for chunk in zip(*lists, strict=True)])
        facts = cluster.gather(cluster.start(facts_of, self._chunks))
        self._take(estimator, facts)
        self.scale = check_feature_vector(estimator.scale, self.n_features, "scale")
        self.shift = check_feature_vector(estimator.shift, self.n_features, "shift")
        self.factors = check_penalty_factors(estimator.penalty_factors, self.n_features)

    def _take(self, estimator, facts):
        """Compare the chunks, and learn the outputs."""
        for number, chunk in enumerate(facts):
            _raise(chunk.error, number)
        full = [(number, chunk) for number, chunk in enumerate(facts) if chunk.n]
        if not full:
            raise ValueError("X has 0 sample(s) in all chunks while a minimum of 1 is required.")
        one, first = full[0]
        for number, chunk in full:
            for what, got, expected in (("features", chunk.d, first.d), ("dtype", chunk.dtype, first.dtype),
                                        ("columns", _listed(chunk.names), _listed(first.names)),
                                        ("columns of y", chunk.k, first.k)):
                if got != expected:
                    raise ValueError(f"chunk {number} of X has {what} {got} and chunk {one} {expected}; expected the "
                                     f"same in all chunks: use astype, or select the same columns in each")
        self.n_features, self.dtype = first.d, first.dtype
        estimator.n_features_in_ = first.d
        vars(estimator).pop("feature_names_in_", None)
        if first.names is not None:
            estimator.feature_names_in_ = first.names
        self._counted = [chunk.counted for chunk in facts]
        self._size = sum(chunk.n for chunk in facts) * first.d
        self._learn_outputs(estimator, full)
        self._learn_weights(full)

    def _learn_outputs(self, estimator, full):
        first = full[0][1]
        if first.classes is None:
            self.is_hard = all(chunk.is_binary for _, chunk in full)
            stand_in = np.eye(first.k)[:1] if self.is_hard else np.full((1, first.k), 1 / first.k)
            self.outputs, _ = learn_outputs(stand_in, 1, np.float64, targets=estimator.targets)
            return
        if estimator.targets == "labels":
            raise ValueError("y has one column; expected a matrix (n, k) of 0 and 1, a column for each label: the "
                             "targets are 'labels', not 'classes'")
        for number, chunk in full:
            try:
                check_same_kind(chunk.classes, first.classes)
            except TypeError as error:
                _raise(error, number)
        self.is_hard, labels = True, np.concatenate([chunk.classes for _, chunk in full])
        self.outputs, _ = learn_outputs(labels, len(labels), np.float64)

    def _learn_weights(self, full):
        """Sums and largest weights of the classes (of a matrix, of all rows), divided by 2^weight_exponent."""
        classes = self.outputs.classes
        by_class = full[0][1].classes is not None
        largest = max(float(np.ldexp(chunk.largest.max(), chunk.exponent)) for _, chunk in full)
        if largest == 0:
            raise ValueError("sample_weight is zero in all chunks; expected at least one positive weight")
        _, self.weight_exponent = _core.moderate_weights(np.array([largest]))
        self._sums, self._largest = np.zeros((2, len(classes) if by_class else 1))
        for _, chunk in full:
            place = encode_labels(chunk.classes, classes) if by_class else np.zeros(1, int)
            power = chunk.exponent - self.weight_exponent
            self._sums[place] += np.ldexp(chunk.sums, power)
            self._largest[place] = np.maximum(self._largest[place], np.ldexp(chunk.largest, power))

    def weight(self, class_weight):
        """Weights (n_classes,) of the classes, or None."""
        if class_weight is not None and self._is_matrix:
            raise ValueError("class_weight was given with a matrix y; expected labels (n,): use sample_weight instead")
        return class_weights(class_weight, self.outputs.classes, self._sums)

    @property
    def _is_matrix(self):
        return len(self._sums) != len(self.outputs.classes)

    def warn_of_one_class(self, per_class):
        """Warn if all weight is on rows of one class."""
        if not self._is_matrix:
            counted = self._sums * (1.0 if per_class is None else per_class)
            warn_of_one_class(self.outputs, np.arange(len(counted)), counted)

    def objective(self, C, per_class, *, intercept, seed, l1_ratio=0.0):
        """The Objective of the rows, on the cluster."""
        if l1_ratio:
            raise ValueError(f"l1_ratio is {l1_ratio:g}; on a cluster there is the L2 penalty only, l1_ratio=0")
        total = float(self._sums.sum())
        if per_class is not None:
            total = float(self._sums @ per_class)
            if not (total > 0 and np.isfinite(total)):
                raise ValueError(f"sample_weight times class_weight adds up to {total}; expected a finite sum above 0")
            _, power = _core.moderate_weights(np.array([float((self._largest * per_class).max())]))
            per_class = np.ldexp(per_class, -power)
        options = {"size": self._size, "intercept": intercept}
        firsts = [int(first) for first in np.cumsum([0, *self._counted[:-1]])]
        parts = self.cluster.start(part_of_chunk, self._chunks, firsts, outputs=self.outputs, per_class=per_class,
                                   exponent=self.weight_exponent, options=options)
        for number, error in enumerate(self.cluster.gather(self.cluster.start(error_of, parts))):
            _raise(error, number)
        self.cluster.release(self._chunks)
        real = np.float64 if self._size <= SMALL else _core.real_dtype(self.dtype)
        rows = PartRows(
            DaskParts(self.cluster, parts), sum(self._counted), self.n_features, self.outputs.k, real,
            loss=self.outputs.loss, intercept=intercept, n_threads=self.n_threads, random_state=seed,
        )
        alpha, factors = penalty_strength(float(C), total, self.weight_exponent, self.factors, self.n_features)
        return Objective(rows, alpha=alpha, penalty=factors, scale=self.scale, shift=self.shift)


def _raise(error, number):
    if error is not None:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"chunk {number}, whose rows are counted from 0: {error}")


def _listed(names):
    return None if names is None else list(names)
