"""Sentences and documentation to train language models on, and characters as numbers."""

import hashlib
import re
from dataclasses import dataclass

import numpy as np

from .cache import load_texts
from .docstrings import LIBRARIES
from .texts import library_of

VALIDATION_SHARE = 0.1

# A newline ends a sentence. Whatever else a sentence holds becomes a space.
ALPHABET = "\n abcdefghijklmnopqrstuvwxyz.,'-"
_CODE_OF = np.zeros(128, dtype=np.uint8)
_CODE_OF[[ord(character) for character in ALPHABET]] = range(len(ALPHABET))

# What chapter 14 puts in cipher: there nobody should see it before it is read.
SECRET = (
    "a method that sees only the value of a loss is like a climber in fog. it can feel whether "
    "the last step went up or down, and nothing else. some climbers only ever step down, and so "
    "they rest in the first hollow that they meet. others take a step up now and then, boldly "
    "while the day is young, more rarely as it gets cold, and by evening they have seen more of "
    "the valley. which of them comes home first depends on the hills, on the fog, and on how "
    "long the day is. no climber is the best in all landscapes, but in a given landscape some "
    "are much better than others.")


@dataclass(frozen=True, repr=False)
class Corpus:
    """Texts in the order of their files; no file is in both ``train`` and ``validation``."""

    train: list[str]
    validation: list[str]
    unit: str = "sentences"

    def __repr__(self) -> str:
        return f"Corpus(train={len(self.train):,}, validation={len(self.validation):,} {self.unit})"


def load_sentences(domain: str | None = None, *, without: str | None = None) -> Corpus:
    """The sentences of the docstrings of numpy, scipy, scikit-learn and matplotlib, each once.

    For a domain shift, train on ``load_sentences(without="matplotlib")`` and fine-tune on
    ``load_sentences("matplotlib")``: the two share no sentence. About a tenth of the files are
    for validation: those whose name has a low hash, so that a file's part never changes. Of these
    sentences 2 % differ from one of the training sentences in a word or two, and none in none.

    Parameters
    ----------
    domain, without : "numpy", "scipy", "sklearn" or "matplotlib", optional
        Only that library, or all but that one; without either, all four.

    Raises
    ------
    ValueError
        For another domain, or both at once.
    DataError
        If a library is not installed, or only in compiled form.
    """
    return Corpus(*_both_sides("sentences", domain, without))


def load_documentation(domain: str | None = None, *, without: str | None = None) -> Corpus:
    """The docstrings of the same libraries with their code, brackets, digits and line breaks.

    Plain ASCII; every paragraph, and every entry of a list of parameters, stands in one of them
    only. What examples print and tables of numbers are left out. ``domain``, ``without``, the
    validation files and the errors are those of `load_sentences`; `load_byte_pairs` has
    symbols for the text.
    """
    return Corpus(*_both_sides("documentation", domain, without), unit="docstrings")


def _both_sides(kind, domain, without) -> tuple[list[str], list[str]]:
    """The texts of one kind that are for training, and those for validation."""
    if domain and without:
        raise ValueError("give one domain, or one to leave out, not both")
    for library in (domain, without):
        if library not in (None, *LIBRARIES):
            raise ValueError(f"a domain is one of {', '.join(LIBRARIES)}, not {library!r}")
    chosen = {domain} if domain else set(LIBRARIES) - {without}
    found = load_texts()[kind]
    sides = {True: [], False: []}
    for text, file in zip(found["texts"], found["files"], strict=True):
        if library_of(file) in chosen:
            sides[_is_for_validation(file)].append(text)
    return sides[False], sides[True]


def encode(sentences: list[str] | str) -> np.ndarray:
    """The characters as numbers, uint8 (n,): lower-cased, a newline after every sentence of a list.

    ``ALPHABET[number]`` is the character; `decode` turns numbers back into text.
    """
    text = sentences if isinstance(sentences, str) else "".join(s + "\n" for s in sentences)
    text = re.sub(r"[^\na-z.,'-]+", " ", text.lower())
    return _CODE_OF[np.frombuffer(text.encode("ascii"), dtype=np.uint8)]


def decode(codes) -> str:
    """The text of an array of numbers from `encode`."""
    return "".join(ALPHABET[code] for code in codes)


def _is_for_validation(file: str) -> bool:
    digest = hashlib.sha256(file.encode()).digest()
    return int.from_bytes(digest[:8], "big") < VALIDATION_SHARE * 2**64
