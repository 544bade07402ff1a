"""The notebooks that learners get: in step with their source, run by nbval, their checks tried."""

import copy
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import legible
import nbformat
import pytest
from small_course import ANSWER, notebook, trial

from zglearn.authoring import derive, kernels, notebooks
from zglearn.authoring.derive import is_trial
from zglearn.authoring.folding import TRIALS
from zglearn.authoring.trials import counts, run_trials
from zglearn.data.docstrings import library_versions
from zglearn.exercises import exercise as bank
from zglearn.paths import notebook as notebook_of

ROOT = Path(__file__).parents[1]
ALL = notebooks.hand_edited()
SOLUTIONS = [path for path in ALL if notebooks.is_solutions(path)]
CHAPTERS = [path for path in ALL if path.parent.name == "chapters"]
LOCKED = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.M))
# A few that are quick and full of sums run in the arithmetic of the farthest other processor that
# this one can imitate; `python3 -m zglearn kernels` runs all of them in all.
ELSEWHERE = [notebook_of("chapters", "01"), notebook_of("solutions", "02"),
             notebook_of("solutions", "03")]
farthest = functools.cache(kernels.farthest)
KERNEL_TROUBLE = re.compile("Address already in use|Kernel died before|Kernel didn't respond")


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=[f"{p.parent.name}/{p.stem}" for p in paths])


# --- the real notebooks -----------------------------------------------------------------------


@named(ALL)
def test_in_order_and_exercises_in_step(path):
    assert notebooks.check(path) == "in step"


@named(ALL)
def test_nbval_gets_the_outputs_that_are_saved(path, tmp_path):
    """And the texts of every figure of a chapter can be read."""
    if path.parent.name == "chapters" and library_versions().items() - LOCKED.items():
        pytest.skip("the saved figures belong to the texts of the libraries in the lock")
    environ = (legible.watch(tmp_path) if path in CHAPTERS else {}) | (
        farthest().environ if path in ELSEWHERE else {})
    for attempt in (1, 2):
        done = nbval(path, environ)
        if done.returncode == 0 or not KERNEL_TROUBLE.search(done.stdout) or attempt == 2:
            break
    assert done.returncode == 0, re.sub(r"\x1b\[[\d;]*m", "", done.stdout)[-6000:]


def nbval(path, environ):
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(ROOT), "-q",
               "--nbval", "--nbval-current-env", "--nbval-cell-timeout=300", "--color=no",
               "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "zglearn.authoring.tolerance",
               str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800, cwd=ROOT,
                          env=os.environ | environ)


SEEDS = range(3)


@functools.cache
def outcomes_of(path):
    return run_trials(notebooks.read(path), path.parent, SEEDS)


@named(SOLUTIONS)
def test_every_trial_gets_its_verdict(path, record_property):
    outcomes = outcomes_of(path)
    record_property("trials", counts(outcomes))
    unexpected = [f"{o.trial.exercise.id}, {o.trial.kind}: {o.trial.name}\n{o.verdict!r}"
                  for o in outcomes if not o.as_expected]
    assert not unexpected, "\n".join(unexpected)
    assert not [o for o in outcomes if "NameError" in o.verdict.message], "a trial must stand alone"


@named(SOLUTIONS)
def test_every_wrong_answer_has_its_own_message(path):
    messages = {}
    for outcome in outcomes_of(path)[::len(SEEDS)]:
        trial = outcome.trial
        if trial.kind == "wrong" and (trial.name.startswith(("option ", "no such")) or
                                      not trial.exercise.options):
            text = re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "#", outcome.verdict.message)
            messages.setdefault((trial.exercise.id, text), []).append(trial.name)
    shared = {key: names for key, names in messages.items() if len(names) > 1}
    assert not shared


@named(SOLUTIONS)
def test_trials_stand_in_a_closed_section_at_the_end(path):
    cells = notebooks.read(path).cells
    trials = [cell for cell in cells if is_trial(cell)]
    assert trials and cells[-len(trials):] == trials
    heading = cells[-len(trials) - 1]
    assert heading.id == TRIALS and heading.metadata["jp-MarkdownHeadingCollapsed"]


def test_every_exercise_of_the_bank_stands_in_a_notebook():
    chapters = {path.name[:2] for path in SOLUTIONS}
    assert not [e.id for e in bank.all_exercises() if e.chapter not in chapters]


def test_the_bank_asks_every_question_of_the_source_articles():
    """R105 to R140 are their interview questions; the bank has at least 90 exercises."""
    if len(SOLUTIONS) < 14:
        pytest.skip(f"{len(SOLUTIONS)} of 14 chapters have exercises so far")
    served = {row for e in bank.all_exercises() for row in e.rows}
    assert not [row for n in range(105, 141) if (row := f"R{n}") not in served]
    assert len(bank.all_exercises()) >= 90


# --- a small notebook of our own --------------------------------------------------------------

def source_of(derived, id):
    return next(cell.source for cell in derived.cells if cell.id == id)


def test_the_exercise_notebook_holds_the_stub_and_no_solution(small_bank):
    derived = derive.derive(notebook(), "98_fake")
    assert [cell.id for cell in derived.cells][:6] == ["intro", "setup", "ex-98-1", "ans-98-1",
                                                       "chk-98-1", "ex-98-2"]
    assert source_of(derived, "ans-98-1").split("\n") == [
        "def twice(x):", '    """Two times x."""',
        "    # YOUR CODE HERE: delete the next line, run this and see it fail, then repair it",
        "    raise NotImplementedError", "    return x * x"]
    assert source_of(derived, "ans-98-2") == "answer_98_2 = ...  # YOUR ANSWER"
    assert source_of(derived, "ex-98-1") == (
        "## 98.1 · Double it\n\n*Debug · 10 minutes · 2 points · difficulty 1 of 3*\n\n"
        "Return two times x.")
    assert all(not cell.get("outputs") and not cell.get("execution_count")
               for cell in derived.cells)
    assert derive.leaked_lines(notebook(), derived) == []


def test_a_leak_is_found(small_bank):
    derived = derive.derive(notebook(), "98_fake")
    derived.cells[0].source += "\n\nMind: `doubled = x + x`\n\n    return doubled"
    assert derive.leaked_lines(notebook(), derived) == ["return doubled"]
    derived.cells[1].source += "\ndef helper():\n    return sum([x, x])"
    assert "return sum([x, x])" in derive.leaked_lines(notebook(), derived)


@pytest.mark.parametrize("source, expected", [
    ('answer_98_1 = "b"  # SOLUTION', "answer_98_1 = ...  # YOUR ANSWER"),
    ('answer_98_1 = """many\nlines"""  # SOLUTION\nprint(1)',
     "answer_98_1 = ...  # YOUR ANSWER\nprint(1)"),
    ("%matplotlib inline\na = (1 +\n     2)  # SOLUTION",
     "%matplotlib inline\na = ...  # YOUR ANSWER"),
    ("# BEGIN SOLUTION\nx = 1\n# INSTEAD\n# x = 2\n#\n# y = 3\n# END SOLUTION",
     "\n".join([*derive.BROKEN, "x = 2", "", "y = 3"])),
    ("s = '# BEGIN SOLUTION'  # in a text it is no marker",
     "s = '# BEGIN SOLUTION'  # in a text it is no marker"),
])
def test_stubs(source, expected):
    assert derive.stub(source, "here") == expected


@pytest.mark.parametrize("source, complaint", [
    ("# BEGIN SOLUTION\nx = 1", "without `# END SOLUTION`"),
    ("x = 1\n# END SOLUTION", "without `# BEGIN SOLUTION`"),
    ("# BEGIN SOLUTION\n# BEGIN SOLUTION\nx = 1\n# END SOLUTION", "a second"),
    ("if a:\n    # BEGIN SOLUTION\n    x = 1\n# END SOLUTION", "not indented as"),
    ("# BEGIN SOLUTION\n\n# END SOLUTION", "nothing after"),
    ("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "looks like a marker"),
    ("# BEGIN SOLTUION\nx = 1\n# END SOLUTION", "looks like a marker"),
    ("# begin solution\nx = 1\n# end solution", "looks like a marker"),
    ("x = 1  # solution", "looks like a marker"),
    ("x = 1  # BEGIN SOLUTION", "looks like a marker"),
    ("def f():\n    return 1  # SOLUTION", "not indented"),
    ("print(1)  # SOLUTION", "at the end of a whole answer"),
    ("# BEGIN SOLUTION\nx = 1\n# INSTEAD\nx = 2\n# END SOLUTION", "are comments"),
    ("def f(:  # SOLUTION", "not Python"),
])
def test_a_malformed_marker_is_refused(source, complaint):
    with pytest.raises(derive.Malformed, match=re.escape(complaint)):
        derive.stub(source, "here")


@pytest.mark.parametrize("changes, complaint", [
    ({"ex-98-1": None}, "cell ex-98-1 is missing"),
    ({"chk-98-1": None}, "cell chk-98-1 is missing"),
    ({"ans-98-1": None}, "cell ans-98-1 is missing"),
    ({"ex-98-1": "## 98.1 Double it"}, "first line is `## 98.1 · Double it`"),
    ({"ans-98-1": "def twice(x):\n    return 2 * x"}, "marks no solution"),
    ({"ans-98-1": ANSWER.replace("twice", "double")}, "does not define twice"),
    ({"chk-98-1": 'check("98.2")'}, 'does not call check("98.1")'),
    ({"setup": ANSWER}, "a solution stands in a cell whose id"),
    ({"ex-98-7": "## 98.7 · More"}, "no exercise 98.7 in the bank"),
    ({"run-98-3": None}, "cell run-98-3 is missing"),
    ({"run-98-3": "1"}, 'must begin with reveal("98.3")'),
    ({"ans-98-3": 'answer_98_3 = "a"  # SOLUTION'}, 'does not call predict("98.3", ...)'),
    ({"try-98-1-none": None}, "2 wrong trials, but it needs 3"),
    ({"try-98-1-list": None}, "1 right trials, but it needs 2"),
    ({"try-98-1-none": "%%trial 98.1 maybe odd\n1"}, "write an id, `wrong` or `right`"),
    ({"try-98-1-none": "def twice(x): ..."}, "a trial starts with `%%trial"),
    ({"try-98-1-none": trial("wrong", "squares", "return x ** 2")}, "two trials are named"),
    ({"try-98-7-odd": trial("wrong", "odd", "return 1")}, "an id that starts with try-98-1-"),
    ({"note-leak": "# BEGIN SOLUTION\nx\n# END SOLUTION"}, "a marker in a text cell"),
])
def test_a_broken_rule_is_named(small_bank, changes, complaint):
    with pytest.raises(derive.Malformed, match=re.escape(complaint)):
        derive.derive(notebook(changes), "98_fake")


def test_cells_in_the_wrong_order_are_refused(small_bank):
    mixed = notebook()
    mixed.cells = mixed.cells[:2] + mixed.cells[:1:-1]
    with pytest.raises(derive.Malformed, match="must stand in this order") as error:
        derive.derive(mixed, "98_fake")
    assert "stands before ans-98-1" in str(error.value)


def test_a_chapter_without_a_bank_is_refused(small_bank):
    with pytest.raises(derive.Malformed, match="no bank module ch97_none"):
        derive.derive(notebook(), "97_none")


@pytest.mark.parametrize("id, complaint", [
    ("", "has no id"), ("intro", "stands twice"), ("Why Kappa", "give it a readable one"),
    ("3f2a9c01", "readable"), ("8d1f6d2e-57c9-4f36-9b86-0a4f2c0d3f11", "readable"),
])
def test_a_cell_needs_a_readable_id(id, complaint):
    with pytest.raises(derive.Malformed, match=complaint):
        notebooks.check_ids([("intro", "# Hello"), (id, "x = 1")])


def test_an_empty_cell_is_refused():
    with pytest.raises(derive.Malformed, match="is empty"):
        notebooks.check_ids([("setup", " \n")])


def test_a_doubled_id_in_a_file_is_refused(small_course, capsys):
    path = small_course / "solutions" / "98_fake.ipynb"
    path.write_text(path.read_text().replace('"id": "chk-98-2"', '"id": "chk-98-1"'))
    assert notebooks.main(["--no-run"]) == 1
    assert "the id 'chk-98-1' stands twice" in capsys.readouterr().err


def test_a_hidden_check_added_in_jupyterlab_gets_a_name_and_never_leaks(small_course):
    """JupyterLab gives a new cell an id of its own, and no tag."""
    path = small_course / "solutions" / "98_fake.ipynb"
    changed = nbformat.read(path, as_version=4)
    for id in ("3f2a9c1e-88aa-4f0b-9f6e-0123456789ab", "b7d2e0f1"):
        changed.cells.append(nbformat.v4.new_code_cell(
            "%%hidden 98.1 worth 1\nexpect(answer.call('twice', 0) == 0, 'zero')", id=id,
            execution_count=1))
    nbformat.write(changed, path)
    assert notebooks.main(["--no-run", str(path)]) == 0
    ids = [cell.id for cell in notebooks.read(path).cells]
    assert ids[ids.index(TRIALS) - 2:ids.index(TRIALS)] == ["hid-98-1", "hid-98-1-2"]
    assert "%%hidden" not in (small_course / "exercises" / "98_fake.ipynb").read_text()
    assert notebooks.main(["--check", str(path)]) == 0


def test_normalise_drops_what_is_volatile():
    ran = notebook()
    ran.metadata["widgets"] = {"state": 1}
    cell = ran.cells[1]
    cell.metadata.update({"tags": ["a"], "execution": {"start": "now"}})
    cell.execution_count = 7
    data = {"text/plain": "w", "image/png": "AAAA", notebooks.WIDGET_VIEW: {"model_id": "x"}}
    metadata = {"image/png": {"alt": "a curve", "width": 640}, "isolated": True}
    cell.outputs = [nbformat.v4.new_output("execute_result", data, execution_count=7,
                                           metadata=metadata)]
    clean = notebooks.normalise(ran)
    assert dict(clean.metadata) == notebooks.METADATA
    assert clean.cells[1].metadata == {"tags": ["a"]}
    assert clean.cells[1].execution_count == clean.cells[1].outputs[0].execution_count == 1
    assert set(clean.cells[1].outputs[0].data) == {"text/plain", "image/png"}
    assert clean.cells[1].outputs[0].metadata == {"image/png": {"alt": "a curve"}}
    assert notebooks.text_of(clean) == notebooks.text_of(notebooks.normalise(clean))
    assert "widgets" in ran.metadata


def test_outputs_that_answer_a_question_are_closed():
    ran = notebook()
    ran.cells[1].metadata.update({"tags": ["folded"], "collapsed": False})
    ran.cells[3].metadata.update({"collapsed": True, "jupyter": {"outputs_hidden": True}})
    ran.cells[1].outputs = [nbformat.v4.new_output("stream", text="the answer")]
    clean = notebooks.normalise(ran)
    blank, answer = clean.cells[1].outputs  # JupyterLab shows the first line of the first output
    assert set(blank.data) == {"image/png"} and answer.text == "the answer"
    assert notebooks.normalise(clean) == clean
    assert clean.cells[1].metadata == {"tags": ["folded"], "collapsed": True,
                                       "jupyter": {"outputs_hidden": True}}
    assert clean.cells[3].metadata == {}


@named(CHAPTERS)
def test_no_answer_lies_open_after_a_guess(path):
    """What is guessed is compared, in a cell whose saved outputs are closed."""
    guessed, compared = set(), set()
    for cell in notebooks.read(path).cells:
        guessed |= set(re.findall(r"^guess\((\S+),", cell.source, re.M))
        if here := set(re.findall(r"^outcome\((\S+),", cell.source, re.M)):
            assert "folded" in cell.metadata.get("tags", ()), cell.id
            assert here <= guessed
            compared |= here
    assert guessed == compared


@named(CHAPTERS)
def test_the_code_that_a_cell_shows_stands_in_its_output(path):
    """`show_code` returns what it shows: in the middle of a cell, or in a loop, it is lost."""
    for cell in notebooks.read(path).cells:
        if cell.cell_type == "code" and "show_code(" in cell.source:
            shown = "".join(output.get("data", {}).get("text/markdown", "")
                            for output in cell.outputs)
            asked = cell.source.count("show_code(")
            assert asked == 1 and "```python\n" in shown, cell.id


@pytest.mark.parametrize("output, complaint", [
    (nbformat.v4.new_output("stream", name="stderr", text="x:1: UserWarning"), "stderr"),
    (nbformat.v4.new_output("stream", text=f"{ROOT}/chapters"), "a path of this machine"),
    (nbformat.v4.new_output("display_data", {"text/plain": "Slider()", notebooks.WIDGET_VIEW: {
        "model_id": "0"}}), "nothing to see without a kernel"),
])
def test_outputs_that_only_this_machine_has_are_refused(output, complaint):
    ran = notebook()
    ran.cells[1].outputs = [output]
    with pytest.raises(derive.Malformed, match=complaint):
        notebooks.normalise(ran)


def test_the_command_derives_and_checks(small_course, capsys):
    exercises = small_course / "exercises" / "98_fake.ipynb"
    assert notebooks.main(["--check"]) == 0
    before = exercises.read_bytes()
    exercises.unlink()
    assert notebooks.main(["--check"]) == 1
    assert "98_fake.ipynb is out of step" in capsys.readouterr().err
    assert notebooks.main(["--no-run"]) == 0
    assert exercises.read_bytes() == before


def test_deriving_again_keeps_a_copy_of_answers(small_course):
    path = small_course / "exercises" / "98_fake.ipynb"
    path.write_text(path.read_text().replace("return x * x", "return 2 * x"))
    notebooks.main(["--no-run"])
    assert "return 2 * x" not in path.read_text()
    copies = list((small_course / "exercises" / "kept").iterdir())
    assert len(copies) == 1 and "return 2 * x" in copies[0].read_text()


def test_a_cell_that_fails_is_named(tmp_path):
    broken = notebook({"setup": "1 / 0"})
    path = tmp_path / "broken.ipynb"
    with pytest.raises(derive.Malformed, match="(?s)cell setup: .*ZeroDivisionError") as error:
        notebooks.execute(copy.deepcopy(broken), path)
    assert "\x1b" not in str(error.value)


def test_a_kernel_that_does_not_start_is_started_again(tmp_path, monkeypatch):
    tries = iter(range(100))

    def dies_twice(client, **options):
        if next(tries) < 2:
            raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr("nbclient.NotebookClient.execute", dies_twice)
    notebooks.execute(notebook(), tmp_path / "any.ipynb")
    assert next(tries) == 3
    tries = iter([0] * 100)
    with pytest.raises(notebooks.Malformed, match="did not start, 3 times over: Kernel died"):
        notebooks.execute(notebook(), tmp_path / "any.ipynb")


@pytest.mark.parametrize("text", ["", "{not json", '{"cells": 3}'])
def test_a_damaged_notebook_is_refused(tmp_path, capsys, text):
    path = tmp_path / "damaged.ipynb"
    path.write_text(text)
    assert notebooks.main([str(path), str(tmp_path / "missing.ipynb")]) == 1
    said = capsys.readouterr().err
    assert "not a notebook that can be read" in said and "there is no such notebook" in said
