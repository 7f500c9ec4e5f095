"""Random calls of every public function against long doubles: ``python -m fastlr.bench.oracle --calls N --seed S``.

    functions of one number, of rows     ULP as in bench/ulp.py
    residuals A - Y                      5 ULP of each element where Y is 0 or 1, also where A rounds to 1; else 6 of
                                         the larger of A and Y; then one rounding for the weight
    losses of rows                       3.5 ULP; 1 more (2 where classes are independent) where targets are
                                         probabilities or smoothed, and 2.5 ULP of a target that is smoothed
    logarithms of sums of k terms        half a subnormal more for each term; where maximum and logarithm cancel, what
                                         float64 leaves of a float32 result and long double of a float64 one
    sums of losses                       4 machine epsilons of what is added; 2^-53 of it and 2^-1075 for each loss, of
                                         which rows of independent classes have k
    logits of a linear model             4 + d / 16 machine epsilons of what is added, all signs positive
    sums over its rows                   4 + n / 16 likewise, n at most 2048: rows alike err alike
    steps of Trainer                     what the sums behind them may be off

Where the exact value rounds to a finite number that is expected, else the infinity of its sign, nan for nan.  Rows that
are finite are held to their bounds whatever other rows hold; rows of weight 0 give 0 whatever they hold.  Each call is
made on one instruction set; a call that ends the process is a fault like any other.  Failures are printed as
``SEED:INDEX ...``, which ``--seed SEED --first INDEX --calls 1`` repeats.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from fastlr import _core

from . import long_double
from .draw import Draw
from .oracle_functions import Fault, along_rows, elementwise, one_hot, softmax_jacobian
from .oracle_losses import binary_cross_entropy, cross_entropy
from .oracle_models import loss_and_grad, trainer

ISAS = tuple(_core.available_isas())
HANG = 60  # seconds without a call that ends

CALLS = {  # how often, and how
    "sigmoid": (10, elementwise("sigmoid")), "sigmoid_derivative": (5, elementwise("sigmoid_derivative")),
    "log_sigmoid": (8, elementwise("log_sigmoid")), "logit": (5, elementwise("logit")),
    "softmax": (15, along_rows("softmax")), "log_softmax": (12, along_rows("log_softmax")),
    "logsumexp": (10, along_rows("logsumexp")), "softmax_jacobian": (2, softmax_jacobian), "one_hot": (2, one_hot),
    "cross_entropy": (14, cross_entropy), "binary_cross_entropy": (9, binary_cross_entropy),
    "loss_and_grad": (6, loss_and_grad), "Trainer": (2, trainer),
}
NAMES = tuple(CALLS)
_WHEEL = [name for name, (share, _) in CALLS.items() for _ in range(share)]


def make_call(seed, index):
    """One call: its function, instruction set, and what is wrong with it or None."""
    draw = Draw(seed, index)
    name, isa = draw.choice(_WHEEL), draw.choice(ISAS)
    before = _core.isa_name()
    _core.select_isa(isa)
    try:
        with np.errstate(all="ignore"):
            CALLS[name][1](draw)
    except Fault as fault:
        return name, isa, str(fault)
    except Exception as error:
        return name, isa, f"{type(error).__name__}: {error}"
    finally:
        _core.select_isa(before)
    return name, isa, None


# ---- running --------------------------------------------------------------------------------------------------------
class State:
    """What a worker has done, in a file that outlives it: the index it is at, calls and faults by function and ISA."""

    def __init__(self, path):
        size = 2 + 2 * len(NAMES) * len(ISAS)
        if not path.exists():
            path.write_bytes(bytes(8 * size))
        self.values = np.memmap(path, np.int64, "r+", shape=size)
        self.table = self.values[2:].reshape(2, len(NAMES), len(ISAS))

    def count(self, name, isa, fault):
        """One more call."""
        self.table[0, NAMES.index(name), ISAS.index(isa)] += 1
        self.table[1, NAMES.index(name), ISAS.index(isa)] += fault


def work(seed, first, last, deadline, state):
    """The calls [first, last), until the deadline; faults are printed."""
    warnings.simplefilter("ignore")
    for index in range(first, last):
        if time.time() > deadline:
            break
        state.values[0] = index
        name, isa, fault = make_call(seed, index)
        state.count(name, isa, fault is not None)
        if fault:
            print(f"{seed}:{index} {name} {isa}: {fault}", flush=True)
        state.values[0] = index + 1


def supervise(seed, first, last, deadline, path):
    """Workers, one after another: a call that ends its process, or does not end, is printed, and skipped."""
    state = State(path)
    crashes = 0
    while first < last and time.time() < deadline:
        command = [sys.executable, "-m", __spec__.name, "--seed", seed, "--first", first, "--calls", last - first,
                   "--seconds", deadline - time.time(), "--worker", path]
        worker = subprocess.Popen(list(map(str, command)))
        seen, since = -1, time.time()
        while worker.poll() is None:
            if state.values[0] != seen:
                seen, since = int(state.values[0]), time.time()
            if time.time() - since > HANG:
                worker.kill()
            time.sleep(0.05)
        if worker.returncode == 0:
            break
        first = int(state.values[0]) + 1
        crashes += 1
        how = "no end" if time.time() - since > HANG else f"the process ended with {worker.returncode}"
        print(f"{seed}:{first - 1} {describe(seed, first - 1)}: {how}, at this call or by one before it", flush=True)
    return state, crashes


def describe(seed, index):
    """Function and instruction set of a call that is not made."""
    draw = Draw(seed, index)
    return f"{draw.choice(_WHEEL)} {draw.choice(ISAS)}"


def main(argv=None):
    """Make the calls and print the counts; the exit status is 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m fastlr.bench.oracle", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="how many (20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="index of the first (0)")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if not long_double.WIDE_ENOUGH:
        parser.error("long double is no wider than double here")
    span = options.seed, options.first, options.first + options.calls, time.time() + options.seconds
    if options.worker:
        work(*span, State(options.worker))
        return 0
    start = time.time()
    with tempfile.TemporaryDirectory() as folder:
        state, crashes = supervise(*span, Path(folder) / "state")
        calls, faults = np.array(state.table)
        del state
    print(f"\n{'calls (faults)':24}" + "".join(f"{isa:>20}" for isa in ISAS))
    for name, made, wrong in zip(NAMES, calls, faults, strict=True):
        print(f"{name:24}" + "".join(f"{f'{m} ({w})':>20}" for m, w in zip(made, wrong, strict=True)))
    print(f"{calls.sum()} calls, {faults.sum()} with wrong values or errors, {crashes} ended the process; "
          f"{time.time() - start:.0f} s")
    return int(faults.sum() + crashes > 0)


if __name__ == "__main__":
    raise SystemExit(main())
