"""`python3 -m zglearn viva GRADES`: sheets to ask students about their own answers, on paper.

A sheet holds a student's lines of an exercise, two follow-up questions from the bank, what a good
answer says, and boxes to tick. Whom to ask is drawn by chance, named, or taken from the pairs whose
answers resemble each other.
"""

from __future__ import annotations

import argparse
import difflib
import html
import random
import re
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

from zglearn import paths
from zglearn.exercises.exercise import Exercise, find, inline_code

from .checks import CourseBroken, chapters, use_course
from .inputs import shown
from .reports import COURSE, PAGE, file_name, similar, write
from .store import Busy, Grade, Store

EXERCISES, QUESTIONS = 2, 2  # exercises on a sheet, and questions on each
IN_CODE = ("implement", "debug", "derive")  # kinds of exercises
LINES = 60  # of an answer
SCALE = ("explains it in own words", "with help", "not")
STYLE = """<style>:root { color-scheme: light } body { max-width: 48rem }
article { break-after: page } article:last-child { break-after: auto }
pre { font-size: .85rem; line-height: 1.35; border: 1px solid #999; padding: .6rem }
pre .given { color: #777 } .no { color: #777; user-select: none } .twins { display: grid;
grid-template-columns: 1fr 1fr; gap: .8rem } .good { color: #444; font-size: .92rem }
.boxes { margin: .4rem 0 1.2rem } .boxes span { margin-right: 1.5rem }
.note { border-bottom: 1px solid #999; height: 1.6rem } h1 { font-size: 1.4rem }
h2 { font-size: 1.15rem } h1, h2, h3 { break-after: avoid } .question { break-inside: avoid }
</style>"""


class NoViva(Exception):
    """There is nothing to make sheets of; the message says what to do."""


@dataclass(frozen=True)
class Sheet:
    """Whom to ask about which exercises, and why: one student, or two."""

    students: tuple[str, ...]
    exercises: tuple[Exercise, ...]
    why: str


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    try:
        pages = viva(options)
    except (NoViva, CourseBroken, Busy, OSError, sqlite3.Error) as problem:
        print(f"zglearn viva: {problem}", file=sys.stderr)
        return 2
    print(f"{len(pages)} sheets, to print or to read on the screen:")
    print("\n".join(f"  {options.grades / page}" for page in pages))
    return 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python3 -m zglearn viva", description=(
        "Make sheets to ask students about their own answers: the lines, two questions, what a "
        "good answer says. They are pages for a browser that print well and need no network."))
    p.add_argument("grades", type=Path, metavar="GRADES", help="the --out folder of `grade`")
    p.add_argument("--sample", type=int, metavar="N",
                   help="draw so many students by chance (default: 5, unless others are asked for)")
    p.add_argument("--seed", type=int, default=0, metavar="S",
                   help="another seed draws other students (default: %(default)s)")
    p.add_argument("--similar", action="store_true",
                   help="a sheet for each pair in similarity.csv")
    p.add_argument("--student", action="append", default=[], metavar="NAME",
                   help="a sheet for this student; may be repeated")
    p.add_argument("--exercise", action="append", default=[], metavar="ID",
                   help="ask about this exercise, such as 04.3; may be repeated")
    p.add_argument("--course", type=Path, default=paths.home(), metavar="FOLDER",
                   help="the course with its solutions/ (default: this one)")
    return p


def viva(options) -> list[str]:
    """Write the sheets; returns their names in the folder. Raises NoViva."""
    if not (options.grades / "grades.sqlite").exists():
        raise NoViva(f"{options.grades} holds no grades: name the --out folder of "
                     "`python3 -m zglearn grade`")
    use_course(options.course)
    stubs = {id: stub for chapter in chapters(options.course).values()
             for id, stub in chapter["stubs"].items()}
    with Store(options.grades) as store:
        answers = _answers(store.current())
        sheets = _sheets(options, answers, similar(store))
        pages = {f"viva/{'-and-'.join(map(file_name, s.students))}-"
                 f"{s.exercises[0].id}.html": page(s, answers, stubs) for s in sheets}
        write(store, options.grades, pages)
    return list(pages)


def _answers(grades: list[Grade]) -> dict[str, dict[str, str]]:
    """What was accepted, by student and exercise: of a wrong answer there is nothing to defend."""
    found: dict[str, dict[str, str]] = {}
    for grade in grades:
        for id, text in grade.result.get("answers", {}).items():
            if text.strip() and grade.result["verdicts"].get(id, {}).get("points"):
                found.setdefault(grade.student, {})[id] = text
    return found


def _sheets(options, answers, pairs) -> list[Sheet]:
    if unknown := [name for name in options.student if name not in answers]:
        raise NoViva(f"there is no accepted answer of {', '.join(map(repr, unknown))}")
    sheets = []
    if options.similar:
        sheets = [Sheet((one, other), (find(id),), f"similarity {alike:g}")
                  for id, one, other, alike in pairs
                  if id in answers.get(one, {}) and id in answers.get(other, {})
                  and (not options.exercise or id in options.exercise)]
    count = options.sample if options.sample is not None else (
        0 if options.similar or options.student else 5)
    drawn = random.Random(options.seed)
    able = sorted(name for name in answers if _to_ask(answers[name], options, drawn))
    names = [(name, "chosen") for name in options.student]
    names += [(name, f"drawn by chance (seed {options.seed})")
              for name in drawn.sample(able, min(count, len(able)))]
    for name, why in names:
        if chosen := _to_ask(answers[name], options, drawn):
            sheets.append(Sheet((name,), chosen, why))
    if not sheets:
        raise NoViva("nobody has an accepted answer that there are questions about, or no pair of "
                     "answers is alike")
    return sheets


def _to_ask(theirs: dict[str, str], options, drawn) -> tuple[Exercise, ...]:
    """The exercises to ask about: those that were asked for, or the most difficult, in code
    before in a letter or a number."""
    known = [find(id) for id in theirs if not options.exercise or id in options.exercise]
    known = [e for e in known if e.followups]
    known.sort(key=lambda e: (e.kind not in IN_CODE, -e.difficulty,
                              drawn.random()))
    return tuple(sorted(known[:len(options.exercise) or EXERCISES], key=lambda e: e.id))


def questions(exercise: Exercise, answer: str) -> list[tuple[str, str]]:
    """The follow-ups (question, what a good answer says) that have most words in common with the
    answer's own; the bank's order decides between equals."""
    words = set(re.findall(r"[^\W\d_]{3,}", answer.lower()))

    def near(pair):
        asked = set(re.findall(r"[^\W\d_]{3,}", " ".join(pair).lower()))
        return -len(words & asked)

    return sorted(exercise.followups, key=near)[:QUESTIONS]


# --- pages ------------------------------------------------------------------------------------


def page(sheet: Sheet, answers: dict, stubs: dict[str, str]) -> str:
    """A sheet as a page of its own."""
    names = " and ".join(sheet.students)
    parts = [STYLE]
    for exercise in sheet.exercises:
        texts = [answers[student][exercise.id] for student in sheet.students]
        stub = stubs.get(exercise.id, "")
        whose = sheet.students if len(texts) > 1 else ("",)
        begin = "".join(_walk(text, stub, name) for text, name in zip(texts, whose, strict=True)
                        if exercise.kind in IN_CODE)
        boxes = "".join(f"<div>{_code(text, stub)}</div>" for text in texts)
        if len(texts) > 1:
            heads = "".join(f"<b>{_text(name)}</b>" for name in sheet.students)
            boxes = f"<div class=twins>{heads}{boxes}</div><p>Ask each alone.</p>"
        parts.append(f"<article><p>{COURSE}</p><h1>{_text(names)} · {exercise.id} "
                     f"{html.escape(exercise.title)}</h1><p>Asked because: {sheet.why}. Date: "
                     "____________ By: ____________</p>"
                     f"<h2>The answer that was handed in</h2>{boxes}<h2>Questions</h2>"
                     f"{begin}{_asked(exercise, ' '.join(texts), whose)}"
                     f"{_rubric(exercise)}<h3>Notes</h3>{'<div class=note></div>' * 4}</article>")
    return PAGE.format(title=f"Viva: {_text(names)}", body="".join(parts))


def _text(text: str) -> str:
    return html.escape(shown(text))


def _code(text: str, stub: str) -> str:
    """The answer with numbered lines; those that the course gave are grey."""
    lines, own = text.splitlines()[:LINES], _own(text, stub)
    return "<pre>" + "\n".join(
        f"<span class=no>{n:2}</span> " + (_text(line) if n in own else
                                           f"<span class=given>{_text(line)}</span>")
        for n, line in enumerate(lines, 1)) + "</pre>"


def _own(text: str, stub: str) -> list[int]:
    """The numbers of the lines that are the student's own."""
    match = difflib.SequenceMatcher(None, stub.splitlines(), text.splitlines()[:LINES], False)
    return [n + 1 for what, _, _, start, end in match.get_opcodes() if what != "equal"
            for n in range(start, end)]


def _walk(text: str, stub: str, name: str) -> str:
    """The first thing to ask: the student's own longest line of code, by its number."""
    lines = text.splitlines()
    own = [n for n in _own(text, stub) if not lines[n - 1].lstrip().startswith(("#", '"""'))]
    if not own:
        return ""
    number = max(own, key=lambda n: len(lines[n - 1].strip()))
    return _question("To begin with", f"What does line {number} do, and what would change "
                     "without it?", "says what it computes, in own words, and what would break",
                     (name,))


def _asked(exercise, text, whose) -> str:
    return "".join(_question(f"{n}.", question, good, whose)
                   for n, (question, good) in enumerate(questions(exercise, text), 1))


def _question(head: str, question: str, good: str, whose) -> str:
    """A question, and boxes to tick: a line of them for each student of a pair."""
    labels = "".join(f"<span>☐ {label}</span>" for label in SCALE)
    boxes = "".join(f"<p class=boxes>{f'<b>{_text(name)}:</b> ' if name else ''}{labels}</p>"
                    for name in whose)
    return (f"<div class=question><p><b>{head}</b> {inline_code(question)}</p>"
            f"<p class=good>A good answer: {inline_code(good)}</p>"
            f"{boxes}</div>")


def _rubric(exercise: Exercise) -> str:
    lines = "".join(f"<li>☐ {inline_code(line)}</li>" for line in exercise.rubric)
    return f"<h3>The rubric of the written answer</h3><ul>{lines}</ul>" if lines else ""
