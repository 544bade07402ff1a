"""`python3 -m zglearn kernels`: do the saved outputs hold on other processors?

OpenBLAS and NumPy choose their inner loops by the processor, and each adds in an order of its own:
last digits differ, and a long run from there on. This command runs chapters and solutions with the
loops of other processors, as far as this one can run them, and says which cells then print
something else, and by how much.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..course import notebooks
from ..course.learner import CourseError
from . import tolerance

CORES = ("Nehalem", "Haswell", "SkylakeX", "Zen")
AVX512 = re.compile("AVX512|X86_V4")
PROBE = """
import json, numpy, scipy.linalg, threadpoolctl
from numpy._core import _multiarray_umath as loops
numpy.linalg.eigh(numpy.eye(200) @ numpy.eye(200))  # a processor without these loops ends here
blas = {of["filepath"]: of.get("architecture") for of in threadpoolctl.threadpool_info()
        if of["user_api"] == "blas"}
print(json.dumps([[blas[path] for path in sorted(blas)],
                  [name for name in loops.__cpu_dispatch__ if loops.__cpu_features__[name]]]))
"""


@dataclass(frozen=True)
class Arithmetic:
    """A way to compute: `environ` asks for it, `blas` and `simd` are what a process then got.

    `blas` names the kernels of each BLAS that is loaded; `simd` the groups of instructions that
    NumPy uses beyond its baseline, in its own words.
    """

    name: str
    environ: dict = field(hash=False)
    blas: tuple[str, ...] = ()
    simd: tuple[str, ...] = ()

    def __str__(self):
        return (f"{self.name}: {' and '.join(dict.fromkeys(self.blas))} kernels, "
                f"NumPy with {', '.join(self.simd) or 'its baseline only'}")


def probe(name: str, environ: dict[str, str]) -> Arithmetic | None:
    """The arithmetic that a process gets with these variables; None if it cannot run."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROBE], capture_output=True,
                          text=True, env=os.environ | environ, timeout=300)
    if done.returncode:
        return None
    blas, simd = json.loads(done.stdout.splitlines()[-1])
    return Arithmetic(name, environ, tuple(map(str, blas)), tuple(simd))


def arithmetics() -> list[Arithmetic]:
    """Each different arithmetic that this machine can run, its own first.

    OpenBLAS takes other kernels than asked for where a processor lacks the instructions; what
    equals an earlier arithmetic is left out.
    """
    own = probe("own", {})
    if own is None:
        raise CourseError("NumPy, SciPy or threadpoolctl does not start here: "
                          "run `python3 -m zglearn doctor`")
    no_avx512 = _without([name for name in own.simd if AVX512.search(name)])
    baseline = _without(own.simd)
    asked = {core: {"OPENBLAS_CORETYPE": core} for core in CORES}
    asked |= {"NumPy without AVX-512": no_avx512, "NumPy's baseline": baseline,
              "Haswell, without AVX-512": asked["Haswell"] | no_avx512,
              "Nehalem, NumPy's baseline": asked["Nehalem"] | baseline}
    found = [own]
    for name, environ in asked.items():
        other = probe(name, environ)
        if other and (other.blas, other.simd) not in [(a.blas, a.simd) for a in found]:
            found.append(other)
    return found


def _without(groups) -> dict[str, str]:
    """Only what is in use may be named: NumPy warns of the rest, and refuses its baseline."""
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(groups)} if groups else {}


# --- one notebook ---------------------------------------------------------------------------------


def moved(path: Path, arithmetic: Arithmetic) -> list[tuple[str, tolerance.Move]]:
    """(cell id, what moved) for each output that is not the saved one under this arithmetic.

    Raises Malformed if the notebook cannot be read, a cell fails, or a tag states no tolerance.
    """
    saved = notebooks.read(path)
    try:
        allowed = {cell.id: tolerance.tolerance_of(cell) for cell in saved.cells}
    except tolerance.Malformed as error:
        raise notebooks.Malformed(str(error)) from None
    now = copy.deepcopy(saved)
    notebooks.execute(now, path, arithmetic.environ)
    return [(cell.id, move) for cell, ran in zip(saved.cells, now.cells, strict=True)
            if cell.cell_type == "code"
            and tolerance.UNCHECKED not in cell.metadata.get("tags", [])
            for move in tolerance.moves(cell.outputs, ran.outputs, allowed[cell.id])]


def _report(path: Path, arithmetic: Arithmetic) -> tuple[int, str]:
    """(outputs that moved too far, or 1 if a cell fails; what to print)."""
    try:
        found = moved(path, arithmetic)
    except CourseError as error:
        return 1, f"  {error}"
    lines = [f"  {id} {'(allowed)' if move.allowed else 'DIFFERS'}: {move}" for id, move in found]
    return sum(not move.allowed for _, move in found), "\n".join(lines)


# --- the command ----------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m zglearn kernels",
                                     description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH",
                        help="notebooks of chapters/ or solutions/ (default: all of them)")
    parser.add_argument("-n", "--workers", type=int, default=1, metavar="N",
                        help="notebooks that run at once (default: 1)")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="an arithmetic of the list that is printed first; may be repeated")
    parser.add_argument("--list", action="store_true",
                        help="only say which arithmetics this machine can run")
    options = parser.parse_args(argv)
    if options.workers < 1:
        parser.error("-n: at least 1")
    found = arithmetics()
    print("\n".join(map(str, found)), flush=True)
    if options.list:
        return 0
    if unknown := set(options.only or ()) - {arithmetic.name for arithmetic in found}:
        parser.error(f"--only: not of the list above: {', '.join(sorted(unknown))}")
    chosen = [a for a in found if not options.only or a.name in options.only]
    from ..data import build_cache

    build_cache(progress=False)  # a notebook that built it would print a bar
    jobs = [(path, arithmetic) for path in options.paths or notebooks.hand_edited()
            for arithmetic in chosen]
    beyond = {}
    with ThreadPoolExecutor(options.workers) as pool:
        for (path, arithmetic), (count, text) in zip(
                jobs, pool.map(lambda job: _report(*job), jobs), strict=True):
            print(f"{path}, {arithmetic.name}: {'differs' if count else 'holds'}", flush=True)
            if text:
                print(text, flush=True)
            if count:
                beyond.setdefault(path, []).append(arithmetic.name)
    for path, names in beyond.items():
        print(f"\n{path} differs under {'; '.join(names)}", end="")
    print(f"\n{len({path for path, _ in jobs}) - len(beyond)} of "
          f"{len({path for path, _ in jobs})} notebooks hold under every arithmetic above.")
    return 1 if beyond else 0
