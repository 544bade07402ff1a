"""Chapter 05: Adagrad."""

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
from zglearn.exercises.replay import by_path, by_steps

choice(
    "05.1", "What is sparse here?", difficulty=1, minutes=4, points=1,
    right="b",
    options={
        "a": "A sparse model has weights that are zero at the end. Adagrad does not make weights "
             "zero; for that you need a penalty such as the sum of absolute values.",
        "b": "A weight whose feature is rarely there gets few gradients, so its sum stays small "
             "and its steps stay long when they come.",
        "c": "Few examples mean few steps for all weights alike. One rate for all would do.",
        "d": "It stores a number for every weight, so it takes more memory than gradient descent, "
             "not less.",
    },
    hints=["Follow the gradient of one weight of a linear model. When is it zero?",
           "g_j = error · x_j, and the rate is lr / √(Σ g_j²). What is x_j for a rare word?",
           "Compare two weights after 1,000 steps: one had 1,000 gradients of size 1, the other "
           "10. What are their rates?"],
    followups=[
        ("On TF-IDF features Adagrad gains little. Why?",
         "The weighting has already scaled rare words up and frequent ones down. What is left to "
         "learn is small."),
        ("Name features that are sparse in this sense and not words.",
         "Identities of users, products or places in recommendation and advertising; rows of an "
         "embedding table, most of which no batch touches.")],
    rows=["R084", "E58"],
)


@exercise("05.2", "An optimizer with a rate for each weight", kind="implement", difficulty=2,
          minutes=10, points=3, names=["Adagrad"],
          hints=["What has to survive from one call to the next, and what is its shape?",
                 "self.G = self.G + g²; the new weights are w − lr · g / (√G + eps), all of it "
                 "entry by entry.",
                 "def __init__: store lr and eps, set self.G = 0.0\n"
                 "def step: first add gradient**2 to self.G, then return the new weights"],
          followups=[
              ("The first step does not depend on the size of the gradient. Why, and is that good?",
               "G is then g², so the step is lr times the sign of g. It is independent of the "
               "loss's units, and it takes a noisy first gradient as seriously as a true one."),
              ("Multiply the loss by 1,000. What changes in the path?",
               "Nothing, as long as the gradients are large against eps: the constant cancels."),
              ("What must a checkpoint save?",
               "The weights and G. With G lost, training starts again with steps that are far too "
               "long.")],
          rows=["R010", "R011", "R018", "R097", "E51", "E52", "E53"],
          replay=by_steps("Adagrad", {"lr": 0.3}, {"sum of squares": (
              "G", "s", "S", "v", "cache", "squares", "total")}))
def adagrad_class(answer, rng):
    # Each step begins at new weights, which another than the optimizer may have moved.
    lr = rng.uniform(0.05, 0.4)
    steps = int(rng.integers(25, 30))
    w, gradients = rng.normal(size=5), _gradients(rng, steps, 5) * [1, 1000, 0.3, 1, 1]
    gradients[:3, 4] = 0  # a weight whose feature comes late
    gradients[4, :2] = 0  # and two that are not in every batch
    optimizer = answer.make("Adagrad", lr)
    G, own = np.zeros(5), None
    for t, g in enumerate(gradients, 1):
        x, before, G = rng.normal(size=5), G, G + g * g
        got = _no_nan(optimizer.call("step", x, g), G, f"step {t}")
        step = _step(g, G, lr)
        own = (x if own is None else own) - step
        with np.errstate(all="ignore"):
            late = x - lr * g / np.sqrt(before + 1e-8)
        expect_close(got, x - step, start=x, case=f"step {t}", rtol=2e-4, mistakes={
            "it goes uphill": x + step,
            "it goes on from where it led itself, not from the weights that it is given": own,
            "G did not hold the newest gradient when it divided; add first": late,
            "G is new at every step, so nothing is accumulated": x - _step(g, g * g, lr),
            "G is an average; Adagrad divides by the root of the sum": x - _step(g, G / t, lr),
            "the root is missing": x - lr * g / np.where(G > 0, G, 1),
            "one sum over all weights is used; each weight has its own":
                x - lr * g / np.sqrt(G.sum())},
            usually="what is divided by is not the root of the sum of all squared gradients so far")
    second = answer.make("Adagrad", lr)
    expect_close(second.call("step", w, gradients[5]), w - lr * np.sign(gradients[5]), start=w,
                 case="the first step of a second optimizer", rtol=2e-4,
                 usually="its G does not begin at zero: does it belong to the class, so that all "
                         "optimizers share it? Keep it on `self`")
    matrix, g = rng.normal(size=(3, 4)), _gradients(rng, 3, 4)
    g[1], lr = 0, lr / 2
    got = _no_nan(answer.make("Adagrad", lr).call("step", matrix, g), g, "weights of shape (3, 4)")
    expect_close(got, matrix - lr * np.sign(g), start=matrix, case="weights of shape (3, 4)",
                 rtol=2e-4, usually="the shape is fixed")


def _gradients(rng, *shape):
    """Gradients that are never so small that an ε makes a difference, but for those set to 0."""
    return rng.choice([-1, 1], size=shape) * rng.uniform(0.1, 2, size=shape)


def _no_nan(got, G, case):
    holes = _holes(got, np.shape(G))
    if (holes <= (G == 0)).all() and holes.any():
        incorrect(f"{case}: nan where the gradient has always been 0: that is 0/0. Add a small eps "
                  "to the root, or leave such weights alone.")
    if holes.any():
        incorrect(f"{case}: nan where the gradient is not 0. Usual cause: the root of a negative "
                  "number, so what is under it is not a sum of squares.")
    return got


def _holes(got, shape):
    """Where it holds nan; nowhere, if it has another shape or holds no numbers."""
    try:
        value = np.asarray(got)
    except ValueError:  # rows of unequal length
        value = np.asarray(None)
    is_fit = value.shape == shape and value.dtype.kind == "f"
    return np.isnan(value) if is_fit else np.zeros(shape, dtype=bool)


def _step(g, G, lr):
    return lr * g / np.sqrt(np.where(G > 0, G, 1))


@exercise("05.3", "Repair: three slips in eight lines", kind="debug", difficulty=2, minutes=10,
          points=3, names=["adagrad_path"],
          hints=["Which line should run once? Which line should come before another? Which name is "
                 "nowhere defined?",
                 "G is set to zero before the loop. In the loop: add g², then divide by √G + eps.",
                 "eps=1e-10 as a default; G = np.zeros(...) before the loop; G = G + g * g; then "
                 "x = x - lr * g / (np.sqrt(G) + eps)"],
          followups=[
              ("Why did the broken version look plausible on a small learning rate?",
               "It is gradient descent with lr/√eps. With a tiny lr that is an ordinary rate, and "
               "the loss falls."),
              ("Which test would have caught it?",
               "One that knows the answer: with a steady gradient, the second step must be 1/√2 of "
               "the first."),
              ("Where does eps belong, inside or outside the root?",
               "Both are in use. Inside, 1e-8 means a floor of 1e-4 for the root; outside, 1e-8. "
               "They differ for small gradients only.")],
          rows=["R097", "R018", "E51", "E52", "E53"],
          replay=by_path(
              "adagrad_path", {"lr": 0.3}, {"sum of squares": ("G", "s", "S", "v", "cache")},
              lambda made, gradient, gradients, x0, steps, lr: made(gradients, x0, lr)))
def adagrad_path(answer, rng):
    few = int(rng.integers(6, 10)), int(rng.integers(3, 5))
    many = int(rng.integers(120, 150)), 2
    for shape, lr in ((few, rng.uniform(0.1, 0.4)), (few, rng.uniform(0.7, 2)),
                      (many, rng.uniform(0.01, 0.04))):
        gradients, x0 = _gradients(rng, *shape), rng.normal(size=shape[1])
        gradients[:3, 1] = 0
        _judge_path(answer, gradients, x0, lr)


def _judge_path(answer, gradients, x0, lr):
    T, d = gradients.shape
    case = f"{T} recorded gradients, lr = {lr:.2g}"
    sums = np.cumsum(gradients**2, axis=0)
    earlier = sums - gradients**2
    path = answer.call("adagrad_path", gradients, x0, lr)
    _no_nan(path, np.tile(sums[0], (T + 1, 1)), case)  # what is nan once stays nan
    path = as_array(path, case=case, shape=(T + 1, d))
    expect_close(path[0], x0, case="the first point of the path, which is the start",
                 usually="the start was changed in place")
    expect(np.ptp(path, axis=0).max() > 0, f"{case}: all points are the start: x is never set to "
           "where the step leads.")
    if np.ptp(path[1:], axis=0).max() == 0:
        incorrect(f"{case}: all points after the start are one array, changed in place. Make a new "
                  "one at every step.")

    def walk(G):
        steps = lr * gradients / np.sqrt(np.where(G > 0, G, 1))
        return np.vstack([x0, x0 - np.cumsum(steps, axis=0)])

    steps = np.abs(np.diff(path, axis=0))
    expect(steps[sums == 0].max() < 1e-9, f"{case}: a coordinate has moved whose gradient has been "
           "zero so far: it should stay where it is.")
    long = np.sum(steps.max(axis=1) > 100 * lr)
    if long == T:
        incorrect(f"{case}: every step is more than a hundred times too long: G is zero whenever "
                  "it divides, or it is not what divides.")
    if long:
        incorrect(f"{case}: {long} of {T} steps are more than a hundred times too long: there G is "
                  "still zero when it divides. Add the new square before you divide.")
    expect_close(path, walk(sums), case=case, start=x0, rtol=2e-4, mistakes={
        "G is still made new in every step, so that every step is lr times a sign":
            walk(gradients**2),
        "the first step is right, and then each divides by the sum before its own gradient":
            walk(np.vstack([sums[:1], earlier[1:]])),
        "it goes uphill": 2 * x0 - walk(sums)},
        usually="what is divided by is not the root of the sum of all squared gradients so far, "
                "the newest included")


@exercise("05.4", "Predict: the first step of a printed program", kind="predict", difficulty=1,
          minutes=5, points=1, names=["answer_05_4"],
          hints=["Which value does G have when the program divides by it?",
                 "√(0 + 1e-8) = 1e-4. So the step is 0.01 · g / 1e-4 = 100 g.",
                 "θ − 100 g, for g = (0.3, −0.1)"],
          followups=[
              ("How long would Adagrad's first step be?",
               "lr in every coordinate: 0.01, whatever the gradients."),
              ("Would a larger eps repair the program?",
               "It would hide the mistake. With eps = 1 it is gradient descent at first.")],
          rows=["E52", "E51"])
def first_step(answer, rng):
    got = answer.value("answer_05_4")
    got = as_array(expect_parts(got, 2, case="θ after one step", what="such as [1.5, 0.5]"),
                   case="θ after one step", shape=(2,))
    theta, g = np.array([2.0, -1.0]), np.array([0.3, -0.1])
    mistakes = {
        "this is what Adagrad does, and the program divides before it adds":
            theta - 0.01 * np.sign(g),
        "this is a plain gradient step: the program divides by something": theta - 0.01 * g,
        "√1e-8 was taken for 1e-8: the root makes it 1e-4": theta - 1e6 * g,
        "the sign is flipped: it goes against the gradient": theta + 100 * g}
    for mistake, outcome in mistakes.items():
        if np.allclose(got, outcome, rtol=1e-4):
            incorrect(f"θ after one step: {mistake}.")
    expect_close(got, theta - 100 * g, case="θ after one step", rtol=1e-4,
                 usually="G is still zero when the program divides by √(G + 1e-8)")
    return "An effective learning rate of 100, in the place of 0.01."


@exercise("05.5", "How far does it get?", kind="derive", difficulty=2, minutes=10, points=2,
          names=["steps_to_travel"],
          hints=["With a gradient of 1 at every step, what is G after t steps, and how long is "
                 "step t?",
                 "The distance after T steps is lr · Σ 1/√t, which is close to lr · 2√T.",
                 "Set 2 lr √T = distance and solve for T."],
          followups=[
              ("And gradient descent?",
               "distance / lr steps: proportional to the distance, not to its square."),
              ("What would happen if Adagrad divided by G and not by its root?",
               "The steps would be lr/t, and their sum grows like a logarithm: far away is out of "
               "reach for practical purposes."),
              ("So does Adagrad stop before the minimum?",
               "Not on a quadratic without noise: there the gradients die out and G settles. It is "
               "steady or noisy gradients that use its rate up.")],
          rows=["R010", "R011", "E55", "E56"])
def steps_to_travel(answer, rng):
    for least in rng.permutation([300, 500, 800]):
        lr = rng.uniform(0.001, 0.1)
        far = least + rng.uniform(0, 100)
        distance = far * lr
        case = f"distance {distance:.3g}, lr = {lr:.3g}"
        got = as_array(answer.call("steps_to_travel", distance, lr), case=case)
        expect(got.size == 1, f"{case}: return one number of steps.")
        expect_close(got.reshape(()), far**2 / 4, case=case, rtol=0.03, mistakes={
            "every step is taken to be lr long; they shrink like 1/√t": far,
            "the 2 of 2√T is lost: the distance is 2 lr √T": far**2,
            "the 2 is squared as well: (distance / 2 lr)²": far**2 / 2,
            "the learning rate is left out": distance**2 / 4},
            usually="the distance after T steps is about 2 lr √T")


choice(
    "05.6", "Sum or average?", difficulty=2, minutes=5, points=1, right="d",
    options={
        "a": "A constant factor would be harmless, but n grows with every step: √n is no constant.",
        "b": "For a steady gradient g the average is g², so the step stays lr for ever. It does "
             "not grow.",
        "c": "ε plays no part unless the gradients are nearly zero.",
        "d": "Divided by n, the root no longer grows with the number of steps, and with it goes "
             "the 1/√t that the theory rests on. What remains is one rate per weight, in "
             "proportion to 1 over its typical gradient.",
    },
    hints=["Take a gradient that is always 1. What is the sum after n steps, and the average?",
           "lr/√n with the sum, lr with the average.",
           "Which of the four says that the steps no longer shrink?"],
    followups=[
        ("Which method takes an average, and why?",
         "RMSprop, an average that fades: it is meant for losses and networks that change while "
         "you train, where a rate that can only fall gets stuck."),
        ("When is the shrinking wanted?",
         "With noisy gradients of a fixed convex loss: steps must shrink for the noise to average "
         "out, and 1/√t is the right order.")],
    rows=["R011", "E55", "E56"],
)


@exercise("05.7", "Sparse gradients, words that repeat", kind="implement", difficulty=3,
          minutes=15, points=3, in_place=(0, 1), names=["sparse_step"],
          hints=["What is the full gradient of a batch in which word 7 comes twice? And its "
                 "square?",
                 "First add up the values of each index: g_j = Σ values with that index. Then "
                 "G_j += g_j² and w_j −= lr g_j / √G_j, for those j only.",
                 "unique, place = np.unique(indices, return_inverse=True); "
                 "g = np.bincount(place, weights=values)"],
          followups=[
              ("Why does `G[indices] += values**2` lose something?",
               "NumPy reads, adds and writes once for each position; of a repeated index only the "
               "last write remains."),
              ("And `np.add.at(G, indices, values**2)`?",
               "It counts every value, but (a + b)² is not a² + b². The gradient is the sum."),
              ("What does the sparse form save?",
               "Time in proportion to the words in the batch, not to the vocabulary. For 32 texts "
               "of 40 words against a million words that is a factor of about a thousand.")],
          rows=["R010", "R084", "E54"])
def sparse_step(answer, rng):
    for count in (7, *rng.permutation([12, 0])):
        d, lr = int(rng.integers(11, 16)), rng.uniform(0.05, 0.5)
        w, G = rng.normal(size=d), rng.uniform(0.5, 2, size=d)
        words = rng.permutation(d)
        G[words[[0, -1, -2]]] = 0  # words that have never come, of which the first comes now
        indices = words[[0, 1, 1, 1, 2, 2, 3, 4, 4, 5, 5, 5][:count]]
        values = _gradients(rng, count) + rng.choice([-3, 3], size=count)
        if count == 12:
            values[8] = -values[7]  # a word whose gradient is zero
        mix = rng.permutation(count)
        case = f"{count} values for {len(set(indices))} words" + (
            ", some words more than once" if count else ": an empty batch")
        got = answer.call("sparse_step", w, G, indices[mix], values[mix], lr)
        _judge_sparse_step(got, w, G, indices[mix], values[mix], lr, case)


def _judge_sparse_step(got, w, G, indices, values, lr, case):
    d = len(w)
    got_w, got_G = expect_parts(got, 2, case=case, what="the new weights and the new G")
    last = np.zeros(d)
    last[indices] = values
    g = np.bincount(indices, weights=values, minlength=d)
    squares = np.bincount(indices, weights=values**2, minlength=d)
    there = np.isin(np.arange(d), indices)
    new = G + g * g
    never = new == 0
    for name, part in (("the new weights", got_w), ("the new G", got_G)):
        holes = _holes(part, (d,))
        if holes.any() and (holes <= never).all():
            incorrect(f"{case}, {name}: nan for words that never came: they have g = G = 0, and "
                      "0/0 is nan. Touch only the words of the batch.")
        as_array(part, case=f"{case}, {name}", shape=(d,), nan="Usual cause: the root of a "
                 "negative number, so what is under it is not a sum of squares.")
    got_w, got_G = (np.asarray(part, dtype=float) for part in (got_w, got_G))
    same = np.isclose(got_w, w, rtol=1e-6), np.isclose(got_G, G, rtol=1e-6, atol=0)
    if not np.all(same[0][~there]) and np.allclose(got_w, new):
        incorrect(f"{case}: the first result is the new G. The weights come first.")
    for name, unchanged in zip(("the weights", "G"), same, strict=True):
        expect(unchanged[~there].all(), f"{case}: {name} of words that are not in the batch should "
               "stay what they are, and do not.")

    def moved(g, root):
        return w - np.where(there, lr * g / np.where(root > 0, root, 1), 0)

    expect_close(got_G, new, start=G, case=f"{case}, the new G", rtol=2e-4, mistakes={
        "of a repeated word only one value counts: G[indices] += ... writes once": G + last**2,
        "the values of a repeated word are squared one by one; add them up first": G + squares,
        "the old G is lost": np.where(there, g * g, G),
        "G is what it was before": G},
        usually="it should be larger than before by the square of each word's whole gradient")
    root = np.sqrt(new)
    expect_close(got_w, moved(g, root), start=w, case=f"{case}, the new weights", rtol=2e-4,
                 mistakes={
        "the weights are divided by the root of the old G; add first": w - lr * g / np.sqrt(
            G + 1e-8),
        "of a repeated word only the last value moves the weight": moved(last, root),
        "the weights have not moved": w,
        "the root is missing": moved(g, new),
        "the learning rate is left out": w - (w - moved(g, root)) / lr,
        "it goes uphill": 2 * w - moved(g, root)},
        usually="each word of the batch moves by lr times its whole gradient over the root of its "
                "new G")


choice(
    "05.8", "Predict: a method in disguise", kind="predict", difficulty=2, minutes=5, points=1,
    right="a",
    options={
        "a": "With G always zero, the root is √1e-8 = 1e-4, and 1e-4 / 1e-4 = 1. The two programs "
             "take the same steps, and no loss curve tells them apart.",
        "b": "Its rate never changes, so it cannot treat rare and frequent words differently.",
        "c": "Not slower: the division by 1e-4 makes up for the small learning rate.",
        "d": "The effective rate is 1, which is in range here. With lr = 0.01 it would be 100, and "
             "then it would.",
    },
    hints=["What is √(0 + 1e-8)?",
           "Its step is lr · g / √ε = 1e-4 · g / 1e-4.",
           "Compare with the step of gradient descent with lr = 1."],
    followups=[
        ("You review a program that says it uses Adagrad and trains well. How do you find out "
         "whether it does?",
         "Feed it a steady gradient and look at the second step: 1/√2 of the first. Or print G."),
        ("Why is a bug that works worse than one that crashes?",
         "Nobody looks for it, and what is reported about the method is about another one.")],
    rows=["E51", "E59"],
)


@exercise("05.9", "The price of not knowing the future", kind="derive", difficulty=3, minutes=20,
          points=4, names=["adagrads_bound"],
          hints=["Begin as the chapter does, with the rate α_t = α/√G_t at step t. What does the "
                 "sum of (d_t² − d_{t+1}²) / (2 α_t) become, if every d_t is at most D?",
                 "Two sums: the distances give at most D² √G_T / (2α), and Σ g_t² / √G_t is at "
                 "most 2 √G_T.",
                 "The bound is (D² / (2α) + α) √G_T. Its derivative in α is zero at D / √2."],
          followups=[
              ("How much is lost against the best rate in hindsight?",
               "The bounds are D √G and √2 D √G: a factor of 1.41. D is larger, too: the largest "
               "distance on the way, where hindsight has the distance of the start."),
              ("Why is Σ g_t² / √G_t at most 2 √G_T?",
               "With G_{t−1} = G_t − g_t², √G_t − √G_{t−1} is at least g_t² / (2 √G_t): the root "
               "is concave. Add up; the left side telescopes."),
              ("Does the bound say that Adagrad is better than one rate for all weights?",
               "Weight by weight it adds up to D Σ_j √G_j, against D √(d Σ_j G_j) for one rate: "
               "never more, and equal only if all G_j are. It is a bound, not a loss.")],
          rows=["R010"])
def adagrads_bound(answer, rng):
    for size in rng.permutation([1, 1e-4, 1e3]):
        gradients, D = size * rng.normal(size=rng.integers(5, 40)), rng.uniform(0.5, 5)
        gradients[0 if size < 1 else rng.integers(len(gradients))] = 0
        case = f"{len(gradients)} gradients, D = {D:.3g}"
        alpha, bound = expect_parts(answer.call("adagrads_bound", gradients, D), 2, case=case,
                                    what="the best α and the bound there")
        root = np.sqrt(np.sum(gradients**2))
        expect_close(alpha, D / np.sqrt(2), case=f"{case}, the best α", rtol=3e-6, mistakes={
            "this is the best fixed rate in hindsight; Adagrad's α has no G in it": D / root,
            "the two terms are not equal at your α, as they are at the best one: the second is "
            "twice the first (note that Σ g²/√G goes up to 2 √G, not √G)": D,
            "the two terms are not equal at your α, as they are at the best one: the second is "
            "four times the first": np.sqrt(2) * D},
            usually="your bound has two terms, of the distances and of the gradients, and at the "
                    "best α its derivative is zero")
        expect_close(bound, np.sqrt(2) * D * root, case=f"{case}, the bound", atol=0, mistakes={
            "this is D √G, the bound of hindsight; not knowing costs a factor": D * root,
            "the root over the sum of squares is missing": np.sqrt(2) * D * root**2,
            "one of the two terms is missing: at the best α they are equal": D * root / np.sqrt(2)},
            usually="put the best α into both terms of the bound")
