"""Cards about SVD, NMF and what a factorization gives."""

import numpy as np
from scipy.sparse import issparse

from zglearn.data import load_digits, load_docstrings, tfidf
from zglearn.exercises.cards import card, failure, said
from zglearn.experiments import compare
from zglearn.factorization import als, nmf, truncated_svd
from zglearn.landscapes import rotation


def columns_times_rows(A, k):
    U, s, V = np.linalg.svd(A)
    return U[:, :k] @ V


def scores(A, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return U[:, :k] * s[:k]


@card("factors", "false", chapter="01", rows=["E24"], broken=columns_times_rows, repaired=scores,
      right="k columns meet k rows, or no rows at all: the features of the rows of A are `U * s`.")
def features_from_columns_and_all_rows(broken, repaired):
    """This function gives each row of A as its k most important numbers."""
    A = np.random.default_rng(0).normal(size=(20, 50))
    error = failure(broken, A, 5)
    assert isinstance(error, ValueError)
    features = repaired(A, 5)
    assert features.shape == (20, 5)
    assert np.allclose(features @ features.T, scores(A, 20)[:, :5] @ scores(A, 20)[:, :5].T)
    return f"It stops: {said(error)}. Repaired, each of the 20 rows becomes 5 numbers."


# --- what a factorization is ------------------------------------------------------------------

def squared_error(A, W, H):
    return np.sum((A - W @ H) ** 2)


@card("factors", "it depends", chapter="02", rows=["E02"],
      holds="for an SVD or alternating regressions", fails="for gradient descent on the factors",
      right="A factorization is a problem, not a method. Some of its solvers follow a gradient and "
            "some do not, and they can end at the same answer.")
def factorization_needs_no_gradient():
    """Matrix factorization is a form of optimization without gradients."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(12, 9)) + 3 * rng.normal(size=(12, 3)) @ rng.normal(size=(3, 9))
    U, s, Vt = truncated_svd(A, 3)
    W, H = rng.normal(size=(12, 3)), rng.normal(size=(3, 9))
    for _ in range(3000):
        E = W @ H - A
        W, H = W - 0.005 * E @ H.T, H - 0.005 * W.T @ E
    regressions = als(A, 3, ridge=0, steps=500, tol=1e-15)
    errors = [squared_error(A, U * s, Vt), squared_error(A, regressions.W, regressions.H),
              squared_error(A, W, H)]
    assert np.allclose(errors, errors[0])
    return ("Three factors for a 12 × 9 matrix. Squared error left by the SVD, an eigenvalue "
            f"problem: {errors[0]:.2f}. By alternating regressions: {errors[1]:.2f}. By plain "
            f"gradient descent: {errors[2]:.2f}.")


@card("factors", "true", chapter="02", rows=["E02"],
      right="With the step `W / (W H Hᵀ)` for each entry, what gradient descent subtracts cancels, "
            "and a product of positive numbers is left. Lee and Seung say so themselves (2001).")
def multiplications_are_gradient_steps():
    """The multiplicative updates of non-negative matrix factorization are steps of gradient
    descent."""
    rng = np.random.default_rng(0)
    A, W, H = rng.random((8, 6)), rng.random((8, 3)), rng.random((3, 6))
    gradient = (W @ H - A) @ H.T  # of half the squared error, in W
    step = W / (W @ H @ H.T)
    by_gradient, product = W - step * gradient, W * (A @ H.T) / (W @ H @ H.T)
    package = nmf(A, 3, solver="multiplicative", steps=1, start=(W, H)).W
    assert np.allclose(by_gradient, product) and np.allclose(product, package)
    return (f"All {W.size} entries agree to {np.abs(by_gradient - product).max() + 1e-15:.0e}: a "
            "gradient step with a learning rate for each entry, the quotient of the paper, and one "
            "step of `nmf`.")


# --- the pieces of an SVD ---------------------------------------------------------------------

def approximation(A, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return U[:, :k] @ Vt[:k]


def best_approximation(A, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return (U[:, :k] * s[:k]) @ Vt[:k]


@card("factors", "false", chapter="01", rows=["E25"],
      broken=approximation, repaired=best_approximation,
      right="The singular values hold all of the size: columns of `U` and rows of `Vt` have length "
            "1. And the product has the shape of A again; it is not smaller.")
def approximation_without_singular_values(broken, repaired):
    """This function gives the best approximation of A of rank k."""
    A = np.random.default_rng(0).random((40, 200))
    lost = [np.linalg.norm(A - program(A, 20)) / np.linalg.norm(A)
            for program in (broken, repaired)]
    best = np.linalg.norm(np.linalg.svd(A, compute_uv=False)[20:]) / np.linalg.norm(A)
    assert lost[0] > 0.9 and np.isclose(lost[1], best)
    return (f"It runs, and misses {lost[0]:.0%} of the norm of A. With the singular values "
            f"{lost[1]:.0%} are missed, which is as little as rank 20 allows.")


def project(A, k):
    U, s, V = np.linalg.svd(A)
    return A @ V[:, :k]


def project_on_rows(A, k):
    U, s, Vt = np.linalg.svd(A)
    return A @ Vt[:k].T


@card("factors", "false", chapter="01", rows=["E26"],
      broken=project, repaired=project_on_rows,
      right="numpy's third result is the transpose of V: its rows are the directions. For a square "
            "matrix, or any that is factorized in full, no error tells.")
def third_result_of_svd(broken, repaired):
    """This function projects the rows of A on the k directions in which they are largest."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(60, 12)) * np.geomspace(10, 0.1, 12) @ rotation(12)
    kept = [np.sum(program(A, 3) ** 2) / np.sum(A**2) for program in (broken, repaired)]
    s = np.linalg.svd(A, compute_uv=False)
    assert np.isclose(kept[1], np.sum(s[:3] ** 2) / np.sum(s**2)) and kept[0] < kept[1] / 2
    return (f"It runs, and keeps {kept[0]:.0%} of the squares of A. The three rows of the same "
            f"result keep {kept[1]:.0%}.")


@card("factors", "false", chapter="01", rows=["E26"],
      right="What is added are directions that A does not reach, and they meet no singular value. "
            "`full_matrices=False` leaves them out.")
def full_matrices_are_more_exact():
    """With `full_matrices=True`, its default, numpy's SVD is more exact, as no columns are
    dropped."""
    A = np.random.default_rng(0).normal(size=(50, 500))
    errors, sizes = [], []
    for full in (True, False):
        U, s, Vt = np.linalg.svd(A, full_matrices=full)
        errors.append(np.abs(A - (U * s) @ Vt[:len(s)]).max())
        sizes.append(Vt.nbytes)
    assert max(errors) < 1e-12 and sizes[0] == 10 * sizes[1]
    return (f"A 50 × 500 matrix is rebuilt to within 1e-12 by both. The third factor takes "
            f"{sizes[0] / 1e6:.1f} MB in full and {sizes[1] / 1e6:.1f} MB without what is not "
            "needed.")


@card("factors", "true", chapter="01", rows=["E34"],
      right="All three factors come from one call, and to truncate means to keep the first k of "
            "each: columns of U, values, rows of Vt. Non-negative factors are not nested so.")
def nothing_is_computed_after_the_cut():
    """Whoever has the SVD of a matrix has its best approximation of every lower rank too, with
    nothing to compute anew, V included."""
    A = np.random.default_rng(0).random((15, 10))
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    anew = np.linalg.lstsq(U[:, :2] * s[:2], A, rcond=None)[0]
    cut = squared_error(A, U[:, :2] * s[:2], Vt[:2])
    four, two = nmf(A, 4, seed=0), nmf(A, 2, seed=0)
    heaviest = np.argsort(-np.linalg.norm(four.W, axis=0) * np.linalg.norm(four.H, axis=1))[:2]
    parts = squared_error(A, four.W[:, heaviest], four.H[heaviest])
    assert np.allclose(anew, Vt[:2]) and np.isclose(cut, np.sum(s[2:] ** 2))
    assert parts > 1.5 * squared_error(A, two.W, two.H)
    return (f"The first two of each leave a squared error of {cut:.2f}, the least that rank 2 "
            "allows, and V by least squares comes out as the rows that were there. Of a "
            f"factorization into four non-negative parts, the two heaviest leave {parts:.1f}, "
            f"where two fitted as two leave {squared_error(A, two.W, two.H):.2f}.")


@card("factors", "it depends", chapter="01", rows=["E27"],
      holds="for centred columns, up to a length", fails="for data with a mean",
      right="Principal components are directions around the mean. Without centring, the first "
            "column of U mostly points at the mean itself.")
def columns_of_u_are_components():
    """The first columns of U are the principal components of the rows of the data."""
    data = np.random.default_rng(0).normal(size=(200, 30)) * np.r_[3, np.ones(29)] + 5
    centred = data - data.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(data.T))
    component = centred @ axes[:, -1]
    alike = [abs(np.corrcoef(np.linalg.svd(A, full_matrices=False)[0][:, 0], component)[0, 1])
             for A in (data, centred)]
    assert alike[0] < 0.7 and alike[1] > 0.999
    return ("Correlation of U's first column with the first principal component: "
            f"{alike[0]:.2f} from the data as they are, {alike[1]:.2f} from the centred data.")


# --- what it is good for ----------------------------------------------------------------------

def fit_signs(X, y):
    """The linear classifier that least squares gives for labels +1 and -1."""
    return np.linalg.lstsq(X, y, rcond=None)[0]


def predictability(A, y, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    Z = U[:, :k] * s[:k]
    return np.mean(np.sign(Z @ fit_signs(Z, y)) == y)


def predictability_elsewhere(A, y, k):
    half = len(y) // 2
    Vt = np.linalg.svd(A[:half], full_matrices=False)[2]
    train, test = A[:half] @ Vt[:k].T, A[half:] @ Vt[:k].T
    return np.mean(np.sign(test @ fit_signs(train, y[:half])) == y[half:])


@card("factors", "false", chapter="01", rows=["E28"],
      broken=predictability, repaired=predictability_elsewhere,
      right="Rows that were learned from prove nothing. The features belong to what is learned, so "
            "they too are fitted on the training rows only.")
def accuracy_on_the_same_rows(broken, repaired):
    """This function measures how well k features of the SVD predict the labels."""
    rng, reports = np.random.default_rng(0), []
    for _ in range(20):
        A, coins = rng.random((100, 150)), rng.choice([-1.0, 1.0], size=100)
        reports.append([program(A, coins, 40) for program in (broken, repaired)])
    on_train, held_out = np.mean(reports, axis=0)
    assert on_train > 0.7 and abs(held_out - 0.5) < 0.08
    return ("Labels from coin tosses, twenty times. It reports that "
            f"{on_train:.0%} of them can be predicted; on rows that were held out it is "
            f"{held_out:.0%}.")


@card("factors", "false", chapter="01", rows=["E29"],
      right="Random labels are a good test of the test: an honest one must say one half. That the "
            "classifier works has to be shown where there is something to learn.")
def random_data_show_that_it_works():
    """Random features with random labels are enough to show that a classification program
    works."""
    rng, reports = np.random.default_rng(0), {}
    for name, signal in (("coin tosses", 0), ("a hidden rule", 1)):
        scores_of = []
        for _ in range(10):
            A = rng.normal(size=(400, 20))
            y = np.sign(signal * A[:, 0] + (1 - signal) * rng.normal(size=400))
            sound = predictability_elsewhere(A, y, 20)
            blind = predictability_elsewhere(rng.permutation(A), y, 20)
            scores_of.append([sound, blind])
        reports[name] = np.mean(scores_of, axis=0)
    (sound_0, blind_0), (sound_1, blind_1) = reports.values()
    assert abs(sound_0 - blind_0) < 0.06 and sound_1 > blind_1 + 0.3
    return ("A sound program, and one in which a bug shuffles the rows. On coin tosses they reach "
            f"{sound_0:.0%} and {blind_0:.0%}: who could tell? With something to learn, "
            f"{sound_1:.0%} and {blind_1:.0%}.")


@card("factors", "it depends", chapter="01", rows=["E35"],
      holds="with three labelled texts of each class", fails="with all the labels",
      right="The SVD has seen all texts, labelled or not, and tells which words go together. "
            "Enough labels tell that better.")
def reduction_improves_classification():
    """Reducing texts to a few dozen dimensions by an SVD improves their classification."""
    task, rng = load_docstrings(), np.random.default_rng(0)
    X, y, truth = tfidf(task), task.train.labels, task.test.labels
    Vt = truncated_svd(X.train, 50)[2]
    words, layers = (X.train, X.test), (X.train @ Vt.T, X.test @ Vt.T)

    def nearest_centre(train, test, rows):
        centres = np.stack([np.asarray(train[rows[y[rows] == c]].mean(axis=0)) for c in range(4)])
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        return np.mean((test @ centres.T).argmax(axis=1) == truth)

    few = [np.concatenate([rng.choice(np.flatnonzero(y == c), 3, replace=False)
                           for c in range(4)]) for _ in range(20)]
    gain = compare(*[[nearest_centre(*F, rows) for rows in few] for F in (layers, words)],
                   test_share=0)
    all_words, all_layers = (nearest_centre(*F, np.arange(len(y))) for F in (words, layers))
    assert gain.low > 0 and all_layers < all_words - 0.01
    return ("From which library does a docstring come? Three labelled texts of each, twenty draws: "
            f"50 dimensions get {100 * gain.difference:.0f} points more right than all words "
            f"({100 * gain.low:.0f} to {100 * gain.high:.0f} with 95% confidence). All "
            f"{len(y):,} labels: {all_layers:.0%} right with 50 dimensions, {all_words:.0%} with "
            "all words.")


# --- programs and tables ----------------------------------------------------------------------

def decompose(A, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return (U[:, :k] * s[:k]) @ Vt[:k]


def decompose_into_factors(A, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return U[:, :k], s[:k], Vt[:k]


@card("factors", "false", chapter="01", rows=["E30"],
      broken=decompose, repaired=decompose_into_factors,
      right="It returns the product, one matrix. Python unpacks a matrix into its rows, so with "
            "three rows nothing seems wrong.")
def three_rows_for_three_factors(broken, repaired):
    """This function returns the factors U, s and Vt of rank k, ready for
    `U, s, Vt = decompose(A, k)`."""
    rng = np.random.default_rng(0)
    A, taller = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))

    def unpack(program, A):
        U, s, Vt = program(A, 2)
        return U, s, Vt

    U, s, Vt = unpack(broken, A)
    error = failure(unpack, broken, taller)
    assert isinstance(error, ValueError) and U.shape == s.shape == Vt.shape == (5,)
    shapes = [F.shape for F in unpack(repaired, taller)]
    assert shapes == [(4, 2), (2,), (2, 5)]
    return ("With 3 rows it runs, and what is called U is a row of 5 numbers. With 4 rows: "
            f"{said(error)}. Repaired, the shapes are {', '.join(map(str, shapes))}.")


def two_factors(A, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    W = U[:, :k] * s[:k]
    H = Vt[:k]


def two_factors_returned(A, k):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return U[:, :k] * s[:k], Vt[:k]


@card("appendix", "false", chapter="01", rows=["E32", "E36"],
      broken=two_factors, repaired=two_factors_returned,
      right="A function without a `return` returns None, however right its sums are.")
def factors_that_are_never_handed_over(broken, repaired):
    """This function returns two thin factors whose product is the best approximation of rank k."""
    A = np.random.default_rng(0).normal(size=(6, 4))
    nothing = broken(A, 2)
    W, H = repaired(A, 2)
    s = np.linalg.svd(A, compute_uv=False)
    assert nothing is None and np.isclose(squared_error(A, W, H), np.sum(s[2:] ** 2))
    return (f"It runs, and its result prints as `{nothing}`. Repaired: factors of shapes {W.shape} "
            f"and {H.shape}, and a squared error of {squared_error(A, W, H):.2f}, the least that "
            "rank 2 allows.")


def numbers_in(A):
    """How many numbers are stored of a matrix: of a sparse one its values and their places."""
    return A.data.size + A.indices.size + A.indptr.size if issparse(A) else A.size


@card("factors", "it depends", chapter="01", rows=["E31"],
      holds="for a dense matrix, at a rank well below mn/(m+n)",
      fails="above that rank, and for a sparse matrix long before",
      right="Rank k costs k (m + n) numbers, whether the matrix was dense or not. The zeros of a "
            "sparse one cost nothing, and its factors have none: compare with what was stored.")
def factors_take_less_room():
    """Two thin factors take less room than the matrix they stand for."""
    texts, digits = tfidf(load_docstrings()).train, load_digits().train.X
    small = np.random.default_rng(0).normal(size=(3, 5))

    def factors(A, k):
        return k * sum(A.shape)

    W, H = two_factors_returned(small, 2)
    assert W.size + H.size == factors(small, 2) > numbers_in(small)
    assert factors(digits, 10) < numbers_in(digits) / 4
    sparse, dense = numbers_in(texts), texts.shape[0] * texts.shape[1]
    assert sparse < factors(texts, 50) < dense / 10
    return (f"Numbers to store. {len(digits):,} digits of 64 pixels: {numbers_in(digits):,}, of "
            f"rank 10 {factors(digits, 10):,}. A 3 × 5 matrix: 15, of rank 2 {factors(small, 2)}. "
            f"{texts.shape[0]:,} texts by {texts.shape[1]:,} words: {dense:,} with all zeros, "
            f"{sparse:,} in sparse storage, values and places, and {factors(texts, 50):,} of rank "
            "50.")


@card("factors", "false", chapter="01", rows=["E31", "E32"],
      right="Numbers in regular steps make a matrix of rank 2, so nothing was left out. An example "
            "shows something only if it could have gone wrong.")
def nothing_lost_at_rank_two():
    """A factorization of rank 2 gives back the numbers 1 to 9, written in three rows of three,
    without an error. That shows how little is lost at a low rank."""
    regular = np.arange(1.0, 10.0).reshape(3, 3)
    mixed = np.random.default_rng(0).permutation(9).reshape(3, 3) + 1.0
    s, t = (np.linalg.svd(A, compute_uv=False) for A in (regular, mixed))
    assert s[2] < 1e-12 < 0.1 < t[2]
    return (f"Its singular values are {s[0]:.2f}, {s[1]:.2f} and 0 up to rounding: its rank is 2. "
            f"The same numbers in a random order have {t[0]:.2f}, {t[1]:.2f} and {t[2]:.2f}, and "
            f"rank 2 leaves an error of {t[2]:.2f}.")


def vectors_of_texts(texts, k):
    return np.linalg.svd(np.array(texts))


def vectors_of_counts(texts, k):
    words = sorted({word for text in texts for word in text.split()})
    counts = np.array([[text.split().count(word) for word in words] for text in texts])
    U, s, Vt = np.linalg.svd(counts, full_matrices=False)
    return U[:, :k] * s[:k], Vt[:k]


@card("appendix", "false", chapter="02", rows=["E36"],
      broken=vectors_of_texts, repaired=vectors_of_counts,
      right="A list of strings has one dimension and no numbers. The words have to be counted "
            "before there is a matrix.")
def an_svd_of_strings(broken, repaired):
    """This function gives each text a vector of k numbers, and each pattern of words a row."""
    texts = ["the cat sat", "the dog sat", "prices fell", "prices rose fast"]
    error = failure(broken, texts, 2)
    W, H = repaired(texts, 2)
    cosine = np.corrcoef(W)
    assert isinstance(error, np.linalg.LinAlgError) and W.shape == (4, 2)
    assert abs(W[0] @ W[2]) < 1e-9 < abs(W[0] @ W[1])
    return (f"It stops: {said(error)}. Repaired, the texts on animals get vectors with product "
            f"{W[0] @ W[1]:.1f}, and one about prices is at a right angle to them.")


@card("factors", "false", chapter="02", rows=["E33"],
      right="The rows of the left factor belong to the rows of the matrix: texts by topics. The "
            "right factor has a column for each word: topics by words.")
def word_vectors_on_the_left():
    """If a table of texts by words is factorized, the left factor holds word embeddings and the
    right one the topics."""
    words = ["cat", "dog", "purr", "price", "stock"]
    counts = np.array([[3, 1, 2, 0, 0], [1, 3, 1, 0, 0], [0, 0, 0, 2, 3], [0, 0, 0, 3, 1.0]])
    parts = nmf(counts, 2, seed=0)
    swapped = nmf(counts[[1, 0, 2, 3]], 2, start=(parts.W[[1, 0, 2, 3]], parts.H))
    assert parts.W.shape == (4, 2) and parts.H.shape == (2, 5)
    assert np.allclose(swapped.W, parts.W[[1, 0, 2, 3]], atol=0.05)
    lists = [" and ".join(words[i] for i in sorted(np.argsort(-row)[:2])) for row in parts.H]
    assert set(lists) == {"cat and dog", "price and stock"}
    return (f"Four texts, five words, two topics: the left factor has {len(parts.W)} rows, one for "
            "each text; swap two texts and two of its rows change places. The heaviest words in "
            f"the rows of the right factor: {', '.join(sorted(lists))}.")
