"""Build fastlr._core: the bindings, the drivers, and the kernels once for each instruction set."""

import os
import platform
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DRIVERS = sorted(str(p) for p in Path("csrc").glob("*.c") if not p.name.startswith("kernels_"))
HEADERS = sorted(str(p) for p in Path("csrc").glob("*.h"))

# No -ffast-math: reductions are asked for explicitly, and a * b + c is fused only where the source says so.
CFLAGS = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra"]
CFLAGS += ["-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]

# instruction set -> the flags its kernels are compiled with
KERNELS = {"base": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    KERNELS["avx2"] = ["-mavx2", "-mfma", "-mf16c"]
    KERNELS["avx512"] = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c"]
    KERNELS["avx512"] += ["-mprefer-vector-width=512"]
elif platform.machine().lower() in ("aarch64", "arm64"):
    KERNELS["neon"] = []

# FASTLR_SANITIZE=address,undefined builds everything for the sanitizers
SANITIZE = [f"-fsanitize={os.environ['FASTLR_SANITIZE']}"] if os.environ.get("FASTLR_SANITIZE") else []


class BuildExt(build_ext):
    """Compile each kernels_*.c with its own flags and link the objects into the extension."""

    def build_extension(self, ext):
        for name, flags in KERNELS.items():
            ext.extra_objects += self.compiler.compile(
                [f"csrc/kernels_{name}.c"],
                output_dir=self.build_temp,
                include_dirs=["csrc"],
                extra_postargs=CFLAGS + SANITIZE + flags + (["-g"] if SANITIZE else []),
                depends=HEADERS,
            )
        super().build_extension(ext)


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
