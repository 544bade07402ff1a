"""Chapter 06: RMSprop."""

import numpy as np

from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_form,
    expect_parts,
)
from zglearn.exercises.replay import by_steps

choice(
    "06.1", "A cure for vanishing gradients?", difficulty=1, minutes=4, points=1, right="d",
    options={
        "a": "It would be, if small steps were all that is wrong. In the chapter eight sigmoid "
             "layers did not learn with RMSprop either, in the steps they had: the output hardly "
             "depends on the first layers, and scaling a slope does not change that.",
        "b": "S is a mean of squares of these very gradients: if they are tiny, so is S, and the "
             "quotient is not. RMSprop does scale them up, until ε stops it.",
        "c": "Memory is in steps of training, not in positions of a sequence: ρ says nothing about "
             "how far back in the text a gradient reaches.",
        "d": "Dividing by √S brings a small slope back to size, and that helps up to a point. But "
             "it scales the disagreement between batches as well as the signal, and below ε it "
             "does nothing. Activations, initialization, normalization and skip connections keep "
             "the signal from vanishing in the first place.",
    },
    hints=["What does RMSprop do to a gradient that is a million times too small, but exact? And "
           "to one that differs from batch to batch?",
           "The step is g/(√S + ε). Put in g = signal + noise, both times 10⁻⁶.",
           "Signal and noise are scaled alike, and ε = 10⁻⁸ sets a floor. Which answer says both?"],
    followups=[
        ("What does gradient clipping do, and for which of the two diseases?",
         "It bounds the length of a gradient that explodes. It does nothing for one that "
         "vanishes."),
        ("Why do residual connections help?",
         "The derivative of x + f(x) is 1 + f′: a path on which nothing is multiplied by small "
         "numbers.")],
    rows=["R085", "R018", "E64", "E60"],
)


@exercise("06.2", "How long is a memory?", kind="derive", difficulty=1, minutes=7, points=2,
          names=["memory"],
          hints=["A gradient of k steps ago counts with weight (1 − ρ) ρᵏ. What are its mean age "
                 "and the k at which the weight has halved?",
                 "The weights have mean age ρ/(1 − ρ), counted from 0, or 1/(1 − ρ), counted from "
                 "1. Half-life: ρᵏ = 1/2.",
                 "return 1 / (1 - rho), log(1/2) / log(rho)"],
          followups=[
              ("You halve the batch size. What happens to ρ, if the memory in examples is to stay?",
               "1/(1 − ρ) must double, so 1 − ρ is halved: 0.99 becomes 0.995. Marek et al. (2025) "
               "advise it for language models, with the half-life counted in tokens."),
              ("Why is the mean age of a window of n steps not n?",
               "In a plain window of n steps the mean age is about n/2, so a running mean with "
               "1/(1 − ρ) = n/2 is as old on average as a window of n.")],
          rows=["R013", "R011"])
def memory(answer, rng):
    for rho in rng.permutation([0.9, rng.uniform(0.5, 0.8), rng.uniform(0.95, 0.999)]).tolist():
        case = f"rho = {rho:.4g}"
        mean, half = expect_parts(answer.call("memory", rho), 2, case=case,
                                  what="the memory and the half-life")
        want = 1 / (1 - rho), np.log(0.5) / np.log(rho)
        expect_close(mean, want[0], case=f"{case}, the memory", mistakes={
            "this is the half-life: the memory comes first": want[1],
            "this is 1/ρ, and the memory is 1/(1 − ρ)": 1 / rho,
            "ages are counted from 0; the newest gradient has age 1 here": rho / (1 - rho)},
            usually="the mean age is a sum of ages, each times its weight: add up the first few "
                    "hundred by machine, and compare")
        expect_close(half, want[1], case=f"{case}, the half-life", mistakes={
            "the sign is wrong: both logarithms are negative": -want[1],
            "it was rounded to whole steps: after a fraction of one, exactly half is left":
                np.ceil(want[1]),
            "this is the step at which 1/e is left, not one half": -1 / np.log(rho),
            "this is half of the memory": want[0] / 2},
            usually="after so many steps half of a gradient's first weight is left: how much is "
                    "left after yours?")


@exercise("06.3", "The length of a shock", kind="derive", difficulty=2, minutes=8, points=2,
          names=["shock"],
          hints=["What is S after a long time of gradients of size 1? And right after one of size "
                 "k?",
                 "S = ρ · 1 + (1 − ρ) k². The step is k/√S.",
                 "return k / sqrt(rho + (1 - rho) * k**2)"],
          followups=[
              ("What is the longest shock there can be?",
               "For k → ∞ it is 1/√(1 − ρ): 3.16 learning rates for ρ = 0.9, 31.6 for 0.999."),
              ("Which k describes the first step of a run?",
               "k = ∞: S starts at zero. Hence a warm-up of the learning rate, or Adam's "
               "correction."),
              ("The gradient falls to a hundredth instead. What happens?",
               "The step is a hundredth at once, and grows back only as S fades: to half a "
               "learning rate in ln(10⁴/3) = 8 time constants, and never quite to a whole one.")],
          rows=["R012", "R013", "E63"])
def shock(answer, rng):
    for k, rho in rng.permutation([(1.0, 0.9), (rng.uniform(2, 5), rng.uniform(0.8, 0.95)),
                                   (rng.uniform(0.02, 0.5), rng.uniform(0.998, 0.999)),
                                   (rng.uniform(50, 500), rng.uniform(0.95, 0.999))]).tolist():
        case = f"k = {k:.3g}, rho = {rho:.4g}"
        expect_close(answer.call("shock", k, rho), k / np.sqrt(rho + (1 - rho) * k * k), case=case,
                     mistakes={
                         "1 divides, the root of the old S: update it before you divide": k,
                         "the root is missing": k / (rho + (1 - rho) * k * k),
                         "S forgets the old gradients altogether": 1 / np.sqrt(1 - rho),
                         "ρ and 1 − ρ are swapped": k / np.sqrt(1 - rho + rho * k * k),
                         "the gradient enters S without its square":
                             k / np.sqrt(rho + (1 - rho) * k)},
                     usually="which S divides: what is it before the shock, and what after it? For "
                             "k = 1 the step is one learning rate")


@exercise("06.4", "An RMSprop that remembers", kind="implement", difficulty=2, minutes=10,
          points=3, in_place=(0,), names=["RMSProp"],
          hints=["What has to survive from one call of `step` to the next? What is its value "
                 "before the first?",
                 "S ← ρ S + (1 − ρ) g², then weights − α g/(√S + ε).",
                 "__init__: store lr, rho, eps; self.S = 0.0\n"
                 "step: update self.S, then return the new weights"],
          followups=[
              ("What is the length of the first step, in learning rates?",
               "1/√(1 − ρ) in every coordinate: S = (1 − ρ) g²."),
              ("A weight's gradient has been exactly zero since the start. What does it do?",
               "Nothing: 0/(0 + ε) = 0. Without ε it would be 0/0."),
              ("Why does `S = S`, before the loop of a program, not help?",
               "It assigns a name to itself. If it was never set, this is where the error comes; "
               "what was meant is S = zeros, once, where it will be kept.")],
          rows=["R098", "R012", "R018", "E61", "E62"],
          replay=by_steps("RMSProp", {"lr": 0.1, "rho": 0.9, "eps": 1e-8}, {"mean of the squares": (
              "S", "s", "v", "G", "cache", "mean_square", "square_avg")}))
def rmsprop_class(answer, rng):
    lr, rho, eps = rng.uniform(0.01, 0.1), rng.uniform(0.8, 0.99), 1e-8
    n, shape = int(rng.integers(25, 30)), (2, int(rng.integers(3, 6)))
    # Each step begins at new weights, which another than the optimizer may have moved.
    weights = rng.normal(size=(n, *shape))
    gradients = rng.choice([-1, 1], size=(n, *shape)) * rng.uniform(0.3, 2, size=(n, *shape))
    gradients *= 10 ** rng.uniform(0, 3, size=shape)
    gradients[:, rng.integers(2), rng.integers(shape[1])] = 0
    ages = np.arange(1, n)[:, None, None]
    means = _running_means(gradients, rho)
    most = means[:-1]

    def path(S, sign=-1):
        return weights[:-1] + sign * lr * gradients[:-1] / (np.sqrt(S) + eps)

    def step(optimizer, x, g, case):
        return as_array(optimizer.call("step", x.copy(), g), case=case, shape=x.shape).copy()

    optimizer = answer.make("RMSProp", lr, rho, eps)
    points = np.array([step(optimizer, weights[t], gradients[t], f"step {t + 1}")
                       for t in range(n - 1)])
    afresh = (1 - rho) * gradients[:-1] ** 2
    expect_close(points, path(most), start=weights[:-1],
                 case=f"{n - 1} steps, each from other weights, 2 by {shape[1]}, one gradient "
                      "always 0", mistakes={
        "it goes uphill": path(most, sign=1),
        "S is divided by 1 - rho ** t, Adam's correction; RMSprop has none":
            path(most / (1 - rho**ages)),
        "the factor 1 - rho is missing from the mean": path(most / (1 - rho)),
        "the old S divides: update S first": path(np.vstack([0 * most[:1], most[:-1]])),
        "all weights share one number, the norm of the gradient":
            path(0 * most + most.sum(axis=(1, 2), keepdims=True)),
        "the root is missing": path(most**2),
        "the optimizer goes on from where it led itself, not from the weights that it is given":
            weights[0] + np.cumsum(path(most) - weights[:-1], axis=0),
        "S starts afresh at every call": path(afresh)},
        usually="compare one weight by hand: S after the first gradient and after the second, "
                "then what divides each of the two")
    case = "a second optimizer is made when the first has taken its steps"
    expect_close(step(answer.make("RMSProp", lr, rho, eps), weights[0], gradients[0], case),
                 path(most)[0], start=weights[0], case=f"{case}: its first step", usually=SHARED)
    expect_close(step(optimizer, weights[-1], gradients[-1], case),
                 weights[-1] - lr * gradients[-1] / (np.sqrt(means[-1]) + eps), start=weights[-1],
                 case=f"{case}: the next step of the first", usually=SHARED)
    lr, rho, eps, g = 10 * lr, rho / 2, rng.uniform(0.1, 0.5), gradients[:3].reshape(3, -1)
    g = g / np.maximum(np.abs(g).max(axis=0), 1)
    S = _running_means(g, rho)
    case, x = f"three steps of an array of shape ({g.shape[1]},) with eps = {eps:.2g}", rng.normal(
        size=g.shape)
    optimizer = answer.make("RMSProp", lr, rho, eps)
    got = np.array([step(optimizer, x[t], g[t], case) for t in range(3)]) - x
    outside, within = np.sqrt(S) + eps, (np.sqrt(S + eps), np.sqrt(S + eps**2))
    if not any(np.allclose(got, -lr * g / root, rtol=1e-4, atol=1e-6) for root in within):
        expect_close(x + got, x - lr * g / outside, start=x, case=case, mistakes={
            "eps does not take part here: it is left out, or it is one of your own in the place of "
            "the one that was given":
                x - lr * g / (np.sqrt(S) + 1e-8)},
            usually="eps is added to the root of S, or to S under it, with its plus sign, and it "
                    "is the one that `__init__` was given")


def _running_means(gradients, rho):
    """S after each of the gradients, which come one a row."""
    S, means = 0.0, []
    for g in gradients:
        S = rho * S + (1 - rho) * g * g
        means.append(S)
    return np.array(means)


SHARED = ("S belongs to the class or to a global name, so that all optimizers share it: set it in "
          "`__init__`, on `self`")


@exercise("06.5", "Inside or outside", kind="derive", difficulty=2, minutes=8, points=2,
          names=["half_speed"],
          hints=["With a steady gradient S = g². What does each convention make of the step, in "
                 "learning rates?",
                 "Outside: g/(g + ε). Inside: g/√(g² + ε). Set each to one half.",
                 "outside: g = ε. Inside: 4 g² = g² + ε. Solve for g."],
          followups=[
              ("You port a program and the other library has ε inside, 10⁻⁷ by default. What do "
               "you change?",
               "Compare where each starts to matter: inside, √ε ≈ 3·10⁻⁴. To keep that, ε outside "
               "has to be of that size."),
              ("Some use a large ε, such as 10⁻³ or 1, on purpose. What does it do?",
               "It caps how much small gradients are scaled up: below ε the method turns back into "
               "gradient descent with rate α/ε.")],
          rows=["R018", "E63"])
def half_speed(answer, rng):
    some = 10 ** rng.uniform((-10.5, -3), (-9, -1))
    for eps in rng.permutation([1e-8, *some]).tolist():
        case = f"eps = {eps:.3g}"
        outside, inside = expect_parts(answer.call("half_speed", eps), 2, case=case,
                                       what="the gradient for ε outside and for ε inside")
        want = eps, np.sqrt(eps / 3)
        expect_close(outside, want[0], case=f"{case}, outside", atol=0, mistakes={
            "this is the answer for ε inside: ε outside comes first": want[1],
            "this is where the two are equal under the root": np.sqrt(eps)},
            usually="set g / (g + eps) to one half")
        expect_close(inside, want[1], case=f"{case}, inside", atol=0, mistakes={
            "this is the answer for ε outside": eps,
            "at this gradient the step is 1/√2, not one half": np.sqrt(eps),
            "the root is missing": eps / 3,
            "the 3 went to the other side": np.sqrt(3 * eps)},
            usually="set g / sqrt(g**2 + eps) to one half")


@exercise("06.6", "Repair: a program that climbs", kind="debug", difficulty=3, minutes=15,
          points=4, in_place=(2, 3), names=["train"],
          hints=["Take one epoch and compare the weights after it with what you compute by hand. "
                 "Which sign does the error have? Which array is a sum that never ends?",
                 "The gradient of ½(output − y)² has the factor output − y. G is new in every "
                 "epoch. S ← ρ S + (1 − ρ) G², entry by entry.",
                 "before the loop: S1 = S2 = 0; in it: forward, error = output − y, the two "
                 "gradients, the two running means, the two updates"],
          followups=[
              ("Which of the bugs would you have found from the loss curve alone?",
               "The sign: the loss rises. The others still learn, only worse, and nothing in the "
               "curve says why."),
              ("How would a gradient check have helped?",
               "Differences of the loss give the gradient without any formula: the sign shows at "
               "the first comparison, the sum at the second epoch."),
              ("XOR is learned without the running mean as well. What follows for testing an "
               "optimizer?",
               "A task that everything solves cannot tell methods apart. Compare the updates "
               "themselves on recorded gradients.")],
          rows=["R099", "E65", "E66", "E67", "E68", "E70"])
def train(answer, rng):
    # An input that is always 0, one that is nearly so, and a hidden unit that is: there ε counts.
    n, width, more = (int(size) for size in rng.integers((10, 7, 0), (13, 10, 3)))  # no two equal
    X = rng.normal(size=(n, 4 + more)) * np.array([0, 1e-7, 0, 1] + [1] * more)
    X[:, 2] = 1
    W1, W2 = rng.normal(size=(4 + more, width)), rng.normal(size=(width, 1))
    W1[2, 0] = -17
    order = rng.permutation(4 + more)
    X, W1 = X[:, order], W1[order]
    for epochs in (int(rng.integers(5, 10)), int(rng.integers(11, 14))):
        _judge_training(answer, X, rng.uniform(size=(n, 1)), W1, W2, rng.uniform(0.01, 0.05),
                        rng.uniform(0.8, 0.95), epochs)


def _judge_training(answer, X, y, W1, W2, lr, rho, epochs):
    case = f"{epochs} epochs on random data, with an input that is always 0"
    got = expect_parts(answer.call("train", X, y, W1, W2, lr, rho, epochs), 2, case=case,
                       what="W1 and W2")
    got = [as_array(value, case=f"{case}, W{i}", shape=start.shape)
           for i, (value, start) in enumerate(zip(got, (W1, W2), strict=True), 1)]
    for eps in (1e-8, 1e-16):
        within = _two_layers(X, y, W1, W2, lr, rho, epochs, inside=eps)
        if all(np.allclose(value - start, W - start, rtol=1e-4, atol=1e-5)
               for value, W, start in zip(got, within, (W1, W2), strict=True)):
            return
    for which, value in enumerate(got):
        def after(which=which, **bugs):
            return _two_layers(X, y, W1, W2, lr, rho, epochs, **bugs)[which]

        expect_close(value, after(), case=f"{case}, W{which + 1}", start=(W1, W2)[which], mistakes={
            "nothing was repaired": after(sign=-1, adds=True, norm=True),
            "only the sign was repaired": after(adds=True, norm=True),
            "it still climbs: the error must be output - y": after(sign=-1),
            "gradients are still added up over the epochs": after(adds=True),
            "one norm for all weights still divides: S is an array, entry by entry":
                after(norm=True),
            "S is divided by 1 - rho ** t, Adam's correction; RMSprop has none": after(hats=True),
            "S is the plain sum of squares, as in Adagrad; rho is not used": after(mean=False)},
            usually="go through one epoch by hand, or compare with central differences")


def _two_layers(X, y, W1, W2, lr, rho, epochs, sign=1, adds=False, norm=False, mean=True,
                hats=False, inside=0.0):
    """W1, W2 after training with RMSprop, ε = 1e-8 outside the root or `inside`, or with bugs."""
    W, S, G = [W1, W2], [0.0, 0.0], [0.0, 0.0]
    for t in range(1, epochs + 1):
        hidden = _sigmoid(X @ W[0])
        output = _sigmoid(hidden @ W[1])
        delta = sign * (output - y) * output * (1 - output)
        new = [X.T @ (delta @ W[1].T * hidden * (1 - hidden)), hidden.T @ delta]
        for i in range(2):
            G[i] = G[i] + new[i] if adds else new[i]
            S[i] = rho * S[i] + (1 - rho) * G[i] ** 2 if mean else S[i] + G[i] ** 2
            S_hat = S[i] / (1 - rho**t) if hats else S[i]
            size = np.linalg.norm(G[i]) if norm else np.sqrt(S_hat + inside)
            W[i] = W[i] - lr * G[i] / (size + 1e-8 * (not inside))
    return W


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


@exercise("06.7", "Predict: a prediction that should not run", kind="predict", difficulty=2,
          minutes=6, points=2, names=["answer_06_7"],
          hints=["Write down the two shapes that meet at the star.",
                 "(n, 4) * (2, 1): NumPy stretches axes of length 1, and needs the others to be "
                 "equal.",
                 "The first axes are n and 2. For which n are they equal, or one of them 1?"],
          followups=[
              ("What should the line be?",
               "The forward pass of the training: sigmoid(sigmoid(X @ W1) @ W2), of shape (n, 1)."),
              ("How do you protect yourself against broadcasting that was not meant?",
               "State shapes: an assertion on the result's shape, or a test with a number of "
               "samples that equals no other size in the program.")],
          rows=["R099", "E69"])
def broadcasting(answer, rng):
    chosen = answer.value("answer_06_7")
    if isinstance(chosen, np.ndarray):
        chosen = chosen.tolist()
    if type(chosen) in (int, float):
        chosen = [chosen]
    if isinstance(chosen, list | tuple):  # of numbers or of arrays without axes
        chosen = [n.item() if isinstance(n, np.ndarray) and n.ndim == 0 else n for n in chosen]
    expect_form(isinstance(chosen, list | set)
                and all(type(n) in (int, float) and n in (1, 2, 3, 4) for n in chosen),
                "give a list of whole numbers from 1 to 4, such as [4]")
    chosen = set(chosen)
    expect(chosen, "no number at all? An axis of length 1 is stretched to fit any other.")
    expect(3 not in chosen and 4 not in chosen,
           "for more than two samples the first axes are n and 2: they differ, and neither is 1.")
    expect(1 in chosen, "one sample: an axis of length 1 is stretched to the other's 2.")
    expect(2 in chosen, "two samples: the first axes are equal by accident, 2 and 2.")
    return "With one or two samples it runs, and gives a (2, 4) array of nonsense."
