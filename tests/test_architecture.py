"""The rooms of the package: imports run downwards only, and X is touched in one place."""

import ast
import re
from pathlib import Path

import pytest

import fastlr

PACKAGE = Path(fastlr.__file__).parent
ROOMS = (
    {"_core"},
    {"_runtime"},
    {"_input"},
    {"functional", "losses", "linear_loss", "reference"},
    {"model"},
    {"solvers"},
    {"_verdict", "_scikit_learn", "_training", "_training_state", "_training_data", "_training_streamed",
     "_training_windows", "_classifier",
     "_dask_chunks", "_dask_data", "_dask_engine"},
    {"trainer", "linear_model", "linear_model_cv", "_search", "dask", "datasets", "plotting", "config", "c_api"},
    {"patch"},
    {"cli", "__main__"},
)
"""From the lowest to the highest; `fastlr` itself, which names what is public, and the benchmarks stand above them."""


def modules():
    return {path.relative_to(PACKAGE).with_suffix(""): path for path in PACKAGE.rglob("*.py")
            if path.relative_to(PACKAGE).parts[0] != "bench"}


def dotted(name):
    parts = [part for part in name.parts if part != "__init__"]
    return ".".join(["fastlr", *parts])


def imports(path):
    """Full names of what a module imports of fastlr, wherever in it."""
    known = {dotted(name) for name in modules()} | {"fastlr._core"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "fastlr":
                yield name if name in known else name.rpartition(".")[0] if "." in name else name


def room(name):
    first = name.removeprefix("fastlr").strip(".").split(".")[0]
    return next((i for i, names in enumerate(ROOMS) if first in names), None)


def test_every_module_is_in_a_room():
    homeless = [str(name) for name in modules() if name.parts[0] != "__init__" and room(dotted(name)) is None]
    assert not homeless


def test_imports_run_downwards():
    wrong = []
    for name, path in modules().items():
        here = room(dotted(name))
        if here is None or here == len(ROOMS) - 1:  # the package itself, and the command line, which is told of all
            continue
        for imported in imports(path):
            there = room(imported)
            if imported == "fastlr":
                if name.parts[0] != "config":  # it tells the version
                    wrong.append(f"{name} imports fastlr")
            elif there is None or there > here:
                wrong.append(f"{name} imports {imported}")
    assert not wrong


def test_no_module_imports_itself_in_a_circle():
    graph = {dotted(name): set(imports(path)) for name, path in modules().items() if name.parts[0] != "__init__"}
    done, doing = set(), []

    def visit(name):
        assert name not in doing, f"circle: {' -> '.join([*doing[doing.index(name):], name])}"
        if name in done or name not in graph or name == "fastlr":
            return
        doing.append(name)
        for imported in graph[name]:
            visit(imported)
        doing.pop()
        done.add(name)

    for name in graph:
        visit(name)


def test_the_bindings_import_nothing_of_the_package():
    if not (PACKAGE / "_bindings").exists():
        pytest.skip("an installed package, without its sources")
    sources = [PACKAGE / "_core.pyx", PACKAGE / "_core.pxd", *(PACKAGE / "_bindings").iterdir()]
    assert len(sources) > 3
    for path in sources:
        assert not re.search(r"^\s*(from fastlr|import fastlr)", path.read_text(), re.MULTILINE), path


def test_only_rows_touch_x():
    """Of what is minimised and how: names X or _X, as a variable or an attribute, stand in model/rows*.py only."""
    for name, path in modules().items():
        if name.parts[0] not in ("model", "solvers") or name.name.startswith("rows"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            touched = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            assert touched not in ("X", "_X"), f"{name}, line {getattr(node, 'lineno', '?')}"


def test_files_are_short():
    folders = [PACKAGE, PACKAGE.parent / "csrc"]
    if not folders[1].exists():  # an installed package, without its sources
        folders.pop()
    long = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix in (".py", ".pyx", ".pxi", ".pxd", ".h", ".c") and path.name != "_core.c":
                n_lines = len(path.read_text().splitlines())
                if n_lines > 300:
                    long[path.name] = n_lines
    assert not long
