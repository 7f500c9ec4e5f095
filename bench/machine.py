"""What a run was measured on."""

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

from fastlr import _core

from .limits import copy_rate, gemm_rate, read_rate, write_rate
from .timing import best_seconds

PACKAGES = ("fastlr", "numpy", "scipy", "scikit-learn", "scikit-learn-intelex", "torch", "liblinear-official", "snapml")


def describe(settings):
    """Lines of text: date, processor, instruction set, threads, versions, BLAS kernels and the machine's limits."""
    load = os.getloadavg()[0]
    probes = settings.probes
    contestants = probes.reading() | probes.writing() | probes.copying() | probes.multiplying("float32")
    times = best_seconds(contestants, **settings.effort)
    rates = f"read {read_rate(times) / 1e9:.1f} GB/s, y = c * x {write_rate(times) / 1e9:.1f} GB/s, "
    rates += f"copy {copy_rate(times) / 1e9:.1f} GB/s, "
    rates += f"sgemm {gemm_rate(times) / 1e9:.0f} GFLOP/s"
    times = best_seconds(probes.multiplying("float64"), **settings.effort)
    rates += f", dgemm {gemm_rate(times) / 1e9:.0f} GFLOP/s"
    facts = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{_processor()}, {platform.system()} {platform.machine()}",
        "instruction set": f"{_core.isa_name()} (available: {', '.join(_core.available_isas())})",
        "threads": f"{settings.n_threads} of {os.cpu_count()} CPUs; {load:.1f} processes ran before",
        "versions": ", ".join([f"python {platform.python_version()}", *_versions()]),
        "BLAS": ", ".join(sorted({_blas(library) for library in threadpool_info() if library["user_api"] == "blas"})),
        "limits": rates,
    }
    return [f"{name:<16} {value}" for name, value in facts.items()]


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
