"""This build of fastlr against another one, the last release say: no case may become slower than 1.1 times its time.

    python -m fastlr.bench.against PYTHON [suite] [--case TEXT] [--rounds N] [--threads N] [--quick]

PYTHON is an interpreter that has the other build.  Both run the cases of this checkout, in turns, a new process for
each turn; the shortest call of all rounds counts.  The exit status is 1 if a case has become too slow.
"""

import argparse
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from . import contests, fit_data, fit_peers
from .cases import AGAINST_RELEASE, FITS, LABELS, PASSES, ROWS, available
from .settings import Settings

SUITES = ("passes", "rows", "fits", "calls")
CALLS = 500
"""Of a function of few values, timed together: the clock takes its own time."""
SECONDS = 1.0
"""Of calls in a turn, two of them at least."""
LONG = 10.0
"""Seconds; a call that takes as long is the only one of its turn."""
CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("cases_of_this_checkout", sys.argv[1])
package = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from cases_of_this_checkout import against
against.take_turn(*sys.argv[2:])
"""
"""The other build's own fastlr.bench may have other cases: both get this one's, under another name."""


def main(argv=None):
    """Run the cases and print a table for each suite."""
    from fastlr._runtime.threads import resolve_n_threads

    args = _parser().parse_intermixed_args(argv)
    suites = SUITES if args.suite == "all" else [args.suite]
    settings = Settings(resolve_n_threads(args.threads), args.quick)
    pythons = {"this": sys.executable, "other": args.python}
    builds = {name: _child(python, "where") for name, python in pythons.items()}
    if len(set(builds.values())) == 1:
        raise SystemExit(f"{args.python} imports the same fastlr, {builds['other']}; give another build's interpreter")
    print("\n".join(f"{name:<6} {build}" for name, build in builds.items()), flush=True)
    slower = [suite for suite in suites if _run(suite, args, settings, pythons)]
    return int(bool(slower))


def calls(suite, settings):
    """Case -> a function that loads its data and returns the call to be timed."""
    n_threads = settings.n_threads
    if suite == "fits":
        cases = {f"{c.name}, tol={c.to:g}": (partial(c.load, settings), c.to) for c in available((*FITS, LABELS))}
        cases |= {f"{name}, tol=1e-4": (load, 1e-4) for name, load in fit_data.raw_sets(settings).items()}
        return {name: partial(_fit, *case, n_threads) for name, case in cases.items()}
    if suite == "calls":
        names = ("sigmoid", "softmax", "logsumexp", "cross_entropy", "cross_entropy_and_grad")
        return {f"{CALLS} calls of {name}, 1 x 3": partial(_calls, name) for name in names}
    cases, contestants = (PASSES, contests.of_pass) if suite == "passes" else (ROWS, contests.of_rows)
    return {c.name: partial(_contestant, contestants, c, settings.rows(c.n), n_threads) for c in cases}


def take_turn(what, suite="", case="", n_threads="1", quick=""):
    """In a child: print JSON, the seconds of the shortest call of a case, or where fastlr is."""
    if what == "where":
        import fastlr

        print(json.dumps(f"fastlr {fastlr.__version__}, {Path(fastlr.__file__).parent}"))
        return
    call = calls(suite, Settings(int(n_threads), bool(quick)))[case]()
    seconds, least = [], 0 if quick else SECONDS
    while sum(seconds) < LONG and (len(seconds) < 2 or sum(seconds) < least):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(min(seconds)))


def _run(suite, args, settings, pythons):
    """Print the suite's table; whether a case is too slow."""
    from .table import MISSED, Row, Table

    rows = []
    for case in calls(suite, settings):
        if args.case not in case:
            continue
        print(f"measuring {case} ...", end=" ", file=sys.stderr, flush=True)
        best = dict.fromkeys(pythons, float("inf"))
        for i in range(args.rounds):
            for name in list(pythons)[:: -1 if i % 2 else 1]:
                turn = ("time", suite, case, str(settings.n_threads), "quick" * settings.quick)
                best[name] = min(best[name], _child(pythons[name], *turn))
        print(f"{best['this'] / best['other']:.3g}", file=sys.stderr)
        rows.append(Row(case, best, best["this"] / best["other"], "x the time", AGAINST_RELEASE))
    about = f"Milliseconds, best of {args.rounds} rounds of processes that take turns; the result is this over other."
    print(f"\n{Table(f'{suite}: this build against the other', about, rows).render()}", flush=True)
    return any(AGAINST_RELEASE.verdict(row.value) == MISSED for row in rows)


def _child(python, *arguments):
    """What `take_turn` prints under an interpreter; -P keeps the working directory out of its path."""
    command = [python, "-P", "-W", "ignore", "-c", CHILD, str(Path(__file__).with_name("__init__.py")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join([python, *arguments])} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _contestant(contestants, case, n, n_threads):
    return contestants(case, n, n_threads)["fastlr"]


def _calls(name):
    import fastlr

    function = getattr(fastlr, name)
    arguments = (np.zeros((1, 3)), np.zeros(1, int))[: 2 if name.startswith("cross_entropy") else 1]

    def call():
        for _ in range(CALLS):
            function(*arguments)

    return call


def _fit(load, tol, n_threads):
    d = load()
    return fit_peers.fastlr_fit(d.X, d.y, tol=tol, n_threads=n_threads, scale=d.scale)


def _parser():
    parser = argparse.ArgumentParser(prog="fastlr.bench.against", description="This build against another one.")
    parser.add_argument("python", metavar="PYTHON", help="the interpreter of the other build")
    parser.add_argument("suite", nargs="?", default="all", choices=[*SUITES, "all"])
    parser.add_argument("--case", default="", metavar="TEXT", help="only cases whose names contain it")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each build (default: 3)")
    parser.add_argument("--threads", type=int, metavar="N", help="of both builds (default: CPUs of this process)")
    parser.add_argument("--quick", action="store_true", help="small sizes: a trial run")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
