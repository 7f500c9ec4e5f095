"""Solvers: they ask an objective for values, gradients, second derivatives and, some of them, rows of features.

`minimise` is the one entry; docs/solvers.md tells the algorithms, their sources and when each is chosen.
"""

from fastlr.solvers.result import Result
from fastlr.solvers.strategy import SOLVERS, minimise

__all__ = ["SOLVERS", "Result", "minimise"]
