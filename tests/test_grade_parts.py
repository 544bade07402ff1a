"""The grader's parts, each alone: inputs, plans, the wire, the sandbox's paths, the hand-out."""

import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from submissions import SOLUTIONS, Notebook, format_3, reordered, untouched

from zglearn import paths
from zglearn.authoring import release
from zglearn.exercises import exercise, originals, sealed
from zglearn.exercises.answer import MAX_BYTES, AnswerFailed, NotPlain, decode
from zglearn.exercises.limits import TimeIsUp
from zglearn.grading import inputs, reading, referee, reports, sandbox, similarity
from zglearn.grading.inputs import collect
from zglearn.grading.notebook import Unreadable, plan, read_notebook
from zglearn.grading.wire import RemoteNamespace, Wire, WireBroken

STEMS = {"04": "04_momentum", "90": "90_small"}


# --- the first edition ------------------------------------------------------------------------


def test_a_notebook_of_the_first_edition_is_read_in_todays_numbers():
    def cells(chapter):
        return {f"ex-{chapter}-1": f"## {chapter}.1 · Fair", f"ans-{chapter}-1":
                f"answer_{chapter}_1 = ...", f"ans-{chapter}-2": f"answer_{chapter}_2 = 3"}

    stamp = originals.stamp("08_fair_race", cells("08").items())
    del stamp["edition"]
    notebook = json.dumps({"metadata": {"zglearn": stamp}, "cells": [
        {"cell_type": "code" if id.startswith("ans") else "markdown", "id": id, "source": text}
        for id, text in cells("08").items()]}).encode()
    read = read_notebook(notebook)
    assert inputs._chapter_of(read) == "11"
    assert [c["id"] for c in read["cells"]] == ["ex-11-1", "ans-11-1", "ans-11-2"]
    assert read["cells"][2]["source"] == "answer_11_2 = 3"
    now = cells("11") | {"ans-11-2": "answer_11_2 = ...  # another stub than then"}
    chapter = {"exercises": ["11.1", "11.2"], "stamp": originals.stamp("11", now.items()),
               "tasks": {"11.1": now["ex-11-1"]},
               "stubs": {id: now[f"ans-{id.replace('.', '-')}"] for id in ("11.1", "11.2")}}
    assert referee.changed_since(read, chapter) == ["11.2"]


# --- inputs -----------------------------------------------------------------------------------


def found(folder, *names, graded=("90",), content=None):
    """What `collect` finds: {(student, chapter): [files]}, and what it ignores."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content or Notebook().bytes())
    inputs = collect(folder, STEMS, set(graded), skip=folder / "grades")
    return {(s.student, s.chapter): [file.name for file in s.files]
            for s in inputs.submissions}, dict(inputs.ignored)


@pytest.mark.parametrize(("name", "student"), [
    ("anna/90_small.ipynb", "anna"),
    ("anna/hw/90_small.ipynb", "anna"),
    ("anna/my answers.ipynb", "anna"),
    ("anna_90_small.ipynb", "anna"),
    ("anna-90_small (1).ipynb", "anna"),
    ("anna.ipynb", "anna"),
    ("doejane_4711_99_90_small-1.ipynb", "doejane_4711"),
    ("doejane_LATE_4711_99_90_small.ipynb", "doejane_4711"),
    ("Jane Doe_4711_assignsubmission_file_/90_small.ipynb", "Jane Doe_4711"),
    ("Jane Doe_4711_assignsubmission_file_90_small.ipynb", "Jane Doe_4711"),
    ("王小明/90_small.ipynb", "王小明"),
    ("90_small_anna (1).ipynb", "anna"),
    ("90_small_123456.ipynb", "123456"),
    ("90_small/anna.ipynb", "anna"),
    ("anna/90_small/notebook.IPYNB", "anna"),
    ("anna/90_small.ipynb.txt", "anna"),
    ("doejane_4711_99123_hw_4_2.ipynb", "doejane_4711"),
    ("Zoe\u0308/90_small.ipynb", "Zoë"),
    ("new\nline/90_small.ipynb", "new\ufffdline"),
])
def test_every_layout_tells_whose_it_is(tmp_path, name, student):
    submissions, ignored = found(tmp_path, name, "zoe/90_small.ipynb" if "/" in name
                                 else "zoe_90_small.ipynb")
    assert submissions.keys() == {(student, "90"), ("zoe", "90")}
    assert [len(files) for files in submissions.values()] == [1, 1]
    assert ignored == {}


def test_folders_of_weeks_are_no_students(tmp_path):
    for name in ("anna", "bob"):
        found(tmp_path, f"week3/{name}/04_momentum.ipynb", content=other_chapter())
    submissions, _ = found(tmp_path, "week4/anna/90_small.ipynb", "week4/bob/90_small.ipynb",
                           graded=("04", "90"))
    assert submissions.keys() == {(s, n) for s in ("anna", "bob") for n in ("04", "90")}


def other_chapter():
    cells = [{"cell_type": "code", "id": "ans-04-1", "source": "1"}]
    return json.dumps({"cells": cells, "metadata": {}}).encode()


@pytest.mark.parametrize(("extra", "utc"), [
    (struct.pack("<HHBi", 0x5455, 5, 1, 1_700_000_000), True),
    (struct.pack("<HHIHHQQQ", 0x000A, 32, 0, 1, 24, (1_700_000_000 + 11_644_473_600) * 10**7, 0, 0),
     True),
    (struct.pack("<HHH", 0x9999, 2, 0), False), (b"UT\x05", False),
    (struct.pack("<HHBi", 0x5455, 5, 2, 1_700_000_000), False)])
def test_a_zip_that_tells_utc_is_believed(tmp_path, monkeypatch, extra, utc):
    """The clock on the wall that the other date is of was somewhere else."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
            for name in ("anna/90_small.ipynb", "bob/90_small.ipynb"):
                member = zipfile.ZipInfo(name, (2023, 11, 14, 12, 0, 0))
                member.extra = extra
                archive.writestr(member, Notebook().bytes())
        inputs = collect(tmp_path / "class.zip", STEMS, {"90"}, skip=tmp_path / "grades")
        wall = time.mktime((2023, 11, 14, 12, 0, 0, 0, 0, -1))
        assert [s.submitted for s in inputs.submissions] == [1_700_000_000 if utc else wall] * 2
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_chapter_that_one_student_did_is_no_task_of_the_class(tmp_path):
    for name in ("anna", "bob", "eve"):
        found(tmp_path, f"{name}/90_small.ipynb")
    submissions, _ = found(tmp_path, "eve/04_momentum.ipynb", graded=("04", "90"),
                           content=other_chapter())
    assert submissions.keys() == {("anna", "90"), ("bob", "90"), ("eve", "90"), ("eve", "04")}
    both = collect(tmp_path, STEMS, {"04", "90"}, skip=tmp_path / "grades", only=True)
    assert len(both.submissions) == 6  # both were asked for by name


def test_what_cannot_be_graded_is_laid_to_its_student(tmp_path):
    with zipfile.ZipFile(tmp_path / "locked", "w") as archive:
        archive.writestr("90_small.ipynb", Notebook().bytes())
    data = bytearray((tmp_path / "locked").read_bytes())
    data[data.rfind(b"PK\1\2") + 8] |= 1  # "it has a password"
    copied = Notebook()
    for n in range(3):
        copied.add("%%trial 90.2 wrong one", id=f"try-90-2-{n}")
    hidden = copied.bytes()
    folder = tmp_path / "class"
    for name, content in {"anna/answers.pdf": b"%PDF", "bob/work.zip": b"PK", "eve/l.zip": data,
                          "max/solutions/90_small.ipynb": hidden}.items():
        found(folder, name, content=bytes(content))
    inputs = collect(folder, STEMS, {"90"}, skip=tmp_path / "grades")
    why = {s.student: s.unusable[1] if s.unusable else "" for s in inputs.submissions}
    assert "not a notebook" in why["anna"] and "not a zip" in why["bob"]
    assert "course's own solutions" in why["max"]
    (eve,) = (s.files[0] for s in inputs.submissions if s.student == "eve")
    with pytest.raises(zipfile.BadZipFile, match="encrypted"):
        eve.read()


def test_bombs_are_not_unpacked(tmp_path):
    small, large = tmp_path / "small.zip", tmp_path / "class/anna.zip"
    large.parent.mkdir()
    for path, member, size in ((small, "90_small.ipynb", 2**10), (large, "small.zip", 2**10)):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, small.read_bytes() if path == large else bytes(size))
        data = bytearray(path.read_bytes())
        place = data.rfind(b"PK\1\2") + 24  # the size that it claims to unpack to
        data[place : place + 4] = struct.pack("<I", 0xFFFF_FFF0)
        path.write_bytes(data)
    (anna,) = collect(large.parent, STEMS, {"90"}, skip=tmp_path / "grades").submissions
    assert "too much" in anna.unusable[1]


def test_the_date_of_a_students_zip_counts_and_not_those_inside(tmp_path):
    def zipped(path, *names):
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name, (2001, 1, 1, 0, 0, 0)), Notebook().bytes())
        os.utime(path, (1.7e9, 1.7e9))
        return path

    zipped(tmp_path / "a/anna.zip", "90_small.ipynb"), zipped(tmp_path / "a/b/z.zip", "x.ipynb")
    whole = zipped(tmp_path / "c/class.zip", "anna/90_small.ipynb", "bob/90_small.ipynb")
    for source, late in ((tmp_path / "a", True), (whole.parent, False), (whole, False)):
        for submission in collect(source, STEMS, {"90"}, skip=tmp_path / "grades").submissions:
            assert (submission.submitted == 1.7e9) is late


def test_a_name_that_is_no_text_is_made_one(tmp_path):
    name = os.fsdecode(b"an\xffna")
    submissions, _ = found(tmp_path, f"{name}/90_small.ipynb", "zoe/90_small.ipynb")
    assert [student for student, _ in submissions] == ["an\ufffdna", "zoe"]
    assert str(submissions).encode()


def test_a_folder_that_may_not_be_looked_into_is_told(tmp_path, monkeypatch):
    found(tmp_path, "anna/90_small.ipynb", "zoe/90_small.ipynb")
    (tmp_path / "ben").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "ben")  # root may do all
    inputs = collect(tmp_path, STEMS, {"90"}, skip=tmp_path / "grades")
    assert ("ben/", "a folder that you may not look into") in inputs.ignored
    assert [s.unusable for s in inputs.submissions if s.student == "ben"] == [inputs.ignored[0]]


def test_one_learner_may_grade_their_own_folder(tmp_path):
    submissions, _ = found(tmp_path / "mine", "90_small.ipynb")
    assert submissions == {("mine", "90"): ["90_small.ipynb"]}


def test_zips_are_read_as_folders_even_within_zips(tmp_path):
    inner = tmp_path / "anna.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("90_small.ipynb", Notebook().bytes())
    whole = tmp_path / "class" / "submissions.zip"
    whole.parent.mkdir()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.write(inner, "all/anna.zip")
        archive.writestr("all/bob/90_small.ipynb", Notebook().bytes())
        archive.writestr("all/bob/../../notes.txt", "x")
        archive.writestr("all/broken.zip", "not a zip")
    for source in (whole, whole.parent):
        inputs = collect(source, STEMS, {"90"}, skip=tmp_path / "grades")
        anna, bob, broken = inputs.submissions
        assert [anna.student, bob.student, broken.student] == ["anna", "bob", "broken"]
        assert all(s.files[0].read() == Notebook().bytes() for s in (anna, bob))
        assert not broken.files and "not a zip" in broken.unusable[1]
        assert broken.unusable in inputs.ignored
    assert not (tmp_path / "notes.txt").exists()


def test_only_the_chapters_that_are_asked_for(tmp_path):
    found(tmp_path, "anna/04_momentum.ipynb", "anna/unnamed.ipynb", content=other_chapter())
    submissions, ignored = found(tmp_path, "anna/90_small.ipynb")
    assert submissions == {("anna", "90"): ["anna/90_small.ipynb"]}
    assert len(ignored) == 2 and all("chapter 04" in why for why in ignored.values())


def test_a_fifth_version_of_a_notebook_is_listed(tmp_path):
    names = [f"anna/90_small ({n}).ipynb" for n in range(5)]
    for age, name in enumerate(names):
        found(tmp_path, name)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    submissions, ignored = found(tmp_path)
    assert submissions["anna", "90"] == names[:4] and list(ignored) == names[4:]


def test_a_file_that_is_too_much_for_the_reader_costs_no_other():
    def look(what):
        yield {"begun": what}
        if what == "slow":
            re.match("(a*)*b", "a" * 100)
        elif what == "large":
            bytearray(2**40)
        elif what == "fatal":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "long":
            yield {"text": "x" * 2**24}
        elif what == "odd":
            raise ValueError("odd")
        yield {"done": True}

    everyone = ["a", "slow", "b", "large", "fatal", "c", "long", "odd", "d"]
    seen = {what: (found, why) for what, found, why in reading.each(look, everyone, seconds=1)}
    assert list(seen) == everyone and all(found["begun"] == w for w, (found, _) in seen.items())
    assert {what for what in everyone if seen[what] == ({"begun": what, "done": True}, "")} == set(
        "abcd")
    for what, reason in [("slow", "more than 1 seconds"), ("large", "MB of memory"),
                         ("fatal", "ended the process"), ("long", "ended"), ("odd", "odd")]:
        assert reason in seen[what][1]


def test_a_zip_of_zips_is_one_among_the_class(tmp_path, monkeypatch):
    """What is too much for all is the work of those who handed in too much."""
    def zipped(members):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return data.getvalue()

    large = zipped({f"{n}.ipynb": bytes(10**5) for n in range(40)})
    (tmp_path / "class").mkdir()
    for n, inner in enumerate((large, large)):
        (tmp_path / f"class/a{n}.zip").write_bytes(zipped({f"{m}.zip": inner for m in range(40)}))
    (tmp_path / "class/zoe.zip").write_bytes(zipped({"90_small.ipynb": Notebook().bytes()}))
    (tmp_path / "class/bob.zip").write_bytes(zipped({
        "b.zip": zipped({"90_small.ipynb": Notebook().bytes()})}))
    monkeypatch.setattr(inputs, "MAX_UNZIPPED", 10**7)
    submissions, ignored = found(tmp_path / "class")
    assert submissions["zoe", "90"] and submissions["bob", "90"]
    assert sum("too much" in why for why in ignored.values()) == 78  # room for two


def test_folders_without_end_and_names_without_end_are_left_out(tmp_path):
    (tmp_path / "anna" / "d" / Path("d/" * 100)).mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "bob.zip", "w") as archive:
        archive.writestr("d/" * 3000 + "90_small.ipynb", Notebook().bytes())
        archive.writestr("-" * 60_000 + ".ipynb", Notebook().bytes())
    submissions, ignored = found(tmp_path, "zoe/90_small.ipynb", "max/90_small.ipynb")
    assert submissions["zoe", "90"] and submissions["max", "90"]
    assert [why for why in ignored.values() if "too" in why] == [
        "folders nested too deeply", "its name is too long", "its name is too long"][:len(ignored)]


def test_one_trial_makes_no_copy_of_the_solutions(tmp_path):
    mine = Notebook().add("%%trial 90.2 wrong mine", id="mine").bytes()
    submissions, ignored = found(tmp_path, "anna/90_small.ipynb", "zoe/90_small.ipynb",
                                 content=mine)
    assert len(submissions) == 2 and ignored == {}


# --- what is run ------------------------------------------------------------------------------

GIVEN = [{"id": id, "source": source, "theirs": id.startswith(("ans-", "chk-"))}
         for id, source in SOLUTIONS.items()
         if not id.startswith(("ex-", "hid-", "try-", "intro"))]
NAMES = {"90.1": ["answer_90_1"], "90.2": ["step"], "90.3": ["Average"], "90.4": ["descend"],
         "90.5": ["answer_90_5"], "90.6": ["scale"]}


def planned(notebook):
    data = notebook if isinstance(notebook, bytes) else notebook.bytes()
    return plan(read_notebook(data), GIVEN, NAMES)


def test_given_cells_run_as_given_then_as_changed_and_are_put_back():
    changed = planned(Notebook().put("given-90-2", "def halve(x): return 1 / 0")
                      .step("return halve(x)"))
    sources = [cell.source for cell in changed.cells]
    assert sources.index(SOLUTIONS["given-90-2"]) + 1 == sources.index("def halve(x): return 1 / 0")
    without = planned(Notebook().drop("given-90-2", "setup").step("return halve(x)"))
    assert [cell.id for cell in without.cells][:4] == ["setup", "ans-90-1", "given-90-2",
                                                       "ans-90-2"]


def test_an_experiment_that_nothing_uses_is_left_out_and_checks_too():
    assert "run-90-2" not in [cell.id for cell in planned(Notebook()).cells]
    assert not any("check(" in cell.source for cell in planned(Notebook()).cells)
    for use in ("step = halves", "print(f'{halves}')", "%time halves", "def f(): return halves"):
        cells = planned(Notebook().put("ans-90-6", use)).cells
        assert "run-90-2" in [cell.id for cell in cells], use
    mentioned = planned(Notebook().put("ans-90-6", "def f(halves): return halves"))
    assert "run-90-2" not in [cell.id for cell in mentioned.cells]


def test_format_3_and_byte_order_marks_are_read():
    assert len(planned(format_3()).cells) == len(planned(Notebook()).cells)
    assert planned(b"\xef\xbb\xbf" + Notebook().bytes()).cells


def test_an_exercise_is_asked_about_where_the_learner_did():
    for notebook in (Notebook(), reordered(), Notebook().drop("chk-")):
        made = planned(notebook)
        for id, places in made.places.items():
            defined = [n for n, cell in enumerate(made.cells)
                       if cell.id == f"ans-{id.replace('.', '-')}"]
            assert places and places[-1] > defined[0]


def test_an_answer_that_is_a_value_is_asked_for_once():
    made = planned(Notebook().put("ans-90-1", "answer_90_1 = 'a'")
                   .add("answer_90_1 = 'b'", before="ex-90-2")
                   .add("def step(): pass", before="ex-90-3"))
    assert len(made.places["90.1"]) == 1 and len(made.places["90.2"]) == 2


@pytest.mark.parametrize("source", [
    "#" * 5000 + "\nx = 1", "# note\n" * 5000 + "x = 1", "\n" * 10**5 + "x", " " * 10**5 + "x",
    "x = " + "-" * 10**5 + "1", "x = " + "(" * 10**4, "x = a" + ".b" * 10**5, "x = '\ud800'",
    "check('90.2')" + " " * 10**6 + "x", "x = [" + "lambda: 0, " * 70_000 + "]",
    "check(" * 10**5 + "x", "x = 1\n!" + "=" * 10**6, "? " * 10**5 + "x", "async " * 10**5 + "x",
    "x" * 10**6 + " ?x", "x = 0\n" * 10**5 + "%x"])
def test_no_source_takes_long_to_plan(source):
    began = time.process_time()
    kept = [cell.source.encode() for cell in planned(Notebook().add(source)).cells]
    assert any(b"x" in source for source in kept)
    assert time.process_time() - began < 10  # it was years


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"cells": [3]}', b'{"cells": [{}]}',
                                  b'{"worksheets": 1}', b"[" * 10**5, b'{"cells": {"a": 1}}'])
def test_what_is_no_notebook_is_said_to_be_none(data):
    with pytest.raises(Unreadable, match="not a notebook"):
        read_notebook(data)


def test_a_megabyte_of_code_is_refused():
    with pytest.raises(Unreadable, match="characters of code"):
        planned(Notebook().add("x = 1\n" * 200_000))


@pytest.mark.parametrize("source", [
    "step = lambda x, g, lr: x", "step, other = one, two", "if True:\n    step = one",
    "for step in [one]:\n    pass", "(step) = one", "from mine import step", "import mine as step",
    "with one as step:\n    pass", "!ls\nstep = one", "%%time\nstep = one", "(step := one)",
    "step = await one", "try:\n    step = one\nfinally:\n    pass"])
def test_an_answer_is_asked_for_where_it_is_bound_however_that_is_done(source):
    whole = Notebook().put("ans-90-2", f'{source}\ncheck("90.2")').drop("chk-90-2")
    made = planned(whole)
    (cell,) = [n for n, cell in enumerate(made.cells) if cell.id == "ans-90-2"]
    assert made.places["90.2"] == [cell + 1]
    assert planned(Notebook().put("ans-90-2", source)).places["90.2"] == [cell + 1]


def test_a_notebook_of_thousands_of_cells_is_refused():
    notebook = Notebook()
    for n in range(2000):
        notebook.add("1", id=f"x{n}")
    with pytest.raises(Unreadable, match="cells"):
        planned(notebook)


# --- the wire ---------------------------------------------------------------------------------


@given(some.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_over_the_wire_is_a_message_or_refused(noise):
    near, far = socket.socketpair()
    with near, far:
        near.sendall(struct.pack("!I", len(noise)) + noise)
        near.close()
        try:
            message, buffers = Wire(far).receive(time.monotonic() + 5)
        except (WireBroken, EOFError):
            return
        assert isinstance(message, dict) and isinstance(buffers, list)


JSON = some.recursive(some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
                      lambda inner: some.lists(inner, max_size=4) | some.dictionaries(
                          some.sampled_from(["array", "tuple", "set", "dict", "complex", "rng",
                                             "function", "objective", "x"]), inner, max_size=2))


@given(JSON, some.lists(some.binary(max_size=20), max_size=2))
@settings(max_examples=500, deadline=None)
def test_whatever_is_decoded_is_plain_or_refused(tree, buffers):
    try:
        decode(tree, buffers)
    except NotPlain:
        pass


def test_sizes_are_bounded_before_anything_is_read():
    for header in (struct.pack("!I", 2**31),
                   _framed([{}, [MAX_BYTES + 1]]), _framed([{}, [-1]]), _framed([{}, [0] * 10**5])):
        near, far = socket.socketpair()
        with near, far:
            threading.Thread(target=near.sendall, args=(header,), daemon=True).start()
            with pytest.raises(WireBroken):
                Wire(far).receive(time.monotonic() + 5)


def _framed(message):
    data = json.dumps(message).encode()
    return struct.pack("!I", len(data)) + data


def test_a_wire_waits_no_longer_than_it_is_told():
    near, far = socket.socketpair()
    with near, far:
        near.sendall(b"\x00")
        with pytest.raises(TimeIsUp):
            Wire(far).receive(time.monotonic() + 0.1)


@pytest.mark.parametrize("reply", [
    {"number": 7}, {"number": -1}, {"number": 0, "arguments": 3}, {"kept": "x"}, {},
    {"result": {"array": [0, "O", [1]]}}, {"result": {"function": 0}}, {"failed": "correct"},
    {"result": 1, "changed": 7}, {"result": 1, "changed": [[0]]}])
def test_a_student_who_speaks_another_language_is_only_wrong(reply):
    names = RemoteNamespace(lambda *message: (reply, [b"12345678"]), "90.2", 1)
    with pytest.raises(AnswerFailed):
        names.call("step", (lambda x: x, np.zeros(2)), {})


# --- the sandbox's paths ----------------------------------------------------------------------


def test_what_is_hidden_is_not_readable_even_beneath_what_is(tmp_path):
    (tmp_path / "a/b/secret").mkdir(parents=True)
    (tmp_path / "a/b/open").mkdir()
    readable = sandbox.libraries(hidden=[tmp_path / "a/b/secret"], more=[str(tmp_path)])
    mine = [path for path in readable if path.startswith(str(tmp_path))]
    assert mine == [str(tmp_path / "a/b/open")]
    bank = paths.home() / "zglearn/exercises/bank"
    assert not any(Path(path) == bank or Path(path) in bank.parents
                   for path in sandbox.libraries(hidden=[bank]))


# --- reports ----------------------------------------------------------------------------------


def test_names_of_files_fit_on_a_disk_and_differ():
    names = ["漢" * 85, "漢" * 84 + "字", "x" * 255, "..", "a/b", "Anna", "anna", "-2+3"]
    made = [reports.file_name(name) for name in names]
    assert len({name.lower() for name in made}) == len(names)
    assert all(len(f"{name}.04.xml.part".encode()) <= 255 and "/" not in name for name in made)


SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


@pytest.mark.parametrize("formula", [
    "=1+1", "+1", "-1+cmd", "@SUM(1)", "\t=1", "\uff1d1", " =1", '"=1', "x;=1+1;", "x\t=1", "x; =1",
    'x;"=1"', "x;\uff1d1", "x\n=1", "x|+1", "x\r-1"])
def test_no_cell_of_a_table_is_a_formula_however_it_is_split(formula):
    for part in re.split(r"[;\t|\n\r]", reports._safe(formula)):
        assert not part.strip(' "').startswith(tuple(SIGNS)), part
    assert reports._table([[-1.5]]) == "-1.5\n"


def test_what_is_shown_does_not_turn_what_is_beside_it():
    assert reports._safe("a\u202eb\u2066c\x1b[31m\u0000") == "a\ufffdb\ufffdc\ufffd[31m\ufffd"
    for name in ("\u0645\u06cc\u200c\u062e", "\u0915\u094d\u200d\u0937"):  # joined as they must be
        assert reports._safe(name) == name and inputs._text(name) == name


def test_a_message_with_numbers_stays_as_it_is():
    said = "expected [-0.1, 0.2], got [0.3, -1]; off by 2 - 1 = 1 (x = -3)"
    assert reports._safe(said) == said


# --- similarity -------------------------------------------------------------------------------


def prints(**sources):
    return {student: similarity.fingerprint(source) for student, source in sources.items()}


def test_copies_with_new_names_are_a_lead_and_independent_answers_are_none():
    ours = ("def solve(a, b):\n    total = 0.0\n    for i, x in enumerate(a):\n"
            "        if x > b[i]:\n            total += (x - b[i]) ** 2\n        else:\n"
            "            total -= abs(x) / (1 + b[i])\n    return total / len(a)")
    copied = ours.replace("total", "s").replace("x", "value") + "  # my own work"
    other = ("def solve(a, b):\n    a, b = np.asarray(a), np.asarray(b)\n"
             "    return np.where(a > b, (a - b) ** 2, -np.abs(a) / (1 + b)).mean()")
    leads = similarity.leads({"90.2": prints(anna=ours, bob=copied, zoe=other)})
    assert [(lead[1:3]) for lead in leads] == [("anna", "bob")] and leads[0][3] > 0.9


def test_what_the_whole_class_writes_is_no_lead():
    (stub,) = prints(stub=SOLUTIONS["ans-90-3"]).values()
    assert len(stub) >= similarity.SHARED
    assert similarity.leads({"90.2": {f"s{n}": stub for n in range(12)}}) == []
    others = {f"z{n}": [n] for n in range(1000)}  # 30 of 1,000 are few, and too many to be a copy
    assert similarity.leads({"90.2": {f"s{n}": stub for n in range(30)} | others}) == []
    assert len(similarity.leads({"90.2": {f"s{n}": stub for n in range(2)} | others})) == 1


def test_what_stands_in_the_stub_is_no_lead_however_small_the_class():
    stub = SOLUTIONS["ans-90-3"]
    assert similarity.fingerprint(stub, stub) == []
    theirs = similarity.fingerprint(f"{stub}\n\ndef helper(x):\n    return [x, x ** 2, -x]", stub)
    assert 0 < len(theirs) < len(similarity.fingerprint(stub))


# --- the hand-out -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handout(tmp_path_factory):
    """A hand-out, and `run(*arguments)` in its folder."""
    out = tmp_path_factory.mktemp("out") / "handout"
    assert release.main(["--out", str(out), "--only", "04", "--only", "17"]) == 0
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ZGLEARN")}

    def run(*arguments):
        return subprocess.run([sys.executable, *arguments], cwd=out, capture_output=True, text=True,
                              env=environ | {"PYTHONPATH": str(out),
                                             "ZGLEARN_PROGRESS": ":memory:"})

    return out, run


def test_in_a_hand_out_no_answer_can_be_read_off(handout):
    out, _ = handout
    assert not (out / "solutions").exists() and json.loads((out / "VERSION.json").read_text())
    readable = "\n".join(path.read_bytes().decode("utf-8", "replace") for path in out.rglob("*")
                         if path.is_file() and "chapters" not in path.parts)
    one_line = re.sub(r'"\s*\n\s*"', "", readable)  # as Python joins the parts of a text
    own = Path(paths.home(), "zglearn/exercises/bank")
    reasons = [text for e in exercise.all_exercises() for text in
               (*e.rubric, *(good for _, good in e.followups), *e.hints)]
    assert len(reasons) > 500 and not [text for text in reasons if len(text) > 30
                                       and (text in readable or text in one_line)]
    for path in own.glob("ch*.py"):
        lines = [line.strip() for line in path.read_text().splitlines() if "expect" in line]
        assert lines and not [line for line in lines if len(line) > 50 and line in readable]
        assert not (out / path.relative_to(paths.home())).exists()


def test_the_commands_of_a_hand_out_work(handout):
    out, run = handout
    program = ("from zglearn.course import check, hint, clinic, ward\n"
               "print(check('04.1', {'answer_04_1': 'c'}).status, len(clinic().queue) > 100)\n"
               "from zglearn.exercises.cards import cards, source\n"
               "print(all(source(c.broken) for c in cards() if c.broken))")
    done = run("-c", program)
    assert done.stdout.split() == ["correct", "True", "True"], done.stderr
    readme = (out / "README.md").read_text()
    told = re.findall(r"^python3 -m (zglearn \w+(?: \d\d)?)", readme, re.M)
    assert len(told) == 5 and "docs/" not in readme and "solutions/" not in readme
    listed = run("-m", "zglearn").stdout
    for command in told:
        assert command.split()[1] in listed
    for command in (["progress"], ["reset", "04"], ["lab", "--help"], ["doctor", "--here"],
                    ["interview", "--topic", "04", "--minutes", "1"]):
        done = run("-m", "zglearn", *command)
        assert done.returncode == 0 or command[0] == "doctor", done.stderr
        assert "Traceback" not in done.stderr
    for command in ("grade", "update", "notebooks", "viva", "release"):
        assert command not in re.findall(r"^  (\w+)", listed, re.M)
        assert "this is a hand-out" in run("-m", "zglearn", command).stderr


def test_a_release_says_what_it_cannot(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    assert release.main(["--out", str(tmp_path / "out")]) == 1
    assert "not empty" in capsys.readouterr().err
    assert release.main(["--out", str(tmp_path / "new"), "--only", "77"]) == 1
    assert "--only takes 01" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_a_sealed_module_with_another_key_says_so(tmp_path):
    (tmp_path / "one.py").write_text("x = 1")
    sealed.seal(tmp_path, b"key")
    assert sealed.load(tmp_path / "one.sealed", "one").x == 1
    (tmp_path / sealed.KEY).write_bytes(b"another")
    with pytest.raises(ValueError, match="get the course again"):
        sealed.opened(tmp_path / "one.sealed")


def test_a_hand_out_with_somebodys_answers_is_refused(tmp_path, capsys):
    (tmp_path / "course/exercises").mkdir(parents=True)
    (tmp_path / "course/exercises/90_small.ipynb").write_bytes(untouched().bytes())
    assert release.main(["--course", str(tmp_path / "course"), "--out", str(tmp_path / "out")]) == 1
    assert "90_small.ipynb" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel is asked")
@pytest.mark.parametrize("named, said", [("parent", ""), ("None", "alive")])
def test_who_lost_its_parent_too_early_ends(named, said):
    """The kernel tells of a parent's death only those who have asked before it."""
    program = f"""
import os, time
from zglearn.grading.sandbox import die_with_parent
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent:
        time.sleep(0.01)
    die_with_parent({named})
    print("alive", end="")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                         timeout=60)
    assert (ran.stdout, ran.stderr) == (said, "")
