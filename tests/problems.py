"""Data for the tests: features in every dtype and layout, labels and targets, with their twins."""

from itertools import pairwise

import ml_dtypes
import numpy as np
from scipy.optimize import minimize

from fastlr import _core, reference
from fastlr.model.objective import Objective
from fastlr.model.rows import DenseRows

REALS = ("float32", "float64")
LOSSES = ("softmax", "sigmoid", "squared_error")
X_DTYPES = tuple(np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name) for name in _core.DTYPES)


def layouts(X, tmp_path):
    """The same values in every layout that a user may come with."""
    n, d = X.shape
    yield "C", X
    yield "Fortran", np.asfortranarray(X)
    wide = np.zeros((2 * n, 3 * d), X.dtype)
    wide[::2, 1::3] = X
    yield "strided", wide[::2, 1::3]
    padded = np.zeros((n, d + 5), X.dtype)
    padded[:, 2 : d + 2] = X
    yield "columns of a wider array", padded[:, 2 : d + 2]
    yield "rows backwards", X[::-1].copy()[::-1]
    yield "columns backwards", X[:, ::-1].copy()[:, ::-1]
    unaligned = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(n, d)
    unaligned[...] = X
    yield "unaligned", unaligned
    frozen = X.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    path = tmp_path / "X.bin"
    X.tofile(path)
    yield "memory-mapped", np.memmap(path, X.dtype, "r", shape=X.shape)


def features(rng, n, d, dtype):
    if dtype.kind == "b":
        return rng.random((n, d)) < 0.5
    if dtype.kind in "iu":
        return rng.integers(0 if dtype.kind == "u" else -9, 100, (n, d)).astype(dtype)
    return rng.normal(size=(n, d)).astype(dtype)


def targets(rng, loss, n, k, dtype, kind):
    """Labels int32 (n,) or probabilities (n, k), and the same as Y (n, k)."""
    if kind == "labels":
        y = rng.integers(0, 2 if k == 1 and loss != "softmax" else k, n).astype(np.int32)
        if k == 1 and loss == "softmax":
            return y, np.ones((n, 1))
        return y, reference.one_hot(y, k)
    Y = rng.dirichlet(np.ones(k), n) if loss == "softmax" else rng.random((n, k))
    Y = Y.astype(dtype)
    return Y, Y


def wide(*arrays):
    """The arrays as long double."""
    return [np.asarray(a).astype(np.longdouble) for a in arrays]


def objective_of(X, y, n_logits, *, alpha=0.0, penalty=None, scale=None, shift=None, **rows):
    """The penalised mean loss of an array's rows; `rows` are the other arguments of DenseRows."""
    return Objective(DenseRows(X, y, n_logits, **rows), alpha=alpha, penalty=penalty, scale=scale, shift=shift)


def least_value(F, w):
    """The least value of the objective F that SciPy finds from w on."""

    def value_and_grad(w):
        point = F.at(w)
        return point.value, point.grad

    options = {"ftol": 0, "gtol": 1e-11, "maxiter": 2000, "maxfun": 3000}
    return min(F.at(w).value, minimize(value_and_grad, w, jac=True, method="L-BFGS-B", options=options).fun)


def drawn_classes(n=300, d=6, k=3, seed=0):
    """X (n, d) of uneven means and deviations, classes (n,) drawn from a softmax model, and the generator."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.geomspace(0.3, 4, d) + np.linspace(-2, 5, d)
    W = rng.normal(size=(k, d))
    y = ((X - X.mean(axis=0)) @ W.T + rng.gumbel(size=(n, k)) * 2).argmax(axis=1)
    return X, y, rng


def in_blocks(*arrays, bounds=(0, 100, 100, 450, 900)):
    """Parts of the arrays' rows between the bounds, one of them without rows."""
    return [tuple(array[a:b] for array in arrays) for a, b in pairwise(bounds)]
