"""How a run is to be done."""

from dataclasses import dataclass

from . import limits


@dataclass(frozen=True)
class Settings:
    """Threads of all contestants, whether it is only to be seen that everything runs, and the size of large files.

    A quick run takes few rows, columns, classes and settings, and one round; its figures mean nothing.
    """

    n_threads: int
    quick: bool = False
    gigabytes: float = 1.0

    @property
    def effort(self):
        """Options of `timing.best_seconds`."""
        return {"seconds": 0.0, "min_rounds": 1, "max_rounds": 1} if self.quick else {"seconds": 2.0}

    @property
    def square(self):
        """The size of the probe `limits.square`."""
        return limits.SQUARE // 8 if self.quick else limits.SQUARE

    @property
    def buffer_bytes(self):
        """The size of the arrays that the rates in the head of a run are measured on."""
        return limits.BUFFER_BYTES // 100 if self.quick else limits.BUFFER_BYTES

    def rows(self, n):
        """How many of a case's rows to take."""
        return n // 100 if self.quick else n

    def width(self, k):
        """How many of a fit's many columns, classes or labels to take."""
        return k // 10 if self.quick else k

    def ladder(self, settings):
        """Which settings of a solver to try, from loose to tight."""
        return settings[::4] if self.quick else settings
