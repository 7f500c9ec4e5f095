"""Rows from Parquet: peak memory of a fit, later passes against decoding the file again, predictions to a file."""

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from .data import SEED
from .table import Row, Table, Target

D, GROUP = 50, 100_000

_RUN = """
import json, sys, time
import fastlr
from pathlib import Path
path, n_threads = Path(sys.argv[1]), int(sys.argv[2])
def memory(key):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(key))
def timed(function):
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result
rows = fastlr.RowBlocks.from_parquet(path, "y", cache=path.parent)
read, _ = timed(lambda: rows.X)
fit, model = timed(lambda: fastlr.LogisticRegression(tol=1e-4, n_threads=n_threads).fit(rows))
peak = memory("VmHWM")
decode, _ = timed(lambda: sum(len(X) for X, _, _ in rows._iterate()))
options = {"loss": "sigmoid", "n_threads": n_threads}
mapped = min(timed(lambda: fastlr.loss_and_grad(rows.X, model.coef_[0], model.intercept_[0], rows.y, **options))[0]
             for _ in range(3))
copied = fastlr.RowBlocks.from_parquet(path, features=[f"x{j}" for j in range(50)])
predict, n = timed(lambda: copied.write_predictions(path.parent / "p.parquet", model))
X, y = rows.X.copy(), rows.y.copy()
memory_pass = min(timed(lambda: fastlr.loss_and_grad(X, model.coef_[0], model.intercept_[0], y, **options))[0]
                  for _ in range(3))
print(json.dumps({"read": read, "fit": fit, "peak": peak, "decode": decode, "mapped": mapped, "predict": predict,
                  "n": n, "memory_pass": memory_pass, "proved": model.suboptimality_}))
"""


def tables(settings):
    """The table of rows from Parquet."""
    if find_spec("pyarrow") is None:
        yield Table("blocks: rows from Parquet", "", [Row("Parquet", note="pip install pyarrow")])
        return
    n = max(settings.rows(20_000_000), 20_000)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "rows.parquet"
        _write(path, n)
        done = subprocess.run([sys.executable, "-c", _RUN, str(path), str(settings.n_threads)], check=True,
                              capture_output=True, text=True)
    r = json.loads(done.stdout)
    name = f"{n:,} x {D}, float32"
    small = settings.quick
    yield Table("blocks: rows from Parquet", "A process of its own; passes are loss_and_grad with its checks of X.", [
        Row(f"{name}: peak memory of a fit to 1e-4, MB", {"read": r["read"], "fit": r["fit"]}, value=r["peak"],
            unit="MB", target=None if small else Target(600, 300), figures={"proved": r["proved"]}),
        Row(f"{name}: decoding over a later pass", {"decoding": r["decode"], "pass": r["mapped"]},
            value=r["decode"] / r["mapped"], unit="x", target=None if small else Target(5, 10, sense="at least")),
        Row(f"{name}: a pass over that of an array in memory", {"mapped": r["mapped"], "memory": r["memory_pass"]},
            value=r["mapped"] / r["memory_pass"], unit="x the time", target=None if small else Target(1.3, 1.05)),
        Row(f"{name}: predictions, million rows a second", {"seconds": r["predict"]},
            value=r["n"] / r["predict"] / 1e6, unit="million",
            target=None if small else Target(1, 3, sense="at least")),
    ])


def _write(path, n):
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(SEED)
    w, writer = rng.normal(size=D) / 5, None
    for start in range(0, n, GROUP):
        X = rng.standard_normal((min(GROUP, n - start), D), np.float32)
        y = (X @ w + rng.logistic(size=len(X)) > 0).astype(np.int64)
        table = pa.table({**{f"x{j}": X[:, j] for j in range(D)}, "y": y})
        writer = writer or parquet.ParquetWriter(path, table.schema, compression="none", use_dictionary=False)
        writer.write_table(table)
    writer.close()
