"""``python -m fastlr.patch [-v] SCRIPT.py [ARGUMENTS]``: run a program with scikit-learn's classes fitted by fastlr.

-v tells on stderr of each fit who did it, and why; -m MODULE in place of SCRIPT.py runs a module.
"""

import logging
import runpy
import sys
from pathlib import Path

from fastlr.patch import patch_sklearn

USAGE = "usage: python -m fastlr.patch [-v] (SCRIPT.py | -m MODULE) [ARGUMENTS]"


def main(arguments):
    """Run the program that the arguments name, as Python would; returns 2 where they name none."""
    if arguments[:1] == ["-v"]:
        arguments = arguments[1:]
        logging.basicConfig(format="%(name)s: %(message)s")
        logging.getLogger("fastlr").setLevel(logging.INFO)
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
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
