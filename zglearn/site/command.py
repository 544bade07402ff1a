"""`python3 -m zglearn site --out site`: the whole course as pages that need no kernel.

They are made from the committed notebooks; nothing of these runs but what the widgets need, and
that only once (`making.py`).
"""

from __future__ import annotations

import argparse
import base64
import functools
import json
import re
import shutil
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import zglearn
from zglearn import paths
from zglearn.course.said import CourseError, command

from . import making, pages
from .markdown import pygments_css

THEME = Path(__file__).with_name("theme")
VISUAL = Path(zglearn.__file__).parent / "visual"
MARK = "site.made"  # in a folder that an earlier build made, and may empty
DARK = """color-scheme: dark; --paper: #14181d; --ink: #e3e8ee; --soft: #9aa5b1; --line: #333b45;
--shade: #1c222a; --code: #10141a; --link: #79b8ff; --mark: #3a3218; --jp-layout-color2: #2a323c;
--jp-border-color1: #6b7683; --jp-warn-color0: #ffb74d; --jp-error-color0: #ff8a80;"""
LIGHT = """color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --line: #ccc;
--shade: #f6f6f6; --code: #fafafa; --link: #000; --mark: #fff;"""


@command
def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn site",
        description="Write the whole course as static pages, readable without installing it. They "
                    "work from a folder or from any host, and ask nothing of another computer.")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER",
                        help="where to write: a folder that is new, empty or an earlier site")
    parser.add_argument("--chapters", nargs="+", metavar="NN", help="only these, like 04 15")
    parser.add_argument("--still", action="store_true",
                        help="record no widget that is not recorded yet: those stay pictures")
    options = parser.parse_args(argv)
    notebooks = course(options.chapters)
    if not options.still:
        making.make(making.jobs(notebooks), functools.partial(print, flush=True))
    build(notebooks, options.out)
    size = sum(file.stat().st_size for file in options.out.rglob("*") if file.is_file())
    print(f"{options.out / 'index.html'}: {len(notebooks)} notebooks, {size / 1e6:.1f} MB.")
    return 0


def course(numbers: list[str] | None = None) -> list[Path]:
    """The notebooks of chapters/ and exercises/, each chapter before its exercises.

    Raises CourseError for a number that no chapter has.
    """
    found = sorted((path for kind in ("chapters", "exercises")
                    for path in (paths.home() / kind).glob("[0-9][0-9]_*.ipynb")),
                   key=lambda path: (path.name[:2], path.parent.name))
    have = list(dict.fromkeys(path.name[:2] for path in found))
    if strange := [number for number in numbers or () if number not in have]:
        raise CourseError(f"There is no chapter {strange[0]}. There are {', '.join(have)}.")
    return [path for path in found if not numbers or path.name[:2] in numbers]


def build(notebooks: list[Path], out: Path) -> list[pages.Page]:
    """Write the pages of the notebooks, with the recordings that are kept. Returns the pages."""
    empty(out)
    recordings = {job.name: job.kept for job in making.jobs(notebooks) if job.kept.exists()}
    made = [pages.read(path) for path in notebooks]
    site = {page.path for page in made}
    for page, path in zip(made, notebooks, strict=True):
        pages.fill(page, path, site, set(recordings))
    _write_assets(out, made)
    _write_pages(out, made)
    for name, data in [item for page in made for item in page.pictures.items()]:
        _write(out / "pictures" / name, data)
    for name, kept in recordings.items():
        text = base64.b64encode(kept.read_bytes()).decode()
        _write(out / "recordings" / f"{name}.js", f'zglearn.recordings["{name}"]="{text}";')
    return made


def empty(out: Path) -> None:
    """An empty folder to write to. Raises CourseError for one that holds something else."""
    if out.is_file() or out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        raise CourseError(f"{out} is there already and is no earlier site: name another folder. "
                          "Nothing was written.")
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARK).write_text("Made by `python3 -m zglearn site`, which may empty this folder.\n")


def _write_pages(out: Path, made: list[pages.Page]) -> None:
    environment = Environment(loader=FileSystemLoader(THEME), undefined=StrictUndefined,
                              autoescape=False)
    listed = {"chapters": [page for page in made if page.kind == "chapters"],
              "exercises": {page.number: page for page in made if page.kind == "exercises"}}
    listed["exercises"] |= {page.number: None for page in made
                            if page.number not in listed["exercises"]}
    first = pages.Page("index.html", "index", "", "zglearn")
    first.body = environment.get_template("index.html").render(**listed)
    order = [first, *made]
    template = environment.get_template("page.html")
    for i, page in enumerate(order):
        text = template.render(
            page=page, body=page.body, heading=label(page), label=label, **listed,
            sections=[h for h in page.headings if h.level == 2], version=zglearn.__version__,
            before=order[i - 1] if i else None, after=order[i + 1] if i + 1 < len(order) else None)
        _write(out / page.path, text)


def label(page: pages.Page) -> str:
    return page.name + (", exercises" if page.kind == "exercises" else "")


def _write_assets(out: Path, made: list[pages.Page]) -> None:
    css = (THEME / "site.css").read_text().replace("{{ dark }}", DARK).replace("{{ light }}", LIGHT)
    css += pygments_css() + (VISUAL / "widget.css").read_text()
    index = [[label(page), heading.text, f"{page.path}#{heading.id}"]
             for page in made for heading in page.headings]
    _write(out / "assets" / "site.css", css)
    _write(out / "assets" / "site.js", (THEME / "site.js").read_text())
    _write(out / "assets" / "widget.js", as_script((VISUAL / "widget.js").read_text()))
    _write(out / "assets" / "search.js", f"zglearn.index = {json.dumps(index)};")


def as_script(module: str) -> str:
    """The widgets' module as a plain script: a page from file:// may not import a module."""
    script, exports = re.subn(r"^export default ", "zglearn.widget = ", module, flags=re.M)
    if exports != 1 or re.search(r"^(import|export) ", script, re.M):
        raise ValueError("widget.js has other imports or exports than its one default")
    return f"(() => {{\n{script}\n}})();\n"


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
