"""What fastlr computes, from the formulas, in long double: values to judge it by, and the errors that it may make.

n rows, k classes, d features; every array is np.longdouble and every function plain NumPy.  `bounded` compares.  The
64 bits of x86 leave 11 beyond float64; where long double is no wider than double, this judge is none.
"""

import numpy as np

REAL = np.longdouble
WIDE_ENOUGH = np.finfo(REAL).eps < 1e-18
# of a float64 result in ULP: z - max needs more than 64 bits where the one is near 700 and the other tiny
OWN_ULP = {np.dtype(np.float32): 0.0, np.dtype(np.float64): 0.3}


def bounded(actual, exact, tolerance):
    """Where |actual - exact| <= tolerance; nan for nan, an infinity where numbers within the tolerance round to it."""
    good = np.abs(actual - exact) <= tolerance
    if good.all():
        return good
    finite = np.isfinite(exact)
    low, high = ((exact + sign * np.where(finite, tolerance, 0)).astype(actual.dtype) for sign in (-1, 1))
    same = (actual == low) | (actual == high) | np.isnan(actual) & np.isnan(exact)
    return good | np.where(np.isinf(actual) & finite, (low == actual) | (high == actual), same & ~finite)


def unit(exact, dtype):
    """One in the last place of exact, rounded to dtype; of the largest number beyond it."""
    size = np.minimum(np.abs(exact), np.finfo(dtype).max).astype(dtype)
    return np.spacing(size).astype(REAL)


# ---- of one number --------------------------------------------------------------------------------------------------
def sigmoid(z):
    """1 / (1 + exp(-z))."""
    t = np.exp(-np.abs(z))
    return np.where(z < 0, t, 1) / (1 + t)


def sigmoid_derivative(z):
    """sigmoid(z) sigmoid(-z)."""
    t = np.exp(-np.abs(z))
    return t / (1 + t) ** 2


def log_sigmoid(z):
    """-log(1 + exp(-z))."""
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def logit(p):
    """log(p / (1 - p)); near 1/2 by way of (2 p - 1) / (1 - p), which is exact up to rounding."""
    inside = (p >= 0) & (p <= 1)
    value = np.where(np.abs(p - 0.5) < 0.25, np.log1p((2 * p - 1) / (1 - p)), np.log(p) - np.log1p(-p))
    return np.where(inside, value, np.nan)


# ---- of rows --------------------------------------------------------------------------------------------------------
class Rows:
    """Softmax of Z (n, k): z - max, exp of it, and their sum without the largest term."""

    def __init__(self, Z):
        self.Z = Z
        self.max = Z.max(axis=1, keepdims=True)
        self.least = Z - self.max
        self.terms = np.exp(self.least)
        lead = np.arange(len(Z)), Z.argmax(axis=1)
        others = self.terms.copy()
        others[lead] = 0
        self.rest = others.sum(axis=1, keepdims=True) + self.terms[lead][:, None] * 0  # nan stays
        self.total = 1 + self.rest
        self.without = self.total - self.terms  # the sum of all terms but one's own
        self.without[lead] = self.rest[:, 0]

    def softmax(self):
        """exp(z - max) / total."""
        return self.terms / self.total

    def log_softmax(self):
        """z - max - log(total); of a row with +inf nan there and -inf elsewhere."""
        value = self.least - np.log1p(self.rest)
        top = np.isposinf(self.max)
        return np.where(top & ~np.isposinf(self.Z), -np.inf, value) if top.any() else value

    def logsumexp(self):
        """max + log(total) (n,); the maximum itself where it is infinite."""
        return np.where(np.isinf(self.max), self.max, self.max + np.log1p(self.rest))[:, 0]

    def cross_entropy(self, Y):
        """-sum of Y log softmax (n,), without the terms of Y = 0."""
        loss = np.where(Y > 0, -Y * self.log_softmax(), 0).sum(axis=1)
        return np.where(np.isnan(self.max[:, 0]), np.nan, loss)

    def residual(self, Y):
        """The gradient of `cross_entropy`, softmax sum Y - Y, with the digits of 1 - softmax where Y is 1.

        Probabilities that were rounded need not sum to 1.
        """
        mass = Y.sum(axis=1, keepdims=True)
        return np.where(Y == 1, -self.without / self.total, mass * self.terms / self.total - Y)


def binary_cross_entropy(z, y):
    """-y log sigmoid(z) - (1 - y) log sigmoid(-z), without terms of factor 0."""
    loss = np.where(y == 0, 0, -y * log_sigmoid(z)) + np.where(y == 1, 0, (y - 1) * log_sigmoid(-z))
    return loss + 0 * np.where(np.isnan(z), z, 0)


def binary_residual(z, y):
    """sigmoid(z) - y, with the digits of 1 - sigmoid where y is 1."""
    return np.where(y == 1, -sigmoid(-z), sigmoid(z) - y)


def one_hot(y, k):
    """(n, k) of labels (n,)."""
    Y = np.zeros((len(y), k), REAL)
    Y[np.arange(len(y)), y] = 1
    return Y


def smoothed(Y, smoothing, k):
    """(1 - smoothing) Y + smoothing / k; Y itself without smoothing."""
    return Y + REAL(smoothing) * (REAL(1) / k - Y) if smoothing else Y


# ---- of a linear model ----------------------------------------------------------------------------------------------
MOST_ROWS = 2048  # whose sums stay in the real type
ACTIVE = {"softmax": 0.5, "sigmoid": 0.25, "squared_error": 1.0}  # the most that a residual changes with its logits


class LinearSums:
    """Loss and gradient sums of a linear model over rows, and the errors that they may have.

    Z = X W' + b is made in the floating type `real` (X, W and b too), to 4 + d / 16 machine epsilons of what is added,
    and sums over rows to 4 + n / 16, n at most MOST_ROWS.  W_error and b_error say what W and b themselves may be off.
    R may be rounded to a subnormal, weights of the largest 1.
    """

    def __init__(self, X, W, b, Y, weight, loss, real, W_error=0, b_error=0):
        eps, least = REAL(np.finfo(real).eps), REAL(np.finfo(real).smallest_subnormal)
        size = np.abs(X)
        self.Z = X @ W.T + b
        factor = 4 + X.shape[1] / 16  # terms of one sign, added lane by lane
        row_factor = 4 + min(len(X), MOST_ROWS) / 16  # rows alike, added one by one
        self.Z_error = factor * eps * (size @ np.abs(W).T + np.abs(b)) + size @ (np.zeros_like(W) + W_error).T + b_error
        if loss == "softmax":
            rows = Rows(self.Z)
            R, losses = rows.residual(Y), rows.cross_entropy(Y)
            largest, slope = np.maximum(rows.softmax(), Y), 2  # a row's loss: its own logit's error, and the mean one
            Z_error = self.Z_error + self.Z_error.max(axis=1, keepdims=True)
        else:
            Z_error, slope = self.Z_error, 1
            if loss == "sigmoid":
                R, losses = binary_residual(self.Z, Y), binary_cross_entropy(self.Z, Y).sum(axis=1)
                largest = np.maximum(sigmoid(self.Z), Y)
            else:
                R, losses = self.Z - Y, 0.5 * ((self.Z - Y) ** 2).sum(axis=1)
                largest, slope = np.abs(self.Z) + np.abs(Y), np.abs(R) + self.Z_error
        w = np.ones(len(X), REAL) if weight is None else weight
        R_error = w[:, None] * (ACTIVE[loss] * Z_error + 4 * eps * largest) + w.max(initial=0) * least
        self.R = w[:, None] * R
        self.loss = (w * losses).sum()
        self.loss_error = (w * ((slope * self.Z_error).sum(axis=1) + 4 * eps * losses)).sum()
        self.G, self.g = self.R.T @ X, self.R.sum(axis=0)
        R_error = R_error + row_factor * eps * np.abs(self.R)
        self.G_error, self.g_error = R_error.T @ size, R_error.sum(axis=0)
        if loss == "softmax" and len(W) > 1:  # the class without sums of its own has minus those of the others
            left_out = np.argmin((W**2).sum(axis=1))
            self.G_error[left_out], self.g_error[left_out] = self.G_error.sum(axis=0), self.g_error.sum()
