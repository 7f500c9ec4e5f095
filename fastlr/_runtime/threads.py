"""How many threads to use, and how to keep BLAS from adding its own.

``n_threads=None`` means FASTLR_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process may use: those it is bound
to, or fewer where a container's quota (cgroup) allows fewer. Results never depend on the number.
"""

import ctypes
import math
import operator
import os
from functools import cache
from pathlib import Path

from fastlr import _core

_MOST = 256  # FLR_MAX_WORKERS of csrc/runtime/runtime.h


def resolve_n_threads(n_threads):
    """The number of threads to run on.

    Parameters
    ----------
    n_threads : int or None
        As the user gave it; None takes the default described at the head of this module, read once a process.

    Returns
    -------
    int
        1 to 256, what the pool has room for: more is no error.

    Raises
    ------
    TypeError
        If n_threads is not an integer.
    ValueError
        If it is below 1, or FASTLR_NUM_THREADS is not a positive integer.
    """
    if n_threads is None:
        return default_n_threads()
    try:
        count = operator.index(n_threads)
    except TypeError:
        raise TypeError(f"n_threads is {n_threads!r}; expected a positive integer, or None for the default") from None
    if isinstance(n_threads, bool) or count < 1:
        raise ValueError(f"n_threads is {n_threads!r}; expected a positive integer, or None for the default")
    return min(count, _MOST)


@cache
def default_n_threads():
    """The value of ``n_threads=None``; forked children work it out again."""
    text = os.environ.get("FASTLR_NUM_THREADS", "").strip()
    if text:
        if not _is_count(text):
            raise ValueError(f"FASTLR_NUM_THREADS={text!r}; expected a positive integer, or unset it for the default")
        return _count_of(text)
    # OpenMP allows a list, one number a nesting level; what OpenMP itself would reject is not ours to judge
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if _is_count(text):
        return _count_of(text)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, cgroup_cpus())))


def _is_count(text):
    return text.isascii() and text.isdecimal() and text.strip("0") != ""


def _count_of(digits):
    """The number of threads they mean; however many digits, as int() takes 4,300 at most."""
    digits = digits.lstrip("0")
    return min(int(digits), _MOST) if len(digits) < 9 else _MOST


def cgroup_cpus(groups="/proc/self/cgroup", root="/sys/fs/cgroup"):
    """CPUs the process's control groups allow it on average: the least of its group and those above, inf for none."""
    try:
        lines = Path(groups).read_text().splitlines()
    except OSError:
        return math.inf
    least = math.inf
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = Path(root) / controllers  # the one hierarchy of version 2 names no controllers
        group = top / name.lstrip("/")
        for folder in (group, *group.parents):
            least = min(least, _quota(folder))
            if folder == top:
                break
    return least


def _quota(folder):
    """Quota divided by period in one control group's folder, inf where it sets none."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{what}_us").read_text().strip() for what in ("quota", "period"))
        return math.inf if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


_BLAS_FUNCTIONS = [
    *((f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
      for prefix in ("", "scipy_") for suffix in ("", "64_", "_64")),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
]
"""Names under which BLAS libraries give and take the number of threads of the whole process."""


@cache
def blas_limit():
    """The context manager that holds BLAS to one thread: results do not depend on its threads, nor do these go on
    spinning after a call and take a core from the next pass.

    The limit is set through the libraries' own functions, for threadpoolctl lets only the thread that was first do so.
    It finds the libraries, which takes milliseconds: once a process.
    """
    import scipy.linalg.cython_blas  # noqa: F401  SciPy's BLAS must be there to be found
    from threadpoolctl import ThreadpoolController

    libraries = [controller.dynlib for controller in ThreadpoolController().select(user_api="blas").lib_controllers]
    found = [
        tuple(ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names)
        for library in libraries
        for names in _BLAS_FUNCTIONS
        if all(hasattr(library, name) for name in names)
    ]
    limit = _core.BlasLimit(found)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=limit.start_again_after_fork)
    return limit


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=default_n_threads.cache_clear)
