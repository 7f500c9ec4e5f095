"""Build the test harness of tests/c: csrc with its kernels, linked with scratch memory that ends at guard pages.

    python tests/c/build.py [--cc gcc] [--sanitize address,undefined] [--isa base] [--races] OUT

leaves the program OUT/harness (with --races OUT/races) and its objects beside it.  Flags are
those of the package; objects are made anew when a source or header is younger.
"""

import argparse
import os
import runpy
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
CSRC = HERE.parent.parent / "csrc"
FLAGS = runpy.run_path(str(CSRC / "flags.py"))


def jobs(args, out):
    """(object, source, time of the youngest header, flags) of all that is linked."""
    headers = max(p.stat().st_mtime for p in [*CSRC.rglob("*.h"), CSRC / "flags.py"])
    own_headers = max(headers, (HERE / "harness.h").stat().st_mtime)
    cflags = [*FLAGS["CFLAGS"], "-Werror", f"-I{CSRC}", f"-I{HERE}"]
    cflags += FLAGS["sanitizer_flags"](args.sanitize)
    for isa, (_, flags) in FLAGS["KERNELS"].items():
        if args.isa and isa not in args.isa:
            yield out / f"absent_{isa}.o", HERE / "absent.c", headers, [*cflags, f"-DISA={isa}"]
            continue
        for bits in (32, 64):
            macros = [f"-D{name}={value}" for name, value in FLAGS["kernel_macros"](isa, bits)]
            yield out / f"kernels_{isa}{bits}.o", CSRC / "kernels" / "kernels.c", headers, [*cflags, *flags, *macros]
    replaced = ("kernels.c",) if args.races else ("kernels.c", "scratch.c")
    for source in sorted(CSRC.rglob("*.c")):
        if source.name not in replaced:
            yield out / f"{source.stem}.o", source, headers, cflags
    own = [s for s in sorted(HERE.glob("*.c")) if s.name not in ("races.c", "absent.c")]
    if args.races:
        own = [HERE / "races.c"]
    for source in own:
        yield out / f"test_{source.stem}.o", source, own_headers, [*cflags, "-O1" if args.sanitize else "-O2", "-g"]


def compile_one(cc, job):
    """Compile, unless the object is younger than all it is made of."""
    target, source, headers, flags = job
    if not target.exists() or target.stat().st_mtime < max(source.stat().st_mtime, headers):
        subprocess.run([*cc, *flags, "-c", source, "-o", target], check=True)
    return target


def main():
    """Parse the command line, compile, link."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", default=os.environ.get("CC", "cc"), help="compiler (default: CC, else cc)")
    parser.add_argument("--sanitize", default="", help="address,undefined or thread")
    parser.add_argument("--isa", action="append", help="build this instruction set and none that is not named so")
    parser.add_argument("--races", action="store_true", help="build races.c in place of the harness")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cc = args.cc.split()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda job: compile_one(cc, job), jobs(args, args.out)))
    program = args.out / ("races" if args.races else "harness")
    link = [*FLAGS["LINK"], *FLAGS["sanitizer_flags"](args.sanitize), "-lm"]
    if not args.races and FLAGS["SYSTEM"] != "Windows":
        link.append("-Wl,--wrap=pthread_create")  # so that it can fail
    subprocess.run([*cc, *objects, "-o", program, *link], check=True)


if __name__ == "__main__":
    main()
