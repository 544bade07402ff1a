"""What all models share: every parameter lies in one flat vector p, so that any method can train
any model; the arrays of the layers are views into it."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Iterator

import numpy as np

from ..objective import Objective, without_mask

CHUNK = 1 << 18  # numbers in one temporary array: 1 MB of float32 stays in cache
POPULATION_CHUNK = 1 << 15  # larger arrays cost fresh pages in every call: malloc maps them anew


class FlatModel:
    """A classifier over one flat parameter vector.

    A model is names, shapes and a way to compute. It holds no parameters: they are always an
    argument, one vector p of shape (size,) or, for losses, a population of (population, size).
    It computes in its ``dtype``, whatever comes in.

    Attributes
    ----------
    size : int
        How many parameters there are.
    shapes : dict
        The shape of each named array, in the order in which `unpack` returns them.
    parts : dict
        Where each of them lies in p: ``p[model.parts["b1"]]``.
    """

    classes: int      # how many there are
    activations: int  # the most numbers that a layer computes for one example

    def __init__(self, shapes: dict[str, tuple[int, ...]], dtype):
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, not {self.dtype}")
        self.shapes = dict(shapes)
        ends = itertools.accumulate(map(math.prod, shapes.values()), initial=0)
        bounds = itertools.pairwise(ends)
        self.parts = {name: slice(*b) for name, b in zip(shapes, bounds, strict=True)}
        self.size = sum(map(math.prod, shapes.values()))
        self._layout = list(zip(self.parts.values(), self.shapes.values(), strict=True))

    def unpack(self, p) -> list[np.ndarray]:
        """The model's arrays, as views into p; of a population, with one more axis in front."""
        p = np.asarray(p)
        if p.shape[-1:] != (self.size,):
            raise ValueError(f"this model has {self.size} parameters, but p has shape {p.shape}")
        if p.ndim == 1:
            return [p[part].reshape(shape) for part, shape in self._layout]
        return [p[:, part].reshape(-1, *shape) for part, shape in self._layout]

    # --- what each model says ---------------------------------------------------------------

    def init(self, rng) -> np.ndarray:
        """Fresh parameters p (size,), drawn with rng (a Generator or a seed)."""
        raise NotImplementedError

    def check(self, X):
        """X as the model computes with it. ValueError says what is wrong with it."""
        raise NotImplementedError

    def targets(self, X) -> tuple[int, ...]:
        """The shape of y for a checked X: one label for each example, if not more."""
        return X.shape[:1]

    def logits(self, p, X) -> np.ndarray:
        """Scores (classes, labels), or (population, classes, labels), of a checked X."""
        raise NotImplementedError

    def layers(self, p):
        """The arrays of `unpack`, put together in the way that the model's formulas want them."""
        raise NotImplementedError

    def backprop(self, layers, slopes, X, y) -> float:
        """The loss of checked data; its gradient is written into ``slopes``.

        ``layers`` are those of p and ``slopes`` those of a vector like it.
        """
        raise NotImplementedError

    # --- what follows from that -------------------------------------------------------------

    def loss(self, p, X, y):
        """Mean cross-entropy in nats: a float, or an array (population,) for a population."""
        return self.loss_of_checked(p, *self.check_data(X, y))

    def gradient(self, p, X, y) -> np.ndarray:
        """The gradient of the loss, shape (size,)."""
        return self.loss_and_gradient(p, X, y)[1]

    def loss_and_gradient(self, p, X, y) -> tuple[float, np.ndarray]:
        """Both, in one pass forward and one back."""
        return self._both(p, *self.check_data(X, y))

    def probabilities(self, p, X) -> np.ndarray:
        """Shape (examples, classes), or that of y and one axis more; every row sums to 1."""
        X = self.check(X)
        Z = self.logits(self.cast_one(p), X)
        E = np.exp(Z - Z.max(axis=0))
        return (E / E.sum(axis=0)).T.reshape(*self.targets(X), -1)

    def predict(self, p, X) -> np.ndarray:
        """The most probable class of each example, int array (examples,), or of the shape of y."""
        p, X = self.cast_one(p), self.check(X)
        classes = np.concatenate([self.logits(p, X[rows]).argmax(axis=0)
                                  for rows in self._examples_at_once(X.shape[0])])
        return classes.reshape(self.targets(X))

    def accuracy(self, p, X, y) -> float:
        """The share of labels that are the most probable class."""
        X, y = self.check_data(X, y)
        return float(np.mean(self.predict(p, X) == y))

    def objective(self, X, y, batch_size: int | None = None, rng=None) -> Objective:
        """The loss on this data as an `Objective` with a gradient, ready for `run`.

        With ``batch_size``, each step sees a batch of its own, drawn with ``rng`` (a Generator or
        a seed): every epoch goes through all the data, in a new order.
        """
        X, y = self.check_data(X, y)

        def gradient(p, X, y):
            return self._both(p, X, y)[1]

        if batch_size is None:
            return Objective(lambda p: self.loss_of_checked(p, X, y),
                             lambda p: gradient(p, X, y), batched=True)
        batches = minibatches(X, y, batch_size, np.random.default_rng(rng))
        return Objective(self.loss_of_checked, gradient, batched=True, batches=batches)

    def loss_of_checked(self, p, X, y):
        """`loss` without the check of the data, which costs as much as a small batch does."""
        p, total = self.cast(p), 0.0
        for rows in self._examples_at_once(len(y)):
            total = total + self._summed_loss(p, X[rows], y[rows])
        return total / y.size

    def _both(self, p, X, y):
        p = self.cast_one(p)
        g = np.empty_like(p)
        return self.backprop(self.layers(p), self.layers(g), X, y), g

    def _summed_loss(self, p, X, y):
        y = y.ravel()
        if p.ndim == 1:
            return float(cross_entropy(self.logits(p, X), y))
        members = max(1, POPULATION_CHUNK // (self.activations * len(y)))
        return np.concatenate([cross_entropy(self.logits(p[i:i + members], X), y)
                               for i in range(0, len(p), members)])

    def _examples_at_once(self, n) -> Iterator[slice]:
        """Slices of the data, each so short that its activations stay in cache."""
        count = max(1, CHUNK // self.activations)
        return (slice(i, i + count) for i in range(0, n, count))

    def check_data(self, X, y) -> tuple:
        """X and y as the model computes with them. ValueError says what is wrong with them."""
        X = self.check(X)
        return X, checked_labels(y, self.targets(X), self.classes)

    def cast(self, p) -> np.ndarray:
        """p, or a population of them, in the model's precision. ValueError if it is neither."""
        p = np.asarray(without_mask(p, "p"))
        if p.dtype.kind not in "fiu" or p.ndim not in (1, 2):
            raise ValueError("p must be real numbers of shape (size,) or (population, size), not "
                             f"{p.dtype} of shape {p.shape}")
        return p.astype(self.dtype, copy=False)

    def cast_one(self, p) -> np.ndarray:
        """The same where a population would be taken for something else."""
        p = self.cast(p)
        if p.shape != (self.size,):
            raise ValueError(f"this model has {self.size} parameters, but p has shape {p.shape}")
        return p


def checked_labels(y, shape: tuple[int, ...], classes: int) -> np.ndarray:
    """y as whole numbers of this shape, one label for each example (or each symbol of it);
    ValueError if it is not."""
    y = np.asarray(without_mask(y, "y"))
    if y.shape != shape or y.size == 0:
        what = "symbols" if y.ndim > 1 or len(shape) > 1 else "examples"
        raise ValueError(f"y must hold one label for each of the {math.prod(shape)} {what} in X, "
                         f"but has shape {y.shape}")
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= classes:
        raise ValueError(f"y must hold whole numbers from 0 to {classes - 1}: this model "
                         f"has {classes} classes")
    return y.astype(np.intp)


def checked_features(X, features: int, dtype=None):
    """X (examples, features) as an array or CSR, of floats; ValueError if it is not."""
    sparse = hasattr(X, "tocsr")
    X = X.tocsr() if sparse else np.asarray(without_mask(X, "X"))
    if X.ndim != 2 or X.shape[1] != features:
        raise ValueError(f"X must have shape (examples, {features}), not {X.shape}")
    if X.dtype.kind not in "fiub":
        raise ValueError(f"X must hold real numbers, not {X.dtype}")
    with np.errstate(over="ignore"):  # said below
        X = X.astype(dtype or np.result_type(X, np.float32), copy=False)
    if not np.isfinite(X.data if sparse else X).all():
        raise ValueError(f"X holds nan or infinity, as {X.dtype}: fill it in, scale it, or drop "
                         "those examples")
    return X


def class_major(Z, b):
    """The logits Z + b, turned so that a class is one row in memory.

    A sum over classes then adds up whole rows; with few classes that is several times faster
    than to sum along rows which are short.
    """
    return np.add(np.swapaxes(Z, -1, -2), b[..., None], order="C")


def cross_entropy(Z, y):
    """The sum of -log softmax(Z)[y] over the examples; Z is (…, classes, examples)."""
    return cross_entropies(Z, y).sum(axis=-1)


def cross_entropies(Z, y):
    """-log softmax(Z)[y] of each example; Z is (…, classes, examples)."""
    Z = Z - Z.max(axis=-2, keepdims=True)
    right = Z.reshape(*Z.shape[:-2], -1)[..., places(y)]
    return np.log(np.exp(Z).sum(axis=-2)) - right


def cross_entropy_and_slope(Z, y):
    """The loss of logits Z (classes, examples), and its gradient in Z: softmax minus one-hot."""
    right = places(y)
    Z = Z - Z.max(axis=0)
    D = np.exp(Z)
    total = D.sum(axis=0)
    loss = float((np.log(total) - Z.ravel()[right]).sum()) / len(y)
    D /= total * len(y)
    D.ravel()[right] -= 1 / len(y)
    return loss, D


def places(y):
    """Where the right class of each example lies in raveled logits."""
    return y.astype(np.intp, copy=False) * len(y) + np.arange(len(y))  # uint8 would overflow


def is_count(value) -> bool:
    """Whether it is a whole number of at least 1."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1


def minibatches(X, y, batch_size: int, rng) -> Iterator[tuple]:
    """Batches without end. Every epoch has an order of its own and leaves no example out."""
    if not is_count(batch_size):
        raise ValueError(f"batch_size must be a whole number of at least 1, not {batch_size!r}")
    return _batches(X, y, batch_size, rng)


def _batches(X, y, batch_size, rng):
    while True:
        order = rng.permutation(len(y))
        # shuffled once an epoch, so that a batch is a slice and no copy; take is faster than [...]
        X_, y_ = X.take(order, axis=0) if isinstance(X, np.ndarray) else X[order], y[order]
        for i in range(0, len(y), batch_size):
            yield X_[i:i + batch_size], y_[i:i + batch_size]
