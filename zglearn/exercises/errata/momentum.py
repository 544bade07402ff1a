"""Cards about momentum: what a velocity adds, and what it needs."""

import numpy as np

from zglearn.exercises.cards import card, failure, said, steps_of
from zglearn.experiments import geometric, tune
from zglearn.gradient_methods import gradient_descent, momentum
from zglearn.landscapes import bowl, double_well, ravine
from zglearn.objective import Objective
from zglearn.trajectory import run

STEADY = np.ones(200)  # gradients


def polyak(kappa):
    """The best learning rate and momentum for curvatures from 1 to kappa."""
    root = np.sqrt(kappa)
    return {"lr": (2 / (root + 1)) ** 2, "beta": ((root - 1) / (root + 1)) ** 2}


def steps_needed(method, kappa, share=1e-6, **hyper):
    """Steps in a valley until the distance to the minimum is this share of the start's."""
    path = run(method, ravine(kappa).objective(), [1.0, 1.0], steps=1000, **hyper)
    distance = np.abs(path.points).max(axis=1)
    there = np.flatnonzero(distance <= share * distance[0])
    return there[0] if len(there) else np.inf


# --- the formula ------------------------------------------------------------------------------


def without_velocity(f, x, *, lr, beta=0.9):
    while True:
        x = x - lr / np.sqrt(1 - beta**2) * f.grad(x)
        yield x


@card("momentum", "false", chapter="04", rows=["E37"],
      right="A constant before the gradient is a learning rate. Momentum is a sum over the past, "
            "`v = beta * v + g`, and no formula without a memory can stand for it.")
def momentum_in_one_line():
    """In one line, momentum is `x = x - lr / sqrt(1 - beta**2) * gradient`."""
    gain = 1 / np.sqrt(1 - 0.9**2)
    lr = 2 / 101  # the best for gradient descent
    start = {"f": ravine(100).objective(), "x0": [1.0, 1.0], "steps": 300}
    line = run(without_velocity, lr=lr / gain, **start)
    plain = run(gradient_descent, lr=lr, **start)
    assert np.allclose(line.points, plain.points, rtol=1e-9)
    assert run(without_velocity, lr=lr, **start).losses[-1] > 1e6
    slow = steps_needed(without_velocity, 100, lr=lr / gain)
    quick = steps_needed(momentum, 100, **polyak(100))
    assert quick < slow / 5
    return (f"Its path is that of gradient descent with a learning rate {gain:.1f} times as large, "
            f"point by point. In a valley with condition number 100 it needs {slow} steps at its "
            f"best rate, momentum with Polyak's settings {quick}.")


@card("momentum", "false", chapter="04", rows=["E37"],
      right="A steady gradient g is added up to `g / (1 - beta)`: ten times as much. 2.3 is "
            "`1 / sqrt(1 - beta**2)`, which has another meaning.")
def gain_on_a_steady_slope():
    """On a steady slope, momentum with β = 0.9 ends up 2.3 times as fast as gradient descent."""
    plain, heavy = (steps_of(method, STEADY, lr=0.1)[-1, 0]
                    for method in (gradient_descent, momentum))
    gain = heavy / plain
    assert abs(gain - 10) < 1e-3
    return f"After {len(STEADY)} gradients of 1 its step is {gain:.1f} times as long."


@card("momentum", "true", chapter="04", rows=["E37"],
      right="The variances of independent gradients add up with weights `beta**(2 * k)`, to "
            "`1 / (1 - beta**2)`. Noise is amplified by the root of that, signal by "
            "`1 / (1 - beta)`: the sum is more reliable than its parts.")
def spread_of_the_velocity():
    """Gradients of pure noise make a velocity that spreads `1 / sqrt(1 - beta**2)` times as wide
    as they do."""
    noise = np.random.default_rng(0).normal(size=(300, 2000))
    spread = steps_of(momentum, noise, lr=1.0)[100:].std()
    assert abs(spread * np.sqrt(1 - 0.9**2) - 1) < 0.01
    return (f"For β = 0.9 and 2,000 parameters that are told noise of spread 1, the velocity has "
            f"spread {spread:.1f}. A steady gradient of 1 would make it 10.")


# --- programs and interfaces ------------------------------------------------------------------


def momentum_step(x, g, lr=0.1, beta=0.9):
    velocity = beta * velocity + g
    return x - lr * velocity, velocity


def momentum_step_with_a_past(x, g, velocity=0.0, lr=0.1, beta=0.9):
    velocity = beta * velocity + g
    return x - lr * velocity, velocity


@card("momentum", "false", chapter="04", rows=["E38"],
      broken=momentum_step, repaired=momentum_step_with_a_past,
      right="What a function assigns to is local to it, and has no value when a call begins. The "
            "old velocity has to be handed in, and back out.")
def velocity_without_a_first_value(broken, repaired):
    """This function takes one step of momentum and returns the new point and the velocity."""
    x, g = np.ones(3), np.array([0.1, 0.2, 0.3])
    error = failure(broken, x, g)
    assert isinstance(error, UnboundLocalError)
    x, velocity = repaired(x, g)
    x, velocity = repaired(x, g, velocity)
    assert np.allclose(velocity, 1.9 * g) and np.allclose(x, 1 - 0.29 * g)
    return f"It stops: {said(error)}. Repaired, the second velocity is 1.9 times the gradient."


def heavy_ball_step(x, g, velocity, lr=0.1, beta=0.9):
    velocity = np.zeros_like(x)
    velocity = beta * velocity + g
    return x - lr * velocity, velocity


def heavy_ball_step_with_a_past(x, g, velocity, lr=0.1, beta=0.9):
    velocity = beta * velocity + g
    return x - lr * velocity, velocity


@card("momentum", "true", chapter="04", rows=["E39"],
      broken=heavy_ball_step, repaired=heavy_ball_step_with_a_past,
      right="The velocity is set to zero at every call, so it is just the gradient. It has to "
            "start from zero once, before the first step, and that is for the caller to do.")
def velocity_started_at_every_call(broken, repaired):
    """Whatever `velocity` and `beta` it is given, this function is gradient descent."""
    rng, steps = np.random.default_rng(0), []
    for beta in rng.random(20):
        x, g, velocity = rng.normal(size=(3, 5))
        assert np.allclose(broken(x, g, velocity, beta=beta)[0], x - 0.1 * g)
    for step in (broken, repaired):
        x, velocity = np.ones(1), np.zeros(1)
        for _ in range(100):
            before, (x, velocity) = x, step(x, np.ones(1), velocity)
        steps.append((before - x)[0])
    assert np.allclose(steps, [0.1, 1], rtol=1e-3)
    return (f"So it is on 20 random calls. After a hundred gradients of 1 its step is still "
            f"{steps[0]:.1f}, the learning rate; repaired, it is {steps[1]:.1f}.")


@card("momentum", "false", chapter="04", rows=["E40"],
      right="The gradient is all that momentum learns of the loss, and the velocity all that it "
            "remembers. A step needs both: `step(weights, gradient)` of an object that keeps the "
            "velocity.")
def interface_without_gradient_or_state():
    """A function `step(weights, lr, beta)` is told enough for one step of momentum."""
    steep = Objective(lambda x: 1.5 * x @ x, lambda x: 3 * x)

    def second(f, before):
        """Where momentum goes from x = 1: at once, or after a step from `before`."""
        path = run(momentum, f, [before], steps=2, lr=0.1).points[:, 0]
        return path[np.flatnonzero(np.isclose(path, 1))[0] + 1]

    ends = [second(bowl(1).objective(), 1.0), second(bowl(1).objective(), 1 / 0.9),
            second(steep, 1.0)]
    assert np.allclose(ends, [0.9, 0.8, 0.7])
    return ("With x = 1, lr = 0.1 and β = 0.9 each time, the next point is {:.1f} from rest, "
            "{:.1f} if x came with a velocity, and {:.1f} on a loss three times as steep."
            .format(*ends))


@card("momentum", "false", chapter="03", rows=["E41"],
      right="Δθ is the step. The gradient is a slope, loss per unit of θ, and becomes a step only "
            "through the learning rate, whose unit is that of θ squared over that of the loss.")
def gradient_as_a_difference():
    """The gradient is a small change of θ, so it may well be written Δθ."""
    ends = []
    for per_metre in (1, 1000):  # measure θ in metres, then in millimetres
        f = Objective(lambda x: np.sum((x / per_metre - 3) ** 2) / 2,
                      lambda x: (x / per_metre - 3) / per_metre)
        path = run(gradient_descent, f, [0.0], steps=100, lr=0.1)
        ends.append(path.points[-1, 0] / per_metre)
    assert abs(ends[0] - 3) < 1e-3 and ends[1] < 1e-3
    return (f"The minimum is 3 metres away. A hundred steps with lr = 0.1 go {ends[0]:.1f} metres "
            f"if θ is in metres, and {ends[1]:.0e} metres if it is in millimetres: a change of θ "
            "would have become a thousand times as many, the gradient becomes a thousandth.")


# --- what momentum is good for ----------------------------------------------------------------


@card("momentum", "it depends", chapter="04", rows=["E42"],
      holds="from some starts above the barrier", fails="from any below it",
      right="A ball that is let go above the barrier may keep enough of its height to cross it. "
            "One that starts from rest below never does: friction only takes height away. Nothing "
            "is promised, and its use is in narrow valleys.")
def out_of_a_local_minimum():
    """Momentum carries gradient descent out of a local minimum."""
    well = double_well(tilt=0.3)

    def at(a):  # a ball at each of these places, none of which knows of the others
        return np.stack([a, 0 * a], axis=-1)

    starts = np.linspace(0.2, 1.6, 57)
    above = well.f(at(starts)) > well.f(at(np.linspace(-0.5, 0.5, 1001))).max()
    escaped, from_below = [], 0
    for beta in (0, 0.5, 0.9, 0.99):
        balls = Objective(lambda a: well.f(at(a)).sum(axis=-1), lambda a: well.grad(at(a))[..., 0],
                          batched=True)
        ends = run(momentum, balls, starts, steps=1500, lr=0.02, beta=beta).points[-1]
        escaped.append(np.sum(ends[above] < 0))
        from_below += np.sum(ends[~above] < 0)
    assert escaped[:2] == [0, 0] and 0 < escaped[2] and from_below == 0
    return (f"Of {above.sum()} starts on the side of the shallower of two wells, but above the "
            f"barrier, {escaped[0]} escape with β = 0, {escaped[2]} with 0.9 and {escaped[3]} with "
            f"0.99; of the {(~above).sum()} below it, none with any.")


@card("momentum", "it depends", chapter="04", rows=["E42"],
      holds="in a narrow valley", fails="in a round one",
      right="With β fixed, the error cannot shrink faster than by `sqrt(beta)` a step. In a round "
            "valley gradient descent is quicker than that; in a narrow one it is much slower. β "
            "has to fit the valley.")
def quicker_than_gradient_descent():
    """With β = 0.9, momentum needs fewer steps than gradient descent."""
    found = []
    for kappa in (3, 100):
        tuned = tune(lambda method, lr, kappa=kappa:
                         steps_needed(method, kappa, 1e-4, lr=lr / kappa),
                     {method: {"lr": geometric(0.25, 4, 5)}
                      for method in (gradient_descent, momentum)}, trials=11)
        found.append([tuned[method].best.loss for method in tuned])
    (plain_round, heavy_round), (plain, heavy) = found
    assert plain_round < heavy_round / 5 and heavy < plain / 1.5
    return ("Steps to 0.0001 of the distance, the best of 11 learning rates for each. At condition "
            f"number 3 gradient descent needs {plain_round:.0f} and momentum {heavy_round:.0f}; at "
            f"100 it is {plain:.0f} and {heavy:.0f}.")
