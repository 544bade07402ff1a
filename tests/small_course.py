"""A course with one chapter, 98, and four small exercises: for the tests of the exercise system."""

import nbformat
import pytest

from zglearn.authoring import notebooks
from zglearn.exercises import exercise as bank

ANSWER = """def twice(x):
    \"\"\"Two times x.\"\"\"
    # BEGIN SOLUTION
    doubled = x + x
    return doubled
    # INSTEAD
    # return x * x
    # END SOLUTION"""

PROSE = ("It is twice, because adding a number to itself counts it two times; no other whole "
         "multiple would do, and the square agrees with it only at zero and at two.")


def trial(kind, name, body):
    return f"%%trial 98.1 {kind} {name}\ndef twice(x):\n    {body}"


CELLS = {
    "intro": "# 98 · Fake: exercises",
    "setup": "from zglearn.course import check, predict, reveal",
    "ex-98-1": "## 98.1 · Double it\n\nReturn two times x.",
    "ans-98-1": ANSWER,
    "chk-98-1": 'check("98.1")',
    "try-98-1-square": trial("wrong", "squares", "return x * x"),
    "try-98-1-none": trial("wrong", "returns nothing", "pass"),
    "try-98-1-text": trial("wrong", "says it in words", 'return "double"'),
    "try-98-1-times": trial("right", "multiplies", "return 2 * x"),
    "try-98-1-list": trial("right", "sums", "return sum([x, x])"),
    "ex-98-2": "## 98.2 · Choose\n\nWhich is even? (a) one (b) two",
    "ans-98-2": 'answer_98_2 = "b"  # SOLUTION',
    "chk-98-2": 'check("98.2")',
    "ex-98-3": "## 98.3 · Guess first\n\nHeads (a) or tails (b)?",
    "ans-98-3": 'answer_98_3 = "a"  # SOLUTION\npredict("98.3", answer_98_3)',
    "run-98-3": 'reveal("98.3")',
    "chk-98-3": 'check("98.3")',
    "ex-98-4": "## 98.4 · Explain\n\nWhy twice?",
    "ans-98-4": f'answer_98_4 = """{PROSE}"""  # SOLUTION',
    "chk-98-4": 'check("98.4")',
}


def fill_bank():
    """The four exercises, one of each shape."""
    common = {"difficulty": 1, "minutes": 10, "points": 2, "hints": ["nudge", "formula", "code"]}

    @bank.exercise("98.1", "Double it", kind="debug", names=["twice"],
                   followups=[("Why not x * x?", "That is the square.")], **common)
    def double_it(answer, rng):
        x = rng.uniform(3, 4)
        bank.expect_close(answer.call("twice", x), 2 * x, case="a random x",
                          mistakes={"this is the square": x * x})

    bank.choice("98.2", "Choose", options={"a": "One is odd.", "b": "Two is even."}, right="b",
                **common)
    bank.choice("98.3", "Guess first", options={"a": "Heads it is.", "b": "Not this time."},
                right="a", kind="predict", **common)
    bank.open_question("98.4", "Explain", rubric=["It says why", "It says twice"],
                       **{**common, "difficulty": 3})


def notebook(changes=None):
    """The solutions notebook; `changes` maps a cell id to its new source, or to None to drop it."""
    cells = []
    for id, source in {**CELLS, **(changes or {})}.items():
        if source is not None:
            text = id == "intro" or id.startswith(("ex-", "note-"))
            new = nbformat.v4.new_markdown_cell if text else nbformat.v4.new_code_cell
            cells.append(new(source, execution_count=1) if not text else new(source))
            cells[-1]["id"] = id
    return nbformat.v4.new_notebook(cells=cells, metadata=notebooks.METADATA)


@pytest.fixture
def small_bank(monkeypatch):
    """A bank with nothing but the four exercises."""
    monkeypatch.setattr(bank, "_bank", {})
    monkeypatch.setattr(bank, "load", lambda chapter="": None)
    fill_bank()


@pytest.fixture
def small_course(tmp_path, monkeypatch, small_bank):
    """The small course in a folder of its own, exercises derived, with a progress file."""
    home = tmp_path / "course"
    monkeypatch.setenv("ZGLEARN_HOME", str(home))
    monkeypatch.setenv("ZGLEARN_PROGRESS", str(tmp_path / "progress.sqlite"))
    source = home / "solutions" / "98_fake.ipynb"
    notebooks.write(notebooks.normalise(notebook()), source)
    notebooks.refresh(source, run=False)
    return home
