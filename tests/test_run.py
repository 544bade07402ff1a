"""`run` and its Trajectory, and what holds for every method alike."""

import dataclasses
import functools
import inspect
import itertools
import os
import signal
import threading
import warnings

import numpy as np
import pytest

from zglearn import Objective, Trajectory, progress_bar, run, trajectory
from zglearn import gradient_free_methods as free
from zglearn import gradient_methods as guided
from zglearn.hyperparameters import DOMAINS
from zglearn.landscapes import himmelblau, ravine, rosenbrock
from zglearn.objective import BudgetExhausted


def on_a_column(method):
    """The method on x as one column, whatever its length: without shapes to be given."""
    @functools.wraps(method)
    def shaped(f, x, **hyper):
        return (yield from method(f, x, shapes={"W": x.shape}, **hyper))

    names = inspect.signature(method).parameters.values()
    shaped.__signature__ = inspect.Signature([q for q in names if q.name != "shapes"])
    return shaped


GUIDED = [guided.gradient_descent, guided.momentum, guided.nesterov, guided.adagrad,
          guided.rmsprop, guided.adam, guided.adamw, guided.amsgrad, guided.sign_descent,
          guided.lion, *map(on_a_column, [guided.adafactor, guided.shampoo, guided.soap,
                                          guided.muon])]
FREE = [free.random_search, free.hill_climbing, free.nelder_mead, free.simulated_annealing,
        free.genetic_algorithm, free.one_plus_one_es, free.evolution_strategy, free.cma_es,
        free.sep_cma_es, free.spsa, free.mezo]
METHODS = GUIDED + FREE
RANDOM = [method for method in FREE if method is not free.nelder_mead]

every_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
every_free_method = pytest.mark.parametrize("method", FREE, ids=lambda m: m.__name__)


def forbidden(x):
    raise AssertionError("a derivative-free method asked for a gradient")


# What holds for every method

@every_free_method
def test_a_derivative_free_method_never_touches_the_gradient(method):
    valley = himmelblau()
    path = run(method, Objective(valley.f, forbidden, batched=True), valley.start, steps=50)
    assert path.gradients[-1] == 0 and path.evaluations[-1] >= 50


@every_method
def test_the_same_seed_gives_the_same_path(method):
    valley = ravine(kappa=10, d=3)
    paths = [run(method, valley.objective(), valley.start, steps=20, seed=5) for _ in range(2)]
    np.testing.assert_array_equal(paths[0].points, paths[1].points)
    np.testing.assert_array_equal(paths[0].evaluations, paths[1].evaluations)


@pytest.mark.parametrize("method", RANDOM, ids=lambda m: m.__name__)
def test_another_seed_gives_another_path(method):
    valley = ravine(kappa=10, d=3)
    one, two = (run(method, valley.objective(), valley.start, steps=20, seed=s) for s in (5, 6))
    assert (one.points != two.points).any()


@every_method
def test_the_start_point_is_never_changed(method):
    valley = ravine(kappa=10, d=3)
    x0 = np.array(valley.start)
    run(method, valley.objective(), x0, steps=20, seed=0)
    np.testing.assert_array_equal(x0, valley.start)

    iterates = method(valley.objective(), x0, *_rng(method))  # nor without run's own copy
    kept = [next(iterates) for _ in range(20)]
    copies = [np.array(x) for x in kept]
    for _ in range(20):
        next(iterates)
    np.testing.assert_array_equal(x0, valley.start)
    np.testing.assert_array_equal(kept, copies, "an iterate changed after it was yielded")


def _rng(method):
    return (np.random.default_rng(0),) if method in FREE else ()


@every_method
def test_no_budget_is_ever_exceeded(method, monkeypatch):
    """Counted by the loss and the gradient themselves, not by the ledger."""
    monkeypatch.setattr(Objective, "peek", lambda self, x: np.zeros(np.shape(x)[:-1]))
    asked = 0

    def loss(x):
        nonlocal asked
        asked += 1
        return float(x @ x)

    def grad(x):
        nonlocal asked
        asked += 3
        return 2 * x

    paid = 0
    for budget in [*range(1, 20), 50, 51, 97, 200]:
        asked = 0
        try:
            path = run(method, Objective(loss, grad), np.ones(3), budget=budget, seed=budget)
        except ValueError as error:
            assert "does not pay for one step" in str(error)
        else:
            paid += 1
            assert path.stopped == "budget" and path.forward_equivalents[-1] <= asked
        assert asked <= budget
    assert paid >= 3


@every_method
def test_single_precision_in_single_precision_out(method):
    asked = set()

    def loss(x):
        asked.add(x.dtype)
        return (x * x).sum(axis=-1)

    f = Objective(loss, lambda x: 2 * x.astype(float), batched=True)
    x0 = np.ones(3, np.float32)
    assert run(method, f, x0, steps=10, seed=0).points.dtype == np.float32
    assert all(x.dtype == np.float32
               for x in itertools.islice(method(f, x0, *_rng(method)), 10))
    assert asked == {np.dtype(np.float32)}


@every_method
def test_an_unknown_hyperparameter_is_named_with_the_ones_that_exist(method):
    with pytest.raises(TypeError, match=f"{method.__name__} has no hyperparameter 'speed'"):
        run(method, ravine().objective(), [1.0, 1.0], steps=3, speed=2)


@every_method
def test_a_hyperparameter_that_is_no_number_is_refused(method):
    numbers = [name for name, parameter in inspect.signature(method).parameters.items()
               if isinstance(parameter.default, float)]
    for name, wrong in itertools.product(numbers, ["fast", "0.1", np.nan, np.inf, None, True,
                                                   [0.1, 0.2], [0.1, "b"], np.array(0.1), 1j]):
        with pytest.raises(ValueError, match=f"{name} must be a finite number"):
            run(method, ravine().objective(), [1.0, 1.0], steps=3, **{name: wrong})
    assert numbers


OUTSIDE = {  # of each domain
    "[0, inf)": [-0.1], "(0, inf)": [0, -0.1], "[0, 1)": [-0.1, 1, 1.5], "[0, 1]": [-0.1, 1.1],
    "(1, inf)": [1, 0.5], "[1, inf)": [0.9, -1], "(-inf, 0]": [0.1, 1],
    "whole [1, inf)": [0, -2, 2.5, 4.0, True, "four"],
    "whole [0, inf)": [-1, 0.5, None], "True or False": ["no", 1, None], "a function": ["N(0, 1)"],
    '"gaussian" or "rademacher"': ["uniform", 1, ["gaussian"]]}


@every_method
def test_every_hyperparameter_has_a_domain_and_what_is_outside_is_named(method):
    valley = ravine(kappa=10, d=3)
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        domain = DOMAINS.get(f"{method.__name__} {name}") or DOMAINS[name]
        for wrong in OUTSIDE[domain]:
            for asked in (functools.partial(run, method, **{name: wrong}),
                          functools.partial(run, functools.partial(method, **{name: wrong}))):
                with pytest.raises(ValueError, match=f"{name} must be"):
                    asked(valley.objective(), valley.start, steps=2)
        run(method, valley.objective(), valley.start, steps=2, **{name: parameter.default})


def test_a_method_of_your_own_has_domains_of_its_own():
    def mine(f, x, *, beta=0.9, lr=0.1, sigma="none"):
        while True:
            x = x - lr * f.grad(x)
            yield x

    path = run(mine, ravine(kappa=10).objective(), [1.0, 1.0], steps=2, beta=7,
               lr=np.array([0.1, 0.01]), sigma=None)
    assert (path.points[-1] < 1).all()


@every_method
def test_an_objective_that_raises_is_heard_and_the_step_is_named(method):
    class Broken(Exception):
        pass

    calls = itertools.count()

    def answer(x):
        if next(calls) >= 30:
            raise Broken("the disk is full")
        return x @ x

    def grad(x):
        answer(x)
        return 2 * x

    f = Objective(answer, grad)
    with pytest.raises(Broken, match="the disk is full") as caught:
        run(method, f, np.ones(2), steps=100, seed=0)
    assert any(f"of {method.__name__}" in note for note in caught.value.__notes__)


@every_method
def test_nan_is_a_clear_error_wherever_it_comes_from(method):
    nan = Objective(lambda x: np.nan, lambda x: np.full_like(x, np.nan))
    with pytest.raises(ValueError, match="nan at the start"):
        run(method, nan, np.ones(2), steps=5)

    calls = itertools.count()

    def later(x):
        return np.nan if next(calls) == 20 else float(x @ x)

    f = Objective(later, lambda x: 2 * x * (1 if next(calls) < 20 else np.nan))
    with pytest.raises(ValueError, match="is nan"):
        run(method, f, np.ones(2), steps=100, seed=0)


# A user's function that misbehaves

@every_method
def test_what_the_objective_does_to_its_arrays_does_not_change_the_path(method):
    """It writes into the points that it is given, and again and again into one buffer of its own,
    which it returns."""
    valley = ravine(kappa=10, d=3)
    buffers = {shape: np.empty(shape) for shape in [(), (3,)]}

    def untidy(answer):
        def asked(x):
            value = np.asarray(answer(x))
            for buffer in buffers.values():
                buffer[...] = np.nan
            x[...] = np.nan
            buffers[value.shape][...] = value
            return buffers[value.shape]
        return asked

    tidy = Objective(valley.f, valley.grad)
    f = Objective(untidy(valley.f), untidy(valley.grad))
    x0 = np.array(valley.start)
    one, two = (run(method, f, x0, steps=20, seed=1) for f in (tidy, f))
    for name in ("points", "losses", "evaluations", "gradients"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert (x0 == valley.start).all()


@pytest.mark.parametrize("method", [free.hill_climbing, free.simulated_annealing])
def test_what_a_neighbour_does_to_its_arrays_does_not_change_the_path(method):
    buffer = np.empty(2)

    def tidy(x, rng):
        return x + 0.1 * rng.normal(size=2)

    def untidy(x, rng):
        buffer[:] = tidy(x, rng)
        x[:] = np.nan
        return buffer

    one, two = (run(method, ravine().f, [1.0, 1.0], steps=30, seed=0, neighbour=neighbour)
                for neighbour in (tidy, untidy))
    np.testing.assert_array_equal(one.points, two.points)


def test_what_noise_does_to_the_point_does_not_change_the_path():
    def untidy(rng, x, count):
        x[:] = np.nan
        return rng.standard_normal((count, 2))

    one, two = (run(free.evolution_strategy, ravine().f, [1.0, 1.0], steps=30, seed=0, noise=noise)
                for noise in (None, untidy))
    np.testing.assert_array_equal(one.points, two.points)


@pytest.mark.parametrize("wrong", [1j, "a", np.datetime64("2026-01-01")])
def test_an_iterate_that_is_no_real_number_is_refused(wrong):
    def yields(f, x):
        yield [wrong, wrong]

    with pytest.raises(ValueError, match="yields must yield real numbers"):
        run(yields, ravine().objective(), [1.0, 1.0], steps=3)


def restarts(f, x, rng, *, steps=5):
    while True:
        path = run(free.cma_es, f, x + rng.normal(size=x.size), steps=steps, seed=rng)
        yield path.points[path.best]


def test_a_run_inside_a_run_spends_the_budget_of_the_outer_one():
    asked = []
    f = Objective(lambda x: asked.append(x) or float(x @ x))
    path = run(restarts, f, [3.0, 3.0], budget=100, seed=0)
    assert path.stopped == "budget" and f.evaluations <= 100 and len(path) == 3
    np.testing.assert_array_equal(path.evaluations, [0, 30, 60, 90])
    assert [len(tried) for tried in path.tried] == [30] * 3, "its points are those of the step"
    with pytest.raises(ValueError, match="a budget of 20 does not pay for one step of restarts"):
        run(restarts, f, [3.0, 3.0], budget=20, seed=0)


def test_a_run_inside_a_run_has_a_budget_of_its_own_as_well():
    def hops(f, x, rng):
        while True:
            path = run(free.hill_climbing, f, x, budget=10, seed=rng)
            assert path.stopped == "budget" and path.evaluations[-1] == 10
            x = path.points[-1]
            yield x

    assert run(hops, lambda x: float(x @ x), [1.0], budget=35, seed=0).evaluations[-1] == 30


def test_a_run_on_an_objective_around_the_objective_spends_its_budget_too():
    def in_logarithms(f, x, rng):
        while True:
            path = run(free.hill_climbing, Objective(lambda y: f(np.exp(y))), np.log(x), steps=5,
                       seed=rng)
            yield np.exp(path.points[-1])

    f = Objective(lambda x: float(x @ x))
    assert run(in_logarithms, f, [1.0], budget=50, seed=0).stopped == "budget"
    assert f.evaluations <= 50


def test_a_method_does_not_catch_the_end_of_its_budget():
    def deaf(f, x):
        while True:
            try:
                f(x)
            except Exception:
                pass
            yield x

    assert run(deaf, lambda x: float(x @ x), [1.0], budget=5).stopped == "budget"


def test_what_ends_a_run_by_mistake_is_shown():
    def raises(error):
        asked = itertools.count()

        def loss(x):
            if next(asked) > 3:
                raise error
            return float(x @ x)

        return loss

    for error in (BudgetExhausted("not yours"), KeyError("x")):
        with pytest.raises(type(error)) as caught:
            run(free.hill_climbing, raises(error), [1.0], steps=9, budget=99)
        assert caught.value is error
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        run(free.hill_climbing, raises(StopIteration()), [1.0], steps=9)


class Quick:
    """A method that is an object."""

    def __call__(self, f, x, *, lr=0.1):
        while True:
            x = x - lr * f.grad(x)
            yield x


@pytest.mark.parametrize("method, name", [
    (functools.partial(guided.adam, lr=0.1), "adam"),
    (functools.partial(functools.partial(guided.adam, lr=0.1), beta1=0.5), "adam"),
    (Quick(), "Quick"), (Quick().__call__, "__call__")])
def test_a_method_without_a_name_is_a_method(method, name):
    f = Objective(lambda x: float(x @ x), lambda x: 2 * x)
    assert run(method, f, [1.0], steps=5).losses[-1] < 1
    with pytest.raises(ZeroDivisionError) as caught:
        run(method, Objective(lambda x: 0.0, lambda x: 1 / 0), [1.0], steps=5)
    assert caught.value.__notes__ == [f"This happened in step 1 of {name}."]
    with pytest.raises(TypeError, match=f"{name} has no hyperparameter 'speed'"):
        run(method, f, [1.0], steps=5, speed=1)
    with pytest.raises(ValueError, match="a budget of 1 does not pay for one step of " + name):
        run(method, f, [1.0], budget=1)


def test_a_method_that_passes_its_hyperparameters_on():
    def mine(f, x, **how):
        yield from guided.adam(f, x, **how)

    f = Objective(lambda x: float(x @ x), lambda x: 2 * x)
    assert run(mine, f, [1.0], steps=3, lr=0.5).losses[-1] < 0.3


# Rounding and range

@pytest.mark.parametrize("method", [guided.adagrad, guided.rmsprop, guided.adam, guided.adamw,
                                    guided.amsgrad], ids=lambda m: m.__name__)
def test_squares_that_overflow_are_not_silent(method):
    f = Objective(lambda x: 1e20 * float(x @ x), lambda x: np.float32(2e20) * x)
    with pytest.warns(RuntimeWarning, match=f"{method.__name__} overflowed float32 in step 1"):
        path = run(method, f, np.ones(2, np.float32), steps=20, lr=0.1, **(
            {"weight_decay": 0.0} if method is guided.adamw else {}))
    assert path.stopped == "steps"
    assert run(method, f, np.ones(2), steps=20, lr=0.1).losses[-1] < 1e20, "as float64 has room"


def test_an_overflow_on_the_way_that_ends_all_movement_is_not_silent():
    asked = itertools.count()
    f = Objective(lambda x: 0.0, lambda x: x * np.float32(1e30 if next(asked) == 5 else 1))
    with pytest.warns(RuntimeWarning, match="overflowed float32 in step 6, and x did not move"):
        run(guided.adam, f, np.ones(2, np.float32), steps=20, lr=0.1)


@pytest.mark.parametrize("method", [guided.gradient_descent, guided.momentum, guided.nesterov,
                                    free.evolution_strategy, free.spsa, free.mezo],
                         ids=lambda m: m.__name__)
def test_steps_too_small_for_the_precision_are_not_silent(method):
    f = Objective(lambda x: float(x @ x), lambda x: 2 * x)
    with pytest.warns(RuntimeWarning, match=f"{method.__name__} did not move x .* float32"):
        run(method, f, np.ones(3, np.float32), steps=20, seed=0, lr=1e-10)


@pytest.mark.parametrize("method, tiny", [
    (free.random_search, "radius"), (free.hill_climbing, "sigma"), (free.nelder_mead, "size"),
    (free.simulated_annealing, "sigma"), (free.one_plus_one_es, "sigma"), (free.cma_es, "sigma"),
    (free.sep_cma_es, "sigma")], ids=lambda m: getattr(m, "__name__", m))
def test_a_search_too_fine_for_the_precision_is_not_silent(method, tiny):
    with pytest.warns(RuntimeWarning, match=method.__name__):
        run(method, lambda x: float(x @ x), np.full(3, 1e10), steps=5, seed=0, **{tiny: 1e-9})


def test_a_run_asks_no_gradient_but_the_methods():
    recorded = iter([np.full(2, 1e-30)] * 5)  # a sixth question would end in StopIteration
    f = Objective(lambda x: 0.0, lambda x: next(recorded))
    with pytest.warns(RuntimeWarning, match="did not move"):
        assert len(run(guided.gradient_descent, f, [1.0, 1.0], steps=5)) == 5


@every_method
def test_an_ordinary_run_warns_of_nothing(method):
    valley = ravine(kappa=10, d=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(method, valley.objective(), valley.start, steps=20, seed=0)
        if method in GUIDED:
            run(method, valley.objective(), np.zeros(3), steps=20)  # at the minimum
            run(method, valley.objective(), valley.start, steps=20, lr=0)
            run(method, valley.objective(), valley.start, steps=2000, lr=1e3)


def test_centred_rmsprop_takes_no_root_of_a_negative_number():
    f = Objective(lambda x: 0.1 * float(x.sum()), lambda x: np.full_like(x, 0.1))
    path = run(guided.rmsprop, f, np.zeros(3, np.float32), steps=3000, lr=1e-4, centered=True)
    assert path.stopped == "steps" and np.isfinite(path.points).all()


def test_nan_of_an_overflow_is_not_called_divergence():
    f = Objective(lambda x: float(x.sum()), lambda x: np.full_like(x, 1e25))
    with pytest.raises(ValueError, match="rmsprop made nan .*: it overflowed float32"):
        run(guided.rmsprop, f, np.ones(2, np.float32), steps=5, centered=True)


@pytest.mark.parametrize("method", [guided.adagrad, guided.rmsprop, guided.adam])
def test_nan_that_the_method_made_is_not_called_divergence(method):
    f = Objective(lambda x: float(x[0] ** 2), lambda x: np.array([2 * x[0], 0.0]))
    with pytest.raises(ValueError, match=f"{method.__name__} made nan of finite losses"):
        run(method, f, [1.0, 1.0], steps=5, eps=0)
    assert run(method, f, [1.0, 1.0], steps=5).stopped == "steps"


# The run itself

@pytest.mark.parametrize(("x0", "words"), [
    (1.0, "shape"), ([], "shape"), ([[1.0, 2.0]], "shape"), ([1.0, np.nan], "nan or infinity"),
    ([1.0, np.inf], "nan or infinity"), (["a", "b"], "real numbers"), ([1j, 2], "real numbers"),
    (np.ma.masked_equal([1.0, 2.0], 2), "masked"), ([True, False], "real numbers")])
def test_a_start_point_that_is_none_is_refused(x0, words):
    with pytest.raises(ValueError, match=words):
        run(guided.adam, Objective(lambda x: (x * x).sum(axis=-1), lambda x: 2 * x), x0, steps=3)


def two_steps_then_end(f, x, *, lr=1.0):
    for _ in range(2):
        x = x - lr * f.grad(x)
        yield x


def test_entry_0_is_the_start_and_the_ledger_counts_from_there():
    f = Objective(lambda x: float(x @ x), lambda x: 2 * x)
    f(np.ones(2))
    f.grad(np.ones(2))
    path = run(two_steps_then_end, f, [1, 2], steps=9, lr=0.25)
    np.testing.assert_array_equal(path.points, [[1, 2], [0.5, 1], [0.25, 0.5]])
    np.testing.assert_array_equal(path.losses, [5, 1.25, 0.3125])
    np.testing.assert_array_equal(path.gradients, [0, 1, 2])
    np.testing.assert_array_equal(path.evaluations, [0, 0, 0])
    np.testing.assert_array_equal(path.forward_equivalents, [0, 3, 6])
    assert path.stopped == "method" and len(path) == 2 and path.best == 2
    assert (f.evaluations, f.gradients) == (1, 3), "the losses of the report are not charged"


def test_a_plain_function_is_an_objective_without_a_gradient():
    assert run(free.hill_climbing, lambda x: float(x @ x), [1.0], steps=5, seed=0).losses[-1] < 1
    with pytest.raises(RuntimeError, match="no gradient"):
        run(guided.adam, lambda x: float(x @ x), [1.0], steps=5)


def test_steps_and_budget_end_a_run_whichever_comes_first():
    def race(**length):
        return run(guided.adam, rosenbrock().objective(), [0.0, 0.0], **length)

    assert (len(race(steps=10)), race(steps=10).stopped) == (10, "steps")
    assert (len(race(budget=32)), race(budget=32).stopped) == (10, "budget")
    assert (len(race(steps=10, budget=15)), race(steps=10, budget=15).stopped) == (5, "budget")
    assert race(steps=10, budget=30).stopped == "steps"


@pytest.mark.parametrize("wrong", [0, -3, 1.5, np.nan, np.inf, True, "ten", [10]])
@pytest.mark.parametrize("name", ["steps", "budget"])
def test_a_length_that_is_no_count_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1"):
        run(guided.adam, ravine().objective(), [1.0, 1.0], **{name: wrong})


def test_a_run_needs_an_end():
    with pytest.raises(ValueError, match="steps=100, or budget=300"):
        run(guided.adam, ravine().objective(), [1.0, 1.0])


def test_a_budget_that_buys_no_step_says_so():
    with pytest.raises(ValueError, match="a budget of 2 does not pay for one step of adam"):
        run(guided.adam, ravine().objective(), [1.0, 1.0], budget=2)


def test_the_limit_of_a_run_ends_with_it():
    f = Objective(lambda x: float(x @ x))
    run(free.hill_climbing, f, [1.0], budget=4, seed=0)
    with pytest.raises(ValueError, match="does not pay"):
        run(free.genetic_algorithm, f, [1.0], budget=4)
    assert len(f(np.ones((100, 1)))) == 100


def test_a_second_run_on_the_same_objective_has_its_own_budget():
    f = rosenbrock().objective()
    paths = [run(guided.adam, f, [0.0, 0.0], budget=30) for _ in range(2)]
    assert [len(path) for path in paths] == [10, 10] and f.gradients == 20


def test_a_misspelt_hyperparameter_gets_a_suggestion():
    with pytest.raises(TypeError, match="Did you mean weight_decay"):
        run(guided.adam, ravine().objective(), [1.0, 1.0], steps=3, weigth_decay=0.9)


def test_a_method_must_be_a_generator():
    with pytest.raises(TypeError, match="yields"):
        run(lambda f, x: x, ravine().objective(), [1.0, 1.0], steps=3)


def test_an_iterate_of_the_wrong_shape_is_named():
    def halves(f, x):
        while True:
            yield x[:1]

    with pytest.raises(ValueError, match=r"halves yielded shape \(1,\)"):
        run(halves, ravine().objective(), [1.0, 1.0], steps=3)


def test_a_method_that_asks_nothing_cannot_spend_a_budget():
    def idle(f, x):
        while True:
            yield x

    assert len(run(idle, ravine().objective(), [1.0, 1.0], steps=1500)) == 1500
    with pytest.raises(ValueError, match="asked nothing"):
        run(idle, ravine().objective(), [1.0, 1.0], budget=10)


def test_a_method_that_works_in_place_is_recorded_point_by_point():
    def in_place(f, x, *, lr=0.1):
        while True:
            x -= lr * f.grad(x)
            yield x

    x0 = np.array([1.0, 1.0])
    path = run(in_place, ravine(kappa=1).objective(), x0, steps=3)
    np.testing.assert_allclose(path.points[:, 0], 0.9 ** np.arange(4))
    assert (x0 == 1).all()


def test_the_points_tried_are_kept_in_two_dimensions_only():
    path = run(free.cma_es, ravine(d=2).objective(), [1.0, 1.0], steps=4, seed=0, population=6)
    assert [len(tried) for tried in path.tried] == [6] * 4
    assert path.tried[0].shape == (6, 2)
    spread = np.concatenate(path.tried).std()
    assert 0.1 < spread < 10
    assert run(free.cma_es, ravine(d=3).objective(), np.ones(3), steps=4, seed=0).tried == ()


def test_a_step_shares_a_batch_and_the_next_step_draws_another():
    seen = []
    batches = ((np.array([n]),) for n in itertools.count())
    f = Objective(lambda x, b: seen.append(int(b[0])) or float(x @ x), batches=batches)
    monitored = []

    def two_probes(f, x):
        while True:
            seen.clear()
            f(x)
            f(-x)
            monitored.append(tuple(seen))
            yield x

    run(two_probes, f, [1.0], steps=5)
    assert all(a == b for a, b in monitored) and len(set(monitored)) == 5


def test_a_diverged_path_is_kept_up_to_its_last_finite_point():
    f = Objective(lambda x: float((x**4).sum() - (x**2).sum()), lambda x: 4 * x**3 - 2 * x)
    path = run(guided.gradient_descent, f, [2.0], steps=100, lr=1.0)
    assert path.stopped == "diverged" and 2 < len(path) < 20
    assert np.isfinite(path.points).all() and len(path.losses) == len(path.points)
    assert path.losses[path.best] == np.nanmin(path.losses)


def test_steps_to_finds_the_first_step_at_or_below_a_loss():
    path = run(two_steps_then_end, Objective(lambda x: float(x @ x), lambda x: 2 * x), [1.0],
               steps=2, lr=0.25)  # losses 1, 1/4, 1/16
    assert [path.steps_to(loss) for loss in (2, 1, 0.9, 0.25, 0.1, 0.01)] == [0, 0, 1, 1, 2, None]


def test_a_trajectory_is_frozen_and_tells_its_story():
    path = run(two_steps_then_end, Objective(lambda x: float(x @ x), lambda x: 2 * x), [1.0],
               steps=2, lr=0.25)
    assert isinstance(path, Trajectory)
    with pytest.raises(dataclasses.FrozenInstanceError):
        path.losses = None
    assert repr(path) == ("Trajectory(2 steps, loss 1 -> 0.0625, 6 forward-equivalents, "
                          "stopped: steps)")


def test_trajectories_can_be_told_apart():
    a, b = (run(guided.adam, ravine().objective(), [1.0, 2.0], steps=3, lr=lr) for lr in (0.1, 0.2))
    assert [a, b].index(b) == 1 and {a: "a", b: "b"}[b] == "b" and a != b and a in {a, b}


def test_the_losses_of_a_long_path_are_those_of_its_points():
    valley = rosenbrock(d=7)
    path = run(free.cma_es, valley.objective(), valley.start, steps=8000, seed=0)
    np.testing.assert_allclose(path.losses, [valley.f(x) for x in path.points], rtol=1e-12)


# A user who asks to stop

def interrupted_at(question, times=1):
    """A bowl in whose given question somebody presses Ctrl-C, once or twice."""
    valley, questions = ravine(kappa=10, d=3), itertools.count(1)

    def loss(x):
        if next(questions) == question:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return valley.f(x)

    return Objective(loss), valley.start


def test_an_interrupt_ends_a_long_run_after_the_step_at_hand(monkeypatch, capsys):
    monkeypatch.setattr(trajectory, "LONG", 0)
    f, x0 = interrupted_at(60)  # the first is the look at the start point, then 2 a step
    before = signal.getsignal(signal.SIGINT)
    path = run(free.mezo, f, x0, steps=1000, seed=0, lr=1e-3)
    assert path.stopped == "interrupted" and len(path) == 30
    assert "here is what was reached" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
    whole = run(free.mezo, interrupted_at(None)[0], x0, steps=30, seed=0, lr=1e-3)
    np.testing.assert_array_equal(path.points, whole.points)


@pytest.mark.parametrize("long, times", [(0, 2), (100, 1)])
def test_who_asks_twice_or_in_a_short_run_is_obeyed_at_once(long, times, monkeypatch):
    monkeypatch.setattr(trajectory, "LONG", long)
    f, x0 = interrupted_at(60, times)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(free.mezo, f, x0, steps=1000, seed=0, lr=1e-3)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_in_a_thread():
    valley, found = ravine(kappa=10, d=3), []
    thread = threading.Thread(target=lambda: found.append(
        run(guided.adam, valley.objective(), valley.start, steps=5)))
    thread.start()
    thread.join(timeout=60)
    assert len(found[0]) == 5


@pytest.mark.parametrize("length, shown", [(dict(steps=5), "5/5"), (dict(budget=15), "15/15")])
def test_progress_is_shown_on_request(length, shown, capsys):
    valley = ravine(kappa=10, d=3)
    run(guided.adam, valley.objective(), valley.start, **length)
    assert capsys.readouterr().err == ""
    run(guided.adam, valley.objective(), valley.start, progress=True, **length)
    assert shown in capsys.readouterr().err


@pytest.mark.parametrize("session", [None, "chapters/11_fair_race.ipynb"])
def test_a_loop_shows_a_bar_where_somebody_watches(session, monkeypatch, capsys):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if session:
        monkeypatch.setenv("JPY_SESSION_NAME", session)  # as Jupyter's server does
    assert list(progress_bar.track(range(3), "runs")) == [0, 1, 2]
    printed = capsys.readouterr()
    assert printed.out == "" and ("runs:" in printed.err) == bool(session)


def test_a_method_that_exec_made_belongs_to_no_module():
    names = {}
    exec("def descent(f, x, *, lr):\n    while True:\n        x = x - lr * f.grad(x)\n"
         "        yield x", {"__builtins__": __builtins__}, names)
    assert names["descent"].__module__ is None or names["descent"].__module__ == "builtins"
    path = run(names["descent"], ravine(5).objective(), [1.0, 1.0], steps=3, lr=0.1)
    assert path.losses[-1] < path.losses[0]
