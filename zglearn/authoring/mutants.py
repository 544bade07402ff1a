"""`python3 -m zglearn mutants [CHAPTER | ID ...]`: how many wrong answers does each check catch?

Each reference solution is changed in one place after the other (`mutation.py`) and wrapped into
answers that cheat (`cheats.py`); each of these is put through its check in several seeds. One that
is accepted either shows a hole in the check or is right. The right ones are listed with the reason
in `solutions/NN_name.equivalent.toml`, beside the exercises:

    [["03.6"]]
    mutant = 'if since == patience: → if since >= patience:'
    why = "the count grows by one, so it meets patience exactly"

`mutant` may be a list of several with the same reason.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from unittest import mock

import nbformat

from zglearn import paths
from zglearn.course import cells
from zglearn.course.learner import run_source
from zglearn.course.said import CourseError, command
from zglearn.exercises import exercise as exercises
from zglearn.exercises.exercise import Exercise, Verdict, find, judge_names
from zglearn.exercises.limits import TimeIsUp

from .cheats import cheats, did_something
from .derive import exercise_of
from .forks import DIED, LATE, forked
from .mutation import mutants
from .trials import answer_cells, run_trial, trials_of

SEEDS, MORE_SEEDS = 2, 4
SECONDS = 4  # of the processor's time, for one check of a mutant; a busy machine takes longer
BUSY = 10
TOLD = {"mistake": "named", "usually": "cause", "words": "words", "bare": "bare", "error": "error"}
HELPFUL = ("mistake", "usually", "words")
BARE = re.compile(r"\bexpected\b.*\bgot\b([^,:;]*)", re.S)


class WrongList(CourseError):
    """A list of equivalent mutants names one that is none. The message says which."""


@dataclass(frozen=True)
class Wrong:
    """A wrong answer made by machine: `change` is its name, ``names()`` what its cell defines."""

    exercise: Exercise
    change: str
    names: Callable[[], dict]
    is_sensible: Callable[[], bool] = lambda: True


@dataclass
class Result:
    """What the check said to it, seed by seed: (accepted, told, message)."""

    exercise: Exercise
    change: str
    said: list[tuple[bool, str, str]] = field(default_factory=list)

    @property
    def fate(self) -> str:
        accepted = {verdict[0] for verdict in self.said}
        return {(True,): "survived", (False,): "killed"}.get(tuple(accepted), "flaky")

    @property
    def least(self) -> tuple[bool, str, str]:
        """The verdict whose message helps least."""
        return max(self.said, key=lambda verdict: [*TOLD].index(verdict[1]))

    @property
    def told(self) -> str:
        return self.least[1]

    @property
    def line(self) -> str:
        return f"{self.exercise.id}  {self.change}"


# --- making and trying ------------------------------------------------------------------------


def wrong_answers(exercise: Exercise, source: str, names: dict) -> list[Wrong]:
    """All mutants and cheats of an answer cell, to be tried in the names that stand above it."""
    def run(text: str) -> dict:
        mine = dict(names)
        run_source(text, mine, f"<answer {exercise.id}>")
        return mine

    found = [Wrong(exercise, change, lambda text=text: run(text))
             for change, text in mutants(source).items()]
    return found + [
        Wrong(exercise, change, make, lambda change=change: did_something(change))
        for change, make in cheats(exercise, run(source))]


def tried(wrong: Wrong, seeds: int, more: int) -> list[tuple[bool, str, str]]:
    """The verdicts in `seeds` seeds, and in `more` if one of them accepted it; none if the cheat
    has not come into play."""
    try:
        names = wrong.names()
    except Exception as error:  # the cell itself fails, and the check says so
        verdict = Verdict(wrong.exercise, *cells.failed(error))
        return [(False, told(verdict), verdict.message)]
    said = []
    for seed in range(seeds + more):
        if seed >= seeds and not any(accepted for accepted, _, _ in said):
            break
        with _processor_time(SECONDS):
            verdict = judge_names(wrong.exercise, names, seed)
        said.append((verdict.accepted, told(verdict), verdict.message))
        if verdict.cause == "timeout":
            break
    return said if wrong.is_sensible() else []


@contextmanager
def _processor_time(seconds: float):
    """Raise TimeIsUp after so many seconds of the processor's time; a busy machine takes longer."""
    signal.signal(signal.SIGVTALRM, _ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _ring(signum, frame):
    raise TimeIsUp


def told(verdict) -> str:
    """How a message helps; one that only says what was expected and what came is bare."""
    kind = verdict.told or "words"
    found = BARE.search(verdict.message) if kind == "words" else None
    says = found and verdict.message[found.start(1):]
    return "bare" if found and len(re.findall(r"[^\W\d_]{2,}", says)) <= 2 else kind


def measure(notebook: Path, chosen=(), *, known=(), seeds=SEEDS, more=MORE_SEEDS, workers=1,
            sample: int | None = None) -> Iterator[Result]:
    """The results of a notebook's mutants; of the exercises `chosen`, or all.

    `sample` tries so many of each exercise, always the same ones. Raises WrongList if one of the
    `known` equivalents is no mutant at all.
    """
    solutions = nbformat.read(notebook, as_version=4)
    patience = mock.patch.object(exercises, "TIME_LIMIT", BUSY * SECONDS)
    with tempfile.TemporaryDirectory() as folder, patience:
        for cell, names in answer_cells(solutions, Path(folder)):
            exercise = find(exercise_of(cell.id))
            if exercise.options or exercise.is_open or chosen and exercise.id not in chosen:
                continue
            todo = wrong_answers(exercise, cell.source, names)
            if gone := {change for id, change in known if id == exercise.id} - {
                    wrong.change for wrong in todo}:
                raise WrongList(f"{notebook.stem}, {exercise.id}: listed as equivalent, but no "
                                f"mutant is called so: {'; '.join(sorted(gone))}")
            if sample is not None and sample < len(todo):
                todo = random.Random(exercise.id).sample(todo, sample)
            limit = BUSY * SECONDS * (seeds + more)
            for wrong, said in forked(lambda w: tried(w, seeds, more), todo, workers, limit):
                if said in (DIED, LATE):
                    said = [(False, "usually", said)]
                if said:
                    yield Result(exercise, wrong.change, said)


def unsteady_trials(notebook: Path, chosen, seeds: int, workers: int) -> Iterator[str]:
    """The notebook's own trials whose verdict, in one of so many seeds, is not the expected one."""
    solutions = nbformat.read(notebook, as_version=4)
    pending = trials_of(solutions)
    seconds = exercises.TIME_LIMIT
    patience = mock.patch.object(exercises, "TIME_LIMIT", BUSY * seconds)
    with tempfile.TemporaryDirectory() as folder, patience:
        for cell, names in answer_cells(solutions, Path(folder)):
            due = [t for t in pending if t.exercise.id == exercise_of(cell.id)
                   and (not chosen or t.exercise.id in chosen)]

            def astray(trial, names=names):
                outcomes = []
                for seed in range(seeds):
                    with _processor_time(seconds):
                        outcomes.append(run_trial(trial, names, seed))
                return [(seed, outcome.verdict.message)
                        for seed, outcome in enumerate(outcomes) if not outcome.as_expected]

            for trial, wrong in forked(astray, due, workers, BUSY * seconds * seeds):
                if wrong:
                    told = wrong if isinstance(wrong, str) else (
                        f"in {len(wrong)} of {seeds} seeds, such as {wrong[0][0]}: {wrong[0][1]}")
                    yield f"{trial.exercise.id}  {trial.kind} {trial.name}: {told}"


# --- the equivalent ones ----------------------------------------------------------------------


def equivalents(notebook: Path) -> dict[tuple[str, str], str]:
    """{(id, change): why it is no mistake}, of a solutions notebook. Raises WrongList."""
    file = notebook.with_suffix(".equivalent.toml")
    if not file.exists():
        return {}
    found = {}
    for id, entries in tomllib.loads(file.read_text(encoding="utf-8")).items():
        for entry in entries:
            if set(entry) != {"mutant", "why"} or not entry["why"].strip():
                raise WrongList(f"{file.name}, {id}: an entry has a `mutant` and a `why`")
            named = entry["mutant"]
            for change in [named] if isinstance(named, str) else named:
                if (id, change) in found:
                    raise WrongList(f"{file.name}, {id}: listed twice: {change}")
                found[id, change] = entry["why"]
    return found


def holes(results: list[Result], known: dict) -> list[Result]:
    """What survived, or now and then did, and is not listed."""
    return [r for r in results if r.fate != "killed" and (r.exercise.id, r.change) not in known]


def out_of_date(results: list[Result], known: dict) -> list[str]:
    """Listed, but killed by now, or made no longer: of the exercises that were tried in full."""
    survived = {(r.exercise.id, r.change) for r in results if r.fate == "survived"}
    tried = {r.exercise.id for r in results}
    return [f"{id}  {change}" for id, change in known
            if id in tried and (id, change) not in survived]


# --- the table --------------------------------------------------------------------------------


COLUMNS = ("tried", "killed", "survived", "flaky", "listed", *TOLD.values(), "helped")


def row(name: str, results: list[Result], known: dict) -> str:
    """A line of the table: the mutants' fates, and what the killed ones were told."""
    return " ".join(f"{value:>8}" for value in (name, *_counts(results, known)))


def _counts(group, known):
    open_holes = holes(group, known)
    fates = Counter(result.fate for result in open_holes)
    killed = [result for result in group if result.fate == "killed"]
    said = Counter(result.told for result in killed)
    helped = sum(said[kind] for kind in HELPFUL)
    return (len(group), len(killed), fates["survived"], fates["flaky"],
            len(group) - len(killed) - len(open_holes), *(said[kind] for kind in TOLD),
            f"{helped / max(len(killed), 1):.0%}")


@command
def main(argv: list[str]) -> int:
    """Print the table; end with 1 if a wrong answer was accepted that is not listed."""
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn mutants", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="CHAPTER|ID", help='such as 03 or 03.6')
    parser.add_argument("--show-survivors", action="store_true", help="each as a one-line change")
    parser.add_argument("--draft", action="store_true",
                        help="the survivors as a list of equivalents, the reasons to be filled in")
    parser.add_argument("--show-messages", metavar="KIND", choices=[*TOLD.values()], default="",
                        help="what was said to each killed one, if it is named, a cause, words, "
                             "bare, or an error of Python's")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="at first (default: %(default)s); "
                        f"{MORE_SEEDS} more for what was accepted, or twice as many as given")
    parser.add_argument("-n", type=int, default=2, dest="workers", metavar="PROCESSES")
    parser.add_argument("--trials", type=int, metavar="SEEDS", default=0,
                        help="instead: the notebooks' own trials, in so many seeds")
    options = parser.parse_args(argv)
    if options.trials:
        return _print_unsteady(options)
    more = MORE_SEEDS if options.seeds == SEEDS else 2 * options.seeds
    results, known = [], {}
    print(" ".join(f"{name:>8}" for name in ("exercise", *COLUMNS)))
    for notebook in _notebooks(options.what):
        known |= equivalents(notebook)
        found = measure(notebook, _chosen(options.what, notebook), known=known,
                        seeds=options.seeds, more=more, workers=options.workers)
        for exercise, group in groupby(found, key=lambda result: result.exercise):
            results += (group := list(group))
            print(row(exercise.id, group, known), flush=True)
    print(row("all", results, known))
    left, stale = holes(results, known), out_of_date(results, known)
    if options.show_survivors:
        print(*(f"{r.fate:<9}{r.line}" for r in left), sep="\n")
    if options.draft:
        print(*(f'\n[["{r.exercise.id}"]]\nmutant = {_literal(r.change)}\nwhy = ""' for r in left
                if r.fate == "survived"), sep="\n")
    for r in results:
        if r.fate == "killed" and TOLD[r.told] == options.show_messages:
            print(f"{r.line}\n        {r.least[2][:400]}")
    for line in stale:
        print(f"listed as equivalent, but it does not survive: {line}")
    return int(bool(left or stale))


def _print_unsteady(options) -> int:
    failed = 0
    for notebook in _notebooks(options.what):
        for line in unsteady_trials(notebook, _chosen(options.what, notebook), options.trials,
                                    options.workers):
            failed += 1
            print(line, flush=True)
    print(f"{failed or 'no'} trial{'s' * (failed != 1)} with an unexpected verdict")
    return int(failed > 0)


def _chosen(what: list[str], notebook: Path) -> set[str]:
    return {id for id in what if "." in id and id[:2] == notebook.name[:2]}


def _literal(text: str) -> str:
    return f"'{text}'" if "'" not in text else f"'''{text}'''"


def _notebooks(what: list[str]) -> list[Path]:
    there = sorted((paths.home() / "solutions").glob("[0-9][0-9]_*.ipynb"))
    chosen = [n for n in there if not what or n.name[:2] in {w[:2] for w in what}]
    if not chosen:
        raise CourseError(f"there are no solutions for {', '.join(what)}")
    return chosen
