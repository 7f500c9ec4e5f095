"""Fits of hostile problems, judged from outside: ``python -m fastlr.bench.hostile [--n N] [--seed S] [--show SEED]``.

Each problem of hostile_problems.py is fitted in a process of its own that may take LIMIT seconds.  What may not be:

    false proof     objective_ / (1 + suboptimality_) above a value that judge.py finds
    not F           objective_ is not F at (coef_, intercept_): 1e-10 relative, or 1e-6 where X has more than 2^19
                    values of a type computed with in float32 (and an epsilon, which a row's loss is right to),
                    beside what rounding coef_ and intercept_ changes
    not finite      coef_, intercept_ or objective_
    exception       other than a ValueError or TypeError that says what is wrong with the data
    hang            longer than LIMIT: seconds of a processor, so that other work on the machine does not count, or ten
                    times that on the clock
"""

import argparse
import multiprocessing
import os
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from .hostile_problems import problem
from .judge import LONG, Judge

LIMIT = 60.0
FINE = ("proved", "unproved", "refused")
REFUSALS = ("out of range", "underflow", "overflow", "expected", "a classifier needs", "only class")


def judged(seed):
    """What became of the fit of a seed, (kind, details): of a kind in FINE, or a fault."""
    from sklearn.exceptions import ConvergenceWarning

    from fastlr import LogisticRegression

    p = problem(seed)
    story = "; ".join(p.story) + f"; {p.options['solver']} tol {p.options['tol']:g}"
    model = LogisticRegression(**p.options)
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model.fit(p.X, p.y, **p.data)
        except (ValueError, TypeError) as error:
            if any(word in str(error) for word in REFUSALS):
                return "refused", f"{error} [{story}]"
            return "exception", f"{error!r} [{story}] {traceback.format_exc(limit=-2)}"
        except Exception as error:
            return "exception", f"{error!r} [{story}] {traceback.format_exc(limit=-2)}"
    seconds = time.process_time() - started
    kind, details = verdict(p, model)
    if kind in FINE and seconds > 5:
        details = f"slow: {seconds:.1f} s; {details}"
    return kind, f"{details} [{story}]"


def verdict(p, model):
    """What is wrong with a model of the problem, or "proved" or "unproved" where nothing is."""
    if not (np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all() and np.isfinite(model.objective_)):
        return "not finite", f"coef_ {model.coef_} objective_ {model.objective_}"
    if np.isnan(model.suboptimality_) or model.suboptimality_ < 0:
        return "not finite", f"suboptimality_ {model.suboptimality_}"
    judge = Judge(p.X, p.y, p.options, p.data)
    value, got = judge.value(model.coef_, model.intercept_), LONG(model.objective_)
    in_float32 = p.X.size > 1 << 19 and p.X.dtype.itemsize < 8 and p.X.dtype not in (np.int32, np.uint32)
    allowed, eps = (1e-6, np.finfo(np.float32).eps) if in_float32 else (1e-10, np.finfo(np.float64).eps)
    sensitivity = judge.sensitivity(model.coef_, model.intercept_)
    if not abs(got - value) <= allowed * abs(value) + eps * (4 * sensitivity + in_float32) + LONG(1e-300):
        return "not F", f"objective_ {model.objective_:.12g}, F {float(value):.12g}"
    if np.isinf(model.suboptimality_):
        return "unproved", f"objective_ {model.objective_:.10g} n_iter {model.n_iter_[0]}"
    best = judge.optimum((model.coef_, model.intercept_))
    bound = got / (1 + LONG(model.suboptimality_))
    slack = 1e-7 if in_float32 and ("offset" in p.data or p.y.ndim == 2) else 1e-13  # these are rounded to float32
    figures = (f"objective_ {model.objective_:.10g} suboptimality_ {model.suboptimality_:.2g} best {float(best):.10g} "
               f"n_iter {model.n_iter_[0]}")
    if bound > best * (1 + LONG(slack)) + 16 * np.finfo(LONG).eps * sensitivity + LONG(1e-300):
        return "false proof", f"bound {float(bound / best - 1):.2g} above the optimum: {figures}"
    true = float(value / best - 1) if best > 0 else 0.0
    return "proved" if model.suboptimality_ <= p.options["tol"] else "unproved", f"true {true:.1e}: {figures}"


def _serve(connection):
    while True:
        seed = connection.recv()
        try:
            connection.send(judged(seed))
        except Exception as error:
            connection.send(("harness", f"{error!r} {traceback.format_exc(limit=-3)}"))


def _processor_seconds(pid):
    """What a process has had of a processor; the time on the clock where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return time.monotonic()
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class _Worker:
    """A process that is asked for one verdict after the other, and started anew after a hang or a crash."""

    def __init__(self):
        self._start()

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def ask(self, seed, limit=LIMIT):
        """The verdict."""
        used, until = _processor_seconds(self.process.pid), time.monotonic() + 10 * limit
        self.connection.send(seed)
        try:
            while time.monotonic() < until and _processor_seconds(self.process.pid) - used < limit + 30:
                if self.connection.poll(1):
                    return self.connection.recv()
            found = "hang", f"no verdict within {limit} s"
        except EOFError:
            self.process.join(10)
            found = "crash", f"exit code {self.process.exitcode}"
        self.process.kill()
        self._start()
        return found


def main(argv=None):
    """Judge many seeds and print what is at fault, and the counts."""
    parser = argparse.ArgumentParser(prog="python -m fastlr.bench.hostile", description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000, help="problems")
    parser.add_argument("--seed", type=int, default=0, help="of the first problem")
    parser.add_argument("--verbose", action="store_true", help="print every verdict")
    parser.add_argument("--show", type=int, metavar="SEED", help="judge this one in this process")
    args = parser.parse_args(argv)
    if args.show is not None:
        print(*judged(args.show))
        return 0
    worker, counts = _Worker(), Counter()
    for seed in range(args.seed, args.seed + args.n):
        kind, details = worker.ask(seed)
        counts[kind] += 1
        if kind not in FINE or args.verbose or details.startswith("slow"):
            print(f"{seed} {kind}: {details}", flush=True)
    print(f"{args.n} hostile problems from seed {args.seed}: "
          + ", ".join(f"{count} {kind}" for kind, count in counts.most_common()))
    return 1 if set(counts) - set(FINE) else 0


if __name__ == "__main__":
    raise SystemExit(main())
