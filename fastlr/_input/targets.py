"""What an estimator's y asks of the model, and the weights of the rows.

    y (n,), two classes              one logit, "sigmoid"
    y (n,), more classes             k logits, "softmax"
    Y (n, k) of class probabilities  likewise, rows sum to 1
    Y (n, k) of independent labels   k logits, "sigmoid"; 0 and 1, or their probabilities
"""

import numpy as np
from sklearn.exceptions import DataConversionWarning

from fastlr._input.arrays import as_array, check_sample_weight, check_targets, is_real
from fastlr._input.labels import Outputs, check_label_array, number_labels
from fastlr._runtime.warnings import warn_user


def encode_targets(estimator, y, n, dtype):
    """What y asks of the model, and y as the kernels take it.

    Parameters
    ----------
    estimator : LogisticRegression
        Its `targets` says how to read a matrix.
    y : array-like (n,) of labels or (n, k) of numbers in [0, 1]
    n : int
        Rows of X.
    dtype : dtype
        float32 or float64, for targets that are not labels.

    Returns
    -------
    outputs : fastlr._input.labels.Outputs
        "sigmoid" with one logit for two classes, "softmax" for more, "sigmoid" with k for labels that do not exclude
        each other.
    targets : ndarray, int32 (n,) or dtype (n, k)
    """
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    y = as_array(y, "y")
    if y.ndim == 2 and y.shape[1] == 1 and estimator.targets != "labels":
        warn_user("A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
                  "(n_samples,), for example using ravel().", DataConversionWarning)
        y = y.ravel()
    return _encode_labels(y, n) if y.ndim < 2 else _encode_matrix(y, n, dtype, estimator.targets)


def _encode_labels(y, n):
    try:
        y = check_label_array(y, n)
    except (TypeError, ValueError) as error:
        prefix = "Unknown label type: " if y.shape == (n,) else ""
        raise ValueError(f"{prefix}{error}") from None
    classes, codes = number_labels(y)
    if len(classes) < 2:
        raise ValueError(f"y has 1 class, {classes.tolist()[0]!r}; a classifier needs rows of at least 2 classes")
    loss, k = ("sigmoid", 1) if len(classes) == 2 else ("softmax", len(classes))
    return Outputs(loss, classes, k), codes


def _encode_matrix(y, n, dtype, kind):
    k = y.shape[-1]
    if y.ndim > 2 or not (is_real(y.dtype) or y.dtype.kind == "O") or k == 0:
        raise ValueError(f"Unknown label type: y has shape {y.shape} and dtype {y.dtype}; expected labels ({n},), or "
                         f"a matrix ({n}, k) of class probabilities or of 0 and 1")
    if y.dtype.kind == "O":
        y = y.astype(np.float64)
    if kind == "auto":
        kind = "labels" if y.dtype.kind == "b" or ((y == 0) | (y == 1)).all() else "classes"
    if kind == "labels":
        return (Outputs("sigmoid", np.arange(max(k, 2)), k, multilabel=True),
                check_targets(y, n, k, dtype, loss="sigmoid"))
    y = check_targets(y, n, k, dtype, loss="softmax")
    if k == 2:
        return Outputs("sigmoid", np.arange(2), 1), np.ascontiguousarray(y[:, 1:])
    return Outputs("softmax", np.arange(k), k), y


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
    if targets.ndim == 2:
        if class_weight is not None:
            raise ValueError("class_weight was given with a matrix y; expected labels (n,): use sample_weight instead")
        return sample_weight
    if class_weight is None:
        return sample_weight
    n_classes = len(outputs.classes)
    if isinstance(class_weight, str):
        counts = np.bincount(targets, sample_weight, n_classes)
        per_class = np.divide(counts.sum(), n_classes * counts, out=np.zeros(n_classes), where=counts > 0)
    else:
        per_class = _weights_of(class_weight, outputs.classes.tolist())
    rows = per_class[targets]
    return check_sample_weight(rows if sample_weight is None else rows * sample_weight, len(rows),
                               "sample_weight times class_weight")


def _weights_of(class_weight, classes):
    unknown = [key for key in class_weight if key not in classes]
    if unknown and any(label not in class_weight for label in classes):
        raise ValueError(f"class_weight has {unknown} that are not in y, and y has classes that are not in "
                         f"class_weight; expected keys among {classes}")
    weights = np.array([class_weight.get(label, 1.0) for label in classes], np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"class_weight is {class_weight}; expected finite weights of at least 0")
    return weights
