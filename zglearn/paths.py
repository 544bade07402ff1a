"""Where the course's folders are. Everything made at run time lies in `.zglearn/`."""

from __future__ import annotations

import os
import re
from pathlib import Path


def home() -> Path:
    """The checkout: the folder that holds chapters/, exercises/ and, for authors, solutions/.

    It is the package's own or, where pip put the package elsewhere, the one that we are in.
    """
    if chosen := os.environ.get("ZGLEARN_HOME"):
        return Path(chosen)
    own, here = Path(__file__).parents[1], Path.cwd()
    around = [folder for folder in (here, *here.parents) if (folder / "zglearn").is_dir()]
    return next(filter(is_course, [own, *around]), own)


def is_course(folder: Path) -> bool:
    """Whether a folder holds notebooks of the course; where pip puts the package, it does not."""
    return any((folder / kind).is_dir() for kind in ("chapters", "exercises", "solutions"))


def private() -> Path:
    """The folder for what is made at run time, created if need be.

    It is `.zglearn` in the checkout, or in the user's home if the checkout cannot be written or the
    package is installed without the course.
    """
    parents = [home()] * is_course(home()) + [users_home()]
    folders = [parent / ".zglearn" for parent in parents if parent]
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(f"cannot write to {' nor to '.join(map(str, folders))}")


def users_home() -> Path | None:
    """The user's home; None in a container whose user id has no name and that sets no HOME."""
    try:
        return Path.home()
    except RuntimeError:
        return None


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
