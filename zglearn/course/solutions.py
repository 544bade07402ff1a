"""An exercise by its id, and the course's own answer to it, where that is in this copy."""

from __future__ import annotations

import re

from zglearn import paths
from zglearn.exercises.exercise import Exercise, UnknownExercise, find
from zglearn.exercises.originals import source_of

from .said import CourseError


def find_exercise(id) -> Exercise:
    """The exercise of that id. CourseError if there is none."""
    try:
        return find(id)
    except UnknownExercise as error:
        raise CourseError(str(error)) from None


def solution_source(exercise: Exercise) -> str | None:
    """The answer cell of the solutions notebook without its markers, if the notebook is here."""
    source = source_of(paths.notebook("solutions", exercise.chapter),
                       "ans-" + exercise.id.replace(".", "-"))
    if source is None:
        return None
    source = re.sub(r"^ *# INSTEAD\n(.*\n)*?(?= *# END SOLUTION)", "", source, flags=re.M)
    return re.sub(r"^ *# (BEGIN|END) SOLUTION(\n|$)|  # SOLUTION$", "", source, flags=re.M).strip()
