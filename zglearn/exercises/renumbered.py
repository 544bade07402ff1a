"""From the numbers of 0.1.0 to those of the second edition: notebooks, chapters, exercises, cells.

Whatever does not say its edition (the stamp of an exercise notebook, an event of the progress file)
is of the first and is read in the new numbers; so nothing is ever renumbered twice.
"""

from __future__ import annotations

import re

EDITION = 2

NOTEBOOKS = {
    "08_fair_race": "11_fair_race",
    "09_compression": "12_compression",
    "10_no_gradient": "13_no_gradient",
    "11_direct_search": "14_direct_search",
    "12_evolution_strategies": "15_evolution_strategies",
    "13_mezo_capstone": "16_mezo_capstone",
    "14_errata_clinic": "17_errata_clinic",
}

# Exercises that did not go where their chapter went, {"08.2": "08.1"}. One that is gone, and whose
# id is another's now, gets a name that is no id: {"02.9": "02.9 of 0.1.0"}.
EXERCISES: dict[str, str] = {}

CHAPTERS = {old[:2]: new[:2] for old, new in NOTEBOOKS.items()}
_BACK = {**{new: old for old, new in CHAPTERS.items()},
         **{new: old for old, new in EXERCISES.items()}}


def new_id(old: str) -> str:
    """"08.2" -> "11.2"; whatever is no exercise, such as a card's name, stays as it is."""
    if old in EXERCISES or not re.fullmatch(r"\d\d\.\d+", old):
        return EXERCISES.get(old, old)
    return CHAPTERS.get(old[:2], old[:2]) + old[2:]


def new_cell_id(old: str) -> str:
    """"ans-08-2" -> "ans-11-2"; "intro" stays."""
    match = re.fullmatch(r"([a-z]+)-(\d\d)-(\d+)(-.*)?", old)
    if not match:
        return old
    kind, chapter, number, rest = match.groups()
    return f"{kind}-{_joined(new_id(f'{chapter}.{number}'), '-')}{rest or ''}"


def in_new_numbers(code: str) -> str:
    """A learner's code with the new ids: ``answer_08_2``, ``check("08.2")``, ``hint("08.2")``, …"""
    code = re.sub(r"(?<![A-Za-z0-9_])answer_(\d\d)_(\d+)\b",
                  lambda m: "answer_" + _joined(new_id(f"{m[1]}.{m[2]}"), "_"), code)
    calls = r"""\b((?:check|hint|solution|predict|reveal|score)\(\s*["'])(\d\d\.\d+)(?=["'])"""
    return re.sub(calls, lambda m: m[1] + new_id(m[2]), code)


def in_old_numbers(text: str) -> str:
    """A text of the course as it stood in the first edition, if nothing but its numbers changed."""
    def exercise(match):
        chapter, separator, number = match.groups()
        old = _BACK.get(f"{chapter}.{number}") or _BACK.get(chapter, chapter) + "." + number
        return old.replace(".", separator)

    text = re.sub(r"(?<!\d)(?<!\d\.)(\d\d)([._-])(\d\d?)(?![\d.]\d)", exercise, text)
    text = re.sub(r"(^# |\b[Cc]hapters? |\band )(\d\d)\b",
                  lambda m: m[1] + _BACK.get(m[2], m[2]), text)
    for old, new in NOTEBOOKS.items():
        text = text.replace(new, old)
    return text


def _joined(id: str, separator: str) -> str:
    return re.sub(r"\W+", separator, id)
