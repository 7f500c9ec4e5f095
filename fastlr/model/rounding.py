"""What rounding may have done to the sums that bounds are made of, in the solvers' coordinates.

A pass in a real type of precision eps sees parameters that were rounded to it: another point than V, where its value S
and gradient G are right but for what its own operations lose.  As a bound may be taken at any point, the first kind
only costs the difference of the points times the gradient.  The second is random: rows and features lose independently
of each other.  With kappa_j = 1 + |mean_j| / deviation_j, as X is multiplied with its mean still in it, and rho^2 =
sum_cj (V_cj kappa_j)^2, sums lose about

    G_cj   eps kappa_j (FLOOR + ROWS / sqrt(n) + SIZE |G_cj|)
    S      eps (VALUE S + LOGITS (rho + |c| + |o|) + LOSS / sqrt(n))

as a row's loss, the logarithm of 1 and what the other classes add, is right to an eps and not to its own.

float32 was measured against float64 (n = 100 to 600,000, d = 2 to 6,000, kappa to 2e5, MNIST, at optima and random
points): G's errors, added up over the features with V, were at most half of that at an optimum, S's 0.6 of it.
float64 has no need to be tight: it takes LOOSE times as much, and for logits, whose errors are those of all rows where
means are far from 0, what they come to at worst.  Errors of many features in float32 add up like random numbers,
`together`.

What is lost of the intercept's gradient g is not among them: a step of all rows' logits mends it, which changes the
dual value in second order only.
"""

import math

import numpy as np

from fastlr.model.model_blocks import in_blocks

FLOOR, ROWS, SIZE = 0.03, 3.0, 2.0
VALUE, LOGITS, LOSS = 1.0, 0.012, 2.0
LOOSE = 64
WORST = 4  # eps of all terms of a logit, of one sign
SHORT = 1e-10  # an eps above this is float32's


class Rounding:
    """The precision of one problem's sums.

    Parameters
    ----------
    eps : float
        Of the real type.
    centre : ndarray (d,)
        Means of the features, in deviations, as passes see them.
    effective_rows : float
    offset_size : float
        Largest absolute value of the offset.
    n_threads : int, default=1
    """

    def __init__(self, eps, centre, effective_rows, offset_size, n_threads=1):
        self.n_threads = n_threads
        self.eps, self.centre, self.effective_rows, self.offset_size = float(eps), centre, effective_rows, offset_size
        self.is_short = self.eps > SHORT
        self.unit = self.eps if self.is_short else LOOSE * self.eps  # or more where that costs nothing

    @property
    def kappa(self):
        """1 and how many deviations the features' means are from 0 (d,)."""
        return self._kappa()

    def _kappa(self, columns=slice(None)):
        return 1 + np.abs(self.centre[columns])

    def of_gradient(self, G, columns=slice(None)):
        """Of the gradient G (k, d) of the mean loss, or of some columns of it."""
        relative = FLOOR + ROWS / math.sqrt(self.effective_rows) + SIZE * np.abs(G)
        return self.unit * self._kappa(columns) * relative

    def of_dual_value(self, V, c, S, G, g):
        """Of S - <V, G> - <c, g>, S the mean loss at V (k, d), c (k,), G and g its gradient, errors of G left out."""
        folded = c - V @ self.centre
        square = sum(in_blocks(lambda at: together(V[at] * G[at]) ** 2, V.shape, self.n_threads))
        points = 2 * math.sqrt(square) + float(np.abs(g).sum()) * float(np.abs(folded).max(initial=0.0))
        losses = self.eps * LOSS / math.sqrt(self.effective_rows)
        return losses + self.unit * (VALUE * abs(S) + points) + self.of_logits(V, c)

    def of_entropy(self, S):
        """Of the S* of probabilities that were made in float64."""
        return self.unit * (VALUE * abs(S) + LOGITS * self.offset_size)

    def size_of(self, V):
        """The norm of V (k, d), its columns times kappa."""
        return math.sqrt(sum(in_blocks(lambda at: together(V[at] * self._kappa(at[1])) ** 2, V.shape, self.n_threads)))

    def of_logits(self, V, c):
        """What rounding of the logits may change of a mean loss at V (k, d), c (k,)."""
        rest = float(np.abs(c).max(initial=0.0)) + self.offset_size
        if self.is_short:
            return self.eps * LOGITS * (self.size_of(V) + rest)
        terms = np.einsum("cj,j->c", np.abs(V), self.kappa)
        return WORST * self.eps * (float(terms.max(initial=0.0)) + rest)


def together(errors):
    """What independent errors of random signs come to."""
    return math.sqrt(float(np.vdot(errors, errors)))
