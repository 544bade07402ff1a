"""Byte pair encoding: text as a row of symbols, each of them one or several characters.

Gage (1994) replaced the most frequent pair of bytes by a byte that was still free, again and
again; Sennrich, Haddow and Birch (2016) did so within words, to give language models a vocabulary.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

# Symbol 0 ends a document; then come the line break and what can be printed in ASCII.
END = "\f"
CHARACTERS = END + "\n" + "".join(map(chr, range(32, 127)))

# Pairs are merged within these pieces only: a word, digits one by one, a run of spaces or of
# punctuation. A piece may begin with one space, as in GPT-2 (Radford et al. 2019).
PIECES = re.compile(r" ?[A-Za-z]+|[0-9]|\n+ *|\f| +(?=[ ])| ?([^\w\s])\1*|[ _]")


SHIPPED = Path(__file__).with_name("byte_pairs.json")


def load_byte_pairs() -> BytePairs:
    """The vocabulary of the shipped transformers, learnt on their training text."""
    return BytePairs(json.loads(SHIPPED.read_text("utf-8")))


class BytePairs:
    """A vocabulary of characters and merged pairs.

        symbols = BytePairs.learn(text, 512)
        codes = symbols.encode("the array")  # an array of small whole numbers
        symbols.decode(codes)                # "the array"

    Attributes
    ----------
    pieces : list of str
        What each symbol stands for: first `CHARACTERS`, then the merged ones.
    merges : list of pairs (int, int)
        The pair of symbols that each further symbol stands for, in the order in which they were
        learnt.
    """

    def __init__(self, merges=()):
        self.merges = [tuple(pair) for pair in merges]
        self.pieces = list(CHARACTERS)
        for a, b in self.merges:
            self.pieces.append(self.pieces[a] + self.pieces[b])
        self._rank = {pair: len(CHARACTERS) + i for i, pair in enumerate(self.merges)}
        self._known = {}

    def __len__(self) -> int:
        return len(self.pieces)

    def __repr__(self) -> str:
        return f"BytePairs({len(CHARACTERS)} characters, {len(self.merges)} merges)"

    @classmethod
    def learn(cls, text: str, size: int) -> BytePairs:
        """A vocabulary of ``size`` symbols: the pair that is most frequent in the text is merged,
        then the pair that is most frequent after that, and so on."""
        words = Counter(match[0] for match in PIECES.finditer(text))
        rows = [[[CHARACTERS.index(c) for c in word], n] for word, n in words.items()]
        counts, places = Counter(), defaultdict(set)
        for i, (codes, n) in enumerate(rows):
            for pair in zip(codes, codes[1:], strict=False):
                counts[pair] += n
                places[pair].add(i)
        merges = []
        for new in range(len(CHARACTERS), size):
            best = max(counts, key=lambda pair: (counts[pair], pair))
            merges.append(best)
            for i in places.pop(best):
                codes, n = rows[i]
                for pair in zip(codes, codes[1:], strict=False):
                    counts[pair] -= n
                rows[i][0] = codes = _merged(codes, best, new)
                for pair in zip(codes, codes[1:], strict=False):
                    counts[pair] += n
                    places[pair].add(i)
            del counts[best]
        return cls(merges)

    def encode(self, text: str) -> np.ndarray:
        """The text as symbols, uint16 (n,). ValueError for a character that has none."""
        if unknown := set(text) - set(CHARACTERS):
            raise ValueError(f"these symbols are for ASCII text; there is none for "
                             f"{''.join(sorted(unknown))[:20]!r}: replace or drop it")
        codes = []
        for match in PIECES.finditer(text):
            piece = match[0]
            if piece not in self._known:
                self._known[piece] = self._encode_piece(piece)
            codes += self._known[piece]
        return np.array(codes, dtype=np.uint16)

    def encode_texts(self, texts) -> np.ndarray:
        """Several texts as the symbols of one, uint16 (n,), with `END` behind each."""
        return self.encode("".join(text + END for text in texts))

    def decode(self, codes) -> str:
        """The text of symbols."""
        return "".join([self.pieces[code] for code in codes])

    def _encode_piece(self, piece: str) -> list[int]:
        """The merges in the order in which they were learnt, wherever one fits."""
        codes = [CHARACTERS.index(c) for c in piece]
        while True:
            pairs = [p for p in zip(codes, codes[1:], strict=False) if p in self._rank]
            if not pairs:
                return codes
            first = min(pairs, key=self._rank.get)
            codes = _merged(codes, first, self._rank[first])


def _merged(codes, pair, new) -> list[int]:
    out = []
    for code in codes:
        if out and (out[-1], code) == pair:
            out[-1] = new
        else:
            out.append(code)
    return out
