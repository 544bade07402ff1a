"""Chapter 12: rank, entries and bits; LoRA and GaLore."""

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
    for _ in range(3):
        sizes = ((20, 50), (200, 300), (20, 300), (20, 300))  # one is above its break-even rank
        shapes = [tuple(rng.integers(*sizes[i], size=2).tolist()) for i in rng.permutation(4)]
        k = int(rng.integers(30, 90))
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
                         "this is the share that is saved": 1 - want},
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
    bits = int(rng.integers(3, 7))
    W = rng.normal(size=(30, 5)) * np.array([0.01, 1, 30, 1, 1]) - np.array([0, 0, 0, 5, 0])
    W[:, 4] = 0
    case = f"{bits} bits, columns of different size, one all negative, one all zero"
    Q = as_array(answer.call("quantize", W, bits), case=case, shape=W.shape)
    top = 2 ** (bits - 1) - 1

    def on_grid(Q, step):
        codes = Q / step
        return np.abs(codes - np.round(codes)).max() < 1e-3

    own, whole = np.abs(W[:, :4]).max(axis=0) / top, np.abs(W).max() / top
    expect(not on_grid(Q, whole), f"{case}: one step for the whole matrix, so nothing is left of "
           "the small columns. Give every column its own.")
    expect((Q[:, 4] == 0).all(), f"{case}: zeros must stay zeros")
    expect(np.abs(Q[:, 3]).max() > 0, f"{case}: the column of negative entries has come to "
           "nothing. The range has to be symmetric.")
    expect(not on_grid(Q[:, :4], own * top / (2**bits - 1)), f"{case}: {2**bits - 1} levels on "
           "each side are twice too many: one of the bits is the sign")
    expect(on_grid(Q[:, :4], own), f"{case}: the values do not lie on {top} even levels on each "
           "side of zero, up to the largest size in the column")
    expect_close(Q[:, :4] / own, np.round(W[:, :4] / own), rtol=0, atol=1.01,
                 case=f"{case}, in steps", usually="entries are cut off, or not rounded to the "
                 "nearest level")
    worst = np.abs(Q[:, :4] - W[:, :4]).max(axis=0) / own
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
    for share in rng.permutation([0.0, 1.0, *some]).tolist():
        W = rng.normal(size=(8, int(rng.integers(4, 13))))
        case = f"share {share:g} of a matrix {W.shape[0]} by {W.shape[1]}"
        got = as_array(answer.call("prune", W.copy(), share), case=case, shape=W.shape)
        order = np.argsort(np.abs(W), axis=None)
        want, largest, signed, each = W.copy(), W.copy(), W.copy(), W.copy()
        count = round(share * W.size)
        want.flat[order[:count]] = 0
        largest.flat[order[W.size - count:]] = 0
        signed.flat[np.argsort(W, axis=None)[:count]] = 0
        columns = np.argsort(np.abs(W), axis=0)[:round(share * len(W))]
        np.put_along_axis(each, columns, 0, axis=0)
        kept = W.copy()
        kept.flat[order[:W.size - count]] = 0
        expect_close(got, want, case=case, mistakes={
            "the *largest* entries were removed": largest,
            "entries were ordered by value, so negative ones went first: use their size": signed,
            "`share` is what to remove, and this is what is left": kept,
            "the share is taken from each column; it is one of the whole matrix": each},
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
               "Optimizer state of the large matrices, and storage per task. Not the forward and "
               "backward pass through the model.")],
          rows=["R074", "R119"])
def lora_gradient(answer, rng):
    m, n, r = 5, 4, 3
    A, B, dW = rng.normal(size=(m, r)), rng.normal(size=(r, n)), rng.normal(size=(m, n))
    got = expect_parts(answer.call("lora_gradient", dW, A, B), 2, case="a 5 by 4 matrix, r = 3",
                       what="the gradients of A and of B")
    dA, dB = dW @ B.T / r, A.T @ dW / r
    expect_close(got[0], dA, case="the gradient of A", mistakes={
        "the factor 1/r is missing": dA * r, "it is divided by r twice": dA / r,
        "the sign is flipped": -dA},
        usually="it has A's shape, and holds dW and what A is multiplied with. Compare it with a "
                "difference of the sum of dW * W, when one entry of A changes a little")
    expect_close(got[1], dB, case="the gradient of B", mistakes={
        "the factor 1/r is missing": dB * r, "it is divided by r twice": dB / r,
        "the sign is flipped": -dB},
        usually="it has B's shape, and holds dW and what B is multiplied with. Compare it with a "
                "difference of the sum of dW * W, when one entry of B changes a little")


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
    for m, n in rng.permutation([(8, 6), (5, 9)]).tolist():
        r = int(rng.integers(2, 5))
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
    "12.6", "Predict: which cut hurts least?", kind="predict", difficulty=1, minutes=3, points=1,
    right="a",
    options={
        "a": "Rounding to eight bits moves each weight by less than half a per cent of the "
             "largest. Nothing that the model does depends on that.",
        "b": "The smallest entries hurt little one by one, but sixty per cent of them do.",
        "c": "To come to 40 % of the numbers, the rank falls to a fifth of the full one. The "
             "spectrum is far too flat for that.",
        "d": "They differ by more than a hundred times. Run it."},
    hints=["How large is the change to a weight in each case?",
           "Eight bits: 127 levels on each side of zero.",
           "Compare the rank at 40 % with the break-even rank."],
    followups=[("So is low rank useless for language models?",
                "For the weights of this one, nearly. For updates, for attention caches and for "
                "embeddings of texts it is not.")],
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
