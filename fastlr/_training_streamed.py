"""Epochs over rows that are read from their source anew each time: in windows of rows that follow each other.

There is no way back in a source, so that rows are shuffled within a window alone; where windows begin differs from
epoch to epoch.
"""

from functools import partial

import numpy as np

from fastlr._input.csr import problem_of

WINDOW_BYTES = 128 << 20  # of X, that are shuffled row by row and copied


def streamed_problem(X, y, k, *, batch, **options):
    """The problem of `Streamed` rows to be trained on: in memory where they take no more than a window.

    Raises
    ------
    OSError
        If a batch of so many rows takes more.
    """
    problem = StreamedProblem(X, y, k, **options)
    if problem.n_window >= problem.n:
        return problem.part(slice(None), X[:])
    if batch > problem.n_window:
        raise X.refuse(f"a batch of {batch} rows", f"pass batch_size={problem.n_window} or less")
    return problem


class StreamedProblem:
    """What a Trainer asks of the problem of `Streamed` rows; arguments and attributes are those of `_core.Problem`.

    Attributes
    ----------
    n_window : int
        Rows of a window.
    """

    def __init__(self, X, y, k, *, loss, weight, scale, shift, n_threads):
        self.X, self.y, self.k, self.loss, self.weight = X, y, k, loss, weight
        self.scale, self.shift, self.n_threads = scale, shift, n_threads
        self.n, self.d = X.shape
        n_bytes = X.size * (X.dtype.itemsize + 4 * X.is_sparse)
        self.n_window = max(1, self.n * WINDOW_BYTES // max(1, n_bytes))

    def part(self, rows, X):
        """The problem of a slice of the rows, whose X is there."""
        y, weight = (None if values is None else np.ascontiguousarray(values[rows]) for values in (self.y, self.weight))
        return problem_of(X, y, self.k, loss=self.loss, weight=weight, scale=self.scale, shift=self.shift,
                          n_threads=self.n_threads)

    def evaluate(self, W, b):
        """Sum of the losses and, for labels, the number of rows labelled correctly."""
        found = [self.part(slice(first, first + len(X)), X).evaluate(W, b) for first, X in self.X.blocks()]
        return tuple(map(sum, zip(*found, strict=True)))

    def windows(self, rng, batch):
        """Makers of the problems of windows, one after the other, and orders of their rows; None without rng."""
        n_batches, start = self.n_window // batch, 0
        n_first = n_batches if rng is None else 1 + int(rng.permutation(n_batches)[0])
        for X in self.X.windows(n_first * batch, n_batches * batch):
            rows = slice(start, start + len(X))
            order = None if rng is None else rng.permutation(len(X)).astype(np.int64, copy=False)
            yield partial(self.part, rows, X), order
            start = rows.stop
