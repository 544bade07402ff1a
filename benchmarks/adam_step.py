"""One step of Adam in place, against torch.optim.Adam and against what memory allows.

    python -m benchmarks adam_step

A step reads p, g, m and v and writes p, m and v: 7 streams through memory, where p += g has 3. So
7/3 of the time of p += g is a floor that only a compiled, fused loop can come near to. NumPy makes
ten passes, in cache; one of them, the square root, takes half as long as PyTorch's whole fused
step. Smaller blocks, views made beforehand and constants as arrays were tried: they gain nothing.
"""


import numpy as np

from zglearn.gradient_methods import adam
from zglearn.models.training import METHODS

from ._bench import installed, race, row, rows

torch = installed("torch")
BARS = {10_000: {"torch": 1 / 2}, 10_000_000: {"torch": 1 / 2}}
FLOOR_BAR = {10_000_000: 4}


class Fixed:
    """An objective that always answers with the same gradient."""

    def __init__(self, g):
        self.g, self.lr, self.memory = g, 1e-3, {}
        self.buffer = g.copy()

    def gradient(self):
        self.buffer[:] = self.g  # the step in place spends its gradient: the copy is part of it
        return self.buffer

    def grad(self, x):
        return self.g


def torch_step(p, g, **options):
    if torch is None:
        return None
    parameter = torch.nn.Parameter(torch.from_numpy(p.copy()))
    parameter.grad = torch.from_numpy(g.copy())
    return torch.optim.Adam([parameter], lr=1e-3, **options).step


def measure():
    for size in (10_000, 1_000_000, 10_000_000):
        rng = np.random.default_rng(0)
        p, g = rng.normal(size=(2, size)).astype(np.float32)
        in_place = METHODS["adam"](Fixed(g), p.copy())
        shown = adam(Fixed(g), p.copy(), lr=1e-3)
        a, b = p.copy(), g.copy()
        seconds = race({
            "ours": lambda it=in_place: next(it),
            "torch": torch_step(p, g),
            "torch, fused": torch_step(p, g, fused=True),
            "the generator of chapter 07": lambda it=shown: next(it),
            "p += g": lambda a=a, b=b: np.add(a, b, out=a),
        })
        floor = [7 / 3 * s for s in seconds.pop("p += g")]
        yield from rows(f"Adam step, {size:,} parameters", seconds, BARS.get(size))
        yield row(f"Adam step, {size:,} parameters, against the memory floor", seconds["ours"],
                  floor, FLOOR_BAR.get(size))
