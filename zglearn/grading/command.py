"""`python3 -m zglearn grade SUBMISSIONS --out GRADES`: a class of notebooks to a gradebook.

What runs where stands in `engine`; what a check asks, in `exercises.exercise`; what is kept, in
`store`. docs/instructors.md shows how to use it.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import sqlite3
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from joblib import cpu_count
from tqdm import tqdm

if sys.platform == "win32":  # it cannot fork, and would fail on an import below
    sys.exit("zglearn grade runs on Linux and macOS. On Windows, run it in WSL.")

from zglearn import paths
from zglearn.authoring.roster import BadRoster, read_roster
from zglearn.exercises import bank

from . import marks as manual
from . import reports, sandbox
from .checks import (
    CourseBroken,
    chapters,
    grader_digest,
    modules,
    solution,
    use_course,
    with_outputs,
)
from .inputs import collect
from .rows import gradebook
from .store import Busy, Store
from .workers import ClusterLost, NoCluster, attempt, grade_submission, pool

FULL = (errno.ENOSPC, errno.EDQUOT)
NO_SPACE = os.strerror(errno.ENOSPC)
ROOM = 2**16  # bytes of temporary files, without which there is no point in beginning
TASKS_OF_TIME = 6  # a notebook may take this many times the timeout of one task
WEAKER = ("Warning: the sandbox is weaker here than it could be. Files (and TCP, since Linux 6.7) "
          "are out of reach of students' code, but it sees the names of your processes. "
          "docs/instructors.md says what would help.")
UNLIMITED = ("Warning: nothing limits the memory and the processes of students' code: one notebook "
             "may bring this machine down.")
WEAK = ("Warning: students' code is NOT shut in here: it can read and change what you can. Grade "
        "in a container, on a machine that allows namespaces, or as a user who owns nothing; "
        "--require-sandbox refuses to grade like this.")


class CannotGrade(Exception):
    """Grading cannot begin; the message says what to do."""


def main(argv: list[str]) -> int:
    options = parser().parse_args(argv)
    try:
        return grade(options)
    except (CannotGrade, CourseBroken, NoCluster, Busy, BadRoster, manual.BadMarks) as problem:
        print(f"zglearn grade: {problem}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except (OSError, sqlite3.OperationalError) as problem:
        full = "the disk is full" if getattr(problem, "errno", 0) in FULL else problem
        print(f"zglearn grade: {options.out} cannot be written: {full}.\nWhat was graded before "
              "is safe. Make room or choose another --out, then run the same command again.",
              file=sys.stderr)
        return 1
    except ClusterLost as problem:
        print(f"zglearn grade: {problem}", file=sys.stderr)
        return 1
    except sqlite3.DatabaseError as problem:
        print(f"zglearn grade: {options.out / 'grades.sqlite'} is damaged: {problem}.\nPut a copy "
              "from a backup in its place, or choose a new --out.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it was.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python3 -m zglearn grade",
                                description="Grade a class of notebooks: a gradebook, and a page "
                                            "of feedback for each student.",
                                epilog="docs/instructors.md leads from hand-out to gradebook.")
    p.add_argument("submissions", type=Path, metavar="SUBMISSIONS",
                   help="a folder or a zip: a folder for each student, or flat files")
    p.add_argument("--out", type=Path, default=Path("grades"), metavar="GRADES",
                   help="where the gradebook, feedback and record go (default: %(default)s)")
    p.add_argument("--only", action="append", default=[], metavar="NN", type=two_digits,
                   help="grade this chapter only, such as 04; may be repeated")
    p.add_argument("--jobs", type=between(int, 1), default=cpu_count(), metavar="N",
                   help="notebooks at a time (default: one for each processor, %(default)s)")
    p.add_argument("--timeout", type=between(float, 0.1), default=20, metavar="S",
                   help="seconds for one exercise, or one cell (default: %(default)s)")
    p.add_argument("--memory", type=between(int, 64), default=1024, metavar="MB",
                   help="memory for a student's process, beyond the imports (default: %(default)s)")
    p.add_argument("--due", type=moment, metavar="DATE",
                   help="deadline of the chapters graded now, such as 2026-03-31T18:00")
    p.add_argument("--late", type=between(float, 0, 100), default=10, metavar="PERCENT",
                   help="what each day begun after it costs, in percent (default: %(default)s)")
    p.add_argument("--grace", type=between(float, 0), default=0, metavar="MINUTES",
                   help="minutes after the deadline that still count as in time")
    p.add_argument("--roster", type=Path, metavar="CSV",
                   help="whose variants are whose, as `release --roster` wrote it")
    p.add_argument("--manual", action="store_true",
                   help="make a page for each open question, to mark the answers by hand")
    p.add_argument("--marks", type=Path, metavar="CSV",
                   help="marks given by hand, as those pages save them")
    p.add_argument("--old-numbers", action="store_true",
                   help="the exercises in the --marks file are numbered as in 0.1.0")
    p.add_argument("--again", action="store_true",
                   help="grade everything again, not only what is new")
    p.add_argument("--accept-older", action="store_true",
                   help="use today's checks for exercises of an older hand-out")
    p.add_argument("--require-sandbox", action="store_true",
                   help="refuse to grade unless students' code is fully shut in")
    p.add_argument("--without", action="append", default=[], choices=sandbox.LAYERS,
                   help="switch a layer of the sandbox off")
    p.add_argument("--scheduler", default="", metavar="ADDRESS",
                   help="grade on the workers of a Dask cluster, such as tcp://host:8786")
    p.add_argument("--course", type=Path, default=paths.home(), metavar="FOLDER",
                   help="the course with its solutions/ (default: this one)")
    return p


def two_digits(text: str) -> str:
    """A chapter's number as file names have it: "4" -> "04"."""
    return text.zfill(2)


def between(kind: type, least: float, most: float = 100_000):
    """The type of an option that is a number from `least` to `most`."""
    def number(text: str):
        if not least <= (value := kind(text)) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return value

    number.__name__ = "number"  # argparse says it of what is none
    return number


def moment(text: str) -> float:
    """Seconds since 1970 of a date in ISO form, local time unless it says otherwise."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date: write it as 2026-03-31T18:00") from None


def grade(options) -> int:
    """Grade, write all reports, and return the exit code: 0 if nothing was left ungraded."""
    source, out = options.submissions.resolve(), options.out.resolve()
    if not source.exists():
        raise CannotGrade(f"there are no submissions at {source}: name the folder that holds them")
    if source in (Path(sys.prefix).resolve(), *Path(sys.prefix).resolve().parents):
        raise CannotGrade(f"{source} holds Python itself: put the submissions in their own folder")
    if out == source or out in source.parents:
        raise CannotGrade("choose an --out folder that does not hold the submissions")
    if out.is_dir() and {path.name for path in out.iterdir()} - {"grades.lock"} and not (
            out / "grades.sqlite").exists():
        raise CannotGrade(f"{out} holds other files: choose a new folder for --out")
    _require_room()
    use_course(options.course)
    course = chapters(options.course)
    graded = set(options.only) or set(course)
    if missing := graded - set(course):
        raise CourseBroken(f"there are no solutions and checks for {', '.join(sorted(missing))}: "
                           f"--only takes {', '.join(course)}")
    try:
        inputs = collect(source, {n: c["name"] for n, c in course.items()}, graded, skip=out,
                         only=bool(options.only))
    except OSError as problem:
        raise CannotGrade(f"the submissions cannot be read: {problem}") from problem
    if not inputs.submissions:
        raise CannotGrade(f"no notebook of this course in {source}" + _listed(inputs.ignored))
    seeds = read_roster(options.roster) if options.roster else {}
    if missing := {s.student for s in inputs.submissions} - seeds.keys() if seeds else ():
        print(f"Not in {options.roster}, so graded with the course's own numbers: "
              f"{', '.join(sorted(missing))}.")
    course = {n: course[n] for n in sorted({s.chapter for s in inputs.submissions})}
    with Store(out) as store:
        if store.renumbered:
            print("The record was made with 0.1.0: it has this edition's numbers now, and a copy "
                  f"is kept in {store.renumbered}.")
        if said := manual.read_marks(store, options.marks, options.old_numbers):
            print(said)
        for chapter in course if options.due else ():
            store.set_deadline(chapter, options.due, options.late, options.grace * 60)
        reasons = _grade_new(store, options, course, inputs.submissions, seeds)
        failed, full = len(reasons), any(NO_SPACE in reason for reason in reasons)
        rows = gradebook(store)
        reports.write_all(store, rows, out, inputs.ignored)
        tasks = {id: text for c in course.values() for id, text in c["tasks"].items()}
        pages = manual.write_pages(store, out, tasks) if options.manual else []
    print(reports.in_short(rows, out) + _listed(inputs.ignored))
    if pages:
        print("To mark by hand, open", ", ".join(str(out / page) for page in pages))
    elif options.manual:
        print("Nobody has answered an open question, so there is no page to mark.")
    if full:
        print(f"A disk was full: {tempfile.gettempdir()}, for temporary files, or the one below "
              f"{out}. Make room, or name another folder in TMPDIR.", file=sys.stderr)
    if failed:
        print(f"{failed} could not be graded, for a reason that is not the student's (see the "
              "gradebook): run the same command again.", file=sys.stderr)
    return 1 if failed else 0


def _require_room() -> None:
    """Raise CannotGrade unless there is room for temporary files."""
    try:
        with tempfile.NamedTemporaryFile(prefix="zglearn-room-") as file:
            file.write(bytes(ROOM))
    except OSError as problem:
        folder = tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")
        why = "is full" if problem.errno in FULL else f"cannot be used: {problem}"
        raise CannotGrade(f"the folder for temporary files, {folder}, {why}. Make room, or name "
                          "another: TMPDIR=/somewhere python3 -m zglearn grade ...") from None


def _listed(ignored) -> str:
    lines = [f"  {name}: {why}" for name, why in ignored[:10]]
    if len(ignored) > len(lines):
        lines.append(f"  and {len(ignored) - len(lines)} more: see not_graded.csv")
    return "\n".join([f"\nNot graded ({len(ignored)}):", *lines]) if ignored else ""


def _grade_new(store, options, course, submissions, seeds) -> list[str]:
    """Grade what is not known yet; returns why what failed on the grader's side did."""
    limits = {"timeout": options.timeout, "budget": TASKS_OF_TIME * options.timeout,
              "memory": options.memory * 2**20, "accept_older": options.accept_older}
    rules = {**limits, "grader": grader_digest()}
    keys = {id(s): _key(s, course[s.chapter], rules | _seed_of(s, seeds)) for s in submissions}
    pending = [s for s in submissions
               if options.again or not store.known(s.student, s.chapter, keys[id(s)])]
    settings = {"course": str(options.course.resolve()), "modules": modules(course),
                "chapters": list(course),
                "hidden": [str(path) for path in _hidden(options)]}
    number = store.begin({**limits, **settings})
    failed = []
    with pool(options.jobs, options.scheduler) as run:
        asked = any(s.files for s in pending)
        jobs = _jobs(run, settings, limits, course, options) if asked else {}
        tasks = ((n, settings, jobs.get(s.chapter, {}) | {"seed": seeds.get(s.student, "")},
                  s.files, s.unusable) for n, s in enumerate(pending))
        results = run(grade_submission, tasks)
        for n, result in tqdm(results, total=len(pending), unit="notebook", disable=None):
            s = pending[n]
            store.add(number, s.student, s.chapter, keys[id(s)], s.submitted, result)
            failed += [result["failed"]] if "failed" in result else []
    store.finish(number)
    return failed


def _seed_of(submission, seeds) -> dict:
    """What a grade depends on besides, where students have variants."""
    return {"seed": seeds[submission.student]} if submission.student in seeds else {}


def _key(submission, chapter, rules) -> str:
    """A digest of all that a grade depends on."""
    handed_in = [file.digest for file in submission.files] or submission.unusable
    parts = [handed_in, chapter["version"], rules]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _hidden(options) -> list[Path]:
    """What no student's code may read."""
    folders = [options.course / "solutions", options.submissions, options.out, *bank.__path__]
    return [Path(folder).resolve() for folder in folders]


def _jobs(run, settings, limits, course, options) -> dict[str, dict]:
    """What a referee is told, by chapter. The course's own solution is graded first: what the
    checks print for it is what nbval compares with."""
    job = {**limits, "layers": _layers(run, settings, limits, options)}
    tasks = [(n, settings, {**job, "chapter": chapter, "key": True}, solution(chapter))
             for n, chapter in course.items()]
    return {n: {**job, "chapter": with_outputs(course[n], result)}
            for n, result in run(attempt, tasks)}


def _layers(run, settings, limits, options) -> list[str]:
    """The layers of the sandbox that hold here; says so, and refuses if more are required."""
    wanted = [layer for layer in sandbox.LAYERS if layer not in options.without]
    probe = {**limits, "layers": wanted, "probe": True}
    ((_, result),) = run(attempt, [("", settings, probe, b"")])
    if "failed" in result:
        raise CannotGrade(f"the sandbox does not start: {result['failed']}")
    off = {**{layer: "switched off" for layer in options.without}, **result["off"]}
    print("Sandbox:", ", ".join(layer for layer in wanted if layer not in off) or "none")
    for layer, why in off.items():
        print(f"  without {layer}: {why}")
    if "namespaces" in off or "limits" in off:
        if options.require_sandbox:
            raise CannotGrade("--require-sandbox: students' code cannot be fully shut in here. "
                              "docs/instructors.md says what this machine needs.")
        print(_weakness(off), file=sys.stderr)
    return [layer for layer in wanted if layer not in off]


def _weakness(off) -> str:
    if "namespaces" not in off:
        return UNLIMITED
    return WEAK if "landlock" in off else WEAKER
