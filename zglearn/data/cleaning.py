"""From a docstring to plain sentences.

Two readings of the same text: `masked` drops code and every name that would tell which library a
docstring comes from (for classification); `unwrapped` keeps them (for a language model).
"""

import re

# Headings that every numpydoc docstring has say nothing; only the Notes hold prose.
HEADING = re.compile(r"^[ ]*(\S.*)\n[ ]*([-=~^])\2{2,}[ ]*$", re.M)

# A block is its first line, and every blank or deeper line after it.
BLOCKS = [
    (re.compile(r"^([ ]*)\.\.(?!\S).*\n(?:\1[ ]+.*\n|[ ]*\n)*", re.M), "\n"),  # .. directive::
    (re.compile(r"^([ ]*)(.*)::[ ]*\n(?:\1[ ]+.*\n|[ ]*\n)*", re.M), r"\1\2:\n\n"),  # code::
    (re.compile(r"^[ ]*>>>.*\n(?:[ ]*\S.*\n)*", re.M), "\n"),
    (re.compile(r"^[ ]*(?:[=+|-]{2,}|[+|][ ]).*\n", re.M), "\n"),  # the lines of a table
    (re.compile(r"^\w+\(.*\)(?:[ ]->.*)?[ ]*\n", re.M), "\n"),  # a signature
    (re.compile(r"^[ ]*(?:[-*+•]|\(?\w{1,2}[.)])[ ]+", re.M), "\n"),  # the mark of a list item
]
BLANK_LINES = re.compile(r"\n[ ]*\n")

ROLE = re.compile(r":[\w:+-]+:`([^`]*)`")
CODE = re.compile(r"``(.+?)``")
TICKED = re.compile(r"`([^`]*)`_{0,2}")
LONE_TICK = re.compile("`")
NOISE = re.compile(r"(?:https?://|www\.)[^\s>`]+|%\(\w+\)s|\[[\w#*]+\]_|\|\w+\||\*")
IDENTIFIER = re.compile(r"""
      \b [A-Za-z_]\w* (?:\.\w+)+               # dotted.name
    | \b (?= \w*[a-z0-9][A-Z] | \w*_ ) \w+     # CamelCase, snake_case
    | \b \w+\(\)                               # call()
    """, re.VERBOSE)
LIBRARY_NAME = re.compile(r"""\b(
      scikits?([-\s]learn)? | sklearn | numpy\w* | np | scipy\w* | matplotlib\w* | mpl\w* | pyplot
    | plt | pylab | rcparams? | c?python\w* | cython | numba | pandas | cupy | jax | dask
    | py?torch | tensorflow | matlab | fortran | c?lapack | (c|open)?blas | mkl | arpack | fitpack
    | minpack | odrpack | quadpack | odepack | fftpack | fftw | pocketfft | superlu | umfpack
    | qhull | highs | libsvm | liblinear | tk(inter|agg)? | gtk\w* | qt\w* | wx\w* | cairo | agg
    )\b""", re.IGNORECASE | re.VERBOSE)

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def paragraphs(docstring: str) -> list[str]:
    """The prose of a docstring: before its first heading, and under Notes, without blocks."""
    text = _prose_sections(docstring + "\n") + "\n"
    for block, replacement in BLOCKS:
        text = block.sub(replacement, text)
    return [" ".join(paragraph.split()) for paragraph in BLANK_LINES.split(text)
            if paragraph.strip()]


def masked(paragraph: str) -> str:
    """The paragraph without code, identifiers and the names of libraries."""
    text = _readable(paragraph)
    for giveaway in (ROLE, CODE, TICKED, LONE_TICK, IDENTIFIER, LIBRARY_NAME):
        text = giveaway.sub(" ", text)
    return _spaced(text)


def unwrapped(paragraph: str) -> str:
    """The paragraph with its markup taken off and all its words kept."""
    text = _readable(paragraph)
    for markup in (ROLE, CODE, TICKED):
        text = markup.sub(lambda match: match[1].split("<")[0].lstrip("~!."), text)
    return _spaced(LONE_TICK.sub(" ", text))


def sentences(paragraph: str) -> list[str]:
    """Cut after a full stop, question or exclamation mark that a capital letter follows."""
    return SENTENCE_END.split(paragraph)


def _prose_sections(docstring: str) -> str:
    headings = list(HEADING.finditer(docstring))
    ends = [heading.start() for heading in headings] + [len(docstring)]
    notes = [docstring[heading.end():end]
             for heading, end in zip(headings, ends[1:], strict=True)
             if heading[1].strip() == "Notes"]
    return "\n\n".join([docstring[:ends[0]], *notes])


def _readable(paragraph: str) -> str:
    """Abbreviations spelt out, so that their dots end no sentence; addresses dropped."""
    text = re.sub(r"\be\.g\.,?", "for example", paragraph)
    text = re.sub(r"\bi\.e\.,?", "that is", text)
    return NOISE.sub(" ", text)


def _spaced(text: str) -> str:
    """One space between words, none before punctuation: what was taken out leaves no gap."""
    return re.sub(r" ([.,;:!?)])", r"\1", " ".join(text.split()))
