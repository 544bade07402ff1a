"""Spaced repetition: what to ask again, and when (Leitner's boxes, 1972).

An exercise that went well moves up a box and comes back later; one that did not starts again in
the first. An exercise solved in its chapter enters the first box.

Why boxes and not FSRS, the well-kept library of the field: `benchmarks/repetition.py` replays both
for simulated learners with three kinds of memory. FSRS with its own weights was ahead only with one
of the three and few questions, by 0.01 in the probability that an exercise goes well; elsewhere it
was behind by 0.01 to 0.03, or nothing was shown. Weights fitted to a learner's own history were
not tried. Where much more is due than an interview can ask, the order itself matters little: a
random one did better there with one memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from zglearn.course.progress import Event

DAY = 24 * 3600.0
INTERVALS = (1, 3, 7, 16, 35)  # days until an exercise of box 1, 2, ... is due
GOOD = 0.75  # a score from which on an exercise moves up


@dataclass(frozen=True)
class Card:
    """Where an exercise stands: its box (1 to 5) and when it is due, in seconds since 1970."""

    box: int
    due: float


def cards(events: list[Event]) -> dict[str, Card]:
    """The card of every exercise that was solved or reviewed, from the events, oldest first."""
    found: dict[str, Card] = {}
    for event in events:
        card = found.get(event.exercise)
        if event.kind == "review":
            box = min(card.box + 1, len(INTERVALS)) if card and event.data["score"] >= GOOD else 1
            found[event.exercise] = Card(box, event.at + INTERVALS[box - 1] * DAY)
        elif event.kind == "check" and event.data["status"] == "correct" and card is None:
            found[event.exercise] = Card(1, event.at + INTERVALS[0] * DAY)
    return found
