"""Factorizations against LAPACK, scikit-learn and closed forms, dense and sparse."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.decomposition import NMF
from sklearn.linear_model import Ridge
from sklearn.utils.extmath import randomized_svd

from zglearn import factorization
from zglearn.factorization import als, multiplicative_kl, nmf, subspace_iteration, truncated_svd

KINDS = {"dense": np.asarray, "csr_matrix": sp.csr_matrix, "csc_array": sp.csc_array}


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def A(rng):
    return rng.gamma(0.5, size=(60, 40)) * (rng.random((60, 40)) < 0.4)


def text_like(rng, m=900, n=700):
    """A sparse matrix whose spectrum falls slowly, as a TF-IDF matrix's does."""
    topics = rng.gamma(0.1, size=(30, n)) / np.arange(1, n + 1)
    A = rng.poisson(rng.dirichlet(np.full(30, 0.1), m) @ topics * 60).astype(float)
    return sp.csr_array(A / np.maximum(np.linalg.norm(A, axis=1, keepdims=True), 1))


# --- truncated_svd ---------------------------------------------------------------------------

def assert_is_svd(A, k, U, s, Vt, excess, angle=1e-11):
    """Orthonormal factors whose error exceeds the best possible by no more than `excess`."""
    A = A.toarray() if sp.issparse(A) else A
    assert U.shape == (A.shape[0], k) and s.shape == (k,) and Vt.shape == (k, A.shape[1])
    np.testing.assert_allclose(U.T @ U, np.eye(k), atol=angle)
    np.testing.assert_allclose(Vt @ Vt.T, np.eye(k), atol=angle)
    assert (np.diff(s) <= 1e-9 * s[0]).all()
    best = np.linalg.svd(A, compute_uv=False)
    error = np.linalg.norm(A - (U * s) @ Vt)
    floor = 1e-10 * np.linalg.norm(A)
    assert error <= (1 + excess) * np.sqrt(np.sum(best[k:] ** 2)) + floor
    return best


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", ["tall", "wide"])
def test_a_small_svd_is_exact(A, kind, turn):
    A = A if turn == "tall" else A.T
    U, s, Vt = truncated_svd(KINDS[kind](A), 7)
    best = assert_is_svd(A, 7, U, s, Vt, excess=1e-12)
    np.testing.assert_allclose(s, best[:7], rtol=1e-12)


@pytest.mark.parametrize("turn", ["tall", "wide"])
@pytest.mark.parametrize("k", [1, 20, 60])
def test_krylov_svd_reaches_lapack_when_asked_to(rng, k, turn):
    A = text_like(rng)
    A = A if turn == "tall" else A.T
    best = assert_is_svd(A, k, *truncated_svd(A, k), excess=3e-4)
    U, s, Vt = truncated_svd(A, k, tol=1e-13)
    assert_is_svd(A, k, U, s, Vt, excess=1e-9)
    np.testing.assert_allclose(s, best[:k], rtol=1e-6)


def test_krylov_svd_is_closer_than_randomized_svd(rng):
    A = text_like(rng)
    error = [np.linalg.norm(A.toarray() - (U * s) @ Vt) for U, s, Vt in
             (truncated_svd(A, 40), randomized_svd(A, 40, random_state=0))]
    assert error[0] <= error[1]


@pytest.mark.parametrize("name, k", [("rank 10", 10), ("rank 10", 30), ("identity", 20),
                                     ("three values", 20), ("geometric", 50), ("zero", 5)])
def test_krylov_svd_survives_hard_spectra(rng, name, k):
    m, n = 650, 600
    P, Q = (np.linalg.qr(rng.normal(size=(d, n)))[0] for d in (m, n))
    s = {"rank 10": np.arange(n) < 10, "identity": np.ones(n), "zero": np.zeros(n),
         "three values": np.repeat([5.0, 3.0, 1.0], n // 3),
         "geometric": np.logspace(0, -12, n)}[name]
    A = (P * s) @ Q.T
    assert_is_svd(A, k, *truncated_svd(A, k, tol=1e-8), excess=1e-5)


def test_signs_do_not_depend_on_the_method_or_the_seed(rng):
    A = text_like(rng)
    by_lapack = truncated_svd(A.toarray()[:, :400], 5)
    by_krylov = truncated_svd(sp.csr_array(A.toarray()[:, :400]), 5, tol=1e-14, seed=3)
    for F, G in zip(by_lapack, by_krylov, strict=True):
        np.testing.assert_allclose(F, G, atol=1e-5)
    Vt = by_lapack[2]
    assert (Vt[np.arange(5), np.abs(Vt).argmax(axis=1)] > 0).all()


# --- nmf -------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss, solver, peer", [
    ("frobenius", "hals", dict(solver="cd")),
    ("frobenius", "multiplicative", dict(solver="mu")),
    ("kl", "multiplicative", dict(solver="mu", beta_loss="kullback-leibler")),
])
def test_nmf_takes_the_steps_of_sklearn(A, rng, loss, solver, peer, kind):
    W, H = rng.random((60, 5)) + 0.1, rng.random((5, 40)) + 0.1
    theirs = NMF(5, init="custom", max_iter=20, tol=0, **peer)
    their_W = theirs.fit_transform(A, W=W.copy(), H=H.copy())
    ours = nmf(KINDS[kind](A), 5, loss=loss, solver=solver, steps=20, tol=0, start=(W, H))
    np.testing.assert_allclose(ours.W, their_W, atol=1e-9)
    np.testing.assert_allclose(ours.H, theirs.components_, atol=1e-9)
    half = 2 if loss == "kl" else 1  # sklearn reports sqrt(2 KL)
    np.testing.assert_allclose(half * ours.losses[-1], theirs.reconstruction_err_**2, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 7])
def test_the_rules_as_the_paper_has_them_are_those_of_nmf(A, rng, kind, steps):
    start = rng.uniform(0.1, 1, size=(60, 4)), rng.uniform(0.1, 1, size=(4, 40))
    fast = nmf(KINDS[kind](A), 4, loss="kl", steps=steps, tol=0, start=start)
    W, H = multiplicative_kl(A, *start, steps)
    np.testing.assert_allclose(fast.W, W, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(fast.H, H, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("loss, solver", [("frobenius", "hals"), ("frobenius", "multiplicative"),
                                          ("kl", "multiplicative")])
def test_the_nmf_loss_never_rises_and_no_entry_is_negative(A, loss, solver):
    fit = nmf(A, 6, loss=loss, solver=solver, steps=300, tol=0)
    assert (np.diff(fit.losses) <= 1e-9 * fit.losses[0]).all()
    assert fit.losses[-1] < 0.7 * fit.losses[0]
    assert min(fit.W.min(), fit.H.min()) >= 0


def test_hals_needs_fewer_steps_than_the_multiplicative_rules(A):
    hals, lee_seung = (nmf(A, 6, solver=solver, steps=10, tol=0).losses[-1]
                       for solver in ("hals", "multiplicative"))
    assert hals < 0.95 * lee_seung


def test_one_component_under_kl_is_the_product_of_the_margins(A):
    fit = nmf(A, 1, loss="kl")
    np.testing.assert_allclose(fit.W @ fit.H, np.outer(A.sum(1), A.sum(0)) / A.sum(), atol=1e-12)


def test_nmf_finds_factors_that_exist(rng):
    W, H = rng.random((50, 3)) ** 4, rng.random((3, 30)) ** 4
    fit = nmf(W @ H, 3, steps=3000, tol=0)
    assert fit.rmse(W @ H) < 1e-3 * (W @ H).mean()


def test_nmf_keeps_float32_and_its_arguments(A):
    A32 = A.astype(np.float32)
    W, H = np.ones((60, 4)), np.ones((4, 40))
    before = A32.copy()
    fit = nmf(A32, 4, start=(W, H), steps=5)
    assert fit.W.dtype == fit.H.dtype == np.float32
    assert (A32 == before).all() and (W == 1).all() and (H == 1).all()


def test_a_component_that_is_zero_stays_zero(A):
    W, H = np.ones((60, 2)), np.ones((2, 40))
    W[:, 1] = 0
    H[1] = 0
    for loss, solver in (("frobenius", "hals"), ("kl", "multiplicative")):
        fit = nmf(A, 2, loss=loss, solver=solver, start=(W, H), steps=5)
        assert np.isfinite(fit.losses).all() and not fit.W[:, 1].any()


def test_the_same_seed_gives_the_same_factors(A):
    for fit in (lambda seed: nmf(A, 4, seed=seed, steps=10), lambda seed: als(A, 4, seed=seed)):
        assert (fit(1).W == fit(1).W).all() and (fit(1).W != fit(2).W).any()


# --- als -------------------------------------------------------------------------------------

def test_als_on_a_complete_matrix_ends_at_the_svd(A):
    best = np.sum(np.linalg.svd(A, compute_uv=False)[5:] ** 2)
    fit = als(A, 5, ridge=0, steps=5000, tol=1e-15)
    np.testing.assert_allclose(fit.losses[-1], best, rtol=1e-8)
    np.testing.assert_allclose(fit.losses[-1], np.sum((A - fit.W @ fit.H) ** 2), rtol=1e-10)


@pytest.fixture
def holes(rng):
    """A matrix of rank 3 with noise, and a mask that hides a third of it."""
    A = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 40)) + 0.1 * rng.normal(size=(50, 40))
    return A, rng.random(A.shape) < 2 / 3


def test_als_fills_holes_and_never_reads_them(holes):
    A, known = holes
    fit = als(np.where(known, A, np.nan), 3, mask=known, ridge=0.1)
    assert (np.diff(fit.losses) <= 1e-9 * fit.losses[0]).all()
    assert fit.rmse(A, known) < fit.rmse(A, ~known) < 0.2 < A.std() / 5
    error = np.sum((A - fit.W @ fit.H)[known] ** 2)
    penalty = 0.1 * (np.sum(fit.W**2) + np.sum(fit.H**2))
    np.testing.assert_allclose(fit.losses[-1], error + penalty, rtol=1e-10)


def test_every_row_of_als_is_a_ridge_regression(holes):
    A, known = holes
    fit = als(A, 3, mask=known, ridge=0.5, steps=3)
    for i in (0, 17, 49):
        row = Ridge(alpha=0.5, fit_intercept=False).fit(fit.H[:, known[i]].T, A[i, known[i]])
        np.testing.assert_allclose(fit.W[i], row.coef_, rtol=1e-9)


def test_als_takes_every_kind_of_matrix_and_mask(holes):
    A, known = holes
    A = np.where(known, A, 0)
    A[known.nonzero()[0][0], known.nonzero()[1][0]] = 0  # a known zero is known
    expected = als(A, 3, mask=known).losses
    for B in (sp.csr_matrix(A), sp.csc_array(A)):
        for mask in (known, sp.csr_array(known)):
            np.testing.assert_allclose(als(B, 3, mask=mask).losses, expected)
    stored = sp.csr_array(A)
    np.testing.assert_allclose(als(stored, 3, mask="stored").losses,
                               als(A, 3, mask=A != 0).losses)
    np.testing.assert_allclose(als(stored, 3).losses, als(A, 3).losses)
    np.testing.assert_allclose(als(A, 3, mask=np.ones(A.shape, bool)).losses, als(A, 3).losses)


def test_rmse_over_the_whole_matrix(A):
    fit = als(A, 4)
    direct = np.sqrt(np.mean((A - fit.W @ fit.H) ** 2))
    for kind in KINDS.values():
        np.testing.assert_allclose(fit.rmse(kind(A)), direct, rtol=1e-10)


# --- any scale, any form ---------------------------------------------------------------------

SCALES = [1e-320, 1e-300, 1e-160, 1e160, 1e300]


@pytest.mark.parametrize("scale", SCALES)
def test_the_svd_of_huge_and_tiny_entries(rng, scale):
    precision = 1e-2 if scale < 1e-308 else 1e-9  # a subnormal number has few digits
    for A in (rng.random((30, 20)), text_like(rng), np.zeros((700, 600))):
        one, other = truncated_svd(A, 3), truncated_svd(A * scale, 3)
        np.testing.assert_allclose(other[1] / scale, one[1], rtol=precision)
        assert_is_svd(A, 3, other[0], other[1] / scale, other[2], excess=1e-3)
    A = rng.random((30, 20))
    one, other = (subspace_iteration(B, 3, np.random.default_rng(0)) for B in (A, A * scale))
    np.testing.assert_allclose(other[1] / scale, one[1], rtol=precision)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("how", [
    dict(loss="kl"), dict(solver="hals"), dict(solver="multiplicative")], ids=str)
def test_nmf_of_huge_and_tiny_entries_is_right_or_refused(rng, how, scale):
    A = rng.random((30, 20))
    if scale > 1 and "loss" not in how:
        with pytest.raises(ValueError, match="loss is beyond the largest number"):
            nmf(A * scale, 3, **how)
        return
    fit, small = nmf(A, 3, **how), nmf(A * scale, 3, **how)
    np.testing.assert_allclose(small.W @ small.H / scale, fit.W @ fit.H, atol=0.02)
    assert small.rmse(A * scale) / scale == pytest.approx(fit.rmse(A), rel=0.01)


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e20, 1e37])
@pytest.mark.parametrize("loss", ["frobenius", "kl"])
def test_nmf_in_single_precision_has_the_range_of_single_precision(rng, loss, scale):
    A = rng.random((30, 20))
    fit, other = nmf(A, 3, loss=loss), nmf((A * scale).astype(np.float32), 3, loss=loss)
    assert other.W.dtype == np.float32
    assert other.rmse(A * scale) / scale == pytest.approx(fit.rmse(A), rel=0.01)
    assert other.losses[-1] / scale ** (1 if loss == "kl" else 2) == pytest.approx(
        fit.losses[-1], rel=0.02)


@pytest.mark.parametrize("scale", [*SCALES, 1e-100, 1e100])
@pytest.mark.parametrize("mask", [None, "most"])
def test_als_of_huge_and_tiny_entries_is_right_or_refused(rng, mask, scale):
    A = rng.random((30, 20))
    known = None if mask is None else rng.random(A.shape) < 0.8
    fit = als(A, 3, mask=known, ridge=1e-9)
    if scale > 1e150:
        with pytest.raises(ValueError, match="loss is beyond the largest number"):
            als(A * scale, 3, mask=known, ridge=0)
        return
    other = als(A * scale, 3, mask=known, ridge=0)
    assert other.rmse(A * scale, known) / scale == pytest.approx(fit.rmse(A, known), rel=0.02)
    shrunk = als(A * scale, 3, mask=known, ridge=0.1)
    if scale < 1:  # the ridge outweighs it all
        assert np.abs(shrunk.W @ shrunk.H).max() < 1e-3 * scale


def pieces(A):
    """Equal to A as a sparse matrix: with entries in two pieces, out of order, and stored zeros."""
    rows, columns = np.indices(A.shape).reshape(2, -1)
    order = np.random.default_rng(1).permutation(2 * A.size)
    values = np.concatenate([0.25 * A.ravel(), 0.75 * A.ravel()])[order]
    rows, columns = np.tile(rows, 2)[order], np.tile(columns, 2)[order]
    by_row = rows.argsort(kind="stable")
    ends = np.concatenate([[0], np.bincount(rows, minlength=len(A)).cumsum()])
    return sp.csr_array((values[by_row], columns[by_row], ends), shape=A.shape)


FORMS = {
    "in pieces": pieces, "coo in pieces": lambda A: pieces(A).tocoo(), "list": np.ndarray.tolist,
    "fortran": np.asfortranarray, "strided": lambda A: np.repeat(A, 2, axis=1)[:, ::2],
    "reversed": lambda A: A[::-1].copy()[::-1], "read-only": lambda A: np.broadcast_to(A, A.shape),
    "mask of nothing": np.ma.array, "whole numbers": lambda A: A.astype(np.int16),
    "bytes": lambda A: A.astype(np.uint8), "long": lambda A: A.astype(np.longdouble),
    "half": lambda A: A.astype(np.float16), "matrix": lambda A: sp.csr_matrix(A).todense()}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_matrix_has_the_factors_of_the_array(rng, form):
    A = rng.poisson(2.0, size=(12, 9)).astype(float)
    B = FORMS[form](A)
    stored, known, fit = B.nnz if sp.issparse(B) else 0, A > 1, als(A, 2)
    for factorize in (lambda A: truncated_svd(A, 3)[1], lambda A: nmf(A, 2).losses,
                      lambda A: nmf(A, 2, loss="kl").losses,
                      lambda A: nmf(A, 2, solver="multiplicative").losses,
                      lambda A: als(A, 2).losses, lambda A: als(A, 2, mask=known).losses,
                      fit.rmse, lambda A: fit.rmse(A, known),
                      lambda A: subspace_iteration(A, 2, np.random.default_rng(0))[1]):
        np.testing.assert_allclose(factorize(B), factorize(A), rtol=1e-8)
    assert not stored or B.nnz == stored, "the matrix of the caller was changed"


def test_stored_entries_in_pieces_are_known_once(holes):
    A, known = holes
    A = np.where(known, np.nan_to_num(A), 0)

    def twice(values):
        return sp.csr_array((np.repeat(values[known], 2), np.repeat(np.nonzero(known)[1], 2),
                             np.concatenate([[0], 2 * known.sum(axis=1).cumsum()])), shape=A.shape)

    want = als(A, 2, mask=known).losses
    for B, mask in ((pieces(A), twice(known)), (A.tolist(), known.tolist()),
                    (twice(A / 2), "stored"), (twice(A / 2), twice(known))):
        np.testing.assert_allclose(als(B, 2, mask=mask).losses, want, rtol=1e-9)


def test_factors_can_be_told_apart(A):
    one, other = nmf(A, 2, seed=1), nmf(A, 2, seed=2)
    assert [one, other].index(other) == 1 and len({one, other, one}) == 2


# --- errors say what to do -------------------------------------------------------------------

@pytest.mark.parametrize("factorize", [truncated_svd, nmf, als])
def test_bad_matrices_and_ranks(A, factorize):
    for k in (0, -1, 41, 2.5, True, "3", None):
        with pytest.raises(ValueError, match="k must be a whole number from 1 to 40"):
            factorize(A, k)
    with pytest.raises(ValueError, match="nan or infinity"):
        factorize(np.where(A > 1, np.nan, A), 2)
    with pytest.raises(ValueError, match="not of shape"):
        factorize(A[0], 1)
    for bad in (A.astype(complex), A.astype(str), A.astype("datetime64[s]")):
        with pytest.raises(ValueError, match="real numbers"):
            factorize(bad, 2)
    with pytest.raises(ValueError, match="A has masked entries"):
        factorize(np.ma.masked_greater(A, 1), 2)
    for tol in (-1e-4, np.nan, np.inf, "1e-4", None, True):
        with pytest.raises(ValueError, match="tol must be"):
            factorize(A, 2, tol=tol)


def test_bad_nmf_arguments(A):
    with pytest.raises(ValueError, match="below zero"):
        nmf(A - 1, 2)
    with pytest.raises(ValueError, match="kl with multiplicative"):
        nmf(A, 2, loss="kl", solver="hals")
    with pytest.raises(ValueError, match="no rule for loss 'l1'"):
        nmf(A, 2, loss="l1")
    with pytest.raises(ValueError, match="start needs"):
        nmf(A, 2, start=(np.ones((60, 3)), np.ones((3, 40))))
    with pytest.raises(ValueError, match="below zero, nan"):
        nmf(A, 2, start=(-np.ones((60, 2)), np.ones((2, 40))))
    with pytest.raises(ValueError, match="steps"):
        nmf(A, 2, steps=0)
    with pytest.raises(ValueError, match="start has masked entries"):
        nmf(A, 2, start=(np.ma.masked_equal(np.ones((60, 2)), 1), np.ones((2, 40))))
    for solver in ("hals", "multiplicative"):  # a message is about the loss that was asked for
        with pytest.raises(ValueError, match="loss is infinite: divide A by its largest entry, or "
                                             "give another start"), np.errstate(all="ignore"):
            nmf(A, 2, solver=solver, start=(np.full((60, 2), 1e200), np.ones((2, 40))))
    with pytest.raises(ValueError, match="give a start without zeros"), np.errstate(over="ignore"):
        nmf(A, 2, loss="kl", start=(np.zeros((60, 2)), np.ones((2, 40))))


def test_bad_als_arguments(holes):
    A, known = holes
    blind = known.copy()
    blind[:, 4] = False
    with pytest.raises(ValueError, match="column 4 has no known entry"):
        als(A, 2, mask=blind)
    with pytest.raises(ValueError, match="row 4 has no known entry"):
        als(A.T, 2, mask=blind.T)
    with pytest.raises(ValueError, match="mask must be boolean"):
        als(A, 2, mask=known.astype(int))
    with pytest.raises(ValueError, match="stored"):
        als(A, 2, mask="stored")
    for ridge in (-1, np.nan, np.inf, "0.1", None, True, [0.1]):
        with pytest.raises(ValueError, match="ridge must be"):
            als(A, 2, mask=known, ridge=ridge)
    with pytest.raises(ValueError, match="the mask has masked entries"):
        als(A, 2, mask=np.ma.masked_equal(known, False))
    with pytest.raises(ValueError, match="factors of a matrix of shape"):
        als(np.ones((6, 5)), 2).rmse(np.ones((5, 6)))
    with pytest.raises(ValueError, match="give ridge > 0"):
        als(np.ones((6, 5)), 3, ridge=0)


def test_subspace_iteration_finds_the_same_space_as_truncated_svd():
    rng = np.random.default_rng(5)
    A = rng.normal(size=(60, 12)) @ np.diag(2.0 ** -np.arange(12)) @ rng.normal(size=(12, 40))
    U, s, Vt = subspace_iteration(A, 4, rng)
    V, t, Wt = truncated_svd(A, 4)
    np.testing.assert_allclose(s, t, rtol=1e-8)
    np.testing.assert_allclose((U * s) @ Vt, (V * t) @ Wt, atol=1e-6 * t[0])


def test_hals_in_blocks_of_columns_is_hals(monkeypatch):
    A = np.random.default_rng(0).random((30, 41))
    whole = nmf(A, 4, steps=20, tol=0)
    monkeypatch.setattr(factorization, "CHUNK", 10)  # five columns at a time
    blocks = nmf(A, 4, steps=20, tol=0)
    np.testing.assert_allclose(blocks.W, whole.W, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(blocks.losses, whole.losses, rtol=1e-12)
