"""What a learner did, in one small private file that is only ever added to.

The file holds one table of events: when, what, which exercise, and the details as JSON. All that
the course knows of a learner is computed from these. SQLite's write-ahead log lets two notebooks
write at once and survives a crash; a new version of the course reads the same table. Each event
says in which edition's numbers its exercise is named. What 0.1.0 writes, even after an update, says
nothing and counts as the first's; it is read in the new numbers.

`ZGLEARN_PROGRESS` names another file, and ":memory:" none; notebooks in solutions/ record nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import warnings
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from zglearn import paths
from zglearn.exercises.renumbered import EDITION, new_id

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL,
    exercise TEXT NOT NULL DEFAULT '', data TEXT NOT NULL DEFAULT '{}')
"""
NEW_COLUMN = "ALTER TABLE events ADD COLUMN edition INTEGER NOT NULL DEFAULT 1"
BUSY_SECONDS = 10  # how long to wait for another notebook that is writing
_memory: list[Event] = []


@dataclass(frozen=True)
class Event:
    """One thing that happened: `kind` is check, hint, solution, prediction, score, review,
    interview, vote (then `exercise` is the name of a card of the errata clinic), or guess (then it
    names a question of a chapter, as it does for the predictions made of it)."""

    at: float
    kind: str
    exercise: str
    data: dict


def file() -> Path | None:
    """The progress file; None when nothing is to be kept."""
    name = os.environ.get("ZGLEARN_PROGRESS")
    if name == ":memory:" or not name and Path.cwd() == paths.home() / "solutions":
        return None
    return Path(name) if name else paths.private() / "progress.sqlite"


def record(kind: str, exercise: str = "", **data) -> None:
    """Add an event. A progress file that cannot be written never stops the learner: it warns."""
    event = Event(time.time(), kind, exercise, data)
    try:
        path = file()
        if path is None:
            _memory.append(event)
            return
        _add(path, [(event.at, kind, exercise, json.dumps(data))])
    except (sqlite3.Error, OSError) as error:
        _memory.append(event)
        warnings.warn(f"Your progress could not be saved ({error}); the course goes on without. "
                      "`python -m zglearn doctor` looks into it.", stacklevel=2)


def events(kind: str = "", exercise: str = "") -> list[Event]:
    """The events so far, oldest first, of one kind or exercise if it is given."""
    try:
        found = _saved() + _memory
    except (sqlite3.Error, OSError) as error:
        warnings.warn(f"Your progress could not be read ({error}).", stacklevel=2)
        found = list(_memory)
    return [e for e in found if kind in ("", e.kind) and exercise in ("", e.exercise)]


def bring_from(other: Path) -> int:
    """Add the events of another progress file that are not here yet; returns how many."""
    path = file()
    if path is None or not other.exists():
        return 0
    known = set(_rows(path))
    missing = [row for row in _rows(other) if row not in known]
    _add(path, missing)
    return len(missing)


def _saved() -> list[Event]:
    path = file()
    rows = [] if path is None else _rows(path)
    return [Event(at, kind, exercise, json.loads(data)) for at, kind, exercise, data in rows]


def _rows(path: Path) -> list[tuple]:
    """(at, kind, exercise, data) of every event, in this edition's numbers, oldest first."""
    select = "SELECT at, kind, exercise, data, edition FROM events ORDER BY at, id"
    rows = _patiently(path, lambda store: store.execute(select).fetchall()) if path.exists() else []
    return [(at, kind, new_id(exercise) if edition < EDITION else exercise, data)
            for at, kind, exercise, data, edition in rows]


def _add(path: Path, rows: list[tuple]) -> None:
    insert = ("INSERT INTO events (at, kind, exercise, data, edition) "
              f"VALUES (?, ?, ?, ?, {EDITION})")
    _patiently(path, lambda store: store.executemany(insert, rows))


def _patiently(path: Path, action):
    """Open the file and act, again while another notebook holds it: SQLite does not always wait."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with closing(_open(path)) as store, store:
                return action(store)
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error) or "duplicate column" in str(error)  # added meanwhile
            if not busy or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # busy, read-only, full: not damaged
            raise
        aside = path.with_name(f"{path.name}.damaged-{datetime.now():%Y%m%d-%H%M%S}")
        path.rename(aside)
        warnings.warn(f"The progress file was damaged. It is kept as {aside.name}, and a new one "
                      "is begun.", stacklevel=2)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    store = sqlite3.connect(path, timeout=0.1)
    try:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute(SCHEMA)
        if "edition" not in [column[1] for column in store.execute("PRAGMA table_info(events)")]:
            store.execute(NEW_COLUMN)
        return store
    except sqlite3.Error:
        store.close()
        raise
