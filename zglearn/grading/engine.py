"""The engine of the grader: pre-imported processes that fork a referee and a student per notebook.

    grader ── engine ─┬─ referee    one per submission: nbval runs the pristine notebook of checks
                      └─ nursery ── supervisor ── student    the sandbox: the student's cells

Importing takes seconds and a fork milliseconds, so both sides are forked from processes that have
everything imported. The nursery is forked before anything secret is loaded, and a student is a
child of the nursery: there are no checks in its memory. When the grader dies, the sockets close,
and every process ends.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
from pathlib import Path

from zglearn.exercises.limits import TimeIsUp

from . import sandbox
from .checks import use_course
from .inputs import File
from .reading import ENDED, TOO_LARGE, TOO_SLOW
from .wire import EngineFailed, Wire, WireBroken

REFEREE_MEMORY = 2 * 2**30  # to read the largest notebooks, and not what only looks like one
SLACK = 60  # seconds that a referee may take beyond the student's own time
TOO_LONG = ("to grade it took more than {:g} seconds, so it was stopped: try a larger --timeout, "
            "or mark it by hand")
DIED = "the process that graded it ended, again and again"
MAX_REASON = 500  # characters


class RefereeDied(EngineFailed):
    """A referee ended without a verdict, and its engine lives. Once, that may be an accident; if it
    happens again and again, it is this notebook's doing, and the message says so."""


# --- the grader's end -------------------------------------------------------------------------


class Engine:
    """An engine process. `grade` may be called from several threads; each call is a fork.

    Parameters
    ----------
    course : folder that holds solutions/ (and bank/, for exercises of one's own)
    hidden : folders that no student's code may read
    modules : what the notebooks import
    chapters : numbers of the chapters whose checks will be needed
    """

    def __init__(self, course, hidden=(), modules=(), chapters=()):
        self.dead, self.wanted = False, True
        self.control, far = socket.socketpair()
        settings = json.dumps({"course": str(course), "hidden": list(map(str, hidden)),
                               "modules": list(modules), "chapters": list(chapters)})
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(far.fileno()), settings],
            pass_fds=[far.fileno()], env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, start_new_session=True)
        far.close()

    @staticmethod
    def _environment() -> dict[str, str]:
        """A short list: whatever stands in the environment, a student can read."""
        from zglearn.data.cache import cache_folder

        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TZ", "TMPDIR")
                if name in os.environ}
        usual = sysconfig.get_paths().values()
        path = [str(Path(__file__).resolve().parents[2])]
        path += [p for p in sys.path if p.endswith(sandbox.PACKAGES) and p not in usual]
        return kept | {
            "PYTHONPATH": os.pathsep.join(path), "LANG": "C.UTF-8", "MPLBACKEND": "agg",
            "ZGLEARN_CACHE": str(cache_folder()), "ZGLEARN_PROGRESS": ":memory:",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONWARNINGS": "ignore"}

    def grade(self, job: dict, notebook: File | bytes) -> dict:
        """What the referee says of a notebook; one that takes too long is refused.

        Raises EngineFailed, and RefereeDied if it may be the notebook's doing.
        """
        near, far = socket.socketpair()
        limit, why = job["timeout"] + SLACK, ""
        is_file = isinstance(notebook, File)
        try:
            with near:
                with far:
                    socket.send_fds(self.control, [b"j"], [far.fileno()])
                wire, began = Wire(near), time.monotonic()
                wire.send({"job": job, "file": [str(notebook.path), *notebook.inside]}
                          if is_file else {"job": job}, [] if is_file else [notebook])
                why = ENDED
                result, _ = wire.receive(began + limit)
                if "read" in result:
                    why, limit = DIED, job["budget"] + SLACK
                    result, _ = wire.receive(time.monotonic() + limit)
        except TimeIsUp:
            if why == ENDED:  # it would have ended itself, if it had begun
                raise EngineFailed("the referee process did not begin") from None
            return {"refused": TOO_LONG.format(limit)}
        except (OSError, EOFError, WireBroken) as error:
            if why == ENDED and time.monotonic() - began >= job["timeout"]:
                return {"refused": TOO_SLOW.format(job["timeout"])}
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.dead = self.process.wait(timeout=0.2) is not None
            if why and not self.dead:
                raise RefereeDied(why) from error
            raise EngineFailed(f"the referee process gave no answer ({error})") from error
        if "died" in result:
            raise RefereeDied(result["died"])
        if "crash" in result:
            raise EngineFailed(result["crash"])
        return result

    def close(self) -> None:
        """End all processes of the engine; returns when they have ended."""
        self.control.close()
        self.process.communicate()  # they all hold its output, and write nothing


# --- the engine process -----------------------------------------------------------------------


def main(control: socket.socket, settings: dict) -> None:
    """Import everything, fork the nursery, then fork a referee for each job until hung up on."""
    folder = tempfile.mkdtemp(prefix="zglearn-grade-")
    os.environ.update(HOME=folder, TMPDIR=folder, IPYTHONDIR=folder)
    tempfile.tempdir = folder
    os.chmod(folder, 0o711)
    nursery, far = socket.socketpair()
    sandbox.adopt_orphans()  # should the nursery be killed: they still work in the folder
    if os.fork() == 0:
        control.close()
        nursery.close()
        try:
            _nursery(far, settings, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # it is the last of all processes to end
            os._exit(0)
    far.close()
    sys.modules["rfc3987_syntax"] = None  # two seconds of imports that nbformat makes no use of
    from . import referee

    use_course(settings["course"])
    referee.warm_up(settings["chapters"])
    me = os.getpid()
    _fork_on_request(control, lambda fds: _referee(me, fds[0], nursery), nursery)
    if select.select([nursery], [], [], 0)[0]:  # it was killed, and cannot clean up
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)  # the referees; supervisors end when they have lost theirs
        with contextlib.suppress(ChildProcessError):
            os.wait()  # until there is nobody who makes another file
        shutil.rmtree(folder, ignore_errors=True)


def _referee(engine, fd, nursery):
    """Read a notebook, say that it was read, and grade it. What its text does to this process is
    the notebook's own fault."""
    from . import referee

    sandbox.die_with_parent(engine)
    wire = Wire(socket.socket(fileno=fd))
    message, data = wire.receive()
    job = message["job"]
    sandbox.limit_memory(REFEREE_MEMORY)
    sandbox.limit_time(job["timeout"] + job["budget"] + SLACK)
    try:
        result = _graded(referee, message, data, wire, lambda rules: _launch(nursery, rules))
    except MemoryError:
        result = {"refused": TOO_LARGE.format(REFEREE_MEMORY >> 20)}
    except (EngineFailed, OSError):
        result = {"crash": traceback.format_exc()}
    except Exception as error:  # what this notebook, and no other, leads to
        result = {"died": f"{DIED} ({type(error).__name__}: {error})"[:MAX_REASON]}
    with contextlib.suppress(BrokenPipeError):  # the grader was stopped
        wire.send(result)


def _graded(referee, message, data, wire, launch):
    job = message["job"]
    if job.get("probe"):
        return referee.probe(job, launch)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process, wherever this may be
    signal.setitimer(signal.ITIMER_REAL, job["timeout"])
    try:
        if "file" in message:
            path, *inside = message["file"]
            data = [File((), Path(path), tuple(inside)).read()]
        submitted = referee.read(job, data[0])
    except referee.UNREADABLE as reason:
        return {"refused": str(reason)}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    wire.send({"read": True})
    return referee.grade(job, submitted, launch)


def _launch(nursery, rules):
    """Start a student's process: the wire to it, and its lifeline."""
    (wire, far_wire), (lifeline, far_lifeline) = socket.socketpair(), socket.socketpair()
    with far_wire, far_lifeline:
        socket.send_fds(nursery, [b"s"], [far_wire.fileno(), far_lifeline.fileno()])
    Wire(lifeline).send(rules)
    return wire, lifeline


def _nursery(control, settings, folder):
    from . import student as student_side

    shell = student_side.prepare(settings["modules"])
    scratch = os.path.join(folder, "students")
    os.mkdir(scratch, 0o711)
    readable = sandbox.libraries(settings["hidden"], more=[os.environ["ZGLEARN_CACHE"]])

    def student(fds):
        wire, lifeline = (socket.socket(fileno=fd) for fd in fds)
        rules, _ = Wire(lifeline).receive()

        def body(wire, failed_layers):
            _keep_only(wire)
            student_side.serve(wire, shell, failed_layers)

        sandbox.supervise(lifeline, wire, body, sandbox.Rules(scratch, tuple(readable), **rules))

    _fork_on_request(control, student)
    with contextlib.suppress(ChildProcessError):
        os.wait()  # until the last supervisor has cleaned up


def _keep_only(sock):
    """Close every other file; output goes nowhere and input is empty."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)
    os.closerange(3, sock.fileno())
    os.closerange(sock.fileno() + 1, 65536)


def _fork_on_request(control, serve, *needed) -> None:
    """Fork ``serve(fds)`` for each message of file descriptors, until the other end is closed, or
    that of a socket which is `needed` and silent."""
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    while select.select([control, *needed], [], [])[0] == [control]:
        message, fds, _, _ = socket.recv_fds(control, 1, 2)
        if not message:
            return
        if os.fork() == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                serve(fds)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        for fd in fds:
            os.close(fd)


if __name__ == "__main__":
    from .engine import main as _main

    _main(socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2]))
