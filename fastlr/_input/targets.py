"""What the columns of the logits stand for, as y asks for it: targets for the kernels, predictions, probabilities.

n rows, k columns of the logits Z (n, k):

    y (n,), two classes, "sigmoid" or "squared_error"   k = 1, codes 0 and 1: the target itself
    y (n,), labels otherwise                            k classes, codes 0 .. k - 1: the column whose target is 1
    Y (n, 1) of numbers in [0, 1]                       k = 1, the target of class 1 (not for "softmax")
    Y (n, k) of numbers in [0, 1]                       the targets of k classes that exclude each other, or of k labels
                                                        that do not ("multilabel")

Classes are sorted, as in scikit-learn. A column Y (n, 1) of labels is taken for y, with scikit-learn's warning.
"""

import math
import numbers
from dataclasses import dataclass

import numpy as np

from fastlr import _core
from fastlr._input.arrays import as_array, check_sample_weight, check_targets, is_real
from fastlr._input.labels import check_label_array, check_same_kind, encode_labels, listed, number_labels
from fastlr._input.options import is_number
from fastlr._runtime.warnings import warn_user


@dataclass(frozen=True, eq=False)
class Outputs:
    """The meaning of k logits a row.

    Attributes
    ----------
    loss : {"softmax", "sigmoid", "squared_error"}
    classes : ndarray (n_classes,), sorted
        In the dtype of the labels; 0 .. k - 1 where the targets came as a matrix.
    k : int
    multilabel : bool
        The columns are labels that do not exclude each other.
    """

    loss: str
    classes: np.ndarray
    k: int
    multilabel: bool = False

    def encode(self, y, n, dtype, name="y"):
        """Targets as the kernels take them: int32 codes (n,) of labels, or a matrix (n, k) of dtype.

        Raises
        ------
        TypeError, ValueError
            If y has another shape, holds labels that are not among the classes, or values that are not targets.
        """
        y = _read(y, name, self.multilabel)
        if y.ndim == 2:
            loss = "softmax" if self.loss == "softmax" else "sigmoid"  # squared error too fits codes in [0, 1]
            return check_targets(y, n, self.k, dtype, loss=loss, name=name)
        return encode_labels(check_label_array(y, n, name), self.classes, name)

    def predict(self, Z):
        """Labels (n,) of logits Z (n, k); an int64 indicator (n, k) for multilabel."""
        if self.multilabel:
            return (Z > 0).astype(np.int64)
        if self.k > 1:
            return self.classes[Z.argmax(axis=1)]
        second = Z[:, 0] >= 0.5 if self.loss == "squared_error" else Z[:, 0] > 0
        return self.classes[second.astype(np.intp)]

    def decisions(self, Z):
        """Logits Z (n, k) as `decision_function` returns them: (n,) for two classes."""
        return Z if self.k > 1 or self.multilabel else Z.ravel()

    def probabilities(self, Z, n_threads=1):
        """Probabilities of logits Z (n, k), which is overwritten: (n, n_classes), rows summing to 1, or (n, k) labels.

        One-vs-rest sigmoids of classes are divided by their sum, as in scikit-learn.

        Raises
        ------
        AttributeError
            For squared error, which has none.
        """
        if self.loss == "squared_error":
            raise AttributeError("loss 'squared_error' fits codes, not probabilities; use decision_function, or "
                                 "loss='sigmoid' or 'softmax'")
        if self.loss == "sigmoid" and self.k == 1 and not self.multilabel:
            Z = np.concatenate([-Z, Z], axis=1)  # 1 - sigmoid(z) would lose the small ones
        if self.loss == "sigmoid" and (self.k == 1 or self.multilabel):
            _core.map("sigmoid", Z, Z, n_threads)
            return Z
        if self.loss == "sigmoid":
            _core.map("log_sigmoid", Z, Z, n_threads)  # softmax(log s) = s / sum of s, without underflow
        _core.rows("softmax", Z, Z, n_threads)
        return Z

    def accuracy(self, Z, y, sample_weight=None):
        """Part of the rows, or of their weight, predicted right.

        y holds labels (n,), or numbers in [0, 1] (n, k): the largest of a row, or with one column whether it is above
        1/2, stands for its class; of labels that do not exclude each other, all of a row must be on its side of 1/2.

        Raises
        ------
        TypeError, ValueError
            If y has another shape, text where the classes are numbers or the reverse, or is no target at all.
        """
        y, n = _read(y, "y", self.multilabel), len(Z)
        if y.ndim == 2:
            columns = self.k if self.multilabel or y.shape[1] == self.k else len(self.classes)
            y = check_targets(y, n, columns, np.float64, loss="sigmoid")
            if columns == 1 or self.multilabel:
                y = y > 0.5
            if not self.multilabel:
                y = self.classes[y[:, 0].astype(np.intp) if columns == 1 else y.argmax(axis=1)]
        else:
            y = check_label_array(y, n)
            check_same_kind(y, self.classes)
        right = self.predict(Z) == y
        weight, _ = _core.moderate_weights(check_sample_weight(sample_weight, n))
        return float(np.average(right.all(axis=1) if self.multilabel else right, weights=weight))


def learn_outputs(y, n, dtype, loss=None, *, targets="auto", classes=None, remedy=""):
    """The outputs that targets y ask for, and y in their terms.

    Parameters
    ----------
    y : array-like (n,) of labels or (n, k) of numbers in [0, 1]
        Labels are integers, whole floats, booleans or strings.
    n : int
        Rows of X.
    dtype : dtype
        float32 or float64, for target matrices.
    loss : {"softmax", "sigmoid", "squared_error"}, default None
        None: "sigmoid" of one logit for two classes, "softmax" for more, "sigmoid" for labels that do not exclude each
        other.
    targets : {"auto", "classes", "labels"}
        What the columns of a matrix are. "auto": labels that do not exclude each other if there are several and the
        loss is "sigmoid", or it is None and all values are 0 or 1.
    classes : array-like, default None
        All labels there may be; None: those in y.
    remedy : str
        What to do if y has one class.

    Returns
    -------
    outputs : Outputs
    targets : ndarray, int32 (n,) or dtype (n, k), C-contiguous

    Raises
    ------
    TypeError, ValueError
        If y is not such an array, has one class only, or labels outside `classes`.
    """
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None")
    y = _read(y, "y", targets == "labels")
    if classes is not None:
        classes = as_array(classes, "classes")
        if classes.ndim != 1:
            raise ValueError(f"classes has shape {classes.shape}; expected a list of labels")
        classes, _ = number_labels(check_label_array(classes, len(classes), "classes"))
    if y.ndim == 2:
        return _learn_matrix(y, n, dtype, loss, targets, classes)
    codes = None
    if classes is None:
        classes, codes = number_labels(check_label_array(y, n))
    if len(classes) < 2:
        name, noun = "classes" if codes is None else "y", "class" if len(classes) else "classes"
        raise ValueError(f"{name} has {len(classes)} {noun} {listed(classes)}; expected at least 2"
                         + remedy * (codes is not None))
    if loss is None:
        loss = "sigmoid" if len(classes) == 2 else "softmax"
    outputs = Outputs(loss, classes, 1 if len(classes) == 2 and loss != "softmax" else len(classes))
    return outputs, outputs.encode(y, n, dtype) if codes is None else codes


def _learn_matrix(y, n, dtype, loss, targets, classes):
    """`learn_outputs` of a matrix."""
    k = y.shape[1]
    if k == 0 or (k == 1 and loss == "softmax"):
        raise ValueError(f"y has shape {y.shape}; expected labels ({n},), or a matrix ({n}, k) with a column for each "
                         f"of k classes")
    multilabel = targets == "labels"
    if targets == "auto" and k > 1:
        multilabel = loss == "sigmoid" or (loss is None and bool(((y == 0) | (y == 1)).all()))
    n_classes = max(k, 2)
    if loss is None and k == 2 and not multilabel:  # one logit tells them apart
        y, k = check_targets(y, n, 2, dtype, loss="softmax")[:, 1:], 1
    if classes is None:
        classes = np.arange(n_classes)
    elif len(classes) != n_classes:
        raise ValueError(f"y has shape {y.shape}, which means {n_classes} classes; classes has {len(classes)}: "
                         f"{listed(classes)}")
    outputs = Outputs(loss or ("sigmoid" if multilabel or k == 1 else "softmax"), classes, k, multilabel)
    return outputs, outputs.encode(y, n, dtype)


def _read(y, name, multilabel):
    """y as an array: a matrix of numbers, or labels that no column holds."""
    y = as_array(y, name)
    if y.ndim == 1 and multilabel:
        raise ValueError(f"{name} has shape {y.shape}; expected a matrix ({len(y)}, k) of 0 and 1, a column for each "
                         f"label: the targets are 'labels', not 'classes'")
    if y.ndim != 2:
        return y
    matrix = y.astype(np.float64) if y.dtype == object and all(isinstance(v, numbers.Real) for v in y.flat) else y
    if multilabel or y.shape[1] != 1 or (is_real(matrix.dtype) and (matrix != np.trunc(matrix)).any()):
        return matrix
    from sklearn.exceptions import DataConversionWarning  # here: arrays of numbers need no scikit-learn

    warn_user(f"A column-vector {name} was passed when a 1d array was expected. Please change the shape of {name} to "
              f"(n_samples,), for example using ravel().", DataConversionWarning)
    return y.ravel()


def weigh_classes(class_weight, sample_weight, outputs, targets):
    """Row weights (n,) float64 or None: sample weights times the weight of each row's class.

    "balanced" gives every class the same total: (sum of weights) / (number of classes * the class's weights), as
    scikit-learn does.

    As in scikit-learn, classes may have no weight left: a model of only one predicts that one.

    Raises
    ------
    ValueError
        If y is a matrix, a key of the dict is not a class while a class has none, weights are not finite numbers of at
        least 0, or no row keeps any weight.
    """
    if class_weight is None:
        return sample_weight
    if targets.ndim == 2:
        raise ValueError("class_weight was given with a matrix y; expected labels (n,): use sample_weight instead")
    counts = np.bincount(targets, sample_weight, len(outputs.classes))
    rows = class_weights(class_weight, outputs.classes, counts)[targets]
    return check_sample_weight(rows if sample_weight is None else rows * sample_weight, len(rows),
                               "sample_weight times class_weight")


def class_weights(class_weight, classes, counts):
    """Weights (n_classes,) of the classes, or None, from the weight of each one's rows; see `weigh_classes`."""
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        n_classes = len(classes)
        return np.divide(counts.sum(), n_classes * counts, out=np.zeros(n_classes), where=counts > 0)
    return _weights_of(class_weight, classes.tolist())


def _weights_of(class_weight, classes):
    """float64, one a class; those that the dict does not name weigh 1."""
    unknown = [label for label in class_weight if label not in classes]
    missing = [label for label in classes if label not in class_weight]
    if unknown and missing:
        raise ValueError(f"class_weight names {unknown}, which y does not have; y has {classes}: expected weights of "
                         f"some of these, the others weigh 1")
    for label in classes:
        value = class_weight.get(label, 1)
        if not (is_number(value) and 0 <= value < math.inf):
            raise ValueError(f"class_weight has {value!r} for class {label!r}; expected a finite weight of at least 0")
    return np.array([class_weight.get(label, 1) for label in classes], np.float64)


def warn_of_one_class(outputs, targets, weight):
    """Warn if all weight is on rows of one class: a model of them predicts nothing else."""
    if weight is not None and targets.ndim == 1:
        codes = targets[weight > 0]
        if codes.min() == codes.max():
            warn_user(f"all weight is on rows of class {outputs.classes[codes[0]]}: the model will predict no other; "
                      f"expected weights above 0 in at least 2 classes")
