# Python functions on the threads of the pool.

from contextvars import copy_context

from libc.stdint cimport int64_t


cdef class _Tasks:
    """Calls of one function, some of them made, and what the first that failed raised."""

    cdef object work, context
    cdef list results
    cdef object error


cdef void _run_task(void *context, int64_t task, int worker) noexcept with gil:
    cdef _Tasks tasks = <_Tasks>context
    if tasks.error is not None:
        return
    try:
        tasks.results[task] = tasks.context.copy().run(tasks.work, task)
    except BaseException as error:
        tasks.error = error


def parallel_for(work, int64_t n_tasks, int n_threads):
    """[work(0), ..., work(n_tasks - 1)], made by up to n_threads threads of the pool, the caller's among them.

    They take turns to hold the GIL, so this is for work that gives it up: NumPy's, and passes, each on its own thread
    alone.  Each runs in a copy of the caller's context, where NumPy keeps what to do about values that are not finite.
    What the first task to fail raises is raised again, and no other task is begun after it.
    """
    cdef _Tasks tasks = _Tasks()
    tasks.work, tasks.results, tasks.context = work, [None] * n_tasks, copy_context()
    cdef void *context = <void *>tasks
    with nogil:
        flr_parallel_for(_run_task, context, n_tasks, n_threads)
    if tasks.error is not None:
        raise tasks.error
    return tasks.results


def threaded_seconds(bint count):
    """CPU seconds that callers of the pool spent in its jobs since the last call, if that asked to count.

    `count` says whether to count from now on.  RuntimeError while a job runs.
    """
    cdef double seconds = flr_threaded_seconds(count)
    if seconds < 0:
        raise RuntimeError("the pool is busy")
    return seconds
