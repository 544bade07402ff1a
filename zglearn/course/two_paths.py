"""Two walks of one method along a landscape, a learner's and the solution's, and where they part.

It is said after which step they first stand at different places and, if that can be told, which of
the quantities inside was the first to differ. The solution's code is never shown.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from zglearn import paths
from zglearn.exercises.answer import described
from zglearn.exercises.exercise import Exercise
from zglearn.exercises.originals import source_of
from zglearn.exercises.replay import NoPoint
from zglearn.landscapes import ravine

from .cells import without_magics
from .solutions import solution_source

STEPS = 40
LANDSCAPE = ravine(10)
# The second start lies on an axis: there, one gradient is zero all the time.
STARTS = (LANDSCAPE.start, LANDSCAPE.start * (1, 0))
YOURS, SOLUTION = "yours", "the solution"


@dataclass(frozen=True)
class Walk:
    """Points (n + 1, 2), what was held after each step, and the error that ended it, if one did."""

    points: np.ndarray
    held: list[dict]
    error: str


@dataclass(frozen=True)
class Comparison:
    """Two walks; `step`, the first after which they differ, or None; and the sentences on it."""

    yours: Walk
    solution: Walk
    step: int | None
    said: str


def solution_of(exercise: Exercise):
    """The solution's own method; None in a copy of the course that has no solutions."""
    source = solution_source(exercise)
    if source is None:
        return None
    setup = source_of(paths.notebook("solutions", exercise.chapter), "setup") or ""
    names: dict = {"__name__": "solution"}
    for part in (without_magics(setup), source):
        exec(compile(part, "<solution>", "exec"), names)
    return names[exercise.replay.name]


# --- two walks, and where they part -----------------------------------------------------------


def compared(exercise: Exercise, made, solution, start, steps: int = STEPS, **hyper) -> Comparison:
    """Walk with both from `start` (2,), and say where they part. A loop that never ends does not
    end here either."""
    drive, holds = exercise.replay.drive, exercise.replay.holds
    yours = walk(drive, made, start, steps, hyper)
    reference = walk(drive, solution, start, steps, hyper)
    step = first_difference(yours.points, reference.points)
    if not yours.error and (again := _second_walk(drive, made, start, yours, hyper)):
        return Comparison(again, reference, first_difference(again.points, reference.points),
                          "The second time, yours goes another way from the same start: something "
                          "is kept from one use to the next. Is it on the class, in a global name "
                          "or in a default argument?")
    return Comparison(yours, reference, step, "\n".join(
        _sentences(yours, reference, step, holds, hyper)))


def _second_walk(drive, made, start, first, hyper) -> Walk | None:
    """Another walk of the learner's, if it differs from the first."""
    again = walk(drive, made, start, len(first.points) - 1, hyper)
    same = again.points.shape == first.points.shape and np.allclose(
        again.points, first.points, equal_nan=True)
    return None if same else again


def walk(drive, made, start, steps: int, hyper: dict) -> Walk:
    """At most `steps` steps: less where something is raised, or x is not two finite numbers."""
    points, held, error = [np.array(start, dtype=float)], [{}], ""
    try:
        with np.errstate(all="ignore"):
            for x, inside in itertools.islice(
                    drive(made, LANDSCAPE.objective(), points[0], **hyper), steps):
                if x.shape != (2,):
                    error = f"it gives {x.size} numbers where the start has 2"
                    break
                points.append(x)
                held.append(inside)
                if not np.isfinite(x).all():
                    break
    except NoPoint as reason:
        error = str(reason)
    except Exception as raised:  # the learner's code may raise anything
        error = f"it raised {described(raised)}"
    return Walk(np.array(points), held, error)


def first_difference(yours, solution) -> int | None:
    """The first step after which two paths stand at different places, beyond rounding."""
    for step, (mine, right) in enumerate(itertools.zip_longest(yours, solution)):
        if mine is None or right is None:
            return step
        moved = right - solution[max(step - 1, 0)]
        if not _close(mine, right, 1e-4 * np.abs(moved).max() + 1e-7 * np.abs(right).max()):
            return step
    return None


def _sentences(yours, solution, step, holds, hyper):
    if step is None:
        return [f"On this landscape both paths are the same for {len(solution.points) - 1} steps. "
                "What the check has found lies elsewhere: in another shape, in a second optimizer, "
                "or in an argument that was changed. Its message says which."]
    agree = {1: "", 2: " Step 1 agrees."}.get(step, f" Steps 1 to {step - 1} agree.")
    if step == len(yours.points):
        return [f"Your path ends before step {step}: {yours.error or 'no point came'}.{agree}"]
    mine, right = yours.points[step], solution.points[step]
    came, wanted = _told_apart(mine, right)
    said = [f"Step {step} is the first that differs: it leads to {came}, the solution's to "
            f"{wanted}.{agree}"]
    found = (first_quantity(yours.held, solution.held, step, holds, hyper)
             or _of_the_step(mine, right, solution.points[step - 1])
             or _what_is_nowhere(yours.held, solution.held, step, holds, hyper)
             or "Nothing inside can be told to differ before it: look at the step itself. Two "
                "conventions that the check takes for equally good may part here, too.")
    return [*said, found]


def first_quantity(yours, solution, step, holds, hyper) -> str:
    """The first of the quantities, and the first step, in which what is held inside differs.

    What is yours is found by its values in the steps before, or by its name, and may be the
    solution's times a number: a velocity with the learning rate in it is one, too.
    """
    for at in range(1, step + 1):
        for title, names in holds.items():
            right = solution[at][names[0]]
            name, scale = _counterpart(yours, solution, at, names, hyper)
            if not name or _close(yours[at].get(name), scale * right):
                continue
            came, wanted = _told_apart(yours[at].get(name), scale * right)
            return (f"The {title} differs after step {at}: your `{name}` is {came}, the solution's "
                    f"{wanted}.")
    return ""


def _counterpart(yours, solution, at, names, hyper) -> tuple[str, float]:
    """What the learner holds in the place of a quantity, and the factor between the two."""
    first, before = solution[1][names[0]], range(1, at)
    told = any(solution[t][names[0]].any() for t in before)  # 0 is any number times 0
    # A velocity may have the learning rate in it, and either sign; a count is a count.
    scales = [s * k for k in (1.0, hyper.get("lr", 1.0)) for s in (1, -1)][:4 if first.size > 1
                                                                            else 1]
    if told:
        candidates = sorted(set(yours[at]) - set(hyper), key=lambda name: name not in names)
        return next(((name, scale) for name, scale in itertools.product(candidates, scales)
                     if all(_close(yours[t].get(name), scale * solution[t][names[0]])
                            for t in before)), ("", 1.0))
    known = next((n for n in yours[at] if n.lstrip("_") in names), "")
    right = solution[at][names[0]]
    return known, next((s for s in scales if _close(yours[at].get(known), s * right)), 1.0)


def _what_is_nowhere(yours, solution, step, holds, hyper) -> str:
    """The first quantity that nothing of the learner's has followed up to this step."""
    for title, names in holds.items():
        right = solution[step - 1].get(names[0], np.zeros(1))
        if right.any() and not _counterpart(yours, solution, step, names,
                                                                  hyper)[0]:
            return (f"Nothing that yours holds equals the solution's {title}, "
                    f"{_text(right, 4)} after step {step - 1}: is it remembered from one step to "
                    "the next?")
    return ""


def _of_the_step(mine, right, before) -> str:
    """What a step itself tells, whatever is held inside."""
    step, wanted = mine - before, right - before
    if not np.isfinite(mine).all():
        return "Yours is not a number any more: look for a division by zero, or an overflow."
    if not step.any():
        return "Yours does not move."
    if wanted.any():
        ratio = step @ wanted / (wanted @ wanted)
        if _close(step, ratio * wanted):
            way = "It goes the same way" if ratio > 0 else "It goes the opposite way"
            return way + ("." if _close(abs(ratio), 1.0) else
                          f", and is {abs(ratio):.3g} times as long as the solution's.")
    return ""


def _close(one, other, atol=0.0) -> bool:
    if one is None or other is None:
        return False
    one, other = np.broadcast_arrays(*map(np.atleast_1d, (one, other))) if (
        np.size(one) == 1 or np.size(other) == 1) else (np.asarray(one), np.asarray(other))
    return one.shape == other.shape and np.allclose(
        one, other, rtol=0, atol=atol or 1e-5 * np.abs(other).max(initial=0) + 1e-12)


def _told_apart(one, other) -> tuple[str, str]:
    """Two numbers, or rows of them, with as many digits as tell them apart."""
    for digits in range(4, 18):
        texts = _text(one, digits), _text(other, digits)
        if texts[0] != texts[1]:
            break
    return texts


def _text(value, digits) -> str:
    texts = [f"{v:.{digits}g}" for v in np.atleast_1d([] if value is None else value)]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
