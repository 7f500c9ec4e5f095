"""Solvers: they see an objective's values, gradients and second derivatives, never X.

`minimise` is the one entry; docs/solvers.md tells the algorithms, their sources and when each is chosen.
"""

from fastlr.solvers.result import Result
from fastlr.solvers.strategy import SOLVERS, minimise

__all__ = ["SOLVERS", "Result", "minimise"]
