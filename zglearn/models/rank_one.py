"""Noise of rank one for a population of transformers that share their matrix products.

A population of p + σ u_i needs every matrix as often as it has members. If u_i moves a matrix W by
a bᵀ only, then N (W + σ a bᵀ) = N W + σ (N a) bᵀ: one product with W serves all members, and the
rest is a vector for each of them. EGGROLL (Sarkar et al. 2025) trains large models so.
"""

from __future__ import annotations

import numpy as np

from .flat import CHUNK
from .transformer import Transformer, losses_in_place


class RankOneNoise:
    """Directions u, in which every matrix of a transformer moves by a bᵀ.

        noise = RankOneNoise(model)
        Z = noise.draw(rng, 32)                     # (32, noise.size)
        losses = noise.losses(p, Z, X, y, sigma)    # those at p + σ · noise.directions(Z)
        p -= lr / (32 * sigma) * noise.combine(losses - losses.mean(), Z)

    A member is a row of Z: for a matrix (m, n) the m numbers of a, then the n of b; for a bias the
    bias itself. All are standard normal, so that every entry of u has mean 0 and variance 1.

    Attributes
    ----------
    size : int
        How many numbers a row of Z has: far fewer than the model has parameters.
    """

    def __init__(self, model: Transformer):
        self.model, self.parts, end = model, {}, 0
        for name, shape in model.shapes.items():
            self.parts[name] = slice(end, end := end + sum(shape))
        self.size = end

    def draw(self, rng, population: int) -> np.ndarray:
        """Noise for so many members, (population, size), drawn with rng (a Generator or seed)."""
        normal = np.random.default_rng(rng).standard_normal((population, self.size))
        return normal.astype(self.model.dtype)

    def directions(self, Z) -> np.ndarray:
        """The directions themselves, (population, model.size): to look at, or to test with."""
        U = [self._factors(Z, name) for name in self.model.shapes]
        U = [u[0] if len(u) == 1 else u[0][:, :, None] * u[1][:, None] for u in U]
        return np.concatenate([u.reshape(len(Z), -1) for u in U], axis=1)

    def combine(self, weights, Z) -> np.ndarray:
        """Σ weights_i · directions_i, (model.size,): one product for each matrix."""
        weights, Z = np.asarray(weights, self.model.dtype), self._check(Z)
        if weights.shape != (len(Z),):
            raise ValueError(f"give one weight for each of the {len(Z)} members")
        sums = []
        for name in self.model.shapes:
            a, *b = self._factors(Z, name)
            sums.append((weights * a.T @ b[0]).ravel() if b else weights @ a)
        return np.concatenate(sums)

    def losses(self, p, Z, X, y, sigma: float) -> np.ndarray:
        """The losses at p + sigma · directions(Z), (population,), with shared products.

        X and y are sequences for every member, (sequences, positions), or some for each of them,
        (population, sequences, positions).
        """
        model, Z = self.model, self._check(Z)
        X, y = np.asarray(X), np.asarray(y)
        if X.ndim == 2:
            X, y = (np.broadcast_to(array, (len(Z), *array.shape)) for array in (X, y))
        if X.ndim != 3 or len(X) != len(Z):
            raise ValueError(f"X must be (sequences, positions), or ({len(Z)}, sequences, "
                             f"positions), not {X.shape}")
        model.check_data(X.reshape(-1, X.shape[-1]), y.reshape(-1, y.shape[-1]))
        layers = model.layers(np.asarray(p, model.dtype))
        some = max(1, CHUNK * model.context // (X[0].size * model.activations))  # in cache
        return np.concatenate([self._losses(layers, Z[i:i + some], X[i:i + some], y[i:i + some],
                                            sigma) for i in range(0, len(Z), some)])

    def _losses(self, layers, Z, X, y, sigma):
        model, T = self.model, X.shape[-1]
        E, pos, blocks, U, c = layers
        e, e_pos, e_blocks, e_U, (e_c,) = self._layers(Z)
        members = np.arange(len(Z))[:, None, None]
        H = E[X] + pos[:T]
        H += sigma * e[0][members, X][..., None] * e[1][:, None, None]
        H += sigma * (e_pos[0][:, :T, None] * e_pos[1][:, None])[:, None]
        perturbed = [[_Perturbed(W, sigma * a, b) for W, (a, b) in zip(block, e_block, strict=True)]
                     for block, e_block in zip(blocks, e_blocks, strict=True)]
        N = model.states(perturbed, H.reshape(-1, T, model.width))
        N, U = _Perturbed(U, sigma * e_U[0], e_U[1]).factors(N)
        S = (U.T @ N.T).reshape(model.classes, len(Z), -1)
        S += (c + sigma * e_c).T[:, :, None]
        each, _ = losses_in_place(S.reshape(model.classes, -1), y.ravel())
        return each.reshape(len(Z), -1).mean(axis=1).astype(float)

    def _check(self, Z):
        Z = np.asarray(Z, self.model.dtype)
        if Z.ndim != 2 or Z.shape[1] != self.size:
            raise ValueError(f"Z must be (population, {self.size}), as draw gives it, not "
                             f"{Z.shape}")
        return Z

    def _factors(self, Z, name):
        """Of a matrix a (population, m) and b (population, n); of a bias, itself alone."""
        part, shape = Z[:, self.parts[name]], self.model.shapes[name]
        return (part,) if len(shape) == 1 else (part[:, :shape[0]], part[:, shape[0]:])

    def _layers(self, Z):
        E, pos, *blocks, U, c = (self._factors(Z, name) for name in self.model.shapes)
        return E, pos, [blocks[i:i + 4] for i in range(0, len(blocks), 4)], U, c


class _Perturbed:
    """A matrix W (m, n) that each member sees with its own a bᵀ added; N @ it works."""

    __array_ufunc__ = None  # then NumPy leaves the product to us

    def __init__(self, W, a, b):
        self.W, self.a, self.b = W, a, b

    def __rmatmul__(self, N):
        N, W = self.factors(N)
        return N @ W

    def factors(self, N):
        """N W + (N a) bᵀ as one product: W has a further row b for each member, and N a further
        column, which is N a in the rows of that member and zero elsewhere.

        N is (population · rows, m), the rows of a member after those of another.
        """
        members = np.arange(len(self.a))
        columns = np.zeros((len(members), len(N) // len(members), len(members)), N.dtype)
        rows = N.reshape(len(members), -1, N.shape[1])
        columns[members, :, members] = (rows @ self.a[:, :, None])[..., 0]
        return (np.concatenate([N, columns.reshape(len(N), -1)], axis=1),
                np.concatenate([self.W, self.b]))
