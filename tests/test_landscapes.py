"""The landscapes are what they say: their gradients, their minima, their boxes."""

import dataclasses
import itertools

import numpy as np
import pytest

from zglearn import Objective
from zglearn.landscapes import (
    LANDSCAPES,
    ackley,
    bowl,
    double_well,
    ellipsoid,
    himmelblau,
    rastrigin,
    ravine,
    rosenbrock,
    rotation,
)

PLAIN = [make() for make in LANDSCAPES.values()] + [
    bowl(7), ravine(1e4, 5), rosenbrock(6), rastrigin(4), ackley(5), ellipsoid(3), ravine(10, 1)]
ALL = [*PLAIN, *(s.shifted(0.7) for s in PLAIN), *(s.rotated(3) for s in PLAIN),
       *(s.rotated(1).shifted(np.linspace(-1, 1, s.dimension)).rotated(2) for s in PLAIN)]

every_landscape = pytest.mark.parametrize(
    "s", ALL, ids=lambda s: f"{s.name}-{s.dimension}".replace(" ", "_"))


def points(s, n=40):
    return np.random.default_rng(0).uniform(*s.bounds, size=(n, s.dimension))


@every_landscape
def test_the_gradient_agrees_with_central_differences(s):
    x, h = points(s), 1e-5
    steps = h * np.eye(s.dimension)
    differences = np.stack([(s.f(x + e) - s.f(x - e)) / (2 * h) for e in steps], axis=-1)
    g = s.grad(x)
    np.testing.assert_allclose(g, differences, rtol=1e-5, atol=1e-7 * np.abs(g).max())


@every_landscape
def test_a_population_is_answered_like_its_points_one_by_one(s):
    x = points(s, 6)
    np.testing.assert_allclose(s.f(x), [s.f(row) for row in x], rtol=1e-12)
    np.testing.assert_allclose(s.f(x.reshape(2, 3, -1)), s.f(x).reshape(2, 3), rtol=1e-12)
    np.testing.assert_allclose(s.grad(x), [s.grad(row) for row in x], rtol=1e-9, atol=1e-9)


@every_landscape
def test_nothing_is_lower_than_the_minima(s):
    rng = np.random.default_rng(1)
    for minimum in s.minima:
        assert abs(s.f(minimum) - s.best) < 1e-9
        nearby = minimum + rng.normal(size=(300, s.dimension)) * np.geomspace(1e-3, 1, 300)[:, None]
        assert (s.f(nearby) > s.best - 1e-12).all()
        if "Ackley" not in s.name:  # its minimum is the tip of a kink
            assert np.abs(s.grad(minimum)).max() < 1e-3 * np.abs(s.grad(minimum + 1e-6)).max()
    assert (s.f(points(s, 2000)) > s.best - 1e-12).all()


@every_landscape
def test_the_box_holds_the_start_and_the_minima(s):
    low, high = s.bounds
    assert (low < high).all()
    assert ((low <= s.start) & (s.start <= high)).all()
    assert ((low <= s.minima) & (s.minima <= high)).all()
    assert s.f(s.start) > s.best + 0.1


@every_landscape
def test_an_objective_is_fresh_batched_and_has_the_gradient(s):
    f = s.objective()
    assert isinstance(f, Objective) and f.has_gradient and f.forward_equivalents == 0
    np.testing.assert_allclose(f(points(s, 3)), s.f(points(s, 3)))
    np.testing.assert_allclose(f.grad(s.start), s.grad(s.start))
    assert f.forward_equivalents == 6 and s.objective().forward_equivalents == 0


def test_a_landscape_is_frozen():
    valley = rosenbrock()
    with pytest.raises(dataclasses.FrozenInstanceError):
        valley.name = "mine"
    with pytest.raises(ValueError, match="read-only"):
        valley.start[0] = 7


@pytest.mark.parametrize("s", PLAIN, ids=lambda s: f"{s.name}-{s.dimension}")
def test_shifting_and_turning_move_the_minimum_and_keep_the_surface(s):
    by = np.linspace(0.2, 0.9, s.dimension)
    np.testing.assert_allclose(s.shifted(by).minima, s.minima + by)
    np.testing.assert_allclose(s.shifted(by).f(points(s) + by), s.f(points(s)), rtol=1e-9,
                               atol=1e-9)
    turned, centre = s.rotated(5), s.bounds.mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(turned.minima - centre, axis=1),
                               np.linalg.norm(s.minima - centre, axis=1), atol=1e-12)
    np.testing.assert_allclose(turned.f(turned.start), s.f(s.start), rtol=1e-9)
    assert s.name in turned.name and turned.name != s.name


def test_a_moved_minimum_is_neither_at_the_origin_nor_in_the_centre():
    for make in (bowl, ravine, rastrigin, ackley):
        moved = make().rotated(1).shifted(0.7)
        for place in (np.zeros(2), moved.bounds.mean(axis=0)):
            assert np.linalg.norm(moved.minima[0] - place) > 0.5


def test_a_rotation_keeps_lengths_and_follows_its_seed():
    R = rotation(6, seed=4)
    np.testing.assert_allclose(R @ R.T, np.eye(6), atol=1e-12)
    assert (R == rotation(6, seed=4)).all() and (R != rotation(6, seed=5)).any()


def test_the_condition_number_is_what_is_asked_for():
    def condition(s):
        return np.linalg.cond([s.grad(s.minima[0] + e) for e in np.eye(s.dimension)])

    assert condition(bowl(4)) == pytest.approx(1)
    assert condition(ravine(50)) == pytest.approx(50)
    assert condition(ellipsoid(6, kappa=1e3)) == pytest.approx(1e3)
    coupled = ellipsoid(6)
    H = np.array([coupled.grad(coupled.minima[0] + e) for e in np.eye(6)])
    assert np.abs(H - np.diag(np.diag(H))).max() > 0.01 * H.max(), "no axis is its own"


def test_himmelblau_has_four_different_minima():
    minima = himmelblau().minima
    assert all(np.linalg.norm(a - b) > 1 for a, b in itertools.combinations(minima, 2))


def test_the_double_well_has_a_shallow_well_and_a_saddle():
    valley = double_well(tilt=0.3)
    shallow, saddle, deep = np.sort(np.roots([4, 0, -4, 0.3]).real)[::-1]
    assert deep == valley.minima[0, 0]
    assert valley.f(np.array([deep, 0])) < valley.f(np.array([shallow, 0])) < valley.f(
        np.array([saddle, 0]))
    for a in (shallow, saddle):
        np.testing.assert_allclose(valley.grad(np.array([a, 0.0])), 0, atol=1e-12)


@pytest.mark.parametrize("name", LANDSCAPES)
def test_points_of_any_form_have_the_same_loss(name):
    surface = LANDSCAPES[name]()
    whole = np.arange(3 * surface.dimension).reshape(3, -1) % 4 - 2
    x = whole.astype(float)
    for valley in (surface, surface.shifted(0.5), surface.rotated(1)):
        for form in (whole, whole.astype(np.int8), whole.tolist(), np.asfortranarray(x),
                     np.ma.array(x), np.broadcast_to(x, x.shape)):
            np.testing.assert_array_equal(valley.f(form), valley.f(x))
            np.testing.assert_array_equal(valley.grad(form), valley.grad(x))
        for bad in (x[:, :-1], np.ones(surface.dimension + 1), 1.0):
            for ask in (valley.f, valley.grad):
                with pytest.raises(ValueError, match=f"points of shape .*, {surface.dimension}"):
                    ask(bad)
        with pytest.raises(ValueError, match="masked"):
            valley.f(np.ma.masked_equal(x, x[0, 0]))


@pytest.mark.parametrize("make", [ravine, bowl, rosenbrock, rastrigin, ackley, ellipsoid])
@pytest.mark.parametrize("d", [0, -1, 2.5, "2", None, True])
def test_a_dimension_is_a_whole_number(make, d):
    with pytest.raises(ValueError, match="d must be"):
        make(d=d)


@pytest.mark.parametrize("make", [lambda: ravine(np.nan), lambda: ravine("100"),
                                  lambda: ravine(np.inf), lambda: double_well(np.nan)])
def test_a_shape_is_a_number(make):
    with pytest.raises(ValueError, match="must be a finite number"):
        make()


@pytest.mark.parametrize("make", [lambda: ravine(0.5), lambda: rosenbrock(1),
                                  lambda: double_well(0), lambda: double_well(2)])
def test_a_landscape_that_does_not_exist_is_refused(make):
    with pytest.raises(ValueError, match=r"at least|in \(0, 1.5\)"):
        make()
