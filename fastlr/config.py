"""What this installation runs on: the first thing to look at, and to paste into a report."""

import platform
from pathlib import Path

import numpy as np
import scipy

import fastlr
from fastlr import _core
from fastlr._runtime.threads import resolve_n_threads

__all__ = ["config", "show_config"]


def config():
    """Versions, instruction set, BLAS and threads of this process.

    Returns
    -------
    dict of str to str, int, list or dict
        ``fastlr``, ``python``, ``numpy``, ``scipy`` (versions), ``platform``, ``isa`` (the instruction set in use),
        ``isa_available`` (list, best first), ``blas`` (dict: ``name``, ``version``, ``n_threads``; None where not
        known), ``n_threads`` (what ``n_threads=None`` means here).
    """
    return {
        "fastlr": fastlr.__version__,
        "isa": _core.isa_name(),
        "isa_available": _core.available_isas(),
        "n_threads": resolve_n_threads(None),
        "blas": _blas(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def show_config():
    """Print `config`: version, instruction set chosen and available, BLAS, threads, versions of what lies beneath."""
    facts = config()
    blas, isas = facts["blas"], ", ".join(facts.pop("isa_available"))
    threads = "" if blas["n_threads"] is None else f", {blas['n_threads']} threads"
    facts["isa"] += f" (available: {isas})"
    facts["blas"] = f"{blas['name']} {blas['version'] or '(version unknown)'}{threads}"
    titles = {"isa": "instruction set", "n_threads": "threads", "blas": "BLAS"}
    for name, value in facts.items():
        print(f"{titles.get(name, name):<16} {value}")


def _blas():
    """The BLAS behind scipy.linalg.cython_blas, the one fastlr calls; NumPy often brings another."""
    from threadpoolctl import threadpool_info

    loaded = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if loaded:
        # the wheels of SciPy keep theirs in scipy.libs or scipy/.dylibs; elsewhere all share one library
        scipys = [library for library in loaded if "scipy" in " ".join(Path(library["filepath"]).parts[-3:-1])]
        library = (scipys or loaded)[0]
        return {"name": library["internal_api"], "version": library["version"], "n_threads": library["num_threads"]}
    # threadpoolctl does not see Apple's Accelerate; what SciPy was built with is known
    built_with = scipy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"name": built_with["name"], "version": built_with.get("version"), "n_threads": None}
