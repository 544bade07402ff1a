"""Softmax regression: the linear classifier, in the same form as the networks beside it."""

from __future__ import annotations

import functools

import numpy as np

from ..hyperparameters import check_value
from ..objective import Objective, without_mask
from .flat import checked_features, checked_labels, cross_entropy, is_count


def _on_sound_data(formula):
    @functools.wraps(formula)
    def checked(self, p, X, y=None):
        p = np.asarray(without_mask(p, "p"))
        if p.shape != (self.size,) or p.dtype.kind not in "fiu":
            raise ValueError(f"this model has {self.size} parameters, but p is {p.dtype} of shape "
                             f"{p.shape}")
        return formula(self, p, self.check(X)) if y is None else formula(
            self, p, *self.check_data(X, y))

    return checked


class SoftmaxRegression:
    """Logistic regression for several classes, without a bias: P(class | x) = softmax(x W).

    Parameters
    ----------
    features, classes : int
    ridge : float
        The penalty ridge/2 · ‖W‖² keeps the loss strongly convex: its curvature is at least
        `ridge` in every direction.

    The parameters are one flat vector p of shape (features · classes,). X is an array or a sparse
    matrix (n, features), y holds n labels. Losses are means over the n examples, in nats.
    """

    def __init__(self, features: int, classes: int, ridge: float = 0.0):
        if not (is_count(features) and is_count(classes)) or classes < 2:
            raise ValueError("softmax regression needs a whole number of features, and of at least "
                             f"two classes: {features!r} and {classes!r} will not do")
        check_value("ridge", ridge, "[0, inf)")
        self.shape, self.ridge = (features, classes), ridge
        self.size, self._sound = features * classes, None

    def init(self) -> np.ndarray:
        """The start: all zeros, so every class is equally likely."""
        return np.zeros(self.size)

    def probabilities(self, p, X) -> np.ndarray:
        """Shape (n, classes); every row sums to 1."""
        Z = X @ p.reshape(self.shape)
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)

    def loss(self, p, X, y) -> float:
        """Mean cross-entropy plus the ridge penalty."""
        Z = np.ascontiguousarray((X @ p.reshape(self.shape)).T)  # rows of classes: sums are faster
        return cross_entropy(Z, y) / len(y) + self.ridge / 2 * (p @ p)

    def gradient(self, p, X, y) -> np.ndarray:
        """The gradient of `loss`, flat: Xᵀ (probabilities - truth) / n + ridge · p."""
        D = self.probabilities(p, X)
        D[np.arange(len(y)), y] -= 1
        return (X.T @ D).ravel() / len(y) + self.ridge * p

    def predict(self, p, X) -> np.ndarray:
        """The most likely class of each row, shape (n,)."""
        return (X @ p.reshape(self.shape)).argmax(axis=1)

    # The formulas stand as in a book. What they are given is checked before it reaches them.
    probabilities, loss, gradient, predict = map(
        _on_sound_data, (probabilities, loss, gradient, predict))

    def accuracy(self, p, X, y) -> float:
        """The share of rows whose most likely class is the right one."""
        X, y = self.check_data(X, y)
        return float(np.mean(self.predict(p, X) == y))

    def objective(self, X, y) -> Objective:
        """The loss on all of (X, y), with its gradient, as an Objective."""
        X, y = self.check_data(X, y)
        return Objective(lambda p: self.loss(p, X, y), lambda p: self.gradient(p, X, y))

    def check_data(self, X, y) -> tuple:
        """X and y as the model computes with them. ValueError says what is wrong with them."""
        X = self.check(X)
        return X, checked_labels(y, X.shape[:1], self.shape[1])

    def check(self, X):
        """X as the model computes with it; it is not read again if it is the one of last time."""
        if X is not self._sound:
            self._sound = checked_features(X, self.shape[0])
        return self._sound
