"""Solvers of logistic regression, each as a ladder: settings from loose to tight, and a fit for each.

A ladder is a list of (setting, fit); fit() returns W (k, d), b (k,).  Peers get X in the float type and layout they
like best (X as it is, float32 C order), all threads, and the setting that reaches the target soonest counts.
"""

import warnings
from importlib.util import find_spec

import numpy as np

import fastlr

TOLERANCES = tuple(10.0 ** (-j / 2) for j in range(4, 17))
"""1e-2, 3e-3, ... 1e-8: half a decade apart, so that the best setting of a peer is not missed by much."""
ITERATIONS = (25, 50, 100, 200, 400, 800)


def fastlr_fit(X, y, *, tol, n_threads, scale=1.0, **options):
    """A fit by fastlr, which returns the estimator."""
    estimator = fastlr.LogisticRegression(tol=tol, n_threads=n_threads, scale=None if scale == 1 else scale, **options)
    return lambda: estimator.fit(X, y)


def scikit_learn(solver, X, y):
    """scikit-learn's solver, by tol."""
    from sklearn.linear_model import LogisticRegression

    return _estimators(LogisticRegression, X, y, solver=solver)


def scikit_learn_default(X, y):
    """scikit-learn's estimator as it comes: lbfgs, tol=1e-4, at most 100 iterations."""
    from sklearn.linear_model import LogisticRegression

    estimator = LogisticRegression()
    return lambda: estimator.fit(X, y)


def others(X, y, n_threads):
    """Name -> ladder of the installed peers that minimise this objective; snapml and liblinear do for two classes."""
    ladders, is_binary = {}, y.max() == 1
    if find_spec("sklearnex"):
        from sklearnex.linear_model import LogisticRegression

        ladders["sklearnex"] = _estimators(LogisticRegression, X, y, solver="lbfgs")
    if is_binary and find_spec("snapml"):
        ladders["snapml"] = _snapml(X, y, n_threads)
    if is_binary and find_spec("liblinear"):
        ladders["liblinear"] = _liblinear(X, y)
    if find_spec("torch"):
        ladders["torch"] = _torch(X, y, n_threads)
    return ladders


def _estimators(cls, X, y, **options):
    def fit(tol):
        estimator = cls(tol=tol, max_iter=10_000, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, y)
        return estimator.coef_, estimator.intercept_

    return [(f"tol={tol:.0e}", lambda tol=tol: fit(tol)) for tol in TOLERANCES]


def _snapml(X, y, n_threads):
    """Its intercept is penalised, which may keep it from the optimum."""
    from snapml import LogisticRegression

    def fit(tol):
        estimator = LogisticRegression(
            regularizer=1.0, fit_intercept=True, tol=tol, max_iter=1000, n_jobs=n_threads, random_state=0
        ).fit(X, y)
        return np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_)

    return [(f"tol={tol:.0e}", lambda tol=tol: fit(tol)) for tol in TOLERANCES]


def _liblinear(X, y):
    """Two classes; -R leaves the intercept out of the penalty."""
    from liblinear.liblinearutil import problem, train

    def fit(eps):
        model = train(problem(2 * y - 1, X, bias=1), f"-s 0 -B 1 -R -c 1 -e {eps} -q")
        W, b = model.get_decfun()
        return np.asarray(W)[None], np.atleast_1d(b)

    return [(f"-e {eps:.0e}", lambda eps=eps: fit(eps)) for eps in TOLERANCES]


def _torch(X, y, n_threads):
    """Full-batch LBFGS with a strong Wolfe line search, by iterations."""
    from . import peers_torch

    torch = peers_torch.torch_on(n_threads)
    n, d = X.shape
    k = int(y.max()) + 1 if y.max() > 1 else 1
    x = torch.from_numpy(X)
    if k > 1:
        target, loss_of = torch.from_numpy(y).long(), torch.nn.functional.cross_entropy
    else:
        target = torch.from_numpy(y).to(x.dtype)[:, None]
        loss_of = torch.nn.functional.binary_cross_entropy_with_logits

    def fit(max_iter):
        W, b = torch.zeros(k, d, requires_grad=True), torch.zeros(k, requires_grad=True)
        solver = torch.optim.LBFGS(
            [W, b], max_iter=max_iter, history_size=10, line_search_fn="strong_wolfe", tolerance_grad=0,
            tolerance_change=0,
        )

        def closure():
            solver.zero_grad()
            loss = loss_of(torch.nn.functional.linear(x, W, b), target) + W.square().sum() / (2 * n)
            loss.backward()
            return loss

        solver.step(closure)
        return W.detach().numpy(), b.detach().numpy()

    return [(f"{m} iterations", lambda m=m: fit(m)) for m in ITERATIONS]
