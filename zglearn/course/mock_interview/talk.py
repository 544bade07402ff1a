"""A mock interview from the bank: questions, follow-ups, self-scoring, a report, repetition.

`Interview` holds the talk itself and knows no screen: it asks, one `Ask` at a time, and is
replied to. The terminal (`main`, below) and the notebook (`panel`) show what it asks.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import html
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from zglearn import paths
from zglearn.course import progress
from zglearn.course.cells import without_magics
from zglearn.course.learner import run_source
from zglearn.course.overview import chapter_name, link_to
from zglearn.course.said import CourseError, command
from zglearn.course.solutions import solution_source
from zglearn.course.terminal import terminal_text
from zglearn.exercises.answer import MAX_PRINTED, BoundedText, described
from zglearn.exercises.exercise import (
    LABEL,
    TIME_LIMIT,
    Exercise,
    Verdict,
    all_exercises,
    framed,
    judge_names,
)
from zglearn.exercises.limits import TimeIsUp, bounded
from zglearn.exercises.originals import source_of

from .reviews import GOOD, cards

MAIN_SHARE = 0.75  # of an exercise's score; the rest is for its follow-up questions
SKIP = object()


# --- which questions --------------------------------------------------------------------------


def draw(topic: str = "", difficulty: int | None = None, minutes: float = 30, *, rng=None,
         now: float | None = None) -> list[Exercise]:
    """Exercises that fit the time: those due for review first, then new ones, then the rest.

    Parameters
    ----------
    topic : a chapter ("04", "momentum"), a kind ("debug") or a word of a title; "" is everything
    difficulty : 1, 2 or 3; None is any
    minutes : how long the interview may take

    Raises CourseError if nothing fits, saying what there is.
    """
    rng = rng or np.random.default_rng()
    now = time.time() if now is None else now
    fitting = [e for e in all_exercises() if about(e, topic) and difficulty in (None, e.difficulty)
               and task(e)]
    if not fitting:
        raise CourseError(f"No exercise is about {topic!r}" + (
            f" with difficulty {difficulty}" if difficulty else "") + ". Topics: " + ", ".join(
            dict.fromkeys(chapter_name(e.chapter) for e in all_exercises())) + ".")
    known = cards(progress.events())

    def turn(exercise):
        card = known.get(exercise.id)
        return 1 if card is None else 0 if card.due <= now else 2

    order = sorted(rng.permutation(len(fitting)).tolist(), key=lambda n: turn(fitting[n]))
    chosen, left = [], minutes
    for n in order:
        if fitting[n].minutes <= left:
            chosen.append(fitting[n])
            left -= fitting[n].minutes
    return chosen or [min(fitting, key=lambda e: e.minutes)]


def about(exercise: Exercise, topic: str) -> bool:
    """Whether an exercise belongs to a topic: a chapter, a kind, or a word of its title."""
    path = paths.notebook("exercises", exercise.chapter)  # its name is known to learners, too
    words = " ".join([chapter_name(exercise.chapter), path.stem if path else "", exercise.kind,
                      exercise.title]).lower().replace("_", " ")
    return all(word in words for word in topic.lower().replace("_", " ").split())


def task(exercise: Exercise) -> str:
    """The task's text, from the exercise notebook; "" if it is not here."""
    title, _, text = _cell(exercise, "ex-").partition("\n")
    return "\n".join([title, text.replace(f"*{exercise.line}*", "").strip()]).strip()


def start_of(exercise: Exercise) -> str:
    """What stands in the answer cell before the learner writes."""
    return _cell(exercise, "ans-")


def _cell(exercise: Exercise, prefix: str) -> str:
    path = paths.notebook("exercises", exercise.chapter)
    return source_of(path, prefix + exercise.id.replace(".", "-")) or ""


# --- the talk ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask:
    """What the interviewer says next. `kind` tells what is wanted as a reply:

    "choice" one of `options`; "value" a Python literal; "code" source, or a dict of names;
    "text" prose; "score" a number from 0 to 1 for each of `lines`, with what was `said` and a
    `model` answer to compare. SKIP skips any of them. All texts are Markdown.
    """

    exercise: Exercise
    kind: str
    text: str
    feedback: str = ""
    options: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    said: str = ""
    model: str = ""


@dataclass(frozen=True)
class Scored:
    """How one exercise of an interview went: a score from 0 to 1, and the seconds it took."""

    exercise: Exercise
    score: float
    seconds: float


class Interview:
    """A talk over some exercises: show `ask`, call `reply`, until `ask` is None; then `report`."""

    def __init__(self, exercises: list[Exercise], minutes: float, clock=time.monotonic):
        self.exercises, self.minutes, self.clock = exercises, minutes, clock
        self.began, self.scored, self.hints = clock(), [], 0
        self.last_feedback = ""
        self._talk = self._all()
        self.ask: Ask | None = next(self._talk)

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return self.clock() - self.began

    def reply(self, given) -> None:
        """Answer what is asked; the next thing to show is in `ask`."""
        try:
            self.ask = self._talk.send(given)
        except StopIteration:
            self.ask = None

    def hint(self) -> str:
        """The next hint of the exercise at hand; each costs a part of its score."""
        hints = self.ask.exercise.hints
        if self.hints == len(hints):
            return "There are no more hints."
        self.hints += 1
        return hints[self.hints - 1]

    def stop(self) -> None:
        """End here: what was answered counts."""
        self.ask = None
        self._talk.close()

    def report(self) -> Report:
        """What came out so far."""
        return Report(tuple(self.scored), self.seconds / 60, self.minutes)

    def _all(self) -> Iterator[Ask]:
        try:
            for exercise in self.exercises:
                began, self.hints = self.clock(), 0
                score = yield from self._one(exercise)
                self.scored.append(Scored(exercise, score, self.clock() - began))
                progress.record("review", exercise.id, score=score)
        finally:  # also when it is stopped half-way
            if self.scored:
                progress.record("interview", score=self.report().score, count=len(self.scored),
                                minutes=round(self.seconds / 60, 1))

    def _one(self, exercise: Exercise):
        main = yield from (self._open(exercise) if exercise.is_open else self._checked(exercise))
        whys = []
        for question, good in exercise.followups:
            asked = f"Follow-up: {question}"
            said = yield self._next(exercise, "text", asked)
            if said is SKIP:
                whys.append(0.0)
                self.last_feedback = f"A good answer says: {good}"
            else:
                whys.append((yield from self._self_score(exercise, asked, said, good, (good,))))
        return main if not whys else MAIN_SHARE * main + (1 - MAIN_SHARE) * float(np.mean(whys))

    def _checked(self, exercise: Exercise):
        """An exercise that a check decides: full marks at the first try, less at each more.

        What is not written yet is no try.
        """
        kind = "choice" if exercise.options else "value" if _is_value(exercise) else "code"
        tries = 0
        while tries < 3:
            given = yield self._next(exercise, kind, task(exercise))
            if given is SKIP:
                break
            verdict = _judge(exercise, given)
            self.last_feedback = verdict if isinstance(verdict, str) else _feedback(verdict)
            tries += isinstance(verdict, str) or verdict.status != "not_attempted"
            if isinstance(verdict, Verdict) and verdict.accepted:
                return 1 / tries * (1 - self.hints / 4)
        if model := model_answer(exercise):
            self.last_feedback += f"\n\nThe course's answer:\n\n{model}"
        return 0.0

    def _open(self, exercise: Exercise):
        said, model = (yield self._next(exercise, "text", task(exercise))), model_answer(exercise)
        if said is SKIP:
            self.last_feedback = f"The course's answer:\n\n{model}" if model else ""
            return 0.0
        return (yield from self._self_score(exercise, task(exercise), said, model,
                                            exercise.rubric))

    def _self_score(self, exercise, text, said, model, lines):
        scores = yield self._next(exercise, "score", text, lines=lines, said=said, model=model)
        return 0.0 if scores is SKIP else float(np.mean(scores))

    def _next(self, exercise, kind, text, **more) -> Ask:
        feedback, self.last_feedback = self.last_feedback, ""
        return Ask(exercise, kind, text, feedback, exercise.options,
                   **{name: tuple(v) if name == "lines" else v for name, v in more.items()})


def _is_value(exercise: Exercise) -> bool:
    return exercise.names[0].startswith("answer_")


def _judge(exercise: Exercise, given) -> Verdict | str:
    """The verdict on a reply: a value, source, or names. Source that does not run is told."""
    if isinstance(given, dict):
        return judge_names(exercise, given)
    if _is_value(exercise):
        return judge_names(exercise, {exercise.names[0]: _value(given)})
    try:
        names = _bounded(lambda: _names_from(exercise, given))
    except CodeFailed as failed:
        return str(failed)
    missing = [name for name in exercise.names if name not in names]
    if missing:
        return Verdict(exercise, "not_attempted", f"Your code defines no `{missing[0]}`.")
    return judge_names(exercise, names)


def tried(exercise: Exercise, source: str) -> str:
    """What source prints when it runs as the answer, or how it fails. It counts as no try."""
    printed = BoundedText(MAX_PRINTED)
    with contextlib.redirect_stdout(printed):
        try:
            _bounded(lambda: _names_from(exercise, source))
        except CodeFailed as failed:
            return f"{str(printed).rstrip()}\n{failed}".strip()
    return str(printed).strip() or "It runs, and prints nothing."


class CodeFailed(Exception):
    """The candidate's code did not run to its end."""


def _bounded(run):
    """What ``run()`` returns, within the time limit. CodeFailed says how it failed."""
    try:
        return bounded(run, TIME_LIMIT)
    except TimeIsUp:
        raise CodeFailed(f"Your code was still running after {TIME_LIMIT} seconds, so it was "
                         "stopped.") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # it may raise anything, SystemExit too
        line = next((line for frame, line in reversed(list(traceback.walk_tb(error.__traceback__)))
                     if frame.f_code.co_filename.startswith("<answer")), None)
        where = f" (line {line})" if line else ""
        raise CodeFailed(f"Your code raised {described(error)}{where}") from None


def _value(text: str):
    """A number, list, ... as Python writes it; anything else is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _names_from(exercise: Exercise, source: str) -> dict:
    """The names that the notebook's set-up cell and this source make."""
    names: dict = {}
    setup = source_of(paths.notebook("exercises", exercise.chapter), "setup") or ""
    run_source(without_magics(setup), names, "<setup>")
    run_source(source, names, f"<answer {exercise.id}>")
    return names


def _feedback(verdict: Verdict) -> str:
    """A verdict in Markdown."""
    head = f"**{LABEL[verdict.status]}** · {verdict.exercise.id} {verdict.exercise.title}"
    printed = f"Your code printed:\n\n```\n{verdict.printed}\n```" if verdict.printed else ""
    return "\n\n".join(filter(None, [head, verdict.message, printed]))


def model_answer(exercise: Exercise) -> str:
    """The course's own answer in Markdown: an essay as text, a choice as the letter that is right
    and all else as code; "" without one."""
    source = solution_source(exercise)
    if not source:
        return ""
    if exercise.is_open or exercise.options:
        with contextlib.suppress(ValueError, SyntaxError, AttributeError, IndexError):
            said = ast.literal_eval(ast.parse(source).body[-1].value).strip()
            return said if exercise.is_open else f"**{said}**"
    return as_code(source)


def as_code(source: str) -> str:
    """Source as Markdown shows it."""
    return f"```python\n{source}\n```"


# --- the report -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """How an interview went, and what to do next."""

    scored: tuple[Scored, ...]
    minutes: float
    planned: float

    @property
    def score(self) -> float:
        """The mean over the exercises, weighted by their points; 0 if there was none."""
        points = [s.exercise.points for s in self.scored]
        return float(np.average([s.score for s in self.scored], weights=points)) if points else 0.0

    @property
    def revise(self) -> list[Exercise]:
        """The exercises that did not go well."""
        return [s.exercise for s in self.scored if s.score < GOOD]

    def __repr__(self) -> str:
        lines = [self._head()]
        lines += [f"  {s.score:>4.0%}  {s.exercise.id} {s.exercise.title}, {s.seconds / 60:.0f} min"
                  for s in self.scored]
        if self.revise:
            lines.append("Revise:")
            lines += [f"  {e.id} {e.title}: " + ", ".join(f"{path.parent.name}/{path.name}"
                                                          for path in _where(e))
                      for e in self.revise]
        return "\n".join([*lines, *self._next_time()])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{s.score:.0%}</td><td style='text-align: left'>{s.exercise.id} "
                       f"{s.exercise.title}</td><td>{s.seconds / 60:.0f} min</td></tr>"
                       for s in self.scored)
        revise = "".join(f"<li>{e.id} {e.title} · {_links(e)}</li>" for e in self.revise)
        return framed(f"<b>{self._head()}</b><table style='color: inherit'>{rows}</table>"
                      + (f"<div>Revise:</div><ul>{revise}</ul>" if revise else "")
                      + "".join(f"<div>{line}</div>" for line in self._next_time()), "#0072b2")

    def _head(self) -> str:
        if not self.scored:
            return "The interview ended before the first exercise was done: nothing is counted."
        n = len(self.scored)
        return (f"{self.score:.0%} in {self.minutes:.0f} of {self.planned:.0f} minutes, "
                f"{n} exercise{'s' * (n != 1)}")

    def _next_time(self) -> list[str]:
        known = cards(progress.events())
        due = sorted(known[s.exercise.id].due for s in self.scored if s.exercise.id in known)
        if not due:
            return []
        return [f"These come back from {datetime.fromtimestamp(due[0]):%Y-%m-%d} on; what went "
                "well comes back later."]


def _where(exercise: Exercise) -> list:
    return [path for kind in ("chapters", "exercises")
            if (path := paths.notebook(kind, exercise.chapter))]


def _links(exercise: Exercise) -> str:
    named = {"chapters": chapter_name(exercise.chapter), "exercises": "exercises"}
    return ", ".join(f"<a href='{link_to(path)}'>{html.escape(named[path.parent.name])}</a>"
                     for path in _where(exercise))


# --- in the terminal --------------------------------------------------------------------------

HELP = "(:hint costs a quarter, :skip, :clock shows or hides the time, :quit)"
WANTED = {"choice": "Your choice", "value": "Your answer, as Python writes it",
          "code": "Your code; end with a line that says END, or say :edit to open your editor",
          "text": "Your answer; end with an empty line"}
SCORES = {"y": 1.0, "p": 0.5, "n": 0.0}


class Quit(Exception):
    """The candidate ends the interview."""


@command
def main(argv: list[str]) -> int:
    """`python -m zglearn interview`."""
    parser = argparse.ArgumentParser(prog="python3 -m zglearn interview",
                                     description="A mock interview from the course's exercises.")
    parser.add_argument("--topic", default="", help='such as "04", "momentum" or "debug"')
    parser.add_argument("--difficulty", type=int, choices=(1, 2, 3), help="default: any")
    parser.add_argument("--minutes", type=float, default=30,
                        help="how long it may take (default: 30)")
    parser.add_argument("--no-clock", action="store_true", help="do not show the time")
    options = parser.parse_args(argv)
    if options.minutes <= 0:
        parser.error("an interview takes more than 0 minutes")
    talk = Interview(draw(options.topic, options.difficulty, options.minutes), options.minutes)
    terminal = Terminal(talk, clock=not options.no_clock)
    try:
        while talk.ask:
            terminal.turn()
    except (Quit, EOFError, KeyboardInterrupt):
        talk.stop()
    print("\n".join(["", *filter(None, [terminal.plain(talk.last_feedback)]), repr(talk.report())]))
    return 0


class Terminal:
    """Asks on the screen, reads from the keyboard."""

    def __init__(self, talk: Interview, clock: bool = True):
        self.talk, self.clock = talk, clock

    def turn(self) -> None:
        """One question and its reply."""
        ask = self.talk.ask
        if ask.feedback:
            print("\n" + self.plain(ask.feedback))
        place = 1 + self.talk.exercises.index(ask.exercise)
        print(f"\n--- {place} of {len(self.talk.exercises)} {self.time()}".ljust(60, "-") + "\n")
        if ask.kind == "score":
            print(self.plain(f"Compare with a good answer:\n\n{ask.model}"))
        else:
            print(self.plain(ask.text))
        if ask.kind == "code":
            print("\n" + start_of(ask.exercise))
        self.talk.reply(self.scores(ask.lines) if ask.kind == "score" else self.answer(ask))

    def time(self) -> str:
        if not self.clock:
            return ""
        return f"[{self.talk.seconds / 60:.0f} of {self.talk.minutes:.0f} minutes] "

    def plain(self, markdown: str) -> str:
        """Markdown for this screen."""
        return terminal_text(markdown, shutil.get_terminal_size().columns, sys.stdout.isatty())

    def answer(self, ask: Ask):
        kind, lines = ask.kind, []
        print(f"{WANTED[kind]} {HELP}")
        while True:
            line = input("> ")
            if kind == "code" and line.strip() == ":edit":
                return edited("\n".join(lines) or start_of(ask.exercise))
            if line.startswith(":"):
                if self.do(line.strip()) is SKIP:
                    return SKIP
            elif kind == "choice":
                if (letter := line.strip().lower()) in ask.options:
                    return letter
                print(f"One of {', '.join(ask.options)}.")
            elif kind == "value":
                if line.strip():
                    return line.strip()
            elif line.strip() == ("END" if kind == "code" else ""):
                if lines:
                    return "\n".join(lines)
            else:
                lines.append(line)

    def do(self, wish: str):
        """Carry out a wish that starts with a colon."""
        if wish == ":quit":
            raise Quit
        if wish == ":skip":
            return SKIP
        if wish == ":clock":
            self.clock = not self.clock
            print(self.time().strip() or "The clock is hidden.")
        else:
            print(self.plain(self.talk.hint()) if wish == ":hint" else HELP)

    def scores(self, lines):
        """y, p or n for each line of a rubric: yes, partly, no."""
        given = []
        for line in lines:
            print(self.plain(f"- {line}"))
            reply = ""
            while reply not in SCORES:
                reply = input("    did you say so? y(es), p(artly), n(o) > ")[:1].lower()
            given.append(SCORES[reply])
        return given


def edited(source: str) -> str:
    """The source as the candidate's editor leaves it."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "nano")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.py"
        path.write_text(source, encoding="utf-8")
        try:
            subprocess.run([*editor, str(path)], check=False)
        except FileNotFoundError:
            print(f"There is no editor {editor[0]!r}: set EDITOR to the one you use.")
        return path.read_text(encoding="utf-8")
