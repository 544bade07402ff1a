"""The record of all grading in one SQLite file, which is only ever added to.

A grade is the referee's result for one student and chapter, with the time, the file and a key of
all that it depends on: the file's bytes, the checks, the limits. A notebook with the same key is
not graded again, so a stopped run goes on where it was. Later grades and marks by hand come in
front of earlier ones; none is ever deleted.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from zglearn.exercises.renumbered import CHAPTERS, EDITION, new_id

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, started REAL NOT NULL, finished REAL, settings TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS grades (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs, at REAL NOT NULL,
    student TEXT NOT NULL, chapter TEXT NOT NULL, key TEXT NOT NULL, final INTEGER NOT NULL,
    submitted REAL NOT NULL, result TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS whose ON grades (student, chapter);
CREATE TABLE IF NOT EXISTS marks (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, student TEXT NOT NULL, exercise TEXT NOT NULL,
    points REAL NOT NULL, comment TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deadlines (
    chapter TEXT PRIMARY KEY, due REAL NOT NULL, percent REAL NOT NULL, grace REAL NOT NULL);
CREATE TABLE IF NOT EXISTS written (
    name TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (name, digest));
"""
CURRENT = """
SELECT student, chapter, submitted, at, result FROM grades WHERE id IN (
    SELECT COALESCE(MAX(CASE WHEN final THEN id END), MAX(id)) FROM grades
    GROUP BY student, chapter)
ORDER BY student, chapter
"""


class Busy(Exception):
    """Another grader works on this output folder."""


def _new_chapter(old: str) -> str:
    return CHAPTERS.get(old, old)


def _new_result(result: dict) -> dict:
    return result | {part: {new_id(id): said for id, said in result[part].items()}
                     for part in ("verdicts", "answers", "prints") if part in result}


@dataclass(frozen=True)
class Grade:
    """The grade that counts for a student and a chapter: when it was handed in, when it was graded
    (`at`), and the referee's `result`."""

    student: str
    chapter: str
    submitted: float
    at: float
    result: dict


class Store:
    """The record in an output folder, held by one grader at a time. Raises Busy or OSError."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = os.open(folder / "grades.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.lock)
            raise Busy(f"another grader is at work on {folder}: wait for it, or choose another "
                       "--out") from None
        self.db = sqlite3.connect(folder / "grades.sqlite", isolation_level=None)
        self.db.executescript(SCHEMA)
        self.renumbered = self._renumber(folder)

    def _renumber(self, folder: Path) -> Path | None:
        """Bring a record of 0.1.0 into this edition's numbers. A copy of it is kept: its path."""
        if self.db.execute("PRAGMA user_version").fetchone()[0] >= EDITION:
            return None
        kept = None
        if self.db.execute("SELECT 1 FROM grades UNION ALL SELECT 1 FROM marks").fetchone():
            kept = folder / "grades-of-0.1.0.sqlite"
            with sqlite3.connect(kept) as copy:
                self.db.backup(copy)
            copy.close()
        self.db.execute("BEGIN")
        with self.db:  # all or nothing
            for table, column, new in (("grades", "chapter", _new_chapter), ("marks", "exercise",
                                       new_id), ("deadlines", "chapter", _new_chapter)):
                rows = self.db.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
                changes = [(new(value), row) for row, value in rows if new(value) != value]
                change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
                self.db.executemany(change, sorted(changes, reverse=True))  # 14 before 11 before 08
            for row, result in self.db.execute("SELECT id, result FROM grades").fetchall():
                self.db.execute("UPDATE grades SET result = ? WHERE id = ?",
                                (json.dumps(_new_result(json.loads(result))), row))
            self.db.execute(f"PRAGMA user_version = {EDITION}")
        return kept

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.db.close()
        os.close(self.lock)

    def begin(self, settings: dict) -> int:
        """Note that a run begins; returns its number."""
        return self.db.execute("INSERT INTO runs (started, settings) VALUES (?, ?)",
                               (time.time(), json.dumps(settings))).lastrowid

    def finish(self, run: int) -> None:
        self.db.execute("UPDATE runs SET finished = ? WHERE id = ?", (time.time(), run))

    def known(self, student: str, chapter: str, key: str) -> bool:
        """Whether the newest final grade of this student and chapter has this key."""
        newest = self.db.execute(
            "SELECT key FROM grades WHERE student = ? AND chapter = ? AND final "
            "ORDER BY id DESC LIMIT 1", (student, chapter)).fetchone()
        return newest == (key,)

    def add(self, run: int, student: str, chapter: str, key: str, submitted: float,
            result: dict) -> None:
        """Add a grade. One that failed for a reason of the grader's own does not count as final."""
        self.db.execute(
            "INSERT INTO grades (run, at, student, chapter, key, final, submitted, result) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (run, time.time(), student, chapter, key, "failed" not in result, submitted,
             json.dumps(result)))

    def current(self) -> list[Grade]:
        """The grades that count, by student and chapter."""
        return [Grade(*row[:4], json.loads(row[4])) for row in self.db.execute(CURRENT)]

    def mark(self, student: str, exercise: str, points: float, comment: str) -> None:
        """Add a mark given by hand, unless it is the one that counts already."""
        if self.marks().get((student, exercise)) != (points, comment):
            self.db.execute(
                "INSERT INTO marks (at, student, exercise, points, comment) VALUES (?, ?, ?, ?, ?)",
                (time.time(), student, exercise, points, comment))

    def marks(self) -> dict[tuple[str, str], tuple[float, str]]:
        """The marks by hand that count, by student and exercise: (points, comment)."""
        return {(student, exercise): (points, comment) for student, exercise, points, comment in
                self.db.execute("SELECT student, exercise, points, comment FROM marks ORDER BY id")}

    def set_deadline(self, chapter: str, due: float, percent: float, grace: float) -> None:
        self.db.execute("REPLACE INTO deadlines VALUES (?, ?, ?, ?)",
                        (chapter, due, percent, grace))

    def deadlines(self) -> dict[str, tuple[float, float, float]]:
        """By chapter: when it was due, percent off for each day begun, and seconds of grace."""
        return {row[0]: row[1:] for row in self.db.execute("SELECT * FROM deadlines")}

    def note_reports(self, reports: list[tuple[str, str]]) -> None:
        """Note the name and the digest of reports that are about to be written: all or none."""
        self.db.execute("BEGIN")
        try:
            self.db.executemany("INSERT OR IGNORE INTO written VALUES (?, ?)", reports)
        finally:
            self.db.execute("COMMIT")

    def is_ours(self, name: str, digest: str) -> bool:
        """Whether a report was written like this by a grader, in this run or an earlier one."""
        return self.db.execute("SELECT 1 FROM written WHERE name = ? AND digest = ?",
                               (name, digest)).fetchone() is not None
