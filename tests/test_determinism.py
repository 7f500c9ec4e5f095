"""The same bits for any number of threads; forked children work; nothing copies X."""

import os
import subprocess
import sys
import textwrap
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from problems import LOSSES, X_DTYPES, features, targets

import fastlr
from fastlr import _core

N_THREADS = (1, 2, 3, 7)


def assert_same_bits(run, note):
    """run(n_threads) -> tuple of arrays, equal for every number of threads and when repeated."""
    first = run(1)
    for n_threads in (*N_THREADS, 2):
        for a, b in zip(run(n_threads), first, strict=True):
            np.testing.assert_array_equal(a, b, f"{note} with {n_threads} threads")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", X_DTYPES, ids=str)
def test_passes(isa, dtype, loss):
    rng = np.random.default_rng(0)
    n, d = 6000, 41
    X = features(rng, n, d, dtype)
    weight = rng.random(n)
    for k in (1, 3, 10, 40):
        y, _ = targets(rng, loss, n, k, None, "labels")
        W, b = 0.01 * rng.normal(size=(k, d)), rng.normal(size=k)
        for layout in (X, np.asfortranarray(X)) if k == 3 else (X,):

            def run(n_threads, layout=layout, y=y, k=k, W=W, b=b):
                problem = _core.Problem(layout, y, k, loss=loss, weight=weight, n_threads=n_threads)
                results = *problem.loss_and_grad(W, b), *problem.hessp(W, b, W, b), *problem.evaluate(W, b)
                Z, R = problem.logits(W, b), np.empty((n, k), problem.real)
                kept = *problem.loss_and_grad_at(Z, R_out=R), *problem.outer(R), *problem.hessp_at(Z, W, b)
                return *results, Z, R, *kept, *problem.gram()

            assert_same_bits(run, f"{dtype} {loss} k={k}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions(isa, dtype):
    z = np.random.default_rng(1).normal(size=300_000).astype(dtype)
    assert_same_bits(lambda t: (fastlr.sigmoid(z, n_threads=t), fastlr.log_sigmoid(z, n_threads=t)), "elementwise")
    for k in (1, 2, 10, 1000):
        Z = z[: z.size // k * k].reshape(-1, k)
        y = np.arange(len(Z)) % k

        def run(n_threads, Z=Z, y=y):
            return (
                fastlr.softmax(Z, n_threads=n_threads), fastlr.log_softmax(Z, n_threads=n_threads),
                fastlr.logsumexp(Z, n_threads=n_threads), *fastlr.cross_entropy_and_grad(Z, y, n_threads=n_threads),
            )

        assert_same_bits(run, f"rows of {k}")


def test_epoch(isa):
    rng = np.random.default_rng(2)
    X, y, order = rng.normal(size=(1000, 300)), rng.integers(0, 4, 1000).astype(np.int32), rng.permutation(1000)
    for batch in (1, 100, 1000):

        def run(n_threads, batch=batch):
            W, b = np.zeros((4, 300)), np.zeros(4)
            problem = _core.Problem(X, y, 4, n_threads=n_threads)
            loss = problem.epoch(W, b, None, None, order, batch, learning_rate=0.1)
            return loss, W, b

        assert_same_bits(run, f"epoch, batch {batch}")


def at_offset(X, offset):
    """A copy of X (n, d), C order, that begins offset bytes behind a cache line."""
    memory = np.empty(X.nbytes + 128, np.uint8)
    begin = -memory.ctypes.data % 64 + offset
    copy = memory[begin : begin + X.nbytes].view(X.dtype).reshape(X.shape)
    copy[...] = X
    return copy


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8"])
@pytest.mark.parametrize("d", [5, 16, 48, 64, 1600])
def test_bits_do_not_depend_on_addresses(isa, dtype, d):
    """Rows a multiple of 64 bytes apart begin in one place of a line: all places, unaligned ones too."""
    rng = np.random.default_rng(4)
    n = 70
    X = features(rng, n, d, np.dtype(dtype))
    for k in (1, 2, 3, 7, 10, 17, 33, 37):
        y, _ = targets(rng, "softmax" if k > 1 else "sigmoid", n, k, None, "labels")
        W, b = 0.01 * rng.normal(size=(k, d)), rng.normal(size=k)
        V = 0.01 * rng.normal(size=(k, d))

        def run(X, y=y, k=k, W=W, b=b, V=V, **options):
            problem = _core.Problem(X, y, k, loss="softmax" if k > 1 else "sigmoid", **options)
            stepped = np.zeros((k, d)), np.zeros(k)
            epoch = problem.epoch(*stepped, None, None, None, 16, learning_rate=1e-3)
            sums = *problem.loss_and_grad(W, b), *problem.hessp(W, b, V, b)
            Z = problem.logits(W, b)
            kept = *problem.loss_and_grad_at(Z), *problem.outer(Z)
            return *sums, Z, *kept, *problem.gram(), epoch, *stepped

        expected = run(at_offset(X, 0))
        for offset in (*range(0, 64, X.itemsize * (1 if d == 48 else 4)), 1, 7, 62):
            for a, e in zip(run(at_offset(X, offset)), expected, strict=True):
                np.testing.assert_array_equal(a, e, f"k={k} offset {offset}")
        zeros = np.zeros((n, k), _core.real_dtype(X.dtype))
        for a, e in zip(run(X, offset=zeros)[:5], expected, strict=False):
            np.testing.assert_array_equal(a, e, f"k={k}, an offset of zeros")
        R, problem = np.empty_like(zeros), _core.Problem(X, y, k, loss="softmax" if k > 1 else "sigmoid")
        for a, e in zip(problem.loss_and_grad(W, b, R_out=R), expected, strict=False):
            np.testing.assert_array_equal(a, e, f"k={k}, residuals kept")


def test_fits_do_not_depend_on_addresses():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(300, 16)).astype(np.float32), rng.integers(0, 3, 300)
    results = []
    for offset in (0, 4, 8, 20, 36, 48, 60, 1, 2):
        copy = at_offset(X, offset)
        model = fastlr.LogisticRegression().fit(copy, y)
        trainer = fastlr.Trainer(epochs=2, random_state=0).fit(copy, y)
        results.append((model.coef_, model.decision_function(copy), trainer.coef_, trainer.decision_function(copy)))
    for result in results:
        for a, e in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, e)


def test_one_problem_serves_many_threads():
    """loss_and_grad, hessp, logits and evaluate of one Problem at once, with parameters of their own."""
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(2000, 20)), rng.integers(0, 5, 2000).astype(np.int32)
    problem = _core.Problem(X, y, 5, n_threads=2)
    parameters = [(rng.normal(size=(5, 20)), rng.normal(size=5)) for _ in range(8)]
    L = problem.logits(*parameters[0])

    def run(i):
        W, b = parameters[i % 8]
        R = np.empty((2000, 5))
        return (*problem.loss_and_grad(W, b), *problem.hessp(W, b, b[:, None] * W, b), problem.logits(W, b),
                *problem.loss_and_grad(W, b, R_out=R), R, *problem.hessp_at(L, W, b), problem.evaluate(W, b))

    alone = [run(i) for i in range(8)]
    with ThreadPoolExecutor(6) as pool:
        for i, result in enumerate(pool.map(run, range(64))):
            for a, e in zip(result, alone[i % 8], strict=True):
                np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("n_threads", [255, 256, 257, 100_000, 2**31, 2**80])
def test_any_number_of_threads(n_threads):
    X, y, W, b = np.ones((3000, 4)), np.zeros(3000, int), np.ones((3, 4)), np.zeros(3)
    expected = fastlr.loss_and_grad(X, W, b, y)
    for a, e in zip(fastlr.loss_and_grad(X, W, b, y, n_threads=n_threads), expected, strict=True):
        np.testing.assert_array_equal(a, e)
    np.testing.assert_array_equal(fastlr.softmax(X, n_threads=n_threads), fastlr.softmax(X))
    assert fastlr.cross_entropy(X, y, n_threads=n_threads) == fastlr.cross_entropy(X, y)
    assert fastlr.Trainer(epochs=1, n_threads=n_threads).fit(X, y % 2 + np.arange(3000) % 2).coef_.shape == (2, 4)


def test_calls_from_many_python_threads():
    rng = np.random.default_rng(3)
    X, W, b, y = rng.normal(size=(5000, 20)), rng.normal(size=(40, 20)), rng.normal(size=40), rng.integers(0, 40, 5000)
    expected = fastlr.loss_and_grad(X, W, b, y)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: fastlr.loss_and_grad(X, W, b, y, n_threads=2), range(20)):
            for a, e in zip(result, expected, strict=True):
                np.testing.assert_array_equal(a, e)


def run_script(script, *args):
    """Run a script in a Python of its own; its output."""
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(script), *args], capture_output=True, text=True,
                             timeout=120, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_gets_the_same_bits():
    run_script("""
        import os, sys, warnings
        import numpy as np
        import fastlr
        warnings.simplefilter("ignore")  # Python warns that forking a process with threads may hang: that is the test
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(20000, 30)), rng.integers(0, 40, 20000)
        def run():
            few = fastlr.loss_and_grad(X, np.zeros((3, 30)), np.zeros(3), y % 3, n_threads=2)
            many = fastlr.loss_and_grad(X, np.zeros((40, 30)), np.zeros(40), y, n_threads=2)
            return *few, *many, fastlr.sigmoid(X, n_threads=2)
        expected = run()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0 if all(np.array_equal(a, e) for a, e in zip(run(), expected)) else 1)
            same = all(np.array_equal(a, e) for a, e in zip(run(), expected))
            _, status = os.waitpid(child, 0)
            if status or not same:
                sys.exit(f"child's status {status}, parent's bits the same: {same}")
    """)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no list of threads on this platform")
def test_workers_sent_away_from_the_callers_cpu_may_come_back():
    run_script("""
        import os, sys, time
        import numpy as np
        import fastlr
        X = np.ones((40000, 50), np.float32)
        allowed = os.sched_getaffinity(0)
        for n_threads in (2, 4, 4, 3, 4):
            fastlr.loss_and_grad(X, np.zeros((3, 50)), np.zeros(3), np.zeros(len(X), int), n_threads=n_threads)
            time.sleep(0.05)  # until the workers are asleep
        where = [os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")]
        if len(where) < 4 or any(cpus != allowed for cpus in where):
            sys.exit(f"threads may run on {where}; expected all on {allowed}")
    """)


@pytest.mark.parametrize("dtype", X_DTYPES, ids=str)
def test_python_allocates_no_copy_of_X(dtype):
    X = features(np.random.default_rng(4), 20_000, 64, dtype)
    y, W, b = np.zeros(len(X), np.int32), np.zeros((3, 64)), np.zeros(3)
    frozen = X[::-1, ::-1]
    frozen.flags.writeable = False
    for layout in (X, np.asfortranarray(X), X[::2, 1::3], frozen):
        parameters = W[:, : layout.shape[1]], b, y[: len(layout)]
        fastlr.loss_and_grad(layout, *parameters, scale=0.1)
        tracemalloc.start()
        fastlr.loss_and_grad(layout, *parameters, scale=0.1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 50_000, f"{dtype} {layout.strides}: {peak} bytes"


def test_functions_allocate_nothing_beside_their_result():
    Z, y = np.random.default_rng(5).normal(size=(20_000, 10)), np.zeros(20_000, np.int32)
    out = np.empty_like(Z)
    for function in (fastlr.sigmoid, fastlr.softmax, fastlr.log_softmax,
                     lambda Z, out: fastlr.cross_entropy_and_grad(Z, y, out=out)):
        function(Z, out=out)
        tracemalloc.start()
        function(Z, out=out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10_000


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_resident_memory_stays_small_on_a_memory_map(tmp_path):
    """Peak of the process's own (anonymous) memory while a 256 MB file of bytes is read."""
    path = tmp_path / "X.bin"
    with open(path, "wb") as file:
        file.truncate(256 << 20)
    grown = run_script("""
        import re, sys, threading, time
        import numpy as np
        import fastlr
        def anonymous():
            return int(re.search(r"RssAnon:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024
        X = np.memmap(sys.argv[1], np.uint8, "r").reshape(-1, 512)
        y, W, b = np.zeros(len(X), np.int32), np.zeros((10, 512)), np.zeros(10)
        fastlr.loss_and_grad(X[:5000], W, b, y[:5000])
        before, done = anonymous(), []
        worker = threading.Thread(target=lambda: done.append(fastlr.loss_and_grad(X, W, b, y)))
        worker.start()
        peak = before
        while worker.is_alive():
            peak = max(peak, anonymous())
            time.sleep(0.001)
        assert done
        print(peak - before)
    """, str(path))
    assert float(grown) < 64
