"""Topics and generator: a matrix of word pairs, cut to rank k, as topics and language model."""

from __future__ import annotations

import functools

import numpy as np

from .. import panels as draw
from ..widget import Widget, choice, part, positions, slider

FLOOR = 1e-3  # the share of every distribution that is the unigram's: no word is impossible
WORDS = 60


def topics_explorer(fits, vocabulary, train, test, *, start=None, alt=""):
    """A widget: rank and temperature against topics, text, perplexity and negative cells.

    Parameters
    ----------
    fits : {method: {rank: (W, H)}}
        Factors (V, k) and (k, V) of a matrix whose row i is proportional to, or approximates, the
        distribution of the word after word i. All methods with the same ranks.
    vocabulary : list of V words
    train, test : arrays or sparse matrices (V, V)
        Counts of word pairs: row i, column j is how often j followed i.
    start : int, optional
        The index of the word that a text begins with; the most frequent one by default.
    """
    train, test = (np.asarray(c.toarray() if hasattr(c, "toarray") else c) for c in (train, test))
    ranks = sorted(next(iter(fits.values())))
    methods = tuple(fits)
    unigram = train.sum(axis=0) / train.sum()
    start = int(unigram.argmax()) if start is None else start

    @functools.lru_cache(maxsize=4)
    def model(method, rank):
        W, H = fits[method][rank]
        return next_word(W @ H, unigram)

    @functools.cache
    def score(method, rank):
        P, negative = model(method, rank)
        return perplexity(P, test), perplexity(P, train), negative

    def quality(rank):
        layers = [draw.rule("perplexity", x=rank), draw.rule("negative", x=rank)]
        for i, method in enumerate(methods):
            held_out, trained, negative = np.transpose([score(method, k) for k in ranks])
            layers += [
                draw.line("perplexity", ranks, held_out, colour=i, label=f"{method}, test",
                          marker=True),
                draw.line("perplexity", ranks, trained, colour=i, thin=True,
                          label=f"{method}, train"),
                draw.line("negative", ranks, negative, colour=i, label=method, marker=True)]
        return layers

    def topics(method, rank):
        return [draw.table("topics", ("topic", "words that it makes likely"),
                           top_words(fits[method][rank][1], vocabulary))]

    def sample(method, rank, temperature, seed):
        words = generate(model(method, rank)[0], start, temperature, WORDS,
                         np.random.default_rng(seed))
        held_out, _, negative = score(method, rank)
        return [draw.text("text", " ".join(vocabulary[w] for w in words)),
                draw.status(f"{method}, rank {rank}: test perplexity {held_out:.1f}, "
                            f"{negative:.1%} of the cells are negative.")]

    return Widget(
        "Topics and generator",
        panels=[draw.Panel("topics", "topics", kind="text", height=230),
                draw.Panel("text", "a text, drawn word by word", kind="text", height=230),
                draw.Panel("perplexity", "perplexity", "rank", log="x", height=210),
                draw.Panel("negative", "share of negative cells", "rank", log="x", height=210)],
        controls=[choice("method", "factors", methods),
                  positions("rank", "rank", ranks, ranks[len(ranks) // 2]),
                  slider("temperature", "temperature", 0.1, 2, 1, positions=39),
                  slider("seed", "seed", 0, 20, 0, whole=True, positions=21)],
        parts=[part(topics), part(sample), part(quality)],
        alt=alt or ("The strongest words of each topic, a sample of text, and against the rank: "
                    "the perplexity on training and test text, and the share of cells below zero, "
                    "which only non-negative factors keep at none."))


def next_word(M, unigram):
    """Rows of M as distributions (V, V), and the share of cells that were below zero.

    Negative cells become 0, and a thousandth of every row is the unigram distribution.
    """
    P = np.maximum(M, 0)
    total = P.sum(axis=1, keepdims=True)
    P = np.where(total > 0, P / np.where(total > 0, total, 1), unigram)
    return (1 - FLOOR) * P + FLOOR * unigram, float((M < 0).mean())


def perplexity(P, counts):
    """exp of the mean surprise in nats, over the word pairs counted, of the distributions P."""
    i, j = np.nonzero(counts)
    return float(np.exp(-(counts[i, j] * np.log(np.maximum(P[i, j], 1e-12))).sum() / counts.sum()))


def generate(P, word, temperature, length, rng):
    """A random walk of ``length`` words. A low temperature takes the likely word more often."""
    words = [word]
    for _ in range(length - 1):
        logits = np.log(np.maximum(P[words[-1]], 1e-12)) / temperature
        p = np.exp(logits - logits.max())
        words.append(int(rng.choice(len(p), p=p / p.sum())))
    return words


def top_words(H, vocabulary, topics=12, words=8):
    """Rows (number, words) for a table: the largest entries of each row of H (k, V)."""
    best = np.argsort(-np.asarray(H)[:topics], axis=1, kind="stable")[:, :words]
    return [(i + 1, ", ".join(vocabulary[j] for j in row)) for i, row in enumerate(best)]
