"""The transformer: a training step, a forward pass, a population and generation.

    python -m benchmarks transformer

A step is forward, back and Adam. PyTorch (eager; its own Adam and the fused one) and JAX (jit for
each step) train the same model on the same batch. The products are the matrix products of a step
alone, those of the attention over all pairs of positions: NumPy's and PyTorch's are the same, made
by different libraries (OpenBLAS and MKL), and what these differ by no code of ours can win back.
"""

from functools import partial

import numpy as np

from zglearn.models import Transformer, pretrained
from zglearn.models.rank_one import RankOneNoise
from zglearn.models.training import METHODS

from ._bench import installed, jax_adam, race, row

torch = installed("torch")
jax = installed("jax")
SHAPES = {
    "d 64, 2 layers, 32 symbols": dict(classes=32, width=64, layers=2),
    "d 64, 2 layers": dict(classes=512, width=64, layers=2),
    "d 128, 2 layers": dict(classes=512, width=128, layers=2),
}
MEMBERS = 32


def measure():
    for name, shape in SHAPES.items():
        for batch in (16, 64):
            yield from steps(f"{name}, batch {batch}", Transformer(context=64, **shape), batch)
    for name in ("d 64, 2 layers", "d 128, 2 layers"):
        for own in (1, 4):
            yield population(name, Transformer(context=64, **SHAPES[name]), own)
    yield from generation()


def steps(name, model, batch):
    X, y = batch_of(model, batch)
    net, products = of_torch(model), Products(model, batch)
    theirs = torch and Products(model, batch, torch.matmul, torch.from_numpy)
    seconds = race({
        "step": adam_step(model, X, y),
        "forward": partial(model.loss_of_checked, model.init(0), X, y),
        "torch": torch_step(net, X, y),
        "torch, fused": torch_step(net, X, y, fused=True),
        "torch, forward": torch_forward(net, X, y),
        "jax": jax_step(model, X, y),
        "products": products.step,
        "products, forward": products.forward,
        "torch, products": theirs and theirs.step,
        "torch, products, forward": theirs and theirs.forward,
    })
    yield row(f"{name}: a step against torch", seconds["step"], seconds["torch"], 0.8)
    yield row(f"{name}: a step against torch, fused Adam", seconds["step"],
              seconds["torch, fused"], 0.8)
    yield row(f"{name}: a step against jax, jit per step", seconds["step"], seconds["jax"], 1.0)
    yield row(f"{name}: a step against its products", seconds["step"], seconds["products"], 2.5)
    yield row(f"{name}: its products against torch's", seconds["products"],
              seconds["torch, products"])
    lent = with_their_products(seconds, "step", "products", "torch, products")
    yield row(f"{name}: a step with torch's products, against torch", lent, seconds["torch"])
    yield row(f"{name}: a step with torch's products, against torch, fused Adam", lent,
              seconds["torch, fused"])
    yield row(f"{name}: forward against torch", seconds["forward"], seconds["torch, forward"], 1.0)
    yield row(f"{name}: forward against its products", seconds["forward"],
              seconds["products, forward"])
    lent = with_their_products(seconds, "forward", "products, forward", "torch, products, forward")
    yield row(f"{name}: forward with torch's products, against torch", lent,
              seconds["torch, forward"])


def with_their_products(seconds, what, ours, theirs):
    """What our work would take, were our matrix products as fast as theirs."""
    return [a - b + c for a, b, c in zip(seconds[what], seconds[ours], seconds[theirs],
                                         strict=False)]


def population(name, model, own):
    """Members that differ by noise of rank one, each with sequences of its own, against one
    forward pass of as many sequences."""
    p, noise = model.init(0), RankOneNoise(model)
    Z, (X, y) = noise.draw(0, MEMBERS), batch_of(model, MEMBERS * own)
    shape = MEMBERS, own, model.context
    seconds = race({
        "population": partial(noise.losses, p, Z, X.reshape(shape), y.reshape(shape), 0.01),
        "forward": partial(model.loss, p, X, y)})
    return row(f"{name}: a population of {MEMBERS}, {own} each, against one forward",
               seconds["population"], seconds["forward"], 1.3)


def generation(length=200):
    """The shipped main model: a text, several at once, and a step of fine-tuning."""
    model, p = pretrained("main")
    X, y = batch_of(model, 16, positions=64)
    seconds = race({
        "text": partial(model.generate, p, 0, length=length),
        "texts": partial(model.generate, p, 0, np.zeros((16, 1), int), length),
        "step": adam_step(model, X, y),
        "load": partial(pretrained, "main"),
    })
    for what, bar in (("text", 2), ("texts", None), ("step", 0.05), ("load", 0.5)):
        one = [1.0] * len(seconds[what])
        name = {"text": f"{length} symbols", "texts": f"16 texts of {length} symbols",
                "step": "a step on 16 sequences of 64", "load": "to load it"}[what]
        yield row(f"the main model: {name}, in seconds", seconds[what], one, bar)


def batch_of(model, sequences, positions=None):
    rng, shape = np.random.default_rng(0), (sequences, positions or model.context)
    return rng.integers(model.classes, size=shape), rng.integers(model.classes, size=shape)


def adam_step(model, X, y):
    p = model.init(0)
    return partial(next, METHODS["adam"](Asked(model, p, X, y), p))


class Asked:
    """The questions of `zglearn.models.training`, without the ledger."""

    lr = 1e-4

    def __init__(self, model, p, X, y):
        self.g, self.memory = np.empty_like(p), {}
        self.backprop = partial(model.backprop, model.layers(p), model.layers(self.g), X, y)

    def gradient(self):
        self.backprop()
        return self.g


class Products:
    """The matrix products of a forward pass, and of a pass forward and back, as `matmul` of a
    library makes them; ``of`` gives its array of one of NumPy's."""

    def __init__(self, model, batch, matmul=np.matmul, of=np.asarray):
        rng, T, d = np.random.default_rng(0), model.context, model.width
        self.matmul, self.dense, self.heads = matmul, [], []

        def normal(shape):
            return of(rng.standard_normal(shape, dtype=np.float32))

        for a, b in [(d, 3 * d), (d, d), (d, 4 * d), (4 * d, d)] * model.depth + [
                (d, model.classes)]:
            shapes = (batch * T, a), (a, b), (batch * T, b)
            self.dense.append([normal(shape) for shape in shapes * 2])
        head = batch, model.heads, T, d // model.heads
        for _ in range(model.depth):
            self.heads.append([normal(shape) for shape in (head, head, (*head[:3], T), head)])

    def forward(self):
        for A, W, *_, out in self.dense:
            self.matmul(A, W, out=out)
        for Q, K, S, O in self.heads:
            self.matmul(Q, K.swapaxes(-1, -2), out=S)
            self.matmul(S, K, out=O)

    def step(self):
        self.forward()
        for A, W, D, dA, dW, _ in self.dense:
            self.matmul(A.T, D, out=dW)
            self.matmul(D, W.T, out=dA)
        for Q, K, S, O in self.heads:
            self.matmul(Q, K.swapaxes(-1, -2), out=S)
            self.matmul(S, K, out=O)
            self.matmul(S, K, out=O)
            self.matmul(S.swapaxes(-1, -2), Q, out=O)


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


def jax_step(model, X, y):
    if jax is None:
        return None
    jnp = jax.numpy
    names = list(model.shapes)
    p = dict(zip(names, map(jnp.array, model.unpack(model.init(0))), strict=True))
    future = jnp.triu(jnp.full((model.context, model.context), -jnp.inf), 1)

    def norm(H):
        return H * jax.lax.rsqrt((H * H).mean(axis=-1, keepdims=True) + 1e-6)

    def loss(p, X, y):
        n, T = X.shape
        H = p["E"][X] + p["pos"][:T]
        for l in range(1, model.depth + 1):
            QKV = (norm(H) @ p[f"qkv{l}"]).reshape(n, T, 3, model.heads, -1)
            Q, K, V = QKV.transpose(2, 0, 3, 1, 4)
            S = Q @ K.swapaxes(-1, -2) / Q.shape[-1] ** 0.5 + future
            O = jax.nn.softmax(S) @ V
            H += O.swapaxes(1, 2).reshape(n, T, -1) @ p[f"out{l}"]
            H += jax.nn.relu(norm(H) @ p[f"up{l}"]) ** 2 @ p[f"down{l}"]
        log_q = jax.nn.log_softmax(norm(H) @ p["U"] + p["c"])
        return -jnp.take_along_axis(log_q, y[..., None], axis=-1).mean()

    state, step = jax_adam(jax, loss, p, lr=1e-4)
    X, y = jnp.array(X), jnp.array(y)

    def one():
        nonlocal state
        state = jax.block_until_ready(step(state, X, y))

    return one
