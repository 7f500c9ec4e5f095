"""Time contestants in alternation, so that a noisy machine is unfair to nobody.

A round calls each contestant a few times in a row; the best time over all rounds counts.  Before its turn the
contestant's predecessor is given time to fall asleep: the worker threads of a BLAS go on spinning after a call for tens
of milliseconds, and on a machine with few cores would slow whoever comes next.
"""

import gc
import time

SETTLE_SECONDS = 0.04
BURST_SECONDS = 0.02
"""A turn goes on until this much time was spent in calls, at least two of them."""


def best_seconds(contestants, *, seconds=2.0, min_rounds=4, max_rounds=15):
    """The shortest time of one call of each contestant.

    Parameters
    ----------
    contestants : dict of str to callable without arguments
    seconds : float
        Start no further round after this time, warm-up not counted.
    min_rounds, max_rounds : int

    Returns
    -------
    dict of str to float
        Seconds, in the order of `contestants`.
    """
    for call in contestants.values():
        call()
    best = dict.fromkeys(contestants, float("inf"))
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for done in range(max_rounds):
            if done >= min_rounds and time.perf_counter() - start > seconds:
                break
            for name, call in contestants.items():
                time.sleep(SETTLE_SECONDS)
                best[name] = min(best[name], _burst(call))
    finally:
        if collecting:
            gc.enable()
    return best


def _burst(call):
    best, spent, calls = float("inf"), 0.0, 0
    while calls < 2 or spent < BURST_SECONDS:
        start = time.perf_counter()
        call()
        elapsed = time.perf_counter() - start
        best, spent, calls = min(best, elapsed), spent + elapsed, calls + 1
    return best
