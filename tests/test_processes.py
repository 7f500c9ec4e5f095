"""What a process may do to a fit and a fit to its process: threads, signals, forks, lack of memory and of threads.

Each test is a process of its own, so that a crash or a deadlock is a failure and not the end of the run.
"""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from fastlr.bench import allocations

TIME_LIMIT = 120  # seconds, for machines that are busy

PROBLEM = """
import os, signal, sys, threading, time
import numpy as np
import fastlr

rng = np.random.default_rng(0)
X = rng.normal(size=(4000, 120))
y = (X[:, :3] + rng.gumbel(size=(4000, 3))).argmax(axis=1)

def fit(n_threads=2):
    model = fastlr.LogisticRegression(C=0.01, tol=1e-6, n_threads=n_threads).fit(X, y)
    return model.coef_.tobytes() + model.intercept_.tobytes()

def blas_threads():
    from threadpoolctl import threadpool_info
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
"""


def run(script, **environment):
    """Run PROBLEM and the script in a new process; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PROBLEM + textwrap.dedent(script)], capture_output=True, text=True, timeout=TIME_LIMIT,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def test_a_fit_is_the_same_in_every_thread():
    """threadpoolctl lets only the thread that was first hold BLAS to one thread."""
    assert run("""
        from threadpoolctl import threadpool_limits
        expected, found = fit(), []
        before = blas_threads()
        with threadpool_limits(2):
            thread = threading.Thread(target=lambda: found.append(fit()))
            thread.start()
            thread.join()
        print(found[0] == expected, blas_threads() == before)
    """) == ["True", "True"]


def test_blas_has_one_thread_during_a_fit_in_any_thread():
    assert run("""
        from threadpoolctl import threadpool_limits
        inside = []
        class Watch:
            def __call__(self, iteration, value, suboptimality, point):
                inside.append(blas_threads())
        from fastlr.solvers import minimise
        from fastlr.model.objective import Objective
        from fastlr.model.rows import DenseRows
        def minimise_here():
            rows = DenseRows(X, (y > 0).astype(np.int32), 1, loss="sigmoid")
            minimise(Objective(rows, alpha=0.1), callback=Watch())
        with threadpool_limits(2):
            thread = threading.Thread(target=minimise_here)
            thread.start()
            thread.join()
        print(len(inside) > 0, all(set(threads) == {1} for threads in inside))
    """) == ["True", "True"]


def test_ten_threads_at_once():
    assert run("""
        Z = rng.normal(size=(300, 40))
        expected, A = fit(), fastlr.softmax(Z)
        fits, others, done = [], [], threading.Event()
        def call_softmax():
            while not done.is_set():
                others.append(bool((fastlr.softmax(Z) == A).all()))
        def fit_twice(n_threads):
            fits.extend(fit(n_threads) for _ in range(2))
        callers = [threading.Thread(target=call_softmax) for _ in range(2)]
        threads = [threading.Thread(target=fit_twice, args=(1 + i % 4,)) for i in range(10)]
        for thread in callers + threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        print(len(fits), all(f == expected for f in fits), len(others) > 0, all(others))
    """) == ["20", "True", "True", "True"]


def test_a_signal_handler_may_fit():
    """It ran into the lock that the interrupted fit held."""
    assert run("""
        expected, inner = fit(), []
        before = blas_threads()
        def handler(*_):
            inner.append(fit())
            signal.setitimer(signal.ITIMER_REAL, 0.005)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        outer = [fit() for _ in range(10)]
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(len(inner) > 0, set(outer + inner) == {expected}, blas_threads() == before)
    """) == ["True", "True", "True"]


def test_interrupts_at_random_instants():
    """No BLAS setting is lost, no model is half written, nothing hangs; `bench/interrupts.py` runs 2,000."""
    done = subprocess.run(
        [sys.executable, "-m", "fastlr.bench.interrupts", "--fits", "250"], capture_output=True, text=True,
        timeout=TIME_LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fit_after_the_end_of_the_main_thread_and_at_exit():
    """No new Python threads can be made then."""
    assert run("""
        import atexit
        expected = fit()
        def check(where):
            print(where, fit() == expected, flush=True)
        atexit.register(check, "atexit")
        def later():
            threading.main_thread().join()
            check("thread")
        threading.Thread(target=later).start()
    """) == ["thread", "True", "atexit", "True"]


def test_a_forked_child_fits_while_its_parent_does():
    assert run("""
        expected, done, results = fit(), threading.Event(), []
        before = blas_threads()
        def keep_fitting():
            while not done.is_set():
                fit()
        thread = threading.Thread(target=keep_fitting)
        thread.start()
        for _ in range(5):
            time.sleep(0.01)
            child = os.fork()
            if child == 0:
                os._exit(0 if fit() == expected and blas_threads() == before else 1)
            results.append(os.waitpid(child, 0)[1])
        done.set()
        thread.join()
        print(results == [0] * 5)
    """) == ["True"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are looked at by Linux's /proc")
def test_workers_that_a_call_has_no_use_for_sleep_on():
    """A call on many threads makes no later one on two slower."""
    run("""
        import re
        from pathlib import Path

        Z = np.random.default_rng(0).normal(size=(200_000, 10)).astype(np.float32)
        others = set(os.listdir("/proc/self/task"))
        fastlr.softmax(Z, n_threads=40)
        workers = set(os.listdir("/proc/self/task")) - others
        assert len(workers) == 39

        def switches(task):
            status = Path(f"/proc/self/task/{task}/status").read_text()
            return re.search(r"State:\\s*S", status) and re.findall(r"ctxt_switches:\\s*(\\d+)", status)

        before = {}
        while not all(before.get(task) for task in workers):
            time.sleep(0.1)
            before = {task: switches(task) for task in workers}
        for _ in range(20):
            fastlr.softmax(Z, n_threads=2)
        time.sleep(0.1)
        assert sum(switches(task) != count for task, count in before.items()) == 1
    """)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the library loaded before others is for glibc")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
class TestWithout:
    """Memory, or threads."""

    def test_memory(self, tmp_path):
        """Every allocation fails once at most; `bench/allocations.py` goes through all of them."""
        done = allocations.run(tmp_path, ["--most", "25"], capture_output=True, text=True, timeout=TIME_LIMIT)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_threads(self, tmp_path):
        source, library = tmp_path / "no_threads.c", tmp_path / "no_threads.so"
        source.write_text("#include <errno.h>\nint pthread_create(void) { return EAGAIN; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        script = """
            import hashlib
            print(hashlib.sha256(fit()).hexdigest())
        """
        limits = {"OPENBLAS_NUM_THREADS": "1"}  # OpenBLAS starts its threads when it is loaded, and complains
        assert run(script, LD_PRELOAD=str(library), **limits) == run(script, **limits)
