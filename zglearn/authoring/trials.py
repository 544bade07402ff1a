"""Every exercise tries its own check: the blank stub, wrong answers, right answers.

The trials stand in solutions/ as %%trial cells. Those of a choice (each option, no option, and the
right one in two spellings) and of an open question follow from the bank. `run_trials` puts all of
a notebook through the local check; the grader's tests put the same trials through the grader.
"""

from __future__ import annotations

import ast
import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from zglearn.course.learner import parse_trial, run_source
from zglearn.exercises.exercise import Exercise, Verdict, all_exercises, judge_names

from .derive import exercise_of, is_hidden, is_trial, stub

EXPECTED = {"blank": ("not_attempted",), "wrong": ("incorrect",), "right": ("correct", "answered")}


@dataclass(frozen=True)
class Trial:
    """An answer whose verdict is known. `kind` is "blank", "wrong" or "right"; `source` is what
    stands in the answer cell."""

    exercise: Exercise
    kind: str
    name: str
    source: str


@dataclass(frozen=True)
class Outcome:
    """What the check said to a trial."""

    trial: Trial
    verdict: Verdict

    @property
    def as_expected(self) -> bool:
        return self.verdict.status in EXPECTED[self.trial.kind]


def trials_of(solutions) -> list[Trial]:
    """All trials of a solutions notebook, the course's own answers included."""
    found = []
    for cell in solutions.cells:
        if cell.id.startswith("ans-"):
            found += _made(_exercise(exercise_of(cell.id)), cell.source)
        elif is_trial(cell):
            head, _, source = cell.source.partition("\n")
            exercise, right, name = parse_trial(head.removeprefix("%%trial"))
            found.append(Trial(exercise, "right" if right else "wrong", name, source))
    return found


def _exercise(id: str) -> Exercise:
    return next(e for e in all_exercises(id[:2]) if e.id == id)


def _made(exercise: Exercise, answer: str) -> list[Trial]:
    """The trials that follow from the answer cell and the bank."""
    def variant(kind, name, value):
        return Trial(exercise, kind, name, f"{exercise.names[0]} = {value!r}")

    trials = [Trial(exercise, "blank", "the untouched stub", stub(answer, exercise.id)),
              Trial(exercise, "right", "the course's own answer", answer)]
    value = _value(answer, exercise.names[0])
    if exercise.options:
        trials += [variant("wrong", f"option {key}", key) for key in exercise.options
                   if key != value]
        trials += [variant("wrong", "no such option", "none of them"),
                   variant("right", "in capitals", f" {value.upper()} ")]
    if exercise.is_open:
        trials += [variant("wrong", "a number", 42), variant("wrong", "one word", "Momentum."),
                   variant("wrong", "the same words again", "because it is so " * 50),
                   variant("right", "in capitals", value.upper())]
    return trials


def _value(source: str, name: str):
    """The literal that a cell assigns to `name`, or None."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return None
    return None


def run_trials(solutions, folder: Path, seeds=(0,)) -> list[Outcome]:
    """Every trial's verdict, for each seed, in the names that the cells above its answer made.

    The notebook's own cells run as in Jupyter, but in this process and in `folder`; checks, and
    experiments that wait for a prediction, are left out.
    """
    pending, outcomes = trials_of(solutions), []
    for cell, names in answer_cells(solutions, folder):
        due = [t for t in pending if t.exercise.id == exercise_of(cell.id)]
        outcomes += [run_trial(trial, names, seed) for trial in due for seed in seeds]
    return outcomes


def answer_cells(solutions, folder: Path) -> Iterator[tuple]:
    """Each answer cell, with the names that the cells above it made, as `run_trials` runs them."""
    with fresh_shell() as shell, contextlib.chdir(folder):
        for cell in solutions.cells:
            if cell.cell_type != "code" or is_hidden(cell) or cell.id.startswith(("chk-", "run-")):
                continue
            if cell.id.startswith("ans-"):
                yield cell, shell.user_ns
            with capture_output():
                ran = shell.run_cell(cell.source)
            ran.raise_error()


@contextlib.contextmanager
def fresh_shell():
    """A fresh IPython shell that leaves no trace on disk and opens no window."""
    config = Config({"HistoryManager": {"enabled": False}})
    no_window = mock.patch.dict(os.environ, MPLBACKEND="Agg")
    with no_window, tempfile.TemporaryDirectory() as folder:
        InteractiveShell.clear_instance()
        yield InteractiveShell.instance(config=config, ipython_dir=folder)
        InteractiveShell.clear_instance()


def run_trial(trial: Trial, names: dict, seed: int) -> Outcome:
    """The verdict on a trial, in the names that stand above its answer."""
    names = dict(names)
    try:
        run_source(trial.source, names, f"<trial {trial.exercise.id} {trial.name}>")
    except NotImplementedError:
        pass
    return Outcome(trial, judge_names(trial.exercise, names, seed))


def counts(outcomes: list[Outcome]) -> list[tuple]:
    """A row for each exercise: its title, then (as expected, tried) for blank, wrong, right."""
    by_exercise: dict[Exercise, list[Outcome]] = {}
    for outcome in outcomes:
        by_exercise.setdefault(outcome.trial.exercise, []).append(outcome)
    return [(f"{exercise.id} {exercise.title}", *(_count(group, kind) for kind in EXPECTED))
            for exercise, group in by_exercise.items()]


def table(rows: list[tuple]) -> str:
    """Exercises by trials, as text: wrong answers caught and right ones accepted."""
    total = ("all exercises", *([sum(n) for n in zip(*column, strict=True)]
                                for column in list(zip(*rows, strict=True))[1:]))
    head = f"{'exercise':<50} {'blank':>7} {'wrong caught':>13} {'right accepted':>15}"
    return "\n".join([head, *(
        "{:<50} {:>7} {:>13} {:>15}".format(title[:50], *(f"{good}/{of}" for good, of in columns))
        for title, *columns in [*rows, total])])


def _count(outcomes, kind) -> tuple[int, int]:
    of_kind = [o for o in outcomes if o.trial.kind == kind]
    return sum(o.as_expected for o in of_kind), len(of_kind)
