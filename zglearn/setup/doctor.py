"""`python3 -m zglearn doctor`: what is installed, what is missing or broken, and how to mend it.

It examines the private environment if that stands, else (or with --here) the active one.
Only the standard library is imported until a check needs more, so that it can always report.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from . import launcher

ROOT = launcher.ROOT
PIP = f"{sys.executable} -m pip install"
LAB = "python3 -m zglearn lab"
ROOM = 1e9  # bytes that a first run and its caches need

# What a kernel sees, asked inside it.
PROBE = """
import json, sys
from importlib import metadata
def version(name):
    try: return metadata.version(name)
    except metadata.PackageNotFoundError: return None
seen = {"prefix": sys.prefix, "zglearn": None, "threads": None}
seen |= {name: version(name) for name in ("ipywidgets", "anywidget")}
try:
    import zglearn
    seen["zglearn"] = zglearn.__file__
    import numpy, scipy.linalg, threadpoolctl
    seen["threads"] = max((pool["num_threads"] for pool in threadpoolctl.threadpool_info()),
                          default=1)
except ImportError as error:
    seen["error"] = str(error)
print(json.dumps(seen))
"""


@dataclass(frozen=True)
class Finding:
    """``state`` is "ok", "note" (works, or is not needed by everyone) or "BAD"."""

    state: str
    what: str
    mend: str = ""


def main(argv: list[str]) -> int:
    """Print every finding. The exit code is 1 if something is to be mended, else 0."""
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn doctor",
        description="Say what is installed, what is missing or broken, and how to mend it. "
                    "Changes nothing. The exit code is 1 if something is broken.")
    parser.add_argument("--here", action="store_true",  # see launcher.enter_environment
                        help="examine the Python environment that is active now")
    parser.parse_args(argv)
    print(f"Python {sys.version.split()[0]}, {sys.executable}\n")
    bad = 0
    for finding in examine():
        bad += finding.state == "BAD"
        print(textwrap.fill(f"{finding.state:<6}{finding.what}", 96, subsequent_indent=" " * 6,
                            break_long_words=False, break_on_hyphens=False))
        if finding.mend:
            print(f"      mend: {finding.mend}")
    print(f"\n{bad} to mend." if bad else "\nNothing to mend.")
    return 1 if bad else 0


def examine() -> Iterator[Finding]:
    yield from environment()
    absent = launcher.missing_packages()
    yield from packages(absent)
    if not {"jupyterlab", "ipywidgets"} & set(absent):
        yield from kernel()
        yield from lab_extensions()
    if not absent:
        yield text_cache()
    yield from folders()
    yield from updates()
    yield from system_tools()


def environment() -> Iterator[Finding]:
    if launcher.stands(launcher.COURSE_LOCK):
        yield Finding("ok", "the private environment stands and matches requirements.lock")
    elif launcher.stands():
        yield Finding("BAD", "the private environment is older than requirements.lock", LAB)
    elif launcher.ENV.exists():
        yield Finding("BAD", f"the private environment {launcher.ENV} is half-made or broken",
                      f"{LAB}  makes it anew")
    else:
        yield Finding("note", f"there is no private environment: this is about {sys.prefix}",
                      f"{LAB}  makes one (not needed if you use your own)")


def packages(absent: list[str]) -> Iterator[Finding]:
    """The packages of requirements.txt: there, and within the range that is tested?"""
    own = sys.prefix != sys.base_prefix and not launcher.in_private_environment()
    mend = f'cd "{ROOT}"  and then  {PIP} -r requirements.txt' if own else LAB
    if absent:
        yield Finding("BAD", f"not installed: {', '.join(absent)}", mend)
    if "jupyterlab" in absent:  # which brings packaging
        return
    from packaging.requirements import Requirement

    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = [Requirement(line) for line in lines if re.match(r"\w", line)]
    found = {r: metadata.version(r.name) for r in required if r.name not in absent}
    outside = [f"{r.name} {version}, not {r.specifier}" for r, version in found.items()
               if not r.specifier.contains(version, prereleases=True)]
    if outside:
        yield Finding("BAD", f"not a tested version: {'; '.join(outside)}", mend)
    else:
        yield Finding("ok", ", ".join(f"{r.name} {version}" for r, version in found.items()))


def kernel() -> Iterator[Finding]:
    """Does the kernel `python3` run in this environment, with the same widgets and one thread?"""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    own = f"{sys.executable} -m ipykernel install --sys-prefix"
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield Finding("BAD", "JupyterLab has no kernel named python3", f"{PIP} ipykernel")
        return
    # A bare "python" stands for the Python that runs JupyterLab.
    python = sys.executable if re.fullmatch(r"python[\d.]*", spec.argv[0]) else spec.argv[0]
    seen = probe(python)
    if seen is None:
        yield Finding("BAD", f"the kernel python3 ({spec.resource_dir}) starts {python}, which "
                             "does not run", own)
        return
    if Path(seen["prefix"]).resolve() != Path(sys.prefix).resolve():
        inside = Path(spec.resource_dir).is_relative_to(sys.prefix)
        yield Finding("BAD", f"the kernel python3 ({spec.resource_dir}) runs in {seen['prefix']}, "
                             f"JupyterLab in {sys.prefix}",
                      own if inside else f"move that folder away, or:  {own}")
    else:
        yield Finding("ok", "the kernel python3 runs in this environment")
    yield from kernel_packages(seen)


def kernel_packages(seen: dict) -> Iterator[Finding]:
    for name in ("ipywidgets", "anywidget"):
        here = metadata.version(name)
        if seen[name] == here:
            yield Finding("ok", f"kernel and JupyterLab see the same {name}, {here}")
        else:
            yield Finding("BAD", f"the kernel sees {name} {seen[name] or '(none)'}, "
                                 f"JupyterLab {here}: widgets will not show",
                          "let the kernel run in JupyterLab's environment (see above)")
    if seen["zglearn"] is None:
        yield Finding("BAD", f"the kernel cannot import zglearn: {seen['error']}",
                      f'cd "{ROOT}"  and then  {PIP} -r requirements.txt')
    elif Path(seen["zglearn"]).resolve().parent != ROOT / "zglearn":
        yield Finding("BAD", f"the kernel takes zglearn from {seen['zglearn']}, another checkout",
                      f'cd "{ROOT}"  and then  {PIP} -e .')
    if seen["threads"] == 1:
        yield Finding("ok", "linear algebra uses one thread")
    elif seen["threads"]:
        yield Finding("note", f"linear algebra uses {seen['threads']} threads, which is slower on "
                              "matrices as small as the course's",
                      "unset OPENBLAS_NUM_THREADS, OMP_NUM_THREADS and MKL_NUM_THREADS")


def probe(python: str) -> dict | None:
    """What a kernel started with `python` in chapters/ sees; None if it does not run."""
    folder = ROOT / "chapters"
    try:
        answer = subprocess.run([python, "-c", PROBE], cwd=folder if folder.is_dir() else ROOT,
                                capture_output=True, text=True, timeout=120)
        return json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


LAB_EXTENSIONS = {"ipywidgets": ("@jupyter-widgets/jupyterlab-manager", "jupyterlab_widgets"),
                  "anywidget": ("anywidget", "anywidget")}


def lab_extensions() -> Iterator[Finding]:
    """Has JupyterLab the browser's half of each widget library, from this environment, enabled?"""
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    disabled = {name for folder in jupyter_config_path() for name in disabled_in(Path(folder))}
    for library, (extension, package) in LAB_EXTENSIONS.items():
        found = [Path(folder, extension) for folder in jupyter_path("labextensions")
                 if Path(folder, extension, "package.json").exists()]
        if not found:
            yield Finding("BAD", f"JupyterLab has no extension for {library}",
                          f"{PIP} --force-reinstall --no-deps {package}")
        elif extension in disabled:
            yield Finding("BAD", f"JupyterLab's extension for {library} is disabled",
                          f"{sys.executable} -m jupyter labextension enable {extension}")
        elif not found[0].is_relative_to(sys.prefix):
            yield Finding("BAD", f"JupyterLab takes its extension for {library} from {found[0]}, "
                                 "which belongs to another installation", "move that folder away")
        else:
            yield Finding("ok", f"JupyterLab's extension for {library} is this environment's")


def disabled_in(config: Path) -> Iterator[str]:
    try:
        page = json.loads((config / "labconfig" / "page_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    names = page.get("disabledExtensions", {})
    yield from (name for name in names if not isinstance(names, dict) or names[name])


def text_cache() -> Finding:
    from zglearn.data import cache_status

    status = cache_status()
    if status.state == "whole":
        return Finding("ok", f"the text cache is whole: {status.size / 1e6:.1f} MB, {status.path}")
    state = "note" if status.state in ("missing", "stale") else "BAD"
    return Finding(state, f"the text cache is {status.state}", status.advice)


def folders() -> Iterator[Finding]:
    """Can the course, and Jupyter, write where they have to, and is there room?"""
    places = [ROOT, ROOT / "chapters", ROOT / "exercises", launcher.HOME]
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        places.append(Path(jupyter_runtime_dir()))
    except ImportError:
        pass
    closed = [str(place) for place in places if place.exists() and not writable(place)]
    if closed:
        yield Finding("BAD", f"cannot be written to: {', '.join(closed)}",
                      "copy the course to a folder of yours, or mend the folders' rights")
    else:
        yield Finding("ok", "all folders can be written to")
    free = shutil.disk_usage(ROOT).free
    if free < ROOM:
        yield Finding("BAD", f"only {free / 1e6:.0f} MB are free on the disk of {ROOT}",
                      f"make {ROOM / 1e9:.0f} GB of room")
    else:
        yield Finding("ok", f"{free / 1e9:.0f} GB are free on the disk")


def updates() -> Iterator[Finding]:
    """Does work from before an update wait to be brought into the new notebooks?"""
    from zglearn.exercises.originals import is_update_unfinished

    try:
        if is_update_unfinished():
            yield Finding("note", "work from before an update is not in the new notebooks yet",
                          "python3 -m zglearn update")
    except OSError:
        pass  # no folder can be written to: that is found above


def writable(folder: Path) -> bool:
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def system_tools() -> Iterator[Finding]:
    """Programs outside Python that learners do not need."""
    tools = {("chromium", "chromium-browser", "google-chrome"): "the browser tests"}
    for names, users in tools.items():
        if any(map(shutil.which, names)):
            yield Finding("ok", f"{names[0]} is installed, for {users}")
        else:
            yield Finding("note", f"{names[0]} is not installed: only {users} need it",
                          "your system's package manager; on Debian:  sudo apt install "
                          f"{names[0]}")
