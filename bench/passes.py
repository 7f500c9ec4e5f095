"""Suite "passes": one full-batch loss and gradient against the machine's limit, on two threads and one."""

from . import contests, limits
from .cases import PASSES, SCALING, SPEED_UP
from .memory import peak_memory
from .table import Row, Table
from .timing import best_seconds


def tables(settings):
    """Yield the tables of the suite."""
    yield Table(
        "loss_and_grad",
        "Milliseconds a call. limit, of the same rounds = the longer of reading an array of X's bytes, and of the "
        "products X W' and R'X of the case's own n, d, k by BLAS, or as many operations as a square product does them, "
        "whichever is faster; of k classes of softmax k - 1 count.",
        [_against_limit(case, settings) for case in PASSES],
    )
    if settings.n_threads > 1:
        yield Table(
            f"loss_and_grad, 1 thread and {settings.n_threads}",
            "Compute-bound passes; the result is the speed-up.",
            [_speed_up(case, settings) for case in SCALING],
        )
    yield peak_memory(settings)


def _against_limit(case, settings):
    n = settings.rows(case.n)
    probes = limits.probes_of_pass(case, n, settings)
    times = best_seconds(probes | contests.of_pass(case, n, settings.n_threads), **settings.effort)
    limit = limits.limit_of_pass(case, n, settings, times)
    seconds = {"limit": limit} | {name: t for name, t in times.items() if name not in probes}
    return Row(case.name, seconds, times["fastlr"] / limit, "x limit", case.target)


def _speed_up(case, settings):
    n = settings.rows(case.n)
    times = best_seconds(
        {f"{threads} thread{'s'[: threads > 1]}": contests.of_pass(case, n, threads)["fastlr"]
         for threads in (1, settings.n_threads)},
        **settings.effort,
    )
    one, many = times.values()
    return Row(case.name, times, one / many, "x faster", SPEED_UP)
