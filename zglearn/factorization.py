"""A matrix as a product of two thin ones: the SVD, non-negative factors, factors of a matrix with
holes.

    U, s, Vt = truncated_svd(A, k)            # the best A ≈ (U * s) @ Vt of rank k
    parts    = nmf(A, k, loss="kl")           # A ≈ parts.W @ parts.H, no entry below zero
    ratings  = als(A, k, mask=known)          # A ≈ ratings.W @ ratings.H where known

`A` has shape (m, n) and may be a numpy array or any scipy sparse matrix; zeros of a sparse matrix
are values like any other (only `als` has a mask). Entries may be as large or small as numbers get:
where squares would not fit, all is computed in other units. Bad input raises ValueError.
"""

from __future__ import annotations

import functools
import itertools
import numbers
from dataclasses import dataclass

import numpy as np

from .hyperparameters import check_value
from .objective import without_mask

SMALL = 1 << 22  # a matrix of at most so many numbers (32 MB) may be made dense
CHUNK = 1 << 17  # numbers in one temporary array: 1 MB stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Factors:
    """A ≈ W @ H, and how the loss fell on the way.

    Attributes
    ----------
    W, H : arrays (m, k) and (k, n)
    losses : array (steps + 1,)
        The loss before the first step and after each one. It never rises.
    """

    W: np.ndarray
    H: np.ndarray
    losses: np.ndarray

    def __repr__(self) -> str:
        return (f"Factors(W {self.W.shape}, H {self.H.shape}, {len(self.losses) - 1} steps, "
                f"loss {self.losses[0]:.4g} -> {self.losses[-1]:.4g})")

    def rmse(self, A, mask=None) -> float:
        """Root mean squared error over the entries of A that `mask` names, as in `als`."""
        A = _matrix(A, dtype=float) if mask is None else _known_entries(A, mask)
        if A.shape != (len(self.W), self.H.shape[1]):
            raise ValueError(f"these are factors of a matrix of shape "
                             f"{(len(self.W), self.H.shape[1])}, not {A.shape}")
        unit = _unit(max(_largest(A), _largest(self.W) * _largest(self.H)), A.dtype)
        A = _in_units(A, unit)
        W, H = (_ldexp(F.astype(float, copy=False), -unit // 2) for F in (self.W, self.H))
        if mask is None:
            error = _squared_error(A, W, H) / (A.shape[0] * A.shape[1])
        else:
            error = np.mean((A.data - _product_at(W, H, *_coordinates(A))) ** 2)
        return _back(np.sqrt(error), unit)


# --- singular value decomposition ------------------------------------------------------------

def truncated_svd(A, k, *, tol=1e-4, seed=0):
    """The k largest singular triplets: A ≈ (U * s) @ Vt, the best approximation of rank k.

    No matrix of rank k has a smaller squared error (Eckart and Young 1936); what is left is the
    sum of the other singular values, squared. Small matrices (the shorter side up to 500) go to
    LAPACK and are exact to rounding; larger ones to `_block_krylov`.

    Parameters
    ----------
    A : array or sparse matrix (m, n)
    k : int, 1 to min(m, n)
    tol : float
        The Krylov method stops when another round finds less than `tol` of the whole squared
        norm. Measured on TF-IDF matrices, 1e-4 leaves a Frobenius error within 1e-4 of the best.
    seed : int or Generator
        For the random start; the result depends on it only within `tol`.

    Returns
    -------
    U : array (m, k), s : array (k,), Vt : array (k, n)
        `s` falls; columns of U and rows of Vt are orthonormal. In every row of Vt the entry that
        is largest in size is positive, so that the signs do not depend on the machine.
    """
    A = _matrix(A, dtype=float)
    _check_rank(k, A.shape)
    check_value("tol", tol, "[0, inf)")
    unit = _unit(_largest(A), A.dtype)
    A = _in_units(A, unit)
    wide = A.shape[0] < A.shape[1]  # the basis is built on the shorter side
    B = A.T if wide else A
    n = B.shape[1]
    if n <= 3 * k or (n <= 500 and B.shape[0] * n <= SMALL):
        U, s, Vt = np.linalg.svd(_dense(B), full_matrices=False)
        U, s, Vt = U[:, :k], s[:k], Vt[:k]
    else:
        U, s, Vt = _block_krylov(B, k, tol, np.random.default_rng(seed))
    U, Vt = (Vt.T, U.T) if wide else (U, Vt)
    sign = np.sign(Vt[np.arange(k), np.abs(Vt).argmax(axis=1)])
    return U * sign, _back(s, unit), Vt * sign[:, None]


def subspace_iteration(A, k, rng, *, rounds=8, extra=10):
    """The truncated SVD, as short as it gets (Halko, Martinsson and Tropp 2011, algorithm 4.4).

    Multiplying a random block by AᵀA again and again turns it towards the right singular vectors
    that belong to the largest singular values. Returns U, s, Vt as `truncated_svd`, which is
    faster and knows when to stop. The `extra` columns are thrown away: they speed up the others.
    """
    Q, _ = np.linalg.qr(rng.normal(size=(A.shape[1], min(k + extra, *A.shape))))
    for _ in range(rounds):
        Q, _ = np.linalg.qr(A.T @ (A @ Q))
    U, s, Wt = np.linalg.svd(A @ Q, full_matrices=False)
    return U[:, :k], s[:k], (Wt @ Q.T)[:k]


def _in_any_units(svd):
    @functools.wraps(svd)
    def checked(A, k, rng, **how):
        A = _matrix(A)
        _check_rank(k, A.shape)
        unit = _unit(_largest(A), A.dtype)
        U, s, Vt = svd(_in_units(A, unit), k, rng, **how)
        return U, _back(s, unit), Vt

    return checked


subspace_iteration = _in_any_units(subspace_iteration)  # whose code is shown as in the paper


def _block_krylov(A, k, tol, rng):
    """Block Krylov iteration (Musco and Musco 2015), by block Lanczos on AᵀA; A is (m, n), n <= m.

    Randomized subspace iteration keeps only the last power (AᵀA)ʲX of a random block X. This
    keeps them all, so that the same number of products with A buys a better subspace.
    """
    n, block = A.shape[1], max(4, k // 4)
    room = min(n, 10 * k + 20 * block)
    Q = np.empty((n, room), order="F")  # an orthonormal basis of X, AᵀAX, (AᵀA)²X, ...
    T = np.empty((room, room))          # QᵀAᵀAQ, of which the upper triangle is filled
    width, energy, enough = 0, 0.0, tol * _squared_norm(A)
    X, _ = np.linalg.qr(rng.normal(size=(n, block)))
    while True:
        new, width = slice(width, width + X.shape[1]), width + X.shape[1]
        Q[:, new] = X
        X = A.T @ (A @ X)
        T[:width, new] = Q[:, :width].T @ X
        if width >= min(2 * k, room):
            before, energy = energy, np.linalg.eigvalsh(T[:width, :width], UPLO="U")[-k:].sum()
            if energy - before <= enough or width == room:
                break
        X = X[:, :room - width]
        overlap = T[:width, new][:, :X.shape[1]]
        while True:
            size = np.linalg.norm(X)
            X, R = np.linalg.qr(X - Q[:, :width] @ overlap)
            if np.abs(np.diag(R)).min() > 0.01 * size:
                break
            overlap = Q[:, :width].T @ X  # most of it cancelled, so the rest is not yet ⟂ Q
    V = Q[:, :width] @ np.linalg.eigh(T[:width, :width], UPLO="U")[1][:, :-k - 1:-1]
    US = A @ V
    s = np.linalg.norm(US, axis=0)
    if s[-1] > 0.01 * s[0]:
        return US / s, s, V.T
    P, R = np.linalg.qr(US)  # dividing by a tiny s would spoil the angles between the columns
    U, s, Wt = np.linalg.svd(R)
    return P @ U, s, Wt @ V.T


# --- non-negative matrix factorization -------------------------------------------------------

def nmf(A, k, *, loss="frobenius", solver=None, steps=200, tol=1e-5, seed=0, start=None):
    """Non-negative factors W, H with A ≈ W @ H (Paatero and Tapper 1994; Lee and Seung 1999).

    Parameters
    ----------
    A : array or sparse matrix (m, n), no entry below zero
    k : int, 1 to min(m, n)
    loss : "frobenius" or "kl"
        The squared error Σ (a - ŵ)², or the Kullback-Leibler divergence Σ a log(a / ŵ) - a + ŵ
        (for counts: the likelihood of a Poisson or, with rows that sum to 1, of a bigram model).
    solver : "hals" or "multiplicative"
        Hierarchical alternating least squares (Cichocki et al. 2007; the default for "frobenius",
        which is all it minimises) or the rules of Lee and Seung (2001).
    steps, tol :
        Stop after `steps`, or when a step lowers the loss by less than `tol` times the first loss.
    seed : int or Generator
    start : pair of arrays (W, H), optional
        Where to begin; copied. By default |normal| numbers of the scale of A.

    Returns
    -------
    Factors
        float32 if A is float32, else float64. The loss has many local minima: another seed may
        end in another one.
    """
    A = _matrix(A)
    _check_rank(k, A.shape)
    _check_length(steps, tol)
    if _values(A).min(initial=0) < 0:
        raise ValueError("A has an entry below zero, so no non-negative factors can reach it: "
                         "shift or clip it first, or use truncated_svd")
    solver = solver or ("hals" if loss == "frobenius" else "multiplicative")
    rules = {("frobenius", "hals"): _hals, ("frobenius", "multiplicative"): _multiplicative,
             ("kl", "multiplicative"): _multiplicative_kl}
    if (loss, solver) not in rules:
        raise ValueError(f"no rule for loss {loss!r} with solver {solver!r}: there are "
                         + ", ".join(f"{a} with {b}" for a, b in rules))
    unit = _unit(_largest(A), A.dtype)
    A = _in_units(A, unit)
    W, H = _start_point(A, k, start, seed, unit)
    Wt = np.ascontiguousarray(W.T)  # both factors as k rows: a component lies together in memory
    reason = ("under kl, W @ H must be above zero wherever A is: give a start without zeros"
              if loss == "kl" else "divide A by its largest entry, or give another start")
    return _descend(rules[loss, solver](A, Wt, H), steps, tol, unit, 1 if loss == "kl" else 2,
                    reason)


def _hals(A, Wt, H):
    """One pass over the components, each set to its best non-negative value given the others."""
    gram, target = Wt @ Wt.T, Wt @ A
    while True:
        yield _expanded_error(A, gram, target, H), Wt.T, H
        _hals_sweep(Wt, H @ H.T, H @ A.T)
        gram, target = Wt @ Wt.T, Wt @ A
        _hals_sweep(H, gram, target)


def _hals_sweep(F, gram, target):
    """Every column is a problem of its own, so a block of them can stay in cache for the sweep."""
    tiny = np.finfo(F.dtype).tiny  # a component that died stays dead instead of becoming nan
    for start in range(0, F.shape[1], count := max(1, 2 * CHUNK // len(F))):
        block, wanted = F[:, start:start + count], target[:, start:start + count]
        for j, f in enumerate(block):
            f += (wanted[j] - gram[j] @ block) / max(gram[j, j], tiny)
            np.maximum(f, 0, out=f)


def _multiplicative(A, Wt, H):
    """Lee and Seung: gradient descent with a step so chosen that it becomes a multiplication."""
    gram, target = Wt @ Wt.T, Wt @ A
    while True:
        yield _expanded_error(A, gram, target, H), Wt.T, H
        Wt *= (H @ A.T) / _positive(H @ H.T @ Wt)
        gram, target = Wt @ Wt.T, Wt @ A
        H *= target / _positive(gram @ H)


def _multiplicative_kl(A, Wt, H):
    """Lee and Seung for the divergence; on counts it is the EM algorithm of the mixture model."""
    ratio = _ratio(A, Wt.T, H)
    while True:
        yield _divergence(A, ratio, Wt, H), Wt.T, H
        Wt *= (H @ ratio.T) / _positive(H.sum(axis=1))[:, None]
        H *= (Wt @ _ratio(A, Wt.T, H)) / _positive(Wt.sum(axis=1))[:, None]
        ratio = _ratio(A, Wt.T, H)


def multiplicative_kl(A, W, H, steps):
    """The rules of Lee and Seung (2001, theorem 2) for the Kullback-Leibler loss, as the paper has
    them; `nmf(A, k, loss="kl")` takes the same steps without making sparse matrices dense.

    A is an array (m, n) without negative entries; W (m, k) and H (k, n), where to begin, are
    above zero. Returns W and H after so many steps.
    """
    for _ in range(steps):
        W = W * ((A / (W @ H)) @ H.T) / H.sum(axis=1)
        H = H * (W.T @ (A / (W @ H))) / W.sum(axis=0)[:, None]
    return W, H


def _ratio(A, W, H):
    """A / (W @ H), entry by entry; where A is zero the quotient is, so sparse stays sparse."""
    if not _is_sparse(A):
        return A / _positive(W @ H)
    ratio = A.copy()
    ratio.data /= _positive(_product_at(W, H, *_coordinates(A)))
    return ratio


def _divergence(A, ratio, Wt, H) -> float:
    a, r = _values(A).ravel(), _values(ratio).ravel()
    seen = a > 0
    total = Wt.sum(axis=1) @ H.sum(axis=1)  # the sum of all entries of W @ H
    return float(a[seen] @ np.log(r[seen]) - a.sum() + total)


def _start_point(A, k, start, seed, unit):
    m, n = A.shape
    if start is None:
        rng = np.random.default_rng(seed)
        scale = np.sqrt(A.mean() / k)
        return tuple((scale * np.abs(rng.normal(size=shape))).astype(A.dtype)
                     for shape in ((m, k), (k, n)))
    W, H = (_ldexp(np.array(without_mask(F, "start"), dtype=A.dtype), -unit // 2) for F in start)
    if W.shape != (m, k) or H.shape != (k, n):
        raise ValueError(f"start needs W {(m, k)} and H {(k, n)}, but has {W.shape} and {H.shape}")
    if not (np.isfinite(W).all() and np.isfinite(H).all()) or min(W.min(), H.min()) < 0:
        raise ValueError("start holds an entry that is below zero, nan or infinite")
    return W, H


def _positive(F):
    return np.maximum(F, np.finfo(F.dtype).tiny)  # a zero denominator has a zero numerator


# --- alternating least squares ---------------------------------------------------------------

def als(A, k, *, mask=None, ridge=0.1, steps=50, tol=1e-6, seed=0):
    """Factors of a matrix with missing entries, by alternating least squares.

    Minimises Σ (a - w·h)² over the known entries, plus ridge (‖W‖² + ‖H‖²). With H fixed, every
    row of W is a small ridge regression of its own, and the other way round (Koren, Bell and
    Volinsky 2009). With nothing missing and no ridge it ends where the SVD does.

    Parameters
    ----------
    A : array or sparse matrix (m, n)
    k : int, 1 to min(m, n)
    mask : boolean array or sparse matrix (m, n), or "stored"
        True where A is known; elsewhere A is not read and may hold nan. "stored" takes the stored
        entries of a sparse A. None: all of A is known, zeros included.
    ridge : float
    steps, tol :
        Stop after `steps`, or when a step lowers the loss by less than `tol` times the first loss.
    seed : int or Generator

    Returns
    -------
    Factors

    Raises
    ------
    ValueError
        Also for a row or column with no known entry (nothing can be said about it), and for
        ridge=0 when a row has too few known entries for k unknowns.
    """
    K = _matrix(A, dtype=float) if mask is None else _known_entries(A, mask)
    _check_rank(k, K.shape)
    _check_length(steps, tol)
    check_value("ridge", ridge, "[0, inf)")
    if mask is not None:
        _check_no_empty_line(K)
    unit = _unit(_largest(K), K.dtype)
    with np.errstate(over="ignore"):
        weight = np.ldexp(float(ridge), -unit)
    if weight > K.shape[0] * K.shape[1]:  # more than A's norm in these units: W = H = 0 is best
        weight, unit = ridge, 0
    V = np.random.default_rng(seed).normal(size=(K.shape[1], k))
    try:
        return _descend(_als(_in_units(K, unit), V, weight, complete=mask is None), steps, tol,
                        unit, 2, "A or the ridge is too large")
    except np.linalg.LinAlgError:
        raise ValueError(f"with ridge={ridge} some row or column has too few known entries, or A "
                         f"too small a rank, for k={k}: give ridge > 0 or a smaller k") from None


def _als(K, V, ridge, complete):
    best_rows = _best_rows_of_complete if complete else _best_rows
    Kt = K.T if complete else K.T.tocsr()
    while True:
        W, right = best_rows(K, V, ridge)
        # where (G + ridge I) w = b, |a - V w|² + ridge |w|² is |a|² - b·w
        yield (_squared_norm(K) - float(np.vdot(right, W)) + ridge * _squared_norm(V)), W, V.T
        V, _ = best_rows(Kt, W, ridge)


def _best_rows_of_complete(A, V, ridge):
    """The ridge regression of every row of A on V, and its right-hand sides. With nothing
    missing, all rows share one matrix."""
    right = A @ V
    return np.linalg.solve(V.T @ V + ridge * np.eye(V.shape[1]), right.T).T, right


def _best_rows(K, V, ridge):
    """The same where entries are missing: row i has a Gram matrix of its own, from the rows of V
    that belong to its known entries. One call solves many rows."""
    k, ends = V.shape[1], K.indptr.tolist()
    right, W = K @ V, np.empty((K.shape[0], k))
    for start in range(0, len(W), rows := max(1, CHUNK // k**2)):
        part = range(start, min(start + rows, len(W)))
        gram = np.empty((len(part), k, k))
        for G, i in zip(gram, part, strict=True):
            V_i = V[K.indices[ends[i]:ends[i + 1]]]
            np.matmul(V_i.T, V_i, out=G)
        gram += ridge * np.eye(k)
        W[part] = np.linalg.solve(gram, right[part, :, None])[..., 0]
    return W, right


def _known_entries(A, mask):
    """The known entries of A as a CSR matrix; a known zero is stored."""
    from scipy.sparse import csr_array

    if isinstance(mask, str):
        if mask != "stored" or not _is_sparse(A):
            raise ValueError(f"mask={mask!r}: only mask=\"stored\" is a word, for a sparse A")
        return _matrix(A, dtype=float)
    A, mask = _canonical(A, "A"), _canonical(mask, "the mask")
    if mask.shape != A.shape or mask.dtype != bool:
        raise ValueError(f"mask must be boolean of shape {A.shape}, "
                         f"not {mask.dtype} of shape {mask.shape}")
    rows, columns = mask.nonzero()
    values = np.asarray(A[rows, columns], dtype=float).ravel()
    return _matrix(csr_array((values, (rows, columns)), shape=mask.shape))


def _check_no_empty_line(K):
    for name, counts in (("row", np.diff(K.indptr)),
                         ("column", np.bincount(K.indices, minlength=K.shape[1]))):
        empty = np.flatnonzero(counts == 0)
        if empty.size:
            raise ValueError(f"{name} {empty[0]} has no known entry ({empty.size} such {name}s): "
                             "leave it out, or move one of its entries into the mask")


# --- what they share -------------------------------------------------------------------------

def _descend(iterates, steps, tol, unit, power, reason) -> Factors:
    """Draw (loss, W, H) until `steps` are done or a step gains too little; A is in units of
    2^unit, and the loss in those to the `power`."""
    losses = []
    for iterate in itertools.islice(iterates, steps + 1):
        losses.append(iterate[0])
        if not np.isfinite(losses[-1]):
            raise ValueError(f"the loss is infinite: {reason}")
        if len(losses) > 1 and losses[-2] - losses[-1] <= tol * losses[0]:
            break
    _, W, H = iterate
    return Factors(*(np.ascontiguousarray(_ldexp(F, unit // 2)) for F in (W, H)),
                   _back(np.array(losses), power * unit))


def _largest(A) -> float:
    values = _values(A)
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def _unit(largest, dtype) -> int:
    """The even power of two near the largest entry; 0, unless sums of squares might not fit."""
    unit = int(np.frexp(largest)[1]) // 2 * 2
    return unit if abs(unit) >= np.finfo(dtype).maxexp // 4 else 0


def _in_units(A, unit):
    """A divided by 2^unit."""
    if not unit or not _is_sparse(A):
        return _ldexp(A, -unit)
    A = A.copy()
    A.data = _ldexp(A.data, -unit)
    return A


def _ldexp(F, exponent):
    return np.ldexp(F, exponent) if exponent else F


def _back(value, unit):
    """What was computed in units of 2^unit, as numbers. ValueError if they are too large."""
    with np.errstate(over="ignore", under="ignore"):
        value = _ldexp(value, unit)
    if not np.isfinite(value).all():
        raise ValueError("A is too large: its norm or loss is beyond the largest number that there "
                         "is. Divide A by its largest entry")
    return float(value) if np.ndim(value) == 0 else value


def _matrix(A, dtype=None):
    """A as a finite real matrix: CSR if it is sparse, else an array; float32 is kept."""
    A = _canonical(A, "A")
    if A.ndim != 2 or 0 in A.shape:
        raise ValueError(f"A must be a matrix with rows and columns, not of shape {A.shape}")
    if A.dtype.kind not in "fiub":
        raise ValueError(f"A must hold real numbers, not {A.dtype}")
    A = A.astype(dtype or (np.float32 if A.dtype == np.float32 else float), copy=False)
    if not np.isfinite(_values(A)).all():
        raise ValueError("A holds nan or infinity: fill it in, or use "
                         "als(A, k, mask=np.isfinite(A)), which leaves missing entries out")
    return A


def _canonical(A, name):
    """An array, or CSR in which every entry is stored once and in order: a sparse matrix may hold
    it in pieces, to be added up. What is the caller's stays as it is."""
    if not _is_sparse(A):
        return np.asarray(without_mask(A, name))
    A = A.tocsr()
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()
    return A


def _check_rank(k, shape):
    if not isinstance(k, numbers.Integral) or isinstance(k, bool) or not 1 <= k <= min(shape):
        raise ValueError(f"k must be a whole number from 1 to {min(shape)} for a matrix of shape "
                         f"{tuple(shape)}, not {k!r}")


def _check_length(steps, tol):
    check_value("tol", tol, "[0, inf)")
    if not isinstance(steps, numbers.Integral) or isinstance(steps, bool) or steps < 1:
        raise ValueError(f"steps must be a whole number of at least 1, not {steps!r}")


def _is_sparse(A) -> bool:
    return hasattr(A, "tocsr")  # without importing scipy for those who need none


def _values(A):
    return A.data if _is_sparse(A) else A


def _dense(A):
    return A.toarray() if _is_sparse(A) else A


def _squared_norm(A) -> float:
    return float(np.vdot(_values(A), _values(A)))


def _coordinates(A):
    """Row and column of every stored entry."""
    return np.repeat(np.arange(A.shape[0]), np.diff(A.indptr)), A.indices


def _product_at(W, H, rows, columns):
    """The entries of W @ H at the given places only."""
    V = np.ascontiguousarray(H.T)
    out = np.empty(len(rows), dtype=W.dtype)
    for start in range(0, len(rows), count := max(1, CHUNK // W.shape[1])):
        part = slice(start, start + count)
        np.einsum("ij,ij->i", W[rows[part]], V[columns[part]], out=out[part])
    return out


def _squared_error(A, W, H) -> float:
    return _expanded_error(A, W.T @ W, W.T @ A, H)


def _expanded_error(A, gram, target, H) -> float:
    """‖A - WH‖² = ‖A‖² - 2 <WᵀA, H> + <WᵀW, HHᵀ>: nothing of the size of W @ H is formed."""
    error = _squared_norm(A) - 2 * np.vdot(target, H) + np.vdot(gram, H @ H.T)
    return max(float(error), 0.0)
