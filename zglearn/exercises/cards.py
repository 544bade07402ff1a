"""Errata: what plausible articles claim, each claim with the run that decides it.

One rule decides every verdict: `VERDICTS`. Where a claim depends, the card names the cases, as
`holds` and `fails`, and its run shows both. What nobody could look up is no reason for "it
depends": such a claim is put so that it can be decided.

A card is a function. Its docstring is the claim, as such an article would put it. Its body runs the
evidence, asserts what decides the claim, and returns a sentence or two with the figures that came:

    @card("gradient", "false", chapter="13", rows=["E01"],
          right="All four are first-order methods: the gradient is all they know of the loss.")
    def adam_needs_no_gradient():
        '''Momentum, Adagrad, RMSprop and Adam do without gradients.'''
        ...
        return f"On an objective without a gradient {stopped} of the four stop at once."

A claim about a program comes with that program, broken and repaired. The evidence is given both:

    @card("factors", "false", chapter="01", rows=["E24"], broken=columns, repaired=scores, ...)
    def first_columns(broken, repaired):
        '''This function gives each row of A as its k most important numbers.'''
        error = failure(broken, A, 5)
        ...

The cards of a theme stand in one module or a few of `errata/`. All programs are the course's own.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zglearn import paths
from zglearn.objective import Objective
from zglearn.trajectory import run

from . import errata, sealed

VERDICTS = {
    "true": "The claim holds in every case that it speaks of. If it says that something can be, "
            "one case is enough.",
    "false": "It fails in every case that it speaks of; or it speaks of every case, or draws a "
             "conclusion, and fails in one.",
    "it depends": "It speaks of a kind of case, not of every one. It holds in one that is "
                  "ordinary, and fails in another.",
}
ABOUT_EVERY_CASE = re.compile(
    r"\b(all|always|any|can|cannot|enough|every|however|if|may|must|never|no|none|only|proves?|"
    r"shows?|so|then|therefore|whatever|whenever)\b|n't\b", re.IGNORECASE)
THEMES = {
    "gradient": "With or without a gradient",
    "factors": "Matrix factorization",
    "momentum": "Momentum",
    "adaptive": "Adagrad, RMSprop and Adam",
    "networks": "Training programs",
    "descent": "Gradient descent by hand",
    "writing": "Writing and evaluating",
    "references": "References",
    "appendix": "Appendix: slips of the pen",
}


class Finding(NamedTuple):
    """What the evidence came to, and whether the broken program stopped with an exception."""

    text: str
    crashed: bool


@dataclass(frozen=True)
class Card:
    """One claim, its verdict, what is right, and the run that shows it.

    `holds` and `fails` say where, if the verdict is "it depends"; else both are empty.
    """

    name: str
    theme: str
    claim: str
    verdict: str
    right: str
    chapter: str
    rows: tuple[str, ...]
    holds: str
    fails: str
    evidence: Callable[..., str] = field(repr=False)
    broken: Callable | None = field(repr=False)
    repaired: Callable | None = field(repr=False)

    @property
    def ground(self) -> str:
        """What is right, and before it where a claim that depends holds and fails."""
        return f"It holds {self.holds}; it fails {self.fails}. " * bool(self.holds) + self.right

    def examine(self, broken: Callable | None = None, repaired: Callable | None = None) -> Finding:
        """Run the evidence, on the card's own programs or on others in their place.

        Raises AssertionError if it does not decide the claim as the card says.
        """
        if not self.broken:
            return Finding(self.evidence(), False)
        broken, repaired = broken or self.broken, repaired or self.repaired
        crashes = []

        def watched(*args, **kwargs):
            try:
                return broken(*args, **kwargs)
            except Exception as error:
                crashes.append(error)
                raise

        return Finding(self.evidence(watched, repaired), bool(crashes))


_cards: dict[str, Card] = {}


def card(theme: str, verdict: str, *, right: str, chapter: str, rows: list[str], holds: str = "",
         fails: str = "", broken: Callable | None = None, repaired: Callable | None = None):
    """Register the decorated function as the evidence of a card; its docstring is the claim.

    Parameters
    ----------
    theme : a key of `THEMES`, or the name of the article's folder in `clinic/`
    verdict : "true", "false" or "it depends"
    right : what is right, and why, in a sentence or two
    chapter : "04", the chapter that treats it
    rows : ids of the errata table
    holds, fails : where the claim holds and where it fails ("for …", "with …"): both for a claim
        that depends, neither for others
    broken, repaired : two functions, for a claim about a program

    Raises ValueError, naming the card, for whatever of this is missing or malformed.
    """

    def register(evidence):
        name, claim = evidence.__name__, docstring(evidence)
        for wrong, complaint in (
            (name in _cards, "there are two cards of this name"),
            (theme not in THEMES | _own, f"there is no theme {theme!r}"),
            (verdict not in VERDICTS, f"the verdict must be one of {', '.join(VERDICTS)}"),
            (not claim, "its docstring, the claim, is missing"),
            (not right.strip(), "`right` is empty"),
            (bool(broken) != bool(repaired), "`broken` and `repaired` come together"),
            ([bool(holds), bool(fails)] != 2 * [verdict == "it depends"],
             "`holds` and `fails` belong to what depends, and only to that"),
            (verdict == "it depends" and ABOUT_EVERY_CASE.search(spoken(claim)),
             f"it speaks of every case, or concludes, so it is true or false: {claim}"),
        ):
            if wrong:
                raise ValueError(f"card {name}: {complaint}")
        _cards[name] = Card(name, theme, " ".join(claim.split()), verdict, right, chapter,
                            tuple(rows), holds, fails, evidence, broken, repaired)
        return evidence

    return register


def cards(theme: str = "") -> list[Card]:
    """All cards, or those of a theme, in the order in which they are written."""
    for module in sealed.names(errata):
        importlib.import_module(f"{errata.__name__}.{module}")
    return [c for key in themes() for c in _cards.values()
            if c.theme == key and theme in ("", key)]


# --- articles of an instructor's own ----------------------------------------------------------

_own: dict[str, str] = {}  # their titles, by the names of their folders


def themes() -> dict[str, str]:
    """The themes of the cards, and the articles in the course's folder `clinic/`, with titles."""
    for folder in sorted(paths.home().glob("clinic/*/")):
        if folder.name not in _own:
            load_article(folder)
    return THEMES | _own


def load_article(folder: Path) -> None:
    """Load the cards of an article: its folder holds `article.md` and `cards.py` (or, in a
    hand-out, `cards.sealed`). Raises ValueError, naming the file, if they cannot be loaded."""
    file = next((file for name in ("cards.py", "cards.sealed")
                 if (file := folder / name).exists()), None)
    if file is None or not (folder / "article.md").exists():
        raise ValueError(f"{folder} needs article.md and cards.py")
    heading = re.search(r"^#\s+(.+)$", (folder / "article.md").read_text(encoding="utf-8"), re.M)
    known = set(_cards)
    _own[folder.name] = heading[1].strip() if heading else folder.name
    try:
        sealed.load(file, f"clinic_{folder.name}")
    except Exception as error:
        forget_article(folder)
        for name in set(_cards) - known:
            del _cards[name]
        raise ValueError(f"{file}: {type(error).__name__}: {error}") from error


def forget_article(folder: Path) -> None:
    """Forget an article and its cards, so that they can be loaded anew."""
    _own.pop(folder.name, None)
    for name in [c.name for c in _cards.values() if c.theme == folder.name]:
        del _cards[name]


# --- for the evidence -------------------------------------------------------------------------


def failure(function: Callable, *args, **kwargs) -> Exception:
    """The exception with which this call stops. AssertionError if it does not stop."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return error
    raise AssertionError(f"{function.__name__} did not fail")


def said(error: Exception) -> str:
    """An exception as the last line of its traceback, in backquotes."""
    line = str(error).partition("\n")[0].strip()
    return f"`{type(error).__name__}: {line}`"


def steps_of(method: Callable, gradients, **hyper) -> np.ndarray:
    """The steps, shape (n, d), of a method that is told these n gradients wherever it asks.

    `gradients` has shape (n, d), or (n,) for one parameter.
    """
    gradients = np.reshape(gradients, (len(gradients), -1))
    told = iter(gradients)
    f = Objective(lambda x: 0.0, lambda x: next(told))
    start = np.zeros(gradients.shape[1])
    return np.diff(run(method, f, start, steps=len(gradients), **hyper).points, axis=0)


def source(function: Callable) -> str:
    """A program as it stands in the card's module."""
    return textwrap.dedent(inspect.getsource(function)).rstrip()


def spoken(claim: str) -> str:
    """A claim without the programs in it."""
    return re.sub("`[^`]*`", "", claim)


def docstring(function: Callable) -> str:
    """A function's docstring, "" if it has none; from its source where Python drops them (-OO)."""
    if found := inspect.getdoc(function):
        return found
    try:
        return ast.get_docstring(ast.parse(source(function)).body[0]) or ""
    except (OSError, SyntaxError):  # it has no source to look into
        return ""
