"""The engine of rows that are read from their source anew in each pass; see rows_engine.py."""

from fastlr import _core
from fastlr.model.rows_base import SMALL, add
from fastlr.model.rows_engine import part_of
from fastlr.model.rows_parts import PartRows


class StreamedParts:
    """Parts that are made one after the other, so that memory holds one or two.

    Parameters
    ----------
    parts : callable
        Returns an iterator of `Part`s, the same each time.
    """

    def __init__(self, parts):
        self.parts = parts

    def map(self, function, *args):
        return list(self._results(function, args))

    def reduce(self, function, *args, join=add, size=1):
        total = None
        for result in self._results(function, args):
            if result is not None:
                total = result if total is None else join(total, result)
        return total

    def transform(self, function, *args):
        return StreamedParts(lambda: self._results(function, args))

    def _results(self, function, args):
        return (function(part, *args) for part in self.parts())


def streamed_rows(X, y, n_logits, *, weight, intercept, n_threads, random_state, loss):
    """`PartRows` of X, a `fastlr._input.streamed.Streamed`; the rest as of `DenseRows`."""
    weight, _ = _core.moderate_weights(weight)
    options = {"loss": loss, "intercept": intercept, "n_threads": n_threads, "size": X.size}

    def parts():
        counted = 0
        for first, block in X.blocks():
            some = slice(first, first + len(block))
            own = None if weight is None else weight[some]
            yield part_of(block, y[some], n_logits, own, counted, **options)
            counted += len(block) if own is None else int((own > 0).sum())

    n = len(X) if weight is None else int((weight > 0).sum())
    real = _core.real_dtype(X.dtype) if X.size > SMALL else float
    return PartRows(StreamedParts(parts), n, X.shape[1], n_logits, real, loss=loss, intercept=intercept,
                    n_threads=n_threads, random_state=random_state)
