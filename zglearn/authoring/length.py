"""How long a chapter is: words, lines of code, and the minutes that it takes to read both."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from .folding import BLANK

WORDS_A_MINUTE, LINES_A_MINUTE = 200, 20
MOST_WORDS, MOST_LINES = 2500, 250  # of a chapter
PRINTED = re.compile(r"Reading time: \d+ minutes?")


class Length(NamedTuple):
    """Words of text, lines of code (neither blank nor comment), and figures."""

    words: int
    lines: int
    figures: int

    @property
    def minutes(self) -> int:
        return math.ceil(self.words / WORDS_A_MINUTE + self.lines / LINES_A_MINUTE)


def length(notebook) -> Length:
    """The length of a notebook. A formula counts as one word, a link as its text."""
    words = lines = figures = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            lines += sum(bool(line.strip()) and not line.lstrip().startswith("#")
                         for line in cell.source.splitlines())
            figures += any("image/png" in output.get("data", {}) and output.data != BLANK
                           for output in cell.outputs)
        else:
            text = re.sub(r"\$\$.*?\$\$|\$[^$]+\$", "x", cell.source, flags=re.S)
            text = re.sub(r"\]\([^)]*\)", "]", text)
            words += len(re.findall(r"\w[\w'’-]*", text))
    return Length(words, lines, figures)


def say_length(notebook) -> None:
    """Put the computed reading time where the chapter prints one."""
    minutes = length(notebook).minutes
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PRINTED.sub(f"Reading time: {minutes} minutes", cell.source)
