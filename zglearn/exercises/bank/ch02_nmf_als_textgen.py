"""Chapter 02: non-negative factors, missing entries, and a generator of text."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_parts,
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
    for m, n, k, size in rng.permutation([(6, 5, 2, 1), (4, 9, 3, 1), (3, 7, 1, 1),
                                          (6, 5, 2, 0.01)]):  # in other units
        m, n, k = int(m), int(n), int(k)
        A, W, H = (rng.uniform(0.2, 2, size=shape) for shape in ((m, n), (m, k), (k, n)))
        A, H = A * size, H * size
        case = f"a {m} by {n} matrix, k = {k}"
        got = answer.call("kl_step", A, W, H)
        expect_close(got, _kl_step(A, W, H), case=case, atol=0, mistakes={
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
    for n, k, count, least in ((12, 3, 8, 0.1), *rng.permutation(
            [(9, 2, 4, 1), (5, 3, 1, 0.02), (6, 4, 0, 0.1), (12, 3, 8, 2)])):
        n, k, count = int(n), int(k), int(count)
        H, a, ridge = rng.normal(size=(k, n)), rng.normal(2, 2, size=n), rng.uniform(1, 4) * least
        known = np.zeros(n, dtype=bool)
        known[rng.choice(n, count, replace=False)] = True
        if count > 1:
            a[np.flatnonzero(known)[:2]] = [0, -2.5]  # known all the same
        ratings = np.where(known, a, np.nan)
        case = f"{count} of {n} ratings known, k = {k}, ridge = {ridge:.3g}"
        got = as_array(answer.call("fit_viewer", ratings, H, ridge), case=case, shape=(k,),
                       nan="Unknown ratings are nan in `ratings`, and so is every sum with one.")

        def fitted(films, ridge=ridge, H=H, a=a):
            K, known = H[:, films], np.where(films, a, 0)
            return np.linalg.pinv(K @ K.T + ridge * np.eye(len(H))) @ H @ known

        everyone = H @ H.T + ridge * np.eye(k)
        expect_close(got, fitted(known), case=case, rtol=1e-4, mistakes={
            "unknown ratings are taken for zeros, or the sum of h hᵀ runs over all films":
                np.linalg.solve(everyone, H @ np.where(known, a, 0)),
            "the ridge is multiplied by the number of ratings": fitted(known, count * ridge),
            "the ridge is missing": fitted(known, 0),
            "the ridge is squared": fitted(known, ridge**2),
            "films with the rating 0 are taken for unknown": fitted(known & (a != 0)),
            "films with the rating 0 or less are taken for unknown": fitted(known & (a > 0)),
            }, usually="it is a ridge regression of the known ratings on the columns of H; with no "
                       "rating at all, only λ‖w‖² is left")


LETTERS = "山水花月风云鸟雨a"


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
    for _ in range(rng.integers(2, 4)):
        sentences, tables = _telling_sentences(rng)
        case = f"the sentences {', '.join(map(repr, map(str, sentences)))}"
        characters, P = expect_parts(answer.call("bigram_table", sentences), 2, case=case,
                                     what="the characters and the table")
        if isinstance(characters, set | dict):
            incorrect(f"{case}: the characters came as a {type(characters).__name__}. A list is "
                      "wanted: its order says which row and which column belong to a character.")
        characters = characters.tolist() if isinstance(characters, np.ndarray) else characters
        known = sorted(set("".join(sentences)))
        expect(isinstance(characters, list | tuple | str) and all(
            isinstance(c, str) for c in characters), f"{case}: the first result should be a list "
            "of characters.")
        expect(sorted(characters) == known, f"{case}: the first result should name each different "
               f"character once, the space too, and `A` beside `a`: {len(known)} of them, and here "
               f"are {len(characters)}.")
        P = as_array(P, case=case, shape=(len(known), len(known)), nan="Nothing follows 。, so the "
                     "sum of its row is zero: leave such a row at zero.")
        right, *wrong = (table(list(characters)) for table in tables.values())
        _, *mistakes = tables
        expect_close(P, right, case=case, mistakes=dict(zip(mistakes, wrong, strict=True)),
                     usually="count pairs of neighbours within each sentence, then divide each row "
                             "by its sum; a row without any pair stays zero")


def _telling_sentences(rng):
    """Sentences, and {mistake: its table}, the right table first, of which no two are equal."""
    while True:
        rare, *letters = rng.choice(list(LETTERS), size=rng.integers(6, 9), replace=False)
        sentences = ["".join(rng.choice(letters, size=rng.integers(4, 8)))
                     for _ in range(rng.integers(2, 5))]
        sentences[0] += " A。"  # nothing ever follows the last one
        again, run = sentences[0], letters[0] * 3 + letters[1]
        sentences = rng.permutation([*sentences, again, run, rare + letters[0]]).tolist()
        sentences += letters[-1:]  # which holds no pair
        tables = _tables(sentences)
        made = [table(sorted(set("".join(sentences)))) for table in tables.values()]
        if not any(np.allclose(made[i], made[j]) for i in range(len(made)) for j in range(i)):
            return sentences, tables


def _tables(sentences):
    joined = "".join(sentences)
    distinct = list(dict.fromkeys(sentences))

    def pairs(text):
        return list(zip(text, text[1:], strict=False))

    within = [pair for s in sentences for pair in pairs(s)]
    not_overlapping = [(a, b) for s in sentences for a, b in set(pairs(s))
                       for _ in range(s.count(a + b))]
    turned = [(b, a) for a, b in within]

    def counts(pairs, letters):
        C = np.zeros((len(letters), len(letters)))
        for a, b in pairs:
            C[letters.index(a), letters.index(b)] += 1
        return C

    def shares(pairs, axis=1):
        def table(letters):
            C = counts(pairs, letters)
            return C / np.maximum(C.sum(axis=axis, keepdims=True), 1)
        return table

    return {
        "": shares(within),
        "these are counts: divide each row by its sum": lambda letters: counts(within, letters),
        "the last character of a sentence is followed by the first of the next: no pair goes from "
        "one sentence into another": shares(pairs(joined)),
        "rows and columns are exchanged: row i is what comes *after* character i":
            lambda letters: shares(within)(letters).T,
        "two things are wrong: pairs run from one sentence into the next, and row i holds what "
        "comes *before* character i": shares([(b, a) for a, b in pairs(joined)]),
        "the columns are divided by their sums, not the rows": shares(within, axis=0),
        "the pairs are turned round: row i should hold what comes after i": shares(turned),
        "each pair is counted once, however often it comes": shares(list(set(within))),
        "each pair is counted once a sentence, however often it comes there":
            shares([pair for s in sentences for pair in set(pairs(s))]),
        "a sentence that comes twice is counted once":
            shares([pair for s in distinct for pair in pairs(s)]),
        "of three equal characters in a row only one pair is counted; there are two":
            shares(not_overlapping),
        "it is divided by how often a character comes, not by how often something follows it":
            lambda letters: counts(within, letters) / np.array(
                [[joined.count(letter)] for letter in letters]),
        "it is divided by the sum of the whole table, not row by row":
            lambda letters: counts(within, letters) / len(within),
    }


choice(
    "02.5", "Predict: a model in disguise", kind="predict", difficulty=2, minutes=5, points=1,
    right="b",
    options={
        "a": "Uniform would be right if nothing could be learned at all. But one class can learn "
             "how frequent each word is.",
        "b": "The unigram model: one row, the frequencies of the words.",
        "c": "A bigram table needs rows that differ. With one class all rows are multiples of one "
             "row.",
        "d": "The model sees pairs only: of three words in a row it knows nothing.",
    },
    hints=["With one class, what does word i choose, and how much does the next word then know of "
           "word i?",
           "P(j|i) = P(c=1|i) P(j|c=1) with a single class: the first factor is 1.",
           "So every row of the table is the same. Which distribution maximises the likelihood of "
           "all pairs?"],
    followups=[
        ("Where does an optimizer use this factorization?",
         "Adafactor (chapter 10). Adam keeps a second moment for each entry of a weight matrix; "
         "Adafactor keeps its row sums and column sums, and takes their product over the total: "
         "KL-NMF with k = 1, which has this closed form."),
        ("And with k = V, as many classes as words?",
         "Then the model can hold the whole table: it becomes the unsmoothed bigram model, which "
         "gives unseen pairs no probability."),
        ("So what is k?",
         "A dial between the two, from too stiff to learned by heart: a kind of smoothing.")],
    rows=["R064", "R003"],
)


def _anchors(n, d, noise, rng):
    """X and Y for which the best orthogonal Q is a rotation: Procrustes and Kabsch agree."""
    while True:
        X, Q = rng.normal(size=(n, d)), np.linalg.qr(rng.normal(size=(d, d)))[0]
        Q[:, 0] *= rng.choice([-1, 1])  # else the sign of det Q depends on d alone
        Y = 1.7 * X @ Q + noise * rng.normal(size=(n, d))
        s = np.linalg.svd(X.T @ Y, compute_uv=False)
        if np.linalg.det(X.T @ Y) > 0 and s[-1] > 0.03 * s[0]:
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
    for n, d, noise in ((12, 5, 0.3), (30, 4, 0.0), (12, 5, 0.3),
                        (9, 2, 0.5))[::rng.choice([-1, 1])]:
        X, Y = _anchors(n, d, noise, rng)
        case = f"{n} anchors in {d} dimensions" + (", with noise" if noise else "")
        middle = np.linalg.svd((X - X.mean(axis=0)).T @ (Y - Y.mean(axis=0)))
        U, s, Vt = np.linalg.svd(X.T @ Y)
        got = as_array(answer.call("rotation", X, Y), case=case, shape=(d, d))
        expect_close(got, U @ Vt, case=case, rtol=1e-4, mistakes={
            "this is the least-squares map: it stretches": np.linalg.lstsq(X, Y, rcond=None)[0],
            "this turns Y onto X: the transpose is wanted": Vt.T @ U.T,
            "the singular values are still inside: it is XᵀY, not its rotation": (U * s) @ Vt,
            "the factors of the SVD are multiplied as U V; numpy already returns Vᵀ": U @ Vt.T,
            "X and Y were moved to the origin first; a move is not asked for": middle[0] @ middle[2]
            }, usually="compare ‖XQ − Y‖ for yours and for other orthogonal matrices: which sides "
                       "of XᵀY belong to X, and which to Y?")


def _about_a_theme(sentences, terms, n, rng, rival):
    """Counts (sentences, terms), the weights in the first component, and {mistake: its sentences}.
    Two long asides see to it that neither the longest nor the heaviest rows are the right ones, nor
    those of a `rival`, another score that is often as good."""
    while True:
        theme, aside = np.zeros(terms), np.zeros(terms)
        theme[:terms // 3 + 1] = rng.uniform(2, 4, size=terms // 3 + 1)
        aside[terms // 3 + 1:] = rng.uniform(0, 4, size=terms - terms // 3 - 1)
        counts = rng.poisson(0.1, size=(sentences, terms)) + np.rint(
            rng.permutation(np.linspace(0, 1.5, sentences))[:, None] * theme)
        counts[rng.choice(sentences, 2, replace=False)] += np.rint(
            rng.uniform(0.8, 1.5, size=(2, 1)) * aside)
        U, s, Vt = np.linalg.svd(counts)
        scores = np.abs(U[:, 0])
        ranked = np.sort(scores)[::-1]
        length = np.linalg.norm(counts, axis=1)
        rows = counts / np.maximum(length, 1)[:, None]
        frequent = np.argsort(-counts.sum(axis=0), kind="stable")
        rivals = {"alike": [],
                  "angle": [np.abs(rows @ Vt[0]), np.abs(np.linalg.svd(rows)[0][:, 0])],
                  "terms": [counts[:, frequent[0]], counts[:, frequent[:terms // 3]].sum(axis=1),
                            np.linalg.norm(U[:, :2] * s[:2], axis=1)]}[rival]
        others = {
            "these are the longest sentences: a long one may be about something else":
                counts.sum(axis=1),
            "these are the rows of greatest length: a long one may be about something else":
                length,
            "these are the sentences of the largest weights in the second component":
                np.abs(U[:, 1]),
            "these are the sentences of the smallest weights": -scores,
            "these are simply the first sentences": -np.arange(sentences),
            "these are simply the last sentences": np.arange(sentences),
        }
        if rival == "alike":
            others["these are the sentences most alike to all the others, and the strongest "
                   "component is not yet found by that"] = (counts @ counts.T).sum(axis=1)
        best, *mistakes = (_highest(n, values).tolist() for values in (scores, *others.values()))
        told_apart = best not in mistakes + [_highest(n, values).tolist() for values in rivals]
        by_score = np.diff(np.argsort(-scores)[:n])
        unsorted = (by_score < 0).any() and (n == 2 or (by_score > 0).any())
        if ranked[n - 1] > ranked[n] + 0.02 and s[0] > 1.1 * s[1] and told_apart and unsorted:
            named = {name: made for name, made in zip(others, mistakes, strict=True)
                     if mistakes.count(made) == 1}
            return counts[:, rng.permutation(terms)], np.array(best), named


def _highest(n, values):
    return np.sort(np.argsort(-values, kind="stable")[:n])


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
    # The sign of NumPy's U[:, 0] is another one for (8, 12) than for (7, 30).
    cases = [(7, 30, 3, "alike"), (8, 12, 2, "terms"), (9, 6, 4, "angle")]
    for sentences, terms, n, rival in (cases[i] for i in rng.permutation(3)):
        counts, best, mistakes = _about_a_theme(sentences, terms, n, rng, rival)
        case = f"{sentences} sentences, {terms} terms, n = {n}"
        got = as_array(answer.call("summary", counts, n), case=case, shape=(n,)).tolist()
        if sorted(got) == best.tolist() != got:
            incorrect(f"{case}: the right sentences, but not in the order of the text: sort them.")
        if n > 1 and got == (best + 1).tolist():
            incorrect(f"{case}: the sentences are counted from 0 here.")
        expect_close(got, best, case=case, mistakes=mistakes, usually="look at the weights of the "
                     "sentences in the strongest component; mind that their sign is arbitrary")


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
    for T in rng.permutation([1.0, rng.uniform(0.3, 0.7), rng.uniform(1.6, 3), 20.0, 0.01]):
        words = rng.integers(4, 9) if T > 0.1 else 2200  # so many that p ** (1 / T) underflows
        p = rng.dirichlet(np.full(words, 500 if T < 0.1 else 1))
        p[rng.integers(words)] = 10 ** rng.uniform(-25, -8)  # hardly possible, and not impossible
        p /= p.sum()
        impossible = np.sort(rng.choice(words + 2, 2, replace=False))
        p = np.insert(p, impossible - [0, 1], 0.0)
        case = f"T = {T:.3g}, {len(p)} words"
        q = (p / p.max()) ** (1 / T)
        q = q / q.sum()
        with np.errstate(all="ignore"):
            upside, unscaled = p**T / (p**T).sum(), p ** (1 / T)
            softmax = np.exp(p / T) / np.exp(p / T).sum()
        got = as_array(answer.call("tempered", p, T), case=case, shape=p.shape, nan="Two places to "
                       "look at: a word of probability zero (0/0, or the logarithm of 0), and "
                       "powers that all become zero at a low temperature.")
        expect(T == 1 or not np.allclose(got, p, atol=1e-9), f"{case}: p came back as it was: the "
               "temperature makes no difference.")
        expect_close(got, q, case=case, rtol=1e-4, mistakes={
            "the temperature is upside down: a low one should make likely words likelier": upside,
            "the result is not divided by its sum": unscaled,
            "the softmax is taken of the probabilities; it belongs to their logarithms": softmax},
            usually="the logarithms are divided by T, and the result sums to 1; a word of "
                    "probability zero stays impossible")
        left = np.abs(got[p == 0]).max()
        expect(left == 0, f"{case}: a word of probability zero now has {left:.2g}. What is "
               "impossible must stay so: a small number in place of the zero becomes large at a "
               "high temperature.")
