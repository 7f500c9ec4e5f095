"""What the package finds around it: threads, control groups, instruction sets; what it names, and what it imports."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastlr
from fastlr import _core
from fastlr._runtime import threads


@pytest.fixture
def fresh_default():
    """default_n_threads forgets what it found, before the test and after."""
    threads.default_n_threads.cache_clear()
    yield
    threads.default_n_threads.cache_clear()


@pytest.mark.usefixtures("fresh_default")
@pytest.mark.parametrize(("ours", "openmp", "expected"), [("3", "5", 3), ("", "5", 5), ("", "4,2", 4)])
def test_default_number_of_threads(monkeypatch, ours, openmp, expected):
    monkeypatch.setenv("FASTLR_NUM_THREADS", ours)
    monkeypatch.setenv("OMP_NUM_THREADS", openmp)
    assert threads.resolve_n_threads(None) == expected
    assert threads.resolve_n_threads(np.int64(7)) == 7


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to CPUs")
def test_default_number_of_threads_without_settings():
    code = "import os, fastlr.config as c; os.sched_setaffinity(0, {CPU}); print(c.config()['n_threads'])"
    code = code.replace("CPU", str(min(os.sched_getaffinity(0))))
    assert python(code, FASTLR_NUM_THREADS="", OMP_NUM_THREADS="nonsense").stdout.strip() == "1"


@pytest.mark.usefixtures("fresh_default")
def test_bad_number_of_threads_in_the_environment(monkeypatch):
    monkeypatch.setenv("FASTLR_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="FASTLR_NUM_THREADS='many'"):
        threads.resolve_n_threads(None)


@pytest.mark.parametrize(("groups", "files", "expected"), [
    ("0::/a/b", {"a/b/cpu.max": "150000 100000"}, 1.5),
    ("0::/a/b", {"a/b/cpu.max": "150000 100000", "a/cpu.max": "50000 100000", "cpu.max": "max 100000"}, 0.5),
    ("0::/", {"cpu.max": "max 100000"}, np.inf),
    ("0::/a", {}, np.inf),
    ("0::/a", {"a/cpu.max": "nonsense"}, np.inf),
    ("5:memory:/\n4:cpu,cpuacct:/a", {"cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n",
                                     "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, np.inf),
    ("5:memory:/\n4:cpu,cpuacct:/a", {"cpu,cpuacct/a/cpu.cfs_quota_us": "50000\n",
                                     "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n", "memory/cpu.max": "1 9"}, 0.5),
    (None, {"cpu.max": "150000 100000"}, np.inf),
], ids=str)
def test_quota_of_a_container(tmp_path, groups, files, expected):
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if groups is not None:
        (tmp_path / "groups").write_text(groups)
    assert threads.cgroup_cpus(tmp_path / "groups", tmp_path / "root") == expected


def python(code, **environment):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, **environment})


def test_instruction_set_from_the_environment():
    for name in _core.available_isas():
        process = python("import fastlr; print(fastlr._core.isa_name())", FASTLR_ISA=name)
        assert process.stdout.strip() == name
    process = python("import fastlr", FASTLR_ISA="avx9000")
    assert process.returncode != 0
    assert "ValueError: FASTLR_ISA='avx9000' is unknown" in process.stderr
    assert ", ".join(_core.available_isas()) in process.stderr


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists() or os.uname().machine != "x86_64", reason="asks Linux on x86-64")
@pytest.mark.skipif("FASTLR_BUILD_ISA" in os.environ, reason="one instruction set was built")
def test_instruction_sets_are_those_that_linux_sees():
    flags = set(Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split())
    avx2, avx512 = {"avx2", "fma", "f16c"}, {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
    needs = {"avx512": avx2 | avx512, "avx2": avx2}
    assert _core.available_isas() == [*(name for name, needed in needs.items() if needed <= flags), "base"]


def test_import_is_light():
    heavy = "[m for m in ('sklearn', 'matplotlib', 'pandas', 'scipy.optimize', 'scipy.sparse') if m in sys.modules]"
    process = python(f"import sys, fastlr; print({heavy})")
    assert process.stdout.strip() == "[]", process.stderr


def test_source_without_the_compiled_module_says_so(tmp_path):
    package = shutil.copytree(Path(fastlr.__file__).parent, tmp_path / "fastlr",
                              ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import fastlr"
    process = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60)
    error = process.stderr.splitlines()[-1]
    assert error.startswith(f"ImportError: {package} holds fastlr's source, not its compiled module")


def test_public_names():
    assert fastlr.__version__.count(".") >= 2
    assert set(fastlr.__all__) <= set(dir(fastlr))
    for name in set(fastlr.__all__) - {"LogisticRegression"}:
        assert getattr(fastlr, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = fastlr.nonsense
