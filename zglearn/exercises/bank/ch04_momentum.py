"""Chapter 04: momentum."""

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
from zglearn.exercises.replay import by_path, by_steps

choice(
    "04.1", "What is missing from this signature?", difficulty=1, minutes=3, points=1,
    right="c",
    options={
        "a": "`beta` says how much of the past to keep. It is the same number at every call: the "
             "past itself, the velocity, has to be stored somewhere.",
        "b": "With the gradient alone you can write one step of gradient descent. The second call "
             "must know what the first one did.",
        "c": "Two things are missing. The gradient is all that the method learns about the loss, "
             "and the velocity is its memory. Without the memory it is gradient descent.",
        "d": "Momentum knows nothing of second derivatives: it adds up gradients. Newton's method "
             "would need the Hessian.",
    },
    hints=["Which numbers does the update rule read? Which of them does the caller pass in?",
           "v ← β v + ∇f(x), then x ← x − α v. Where does each symbol on the right come from?",
           "x is `weights`, α is `lr`, β is `beta`. What about ∇f(x), and about the old v?"],
    followups=[
        ("How would you write the signature?",
         "As a class with a `step(weights, gradient)` method, or as a function that takes and "
         "returns the velocity. Both make the state explicit."),
        ("What happens at the first call?",
         "The velocity starts at zero, so the first step is a plain gradient step.")],
    rows=["R087", "E40", "E38"],
)


@exercise("04.2", "Terminal velocity", kind="derive", difficulty=1, minutes=6, points=2,
          names=["terminal_step"],
          hints=["What does it mean for the velocity to have settled? Write it as an equation.",
                 "v = β v + g for the one, v = β v + (1 − β) g for the other. Solve for v.",
                 "undamped: v = g / (1 − β), and the step is −α v. Do the same for the other."],
          followups=[
              ("You switch a program from the averaged to the undamped form with β = 0.9. What do "
               "you do with the learning rate?",
               "Divide it by ten: the undamped velocity is 1 / (1 − β) = 10 times as large."),
              ("Why does a β of 0.99 often need a smaller learning rate than 0.9?",
               "On a steady slope the effective learning rate is α / (1 − β): a hundred α in the "
               "place of ten.")],
          rows=["R008", "R009", "E37"])
def terminal_step(answer, rng):
    for _ in range(3):
        g, lr, beta = rng.normal(), rng.uniform(0.01, 1), rng.uniform(0.3, 0.97)
        case = f"g = {g:.3f}, lr = {lr:.3f}, beta = {beta:.3f}"
        steps = expect_parts(answer.call("terminal_step", g, lr, beta), 2, case=case,
                             what="the undamped and the averaged step")
        undamped, averaged = -lr * g / (1 - beta), -lr * g
        if np.allclose(np.array(steps, dtype=float), [averaged, undamped]):
            incorrect(f"{case}: these are the right two numbers in the wrong order. "
                      "The undamped one comes first.")
        expect_close(steps[0], undamped, case=f"{case}, undamped", mistakes={
            "it goes uphill: the step is minus the velocity": -undamped,
            "this is the velocity, and the step is -lr times that": g / (1 - beta),
            "this is the spread of the velocity under noise; a steady slope adds up fully":
                -lr * g / np.sqrt(1 - beta**2)},
            usually="a settled velocity is one that the next update leaves as it is: is yours?")
        expect_close(steps[1], averaged, case=f"{case}, averaged", mistakes={
            "the factor 1 - beta, which scales each gradient here, was left out": undamped},
            usually="a settled velocity is one that the next update leaves as it is; in this "
                    "convention the update scales each gradient")


@exercise("04.3", "An optimizer that remembers", kind="implement", difficulty=2, minutes=10,
          points=3, in_place=(0,), names=["Momentum"],
          hints=["What has to survive from one call of `step` to the next? Where does an object "
                 "keep such things?",
                 "self.velocity = beta * self.velocity + gradient; the new weights are "
                 "weights - lr * self.velocity.",
                 "def __init__: store lr and beta, set self.velocity = 0.0\n"
                 "def step: update self.velocity, then return the new weights"],
          followups=[
              ("How much memory does it take for a model with d parameters?",
               "d numbers more: one velocity per parameter. Adam keeps two."),
              ("What must a checkpoint save, so that training goes on as if never stopped?",
               "The weights and the velocity (and the step count, if there is a schedule)."),
              ("Why is a velocity stored on the class a bug?",
               "All instances share it: two models, or two runs in one notebook, push each "
               "other.")],
          rows=["R111", "R095", "R087", "E38", "E39"],
          replay=by_steps("Momentum", {"lr": 0.02, "beta": 0.9},
                          {"velocity": ("velocity", "v", "m", "momentum", "buf")}))
def momentum_class(answer, rng):
    lr, beta = rng.uniform(0.05, 0.2), rng.uniform(0.7, 0.95)
    d = int(rng.integers(4, 9))
    weights, gradients = rng.normal(size=d), rng.normal(size=(4, d))
    gradients[2, :2] = 0  # where the velocity goes on
    optimizer = answer.make("Momentum", lr, beta)
    velocity, x, own = np.zeros(d), weights, weights
    for t, g in enumerate(gradients, 1):
        got = optimizer.call("step", x, g)
        velocity = beta * velocity + g
        if t == 1:
            expect_close(got, x - lr * g, case="the first step", mistakes={
                "it goes uphill": x + lr * g,
                "the gradient is multiplied by 1 - beta; here the first step should be the plain "
                "one": x - lr * (1 - beta) * g,
                "this is Nesterov's step, 1 + beta times as long; here the first step should be "
                "the plain one": x - lr * (1 + beta) * g},
                usually="the velocity does not start at zero")
        expect_close(got, x - lr * velocity, case=f"step {t}", start=x, mistakes={
            "the velocity of the earlier steps is forgotten": x - lr * g,
            "it goes on from where it led itself, not from the weights that it is given":
                own - lr * velocity},
            usually="the velocity is not carried on as beta times the old one, plus the gradient")
        own, x = own - lr * velocity, rng.normal(size=d)  # another may have moved the weights
    other = answer.make("Momentum", lr, beta)
    expect_close(other.call("step", weights, gradients[0]), weights - lr * gradients[0],
                 case="the first step of a second optimizer",
                 usually="the velocity belongs to the class, so all optimizers share it: keep it "
                         "on `self`, and set it in `__init__`")
    matrix, G = rng.normal(size=(2, 3, int(rng.integers(4, 7))))
    lr, beta = lr / 2, beta / 2
    expect_close(answer.make("Momentum", lr, beta).call("step", matrix, G), matrix - lr * G,
                 case=f"weights of shape {matrix.shape}",
                 usually="the shape of the weights is fixed")


@exercise("04.4", "Repair: the velocity that is always new", kind="debug", difficulty=2,
          minutes=8, points=2, names=["momentum_path"],
          hints=["Which line should run once, and runs at every step? And how many different "
                 "arrays are there in `path`?",
                 "The velocity must be set to zero before the loop. `x += velocity` changes the "
                 "array in place, and `path` holds the same array many times.",
                 "copy x0; set velocity to zeros; in the loop update velocity, then "
                 "x = x + velocity, then append"],
          followups=[
              ("Why did the broken version not raise an error?",
               "It computes something valid: gradient descent. Only a comparison with what it "
               "should do shows the mistake."),
              ("When is updating in place the right choice?",
               "When memory is short and the caller knows of it, as in training a large model. A "
               "function that does not own an array should not change it.")],
          rows=["E38", "E39", "R095"], variants=[
              {"trap": "velocity = 0.0\n        velocity = beta * velocity - lr * gradient(x)"},
              {"trap": "velocity = np.zeros_like(x)\n        velocity -= lr * gradient(x)"}],
          replay=by_path(
              "momentum_path", {"lr": 0.02, "beta": 0.9}, {"velocity": ("velocity", "v")},
              lambda made, gradient, gradients, x0, steps, lr, beta:
              made(gradient, x0, lr, beta, steps)))
def momentum_path(answer, rng):
    for d in rng.choice(range(2, 6), size=2, replace=False).tolist():
        _momentum_path(answer, d, rng)


def _momentum_path(answer, d, rng):
    steps = int(rng.integers(9, 14))
    h, x0 = rng.uniform(0.5, 5, size=d), rng.normal(size=d)
    lr, beta = rng.uniform(0.02, 0.1), rng.uniform(0.6, 0.9)

    def gradient(x):
        return h * np.sinh(np.clip(x, -3, 3))

    case = f"{steps} steps, lr = {lr:.3g}, beta = {beta:.3g}"
    path = as_array(answer.call("momentum_path", gradient, x0, lr, beta, steps), case=case,
                    shape=(steps + 1, d))

    def right(beta, at_start=False):
        x, v, points = x0, 0.0, [x0]
        for _ in range(steps):
            v = beta * v - lr * gradient(x0 if at_start else x)
            x = x + v
            points.append(x)
        return np.array(points)

    if np.ptp(path, axis=0).max() == 0:
        expect((path[0] != x0).any(), f"all {steps + 1} points of the path are the start: nothing "
               "moves it. Is a velocity other than zero added to it, and is the gradient asked "
               "there?")
        incorrect(f"all {steps + 1} points of the path are the same: they are one array, changed "
                  "in place. Make a new array at every step, and leave the caller's alone.")
    expect_close(path[0], x0, case="the first point of the path, which is the start",
                 usually="the start point was changed in place")
    expect_close(path, right(beta), case=case, start=x0, mistakes={
        "the velocity is still set to zero in every step": right(0.0),
        "the gradient is always asked at the start": right(beta, at_start=True)},
        usually="the gradient is not asked at the current point, or the velocity is not carried on")


@exercise("04.5", "Two libraries, one schedule", kind="implement", difficulty=2, minutes=10,
          points=3, names=["two_forms"],
          hints=["In which of the two does an old gradient keep the learning rate of its own time?",
                 "Inside: v ← β v + α_t g_t and x ← x − v. Outside: v ← β v + g_t and "
                 "x ← x − α_t v. Both start from x = 0 and v = 0.",
                 "two velocities u and v, two positions x and y; one loop over "
                 "zip(gradients, lrs); append both positions after every step"],
          followups=[
              ("The learning rate drops tenfold. Which form slows down at once?",
               "The outer one: the new rate multiplies the whole velocity. Inside, the old "
               "gradients keep their old rate until they fade, after about 1 / (1 − β) steps."),
              ("You port a training script with a schedule from one library to another, and the "
               "loss curves differ. What do you check first?",
               "Where the learning rate stands in the momentum update, then damping, and whether "
               "Nesterov is on.")],
          rows=["R007", "R111"])
def two_forms(answer, rng):
    for n in rng.choice(range(6, 11), size=2, replace=False).tolist():
        _two_forms(answer, n, rng)


def _two_forms(answer, n, rng):
    beta = rng.uniform(0.5, 0.95)
    gradients, lrs = rng.normal(size=n), 0.1 * rng.uniform(0.2, 1, size=n)
    gradients[rng.integers(2, n)] = 0
    got = expect_parts(answer.call("two_forms", gradients, lrs, beta), 2,
                       case=f"{n} gradients and rates", what="the inner and the outer form")
    u = v = 0.0
    steps = []
    for g, lr in zip(gradients, lrs, strict=True):
        u, v = beta * u + lr * g, beta * v + g
        steps.append((-u, -lr * v))
    steps = np.array(steps).T
    inside, outside = np.cumsum(steps, axis=1)
    got = [as_array(part, case=f"{n} gradients and rates", shape=(n,)) for part in got]
    if np.allclose(got, [outside, inside]):
        incorrect("these are the right positions in the wrong order: the form with the rate inside "
                  "the velocity comes first.")
    constant = np.cumsum([-lrs[0] * sum(beta ** (t - s) * gradients[s] for s in range(t + 1))
                          for t in range(n)])
    if np.allclose(got[1], constant):
        incorrect("every step uses the first learning rate. There is one for each step: `lrs[t]`.")
    if np.allclose(got[0], got[1]):
        incorrect("both forms gave the same positions, but the learning rate changes here, and "
                  "then they part: inside, each gradient keeps the rate of its own step.")
    expect_close(got[0], inside, case="the rate inside", mistakes={
        "these are the steps; positions are their running sum, from 0": steps[0],
        "they go uphill: x ← x − v": -inside},
        usually="a gradient enters the velocity times the rate of its own step; go through the "
                "first two steps by hand")
    expect_close(got[1], outside, case="the rate outside", mistakes={
        "these are the steps; positions are their running sum, from 0": steps[1],
        "they go uphill: x ← x − α v": -outside},
        usually="here the velocity knows no rate, and each position is one step on from the one "
                "before; go through the first two steps by hand")


@exercise("04.6", "Tune it on paper", kind="derive", difficulty=3, minutes=15, points=3,
          names=["best_settings"],
          hints=["For the best β, the eigenvalues of both extreme curvatures are double roots: "
                 "they are just about to leave the real line.",
                 "The eigenvalues solve z² − (1 + β − αλ) z + β = 0. They are double when "
                 "(1 + β − αλ)² = 4β, that is αλ = (1 ± √β)².",
                 "α μ = (1 − √β)² and α L = (1 + √β)². Divide, take roots, solve for √β; then α."],
          followups=[
              ("By which factor does the error shrink per step, and how many steps does a factor "
               "of a million take at κ = 10,000?",
               "By √β = (√κ − 1)/(√κ + 1) = 99/101, so about ln(10⁶)/0.02, some 700 steps. A run "
               "takes half as many again, because a double root adds a factor that grows with the "
               "number of steps."),
              ("You do not know μ and L. What do you do?",
               "Fix β = 0.9 and sweep the learning rate; or tune both. Restarting, or adaptive "
               "methods such as Adam, are other answers."),
              ("Does the formula hold for a network?",
               "No: it is for quadratics. Near a minimum it is a guide; for other convex functions "
               "these settings may even cycle for ever (Lessard, Recht and Packard 2016).")],
          rows=["R007", "R008", "R017"])
def best_settings(answer, rng):
    for _ in range(3):
        mu, L = rng.uniform(0.05, 3), rng.uniform(10, 500)
        case = f"mu = {mu:.3g}, L = {L:.4g}"
        got = answer.call("best_settings", mu, L)
        lr, beta = expect_parts(got, 2, case=case, what="lr and beta")
        a, b = np.sqrt(mu), np.sqrt(L)
        ratio = (b - a) / (b + a)
        expect_close(beta, ratio**2, case=f"{case}: beta", mistakes={
            "this is √β, the rate at which the error shrinks; beta is its square": ratio,
            "these are gradient descent's settings: with momentum there is a better pair": 0.0,
            "this is a habit, not a function of mu and L": 0.9},
            usually="try it in the equation for the eigenvalues: at the best settings they are "
                    "double roots for both extreme curvatures")
        expect_close(lr, (2 / (a + b)) ** 2, case=f"{case}: lr", mistakes={
            "the square is missing": 2 / (a + b),
            "this holds only for mu = 1: the learning rate has a scale, 1 / curvature":
                (2 / (np.sqrt(L / mu) + 1)) ** 2,
            "this is gradient descent's best rate": 2 / (L + mu)},
            usually="beta is right: with it, for which lr are the eigenvalues double roots at the "
                    "curvature mu? And at L?")


@exercise("04.7", "Predict: a formula from the web", kind="predict", difficulty=1, minutes=4,
          points=1, names=["answer_04_7"],
          hints=["Does the formula remember anything from one step to the next?",
                 "1/√(1 − β²) is a constant. What does a constant in front of the gradient do?",
                 "Give the formula the rate 2/(L + μ) · √(1 − β²), and compare the two updates."],
          followups=[("With gradient descent's own best rate, the formula diverges. Why?",
                      "Its rate is then 2.29 times the best one, and the limit of stability, 2/L, "
                      "is only 1 + 1/κ times the best.")],
          rows=["E37", "E41"])
def formula_from_the_web(answer, rng):
    guess = answer.value("answer_04_7")
    expect_form(isinstance(guess, int | float) and not isinstance(guess, bool) and guess > 0,
                "predict a number of steps, such as 1000")
    if guess < 4000:
        incorrect("far fewer than gradient descent: but the formula keeps no memory, and without "
                  "memory nothing cancels across the valley or adds up along it.")
    if guess > 12000:
        incorrect("far more than gradient descent: but with its learning rate tuned, the constant "
                  "in front does not matter.")
    return "It is gradient descent with another learning rate: no velocity, no momentum."


@exercise("04.8", "Where that root does appear", kind="concept", difficulty=3, minutes=10,
          points=2, names=["answer_04_8"],
          hints=["Each step multiplies what is there by β and adds an independent number. What "
                 "does that do to the variance?",
                 "Independent variances add: s² = β² s² + 1 once it has settled.",
                 "Solve for s. Then put in β = 0.9."],
          followups=[
              ("So by how much does momentum amplify signal against noise?",
               "A steady gradient grows by 1/(1 − β) = 10, white noise by 2.29: the ratio improves "
               "4.36-fold, as if averaging 19 gradients. The step grows too, so the learning rate "
               "must come down."),
              ("Does this mean that momentum removes the noise of minibatches?",
               "No. For the same effective learning rate, the noise that reaches the weights over "
               "many steps is about the same.")],
          rows=["E37"], variants=[{"beta": 0.9}, {"beta": 0.8}, {"beta": 0.95}, {"beta": 0.75}])
def noise_gain(answer, rng):
    beta = answer.variant["beta"]
    got = answer.value("answer_04_8")
    expect_form(isinstance(got, int | float) and not isinstance(got, bool) and np.isfinite(got),
                "give a number with two decimals or more, such as 1.25")
    right = 1 / np.sqrt(1 - beta**2)
    if abs(got / right - 1) < 0.02:
        return
    for mistake, value in (
            ("this is the gain of a steady gradient, 1/(1 − β): noise partly cancels",
             1 / (1 - beta)),
            ("this is the variance; the question asks for the standard deviation", right**2),
            ("this is the spread of a single gradient: the velocity sums many", 1.0),
            ("this is by how much the *ratio* of signal to noise improves",
             1 / (1 - beta) / right),
            ("weights of β, β², … multiply numbers; a variance is multiplied by their squares",
             1 / np.sqrt(1 - beta))):
        expect(abs(got / value - 1) > 5e-3, f"{got:.4g} is not the spread of the velocity. It "
               f"looks as if {mistake}.")
    incorrect(f"{got:.4g} is not the spread of the velocity. Each step multiplies what is there by "
              "β and adds an independent number: follow the variance through one step, or let a "
              "simulation run for 100,000 steps.")
