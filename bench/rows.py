"""Suite "rows": softmax and its relatives on logits against the machine's limit; suite "functions": against NumPy."""

from . import contests, limits
from .cases import AGAINST_NUMPY, ROWS
from .table import Row, Table
from .timing import best_seconds


def tables(settings):
    """Yield the table of suite "rows"."""
    yield Table(
        "Row kernels",
        "Milliseconds a call, out= given where there is one (SciPy's allocate, all but expit); "
        "the limit, measured in the same rounds on arrays of the case's own bytes, is the faster of y = c * x and of a "
        "copy, which writes large arrays past the caches, for logsumexp a read of as many bytes.",
        [_against_limit(case, settings) for case in ROWS],
    )


def against_numpy(settings):
    """Yield the table of suite "functions"."""
    yield Table(
        "Functions of logits against NumPy",
        "Milliseconds a call, out= given to both; the result is NumPy's time over fastlr's.",
        [_against_numpy(case, settings) for case in AGAINST_NUMPY],
    )


def _against_limit(case, settings):
    n = settings.rows(case.n)
    probes = limits.probes_of_rows(case, n, settings)
    times = best_seconds(probes | contests.of_rows(case, n, settings.n_threads), **settings.effort)
    limit = min(times[name] for name in probes)
    return Row(case.name, times, times["fastlr"] / limit, "x limit", case.target)


def _against_numpy(case, settings):
    contestants = contests.of_rows(case, settings.rows(case.n), settings.n_threads)
    times = best_seconds({name: contestants[name] for name in ("fastlr", "numpy")}, **settings.effort)
    return Row(case.name, times, times["numpy"] / times["fastlr"], "x faster", case.target)
