"""A fit over rows that lie with Ray actors: each returns sums over its rows, which add up.

    pip install ray scipy
"""

import numpy as np
import ray
from scipy.optimize import minimize

import fastlr

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
digits, labels = fastlr.datasets.load_digits()
alpha = 1 / len(digits)                               # C = 1


@ray.remote(num_cpus=1)
class Part:
    """Rows that stay with one worker."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def sums(self, W, b):
        return fastlr.partial_loss_and_grad(self.X, self.y, W, b, scale=1 / 16, n_threads=1)


parts = [Part.remote(digits[start::2], labels[start::2]) for start in range(2)]


def objective(v):
    W, b = v[:640].reshape(10, 64), v[640:]
    sums = ray.get([part.sums.remote(W, b) for part in parts])
    loss, G, g, weight = (sum(values) for values in zip(*sums, strict=True))
    value = loss / weight + alpha / 2 * np.sum(W * W)
    return value, np.concatenate([(G / weight + alpha * W).ravel(), g / weight])


options = {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8}
found = minimize(objective, np.zeros(650), jac=True, method="L-BFGS-B", options=options)
here = fastlr.LogisticRegression(scale=1 / 16, tol=1e-10).fit(digits, labels)
print(f"{found.nit} iterations, objective {found.fun:.9f}; of LogisticRegression {here.objective_:.9f}")
ray.shutdown()
