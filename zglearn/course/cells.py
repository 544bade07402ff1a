"""What becomes of the learner's cells: one that fails, and one that has nothing to run yet.

IPython tells after every cell how it went. Of a cell that failed, what it has not made is
remembered, so that a check does not mark the version before; a cell that makes it clears that.
What is not written or predicted yet is said and is no failure: `Run All` goes on.
"""

from __future__ import annotations

import ast
import re
import traceback

from zglearn.exercises.advice import usual_cause
from zglearn.exercises.answer import described
from zglearn.exercises.exercise import Exercise, Verdict

from .said import CourseError, Said

# How a cell that is no Python begins to make a name: `def twice(x`, `answer_04_1 =`.
MAKES = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)|^(\w+)\s*=(?!=)", re.M)
_failures: dict[str, tuple] = {}  # what to say, by what a failed cell has not made and by its id


class Waiting(CourseError):
    """An experiment waits for a prediction: its cell ends here."""


def watch(shell) -> None:
    """From now on hear of every cell how it went."""
    shell.set_custom_exc((Waiting, NotImplementedError), _say)
    shell.events.register("post_run_cell", lambda result: _hear(result, shell))


# --- what is not there yet --------------------------------------------------------------------


def _say(shell, kind, error, trace, tb_offset=None) -> None:
    """IPython's handler of the two exceptions that may only mean "not yet"."""
    from IPython.display import display

    if text := _not_yet(error, shell.user_ns):
        display(Said(text))
    else:
        shell.showtraceback((kind, error, trace), tb_offset)


def _not_yet(error: BaseException | None, names: dict) -> str:
    """What to say of an exception that only means "not yet"; "" of any other."""
    if isinstance(error, Waiting):
        return str(error)
    if isinstance(error, NotImplementedError):
        for frame, line in list(traceback.walk_tb(error.__traceback__))[-1:]:  # where it was raised
            if frame.f_globals is names:  # the learner's own code, or the stub of it
                place = frame.f_code.co_name.replace("<module>", "this cell")
                return (f"Not yet: `{place}` still raises NotImplementedError (line {line}). Put "
                        "your code there, and remove that line.")
    return ""


# --- what has failed --------------------------------------------------------------------------


def failure(exercise: Exercise) -> Verdict | None:
    """The verdict on an exercise whose answer was in a cell that failed; None if it was not."""
    cell = "ans-" + exercise.id.replace(".", "-")
    said = next((_failures[name] for name in (cell, *exercise.names) if name in _failures), None)
    return said and Verdict(exercise, *said)


def _hear(result, shell) -> None:
    """Remember what a cell should have made and has not; forget what it has made."""
    source = result.info.raw_cell
    cell = getattr(result.info, "cell_id", None) or ""  # IPython 7 does not know it
    for name in (cell, *_made(source)):
        _failures.pop(name, None)
    if error := result.error_before_exec:  # not a line of it ran
        _failures.update(dict.fromkeys((cell, *_made(source)), failed(error)))
    elif error := result.error_in_exec:
        not_yet = _not_yet(error, shell.user_ns)
        said = ("not_attempted", not_yet) if not_yet else failed(error)
        _failures.update(dict.fromkeys(_made(source, _line(error, shell.user_ns)), said))
        if not_yet:
            result.error_in_exec = None  # else JupyterLab would not run the cells below


def failed(error: BaseException) -> tuple:
    """What a check says of an answer whose cell ended in this error: a `Verdict` but for the
    exercise."""
    what = described(error)
    if isinstance(error, SyntaxError):  # its own text names a file that nobody has seen
        what = f"{type(error).__name__}: {error.msg}, line {error.lineno}"
    cause = "" if isinstance(error, SyntaxError | CourseError) else usual_cause(what)
    said = (f"The cell of your answer failed when it ran last ({what})."
            + (f" Usual cause: {cause.rstrip('.')}." if cause else "")
            + " Mend it, run it, then check again: what you had before is not checked.")
    told = "usually" if cause else "words" if isinstance(error, CourseError) else "error"
    return "incorrect", said, "error", "", False, told


def _made(source: str, since: int = 0) -> set[str]:
    """The names that a cell makes, from a line on."""
    try:
        tree = ast.parse(without_magics(source))
    except (SyntaxError, ValueError):
        return {name for pair in MAKES.findall(source) for name in pair if name}
    nodes = [node for statement in tree.body if statement.end_lineno >= since
             for node in ast.walk(statement)]
    return ({node.id for node in nodes if isinstance(node, ast.Name)
             and isinstance(node.ctx, ast.Store)}
            | {node.name for node in nodes
               if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)})


def without_magics(source: str) -> str:
    """Blank out IPython's own lines, keeping the line numbers."""
    return re.sub(r"^[%!].*$", "", source, flags=re.M)


def _line(error: BaseException, names: dict) -> int:
    """The line of the cell at which it failed."""
    return next((line for frame, line in traceback.walk_tb(error.__traceback__)
                 if frame.f_globals is names), 0)
