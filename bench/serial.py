"""What of a fit runs on one thread: time outside the pool's jobs, over the time of the fit on two threads.

    python -m fastlr.bench.serial

With S seconds outside jobs and Q within them, all threads together, a fit takes S + Q / 2 on two idle cores, and S of
it is serial.  These are CPU seconds, so that other work on the machine does not count: Q is what all threads of the
process use but for S, and S what the caller uses but for its own part of the jobs.
"""

import time
from functools import partial

import fastlr
from fastlr import _core

from . import fit_data
from .settings import Settings
from .table import Row, Table, Target

THREADS = 2
TOL = 1e-3
REPEATS = 3
SHARE = Target(0.15, 0.05)


def tables(settings):
    """The table of serial parts."""
    cases = {"MNIST, uint8": fit_data.mnist_uint8} if fit_data.has_mnist() else {}
    cases["20,000 x 768, k=1000"] = fit_data.embeddings
    rows = [_row(name, load(settings), settings) for name, load in cases.items()]
    about = f"CPU time outside threaded sections over S + Q / {THREADS}; fits to {TOL:g}; the least of {REPEATS}."
    yield Table(f"fits: serial part at {THREADS} threads", about, rows)


def _row(name, problem, settings):
    model = fastlr.LogisticRegression(tol=TOL, n_threads=THREADS, scale=None if problem.scale == 1 else problem.scale)
    fit = partial(model.fit, problem.X, problem.y)
    fit()  # imports are no part of it
    serial, threaded = min((serial_and_threaded(fit) for _ in range(1 if settings.quick else REPEATS)), key=sum)
    return Row(name, figures={"S, CPU s": serial, "Q, CPU s": threaded}, value=serial / (serial + threaded / THREADS),
               unit="of the time", target=SHARE)


def serial_and_threaded(work):
    """S and Q of a call: CPU seconds outside and within jobs of the pool."""
    _core.threaded_seconds(True)
    own, every = time.thread_time(), time.process_time()
    work()
    own, every = time.thread_time() - own, time.process_time() - every
    serial = own - _core.threaded_seconds(False)
    return serial, every - serial


def main():
    """Print the table."""
    for table in tables(Settings(THREADS)):
        print(table.render())


if __name__ == "__main__":
    main()
