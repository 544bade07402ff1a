"""The classification and regression tasks of the course. For the sentences see `sentences.py`."""

import http.client
import re
import socket
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .cache import load_texts
from .docstrings import DataError
from .tasks import CHARACTERS, WORDS, Texts, TextTask, split_by_group
from .texts import WORD, library_of

# A subject is where a file stands. Helpers, file formats and the like have none.
SUBJECTS = {
    "arrays": r"numpy/(_?core|lib|ma|matrixlib)/",
    "clustering": r"scipy/cluster/|sklearn/(cluster|decomposition|manifold|mixture"
                  r"|cross_decomposition|random_projection|kernel_approximation)\b",
    "functions": r"scipy/(special|integrate|interpolate|differentiate)/|numpy/polynomial/",
    "learning": r"sklearn/(?!(utils|datasets|callback|covariance|base|exceptions|frozen)\b)",
    "linear algebra": r"(numpy|scipy)/linalg/|scipy/sparse/",
    "optimization": r"scipy/optimize/",
    "plotting": r"matplotlib/",
    "signals": r"scipy/(signal|ndimage|fftpack|fft)/|numpy/fft/",
    "statistics": r"scipy/(stats|odr)/|numpy/random/|sklearn/covariance/",
}

LANGUAGES = ("de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "sv", "tr", "zh",
             "zh_Hant")
NAMED = ("territories", "languages", "currencies", "scripts", "variants", "unit_display_names")
NOT_IN_NAMES = re.compile(r"[^\w\s'’・-]|[\d_]")


@dataclass(frozen=True, repr=False, eq=False)
class Table:
    """One part of a table task: ``X`` (n, features) and ``y`` (n,)."""

    X: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"Table({len(self):,} x {self.X.shape[1]})"


@dataclass(frozen=True, eq=False)
class TableTask:
    """Rows of numbers with something to predict."""

    feature_names: tuple[str, ...]
    train: Table
    validation: Table
    test: Table


def load_docstrings(labels: str = "library", split_seed: int = 0) -> TextTask:
    """Docstrings of numpy, scipy, scikit-learn and matplotlib; every name of them is masked.

    Parameters
    ----------
    labels : "library" or "subject"
        Which of the four libraries does a docstring come from, or which of nine subjects is it
        about? Docstrings of no clear subject are left out of the second task.
    split_seed : int
        Chooses the source files of each part: about 56 % train, 19 % validation, 25 % test.

    Raises
    ------
    ValueError
        For other labels.
    DataError
        If a library is not installed, or only in compiled form.
    """
    name_of = {"library": library_of, "subject": subject_of}.get(labels)
    if name_of is None:
        raise ValueError(f'labels is "library" or "subject", not {labels!r}')
    documents = load_texts()["documents"]
    rows = [(text, name_of(file), file)
            for text, file in zip(documents["texts"], documents["files"], strict=True)
            if name_of(file)]
    return split_by_group(*zip(*rows, strict=True), split_seed, WORDS)


def load_names(split_seed: int = 0) -> TextTask:
    """Names of countries, languages, currencies, scripts and units: which of 14 languages is it?

    From the CLDR, as Babel brings it. Lower case, without digits and brackets; a name that two
    languages share is left out. All translations of a name are in the same part. Raises DataError
    if Babel is not installed.
    """
    names = _cldr_names()
    spoken_in = defaultdict(set)
    for name, language, _ in names:
        spoken_in[name].add(language)
    rows = {name: (name, language, key) for name, language, key in reversed(names)
            if len(spoken_in[name]) == 1}
    return split_by_group(*zip(*reversed(rows.values()), strict=True), split_seed, CHARACTERS)


def load_digits(split_seed: int = 0) -> TableTask:
    """1,797 handwritten digits of 8 x 8 pixels, in scikit-learn (Alpaydin and Kaynak 1998, UCI).

    ``X`` is (n, 64) in 0 ... 1, ``y`` the digit. The split is random, 60 : 20 : 20 with the digits
    in proportion: the data do not say who wrote what, so a writer's hand is on both sides.
    """
    from sklearn.datasets import load_digits as load

    digits = load()
    return _random_parts(digits.feature_names, digits.data / 16, digits.target, split_seed,
                         stratify=True)


def load_diabetes(split_seed: int = 0) -> TableTask:
    """442 patients, in scikit-learn (Efron, Hastie, Johnstone and Tibshirani 2004).

    ``X`` is (n, 10), in units of the train part's mean and standard deviation; ``y`` is the
    disease's progression after one year, from 25 to 346. The split is random, 60 : 20 : 20.
    """
    from sklearn.datasets import load_diabetes as load

    patients = load(scaled=False)
    task = _random_parts(patients.feature_names, patients.data, patients.target, split_seed)
    mean, spread = task.train.X.mean(axis=0), task.train.X.std(axis=0)
    parts = (Table((part.X - mean) / spread, part.y)
             for part in (task.train, task.validation, task.test))
    return TableTask(task.feature_names, *parts)


def load_newsgroups(download: bool = False, split_seed: int = 0) -> TextTask:
    """20 newsgroups (Lang 1995) without headers, footers and quotes, if this machine has it.

    The one task that may use the network, and only with ``download=True``. The test part is the
    data's own, of later posts; validation is drawn from the earlier ones. Raises DataError, with
    the way out, if the data are not there.
    """
    from sklearn.model_selection import train_test_split

    earlier, later = (_newsgroup_posts(subset, download) for subset in ("train", "test"))
    rows = np.arange(len(earlier.data))
    train, validation = train_test_split(rows, test_size=0.25, stratify=earlier.target,
                                         random_state=split_seed)
    return TextTask(tuple(earlier.target_names), _written(earlier, train),
                    _written(earlier, validation), _written(later, range(len(later.data))),
                    dict(WORDS))


def subject_of(file: str) -> str | None:
    """The subject of a source file, or None."""
    return next((name for name, place in SUBJECTS.items() if re.match(place, file)), None)


def _cldr_names() -> list[tuple[str, str, str]]:
    """(name, language, key), where the key says what is named: "territories/CN"."""
    try:
        from babel import Locale
    except ModuleNotFoundError:
        raise DataError("the names come with Babel, which is not installed: "
                        "pip install babel") from None
    names = []
    for language in LANGUAGES:
        locale = Locale.parse(language)
        for kind in NAMED:
            for key, name in getattr(locale, kind).items():
                if kind == "unit_display_names":  # kept by length
                    name = dict(name).get("long") or dict(name).get("short")
                name = " ".join(NOT_IN_NAMES.sub(" ", name or "").lower().split())
                if name:
                    names.append((name, language, f"{kind}/{key}"))
    return names


def _random_parts(feature_names, X, y, seed, stratify=False) -> TableTask:
    from sklearn.model_selection import train_test_split

    def share(rows, size):
        return train_test_split(rows, test_size=size, random_state=seed,
                                stratify=y[rows] if stratify else None)

    rest, test = share(np.arange(len(y)), 0.2)
    train, validation = share(rest, 0.25)
    return TableTask(tuple(feature_names),
                     *(Table(X[rows], y[rows]) for rows in (train, validation, test)))


def _newsgroup_posts(subset: str, download: bool):
    """scikit-learn's copy of one half of the posts. Raises DataError if there is none."""
    from sklearn.datasets import fetch_20newsgroups

    def fetch(**how):
        return fetch_20newsgroups(subset=subset, remove=("headers", "footers", "quotes"), **how)

    try:
        return fetch(download_if_missing=False)
    except OSError as absent:
        problem = absent
    if download:
        try:
            with _socket_timeout(20):
                return fetch(n_retries=1)
        except (OSError, http.client.HTTPException) as failed:
            problem = failed
    raise DataError(_newsgroups_advice(problem, download)) from problem


def _newsgroups_advice(problem: Exception, download: bool) -> str:
    from sklearn.datasets import get_data_home

    tried = (f"could not be downloaded ({problem})" if download else
             "are not on this machine; load_newsgroups(download=True) fetches them (14 MB)")
    return (f"The 20 newsgroups {tried}. A machine that has them keeps them in "
            f"{Path(get_data_home()) / '20news-bydate_py3.pkz'}: a copy of that file, in the same "
            "place here, works as well. The course itself does not need them: load_docstrings() "
            "and load_names() use no network.")


def _written(posts, rows) -> Texts:
    """The rows of the posts in which something is left."""
    rows = [i for i in rows if WORD.search(posts.data[i])]
    return Texts([posts.data[i] for i in rows], posts.target[rows],
                 [str(posts.filenames[i]) for i in rows])


@contextmanager
def _socket_timeout(seconds: float):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
