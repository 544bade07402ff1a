"""The student's side: a notebook's cells run here, and then its names are asked about.

This process trusts nobody and is trusted by nobody. It holds no checks; whatever the student's
code does to it, the worst that comes out at the other end of the wire is a wrong answer.
"""

from __future__ import annotations

import builtins
import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import types

from IPython.core.displayhook import DisplayHook
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.text import LSString, SList
from traitlets import Type
from traitlets.config import Config

from zglearn.data.cache import load_texts
from zglearn.exercises.answer import (
    AnswerFailed,
    LocalNamespace,
    NotAttempted,
    decode,
    described,
    encode,
)
from zglearn.exercises.limits import TimeIsUp, bounded

from .wire import Wire, exception

INSTALLERS = ("pip", "conda", "mamba", "micromamba", "uv")
INSTALLS = re.compile(r"\b(pip3?|conda|mamba|uv|apt|apt-get|brew)\b.*\binstall\b")
NEEDS_LOOP = re.compile(r"\b(create_task|ensure_future|get_running_loop)\(")


class Unseen(DisplayHook):
    """Remembers what a cell's last line gave, as `_` and `Out` do, and draws nothing."""

    def __call__(self, result=None):
        if result is not None:
            self.update_user_ns(result)


class Notebook(InteractiveShell):
    """IPython without a screen: magics, shell lines and top-level `await` work, tracebacks are not
    drawn. What a kernel has and this has not, such as `%autosave`, is passed over: a line that has
    nothing to do with an answer costs nobody the answer below it."""

    displayhook_class = Type(Unseen)

    def enable_gui(self, gui=None):
        pass

    def enable_matplotlib(self, gui=None):
        return None, "agg"

    def showtraceback(self, *args, **kwargs):
        pass

    showsyntaxerror = showtraceback

    def should_run_async(self, raw_cell, **how):
        """In Jupyter a loop always runs; here it runs for the cells that need one."""
        return bool(NEEDS_LOOP.search(raw_cell)) or super().should_run_async(raw_cell, **how)

    def ask_exit(self):
        raise SystemExit("exit() ends the notebook")

    def run_line_magic(self, magic_name, line, _stack_depth=1):
        if magic_name in INSTALLERS or self.find_line_magic(magic_name) is None:
            return None
        try:
            return super().run_line_magic(magic_name, line, _stack_depth + 1)
        except UsageError:
            return None
        except ModuleNotFoundError:
            if magic_name == "load_ext":
                return None
            raise

    def system(self, cmd):
        """`!command`, without a terminal."""
        self.user_ns["_exit_code"], _ = _shell(self.var_expand(cmd, depth=1), subprocess.DEVNULL)

    system_piped = system_raw = system

    def getoutput(self, cmd, split=True, depth=0):
        """`lines = !command`"""
        _, said = _shell(self.var_expand(cmd, depth=depth + 1), subprocess.PIPE)
        return SList(said.splitlines()) if split else LSString(said)


def _shell(command: str, output: int) -> tuple[int, str]:
    """Run a shell command: its exit status, and what it said. Nothing can be installed here."""
    if INSTALLS.search(command):
        return 0, ""
    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, stdout=output,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.returncode, done.stdout or ""


class Consent(str):
    """What the course's functions return here: it agrees to `assert check("04.2").accepted`, is an
    empty text where one is wanted, and takes part in sums."""

    def __call__(self, *args, **kwargs):
        return self

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    def __bool__(self):
        return True

    def __getitem__(self, place):
        return self

    def __format__(self, how):
        return ""

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __call__
    __truediv__ = __rtruediv__ = __round__ = __call__

    def _agree(self, other):
        return True

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _agree
    __hash__ = str.__hash__


class Stub(types.ModuleType):
    """The course as a student's code finds it here: every name is a function that does nothing."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Consent()


def prepare(modules: list[str]) -> Notebook:
    """Import what the notebooks will need, and make the shell: done once, before the forks."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"the grader cannot import {name}: {error}", file=sys.stderr)
    if any(name.startswith("zglearn.data") for name in modules):
        load_texts(progress=False)  # kept in memory, for all
    shell = Notebook.instance(config=Config({"HistoryManager": {"enabled": False}}))
    sys.modules["zglearn.course"] = sys.modules["zglearn"].course = Stub("zglearn.course")
    builtins.input = _nobody_answers
    shell.run_cell("pass", silent=True)
    sys.path.insert(0, "")  # as in a notebook: what a student's cell writes can be imported
    return shell


def _nobody_answers(prompt=""):
    raise RuntimeError("input() has nobody to answer it while the notebook is graded")


def serve(sock, shell: Notebook, failed_layers: dict) -> None:
    """Do what the grader asks, until it hangs up."""
    wire, me = Wire(sock), os.getpid()
    wire.send({"ready": failed_layers})
    names, check = None, None
    while True:
        try:
            message, buffers = wire.receive()
        except EOFError:
            return
        if message["do"] == "run":
            reply, buffers = run_cell(shell, message["source"], message["seconds"]), []
        else:
            if message["check"] != check:
                names, check = Served(shell.user_ns, wire), message["check"]
            reply, buffers = _answer(names, message, buffers)
        if os.getpid() != me:  # a copy that the student's code made of this process
            os._exit(0)
        wire.send(reply | {"to": message["to"]}, buffers)


def run_cell(shell, source: str, seconds: float) -> dict:
    """Run a cell: {}, or {"failed": "error" or "timeout", "message": ...}."""
    try:
        result = bounded(lambda: shell.run_cell(source, store_history=True), seconds)
    except TimeIsUp as error:
        return _failure(error, seconds)
    error = result.error_before_exec or result.error_in_exec
    return {} if error is None else _failure(error, seconds)


def _failure(error, seconds):
    if isinstance(error, NotImplementedError | SystemExit):
        return {}
    if isinstance(error, TimeIsUp):
        return {"failed": "timeout", "message": f"ran for more than {seconds:g} seconds"}
    text = described(error)
    if isinstance(error, SyntaxError):
        text = f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    if isinstance(error, ModuleNotFoundError):
        text += "; the course does not need it, and the grader does not have it"
    return {"failed": "error", "message": text}


def _answer(names: Served, message: dict, buffers) -> tuple[dict, list]:
    try:
        reply, buffers = bounded(lambda: names.answer(message, buffers), message["seconds"])
    except NotAttempted as reason:
        reply, buffers = {"not_attempted": True, "message": str(reason)}, []
    except AnswerFailed as reason:
        reply, buffers = {"failed": reason.cause, "message": str(reason)}, []
    except TimeIsUp:
        reply, buffers = {"timeout": True}, []
    except BaseException as error:  # from a place where a student's objects should not raise
        reply, buffers = {"failed": "error", "message": f"raised {described(error)}"}, []
    if printed := str(names.printed):
        reply["printed"] = printed
    if names.changed:
        reply["changed"] = names.changed
    return reply, buffers


class Served(LocalNamespace):
    """The names of this process, asked from the other end of the wire."""

    def __init__(self, names: dict, wire: Wire):
        super().__init__(names)
        self.wire, self.me, self.one_at_a_time = wire, os.getpid(), threading.Lock()

    def answer(self, message: dict, buffers) -> tuple[dict, list]:
        do, name, kept = message["do"], message["name"], message.get("kept")
        args, kwargs = decode(message["arguments"], buffers, self._ask)
        if do == "keep":
            return {"kept": self.keep(name, args, kwargs)}, []
        if do == "value":
            result = self.value(name, kept)
        elif do == "take":
            result = self.take(name, message["n"])
        else:
            result = self.call(name, args, kwargs, kept)
        tree, buffers = encode(result)
        return {"result": tree}, buffers

    def _arguments(self, args, kwargs):
        return args, kwargs  # they came over the wire: they are copies already

    def _ask(self, number, args, kwargs):
        """Ask the grader for the value of one of its functions."""
        if os.getpid() != self.me:
            raise RuntimeError("the grader answers the notebook's own process, and its threads, "
                               "but not other processes")
        tree, buffers = encode((args, kwargs))
        with self.one_at_a_time:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # whole messages only
            try:
                self.wire.send({"number": number, "arguments": tree}, buffers)
                reply, buffers = self.wire.receive()
            except EOFError:
                os._exit(0)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        if "raise" in reply:
            raise exception(reply["raise"], reply["message"])
        return decode(reply["answer"], buffers)
