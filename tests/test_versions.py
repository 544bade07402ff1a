"""Fresh and newer notebooks never cost an answer, and what cannot be done is said."""

import json
import os
import shutil
import subprocess

import nbformat
import pytest
from small_course import notebook

from zglearn.authoring import notebooks
from zglearn.course import progress
from zglearn.exercises import originals
from zglearn.setup import versions

NAME = "98_fake.ipynb"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


# --- reset ------------------------------------------------------------------------------------


def edit(path, old="return x * x", new="return 2 * x"):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def kept(home):
    return sorted((home / "exercises" / "kept").glob("*.ipynb"))


@pytest.mark.parametrize("source", ["solutions", "kept originals",
                                    pytest.param("git", marks=needs_git)])
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


# --- new versions that came without `update`: it could not look, and merges ---------------------


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
    assert versions.update([]) == 1
    now = sources(path)
    assert "return 2 * x" in now["ans-98-1"] and "'b'" in now["ans-98-2"]
    assert "twice the number" in now["ex-98-1"] and now["note-new"] == "A new remark."
    assert now["ans-98-3"].startswith("answer_98_3 = ...")
    assert [copy.read_bytes() for copy in kept(small_course)] == [mine]
    assert "new version, your answers are in it" in capsys.readouterr().out
    merged = path.read_bytes()
    assert versions.update([]) == 1
    assert capsys.readouterr().out == "" and path.read_bytes() == merged


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
    assert versions.update([]) == 1
    assert "is left as it is" in capsys.readouterr().out and path.read_text() == "{half"


# --- update from git --------------------------------------------------------------------------


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
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    write_chapter(small_course)
    commit(small_course, "first")
    home = small_course.parent / "my clone 课程"
    git(small_course.parent, "clone", "-q", str(small_course), str(home))
    monkeypatch.setenv("ZGLEARN_HOME", str(home))
    return home


CHAPTER = "98_fake.ipynb"


def write_chapter(home, **changes):
    """A chapter with three cells, as it is or changed."""
    cells = {"title": "# 98", "run": "lr = 0.1", "last": "The end.", **changes}
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    made = [(code if id == "run" else text)(source, id=id) for id, source in cells.items()]
    notebooks.write(nbformat.v4.new_notebook(cells=made, metadata=notebooks.METADATA),
                    home / "chapters" / CHAPTER)


def publish(home, **chapter):
    new_version(home)
    if chapter:
        write_chapter(home, **chapter)
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
    assert versions.update([]) == 0 and "This is the newest version" in capsys.readouterr().out
    (small_course / "new_file.py").write_text("theirs = 3\n")
    commit(small_course, "third")
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
    assert "commits of your own" in capsys.readouterr().err
    assert (cloned / "exercises" / NAME).read_bytes() == mine


def test_a_file_in_the_way_stops_update_and_puts_everything_back(small_course, cloned, capsys):
    publish(small_course, run="lr = 0.2")
    (cloned / "new_file.py").write_text("mine, and not git's\n")
    edit(cloned / "exercises" / NAME)
    run_chapter(cloned)
    before = {path: path.read_bytes() for path in cloned.rglob("*.ipynb")}
    assert versions.update([]) == 1
    assert "git merge did not work" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in cloned.rglob("*.ipynb")} == before
    assert not originals.is_update_unfinished()


def test_update_without_a_network_changes_nothing(small_course, cloned, capsys):
    edit(cloned / "exercises" / NAME)
    mine = (cloned / "exercises" / NAME).read_bytes()
    small_course.rename(small_course.with_name("gone"))
    assert versions.update([]) == 1
    assert "git fetch did not work" in capsys.readouterr().err
    assert (cloned / "exercises" / NAME).read_bytes() == mine


# A learner's chapter: what stays, what is said.


def run_chapter(home, **changes):
    """Run the chapter as JupyterLab does, and change cells or add some."""
    path = home / "chapters" / CHAPTER
    mine = nbformat.read(path, as_version=4)
    for cell in mine.cells:
        cell.source = changes.pop(cell.id, cell.source)
        if cell.cell_type == "code":
            cell.execution_count = 7
    for text in changes.values():
        mine.cells.insert(1, nbformat.v4.new_markdown_cell(text))
    nbformat.write(mine, path)
    return path.read_bytes()


@pytest.mark.parametrize("chapter", [{}, {"run": "lr = 0.2"}], ids=["same", "new"])
def test_a_chapter_that_was_merely_run(small_course, cloned, capfd, chapter):
    mine = run_chapter(cloned)
    publish(small_course, **chapter)
    assert versions.update([]) == 0
    now, said = (cloned / "chapters" / CHAPTER).read_bytes(), capfd.readouterr().out
    assert not (cloned / "chapters" / "kept").exists()
    if chapter:
        assert b"lr = 0.2" in now and f"chapters/{CHAPTER}: the new version (you had run it" in said
    else:
        assert now == mine and "chapters" not in said


def test_a_chapter_with_notes_is_left_alone_when_nothing_is_new(cloned, capfd):
    mine = run_chapter(cloned, note="My note", run="lr = 0.3")
    assert versions.update([]) == 0
    assert (cloned / "chapters" / CHAPTER).read_bytes() == mine
    assert capfd.readouterr().out == (
        "This is the newest version, and your exercise notebooks are up to date.\n")


def test_notes_and_changes_in_a_chapter_come_along(small_course, cloned, capfd):
    mine = run_chapter(cloned, note="My note", run="lr = 0.3")
    publish(small_course, last="The very end.")
    assert versions.update([]) == 0
    now = sources(cloned / "chapters" / CHAPTER)
    assert list(now.values()) == ["# 98", "My note", "lr = 0.3", "The very end."]
    (copy,) = (cloned / "chapters" / "kept").glob("*.ipynb")
    assert copy.read_bytes() == mine
    said = capfd.readouterr().out
    assert f"chapters/{CHAPTER}: your notes and changes are in it; as it was: chapters/ke" in said


def test_in_a_chapter_the_courses_change_wins_and_quotes_the_learners(small_course, cloned, capfd):
    run_chapter(cloned, run="lr = 0.3")
    publish(small_course, run="lr = 0.2")
    versions.update([])
    texts = list(sources(cloned / "chapters" / CHAPTER).values())
    place = texts.index("lr = 0.2")
    assert "This is yours:" in texts[place + 1] and "lr = 0.3" in texts[place + 1]
    assert "cell run: the course's new text; yours is quoted below it" in capfd.readouterr().out


@pytest.mark.parametrize("stopped", ["before the new files", "after them"])
def test_an_update_that_was_killed_is_finished_by_the_next(small_course, cloned, capfd, monkeypatch,
                                                          stopped):
    path = cloned / "exercises" / NAME
    edit(path)
    note = run_chapter(cloned, note="My note")
    publish(small_course, last="The very end.")
    real = versions.git.run

    def dies(*arguments):
        if stopped == "before the new files" and arguments[0] == "merge":
            os._exit(9)
        return real(*arguments)

    monkeypatch.setattr(versions.git, "run", dies)
    monkeypatch.setattr(versions, "_finish_in_new_code", lambda: os._exit(9))
    if (child := os.fork()) == 0:
        versions.update([])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert "return 2 * x" not in sources(path)["ans-98-1"]  # it lies in kept/ alone
    assert originals.is_update_unfinished()
    capfd.readouterr()
    said = versions.finish()
    assert "return 2 * x" in sources(path)["ans-98-1"] and len(said) == 2
    if stopped == "before the new files":
        assert (cloned / "chapters" / CHAPTER).read_bytes() == note
    else:
        assert "My note" in sources(cloned / "chapters" / CHAPTER).values()
    assert not originals.is_update_unfinished() and versions.finish() == []


# What it cannot do is said, and the exit code is 1.


def detach(home, monkeypatch):
    git(home, "checkout", "-q", "--detach")


def forget_upstream(home, monkeypatch):
    git(home, "branch", "--unset-upstream")


def belong_to_another(home, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


def lose_git(home, monkeypatch):
    monkeypatch.setenv("PATH", str(home / "nothing"))


def come_as_a_zip(home, monkeypatch):
    shutil.rmtree(home / ".git")


def lie_in_a_repository_of_another_kind(home, monkeypatch):
    shutil.rmtree(home / ".git")
    git(home.parent, "init", "-q")


@pytest.mark.parametrize("happen, why", [
    (come_as_a_zip, "not made by `git clone`"),
    (lie_in_a_repository_of_another_kind, "not made by `git clone`"),
    (lose_git, "git is not installed"),
    (detach, "A tag or a single commit is checked out"),
    (forget_upstream, "follows no other"),
    (belong_to_another, "dubious ownership"),
])
def test_update_that_cannot_look_says_so(small_course, cloned, capfd, monkeypatch, happen, why):
    edit(cloned / "exercises" / NAME)
    mine = (cloned / "exercises" / NAME).read_bytes()
    publish(small_course)
    happen(cloned, monkeypatch)
    assert versions.update([]) == 1
    said = capfd.readouterr()
    assert why in said.err and said.out == ""
    assert (cloned / "exercises" / NAME).read_bytes() == mine


# --- update --from ----------------------------------------------------------------------------


@needs_git
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
