"""The errata clinic in a notebook: cards to vote on, and a theme's cards with their evidence."""

from __future__ import annotations

import html
import random
from collections import Counter

import ipywidgets

from zglearn import paths
from zglearn.exercises.cards import THEMES, VERDICTS, Card, cards, source, themes
from zglearn.exercises.exercise import framed, inline_code

from . import progress
from .overview import link_to
from .panel import Panel, button, row
from .said import CROSS, TICK

COLOUR = {"true": "#0072b2", "false": "#d55e00", "it depends": "#888888"}
TEXT = "Cards to vote on: run this cell in JupyterLab."


# --- all cards of a theme, for reading --------------------------------------------------------


class Ward:
    """The cards of a theme, each with its verdict and what its evidence came to."""

    def __init__(self, theme: str):
        self.findings = [(c, c.examine().text) for c in cards(theme)]

    def __repr__(self) -> str:
        return "\n\n".join(f"“{c.claim}”\n{c.verdict.capitalize()}. {c.ground}\n{found}"
                           for c, found in self.findings)

    def _repr_html_(self) -> str:
        return "".join(_claim(c) + _verdict(c, found) for c, found in self.findings)


def ward(theme: str) -> Ward:
    """Run the evidence of a theme's cards and show what came of it."""
    return Ward(theme)


def _claim(c: Card) -> str:
    code = f"<pre>{html.escape(source(c.broken))}</pre>" if c.broken else ""
    return f"<p style='margin: 1.4em 0 0.3em'><b>“{inline_code(c.claim)}”</b></p>{code}"


def _verdict(c: Card, found: str, linked: bool = True) -> str:
    """The verdict, the run and the chapter. In a widget a link would leave the notebook."""
    path = paths.notebook("chapters", c.chapter) if linked else None
    where = f"chapter {c.chapter}"
    where = f"<a href='{link_to(path)}'>{where}</a>" if path else where
    code = ("<details><summary>Repaired</summary>"
            f"<pre>{html.escape(source(c.repaired))}</pre></details>" if c.broken else "")
    evidence = "Looked up" if c.theme == "references" else "The run"
    return framed(f"<b>{c.verdict.capitalize()}.</b> {inline_code(c.ground)}<br>"
                  f"<i>{evidence}:</i> {inline_code(found)} "
                  f"<span style='white-space: nowrap'>({where})</span>{code}", COLOUR[c.verdict])


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


def last_votes() -> dict[str, bool]:
    """Whether the learner's last vote on a card agreed with its verdict, by the card's name."""
    return {event.exercise: event.data["agreed"] for event in progress.events("vote")}


def to_judge(theme: str) -> list[Card]:
    """The cards of a theme, mixed, in the order in which they are worth a vote."""
    agreed = last_votes()
    mixed = random.Random(14).sample(cards(theme), len(cards(theme)))
    return sorted(mixed, key=lambda c: (c.name in agreed) + agreed.get(c.name, False))


class ClinicPanel(Panel):
    """A claim, three buttons, then the verdict, the evidence of a run made now, and the score."""

    def __init__(self, theme: str = ""):
        self.theme = ipywidgets.Dropdown(
            description="Theme", value=theme,
            options=[("all", ""), *((title, key) for key, title in themes().items())])
        self.theme.observe(lambda _: self.begin(), "value")
        self.votes = [button(verdict, lambda panel, verdict=verdict: panel.judge(verdict))
                      for verdict in VERDICTS]
        for vote in self.votes:
            vote.tooltip = VERDICTS[vote.description]
        self.next = button("Next card", ClinicPanel.next_card, primary=True)
        self.answer = ipywidgets.HTMLMath()
        self.right, self.asked = Counter(), Counter()
        self.queue, self.before, self.vote, self.found = [], {}, "", ""
        super().__init__(self.to_html, lambda: TEXT)
        self.show_controls([row(*self.votes, self.next), self.answer, self.theme])
        self.begin()

    def begin(self) -> None:
        """The first card of the chosen theme."""
        self.queue, self.before = to_judge(self.theme.value), last_votes()
        self.vote = ""
        self.refresh()

    def judge(self, vote: str) -> None:
        """Compare a vote with the card's verdict, and run the evidence."""
        card = self.queue[0]
        self.vote, self.found = vote, card.examine().text
        self.asked[card.theme] += 1
        self.right[card.theme] += vote == card.verdict
        progress.record("vote", card.name, agreed=vote == card.verdict)
        self.refresh()
        self.next.focus()  # so that Enter, Enter, … is enough

    def next_card(self) -> None:
        if not self.queue:
            return self.begin()
        self.queue, self.vote = self.queue[1:], ""
        self.refresh()
        (self.votes[0] if self.queue else self.next).focus()

    # --- what is shown

    def refresh(self) -> None:
        self.body.value = self.question()
        self.answer.value = f"<div style='line-height: 1.5'>{self.verdict()}{self.score()}</div>"
        for vote in self.votes:
            vote.disabled = bool(self.vote) or not self.queue
            (vote.add_class if vote.description == self.vote else vote.remove_class)("zg-picked")
        self.next.disabled = bool(self.queue) and not self.vote
        self.next.description = "Next card" if self.queue else "Once more"

    def to_html(self) -> str:
        return self.question() + self.verdict() + self.score()

    def question(self) -> str:
        if not self.queue:
            return framed("<b>That was the last card.</b> <i>Once more</i> begins with what you "
                          "misjudged.")
        card = self.queue[0]
        again = {True: " · you had it right", False: " · you misjudged it"}
        return framed(f"{themes()[card.theme]} · {len(self.queue)} to go"
                      f"{again.get(self.before.get(card.name), '')}{_claim(card)}")

    def verdict(self) -> str:
        if not self.vote:
            return ""
        card = self.queue[0]
        hit = (f"{TICK}<b>You agree with the run.</b>" if self.vote == card.verdict else
               f"{CROSS}<b>You said: {self.vote}.</b> The run says: {card.verdict}.")
        return f"<p>{hit}</p>" + _verdict(card, self.found, linked=False)

    def score(self) -> str:
        titles = themes()
        scores = [f"{titles[theme]} {self.right[theme]} of {n}" for theme, n in self.asked.items()]
        if len(scores) > 1:
            scores.append(f"all {self.right.total()} of {self.asked.total()}")
        return f"<p>Your score: {' · '.join(scores)}</p>" if scores else ""
