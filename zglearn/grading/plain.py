"""`python3 -m zglearn nbval SUBMISSIONS --out CHECKS`: notebooks for plain `pytest --nbval`.

What students hand in has no outputs that could be compared. So each submission is made into a
notebook that holds the student's cells, whose output and errors do not matter, and at its end a
cell for each exercise that has to print `04.2 accepted`. nbval fails exactly these cells whose
answers are wrong.

The student's code runs beside the checks there: whoever wants to, can make them pass.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from zglearn import paths
from zglearn.exercises.exercise import Verdict, find, judge_names

from . import reading
from .checks import KERNEL, CourseBroken, chapters, use_course
from .inputs import File, collect
from .notebook import Unreadable, plan, read_notebook
from .reports import file_name

ANYTHING = {"tags": ["nbval-ignore-output", "raises-exception"]}
MARKER = re.compile(r"(#[ \t]*+)(NBVAL|PYTEST)_")  # by such comments a cell commands nbval
BEGIN = ('import os\n\nos.environ["ZGLEARN_PROGRESS"] = ":memory:"\n'
         "from zglearn.grading import plain")


class NothingToCheck(Exception):
    """There is no submission to make a notebook of; the message says why."""


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    try:
        made, left = make(options.submissions.resolve(), options.out, options.course)
    except (NothingToCheck, CourseBroken, OSError) as problem:
        print(f"zglearn nbval: {problem}", file=sys.stderr)
        return 2
    for name, why in left:
        print(f"not made: {name}: {why}")
    print(f"{made} notebooks in {options.out}. In an environment of their own, run:\n\n"
          f"  pytest --nbval --nbval-cell-timeout 30 {options.out}\n\n"
          "The students' code runs there with your rights, and beside the checks: whoever wants to "
          "can make them pass. Against that, use `python3 -m zglearn grade`.")
    return 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python3 -m zglearn nbval", description=(
        "Make of each submission a notebook on which plain `pytest --nbval` fails exactly where "
        "an answer is wrong. It protects from no cheat and no harm: for that there is `grade`."))
    p.add_argument("submissions", type=Path, metavar="SUBMISSIONS",
                   help="a folder, a zip or a notebook, as for `grade`")
    p.add_argument("--out", type=Path, default=Path("checks"), metavar="CHECKS",
                   help="a new folder for the notebooks (default: %(default)s)")
    p.add_argument("--course", type=Path, default=paths.home(), metavar="FOLDER",
                   help="the course with its solutions/ (default: this one)")
    return p


def make(source: Path, out: Path, course: Path) -> tuple[int, list[tuple[str, str]]]:
    """Write the notebooks: how many, and (file, why not) of those that could not be made."""
    if not source.exists():
        raise NothingToCheck(f"there are no submissions at {source}")
    if out.exists() and any(out.iterdir()):
        raise NothingToCheck(f"{out} is not empty: choose a new folder for --out")
    use_course(course)
    known = chapters(course)
    stems = {number: chapter["name"] for number, chapter in known.items()}
    found = collect(source, stems, set(known), skip=out.resolve())
    chosen = [(s, s.files[0]) for s in found.submissions if s.files]
    made, left = 0, list(found.ignored)
    out.mkdir(parents=True, exist_ok=True)

    def notebook(pair) -> Iterator[dict]:
        submission, file = pair
        yield {"notebook": checks_of(file, known[submission.chapter])}

    for (submission, file), got, why in reading.each(notebook, chosen):
        if "notebook" not in got:
            left.append((file.name, why))
            continue
        name = f"{file_name(submission.student)}.{submission.chapter}.ipynb"
        (out / name).write_text(json.dumps(got["notebook"], indent=1) + "\n", encoding="utf-8")
        made += 1
    if not made:
        raise NothingToCheck(f"no notebook of this course in {source}")
    return made, left


def checks_of(file: File, chapter: dict) -> dict:
    """The notebook of checks of a submission. Raises Unreadable and what reading a file raises."""
    names = {id: find(id).names for id in chapter["exercises"]}
    try:
        steps = plan(read_notebook(file.read()), chapter["given"], names)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise Unreadable(f"not a notebook that can be read: {error}") from error
    cells = [_cell("begin", BEGIN)]
    for number, cell in enumerate(steps.cells, 1):
        cells.append(_cell(f"cell-{number}", MARKER.sub(r"\1\2 ", cell.source), ANYTHING))
        due = [id for id in chapter["exercises"] if number in steps.places[id]]
        cells += [_cell(f"ask-{id.replace('.', '-')}-{number}",
                        f'plain.ask("{id}", globals())', ANYTHING) for id in due]
    cells += [_cell(f"chk-{id.replace('.', '-')}", f'plain.say("{id}", globals())',
                    said=f"{id} accepted\n") for id in chapter["exercises"]]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": KERNEL}, "cells": cells}


def _cell(id: str, source: str, metadata: dict | None = None, said: str = "") -> dict:
    outputs = [{"output_type": "stream", "name": "stdout", "text": said}] if said else []
    return {"cell_type": "code", "id": id, "metadata": metadata or {}, "execution_count": 1,
            "source": source, "outputs": outputs}


# --- in the notebook --------------------------------------------------------------------------

_verdicts: dict[str, Verdict] = {}


def ask(id: str, names: dict) -> None:
    """Ask about an exercise here, where the student did, unless its answer was accepted before."""
    if id not in _verdicts or not _verdicts[id].accepted:
        _verdicts[id] = judge_names(find(id), names)


def say(id: str, names: dict) -> None:
    """Print what was said of an exercise; one that was not there yet is asked about once more."""
    if id not in _verdicts or _verdicts[id].status == "not_attempted":
        ask(id, names)
    verdict = _verdicts[id]
    print(id, "accepted" if verdict.accepted else f"{verdict.status}: {verdict.message}")
