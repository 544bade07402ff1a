"""How fast the grader is: against nbgrader and otter, and against itself.

    python benchmarks/grading.py [--peers PYTHON] [--copies 60] [--class 1000]

The same right notebook of chapter 04, copied, is graded by `zglearn grade` (nbval and the sandbox
included), by `nbgrader autograde` and by otter's `grade_submission` in a loop; the checks are the
course's own everywhere. All have the same two processors. The experiments, which `zglearn grade`
does not run, are taken out of it. Then it is timed what a notebook costs that holds an endless
loop. `--peers` is a Python that has nbgrader and otter-grader (they do not go well into the
course's own environment):

    python -m venv peers
    peers/bin/pip install -r requirements.txt nbgrader==0.9.6 otter-grader==7.0.0
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = "04"
PROCESSORS = 2
BAR = 8  # times as long as ours: what the peers should take at least
ROUNDS = 2  # the better one counts: what else runs on the machine only adds
AUTOGRADE = """
import sys
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config
config = Config()
config.CourseDirectory.root = sys.argv[1]
config.Exchange.root = sys.argv[1] + "/exchange"
api = NbGraderAPI(config=config)
made = api.generate_assignment("ps", force=True)
assert made["success"], made
"""
OTTER = """
import sys, time, glob
from otter.api import grade_submission
began, scores = time.perf_counter(), []
for path in sorted(glob.glob(sys.argv[1] + "/class/*/*.ipynb")):
    result = grade_submission(path, ag_path=sys.argv[1] + "/autograder.zip", quiet=True)
    scores.append(result.total / result.possible)
print(time.perf_counter() - began, min(scores))
"""
LOOPS = {  # ways not to end, each in place of a right answer
    "in a cell": "while True:\n    pass",
    "in an answer": "def terminal_step(g, lr, beta):\n    while True:\n        pass",
    "that ignores interruptions": "import ctypes\nwhile True:\n"
                                  "    try:\n        ctypes.PyDLL(None).sleep(3600)\n"
                                  "    except BaseException:\n        pass"}
LOOPED = "ans-04-2"
TIMEOUT = 5


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--copies", type=int, default=60)
    parser.add_argument("--class", type=int, default=0, dest="size", metavar="N",
                        help="also grade a class of N, to see whether cost stays the same")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PROCESSORS])
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options)


def compare(folder: Path, options) -> None:
    hand_in(folder, options.copies)
    shutil.copytree(folder / "class" / "student0000", folder / "few" / "student0000")
    peers = {
        "nbgrader, autograde": lambda: nbgrader(folder, options.peers),
        "otter, in a loop": lambda: otter(folder, options.peers)}
    contenders = {
        "zglearn, two workers": lambda: zglearn(folder, "--jobs", "2"),
        "zglearn, one worker": lambda: zglearn(folder, "--jobs", "1"),
        "  without a sandbox": lambda: zglearn(folder, "--jobs", "1", *without_sandbox()),
        **peers,
        "first": lambda: zglearn(folder, "--jobs", "2", source="few")}
    rounds = [{name: measure() for name, measure in contenders.items()} for _ in range(ROUNDS)]
    times = {name: rounds[0][name] and min(each[name] for each in rounds) for name in contenders}
    start, best = times.pop("first"), times["zglearn, two workers"]
    print(f"{options.copies} right copies of chapter {CHAPTER}; {PROCESSORS} of {os.cpu_count()} "
          f"processors, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'':<24}{'seconds':>9}{'a minute':>10}{'times as long':>15}")
    for name, seconds in times.items():
        if seconds is None:
            print(f"{name:<24}  not installed: see --help")
            continue
        bar = f"   {'reached' if seconds >= BAR * best else 'MISSED'}" if name in peers else ""
        print(f"{name:<24}{seconds:>9.1f}{60 * options.copies / seconds:>10.0f}"
              f"{seconds / best:>15.1f}{bar}")
    one, off = times["zglearn, one worker"], times["  without a sandbox"]
    print(f"\nThe first notebook, imports and all: {start:.1f} s.")
    print(f"Two workers are {one / best:.2f} times as fast as one, all in all; without the start, "
          f"{(one - start) / (best - start):.2f} times.")
    print(f"The sandbox costs {1000 * (one - off) / options.copies:.0f} ms a notebook: building it "
          "takes time, and so does finding and ending,\nwithout one, what students' code started.")
    for name, loop in LOOPS.items():
        print(f"An endless loop {name} costs its timeout and "
              f"{endless(folder, loop) - start - TIMEOUT:.2f} s.")
    if options.size:
        grow(folder, options.size)


def hand_in(folder: Path, copies: int) -> None:
    """`copies` students with the course's own answers, in folder/class."""
    (path,) = ROOT.glob(f"solutions/{CHAPTER}_*.ipynb")
    notebook = json.loads(path.read_text())
    notebook["cells"] = [cell for cell in notebook["cells"]
                         if not "".join(cell["source"]).startswith("%%")
                         and not cell["id"].startswith("run-")]
    for n in range(copies):
        student = folder / "class" / f"student{n:04}"
        student.mkdir(parents=True, exist_ok=True)
        mark = {"cell_type": "markdown", "id": f"n{n}", "metadata": {}, "source": str(n)}
        text = json.dumps(notebook | {"cells": [*notebook["cells"], mark]})
        (student / path.name).write_text(text)


# --- the graders ------------------------------------------------------------------------------


def zglearn(folder: Path, *arguments: str, source: str = "class", wrong: int = 0) -> float:
    """Seconds for the students in folder/source, who have so many answers `wrong` in all."""
    out = folder / f"out{time.monotonic_ns()}"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import sys; from zglearn.grading.command import main; "
                    "sys.exit(main(sys.argv[1:]))", folder / source, "--out", out, *arguments],
                   check=True, capture_output=True, env=environment())
    seconds = time.perf_counter() - began
    rows = (out / "gradebook.csv").read_text().splitlines()[1:]
    assert rows and sum(",correct," not in row for row in rows) == wrong, rows
    return seconds


def endless(folder: Path, loop: str) -> float:
    """Seconds for one notebook in which one answer never ends; the others must count."""
    (path,) = (folder / "few" / "student0000").glob("*.ipynb")
    notebook = json.loads(path.read_text())
    (answer,) = (cell for cell in notebook["cells"] if cell["id"] == LOOPED)
    answer["source"] = loop
    student = folder / "endless" / "student0000"
    student.mkdir(parents=True, exist_ok=True)
    (student / path.name).write_text(json.dumps(notebook))
    return min(zglearn(folder, "--timeout", str(TIMEOUT), source="endless", wrong=1)
               for _ in range(ROUNDS))


def without_sandbox() -> list[str]:
    layers = ("namespaces", "landlock", "user", "limits")
    return [word for layer in layers for word in ("--without", layer)]


def nbgrader(folder: Path, python: str) -> float | None:
    """Seconds of one `nbgrader autograde` of the whole class."""
    if not has(python, "nbgrader"):
        return None
    course = Path(tempfile.mkdtemp(dir=folder))
    source = course / "source" / "ps"
    source.mkdir(parents=True)
    for path in sorted((folder / "class").glob("student0000/*.ipynb")):
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            mark_for_nbgrader(cell)
        (source / path.name).write_text(json.dumps(notebook))
    run(python, "-c", AUTOGRADE, str(course))
    for student in sorted((folder / "class").iterdir()):
        shutil.copytree(source, course / "submitted" / student.name / "ps")
    began = time.perf_counter()
    run(python, "-m", "nbgrader", "autograde", "ps", f"--CourseDirectory.root={course}")
    seconds = time.perf_counter() - began
    graded = list(course.glob("autograded/*/ps/*.ipynb"))
    assert len(graded) == len(list((folder / "class").iterdir())), graded
    for path in graded:
        for cell in json.loads(path.read_text())["cells"]:
            for output in cell.get("outputs", []):
                if output["output_type"] == "error":
                    sys.exit(f"nbgrader, {cell['id']}: {output['ename']}: {output['evalue']}. Has "
                             f"{python} all of requirements.txt?")
    return seconds


def mark_for_nbgrader(cell) -> None:
    """Say to nbgrader which cells are answers and which are tests."""
    id = cell["id"]
    if not id.startswith(("ans-", "chk-")):
        return
    is_test = id.startswith("chk-")
    if is_test:
        cell["source"] = "assert {}.accepted".format("".join(cell["source"]).strip())
    cell["metadata"]["nbgrader"] = {
        "grade": is_test, "grade_id": id, "locked": is_test, "schema_version": 3,
        "solution": not is_test, "task": False, **({"points": 1} if is_test else {})}


def otter(folder: Path, python: str) -> float | None:
    """Seconds of otter's API in a loop."""
    if not has(python, "otter"):
        return None
    tests = folder / "tests"
    tests.mkdir(exist_ok=True)
    (notebook,) = (folder / "class").glob("student0000/*.ipynb")
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["id"].startswith("chk-"):
            name = cell["id"].replace("-", "_")
            code = f">>> {''.join(cell['source']).strip()}.accepted\nTrue"
            test = {"name": name, "points": 1, "suites": [
                {"cases": [{"code": code}], "scored": True, "type": "doctest"}]}
            (tests / f"{name}.py").write_text(f"OK_FORMAT = True\ntest = {test!r}\n")
    run(python, "-m", "otter", "generate", "-t", str(tests), "-o", str(folder / "autograder.zip"),
        "--no-environment")
    seconds, worst = map(float, run(python, "-c", OTTER, str(folder)).split()[-2:])
    assert worst == 1, worst
    return seconds


def has(python: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({module!r}))"
    return subprocess.run([python, "-c", code]).returncode == 0


def run(*arguments: str) -> str:
    env = environment()
    env["PATH"] = os.path.dirname(arguments[0]) + os.pathsep + env["PATH"]
    done = subprocess.run(arguments, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)[:300]}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def environment() -> dict:
    return os.environ | {"PYTHONPATH": str(ROOT), "ZGLEARN_PROGRESS": ":memory:"}


# --- a large class ----------------------------------------------------------------------------


def grow(folder: Path, size: int) -> None:
    """Seconds and memory for classes of growing size: a notebook should cost the same in each."""
    print(f"\n{'class':>6}{'seconds':>10}{'ms a notebook':>16}{'memory of the grader, MB':>27}")
    for copies in (10, 100, size):
        shutil.rmtree(folder / "class")
        hand_in(folder, copies)
        grader = subprocess.Popen(
            [sys.executable, "-c", "import sys; from zglearn.grading.command import main; "
             "sys.exit(main(sys.argv[1:]))", folder / "class", "--out", folder / f"class{copies}",
             "--jobs", str(PROCESSORS)], stdout=subprocess.DEVNULL, env=environment())
        began, peak = time.perf_counter(), 0
        while grader.poll() is None:
            peak = max(peak, psutil.Process(grader.pid).memory_info().rss)
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        print(f"{copies:>6}{seconds:>10.1f}{1000 * seconds / copies:>16.0f}{peak / 2**20:>27.0f}",
              flush=True)


if __name__ == "__main__":
    main()
