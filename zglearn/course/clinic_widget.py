"""The errata clinic in a notebook: cards to vote on, and a theme's cards with their evidence."""

from __future__ import annotations

import html
import random
from collections import Counter

import ipywidgets

from . import paths, progress
from .errata import THEMES, VERDICTS, Card, cards, source
from .exercise import framed, inline_code
from .overview import chapter_name, link_to
from .widget import Panel, button

COLOUR = {"true": "#0072b2", "false": "#d55e00", "it depends": "#888888"}
TEXT = "Cards to vote on: run this cell in JupyterLab."


# --- all cards of a theme, for reading --------------------------------------------------------


class Ward:
    """The cards of a theme, each with its verdict and what its evidence came to."""

    def __init__(self, theme: str):
        self.findings = [(c, c.examine().text) for c in cards(theme)]

    def __repr__(self) -> str:
        return "\n\n".join(f"“{c.claim}”\n{c.verdict.capitalize()}. {c.right}\n{found}"
                           for c, found in self.findings)

    def _repr_html_(self) -> str:
        return "".join(_claim(c) + _verdict(c, found) for c, found in self.findings)


def ward(theme: str) -> Ward:
    """Run the evidence of a theme's cards and show what came of it."""
    return Ward(theme)


def _claim(c: Card) -> str:
    code = f"<pre>{html.escape(source(c.broken))}</pre>" if c.broken else ""
    return f"<p style='margin: 1.4em 0 0.3em'><b>“{inline_code(c.claim)}”</b></p>{code}"


def _verdict(c: Card, found: str) -> str:
    path = paths.notebook("chapters", c.chapter)
    where = f"<a href='{link_to(path)}'>{chapter_name(c.chapter)}</a>" if path else ""
    code = ("<details><summary>Repaired</summary>"
            f"<pre>{html.escape(source(c.repaired))}</pre></details>" if c.broken else "")
    return framed(f"<b>{c.verdict.capitalize()}.</b> {inline_code(c.right)} "
                  f"<i>The run:</i> {inline_code(found)} {where}{code}", COLOUR[c.verdict])


def scoreboard() -> list[tuple[str, int, int]]:
    """(theme, programs that stop with an exception, programs that run and are wrong)."""
    board = []
    for theme, title in THEMES.items():
        crashed = [c.examine().crashed for c in cards(theme) if c.broken]
        board.append((title, sum(crashed), len(crashed) - sum(crashed)))
    return board


# --- one card after the other, to vote on -----------------------------------------------------


def clinic(theme: str = "") -> ClinicPanel:
    """Cards to vote on, of one theme or of all: first your verdict, then the evidence.

    The votes are kept with your progress. New cards come first, then those that you misjudged.
    """
    return ClinicPanel(theme)


def to_judge(theme: str) -> list[Card]:
    """The cards of a theme, mixed, in the order in which they are worth a vote."""
    agreed = {event.exercise: event.data["agreed"] for event in progress.events("vote")}
    mixed = random.Random(14).sample(cards(theme), len(cards(theme)))
    return sorted(mixed, key=lambda c: (c.name in agreed) + agreed.get(c.name, False))


class ClinicPanel(Panel):
    """A claim, three buttons, then the verdict, the evidence of a run made now, and the score."""

    def __init__(self, theme: str = ""):
        self.theme = ipywidgets.Dropdown(
            description="Theme", value=theme,
            options=[("all", ""), *((title, key) for key, title in THEMES.items())])
        self.theme.observe(lambda _: self.begin(), "value")
        self.right, self.asked = Counter(), Counter()
        self.queue, self.vote, self.found = to_judge(theme), "", ""
        super().__init__(self.to_html, lambda: TEXT)
        self.begin()

    def begin(self) -> None:
        """The first card of the chosen theme."""
        self.queue = to_judge(self.theme.value)
        self.show_card()

    def show_card(self) -> None:
        self.vote = self.found = ""
        self.refresh()
        votes = [button(verdict, lambda panel, verdict=verdict: panel.judge(verdict))
                 for verdict in VERDICTS]
        self.show_controls([self.theme, *(votes if self.queue else [])])

    def judge(self, vote: str) -> None:
        """Compare a vote with the card's verdict, and run the evidence."""
        card = self.queue[0]
        self.vote, self.found = vote, card.examine().text
        self.asked[card.theme] += 1
        self.right[card.theme] += vote == card.verdict
        progress.record("vote", card.name, agreed=vote == card.verdict)
        self.refresh()
        self.show_controls([self.theme, button("Next card", ClinicPanel.next_card)])

    def next_card(self) -> None:
        self.queue = self.queue[1:]
        self.show_card()

    def to_html(self) -> str:
        if not self.queue:
            return framed("<b>That was the last card.</b>") + self.score()
        card = self.queue[0]
        shown = framed(f"{THEMES[card.theme]} · {len(self.queue)} to go{_claim(card)}")
        if self.vote:
            hit = "You agree with the run." if self.vote == card.verdict else \
                f"You said: {self.vote}."
            shown += f"<p>{hit}</p>" + _verdict(card, self.found)
        return shown + self.score()

    def score(self) -> str:
        rows = "".join(f"<tr><td style='text-align: left'>{THEMES[theme]}</td>"
                       f"<td>{self.right[theme]} of {n}</td></tr>"
                       for theme, n in self.asked.items())
        return f"<table style='color: inherit'>{rows}</table>" if rows else ""
