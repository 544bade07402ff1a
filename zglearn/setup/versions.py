"""Exercise notebooks over time: fresh ones, and new versions merged with a learner's answers.

Every derived notebook carries a fingerprint of each of its cells. A cell that still has its
fingerprint was not touched by the learner, so a new version may replace it; any other cell is the
learner's and stays. Before anything is written, the notebook as it was is kept in exercises/kept/.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import subprocess
import uuid
from pathlib import Path

import nbformat

from zglearn import paths
from zglearn.authoring.derive import Malformed, derive
from zglearn.authoring.notebooks import METADATA, keep, keep_answers, read, write
from zglearn.course import progress
from zglearn.course.said import CourseError, command
from zglearn.exercises.originals import exercise_notebooks, fingerprint, is_untouched


def original(name: str):
    """The untouched exercise notebook `name` ("04_momentum"): derived, from git, or kept."""
    home = paths.home()
    source = home / "solutions" / f"{name}.ipynb"
    if source.exists():
        return derive(read(source), name)
    committed = _git("show", f"HEAD:./exercises/{name}.ipynb")
    if committed.returncode == 0:
        return nbformat.reads(committed.stdout, as_version=4)
    stored = paths.private() / "originals" / f"{name}.ipynb"
    return read(stored) if stored.exists() else None


# --- reset ------------------------------------------------------------------------------------


@command
def reset(argv: list[str]) -> int:
    """`python -m zglearn reset 04`."""
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn reset",
        description="Give a fresh exercise notebook; the old one is kept.")
    parser.add_argument("chapter", help="the chapter's number, such as 04")
    name = _name_of(parser.parse_args(argv).chapter)
    path = paths.home() / "exercises" / f"{name}.ipynb"
    fresh = original(name)
    if fresh is None:
        raise CourseError(f"The original of {path.name} is not in this copy of the course. Get the "
                          "course again; `python -m zglearn update --from` brings your answers.")
    if path.exists():
        print(f"Your notebook is kept as {_short(keep(path))}.")
    write(fresh, path)
    print(f"{_short(path)} is fresh. If it is open in JupyterLab, close it and open it again.")
    return 0


def _name_of(chapter: str) -> str:
    """"4", "04" or "04_momentum" -> "04_momentum"."""
    number = chapter.split("_")[0].zfill(2)
    for kind in ("solutions", "exercises", "chapters"):
        if path := paths.notebook(kind, number):
            return path.stem
    there = ", ".join(path.stem for path in exercise_notebooks(paths.home())) or "none"
    raise CourseError(f"There is no chapter {chapter!r} with exercises. There are: {there}.")


# --- update -----------------------------------------------------------------------------------


@command
def update(argv: list[str]) -> int:
    """`python -m zglearn update [--from FOLDER]`."""
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn update",
        description="Get the course's newest version, and keep your answers in its notebooks.")
    parser.add_argument("--from", dest="old", type=Path, metavar="FOLDER",
                        help="bring your answers and progress from an older copy of the course")
    old, before = parser.parse_args(argv).old, _git("rev-parse", "HEAD").stdout
    if old:
        said = bring_from(old)
    else:
        mine = pull() if _git("rev-parse", "@{upstream}").returncode == 0 else {}
        said = [merge_file(path, mine.get(path.name)) for path in exercise_notebooks(paths.home())]
    said = [line for line in said if line] or ["Your exercise notebooks are up to date."]
    if _git("rev-parse", "HEAD").stdout != before:
        said.insert(0, "The course is now the newest version.")
    print("\n".join(said))
    return 0


def pull() -> dict[str, Path]:
    """Bring a git checkout up to date. Notebooks that the learner changed are put aside first.

    Returns the exercise notebooks put aside: name -> copy.
    """
    home = paths.home()
    changed = _run("diff", "-z", "--name-only", "--relative", "HEAD").split("\0")[:-1]
    others = [name for name in changed if not name.endswith(".ipynb")]
    if others:
        raise CourseError("You changed files of the course itself: " + ", ".join(others) +
                          ". Commit these changes or undo them (git restore FILE), then update.")
    _run("fetch")
    aside = {home / name: keep(home / name) for name in changed
             if (home / name).exists() and not _only_ran(name)}
    if changed:
        _run("checkout", "HEAD", "--", *changed)
    try:
        _run("merge", "--ff-only", "@{upstream}")
    except CourseError:
        for path, kept in aside.items():
            shutil.copy2(kept, path)
        raise
    return {path.name: kept for path, kept in aside.items() if path.parent.name == "exercises"}


def _only_ran(name: str) -> bool:
    """Whether a notebook differs from the committed one in its outputs alone."""
    try:
        before = nbformat.reads(_run("show", f"HEAD:./{name}"), as_version=4)
        now = read(paths.home() / name)
    except (CourseError, ValueError, nbformat.ValidationError):
        return False
    return [cell.source for cell in before.cells] == [cell.source for cell in now.cells]


def merge_file(path: Path, mine_at: Path | None = None, new=None) -> str:
    """Merge the newest version of an exercise notebook with the learner's; says what was done."""
    try:
        mine, new = read(mine_at or path), new or original(path.stem)
    except Malformed as error:
        return f"{_short(path)} is left as it is: {error}"
    if new is None or mine_at is None and _version(mine) == _version(new):
        return ""
    kept = mine_at or keep_answers(path)
    merged, notes = merge(mine, new)
    write(merged, path)
    return "\n".join([f"{_short(path)}: new version, your answers are in it"
                      + (f"; as it was: {_short(kept)}" if kept else ""), *notes])


def bring_from(old: Path) -> list[str]:
    """Bring answers and progress from an older copy of the course in the folder `old`."""
    if not (old / "exercises").is_dir():
        raise CourseError(f"{old} is not a copy of the course: it has no folder exercises/.")
    said = []
    for path in exercise_notebooks(old):
        here = paths.home() / "exercises" / path.name
        if is_untouched(path):
            continue
        if here.exists() and not is_untouched(here):
            said.append(f"{_short(here)} holds answers already, and stays as it is; the older ones "
                        f"are in {path}.")
            continue
        here.parent.mkdir(exist_ok=True)
        said.append(merge_file(here, path, read(here) if here.exists() else None))
    count = progress.bring_from(old / ".zglearn" / "progress.sqlite")
    return said + [f"{count} events of your progress are here now."] * bool(count)


def merge(mine, new):
    """Three-way merge by cell id: the learner's notebook, the new version, and what both came from,
    of which the learner's notebook carries the fingerprints. Returns the notebook and notes.

    No cell that the learner changed or added is lost; a cell that both changed stays the
    learner's, and the new text stands in a note before it.
    """
    base = mine.metadata.get("zglearn", {}).get("cells", {})
    mine = _with_own_ids(mine)
    own = {cell.id: cell for cell in mine.cells}
    cells, notes = [], []
    for cell in new.cells:
        theirs = own.get(cell.id)
        if theirs is None or not _touched(theirs, base):
            cells.append(_with_outputs(cell, theirs))
            continue
        if base.get(cell.id) != fingerprint(cell.source) != fingerprint(theirs.source):
            cells.append(_note(cell, own))
            notes.append(f"  cell {cell.id}: yours stays; the course's new text is above it")
        cells.append(theirs)
    _add_own_cells(cells, mine, new, base)
    merged = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    merged.metadata["zglearn"] = new.metadata["zglearn"]
    return merged, notes


def _with_own_ids(notebook):
    """A copy in which a cell that was duplicated, id and all, has an id of its own."""
    notebook, seen = copy.deepcopy(notebook), set()
    for cell in notebook.cells:
        if cell.get("id") in seen or not cell.get("id"):
            cell["id"] = uuid.uuid4().hex[:8]
        seen.add(cell.id)
    return notebook


def _touched(cell, base: dict) -> bool:
    return base.get(cell.id) != fingerprint(cell.source)


def _with_outputs(cell, theirs):
    """The new cell, with the learner's outputs if its code is the same."""
    if theirs is not None and theirs.cell_type == "code" and theirs.source == cell.source:
        return theirs
    return cell


def _note(cell, own: dict):
    text = cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
    note = nbformat.v4.new_markdown_cell(
        f"**The course changed the next cell.** Yours is kept; this is the new text:\n\n{text}")
    note["id"] = next(id for n in range(1, 99) if (id := f"new-{n}-{cell.id}"[:64]) not in own)
    return note


def _add_own_cells(cells: list, mine, new, base: dict) -> None:
    """Insert what the learner added, or changed in cells that are gone, after its predecessor."""
    there = {cell.id for cell in cells}
    place = 0
    for cell in mine.cells:
        if cell.id in there:
            place = next(n for n, other in enumerate(cells) if other.id == cell.id) + 1
        elif _touched(cell, base) and cell.source.strip():
            cells.insert(place, cell)
            place += 1


def _version(notebook) -> str:
    return notebook.metadata.get("zglearn", {}).get("version", "")


def _git(*arguments: str) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(["git", *arguments], cwd=paths.home(), capture_output=True, text=True,
                              encoding="utf-8")
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "git is not installed")


def _run(*arguments: str) -> str:
    done = _git(*arguments)
    if done.returncode:
        raise CourseError(f"git {arguments[0]} did not work, so nothing was changed:\n"
                          f"{done.stderr.strip()}")
    return done.stdout


def _short(path: Path) -> str:
    home, full = paths.home().resolve(), path.resolve()
    return str(full.relative_to(home)) if full.is_relative_to(home) else str(path)
