"""What an exercise notebook was when it was derived, told by fingerprints of its cells.

Notebooks are read as plain JSON here: importing nbformat beside JupyterLab takes two seconds, and
a learner is waiting for the set-up cell.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from zglearn import paths


def cells_of(path: Path) -> list[tuple[str, str]]:
    """The id ("" if it has none) and source of each cell. Raises ValueError for no notebook."""
    try:
        cells = json.loads(path.read_bytes())["cells"]
        return [(cell.get("id", ""), "".join(cell["source"])) for cell in cells]
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{path.name} is not a notebook") from None


def source_of(path: Path | None, id: str) -> str | None:
    """The source of the cell of that id; None if there is no such cell or notebook."""
    return dict(cells_of(path)).get(id) if path else None


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.rstrip().encode()).hexdigest()[:12]


def stamp(name: str, cells: Iterable[tuple[str, str]]) -> dict:
    """What a derived notebook carries: its name, a fingerprint of it, and of each of its cells."""
    prints = [(id, fingerprint(source)) for id, source in cells]
    return {"name": name, "version": fingerprint(repr(prints)), "cells": dict(prints)}


def stamp_in(path: Path) -> dict:
    """The stamp that a notebook carries; {} if it carries none."""
    try:
        found = json.loads(path.read_bytes())["metadata"]["zglearn"]
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def is_untouched(path: Path) -> bool:
    """Whether an exercise notebook is as it was derived: no cell changed, added or removed."""
    carried = stamp_in(path)
    try:
        return carried == stamp(carried.get("name", ""), cells_of(path))
    except (OSError, ValueError):
        return False


def exercise_notebooks(home: Path) -> list[Path]:
    return sorted((home / "exercises").glob("[0-9][0-9]_*.ipynb"))


def keep_originals() -> None:
    """Keep each untouched exercise notebook, so that `reset` works without git and solutions."""
    folder = paths.private() / "originals"
    folder.mkdir(exist_ok=True)
    for path in exercise_notebooks(paths.home()):
        kept = folder / path.name
        if stamp_in(kept).get("version") != stamp_in(path).get("version") and is_untouched(path):
            shutil.copy2(path, kept)
