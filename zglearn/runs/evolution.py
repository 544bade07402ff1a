"""Chapter 15: evolution strategies on the small transformer, which see nothing but losses.

The task is to read documentation in capitals, of which the model has hardly seen any. What a
method has to choose is tuned on one seed and one part of the held-out text, in as many trials as
its rivals have; what is reported comes from other seeds and another part.
"""

from functools import cache

import numpy as np

from .. import Objective
from .. import run as run_method
from ..data import load_byte_pairs, load_documentation
from ..experiments import geometric, tune
from ..gradient_free_methods import cma_es, evolution_strategy, random_search, sep_cma_es
from ..gradient_methods import adam
from ..models import RankOneNoise, Transformer, pretrained, sequences, train
from ..models.transformer import losses_in_place, scores

LENGTH, BATCH = 16, 8      # symbols of a sequence, sequences of a loss
BUDGET, POPULATION = 3200, 32  # losses of a run, and of a generation
TRIALS, TUNING_SEED, SEEDS = 13, 100, range(5)
SHAPES = {"ranks": lambda F: F.argsort().argsort() - (len(F) - 1) / 2, "losses": lambda F: F}
VARIANTS = {f"{sides}, {shape}": {"pairs": sides == "pairs", "shape": shape}
            for sides in ("pairs", "singles") for shape in SHAPES}
# for each σ the rate that was the best of 0.002, 0.006 and 0.018 in the trials of both sides
RATES = dict(zip(np.geomspace(0.0003, 0.03, 5), (0.006, 0.006, 0.006, 0.006, 0.002), strict=True))
VECTORS, FEW = 2, 32       # of the prefix; sequences that steer a prefix or a merger
MOST = 1500                # forward-equivalents of a prefix
PREFIX = {"CMA-ES": (cma_es, {"sigma": geometric(0.01, 1, 5)}),
          "separable": (sep_cma_es, {"sigma": geometric(0.01, 1, 5)}),
          "round": (evolution_strategy, {"lr": geometric(0.01, 1, 5)}),
          "Adam": (adam, {"lr": geometric(0.001, 0.1, 5)})}
FIXED = {"neither": (0, 0), "capitals alone": (1, 0), "Matplotlib alone": (0, 1),
         "mean": (0.5, 0.5)}
MERGED = {"two numbers": {"sigma": geometric(0.05, 0.5, 3)},
          "all numbers": {"sigma": geometric(0.05, 0.5, 3)},
          "random search": {"radius": geometric(0.1, 1, 3)},
          "turned": {"sigma": geometric(0.05, 0.5, 3)},
          "Adam": {"lr": geometric(0.00003, 0.003, 3)}}
MERGE_BUDGET = 600  # forward-equivalents

SETTINGS = [
    *({"what": "merge", "how": how} for how in (*FIXED, *MERGED)),
    *({"what": "strategy", "variant": name} for name in VARIANTS),
    *({"what": "sigmas", "sides": sides} for sides in ("pairs", "singles")),
    *({"what": "prefix", "method": method} for method in PREFIX),
]
CHECK = SETTINGS.index({"what": "merge", "how": "mean"})
TOLERANCE = 0.03


def run(what, **setting) -> dict:
    return {"strategy": strategy, "sigmas": sigmas, "prefix": prefix, "merge": merge}[what](
        **setting)


# --- the task --------------------------------------------------------------------------------

@cache
def capitals(library="home"):
    """Sequences of documentation in capitals: to train on, to tune and to report. "home" is what
    the model was trained on in its usual letters, "matplotlib" what it has never read."""
    return texts(library, str.upper)


@cache
def texts(library, letters=str):
    """The same in other letters."""
    docs = load_documentation(**({"without": "matplotlib"} if library == "home"
                                 else {"domain": library}))
    every = {"home": (40, 20), "matplotlib": (5, 5)}[library]
    X, V = (sequences(load_byte_pairs().encode_texts(map(letters, part)).astype(int), LENGTH)
            for part in (docs.train[::every[0]], docs.validation[::every[1]]))
    order = np.random.default_rng(0).permutation(len(V[0]))
    return X, *([a[order[rows]] for a in V] for rows in (slice(0, 200), slice(200, 500)))


# --- the strategy ----------------------------------------------------------------------------

def direction(noise, p, rng, X, y, *, sigma, pairs=True, shape="ranks"):
    """Noise weighted by losses, (size,): by what is left of them after `shape`, over their
    spread."""
    Z = noise.draw(rng, POPULATION // 2 if pairs else POPULATION)
    F = np.concatenate([noise.losses(p, Z, X, y, sign * sigma)
                        for sign in ((1, -1) if pairs else (1,))])
    w = SHAPES[shape](F)
    w = (w - w.mean()) / (w.std() or 1)
    return noise.combine((w[:len(Z)] - w[len(Z):] if pairs else w) / POPULATION, Z)


def fit(seed, lr, sigma, **how):
    """The weights after the strategy has asked `BUDGET` losses; each generation has a batch of
    its own, the same for all of its members."""
    model, p = pretrained("mini")
    noise, (X, y), rng = RankOneNoise(model), capitals()[0], np.random.default_rng(seed)
    for _ in range(BUDGET // POPULATION):
        rows = rng.integers(len(X), size=BATCH)
        p = p - lr * direction(noise, p, rng, X[rows], y[rows], sigma=sigma, **how)
    return p


def strategy(variant):
    how = VARIANTS[variant]
    knobs = {"lr": geometric(0.002, 0.018, 3), "sigma": geometric(0.003, 0.03, 3)}
    model = pretrained("mini")[0]
    _, tuning, reporting = capitals()
    found = tune(lambda _, **settings: model.loss(fit(TUNING_SEED, **settings, **how), *tuning),
                 {"strategy": knobs}, trials=TRIALS)["strategy"]
    return {"settings": found.settings, "trials": told(found),
            "losses": [model.loss(fit(seed, **found.settings, **how), *reporting)
                       for seed in SEEDS]}


def sigmas(sides):
    """What each σ leads to, with ranks: a row of losses for each, (σ, seeds)."""
    model, (*_, reporting) = pretrained("mini")[0], capitals()
    return {"sigmas": list(RATES), "rates": list(RATES.values()),
            "losses": [[model.loss(fit(seed, lr, sigma, pairs=sides == "pairs"), *reporting)
                        for seed in SEEDS] for sigma, lr in RATES.items()]}


def told(found):
    """The trials of a contender, each with its settings and its loss."""
    return [trial.settings | {"loss": trial.loss} for trial in found.trials]


# --- a prefix --------------------------------------------------------------------------------

def prefix_losses(P, X, y):
    """The losses (members,) of the small model where each member has vectors of its own, P
    (members, vectors · width), before the embeddings of the sequences X."""
    model, p = pretrained("mini")
    E, pos, blocks, U, c = model.layers(p)
    P = np.reshape(P, (len(P), 1, -1, model.width)).astype(model.dtype)
    texts = np.broadcast_to(E[X] + pos[:X.shape[1]], (len(P), *X.shape, model.width))
    vectors = np.broadcast_to(P, (len(P), len(X), *P.shape[2:]))
    H = np.concatenate([vectors, texts], axis=2)
    N = model.states(blocks, H.reshape(-1, *H.shape[2:])).reshape(H.shape)[:, :, P.shape[2]:]
    Y = np.broadcast_to(y, (len(P), *y.shape))
    L, _ = losses_in_place(scores(N.reshape(-1, model.width), U, c), Y.ravel())
    return L.reshape(len(P), -1).mean(axis=1).astype(float)


@cache
def with_prefix():
    """The model with symbols and places for the prefix, which it never predicts. Its embedding of
    these is the prefix, so that backpropagation knows the gradient."""
    small, p = pretrained("mini")
    model = Transformer(small.classes + VECTORS, small.context + VECTORS, small.width, small.heads,
                        small.depth, dtype=float)
    q = np.zeros(model.size)
    for (name, new), old in zip(zip(model.shapes, model.unpack(q), strict=True), small.unpack(p),
                                strict=True):
        if name == "pos":
            new[VECTORS:] = old
        else:
            new[tuple(map(slice, old.shape))] = old
    model.unpack(q)[-1][small.classes:] = -100
    return model, q, slice(small.classes * small.width, model.classes * model.width)


def prefix_gradient(x, X, y):
    """The gradient of the prefix's loss: of all places, less those in the prefix, which see
    nothing but the prefix."""
    model, q, part = with_prefix()
    q = q.copy()
    q[part] = x
    vectors = np.tile(np.arange(model.classes - VECTORS, model.classes), (len(X), 1))
    nothing, length = np.zeros_like(vectors), X.shape[1]
    whole = model.gradient(q, np.hstack([vectors, X]), np.hstack([nothing, y]))[part]
    own = model.gradient(q, vectors, nothing)[part]
    return ((VECTORS + length) * whole - VECTORS * own) / length


def prefix_path(seed, method, **settings):
    """A prefix tuned on a few sequences of its own, from small random vectors."""
    (X, y), *_ = capitals()
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(X), size=FEW, replace=False)
    x0 = 0.1 * rng.standard_normal(VECTORS * 48)
    f = Objective(lambda P: prefix_losses(P, X[rows], y[rows]) if P.ndim == 2
                  else prefix_losses(P[None], X[rows], y[rows])[0],
                  lambda x: prefix_gradient(x, X[rows], y[rows]), batched=True)
    more = {"population": 20, "sigma": 0.1} if method == "round" else {}
    return run_method(PREFIX[method][0], f, x0, seed=seed, budget=MOST, **more,
                      **settings)


def prefix(method):
    _, tuning, reporting = capitals()

    def loss(_, **settings):
        return prefix_losses([prefix_path(TUNING_SEED, method, **settings).points[-1]],
                             *tuning)

    found = tune(loss, {method: PREFIX[method][1]}, trials=9)[method]
    paths = [prefix_path(seed, method, **found.settings) for seed in SEEDS]
    marks = np.unique(np.geomspace(10, paths[0].forward_equivalents[-1], 25).astype(int))
    return {"settings": found.settings, "trials": told(found),
            "costs": marks, "curves": [np.interp(marks, path.forward_equivalents, path.losses)
                                       for path in paths],
            "losses": [prefix_losses([path.points[-1]], *reporting)[0] for path in paths]}


# --- two checkpoints -------------------------------------------------------------------------

@cache
def checkpoints(seed):
    """The small model after learning capitals, and after learning Matplotlib: (size,) each."""
    model, p = pretrained("mini")
    return tuple(train(model, "adamw", data, p=p, seed=seed, lr=0.003, batch_size=16, steps=200,
                       schedule="linear").p
                 for data in (capitals()[0], texts("matplotlib")[0]))


def turned(model, p, seed):
    """The same function with the axes of the space between the layers turned."""
    A = np.linalg.qr(np.random.default_rng(seed).normal(size=(model.width, model.width)))[0]
    q = p.copy()
    for (name, part), W in zip(model.parts.items(), model.unpack(p), strict=True):
        if name.startswith(("qkv", "up", "U")):  # they read from it
            q[part] = (A.T @ W).ravel()
        elif name != "c":                        # they write into it
            q[part] = (W @ A).ravel()
    return q


def merged(base, ends, x, model):
    """The base and its differences to the ends, each array of each multiplied by a number of x
    (ends, arrays); x of shape (ends, 1) has one number for all arrays."""
    x, p = np.broadcast_to(x, (len(ends), len(model.parts))), base.copy()
    for part, of_ends in zip(model.parts.values(), x.T, strict=True):
        for a, end in zip(of_ends, ends, strict=True):
            p[part] += a * (end[part] - base[part])
    return p


@cache
def both(seed):
    """Capitals and Matplotlib, half and half: 32 sequences that steer, and what is held out of
    each: ((tuning, reporting) of capitals, of Matplotlib)."""
    rng, texts_of = np.random.default_rng(seed), (capitals(), texts("matplotlib"))
    few = [[a[rows] for a in train] for train, *_ in texts_of
           for rows in [rng.choice(len(train[0]), size=FEW // 2, replace=False)]]
    return tuple(map(np.concatenate, zip(*few, strict=True))), [held for _, *held in texts_of]


def merge(how):
    """One model for capitals and for Matplotlib: each checkpoint has learned one of the two."""
    model, base = pretrained("mini")

    def end(seed, **settings):
        first, second = checkpoints(seed)
        second = turned(model, second, seed) if how == "turned" else second
        few, _ = both(seed)
        if how == "Adam":
            return train(model, "adam", few, p=base, batch_size=FEW, seed=seed,
                         steps=MERGE_BUDGET // 3, **settings).p
        if how in FIXED:
            return merged(base, (first, second), np.reshape(FIXED[how], (2, 1)), model)
        arrays = 1 if how in ("two numbers", "turned") else len(model.parts)

        def at(x):
            return merged(base, (first, second), x.reshape(2, arrays), model)

        f = Objective(lambda P: model.loss(np.array([at(x) for x in P]), *few) if P.ndim == 2
                      else model.loss(at(P), *few), batched=True)
        method = random_search if how == "random search" else cma_es
        path = run_method(method, f, np.full(2 * arrays, 0.5), budget=MERGE_BUDGET, seed=seed,
                          **settings)
        return at(path.points[path.best if how == "random search" else -1])

    _, held = both(0)
    results = {}
    if how in MERGED:
        found = tune(lambda _, **s: np.mean([model.loss(end(TUNING_SEED, **s), *tuning)
                                             for tuning, _ in held]),
                     {how: MERGED[how]}, trials=7)[how]
        results = {"settings": found.settings, "trials": told(found)}
    ends = [end(seed, **results.get("settings", {})) for seed in SEEDS]
    (capitals_held, matplotlib_held) = (reporting for _, reporting in held)
    return results | {"capitals": [model.loss(p, *capitals_held) for p in ends],
                      "matplotlib": [model.loss(p, *matplotlib_held) for p in ends]}
