"""The grader against a class in which everything happens, and what it must never do."""

import contextlib
import csv
import errno
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import fuzz_grader
import nbformat
import psutil
import pytest
from submissions import (
    NESTED,
    POINTS,
    WRONG,
    Notebook,
    build_course,
    every,
    faults,
    one,
    right,
    untouched,
)

from zglearn import paths
from zglearn.authoring import trials
from zglearn.exercises import bank
from zglearn.exercises import exercise as exercises
from zglearn.grading import (
    command as grade,
)
from zglearn.grading import (
    marks,
    reports,
    rows,
    sandbox,
    workers,
)
from zglearn.grading.store import Store

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A small course of its own, known to the bank as long as this module's tests run."""
    folder = build_course(tmp_path_factory.mktemp("course"))
    paths = list(bank.__path__)
    yield folder
    bank.__path__[:] = paths
    sys.modules.pop("zglearn.exercises.bank.ch90_small", None)
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
        return gradebook(out) if code < 2 and (out / "gradebook.csv").exists() else {}

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


@pytest.fixture
def left_behind(tmp_path, monkeypatch):
    """What grading started or made, and is still there when this is called."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("ZGLEARN_CACHE", str(tmp_path))  # it marks all that the engine starts

    def marked(process):
        with contextlib.suppress(psutil.Error):
            return process.environ().get("ZGLEARN_CACHE") == str(tmp_path)

    def left():
        time.sleep(0.2)
        return [p for p in psutil.process_iter() if marked(p)] + list(temporary.iterdir())

    return left


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


@pytest.fixture
def elsewhere(tmp_path):
    """A folder that anyone may write into, and nobody should."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def class_(course, tmp_path, elsewhere, ear):
    """Every fault by name, without anybody who is right."""
    secrets = [course / "solutions/90_small.ipynb", course / "bank/ch90_small.py",
               tmp_path / "class/right001/90_small.ipynb", tmp_path / "grades/grades.sqlite",
               "/etc/shadow"]
    return {fault.name: fault for fault in faults(elsewhere, secrets, ear[0])}


# --- every fault ------------------------------------------------------------------------------


@LINUX
def test_a_class_with_every_fault(graded, class_, elsewhere, ear, capfd, left_behind):
    everyone = [*class_.values(), *map(right, range(12))]
    book = graded(everyone, "--timeout", "5", "--memory", "256", "--require-sandbox")
    assert len(everyone) >= 60 and len(book) == len(everyone) * len(POINTS)
    assert complaints(book, everyone) == []
    assert book["fails a hidden check", "90.6"]["points"] == "1"
    assert list(elsewhere.iterdir()) == [] and ear[1] == []
    assert not any(os.path.exists(path) for path in ("/etc/written", "/usr/written"))
    assert left_behind() == []
    said = capfd.readouterr()
    assert "namespaces, landlock" in said.out and "Traceback" not in said.err


NASTY = {"kills its parents", "leaves a daemon", "writes elsewhere", "reads what it should not",
         "the network", "deaf loop", "memory bomb", "fork bomb", "a file system of its own"}
NOT_HELD = {"namespaces": {"fork bomb"}, "limits": {"memory bomb", "fork bomb"}}


@LINUX
@pytest.mark.parametrize("layer", sandbox.LAYERS)
def test_each_layer_may_be_missing(graded, class_, elsewhere, ear, layer, capsys, left_behind):
    chosen = [class_[name] for name in sorted(NASTY - NOT_HELD.get(layer, set()))]
    chosen += [right(1), right(2)]
    book = graded(chosen, "--timeout", "2", "--memory", "512", "--without", layer)
    assert complaints(book, chosen) == []
    assert list(elsewhere.iterdir()) == [] and ear[1] == []
    assert left_behind() == []
    assert f"without {layer}: switched off" in capsys.readouterr().out


@LINUX
def test_without_namespaces_a_disk_is_not_filled_and_nothing_deep_is_left(graded, left_behind):
    filler = one("filler", Notebook().step("import time\nfor n in range(40):\n"
                 "    with open(f'f{n}', 'wb') as f:\n        f.write(bytes(50 * 10**6))\n"
                 "time.sleep(30)\nreturn x - lr * g"))
    nested = one("nested", Notebook().step(f"{NESTED}\nimport time\ntime.sleep(30)"))
    book = graded([filler, nested, right(1)], "--without", "namespaces")
    for name in ("filler", "nested"):
        assert "filled its folder" in book[name, "90.2"]["message"]
        assert book[name, "90.4"]["status"] == "correct"
    assert complaints(book, [right(1)]) == []
    assert left_behind() == []


def test_a_message_of_megabytes_is_cut_short(graded):
    """One that did not fit on the grader's own wire was once the end of the whole run."""
    long = Notebook().put("ans-90-6", "def scale(values): return 'y' * 8_000_000")
    book = graded([one("long", long), right(1)])
    assert book["long", "90.6"]["status"] == "incorrect"
    assert "got 'yyy" in book["long", "90.6"]["message"]
    assert all(len(row["message"]) <= 700 for row in book.values())


def test_without_any_sandbox_it_warns_and_can_refuse(graded, capsys, left_behind):
    off = [option for layer in sandbox.LAYERS for option in ("--without", layer)]
    daemon = one("daemon", Notebook().add("import subprocess\n"
                 "subprocess.Popen(['sleep', '3600'], start_new_session=True)"))
    book = graded([right(1), daemon], *off)
    assert {row["status"] for row in book.values()} == {"correct"}
    assert "NOT shut in" in capsys.readouterr().err
    assert left_behind() == []
    graded([right(2)], *off, "--require-sandbox", expect=2)
    assert "--require-sandbox" in capsys.readouterr().err


@pytest.mark.parametrize(("off", "warning"), [
    (["namespaces"], "weaker"), (["namespaces", "landlock"], "NOT shut in"),
    (["limits"], "limits the"), (["user"], "")])
def test_a_machine_that_does_not_allow_a_layer_is_warned_of_or_refused(off, warning, capsys):
    def run(function, tasks):
        return [("", {"off": dict.fromkeys(off, "Operation not permitted")})]

    held = [layer for layer in sandbox.LAYERS if layer not in off]
    assert grade._layers(run, {}, {}, grade.parser().parse_args(["class"])) == held
    said = capsys.readouterr()
    assert f"without {off[0]}: Operation not permitted" in said.out
    assert warning in said.err and bool(said.err) == bool(warning)
    refusal = pytest.raises(grade.CannotGrade, match="instructors.md")
    with refusal if warning else contextlib.nullcontext():
        grade._layers(run, {}, {}, grade.parser().parse_args(["class", "--require-sandbox"]))


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0 or not shutil.which("setpriv"),
                    reason="needs root, and setpriv to take powers from it")
def test_the_root_of_a_container_may_grade_too(course, tmp_path):
    hand_in([right(1), one("loop", Notebook().step("while True:\n    pass"))], tmp_path / "class")
    out = tmp_path / "grades"
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin,-chown,-setuid,-setgid,-kill",
         *command(tmp_path / "class", "--out", out, "--course", course, "--timeout", "2")],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "without user: root may not become" in done.stdout
    book = gradebook(out)
    assert book["right001", "90.2"]["status"] == "correct"
    assert book["loop", "90.2"]["status"] == "timeout"


def test_an_endless_loop_does_not_cost_more_than_its_timeout(graded, class_, monkeypatch):
    """How much more it does cost is for benchmarks/grading.py to say."""
    monkeypatch.setattr(grade, "TASKS_OF_TIME", 100)
    for name in ("loop in a call", "deaf loop"):
        began = time.monotonic()
        graded([class_[name]], "--timeout", "2")
        assert time.monotonic() - began < 60  # the time for the whole notebook is 200


def test_a_notebook_of_loops_does_not_go_on_for_ever(graded):
    notebook = Notebook()
    for n in range(40):
        notebook.add("while True:\n    pass", id=f"loop{n}")
    began = time.monotonic()
    book = graded([one("loops", notebook), right(1)], "--timeout", "2")
    assert time.monotonic() - began < 60  # one loop after the other would take 80
    assert book["loops", "90.4"]["status"] == "timeout"
    assert book["right001", "90.4"]["status"] == "correct"


def test_a_file_of_a_hundred_megabytes_of_output(graded):
    notebook = Notebook()
    text = [{"output_type": "stream", "name": "stdout", "text": "x" * 110 * 2**20}]
    notebook.json["cells"][notebook.place("chk-90-2")]["outputs"] = text
    book = graded([one("large", notebook)])
    assert {row["status"] for row in book.values()} == {"correct"}


SABOTAGE = """
import os, re, signal, sys

from zglearn.grading import referee

def on(text, done):
    if "reading hangs" in text: re.match("(a*)*b", "a" * 1000)
    if "reading dies" in text: os.kill(os.getpid(), signal.SIGKILL)
    if "reading hoards" in text: bytearray(2**40)
    if "reading fails" in text: raise LookupError("no such thing")
    return done(text)

def ask(judge):
    text = str(judge.submitted.steps.cells)
    if "grading dies" in text: os.kill(os.getpid(), signal.SIGKILL)
    if "grading hoards" in text: bytearray(2**40)
    if "grading fails" in text: raise LookupError("no such thing")
    asked(judge)

if sys.argv[0].endswith("engine.py"):
    read, asked = referee.read_notebook, referee.Referee.ask
    referee.read_notebook = lambda data: on(data.decode(), lambda text: read(data))
    referee.Referee.ask = ask
"""


def test_a_notebook_that_is_too_much_for_its_referee_costs_its_student_alone(
        course, graded, tmp_path, monkeypatch, left_behind):
    """Whatever Python, NumPy or the grader itself may do with a student's text."""
    broken = build_course(tmp_path / "course")
    with open(broken / "bank/ch90_small.py", "a") as file:
        file.write(SABOTAGE)
    why = {"reading hangs": "more than 2 seconds", "reading dies": "ended the process",
           "reading hoards": "MB of memory", "reading fails": "no such thing",
           "grading dies": "again and again", "grading hoards": "MB of memory",
           "grading fails": "LookupError: no such thing"}
    class_ = [*(one(name, Notebook().add(f"# {name}\n0"), every(("refused", reason)))
                for name, reason in why.items()), right(1), right(2)]
    options = ("--timeout", "2", "--course", str(broken))
    book = graded(class_, *options)
    assert complaints(book, class_) == []
    monkeypatch.setattr(workers.Engine, "grade", None)  # the next run does not trip over it again
    assert graded(class_, *options) == book
    assert left_behind() == []


def test_no_notebook_changes_the_line_of_another_student(course, tmp_path):
    """Half a minute of the fuzzer; `python tests/fuzz_grader.py` goes on as long as it may."""
    alone = fuzz_grader.lines(tmp_path / "alone", course, fuzz_grader.HONEST)
    assert [len(rows) for rows in alone.values()] == [len(POINTS)] * len(fuzz_grader.HONEST)
    class_ = [*fuzz_grader.HONEST, *map(fuzz_grader.hostile, range(100))]
    assert fuzz_grader.lines(tmp_path / "together", course, class_) == alone


# --- the learner's check and the grade agree --------------------------------------------------

EXPECTED = {"right": {"correct"}, "wrong": {"incorrect", "error", "timeout", "refused"},
            "blank": {"not_attempted"}}


def trial_notebooks(path):
    """Submissions that together try every trial of a solutions notebook: (trials, notebook)."""
    notebook = nbformat.read(path, as_version=4)
    by_exercise = defaultdict(list)
    for trial in trials.trials_of(notebook):
        by_exercise[trial.exercise.id].append(trial)
    for n in range(max(map(len, by_exercise.values()))):
        tried, cells = {}, []
        for cell in notebook.cells:
            if cell.cell_type == "code" and not trials.is_hidden(cell):
                source = cell.source
                if cell.id.startswith("ans-"):
                    mine = by_exercise[trials.exercise_of(cell.id)]
                    tried[mine[0].exercise.id] = mine[n % len(mine)]
                    source = mine[n % len(mine)].source
                cells.append({"cell_type": "code", "id": cell.id, "source": source})
        yield tried, json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode()


SOLUTIONS = sorted(paths.home().glob("solutions/*.ipynb"))


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_trial_of_the_course_gets_the_same_verdict_from_the_grader(path, tmp_path):
    expected = {}
    for n, (tried, data) in enumerate(trial_notebooks(path)):
        (tmp_path / "class" / f"s{n:02}").mkdir(parents=True)
        (tmp_path / "class" / f"s{n:02}" / path.name).write_bytes(data)
        expected |= {(f"s{n:02}", id): trial for id, trial in tried.items()}
    assert grade.main([str(tmp_path / "class"), "--out", str(tmp_path / "out"), "--jobs", "2"]) == 0
    book = gradebook(tmp_path / "out")
    assert book.keys() == expected.keys()
    wrong = [(key, trial.kind, trial.name, book[key]) for key, trial in expected.items()
             if book[key]["status"] not in EXPECTED[trial.kind]]
    assert wrong == []


# --- stopping, starting, and grading again ----------------------------------------------------


def command(*arguments):
    code = "import sys; from zglearn.grading.command import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_a_grader_killed_again_and_again_comes_to_the_same_gradebook(graded, course, tmp_path,
                                                                     left_behind):
    class_ = [*map(right, range(12)), one("wrong", Notebook().step(WRONG)),
              one("slow", Notebook().step("while True:\n    pass"))]
    clean = graded(class_, "--timeout", "2", out=tmp_path / "clean")
    for seconds in (0.8, 2, 2.5, 3):
        killed = subprocess.Popen(
            command(tmp_path / "class", "--out", tmp_path / "out", "--course", course,
                    "--jobs", 2, "--timeout", 2), stdout=subprocess.DEVNULL)
        time.sleep(seconds)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert graded(class_, "--timeout", "2", out=tmp_path / "out") == clean
    assert left_behind() == []


def test_ctrl_c_ends_a_run_and_says_that_it_goes_on(graded, course, tmp_path, left_behind):
    hand_in([one("slow", Notebook().step("while True:\n    pass"))], tmp_path / "class")
    running = subprocess.Popen(
        command(tmp_path / "class", "--out", tmp_path / "grades", "--course", course,
                "--timeout", 120),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert "Sandbox" in running.stdout.readline()
    time.sleep(1)  # now it waits for the loop
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)  # the loop alone would take 120
    assert running.returncode == 130 and "goes on where it was" in said
    assert "Traceback" not in said and left_behind() == []


def test_what_is_known_is_not_graded_again(graded, tmp_path, monkeypatch):
    first = graded([right(1), right(2)])
    monkeypatch.setattr(workers.Engine, "grade", None)  # would fail if it were asked
    assert graded([right(1), right(2)]) == first


def test_a_later_grade_never_erases_an_earlier_one(graded, tmp_path):
    graded([one("anna", Notebook())])
    book = graded([one("anna", untouched())])
    assert book["anna", "90.2"]["status"] == "not_attempted"
    graded([one("anna", untouched())], "--again")
    with sqlite3.connect(tmp_path / "grades/grades.sqlite") as db:
        found = db.execute("SELECT result FROM grades ORDER BY id").fetchall()
    results = [json.loads(text) for (text,) in found]
    assert [r["verdicts"]["90.2"]["status"] for r in results] == [
        "correct", "not_attempted", "not_attempted"]


def test_two_graders_on_one_folder_do_not_mix(graded, tmp_path, capsys):
    with Store(tmp_path / "grades"):
        graded([right(1)], expect=2)
    assert "another grader" in capsys.readouterr().err
    assert not (tmp_path / "grades/gradebook.csv").exists()


def test_a_referee_that_dies_is_replaced(graded, monkeypatch):
    launched, calls = workers.Engine.grade, []

    def unreliable(engine, job, notebook):
        calls.append(job)
        if len(calls) % 3 == 1:
            raise workers.EngineFailed("Address in use")
        if len(calls) == 3:
            engine.process.kill()
        return launched(engine, job, notebook)

    monkeypatch.setattr(workers.Engine, "grade", unreliable)
    class_ = [right(n) for n in range(3)]
    assert complaints(graded(class_), class_) == []


def test_a_nursery_that_dies_is_replaced_with_its_engine(graded, monkeypatch, left_behind):
    launched, killed = workers.Engine.grade, []

    def unreliable(engine, job, notebook):
        if "right001" in str(getattr(notebook, "path", "")) and not killed:
            children = psutil.Process(engine.process.pid).children()
            killed.append(min(children, key=lambda child: (child.create_time(), child.pid)))
            killed[0].kill()
        return launched(engine, job, notebook)

    monkeypatch.setattr(workers.Engine, "grade", unreliable)
    class_ = [right(n) for n in range(3)]
    assert complaints(graded(class_), class_) == [] and killed
    assert left_behind() == []


def test_a_failure_of_the_grader_is_told_from_the_students(graded, monkeypatch, capsys,
                                                           left_behind):
    launched = workers.Engine.grade

    def broken(engine, job, notebook):
        if "right002" in str(getattr(notebook, "path", "")):
            engine.process.kill()  # and with it whatever is being graded
            engine.process.wait()
        return launched(engine, job, notebook)

    monkeypatch.setattr(workers.Engine, "grade", broken)
    book = graded([right(2)], expect=1)
    assert "The grader failed, not the student" in book["right002", "90.2"]["message"]
    assert "run the same command again" in capsys.readouterr().err
    monkeypatch.undo()
    assert complaints(graded([right(2)]), [right(2)]) == []
    assert left_behind() == []


@LINUX
def test_a_full_disk_is_told_and_damages_nothing(graded, course, tmp_path):
    before = graded([right(1)], out=tmp_path / "out")
    hand_in([one(f"s{n}", Notebook()) for n in range(20)], tmp_path / "class")
    limit = ("import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
             "resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000)); ")
    arguments = command(tmp_path / "class", "--out", tmp_path / "out", "--course", course)
    arguments[2] = limit + arguments[2]
    full = subprocess.run(arguments, capture_output=True, text=True)
    assert full.returncode == 1 and "cannot be written" in full.stderr
    assert "Traceback" not in full.stderr
    after = graded([], out=tmp_path / "out")
    assert {key: row for key, row in after.items() if key in before} == before


@LINUX
@pytest.mark.parametrize("out", ["/proc/grades", "/sys/kernel/grades"])
def test_an_output_folder_that_cannot_be_made_is_told(graded, out, capsys):
    graded([right(1)], out=Path(out), expect=1)
    assert "cannot be written" in capsys.readouterr().err


def test_no_other_files_are_written_over(graded, tmp_path, capsys):
    (tmp_path / "grades").mkdir()
    (tmp_path / "grades/gradebook.csv").write_text("mine")
    hand_in([right(1)], tmp_path / "class")
    assert grade.main([str(tmp_path / "class"), "--out", str(tmp_path / "grades")]) == 2
    assert (tmp_path / "grades/gradebook.csv").read_text() == "mine"
    assert grade.main([str(tmp_path / "class"), "--out", str(tmp_path)]) == 2
    assert "choose" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "advice"), [
    (["--only", "77"], "--only takes 90"), (["--due", "tomorrow"], "write it as 2026-03-31T18:00"),
    (["--jobs", "0"], "from 1 to"), (["--timeout", "-3"], "from 0.1 to"),
    (["--late", "500"], "from 0 to 100"), (["--marks", "none.csv"], "cannot be read"),
    (["--scheduler", "nothing"], "dask scheduler")])
def test_what_cannot_be_done_is_said_with_what_to_do(graded, options, advice, capsys):
    with contextlib.suppress(SystemExit):
        graded([right(1)], *options, expect=2)
    said = capsys.readouterr().err
    assert advice in said and "Traceback" not in said


def test_a_damaged_course_or_record_is_named(graded, tmp_path, capsys):
    hand_in([right(1)], tmp_path / "class")
    broken = build_course(tmp_path / "course") / "solutions/90_small.ipynb"
    whole = broken.read_text()
    for text, why in [(whole[:99], "not a notebook"), (whole.replace("%%hidden 90.6", "%%hidden"),
                                                       "write `%%hidden 04.2`")]:
        broken.write_text(text)
        assert grade.main([str(tmp_path / "class"), "--course", str(tmp_path / "course")]) == 2
        said = capsys.readouterr().err
        assert why in said and "90_small.ipynb" in said
    (tmp_path / "grades").mkdir()
    (tmp_path / "grades/grades.sqlite").write_text("not a record")
    graded([], expect=2)
    assert "grades.sqlite is damaged" in capsys.readouterr().err


def test_a_grader_killed_before_it_made_its_record_starts_again(graded, tmp_path):
    (tmp_path / "grades").mkdir()
    (tmp_path / "grades/grades.lock").touch()
    graded([right(1)])


def test_a_gradebook_changed_by_hand_is_kept(graded, tmp_path):
    graded([right(1)])
    path = tmp_path / "grades/gradebook.csv"
    path.write_text(path.read_text() + "bob,90.1,1,1,correct,by hand\n")
    graded([right(2)])
    (kept,) = (tmp_path / "grades/earlier").iterdir()
    assert "by hand" in kept.read_text() and "by hand" not in path.read_text()


# --- what the instructor gets -----------------------------------------------------------------


def test_every_report(graded, tmp_path):
    wrong = one("Zoë <b>", Notebook().step("raise ValueError('<script>')"))
    graded([right(1), wrong, one("=cmd", Notebook())])
    out = tmp_path / "grades"
    lines = (out / "gradebook.csv").read_text().splitlines()
    assert lines[0] == "student,exercise,points,max_points,status,message"
    assert any(line.startswith("'=cmd,") for line in lines)
    (page,) = out.glob("feedback/Zo*.html")
    text = page.read_text()
    assert "<script>" not in text and "&lt;script&gt;" in text and "Zoë &lt;b&gt;" in text
    assert "x - lr * g" not in text and "90.2 One step" in text and "chapter 90" in text
    assert "Chapter 90: 10 of 12 points" in text and "Handed in 20" in text
    assert "Your answer</b><pre>def step(x, g, lr):" in text and "graded 20" in text
    (junit,) = out.glob("junit/Zo*.90.xml")
    cases = {case.get("name"): case for case in ElementTree.parse(junit).iter("testcase")}
    assert len(cases) == len(POINTS) and cases["90.2 One step"].find("failure") is not None
    assert cases["90.3 A memory"].find("failure") is None
    with open(out / "summary.csv", newline="") as file:
        summary = {row["student"]: row for row in csv.DictReader(file)}
    assert summary["right001"]["points"] == "12" and summary["Zoë <b>"]["points"] == "10"
    with open(out / "platform.csv", newline="") as file:
        platform = list(csv.reader(file))
    assert platform[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Chapter 90"]
    assert platform[-1][-1] == ""  # an open question waits to be marked
    assert not list(out.glob("moodle*"))


def test_platforms_know_a_student_by_the_number_in_the_files_name(graded, tmp_path):
    graded([one("Jane Doe_4711_assignsubmission_file_", untouched()),
            one("Max_4712_assignsubmission_file_", Notebook().step(WRONG)
                .put("ans-90-5", "answer_90_5 = ..."))])
    sheet = (tmp_path / "grades/moodle_90.csv").read_text().splitlines()
    assert sheet == ["Identifier,Full name,Grade,Last modified (grade)",
                     "Participant 4711,Jane Doe,0,", "Participant 4712,Max,8,"]
    platform = (tmp_path / "grades/platform.csv").read_text().splitlines()
    assert platform[1:] == ["Jane Doe_4711,4711,,Jane Doe_4711,,0", "Max_4712,4712,,Max_4712,,8"]


def test_marks_by_hand_are_asked_for_read_back_and_kept(graded, tmp_path, capsys):
    graded([right(1), right(2)], "--manual")
    page = (tmp_path / "grades/manual/90.5.html").read_text()
    assert page.count("<section") == 2 and "it says why" in page and "points uphill" in page
    assert "90.5 · Why?</h2>" in page and 'max="2"' in page and "reportValidity" in page
    marks = tmp_path / "marks.csv"
    marks.write_text("student,exercise,points,comment\nright001,90.5,0.5,too short\n"
                     "right002,90.5,2,\n")
    for options in (["--marks", str(marks)], ["--again"]):
        book = graded([right(1), right(2)], *options)
        assert book["right001", "90.5"] | {"student": ""} == {
            "student": "", "exercise": "90.5", "points": "0.5", "max_points": "2",
            "status": "0.5 of 2", "message": "Marked by hand. too short"}
        assert book["right002", "90.5"]["status"] == "correct"
    with open(tmp_path / "grades/platform.csv", newline="") as file:
        assert [row["Chapter 90"] for row in csv.DictReader(file)] == ["10.5", "12"]
    for line, why in [("nobody,90.5,1,", "no grade"), ("right001,90.9,1,", "90.9"),
                      ("right001,90.5,7,", "0 to 2"), ("right001,90.5,nan,", "0 to 2"),
                      ("right001,90.5,two,", "two"), ("right001", "line 2: 1 cells"),
                      ("right001,90.5,1,good, but", "quotation marks"), ("right001,9.5,1,", "9.5")]:
        marks.write_text(f"student,exercise,points,comment\n{line}\n")
        graded([], "--marks", str(marks), expect=2)
        assert why in capsys.readouterr().err
    for header in ("", "right001,90.5,1,", "student,exercise,mark"):
        marks.write_text(header)
        graded([], "--marks", str(marks), expect=2)
        assert "line 1: there is no column" in capsys.readouterr().err


def test_a_record_of_the_first_edition_is_brought_into_todays_numbers(tmp_path):
    with Store(tmp_path) as store:
        run = store.begin({})
        for chapter in ("08", "11", "04"):
            store.add(run, "anna", chapter, "key", 0, {"verdicts": {f"{chapter}.2": {"points": 1}}})
            store.set_deadline(chapter, int(chapter), 10, 0)
        store.mark("anna", "14.14", 2, "good")
        store.db.execute("PRAGMA user_version = 0")  # as 0.1.0 left it
    with Store(tmp_path) as store:
        assert store.renumbered and store.renumbered.exists()
        assert {g.chapter: list(g.result["verdicts"]) for g in store.current()} == {
            "04": ["04.2"], "11": ["11.2"], "14": ["14.2"]}
        assert {chapter: due for chapter, (due, *_) in store.deadlines().items()} == {
            "04": 4, "11": 8, "14": 11}
        assert store.marks() == {("anna", "17.14"): (2, "good")}
    with Store(tmp_path) as store:
        assert store.renumbered is None and ("anna", "17.14") in store.marks()
        (tmp_path / "marks.csv").write_text("student,exercise,points\nanna,14.15,1\n")
        marks.read_marks(store, tmp_path / "marks.csv", old_numbers=True)
        assert store.marks()["anna", "17.15"] == (1, "")


def test_a_full_folder_for_temporary_files_is_told(graded, monkeypatch, capsys):
    def full(**how):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(grade.tempfile, "NamedTemporaryFile", full)
    graded([right(1)], expect=2)
    said = capsys.readouterr().err
    assert "temporary files" in said and "is full" in said and "TMPDIR=" in said
    monkeypatch.undo()
    monkeypatch.setattr(grade, "_grade_new", lambda *_: full())
    graded([], expect=1)
    assert "the disk is full" in capsys.readouterr().err
    monkeypatch.setattr(grade, "_grade_new", lambda *_: [f"OSError: {os.strerror(errno.ENOSPC)}"])
    graded([], expect=1)
    assert "A disk was full" in capsys.readouterr().err


@pytest.mark.parametrize("text", [
    "student;exercise;points;comment\nright001;90.5;1,5;a; b\n".replace("a; b", '"a; b"'),
    "\ufeffStudent,Exercise,Points,Comment\r\nright001,90.5,1.5,a; b\r\n\r\n",
    "student\texercise\tpoints\tcomment\nright001\t90.5\t1.5\ta; b",
    ' comment , points,student,exercise\n"a; b",1.5, right001,90.5\n"",,right002,90.5\n'])
def test_marks_are_read_as_any_spreadsheet_writes_them(graded, tmp_path, text, capsys):
    graded([right(1), right(2)])
    (tmp_path / "marks.csv").write_bytes(text.encode())
    book = graded([], "--marks", str(tmp_path / "marks.csv"))
    row = book["right001", "90.5"]
    assert (row["points"], row["message"]) == ("1.5", "Marked by hand. a; b")
    said = capsys.readouterr().out
    assert "1 read from" in said and ("1 lines have no points" in said) == ("right002" in text)


@pytest.mark.parametrize(("due", "handed_in", "days"), [
    ("2026-10-31T20:00", "2026-11-01T19:30", 1), ("2026-10-31T20:00", "2026-11-01T20:30", 2),
    ("2026-03-07T20:00", "2026-03-08T20:30", 2), ("2026-03-07T20:00", "2026-03-08T19:30", 1),
    ("2026-11-01T01:50-04:00", "2026-11-01T01:10-05:00", 1),
    ("2026-03-31T18:00", "2026-03-31T18:10", 0), ("2026-03-31T18:00", "2026-03-31T18:16", 1),
    ("2026-12-31T18:00", "2027-01-01T18:00", 1)])
def test_days_are_those_of_the_clock_on_the_wall(due, handed_in, days, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        due, handed_in = (datetime.fromisoformat(text).timestamp() for text in (due, handed_in))
        assert rows._days_late(handed_in, (due, 10, 15 * 60)) == days
    finally:
        monkeypatch.undo()
        time.tzset()


def test_lateness_costs_what_was_said(graded, tmp_path):
    class_ = [one(name, Notebook()) for name in ("early", "grace", "late", "lost")]
    hand_in(class_, tmp_path / "class")
    due = 1_700_000_000
    for name, seconds in {"early": -9, "grace": 500, "late": 90_000, "lost": 9e6}.items():
        path = tmp_path / "class" / name / "90_small.ipynb"
        os.utime(path, (due + seconds, due + seconds))
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(due))
    book = graded([], "--due", moment, "--late", "25", "--grace", "10")
    points = {name: book[name, "90.4"]["points"] for name in ("early", "grace", "late", "lost")}
    assert points == {"early": "3", "grace": "3", "late": "1.5", "lost": "0"}
    assert book["late", "90.4"]["message"] == "2 days late: 50 % off."


def test_nobody_who_handed_nothing_in_is_forgotten(graded, tmp_path):
    (tmp_path / "class/zoe").mkdir(parents=True)
    book = graded([right(1)])
    assert book["zoe", "90.2"]["status"] == "not_attempted"
    assert "Nothing was handed in" in book["zoe", "90.2"]["message"]
    page = (tmp_path / "grades/feedback/zoe.html").read_text()
    assert page.count("Nothing was handed in") == 1 and "0 of 12 points" in page


def test_reports_half_written_when_the_grader_was_killed_are_not_taken_for_edits(tmp_path):
    with Store(tmp_path / "out") as store:
        for old in ("one", "two"):
            reports.write(store, tmp_path / "out", {"a.csv": old, "b/c.csv": old})
        with pytest.raises(IsADirectoryError):  # it stops before the second
            (tmp_path / "out/b/c.csv.part").mkdir()
            reports.write(store, tmp_path / "out", {"a.csv": "three", "b/c.csv": "three"})
        (tmp_path / "out/b/c.csv.part").rmdir()
        assert (tmp_path / "out/a.csv").read_text() == "three"
        reports.write(store, tmp_path / "out", {"a.csv": "four", "b/c.csv": "four"})
    assert (tmp_path / "out/b/c.csv").read_text() == "four"
    assert not (tmp_path / "out/earlier").exists()


def test_older_hand_outs_are_counted_and_may_be_accepted(graded, class_, capsys):
    older = class_["old version"]
    graded([older, right(1)])
    assert "changed since the hand-out: 1" in capsys.readouterr().out
    book = graded([older, right(1)], "--accept-older")
    assert book["old version", "90.2"]["status"] == "correct"
    assert "since the hand-out" not in capsys.readouterr().out


def test_unknown_files_are_listed(graded, tmp_path, capsys):
    hand_in([right(1)], tmp_path / "class")
    for name in ("notes.txt", "right001/photo.jpg", "right001/.ipynb_checkpoints/90_small.ipynb"):
        path = tmp_path / "class" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    os.symlink("/etc/passwd", tmp_path / "class/right001/90_link.ipynb")
    graded([])
    listed = (tmp_path / "grades/not_graded.csv").read_text()
    assert all(name in listed for name in ("notes.txt", "photo.jpg", "checkpoint", "90_link.ipynb"))
    assert "Not graded (4)" in capsys.readouterr().out


def test_a_course_whose_own_solution_fails_is_not_graded_with(course, graded, tmp_path, capsys):
    broken = build_course(tmp_path / "course")
    path = broken / "solutions/90_small.ipynb"
    path.write_text(path.read_text().replace("return x - lr * g", "return x + lr * g"))
    hand_in([right(1)], tmp_path / "class")
    assert grade.main([str(tmp_path / "class"), "--out", str(tmp_path / "grades"),
                       "--course", str(broken)]) == 2
    said = capsys.readouterr().err
    assert "do not accept the solution itself" in said and "90.2" in said


def test_a_cluster_gives_the_same_gradebook(graded, tmp_path):
    distributed = pytest.importorskip("distributed")
    class_ = [*map(right, range(6)), one("wrong", Notebook().step(WRONG)),
              one("exit", Notebook().step("import os\nos._exit(0)"))]
    alone = graded(class_, out=tmp_path / "alone")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                  host="127.0.0.1") as cluster:
        together = graded(class_, "--scheduler", cluster.scheduler_address, out=tmp_path / "both")
    assert together == alone
    lines = [(tmp_path / name / "gradebook.csv").read_text() for name in ("alone", "both")]
    assert lines[0] == lines[1]


def test_a_cluster_that_is_lost_is_told(graded, monkeypatch, capsys):
    @contextlib.contextmanager
    def pool(jobs, scheduler):
        def results():
            raise ConnectionError("closed")
            yield

        yield lambda function, tasks: workers._unless_lost(results(), scheduler)

    monkeypatch.setattr(grade, "pool", pool)
    graded([right(1)], "--scheduler", "tcp://host:8786", expect=1)
    said = capsys.readouterr().err
    assert "tcp://host:8786 was lost" in said and "run the same command again" in said
