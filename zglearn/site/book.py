"""`python3 -m zglearn book --out FILE.pdf`: Chromium prints what the site shows."""

from __future__ import annotations

import argparse
import html
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import zglearn
from zglearn.course.said import CourseError, command

from . import command as site

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HANG = 600  # seconds in which Chromium should have printed
STYLE = """
@page { size: A4; margin: 18mm 18mm 20mm; @bottom-center { content: counter(page); } }
.book > section { break-before: page; }
.book h1:first-child { margin-top: 0; }
.book .note { display: none; }
.toc { list-style: none; padding: 0; line-height: 1.9; }
.toc a { display: flex; justify-content: space-between; gap: 2em; }
figure img { max-height: 200mm; width: auto; }
"""


@command
def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn book",
        description="Print the course to a PDF, with a contents page and links. Needs Chromium.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.pdf",
                        help="the PDF to write")
    parser.add_argument("--chapters", nargs="+", metavar="NN", help="only these, like 04 15")
    options = parser.parse_args(argv)
    if options.out.exists():
        raise CourseError(f"{options.out} is there already: choose another name.")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise CourseError("The book is printed by Chromium, and none of "
                          f"{', '.join(BROWSERS)} is installed. Install it (Debian: apt install "
                          "chromium), or open the pages of `python3 -m zglearn site` in your "
                          "browser and print those.")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "site" / "book.html"
        made = site.build(site.course(options.chapters), page.parent)
        page.write_text(bound(made), encoding="utf-8")
        printed = print_page(browser, page, Path(folder))
        begins = first_pages(printed.read_bytes())  # Chromium tells no page number to the page
        page.write_text(bound(made, begins), encoding="utf-8")
        printed = print_page(browser, page, Path(folder))
        options.out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(printed, options.out)
    print(f"{options.out}: {len(made)} notebooks, {options.out.stat().st_size / 1e6:.1f} MB.")
    return 0


def bound(made: list, begins: dict[str, int] | None = None) -> str:
    """All pages as one, each a section, with a table of contents; links lead inside it.

    ``begins`` are the pages on which the sections begin, by their names.
    """
    contents = "".join(f'<li><a href="#{name_of(page.path)}">{html.escape(site.label(page))} '
                       f"<span>{(begins or {}).get(name_of(page.path), '')}</span></a></li>"
                       for page in made)
    sections = "\n".join(f'<section id="{name_of(page.path)}">{inside(page)}</section>'
                         for page in made)
    return f"""<!DOCTYPE html>
<html lang="en" class="light"><head><meta charset="utf-8">
<title>Optimization for language models, with and without gradients</title>
<link rel="stylesheet" href="assets/site.css"><style>{STYLE}</style></head>
<body><main class="book">
<h1>Optimization for language models, with and without gradients</h1>
<p>zglearn {zglearn.__version__}</p>
<nav aria-label="Contents"><ol class="toc">{contents}</ol></nav>
{sections}
</main></body></html>"""


def name_of(path: str) -> str:
    """A page's name in the book: "chapters/04_momentum.html" -> "chapters-04_momentum"."""
    return path.removesuffix(".html").replace("/", "-")


def inside(page) -> str:
    """A page's body for paper: all of it open, places to write as code, hints left out."""
    def link(match):
        url = html.unescape(match[1])
        path, _, fragment = url.partition("#")
        if re.match(r"[a-z]+:", url):
            return match[0]
        if path.endswith("index.html"):
            return ""
        target = os.path.normpath(os.path.join(os.path.dirname(page.path), path)) if path \
            else page.path
        goal = name_of(target) + (f"--{fragment}" if fragment else "")
        return f'href="#{html.escape(goal, quote=True)}"'

    body = re.sub(r'<div class="hints">.*?</p></div>', "", page.body, flags=re.S)
    body = re.sub(r"<textarea[^>]*>(.*?)</textarea>", r'<pre class="code">\1</pre>', body,
                  flags=re.S)
    body = re.sub(r'<a class="anchor".*?</a>', "", body)
    body = re.sub(r'\bid="([^"]*)"', rf'id="{name_of(page.path)}--\1"', body)
    body = re.sub(r'\bhref="([^"]*)"', link, body)
    return body.replace('src="../', 'src="').replace("<details", "<details open").replace(
        ' loading="lazy"', "")


def first_pages(pdf: bytes) -> dict[str, int]:
    """The number of the page to which each named place of Chromium's PDF belongs."""
    def written(number):
        found = re.search(rb"\n%d 0 obj\n(.*?)\nendobj" % int(number), pdf, re.S)
        return found[1] if found else b""

    def leaves(number):
        kids = re.search(rb"/Kids \[(.*?)\]", written(number), re.S)
        return [leaf for kid in re.findall(rb"(\d+) 0 R", kids[1]) for leaf in leaves(kid)] \
            if kids else [number]

    catalog = re.search(rb"/Pages (\d+) 0 R\s+/Dests (\d+) 0 R", pdf)
    if catalog is None:
        return {}
    order = leaves(catalog[1])
    places = re.findall(rb"/([\w.-]+) \[(\d+) 0 R /XYZ", written(catalog[2]))
    return {name.decode(): order.index(page) + 1 for name, page in places if page in order}


def print_page(browser: str, page: Path, folder: Path) -> Path:
    """The PDF of a page. Raises CourseError if Chromium makes none."""
    printed = folder / "book.pdf"
    options = ["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
               f"--user-data-dir={folder / 'profile'}", "--no-pdf-header-footer",
               "--generate-pdf-document-outline", f"--print-to-pdf={printed}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # it does not start for root otherwise
    done = subprocess.run([browser, *options, page.as_uri()], capture_output=True, text=True,
                          timeout=HANG, stdin=subprocess.DEVNULL)
    if not printed.exists():
        raise CourseError(f"{browser} printed nothing:\n{done.stderr.strip()[-600:]}")
    return printed
