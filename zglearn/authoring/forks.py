"""Run code that may never end: each call in a process of its own, bounded in time and memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait

with contextlib.suppress(ImportError):  # there is none on Windows, where there is no fork either
    import resource

MEMORY = 2**30  # bytes that a call may take beyond what its process begins with
DIED = "the process ended"
LATE = "the process was ended: it ran too long"


def forked(function: Callable, items: Iterable, workers: int, seconds: float) -> Iterator[tuple]:
    """Yield (item, ``function(item)``) as they come; DIED or LATE for a process that gave nothing.

    A fork has all that this process has, and gives back plain data; what it changes is lost.
    """
    context, waiting, running = multiprocessing.get_context("fork"), iter(items), {}
    while True:
        while len(running) < workers and (item := next(waiting, running)) is not running:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(function, item, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = item, process, time.monotonic() + seconds
        if not running:
            return
        ready = wait(list(running), timeout=0.2)
        for pipe, (item, process, deadline) in list(running.items()):
            if pipe not in ready and time.monotonic() < deadline:
                continue
            result = LATE
            if pipe in ready:
                try:
                    result = pipe.recv()
                except (EOFError, OSError):
                    result = DIED
            process.kill()
            process.join()
            pipe.close()
            del running[pipe]
            yield item, result


def _work(function, item, pipe):
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        if "resource" in globals():
            with open("/proc/self/statm") as file:
                now = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
        pipe.send(function(item))
        os._exit(0)
