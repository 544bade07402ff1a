"""A chapter says how long it takes to read, and no chapter is too long."""

import re

import nbformat
import pytest

from zglearn import paths
from zglearn.authoring import length, notebooks
from zglearn.exercises import exercise
from zglearn.exercises.cards import cards

CHAPTERS = sorted((paths.home() / "chapters").glob("[0-9][0-9]_*.ipynb"))


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_a_chapter_is_short_enough(path):
    measured = length.length(notebooks.read(path))
    assert measured.words <= length.MOST_WORDS and measured.lines <= length.MOST_LINES, measured


def test_the_front_page_counts_what_is_there():
    page = (paths.home() / "README.md").read_text(encoding="utf-8")
    exercises = exercise.all_exercises()
    for what, count in (("exercises", len(exercises)), ("claims", len(cards()))):
        stated = int(re.search(rf"More than (\d+) {what}", page)[1])
        assert stated < count <= stated + 20
    reading = sum(length.length(notebooks.read(path)).minutes for path in CHAPTERS) / 60
    assert f"About {round(reading)} hours of reading" in page
    assert f"{sum(e.minutes for e in exercises) / 60:.0f} of exercises" in page


def cells(*sources):
    new = {"m": nbformat.v4.new_markdown_cell, "c": nbformat.v4.new_code_cell}
    return nbformat.v4.new_notebook(cells=[new[kind](source) for kind, source in sources])


def test_words_and_lines_are_counted_as_a_reader_counts_them():
    notebook = cells(("m", "Two words, and $x^2 + y_1$ is a [link](to/some_where.ipynb)."),
                     ("c", "# why\n\nx = 1\ny = 2  # not"))
    assert length.length(notebook)[:2] == (7, 2)


def test_the_minutes_that_are_printed_are_computed():
    text = "word " * 390 + "*Reading time: 3 minutes. You need nothing.*"
    notebook = cells(("m", text), ("c", "\n".join(f"a = {n}" for n in range(50))))
    assert length.length(notebook).minutes == 5  # 397 words are almost 2 minutes, 50 lines 2.5
    length.say_length(notebook)
    assert "*Reading time: 5 minutes. You need nothing.*" in notebook.cells[0].source
