"""Markdown on a terminal: wrapped, with headings and code set apart, and formulas as plain text."""

from __future__ import annotations

import re
import textwrap
import unicodedata

import mistune

BOLD, PLAIN = "\033[1m", "\033[0m"
WIDEST = 96
_tokens = mistune.create_markdown(renderer=None, plugins=["math", "table"])

SYMBOLS = {"nabla": "∇", "leftarrow": "←", "gets": "←", "to": "→", "rightarrow": "→", "cdot": "·",
           "times": "×", "odot": "⊙", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠",
           "approx": "≈", "infty": "∞", "sum": "Σ", "prod": "Π", "partial": "∂", "pm": "±",
           "in": "∈", "top": "ᵀ", "ldots": "…", "dots": "…", "cdots": "…", "varepsilon": "ε",
           "lVert": "‖", "rVert": "‖", "|": "‖", "sqrt": "√", "quad": "  ", "qquad": "   ",
           "lambda": "λ"}


def terminal_text(markdown: str, width: int = 80, styled: bool = False) -> str:
    """Markdown as text of at most `width` columns; `styled` sets headings and `**words**` bold."""
    markdown = re.sub(r"\$[^$]+\$", lambda tex: tex[0].replace("\n", " "), markdown)
    writer = _Writer(min(width, WIDEST), styled)
    return "\n\n".join(filter(None, map(writer.block, _tokens(markdown))))


def plain_formula(tex: str) -> str:
    """A formula of the course without TeX: x \\leftarrow x - \\alpha g is "x ← x − α g"."""
    tex = re.sub(r"\\(mathrm|text|mathbf|operatorname|bar|hat|left|right|bigl?|bigr)\b\s*", "", tex)
    tex = re.sub(r"\\d?t?frac\s*{([^{}]*)}\s*{([^{}]*)}", r"(\1)/(\2)", tex)
    tex = re.sub(r"\\sqrt\s*{([^{}]*)}", r"√(\1)", tex)
    tex = re.sub(r"\\([,;! ]|\\)", " ", tex)
    tex = re.sub(r"\\([A-Za-z]+|\|)", lambda name: _symbol(name[1]), tex)
    return " ".join(re.sub(r"[{}]", "", tex).split())


def _symbol(name: str) -> str:
    if name in SYMBOLS:
        return SYMBOLS[name]
    size = "CAPITAL" if name[:1].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}")
    except KeyError:
        return name


class _Writer:
    def __init__(self, width, styled):
        self.width, self.styled = width, styled

    def bold(self, text):
        return f"{BOLD}{text}{PLAIN}" if self.styled else text

    def block(self, token, indent="") -> str:
        kind, inside = token["type"], token.get("children", ())
        if kind == "heading":
            title = self.line(inside)
            return self.bold(title) if self.styled else f"{title}\n{'=' * len(title)}"
        if kind in ("paragraph", "block_text"):
            return "\n".join(self.wrapped(part, indent)
                             for part in self.line(inside).split("\n\n"))
        if kind == "block_code":
            return textwrap.indent(token["raw"].rstrip(), indent + "    ")
        if kind == "block_math":
            return indent + "    " + plain_formula(token["raw"])
        if kind == "list":
            ordered = token["attrs"].get("ordered")
            signs = (f"{n}." if ordered else "-" for n in range(1, 1 + len(inside)))
            return "\n".join(self.item(item, sign, indent)
                             for item, sign in zip(inside, signs, strict=True))
        if kind == "table":
            return self.table(inside)
        return "\n".join(filter(None, (self.block(child, indent) for child in inside)))

    def item(self, token, sign, indent):
        inner = indent + " " * (len(sign) + 1)
        parts = [self.block(child, inner) for child in token["children"]]
        return indent + sign + " " + "\n".join(parts)[len(inner):]

    def table(self, sections):
        rows = [[self.line(cell["children"]) for cell in row["children"]]
                for section in sections
                for row in ([section] if section["type"] == "table_head" else section["children"])]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, wide, strict=True)).rstrip()
                 for row in rows]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])

    def wrapped(self, text, indent):
        return textwrap.fill(text, self.width, initial_indent=indent, subsequent_indent=indent,
                             break_long_words=False, break_on_hyphens=False)

    def line(self, tokens) -> str:
        """Words, `code`, *stress* and formulas of one paragraph."""
        said = []
        for token in tokens:
            inside = self.line(token["children"]) if "children" in token else token.get("raw", "")
            kind = token["type"]
            if kind == "strong":
                inside = self.bold(inside)
            elif kind in ("inline_math", "block_math"):
                inside = plain_formula(inside)
            elif kind == "softbreak":
                inside = " "
            elif kind == "linebreak":
                inside = "\n\n"
            said.append(inside)
        return "".join(said)
