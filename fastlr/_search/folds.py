"""Folds of cross-validation: which rows train and which are held out, as indices into one X."""

import numbers
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import check_cv

from fastlr._runtime.warnings import warn_user


@dataclass(frozen=True, eq=False)
class Fold:
    """One split.

    Attributes
    ----------
    number : int
    train : ndarray (n_train,)
        Rows; one that is there twice counts twice.
    test : ndarray (n_test,)
        Rows that are held out.
    """

    number: int
    train: np.ndarray
    test: np.ndarray

    def counts(self, n):
        """How often each of the n rows trains (n,), float64."""
        return np.bincount(self.train, minlength=n).astype(np.float64)


def make_folds(cv, X, y, params):
    """The checked folds of a splitter, a number of folds, None for 5, or an iterable of (train, test).

    Raises
    ------
    TypeError, ValueError
        Naming the fold that is empty, overlaps or lies outside the rows, and what the splitter itself raises.
    """
    if isinstance(cv, bool | str) or (isinstance(cv, numbers.Real) and not isinstance(cv, numbers.Integral)):
        raise ValueError(f"cv is {cv!r}; expected None, a number of folds, 'loo', a splitter, or an iterable of "
                         f"(train, test)")
    if hasattr(cv, "__iter__") and not hasattr(cv, "split"):
        cv = [_pair(pair, number) for number, pair in enumerate(cv)]
    part = getattr(cv, "test_fold", None)
    if part is not None and len(part) != X.shape[0]:
        raise ValueError(f"cv splits {len(part)} rows, and X has {X.shape[0]}; expected as many")
    groups = params.get("groups")
    if groups is not None and np.shape(groups) != (X.shape[0],):
        raise ValueError(f"groups has shape {np.shape(groups)}; expected ({X.shape[0]},), one for each row of X")
    folds = []
    for number, (train, test) in enumerate(check_cv(cv, y, classifier=True).split(X, y, **params)):
        train, test = (_rows(part, X.shape[0], number, name) for part, name in ((train, "train"), (test, "held out")))
        trains = np.zeros(X.shape[0], bool)
        trains[train] = True
        both = test[trains[test]]
        if len(both):
            raise ValueError(f"cv: {len(both)} rows of fold {number} both train and are held out, first is row "
                             f"{both.min()}; expected parts without a row in common")
        folds.append(Fold(number, train, test))
    if not folds:
        raise ValueError("cv gives no fold; expected at least one pair (train, test)")
    return folds


def is_leave_one_out(cv):
    """Whether it asks for leave-one-out from leverages."""
    return isinstance(cv, str) and cv == "loo"


def left_out(n):
    """The one fold of leave-one-out: all n rows train, and each is predicted as if it did not."""
    return Fold(0, np.arange(n), np.arange(n))


def _pair(pair, number):
    try:
        train, test = pair
    except (TypeError, ValueError):
        raise ValueError(f"cv: fold {number} is {type(pair).__name__}; expected a pair (train, test) of the rows' "
                         f"indices") from None
    return train, test


def _rows(part, n, number, name):
    """Indices of the rows of a part, in the order they came, from indices or a mask."""
    rows = np.asarray(part)
    if rows.dtype.kind == "b" and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.size == 0:
        raise ValueError(f"cv: fold {number} has no rows that {_VERB[name]}; expected at least one")
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        raise TypeError(f"cv: the rows of fold {number} that {_VERB[name]} have dtype {rows.dtype} and shape "
                        f"{rows.shape}; expected indices, or a mask ({n},) of booleans")
    low, high = int(rows.min()), int(rows.max())
    if low < 0 or high >= n:
        wrong = low if low < 0 else high
        raise ValueError(f"cv: fold {number} has row {wrong}; expected indices from 0 to {n - 1} of the {n} rows")
    return rows.astype(np.intp)


_VERB = {"train": "train", "held out": "are held out"}


def warn_of_absent(folds, rates, outputs):
    """Warn of folds whose training rows lack a class, from the mean targets (k,) of each fold."""
    if outputs.multilabel:
        return
    lacks = []
    for fold, rate in zip(folds, rates, strict=True):
        rate = np.array([1 - rate[0], rate[0]]) if outputs.k == 1 else rate
        for c in np.flatnonzero(rate == 0):
            lacks.append(f"class {outputs.classes[c]!s} in fold {fold.number}")
    if lacks:
        more = f" and {len(lacks) - 5} more" if len(lacks) > 5 else ""
        warn_user(f"training rows lack {', '.join(lacks[:5])}{more}: there the class's coefficients are 0 but for the "
                  f"intercept, and its rows that are held out are predicted wrong; stratified or fewer folds avoid it")
