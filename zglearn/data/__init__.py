"""Text and tables for the course, with no download.

The text is read from packages that the learner has installed anyway. Nothing of it is in this
repository and nothing is fetched: the first use reads, cleans and caches it (`build_cache`).

`load_docstrings`, `tfidf`  which of four libraries does this docstring come from?
`load_sentences`   the sentences of the same docstrings, to train a small language model on

Each returns a small frozen record with `train`, `validation` and `test` (sentences have no test).
Texts are split by source file, so that no file has text on two sides.
"""

# Imported lazily: `zglearn doctor` asks for `cache_status` when even numpy may be missing.
import importlib

_HOME = {
    "build_cache": "cache",
    "cache_folder": "cache",
    "cache_status": "cache",
    "load_docstrings": "tasks",
    "load_sentences": "sentences",
    "tfidf": "tasks",
    "ALPHABET": "sentences",
    "decode": "sentences",
    "encode": "sentences",
    "DataError": "docstrings",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module(f"zglearn.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'zglearn.data' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
