"""The referee: nbval runs the pristine notebook of checks, and asks the student's process.

The notebook that nbval runs is made from solutions/ and holds a check cell for each exercise, with
the output that the course's own solution gives. Its `check` asks the student's names over the
wire; no student's code runs here. An exercise gets its marks if its check accepted it *and* nbval
passed its cell: a cell that is missing, skipped or expected to fail is never a pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import signal
import socket
import tempfile
import time
import traceback
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from queue import Empty

import nbval.plugin
import pytest
from nbval.kernel import RunningKernel

from . import grade_hidden
from .answer import AnswerFailed
from .exercise import Verdict, find, judge
from .grade_course import use_course
from .grade_engine import EngineFailed
from .grade_notebook import Plan, Unreadable, binding, plan, read_notebook
from .grade_wire import GRACE, RemoteNamespace, Wire, WireBroken
from .limits import TimeIsUp, bounded

ACCEPTED = ("correct", "answered")
MAX_ANSWER = 20_000  # characters of an answer that are kept
START = 30  # seconds that a student's process may take to start
OUT_OF_TIME = "The time for the whole notebook was used up before this."
OLDER = ("This exercise was changed after the hand-out that this notebook comes from, so today's "
         "checks do not fit it. Ask for it to be marked by hand.")


def prepare(course: str) -> None:
    """What is done once, before the forks."""
    use_course(course)
    nbval.plugin.RunningKernel = Kernel


def grade(job: dict, data: bytes, launch) -> dict:
    """Grade one notebook: verdicts by exercise, nbval's outcomes, its JUnit report.

    `job` holds a chapter of `grade_course`, the limits and the sandbox's layers; with "key" it
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
    passed = {id: outcomes.get(n) == "passed" for n, id in enumerate(chapter["exercises"])}
    accepted = {id: v["status"] in ACCEPTED for id, v in referee.verdicts.items()}
    if passed != accepted:
        raise EngineFailed(f"nbval passed {passed}, and the checks accepted {accepted}")
    return {"verdicts": referee.verdicts, "junit": named(junit, chapter),
            "answers": answers(steps, names)}


def _output_of(referee, id):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        referee.check(id)
    return said.getvalue()


class Referee:
    """The `check` of the pristine notebook, and the record of its verdicts."""

    def __init__(self, student, chapter: dict, steps: Plan, older: list[str], digest: str):
        self.student, self.steps, self.older, self.digest = student, steps, older, digest
        self.hidden = chapter["hidden"]
        self.verdicts: dict[str, dict] = {}

    def check(self, id: str) -> None:
        """Ask about an exercise where the learner did and, if need be, where it was defined."""
        exercise, points = find(id), 0
        if id in self.older:
            verdict = Verdict(exercise, "incorrect", OLDER, "refused")
        else:
            for place in self.steps.places[id]:
                self.student.advance(place)
                verdict, points = self._judge(exercise)
                if verdict.accepted:
                    break
        print(id, verdict.status)
        if not verdict.accepted:
            print(verdict.message)
        self.verdicts[id] = {"status": verdict.status, "cause": verdict.cause, "points": points,
                             "message": verdict.message, "printed": verdict.printed}

    def _judge(self, exercise) -> tuple[Verdict, int]:
        """The verdict and the points of an exercise, in the student's present state."""
        # Fresh inputs for each file, the same whenever it is graded: an answer that was fitted to
        # the inputs changes the file, and so the inputs.
        seed = int(hashlib.sha256(f"{exercise.id} {self.digest}".encode()).hexdigest()[:16], 16)
        if self.student.left <= 0:
            return Verdict(exercise, "incorrect", OUT_OF_TIME, "timeout"), 0
        with self.student.time() as seconds:
            names = RemoteNamespace(self.student.request, exercise.id, seconds)
            verdict = bounded(lambda: judge(exercise, names, seed), seconds + 2 * GRACE)
            if not verdict.accepted:
                return self._reason(exercise, verdict), 0
            points = exercise.points
            for hidden in self.hidden.get(exercise.id, []):
                secret = grade_hidden.judged(exercise, hidden, names, seed)
                if not secret.accepted:
                    points = max(points - hidden["worth"], 0)
                    verdict = replace(verdict, status="incorrect", message=grade_hidden.FAILED)
        return verdict, points

    def _reason(self, exercise, verdict) -> Verdict:
        """The verdict; or, if the cell that should have defined the answer failed, that."""
        if verdict.status != "not_attempted" and verdict.cause != "error":
            return verdict
        for number, (kind, message) in sorted(self.student.failures.items()):
            source = self.steps.cells[number].source
            if any(name in source for name in exercise.names):
                where = f"the cell that begins {source.strip().splitlines()[0][:60]!r}"
                return replace(verdict, status="incorrect", cause=kind,
                               message=f"{where} failed: {message}")
        return verdict


class Student:
    """A student's sandboxed process: runs the cells in order, answers, and is replaced if it dies.

    A cell or an answer that hangs is interrupted; one that cannot be interrupted, or that ends the
    process, costs the process: another takes its place and runs the earlier cells again without
    the one that did it. So what comes after keeps its marks.
    """

    def __init__(self, cells: list, launch, job: dict):
        self.cells, self.launch = cells, launch
        self.timeout, self.left = job["timeout"], job["budget"]
        self.rules = {"layers": job["layers"], "memory": job["memory"],
                      "probe": job.get("probe", False)}
        self.wire = self.lifeline = None
        self.wanted = self.done = 0
        self.failures: dict[int, tuple[str, str]] = {}
        self.lost: set[int] = set()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()

    def advance(self, place: int) -> None:
        """Have at least the first `place` cells run."""
        self.wanted = max(self.wanted, place)
        self._catch_up()

    @contextlib.contextmanager
    def time(self):
        """The seconds that a task may take; what it takes is taken off the notebook's time."""
        began = time.monotonic()
        try:
            yield max(min(self.timeout, self.left), 0.01)
        finally:
            self.left -= time.monotonic() - began

    def request(self, message: dict, buffers: list, deadline: float) -> tuple[dict, list]:
        """Send to the process and return its answer. Raises AnswerFailed if the process ends."""
        try:
            if self.wire is None:
                raise EOFError
            self.wire.send(message, buffers)
            return self.wire.receive(deadline)
        except (EOFError, OSError):
            raise AnswerFailed(f"The answer {self.stop()}") from None
        except (TimeIsUp, WireBroken):
            self.stop()
            raise

    def _catch_up(self):
        while self.wire is None or self.done < self.wanted:
            if self.wire is None:
                self.start()
            elif self.done in self.lost:
                self.done += 1
            elif self.left <= 0:
                self._lose(self.done, "timeout", OUT_OF_TIME)
            else:
                self._run(self.done)

    def _run(self, number):
        with self.time() as seconds:
            try:
                self.wire.send({"do": "run", "source": self.cells[number].source,
                                "seconds": seconds})
                said, _ = self.wire.receive(time.monotonic() + seconds + GRACE)
            except (EOFError, OSError):
                self._lose(number, "error", f"it {self.stop()}")
            except TimeIsUp:
                self.stop()
                self._lose(number, "timeout", f"ran for more than {seconds:g} seconds")
            except WireBroken as error:
                self.stop()
                self._lose(number, "refused", str(error))
            else:
                self.done += 1
                if said.get("failed") in ("error", "timeout"):
                    self.failures[number] = said["failed"], str(said.get("message"))[:500]

    def _lose(self, number, kind, message):
        self.lost.add(number)
        self.failures[number] = kind, message

    def start(self) -> dict[str, str]:
        """Start the process. Returns the layers of the sandbox that failed: none, unless asked."""
        seconds = max(int(self.left), 0) + 5
        wire, self.lifeline = self.launch({**self.rules, "seconds": seconds})
        self.wire, self.done = Wire(wire), 0
        try:
            ready, _ = self.wire.receive(time.monotonic() + START)
        except (TimeIsUp, EOFError, WireBroken) as error:
            raise EngineFailed(f"the student's process did not start: it {self.stop()}") from error
        return ready["ready"]

    def stop(self) -> str:
        """End the process and all that it started. Returns how it had ended, as a predicate."""
        if self.wire is None:
            return "had ended"
        self.wire.sock.close()
        self.wire = None
        with self.lifeline as lifeline:
            lifeline.shutdown(socket.SHUT_WR)
            lifeline.settimeout(START)
            status = int(lifeline.recv(20) or 70)
        if status < 0:
            return f"was ended by the signal {signal.Signals(-status).name}"
        return f"ended its whole process (exit status {status})"


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


# --- nbval ------------------------------------------------------------------------------------


def named(junit: str, chapter: dict) -> str:
    """The report with the exercises' names in the place of cell numbers."""
    report = ElementTree.fromstring(junit)
    for case in report.iter("testcase"):
        id = chapter["exercises"][int(case.get("name").rsplit(" ", 1)[1])]
        case.set("name", f"{id} {find(id).title}")
        case.set("classname", chapter["name"])
    return ElementTree.tostring(report, "unicode")


def run_nbval(notebook: str, names: dict, timeout: float) -> tuple[dict[int, str], str]:
    """Run nbval on a notebook: the outcome of each code cell, and the JUnit report."""
    Kernel.names = names
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        path, junit = os.path.join(folder, "checks.ipynb"), os.path.join(folder, "junit.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(notebook)
        arguments = ["--nbval", "--nbval-current-env", f"--nbval-cell-timeout={timeout}",
                     f"--junitxml={junit}", f"--rootdir={folder}", f"--confcutdir={folder}",
                     "-c", os.devnull, "-s", path, "-p", "nbval.plugin"]
        for plugin in ("cacheprovider", "unraisableexception", "threadexception"):
            arguments += ["-p", f"no:{plugin}"]  # the last two collect garbage for 50 ms
        with contextlib.redirect_stdout(io.StringIO()):
            pytest.main(arguments, plugins=[outcomes])
        with open(junit, encoding="utf-8") as file:
            return outcomes.cells, file.read()


class Outcomes:
    """A pytest plugin that keeps the outcome of each cell: "passed", or why it is not a pass."""

    def __init__(self):
        self.cells: dict[int, str] = {}

    def pytest_runtest_logreport(self, report):
        number = int(report.nodeid.rsplit(" ", 1)[1])
        outcome = "xfail" if hasattr(report, "wasxfail") else report.outcome
        if report.when == "call" or outcome != "passed":
            self.cells[number] = outcome


class Kernel(RunningKernel):
    """A kernel for nbval that runs the (trusted) cells in this process: no ports, no start-up."""

    names: dict = {}

    def __init__(self, *args, **kwargs):
        self.count, self.alive = 0, True
        self.messages = {"shell": [], "iopub": []}

    def is_alive(self):
        return self.alive

    def execute_cell_input(self, cell_input, allow_stdin=None):
        self.count += 1
        id = str(self.count)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                exec(compile(cell_input, f"<cell {id}>", "exec"), self.names)
                error = None
            except Exception as raised:
                error = raised
        if printed.getvalue():
            self._say("iopub", id, "stream", name="stdout", text=printed.getvalue())
        if error is not None:
            self._say("iopub", id, "error", ename=type(error).__name__, evalue=str(error),
                      traceback=traceback.format_exception(error))
        self._say("iopub", id, "status", execution_state="idle")
        self._say("shell", id, "execute_reply", status="error" if error else "ok")
        return id

    def _say(self, channel, id, kind, **content):
        self.messages[channel].append(
            {"parent_header": {"msg_id": id}, "msg_type": kind, "content": content})

    def get_message(self, stream, timeout=None):
        if not self.messages[stream]:
            raise Empty
        return self.messages[stream].pop(0)

    def interrupt(self):
        pass

    def stop(self):
        self.alive = False
