"""What of a handed-in notebook is run, and where in it each exercise is asked about.

The student's cells run in their own order, helper cells included, but without their check cells.
The cells that the course gave run as the course gave them, and then as the student changed them;
a given cell that is gone is put back. The experiment after a prediction takes long, and is left out
unless a later cell uses a name of it.
"""

from __future__ import annotations

import ast
import dis
import json
import re
from dataclasses import dataclass
from types import CodeType

from zglearn.exercises.exercise import answer_name
from zglearn.exercises.renumbered import NOTEBOOKS, in_new_numbers, new_cell_id

# Every pattern here takes time in proportion to the text, whatever a student writes: what is
# repeated is not given back (`*+`). It runs in a process that may die of it all the same.
CHECK = re.compile(r'^[ \t]*+check\(\s*+["\'](\d\d\.\d++)["\']', re.M)
NO_CODE = re.compile(r'(?:[ \t]*+check\(\s*+["\']\d\d\.\d++["\']\s*+\)[ \t]*+;?)?\s*+(?:#.*)?')
OF_IPYTHON = re.compile(r"^([ \t]*+)[%!?].*|=[ \t]*+[%!].*|^.*\?[ \t]*+$", re.M)
DEFINED = re.compile(r"^[ \t]*+(?:(?:async[ \t]++)?def|class)[ \t]++(\w++)|^(\w++)[ \t]*+[:=,]",
                     re.M)
MAX_CELLS = 1000
MAX_CODE = 2**20  # characters


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
    """The cells to run, the names that each of them binds, and for each exercise the numbers of
    cells after which to ask about it."""

    cells: list[Cell]
    binds: list[set[str]]
    places: dict[str, list[int]]

    def defining(self, names) -> list[int]:
        """The numbers of the cells that define one of the names."""
        return [n for n, bound in enumerate(self.binds) if bound.intersection(names)]


def read_notebook(data: bytes) -> dict:
    """The JSON of a notebook of any format, in the numbers of this edition. Raises Unreadable."""
    try:
        notebook = json.loads(data)
        code_cells(notebook)
        if is_of_the_first_edition(notebook):
            _renumber(notebook)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not a notebook that can be read: {error}") from None
    except MemoryError:
        raise Unreadable("not a notebook that can be read: it takes too much memory") from None
    except (AttributeError, KeyError, TypeError):
        raise Unreadable("not a notebook: it is JSON, but has no cells") from None
    return notebook


def stamp_of(notebook: dict) -> dict:
    """The stamp of its hand-out (see `originals.stamp`); {} if a platform took it off."""
    metadata = notebook.get("metadata")
    stamp = metadata.get("zglearn") if isinstance(metadata, dict) else None
    return stamp if isinstance(stamp, dict) else {}


def is_of_the_first_edition(notebook: dict) -> bool:
    """Whether it was handed out with 0.1.0, where exercises had other numbers."""
    stamp = stamp_of(notebook)
    return "name" in stamp and "edition" not in stamp


def _renumber(notebook: dict) -> None:
    """From the numbers of 0.1.0 to today's. Its stamp still says no edition: its texts are old."""
    stamp = stamp_of(notebook)
    stamp["name"] = NOTEBOOKS.get(str(stamp["name"]), stamp["name"])
    if isinstance(stamp.get("cells"), dict):
        stamp["cells"] = {new_cell_id(id): text for id, text in stamp["cells"].items()}
    for cell in notebook.get("cells", ()):
        cell["id"] = new_cell_id(str(cell.get("id", "")))
        if cell["cell_type"] == "code":
            cell["source"] = in_new_numbers(_text(cell.get("source", "")))


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
    if (size := sum(len(cell.source) for cell in cells)) > MAX_CODE:
        raise Unreadable(f"{size:,} characters of code, and the grader reads no more than "
                         f"{MAX_CODE:,}")
    known = [_names(cell.source) for cell in cells]
    needed = _needed(cells, known)
    checked: dict[str, int] = {}
    kept: list[int] = []
    for number, cell in enumerate(cells):
        if number in needed and not _only_checks(cell.source):
            kept.append(number)
        for id in CHECK.findall(cell.source):
            checked[id] = len(kept)
    steps = Plan([cells[n] for n in kept], [known[n][0] for n in kept], {})
    steps.places.update((id, _places(id, names[id], steps, checked.get(id))) for id in names)
    return steps


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


def _needed(cells: list[Cell], known: list[tuple[set, set]]) -> set[int]:
    """The numbers of the cells to run: all but the experiments that no later cell rests on."""
    needed, used = set(), set()
    for number, cell in reversed(list(enumerate(cells))):
        binds, uses = known[number]
        if not (cell.given and cell.id.startswith("run-")) or binds & used:
            needed.add(number)
            used |= uses
    return needed


def _names(source: str) -> tuple[set[str], set[str]]:
    """The global names that a cell binds, and those that it uses (attributes among them)."""
    words = set()
    code = _compiled(source)
    if code is None:  # with IPython's own lines left out
        words = set(re.findall(r"\w+", "\n".join(m[0] for m in OF_IPYTHON.finditer(source))))
        code = _compiled(OF_IPYTHON.sub(lambda m: "= 0" if m[0][0] == "=" else f"{m[1] or ''}pass",
                                        source))
    if code is None:  # no Python
        return {one or other for one, other in DEFINED.findall(source)}, set(
            re.findall(r"\w+", source))
    steps = [(step.opname, step.argval) for step in dis.get_instructions(code)]
    stored = {name for what, name in steps if what == "STORE_NAME"}
    loaded = {name for what, name in steps if what == "LOAD_NAME"}
    codes = [code]
    for inner in codes:
        codes += [value for value in inner.co_consts if isinstance(value, CodeType)]
    return stored, words | loaded.union(*(inner.co_names for inner in codes[1:]))


def _compiled(source: str) -> CodeType | None:
    try:
        return compile(source, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return None


def _places(id: str, names: list[str], steps: Plan, checked: int | None) -> list[int]:
    """After its check cell, as the learner asked; and after the last cell that defines a name.

    An answer that is a value is asked for once, in its last state: twice would be two guesses.
    """
    bound = [n + 1 for n in steps.defining(names)
             if steps.cells[n].id == answer_cell(id) or not steps.cells[n].id.startswith("ans-")]
    places = [checked] if checked is not None else []
    if bound and bound[-1] > (checked or 0):
        places.append(bound[-1])
    return (places if names[0] != answer_name(id) else places[-1:]) or [len(steps.cells)]


def answer_cell(id: str) -> str:
    """The cell that the course gives for an answer: "04.2" -> "ans-04-2"."""
    return f"ans-{id.replace('.', '-')}"
