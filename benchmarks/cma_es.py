"""CMA-ES against pycma and cmaes: evaluations to a loss of 1e-8, and time per evaluation.

    python -m benchmarks cma_es

All contenders start at the same points with the same sigma, on moved and turned landscapes. The
time is that of whole generations (draw, ask, update) on the sphere function, whose own cost is
negligible. It takes some minutes, most of them pycma's.
"""

import itertools
import math
import statistics
import warnings

import numpy as np

from zglearn import Objective
from zglearn.gradient_free_methods import cma_es
from zglearn.landscapes import bowl, ellipsoid, rosenbrock

from ._bench import Row, installed, race, rows

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pycma, about packages that it could plot with
    cma, cmaes = installed("cma"), installed("cmaes")

TARGET, SIGMA = 1e-8, 0.5
EVALUATIONS_BAR, TIME_BAR = 1.15, 0.25


# A contender is a generator of generations: it asks f about a population and learns the answers.

def ours(f, x0, population, seed):
    return cma_es(Objective(f, batched=True), x0, np.random.default_rng(seed), sigma=SIGMA,
                  population=population)


def pycma(f, x0, population, seed):
    es = cma.CMAEvolutionStrategy(x0, SIGMA, dict(popsize=population, seed=seed + 1, verbose=-9))
    while True:
        X = es.ask()
        es.tell(X, f(np.array(X)))
        yield


def cyberagent(f, x0, population, seed):
    es = cmaes.CMA(x0, SIGMA, population_size=population, seed=seed)
    while True:
        X = [es.ask() for _ in range(population)]
        es.tell(list(zip(X, f(np.array(X)), strict=True)))
        yield


CONTENDERS = {"ours": ours, "pycma": cma and pycma, "cmaes": cmaes and cyberagent}


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


def race_to_target(name, landscape, seeds):
    """Median evaluations of each contender, with the share of runs that found the target."""
    counts = {peer: [evaluations(contender, landscape, seed) for seed in range(seeds)]
              for peer, contender in CONTENDERS.items() if contender is not None}
    mine, found = statistics.median(counts["ours"]), np.isfinite(counts["ours"]).mean()
    for peer in list(CONTENDERS)[1:]:
        there = counts.get(peer, [math.nan])
        median = statistics.median(there)
        yield Row(f"CMA-ES, evaluations, {name}, against {peer}: "
                  f"{found:.0%}, {np.isfinite(there).mean():.0%} found",
                  mine, median, mine / median, EVALUATIONS_BAR if peer == "pycma" else None)


def generation(contender, n, population):
    """A function that advances by one generation, past the first ones."""
    if contender is None:
        return None
    run = contender(bowl(n).f, np.ones(n), population, seed=0)
    next(itertools.islice(run, 5, None))
    return lambda: next(run)


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
    for n, population in ((2, 6), (10, 10), (40, 15), (40, 100), (200, 19), (1000, 24)):
        seconds = race({peer: generation(contender, n, population)
                        for peer, contender in CONTENDERS.items()})
        per_evaluation = {peer: [s / population for s in times] for peer, times in seconds.items()}
        yield from rows(f"CMA-ES, s per evaluation, n {n}, population {population}",
                        per_evaluation, {"pycma": TIME_BAR} if n <= 40 else None)
