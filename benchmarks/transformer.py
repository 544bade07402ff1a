"""The transformer: a step of Adam and a forward pass, against PyTorch and its own products.

    python -m benchmarks transformer
"""

from functools import partial

import numpy as np

from zglearn.models import Transformer
from zglearn.models.training import METHODS

from ._bench import installed, race, row

torch = installed("torch")
SHAPES = {
    "d 64, 2 layers": dict(width=64, heads=4, layers=2),
    "d 128, 2 layers": dict(width=128, heads=4, layers=2),
    "d 128, 4 layers": dict(width=128, heads=4, layers=4),
}


def measure():
    for name, shape in SHAPES.items():
        for batch in (16, 64):
            yield from steps(f"{name}, batch {batch}", Transformer(512, 64, **shape), batch)


def steps(name, model, batch):
    X, y = batch_of(model, batch)
    net = of_torch(model)
    products = Products(model, batch)
    seconds = race({
        "step": adam_step(model, X, y),
        "forward": partial(model.loss_of_checked, model.init(0), X, y),
        "torch": torch_step(net, X, y),
        "torch, fused": torch_step(net, X, y, fused=True),
        "torch, forward": torch_forward(net, X, y),
        "products": products.step,
        "products, forward": products.forward,
    })
    yield row(f"{name}: a step against torch", seconds["step"], seconds["torch"], 0.8)
    yield row(f"{name}: a step against torch, fused Adam", seconds["step"],
              seconds["torch, fused"], 0.8)
    yield row(f"{name}: a step against its products", seconds["step"], seconds["products"], 2.5)
    yield row(f"{name}: forward against torch", seconds["forward"], seconds["torch, forward"], 1.0)
    yield row(f"{name}: forward against its products", seconds["forward"],
              seconds["products, forward"])


def batch_of(model, sequences):
    rng = np.random.default_rng(0)
    shape = sequences, model.context
    return rng.integers(model.classes, size=shape), rng.integers(model.classes, size=shape)


def adam_step(model, X, y):
    p = model.init(0)
    return partial(next, METHODS["adam"](Asked(model, p, X, y), p))


class Asked:
    """The questions of `zglearn.models.training`, without the ledger."""

    lr = 1e-4

    def __init__(self, model, p, X, y):
        self.g = np.empty_like(p)
        self.backprop = partial(model.backprop, model.layers(p), model.layers(self.g), X, y)

    def gradient(self):
        self.backprop()
        return self.g


class Products:
    """The matrix products of a forward pass, and of a pass forward and back."""

    def __init__(self, model, batch):
        rng, T, d = np.random.default_rng(0), model.context, model.width
        normal = partial(rng.standard_normal, dtype=np.float32)
        self.dense = []
        for a, b in [(d, 3 * d), (d, d), (d, 4 * d), (4 * d, d)] * model.depth + [
                (d, model.classes)]:
            A, W, D = normal((batch * T, a)), normal((a, b)), normal((batch * T, b))
            self.dense.append((A, W, D, np.empty_like(A), np.empty_like(W), np.empty_like(D)))
        head = batch, model.heads, T, d // model.heads
        self.heads = [(normal(head), normal(head), np.empty((batch, model.heads, T, T), "f"),
                       np.empty(head, "f")) for _ in range(model.depth)]

    def forward(self):
        for A, W, *_, out in self.dense:
            np.matmul(A, W, out=out)
        for Q, K, S, O in self.heads:
            np.matmul(Q, K.swapaxes(-1, -2), out=S)
            np.matmul(S, K, out=O)

    def step(self):
        self.forward()
        for A, W, D, dA, dW, _ in self.dense:
            np.matmul(A.T, D, out=dW)
            np.matmul(D, W.T, out=dA)
        for Q, K, S, O in self.heads:
            np.matmul(Q, K.swapaxes(-1, -2), out=S)
            np.matmul(S, K, out=O)
            np.matmul(S, K, out=O)
            np.matmul(S.swapaxes(-1, -2), Q, out=O)


def of_torch(model):
    """The same model in PyTorch: a function from codes to scores, and its parameters."""
    if torch is None:
        return None
    nn, f, d = torch.nn, torch.nn.functional, model.width

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
            self.up, self.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)

        def forward(self, H):
            n, T, _ = H.shape
            Q, K, V = (self.qkv(f.rms_norm(H, (d,))).view(n, T, 3, model.heads, -1)
                       .permute(2, 0, 3, 1, 4))
            O = f.scaled_dot_product_attention(Q, K, V, is_causal=True)
            H = H + self.out(O.transpose(1, 2).reshape(n, T, d))
            return H + self.down(torch.relu(self.up(f.rms_norm(H, (d,)))).square())

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.E, self.pos = nn.Embedding(model.classes, d), nn.Embedding(model.context, d)
            self.blocks = nn.Sequential(*(Block() for _ in range(model.depth)))
            self.U = nn.Linear(d, model.classes)

        def forward(self, X):
            H = self.E(X) + self.pos.weight[:X.shape[1]]
            return self.U(f.rms_norm(self.blocks(H), (d,)))

    return Net()


def torch_step(net, X, y, **options):
    if torch is None:
        return None
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, **options)
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(X).flatten(0, 1), y.flatten()).backward()
        optimizer.step()

    return step


def torch_forward(net, X, y):
    if torch is None:
        return None
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def forward():
        with torch.inference_mode():
            return torch.nn.functional.cross_entropy(net(X).flatten(0, 1), y.flatten())

    return forward
