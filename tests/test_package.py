"""`pip install .`: what comes with it, and what the command `zglearn` says away from the course."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from zglearn import missing

ROOT = Path(__file__).parents[1]
REQUIRED = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines()
            if re.match(r"\w", line)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what pip would put into site-packages."""
    if find_spec("setuptools") is None or find_spec("pip") is None:
        pytest.skip("pip and setuptools, which make the package, are not installed here")
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(
        ".*", "__pycache__", "*.egg-info", "build", "tests", "*.ipynb"))
    made = subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index",
                           "--no-build-isolation", "--wheel-dir", folder, folder / "source"],
                          capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stdout + made.stderr
    (wheel,) = folder.glob("zglearn-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site-packages")
    return folder / "site-packages"


def zglearn(installed, *arguments, folder, **more):
    """Run the command as pip's script does."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("ZGLEARN", "PYTHON"))}
    script = "from zglearn.__main__ import console; console()"
    return subprocess.run([sys.executable, "-P", "-c", script, *arguments], cwd=folder, text=True,
                          capture_output=True, timeout=300,
                          env=environ | {"PYTHONPATH": str(installed)} | more)


def test_it_declares_what_requirements_txt_lists_and_the_command(installed):
    (info,) = installed.glob("zglearn-*.dist-info")
    metadata = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8"))
    declared = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    plain = {str(r) for r in declared if "extra" not in str(r.marker)}
    assert plain == {str(r) for r in REQUIRED}
    assert metadata["Author"] == "The zglearn authors" and "License" not in metadata
    assert "zglearn = zglearn.__main__:console" in (info / "entry_points.txt").read_text()


def test_every_file_of_the_package_comes_along(installed):
    def files(folder):
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*")
                if path.is_file() and "__pycache__" not in path.parts}

    assert files(installed / "zglearn") == files(ROOT / "zglearn")


@pytest.mark.parametrize("command", ["lab", "doctor", "update", "reset", "release", "test"])
def test_away_from_the_course_it_says_how_to_get_it(installed, tmp_path, command):
    done = zglearn(installed, command, folder=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "without the course's notebooks" in done.stderr and str(installed) in done.stderr
    assert "Get the whole folder of the course" in done.stderr


def test_away_from_the_course_progress_is_kept_in_the_users_home(installed, tmp_path):
    done = zglearn(installed, "progress", folder=tmp_path, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert f"Kept in {tmp_path}/.zglearn/progress.sqlite" in done.stdout
    assert not (installed / ".zglearn").exists()


def test_inside_the_course_the_command_is_the_courses_own(installed, tmp_path):
    course = tmp_path / "course"
    (course / "zglearn").mkdir(parents=True)
    (course / "chapters").mkdir()
    (course / "requirements.txt").touch()
    (course / "zglearn" / "__main__.py").write_text("import sys; print('its own', sys.argv[1:])")
    for folder, more in ((course / "chapters", {}), (tmp_path, {"ZGLEARN_HOME": str(course)})):
        done = zglearn(installed, "lab", "--no-browser", folder=folder, **more)
        assert done.stdout == "its own ['lab', '--no-browser']\n", done.stderr


def test_a_notebook_of_the_course_finds_the_course_it_is_in(installed, tmp_path):
    for name in ("zglearn", "chapters", "exercises"):
        (tmp_path / "course" / name).mkdir(parents=True)
    code = "from zglearn import paths; print(paths.home())"
    for folder, home in ((tmp_path / "course" / "chapters", tmp_path / "course"),
                         (tmp_path, installed)):
        done = subprocess.run([sys.executable, "-P", "-c", code], cwd=folder, text=True,
                              capture_output=True, env=os.environ | {"PYTHONPATH": str(installed)})
        assert done.stdout.strip() == str(home), done.stderr


# --- a package that is missing ----------------------------------------------------------------


def test_the_packages_that_are_told_of_are_those_that_are_required():
    assert set(missing.PACKAGES.values()) == {r.name for r in REQUIRED}


def test_the_locks_cover_what_the_package_imports():
    """Every import of the package is one that it requires, or one that those bring."""
    brought = {"IPython", "traitlets", "nbformat", "nbclient", "jupyter_client", "jupyter_core",
               "jupyter_server", "ipykernel", "zmq", "packaging", "pygments", "pytest",
               "distributed"}
    found = set()
    for path in (ROOT / "zglearn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
    others = found - set(sys.stdlib_module_names) - {"zglearn"} - brought - set(missing.PACKAGES)
    assert not others


WITHOUT_ANYWIDGET = """
import sys
sys.modules["anywidget"] = None
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("from zglearn.visual import explorer")
print("= and =")
shell.run_cell("import no_such_package_anywhere")
"""


def test_a_missing_package_ends_in_one_sentence_in_a_notebook():
    done = subprocess.run([sys.executable, "-c", WITHOUT_ANYWIDGET], cwd=ROOT, text=True,
                          capture_output=True, timeout=120)
    ours, others = done.stdout.split("= and =")
    assert ours.strip().startswith("The package anywidget, which the course needs, is not")
    assert "pip install -r requirements.txt" in ours and "Traceback" not in ours
    assert "Traceback" in others and "no_such_package_anywhere" in others


def test_versions_and_authors_are_not_written_twice():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dynamic"]) == {"version", "dependencies"}
    assert project["authors"] == [{"name": "The zglearn authors"}]
