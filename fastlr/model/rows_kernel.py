"""Inner products of rows: what is left of the features where they are more than the rows."""

import numpy as np

from fastlr import _core
from fastlr.model.affine import Affine
from fastlr.model.memory import BLOCK_VALUES


def kernel(X, affine, factors, n_threads):
    """sum_j factors_j u_ij u_lj (n, n) of rows u of X (n, d) through an affine map, made in X's real type."""
    n, d = X.shape
    K, root, real = np.zeros((n, n)), np.sqrt(factors), _core.real_dtype(X.dtype)
    size = max(1, 4 * BLOCK_VALUES // n)
    for start in range(0, d, size):
        columns = slice(start, start + size)
        U = np.empty((len(root[columns]), n), real)
        some = Affine(*(None if a is None else a[columns] for a in (affine.scale, affine.shift)))
        some.apply(X[:, columns], U.T)
        U *= root[columns, None].astype(real)
        K += _core.Problem(U, None, 1, n_threads=n_threads).gram()[0]
    return K
