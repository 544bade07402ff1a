"""The language model: what a step of MeZO and of Adam costs, in time and in memory.

    python -m benchmarks language_model

The forward pass and the matrix products are those of one batch; a step of MeZO needs two forward
passes, so 2 is its floor. The bar is for the batch that the course trains with, 256; on smaller
ones, drawing the noise weighs more. PyTorch trains the same model on the same batch.
"""

import tracemalloc
from functools import partial

import numpy as np

from zglearn.models import LanguageModel, train
from zglearn.models.pretraining import MODELS
from zglearn.models.training import METHODS

from ._bench import Row, installed, race, row

torch = installed("torch")
SHAPES = {name: shape for name, (shape, _) in MODELS.items()}
GROWTH = [  # from ten thousand parameters to ten million
    dict(context=8, embedding=12, hidden=70),
    dict(context=12, embedding=16, hidden=180, residual=2),
    dict(context=16, embedding=32, hidden=600, residual=2),
    dict(context=16, embedding=64, hidden=1980, residual=2),
]


def measure():
    for name, shape in SHAPES.items():
        for batch in (64, 256):
            yield from steps(f"{name} model, batch {batch}", shape, batch,
                             mezo_bar=2.9 if batch == 256 else None, torch_bar=1.15)
    yield from memory()


def steps(name, shape, batch, mezo_bar=None, torch_bar=None):
    model = LanguageModel(**shape)
    X, y = batch_of(model, batch)
    seconds = race({
        "Adam": adam_step(model, X, y),
        "MeZO, signs": mezo_step(model, X, y, "rademacher"),
        "MeZO, Gaussian": mezo_step(model, X, y, "gaussian"),
        "forward": partial(model.loss_of_checked, model.init(0), X, y),
        "products": products(model, batch),
        "torch": of_torch(model, X, y),
    })
    for method, bar in (("MeZO, signs", mezo_bar), ("MeZO, Gaussian", None), ("Adam", None)):
        yield row(f"{name}: a step of {method} in forward passes", seconds[method],
                  seconds["forward"], bar)
    yield row(f"{name}: a forward pass against its products", seconds["forward"],
              seconds["products"])
    yield row(f"{name}: a step of Adam against torch", seconds["Adam"], seconds["torch"],
              torch_bar)


def batch_of(model, examples):
    rng = np.random.default_rng(0)
    X = rng.integers(model.classes, size=(examples, model.context), dtype=np.uint8)
    return X, rng.integers(model.classes, size=examples)


def adam_step(model, X, y):
    p = model.init(0)
    return partial(next, METHODS["adam"](Asked(model, p, X, y), p))


def mezo_step(model, X, y, noise):
    p, rng = model.init(0), np.random.default_rng(0)
    return partial(next, METHODS["mezo"](Asked(model, p, X, y), p, rng, noise=noise))


class Asked:
    """The questions of `zglearn.models.training`, without the ledger."""

    lr, part = 1e-4, None

    def __init__(self, model, p, X, y):
        self.g, self.memory = np.empty_like(p), {}
        self.loss = partial(model.loss_of_checked, p, X, y)
        self.backprop = partial(model.backprop, model.layers(p), model.layers(self.g), X, y)

    def gradient(self):
        self.backprop()
        return self.g


def products(model, batch):
    """The matrix products of one forward pass."""
    sizes = [model.context * model.embedding] + [model.hidden] * (model.residual + 1)
    sizes.append(model.classes)
    rng = np.random.default_rng(0)
    factors = [(rng.normal(size=(batch, a)).astype(np.float32),
                rng.normal(size=(a, b)).astype(np.float32), np.empty((batch, b), np.float32))
               for a, b in zip(sizes, sizes[1:], strict=False)]

    def forward():
        for A, W, out in factors:
            np.matmul(A, W, out=out)

    return forward


def of_torch(model, X, y):
    if torch is None:
        return None
    nn = torch.nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(model.hidden, model.hidden)

        def forward(self, H):
            return H + torch.tanh(self.inner(H))

    net = nn.Sequential(nn.Embedding(model.classes, model.embedding), nn.Flatten(),
                        nn.Linear(model.context * model.embedding, model.hidden), nn.Tanh(),
                        *(Residual() for _ in range(model.residual)),
                        nn.Linear(model.hidden, model.classes))
    loss, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters(), lr=1e-4)
    X, y = torch.from_numpy(X.astype(np.int64)), torch.from_numpy(y)

    def step():
        optimizer.zero_grad()
        loss(net(X), y).backward()
        optimizer.step()

    return step


def memory(batch=16):
    """Peak bytes that a training allocates beside the data, MeZO against Adam."""
    model, rng = LanguageModel(**SHAPES["small"]), np.random.default_rng(0)
    X, y = rng.integers(32, size=(batch, model.context)), rng.integers(32, size=batch)
    p, peaks = model.init(rng), {}
    for method in ("mezo", "adam"):
        train(model, method, (X, y), p=p, lr=1e-4, steps=2, batch_size=batch)
        tracemalloc.start()
        train(model, method, (X, y), p=p, lr=1e-4, steps=2, batch_size=batch)
        peaks[method] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    yield Row("peak memory of a training in bytes, MeZO against Adam", peaks["mezo"],
              peaks["adam"], peaks["mezo"] / peaks["adam"])
