"""Chapter 13: what a loss can tell without its gradient, and what that costs."""

import numpy as np

from zglearn import Objective
from zglearn.exercises.exercise import (
    FLOAT32,
    as_array,
    choice,
    exercise,
    expect,
    expect_close,
    expect_pairs,
    incorrect,
    open_question,
    watched,
)


def random_slope(rng, d):
    """A gradient (d,) that nobody guesses: of random scale and both signs, and no entry small."""
    signs = rng.permutation([-1.0, 1.0, *rng.choice([-1.0, 1.0], size=d - 2)])
    return signs * rng.uniform(1, 3, size=d) * 10 ** rng.uniform(0, 1)


def _far_from_zero(rng, d, eps):
    """A point (d,) so many probes of length eps away from 0 that a cubic is nearly straight there,
    and not so many that single precision cannot tell its neighbours apart."""
    x = random_slope(rng, d)
    return x / np.abs(x).max() * rng.uniform(100, 200) * eps


def cubic(x, g):
    """A loss with third powers whose gradient at x is g."""
    return lambda p: float(g / x**2 @ np.asarray(p) ** 3) / 3 + 3


def directions(asked, x, count, *, case):
    """The steps (count, d) from x at which the loss was asked: at both ends of each, or at its end
    and at x, and there once or `count` times."""
    expect(len(asked), f"{case}: no loss was asked. Where does the way come from?")
    away = np.array(asked) - x
    length = np.linalg.norm(away, axis=1)
    expect(np.linalg.norm(away.mean(axis=0)) < 0.5 * np.linalg.norm(x), f"{case}: the points that "
           "were asked lie around 0, or far away. The gradient is wanted at x, so they should lie "
           "around x.")
    here = length < 1e-4 * length.max()
    if not here.any():
        return expect_pairs(asked, x, count, case=case)
    expect(here.sum() in (1, count) and (~here).sum() == count, f"{case}: the loss was asked "
           f"{here.sum()} times at x and {(~here).sum()} times elsewhere, for {count} directions.")
    return away[~here]


def expect_along(value, steps, x, *, case, what):
    """Expect `value` (d,) to be a sum of multiples of the steps, which began at x."""
    weights = np.linalg.lstsq(steps.T, value, rcond=None)[0]
    rounding = FLOAT32 * np.abs(x).max() * (1 + np.abs(weights).sum())
    expect(np.abs(weights @ steps - value).max() <= 1e-3 * np.abs(value).max() + rounding,
           f"{case}: {what} does not lie along the directions that were asked. A slope belongs to "
           "the very direction along which it was measured, and a sum begins at 0.")


def _is_gradient(mean, g, n) -> bool:
    """Whether the mean of n estimates is g, in each coordinate and along g, within five and a half
    standard errors: the square of a coordinate of z has the variance 2."""
    room = 5.5 * np.sqrt(np.array([*(g @ g + g**2), 2]) / n)
    return bool((np.abs([*(mean - g), mean @ g / (g @ g) - 1]) < room).all())


def expect_length(steps, eps, *, case):
    """Expect steps of about eps times a z with coordinates of variance 1, or of length 1."""
    typical = np.median(np.linalg.norm(steps, axis=1))
    expect(eps / 2 < typical < 3 * eps, f"{case}: the points that were asked are {typical:.2g} "
           f"away from x, and eps is {eps:.3f}: use it.")


ORDERS = {"gradient descent": 1, "Adam": 1, "RMSprop": 1, "Newton's method": 2, "SPSA": 0,
          "simulated annealing": 0, "CMA-ES": 0, "forward gradient": 1}
WHY = {
    "Adam": "all that Adam knows of the loss is its gradient",
    "RMSprop": "dividing by the root of past squares needs the gradients that are squared",
    "gradient descent": "the gradient is its step",
    "Newton's method": "it divides by second derivatives",
    "SPSA": "it asks for two losses a step; that they estimate a slope changes nothing",
    "simulated annealing": "it compares two losses and throws a coin",
    "CMA-ES": "it ranks losses; its covariance is learned from the ranks",
    "forward gradient": "a slope along a direction, computed by differentiating, is a derivative",
}


@exercise("13.1", "Who asks for what?", kind="concept", difficulty=1, minutes=4, points=2,
          names=["answer_13_1"],
          hints=["Ask of each: which questions to the loss does one step need?",
                 "0: values f(x). 1: first derivatives, of any kind. 2: second derivatives.",
                 "three zeros, four ones, one two"],
          followups=[
              ("Is matrix factorization a gradient-free optimizer?",
               "It is a model of a matrix, not an optimizer of other models. It can be fitted by "
               "eigenvectors, by alternating least squares or by gradients."),
              ("CMA-ES learns a covariance that resembles the inverse Hessian. Is it second order?",
               "By what it asks it is zeroth order. It builds a picture of the curvature from "
               "ranks, and pays for it in evaluations.")],
          rows=["R127", "R126", "R118", "E01", "E10", "E49"])
def who_asks(answer, rng):
    got = answer.value("answer_13_1")
    expect(isinstance(got, dict), "give a dict from the name of each method to 0, 1 or 2")
    missing = [name for name in ORDERS if name not in got]
    expect(not missing, f"no answer for: {', '.join(missing)}")
    for name, order in ORDERS.items():
        given = got[name]
        if isinstance(given, np.ndarray) and given.size == 1:
            given = given.item()
        expect(isinstance(given, int | float) and not isinstance(given, bool)
               and given in (0, 1, 2), f"{name}: give 0, 1 or 2, not {given!r}")
        expect(given == order, f"{name} is not of order {given}: {WHY[name]}")


@exercise("13.2", "How long is an estimate?", kind="derive", difficulty=3, minutes=15, points=3,
          names=["expected_square"],
          hints=["Turn the axes so that g lies along the first one. What is ĝ then, coordinate by "
                 "coordinate?",
                 "ĝ = g₁ z₁ z. So ‖ĝ‖² = g₁² z₁² (z₁² + … + z_d²), and E[z₁⁴] = 3. For the mean of "
                 "q: variances are divided by q.",
                 "one estimate: (d + 2) ‖g‖². Its mean is g, so its variance is (d + 1) ‖g‖²; "
                 "divide that by q and add ‖g‖² again"],
          followups=[
              ("So what is the best learning rate on a round bowl, for q = 1?",
               "1/(d + 2): the expected squared distance shrinks by 1 − 2α + α² (d + 2), which is "
               "smallest there."),
              ("Do random signs in the place of Gaussians change it?",
               "A little: E[z₁⁴] = 1, so the factor is d in the place of d + 2. They are much "
               "cheaper to draw.")],
          rows=["R130", "R145", "E03"])
def expected_square(answer, rng):
    sizes, probes = rng.permutation(np.arange(3, 9))[:3], [1, *rng.permutation([2, 3, 4, 5, 6])[:2]]
    for d, q in zip(sizes.tolist(), map(int, rng.permutation(probes)), strict=True):
        g = rng.normal(size=d)
        square = float(g @ g)
        case = f"d = {d}, q = {q}"
        expect_close(answer.call("expected_square", g, q), (q + d + 1) / q * square, case=case,
                     mistakes={
                         "this is for a single probe, q = 1": (d + 2) * square,
                         "the whole is divided by q: only the variance shrinks, the mean stays":
                             (d + 2) / q * square,
                         "this is the variance, without the square of the mean":
                             (d + 1) / q * square,
                         "the fourth moment of z were 1, as that of random signs; a Gaussian's "
                         "is 3": (q + d - 1) / q * square,
                         "the length of g is not squared": (q + d + 1) / q * square**0.5},
                     usually="draw some thousand z and compare, first for q = 1. Then: what of it "
                             "shrinks when q estimates are averaged, and what stays?")


@exercise("13.3", "The best probe length", kind="derive", difficulty=2, minutes=10, points=2,
          names=["best_length"],
          hints=["Two errors: one grows with h, one shrinks. Where is their sum smallest?",
                 "error(h) = third · h²/6 + u · size / h. Set the derivative to zero.",
                 "third · h / 3 = u · size / h², so h is a cube root"],
          followups=[
              ("By which factor is the best h larger in single precision?",
               "u grows from about 1e-16 to 6e-8, by 5e8; the cube root of that is about 800."),
              ("MeZO uses 1e-3 for models in half precision, more than this formula gives. Why may "
               "that be right?",
               "The loss is an average over a batch, computed with much more rounding than u; and "
               "the smoothing by a longer probe does little harm.")],
          rows=["R102", "E12"])
def best_length(answer, rng):
    # very short probes, usual ones, and long ones: nothing may be cut off
    for low, high in rng.permutation([(-17, 2), (-12, 0), (-6, -2)]).tolist():
        u, third, size = 10 ** (np.array([low, high, -high]) + rng.uniform(0, 1, size=3))
        want = (3 * u * size / third) ** (1 / 3)
        expect_close(answer.call("best_length", third, size, u), want, atol=0,
                     case=f"third derivative {third:.3g}, loss {size:.3g}, u = {u:.1e}", mistakes={
                         "the two errors are set equal; their sum is smallest elsewhere":
                             (6 * u * size / third) ** (1 / 3),
                         "this is for a forward difference, a square root":
                             2 * np.sqrt(u * size / third),
                         "third derivative and loss are swapped":
                             (3 * u * third / size) ** (1 / 3),
                         "a root of the wrong order": np.sqrt(3 * u * size / third)},
                     usually="add up the two errors at your h, and at a slightly longer and a "
                             "slightly shorter one: at the best h the sum is smallest")


@exercise("13.4", "A gradient from losses", kind="implement", difficulty=2, minutes=12, points=3,
          names=["estimate_gradient"],
          hints=["One probe: a random z, two losses, a slope. What do you multiply by the slope?",
                 "ĝ = mean over q of [(f(x + εz) − f(x − εz)) / 2ε] z, with z of mean 0 and "
                 "variance 1 in every coordinate.",
                 "loop q times: z = rng.normal(size=x.size); slope from two losses; add slope * z; "
                 "divide by q"],
          followups=[
              ("Why is there no division by the length of z?",
               "E[z zᵗ] is the unit matrix, so E[(g·z) z] = g. With z of length 1: g/d."),
              ("Why two losses a probe, when one (and a shared f(x)) would do?",
               "The symmetric difference cancels the second-order error, and with minibatches both "
               "ends see the same data.")],
          rows=["R105", "R131", "R102", "E03"])
def estimate_gradient(answer, rng):
    # fewer probes than dimensions, so that differences along all coordinates will not do
    short, long = rng.uniform(0.015, 0.02), rng.uniform(0.2, 0.3)
    for k in rng.permutation(2):
        d, q, calls, eps = ((int(rng.integers(6, 8)), 5, 600, short),
                            (int(rng.integers(4, 6)), 3, 600, long))[k]
        _expect_estimates(answer, rng, d, q, calls, eps)


def _expect_estimates(answer, rng, d, q, calls, eps):
    g, x = random_slope(rng, d), _far_from_zero(rng, d, eps)
    case, steps, total = f"{q} probes in {d} dimensions", [], np.zeros(d)
    for _ in range(calls):
        loss, asked = watched(cubic(x, g))
        got = as_array(answer.call("estimate_gradient", Objective(loss), x, rng, q, eps), case=case,
                       shape=(d,))
        steps.append(directions(asked, x, q, case=case))
        expect_along(got, steps[-1], x, case=case, what="the estimate")
        total += got
    expect_length(np.concatenate(steps), eps, case=case)
    flat = [np.linalg.matrix_rank(s, tol=1e-3 * eps) == 1 for s in steps]
    expect(np.mean(flat) < 0.5, f"{case}: all {q} of them go along the same direction. Draw a new "
           "one for each.")
    # Five and a half standard errors of each coordinate are allowed.
    mean, room = total / calls, 5.5 * np.sqrt((g @ g + g**2) / (q * calls))
    case = f"{calls} estimates of {q} probes each"
    for mistake, factor in (("the sign of the difference is flipped", -1.0),
                            ("the difference is divided by ε where it should be 2ε", 2.0),
                            ("z is scaled to length 1, which makes the estimate d times too short",
                             1 / d),
                            ("the probes are added up, not averaged", q),
                            ("it is divided by q twice", 1 / q),
                            ("the difference is not divided by 2ε", 2 * eps)):
        if (np.abs(mean - factor * g) < room * abs(factor)).all():
            incorrect(f"{case}: their mean is {factor:.3g} times the gradient. It looks as if "
                      f"{mistake}.")
    expect(_is_gradient(mean, g, q * calls), f"{case}: the gradient is {np.round(g, 2).tolist()}, "
           f"and their mean is {np.round(mean, 2).tolist()}, too far off for chance. Look at what "
           "the difference of two losses is divided by, at what its slope is multiplied with, and "
           "whether the directions are drawn from `rng`.")


@exercise("13.5", "Dual numbers", kind="implement", difficulty=2, minutes=12, points=3,
          names=["multiply", "logistic"],
          hints=["A pair (a, a') carries a value and its slope along one direction. Which rules of "
                 "calculus say what happens to the slope?",
                 "Product rule: (a b)' = a' b + a b'. Chain rule: σ(a)' = σ(a)(1 − σ(a)) a'.",
                 "return a[0] * b[0], ...; for the logistic compute s first, then "
                 "s * (1 - s) * a[1]"],
          followups=[
              ("Why does backpropagation give all slopes in one pass, and this only one?",
               "Forward mode carries the slope along one direction of the inputs; reverse mode "
               "carries the slope of one output along all of them. A loss is one output."),
              ("What does forward mode save?",
               "Memory: nothing has to be kept for a way back.")],
          rows=["R036", "E85"])
def dual_numbers(answer, rng):
    for zero in (None, *rng.permutation(2).tolist()):
        a, b = rng.normal(size=(2, 2))
        if zero is not None:  # one of the values is 0, and not its slope
            (a, b)[zero][0] = 0
        got = as_array(answer.call("multiply", tuple(a), tuple(b)), case="multiply", shape=(2,))
        expect_close(got, [a[0] * b[0], a[1] * b[0] + a[0] * b[1]],
                     case=f"multiply({a.round(2).tolist()}, {b.round(2).tolist()})", mistakes={
                         "the slopes are multiplied: that is not the product rule": a * b,
                         "one half of the product rule is missing: b changes, too":
                             [a[0] * b[0], a[1] * b[0]],
                         "one half of the product rule is missing: a changes, too":
                             [a[0] * b[0], a[0] * b[1]]},
                     usually="first the product of the values, then how it changes: once because "
                             "a does, once because b does")
        s = 1 / (1 + np.exp(-a[0]))
        got = as_array(answer.call("logistic", tuple(a)), case="logistic", shape=(2,))
        expect_close(got, [s, s * (1 - s) * a[1]], case=f"logistic({a.round(2).tolist()})",
                     mistakes={"the inner slope is missing: chain rule": [s, s * (1 - s)],
                               "the slope went through the function itself":
                                   [s, 1 / (1 + np.exp(-a[1]))]},
                     usually="first the value of the function; then compare your slope with a "
                             "difference of that value, when a[0] moves by a little times a[1]")


@exercise("13.6", "Repair: an optimizer that is not what it says", kind="debug", difficulty=2,
          minutes=10, points=3, names=["no_gradient_step"],
          hints=["Hand it an objective without a gradient. Which line fails?",
                 "Replace the gradient by a slope along a random direction: two losses.",
                 "z = rng.normal(size=x.size); slope = (f(x + eps * z) - f(x - eps * z)) / "
                 "(2 * eps); return x - lr * slope * z"],
          followups=[
              ("How can you tell from outside whether an optimizer uses gradients?",
               "Give it a black box: an objective that counts, and refuses, gradients. Names prove "
               "nothing."),
              ("The original was tested against stochastic gradient descent and gave the same "
               "path. What does that prove?",
               "That it *was* gradient descent.")],
          rows=["R102", "R123", "E10", "E85", "E86", "E87", "E88", "E89"])
def no_gradient_step(answer, rng):
    short, long = rng.uniform(0.015, 0.02), rng.uniform(0.2, 0.3)
    slow, fast = rng.uniform(0.05, 0.1), rng.uniform(0.5, 1)
    for k in rng.permutation(2):
        d, draws, lr, eps = ((3, 2500, slow, short), (int(rng.integers(5, 8)), 700, fast, long))[k]
        _expect_steps(answer, rng, d, draws, lr, eps)


def _expect_steps(answer, rng, d, draws, lr, eps):
    g, x = random_slope(rng, d), _far_from_zero(rng, d, eps)
    case, probes, total = f"one step in {d} dimensions", [], np.zeros(d)
    for _ in range(draws):
        loss, asked = watched(cubic(x, g))
        step = as_array(answer.call("no_gradient_step", Objective(loss), x, rng, lr, eps),
                        case=case, shape=(d,)) - x
        probes.append(directions(asked, x, 1, case=case)[0])
        expect_along(step, np.array(probes[-1:]), x, case=case, what="the step")
        total += step
    expect_length(probes, eps, case=case)
    # Five and a half standard errors of each coordinate are allowed.
    mean, room = total / draws, 5.5 * lr * np.sqrt((g @ g + g**2) / draws)
    expect((np.abs(mean - lr * g) > room).any(), f"on average {draws} steps go uphill: subtract.")
    expect(_is_gradient(-mean / lr, g, draws), "on average a step should be -lr times the "
           f"gradient, {np.round(-lr * g, 3).tolist()}, but the mean of {draws} is "
           f"{np.round(mean, 3).tolist()}. Look at what the difference of two losses is divided "
           "by, at what its slope is multiplied with, and whether the direction is drawn anew.")


choice(
    "13.7", "Predict: sixteen times the dimensions", kind="predict", difficulty=2, minutes=5,
    points=1, right="c",
    options={
        "a": "That holds if every new direction is curved as much as the steepest. Here the new "
             "ones are flatter and flatter.",
        "b": "Half as much as a: but most of the new directions have less than a hundredth of the "
             "steepest one's curvature.",
        "c": "The effective rank is the sum 1 + 1/2 + … + 1/d, which grows like a logarithm: from "
             "4.7 to 7.5. By the formula that is (7.5 + 2)/(4.7 + 2), 1.4 times; what is measured "
             "is about 2. The formula has the size right, and no more.",
        "d": "Only flat directions cost nothing. These are all curved a little, and together "
             "they add 2.8 to the effective rank."},
    hints=["Which two numbers of the Hessian does the price depend on?",
           "The price is proportional to r + 2, with r = tr H / ‖H‖ and ‖H‖ = 1.",
           "tr H = 1 + 1/2 + … + 1/d, about ln d + 0.58"],
    followups=[("Then why is fine-tuning a billion parameters with forward passes possible?",
                "Near a pre-trained model, with a prompt that suits the task, the loss is curved "
                "in few directions (Malladi et al. 2023). Where it is not, it fails.")],
    rows=["R130", "R145", "R128", "E04"],
)

choice(
    "13.8", "Predict: forty layers with residual connections", kind="predict", difficulty=2,
    minutes=5, points=1, right="c",
    options={
        "a": "So it was without the connections. Now the first layer also reaches the output "
             "directly, and its slope does not pass through forty factors below 1/4.",
        "b": "The rounding is there, but it is small beside this slope: a float has seven digits, "
             "and the slope is no smaller than a thousandth.",
        "c": "The connections keep the gradient alive, and what is there for backpropagation is "
             "there for two losses too. They cure both, or neither.",
        "d": "Each layer adds at most 1/2: after forty of them nothing is larger than about 20."},
    hints=["What is the derivative of a + s(a) with respect to a, if that of s is small?",
           "About 1. Multiply forty of those.",
           "Is the gradient large enough to be seen in a loss with seven digits?"],
    followups=[("So whose problem is a vanishing gradient?",
                "The model's. Another activation, initialization, normalization and residual "
                "connections cure it; a different optimizer, with or without gradients, sees the "
                "same flat loss.")],
    rows=["R037", "R085", "E05", "E20"],
)

open_question(
    "13.9", "Interview: without gradients, why and how?", difficulty=2, minutes=12, points=4,
    rubric=[
        "names what is asked: values of the loss, not derivatives (zeroth order)",
        "names a case where gradients are not to be had: a black box, a score that counts, whole "
        "numbers, memory for inference only",
        "sketches a loop: propose points, evaluate, update, stop at a budget",
        "states the price: proportional to the dimension, or better to the effective rank",
        "names something that it does not cure, such as vanishing gradients",
    ],
    hints=["Four questions hide in this one: what, when, how, and at what price.",
           "Use the words: zeroth order, black box, effective rank, budget.",
           "One sentence each: what is asked; when it is needed; the loop; the price; what it does "
           "not do."],
    followups=[("Your interviewer says: \"It avoids the cost of backpropagation.\" Your answer?",
                "A gradient costs about three losses whatever the dimension; an estimate of the "
                "same quality costs hundreds. What it avoids is the *memory* of backpropagation.")],
    rows=["R105", "R108", "R118", "R123", "R124", "R126", "R130", "R131", "E03"],
)
