"""Cards about what a gradient costs, what it costs to have none, and where it vanishes."""

from functools import cache

import numpy as np

from zglearn.data import load_digits
from zglearn.exercises.cards import card
from zglearn.experiments import geometric, reach, tune
from zglearn.gradient_free_methods import genetic_algorithm, mezo, simulated_annealing
from zglearn.gradient_methods import adam, gradient_descent
from zglearn.landscapes import ravine, rotation
from zglearn.models import MLP
from zglearn.objective import Objective
from zglearn.trajectory import run


@card("gradient", "false", chapter="13", rows=["E03"],
      right="Backpropagation goes back once over what the forward pass computed, however many "
            "weights there are. It is finite differences that cost a loss for each weight.")
def a_gradient_costs_a_loss_per_parameter():
    """A network with thousands of weights has thousands of partial derivatives, so its gradient
    costs thousands of times as much as its loss."""
    model, rng = MLP([64, 32, 10], dtype=float), np.random.default_rng(0)
    X, y, p = rng.normal(size=(50, 64)), rng.integers(10, size=50), model.init(rng)
    count = {"forward": 0, "backward": 0}

    def product(way, A, B):
        count[way] += A.shape[0] * A.shape[1] * B.shape[1]
        return A @ B

    (W1, _), (W2, _) = model.layers(p)
    H = np.tanh(product("forward", X, W1))
    E = np.exp(product("forward", H, W2))
    D = (E / E.sum(axis=1, keepdims=True) - np.eye(10)[y]) / len(y)
    dW2 = product("backward", H.T, D)
    dW1 = product("backward", X.T, product("backward", D, W2.T) * (1 - H * H))

    (true_1, _), (true_2, _) = model.layers(model.gradient(p, X, y))
    assert np.allclose(dW1, true_1) and np.allclose(dW2, true_2)
    ratio = 1 + count["backward"] / count["forward"]
    assert ratio < 3
    return (f"For {W1.size + W2.size:,} weights, loss and gradient together take {ratio:.1f} times "
            "the multiplications of the loss alone. Finite differences would take "
            f"{W1.size + W2.size + 1:,} times as many.")


def cost_to_a_thousandth(method, f, start, budget, **hyper):
    """Forward-equivalents until the loss is a thousandth of the start's, inf if it never is."""
    path = run(method, f, start, budget=budget, **hyper)
    return reach([path], path.losses[0] / 1000).median


@card("gradient", "true", chapter="13", rows=["E15", "E03"],
      right="A step without a gradient costs two losses, and a gradient about three; but it takes "
            "many more steps. Efficient per step and slow on the way do not exclude each other.")
def cheap_steps_and_a_dear_path():
    """A method can be the cheaper one in every single step and still be the more expensive one."""
    valley = ravine(10, d=50)
    L, trace = 10, np.geomspace(1, 10, 50).sum()
    with_gradient = cost_to_a_thousandth(gradient_descent, valley.objective(), valley.start,
                                         budget=300, lr=1 / L)
    without = np.median([cost_to_a_thousandth(mezo, valley.objective(), valley.start, seed=seed,
                                              budget=3000, lr=1 / (trace + 2 * L))
                         for seed in range(3)])
    assert without > 10 * with_gradient
    return ("On a quadratic in 50 dimensions, both with the rates of their theory, a step of MeZO "
            "costs 2 forward passes and a step of gradient descent 3. To a thousandth of the loss, "
            f"MeZO pays {without:,.0f}, gradient descent {with_gradient:,.0f}.")


@card("gradient", "it depends", chapter="13", rows=["E04"],
      holds="where the loss is curved in each direction", fails="where it is curved in eight",
      right="What counts is in how many directions the loss is curved, its effective rank. If all "
            "directions count, the price grows with the dimension; if few do, it does not.")
def home_in_high_dimensions():
    """The more parameters there are, the more it costs to do without the gradient."""

    def evaluations(d, curved):
        """Of MeZO, in the median of five starts; the curved axes are turned at random."""
        needed = []
        for seed in range(5):
            axes = rotation(d, seed)[:curved]
            start = np.random.default_rng(100 + seed).normal(size=d)
            f = Objective(lambda x, axes=axes: 0.5 * np.sum((axes @ x) ** 2))
            needed.append(cost_to_a_thousandth(mezo, f, start, seed=seed, lr=1 / (curved + 2),
                                               budget=60 * (curved + 2)))
        return np.median(needed)

    round_bowl = [evaluations(d, d) for d in (8, 64)]
    flat_bowl = [evaluations(d, 8) for d in (8, 512)]
    assert round_bowl[1] > 5 * round_bowl[0] and flat_bowl[1] < 2 * flat_bowl[0]
    return ("Evaluations of MeZO to a thousandth of the loss: from 8 to 64 dimensions, all "
            f"curved, {round_bowl[0]:.0f} become {round_bowl[1]:,.0f}. From 8 to 512 dimensions, "
            f"of which eight random ones are curved, {flat_bowl[0]:.0f} become "
            f"{flat_bowl[1]:.0f}.")


# --- deep networks ----------------------------------------------------------------------------

def sigmoid_network(depth, width=8, skip=False):
    """The mean output of a deep sigmoid network as a function of a shift of its first layer, along
    a random direction."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(depth, width, width)) / np.sqrt(width)
    x, Z = rng.normal(size=(16, width)), rng.normal(size=(width, width))

    def output(shift, dtype=float):
        a, first = x.astype(dtype), weights[0] + shift * Z
        for W in (first, *weights[1:]):
            layer = 1 / (1 + np.exp(-(a @ W.astype(dtype))))
            a = a + layer if skip else layer
        return a.mean()

    return output


def first_slope(*shape, **network):
    """The slope of that function at 0, exact: by a complex step, too short to be rounded away."""
    return abs(sigmoid_network(*shape, **network)(1e-30j, complex).imag / 1e-30)


@card("gradient", "false", chapter="13", rows=["E05"],
      right="The difference of two losses close by is the gradient, seen along one direction. "
            "Where the gradient vanishes they become equal, and the last digits go first.")
def no_gradient_cannot_vanish():
    """A method that works without gradients cannot suffer from vanishing gradients."""
    networks = [sigmoid_network(depth) for depth in (2, 10)]
    differences = [abs(f(1e-2) - f(-1e-2)) for f in networks]
    digit = np.spacing(np.float32(networks[1](0.0)))
    assert differences[0] > 1000 * digit and 0 < differences[1] < digit / 20
    return ("Two evaluations of a sigmoid network, its first layer moved a little to either side, "
            f"differ by {differences[0]:.0e} with 2 layers and by {differences[1]:.0e} with 10. "
            f"The last digit of single precision is worth {digit:.0e} there: it shows nothing.")


@card("gradient", "true", chapter="06", rows=["E05"],
      right="What is lost on the way back has to be kept by the network: residual connections, "
            "normalization, gates, other activations, a fitting start. An optimizer can only "
            "rescale what arrives.")
def skips_against_vanishing():
    """In a network of twenty sigmoid layers, skip connections do more against vanishing gradients
    than RMSprop does."""
    plain, with_skips = first_slope(20), first_slope(20, skip=True)
    eps, rho = 1e-8, 0.99  # RMSprop's first step, in units of its learning rate
    step = plain / (np.sqrt((1 - rho) * plain**2) + eps)
    assert with_skips > 1e6 * plain and step < 0.01
    return (f"Twenty sigmoid layers: a slope of {plain:.0e} reaches the first one. The same layers "
            f"with skip connections: {with_skips:.0e}. RMSprop, which divides by the size of the "
            f"slope, would still move that first weight by {step:.0e} of its learning rate only, "
            "since its ε is the larger.")


@card("gradient", "false", chapter="06", rows=["E20"],
      right="Each layer multiplies the gradient by the slopes of its activations: depth shrinks "
            "it. The number of weights as such does not.")
def many_parameters_shrink_the_gradient():
    """Very large networks suffer from vanishing gradients because they have so many parameters."""
    wide, deep = {"depth": 3, "width": 256}, {"depth": 20, "width": 8}
    slopes = [first_slope(**shape) for shape in (wide, deep)]
    sizes = [shape["depth"] * shape["width"] ** 2 for shape in (wide, deep)]
    assert sizes[0] > 100 * sizes[1] and slopes[0] > 1e4 * slopes[1]
    return (f"Three layers of 256 sigmoids, {sizes[0]:,} weights: the first layer's slope is "
            f"{slopes[0]:.0e}. Twenty layers of 8, {sizes[1]:,} weights: {slopes[1]:.0e}.")


# --- search -----------------------------------------------------------------------------------

@cache
def digits():
    """200 images of digits and their labels; validation and test digits."""
    task = load_digits()
    return (task.train.X[:200], task.train.y[:200], (task.validation.X, task.validation.y),
            (task.test.X, task.test.y))


@card("gradient", "false", chapter="14", rows=["E06"],
      right="They do learn, but they need many times the effort: on a network every direction "
            "costs, and these methods try one, or a population, at a time.")
def annealing_trains_as_well_as_adam():
    """For the same effort, simulated annealing and a genetic algorithm train a network of 1,210
    weights, which reads digits, about as well as Adam does."""
    X, y, validation, test = digits()
    model = MLP([64, 16, 10], dtype=float)
    start = model.init(0)
    knobs = {adam: {"lr": geometric(0.001, 0.1, 3)},
             simulated_annealing: {"temperature": geometric(0.001, 0.1, 3),
                                   "sigma": geometric(0.003, 0.3, 3)},
             genetic_algorithm: {"spread": geometric(0.03, 0.3, 3),
                                 "sigma": geometric(0.003, 0.3, 3)}}

    def right(method, seed, part, **settings):
        fixed = {"population": 20} if method is genetic_algorithm else {}
        path = run(method, model.objective(X, y), start, budget=300, seed=seed, **fixed, **settings)
        return model.accuracy(path.points[-1], *part)

    tuned = tune(lambda method, **settings: -right(method, 0, validation, **settings), knobs,
                 trials=10)
    found = [np.median([right(method, seed, test, **tuned[method].settings) for seed in (1, 2, 3)])
             for method in knobs]
    assert found[0] > 0.8 and max(found[1:]) < 0.65
    return ("Each with 10 trials on validation digits, then three new seeds. After 300 "
            "forward-equivalents Adam reads more than 80% of the test digits right in the median, "
            "annealing and the genetic algorithm (20 members) less than 65%.")


# --- large language models --------------------------------------------------------------------

@card("gradient", "false", chapter="16", rows=["E07"],
      right="It was trained with Adam (Brown et al. 2020). A price that grows with the number of "
            "parameters is out of reach for 175 billion of them.")
def gpt3_by_annealing():
    """GPT-3 was set up at random and then optimized by annealing and similar searches, which need
    nothing but the value of the loss."""
    dimensions = 64
    f = Objective(lambda x: 0.5 * (x * x).sum(axis=-1), batched=True)
    per_dimension = cost_to_a_thousandth(mezo, f, np.ones(dimensions), seed=0, budget=3000,
                                         lr=1 / (dimensions + 2)) / dimensions
    search, training = per_dimension * 175e9, 3 * 300e9 / 3.2e6
    assert search > 1e5 * training
    return (f"On a round bowl MeZO pays {per_dimension:.0f} losses per dimension to a thousandth "
            f"of the loss. At that price, 175 billion parameters take {search:.0e} losses. As "
            "published, GPT-3 read 300 billion tokens in batches of 3.2 million: if a gradient "
            f"counts as three losses, that is {training:.0e}.")


@card("gradient", "true", chapter="16", rows=["E09"],
      right="Adam keeps 16 bytes per parameter (Rajbhandari et al. 2020), forward passes only the "
            "2 of the weight. Memory, not speed, is what speaks for doing without the gradient.")
def thirty_billion_on_one_card():
    """A language model of 30 billion parameters can be fine-tuned on a single 80 GB device, if one
    does without the backward pass."""
    gigabytes = {"MeZO": 2 * 30, "Adam": 16 * 30}
    model = MLP([64, 32, 10], dtype=float)
    path = run(mezo, model.objective(*digits()[:2]), model.init(0), steps=200, seed=0, lr=0.03)
    assert gigabytes["MeZO"] <= 80 < gigabytes["Adam"] and path.gradients[-1] == 0
    assert path.losses[-1] < path.losses[0]
    return (f"Forward passes only: {gigabytes['MeZO']} GB of weights. Adam: {gigabytes['Adam']} GB "
            "before activations. Malladi et al. (2023) report it for OPT-30B. Our network learns "
            f"that way too: {path.evaluations[-1]} losses, {path.gradients[-1]} gradients, and "
            f"the loss falls from {path.losses[0]:.1f} to {path.losses[-1]:.1f}.")
