"""`interview()` in a notebook: the talk of `talk.py` behind buttons and boxes."""

from __future__ import annotations

import asyncio
import html
import itertools

import ipywidgets
import mistune

from zglearn.course.overview import chapter_name
from zglearn.course.panel import Panel, button
from zglearn.course.said import CourseError
from zglearn.exercises.exercise import all_exercises, framed

from . import talk as talks

WIDE = ipywidgets.Layout(width="100%")
TEXT = "A mock interview. Run this cell in JupyterLab; in a terminal: python -m zglearn interview"
markdown = mistune.create_markdown(plugins=["math", "table"])


def interview() -> InterviewPanel:
    """A mock interview in the notebook: choose what it is about, then answer."""
    return InterviewPanel()


class InterviewPanel(Panel):
    """First a form, then one question after the other, then the report."""

    def __init__(self):
        self.talk: talks.Interview | None = None
        self.said, self.show_clock = "", True
        self.clock = ipywidgets.Label()
        super().__init__(self.to_html, self.to_text)
        self.show_form()

    def to_html(self) -> str:
        if self.talk is None:
            return framed(f"<b>A mock interview</b><div>{html.escape(self.said)}</div>")
        ask = self.talk.ask
        if ask is None:
            return _pre(self.said) + self.talk.report()._repr_html_()
        return framed(_pre(ask.feedback) + markdown(ask.text) + _pre(self.said))

    def to_text(self) -> str:
        if self.talk is None or self.talk.ask:
            return TEXT
        return repr(self.talk.report())

    # --- the form

    def show_form(self) -> None:
        names = dict.fromkeys(chapter_name(e.chapter) for e in all_exercises())
        topics = [("everything", ""), *zip(names, names, strict=True)]
        self.topic = ipywidgets.Dropdown(description="Topic", options=topics)
        self.difficulty = ipywidgets.Dropdown(
            description="Difficulty", options=[("any", 0), ("1", 1), ("2", 2), ("3", 3)])
        self.minutes = ipywidgets.IntSlider(30, 10, 90, 5, description="Minutes")
        self.show_controls([self.topic, self.difficulty, self.minutes,
                            button("Start", InterviewPanel.start)])

    def start(self) -> None:
        try:
            chosen = talks.draw(self.topic.value, self.difficulty.value or None, self.minutes.value)
        except CourseError as error:
            self.said = str(error)
            return self.refresh()
        self.said = ""
        self.talk = talks.Interview(chosen, self.minutes.value)
        self.keep_time()
        self.show_question()

    # --- the questions

    def show_question(self) -> None:
        ask = self.talk.ask
        self.refresh()
        if ask is None:
            return self.show_controls([])
        self.inputs = _inputs(ask)
        labels = [ipywidgets.HTML(html.escape(line), layout=WIDE) for line in ask.lines]
        rows = zip(labels, self.inputs, strict=True) if labels else [self.inputs]
        names = {"code": "Check my code", "score": "That is my score"}
        self.show_controls([
            *itertools.chain(*rows), button(names.get(ask.kind, "Answer"), InterviewPanel.answer),
            button("Hint", InterviewPanel.hint), button("Skip", InterviewPanel.skip),
            button("Stop", InterviewPanel.stop),
            button("Clock on/off", InterviewPanel.toggle_clock), self.clock])

    def answer(self) -> None:
        ask = self.talk.ask
        values = [given.value for given in self.inputs]
        if ask.kind == "code":
            self.reply(values[0] if values[0] != talks.start_of(ask.exercise) else _names())
        elif ask.kind == "score":
            self.reply(values)
        elif values[0]:
            self.reply(values[0])

    def reply(self, given) -> None:
        self.said = ""
        self.talk.reply(given)
        if self.talk.ask is None:
            self.said = self.talk.last_feedback
        self.show_question()

    def hint(self) -> None:
        self.said = self.talk.hint()
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
        async def run():
            while self.talk.ask:
                self.tick()
                await asyncio.sleep(1)

        try:
            self.timer = asyncio.get_running_loop().create_task(run())
        except RuntimeError:  # no loop, as in a test: the clock moves when it is looked at
            self.tick()


def _inputs(ask: talks.Ask) -> list:
    """The boxes for a reply of this kind."""
    if ask.kind == "choice":
        return [ipywidgets.ToggleButtons(options=ask.options, value=None)]
    if ask.kind == "score":
        return [ipywidgets.ToggleButtons(options=[("no", 0.0), ("partly", 0.5), ("yes", 1.0)])
                for _ in ask.lines]
    if ask.kind == "value":
        return [ipywidgets.Text(placeholder="a number, a list, ...")]
    start = talks.start_of(ask.exercise) if ask.kind == "code" else ""
    return [ipywidgets.Textarea(start, rows=12 if start else 5, layout=WIDE)]


def _names() -> dict:
    """The names of the notebook: code may also be written in a cell of its own."""
    from IPython import get_ipython

    shell = get_ipython()
    return dict(shell.user_ns) if shell else {}


def _pre(text: str) -> str:
    return f"<pre>{html.escape(text.strip())}</pre>" if text else ""


