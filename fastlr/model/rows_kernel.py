"""Inner products of rows: what is left of the features where they are more than the rows."""

import numpy as np
from scipy.linalg import blas

from fastlr import _core
from fastlr.model.affine import Affine
from fastlr.model.memory import BLOCK_VALUES

AT_ONCE = 4  # blocks of features, whatever the number of threads


def kernel(X, affine, factors, n_threads):
    """The lower triangle of sum_j factors_j u_ij u_lj (n, n), of rows u of X (n, d) through an affine map.

    Products are made in X's real type, block by block of the features, and added up in float64.
    """
    n, d = X.shape
    root, real = np.sqrt(factors), _core.real_dtype(X.dtype)
    multiply = blas.ssyrk if real == np.float32 else blas.dsyrk
    size = max(1, 4 * BLOCK_VALUES // n)  # many features a sum: each is added to K in float64

    def block(start):
        columns = slice(start, start + size)
        U = np.empty((n, len(root[columns])), real)
        some = Affine(*(None if a is None else a[columns] for a in (affine.scale, affine.shift)))
        some.apply(X[:, columns], U)
        U *= root[columns].astype(real)
        return multiply(1.0, U.T, trans=1, lower=1)

    K = np.zeros((n, n), order="F")
    starts = range(0, d, size)
    for i in range(0, len(starts), AT_ONCE):
        some = starts[i : i + AT_ONCE]
        for part in _core.parallel_for(lambda j, some=some: block(some[j]), len(some), n_threads):
            K += part
    return K
