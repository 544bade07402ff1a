"""The grader against a class in which everything happens, and what it must never do."""

import csv
import json
import os
import socket
import sys
import threading

import pytest
from submissions import POINTS, Notebook, build_course, faults, one, right

from zglearn.course import bank, grade
from zglearn.course import exercise as exercises


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A small course of its own, known to the bank as long as this module's tests run."""
    folder = build_course(tmp_path_factory.mktemp("course"))
    paths = list(bank.__path__)
    yield folder
    bank.__path__[:] = paths
    sys.modules.pop("zglearn.course.bank.ch90_small", None)
    for id in [id for id in exercises._bank if id.startswith("90.")]:
        del exercises._bank[id]


@pytest.fixture
def graded(course, tmp_path):
    """Hand in faults and grade them: returns the gradebook as {(student, exercise): row}."""
    def run(class_, *options, out=tmp_path / "grades", expect=0):
        hand_in(class_, tmp_path / "class")
        code = grade.main([str(tmp_path / "class"), "--out", str(out), "--course", str(course),
                           "--jobs", "2", *options])
        assert code == expect
        return gradebook(out)

    return run


def hand_in(class_, folder):
    for fault in class_:
        (folder / fault.name).mkdir(parents=True, exist_ok=True)
        for name, data in fault.files.items():
            (folder / fault.name / name).write_bytes(data)


def gradebook(out):
    with open(out / "gradebook.csv", newline="") as file:
        return {(row["student"], row["exercise"]): row for row in csv.DictReader(file)}


def complaints(book, class_):
    """Where the gradebook does not say what it must of a class."""
    found = []
    for fault in class_:
        for exercise, points in POINTS.items():
            row = book[fault.name, exercise]
            status = fault.expected.get(exercise, "correct")
            status, message = status if isinstance(status, tuple) else (status, "")
            full = row["status"] == "correct" and float(row["points"]) == points
            if row["status"] != status or message not in row["message"] or full != (
                    status == "correct"):
                found.append(row)
    return found


def processes():
    """The ids of all processes of this machine that are not kernel threads."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


@pytest.fixture
def ear():
    """A port that listens, and a list of who connected."""
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def listen():
            while True:
                try:
                    heard.append(server.accept())
                except OSError:
                    return

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)


def test_a_class_with_every_fault(graded, course, tmp_path, ear):
    port, heard = ear
    target = tmp_path / "elsewhere"
    target.mkdir()
    target.chmod(0o777)
    secrets = [course / "solutions" / "90_small.ipynb", course / "bank" / "ch90_small.py",
               tmp_path / "class" / "right001" / "90_small.ipynb", tmp_path / "grades/grades.sqlite"]
    class_ = faults(target, secrets, port)
    class_ += [right(n) for n in range(max(60 - len(class_), 10))]
    book = graded(class_, "--timeout", "2", "--memory", "512")
    assert complaints(book, class_) == []
    assert len(book) == len(class_) * len(POINTS)
    assert book["fails a hidden check", "90.6"]["points"] == "1"
    assert list(target.iterdir()) == [] and heard == []
    assert not os.path.exists("/etc/written") and not os.path.exists("/usr/written")
