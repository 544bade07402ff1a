"""The recipe: from the libraries' files to documents to classify, and to sentences and whole
docstrings to model.

`build` runs it whole, which takes seconds; `cache.py` keeps the result. Change `RECIPE` whenever
the result changes.
"""

import gc
import re
from collections import Counter, defaultdict
from contextlib import contextmanager

from .cleaning import masked, paragraphs, sentences, unwrapped
from .docstrings import LIBRARIES, docstrings, source_files
from .documentation import documentation

RECIPE = 2

WORD = re.compile(r"[^\W\d_]{2,}")  # Unicode letters: an ASCII pattern would split "Bézier"
FEWEST_WORDS = 15  # of a document
MOST_REPEATS = 2  # documents that may share a sentence before it counts as boilerplate


def build(progress: bool = False) -> dict[str, dict[str, list[str]]]:
    """Read the installed libraries. Returns ``documents``, ``sentences`` and ``documentation``,
    each with ``texts`` and the ``files`` they stand in, in a fixed order. Raises DataError if a
    library is missing.
    """
    from tqdm import tqdm

    files = [file for library in LIBRARIES for file in source_files(library)]
    documents, lines, whole = [], [], []
    with _without_garbage_collection():
        for name, path in tqdm(files, "Reading docstrings", unit=" files", disable=not progress):
            for text in docstrings(path.read_bytes()):
                whole.append((text, name))
                prose = paragraphs(text)
                documents.append(([s for p in prose for s in sentences(masked(p))], name))
                lines += [(s, name) for p in prose for s in sentences(unwrapped(p))]
        return {"documents": _columns(_distinct_documents(documents)),
                "sentences": _columns(_plain_sentences(lines)),
                "documentation": _columns(documentation(whole))}


def near_duplicates(texts: list[str]) -> list[int]:
    """A group number for each text; texts that are nearly the same share theirs.

    Nearly the same: the sets of word pairs have a cosine of at least 0.8, directly or through
    other texts. Counted in integers, so that every machine finds the same groups.
    """
    import numpy as np
    from scipy.sparse import coo_array, vstack
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import CountVectorizer

    pairs = CountVectorizer(binary=True, ngram_range=(2, 2), token_pattern=WORD.pattern)
    X = pairs.fit_transform(texts)
    size = np.asarray(X.sum(axis=1)).ravel()

    def alike(start, stop):
        shared = (X[start:stop] @ X.T).tocoo()
        near = 25 * shared.data**2 >= 16 * size[shared.row + start] * size[shared.col]
        return coo_array((shared.data[near], (shared.row[near], shared.col[near])), shared.shape)

    blocks = [alike(start, start + 500) for start in range(0, len(texts), 500)]  # saves memory
    return connected_components(vstack(blocks), directed=False)[1].tolist()


def _distinct_documents(documents):
    """Drop boilerplate sentences, short documents, and all but one of near-identical documents."""
    used_by = Counter(key for parts, _ in documents for key in {_letters(s) for s in parts})
    kept = {}
    for parts, name in documents:
        text = " ".join(s for s in parts if used_by[_letters(s)] <= MOST_REPEATS)
        if len(WORD.findall(text)) >= FEWEST_WORDS:
            kept.setdefault(_letters(text), (text, name))
    return _one_of_each(list(kept.values()))


def _one_of_each(documents):
    """The first of each group of near-duplicates; none of a group that two libraries share."""
    groups = defaultdict(list)
    for document, group in zip(documents, near_duplicates([t for t, _ in documents]), strict=True):
        groups[group].append(document)
    return [group[0] for group in groups.values()
            if len({library_of(name) for _, name in group}) == 1]


def _plain_sentences(lines):
    """Whole sentences in plain ASCII that are mostly words; of those with the same words, one."""
    kept = {}
    for text, name in lines:
        if (5 <= len(text.split()) <= 60 and text.isascii()
                and text[0].isupper() and text[-1] in ".!?"
                and sum(c.isalpha() or c == " " for c in text) >= 0.72 * len(text)):
            kept.setdefault(_letters(text), (text, name))
    return list(kept.values())


def library_of(name: str) -> str:
    return name.split("/")[0]


def _letters(text: str) -> str:
    return "".join(WORD.findall(text.lower()))


def _columns(rows):
    texts, files = zip(*rows, strict=True)
    return {"texts": list(texts), "files": list(files)}


@contextmanager
def _without_garbage_collection():
    """Parsing makes millions of small objects in no cycle: collecting them takes half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
