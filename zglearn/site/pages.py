"""From a committed notebook to the body of a page. Nothing is run."""

from __future__ import annotations

import base64
import html
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from zglearn.authoring.folding import BLANK, FOLDS
from zglearn.course.cells import without_magics
from zglearn.exercises.exercise import all_exercises
from zglearn.visual.widget import HINT

from .markdown import Converter, Heading, coloured, tables

YOURS = re.compile(r"# YOUR (CODE|ANSWER)")
CHECK = re.compile(r"""^check\(["'](\d\d\.\d+)["']\)$""")
COLUMNS = re.compile(r"\S {2,}\S")  # a gap that only a table has
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Page:
    """A notebook's page. `path` is its place on the site, ``chapters/04_momentum.html``."""

    path: str
    kind: str
    number: str
    title: str
    question: str = ""
    minutes: str = ""
    body: str = ""
    headings: list[Heading] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What stands in lists: "04 · Momentum"."""
        return f"{self.number} · {self.title}" if self.number != "00" else self.title

    @property
    def root(self) -> str:
        """The way from the page to the site's first page: "../"."""
        return "../" * self.path.count("/")


def read(path: Path) -> Page:
    """What a page needs to be listed: number, title, question, reading time."""
    notebook = nbformat.read(path, as_version=4)
    first = next(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# (?:\d\d · )?([^:\n]+)", first, re.M)
    question = re.search(r"^\*\*(.+?)\*\*$", first, re.M | re.S)
    minutes = re.search(r"Reading time: (\d+ minutes)", first)
    return Page(f"{path.parent.name}/{path.stem}.html", path.parent.name, path.stem[:2],
                heading[1].strip() if heading else path.stem,
                " ".join(question[1].split()) if question else "", minutes[1] if minutes else "")


def fill(page: Page, path: Path, site: set[str], recorded: set[str]) -> None:
    """Put the notebook's cells on its page.

    ``site`` are the paths of all pages, ``recorded`` the names of the widgets that are alive.
    """
    convert = Converter(lambda url: place(url, page, site))
    cells = nbformat.read(path, as_version=4).cells
    page.body = "\n".join(_Cell(cell, page, convert, recorded).html() for cell in cells)
    page.headings = convert.headings


def place(url: str, page: Page, site: set[str]) -> str | None:
    """Where a link in a notebook leads from its page; None if that is not on the site."""
    if re.match(r"[a-z]+:", url) or url.startswith("#"):
        return url
    path, mark, fragment = url.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page.path), path))
    target = re.sub(r"\.ipynb$", ".html", target)
    if target not in site:
        page.lost.append(url)
        return None
    return posixpath.relpath(target, posixpath.dirname(page.path)) + mark + fragment


class _Cell:
    """One cell on its way to the page."""

    def __init__(self, cell, page: Page, convert: Converter, recorded: set[str]):
        self.cell, self.page, self.convert, self.recorded = cell, page, convert, recorded

    def html(self) -> str:
        if self.cell.cell_type == "markdown":
            return self.convert(self.cell.source)
        if self.cell.cell_type != "code" or not self.cell.source.strip():
            return ""
        if check := CHECK.match(self.cell.source.strip()):
            exercise = next((e for e in all_exercises() if e.id == check[1]), None)
            if exercise and self.page.kind == "exercises":
                return self.hints(exercise)
        if YOURS.search(self.cell.source):
            return self.answer()
        return coloured(without_magics(self.cell.source)) + self.outputs()

    # ---- exercises

    def answer(self) -> str:
        """A box to write in. What is written stays in the reader's browser."""
        name = re.sub(r"^ans-(\d\d)-(\d+)$", r"\1.\2", self.cell.id)
        rows = min(30, self.cell.source.count("\n") + 3)
        return (f'<textarea class="answer" data-keep="{name}" rows="{rows}" spellcheck="false" '
                f'aria-label="your answer to {name}">\n{html.escape(self.cell.source)}</textarea>')

    def hints(self, exercise) -> str:
        opened = "".join(
            f"<details><summary>Hint {i}: {word}</summary>{self.convert(hint)}</details>"
            for i, (word, hint) in enumerate(zip(("a nudge", "the formula", "a skeleton"),
                                                 exercise.hints, strict=True), 1))
        return (f'<div class="hints">{opened}<p class="note">What you write here stays in this '
                f'browser, and nobody checks it. In the <a href="{self.page.root}index.html#get">'
                f'installed course</a>, <code>check("{exercise.id}")</code> says whether it is '
                "right, and if not, which case fails and why.</p></div>")

    # ---- outputs

    def outputs(self) -> str:
        outputs = [output for output in self.cell.get("outputs", ())
                   if _text(output, "image/png").strip() != BLANK["image/png"]]
        made = []
        for i, output in enumerate(outputs):
            made.append(self.output(output, outputs[:i]))
        if hint := next((o for o in outputs if HINT in _text(o, "text/plain")), None):
            made = [self.widget(made[:outputs.index(hint)])]
        body = "".join(made)
        if body and FOLDS in self.cell.metadata.get("tags", ()):
            return ('<details class="folded"><summary>The result: guess first, then open'
                    f"</summary>{body}</details>")
        return f'<div class="outputs">{body}</div>' if body else ""

    def output(self, output, before) -> str:
        if output.output_type == "stream":
            return _plain(output.text)
        if output.output_type == "error":
            return _plain("\n".join(output.traceback))
        data = output.get("data", {})
        if "image/png" in data:
            return self.picture(output)
        if before and "image/png" in before[-1].get("data", {}) and _text(output, "text/plain") \
                == before[-1].get("metadata", {}).get("image/png", {}).get("alt"):
            return ""  # the picture's words, which `picture` has put under it
        if "text/markdown" in data:
            return self.convert(_text(output, "text/markdown"))
        if "text/html" in data:
            return f'<div class="html">{self.html_output(_text(output, "text/html"))}</div>'
        return _plain(_text(output, "text/plain"))

    def picture(self, output) -> str:
        """A picture in a file of its own, with its words under it."""
        name = f"{Path(self.page.path).stem}-{self.cell.id}-{len(self.page.pictures)}.png"
        data = base64.b64decode(output.data["image/png"])
        self.page.pictures[name] = data
        width, height = (int.from_bytes(data[at:at + 4]) for at in (16, 20))  # as PNG has them
        words = html.escape(output.metadata.get("image/png", {}).get("alt", ""), quote=True)
        caption = f'<figcaption aria-hidden="true">{words}</figcaption>' if words else ""
        return (f'<figure><img src="{self.page.root}pictures/{name}" alt="{words}" loading="lazy" '
                f'width="{width}" height="{height}">{caption}</figure>')

    def widget(self, still: list[str]) -> str:
        """The still picture; the page's script puts the living widget in its place."""
        name = f"{Path(self.page.path).stem}-{self.cell.id}"
        if name not in self.recorded:
            return "".join(still) + ('<p class="note">This picture moves in the '
                                     f'<a href="{self.page.root}index.html#get">installed course'
                                     "</a>.</p>")
        *before, picture = [part for part in still if part]
        return (f'{"".join(before)}<div class="widget" data-recording="{name}">{picture}'
                '<noscript><p class="note">With scripts allowed, this picture moves.</p>'
                "</noscript></div>")

    def html_output(self, text: str) -> str:
        """HTML that a cell made, with its links led to the site's pages."""
        def link(match):
            target = self.convert.link(html.unescape(match["url"]))
            return f'href="{html.escape(target, quote=True)}"' if target else ""

        text = text.replace("<pre>", '<pre tabindex="0">')  # it may scroll, so a key must reach it
        return tables(re.sub(r"""href=(["'])(?P<url>.*?)\1""", link, text))


def _text(output, kind: str) -> str:
    return output.get("data", {}).get(kind, "")


def _plain(text: str) -> str:
    """What was printed. Rows stay whole: they scroll, and on paper they are set smaller."""
    text = COLOUR_CODES.sub("", text).rstrip()
    if not text:
        return ""
    rows = [line for line in text.splitlines() if COLUMNS.search(line)]
    look = 'class="printed"'
    if len(rows) > 1:
        look = f'class="printed rows" style="--longest: {max(map(len, rows))}"'
    return f'<pre {look} tabindex="0">{html.escape(text)}</pre>'
