"""Time contestants in alternation, so that a noisy machine is unfair to nobody.

A round calls each contestant a few times in a row; the best time over all rounds counts.  A turn begins when the
threads of the one before are asleep: the workers of a BLAS go on spinning for a tenth of a second after a call, and on
a machine with few cores would take a core from whoever comes next.
"""

import gc
import time

IDLE_SLICE = 0.01
"""The process is idle once its threads used less than a tenth of this time of sleep, in seconds."""
MAX_WAIT = 1.0
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
                wait_until_idle()
                best[name] = min(best[name], _burst(call))
    finally:
        if collecting:
            gc.enable()
    return best


def wait_until_idle():
    """Sleep until no thread of this process is running; at most `MAX_WAIT` seconds."""
    for _ in range(round(MAX_WAIT / IDLE_SLICE)):
        before = time.process_time()
        time.sleep(IDLE_SLICE)
        if time.process_time() - before < IDLE_SLICE / 10:
            return


def _burst(call):
    best, spent, calls = float("inf"), 0.0, 0
    while calls < 2 or spent < BURST_SECONDS:
        start = time.perf_counter()
        call()
        elapsed = time.perf_counter() - start
        best, spent, calls = min(best, elapsed), spent + elapsed, calls + 1
    return best
