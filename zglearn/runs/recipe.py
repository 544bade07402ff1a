"""Chapter 09: what the parts of a training recipe are worth, on a transformer of 59,000 weights.

Every variant has its learning rate tuned anew, in as many trials as all the others, on one seed
and one part of the held-out text; what is reported comes from other seeds and another part.
"""

from functools import cache, partial

import numpy as np

from ..data import load_byte_pairs, load_documentation
from ..experiments import Scored, geometric, tune
from ..models import Transformer, sequences, train

SHAPE = {"context": 32, "width": 32, "heads": 4, "layers": 2}
STEPS, BATCH = 300, 8      # of a run; other batches read as many symbols in all
TRIALS, TUNING_SEED, SEEDS = 7, 100, range(5)
RATES = {"adam": geometric(0.003, 0.048, 5), "gradient_descent": geometric(0.25, 4, 5)}
MEMORY = {"adam": {"beta2": 0.99}, "gradient_descent": {}}

PARTS = {"warm-up": {"warmup": 30}, "decay": {"schedule": "linear"}, "clipping": {"clip": 1.0},
         "averaging": {"average": 0.98}, "weight decay": {"weight_decay": 0.1}}
BARE = {"weight_decay": 0.0, "beta2": 0.99}
FULL = BARE | {name: value for part in PARTS.values() for name, value in part.items()}
VARIANTS = {
    "full": FULL, "bare": BARE,
    **{f"full without {name}": {k: v for k, v in FULL.items() if k not in part} | (
        {"weight_decay": 0.0} if name == "weight decay" else {}) for name, part in PARTS.items()},
    **{f"bare with {name}": BARE | part for name, part in PARTS.items()},
    **{f"full without averaging, {schedule}":
       {k: v for k, v in FULL.items() if k != "average"} | {"schedule": schedule}
       for schedule in ("constant", "cosine", "wsd")},
    # a batch of 2 sequences in place of 8: Adam's memory as long in steps, or in symbols
    "batch 2, memory in steps": FULL | {"batch_size": 2, "warmup": 120, "average": 0.995},
    "batch 2, memory in symbols": FULL | {"batch_size": 2, "warmup": 120, "average": 0.995,
                                          "beta2": 0.99 ** (2 / 8)},
    "bare with warm-up and decay": BARE | PARTS["warm-up"] | PARTS["decay"],
}
LONG = {"steps": 1200, "warmup": 120, "average": 0.995}
VARIANTS |= {f"{name}, long": VARIANTS[name] | {k: v for k, v in LONG.items() if k == "steps" or
                                                k in VARIANTS[name]}
             for name in ("full", "full without decay", "full without averaging")}
BATCHES = (2, 4, 8, 16, 32, 64)
LEVEL = 5.1                # nats: the held-out loss that "batch" counts the steps to
BALLS = {"gradient_descent": (0.5, 1.0, 2.0), "adam": (0.003, 0.006, 0.012)}
STARTS = ("none", "warm-up", "memory")

SETTINGS = [
    *({"what": "parts", "variant": name} for name in VARIANTS),
    *({"what": "start", "start": start, "lr": lr} for lr in (0.003, 0.006, 0.012, 0.024, 0.048)
      for start in STARTS),
    *({"what": "poison", "method": method, "bad": bad, "clip": clip} for method in BALLS
      for bad, clip in ((False, 1.0), (True, None), (True, 1.0))),
    *({"what": "batch", "method": method, "batch": batch}
      for method in BALLS for batch in BATCHES),
    *({"what": "ball", "method": method, "lr": lr, "batch": batch}
      for method, rates in BALLS.items() for lr in rates for batch in (4, 16, 64)),
]
CHECK = SETTINGS.index({"what": "start", "start": "warm-up", "lr": 0.003})
TOLERANCE = 0.03


def run(what, **setting) -> dict:
    return {"parts": parts, "start": start, "poison": poison, "batch": batch_price,
            "ball": ball}[what](**setting)


@cache
def data():
    """The model, sequences to train on, and two parts of held-out ones: to tune, to report."""
    docs, symbols = load_documentation(without="matplotlib"), load_byte_pairs()
    codes, held = map(symbols.encode_texts, (docs.train[::4], docs.validation[::10]))
    model = Transformer(**SHAPE)
    X, y = sequences(held, model.context)
    return model, sequences(codes, model.context), (X[:200], y[:200]), (X[200:700], y[200:700])


def one_run(lr, seed, validation, method="adamw", batch_size=BATCH, steps=None, **more):
    model, examples, *_ = data()
    steps = STEPS * BATCH // batch_size if steps is None else steps
    return train(model, method, examples, lr=lr, seed=seed, validation=validation,
                 batch_size=batch_size, steps=steps, **({"every": steps} | more))


def parts(variant):
    """One variant: its tuned rate, and the loss of five other seeds with it."""
    *_, tuning, reporting = data()

    def end(lr, seed, validation):
        fit = one_run(lr, seed, validation, **VARIANTS[variant])
        last = fit.validation_losses if fit.average is None else fit.average_losses
        return float(last[-1]), int(fit.forward_equivalents[-1])

    def loss(_, lr):
        return Scored(*end(lr, TUNING_SEED, tuning))

    found = tune(loss, {variant: {"lr": RATES["adam"]}}, trials=TRIALS)[variant]
    trials = sorted((t.settings["lr"], t.loss) for t in found.trials)
    return {"best": found.settings["lr"], "good": found.good("lr", within=0.02), "trials": trials,
            "cost": found.cost,
            "losses": [end(found.settings["lr"], seed, reporting)[0] for seed in SEEDS]}


def start(start, lr):
    """Two hundred steps of Adam at a constant rate, which is reached at once, or in thirty steps,
    or at once but after thirty steps that only fill Adam's memory."""
    model, (X, _), _, reporting = data()
    rows = {"losses": [], "scores": []}
    for seed in range(3):
        fit = partial(one_run, seed=seed, validation=reporting, method="adam", **MEMORY["adam"])
        if start == "memory":  # so small a rate that no weight moves by more than 1e-7
            fit = partial(fit, begin=fit(1e-9, steps=30))
        end = fit(lr, steps=200, warmup=30 if start == "warm-up" else 0)
        rows["losses"].append(float(end.validation_losses[-1]))
        rows["scores"].append(largest_score(model, end.p, X[:16]))
    return rows


def largest_score(model, p, X):
    """The mean over heads and places of the largest attention weight: 1 if each looks at one."""
    return float(model.attention_weights(p, X)[..., model.context // 2:, :].max(axis=-1).mean())


class Watched(Transformer):
    """Notes the length of every gradient. In the batch of number ``bad`` the gradient is a sum over
    the symbols in place of a mean."""

    def __init__(self, bad=0, **shape):
        super().__init__(**shape)
        self.bad, self.norms = bad, []

    def backprop(self, layers, slopes, X, y):
        loss = super().backprop(layers, slopes, X, y)
        arrays = *slopes[:2], *(slope for block in slopes[2] for slope in block), *slopes[3:]
        if len(self.norms) + 1 == self.bad:
            for slope in arrays:
                slope *= y.size
        self.norms.append(float(np.sqrt(sum(np.vdot(slope, slope) for slope in arrays))))
        return loss


def poison(method, clip, bad):
    """A run with one bad batch in its middle, or none: the losses on the way."""
    _, examples, tuning, _ = data()
    lr = {"adam": 0.01, "gradient_descent": 2.0}[method]
    rows = []
    for seed in range(3):
        model = Watched(STEPS // 2 if bad else 0, **SHAPE)
        fit = train(model, method, examples, lr=lr, seed=seed, steps=STEPS, every=15,
                    batch_size=BATCH, warmup=30, schedule="linear", clip=clip, validation=tuning,
                    **MEMORY[method])
        rows.append(fit.validation_losses)
    return {"steps": fit.steps, "losses": rows}


def batch_price(method, batch):
    """Steps until the held-out loss is at LEVEL, at the constant rate that gets there first."""
    *_, tuning, reporting = ((X[:100], y[:100]) for X, y in data()[1:])
    steps = round(1200 / batch**0.65)

    def price(lr, seed, validation):
        fit = one_run(lr, seed, validation, method, batch, steps, warmup=steps // 20,
                      every=max(1, steps // 30), **MEMORY[method])
        return crossing(fit.steps, fit.validation_losses), int(fit.forward_equivalents[-1])

    def loss(_, lr):
        return Scored(*price(lr, TUNING_SEED, tuning))

    found = tune(loss, {method: {"lr": RATES[method]}}, trials=TRIALS)[method]
    trials = sorted((t.settings["lr"], t.loss) for t in found.trials)
    return {"best": found.settings["lr"], "trials": trials, "cost": found.cost,
            "steps": [price(found.settings["lr"], seed, reporting)[0] for seed in range(3)]}


def crossing(steps, losses):
    """The step at which the line through the losses first comes down to LEVEL; inf if never."""
    there = np.flatnonzero(losses <= LEVEL)
    if not len(there):
        return float("inf")
    i = there[0]
    if i == 0:
        return float(steps[0])
    return float(np.interp(-LEVEL, -losses[i - 1:i + 1], steps[i - 1:i + 1]))


@cache
def plateau(method):
    lr = {"adam": 0.006, "gradient_descent": 1.0}[method]
    return one_run(lr, 50, None, method, steps=600, **MEMORY[method])


def ball(method, lr, batch):
    """How much higher the loss is at a step than at the mean of the steps around it.

    The window has the same length in what the theory takes for time, rate times steps, so that
    it sees the same directions whatever the rate.
    """
    model, *_, reporting = data()
    pace = lr * np.sqrt(batch / BATCH) / 0.006 if method == "adam" else lr
    window, excess = round(30 / pace), []
    for seed in range(3):
        fit = partial(one_run, lr, seed, None, method, batch, average="uniform", **MEMORY[method])
        last = plateau(method)
        last = fit(begin=last, steps=2 * window)
        found = []
        for _ in range(3):
            half = fit(begin=last, steps=window)
            last = fit(begin=half, steps=window)
            centre = (half.average + last.average) / 2
            found.append(model.loss(half.p, *reporting) - model.loss(centre, *reporting))
        excess.append(np.mean(found))
    return {"window": window, "excess": excess}
