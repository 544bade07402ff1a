"""What a learner does, in a real JupyterLab: run a chapter, solve an exercise, find it again."""

import nbformat
import pytest
from browser import ROOT, copy_notebooks
from playwright.sync_api import expect

from zglearn.course.learner import solution_source
from zglearn.exercises.exercise import LABEL, find

CHAPTER, EXERCISES = "chapters/04_momentum.ipynb", "exercises/04_momentum.ipynb"


@pytest.fixture
def notebook(jupyterlab, request):
    opened = jupyterlab.open(request.param)
    yield opened
    opened.close()


@pytest.mark.parametrize("notebook", [CHAPTER], indirect=True)
def test_chapter_runs_to_its_end(notebook):
    notebook.run_all(timeout=300)
    assert notebook.errors() == []
    assert all(cell["execution_count"] for cell in notebook.cells() if cell["cell_type"] == "code")
    assert notebook.console_errors == []


@pytest.mark.parametrize("notebook", [EXERCISES], indirect=True)
def test_exercise_is_attempted_solved_and_saved(notebook, jupyterlab):
    notebook.run("setup")
    notebook.run("chk-04-2")
    expect(output(notebook, "chk-04-2")).to_contain_text(LABEL["not_attempted"])

    answer = solution_source(find("04.2"))
    notebook.type("ans-04-2", answer.replace("return", "return 2 *"))
    notebook.run("ans-04-2")
    notebook.run("chk-04-2")
    expect(output(notebook, "chk-04-2")).to_contain_text(LABEL["incorrect"])

    notebook.type("ans-04-2", answer)
    notebook.run("ans-04-2")
    notebook.run("chk-04-2")
    expect(output(notebook, "chk-04-2")).to_contain_text(LABEL["correct"])
    assert notebook.errors() == [] and notebook.console_errors == []

    notebook.save()
    saved = nbformat.read(jupyterlab.folder / EXERCISES, as_version=4)
    assert next(cell.source for cell in saved.cells if cell.id == "ans-04-2") == answer


def output(notebook, cell: str):
    """A cell's output on the page."""
    notebook.select(cell)
    return notebook.page.locator(".jp-Cell.jp-mod-active .jp-OutputArea")


def test_copies_leave_the_course_alone(tmp_path):
    copy = copy_notebooks(tmp_path) / CHAPTER
    assert copy.read_bytes() == (ROOT / CHAPTER).read_bytes()
    assert not copy.samefile(ROOT / CHAPTER)
