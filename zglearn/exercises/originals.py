"""What an exercise notebook was when it was derived, told by fingerprints of its cells.

Notebooks are read as plain JSON here: importing nbformat beside JupyterLab takes two seconds, and
a learner is waiting for the set-up cell.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from zglearn import paths

from .renumbered import EDITION, NOTEBOOKS


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
    """What a derived notebook carries: its name, the edition whose numbers it has, a fingerprint of
    it, and of each of its cells."""
    prints = [(id, fingerprint(source)) for id, source in cells]
    return {"name": name, "edition": EDITION, "version": fingerprint(repr(prints)),
            "cells": dict(prints)}


def stamp_in(path: Path) -> dict:
    """The stamp that a notebook carries; {} if it carries none."""
    try:
        found = json.loads(path.read_bytes())["metadata"]["zglearn"]
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def is_untouched(path: Path) -> bool:
    """Whether an exercise notebook is as it was derived, in whichever edition: no cell changed,
    added or removed."""
    carried = stamp_in(path) | {"edition": EDITION}
    carried.pop("seed", None)  # of a student's variants: see `variants`
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


# --- what an update has put aside -------------------------------------------------------------


def state_of_updates() -> dict:
    """What the last update left: the "edition" that all notebooks have reached and, while an update
    is not finished, the commit "before" it and what is "aside", {notebook: copy}."""
    try:
        return json.loads((paths.private() / "updates.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_state_of_updates(state: dict) -> None:
    new = paths.private() / "updates.new"
    new.write_text(json.dumps(state), encoding="utf-8")
    new.replace(paths.private() / "updates.json")


def of_the_first_edition() -> list[Path]:
    """Notebooks with a learner's work that 0.1.0, or a page that was open meanwhile, left behind:
    those under an old name and, until they were looked through once, the newest copies in kept/."""
    found = []
    for folder in (paths.home() / "exercises", paths.home() / "chapters"):
        found += [path for old, new in NOTEBOOKS.items() if (folder / f"{new}.ipynb").exists()
                  and (path := folder / f"{old}.ipynb").exists()]
        if state_of_updates().get("edition", 1) < EDITION:
            copies = sorted((folder / "kept").glob("*.ipynb"))
            found += [path for stem, path in {stem_of_copy(path): path for path in copies}.items()
                      if stem and "edition" not in stamp_in(path) and not is_untouched(path)]
    return found


def stem_of_copy(path: Path) -> str:
    """"04_momentum-20260131-120000-000000.ipynb" -> "04_momentum"; "" for other names."""
    match = re.fullmatch(r"(\d\d_.+)-\d{8}-\d{6}-\d{6}", path.stem)
    return match[1] if match else ""


def is_update_unfinished() -> bool:
    """Whether work of the learner waits to be brought into the new notebooks."""
    return "aside" in state_of_updates() or bool(of_the_first_edition())
