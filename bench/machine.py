"""What a run was measured on."""

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

from fastlr import _core

from . import limits
from .timing import best_seconds

PACKAGES = ("fastlr", "numpy", "scipy", "scikit-learn", "scikit-learn-intelex", "torch", "liblinear-official", "snapml",
            "vowpalwabbit")


def describe(settings):
    """Lines of text: date, processor, instruction set, threads, versions, BLAS kernels and the machine's rates."""
    load = os.getloadavg()[0]
    facts = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{_processor()}, {platform.system()} {platform.machine()}",
        "instruction set": f"{_core.isa_name()} (available: {', '.join(_core.available_isas())})",
        "threads": f"{settings.n_threads} of {os.cpu_count()} CPUs; {load:.1f} processes ran before",
        "versions": ", ".join([f"python {platform.python_version()}", *_versions()]),
        "BLAS": ", ".join(sorted({_blas(library) for library in threadpool_info() if library["user_api"] == "blas"})),
        "rates": _rates(settings),
    }
    return [f"{name:<16} {value}" for name, value in facts.items()]


def _rates(settings):
    n_bytes, n_threads = settings.buffer_bytes, settings.n_threads
    probes = {
        "read": limits.read(n_bytes, n_threads),
        "y = c * x": limits.scale(n_bytes, "float32", n_threads),
        "copy": limits.copy(n_bytes, "float32", n_threads),
        "sgemm": limits.square(settings.square, "float32"),
        "dgemm": limits.square(settings.square, "float64"),
    }
    times = best_seconds(probes, **settings.effort)
    work = {"read": n_bytes, "y = c * x": 2 * n_bytes, "copy": 2 * n_bytes}
    rates = [f"{name} {n / times[name] / 1e9:.1f} GB/s" for name, n in work.items()]
    rates += [f"{name} {2 * settings.square**3 / times[name] / 1e9:.0f} GFLOP/s" for name in ("sgemm", "dgemm")]
    return f"{', '.join(rates)} (arrays of {n_bytes / 2**20:.0f} MiB; each case has limits of its own size)"


def _versions():
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _blas(library):
    kernels = f" ({library['architecture']} kernels)" if "architecture" in library else ""
    return f"{library['internal_api']} {library['version']}{kernels}"


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
