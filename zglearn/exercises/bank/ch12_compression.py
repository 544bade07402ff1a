"""Chapter 12: rank, entries and bits; groups and GPTQ; LoRA and GaLore."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_parts,
)


@exercise("12.1", "What a rank really stores", kind="derive", difficulty=1, minutes=5, points=2,
          names=["stored_share"],
          hints=["How many numbers are in the two factors, and in the matrix?",
                 "k (m + n) / (m n), over all matrices together.",
                 "sum(min(k * (m + n), m * n) for each shape) / sum(m * n for each shape)"],
          followups=[("When is it better to keep a matrix whole?",
                      "Whenever k is at or above its break-even rank, m n / (m + n): the factors "
                      "would be larger than the matrix.")],
          rows=["R005", "R074", "E31"])
def stored_share(answer, rng):
    for more in range(3):
        # k above the smaller side; between it and the break-even rank; below the latter, and yet
        # above half of the smaller side; below all that, and that shape twice
        k = int(rng.integers(30, 90))
        sides = [(10, k), (k + 1, 2 * k - 1), (1.2 * k, 1.8 * k), (2 * k + 1, 5 * k)]
        shapes = [tuple(rng.integers(*side, size=2).tolist()) for side in sides]
        shapes[2] = shapes[2][0], int(rng.integers(7 * k, 9 * k))
        shapes = [shape[::int(rng.choice([-1, 1]))] for shape in shapes]
        shapes = [shapes[i] for i in rng.permutation([0, 1, 2, 3, 3, *[1] * more])]
        whole = sum(m * n for m, n in shapes)
        factors = [k * (m + n) for m, n in shapes]
        want = sum(min(f, m * n) for f, (m, n) in zip(factors, shapes, strict=True)) / whole
        expect_close(answer.call("stored_share", shapes, k), want, case=f"{shapes}, k = {k}",
                     mistakes={
                         "above its break-even rank a matrix is better kept whole":
                             sum(factors) / whole,
                         "this is the mean of the shares; large matrices count for more": np.mean(
                             [min(f, m * n) / (m * n)
                              for f, (m, n) in zip(factors, shapes, strict=True)]),
                         "this is the share that is saved": 1 - want,
                         "equal shapes are counted once; they are several matrices": sum(
                             min(k * (m + n), m * n) for m, n in {*shapes}) / sum(
                                 m * n for m, n in {*shapes})},
                     usually="count by hand for a single matrix, once with a small k and once with "
                             "a large one; then for two")


@exercise("12.2", "Repair: a quantizer with the wrong scale", kind="debug", difficulty=2,
          minutes=10, points=3, names=["quantize"],
          hints=["What does the broken version make of a column of negative entries?",
                 "Symmetric: step = max|column| / (2^(b−1) − 1); round(W / step) · step.",
                 "step = np.abs(W).max(axis=0) / (2 ** (bits - 1) - 1); mind columns of zeros"],
          followups=[
              ("Why symmetric around zero?",
               "Zero stays exactly zero, and no offset has to be stored or multiplied."),
              ("Why a step per column, and not one for the matrix?",
               "One large entry would make the step too coarse for all other columns.")],
          rows=["R043", "R074", "R075", "E17", "E18"])
def quantize(answer, rng):
    some, many = (int(b) for b in rng.integers((4, 9), (7, 12)))
    for bits in rng.permutation([2, some, many]).tolist():
        # with many bits an entry of a tiny column would say more of rounding than of the answer
        _expect_quantized(answer, rng, bits, tiny=1e-6 if bits == some else 0.01)


def _expect_quantized(answer, rng, bits, tiny):
    W = rng.normal(size=rng.integers((20, 6), (40, 9)))
    W[:, 0] *= tiny
    W[:, 2] *= 30
    W[:, 3] = -np.abs(W[:, 3])
    W[:, 4] = 0
    filled = [j for j in range(W.shape[1]) if j != 4]
    case = f"{bits} bits, columns of different size, one all negative, one all zero"
    Q = as_array(answer.call("quantize", W, bits), case=case, shape=W.shape)
    top = 2 ** (bits - 1) - 1

    def on_grid(Q, step):
        codes = Q / step
        return np.abs(codes - np.round(codes)).max() < 1e-3

    own, whole = np.abs(W[:, filled]).max(axis=0) / top, np.abs(W).max() / top
    expect(not on_grid(Q, whole), f"{case}: one step for the whole matrix, so nothing is left of "
           "the small columns. Give every column its own.")
    expect((Q[:, 4] == 0).all(), f"{case}: zeros must stay zeros")
    expect(np.abs(Q[:, 3]).max() > 0, f"{case}: the column of negative entries has come to "
           "nothing. The range has to be symmetric.")
    expect(on_grid(Q[:, filled], own) or not on_grid(Q[:, filled], own * top / (2**bits - 1)),
           f"{case}: {2**bits - 1} levels on each side are twice too many: one of the bits is the "
           "sign")
    expect(on_grid(Q[:, filled], own), f"{case}: the values do not lie on {top} even levels on "
           "each side of zero, up to the largest size in the column")
    expect_close(Q[:, filled] / own, np.round(W[:, filled] / own), rtol=0, atol=1.01,
                 case=f"{case}, in steps", usually="entries are cut off, or not rounded to the "
                 "nearest level")
    worst = np.abs(Q[:, filled] - W[:, filled]).max(axis=0) / own
    expect(worst.max() < 0.501, f"{case}: an entry is off by {worst.max():.1f} steps; rounding to "
           "the nearest level is off by at most half a step")


@exercise("12.3", "Prune by size", kind="implement", difficulty=1, minutes=6, points=2,
          names=["prune"],
          hints=["Which entries matter least? And how many are to go?",
                 "The threshold is a quantile of |W|.",
                 "order = np.argsort(np.abs(W), axis=None); set the first int(share * W.size) to 0 "
                 "in a copy"],
          followups=[("Why is half-empty not half the size?",
                      "The places of the remaining entries have to be stored as well: a bit per "
                      "entry, or an index each.")],
          rows=["R042", "R133"])
def prune(answer, rng):
    some = rng.integers(1, 8, size=2) / 8
    for share, empty in rng.permutation([(0, 0), (1, 0), *[(s, 0) for s in some],
                                         (0.5, 3 / 8)]).tolist():
        W = rng.normal(size=(8, int(rng.integers(4, 13))))
        W.flat[rng.permutation(W.size)[:round(empty * W.size)]] = 0
        case = f"share {share:g} of a matrix {W.shape[0]} by {W.shape[1]}"
        case += f", {empty:g} of which is zero already" if empty else ""
        got = as_array(answer.call("prune", W.copy(), share), case=case, shape=W.shape)
        order = np.argsort(np.abs(W), axis=None)
        want, largest, signed, each = W.copy(), W.copy(), W.copy(), W.copy()
        count = round(share * W.size)
        want.flat[order[:count]] = 0
        largest.flat[order[W.size - count:]] = 0
        signed.flat[np.argsort(W, axis=None)[:count]] = 0
        columns = np.argsort(np.abs(W), axis=0)[:round(share * len(W))]
        np.put_along_axis(each, columns, 0, axis=0)
        kept, more, left = W.copy(), W.copy(), round(empty * W.size)
        kept.flat[order[:W.size - count]] = 0
        more.flat[order[:left + round(share * (W.size - left))]] = 0
        expect_close(got, want, case=case, mistakes={
            "the *largest* entries were removed": largest,
            "entries were ordered by value, so negative ones went first: use their size": signed,
            **({"`share` is what to remove, and this is what is left": kept} if 0 < share < 1
               else {}),
            "the share is taken from each column; it is one of the whole matrix": each,
            "the share is one of the entries that are not zero yet; it is one of all": more},
            usually=f"{np.sum(got == 0)} of the {W.size} entries are zero, expected {count}, and "
                    "no other entry changes. Are they those of smallest size?")


@exercise("12.4", "LoRA's gradient", kind="derive", difficulty=2, minutes=10, points=3,
          names=["lora_gradient"],
          hints=["W = W₀ + A B / r. How does the loss change if one entry of A changes a little?",
                 "Chain rule: ∂A = ∂W Bᵀ / r, ∂B = Aᵀ ∂W / r.",
                 "return dW @ B.T / r, A.T @ dW / r with r = A.shape[1]"],
          followups=[
              ("Why does B start at zero, and A not?",
               "The model must start unchanged, so one factor is zero. If both were, both "
               "gradients would be zero, too, and nothing would ever move."),
              ("What does LoRA save, and what not?",
               "Optimizer state of the large matrices, storage per task, and the gradient of every "
               "frozen matrix, which need not be formed: up to a third of the products of a step. "
               "Not the forward pass, nor the way back through the layers.")],
          rows=["R074", "R119"])
def lora_gradient(answer, rng):
    few, many = (int(r) for r in rng.integers((2, 4), (4, 6)))
    for m, n, r in rng.permutation([(5, 4, few), (3, 7, many), (4, 6, 1)]).tolist():
        A, B, dW = rng.normal(size=(m, r)), rng.normal(size=(r, n)), rng.normal(size=(m, n))
        case = f"a {m} by {n} matrix, r = {r}"
        got = expect_parts(answer.call("lora_gradient", dW, A, B), 2, case=case,
                           what="the gradients of A and of B")
        dA, dB = dW @ B.T / r, A.T @ dW / r
        for part, want, name in zip(got, (dA, dB), "AB", strict=True):
            expect_close(part, want, case=f"{case}: the gradient of {name}", mistakes={
                "the factor 1/r is missing": want * r, "it is divided by r twice": want / r,
                "it is divided by the number of A's rows; r is that of its columns": want * r / m,
                "the sign is flipped": -want},
                usually=f"it has {name}'s shape, and holds dW and what {name} is multiplied with. "
                        "Compare it with a difference of the sum of dW * W, when one entry of "
                        f"{name} changes a little")


@exercise("12.5", "GaLore's projection", kind="implement", difficulty=2, minutes=10, points=3,
          names=["project", "project_back"],
          hints=["Which r directions of the columns' space hold most of the gradient?",
                 "P = the r leading left singular vectors of G; R = Pᵀ G; back: P R.",
                 "U = np.linalg.svd(G, full_matrices=False)[0]; return U[:, :r], U[:, :r].T @ G"],
          followups=[
              ("Why refresh P only every few hundred steps?",
               "An SVD costs more than a step, and Adam's state lives in the coordinates of P: it "
               "has to stay meaningful."),
              ("Why is the final update not of low rank?",
               "Each stretch of steps has its own P; their sum may have any rank.")],
          rows=["R074"])
def galore(answer, rng):
    ranks = rng.permutation([2, 3, 4]).tolist()
    for m, n, r in rng.permutation([(8, 6, ranks[0]), (5, 9, ranks[1]), (6, 7, 1)]).tolist():
        case = f"an {m} by {n} gradient, r = {r}" if m == 8 else f"a {m} by {n} gradient, r = {r}"
        U, Vt = (np.linalg.qr(rng.normal(size=(k, k)))[0] for k in (m, n))
        s = np.geomspace(1, 0.01, min(m, n)) * rng.uniform(1, 5)
        G = U[:, :len(s)] * s @ Vt[:len(s)]
        P, R = expect_parts(answer.call("project", G.copy(), r), 2, case=case, what="P and R")
        P = as_array(P, case=f"{case}: P", shape=(m, r))
        R = as_array(R, case=f"{case}: R", shape=(r, n))
        expect(np.allclose(P.T @ P, np.eye(r), atol=1e-5), f"{case}: the columns of P are not "
               "orthonormal")
        lost = np.linalg.norm(P @ (P.T @ G) - G) ** 2 / np.sum(s[r:] ** 2)
        expect(lost < 1.001, f"{case}: what P leaves of the gradient is {lost:.2f} times what the "
               "best r directions leave: are they the *leading left* singular vectors?")
        expect_close(R, P.T @ G, case=f"{case}: R", usually="these are not the coordinates of the "
                     "gradient's columns in the directions of P")
        step = rng.normal(size=(r, n))  # Adam's, which is not R
        expect_close(answer.call("project_back", P, step), P @ step,
                     case=f"{case}: project_back of another R",
                     usually="the coordinates are those in the directions of P: carry them "
                             "back to the m rows")


choice(
    "12.6", "Predict: which layer minds the rounding?", kind="predict", difficulty=2, minutes=4,
    points=1, right="a",
    options={
        "a": "The first. That it costs most is what the run shows, and not why. That all later "
             "layers read what it gets wrong is a guess that fits.",
        "b": "The second costs less than half of what the first does.",
        "c": "What the third gets wrong goes straight into the scores, and yet it costs least.",
        "d": "The shapes are the same, and so is the rounding. But the first layer's costs more "
             "than both others together."},
    hints=["Who reads what a layer gets wrong?",
           "The rise is compared for equal shapes, equal bits and equal groups.",
           "An error of the first layer goes through two more; one of the third goes into the "
           "softmax."],
    followups=[("What follows for the bits?",
                "Layers need not get equally many. How to share them is a search: measure what "
                "each costs, on text to choose on, and give the next bit where it helps most.")],
    rows=["R074", "R075", "R043"],
)

choice(
    "12.7", "Does the optimizer make the model smaller?", difficulty=1, minutes=3, points=1,
    right="c",
    options={
        "a": "It may save memory *while training*. The model that comes out has as many numbers.",
        "b": "The same: d parameters are d parameters.",
        "c": "Rank, entries, bits, or fewer parameters from the start. The optimizer decides how "
             "the numbers are found, not how many there are.",
        "d": "Both can end at the same weights; then their sizes are equal, too."},
    hints=["Count the numbers that are stored after training.",
           "Which of the options changes that count?",
           "An optimizer chooses values, not shapes."],
    followups=[("And on a phone?",
                "Size, speed and battery depend on the stored format and the hardware: integers of "
                "8 bits help where the processor has instructions for them.")],
    rows=["R074", "R075", "R133", "E17", "E18"],
)


@exercise("12.8", "Round in groups, and count the bits", kind="implement", difficulty=2,
          minutes=12, points=3, names=["round_groups"],
          hints=["One group at a time: which rows are in it, and what is the largest size in each "
                 "of its columns?",
                 "A scale per group and column: largest size ÷ (2^(b−1) − 1). Bits: b for each "
                 "entry, 16 for each scale.",
                 "for i in range(0, len(W), size): part = W[i:i + size]; ... then count "
                 "-(-m // size) * n scales"],
          followups=[
              ("Why do groups help?",
               "A scale is set by the largest entry that shares it. In a small group fewer entries "
               "suffer from one that is large."),
              ("What do groups of 32 with scales of 16 bits cost per weight?",
               "Half a bit. QLoRA rounds the scales as well: 8 bits for 64 weights, an eighth.")],
          rows=["R043", "R075"])
def round_groups(answer, rng):
    exact, one_more = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    sizes = rng.permutation([(4, 4 * exact), (5, 5 * one_more + 1)]).tolist()
    for size, m in [*sizes, (3, 7), (9, 7)]:
        n, bits = int(rng.integers(5, 8)), int(rng.integers(9, 12))  # with 4 columns two miscounts
        if size < m:  # may agree; bits other than the size, and not the same in all cases
            bits = size + int(rng.choice([-1, 1]))
        if size == 3:
            n = 1
        W = _far_from_halves(rng, m, n, bits, size)
        if n > 1:
            W[:size, 0] = 0
        W *= 1e-4 if size > m else 1  # so that what is added against a division by 0 shows
        case = f"{m} by {n}, groups of {size}, {bits} bits"
        Q, stored = expect_parts(answer.call("round_groups", W.copy(), bits, size), 2, case=case,
                                 what="the rounded matrix and the bits")
        want = _in_groups(W, bits, size)
        expect_close(Q, want, case=case, atol=0, mistakes={
            "there are twice as many levels as the bits allow": _in_groups(W, bits + 1, size),
            "a column has one scale, and not one for each of its groups": _in_groups(W, bits, m),
            "the groups go along the rows": _in_groups(W.T, bits, size).T,
            "all columns share the scale of their group": _in_groups(W, bits, size, shared=True)},
            usually="look at one group by hand: its columns' largest sizes stay as they are, all "
                    "else goes to the nearest level. The last group may be shorter")
        groups = -(-m // size)
        miscounts = {"no scale is counted": bits * W.size,
                     "the last, shorter group has scales too": bits * W.size + 16 * (m // size) * n,
                     "each column of a group has a scale": bits * W.size + 16 * groups,
                     "a scale has 16 bits": bits * (W.size + groups * n)}
        if m < size:  # then the first two are one
            del miscounts["the last, shorter group has scales too"]
        expect_close(stored, bits * W.size + 16 * groups * n, case=f"{case}: the bits stored",
                     mistakes=miscounts, usually="count what a reader of the file needs: the "
                                                 "levels' numbers, and every scale")


def _far_from_halves(rng, m, n, bits, size):
    """A random matrix (m, n) none of whose entries lies half-way between two levels, where single
    precision may round to the other. Its groups are large and small in turn, each with its largest
    entries at its ends, so that a group that takes an entry too many, or leaves one out, shows."""
    while True:
        W = rng.normal(size=(m, n)) * np.where(np.arange(m) // size % 2, 0.2, 1)[:, None]
        W[::size] *= 3
        W[size - 1::size] *= 3
        scales = np.repeat(np.maximum.reduceat(np.abs(W), range(0, m, size)), size, axis=0)[:m]
        place = W / scales * (2 ** (bits - 1) - 1) % 1
        if (np.abs(place - 0.5) > 1e-3).all():
            return W


def _in_groups(W, bits, size, shared=False):
    """The columns of W rounded in groups of so many rows; `shared`: a scale for all columns."""
    top, Q = 2 ** (bits - 1) - 1, W.copy()
    for i in range(0, len(W), size):
        part = W[i:i + size]
        step = np.abs(part).max(axis=None if shared else 0) / top
        Q[i:i + size] = np.round(part / np.where(step > 0, step, 1)) * step
    return Q


@exercise("12.9", "GPTQ's update: let the others make up for it", kind="derive", difficulty=3,
          minutes=15, points=4, names=["make_up"],
          hints=["Write the change of the outputs as a quadratic function of the rows that may "
                 "move, and set its gradient to zero.",
                 "With L for the later rows and δ for the change of row i: G[L, L] Δ + G[L, i] δ = "
                 "0.",
                 "np.linalg.solve(G[i+1:, i+1:], ...) for the later rows; one change for each "
                 "column of W"],
          followups=[
              ("Why is it enough to know AᵀA?",
               "The sum of squares of A Δ is the trace of Δᵀ AᵀA Δ: the inputs enter in no other "
               "way. So a few hundred thousand inputs are kept as one square matrix."),
              ("Why does GPTQ take a Cholesky factor, and not a solution for every row?",
               "Its rows hold all these solutions at once: one factorization in place of as many "
               "as there are rows.")],
          rows=["R043"])
def make_up(answer, rng):
    sizes = rng.integers((4, 2), (8, 6), size=(4, 2))
    for place, (m, n) in zip(rng.permutation(4), sizes.tolist(), strict=True):
        i = (0, int(rng.integers(1, m - 2)), m - 2, m - 1)[place]
        A = rng.normal(size=(3 * m, m)) @ (np.eye(m) + 0.3 * rng.normal(size=(m, m)))
        W = rng.normal(size=(m, n))
        G, step = A.T @ A, rng.uniform(0.3, 0.7)
        q = np.round(W[i] / step) * step
        case = f"W {m} by {n}, row {i}"
        later, moved = slice(i + 1, m), q - W[i]
        want = W.copy()
        want[i] = q
        alone, signed, each, full = (want.copy() for _ in range(4))
        want[later] -= np.linalg.solve(G[later, later], np.outer(G[later, i], moved))
        signed[later] += want[later] * -1 + W[later]
        each[later] -= np.outer(G[later, i] / np.diag(G)[later], moved)
        inverse = np.linalg.inv(G)
        full[later] += np.outer(inverse[later, i] / inverse[i, i], moved)
        others = full.copy()
        others[:i] += np.outer(inverse[:i, i] / inverse[i, i], moved)
        got = as_array(answer.call("make_up", W.copy(), G.copy(), i, q.copy()), case=case,
                       shape=W.shape)
        expect_close(got[i], q, case=f"{case}: the row itself", mistakes={
            "W's row is rounded to whole numbers here; what it should be is q": np.round(W[i]),
            "q is rounded once more": np.round(q)}, usually="row i is q in the end")
        expect_close(got, want, case=case, mistakes={
            "the later rows stay as they were": alone,
            "the later rows move the wrong way": signed,
            "each later row makes up for it by itself, as if the other ones stayed": each,
            "earlier rows move as well, and those are rounded already": others,
            "the later rows move as if the earlier ones could move, too": full},
            usually="with the rows up to i held, the outputs should change as little as they can: "
                    "is the slope of that change zero in each later row?")
