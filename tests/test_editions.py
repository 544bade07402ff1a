"""A learner of 0.1.0 who updates keeps every answer, note and point, under the new numbers."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import nbformat
import pytest

from zglearn.course import progress
from zglearn.exercises import exercise as bank
from zglearn.exercises import originals, renumbered
from zglearn.setup import merging, versions

ROOT = Path(__file__).parents[1]
FIRST = "bc6abe3"  # the last commit of 0.1.0

# --- the table --------------------------------------------------------------------------------


def test_ids_follow_their_chapter():
    ids = ["01.3", "07.8", "08.2", "11.2", "14.10", "adam", "08", ""]
    assert [renumbered.new_id(id) for id in ids] == [
        "01.3", "07.8", "11.2", "14.2", "17.10", "adam", "08", ""]
    assert renumbered.new_cell_id("ans-08-2") == "ans-11-2"
    assert renumbered.new_cell_id("try-11-2-flipped") == "try-14-2-flipped"
    assert [renumbered.new_cell_id(id) for id in ("intro", "ex-04-2", "a1b2c3d4")] == [
        "intro", "ex-04-2", "a1b2c3d4"]


def test_an_exception_goes_elsewhere_and_what_is_gone_is_no_id(monkeypatch):
    monkeypatch.setitem(renumbered.EXERCISES, "08.2", "08.1")
    monkeypatch.setitem(renumbered.EXERCISES, "02.8", "02.8 of 0.1.0")
    assert [renumbered.new_id(id) for id in ("08.1", "08.2", "02.8")] == [
        "11.1", "08.1", "02.8 of 0.1.0"]
    assert renumbered.new_cell_id("ans-08-2") == "ans-08-1"
    assert renumbered.new_cell_id("ans-02-8") == "ans-02-8-of-0-1-0"


def test_every_notebook_of_the_table_is_here_and_no_old_name_is_a_new_one():
    for kind in ("chapters", "exercises", "solutions"):
        for old, new in renumbered.NOTEBOOKS.items():
            assert (ROOT / kind / f"{new}.ipynb").exists()
            assert not (ROOT / kind / f"{old}.ipynb").exists()


def test_a_learners_code_gets_the_new_ids_and_keeps_its_numbers():
    code = """
answer_08_2 = 11.2  # check 11.2 by hand
my_answer_08_2 = 3
check("08.2"); hint( '11.1')
predict("10.3", answer_10_3); print("08.2", 8.2)"""
    assert renumbered.in_new_numbers(code) == """
answer_11_2 = 11.2  # check 11.2 by hand
my_answer_08_2 = 3
check("11.2"); hint( '14.1')
predict("13.3", answer_13_3); print("08.2", 8.2)"""


def test_an_id_of_the_first_edition_that_is_none_now_is_explained():
    with pytest.raises(bank.UnknownExercise, match="in 0.1.0 it was what is 17.15 now"):
        bank.find("14.15")


# --- the progress file ------------------------------------------------------------------------

OLD_TABLE = """CREATE TABLE events (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL,
    exercise TEXT NOT NULL DEFAULT '', data TEXT NOT NULL DEFAULT '{}')"""
OLD_EVENTS = [(1.0, "check", "08.2", '{"status": "correct"}'), (2.0, "check", "11.2", "{}"),
              (3.0, "review", "14.1", '{"score": 1.0}'), (4.0, "vote", "adam", '{"agreed": true}'),
              (5.0, "interview", "", '{"score": 0.5}')]
NEW_IDS = ["11.2", "14.2", "17.1", "adam", ""]


def write_as_the_first_edition_did(path, *events):
    new = not path.exists()
    with closing(sqlite3.connect(path)) as store, store:
        if new:
            store.execute(OLD_TABLE)
        insert = "INSERT INTO events (at, kind, exercise, data) VALUES (?, ?, ?, ?)"
        store.executemany(insert, events)


def exercises():
    return [event.exercise for event in progress.events()]


@pytest.fixture
def old_progress(small_course):
    write_as_the_first_edition_did(progress.file(), *OLD_EVENTS)
    return progress.file()


def test_old_events_are_read_in_the_new_numbers_again_and_again(old_progress):
    assert exercises() == exercises() == NEW_IDS
    progress.record("check", "11.2", status="correct")
    assert exercises() == [*NEW_IDS, "11.2"] == exercises()


def test_what_0_1_0_writes_after_the_update_still_counts_as_the_firsts(old_progress):
    progress.record("check", "11.2", status="correct")
    write_as_the_first_edition_did(old_progress, (9e9, "check", "11.2", "{}"))
    assert exercises() == [*NEW_IDS, "11.2", "14.2"]


def test_old_events_are_brought_once(small_course, tmp_path):
    write_as_the_first_edition_did(old := tmp_path / "old.sqlite", *OLD_EVENTS)
    assert progress.bring_from(old) == 5 and exercises() == NEW_IDS
    assert progress.bring_from(old) == 0 and exercises() == NEW_IDS


def test_two_processes_open_an_old_file_at_once(old_progress):
    code = "from zglearn.course import progress; progress.record('check', '11.2')"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait(60) for process in started] == [0] * 4
    assert exercises() == [*NEW_IDS, *["11.2"] * 4]


# --- notebooks: a small course whose chapter was number 97 in 0.1.0 ----------------------------


def as_it_was(notebook):
    """A notebook of chapter 98 as 0.1.0 had it: number 97, and a stamp without an edition."""
    old = nbformat.from_dict(json.loads(json.dumps(notebook).replace("98", "97")))
    old.metadata["zglearn"] = originals.stamp("97_fake", [(c.id, c.source) for c in old.cells])
    del old.metadata["zglearn"]["edition"]
    return old


@pytest.fixture
def renumbered_course(small_course, monkeypatch):
    """The small course, and its exercises as a learner of 0.1.0 has answered them."""
    monkeypatch.setitem(renumbered.NOTEBOOKS, "97_fake", "98_fake")
    monkeypatch.setitem(renumbered.CHAPTERS, "97", "98")
    monkeypatch.setitem(renumbered._BACK, "98", "97")
    mine = as_it_was(nbformat.read(small_course / "exercises" / "98_fake.ipynb", as_version=4))
    for cell in mine.cells:
        cell.source = cell.source.replace("return x * x", "return 2 * x")
        cell.source = cell.source.replace("answer_97_2 = ...  # YOUR ANSWER", 'answer_97_2 = "b"')
    mine.cells.append(nbformat.v4.new_code_cell('check("97.1")', id="mine"))
    mine.cells.append(nbformat.v4.new_markdown_cell("My remark on 97.1", id="remark"))
    return small_course, mine


def is_moved(home) -> bool:
    found = nbformat.read(home / "exercises" / "98_fake.ipynb", as_version=4)
    cells = {cell.id: cell.source for cell in found.cells}
    assert "answer_97" not in json.dumps(found)
    return ("return 2 * x" in cells.get("ans-98-1", "") and cells["ans-98-2"] == 'answer_98_2 = "b"'
            and cells.get("mine") == 'check("98.1")' and cells["remark"] == "My remark on 97.1"
            and "## 98.1" in cells["ex-98-1"] and len(cells) == len(found.cells)
            and not any("The course changed" in text for text in cells.values()))


def test_answers_that_lie_in_kept_come_back(renumbered_course):
    home, mine = renumbered_course
    kept = home / "exercises" / "kept" / "97_fake-20260101-120000-000000.ipynb"
    kept.parent.mkdir()
    nbformat.write(mine, kept)
    assert originals.is_update_unfinished()
    (said,) = versions.finish()
    assert is_moved(home) and kept.exists() and f"exercises/kept/{kept.name}" in said
    assert versions.finish() == [] and not originals.is_update_unfinished()
    versions.reset(["98"])  # and they do not come again
    assert versions.finish() == []


def test_a_notebook_under_its_old_name_is_moved_also_later(renumbered_course):
    home, mine = renumbered_course
    assert versions.finish() == []
    nbformat.write(mine, home / "exercises" / "97_fake.ipynb")  # a page that was open saves itself
    (said,) = versions.finish()
    assert is_moved(home) and not (home / "exercises" / "97_fake.ipynb").exists()
    (kept,) = (home / "exercises" / "kept").glob("97_fake-*.ipynb")
    assert said == ("exercises/98_fake.ipynb: new version, your answers are in it; as it was: "
                    f"exercises/kept/{kept.name}")
    nbformat.write(mine, home / "exercises" / "97_fake.ipynb")
    assert "holds answers already" in versions.finish()[0] and is_moved(home)
    assert len(list((home / "exercises" / "kept").glob("97_fake-*.ipynb"))) == 2


def test_an_exercise_that_went_to_another_chapter_takes_its_answer_along(renumbered_course,
                                                                         monkeypatch):
    home, mine = renumbered_course
    monkeypatch.setitem(renumbered.EXERCISES, "97.2", "99.1")
    monkeypatch.setitem(renumbered._BACK, "99.1", "97.2")
    elsewhere = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_markdown_cell("## 99.1 · Choose", id="ex-99-1"),
        nbformat.v4.new_code_cell("answer_99_1 = ...  # YOUR ANSWER", id="ans-99-1")])
    elsewhere.metadata["zglearn"] = originals.stamp("99_other", [
        (cell.id, cell.source) for cell in elsewhere.cells])
    nbformat.write(elsewhere, home / "exercises" / "99_other.ipynb")
    nbformat.write(mine, home / "exercises" / "97_fake.ipynb")
    (said,) = versions.finish()
    there = nbformat.read(home / "exercises" / "99_other.ipynb", as_version=4)
    assert [cell.source for cell in there.cells] == ["## 99.1 · Choose", 'answer_99_1 = "b"']
    here = nbformat.read(home / "exercises" / "98_fake.ipynb", as_version=4)
    assert any("return 2 * x" in cell.source for cell in here.cells)
    assert not any('"b"' in cell.source for cell in here.cells)
    assert "exercises/99_other.ipynb" in said and "exercises/98_fake.ipynb" in said


def test_a_notebook_of_this_edition_is_not_renumbered(small_course, monkeypatch):
    monkeypatch.setitem(renumbered.NOTEBOOKS, "98_fake", "99_fake")
    monkeypatch.setitem(renumbered.CHAPTERS, "98", "99")
    mine = nbformat.read(small_course / "exercises" / "98_fake.ipynb", as_version=4)
    new = nbformat.read(small_course / "exercises" / "98_fake.ipynb", as_version=4)
    mine.cells.append(nbformat.v4.new_code_cell('check("98.1")', id="mine"))
    merged, notes = merging.merge(mine, new)
    assert merged.cells[-1].source == 'check("98.1")' and not notes
    assert [cell.id for cell in merged.cells[:-1]] == [cell.id for cell in new.cells]


# --- the real 0.1.0 ---------------------------------------------------------------------------


def git(folder, *arguments):
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@b", *arguments],
                          cwd=folder, capture_output=True, text=True, check=True,
                          env=environ).stdout


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """The course's repository: its branch `main` is 0.1.0, and `second` what this folder holds."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path_factory.mktemp("upstream") / "course"
    try:
        git(ROOT, "cat-file", "-e", f"{FIRST}^{{commit}}")
        git(ROOT, "clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
    except subprocess.CalledProcessError:
        pytest.skip(f"the commit {FIRST}, which is 0.1.0, is not in this copy of the repository")
    git(folder, "checkout", "--quiet", "-B", "main", FIRST)
    git(folder, "checkout", "--quiet", "-b", "second")
    git(folder, "rm", "-rq", ".")
    for name in git(ROOT, "ls-files", "-z", "-co", "--exclude-standard").split("\0")[:-1]:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "the second edition")
    git(folder, "checkout", "--quiet", "main")
    return folder


def python(folder, *arguments):
    """Run the package that lies in `folder`."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ZGLEARN")}
    return subprocess.run([sys.executable, "-P", *arguments], cwd=folder, text=True, timeout=300,
                          capture_output=True, env=environ | {"PYTHONPATH": str(folder)})


SOLVE = """

import nbformat
from zglearn.course import learner, progress
from zglearn.course.exercise import find

def solve(stem, *ids):
    path = f"exercises/{stem}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    for id in ids:
        answer = learner.solution_source(find(id))
        cells["ans-" + id.replace(".", "-")].source = answer
        progress.record("check", id, status="correct")
    notebook.cells.append(nbformat.v4.new_code_cell(f'hint("{ids[0]}")', id="mine"))
    nbformat.write(notebook, path)

solve("04_momentum", "04.1", "04.2")
solve("08_fair_race", "08.1", "08.2")
solve("11_direct_search", "11.1", "11.2")
for stem in ("04_momentum", "08_fair_race"):
    path = f"chapters/{stem}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_markdown_cell("My note on " + stem, id="note"))
    nbformat.write(notebook, path)
path = "chapters/05_adagrad.ipynb"
notebook = nbformat.read(path, as_version=4)
next(cell for cell in notebook.cells if cell.cell_type == "code").execution_count = 77
nbformat.write(notebook, path)
"""

CHECK = """
import json
import nbformat
from zglearn.course import check, progress
from zglearn.course.overview import chapters

found = {}
for stem, ids in {"04_momentum": ("04.1", "04.2"), "11_fair_race": ("11.1", "11.2"),
                  "14_direct_search": ("14.1", "14.2")}.items():
    names = {}
    for cell in nbformat.read(f"exercises/{stem}.ipynb", as_version=4).cells:
        if cell.id == "setup" or cell.id.startswith("ans-") and "NotImplemented" not in cell.source:
            exec(cell.source, names)
    found |= {id: check(id, names).status for id in ids}
print(json.dumps({"checks": found, "solved": {c.name: c.solved for c in chapters(progress.events())
                                              if c.solved}}))
"""


@pytest.fixture
def learner(upstream, tmp_path):
    """A clone of 0.1.0 with answers, notes and points; then the second edition is published."""
    git(upstream, "checkout", "--quiet", "main")
    git(upstream, "reset", "--quiet", "--hard", FIRST)
    home = tmp_path / "my course"
    git(tmp_path, "clone", "--quiet", str(upstream), str(home))
    done = python(home, "-c", SOLVE)
    assert done.returncode == 0, done.stderr
    git(upstream, "reset", "--quiet", "--hard", "second")
    return home


def assert_nothing_is_lost(home):
    assert not list(home.glob("*/08_fair_race.ipynb"))
    for stem, old in (("04_momentum",) * 2, ("11_fair_race", "08_fair_race")):
        notes = nbformat.read(home / "chapters" / f"{stem}.ipynb", as_version=4).cells
        assert f"My note on {old}" in [cell.source for cell in notes]
    own = {stem: cell.source for stem in ("11_fair_race", "14_direct_search")
           for cell in nbformat.read(home / "exercises" / f"{stem}.ipynb", as_version=4).cells
           if cell.id == "mine"}
    assert own == {"11_fair_race": 'hint("11.1")', "14_direct_search": 'hint("14.1")'}
    checked = python(home, "-c", CHECK)
    assert checked.returncode == 0, checked.stderr
    found = json.loads(checked.stdout.splitlines()[-1])
    assert found["checks"] == dict.fromkeys(["04.1", "04.2", "11.1", "11.2", "14.1", "14.2"],
                                            "correct")
    assert found["solved"] == {"04 · Momentum": 2, "11 · A fair race": 2,
                               "14 · Search without derivatives": 2}


def test_the_update_of_0_1_0_is_finished_by_the_new_code(learner):
    done = python(learner, "-m", "zglearn", "update")
    assert done.returncode == 0, done.stderr
    for name in ("exercises/04_momentum", "exercises/11_fair_race", "exercises/14_direct_search",
                 "chapters/04_momentum", "chapters/11_fair_race"):
        assert f"{name}.ipynb: " in done.stdout
    assert "chapters/kept/08_fair_race-" in done.stdout
    assert "exercises/kept/11_direct_search-" in done.stdout
    assert_nothing_is_lost(learner)
    again = python(learner, "-m", "zglearn", "update")
    assert again.stdout.startswith("This is the newest version")


def test_lab_finishes_where_the_old_code_ended_in_an_error(learner, upstream):
    git(upstream, "rm", "-q", "zglearn/course/bank.py")  # where the old code meets the new
    git(upstream, "commit", "-qm", "without the place where the old code meets the new")
    assert "Traceback" in python(learner, "-m", "zglearn", "update").stderr
    done = python(learner, "-c", "import os, sys; from zglearn.setup import launcher;"
                                 "launcher.finish_update(sys.executable, dict(os.environ))")
    assert done.returncode == 0 and "exercises/11_fair_race.ipynb: new version" in done.stdout
    assert_nothing_is_lost(learner)


def test_update_from_a_folder_of_0_1_0(learner, upstream, tmp_path):
    git(tmp_path, "clone", "--quiet", "-b", "second", str(upstream), "new course")
    home = tmp_path / "new course"
    done = python(home, "-m", "zglearn", "update", "--from", str(learner))
    assert done.returncode == 0, done.stderr
    assert "6 events of your progress are here now." in done.stdout
    assert "05_adagrad" not in done.stdout
    assert_nothing_is_lost(home)
    before = {path: path.read_bytes() for path in home.rglob("*.ipynb")}
    again = python(home, "-m", "zglearn", "update", "--from", str(learner))
    assert again.returncode == 0 and "holds answers already" in again.stdout
    assert {path: path.read_bytes() for path in home.rglob("*.ipynb")} == before
