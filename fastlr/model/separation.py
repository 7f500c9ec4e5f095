"""Whether some coefficients rank no row wrong and some row right: then larger ones always fit better.

A linear program finds steps D, within a box, that raise no row's loss however long they are and lower some: of each
row's class the logit must grow by at least as much as every other's.  If all rows can be strictly right the classes are
separable; if some lie on the border they are so quasi-completely (Albert and Anderson 1984).

At a stationary point rows that are still wrong lie on the border: the gains of all rows along D, weighted by the
probabilities of other classes, sum up to the slope, which is nearly 0.  Such steps leave them as they are, and the
program is one of the few directions that do.
"""

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax

from fastlr.model.numerics import EPS, TINY

MOST_VALUES = 1 << 20  # of the program's matrix
MOST_PARAMETERS = 1500  # of which directions along the border are looked for
MOST_STEPS = 10_000  # of the simplex method, which may go in circles where rows are nearly dependent
BORDER = 0.01  # probability of another class from which on a row may be one of the border
PAIRS = 4  # of such a row and a class, for each parameter
TOLERANCE = 1e-7


def are_separable(rows, W):
    """Whether the rows of positive weight are, completely or quasi-completely; False for problems too large to tell.

    Parameters
    ----------
    rows : DenseRows, SparseRows or PartRows
        With labels as targets.
    W : ndarray (k, D)
        Where the minimisation ended.
    """
    if rows.loss == "squared_error" or not (rows.is_at_hand or rows.n * rows.D <= MOST_VALUES):
        return False
    rows = rows if rows.is_at_hand else rows.sample(1)
    return any(_has_step(rows, W, label) for label in (range(rows.k) if rows.loss == "sigmoid" else [None]))


def _has_step(rows, W, label):
    """Whether there is a D for all classes, or for one of several labels against its absence."""
    k = rows.k if label is None else 2
    size = (k - 1) * rows.D
    N = np.eye(size) if rows.n * (k - 1) * size <= MOST_VALUES else _along_the_border(rows, W, label, size)
    gains, n_values = [], 0
    for U, classes, _ in _blocks(rows, W, label) if N.size else ():
        step = max(1, MOST_VALUES // (k * N.shape[1]))
        for part in (slice(start, start + step) for start in range(0, len(U), step)):
            Q = np.zeros((len(U[part]), k, N.shape[1]))
            np.einsum("id,adc->iac", U[part], N.reshape(k - 1, -1, N.shape[1]), out=Q[:, :-1], optimize=True)
            grown = (Q[np.arange(len(Q)), classes[part]][:, None] - Q).reshape(-1, N.shape[1])
            gains.append(grown[np.abs(grown).max(axis=1) > TOLERANCE / 10])
            n_values += gains[-1].size
            if n_values > MOST_VALUES:
                return False
    return bool(n_values) and _is_step(np.vstack(gains))


def _along_the_border(rows, W, label, size):
    """A basis N (size, c) of steps without gains of the rows on the border, and of some more; c is 0 if unknown."""
    if rows.k * rows.D > MOST_PARAMETERS:
        return np.zeros((size, 0))
    gram = sum(A.T @ A for A in _border(rows, W, label, PAIRS * size / rows.n))
    values, vectors = eigh(gram)
    return vectors[:, values <= TOLERANCE * PAIRS * values[-1]]


def _border(rows, W, label, share):
    """For some rows of each block on the border, the most likely ones, the classes that they are taken for: vectors
    (pairs, (k - 1) D) whose products with D are their gains."""
    for U, classes, P in _blocks(rows, W, label):
        P[np.arange(len(U)), classes] = 0.0
        worst = np.argsort(P, axis=None)[::-1][: int(share * len(U)) + 1]
        row, other = np.unravel_index(worst[P.ravel()[worst] > BORDER], P.shape)
        A = np.zeros((len(row), P.shape[1], U.shape[1]))
        A[np.arange(len(row)), classes[row]] = U[row]
        A[np.arange(len(row)), other] = -U[row]
        yield A[:, :-1].reshape(len(row), -1)


def _blocks(rows, W, label):
    """Features, scaled to a largest entry of 1, classes and probabilities of the rows of positive weight; the last
    class has coefficients 0."""
    for U, Y, offset, weight in rows.blocks():
        U, Y, Z = U[weight > 0], Y[weight > 0], (U @ W.T + offset)[weight > 0]
        if label is not None:
            Y, Z = np.column_stack([Y[:, label], 1 - Y[:, label]]), np.column_stack([Z[:, label], np.zeros(len(Z))])
        yield U / np.maximum(np.abs(U).max(axis=1, keepdims=True), TINY), Y.argmax(axis=1), softmax(Z, axis=1)


def _is_step(gains):
    """Whether a combination of the columns has no negative entry and some positive one.

    Columns are made orthonormal first: nearly dependent ones cost the simplex method most.
    """
    from scipy.optimize import linprog

    left, length, _ = np.linalg.svd(gains / np.maximum(np.abs(gains).max(axis=0), TINY), full_matrices=False)
    gains = left[:, length > max(gains.shape) * EPS * length[0]]
    gains /= np.maximum(np.abs(gains).max(axis=1, keepdims=True), TINY)
    found = linprog(-gains.sum(axis=0), A_ub=-gains, b_ub=np.zeros(len(gains)), bounds=(-1, 1), method="highs",
                    options={"maxiter": MOST_STEPS})
    if found.x is None:
        return False
    gained = gains @ found.x
    return bool(gained.max() > 1e3 * TOLERANCE and gained.min() > -TOLERANCE)
