"""Text and tables for the course, with no download.

`load_docstrings`  which of four libraries, or nine subjects, does this docstring come from?
`load_names`       which of 14 languages is this name of a country, language or currency in?
`tfidf`            the matrices of either, fitted on the train part
`load_sentences`   the sentences of the same docstrings, to train a language model on
`load_digits`, `load_diabetes`   small images to classify, and a small regression
`load_newsgroups`  20 newsgroups: the only one that may download, and only when it is asked to

Each returns a small frozen record with `train`, `validation` and `test` (the sentences have no
test part). Texts are split by source file, so that no file has text in two parts.

Where the text comes from
-------------------------
Nothing is fetched and none of the text is in this repository: it is read, on the learner's
machine, from packages that the course has installed there anyway, and stays there, in a cache
(`build_cache`). Their texts belong to their authors, under these licences:

==============  =======================================  ======================================
text            package                                  licence
==============  =======================================  ======================================
docstrings      numpy, scipy, scikit-learn               BSD 3-Clause
docstrings      matplotlib                               its own, in the manner of Python's
names           Babel (data of the Unicode CLDR)         BSD 3-Clause; data: Unicode License V3
digits          scikit-learn, from UCI                   CC BY 4.0 (Alpaydin and Kaynak 1998)
diabetes        scikit-learn                             published by Efron et al. (2004)
20 newsgroups   fetched by scikit-learn, when asked to   no stated licence; public posts of 1993
==============  =======================================  ======================================

Library files are parsed, never imported; `docstrings.py` finds them, `cleaning.py` takes the
markup and the giveaway names out, `texts.py` is the whole recipe.
"""

# Imported lazily: `zglearn doctor` asks for `cache_status` when even numpy may be missing.
import importlib

_HOME = {
    "DataError": "docstrings",
    "build_cache": "cache",
    "cache_folder": "cache",
    "cache_status": "cache",
    "load_diabetes": "loaders",
    "load_digits": "loaders",
    "load_docstrings": "loaders",
    "load_names": "loaders",
    "load_newsgroups": "loaders",
    "tfidf": "tasks",
    "ALPHABET": "sentences",
    "decode": "sentences",
    "encode": "sentences",
    "load_sentences": "sentences",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module(f"zglearn.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'zglearn.data' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
