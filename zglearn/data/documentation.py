"""Documentation as it is written: docstrings with their code, brackets, digits and line breaks."""

from __future__ import annotations

import re
from collections.abc import Iterable

BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
ENTRY = re.compile(r"^\S.*\n(?:[ ]+\S.*(?:\n|\Z))+", re.M)  # "axis : int", and what it does
PROMPT = re.compile(r"[ ]*(>>>|\.\.\.)(?: |$)")
FEWEST_LETTERS = 0.5  # the share of letters and spaces below which a paragraph is a table


def documentation(docstrings: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """From (docstring, file) to (text, file): plain ASCII, and every paragraph once in all, every
    entry of a list of parameters too.

    What the examples print is left out, tables of numbers too: digits that nobody could foresee.
    Of a docstring whose paragraphs all stood elsewhere before, nothing is left.
    """
    seen, found = set(), []

    def unless_seen(text):
        key = "".join(text.split())
        if key in seen:
            return ""
        seen.add(key)
        return text

    for docstring, file in docstrings:
        if not docstring.isascii():
            continue
        kept = []
        for paragraph in BLANK_LINES.split(docstring.strip()):
            text = ENTRY.sub(lambda entry: unless_seen(entry[0]), _without_output(paragraph))
            if not ENTRY.search(text):
                text = unless_seen(text)
            text = text.rstrip()
            if text and _is_mostly_words(text):
                kept.append(text)
        if kept:
            found.append(("\n\n".join(kept), file))
    return found


def _without_output(paragraph: str) -> str:
    """The paragraph or, if it shows a session of Python, its code alone."""
    lines = [line.rstrip().expandtabs(4) for line in paragraph.split("\n")]
    first = next((i for i, line in enumerate(lines) if PROMPT.match(line)), None)
    if first is not None:
        lines = lines[:first] + [line for line in lines[first:] if PROMPT.match(line)]
    return "\n".join(lines)


def _is_mostly_words(text: str) -> bool:
    return sum(c.isalpha() or c.isspace() for c in text) >= FEWEST_LETTERS * len(text)
