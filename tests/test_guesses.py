"""Predictions in a chapter: kept before the experiment, compared after it, counted once."""

import subprocess
import sys

import numpy as np
import pytest

from zglearn.course import guess, learner, outcome, overview, progress


@pytest.fixture(autouse=True)
def progress_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ZGLEARN_PROGRESS", str(tmp_path / "progress.sqlite"))


def lines(said):
    return [line.split() for line in repr(said).splitlines()]


def test_a_guess_is_compared_with_what_is_measured():
    said = guess("98-race", {"slow": 1000, "fast": 400})
    assert repr(said) == "Kept for 98-race: slow 1000, fast 400. Read on, and see."
    said = outcome("98-race", {"slow": 6908, "fast": np.int64(315)})
    assert lines(said)[1:3] == [["slow", "1000", "6908", "no"], ["fast", "400", "315", "right"]]
    assert "within a factor of 2" in repr(said) and "<td" in said._repr_html_()
    assert overview.predictions(progress.events()) == (1, 2)
    assert "Predictions: 1 of 2 came true." in overview.as_text(progress.events())


def test_words_are_right_if_they_are_the_same_and_no_factor_is_spoken_of():
    assert "Right is: the same." in repr(outcome("98-race", {"first": "Adam", "steady": True}))
    assert "within a factor of 3" in repr(outcome("98-race", {"a": "Adam", "b": 2}, factor=3))
    assert "off by 0.1 at most" in repr(outcome("98-race", 0.5, off=0.1))


@pytest.mark.parametrize("nothing", [..., None, "", {"a": ..., "b": ...}])
def test_no_guess_is_said_and_the_measurement_is_shown_all_the_same(nothing):
    assert "No prediction for 98-race yet" in repr(guess("98-race", nothing))
    assert lines(outcome("98-race", {"a": 3.14159}))[1] == ["a", "–", "3.14"]
    assert progress.events() == []


def test_the_first_guess_that_is_compared_is_what_counts():
    for value in (1, 5):
        guess("98-race", value)  # a slip of the pen, mended before anything is measured
    outcome("98-race", 4)
    guess("98-race", 400)
    assert lines(outcome("98-race", 4))[1] == ["400", "4", "no"]  # what is shown is the last
    assert overview.predictions(progress.events()) == (1, 1)


def test_parts_of_a_question_are_compared_where_they_are_measured():
    guess("98-race", {"one": 0.5, "sixty": ...})
    assert lines(outcome("98-race", {"one": 0.57}, off=0.05))[1] == ["one", "0.5", "0.57", "no"]
    assert lines(outcome("98-race", {"sixty": 0.7}, off=0.05))[1] == ["sixty", "–", "0.7"]
    assert overview.predictions(progress.events()) == (0, 1)


@pytest.mark.parametrize("guessed, measured, options, right", [
    (0.52, 0.57, {"off": 0.05}, True), (0.5, 1.0, {}, True), (0.49, 1.0, {}, False),
    (300, 100, {"factor": 3}, True), (0, 0, {}, True), (0, 1, {}, False), (-1, -1.5, {}, True),
    (-1, 1, {}, False), ("yes", "yes", {}, True), ("yes", "no", {}, False),
    (True, False, {}, False),
    (["a", "b"], ("a", "b"), {}, True), (["b", "a"], ["a", "b"], {}, False),
    (np.array([1, 2]), [1, 2], {}, True), ("many", 7, {}, False), (np.float32(2), 2, {}, True)])
def test_what_is_right(guessed, measured, options, right):
    guess("98-race", guessed)
    outcome("98-race", measured, **options)
    assert [e.data["right"] for e in progress.events("prediction")] == [right]


def test_a_guess_outlives_the_kernel():
    code = "from zglearn.course import guess; guess('98-race', {'a': (1, 2)})"
    subprocess.run([sys.executable, "-c", code], check=True)
    outcome("98-race", {"a": (1, 2)})
    assert overview.predictions(progress.events()) == (1, 1)


@pytest.mark.parametrize("question, value, complaint", [
    ("race", 1, "by its chapter and a word"), ("04.2", 1, "by its chapter and a word"),
    ("98-race", object(), "is a number, a text or a list")])
def test_what_is_no_guess_is_refused(question, value, complaint):
    with pytest.raises(learner.CourseError, match=complaint):
        guess(question, value)
    assert progress.events() == []
