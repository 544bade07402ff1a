"""Compression of a trained transformer: rank, entries and bits of its inner matrices.

    G = {name: gram(A) for name, A in layer_inputs(model, p, X).items()}
    q, bits = compressed(model, p, by_bits(even_levels(4), group=32, G=G))
    nats = model.loss(q, X_test, y_test)

A matrix W (inputs, outputs) takes rows of inputs A to A W. What is best for those inputs depends on
them through their Gram matrix G = AᵀA alone (inputs, inputs).
"""

from __future__ import annotations

import numpy as np

INNER = ("qkv", "out", "up", "down")  # the matrices of the layers, without embeddings and softmax


def inner_matrices(model) -> list[str]:
    """Names of the matrices that are cut: four in each layer."""
    return [name for name in model.shapes if name.startswith(INNER)]


def weights(model, p) -> dict[str, np.ndarray]:
    """The inner matrices of p (parameters,), in double precision."""
    names = inner_matrices(model)
    return {name: W.astype(float) for name, W in zip(model.shapes, model.unpack(p), strict=True)
            if name in names}


def compressed(model, p, how) -> tuple[np.ndarray, int]:
    """A copy of p with ``how(name, W)`` in the place of each inner matrix W, and the bits of all.

    ``how`` returns the new matrix and the bits that it is stored in: `by_rank`, `by_entries` and
    `by_bits` make such functions.
    """
    q, stored = p.copy(), 0
    for name, W in weights(model, p).items():
        new, bits = how(name, W)
        q[model.parts[name]] = new.ravel()
        stored += bits
    return q, stored


def layer_inputs(model, p, X) -> dict[str, np.ndarray]:
    """What each inner matrix is multiplied with on the data X: {name: (positions, inputs)}."""
    kept, found = [], {}
    model.read(model.layers(p), X, kept)
    for l, (N, _, _, _, _, O, M, _, _, A) in enumerate(kept[:-1], start=1):
        found |= {f"qkv{l}": N, f"out{l}": O, f"up{l}": M, f"down{l}": A}
    return found


def gram(A) -> np.ndarray:
    """G = AᵀA of inputs A (positions, inputs), in double precision."""
    A = A.astype(float)
    return A.T @ A


def stored_bits(W, bits=16, group=None) -> int:
    """What it takes to store W (m, n): so many bits for each entry, a bit for each place that says
    whether an entry is there, if there are zeros enough to gain by it; and 16 bits for each scale,
    if an entry has fewer than 16. ``group`` is that of `rounded`.

    Count W before it is rounded: rounding makes zeros too.
    """
    entries = min(bits * W.size, bits * np.count_nonzero(W) + W.size)
    scales = 1 if group == "all" else -(-len(W) // (group or len(W))) * W.shape[1]
    return int(entries + (16 * scales if bits < 16 else 0))


# --- rank ------------------------------------------------------------------------------------

def low_rank(W, k, G=None) -> tuple[np.ndarray, np.ndarray]:
    """Factors B (inputs, k) and C (k, outputs) of the product nearest to W: of all products of rank
    k it changes W least in squares or, with the Gram matrix G of the inputs, their outputs A W.

    The first is Eckart and Young (1936). The second takes the SVD of Sᵀ W for G = S Sᵀ, and undoes
    S in the end (*whitening*: Chen et al. 2021; Wang et al. 2025).
    """
    S = np.eye(len(W)) if G is None else np.linalg.cholesky(damped(G))
    U, s, Vt = np.linalg.svd(S.T @ W, full_matrices=False)
    return np.linalg.solve(S.T, U[:, :k] * np.sqrt(s[:k])), np.sqrt(s[:k])[:, None] * Vt[:k]


def by_rank(share, G=None):
    """For `compressed`: factors that take this share of the numbers. G is {name: Gram matrix}."""
    def how(name, W):
        B, C = low_rank(W, int(share * W.size / sum(W.shape)), G and G[name])
        return B @ C, stored_bits(B) + stored_bits(C)
    return how


def damped(G, share=0.01) -> np.ndarray:
    """G with a share of its mean diagonal added to its diagonal: directions in which the few inputs
    that were seen do not go may be needed all the same."""
    return G + share * np.trace(G) / len(G) * np.eye(len(G))


def with_updates(model, p, tuned, changes) -> list[np.ndarray]:
    """For each of some functions ``change``, a copy of ``tuned``, to which p was fine-tuned, with
    change(s) for the singular values s of the update of each inner matrix."""
    before, copies = weights(model, p), [tuned.copy() for _ in changes]
    for name, W in weights(model, tuned).items():
        U, s, Vt = np.linalg.svd(W - before[name], full_matrices=False)
        for q, change in zip(copies, changes, strict=True):
            q[model.parts[name]] = (before[name] + U * change(s) @ Vt).ravel()
    return copies


# --- entries ---------------------------------------------------------------------------------

def pruned(W, share, G=None) -> np.ndarray:
    """W with the given share of its entries at zero: those of smallest size or, with the Gram
    matrix G of the inputs, in each column those of smallest size times norm of their input.

    The first is magnitude pruning (Han et al. 2015), the second Wanda (Sun et al. 2024).
    """
    W = W.copy()
    if G is None:
        W.flat[np.argsort(np.abs(W), axis=None, kind="stable")[:round(share * W.size)]] = 0
    else:
        score = np.abs(W) * np.sqrt(np.diag(G))[:, None]
        least = np.argsort(score, axis=0, kind="stable")[:round(share * len(W))]
        np.put_along_axis(W, least, 0, axis=0)
    return W


def by_entries(share, G=None, rng=None):
    """For `compressed`: this share of the entries at zero, at random if there is an ``rng``."""
    def how(name, W):
        new = pruned(W, share, G and G[name]) if rng is None else W * (rng.random(W.shape) >= share)
        return new, stored_bits(new)
    return how


# --- bits ------------------------------------------------------------------------------------

def even_levels(bits) -> np.ndarray:
    """The levels of b bits from -1 to 1, at even distances and with a zero: 2ᵇ - 1 of them."""
    top = 2 ** (bits - 1) - 1
    return np.arange(-top, top + 1) / top


def normal_levels() -> np.ndarray:
    """NF4, the sixteen levels of QLoRA (Dettmers et al. 2023): quantiles of a normal distribution,
    eight above zero and seven below, scaled to end at -1 and 1."""
    from scipy.stats import norm

    last = 1 - (1 / 30 + 1 / 32) / 2  # their choice; the quantile of 1 would be infinite
    above, below = (norm.ppf(np.linspace(0.5, last, n)[1:]) for n in (9, 8))
    return np.concatenate([-below[::-1], [0], above]) / above[-1]


def nearest(X, levels) -> np.ndarray:
    """Each entry of X at the nearest of the levels, which rise."""
    between = (levels[1:] + levels[:-1]) / 2
    return levels[np.searchsorted(between, X)]


def scales(W) -> np.ndarray:
    """The largest size in each column, in half precision, as it is stored; 1 for a zero column."""
    top = np.abs(W).max(axis=0, keepdims=True)
    return np.where(top > 0, top, 1).astype(np.float16).astype(float)


def rounded(W, levels, group=None) -> np.ndarray:
    """W rounded to the nearest levels (which end at -1 and 1), times a scale.

    A scale is the largest size among the ``group`` entries that share it, neighbours in a column;
    None is one scale for each column, and "all" one for the matrix.
    """
    if group == "all":
        return rounded(W.reshape(-1, 1), levels).reshape(W.shape)
    Q = np.empty_like(W)
    for i in range(0, len(W), group or len(W)):
        part = slice(i, i + (group or len(W)))
        scale = scales(W[part])
        Q[part] = nearest(W[part] / scale, levels) * scale
    return Q


def gptq(W, G, levels, group=None) -> np.ndarray:
    """W rounded row by row, while the rows that are still to come make up for what was lost.

    Frantar et al. (2023), with the inputs in their own order. If row i is moved by δ, the outputs
    A W change least if the later rows are moved by δ times row i of the Cholesky factor of G⁻¹,
    divided by its diagonal.
    """
    C = np.linalg.cholesky(np.linalg.inv(damped(G))).T  # G⁻¹ = Cᵀ C, and C is upper triangular
    W, Q = W.copy(), np.empty_like(W)
    for i in range(len(W)):
        if i % (group or len(W)) == 0:
            scale = scales(W[i:i + (group or len(W))])[0]
        Q[i] = nearest(W[i] / scale, levels) * scale
        W[i + 1:] -= np.outer(C[i, i + 1:] / C[i, i], W[i] - Q[i])
    return Q


def by_bits(levels, group=None, G=None):
    """For `compressed`: every entry on a level times a scale; by GPTQ, if there is a G."""
    def how(name, W):
        new = gptq(W, G[name], levels, group) if G else rounded(W, levels, group)
        return new, stored_bits(W, int(np.ceil(np.log2(len(levels)))), group)
    return how


def by_bits_in_turn(levels, group, model, p, X):
    """For `compressed`: GPTQ with the inputs on the data X of the model as it is rounded so far
    (Frantar et al. 2023, section 4)."""
    q = p.copy()

    def how(name, W):
        G = {name: gram(layer_inputs(model, q, X)[name])}
        new, bits = by_bits(levels, group, G)(name, W)
        q[model.parts[name]] = new.ravel()
        return new, bits
    return how


def by_bits_with_some_apart(share, levels, rng=None):
    """For `compressed`: a share of the entries stays in 16 bits, with 16 more for its place: the
    largest, or any if there is an ``rng``; all others share one scale (Dettmers et al. 2024)."""
    def how(name, W):
        size = np.abs(W) if rng is None else rng.random(W.shape)
        keep = size >= np.quantile(size, 1 - share)
        rest = rounded(np.where(keep, 0, W), levels, "all")
        bits = stored_bits(W, int(np.ceil(np.log2(len(levels)))), "all")
        return np.where(keep, W, rest), bits + 32 * int(keep.sum())
    return how
