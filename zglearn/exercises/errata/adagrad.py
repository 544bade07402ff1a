"""Cards about Adagrad: its sum, its ε, and what sparse means."""

from functools import cache

import numpy as np

from zglearn.data import load_digits, load_docstrings, tfidf
from zglearn.exercises.cards import card, failure, said, steps_of
from zglearn.experiments import compare, geometric, tune
from zglearn.gradient_methods import adagrad, gradient_descent
from zglearn.models import MLP, SoftmaxRegression
from zglearn.models.flat import minibatches
from zglearn.objective import Objective
from zglearn.trajectory import run

# --- programs ---------------------------------------------------------------------------------


def adagrad_path(gradients, x, lr=1.0, eps=1e-10):
    for g in gradients:
        G = np.zeros_like(x)
        G += g**2
        x = x - lr * g / (np.sqrt(G) + eps)
    return x


def adagrad_path_with_a_sum(gradients, x, lr=1.0, eps=1e-10):
    G = np.zeros_like(x)
    for g in gradients:
        G += g**2
        x = x - lr * g / (np.sqrt(G) + eps)
    return x


@card("adaptive", "true", chapter="05", rows=["E51"],
      broken=adagrad_path, repaired=adagrad_path_with_a_sum,
      right="G is set to zero at every step, so each gradient is divided by its own size and only "
            "its sign is left. To be Adagrad, the sum must be set up before the loop.")
def sum_that_is_forgotten(broken, repaired):
    """Of a gradient this function uses only the signs, but for what `eps` changes."""
    gradients = np.random.default_rng(0).normal(size=(50, 3))
    assert np.allclose(broken(gradients, np.zeros(3)), -np.sign(gradients).sum(axis=0))
    far, adagrads = (-program(np.ones((100, 1)), np.zeros(1))[0] for program in (broken, repaired))
    assert np.isclose(far, 100) and np.isclose(adagrads, 18.59, rtol=1e-3)
    return (f"Where 50 random gradients lead it, their signs lead, too. A hundred gradients of 1 "
            f"with lr = 1 carry it {far:.0f} far; repaired, {adagrads:.1f}, as Adagrad should.")


def adagrad_steps(gradients, x, lr=0.01, eps=1e-8):
    G = np.zeros_like(x)
    for g in gradients:
        x = x - lr * g / np.sqrt(G + eps)
        G += g**2
    return x


def adagrad_steps_that_add_first(gradients, x, lr=0.01, eps=1e-8):
    G = np.zeros_like(x)
    for g in gradients:
        G += g**2
        x = x - lr * g / np.sqrt(G + eps)
    return x


@card("adaptive", "false", chapter="05", rows=["E52"],
      broken=adagrad_steps, repaired=adagrad_steps_that_add_first,
      right="The first gradient is divided by `sqrt(eps)` alone. A gradient must be in the sum "
            "that it is divided by: then no step is longer than the learning rate.")
def divided_by_the_past(broken, repaired):
    """It makes no difference whether G is updated before the step, as in the paper, or right after
    it, as here."""
    gradients = np.array([[0.1, 0.2, 0.3]])
    far, near = (np.abs(program(gradients, np.zeros(3))) for program in (broken, repaired))
    assert np.allclose(far, 1e4 * 0.01 * gradients) and np.allclose(near, 0.01)
    return (f"The gradient 0.1, 0.2, 0.3 with lr = 0.01: the first step is {far[0]:.0f}, "
            f"{far[1]:.0f} and {far[2]:.0f} long. Repaired, it is {near[0]:.2f} in each.")


def adagrad_walk(gradients, x, lr=0.01):
    G = np.zeros_like(x)
    for g in gradients:
        G += g**2
        x = x - lr * g / (np.sqrt(G) + eps)
    return x


def adagrad_walk_with_eps(gradients, x, lr=0.01, eps=1e-10):
    G = np.zeros_like(x)
    for g in gradients:
        G += g**2
        x = x - lr * g / (np.sqrt(G) + eps)
    return x


@card("adaptive", "false", chapter="05", rows=["E53"],
      broken=adagrad_walk, repaired=adagrad_walk_with_eps,
      right="A name is looked up when its line runs, in the function and in its module, never in "
            "the caller. Give `eps` a default.")
def eps_of_the_caller(broken, repaired):
    """A caller that has `eps = 1e-10` among its own variables can use this function."""
    eps = 1e-10
    gradients = np.random.default_rng(0).normal(size=(20, 3))
    assert (broken([], np.zeros(3)) == 0).all()  # no gradients, no complaint
    error = failure(broken, gradients, np.zeros(3))
    assert isinstance(error, NameError) and "eps" in str(error)
    ours = steps_of(adagrad, gradients, lr=0.01, eps=eps).sum(axis=0)
    assert np.allclose(repaired(gradients, np.zeros(3)), ours)
    return (f"It can be defined, imported and called with no gradients. With the first one it "
            f"stops: {said(error)}. Repaired, it agrees with the package's Adagrad.")


def train_by_adagrad(slope, p, steps, lr=1e-4, eps=1e-8):
    for _ in range(steps):
        g, G = slope(p), np.zeros_like(p)
        p = p - lr * g / np.sqrt(G + eps)
        G += g**2
    return p


def train_by_adagrad_with_a_sum(slope, p, steps, lr=0.1, eps=1e-10):
    G = np.zeros_like(p)
    for _ in range(steps):
        g = slope(p)
        G += g**2
        p = p - lr * g / (np.sqrt(G) + eps)
    return p


@card("adaptive", "false", chapter="05", rows=["E59"],
      broken=train_by_adagrad, repaired=train_by_adagrad_with_a_sum,
      right="Divided by `sqrt(eps)`, it is gradient descent with a learning rate 10,000 times as "
            "large, and that trains the network as well. A good result does not prove a program; "
            "comparing its steps with a known one does.")
def it_trains_so_it_works(broken, repaired):
    """A network trained by this Adagrad reads most digits correctly, so the function is right."""
    digits, net = load_digits(), MLP([64, 16, 10], dtype=np.float64)
    X, y = digits.train.X, digits.train.y

    def slope(p):
        return net.gradient(p, X, y)

    start, accuracies = net.init(np.random.default_rng(0)), []
    for program, method, lr in ((broken, gradient_descent, 1.0), (repaired, adagrad, 0.1)):
        p = program(slope, start, 60)
        known = run(method, Objective(lambda p: 0.0, slope), start, steps=60, lr=lr).points[-1]
        assert np.allclose(p, known, rtol=1e-4, atol=1e-6)
        accuracies.append(net.accuracy(p, digits.test.X, digits.test.y))
    assert accuracies[0] > 0.8
    return (f"After 60 steps it has {accuracies[0]:.0%} of the test digits right, and every weight "
            "is what gradient descent with lr = 1 makes of it. Repaired, it agrees with the "
            f"package's Adagrad, and has {accuracies[1]:.0%} right.")


# --- the formula ------------------------------------------------------------------------------


@card("adaptive", "it depends", chapter="05", rows=["E54"],
      holds="where every gradient differs from zero", fails="with sparse gradients",
      right="A weight that has had no gradient yet computes 0/0. (To skip such weights does as "
            "well.)")
def adagrad_without_eps():
    """Adagrad works without the ε in its denominator."""
    dense = np.random.default_rng(0).normal(size=(100, 3))
    assert np.allclose(steps_of(adagrad, dense, eps=0.0), steps_of(adagrad, dense))
    sparse = Objective(lambda x: 0.0, lambda x: np.array([0.0, 0.2, 0.0]))
    with np.errstate(invalid="ignore"):
        bare = next(adagrad(sparse, np.ones(3), lr=0.1, eps=0.0))
    kept = next(adagrad(sparse, np.ones(3), lr=0.1))
    assert np.isnan(bare[[0, 2]]).all() and np.allclose(kept, [1, 0.9, 1])
    return ("With 100 dense gradients the path is the same. With the gradient 0, 0.2, 0 the "
            f"weights 1, 1, 1 become {bare} at the first step; with ε, 1, {kept[1]:.1f}, 1.")


def averaged(f, x, *, lr):
    G, t = 0.0, 0
    while True:
        g, t = f.grad(x), t + 1
        G = G + g * g
        x = x - lr * g / np.sqrt(G / t)
        yield x


@card("adaptive", "false", chapter="05", rows=["E55"],
      right="With the sum, steps fall as 1/√t. With the average they do not fall at all: it is "
            "another method, a relative of RMSprop.")
def sum_or_average():
    """Whether Adagrad adds up the squared gradients or averages them only changes the scale of its
    learning rate."""
    added, mean = (-steps_of(method, np.ones(1000), lr=1.0)[[0, 99, 999], 0]
                   for method in (adagrad, averaged))
    assert np.allclose(added, [1, 0.1, 0.0316], rtol=0.01) and np.allclose(mean, 1)
    return ("Steady gradients of 1, steps number 1, 100 and 1000: "
            f"{', '.join(f'{step:.2f}' for step in added)} with the sum, "
            f"{', '.join(f'{step:.2f}' for step in mean)} with the average.")


@card("adaptive", "false", chapter="05", rows=["E56"],
      right="The steps are lr/√t, and their sum grows without bound, as 2√t: twice as far takes "
            "four times the steps. (Divided by G itself, without the root, it would take the "
            "square of their number.)")
def limited_distance():
    """Adagrad's steps shrink for ever, so it can only get so far from its start."""
    travelled = -np.cumsum(steps_of(adagrad, np.ones(6400), lr=1.0)[:, 0])
    at = travelled[[99, 399, 1599, 6399]]
    assert (at[1:] / at[:-1] > 1.95).all() and abs(at[0] - 18.6) < 0.1
    return ("Steady gradients, distance in learning rates: after 100, 400, 1,600 and 6,400 steps "
            f"{', '.join(f'{distance:.0f}' for distance in at)}. Four times the steps, twice as "
            "far, without end.")


@card("adaptive", "false", chapter="05", rows=["E56"],
      right="A common factor cancels as long as the gradients are large against ε. What has been "
            "rounded away or drowned in noise no division brings back: Adagrad does not cure "
            "vanishing gradients.")
def small_gradients_brought_to_size():
    """However small gradients are, Adagrad brings them back to a useful size."""
    gradients = np.random.default_rng(0).normal(size=(100, 3))
    full = np.abs(steps_of(adagrad, gradients)).mean()
    shares = [np.abs(steps_of(adagrad, scale * gradients)).mean() / full
              for scale in (1e-6, 1e-14)]
    lost = steps_of(adagrad, (1e-50 * gradients).astype(np.float32))
    assert shares[0] > 0.99 and shares[1] < 0.01 and not lost.any()
    return (f"Gradients times 1e-6: steps of {shares[0]:.0%} their length. Times 1e-14, far below "
            f"ε: {shares[1]:.1%}. Times 1e-50 in 32-bit numbers: they are zero, and so are the "
            "steps.")


# --- sparse -----------------------------------------------------------------------------------


@cache
def texts(counts, split=0):
    """The text task: labels, and its features as plain word counts or as TF-IDF."""
    task = load_docstrings(split_seed=split)
    plain = {"use_idf": False, "norm": None, "sublinear_tf": False, "min_df": 1, "max_df": 1.0,
             "stop_words": None}
    return task, tfidf(task, **(plain if counts else {}))


def one_pass(method, lr, counts, split=0):
    """The weights after a pass over half of the texts; the accuracy on validation, test texts."""
    task, X = texts(counts, split)
    model = SoftmaxRegression(X.train.shape[1], len(task.label_names))
    batches = minibatches(X.train[::2], task.train.labels[::2], 32, np.random.default_rng(0))
    f = Objective(lambda p, X, y: 0.0, model.gradient, batches=batches)
    p = run(method, f, model.init(), steps=40, lr=lr).points[-1]
    return p, [np.mean(model.predict(p, features) == labels) for features, labels in
               ((X.validation, task.validation.labels), (X.test, task.test.labels))]


@card("adaptive", "false", chapter="05", rows=["E58"],
      right="Sparse are the features, and with them the gradients: a text has few of the words. "
            "Nothing in Adagrad drives a weight to zero.")
def adagrad_for_sparse_models():
    """Adagrad is made for sparse models, those that end with most weights at zero."""
    _, X = texts(counts=True)
    used = X.train.nnz / np.prod(X.train.shape)
    weights, _ = one_pass(adagrad, 0.03, counts=True)
    assert used < 0.02 and np.mean(weights != 0) > 0.5
    return (f"Word counts of texts: {1 - used:.0%} of the features are zero. After one pass of "
            f"Adagrad over half of them, {np.mean(weights != 0):.0%} of the weights are not, those "
            "of all the words that occurred.")


@card("adaptive", "it depends", chapter="05", rows=["E58"],
      holds="for raw counts of words", fails="for TF-IDF",
      right="It gives every feature a rate of its own. That is worth much if the features' scales "
            "differ wildly, as raw counts do; TF-IDF has evened them out.")
def adagrad_on_sparse_features():
    """On sparse features such as words, Adagrad is well ahead of gradient descent."""
    def lead(counts, grids, splits=range(4)):
        """Adagrad's accuracy on test texts minus that of gradient descent, in each split."""
        found = []
        for split in splits:
            tuned = tune(lambda method, lr: -one_pass(method, lr, counts, split)[1][0],
                         {method: {"lr": grid} for method, grid in grids.items()}, trials=7)
            found.append([one_pass(method, tuned[method].settings["lr"], counts, split)[1][1]
                          for method in (adagrad, gradient_descent)])
        return compare(*np.transpose(found), test_share=0.25)

    raw = lead(True, {gradient_descent: geometric(0.01, 1, 5), adagrad: geometric(0.01, 1, 5)})
    even = lead(False, {gradient_descent: geometric(1, 100, 5), adagrad: geometric(0.03, 3, 5)})
    assert raw.shown and raw.difference > 0.04 > even.difference and not even.shown
    return ("One pass over half of the texts, learning rates tuned alike on validation texts, "
            "accuracy on test texts, four splits. On raw counts Adagrad leads by more than 4 "
            "points, and a lead is shown; on TF-IDF it leads by less, and none is.")
