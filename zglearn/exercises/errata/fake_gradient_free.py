"""Cards about a "no-gradient" optimizer: what it asks for, keeps and changes."""

import numpy as np

from zglearn.exercises.cards import card, failure, said
from zglearn.gradient_methods import momentum
from zglearn.models import SoftmaxRegression
from zglearn.objective import GradientForbidden, Objective
from zglearn.trajectory import run


def bowl(x):
    return 0.5 * np.sum(np.square(x), axis=-1)


def points_on_two_sides():
    """200 points of the plane, and on which side of a diagonal they lie."""
    X = np.random.default_rng(0).normal(size=(200, 2))
    return X, (X[:, 0] > X[:, 1]).astype(int)


def no_gradient_flow(f, x, rng, lr, steps):
    for _ in range(steps):
        x = x - lr * f.grad(x)
    return x


def two_probes_a_step(f, x, rng, lr, steps):
    for _ in range(steps):
        z = rng.normal(size=x.shape)
        slope = (f(x + 1e-3 * z) - f(x - 1e-3 * z)) / 2e-3
        x = x - lr * slope * z
    return x


@card("gradient", "false", chapter="13", rows=["E85"],
      broken=no_gradient_flow, repaired=two_probes_a_step,
      right="A name is no property: this is gradient descent. A method without gradients has to "
            "get its information from losses; two of them give the slope along one direction.")
def a_flow_without_gradients(broken, repaired):
    """This function minimizes a loss from its values alone, without gradients."""
    rng, f = np.random.default_rng(0), Objective(bowl)
    error = failure(broken, f, np.ones(5), rng, 0.1, 1)
    assert isinstance(error, GradientForbidden) and f.evaluations == 0
    end = f.peek(repaired(f, np.ones(5), rng, 0.1, 300))
    assert f.gradients == 0 and end < 1e-3 * f.peek(np.ones(5))
    return (f"Where only values are answered it stops at its first question: "
            f"`{type(error).__name__}`. With two values a step instead, the loss falls below a "
            f"thousandth of the first one in {f.evaluations} evaluations.")


def climb(model, X, y, rng):
    p = model.init()
    for _ in range(500):
        q = p + 0.1 * rng.normal(size=model.size)
        if model.loss_function(q) <= model.loss_function(p):
            p = q
    return p


def climb_by_the_loss_on_data(model, X, y, rng):
    p = model.init()
    for _ in range(500):
        q = p + 0.1 * rng.normal(size=model.size)
        if model.loss(q, X, y) <= model.loss(p, X, y):
            p = q
    return p


@card("gradient", "false", chapter="13", rows=["E86"],
      broken=climb, repaired=climb_by_the_loss_on_data,
      right="A model turns inputs into predictions. A loss compares these with the truth, so it "
            "needs data and targets; a linear layer has neither.")
def the_model_knows_its_loss(broken, repaired):
    """This function trains any model that knows its own parameters, by asking the model for its
    loss and keeping what lowers it."""
    rng, (X, y) = np.random.default_rng(0), points_on_two_sides()
    model = SoftmaxRegression(features=2, classes=2)
    error = failure(broken, model, X, y, rng)
    assert isinstance(error, AttributeError)
    accuracy = np.mean(model.predict(repaired(model, X, y, rng), X) == y)
    assert accuracy > 0.9
    return (f"It stops: {said(error)}. Given the data as well, the same climb puts more than nine "
            "of ten points on their right side.")


@card("gradient", "it depends", chapter="13", rows=["E87"],
      holds="for writable arrays of floats", fails="for numbers, read-only arrays and integers",
      right="The change arrives in an array that may be written, "
            "and a number is merely replaced under the name `p`. Return the new parameters, as "
            "the course's methods do, and the question does not arise.")
def in_place_updates():
    """In `for p, g in zip(parameters, gradients): p -= 0.1 * g` the parameters of the list are
    updated."""
    frozen = np.ones(3)
    frozen.flags.writeable = False

    def step(parameter):
        parameters = [parameter]
        for p, g in zip(parameters, [np.ones(3) if np.ndim(parameter) else 1.0], strict=True):
            p -= 0.1 * g
        return parameters[0]

    assert np.allclose(step(np.ones(3)), 0.9)
    assert step(1.0) == 1.0
    read_only, whole = failure(step, frozen), failure(step, np.ones(3, dtype=int))
    assert isinstance(read_only, ValueError) and isinstance(whole, TypeError)
    return (f"An array of floats is updated. A float is not, and nobody is told. A read-only array "
            f"stops with {said(read_only)}, as a leaf of PyTorch's graph would, and an array of "
            f"integers with `{type(whole).__name__}`.")


class Number:
    """A float that remembers what it was made from, as in a library of automatic derivatives."""

    def __init__(self, value, parents=()):
        self.value, self.parents = value, parents  # pairs: a parent, the slope along it

    def __add__(self, other):
        return Number(self.value + other.value, ((self, Number(1.0)), (other, Number(1.0))))

    def __mul__(self, other):
        return Number(self.value * other.value, ((self, other), (other, self)))


def derivative(y, x, create_graph):
    """dy/dx: a float, or with `create_graph` a Number that can be differentiated again."""
    kind = Number if create_graph else float
    if y is x:
        return kind(1.0)
    total = kind(0.0)
    for parent, slope in y.parents:
        slope = slope if create_graph else slope.value
        total = total + derivative(parent, x, create_graph) * slope
    return total


def remembered(y):
    """How many Numbers are kept in memory for the sake of y."""
    seen, waiting = set(), [y]
    while waiting:
        number = waiting.pop()
        if isinstance(number, Number) and number not in seen:
            seen.add(number)
            waiting += [n for pair in number.parents for n in pair]
    return len(seen)


@card("gradient", "true", chapter="13", rows=["E88"],
      right="The step needs the gradient's numbers only. A graph behind the gradient is for those "
            "who differentiate it once more, for curvatures or a penalty on its length.")
def create_graph_is_not_needed():
    """Asking for the gradient with `create_graph=True` changes nothing about a step of gradient
    descent; it only costs memory."""
    x = Number(1.7)
    y = x * x * x * x + x * x
    plain, kept = derivative(y, x, create_graph=False), derivative(y, x, create_graph=True)
    assert kept.value == plain and np.isclose(plain, 4 * 1.7**3 + 2 * 1.7)
    assert np.isclose(derivative(kept, x, create_graph=False), 12 * 1.7**2 + 2)
    assert remembered(plain) == 0 and remembered(kept) > 2 * remembered(y)
    return (f"For `y = x⁴ + x²`, by a small automatic differentiation: both gradients are "
            f"{plain:.3f}, equal to the last bit. One is a bare float; the other keeps "
            f"{remembered(kept)} numbers in memory, where y itself keeps {remembered(y)}.")


class Module:
    """A part of a model: it lists the arrays among its attributes, and those of its parts."""

    def parameters(self):
        for part in vars(self).values():
            if isinstance(part, Module):
                yield from part.parameters()
            elif isinstance(part, np.ndarray):
                yield part


class Line(Module):
    def __init__(self):
        self.W, self.b = np.zeros((5, 10)), np.zeros(5)


class ModuleMomentum(Module):
    def __init__(self, model):
        self.model, self.velocity = model, np.zeros(55)


@card("gradient", "false", chapter="13", rows=["E89"],
      right="An optimizer needs a loss or a gradient to ask, and memory of its own. If it is made "
            "a part of a model, its memory passes for weights: counted, saved, even trained.")
def an_optimizer_is_a_module():
    """To reach the model's parameters, an optimizer has to inherit from the class that models
    inherit from."""
    model = Line()
    size = sum(p.size for p in model.parameters())
    listed = sum(p.size for p in ModuleMomentum(model).parameters())
    assert (size, listed) == (55, 110)
    classifier, (X, y) = SoftmaxRegression(features=2, classes=2), points_on_two_sides()
    path = run(momentum, classifier.objective(X, y), classifier.init(), steps=100, lr=0.5)
    assert np.mean(classifier.predict(path.points[-1], X) == y) > 0.9
    return (f"A layer of {size} weights, wrapped in an optimizer that inherits, lists {listed}: "
            "the velocity passes for weights. The course's momentum is a plain function that "
            "inherits from nothing, and it trains a classifier.")
