"""Each gradient-free method does what its paper says, and what independent libraries do.

Nelder-Mead is held against SciPy, CMA-ES against pycma. The others are held by properties that
their papers prove or state: acceptance odds, success rules, unbiased estimates, invariances.
"""

import itertools
import tracemalloc
import warnings

import numpy as np
import pytest

from zglearn import Objective, run
from zglearn.gradient_free_methods import (
    cma_es,
    evolution_strategy,
    genetic_algorithm,
    hill_climbing,
    mezo,
    nelder_mead,
    one_plus_one_es,
    random_search,
    sep_cma_es,
    simulated_annealing,
    spsa,
)
from zglearn.landscapes import bowl, double_well, ellipsoid, rastrigin, ravine, rosenbrock

METHODS = [random_search, hill_climbing, nelder_mead, simulated_annealing, genetic_algorithm,
           one_plus_one_es, evolution_strategy, cma_es, sep_cma_es, spsa, mezo]
ONLY_COMPARE = [random_search, hill_climbing, nelder_mead, genetic_algorithm, one_plus_one_es,
                evolution_strategy, cma_es, sep_cma_es]
KEEP_THE_BEST = [random_search, hill_climbing, nelder_mead, genetic_algorithm, one_plus_one_es]


def named(methods):
    return pytest.mark.parametrize("method", methods, ids=lambda m: m.__name__)


def asked_by(method, f, x0, steps, seed=0, **hyper):
    """Every point that a method asks about, in order, with the iterates: (asked, yielded)."""
    asked = []

    def loss(x):
        asked.extend(np.atleast_2d(x))
        return f(x)

    rng = np.random.default_rng(seed)
    iterates = method(Objective(loss, batched=True), np.asarray(x0, float), rng, **hyper)
    yielded = [np.array(x) for x in itertools.islice(iterates, steps)]
    return np.array(asked), np.array(yielded)


# What holds for several methods

@named(METHODS)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_descends_in_any_dimension(method, d):
    valley = bowl(d).shifted(0.3)
    path = run(method, valley.objective(), valley.start, budget=3000, seed=1)
    assert path.losses[path.best] < 0.1 * path.losses[0]


@named(ONLY_COMPARE)
def test_only_the_order_of_losses_matters(method):
    """Invariance to increasing transformations of the loss: here its cube, or a quarter of it."""
    valley = ravine(kappa=10, d=4).rotated().shifted(0.7)
    path = run(method, valley.objective(), valley.start, steps=40, seed=2)
    for transform in (np.float64(3).__rpow__, np.float64(0.25).__rmul__):
        f = Objective(lambda x, t=transform: t(valley.f(x)), batched=True)
        np.testing.assert_array_equal(
            run(method, f, valley.start, steps=40, seed=2).points, path.points)


@named(METHODS)
def test_moving_the_landscape_moves_the_path(method):
    valley = ravine(kappa=10, d=3)
    paths = [run(method, v.objective(), v.start, steps=15, seed=3)
             for v in (valley, valley.shifted(1024.0))]
    np.testing.assert_allclose(paths[1].points - 1024.0, paths[0].points, atol=1e-6)


@named(KEEP_THE_BEST)
def test_what_is_called_the_best_so_far_is(method):
    valley = rastrigin(d=3)
    answers = []

    def loss(x):
        losses = valley.f(x)
        answers.extend(np.atleast_1d(losses))
        return losses

    f = Objective(loss, batched=True)
    for x in itertools.islice(method(f, valley.start, np.random.default_rng(0)), 60):
        assert valley.f(x) == min(answers)


@named([m for m in METHODS if m not in (spsa, mezo)])
def test_infinite_losses_are_only_the_worst_losses(method):
    """A wall (loss infinity) through the bowl: the methods that compare stay on their side."""
    wall = Objective(lambda x: np.where(x[..., 0] > 1.3, np.inf, (x * x).sum(axis=-1)),
                     batched=True)
    path = run(method, wall, [1.2, 1.0], budget=4000, seed=0)
    assert path.losses[path.best] < 0.5
    assert path.stopped == "budget"


@named([m for m in METHODS if m not in (nelder_mead, spsa, mezo)])
def test_a_start_point_of_infinite_loss_is_left(method):
    """Nelder-Mead cannot: where all corners are equally bad, its simplex shrinks to a point."""
    pit = Objective(lambda x: np.where(x[..., 0] > 0.9, np.inf, (x * x).sum(axis=-1)),
                    batched=True)
    path = run(method, pit, [1.0, 0.0], budget=4000, seed=0)
    assert path.losses[0] == np.inf and np.isfinite(path.losses[-1])


@named([m for m in METHODS if m not in (spsa, mezo)])
def test_a_flat_loss_is_survived(method):
    path = run(method, Objective(lambda x: np.zeros(x.shape[:-1]), batched=True), np.ones(3),
               steps=100, seed=0)
    assert path.stopped == "steps"


@pytest.mark.parametrize(("method", "least", "even"), [
    (random_search, 1, False), (genetic_algorithm, 2, False), (cma_es, 2, False),
    (sep_cma_es, 2, False), (evolution_strategy, 2, True)])
def test_populations_of_any_size_that_makes_sense(method, least, even):
    valley = bowl(d=3)
    for population in (least, 5 + even, 13 + even):
        path = run(method, valley.objective(), valley.start, steps=5, seed=0, population=population)
        sizes = set(np.diff(path.evaluations[1:]))
        assert sizes == {population - (method is genetic_algorithm)}  # less its elite
    for population in (least - 1, -3, 2.5, "many", *([7] if even else [])):
        with pytest.raises(ValueError, match="population must be"):
            run(method, valley.objective(), valley.start, steps=5, population=population)


# Random search and hill climbing

def test_random_search_is_uniform_in_its_cube_and_has_no_memory():
    centre = np.array([1.0, -2.0])
    asked, _ = asked_by(random_search, bowl().f, centre, steps=2000, radius=0.5, population=5)
    u = asked[1:] - centre
    assert (asked[0] == centre).all() and abs(u).max() <= 0.5
    deviation = np.abs(np.sort(u, axis=0) - np.linspace(-0.5, 0.5, len(u))[:, None]).max()
    assert deviation < 1.63 / np.sqrt(len(u)), "Kolmogorov-Smirnov at 1 %"


@pytest.mark.parametrize("method", [hill_climbing, simulated_annealing])
def test_the_neighbour_may_be_the_callers_own(method):
    """Sorting by swaps: a discrete problem, each point a permutation."""
    def swap(x, rng):
        y, (i, j) = x.copy(), rng.choice(x.size, 2, replace=False)
        y[i], y[j] = x[j], x[i]
        return y

    def disorder(x):
        return float(np.abs(x - np.arange(x.size)).sum())

    path = run(method, disorder, [4, 2, 5, 0, 3, 1], steps=500, seed=0, neighbour=swap)
    assert (np.sort(path.points, axis=1) == np.arange(6)).all() and path.losses[-1] == 0


@named([hill_climbing, simulated_annealing, one_plus_one_es])
def test_a_plateau_is_wandered(method):
    steps = Objective(lambda x: np.floor(np.abs(x)).sum(axis=-1), batched=True)
    path = run(method, steps, [9.5, 9.5], steps=300, seed=0, sigma=0.2)
    level = np.diff(path.losses) == 0
    assert (np.diff(path.points, axis=0) != 0).any(axis=1)[level].sum() > 20


# Simulated annealing

def test_annealing_accepts_a_worse_neighbour_with_the_odds_of_metropolis():
    """Two states whose losses differ by delta: held at T, the upper one has its Boltzmann share."""
    delta, T, n = 0.7, 0.5, 40_000
    path = run(simulated_annealing, lambda x: delta * float(x[0]), [0.0], steps=n, seed=0,
               temperature=T, cooling=1.0, neighbour=lambda x, rng: 1 - x)
    odds = np.exp(-delta / T)
    assert abs(path.points.mean() - odds / (1 + odds)) < 5 * 0.5 / np.sqrt(n)
    below = path.points[:-1, 0] == 0
    climbed = (path.points[1:, 0] == 1)[below].mean()
    assert abs(climbed - odds) < 5 * 0.5 / np.sqrt(below.sum())
    assert (path.points[1:, 0] == 0)[~below].all(), "downhill is always accepted"


def test_annealing_at_zero_is_hill_climbing():
    valley = rastrigin()
    greedy = run(hill_climbing, valley.objective(), valley.start, steps=500, seed=0)
    cold = run(simulated_annealing, valley.objective(), valley.start, steps=500, seed=0,
               temperature=0.0)
    assert (np.diff(cold.losses) <= 0).all() and (np.diff(greedy.losses) <= 0).all()


def test_annealing_cools_and_survives_a_temperature_of_nothing():
    path = run(simulated_annealing, bowl().objective(), [1.0, 1.0], steps=3000, seed=0,
               cooling=0.5)  # underflows to 0 on the way
    worse = np.diff(path.losses) > 0
    assert worse[:3].sum() <= 3 and not worse[60:].any() and path.losses[-1] < 1e-3


def test_annealing_leaves_the_shallow_well_and_hill_climbing_does_not():
    valley = double_well()

    def found(method, **hyper):
        paths = (run(method, valley.objective(), valley.start, steps=1500, seed=s, **hyper)
                 for s in range(20))
        return sum(path.points[-1, 0] < 0 for path in paths)

    assert found(simulated_annealing, temperature=1.0, cooling=0.997, sigma=0.2) >= 17
    assert found(hill_climbing, sigma=0.2) == 0


# Nelder-Mead against SciPy

def by_scipy(f, x0, iterations, adaptive=False, size=0.5):
    """Every point that SciPy asks about, in order."""
    optimize = pytest.importorskip("scipy.optimize", reason="the comparison needs SciPy")
    asked = []

    def loss(x):
        asked.append(np.array(x))
        return f(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stopped at the iterations we gave it
        optimize.minimize(loss, x0, method="Nelder-Mead", options=dict(
            maxiter=iterations, xatol=0, fatol=0, adaptive=adaptive,
            initial_simplex=np.vstack([x0, x0 + size * np.eye(len(x0))])))
    return np.array(asked)


def rugged(x):
    """A bowl under steep ripples: here a simplex has to try every one of its moves."""
    return ((x - 0.3) ** 2 + np.sin(40 * x)).sum(axis=-1)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize(("f", "x0"), [
    (rugged, np.array([1.0, 0.7, -0.4, 0.1])),
    *((rugged, np.random.default_rng(seed).normal(size=2)) for seed in (0, 5, 12)),
    *((valley.f, valley.start) for valley in (bowl(3).shifted(0.3), rosenbrock(), rosenbrock(5),
                                              rastrigin(3), ravine(1000, 4).rotated()))])
def test_nelder_mead_asks_what_scipy_asks(f, x0, adaptive):
    """The same 120 questions in the same order; later, rounding decides between equal corners."""
    ours, _ = asked_by(nelder_mead, f, x0, steps=120, adaptive=adaptive)
    theirs = by_scipy(f, x0, 120, adaptive)
    np.testing.assert_allclose(ours[:120], theirs[:120], rtol=0, atol=1e-9)


def test_nelder_mead_reaches_the_minimum_at_scipys_cost():
    valley = rosenbrock(3).rotated(2).shifted(0.3)
    ours, theirs = (int(np.argmax(valley.f(asked) < 1e-10)) for asked in (
        asked_by(nelder_mead, valley.f, valley.start, steps=1000)[0],
        by_scipy(valley.f, valley.start, 1000)))
    assert 100 < ours < 1.15 * theirs < 1.15**2 * ours


def test_nelder_mead_shrinks_when_nothing_else_helps():
    """A simplex whose contractions all land on a ridge: d + 2 questions in that step."""
    f = Objective(lambda x: np.where((x == 0).any(axis=-1), 0.0, 1.0 + (x * x).sum(axis=-1)),
                  batched=True)
    path = run(nelder_mead, f, [1.0, 1.0], steps=30, size=1.0)
    costs = set(np.diff(path.evaluations)[1:])
    assert path.evaluations[1] == 3 and costs <= {1, 2, 4} and 4 in costs


# The genetic algorithm

def test_without_mutation_children_only_mix_their_parents():
    valley = rastrigin(d=4)
    asked, _ = asked_by(genetic_algorithm, valley.f, valley.start, steps=6, population=10,
                        sigma=0.0)
    first, children = asked[:10], asked[10:]
    assert (first[0] == valley.start).all() and len(children) == 5 * 9
    assert all(np.isin(children[:, j], first[:, j]).all() for j in range(4))
    new = [not (child == first).all(axis=1).any() for child in children]
    assert np.mean(new) > 0.5, "most children are no copy of one parent"


def test_the_elite_survives_and_is_not_asked_again():
    asked, yielded = asked_by(genetic_algorithm, bowl(3).f, np.ones(3), steps=30, elite=3,
                              population=12)
    assert len(asked) == 12 + 29 * 9
    assert len(np.unique(asked, axis=0)) == len(asked)
    assert (np.diff(bowl(3).f(yielded)) <= 0).all()


def test_a_larger_tournament_selects_harder():
    def spread_after(tournament):
        asked, _ = asked_by(genetic_algorithm, bowl(5).f, np.ones(5), steps=2, population=200,
                            tournament=tournament, sigma=0.0)
        return bowl(5).f(asked[200:]).mean()

    assert spread_after(8) < spread_after(3) < spread_after(1)


# The (1+1)-ES

def test_sigma_stands_still_at_one_success_in_five():
    answers = itertools.cycle([True, False, False, False, False])
    best = itertools.count(0, -1)
    f = Objective(lambda x: next(best) if next(answers) else 1.0)
    iterates = one_plus_one_es(f, np.zeros(3), np.random.default_rng(0), sigma=0.3)
    next(iterates)
    sigmas = [iterates.gi_frame.f_locals["sigma"] for _ in zip(range(50), iterates, strict=False)]
    np.testing.assert_allclose(sigmas[::5], sigmas[0])
    np.testing.assert_allclose(max(sigmas) / min(sigmas), 1.5)


@pytest.mark.parametrize("d", [8, 32])
def test_the_one_plus_one_es_needs_about_twenty_evaluations_a_dimension(d):
    """To 1e-3 of the start loss on the sphere: linear in d, whatever the first sigma."""
    def evaluations(sigma, seed):
        path = run(one_plus_one_es, bowl(d).objective(), np.ones(d), steps=60 * d, seed=seed,
                   sigma=sigma)
        return path.steps_to(1e-3 * path.losses[0])

    for sigma in (0.01, 1.0, 10.0):
        assert 14 * d < np.median([evaluations(sigma, s) for s in range(9)]) < 32 * d


# The evolution strategy

def test_the_evolution_strategy_estimates_the_gradient():
    """On a linear loss, without ranks, the mean of the estimates is the slope."""
    slope = np.array([3.0, -1.0, 0.5])
    f = Objective(lambda x: x @ slope, batched=True)
    path = run(evolution_strategy, f, np.zeros(3), steps=400, seed=0, lr=1.0, population=40,
               ranks=False)
    estimates = -np.diff(path.points, axis=0)
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert (np.abs(estimates.mean(axis=0) - slope) < 4 * error).all()
    assert (error < 0.06).all()


def test_its_samples_come_in_mirrored_pairs():
    asked, yielded = asked_by(evolution_strategy, bowl(3).f, np.ones(3), steps=4, population=10)
    mean = np.vstack([np.ones(3), yielded[:-1]])
    pairs = asked.reshape(4, 2, 5, 3).sum(axis=1) / 2
    np.testing.assert_allclose(pairs, np.broadcast_to(mean[:, None], pairs.shape), atol=1e-12)
    top = run(evolution_strategy, bowl(3).objective(), np.zeros(3), steps=3, ranks=False)
    np.testing.assert_allclose(top.points, 0, atol=1e-15)  # what is even cancels in every pair


def test_equal_losses_push_nowhere():
    """Ties share their rank, so that a 0/1 loss does not move the mean where it is flat."""
    flat = Objective(lambda x: np.zeros(x.shape[:-1]), batched=True)
    assert not run(evolution_strategy, flat, np.zeros(3), steps=5, seed=0).points.any()


def test_ranks_run_from_minus_a_half_to_a_half():
    """One coordinate, three pairs: the step can be computed by hand."""
    asked, yielded = asked_by(evolution_strategy, lambda x: np.exp(x[..., 0]), [0.0], steps=1,
                              population=6, lr=1.0, sigma=0.1)
    rank = np.argsort(np.argsort(asked[:, 0])) / 5 - 0.5
    np.testing.assert_allclose(yielded[0, 0], -(rank @ asked[:, 0]) / (6 * 0.1**2))


def test_the_evolution_strategy_goes_where_its_noise_points():
    def along_the_first_axis(rng, x, count):
        return rng.standard_normal((count, 1)) * np.eye(x.size)[0]

    path = run(evolution_strategy, bowl(3).objective(), np.ones(3), steps=100, seed=0, lr=0.1,
               noise=along_the_first_axis)
    assert abs(path.points[-1, 0]) < 0.3 and (path.points[:, 1:] == 1).all()


def test_momentum_carries_the_evolution_strategy_on():
    def distance(beta):
        path = run(evolution_strategy, lambda x: float(x.sum()), np.zeros(2), steps=100, seed=0,
                   beta=beta)
        return -path.points[-1].sum()

    assert 6 < distance(0.9) / distance(0.0) < 10.5


# CMA-ES against pycma

class Reached(Exception):
    pass


class Counted:
    """A loss that counts its evaluations and raises Reached at the first one below `target`."""

    def __init__(self, f, target=1e-8, most=60_000):
        self.f, self.target, self.most, self.evaluations = f, target, most, 0

    def __call__(self, x):
        losses = self.f(x)
        hits = np.flatnonzero(np.atleast_1d(losses) <= self.target)
        self.evaluations += int(hits[0]) + 1 if hits.size else np.size(losses)
        if hits.size or self.evaluations > self.most:
            raise Reached
        return losses


def evaluations_of_ours(valley, seed, method=cma_es):
    f = Counted(valley.f)
    rng = np.random.default_rng(seed)
    x0 = valley.start + 0.1 * rng.standard_normal(valley.dimension)
    with pytest.raises(Reached):
        for _ in method(Objective(f, batched=True), x0, rng, sigma=0.5):
            pass
    return f.evaluations if f.evaluations <= f.most else np.inf


def evaluations_of_pycma(valley, seed, **options):
    cma = pytest.importorskip("cma", reason="the comparison needs pycma: pip install cma")
    f = Counted(valley.f)
    x0 = valley.start + 0.1 * np.random.default_rng(seed).standard_normal(valley.dimension)
    es = cma.CMAEvolutionStrategy(x0, 0.5, dict(seed=seed + 1, verbose=-9) | options)
    with pytest.raises(Reached):
        while True:
            X = es.ask()
            es.tell(X, f(np.array(X)))
    return f.evaluations if f.evaluations <= f.most else np.inf


@pytest.mark.parametrize(("valley", "seeds"), [
    (bowl(10).shifted(0.3), 11), (ellipsoid(10), 11), (rosenbrock(10).shifted(0.3), 11),
    (ellipsoid(3), 31)], ids=lambda v: f"{v.name}-{v.dimension}" if hasattr(v, "name") else None)
def test_cma_es_needs_no_more_evaluations_than_pycma(valley, seeds):
    """Median evaluations to 1e-8 within 1.15 of the reference, and about as many runs arrive.

    Over many seeds the ratio is 1.01 to 1.05; these are enough for its scatter to stay below 1.15.
    """
    ours = [evaluations_of_ours(valley, seed) for seed in range(33)]
    theirs = [evaluations_of_pycma(valley, seed) for seed in range(seeds)]
    assert np.median(ours) <= 1.15 * np.median(theirs)
    assert np.isinf(ours).mean() <= np.isinf(theirs).mean() + 0.25


@pytest.mark.parametrize(("n", "population"), [(2, 6), (5, 9), (10, 10), (10, 200), (40, 15)])
def test_the_constants_of_cma_es_are_pycmas(n, population):
    cma = pytest.importorskip("cma", reason="the comparison needs pycma: pip install cma")
    f = Objective(bowl(n).f, batched=True)
    iterates = cma_es(f, np.ones(n), np.random.default_rng(0), population=population)
    next(iterates)
    ours = iterates.gi_frame.f_locals
    reference = cma.CMAEvolutionStrategy(np.ones(n), 0.5, dict(popsize=population, verbose=-9)).sp
    np.testing.assert_allclose(ours["w"], reference.weights, atol=1e-12)
    for mine, theirs in (("mu_eff", reference.weights.mueff), ("c_c", reference.cc),
                         ("c_1", reference.c1), ("c_mu", reference.cmu)):
        np.testing.assert_allclose(ours[mine], theirs, rtol=1e-12)


@pytest.mark.parametrize(("n", "first_sigma"), [(2, 0.5), (5, 1e-3), (8, 30.0)])
def test_each_generation_of_cma_es_follows_the_tutorials_equations(n, first_sigma):
    """Read the state before and after, and redo the update literally from the points asked.

    From a tiny first sigma, the path p_s grows so fast that h is 0 for a while.
    """
    valley, generations = ravine(100, n).rotated().shifted(0.3), []
    f = Objective(lambda X: generations.append(X) or valley.f(X), batched=True)
    iterates = cma_es(f, valley.start, np.random.default_rng(0), sigma=first_sigma)
    next(iterates)
    stalled = []
    for t in range(2, 40):
        old = dict(iterates.gi_frame.f_locals)
        next(iterates)
        new = iterates.gi_frame.f_locals
        w, mu_eff, c_c, c_s, c_1, c_mu = (old[k] for k in "w mu_eff c_c c_s c_1 c_mu".split())
        X = generations[-1][np.argsort(valley.f(generations[-1]))]
        y = (X - old["m"]) / old["sigma"]
        y_w = sum(w_i * y_i for w_i, y_i in zip(w, y, strict=True) if w_i > 0)
        variances, axes = np.linalg.eigh(old["C"])
        whiten = axes @ np.diag(variances**-0.5) @ axes.T

        m = old["m"] + old["sigma"] * y_w  # eq. 42
        p_s = (1 - c_s) * old["p_s"] + np.sqrt(c_s * (2 - c_s) * mu_eff) * whiten @ y_w  # eq. 43
        expected = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        sigma = old["sigma"] * np.exp(c_s / old["d_s"] * (np.linalg.norm(p_s) / expected - 1))
        h = np.linalg.norm(p_s) / np.sqrt(1 - (1 - c_s) ** (2 * t)) < (1.4 + 2 / (n + 1)) * expected
        p_c = (1 - c_c) * old["p_c"] + h * np.sqrt(c_c * (2 - c_c) * mu_eff) * y_w  # eq. 45
        w_o = [w_i if w_i >= 0 else w_i * n / np.sum((whiten @ y_i) ** 2)
               for w_i, y_i in zip(w, y, strict=True)]  # eq. 46
        delta = (1 - h) * c_c * (2 - c_c)
        C = ((1 + c_1 * delta - c_1 - c_mu * sum(w)) * old["C"] + c_1 * np.outer(p_c, p_c)
             + c_mu * sum(w_i * np.outer(y_i, y_i) for w_i, y_i in zip(w_o, y, strict=True)))  # 47
        for name, value in dict(m=m, p_s=p_s, sigma=sigma, p_c=p_c, C=C).items():
            np.testing.assert_allclose(new[name], value, rtol=1e-7, atol=1e-9, err_msg=name)
        stalled.append(not h)
    assert any(stalled) == (first_sigma == 1e-3)


def test_cma_es_learns_the_shape_of_the_valley():
    """C becomes the inverse Hessian, up to a factor: its axes and their lengths."""
    valley = ravine(kappa=1e4, d=3).rotated(4).shifted(0.5)
    iterates = cma_es(valley.objective(), valley.start, np.random.default_rng(0))
    for _ in range(150):
        next(iterates)
    C = iterates.gi_frame.f_locals["C"]
    H = np.stack([valley.grad(valley.minima[0] + e) for e in np.eye(3)])
    spectrum = np.linalg.eigvals(C @ H).real
    assert np.linalg.cond(C) > 1000 and spectrum.max() / spectrum.min() < 15


def test_cma_es_with_a_large_population_finds_the_deepest_of_many_wells():
    valley = rastrigin(d=5).rotated(1).shifted(0.4)

    def solved(population):
        return sum(run(cma_es, valley.objective(), valley.start, budget=30_000, seed=s, sigma=2.0,
                       population=population).losses.min() < 1e-6 for s in range(8))

    assert solved(population=200) >= 5 and solved(population=8) <= 3


def test_cma_es_runs_on_long_after_it_has_arrived():
    valley = ellipsoid(4)
    path = run(cma_es, valley.objective(), valley.start, steps=3000, seed=0)
    assert path.stopped == "steps" and path.losses[-1] < 1e-20


# Separable CMA-ES against pycma's diagonal option

@pytest.mark.parametrize("valley", [bowl(10).shifted(0.3), ravine(1e6, 10).shifted(0.3),
                                    ravine(1e6, 40).shifted(0.3)],
                         ids=lambda v: f"{v.name}-{v.dimension}")
def test_sep_cma_es_needs_no_more_evaluations_than_pycma_with_a_diagonal(valley):
    """The ratio of medians is 0.86 to 1.01. In a valley `cma_es` needs two to five times more."""
    ours = [evaluations_of_ours(valley, seed, sep_cma_es) for seed in range(15)]
    theirs = [evaluations_of_pycma(valley, seed, CMA_diagonal=True) for seed in range(5)]
    assert np.median(ours) <= 1.15 * np.median(theirs) < np.inf


def test_in_one_dimension_sep_cma_es_is_cma_es():
    paths = [run(method, bowl(1).objective(), [3.0], steps=60, seed=4, population=8).points
             for method in (cma_es, sep_cma_es)]
    np.testing.assert_allclose(*paths, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [2, 8])
def test_each_generation_of_sep_cma_es_is_that_of_cma_es_on_the_diagonal(n):
    """Redo the update from the points asked: the tutorial's equations, of C its diagonal alone."""
    valley, generations = ravine(100, n).shifted(0.3), []
    f = Objective(lambda X: generations.append(X) or valley.f(X), batched=True)
    iterates = sep_cma_es(f, valley.start, np.random.default_rng(0), sigma=1e-3)
    next(iterates)
    for t in range(2, 40):
        old = dict(iterates.gi_frame.f_locals)
        next(iterates)
        new = iterates.gi_frame.f_locals
        w, mu_eff, c_c, c_s, c_1, c_mu = (old[k] for k in "w mu_eff c_c c_s c_1 c_mu".split())
        X = generations[-1][np.argsort(valley.f(generations[-1]))]
        y = (X - old["m"]) / old["sigma"]
        z = y / np.sqrt(old["c"])
        p_s = (1 - c_s) * old["p_s"] + np.sqrt(c_s * (2 - c_s) * mu_eff) * (w[w > 0] @ z[w > 0])
        expected = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        h = np.linalg.norm(p_s) / np.sqrt(1 - (1 - c_s) ** (2 * t)) < (1.4 + 2 / (n + 1)) * expected
        p_c = (1 - c_c) * old["p_c"] + h * np.sqrt(c_c * (2 - c_c) * mu_eff) * (w[w > 0] @ y[w > 0])
        kept = 1 - c_1 - c_mu * sum(w) + (1 - h) * c_1 * c_c * (2 - c_c)
        moves = sum(w_i * (1 if w_i > 0 else n / (z_i @ z_i)) * np.diag(np.outer(y_i, y_i))
                    for w_i, y_i, z_i in zip(w, y, z, strict=True))
        np.testing.assert_allclose(new["p_c"], p_c, rtol=1e-7)
        np.testing.assert_allclose(new["c"], kept * old["c"] + c_1 * p_c**2 + c_mu * moves,
                                   rtol=1e-7)
        sigma = old["sigma"] * np.exp(c_s / old["d_s"] * (np.linalg.norm(p_s) / expected - 1))
        np.testing.assert_allclose(new["sigma"], sigma, rtol=1e-7)


def test_sep_cma_es_learns_lengths_but_no_angles():
    def fell(valley, method):
        path = run(method, valley.objective(), valley.start, budget=3000, seed=0)
        return path.losses[-1] / path.losses[0]

    aligned = ravine(kappa=1e4, d=10).shifted(0.5)
    assert fell(aligned, sep_cma_es) < 1e-6 * fell(aligned, cma_es)
    turned = aligned.rotated(1)
    assert fell(turned, sep_cma_es) > 100 * fell(turned, cma_es)


def test_sep_cma_es_takes_memory_for_its_points_alone():
    n = 1000
    peaks = {}
    for method in (sep_cma_es, cma_es):
        iterates = method(Objective(bowl(n).f, batched=True), np.ones(n), np.random.default_rng(0))
        tracemalloc.start()
        next(iterates)
        peaks[method] = tracemalloc.get_traced_memory()[1] / (8 * n * n)
        tracemalloc.stop()
    assert peaks[sep_cma_es] < 0.25 < 1 < peaks[cma_es]


# SPSA and MeZO

def test_spsa_steps_with_the_gains_of_spall():
    slope, x0 = np.array([2.0, -1.0, 0.5]), np.zeros(3)
    lr, eps, A = 0.3, 0.2, 10.0
    asked, yielded = asked_by(spsa, lambda x: x @ slope, x0, steps=50, lr=lr, eps=eps, A=A)
    plus, minus = asked.reshape(50, 2, 3).transpose(1, 0, 2)
    k = np.arange(50)[:, None]
    c = eps / (k + 1) ** 0.101
    before = np.vstack([x0, yielded[:-1]])
    delta = (plus - before) / c
    np.testing.assert_allclose(np.abs(delta), 1, rtol=1e-9)
    np.testing.assert_allclose(minus, before - c * delta, atol=1e-12)
    np.testing.assert_allclose(
        yielded, before - lr / (A + k + 1) ** 0.602 * (delta @ slope)[:, None] * delta, atol=1e-9)
    assert 0.2 < (delta[:, 0] > 0).mean() < 0.8


@pytest.mark.parametrize("noise", ["gaussian", "rademacher"])
def test_mezo_steps_along_the_line_that_it_probed(noise):
    valley, lr, eps = ravine(kappa=5, d=4).shifted(0.2), 0.05, 1e-2
    asked, yielded = asked_by(mezo, valley.f, valley.start, steps=200, lr=lr, eps=eps, noise=noise)
    plus, minus = asked.reshape(200, 2, 4).transpose(1, 0, 2)
    z = (plus - minus) / (2 * eps)
    before = np.vstack([valley.start, yielded[:-1]])
    np.testing.assert_allclose((plus + minus) / 2, before, atol=1e-12)
    slope = (valley.f(plus) - valley.f(minus)) / (2 * eps)
    np.testing.assert_allclose(slope, (valley.grad(before) * z).sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(yielded, before - lr * slope[:, None] * z, atol=1e-9)
    if noise == "rademacher":
        np.testing.assert_allclose(np.abs(z), 1, rtol=1e-9)
    else:
        assert abs(z.std() - 1) < 0.1 and np.abs(z).max() > 2
    assert abs(z.mean()) < 0.15


@named([spsa, mezo])
def test_two_questions_a_step_in_any_dimension(method):
    for d in (1, 7, 300):
        path = run(method, bowl(d).objective(), np.ones(d), steps=5, seed=0, lr=1e-4)
        np.testing.assert_array_equal(path.evaluations, 2 * np.arange(6))


def test_mezos_estimate_is_the_gradient_on_average():
    valley = ravine(kappa=5, d=4)
    x = valley.start
    estimates = [x - next(mezo(valley.objective(), x, np.random.default_rng(s), lr=1.0))
                 for s in range(4000)]
    error = np.std(estimates, axis=0) / np.sqrt(len(estimates))
    assert (np.abs(np.mean(estimates, axis=0) - valley.grad(x)) < 4 * error).all()


def test_mezo_costs_more_with_the_dimension_but_not_with_a_flat_one():
    """Its price follows the number of curved directions, not the number of parameters."""
    def evaluations(d, curved):
        h = (np.arange(d) < curved).astype(float)
        f = Objective(lambda x: 0.5 * (h * x * x).sum(axis=-1), batched=True)
        path = run(mezo, f, np.ones(d), steps=4000, seed=0, lr=1 / (curved + 2))
        return 2 * path.steps_to(1e-3 * path.losses[0])

    assert evaluations(64, curved=64) > 4 * evaluations(8, curved=8)
    assert evaluations(1024, curved=8) < 2 * evaluations(8, curved=8)


def test_mezo_knows_two_kinds_of_noise():
    with pytest.raises(ValueError, match='"gaussian" or "rademacher"'):
        run(mezo, bowl().objective(), [1.0, 1.0], steps=1, noise="uniform")
