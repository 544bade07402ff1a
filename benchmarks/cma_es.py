"""CMA-ES, full and diagonal, against pycma and cmaes: evaluations to a loss of 1e-8, and time.

    python -m benchmarks cma_es

All contenders start at the same points with the same sigma, on moved and turned landscapes. The
time is that of whole generations (draw, ask, update) on the sphere function, whose own cost is
negligible. It takes some minutes, most of them pycma's.
"""

import itertools
import math
import statistics
import warnings
from functools import partial

import numpy as np

from zglearn import Objective
from zglearn.gradient_free_methods import cma_es, sep_cma_es
from zglearn.landscapes import bowl, ellipsoid, ravine, rosenbrock

from ._bench import Row, installed, race, rows

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pycma, about packages that it could plot with
    cma, cmaes = installed("cma"), installed("cmaes")

TARGET, SIGMA = 1e-8, 0.5
EVALUATIONS_BAR, TIME_BAR = 1.15, 0.25


# A contender is a generator of generations: it asks f about a population and learns the answers.

def ours(f, x0, population, seed, method=cma_es):
    return method(Objective(f, batched=True), x0, np.random.default_rng(seed), sigma=SIGMA,
                  population=population)


def pycma(f, x0, population, seed, **options):
    es = cma.CMAEvolutionStrategy(x0, SIGMA, options | dict(popsize=population, seed=seed + 1,
                                                            verbose=-9))
    while True:
        X = es.ask()
        es.tell(X, f(np.array(X)))
        yield


def cyberagent(f, x0, population, seed, method="CMA"):
    es = getattr(cmaes, method)(x0, SIGMA, population_size=population, seed=seed)
    while True:
        X = [es.ask() for _ in range(population)]
        es.tell(list(zip(X, f(np.array(X)), strict=True)))
        yield


diagonal = partial(ours, method=sep_cma_es)
pycma, cyberagent = cma and pycma, cmaes and cyberagent
pycma_diagonal = cma and partial(pycma, CMA_diagonal=True)
FULL = {"ours": ours, "pycma": pycma, "cmaes": cyberagent}
DIAGONAL = {"ours": diagonal, "pycma": pycma_diagonal,
            "cmaes": cmaes and partial(cyberagent, method="SepCMA")}


class Reached(Exception):
    """Raised by a `Counted` loss at its target."""


class Counted:
    """A loss that counts its evaluations, up to the first one at or below the target."""

    def __init__(self, f, most):
        self.f, self.most, self.evaluations = f, most, 0

    def __call__(self, X):
        losses = self.f(X)
        hits = np.flatnonzero(losses <= TARGET)
        self.evaluations += int(hits[0]) + 1 if hits.size else len(losses)
        if hits.size or self.evaluations > self.most:
            raise Reached
        return losses


def evaluations(contender, landscape, seed):
    """Evaluations up to the first loss at or below the target; infinity if it is not found."""
    n = landscape.dimension
    f = Counted(landscape.f, most=20_000 + 100 * n * n)
    x0 = landscape.start + 0.1 * np.random.default_rng(seed).standard_normal(n)
    try:
        for _ in contender(f, x0, 4 + int(3 * np.log(n)), seed):
            pass
    except Reached:
        return f.evaluations if f.evaluations <= f.most else math.inf


def race_to_target(name, landscape, seeds, contenders=FULL):
    """Median evaluations of each contender, with the share of runs that found the target."""
    counts = {peer: [evaluations(contender, landscape, seed) for seed in range(seeds)]
              for peer, contender in contenders.items() if contender is not None}
    mine, found = statistics.median(counts["ours"]), np.isfinite(counts["ours"]).mean()
    for peer in list(contenders)[1:]:
        there = counts.get(peer, [math.nan])
        median = statistics.median(there)
        yield Row(f"CMA-ES, evaluations, {name}, against {peer}: "
                  f"{found:.0%}, {np.isfinite(there).mean():.0%} found",
                  mine, median, mine / median, EVALUATIONS_BAR if peer == "pycma" else None)


def advance(contender, n, population, generations=1):
    """A function that advances by so many generations, past the first ones.

    In high dimensions C is decomposed once in many generations: to time one tells nothing.
    """
    if contender is None:
        return None
    run = contender(bowl(n).f, np.ones(n), population, seed=0)
    next(itertools.islice(run, 5, None))
    return lambda: next(itertools.islice(run, generations - 1, None))


def measure():
    for name, landscape, seeds in (
        ("sphere 2", bowl(2).shifted(0.3), 31),
        ("sphere 10", bowl(10).shifted(0.3), 21),
        ("ellipsoid 10", ellipsoid(10), 21),
        ("Rosenbrock 10", rosenbrock(10).rotated().shifted(0.3), 21),
        ("ellipsoid 40", ellipsoid(40), 7),
        ("Rosenbrock 40", rosenbrock(40).rotated().shifted(0.3), 7),
    ):
        yield from race_to_target(name, landscape, seeds)
    for name, landscape, seeds in (("ravine 10", ravine(1e6, 10).shifted(0.3), 21),
                                   ("ravine 100", ravine(1e4, 100).shifted(0.3), 7)):
        yield from race_to_target(f"diagonal, {name}", landscape, seeds, DIAGONAL)
    for name, contenders, shapes in (
        ("CMA-ES", FULL, ((2, 6), (10, 10), (40, 15), (40, 100), (200, 19), (1000, 24))),
        ("diagonal CMA-ES", DIAGONAL, ((10, 10), (40, 15), (1000, 24))),
    ):
        for n, population in shapes:
            # cmaes decomposes its C in every generation, so that one of them tells enough
            generations = {peer: 100 if n >= 200 and peer != "cmaes" else 1 for peer in contenders}
            seconds = race({peer: advance(contender, n, population, generations[peer])
                            for peer, contender in contenders.items()}, 7 if n == 1000 else 9)
            each = {peer: [s / population / generations[peer] for s in times]
                    for peer, times in seconds.items()}
            yield from rows(f"{name}, s per evaluation, n {n}, population {population}", each,
                            {"pycma": TIME_BAR} if n <= 40 else None)
