"""CMA-ES against pycma and cmaes: evaluations to a loss of 1e-8, and time per evaluation.

    python benchmarks/cma_es.py

All contenders start at the same points with the same sigma on the same moved and turned
landscapes, one BLAS thread each, taking turns. Time per evaluation is that of whole generations
(draw, ask, update) on the sphere function, whose own cost is negligible; it is given in
microseconds, and only its ratio means something on another machine. It takes some minutes.
"""

import zglearn  # noqa: F401, I001  before numpy: it asks for one BLAS thread

import itertools
import statistics
import time
import warnings
from typing import NamedTuple

import cma
import cmaes
import numpy as np

from zglearn import Objective
from zglearn.gradient_free_methods import cma_es
from zglearn.landscapes import bowl, ellipsoid, rosenbrock

REPEATS = 11
TARGET, SIGMA = 1e-8, 0.5
EVALUATIONS_BAR, OVERHEAD_BAR = 1.15, 0.25

warnings.filterwarnings("ignore", module="cma")


class Row(NamedTuple):
    name: str
    ours: float
    peer: float
    ratio: float
    bar: float | None  # the ratio that must not be exceeded, where there is one


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


# A contender is a generator of generations: it asks f about a population and learns the answers.

def of_zglearn(f, x0, population, seed):
    yield from cma_es(Objective(f, batched=True), x0, np.random.default_rng(seed), sigma=SIGMA,
                      population=population)


def of_pycma(f, x0, population, seed):
    es = cma.CMAEvolutionStrategy(x0, SIGMA, dict(popsize=population, seed=seed + 1, verbose=-9))
    while True:
        X = es.ask()
        es.tell(X, f(np.array(X)))
        yield


def of_cmaes(f, x0, population, seed):
    es = cmaes.CMA(x0, SIGMA, population_size=population, seed=seed)
    while True:
        X = [es.ask() for _ in range(population)]
        es.tell(list(zip(X, f(np.array(X)), strict=True)))
        yield


PEERS = {"pycma": of_pycma, "cmaes": of_cmaes}


def evaluations(contender, landscape, seed):
    """Evaluations until the first loss at or below the target; infinity if that takes too long."""
    n = landscape.dimension
    f = Counted(landscape.f, most=20_000 + 100 * n * n)
    x0 = landscape.start + 0.1 * np.random.default_rng(seed).standard_normal(n)
    try:
        for _ in contender(f, x0, 4 + int(3 * np.log(n)), seed):
            pass
    except Reached:
        return f.evaluations if f.evaluations <= f.most else np.inf


def overhead(contender, n, population, seed, generations):
    """Microseconds per evaluation."""
    run = contender(bowl(n).f, np.ones(n), population, seed)
    next(run)
    start = time.perf_counter()
    for _ in itertools.islice(run, generations):
        pass
    return 1e6 * (time.perf_counter() - start) / (generations * population)


def in_turns(measurement, repeats):
    """Medians of `measurement(contender, repeat)` for ours and for each peer."""
    contenders = [of_zglearn, *PEERS.values()]
    rounds = [[measurement(c, repeat) for c in contenders] for repeat in range(repeats)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def rows(name, medians, bar):
    """One row for each peer; the bar holds against pycma, the reference."""
    ours, *theirs = medians
    return [Row(f"{name}, {peer}", ours, value, ours / value, bar if peer == "pycma" else None)
            for peer, value in zip(PEERS, theirs, strict=True)]


def measure():
    """All rows: evaluations first, then time per evaluation."""
    table = []
    for name, landscape, repeats in (
        ("sphere 2", bowl(2).shifted(0.3), REPEATS),
        ("sphere 10", bowl(10).shifted(0.3), REPEATS),
        ("ellipsoid 10", ellipsoid(10), REPEATS),
        ("Rosenbrock 10", rosenbrock(10).rotated().shifted(0.3), REPEATS),
        ("ellipsoid 40", ellipsoid(40), 7),
        ("Rosenbrock 40", rosenbrock(40).rotated().shifted(0.3), 7),
    ):
        medians = in_turns(lambda c, seed, s=landscape: evaluations(c, s, seed), repeats)
        table += rows(f"evaluations, {name}", medians, EVALUATIONS_BAR)
    for n, population in ((2, 6), (10, 10), (40, 15), (40, 100), (200, 19), (1000, 24)):
        generations = 300 if n <= 40 else 40
        medians = in_turns(
            lambda c, seed, n=n, p=population, g=generations: overhead(c, n, p, seed, g),
            REPEATS if n < 1000 else 3)
        table += rows(f"µs, n {n}, population {population}", medians,
                      OVERHEAD_BAR if n <= 40 else None)
    return table


def main():
    print(f"{'':40} {'zglearn':>9} {'peer':>9} {'ratio':>6}  bar")
    for name, ours, peer, ratio, bar in measure():
        verdict = "" if bar is None else f"{bar:.2f}  {'ok' if ratio <= bar else 'MISSED'}"
        print(f"{name:40} {ours:9.4g} {peer:9.4g} {ratio:6.2f}  {verdict}")


if __name__ == "__main__":
    main()
