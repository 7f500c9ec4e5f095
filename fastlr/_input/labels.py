"""What the columns of the logits stand for: labels <-> int32 codes, target matrices, predictions, probabilities.

n rows, k columns of the logits Z (n, k):

    y (n,), two classes, "sigmoid" or "squared_error"   k = 1, codes 0 and 1: the target itself
    y (n,), labels otherwise                            k classes, codes 0 .. k - 1: the column whose target is 1
    Y (n, 1) of numbers in [0, 1]                       k = 1, the target of class 1 (not for "softmax")
    Y (n, k) of numbers in [0, 1]                       the targets; under "sigmoid" k labels that do not exclude
                                                        each other ("multilabel"), else classes, rows of A sum to 1

Classes are sorted, as in scikit-learn.
"""

import numbers
from dataclasses import dataclass

import numpy as np

from fastlr import _core
from fastlr._input.arrays import as_array, check_sample_weight, check_targets

_COUNTABLE_RANGE = 1 << 16  # integers closer together are numbered by counting, ten times as fast as by sorting


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
        y = as_array(y, name)
        if y.ndim == 2:
            loss = "softmax" if self.loss == "softmax" else "sigmoid"  # squared error too fits codes in [0, 1]
            return check_targets(y, n, self.k, dtype, loss=loss, name=name)
        if self.multilabel:
            raise ValueError(f"{name} has shape {y.shape}; expected ({n}, {self.k}), an indicator of each label")
        y = check_label_array(y, n, name)
        check_same_kind(y, self.classes, name)
        classes, wanted = self.classes, y
        if _is_text(y) and (y.dtype != classes.dtype or y.dtype.kind == "T"):
            # a fixed width would cut longer labels, and NumPy 2's searchsorted fails between two arrays of StringDType
            classes, wanted = classes.astype(object), y.astype(object)
        elif y.dtype != classes.dtype:
            with np.errstate(all="ignore"):
                wanted = y.astype(classes.dtype)  # not to a type of both, which rounds; what it changes is found below
        order = np.argsort(classes)  # they may have been set by hand
        places = np.searchsorted(classes, wanted, sorter=order)
        codes = order[np.where(places == len(classes), 0, places)]
        unknown = np.flatnonzero(classes[codes] != y)
        if len(unknown):
            noun = "label" if len(unknown) == 1 else "labels"
            raise ValueError(f"{name} has {len(unknown)} {noun} not among the {len(self.classes)} classes "
                             f"{_listed(self.classes)}: first is {y[unknown[0]]} at row {unknown[0]}")
        return codes.astype(np.int32)

    def predict(self, Z):
        """Labels (n,) of logits Z (n, k); an int64 indicator (n, k) for multilabel."""
        if self.multilabel:
            return (Z > 0).astype(np.int64)
        if self.k > 1:
            return self.classes[Z.argmax(axis=1)]
        second = Z[:, 0] >= 0.5 if self.loss == "squared_error" else Z[:, 0] > 0
        return self.classes[second.astype(np.intp)]

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
            If y has another shape, no rows, text where the classes are numbers or the reverse, or is no target at all.
        """
        y = as_array(y, "y")
        n, n_classes = len(Z), len(self.classes)
        allowed = [(n, self.k)] if self.multilabel else [(n,), (n, self.k)]
        if n_classes != self.k and not self.multilabel:
            allowed.append((n, n_classes))
        if y.shape not in allowed or n == 0:
            raise ValueError(f"y has shape {y.shape}; expected {' or '.join(map(str, allowed))} for the {n} rows of X, "
                             f"at least one")
        predicted = self.predict(Z)
        if y.ndim == 2:
            y = check_targets(y, n, y.shape[1], np.float64, loss="sigmoid")
            if self.multilabel:
                y = y > 0.5
            else:
                y = self.classes[y.argmax(axis=1) if y.shape[1] > 1 else (y[:, 0] > 0.5).astype(np.intp)]
        else:
            y = check_label_array(y, n)
            check_same_kind(y, self.classes)
        right = predicted == y
        if right.ndim == 2:
            right = right.all(axis=1)
        weight, _ = _core.moderate_weights(check_sample_weight(sample_weight, n))
        return float(np.average(right, weights=weight))


def learn_outputs(y, n, dtype, loss, classes=None, name="y"):
    """The outputs that targets y ask for, and y in their terms.

    Parameters
    ----------
    y : array-like (n,) of labels or (n, k) of numbers in [0, 1]
        Labels are integers, whole floats, booleans or strings.
    n : int
        Rows of X.
    dtype : dtype
        float32 or float64, for target matrices.
    loss : {"softmax", "sigmoid", "squared_error"}
    classes : array-like, default None
        All labels there may be; None: those in y.

    Returns
    -------
    outputs : Outputs
    targets : ndarray, int32 (n,) or dtype (n, k), C-contiguous

    Raises
    ------
    TypeError, ValueError
        If y is not such an array, has one class only, or labels outside `classes`.
    """
    y = as_array(y, name)
    if classes is not None:
        classes = as_array(classes, "classes")
        if classes.ndim != 1:
            raise ValueError(f"classes has shape {classes.shape}; expected a list of labels")
        classes, _ = number_labels(check_label_array(classes, len(classes), "classes"))
    if y.ndim == 2:
        k, n_classes = y.shape[1], max(y.shape[1], 2)
        if k == 0 or (k == 1 and loss == "softmax"):
            raise ValueError(f"{name} has shape {y.shape}; expected a column for each of at least two classes, or "
                             f"labels ({n},): {name}.ravel()")
        if classes is not None and len(classes) != n_classes:
            raise ValueError(f"{name} has shape {y.shape}, which means {n_classes} classes; classes has "
                             f"{len(classes)}: {_listed(classes)}")
        outputs = Outputs(loss, np.arange(n_classes) if classes is None else classes, k, loss == "sigmoid" and k > 1)
        return outputs, outputs.encode(y, n, dtype, name)

    codes = None
    if classes is None:
        classes, codes = number_labels(check_label_array(y, n, name))
    if len(classes) < 2:
        raise ValueError(f"{name} has {len(classes)} class{'' if len(classes) == 1 else 'es'} {_listed(classes)}; "
                         f"expected at least two")
    outputs = Outputs(loss, classes, 1 if len(classes) == 2 and loss != "softmax" else len(classes))
    return outputs, outputs.encode(y, n, dtype, name) if codes is None else codes


def check_label_array(y, n, name="y"):
    """Labels as an array (n,) of integers, whole floats, booleans or strings; copied only if its dtype is object.

    Arrays of objects, as data frames give them, hold strings and stay as they are, or numbers and become an array of
    these.

    Raises
    ------
    TypeError
        For other kinds of labels, and where kinds are mixed: None among strings, too.
    ValueError
        For another shape, NaN, infinities and floats that are not whole.
    """
    y = as_array(y, name)
    if y.shape != (n,):
        remedy = f": {name}.ravel()" if y.shape == (n, 1) else ""
        raise ValueError(f"{name} has shape {y.shape}; expected ({n},), one label for each of the {n} rows{remedy}")
    if y.dtype.kind == "O" or hasattr(y.dtype, "na_object"):
        y = _labels_of_objects(y, name)
    if y.dtype.kind == "f":
        # NumPy makes floats of a list with integers of 2^63 and more, and rounds them
        wrong = np.flatnonzero(~(np.abs(y) < np.float64(2**63)) | (np.trunc(y) != y))
        if len(wrong):
            raise ValueError(f"{name} has {y[wrong[0]]} at row {wrong[0]}; expected labels: whole numbers, strings or "
                             f"booleans (target probabilities go in a matrix, a column for each class; integers of "
                             f"2^63 and more in an array of dtype uint64)")
    elif y.dtype.kind not in "iubUTO":
        remedy = {"S": f": use {name}.astype(str)", "V": f": use {name}.astype(int)"}.get(y.dtype.kind, "")
        raise TypeError(f"{name} has dtype {y.dtype}; expected labels: integers, whole floats, strings or "
                        f"booleans{remedy}")
    return y


def _is_missing(label):
    """Whether it is None, or not equal to itself, as nan and pandas' NA."""
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True


def _labels_of_objects(y, name):
    """Strings as they are; all booleans or all other real numbers as an array of these."""
    first = next((label for label in y if not _is_missing(label)), None)
    is_kind, kind = next(((is_kind, kind) for kind, is_kind in _OBJECT_LABELS.items() if is_kind(first)),
                         (_OBJECT_LABELS["strings"], "strings"))
    wrong = next((i for i, label in enumerate(y) if not is_kind(label)), None)
    if wrong is not None:
        raise TypeError(f"{name} has dtype {y.dtype} with {y[wrong]!r} at row {wrong}; expected {kind} in all rows: "
                        f"drop such rows, or use labels of one kind")
    if kind == "strings":
        return y
    labels = np.array(y.tolist())
    if labels.dtype.kind == "O" or (labels.dtype.kind == "f" and all(isinstance(v, numbers.Integral) for v in y)):
        raise TypeError(f"{name} has dtype object with numbers that no dtype holds exactly; expected integers of 64 "
                        f"bits: use {name}.astype(str)")
    return labels


def number_labels(y):
    """The sorted distinct labels of y, a result of `check_label_array`, and each one's position, int32 (n,)."""
    if y.dtype.kind in "iu" and len(y):
        lowest = y.min()
        if int(y.max()) - int(lowest) < _COUNTABLE_RANGE:
            wide = np.uint64 if y.dtype.kind == "u" else np.int64
            offsets = np.subtract(y, lowest, dtype=wide).astype(np.intp)
            present = np.bincount(offsets) > 0
            classes = np.flatnonzero(present).astype(wide) + wide(lowest)
            return classes.astype(y.dtype), (np.cumsum(present, dtype=np.int32) - 1)[offsets]
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.astype(np.int32)


def check_same_kind(y, classes, name="y"):
    """Raise TypeError if y, a result of `check_label_array`, holds text and the classes do not, or the reverse."""
    if _is_text(y) != _is_text(classes):
        raise TypeError(f"{name} has dtype {y.dtype}; the classes have {classes.dtype}: use the same labels")


def _is_text(labels):
    return labels.dtype.kind in "UTO"


def _is_flag(label):
    return isinstance(label, bool | np.bool_)


# what all labels in an array of objects must be
_OBJECT_LABELS = {
    "strings": lambda label: isinstance(label, str),
    "booleans": _is_flag,
    "numbers": lambda label: isinstance(label, numbers.Real) and not _is_flag(label),
}


def _listed(classes):
    shown = ", ".join(map(str, classes[:10]))
    return f"[{shown}{', ...' if len(classes) > 10 else ''}]"
