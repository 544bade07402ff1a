"""Chapter 02: non-negative factors, missing entries, and a generator of text."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect_close,
    expect_form,
    incorrect,
)

choice(
    "02.1", "What kind of thing is it?", difficulty=1, minutes=4, points=1, right="c",
    options={
        "a": "Nothing is searched at random, and no evaluation is compared with another. The "
             "multiplications are computed from A, W and H in one formula.",
        "b": "The SVD solves one special case: squared error, nothing missing, no sign constraint. "
             "Take one of the three away and it no longer answers the question.",
        "c": "A model with a loss. The SVD solves it in closed form where it can, ALS by "
             "regressions, gradient descent by gradients, and NMF's multiplications are gradient "
             "steps with a rate for each entry.",
        "d": "Factors are parameters of a model of *one matrix*. They may take part in another "
             "model (as features, or in place of a weight matrix), but they do not train it.",
    },
    hints=["Ask of each sentence: what is the problem, and what is the method that solves it?",
           "In the chapter three methods end at the same error on the same matrix.",
           "What is left of the word \"method\" if SVD, ALS and gradient descent all fit?"],
    followups=[
        ("Is NMF by multiplicative updates gradient-free?",
         "No. H ∘ (WᵀA)/(WᵀWH) is H minus (H / WᵀWH) times the gradient: gradient descent with a "
         "learning rate for each entry (Lee and Seung 2001 say so themselves)."),
        ("A colleague wants to train a language model by matrix factorization. What can you "
         "offer?",
         "A bigram model of low rank by KL-NMF, which is EM for an aggregate Markov model; it is "
         "valid, small, and worse than a smoothed table. Word vectors from PPMI. Not a "
         "transformer.")],
    rows=["R001", "R004", "E02"],
)


def _kl_step(A, W, H):
    return H * (W.T @ (A / (W @ H))) / W.sum(axis=0)[:, None]


@exercise("02.2", "A step that is a multiplication", kind="derive", difficulty=3, minutes=15,
          points=3, names=["kl_step"],
          hints=["Write the gradient of the loss in H as the difference of two parts that are "
                 "both positive.",
                 "The gradient is Wᵀ1 − Wᵀ(A / WH). With the learning rate H / Wᵀ1, entry by "
                 "entry, the first part cancels.",
                 "H * (W.T @ (A / (W @ H))) / (the column sums of W, as a column)"],
          followups=[
              ("Why can an entry that is zero never become positive again?",
               "It is multiplied. So start from positive numbers, and expect entries that died "
               "early to stay dead."),
              ("Where does the rule stand still?",
               "Where H = 0 or the ratio is 1, that is where the gradient is zero. It may also "
               "stall near a boundary, and it only finds a local minimum."),
              ("What is this rule on a table of word pairs?",
               "The EM algorithm of the model P(j|i) = Σ P(c|i) P(j|c): the ratio shares each "
               "count out among the classes, the multiplication adds the shares up.")],
          rows=["R003", "R064", "E02"])
def kl_step(answer, rng):
    for m, n, k in ((6, 5, 2), (4, 9, 3)):
        A, W, H = (rng.uniform(0.2, 2, size=shape) for shape in ((m, n), (m, k), (k, n)))
        case = f"a {m} by {n} matrix, k = {k}"
        got = answer.call("kl_step", A, W, H)
        expect_close(got, _kl_step(A, W, H), case=case, mistakes={
            "this is the rule for the squared error": H * (W.T @ A) / (W.T @ W @ H),
            "the division by the column sums of W is missing": H * (W.T @ (A / (W @ H))),
            "the ratio is upside down: where too little is predicted, H must grow":
                H * (W.T @ ((W @ H) / A)) / W.sum(axis=0)[:, None],
            "the old H is missing: the rule multiplies it":
                W.T @ (A / (W @ H)) / W.sum(axis=0)[:, None]},
            usually="divide row c of Wᵀ(A / WH) by the sum of column c of W, and multiply by H")


@exercise("02.3", "One viewer's tastes", kind="implement", difficulty=2, minutes=12, points=3,
          names=["fit_viewer"],
          hints=["Which rows of H take part? Only those of films that this viewer has rated.",
                 "w = (Σ h hᵀ + λ I)⁻¹ Σ a h, both sums over the known entries.",
                 "K = H[:, known]; return np.linalg.solve(K @ K.T + ridge * np.eye(k), "
                 "K @ ratings[known])"],
          followups=[
              ("What does the ridge do for a viewer with one rating?",
               "Without it the equations have no unique solution. With it the answer is the "
               "shortest w that goes some way towards the rating."),
              ("Why may the unknown entries not be filled with zeros?",
               "Then the fit is asked to predict zeros, and most entries are unknown. It predicts "
               "them."),
              ("How would you choose k and the ridge?",
               "By the error on known entries that were hidden from the fit, and report on others "
               "again.")],
          rows=["R076", "R004"])
def fit_viewer(answer, rng):
    for n, k, missing in ((12, 3, 4), (9, 2, 5), (5, 3, 4)):
        H, a, ridge = rng.normal(size=(k, n)), rng.normal(3, 1, size=n), rng.uniform(0.1, 1)
        known = np.ones(n, dtype=bool)
        known[rng.choice(n, missing, replace=False)] = False
        ratings = np.where(known, a, np.nan)
        case = f"{known.sum()} of {n} ratings known, k = {k}"
        K, eye = H[:, known], np.eye(k)
        got = answer.call("fit_viewer", ratings, H, ridge)
        got = np.asarray(got, dtype=float) if got is not None else got
        if got is not None and got.shape == (k,) and np.isnan(got).any():
            incorrect(f"{case}: the result is nan. Unknown ratings are nan in `ratings`: leave "
                      "them out before anything is summed.")
        mistakes = {
            "unknown ratings are taken for zeros, or the sum of h hᵀ runs over all films":
                np.linalg.solve(H @ H.T + ridge * eye, K @ a[known]),
            "the ridge is multiplied by the number of ratings":
                np.linalg.solve(K @ K.T + ridge * known.sum() * eye, K @ a[known])}
        if known.sum() >= k:
            mistakes["the ridge is missing"] = np.linalg.solve(K @ K.T, K @ a[known])
        else:
            mistakes["the ridge is missing"] = np.linalg.lstsq(K.T, a[known], rcond=None)[0]
        expect_close(got, np.linalg.solve(K @ K.T + ridge * eye, K @ a[known]), case=case,
                     rtol=1e-4, mistakes=mistakes, usually="it is a ridge regression of the known "
                                                           "ratings on the columns of H")


LETTERS = "山水花月风云鸟雨"


@exercise("02.4", "Repair: a generator that eats strings", kind="debug", difficulty=2, minutes=12,
          points=3, names=["bigram_table"],
          hints=["What are the rows and columns of a bigram table, and what is in a cell? Then ask "
                 "which pairs a sentence holds, and which it does not.",
                 "C[i, j] counts how often character j stands right after character i in the same "
                 "sentence; P[i, j] = C[i, j] / Σ_j C[i, j].",
                 "characters = sorted(set(\"\".join(sentences))); loop over the sentences and over "
                 "zip(s, s[1:]); divide each row by its sum, where that is not zero"],
          followups=[
              ("Which row has no sum, and what should the generator do there?",
               "The row of a character that only ends sentences. Stop there, or draw from the "
               "frequencies of all characters."),
              ("Why characters for Chinese, and words for English?",
               "There are no spaces between Chinese words, and a character carries much of a "
               "word. A few thousand characters are a small vocabulary."),
              ("What does a factorization of this table add?",
               "Unseen pairs get a probability, from characters that are used alike; and there "
               "are fewer numbers. With three sentences there is nothing to learn from.")],
          rows=["R093", "R117", "R064", "E36", "E33"])
def bigram_table(answer, rng):
    for _ in range(2):
        sentences = ["".join(rng.choice(list(LETTERS), size=rng.integers(4, 8)))
                     for _ in range(4)]
        sentences[rng.integers(4)] += "。"  # nothing ever follows it
        case = f"the sentences {', '.join(sentences)}"
        got = answer.call("bigram_table", sentences)
        if not isinstance(got, list | tuple) or len(got) != 2:
            incorrect(f"{case}: expected two things, the characters and the table.")
        characters = list(got[0])
        known = sorted(set("".join(sentences)))
        if not all(isinstance(c, str) for c in characters) or sorted(characters) != known:
            incorrect(f"{case}: the first result should name each different character once, "
                      f"{len(known)} of them.")
        if np.isnan(np.asarray(got[1], dtype=float)).any():
            incorrect(f"{case}: the table holds nan. Nothing follows 。, so the sum of its row is "
                      "zero: leave such a row at zero.")
        P = as_array(got[1], case=case, shape=(len(known), len(known)))
        index = {c: i for i, c in enumerate(characters)}

        def table(pairs, index=index, rows=True):
            C = np.zeros((len(index), len(index)))
            for a, b in pairs:
                C[index[a], index[b]] += 1
            totals = C.sum(axis=1 if rows else 0, keepdims=True)
            return C, C / np.where(totals > 0, totals, 1)

        pairs = [pair for s in sentences for pair in zip(s, s[1:], strict=False)]
        joined = "".join(sentences)
        C, right = table(pairs)
        expect_close(P, right, case=case, mistakes={
            "these are counts: divide each row by its sum": C,
            "the last character of a sentence is followed by the first of the next: no pair goes "
            "from one sentence into another": table(zip(joined, joined[1:], strict=False))[1],
            "rows and columns are exchanged: row i is what comes *after* character i": right.T,
            "two things are wrong: pairs run from one sentence into the next, and row i holds what "
            "comes *before* character i":
                table([(b, a) for a, b in zip(joined, joined[1:], strict=False)])[1],
            "the columns are divided by their sums, not the rows": table(pairs, rows=False)[1],
            "the pairs are turned round: row i should hold what comes after i":
                table([(b, a) for a, b in pairs])[1]},
            usually="count pairs of neighbours within each sentence, then divide each row by its "
                    "sum; a row without any pair stays zero")


@exercise("02.5", "Predict: a model in disguise", kind="predict", difficulty=2, minutes=5, points=1,
          names=["answer_02_5"],
          hints=["With one class, what does word i choose, and how much does the next word then "
                 "know of word i?",
                 "P(j|i) = P(c=1|i) P(j|c=1) with a single class: the first factor is 1.",
                 "So every row of the table is the same. Which distribution maximises the "
                 "likelihood of all pairs?"],
          followups=[
              ("Where does an optimizer use this factorization?",
               "Adafactor (chapter 10). Adam keeps a second moment for each entry of a weight "
               "matrix; Adafactor keeps its row sums and column sums, and takes their product over "
               "the total: KL-NMF with k = 1, which has this closed form."),
              ("And with k = V, as many classes as words?",
               "Then the model can hold the whole table: it becomes the unsmoothed bigram model, "
               "which gives unseen pairs no probability."),
              ("So what is k?",
               "A dial between the two, from too stiff to learned by heart: a kind of "
               "smoothing.")],
          rows=["R064", "R003"])
def disguise(answer, rng):
    guess = answer.value("answer_02_5")
    expect_form(isinstance(guess, str), 'answer with a letter, such as "a"')
    letter = guess.strip().lower()[:1]
    expect_form(letter in set("abcd"), "answer with one of the letters a, b, c, d")
    if letter == "a":
        incorrect("uniform would be right if nothing could be learned at all. But one class can "
                  "learn how frequent each word is.")
    if letter == "c":
        incorrect("a bigram table needs rows that differ. With one class all rows are multiples "
                  "of one row.")
    if letter == "d":
        incorrect("the model sees pairs only: of three words in a row it knows nothing.")
    return "The unigram model: one row, the frequencies of the words."


def _anchors(n, d, noise, rng):
    """X and Y for which the best orthogonal Q is a rotation: Procrustes and Kabsch agree."""
    while True:
        X, Q = rng.normal(size=(n, d)), np.linalg.qr(rng.normal(size=(d, d)))[0]
        Q[:, 0] *= rng.choice([-1, 1])  # else the sign of det Q depends on d alone
        Y = 1.7 * X @ Q + noise * rng.normal(size=(n, d))
        if np.linalg.det(X.T @ Y) > 0:
            return X, Y


@exercise("02.6", "A translator", kind="implement", difficulty=2, minutes=10, points=3,
          names=["rotation"],
          hints=["‖XQ − Y‖² = ‖X‖² + ‖Y‖² − 2 tr(Qᵀ Xᵀ Y). Which Q makes the trace large?",
                 "With XᵀY = U Σ Vᵀ, the trace is largest for Q = U Vᵀ.",
                 "U, _, Vt = np.linalg.svd(X.T @ Y); return U @ Vt"],
          followups=[
              ("Why drop Σ?",
               "With it, Q would stretch; a rotation (or reflection) keeps lengths and angles, so "
               "that nearness means the same before and after."),
              ("Where do you meet U Vᵀ again?",
               "It is the polar factor of XᵀY, the nearest orthogonal matrix. Muon (chapter 10) "
               "takes the polar factor of each update, by a few products in place of the SVD."),
              ("What if Q must turn and may not mirror?",
               "Where det(U Vᵀ) = −1, give the last column of U the other sign (Kabsch 1976): it "
               "belongs to the smallest singular value, so that costs least."),
              ("When is least squares the better choice?",
               "With many anchors, and when the two spaces differ by more than a rotation."),
              ("How would you do without any anchors?",
               "Start from words spelled alike, or numerals; align, take the words that are each "
               "other's nearest as new anchors, and repeat.")],
          rows=["R072"])
def rotation(answer, rng):
    for n, d, noise in ((30, 4, 0.0), (12, 5, 0.3)):
        X, Y = _anchors(n, d, noise, rng)
        case = f"{n} anchors in {d} dimensions" + (", with noise" if noise else "")
        U, s, Vt = np.linalg.svd(X.T @ Y)
        got = as_array(answer.call("rotation", X, Y), case=case, shape=(d, d))
        expect_close(got, U @ Vt, case=case, rtol=1e-4, mistakes={
            "this is the least-squares map: it stretches": np.linalg.lstsq(X, Y, rcond=None)[0],
            "this turns Y onto X: the transpose is wanted": Vt.T @ U.T,
            "the singular values are still inside: it is XᵀY, not its rotation": (U * s) @ Vt,
            "Vᵀ was transposed once more; numpy already returns Vᵀ": U @ Vt.T},
            usually="the product of the U and Vᵀ of XᵀY")


def _about_a_theme(sentences, n, rng):
    """Counts (sentences, terms), the weights in the first component, and the n longest sentences.
    A long aside sees to it that neither they nor the n rows of largest norm are the right ones."""
    while True:
        theme = np.concatenate([rng.uniform(2, 4, size=5), np.zeros(25)])
        counts = rng.poisson(0.1, size=(sentences, 30)) + np.rint(
            rng.permutation(np.linspace(0, 1.5, sentences))[:, None] * theme)
        counts[rng.integers(sentences), 5:] += rng.integers(1, 3)
        U, s, _ = np.linalg.svd(counts)
        scores = U[:, 0] * rng.choice([-1, 1])
        ranked, longest = np.sort(np.abs(scores))[::-1], np.sort(
            np.argsort(-counts.sum(axis=1), kind="stable")[:n])
        best = np.sort(np.argsort(-np.abs(scores))[:n])
        heaviest = np.sort(np.argsort(-np.linalg.norm(counts, axis=1), kind="stable")[:n])
        clear = ranked[n - 1] > ranked[n] + 0.02 and s[0] > 1.1 * s[1]
        if clear and not any(np.array_equal(best, other)
                             for other in (longest, heaviest, np.arange(n))):
            return counts, scores, longest


@exercise("02.7", "Three sentences for a text", kind="implement", difficulty=2, minutes=12,
          points=3, names=["summary"],
          hints=["The strongest component of the SVD is the main theme. How much of it does a "
                 "sentence have?",
                 "The score of sentence i is |U[i, 0]|: its weight in the first component. Take "
                 "the n highest, in the order of the text.",
                 "U = np.linalg.svd(counts, full_matrices=False)[0]; "
                 "return sorted(np.argsort(-np.abs(U[:, 0]))[:n])"],
          followups=[
              ("Why the absolute value?",
               "The sign of a component is arbitrary: U and V may both be turned round."),
              ("Long sentences win. What can you do?",
               "Scale the rows to length 1, or use TF-IDF instead of counts."),
              ("What can such a summary never do?",
               "Say anything in new words, or know whether a chosen sentence makes sense without "
               "the one before. It is extractive.")],
          rows=["R068"])
def summary(answer, rng):
    for sentences, n in ((7, 3), (9, 2)):
        counts, scores, longest = _about_a_theme(sentences, n, rng)
        best = np.argsort(-np.abs(scores))[:n]
        case = f"{sentences} sentences, n = {n}"
        got = answer.call("summary", counts, n)
        got = as_array(got, case=case, shape=(n,)).tolist()
        if sorted(got) == sorted(best.tolist()) and got != sorted(got):
            incorrect(f"{case}: the right sentences, but not in the order of the text: sort them.")
        if got == sorted((best + 1).tolist()):
            incorrect(f"{case}: the sentences are counted from 0 here.")
        expect_close(got, np.sort(best), case=case, mistakes={
            "the longest sentences were taken: a long one may be about something else": longest,
            "the lowest scores were taken; the highest are wanted":
                np.sort(np.argsort(np.abs(scores))[:n]),
            "these are simply the first sentences": np.arange(n)},
            usually="look at the weights of the sentences in the strongest component; mind that "
                    "their sign is arbitrary")


@exercise("02.8", "A thermostat for text", kind="implement", difficulty=1, minutes=8, points=2,
          names=["tempered"],
          hints=["Temperature divides the logarithms of the probabilities. What is that, without "
                 "logarithms?",
                 "p_i^(1/T) / Σ p_j^(1/T).",
                 "q = p ** (1 / T); return q / q.sum(). For a small T, divide p by its maximum "
                 "first, so that not everything becomes zero."],
          followups=[
              ("What happens as T goes to 0, and as it grows without end?",
               "All probability goes to the most likely word (greedy text, which soon repeats "
               "itself); all words that are possible at all become equally likely."),
              ("Does a temperature below 1 make the model better?",
               "It makes the text safer, and the perplexity worse: the model's own probabilities "
               "are the best guess that it has. (Unless they are badly calibrated.)"),
              ("Why compute it in logarithms for real models?",
               "p ** (1/T) underflows for small p and T; logits / T with the maximum subtracted "
               "does not.")],
          rows=["R065", "R117"])
def tempered(answer, rng):
    for T in (1.0, 0.5, 2.0, 20.0, 0.01):
        words = 5 if T > 0.1 else 5000  # so many that p ** (1 / T) underflows
        p = np.append(rng.dirichlet(np.full(words, 50 if T < 0.1 else 1)), 0.0)
        case = f"T = {T}, {words + 1} words"
        q = (p / p.max()) ** (1 / T)
        q = q / q.sum()
        with np.errstate(all="ignore"):
            upside, unscaled = p**T / (p**T).sum(), p ** (1 / T)
            softmax = np.exp(p / T) / np.exp(p / T).sum()
        got = answer.call("tempered", p, T)
        if got is not None and np.isnan(np.asarray(got, dtype=float)).any():
            incorrect(f"{case}: the result holds nan. Either the logarithm of 0 got in, or p^(1/T) "
                      "became zero everywhere: divide p by its maximum first.")
        expect_close(got, q, case=case, rtol=1e-4, mistakes={
            "the temperature is upside down: a low one should make likely words likelier": upside,
            "the result is not divided by its sum": unscaled,
            "the softmax is taken of the probabilities; it belongs to their logarithms": softmax,
            "the temperature is not used": p},
            usually="the logarithms are divided by T, and the result sums to 1; a word of "
                    "probability zero stays impossible")
        if np.ravel(got)[-1] != 0:
            incorrect(f"{case}: the last word has probability zero, and now "
                      f"{np.ravel(got)[-1]:.2g}. What is impossible must stay so: a small number "
                      "in place of the zero becomes large at a high temperature.")
