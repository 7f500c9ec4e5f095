"""``python -m fastlr.patch [-v] SCRIPT.py [ARGUMENTS]``: run a program with scikit-learn's classes fitted by fastlr.

-v tells on stderr of each fit who did it, and why, in processes of n_jobs too; -m MODULE in place of SCRIPT.py runs a
module.
"""

import builtins
import os
import runpy
import sys
import types
import zipfile
from pathlib import Path

from fastlr.patch import VERBOSE, log_fits, patch_sklearn

USAGE = "usage: python -m fastlr.patch [-v] (SCRIPT.py | -m MODULE) [ARGUMENTS]"


def main(arguments):
    """Run the program that the arguments name, as Python would; returns 2 where they name none."""
    if arguments[:1] == ["-v"]:
        arguments = arguments[1:]
        os.environ[VERBOSE] = "1"
        log_fits()
    is_module = arguments[:1] == ["-m"]
    arguments = arguments[is_module:]
    if not arguments or arguments[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        return 2
    patch_sklearn()
    sys.argv = arguments
    if is_module:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        return _run(arguments[0])
    return 0


def _run(script):
    """Run a script as `python script` does; folders and archives with a __main__.py by runpy."""
    path = Path(script).absolute()
    if not path.is_file() or zipfile.is_zipfile(path):
        if not path.exists():
            print(f"{sys.executable}: can't open file {str(path)!r}: No such file or directory", file=sys.stderr)
            return 2
        sys.path[0] = str(path)
        runpy.run_path(str(path), run_name="__main__")
        return 0
    sys.path[0] = str(path.resolve().parent)
    code = compile(path.read_bytes(), str(path), "exec")
    module = types.ModuleType("__main__")
    module.__file__, module.__builtins__ = str(path), builtins
    sys.modules["__main__"] = module
    exec(code, vars(module))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
