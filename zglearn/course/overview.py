"""How far a learner is: `python -m zglearn progress`, and the dashboard of chapter 00."""

from __future__ import annotations

import argparse
import csv
import html
import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from zglearn import paths
from zglearn.exercises.exercise import Exercise, all_exercises, framed

from . import progress
from .mock_interview.reviews import cards
from .said import CourseError, command

DONE = ("correct", "answered")


@dataclass(frozen=True)
class ChapterProgress:
    """One chapter: its exercises, how many are solved, and the points of both."""

    number: str
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
    bank, rows, of = all_exercises(), [], by_exercise(events)
    for number in dict.fromkeys(e.chapter for e in bank):
        own = [e for e in bank if e.chapter == number]
        scores = [(e, score) for e in own if (score := score_of(e, of[e.id])) is not None]
        rows.append(ChapterProgress(
            number, chapter_name(number), len(own), len(scores),
            sum(e.points * score for e, score in scores), sum(e.points for e in own)))
    return rows


def by_exercise(events: list[progress.Event]) -> dict[str, list[progress.Event]]:
    """The events of each exercise: a year of them is looked through once."""
    found = defaultdict(list)
    for event in events:
        found[event.exercise].append(event)
    return found


def total(rows: list[ChapterProgress]) -> ChapterProgress:
    """All chapters in one."""
    sums = [sum(getattr(row, name) for row in rows)
            for name in ("exercises", "solved", "points", "of_points")]
    return ChapterProgress("", "All chapters", *sums)


def next_exercise(events: list[progress.Event], after: Exercise | None = None) -> Exercise | None:
    """The first unsolved exercise after one, or else of all."""
    order, of = all_exercises(), by_exercise(events)
    at = order.index(after) + 1 if after else 0
    return next((e for e in order[at:] + order[:at] if score_of(e, of[e.id]) is None), None)


def due(events: list[progress.Event], now: float | None = None) -> list[Exercise]:
    """The exercises that are to be repeated by now, the longest overdue first."""
    now, known = time.time() if now is None else now, cards(events)
    waiting = [e for e in all_exercises() if e.id in known and known[e.id].due <= now]
    return sorted(waiting, key=lambda e: known[e.id].due)


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
    lines, rows = [f"{'chapter':<40} {'solved':>9} {'points':>9}"], chapters(events)
    for row in [*rows, total(rows)]:
        solved, points = f"{row.solved}/{row.exercises}", f"{row.points:g}/{row.of_points}"
        lines.append(f"{row.name:<40} {solved:>9} {points:>9}")
    steps = [f"{head} {said}" for head, said in next_steps(events, lambda e: f"{e.id} {e.title}")]
    return "\n".join([*lines, "", *steps, "", *summary(events)])


def as_html(events: list[progress.Event]) -> str:
    """The whole overview as HTML, with a link to each chapter and its exercises."""
    rows = chapters(events)
    steps = "".join(f"<div><b>{head}</b> {said}</div>"
                    for head, said in next_steps(events, _linked))
    body = "".join(_table_row(row) for row in rows) + _table_row(total(rows), last=True)
    head = "".join(f"<th scope='col' style='{CELL}; white-space: nowrap'>{name}</th>"
                   for name in ("Chapter", "Exercises", "Solved", "Points"))
    said = "".join(f"<div>{html.escape(line)}</div>" for line in summary(events))
    table = ("<div style='overflow-x: auto'><table style='color: inherit; margin: 0.6em 0; "
             f"border-collapse: collapse'><thead><tr>{head}</tr></thead>{body}</table></div>")
    return framed(f"{steps}{table}{said}", "#0072b2")


CELL = "text-align: left; padding: 0.1em 1em 0.1em 0; overflow-wrap: normal"
SHOWN = 5  # of what is due; the rest is counted


def next_steps(events: list[progress.Event], named) -> list[tuple[str, str]]:
    """What to do now: (head, text), in which ``named(exercise)`` stands for each exercise."""
    steps, waiting = [], due(events)
    if left := next_exercise(events):
        steps.append(("Next:", f"{named(left)}."))
    else:
        steps.append(("All solved.", "An interview asks again what is due."))
    if waiting:
        few = ", ".join(map(named, waiting[:SHOWN]))
        more = f", and {len(waiting) - SHOWN} more" if len(waiting) > SHOWN else ""
        steps.append((f"Due for repetition ({len(waiting)}):",
                      f"{few}{more}. An interview asks these first."))
    return steps


def _linked(exercise: Exercise) -> str:
    path = paths.notebook("exercises", exercise.chapter)
    text = html.escape(f"{exercise.id} {exercise.title}")
    return f"<a href='{link_to(path)}'>{text}</a>" if path else text


def _table_row(row: ChapterProgress, last: bool = False) -> str:
    line = " style='border-top: 1px solid #888; font-weight: bold'" if last else ""
    cells = (_to_exercises(row), f"{_bar(row)} {row.solved} of {row.exercises}",
             f"{row.points:g} of {row.of_points}")
    return (f"<tr{line}><td style='{CELL}'>{_chapter(row)}</td>" + "".join(
        f"<td style='{CELL}; white-space: nowrap'>{cell}</td>" for cell in cells) + "</tr>")


def _bar(row: ChapterProgress) -> str:
    part = row.solved / row.exercises
    return ("<span style='display: inline-block; width: 6em; border: 1px solid #888; "
            "margin-right: 0.4em' aria-hidden='true'><span style='display: block; "
            f"width: {part:.0%}; height: 0.7em; background: #0072b2'></span></span>")


def _chapter(row: ChapterProgress) -> str:
    return _link("chapters", row.number, row.name) if row.number else row.name


def _to_exercises(row: ChapterProgress) -> str:
    return _link("exercises", row.number, "exercises") if row.number else ""


def _link(kind: str, number: str, text: str) -> str:
    path = paths.notebook(kind, number)
    said = html.escape(text)
    return f"<a href='{link_to(path)}'>{said}</a>" if path else said


def link_to(path: Path) -> str:
    """A link from the notebook that is running to another one."""
    return Path(os.path.relpath(path, Path.cwd())).as_posix()


def dashboard():
    """Your progress, with a button that reads it again. For a notebook."""
    from .panel import Panel, button

    return Panel(lambda: as_html(progress.events()), lambda: as_text(progress.events()),
                 [button("Read again", lambda panel: panel.refresh())])


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
