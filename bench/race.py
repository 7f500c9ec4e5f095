"""Solvers race to a suboptimality: each climbs its ladder of settings until a fit is good enough."""

import math
import signal
import time
from contextlib import contextmanager
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


class TooSlow(Exception):
    """A call took longer than it was given."""


@contextmanager
def time_limit(seconds):
    """Raise `TooSlow` after so many seconds, where there are signals and once the call is back in Python."""
    if not hasattr(signal, "SIGALRM") or not math.isfinite(seconds):
        yield
        return

    def stop(*_):
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def climb(ladder, suboptimality_of, target, give_up_after=math.inf, each=math.inf):
    """The `Finish` of a ladder, or None: the target was not reached, or an attempt was slower than `give_up_after`.

    An attempt that takes longer than `each` seconds ends the climb, and is ended where that can be done.
    """
    for setting, fit in ladder:
        try:
            with time_limit(each):
                seconds, model = timed(fit)
        except TooSlow:
            return None
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
