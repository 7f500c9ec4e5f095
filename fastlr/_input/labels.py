"""Labels <-> int32 codes: the sorted distinct labels are the classes, a code is a label's place among them."""

import numbers

import numpy as np

from fastlr import _core
from fastlr._input.arrays import as_array
from fastlr._input.options import is_flag

_BLOCK = 1 << 16  # labels that are numbered at a time
_COUNTABLE_RANGE = 1 << 16  # integers closer together are numbered by counting, ten times as fast as by sorting


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
        lengths = f". Found input variables with inconsistent numbers of samples: [{n}, {len(y)}]" if y.ndim else ""
        raise ValueError(f"{name} has shape {y.shape}; expected ({n},), one label for each of the {n} rows{lengths}")
    if y.dtype.kind == "O" or hasattr(y.dtype, "na_object"):
        y = _labels_of_objects(y, name)
    if y.dtype.kind == "f":
        # NumPy makes floats of a list with integers of 2^63 and more, and rounds them
        wrong = np.flatnonzero(~(np.abs(y) < np.float64(2**63)) | (np.trunc(y) != y))
        if len(wrong):
            what = _not_finite(y[wrong[0]], name)
            raise ValueError(f"{what}: {name} has {y[wrong[0]]} at row {wrong[0]}; expected labels: whole "
                             f"numbers, strings or booleans (target probabilities go in a matrix, a column for each "
                             f"class; integers of 2^63 and more in an array of dtype uint64)")
    elif y.dtype.kind not in "iubUTO":
        remedy = {"S": f": use {name}.astype(str)", "V": f": use {name}.astype(int)"}.get(y.dtype.kind, "")
        raise TypeError(f"Unknown label type: {name} has dtype {y.dtype}; expected labels: integers, whole "
                        f"floats, strings or booleans{remedy}")
    return y


def _not_finite(label, name):
    """What is wrong with it, in scikit-learn's words."""
    if isinstance(label, float | np.floating) and not np.isfinite(label):
        return f"Input {name} contains {'NaN' if np.isnan(label) else 'infinity'}"
    return "Unknown label type"


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
        what = _not_finite(y[wrong], name)
        raise TypeError(f"{what}: {name} has {y[wrong]!r} at row {wrong}; expected {kind} in all rows: "
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
        lowest = min(block.min() for _, block in _blocks(y))
        span = int(max(block.max() for _, block in _blocks(y))) - int(lowest) + 1
        if span <= _COUNTABLE_RANGE:
            return _number_by_counting(y, lowest, span)
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.astype(np.int32)


def _number_by_counting(y, lowest, span):
    """`number_labels` of integers of [lowest, lowest + span)."""
    wide = np.uint64 if y.dtype.kind == "u" else np.int64
    present = np.zeros(span, bool)
    for _, block in _blocks(y):
        present[np.subtract(block, lowest, dtype=wide)] = True
    classes = np.flatnonzero(present).astype(wide) + wide(lowest)
    places, codes = np.cumsum(present, dtype=np.int32) - 1, np.empty(len(y), np.int32)
    for start, block in _blocks(y):
        codes[start : start + len(block)] = places[np.subtract(block, lowest, dtype=wide)]
    return classes.astype(y.dtype), codes


def _blocks(y):
    """Some rows of y at a time, and the first one's number; a mapped file's then leave memory."""
    for start in range(0, len(y), _BLOCK):
        block = y[start : start + _BLOCK]
        yield start, block
        _core.release(block[:, None])


def encode_labels(y, classes, name="y"):
    """The place among the classes, in any order, of each label of y, a result of `check_label_array`: int32 (n,).

    Raises
    ------
    TypeError, ValueError
        If y holds labels that are not among the classes.
    """
    check_same_kind(y, classes, name)
    given, wanted = classes, y
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
        raise ValueError(f"{name} has {len(unknown)} {noun} not among the {len(given)} classes {listed(given)}: first "
                         f"is {y[unknown[0]]} at row {unknown[0]}")
    return codes.astype(np.int32)


def check_same_kind(y, classes, name="y"):
    """Raise TypeError if y, a result of `check_label_array`, holds text and the classes do not, or the reverse."""
    if _is_text(y) != _is_text(classes):
        raise TypeError(f"{name} has dtype {y.dtype}; the classes have {classes.dtype}: use the same labels")


def listed(classes):
    """The first of them, for messages."""
    shown = ", ".join(map(str, classes[:10]))
    return f"[{shown}{', ...' if len(classes) > 10 else ''}]"


def _is_text(labels):
    return labels.dtype.kind in "UTO"


# what all labels in an array of objects must be
_OBJECT_LABELS = {
    "strings": lambda label: isinstance(label, str),
    "booleans": is_flag,
    "numbers": lambda label: isinstance(label, numbers.Real) and not is_flag(label),
}
