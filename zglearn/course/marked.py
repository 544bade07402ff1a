"""What a learner sees of a verdict: a tick and the points, or a cross, and one next step."""

from __future__ import annotations

import html
from dataclasses import dataclass

from zglearn.exercises.exercise import Exercise, Verdict, framed

from . import progress
from .overview import chapter_name, chapters, next_exercise, score_of
from .said import BAD, CROSS, GOOD, TICK


@dataclass(frozen=True)
class Marked(Verdict):
    """A verdict with a sign, and with a line of what was gained and what comes next."""

    then: str = ""

    def __repr__(self) -> str:
        return "\n".join(filter(None, [super().__repr__(), self.then]))

    def _repr_html_(self) -> str:
        colour = GOOD if self.accepted else BAD
        return framed("".join(self.parts()), colour)

    def parts(self) -> list[str]:
        head, *rest = super().parts()
        then = [f"<div style='margin-top: 0.3em'>{html.escape(self.then)}</div>"] * bool(self.then)
        return [(TICK if self.accepted else CROSS) + head, *rest, *then]


def marked(verdict: Verdict, is_new: bool) -> Verdict:
    """The verdict with its sign; `is_new` says whether it was solved now for the first time."""
    if verdict.status == "not_attempted":
        return verdict
    return Marked(**vars(verdict), then=_then(verdict.exercise, is_new) if verdict.accepted else "")


def _then(exercise: Exercise, is_new: bool) -> str:
    events = progress.events()
    row = next(c for c in chapters(events) if c.number == exercise.chapter)
    points = "" if exercise.is_open or not is_new else f"+{exercise.line.split(' · ')[2]}. "
    return (f"{points}{row.solved} of {row.exercises} solved in chapter {exercise.chapter}. "
            f"{_next(exercise, events)}")


def _next(exercise: Exercise, events) -> str:
    if exercise.is_open and score_of(exercise, events) == 0:
        return f'Next: score("{exercise.id}", ...).'
    if left := next_exercise(events, exercise):
        where = "" if left.chapter == exercise.chapter else f", in {chapter_name(left.chapter)}"
        return f"Next: {left.id} {left.title}{where}."
    return "That was the last one of the course."
