"""F and a lower bound of the optimum from a pass in float64, where X is computed in float32.

An L1 penalty's bound asks that no gradient exceeds its share, relatively: float32's rounding alone may be more than a
tolerance then. Blocks of rows are converted, so that this costs a few passes but no copy of X.
"""

from dataclasses import replace

from fastlr.model.line import Point
from fastlr.model.numerics import EPS
from fastlr.model.rounding import Rounding
from fastlr.model.rows_loss import loss_and_grad_in_float64


def promised_exactly(objective, point):
    """What `exact_bound` would be if float32 had lost nothing at a Point."""
    W = objective.matrix(point.w)
    G = objective.matrix(point.grad) - objective.penalty.gradient(W)
    dual = _dual(objective)
    S = point.value - objective.penalty.value(W)
    return dual.of_point(W, S, G, most=point.value, is_balanced=True) if objective.has_dual else 0.0


def exact_bound(objective, w):
    """The Point w and a number that the optimal value is not below."""
    W, s = objective.matrix(w), objective.rows.total_weight
    total, G = objective.rows.over_parts(loss_and_grad_in_float64, W)
    value = total / s + objective.penalty.value(W)
    bound = _dual(objective).of_point(W, total / s, G / s, most=value)
    return Point(w, value, (G / s + objective.penalty.gradient(W)).ravel()), bound


def _dual(objective):
    known = objective.rounding
    return replace(objective.dual, rounding=Rounding(EPS, known.centre, known.effective_rows, known.offset_size))
