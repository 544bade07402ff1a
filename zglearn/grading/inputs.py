"""Find the submissions: folders, flat files and zips, as instructors and learning platforms make.

    anna/04_momentum.ipynb                                a folder for each student
    anna_04_momentum.ipynb                                flat files
    doejane_LATE_4711_99_04_momentum-1.ipynb              flat files from Canvas
    Jane Doe_4711_assignsubmission_file_/04_….ipynb       folders from Moodle
    class.zip, anna.zip                                   zips of any of these, and within these

A notebook belongs to the chapter that its content says, or else its name. Nothing is unpacked to
disk, symbolic links are not followed, and what is not graded is listed with the reason.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import time
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from .notebook import CHECK, Unreadable, code_cells, read_notebook

MAX_FILE = 300 * 2**20
MAX_UNZIPPED, MAX_MEMBERS = 8 * 2**30, 20_000
MAX_INNER = 2**30  # bytes that a zip within a zip may unpack to
LONGEST_NAME = 300  # characters of a name in the reports
LARGE = 4 * 2**20  # a notebook full of outputs: its name tells the chapter, or what it mentions
MENTIONED = re.compile(rb"check\(\\?[\"'](\d\d)\.\d")
MAX_ZIP_DEPTH = 3
MAX_VERSIONS = 4  # notebooks of one chapter that one student may hand in
NOTEBOOK = re.compile(r"\.ipynb(\.json|\.txt)?$", re.IGNORECASE)  # some browsers add an ending
CANVAS = re.compile(r"(?P<name>[^_]+)(?:_LATE)?_(?P<id>\d{2,})_\d{2,}(?:_.*)?")
MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_.*")
COPY = re.compile(r"(?i)[-_. ]*(?<![^\W_])(copy|final|version|v)?[-_. ]*\(?\d{0,2}\)?$")
IGNORED = {".ipynb_checkpoints": "a checkpoint of JupyterLab", "__MACOSX": "made by macOS"}


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
    digest: str = ""
    shared: bool = False

    @property
    def name(self) -> str:
        name = _text("/".join(self.parts))
        return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"

    @property
    def received(self) -> float:
        """When it was handed in. The dates inside a student's own zip are the student's to set."""
        return self.dates[1] if self.shared and len(self.dates) > 1 else self.dates[0]

    def read(self) -> bytes:
        """Its bytes. Raises TooLarge, OSError or zipfile.BadZipFile."""
        try:
            return self._read()
        except (TooLarge, OSError):
            raise
        except Exception as error:  # a damaged zip raises anything; a password, RuntimeError
            raise zipfile.BadZipFile(str(error) or type(error).__name__) from error

    def _read(self):
        data = None
        for member in self.inside:
            with zipfile.ZipFile(self.path if data is None else io.BytesIO(data)) as archive:
                with archive.open(member) as file:
                    data = _bounded(file)
        if data is None:
            with open(self.path, "rb") as file:
                data = _bounded(file)
        return data


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


def collect(source: Path, stems: dict[str, str], graded: set[str], skip: Path) -> Inputs:
    """The submissions in `source`, a folder, a zip or one notebook.

    `stems` names the notebooks of the course, {"04": "04_momentum"}; those of the chapters in
    `graded` are wanted; `skip` is the output folder.
    """
    ignored: list[tuple[str, str]] = []
    notebooks = []
    for file in _files(source, skip, ignored):
        why = next((IGNORED[part] for part in file.parts if part in IGNORED), None)
        if why or not NOTEBOOK.search(file.parts[-1]):
            ignored.append((file.name, why or "not a notebook"))
            continue
        file, chapter, copied = _examined(file, stems)
        if copied:
            ignored.append((file.name, "a copy of the course's own solutions"))
        else:
            notebooks.append((file, chapter))
    places = [(_place(file.parts, stems), chapter) for file, chapter in notebooks]
    depth = _class_depth([place for place in places if place[1]], stems)
    owned = [(_student(parts[depth:], stems, source, in_zip=bool(file.inside)), file, chapter)
             for (parts, _), (file, chapter) in zip(places, notebooks, strict=True)]
    owners = Counter(path for path, _ in {(file.path, student) for student, file, _ in owned})
    owned = [(student, replace(file, shared=file.path == source or owners[file.path] > 1), chapter)
             for student, file, chapter in owned]
    wanted = {chapter for _, _, chapter in owned} & graded or graded
    found: dict[tuple[str, str], Submission] = {}
    students = _empty_folders(source, depth) - set(stems.values())
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


def _files(source: Path, skip: Path, ignored: list) -> Iterator[File]:
    if source.is_file():
        found = [File((source.name,), source, dates=(source.stat().st_mtime,))]
        is_zip = zipfile.is_zipfile(source)
        yield from _unzip(found[0], ignored, [MAX_UNZIPPED], as_root=True) if is_zip else found
        return
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if skip == path or skip in path.parents:
            continue
        if path.is_dir() and not path.is_symlink():
            if not _is_open(path):
                ignored.append((_text(f"{name}/"), "a folder that you may not look into"))
            continue
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            ignored.append((_text(str(name)), "not a regular file (a link, say)"))
            continue
        file = File(name.parts, path, dates=(status.st_mtime,))
        is_zip = path.suffix.lower() == ".zip"
        yield from _unzip(file, ignored, [MAX_UNZIPPED]) if is_zip else [file]


def _unzip(file: File, ignored: list, room: list[int], as_root=False) -> Iterator[File]:
    """The files in a zip, and in the zips in it, while there is room for what they unpack to."""
    try:
        members = _members(file, room)
    except Exception as error:  # a damaged zip raises anything
        ignored.append((file.name, f"not a zip that can be read: {error}"))
        return
    folder = () if as_root else (*file.parts[:-1], file.parts[-1][:-4])
    for member in sorted(members, key=lambda m: m.filename):
        parts = (*folder, *PurePosixPath(member.filename.replace("\\", "/")).parts)
        try:
            date = time.mktime((*member.date_time, 0, 0, -1))
        except (ValueError, OverflowError):
            date = file.dates[-1]
        inner = File(parts, file.path, (*file.inside, member.filename), (*file.dates, date))
        is_zip = parts[-1].lower().endswith(".zip")
        yield from _unzip(inner, ignored, room) if is_zip else [inner]


def _members(file: File, room: list[int]) -> list[zipfile.ZipInfo]:
    if len(file.inside) >= MAX_ZIP_DEPTH:
        raise zipfile.BadZipFile("zips nested too deeply")
    with zipfile.ZipFile(io.BytesIO(file.read()) if file.inside else file.path) as archive:
        members = [m for m in archive.infolist() if PurePosixPath(m.filename).parts
                   and not m.is_dir()]
    size = sum(m.file_size for m in members)
    if size > min(room[0], MAX_INNER if file.inside else room[0]) or len(members) > MAX_MEMBERS:
        raise zipfile.BadZipFile("it would unpack to too much")
    room[0] -= size
    return members


def _bounded(file) -> bytes:
    data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise TooLarge(f"larger than {MAX_FILE >> 20} MB")
    return data


# --- whose, and which chapter -----------------------------------------------------------------


def _examined(file: File, stems: dict) -> tuple[File, str, bool]:
    """The file with its digest; the chapter that its content shows, or else its name, or ""; and
    whether it is the notebook of solutions, as in a folder with the whole course."""
    by_name = re.search("|".join(map(re.escape, stems.values())), file.parts[-1])
    number, copied = by_name[0][:2] if by_name else "", False
    try:
        data = file.read()
        file = replace(file, digest=hashlib.sha256(data).hexdigest())
        if len(data) < LARGE:
            notebook = read_notebook(data)
            number = _chapter_of(notebook) or number
            copied = any(cell.source.startswith("%%trial ") for cell in code_cells(notebook))
        elif not number:
            seen = Counter(MENTIONED.findall(data))
            number = seen.most_common(1)[0][0].decode() if seen else ""
    except (Unreadable, OSError, TooLarge, zipfile.BadZipFile):
        pass  # the referee will say what is wrong with it
    return file, number, copied


def _chapter_of(notebook: dict) -> str:
    metadata = notebook.get("metadata")
    stamp = metadata.get("zglearn") if isinstance(metadata, dict) else None
    if isinstance(stamp, dict) and re.match(r"\d\d_", str(stamp.get("name"))):
        return stamp["name"][:2]
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
            weeks = [[place for place in places if place[0][depth] == folder]
                     for folder in folders]
            return depth + 1 if all(_is_a_class(week, depth + 1, stems) for week in weeks) else 0
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
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _empty_folders(source: Path, depth: int) -> set[str]:
    """Students whose folder holds no file at all."""
    if depth or not source.is_dir():
        return set()
    return {_text(folder.name) for folder in source.iterdir()
            if folder.is_dir() and _is_open(folder)
            and not any(p.is_file() for p in folder.rglob("*"))}


def _is_open(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


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
