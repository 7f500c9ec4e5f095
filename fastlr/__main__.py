"""``python -m fastlr`` is the command ``fastlr``."""

import sys

from fastlr.cli import main

if __name__ == "__main__":
    sys.exit(main())
