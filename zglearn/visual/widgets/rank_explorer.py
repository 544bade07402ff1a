"""The rank explorer: what a matrix keeps when only k of its singular triplets are kept."""

from __future__ import annotations

import numpy as np

from ...factorization import truncated_svd
from ...hyperparameters import check_value
from .. import panels as draw
from ..widget import Widget, choice, part, slider

SHOWN = 40_000  # a matrix with more entries is not drawn
NEIGHBOURS = 6


def rank_explorer(A, *, rows=None, columns=None, k=5, largest=200, alt=""):
    """A widget: the rank k against the reconstruction, what it stores, and who is near whom.

    Parameters
    ----------
    A : array or sparse matrix (m, n)
        Drawn as a picture if it has at most 40,000 entries. Zero is white: an approximation may
        have negative entries where A has none. Rows and columns are drawn in the order given.
    rows : list of m names, optional
        Adds a panel with the nearest rows of a chosen one, by cosine, in A and at rank k.
    columns : list of n names, optional
        Adds the words of each kept direction: the columns that weigh most in it.
    k, largest : int
        The rank at first, and the highest offered.
    """
    dense = A.toarray() if hasattr(A, "toarray") else np.asarray(A, dtype=float)
    m, n = dense.shape
    largest = min(m, n, largest)
    check_value("k", k, "whole [1, inf)")
    U, s, Vt = truncated_svd(A, largest)
    controls = [slider("k", "rank k", 1, largest, min(k, largest), whole=True, positions=largest)]
    panels = [draw.Panel("spectrum", "singular values", "index", log="y", height=210),
              draw.Panel("stored", "numbers stored", "rank k", height=210)]
    parts = [part(_spectrum(dense, U, s, Vt), "spectrum"),
             part(_stored(m, n, dense), "stored")]
    if dense.size <= SHOWN:
        look = {"xlabel": "column", "ylabel": "row", "xlim": (0, n), "ylim": (m, 0), "height": 260}
        panels += [draw.Panel("before", "the matrix", **look),
                   draw.Panel("after", "its best approximation of rank k", **look)]
        parts += [part(_before(dense), "before"), part(_after(dense, U, s, Vt), "after")]
    if rows is not None:
        names = tuple(f"{i}: {name}" for i, name in enumerate(rows))
        controls.append(choice("row", "neighbours of", names))
        panels.append(draw.Panel("near", "nearest rows", kind="text", height=150))
        parts.append(part(_near(dense, U * s, names), "near"))
    if columns is not None:
        panels.append(draw.Panel("words", "what each direction weighs", kind="text", height=150))
        parts.append(part(_words(Vt, list(columns)), "words"))
    return Widget(
        f"Rank explorer: a matrix of {m} rows and {n} columns", panels=panels, controls=controls,
        parts=parts,
        alt=alt or (f"The singular values of a {m} by {n} matrix, falling; the numbers that rank k "
                    f"stores, a line that crosses m × n near k = {m * n / (m + n):.0f}; and "
                    f"the matrix beside its approximation of rank {k}."))


def neighbours(X, i, count=NEIGHBOURS):
    """Indices and cosines of the rows of X (m, d) nearest to row i, without i itself."""
    length = np.linalg.norm(X, axis=1)
    cosine = X @ X[i] / np.maximum(length * length[i], 1e-12)
    cosine[i] = -np.inf
    near = np.argsort(-cosine, kind="stable")[:count]
    return near, cosine[near]


def _spectrum(dense, U, s, Vt):
    index, total = np.arange(1, len(s) + 1), (dense * dense).sum()

    def spectrum(k):
        kept = (s[:k] ** 2).sum() / total
        below = np.mean((U[:, :k] * s[:k]) @ Vt[:k] < -1e-9 * s[0])
        return [draw.dots("spectrum", index[:k], s[:k], label="kept"),
                draw.dots("spectrum", index[k:], s[k:], colour=draw.GREY, label="dropped"),
                draw.status(f"Rank {k} keeps {kept:.1%} of the squared entries; {below:.0%} of its "
                            f"entries are below zero, of the matrix's {np.mean(dense < 0):.0%}.")]

    return spectrum


def _stored(m, n, dense):
    even = m * n / (m + n)
    filled = np.count_nonzero(dense)

    def stored(k):
        ranks = np.linspace(0, max(1.3 * even, k), 50)
        layers = [draw.line("stored", ranks, ranks * (m + n), label="two factors: k (m + n)"),
                  draw.dots("stored", [k], [k * (m + n)], label=f"rank {k}: {k * (m + n):,}"),
                  draw.rule("stored", y=m * n, label=f"dense: m n = {m * n:,}"),
                  draw.rule("stored", x=even, label=f"break-even k = {even:.0f}")]
        if filled < 0.5 * m * n:
            layers.append(draw.rule("stored", y=2 * filled,
                                    label=f"sparse: values and places = {2 * filled:,}"))
        return layers

    return stored


def _heat(panel, Z, like):
    m, n = like.shape
    high = float(np.abs(like).max())
    return draw.heat(panel, Z[::-1], (0, m, n, 0), ramp="diverging", low=-high, high=high,
                     label="value")


def _before(A):
    return lambda: [_heat("before", A, A)]


def _after(A, U, s, Vt):
    def after(k):
        return [_heat("after", (U[:, :k] * s[:k]) @ Vt[:k], A)]

    return after


def _near(A, X, names):
    def near(k, row):
        i = names.index(row)
        columns = []
        for Z in (A, X[:, :k]):
            found, cosine = neighbours(Z, i)
            columns.append([f"{names[j]}  ({c:.2f})" for j, c in zip(found, cosine, strict=True)])
        return [draw.table("near", ("in the matrix (cosine)", f"at rank {k}"),
                           zip(*columns, strict=True))]

    return near


def _words(Vt, columns):
    def words(k):
        kept = range(max(0, min(k, 8)))
        strongest = [np.argsort(-np.abs(Vt[i]), kind="stable")[:6] for i in kept]
        return [draw.table("words", ("direction", "weighs most"),
                           [(i + 1, ", ".join(("−" if Vt[i, j] < 0 else "") + str(columns[j])
                                              for j in strongest[i])) for i in kept])]

    return words
