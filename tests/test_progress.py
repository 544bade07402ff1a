"""Progress survives everything; fresh and newer notebooks never cost an answer."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time

import nbformat
import pytest
from small_course import notebook

from zglearn import paths
from zglearn.authoring import notebooks
from zglearn.course import learner, overview, progress
from zglearn.exercises import exercise as bank
from zglearn.exercises import originals
from zglearn.setup import versions

NAME = "98_fake.ipynb"


def write_events(count):
    return ("from zglearn.course import progress\n"
            f"for n in range({count}): progress.record('check', '98.1', status='correct', n=n)")


# --- the file ---------------------------------------------------------------------------------


def test_what_is_recorded_is_read(small_course):
    progress.record("hint", "98.1", number=1)
    progress.record("check", "98.2", status="correct")
    assert [e.kind for e in progress.events()] == ["hint", "check"]
    assert progress.events("hint")[0].data == {"number": 1}
    assert progress.events(exercise="98.2")[0].kind == "check"


def test_two_notebooks_write_at_once(small_course):
    started = [subprocess.Popen([sys.executable, "-c", write_events(100)]) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    assert len(progress.events()) == 200


def test_a_crash_loses_nothing_that_was_recorded(small_course):
    process = subprocess.Popen([sys.executable, "-c", write_events(10**6)])
    deadline = time.monotonic() + 60
    while len(progress.events()) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    numbers = [e.data["n"] for e in progress.events()]
    assert len(numbers) >= 20 and numbers == list(range(len(numbers)))


def test_a_file_of_an_older_version_with_unknown_events_is_read(small_course):
    progress.record("tea", "98.1", cups=2)
    assert overview.as_text(progress.events())


def test_a_damaged_file_is_put_aside(small_course):
    progress.file().write_bytes(b"this is no database at all, " * 100)
    with pytest.warns(UserWarning, match="damaged.*kept as"):
        progress.record("hint", "98.1", number=1)
    assert len(progress.events()) == 1
    aside = list(progress.file().parent.glob("progress.sqlite.damaged-*"))
    assert aside[0].read_bytes().startswith(b"this is no database")


def test_a_file_that_cannot_be_written_never_stops_a_learner(small_course, monkeypatch):
    monkeypatch.setenv("ZGLEARN_PROGRESS", "/proc/nowhere/progress.sqlite")
    monkeypatch.setattr(progress, "_memory", [])
    with pytest.warns(UserWarning, match="could not be saved"):
        assert learner.check("98.1", {"twice": lambda x: x + x}).status == "correct"
    assert len(progress.events("check")) == 1


def test_a_busy_file_is_told_and_not_put_aside(small_course, monkeypatch):
    progress.record("hint", "98.1", number=1)
    monkeypatch.setattr(progress, "BUSY_SECONDS", 0.2)
    holder = sqlite3.connect(progress.file(), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(progress, "_memory", [])
    with pytest.warns(UserWarning, match="could not be saved"):
        progress.record("hint", "98.1", number=2)
    holder.execute("ROLLBACK")
    holder.close()
    assert sorted(e.data["number"] for e in progress.events("hint")) == [1, 2]
    assert not list(progress.file().parent.glob("*.damaged-*"))


def test_solutions_and_authors_record_nothing(small_course, monkeypatch):
    monkeypatch.delenv("ZGLEARN_PROGRESS")
    monkeypatch.chdir(small_course / "solutions")
    assert progress.file() is None
    monkeypatch.chdir(small_course / "exercises")
    assert progress.file() == small_course / ".zglearn" / "progress.sqlite"
    monkeypatch.setenv("ZGLEARN_PROGRESS", ":memory:")
    assert progress.file() is None


# --- the overview -----------------------------------------------------------------------------


def solve_some():
    learner.check("98.1", {"twice": lambda x: x * x})
    learner.check("98.1", {"twice": lambda x: x + x})
    learner.check("98.2", {"answer_98_2": "a"})
    learner.predict("98.3", "b")
    learner.predict("98.3", "a")
    learner.hint("98.1")
    learner.score("98.4", 1)


def test_the_overview_counts(small_course):
    solve_some()
    text = overview.as_text(progress.events())
    assert text.splitlines()[1].split() == ["98", "·", "Fake", "2/4", "3/8"]
    assert "Predictions: 0 of 1 came true." in text
    assert "Hints asked: 1. Solutions seen: 0." in text and "Interviews: none yet." in text


def test_the_dashboard_has_text_and_still_html(small_course, monkeypatch):
    monkeypatch.chdir(small_course)
    board = overview.dashboard()
    bundle = board._repr_mimebundle_()
    assert "98 · Fake" in bundle["text/plain"] and "0 of 4 solved" in bundle["text/html"]
    assert "href='exercises/98_fake.ipynb'" in bundle["text/html"]
    solve_some()
    board.children[-1].children[0].click()
    assert "2 of 4 solved" in board.body.value
    assert "<a target='_blank' href='exercises/98_fake.ipynb'" in board.body.value


def test_the_command_prints_and_exports(small_course, tmp_path, capsys):
    solve_some()
    assert overview.main([]) == 0
    assert "nothing leaves this computer" in capsys.readouterr().out
    for name in ("me.json", "me.csv"):
        assert overview.main(["--export", str(tmp_path / name)]) == 0
    rows = json.loads((tmp_path / "me.json").read_text())
    assert [row["kind"] for row in rows][:3] == ["check"] * 3
    assert len((tmp_path / "me.csv").read_text().splitlines()) == len(rows) + 1
    capsys.readouterr()
    for name, complaint in [("me.json", "is there already"), ("me.txt", "ends in .json or .csv"),
                            ("no/me.csv", "cannot be written")]:
        assert overview.main(["--export", str(tmp_path / name)]) == 1
        assert complaint in capsys.readouterr().err


# --- reset ------------------------------------------------------------------------------------


def edit(path, old="return x * x", new="return 2 * x"):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def kept(home):
    return sorted((home / "exercises" / "kept").glob("*.ipynb"))


@pytest.mark.parametrize("source", ["solutions", "kept originals", "git"])
def test_reset_gives_a_fresh_notebook_and_keeps_the_old_one(small_course, capsys, source):
    path = small_course / "exercises" / NAME
    fresh = path.read_bytes()
    if source == "kept originals":
        originals.keep_originals()
    if source == "git":
        commit(small_course, "all")
    if source != "solutions":
        shutil.rmtree(small_course / "solutions")
    edit(path)
    mine = path.read_bytes()
    assert versions.reset(["98"]) == 0
    assert path.read_bytes() == fresh
    assert [copy.read_bytes() for copy in kept(small_course)] == [mine]
    assert "kept as exercises/kept/98_fake-" in capsys.readouterr().out


def test_reset_without_an_original_changes_nothing(small_course, capsys):
    path = small_course / "exercises" / NAME
    shutil.rmtree(small_course / "solutions")
    edit(path)
    mine = path.read_bytes()
    assert versions.reset(["98"]) == 1
    assert "update --from" in capsys.readouterr().err and path.read_bytes() == mine


@pytest.mark.parametrize("heading, title", [
    ("# 98 · Low rank: exercises", "Low rank"), ("# 98 · A fair race\n\nWhich?", "A fair race"),
    ("# No number", "fake")])
def test_a_chapter_goes_by_the_heading_of_its_notebook(small_course, heading, title):
    path = small_course / "exercises" / NAME
    book = notebooks.read(path)
    book.cells[0].source = heading
    notebooks.write(book, path)
    assert paths.title("98") == title and overview.chapter_name("98") == f"98 · {title}"
    assert paths.title("97") == "" and overview.chapter_name("97") == "97"


def test_every_chapter_has_a_title_that_is_not_its_file_name():
    for path in notebooks.hand_edited():
        if path.name[:2] != "00":
            assert paths.title(path.name[:2])[0].isupper()


@pytest.mark.parametrize("where", ["README.md", "chapters/00_start_here.ipynb"])
def test_the_table_of_chapters_has_the_chapters_titles(where):
    lines = (paths.home() / where).read_text(encoding="utf-8")
    rows = dict(re.findall(r"\| (\d\d) \| \[?([^]|]+?)(?:\]\(\d\d\w+\.ipynb\))? \|", lines))
    chapters = {path.name[:2] for path in (paths.home() / "chapters").glob("*.ipynb")} - {"00"}
    assert rows == {chapter: paths.title(chapter) for chapter in chapters}


def test_exercises_have_their_chapters_titles():
    for path in notebooks.hand_edited():
        if path.parent.name == "solutions":
            heading = notebooks.read(path).cells[0].source.split("\n")[0]
            assert heading == f"# {path.name[:2]} · {paths.title(path.name[:2])}: exercises"


def test_reset_of_a_chapter_that_is_not_there(small_course, capsys):
    assert versions.reset(["55"]) == 1
    assert "There are: 98_fake" in capsys.readouterr().err


def test_reset_brings_back_a_lost_or_damaged_notebook(small_course):
    path = small_course / "exercises" / NAME
    fresh = path.read_bytes()
    path.unlink()
    assert versions.reset(["98"]) == 0 and path.read_bytes() == fresh
    path.write_text("{half of it")
    assert versions.reset(["98"]) == 0 and path.read_bytes() == fresh
    assert [copy.read_text() for copy in kept(small_course)] == ["{half of it"]


def test_an_edited_notebook_is_not_taken_for_an_original(small_course):
    edit(small_course / "exercises" / NAME)
    originals.keep_originals()
    assert not list((small_course / ".zglearn" / "originals").iterdir())


# --- update -----------------------------------------------------------------------------------


def new_version(home, **changes):
    """Publish a new version: the task and the stub's broken line changed, a cell more."""
    source = home / "solutions" / NAME
    changed = notebook({"ex-98-1": "## 98.1 · Double it\n\nReturn twice the number.",
                        "note-new": "A new remark.", **changes})
    notebooks.write(notebooks.normalise(changed), source)


def sources(path):
    return {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}


def test_update_keeps_answers_and_takes_what_is_new(small_course, capsys):
    path = small_course / "exercises" / NAME
    edit(path)
    edit(path, "answer_98_2 = ...", "answer_98_2 = 'b'")
    mine = path.read_bytes()
    new_version(small_course)
    assert versions.update([]) == 0
    now = sources(path)
    assert "return 2 * x" in now["ans-98-1"] and "'b'" in now["ans-98-2"]
    assert "twice the number" in now["ex-98-1"] and now["note-new"] == "A new remark."
    assert now["ans-98-3"].startswith("answer_98_3 = ...")
    assert [copy.read_bytes() for copy in kept(small_course)] == [mine]
    assert "new version, your answers are in it" in capsys.readouterr().out
    merged = path.read_bytes()
    assert versions.update([]) == 0
    assert "notebooks are up to date." in capsys.readouterr().out and path.read_bytes() == merged


def test_update_of_an_untouched_notebook_is_the_new_notebook(small_course):
    path = small_course / "exercises" / NAME
    new_version(small_course)
    versions.update([])
    notebooks.write(derived := versions.original("98_fake"), path.with_name("expected.ipynb"))
    assert path.read_bytes() == path.with_name("expected.ipynb").read_bytes()
    assert derived.metadata["zglearn"] == originals.stamp_in(path) and not kept(small_course)


def test_a_cell_that_both_changed_stays_the_learners_with_a_note(small_course, capsys):
    path = small_course / "exercises" / NAME
    edit(path)
    answer = notebook().cells[3].source.replace("Two times x", "Twice x")
    new_version(small_course, **{"ans-98-1": answer})
    versions.update([])
    cells = nbformat.read(path, as_version=4).cells
    place = [cell.id for cell in cells].index("ans-98-1")
    assert "return 2 * x" in cells[place].source
    assert "Twice x" in cells[place - 1].source and "Yours is kept" in cells[place - 1].source
    assert "cell ans-98-1: yours stays" in capsys.readouterr().out


def test_cells_that_the_learner_added_moved_or_copied_are_kept(small_course):
    path = small_course / "exercises" / NAME
    mine = nbformat.read(path, as_version=4)
    helper = nbformat.v4.new_code_cell("helper = 1")
    copied = nbformat.v4.new_code_cell("first_try = 2")
    copied["id"] = "ans-98-1"  # JupyterLab never does this, other tools do
    mine.cells.insert(4, helper)
    mine.cells.insert(5, copied)
    mine.cells.insert(0, nbformat.v4.new_markdown_cell("My notes"))
    path.write_text(json.dumps(mine))
    new_version(small_course, setup="from zglearn.course import check, predict, reveal, hint")
    versions.update([])
    order = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    assert order[0] == "My notes"
    place = order.index("helper = 1")
    assert order[place + 1] == "first_try = 2" and order[place - 1].startswith("def twice")
    assert any("reveal, hint" in source for source in order)


def test_a_cell_that_is_gone_upstream_goes_unless_the_learner_changed_it(small_course):
    path = small_course / "exercises" / NAME
    new_version(small_course, **{"note-old": "An old remark."})
    versions.update([])
    edit(path, "An old remark.", "My own remark.")
    new_version(small_course, **{"note-new": None})
    versions.update([])
    assert "note-new" not in sources(path) and sources(path)["note-old"] == "My own remark."


def test_a_notebook_that_cannot_be_read_is_left_as_it_is(small_course, capsys):
    path = small_course / "exercises" / NAME
    path.write_text("{half")
    assert versions.update([]) == 0
    assert "is left as it is" in capsys.readouterr().out and path.read_text() == "{half"


def git(folder, *arguments):
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@b", *arguments], cwd=folder,
        capture_output=True, text=True, check=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull})
    return done.stdout


def commit(folder, message):
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
        (folder / ".gitignore").write_text(".zglearn/\nkept/\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


@pytest.fixture
def cloned(small_course, monkeypatch):
    """A learner's clone (home) and the course that it came from."""
    commit(small_course, "first")
    home = small_course.parent / "my clone 课程"
    git(small_course.parent, "clone", "-q", str(small_course), str(home))
    monkeypatch.setenv("ZGLEARN_HOME", str(home))
    return home


def publish(home):
    new_version(home)
    notebooks.refresh(home / "solutions" / NAME, run=False)
    (home / "new_file.py").write_text("x = 1\n")
    commit(home, "second")


def test_update_pulls_and_merges(small_course, cloned, capsys):
    path = cloned / "exercises" / NAME
    edit(path)
    mine = path.read_bytes()
    edit(cloned / "solutions" / NAME, '"execution_count": 1', '"execution_count": 11')
    publish(small_course)
    assert versions.update([]) == 0, capsys.readouterr()
    assert capsys.readouterr().out.startswith("The course is now the newest version.\n")
    assert (cloned / "new_file.py").exists()
    assert "return 2 * x" in sources(path)["ans-98-1"]
    assert "twice the number" in sources(path)["ex-98-1"]
    assert [copy.read_bytes() for copy in kept(cloned)] == [mine]
    assert git(cloned, "log", "-1", "--format=%s").strip() == "second"


def test_update_refuses_to_overwrite_changed_code(small_course, cloned, capsys):
    publish(small_course)
    versions.update([])
    (cloned / "new_file.py").write_text("mine = 2\n")
    assert versions.update([]) == 1
    assert "new_file.py" in capsys.readouterr().err
    assert (cloned / "new_file.py").read_text() == "mine = 2\n"


def test_update_that_cannot_merge_puts_everything_back(small_course, cloned, capsys):
    publish(small_course)
    (cloned / "own.txt").write_text("own")
    commit(cloned, "the learner's own commit")
    edit(cloned / "exercises" / NAME)
    mine = (cloned / "exercises" / NAME).read_bytes()
    assert versions.update([]) == 1
    assert "git merge did not work" in capsys.readouterr().err
    assert (cloned / "exercises" / NAME).read_bytes() == mine


def test_update_without_a_network_changes_nothing(small_course, cloned, capsys):
    edit(cloned / "exercises" / NAME)
    mine = (cloned / "exercises" / NAME).read_bytes()
    small_course.rename(small_course.with_name("gone"))
    assert versions.update([]) == 1
    assert "git fetch did not work" in capsys.readouterr().err
    assert (cloned / "exercises" / NAME).read_bytes() == mine


def test_update_brings_answers_and_progress_from_an_older_copy(small_course, monkeypatch, capsys):
    monkeypatch.delenv("ZGLEARN_PROGRESS")
    old = small_course.with_name("old")
    shutil.copytree(small_course, old)
    edit(old / "exercises" / NAME)
    monkeypatch.setenv("ZGLEARN_HOME", str(old))
    progress.record("hint", "98.1", number=1)
    monkeypatch.setenv("ZGLEARN_HOME", str(small_course))
    progress.record("hint", "98.2", number=1)
    publish(small_course)
    shutil.rmtree(small_course / "solutions")
    assert versions.update(["--from", str(old)]) == 0
    path = small_course / "exercises" / NAME
    assert "return 2 * x" in sources(path)["ans-98-1"]
    assert "twice the number" in sources(path)["ex-98-1"]
    assert [e.exercise for e in progress.events()] == ["98.1", "98.2"]
    capsys.readouterr()
    mine = path.read_bytes()
    edit(old / "exercises" / NAME, "return 2 * x", "return 3 * x")
    assert versions.update(["--from", str(old)]) == 0
    assert "holds answers already" in capsys.readouterr().out
    assert path.read_bytes() == mine and len(progress.events()) == 2
    assert versions.update(["--from", str(old / "exercises")]) == 1


def test_the_bank_is_not_touched_by_these_tests():
    assert "98.1" not in bank._bank
