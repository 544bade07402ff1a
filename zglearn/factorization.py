"""A matrix as a product of two thin ones: the SVD, non-negative factors, factors of a matrix with
holes.

    U, s, Vt = truncated_svd(A, k)            # the best A ≈ (U * s) @ Vt of rank k
    parts    = nmf(A, k, loss="kl")           # A ≈ parts.W @ parts.H, no entry below zero
    ratings  = als(A, k, mask=known)          # A ≈ ratings.W @ ratings.H where known

`A` has shape (m, n) and may be a numpy array or any scipy sparse matrix; zeros of a sparse matrix
are values like any other (only `als` has a mask). Bad input raises ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHUNK = 1 << 22  # numbers held in one temporary array: 32 MB


@dataclass(frozen=True)
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
        A = _matrix(A) if mask is None else _known_entries(A, mask)
        if mask is None:
            return float(np.sqrt(_squared_error(A, self.W, self.H) / (A.shape[0] * A.shape[1])))
        rows, columns = _coordinates(A)
        return float(np.sqrt(np.mean((A.data - _product_at(self.W, self.H, rows, columns)) ** 2)))


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
    wide = A.shape[0] < A.shape[1]  # the basis is built on the shorter side
    B = A.T if wide else A
    n = B.shape[1]
    if n <= 3 * k or (n <= 500 and B.shape[0] * n <= CHUNK):
        U, s, Vt = np.linalg.svd(_dense(B), full_matrices=False)
        U, s, Vt = U[:, :k], s[:k], Vt[:k]
    else:
        U, s, Vt = _block_krylov(B, k, tol, np.random.default_rng(seed))
    U, Vt = (Vt.T, U.T) if wide else (U, Vt)
    sign = np.sign(Vt[np.arange(k), np.abs(Vt).argmax(axis=1)])
    return U * sign, s, Vt * sign[:, None]


def _block_krylov(A, k, tol, rng):
    """Block Krylov iteration (Musco and Musco 2015) for A (m, n), n <= m.

    Randomized subspace iteration keeps only the last power (AᵀA)ʲX of a random block X. This
    keeps them all, so that the same number of products with A buys a better subspace.
    """
    m, n = A.shape
    block = max(4, k // 5)
    room = min(n, 10 * k + 20 * block)
    Q, AQ = np.empty((n, room), order="F"), np.empty((m, room), order="F")
    gram = np.empty((room, room))  # (AQ)ᵀAQ; its eigenvalues are the squared singular values of AQ
    enough, energy, width = tol * _squared_norm(A), 0.0, 0
    X = rng.normal(size=(n, block))
    while width < room:
        X = X[:, :room - width]
        for _ in range(2):  # twice is enough: after that, X ⟂ Q to rounding
            X, _ = np.linalg.qr(X - Q[:, :width] @ (Q[:, :width].T @ X))
        new, width = slice(width, width + X.shape[1]), width + X.shape[1]
        Q[:, new], AQ[:, new] = X, A @ X
        gram[new, :width] = AQ[:, new].T @ AQ[:, :width]  # eigh reads the lower triangle
        if width >= k:
            before, energy = energy, np.linalg.eigvalsh(gram[:width, :width])[-k:].sum()
            if energy - before <= enough:
                break
        X = A.T @ AQ[:, new]
    best = np.linalg.eigh(gram[:width, :width])[1][:, :-k - 1:-1]
    P, R = np.linalg.qr(AQ[:, :width] @ best)  # an SVD of k columns: exact where squares are not
    U, s, Vt = np.linalg.svd(R)
    return P @ U, s, Vt @ (Q[:, :width] @ best).T


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
        which is all it minimises) or the rules of Lee and Seung (2000).
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
    _check_steps(steps)
    if _values(A).min(initial=0) < 0:
        raise ValueError("A has an entry below zero, so no non-negative factors can reach it: "
                         "shift or clip it first, or use truncated_svd")
    solver = solver or ("hals" if loss == "frobenius" else "multiplicative")
    rules = {("frobenius", "hals"): (_hals, _squared_error),
             ("frobenius", "multiplicative"): (_multiplicative, _squared_error),
             ("kl", "multiplicative"): (_multiplicative_kl, _divergence)}
    if (loss, solver) not in rules:
        raise ValueError(f"no rule for loss {loss!r} with solver {solver!r}: there are "
                         + ", ".join(f"{a} with {b}" for a, b in rules))
    rule, measure = rules[loss, solver]
    W, H = _start_point(A, k, start, seed)
    Wt = np.ascontiguousarray(W.T)  # both factors as k rows: a component lies together in memory
    losses = [measure(A, Wt.T, H)]
    for _ in range(steps):
        losses.append(rule(A, Wt, H))
        if losses[-2] - losses[-1] <= tol * losses[0]:
            break
    return Factors(np.ascontiguousarray(Wt.T), H, np.array(losses))


def _hals(A, Wt, H):
    """One pass over the components, each set to its best non-negative value given the others."""
    _hals_sweep(Wt, H @ H.T, H @ A.T)
    gram, target = Wt @ Wt.T, Wt @ A
    _hals_sweep(H, gram, target)
    return _expanded_error(A, gram, target, H)


def _hals_sweep(F, gram, target):
    tiny = np.finfo(F.dtype).tiny  # a component that died stays dead instead of becoming nan
    for j, f in enumerate(F):
        f += (target[j] - gram[j] @ F) / max(gram[j, j], tiny)
        np.maximum(f, 0, out=f)


def _multiplicative(A, Wt, H):
    """Lee and Seung: gradient descent with a step so chosen that it becomes a multiplication."""
    Wt *= (H @ A.T) / _positive(H @ H.T @ Wt)
    gram, target = Wt @ Wt.T, Wt @ A
    H *= target / _positive(gram @ H)
    return _expanded_error(A, gram, target, H)


def _multiplicative_kl(A, Wt, H):
    """The same for the divergence; on counts it is the EM algorithm of the mixture model."""
    Wt *= (H @ _ratio(A, Wt.T, H).T) / _positive(H.sum(axis=1))[:, None]
    H *= (Wt @ _ratio(A, Wt.T, H)) / _positive(Wt.sum(axis=1))[:, None]
    return _divergence(A, Wt.T, H)


def _ratio(A, W, H):
    """A / (W @ H), entry by entry; where A is zero the quotient is, so sparse stays sparse."""
    if not _is_sparse(A):
        return A / _positive(W @ H)
    ratio = A.copy()
    ratio.data /= _positive(_product_at(W, H, *_coordinates(A)))
    return ratio


def _divergence(A, W, H) -> float:
    a, ratio = _values(A).ravel(), _values(_ratio(A, W, H)).ravel()
    seen = a > 0
    total = W.sum(axis=0) @ H.sum(axis=1)  # the sum of all entries of W @ H
    return float(a[seen] @ np.log(ratio[seen]) - a.sum() + total)


def _start_point(A, k, start, seed):
    m, n = A.shape
    if start is None:
        rng = np.random.default_rng(seed)
        scale = np.sqrt(A.mean() / k)
        return tuple((scale * np.abs(rng.normal(size=shape))).astype(A.dtype)
                     for shape in ((m, k), (k, n)))
    W, H = (np.array(F, dtype=A.dtype) for F in start)
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
    _check_steps(steps)
    if not ridge >= 0:
        raise ValueError(f"ridge must be at least 0, not {ridge!r}")
    if mask is None:
        best_rows, Kt = _best_rows_of_complete, K.T
    else:
        _check_no_empty_line(K)
        best_rows, Kt = _best_rows, K.T.tocsr()
    rng = np.random.default_rng(seed)
    scale = np.sqrt(np.abs(_values(K)).mean() / k)
    W, V = (scale * rng.normal(size=(length, k)) for length in K.shape)
    losses = [_ridge_loss(K, W, V, ridge, mask)]
    for _ in range(steps):
        try:
            W = best_rows(K, V, ridge)
            V = best_rows(Kt, W, ridge)
        except np.linalg.LinAlgError:
            raise ValueError(f"with ridge={ridge} some row has too few known entries, or A too "
                             f"small a rank, for k={k}: give ridge > 0 or a smaller k") from None
        losses.append(_ridge_loss(K, W, V, ridge, mask))
        if losses[-2] - losses[-1] <= tol * losses[0]:
            break
    return Factors(W, np.ascontiguousarray(V.T), np.array(losses))


def _best_rows_of_complete(A, V, ridge):
    """With nothing missing, all rows share one matrix of normal equations."""
    return np.linalg.solve(V.T @ V + ridge * np.eye(V.shape[1]), (A @ V).T).T


def _best_rows(K, V, ridge):
    """The ridge regression of every row of K on the rows of V that it knows about.

    Row i needs its own Gram matrix, the sum of v vᵀ over its known entries: one sparse product
    adds them up for all rows, and one call solves a stack of systems.
    """
    k = V.shape[1]
    i, j = np.tril_indices(k)
    outer = V[:, i] * V[:, j]  # v vᵀ is symmetric: half of it is enough
    known = K.copy()
    known.data = np.ones_like(K.data)
    right, W = K @ V, np.empty((K.shape[0], k))
    for start in range(0, len(W), rows := max(1, CHUNK // k**2)):
        part = slice(start, start + rows)
        half = known[part] @ outer
        gram = np.empty((len(half), k, k))
        gram[:, i, j] = gram[:, j, i] = half
        gram += ridge * np.eye(k)
        W[part] = np.linalg.solve(gram, right[part, :, None])[..., 0]
    return W


def _ridge_loss(K, W, V, ridge, mask) -> float:
    if mask is None:
        error = _squared_error(K, W, V.T)
    else:
        error = np.sum((K.data - _product_at(W, V.T, *_coordinates(K))) ** 2)
    return float(error + ridge * (_squared_norm(W) + _squared_norm(V)))


def _known_entries(A, mask):
    """The known entries of A as a CSR matrix; a known zero is stored."""
    from scipy.sparse import csr_array

    if isinstance(mask, str):
        if mask != "stored" or not _is_sparse(A):
            raise ValueError(f"mask={mask!r}: only mask=\"stored\" is a word, for a sparse A")
        return _matrix(A, dtype=float)
    mask = mask.toarray() if _is_sparse(mask) else np.asarray(mask)
    if mask.shape != A.shape or mask.dtype != bool:
        raise ValueError(f"mask must be boolean of shape {A.shape}, "
                         f"not {mask.dtype} of shape {mask.shape}")
    rows, columns = np.nonzero(mask)
    A = A.tocsr() if _is_sparse(A) else np.asarray(A)
    values = np.asarray(A[rows, columns], dtype=float).ravel()
    starts = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    return _matrix(csr_array((values, columns, starts), shape=mask.shape))


def _check_no_empty_line(K):
    for name, counts in (("row", np.diff(K.indptr)),
                         ("column", np.bincount(K.indices, minlength=K.shape[1]))):
        empty = np.flatnonzero(counts == 0)
        if empty.size:
            raise ValueError(f"{name} {empty[0]} has no known entry ({empty.size} such {name}s): "
                             "leave it out, or move one of its entries into the mask")


# --- what dense and sparse matrices share ----------------------------------------------------

def _matrix(A, dtype=None):
    """A as a finite real matrix: CSR if it is sparse, else an array; float32 is kept."""
    A = A.tocsr() if _is_sparse(A) else np.asarray(A)
    if A.ndim != 2 or 0 in A.shape:
        raise ValueError(f"A must be a matrix with rows and columns, not of shape {A.shape}")
    if A.dtype.kind not in "fiub":
        raise ValueError(f"A must hold real numbers, not {A.dtype}")
    A = A.astype(dtype or (np.float32 if A.dtype == np.float32 else float), copy=False)
    if not np.isfinite(_values(A)).all():
        raise ValueError("A holds nan or infinity: fill it in, or use "
                         "als(A, k, mask=np.isfinite(A)), which leaves missing entries out")
    return A


def _check_rank(k, shape):
    if isinstance(k, bool) or k != int(k) or not 1 <= k <= min(shape):
        raise ValueError(f"k must be a whole number from 1 to {min(shape)} for a matrix of shape "
                         f"{tuple(shape)}, not {k!r}")


def _check_steps(steps):
    if isinstance(steps, bool) or steps != int(steps) or steps < 1:
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
