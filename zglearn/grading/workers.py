"""Grade many notebooks at once: threads here that each wait for a forked referee, or a cluster."""

from __future__ import annotations

import atexit
import json
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from joblib import Parallel, delayed, parallel_config

from .checks import bank_digest, use_course
from .engine import Engine, RefereeDied
from .inputs import File
from .wire import EngineFailed

ATTEMPTS = 3
_engines: dict[str, Engine] = {}
_starting = threading.Lock()


class NoCluster(Exception):
    """The cluster cannot be used; the message says what to do."""


class ClusterLost(Exception):
    """The cluster went away; the message says what to do."""


def engine(settings: dict) -> Engine:
    """This process's engine, started when it is first needed, or again after it died."""
    key = json.dumps(settings, sort_keys=True)
    with _starting:
        if key in _engines and _engines[key].dead:
            _engines.pop(key).close()
        if key not in _engines:
            _engines[key] = Engine(**settings)
        return _engines[key]


@atexit.register
def close_engines() -> None:
    """End the engines of this process, and with them all that they started."""
    with _starting:
        while _engines:
            _, last = _engines.popitem()
            last.wanted = False
            last.close()


def attempt(settings: dict, job: dict, notebook: File | bytes) -> dict:
    """Grade one notebook. What goes wrong on the grader's side is tried again, then reported as
    {"failed": reason}; a notebook that ends its referee each time is refused."""
    use_course(settings["course"])
    if "chapter" in job and job["chapter"]["bank"] != bank_digest(job["chapter"]["name"][:2]):
        return {"failed": "this machine has another version of the course's checks"}
    reasons = []
    for _ in range(ATTEMPTS):
        used = engine(settings)
        try:
            return used.grade(job, notebook)
        except EngineFailed as error:
            reasons.append(error)
        if not used.wanted:
            break  # the run was stopped: no other engine shall start
    died = len(reasons) == ATTEMPTS and all(isinstance(each, RefereeDied) for each in reasons)
    return {"refused" if died else "failed": str(reasons[-1])}


def grade_submission(settings: dict, job: dict, files: list[File], unusable=None) -> dict:
    """Grade what a student handed in for a chapter; `unusable` is (name, why not), if that is all.

    Of several notebooks the one with the most points counts, the newest if they are equal.
    """
    best = {"absent": True}
    if unusable:
        best = {"file": unusable[0], "refused": unusable[1]}
    for file in files:
        result = attempt(settings, job, file) | {"file": file.name}
        if "failed" in result:
            return result
        if best.get("absent") or _points(result) > _points(best):
            best = result
    return best | {"files": len(files)}


def _points(result) -> float:
    return sum(v["points"] for v in result.get("verdicts", {}).values())


@contextmanager
def pool(jobs: int, scheduler: str = "") -> Iterator[Callable]:
    """``run(function, tasks)`` yields (label, function(*task)) for each (label, *task), as it ends.

    With `scheduler`, the address of a Dask scheduler, they run on its workers; this needs the
    package `distributed` here, and there the course and the submissions under the same paths.
    """
    def run(function: Callable, tasks: Iterable[tuple]) -> Iterator[tuple]:
        return Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(
            delayed(_labelled)(function, *task) for task in tasks)

    if not scheduler:
        warnings.filterwarnings("ignore", r"\d+ tasks which were still being processed")  # Ctrl-C
        try:
            with parallel_config(backend="threading"):
                yield run
        finally:
            close_engines()
        return
    with _client(scheduler) as client:
        jobs = sum(client.nthreads().values())
        if not jobs:
            raise NoCluster(f"the scheduler at {scheduler} has no workers: start some, with "
                            f"`python -m dask worker {scheduler}` in the folder of the course")
        try:
            with parallel_config(backend="dask", client=client):
                yield lambda function, tasks: _unless_lost(run(function, tasks), scheduler)
        finally:
            with suppress(Exception):  # it is lost: so are its engines
                client.run(close_engines)


def _unless_lost(results: Iterator[tuple], scheduler: str) -> Iterator[tuple]:
    try:
        yield from results
    except Exception as error:
        raise ClusterLost(f"the cluster at {scheduler} was lost ({type(error).__name__}: {error}). "
                          "What was graded before is safe: mend it, then run the same command "
                          "again.") from error


def _client(scheduler: str):
    try:
        from distributed import Client
    except ImportError:
        raise NoCluster("--scheduler needs one more package: "
                        f"{sys.executable} -m pip install distributed") from None
    try:
        return Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise NoCluster(f"no Dask scheduler answers at {scheduler} ({error}): start one with "
                        "`python -m dask scheduler`, and give the address that it prints") from None


def _labelled(function, label, *task):
    return label, function(*task)
