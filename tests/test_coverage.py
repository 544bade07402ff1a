"""docs/COVERAGE.md says where a subject is treated: the places exist, no exercise is left out."""

import functools
import re

import pytest

from zglearn.authoring import notebooks
from zglearn.exercises.exercise import all_exercises
from zglearn.paths import home

TEXT = (home() / "docs" / "COVERAGE.md").read_text("utf-8")
SUBJECTS = re.findall(r"^\| (.*?) \| (.*?) *\| (R\d+) \|$", TEXT, re.M)
MISTAKES = re.findall(r"^\| (.*?) \| (.*?) *\| (E\d+) \|$", TEXT, re.M)
EXERCISE = re.compile(r"\b\d\d\.\d+\b")


def serving(row):
    return {e.id for e in all_exercises() if row in e.rows}


@functools.cache
def sections(chapter):
    """The headings of a chapter, in small letters and without signs."""
    (path,) = (home() / "chapters").glob(f"{chapter}_*.ipynb")
    return [words(line) for cell in notebooks.read(path).cells if cell.cell_type == "markdown"
            for line in cell.source.split("\n") if re.match("##+ ", line)]


def words(text):
    return re.sub(r"[^\w ]", "", text.lower()).strip()


def places(where):
    """[(chapter, section)] of `04 · The idea, The method; When it fails; 04.3`."""
    found, chapter = [], None
    for part in re.sub(r"\([^)]*\)", "", where).split(";"):
        begins = re.match(r" *(\d\d) · (.*)", part)
        chapter, part = begins.groups() if begins else (chapter, part)
        if chapter and not re.fullmatch(rf"( *{EXERCISE.pattern},?)+ *", part):
            found += [(chapter, section.removeprefix("Claim ")) for section in
                      re.split(r', (?=(?:[^"]*"[^"]*")*[^"]*$)', part.strip())]
    return found


def test_every_row_has_a_place():
    assert sorted(row for *_, row in SUBJECTS) == [f"R{n:03}" for n in range(1, 155)]
    assert [row for *_, row in MISTAKES] == [f"E{n:02}" for n in range(1, 122)]
    assert all(where for _, where, _ in SUBJECTS) and all(cards for cards, *_ in MISTAKES)


@pytest.mark.parametrize("row, where", [(row, where) for _, where, row in SUBJECTS])
def test_what_a_row_names_exists(row, where):
    missing = [(chapter, section) for chapter, section in places(where)
               if not any(words(section) in heading for heading in sections(chapter))]
    assert not missing, "no such section: has its heading changed?"
    named = set(EXERCISE.findall(where))
    assert named <= {e.id for e in all_exercises()}
    assert serving(row) <= named, "exercises with this row are not named"


@pytest.mark.parametrize("row, named", [(row, named) for _, named, row in MISTAKES])
def test_the_exercises_of_a_mistake_are_those_that_carry_it(row, named):
    assert set(EXERCISE.findall(named)) == serving(row)


def test_places_are_read():
    assert places('04 · The idea, Claim "so, or so" (end); When; 04.3, 05.1; 17 · A') == [
        ("04", "The idea"), ("04", '"so, or so"'), ("04", "When"), ("17", "A")]
    assert places("out of scope: nothing of it") == [] == places("03.1 (follow-ups); 17.16")
