"""A class of sixty: what the instructor gets of it. (Graded once for all tests here.)"""

import csv
import html
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest
from class_of_sixty import SIZE, hand_in, sixty

from zglearn.exercises.exercise import find
from zglearn.grading import command as grade
from zglearn.grading import plain, viva

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


def test_every_student_has_a_page_to_hand_out(class_):
    points = Counter()
    for row in lines(class_ / "grades/gradebook.csv"):
        points[row["student"]] += float(row["points"])
    for student in sixty():
        page = (class_ / f"grades/feedback/{student}.html").read_text()
        assert f"Chapter 04, Momentum: {points[student]:g} of 17 points" in page
        assert page.count(f"# {student} wrote this") == len(sixty()[student])
        assert "Handed in 20" in page and "graded 20" in page
        assert "Nothing was handed in" not in page and "BEGIN SOLUTION" not in page


def test_a_template_that_nobody_touched_is_like_nothing(class_):
    pairs = lines(class_ / "grades/similarity.csv")
    assert pairs and not [pair for pair in pairs for student in (pair["one"], pair["other"])
                          if sixty()[student][pair["exercise"]].kind == "blank"]


def test_viva_sheets_ask_about_the_students_own_lines(class_, capsys):
    grades = class_ / "grades"
    assert viva.main([str(grades), "--sample", "6", "--seed", "3"]) == 0
    first = capsys.readouterr().out
    pages = list(grades.glob("viva/*.html"))
    assert len(pages) == 6
    for page in pages:
        text = page.read_text()
        student = page.name[:3]
        assert 1 <= text.count("<article>") <= 2 and "http" not in text
        asked = re.findall(r"<h1>\S+ · (04\.\d)", text)
        for exercise in asked:
            assert f"{student} wrote this" in text
            assert text.count(html.escape(find(exercise).followups[0][0], quote=False)[:30]) <= 1
            assert sixty()[student][exercise].kind != "blank"
        assert text.count("A good answer:") >= sum(min(2, len(find(e).followups)) for e in asked)
    assert viva.main([str(grades), "--sample", "6", "--seed", "3"]) == 0
    assert capsys.readouterr().out == first
    pairs = lines(grades / "similarity.csv")
    assert pairs  # of sixty who drew from so few answers
    assert viva.main([str(grades), "--similar", "--exercise", pairs[0]["exercise"]]) == 0
    both = grades / f"viva/{pairs[0]['one']}-and-{pairs[0]['other']}-{pairs[0]['exercise']}.html"
    assert both.read_text().count("wrote this") == 2
    for wrong, why in (([str(class_)], "holds no grades"),
                       ([str(grades), "--student", "nobody"], "no accepted answer")):
        assert viva.main(wrong) == 2 and why in capsys.readouterr().err


def test_plain_nbval_fails_exactly_where_an_answer_is_wrong(class_, capsys):
    checks = class_ / "checks"
    assert plain.main([str(class_ / "submissions"), "--out", str(checks)]) == 0
    assert f"60 notebooks in {checks}" in capsys.readouterr().out
    assert len(list(checks.iterdir())) == SIZE
    some = sorted(sixty(), key=lambda s: -len({a.kind for a in sixty()[s].values()}))[:2]
    junit = class_ / "junit.xml"
    subprocess.run([sys.executable, "-m", "pytest", "--nbval", "--nbval-cell-timeout", "60", "-q",
                    "-p", "no:cacheprovider", f"--junitxml={junit}", "-c", os.devnull,
                    f"--rootdir={checks}", *(str(checks / f"{s}.04.ipynb") for s in some)],
                   cwd=checks, stdout=subprocess.DEVNULL)
    failed = {(case.get("classname"), int(case.get("name").rsplit(" ", 1)[1])) for case in
              ElementTree.parse(junit).iter("testcase") if len(case)}
    book = {(row["student"], row["exercise"]): row for row in
            lines(class_ / "grades/gradebook.csv")}
    for student in some:
        cells = json.loads((checks / f"{student}.04.ipynb").read_text())["cells"]
        wrong = {n for file, n in failed if student in file}
        assert {cells[n]["id"] for n in wrong} == {
            f"chk-{e.replace('.', '-')}" for e in sixty()[student]
            if book[student, e]["status"] != "correct"}
        assert 0 < len(wrong) < len(sixty()[student])
    assert plain.main([str(class_ / "submissions"), "--out", str(checks)]) == 2
    assert "not empty" in capsys.readouterr().err
