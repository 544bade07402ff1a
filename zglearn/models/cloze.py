"""A transformer that answers a question: which of a few symbols comes next at the end of a text?"""

from __future__ import annotations

import numpy as np

from .transformer import Transformer, scores, softmax_backward


class Cloze(Transformer):
    """A `Transformer` whose loss is that of the last symbol alone, one of a few label words.

        words = [symbols.encode(word)[0] for word in (" the", " of")]
        model = Cloze(words, **manifest("mini")["model"])
        nats = model.loss(p, X, y)  # X (questions, positions), y (questions,)

    So a question is put as the pre-training put it, as a next symbol (Schick and Schütze 2021). The
    parameters are those of the transformer, and only ``answers`` can be answered: all other symbols
    are ruled out. y are symbols, too.
    """

    def __init__(self, answers, **shape):
        super().__init__(**shape)
        self.answers = np.unique(answers)
        if len(self.answers) < 2 or not 0 <= self.answers[0] <= self.answers[-1] < self.classes:
            raise ValueError(f"answers are two or more symbols from 0 to {self.classes - 1}")
        self.ruled_out = np.full(self.classes, -np.inf, self.dtype)
        self.ruled_out[self.answers] = 0

    def targets(self, X):
        return X.shape[:1]

    def check_data(self, X, y):
        X, y = super().check_data(X, y)
        if not np.isin(y, self.answers).all():
            raise ValueError(f"y must hold the answers, {self.answers.tolist()}")
        return X, y

    def logits(self, p, X):
        if p.ndim == 2:
            return np.stack([self.logits(q, X) for q in p])
        layers = self.layers(p)
        *_, U, c = layers
        return scores(self._last(self.read(layers, X), X), U, c + self.ruled_out)

    def backprop(self, layers, slopes, X, y, weights=None) -> float:
        *_, U, c = layers
        kept = []
        N = self.read(layers, X, kept)
        dN = np.zeros_like(N)
        loss, self._last(dN, X)[:] = softmax_backward(self._last(N, X), y, U, c + self.ruled_out,
                                                      *slopes[3:], weights)
        self.way_back(layers, slopes, X, dN, kept)
        return loss

    def jvp(self, p, u, X, y):
        raise NotImplementedError("forward mode is there for all positions only: see Transformer")

    def _last(self, N, X):
        """The rows of the last positions."""
        return N.reshape(*X.shape, -1)[:, -1]
