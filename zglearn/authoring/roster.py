"""The roster: who is in the class, and the seed of each student's variants."""

from __future__ import annotations

import csv
import io
import secrets
from pathlib import Path

COLUMNS = ("student", "seed")


class BadRoster(Exception):
    """A roster cannot be read; the message says which line, and what is wrong."""


def read_roster(path: Path, with_seeds: bool = True) -> dict[str, str]:
    """The seeds by student, from CSV with the columns student and seed; without `with_seeds`, a
    student who has none gets a new one. Raises BadRoster."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            text = file.read()
        separator = max(",;\t", key=text.partition("\n")[0].count)
        rows = [[cell.strip() for cell in row]
                for row in csv.reader(io.StringIO(text), delimiter=separator)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRoster(f"{path} cannot be read: {error}. It has to be CSV in UTF-8.") from None
    header = [name.lower() for name in rows[0]] if rows else []
    if "student" not in header or with_seeds and "seed" not in header:
        raise BadRoster(f"{path}, line 1: it needs the columns student" + ", seed" * with_seeds)
    seeds: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        cells = dict(zip(header, row, strict=False))
        student, seed = cells.get("student", ""), cells.get("seed", "")
        if not student or student in seeds:
            raise BadRoster(f"{path}, line {number}: " + (
                f"{student} stands there twice" if student else "there is no student"))
        if not seed and with_seeds:
            raise BadRoster(f"{path}, line {number}: {student} has no seed")
        seeds[student] = seed or secrets.token_hex(4)
    return seeds


def write_roster(seeds: dict[str, str], path: Path) -> None:
    with open(path, "x", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *seeds.items()])
