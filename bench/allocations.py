"""Allocations that fail, one by one: what a pass, an epoch and a fit do then.

    python -m fastlr.bench.allocations

A library loaded before all others counts the allocations that fastlr's compiled code asks for, and NumPy's for arrays
of 1 KiB or more, and lets the n-th fail. For each n the call must end in MemoryError, or do without; the same call must
then give what it gave before. The process must not grow. A crash ends the run, and so its exit status tells.

NumPy crashes where it cannot have the buffers in which it converts, so these are kept below 1 KiB, and all is done on
the one thread for which NumPy can be told so.
"""

import argparse
import ctypes
import faulthandler
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HANG = 60  # seconds

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static volatile long calls, failing; /* 0: none */
static __thread int inside;          /* dladdr allocates */

void fail_allocation(long n) { calls = 0; failing = n; }
long count_allocations(void) { return calls; }

static int fails(void *caller, size_t bytes) {
    Dl_info from;
    if (inside) return 0;
    inside = 1;
    const int ours = dladdr(caller, &from) && from.dli_fname &&
                     (strstr(from.dli_fname, "fastlr/_core") ||
                      (bytes >= 1024 && strstr(from.dli_fname, "_multiarray_umath")));
    inside = 0;
    return ours && __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) == failing;
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
#define CALLER __builtin_return_address(0)
void *malloc(size_t n) { return failing >= 0 && fails(CALLER, n) ? NULL : __libc_malloc(n); }
void *calloc(size_t m, size_t n) { return failing >= 0 && fails(CALLER, m * n) ? NULL : __libc_calloc(m, n); }
void *realloc(void *p, size_t n) { return failing >= 0 && fails(CALLER, n) ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return failing >= 0 && fails(CALLER, n) ? NULL : __libc_memalign(a, n); }
"""


def main(argv=None):
    """Run; the exit status is 1 if anything went wrong, that of the signal after a crash."""
    parser = argparse.ArgumentParser(prog="fastlr.bench.allocations")
    parser.add_argument("--most", type=int, default=10**6, help="failures tried for each call at most, spread evenly")
    args = parser.parse_args(argv)
    if os.environ.get("FASTLR_FAILING_ALLOCATIONS"):
        return _report(args.most)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), ["--most", str(args.most)]).returncode


def run(folder, arguments=(), **options):
    """The run in a process of its own, whose allocations can fail: a `subprocess.CompletedProcess`."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        raise RuntimeError("needs Linux with glibc and a C compiler")
    (folder / "failing.c").write_text(_SHIM)
    library = folder / "failing.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, folder / "failing.c", "-ldl"], check=True)
    environment = os.environ | {"LD_PRELOAD": str(library), "FASTLR_FAILING_ALLOCATIONS": "1"}
    command = [sys.executable, "-m", "fastlr.bench.allocations", *arguments]
    return subprocess.run(command, env=environment, **options)


def _report(most):
    shim = ctypes.CDLL(None)
    shim.count_allocations.restype = ctypes.c_long
    faults, total = [], 0
    for name, call in _calls():
        expected = call()
        shim.fail_allocation(0)
        call()
        n_allocations = shim.count_allocations()
        shim.fail_allocation(-1)
        tried, errors, size = range(1, n_allocations + 1, max(1, n_allocations // most)), 0, _resident()
        for n in tried:
            faulthandler.dump_traceback_later(HANG, exit=True)
            shim.fail_allocation(n)
            try:
                result = call()
            except MemoryError:
                result, errors = expected, errors + 1
            except Exception as error:
                result = expected
                if not isinstance(error, SystemError):  # "returned NULL without setting an exception": NumPy forgets it
                    faults.append(f"{name}, allocation {n}: {error!r}")
            finally:
                shim.fail_allocation(-1)
                faulthandler.cancel_dump_traceback_later()
            for what, values in (("with the failure", result), ("after the failure", call())):
                if not all(np.array_equal(a, b) for a, b in zip(values, expected, strict=True)):
                    faults.append(f"{name}, allocation {n}: another result {what}")
        grown = _resident() - size
        if grown > 64 << 20:
            faults.append(f"{name}: {grown >> 20} MiB more after {len(tried)} failures")
        print(f"{name}: {len(tried)} of {n_allocations} allocations failed, {errors} MemoryErrors, {grown >> 10} KiB")
        total += len(tried)
    print(*faults, sep="\n")
    print(f"{len(faults)} faults in {total} failures")
    return int(bool(faults))


def _calls():
    """Names, and functions that return arrays."""
    import fastlr

    np.setbufsize(16)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 20))
    W, b = rng.normal(size=(60, 20)), rng.normal(size=60)
    labels = {k: (X[:, :k] + rng.gumbel(size=(500, min(k, 20)))).argmax(axis=1) for k in (2, 3)}
    labels[60] = rng.integers(0, 60, 500)

    def fit(k, solver="auto", **options):
        def call():
            model = fastlr.LogisticRegression(C=0.1, solver=solver, n_threads=1, **options).fit(X, labels[k])
            return model.coef_, model.intercept_, model.predict_proba(X[:9])

        return call

    def train(**options):
        def call():
            model = fastlr.Trainer(epochs=2, random_state=0, n_threads=1, **options).fit(X, labels[3])
            return model.coef_, model.intercept_

        return call

    yield "softmax", lambda: (fastlr.softmax(X, n_threads=1),)
    yield "cross_entropy_and_grad", lambda: fastlr.cross_entropy_and_grad(W @ X.T, np.arange(60), n_threads=1)
    yield "loss_and_grad, k=3", lambda: fastlr.loss_and_grad(X, W[:3], b[:3], labels[3], n_threads=1)
    yield "loss_and_grad, k=60", lambda: fastlr.loss_and_grad(X.T.copy().T, W, b, labels[60], n_threads=1)
    yield "epochs of batches", train()
    yield "epochs of rows", train(batch_size=1)
    for k in (2, 3, 60):
        yield f"fit, k={k}", fit(k)
    for solver in ("lbfgs", "newton-cholesky", "newton-cg"):
        yield f"fit, k=3, {solver}", fit(3, solver)


def _resident():
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    raise SystemExit(main())
