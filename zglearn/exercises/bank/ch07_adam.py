"""Chapter 07: Adam, AdamW and AMSGrad."""

import numpy as np

from zglearn import Objective
from zglearn.exercises.exercise import (
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_form,
    incorrect,
)
from zglearn.exercises.replay import by_iterates, by_path, by_steps


def adam_points(gradient, x, steps, *, lr, beta1=0.9, beta2=0.999, eps=1e-8, first=1,
                forget=False, rooted=True, inside=False, largest="", l2=0.0, decay=0.0, after=0.0):
    """The iterates of Adam, (steps, d), and of its usual mistakes.

    `first` is the first step's t; `forget` sets the means to zero in every step; `rooted=False`
    corrects v without dividing by it, `inside` puts ε under the root; `largest` is AMSGrad, by the
    largest "v" or "corrected" v; `l2` is added to the gradient, `decay` and `after` are the shares
    by which the weights shrink before and after the step.
    """
    m, v, top, points = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x), []
    for t in range(first, first + steps):
        if forget:
            m, v = np.zeros_like(x), np.zeros_like(x)
        g = gradient(x) + l2 * x
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        correction = 1 - beta2**t
        top = np.maximum(top, v / correction if largest == "corrected" else v)
        v_hat = {"": v / correction, "v": top / correction, "corrected": top}[largest]
        scale = np.sqrt(v_hat + eps) if inside else np.sqrt(v_hat) + eps
        scale = scale if rooted else np.sqrt(correction)
        x = (1 - decay) * x - lr * m / (1 - beta1**t) / scale
        x = (1 - after) * x
        points.append(x)
    return np.array(points)


choice(
    "07.1", "A signature with too much and too little", difficulty=1, minutes=4, points=1,
    right="b",
    options={
        "a": "Try to write the correction 1 − β₁ᵗ with these arguments: there is no t. And look "
             "for a place where the update reads the gradient of the step before.",
        "b": "m holds all that Adam knows of the past gradients, so the last one is of no use; and "
             "the corrections 1 − β₁ᵗ and 1 − β₂ᵗ need to know which step this is. m, v and t are "
             "the state, and must be returned as well, or live in an object.",
        "c": "t cannot be read off m and v: they depend on the gradients, too. And momentum's "
             "memory is m; a difference of gradients appears nowhere in Adam.",
        "d": "Adam never looks at the loss, and v needs only the square of the gradient: it is no "
             "second derivative.",
    },
    hints=["Go through the update line by line. Which symbol does each line read?",
           "m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², then 1 − β₁ᵗ and 1 − β₂ᵗ.",
           "W, g = dW, m, v, and ... Which argument is never read, which symbol has no argument?"],
    followups=[
        ("What does a checkpoint have to hold, so that training goes on as if never stopped?",
         "The weights, m, v and t: three numbers per parameter and a counter. With t lost, the "
         "corrections start again and the first steps are wrong."),
        ("How much memory does Adam take for a model with d parameters, beyond the weights and the "
         "gradient?", "2d numbers: m and v.")],
    rows=["R088", "R014", "E48", "E40"],
)


@exercise("07.2", "Too long a step", kind="derive", difficulty=2, minutes=8, points=2,
          names=["uncorrected_step"],
          hints=["Write m after one, two, three steps with g = 1. Which sum is it?",
                 "m = (1 − β₁)(1 + β₁ + … + β₁ᵗ⁻¹) = 1 − β₁ᵗ, and v = 1 − β₂ᵗ.",
                 "the step is m / √v: put the two in"],
          followups=[
              ("Why is Adam without correction too fast at first, and not too slow?",
               "Both means start too small, but v by far more (its memory is longer), and it "
               "stands under the fraction bar."),
              ("For which β₂ is the first step right without any correction, if β₁ = 0.9?",
               "1 − β₁ = √(1 − β₂), so β₂ = 0.99: 0.1 = √0.01. Later steps are then up to twice "
               "too long."),
              ("RMSprop has no correction. What is done about it?",
               "Often nothing: its first step is 1/√(1 − ρ) times as long, 10 for ρ = 0.99. A "
               "warm-up of the learning rate hides it.")],
          rows=["R016", "R009", "E44"])
def uncorrected_step(answer, rng):
    for t in (int(rng.integers(5, 50)), 2, 5000, 1):
        beta1, beta2 = rng.uniform(0.5, 0.95), rng.uniform(0.97, 0.999)
        case = f"t = {t}, beta1 = {beta1:.3f}, beta2 = {beta2:.4f}"
        m, v = 1 - beta1**t, 1 - beta2**t
        expect_close(answer.call("uncorrected_step", t, beta1, beta2), m / np.sqrt(v), case=case,
                     mistakes={
                         "this is the step with both corrections": 1.0,
                         "the root of v was forgotten": m / v,
                         "the first step was counted as t = 0":
                             (1 - beta1 ** (t + 1)) / np.sqrt(1 - beta2 ** (t + 1)),
                         "this is what the correction multiplies by, not what is wrong without it":
                             np.sqrt(v) / m,
                         "this is the first step for every t": (1 - beta1) / np.sqrt(1 - beta2)},
                     usually="with a steady gradient of 1, m = 1 - beta1^t and v = 1 - beta2^t")


@exercise("07.3", "Adam from the paper", kind="implement", difficulty=2, minutes=12, points=3,
          in_place=(0,),
          names=["Adam"],
          hints=["Which three things must survive from one call of `step` to the next?",
                 "t ← t + 1; m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; m̂ = m/(1 − β₁ᵗ); "
                 "v̂ = v/(1 − β₂ᵗ); step −α m̂/(√v̂ + ε).",
                 "__init__: keep the settings, set m = v = 0 and t = 0\n"
                 "step: count, update m and v, correct both, return the new weights"],
          followups=[
              ("A weight has had no gradient so far. What does it do?",
               "m̂ = 0 and v̂ = 0, so the step is 0/(0 + ε) = 0. Without ε it would be 0/0."),
              ("Why is the first step ±α in every coordinate, whatever the gradient?",
               "After correction m̂ = g and v̂ = g², so the ratio is the sign of g."),
              ("What is the longest possible step?",
               "One gradient after a long silence makes α (1 − β₁)/√(1 − β₂), 3.16 α with the "
               "defaults: the bound in the paper. It is none: if gradients go on after the "
               "silence, steps reach 6.57 α, and if they grow by β₂/β₁ a step, 7.27 α. By Cauchy "
               "and Schwarz that is the longest: the paper's number over √(1 − β₁²/β₂).")],
          rows=["R112", "R088", "R096", "R014", "R017", "E40", "E45"],
          replay=by_steps("Adam", {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}, {
              "count of the steps": ("t", "step_count", "count", "n", "k"),
              "mean of the gradients": ("m", "first", "exp_avg"),
              "second moment": ("v", "second", "exp_avg_sq")}))
def adam_class(answer, rng):
    lr, beta1, beta2 = rng.uniform(0.01, 0.1), rng.uniform(0.7, 0.95), rng.uniform(0.97, 0.999)
    settings = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": 1e-8}
    d = int(rng.integers(5, 9))
    weights = rng.normal(size=d)
    gradients = rng.normal(size=(6, d)) * np.geomspace(3, 0.1, 6)[:, None]  # AMSGrad would not turn
    gradients[:2, 0] = 0
    first, root = gradients[0], (1 - beta1) / np.sqrt(1 - beta2)
    optimizer = answer.make("Adam", lr, beta1, beta2, 1e-8)
    x = own = weights
    for t in range(1, 7):
        got = as_array(optimizer.call("step", x, gradients[t - 1]), case=f"step {t}", shape=(d,))

        def points(x=x, t=t, **mistake):
            feed = iter(gradients)
            path = adam_points(lambda x: next(feed), weights, t, **settings | mistake)
            return x + path[-1] - (path[-2] if t > 1 else weights)

        if t == 1:
            sign = np.sign(first)
            expect_close(got, points(), case="the first step", mistakes={
                "it goes uphill": weights + lr * sign,
                "bias correction is missing: the step should be lr in each coordinate":
                    weights - lr * root * sign,
                "only m is corrected": weights - lr / np.sqrt(1 - beta2) * sign,
                "only v is corrected": weights - lr * (1 - beta1) * sign,
                "v is corrected but never divides the step": points(rooted=False)},
                usually="a first step that is not lr in size, in each coordinate: is it that m and "
                        "v start at zero, that both are corrected, and with t = 1?")
        swapped = settings | {"beta1": beta2, "beta2": beta1}
        others = {} if t == 1 else {
            "m and v are set to zero in every step": points(forget=True),
            "t stays at 1": x + _counting_stuck(weights, gradients[:t], settings)
            - _counting_stuck(weights, gradients[:t - 1], settings),
            "it goes on from where it led itself, not from the weights that it is given":
                points(own),
            "β₁ and β₂ are exchanged": points(**swapped),
            "v never falls, as in AMSGrad": points(largest="v"),
            "the corrected v never falls, as in AMSGrad": points(largest="corrected")}
        expect_close(got, points(), case=f"step {t}", start=x, mistakes=others,
                     usually="the first step was right, so look at what is carried on to the next: "
                             "m, v and t, each brought up to date once a step")
        own, x = points(own), rng.normal(size=d)  # another may have moved the weights
    other = answer.make("Adam", lr, beta1, beta2, 1e-8)
    expect_close(other.call("step", weights, first), weights - lr * np.sign(first),
                 case="the first step of a second optimizer",
                 usually="the state belongs to the class, so all optimizers share it: set it in "
                         "`__init__`, on `self`")
    eps, size = rng.uniform(0.05, 0.2), np.abs(first)
    expect_close(answer.make("Adam", lr, beta1, beta2, eps).call("step", weights, first),
                 weights - lr * first / (size + eps), case=f"the first step with ε = {eps:.2g}",
                 mistakes={
                     "ε stands inside the root": weights - lr * first / np.sqrt(size**2 + eps),
                     "ε is added before v is corrected":
                         weights - lr * first / (size + eps / np.sqrt(1 - beta2)),
                     "ε is not used": weights - lr * np.sign(first)},
                 usually="ε is not added to the root of the corrected v")
    matrix, G = rng.normal(size=(2, 3, int(rng.integers(4, 7))))
    lr, beta1, beta2 = lr / 2, beta1 / 2, beta2 - 0.1
    expect_close(answer.make("Adam", lr, beta1, beta2, 1e-8).call("step", matrix, G),
                 matrix - lr * np.sign(G), case=f"weights of shape {matrix.shape}",
                 usually="the shape of the weights is fixed")


def _counting_stuck(x, gradients, settings):
    """Where Adam ends that corrects as if every step were the first."""
    lr, beta1, beta2, eps = settings.values()
    m = v = np.zeros_like(x)
    for g in gradients:
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        x = x - lr * m / (1 - beta1) / (np.sqrt(v / (1 - beta2)) + eps)
    return x


@exercise("07.4", "Repair: three bugs in one Adam", kind="debug", difficulty=2, minutes=10,
          points=3, names=["adam_path"],
          hints=["Run it and see where the first nan comes from. Then ask which variables are "
                 "computed and never read, and which lines should run only once.",
                 "1 − β⁰ = 0, so t must be 1 at the first correction. The step divides by the "
                 "root of v̂. m and v are zero before the first step, not before every step.",
                 "before the loop: m = v = 0; for t in range(1, steps + 1): g, m, v, then "
                 "x − lr m̂/(√v̂ + eps)"],
          followups=[
              ("Only one of the three bugs shows as nan. How would you have found the others?",
               "By a property: multiply the loss by 1000, and a right Adam takes the same path. "
               "Or against a library, on the same recorded gradients."),
              ("Why is a warning from NumPy about a division worth an exception?",
               "One nan in one weight spreads to all of them at the next step; the loss tells you "
               "only that something went wrong somewhere, some time ago.")],
          rows=["R096", "E43", "E44", "E45"],
          replay=by_path("adam_path", {"lr": 0.1, "beta1": 0.9, "beta2": 0.99}, {
              "count of the steps": ("t",), "mean of the gradients": ("m",),
              "second moment": ("v",), "corrected mean": ("m_hat", "mhat"),
              "corrected second moment": ("v_hat", "vhat")},
                         lambda made, gradient, gradients, x0, steps, lr, beta1, beta2:
                         made(gradient, x0, lr, steps, beta1=beta1, beta2=beta2)))
def adam_path(answer, rng):
    steps, lr = int(rng.integers(12, 17)), rng.uniform(0.05, 0.2)
    sizes = iter(rng.permutation([3, 4, 5]))
    own = {"beta1": rng.uniform(0.6, 0.8), "beta2": rng.uniform(0.9, 0.95),
           "eps": rng.uniform(0.1, 0.3)}
    for settings, scale in ((own, 1), ({}, 1e-8), ({}, 1)):  # 1e-8 shows the ε of the signature
        d = next(sizes)
        h, x0, centre = scale * rng.uniform(1, 5, size=d), *2 * rng.normal(size=(2, d))
        h[0] = 0
        case = (f"{steps} steps" + (f", the gradients around {scale:g}" if scale < 1 else "")
                + "".join(f", {name} = {value:.3g}" for name, value in settings.items()))
        _adam_path(answer, h, x0, centre, lr, steps, case, settings)


def _adam_path(answer, h, x0, centre, lr, steps, case, settings):
    def gradient(x):
        return h * np.tanh(np.asarray(x, dtype=float) - centre)

    got = answer.call("adam_path", gradient, x0, lr, steps, **settings)
    if got is not None and np.shape(got) == (steps + 1, len(x0)):
        _expect_finite(np.asarray(got, dtype=float), case)
    path = as_array(got, case=case, shape=(steps + 1, len(x0)))
    expect_close(path[0], x0, case="the first point of the path, which is the start",
                 usually="the start point was changed, or left out")

    def right(**how):
        return adam_points(gradient, x0, steps, **{"lr": lr} | settings | how)

    used = {} if not settings else {
        "ε stands inside the root": right(inside=True),
        "eps is not used": right(eps=1e-30),
        "beta1 and beta2 are exchanged":
            right(beta1=settings["beta2"], beta2=settings["beta1"]),
        "beta1 is not used, but 0.9": right(beta1=0.9),
        "beta2 is not used, but 0.999": right(beta2=0.999)}
    expect_close(path[1:], right(), case=case, start=x0, mistakes={
        "m and v are still set to zero in every step": right(forget=True),
        "v is still computed and never used": right(rooted=False),
        "neither v is used nor are the means carried on": right(rooted=False, forget=True),
        "t is 2 at the first step": right(first=2), **used},
        usually="a line that differs from the chapter's formulas: go through them one by one")


def _expect_finite(points, case):
    """Say where the points (steps, d) of Adam cease to be numbers; coordinate 0 has no gradient."""
    finite = np.isfinite(points)
    if finite.all():
        return
    if finite[:, 1:].all():
        incorrect(f"{case}: there is nan or infinity in the coordinate that never has a gradient, "
                  "and in no other. g, m and v are zero there: what is divided by zero?")
    incorrect(f"{case}: there is nan or infinity, from point {np.argmin(finite.all(axis=1))} on. "
              "Print t, m, v and both corrections for the step to that point: which of them is "
              "zero, or negative under a root?")


SETTINGS = ("momentum", "rmsprop", "adam", "adam with L2", "adamw")


@exercise("07.5", "Predict: the loss times a thousand", kind="predict", difficulty=2, minutes=6,
          points=2, names=["answer_07_5"],
          hints=["Which of the updates divide by something that grows with the gradient?",
                 "With L2, the gradient is 1000 ∇f + λx. Which part grows by a thousand?",
                 "Go through the five: is the step the same if ∇f is multiplied by 1000 "
                 "everywhere? Decoupled decay does not touch the gradient."],
          followups=[
              ("A colleague changes the loss from the mean over a batch to the sum. Which settings "
               "must be tuned again?",
               "For gradient descent and momentum the learning rate; for Adam with L2 the λ; for "
               "AdamW nothing, apart from ε if gradients are tiny."),
              ("Why then do people clip gradients before Adam?",
               "A single huge gradient stays in v for 1/(1 − β₂) steps and slows everything down; "
               "clipping bounds that. It breaks the invariance, too.")],
          rows=["R017", "R040", "E43"])
def loss_times_a_thousand(answer, rng):
    chosen = answer.value("answer_07_5")
    expect_form(hasattr(chosen, "__iter__") and not isinstance(chosen, str),
                'give a list of names, such as ["momentum", "adam"]')
    chosen = [str(name).strip().lower() for name in chosen]
    for name in chosen:
        expect_form(name in [s.lower() for s in SETTINGS],
                    f"{name!r} is not one of the five: {', '.join(SETTINGS)}")
    chosen = set(chosen)
    expect("momentum" not in chosen,
           "momentum adds up gradients as they are: a thousand times the loss makes steps a "
           "thousand times as long.")
    expect("adam with l2" not in chosen,
           "with L2 the gradient is 1000 ∇f + λx: only one of the two parts has grown, so the "
           "decay counts a thousand times less than before.")
    missing = {"rmsprop", "adam", "adamw"} - chosen
    expect("adamw" not in missing,
           "AdamW's decay never enters the gradient, and the rest is Adam: nothing changes.")
    expect(not missing, f"{' and '.join(sorted(missing))}: gradients a thousand times as large "
                        "are divided by a root a thousand times as large.")
    return "RMSprop, Adam and AdamW take the same path. L2 inside the gradient breaks it."


@exercise("07.6", "How sure is a direction?", kind="derive", difficulty=2, minutes=8, points=2,
          names=["sure_step"],
          hints=["What does v̂ tend to, if it averages g² over very many steps? It is not the "
                 "variance.",
                 "E[g²] = mean² + spread². And m̂ tends to the mean.",
                 "m̂/√v̂ with both limits put in"],
          followups=[
              ("What would happen with a steady gradient if v were the variance?",
               "It would be zero, and the step would be lr · g/ε: enormous."),
              ("What does the batch size do to this number?",
               "A batch k times as large divides the spread by √k. Where noise dominates, a step "
               "at the same rate grows by √k. But there are k times fewer steps for as many "
               "examples, so each has to lead k times as far: the other √k is the learning rate's. "
               "That is the square-root rule (Malladi et al. 2022), and 1 − β grows by k, so that "
               "the averages span as many examples. Where the noise is small, neither holds."),
              ("So does Adam stop by itself near a minimum?",
               "It slows down, for there the mean goes to zero and the noise stays. But m̂ keeps a "
               "spread of its own, so it goes on jittering; hence learning-rate schedules.")],
          rows=["R015", "E47", "E46"])
def sure_step(answer, rng):
    for mean, spread in ((rng.uniform(0.5, 3), rng.uniform(0.5, 5)),
                         (-rng.uniform(0.5, 3), rng.uniform(0.5, 5)), (2.0, 0.0)):
        case = f"mean {mean:.3g}, spread {spread:.3g}"
        mistakes = {
            "the step always has full length: the noise in v was left out": np.sign(mean),
            "the root of v is missing": mean / (mean**2 + spread**2),
            "the sign is lost: it should follow the mean":
                abs(mean) / np.hypot(mean, spread)}
        if spread:
            mistakes["v was taken for the variance; it is the mean square"] = mean / spread
        expect_close(answer.call("sure_step", mean, spread), mean / np.hypot(mean, spread),
                     case=case, mistakes=mistakes,
                     usually="v tends to mean² + spread², and the step is m over its root")


@exercise("07.7", "AdamW", kind="implement", difficulty=2, minutes=10, points=3,
          names=["my_adamw"],
          hints=["Which line of Adam reads the gradient, and which line moves the weights? Where "
                 "does the decay belong?",
                 "x ← x − α λ x − α m̂/(√v̂ + ε), with g = ∇f(x) and nothing added to it.",
                 "take Adam's lines; before the step insert x = x − lr · weight_decay · x"],
          followups=[
              ("For plain gradient descent, L2 and decay are the same. Show it.",
               "x − α(∇f + λx) = (1 − αλ)x − α∇f."),
              ("A weight has had no gradient for a long time. What do L2 and AdamW do with it?",
               "Under L2 its gradient is λx alone, which Adam scales up to a full step α, however "
               "small λ: it walks to zero fast. Under AdamW it shrinks by 1 − αλ a step."),
              ("Why is the decay usually switched off for biases and normalization gains?",
               "Shrinking them does not make the function smoother, and can make it useless: a "
               "gain of zero is a dead layer.")],
          rows=["R040", "R014", "E50"],
          replay=by_iterates(
              "my_adamw", {"lr": 0.1, "weight_decay": 0.5, "beta1": 0.9, "beta2": 0.99}, {
              "count of the steps": ("t",), "mean of the gradients": ("m",),
              "second moment": ("v",), "corrected mean": ("m_hat", "mhat"),
              "corrected second moment": ("v_hat", "vhat")}))
def my_adamw(answer, rng):
    n, sizes = int(rng.integers(10, 15)), iter(rng.permutation([3, 4, 5]))
    lr, decay = rng.uniform(0.05, 0.1), rng.uniform(0.5, 2)
    own = {"beta1": rng.uniform(0.6, 0.8), "beta2": rng.uniform(0.9, 0.95),
           "eps": rng.uniform(0.1, 0.3)}
    after = []
    for settings, scale in ((own, 1), ({}, 1e-8), ({}, 1)):
        d = next(sizes)
        h, centre, x0 = scale * rng.uniform(0.5, 5, size=d), *rng.normal(size=(2, d))
        h[0] = 0  # a weight without a gradient decays all the same
        case = (f"{n} steps" + (f", the gradients around {scale:g}" if scale < 1 else "")
                + "".join(f", {name} = {value:.3g}" for name, value in settings.items()))
        after.append(_my_adamw(answer, h, centre, x0, n, lr, decay, case, settings))
    return "Your decay comes after the step, PyTorch's before it. Both are AdamW." if all(
        after) else None


def _my_adamw(answer, h, centre, x0, n, lr, decay, case, settings):
    """Whether the decay comes after the step; both are right."""
    def gradient(x):
        return h * np.tanh(x - centre)

    f = Objective(lambda x: np.sum(h * np.log(np.cosh(x - centre)), axis=-1), gradient,
                  batched=True)
    got = answer.iterates("my_adamw", f, x0, n, lr=lr, weight_decay=decay, **settings)
    expect(n <= f.gradients <= n + 1 and not f.evaluations, f"{case}: f.grad was asked "
           f"{f.gradients} times, and f itself {f.evaluations} times. Every step asks for one "
           "gradient, and no loss.")
    _expect_finite(got, case)

    def points(**how):
        return adam_points(gradient, x0, n, **{"lr": lr} | settings | how)

    if np.allclose(got, points(after=lr * decay), rtol=1e-5, atol=1e-6):
        return True
    used = {} if not settings else {
        "ε stands inside the root": points(decay=lr * decay, inside=True),
        "eps is not used": points(decay=lr * decay, eps=1e-30),
        "beta1 and beta2 are exchanged":
            points(decay=lr * decay, beta1=settings["beta2"], beta2=settings["beta1"]),
        "beta1 is not used, but 0.9": points(decay=lr * decay, beta1=0.9),
        "beta2 is not used, but 0.999": points(decay=lr * decay, beta2=0.999)}
    expect_close(got, points(decay=lr * decay), case=case, start=x0, mistakes={
        "this is Adam: the weights do not decay": points(),
        "the decay is still inside the gradient, so it is divided by √v like the rest (L2)":
            points(l2=decay),
        "the decay is not multiplied by the learning rate": points(decay=decay),
        "the weights grow: the sign of the decay is wrong": points(decay=-lr * decay), **used},
        usually="Adam's own step, or the share by which the weights shrink: try it with "
                "weight_decay = 0, where it must be Adam")
    return False


choice(
    "07.8", "Predict: rare news", kind="predict", difficulty=2, minutes=5, points=1, right="c",
    options={
        "a": "Gradient descent and AMSGrad do go left. But look at what Adam divides by: at the "
             "big gradient v is large, at the small ones, two steps later, it has been forgotten.",
        "b": "The average slope is what counts for gradient descent. Adam weighs each gradient by "
             "the size of the recent ones, and with β₂ = 0.1 recent means one step.",
        "c": "At the big gradient the step is about −1.05 lr; then come two steps to the right, of "
             "about 0.76 lr and 0.97 lr. Sum: to the right. AMSGrad divides all three by the same "
             "root, and so keeps their proportions.",
        "d": "AMSGrad remembers the largest v, so its divisor is the same at all three, and the "
             "steps have the proportions of the gradients: left.",
    },
    hints=["With β₁ = 0 the step is −lr g/√v̂. Work out v̂ at the three gradients of a cycle.",
           "In the cycle v ← 0.1 v + 0.9 g² is about 8.2, then 1.7, then 1.1.",
           "Add the three steps: −3/√8.2 + 1/√1.7 + 1/√1.1. Which way does the sum point?"],
    followups=[
        ("Would β₂ = 0.999 help?",
         "Here yes: v is then almost constant over a cycle, about 11/3, and the three steps keep "
         "their proportions. In general the memory has to outlast the rarest news."),
        ("What does the example say about training networks?",
         "That convergence of Adam is not guaranteed for fixed β₂, even for convex losses. It is "
         "no forecast: this cycle was built to make Adam fail.")],
    rows=["E50", "R015"],
)
