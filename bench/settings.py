"""How a run is to be done."""

from dataclasses import dataclass
from functools import cached_property

from .limits import Probes


@dataclass(frozen=True)
class Settings:
    """Threads of all contestants, and whether it is only to be seen that everything runs.

    A quick run takes a tenth of the rows and few repeats; its figures mean nothing.
    """

    n_threads: int
    quick: bool = False

    @cached_property
    def probes(self):
        """The machine's probes on these threads."""
        return Probes(self.n_threads)

    @property
    def effort(self):
        """Options of `timing.best_seconds`."""
        return {"seconds": 0.1, "min_rounds": 1} if self.quick else {"seconds": 2.0}

    def rows(self, n):
        """How many of a case's rows to take."""
        return n // 10 if self.quick else n
