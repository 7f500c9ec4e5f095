"""Build fastlr._core: the bindings, the drivers, and the kernels once for each instruction set."""

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DRIVERS = sorted(str(p) for p in Path("csrc").glob("*.c") if p.name != "kernels.c")
HEADERS = sorted(str(p) for p in Path("csrc").glob("*.h"))

# No -ffast-math: reductions are asked for explicitly, and a * b + c is fused only where the source says so.
CFLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra"]
CFLAGS += ["-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]

# instruction set -> bytes in a vector, and the flags its kernels are compiled with
KERNELS = {"base": (16, [])}
if platform.machine().lower() in ("x86_64", "amd64"):
    AVX2 = ["-mavx2", "-mfma", "-mf16c"]
    KERNELS["avx2"] = (32, AVX2)
    AVX512 = [f"-mavx512{part}" for part in ("f", "bw", "dq", "vl")]
    KERNELS["avx512"] = (64, [*AVX2, *AVX512, "-mprefer-vector-width=512"])
elif platform.machine().lower() in ("aarch64", "arm64"):
    KERNELS["neon"] = (16, [])

# FASTLR_SANITIZE=address,undefined builds everything for the sanitizers, with which -O3 would compile for many minutes
SANITIZERS = os.environ.get("FASTLR_SANITIZE")
SANITIZE = ["-g0"]
if SANITIZERS:
    SANITIZE = [f"-fsanitize={SANITIZERS}", "-fno-omit-frame-pointer", "-g", "-O1", "-DFLR_CHECK_BOUNDS"]


class BuildExt(build_ext):
    """Compile csrc/kernels.c for each instruction set and real type and link the objects into the extension."""

    def build_extension(self, ext):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for objects in pool.map(self.compile_kernels, [(isa, bits) for isa in KERNELS for bits in (32, 64)]):
                ext.extra_objects += objects
        super().build_extension(ext)

    def compile_kernels(self, pair):
        isa, bits = pair
        vector_bytes, flags = KERNELS[isa]
        return self.compiler.compile(
            ["csrc/kernels.c"],
            output_dir=f"{self.build_temp}/{isa}{bits}",
            macros=[("ISA", isa), ("VBYTES", str(vector_bytes)), ("REAL_BITS", str(bits))],
            include_dirs=["csrc"],
            extra_postargs=CFLAGS + SANITIZE + flags,
            depends=HEADERS,
        )


if sys.platform == "win32":
    raise SystemExit("fastlr needs POSIX threads and a gcc or clang compiler; on Windows use WSL.")

setup(
    ext_modules=cythonize(
        [
            Extension(
                "fastlr._core",
                ["fastlr/_core.pyx", *DRIVERS],
                include_dirs=["csrc", numpy.get_include()],
                define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
                extra_compile_args=CFLAGS + SANITIZE,
                extra_link_args=["-pthread", *SANITIZE],
                depends=HEADERS,
            )
        ],
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True},
    ),
    cmdclass={"build_ext": BuildExt},
)
