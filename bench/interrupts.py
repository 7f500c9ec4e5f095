"""Small fits that are interrupted at random instants: what an interrupt must not do.

    python -m fastlr.bench.interrupts --fits 2000 --seed 0

A timer's thread sends SIGINT to the process some random time after each fit has begun. Afterwards the estimator must
have either no model, the last one, or a whole new one (`objective_` is F at `coef_` and `intercept_`), BLAS as many
threads as before, and the next fit must end. A run that hangs prints all stacks and fails.
"""

import argparse
import faulthandler
import os
import signal
import threading
import time
import warnings

import numpy as np
from threadpoolctl import threadpool_info

import fastlr

HANG = 60  # seconds


def main(argv=None):
    """Run; the exit status is 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="fastlr.bench.interrupts")
    parser.add_argument("--fits", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    counts, faults = run(args.fits, args.seed)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults in {args.fits} fits")
    return int(bool(faults))


def run(n_fits, seed=0):
    """Interrupt so many fits: counts of how they ended, and the faults found, a line each."""
    rng = np.random.default_rng(seed)
    problems = [_problem(rng, *shape) for shape in ((300, 5, 2), (400, 8, 3), (2000, 30, 2), (3000, 20, 12))]
    for X, y, model in problems:
        model.fit(X, y)
    threads = _blas_threads()
    counts, faults = {"finished": 0, "ended early": 0, "raised KeyboardInterrupt": 0}, []
    for i in range(n_fits):
        X, y, model = problems[rng.integers(len(problems))]
        if rng.random() < 0.2:
            model = fastlr.LogisticRegression(**model.get_params())
        model.set_params(solver=rng.choice(["auto", "lbfgs", "newton-cholesky", "newton-cg"]))
        faulthandler.dump_traceback_later(HANG, exit=True)
        counts[_interrupted(model, X, y, rng.exponential(0.01))] += 1
        faulthandler.cancel_dump_traceback_later()
        if (after := _blas_threads()) != threads:
            faults.append(f"fit {i}: BLAS has {after} threads, {threads} before")
            threads = after
        if not _is_whole(model, X, y):
            faults.append(f"fit {i}: objective_ is not F at coef_ and intercept_, solver {model.solver}")
    return counts, faults


def _problem(rng, n, d, k):
    X = rng.normal(size=(n, d))
    y = (X @ rng.normal(size=(d, k)) + rng.gumbel(size=(n, k))).argmax(axis=1)
    return X, y, fastlr.LogisticRegression(C=0.1, tol=1e-9)


def _interrupted(model, X, y, delay):
    """How the fit ended that was interrupted after so many seconds."""
    sent = threading.Event()

    def interrupt():
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)
        sent.set()

    timer = threading.Thread(target=interrupt)
    how = None
    try:
        timer.start()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, y)
        how = "ended early" if any("interrupted" in str(w.message) for w in caught) else "finished"
        while not sent.is_set():  # one that comes after the fit
            time.sleep(1e-4)
        time.sleep(1e-4)
    except KeyboardInterrupt:
        how = how or "raised KeyboardInterrupt"
    timer.join()
    return how


def _is_whole(model, X, y):
    """Whether the model, if there is one, belongs together."""
    if not hasattr(model, "coef_"):
        return not hasattr(model, "objective_")
    Z = X @ model.coef_.T + model.intercept_
    if Z.shape[1] == 1:
        Z = np.column_stack([np.zeros(len(Z)), Z])
    top = Z.max(axis=1)
    losses = top + np.log(np.exp(Z - top[:, None]).sum(axis=1)) - Z[np.arange(len(Z)), y]
    value = losses.mean() + (model.coef_**2).sum() / (2 * model.C * len(X))
    return abs(value - model.objective_) <= 1e-9 * value


def _blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


if __name__ == "__main__":
    raise SystemExit(main())
