"""Cards about habits: of writing formulas down, of watching a training, of measuring a model."""

import ast
import re
from collections import Counter
from itertools import pairwise

import numpy as np

from zglearn.data import load_digits, load_sentences
from zglearn.exercises.cards import card, docstring
from zglearn.gradient_methods import gradient_descent
from zglearn.models import MLP
from zglearn.trajectory import run


@card("appendix", "false", chapter="05", rows=["E57"],
      right="`eps` comes from nowhere, and `eta` is introduced and never used. Name each thing "
            "once, and check: what is used is introduced, what is introduced is used.")
def symbols_of_adagrad():
    """For weights `x`, a gradient `g`, a learning rate `alpha`, a step size `eta` and a sum `G`
    that starts at 0, this says all that there is to Adagrad: `G = G + g * g`, then
    `x = x - alpha * g / (sqrt(G) + eps)`."""
    quoted = re.findall("`([^`]+)`", docstring(symbols_of_adagrad))
    introduced = {name for name in quoted if name.isidentifier()}
    formulas = ast.parse("\n".join(text for text in quoted if "=" in text))
    used = {node.id for node in ast.walk(formulas) if isinstance(node, ast.Name)} - {"sqrt"}
    assert used - introduced == {"eps"} and introduced - used == {"eta"}
    return (f"A look through the names of the two formulas: used and not introduced, "
            f"`{(used - introduced).pop()}`; introduced and not used, "
            f"`{(introduced - used).pop()}`.")


@card("writing", "false", chapter="11", rows=["E70"],
      right="Print the loss: one number for all examples, and beside it that of the validation "
            "data.")
def printing_the_outputs():
    """For a network that learns a thousand digits, print its outputs from time to time, and you
    see how the training goes."""
    digits, net = load_digits(), MLP([64, 16, 10], dtype=np.float64)
    X, y = digits.train.X, digits.train.y
    f = net.objective(X, y, batch_size=64, rng=0)
    points = run(gradient_descent, f, net.init(0), steps=60, lr=0.3).points
    numbers = len(re.findall(r"\d\.\d", str(net.probabilities(points[-1], X))))
    shown = [*range(3), *range(-3, 0)]  # the rows that NumPy prints of a long array
    rises = [np.sum(np.diff([net.loss(p, X[rows], y[rows]) for p in points]) > 0)
             for rows in (slice(None), shown)]
    assert numbers == 36 and rises[0] == 0 and rises[1] > 10
    return (f"Of the {len(X) * 10:,} outputs for {len(X):,} digits, NumPy prints {numbers}. The "
            f"loss of all falls at each of 60 steps; that of the six rows that are printed rises "
            f"at {rises[1]} of them.")


@card("writing", "it depends", chapter="11", rows=["E77"],
      holds="where half of the texts are bad", fails="where five in a hundred are",
      right="Where classes are rare, nearly all can be right without a look at a text: ask for "
            "precision and recall of the class that matters.")
def right_in_95_of_100():
    """A filter for bad texts that gets 95 of 100 texts right is doing well."""
    def recall(truth, answer):
        assert np.mean(answer == truth) == 0.95
        return np.mean(answer[truth == 1])

    rare, even = np.repeat([0, 1], [95, 5]), np.repeat([0, 1], [50, 50])
    lazy = recall(rare, np.zeros(100, dtype=int))
    careful = recall(even, np.repeat([0, 1, 0], [50, 45, 5]))
    assert lazy == 0 and careful == 0.9
    return (f"With 5 bad texts in 100, a filter that always says “good” is right 95 times and "
            f"finds {lazy:.0%} of the bad ones. With 50 in 100, one that is right 95 times has "
            f"found {careful:.0%} of them or more.")


@card("writing", "false", chapter="11", rows=["E77"],
      right="A language model gives a distribution, and often many words would do. Accuracy, "
            "recall and F1 look at its first guess alone; perplexity asks how much it gave to the "
            "word that came.")
def accuracy_of_a_language_model():
    """Accuracy, recall and F1 on the next word are enough to tell which of two language models is
    the better one."""
    text = load_sentences("numpy")

    def words(sentence):
        return [".", *re.findall("[a-z]+", sentence.lower()), "."]

    counted = Counter(word for sentence in text.train for word in words(sentence))
    index = {word: i for i, (word, _) in enumerate(counted.most_common(200))}

    def pairs(sentences):
        """How often each of the 200 most frequent words follows each other."""
        C = np.zeros((200, 200))
        for sentence in sentences:
            for a, b in pairwise(words(sentence)):
                if a in index and b in index:
                    C[index[a], index[b]] += 1
        return C

    C, held_out = pairs(text.train), pairs(text.validation)
    model = C + 30 * C.sum(axis=0) / C.sum()  # thirty imaginary followers for each word
    accuracy, perplexity = [], []
    for P in (model, model**3):  # the second is much too sure of itself
        P = P / P.sum(axis=1, keepdims=True)
        accuracy.append(held_out[np.arange(200), P.argmax(axis=1)].sum() / held_out.sum())
        perplexity.append(np.exp(-np.sum(held_out * np.log(P)) / held_out.sum()))
    assert accuracy[0] == accuracy[1] and perplexity[1] > 2 * perplexity[0]
    return (f"Two models with the same first guess after every word: accuracy {accuracy[0]:.2f} "
            f"for both, perplexity {perplexity[0]:.0f} and {perplexity[1]:.0f}.")
