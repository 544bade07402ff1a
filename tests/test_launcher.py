"""The launcher, run as a user runs it: in checkouts of its own, with real environments and pip.

Only the packages are small: two wheels made here, which pip takes from a folder. The stand-in for
JupyterLab reports how it was started.
"""

import ast
import base64
import contextlib
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from zglearn import __main__ as commands
from zglearn.setup import launcher

ROOT = Path(__file__).resolve().parent.parent
PYTHON = getattr(sys, "_base_executable", sys.executable)  # a Python without the course's packages
HANG = 120

REPORT = """
import json, os, sys
names = ("OPENBLAS_NUM_THREADS", "VIRTUAL_ENV", "PYTHONPATH", "HOME")
print("REPORT", json.dumps({"arguments": sys.argv[1:], "prefix": sys.prefix, "folder": os.getcwd(),
                            **{name: os.environ.get(name) for name in names}}))
"""


REAL = ("__init__.py", "__main__.py", "moved.py", "paths.py", "setup/__init__.py",
        "setup/launcher.py", "exercises/__init__.py", "exercises/originals.py",
        "exercises/renumbered.py")  # what runs before anything is installed, or when `lab` starts


# --- checkouts with small packages ----------------------------------------------------------------

class Checkout:
    """A course folder with the real launcher, and a folder of wheels as its package index."""

    def __init__(self, folder: Path):
        self.folder, self.wheels = folder, folder / "wheels"
        for name in REAL:
            (folder / "zglearn" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "zglearn" / name, folder / "zglearn" / name)
        self.wheels.mkdir()
        self.write("zglearn/data.py", "def build_cache(): print('CACHE')")
        self.write("zglearn/setup/doctor.py", "def main(argv):" + REPORT.replace("\n", "\n    "))
        self.write("requirements.txt", "jupyterlab >=1\n")
        self.write("requirements.lock", "jupyterlab==1.0\n")
        self.write("requirements-test.lock", "jupyterlab==1.0\npytest==1.0\n")
        self.write("requirements-torch.txt", "torch==1.0\n")
        self.publish("jupyterlab", "1.0")
        self.publish("pytest", "1.0")

    def write(self, path: str, text: str):
        (self.folder / path).write_text(text, encoding="utf-8")

    def publish(self, name: str, version: str):
        """Put a package in the index; run as a program, it reports how it was started."""
        info = f"{name}-{version}.dist-info"
        files = {f"{name}/__init__.py": "", f"{name}/__main__.py": REPORT,
                 f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                 f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
        record = "".join(f"{path},sha256={sha256(text)},{len(text)}\n"
                         for path, text in files.items())
        with zipfile.ZipFile(self.wheels / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            for path, text in (files | {f"{info}/RECORD": record}).items():
                wheel.writestr(path, text)

    def environ(self, **more: str) -> dict:
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV", "OPENBLAS"))}
        return clean | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1",
                        "PIP_FIND_LINKS": self.wheels.as_uri()} | more

    def start(self, *arguments: str, python=PYTHON, program=("-m", "zglearn"), cwd=None,
              before=(), **environ: str):
        return subprocess.Popen(
            [*before, python, *program, *arguments],
            cwd=cwd or self.folder, env=self.environ(**environ), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run(self, *arguments: str, **options) -> "Outcome":
        process = self.start(*arguments, **options)
        output, _ = process.communicate(timeout=HANG)
        return Outcome(process.returncode, output)

    @property
    def env(self) -> Path:
        return self.folder / ".zglearn" / "env"


class Outcome:
    def __init__(self, code: int, output: str):
        self.code, self.output = code, output

    @property
    def report(self) -> dict:
        return json.loads(re.search(r"^REPORT (.*)$", self.output, re.MULTILINE)[1])


def sha256(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "优化 课程")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """A checkout in which `lab` has run once, and what that run said."""
    checkout = Checkout(tmp_path_factory.mktemp("first") / "优化 课程")
    return checkout, checkout.run("lab", "--no-browser", "--port", "9876", "--ip", "127.0.0.1",
                                  "--", "--ServerApp.token=x")


@pytest.fixture
def made(first_run, tmp_path):
    """A fresh copy of a checkout whose environment stands. It has also moved by being copied."""
    shutil.copytree(first_run[0].folder, tmp_path / "moved", symlinks=True)
    checkout = object.__new__(Checkout)
    checkout.folder, checkout.wheels = tmp_path / "moved", tmp_path / "moved" / "wheels"
    return checkout


class SilentIndex(http.server.ThreadingHTTPServer):
    """A package index that takes a request and does not answer while it lives."""

    def __init__(self):
        self.asked, self.closing = threading.Event(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                self.asked.set()
                self.closing.wait(HANG)

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.settings = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_RETRIES": "0",
                         "PIP_INDEX_URL": f"http://127.0.0.1:{self.server_port}/simple"}

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        super().__exit__()


# --- lab ------------------------------------------------------------------------------------------

def test_first_run_makes_the_environment_and_opens_jupyterlab(first_run):
    checkout, outcome = first_run
    assert outcome.code == 0, outcome.output
    report = outcome.report
    ours = [option.replace(str(launcher.ROOT), str(checkout.folder)) for option in launcher.SERVER]
    first = [f"--ServerApp.root_dir={checkout.folder}", *ours,
             "--LabApp.default_url=/lab/tree/chapters/00_start_here.ipynb"]
    assert report["arguments"][:len(first)] == first
    rest = set(report["arguments"][len(first):]) - {"--allow-root"}
    assert rest == {"--no-browser", "--port=9876", "--ip=127.0.0.1", "--ServerApp.token=x"}
    assert report["prefix"] == report["VIRTUAL_ENV"] == str(checkout.env)
    assert report["OPENBLAS_NUM_THREADS"] == "1"
    for step in ("Making the course's own environment", "new environment: done", "packages: done",
                 "CACHE"):
        assert step in outcome.output


def test_environment_finds_this_checkout_from_anywhere(first_run, tmp_path):
    checkout, _ = first_run
    found = subprocess.run([checkout.env / "bin/python", "-I", "-c",
                            "import zglearn; print(ascii(zglearn.__file__))"],
                           cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.strip() == ascii(str(checkout.folder / "zglearn" / "__init__.py"))


def test_jupyterlab_does_not_ask_about_news(first_run):
    overrides = first_run[0].env / "share/jupyter/lab/settings/overrides.json"
    settings = json.loads(overrides.read_text())["@jupyterlab/apputils-extension:notification"]
    assert settings["fetchNews"] == "false"


def test_second_run_installs_nothing_even_after_a_move(made):
    shutil.rmtree(made.wheels)  # pip would fail
    outcome = made.run("lab")
    assert outcome.code == 0 and "packages" not in outcome.output
    assert outcome.report["prefix"] == str(made.env)


def test_a_new_lock_is_installed(made):
    made.publish("jupyterlab", "2.0")
    made.write("requirements.lock", "jupyterlab==2.0\n")
    assert made.run("lab").code == 0
    assert list(made.env.rglob("jupyterlab-2.0.dist-info"))


def test_a_new_lock_that_cannot_be_fetched_leaves_the_old_environment_in_use(made):
    made.write("requirements.lock", "jupyterlab==2.0\n")
    outcome = made.run("lab")
    assert outcome.code == 0 and outcome.report
    assert "no jupyterlab==2.0" in outcome.output and "packages of before" in outcome.output
    made.publish("jupyterlab", "2.0")
    assert "packages: done" in made.run("lab").output


@pytest.mark.parametrize("way", ["PYTHONPATH", "folder"])
def test_called_from_another_folder(made, tmp_path, way):
    options = {"PYTHONPATH": {"PYTHONPATH": str(made.folder)},
               "folder": {"program": [made.folder / "zglearn"]}}
    outcome = made.run("lab", cwd=tmp_path, **options[way])
    assert outcome.code == 0, outcome.output
    assert f"--ServerApp.root_dir={made.folder}" in outcome.report["arguments"]
    assert outcome.report["PYTHONPATH"] is None


def test_unknown_options_are_refused_with_the_way_to_pass_them(checkout):
    outcome = checkout.run("lab", "--ServerApp.token=x")
    assert outcome.code == 2 and "put -- before it" in outcome.output


# --- what can go wrong ----------------------------------------------------------------------------

def test_a_port_that_cannot_be_is_refused_before_anything_is_installed(checkout):
    outcome = checkout.run("lab", "--port", "99999")
    assert outcome.code == 2 and "from 1 to 65535" in outcome.output
    assert not checkout.env.exists()


def test_help_installs_nothing(checkout):
    outcome = checkout.run("progress", "--help")
    assert outcome.code == 1 and "python3 -m zglearn lab" in outcome.output
    assert not checkout.env.exists()


def test_no_network(checkout):
    nobody = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_RETRIES": "0",
              "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    outcome = checkout.run("lab", **nobody)
    assert outcome.code == 1 and "Traceback" not in outcome.output
    assert "could not be fetched" in outcome.output and "same command again" in outcome.output
    assert checkout.run("lab").report


def test_no_venv_module(checkout, tmp_path):
    shim = tmp_path / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text("import sys; sys.modules['ensurepip'] = None")
    (shim / "apt-get").touch(mode=0o755)
    outcome = checkout.run("lab", PYTHONPATH=str(shim), PATH=f"{shim}:{os.environ['PATH']}")
    assert outcome.code == 1
    assert "apt install python{}.{}-venv".format(*sys.version_info) in outcome.output
    assert not checkout.env.exists()


def test_no_write_permission(checkout):
    checkout.folder.chmod(0o555)
    # Root writes anywhere, unless it gives that capability up.
    before = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    outcome = checkout.run("lab", before=before)
    assert outcome.code == 1 and "Permission denied" in outcome.output
    assert "copy the whole course" in outcome.output and "Traceback" not in outcome.output


def test_full_disk(checkout):
    (checkout.folder / ".zglearn").mkdir()
    (checkout.folder / ".zglearn" / "pip.log").symlink_to("/dev/full")
    outcome = checkout.run("lab")
    assert outcome.code == 1 and "No space left on device" in outcome.output
    assert "make room" in outcome.output and "Traceback" not in outcome.output
    (checkout.folder / ".zglearn" / "pip.log").unlink()
    assert checkout.run("lab").report


@pytest.mark.parametrize("where", ["variables", "file"])
def test_where_pip_puts_packages_is_not_for_its_settings_to_say(checkout, tmp_path, where):
    wrong = {"target": tmp_path / "elsewhere", "prefix": tmp_path / "elsewhere",
             "root": tmp_path / "elsewhere", "user": "true", "dry-run": "true", "no-deps": "true"}
    if where == "file":  # which goes on saying where packages come from
        lines = ["[global]", "no-index = true", f"find-links = {checkout.wheels.as_uri()}",
                 "[install]", *(f"{name} = {value}" for name, value in wrong.items())]
        (tmp_path / "pip.conf").write_text("\n".join(lines), encoding="utf-8")
        settings = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_FIND_LINKS": "",
                    "PIP_NO_INDEX": ""}
    else:
        settings = {f"PIP_{name.upper().replace('-', '_')}": str(v) for name, v in wrong.items()}
    outcome = checkout.run("lab", **settings)
    assert outcome.code == 0 and outcome.report["prefix"] == str(checkout.env), outcome.output
    assert not (tmp_path / "elsewhere").exists()


def test_an_environment_is_stamped_only_when_it_stands(made, monkeypatch):
    for name, path in {"ROOT": made.folder, "ENV": made.env, "STAMP": made.env / "installed.json",
                       "PYTHON": made.env / "bin/python", "HOME": made.folder / ".zglearn"}.items():
        monkeypatch.setattr(launcher, name, path)
    monkeypatch.setattr(launcher, "pip_install", lambda lock, guard: None)  # says all is well
    lock = ["jupyterlab==1.0", "no.such_package==1.0", "x==1 ; sys_platform=='x'"]
    made.write("requirements.lock", "\n".join(lock))
    with pytest.raises(launcher.Trouble, match="but no-such-package did not come into"):
        launcher.prepare("requirements.lock")
    assert not launcher.stands("requirements.lock")


NOBODY = """
import os, pwd
def unknown(uid):
    raise KeyError(uid)
pwd.getpwuid = unknown
os.environ.pop("HOME", None)
"""


def test_a_user_without_a_home_gets_one_in_the_course(made, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NOBODY)
    made.publish("jupyterlab", "2.0")
    made.write("requirements.lock", "jupyterlab==2.0\n")  # so that pip runs too
    for home in ({"PYTHONPATH": str(tmp_path)}, {"HOME": "/proc/nobody"}):
        outcome = made.run("lab", **home)
        assert outcome.code == 0, outcome.output
        assert outcome.report["HOME"] == str(made.folder / ".zglearn" / "home")
        assert "no home folder" in outcome.output


def test_a_file_where_the_folder_should_be(checkout):
    checkout.write(".zglearn", "")
    outcome = checkout.run("lab")
    assert outcome.code == 1 and "move it away" in outcome.output


@pytest.mark.parametrize("damage", [
    lambda env: (env / "installed.json").unlink(),
    lambda env: (env / "installed.json").write_text("{"),
    lambda env: [(env / "bin" / name).unlink() for name in ("python", "python3")],
    lambda env: next(env.rglob("zglearn.pth")).unlink(),
], ids=["no stamp", "broken stamp", "no Python", "other Python's packages"])
def test_a_damaged_environment_is_made_anew(made, damage):
    damage(made.env)
    (made.env / "left-over").touch()
    outcome = made.run("lab")
    assert outcome.code == 0 and outcome.report["prefix"] == str(made.env)
    assert not (made.env / "left-over").exists()


def test_a_damaged_environment_that_is_active_is_made_anew(made):
    (made.env / "installed.json").unlink()
    outcome = made.run("lab", python=made.env / "bin/python")
    assert outcome.code == 0, outcome.output
    assert outcome.report["prefix"] == str(made.env)


def test_interrupted_then_run_again(checkout):
    with SilentIndex() as index:
        process = checkout.start("lab", **index.settings)
        assert index.asked.wait(HANG)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C does
        output, _ = process.communicate(timeout=HANG)
    assert process.returncode == 130 and "same command" in output and "Traceback" not in output
    assert not (checkout.env / "installed.json").exists()
    assert checkout.run("lab").report


def test_killed_then_run_again_while_pip_still_writes(checkout):
    with SilentIndex() as index:
        killed = checkout.start("lab", **index.settings)
        assert index.asked.wait(HANG)
        killed.kill()
        again = checkout.start("lab")
        assert "waiting for it" in again.stdout.readline()
    output, _ = again.communicate(timeout=HANG)  # the index is gone, so the first pip has ended
    killed.communicate(timeout=HANG)
    assert Outcome(again.returncode, output).report


def test_two_runs_at_once_make_one_environment(checkout):
    processes = [checkout.start("lab"), checkout.start("lab")]
    outcomes = [Outcome(p.wait(HANG), p.stdout.read()) for p in processes]
    assert all(outcome.report["prefix"] == str(checkout.env) for outcome in outcomes)
    assert sum("new environment: done" in outcome.output for outcome in outcomes) == 1


def test_old_python_is_told_so(checkout):
    pretend = ("import runpy, sys; sys.version_info = (3, 6, 15, 'final', 0);"
               "runpy.run_module('zglearn', run_name='__main__')")
    outcome = checkout.run("lab", program=["-c", pretend])
    assert outcome.code == 1 and "needs Python 3.11 or newer" in outcome.output


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_old_python_can_parse_what_tells_it_so(name):
    source = (ROOT / "zglearn" / name).read_text(encoding="ascii")
    ast.parse(source, feature_version=(3, 0))
    assert not any(isinstance(node, ast.JoinedStr) for node in ast.walk(ast.parse(source)))


# --- an environment of the user's own -------------------------------------------------------------

def test_here_uses_the_active_environment(made, checkout):
    outcome = checkout.run("lab", "--here", python=made.env / "bin/python")
    assert outcome.code == 0, outcome.output
    assert outcome.report["prefix"] == str(made.env)
    assert outcome.report["PYTHONPATH"] == str(checkout.folder)
    assert not checkout.env.exists()


def test_here_names_what_is_missing(checkout):
    checkout.write("requirements.txt", "jupyterlab >=1\nno-such-package-anywhere\n-e .\n")
    outcome = checkout.run("lab", "--here")
    assert outcome.code == 1 and "no-such-package-anywhere" in outcome.output
    assert "-m pip install -r requirements.txt" in outcome.output


def test_an_active_environment_is_offered(made, checkout):
    outcome = checkout.run("lab", python=made.env / "bin/python")
    assert "lab --here" in outcome.output
    assert outcome.report["prefix"] == str(checkout.env)


# --- test, and the other commands -----------------------------------------------------------------

def test_test_runs_pytest_with_the_test_tools_in_the_course_folder(made, tmp_path):
    outcome = made.run("test", "-k", "momentum", cwd=tmp_path, PYTHONPATH=str(made.folder))
    assert outcome.code == 0, outcome.output
    assert outcome.report["arguments"] == ["-k", "momentum"]
    assert outcome.report["folder"] == str(made.folder)
    assert "PyTorch could not be fetched" in outcome.output
    assert made.run("test").report["arguments"] == launcher.EVERYTHING


def test_a_copy_without_tests_says_so(made):
    (made.folder / "requirements-test.lock").unlink()
    outcome = made.run("test")
    assert outcome.code == 1 and "There is no requirements-test.lock" in outcome.output


def test_other_commands_go_on_in_the_private_environment(made):
    outcome = made.run("doctor", "--all")
    assert outcome.report["prefix"] == str(made.env)
    assert outcome.report["arguments"] == ["doctor", "--all"]


def test_doctor_runs_without_an_environment_and_makes_none(checkout):
    assert checkout.run("doctor").report["prefix"] == sys.base_prefix
    assert not checkout.env.exists()


@pytest.mark.parametrize("name", commands.COMMANDS)
@pytest.mark.parametrize("python", ["python", "python -OO"])
def test_every_command_explains_itself(python, name):
    help_ = subprocess.run([sys.executable, *python.split()[1:], "-m", "zglearn", name, "--help"],
                           cwd=ROOT, text=True, capture_output=True, timeout=HANG)
    assert help_.returncode == 0 and f"zglearn {name}" in help_.stdout, help_.stderr


def test_help_and_misspelt_commands(checkout):
    for arguments in ([], ["--help"]):
        shown = checkout.run(*arguments)
        assert shown.code == 0 and all(name in shown.output for name in commands.COMMANDS)
    outcome = checkout.run("lba")
    assert outcome.code == 1 and "Did you mean 'lab'?" in outcome.output


# --- streams, and folders that cannot be written to: every command, as a user runs it -------------

@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the course as its users have it, without git."""
    folder = tmp_path_factory.mktemp("course") / "course"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(
        ".git", ".zglearn", "kept", "tests", "docs", "benchmarks", "__pycache__"))
    (folder / "submissions").mkdir()
    shutil.copy(folder / "exercises" / "04_momentum.ipynb", folder / "submissions")
    return folder


CALLS = {
    "notebooks": ["--check", "chapters/00_start_here.ipynb"],
    "progress": [],
    "interview": ["--topic", "04", "--minutes", "1"],
    "grade": ["submissions"],
    "release": ["--out", "handout"],
    "site": ["--out", "pages", "--chapters", "03", "--still"],
    "book": ["--help"],
    "reset": ["04"],
    "update": [],
    "doctor": [],
    "kernels": ["--list"],
    "mutants": ["--help"],
    "viva": ["grades"],
    "nbval": ["nothing"],
    "clinic": ["Not a name"],
    "--help": [],
    "grade --help": [],
}


def call(course, command, *, before=(), **options):
    """Run one of the calls in the course's folder; returns the finished process."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ZGLEARN")}
    environ |= {"PYTHONPATH": str(course), "ZGLEARN_PROGRESS": ":memory:"}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run([*before, sys.executable, "-m", "zglearn", *command.split(),
                           *CALLS[command]], cwd=course, env=environ, text=True, timeout=HANG,
                          **streams | options)


def test_the_calls_are_all_commands():
    assert set(commands.COMMANDS) - {"lab", "test"} <= set(CALLS)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("command", ["progress", "interview", "update", "--help"])
def test_a_closed_stream_is_no_traceback(course, command, closed):
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    done = call(course, command, before=shell)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == (command == "update")


@pytest.mark.parametrize("command", CALLS)
def test_a_pipe_that_nobody_reads_is_no_traceback(course, command):
    reading, writing = os.pipe()
    os.close(reading)
    done = call(course, command, stdout=writing)
    os.close(writing)
    assert "Traceback" not in done.stderr and "Broken pipe" not in done.stderr, done.stderr


@pytest.mark.skipif(os.name == "nt" or not (os.geteuid() or shutil.which("setpriv")),
                    reason="root writes anywhere, and setpriv is not here to forbid it")
@pytest.mark.parametrize("command", CALLS)
def test_a_course_that_cannot_be_written_to_is_no_traceback(course, command):
    for made in ("handout", "grades"):
        shutil.rmtree(course / made, ignore_errors=True)
    folders = [course, *(path for path in course.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    before = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    try:
        done = call(course, command, before=before)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert "Traceback" not in done.stderr, done.stderr
    if command in ("reset", "release", "grade"):
        assert done.returncode and "Permission denied" in done.stderr
    if command == "progress":
        assert done.returncode == 0 and "11 · A fair race" in done.stdout


# --- parts ----------------------------------------------------------------------------------------

PIP_LINES = [  # of pip 23.0 and 26.3
    ("Ignoring appnope: markers 'sys_platform == \"darwin\"' don't match your environment", None),
    ("Requirement already satisfied: six==1.17.0 in ./env/lib (from -r x (line 1))", None),
    ("Collecting numpy==2.4.6 (from -r requirements.lock (line 63))", "looking for numpy"),
    ("  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl.metadata (6.6 kB)", None),
    ("  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (16.9 MB)",
     "2 of 4: numpy 2.4.6 (16.9 MB)"),
    ("Using cached tqdm-4.70.1-py3-none-any.whl (78 kB)", "3 of 4: tqdm 4.70.1 (78 kB)"),
    ("Processing /a folder/pillow-13.0.0-cp311-cp311-linux_x86_64.whl (from -r x (line 9))",
     "4 of 4: pillow 13.0.0"),
    ("WARNING: Retrying (Retry(total=4, connect=None)) after connection broken by",
     "the package index does not answer, trying again"),
    ("Installing collected packages: numpy, tqdm, pillow", "unpacking 3"),
]


def test_pip_reader_tells_how_far_pip_is():
    reader = launcher.PipReader(packages=5)
    assert [reader.read(line + "\n") for line, _ in PIP_LINES] == [told for _, told in PIP_LINES]


@pytest.mark.parametrize("output, message", [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
     "The disk is full"),
    ("[Errno 13] Permission denied: '/x'", "rights"),
    ("Max retries exceeded with url: /simple/x (Caused by NewConnectionError)\n"
     "ERROR: No matching distribution found for x==1", "could not be fetched"),
    ("ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)\n"
     "ERROR: No matching distribution found for x==1", "could not be fetched"),
    ("ERROR: Could not find a version that satisfies the requirement x==1 (from versions: 0.9)\n"
     "ERROR: No matching distribution found for x==1", "has no x==1 for Python"),
    ("ERROR: Failed building wheel for x", "pip failed:\nERROR: Failed building wheel for x"),
])
def test_failures_of_pip_are_explained(output, message):
    assert message in launcher.explain(output)


# --- the locks ------------------------------------------------------------------------------------

def requirements(name: str) -> dict[str, Requirement]:
    """The requirements of a file that apply here, by normalised name."""
    lines = (ROOT / name).read_text().splitlines()
    all_ = [Requirement(line) for line in lines if re.match(r"\w", line)]
    return {canonical(r.name): r for r in all_ if r.marker is None or r.marker.evaluate()}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pin(requirement: Requirement) -> str:
    (clause,) = requirement.specifier
    assert clause.operator == "==", f"{requirement} is not pinned"
    return clause.version


LOCKS = ["requirements.lock", "requirements-test.lock"]


def test_locks_pin_what_is_required_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tools = map(Requirement, project["optional-dependencies"]["test"])
    for lock, required in ((LOCKS[0], []), (LOCKS[1], tools)):
        pins = requirements(lock)
        for requirement in (*requirements("requirements.txt").values(), *required):
            assert pin(pins[canonical(requirement.name)]) in requirement.specifier, requirement


def test_test_lock_agrees_with_the_course_lock():
    course, test = ({name: pin(requirement) for name, requirement in requirements(lock).items()}
                    for lock in LOCKS)
    assert course.items() <= test.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_closed(lock):
    """Whatever a locked package requires is locked too (read from what is installed here)."""
    pins = requirements(lock)
    here = {canonical(d.name): d.version for d in metadata.distributions()}
    if any(here.get(name) != pin(locked) for name, locked in pins.items()):
        pytest.skip("the versions that are installed here are not the lock's")
    for name in pins:
        for required in map(Requirement, metadata.requires(name) or []):
            if required.marker is None or required.marker.evaluate({"extra": ""}):
                assert pin(pins[canonical(required.name)]) in required.specifier, (name, required)


# --- once in a while: the whole way, with the real packages ---------------------------------------

@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_fresh_clone_reaches_an_open_chapter(tmp_path):
    clone = tmp_path / "优化 course"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    log = tmp_path / "log"
    with open(log, "w") as output:
        process = subprocess.Popen([PYTHON, "-m", "zglearn", "lab", "--no-browser"], cwd=clone,
                                   stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + 900
        while not (found := re.search(r"http://127\S*token=\w+", log.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(1)
        from browser import CHROMIUM, CHROMIUM_OPTIONS, sync_playwright
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
            page = chromium.new_page()
            page.goto(found[0])
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
            page.get_by_text("| Idle").wait_for(timeout=120_000)  # the kernel is up
            assert page.locator(".jp-mod-current[title*='00_start_here.ipynb']").count() == 1
            chromium.close()
    finally:
        process.terminate()  # JupyterLab ends its kernels
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
