"""One step of the methods after Adam, in place: against PyTorch's where it has them, and as a
multiple of our own Adam's step.

    python -m benchmarks steps_after_adam

All of them step along the matrices of one layer of a transformer of some width. PyTorch's Muon
rounds to bfloat16, which few processors multiply fast; ours works in float32 and, for a tall
matrix, on the short side of it as well. Eigenvectors are what Shampoo (in every step) and SOAP (a
tenth of the time, and a QR factorization in their place) pay for.
"""

import math

import numpy as np

from zglearn.models.training import METHODS

from ._bench import installed, race, row, rows

torch = installed("torch")
PEERS = {"adafactor": "Adafactor", "muon": "Muon"}
BARS = {"muon": {"torch": 1.0}, "adafactor": {"torch": 1.0}}


class Fixed:
    """A gradient that is always the same, in the shapes of a layer."""

    lr = 1e-3

    def __init__(self, g, shapes):
        self.g, self.buffer, self.shapes, self.memory = g, g.copy(), shapes, {}

    def gradient(self):
        self.buffer[:] = self.g  # the step in place spends its gradient: the copy is part of it
        return self.buffer


def layer(width):
    return {"qkv": (width, 3 * width), "out": (width, width), "up": (width, 4 * width),
            "down": (4 * width, width)}


def torch_step(method, p, g, shapes):
    if torch is None:
        return None
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1]
    parameters = []
    for part, slope, shape in zip(np.split(p, ends), np.split(g, ends), shapes.values(),
                                  strict=True):
        parameters.append(torch.nn.Parameter(torch.from_numpy(part.reshape(shape).copy())))
        parameters[-1].grad = torch.from_numpy(slope.reshape(shape).copy())
    return getattr(torch.optim, PEERS[method])(parameters, lr=1e-3).step


def measure():
    for width in (64, 256):
        shapes = layer(width)
        rng = np.random.default_rng(0)
        p, g = rng.normal(size=(2, sum(map(math.prod, shapes.values())))).astype(np.float32)
        ours = {method: METHODS[method](Fixed(g, shapes), p.copy())
                for method in ("adam", "sign_descent", "lion", "adafactor", "shampoo", "soap",
                               "muon")}
        for method in ("adafactor", "muon"):
            seconds = race({"ours": ours[method].__next__,
                            "torch": torch_step(method, p, g, shapes)})
            yield from rows(f"{method} step, a layer of width {width}", seconds, BARS[method])
        seconds = race({method: update.__next__ for method, update in ours.items()}, rounds=7)
        adam = seconds.pop("adam")
        for method, took in seconds.items():
            yield row(f"{method} step, a layer of width {width}, against our adam", took, adam)
