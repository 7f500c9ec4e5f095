"""The public headers: the same table for C, Cython, ctypes and C++, none with a member less than the others."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from test_c_api import COMPILER, load, needs_compiler

import fastlr
from fastlr import reference

FOLDER = Path(fastlr.get_include())
HEADERS = ("types.h", "kernels/table.h", "fastlr.h", "fastlr_api.h")
WHOLE = ("flr_api", "flr_matrix", "flr_pass", "flr_ahead", "flr_targets", "flr_epoch_options")
CPP_COMPILERS = [path for name in ("g++", "clang++") if (path := shutil.which(name))]


def member(declaration):
    """Names that one declaration of a struct has, in C or Cython."""
    pointer = re.search(r"\(\*(\w+)", declaration)
    if pointer and "__typeof__" not in declaration:
        return [pointer[1]]
    return [re.search(r"(\w+)\s*(\[\w*\])?\s*$", part)[1] for part in declaration.split(",")]


def c_text():
    return re.sub(r"/\*.*?\*/", "", "".join((FOLDER / name).read_text() for name in HEADERS), flags=re.DOTALL)


def c_structs():
    """Names of the structs of the headers, and their members in order."""
    found = re.findall(r"typedef struct(?: \w+)? \{(.*?)\} (\w+);", c_text(), re.DOTALL)
    return {name: [m for part in body.split(";") if part.strip() for m in member(part)] for body, name in found}


def c_enums():
    """Sets of the constants of each enum."""
    return [set(re.findall(r"\bFLR_\w+", re.sub(r"=[^,]*", "", body)))
            for body in re.findall(r"\benum \{(.*?)\}", c_text(), re.DOTALL)]


def pxd_blocks(kind):
    """(name, declarations) of the blocks of fastlr_api.pxd that begin with this, with one declaration a line."""
    text = re.sub(r"\s*#.*", "", (FOLDER / "fastlr_api.pxd").read_text())
    text = re.sub(r"\n {12,}", " ", text)
    for name, body in re.findall(rf"^    {kind}(?: (\w+))?:\n((?: {{8}}.*\n)+)", text, re.MULTILINE):
        yield name, body.strip().splitlines()


def test_structs_of_cython_are_those_of_c():
    c, cython = c_structs(), {name: [m for line in lines for m in member(line)]
                              for name, lines in pxd_blocks("ctypedef struct")}
    assert set(WHOLE) < set(cython)
    assert "epoch" in c["flr_api"]
    for name, members in cython.items():
        expected = c[name] if name in WHOLE else [m for m in c[name] if m in members]
        assert members == expected, name


def test_constants_of_cython_are_those_of_c():
    enums = c_enums()
    blocks = [*pxd_blocks("ctypedef enum"), *pxd_blocks("enum")]
    assert len(blocks) > 5
    for name, lines in blocks:
        constants = set(re.findall(r"FLR_\w+", " ".join(lines)))
        whole = [{c for c in enum if not c.startswith("FLR_N_")} for enum in enums]
        assert constants in whole, name


def test_addresses_are_those_of_the_table():
    assert list(fastlr._core.C_FUNCTIONS) == [m for m in c_structs()["flr_api"] if m != "version"]


@needs_compiler
@pytest.mark.skipif(find_spec("Cython") is None, reason="Cython is not installed")
def test_functions_of_cython_have_the_types_of_c(tmp_path):
    """The C compiler compares what a variable of the type in Cython is given."""
    names = {name: [m for line in lines for m in member(line)] for name, lines in pxd_blocks("ctypedef struct")}
    single = ("column_sums", "correct", "first_nonfinite")
    code = ["from fastlr_api cimport *", "cdef void use(const flr_api *api, const flr_kernels *kernels):"]
    code += [f"    api_{name} = api.{name}" for name in names["flr_api"]]
    code += [f"    kernels_{name} = kernels.{name}" for name in single]
    code += [f"    kernels_{name} = kernels.{name}[0]" for name in ("map", "rows", "residual", "curvature")]
    (tmp_path / "types.pyx").write_text("# cython: language_level=3\n" + "\n".join(code) + "\n")
    subprocess.run([sys.executable, "-m", "cython", f"-I{FOLDER}", "types.pyx"], cwd=tmp_path, check=True)
    text = (tmp_path / "types.c").read_text()
    assert re.search(r"int \(\*__pyx_v_api_epoch\)\(double \*, int64_t \*, flr_pass const \*", text)
    command = [COMPILER, "-std=gnu11", "-c", "types.c", "-o", "types.o", "-Werror=incompatible-pointer-types",
               "-Wno-unused-variable", f"-I{FOLDER}", f"-I{sysconfig.get_path('include')}"]
    subprocess.run(command, cwd=tmp_path, check=True)


CPP = """
#include <Python.h>
#include "fastlr_api.h"
#include <vector>

static const flr_api *fastlr = nullptr;

/* the mean of the largest probability of each row of doubles (n, k) */
static PyObject *mean_of_largest(PyObject *, PyObject *array) {
    Py_buffer Z;
    if (PyObject_GetBuffer(array, &Z, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)) return nullptr;
    const int64_t n = Z.shape[0], k = Z.shape[1];
    std::vector<double> A(static_cast<size_t>(n * k));
    const int status = fastlr->map_rows(A.data(), Z.buf, n, k, sizeof(double), FLR_ROWS_SOFTMAX, 2);
    PyBuffer_Release(&Z);
    if (status != FLR_OK) return PyErr_NoMemory();
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double largest = 0;
        for (int64_t c = 0; c < k; c++) largest = A[static_cast<size_t>(i * k + c)] > largest ? A[i * k + c] : largest;
        sum += largest;
    }
    flr_pass pass{};
    flr_targets targets{};
    if (targets.weight || pass.has_reference || flr_real_size(FLR_F32) != 4 || fastlr->kernels(8)->size != 8)
        return PyErr_Format(PyExc_RuntimeError, "not what the header says");
    return PyFloat_FromDouble(sum / static_cast<double>(n));
}

static PyMethodDef functions[] = {{"mean_of_largest", mean_of_largest, METH_O, nullptr},
                                  {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "user_cpp", nullptr, -1, functions, nullptr, nullptr, nullptr,
                             nullptr};

PyMODINIT_FUNC PyInit_user_cpp() { return (fastlr = flr_import()) ? PyModule_Create(&module) : nullptr; }
"""


@needs_compiler
@pytest.mark.skipif(not CPP_COMPILERS, reason="no C++ compiler")
@pytest.mark.parametrize("compiler", CPP_COMPILERS, ids=[os.path.basename(path) for path in CPP_COMPILERS])
def test_extension_in_cpp(tmp_path, compiler):
    (tmp_path / "user_cpp.cpp").write_text(CPP)
    flags = ["-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    flags += ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    includes = [f"-I{sysconfig.get_path('include')}", f"-I{FOLDER}"]
    subprocess.run([compiler, *flags, *includes, "user_cpp.cpp", "-o", "user_cpp.so"], cwd=tmp_path, check=True)
    Z = np.random.default_rng(0).normal(size=(1000, 7))
    mean = load(tmp_path / "user_cpp.so", "user_cpp").mean_of_largest(Z)
    assert mean == pytest.approx(reference.softmax(Z).max(axis=1).mean(), rel=1e-13)
