"""Cards about what a trained model owes to its optimizer, and what it does not."""

from functools import cache

import numpy as np

from zglearn.exercises.cards import card
from zglearn.experiments import compare, geometric, tune
from zglearn.gradient_free_methods import cma_es, one_plus_one_es
from zglearn.gradient_methods import adam, gradient_descent, momentum
from zglearn.landscapes import rastrigin
from zglearn.models import MLP, SoftmaxRegression, train
from zglearn.objective import Objective
from zglearn.trajectory import run


def labelled_points(seed=0, n=200, d=8):
    """Points (n, d) with labels +1 and -1 that a noisy plane gave them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, np.sign(X @ rng.normal(size=d) + rng.normal(size=n))


def logistic(X, y, ridge=0.1):
    """The regularized logistic loss of a linear classifier, with its gradient."""
    def loss(w):
        return np.mean(np.logaddexp(0, -y * (X @ w))) + ridge / 2 * (w @ w)

    def gradient(w):
        return -X.T @ (y / (1 + np.exp(y * (X @ w)))) / len(y) + ridge * w

    return Objective(loss, gradient)


@card("gradient", "false", chapter="13", rows=["E08"],
      right="Interpretability belongs to the model. Whoever finds the same minimum finds the same "
            "weights, and they mean the same.")
def searched_weights_mean_less():
    """A model that was fitted without gradients is harder to interpret than one fitted with
    them."""
    X, y = labelled_points()
    by_adam = run(adam, logistic(X, y), np.zeros(8), steps=1500, lr=0.01).points[-1]
    by_es = run(one_plus_one_es, logistic(X, y), np.zeros(8), steps=1500, seed=0).points[-1]
    difference = np.abs(by_adam - by_es).max()
    assert difference < 0.01 * np.abs(by_adam).max()
    return ("A logistic regression with eight weights, fitted by Adam and by a (1+1)-ES: the "
            f"weights differ by less than {max(difference, 1e-4):.0e}, and the largest is "
            f"{np.abs(by_adam).max():.1f}.")


@card("gradient", "false", chapter="11", rows=["E14"],
      right="The optimizer works before the model is used. What an answer costs is fixed by the "
            "size and shape of the model.")
def a_fast_optimizer_makes_fast_models():
    """A model that was trained with an efficient optimizer also answers faster, in translation for
    example."""
    X, y = labelled_points()
    weights, steps = {}, {}
    for method, hyper in ((gradient_descent, {"lr": 0.1}), (momentum, {"lr": 0.1})):
        path = run(method, logistic(X, y), np.zeros(8), steps=2000, **hyper)
        weights[method.__name__] = path.points[-1]
        steps[method.__name__] = path.steps_to(path.losses.min() + 1e-6)
    slow, fast = weights.values()
    assert slow.shape == fast.shape and np.array_equal(np.sign(X @ slow), np.sign(X @ fast))
    assert steps["momentum"] < steps["gradient_descent"] / 2
    return (f"Gradient descent needs {steps['gradient_descent']} steps to the minimum, momentum "
            f"{steps['momentum']}. Then both models hold {len(slow)} weights, an answer takes "
            f"{len(slow)} multiplications, and all {len(X)} answers are the same.")


@card("gradient", "it depends", chapter="03", rows=["E14"],
      holds="after one pass over the examples", fails="after ten",
      right="Single examples give many cheap steps, and win the start; with a constant learning "
            "rate they then keep wandering around the minimum, which full batches reach.")
def one_example_at_a_time():
    """An update after each example brings a model further than one update after a whole pass, for
    the same number of examples read."""
    def excess(size, lr, passes, seed):
        """The training loss above its minimum, after updates from so many examples each."""
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(100, 5))
        y, w = X @ rng.normal(size=5) + rng.normal(size=100), np.zeros(5)
        with np.errstate(over="ignore", invalid="ignore"):  # rates that are too long lose
            for _ in range(passes):
                for rows in rng.permutation(100).reshape(-1, size):
                    w = w + lr * X[rows].T @ (y[rows] - X[rows] @ w) / size
            return np.mean((y - X @ w) ** 2) - np.linalg.lstsq(X, y)[1][0] / 100

    found = {}
    for passes in (1, 10):
        tuned = tune(lambda size, lr, n=passes: [excess(size, lr, n, seed) for seed in range(3)],
                     {size: {"lr": geometric(0.001, 1, 7)} for size in (1, 100)}, trials=12)
        found[passes] = compare(*[[excess(size, tuned[size].settings["lr"], passes, seed)
                                   for seed in range(3, 11)] for size in (1, 100)], test_share=0)
    assert found[1].high < 0 < found[10].low
    return ("How far the training loss is above its minimum, single examples minus full batch, "
            "eight data sets, learning rates tuned alike on three others: "
            f"{found[1].difference:+.1f} after one pass, {found[10].difference:+.0e} after ten. "
            "Both are shown.")


# --- smaller models ---------------------------------------------------------------------------

@cache
def digits_network():
    """A small network that has learned to read digits: (model, p, training data, test data)."""
    from zglearn.data import load_digits

    task, model = load_digits(), MLP([64, 32, 10], dtype=float)
    data = task.train.X, task.train.y
    return (model, train(model, "adam", data, lr=0.01, epochs=15).p, model.check_data(*data),
            model.check_data(task.test.X, task.test.y))


def with_first_layer(change):
    """The trained parameters, with `change` applied to the weights of the first layer."""
    model, p, *_ = digits_network()
    q = p.copy()
    W = model.layers(q)[0][0]
    W[:] = change(W)
    return q


def prune(W, share):
    return np.where(np.abs(W) >= np.quantile(np.abs(W), share), W, 0)


def quantize(W, bits):
    step = np.abs(W).max(axis=0) / (2 ** (bits - 1) - 1)
    return np.round(W / step) * step


def cut_rank(W, k):
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    return (U[:, :k] * s[:k]) @ Vt[:k]


@card("gradient", "false", chapter="12", rows=["E17"],
      right="Rounding, and pruning by size, never ask for the loss, so nothing makes it fall. They "
            "change the stored model, as a penalty changes the objective and augmentation the "
            "data; all of it goes with any optimizer.")
def pruning_is_an_optimizer():
    """Pruning and quantization are ways in which an optimizer without gradients adjusts the
    weights to lower the loss."""
    model, p, data, _ = digits_network()
    trained = model.loss(p, *data)
    pruned = [model.loss(with_first_layer(lambda W, s=s: prune(W, s)), *data) for s in (.5, .8)]
    rounded = [model.loss(with_first_layer(lambda W, b=b: quantize(W, b)), *data) for b in (4, 2)]
    assert trained < pruned[0] < pruned[1] and trained < rounded[0] < rounded[1]
    return (f"Training loss of a network that reads digits: {trained:.3f}. Half of its first layer "
            f"pruned: {pruned[0]:.3f}, four fifths: {pruned[1]:.3f}. Rounded to 4 bits: "
            f"{rounded[0]:.3f}, to 2 bits: {rounded[1]:.3f}.")


@card("gradient", "true", chapter="12", rows=["E11", "E17"],
      right="Rounding to 8 bits looks at nothing but the weights. It does not improve the model; "
            "it makes it smaller at almost no harm.")
def weights_alone_are_enough_to_round():
    """Weights can be stored in a quarter of the space by a change that looks at nothing but them,
    neither at the loss nor at any data, and the network answers as well as before."""
    model, p, _, test = digits_network()
    before, after = (model.accuracy(q, *test)
                     for q in (p, with_first_layer(lambda W: quantize(W, 8))))
    assert abs(before - after) < 0.01
    return ("The first layer of a network that reads digits, rounded to 8 bits, a quarter of "
            f"single precision: {before:.0%} of the test digits right before, {after:.0%} after.")


@card("gradient", "false", chapter="12", rows=["E18"],
      right="A model of d parameters has d parameters, whoever found them. Smaller it becomes by "
            "fewer entries, a lower rank, fewer bits, or by being small from the start.")
def searched_models_are_smaller():
    """Optimization without gradients compresses a model, as it leaves out what is not needed."""
    X, y = labelled_points()
    sizes = []
    for method, hyper in ((adam, {"lr": 0.01}), (one_plus_one_es, {"seed": 0}),
                          (cma_es, {"seed": 0})):
        w = run(method, logistic(X, y), np.zeros(8), steps=300, **hyper).points[-1]
        sizes.append((w.nbytes, np.count_nonzero(w)))
    assert len(set(sizes)) == 1 and sizes[0][1] == 8
    return ("Eight weights, fitted by Adam, by a (1+1)-ES and by CMA-ES: each time "
            f"{sizes[0][0]} bytes, and {sizes[0][1]} weights that are not zero.")


@card("gradient", "it depends", chapter="12", rows=["E18", "E31"],
      holds="a little below the break-even rank", fails="above it, and far below",
      right="It saves numbers only below the break-even rank mn/(m+n), and keeps the model only if "
            "the weights are nearly of such a rank. Trained weights often are not.")
def low_rank_compresses_weights():
    """Replacing a trained weight matrix by its truncated SVD makes a network smaller and does it
    little harm."""
    model, p, _, test = digits_network()
    m, n = model.layers(p)[0][0].shape
    right = {k: model.accuracy(with_first_layer(lambda W, k=k: cut_rank(W, k)), *test)
             for k in (4, 16, 28)}
    before = model.accuracy(p, *test)
    numbers = {k: k * (m + n) for k in right}
    assert numbers[28] > m * n > numbers[16] and before - right[4] > 0.1
    assert max(abs(before - right[k]) for k in (16, 28)) < 0.02
    listed = "; ".join(f"{k}: {numbers[k]:,} numbers, {share:.0%}"
                       for k, share in sorted(right.items(), reverse=True))
    return (f"A first layer of {m} × {n} = {m * n:,} weights, {before:.0%} of the test digits "
            f"right. Rank {listed}.")


# --- starts and losses ------------------------------------------------------------------------

@card("gradient", "false", chapter="14", rows=["E19"],
      right="Whatever goes downhill from where it stands depends on where it starts, and gradient "
            "descent does. A population that begins spread wide depends on it less.")
def only_search_depends_on_the_start():
    """That the result depends on the start is a weakness of evolutionary search, which gradient
    descent does not share."""
    egg_box = rastrigin()
    starts = np.random.default_rng(0).uniform(-5, 5, size=(20, 2))

    def ends(method, **hyper):
        return [run(method, egg_box.objective(), x, budget=2400, **hyper).losses[-1]
                for x in starts]

    down = ends(gradient_descent, lr=0.002)
    wide, narrow = (ends(cma_es, seed=0, sigma=sigma, population=40) for sigma in (3.0, 0.1))
    found = [sum(loss < 0.01 for loss in losses) for losses in (down, wide, narrow)]
    assert found[1] > 10 and found[0] == found[2] == 0 and np.ptp(down) > 20
    return ("Rastrigin's egg box from 20 starts, at the same cost: gradient descent reaches the "
            f"lowest minimum {found[0]} times and ends at losses from {min(down):.0f} to "
            f"{max(down):.0f}. CMA-ES with 40 members reaches it more than 10 times if they begin "
            f"spread over the box, and {found[2]} times if they begin close together.")


@card("gradient", "it depends", chapter="02", rows=["E21"],
      holds="for the numbers of the words", fails="for their probabilities",
      right="Numbers of words are names: their differences mean nothing. On probabilities it is a "
            "fair loss (Brier's), though cross-entropy minds rare words more.")
def squared_error_for_words():
    """Squared error is the wrong loss to train a language model with."""
    words, follows = np.array(["a", "cat", "dog", "ran", "the"]), np.array([0, 45, 40, 10, 5])
    share = follows / follows.sum()

    def named(order):
        """The word whose number is closest to the mean, the best guess in squared error."""
        return words[order][round(share[order] @ np.arange(5))]

    guesses = {named(np.random.default_rng(seed).permutation(5)) for seed in range(20)}
    model, X = SoftmaxRegression(1, 5), np.ones((1, 1))

    def brier(p):
        P = model.probabilities(p, X)[0]
        return 1 - 2 * share @ P + P @ P

    p = run(cma_es, Objective(brier), model.init(), steps=300, seed=0).points[-1]
    learned = model.probabilities(p, X)[0]
    assert len(guesses) > 1 and np.abs(learned - share).max() < 0.01
    return (f"After a word follows “cat” {share[1]:.0%} of the time. The best guess in the squared "
            f"error of word numbers changes with the numbering: {', '.join(sorted(guesses))}. "
            f"The squared error of probabilities finds {learned[1]:.0%} for “cat”.")
