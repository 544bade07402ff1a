"""Variants: a student's seed changes what an exercise asks, so that a passed-on answer seldom fits.

Every choice has its options in another order. Where an author gives `variants`, a concept or a
prediction has other numbers, and a program to repair another trap:

    @exercise("04.8", ..., variants=[{"beta": 0.9}, {"beta": 0.8}, {"beta": 0.95}])
    def noise_gain(answer, rng):
        beta = answer.variant["beta"]

The first is the course's own. In another, each value of the first that stands in the task, the
answer cell or a hint is replaced by its own; so such a value stands nowhere else in them.

The seed comes from the roster in the grader, and with a learner from `use_seed` in the notebook's
first cell, or from the stamp of the exercise notebook. Without one, everything is as in the course.
"""

from __future__ import annotations

import hashlib
import random
import re
from functools import lru_cache

from zglearn import paths

from .originals import stamp_in

OPTION = re.compile(r"^- \*\*([a-z])\*\* .*(?:\n(?!- |\n).*)*", re.M)
_seed = ""


def of(exercise, seed: str) -> dict:
    """What varies, for this seed: the author's values; of a choice, what option stands under each
    letter."""
    if exercise.options:
        return dict(zip(exercise.options, _order(exercise, seed), strict=True))
    if not exercise.variants:
        return {}
    return exercise.variants[_draw(exercise, seed).randrange(len(exercise.variants))
                             if seed else 0]


def text(exercise, seed: str, said: str) -> str:
    """A task, an answer cell or a hint as this seed has it."""
    if not seed:
        return said
    if exercise.options:
        return _reordered(said, of(exercise, seed))
    mine = of(exercise, seed)
    for name, value in (exercise.variants[0] if exercise.variants else {}).items():
        here = re.compile(rf"(?<![\w.]){re.escape(str(value))}(?!\w|\.\d)")
        said = here.sub(lambda _, new=str(mine[name]): new, said)
    return said


def use_seed(seed: str) -> None:
    """Say whose variants these are: `release` writes it into a student's own notebooks."""
    global _seed
    _seed = seed


def mine(chapter: str) -> str:
    """The learner's seed; "" where the course is everybody's."""
    return _seed or _stamped(chapter)


@lru_cache
def _stamped(chapter: str) -> str:
    path = paths.notebook("exercises", chapter)
    return str(stamp_in(path).get("seed", "")) if path else ""


def _draw(exercise, seed) -> random.Random:
    return random.Random(hashlib.sha256(f"{seed} {exercise.id}".encode()).digest())


def _order(exercise, seed) -> list[str]:
    options = list(exercise.options)
    return _draw(exercise, seed).sample(options, len(options)) if seed else options


def _reordered(said: str, order: dict[str, str]) -> str:
    """A list of options with its letters in place and its texts in this order."""
    found = {match[1]: match[0] for match in OPTION.finditer(said)}
    if found.keys() != order.keys():
        return said  # there are no options in it
    return OPTION.sub(lambda match: f"- **{match[1]}**" + found[order[match[1]]][7:], said)
