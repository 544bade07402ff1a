"""Notebooks over time: fresh ones, and new versions of the course with a learner's work in them.

Before a notebook is written, it is kept as it was in kept/ beside it, and it is said what was put
where. An update writes down what it puts aside before it takes the new files. What comes after is
done by the new version's code, then or, if that was interrupted, when `lab` or `update` runs next.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from zglearn import paths
from zglearn.authoring.derive import Malformed, derive
from zglearn.authoring.notebooks import RANDOM_ID, keep, keep_answers, read, write
from zglearn.course import progress
from zglearn.course.said import CourseError, command
from zglearn.exercises import renumbered
from zglearn.exercises.originals import (
    cells_of,
    exercise_notebooks,
    fingerprint,
    is_untouched,
    of_the_first_edition,
    stamp_in,
    state_of_updates,
    stem_of_copy,
    write_state_of_updates,
)

from . import git
from .merging import edition_of, fingerprints, merge, only, stamp_of


def original(name: str):
    """The untouched exercise notebook `name` ("04_momentum"): derived, from git, or kept."""
    home = paths.home()
    source = home / "solutions" / f"{name}.ipynb"
    if source.exists():
        return derive(read(source), name)
    if (committed := git.committed(f"exercises/{name}.ipynb")) is not None:
        return committed
    stored = paths.private() / "originals" / f"{name}.ipynb"
    return read(stored) if stored.exists() else None


# --- reset ------------------------------------------------------------------------------------


@command
def reset(argv: list[str]) -> int:
    """`python -m zglearn reset 04`."""
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn reset",
        description="Give a fresh exercise notebook; the old one is kept.")
    parser.add_argument("chapter", help="the chapter's number, such as 04")
    name = _name_of(parser.parse_args(argv).chapter)
    path = paths.home() / "exercises" / f"{name}.ipynb"
    fresh = original(name)
    if fresh is None:
        raise CourseError(f"The original of {path.name} is not in this copy of the course. Get the "
                          "course again; `python -m zglearn update --from` brings your answers.")
    if path.exists():
        print(f"Your notebook is kept as {_short(keep(path))}.")
    write(fresh, path)
    print(f"{_short(path)} is fresh. If it is open in JupyterLab, close it and open it again.")
    return 0


def _name_of(chapter: str) -> str:
    """"4", "04" or "04_momentum" -> "04_momentum"."""
    number = chapter.split("_")[0].zfill(2)
    for kind in ("solutions", "exercises", "chapters"):
        if path := paths.notebook(kind, number):
            return path.stem
    there = ", ".join(path.stem for path in exercise_notebooks(paths.home())) or "none"
    raise CourseError(f"There is no chapter {chapter!r} with exercises. There are: {there}.")


# --- update -----------------------------------------------------------------------------------


@command
def update(argv: list[str]) -> int:
    """`python -m zglearn update [--from FOLDER]`. The exit code is 1 if it could not look."""
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn update",
        description="Get the course's newest version, and keep your work in its notebooks.")
    parser.add_argument("--from", dest="old", type=Path, metavar="FOLDER",
                        help="bring answers, notes and progress from an older copy of the course")
    old = parser.parse_args(argv).old
    _say(finish())
    if old:
        _say(bring_from(old) or [f"All of your work in {old} is here already."])
        return 0
    here = [said for path in exercise_notebooks(paths.home()) if (said := renew(path))]
    try:
        newest = git.look()
    except git.CannotLook:
        _say(here)
        raise
    if newest == git.commit("HEAD"):
        _say(here or ["This is the newest version, and your exercise notebooks are up to date."])
        return 0
    _say(here)
    pull(newest)
    print("The course is now the newest version.", flush=True)
    return _finish_in_new_code()


def finish_and_say() -> None:
    """What `lab` calls, and an update once the new files are there."""
    _say(finish())


def _say(lines: list[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _finish_in_new_code() -> int:
    """The files are new, and this process has the old code: another one goes on."""
    code = "from zglearn.setup.versions import finish_and_say; finish_and_say()"
    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[2]),
                                         os.environ.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, "-P", "-c", code],
                          env=os.environ | {"PYTHONPATH": path})
    if done.returncode:
        raise CourseError("Your work is safe in the folders kept/, but it could not be brought "
                          "into the new notebooks. To try again: python3 -m zglearn update")
    return 0


def renew(path: Path) -> str:
    """Merge an exercise notebook with a newer version that came without `update`."""
    try:
        mine, new = read(path), original(path.stem)
    except Malformed as error:
        return f"{_short(path)} is left as it is: {error}"
    if new is None or stamp_of(mine).get("version") == stamp_of(new).get("version"):
        return ""
    return _merge_into(path, mine, new, keep_answers(path))


# --- new files ---------------------------------------------------------------------------------


def pull(newest: str) -> None:
    """Go to the commit `newest`. What the learner changed is put aside where it is in the way."""
    home, before = paths.home(), git.commit("HEAD")
    if git.ask("merge-base", "--is-ancestor", "HEAD", newest).returncode:
        raise CourseError("There is a new version, but you made commits of your own, so it cannot "
                          "simply take the place of yours. Nothing was changed. Bring the two "
                          "together (git rebase), then run the same command again.")
    changed = set(git.differing("HEAD"))
    clash = sorted(changed.intersection(git.differing("HEAD", newest)))
    code = [name for name in sorted(changed) if not name.endswith(".ipynb")]
    if code:
        raise CourseError("There is a new version, but you changed files of the course itself: "
                          + ", ".join(code) + ". Nothing was changed. Commit these changes or undo "
                          "them (git restore FILE), then run the same command again.")
    there = {home / name: (home / name).read_bytes() for name in clash if (home / name).exists()}
    aside = {path: None if _only_ran(path) else keep(path) for path in there}
    as_names = {_name(path): kept and _name(kept) for path, kept in aside.items()}
    write_state_of_updates(state_of_updates() | {"before": before, "aside": as_names})
    try:
        if clash:
            git.run("checkout", "HEAD", "--", *clash)
        git.run("merge", "--ff-only", newest)
    except BaseException:
        if git.commit("HEAD") == before:
            for path, content in there.items():
                path.write_bytes(content)
            for kept in filter(None, aside.values()):
                kept.unlink()
            write_state_of_updates(_finished())
        raise


def _only_ran(path: Path) -> bool:
    """Whether a notebook differs from the committed one in its outputs alone."""
    before = git.committed(_name(path))
    try:
        return before is not None and _texts(before) == _texts(read(path))
    except Malformed:
        return False


def _texts(notebook) -> list[tuple]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


# --- after new files have come ----------------------------------------------------------------


def finish() -> list[str]:
    """Bring what an update put aside into the new notebooks, and 0.1.0's work to its new numbers.

    Returns what was done, a line for each notebook. Does nothing if nothing waits.
    """
    state, said = state_of_updates(), []
    if "aside" in state and state["before"] == git.commit("HEAD"):
        said += _put_back(state["aside"])
    else:
        for name, kept in state.get("aside", {}).items():
            said.append(f"{name}: the new version (you had run it, and changed nothing)"
                        if kept is None else
                        _bring(paths.home() / kept, name, git.committed(name, state["before"]),
                               renumbered.EDITION))
    for path in of_the_first_edition():
        stem, kept = stem_of_copy(path), path
        if not stem:  # it stands beside the new ones, under its old name
            stem, kept = path.stem, keep(path)
            path.unlink()
        name = f"{kept.parent.parent.name}/{stem}.ipynb"
        said.append(_bring(kept, name, _closest(kept, name), 1))
    if _finished() != state:
        with contextlib.suppress(OSError):  # where nothing can be written, nothing was put aside
            write_state_of_updates(_finished())
    return [line for line in said if line]


def _put_back(aside: dict) -> list[str]:
    """Undo an update that was stopped before the new files came."""
    lost = [(name, kept) for name, kept in aside.items()
            if kept and name not in git.differing("HEAD")]
    for name, kept in lost:
        shutil.copy2(paths.home() / kept, paths.home() / name)
    return [f"{name} is as you had it: the last update was stopped" for name, _ in lost]


def _finished() -> dict:
    return {"edition": renumbered.EDITION}


def _bring(mine_at: Path, name: str, base, edition: int) -> str:
    """Bring the learner's copy of the notebook `name` ("chapters/04_momentum.ipynb") into the one
    that took its place; says what was done.

    base : the notebook that a chapter's copy came from, None if that is not known
    edition : whose numbers a chapter's copy has; exercise notebooks say it themselves
    """
    path = paths.home() / name
    kind, path = path.parent.name, path.with_stem(renumbered.NOTEBOOKS.get(path.stem, path.stem))
    try:
        mine = read(mine_at)
        new = read(path) if path.exists() else original(path.stem) if kind == "exercises" else None
    except Malformed as error:
        return f"{name} as you had it is {_short(mine_at)}, and stays there: {error}"
    if new is None or kind not in ("exercises", "chapters") or kind == "chapters" and base is None:
        return f"{name} as you had it is {_short(mine_at)}, and stays there"
    if kind == "chapters":
        return _bring_chapter(path, mine, mine_at, new, fingerprints(base), edition)
    if path.exists() and not is_untouched(path):
        return (f"{_short(path)} holds answers already, and stays as it is; the older ones are in "
                f"{_short(mine_at)}")
    said = [_merge_into(path, mine, new, mine_at)]
    if edition_of(mine) < renumbered.EDITION:
        said += [_merge_into(other, part, read(other), mine_at)
                 for other, part in _parts(mine, Path(name).stem)]
    return "\n".join(said)


def _bring_chapter(path, mine, mine_at, new, base: dict, edition: int) -> str:
    touched = [cell for cell in mine.cells if base.get(cell.id) != fingerprint(cell.source)]
    there = "\n".join(cell.source for cell in new.cells)
    if all(cell.source in there for cell in touched):
        return ""
    merged, notes = merge(mine, new, base, edition, course_first=True)
    write(merged, path)
    return "\n".join([f"{_short(path)}: your notes and changes are in it; as it was: "
                      f"{_short(mine_at)}", *notes])


def _parts(mine, stem: str):
    """The exercises of a first edition's notebook that did not go where their chapter went."""
    moved = {new[:2] for old, new in renumbered.EXERCISES.items() if old[:2] == stem[:2]}
    for chapter in sorted(moved - {renumbered.NOTEBOOKS.get(stem, stem)[:2]}):
        if other := paths.notebook("exercises", chapter):
            yield other, only(mine, chapter)


def _merge_into(path: Path, mine, new, kept: Path | None) -> str:
    merged, notes = merge(mine, new)
    write(merged, path)
    return "\n".join([f"{_short(path)}: new version, your answers are in it"
                      + (f"; as it was: {_short(kept)}" if kept else ""), *notes])


def bring_from(old: Path) -> list[str]:
    """Bring the learner's work from an older copy of the course in the folder `old`."""
    if not (old / "exercises").is_dir():
        raise CourseError(f"{old} is not a copy of the course: it has no folder exercises/.")
    answers = [path for path in exercise_notebooks(old) if not is_untouched(path)]
    said = [_bring(path, f"exercises/{path.name}", None, 1) for path in answers]
    said += _bring_chapters_from(old)
    for kind in ("exercises", "chapters"):
        said += _copy_kept(old / kind / "kept", paths.home() / kind / "kept")
    count = progress.bring_from(old / ".zglearn" / "progress.sqlite")
    said += [f"{count} events of your progress are here now."] * bool(count)
    return [line for line in said if line]


def _bring_chapters_from(old: Path) -> list[str]:
    editions = [stamp_in(path).get("edition", 1) for path in exercise_notebooks(old)]
    said, unknown = [], False
    for path in sorted((old / "chapters").glob("[0-9][0-9]_*.ipynb")):
        name = f"chapters/{path.name}"
        base = git.committed(name, folder=old) or _closest(path, name)
        unknown = unknown or base is None
        if base or any(RANDOM_ID.fullmatch(id) for id, _ in _cells(path)):
            said.append(_bring(path, name, base, min(editions, default=1)))
    if unknown:
        said.append(f"What you changed in the chapters of {old} beyond cells of your own cannot be "
                    "told, for want of their originals: they stay there.")
    return said


def _copy_kept(source: Path, target: Path) -> list[str]:
    copies = [path for path in source.glob("*.ipynb") if not (target / path.name).exists()]
    if not copies:
        return []
    target.mkdir(parents=True, exist_ok=True)
    for path in copies:
        shutil.copy2(path, target)
    return [f"{_short(target)}/ has {len(copies)} more notebooks, from {source}."]


def _closest(path: Path, name: str):
    """The committed version of the notebook `name` that the one at `path` has most cells in common
    with; None if there is none."""
    cells = {(id, fingerprint(source)) for id, source in _cells(path)}
    return max(git.history(name), default=None,
               key=lambda old: len(cells & set(fingerprints(old).items())))


def _cells(path: Path) -> list[tuple[str, str]]:
    """The id and source of each cell; none if it is no notebook."""
    try:
        return cells_of(path)
    except ValueError:
        return []


def _name(path: Path) -> str:
    return path.relative_to(paths.home()).as_posix()


def _short(path: Path) -> str:
    home, full = paths.home().resolve(), path.resolve()
    return str(full.relative_to(home)) if full.is_relative_to(home) else str(path)
