"""What an instructor gets: gradebook, summary, a table for learning platforms, JUnit, feedback, and
the misconception map."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import os
import re
from collections import defaultdict
from datetime import datetime
from itertools import groupby
from pathlib import Path

from zglearn import paths
from zglearn.exercises.exercise import LABEL, framed

from . import misconceptions
from .checks import OLDER
from .inputs import shown
from .rows import STATUSES, Row
from .similarity import leads
from .store import Store

COURSE = "Optimization for language models, with and without gradients"
COLUMNS = ("student", "exercise", "points", "max_points", "status", "message")
MESSAGE = 600  # characters of a message in the table
LONGEST_NAME = 150  # bytes of a student's name in a file's name; disks allow 255 for all of it
LABELS = {**LABEL, "partly": "Partly correct", "error": "Error", "timeout": "Stopped",
          "refused": "Not graded"}
COLOURS = {"correct": "#0072b2", "not_attempted": "#888888"}
# A sign that may begin a formula, also as East Asian keyboards write it: where a cell begins, or
# where one does for whoever separates cells by semicolons or tabs.
FORMULA = re.compile(r"(^[\s\"']*|[;\t|\n\r][\s\"']*)([=+\-@\uff1d\uff0b\uff0d\uff20])")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root {{ color-scheme: light dark }} body {{ font: 16px/1.5 system-ui, sans-serif;
max-width: 45rem; margin: 2rem auto; padding: 0 1rem }} section {{ margin: 1.2rem 0 }}
pre {{ overflow-x: auto; white-space: pre-wrap }}</style></head>
<body>{body}</body></html>
"""
BESIDE = """<style>body { max-width: 72rem } .beside { display: grid; gap: 1.5rem;
grid-template-columns: 1fr 1fr } .beside > div { min-width: 0 } .beside p { margin: .3rem 0 }
.beside pre { margin: .3rem 0; max-height: 22rem; overflow: auto; font-size: .85rem }
section { break-inside: avoid } @media (max-width: 50rem) { .beside { display: block } }
@media print { .beside pre { max-height: none } }</style>"""


def write_all(store: Store, rows: list[Row], out: Path, ignored: list) -> None:
    """Write every report. A file that somebody has edited since is kept under earlier/."""
    by_student = defaultdict(list)
    for row in rows:
        by_student[row.student].append(row)
    found = misconceptions.topics(store)
    files = {
        "gradebook.csv": _table([COLUMNS, *map(_cells, rows)]),
        "summary.csv": _table(_summary(by_student)),
        "platform.csv": _table(_platform(by_student)),
        "similarity.csv": _table([("exercise", "one", "other", "similarity"), *similar(store)]),
        "map.html": PAGE.format(title="What the class got wrong", body=misconceptions.page(found)),
        "map.csv": _table(misconceptions.table(found)),
        "not_graded.csv": _table([("file", "reason"), *ignored]),
    }
    if any(map(_number, by_student)):
        files |= {f"moodle_{chapter}.csv": _table(_worksheet(by_student, chapter))
                  for chapter in _chapters(by_student)}
    for student, theirs in by_student.items():
        files[f"feedback/{file_name(student)}.html"] = feedback(student, theirs)
    for grade in store.current():
        if junit := grade.result.get("junit"):
            files[f"junit/{file_name(grade.student)}.{grade.chapter}.xml"] = junit
    write(store, out, files)


def write(store: Store, out: Path, files: dict[str, str]) -> None:
    """Replace reports, each in one step; what was changed by hand since we wrote it is kept."""
    data = {name: text.encode() for name, text in files.items()}
    # Noted before the first is written: a run that is stopped here takes none for somebody else's.
    store.note_reports([(name, _digest(new)) for name, new in data.items()])
    for name, new in data.items():
        path = out / name
        there = path.read_bytes() if path.exists() else None
        if there == new:
            continue
        if there is not None and not store.is_ours(name, _digest(there)):
            kept = f"{datetime.now():%Y%m%d-%H%M%S}-{name.replace('/', '-')}"
            (out / "earlier").mkdir(exist_ok=True)
            os.replace(path, out / "earlier" / kept)
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(new)
        os.replace(part, path)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_name(student: str) -> str:
    """A name for a student's files that is safe on every disk and different for every student."""
    safe = re.sub(r"[^\w.-]+", "_", student)
    safe = safe.encode()[:LONGEST_NAME].decode(errors="ignore").strip(".")
    if safe == student and safe == safe.lower():
        return safe
    return f"{safe}-{hashlib.sha256(student.encode()).hexdigest()[:6]}"


def in_short(rows: list[Row], out: Path) -> str:
    """The lines that end a run."""
    students = len({row.student for row in rows})
    counts = [f"{n} {status.replace('_', ' ')}" for status in STATUSES
              if (n := sum(row.status == status for row in rows))]
    lines = [f"{students} students, {len(rows)} answers: {', '.join(counts)}."]
    if waiting := sum(row.waiting for row in rows):
        lines.append(f"{waiting} answers wait to be marked by hand (--manual makes the pages); "
                     "their marks are provisional, and left out of platform.csv.")
    if older := sum(row.message.startswith(OLDER) for row in rows):
        lines.append("Refused, because the exercise was changed since the hand-out: "
                     f"{older} (--accept-older meets them with today's checks).")
    return "\n".join([*lines, f"The gradebook is {out / 'gradebook.csv'}, and what the class got "
                               f"wrong {out / 'map.html'}."])


# --- tables -----------------------------------------------------------------------------------


def _table(rows) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def _safe(cell) -> str:
    """A cell that no spreadsheet takes for a formula, even if it splits cells at other signs."""
    if isinstance(cell, float):
        return f"{cell:g}"
    return FORMULA.sub(r"\1'\2", shown(str(cell)))


def _cells(row: Row) -> tuple:
    message = re.sub(r"\s+", " ", row.message)[:MESSAGE]
    return row.student, row.exercise.id, row.points, row.max_points, row.shown, message


def _summary(by_student):
    yield ("student", "points", "max_points", "percent", *STATUSES, "waiting", "feedback")
    for student, rows in by_student.items():
        points, most = sum(row.points for row in rows), sum(row.max_points for row in rows)
        counts = [sum(row.status == status for row in rows) for status in STATUSES]
        yield (student, round(points, 2), most, f"{100 * points / most:.1f}", *counts,
               sum(row.waiting for row in rows), f"feedback/{file_name(student)}.html")


def _platform(by_student):
    """One line a student, one column a chapter: Canvas asks for the first five columns, Moodle
    for one that it knows its users by. A chapter that waits for a person's marks is left empty."""
    chapters = _chapters(by_student)
    yield ("Student", "ID", "SIS User ID", "SIS Login ID", "Section",
           *(f"Chapter {chapter}" for chapter in chapters))
    for student, rows in by_student.items():
        yield student, _number(student), "", student, "", *(_total(rows, c) for c in chapters)


def _worksheet(by_student, chapter):
    """What Moodle calls a grading worksheet: it knows those who handed in by a number."""
    yield "Identifier", "Full name", "Grade", "Last modified (grade)"
    for student, rows in by_student.items():
        if number := _number(student):
            yield (f"Participant {number}", student.removesuffix(f"_{number}"),
                   _total(rows, chapter), "")


def _chapters(by_student) -> list[str]:
    return sorted({row.exercise.chapter for rows in by_student.values() for row in rows})


def _number(student: str) -> str:
    """The number that Canvas or Moodle gave to a student, if there is one in the files' names."""
    match = re.search(r"_(\d+)$", student)
    return match[1] if match else ""


def _total(rows, chapter) -> float | str:
    of_it = [row for row in rows if row.exercise.chapter == chapter]
    if not of_it or any(row.waiting for row in of_it):
        return ""
    return round(sum(row.points for row in of_it), 2)


def similar(store: Store) -> list[tuple[str, str, str, float]]:
    """The answers that resemble each other: see `similarity.leads`."""
    answers = defaultdict(dict)
    for grade in store.current():
        for exercise, runs in grade.result.get("prints", {}).items():
            answers[exercise][grade.student] = runs
    return leads(answers)


# --- feedback ---------------------------------------------------------------------------------


def feedback(student: str, rows: list[Row]) -> str:
    """A page for one student: marks, what the check says, and where to read. No solutions."""
    parts = [BESIDE, f"<h1>{html.escape(student)}</h1><p>{COURSE}: {_sum(rows)}.</p>"]
    for chapter, group in groupby(rows, key=lambda row: row.exercise.chapter):
        theirs = list(group)
        title = html.escape(paths.title(chapter))
        parts.append(f"<h2>Chapter {chapter}{f', {title}' if title else ''}: {_sum(theirs)}</h2>")
        if not any(row.submitted or row.points for row in theirs):
            parts.append(f"<p>{html.escape(theirs[0].message)}</p>")
            continue
        if at := theirs[0].submitted:
            parts.append(f"<p>Handed in {_moment(at)}, graded {_moment(theirs[0].graded)}.</p>")
        parts += [f"<section>{framed(_entry(row), COLOURS.get(row.status, '#d55e00'))}</section>"
                  for row in theirs]
    return PAGE.format(title=html.escape(student), body="".join(parts))


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%Y-%m-%d, %H:%M}"


def _sum(rows: list[Row]) -> str:
    return f"{sum(row.points for row in rows):g} of {sum(row.max_points for row in rows)} points"


def _entry(row: Row) -> str:
    e = row.exercise
    label = LABELS[row.status]
    if row.status == "incorrect" and row.points:
        label = LABELS["partly"]
    parts = [f"<b>{label}</b> · {e.id} {html.escape(e.title)} · {row.points:g} of {e.points}"]
    if row.message:
        code = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(shown(row.message)))
        parts.append(f"<p>{code}</p>")
    if row.printed:
        parts.append(f"<p>Your code printed:</p><pre>{html.escape(shown(row.printed))}</pre>")
    if row.status != "correct":
        parts.append(f"<p>To read: chapter {e.chapter}, and <code>hint(\"{e.id}\")</code> in the "
                     "exercise notebook.</p>")
    answer = (f"<b>Your answer</b><pre>{html.escape(shown(row.answer))}</pre>" if row.answer.strip()
              else "")
    return f"<div class=beside><div>{''.join(parts)}</div><div>{answer}</div></div>"
