"""Peak resident memory of one `loss_and_grad` over a memory-mapped X, above the pages of X itself."""

import json
import subprocess
import sys

from .table import Row, Table, Target

N, D, K = 684_785, 784, 10
"""2 GiB of float32."""
MEBIBYTE = 1 << 20

CHILD = """
import json, resource, sys, tempfile
import numpy as np
import fastlr

n, d, k, n_threads = map(int, sys.argv[1:])

def peak_resident():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status") as status:  # ru_maxrss would begin at the peak of the parent process
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))

with tempfile.NamedTemporaryFile() as file:
    file.truncate(4 * n * d)  # a file of holes reads as zeros: n * d of them need no disk
    X = np.memmap(file.name, np.float32, "r", shape=(n, d))
    y = np.arange(n, dtype=np.int32) % k
    W, b = np.zeros((k, d)), np.zeros(k)
    before = peak_resident()
    fastlr.loss_and_grad(X, W, b, y, n_threads=n_threads)
    print(json.dumps({"before": before, "after": peak_resident(), "mapped": X.nbytes}))
"""


def peak_memory(settings):
    """The table of one row; measured in a child process, where nothing else has raised the peak."""
    n = settings.rows(N)
    command = [sys.executable, "-c", CHILD, *map(str, (n, D, K, settings.n_threads))]
    peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    above = peak["after"] - peak["before"] - peak["mapped"]
    return Table(
        "Peak resident memory of loss_and_grad on a memory-mapped X",
        "MiB above what the process had before and the pages of X.",
        [Row(f"{n:,} x {D}, k={K}, float32", value=above / MEBIBYTE, unit="MiB", target=Target(64))],
    )
