"""What of a handed-in notebook is run, and where in it each exercise is asked about.

The student's cells run in their own order, helper cells included, but without their check cells.
The cells that the course gave run as the course gave them, and then as the student changed them;
a given cell that is gone is put back. The experiment after a prediction takes long, and is left out
unless a later cell uses a name of it.
"""

from __future__ import annotations

import json
import re
import symtable
from dataclasses import dataclass

from zglearn.exercises.exercise import answer_name

# Every pattern here takes time in proportion to the text, whatever a student writes.
CHECK = re.compile(r'^[ \t]*check\(\s*["\'](\d\d\.\d+)["\']', re.M)
NO_CODE = re.compile(r'([ \t]*check\(\s*["\']\d\d\.\d+["\']\s*\)[ \t]*;?)?\s*(#.*)?')
MAX_CELLS = 1000


class Unreadable(Exception):
    """A file is not a notebook; the message is for the gradebook."""


@dataclass(frozen=True)
class Cell:
    """A code cell. `given` says that the course wrote it."""

    id: str
    source: str
    given: bool = False


@dataclass(frozen=True)
class Plan:
    """The cells to run, and for each exercise the numbers of cells after which to ask about it."""

    cells: list[Cell]
    places: dict[str, list[int]]


def read_notebook(data: bytes) -> dict:
    """The JSON of a notebook of any format. Raises Unreadable."""
    try:
        notebook = json.loads(data)
        code_cells(notebook)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not a notebook that can be read: {error}") from None
    except MemoryError:
        raise Unreadable("not a notebook that can be read: it takes too much memory") from None
    except (AttributeError, KeyError, TypeError):
        raise Unreadable("not a notebook: it is JSON, but has no cells") from None
    return notebook


def code_cells(notebook: dict) -> list[Cell]:
    """The code cells of a notebook in format 4, or in format 3 (worksheets, `input`)."""
    if "cells" in notebook:
        cells = notebook["cells"]
    else:
        cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
    return [Cell(str(cell.get("id", "")), _text(cell.get("source", cell.get("input", ""))))
            for cell in cells if cell["cell_type"] == "code"]


def _text(source) -> str:
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    return text.encode("utf-8", "replace").decode()  # half a character pair is no text


def plan(notebook: dict, given: list[dict], names: dict[str, list[str]]) -> Plan:
    """What to run of a notebook.

    `given` are the course's own code cells of the chapter in order, as {"id", "source"} with
    answer and check cells marked {"theirs": true}; `names` are what each exercise must define.
    """
    cells = _with_given(code_cells(notebook), given)
    if len(cells) > MAX_CELLS:
        raise Unreadable(f"{len(cells)} code cells, and the grader runs no more than {MAX_CELLS}")
    checked: dict[str, int] = {}
    kept: list[Cell] = []
    needed = _needed(cells)
    for number, cell in enumerate(cells):
        for id in CHECK.findall(cell.source):
            checked[id] = len(kept)
        if number in needed and not _only_checks(cell.source):
            kept.append(cell)
    return Plan(kept, {id: _places(id, names[id], kept, checked.get(id)) for id in names})


def _only_checks(source: str) -> bool:
    return all(NO_CODE.fullmatch(line) for line in source.splitlines())


def _with_given(cells: list[Cell], given: list[dict]) -> list[Cell]:
    """The student's cells, each given cell in its place and in its own words before any change."""
    by_id = {cell["id"]: cell for cell in given}
    by_source = {cell["source"].strip(): cell for cell in given}
    merged, seen = [], set()
    for cell in cells:
        original = by_source.get(cell.source.strip()) or by_id.get(cell.id)
        if original is None or original.get("theirs"):
            merged.append(cell)
            if original:
                seen.add(original["id"])
            continue
        if original["id"] not in seen:
            merged.append(Cell(original["id"], original["source"], given=True))
            seen.add(original["id"])
        if original["source"].strip() != cell.source.strip():
            merged.append(Cell(cell.id, cell.source))
    return _put_back(merged, given, seen)


def _put_back(merged, given, seen):
    """Insert the missing given cells, each after the cell that it followed."""
    place = 0
    for cell in given:
        here = [n for n, other in enumerate(merged) if other.id == cell["id"]]
        if here:
            place = here[-1] + 1
        elif not cell.get("theirs") and cell["id"] not in seen:
            merged.insert(place, Cell(cell["id"], cell["source"], given=True))
            place += 1
    return merged


def _needed(cells: list[Cell]) -> set[int]:
    """The numbers of the cells to run: all but the experiments that no later cell rests on."""
    needed, used = set(), set()
    for number, cell in reversed(list(enumerate(cells))):
        binds, uses = _names(cell.source)
        if not (cell.given and cell.id.startswith("run-")) or binds & used:
            needed.add(number)
            used |= uses
    return needed


def _names(source: str) -> tuple[set[str], set[str]]:
    """The global names that a cell binds, and those that it uses."""
    try:
        top = symtable.symtable(source, "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # IPython's own, or no Python
        words = set(re.findall(r"\w+", source))
        return words, words
    uses, tables = set(), [top]
    for table in tables:
        tables += table.get_children()
        uses |= {s.get_name() for s in table.get_symbols() if s.is_global() or table is top}
    return {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}, uses


def _places(id: str, names: list[str], cells: list[Cell], checked: int | None) -> list[int]:
    """After its check cell, as the learner asked; and after the last cell that defines a name.

    An answer that is a value is asked for once, in its last state: twice would be two guesses.
    """
    own = answer_cell(id)
    bound = [n + 1 for n, cell in enumerate(cells) if re.search(binding(names), cell.source)
             and (not cell.id.startswith("ans-") or cell.id == own)]
    places = [checked] if checked is not None else []
    if bound and bound[-1] > (checked or 0):
        places.append(bound[-1])
    return (places if names[0] != answer_name(id) else places[-1:]) or [len(cells)]


def answer_cell(id: str) -> str:
    """The cell that the course gives for an answer: "04.2" -> "ans-04-2"."""
    return f"ans-{id.replace('.', '-')}"


def binding(names: list[str]) -> str:
    """A pattern for a line that defines one of the names."""
    either = "|".join(map(re.escape, names))
    return rf"(?m)^[ \t]*(async\s+def|def|class)\s+({either})\b|^({either})\s*[:=,]"
