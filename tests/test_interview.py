"""The mock interview: what it draws, how it talks and scores, its report, and what comes back."""

import builtins
import re
import shlex
import sys

import numpy as np
import pytest
from small_course import PROSE

from zglearn.course import interview, learner, progress
from zglearn.course.mock_interview import reviews
from zglearn.course.mock_interview import talk as talks
from zglearn.course.mock_interview.talk import SKIP, Interview
from zglearn.course.panel import code_box
from zglearn.course.progress import Event
from zglearn.course.terminal import terminal_text
from zglearn.exercises import exercise as bank

DAY = reviews.DAY
RIGHT = "def twice(x):\n    return 2 * x"


def the(*ids):
    return [bank.find(id) for id in ids]


class Clock:
    """Ten seconds pass every time it is looked at."""

    now = 0.0

    def __call__(self):
        self.now += 10
        return self.now


# --- spaced repetition ------------------------------------------------------------------------


def review(day, score, id="98.1"):
    return Event(day * DAY, "review", id, {"score": score})


def test_good_reviews_come_back_later_and_later_and_a_bad_one_starts_again():
    events = [review(0, 1.0), review(1, 0.8), review(4, 0.9), review(11, 1.0), review(27, 1.0),
              review(62, 1.0), review(97, 0.5)]
    found = [reviews.cards(events[:n])["98.1"] for n in range(1, 8)]
    assert [card.box for card in found] == [1, 2, 3, 4, 5, 5, 1]
    assert [card.due / DAY for card in found] == [1, 4, 11, 27, 62, 97, 98]


def test_an_exercise_solved_in_its_chapter_enters_the_first_box():
    solved = Event(0, "check", "98.2", {"status": "correct"})
    failed = Event(0, "check", "98.1", {"status": "incorrect"})
    again = Event(5 * DAY, "check", "98.2", {"status": "correct"})
    assert reviews.cards([solved, failed, again]) == {"98.2": reviews.Card(1, DAY)}


# --- what is drawn ----------------------------------------------------------------------------


def drawn(**wishes):
    return [e.id for e in talks.draw(rng=np.random.default_rng(0), **wishes)]


def test_it_fits_the_time_the_topic_and_the_difficulty(small_course):
    assert len(drawn(minutes=20)) == 2 and len(drawn(minutes=60)) == 4
    assert drawn(topic="debug") == ["98.1"] and drawn(topic="98", difficulty=3) == ["98.4"]
    assert set(drawn(topic="Fake", minutes=60)) == {"98.1", "98.2", "98.3", "98.4"}
    assert len(drawn(minutes=1)) == 1
    with pytest.raises(learner.CourseError, match="'algebra'.*Topics: 98 · Fake"):
        drawn(topic="algebra")


def test_a_chapter_is_known_by_its_title_and_by_its_file():
    for topic in ("low rank", "svd", "01_svd_and_lsa", "01 · Low rank"):
        assert talks.about(bank.find("01.1"), topic)
    assert not talks.about(bank.find("01.1"), "momentum")


def test_what_is_due_comes_first_and_what_is_not_due_comes_last(small_course):
    for id in ("98.2", "98.3"):
        progress.record("review", id, score=1.0)
    now = progress.events()[0].at
    assert drawn(minutes=40, now=now + 2 * DAY)[:2] in (["98.2", "98.3"], ["98.3", "98.2"])
    assert set(drawn(minutes=40, now=now + 60)[2:]) == {"98.2", "98.3"}


def test_different_days_draw_different_interviews(small_course):
    firsts = {talks.draw(minutes=10, rng=np.random.default_rng(seed))[0].id for seed in range(30)}
    assert len(firsts) == 4


# --- the talk ---------------------------------------------------------------------------------


def test_a_talk_from_the_first_question_to_the_report(small_course):
    talk = Interview(the("98.1", "98.2", "98.4"), 30, Clock())
    assert talk.ask.kind == "code" and "Return two times x." in talk.ask.text
    assert "*Debug" not in talk.ask.text
    talk.reply(RIGHT)
    assert talk.ask.text == "Follow-up: Why not x * x?" and "Correct" in talk.ask.feedback
    talk.reply("It is the square.")
    assert talk.ask.kind == "score" and talk.ask.lines == ("That is the square.",)
    assert (talk.ask.text, talk.ask.said, talk.ask.model) == (
        "Follow-up: Why not x * x?", "It is the square.", "That is the square.")
    talk.reply([0.5])
    assert (talk.ask.kind, talk.ask.options) == ("choice", ("a", "b"))
    talk.reply("a")
    assert "One is odd." in talk.ask.feedback
    talk.reply("b")
    assert talk.ask.kind == "text"
    talk.reply(PROSE)
    assert talk.ask.lines == ("It says why", "It says twice")
    assert (talk.ask.text, talk.ask.said, talk.ask.model) == (talks.task(bank.find("98.4")), PROSE,
                                                              PROSE)
    talk.reply([1.0, 0.0])
    assert talk.ask is None
    assert [s.score for s in talk.report().scored] == [0.75 + 0.25 * 0.5, 0.5, 0.5]
    assert [e.id for e in talk.report().revise] == ["98.2", "98.4"]
    assert [e.data["score"] for e in progress.events("review")] == [0.875, 0.5, 0.5]
    assert progress.events("interview")[0].data["count"] == 3


def test_the_report_says_what_to_revise_where_and_when(small_course, monkeypatch):
    monkeypatch.chdir(small_course)
    talk = Interview(the("98.2"), 30, Clock())
    talk.reply(SKIP)
    report = talk.report()
    assert "0% in 1 of 30 minutes" in repr(report)
    assert "Revise:\n  98.2 Choose: exercises/98_fake.ipynb" in repr(report)
    assert "come back from" in repr(report)
    assert "<a href='exercises/98_fake.ipynb'>" in report._repr_html_()


def test_tries_and_hints_cost_something(small_course):
    talk = Interview(the("98.2", "98.3"), 30)
    assert talk.hint() == "nudge" and talk.hint() == "formula"
    talk.reply("b")
    for _ in range(3):
        assert talk.ask.exercise.id == "98.3"
        talk.reply("b")
    assert talk.ask is None and "The course's answer" in talk.last_feedback
    assert [s.score for s in talk.report().scored] == [0.5, 0.0]


def test_hints_end(small_course):
    talk = Interview(the("98.2"), 30)
    assert [talk.hint() for _ in range(4)][2:] == ["code", "There are no more hints."]


@pytest.mark.parametrize("source, complaint", [
    ("def twice(x:", "SyntaxError"), ("1 / 0", "ZeroDivisionError"), ("exit()", "Exit"),
    ("while True: pass", "still running"), ("def twice(x):\n    return x * x", "the square"),
    ("x = 1", "Not attempted"),
])
def test_code_that_does_not_work_is_told(small_course, monkeypatch, source, complaint):
    if complaint == "still running":
        monkeypatch.setattr(talks, "TIME_LIMIT", 0.3)
    talk = Interview(the("98.1"), 30)
    talk.reply(source)
    assert talk.ask.kind == "code" and complaint in talk.ask.feedback


def test_what_is_not_written_yet_is_no_try(small_course):
    talk = Interview(the("98.1"), 30)
    for _ in range(5):
        talk.reply("x = 1")
        assert "Your code defines no `twice`." in talk.ask.feedback
    talk.reply(RIGHT)
    talk.reply(SKIP)
    assert talk.report().scored[0].score == 0.75


def test_code_can_be_tried_without_being_checked(small_course):
    said = [talks.tried(bank.find("98.1"), source)
            for source in (f"{RIGHT}\nprint(twice(4))", RIGHT, "print(1)\n1 / 0")]
    assert said == ["8", "It runs, and prints nothing.",
                    "1\nYour code raised ZeroDivisionError: division by zero (line 2)"]


def test_code_may_come_from_the_notebooks_names(small_course):
    talk = Interview(the("98.1"), 30)
    talk.reply({"twice": lambda x: x + x})
    assert talk.ask.text.startswith("Follow-up: ")


def test_an_interview_that_is_stopped_counts_what_was_answered(small_course):
    talk = Interview(the("98.2", "98.3"), 30)
    talk.reply("b")
    talk.stop()
    assert talk.ask is None and len(talk.report().scored) == 1
    assert progress.events("interview")[0].data == {"score": 1.0, "count": 1, "minutes": 0.0}
    nothing = Interview(the("98.2"), 30)
    nothing.stop()
    assert "before the first exercise" in repr(nothing.report())
    assert len(progress.events("interview")) == 1


# --- in the terminal --------------------------------------------------------------------------


def typed(monkeypatch, *lines):
    """Feed lines to input(), then the end of the input."""
    feed = iter(lines)

    def read(prompt=""):
        try:
            return next(feed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(builtins, "input", read)


def test_the_terminal_holds_an_interview(small_course, monkeypatch, capsys):
    typed(monkeypatch, ":hint", ":clock", "def twice(x):", "    return x + x", "END",
          "the square", "", "maybe", "y")
    assert talks.main(["--topic", "debug"]) == 0
    said = capsys.readouterr().out
    assert "[0 of 30 minutes]" in said and "nudge" in said and "The clock is hidden." in said
    assert "raise NotImplementedError" in said and "98.1 Double it" in said
    assert "81% in" in said


def test_the_terminal_opens_an_editor(small_course, monkeypatch, capsys, tmp_path):
    editor = tmp_path / "my editor.py"
    editor.write_text("import sys\npath = sys.argv[1]\ntext = open(path).read()\n"
                      "assert 'raise NotImplementedError' in text\n"
                      f"open(path, 'w').write({RIGHT!r})")
    monkeypatch.setenv("VISUAL", shlex.join([sys.executable, str(editor)]))
    typed(monkeypatch, ":edit", "it is the square", "", "y")
    assert talks.main(["--topic", "debug"]) == 0
    assert "100% in" in capsys.readouterr().out
    monkeypatch.setenv("VISUAL", "no-such-editor")
    typed(monkeypatch, ":edit")
    assert talks.main(["--topic", "debug"]) == 0
    said = capsys.readouterr().out
    assert "no editor 'no-such-editor'" in said and "Not attempted" in said


def test_the_terminal_can_be_left_at_any_time(small_course, monkeypatch, capsys):
    for lines in ([":quit"], [], [":skip"]):
        typed(monkeypatch, *lines)
        assert talks.main(["--topic", "Choose", "--no-clock"]) == 0
    said = capsys.readouterr().out
    assert "before the first exercise" in said and "Revise:" in said
    assert "of 30 minutes]" not in said


def test_the_terminal_takes_a_choice_and_says_unknown_topics(small_course, monkeypatch, capsys):
    typed(monkeypatch, "", ":what", "z", "B")
    assert talks.main(["--topic", "Choose"]) == 0
    said = capsys.readouterr().out
    assert "One of a, b." in said and "Two is even." in said and "100% in" in said
    with pytest.raises(SystemExit):
        talks.main(["--minutes", "0"])
    assert "more than 0 minutes" in capsys.readouterr().err
    assert talks.main(["--topic", "algebra"]) == 1
    assert "Topics:" in capsys.readouterr().err


MARKDOWN = """## A title

Use *this* `code` and $\\beta_1 m$,
with $x \\leftarrow x - \\frac{a}{b}
\\nabla f$:

- one item that is long enough to be wrapped on a narrow terminal
- two

```python
x  =  1
```

| a | bc |
|---|---|
| 12 | 3 |
"""


def test_markdown_is_rendered_on_a_terminal():
    assert terminal_text(MARKDOWN, 40) == """A title
=======

Use this code and β_1 m, with x ← x -
(a)/(b) ∇ f:

- one item that is long enough to be
  wrapped on a narrow terminal
- two

    x  =  1

a   bc
------
12  3"""
    assert terminal_text("## A\n\n**b** c", styled=True) == "\033[1mA\033[0m\n\n\033[1mb\033[0m c"


def test_no_task_shows_its_markdown_on_a_terminal():
    for exercise in bank.all_exercises():
        shown = terminal_text(talks.task(exercise), 80)
        prose = "\n".join(line for line in shown.split("\n") if not line.startswith("    "))
        marks = re.search(r"^#|(?<!\w)\*\*|\\[a-z]|\$[^$]*\$|^\|", prose, re.M)
        assert not marks, (exercise.id, prose)


# --- in the notebook --------------------------------------------------------------------------


def controls(parts):
    for part in parts:
        yield part
        yield from controls(getattr(part, "children", ()))


def press(panel, label):
    next(c for c in controls(panel.children) if getattr(c, "description", "") == label).click()


def primary(panel):
    """What the one button says that leads on."""
    found = [c.description for c in controls(panel.children) if "zg-primary" in c._dom_classes]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def panel(small_course):
    return interview()


def test_the_widget_holds_an_interview(panel):
    panel.topic.value = "98 · Fake"
    panel.difficulty.value = 1
    panel.minutes.value = 30
    press(panel, primary(panel))
    answers = {"98.1": RIGHT, "98.2": "b", "98.3": "a"}
    while panel.talk.ask:
        ask = panel.talk.ask
        if ask.kind == "score":
            for part in ("Why not x * x?", "the square", "That is the square."):
                assert part in panel.body.value  # the question, one's own answer, a good one
            panel.inputs[0].value = 1.0
        else:
            panel.inputs[0].value = "the square" if ask.kind == "text" else answers[ask.exercise.id]
        press(panel, primary(panel))
    assert "100% in" in panel.body.value
    assert "100% in" in panel._repr_mimebundle_()["text/plain"]
    press(panel, "Another interview")
    assert primary(panel) == "Start" and panel.topic.value == "98 · Fake"


def test_the_widget_runs_code_where_it_stands(panel):
    panel.difficulty.value = 1
    panel.topic.value = "98 · Fake"
    press(panel, "Start")
    while panel.talk.ask.kind != "code":
        press(panel, "Skip")
    press(panel, "Check my code")
    assert "as it was given" in panel.body.value and panel.talk.ask.kind == "code"
    panel.inputs[0].value = "def twice(x):\n    return x * x\nprint(twice(4))"
    press(panel, "Run")
    assert "<code>16\n</code>" in panel.body.value
    press(panel, "Check my code")
    assert "this is the square" in panel.body.value
    assert panel.inputs[0].value.startswith("def twice")  # it stays to be mended


def test_nothing_is_counted_before_there_is_an_answer(panel):
    panel.topic.value = "98 · Fake"
    panel.minutes.value = 60
    press(panel, "Start")
    while panel.talk.ask:
        before = panel.talk.ask
        if before.kind in ("choice", "text", "score"):
            press(panel, primary(panel))
            assert panel.talk.ask is before and "first" in panel.body.value
            if before.kind == "text":
                panel.inputs[0].value = PROSE
                press(panel, "Answer")
                continue
        if before.kind == "score":
            for given in panel.inputs:
                given.value = 0.0
            press(panel, primary(panel))
        else:
            press(panel, "Skip")
    assert len(panel.talk.report().scored) == 4


def test_the_widget_gives_hints_hides_the_clock_skips_and_stops(panel):
    panel.difficulty.value = 1
    press(panel, "Start")
    assert "of 30 minutes" in panel.clock.value
    press(panel, "Clock on/off")
    assert panel.clock.value == ""
    press(panel, "Hint")
    assert "nudge" in panel.body.value
    press(panel, "Skip")
    press(panel, "Hint")
    press(panel, "Stop")
    assert panel.talk.ask is None and "Hint" not in panel.body.value


def test_the_widget_says_that_nothing_fits(panel):
    panel.topic.value = ""
    panel.difficulty.value = 2
    press(panel, "Start")
    assert "No exercise is about" in panel.body.value


def test_the_widget_shows_tasks_as_text_with_formulas(panel, monkeypatch):
    monkeypatch.setattr(talks, "task", lambda exercise: "## T\n\nShow $a_1 < b_2$ and *that*.")
    press(panel, "Start")
    assert "<em>that</em>" in panel.body.value and "a_1 &lt; b_2" in panel.body.value


def test_a_box_for_code_has_a_name_for_a_screen_reader():
    assert code_box("x = 1").placeholder
