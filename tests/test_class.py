"""A class of sixty: what the instructor gets of it. (Graded once for all tests here.)"""

import csv
import re
from collections import Counter

import pytest
from class_of_sixty import SIZE, hand_in, sixty

from zglearn.grading import command as grade

EXPECTED = {"right": {"correct"}, "blank": {"not_attempted"},
            "wrong": {"incorrect", "error", "timeout"}}


@pytest.fixture(scope="module")
def class_(tmp_path_factory):
    """The folder with the class in submissions/ and its grades in grades/."""
    folder = tmp_path_factory.mktemp("sixty")
    hand_in(folder / "submissions")
    assert grade.main([str(folder / "submissions"), "--out", str(folder / "grades"),
                       "--jobs", "2"]) == 0
    return folder


def lines(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_gradebook_says_what_was_written(class_):
    rows = lines(class_ / "grades/gradebook.csv")
    book = {(row["student"], row["exercise"]): row for row in rows}
    assert len(book) == SIZE * len(sixty()["s00"])
    for student, written in sixty().items():
        for exercise, answer in written.items():
            status = book[student, exercise]["status"]
            assert status in EXPECTED.get(answer.kind, {status}), (student, exercise, answer.name)
    caught = Counter(book[student, exercise]["status"] != "correct" for student, written in
                     sixty().items() for exercise, a in written.items() if a.kind == "mutant")
    assert caught[True] > 9 * caught[False]


def test_the_map_counts_each_mistake_and_shows_nobody(class_):
    rows = lines(class_ / "grades/map.csv")
    book = lines(class_ / "grades/gradebook.csv")
    for exercise in sixty()["s00"]:
        mine = [row for row in book if row["exercise"] == exercise]
        of_map = [row for row in rows if row["exercise"] == exercise]
        counts = Counter(row["status"] for row in mine)
        assert {row["solved"] for row in of_map} == {str(counts["correct"])}
        assert {row["tried"] for row in of_map} == {str(SIZE - counts["not_attempted"])}
        made = sum(int(row["made_by"]) for row in of_map)
        assert made == counts["incorrect"] + counts["error"] + counts["timeout"]
    lost = [int(row["tried"]) - int(row["solved"]) for row in rows]
    assert lost == sorted(lost, reverse=True) and lost[0] > 10
    named = [row for row in rows if row["named"] == "yes"]
    assert len(named) > 10 and max(int(row["made_by"]) for row in named) >= 5
    page = (class_ / "grades/map.html").read_text()
    assert not re.search(r"\bs\d\d\b", page) and "wrote this" not in page
    assert "<pre>" in page and "To repeat" in page
