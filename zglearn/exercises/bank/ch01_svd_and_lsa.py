"""Chapter 01: the SVD and latent semantic analysis."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_form,
    expect_parts,
    incorrect,
)

choice(
    "01.1", "Reading numpy's answer", difficulty=1, minutes=3, points=1, right="d",
    options={
        "a": "The third array that numpy returns is already transposed: its *rows* are the right "
             "singular vectors. Transposing it again mixes them up (and for a matrix that is not "
             "square the shapes do not even fit).",
        "b": "U alone has columns of length 1: the strength of each direction is missing. A text "
             "that hardly shows a pattern would count as much as one that is full of it.",
        "c": "This is V, the coordinates of the *columns* (the terms), one row per term. The "
             "question asks for the rows.",
        "d": "U * s, which equals A @ Vt.T: the coordinates of each row along the right singular "
             "vectors. Keep the first k columns for k numbers per text.",
    },
    hints=["What must a text's coordinates be, so that coordinates times patterns give the text "
           "back?",
           "A = U Σ Vᵀ, and the rows of Vᵀ are orthonormal. Multiply both sides by V from the "
           "right.",
           "A V = U Σ. Which of the four is that?"],
    followups=[
        ("How do you get the coordinates of a text that was not in A?",
         "Multiply its row by V: `x @ Vt.T`. The same product gives U Σ for the rows of A."),
        ("Why ask numpy for `full_matrices=False`?",
         "For a 100 by 1000 matrix the full V has 1000 × 1000 entries, of which 900 rows meet only "
         "zeros. The thin form holds all there is.")],
    rows=["R002", "E26", "E27", "E34"],
)


@exercise("01.2", "What is lost", kind="derive", difficulty=1, minutes=6, points=2,
          names=["lost_share"],
          hints=["Which components are left out when you keep the first k?",
                 "‖A − A_k‖² = σ²_{k+1} + σ²_{k+2} + …, and ‖A‖² is the sum of all the squares.",
                 "the sum of s[k:]**2 divided by the sum of s**2"],
          followups=[
              ("Why do the squares add up, without mixed terms?",
               "The components u_i v_iᵀ are orthonormal as matrices: the sum of products of "
               "entries of two different components is zero."),
              ("Does a small loss mean that a classifier will work?",
               "No, and a large one does not mean that it will fail: in the chapter nine tenths of "
               "the squares were lost and most of the accuracy was kept. The loss does not know "
               "the labels.")],
          rows=["R002", "R004", "R005"])
def lost_share(answer, rng):
    r = int(rng.integers(5, 9))
    # Small numbers and large ones, and strengths that fall steeply: a share knows no units.
    for k, steep, size in ((int(rng.integers(2, r - 1)), 0, 1), *rng.permutation(
            [(1, 0, 1e4), (r, 0, 1), (0, 0, 1), (r - 1, 0, 1), (r - 1, 1, 1e-5), (r - 1, 1, 1e4),
             (r - 2, 1, 1e-4)])):
        k = int(k)
        s = np.sort(rng.uniform(0.5, 3, size=r))[::-1] if not steep else (
            np.geomspace(1, rng.uniform(0.02, 0.04), r))
        s = s * size
        squares = s**2
        case = f"k = {k} of {r} singular values"
        expect_close(answer.call("lost_share", s, k), squares[k:].sum() / squares.sum(), case=case,
                     atol=1e-6, mistakes={
                         "the singular values are not squared": s[k:].sum() / s.sum(),
                         "this is the share that is kept": squares[:k].sum() / squares.sum(),
                         "the sum is right, but it is not divided by the whole":
                             squares[k:].sum() if size == 1 else np.nan,
                         "one component too many is dropped": squares[max(k - 1, 0):].sum()
                         / squares.sum(),
                         "one component too few is dropped": squares[k + 1:].sum() / squares.sum(),
                         "it is divided by what is kept": squares[k:].sum()
                         / (squares[:k].sum() or 1),
                         "this is the root of the share": np.sqrt(
                             squares[k:].sum() / squares.sum())},
                     usually="what is summed is not the squares from index k on, or it is not "
                            "divided by the sum of all squares")


def _with_a_gap(m, n, k, rng, scale=1.0):
    """A random matrix whose k leading directions are clearly the leading ones, but not so clearly
    that a few steps of an iteration would find them."""
    while True:
        A = rng.normal(size=(m, n)) * scale
        s = np.linalg.svd(A, compute_uv=False)
        if k == len(s) or 1.1 < s[k - 1] / s[k] < 1.3:
            return A


@exercise("01.3", "Two factors", kind="implement", difficulty=2, minutes=10, points=3,
          names=["matrix_decomposition"],
          hints=["`np.linalg.svd` gives three things. Two factors are asked for: where does Σ go?",
                 "A_k = (U_k Σ_k) V_kᵀ. Σ may go to the left factor, to the right one, or half to "
                 "each.",
                 "U, s, Vt = np.linalg.svd(A, full_matrices=False); keep k columns of U, k values "
                 "of s, k rows of Vt; return two arrays"],
          followups=[
              ("Are the two factors unique?",
               "No. For any invertible k by k matrix M, (L M) (M⁻¹ R) is the same product. That is "
               "why topics of an SVD are hard to read, and why chapter 02 asks for more."),
              ("What does the SVD cost for an m by n matrix, and what if you need only k "
               "components?",
               "About m n min(m, n). The k leading components by iteration: about m n k a round, "
               "and for a sparse matrix only the entries that are not zero count.")],
          rows=["R001", "R086", "R110", "R094", "E30", "E32"])
def matrix_decomposition(answer, rng):
    products = {}
    for m, n, k, size in ((4, 7, 2, 1), (8, 5, 3, 10), *rng.permutation(
            [(5, 5, 5, 1), (6, 3, 1, 1), (4, 7, 2, 1e-4)])):
        m, n, k = int(m), int(n), int(k)
        A = _with_a_gap(m, n, k, rng, size)
        case = f"a {m} by {n} matrix, k = {k}"
        got = answer.call("matrix_decomposition", A, k)
        if isinstance(got, np.ndarray) and got.shape == (m, n):
            incorrect(f"{case}: this is one matrix, the product. Return the two factors, "
                      "`return L, R`.")
        L, R = expect_parts(got, 2, case=case, what="the left and the right factor")
        L = as_array(L, case=f"{case}, left factor", shape=(m, k))
        R = as_array(R, case=f"{case}, right factor", shape=(k, n))
        U, s, Vt = np.linalg.svd(A, full_matrices=False)
        earlier = products.get((m, n), np.full((m, n), np.nan))
        products[m, n] = (U[:, :k] * s[:k]) @ Vt[:k]
        expect_close(L @ R, products[m, n], case=f"{case}, the product L @ R", rtol=1e-4, mistakes={
                         "this belongs to an earlier matrix of that shape": earlier,
                         "the singular values were dropped": U[:, :k] @ Vt[:k],
                         "the singular values were used twice": (U[:, :k] * s[:k] ** 2) @ Vt[:k]},
                     usually="the factors do not belong to the k largest singular values")


@exercise("01.4", "Repair: a classifier with three bugs", kind="debug", difficulty=3, minutes=15,
          points=4, names=["lsa_features"],
          hints=["Print the shapes. Then ask: what does the function learn from the test rows, and "
                 "what happened to the singular values?",
                 "Features of old and new texts alike are X @ V_k, with V_k from the training "
                 "matrix alone.",
                 "Vt = np.linalg.svd(train, full_matrices=False)[2][:k]; "
                 "return train @ Vt.T, test @ Vt.T"],
          followups=[
              ("Why may the test rows not take part in the SVD?",
               "Then the features of the training texts depend on the test texts: the estimate no "
               "longer says how the classifier does on texts it has never seen. The gap may be "
               "small or large; you cannot know which."),
              ("Is it ever right to use unlabelled test texts?",
               "Yes, if at prediction time all of them are there at once (transductive learning), "
               "and if you say so.")],
          rows=["R063", "R089", "R113", "E24", "E25", "E28"])
def lsa_features(answer, rng):
    for m, test_rows, n, k in ((9, 4, 6, 2), (5, 8, 12, 3), (9, 4, 6, 2)):
        train = _with_a_gap(m, n, k, rng, np.geomspace(3, 1, n))
        test = rng.normal(size=(test_rows, n))
        case = f"{m} training and {test_rows} test texts of {n} terms, k = {k}"
        got = expect_parts(answer.call("lsa_features", train, test, k), 2, case=case,
                           what="features for train and for test")
        F = as_array(got[0], case=f"{case}: train", shape=(m, k))
        G = as_array(got[1], case=f"{case}: test", shape=(test_rows, k))
        U, s, Vt = np.linalg.svd(train, full_matrices=False)
        right_F, right_G = train @ Vt[:k].T, test @ Vt[:k].T
        both = np.linalg.svd(np.vstack([train, test]), full_matrices=False)[2][:k]
        own = np.linalg.svd(test, full_matrices=False)[2][:k]

        def gram(Z):  # signs, and turns within equal singular values, are free
            return Z @ Z.T

        if np.allclose(gram(F), gram(U[:, :k])):
            incorrect(f"{case}: the singular values are missing from the training features: every "
                      "direction counts the same.")
        if np.allclose(gram(F), gram(train @ both.T)):
            incorrect(f"{case}: the test texts took part in the SVD. Use the training matrix "
                      "alone.")
        expect_close(gram(F), gram(right_F),
                     case=f"{case}: inner products of the training features", rtol=1e-4,
                     usually="they are not the coordinates along the k leading directions")
        among = F.T @ F
        expect(np.abs(among - np.diag(np.diag(among))).max() < 1e-3 * among.max(), f"{case}: the "
               "features are coordinates along k other directions, which span the same space as "
               "the k leading ones. Along the right singular vectors themselves the inner product "
               "of two features, over the training texts, is zero.")
        if np.allclose(gram(G), gram(test @ own.T)):
            incorrect(f"{case}: the test texts got an SVD of their own, so their directions are "
                      "not those of the training texts.")
        expect_close(G @ F.T, right_G @ right_F.T,
                     case=f"{case}: inner products of test with training features", rtol=1e-4,
                     usually="the test texts are not projected on the directions of the training "
                             "texts")


choice(
    "01.5", "Why does it run?", kind="debug", difficulty=2, minutes=6, points=2, right="b",
    options={
        "a": "No array has three attributes that Python unpacks. Unpacking goes over the first "
             "axis.",
        "b": "Unpacking an array goes over its rows, and this one has exactly three. `U` is row 0 "
             "of the approximation. With four rows it would raise an error, which would have been "
             "kinder.",
        "c": "The function returns only the product: the three parts are gone when it ends. "
             "Nothing can recover them from it without a new SVD.",
        "d": "numpy never guesses which variables you meant. The number of rows decides.",
    },
    hints=["What does `a, b, c = x` do when x is an array?",
           "Try `a, b, c = np.arange(6).reshape(3, 2)` and print a.",
           "Now look at the number of rows of A."],
    followups=[("How would you have noticed?",
                "Print the shapes, or test with a matrix of another shape. A test with one small "
                "square example hides this kind of mistake."),
               ("Is k = 2 a compression of a 3 by 5 matrix?",
                "No: two factors hold 2 (3 + 5) = 16 numbers, and the matrix 15.")],
    rows=["R094", "E30", "E31"],
)


@exercise("01.6", "Predict: learning from coin tosses", kind="predict", difficulty=1, minutes=5,
          points=1, names=["answer_01_6"],
          hints=["What is there to learn in labels that were tossed with a coin?",
                 "100 rows, 50 features: how many labels can a linear classifier fit by chance?",
                 "On new rows, nothing can beat 1/2 in the long run. On its own rows it can "
                 "remember."],
          followups=[("What should be reported beside every accuracy?",
                      "On which rows it was measured, how they were split from the others, and "
                      "what the best constant answer would get.")],
          rows=["E28", "E29"])
def coin_tosses(answer, rng):
    guess = expect_parts(answer.value("answer_01_6"), 2, case="your prediction",
                         what="train and held-out accuracy, such as (0.5, 0.5)")
    expect_form(all(type(g) in (int, float) and 0 <= g <= 1 for g in guess),
                "predict two shares between 0 and 1, such as (0.5, 0.5)")
    train, held_out = guess
    expect(held_out <= 0.62, "the labels of new rows are coin tosses: no classifier gets more than "
           "about half of them right in the long run")
    expect(held_out >= 0.38, "worse than a coin on new rows? Then the opposite answer would be "
           "better than a coin, and nothing can be")
    expect(train >= 0.7, "on its own rows it does better than that: fifty features per row are "
           "enough to remember most of a hundred labels")
    return "It remembers its own rows and knows nothing about others."


@exercise("01.7", "A small search engine", kind="implement", difficulty=2, minutes=12, points=3,
          names=["recall_at_k"],
          hints=["For one question: how many documents score higher than the right one?",
                 "Cosine = inner product of rows scaled to length 1. A question is answered if its "
                 "document is among the k with the largest cosines.",
                 "scale rows of Q and D; scores = Q @ D.T; rank each row's documents; share of "
                 "rows whose right document is among the first k"],
          followups=[
              ("Why the cosine and not the inner product?",
               "A long document has a long vector, and would win for every question."),
              ("What does recall@k not tell you?",
               "Where among the k the document stands. The mean reciprocal rank does.")],
          rows=["R069", "R141"])
def recall_at_k(answer, rng):
    for questions, documents, k in ((397, 25, 3), *rng.permutation([(23, 45, 1), (41, 12, 5)])):
        Q, D, right, recall, mistakes = _searches(questions, documents, k, rng)
        case = f"{questions} questions, {documents} documents, k = {k}"
        got = as_array(answer.call("recall_at_k", Q, D, right, k), case=case, shape=())
        expect(got != 0, f"{case}: no question found its document, and {recall * questions:.0f} of "
               "them should. Are these the numbers of the documents with the highest cosines?")
        expect_close(got, recall, case=case, mistakes=mistakes, usually="scale every document to "
                     "length 1, order the documents of each question from the highest cosine down, "
                     "and see whether the right one is among the first k")


def _searches(questions, documents, k, rng):
    """Questions, documents of all lengths, the right ones, the recall, {mistake: its recall}."""
    while True:
        D = rng.normal(size=(documents, 6)) * rng.uniform(0.1, 10, size=(documents, 1))
        right = rng.integers(documents, size=questions)
        lengths = np.linalg.norm(D, axis=1)
        Q = D[right] / lengths[right][:, None] + 0.45 * rng.normal(size=(questions, 6))

        def found(scores, k=k, right=right):
            own = scores[np.arange(questions), right][:, None]
            return np.mean((scores > own).sum(axis=1) < k)

        products = Q @ D.T
        cosine = products / lengths / np.linalg.norm(Q, axis=1)[:, None]
        recall = found(cosine)
        mistakes = {
            "documents are ranked by the inner product: scale every row to length 1 first":
                found(products),
            "the k *worst* documents were taken": found(-cosine),
            "the number of questions was counted, not their share": recall * questions,
            "it is divided by the number of documents, not of questions":
                recall * questions / documents,
            "it looks at document i for question i: the right one is `right[i]`":
                found(cosine, right=np.arange(questions) % documents),
            "it is rounded": round(recall, 3),
            "one place too few is looked at": found(cosine, k - 1),
            "one place too many is looked at": found(cosine, k + 1),
            "only the document at place k is looked at":
                found(cosine) - found(cosine, k - 1) if k > 1 else 0}
        if recall not in mistakes.values() and recall > 0:
            told_apart = {m: v for m, v in mistakes.items()
                          if v and list(mistakes.values()).count(v) == 1}
            return Q, D, right, recall, told_apart


@exercise("01.8", "The break-even rank", kind="derive", difficulty=1, minutes=5, points=1,
          names=["break_even"],
          hints=["How many numbers do the two factors hold, U_k Σ_k and V_kᵀ, and how many the "
                 "matrix?",
                 "k (m + n) < m n.",
                 "the largest whole number below m n / (m + n); mind the case where it divides"],
          followups=[("Is rank 1,500 of a 4,096 by 4,096 weight matrix a compression?",
                      "Yes, but a small one: the break-even rank is 2,048. Rank 1,500 needs 73 % "
                      "of the numbers."),
                     ("And for a sparse matrix?",
                      "Compare with the entries that are not zero. The factors are dense, so a "
                      "sparse matrix is often smaller than its own low-rank form.")],
          rows=["R005", "E31"])
def break_even(answer, rng):
    def telling(condition):
        while True:
            m, n = rng.integers(1000, 5000, size=2).tolist()
            if condition(m, n):
                return m, n

    for m, n in (
        # counting the singular values as well would change the answer, and so would m for n
        telling(lambda m, n: (m * n - 1) // (m + n) != (m * n - 1) // (m + n + 1) and m > 1.3 * n),
        telling(lambda m, n: m * n % (m + n) == 0 and m != n),
        telling(lambda m, n: m * n % (m + n) == 1),
        telling(lambda m, n: m < n), (4, 4), (3, 5), (2, 2)):
        case, want = f"m = {m}, n = {n}", (m * n - 1) // (m + n)
        got = as_array(answer.call("break_even", m, n), case=case, shape=())
        expect_close(got, want, case=case, rtol=0, atol=1e-9, mistakes={
            "this is where both need equally many: fewer is asked for": m * n // (m + n)
            if m * n % (m + n) == 0 else np.nan,
            "this was not rounded down to a whole number": m * n / (m + n),
            "the singular values were counted as a third part: they are in one of the two factors":
                (m * n - 1) // (m + n + 1) if m * n % (m + n) > 1 else np.nan,
            "only the larger of the two factors was counted": (m * n - 1) // max(m, n),
            "only the smaller of the two factors was counted": (m * n - 1) // min(m, n),
            "this is the rank that the matrix can have, not the one at which two factors save":
                min(m, n)},
            usually=f"at the right k the two factors hold {want * (m + n)} numbers, and the matrix "
                    f"{m * n}; with one component more they would hold {(want + 1) * (m + n)}")
