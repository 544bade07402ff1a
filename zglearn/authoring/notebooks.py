"""`python -m zglearn notebooks`: run the notebooks, put them in order, derive the exercises.

chapters/ and solutions/ are written by hand and committed with their outputs; exercises/ is
derived from solutions/ and never edited by hand. A notebook in order has a readable id on every
cell, one kernel name, nothing volatile, and the outputs of one run from top to bottom.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import shutil
import sys
import tempfile
import warnings
from datetime import datetime
from pathlib import Path

import nbformat

from zglearn import paths
from zglearn.course.said import CourseError
from zglearn.exercises.originals import cells_of, is_untouched

from .derive import Malformed, derive, is_hidden_check, leaked_lines
from .folding import BLANK, CLOSED_SECTION, FOLDED, FOLDS, TRIALS, trials_last
from .length import say_length

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
RANDOM_ID = re.compile(r"(?=.*\d)[0-9a-f]{8}|[0-9a-f]{8}-[0-9a-f]{4}-.*")
READABLE_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_LIMIT = 300  # seconds that an author's cell may run
STARTS = 3  # tries: a kernel dies at its start if another program took the port chosen for it


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m zglearn notebooks",
                                     description="Run the notebooks, put them in order, "
                                                 "derive the exercises.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH",
                        help="notebooks of chapters/ or solutions/ (default: all of them)")
    parser.add_argument("--check", action="store_true",
                        help="write nothing; say what is out of step, and fail if anything is")
    parser.add_argument("--no-run", action="store_true",
                        help="keep the outputs that are there instead of running again")
    options = parser.parse_args(argv)
    failed = 0
    for path in options.paths or hand_edited():
        try:
            done = check(path) if options.check else refresh(path, run=not options.no_run)
            print(f"{path}: {done}", flush=True)
        except BrokenPipeError:
            raise
        except (CourseError, OSError) as error:
            failed += 1
            print(f"{path}: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


def hand_edited() -> list[Path]:
    """The notebooks that authors write."""
    return [path for kind in ("chapters", "solutions")
            for path in sorted((paths.home() / kind).glob("[0-9][0-9]_*.ipynb"))]


def refresh(path: Path, run: bool = True) -> str:
    """Run a notebook, write it back in order, and derive its exercises. Returns what was done."""
    notebook = read(path)
    name_hidden_checks(notebook)
    check_ids([cell for cell in cells_of(path) if not cell[1].startswith("%%hidden")])
    derived = derive(notebook, path.stem) if is_solutions(path) else None
    if run:
        execute(notebook, path)
    write(normalise(notebook), path)
    if derived is None:
        return "in order"
    target = exercises_of(path)
    kept = keep_answers(target)
    write(derived, target)
    return f"in order, exercises derived{f' (answers kept in {kept})' if kept else ''}"


def check(path: Path) -> str:
    """Raise Malformed if a notebook, or the exercises derived from it, is out of step."""
    notebook = read(path)
    check_ids(cells_of(path))
    if text_of(normalise(notebook)) != path.read_text(encoding="utf-8"):
        raise Malformed(f"not in order: run `python -m zglearn notebooks {path}`")
    if any(cell.cell_type == "code" and cell.execution_count is None for cell in notebook.cells):
        raise Malformed(f"not run: run `python -m zglearn notebooks {path}`")
    if is_solutions(path):
        derived, target = derive(notebook, path.stem), exercises_of(path)
        if not target.exists() or text_of(derived) != target.read_text(encoding="utf-8"):
            raise Malformed(f"{target} is out of step: run `python -m zglearn notebooks {path}`")
        if leaks := leaked_lines(notebook, derived):
            raise Malformed(f"{target} shows lines of the solution: {leaks}")
    return "in step"


def is_solutions(path: Path) -> bool:
    return path.resolve().parent.name == "solutions"


def exercises_of(path: Path) -> Path:
    return path.resolve().parent.parent / "exercises" / path.name


def read(path: Path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubled id: check_ids tells the author
            return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise Malformed("there is no such notebook") from None
    except Exception as error:
        raise Malformed(f"not a notebook that can be read: {error}") from None


def check_ids(cells: list[tuple[str, str]]) -> None:
    """Raise Malformed unless every (id, source) has its own, readable id: merges rely on it."""
    seen, wrong = set(), []
    for number, (id, source) in enumerate(cells, 1):
        start = source.strip().split("\n")[0][:50]
        if not id:
            wrong.append(f"cell {number} ({start!r}) has no id")
        elif RANDOM_ID.fullmatch(id) or not READABLE_ID.fullmatch(id):
            wrong.append(f"cell {number} ({start!r}) has the id {id!r}: give it a readable one, "
                         "small letters, digits and hyphens, such as why-kappa")
        elif id in seen:
            wrong.append(f"the id {id!r} stands twice")
        seen.add(id)
        if not start:
            wrong.append(f"cell {number} (id {id!r}) is empty")
    if wrong:
        raise Malformed("\n  ".join(["cell ids:", *wrong]))


def name_hidden_checks(notebook) -> None:
    """Give hidden checks whose ids are an editor's readable ones: "hid-04-2", "hid-04-2-2", …"""
    taken = {cell.get("id", "") for cell in notebook.cells}
    for cell in filter(is_hidden_check, notebook.cells):
        exercise = re.match(r"%%hidden\s+(\d\d)\.(\d+)", cell.source)
        if exercise and (RANDOM_ID.fullmatch(cell.id) or not READABLE_ID.fullmatch(cell.id)):
            stem = f"hid-{exercise[1]}-{exercise[2]}"
            names = (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 2)))
            cell["id"] = next(name for name in names if name not in taken)
            taken.add(cell.id)


def execute(notebook, path: Path, environ: dict[str, str] | None = None,
            limit: int = CELL_LIMIT) -> None:
    """Run all cells in the notebook's folder, in a fresh kernel that records no progress.

    `environ` holds environment variables for the kernel, beside those that are set here; a cell
    may take `limit` seconds.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    for _ in range(STARTS):
        client = NotebookClient(notebook, timeout=limit, kernel_name="python3",
                                record_timing=False, store_widget_state=False,
                                coalesce_streams=True, extra_arguments=["--log-level=ERROR"],
                                resources={"metadata": {"path": str(path.resolve().parent)}})
        try:
            client.execute(env=os.environ | {"ZGLEARN_PROGRESS": ":memory:"} | (environ or {}))
            return
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            said = re.sub(r"\x1b\[[\d;]*m", "", getattr(error, "traceback", str(error))).strip()
            raise Malformed(f"{_failed_cell(notebook)}: {said}") from None
        except RuntimeError as error:  # no cell has run yet
            why = error
    raise Malformed(f"the kernel did not start, {STARTS} times over: {why}")


def _failed_cell(notebook) -> str:
    ran = [cell for cell in notebook.cells if cell.get("execution_count")]
    return f"cell {ran[-1].id}" if ran else "the kernel did not start"


def normalise(notebook):
    """A copy with one kernel name, the reading time that follows from its length, nothing volatile,
    the outputs of cells tagged `folded` closed, and trials in a closed section at the end.

    Raises Malformed for an output that no other machine could reproduce."""
    notebook = copy.deepcopy(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.cells = trials_last(notebook.cells)
    number = 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        folded = FOLDED if cell.cell_type == "code" and FOLDS in (tags or ()) else {}
        closed = CLOSED_SECTION if cell.id == TRIALS else {}
        cell.metadata = nbformat.from_dict({**({"tags": tags} if tags else {}), **folded, **closed})
        if cell.cell_type == "code":
            number += 1
            cell.execution_count = number if cell.execution_count else None
            cell.outputs = [output for output in (_output(o, cell) for o in cell.outputs)
                            if output.get("data") not in ({}, BLANK)]
            if folded and cell.outputs:
                cell.outputs.insert(0, nbformat.v4.new_output(
                    "display_data", BLANK, metadata={"image/png": {"alt": ""}}))
    say_length(notebook)
    return notebook


def _output(output, cell):
    if output.output_type == "execute_result":
        output.execution_count = cell.execution_count
    if output.output_type == "stream" and output.name == "stderr":
        raise Malformed(f"cell {cell.id} writes to stderr, which differs between machines:\n"
                        f"{output.text[:400]}")
    if "data" in output:
        seen = {kind for other in cell.outputs for kind in other.get("data", ())}
        if output.data.pop(WIDGET_VIEW, None) and not seen & {"image/png", "text/html"}:
            raise Malformed(f"cell {cell.id} shows a widget that leaves nothing to see without a "
                            "kernel: give it an image/png or text/html beside the live view")
        output.metadata = nbformat.from_dict({  # exported pages show it to screen readers
            kind: {"alt": value["alt"]} for kind, value in output.metadata.items()
            if isinstance(value, dict) and "alt" in value})
    text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
    if str(paths.home()) in text:
        raise Malformed(f"cell {cell.id} prints a path of this machine")
    return output


def text_of(notebook) -> str:
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def write(notebook, path: Path) -> None:
    """Write a notebook so that a crash leaves the old one or the new one, never half of one."""
    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part",
                                     delete=False) as part:
        part.write(text_of(notebook))
    os.chmod(part.name, 0o644)
    os.replace(part.name, path)


def keep_answers(path: Path) -> Path | None:
    """If somebody's answers stand in an exercise notebook, keep a copy of it; returns the copy."""
    return keep(path) if path.exists() and not is_untouched(path) else None


def keep(path: Path) -> Path:
    """Copy a notebook to kept/ beside it, under a name with the time; returns the copy."""
    folder = path.parent / "kept"
    folder.mkdir(exist_ok=True)
    kept = folder / f"{path.stem}-{datetime.now():%Y%m%d-%H%M%S-%f}.ipynb"
    shutil.copy2(path, kept)
    return kept
