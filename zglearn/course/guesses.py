"""Predictions in a chapter: a guess before the experiment, and a comparison after it.

    guess("04-race", {"gradient descent": ..., "momentum": ...})      # before

    outcome("04-race", {"gradient descent": 6908, "momentum": 315})   # where it is measured

A question is named by its chapter and a word. A guess is a number, a text or a list, or a dict of
such; it is kept with the learner's progress, so a kernel may be restarted in between. What answers
the question is computed in cells tagged `folded`: their saved outputs are closed until they run.
"""

from __future__ import annotations

import html
import json
import re
from numbers import Real

from zglearn.exercises.answer import NotPlain, decode, encode

from . import progress
from .said import CourseError, Said

NONE_YET = ("No prediction for {} yet: put yours in place of `...`. A guess will do; being wrong "
            "first is how it sticks.")


def guess(question: str, value) -> Said:
    """Keep your guess about a chapter's experiment; `outcome` shows it beside what is measured."""
    made = {name: keepable(plain(v)) for name, v in _named(question, value).items()
            if not is_missing(v)}
    if not made:
        return Said(NONE_YET.format(question))
    progress.record("guess", question, values=made)
    return Said(f"Kept for {question}: {_line(made)}. Read on, and see.")


def outcome(question: str, measured, *, factor: float = 2, off: float | None = None) -> Said:
    """Your guess beside what was measured: a value, or a dict with some of the question's names.

    A number is right within a `factor`, or, if it is given, when it is `off` by no more; anything
    else if it is equal. Of each guess the first one that is compared counts as a prediction.
    """
    guesses = progress.events("guess", question)
    kept = guesses[-1].data["values"] if guesses else {}
    rows, close = [], "the same"
    for name, truth in _named(question, measured).items():
        truth, mark = keepable(plain(truth)), ""
        if _is_number(truth):
            close = f"off by {off:g} at most" if off else f"within a factor of {factor:g}"
        if name in kept:
            right = _right(kept[name], truth, factor, off)
            mark = "right" if right else "no"
            key = f"{question} {name}".strip()
            if not progress.events("prediction", key):
                progress.record("prediction", key, value=kept[name], right=right)
        rows.append((name, _shown(kept.get(name, "–")), _shown(truth), mark))
    return _table([("", "your guess", "measured", ""), *rows], f"Right is: {close}.")


def is_missing(value) -> bool:
    """Whether nothing has been put in place of the dots."""
    return value is ... or value is None or isinstance(value, str) and not value.strip()


def plain(value):
    """A prediction as plain data, copied; raises CourseError for anything else."""
    try:
        return decode(*encode(value))
    except NotPlain as error:
        raise CourseError(f"A prediction is a number, a text or a list, not {error}") from None


def keepable(value):
    """Plain data as the progress file keeps it: tuples and arrays as lists, what is odd as text."""
    try:
        return json.loads(json.dumps(value, default=lambda array: array.tolist()))
    except (TypeError, AttributeError):
        return repr(value)


def _named(question, value) -> dict:
    if not re.fullmatch(r"\d\d-[a-z0-9-]+", question):
        raise CourseError("A question is named by its chapter and a word, like \"04-race\", not "
                          f"{question!r}")
    return value if isinstance(value, dict) else {"": value}


def _right(guessed, truth, factor, off) -> bool:
    if not (isinstance(guessed, Real) and _is_number(truth)):
        return guessed == truth
    if off is not None:
        return abs(guessed - truth) <= off + 1e-9
    return guessed == truth or guessed * truth > 0 and 1 / factor <= guessed / truth <= factor


def _is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _shown(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _line(values: dict) -> str:
    return ", ".join(f"{name} {_shown(value)}".strip() for name, value in values.items())


def _table(rows, note: str) -> Said:
    """Rows of (name, guess, measured, mark), the first their head."""
    wide = [max(len(row[i]) for row in rows) for i in range(4)]
    text = "\n".join(f"{name:{wide[0]}}  {said:>{wide[1]}}  {truth:>{wide[2]}}  {mark}".rstrip()
                     for name, said, truth, mark in rows)
    cells = "".join("<tr>" + "".join(
        f"<td style='text-align: {'right' if i in (1, 2) else 'left'}'>{html.escape(cell)}</td>"
        for i, cell in enumerate(row)) + "</tr>" for row in rows)
    return Said(f"{text}\n{note}",
                f"<table style='color: inherit; margin: 0'>{cells}</table><small>{note}</small>")
