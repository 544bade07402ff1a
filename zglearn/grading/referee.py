"""The referee: nbval runs the pristine notebook of checks, and asks the student's process.

The notebook that nbval runs is made from solutions/ and holds a check cell for each exercise, with
the output that the course's own solution gives. Its `check` asks the student's names over the
wire; no student's code runs here. An exercise gets its marks if its check accepted it *and* nbval
passed its cell: a cell that is missing, skipped or expected to fail is never a pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import re
from dataclasses import replace

from zglearn.exercises import hidden as hidden_checks
from zglearn.exercises.exercise import TOO_LONG, Verdict, find, judge, load
from zglearn.exercises.limits import TimeIsUp, bounded

from .checks import OLDER, USED_LATER, checks_notebook
from .nbval_run import named, run_nbval
from .notebook import Plan, Unreadable, answer_cell, binding, plan, read_notebook
from .process import OUT_OF_TIME, Student
from .wire import GRACE, EngineFailed, RemoteNamespace

ACCEPTED = ("correct", "answered")
MAX_ANSWER = 20_000  # characters of an answer that are kept
MAX_MESSAGE = 2_000


def warm_up(chapters: list[str]) -> None:
    """Load and compile once, before the forks, what each of them would load and compile."""
    for chapter in chapters:
        load(chapter)
    for name in USED_LATER["numpy"]:
        importlib.import_module(name)
    run_nbval(json.dumps(checks_notebook(["warm"], {"warm": "warm\n"})), {"check": print}, 1)


def grade(job: dict, data: bytes, launch) -> dict:
    """Grade one notebook: verdicts by exercise, nbval's outcomes, its JUnit report.

    `job` holds a chapter of `checks`, the limits and the sandbox's layers; with "key" it
    asks what the checks print (for the course's own solution), with "probe" which layers fail.
    """
    if job.get("probe"):
        with Student([], launch, job) as student:
            return {"off": student.start()}
    chapter = job["chapter"]
    names = {id: find(id).names for id in chapter["exercises"]}
    try:
        notebook = read_notebook(data)
        steps = plan(notebook, chapter["given"], names)
    except Unreadable as reason:
        return {"refused": str(reason)}
    older = [] if job["accept_older"] else changed_since(notebook, chapter)
    with Student(steps.cells, launch, job) as student:
        referee = Referee(student, chapter, steps, older, hashlib.sha256(data).hexdigest())
        if job.get("key"):
            said = {id: _output_of(referee, id) for id in chapter["exercises"]}
            return {"verdicts": referee.verdicts, "said": said}
        outcomes, junit = run_nbval(chapter["notebook"], {"check": referee.check}, job["timeout"])
    if referee.failure:
        raise referee.failure
    passed = {id: outcomes.get(n) == "passed" for n, id in enumerate(chapter["exercises"])}
    accepted = {id: v["status"] in ACCEPTED for id, v in referee.verdicts.items()}
    if passed != accepted:
        raise EngineFailed(f"nbval passed {passed}, and the checks accepted {accepted}")
    titles = [f"{id} {find(id).title}" for id in chapter["exercises"]]
    return {"verdicts": referee.verdicts, "junit": named(junit, chapter["name"], titles),
            "answers": answers(steps, names)}


def _output_of(referee, id):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        referee.check(id)
    return said.getvalue()


class Referee:
    """The `check` of the pristine notebook, and the record of its verdicts."""

    def __init__(self, student, chapter: dict, steps: Plan, older: list[str], digest: str):
        self.student, self.steps, self.older, self.digest = student, steps, older, digest
        self.hidden, self.version = chapter["hidden"], chapter["version"]
        self.verdicts: dict[str, dict] = {}
        self.failure: EngineFailed | None = None

    def check(self, id: str) -> None:
        """Ask about an exercise, print the verdict and record it."""
        try:
            self._check(find(id))
        except EngineFailed as failure:  # nbval would report it as a wrong answer
            self.failure = failure
            raise

    def _check(self, exercise) -> None:
        """Ask where the learner did and, if need be, where the answer was defined."""
        id, points = exercise.id, 0
        if id in self.older:
            verdict = Verdict(exercise, "incorrect", OLDER, "refused")
        else:
            for place in self.steps.places[id]:
                verdict, points = self._judged_at(place, exercise)
                if verdict.accepted:
                    break
        message = verdict.message[:MAX_MESSAGE]  # it may quote a student's text of any length
        print(id, verdict.status)
        if not verdict.accepted:
            print(message)
        self.verdicts[id] = {"status": verdict.status, "cause": verdict.cause, "points": points,
                             "message": message, "printed": verdict.printed}

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
        text = f"{exercise.id} {self.digest} {self.version}"
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
        verdict, points = judge(exercise, names, seed, seconds), exercise.points
        if not verdict.accepted:
            return self._reason(exercise, verdict), 0
        for hidden in self.hidden.get(exercise.id, []):
            secret = hidden_checks.judged(exercise, hidden, names, seed)
            if not secret.accepted:
                points = max(points - hidden["worth"], 0)
                verdict = replace(verdict, status="incorrect", message=hidden_checks.FAILED)
        return verdict, points

    def _reason(self, exercise, verdict) -> Verdict:
        """The verdict; or, if the cell that should have defined the answer failed, that."""
        if verdict.status != "not_attempted" and verdict.cause != "error":
            return verdict
        cells = self.steps.cells[:self.student.wanted]
        mine = [n for n, cell in enumerate(cells) if cell.id == answer_cell(exercise.id)
                or re.search(binding(exercise.names), cell.source)]
        if verdict.cause == "error":
            mine = mine[-1:]  # what an earlier cell said no longer counts: this one defined it
        failed = [n for n in mine if n in self.student.failures]
        if not failed:
            return verdict
        kind, message = self.student.failures[failed[-1]]
        first_line = cells[failed[-1]].source.strip().partition("\n")[0]
        return replace(verdict, status="incorrect", cause=kind,
                       message=f"the cell that begins {first_line[:60]!r} failed: {message}")


def changed_since(notebook: dict, chapter: dict) -> list[str]:
    """The exercises whose text or stub differs between the notebook's hand-out and today's."""
    metadata = notebook.get("metadata")
    stamp = metadata.get("zglearn") if isinstance(metadata, dict) else None
    then = stamp.get("cells") if isinstance(stamp, dict) else None
    now = chapter["stamp"].get("cells", {})
    if not isinstance(then, dict):
        return []  # no stamp: some platforms take it off
    return [id for id in chapter["exercises"] for kind in ("ex", "ans")
            if (cell := f"{kind}-{id.replace('.', '-')}") in now and then.get(cell) != now[cell]]


def answers(steps: Plan, names: dict) -> dict[str, str]:
    """By exercise, the cells that define what it asks for: to compare, and to mark by hand."""
    return {id: "\n".join(cell.source for cell in steps.cells if not cell.given
                          and re.search(binding(names[id]), cell.source))[:MAX_ANSWER]
            for id in names}
