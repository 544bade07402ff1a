"""`interview()` in a notebook: the talk of `talk.py` behind buttons and boxes."""

from __future__ import annotations

import asyncio
import html

import ipywidgets
import mistune

from zglearn.course.overview import chapter_name
from zglearn.course.panel import WIDE, Panel, button, code_box, row, text_box
from zglearn.course.said import CourseError
from zglearn.exercises.exercise import all_exercises, framed

from . import talk as talks

TEXT = "A mock interview. Run this cell in JupyterLab; in a terminal: python -m zglearn interview"
KEYS = "Ctrl + Enter presses the blue button, Escape leaves a box."
markdown = mistune.create_markdown(plugins=["math", "table"])
COLUMNS = ("display: grid; gap: 0 1.5em; "
           "grid-template-columns: repeat(auto-fit, minmax(min(17em, 100%), 1fr))")


def interview() -> InterviewPanel:
    """A mock interview in the notebook: choose what it is about, then answer."""
    return InterviewPanel()


class InterviewPanel(Panel):
    """First a form, then one question after the other, then the report, then the form again."""

    def __init__(self):
        self.talk: talks.Interview | None = None
        self.said, self.show_clock = "", True
        self.clock = ipywidgets.Label()
        self.clock.add_class("zg-clock")
        names = dict.fromkeys(chapter_name(e.chapter) for e in all_exercises())
        topics = [("everything", ""), *zip(names, names, strict=True)]
        self.topic = ipywidgets.Dropdown(description="Topic", options=topics)
        self.difficulty = ipywidgets.Dropdown(
            description="Difficulty", options=[("any", 0), ("1", 1), ("2", 2), ("3", 3)])
        self.minutes = ipywidgets.Dropdown(  # a slider of ipywidgets has no name for a reader
            description="Minutes", options=(10, 15, 20, 30, 45, 60, 90), value=30)
        super().__init__(self.to_html, self.to_text)
        self.show_form()

    def to_html(self) -> str:
        if self.talk is None:
            return framed("<b>A mock interview</b><div>Questions from the course, one after the "
                          f"other, with the clock running. {KEYS}</div>{markdown(self.said)}")
        ask = self.talk.ask
        if ask is None:
            return markdown(self.talk.last_feedback) + self.talk.report()._repr_html_()
        place, of = 1 + self.talk.exercises.index(ask.exercise), len(self.talk.exercises)
        before = framed(markdown(ask.feedback)) if ask.feedback else ""
        if ask.kind == "score":
            parts = {"The question": ask.text, "Your answer": ask.said,
                     "A good answer": ask.model or "It is not in this copy of the course."}
            asked = (f"<div style='{COLUMNS}'>" + "".join(
                f"<div><b>{name}</b>{markdown(text)}</div>" for name, text in parts.items())
                + "</div>")
        else:
            asked = markdown(ask.text)
        said = markdown(self.said) if self.said else ""
        return f"{before}<div>Question {place} of {of}</div>{framed(asked, '#0072b2')}{said}"

    def to_text(self) -> str:
        if self.talk is None or self.talk.ask:
            return TEXT
        return repr(self.talk.report())

    # --- the form

    def show_form(self) -> None:
        self.talk, self.said = None, ""
        self.show_controls([row(self.topic, self.difficulty, self.minutes),
                            row(button("Start", InterviewPanel.start, primary=True))])
        self.refresh()

    def start(self) -> None:
        try:
            chosen = talks.draw(self.topic.value, self.difficulty.value or None, self.minutes.value)
        except CourseError as error:
            self.said = str(error)
            return self.refresh()
        self.talk = talks.Interview(chosen, self.minutes.value)
        self.keep_time()
        self.show_question()

    # --- the questions

    def show_question(self) -> None:
        ask, self.said = self.talk.ask, ""
        self.refresh()
        if ask is None:
            again = button("Another interview", InterviewPanel.show_form, primary=True)
            self.show_controls([row(again)])
            return self.focus_on(again)
        self.inputs = _inputs(ask)
        names = {"code": "Check my code", "score": "That is my score"}
        actions = [button(names.get(ask.kind, "Answer"), InterviewPanel.answer, primary=True)]
        if ask.kind == "code":
            actions.append(button("Run", InterviewPanel.run))
        if ask.kind != "score":
            actions += [button("Hint", InterviewPanel.hint), button("Skip", InterviewPanel.skip)]
        actions += [button("Stop", InterviewPanel.stop),
                    button("Clock on/off", InterviewPanel.toggle_clock), self.clock]
        self.show_controls([*_labelled(ask, self.inputs), row(*actions)])
        self.focus_on(self.inputs[0])

    def answer(self) -> None:
        ask = self.talk.ask
        values = [given.value for given in self.inputs]
        if ask.kind == "score":
            return self.reply(values) if None not in values else self.say(
                "Score each line first: no, partly or yes.")
        if ask.kind == "code" and values[0].strip() == talks.start_of(ask.exercise).strip():
            return self.say("The code is as it was given: write yours in the box, then check it.")
        if not values[0] or not str(values[0]).strip():
            return self.say("Choose an answer first." if ask.kind == "choice" else
                            "Write an answer first; or skip the question.")
        self.reply(values[0])

    def reply(self, given) -> None:
        kept = self.inputs[0].value if self.talk.ask.kind in ("code", "value") else None
        asked = self.talk.ask
        self.talk.reply(given)
        self.show_question()
        now = self.talk.ask  # the same question again: what was written stays in the box
        if kept and now and (now.exercise, now.kind) == (asked.exercise, asked.kind):
            self.inputs[0].value = kept

    def run(self) -> None:
        """Run the code where it stands; it counts as no try."""
        self.say("```\n" + talks.tried(self.talk.ask.exercise, self.inputs[0].value) + "\n```")

    def hint(self) -> None:
        self.say(f"**Hint:** {self.talk.hint()}")

    def say(self, text: str) -> None:
        self.said = text
        self.refresh()

    def skip(self) -> None:
        self.reply(talks.SKIP)

    def stop(self) -> None:
        self.talk.stop()
        self.show_question()

    # --- the clock

    def toggle_clock(self) -> None:
        self.show_clock = not self.show_clock
        self.tick()

    def tick(self) -> None:
        minutes, seconds = divmod(int(self.talk.seconds), 60)
        self.clock.value = (f"{minutes}:{seconds:02} of {self.talk.minutes} minutes"
                            if self.show_clock else "")

    def keep_time(self) -> None:
        """Move the clock once a second, as long as the kernel lives and the talk lasts."""
        async def run(talk):
            while talk is self.talk and talk.ask:
                self.tick()
                await asyncio.sleep(1)

        try:
            self.timer = asyncio.get_running_loop().create_task(run(self.talk))
        except RuntimeError:  # no loop, as in a test: the clock moves when it is looked at
            self.tick()


def _inputs(ask: talks.Ask) -> list:
    """The boxes for a reply of this kind."""
    if ask.kind == "choice":
        return [ipywidgets.ToggleButtons(options=ask.options, value=None)]
    if ask.kind == "score":
        return [ipywidgets.ToggleButtons(options=[("no", 0.0), ("partly", 0.5), ("yes", 1.0)],
                                         value=None)
                for _ in ask.lines]
    if ask.kind == "value":
        return [ipywidgets.Text(placeholder="a number, a list, ...", layout=WIDE,
                                continuous_update=False)]
    if ask.kind == "code":
        return [code_box(talks.start_of(ask.exercise))]
    return [text_box(placeholder="Your answer, in words")]


def _labelled(ask: talks.Ask, inputs) -> list:
    """The boxes, in a score each with its line of the rubric."""
    if ask.kind != "score":
        return inputs
    lines = [ipywidgets.HTML("Does yours say so?" if line == ask.model else
                             "Does yours say this? " + html.escape(line)) for line in ask.lines]
    made = [ipywidgets.HBox(pair) for pair in zip(inputs, lines, strict=True)]
    for line in made:
        line.add_class("zg-line")
    return made
