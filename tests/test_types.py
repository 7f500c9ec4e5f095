"""Type checkers see the public names: stubs say what the package has, and a user's program checks without an error."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastlr

PACKAGE = Path(fastlr.__file__).parent
STUBS = {"fastlr": "__init__.pyi", "fastlr.datasets": "datasets.pyi", "fastlr.plotting": "plotting/__init__.pyi",
         "fastlr._core": "_core.pyi"}
KINDS = {"posonlyargs": inspect.Parameter.POSITIONAL_ONLY, "args": inspect.Parameter.POSITIONAL_OR_KEYWORD,
         "kwonlyargs": inspect.Parameter.KEYWORD_ONLY}


def definitions(module):
    """Qualified names of what a stub defines, and their nodes; those of `_Names` are its own."""
    for node in ast.parse((PACKAGE / STUBS[module]).read_text()).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name != "__getattr__":
                    yield f"{node.name}.{method.name}", method
        elif isinstance(node, ast.FunctionDef):
            yield node.name, node


def parameters(node):
    """Names, kinds and defaults of a function of a stub, as a caller sees them."""
    arguments, found = node.args, []
    positional = arguments.posonlyargs + arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    for argument, default in zip(positional + arguments.kwonlyargs, defaults + arguments.kw_defaults, strict=True):
        kind = next(kind for name, kind in KINDS.items() if argument in getattr(arguments, name))
        found.append((argument.arg, kind, inspect.Parameter.empty if default is None else ast.literal_eval(default)))
    return [part for part in found if part[0] != "cls"]


@pytest.mark.parametrize("module", STUBS)
def test_stubs_have_the_signatures_of_the_package(module):
    compared = 0
    for name, node in definitions(module):
        value = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
        if isinstance(node, ast.ClassDef):
            assert inspect.isclass(value), name
            continue
        if module == "fastlr._core" and name.endswith("__"):  # special methods of compiled classes tell no names
            continue
        real = inspect.signature(value).parameters.values()
        real = [(p.name, p.kind, p.default) for p in real if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        assert parameters(node) == real, name
        compared += 1
    assert compared > 2


def test_the_stub_has_all_public_names():
    tree = ast.parse((PACKAGE / STUBS["fastlr"]).read_text())
    names = {name for name, _ in definitions("fastlr") if "." not in name} | {"datasets"}
    names |= {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign) and node.simple}
    assert {name for name in names if not name.startswith("_") or name == "__version__"} == set(fastlr.__all__)


USER = """\
import numpy as np

import fastlr
from fastlr import LogisticRegression, LogisticRegressionCV, Trainer, datasets
from fastlr.plotting import CoefficientsDisplay, DecisionBoundaryDisplay, TrainingCurveDisplay, WeightImagesDisplay

X, y = datasets.load_digits()
model = fastlr.LogisticRegression(C=1.0).fit(X, y)
accuracy: float = model.score(X, y)
probabilities = model.predict_proba(X)[:, 0]
LogisticRegression(1, solver="lbfgs", class_weight={0: 2.0, 1: 1}, scale=1 / 16, random_state=0, n_jobs=None)
LogisticRegression(C=np.inf, class_weight="balanced", scale=np.ones(3), penalty=None)
search = LogisticRegressionCV(Cs=[0.1, 1.0], cv=3, scoring="neg_log_loss").fit(X, y)
LogisticRegressionCV(Cs=np.logspace(-2, 2, 5)), LogisticRegressionCV(Cs="auto")
gap: float = model.suboptimality_ + search.suboptimality_
t = Trainer(batch_size=None, learning_rate=1).fit(X, y, scale=1 / 16, validation_data=(X, y))
t.history_["loss"][-1].is_integer()
A = fastlr.softmax([[1.0, 2.0], [0.0, 1.0]], axis=(0, 1))
loss, dZ = fastlr.cross_entropy_and_grad(t.decision_function(X[:5]), y[:5])
dZ.sum(axis=0)
value, G, g = fastlr.loss_and_grad(X, t.coef_, t.intercept_, y)
G @ g
fastlr.show_config()
version: str = fastlr.__version__
TrainingCurveDisplay.from_estimator(t, measures=["loss"]).plot()
WeightImagesDisplay.from_estimator(model, (8, 8)).figure_.savefig("weights.png")
CoefficientsDisplay.from_estimator(search, max_features=5).axes_
DecisionBoundaryDisplay.from_estimator(model, X, y, features=(0, 1)).ax_.set_title("digits")
"""


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_a_program_checks(tmp_path):
    program = tmp_path / "user.py"
    program.write_text(USER)
    # mypy does not follow the import hooks of an editable install, and refuses to be told of site-packages
    path = {} if PACKAGE.parent.name == "site-packages" else {"MYPYPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path / 'cache'}", program]

    def check():
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | path, cwd=tmp_path, timeout=300)

    assert check().stdout == "Success: no issues found in 1 source file\n"
    program.write_text(USER + "LogisticRegression(c=1.0)\nfastlr.softmaxx\n")
    found = check().stdout
    assert 'Unexpected keyword argument "c" for "LogisticRegression"' in found
    assert 'Module has no attribute "softmaxx"' in found
