"""What a classification task is: a record with train, validation and test, and its TF-IDF."""

from dataclasses import dataclass, field

import numpy as np

from .texts import WORD

# How `tfidf` counts words, or pieces of words, unless it is told otherwise.
WORDS = {"token_pattern": WORD.pattern, "stop_words": "english", "min_df": 3, "max_df": 0.5,
         "sublinear_tf": True}
CHARACTERS = {"analyzer": "char_wb", "ngram_range": (1, 3), "min_df": 2, "sublinear_tf": True}


@dataclass(frozen=True, repr=False, eq=False)
class Texts:
    """One part of a text task: n ``texts``, their ``labels``, an int array (n,), and ``groups``.

    A text's group is its source file, or whatever else must not be torn apart: no group is in
    two parts.
    """

    texts: list[str]
    labels: np.ndarray
    groups: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:  # a notebook should not show whole documents
        return f"Texts({len(self):,})"


@dataclass(frozen=True, eq=False)
class TextTask:
    """Texts to classify. ``label_names[label]`` is the name of a label."""

    label_names: tuple[str, ...]
    train: Texts
    validation: Texts
    test: Texts
    counting: dict = field(repr=False)  # the task's default settings for `tfidf`


@dataclass(frozen=True, eq=False)
class Tfidf:
    """TF-IDF matrices (texts, terms): scipy CSR, float64, rows of length 1 (0 if all unknown).

    ``terms[column]`` is the term of a column. ``vectorizer`` is scikit-learn's, for texts of your
    own: ``vectorizer.transform(["a text"])``.
    """

    train: object
    validation: object
    test: object
    terms: np.ndarray
    vectorizer: object


def tfidf(task: TextTask, **settings) -> Tfidf:
    """TF-IDF of a task, fitted on its train part only. Two lines reach a classifier:

        X = tfidf(task)
        LogisticRegression().fit(X.train, task.train.labels)

    ``settings`` of scikit-learn's TfidfVectorizer replace the task's own, one by one.
    """
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(**{**task.counting, **settings})
    train = vectorizer.fit_transform(task.train.texts)
    validation, test = (vectorizer.transform(p.texts) for p in (task.validation, task.test))
    return Tfidf(csr_array(train), csr_array(validation), csr_array(test),
                 vectorizer.get_feature_names_out(), vectorizer)


def split_by_group(texts, names, groups, seed: int, counting: dict) -> TextTask:
    """A quarter for test, a quarter of the rest for validation: whole groups, labels in
    proportion as far as that goes. ``names`` are the labels in words.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    label_names, labels = np.unique(names, return_inverse=True)
    groups = np.array(groups)

    def quarter(rows):
        # Groups that would do equally well are taken in random order. Before version 1.8,
        # StratifiedGroupKFold's own `shuffle` lost the proportions.
        known, group = np.unique(groups[rows], return_inverse=True)
        turn = np.random.RandomState(seed).permutation(len(known)).argsort()
        rest, chosen = next(StratifiedGroupKFold(4).split(rows, labels[rows], turn[group]))
        return rows[rest], rows[chosen]

    rest, test = quarter(np.arange(len(texts)))
    train, validation = quarter(rest)
    parts = (Texts([texts[i] for i in rows], labels[rows], groups[rows].tolist())
             for rows in (train, validation, test))
    return TextTask(tuple(label_names.tolist()), *parts, dict(counting))
