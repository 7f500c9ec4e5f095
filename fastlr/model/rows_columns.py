"""Some columns of the features of rows, each row times the root of its share of the weight: for coordinate descent.

They are in float32: what is made of them is a step, not a value or a gradient.
"""

import numpy as np
from scipy.sparse import coo_array, csr_array

from fastlr.model.affine import Affine
from fastlr.model.memory import BLOCK_VALUES


def dense_columns(X, affine, features, root):
    """U (m, n) float32 of X (n, d) through an affine map."""
    U = np.empty((len(features), len(X)), np.float32)
    part = Affine(*(None if array is None else array[features] for array in (affine.scale, affine.shift)))
    size = max(1, BLOCK_VALUES // X.shape[1])
    for start in range(0, len(X), size):
        rows = slice(start, start + size)
        values = np.empty((len(root[rows]), len(features)))
        part.apply(X[rows][:, features], values)
        values *= root[rows, None]
        U[:, rows] = values.T
    return U


def sparse_columns(X, scale, features, root):
    """(values, rows, starts) of the stored values of X, a `Csr` (n, d), times a scale, column by column."""
    if len(features) == X.shape[1]:
        return _all_columns(X, scale, root)
    slot = np.full(X.shape[1], -1, np.int32)
    slot[features] = np.arange(len(features), dtype=np.int32)
    scale = scale[features]
    parts = []
    for rows, places in X.runs():
        column = slot[X.indices[places]]
        kept = np.flatnonzero(column >= 0)
        lengths = np.diff(X.indptr[rows.start : rows.stop + 1])
        row = np.repeat(np.arange(rows.start, rows.stop, dtype=np.int32), lengths)[kept]
        column = column[kept]
        values = X.data[places][kept] * scale[column]
        values *= root[row]
        parts.append((values.astype(np.float32), row, column))
        X.release()
    values, row, column = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    table = coo_array((values, (row, column)), shape=(len(X), len(features))).tocsc()  # equal places are added up
    return table.data, table.indices.astype(np.int32, copy=False), table.indptr.astype(np.int64)


def joined_columns(parts, n_columns):
    """(values, rows, starts) of parts, each the number of its first row and the same of its own rows."""
    values, rows, counts = [], [], []
    for first, (some, row, starts) in parts:
        values.append(some)
        rows.append(row + np.int32(first))
        counts.append(np.diff(starts))
    column = np.concatenate([np.repeat(np.arange(n_columns), count) for count in counts])
    order = np.argsort(column, kind="stable")
    starts = np.append(0, np.cumsum(np.sum(counts, axis=0))).astype(np.int64)
    return np.concatenate(values)[order], np.concatenate(rows)[order], starts


def _all_columns(X, scale, root):
    table = csr_array((X.data, X.indices, X.indptr), shape=X.shape).tocsc()
    X.release()
    table.sum_duplicates()
    counts, starts = np.diff(table.indptr), table.indptr.astype(np.int64)
    values, rows = table.data.astype(np.float32, copy=False), table.indices.astype(np.int32, copy=False)
    is_even = len(root) > 0 and (root == root[0]).all()
    scale = scale * root[0] if is_even else scale
    bounds = np.searchsorted(starts, np.arange(0, max(len(values), 1), BLOCK_VALUES))
    for first, last in zip(bounds, [*bounds[1:], X.shape[1]], strict=True):
        places = slice(starts[first], starts[last])
        products = table.data[places] * np.repeat(scale[first:last], counts[first:last])
        values[places] = products if is_even else products * root[rows[places]]
    return values, rows, starts
