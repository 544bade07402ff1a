"""Cards about programs that train a network by hand, and what their results say."""

import numpy as np

from zglearn.exercises.cards import card, failure, said
from zglearn.experiments import geometric, tune
from zglearn.gradient_methods import momentum
from zglearn.landscapes import bowl
from zglearn.trajectory import run

XOR = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=float)  # the 1 is a bias
TARGETS = np.array([[0], [1], [1], [0]], dtype=float)


def sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def two_layers(seed, inputs=3, hidden=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(inputs, hidden)), rng.normal(size=(hidden, 1))


def squared_error(weights, X, y):
    for W in weights:
        X = sigmoid(X @ W)
    return np.sum((X - y) ** 2) / 2


def slope_by_differences(weights, directions, X, y, h=1e-5):
    """The slope of the squared error along one direction of all weights, from two evaluations."""
    ahead, behind = ([W + s * h * U for W, U in zip(weights, directions, strict=True)]
                     for s in (1, -1))
    return (squared_error(ahead, X, y) - squared_error(behind, X, y)) / (2 * h)


def length(g):
    """The norm of each matrix of a stack, shape (n, 1, 1)."""
    return np.linalg.norm(g, axis=(1, 2), keepdims=True)


def slope_from(gradients, directions):
    return sum(np.sum(g * U) for g, U in zip(gradients, directions, strict=True))


# --- programs ---------------------------------------------------------------------------------


def training_step(X, y, W1, W2, lr=1.0):
    hidden = sigmoid(X @ W1)
    output = sigmoid(hidden @ W2)
    delta = (output - y) * sigmoid_derivative(output)
    below = delta @ W2.T * sigmoid_derivative(hidden)
    return W1 - lr * X.T @ below, W2 - lr * hidden.T @ delta


def step_downhill(X, y, W1, W2, lr=1.0):
    hidden = sigmoid(X @ W1)
    output = sigmoid(hidden @ W2)
    delta = (output - y) * output * (1 - output)
    below = delta @ W2.T * hidden * (1 - hidden)
    return W1 - lr * X.T @ below, W2 - lr * hidden.T @ delta


@card("networks", "false", chapter="11", rows=["E65"],
      broken=training_step, repaired=step_downhill,
      right="A listing that is to run must bring its helpers. With `a = sigmoid(z)` the slope is "
            "`a * (1 - a)`; a helper that wants z instead would fail without a word.")
def a_step_with_missing_helpers(broken, repaired):
    """With `sigmoid` and the data defined, this function takes one step of training."""
    weights = two_layers(0)
    error = failure(broken, XOR, TARGETS, *weights)
    assert isinstance(error, NameError) and "sigmoid_derivative" in str(error)
    before, after = (squared_error(w, XOR, TARGETS)
                     for w in (weights, repaired(XOR, TARGETS, *weights)))
    assert after < before
    return (f"It stops on the way back: {said(error)}. Repaired, a step lowers the error from "
            f"{before:.2f} to {after:.2f}.")


def xor_step(X, y, W1, W2, lr=1.0):
    hidden = sigmoid(X @ W1)
    output = sigmoid(hidden @ W2)
    error = y - output
    delta = error * output * (1 - output)
    below = delta @ W2.T * hidden * (1 - hidden)
    return W1 - lr * X.T @ below, W2 - lr * hidden.T @ delta


@card("networks", "false", chapter="06", rows=["E66"],
      broken=xor_step, repaired=step_downhill,
      right="`y - output` already holds the minus sign of the slope. Subtract what comes of it, "
            "and the loss is climbed. Either `output - y` and minus, or `y - output` and plus.")
def minus_twice(broken, repaired):
    """Repeated, this step teaches a small network XOR."""
    def error(program):
        """The mean squared error after 1,000 steps, median of five networks."""
        found = []
        for seed in range(5):
            weights = two_layers(seed)
            for _ in range(1000):
                weights = program(XOR, TARGETS, *weights)
            found.append(squared_error(weights, XOR, TARGETS) / 2)
        return np.median(found)

    climbed, learned = error(broken), error(repaired)
    assert climbed > 0.45 and learned < 0.05
    return (f"Mean squared error after 1,000 steps, median of five starts: {climbed:.2f}, as bad "
            f"as the same answer, 0 or 1, to all four cases. Repaired: {learned:.2f}.")


def adds_up(f, x, *, lr):
    total = np.zeros_like(x)
    while True:
        total += f.grad(x)
        x = x - lr * total
        yield x


@card("networks", "true", chapter="06", rows=["E67"],
      right="The sum of all gradients so far is a velocity that nothing slows down. In a bowl it "
            "swings from side to side for ever. Set `dW` to zero at every step, or let it fade.")
def gradients_never_reset():
    """`dW += gradient; W -= lr * dW` at every step, with `dW` never set back to zero, is momentum
    with β = 1."""
    sums, heavy = (run(method, bowl().objective(), [1.0, 1.0], steps=1000, lr=0.1, **hyper)
                   for method, hyper in ((adds_up, {}), (momentum, {"beta": 1.0})))
    assert np.allclose(sums.points, heavy.points)
    assert np.abs(sums.points[-100:]).max() > 0.9
    return (f"In a round bowl, from 1, lr = 0.1: the two paths are the same, and in the last 100 "
            f"of 1,000 steps they still swing as far as {np.abs(sums.points[-100:]).max():.1f}.")


def rmsprop_step(weights, g, S, lr=0.01, rho=0.9, eps=1e-8):
    weights = weights - lr * g / (np.sqrt(np.sum(g**2)) + eps)
    return weights, S


def rmsprop_step_by_running_means(weights, g, S, lr=0.01, rho=0.9, eps=1e-8):
    S = rho * S + (1 - rho) * g**2
    weights = weights - lr * g / (np.sqrt(S) + eps)
    return weights, S


@card("networks", "true", chapter="06", rows=["E68"],
      broken=rmsprop_step, repaired=rmsprop_step_by_running_means,
      right="It divides all weights' gradients by one number, the length of the present gradient, "
            "and never reads `rho`. RMSprop keeps a running mean for every weight.")
def one_norm_for_all(broken, repaired):
    """Whatever `rho` and the gradient (unless that is next to zero), this function goes `lr`
    far."""
    rng, steps = np.random.default_rng(0), []
    for g, rho in zip(rng.normal(size=(20, 5)), rng.random(20)):
        step = broken(np.zeros(5), g, np.zeros(5), lr=0.01, rho=rho)[0]
        assert np.isclose(np.linalg.norm(step), 0.01)
    for program in (broken, repaired):
        weights = S = np.zeros(2)
        for _ in range(300):
            before, (weights, S) = weights, program(weights, np.array([100.0, 0.01]), S)
        steps.append((before - weights) / 0.01)
    assert np.allclose(steps, [[1, 1e-4], [1, 1]], rtol=1e-3)
    return ("So it is for 20 random gradients. If one weight has gradients of 100 and the other of "
            "0.01, they move by {:.0f} and {:.0e} learning rates; repaired, to be RMSprop, by "
            "{:.0f} and {:.0f}.".format(*steps[0], *steps[1]))


@card("networks", "true", chapter="06", rows=["E68"],
      right="XOR has four examples and nothing rare in it, so a rate for every weight has nothing "
            "to even out. A task that everything solves is no evidence for anything.")
def xor_without_rmsprop():
    """On XOR, steps of fixed length along the gradient do as well as RMSprop."""
    def missed(elementwise, lr, seeds=range(10), rho=0.9, steps=500):
        """Of each network, whether it gets one of the four cases wrong."""
        weights = [np.array(W) for W in zip(*(two_layers(seed) for seed in seeds), strict=True)]
        S = [0.0, 0.0]
        for _ in range(steps):
            hidden = sigmoid(XOR @ weights[0])
            output = sigmoid(hidden @ weights[1])
            delta = (output - TARGETS) * output * (1 - output)
            below = delta @ weights[1].mT * hidden * (1 - hidden)
            for i, g in enumerate((XOR.T @ below, hidden.mT @ delta)):
                S[i] = rho * S[i] + (1 - rho) * g**2
                size = np.sqrt(S[i]) if elementwise else length(g)
                weights[i] = weights[i] - lr * g / (size + 1e-8)
        return ((output > 0.5) != TARGETS).any(axis=(1, 2))

    tuned = tune(lambda elementwise, lr: np.mean(missed(elementwise, lr)),
                 {elementwise: {"lr": geometric(0.01, 1, 5)} for elementwise in (False, True)},
                 trials=7)
    fixed, rms = (np.sum(~missed(elementwise, tuned[elementwise].settings["lr"], range(10, 60)))
                  for elementwise in (False, True))
    assert min(fixed, rms) >= 45
    return ("Fifty new starts, 500 steps, the learning rate tuned alike on ten others: steps of "
            "fixed length and RMSprop both solve it in more than 9 cases of 10.")


def predict(X, W1, W2):
    return X @ W1 * sigmoid(W1 @ W2)


def predict_layer_by_layer(X, W1, W2):
    return sigmoid(sigmoid(X @ W1) @ W2)


@card("networks", "it depends", chapter="06", rows=["E69"],
      holds="for four examples", fails="for one or two",
      broken=predict, repaired=predict_layer_by_layer,
      right="`W1 @ W2` has a row for each input, and NumPy stretches one or two examples to fit "
            "two inputs. Shapes catch a wrong formula only by luck. Predict with the forward pass "
            "of the training.")
def wrong_but_the_shapes_will_tell(broken, repaired):
    """This is not a forward pass, and NumPy will say it: the shapes do not fit."""
    W1, W2 = two_layers(0, inputs=2)
    error = failure(broken, np.ones((4, 2)), W1, W2)
    assert isinstance(error, ValueError)
    shapes = [broken(np.ones((n, 2)), W1, W2).shape for n in (1, 2)]
    assert shapes == [(2, 4), (2, 4)]
    assert [repaired(np.ones((n, 2)), W1, W2).shape for n in (1, 2, 4)] == [(1, 1), (2, 1), (4, 1)]
    return (f"Two inputs, four hidden units. Four examples: {said(error)}. One or two examples: no "
            f"error, and an answer of shape {shapes[0]}. Repaired, one number for each.")


def backward(sizes, weights, X, y):
    A = X
    for W in weights:
        A = sigmoid(A @ W)
    delta, gradients = (A - y) * A * (1 - A), []
    for a, W in zip(sizes[-2::-1], weights[::-1]):
        gradients.insert(0, a.T @ delta)
        delta = delta @ W.T * a * (1 - a)
    return gradients


def backward_through_activations(sizes, weights, X, y):
    activations = [X]
    for W in weights:
        activations.append(sigmoid(activations[-1] @ W))
    A = activations.pop()
    delta, gradients = (A - y) * A * (1 - A), []
    for a, W in zip(activations[::-1], weights[::-1]):
        gradients.insert(0, a.T @ delta)
        delta = delta @ W.T * a * (1 - a)
    return gradients


@card("networks", "false", chapter="11", rows=["E72"],
      broken=backward, repaired=backward_through_activations,
      right="A layer's gradient is made of what came into the layer. The forward pass must keep "
            "these activations; the list of sizes is not them.")
def backward_through_the_sizes(broken, repaired):
    """This function returns the gradient of half the squared error in each layer's weights."""
    sizes, rng = [10, 5, 1], np.random.default_rng(0)
    weights, U = ([rng.normal(size=shape) for shape in zip(sizes, sizes[1:])] for _ in range(2))
    X, y = rng.random((20, 10)), rng.random((20, 1))
    error = failure(broken, sizes, weights, X, y)
    assert isinstance(error, AttributeError)
    slope = slope_from(repaired(sizes, weights, X, y), U)
    assert np.isclose(slope, slope_by_differences(weights, U, X, y), rtol=1e-6)
    return (f"It stops: {said(error)}. Repaired, its slope in a random direction is that of two "
            "evaluations, to six digits.")


def layer_gradients(weights, X, y):
    activations = [X]
    for W in weights:
        activations.append(sigmoid(activations[-1] @ W))
    A = activations.pop()
    delta = (A - y) * A * (1 - A)
    return [a.T @ delta for a in activations]


def layer_gradients_sent_down(weights, X, y):
    activations = [X]
    for W in weights:
        activations.append(sigmoid(activations[-1] @ W))
    A = activations.pop()
    delta, gradients = (A - y) * A * (1 - A), []
    for a, W in zip(activations[::-1], weights[::-1]):
        gradients.insert(0, a.T @ delta)
        delta = delta @ W.T * a * (1 - a)
    return gradients


@card("networks", "false", chapter="11", rows=["E73"],
      broken=layer_gradients, repaired=layer_gradients_sent_down,
      right="The error of the output is right for the last layer alone. For the one below it goes "
            "back through the weights and the slope of the activation. Where widths are equal, "
            "only a gradient check tells.")
def one_error_for_every_layer(broken, repaired):
    """Each gradient that this function returns has the shape of its weights, so it can be used."""
    rng = np.random.default_rng(0)
    weights, U = ([rng.normal(size=(4, 4)) for _ in range(3)] for _ in range(2))
    X, y = rng.random((20, 4)), rng.random((20, 4))
    assert [g.shape for g in broken(weights, X, y)] == [(4, 4)] * 3
    slopes = []
    for layer in range(3):
        along = [U[i] if i == layer else np.zeros((4, 4)) for i in range(3)]
        true = slope_by_differences(weights, along, X, y)
        assert np.isclose(slope_from(repaired(weights, X, y), along), true, rtol=1e-5)
        slopes.append(slope_from(broken(weights, X, y), along) / true)
    assert np.isclose(slopes[2], 1, rtol=1e-5) and min(abs(np.array(slopes[:2]) - 1)) > 0.1
    return ("Its slope over the true one, layer by layer: {:.1f}, {:.1f}, {:.1f}. Only the last is "
            "right. Repaired, all three are.".format(*slopes))


class Perceptron:
    def _init_(self, sizes):
        self.weights = [np.random.randn(*shape) for shape in zip(sizes, sizes[1:])]

    def forward(self, X):
        for W in self.weights:
            X = sigmoid(X @ W)
        return X


class Network:
    def __init__(self, sizes):
        self.weights = [np.random.randn(*shape) for shape in zip(sizes, sizes[1:])]

    def forward(self, X):
        for W in self.weights:
            X = sigmoid(X @ W)
        return X


@card("appendix", "false", chapter="11", rows=["E74"], broken=Perceptron, repaired=Network,
      right="A constructor is called `__init__`, with two underscores on either side. Any other "
            "name is a method that nobody calls.")
def constructor_of_another_name(broken, repaired):
    """Called with [10, 5, 1], this class makes a network with one hidden layer."""
    error = failure(broken, [10, 5, 1])
    assert isinstance(error, TypeError)
    shape = repaired([10, 5, 1]).forward(np.ones((20, 10))).shape
    assert shape == (20, 1)
    return f"It stops: {said(error)}. Repaired, 20 examples give outputs of shape {shape}."


# --- what a network can learn -----------------------------------------------------------------


@card("networks", "false", chapter="11", rows=["E71"],
      right="At the input (0, 0), units without a bias are fixed. tanh is 0 there, so the output "
            "is ½ whatever the weights. A sigmoid is ½ there, and serves the next layer as a bias. "
            "Better put biases in.")
def xor_without_biases():
    """A network without biases cannot learn XOR."""
    def answers(activation, slope, steps=1000, lr=0.1):
        """What ten networks say to the four cases, shape (10, 4), after steps of fixed length."""
        rng, X = np.random.default_rng(0), XOR[:, :2]
        V, w = rng.normal(size=(10, 2, 4)), rng.normal(size=(10, 4, 1))
        for _ in range(steps):
            hidden = activation(X @ V)
            output = sigmoid(hidden @ w)
            delta = (output - TARGETS) * output * (1 - output)
            dV, dw = X.T @ (delta @ w.mT * slope(hidden)), hidden.mT @ delta
            V = V - lr * dV / (length(dV) + 1e-8)
            w = w - lr * dw / (length(dw) + 1e-8)
        return output[..., 0]

    with_tanh = answers(np.tanh, lambda a: 1 - a * a)
    with_sigmoid = answers(sigmoid, lambda a: a * (1 - a))
    assert (with_tanh[:, 0] == 0.5).all()
    solved = np.sum((abs(with_sigmoid - TARGETS.T) < 0.1).all(axis=1))
    assert solved >= 9
    return (f"Ten networks with four hidden units. With tanh all ten say {with_tanh[0, 0]:.1f} to "
            f"(0, 0), before and after training. With sigmoid units {solved} of 10 learn all "
            "four cases.")


@card("networks", "false", chapter="13", rows=["E71"],
      right="A sum over n inputs has spread √n, so with many of them most units start at an end of "
            "their range, where the slope is next to nothing. Divide by √n.")
def standard_normal_weights():
    """Weights drawn from the standard normal distribution are a good start for any layer."""
    rng = np.random.default_rng(0)
    slopes = {}
    for n in (4, 64, 1024):
        z = rng.normal(size=(200, n)) @ rng.normal(size=(n, 100))
        slopes[n] = np.mean(1 - np.tanh(z) ** 2), np.mean(1 - np.tanh(z / np.sqrt(n)) ** 2)
    assert slopes[1024][0] < 0.05 and min(scaled for _, scaled in slopes.values()) > 0.5
    return ("Mean slope of tanh units with 4, 64 and 1,024 inputs: "
            f"{', '.join(f'{drawn:.2f}' for drawn, _ in slopes.values())}. With weights divided by "
            f"√n: {', '.join(f'{scaled:.1f}' for _, scaled in slopes.values())}.")


@card("networks", "false", chapter="11", rows=["E75"],
      right="On new examples 1/12, the variance of the targets, cannot be beaten. On the training "
            "examples it can: a model with many parameters learns the noise by heart, and does "
            "worse elsewhere. A falling training error shows nothing.")
def random_targets():
    """If the targets are random numbers from 0 to 1, no model gets its mean squared error in
    training below 1/12."""
    rng = np.random.default_rng(0)
    V = rng.normal(size=(10, 60))

    def data(n):
        """Random inputs, through 60 fixed tanh units, and targets that do not depend on them."""
        return np.c_[np.ones(n), np.tanh(rng.random((n, 10)) @ V)], rng.random(n)

    (A, y), (A_new, y_new) = data(100), data(1000)
    w = np.linalg.lstsq(A, y)[0]
    known, new = np.mean((A @ w - y) ** 2), np.mean((A_new @ w - y_new) ** 2)
    assert known < 0.06 and new > 1 / 12 + 0.02
    return (f"100 examples, 61 weights, 1/12 = {1 / 12:.2f}: the mean squared error is {known:.2f} "
            f"in training and {new:.2f} on new examples.")
