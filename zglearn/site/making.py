"""The recordings of all widgets of all chapters: made once, kept, made anew when code changes.

A widget's cell runs with what it needs of the cells above it (`slicing.py`), in processes of their
own, never the rest of the chapter. Its still picture is compared with the committed one, so that a
recording never shows something other than the chapter.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import importlib.metadata
import io
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

from zglearn import paths
from zglearn.visual import png
from zglearn.visual.widget import HINT, Widget

from .recording import record
from .slicing import needed

# What a widget's answers depend on, besides its cell: these rooms, and these packages.
ROOMS = ("[a-z]*.py", "experiments/*.py", "data/*.py", "models/**/*", "visual/**/*.py",
         "site/recording.py")
OTHERS = {"moved.py", "missing.py", "paths.py"}  # at the top of the package, and not of the course
PACKAGES = ("numpy", "scipy", "scikit-learn", "matplotlib")
SIDE = 64  # pixels of the pictures that are compared
UNLIKE = 6.0  # of 255, on average: other fonts differ less, other data more


@dataclass(frozen=True)
class Job:
    """One widget to record: its notebook, its cell, the code, and where the recording is kept."""

    notebook: Path
    cell: str
    code: str
    kept: Path

    @property
    def name(self) -> str:
        return f"{self.notebook.stem}-{self.cell}"


def jobs(notebooks: list[Path]) -> list[Job]:
    """All widgets that the notebooks show, in order."""
    found, version = [], code_version()
    for path in notebooks:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        for i, cell in enumerate(cells):
            if shows_a_widget(cell):
                code = ast.unparse(ast.Module(needed([c.source for c in cells[:i + 1]]), []))
                key = hashlib.sha256((version + code).encode()).hexdigest()[:16]
                kept = paths.private() / "recordings" / f"{path.stem}-{cell.id}-{key}.gz"
                found.append(Job(path, cell.id, code, kept))
    return found


def shows_a_widget(cell) -> bool:
    """Whether a cell's saved outputs hold a widget's still picture and its hint."""
    return any(HINT in output.get("data", {}).get("text/plain", "")
               for output in cell.get("outputs", ()))


def code_version() -> str:
    """A fingerprint of the code, and the versions of the libraries, that recordings come from."""
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted({path for room in ROOMS for path in package.glob(room)
                        if path.is_file() and path.name not in OTHERS}):
        digest.update(path.read_bytes())
    return digest.hexdigest() + str([importlib.metadata.version(name) for name in PACKAGES])


def make(wanted: list[Job], say=print, workers: int | None = None) -> None:
    """Make the recordings that are not kept yet; each is kept as soon as it is there."""
    missing = [job for job in wanted if not job.kept.exists()]
    if not missing:
        return
    say(f"Recording {len(missing)} widgets; this is done once, and what is done is kept.")
    with ProcessPoolExecutor(workers or os.cpu_count(), initializer=_quiet,
                             mp_context=multiprocessing.get_context("spawn")) as pool:
        begun = {pool.submit(make_one, job): job for job in missing}
        for done in as_completed(begun):
            say(f"  {begun[done].name}: {done.result()}")


def _quiet() -> None:
    os.environ["ZGLEARN_PROGRESS"] = ":memory:"  # a cell may record a guess


def make_one(job: Job) -> str:
    """Run a widget's code and keep its recording. Returns what came of it."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            widget = run(job.code)
            data = record(widget)
            apart = difference(widget, saved_picture(job))
    except Exception as error:
        return f"stays a picture ({type(error).__name__}: {error})"
    if apart > UNLIKE:
        return (f"stays a picture: what its cell shows now differs from the committed one. Run "
                f"`python3 -m zglearn notebooks {job.notebook}`")
    job.kept.parent.mkdir(parents=True, exist_ok=True)
    for old in job.kept.parent.glob(f"{job.name}-{'?' * 16}.gz"):
        old.unlink()
    job.kept.write_bytes(data)
    return f"{len(data) / 1e3:.0f} kB"


def run(code: str) -> Widget:
    """Run a cell with what it needs; the widget that it ends with."""
    names = {"__name__": "__site__", "display": lambda *_: None}
    *statements, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        raise ValueError("its cell does not end with the widget")
    exec(compile(ast.Module(statements, []), "<cell>", "exec"), names)
    widget = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    if not isinstance(widget, Widget):
        raise ValueError(f"its cell ends with {type(widget).__name__}, not with the widget")
    return widget


def saved_picture(job: Job) -> bytes:
    """The still picture in the notebook: of its outputs the one before the hint's."""
    notebook = nbformat.read(job.notebook, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.id == job.cell)
    pictures = [out["data"]["image/png"] for out in cell.outputs if "image/png" in
                out.get("data", {})]
    return base64.b64decode(pictures[-1])


def difference(widget: Widget, saved: bytes) -> float:
    """How far apart the widget's still picture and a saved one are: a mean of grey levels."""
    small = [np.asarray(Image.open(io.BytesIO(data)).convert("L").resize((SIDE, SIDE)), float)
             for data in (png(widget.still()), saved)]
    return float(abs(small[0] - small[1]).mean())
