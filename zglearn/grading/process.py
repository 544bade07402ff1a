"""The referee's hold on a student's process: it runs cells, asks, and starts another if it dies."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable

from zglearn.exercises.answer import AnswerFailed
from zglearn.exercises.limits import TimeIsUp

from .wire import GRACE, EngineFailed, Wire, WireBroken

START = 30  # seconds that a process may take to start, or to end
TOO_MUCH = {b"memory": "and the processes that it started held more memory than they may",
            b"disk": "filled its folder with more than it may hold"}
OUT_OF_TIME = "The time for the whole notebook was used up before this."


class Student:
    """A student's sandboxed process: runs the cells in order, answers, and is replaced if it dies.

    A cell or an answer that hangs is interrupted; one that cannot be interrupted, or that ends the
    process, costs the process: another takes its place and runs the earlier cells again without
    the one that did it. So what comes after keeps its marks.

    An answer can leave a thread or a process behind that ends all of this later. So whoever is
    `questioned` when it `died` may be innocent if others were before, and gets another trial.
    """

    def __init__(self, cells: list, launch: Callable, job: dict):
        self.cells, self.launch = cells, launch
        self.timeout, self.left = job["timeout"], job["budget"]
        self.rules = {"layers": job["layers"], "memory": job["memory"],
                      "probe": job.get("probe", False)}
        self.wire = self.lifeline = None
        self.asked = 0  # requests so far: an answer says which one it answers
        self.asking = False  # whether its last message was a question
        self.questioned = self.died = False
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
        if self.asking:
            self.stop()  # the check gave up while this waits for an answer: they are out of step
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
        if self.wire is None:
            raise AnswerFailed(f"The answer {self.stop()}")
        try:
            return self._exchange(message, buffers, deadline)
        except (EOFError, OSError):
            self.died = True
            raise AnswerFailed(f"The answer {self.stop()}") from None
        except (TimeIsUp, WireBroken):
            self.stop()
            raise

    def _exchange(self, message, buffers, deadline):
        if "do" in message:
            self.asked += 1
            message = message | {"to": self.asked}
        self.wire.send(message, buffers)
        reply, buffers = self.wire.receive(deadline)
        self.asking = "number" in reply
        if not self.asking and reply.get("to") != self.asked:
            raise WireBroken("it answers a question that was not asked")
        return reply, buffers

    def _catch_up(self):
        while self.wire is None or self.done < self.wanted:
            if self.wire is None:
                with self.time():
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
                message = {"do": "run", "source": self.cells[number].source, "seconds": seconds}
                said, _ = self._exchange(message, [], time.monotonic() + seconds + GRACE)
            except (EOFError, OSError):
                how = self.stop()
                if not self.questioned:  # or it is run again
                    self._lose(number, "error", f"it {how}")
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
        self.questioned = self.died = False
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
        self.wire, self.asking = None, False
        with self.lifeline as lifeline:
            lifeline.shutdown(socket.SHUT_WR)
            lifeline.settimeout(START)
            said = lifeline.recv(20)
        if said in TOO_MUCH:
            return TOO_MUCH[said]
        status = int(said or 70)
        if status < 0:
            return f"was ended by a signal ({signal.strsignal(-status)})"
        return f"ended its whole process (exit status {status})"
