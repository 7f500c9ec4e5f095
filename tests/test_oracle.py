"""Random calls of every public function, as `python -m fastlr.bench.oracle` makes them; there a million, here some."""

import re
import subprocess
import sys

import pytest
from fastlr.bench import long_double, oracle, oracle_functions

pytestmark = pytest.mark.skipif(not long_double.WIDE_ENOUGH, reason="long double is no wider than double")


def run(*arguments):
    """The exit status and what was printed, by a process of its own: a call may end it."""
    result = subprocess.run([sys.executable, "-m", "fastlr.bench.oracle", *map(str, arguments)], capture_output=True,
                            text=True, timeout=300)
    return result.returncode, result.stdout + result.stderr


def test_random_calls():
    status, printed = run("--calls", 20_000, "--seed", 18)
    assert status == 0, printed
    assert "20000 calls, 0 with wrong values or errors, 0 ended the process" in printed


def test_every_function_is_called_on_every_instruction_set():
    _, printed = run("--calls", 2000, "--seed", 1)
    for name in oracle.NAMES:
        counts = re.search(rf"^{name} .*$", printed, re.MULTILINE).group().split()[1::2]
        assert len(counts) == len(oracle.ISAS)
        assert all(int(count) > 0 for count in counts), f"{name}: {counts}"


def test_a_wrong_value_is_found_and_found_again(monkeypatch):
    """A judge that finds nothing proves nothing."""
    monkeypatch.setattr(long_double, "sigmoid_derivative", lambda z: long_double.sigmoid(z) ** 2)
    monkeypatch.setitem(oracle.CALLS, "sigmoid", (1, oracle_functions.elementwise("sigmoid_derivative")))
    found = [index for index in range(300) if (call := oracle.make_call(5, index))[2] and call[0] == "sigmoid"]
    assert found
    assert all(oracle.make_call(5, index)[2] for index in found)
