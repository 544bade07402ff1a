"""Find the submissions: folders, flat files and zips, as instructors and learning platforms make.

    anna/04_momentum.ipynb                                a folder for each student
    anna_04_momentum.ipynb                                flat files
    doejane_LATE_4711_99_04_momentum-1.ipynb              flat files from Canvas
    Jane Doe_4711_assignsubmission_file_/04_….ipynb       folders from Moodle
    class.zip, anna.zip                                   zips of any of these, and within these

A notebook belongs to the chapter that its content says, or else its name. Nothing is unpacked to
disk, symbolic links are not followed, and what is not graded is listed with the reason. What a
file holds is looked at in a process that may die of it (see `reading`).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import struct
import time
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from . import reading
from .notebook import CHECK, Unreadable, code_cells, read_notebook, stamp_of

MAX_FILE, PIECE = 300 * 2**20, 2**20
MAX_UNZIPPED, RATIO = 2**30, 20  # bytes that notebooks and zips in the zips of the class may take:
# so many, and so many times the bytes that all zips take on the disk
MAX_MEMBERS = 20_000  # notebooks and zips in a zip, ...
MAX_INNER = 1_000  # ... in one within a zip, ...
MAX_ALL = 50_000  # ... and in all of them together
PART = 1_000  # files of a zip that are told in one message
MAX_OTHERS = 2_000  # other files of a zip that are listed one by one
LONGEST_NAME = 300  # characters of a name in the reports
LONGEST_PATH, MAX_DEPTH = 1_000, 40  # characters and folders of a name that is looked at
LARGE = 4 * 2**20  # a notebook full of outputs: its name tells the chapter, or what it mentions
MENTIONED = re.compile(rb"check\(\\?[\"'](\d\d)\.\d")
MAX_ZIP_DEPTH = 3
FEW = 0.1  # a chapter that less than this share of the class handed in was not set to the class
MAX_VERSIONS = 4  # notebooks of one chapter that one student may hand in
SECONDS_TO_1970 = 11_644_473_600  # from 1601, where the times of NTFS begin
TRIALS = 3  # cells that begin with %%trial: so many have only the course's own solutions
NOTEBOOK = re.compile(r"\.ipynb(\.json|\.txt)?$", re.IGNORECASE)  # some browsers add an ending
CANVAS = re.compile(r"(?P<name>[^_]+)(?:_LATE)?_(?P<id>\d{2,})_\d{2,}(?:_.*)?")
MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_.*")
COPY = re.compile(r"(?i)[-_. ]*+(?<![^\W_])(copy|final|version|v)?[-_. ]*+\(?\d{0,2}\)?$")
IGNORED = {".ipynb_checkpoints": "a checkpoint of JupyterLab", "__MACOSX": "made by macOS"}
JOINERS = "\u200c\u200d"  # in Persian, Hindi and emoji, part of how a name is written


class TooLarge(Exception):
    """A file is larger than the grader reads."""


@dataclass(frozen=True)
class File:
    """A file of the submissions. `parts` is its place: folders, and zips as if they were folders;
    `inside` leads through zips to it, and `dates` holds the dates of these and its own; `digest`
    is of its bytes; `shared` says that the outermost zip holds the work of several students."""

    parts: tuple[str, ...]
    path: Path
    inside: tuple[str, ...] = ()
    dates: tuple[float, ...] = (0.0,)
    size: int = 0
    digest: str = ""
    shared: bool = False

    @property
    def name(self) -> str:
        name = _text("/".join(self.parts))
        return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"

    @property
    def is_zip(self) -> bool:
        return self.parts[-1].lower().endswith(".zip")

    @property
    def received(self) -> float:
        """When it was handed in. The dates inside a student's own zip are the student's to set."""
        return self.dates[1] if self.shared and len(self.dates) > 1 else self.dates[0]

    def read(self) -> bytes:
        """Its bytes. Raises TooLarge, OSError or zipfile.BadZipFile."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, piece by piece. Raises as `read` does."""
        try:
            yield from _pieces(self.path, self.inside)
        except (TooLarge, OSError, MemoryError):
            raise
        except Exception as error:  # a damaged zip raises anything; a password, RuntimeError
            raise zipfile.BadZipFile(str(error) or type(error).__name__) from error


def _pieces(path: Path, inside: tuple[str, ...]) -> Iterator[bytes]:
    size = 0
    with _archive(path, inside[:-1]).open(inside[-1]) if inside else open(path, "rb") as file:
        while piece := file.read(PIECE):
            if (size := size + len(piece)) > MAX_FILE:
                raise TooLarge(f"larger than {MAX_FILE >> 20} MB")
            yield piece


@lru_cache(MAX_ZIP_DEPTH)  # the files of a zip are read one after the other
def _archive(path: Path, inside: tuple[str, ...]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(_pieces(path, inside))) if inside else path)


@dataclass
class Submission:
    """What one student handed in for one chapter, the newest file first; or, if it was nothing
    that can be graded, `unusable`: a file's name, and why not."""

    student: str
    chapter: str
    files: list[File] = field(default_factory=list)
    unusable: tuple[str, str] | None = None

    @property
    def submitted(self) -> float:
        return max((file.received for file in self.files), default=0.0)


@dataclass
class Inputs:
    """All that was found. `ignored` lists (file, reason)."""

    submissions: list[Submission]
    ignored: list[tuple[str, str]]


def collect(source: Path, stems: dict[str, str], graded: set[str], skip: Path,
            only: bool = False) -> Inputs:
    """The submissions in `source`, a folder, a zip or one notebook.

    `stems` names the notebooks of the course, {"04": "04_momentum"}; those of the chapters in
    `graded` are wanted, and with `only` of everybody: see `_set_to_all`; `skip` is the output
    folder.
    """
    ignored: list[tuple[str, str]] = []
    files, folders = _files(source, skip, ignored)
    chosen = []
    for file in files:
        why = next((IGNORED[part] for part in file.parts if part in IGNORED), None)
        if why or not NOTEBOOK.search(file.parts[-1]):
            ignored.append((file.name, why or "not a notebook"))
        else:
            chosen.append(file)
    notebooks = []
    for file, found, _ in reading.each(_look, chosen):  # the referee will say what is wrong with it
        if found.get("copied"):
            ignored.append((file.name, "a copy of the course's own solutions"))
        else:
            digest = found.get("digest", f"unread, of {file.size} bytes and {file.dates}")
            chapter = found.get("chapter") or _chapter_in_name(file, stems) or found.get("mentions")
            notebooks.append((replace(file, digest=digest), chapter or ""))
    places = [(_place(file.parts, stems), chapter) for file, chapter in notebooks]
    depth = _class_depth([place for place in places if place[1]], stems)
    owned = [(_student(parts[depth:], stems, source, in_zip=bool(file.inside)), file, chapter)
             for (parts, _), (file, chapter) in zip(places, notebooks, strict=True)]
    owners = Counter(path for path, _ in {(file.path, student) for student, file, _ in owned})
    owned = [(student, replace(file, shared=file.path == source or owners[file.path] > 1), chapter)
             for student, file, chapter in owned]
    wanted = _set_to_all([(student, chapter) for student, _, chapter in owned], graded, only)
    found: dict[tuple[str, str], Submission] = {}
    students = (set() if depth else folders) - set(stems.values())
    for student, file, chapter in sorted(owned, key=lambda each: not each[2]):
        if not chapter and len(wanted) == 1 and (student, *wanted) not in found:
            (chapter,) = wanted  # it does not say what it is, but can be nothing else
        if chapter in graded:
            key = student, chapter
            found.setdefault(key, Submission(student, chapter)).files.append(file)
        else:
            ignored.append((file.name, f"chapter {chapter}, which is not being graded" if chapter
                            else "not recognisable as a notebook of this course"))
        if chapter in graded or len(_place(file.parts, stems)) > depth + 1:
            students.add(student)
    unusable = _unusable(ignored, depth, stems, source)
    for student in students | unusable.keys():
        for chapter in wanted:
            why = None if student in students else unusable[student]
            found.setdefault((student, chapter), Submission(student, chapter, unusable=why))
    for submission in found.values():
        _newest_first(submission, ignored)
    return Inputs([found[key] for key in sorted(found)], sorted(ignored))


# --- files ------------------------------------------------------------------------------------


def _files(source: Path, skip: Path, ignored: list) -> tuple[list[File], set[str]]:
    """All files, those in zips among them; and the names of the empty folders of `source`."""
    if source.is_file():
        status, folders = source.stat(), set()
        top = File((source.name,), source, dates=(status.st_mtime,), size=status.st_size)
        files, zips = ([], [top]) if zipfile.is_zipfile(source) else ([top], [])
    else:
        found, folders = _walk(source, skip, ignored)
        files, zips = [f for f in found if not f.is_zip], [f for f in found if f.is_zip]
    room = Room(MAX_UNZIPPED + RATIO * sum(file.size for file in zips), MAX_ALL)
    while zips:  # level by level: what is in them may be zips again
        found = [member for file, members in _listed(zips, ignored)
                 for member in _admitted(file, members, room, source, ignored)]
        files += [file for file in found if not file.is_zip]
        zips = [file for file in found if file.is_zip]
    return files, folders


def _walk(source: Path, skip: Path, ignored: list) -> tuple[list[File], set[str]]:
    found, empty, folders = [], set(), [()]
    while folders:
        folder = folders.pop()
        with os.scandir(source.joinpath(*folder)) as entries:
            entries = sorted(entries, key=lambda entry: entry.name)
        for entry in entries:
            parts, path = (*folder, entry.name), Path(entry.path)
            if path == skip:
                continue
            name, status = _text("/".join(parts)), entry.stat(follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                empty.discard(_text(parts[0]))
                if stat.S_ISREG(status.st_mode):
                    found.append(File(parts, path, (), (status.st_mtime,), status.st_size))
                else:
                    ignored.append((name, "not a regular file (a link, say)"))
            elif not os.access(path, os.R_OK | os.X_OK):
                empty.discard(_text(parts[0]))
                ignored.append((f"{name}/", "a folder that you may not look into"))
            elif len(parts) > MAX_DEPTH:
                ignored.append((f"{name[:LONGEST_NAME]}/", "folders nested too deeply"))
            else:
                folders.append(parts)
                if not folder:
                    empty.add(_text(entry.name))
    return sorted(found, key=lambda file: file.parts), empty


@dataclass
class Room:
    """What the zips of the whole class may still hold: bytes of notebooks and zips, and files."""

    size: int
    files: int


def _listed(zips: list[File], ignored: list) -> list[tuple[File, list]]:
    """The members of each zip, as [name, size, date]: those of the smallest first, so that what is
    too much for the class is the work of those who handed in too much."""
    opened = []
    for file, found, why in reading.each(_members, zips):
        if why or "bad" in found:
            ignored.append((file.name, f"not a zip that can be read: {why or found['bad']}"))
        else:
            opened.append((file, [member for key, part in found.items()
                                  if key.startswith("members") for member in part]))
            ignored += [(f"{file.name}/{name}", reason) for name, reason in found["odd"]]
    return sorted(opened, key=lambda pair: max(need / most for need, most in zip(
        _needs(pair[1]), (MAX_UNZIPPED, MAX_ALL), strict=True)))


def _needs(members: list) -> tuple[int, int]:
    """The bytes and the number of what has to be unpacked of a zip."""
    sizes = [size for name, size, _ in members if _is_read(name)]
    return sum(sizes), len(sizes)


def _admitted(file: File, members: list, room: Room, source: Path, ignored: list) -> list[File]:
    """The files of a zip, while there is room for them."""
    size, files = _needs(members)
    if size > room.size or files > room.files:
        ignored.append((file.name, "not a zip that can be read: the zips of the class would "
                        "unpack to too much, and this is among the largest"))
        return []
    room.size, room.files = room.size - size, room.files - files
    as_root = file.path == source and not file.inside
    folder = () if as_root else (*file.parts[:-1], file.parts[-1][:-4])
    found = []
    for name, size, date in members:
        try:
            seconds = date if isinstance(date, int | float) else time.mktime((*date, 0, 0, -1))
        except (ValueError, OverflowError):
            seconds = file.dates[-1]
        found.append(File((*folder, *_parts(name)), file.path, (*file.inside, name),
                          (*file.dates, seconds), size))
    return found


def _is_read(name: str) -> bool:
    return bool(NOTEBOOK.search(name)) or name.lower().endswith(".zip")


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _members(file: File) -> Iterator[dict]:
    """What is in a zip; in a process that may die of it."""
    if len(file.inside) >= MAX_ZIP_DEPTH:
        yield {"bad": "zips nested too deeply"}
        return
    try:
        archive = _archive(file.path, file.inside)
    except MemoryError:
        raise
    except Exception as error:  # a damaged zip raises anything
        yield {"bad": str(error) or type(error).__name__}
        return
    members = [m for m in archive.infolist() if _parts(m.filename) and not m.is_dir()]
    odd, read, others = [], [], []
    for member in members:
        name = member.filename
        (odd if len(name) > LONGEST_PATH or len(_parts(name)) > MAX_DEPTH
         else read if _is_read(name) else others).append(member)
    told = [(m.filename[:LONGEST_NAME], "its name is too long") for m in odd[:MAX_OTHERS]]
    if len(others) > MAX_OTHERS:
        told.append((f"{len(others) - MAX_OTHERS} more files", "not notebooks"))
    if len(read) > (MAX_INNER if file.inside else MAX_MEMBERS):
        yield {"bad": f"it holds {len(read)} notebooks and zips, which is too many"}
    else:
        yield {"odd": told}
        kept = [(m.filename, m.file_size, _date(m)) for m in
                sorted(read + others[:MAX_OTHERS], key=lambda m: (m.filename, m.file_size))]
        for n in range(0, len(kept), PART):
            yield {f"members {n}": kept[n:n + PART]}


def _date(member: zipfile.ZipInfo) -> float | tuple:
    """When a member was changed: in seconds since 1970, if the zip says so (Info-ZIP's extended
    timestamp, or NTFS times); or else what some clock on the wall showed, to two seconds."""
    extra = member.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        body, extra = extra[4:4 + size], extra[4 + size:]
        if kind == 0x5455 and len(body) >= 5 and body[0] & 1:
            return struct.unpack("<i", body[1:5])[0]
        if kind == 0x000A and len(body) >= 16 and body[4:6] == b"\1\0":
            return struct.unpack("<Q", body[8:16])[0] / 1e7 - SECONDS_TO_1970
    return member.date_time


# --- whose, and which chapter -----------------------------------------------------------------


def _set_to_all(handed_in: list[tuple[str, str]], graded: set[str], only: bool) -> set[str]:
    """The chapters in which whoever handed in nothing is told so: all that were asked for by name,
    or else those that the class did; not one that a few students did beside it."""
    if only:
        return graded
    doing = Counter(chapter for _, chapter in set(handed_in) if chapter in graded)
    students = len({student for student, _ in handed_in})
    least = max(min(2, max(doing.values(), default=0)), FEW * students)
    return {chapter for chapter, count in doing.items() if count >= least} or set(doing) or graded


def _look(file: File) -> Iterator[dict]:
    """A notebook's digest; the chapter that its content shows, or else mentions; and whether it is
    a copy of the solutions, as in a folder with the whole course. In a process that may die."""
    try:
        digest, seen, data = hashlib.sha256(), Counter(), b""
        for piece in file.pieces():
            digest.update(piece)
            if len(data) < LARGE:
                data += piece
            seen.update(MENTIONED.findall(piece))
        yield {"digest": digest.hexdigest()}
        if len(data) >= LARGE:
            yield {"mentions": seen.most_common(1)[0][0].decode() if seen else ""}
            return
        notebook = read_notebook(data)
        trials = sum(cell.source.startswith("%%trial ") for cell in code_cells(notebook))
        yield {"chapter": _chapter_of(notebook), "copied": trials >= TRIALS}
    except (Unreadable, OSError, TooLarge, zipfile.BadZipFile):
        return


def _chapter_in_name(file: File, stems: dict) -> str:
    found = re.search("|".join(map(re.escape, stems.values())), file.parts[-1])
    return found[0][:2] if found else ""


def _chapter_of(notebook: dict) -> str:
    name = str(stamp_of(notebook).get("name"))
    if re.match(r"\d\d_", name):
        return name[:2]
    cells = code_cells(notebook)
    seen = Counter(m[1] for c in cells if (m := re.match(r"(?:ans|chk)-(\d\d)-", c.id)))
    seen.update(id[:2] for cell in cells for id in CHECK.findall(cell.source))
    seen.update(n for cell in cells for n in re.findall(r"\banswer_(\d\d)_\d", cell.source))
    return seen.most_common(1)[0][0] if seen else ""


def _class_depth(places: list[tuple[tuple, str]], stems) -> int:
    """How many folders deep the students begin: below a folder that holds the whole class."""
    for depth in range(min((len(parts) for parts, _ in places), default=0)):
        if _is_a_class(places, depth, stems):
            return depth
        folders = {parts[depth] for parts, _ in places}
        if len(folders) > 1:  # students who did different chapters, or weeks that hold students
            weeks = defaultdict(list)
            for place in places:
                weeks[place[0][depth]].append(place)
            return depth + 1 if all(_is_a_class(week, depth + 1, stems)
                                    for week in weeks.values()) else 0
    return 0


def _is_a_class(places, depth: int, stems) -> bool:
    """Whether two who begin at this depth handed in the same chapter."""
    owners = {(parts[depth] if len(parts) > depth + 1 else _own_name(parts[depth], stems), chapter)
              for parts, chapter in places if len(parts) > depth}
    counts = Counter(chapter for owner, chapter in owners if owner)
    return max(counts.values(), default=0) > 1


def _place(parts: tuple[str, ...], stems) -> tuple[str, ...]:
    """The folders and the name of a file, without folders that are called like a chapter."""
    return (*(part for part in parts[:-1] if part not in stems.values()), parts[-1])


def _student(parts, stems, source: Path, in_zip=False) -> str:
    """Whose it is. From Canvas come no folders, but the first of `parts` may be a zip's name."""
    if len(parts) > 1:
        name = _text(parts[0])
        folder = MOODLE.fullmatch(name) or in_zip and CANVAS.fullmatch(name)
        return f"{folder['name']}_{folder['id']}" if folder else name
    return _own_name(parts[0], stems) or NOTEBOOK.sub("", source.name.removesuffix(".zip"))


def _own_name(filename: str, stems) -> str:
    """What a flat file's name says of its student: "anna_04_momentum.ipynb" -> "anna".

    And so does "04_momentum_anna.ipynb"; but "04_momentum (1).ipynb" says nothing.
    """
    stem = NOTEBOOK.sub("", _text(filename))
    for name in stems.values():
        if name in stem:
            before, _, after = stem.partition(name)
            stem = before.rstrip("_-. ") or COPY.sub("", after).strip("_-. ()")
            break
    for pattern in (MOODLE, CANVAS):
        if match := pattern.fullmatch(stem):
            return f"{match['name']}_{match['id']}"
    return stem


def _text(name: str) -> str:
    """A file's name as text that can be written in a line, whatever its bytes are."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = unicodedata.normalize("NFC", text)  # macOS writes é as two characters
    return "".join("\ufffd" if c in "\n\t\r" else c for c in shown(text))


def shown(text: str) -> str:
    """The text with a mark for each character that shows nothing itself, but may change how the
    text beside it is shown: control characters, and those that turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in JOINERS or c in "\n\t\r" else "\ufffd"
                   for c in text)


def _unusable(ignored, depth: int, stems, source: Path) -> dict[str, tuple[str, str]]:
    """By student, a file that cannot be graded: in their folder, or a zip that should be one."""
    found = {}
    for name, why in sorted(ignored):
        parts = _place(name.split("/"), stems)[depth:]
        is_zip = bool(parts) and parts[-1].lower().endswith(".zip")
        if is_zip:
            parts = (*parts[:-1], parts[-1][:-4], "")
        if len(parts) > 1 and not parts[0].startswith((".", "__")):
            found.setdefault(_student(parts, stems, source, is_zip), (name, why))
    return found


def _newest_first(submission, ignored) -> None:
    files = submission.files
    files.sort(key=lambda file: (-file.dates[-1], file.name))
    ignored += [(file.name, f"older than the newest {MAX_VERSIONS} of this student")
                for file in files[MAX_VERSIONS:]]
    del files[MAX_VERSIONS:]
