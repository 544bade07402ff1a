"""Exercises from solutions: what is taken out, what is put in, and what an author did wrong.

In a solutions notebook an exercise is a row of cells, found by their ids:

    ex-04-2    markdown: "## 04.2 · Title", then the task
    ans-04-2   the answer, with its solution marked
    chk-04-2   check("04.2")
    run-04-2   for a prediction: reveal("04.2"), then the experiment
    try-04-2-… %%trial cells: at least three wrong answers and two right ones (a choice or an
               open question needs none: its trials are made)

Between ``# BEGIN SOLUTION`` and ``# END SOLUTION`` stands what the learner is to write; it becomes
``raise NotImplementedError``. After ``# INSTEAD`` inside it, commented lines are the broken code
that the learner is given to repair. A statement that ends in ``# SOLUTION`` becomes ``name = ...``.
Trials, hidden checks, and cells tagged ``solution-only``, vanish.
"""

from __future__ import annotations

import ast
import copy
import difflib
import io
import re
import textwrap
import tokenize

import nbformat

from zglearn.course.cells import without_magics
from zglearn.course.learner import parse_trial
from zglearn.course.said import CourseError
from zglearn.exercises.exercise import Exercise, all_exercises
from zglearn.exercises.originals import stamp

BEGIN, INSTEAD, END, VALUE = "# BEGIN SOLUTION", "# INSTEAD", "# END SOLUTION", "# SOLUTION"
MARKERS = (BEGIN, INSTEAD, END, VALUE)
NOT_A_VALUE = (f"`{VALUE}` stands at the end of a whole answer that is not indented, "
               f"`name = value  {VALUE}`; inside a function use `{BEGIN}`")
STUB = ["# YOUR CODE HERE", "raise NotImplementedError"]
BROKEN = ["# YOUR CODE HERE: delete the next line, run this and see it fail, then repair it",
          "raise NotImplementedError"]
WRONG_TRIALS, RIGHT_TRIALS = 3, 2


class Malformed(CourseError):
    """A solutions notebook breaks a rule. The message says where, and what to do."""


def derive(solutions, name: str):
    """The exercise notebook of a solutions notebook; `name` is its file's, "04_momentum".

    Raises Malformed.
    """
    bank = {e.id: e for e in all_exercises(name[:2])}
    check_rules(solutions, bank, name)
    cells = [_exercise_cell(cell, bank, name) for cell in solutions.cells if not is_hidden(cell)]
    derived = nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(solutions.metadata))
    derived.metadata["zglearn"] = stamp(name, [(c.id, c.source) for c in derived.cells])
    return derived


def is_hidden(cell) -> bool:
    """Whether a cell is for authors only."""
    return ("solution-only" in cell.metadata.get("tags", []) or is_trial(cell)
            or is_hidden_check(cell))


def is_hidden_check(cell) -> bool:
    return cell.cell_type == "code" and cell.source.startswith("%%hidden")


def is_trial(cell) -> bool:
    return cell.cell_type == "code" and cell.source.startswith("%%trial")


def _exercise_cell(cell, bank, name):
    source = cell.source
    if cell.cell_type == "code":
        new = nbformat.v4.new_code_cell(stub(source, f"{name}, cell {cell.id}"))
    else:
        if match := re.fullmatch(r"ex-(\d\d)-(\d+)", cell.id):
            title, _, task = source.partition("\n")
            source = f"{title}\n\n*{bank['.'.join(match.groups())].line}*\n\n{task.lstrip()}"
        new = nbformat.v4.new_markdown_cell(source.rstrip())
    new["id"] = cell.id
    if tags := cell.metadata.get("tags"):
        new.metadata["tags"] = list(tags)
    return new


# --- the answer cell --------------------------------------------------------------------------


def stub(source: str, where: str) -> str:
    """The source with its solutions taken out. Raises Malformed for a marker out of place."""
    lines, kept, block = source.split("\n"), [], None
    marked = _markers(source, where)
    for number, line in enumerate(lines, 1):
        marker, indent = marked.get(number), line[: len(line) - len(line.lstrip())]
        if marker == BEGIN:
            if block:
                raise Malformed(f"{where}, line {number}: a second `{BEGIN}` before `{END}`")
            block = {"indent": indent, "solution": [], "broken": None, "line": number}
        elif marker in (INSTEAD, END) and not block:
            raise Malformed(f"{where}, line {number}: `{marker}` without `{BEGIN}`")
        elif marker == INSTEAD:
            block["broken"] = []
        elif marker == END:
            if indent != block["indent"]:
                raise Malformed(f"{where}, line {number}: `{END}` is not indented as its `{BEGIN}`")
            kept += _replacement(block, where)
            block = None
        elif block and block["broken"] is not None:
            block["broken"].append(line)
        elif block:
            block["solution"].append(line)
        else:
            kept.append(line)
    if block:
        raise Malformed(f"{where}, line {block['line']}: `{BEGIN}` without `{END}`")
    return _without_values("\n".join(kept), where)


def _replacement(block, where):
    if not any(line.strip() for line in block["solution"]):
        raise Malformed(f"{where}, line {block['line']}: there is nothing after `{BEGIN}`")
    if block["broken"] is None:
        return [block["indent"] + line for line in STUB]
    broken = textwrap.dedent("\n".join(block["broken"])).split("\n")
    if not all(re.match(r"#( |$)", line) for line in broken):
        raise Malformed(f"{where}: the lines between `{INSTEAD}` and `{END}` are comments, "
                        "`# code`, each")
    return [block["indent"] + line for line in BROKEN + [line[2:] for line in broken]]


def _without_values(source: str, where: str) -> str:
    """Turn each statement ``name = value  # SOLUTION`` into ``name = ...  # YOUR ANSWER``."""
    marked = [n for n, marker in _markers(source, where).items() if marker == VALUE]
    if not marked:
        return source
    lines = source.split("\n")
    for statement in reversed(_tree(source, where).body):
        if statement.end_lineno not in marked:
            continue
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            raise Malformed(f"{where}, line {statement.end_lineno}: {NOT_A_VALUE}")
        marked.remove(statement.end_lineno)
        answer = f"{statement.targets[0].id} = ...  # YOUR ANSWER"
        lines[statement.lineno - 1 : statement.end_lineno] = [answer]
    if marked:
        raise Malformed(f"{where}, line {marked[0]}: {NOT_A_VALUE}")
    return "\n".join(lines)


def _markers(source: str, where: str) -> dict[int, str]:
    """The line numbers of the markers. A comment that nearly is one is refused: it would leak."""
    found = {}
    for token in _comments(source, where):
        text, number = token.string.strip(), token.start[0]
        alone = token.line.strip() == text
        if text in MARKERS and alone != (text == VALUE):
            found[number] = text
        elif text in MARKERS or _nearly(text):
            raise Malformed(f"{where}, line {number}: `{text}` looks like a marker, but is none. "
                            f"`{BEGIN}`, `{INSTEAD}` and `{END}` stand alone on their line, and "
                            f"`{VALUE}` after a value")
    return found


def _nearly(comment: str) -> bool:
    words = re.sub(r"[^a-z ]", "", comment.lower()).strip()
    plain = [re.sub(r"[^a-z ]", "", marker.lower()).strip() for marker in MARKERS]
    near = difflib.get_close_matches(words, plain, n=1, cutoff=0.85)
    return bool(near) or "SOLUTION" in comment


def _comments(source: str, where: str):
    readable = without_magics(source)
    try:
        return [token for token in tokenize.generate_tokens(io.StringIO(readable).readline)
                if token.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError) as error:
        raise Malformed(f"{where}: this is not Python: {error}") from None


def _tree(source: str, where: str):
    try:
        return ast.parse(without_magics(source))
    except SyntaxError as error:
        raise Malformed(f"{where}, line {error.lineno}: this is not Python: {error.msg}") from None


# --- the rules for authors --------------------------------------------------------------------


def check_rules(notebook, bank: dict[str, Exercise], name: str) -> None:
    """Raise Malformed, with every broken rule, unless all exercises are whole."""
    by_id = {cell.id: cell for cell in notebook.cells}
    wrong = [] if bank else [f"there is no bank module ch{name} with this chapter's exercises"]
    wrong += [f"cell {id}: no exercise {known} in the bank" for id in by_id
              if (known := exercise_of(id)) and known not in bank]
    for cell in notebook.cells:
        wrong += _cell_rules(cell)
    for exercise in bank.values():
        wrong += [f"exercise {exercise.id}: {rule}" for rule in _exercise_rules(exercise, by_id)]
    if wrong:
        raise Malformed(f"{name}:\n" + "\n".join(f"  {rule}" for rule in wrong))


def exercise_of(id: str) -> str:
    """The exercise that a cell's id names: "try-04-2-flipped" -> "04.2"; "" for other cells."""
    match = re.match(r"(?:ex|ans|chk|run|try)-(\d\d)-(\d+)(?:-|$)", id)
    return ".".join(match.groups()) if match else ""


def _cell_rules(cell) -> list[str]:
    if is_trial(cell):
        try:
            exercise, _, _ = parse_trial(cell.source.partition("\n")[0].removeprefix("%%trial"))
        except CourseError as error:
            return [f"cell {cell.id}: {error}"]
        prefix = "try-" + exercise.id.replace(".", "-") + "-"
        return [] if cell.id.startswith(prefix) else [f"cell {cell.id}: a trial of {exercise.id} "
                                                      f"has an id that starts with {prefix}"]
    if cell.id.startswith("try-"):
        return [f"cell {cell.id}: a trial starts with `%%trial ID wrong NAME` or "
                "`%%trial ID right NAME`"]
    if cell.cell_type == "code":
        try:
            if stub(cell.source, "") != cell.source and not cell.id.startswith("ans-"):
                return [f"cell {cell.id}: a solution stands in a cell whose id starts with ans-"]
        except Malformed as error:
            return [f"cell {cell.id}{error}"]
    elif any(marker in cell.source.split("\n") for marker in (BEGIN, END)):
        return [f"cell {cell.id}: a marker in a text cell; tag the cell solution-only instead"]
    return []


def _exercise_rules(exercise: Exercise, by_id: dict) -> list[str]:
    tail = exercise.id.replace(".", "-")
    wanted = ["ex-", "ans-", "chk-"] + ["run-"] * (exercise.kind == "predict")
    missing = [prefix + tail for prefix in wanted if prefix + tail not in by_id]
    if missing:
        return [f"cell {id} is missing" for id in missing]
    wrong, order = [], list(by_id)
    task, answer, check = (by_id[prefix + tail] for prefix in wanted[:3])
    title = f"## {exercise.id} · {exercise.title}"
    if task.cell_type != "markdown" or task.source.split("\n")[0] != title:
        wrong.append(f"cell {task.id} must be text whose first line is `{title}`, as in the bank")
    if stubbed(answer) == answer.source:
        wrong.append(f"cell {answer.id} marks no solution: `{BEGIN}` ... `{END}`, or `{VALUE}`")
    for name in exercise.names:
        if not re.search(rf"\b{name}\b", answer.source):
            wrong.append(f"cell {answer.id} does not define {name}, which the bank names")
    if f'check("{exercise.id}")' not in check.source:
        wrong.append(f'cell {check.id} does not call check("{exercise.id}")')
    if not order.index(task.id) < order.index(answer.id) < order.index(check.id):
        wrong.append(f"cells {task.id}, {answer.id} and {check.id} must stand in this order")
    if exercise.kind == "predict":
        wrong += _prediction_rules(exercise, answer, by_id["run-" + tail])
    return wrong + _trial_rules(exercise, by_id, order, answer.id)


def stubbed(answer) -> str:
    try:
        return stub(answer.source, "")
    except Malformed:
        return ""  # reported for the cell itself


def _prediction_rules(exercise, answer, run) -> list[str]:
    wrong = []
    if f'predict("{exercise.id}"' not in answer.source:
        wrong.append(f'cell {answer.id} does not call predict("{exercise.id}", ...)')
    if not run.source.lstrip().startswith(f'reveal("{exercise.id}")'):
        wrong.append(f'cell {run.id} must begin with reveal("{exercise.id}")')
    return wrong


def _trial_rules(exercise, by_id, order, answer_id) -> list[str]:
    wrong, own = [], not exercise.options and not exercise.is_open  # others: see trials.py
    trials = [cell for cell in by_id.values()
              if is_trial(cell) and exercise_of(cell.id) == exercise.id]
    heads = [cell.source.partition("\n")[0].removeprefix("%%trial").split(None, 2)
             for cell in trials]
    for kind, least in (("wrong", WRONG_TRIALS), ("right", RIGHT_TRIALS)):
        count = sum(head[1:2] == [kind] for head in heads)
        if own and count < least:
            wrong.append(f"{count} {kind} trials, but it needs {least}")
    wrong += [f"trial {cell.id} stands before {answer_id}" for cell in trials
              if order.index(cell.id) < order.index(answer_id)]
    names = [head[2] for head in heads if len(head) == 3]
    wrong += [f"two trials are named {name!r}" for name in sorted(set(names))
              if names.count(name) > 1]
    return wrong


# --- proof that nothing leaks -----------------------------------------------------------------


def leaked_lines(solutions, exercises) -> list[str]:
    """Lines of solutions, right trials and hidden cells that a learner can read in the exercises.

    A line that the author also wrote in the open (an import, a signature) is no secret.
    """
    secret, public = set(), set()
    for cell in solutions.cells:
        lines = {line.strip() for line in cell.source.split("\n")}
        if is_hidden(cell):
            secret |= set() if _is_wrong_trial(cell) else lines
        elif cell.cell_type == "code":
            open_lines = {line.strip() for line in stub(cell.source, cell.id).split("\n")}
            public |= open_lines
            secret |= lines - open_lines
        else:
            public |= lines
    shown = {line.strip() for cell in exercises.cells for line in cell.source.split("\n")}
    code = "\n".join(cell.source for cell in exercises.cells if cell.cell_type == "code")
    return sorted(line for line in secret - public
                  if len(line) >= 4 and (line in shown or len(line) >= 16 and line in code))


def _is_wrong_trial(cell) -> bool:
    return is_trial(cell) and cell.source.split()[2:3] == ["wrong"]
