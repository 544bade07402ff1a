"""Softmax regression: the linear classifier, in the same form as the networks beside it."""

from __future__ import annotations

import numpy as np

from ..objective import Objective


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
        self.shape, self.ridge = (features, classes), ridge
        self.size = features * classes

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
        Z = X @ p.reshape(self.shape)
        Z = Z - Z.max(axis=1, keepdims=True)
        log_p = Z[np.arange(len(y)), y] - np.log(np.exp(Z).sum(axis=1))
        return -log_p.mean() + self.ridge / 2 * (p @ p)

    def gradient(self, p, X, y) -> np.ndarray:
        """The gradient of `loss`, flat: Xᵀ (probabilities - truth) / n + ridge · p."""
        D = self.probabilities(p, X)
        D[np.arange(len(y)), y] -= 1
        return (X.T @ D).ravel() / len(y) + self.ridge * p

    def predict(self, p, X) -> np.ndarray:
        """The most likely class of each row, shape (n,)."""
        return (X @ p.reshape(self.shape)).argmax(axis=1)

    def objective(self, X, y) -> Objective:
        """The loss on all of (X, y), with its gradient, as an Objective."""
        return Objective(lambda p: self.loss(p, X, y), lambda p: self.gradient(p, X, y))
