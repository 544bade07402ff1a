"""A transformer: the next symbol from all the symbols before it (Vaswani et al. 2017).

The decoder alone, as in GPT (Radford et al. 2018), with the norm before each sublayer (Xiong et
al. 2020). `attention` and `attention_backward` are the formulas as they stand in the paper; the
model computes them in the forms further below, which go over memory fewer times. The tests hold
the two equal.
"""

from __future__ import annotations

import math

import numpy as np

from .flat import FlatModel, cross_entropy_and_slope, places

EPS = 1e-6  # under the root of the norm, for a row of zeros
TINY, HUGE = 1e-20, 1e20  # sums of exponentials between these have lost no term that matters
MODERATE = 60  # exponentials of numbers up to this size are far from the ends of float32
ATTENTION_CHUNK = 1 << 17  # scores worked on at a time: half a megabyte of float32


# --- attention, as it stands in the paper ----------------------------------------------------

def attention(Q, K, V):
    """Causal attention: O = P V with P = softmax(Q Kᵀ / √d), each position seeing no later one.

    Q is (..., queries, d), K and V are (..., keys, d); the queries are the last of the positions.
    Returns O (..., queries, d) and the weights P (..., queries, keys), whose rows sum to 1.
    """
    queries, keys, d = Q.shape[-2], K.shape[-2], Q.shape[-1]
    S = Q @ K.swapaxes(-1, -2) / math.sqrt(d)
    future = np.triu(np.ones((queries, keys), dtype=bool), 1 + keys - queries)
    S = np.where(future, -np.inf, S)
    P = np.exp(S - S.max(axis=-1, keepdims=True))
    P /= P.sum(axis=-1, keepdims=True)
    return P @ V, P


def attention_backward(dO, Q, K, V, P):
    """From the gradient of the loss in O to those in Q, K and V."""
    dV = P.swapaxes(-1, -2) @ dO
    dP = dO @ V.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True))  # the slope of the softmax
    dS /= math.sqrt(Q.shape[-1])
    return dS @ K, dS.swapaxes(-1, -2) @ Q, dV


def rms_norm(H):
    """The rows of H (..., width) at a mean square of 1, and what each was multiplied by
    (Zhang and Sennrich 2019). They have no gains: the matrix that follows can hold those."""
    mean_square = np.einsum("...i,...i->...", H, H)[..., None] / H.shape[-1]
    scale = 1 / np.sqrt(mean_square + EPS)
    return H * scale, scale


def rms_norm_backward(dN, N, scale):
    """From the gradient in the norm's output N to the gradient in its input."""
    along = np.einsum("...i,...i->...", dN, N)[..., None] / N.shape[-1]
    return scale * (dN - N * along)


# --- the model -------------------------------------------------------------------------------

class Transformer(FlatModel):
    """A pre-norm transformer decoder with a loss at every position.

        X, y = sequences(codes, model.context)
        nats = model.loss(p, X, y)
        codes = model.generate(p, rng, prompt, 200, temperature=0.7)

    Parameters
    ----------
    classes : int
        How many symbols there are.
    context : int
        The most symbols that it looks at.
    width, heads, layers : int
        Numbers for each position; attention heads, which share them evenly; layers, each of them
        attention and a perceptron with 4 · width hidden units.
    dtype : float32 or float64

    Data is X (sequences, positions), whole numbers, with at most ``context`` positions, and y of
    the same shape: the symbol that follows each of them. Losses are means over all positions, in
    nats per symbol.

    The arrays are ``E`` (classes, width) and ``pos`` (context, width), the embeddings of symbols
    and of positions; in layer l from 1, ``qkv{l}`` (width, 3 width), whose columns are queries,
    keys and values, head after head, ``out{l}`` (width, width), ``up{l}`` (width, 4 width) and
    ``down{l}`` (4 width, width); and ``U`` (width, classes), ``c`` of the softmax. The perceptron's
    activation is max(z, 0)² (So et al. 2021).
    """

    def __init__(self, classes=512, context=64, width=64, heads=4, layers=2, dtype=np.float32):
        if min(classes - 1, context, width, heads, layers) < 1:
            raise ValueError("a transformer needs at least two classes, and at least one symbol of "
                             "context, one number in its width, one head and one layer")
        if width % heads:
            raise ValueError(f"{heads} heads cannot share a width of {width}: choose a multiple, "
                             f"say width={heads * max(1, round(width / heads))}")
        shapes = {"E": (classes, width), "pos": (context, width)}
        for l in range(1, layers + 1):
            shapes |= {f"qkv{l}": (width, 3 * width), f"out{l}": (width, width),
                       f"up{l}": (width, 4 * width), f"down{l}": (4 * width, width)}
        super().__init__(shapes | {"U": (width, classes), "c": (classes,)}, dtype)
        self.classes, self.context, self.width = classes, context, width
        self.heads, self.depth = heads, layers
        self.activations = context * max(4 * width, heads * context, classes)

    def __repr__(self) -> str:
        return (f"Transformer(classes={self.classes}, context={self.context}, width={self.width}, "
                f"heads={self.heads}, layers={self.depth}), {self.size:,} parameters of "
                f"{self.dtype}")

    def init(self, rng) -> np.ndarray:
        """Weights normal with variance 1 / inputs, smaller where a sublayer ends, so that the sum
        over all layers keeps its size (Radford et al. 2019); biases zero."""
        rng, p = np.random.default_rng(rng), np.zeros(self.size, dtype=self.dtype)
        for name, array in zip(self.shapes, self.unpack(p), strict=True):
            if array.ndim == 2:
                array[:] = rng.normal(size=array.shape)
                array *= self._deviation(name)
        return p

    def _deviation(self, name) -> float:
        if name in ("E", "pos"):
            return 0.5
        ends = name.startswith(("out", "down"))
        return 1 / math.sqrt(self.shapes[name][0] * (2 * self.depth if ends else 1))

    def layers(self, p):
        """E, pos, (qkv, out, up, down) for each layer, U and c, as views into p."""
        E, pos, *blocks, U, c = self.unpack(p)
        return E, pos, [blocks[i:i + 4] for i in range(0, len(blocks), 4)], U, c

    def targets(self, X):
        return X.shape

    def check(self, X):
        X = np.asarray(X)
        if X.ndim != 2 or not 1 <= X.shape[1] <= self.context or X.dtype.kind not in "iu":
            raise ValueError(f"X must hold whole numbers of shape (sequences, positions) with at "
                             f"most {self.context} positions, not {X.dtype} of shape {X.shape}: "
                             f"see sequences(codes, {self.context})")
        if X.size and not 0 <= X.min() <= X.max() < self.classes:
            raise ValueError(f"X must hold symbols from 0 to {self.classes - 1}")
        return X

    def logits(self, p, X) -> np.ndarray:
        if p.ndim == 2:
            return np.stack([self.logits(q, X) for q in p])
        layers = self.layers(p)
        return scores(self.read(layers, X), *layers[3:])

    def _summed_loss(self, p, X, y):
        if p.ndim == 2:
            return np.array([self._summed_loss(q, X, y) for q in p])
        return float(losses_in_place(self.logits(p, X), y.ravel())[0].sum())

    def read(self, layers, X, kept=None):
        """`states` of the symbols X (sequences, positions)."""
        E, pos, blocks, *_ = layers
        return self.states(blocks, E[X] + pos[:X.shape[1]], kept)

    def states(self, blocks, H, kept=None):
        """What the softmax reads, (sequences · positions, width), of the embeddings H (sequences,
        positions, width). The arrays that the way back needs are appended to ``kept``."""
        shape, H = H.shape[:2], H.reshape(-1, self.width)
        for block in blocks:
            self.through(block, H, shape, kept)
        N, scale = rms_norm(H)
        if kept is not None:
            kept.append((N, scale))
        return N

    def through(self, block, H, shape, kept=None):
        """One layer, (qkv, out, up, down): adds what its two sublayers say to H (sequences ·
        positions, width), in place; ``shape`` is (sequences, positions)."""
        qkv, out, up, down = block
        N, n_scale = rms_norm(H)
        QKV = (N @ qkv).reshape(*shape, 3, self.heads, -1)
        O, W, total = fast_attention(QKV)
        H += O @ out
        M, m_scale = rms_norm(H)
        R = M @ up
        np.maximum(R, 0, out=R)
        A = R * R
        H += A @ down
        if kept is not None:
            kept.append((N, n_scale, QKV, W, total, O, M, m_scale, R, A))

    def weighted_gradient(self, p, X, y, weights) -> tuple[float, np.ndarray]:
        """The sum over all symbols of weight · loss, and its gradient (size,).

        ``weights`` has the shape of y. Equal weights of 1 / y.size give `loss_and_gradient`; zero
        leaves a symbol out; below zero makes it less likely, as methods for rewards do.
        """
        (X, y), p = self.check_data(X, y), self.cast_one(p)
        weights = np.asarray(weights, dtype=self.dtype)
        if weights.shape != y.shape:
            raise ValueError(f"give one weight for each symbol, {y.shape}, not {weights.shape}")
        g = np.empty_like(p)
        return self.backprop(self.layers(p), self.layers(g), X, y, weights.ravel()), g

    def backprop(self, layers, slopes, X, y, weights=None) -> float:
        """The loss and, by backpropagation, its gradient; with ``weights`` (symbols,) those of
        their weighted sum."""
        kept = []
        N = self.read(layers, X, kept)
        loss, dN = softmax_backward(N, y.ravel(), *layers[3:], *slopes[3:], weights)
        self.way_back(layers, slopes, X, dN, kept)
        return loss

    def way_back(self, layers, slopes, X, dN, kept):
        """From a loss's gradient dN in what the softmax reads to those in all that stands before
        it, which are written into ``slopes``; ``kept`` is what `states` kept.

        D is the gradient of the loss in the sum H that runs through all layers. A sublayer adds
        to H, so it adds to D as well: what comes back through it.
        """
        D = norm_slope(dN, *kept.pop())
        for block, d_block in zip(reversed(layers[2]), reversed(slopes[2]), strict=True):
            self.back(block, d_block, D, kept.pop())
        self.back_to_embeddings(D, X, *slopes[:2])

    def back(self, block, d_block, D, kept):
        """The way back through one layer: adds to D, in place, and writes into ``d_block``."""
        (qkv, out, up, down), (d_qkv, d_out, d_up, d_down) = block, d_block
        N, n_scale, QKV, W, total, O, M, m_scale, R, A = kept
        np.matmul(A.T, D, out=d_down)
        dR = np.matmul(D, down.T, out=A)
        dR *= R  # the slope of R² is 2 R; the 2 waits until there is less to multiply
        np.matmul(M.T, dR, out=d_up)
        d_up *= 2
        D += norm_slope(dR @ up.T, M, 2 * m_scale)
        np.matmul(O.T, D, out=d_out)
        d_QKV = fast_attention_backward(D @ out.T, QKV, W, total, O)
        np.matmul(N.T, d_QKV, out=d_qkv)
        D += norm_slope(d_QKV @ qkv.T, N, n_scale)

    def back_to_embeddings(self, D, X, dE, d_pos):
        _collect(D, X.ravel(), out=dE)
        d_pos[X.shape[1]:] = 0
        D.reshape(*X.shape, -1).sum(axis=0, out=d_pos[:X.shape[1]])

    def attention_weights(self, p, X) -> np.ndarray:
        """The weights P of every head, shape (layers, sequences, heads, positions, positions):
        the last axis is what is looked at, and sums to 1."""
        X, kept = self.check(X), []
        self.read(self.layers(self.cast_one(p)), X, kept)
        return np.stack([W / total[..., None] for _, _, _, W, total, *_ in kept[:-1]])

    def jvp(self, p, u, X, y) -> tuple[float, float]:
        """The loss at p and its slope along u (size,), in one pass forward.

        Every array is carried along with its derivative in the direction u (forward-mode
        differentiation), so that nothing has to be kept for a way back.
        """
        (X, y), p, u = self.check_data(X, y), self.cast_one(p), self.cast_one(u)
        E, pos, blocks, U, c = self.layers(p)
        dE, d_pos, d_blocks, dU, dc = self.layers(u)
        T = X.shape[1]
        H, dH = E[X] + pos[:T], dE[X] + d_pos[:T]
        for (qkv, out, up, down), (d_qkv, d_out, d_up, d_down) in zip(blocks, d_blocks,
                                                                      strict=True):
            N, dN = _norm_jvp(H, dH)
            Q, K, V = self._split(N @ qkv)
            dQ, dK, dV = self._split(dN @ qkv + N @ d_qkv)
            O, P = attention(Q, K, V)
            dS = (dQ @ K.swapaxes(-1, -2) + Q @ dK.swapaxes(-1, -2)) / math.sqrt(Q.shape[-1])
            dP = P * (dS - (P * dS).sum(axis=-1, keepdims=True))
            O, dO = _join(O), _join(dP @ V + P @ dV)
            H, dH = H + O @ out, dH + dO @ out + O @ d_out
            M, dM = _norm_jvp(H, dH)
            R = np.maximum(M @ up, 0)
            A, dA = R * R, 2 * R * (dM @ up + M @ d_up)
            H, dH = H + A @ down, dH + dA @ down + A @ d_down
        N, dN = (array.reshape(-1, self.width) for array in _norm_jvp(H, dH))
        loss, D = cross_entropy_and_slope(scores(N, U, c), y.ravel())
        return loss, float(np.vdot(D.T, dN @ U + N @ dU + dc))

    # --- generation --------------------------------------------------------------------------

    def generate(self, p, rng, prompt=(), length: int = 200, temperature: float = 1.0):
        """``length`` more symbols after the prompt, drawn one at a time.

        A prompt is a row of symbols, and the answer an int array (length,); of several prompts of
        one length, (texts, symbols), all are continued at once, and the answer is (texts, length).
        Without a prompt the text begins after symbol 0. The probabilities are those of the scores
        divided by ``temperature``: below 1 the likely becomes likelier, and 0 always takes the
        likeliest.

        Keys and values of the symbols before are kept, so that a symbol costs a pass over itself
        alone. When the context is full, the newer half of it is read again from position 0.
        """
        if not temperature >= 0:
            raise ValueError(f"temperature must be at least 0, not {temperature!r}")
        prompt = np.asarray(prompt)
        one, prompts = prompt.ndim < 2, np.atleast_2d(prompt)
        if prompt.ndim > 2 or (prompt.size and prompt.dtype.kind not in "iu"):
            raise ValueError(f"prompts are whole numbers, (symbols,) or (texts, symbols), not "
                             f"{prompt.dtype} of shape {prompt.shape}: encode the text first")
        if prompts.size and not 0 <= prompts.min() <= prompts.max() < self.classes:
            raise ValueError(f"the prompt must hold symbols from 0 to {self.classes - 1}")
        rng, layers = np.random.default_rng(rng), self.layers(self.cast_one(p))
        start = max(1, prompts.shape[1])
        text = np.zeros((len(prompts), start + length), dtype=np.intp)
        text[:, start - prompts.shape[1]:start] = prompts
        cache, read = None, 0  # the cache holds the symbols from some place up to `read`
        for i in range(start, start + length):
            if cache is None or cache.full:
                cache = _Cache(self, len(text))
                read = max(0, i - (self.context if i == start else max(1, self.context // 2)))
            Z = self._next(layers, text[:, read:i], cache)
            read = i
            # the largest of z + Gumbel noise is a draw from softmax(z) (Gumbel 1954)
            text[:, i] = np.argmax(Z + temperature * rng.gumbel(size=Z.shape), axis=1)
        return text[0, start:] if one else text[:, start:]

    def _next(self, layers, X, cache):
        """Scores (texts, classes) of what follows X (texts, symbols), the newest symbols, whose
        keys and values are added to the cache."""
        E, pos, blocks, U, c = layers
        H = E[X] + pos[cache.length:cache.length + X.shape[1]]
        for (qkv, out, up, down), kept in zip(blocks, cache.blocks, strict=True):
            Q, K, V = self._split(rms_norm(H)[0] @ qkv)
            H = H + _join(attention(Q, *cache.extended(kept, K, V))[0]) @ out
            R = np.maximum(rms_norm(H)[0] @ up, 0)
            H = H + (R * R) @ down
        cache.length += X.shape[1]
        return (rms_norm(H[:, -1])[0] @ U + c).astype(float)

    def _split(self, QKV):
        """Q, K and V, each (sequences, heads, positions, width / heads)."""
        *shape, _ = QKV.shape
        return QKV.reshape(*shape, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)


class _Cache:
    """Keys and values of the symbols that have been read, in every layer."""

    def __init__(self, model, texts):
        shape = 2, texts, model.heads, model.context, model.width // model.heads
        self.blocks = [np.empty(shape, dtype=model.dtype) for _ in range(model.depth)]
        self.length, self.context = 0, model.context

    @property
    def full(self) -> bool:
        return self.length == self.context

    def extended(self, kept, K, V):
        """All keys and values of a layer, with new ones at the end."""
        end = self.length + K.shape[-2]
        kept[0, :, :, self.length:end], kept[1, :, :, self.length:end] = K, V
        return kept[:, :, :, :end]


def _join(O):
    """From heads side by side back to (sequences, positions, width)."""
    n, heads, T, d = O.shape
    return O.swapaxes(1, 2).reshape(n, T, heads * d)


def _norm_jvp(H, dH):
    """The norm of H, and its derivative when H moves along dH."""
    N, scale = rms_norm(H)
    return N, rms_norm_backward(dH, N, scale)  # its Jacobian is symmetric


def sequences(codes, length: int, stride: int | None = None):
    """A text in pieces of ``length`` symbols, and the symbol that follows each; views of the text.

    Returns X and y, both (n, length): y is X one symbol later. A piece begins every ``stride``
    symbols, or where the last one ended; what is left at the end of the text is in none.
    """
    codes = np.asarray(codes)
    if codes.ndim != 1 or codes.dtype.kind not in "iu" or len(codes) <= length:
        raise ValueError(f"codes must be the whole numbers of a text in one row, more than "
                         f"{length} of them, not {codes.dtype} of shape {codes.shape}")
    pieces = np.lib.stride_tricks.sliding_window_view(codes, length + 1)[::stride or length]
    return pieces[:, :-1], pieces[:, 1:]


# --- the same formulas, with less memory to go over ------------------------------------------

def scores(N, U, c):
    """The logits (classes, positions): the product comes out turned, with no copy."""
    Z = U.T @ N.T
    Z += c[:, None]
    return Z


def _collect(D, codes, out):
    """Every symbol's sum of the rows of D (positions, width) where it stands."""
    from scipy.sparse import csr_array

    rows = np.arange(len(codes) + 1)
    one_hot = csr_array((np.ones(len(codes), D.dtype), codes, rows), (len(codes), len(out)))
    out[:] = one_hot.T @ D


def fast_attention(QKV):
    """`attention` of all heads: QKV is (sequences, positions, 3, heads, d).

    Returns O (sequences · positions, heads · d) and what the way back needs: the weights before
    they are divided, and their sums. The queries in QKV are divided by √d, in place.
    """
    n, T, _, heads, d = QKV.shape
    QKV[:, :, 0] *= 1 / math.sqrt(d)
    Q, K, V = QKV.transpose(2, 0, 3, 1, 4)
    W, O = np.empty((n, heads, T, T), QKV.dtype), np.empty((n, T, heads, d), QKV.dtype)
    total, ones = np.empty((n, heads, T), QKV.dtype), np.ones(T, QKV.dtype)
    future = np.triu(np.full((T, T), -np.inf, QKV.dtype), 1)
    for i in _chunks(n, heads * T * T):
        S = np.matmul(Q[i], K[i].swapaxes(-1, -2), out=W[i])
        S += future
        with np.errstate(over="ignore", invalid="ignore"):
            np.exp(S, out=S)
            np.matmul(S, ones, out=total[i])
        if not (TINY < total[i].min() and total[i].max() < HUGE):
            S = np.matmul(Q[i], K[i].swapaxes(-1, -2), out=W[i])
            S += future
            S -= S.max(axis=-1, keepdims=True)
            np.exp(S, out=S)
            np.matmul(S, ones, out=total[i])
        np.matmul(S, V[i], out=O[i].swapaxes(1, 2))
    O /= total.swapaxes(1, 2)[..., None]
    return O.reshape(n * T, -1), W, total


def fast_attention_backward(dO, QKV, W, total, O):
    """`attention_backward` of all heads; W and total are from `fast_attention`. Overwrites dO.

    (P * dP).sum(-1) is (dO * O).sum(-1), which is short (Dao et al. 2022).
    """
    n, T, _, heads, d = QKV.shape
    Q, K, V = QKV.transpose(2, 0, 3, 1, 4)
    dO = dO.reshape(n, T, heads, d)
    dO /= total.swapaxes(1, 2)[..., None]
    along = np.einsum("nthd,nthd->nht", dO, O.reshape(dO.shape))[..., None]
    d_QKV = np.empty_like(QKV)
    dQ, dK, dV = d_QKV.transpose(2, 0, 3, 1, 4)
    dO = dO.swapaxes(1, 2)
    for i in _chunks(n, heads * T * T):
        np.matmul(W[i].swapaxes(-1, -2), dO[i], out=dV[i])
        dS = dO[i] @ V[i].swapaxes(-1, -2)
        dS -= along[i]
        dS *= W[i]
        np.matmul(dS, K[i], out=dQ[i])
        np.matmul(dS.swapaxes(-1, -2), Q[i], out=dK[i])
    d_QKV[:, :, 0] *= 1 / math.sqrt(d)
    return d_QKV.reshape(n * T, -1)


def norm_slope(dN, N, scale):
    """`rms_norm_backward`, written over N."""
    N *= np.einsum("ni,ni->n", dN, N)[:, None] / -N.shape[1]
    N += dN
    N *= scale
    return N


def softmax_backward(N, y, U, c, dU, dc, weights=None):
    """The mean loss of the states N (positions, width) with targets y (positions,), and its
    gradient in N; those in U and c are written into dU and dc. With ``weights`` (positions,) the
    weighted sum in place of the mean."""
    D = scores(N, U, c)
    losses, total = losses_in_place(D, y)  # D is softmax minus one-hot, over the positions
    D *= 1 / (total * len(y)) if weights is None else weights / total
    D.ravel()[places(y)] -= 1 / len(y) if weights is None else weights
    loss = losses.mean() if weights is None else losses @ weights
    return float(loss), scores_backward(D, N, U, dU, dc)


def scores_backward(D, N, U, dU, dc):
    """From the gradient D (classes, positions) of any loss in `scores` to that in N; those in U
    and c are written into dU and dc."""
    np.matmul(N.T, D.T, out=dU)
    np.matmul(D, np.ones(len(N), D.dtype), out=dc)
    return D.T @ U.T


def losses_in_place(Z, y):
    """-log softmax(Z)[y] of each position, of scores Z (classes, positions), and the sums of the
    exponentials, by which Z is overwritten."""
    right = Z.ravel()[places(y)]
    if not (-MODERATE < Z.min() and Z.max() < MODERATE):
        largest = Z.max(axis=0)
        Z -= largest
        right -= largest
    np.exp(Z, out=Z)
    total = np.ones(len(Z), Z.dtype) @ Z
    return np.log(total) - right, total


def _chunks(n, size):
    count = max(1, ATTENTION_CHUNK // size)
    return (slice(i, i + count) for i in range(0, n, count))
