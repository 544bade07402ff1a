"""`python3 -m zglearn clinic NAME`: an instructor's own article for the errata clinic.

One folder holds it, and the package is left alone:

    clinic/NAME/article.md    the article, with its mistakes
    clinic/NAME/cards.py      its claims, each with the run that decides it: see `exercises.cards`
    clinic/NAME/NAME.ipynb    made of the two: the article to read, and its cards to vote on

The first call makes the folder, with an example. Each later one runs the evidence of every card and
writes the notebook. `release` hands the folder out, the cards sealed.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat

from zglearn import paths
from zglearn.exercises import cards as clinic

from .notebooks import METADATA, write

NAME = re.compile(r"[a-z][a-z0-9_]*")
ARTICLE = """# An article to review

Gradient descent reaches the minimum in one step, if the learning rate is chosen well.
"""
CARDS = '''"""The cards of this article: each a claim, and the run that decides it."""

import numpy as np

from zglearn.exercises.cards import card


@card("{name}", "false", chapter="03", rows=[],
      right="That holds only where the curvature is the same in all directions.")
def one_step_is_enough():
    """Gradient descent reaches the minimum in one step, if the learning rate is chosen well."""
    curvatures, x = np.array([1.0, 10.0]), np.ones(2)
    left = min(np.abs(x - lr * curvatures * x).max() for lr in np.linspace(0.01, 1, 100))
    assert left > 0.5  # what decides the claim
    return f"The best of 100 learning rates leaves {{left:.0%}} of the way to go after one step."
'''


class NoArticle(Exception):
    """An article cannot be made or used; the message says what to do."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn clinic", description="An article of your own for the errata "
        "clinic, with its cards. The first call makes the folder clinic/NAME with an example to "
        "change; each later one runs the evidence of every card and writes the notebook.")
    parser.add_argument("name", metavar="NAME", help="small letters, digits and _, such as week_3")
    options = parser.parse_args(argv)
    folder = paths.home() / "clinic" / options.name
    try:
        if not NAME.fullmatch(options.name) or options.name in clinic.THEMES:
            raise NoArticle(f"{options.name!r} is taken, or no name: use small letters, digits "
                            "and _, such as week_3")
        print(check(folder) if folder.exists() else begin(folder))
    except (NoArticle, ValueError, OSError) as problem:
        print(f"zglearn clinic: {problem}", file=sys.stderr)
        return 1
    return 0


def begin(folder: Path) -> str:
    """Make the folder with an example. Returns what to do next."""
    folder.mkdir(parents=True)
    (folder / "article.md").write_text(ARTICLE, encoding="utf-8")
    (folder / "cards.py").write_text(CARDS.format(name=folder.name), encoding="utf-8")
    return (f"{folder} holds an example: change article.md and cards.py, then run the same command "
            "again.")


def check(folder: Path) -> str:
    """Run the evidence of all cards and write the notebook; returns what came of it. Raises
    ValueError for cards that cannot be loaded, NoArticle for one that does not hold."""
    clinic.forget_article(folder)
    clinic.load_article(folder)
    mine = clinic.cards(folder.name)
    if not mine:
        raise NoArticle(f'{folder / "cards.py"} has no card: write @card("{folder.name}", ...)')
    lines = []
    for card in mine:
        try:
            found = card.examine().text
        except Exception as error:
            raise NoArticle(f"card {card.name}: its evidence does not decide the claim "
                            f"({type(error).__name__}: {error})") from error
        lines.append(f"  {card.verdict}: {card.claim}\n    {found}")
    path = folder / f"{folder.name}.ipynb"
    write(notebook(folder), path)
    return f"{len(mine)} cards, and each run decides its claim:\n" + "\n".join(
        [*lines, f"Written: {path}"])


def notebook(folder: Path):
    """The article, and its cards to vote on."""
    text = (folder / "article.md").read_text(encoding="utf-8").strip()
    cells = [nbformat.v4.new_markdown_cell(text, id="article"),
             nbformat.v4.new_markdown_cell("Which of its claims hold? First your verdict, then the "
                                           "run.", id="task"),
             nbformat.v4.new_code_cell("from zglearn.course import clinic\n\n"
                                       f'clinic("{folder.name}")', id="vote")]
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
