"""The text cache: what `texts.build` found, in one file that is whole or is rebuilt.

The file holds one line of JSON that says what it is (recipe, package versions, checksum), then the
texts as JSON. Its name carries a key of recipe and versions, so that another environment's cache
is neither read nor overwritten. It is written under another name and then moved into place, so
that two builds at once, or one that is killed, leave a whole file or none.
"""

import functools
import hashlib
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zglearn.paths import users_home

from .docstrings import DataError, library_versions
from .texts import RECIPE, build

OURS = "zglearn text cache"
OTHERS_KEPT = 2  # caches of other package versions that stay, for people with two environments
ABANDONED = 3600  # seconds after which a half-written file belongs to no running build


@dataclass(frozen=True)
class CacheStatus:
    """What `cache_status` found.

    ``state`` is "whole", "missing", "stale" (there is one for other package versions), "corrupt"
    or "unavailable" (the libraries to read are not there); ``size`` is in bytes; ``advice`` says
    how to mend it and is empty if nothing is wrong.
    """

    state: str
    path: Path | None
    size: int
    advice: str


def cache_folder() -> Path:
    """Where the cache lives: $ZGLEARN_CACHE, or .zglearn/cache in the checkout, or the user's own
    cache folder if zglearn is installed without a checkout or the checkout cannot be written to.
    """
    if chosen := os.environ.get("ZGLEARN_CACHE"):
        return Path(chosen).expanduser().absolute()
    checkout = Path(__file__).resolve().parents[2]
    inside = checkout / ".zglearn" / "cache"
    nearest = next(folder for folder in (inside, *inside.parents) if folder.exists())
    if (checkout / "chapters").is_dir() and os.access(nearest, os.W_OK) or not users_home():
        return inside
    from platformdirs import user_cache_path

    return user_cache_path("zglearn", appauthor=False)


def load_texts(progress: bool = True) -> dict:
    """The texts of `texts.build`: from the cache, or built now if need be.

    ``progress`` shows a bar on stderr while building. A cache that is damaged, or a folder that
    cannot be written to, costs a line on stderr that says so. Raises DataError if a library to
    read is missing.
    """
    path = _cache_file()
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as problem:
        _say(f"The text cache {path} cannot be used ({problem}): building it again.")
    texts = build(progress)
    try:
        _write(path, texts)
        _clean_up(path)
    except OSError as problem:
        _say(f"The text cache could not be kept in {path.parent} ({problem}), so it is built anew "
             "each time. Set ZGLEARN_CACHE to a folder that can be written to.")
    return texts


def build_cache(progress: bool = True) -> CacheStatus:
    """Make sure that there is a whole cache: takes seconds the first time, then next to nothing.

    To have it built again, delete the file. Raises DataError if a library to read is missing.
    """
    load_texts(progress)
    return cache_status()


def cache_status() -> CacheStatus:
    """Is the cache there, and whole? Never raises and builds nothing."""
    rebuild = "python -m zglearn.data builds it"
    try:
        path = _cache_file()
    except DataError as problem:
        return CacheStatus("unavailable", None, 0, str(problem))
    try:
        _read(path)
        return CacheStatus("whole", path, path.stat().st_size, "")
    except FileNotFoundError:
        state = "stale" if any(_is_ours(other) for other in _caches(path.parent)) else "missing"
        return CacheStatus(state, path, 0, rebuild)
    except (OSError, ValueError) as problem:
        size = path.stat().st_size if path.is_file() else 0
        return CacheStatus("corrupt", path, size, f"{problem}; {rebuild}")


def _cache_file() -> Path:
    key = hashlib.sha256(json.dumps(_identity()).encode()).hexdigest()[:12]
    return cache_folder() / f"texts-{key}.json"


def _identity() -> dict:
    return {"recipe": RECIPE, "versions": library_versions()}


def _read(path: Path) -> dict:
    """The texts in the file. Raises OSError, or ValueError if it is not what was written."""
    stamp = path.stat()
    return _read_once(path, stamp.st_mtime_ns, stamp.st_size)


@functools.lru_cache(maxsize=1)
def _read_once(path: Path, *stamp) -> dict:
    header, _, body = path.read_bytes().partition(b"\n")
    try:
        expected = json.loads(header)["sha256"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("it does not start like a text cache") from None
    if hashlib.sha256(body).hexdigest() != expected:
        raise ValueError("it is damaged or cut short")
    return json.loads(body)


def _write(path: Path, texts: dict) -> None:
    body = json.dumps(texts).encode()
    header = {"is": OURS, **_identity(), "sha256": hashlib.sha256(body).hexdigest()}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix="texts-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(header).encode() + b"\n" + body)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise


def _clean_up(current: Path) -> None:
    """Remove our own caches beyond the newest few, and what killed builds left behind."""
    with suppress(OSError):  # another process is cleaning up as well, or reads one of them
        others = [path for path in _caches(current.parent) if path != current and _is_ours(path)]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        abandoned = [path for path in current.parent.glob("texts-*.part")
                     if time.time() - path.stat().st_mtime > ABANDONED]
        for path in others[OTHERS_KEPT:] + abandoned:
            path.unlink()


def _caches(folder: Path) -> list[Path]:
    return list(folder.glob("texts-*.json"))


def _is_ours(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return json.loads(file.readline())["is"] == OURS
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _say(line: str) -> None:
    print(line, file=sys.stderr)
