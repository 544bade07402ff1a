"""Marks by hand: a page for each open question with all answers, and the marks read back."""

from __future__ import annotations

import csv
import html
import math
from pathlib import Path

from zglearn.exercises.exercise import UnknownExercise, all_exercises, find

from .reports import PAGE, write
from .store import Store

COLUMNS = ["student", "exercise", "points", "comment"]
SCRIPT = """<p><button onclick="save()">Save the marks</button> It saves a file; then run
<code>python3 -m zglearn grade ... --marks that-file.csv</code>.</p><script>
const cell = text => '"' + text.replaceAll('"', '""') + '"';
function save() {
  const rows = [...document.querySelectorAll("section")].map(s => [s.dataset.student,
    s.dataset.exercise, s.querySelector("input").value, s.querySelector("textarea").value]);
  const marked = rows.filter(row => row[2] !== "");
  const lines = [["student", "exercise", "points", "comment"], ...marked];
  const text = lines.map(row => row.map(cell).join(",")).join("\\n") + "\\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "marks.csv";
  link.click();
}
</script>"""


class BadMarks(Exception):
    """A file of marks cannot be read; the message says which line, and what is wrong."""


def read_marks(store: Store, path: Path | None) -> None:
    """Take over the marks of a file: student, exercise, points, comment. All of them or none.

    Raises BadMarks.
    """
    if path is None:
        return
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadMarks(f"{path} cannot be read: {error}") from None
    students = {grade.student for grade in store.current()}
    marks = [_mark(row, f"{path}, line {n}", students) for n, row in enumerate(rows, 2)
             if row.get("points", "").strip()]
    for mark in marks:
        store.mark(*mark)


def _mark(row, where, students):
    try:
        student, exercise = row["student"], find(row["exercise"])
        points = float(row["points"])
    except (KeyError, ValueError, UnknownExercise) as error:
        raise BadMarks(f"{where}: {error}. The columns are {', '.join(COLUMNS)}.") from None
    if student not in students:
        raise BadMarks(f"{where}: there is no grade of a student {student!r}")
    if not math.isfinite(points) or not 0 <= points <= exercise.points:
        raise BadMarks(f"{where}: {exercise.id} has 0 to {exercise.points} points, not {points:g}")
    return student, exercise.id, points, (row.get("comment") or "").strip()


def write_pages(store: Store, out: Path) -> list[str]:
    """A page for each open question that somebody has answered. Returns their names."""
    grades, marks, pages = store.current(), store.marks(), {}
    for exercise in all_exercises():
        answered = [(grade.student, grade.result["answers"].get(exercise.id, ""))
                    for grade in grades if _is_answered(grade, exercise)]
        if not answered:
            continue
        rubric = "".join(f"<li>{html.escape(line)}</li>" for line in exercise.rubric)
        parts = [f"<h1>{exercise.id} {html.escape(exercise.title)}</h1><ul>{rubric}</ul>"]
        parts += [_section(exercise, student, text, marks.get((student, exercise.id)))
                  for student, text in answered]
        pages[f"manual/{exercise.id}.html"] = PAGE.format(title=exercise.id,
                                                          body="".join(parts) + SCRIPT)
    write(store, out, pages)
    return list(pages)


def _is_answered(grade, exercise) -> bool:
    verdict = grade.result.get("verdicts", {}).get(exercise.id, {})
    return verdict.get("status") == "answered"


def _section(exercise, student, text, mark) -> str:
    points, comment = mark or ("", "")
    name = html.escape(student)
    value = html.escape(f"{points:g}" if mark else "")
    return (f'<section data-student="{name}" data-exercise="{exercise.id}"><h2>{name}</h2>'
            f"<pre>{html.escape(text)}</pre><label>Points (0 to {exercise.points}) "
            f'<input type="number" min="0" max="{exercise.points}" step="0.5" value="{value}">'
            f'</label> <textarea rows="1" aria-label="Comment">{html.escape(comment)}</textarea>'
            "</section>")
