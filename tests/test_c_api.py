"""Users of the C interface, as docs/c.md has them: compiled, and against NumPy."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

import fastlr
from fastlr import reference
from fastlr.c_api import function_address

PAGE = Path(__file__).parents[1] / "docs" / "c.md"
COMPILER = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
needs_page = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
needs_compiler = pytest.mark.skipif(
    COMPILER is None or not Path(sysconfig.get_path("include"), "Python.h").exists() or sys.platform == "win32",
    reason="no C compiler, or no headers of Python")
RNG = np.random.default_rng(0)


def block(language, containing=""):
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return next(text for text in blocks if containing in text)


def load(path, name):
    spec = spec_from_file_location(name, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_headers_are_there():
    folder = Path(fastlr.get_include())
    for name in ("fastlr_api.h", "fastlr_api.pxd", "fastlr.h", "types.h", "kernels/table.h"):
        assert (folder / name).exists()


@needs_page
@needs_compiler
def test_extension_in_c(tmp_path):
    (tmp_path / "user_c.c").write_text(block("c"))
    flags = "-Wall -Wextra -Werror -Wno-missing-field-initializers"
    flags += " -undefined dynamic_lookup" if sys.platform == "darwin" else ""
    command = block("sh").replace("python -c", f'"{sys.executable}" -c').replace("\ncc ", f'\n"{COMPILER}" {flags} ')
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
    user = load(tmp_path / "user_c.so", "user_c")
    Z = RNG.normal(size=(1000, 7))
    expected = reference.log_softmax(Z)
    user.log_softmax(Z)
    np.testing.assert_allclose(Z, expected, rtol=1e-13)
    with pytest.raises(ValueError, match="expected doubles"):
        user.log_softmax(Z.astype(np.float32))


@needs_page
@needs_compiler
@pytest.mark.skipif(find_spec("Cython") is None or find_spec("setuptools") is None, reason="Cython is not installed")
def test_extension_in_cython(tmp_path):
    (tmp_path / "user_cython.pyx").write_text(block("cython"))
    (tmp_path / "setup.py").write_text(block("python", "cythonize"))
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    result = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"CC": COMPILER})
    assert result.returncode == 0, result.stderr
    user = load(tmp_path / ("user_cython" + sysconfig.get_config_var("EXT_SUFFIX")), "user_cython")
    X, W, b, y = RNG.normal(size=(50, 5)), RNG.normal(size=(3, 5)), RNG.normal(size=3), RNG.integers(0, 3, 50)
    value, G, g = user.loss_and_grad(X, W, b, y.astype(np.int32))
    mean, mean_G, mean_g = fastlr.loss_and_grad(X, W, b, y)
    np.testing.assert_allclose(value / 50, mean, rtol=1e-13)
    np.testing.assert_allclose(G / 50, mean_G, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(g / 50, mean_g, rtol=1e-12, atol=1e-15)


@needs_page
def test_ctypes_and_numba():
    names = {}
    exec(block("python", "ctypes"), names)
    np.testing.assert_allclose(names["A"], reference.softmax(names["Z"]), rtol=1e-14)
    pytest.importorskip("numba", reason="numba is not installed")
    exec(block("numba"), names)
    assert names["most_probable"](names["Z"]) == names["A"].max()


class Matrix(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("n", ctypes.c_int64), ("d", ctypes.c_int64),
                ("row_stride", ctypes.c_int64), ("col_stride", ctypes.c_int64), ("release", ctypes.c_int))


@pytest.mark.parametrize("release", [0, 1, -1])
def test_a_member_that_nobody_set_releases_no_memory(release):
    """Pages that were given back to the system, and are not a file's, would hold zeros."""
    X = np.ones((4096, 512))
    matrix = Matrix(X.ctypes.data, 0, *X.shape, *X.strides, release)
    find = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
        function_address("find_nonfinite"))
    row, column = ctypes.c_int64(), ctypes.c_int64()
    assert find(ctypes.addressof(row), ctypes.addressof(column), ctypes.addressof(matrix), 2) == 0
    assert row.value == -1
    assert (X == 1).all()


def test_addresses_are_of_different_functions():
    names = fastlr._core.C_FUNCTIONS
    assert len(set(names.values())) == len(names) > 10
    assert all(names.values())
    with pytest.raises(ValueError, match="name is 'softmax'; expected one of kernels, map_values, map_rows"):
        function_address("softmax")
