"""Training the MLP: against PyTorch, scikit-learn, and the matrix products alone.

    python -m benchmarks mlp_training

Everyone trains the same network with Adam in float32 on the same data for four epochs, shuffling
included. The floor is the time of the matrix products of those epochs by themselves.
"""

import warnings

import numpy as np
import scipy.sparse as sp

from zglearn.models import MLP, train

from ._bench import installed, jax_adam, race, rows

torch = installed("torch")
jax = installed("jax")
sklearn = installed("sklearn.neural_network")
warnings.filterwarnings("ignore", module="sklearn")  # it would like to train for longer

EPOCHS = 4
NETS = {"small": [100, 64, 6], "large": [300, 128, 64, 8]}
BARS = {  # the most that ours may take, as a share of what the peer takes
    ("small", 32): {"torch": 1 / 5, "its matrix products": 4.5},
    ("small", 128): {"torch": 1 / 3, "its matrix products": 3},
    ("small", 512): {"torch": 1 / 2, "its matrix products": 2.2},
    ("large", 32): {"torch": 1 / 3},
    ("large", 128): {"torch": 1 / 2},
    ("large", 512): {"torch": 1 / 1.2},
}


def measure():
    rng = np.random.default_rng(0)
    for name, sizes in NETS.items():
        X, y = dense(rng, 4096, sizes)
        for batch in (32, 128, 512):
            seconds = race({
                "ours": ours(sizes, X, y, batch),
                "torch": of_torch(sizes, X, y, batch),
                "torch, fused Adam": of_torch(sizes, X, y, batch, fused=True),
                "jax, jit per step": of_jax(sizes, X, y, batch),
                "jax, an epoch in one call": of_jax(sizes, X, y, batch, scan=True),
                "sklearn": of_sklearn(sizes, X, y, batch),
                "its matrix products": products(sizes, X, batch),
            })
            yield from rows(f"{name} MLP, batch {batch}", seconds, BARS[name, batch])
    yield from sparse(rng)


def dense(rng, examples, sizes):
    X = rng.normal(size=(examples, sizes[0])).astype(np.float32)
    return X, rng.integers(sizes[-1], size=examples)


def ours(sizes, X, y, batch):
    model = MLP(sizes, "relu")
    p = model.init(np.random.default_rng(0))
    return lambda: train(model, "adam", (X, y), p=p, lr=1e-3, epochs=EPOCHS, batch_size=batch)


def of_torch(sizes, X, y, batch, **options):
    if torch is None:
        return None
    layers = [layer for a, b in zip(sizes, sizes[1:], strict=False)
              for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())][:-1]
    model, loss = torch.nn.Sequential(*layers), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **options)
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def epochs():
        for _ in range(EPOCHS):
            for chosen in torch.randperm(len(X)).split(batch):
                optimizer.zero_grad()
                loss(model(X[chosen]), y[chosen]).backward()
                optimizer.step()

    return epochs


def of_jax(sizes, X, y, batch, scan=False):
    if jax is None:
        return None
    jnp, rng = jax.numpy, np.random.default_rng(0)
    layers = [(jnp.array(rng.normal(size=s) / s[0] ** 0.5, dtype=np.float32), jnp.zeros(s[1]))
              for s in zip(sizes, sizes[1:], strict=False)]

    def loss(layers, X, y):
        for W, b in layers[:-1]:
            X = jax.nn.relu(X @ W + b)
        W, b = layers[-1]
        return -jax.nn.log_softmax(X @ W + b)[jnp.arange(len(y)), y].mean()

    state, step = jax_adam(jax, loss, layers, lr=1e-3)

    @jax.jit
    def epoch(state, X, y, batches):
        return jax.lax.scan(lambda s, rows: (step(s, X[rows], y[rows]), None), state, batches)[0]

    def epochs():
        s = state
        for _ in range(EPOCHS):
            batches = rng.permutation(len(X)).reshape(-1, batch)
            if scan:
                s = epoch(s, X, y, batches)
            else:
                for rows in batches:
                    s = step(s, X[rows], y[rows])
        jax.block_until_ready(s)

    return epochs


def of_sklearn(sizes, X, y, batch):
    if sklearn is None:
        return None
    model = sklearn.MLPClassifier(sizes[1:-1], batch_size=batch, max_iter=EPOCHS, tol=0,
                                  random_state=0)
    return lambda: model.fit(X, y)


def products(sizes, X, batch):
    """The products alone: forward, gradients of the weights, and back to all but the data."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s).astype(np.float32) for s in zip(sizes, sizes[1:], strict=False)]
    at = [rng.normal(size=(batch, n)).astype(np.float32) for n in sizes]
    out = [np.empty_like(a) for a in at]
    g = [np.empty_like(W) for W in weights]

    def epochs():
        for _ in range(EPOCHS * X.shape[0] // batch):
            for l, W in enumerate(weights):
                np.matmul(at[l], W, out=out[l + 1])
            for l, W in reversed(list(enumerate(weights))):
                np.matmul(at[l].T, at[l + 1], out=g[l])
                if l:
                    np.matmul(at[l + 1], W.T, out=out[l])

    return epochs


def sparse(rng):
    """Input with 43 terms in a row, as the course's TF-IDF has."""
    for terms, batch in ((2000, 32), (10_000, 32), (10_000, 128)):
        X = sp.random(4096, terms, density=43 / terms, format="csr", dtype=np.float32, rng=rng)
        y = rng.integers(4, size=4096)
        seconds = race({"ours": ours([terms, 64, 4], X, y, batch),
                        "sklearn": of_sklearn([terms, 64, 4], X, y, batch)}, rounds=7)
        yield from rows(f"sparse input, {terms:,} terms, batch {batch}", seconds,
                        {"sklearn": 1 / 2})

