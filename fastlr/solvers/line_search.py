"""A step along a direction of descent that satisfies the strong Wolfe conditions, exactly or in their approximate form.

Near the optimum values differ by less than their rounding errors, while slopes are still good: a step is accepted too
when the slope has flattened and the value has not risen beyond noise (Hager and Zhang 2005, A new conjugate gradient
method with guaranteed descent and an efficient line search, section 4).
"""

import numpy as np

from fastlr.model.numerics import TINY

DECREASE = 0.1  # part of the first slope that the value must fall by
MAX_EVALUATIONS = 20  # lengths tried: then rounding hides the descent
MOST = 4.0  # times a length, that extrapolation may go


def search(objective, point, direction):
    """The next Point along a direction of descent, from w to w + t * direction, or None where no step is acceptable.

    The objective's `along` has the line, which says by how much a slope has to fall.
    """
    value, slope0 = point.value, float(point.grad @ direction)
    if not slope0 < -TINY:
        return None
    line = objective.along(point, direction)
    noise = objective.resolution * abs(value)  # values closer than this are equal
    low, high = (0.0, slope0), None  # the bracket: falling at low; high rises or lies above
    t = 1.0
    for evaluation in range(MAX_EVALUATIONS):
        new_value, slope = line.value_and_slope(t)
        fell = new_value <= value + DECREASE * t * slope0
        level = new_value <= value + noise and slope <= (2 * DECREASE - 1) * slope0
        if abs(slope) <= -line.flat * slope0 and (fell or level):
            return line.end(t)
        if slope < 0 and new_value <= value + noise and (fell or high is not None or slope < line.flat * slope0):
            low = (t, slope)
        else:
            high = (t, slope)
        t = _next_length(low, high, slope0, halve=evaluation % 3 == 2)
    return None


def _extrapolated(slope0, slope, t):
    """Where slopes that change on a straight line from slope0 at 0 through slope at t reach 0, at most MOST t."""
    return t * slope0 / min(slope0 - slope, slope0 / MOST)


def _next_length(low, high, slope0, halve):
    """The minimiser of the slopes' straight line inside the bracket, kept away from its ends; beyond it while open.

    Halving now and then moves the end that straight lines leave where it is.
    """
    a, slope_a = low
    if high is None:
        return max(_extrapolated(slope0, slope_a, a), 2 * a)
    b, slope_b = high
    if halve:
        return (a + b) / 2
    if np.isfinite(slope_b) and slope_b > slope_a:
        t = a - slope_a * (b - a) / (slope_b - slope_a)
        return min(max(t, a + 0.1 * (b - a)), b - 0.1 * (b - a))
    return a + 0.3 * (b - a)
