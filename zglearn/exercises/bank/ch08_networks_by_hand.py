"""Chapter 08: backpropagation and the transformer."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect_close,
    expect_parts,
)

choice(
    "08.1", "Which rows stand still?", difficulty=1, minutes=4, points=1, right="b",
    options={
        "a": "A column of U takes part in every softmax: where its symbol is not the answer, it is "
             "pushed down by its probability. That is small, but it is never zero.",
        "b": "A row of E is read only where its symbol stands, and the chain rule goes only where "
             "something was read. U gives every symbol a score at every position, and the inner "
             "matrices work at every position.",
        "c": "E is a table: one row is read for each symbol of the batch. What of the rows that "
             "nobody reads?",
        "d": "The inner matrices multiply the state at every position, whichever symbol stands "
             "there.",
    },
    hints=["Follow one symbol that is not in the batch: where do its numbers enter the loss?",
           "H = E[x] reads rows; the logits are H U + c, for all symbols at once.",
           "∇U = Hᵀ (softmax − one-hot). Is a column of softmax − one-hot ever all zero?"],
    followups=[
        ("What does Adam do with the rows that stand still?",
         "Their gradient is zero, but m decays and still moves them for a while, and weight decay "
         "shrinks them at every step. Sparse (lazy) variants skip such rows."),
        ("What changes when E and U share their weights?",
         "Then every row has a gradient in every batch, by way of the softmax.")],
    rows=["R050", "R084"],
)


@exercise("08.2", "How many numbers, and where?", kind="derive", difficulty=1, minutes=8, points=2,
          names=["parameters"],
          hints=["Write down the shape of every array, then multiply.",
                 "E and pos are classes · width and context · width. A layer has 3 + 1 + 4 + 4 "
                 "squares of the width. The head is a matrix and a vector.",
                 "embeddings = (classes + context) * width; layers = …; head = width * classes + "
                 "classes"],
          followups=[
              ("GPT-3 has 96 layers of width 12,288. How many parameters is that?",
               "12 · 12,288² · 96, about 174 thousand million; embeddings and head add little."),
              ("How does the number of multiplications for one symbol follow from it?",
               "Every weight of the matrices is used once, so forward it is about the number of "
               "parameters (two operations each), and three times that with the gradient; "
               "attention adds 2 · context · width in each layer.")],
          rows=["R049", "R050"])
def parameters(answer, rng):
    for layers in rng.permutation([1, *rng.integers(2, 9, size=2)]).tolist():
        classes, context = (int(n) for n in rng.integers(50, 600, size=2))
        width = 4 * int(rng.integers(5, 30))
        case = f"{classes} classes, context {context}, width {width}, {layers} layers"
        got = expect_parts(answer.call("parameters", classes, context, width, layers), 3,
                           case=case, what="embeddings, layers and head")
        inside = 12 * width**2 * layers
        expect_close(got[0], (classes + context) * width, case=f"{case}: embeddings", rtol=0,
                     mistakes={"the embeddings of the positions are missing": classes * width},
                     usually="count the rows of both tables, and what is in a row")
        expect_close(got[1], inside, case=f"{case}: layers", rtol=0, mistakes={
            "this is a single layer": inside / layers,
            "queries, keys and values are three matrices, and only one is counted":
                10 * width**2 * layers,
            "the matrix after attention, out, is missing": 11 * width**2 * layers,
            "the perceptron has two matrices: up and down": 8 * width**2 * layers,
            "the matrices of attention are missing": 8.0 * width**2 * layers},
            usually="list the four matrices of a layer with their shapes")
        expect_close(got[2], width * classes + classes, case=f"{case}: head", rtol=0, mistakes={
            "the biases c are missing": width * classes},
            usually="a matrix from the width to the classes, and a number for each class")


def _softmax(S):
    P = np.exp(S - S.max(axis=1, keepdims=True))
    return P / P.sum(axis=1, keepdims=True)


def _attention(Q, K, V, b):
    T, d = Q.shape
    distance = np.subtract.outer(np.arange(T), np.arange(T))
    P = _softmax(np.where(distance >= 0, Q @ K.T / np.sqrt(d) + b[np.abs(distance)], -np.inf))
    return P @ V, P


@exercise("08.3", "Attention's backward pass, with distances", kind="derive", difficulty=3,
          minutes=25, points=4, names=["attention_slopes"],
          hints=["Go back through the three steps: O = P V, the softmax of each row, the scores. "
                 "The scores have two terms; where does b[j] stand in them?",
                 "dV = Pᵗ dO; dP = dO Vᵗ; dS = P ∘ (dP − rowsum(P ∘ dP)). Then dQ and dK as "
                 "without b, and db[j] is the sum of dS over all pairs at the distance j.",
                 "S as the task says, −inf above the diagonal; P = softmax(S); dP, dS …\n"
                 "db = [the sum of the j-th diagonal below the main one, of dS, for each j]"],
          followups=[
              ("Where does the mask go on the way back?",
               "Nowhere: a masked weight is 0, and dS has the factor P."),
              ("What is it good for to give the scores a term by distance?",
               "The model needs no table of positions and may read texts longer than those that "
               "it was trained on, as in T5 and ALiBi."),
              ("Which array of this makes long contexts expensive in memory, and how is it "
               "avoided?",
               "P, T × T for every head. It can be computed again, block by block, from Q, K and "
               "the row sums; rowsum(P ∘ dP) is rowsum(dO ∘ O) (FlashAttention).")],
          rows=["R036", "R050"])
def attention_slopes(answer, rng):
    wide, narrow = rng.choice(range(5, 8), size=2, replace=False).tolist()
    for T, wider in ((wide, int(rng.integers(1, 3))), (narrow, -1), (1, 1)):
        _attention_slopes(answer, T, wider, rng)


def _attention_slopes(answer, T, wider, rng):
    """V is by so much wider than Q and K; where it is not wider, some scores are 0."""
    d = int(rng.integers(2, 5)) + (wider < 0)
    m = d + wider
    Q, K, V = rng.normal(size=(T, d)), rng.normal(size=(T, d)), rng.normal(size=(T, m))
    b, dO = rng.normal(size=T), rng.normal(size=(T, m))
    if wider < 0:
        K[1], b[:2] = 0, 0
    case = f"{T} position{'s' * (T > 1)}, d = {d}"
    got = expect_parts(answer.call("attention_slopes", dO, Q, K, V, b), 4, case=case,
                       what="dQ, dK, dV and db")
    _, P = _attention(Q, K, V, b)
    root, dP = np.sqrt(d), dO @ V.T
    dS = P * (dP - (P * dP).sum(axis=1, keepdims=True))
    no_sum = P * dP
    elementwise = P * (1 - P) * dP

    def both(dS):
        return dS @ K / root, dS.T @ Q / root

    wrong = {"the sum over the row is missing in the slope of the softmax": no_sum,
             "P (1 − P) is only the diagonal of the softmax's Jacobian": elementwise}
    expect_close(got[2], P.T @ dO, case=f"{case}: dV", mistakes={
        "the weights are those without b: it is missing, or the same in a whole row":
            _attention(Q, K, V, 0 * b)[1].T @ dO,
        "b was added before the division by √d": _attention(Q, K, V, b / root)[1].T @ dO},
        usually="it has V's shape: are the weights P right? Their rows sum to 1, the first is a 1 "
                "and zeros behind it")
    for i, name in enumerate(("dQ", "dK")):
        expect_close(got[i], both(dS)[i], case=f"{case}: {name}", mistakes={
            "the factor 1/√d is missing": both(dS)[i] * root,
            **{said: both(other)[i] for said, other in wrong.items()}},
            usually="compare it with a central difference of the sum of dO * O in one entry")
    db = np.array([np.trace(dS, -j) for j in range(T)])
    counts = np.arange(T, 0, -1)
    expect_close(got[3], db, case=f"{case}: db", mistakes={
        "it is the mean over the pairs of a distance, and b[j] stands in every one of them":
            db / counts,
        "b is divided by √d as the product is; in the task it is not": db / root,
        "this is the sum over the columns of dS; a distance is a diagonal": dS.sum(axis=0),
        "the order is from the largest distance to 0": db[::-1]},
        usually="b[0] stands in the scores of all positions for themselves, b[1] in those for the "
                "position before. Collect dS accordingly")


@exercise("08.4", "Repair: the mask that leaks", kind="debug", difficulty=2, minutes=10, points=3,
          names=["causal_attention"],
          hints=["Change the last key by a lot. Which outputs may change, and which do?",
                 "A score that must not count has to be −∞ before the softmax. And np.tri(T, k=1) "
                 "has ones up to which column of its first row?",
                 "S = np.where(np.tri(T, dtype=bool), S, -np.inf), then the softmax"],
          followups=[
              ("The training loss of a leaking model looks wonderful. How do you find out?",
               "Change a symbol and see which outputs change (none before it may), or generate: "
               "the text is poor, for there the future is not there to be looked at."),
              ("Why is it a leak to set weights to zero after the softmax?",
               "The future's scores still stand in the sum that all weights are divided by, so "
               "the outputs depend on them; and the rows sum to less than one."),
              ("Why −∞, and not −10⁹?",
               "In half precision −10⁹ is −∞ anyway; with large scores a finite number may be "
               "too small. A row of nothing but −∞ gives nan, so padding needs care.")],
          rows=["R050"])
def causal_attention(answer, rng):
    for T in rng.permutation([1, 4, 7]).tolist():
        d = int(rng.integers(4, 7))  # not the width of V
        Q, K, V = rng.normal(size=(T, d)), rng.normal(size=(T, d)), rng.normal(size=(T, 3))
        K[-1] *= 4
        case = f"{T} position{'s' * (T > 1)}"
        if T == 7:
            K[2], case = 0, f"{case}, one key is zero"
        if T == 4:  # the first place's only score is far below those that it must not see
            scores, case = 50 + rng.normal(size=(T, T)), f"{case}, large scores"
            scores[0, 0] = -300
            Q = np.linalg.lstsq(K, np.sqrt(d) * scores.T, rcond=None)[0].T
        O = as_array(answer.call("causal_attention", Q, K, V), case=case, shape=V.shape)
        want = _attention(Q, K, V, np.zeros(T))[0]
        S = Q @ K.T / np.sqrt(d)
        P, seen = _softmax(S), np.tri(T, dtype=bool)
        expect_close(O, want, case=case, rtol=1e-4 if T == 4 else 1e-5, mistakes={
            "a score of 0 is taken for one that must not count":
                _softmax(np.where(seen & (S != 0), S, -np.inf)) @ V,
            "the scores that must not count are made low, but not lower than any other may be":
                _softmax(np.where(seen, S, -100)) @ V,
            "each position still sees the one after it, and the weights are cut off after the "
            "softmax": (P * np.tri(T, k=1)) @ V,
            "the weights are cut off after the softmax, so that the future still stands in the "
            "sum that they are divided by": (P * np.tri(T)) @ V,
            "each position still sees the one after it":
                _softmax(np.where(np.tri(T, k=1), S, -np.inf)) @ V,
            "nothing is masked": P @ V,
            "the factor 1/√d is gone": _attention(Q * np.sqrt(d), K, V, np.zeros(T))[0]},
            usually="output t is a mean of V[0] to V[t]: its weights sum to 1, and the first is "
                    "V[0] itself")


@exercise("08.5", "Repair: the softmax that overflows", kind="debug", difficulty=2, minutes=10,
          points=3, names=["token_losses"],
          hints=["Which of the two functions gives inf, and which gives 0? Both happen here.",
                 "log Σ e^z = m + log Σ e^(z − m) for any m. Take the row's largest score for m, "
                 "and never a logarithm of a probability.",
                 "Z = Z - Z.max(axis=1, keepdims=True); then log of the sum of exp, minus the "
                 "right score"],
          followups=[
              ("Which m is best, and why does it not change the result?",
               "The largest score of the row: then the largest exponential is 1, nothing "
               "overflows, and the sum is at least 1, so its logarithm is safe. m cancels."),
              ("Why not clip the probability at 1e-12?",
               "The loss is then at most 27.6 and its gradient zero just where the model is most "
               "wrong."),
              ("In float16, when does exp overflow?",
               "Above 11.09: the largest number is 65,504. Losses are computed in float32.")],
          rows=["R034"])
def token_losses(answer, rng):
    n, classes = int(rng.integers(5, 9)), int(rng.integers(4, 7))
    Z, y = rng.normal(size=(n, classes)), rng.integers(classes, size=n)
    heights = np.resize([[0.0], [2e5], [-900], [30], [8e4]], (n, 1))
    shifts = {"small scores": 0.0, "scores around 1000": 1000.0, "scores around −1000": -1000.0,
              "rows at very different heights": heights}
    for case, shift in shifts.items():
        _expect_losses(answer, case, Z + shift, y)
    for ahead in (1000.0, 1e5, 1e300):  # farther than any kind of float can raise e to
        far = Z.copy()
        far[np.arange(n), (y + 1) % classes] += ahead
        _expect_losses(answer, f"symbols that the model thinks impossible, by {ahead:g}", far, y)


def _expect_losses(answer, case, Z, y):
    got = as_array(answer.call("token_losses", Z, y), case=case, shape=y.shape,
                   nan="Which exponential of a row is too large, or which sum of exponentials has "
                       "come to 0?")
    top = Z.max(axis=1, keepdims=True)
    want = np.log(np.exp(Z - top).sum(axis=1)) + top[:, 0] - Z[np.arange(len(y)), y]
    clipped = {f"the probability is cut off at {floor:g}, so that no loss exceeds "
               f"{-np.log(floor):.1f}": np.minimum(want, -np.log(floor))
               for floor in (1e-8, 1e-9, 1e-10, 1e-12, 1e-15)}
    expect_close(got, want, case=case, mistakes={
        "the minus sign is missing": -want,
        "this is the mean over the symbols; each has a loss of its own":
            np.full_like(want, want.mean()),
        **clipped},
        usually="take one row: the logarithm of the sum of its exponentials, less the score of its "
                "symbol")


choice(
    "08.6", "Predict: the forgotten 1/√d", kind="predict", difficulty=2, minutes=5, points=2,
    right="c",
    options={
        "a": "The sum over the keys divides all weights alike, but the *differences* of the scores "
             "are eight times as large, and the softmax takes their exponential.",
        "b": "It grows by more. Eight times the scores means the eighth power of every ratio of "
             "weights.",
        "c": "A product of 64 independent pairs has the standard deviation 8. The best of the keys "
             "then lies several units before the next one, and e to such a number is a hard "
             "choice. Little gradient comes through it.",
        "d": "It grows: a larger spread of scores makes the softmax sharper, not flatter."},
    hints=["What is the standard deviation of a sum of 64 products of independent normal numbers?",
           "Without the division it is √64 = 8. How far is the largest of 64 such numbers from the "
           "second?",
           "About three units, on average. And e³ is 20."],
    followups=[
        ("Why does that hurt training, if a trained head may be as sharp as it likes?",
         "The slope of the softmax has the factor P (1 − P), on the diagonal: with one weight near "
         "1 it is near 0, and the queries and keys hardly learn. Training should begin soft."),
        ("Is √d right for a trained model?",
         "It makes the variance 1 for independent queries and keys. Training may make them as "
         "long as it likes; some models normalise both (QK-norm) to keep the scores bounded.")],
    rows=["R050", "R037"],
)


@exercise("08.7", "Perplexity, and of which logarithm", kind="implement", difficulty=2, minutes=10,
          points=3, names=["report"],
          hints=["First find the loss of the whole text, in nats. How many nats does a batch hold?",
                 "total = Σ mean · symbols. Perplexity is exp(total / all symbols). A bit is ln 2 "
                 "nats.",
                 "total = sum(mean * n for mean, n in batches); then two lines"],
          followups=[
              ("Model A has perplexity 12, model B 20. Which is better?",
               "That depends on their symbols: with longer ones each is harder to foresee, and "
               "there are fewer. Compare bits per character or byte on the same text."),
              ("Why not the mean of the batches' perplexities?",
               "exp is convex, so that mean is larger, and it depends on how the text was cut."),
              ("What does a perplexity of 12 mean?",
               "On the average (of the logarithm) the model is as uncertain as if it chose evenly "
               "between 12 symbols.")],
          rows=["R034"])
def report(answer, rng):
    sure = rng.integers(3)  # in one of the texts next to nothing surprises the model
    for i, count in enumerate(rng.permutation([1, 4, 6]).tolist()):
        means, sizes = rng.uniform(1, 4, size=count), rng.integers(20, 2000, size=count)
        if i == sure:
            means *= 0.01
        if count > 1:  # two batches are alike, a third has the mean of one and the size of another
            means[1], sizes[1] = means[0], sizes[0]
            means[2], sizes[3] = means[0], sizes[0]
        if count > 4:
            sizes[-1] = 1 + sizes.max() // 12  # the last is often a short one
        total, symbols = float(means @ sizes), int(sizes.sum())
        characters = int(symbols * rng.uniform(1.5, 3))
        batches = list(zip(means.tolist(), sizes.tolist(), strict=True))
        case = f"{count} batch{'es' * (count > 1)} of {symbols} symbols, {characters} characters"
        got = expect_parts(answer.call("report", batches, characters), 2, case=case,
                           what="the perplexity and the bits per character")
        mean = total / symbols
        expect_close(got[0], np.exp(mean), case=f"{case}: perplexity", mistakes={
            "2 was raised to a loss in nats: the base must be that of the logarithm": 2**mean,
            "this is the mean loss, and the perplexity is its exponential": mean,
            "this is the perplexity of a character, not of a symbol": np.exp(total / characters),
            "every batch counts alike, whatever its size": np.exp(means.mean()),
            "the perplexities of the batches were averaged, not their losses":
                sizes @ np.exp(means) / symbols,
            "the perplexities of the batches were averaged, every batch alike":
                np.exp(means).mean()},
            usually="it is made of the mean loss of a symbol over the whole text")
        bits = total / np.log(2) / characters
        expect_close(got[1], bits, case=f"{case}: bits per character", mistakes={
            "these are nats: a bit is ln 2 nats": total / characters,
            "these are bits per symbol": total / np.log(2) / symbols,
            "nats were multiplied by ln 2": total * np.log(2) / characters},
            usually="the nats of the whole text, in bits, over its characters")


def _cached(codes, E, pos, Wq, Wk, Wv, window, place=lambda t: t, dropped=(0, 0)):
    """The outputs with a cache; when it is full, the key and the value at the places ``dropped``
    go, a value at None not."""
    keys, values, outputs = [], [], []
    for t, code in enumerate(codes):
        h = E[code] + pos[place(t)]
        keys.append(h @ Wk)
        values.append(h @ Wv)
        if len(keys) > window:
            for kept, i in zip((keys, values), dropped, strict=True):
                if i is not None:
                    kept.pop(i)
        s = np.array(keys) @ (h @ Wq) / np.sqrt(Wk.shape[1])
        p = np.exp(s - s.max())
        outputs.append(p / p.sum() @ np.array(values[:len(keys)]))
    return np.array(outputs)


@exercise("08.8", "Repair: the cache that drifts", kind="debug", difficulty=2, minutes=12, points=3,
          names=["cached_outputs"],
          hints=["Compare the first output, then the second, then those after `window` symbols: "
                 "where do the two part, and where do they part again?",
                 "The symbol at place t has position t, even if it comes alone. And a key and its "
                 "value are a pair: they come together and must go together.",
                 "for t, code in enumerate(codes): h = E[code] + pos[t]; … and pop from both "
                 "lists"],
          followups=[
              ("How do you test a cache?",
               "Against the same model without it: every output, for texts shorter than, as long "
               "as, and longer than the window. And once with several prompts."),
              ("What does the cache save, and what does it cost?",
               "Without it each symbol needs a pass over all before it, T² in all of everything; "
               "with it only attention looks back. It holds 2 · layers · width numbers a symbol."),
              ("Why can a model with learned positions not simply drop the oldest symbol for ever?",
               "The positions run out: there is no pos[context]. One reads the newer half again "
               "from position 0, or uses positions that are relative.")],
          rows=["R050", "R065"])
def cached_outputs(answer, rng):
    for window, length in ((8, 1), (8, 6), (4, 4), (4, 5), (3, 12), (1, 7)):
        width, d, m, classes, places = (
            int(size) for size in rng.integers((5, 2, 3, 8, 13), (8, 5, 6, 12, 17)))
        E, (Wq, Wk) = rng.normal(size=(classes, width)), rng.normal(size=(2, width, d))
        Wv, pos = rng.normal(size=(width, m)), rng.normal(size=(places, width))
        codes = rng.integers(classes, size=length)
        case = f"{length} symbol{'s' * (length > 1)}, window {window}"
        data = codes, E, pos, Wq, Wk, Wv, window
        got = as_array(answer.call("cached_outputs", *data), case=case, shape=(length, m))
        wider, narrower = ((*data[:-1], max(1, window + by)) for by in (1, -1))
        expect_close(got, _cached(*data), case=case, mistakes={
            "every symbol has the first position": _cached(*data, place=lambda t: 0),
            "the positions begin anew when the window is full":
                _cached(*data, place=lambda t, window=window: t % window),
            "key and value no longer belong together: when the cache is full, what goes is not at "
            "the same place in both": _cached(*data, dropped=(0, None)),
            "it is the newest that is dropped, not the oldest": _cached(*data, dropped=(-1, -1)),
            "more symbols than the window holds are looked at": _cached(*wider),
            "one symbol fewer than the window is looked at": _cached(*narrower),
            "the scores are not divided by √d":
                _cached(codes, E, pos, Wq * np.sqrt(d), Wk, Wv, window)},
            usually="compute the output at which it begins anew, from the symbols of its window "
                    "alone")
    codes, (at, window) = np.arange(8), rng.integers((1, 2), (3, 4)).tolist()
    E[codes[at]] = np.nan
    case = f"the embedding at place {at} is nan, window {window}"
    got = expect_parts(answer.call("cached_outputs", codes, E, pos, Wq, Wk, Wv, window), len(codes),
                       case=case, what="an output for each symbol")
    free = [t for t in range(len(codes)) if not at <= t < at + window]
    expect_close([got[t] for t in free], _cached(codes, E, pos, Wq, Wk, Wv, window)[free],
                 case=f"{case}: the outputs {', '.join(map(str, free))}, which do not see it",
                 usually="what is not in the window is read with a weight of 0, and 0 times nan is "
                         "nan: a cache holds what is in the window and nothing else")
