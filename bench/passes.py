"""Suite "passes": one full-batch loss and gradient against the machine's limit, on two threads and one."""

from . import contests
from .cases import PASSES, SCALING
from .memory import peak_memory
from .table import Row, Table, Target
from .timing import best_seconds

SPEED_UP = Target(1.7, None, "at least")


def tables(settings):
    """Yield the tables of the suite."""
    yield Table(
        "loss_and_grad",
        "Milliseconds a call; limit = max(bytes of X / read bandwidth, 4 n d k / gemm rate), of the same rounds.",
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
    probes = settings.probes
    times = best_seconds(
        probes.reading() | probes.multiplying(case.real) | contests.of_pass(case, n, settings.n_threads),
        **settings.effort,
    )
    limit = case.limit(times, n)
    seconds = {"limit": limit} | {name: times[name] for name in ("fastlr", "numpy", "torch") if name in times}
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
