"""Metrics: positive definite approximations of the Hessian that are cheap to invert.

In the Gram metric the curvature of the losses is the same in all rows, H = J (x) U'U / n with J (k, k) the mean of
d a / d z, as in Boehning's bound (1992, Multinomial logistic regression algorithm); it is exact for a constant model.
"""

import numpy as np
from scipy import linalg

DAMPING = 0.1  # of the mean diagonal


class GramMetric:
    """(j U'U / n + alpha P + damping)^-1, the same for each class.

    Parameters
    ----------
    objective : Objective
    rows : slice or ndarray
        The sample of rows whose Gram matrix is taken.
    curvature : float
        j.
    """

    def __init__(self, objective, rows, curvature):
        self.shape = objective.k, objective.d
        self.fit_intercept = objective.fit_intercept
        H = objective.gram(rows, None if objective.weight is None else objective.weight[rows]) * curvature
        d = objective.d
        diagonal = np.einsum("jj->j", H)
        diagonal[:d] += objective.alpha * objective.factors
        diagonal += DAMPING * diagonal.mean()
        self.factor = linalg.cho_factor(H, lower=True, check_finite=False)

    def solve(self, grad):
        """The step M^-1 grad (size,)."""
        k, d = self.shape
        G = grad[: k * d].reshape(k, d)
        if self.fit_intercept:
            G = np.hstack([G, grad[k * d :, None]])
        S = linalg.cho_solve(self.factor, G.T, check_finite=False).T
        return np.concatenate([S[:, :d].ravel(), S[:, d]]) if self.fit_intercept else S.ravel()
