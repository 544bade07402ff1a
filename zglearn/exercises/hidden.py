"""Hidden checks: they stand in solutions/, and never reach exercises/.

A code cell tagged `solution-only`, whose body may use `answer`, `rng`, `np` and the helpers of
`zglearn.exercises.exercise`, just as a check in the bank does:

    %%hidden 04.2 worth 1
    got = answer.call("terminal_step", 0.0, 0.1, 0.9)
    expect_close(got, (0.0, 0.0), case="no slope")

It runs after the exercise's own check has accepted an answer. An answer that fails it loses the
points that it is worth (all of them, if it does not say). Learners are told that a hidden check
failed, never which.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from . import exercise as helpers
from .answer import LocalNamespace
from .exercise import Exercise, Verdict, find, judge

HEAD = re.compile(r"%%hidden\s+(\d\d\.\d+)(?:\s+worth\s+(\d+))?\s*")
FAILED = ("The course's own check accepts this, but a check that is not in the notebook does not: "
          "try other inputs, such as zeros, one dimension, or very large and small numbers.")


def parse(source: str) -> dict | None:
    """A hidden check as {"exercise", "worth", "body"}; None if the cell is none."""
    head, _, body = source.partition("\n")
    if not head.startswith("%%hidden"):
        return None
    match = HEAD.fullmatch(head)
    if not match:
        raise ValueError(f"{head}: write `%%hidden 04.2` or `%%hidden 04.2 worth 1`")
    id, worth = match.groups()
    return {"exercise": id, "worth": int(worth or find(id).points), "body": body}


def judged(exercise: Exercise, hidden: dict, names, seed=None, whose=None) -> Verdict:
    """The verdict of a hidden check, in its own words: for authors."""
    def check(answer, rng):
        exec(hidden["body"], {**vars(helpers), "np": np, "answer": answer, "rng": rng})

    return judge(replace(exercise, check=check), names, seed, whose=whose)


def magic(line: str, body: str, names: dict) -> None:
    """What %%hidden does in a solutions notebook: the course's own answer must pass."""
    hidden = parse(f"%%hidden {line}\n{body}")
    exercise = find(hidden["exercise"])
    verdict = judged(exercise, hidden, LocalNamespace(names))
    if not verdict.accepted:
        raise ValueError(f"a hidden check of {exercise.id} refuses the course's own answer: "
                         f"{verdict.message}")
