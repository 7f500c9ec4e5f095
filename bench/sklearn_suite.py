"""scikit-learn's own tests with fastlr's classes in place of its own: how many pass.

    python -m fastlr.bench.sklearn_suite [--modules | FILE ...] [--patched | --peer] [-- PYTEST_ARGUMENTS]

The files are those of the scikit-learn that is installed: test_logistic.py, or with --modules those of other modules
that use the class. Copies import LogisticRegression and LogisticRegressionCV from fastlr, with --patched those of
`fastlr.patch_sklearn`, with --peer scikit-learn's own, for what passes on this machine at all; nothing else is changed.
Lists what fails; the exit status is 0 where anything was run.
"""

import argparse
import ast
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

REPLACED = {"LogisticRegression", "LogisticRegressionCV"}
HOMES = {"sklearn.linear_model", "sklearn.linear_model._logistic"}


def main(argv=None):
    """Run them and print a line for each file, and the tests that fail."""
    parser = argparse.ArgumentParser(prog="fastlr.bench.sklearn_suite", description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", help="below sklearn/ (default: linear_model/tests/test_logistic.py)")
    parser.add_argument("--modules", action="store_true", help="the other modules' test files that use the class")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--patched", dest="source", action="store_const", const="fastlr.patch.estimators",
                       help="the classes of fastlr.patch_sklearn")
    which.add_argument("--peer", dest="source", action="store_const", const=None,
                       help="leave scikit-learn's own classes in place")
    parser.set_defaults(source="fastlr")
    argv = list(sys.argv[1:] if argv is None else argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    args = parser.parse_args(argv[:cut])
    import sklearn

    root = Path(sklearn.__file__).parent
    files = component_files(root) if args.modules else [root / f for f in args.files or [LOGISTIC]]
    total, failed = Counter(), []
    for file in files:
        counts, names = run(file, args.source, pytest_arguments=argv[cut + 1 :])
        print(f"{file.relative_to(root)!s:<60} {tell(counts)}", flush=True)
        total += counts
        failed += [f"{file.relative_to(root)}::{name}" for name in names]
    print(f"{'total, scikit-learn ' + sklearn.__version__:<60} {tell(total)}")
    print("".join(f"  failed  {name}\n" for name in failed), end="")
    return 0 if total else 1


LOGISTIC = "linear_model/tests/test_logistic.py"


def tell(counts):
    return f"{counts['passed']:5} passed {counts['failed']:5} failed {counts['skipped']:5} skipped"


def component_files(root):
    """Test files that import one of the classes, but for test_logistic.py."""
    return [path for path in sorted(root.rglob("tests/test_*.py"))
            if path != root / LOGISTIC and importing_from("fastlr", path.read_text()) != path.read_text()]


def importing_from(package, source):
    """The source of a module, with its imports of the two classes from a package; as it is for None."""
    if package is None:
        return source
    lines = source.splitlines(keepends=True)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom) and node.module in HOMES]
    for node in sorted(nodes, key=lambda node: -node.lineno):
        names = [ast.unparse(alias) for alias in node.names]
        ours = [name for name in names if name.split()[0] in REPLACED]
        others = [name for name in names if name.split()[0] not in REPLACED]
        if ours:
            imports = [f"from {package} import {', '.join(ours)}"]
            imports += [f"from {node.module} import {', '.join(others)}"] if others else []
            lines[node.lineno - 1 : node.end_lineno] = [" " * node.col_offset + "; ".join(imports) + "\n"]
    return "".join(lines)


def run(file, package, pytest_arguments):
    """How many tests of a file passed, failed and were skipped, and the names of those that failed."""
    with tempfile.TemporaryDirectory() as folder:
        copy, report = Path(folder) / file.name, Path(folder) / "report.xml"
        copy.write_text(importing_from(package, file.read_text()))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "sklearn.conftest", "-p", "no:cacheprovider", "--tb=no",
                   "--rootdir", folder, f"--junitxml={report}", *pytest_arguments, str(copy)]
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ)
        if not report.exists():
            raise RuntimeError(f"pytest on {file} ended without a report:\n{process.stdout}{process.stderr}")
        cases = list(ElementTree.parse(report).iter("testcase"))
        kinds = [next((child.tag for child in case if child.tag in KINDS), "passed") for case in cases]
    counts = Counter(KINDS.get(kind, kind) for kind in kinds)
    return counts, [case.get("name") for case, kind in zip(cases, kinds, strict=True) if KINDS.get(kind) == "failed"]


KINDS = {"failure": "failed", "error": "failed", "skipped": "skipped"}


if __name__ == "__main__":
    sys.exit(main())
