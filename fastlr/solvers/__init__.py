"""Solvers: they ask an objective for values, gradients, second derivatives and, some of them, rows of features.

`minimise` is the one entry; docs/solvers.md tells the algorithms, their sources and when each is chosen.
"""

from fastlr.solvers.auto import SOLVERS, minimise
from fastlr.solvers.state import Result

__all__ = ["SOLVERS", "Result", "minimise"]
