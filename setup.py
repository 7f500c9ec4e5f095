"""Build fastlr._core: the bindings, the drivers, and the kernels once for each instruction set."""

import os
import runpy
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
    """Compile csrc/kernels/kernels.c for each instruction set and real type and link the objects into the extension."""

    def build_extension(self, ext):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for objects in pool.map(self.compile_kernels, [(isa, bits) for isa in KERNELS for bits in (32, 64)]):
                ext.extra_objects += objects
        super().build_extension(ext)

    def compile_kernels(self, pair):
        isa, bits = pair
        is_absent = FLAGS["ONLY"] not in (None, isa)
        if is_absent and bits == 64:  # absent.c has both tables
            return []
        return self.compiler.compile(
            ["tests/c/absent.c" if is_absent else "csrc/kernels/kernels.c"],
            output_dir=f"{self.build_temp}/{isa}{bits}",
            macros=FLAGS["kernel_macros"](isa, bits),
            include_dirs=["csrc"],
            extra_postargs=CFLAGS + SANITIZE + KERNELS[isa][1],
            depends=HEADERS,
        )


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
                extra_link_args=[*FLAGS["LINK"], *SANITIZE],
                depends=HEADERS,
            )
        ],
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True},
    ),
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
)
