"""Until the kernels are there: SciPy's products behind their interface."""

import numpy as np
from scipy import sparse

from fastlr import _core


class CsrProblem:
    def __init__(self, data, indices, indptr, d, y, k, *, loss="softmax", weight=None, offset=None, scale=None,
                 shift=None, n_threads=1):
        self.X = sparse.csr_array((data, indices, indptr), shape=(len(indptr) - 1, d))
        self.n, self.d, self.k, self.real = self.X.shape[0], d, k, data.dtype
        self.y, self.loss, self.weight, self.offset = y, loss, weight, offset
        self.scale, self.shift = scale, shift

    def logits(self, W, b):
        W = W if self.scale is None else W * self.scale
        b = b if self.shift is None else b - W @ self.shift
        Z = (self.X @ W.T.astype(self.real)).astype(self.real) + b.astype(self.real)
        return np.ascontiguousarray(Z if self.offset is None else Z + self.offset)

    def outer(self, R):
        if self.weight is not None:
            R = np.where(self.weight[:, None] > 0, R, 0)
        G, g = (self.X.T @ R).T.astype(np.float64), R.sum(axis=0, dtype=np.float64)
        if self.shift is not None:
            G = G - np.outer(g, self.shift)
        return np.ascontiguousarray(G if self.scale is None else G * self.scale), g

    def loss_and_grad_at(self, Z):
        R = np.empty_like(Z)
        total = _core.residual(self.loss, np.ascontiguousarray(Z), self.y, weight=self.weight, R_out=R)
        return total, *self.outer(R)

    def loss_and_grad(self, W, b):
        return self.loss_and_grad_at(self.logits(W, b))

    def hessp_at(self, Z, V, c):
        offset, self.offset = self.offset, None
        S = self.logits(V, c)
        self.offset = offset
        A = np.array(Z)
        if self.loss == "softmax":
            _core.rows("softmax", A, A, 1)
            S = A * (S - (A * S).sum(axis=1, keepdims=True))
        elif self.loss == "sigmoid":
            _core.map("sigmoid", A, A, 1)
            S = A * (1 - A) * S
        if self.weight is not None:
            S = (S * self.weight[:, None]).astype(self.real)
        return self.outer(S)

    def hessp(self, W, b, V, c):
        return self.hessp_at(self.logits(W, b), V, c)


def csr_column_sums(data, indices, indptr, d, weight, n_threads):
    X = sparse.csr_array((data.astype(np.float64), indices, indptr), shape=(len(indptr) - 1, d))
    w = np.ones(X.shape[0]) if weight is None else weight
    total = X.T @ w
    X.data = X.data**2
    return total, X.T @ w


def csr_first_fault(data, indices, indptr, d, n_threads):
    if indptr[0] != 0:
        return f"indptr begins with {indptr[0]}"
    steps = np.diff(indptr)
    if len(steps) and steps.min() < 0:
        return f"indptr falls at row {int(np.argmin(steps >= 0))}"
    if indptr[-1] > min(len(indices), len(data)):
        return f"indptr ends with {indptr[-1]} for {len(indices)} indices and {len(data)} values"
    indices = indices[: indptr[-1]]
    wrong = np.flatnonzero((indices < 0) | (indices >= d))
    if len(wrong):
        row = int(np.searchsorted(indptr, wrong[0], side="right")) - 1
        return f"row {row} has the column {indices[wrong[0]]}"
    return None


if not hasattr(_core, "CsrProblem"):
    _core.CsrProblem, _core.csr_column_sums, _core.csr_first_fault = CsrProblem, csr_column_sums, csr_first_fault
