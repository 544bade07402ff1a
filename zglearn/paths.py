"""Where the course's folders are. Everything made at run time lies in `.zglearn/`."""

from __future__ import annotations

import os
import re
from pathlib import Path


def home() -> Path:
    """The checkout: the folder that holds chapters/, exercises/ and, for authors, solutions/."""
    return Path(os.environ.get("ZGLEARN_HOME") or Path(__file__).parents[1])


def private() -> Path:
    """The folder for what is made at run time, created if need be.

    It is `.zglearn` in the checkout, or in the user's home if the checkout cannot be written.
    """
    for folder in (home() / ".zglearn", Path.home() / ".zglearn"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(f"cannot write to {home() / '.zglearn'} nor to {Path.home() / '.zglearn'}")


def notebook(kind: str, chapter: str) -> Path | None:
    """A chapter's ("04" or "4") notebook in chapters, exercises or solutions; None if it is not."""
    chapter = re.sub(r"^\d$", r"0\g<0>", str(chapter))
    found = sorted((home() / kind).glob(f"{chapter}_*.ipynb"))
    return found[0] if found else None


def title(chapter: str) -> str:
    """A chapter's title ("04" -> "Momentum"): the heading of its notebook, up to a colon.

    Only the head of the file is read: with its pictures, a notebook takes long to parse.
    """
    for path in filter(None, (notebook(kind, chapter) for kind in ("chapters", "exercises"))):
        with path.open(encoding="utf-8") as file:
            heading = re.search(r'"# \d\d · ([^:"\\]+)', file.read(4000))
        return heading[1] if heading else path.stem[3:].replace("_", " ")
    return ""
