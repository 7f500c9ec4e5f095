"""The table of docs/numerics.md: ``python -m fastlr.bench.numerics [--points N] [--exhaustive [EVERY]]``.

The largest error of every function in ULP of the exact result, which mpmath computes with 240 bits; by dtype and
instruction set, beside SciPy's (NumPy's for exp and log) at the same points.  ``--exhaustive`` instead runs through all
float32 numbers (or every EVERY-th), for the functions of one argument, against float64.
"""

import argparse
import datetime
import platform
from importlib.metadata import version

import mpmath
import numpy as np
import scipy.special

from fastlr import _core, reference

from .ulp import ULP, ulp_error

PEER = "scipy"  # NumPy for exp and log
PACKAGES = ("fastlr", "numpy", "scipy", "mpmath")
REALS = ("float32", "float64")
SIGMAS = (1, 8, 100)
CLASSES = (2, 3, 10, 40, 100, 1000)  # rows across and along the vectors, with and without remainders
ROW_FUNCTIONS = ("softmax", "log_softmax", "logsumexp", "cross_entropy")
# where a logsumexp is smaller than this part of its largest logit, the judge runs out of digits (float64), or float64
# does, in which it is made again (float32)
CANCELLED = {"float64": 2.0**-9, "float32": 2.0**-27}
TINY = mpmath.mpf("1e-4000")  # 0 in either dtype, still within long double
BITS = 240
CHUNK = 1 << 22


# ---- elementwise: exact values, SciPy's, and where to look ----------------------------------------------------------
def _exact_sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


EXACT = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sigmoid": _exact_sigmoid,
    "log_sigmoid": lambda z: -mpmath.log1p(mpmath.exp(-z)),
    "sigmoid_derivative": lambda z: _exact_sigmoid(z) * _exact_sigmoid(-z),
    "logit": lambda p: mpmath.log(p / (1 - p)),
}
PEERS = {
    "exp": np.exp,
    "log": np.log,
    "sigmoid": scipy.special.expit,
    "log_sigmoid": scipy.special.log_expit,
    "sigmoid_derivative": lambda z: scipy.special.expit(z) * scipy.special.expit(-z),
    "logit": scipy.special.logit,
}
# in float64, whose errors do not count against float32
IN_FLOAT64 = {
    "exp": np.exp, "log": np.log, "sigmoid": reference.sigmoid, "log_sigmoid": reference.log_sigmoid,
}


def _arguments(function, dtype, rng, count):
    """Name of a set of points -> its points (count,)."""
    info = np.finfo(dtype)
    if function in ("log", "logit"):
        near, tiny = (1, info.tiny) if function == "log" else (0.5, info.smallest_subnormal)
        ulps = rng.integers(-1000, 1000, count) * info.eps
        sets = {
            "uniform": rng.random(count),
            f"near {near}": near + ulps,
            "every binade": 2.0 ** rng.uniform(np.log2(tiny), 0 if function == "logit" else info.maxexp - 1, count),
            "subnormal": info.smallest_subnormal * rng.integers(1, 1 << 20, count),
        }
        sets["near 1"] = 1 - np.abs(ulps) - info.epsneg
    else:
        smallest, largest = np.log(float(info.smallest_subnormal)), np.log(float(info.max))
        sets = {f"sigma {sigma}": sigma * rng.normal(size=count) for sigma in SIGMAS}
        sets["whole range"] = rng.uniform(smallest, largest, count)
        sets["subnormal"] = rng.uniform(smallest, np.log(float(info.tiny)), count) * rng.choice([-1, 1], count)
        sets["tiny"] = 2.0 ** rng.uniform(-60, 0, count) * rng.choice([-1, 1], count)
    return {name: values.astype(dtype) for name, values in sets.items()}


# ---- rows -----------------------------------------------------------------------------------------------------------
def _rows(dtype, k, rng, n):
    """Name of a set of logits -> (n, k)."""
    info = np.finfo(dtype)
    sets = {f"sigma {sigma}": sigma * rng.normal(size=(n, k)) for sigma in SIGMAS}
    sets["ties"] = rng.integers(-2, 3, (n, k)) * rng.choice([1, 20, 300], (n, 1))
    sets["large"] = rng.choice([-1, 1], (n, k)) * rng.choice([1e3, 1e4, 1e30], (n, 1)) + rng.normal(size=(n, k))
    below = rng.uniform(-float(np.log(info.max)) - info.nmant * np.log(2), -float(np.log(info.max)) + 5, (n, k))
    below[np.arange(n), rng.integers(k, size=n)] = 0
    sets["subnormal"] = below
    sets["-inf"] = np.where(rng.random((n, k)) < 0.3, -np.inf, rng.normal(size=(n, k)))
    sets["-inf"][:, 0] = 0
    sets["cancelling"] = -np.log(k) + 10.0 ** rng.uniform(-8, -0.5, (n, 1)) * rng.normal(size=(n, k))
    sets["cancelling"][0] = -np.log(k)
    return {name: Z.astype(dtype) for name, Z in sets.items()}


def _exact_rows(Z, y):
    """Function -> exact values at the rows of Z, labels y; every sum without cancellation but the last of logsumexp."""
    results = {function: [] for function in ROW_FUNCTIONS}
    for row, label in zip(Z.tolist(), y, strict=True):
        z = [mpmath.mpf(value) for value in row]
        largest = max(z)
        argmax = z.index(largest)
        terms = [mpmath.exp(value - largest) for value in z]
        log_sum = mpmath.log1p(sum(terms[:argmax] + terms[argmax + 1 :]))
        log_softmax = [value - largest - log_sum for value in z]
        results["softmax"].append([term / sum(terms) for term in terms])
        results["log_softmax"].append(log_softmax)
        results["logsumexp"].append(largest + log_sum)
        results["cross_entropy"].append(-log_softmax[label])
    return {function: _as_longdouble(values) for function, values in results.items()}


def _as_longdouble(values):
    def rounded(value):
        return np.longdouble(mpmath.nstr(mpmath.chop(value, TINY), 25))

    return np.vectorize(rounded, otypes=[np.longdouble])(np.array(values, object))


def _row_kernel(function, Z, y):
    out = np.empty(Z.shape if function in ("softmax", "log_softmax") else len(Z), Z.dtype)
    if function == "cross_entropy":
        _core.residual("softmax", Z, y, R_out=np.empty_like(Z), loss_out=out)
    else:
        _core.rows(function, Z, out, 1)
    return out


def _row_peer(function, Z, y):
    with np.errstate(all="ignore"):
        if function == "cross_entropy":
            return -scipy.special.log_softmax(Z, axis=1)[np.arange(len(Z)), y]
        return getattr(scipy.special, function)(Z, axis=1)


def _map_kernel(function, z):
    out = np.empty_like(z)
    _core.map(function, z, out, 1)
    return out


# ---- measuring ------------------------------------------------------------------------------------------------------
class Worst:
    """The largest error by (function, dtype) and contestant, and the set of points where fastlr's is."""

    def __init__(self):
        self.errors = {}
        self.places = {}

    def add(self, case, contestant, error, place):
        """Take the errors of one set of points in."""
        largest = float(np.max(error, initial=0))
        if contestant != PEER and largest >= self.of_fastlr(case):
            self.places[case] = place
        errors = self.errors.setdefault(case, {})
        errors[contestant] = max(errors.get(contestant, 0), largest)

    def of_fastlr(self, case):
        """The largest error of any instruction set."""
        return max((error for name, error in self.errors.get(case, {}).items() if name != PEER), default=0)

    def render(self):
        """Markdown: a line for each case, a column for each contestant."""
        contestants = list(dict.fromkeys(name for errors in self.errors.values() for name in errors))
        heads = ["function", "dtype", "bound", *contestants, "worst at"]
        lines = [heads, ["---", "---", *("--:" for _ in heads[2:-1]), "---"]]
        functions = [function for function, _ in self.errors]
        by_function = sorted(self.errors.items(), key=lambda item: functions.index(item[0][0].split(",")[0]))
        for (function, dtype), errors in by_function:
            bound = ULP.get((function, dtype))
            measured = (f"{errors[name]:.3g}" if name in errors else "" for name in contestants)
            place = self.places[function, dtype]
            lines.append([function, dtype, f"{bound:g}" if bound else "none", *measured, place])
        widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
        return "\n".join(f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |" for line in lines)

    def broken(self):
        """The cases in which an instruction set exceeds its bound."""
        return [case for case in self.errors if case in ULP and self.of_fastlr(case) > ULP[case]]


def _each_isa():
    """Yield the name of each available instruction set while it is in use."""
    before = _core.isa_name()
    try:
        for isa in _core.available_isas():
            _core.select_isa(isa)
            yield isa
    finally:
        _core.select_isa(before)


def measure(points):
    """The largest errors at about `points` numbers in each set: Worst."""
    rng = np.random.default_rng(0)
    worst = Worst()
    with mpmath.workprec(BITS):
        for function in EXACT:
            for dtype in REALS:
                for place, z in _arguments(function, dtype, rng, points).items():
                    exact = _as_longdouble([EXACT[function](mpmath.mpf(value)) for value in z.tolist()])
                    for isa in _each_isa():
                        worst.add((function, dtype), isa, ulp_error(_map_kernel(function, z), exact), place)
                    with np.errstate(all="ignore"):
                        worst.add((function, dtype), PEER, ulp_error(PEERS[function](z), exact), place)
        for dtype in REALS:
            for k in CLASSES:
                for name, Z in _rows(dtype, k, rng, max(points // k, 16)).items():
                    _measure_rows(worst, Z, rng.integers(k, size=len(Z), dtype=np.int32), f"{name}, k = {k}")
    return worst


def _measure_rows(worst, Z, y, place):
    largest = Z.max(axis=1).astype(np.longdouble)
    for function, exact in _exact_rows(Z, y).items():
        cases = {function: np.ones(len(Z), bool)}
        if function == "logsumexp":
            cancelled = np.abs(exact) < CANCELLED[Z.dtype.name] * np.abs(largest)
            cases = {function: ~cancelled, f"{function}, cancelled": cancelled}
        results = {isa: _row_kernel(function, Z, y) for isa in _each_isa()} | {PEER: _row_peer(function, Z, y)}
        for case, rows in cases.items():
            for contestant, result in results.items():
                worst.add((case, Z.dtype.name), contestant, ulp_error(result[rows], exact[rows]), place)


def measure_all_float32(every):
    """The largest errors over all float32 numbers (or every so many): Worst; prints its progress."""
    worst = Worst()
    starts = range(0, 1 << 32, CHUNK * every)
    for i, start in enumerate(starts):
        stop = min(start + CHUNK * every, 1 << 32)
        z = np.arange(start, stop, every, dtype=np.uint64).astype(np.uint32).view(np.float32)
        for function, in_float64 in IN_FLOAT64.items():
            with np.errstate(all="ignore"):
                exact, peer = in_float64(z.astype(np.float64)), PEERS[function](z)
            for isa in _each_isa():
                _add_worst_number(worst, function, isa, z, ulp_error(_map_kernel(function, z), exact))
            _add_worst_number(worst, function, PEER, z, ulp_error(peer, exact))
        if i % 64 == 0:
            print(f"{i / len(starts):.0%}", flush=True)
    return worst


def _add_worst_number(worst, function, contestant, z, error):
    worst.add((function, "float32"), contestant, error, float(z[error.argmax()]).hex())


def main(argv=None):
    """Print the table; the exit status is 1 where a bound is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m fastlr.bench.numerics", description=__doc__)
    parser.add_argument("--points", type=int, default=500, help="points in each set (500)")
    parser.add_argument("--exhaustive", type=int, nargs="?", const=1, metavar="EVERY",
                        help="all float32 numbers, or every so many, against float64")
    options = parser.parse_args(argv)
    worst = measure(options.points) if options.exhaustive is None else measure_all_float32(options.exhaustive)
    facts = [f"{datetime.date.today()}", f"{platform.system()} {platform.machine()}", " ".join(platform.libc_ver())]
    print(", ".join(facts + [f"{package} {version(package)}" for package in PACKAGES]), end="\n\n")
    print(worst.render())
    for function, dtype in worst.broken():
        print(f"{function} {dtype} exceeds its bound")
    return 1 if worst.broken() else 0


if __name__ == "__main__":
    raise SystemExit(main())
