"""A time limit that the kernel survives: for learners' code, which may loop for ever."""

from __future__ import annotations

import signal
import threading

from zglearn.interruption import AGAIN, interrupt

PATIENCE = 2  # seconds in which an interrupted thread should have ended


class TimeIsUp(BaseException):
    """Raised inside code that ran too long. Not an Exception: `except Exception` lets it pass."""


def bounded(function, seconds: float):
    """Call ``function()``; if it is not done after `seconds`, stop it and raise TimeIsUp."""
    on_main = threading.current_thread() is threading.main_thread()
    if on_main and hasattr(signal, "setitimer"):
        return _by_signal(function, seconds)
    return _by_thread(function, seconds)


def _by_signal(function, seconds):
    def ring(signum, frame):
        raise TimeIsUp

    handler = signal.signal(signal.SIGALRM, ring)
    rest, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        try:
            return function()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, rest, interval)
        signal.signal(signal.SIGALRM, handler)


def _by_thread(function, seconds):
    """Where there are no signals (Windows, a thread of a server): interrupt a helper thread."""
    outcome = {}

    def work():
        try:
            outcome["result"] = function()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    interrupt(thread, TimeIsUp, PATIENCE)
    if thread.is_alive() or isinstance(outcome.get("error"), TimeIsUp):
        raise TimeIsUp
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]
