"""How much memory a fit of `RowBlocks` adds to a process of its own."""

import subprocess
import sys

PROGRAM = """
import sys
import numpy as np
import scipy.sparse as sp
import fastlr
{blocks}
def peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
{first}
before = peak()
data = fastlr.RowBlocks(blocks)
{fit}
size = data.dtype.itemsize + 4 * hasattr(data.rows, "indices")
print(peak() - before, data.rows.size * size / 2**20)
"""


def growth(blocks, first, fit, n_blocks):
    """MB that the fit adds, and MB of the rows; Linux.

    Parameters
    ----------
    blocks, first, fit : str
        Programs: of a function `blocks`, which takes the number of blocks from sys.argv; of what loads code, such as a
        fit of one block; and of the fit of `data`.
    n_blocks : int
    """
    program = PROGRAM.format(blocks=blocks, first=first, fit=fit)
    out = subprocess.run([sys.executable, "-c", program, str(n_blocks)], capture_output=True, text=True, check=True)
    return map(float, out.stdout.split())


DENSE = """
def blocks():
    rng = np.random.default_rng(0)
    for _ in range(int(sys.argv[1])):
        X = rng.normal(size=(10_000, 250)).astype(np.float32)
        yield X, X[:, 0] + rng.normal(size=10_000) > 0
"""
FIT = """
model = fastlr.LogisticRegression(tol=1e-3, n_threads=2).fit(data)
assert model.suboptimality_ < 1e-3
"""


def first_fit(nothing):
    """A fit of one block, and its prediction of an expression's rows."""
    return f"fastlr.LogisticRegression(tol=1e-2).fit(fastlr.RowBlocks([next(blocks())])).predict({nothing})"
