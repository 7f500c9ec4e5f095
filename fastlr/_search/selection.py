"""The choice of C: the values to try, their scores, and the best so far."""

import copy
import numbers

import numpy as np

from fastlr._input.options import is_count, is_flag

GRID = range(-2, 3)  # powers of ten that "auto" begins with,
ENDS = -6, 6  # and those that it goes to


def check_Cs(Cs):
    """Values of C (n_Cs,) float64, or None for "auto".

    Raises
    ------
    TypeError, ValueError
        If Cs is neither, empty, or has values that are not positive and finite.
    """
    expected = "an integer of at least 1, a list of positive finite numbers, or 'auto'"
    if isinstance(Cs, str) and Cs == "auto":
        return None
    if is_count(Cs):
        return np.logspace(-4, 4, int(Cs))
    try:
        values = np.array([float(C) for C in Cs if isinstance(C, numbers.Real) and not is_flag(C)])
        complete = len(values) == len(Cs)
    except (TypeError, ValueError, OverflowError):
        complete = False
    if not complete or isinstance(Cs, str):
        raise ValueError(f"Cs is {Cs!r}; expected {expected}")
    if not len(values):
        raise ValueError(f"Cs is empty; expected {expected}")
    wrong = values[~(np.isfinite(values) & (values > 0))]
    if len(wrong):
        raise ValueError(f"Cs has {wrong[0]}; expected {expected}")
    return values


class Selection:
    """Scores of values of C, and the logits of held-out rows at the best ones.

    Parameters
    ----------
    folds : list of Fold
    Cs : ndarray (n_Cs,) or None
        The user's, whose first counts among equals; None lets `following` choose.
    by_fold : bool
        Every fold has a best C of its own.
    keep_logits : bool

    Attributes
    ----------
    scores : dict
        From a value of C to its scores (n_folds,).
    """

    def __init__(self, folds, Cs, *, by_fold, keep_logits):
        self.folds, self.Cs, self.by_fold, self.keep_logits = folds, Cs, by_fold, keep_logits
        self.scores = {}
        self._best = [None] * len(folds)

    def values(self):
        """The values of C to try, one after the other, from strong to weak penalty where they are known before."""
        if self.Cs is not None:
            yield from np.unique(self.Cs).tolist()
            return
        halves = [2 * power for power in GRID]
        while halves:
            yield from (10.0 ** (half / 2) for half in halves)
            halves = self._following()

    def see(self, C, scores, logits):
        """Take note of the folds' scores at C, and of the logits (m, k) of their held-out rows, if they are kept."""
        self.scores[C] = np.array(scores)
        for i, Z in enumerate(logits):
            key = (scores[i] if self.by_fold else float(self.scores[C].sum())), -self._rank(C)
            if self._best[i] is None or key > self._best[i][0]:
                self._best[i] = key, C, Z

    @classmethod
    def best_of(cls, selections):
        """What is best of several for each fold, of equals the first, and which of them that is."""
        joint = copy.copy(selections[0])
        scores = [[key[0] for key, _, _ in selection._best] for selection in selections]
        chosen = [max(range(len(scores)), key=lambda r: scores[r][i]) for i in range(len(joint.folds))]
        joint._best = [selections[r]._best[i] for i, r in enumerate(chosen)]
        return joint, chosen

    def best(self):
        """The best C of each fold: where not by fold, they are the same."""
        return [C for _, C, _ in self._best]

    def tried(self):
        """The values of C (n_Cs,) in the user's order."""
        return self.Cs if self.Cs is not None else np.sort(list(self.scores))

    def out_of_fold(self, n, k, dtype):
        """Logits (n, k) of the rows that were held out, nan for the others; the mean of those held out twice."""
        if not self.keep_logits:
            return None
        total, times = np.zeros((n, k), dtype), np.zeros(n, np.intp)
        for fold, (_, _, Z) in zip(self.folds, self._best, strict=True):
            held = np.zeros(n, bool)
            held[fold.test] = True
            times += held
            logits = np.empty((n, k), dtype)
            logits[fold.test] = Z  # a row that is there twice has the same logits
            total[held] += logits[held]
        total[times == 0] = np.nan
        total[times > 1] /= times[times > 1, None].astype(dtype)
        return total

    def _rank(self, C):
        return C if self.Cs is None else int(np.argmax(self.Cs == C))

    def _following(self):
        """Twice the powers of ten to try next: beyond an end that is best, then between the best and its neighbours."""
        done = sorted(round(2 * np.log10(C)) for C in self.scores)
        best = round(2 * np.log10(max(self.scores, key=lambda C: (self.scores[C].sum(), -C))))
        low, high = 2 * ENDS[0], 2 * ENDS[1]
        if best == done[0] and best > low:
            return [best - 2]
        if best == done[-1] and best < high:
            return [best + 2]
        return [half for half in (best - 1, best + 1) if half not in done and low <= half <= high]
