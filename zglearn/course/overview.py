"""How far a learner is: `python -m zglearn progress`, and the dashboard of chapter 00."""

from __future__ import annotations

import argparse
import csv
import html
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from zglearn import paths
from zglearn.exercises.exercise import Exercise, all_exercises, framed

from . import progress
from .said import CourseError, command

DONE = ("correct", "answered")


@dataclass(frozen=True)
class ChapterProgress:
    """One chapter: its exercises, how many are solved, and the points of both."""

    name: str
    exercises: int
    solved: int
    points: float
    of_points: int


def score_of(exercise: Exercise, events: list[progress.Event]) -> float | None:
    """1 once it was answered rightly; an open question's own score; None if it is not solved."""
    own = [e for e in events if e.exercise == exercise.id]
    scores = [e.data["score"] for e in own if e.kind == "score"]
    if exercise.is_open and scores:
        return scores[-1]
    solved = any(e.kind == "check" and e.data["status"] in DONE for e in own)
    return (0.0 if exercise.is_open else 1.0) if solved else None


def chapters(events: list[progress.Event]) -> list[ChapterProgress]:
    """The progress in each chapter that has exercises."""
    bank, rows = all_exercises(), []
    for number in dict.fromkeys(e.chapter for e in bank):
        own = [e for e in bank if e.chapter == number]
        scores = [(e, score) for e in own if (score := score_of(e, events)) is not None]
        rows.append(ChapterProgress(
            chapter_name(number), len(own), len(scores),
            sum(e.points * score for e, score in scores), sum(e.points for e in own)))
    return rows


def chapter_name(number: str) -> str:
    """"04" -> "04 · Momentum"."""
    return " · ".join(filter(None, (number, paths.title(number))))


def predictions(events: list[progress.Event]) -> tuple[int, int]:
    """How many predictions came true, and how many were made. The first of each is what counts."""
    first = {}
    for event in events:
        if event.kind == "prediction":
            first.setdefault(event.exercise, event.data["right"])
    return sum(first.values()), len(first)


def summary(events: list[progress.Event]) -> list[str]:
    """The sentences under the table of chapters."""
    right, made = predictions(events)
    hints = sum(e.kind == "hint" for e in events)
    seen = len({e.exercise for e in events if e.kind == "solution"})
    interviews = [e for e in events if e.kind == "interview"]
    said = [f"Predictions: {right} of {made} came true." if made else "Predictions: none yet.",
            f"Hints asked: {hints}. Solutions seen: {seen}."]
    if interviews:
        last = interviews[-1]
        said.append(f"Interviews: {len(interviews)}, the last on "
                    f"{datetime.fromtimestamp(last.at):%Y-%m-%d}, {last.data['score']:.0%}.")
    else:
        said.append("Interviews: none yet.")
    return said


def as_text(events: list[progress.Event]) -> str:
    """The whole overview as plain text."""
    lines = [f"{'chapter':<40} {'solved':>9} {'points':>9}"]
    for row in chapters(events):
        solved, points = f"{row.solved}/{row.exercises}", f"{row.points:g}/{row.of_points}"
        lines.append(f"{row.name:<40} {solved:>9} {points:>9}")
    return "\n".join([*lines, "", *summary(events)])


def as_html(events: list[progress.Event]) -> str:
    """The whole overview as HTML, with a link to each chapter and its exercises."""
    rows = "".join(
        f"<tr><td style='text-align: left'>{_links(row.name)}</td><td>{_bar(row)}</td>"
        f"<td style='padding: 0 1em'>{row.solved} of {row.exercises} solved</td>"
        f"<td>{row.points:g} of {row.of_points} points</td></tr>" for row in chapters(events))
    said = "".join(f"<div>{html.escape(line)}</div>" for line in summary(events))
    return framed(f"<table style='color: inherit'>{rows}</table>{said}", "#0072b2")


def _bar(row: ChapterProgress) -> str:
    part = row.solved / row.exercises
    return ("<div style='width: 8em; border: 1px solid #888' role='img' "
            f"aria-label='{part:.0%} solved'><div style='width: {part:.0%}; height: 0.7em; "
            "background: #0072b2'></div></div>")


def _links(name: str) -> str:
    found = [(paths.notebook(kind, name[:2]), text)
             for kind, text in (("chapters", name), ("exercises", "exercises"))]
    return " · ".join(f"<a href='{link_to(path)}'>{html.escape(text)}</a>" if path else
                      html.escape(text) for path, text in found)


def link_to(path: Path) -> str:
    """A link from the notebook that is running to another one."""
    return Path(os.path.relpath(path, Path.cwd())).as_posix()


def dashboard():
    """Your progress, with a button that reads it again. For a notebook."""
    from .panel import Panel, button

    return Panel(lambda: as_html(progress.events()), lambda: as_text(progress.events()),
                 [button("Refresh", lambda panel: panel.refresh())])


@command
def main(argv: list[str]) -> int:
    """`python -m zglearn progress [--export FILE]`."""
    parser = argparse.ArgumentParser(prog="python3 -m zglearn progress",
                                     description="Say how far you are.")
    parser.add_argument("--export", type=Path, metavar="FILE",
                        help="write all that the course remembers of you: .json or .csv")
    target = parser.parse_args(argv).export
    events = progress.events()
    if target:
        export(events, target)
        print(f"{len(events)} events written to {target}.")
    else:
        print(as_text(events))
        print(f"\nKept in {progress.file() or 'memory only'}: nothing leaves this computer.")
    return 0


def export(events: list[progress.Event], target: Path) -> None:
    """Write all events to a new JSON or CSV file."""
    rows = [{"time": datetime.fromtimestamp(e.at).astimezone().isoformat(), "kind": e.kind,
             "exercise": e.exercise, **e.data} for e in events]
    if target.suffix not in (".json", ".csv"):
        raise CourseError(f"Name a file that ends in .json or .csv, not {target.name}.")
    try:
        with target.open("x", encoding="utf-8", newline="") as out:
            if target.suffix == ".json":
                json.dump(rows, out, indent=1, ensure_ascii=False)
            else:
                names = list(dict.fromkeys(name for row in rows for name in row))
                writer = csv.DictWriter(out, names or ["time", "kind", "exercise"])
                writer.writeheader()
                writer.writerows(rows)
    except FileExistsError:
        raise CourseError(f"{target} is there already: choose another name.") from None
    except OSError as error:
        raise CourseError(f"{target} cannot be written: {error.strerror}.") from None
