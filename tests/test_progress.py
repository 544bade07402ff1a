"""Progress survives everything."""

import json
import re
import sqlite3
import subprocess
import sys
import time

import pytest
from small_course import PROSE

from zglearn import paths
from zglearn.authoring import notebooks
from zglearn.course import learner, overview, progress
from zglearn.course.said import BAD, CROSS, GOOD, TICK
from zglearn.exercises import exercise as bank


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
    assert "98 · Fake" in bundle["text/plain"] and "0 of 4</td>" in bundle["text/html"]
    assert "href='exercises/98_fake.ipynb'" in bundle["text/html"]
    solve_some()
    board.children[1].children[0].click()
    assert "2 of 4</td>" in board.body.value
    assert "<a target='_blank' href='exercises/98_fake.ipynb'" in board.body.value


def test_the_dashboard_has_a_total_and_says_what_is_next_and_what_is_due(small_course, monkeypatch):
    monkeypatch.chdir(small_course)
    assert "Next: 98.1 Double it." in overview.as_text(progress.events())
    solve_some()
    events = progress.events()
    text, shown = overview.as_text(events), overview.as_html(events)
    assert "All chapters                                   2/4       3/8" in text
    assert "Next: 98.2 Choose." in text and "Due" not in text
    assert "<b>Next:</b> <a href='exercises/98_fake.ipynb'>98.2 Choose</a>." in shown
    late = events[0].at + 2 * 24 * 3600
    assert [e.id for e in overview.due(events, late)] == ["98.1"]
    monkeypatch.setattr(overview.time, "time", lambda: late)
    assert ("Due for repetition (1): 98.1 Double it. An interview asks these first."
            in overview.as_text(events))
    learner.check("98.2", {"answer_98_2": "b"})
    learner.predict("98.3", "a")
    learner.check("98.3", {"answer_98_3": "a"})
    assert "All solved. An interview asks again" in overview.as_text(progress.events())


def test_a_year_of_history_is_no_burden():
    """Every exercise of the course once a day: it is counted, and the lists stay short."""
    bank_ids = [e.id for e in bank.all_exercises()]
    year = [progress.Event(day * 24 * 3600.0, kind, id, data)
            for day in range(365) for id in bank_ids
            for kind, data in (("check", {"status": "correct"}), ("review", {"score": day % 2}))]
    shown = overview.as_html(year)
    assert len(shown) < 20_000 and f"Due for repetition ({len(bank_ids)}):" in shown
    assert f"and {len(bank_ids) - overview.SHOWN} more. An interview asks these first." in shown


def test_what_is_right_is_celebrated_once_and_what_is_wrong_looks_different(small_course):
    wrong, right = ({"twice": f} for f in (lambda x: x * x, lambda x: x + x))
    no, yes, again = (learner.check("98.1", names) for names in (wrong, right, right))
    assert "+2 points. 1 of 4 solved in chapter 98. Next: 98.2 Choose." in repr(yes)
    assert "points" not in repr(again) and "1 of 4 solved" in repr(again)
    signs = [v._repr_html_() for v in (no, yes)]
    assert TICK in signs[1] and CROSS in signs[0] and TICK not in signs[0]
    assert GOOD in signs[1] and BAD in signs[0]
    assert "Not yet" in signs[0] and "Correct" in signs[1]  # colour never alone
    open_one = learner.check("98.4", {"answer_98_4": PROSE})
    assert "+2" not in repr(open_one) and 'Next: score("98.4", ...).' in repr(open_one)


def test_a_file_without_progress_gains_nothing(small_course, monkeypatch):
    monkeypatch.setenv("ZGLEARN_PROGRESS", ":memory:")
    assert "solved in chapter" not in repr(learner.check("98.1", {"twice": lambda x: x + x}))


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


@pytest.mark.parametrize("heading, title", [
    ("# 98 · Low rank: exercises", "Low rank"), ("# 98 · A fair race\n\nWhich?", "A fair race"),
    ("# No number", "fake")])
def test_a_chapter_goes_by_the_heading_of_its_notebook(small_course, heading, title):
    path = small_course / "exercises" / "98_fake.ipynb"
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
def test_the_table_of_chapters_has_the_chapters_titles_and_questions(where):
    """A chapter's question is what stands out in its first cell."""
    lines = (paths.home() / where).read_text(encoding="utf-8")
    rows = re.findall(r"\| (\d\d) \| \[?([^]|]+?)(?:\]\(\d\d\w+\.ipynb\))? \| (.*?) \|", lines)
    chapters = [path for path in notebooks.hand_edited() if path.parent.name == "chapters"][1:]
    assert rows == [(path.name[:2], paths.title(path.name[:2]), _question(path))
                    for path in chapters]


def _question(path):
    start = notebooks.read(path).cells[0].source
    return " ".join(re.search(r"\*\*(.+?)\*\*", start, re.DOTALL)[1].split())


def test_exercises_have_their_chapters_titles():
    for path in notebooks.hand_edited():
        if path.parent.name == "solutions":
            heading = notebooks.read(path).cells[0].source.split("\n")[0]
            assert heading == f"# {path.name[:2]} · {paths.title(path.name[:2])}: exercises"


def test_the_bank_is_not_touched_by_these_tests():
    assert "98.1" not in bank._bank


def test_the_map_has_a_place_for_every_chapter_and_no_arrow_to_nowhere():
    from zglearn.course.map import LEADS_TO, PARTS

    places = [number for part in PARTS.values() for number in part]
    here = {path.name[:2] for path in paths.home().glob("chapters/[0-9][0-9]_*.ipynb")} - {"00"}
    assert places == sorted(set(places)) and here <= set(places)
    assert set(LEADS_TO) | {n for others in LEADS_TO.values() for n in others} <= set(places)
