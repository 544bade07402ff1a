"""The package is a house: a room for each of those who live in it, and nobody looks upstairs."""

import ast
import importlib
from pathlib import Path

import pytest

from zglearn import moved

PACKAGE = Path(__file__).parents[1] / "zglearn"

# From the ground up. A room may import from itself and from what stands before it.
ROOMS = (
    "",             # the mathematics, at the top of the package: methods, objective, run
    "experiments",  # tuning and comparing fairly
    "data",         # the text tasks
    "models",       # networks over one flat vector
    "runs",         # long experiments, and what they gave
    "visual",       # figures and widgets
    "exercises",    # what an exercise is, the bank, the cards of the clinic
    "course",       # what a learner types
    "authoring",    # what an author runs
    "site",         # what whoever publishes the course runs: its pages, and the book
    "grading",      # what an instructor runs
    "setup",        # the machine: environment, doctor, new versions
)
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")


def name_of(path: Path) -> tuple[str, ...]:
    """The module's name below the package: ("grading", "engine")."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {name_of(path): path for path in FILES}


def room(module: tuple[str, ...]) -> str:
    return module[0] if module[:1] and (PACKAGE / module[0]).is_dir() else ""


def imported(path: Path) -> set[tuple[str, ...]]:
    """The modules of the package that a file imports, wherever in the file it does."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path)[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {tuple(a.name.split(".")[1:]) for a in node.names
                      if a.name.split(".")[0] == "zglearn"}
        elif isinstance(node, ast.ImportFrom):
            parts = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                parts = ("zglearn", *package[:len(package) - node.level + 1], *parts)
            if parts[:1] == ("zglearn",):
                below = {(*parts[1:], alias.name) for alias in node.names}
                found |= {name if name in MODULES else parts[1:] for name in below}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(name_of(path)) or "zglearn")
def test_no_room_imports_from_a_higher_one(path):
    mine = ROOMS.index(room(name_of(path)))
    above = [".".join(module) for module in imported(path) if ROOMS.index(room(module)) > mine]
    assert not above, f"{path} stands below {above}"


def test_there_are_no_circles():
    arrows = {name: imported(path) - {name} for name, path in MODULES.items()}
    for name in arrows:  # a package's __init__ says what is in it; that is no arrow upwards
        arrows[name] = {other for other in arrows[name] if other != name[:len(other)]}
    while leaves := [name for name, others in arrows.items() if not others & arrows.keys()]:
        for name in leaves:
            del arrows[name]
    assert not arrows, "these import one another: " + ", ".join(".".join(n) for n in arrows)


def test_every_folder_is_a_room():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ROOMS) - {""}


@pytest.mark.parametrize("old", sorted(moved.MOVED))
def test_the_names_of_the_first_edition_lead_to_their_new_place(old):
    assert importlib.import_module(old) is importlib.import_module(moved.MOVED[old])
    assert importlib.import_module(old).__spec__.name == moved.MOVED[old]
