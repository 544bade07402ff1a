"""Training in place follows the generators that the chapters show; its ledger and its ends."""

import inspect
import itertools
import os
import signal
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from zglearn import Objective, gradient_methods, trajectory
from zglearn.gradient_free_methods import mezo
from zglearn.models import MLP, LanguageModel, SoftmaxRegression, contexts, train, training
from zglearn.models.flat import minibatches

GRADIENT_METHODS = [
    ("gradient_descent", {}), ("momentum", {}), ("momentum", dict(beta=0.5)),
    ("nesterov", dict(beta=0.8)), ("adagrad", {}), ("adagrad", dict(eps=1e-3)),
    ("rmsprop", {}), ("rmsprop", dict(rho=0.9, eps=1e-4, centered=True)),
    ("adam", {}), ("adam", dict(beta1=0.5, beta2=0.9, eps=1e-3, weight_decay=0.1)),
    ("adamw", {}), ("adamw", dict(weight_decay=0.3)),
    ("amsgrad", {}), ("amsgrad", dict(beta2=0.9, weight_decay=0.1)),
    ("sign_descent", {}), ("lion", {}), ("lion", dict(beta1=0.5, beta2=0.8, weight_decay=0.3)),
    ("adafactor", {}),
    ("adafactor", dict(beta2_decay=-0.5, eps1=1e-4, eps2=0.1, d=2.0, weight_decay=0.3)),
    ("shampoo", {}), ("shampoo", dict(eps=1e-4, refresh=3)),
    ("soap", {}), ("soap", dict(beta1=0.5, beta2=0.8, eps=1e-3, weight_decay=0.3, refresh=3)),
    ("muon", {}), ("muon", dict(beta=0.5, nesterov=False, rounds=3, weight_decay=0.3)),
]
TO_THE_LAST_BIT = {"gradient_descent", "momentum", "nesterov", "adagrad", "rmsprop",
                   "sign_descent"}
SHAPES = {"W": (3, 4), "V": (3, 2), "b": (2,)}


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def task(rng):
    """A small classification problem that can be learnt, and a model for it in float64."""
    X = rng.normal(size=(130, 6))
    return MLP([6, 8, 4], dtype=float), (X, X[:, :4].argmax(axis=1))


class Recorded:
    """Plays recorded gradients back, to a method in place or to a generator."""

    def __init__(self, gradients, lr=None, shapes=None):
        self.gradients, self.lr, self.shapes, self.memory = iter(gradients), lr, shapes, {}

    def gradient(self):
        return next(self.gradients).copy()

    def grad(self, x):
        return next(self.gradients)


@pytest.mark.parametrize("block", [7, 10_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method, hyper", GRADIENT_METHODS)
def test_in_place_follows_the_generator(method, hyper, dtype, block, rng, monkeypatch):
    monkeypatch.setattr(training, "BLOCK", block)
    gradients = rng.normal(size=(1000, 20)) * np.logspace(-3, 1, 20)
    gradients = gradients.astype(dtype)
    x = rng.normal(size=20).astype(dtype)
    p, lr, shown = x.copy(), 0.01, getattr(gradient_methods, method)
    in_place = training.METHODS[method](Recorded(gradients, lr, SHAPES), p, **hyper)
    if "shapes" in inspect.signature(shown).parameters:
        hyper = hyper | {"shapes": SHAPES}
    shown = shown(Recorded(gradients), x, lr=lr, **hyper)
    tolerance = 1e-12 if dtype is np.float64 else 1e-4
    for expected, _ in zip(itertools.islice(shown, 1000), in_place, strict=False):
        if method in TO_THE_LAST_BIT:
            assert (p == expected).all()
        else:
            np.testing.assert_allclose(p, expected, rtol=tolerance, atol=tolerance)
    assert p.dtype == dtype and not np.allclose(p, x)


@pytest.mark.parametrize("method", ["gradient_descent", "adam"])
def test_training_is_the_generator_on_the_same_batches(method, task):
    model, (X, y) = task
    p = model.init(np.random.default_rng(5))
    fit = train(model, method, (X, y), p=p, lr=0.05, epochs=3, batch_size=20, seed=8)
    for_batches, _ = np.random.default_rng(8).spawn(2)
    batches = minibatches(X, y, 20, for_batches)
    f = Objective(model.loss, model.gradient, batches=batches)
    iterates = getattr(gradient_methods, method)(f, p, lr=0.05)
    for step in range(21):
        if step:
            f.next_batch()
        expected = next(iterates)
    np.testing.assert_allclose(fit.p, expected, atol=1e-12)
    assert fit.examples.tolist() == [130, 260, 390] and f.examples == 390
    assert fit.forward_equivalents.tolist() == [21, 42, 63] and f.forward_equivalents == 63


# --- mezo ------------------------------------------------------------------------------------

@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
def test_mezo_in_place_follows_the_generator(noise, task):
    model, (X, y) = task
    p = model.init(np.random.default_rng(5))
    fit = train(model, "mezo", (X, y), p=p, lr=0.03, steps=200, batch_size=130, noise=noise,
                eps=2.0**-10, seed=8)
    _, for_noise = np.random.default_rng(8).spawn(2)
    f = model.objective(X, y)
    iterates = mezo(f, p, for_noise, lr=0.03, eps=2.0**-10, noise=noise)
    expected = next(itertools.islice(iterates, 199, None))
    np.testing.assert_allclose(fit.p, expected, atol=1e-10)  # the slope divides rounding by eps
    assert fit.forward_equivalents[-1] == f.forward_equivalents == 400
    assert model.loss(fit.p, X, y) < 0.8 * model.loss(p, X, y)


@pytest.mark.parametrize("block", [64, 10_000])
@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mezo_restores_p_to_the_last_bit(noise, dtype, block, task, monkeypatch):
    monkeypatch.setattr(training, "NOISE_BLOCK", block)
    _, (X, y) = task
    model = MLP([6, 8, 4], dtype=dtype)
    p = model.init(np.random.default_rng(5))
    training._to_grid(p)
    probes = []

    def loss(p, X, y):
        probes.append(p.copy())
        return 1.0

    fit = train(model, "mezo", (X, y), p=p, loss=loss, lr=0.1, steps=50, eps=1e-3, noise=noise)
    assert (fit.p == p).all()
    plus, minus = np.array(probes[::2]) - p, np.array(probes[1::2]) - p
    assert (plus == -minus).all()
    np.testing.assert_allclose(np.sqrt(np.mean(plus**2)), 1e-3, rtol=0.1)
    assert len({q.tobytes() for q in plus}) == 50


def test_the_grid_moves_no_parameter_visibly(rng):
    for dtype, finest in ((np.float32, 2.0**-21), (np.float64, 2.0**-50)):
        p = rng.normal(size=1000).astype(dtype)
        before = p.copy()
        grid = training._to_grid(p)
        assert abs(p - before).max() <= grid / 2 <= finest
        assert (p / grid == np.rint(p / grid)).all()


@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
@pytest.mark.parametrize("part", [None, "W2"])
def test_a_log_of_seeds_and_steps_is_the_whole_training(noise, part, task):
    _, (X, y) = task
    model = MLP([6, 8, 4])
    p = model.init(np.random.default_rng(5))
    fit = train(model, "mezo", (X, y), p=p, part=part, lr=0.05, steps=100, noise=noise)
    assert len(fit.log.steps) == 100 and "800 bytes" in repr(fit.log)
    assert (fit.log.replay(model, p) == fit.p).all() and (fit.p != p).any()
    assert (fit.log.replay(model, p) == fit.p).all()  # and again


def test_mezo_minimises_what_has_no_gradient(task):
    model, (X, y) = task
    fit = train(model, "mezo", (X, y), loss=lambda p, X, y: 1 - model.accuracy(p, X, y),
                lr=0.05, eps=0.05, steps=400, batch_size=130)
    assert fit.train_losses[-1] < 0.6 * fit.train_losses[0]


def test_mezo_allocates_no_vector(rng):
    import tracemalloc

    model = LanguageModel(32, context=4, embedding=64, hidden=1024, dtype=np.float32)
    X, y = contexts(rng.integers(32, size=50), 4)
    p = model.init(rng)
    peaks = {}
    for method in ("mezo", "adam"):
        tracemalloc.start()
        train(model, method, (X, y), p=p, lr=1e-3, steps=2, batch_size=2)
        peaks[method] = tracemalloc.get_traced_memory()[1] / p.nbytes
        tracemalloc.stop()
    assert peaks["mezo"] < 1.5 < 4 < peaks["adam"]  # its own copy of p, and noise in small blocks


# --- what a training is given ----------------------------------------------------------------

def test_one_part_is_trained_and_the_rest_stays(task):
    model, data = task
    p = model.init(np.random.default_rng(5))
    for method in ("adam", "mezo"):
        fit = train(model, method, data, p=p, part="b2", lr=0.01, steps=20)
        changed = np.flatnonzero(fit.p != p)
        part = model.parts["b2"]
        assert set(changed) <= set(range(part.start, part.stop)) and len(changed) == 4


def test_schedules_and_clipping(task):
    model, (X, y) = task
    p = model.init(np.random.default_rng(5))

    def distance(**options):
        options = dict(lr=0.5, steps=10) | options
        return np.linalg.norm(train(model, "gradient_descent", (X, y), p=p, **options).p - p)

    assert distance(schedule=lambda done: 0.0) == 0
    assert distance(lr=0.25) == distance(schedule=lambda done: 0.5)
    assert distance(clip=0.01) <= 10 * 0.5 * 0.01 * (1 + 1e-9) < distance()
    assert distance(clip=1e9) == distance()
    for name, at in (("linear", [1, 0.5, 0]), ("cosine", [1, 0.5, 0]), ("constant", [1, 1, 1])):
        np.testing.assert_allclose([training.SCHEDULES[name](t) for t in (0, 0.5, 1)], at,
                                   atol=1e-15)


def test_the_same_seed_gives_the_same_p_and_the_start_is_not_changed(task):
    model, data = task
    p = model.init(np.random.default_rng(5))
    before = p.copy()
    for method in ("adam", "mezo"):
        fits = [train(model, method, data, p=p, lr=0.01, epochs=2, seed=s).p for s in (1, 1, 2)]
        assert (fits[0] == fits[1]).all() and (fits[0] != fits[2]).any()
    assert (p == before).all()


def test_records_know_what_was_spent(task):
    model, (X, y) = task
    fit = train(model, "adam", (X[:100], y[:100]), validation=(X[100:], y[100:]), lr=0.02,
                epochs=4, batch_size=30)
    assert fit.steps.tolist() == [4, 8, 12, 16] and fit.examples.tolist() == [100, 200, 300, 400]
    assert fit.forward_equivalents.tolist() == [12, 24, 36, 48] and fit.stopped == "steps"
    assert (np.diff(fit.train_losses) < 0).all()
    np.testing.assert_allclose(fit.validation_losses[-1], model.loss(fit.p, X[100:], y[100:]))
    fit = train(model, "adam", (X, y), lr=0.02, steps=40)
    assert fit.steps.tolist() == list(range(2, 41, 2)) and np.isnan(fit.validation_losses).all()
    assert train(model, "adam", (X, y), lr=0.02, steps=7, every=3).steps.tolist() == [3, 6, 7]


def test_warm_up_and_the_stable_and_decaying_parts(task):
    model, data = task
    seen = []

    def schedule(done):
        seen.append(done)
        return 1.0

    train(model, "adam", data, lr=0.01, steps=10, warmup=4, schedule=schedule)
    np.testing.assert_allclose(seen, np.arange(6) / 6)  # asked after the warm-up alone
    factor = training.scheduled("linear", 4, 8)
    np.testing.assert_allclose([factor(step) for step in range(1, 9)],
                               [1 / 4, 2 / 4, 3 / 4, 1, 1, 3 / 4, 2 / 4, 1 / 4])
    factor = training.scheduled("wsd", 2, 12)
    np.testing.assert_allclose([factor(step) for step in range(1, 13)],
                               [0.5, 1, *[1] * 9, 0.5])
    p = model.init(np.random.default_rng(5))
    slow = train(model, "gradient_descent", data, p=p, lr=0.5, steps=1, warmup=1).p
    assert (slow == train(model, "gradient_descent", data, p=p, lr=0.5, steps=1).p).all()
    slow = train(model, "sign_descent", data, p=p, lr=0.5, steps=4, warmup=4).p
    assert abs(slow - p).max() <= 0.5 * (1 + 2 + 3 + 4) / 4 + 1e-12


@pytest.mark.parametrize("method", training.METHODS)
def test_a_training_in_two_parts_is_one_training(method, task):
    model, data = task
    hyper = dict(lr=0.01, batch_size=30, average=0.9)
    whole = train(model, method, data, steps=25, every=5, **hyper)
    first = train(model, method, data, steps=10, every=5, **hyper)
    kept = first.p.copy()
    for _ in range(2):  # the first is not used up: a second branch begins where the first did
        rest = train(model, method, data, steps=15, every=5, begin=first, **hyper)
        tolerance = 1e-12 if method == "mezo" else 0  # whose grid is made anew
        np.testing.assert_allclose(rest.p, whole.p, rtol=0, atol=tolerance)
    assert (first.p == kept).all()
    for name in ("steps", "examples", "forward_equivalents"):
        assert [*getattr(first, name), *getattr(rest, name)] == getattr(whole, name).tolist()
    assert (rest.p != train(model, method, data, steps=15, p=first.p, **hyper).p).any()


def test_branches_leave_a_plateau(task):
    """Each branch is what a schedule with that decay would have done from the start."""
    model, data = task
    plateau = train(model, "adamw", data, lr=0.02, warmup=5, steps=30)
    branch = train(model, "adamw", data, lr=0.02, steps=10, schedule="linear", begin=plateau)
    whole = train(model, "adamw", data, lr=0.02, warmup=5, steps=40,
                  schedule=lambda done: min(1, (1 - done) * 3.5))
    np.testing.assert_allclose(branch.p, whole.p, atol=1e-12)
    other = train(model, "muon", data, lr=0.02, steps=3, begin=plateau)  # with a fresh memory
    assert (other.p == train(model, "muon", data, lr=0.02, steps=3, begin=plateau).p).all()


def test_the_averages_are_those_of_the_weights(task):
    model, (X, y) = task
    validation = X[100:], y[100:]
    points = []

    class Watched(MLP):
        def backprop(self, layers, *args):
            points.append(np.concatenate([a.ravel() for layer in layers for a in layer]))
            return super().backprop(layers, *args)

    options = dict(lr=0.1, steps=12, validation=validation, batch_size=50)
    watched = Watched(model.sizes, dtype=float)
    end = train(watched, "momentum", (X, y), **options)
    points = np.array([*points[1:], end.p])
    assert end.average is None and np.isnan(end.average_losses).all()
    uniform = train(model, "momentum", (X, y), average="uniform", **options)
    np.testing.assert_allclose(uniform.average, points.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(uniform.average_losses[-1], model.loss(uniform.average, *validation))
    assert (uniform.p == end.p).all()
    expected = points[0]
    for t, p in enumerate(points[1:], 2):
        decay = min(0.75, 1 - 1 / t)
        expected = decay * expected + (1 - decay) * p
    exponential = train(model, "momentum", (X, y), average=0.75, **options)
    np.testing.assert_allclose(exponential.average, expected, atol=1e-12)


def test_groups_are_trained_each_in_its_own_way(task):
    """Two matrices by Muon, what lies around them by AdamW: as each alone on the same gradients."""
    model, data = task
    p = model.init(np.random.default_rng(5))
    groups = [dict(parts=("b1", "b2"), method="adamw", lr=0.02, weight_decay=0.0)]
    fit = train(model, "muon", data, p=p, lr=0.1, steps=1, groups=groups, schedule="constant")
    muon = train(model, "muon", data, p=p, lr=0.1, steps=1)
    adamw = train(model, "adamw", data, p=p, lr=0.02, steps=1, weight_decay=0.0)
    for name, part in model.parts.items():
        alone = muon if name.startswith("W") else adamw
        assert (fit.p[part] == alone.p[part]).all() and (fit.p[part] != p[part]).any()
    assert fit.forward_equivalents[-1] == 3  # one gradient for all of them


def test_a_group_keeps_what_it_does_not_change(task):
    model, data = task
    p = model.init(np.random.default_rng(5)) + 1.0
    both = [train(model, "adamw", data, p=p, lr=0.01, steps=20, beta2=0.9, weight_decay=0.5,
                  groups=groups).p for groups in ((), [dict(parts="b1", weight_decay=0.5)])]
    np.testing.assert_array_equal(*both)
    frozen = train(model, "adamw", data, p=p, lr=0.01, steps=20, schedule="cosine", clip=0.1,
                   groups=[dict(parts=["W1", "b2"], lr=0.0)]).p
    still = [name for name, part in model.parts.items() if (frozen[part] == p[part]).all()]
    assert still == ["W1", "b2"]
    assert model.loss(frozen, *data) < model.loss(p, *data)
    one = train(model, "adam", data, p=p, part="W2", lr=0.01, steps=3,
                groups=[dict(parts=["W2"], method="lion")]).p
    assert (one == train(model, "lion", data, p=p, part="W2", lr=0.01, steps=3).p).all()


# --- how a training ends ---------------------------------------------------------------------

def test_patience_returns_the_best_parameters(task, rng):
    _, (X, y) = task
    noise = y.copy()
    noise[:100] = rng.integers(4, size=100)  # nothing to learn but by heart
    model = MLP([6, 40, 4])
    fit = train(model, "adam", (X[:100], noise[:100]), validation=(X[100:], y[100:]), lr=0.02,
                epochs=200, patience=5)
    assert fit.stopped == "patience" and len(fit.steps) < 200
    best = fit.validation_losses.argmin()
    assert best == len(fit.steps) - 6
    np.testing.assert_allclose(model.loss(fit.p, X[100:], y[100:]), fit.validation_losses[best],
                               rtol=1e-6)


def test_a_training_that_diverges_says_so(task):
    _, data = task
    with np.errstate(all="ignore"):
        fit = train(MLP([6, 8, 4], "relu"), "gradient_descent", data, lr=1e20, epochs=5)
    assert fit.stopped == "diverged" and fit.steps[-1] < 25


@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
def test_mezo_that_diverges_goes_back_and_says_so(noise, task):
    model, data = task
    p = model.init(np.random.default_rng(5))
    training._to_grid(p)
    losses = iter([1.0, 1.0, np.inf, 1.0])
    fit = train(model, "mezo", data, p=p, loss=lambda *_: next(losses), lr=0.1, steps=10,
                noise=noise)
    assert fit.stopped == "diverged" and fit.steps[-1] == 2 and (fit.p == p).all()


@pytest.mark.parametrize("method", ["adam", "mezo"])
def test_an_interrupt_keeps_what_was_computed(method, task, monkeypatch):
    monkeypatch.setattr(trajectory, "LONG", 0)
    model, (X, y) = task
    p = model.init(np.random.default_rng(5))
    asked = []

    class Impatient(MLP):
        """Somebody presses Ctrl-C while the 30th loss is computed."""

        def logits(self, p, X):
            self.interrupt()
            return super().logits(p, X)

        def backprop(self, *args):
            self.interrupt()
            return super().backprop(*args)

        def interrupt(self):
            asked.append(True)
            if len(asked) == 30:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    fit = train(Impatient(model.sizes, dtype=float), method, (X, y), p=p, lr=0.01, steps=1000)
    steps = 30 if method == "adam" else 15
    assert fit.stopped == "interrupted" and fit.steps[-1] == steps
    assert signal.getsignal(signal.SIGINT) is before
    shorter = train(model, method, (X, y), p=p, lr=0.01, steps=steps)
    assert (fit.p == shorter.p).all()  # no step was left half done


def test_training_in_a_thread(task):
    model, data = task
    found = []
    thread = threading.Thread(target=lambda: found.append(
        train(model, "adam", data, lr=0.01, steps=5)))
    thread.start()
    thread.join(timeout=60)
    assert found[0].steps[-1] == 5


def test_progress_is_shown_on_request(task, capsys):
    model, data = task
    train(model, "adam", data, lr=0.01, steps=5)
    assert capsys.readouterr().err == ""
    train(model, "adam", data, lr=0.01, steps=5, progress=True)
    assert "5/5" in capsys.readouterr().err


# --- rounding and range ----------------------------------------------------------------------

def test_steps_too_small_for_the_precision_are_not_silent(rng):
    X, y = rng.normal(size=(40, 6)), rng.integers(3, size=40)
    model = MLP([6, 4, 3])
    p = model.init(1) + 1  # no parameter so small that a tiny step changes it
    for method in training.METHODS:
        words = "steps of mezo were lost" if method == "mezo" else f"{method} did not change p"
        with pytest.warns(RuntimeWarning, match=f"{words}.*float32"):
            fit = train(model, method, (X, y), p=p, lr=1e-12, steps=10)
        if method != "mezo":  # which rounds p to its grid
            assert (fit.p == p).all()


@pytest.mark.parametrize("method", training.METHODS)
def test_an_ordinary_training_warns_of_nothing(method, task):
    model, data = task
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model, method, data, lr=0.01, steps=10)
        train(MLP([6, 5, 4]), method, data, lr=1e-3, steps=10)
        train(model, method, data, lr=0, steps=3)


def test_clipping_knows_the_length_of_a_huge_gradient(task):
    g = np.array([3e25, 4e25], np.float32)
    assert training._norm(g) == pytest.approx(5e25, rel=1e-6)
    assert training._norm(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert training._norm(np.array([3.0, 4.0])) == 5


def test_centred_rmsprop_takes_no_root_of_a_negative_number():
    model = MLP([1, 2])
    f = SimpleNamespace(lr=1e-4, gradient=lambda: np.full(4, 0.1, np.float32), memory={})
    p = np.zeros(model.size, np.float32)
    for _ in zip(range(3000), training.METHODS["rmsprop"](f, p, centered=True), strict=False):
        assert np.isfinite(p).all()


def test_a_loss_of_your_own_cannot_change_p(task):
    model, data = task

    def untidy(p, X, y):
        p += 1
        return 0.0

    with pytest.raises(ValueError, match="read-only"):
        train(model, "mezo", data, lr=0.1, steps=3, loss=untidy)


def test_trainings_can_be_told_apart(task):
    model, data = task
    one, other = (train(model, "mezo", data, lr=0.01, steps=2, seed=seed) for seed in (1, 2))
    assert [one, other].index(other) == 1 and len({one, other, one}) == 2
    assert [one.log, other.log].index(other.log) == 1 and len({one.log, other.log}) == 2


# --- errors say what to do -------------------------------------------------------------------

OUTSIDE = [("adam", "beta1", 1.0), ("adam", "beta2", 1.5), ("adamw", "eps", -1e-8),
           ("amsgrad", "weight_decay", -0.1), ("momentum", "beta", 1.01),
           ("nesterov", "beta", "0.9"), ("rmsprop", "rho", np.nan), ("rmsprop", "centered", "no"),
           ("adagrad", "eps", True), ("lion", "beta1", 1.0), ("adafactor", "beta2_decay", 0.1),
           ("adafactor", "eps1", -1.0), ("adafactor", "d", 0.5), ("shampoo", "eps", 0),
           ("shampoo", "refresh", 0), ("soap", "refresh", 2.5), ("soap", "beta2", 1.0),
           ("muon", "nesterov", 1), ("muon", "rounds", 0), ("muon", "weight_decay", -0.1),
           ("mezo", "eps", 0), ("mezo", "noise", "uniform"), ("mezo", "noise", None)]


@pytest.mark.parametrize("method, name, wrong", OUTSIDE)
def test_hyperparameters_have_the_domains_of_run(method, name, wrong, task):
    model, data = task
    with pytest.raises(ValueError, match=f"{name} must be"):
        train(model, method, data, lr=0.01, steps=2, **{name: wrong})


def test_what_is_no_network_is_not_trained(task):
    with pytest.raises(TypeError, match="train needs an MLP or a LanguageModel, not Softmax"):
        train(SoftmaxRegression(6, 4), "adam", task[1], lr=0.1, steps=1)


def test_a_training_begins_at_one_place(task):
    model, data = task
    fit = train(model, "adam", data, lr=0.01, steps=2)
    with pytest.raises(ValueError, match="give p or begin"):
        train(model, "adam", data, lr=0.01, steps=2, p=fit.p, begin=fit)
    best = train(model, "adam", data, lr=0.01, steps=9, validation=data, patience=3)
    assert best.memory == {}  # that of the end does not belong to the best p


@pytest.mark.parametrize("options, error, message", [
    (dict(method="adma"), ValueError, "method is one of gradient_descent"),
    (dict(beta3=1), TypeError, "adam has no hyperparameter 'beta3': it has lr, beta1, beta2"),
    (dict(decoupled=True), TypeError, "no hyperparameter 'decoupled'"),
    (dict(method="nesterov", nesterov=False), TypeError, "no hyperparameter 'nesterov'"),
    (dict(method="muon", shapes={}), TypeError, "muon has no hyperparameter 'shapes': it has lr"),
    *[(dict(warmup=wrong), ValueError, "warmup must be a")
      for wrong in (-1, 0.1, None, True)],
    (dict(warmup=99), ValueError, "a warm-up of 99 steps does not fit into 5 steps"),
    *[(dict(average=wrong), ValueError, r'average must be "uniform" or a number in \(0, 1\)')
      for wrong in (0, 1, "mean", True, [0.9])],
    (dict(begin=np.zeros(92)), TypeError, "begin is a Training, which train returned, not ndarray"),
    *[(dict(groups=wrong), ValueError, 'a group is a dictionary with "parts"')
      for wrong in (["b1"], [dict(lr=1.0)], [dict(parts=())])],
    (dict(groups=[dict(parts="W9")]), ValueError, "the parts of a group are among W1, b1, W2, b2"),
    (dict(groups=[dict(parts="b1"), dict(parts=("W1", "b1"))]), ValueError, "b1 is in two groups"),
    (dict(groups=[dict(parts="b1", methd="lion")]), TypeError, "has no hyperparameter 'methd'"),
    (dict(groups=[dict(parts="b1", method="lino")]), ValueError, "method is one of"),
    (dict(groups=[dict(parts="b1", method="lion", eps=1)]), TypeError, "lion has no hyperparamete"),
    (dict(groups=[dict(parts="b1", lr=-1)]), ValueError, "lr must be"),
    (dict(groups=[dict(parts="b1", method="mezo")]), ValueError, "it cannot be a group"),
    (dict(method="mezo", groups=[dict(parts="b1")]), ValueError, "leave groups out"),
    (dict(method="mezo", noise="uniform"), ValueError, 'noise must be "gaussian" or "rademacher"'),
    (dict(epochs=None), ValueError, "say how long to train"),
    (dict(steps=3), ValueError, "one of the two"),
    (dict(epochs=0), ValueError, "epochs must be a whole number"),
    (dict(batch_size=0), ValueError, "batch_size must be"),
    (dict(batch_size=None), ValueError, "batch_size must be"),
    (dict(every=0.5), ValueError, "every must be"),
    (dict(schedule="warm"), ValueError, "schedule is constant, linear, cosine, wsd or a function"),
    (dict(patience=3), ValueError, "patience watches the validation loss"),
    (dict(part="W9"), ValueError, "part is one of W1, b1, W2, b2"),
    (dict(p=np.zeros(3)), ValueError, "p must be 92 finite numbers"),
    (dict(p=np.full(92, np.nan)), ValueError, "p must be 92 finite numbers"),
    (dict(loss=lambda p, X, y: 0), ValueError, 'only "mezo" minimises a loss of your own'),
    (dict(data=(np.ones((3, 6)), [0, 1])), ValueError, "one label for each of the 3 examples"),
    (dict(validation=(np.ones((3, 5)), [0, 1, 2])), ValueError, "X must have shape"),
    *[(dict(lr=wrong), ValueError, "lr must be")
      for wrong in (np.nan, np.inf, -0.1, "0.1", None, True, [0.1], np.array(0.1))],
    *[(dict(clip=wrong), ValueError, "clip must be") for wrong in (0, -1, np.nan, "1", True)],
    *[(dict(patience=wrong, validation=(np.ones((1, 6)), [0])), ValueError, "patience must be")
      for wrong in (0, -1, 1.5, "3", True)],
    (dict(schedule=lambda done: np.nan), ValueError, "the schedule must return finite numbers"),
    (dict(schedule=lambda done: None), TypeError, "NoneType"),
    (dict(method="mezo", loss="accuracy"), TypeError, "loss must be a function"),
    (dict(method="mezo", loss=lambda p, X, y: None), TypeError, "is its `return` missing"),
    (dict(method="mezo", loss=lambda p, X, y: np.ones(2)), ValueError, "the loss must have shape"),
    (dict(method="mezo", eps=1e-20), ValueError, "eps=1e-20 is lost where p is rounded"),
    (dict(p=np.ma.masked_equal(np.ones(92), 1)), ValueError, "p has masked entries"),
    (dict(p=np.full(92, 1j)), ValueError, "p must be real numbers"),
])
def test_bad_arguments(options, error, message, task):
    model, data = task
    options = dict(method="adam", data=data, lr=0.01, epochs=1) | options
    with pytest.raises(error, match=message):
        train(model, **options)
