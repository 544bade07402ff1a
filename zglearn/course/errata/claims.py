"""Cards about words that mislead: names, dates and what is said of data."""

import numpy as np

from zglearn.course.errata import card
from zglearn.models import MLP


@card("writing", "false", chapter="08", rows=["E22"],
      right="Leakage means that the test knows something of the training data. A key changes who "
            "can read the data, not what they have in common; splitting by source does.")
def encryption_against_leakage():
    """Data leakage in an evaluation is prevented by encrypting or masking the data before
    training."""
    rng = np.random.default_rng(0)
    X, coins = rng.normal(size=(200, 16)), rng.integers(2, size=200)
    test = np.r_[:100]  # these rows are among the training rows as well
    key = np.linalg.qr(rng.normal(size=(16, 16)))[0][:, rng.permutation(16)]

    def accuracy(train, rows):
        distance = ((X[rows, None] @ key - X[None, train] @ key) ** 2).sum(axis=-1)
        return np.mean(coins[train][distance.argmin(axis=1)] == coins[rows])

    leaking, split = accuracy(np.r_[:200], test), accuracy(np.r_[100:200], test)
    assert leaking == 1 and abs(split - 0.5) < 0.15
    return ("Labels from coin tosses, features scrambled by a secret key. With the test rows among "
            f"the training rows, the nearest neighbour gets {leaking:.0%} right. With the two kept "
            f"apart, {split:.0%}; the key plays no part.")


@card("writing", "true", chapter="10", rows=["E22"],
      right="In a dense layer the gradient of one example is the input times a number, and the "
            "gradient of the bias is that number: a division gives the input back.")
def a_gradient_gives_the_example_away():
    """Whoever sends the gradient of a single example to a server, and not the example, may have
    sent the example all the same."""
    model, rng = MLP([64, 32, 10], dtype=float), np.random.default_rng(0)
    x, p = rng.random((1, 64)), model.init(0)
    (dW, db), _ = model.layers(model.gradient(p, x, np.array([3])))
    rebuilt = dW[:, 0] / db[0]
    assert np.allclose(rebuilt, x[0])
    return ("From the gradient of the first layer of a network, one division rebuilds all "
            f"{x.size} numbers of the example, to within {1e-9:.0e}. That is a matter of what is "
            "sent, and has a name of its own: gradient inversion, not data leakage.")


@card("writing", "false", chapter="13", rows=["E23"],
      right="The Transformer is the architecture. BERT (Devlin et al. 2019) reads both ways and "
            "fills gaps; to write on, a model must have learned with what follows hidden from it.")
def bert_writes_like_gpt():
    """BERT and GPT are both Transformers, so either can be used to generate text word by word."""
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


@card("writing", "false", chapter="11", rows=["E20"],
      right="They are older. Search without derivatives was there before networks were deep, and "
            "before backpropagation was well known (Rumelhart, Hinton and Williams 1986).")
def search_was_invented_for_deep_learning():
    """Search without derivatives was invented to get around the vanishing gradients of deep
    networks."""
    first = {"Metropolis et al.": 1953, "random search (Brooks)": 1958, "Nelder and Mead": 1965,
             "evolution strategies (Rechenberg)": 1973, "genetic algorithms (Holland)": 1975,
             "simulated annealing (Kirkpatrick et al.)": 1983}
    backpropagation = 1986
    assert max(first.values()) < backpropagation
    listed = ", ".join(f"{name} {year}" for name, year in first.items())
    return (f"{listed}: {len(first)} of {len(first)} are older than the paper that made "
            f"backpropagation known, by {backpropagation - max(first.values())} to "
            f"{backpropagation - min(first.values())} years.")
