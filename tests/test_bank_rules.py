"""Rules over the whole bank: what every check must ask, seen from the answer's side.

The course's own answer to each exercise is asked by its check, and writes down what it is given.
"""

import functools
import inspect
from pathlib import Path

import nbformat
import numpy as np
import pytest

from zglearn.authoring import cheats
from zglearn.authoring.derive import exercise_of
from zglearn.authoring.trials import answer_cells
from zglearn.course.learner import run_source
from zglearn.exercises.exercise import find, judge_names

SOLUTIONS = sorted((Path(__file__).parents[1] / "solutions").glob("[0-9][0-9]_*.ipynb"))
SEEDS = range(3)

# Values at which a slip may not show: 2σ = 1, a factor of 1, a square that is its own root.
SPECIAL = {0, 0.5, 1, 2, -1}
GRADIENTS = {"g", "gradient", "gradients"}

OPEN = {"09", "11", "12", "15", "16"}  # their sizes are not drawn yet

# Exceptions, each with its reason or still open. These can only shrink.
ONLY_SPECIAL: set[tuple[str, str]] = set()
ALWAYS_SQUARE = {("03.7", "H"), ("15.4", "C")}  # a Hessian, a covariance
ALWAYS_ALIKE: set[tuple[str, str]] = set()
NEVER_ZERO = {("03.7", "g"), ("13.2", "g")}  # a linear and a quadratic formula in g


def per_notebook(test):
    return pytest.mark.parametrize("notebook", SOLUTIONS, ids=lambda n: n.stem)(test)


@functools.cache
def own_answers(notebook, folder):
    """[(exercise, what its answer cell and those above it define)], for answers that are called."""
    found = []
    for cell, names in answer_cells(nbformat.read(notebook, as_version=4), folder):
        exercise = find(exercise_of(cell.id))
        mine = dict(names)
        run_source(cell.source, mine, f"<answer {exercise.id}>")
        if callable(mine.get(exercise.names[0])):
            found.append((exercise, mine))
    return found


@pytest.fixture
def answers(notebook, tmp_path_factory):
    return own_answers(notebook, tmp_path_factory.getbasetemp())


def recorded(answer, given):
    """The answer, which adds each (parameter, value) that the check gives it to the list `given`;
    what its parts say to each other is left out."""
    inside = []

    def note(function, args, kwargs):
        for name, value in inspect.signature(function).bind(*args, **kwargs).arguments.items():
            given.append((name, value.copy() if isinstance(value, np.ndarray) else value))

    def noting(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            if not inside:
                note(function, args, kwargs)
            inside.append(function)
            try:
                return function(*args, **kwargs)
            finally:
                inside.pop()
        return call

    if not isinstance(answer, type):
        return cheats._like(answer, noting(answer))
    methods = {name: noting(value) for name, value in vars(answer).items()
               if inspect.isfunction(value)}
    return type(answer.__name__, (answer,), methods | {"__module__": "__main__"})


def asked(exercise, names):
    """{(name, parameter): the values with which the check asks it, in a few seeds}."""
    found = {}
    for seed in SEEDS:
        given = {name: [] for name in exercise.names if callable(names.get(name))}
        verdict = judge_names(exercise, names | {name: recorded(names[name], list_)
                                                 for name, list_ in given.items()}, seed)
        assert verdict.accepted, verdict
        for name, values in given.items():
            for parameter, value in values:
                found.setdefault((name, parameter), []).append(value)
    return found


def numbers(values):
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]


def are_alike(values):
    """Whether an answer may have their number or their size written into it."""
    if len(numbers(values)) == len(values):
        return len(set(values)) == 1
    sizes = [np.shape(v) if isinstance(v, np.ndarray) else len(v) for v in values
             if isinstance(v, np.ndarray | list)]
    return len(sizes) == len(values) and len(set(sizes)) == 1


def default(answer, parameter):
    given = inspect.signature(answer).parameters
    return {given[parameter].default} if parameter in given else set()


@per_notebook
def test_every_check_asks_what_it_should(answers, notebook):
    special, square, never_zero, alike = set(), set(), set(), set()
    for exercise, names in answers:
        for (name, parameter), values in asked(exercise, names).items():
            key = (exercise.id, parameter)
            hides = SPECIAL | default(names[name], parameter)
            if numbers(values) and hides.issuperset(numbers(values)):
                special.add(key)
            if are_alike(values):
                alike.add(key)
            matrices = [v for v in values if isinstance(v, np.ndarray) and v.ndim == 2]
            if matrices and all(m.shape[0] == m.shape[1] for m in matrices):
                square.add(key)
            arrays = [v for v in values if isinstance(v, np.ndarray)]
            if parameter in GRADIENTS and arrays and not any((v == 0).any() for v in arrays):
                never_zero.add(key)

    def here(exceptions):
        return {key for key in exceptions if key[0][:2] == notebook.name[:2]}

    assert special == here(ONLY_SPECIAL), "a parameter that is only given values that hide slips"
    assert square == here(ALWAYS_SQUARE), "a matrix that is always square"
    if notebook.name[:2] not in OPEN:
        assert alike == here(ALWAYS_ALIKE), "a number, or a size, that is always the same"
    assert never_zero == here(NEVER_ZERO), "a gradient that is never zero anywhere"


@per_notebook
def test_no_check_takes_counted_calls_or_shared_state_or_overlooks_a_changed_input(answers):
    accepted = []
    for exercise, names in answers:
        for label, make in cheats.cheats(exercise, names):
            if label.startswith(("counts its calls", "changes its input", "says something else",
                                 "keeps")):
                for seed in SEEDS:
                    cheats.touched.clear()
                    verdict = judge_names(exercise, make(), seed)
                    if cheats.did_something(label) and verdict.accepted:
                        accepted.append(f"{exercise.id}, seed {seed}: {label}")
    assert not accepted
