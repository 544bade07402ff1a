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
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from zglearn import paths
from zglearn.course.said import CourseError

from ..data import build_cache
from . import notebooks, tolerance

CORES = ("Nehalem", "Haswell", "SkylakeX", "Zen")
CELL_LIMIT = 3600  # seconds: the loops of an old processor are slow, and so is a model to train
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

    def equals(self, other: Arithmetic) -> bool:
        return (self.blas, self.simd) == (other.blas, other.simd)

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


def arithmetics() -> tuple[list[Arithmetic], dict[str, str]]:
    """Each different arithmetic of this machine, its own first and the farthest last; and of each
    other name why it is left out.

    OpenBLAS takes other kernels than asked for where a processor lacks the instructions, or where
    two names stand for the same kernels.
    """
    found, left_out = [_own()], {}
    for name, environ in _asked(found[0]).items():
        other = probe(name, environ)
        if other is None:
            left_out[name] = "does not run here"
        elif same := [earlier.name for earlier in found if other.equals(earlier)]:
            left_out[name] = f"here the same as {same[0]}"
        else:
            found.append(other)
    return found, left_out


def farthest() -> Arithmetic | None:
    """The last of `arithmetics`, or None if this machine can run its own only."""
    own = _own()
    others = (probe(*asked) for asked in reversed(_asked(own).items()))
    return next((other for other in others if other and not other.equals(own)), None)


def _own() -> Arithmetic:
    if own := probe("own", {}):
        return own
    raise CourseError("NumPy, SciPy or threadpoolctl does not start here: "
                      "run `python3 -m zglearn doctor`")


def _asked(own: Arithmetic) -> dict[str, dict[str, str]]:
    core = {name: {"OPENBLAS_CORETYPE": name} for name in CORES}
    no_avx512 = _without([name for name in own.simd if AVX512.search(name)])
    baseline = _without(own.simd)
    return core | {"NumPy without AVX-512": no_avx512, "NumPy's baseline": baseline,
                   "Haswell, NumPy without AVX-512": core["Haswell"] | no_avx512,
                   "Nehalem, NumPy's baseline": core["Nehalem"] | baseline}


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
    notebooks.execute(now, path, arithmetic.environ, CELL_LIMIT)
    return [(cell.id, move) for cell, ran in zip(saved.cells, now.cells, strict=True)
            if cell.cell_type == "code"
            and tolerance.UNCHECKED not in cell.metadata.get("tags", [])
            for move in tolerance.moves(cell.outputs, ran.outputs, allowed[cell.id])]


def _report(path: Path, arithmetic: Arithmetic) -> tuple[bool, str]:
    """(whether the notebook holds, what moved: a line for each output)."""
    try:
        found = moved(path, arithmetic)
    except CourseError as error:
        return False, f"\n  {error}"
    lines = [f"\n  {id}{' (allowed)' if move.allowed else ''}: {move}" for id, move in found]
    return all(move.allowed for _, move in found), "".join(lines)


def with_own_cache(arithmetic: Arithmetic) -> Arithmetic:
    """The same with a cache folder of its own, which holds the texts and no trained model yet: a
    model that was trained in one arithmetic must not be read in another."""
    folder = paths.private() / "kernels" / re.sub(r"\W+", "-", arithmetic.name)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(build_cache(progress=False).path, folder)
    return replace(arithmetic, environ=arithmetic.environ | {"ZGLEARN_CACHE": str(folder)})


# --- the command ----------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m zglearn kernels",
                                     description=(__doc__ or "").split("\n")[0])
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
    found, left_out = arithmetics()
    print("\n".join([*map(str, found), *map(": ".join, left_out.items())]), flush=True)
    if options.list:
        return 0
    if unknown := set(options.only or ()) - {arithmetic.name for arithmetic in found}:
        parser.error(f"--only: not of the list above: {', '.join(sorted(unknown))}")
    chosen = [with_own_cache(arithmetic) for arithmetic in found
              if not options.only or arithmetic.name in options.only]
    every = options.paths or notebooks.hand_edited()
    jobs = [(path, arithmetic) for path in every for arithmetic in chosen]
    differs: dict[Path, list[str]] = {}
    with ThreadPoolExecutor(options.workers) as pool:
        reports = pool.map(lambda job: _report(*job), jobs)
        for (path, arithmetic), (good, text) in zip(jobs, reports, strict=True):
            print(f"{path}, {arithmetic.name}: {'holds' if good else 'DIFFERS'}{text}", flush=True)
            if not good:
                differs.setdefault(path, []).append(arithmetic.name)
    print(f"\n{len(every) - len(differs)} of {len(every)} notebooks hold in "
          + "; ".join(arithmetic.name for arithmetic in chosen))
    for path, names in differs.items():
        print(f"{path} differs in {'; '.join(names)}")
    return 1 if differs else 0
