"""Chapter 12's trainings: distillation at equal cost, and fine-tuning with a small state.

"plain" and "distilled" train a model of the shape of "mini" from a random start, the second with
"main" as its teacher. "full", "LoRA" and "GaLore" fine-tune the twelve inner matrices of "main" on
the documentation of matplotlib, by Adam. Settings are chosen with seed 9 on one half of the
held-out text; the other seeds are reported, on the other half.
"""

from __future__ import annotations

import functools

import numpy as np

from ..compression import inner_matrices
from ..data import load_byte_pairs, load_documentation
from ..models import Transformer, pretrained, sequences
from ..models.pretraining import manifest
from ..models.training import adam_step
from ..models.transformer import losses_in_place, scores, scores_backward

BETA2, WARM_UP, REFRESH = 0.99, 20, 25
DISTILLED, PLAIN, FINE_TUNING = 400, 1454, 100  # steps; the first two cost the same
TUNING_SEED, SEEDS = 9, range(5)

RATES = {"plain": (0.0035, 0.005, 0.007, 0.01, 0.014, 0.02, 0.028, 0.04, 0.056, 0.08),
         "distilled": (0.005, 0.01, 0.02, 0.04, 0.08),
         "full": (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016),
         "LoRA": (0.005, 0.01, 0.02, 0.04, 0.08, 0.16),
         "GaLore": (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)}
WAYS = [{"way": "plain", "steps": PLAIN}, {"way": "plain", "steps": DISTILLED},
        {"way": "distilled", "steps": DISTILLED, "mix": 0.5},
        {"way": "distilled", "steps": DISTILLED, "mix": 1.0},
        {"way": "full", "steps": FINE_TUNING},
        *({"way": way, "steps": FINE_TUNING, "rank": rank} for way in ("LoRA", "GaLore")
          for rank in (4, 16))]
CHOSEN = [way | {"lr": lr} for way, lr in zip(
    [*WAYS[:2], *WAYS[3:]], (0.02, 0.02, 0.04, 0.001, 0.02, 0.02, 0.004, 0.002), strict=True)]
SETTINGS = [*(way | {"lr": lr, "seed": TUNING_SEED} for way in WAYS for lr in RATES[way["way"]]),
            *(way | {"seed": seed} for way in CHOSEN for seed in SEEDS)]
CHECK = next(i for i, setting in enumerate(SETTINGS) if setting["way"] == "GaLore")


def run(way, steps, lr, seed, mix=0.0, rank=0) -> dict:
    """One training; its losses on the text to choose on and on the text to report."""
    if way in ("plain", "distilled"):
        model = Transformer(**manifest("mini")["model"])
        p, size, texts = model.init(seed), 16, text(None, model.context)
        step = Adam(p)
    else:
        model, p = pretrained("main")
        size, texts = 4, text("matplotlib", model.context)
        step = Inner(model, p, {"full": Adam, "LoRA": LoRA, "GaLore": GaLore}[way], rank, seed)
    (X, y), to_choose, to_report = texts
    rng = np.random.default_rng(seed)
    for t in range(1, steps + 1):
        rows = rng.integers(len(X), size=size)
        g = gradient(model, p, X[rows], y[rows], mix)
        step(g, t, lr * min(1, t / WARM_UP, (steps - t + 1) / (steps - WARM_UP)))
    return {"validation": model.loss(p, *to_choose), "test": model.loss(p, *to_report)}


@functools.cache
def text(domain, length):
    """Sequences to train on, to choose on and to report on, as pairs (X, y)."""
    docs = load_documentation(domain, without=None if domain else "matplotlib")
    symbols = load_byte_pairs()
    train, held_out = (symbols.encode_texts(part).astype(np.intp)
                       for part in (docs.train, docs.validation))
    X, y = sequences(held_out, length)
    mixed = np.random.default_rng(0).permutation(len(X))[:2**14 // length]
    return sequences(train, length), *((X[half], y[half]) for half in np.array_split(mixed, 2))


def multiplications(model, T) -> int:
    """In a pass forward, for each position of a sequence of T; a pass back costs twice as many."""
    attention = model.depth * T * model.width  # two products, one half of each masked
    return 12 * model.depth * model.width**2 + model.width * model.classes + attention


# --- distillation ----------------------------------------------------------------------------

def gradient(model, p, X, y, mix=0.0):
    """The gradient of the cross-entropy with the targets (1 - mix) · one-hot + mix · the teacher's
    probabilities (Hinton, Vinyals and Dean 2015, at a temperature of 1)."""
    if not mix:
        return model.gradient(p, X, y)
    g, kept = np.empty_like(p), []
    layers, slopes = model.layers(p), model.layers(g)
    *_, U, c = layers
    N = model.read(layers, X, kept)
    D = softmax(scores(N, U, c), y) - mix * softmax(teacher(X), y)
    D[y.ravel(), np.arange(y.size)] -= 1 - mix
    dN = scores_backward(D / y.size, N, U, *slopes[3:])
    model.way_back(layers, slopes, X, dN, kept)
    return g


def teacher(X):
    model, p = _main()
    return model.logits(p, X)


_main = functools.cache(lambda: pretrained("main"))


def softmax(Z, y):
    _, total = losses_in_place(Z, y.ravel())  # which makes exponentials of Z
    Z /= total
    return Z


# --- a small state ---------------------------------------------------------------------------

class Adam:
    """Adam on the array W, in place."""

    def __init__(self, W, rank=0, seed=0):
        self.W, self.m, self.v = W, np.zeros_like(W), np.zeros_like(W)

    def __call__(self, dW, t, lr):
        adam_step(self.W, dW.copy(), self.m, self.v, t, lr, beta2=BETA2)


class LoRA:
    """W = W₀ + A B / r, with Adam on A and B alone (Hu et al. 2022)."""

    def __init__(self, W, rank, seed):
        A = np.random.default_rng(seed).normal(size=(len(W), rank)) / np.sqrt(len(W))
        self.W, self.W0, self.rank = W, W.copy(), rank
        self.A, self.B = Adam(A.astype(W.dtype)), Adam(np.zeros((rank, W.shape[1]), W.dtype))

    def __call__(self, dW, t, lr):
        A, B = self.A.W, self.B.W
        dA, dB = dW @ B.T / self.rank, A.T @ dW / self.rank
        self.A(dA, t, lr)
        self.B(dB, t, lr)
        self.W[:] = self.W0 + A @ B / self.rank


class GaLore:
    """Adam on Pᵀ dW, where P are the leading singular vectors of dW on its shorter side, taken
    anew every `REFRESH` steps (Zhao et al. 2024)."""

    def __init__(self, W, rank, seed):
        self.turned = W.shape[0] > W.shape[1]
        self.W, self.rank = (W.T if self.turned else W), rank
        self.step = Adam(np.zeros((rank, max(W.shape)), W.dtype))

    def __call__(self, dW, t, lr):
        dW = dW.T if self.turned else dW
        if (t - 1) % REFRESH == 0:
            self.P = np.linalg.eigh(dW @ dW.T)[1][:, -self.rank:]
        self.step.W[:] = 0
        self.step(self.P.T @ dW, t, lr)
        self.W += self.P @ self.step.W


class Inner:
    """One way to train, for each of the inner matrices; all else is frozen."""

    def __init__(self, model, p, way, rank, seed):
        names, self.model = inner_matrices(model), model
        self.ways = {name: way(W, rank, [seed, i])
                     for i, (name, W) in enumerate(zip(model.shapes, model.unpack(p), strict=True))
                     if name in names}

    def __call__(self, g, t, lr):
        for name, dW in zip(self.model.shapes, self.model.unpack(g), strict=True):
            if name in self.ways:
                self.ways[name](dW, t, lr)
