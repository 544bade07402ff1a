"""How the course speaks: a short text, and an error that is its own explanation."""

from __future__ import annotations

import functools
import sys

from zglearn.exercises.exercise import framed, inline_code

GOOD, BAD = "#1a7f37", "#d55e00"
# Drawn: a font may lack them.
_SIGN = ("<svg width='1em' height='1em' viewBox='0 0 16 16' aria-hidden='true' "
         "style='vertical-align: -0.1em; margin-right: 0.35em'><path d='{}' fill='none' "
         "stroke='{}' stroke-width='3'/></svg>")
TICK = _SIGN.format("M2 9l4 4 8-10", GOOD)
CROSS = _SIGN.format("M3 3l10 10M13 3l-10 10", BAD)


class Said:
    """A short text for a learner: plain, and as HTML that is legible in light and dark."""

    def __init__(self, text: str, body: str = ""):
        self.text = text
        self.body = body or f"<div style='white-space: pre-wrap'>{inline_code(text)}</div>"

    def __repr__(self):
        return self.text

    def _repr_html_(self):
        return framed(self.body)


class CourseError(Exception):
    """A message to the learner or author: shown without a traceback in a notebook."""

    def _render_traceback_(self):
        return [str(self)]


def command(main):
    """Make `main(argv)` a command: a CourseError is told in its own words, without a traceback, and
    so is what the system does not allow."""
    @functools.wraps(main)
    def run(argv):
        try:
            return main(argv)
        except CourseError as error:
            print(error, file=sys.stderr)
            return 1
        except BrokenPipeError:
            raise
        except OSError as error:
            print(f"This did not work: {error}.\nIf the course is in a folder that you cannot "
                  "write to, copy it to one of yours and run the command there.", file=sys.stderr)
            return 1

    return run
