"""Work that must not freeze the notebook: bounded, stoppable, and never about an old question."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable

from ..interruption import interrupt

PACKET = 0.04  # answers to questions asked ahead travel together, so many seconds' worth at a time
AHEAD = 3.0  # so many seconds of work are done for answers that nobody waits for yet
PAUSE = 0.03  # before that work begins: the threads that send the first answer need the GIL
LOOK = 0.05  # how often running work is looked after
PATIENCE = 10.0  # seconds in which work that was given up should have ended
IDLE = 10.0  # after so many seconds without a question the thread ends


class Interrupted(BaseException):
    """Raised inside work that was given up. Not an Exception, so that methods do not catch it."""


class Stopped(Exception):
    """The learner pressed stop."""


class Stale(Exception):
    """Nobody waits for the answer any more."""


class Bounded:
    """Runs pieces of work, one at a time, each in a thread of its own that can be given up."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._outcome: queue.SimpleQueue | None = None

    def __call__(self, work: Callable, stale: Callable = lambda: False):
        """What ``work()`` returns or raises; TimeoutError after ``seconds``, Stopped by `stop`,
        Stale when ``stale()`` becomes true.

        Work that was given up is interrupted at its next Python instruction, and again if it
        catches that. A call into C that never returns cannot be: its thread is left behind.
        """
        outcome = self._outcome = queue.SimpleQueue()

        def job():
            try:
                outcome.put((work(), None))
            except BaseException as error:  # handed on to whoever waits
                outcome.put((None, error))

        thread = threading.Thread(target=job, daemon=True)
        thread.start()
        value, error = self._wait(outcome, stale)
        if isinstance(error, TimeoutError | Stopped | Stale):
            threading.Thread(target=interrupt, args=[thread, Interrupted, PATIENCE],
                             daemon=True).start()
        if error is not None:
            raise error
        return value

    def _wait(self, outcome, stale):
        end = time.monotonic() + self.seconds
        while (left := end - time.monotonic()) > 0:
            try:
                return outcome.get(timeout=min(left, LOOK))
            except queue.Empty:
                if stale():
                    return None, Stale()
        return None, TimeoutError(f"took longer than {self.seconds:g} seconds and was stopped")

    def stop(self) -> None:
        """Give up what is running now."""
        if self._outcome is not None:
            self._outcome.put((None, Stopped("stopped")))


class Worker:
    """Answers the newest questions; whatever is older and not yet begun is dropped.

    ``answer(question)`` computes, or returns None if it gave up a stale question;
    ``send(answers)`` delivers. Both run in the worker's thread.
    """

    def __init__(self, answer: Callable, send: Callable):
        self._answer, self._send = answer, send
        self._wish: tuple[list, list, list] | None = None
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._seconds: dict = {}  # what each part's last answer took: quick ones go first
        self._present = (None, 0.0)  # the question that is being answered, and its time is up when

    def ask(self, now: list, line: list, soon: list = ()) -> None:
        """Questions whose answers are waited for, a line of questions that may come next, and some
        that are likely to: they are answered before the line."""
        with self._lock:
            self._wish = (now, soon, line)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._lock.notify()

    def stale(self) -> bool:
        """Whether the present question has had its time and nobody waits for it any more."""
        (question, until), wish = self._present, self._wish
        return wish is not None and question not in wish[0] and time.perf_counter() > until

    def _wished(self, within: float) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: self._wish is not None, timeout=within)

    def _run(self) -> None:
        while True:
            wished = self._wished(within=IDLE)
            with self._lock:
                if not wished and self._wish is None:
                    self._thread = None
                    return
                (now, soon, line), self._wish = self._wish, None
            now.sort(key=lambda question: self._seconds.get(question[1], 0))
            self._deliver(now, patience=0.5)
            if not self._wished(within=PAUSE):
                self._deliver(soon, patience=0)
                self._deliver(line, patience=0, limit=AHEAD)

    def _deliver(self, questions, patience, limit=math.inf) -> None:
        """Answer in packets, for at most ``limit`` seconds; a newer wish ends it after
        ``patience`` seconds."""
        begun = posted = time.perf_counter()
        answers = []
        for question in questions:
            start = time.perf_counter()
            if start - begun > (patience if self._wish else limit):
                break
            if answers and self._seconds.get(question[1], math.inf) > PACKET:
                self._send(answers)  # what is ready does not wait for what is slow
                answers, posted = [], start
            self._present = question, start + patience
            answer = self._answer(question)
            answers += [answer] * (answer is not None)
            end = time.perf_counter()
            self._seconds[question[1]] = end - start
            if end - posted > PACKET:
                self._send(answers)
                answers, posted = [], end
        if answers:
            self._send(answers)
