"""The multi-layer perceptron, with backpropagation written out."""

from __future__ import annotations

import numpy as np

from .flat import (
    FlatModel,
    checked_features,
    class_major,
    cross_entropy_and_slope,
    is_count,
)

# Each activation, written over its input, and its slope as a function of its own output.
ACTIVATIONS = {
    "tanh": (lambda z: np.tanh(z, out=z), lambda a: 1 - a * a),
    "relu": (lambda z: np.maximum(z, 0, out=z), lambda a: (a > 0).astype(a.dtype)),
    "sigmoid": (lambda z: np.divide(1 + np.tanh(z / 2), 2, out=z), lambda a: a * (1 - a)),
}


class MLP(FlatModel):
    """A multi-layer perceptron that ends in a softmax over classes.

        model = MLP([64, 32, 10])
        f = model.objective(X, y)
        path = run(adam, f, model.init(rng), steps=200)

    Parameters
    ----------
    sizes : list of int
        Inputs, hidden layers (with none it is logistic regression), classes.
    activation : "tanh", "relu" or "sigmoid"
        Of the hidden layers.
    dtype : float32 (what networks are trained in) or float64 (to check gradients)

    Data is X (examples, inputs), dense or scipy sparse, and labels y (examples,), whole numbers
    from 0. Layer l has weights ``W{l}`` of shape (inputs, outputs) and a bias ``b{l}``.
    """

    def __init__(self, sizes, activation="tanh", dtype=np.float32):
        sizes = list(sizes)
        if len(sizes) < 2 or not all(map(is_count, sizes)) or sizes[-1] < 2:
            raise ValueError("sizes are the inputs, the hidden layers if any, and at least two "
                             f"classes: {sizes} will not do")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is one of {', '.join(ACTIVATIONS)}, not {activation!r}")
        sizes, shapes = [int(n) for n in sizes], {}
        for l, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False), start=1):
            shapes |= {f"W{l}": (n_in, n_out), f"b{l}": (n_out,)}
        super().__init__(shapes, dtype)
        self.sizes, self.activation = sizes, activation
        self.classes, self.activations = sizes[-1], max(sizes[1:])
        self._act, self._slope = ACTIVATIONS[activation]

    def __repr__(self) -> str:
        return f"MLP({self.sizes}, {self.activation!r}), {self.size:,} parameters of {self.dtype}"

    def init(self, rng) -> np.ndarray:
        """Biases zero, weights normal with variance 1 / inputs (LeCun et al. 1998), or 2 / inputs
        for relu (He et al. 2015): the activations keep their size from layer to layer."""
        rng, p = np.random.default_rng(rng), np.zeros(self.size, dtype=self.dtype)
        gain = 2 if self.activation == "relu" else 1
        for W, _ in self.layers(p):
            W[:] = rng.normal(size=W.shape) * np.sqrt(gain / len(W))
        return p

    def layers(self, p) -> list[tuple]:
        """The pairs (W, b), as views into p."""
        arrays = self.unpack(p)
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def check(self, X):
        return checked_features(X, self.sizes[0], self.dtype)

    def logits(self, p, X) -> np.ndarray:
        *hidden, (W, b) = self.layers(p)
        A = X
        for V, a in hidden:
            A = self._act(_product(A, V) + a[..., None, :])
        return class_major(_product(A, W), b)

    def backprop(self, layers, slopes, X, y) -> float:
        """The loss and, by backpropagation, its gradient (Rumelhart, Hinton and Williams 1986).

        Forward, the input A of every layer is kept. Backward, D is the gradient of the loss in a
        layer's output before its activation: softmax minus one-hot at the top, and from there
        down through the weights and the slope of the activation. With A and D, the gradient in
        the layer's own W and b is one product and one sum.
        """
        inputs = [X]
        for W, b in layers[:-1]:
            Z = inputs[-1] @ W
            Z += b
            inputs.append(self._act(Z))
        W, b = layers[-1]
        loss, D = cross_entropy_and_slope(class_major(inputs[-1] @ W, b), y)

        D, ones = D.T, np.ones(len(y), dtype=D.dtype)
        for (W, _), (dW, db), A in zip(layers[::-1], slopes[::-1], inputs[::-1], strict=True):
            _product_into(dW, A.T, D)
            np.matmul(ones, D, out=db)  # the sum over the examples, faster than D.sum(axis=0)
            if A is not X:
                D = D @ W.T
                D *= self._slope(A)
        return loss


def _product_into(out, A, D):
    """out[:] = A @ D, without a copy where that is possible."""
    if hasattr(A, "tocsr"):
        out[:] = A @ D
    else:
        np.matmul(A, D, out=out)


def _product(A, W):
    """A @ W, where W may be a population of matrices and A may be sparse."""
    if W.ndim == 2 or not hasattr(A, "tocsr"):
        return A @ W
    side_by_side = A @ np.concatenate(W, axis=1)
    return np.swapaxes(side_by_side.reshape(A.shape[0], len(W), -1), 0, 1)
