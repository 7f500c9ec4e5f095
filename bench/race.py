"""Solvers race to a suboptimality: each climbs its ladder of settings until a fit is good enough."""

import math
import time
from dataclasses import dataclass

from .timing import wait_until_idle

ROUNDS_SECONDS = 10.0
"""Fits short enough are repeated in alternation for about this long, at most five times."""


@dataclass
class Finish:
    """The first setting that reached the target: its shortest time, and how far from the optimum it ended."""

    setting: str
    fit: object
    seconds: float
    suboptimality: float

    def __str__(self):
        return f"{self.setting} reaches {self.suboptimality:.1e}"


def timed(fit):
    """Seconds and result of one call."""
    wait_until_idle()
    start = time.perf_counter()
    result = fit()
    return time.perf_counter() - start, result


def climb(ladder, suboptimality_of, target, give_up_after=math.inf):
    """The `Finish` of a ladder, or None: the target was not reached, or an attempt was slower than `give_up_after`."""
    for setting, fit in ladder:
        seconds, model = timed(fit)
        achieved = suboptimality_of(model)
        if achieved <= target:
            return Finish(setting, fit, seconds, achieved)
        if seconds > give_up_after:
            return None
    return None


def repeat(finishes, settings):
    """Time the fits of several `Finish`es again, in alternation; the shortest time of each counts."""
    rounds = 0 if settings.quick else min(5, int(ROUNDS_SECONDS / sum(finish.seconds for finish in finishes)))
    for _ in range(rounds):
        for finish in finishes:
            finish.seconds = min(finish.seconds, timed(finish.fit)[0])
