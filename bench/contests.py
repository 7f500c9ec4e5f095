"""Contestants of a case: callables without arguments that do the same work once, fastlr's first."""

import numpy as np
from scipy import special

import fastlr

from . import data, peers_numpy, peers_torch


def of_pass(case, n, n_threads):
    """Contestants of a `cases.PassCase` on n rows: fastlr, and numpy and torch where they read such an X."""
    X = data.features(n, case.d, case.dtype, case.order)
    W, b = data.weights(case.k, case.d)
    y = data.labels(n, case.k)
    options = {"loss": case.loss, "scale": case.scale, "n_threads": n_threads}
    contestants = {"fastlr": lambda: fastlr.loss_and_grad(X, W, b, y, **options)}
    if case.peers_read_it:
        contestants["numpy"] = peers_numpy.loss_and_grad(X, W, b, y)
        if torch := peers_torch.torch_on(n_threads):
            contestants["torch"] = peers_torch.loss_and_grad(torch, X, W, b, y)
    return contestants


def of_rows(case, n, n_threads):
    """Contestants of a `cases.RowCase` on n rows: fastlr, numpy, scipy and torch, with `out` where they take it."""
    Z = data.logits(n, case.k, case.dtype)
    if case.function == "sigmoid":
        Z = Z.reshape(-1)
    out, y = np.empty_like(Z), data.labels(n, case.k)  # the warm-up call touches the pages
    arguments = {"logsumexp": (Z,), "cross_entropy_and_grad": (Z, out, y)}.get(case.function, (Z, out))
    contestants = {
        "fastlr": _fastlr_rows(case.function, Z, out, y, n_threads),
        "numpy": getattr(peers_numpy, case.function)(*arguments),
    }
    if case.function == "sigmoid":
        contestants["scipy"] = lambda: special.expit(Z, out=out)
    elif hasattr(special, case.function):
        function = getattr(special, case.function)  # SciPy's have no out=
        contestants["scipy"] = lambda: function(Z, axis=1)
    if torch := peers_torch.torch_on(n_threads):
        contestants["torch"] = peers_torch.rows(torch, case.function, Z, out, y)
    return contestants


def _fastlr_rows(name, Z, out, y, n_threads):
    function = getattr(fastlr, name)
    if name == "logsumexp":
        return lambda: function(Z, n_threads=n_threads)
    if name == "cross_entropy_and_grad":
        return lambda: function(Z, y, out=out, n_threads=n_threads)
    return lambda: function(Z, out=out, n_threads=n_threads)
