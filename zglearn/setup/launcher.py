"""The two commands, `lab` and `test`: a private environment, then JupyterLab or pytest in it.

Only the standard library is imported here: this runs before anything is installed. The environment
is the folder `.zglearn/env` of the checkout. It stands when its Python runs, finds this checkout,
and carries the stamp of the lock that was installed. The stamp is written last, so that whatever
interrupts the work leaves an environment without a stamp, which the next run makes anew.
"""

import argparse
import ast
import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two first runs at the same moment are not kept apart there
    fcntl = None

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".zglearn"
ENV = HOME / "env"
PYTHON = ENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ENV / "installed.json"
PIP_LOG = HOME / "pip.log"

COURSE_LOCK, TEST_LOCK = "requirements.lock", "requirements-test.lock"
TORCH = "requirements-torch.txt"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
EVERYTHING = ["-ra", f"--numprocesses={min(CORES + 1, 4)}"]  # one more: many tests wait
FIRST_PAGE = "chapters/00_start_here.ipynb"
SERVER = ["--ServerApp.kernel_websocket_connection_class=zglearn.setup.server.PromptLine",
          "--ServerApp.contents_manager_class=zglearn.setup.server.Notebooks",
          f"--LabApp.extra_labextensions_path={ROOT / 'zglearn/setup/labextensions'}"]
NO_NEWS = {"@jupyterlab/apputils-extension:notification":
           {"fetchNews": "false", "checkForUpdates": False}}


class Trouble(Exception):
    """Something that the user can mend: the message says what happened and what to do next."""


# --- the commands ---------------------------------------------------------------------------------

def lab(argv: list[str]) -> int:
    """Open JupyterLab on the first chapter."""
    parser = argparse.ArgumentParser(
        prog="python3 -m zglearn lab",
        description="Open the course in JupyterLab. The first run makes a private environment in "
                    ".zglearn/env, which takes a few minutes; later runs start in seconds.",
        epilog="Whatever follows -- is handed to JupyterLab as it is.", allow_abbrev=False)
    parser.add_argument("--here", action="store_true",
                        help="use the Python environment that is active now; install nothing")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    parser.add_argument("--port", type=port, help="the port to listen on (default: 8888)")
    parser.add_argument("--ip", help="the address to listen on (default: localhost)")
    cut = argv.index("--") if "--" in argv else len(argv)
    options, unknown = parser.parse_known_args(argv[:cut])
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)}. To hand it to JupyterLab, put -- before it.")

    python, environ = prepare(COURSE_LOCK, here=options.here, stale_will_do=True)
    finish_update(python, environ)
    build_text_cache(python, environ)
    command = [python, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}", *SERVER,
               f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}"]
    command += ["--no-browser"] * options.no_browser
    command += [f"--{name}={value}" for name in ("port", "ip") if (value := vars(options)[name])]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        print("You are root: JupyterLab is started with --allow-root.")
        command.append("--allow-root")
    print("Opening JupyterLab. Ctrl-C, twice, ends it.")
    return replace_process(command + argv[cut + 1:], environ)


def port(text: str) -> int:
    if not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def test(argv: list[str]) -> int:
    """Run pytest on everything that CI runs, or as `argv` says."""
    if argv[:1] in (["-h"], ["--help"]):
        print("usage: python3 -m zglearn test [--here] [options and paths for pytest]\n\n"
              "Without options: everything that CI runs, in up to four processes. --here, as\n"
              "first option, uses the Python environment that is active and installs nothing.")
        return 0
    here = argv[:1] == ["--here"]
    options = argv[here:] or EVERYTHING
    python, environ = prepare(COURSE_LOCK, TEST_LOCK, here=here)
    if not here:
        install_torch()
    os.chdir(ROOT)
    return replace_process([python, "-m", "pytest", *options], environ)


def enter_environment(command: str, argv: list[str]) -> None:
    """Go on where the packages are: `python -m zglearn command` takes this process's place.

    Returns where it is already, or where the packages are installed and no private environment is.
    """
    if in_private_environment() or command == "doctor" and "--here" in argv:
        return
    standing = stands()
    if not standing and (command == "doctor" or not missing_packages()):
        return
    if not standing and not {"-h", "--help"}.isdisjoint(argv):
        raise Trouble(f"The help of {command} needs the course's packages, and they are not here "
                      "yet.\nThis installs them, in a few minutes:  python3 -m zglearn lab")
    python, environ = prepare(COURSE_LOCK, stale_will_do=True)
    sys.exit(replace_process([python, "-P", "-m", "zglearn", command, *argv], environ))


# --- the environment ------------------------------------------------------------------------------

def prepare(*locks: str, here: bool = False, stale_will_do: bool = False) -> tuple[str, dict]:
    """A Python that has the locks' packages, and the environment variables to start it with.

    With `here`, it is the running one. With `stale_will_do`, packages of an older lock are good
    enough where the new ones cannot be fetched.
    """
    home = home_to_write_to()
    if here:
        python, environ = running_python()
        return python, environ | home
    if absent := [lock for lock in locks if not (ROOT / lock).exists()]:
        raise Trouble(f"There is no {absent[0]} in {ROOT}.\n"
                      "Run this in a whole checkout of the course (a hand-out has no tests).")
    if not stands(*locks):
        try:
            make_environment(locks)
        except Trouble as trouble:
            if not (stale_will_do and stands()):
                raise
            print(f"\n{trouble}\nGoing on with the packages of before.")
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    environ |= home | {"VIRTUAL_ENV": str(ENV), "JUPYTER_PREFER_ENV_PATH": "1",
                "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    return str(PYTHON), environ


def home_to_write_to() -> dict:
    """Jupyter writes to the user's home. Where there is none that can be written to, as for an
    unknown user in a container, {"HOME": a folder of the course}; else {}."""
    home = os.path.expanduser("~")
    if os.name == "nt" or os.path.isabs(home) and os.access(home, os.W_OK):
        return {}
    print(f"You have no home folder that can be written to; Jupyter gets {HOME / 'home'}.")
    try:
        (HOME / "home").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Trouble(f"{HOME / 'home'} could not be made: {error}.\nSet HOME to a folder that can "
                      "be written to, then run the same command again.") from None
    return {"HOME": str(HOME / "home")}


def running_python() -> tuple[str, dict]:
    if missing := missing_packages():
        raise Trouble(f"This environment ({sys.prefix}) lacks {', '.join(missing)}.\n"
                      f'Install what the course needs:  cd "{ROOT}"  and then\n'
                      f"    {sys.executable} -m pip install -r requirements.txt\n"
                      "or leave --here out: the course then makes an environment of its own.")
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return sys.executable, os.environ | {"PYTHONPATH": os.pathsep.join(path)}


def missing_packages() -> list[str]:
    """The packages of requirements.txt that the running Python does not have."""
    def is_missing(name):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return True
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [match[0] for line in lines if (match := re.match(r"[A-Za-z][\w.-]*", line))]
    return [name for name in names if is_missing(name)]


def in_private_environment() -> bool:
    return ENV.exists() and ENV.samefile(sys.prefix)


def stands(*locks: str) -> bool:
    """Whether the private environment works, with the current version of each lock installed."""
    stamped = stamps()
    if not stamped or any(stamped.get(lock) != digest(lock) for lock in locks):
        return False
    try:  # -I: neither the current folder nor PYTHONPATH may answer in the environment's place
        return subprocess.run([PYTHON, "-I", "-c", "import zglearn"], capture_output=True,
                              timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def stamps() -> dict[str, str]:
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def stamp(digests: dict[str, str]) -> None:
    new = STAMP.with_suffix(".new")
    new.write_text(json.dumps(digests), encoding="utf-8")
    new.replace(STAMP)


def digest(lock: str) -> str:
    return hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()


def make_environment(locks: tuple[str, ...]) -> None:
    if HOME.exists() and not HOME.is_dir():
        raise Trouble(f"{HOME} is a file, and the course needs a folder there: move it away.")
    try:
        HOME.mkdir(exist_ok=True)
        with open(HOME / "lock", "w") as guard:
            wait_for_turn(guard)
            if not stands():
                announce()
                create_environment()
            for lock in locks:
                if stamps().get(lock) != digest(lock):
                    install(lock, guard)
    except OSError as error:
        raise Trouble(
            f"Something could not be written: {error}.\n"
            "If the disk is full, make room. If the folder is not yours, copy the whole course to\n"
            "a place of yours and run the command there, or use an environment that has the\n"
            "packages:  python3 -m zglearn lab --here") from None


def wait_for_turn(guard) -> None:
    """Of two runs at once, one makes the environment. The lock dies with the processes."""
    if fcntl is None:
        return
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another run is making the environment: waiting for it.", flush=True)
        fcntl.flock(guard, fcntl.LOCK_EX)


def announce() -> None:
    print(f"Making the course's own environment in {ENV}\n"
          "(once; it takes a few minutes and about 600 MB)", flush=True)
    if sys.prefix != sys.base_prefix:
        print(f"You are in an environment already, {sys.prefix}. To use that one instead:\n"
              "Ctrl-C, then  python3 -m zglearn lab --here", flush=True)


def create_environment() -> None:
    """An empty environment that finds this checkout. It has no stamp yet."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise Trouble(explain_missing_venv()) from None
    python = getattr(sys, "_base_executable", sys.executable)  # not one that is about to be deleted
    with Progress("new environment"):
        shutil.rmtree(ENV, ignore_errors=True)
        made = subprocess.run([python, "-m", "venv", ENV], text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if made.returncode:
            raise Trouble(f"{python} could not make an environment in {ENV}:\n{made.stdout}\n"
                          "Mend that, then run the same command again.")
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(ENV)}))
    # Relative, hence plain ASCII: the path of the checkout may hold any character, and may change.
    (packages / "zglearn.pth").write_text(os.path.relpath(ROOT, packages) + "\n", encoding="ascii")
    settings = ENV / "share/jupyter/lab/settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text(json.dumps(NO_NEWS), encoding="ascii")


def install(lock: str, guard) -> None:
    """Bring the environment to the lock's versions; on failure, restamp it if it is untouched."""
    before, old = packages_there(), stamps()
    STAMP.unlink(missing_ok=True)
    try:
        pip_install(lock, guard)
    except BaseException:
        if old and packages_there() == before:
            stamp(old)
        raise
    if absent := required_by(lock) - {canonical(name) for name in packages_there()}:
        raise Trouble(f"pip said that all was well, but {', '.join(sorted(absent))} did not come "
                      f"into {ENV}.\nWhat pip said is in {PIP_LOG}")
    stamp(old | {lock: digest(lock)})


def packages_there() -> set[str]:
    return {path.name for path in ENV.rglob("*.dist-info")}


def required_by(lock: str) -> set[str]:
    """The packages that a lock asks for everywhere (one with a marker may be for other systems)."""
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return {canonical(line) for line in lines if re.match(r"\w", line) and ";" not in line}


def canonical(text: str) -> str:
    """The name with which a requirement, or a folder's name such as a_b-1.0.dist-info, begins."""
    name = text.removesuffix(".dist-info").rsplit("-", 1)[0] if ".dist-info" in text else text
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower()


def pip_install(lock: str, guard) -> None:
    """Install a lock in the environment, showing how far it is. Raises Trouble."""
    command = [PYTHON, "-m", "pip", "install", "--progress-bar=off", "--no-input",
               "--disable-pip-version-check", "--requirement", ROOT / lock]
    # pip inherits the guard: should we be killed, no other run starts before pip has ended too.
    inherited = {"pass_fds": [guard.fileno()]} if fcntl else {}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               encoding="utf-8", errors="replace", cwd=HOME, **inherited,
                               env=pip_environment())
    reader = PipReader(packages=len(re.findall(r"^\w", (ROOT / lock).read_text(), re.MULTILINE)))
    with Progress("packages") as progress, open(PIP_LOG, "w", encoding="utf-8") as log:
        try:
            for line in process.stdout:
                log.write(line)
                progress.detail = reader.read(line) or progress.detail
        except BaseException:
            process.terminate()
            raise
        finally:
            process.wait()
        if process.returncode:
            log.flush()
            raise Trouble(explain(PIP_LOG.read_text(encoding="utf-8")))


SOURCES = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy",
           "cert", "client-cert", "timeout", "default-timeout", "retries", "cache-dir",
           "no-cache-dir", "keyring-provider", "prefer-binary", "only-binary", "no-binary",
           "use-feature", "use-deprecated")


def pip_environment() -> dict:
    """The variables for pip: of the user's settings, in variables or files, those that say where
    packages come from; not those that say where they go or what else is done with them."""
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    said = subprocess.run([PYTHON, "-m", "pip", "config", "list"], env=environ, text=True,
                          capture_output=True, encoding="utf-8", errors="replace").stdout
    found = {}
    for section in ("global", "install", ":env:"):  # the later ones win
        for name, value in re.findall(rf"^{section}\.([\w-]+)=(.*)$", said, re.MULTILINE):
            value = str(ast.literal_eval(value))
            if name in SOURCES and value:  # pip takes no notice of empty ones
                found["PIP_" + name.upper().replace("-", "_")] = value
    others = {k: v for k, v in environ.items() if not k.startswith("PIP_")}
    return others | found | {"PIP_CONFIG_FILE": os.devnull}


def install_torch() -> None:
    """PyTorch, which tests compare with. Its CPU build is not everywhere to be had: try it."""
    try:
        prepare(TORCH)
    except Trouble:
        print("PyTorch could not be fetched: the tests that compare with it will be skipped.")


def finish_update(python: str, environ: dict) -> None:
    """Bring work that an update put aside into the new notebooks, before they are opened."""
    code = ("from zglearn.exercises.originals import is_update_unfinished\n"
            "if is_update_unfinished():\n"
            "    from zglearn.setup.versions import finish_and_say; finish_and_say()")
    if subprocess.run([python, "-P", "-c", code], env=environ).returncode:
        print("What the last update put aside is safe in the folders kept/, but could not\n"
              "be brought into the new ones. To try again:  python3 -m zglearn update", flush=True)


def build_text_cache(python: str, environ: dict) -> None:
    code = "from zglearn.data import build_cache; build_cache()"
    if subprocess.run([python, "-P", "-c", code], env=environ).returncode:
        print("The text cache could not be built. The chapters that read text will not run;\n"
              "python3 -m zglearn doctor  says more.", flush=True)


def replace_process(command: list[str], environ: dict) -> int:
    """Become `command`, so that Ctrl-C and signals reach it directly (on Windows: wait for it)."""
    sys.stdout.flush()
    if os.name == "nt":
        return subprocess.call(command, env=environ)
    os.execve(command[0], command, environ)


# --- what the user sees ---------------------------------------------------------------------------

class Progress(contextlib.AbstractContextManager):
    """A line that tells what is being done and for how long.

    On a terminal it is redrawn twice a second; elsewhere a line is printed every ten seconds.
    """

    def __init__(self, what: str):
        self.what, self.detail, self.start = what, "", time.monotonic()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.repeat, daemon=True)
        self.thread.start()

    def repeat(self):
        tty = sys.stdout.isatty()
        while not self.ended.wait(0.5 if tty else 10):
            detail = f": {self.detail}" if self.detail else ""
            line = f"  {self.what}{detail} ({time.monotonic() - self.start:.0f} s)"
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}" if tty else line, end="" if tty else "\n", flush=True)

    def __exit__(self, failure, *_):
        self.ended.set()
        self.thread.join()
        clear = "\r\033[K" if sys.stdout.isatty() else ""
        end = "stopped" if failure else "done"
        print(f"{clear}  {self.what}: {end} ({time.monotonic() - self.start:.0f} s)", flush=True)


class PipReader:
    """Turns pip's output, line by line, into a short account of how far it is."""

    WHEEL = re.compile(r"(?:Downloading|Using cached|Processing) (?:.*/)?"
                       r"([^/\s-]+)-([^/\s-]+)-[^/\s]+\.whl(?: \(([\d.]+ \w?B)\))?(?: |$)")

    def __init__(self, packages: int):
        self.packages, self.fetched = packages, 0

    def read(self, line: str) -> str | None:
        line = line.strip()
        if "Retrying" in line:
            return "the package index does not answer, trying again"
        if line.startswith("Ignoring "):  # it belongs to another system
            self.packages -= 1
        elif match := re.match(r"Collecting ([\w.-]+)", line):
            return f"looking for {match[1]}"
        elif line.startswith("Requirement already satisfied"):
            self.fetched += 1
        elif match := self.WHEEL.match(line):
            self.fetched += 1
            size = f" ({match[3]})" if match[3] else ""
            return f"{self.fetched} of {self.packages}: {match[1]} {match[2]}{size}"
        elif line.startswith("Installing collected packages"):
            return f"unpacking {line.count(',') + 1}"


def explain_missing_venv() -> str:
    version = "{}.{}".format(*sys.version_info)
    package = (f"    sudo apt install python{version}-venv" if shutil.which("apt-get") else
               f"the package of your system that brings venv and ensurepip for Python {version}")
    return (f"{sys.executable} has no venv module, which makes environments. Install it:\n"
            f"{package}\nThen run the same command again.")


def explain(output: str) -> str:
    """What a failed pip's output means, and what to do next."""
    again = "Then run the same command again: it goes on from what pip has kept."
    if "No space left on device" in output:
        return f"The disk is full. Make about 2 GB of room. {again}"
    if re.search(r"NewConnection|ConnectTimeout|ReadTimeout|timed out|Max retries|ProxyError|"
                 r"SSLError|Connection (refused|reset|aborted)|name resolution|"
                 r"Network is unreachable|NameResolution|Could not fetch URL|"
                 r"from versions: none", output):  # the index gave no version at all
        return ("The packages could not be fetched: the network or the package index did not "
                "answer.\nCheck the connection; behind a proxy, set HTTPS_PROXY. " + again +
                f"\nWhat pip said is in {PIP_LOG}")
    if re.search(r"Permission denied|Read-only file system", output):
        return f"Something could not be written (see {PIP_LOG}). Mend the folder's rights. {again}"
    if match := re.search(r"No matching distribution found for (\S+)", output):
        return (f"The package index that pip uses has no {match[1]} for Python "
                f"{sys.version_info.major}.{sys.version_info.minor} on this system.\n"
                "Another Python version may help (3.11 to 3.13 are tested), or another index "
                f"(pip's --index-url setting).\nWhat pip said is in {PIP_LOG}")
    tail = "\n".join(output.splitlines()[-8:])
    return f"pip failed:\n{tail}\nAll of it is in {PIP_LOG}"
