"""Marks by hand: a page for each open question with all answers, and the marks read back."""

from __future__ import annotations

import ast
import csv
import html
import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import mistune

from zglearn.exercises.exercise import UnknownExercise, all_exercises, find, inline_code
from zglearn.exercises.renumbered import new_id

from . import reading
from .inputs import shown
from .reports import COURSE, PAGE, write
from .store import Store

COLUMNS = ["student", "exercise", "points", "comment"]
NEEDED = set(COLUMNS[:3])
MARKDOWN = mistune.create_markdown(escape=True, plugins=["table"])
SEPARATORS = ",;\t"  # spreadsheets of many countries write semicolons
HOW = """<p class=how><button onclick="save()">Save the marks</button> <span id=count></span>
<span id=draft></span><br>It saves a file; then run
<code>python3 -m zglearn grade ... --marks that-file.csv</code>. Enter goes from the points to the
comment, Ctrl+Enter to the next answer. What you type stays in this browser.</p>
"""
SCRIPT = """<style>body { max-width: 80rem } .sides { display: grid; gap: 2rem;
grid-template-columns: minmax(18rem, 2fr) 3fr } aside { position: sticky; top: 0; align-self: start;
max-height: 100vh; overflow: auto } aside h2:first-child { margin-top: 0 } .rubric { padding: 0 }
.rubric li { margin: .3rem 0 .3rem 1.2rem } section { border-top: 1px solid; padding-top: .6rem }
section:focus-within { border-top: 3px solid #0072b2 } textarea { display: block; width: 100%;
box-sizing: border-box; margin-top: .5rem; font: inherit } input { font: inherit; width: 5rem }
input:invalid { outline: 3px solid #d55e00 } section h2 { font-size: 1.1rem; margin: 0 }
.prose { white-space: pre-line; max-width: 46rem }
@media (max-width: 60rem) { .sides { display: block } aside { position: static } }</style><script>
const all = selector => [...document.querySelectorAll(selector)];
const key = "marks " + location.pathname;
const points = all("section input"), fields = all("section input, section textarea");
const cell = text => '"' + text.replaceAll('"', '""') + '"';
function count() {
  const marked = points.filter(p => p.value !== "" && p.validity.valid).length;
  document.getElementById("count").textContent = `${marked} of ${points.length} are marked.`;
}
function save() {
  if (!points.every(input => input.reportValidity())) return;
  const rows = all("section").map(s => [s.dataset.student,
    s.dataset.exercise, s.querySelector("input").value, s.querySelector("textarea").value]);
  const marked = rows.filter(row => row[2] !== "");
  const lines = [["student", "exercise", "points", "comment"], ...marked];
  const text = lines.map(row => row.map(cell).join(",")).join("\\n") + "\\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "marks.csv";
  link.click();
}
const names = fields.map(f => f.closest("section").dataset.student + " " + f.tagName);
const kept = JSON.parse(localStorage.getItem(key) || "{}");
fields.forEach((field, n) => {
  if (names[n] in kept && kept[names[n]] !== field.value) {
    field.value = kept[names[n]];
    document.getElementById("draft").textContent = "What you had typed here was brought back.";
  }
  field.addEventListener("input", () => {
    kept[names[n]] = field.value;
    localStorage.setItem(key, JSON.stringify(kept));
    count();
  });
  field.addEventListener("keydown", event => {
    if (event.key !== "Enter" || (field.tagName === "TEXTAREA" && !event.ctrlKey)) return;
    event.preventDefault();
    if (field.tagName === "INPUT" && !field.reportValidity()) return;
    const next = fields.slice(n + 1).find(f => !event.ctrlKey || f.tagName === "INPUT");
    if (next) next.focus();
  });
});
count();
if (points.length) points.find(p => p.value === "")?.focus({preventScroll: true});
</script>"""


class BadMarks(Exception):
    """A file of marks cannot be read; the message says which line, and what is wrong."""


def read_marks(store: Store, path: Path | None, old_numbers: bool = False) -> str:
    """Take over the marks of a file: student, exercise, points, comment. All of them or none. With
    `old_numbers`, its exercises are numbered as in 0.1.0.

    Returns what was read, in a sentence. Raises BadMarks.
    """
    if path is None:
        return ""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = _lines(file.read(), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadMarks(f"{path} cannot be read: {error}. It has to be CSV in UTF-8.") from None
    students = {grade.student for grade in store.current()}
    if old_numbers:
        lines = [(n, row | {"exercise": new_id(row["exercise"])}) for n, row in lines]
    marks = [_mark(row, f"{path}, line {n}", students) for n, row in lines if row["points"]]
    for mark in marks:
        store.mark(*mark)
    left = len(lines) - len(marks)
    return f"Marks by hand: {len(marks)} read from {path}" + (
        f"; {left} lines have no points yet." if left else ".")


def _lines(text: str, path: Path) -> list[tuple[int, dict[str, str]]]:
    """The lines of a table below its header, by the names of the columns in small letters."""
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    header = [name.strip().lower() for name in next(reader, [])]
    if missing := NEEDED - set(header):
        raise BadMarks(f"{path}, line 1: there is no column {', '.join(sorted(missing))}. The "
                       f"first line has to be {','.join(COLUMNS)}.")
    found = []
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise BadMarks(f"{path}, line {reader.line_num}: {len(cells)} cells, and the header "
                           f"has {len(header)}. A comment that holds {separator!r} has to stand "
                           "between quotation marks.")
        found.append((reader.line_num, dict(zip(header, cells, strict=True))))
    return found


def _mark(row, where, students):
    try:
        exercise = find(row["exercise"])
        points = float(row["points"].replace(",", "."))
    except (ValueError, UnknownExercise) as error:
        raise BadMarks(f"{where}: {error}") from None
    student = row["student"]
    if student not in students:  # the tables mark what a spreadsheet would take for a formula
        student = student.removeprefix("'")
    if student not in students:
        raise BadMarks(f"{where}: there is no grade of a student {row['student']!r}")
    if not math.isfinite(points) or not 0 <= points <= exercise.points:
        raise BadMarks(f"{where}: {exercise.id} has 0 to {exercise.points} points, not {points:g}")
    return student, exercise.id, points, row.get("comment", "")


def write_pages(store: Store, out: Path, tasks: dict[str, str]) -> list[str]:
    """A page for each open question that somebody has answered, with its task. Returns their
    names."""
    grades, marks, pages = store.current(), store.marks(), {}
    for exercise in all_exercises():
        answered = [(grade.student, grade.result["answers"].get(exercise.id, ""))
                    for grade in grades if _is_answered(grade, exercise)]
        if not answered:
            continue
        rubric = "".join(f"<li>{inline_code(line)}</li>" for line in exercise.rubric)
        task = MARKDOWN(tasks.get(exercise.id, ""))
        texts = reading.each(partial(_prose, exercise.names[0]), [text for _, text in answered])
        sections = "".join(
            _section(exercise, student, text, said.get("prose"), marks.get((student, exercise.id)))
            for (student, text), (_, said, _) in zip(answered, texts, strict=True))
        body = (f"<p>{COURSE}</p><h1>{exercise.id} {html.escape(exercise.title)}</h1>{HOW}"
                f"<div class=sides><aside>{task}<h2>What it is marked by</h2><ul class=rubric>"
                f"{rubric}</ul></aside><div>{sections}</div></div>{SCRIPT}")
        pages[f"manual/{exercise.id}.html"] = PAGE.format(title=exercise.id, body=body)
    write(store, out, pages)
    return list(pages)


def _is_answered(grade, exercise) -> bool:
    verdict = grade.result.get("verdicts", {}).get(exercise.id, {})
    return verdict.get("status") == "answered"


def _prose(name: str, source: str) -> Iterator[dict]:
    """The text that an answer cell gives to `name`, if it does. In a process that may die of it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            text = ast.literal_eval(node.value)
            if isinstance(text, str):
                yield {"prose": re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())}


def _section(exercise, student, source, prose, mark) -> str:
    points, comment = mark or ("", "")
    name = html.escape(student)
    value = html.escape(f"{points:g}" if mark else "")
    text = (f"<pre>{html.escape(shown(source))}</pre>" if prose is None else
            f"<p class=prose>{html.escape(shown(prose))}</p>")
    return (f'<section data-student="{name}" data-exercise="{exercise.id}"><h2>{name}</h2>'
            f"{text}<label>Points (0 to {exercise.points}) "
            f'<input type="number" min="0" max="{exercise.points}" step="0.5" value="{value}">'
            f'</label> <textarea rows="3" aria-label="Comment">{html.escape(comment)}</textarea>'
            "</section>")
