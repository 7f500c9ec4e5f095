"""Peak resident memory, each time in a child process where nothing else has raised the peak.

The children run the text of `PASS` and `FIT`, which print bytes above what the process held before.
"""

import subprocess
import sys

from . import data
from .cases import FIT_MEMORY, PASS_MEMORY
from .table import Row, Table

N, D, K = 684_785, 784, 10
"""2 GiB of float32."""
MEGABYTE = 10**6

PEAK = """
import resource, sys, tempfile
import numpy as np
import fastlr

def peak_resident():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status") as status:  # ru_maxrss would begin at the peak of the parent process
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))

def forget_peak():
    if sys.platform == "linux":
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
"""

PASS = """
n, d, k, n_threads = map(int, sys.argv[1:])
with tempfile.NamedTemporaryFile() as file:
    file.truncate(4 * n * d)  # a file of holes reads as zeros: n * d of them need no disk
    X = np.memmap(file.name, np.float32, "r", shape=(n, d))
    y = np.arange(n, dtype=np.int32) % k
    W, b = np.zeros((k, d)), np.zeros(k)
    forget_peak()
    before = peak_resident()
    fastlr.loss_and_grad(X, W, b, y, n_threads=n_threads)
    print(peak_resident() - before - X.nbytes)
"""

FIT = """
folder, n, n_threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
X, y = fastlr.datasets.load_mnist(folder)
X, y = X.reshape(len(X), -1)[:n], y[:n]
model = fastlr.LogisticRegression(tol=1e-3, scale=1 / 255, n_threads=n_threads)
model.fit(X[:100], y[:100])  # what imports and the BLAS take once is not the fit's
forget_peak()
before = peak_resident()
model.fit(X, y)
print(peak_resident() - before)
"""


def peak_memory(settings):
    """The table of `loss_and_grad` on a memory-mapped X."""
    n = settings.rows(N)
    return Table(
        "Peak resident memory of loss_and_grad on a memory-mapped X",
        "MB above what the process had before and the pages of X.",
        [Row(f"{n:,} x {D}, k={K}, float32", value=above(PASS, n, D, K, settings.n_threads), unit="MB",
             target=PASS_MEMORY)],
    )


def fit_memory(settings):
    """The row of a fit of MNIST's bytes."""
    taken = above(FIT, data.mnist_folder(), settings.rows(data.MNIST_ROWS), settings.n_threads)
    return Row("uint8: peak memory above the data", value=taken, unit="MB", target=FIT_MEMORY)


def above(script, *arguments):
    """What the text of a script prints after `PEAK`, over 10^6."""
    command = [sys.executable, "-c", PEAK + script, *map(str, arguments)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / MEGABYTE
