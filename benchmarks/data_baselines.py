"""What simple models reach on the course's data: the numbers to beat, and what leaks would add.

    python benchmarks/data_baselines.py [number of split seeds]

With the default of 10 split seeds it takes some minutes.
"""

import zglearn  # noqa: F401, I001  before numpy: it asks for one BLAS thread

import sys
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.decomposition import NMF, TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from zglearn.data import encode, load_docstrings, load_names, load_sentences, tfidf
from zglearn.data.docstrings import LIBRARIES, docstrings, source_files
from zglearn.data.sentences import ALPHABET
from zglearn.data.tasks import Texts
from zglearn.data.texts import WORD, library_of

logistic_regression = partial(LogisticRegression, C=10, max_iter=1000)


def main(seeds):
    print(f"Which library? Test accuracy in percent, {len(seeds)} split seeds\n")
    report("majority", [majority(load_docstrings(split_seed=s)) for s in seeds])
    report("length only", [length_only(load_docstrings(split_seed=s)) for s in seeds])
    models = {
        "NMF(50) + logistic regression": lambda s: make_pipeline(
            NMF(50, max_iter=200, tol=1e-3, random_state=s), Normalizer(), logistic_regression()),
        "SVD(50) + logistic regression": lambda s: make_pipeline(
            TruncatedSVD(50, random_state=s), logistic_regression()),
        "logistic regression, C=10": lambda s: logistic_regression(),
        "MLP(64)": lambda s: MLPClassifier(64, early_stopping=True, random_state=s),
        "naive Bayes, alpha=0.1": lambda s: MultinomialNB(alpha=0.1),
    }
    for name, model in models.items():
        report(name, [accuracy(model(s), load_docstrings(split_seed=s)) for s in seeds])

    print("\nLogistic regression on other splits and texts\n")
    report("leak: random split, files on two sides",
           [accuracy(logistic_regression(), resplit(load_docstrings(), s)) for s in seeds])
    raw = raw_docstrings()
    report("leak: the same with raw docstrings, names unmasked",
           [accuracy(logistic_regression(), resplit(raw, s)) for s in seeds])
    report("topic shift: whole folders held out",
           [accuracy(logistic_regression(), resplit(load_docstrings(), s, folder)) for s in seeds])
    for name, load in {"nine subjects": partial(load_docstrings, "subject"),
                       "names in 14 languages": load_names}.items():
        report(f"{name}: majority", [majority(load(split_seed=s)) for s in seeds])
        report(name, [accuracy(logistic_regression(), load(split_seed=s)) for s in seeds])

    print(f"\nCharacters of the sentences ({len(ALPHABET)} of them): bits per character\n")
    corpus = load_sentences()
    sentences = corpus.train + corpus.validation
    leaky = train_test_split(sentences, test_size=len(corpus.validation), random_state=0)
    elsewhere = load_sentences(without="matplotlib").train, load_sentences("matplotlib").validation
    for name, (train, validation) in {
        "by file": (corpus.train, corpus.validation),
        "leak: random sentences": leaky,
        "domain shift: to matplotlib from the others": elsewhere,
    }.items():
        bits = witten_bell(encode(train), encode(validation), orders=6)
        print(f"{name:52}", *(f"{b:6.2f}" for b in bits))
    print(f"{'':52}", *(f"{k}-gram" for k in range(1, 7)))


def report(name, scores):
    print(f"{name:52} {100 * np.mean(scores):5.1f} ± {100 * np.std(scores):.1f}", flush=True)


def majority(task):
    return np.mean(task.test.labels == np.bincount(task.train.labels).argmax())


def length_only(task):
    train, test = ([[len(t), len(t.split())] for t in p.texts] for p in (task.train, task.test))
    model = logistic_regression().fit(np.log(train), task.train.labels)
    return model.score(np.log(test), task.test.labels)


def accuracy(model, task):
    X = tfidf(task)
    return model.fit(X.train, task.train.labels).score(X.test, task.test.labels)


def resplit(task, seed, group_of=None):
    """The task with a quarter of its texts, or of its groups, drawn at random for test."""
    parts = task.train, task.validation, task.test
    texts = [text for part in parts for text in part.texts]
    labels = np.concatenate([part.labels for part in parts])
    groups = [group for part in parts for group in part.groups]
    if group_of is None:
        train, test = train_test_split(np.arange(len(texts)), test_size=0.25, random_state=seed)
    else:
        cut = GroupShuffleSplit(1, test_size=0.25, random_state=seed)
        train, test = next(cut.split(texts, groups=[group_of(group) for group in groups]))
    train, validation = train_test_split(train, test_size=0.25, random_state=seed)
    train, validation, test = (
        Texts([texts[i] for i in rows], labels[rows], [groups[i] for i in rows])
        for rows in (train, validation, test))
    return replace(task, train=train, validation=validation, test=test)


def raw_docstrings():
    """Whole docstrings with all their code and names, in a task that has yet to be split."""
    files = [file for library in LIBRARIES for file in source_files(library)]
    rows = [(text, list(LIBRARIES).index(library_of(name)), name)
            for name, path in files for text in docstrings(path.read_bytes())
            if len(WORD.findall(text)) >= 15]
    texts, labels, groups = zip(*rows, strict=True)
    nothing = Texts([], np.array([], int), [])
    return replace(load_docstrings(), train=Texts(list(texts), np.array(labels), list(groups)),
                   validation=nothing, test=nothing)


def folder(file):
    """The subpackage; matplotlib has few, so its files stand for themselves."""
    return file if file.startswith("matplotlib") else "/".join(file.split("/")[:2])


def witten_bell(train, validation, orders):
    """Bits per character of n-gram models, n = 1 ... orders, smoothed after Witten and Bell (1991):
    each falls back on the next shorter one as often as new characters followed its context.
    """
    size = len(ALPHABET)
    p, bits = np.full(len(validation), 1 / size), []
    grams, asked = np.zeros(len(train), int), np.zeros(len(validation), int)
    for n in range(orders):
        grams, asked = grams + shifted(train, n) * size**n, asked + shifted(validation, n) * size**n
        known, count = np.unique(grams, return_counts=True)
        context, first, followers = np.unique(known // size, return_index=True, return_counts=True)
        c = lookup(asked, known, count)
        N = lookup(asked // size, context, np.add.reduceat(count, first))
        T = lookup(asked // size, context, followers)
        p = np.where(N > 0, (c + T * p) / np.maximum(N + T, 1), p)
        bits.append(-np.log2(p).mean())
    return bits


def shifted(codes, n):
    """The character n places back; newlines before the start."""
    return np.concatenate([np.zeros(n, int), codes[:len(codes) - n]])


def lookup(keys, known, values):
    """The value of each key, 0 for an unknown one; ``known`` is sorted."""
    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return np.where(known[place] == keys, values[place], 0)


if __name__ == "__main__":
    main(range(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
