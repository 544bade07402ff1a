"""nbval, started in this process, on a notebook whose code is trusted.

nbval collects the cells, runs them, compares what they print with what is saved, and reports. Only
its kernel is another one: a check notebook holds no student's code, so its cells may run here,
without ports, and without the second that a Jupyter kernel takes to start.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import traceback
import xml.etree.ElementTree as ElementTree
from queue import Empty

import nbval.plugin
import pytest
from nbval.kernel import RunningKernel

# Parts of pytest that cells have no use for. To start them takes longer than a notebook's checks.
UNUSED = ("assertion", "cacheprovider", "debugging", "doctest", "faulthandler", "logging",
          "monkeypatch", "pastebin", "python", "recwarn", "setuponly", "setupplan", "stepwise",
          "threadexception", "tmpdir", "unittest", "unraisableexception", "warnings")


def run_nbval(notebook: str, names: dict, timeout: float) -> tuple[dict[int, str], str]:
    """Run nbval on a notebook: the outcome of each code cell, and the JUnit report."""
    Kernel.names, nbval.plugin.RunningKernel = names, Kernel
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        path, junit = os.path.join(folder, "checks.ipynb"), os.path.join(folder, "junit.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(notebook)
        arguments = ["--nbval", "--nbval-current-env", f"--nbval-cell-timeout={timeout}",
                     f"--junitxml={junit}", f"--rootdir={folder}", f"--confcutdir={folder}",
                     "-c", os.devnull, "-s", path, *(f"-pno:{plugin}" for plugin in UNUSED)]
        with contextlib.redirect_stdout(io.StringIO()):
            pytest.main(arguments, plugins=[nbval.plugin, outcomes])
        with open(junit, encoding="utf-8") as file:
            return outcomes.cells, file.read()


def named(junit: str, chapter: str, names: list[str]) -> str:
    """The report with these names in the place of cell numbers."""
    report = ElementTree.fromstring(junit)
    for case in report.iter("testcase"):
        case.set("name", names[int(case.get("name").rsplit(" ", 1)[1])])
        case.set("classname", chapter)
    return ElementTree.tostring(report, "unicode")


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
