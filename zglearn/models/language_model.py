"""A small language model: the next character from the last few (Bengio et al. 2003)."""

from __future__ import annotations

import numpy as np

from ..hyperparameters import check_value
from ..objective import without_mask
from .flat import FlatModel, class_major, cross_entropy_and_slope, is_count


class LanguageModel(FlatModel):
    """Embeddings of the last ``context`` symbols, a hidden layer, residual layers, a softmax.

        X, y = contexts(encode(sentences), model.context)
        nats = model.loss(p, X, y)
        text = decode(model.generate(p, rng, encode("the array"), 200))

    A residual layer (He et al. 2016) adds to its input instead of replacing it; with zero of them
    this is Bengio's model, without the direct connections.

    Parameters
    ----------
    classes : int
        How many symbols there are. The model knows numbers only; `zglearn.data.encode` and
        `decode` translate.
    context, embedding, hidden, residual : int
        Symbols it looks back, numbers for each symbol, width of the layers, residual layers.
    dtype : float32 or float64

    Data is X (examples, context), whole numbers, the newest symbol last, and y (examples,), the
    symbols that follow. The loss is in nats per symbol. The arrays are ``E`` (classes,
    embedding), ``W1``, ``b1`` of the hidden layer, ``W2``, ``b2``, ... of the residual ones, and
    ``U`` (hidden, classes), ``c`` of the softmax.
    """

    def __init__(self, classes=32, context=8, embedding=12, hidden=64, residual=0,
                 dtype=np.float32):
        check_value("residual", residual, "whole [0, inf)")
        if not all(map(is_count, (classes, context, embedding, hidden))) or classes < 2:
            raise ValueError("a language model needs at least two classes, and at least one symbol "
                             "of context, one number in an embedding and one hidden unit")
        shapes = {"E": (classes, embedding), "W1": (context * embedding, hidden), "b1": (hidden,)}
        for l in range(2, residual + 2):
            shapes |= {f"W{l}": (hidden, hidden), f"b{l}": (hidden,)}
        super().__init__(shapes | {"U": (hidden, classes), "c": (classes,)}, dtype)
        self.classes, self.context, self.embedding = classes, context, embedding
        self.hidden, self.residual = hidden, residual
        self.activations = max(hidden * (residual + 1), context * embedding)

    def __repr__(self) -> str:
        return (f"LanguageModel(classes={self.classes}, context={self.context}, embedding="
                f"{self.embedding}, hidden={self.hidden}, residual={self.residual}), "
                f"{self.size:,} parameters of {self.dtype}")

    def init(self, rng) -> np.ndarray:
        """Biases zero, embeddings standard normal, weights with variance 1 / inputs."""
        rng, p = np.random.default_rng(rng), np.zeros(self.size, dtype=self.dtype)
        for name, array in zip(self.shapes, self.unpack(p), strict=True):
            if array.ndim == 2:
                array[:] = rng.normal(size=array.shape)
                array /= 1 if name == "E" else np.sqrt(len(array))
        return p

    def layers(self, p):
        """E, the pairs (W, b) of the layers, U and c, as views into p."""
        E, *hidden, U, c = self.unpack(p)
        return E, list(zip(hidden[::2], hidden[1::2], strict=True)), U, c

    def check(self, X):
        X = np.asarray(without_mask(X, "X"))
        if X.ndim != 2 or X.shape[1] != self.context or X.dtype.kind not in "iu":
            raise ValueError(f"X must hold whole numbers of shape (examples, {self.context}), not "
                             f"{X.dtype} of shape {X.shape}: see contexts(codes, {self.context})")
        if X.size and not 0 <= X.min() <= X.max() < self.classes:
            raise ValueError(f"X must hold symbols from 0 to {self.classes - 1}")
        return X

    def logits(self, p, X) -> np.ndarray:
        E, ((W, b), *residual), U, c = self.layers(p)
        A = np.take(E, X, axis=-2)
        H = np.tanh(A.reshape(*A.shape[:-2], -1) @ W + b[..., None, :])
        for W, b in residual:
            H = H + np.tanh(H @ W + b[..., None, :])
        return class_major(H @ U, c)

    def backprop(self, layers, slopes, X, y) -> float:
        """The loss and, by backpropagation, its gradient.

        D is the gradient of the loss, on its way from the logits down to the embeddings. Where a
        residual layer adds T to its input H, D goes down both ways: past the layer and through it.
        """
        E, ((W, b), *residual), U, c = layers
        A = E[X].reshape(len(X), -1)
        H, T = [np.tanh(A @ W + b)], []
        for V, a in residual:
            T.append(np.tanh(H[-1] @ V + a))
            H.append(H[-1] + T[-1])
        loss, D = cross_entropy_and_slope(class_major(H[-1] @ U, c), y)

        dE, ((dW, db), *d_residual), dU, dc = slopes
        D, ones = D.T, np.ones(len(y), dtype=D.dtype)
        np.matmul(H[-1].T, D, out=dU)
        np.matmul(ones, D, out=dc)
        D = D @ U.T
        for l in reversed(range(self.residual)):
            (V, _), (dV, da) = residual[l], d_residual[l]
            through = D * (1 - T[l] * T[l])
            np.matmul(H[l].T, through, out=dV)
            np.matmul(ones, through, out=da)
            D = D + through @ V.T
        D = D * (1 - H[0] * H[0])
        np.matmul(A.T, D, out=dW)
        np.matmul(ones, D, out=db)
        # every symbol collects the D of all its places: a product with one-hot rows
        one_hot = (X.ravel() == np.arange(self.classes)[:, None]).astype(D.dtype)
        np.matmul(one_hot, (D @ W.T).reshape(-1, self.embedding), out=dE)
        return loss

    def jvp(self, p, u, X, y) -> tuple[float, float]:
        """The loss at p and its slope along u (size,), in one pass forward.

        Every number is carried along with its derivative in the direction u (forward-mode
        differentiation), so that nothing has to be kept for a way back. It costs about two
        evaluations of the loss.
        """
        (X, y), p, u = self.check_data(X, y), self.cast_one(p), self.cast_one(u)
        E, layers, U, c = self.layers(p)
        dE, d_layers, dU, dc = self.layers(u)
        H, dH = E[X].reshape(len(X), -1), dE[X].reshape(len(X), -1)
        for l, ((W, b), (dW, db)) in enumerate(zip(layers, d_layers, strict=True)):
            T = np.tanh(H @ W + b)
            dT = (1 - T * T) * (dH @ W + H @ dW + db)
            H, dH = (T, dT) if l == 0 else (H + T, dH + dT)
        loss, D = cross_entropy_and_slope(class_major(H @ U, c), y)
        return loss, float(np.vdot(D.T, dH @ U + H @ dU + dc))

    def generate(self, p, rng, prompt=(), length: int = 200, temperature: float = 1.0):
        """``length`` more symbols after the prompt, drawn one at a time; int array (length,).

        The probabilities are those of the logits divided by ``temperature``: below 1 the likely
        becomes likelier, and 0 always takes the likeliest. Before the prompt the model sees 0.
        """
        check_value("temperature", temperature, "[0, inf)")
        check_value("length", length, "whole [0, inf)")
        prompt = np.asarray(prompt if len(prompt) else np.zeros(0, dtype=int))
        if prompt.ndim != 1 or prompt.dtype.kind not in "iu":
            raise ValueError("the prompt must hold symbols: whole numbers in one row, as encode "
                             f"gives them, not {prompt.dtype} of shape {prompt.shape}")
        rng, p, start = np.random.default_rng(rng), self.cast_one(p), self.context + len(prompt)
        text = np.zeros(start + length, dtype=np.intp)
        text[self.context:start] = prompt
        if text.min() < 0 or text.max() >= self.classes:
            raise ValueError(f"the prompt must hold symbols from 0 to {self.classes - 1}")
        for i in range(start, len(text)):
            z = self.logits(p, text[None, i - self.context:i])[:, 0].astype(float)
            # the largest of z + Gumbel noise is a draw from softmax(z) (Gumbel 1954)
            text[i] = np.argmax(z + temperature * rng.gumbel(size=self.classes))
        return text[start:]


def contexts(codes, context: int):
    """Every symbol of a text and the ``context`` symbols before it; X is a view of the text.

    Returns X (n, context) and y (n,). Before the text there are zeros.
    """
    check_value("context", context, "whole [1, inf)")
    codes = np.asarray(without_mask(codes, "codes"))
    if codes.ndim != 1 or codes.dtype.kind not in "iu" or len(codes) == 0:
        raise ValueError("codes must be the whole numbers of a text in one row, as encode gives "
                         f"them, not {codes.dtype} of shape {codes.shape}")
    padded = np.concatenate([np.zeros(context, dtype=codes.dtype), codes])
    X = np.lib.stride_tricks.sliding_window_view(padded[:-1], context)
    return X, codes
