"""Newton's method: with the whole Hessian factorised, or by conjugate gradients with a metric as preconditioner.

A factorised Hessian serves a few steps: changes of the gradient tell L-BFGS how the curvature changes meanwhile, which
costs a pass where a new Hessian costs as many operations as hundreds.

Newton-CG solves H s = -g until ||H s + g|| <= eta ||g|| in the metric's norm, eta = min(1/2, sqrt(||g|| / ||g_0||)):
superlinear convergence without solving early systems too well (Dembo and Steihaug 1983; Eisenstat and Walker 1996).
"""

import numpy as np
from scipy.linalg import lapack

from fastlr.model.hessian import hessian
from fastlr.model.newton_bound import newton_bound
from fastlr.solvers.lbfgs import Pairs, lbfgs
from fastlr.solvers.line_search import LineSearch

MAX_CG = 200  # products of a step
REUSED = 3  # passes that a Hessian serves


def newton_cholesky(objective, progress):
    """Minimise from the best point of `progress`: L-BFGS in the metric of the whole Hessian, renewed now and then."""
    while not progress.message:
        solve = hessian_solver(objective, progress.w)
        decrement = float(progress.grad @ solve(progress.grad))
        if not objective.is_penalised and decrement <= progress.tol * progress.value:
            progress.see_exactly(*newton_bound(objective, progress.w))
        lbfgs(objective, progress, solve, Pairs(), REUSED)


def hessian_solver(objective, w):
    """A function that multiplies (size,) with the inverse of the Hessian at w."""
    objective.n_passes += 0.5
    solve = factorised(objective, hessian(objective, w))
    return lambda x: objective.flat(solve(objective.by_class(x)))


def factorised(objective, H):
    """A function that multiplies (k, D) with the inverse of a Hessian (k D, k D), which is used up."""
    k = objective.k
    diagonal = np.einsum("jj->j", H)
    if not np.isfinite(diagonal).all():
        raise objective.blame()
    if objective.loss == "softmax":  # adding one row to all classes changes no probability: fix that freedom
        H += np.tile(np.diag(diagonal.reshape(k, -1).mean(axis=0)), (k, k))
    relative = np.finfo(float).eps
    while True:
        diagonal *= 1 + relative
        L, failed = lapack.dpotrf(H, lower=1)
        if not failed:
            return lambda x: lapack.dpotrs(L, x.ravel(), lower=1)[0].reshape(k, -1)
        relative *= 10  # rounding made it indefinite, or a feature has no curvature
        diagonal[diagonal <= 0] = 1.0


def newton_cg(objective, progress, metric):
    """Minimise from the best point of `progress` by truncated Newton steps, each in metric(w) of its start."""
    first = None

    def step(w, grad):
        solve = metric(w).solve

        def is_done(_, size, start):
            nonlocal first
            first = start if first is None else first
            return size <= min(0.25, (start / first) ** 0.5) * start

        s = conjugate_gradients(lambda p: objective.hessp(w, p), solve, -grad, is_done, MAX_CG, objective.resolution)
        return s if s.any() else -solve(grad)

    w, value, grad = progress.w, progress.value, progress.grad
    while not progress.stop():
        found = LineSearch(objective).search(w, value, grad, step(w, grad))
        if found is None:
            progress.stall()
            return
        w, value, grad = found
        progress.see(w, value, grad)


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
