"""Newton's method: with the whole Hessian factorised, or by conjugate gradients with a metric as preconditioner.

Newton-CG solves H s = -g until ||H s + g|| <= eta ||g|| in the metric's norm, eta = min(1/2, sqrt(||g|| / ||g_0||)):
superlinear convergence without solving early systems too well (Dembo and Steihaug 1983; Eisenstat and Walker 1996).
"""

import numpy as np
from scipy import linalg

from fastlr.curvature import hessian
from fastlr.solvers.line_search import search

MAX_CG = 200


def newton_cholesky(objective, w, progress):
    """Minimise from w by exact Newton steps."""
    k, d = objective.k, objective.d

    def step(w, grad):
        H = hessian(objective, w)
        objective.n_passes += 1
        diagonal = np.einsum("jj->j", H)
        mean = diagonal.mean()
        if objective.loss == "softmax":  # adding one row to all classes changes no probability: fix that freedom
            gauge = H[: k * d, : k * d].reshape(k, d, k, d)
            gauge += mean * np.eye(d)[:, None, :]
            H[k * d :, k * d :] += mean
        damping = objective.resolution * mean
        while True:
            try:
                return -linalg.cho_solve(linalg.cho_factor(H, lower=True, check_finite=False), grad, check_finite=False)
            except linalg.LinAlgError:  # rounding has made it indefinite
                damping = max(damping, np.finfo(float).tiny) * 10
                diagonal += damping

    _newton(objective, w, progress, step)


def newton_cg(objective, w, progress, metric):
    """Minimise from w by truncated Newton steps in the metric of each step's start, metric(w)."""
    first = None

    def step(w, grad):
        nonlocal first
        solve = metric(w).solve
        z = solve(grad)
        size = float(grad @ z)
        first = size if first is None else first
        enough = min(0.25, (size / first) ** 0.5) * size  # of squared norms: eta^2
        s, r, p = np.zeros_like(grad), -grad, -z
        z, rz = p.copy(), size
        for _ in range(MAX_CG):
            Hp = objective.hessp(w, p)
            curvature = float(p @ Hp)
            if not curvature > 0:
                break
            t = rz / curvature
            s += t * p
            r = r - t * Hp
            z = solve(r)
            rz, last = float(r @ z), rz
            if rz <= enough:
                break
            p = z + (rz / last) * p
        return s if s.any() else -solve(grad)

    _newton(objective, w, progress, step)


def _newton(objective, w, progress, step):
    value, grad = objective.loss_and_grad(w)
    progress.see(w, value, grad)
    while not progress.stop():
        found = search(objective, w, value, grad, step(w, grad))
        if found is None:
            progress.stall()
            return
        w, value, grad = found
        progress.see(w, value, grad)
