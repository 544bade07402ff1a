"""A learner's notebook and a new version of it become one, and nothing of the learner's is lost.

Cells are matched by their ids. A cell that still has the fingerprint with which it was handed out
was not touched by the learner, so the new version may replace it; any other is the learner's.
"""

from __future__ import annotations

import copy
import uuid

import nbformat

from zglearn.authoring.derive import exercise_of
from zglearn.authoring.notebooks import METADATA
from zglearn.exercises import renumbered
from zglearn.exercises.originals import fingerprint

YOURS_STAYS = "**The course changed the next cell.** Yours is kept; this is the new text:"
YOURS_WAS = "**You had changed the cell above, and so did the course.** This is yours:"


def merge(mine, new, base: dict | None = None, edition: int | None = None,
          course_first: bool = False):
    """Merge a notebook with its new version. Returns the merged notebook and notes on it.

    base, edition : {cell id: fingerprint} of what both came from, and whose numbers `mine` has
        (default: what the stamp of `mine` says)
    course_first : in a cell that both changed, take the course's text and quote the learner's; else
        the learner's stays, and the course's is quoted

    Cells that the learner added stand after the same cell as before.
    """
    base = stamp_of(mine).get("cells", {}) if base is None else base
    edition = edition_of(mine) if edition is None else edition
    mine = _with_own_ids(mine)
    if edition < renumbered.EDITION:
        mine, base = in_new_numbers(mine, new, base)
    own = {cell.id: cell for cell in mine.cells}
    cells, notes = [], []
    for cell in new.cells:
        theirs = own.get(cell.id)
        if theirs is None or not _touched(theirs, base):
            cells.append(_with_outputs(cell, theirs))
        elif base.get(cell.id) == fingerprint(cell.source) or theirs.source == cell.source:
            cells.append(theirs)
        elif course_first:
            cells += [cell, _quoted(theirs, YOURS_WAS, own)]
            notes.append(f"  cell {cell.id}: the course's new text; yours is quoted below it")
        else:
            cells += [_quoted(cell, YOURS_STAYS, own), theirs]
            notes.append(f"  cell {cell.id}: yours stays; the course's new text is above it")
    _add_own_cells(cells, mine, base)
    merged = nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(METADATA))
    if "zglearn" in new.metadata:
        merged.metadata["zglearn"] = new.metadata["zglearn"]
    return merged, notes


def stamp_of(notebook) -> dict:
    """The stamp that a notebook carries; {} if it carries none."""
    return notebook.metadata.get("zglearn", {})


def edition_of(notebook) -> int:
    """Whose numbers an exercise notebook has."""
    return stamp_of(notebook).get("edition", 1)


def fingerprints(notebook) -> dict[str, str]:
    """{cell id: fingerprint}"""
    return {cell.id: fingerprint(cell.source) for cell in notebook.cells}


def in_new_numbers(mine, new, base: dict):
    """A notebook of the first edition, and what it came from, in the second's numbers.

    Exercises that went to another chapter than `new` are left out.
    """
    mine = copy.deepcopy(mine)
    theirs = {cell.id: cell for cell in new.cells}
    cells, renamed = [], {}
    for cell in mine.cells:
        id, old = renumbered.new_cell_id(cell.id), base.get(cell.id)
        touched, counterpart = _touched(cell, base), theirs.get(id)
        same = counterpart is not None and old in (
            fingerprint(counterpart.source),
            fingerprint(renumbered.in_old_numbers(counterpart.source)))
        if same and not touched:
            cell.source = counterpart.source
        elif touched and cell.cell_type == "code":
            cell.source = renumbered.in_new_numbers(cell.source)
        if old is not None:
            renamed[id] = fingerprint(counterpart.source) if same else old
        cell["id"] = id
        if not _chapter_of(new) or _chapter(id) in ("", _chapter_of(new)):
            cells.append(cell)
    mine.cells = cells
    return mine, renamed


def only(notebook, chapter: str):
    """A notebook of the first edition with nothing but the exercises that are in `chapter` now."""
    part = copy.deepcopy(notebook)
    part.cells = [c for c in part.cells if _chapter(renumbered.new_cell_id(c.id)) == chapter]
    return part


def _chapter(cell_id: str) -> str:
    return exercise_of(cell_id)[:2]


def _chapter_of(notebook) -> str:
    return stamp_of(notebook).get("name", "")[:2]


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


def _quoted(cell, head: str, own: dict):
    text = cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
    note = nbformat.v4.new_markdown_cell(f"{head}\n\n{text}")
    note["id"] = next(id for n in range(1, 99) if (id := f"new-{n}-{cell.id}"[:64]) not in own)
    return note


def _add_own_cells(cells: list, mine, base: dict) -> None:
    """Insert what the learner added, or changed in cells that are gone, after its predecessor."""
    there = {cell.id for cell in cells}
    place = 0
    for cell in mine.cells:
        if cell.id in there:
            place = next(n for n, other in enumerate(cells) if other.id == cell.id) + 1
        elif _touched(cell, base) and cell.source.strip():
            cells.insert(place, cell)
            place += 1
