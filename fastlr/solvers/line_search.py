"""A step along a direction of descent that satisfies the Wolfe conditions, exactly or in their approximate form.

Near the optimum values differ by less than their rounding errors, while slopes are still good: a step is accepted too
when the slope has flattened as a Wolfe step's must and the value has not risen beyond noise (Hager and Zhang 2005, A
new conjugate gradient method with guaranteed descent and an efficient line search, section 4).
"""

import numpy as np

DECREASE = 0.1  # delta: part of the first slope that the value must fall by
FLATTEN = 0.9  # sigma: part of the first slope that the slope may keep
MAX_EVALUATIONS = 20


def search(objective, w, value, grad, direction):
    """A point w + t * direction, t = 1 tried first.

    Parameters
    ----------
    objective : Objective
    w, value, grad
        The start, F and its gradient there.
    direction : ndarray
        Of descent.

    Returns
    -------
    (w, value, grad), or None where no step is acceptable
    """
    slope0 = float(grad @ direction)
    if not slope0 < 0:
        return None
    noise = objective.resolution * abs(value)  # values closer than this are equal
    low, high = (0.0, value, slope0), None  # the bracket: falling at low; high rises or lies above
    step = 1.0
    for evaluation in range(MAX_EVALUATIONS):
        point = w + step * direction
        new_value, new_grad = objective.loss_and_grad(point)
        slope = float(new_grad @ direction) if np.isfinite(new_value) else np.inf
        fell = new_value <= value + DECREASE * step * slope0
        level = new_value <= value + noise and slope <= (2 * DECREASE - 1) * slope0
        if slope >= FLATTEN * slope0 and (fell or level):
            return point, new_value, new_grad
        if slope < 0 and new_value <= value + noise and (fell or high is not None or slope < FLATTEN * slope0):
            low = (step, new_value, slope)
        else:
            high = (step, new_value, slope)
        step = _next_step(low, high, halve=evaluation % 3 == 2)
    return None


def _next_step(low, high, halve):
    """The minimiser of the slopes' straight line inside the bracket, kept away from its ends; beyond it while open.

    Halving now and then moves the end that straight lines leave where it is.
    """
    (a, _, slope_a) = low
    if high is None:
        return 4 * a
    (b, _, slope_b) = high
    if halve:
        return (a + b) / 2
    if np.isfinite(slope_b) and slope_b > slope_a:
        t = a - slope_a * (b - a) / (slope_b - slope_a)
        return min(max(t, a + 0.1 * (b - a)), b - 0.1 * (b - a))
    return a + 0.3 * (b - a)
