"""Modules whose text cannot be read off: what a hand-out holds in place of the bank and the cards.

`release` seals them with a key of its own, which lies beside them: Python has to read them to check
an answer. So this keeps an eye from falling on an answer, and a search from finding it. It protects
from nobody who wants to take it apart.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import pkgutil
import sys
import zlib
from pathlib import Path

SUFFIX, KEY = ".sealed", "seal.key"
PACKAGES = ("zglearn.exercises.bank.", "zglearn.exercises.errata.")


def seal(folder: Path, key: bytes) -> None:
    """Put sealed modules in the place of those in a folder; its __init__.py stays."""
    (folder / KEY).write_bytes(key)
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            text = zlib.compress(path.read_bytes())
            path.with_suffix(SUFFIX).write_bytes(_mixed(text, key, path.stem))
            path.unlink()


def opened(path: Path) -> str:
    """The text of a sealed module. Raises OSError or ValueError."""
    key = path.with_name(KEY).read_bytes()
    try:
        return zlib.decompress(_mixed(path.read_bytes(), key, path.stem)).decode()
    except zlib.error:
        raise ValueError(f"{path} does not fit {KEY}: get the course again") from None


def names(package) -> list[str]:
    """The modules of a package, open or sealed, in order."""
    found = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return sorted(found | {path.stem for folder in package.__path__
                           for path in Path(folder).glob(f"*{SUFFIX}")})


def load(path: Path, name: str):
    """Run a module from its file, open or sealed, as `name`."""
    spec = (_spec(name, path) if path.suffix == SUFFIX
            else importlib.util.spec_from_file_location(name, path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _mixed(data: bytes, key: bytes, name: str) -> bytes:
    """The data, mixed with a stream that follows from key and name; twice, and it is as before."""
    stream = hashlib.shake_256(key + name.encode()).digest(len(data))
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")
    return mixed.to_bytes(len(data), "big")


def _spec(name: str, path: Path):
    """The module as if it lay beside, open: `inspect` asks for the name of a file."""
    return importlib.util.spec_from_file_location(name, path.with_suffix(".py"),
                                                  loader=Loader(path))


class Loader(importlib.abc.InspectLoader):
    """Runs a sealed module. `inspect` finds the source of what it defines."""

    def __init__(self, path: Path):
        self.path = path

    def get_source(self, name):
        return opened(self.path)

    def get_code(self, name):
        return self.source_to_code(self.get_source(name), str(self.path.with_suffix(".py")))

    def is_package(self, name):
        return False


class Finder(importlib.abc.MetaPathFinder):
    """Finds the sealed modules of the packages that may be."""

    def find_spec(self, name, path, target=None):
        if not name.startswith(PACKAGES):
            return None
        for folder in path or ():
            file = Path(folder) / (name.rpartition(".")[2] + SUFFIX)
            if file.is_file():
                return _spec(name, file)
        return None


def install() -> None:
    """Let Python find sealed modules."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())
