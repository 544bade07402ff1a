"""A population of networks asked in one call, against the same questions in a loop.

    python -m benchmarks population

Population methods ask `f(P)` with P of shape (population, size): one batched product a layer.
"""

import numpy as np

from zglearn.models import MLP, LanguageModel

from ._bench import race, rows

POPULATION = 32
SMALL = MLP([16, 16, 4]), MLP([64, 32, 10]), MLP([100, 64, 6])
BARS = {8: 1 / 3, 32: 1 / 3}  # by examples in the batch: small batches are where calls cost most


def data(model, examples, rng):
    """Random inputs and labels: what is in them does not change the time."""
    y = rng.integers(model.classes, size=examples)
    if isinstance(model, LanguageModel):
        return rng.integers(model.classes, size=(examples, model.context)), y
    return rng.normal(size=(examples, model.sizes[0])), y


def measure():
    rng = np.random.default_rng(0)
    for model in (*SMALL, MLP([300, 128, 64, 8]), LanguageModel()):
        P = np.stack([model.init(rng) for _ in range(POPULATION)])
        for examples in (8, 32, 128, 512):
            f = model.objective(*data(model, examples, rng))
            name = f"{type(model).__name__} {model.size:,}, {POPULATION} members, batch {examples}"
            seconds = race({
                "one call": lambda f=f, P=P: f(P),
                "a loop": lambda f=f, P=P: [f(p) for p in P],
            })
            bar = BARS.get(examples) if model in SMALL else None
            yield from rows(name, seconds, {"a loop": bar})
