"""Cards about RMSprop: its running mean, its ε, and what it does not cure."""

import numpy as np

from zglearn.data import load_digits
from zglearn.exercises.cards import card, failure, said, steps_of
from zglearn.experiments import geometric, tune
from zglearn.gradient_methods import gradient_descent, rmsprop
from zglearn.models import MLP
from zglearn.trajectory import run


@card("adaptive", "false", chapter="06", rows=["E60"],
      right="It divides by the root of a running mean of squared gradients: how steep a slope is "
            "says nothing of how it bends. Of a likelihood, near its optimum, the mean square does "
            "tell the curvature; but Newton divides by the curvature, not by its root.")
def rmsprop_as_curvature():
    """RMSprop divides by a running estimate of the curvature, much as Newton's method does."""
    slopes = (1.0, 100.0)  # of straight lines: their curvature is 0
    divisors = [-slope / steps_of(rmsprop, np.full(2000, slope), lr=1.0)[-1, 0]
                for slope in slopes]
    assert np.allclose(divisors, slopes, rtol=1e-3)
    return ("On straight lines of slope 1 and 100 the curvature is 0. RMSprop divides by "
            "{:.0f} and by {:.0f}.".format(*divisors))


def rmsprop_path(gradients, x, lr=0.01, rho=0.9, eps=1e-8):
    for g in gradients:
        S = rho * S + (1 - rho) * g**2
        x = x - lr * g / (np.sqrt(S) + eps)
    return x


def rmsprop_path_from_zero(gradients, x, lr=0.01, rho=0.9, eps=1e-8):
    S = np.zeros_like(x)
    for g in gradients:
        S = rho * S + (1 - rho) * g**2
        x = x - lr * g / (np.sqrt(S) + eps)
    return x


@card("adaptive", "false", chapter="06", rows=["E61"],
      broken=rmsprop_path, repaired=rmsprop_path_from_zero,
      right="The mean soon forgets its first value, but Python wants one. It matters for the first "
            "steps, too: from zero, the first is 1 / √(1 − ρ) learning rates long.")
def mean_that_forgets_its_beginning(broken, repaired):
    """A running mean forgets where it began, so this function need not say where S begins."""
    gradients = np.random.default_rng(0).normal(size=(20, 3))
    error = failure(broken, gradients, np.zeros(3))
    assert isinstance(error, UnboundLocalError)
    assert np.allclose(repaired(gradients, np.zeros(3)),
                       steps_of(rmsprop, gradients, lr=0.01, rho=0.9).sum(axis=0))
    first = repaired(np.ones((1, 1)), np.zeros(1))
    return (f"It stops at the first gradient: {said(error)}. Repaired, it agrees with the "
            f"package's RMSprop; its first step is {-first[0] / 0.01:.1f} learning rates long.")


def rmsprop_step(x, g, S, lr=0.01, rho=0.9, eps=1e-8):
    S = rho * S + (1 - rho) * g**2
    x = x - lr * g / (np.sqrt(S) + eps)
    S = S  # keep it for the next call
    return x


def rmsprop_step_in_place(x, g, S, lr=0.01, rho=0.9, eps=1e-8):
    S *= rho
    S += (1 - rho) * g**2
    return x - lr * g / (np.sqrt(S) + eps)


@card("adaptive", "false", chapter="06", rows=["E62"],
      broken=rmsprop_step, repaired=rmsprop_step_in_place,
      right="`S = …` gives the local name another array; the caller's stays as it was, and `S = S` "
            "does nothing. Change the array in place, or return it.")
def an_assignment_that_keeps(broken, repaired):
    """Called again and again with the same array S, this function remembers squared gradients."""
    found = []
    for step in (broken, repaired):
        x, S = np.zeros(1), np.zeros(1)
        for _ in range(100):
            before, x = x, step(x, np.ones(1), S)
        found += [S[0], (before - x)[0] / 0.01]
    assert np.allclose(found, [0, 1 / np.sqrt(0.1), 1, 1], atol=0.01)
    return ("After a hundred gradients of 1, S is {:.0f}, and the step {:.1f} learning rates long, "
            "as if it were the first. Repaired, it is {:.0f}, and the step {:.1f}.".format(*found))


# --- small gradients --------------------------------------------------------------------------


def eps_inside(f, x, *, lr, rho=0.99, eps=1e-8):
    S = np.zeros_like(x)
    while True:
        g = f.grad(x)
        S = rho * S + (1 - rho) * g * g
        x = x - lr * g / np.sqrt(S + eps)
        yield x


@card("adaptive", "it depends", chapter="06", rows=["E63"],
      holds="for gradients of 1", fails="for gradients of 1e-6",
      right="Outside the root, ε is compared with |g|; inside, with g². With ε = 1e-8 they differ "
            "where gradients are not well above 1e-4, and they do get there. Libraries differ too.")
def eps_inside_or_outside():
    """RMSprop takes the same steps with its ε inside the root as outside."""
    steps = {g: [-steps_of(method, np.full(2000, g), lr=1.0, eps=1e-8)[-1, 0]
                 for method in (eps_inside, rmsprop)] for g in (1.0, 1e-6)}
    assert np.allclose(steps[1.0], 1) and np.allclose(steps[1e-6], [0.01, 0.99], rtol=0.01)
    return ("Steady gradients, steps in learning rates, ε inside and outside: {:.2f} and {:.2f} "
            "for gradients of 1, {:.2f} and {:.2f} for gradients of 1e-6."
            .format(*steps[1.0], *steps[1e-6]))


@card("adaptive", "it depends", chapter="06", rows=["E64"],
      holds="with four hidden layers", fails="with eight",
      right="It scales small slopes up, which helps while there is a slope to scale. With more "
            "layers the output hardly depends on the first ones, and no divisor changes that. "
            "Another activation, normalization or skip connections do.")
def rmsprop_for_deep_sigmoids():
    """RMSprop gets deep sigmoid networks to learn where gradient descent is stuck."""
    digits = load_digits()

    def accuracy(method, depth, lr, seed, part):
        net = MLP([64] + [16] * depth + [10], "sigmoid")
        f = net.objective(digits.train.X, digits.train.y, batch_size=128, rng=seed)
        end = run(method, f, net.init(seed), steps=150, lr=lr).points[-1]
        return net.accuracy(end, part.X, part.y)

    def tested(method, depth, lrs):
        """The median test accuracy of three starts, at the rate that three others chose."""
        tuned = tune(lambda method, lr: [-accuracy(method, depth, lr, seed, digits.validation)
                                         for seed in range(3)], {method: {"lr": lrs}}, trials=6)
        lr = tuned[method].settings["lr"]
        return np.median([accuracy(method, depth, lr, seed, digits.test) for seed in range(3, 6)])

    stuck = tested(gradient_descent, 4, geometric(0.03, 3, 5))
    four, eight = (tested(rmsprop, depth, geometric(0.001, 0.1, 5)) for depth in (4, 8))
    assert stuck < 0.25 and four > 0.4 and eight < 0.3
    return ("Digits, 150 steps, the learning rate chosen on validation digits. With four hidden "
            "layers gradient descent is guessing, and RMSprop has more than 40% of the test digits "
            "right; with eight, RMSprop has less than 30%.")
