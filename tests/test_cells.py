"""Cells that fail, and cells that wait: what a check says of the first, and Run All of both."""

import contextlib

import pytest
from small_course import notebook

from zglearn.authoring import derive, notebooks
from zglearn.authoring.trials import fresh_shell
from zglearn.course import cells, learner, progress

RIGHT, WRONG = "def twice(x):\n    return x + x", "def twice(x):\n    return x * x"


class Kernel:
    """A learner's kernel in this process: `run` gives IPython's result, `check` the status."""

    def __init__(self, shell):
        self.shell = shell
        learner.begin(shell)
        self.run("from zglearn.course import check, predict, reveal")

    def run(self, source, id="scratch"):
        return self.shell.run_cell(source, cell_id=id)

    def verdict(self, exercise="98.1"):
        return self.run(f"check({exercise!r})", "chk").result

    def check(self, exercise="98.1"):
        return self.verdict(exercise).status


@pytest.fixture
def kernel(small_course, monkeypatch):
    monkeypatch.setattr(cells, "_failures", {})
    monkeypatch.chdir(small_course / "exercises")
    with fresh_shell() as shell:
        yield Kernel(shell)


# --- a check after a cell that failed -----------------------------------------------------------

FAILS = {
    "a bracket is open": "def twice(x:\n    return x * x",
    "a letter is missing": "df twice(x):\n    return x * x",
    "badly indented": "def twice(x):\nreturn x",
    "it raises before": "1 / 0\ndef twice(x):\n    return 3",
    "it raises in the statement": "twice = lambda x: 3 if x else y\ntwice = twice(0)",
    "a default raises": "def twice(x, by=unknown):\n    return 3",
    "inside an if": "if twice(1 / 0):\n    def twice(x):\n        return 3",
}


@pytest.mark.parametrize("source", FAILS.values(), ids=FAILS)
def test_a_check_after_a_failed_cell_says_so_and_does_not_mark_the_version_before(kernel, source):
    kernel.run(RIGHT, "ans-98-1")
    assert kernel.check() == "correct"
    error = kernel.run(source, "ans-98-1")
    kind = type(error.error_before_exec or error.error_in_exec).__name__
    verdict = kernel.verdict()
    assert verdict.status == "incorrect" and "failed when it ran last" in verdict.message
    assert kind in verdict.message and "<" not in verdict.message
    assert kernel.check("98.2") == "not_attempted"  # another exercise is another matter
    kernel.run(RIGHT, "ans-98-1")
    assert kernel.check() == "correct"
    assert [e.data["status"] for e in progress.events("check", "98.1")] == ["correct", "correct"]


@pytest.mark.parametrize("source", [
    RIGHT + "\nprint(twice(3))\n1 / 0", "print(twice(3)", "twice(1 / 0)", "other = (",
    "check('98.1'"])
def test_a_cell_that_fails_elsewhere_is_no_matter_of_the_check(kernel, source):
    kernel.run(RIGHT, "ans-98-1")
    kernel.run(source)
    assert kernel.check() == "correct"


def test_another_cell_that_makes_the_answer_will_do(kernel):
    kernel.run("def twice(x:", "ans-98-1")
    assert kernel.check() == "incorrect"
    kernel.run("%precision 3\n" + RIGHT, "another")
    kernel.run("def unrelated(): pass", "ans-98-1")  # the broken cell is not there any more
    assert kernel.check() == "correct"


def test_the_stub_of_a_cell_is_not_attempted(kernel):
    kernel.run('answer_98_2 = "b"', "ans-98-2")
    kernel.run("raise NotImplementedError\nanswer_98_2 = 1", "ans-98-2")
    assert kernel.check("98.2") == "not_attempted"


# --- Run All ------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", [
    'reveal("98.3")\nprint("heads")', 'print(1)\nreveal("98.3")\nprint("heads")',
    "twice(3)\nprint('heads')"])
def test_what_is_not_there_yet_is_said_and_the_rest_of_the_cell_waits(kernel, capsys, experiment):
    kernel.run("def twice(x):\n    raise NotImplementedError")
    assert kernel.run(experiment).success
    said = capsys.readouterr().out
    assert "heads" not in said and "Traceback" not in said
    assert ("Predict first" if "reveal" in experiment else "`twice` still raises") in said
    kernel.run(RIGHT)
    kernel.run('predict("98.3", "b")')
    kernel.run(experiment)
    assert "heads" in capsys.readouterr().out


@pytest.mark.parametrize("source", ["import abc\nabc.missing", "raise ValueError",
                                    "import numbers\nnumbers.Integral.__int__(3)"])
def test_a_real_error_is_one(kernel, capsys, source):
    """The last is a NotImplementedError too, but of a library."""
    assert not kernel.run(source).success
    assert "Traceback" in capsys.readouterr().out


@pytest.mark.parametrize("path", [p for p in notebooks.hand_edited() if notebooks.is_solutions(p)],
                         ids=lambda path: path.stem)
def test_run_all_goes_to_the_end_of_an_untouched_exercise_notebook(path, monkeypatch):
    monkeypatch.setattr(cells, "_failures", {})
    exercises = derive.derive(notebooks.read(path), path.stem)
    with fresh_shell() as shell, contextlib.chdir(notebooks.exercises_of(path).parent):
        learner.begin(shell)
        ran = {cell.id: shell.run_cell(cell.source, cell_id=cell.id)
               for cell in exercises.cells if cell.cell_type == "code"}
    assert [id for id, result in ran.items() if not result.success] == []
    verdicts = {id: result.result.status for id, result in ran.items() if id.startswith("chk-")}
    assert verdicts and not {"correct", "answered"} & set(verdicts.values())


def test_run_all_in_a_real_kernel(small_course, monkeypatch):
    """nbclient stops at the first cell that fails, as JupyterLab does."""
    exercises = derive.derive(notebook({"run-98-3": 'reveal("98.3")\nprint("heads")'}), "98_fake")
    setup = exercises.cells[1]
    setup.source = f"import small_course; small_course.fill_bank()\n{setup.source}"
    monkeypatch.setenv("PYTHONPATH", str(__file__).rpartition("/")[0])
    notebooks.execute(exercises, small_course / "any.ipynb")
    said = {cell.id: str(cell.get("outputs", "")) for cell in exercises.cells}
    assert "Predict first" in said["run-98-3"] and "heads" not in said["run-98-3"]
    assert "Not attempted" in said["chk-98-4"]
