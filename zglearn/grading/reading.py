"""What is done with handed-in bytes before they are graded, done where it may fail: in a process of
its own, with bounds, that goes on with the next file if one was too much for it."""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator

from zglearn.exercises.limits import TimeIsUp

from . import sandbox
from .wire import Wire, WireBroken

SECONDS = 20  # for one file
MEMORY = 3 * 2**29  # bytes for one file, beyond what this process has
TOO_SLOW = "to read it takes more than {:g} seconds"
TOO_LARGE = "to read it takes more than {} MB of memory"
ENDED = "it ended the process that read it"


def each(function: Callable, items: Iterable, seconds: float = SECONDS,
         memory: int = MEMORY) -> Iterator[tuple]:
    """``(item, found, why)`` for each item: `found` has all that ``function(item)`` yielded, dicts
    for JSON, as one dict; `why` says what ended it, and is empty if nothing did."""
    items = list(items)
    while items:
        near, far = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            near.close()
            _work(function, items, far, memory)
        far.close()
        try:
            with near:
                wire, why = Wire(near), ""
                while items and not why:
                    found, why = _received(wire, time.monotonic() + seconds, seconds)
                    yield items.pop(0), found, why
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _received(wire: Wire, deadline: float, seconds: float) -> tuple[dict, str]:
    found = {}
    while True:
        try:
            part, _ = wire.receive(deadline)
        except TimeIsUp:
            return found, TOO_SLOW.format(seconds)
        except (EOFError, WireBroken):
            return found, ENDED
        if "end" in part:
            return found, part["end"]
        found |= part


def _work(function, items, sock, memory):
    """The child's part. It never returns."""
    try:
        gc.freeze()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sandbox.die_with_parent()
        sandbox.limit_memory(memory)
        wire = Wire(sock)
        for item in items:
            why = ""
            try:
                for part in function(item):
                    wire.send(part)
            except MemoryError:
                why = TOO_LARGE.format(memory >> 20)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
            wire.send({"end": why})
    finally:
        os._exit(0)
