"""A class of sixty that did chapter 04: right, named-wrong, mutant and blank answers.

What each student wrote is drawn from the trials of solutions/ and from mutants of the course's own
answers; `WRITTEN` says what kind it is, so that a test knows what the grader has to say.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from functools import lru_cache

import nbformat

from zglearn import paths
from zglearn.authoring.mutation import mutants
from zglearn.authoring.trials import trials_of

CHAPTER, SIZE = "04", 60
KINDS = ("right", "right", "wrong", "wrong", "mutant", "blank")
MARKERS = re.compile(r"^ *# (BEGIN|END) SOLUTION\n?|^ *# INSTEAD\n( *#.*\n)*|  # SOLUTION$", re.M)
FAVOURITE = 0.5  # of the wrong answers to an exercise, this share is the same mistake


@dataclass(frozen=True)
class Written:
    """A student's answer to an exercise: its kind, and the trial's or the mutant's name."""

    kind: str
    name: str
    source: str


@lru_cache
def stock() -> dict[str, dict[str, list[Written]]]:
    """By exercise and kind, the answers that there are."""
    solutions = nbformat.read(paths.notebook("solutions", CHAPTER), as_version=4)
    found: dict[str, dict[str, list[Written]]] = {}
    for trial in trials_of(solutions):
        kinds = found.setdefault(trial.exercise.id, {})
        source = MARKERS.sub("", trial.source)
        kinds.setdefault(trial.kind, []).append(Written(trial.kind, trial.name, source))
        if trial.name == "the course's own answer" and trial.exercise.kind in ("implement",
                                                                              "debug", "derive"):
            kinds["mutant"] = [Written("mutant", name, source)
                               for name, source in list(mutants(trial.source).items())[::5]
                               if "while" not in source]
    return found


@lru_cache
def sixty() -> dict[str, dict[str, Written]]:
    """By student ("s01") and exercise, what was written."""
    draw = random.Random(60)
    return {f"s{n:02}": {id: _drawn(draw, kinds) for id, kinds in stock().items()}
            for n in range(SIZE)}


def _drawn(draw, kinds) -> Written:
    some = kinds.get(draw.choice(KINDS)) or kinds["wrong"]
    return some[0] if draw.random() < FAVOURITE else draw.choice(some)


def notebook(student: str) -> bytes:
    """What a student hands in."""
    handed_out = json.loads(paths.notebook("exercises", CHAPTER).read_text())
    for cell in handed_out["cells"]:
        id = cell["id"].removeprefix("ans-").replace("-", ".")
        if cell["id"].startswith("ans-"):
            cell["source"] = sixty()[student][id].source + f"\n# {student} wrote this"
    return json.dumps(handed_out).encode()


def hand_in(folder) -> None:
    for student in sixty():
        (folder / student).mkdir(parents=True)
        (folder / student / "04_momentum.ipynb").write_bytes(notebook(student))
