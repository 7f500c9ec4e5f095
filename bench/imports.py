"""Suite "import": how long ``import fastlr`` takes in a new process, beside Python's own start."""

import subprocess
import sys
import time

from .cases import IMPORT_SECONDS
from .table import Row, Table

REPEATS = 9
FORBIDDEN = ("sklearn", "matplotlib")


def tables(settings):
    """Yield the table of the suite."""
    repeats = 1 if settings.quick else REPEATS
    statements = {"python": "pass", "import numpy": "import numpy", "import fastlr": "import fastlr"}
    best = dict.fromkeys(statements, float("inf"))
    for _ in range(repeats):
        for name, statement in statements.items():
            best[name] = min(best[name], _seconds(statement))
    imported = f"import sys, fastlr; print([m for m in {FORBIDDEN} if m in sys.modules])"
    heavy = subprocess.run([sys.executable, "-c", imported], check=True, capture_output=True, text=True).stdout.strip()
    yield Table(
        "import fastlr",
        "Milliseconds of a whole process, Python's own start included; best of several.",
        [
            Row("python -c pass", {"process": best["python"]}),
            Row("import numpy", {"process": best["import numpy"]}, best["import numpy"], "s"),
            Row("import fastlr", {"process": best["import fastlr"]}, best["import fastlr"], "s", IMPORT_SECONDS,
                note="pulls in neither scikit-learn nor matplotlib" if heavy == "[]" else f"pulls in {heavy}"),
        ],
    )


def _seconds(statement):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start
