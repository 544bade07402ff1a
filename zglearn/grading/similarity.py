"""Which answers resemble each other: a lead to look into, never a verdict.

Answers are compared by exercise, as sets of runs of tokens in which names, numbers and text no
longer matter. Runs that stand in the stub, or that many students share, do not count.
"""

from __future__ import annotations

import hashlib
import io
import keyword
import tokenize
from collections import Counter, defaultdict
from itertools import combinations

RUN = 8  # tokens
MAX_RUNS = 4000  # of one answer
COMMON, MANY = 0.25, 20  # a run that this share of the class has, or so many, says nothing ...
CLASS = 8  # ... in a class of at least so many
SHARED, ALIKE = 12, 0.6  # a lead: so many runs in common, and this share of all runs of the two
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER)


def fingerprint(source: str, stub: str = "") -> list[int]:
    """The runs of tokens of an answer that are not in its stub, each as a number."""
    return sorted(_runs(source) - _runs(stub))[:MAX_RUNS]


def leads(answers: dict[str, dict[str, list[int]]]) -> list[tuple[str, str, str, float]]:
    """(exercise, student, student, similarity from 0 to 1), the most alike first.

    `answers` holds the fingerprints by exercise and student.
    """
    found = []
    for exercise, by_student in answers.items():
        found += [(exercise, *pair) for pair in _pairs(by_student)]
    return sorted(found, key=lambda lead: (-lead[3], lead[:3]))


def _pairs(prints: dict[str, list[int]]):
    runs = {student: set(those) for student, those in prints.items()}
    often = Counter(run for those in runs.values() for run in those)
    limit = max(min(COMMON * len(runs), MANY), 2) if len(runs) >= CLASS else len(runs)
    owners = defaultdict(list)
    for student, those in runs.items():
        runs[student] = {run for run in those if often[run] <= limit}
        for run in runs[student]:
            owners[run].append(student)
    together = Counter(pair for those in owners.values() for pair in combinations(sorted(those), 2))
    for (one, other), shared in together.items():
        alike = shared / len(runs[one] | runs[other])
        if shared >= SHARED and alike >= ALIKE:
            yield one, other, round(alike, 2)


def _runs(source: str) -> set[int]:
    tokens = _tokens(source)
    runs = {" ".join(tokens[n : n + RUN]) for n in range(len(tokens) - RUN + 1)}
    return {int.from_bytes(hashlib.blake2b(run.encode(), digest_size=6).digest()) for run in runs}


def _tokens(source: str) -> list[str]:
    """The tokens, with every name, number and text made equal to every other."""
    tokens = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                tokens.append("name")
            elif token.type in (tokenize.NUMBER, tokenize.STRING):
                tokens.append(tokenize.tok_name[token.type])
            elif token.type not in SKIPPED:
                tokens.append(token.string.strip() or tokenize.tok_name[token.type])
    except (tokenize.TokenError, SyntaxError):
        pass  # what could be read up to here will do
    return tokens
