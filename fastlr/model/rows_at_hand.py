"""What rows in this process's memory answer in one call, and rows in parts (rows_parts.py) part by part."""

import numpy as np

from fastlr.model.rows_targets import target_offsets


def add(a, b):
    """The sum of two results: numbers or arrays, or tuples of them."""
    return tuple(map(add, a, b)) if isinstance(a, tuple) else a + b


class AtHand:
    """Rows whose values are here."""

    is_at_hand = True
    """Whether single rows can be looked at, and logits of all be kept; else those of a sample."""

    least_step = 1
    """Of samples: every how many-th row can be brought here at most."""

    def over_parts(self, function, *args, join=add):
        """function(rows, *args); of rows in parts the results of all parts, two at a time joined into one."""
        return function(self, *args)

    def mean_over_parts(self, function, W, Z=None):
        """function(rows, activations) at W (k, D) or logits Z (n, k): a mean over the rows by their weights."""
        return function(self, self.activations_at(W, Z))

    def activations_at(self, W, Z=None):
        """A function of part of the rows, a slice, that makes their activations A (m, k) at W (k, D) or logits Z."""

        def of(part, n_threads=None):
            if Z is None:
                return self.activations(self.logits(W, part, n_threads=n_threads), n_threads)
            logits = np.ascontiguousarray(Z[part])
            return self.activations(logits, n_threads, logits if logits.base is None else np.empty_like(logits))

        return of

    def weight_of_every(self, step):
        """Total weight of every step-th row."""
        return float(-(-self.n // step) if self.weight is None else self.weight[::step].sum())

    @property
    def least_weight(self):
        """The smallest weight above 0."""
        return 1.0 if self.weight is None else float(np.min(self.weight, where=self.weight > 0, initial=np.inf))

    def mean_target_offset(self):
        """Weighted mean of <y, offset>."""
        return float(self.mean(target_offsets(self.y, self.offset, self.loss)))
