"""The engine of rows in parts on a Dask cluster: a part is a task's result that stays on its worker.

A pass is one message to the scheduler and one task a part, where the part lies; results of many values are joined
there, others here. Nothing is scattered: what a worker that dies takes with it is made again from what it came from.
"""

import asyncio
import concurrent.futures
import time

import numpy as np
from distributed import KilledWorker

from fastlr import _core
from fastlr._runtime.threads import blas_limit
from fastlr.model.affine import Affine
from fastlr.model.rows_base import add
from fastlr.model.rows_engine import FAN, aligned, join_group, joined

GLANCE = 1.0  # seconds between looks at the cluster while a result is waited for
PATIENCE = 5.0  # seconds without a connection to the scheduler
NO_WORKERS = 30.0  # seconds without workers
ATTEMPTS = 4  # at a pass whose workers die
JOINED_HERE = 1 << 17  # values of all results together; and of parameters that are sent with each task


class Cluster:
    """What a fit has on a cluster.

    Parameters
    ----------
    client : distributed.Client

    Raises
    ------
    ConnectionError, TimeoutError
        Where there is no scheduler, or it has no workers.
    """

    def __init__(self, client):
        self.client, self._kept = client, set()
        self.check_connection()
        try:
            client.wait_for_workers(1, timeout=NO_WORKERS)
        except TimeoutError:
            raise self._deserted() from None
        self.isa = self._common_isa()

    def check_connection(self):
        """Raise ConnectionError where the client has none."""
        if self.client.status != "running":
            raise ConnectionError(f"the client is {self.client.status}: there is no connection to the scheduler at "
                                  f"{_address(self.client)}; expected a running one: make a new Client")

    def _deserted(self):
        return TimeoutError(f"the cluster at {_address(self.client)} has had no workers for {NO_WORKERS:g} s; expected "
                            f"at least one: start workers, cluster.scale(1)")

    def _common_isa(self):
        """The best instruction set that all workers have: on another, sums have other last digits."""
        found = self.client.run(_isas, on_error="return")
        for worker, names in found.items():
            if isinstance(names, ImportError):
                raise ImportError(f"worker {worker} cannot import fastlr ({names}); expected the same version on all "
                                  f"workers: install it there")
        known = [names for names in found.values() if isinstance(names, list)]
        return next((name for name in known[0] if all(name in names for names in known)), None) if known else None

    def compute(self, tasks):
        """Futures of delayed objects."""
        return self._keep(self.client.compute(tasks))

    def start(self, function, *lists, **options):
        """Futures of function(*args, **options) for the args of some lists, which may be futures."""
        return self._keep(self.client.map(function, *lists, pure=False, key=f"fastlr-{_name(function)}", **options))

    def start_one(self, function, *args):
        """The future of function(*args); args may be futures and lists of them."""
        return self._keep([self.client.submit(function, *args, pure=False, key=_one_key(function))])[0]

    def _keep(self, futures):
        self._kept.update(futures)
        return futures

    def release(self, futures):
        """Let go of futures, whether done or not."""
        for future in futures:
            future.release()
        self._kept.difference_update(futures)

    def close(self):
        """Let go of all."""
        self.release(list(self._kept))

    def gather(self, futures):
        """Their results; ConnectionError or TimeoutError where the scheduler or all workers are gone for long."""
        loop = self.client.loop.asyncio_loop
        coming = asyncio.run_coroutine_threadsafe(self._results(futures), loop)
        seen = manned = time.monotonic()
        try:
            while True:
                try:
                    return coming.result(timeout=GLANCE)
                except concurrent.futures.TimeoutError:
                    if coming.done():
                        raise
                now = time.monotonic()
                if self.client.status != "running":
                    if now - seen > PATIENCE:
                        self.check_connection()
                    continue
                seen = now
                if now - manned > NO_WORKERS:
                    if not self.client.nthreads():
                        raise self._deserted()
                    manned = now
        finally:
            coming.cancel()

    async def _results(self, futures):
        return await self.client.gather(futures, asynchronous=True)


class DaskParts:
    """The engine; see fastlr/model/rows_engine.py.

    Parameters
    ----------
    cluster : Cluster
    parts : list of Future
        Each of a `Part`.
    """

    def __init__(self, cluster, parts):
        self.cluster, self.parts = cluster, parts

    def map(self, function, *args):
        """[function(part, *args)], in the parts' order."""
        return self._again(self._map, _Task(self.cluster.isa, function, args))

    def reduce(self, function, *args, join=add, size=1):
        """These results, about `size` values each, joined."""
        task = _Task(self.cluster.isa, function, args)
        if size * len(self.parts) <= JOINED_HERE:
            return joined(self._again(self._map, task), join)
        return self._again(self._reduce, task, join)

    def transform(self, function, *args):
        """An engine of the results."""
        started = []
        return DaskParts(self.cluster, self._start(_Task(self.cluster.isa, function, args), started))

    def _map(self, started, task):
        return self.cluster.gather(self._start(task, started))

    def _reduce(self, started, task, join):
        results = self._start(task, started)
        while len(results) > 1:
            groups = [results[i : i + FAN] for i in range(0, len(results), FAN)]
            results = [self.cluster.start_one(join_group, group, join) for group in groups]
            started += results
        return self.cluster.gather(results)[0]

    def _start(self, task, started):
        if task.size * len(self.parts) > JOINED_HERE:  # once to each worker, from one of them
            task = self.cluster.start_one(_hold, task)
            started.append(task)
        results = self.cluster.start(_run, self.parts, [task] * len(self.parts))
        started += results
        return results

    def _again(self, work, *args):
        """work(started, *args), anew where workers have died too often; what it started is let go of."""
        for left in reversed(range(ATTEMPTS)):
            started = []
            try:
                return work(started, *args)
            except (KilledWorker, concurrent.futures.CancelledError) as error:
                self.cluster.check_connection()
                if any(part.status in ("lost", "cancelled") for part in self.parts):
                    raise RuntimeError("chunks were lost with their worker and cannot be made again: they were "
                                       "scattered, or cancelled; expected collections that Dask can compute") from error
                if not left:
                    raise
                self.cluster.client.retry([part for part in self.parts if part.status == "error"])
            finally:
                self.cluster.release(started)


class _Task:
    """A function of a part and its arguments, which Dask does not look into."""

    def __init__(self, isa, function, args):
        self.isa, self.function, self.args = isa, function, args

    def __setstate__(self, state):
        vars(self).update(state)
        self.args = tuple(map(_as_kernels_read, self.args))

    @property
    def size(self):
        """Values of arrays among the arguments."""
        return sum(arg.size for arg in self.args if isinstance(arg, np.ndarray))


def _run(part, task):
    """On a worker: the function, on the instruction set that all have."""
    if task.isa is not None and _core.isa_name() != task.isa:
        _core.select_isa(task.isa)
    with np.errstate(all="ignore"), blas_limit():
        return task.function(part, *task.args)


def _as_kernels_read(arg):
    return Affine(aligned(arg.scale), aligned(arg.shift)) if isinstance(arg, Affine) else aligned(arg)


def _hold(task):
    return task


def _isas():
    """Instruction sets of this worker, best first, from the one in use."""
    names = _core.available_isas()
    return names[names.index(_core.isa_name()) :]


def _name(function):
    return getattr(function, "__name__", "task").strip("_")


def _one_key(function):
    from uuid import uuid4

    return f"fastlr-{_name(function)}-{uuid4().hex}"


def _address(client):
    scheduler = getattr(client, "scheduler", None)
    return getattr(scheduler, "address", None) or "an unknown address"
