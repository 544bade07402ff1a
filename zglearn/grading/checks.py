"""What the grader needs of the course: for each chapter the checks, as nbval will run them."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path

from zglearn.exercises import bank
from zglearn.exercises.exercise import UnknownExercise, all_exercises
from zglearn.exercises.hidden import parse as parse_hidden

from .notebook import Unreadable, answer_cell, code_cells, read_notebook

OLDER = ("This exercise was changed after the hand-out that this notebook comes from, so today's "
         "checks do not fit it. Ask for it to be marked by hand.")
ANOTHERS = ("This notebook was handed out to somebody else, or to everybody: its questions are not "
            "those of this student.")
# What NumPy and zglearn themselves import only when something first uses it.
USED_LATER = {"numpy": ("numpy.ma", "numpy.random"), "zglearn.trajectory": ("tqdm",),
              "zglearn.data": ("zglearn.data.loaders",)}
# What a student's answer may import, whether the course's own does or not.
MATHEMATICS = ("zglearn.experiments", "zglearn.factorization", "zglearn.gradient_free_methods",
               "zglearn.gradient_methods", "zglearn.landscapes", "zglearn.models")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class CourseBroken(Exception):
    """The course itself cannot be graded with; the message says what to mend."""


def use_course(folder) -> None:
    """Know the exercises of the course in `folder`: it may bring its own bank/ beside ours."""
    own = Path(folder) / "bank"
    bank.__path__[1:] = [str(own)] if own.is_dir() else []


def chapters(course: Path) -> dict[str, dict]:
    """The chapters that have solutions and exercises in the bank, by number ("04").

    Each is plain data, to be sent to a referee:
    name, exercises (ids), given (the course's own code cells), hidden (checks by exercise),
    notebook (the pristine notebook, still without outputs), stamp, tasks and stubs (of the
    released exercises), bank (a digest of the checks) and version (a digest of all of this).
    """
    found = {}
    for path in sorted(course.glob("solutions/[0-9][0-9]_*.ipynb")):
        number = path.name[:2]
        try:
            exercises = [e.id for e in all_exercises(number)]
        except Exception as error:
            raise CourseBroken(f"the bank of chapter {number} cannot be loaded: "
                               f"{type(error).__name__}: {error}") from error
        if exercises:
            found[number] = _chapter(course, path, exercises)
    if not found:
        raise CourseBroken(f"there is nothing to grade with in {course}: it needs solutions/")
    return found


def _chapter(course, path, exercises):
    hidden: dict[str, list] = {}
    try:
        cells = _authored(read_notebook(path.read_bytes()))
        for cell in cells:
            if check := parse_hidden(cell["source"]):
                hidden.setdefault(check["exercise"], []).append(check)
    except (Unreadable, ValueError, UnknownExercise) as error:
        raise CourseBroken(f"{path}: {error}") from error
    chapter = {
        "name": path.stem, "exercises": exercises, "hidden": hidden,
        "given": [{"id": c["id"], "source": c["source"],
                   "theirs": c["id"].startswith(("ans-", "chk-"))}
                  for c in cells if not _for_authors(c)],
        "answers": [{"id": c["id"], "source": c["source"]} for c in cells if not _for_authors(c)],
        "notebook": json.dumps(checks_notebook(exercises, {})),
        **_hand_out(course / "exercises" / path.name, exercises),
        "bank": bank_digest(path.name[:2]),
    }
    return chapter | {"version": _digest(json.dumps(chapter, sort_keys=True))}


def bank_digest(chapter: str) -> str:
    """A digest of the checks of a chapter, as they are installed here."""
    files = [file for folder in bank.__path__ for file in Path(folder).glob(f"ch{chapter}*.py")]
    return _digest("".join(file.read_text(encoding="utf-8") for file in sorted(files)))


def grader_digest() -> str:
    """A digest of the program that grades."""
    package = Path(__file__).parents[1]
    files = [file for room in ("grading", "exercises") for file in package.glob(f"{room}/*.py")]
    return _digest("".join(file.read_text(encoding="utf-8") for file in sorted(files)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _authored(notebook):
    return [{"id": cell.get("id", ""), "tags": cell["metadata"].get("tags", []),
             "source": code.source}
            for cell, code in zip((c for c in notebook["cells"] if c["cell_type"] == "code"),
                                  code_cells(notebook), strict=True)]


def _for_authors(cell) -> bool:
    return cell["source"].startswith("%%") or "solution-only" in cell["tags"]


def _hand_out(path: Path, exercises: list[str]) -> dict:
    """What students were given: its `stamp` (see `originals.stamp`), the `tasks`, and the answers'
    `stubs`."""
    if not path.exists():
        return {"stamp": {}, "stubs": {}, "tasks": {}}
    notebook = read_notebook(path.read_bytes())
    cells = {cell.id: cell.source for cell in code_cells(notebook)}
    texts = {cell.get("id"): "".join(cell["source"]) for cell in notebook["cells"]}
    return {"stamp": notebook["metadata"].get("zglearn", {}),
            "tasks": {id: texts.get(f"ex-{id.replace('.', '-')}", "") for id in exercises},
            "stubs": {id: cells[cell] for id in exercises if (cell := answer_cell(id)) in cells}}


def checks_notebook(exercises: list[str], said: dict[str, str]) -> dict:
    """The pristine notebook: a check cell for each exercise, with its output."""
    def output(id):
        return [{"output_type": "stream", "name": "stdout", "text": said[id]}] if id in said else []

    cells = [{"cell_type": "code", "id": "chk-" + id.replace(".", "-"), "metadata": {},
              "execution_count": number, "source": f'check("{id}")', "outputs": output(id)}
             for number, id in enumerate(exercises, 1)]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": KERNEL}, "cells": cells}


def with_outputs(chapter: dict, result: dict) -> dict:
    """The chapter with the outputs that its own solution gave, as the engine reports them.

    Raises CourseBroken if the course's own checks do not accept the course's own solution.
    """
    if problem := result.get("failed") or result.get("refused"):
        raise CourseBroken(f"{chapter['name']}: the solution could not be graded: {problem}")
    if wrong := {id: v for id, v in result["verdicts"].items()
                 if v["status"] not in ("correct", "answered")}:
        lines = [f"  {id}: {verdict['message']}" for id, verdict in wrong.items()]
        raise CourseBroken(f"{chapter['name']}: the checks do not accept the solution itself:\n"
                           + "\n".join(lines))
    return chapter | {"notebook": json.dumps(checks_notebook(chapter["exercises"], result["said"]))}


def solution(chapter: dict) -> bytes:
    """The course's own answers as a submission."""
    cells = [{"cell_type": "code", "id": cell["id"], "metadata": {}, "source": cell["source"]}
             for cell in chapter["answers"]]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": cells}).encode()


def modules(chapters: dict[str, dict]) -> list[str]:
    """What the notebooks import, and what a learner may: imported once, not for every student."""
    found = {"numpy", "zglearn.objective", "zglearn.trajectory", *MATHEMATICS}
    for chapter in chapters.values():
        for cell in chapter["answers"]:
            found |= _imports(re.sub(r"^[%!].*$", "", cell["source"], flags=re.M))
    found.update(*(USED_LATER.get(name, ()) for name in found))
    return sorted(name for name in found if not name.startswith("zglearn.course"))


def _imports(source):
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
    return found
