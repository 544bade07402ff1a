"""Finds the places in a notebook where a setting may be chosen by hand instead of by `tune`.

A choice by hand has no equal trials and does not look whether its best lies at an edge. Not all
that is found is one: the reason why it may stay stands beside it, as ``# by hand: why``. The net
has holes (a plain ``min(losses)`` can be a price or a range), so a reader still has to look.
"""

import ast
import re
from typing import NamedTuple

REASON = re.compile(r"#\s*by hand:\s*(\S.*)")
SETTINGS = re.compile("(?i)(lr|rate|beta|eps|sigma|rho|ridge|penalt|strength|setting|grid)")


class Selection(NamedTuple):
    """Where something is chosen, and why by hand: None if nobody says so."""

    cell: str
    line: int
    code: str
    reason: str | None


def hand_made_selections(notebook) -> list[Selection]:
    """All of them in a notebook's code cells, but for trials (``%%``), in their order."""
    return [found for cell in notebook.cells
            if cell.cell_type == "code" and not cell.source.startswith("%%")
            for found in _in_code(cell.id, cell.source)]


def _in_code(cell, source):
    lines = [re.sub(r"^\s*[%!].*", "", line) for line in source.split("\n")]
    for node in sorted((n for n in ast.walk(ast.parse("\n".join(lines))) if _chooses(n)),
                       key=lambda n: n.lineno):
        there = lines[node.lineno - 1 : node.end_lineno]
        reasons = [said[1] for line in there if (said := REASON.search(line))]
        yield Selection(cell, node.lineno, there[0].strip(), reasons[0] if reasons else None)


def _chooses(node) -> bool:
    if isinstance(node, ast.Subscript):  # sorted(…)[0], np.argsort(…)[-1]
        try:
            place = ast.literal_eval(node.slice)
        except ValueError:
            return False
        return place in (0, -1) and _called(node.value) in ("sorted", "sort", "argsort")
    name, keywords = _called(node), {k.arg for k in getattr(node, "keywords", ())}
    if name in ("argmin", "argmax", "nanargmin", "nanargmax"):  # not of each row, not "the first"
        return "axis" not in keywords and not any(isinstance(a, ast.Compare) for a in node.args)
    if name in ("nanmin", "nanmax", "idxmin", "idxmax"):
        return True
    return (name in ("min", "max") and isinstance(node.func, ast.Name)
            and ("key" in keywords or any(map(_goes_through_settings, node.args))))


def _goes_through_settings(node) -> bool:
    """min(zip(losses, lrs)), min(loss(lr) for lr in …), max(score(s) for s in (0.1, 1, 10)),
    min(path.steps_to(1e-6) for path in …)"""
    if any(_called(part) == "steps_to" for part in ast.walk(node)):
        return True
    if _called(node) == "zip":
        return any(isinstance(a, ast.Name) and SETTINGS.match(a.id) for a in node.args)
    if not isinstance(node, ast.GeneratorExp | ast.ListComp):
        return False
    names = {n.id for loop in node.generators for n in ast.walk(loop.target)
             if isinstance(n, ast.Name)}
    names |= {loop.iter.id for loop in node.generators if isinstance(loop.iter, ast.Name)}
    return any(map(SETTINGS.match, names)) or any(
        isinstance(loop.iter, ast.Tuple | ast.List) for loop in node.generators)


def _called(node) -> str | None:
    """The name of the function or method that is called."""
    if not isinstance(node, ast.Call):
        return None
    return getattr(node.func, "attr", getattr(node.func, "id", None))
