"""Rows that are read from their source anew in each pass, block by block: see fastlr/_input/streamed.py.

A block is rows in memory, `DenseRows` or `CsrRows`, with its parts of targets, weights and offsets, which are there for
all rows.  Sums are added up block by block; what is a row's own is put together.  Samples of rows are kept.
"""

from functools import partial, reduce

import numpy as np

from fastlr import _core
from fastlr._input.streamed import Shares
from fastlr.model import rows_moments
from fastlr.model.rows import DenseRows
from fastlr.model.rows_base import SMALL, add
from fastlr.model.rows_columns import joined_columns
from fastlr.model.rows_parts import join_moments
from fastlr.model.rows_sparse import CsrRows
from fastlr.model.sample_size import least_step


class _Streaming:
    """Methods of `Rows` where X is a `Streamed`; to be mixed into `kind`, the rows that blocks are."""

    is_at_hand = False

    def __init__(self, X, y, n_logits, *, random_state=0, **options):
        super().__init__(X, y, n_logits, random_state=random_state, **options)
        self.seed, self._samples = random_state, {}
        self.least_step = least_step(self.n, self.D, self.k, self.n_values)

    def through(self, affine):
        """As of `Rows`."""
        seen = super().through(affine)
        seen._samples = {}
        return seen

    # ---- blocks -----------------------------------------------------------------------------------------------------
    def _blocks(self, *, every=False):
        """(slice, rows) of blocks that have a weight, or of all, of which some may then have no total weight."""
        for first, X in self._X.blocks():
            part = slice(first, first + len(X))
            weight = None if self.weight is None else self.weight[part]
            if every or weight is None or weight.any():
                yield part, self._rows_of(X, part, weight)

    def _rows_of(self, X, part, weight):
        """The rows X (m, d), part of all, whose weights are taken as they are."""
        y, offset = (None if all_ is None else np.ascontiguousarray(all_[part]) for all_ in (self.y, self.offset))
        rows = self.kind(X, y, self.k, loss=self.loss, offset=offset, intercept=self.intercept,
                         n_threads=self.n_threads, random_state=self.seed, size=SMALL + 1)
        if weight is not None and not (weight == 1).all():
            rows.weight = np.ascontiguousarray(weight)
            if weight.any():
                rows._take_size()
        rows.affine = self.affine
        return rows

    def by_blocks(self, work):
        """[work(part, X, n_threads) of blocks: a slice and X as it is]."""
        return [work(slice(first, first + len(X)), X, self.n_threads) for first, X in self._X.blocks()]

    # ---- sums over the rows -----------------------------------------------------------------------------------------
    def _sum(self, of_block, join=add):
        return reduce(join, (of_block(rows, part) for part, rows in self._blocks()))

    def over_parts(self, function, *args, join=add):
        """As of `Rows`: a pass."""
        self.n_passes += 1
        return self._sum(lambda rows, part: function(rows, *args), join)

    def mean_over_parts(self, function, W, Z=None):
        """As of `Rows`: a pass."""
        self.n_passes += 1

        def of_block(rows, part):
            return function(rows, rows.activations_at(W, None if Z is None else Z[part])) * rows.total_weight

        return self._sum(of_block) / self.total_weight

    def loss_and_grad(self, W):
        """As of `Rows`."""
        self.n_passes += 1
        total, G = self._sum(lambda rows, part: rows.loss_and_grad(W))
        self._learn_constant(W, G)
        return total, G

    def loss_and_grad_at(self, Z, W):
        """As of `Rows`."""
        self.n_passes += 0.5
        total, G = self._sum(lambda rows, part: rows.loss_and_grad_at(Z[part], W))
        self._learn_constant(W, G)
        return total, G

    def _learn_constant(self, W, G):
        if self._constant_gradient is None and self.offset is None and not W[:, : self.d].any():
            self._constant_gradient = G[:, : self.d] / self.total_weight

    def hessp(self, W, U):
        """As of `Rows`."""
        self.n_passes += 1
        return self._sum(lambda rows, part: rows.hessp(W, U))

    def hessp_at(self, Z, U):
        """As of `Rows`."""
        self.n_passes += 1
        return self._sum(lambda rows, part: rows.hessp_at(Z[part], U))

    # ---- row by row -------------------------------------------------------------------------------------------------
    def logits(self, W, part=slice(None), *, with_offset=True, n_threads=None):
        """As of `Rows`."""
        shares = Shares(part, self.n)
        Z = np.empty((shares.n, self.k), self.real)
        for block, rows in self._blocks(every=True):
            some, places = shares.of(block.start, block.stop)
            if isinstance(some, slice) or len(some):
                Z[places] = rows.logits(W, some, with_offset=with_offset, n_threads=n_threads)
        self.n_passes += 0.5 * shares.n / max(self.n, 1)
        return Z

    def row_by_row(self, function, *args):
        """As of `Rows`."""
        self.n_passes += 1
        return np.concatenate([function(rows, *args) for _, rows in self._blocks(every=True)])

    def sample(self, step):
        """Every step-th row with a weight, as data of their own in memory."""
        if step not in self._samples:
            part = self._every(step)
            rows = self._rows_of(self._X[part], part, None if self.weight is None else self.weight[part])
            self._samples = {step: rows}
            self.n_passes += 1 / step
        rows = self._samples[step].through(self.affine)
        rows.n_passes = 0.0
        return rows

    def _every(self, step):
        every = slice(None, None, step)
        return every if self.weight is None or self.weight.all() else np.flatnonzero(self.weight)[every]

    def weight_of_every(self, step):
        """As of `Rows`, of those in a sample."""
        return float(-(-self.n // step) if self.weight is None else self.weight[self._every(step)].sum())

    def first_nonfinite(self):
        """None: blocks are looked at as they are read."""


class StreamedDenseRows(_Streaming, DenseRows):
    """Dense rows; see `DenseRows`."""

    kind = DenseRows
    is_measured = adds_up_classes = False

    def moments(self):
        """As of `DenseRows`."""
        if self._moments is None:
            mean, _, deviation = self._sum(lambda rows, part: rows_moments.with_weight(rows), join_moments)
            self._moments = mean, deviation
        return self._moments

    def _exponents(self):
        return self._sum(lambda rows, part: rows_moments.exponents(rows._X), np.maximum)

    def _divided(self, exponent):
        return self._X.through(partial(self.divided, exponent=exponent, real=self.real), self.real)

    def constant_features(self):
        """As of `DenseRows`."""
        def ends(rows, part):
            X = rows._X if rows.weight is None or rows.weight.all() else rows._X[rows.weight > 0]
            return np.array([X.min(axis=0), X.max(axis=0)], np.float64)

        low, high = self._sum(ends, lambda a, b: np.array([np.minimum(a[0], b[0]), np.maximum(a[1], b[1])]))
        return low == high

    def columns(self, features, root):
        """As of `DenseRows`."""
        self.n_passes += 0.5
        U = np.empty((len(features), self.n), np.float32)
        for part, rows in self._blocks(every=True):
            U[:, part] = rows.columns(features, root[part])
        return U


class StreamedCsrRows(_Streaming, CsrRows):
    """Sparse rows; see `CsrRows`."""

    kind = CsrRows

    def _divided(self, exponent):
        return self._X.through(partial(self.divided, exponent=exponent), self.real)

    def _sums_of_columns(self, weight, *want):
        """As of `CsrRows`."""
        def of_block(X, first):
            some = None if weight is None else weight[first : first + len(X)]
            return _core.csr_column_sums(X.data, X.indices, X.indptr, self.d, some, self.n_threads, want=want)

        def join(a, b):
            return {name: (np.maximum if name == "largest" else np.add)(a[name], b[name]) for name in a}

        return reduce(join, (of_block(X, first) for first, X in self._X.blocks()))

    def _gram_of_columns(self, columns, weight):
        """As of `CsrRows`."""
        return reduce(add, (_core.csr_gram(X.data, X.indices, X.indptr, self.d, columns, weight[first : first + len(X)],
                                           self.n_threads) for first, X in self._X.blocks()))

    def _of_columns(self, some):
        """As of `CsrRows`."""
        parts = [(values, row + part.start, column) for part, rows in self._blocks(every=True)
                 for values, row, column in [rows._of_columns(some)]]
        return map(np.concatenate, zip(*parts, strict=True))

    def columns(self, features, root):
        """As of `CsrRows`."""
        self.n_passes += 0.5
        return joined_columns(((part.start, rows.columns(features, root[part]))
                               for part, rows in self._blocks(every=True)), len(features))
