"""`python3 -m zglearn release --out FOLDER`: what students get, without the solutions.

The folder holds the exercises, the chapters, the package with its checks, a README of its own, and
VERSION.json. The checks are sealed (see `exercises.sealed`): no answer can be read off, and nobody
is kept from taking them apart. Each exercise notebook carries its version, so that the grader knows
which hand-out an answer is for.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
from datetime import date
from pathlib import Path

import nbformat

import zglearn
from zglearn import paths
from zglearn.exercises import sealed, variants
from zglearn.exercises.exercise import all_exercises
from zglearn.exercises.originals import exercise_notebooks, is_untouched, stamp, stamp_in

from .notebooks import write
from .roster import BadRoster, read_roster, write_roster

HANDED_OUT = ("exercises", "chapters", "clinic", "zglearn", "pyproject.toml", "setup.py",
              "requirements.txt", "requirements.lock", "LICENSE")
README = """# Optimization for language models, with and without gradients

Your copy of an interactive notebook course, handed out on {released}.

You need Python 3.11 or newer (on Debian and Ubuntu also `sudo apt install python3-venv`), about
1 GB of disk, and the network for the first run. In this folder:

```
python3 -m zglearn lab          # makes a private environment, then opens JupyterLab
python3 -m zglearn progress     # how far you are
python3 -m zglearn interview    # a mock interview drawn from the exercises
python3 -m zglearn reset {first}     # a fresh exercise notebook; yours is kept
python3 -m zglearn doctor       # if something does not work: what, and how to mend it
```

Begin with `chapters/00_start_here.ipynb`. The exercises that were handed out:

{exercises}

Write your answer, run its cell, then `check("{first}.1")`; `hint("{first}.1")` helps. The solutions
are with your instructor. Hand in the notebooks of `exercises/` in which you wrote.

If your computer has JupyterLab already: `pip install -r requirements.txt` in this folder, then
`jupyter lab`.
"""
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.pyc", "kept", "*.part")


class CannotRelease(Exception):
    """There is nothing fit to hand out; the message says what to do."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m zglearn release",
                                     description="Make what students get: a folder without "
                                                 "the solutions.")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER",
                        help="a new folder for the hand-out")
    parser.add_argument("--only", action="append", default=[], metavar="NN",
                        type=lambda text: text.zfill(2),
                        help="hand out the exercises of this chapter only; may be repeated")
    parser.add_argument("--roster", type=Path, metavar="CSV",
                        help="variants: notebooks of their own for each student of this file "
                             "(a column `student`, named as in the gradebook)")
    parser.add_argument("--course", type=Path, default=paths.home(), metavar="FOLDER",
                        help="the course to hand out (default: this one)")
    options = parser.parse_args(argv)
    try:
        seeds = read_roster(options.roster, with_seeds=False) if options.roster else {}
        if unfit := [name for name in seeds if name.startswith(".") or set(name) & set("/\\:")]:
            raise CannotRelease(f"{unfit[0]!r} is no name for a folder: change it in the roster")
        for path in (for_each(options.out), seeds_of(options.out)) if seeds else ():
            if path.exists():
                raise CannotRelease(f"{path} is there already: choose another --out")
        version = release(options.course, options.out, options.only)
        if seeds:
            personal(options.out, seeds)
    except (CannotRelease, BadRoster, OSError) as problem:
        print(f"zglearn release: {problem}", file=sys.stderr)
        return 1
    print(f"Handed out in {options.out}: {', '.join(version['exercises'])}.\nGive students that "
          "folder; they start with `python3 -m zglearn lab`. The checks in it are sealed: that "
          "keeps answers out of sight, and protects them from nobody who takes it apart.")
    if seeds:
        print(f"Each student's own notebooks are in {for_each(options.out)}. Keep "
              f"{seeds_of(options.out)} to yourself: grade with --roster {seeds_of(options.out)}.")
    return 0


def release(course: Path, out: Path, only: list[str] = ()) -> dict:
    """Copy the hand-out to `out` and return its version stamp. Raises CannotRelease."""
    there = exercise_notebooks(course)
    if not there:
        raise CannotRelease(f"there are no exercises in {course / 'exercises'}: "
                            "run `python3 -m zglearn notebooks`")
    chapters = [path.name[:2] for path in there]
    if unknown := set(only) - set(chapters):
        raise CannotRelease(f"there is no chapter {', '.join(sorted(unknown))}: "
                            f"--only takes {', '.join(chapters)}")
    notebooks = [path for path in there if not only or path.name[:2] in only]
    if touched := [path.name for path in notebooks if not is_untouched(path)]:
        raise CannotRelease(f"{', '.join(touched)} holds somebody's answers, or is out of step: "
                            "run `python3 -m zglearn notebooks`")
    if out.exists() and any(out.iterdir()):
        raise CannotRelease(f"{out} is not empty: choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    for name in HANDED_OUT:
        _copy(course / name, out / name)
    for path in exercise_notebooks(out):
        if path.name not in {notebook.name for notebook in notebooks}:
            path.unlink()
    version = {"zglearn": zglearn.__version__, "released": date.today().isoformat(),
               "exercises": {path.stem: stamp_in(path)["version"] for path in notebooks}}
    (out / "VERSION.json").write_text(json.dumps(version, indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_readme(version), encoding="utf-8")
    originals = out / ".zglearn" / "originals"  # for `reset`
    originals.mkdir(parents=True)
    for path in exercise_notebooks(out):
        shutil.copy2(path, originals)
    key = secrets.token_bytes(32)
    for folder in (*(out / "zglearn" / "exercises" / name for name in ("bank", "errata")),
                   *sorted(out.glob("clinic/*/"))):
        sealed.seal(folder, key)
    return version


def for_each(out: Path) -> Path:
    return out.with_name(f"{out.name}-for-each-student")


def seeds_of(out: Path) -> Path:
    return out.with_name(f"{out.name}-seeds.csv")


def personal(out: Path, seeds: dict[str, str]) -> None:
    """Take the exercises out of the hand-out, and write a folder of them for each student, in the
    variants of their seeds."""
    shared = exercise_notebooks(out)
    for student, seed in seeds.items():
        folder = for_each(out) / student
        folder.mkdir(parents=True)
        for path in shared:
            write(variant(nbformat.read(path, as_version=4), path.stem, seed), folder / path.name)
    for path in (*shared, *(out / ".zglearn" / "originals").iterdir()):
        path.unlink()
    (out / "exercises" / "README.txt").write_text(
        "Put the notebooks here that your instructor made for you.\n", encoding="utf-8")
    write_roster(seeds, seeds_of(out))


def variant(notebook, name: str, seed: str):
    """An exercise notebook in the variants of a seed."""
    known = {e.id.replace(".", "-"): e for e in all_exercises(name[:2])}
    for cell in notebook.cells:
        kind, _, exercise = cell.id.partition("-")
        if kind in ("ex", "ans", "task") and exercise in known:
            cell.source = variants.text(known[exercise], seed, cell.source)
    setup = next(cell for cell in notebook.cells if cell.cell_type == "code")
    setup.source += (f'\n\nfrom zglearn.exercises.variants import use_seed\n\nuse_seed("{seed}")'
                     "  # your own numbers: leave this line as it is")
    notebook.metadata["zglearn"] = stamp(name, [(c.id, c.source) for c in notebook.cells]) | {
        "seed": seed}
    return notebook


def _readme(version: dict) -> str:
    lines = [f"- `exercises/{name}.ipynb`" for name in version["exercises"]]
    return README.format(released=version["released"], first=next(iter(version["exercises"]))[:2],
                         exercises="\n".join(lines))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=LEFT_OUT)
    elif source.exists():
        shutil.copy2(source, target)
