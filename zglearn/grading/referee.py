"""The referee: nbval runs the pristine notebook of checks, and asks the student's process.

The checks ask the student's names over the wire, in the order of the student's notebook; no
student's code runs here. The notebook that nbval runs is made from solutions/ and holds a check
cell for each exercise, with the output that the course's own solution gives. An exercise gets its
marks if its check accepted it *and* nbval passed its cell: a cell that is missing, skipped or
expected to fail is never a pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import re
import zipfile
from dataclasses import dataclass, replace

from zglearn.exercises import hidden as hidden_checks
from zglearn.exercises import variants
from zglearn.exercises.exercise import TOO_LONG, Verdict, find, judge, load
from zglearn.exercises.limits import TimeIsUp, bounded
from zglearn.exercises.originals import fingerprint as print_of
from zglearn.exercises.renumbered import in_old_numbers

from .checks import ANOTHERS, OLDER, USED_LATER, checks_notebook
from .inputs import TooLarge
from .nbval_run import named, run_nbval
from .notebook import (
    Plan,
    Unreadable,
    answer_cell,
    is_of_the_first_edition,
    plan,
    read_notebook,
    stamp_of,
)
from .process import OUT_OF_TIME, Student
from .similarity import fingerprint
from .wire import GRACE, EngineFailed, RemoteNamespace

ACCEPTED = ("correct", "answered")
MAX_ANSWER = 20_000  # characters of an answer that are kept
MAX_MESSAGE = 2_000
MISSING = re.compile(r"name '(\w+)' is not defined")
UNREADABLE = (Unreadable, OSError, TooLarge, zipfile.BadZipFile)


def warm_up(chapters: list[str]) -> None:
    """Load and compile once, before the forks, what each of them would load and compile."""
    for chapter in chapters:
        load(chapter)
    for name in USED_LATER["numpy"]:
        importlib.import_module(name)
    run_nbval(json.dumps(checks_notebook(["warm"], {"warm": "warm\n"})), {"check": print}, 1)


def probe(job: dict, launch) -> dict:
    """Which layers of the sandbox fail here."""
    with Student([], launch, job) as student:
        return {"off": student.start()}


@dataclass(frozen=True)
class Submitted:
    """A notebook that was read: what to run of it, the exercises that come from an older hand-out
    (or from another student's variants), a digest of its bytes, and by exercise its answers and
    their fingerprints."""

    steps: Plan
    older: list[str]
    is_anothers: bool
    digest: str
    answers: dict[str, str]
    prints: dict[str, list[int]]


def read(job: dict, data: bytes) -> Submitted:
    """Read a notebook and plan what to run of it. Raises Unreadable.

    All that is done with a student's text is done here, within the bounds that the engine sets.
    """
    chapter = job["chapter"]
    names = {id: find(id).names for id in chapter["exercises"]}
    try:
        notebook = read_notebook(data)
        steps = plan(notebook, chapter["given"], names)
        mine = job.get("seed", "")
        older = [] if job["accept_older"] else changed_since(notebook, chapter, mine)
        theirs = str(stamp_of(notebook).get("seed", ""))
        written = answers(steps, names)
        prints = {id: fingerprint(text, variants.text(find(id), mine, chapter["stubs"].get(id, "")))
                  for id, text in written.items()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise Unreadable(f"not a notebook that can be read: {error}") from error
    digest = hashlib.sha256(data).hexdigest()
    return Submitted(steps, older, theirs != mine, digest, written, prints)


def grade(job: dict, submitted: Submitted, launch) -> dict:
    """Grade one notebook: verdicts by exercise, nbval's outcomes, its JUnit report.

    `job` holds a chapter of `checks`, the limits and the sandbox's layers; with "key" it
    asks what the checks print (for the course's own solution).
    """
    chapter = job["chapter"]
    with Student(submitted.steps.cells, launch, job) as student:
        referee = Referee(student, chapter, submitted, job.get("seed", ""))
        referee.ask()
    if job.get("key"):
        said = {id: _output_of(referee, id) for id in chapter["exercises"]}
        return {"verdicts": referee.verdicts, "said": said}
    outcomes, junit = run_nbval(chapter["notebook"], {"check": referee.check}, job["timeout"])
    passed = {id: outcomes.get(n) == "passed" for n, id in enumerate(chapter["exercises"])}
    accepted = {id: v["status"] in ACCEPTED for id, v in referee.verdicts.items()}
    if passed != accepted:
        raise EngineFailed(f"nbval passed {passed}, and the checks accepted {accepted}")
    titles = [f"{id} {find(id).title}" for id in chapter["exercises"]]
    return {"verdicts": referee.verdicts, "junit": named(junit, chapter["name"], titles),
            "answers": submitted.answers, "prints": submitted.prints}


def _output_of(referee, id):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        referee.check(id)
    return said.getvalue()


class Referee:
    """The `check` of the pristine notebook, and the record of its verdicts."""

    def __init__(self, student, chapter: dict, submitted: Submitted, seed: str):
        self.student, self.submitted, self.steps = student, submitted, submitted.steps
        self.whose = seed  # of the student's variants
        self.exercises = [find(id) for id in chapter["exercises"]]
        self.hidden, self.version = chapter["hidden"], chapter["version"]
        self.verdicts: dict[str, dict] = {}

    def ask(self) -> None:
        """Ask about every exercise, in the order of the student's notebook: where the learner did
        and, if need be, where the answer was defined; or else at the end, if it was not there."""
        asked = []
        for exercise in self.exercises:
            if exercise.id in self.submitted.older:
                said = ANOTHERS if self.submitted.is_anothers else OLDER
                self._record(exercise, Verdict(exercise, "incorrect", said, "refused"), 0)
            else:
                asked += [(place, exercise) for place in self.steps.places[exercise.id]]
        for place, exercise in sorted(asked, key=lambda pair: pair[0]):
            if self._status(exercise) not in ACCEPTED:
                self._record(exercise, *self._judged_at(place, exercise))
        for exercise in self.exercises:
            if self._status(exercise) == "not_attempted":
                self._record(exercise, *self._judged_at(len(self.steps.cells), exercise))

    def check(self, id: str) -> None:
        """Print the verdict of an exercise: nbval compares it with what the solution's was."""
        verdict = self.verdicts[id]
        print(id, verdict["status"])
        if verdict["status"] not in ACCEPTED:
            print(verdict["message"])

    def _status(self, exercise) -> str:
        return self.verdicts.get(exercise.id, {}).get("status", "")

    def _record(self, exercise, verdict, points):
        self.verdicts[exercise.id] = {
            "status": verdict.status, "cause": verdict.cause, "points": points,
            "message": verdict.message[:MAX_MESSAGE],  # it may quote a student's text of any length
            "told": verdict.told, "printed": verdict.printed}

    def _judged_at(self, place: int, exercise) -> tuple[Verdict, int]:
        """The verdict and the points after so many cells. If the process ends, and an answer
        before this one may have left behind what ended it, the question is put once more."""
        self.student.advance(place)
        others, self.student.questioned = self.student.questioned, True
        judged = self._judge(exercise)
        if others and self.student.died:
            self.student.advance(place)
            judged = self._judge(exercise)
        return judged

    def _judge(self, exercise) -> tuple[Verdict, int]:
        """The verdict and the points of an exercise, in the student's present state."""
        # Fresh inputs for each file, the same whenever it is graded: an answer that was fitted to
        # the inputs changes the file, and so the inputs. They depend on the solutions as well,
        # which a student does not have: nobody can search for a file with easy inputs.
        text = f"{exercise.id} {self.submitted.digest} {self.version}"
        seed = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)
        if self.student.left <= 0:
            return Verdict(exercise, "incorrect", OUT_OF_TIME, "timeout"), 0
        with self.student.time() as seconds:
            try:
                return bounded(lambda: self._asked(exercise, seed, seconds), seconds + 2 * GRACE)
            except TimeIsUp:
                said = TOO_LONG.format(f"{seconds:g}")
                return Verdict(exercise, "incorrect", said, "timeout"), 0

    def _asked(self, exercise, seed, seconds) -> tuple[Verdict, int]:
        names = RemoteNamespace(self.student.request, exercise.id, seconds)
        verdict, points = judge(exercise, names, seed, seconds, self.whose), exercise.points
        if not verdict.accepted:
            return self._reason(exercise, verdict), 0
        for hidden in self.hidden.get(exercise.id, []):
            secret = hidden_checks.judged(exercise, hidden, names, seed, self.whose)
            if not secret.accepted:
                points = max(points - hidden["worth"], 0)
                verdict = replace(verdict, status="incorrect", message=hidden_checks.FAILED)
        return verdict, points

    def _reason(self, exercise, verdict) -> Verdict:
        """The verdict; or, if the cell that should have defined the answer failed, that."""
        if verdict.status != "not_attempted" and verdict.cause != "error":
            return verdict
        cells, failures = self.steps.cells[:self.student.wanted], self.student.failures
        mine = [n for n, cell in enumerate(cells) if cell.id == answer_cell(exercise.id)
                or self.steps.binds[n].intersection(exercise.names)]
        if verdict.cause == "error":
            mine = mine[-1:]  # what an earlier cell said no longer counts: this one defined it
        if failed := [n for n in mine if n in failures]:
            return replace(verdict, status="incorrect", cause=failures[failed[-1]][0],
                           message=self._failure(failed[-1]))
        missing = MISSING.search(verdict.message)
        helpers = self.steps.defining([missing[1]]) if missing else []
        if failed := [n for n in helpers if n in failures and n < len(cells)]:
            return replace(verdict, message=f"{verdict.message}: {self._failure(failed[-1])}")
        return verdict

    def _failure(self, number: int) -> str:
        first_line = self.steps.cells[number].source.strip().partition("\n")[0]
        return (f"the cell that begins {first_line[:60]!r} failed: "
                f"{self.student.failures[number][1]}")


def changed_since(notebook: dict, chapter: dict, seed: str = "") -> list[str]:
    """The exercises whose text or stub differs between the notebook's hand-out and today's, in the
    variants of `seed`; what has only got another number since 0.1.0 is the same."""
    then, now = stamp_of(notebook).get("cells"), chapter["stamp"].get("cells", {})
    if not isinstance(then, dict):
        return []  # no stamp: some platforms take it off
    texts = {"ex": chapter["tasks"], "ans": chapter["stubs"]}
    older = is_of_the_first_edition(notebook)

    def is_as_then(kind, id):
        cell = f"{kind}-{id.replace('.', '-')}"
        text = variants.text(find(id), seed, texts[kind].get(id, "")) if seed else ""
        if cell not in now or then.get(cell) == (print_of(text) if text else now[cell]):
            return True
        return older and then.get(cell) == print_of(in_old_numbers(texts[kind].get(id, "")))

    return [id for id in chapter["exercises"] if not (is_as_then("ex", id)
                                                      and is_as_then("ans", id))]


def answers(steps: Plan, names: dict) -> dict[str, str]:
    """By exercise, the cells that define what it asks for: to compare, and to mark by hand."""
    return {id: "\n".join(steps.cells[n].source for n in steps.defining(names[id])
                          if not steps.cells[n].given)[:MAX_ANSWER] for id in names}
