"""How far the numbers that a notebook prints may move, and the comparison that lets them.

Another processor adds in another order, so the last digits of a long computation differ. A cell
whose numbers may move says how far with a tag, in the units that are printed or as a share:

    within 0.02     within 5%

Each number may then lie that far from the saved one; with both tags, as far as the wider of them
allows. The text around the numbers must be equal, and so must nan and inf; only the spaces that
line columns up may differ. A cell without a word is compared exactly, character by character.

As a pytest plugin (`-p zglearn.authoring.tolerance`) this is how nbval compares.
"""

from __future__ import annotations

import copy
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest

import pytest
from nbval.plugin import IPyNbCell, coalesce_streams

NUMBER = re.compile(
    r"(?<![\w.])"                   # not within a word or a version: not the 2 of R2
    r"(?P<sign>[-+−]?)"
    r"(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])|[0-9]+)"  # 12,345 or 12345
    r"(?P<rest>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")
STATEMENT = re.compile(r"within ([0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)(%?)")
NOT_COMPARED = ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")
UNCHECKED = "nbval-ignore-output"


class Malformed(ValueError):
    """A tag that wants to be a tolerance and is none."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may move: `absolute` in the units printed, or `relative` as a share."""

    absolute: Decimal = Decimal(0)
    relative: Decimal = Decimal(0)

    def allows(self, saved: Decimal, now: Decimal) -> bool:
        return abs(now - saved) <= max(self.absolute, self.relative * abs(saved))

    def __bool__(self):
        return bool(self.absolute or self.relative)

    def __str__(self):
        stated = {f"within {self.absolute:f}": self.absolute,
                  f"within {float(self.relative * 100):g}%": self.relative}
        return " or ".join(words for words, how_far in stated.items() if how_far) or "not at all"


@dataclass(frozen=True)
class Move:
    """An output that is not the saved one: both texts, and whether the tolerance allows it.

    `numbers` holds (saved, now) of each number that moved. It is None where the words differ, or
    an output is there more or less: nothing can be compared number by number then.
    """

    saved: str
    now: str
    numbers: list[tuple[Decimal, Decimal]] | None
    allowed: bool

    def __str__(self):
        if self.numbers is None:
            lines = zip_longest(self.saved.splitlines(), self.now.splitlines(), fillvalue="")
            saved, now = next((pair for pair in lines if len(set(map(_words, pair))) > 1),
                              (self.saved, self.now))
            return f"other words or outputs\n  saved: {saved}\n  now:   {now}"
        if not self.numbers:
            return "the same numbers, written or spaced in another way"
        far, share = max(self.numbers, key=_apart), max(self.numbers, key=_share)
        return (f"{len(self.numbers)} moved, by up to {_apart(far):f} ({far[0]} to {far[1]}) "
                f"and {_share(share):.2%} ({share[0]} to {share[1]})")


def _apart(pair) -> Decimal:
    return abs(pair[1] - pair[0])


def _share(pair) -> float:
    return float(_apart(pair) / abs(pair[0])) if pair[0] else float("inf")


def tolerance_of(cell) -> Tolerance:
    """What the cell's tags allow. Raises Malformed for a statement that says nothing clear."""
    stated = {}
    for tag in cell.metadata.get("tags", []):
        if not re.match(r"\s*within", tag, re.IGNORECASE):
            continue
        match = STATEMENT.fullmatch(tag)
        if not match or not float(match[1]):
            raise Malformed(f"the tag {tag!r} is no tolerance: write `within 0.02`, in the units "
                            "that the cell prints, or `within 5%`")
        kind = "relative" if match[2] else "absolute"
        if kind in stated:
            raise Malformed(f"two tags state a tolerance of one kind, the second is {tag!r}: "
                            "keep one")
        if kind == "relative" and float(match[1]) >= 100:
            raise Malformed(f"the tag {tag!r} allows everything: state less than 100%")
        stated[kind] = Decimal(match[1]) / (100 if match[2] else 1)
    if stated and UNCHECKED in cell.metadata["tags"]:
        raise Malformed(f"the tag {UNCHECKED} switches off the comparison that a tolerance is for: "
                        "keep one of them")
    return Tolerance(**stated)


def moves(saved, now, tolerance: Tolerance) -> list[Move]:
    """Compare a cell's saved outputs with new ones: a Move for each text that is not the same."""
    saved, now = _texts(saved), _texts(now)
    found = []
    for kind in dict.fromkeys([*saved, *now]):
        before, after = saved[kind], now[kind]
        if len(before) == len(after):
            found += [_move(*pair, tolerance) for pair in zip(before, after, strict=True)
                      if pair[0] != pair[1]]
        else:
            found.append(Move("\n".join(before), "\n".join(after), None, False))
    return found


def _move(saved: str, now: str, tolerance: Tolerance) -> Move:
    if _words(saved) != _words(now):
        return Move(saved, now, None, False)
    pairs = list(zip(_numbers(saved), _numbers(now), strict=True))
    allowed = bool(tolerance) and all(tolerance.allows(*pair) for pair in pairs)
    return Move(saved, now, [pair for pair in pairs if pair[0] != pair[1]], allowed)


def _words(text: str) -> str:
    """The text less its numbers. Spaces count as one: columns may widen with a number."""
    return re.sub(" +", " ", NUMBER.sub(" # ", text))


def _numbers(text: str) -> list[Decimal]:
    return [Decimal(match["sign"].replace("−", "-") + match["digits"].replace(",", "")
                    + match["rest"]) for match in NUMBER.finditer(text)]


def _texts(outputs) -> dict[str, list[str]]:
    """The compared texts of outputs, by kind: a stream's name, a MIME type, or an error."""
    texts = defaultdict(list)
    for output in coalesce_streams(copy.deepcopy(outputs)):
        if output.output_type == "stream":
            texts[output.name].append(output.text)
        elif output.output_type == "error":
            texts["error"].append(f"{output.ename}: {output.evalue}")
        for kind, value in output.get("data", {}).items():
            if kind not in NOT_COMPARED:
                texts[kind].append(value if isinstance(value, str) else json.dumps(value))
    return texts


# --- the plugin -------------------------------------------------------------------------------


def pytest_configure(config):
    IPyNbCell.compare_outputs = _compare_outputs


def pytest_collection_modifyitems(items):
    for item in items:
        if isinstance(item, IPyNbCell):
            try:
                item.tolerance = tolerance_of(item.cell)
            except Malformed as error:
                where = f"{item.path}, cell {item.cell.get('id', item.cell_num)}"
                raise pytest.UsageError(f"{where}: {error}") from None


def _compare_outputs(cell, test, ref, skip_compare=None, *, exactly=IPyNbCell.compare_outputs):
    found = moves(ref, test, cell.tolerance) if cell.tolerance else []
    if found and all(move.allowed for move in found):
        return True
    same = exactly(cell, test, ref, skip_compare)
    if not same and cell.tolerance:
        cell.comparison_traceback += [f"Allowed: {cell.tolerance}.", *map(str, found)]
    return same
