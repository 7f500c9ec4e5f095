"""The benchmarks run: a quick run of every suite, the comparison of builds, and verdicts on targets."""

import json
import math
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from fastlr.bench import against
from fastlr.bench.cases import PASSES, ROWS
from fastlr.bench.limits import limit_of_pass
from fastlr.bench.run import SUITES
from fastlr.bench.settings import Settings
from fastlr.bench.table import Row, Table, Target


@pytest.fixture(scope="module")
def mnist_folder(tmp_path_factory):
    """As many images of MNIST's form as a quick run takes: noise, and a bright row that names the class."""
    folder, rng = tmp_path_factory.mktemp("data") / "mnist", np.random.default_rng(0)
    folder.mkdir()
    for prefix, n in (("train", 600), ("t10k", 100)):
        labels = (np.arange(n) % 10).astype(np.uint8)
        images = rng.integers(0, 60, (n, 28, 28), np.uint8)
        images[np.arange(n), labels + 9] += 60
        for kind, array in (("images", images), ("labels", labels)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{prefix}-{kind}-idx{array.ndim}-ubyte").write_bytes(header + array.tobytes())
    return folder


def test_a_quick_run_prints_every_suite(mnist_folder, tmp_path):
    """Every table is printed, and every figure in it is one: finite, times positive."""
    file = tmp_path / "tables.json"
    done = subprocess.run(
        [sys.executable, "-m", "fastlr", "bench", "all", "--quick", "--threads", "2", "--json", str(file)],
        capture_output=True, text=True, env={**os.environ, "FASTLR_DATA": str(mnist_folder.parent)},
    )
    assert done.returncode == 0, done.stderr
    tables = json.loads(file.read_text())["tables"]
    assert list(dict.fromkeys(table["suite"] for table in tables)) == list(SUITES)
    for table in tables:
        assert f"### {table['title']}\n" in done.stdout
        assert table["rows"]
        for row in table["rows"]:
            assert row["case"] in done.stdout
            assert row["seconds"] or row["value"] is not None, row
            assert row["value"] is not None or row["target"] is None, row
            assert all(0 < seconds < math.inf for seconds in row["seconds"].values()), row
            assert all(map(math.isfinite, row["figures"].values())), row
            assert row["value"] is None or math.isfinite(row["value"]), row


def test_a_build_is_not_compared_with_itself():
    with pytest.raises(SystemExit, match="imports the same fastlr"):
        against.main([sys.executable, "--quick", "rows"])


@pytest.mark.parametrize(
    ("suite", "case"), [("passes", PASSES[0].name), ("rows", ROWS[0].name), ("fits", "iris, tol=1e-4")]
)
def test_a_turn_prints_its_seconds(suite, case, capsys):
    against.take_turn("time", suite, case, "1", "quick")
    assert 0 < json.loads(capsys.readouterr().out) < 60


def test_a_missed_target_stands_as_missed():
    rows = [Row("late", value=2.0, target=Target(1.5, 1.1)), Row("not reached", target=Target(5, 10, "at least"))]
    rows += [Row("nan", value=math.nan, target=Target(1.5)), Row("met", value=1.2, target=Target(1.5, 1.1))]
    text = Table("Title", "About.", rows).render()
    verdicts = {line.split(" | ")[0].strip("| "): line.split(" | ")[4].strip("| ") for line in text.splitlines()[6:]}
    assert verdicts == {"late": "missed", "not reached": "missed", "nan": "missed", "met": "must"}


@pytest.mark.parametrize(
    ("times", "limit"),
    [
        ({"read": 3, "products": 1, "square": 1}, 3),
        ({"read": 0, "products": 1, "square": 1e9}, 0.9),
        ({"read": 0, "products": 1e9, "square": 1}, 0.9 * 4 * 60_000 * 784 * 10 / (2 * 2048**3)),
    ],
)
def test_the_limit_of_a_pass_is_what_takes_longest(times, limit):
    """Reading, or the products of nine of ten classes at the better of two rates."""
    case = next(case for case in PASSES if case.k == 10)
    assert limit_of_pass(case, 60_000, Settings(1), times) == pytest.approx(limit)
