"""Text classification: records with train, validation and test, and their TF-IDF matrices."""

import re
from dataclasses import dataclass

import numpy as np

from .cache import load_texts
from .texts import WORD, library_of

# How `tfidf` counts, unless it is told otherwise.
WORDS = {"token_pattern": WORD.pattern, "stop_words": "english", "min_df": 3, "max_df": 0.5,
         "sublinear_tf": True}
CHARACTERS = {"analyzer": "char_wb", "ngram_range": (1, 3), "min_df": 2, "sublinear_tf": True}


@dataclass(frozen=True, repr=False)
class Texts:
    """One part of a task: ``texts`` (n strings), ``labels`` (n,) ints, ``groups`` (n strings).

    The group is where a text stands (its source file); no group is in two parts.
    """

    texts: list[str]
    labels: np.ndarray
    groups: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"Texts({len(self):,})"


@dataclass(frozen=True)
class TextTask:
    """Texts to classify. ``label_names[label]`` is the name of a label."""

    label_names: tuple[str, ...]
    train: Texts
    validation: Texts
    test: Texts
    counting: dict  # what `tfidf` should do by default


@dataclass(frozen=True)
class Tfidf:
    """TF-IDF matrices (texts, terms), scipy CSR float64, rows of length 1.

    ``terms[column]`` is a column's term; ``vectorizer`` is scikit-learn's, fitted on train only,
    for texts of your own: ``vectorizer.transform(["a text"])``.
    """

    train: object
    validation: object
    test: object
    terms: np.ndarray
    vectorizer: object


def load_docstrings(split_seed: int = 0) -> TextTask:
    """Docstrings of numpy, scipy, scikit-learn and matplotlib, with every name of them masked.

    Parameters
    ----------
    split_seed : int
        Chooses the files of each part: about 56 % train, 19 % validation and 25 % test.
    """
    documents = load_texts()["documents"]
    names = [library_of(file) for file in documents["files"]]
    return _split(documents["texts"], names, documents["files"], split_seed, WORDS)


def tfidf(task: TextTask, **settings) -> Tfidf:
    """TF-IDF of a task, fitted on its train part only; two lines reach a classifier:

        X = tfidf(task)
        LogisticRegression().fit(X.train, task.train.labels)

    ``settings`` are those of scikit-learn's TfidfVectorizer.
    """
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(**{**task.counting, **settings}).fit(task.train.texts)
    parts = [csr_array(vectorizer.transform(part.texts))
             for part in (task.train, task.validation, task.test)]
    return Tfidf(*parts, vectorizer.get_feature_names_out(), vectorizer)


def _split(texts, names, groups, seed, counting) -> TextTask:
    """By group, with the labels in proportion: a quarter for test, a quarter of the rest for
    validation.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    label_names, labels = np.unique(names, return_inverse=True)
    groups = np.array(groups)

    def quarter(rows):
        folds = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
        rest, chosen = next(folds.split(rows, labels[rows], groups[rows]))
        return rows[rest], rows[chosen]

    rest, test = quarter(np.arange(len(texts)))
    train, validation = quarter(rest)
    parts = [Texts([texts[i] for i in rows], labels[rows], groups[rows].tolist())
             for rows in (train, validation, test)]
    return TextTask(tuple(map(str, label_names)), *parts, counting)
