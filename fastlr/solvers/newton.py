"""Newton's method: with the whole Hessian factorised, or by conjugate gradients with a metric as preconditioner.

A factorised Hessian serves a few steps: changes of the gradient tell L-BFGS how the curvature changes meanwhile, which
costs a pass where a new Hessian costs as many operations as hundreds.

Newton-CG solves H s = -g until ||H s + g|| <= eta ||g|| in the metric's norm, eta = min(1/2, sqrt(||g|| / ||g_0||)):
superlinear convergence without solving early systems too well (Dembo and Steihaug 1983; Eisenstat and Walker 1996).
"""

import numpy as np
from scipy.linalg import lapack

from fastlr.model.hessian import cholesky
from fastlr.solvers.lbfgs import METRIC_PASSES, REFRESH, Pairs, lbfgs
from fastlr.solvers.line_search import search
from fastlr.solvers.state import STALLED

MAX_CG = 200  # products of a step
PRODUCT_SIZE = 8  # parameters for each of which a Hessian takes the operations of one product
FLAT = 0.25  # curvature of a feature at most, added where rows far on the wrong side have none, for steps too long


def newton_cholesky(objective, progress):
    """Minimise from the best point of `progress`: L-BFGS in the metric of the whole Hessian, renewed now and then."""
    tried = np.inf  # decrement of the last bound, which costs as much as a few steps
    stalled_at = np.inf
    while not progress.message:
        point = progress.point
        solve = hessian_solver(objective, point)
        decrement = float(point.grad @ solve(point.grad))
        if not objective.has_dual and decrement <= min(progress.tol * progress.value, 0.1 * tried):
            tried = decrement
            progress.see_exactly(*objective.newton_bound(point.w))
        lbfgs(objective, progress, solve, Pairs(), METRIC_PASSES)
        if progress.message == STALLED and progress.value < (1 - progress.tol) * stalled_at:
            stalled_at, progress.message = progress.value, ""
            lbfgs(objective, progress, hessian_solver(objective, progress.point, FLAT), Pairs(), REFRESH)


def hessian_solver(objective, point, damping=0.0):
    """A function that multiplies (size,) with the inverse of the Hessian at a Point, and so much on its diagonal."""
    H = objective.hessian(point)
    diagonal = np.einsum("jj->j", H)
    diagonal += damping
    solve = factorised(objective, H)
    return lambda r: without_idle(objective, solve(r))


def factorised(objective, H):
    """A function that multiplies (size,) with the inverse of a Hessian (size, size), which is used up."""
    if not np.isfinite(np.einsum("jj->j", H)).all():
        raise objective.blame()
    L = cholesky(H, objective.rows.k, objective.rows.loss)
    return lambda x: lapack.dpotrs(L, x, lower=1)[0]


def newton_cg(objective, progress, metric, whole=None):
    """Minimise from the best point of `progress` by truncated Newton steps, each in the metric of its start.

    That is whole(point), a function that multiplies with the inverse of the Hessian, once a step has taken products for
    more operations than this takes; None: never.
    """
    first, n_products, is_dear = None, 0, False

    def step(point):
        nonlocal n_products, is_dear

        def is_done(_, size, start):
            nonlocal first
            first = start if first is None else first
            return size <= min(0.25, (start / first) ** 0.5) * start

        def product(p):
            nonlocal n_products
            n_products += 1
            return objective.hessp(point, p)

        is_dear = is_dear or (whole is not None and n_products * PRODUCT_SIZE > objective.size)
        solve, grad, n_products = whole(point) if is_dear else metric(point).solve, point.grad, 0
        s = conjugate_gradients(product, solve, -grad, is_done, MAX_CG, objective.resolution)
        return s if s.any() else -solve(grad)

    point = progress.point
    while not progress.stop():
        point = search(objective, point, step(point))
        if point is None:
            progress.stall()
            return
        progress.see(point)


def without_idle(objective, w):
    """w (size,) without what changes no value: the mean of softmax's classes where nothing is penalised.

    Rounding fills it, and the Hessian has no curvature to take it back; metrics keep it out themselves.
    """
    idle = objective.penalty.strength == 0
    if objective.rows.loss != "softmax" or not idle.any():
        return w
    W = objective.matrix(w)
    return (W - np.where(idle, np.add.reduce(W, axis=0) / len(W), 0.0)).ravel()


def conjugate_gradients(product, solve, b, is_done, most, noise):
    """s of H s = b by conjugate gradients: product(p) is H p, solve(r) M^-1 r of a metric.

    Until is_done(r, <r, M^-1 r>, <b, M^-1 b>) of the residual r; after `most` products, or where a direction has no
    curvature beyond the relative error `noise` of products, s as it is.
    """
    s, r, z = np.zeros_like(b), b, solve(b)
    p, start = z, float(b @ z)
    rz = start
    for _ in range(most):
        Hp = product(p)
        curvature = float(p @ Hp)
        if not (rz > 0 and curvature > noise * float(np.linalg.norm(p) * np.linalg.norm(Hp))):
            break
        t = rz / curvature
        s += t * p
        r = r - t * Hp
        z = solve(r)
        rz, last = float(r @ z), rz
        if not rz > 0 or is_done(r, rz, start):
            break
        p = z + (rz / last) * p
    return s
