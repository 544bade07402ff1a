"""Cards about what a method asks of the loss, and what it means to do without a gradient."""

import numpy as np

from zglearn.exercises.cards import card, failure
from zglearn.gradient_free_methods import cma_es, mezo, one_plus_one_es
from zglearn.gradient_methods import adagrad, adam, adamw, gradient_descent, momentum, rmsprop
from zglearn.landscapes import ravine
from zglearn.objective import GradientForbidden, Objective
from zglearn.trajectory import run


def sphere(x):
    return np.sum(np.square(x), axis=-1)


@card("gradient", "false", chapter="13", rows=["E01"],
      right="All four are first-order methods: the gradient is all they learn of the loss.")
def adam_needs_no_gradient():
    """Momentum, Adagrad, RMSprop and Adam do without gradients."""
    f, start = Objective(sphere), np.ones(3)
    for method in (momentum, adagrad, rmsprop, adam):
        error = failure(run, method, f, start, steps=1, lr=0.1)
        assert isinstance(error, GradientForbidden) and f.evaluations == 0
    found = run(one_plus_one_es, Objective(sphere), start, budget=400, seed=1, sigma=0.5)
    assert found.losses[-1] < 1e-8
    return ("On an objective that refuses gradients, all four stop before they have asked for one "
            f"function value. A (1+1)-ES finds {found.losses[-1]:.0e} there within 400 values.")


@card("gradient", "false", chapter="16", rows=["E09"],
      right="The large models that we know of were pre-trained with gradients. Forward-only "
            "methods are tools for fine-tuning under constraints: little memory, or a model "
            "that only answers.")
def pretraining_without_gradients():
    """Methods without gradients are among the core techniques with which today's large language
    models are pre-trained."""
    asked = []
    for method in (adam, adamw):
        f = Objective(sphere, lambda x: 2 * x)
        run(method, f, np.ones(3), steps=10)
        asked.append((f.evaluations, f.gradients))
        error = failure(run, method, Objective(sphere), np.ones(3), steps=1)
        assert isinstance(error, GradientForbidden)
    assert asked == [(0, 10), (0, 10)]
    return ("As their papers say, GPT-3 was trained with Adam (Brown et al. 2020) and LLaMA with "
            f"AdamW (Touvron et al. 2023). In ten steps each of the two asks for {asked[0][1]} "
            f"gradients and {asked[0][0]} losses, and without a gradient it stops at once.")


@card("gradient", "true", chapter="13", rows=["E10"],
      right="On average a step along one random direction, as long as the slope found there, is a "
            "step along the gradient; only the noise around that average is new.")
def mezo_follows_the_gradient_on_average():
    """A method that never asks for a gradient can follow, on average, the path of gradient
    descent."""
    valley = ravine(4)
    exact = run(gradient_descent, valley.objective(), valley.start, steps=50, lr=0.01).points[-1]
    ends = np.array([run(mezo, Objective(valley.f, batched=True), valley.start, steps=50,
                         seed=seed, lr=0.01).points[-1] for seed in range(40)])
    single = np.median(np.linalg.norm(ends - exact, axis=1))
    mean = np.linalg.norm(ends.mean(axis=0) - exact)
    assert mean < single / 2
    return (f"After 50 steps a single path of MeZO ends {single:.2f} from that of gradient "
            f"descent; the mean of 40 paths ends {mean:.2f} from it.")


@card("gradient", "false", chapter="13", rows=["E11"],
      right="Without the loss or the data there is nothing to improve: what helps for one set of "
            "labels does harm for the opposite set.")
def the_law_of_weights_alone():
    """A well-made update rule needs neither the loss nor the data: what the weights hold is enough
    to improve any model."""
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(50, 8)), rng.choice([-1.0, 1.0], size=50), np.zeros(8)

    def loss(w, y):
        return np.mean(np.logaddexp(0, -y * (X @ w)))

    updates = rng.normal(size=(1000, 8)) * rng.choice([0.01, 0.1, 1.0], size=(1000, 1))
    better = np.array([[loss(w + u, labels) < loss(w, labels) for labels in (y, -y)]
                       for u in updates])
    assert better.any(axis=0).all() and not better.all(axis=1).any()
    return ("The same weights, the same inputs, and labels that are opposite: of 1,000 updates, "
            f"{better[:, 0].sum()} help with the one set of labels, {better[:, 1].sum()} with the "
            "other, none with both. A rule that sees only the weights cannot know which it needs.")


@card("gradient", "false", chapter="13", rows=["E12"],
      right="An error says which way the output is wrong, not which way a weight has to move. How "
            "the output depends on each weight has to come from somewhere: from a derivative, or "
            "from a second try.")
def the_error_tells_the_direction():
    """The prediction error is all that is needed to correct a model: it says how far off the
    output is, and in which direction."""
    inputs, w, target = np.array([2.0, -2.0]), 0.0, 1.0
    errors = target - w * inputs
    corrections = np.array([-0.1, 0.1])
    after = np.abs(target - np.outer(w + corrections, inputs))
    helps = after < np.abs(errors)
    assert errors[0] == errors[1] and helps.tolist() == [[False, True], [True, False]]
    return (f"Two examples with the same signed error, {errors[0]:.0f}: for the input "
            f"{inputs[0]:+.0f} the weight must rise, for the input {inputs[1]:+.0f} it must fall. "
            "The error does not tell the two apart.")


@card("gradient", "true", chapter="15", rows=["E12"],
      right="Evolution strategies sort what they tried and use the order alone. So the scale of "
            "the loss, or any bending of it that keeps the order, makes no difference to them.")
def the_better_of_two_is_enough():
    """There are methods that need not even know the values of the loss: it is enough to tell them
    which of two points is the better one."""
    valley = ravine(100)
    same = []
    for method in (one_plus_one_es, cma_es):
        paths = [run(method, Objective(loss, batched=True), valley.start, steps=40, seed=0)
                 for loss in (valley.f, lambda x: np.log(valley.f(x)))]
        same.append(np.array_equal(paths[0].points, paths[1].points))
    bent = [run(gradient_descent, Objective(valley.f, grad), valley.start, steps=40, lr=0.01)
            for grad in (valley.grad, lambda x: valley.grad(x) / valley.f(x))]
    assert all(same) and not np.allclose(bent[0].points, bent[1].points)
    return ("The logarithm of a loss has other values in the same order. A (1+1)-ES and CMA-ES "
            "take the same 40 steps on both, to the last bit; gradient descent does not.")


def random_search(X, y, w, rng, lr=0.02):
    for x, target in zip(X, y, strict=True):
        error = target - x @ w
        w = w + lr * error * x
    return w


def random_search_with_chance(X, y, w, rng, sigma=0.1):
    for _ in range(len(y)):
        other = w + sigma * rng.normal(size=w.size)
        if np.mean((y - X @ other) ** 2) < np.mean((y - X @ w) ** 2):
            w = other
    return w


@card("gradient", "false", chapter="14", rows=["E13"],
      broken=random_search, repaired=random_search_with_chance,
      right="The error times the input is minus the gradient of half the squared error: this is "
            "the rule of Widrow and Hoff, stochastic gradient descent for a linear model.")
def random_search_without_chance(broken, repaired):
    """This function improves the weights of a linear model by random search."""
    rng = np.random.default_rng(0)
    X, w0 = rng.normal(size=(500, 4)), np.zeros(4)
    y = X @ np.array([1.0, -2.0, 0.5, 3.0])
    ends = [broken(X, y, w0, np.random.default_rng(seed)) for seed in range(3)]
    step = broken(X[:1], y[:1], w0, rng) - w0
    f = Objective(lambda w: (y[0] - X[0] @ w) ** 2 / 2, lambda w: -(y[0] - X[0] @ w) * X[0])
    assert np.array_equal(ends[0], ends[1]) and np.allclose(step, -0.02 * f.grad(w0))
    found = [repaired(X, y, w0, np.random.default_rng(seed)) for seed in range(3)]
    errors = [np.mean((y - X @ w) ** 2) for w in found]
    assert not np.allclose(found[0], found[1]) and max(errors) < 0.01
    return ("Three random generators, one result: nothing is drawn, and each step is minus 0.02 "
            "times the gradient. A real random search ends elsewhere each time, here with the "
            f"squared error down from {np.mean(y**2):.0f} to less than 0.01.")


@card("gradient", "false", chapter="03", rows=["E16"],
      right="The gradient points uphill, where the loss rises fastest; a step of descent goes "
            "against it.")
def along_the_gradient():
    """The gradient points in the direction in which the loss falls fastest, so the parameters are
    moved a little way along it."""
    valley, angles = ravine(10), np.radians(np.arange(360))
    x, g = valley.start, valley.grad(valley.start)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    change = valley.f(x + 1e-4 * directions) - valley.f(x)
    to_gradient = np.degrees(np.arccos(directions @ g / np.linalg.norm(g)))
    down, up = to_gradient[change.argmin()], to_gradient[change.argmax()]
    assert down > 179 and up < 1 and change.min() < 0 < change.max()
    return ("Of 360 directions, one for each degree, the loss falls most in the one that is "
            f"{down:.0f} degrees from the gradient, and rises most in the one that is {up:.0f} "
            "degrees from it.")
