"""A small example of every widget, for the tests: `EXAMPLES[name]()` makes one."""

import numpy as np

import zglearn.visual as visual
from zglearn import Objective, run
from zglearn.data import load_byte_pairs
from zglearn.factorization import nmf, truncated_svd
from zglearn.gradient_free_methods import cma_es, simulated_annealing
from zglearn.gradient_methods import adam, gradient_descent, momentum
from zglearn.landscapes import rosenbrock
from zglearn.models import MLP, pretrained
from zglearn.runs import recorded

LETTERS = "abcdefghijklmnopqrstuvwxyz "
TEXT = ("the quick brown fox jumps over the lazy dog and the small cat sat on the mat while it was "
        "raining in the garden where the old man was reading a book about the sea and the stars")


def explorer():
    return visual.explorer(rosenbrock(), {
        momentum: {"lr": 0.001, "beta": 0.9}, adam: {"lr": 0.1}, cma_es: {"sigma": 0.3},
        simulated_annealing: {"temperature": 5.0, "cooling": 0.98, "sigma": 0.1}}, steps=100)


def rank_explorer():
    rng = np.random.default_rng(0)
    A = np.maximum(rng.normal(size=(30, 4)) @ rng.normal(size=(4, 20)), 0)
    return visual.rank_explorer(A, rows=["text"] * 30, columns=[f"word{j}" for j in range(20)])


def topics_explorer():
    words = TEXT.split()
    vocabulary = sorted(set(words))
    index = [vocabulary.index(word) for word in words]
    counts = np.zeros((len(vocabulary), len(vocabulary)))
    np.add.at(counts, (index[:-1], index[1:]), 1)
    P = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fits = {"NMF": {}, "SVD": {}}
    for k in (1, 2, 4, 8):
        parts, (U, s, Vt) = nmf(P, k, loss="kl"), truncated_svd(P, k)
        fits["NMF"][k], fits["SVD"][k] = (parts.W, parts.H), (U * s, Vt)
    return visual.topics_explorer(fits, vocabulary, counts, counts)


def sweep_explorer():
    lrs, epochs = np.geomspace(1e-4, 1, 9), np.arange(1, 6)
    noise = 1 + 0.1 * np.random.default_rng(0).random((3, 9, 5))

    def basin(best):
        return 0.05 * np.exp((np.log10(lrs) - best)[:, None] ** 2) / epochs * noise

    loss = {"momentum": basin(-1), "adam": basin(-2)}
    accuracy = {name: 1 - np.minimum(values, 0.9) for name, values in loss.items()}
    return visual.sweep_explorer(lrs, {"test loss": loss, "test accuracy": accuracy})


def compression_explorer():
    def evaluate(rank, sparsity, bits):
        size = int(1000 * bits * (1 - sparsity) * rank / 64)
        return size, 1.6 + (64 - rank) ** 2 / 4000 + sparsity**4 + 2.0 ** (2 - bits), f"text {rank}"

    return visual.compression_explorer(evaluate, ranks=[64, 32, 8], sparsities=[0, 0.5, 0.9],
                                       bits=[32, 8, 4])


def annealing_explorer():
    letters = np.array([LETTERS.index(c) for c in TEXT])
    log_pairs = np.full((27, 27), 0.1)
    np.add.at(log_pairs, (letters[:-1], letters[1:]), 1)
    log_pairs = np.log(log_pairs / log_pairs.sum())
    cipher = np.random.default_rng(0).permutation(27)[letters]
    pairs = np.zeros((27, 27))
    np.add.at(pairs, (cipher[:-1], cipher[1:]), 1)

    def loss(key):
        key = key.astype(int)
        return -(pairs * log_pairs[np.ix_(key, key)]).sum() / len(TEXT)

    def decode(key):
        return "".join(LETTERS[int(key[c])] for c in cipher)

    def swap(key, rng):
        i, j = rng.integers(27, size=2)
        key = key.copy()
        key[[i, j]] = key[[j, i]]
        return key

    return visual.annealing_explorer(loss, decode, np.arange(27.0), swap, temperature=0.1,
                                     steps=3000)


def budget_explorer():
    def curve(per_step, time, memory):
        steps = np.arange(0, 2000, 40)
        loss = 2.2 - 0.7 * (1 - np.exp(-steps * per_step / time))
        return {"steps": steps, "cost": steps * per_step, "memory": memory,
                "loss": np.array([loss, 1.01 * loss])}

    return visual.budget_explorer({"Adam": curve(3, 300, 5e6), "MeZO": curve(2, 9000, 1e6)})


def real_landscape():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    model = MLP([6, 8, 2])
    f, p = model.objective(X, y), model.init(rng)
    paths = {method.__name__: run(method, f, p, steps=60, lr=0.05).points
             for method in (adam, momentum)}
    return visual.real_landscape(f, paths, shapes=model.shapes.values(), resolution=15)


def rate_strip():
    """Words that come with the probability 1 / rank, and a gradient of ±1 whenever they do."""
    rng = np.random.default_rng(0)
    come = rng.random((120, 50)) < 1 / np.arange(1, 51)
    return visual.rate_strip(come.astype(float), np.maximum(come.sum(axis=0), 1),
                             [f"word{j}" for j in range(50)])


def frequency_race():
    """Ten classes, each with a weight of its own; the steepness is the frequency, or the same."""
    def problem(frequency):
        f = Objective(lambda x: frequency @ (x - 1) ** 2 / 2, lambda x: frequency * (x - 1))
        return f, lambda x: ((x - 1) ** 2 / 2).reshape(5, 2).mean(axis=1)

    zipf, flat = 1 / np.arange(1.0, 11), np.full(10, 0.1)
    return visual.frequency_race(
        {"as in the text": problem(zipf / zipf.sum()), "equally frequent": problem(flat)},
        np.zeros(10), {gradient_descent: 1.0, momentum: 0.3, adam: 0.1},
        ["most frequent words", "second fifth", "third fifth", "fourth fifth", "rarest words"])


def transformer_explorer():
    model, p = pretrained("mini")
    return visual.transformer_explorer(model, p, load_byte_pairs(), "axis : int\n    The")


def step_explorer():
    """A gradient with a few large singular values, as those of a network."""
    rng = np.random.default_rng(0)
    G = rng.normal(size=(12, 4)) @ rng.normal(size=(4, 9)) + 0.1 * rng.normal(size=(12, 9))
    return visual.step_explorer({"W": G, "Wᵀ": G.T})


def recipe_explorer():
    return visual.recipe_explorer(recorded("recipe_grid"))


EXAMPLES = {make.__name__: make for make in (
    explorer, visual.momentum_plane, rank_explorer, visual.gradient_gauge, topics_explorer,
    sweep_explorer, visual.compass, compression_explorer, annealing_explorer, budget_explorer,
    real_landscape, visual.descent_loop, rate_strip, frequency_race, visual.difference_gauge,
    step_explorer, transformer_explorer, recipe_explorer)}
