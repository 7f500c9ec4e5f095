"""What csrc is compiled with, for setup.py and for the tests in C, which read this file by runpy.run_path."""

import os
import platform

# of the processor and the system to compile for, where they are not this one's
MACHINE = (os.environ.get("FASTLR_MACHINE") or platform.machine()).lower()
SYSTEM = os.environ.get("FASTLR_SYSTEM") or platform.system()

# No -ffast-math: reductions are asked for explicitly, and a * b + c is fused only where the source says so.
CFLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-Wall", "-Wextra"]
CFLAGS += ["-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
LINK, BINDINGS = [], ["-Os"]  # what Cython writes is long, and called once for many rows
if SYSTEM != "Windows":  # which has threads of its own, and needs tables to unwind
    CFLAGS += ["-fvisibility=hidden", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-pthread"]
    LINK += ["-pthread"]

# instruction set -> bytes in a vector, and the flags its kernels are compiled with
KERNELS = {"base": (16, [])}
if MACHINE in ("x86_64", "amd64"):
    # for processors without AVX2, in every wheel: smaller; gcc then takes a vector filled by a loop for uninitialised
    KERNELS["base"] = (16, ["-O2", "-Wno-unknown-warning-option", "-Wno-maybe-uninitialized"])
    AVX2 = ["-mavx2", "-mfma", "-mf16c"]
    KERNELS["avx2"] = (32, AVX2)
    AVX512 = [f"-mavx512{part}" for part in ("f", "bw", "dq", "vl")]
    KERNELS["avx512"] = (64, [*AVX2, *AVX512, "-mprefer-vector-width=512"])
elif MACHINE in ("aarch64", "arm64"):
    KERNELS["neon"] = (16, [])

# the one instruction set to build, as a trial takes less time; the others' tables are then empty
ONLY = os.environ.get("FASTLR_BUILD_ISA") or None


def sanitizer_flags(sanitizers):
    """For sanitizers such as "address,undefined", with which -O3 would take many minutes; scratch is checked too."""
    if not sanitizers:
        return ["-g0"]
    checks = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-DFLR_CHECK_BOUNDS"]
    return [*checks, "-fno-omit-frame-pointer", "-g", "-O1"]


def kernel_macros(isa, bits):
    """Definitions with which kernels.c becomes the kernels of one instruction set and real type."""
    return [("ISA", isa), ("VBYTES", str(KERNELS[isa][0])), ("REAL_BITS", str(bits))]
