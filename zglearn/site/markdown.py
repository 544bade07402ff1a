"""Markdown to HTML: mathematics as MathML, code in colours, headings that can be linked to."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

import mistune
from latex2mathml.converter import convert
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

# Code is left alone; of what is left, `$$ … $$` and `$ … $` are mathematics, as in JupyterLab.
CODE = r"(?P<code>^ {0,3}```.*?^ {0,3}```|`[^`\n]+`)"
BLOCK = r"(?<!\\)\$\$(?P<block>.+?)\$\$"
INLINE = r"(?<![\\$\w])\$(?P<inline>[^\s$](?:[^$]*?[^\s$\\])?)\$(?![\d$])"
PARTS = re.compile(f"{CODE}|{BLOCK}|{INLINE}", re.S | re.M)


@dataclass
class Heading:
    level: int
    text: str
    id: str


@dataclass
class Converter:
    """Converts the Markdown of one page; ``link(url)`` says where a link leads on the site, and
    None where it leads nowhere. Headings are collected as they come."""

    link: callable
    headings: list[Heading] = field(default_factory=list)

    def __call__(self, text: str) -> str:
        """A cell's text as HTML."""
        formulas = []

        def keep(match):
            if match["code"]:
                return match[0]
            formulas.append(mathml(match["block"] or match["inline"], bool(match["block"])))
            return f"zgformula{len(formulas) - 1}z"

        made = mistune.create_markdown(renderer=Renderer(self), escape=False,
                                       plugins=["table", "strikethrough", "url"])
        page = made(PARTS.sub(keep, text))
        page = re.sub(r"zgformula(\d+)z", lambda match: formulas[int(match[1])], page)
        return tables(page)

    def heading(self, text: str, level: int) -> str:
        """A heading with an id of its own: the one that JupyterLab gives it, or with a number."""
        plain = html.unescape(re.sub(r"<[^>]+>", "", text))
        plain = re.sub(r"zgformula\d+z", "…", plain)
        name = re.sub(r"\s+", "-", plain.strip())
        taken = {heading.id for heading in self.headings}
        number = next(n for n in range(1, 99) if (f"{name}-{n}" if n > 1 else name) not in taken)
        self.headings.append(Heading(level, plain, f"{name}-{number}" if number > 1 else name))
        id = html.escape(self.headings[-1].id, quote=True)
        return (f'<h{level} id="{id}">{text}<a class="anchor" href="#{id}" '
                f'aria-label="link to this section">#</a></h{level}>\n')


class Renderer(mistune.HTMLRenderer):
    def __init__(self, converter: Converter):
        super().__init__(escape=False)
        self.converter = converter

    def block_code(self, code: str, info: str | None = None) -> str:
        return coloured(code, (info or "text").split()[0])

    def heading(self, text: str, level: int, **attrs) -> str:
        return self.converter.heading(text, level)

    def link(self, text: str, url: str, title=None) -> str:
        target = self.converter.link(url)
        return text if target is None else super().link(text, target, title)


def tables(page: str) -> str:
    """Tables whose heads say that they are heads, and which scroll where they are too wide."""
    page = re.sub(r"<th(?=[ >])", '<th scope="col"', page)
    page = re.sub(r'<th scope="col"[^>]*>\s*</th>', "<td></td>", page)  # a corner is no head
    page = page.replace("<table", '<div class="wide"><table')
    return page.replace("</table>", "</table></div>")


def mathml(tex: str, block: bool) -> str:
    """TeX as MathML, with the TeX as its words. Raises what the converter raises."""
    tex = tex.strip()
    made = convert(tex, display="block" if block else "inline")
    key = 'tabindex="0" ' if block else ""  # it may scroll, so a key must reach it
    return made.replace("<math ", f'<math {key}alttext="{html.escape(tex, quote=True)}" ', 1)


def coloured(code: str, language: str = "python") -> str:
    """Code as HTML, in the colours of `pygments_css`."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    inside = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="code" tabindex="0">{inside}</pre>'


def pygments_css() -> str:
    """The colours of code in light and in dark."""
    light = HtmlFormatter(style="default").get_style_defs(".code")
    dark = HtmlFormatter(style="github-dark")
    return f"""{light}
@media (prefers-color-scheme: dark) {{ {dark.get_style_defs(":root:not(.light) .code")} }}
{dark.get_style_defs(":root.dark .code")}
"""
