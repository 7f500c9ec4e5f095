"""Build fastlr._core: the bindings, the drivers, and the kernels once for each instruction set."""

import os
import runpy
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

DRIVERS = sorted(str(p) for p in Path("csrc").rglob("*.c") if p.name != "kernels.c")
HEADERS = sorted(str(p) for p in Path("csrc").rglob("*.h"))

FLAGS = runpy.run_path("csrc/flags.py")
KERNELS, CFLAGS = FLAGS["KERNELS"], FLAGS["CFLAGS"]
SANITIZE = FLAGS["sanitizer_flags"](os.environ.get("FASTLR_SANITIZE"))


class BuildExt(build_ext):
    """Compile csrc, its kernels once for each instruction set and real type, and link all into the extension."""

    def build_extension(self, ext):
        self.take_clang()
        kernels = [self.kernels_job(isa, bits) for isa in KERNELS for bits in (32, 64)]
        drivers = [(source, "drivers", [], []) for source in DRIVERS]
        python = self.compiler.include_dirs
        self.compiler.include_dirs = []  # C is the same for every Python: caches of compilers find it again
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for objects in pool.map(lambda job: self.compile_c(*job), [job for job in kernels if job] + drivers):
                ext.extra_objects += objects
        self.compiler.include_dirs = python
        ext.extra_compile_args = self.arguments(CFLAGS + FLAGS["BINDINGS"] + SANITIZE)
        super().build_extension(ext)

    def kernels_job(self, isa, bits):
        is_absent = FLAGS["ONLY"] not in (None, isa)
        if is_absent and bits == 64:  # absent.c has both tables
            return None
        source = "tests/c/absent.c" if is_absent else "csrc/kernels/kernels.c"
        return source, f"{isa}{bits}", FLAGS["kernel_macros"](isa, bits), KERNELS[isa][1]

    def compile_c(self, source, folder, macros, flags):
        return self.compiler.compile(
            [source],
            output_dir=f"{self.build_temp}/{folder}",
            macros=macros,
            include_dirs=["csrc"],
            extra_postargs=self.arguments(CFLAGS + SANITIZE + flags),
            depends=HEADERS,
        )

    def arguments(self, flags):
        return [f"/clang:{flag}" for flag in flags] if self.compiler.compiler_type == "msvc" else flags

    def take_clang(self):
        """On Windows only clang will do: cl has no vectors, and gcc does not align them on the stack."""
        if self.compiler.compiler_type == "msvc":
            self.compiler.initialize()
            self.compiler.cc = shutil.which("clang-cl") or sys.exit(CLANG.format("clang-cl is not on PATH"))
        elif os.name == "nt" and not any("clang" in part for part in self.compiler.compiler):
            sys.exit(CLANG.format(f"CC is {self.compiler.compiler[0]}"))


CLANG = "fastlr needs clang on Windows, but {}; install LLVM (winget install LLVM.LLVM), for mingw set CC=clang."


class BuildPy(build_py):
    """Beside the modules, the headers for `fastlr.get_include`; an editable install has them in csrc."""

    PUBLIC = ("fastlr_api.h", "fastlr_api.pxd", "fastlr.h", "types.h", "kernels/table.h")

    def run(self):
        super().run()
        if not self.editable_mode:
            for header in self.PUBLIC:
                target = Path(self.build_lib, "fastlr", "include", header)
                self.mkpath(str(target.parent))
                self.copy_file(f"csrc/{header}", str(target))


setup(
    ext_modules=cythonize(
        [
            Extension(
                "fastlr._core",
                ["fastlr/_core.pyx"],
                include_dirs=["csrc", numpy.get_include()],
                define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
                extra_link_args=[*FLAGS["LINK"], *SANITIZE],
                depends=HEADERS,
            )
        ],
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True},
    ),
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
)
