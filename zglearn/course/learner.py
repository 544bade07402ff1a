"""What a learner types: check, hint, solution, predict, reveal. And an author's %%trial.

Each finds the learner's names in the notebook that called it, shows its answer in plain text and
in HTML, and remembers in the progress file what was asked.
"""

from __future__ import annotations

import contextlib
import html
import linecache
import re
import sys

from zglearn.exercises import variants
from zglearn.exercises.exercise import (
    Exercise,
    Verdict,
    answer_name,
    judge_names,
)
from zglearn.exercises.originals import is_update_unfinished, keep_originals

from . import cells, progress
from .cells import Waiting
from .guesses import NONE_YET, is_missing, keepable, plain
from .marked import marked
from .overview import DONE
from .said import CourseError, Said
from .solutions import find_exercise, solution_source


def check(id: str, names: dict | None = None) -> Verdict:
    """Check your answer to an exercise: ``check("04.2")``."""
    exercise = find_exercise(id)
    if names is None and (unfinished := cells.failure(exercise)):
        return unfinished
    names = _callers(names)
    verdict, before = judge_names(exercise, names), progress.events("check", id)
    progress.record("check", id, status=verdict.status)
    if progress.file() is not None:  # in an author's solutions nothing is gained
        verdict = marked(verdict, not any(e.data["status"] in DONE for e in before))
    if exercise.replay and verdict.status == "incorrect":
        from .divergence import offered

        return offered(verdict, names)
    return verdict


def hint(id: str) -> Said:
    """The next hint: first a nudge, then the formula, then the skeleton."""
    exercise = find_exercise(id)
    given = len(progress.events("hint", id))
    if given >= len(exercise.hints):
        every = "\n".join(f"{n}. {text}" for n, text in enumerate(exercise.hints, 1))
        return Said(f'All hints for {id}:\n{every}\nIf it still does not come: `solution("{id}")`.')
    progress.record("hint", id, number=given + 1)
    said = variants.text(exercise, variants.mine(exercise.chapter), exercise.hints[given])
    return Said(f"Hint {given + 1} of 3 for {id}: {said}")


def solution(id: str) -> Said:
    """The course's own answer. That you saw it is remembered, in your own progress file only."""
    exercise = find_exercise(id)
    source = solution_source(exercise)
    if source is None:
        return Said(f"The solution of {id} is not in this copy of the course: your instructor has "
                    "it. `hint` still helps.")
    progress.record("solution", id)
    head = f"One solution of {id} (others may be as good)"
    return Said(f"{head}:\n{source}", f"<b>{head}</b><pre>{html.escape(source)}</pre>")


def predict(id: str, value) -> Said:
    """Commit a prediction, before its experiment may run. The first one is what counts."""
    exercise = find_exercise(id)
    if exercise.kind != "predict":
        raise CourseError(f"{id} asks for no prediction")
    if is_missing(value):
        return Said(NONE_YET.format(id))
    value = plain(value)
    verdict = judge_names(exercise, {answer_name(id): value})
    if verdict.malformed:
        raise CourseError(f"This is not committed: {verdict.message}")
    progress.record("prediction", id, value=keepable(value), right=verdict.status == "correct")
    return Said(f"Your prediction for {id} is committed: {value!r}. Now run the experiment.")


def reveal(id: str) -> None:
    """The first line of an experiment: it goes no further until a prediction is committed."""
    find_exercise(id)
    made = progress.events("prediction", id)
    if not made:
        raise Waiting("Predict first: this experiment runs once you have committed a "
                      f'prediction, predict("{id}", {answer_name(id)}), in the cell above.')
    print(f"You predicted {made[-1].data['value']!r}. Here is what happens:")


def score(id: str, lines: float) -> Said:
    """Score your own answer to an open question: how many lines of its rubric it says."""
    exercise = find_exercise(id)
    if not exercise.is_open:
        raise CourseError(f'{id} is not an open question: check("{id}") scores it')
    if isinstance(lines, bool) or not isinstance(lines, int | float) or not (
            0 <= lines <= len(exercise.rubric)):
        raise CourseError(f"the rubric of {id} has {len(exercise.rubric)} lines: give a number "
                          f"from 0 to {len(exercise.rubric)}")
    progress.record("score", id, score=lines / len(exercise.rubric))
    return Said(f"{lines:g} of {len(exercise.rubric)} lines of {id}: remembered.")


def _callers(names: dict | None) -> dict:
    """The names of the notebook that called: two frames up from here."""
    return sys._getframe(2).f_globals if names is None else names


# --- an author's trials -----------------------------------------------------------------------


class TrialFailed(CourseError):
    """A wrong answer was accepted, or a right one was not."""


def trial(line: str, source: str, names: dict, seed: int = 0) -> Verdict:
    """Try an alternative answer: ``line`` is "04.2 wrong forgets the velocity" or "04.2 right ...".

    The source runs in a copy of `names`, then the check runs, with a fixed seed so that its
    message is the same every time. Raises TrialFailed if a wrong answer passes or a right one
    fails.
    """
    exercise, right, name = parse_trial(line)
    copy = dict(names)
    run_source(source, copy, f"<trial {line}>")
    verdict = judge_names(exercise, copy, seed)
    if verdict.accepted != right:
        was = "accepted" if verdict.accepted else "not accepted"
        raise TrialFailed(f"trial {exercise.id}: the {'right' if right else 'wrong'} answer "
                          f"{name!r} was {was}.\n{verdict!r}")
    if not right and verdict.status != "incorrect":
        raise TrialFailed(f"trial {exercise.id}: the wrong answer {name!r} counts as not "
                          f"attempted: {verdict.message}")
    return verdict


def parse_trial(line: str) -> tuple[Exercise, bool, str]:
    """The exercise, whether the trial is right, and its name; raises CourseError if malformed."""
    match = re.fullmatch(r"\s*(\S+)\s+(wrong|right)\s+(\S.*?)\s*", line)
    if not match:
        raise CourseError(f"%%trial {line}: write an id, `wrong` or `right`, and a name, such as "
                          "`%%trial 04.2 wrong forgets the velocity`")
    id, kind, name = match.groups()
    return find_exercise(id), kind == "right", name


def run_source(source: str, names: dict, filename: str) -> None:
    """Run a cell's source in `names`; its lines can be quoted in messages."""
    linecache.cache[filename] = len(source), None, source.splitlines(True), filename
    names.setdefault("__name__", "__main__")
    exec(compile(source, filename, "exec"), names)


def begin(shell) -> None:
    """What happens when a notebook imports the course: IPython learns the %%trial magic, which
    shows the verdict as the cell's output, and %%hidden; it tells of cells that fail, and lets
    experiments wait; untouched exercises are kept for `reset`.
    """
    def trial_magic(line, cell):
        return trial(line, cell, shell.user_ns)

    def hidden_magic(line, cell):
        from zglearn.exercises.hidden import magic

        magic(line, cell, shell.user_ns)

    shell.register_magic_function(trial_magic, "cell", "trial")
    shell.register_magic_function(hidden_magic, "cell", "hidden")
    cells.watch(shell)
    with contextlib.suppress(OSError, ValueError):  # a read-only course works too
        keep_originals()
        if is_update_unfinished():
            print("Work from before an update waits to be brought into the new notebooks. Save and "
                  "close the notebooks, then run in a terminal:  python3 -m zglearn update")
