"""What a solver returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Result:
    """The end of a minimisation.

    Attributes
    ----------
    w : ndarray (size,)
        The best point seen, in the objective's coordinates.
    value : float
        F(w).
    lower_bound : float
        A number that the optimal value is proved not to be below.
    suboptimality : float
        (value - lower_bound) / lower_bound, which (F - F*) / F* cannot exceed; inf where no bound above 0 is known.
    n_iter : int
    n_passes : float
        Passes over the rows, samples in proportion.
    converged : bool
        Whether the suboptimality is at most the tolerance.
    message : str
        Why the solver stopped.
    solver : str
        The one that was used.
    """

    w: np.ndarray
    value: float
    lower_bound: float
    suboptimality: float
    n_iter: int
    n_passes: float
    converged: bool
    message: str
    solver: str
