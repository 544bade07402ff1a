"""Chapter 10: After Adam."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    as_number,
    choice,
    exercise,
    expect_close,
    expect_parts,
    incorrect,
)
from zglearn.exercises.replay import by_path, by_steps

choice(
    "10.1", "What the spectral step forgets", difficulty=1, minutes=4, points=1, right="c",
    options={
        "a": "Turn the rows or columns of the gradient, and U Vᵀ turns with them: it does depend "
             "on them. That is what sign descent cannot do.",
        "b": "The signs of the entries are not kept either: an entry of U Vᵀ may have another sign "
             "than that of the gradient.",
        "c": "G = U S Vᵀ, and the step is U Vᵀ: the singular vectors stay, every singular value "
             "becomes 1. A direction that was hardly there counts as much as the largest.",
        "d": "It takes no mean over steps: U Vᵀ is made of one matrix. Muon averages before it.",
    },
    hints=["Write G as U S Vᵀ. Which of the three factors is not in the step?",
           "The step is U Vᵀ, without S.",
           "What in the picture of chapter 01, where a circle becomes an ellipse, does S say?"],
    followups=[
        ("When is it a bad idea to forget the sizes?",
         "If the small singular values are noise: they are raised to the size of the others. Five "
         "rounds of Newton–Schulz leave the tiniest ones small, and momentum averages noise out "
         "before."),
        ("What does sign descent forget?",
         "The sizes of the entries: the same, in the coordinates of the matrix.")],
)


@exercise("10.2", "The best step of length one, three times", kind="implement", difficulty=2,
          minutes=12, points=3, names=["steepest"],
          hints=["Each step has length 1 in its own norm and points downhill. What maximises the "
                 "sum of G·Δ if every entry is at most 1? If the squares add up to at most 1?",
                 "−G / ‖G‖, −sign(G), and −U Vᵀ with G = U S Vᵀ.",
                 'U, s, Vt = np.linalg.svd(G, full_matrices=False); then three cases of `norm`'],
          followups=[
              ("How much does each lower the linear part of the loss?",
               "By the dual norm: ‖G‖ for the Frobenius norm, the sum of the sizes of the entries "
               "for the largest entry, the sum of the singular values for the spectral norm."),
              ("Which of the three does not change if the rows of G are turned, but turns too?",
               "The first and the third. The largest entry depends on the axes.")])
def steepest(answer, rng):
    for shape, scale in (((3, 5), 1), ((6, 4), 1), ((1, 4), 1), ((4, 4), 1e-5)):
        G = scale * rng.normal(size=shape) * np.geomspace(1, 7, shape[1])
        U, s, Vt = np.linalg.svd(G, full_matrices=False)
        if shape == (4, 4):
            s = s[0] * np.geomspace(1, 0.01, 4)
            G = (U * s) @ Vt
        unit = {"frobenius": G / np.linalg.norm(G), "max": np.sign(G), "spectral": U @ Vt}
        for norm in rng.permutation(list(unit)):
            want = -unit[norm]
            others = {f"this is the step for the norm {name!r}": -unit[name]
                      for name in unit if name != norm}
            expect_close(answer.call("steepest", G, str(norm)), want,
                         case=f"a {shape[0]} × {shape[1]} gradient of length "
                              f"{np.linalg.norm(G):.3g}, norm {str(norm)!r}",
                         rtol=1e-5 if scale == 1 else 1e-4, mistakes={
                             "it goes uphill": -want,
                             "a small number is added to a divisor": _softened(G, norm, 1e-8),
                             "G is divided by its largest entry; every entry may be as large as 1":
                                 -G / np.abs(G).max(),
                             "G is divided by its largest singular value; every singular value may "
                             "be as large as 1": -G / s[0],
                             "this is −G itself, whose length in this norm is not 1": -G} | others,
                         usually="the step is not the one of length 1 in this norm that lowers the "
                                 "sum of G·Δ the most")


def _softened(G, norm, eps):
    if norm == "frobenius":
        return -G / (np.linalg.norm(G) + eps)
    if norm == "max":
        return -G / (np.abs(G) + eps)
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    return -(U * (s / (s + eps))) @ Vt


@exercise("10.3", "Newton–Schulz", kind="implement", difficulty=2, minutes=12, points=3,
          names=["orthogonalised"],
          hints=["Which side of X should be multiplied with itself, so that the product is small? "
                 "And what must the norm be before the first round?",
                 "X = G / ‖G‖_F. In each round A = X Xᵀ, then X = 3.4445 X + (−4.7750 A + 2.0315 A "
                 "A) X. A tall matrix is turned before, and back at the end.",
                 "X = G / np.linalg.norm(G)\n"
                 "for _ in range(rounds):\n    A = X @ X.T\n    X = ..."],
          followups=[
              ("Why by the Frobenius norm, and not by the largest singular value?",
               "It is cheap, and never smaller than the largest singular value, so all of them "
               "begin between 0 and 1. The price: they begin smaller than they need to."),
              ("Why not simply an SVD?",
               "On the machines that train large models products of matrices are what is fast, "
               "also in bfloat16. An SVD is many small dependent steps.")])
def orthogonalised(answer, rng):
    for shape, rounds, scale in (((4, 7), 3, 10), ((7, 4), 8, 1e-5), ((3, 3), 1, 10),
                                 ((5, 2), 0, 1e-5)):
        G = scale * rng.normal(size=shape)
        case = (f"a {shape[0]} × {shape[1]} matrix of length {np.linalg.norm(G):.3g}, "
                f"rounds = {rounds}")
        got = as_array(answer.call("orthogonalised", G, rounds), case=case)
        U, s, Vt = np.linalg.svd(G, full_matrices=False)

        def through(s, a=3.4445, b=-4.7750, c=2.0315, rounds=rounds):
            for _ in range(rounds):
                s = a * s + b * s**3 + c * s**5
            return s

        def made(s, U=U, Vt=Vt):
            return (U * s) @ Vt

        unit = s / np.linalg.norm(s)
        with np.errstate(all="ignore"):
            expect_close(got, made(through(unit)), case=case, rtol=1e-4, mistakes={
                "G is not divided by its norm at first": made(through(s)),
                "G is divided by its largest singular value": made(through(s / s[0])),
                "G is divided by its largest entry": made(through(s / np.abs(G).max())),
                "there is a round too many": made(through(unit, rounds=rounds + 1)),
                "a small number is added to the norm":
                    made(through(s / (np.linalg.norm(s) + 1e-7))),
                "there is a round too few": made(through(unit, rounds=max(0, rounds - 1))),
                "the sign of a coefficient is not as in the task": made(through(unit, b=4.7750)),
                "no round changes X": made(unit),
                "this is the limit U Vᵀ; a few rounds do not come so far": made(np.ones_like(s))},
                usually="a round is not the polynomial of the task, in X Xᵀ from the left")


@exercise("10.4", "Repair: a Lion that lost its way", kind="debug", difficulty=2, minutes=12,
          points=3, names=["lion_path"],
          hints=["In which order do the sign and the momentum come? Which beta belongs to which?",
                 "u = sign(β₁ m + (1 − β₁) g) with the old m, then m ← β₂ m + (1 − β₂) g.",
                 "u = np.sign(beta1 * m + (1 - beta1) * g)\nm = ...\n"
                 "x = x - lr * (u + weight_decay * x)"],
          followups=[
              ("Why two betas for one momentum?",
               "What is kept may remember longer (β₂ = 0.99) than what is stepped along "
               "(β₁ = 0.9): that gives the newest gradient ten times the weight."),
              ("Why is Lion's learning rate chosen smaller than Adam's, and its decay larger?",
               "Every entry of its step is ±1, where Adam's are mostly smaller. The decay acts by "
               "lr times λ, so λ grows as lr falls.")],
          replay=by_path(
              "lion_path", {"lr": 0.05, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.5},
              {"direction": ("u", "update"), "momentum": ("m",)},
              lambda made, gradient, gradients, x0, steps, lr, beta1, beta2, weight_decay:
              made(gradients, x0, lr, beta1, beta2, weight_decay)))
def lion_path(answer, rng):
    sizes = rng.choice(range(25, 35), size=2, replace=False).tolist()
    for d, decay, scale in zip(sizes, (0.0, rng.uniform(0.2, 0.4)), (1.0, 1e-6), strict=True):
        _lion_path(answer, d, decay, scale, rng)


def _lion_path(answer, d, decay, scale, rng):
    T = int(rng.integers(8, 12))
    gradients, x0 = scale * rng.normal(size=(T, d)) * np.geomspace(0.1, 10, d), rng.normal(size=d)
    gradients[:2, 2] = 0
    lr, b1, b2 = rng.uniform(0.05, 0.2), rng.uniform(0.5, 0.65), rng.uniform(0.75, 0.85)
    case = f"{T} recorded gradients{' (tiny ones)' * (scale < 1)}, weight decay {decay:.3g}"
    got = as_array(answer.call("lion_path", gradients, x0, lr, b1, b2, decay), case=case,
                   shape=(T + 1, d))
    expect_close(got[0], x0, case=f"{case}, the first point, which is the start",
                 usually="the start was changed in place, or is missing")

    def walk(b1=b1, b2=b2, decay=decay, first=False, coupled=False, late=False, lr=lr,
             sign=np.sign):
        x, m, path = x0, np.zeros(d), [x0]
        for g in gradients:
            g = g + decay * x if coupled else g
            old, m = m, b2 * m + (1 - b2) * g
            u = sign(b1 * (m if first else old) + (1 - b1) * g)
            x = x - lr * (u + (0 if coupled else decay) * (x - lr * u if late else x))
            path.append(x)
        return np.array(path)

    mistakes = {
        "the momentum takes the new gradient in before the sign is taken": walk(first=True),
        "the betas are exchanged": walk(b1=b2, b2=b1),
        "there is one beta for both; the other is not used": walk(b1=b2),
        "there is one beta for both, the first": walk(b2=b1),
        "a number is divided by its size and something more; a sign is −1, 0 or 1":
            walk(sign=lambda c: c / (np.abs(c) + 1e-8)),
        "it goes uphill": walk(lr=-lr)}
    if decay:
        mistakes |= {
            "the decay is added to the gradient, and goes through the sign": walk(coupled=True),
            "there is no decay": walk(decay=0.0),
            "the decay is not multiplied by lr": walk(decay=decay / lr),
            "the decay comes after the step, not from the x before it": walk(late=True)}
    expect_close(got, walk(), case=case, mistakes=mistakes,
                 usually="print m and the signs of the first three steps, and compute them by "
                         "hand")


@exercise("10.5", "Predict: two steps on one gradient", kind="predict", difficulty=1, minutes=5,
          points=1, names=["answer_10_5"],
          hints=["Write down sign(G). What is its rank?",
                 "A matrix of ones, n × n, sends (1, …, 1)/√n to n times itself; all that is "
                 "orthogonal to it goes to 0.",
                 "Two numbers: both singular values of a 2 × 2 matrix of ones, the largest first."],
          followups=[
              ("And those of U Vᵀ?",
               "1 and 1: G has full rank, and its singular values become 1."),
              ("What does that say about sign descent on a matrix?",
               "Its step may have a rank of one where the gradient has full rank, or the other way "
               "round: signs know entries, not directions.")])
def two_steps(answer, rng):
    got = answer.value("answer_10_5")
    got = as_array(expect_parts(got, 2, case="the singular values", what="such as [5, 0.4]"),
                   case="the singular values", shape=(2,), nan="Each is a number.")
    G = np.array([[1.0, 2.0], [3.0, 4.0]])
    for mistake, value in {
            "these are the singular values of U Vᵀ": [1, 1],
            "these are the singular values of G itself": np.linalg.svd(G)[1],
            "this is the order of size turned round: the largest comes first": [0, 2],
            "a matrix of ones is not the identity; what does it do to (1, 1)?": [2, 2]}.items():
        if np.allclose(got, value, atol=0.01):
            incorrect(f"The singular values of sign(G): {mistake}.")
    expect_close(got, [2, 0], case="the singular values of sign(G)", atol=1e-6,
                 usually="sign(G) is not what you took it for: all four entries of G are above 0")
    return "The gradient has rank 2, its signs have rank 1."


@exercise("10.6", "How long is a step of Muon?", kind="derive", difficulty=2, minutes=12, points=3,
          names=["matched_factor"],
          hints=["How large is the sum of the squares of all entries of U Vᵀ?",
                 "The sum of the squared singular values, so min(m, n). There are m n entries.",
                 "factor · √(min(m, n) / (m n)) = 1"],
          followups=[
              ("Liu et al. (2025) multiply by 0.2 √max(m, n). Why 0.2?",
               "They measured that Adam's steps have a root mean square of about 0.2 to 0.4 of "
               "lr. So a rate tuned for AdamW can be kept."),
              ("PyTorch's default factor is √max(1, m/n). What does it keep the same?",
               "How far a step can move the output of a layer with n inputs and m outputs, per "
               "unit of its input's root mean square: not the size of the entries.")])
def matched_factor(answer, rng):
    few, more = (k * (k + 1) for k in rng.integers((1, 4), (4, 9)).tolist())  # no squares
    for m, n in [*rng.permutation([(more, few), (few, more), (2, few + 1)]).tolist(), (more, more)]:
        case = f"m = {m}, n = {n}"
        got = as_number(answer.call("matched_factor", m, n), case=case)
        expect_close(got, np.sqrt(max(m, n)), case=case, rtol=1e-6, mistakes={
            "this is the root of the smaller side": np.sqrt(min(m, n)),
            "the root is missing": max(m, n),
            "this is the root mean square itself; the factor is 1 over it": max(m, n) ** -0.5,
            "the number of entries is used as if all were 1": np.sqrt(m * n),
            "this is PyTorch's factor, which keeps something else the same":
                np.sqrt(max(1, m / n))},
            usually="the squares of all entries of U Vᵀ add up to min(m, n), over m n entries")


@exercise("10.7", "Shampoo with a memory", kind="implement", difficulty=3, minutes=15, points=4,
          names=["Shampoo"],
          hints=["Which two matrices are kept, and of which shape? Which power of each?",
                 "L ← L + G Gᵀ and R ← R + Gᵀ G, from ε times the identity; the step is "
                 "lr L^(−1/4) G R^(−1/4).",
                 "s, Q = np.linalg.eigh(L); L^(−1/4) is Q diag(s^(−1/4)) Qᵀ"],
          followups=[
              ("Why the fourth root, if Adagrad takes the square root?",
               "Each side takes a half of it: L^(−1/4) G R^(−1/4) stands for one square root of a "
               "matrix of (mn)² numbers, approximated by a product of two small ones."),
              ("What would a vector get?",
               "For a tensor with k sides each power is −1/(2k): for a vector, k = 1, the inverse "
               "square root of one matrix. That is Adagrad with a full matrix.")],
          replay=by_steps("Shampoo", {"lr": 0.3, "eps": 1e-6},
                          {"left matrix L": ("L",), "right matrix R": ("R",)}, shape=(2, 1)))
def shampoo_class(answer, rng):
    m, n, lr, eps = 4, 3, rng.uniform(0.1, 0.5), rng.uniform(0.005, 0.05)
    W, gradients = rng.normal(size=(m, n)), rng.normal(size=(5, m, n))
    optimizer = answer.make("Shampoo", lr, eps)
    x, last_point, L, R = W, W, eps * np.eye(m), eps * np.eye(n)
    for t, G in enumerate(gradients, 1):
        before, L, R = (L, R), L + G @ G.T, R + G.T @ G
        got = optimizer.call("step", x, G)
        want = x - lr * _root(L, 4) @ G @ _root(R, 4)
        last = [eps * np.eye(len(A)) + S for A, S in ((L, G @ G.T), (R, G.T @ G))]
        expect_close(got, want, case=f"step {t}", start=x, rtol=2e-4, mistakes={
            "the weights are those of the optimizer's last step, not those that it is given":
                want - x + last_point,
            "it goes uphill": 2 * x - want,
            "the roots are square roots; each side takes a fourth root":
                x - lr * _root(L, 2) @ G @ _root(R, 2),
            "L and R take the gradient in after the step; take it in first":
                x - lr * _root(before[0], 4) @ G @ _root(before[1], 4),
            "nothing is remembered: L and R are those of one gradient":
                x - lr * _root(last[0], 4) @ G @ _root(last[1], 4),
            "the root is taken entry by entry; it is that of a matrix":
                x - lr * _entrywise(L) @ G @ _entrywise(R),
            "only the left side is divided by": x - lr * _root(L, 4) @ G,
            "only the right side is divided by": x - lr * G @ _root(R, 4)},
            usually="compare L and R with sums of G Gᵀ and Gᵀ G, then their powers")
        last_point = want
        x = want if t < 3 else rng.normal(size=(m, n))  # the weights are what they are said to be
    lr, eps = lr / 2, 2 * eps
    other, (m, n) = answer.make("Shampoo", lr, eps), rng.integers((2, 3), (3, 7))  # a wide one
    W, G = rng.normal(size=(2, m, n))
    want = W - lr * _root(eps * np.eye(m) + G @ G.T, 4) @ G @ _root(eps * np.eye(n) + G.T @ G, 4)
    expect_close(other.call("step", W, G), want, start=W, rtol=2e-4,
                 case=f"the first step of a second optimizer, for a {m} × {n} matrix",
                 usually="L and R belong to the class, so all optimizers share them (keep them on "
                         "`self`), or they have a shape of their own and not that of G")


def _root(A, k):
    s, Q = np.linalg.eigh(A)
    return (Q * s ** (-1 / k)) @ Q.T


def _entrywise(A):
    return np.abs(A) ** -0.25


choice(
    "10.8", "Why not the embeddings?", difficulty=3, minutes=6, points=2, right="b",
    options={
        "a": "Their matrix may be tall or wide: Newton–Schulz works on the shorter side, and the "
             "width factor is there for the rest. Size is not what sets them apart.",
        "b": "Inputs of E are one-hot vectors, so its longest row bounds what a step can do. The "
             "spectral norm asks about mixtures of symbols, which never come, and the row "
             "that U Vᵀ gives to a symbol depends on which others were in the batch.",
        "c": "Embeddings do have gradients, and they are matrices. A polar factor exists.",
        "d": "Weight decay is a separate choice, and Muon has it as well.",
    },
    hints=["What does a row of E stand for, and which vectors does E ever multiply?",
           "The spectral norm bounds ‖xᵀΔ‖ over all x of length 1. Which x does an embedding see?",
           "Take two symbols away from the batch. Does U Vᵀ's row for a third one change?"],
    followups=[
        ("Which norm would suit a matrix that only ever meets one-hot vectors?",
         "The largest length of a row: the steepest step then normalises each row by itself."),
        ("And the head, biases, gains?",
         "The head's columns belong to symbols in the same way. Biases and gains are vectors: "
         "there the spectral norm is the ordinary length, and all directions but one are lost.")],
)
