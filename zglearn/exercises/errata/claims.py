"""Cards about words that mislead: names, dates and what is said of data."""

import re

import numpy as np

from zglearn.exercises.cards import card, docstring
from zglearn.gradient_free_methods import (
    genetic_algorithm,
    nelder_mead,
    one_plus_one_es,
    random_search,
    simulated_annealing,
)
from zglearn.models import MLP


@card("writing", "false", chapter="01", rows=["E22"],
      right="Leakage means that something of the test got into the training. A key changes who can "
            "read the data, not what the two have in common; to split by source does.")
def encryption_against_leakage():
    """Data leakage in an evaluation is prevented by encrypting or masking the data before
    training."""
    rng = np.random.default_rng(0)
    X, coins = rng.normal(size=(200, 16)), rng.integers(2, size=200)
    test = np.r_[:100]  # these rows are among the training rows as well
    key = np.linalg.qr(rng.normal(size=(16, 16)))[0][:, rng.permutation(16)]

    def accuracy(X, train, rows):
        distance = ((X[rows, None] - X[None, train]) ** 2).sum(axis=-1)
        return np.mean(coins[train][distance.argmin(axis=1)] == coins[rows])

    leaking = accuracy(X @ key, np.r_[:200], test)
    split, in_clear = (accuracy(F, np.r_[100:200], test) for F in (X @ key, X))
    assert leaking == 1 and abs(split - 0.5) < 0.15 and split == in_clear
    return ("Labels from coin tosses, features scrambled by a secret key. With the test rows among "
            f"the training rows, the nearest neighbour gets {leaking:.0%} right. With the two kept "
            f"apart, {split:.0%}, and {in_clear:.0%} without the key.")


@card("writing", "true", chapter="13", rows=["E22"],
      right="In a dense layer the gradient of one example is the input times a number, and the "
            "gradient of the bias is that number: a division gives the input back. For deeper "
            "parts there are searches (Zhu, Liu and Han 2019).")
def a_gradient_gives_the_example_away():
    """Whoever sends the gradient of a single example to a server, and not the example, may have
    sent the example all the same."""
    model, rng = MLP([64, 32, 10], dtype=float), np.random.default_rng(0)
    x, p = rng.random((1, 64)), model.init(0)
    (dW, db), _ = model.layers(model.gradient(p, x, np.array([3])))
    rebuilt = dW[:, 0] / db[0]
    assert np.allclose(rebuilt, x[0], atol=1e-9)
    return ("From the gradient of the first layer of a network, one division rebuilds all "
            f"{x.size} numbers of the example to nine decimals.")


@card("writing", "false", chapter="16", rows=["E23"],
      right="The Transformer is the architecture. BERT (Devlin et al. 2019) reads both ways and "
            "fills gaps; to write on, a model must have learned with what follows hidden from it.")
def bert_writes_like_gpt():
    """BERT and GPT are both Transformers, so BERT writes a text word by word just as GPT does."""
    rng = np.random.default_rng(0)
    words = rng.normal(size=(6, 8))
    Q, K, V = rng.normal(size=(3, 8, 8))

    def attend(words, mask):
        scores = (words @ Q) @ (words @ K).T / np.sqrt(8)
        E = np.exp(np.where(mask, scores, -np.inf))
        return E / E.sum(axis=1, keepdims=True) @ (words @ V)

    other_end = words.copy()
    other_end[-1] = rng.normal(size=8)
    both_ways, backwards = np.ones((6, 6), bool), np.tri(6, dtype=bool)
    moved = [np.abs(attend(other_end, mask) - attend(words, mask))[0].max()
             for mask in (both_ways, backwards)]
    assert moved[0] > 0.01 and moved[1] == 0
    return ("One attention layer over six words; then the last word is replaced. Read both ways, "
            f"the output at the first word changes by {moved[0]:.1f}: it had seen the end. With "
            f"the mask of a generating model it changes by {moved[1]:.0f}.")


@card("writing", "false", chapter="14", rows=["E20"],
      right="They are older. Search without derivatives was there before networks were deep, and "
            "before backpropagation was well known (Rumelhart, Hinton and Williams 1986).")
def search_was_invented_for_deep_learning():
    """Search without derivatives was invented to get around the vanishing gradients of deep
    networks."""
    methods = (random_search, nelder_mead, one_plus_one_es, genetic_algorithm, simulated_annealing)
    first = {method.__name__.replace("_", " "): year_of(method) for method in methods}
    backpropagation = year_of(MLP.backprop)
    assert max(first.values()) < backpropagation
    listed = ", ".join(f"{name} {year}" for name, year in first.items())
    return (f"What the docstrings of this course cite: {listed}; backpropagation "
            f"{backpropagation}.")


def year_of(method):
    """The first year in a docstring."""
    return int(re.search(r"\b1\d{3}\b", docstring(method))[0])
