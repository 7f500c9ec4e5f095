"""Solvers: they ask an objective for values, gradients, second derivatives and, some of them, rows of features.

`minimise` is the one entry; docs/solvers.md tells the algorithms, their sources and when each is chosen.

L-BFGS, Newton-CG, their line search and the record of their progress ask an objective for no more than

    n_passes, resolution              passes so far, the relative rounding error of a value
    loss_and_grad(w)                  F and its gradient
    hessp(w, u)                       the Hessian at w times u
    along(w, s)                       a line w + t s: its value_and_slope(t), its end(t) -> w, F and gradient there, and
                                      `flat`, the part of the first slope that ends a search
    lower_bound(w, value, grad)       a number that the optimal value is not below
    promised_bound, shifted_bound     of the same: what a better bound may come to, and that bound, for passes
    blame()                           the error to raise where F is not finite

The choice of the solver, metrics, class models and exact Newton steps are for `fastlr.model.objective.Objective`.
"""

from fastlr.solvers.auto import SOLVERS, minimise
from fastlr.solvers.result import Result

__all__ = ["SOLVERS", "Result", "minimise"]
