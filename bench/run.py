"""The command ``fastlr bench``: run suites, print each table as soon as it is there, keep them as JSON if asked to."""

import argparse
import json
import sys
from importlib import import_module

from threadpoolctl import threadpool_limits

from fastlr._runtime.threads import resolve_n_threads

from . import machine
from .settings import Settings

SUITES = {
    "functions": ("rows", "against_numpy"),
    "passes": ("passes", "tables"),
    "rows": ("rows", "tables"),
    "training": ("training", "tables"),
    "import": ("imports", "tables"),
    "fits": ("fits", "tables"),
    "probes": ("probes", "tables"),
    "sweeps": ("sweeps", "tables"),
    "sparse": ("sparse", "tables"),
    "wide": ("wide", "tables"),
    "streams": ("streams", "tables"),
    "blocks": ("blocks", "tables"),
    "mapped": ("mapped", "tables"),
    "scale": ("scale", "tables"),
}
"""Suite -> the module of this package and the function in it that yields its tables."""
LONG = ("fits", "probes", "sweeps", "sparse", "wide", "streams", "blocks", "mapped", "scale")
"""Suites that run only when named, or with "all"."""


def main(argv=None):
    """Run the suites named in `argv`; see `fastlr.bench.main`."""
    args = _parser().parse_args(argv)
    settings = Settings(resolve_n_threads(args.threads), args.quick, args.gigabytes)
    named = {"default": [name for name in SUITES if name not in LONG], "all": list(SUITES)}
    suites = [suite for name in args.suites or ["default"] for suite in named.get(name, [name])]
    if args.quick:
        print("A quick run, to see that everything runs: its figures mean nothing.\n")
    done = []
    with threadpool_limits(settings.n_threads):
        facts = machine.describe(settings)
        print("\n".join(facts), flush=True)
        for suite in suites:
            print(f"measuring {suite} ...", file=sys.stderr, flush=True)
            module, function = SUITES[suite]
            for table in getattr(import_module(f".{module}", __package__), function)(settings):
                print(f"\n{table.render()}", flush=True)
                done.append({"suite": suite, **table.as_dict()})
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"machine": facts, "quick": args.quick, "tables": done}, file, indent=1)
    return 0


def _suite(name):
    if name not in (*SUITES, "default", "all"):
        raise argparse.ArgumentTypeError(f"{name!r} is no suite; expected one of {', '.join(SUITES)}, default, all")
    return name


def _parser():
    parser = argparse.ArgumentParser(prog="fastlr bench")
    parser.description = "Measure fastlr and its peers in one run, against limits of the machine measured on the spot."
    parser.add_argument(
        "suites", nargs="*", metavar="suite", type=_suite,
        help=f"what to measure: {', '.join(SUITES)}, all, or default: everything but {', '.join(LONG)}, which takes "
             f"long",
    )
    parser.add_argument("--gigabytes", type=float, default=1.0, metavar="G",
                        help="size of each file of the suite mapped (default: 1)")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round: a trial run")
    parser.add_argument("--json", metavar="FILE", help="write the tables to FILE as well")
    parser.add_argument("--threads", type=int, metavar="N", help="of all contestants (default: CPUs of this process)")
    return parser
