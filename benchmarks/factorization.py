"""SVD, NMF and ALS on sparse text-like matrices, against scikit-learn and a plain loop.

    python -m benchmarks factorization

The matrix has 10,000 documents of 60 words from 5,000 terms that follow Zipf's law and 40 topics,
as TF-IDF with rows of length 1. Ours and the peer solve the same problem to the same error or
better: the error of each is measured, and a benchmark whose error is worse stops.
"""

import warnings

import numpy as np
import scipy.sparse as sp

from zglearn.factorization import als, nmf, truncated_svd

from ._bench import installed, race, rows

extmath = installed("sklearn.utils.extmath")
decomposition = installed("sklearn.decomposition")
warnings.filterwarnings("ignore", module="sklearn")  # it would like to iterate for longer


def measure():
    A = tfidf(10_000, 5000)
    yield from svd(A)
    yield from nmf_rows(A)
    yield from als_rows(A)


def tfidf(documents, terms, length=60, topics=40, seed=0):
    rng = np.random.default_rng(seed)
    words = rng.gamma(0.1, size=(topics, terms)) / np.arange(1, terms + 1) ** 0.9
    words = np.cumsum(words / words.sum(axis=1, keepdims=True), axis=1)
    mixtures = rng.dirichlet(np.full(topics, 0.1), documents)
    from_topic = rng.multinomial(rng.poisson(length, documents) + 5, mixtures).T
    document = np.concatenate([np.repeat(np.arange(documents), n) for n in from_topic])
    term = np.concatenate([np.searchsorted(words[t], rng.random(n.sum())).clip(max=terms - 1)
                           for t, n in enumerate(from_topic)])
    counts = sp.csr_array((np.ones(len(term)), (document, term)), shape=(documents, terms))
    counts.sum_duplicates()
    counts.data = 1 + np.log(counts.data)
    used = np.bincount(counts.indices, minlength=terms)
    A = sp.csr_array(counts @ sp.diags_array(np.log((1 + documents) / (1 + used)) + 1))
    A.data /= np.repeat(np.sqrt(A.multiply(A).sum(axis=1)), np.diff(A.indptr))
    return A[:, used > 0]


def frobenius(A, W, H):
    """‖A - WH‖ without a matrix of the size of A."""
    return np.sqrt(A.multiply(A).sum() - 2 * np.sum((A @ H.T) * W) + np.sum((W.T @ W) * (H @ H.T)))


def svd_error(A, factors):
    U, s, Vt = factors
    return frobenius(A, U * s, Vt)


def at_least_as_good(ours, peer):
    if ours > peer * (1 + 1e-6):
        raise AssertionError(f"ours has the error {ours}, the peer {peer}")


def svd(A, rounds=9, name=""):
    for k, tol in ((20, 1e-4), (100, 1e-3)):
        def work(k=k, tol=tol):
            return truncated_svd(A, k, tol=tol)

        def peer(k=k):
            return extmath.randomized_svd(A, k, random_state=0)

        if extmath is not None:
            at_least_as_good(svd_error(A, work()), svd_error(A, peer()))
        seconds = race({"ours": work, "sklearn randomized": extmath and peer}, rounds)
        yield from rows(f"SVD, k = {k}{name}", seconds, {"sklearn randomized": 0.7})


def nmf_rows(A):
    """Fifty sweeps from the same start: the iterates are the same, so the error is."""
    for dtype in (np.float64, np.float32):
        B = A.astype(dtype)
        for k in (20, 50):
            rng = np.random.default_rng(0)
            start = [np.abs(rng.normal(size=s) * np.sqrt(B.mean() / k)).astype(dtype)
                     for s in ((B.shape[0], k), (k, B.shape[1]))]

            def work(B=B, k=k, start=start):
                return nmf(B, k, steps=50, tol=0, start=start)

            def peer(B=B, k=k, start=start):
                model = decomposition.NMF(k, init="custom", max_iter=50, tol=0)
                W = model.fit_transform(B, W=start[0].copy(), H=start[1].copy())
                return W, model.components_

            if decomposition is not None:
                fit = work()
                at_least_as_good(frobenius(A, fit.W, fit.H), 1.0001 * frobenius(A, *peer()))
            seconds = race({"ours": work, "sklearn coordinate descent": decomposition and peer}, 7)
            yield from rows(f"NMF by HALS, k = {k}, {np.dtype(dtype)}", seconds,
                            {"sklearn coordinate descent": 1.0})


def als_rows(A, k=16):
    """One round of ALS on the stored entries. The loop is that of the textbooks: a row of a mask
    says what is known. The sparse loop knows where to look."""
    known = A.toarray() != 0
    dense, mask = A.toarray(), (known, known.T.copy())
    both = (dense, dense.T.copy()), (A, sp.csr_array(A.T))

    def loop():
        V = np.random.default_rng(0).normal(size=(A.shape[1], k))
        for B, M in zip(both[0], mask, strict=True):
            V = np.array([np.linalg.solve(V[m].T @ V[m] + 0.1 * np.eye(k), V[m].T @ b[m])
                          for b, m in zip(B, M, strict=True)])

    def sparse_loop():
        V = np.random.default_rng(0).normal(size=(A.shape[1], k))
        for B in both[1]:
            V = np.array([ridge(V[B.indices[i:j]], B.data[i:j])
                          for i, j in zip(B.indptr, B.indptr[1:], strict=False)])

    def ridge(V, b):
        return np.linalg.solve(V.T @ V + 0.1 * np.eye(k), V.T @ b)

    # als ends with the rows of W for the last V: three halves of a round against the loops' two
    seconds = race({"ours": lambda: als(A, k, mask="stored", ridge=0.1, steps=1, tol=0),
                    "a loop with a mask": loop, "a sparse loop": sparse_loop}, 7)
    seconds["ours"] = [s * 2 / 3 for s in seconds["ours"]]
    yield from rows(f"a round of ALS, k = {k}", seconds, {"a loop with a mask": 1 / 5})

