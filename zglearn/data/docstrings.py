"""Read the docstrings of installed libraries: their files are parsed, never imported."""

import ast
import importlib.util
import inspect
import re
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = {  # the folder that is read: the package that holds it
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
}

# Tests, other people's code, build helpers, and files that differ between platforms.
SKIPPED = re.compile(r"""
    /(tests?|testing|externals?|_?vendor(ed)?|array_api_compat|array_api_extra|_uarray|cobyqa
      |pyprima|distutils|f2py|sphinxext|_build_utils|_pyinstaller|_precompute|_?typing)/
    | /(setup|conftest|_?version|__config__|_distributor_init|_generate_\w+)\.py$
    """, re.VERBOSE)


class DataError(RuntimeError):
    """The data cannot be read; the message says what is missing and how to mend it."""


def library_versions() -> dict[str, str]:
    """The installed version of each package. Raises DataError if one is missing."""
    try:
        return {package: version(package) for package in LIBRARIES.values()}
    except PackageNotFoundError as missing:
        raise DataError(f"the course reads its text from {missing.name}, which is not installed: "
                        f"pip install {missing.name}") from None


def source_files(library: str) -> list[tuple[str, Path]]:
    """The files to read, as (name, path): the name starts at the library and uses slashes."""
    spec = importlib.util.find_spec(library)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"{library} is not installed: pip install {LIBRARIES[library]}")
    root = Path(spec.submodule_search_locations[0])
    named = ((f"{library}/{path.relative_to(root).as_posix()}", path)
             for path in root.rglob("*.py"))
    files = sorted((name, path) for name, path in named if not SKIPPED.search(name))
    if not files:
        raise DataError(
            f"{root} holds no .py files, only compiled ones, so there are no docstrings to read. "
            f"Reinstall it from its wheel: pip install --force-reinstall {LIBRARIES[library]}")
    return files


def docstrings(source: bytes) -> Iterator[str]:
    """The docstrings of a file's classes, functions and methods, and those in `add_newdoc` calls.

    Nothing inside a function is looked at. A file that this Python cannot parse has none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old files hold invalid escapes
            statements = ast.parse(source).body
    except (SyntaxError, ValueError):
        return
    for node in statements:  # grows as blocks are opened
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if text := ast.get_docstring(node):
                yield text
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _added_docstrings(node.value)
        if isinstance(node, (ast.ClassDef, ast.If, ast.Try, ast.With)):
            statements += node.body


def _added_docstrings(call: ast.Call) -> Iterator[str]:
    """`add_newdoc(place, name, doc)`, where doc may also be (name, doc) or a list of such pairs."""
    if not ast.unparse(call.func).endswith("add_newdoc"):
        return
    for argument in call.args:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and "\n" in str(node.value):
                yield inspect.cleandoc(node.value)
