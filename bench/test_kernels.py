"""pytest-benchmark: passes and row functions, fastlr and its peers in one group a case.  ``pytest bench`` runs them.

No time is asserted; the judged tables, with the machine's limits, are those of ``fastlr bench``.
"""

import pytest

from fastlr._runtime.threads import resolve_n_threads

from . import contests
from .cases import PASSES, ROWS

N_THREADS = resolve_n_threads(None)
PEERS = ("fastlr", "numpy", "scipy", "torch")


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", PASSES, ids=lambda case: case.name)
def test_loss_and_grad(benchmark, case, peer):
    _run(benchmark, case, peer, contests.of_pass)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_rows(benchmark, case, peer):
    _run(benchmark, case, peer, contests.of_rows)


def _run(benchmark, case, peer, contestants_of):
    benchmark.group = case.name
    contestants = contestants_of(case, case.n, N_THREADS)
    if peer not in contestants:
        pytest.skip(f"{peer} is not installed or does not compute this")
    benchmark.pedantic(contestants[peer], rounds=5, warmup_rounds=1)
