"""The trainings behind chapter 14's successive halving: a transformer of 59,000 weights under
random settings of AdamW, each trained to the end, so that any search can be priced on them.

No sequence is met twice. So the loss of a batch, taken before the step on it, is as good as one
on held-out text, and free.
"""

import numpy as np

from ..models import train
from . import recorded
from .recipe import BATCH, data

RUNGS = (10, 30, 90, 270)  # steps after which a search may look
COUNT, SEEDS = 29, {"constant": range(10), "linear": range(8)}
SETTINGS = [{"schedule": schedule, "seed": seed, "number": number}
            for schedule, seeds in SEEDS.items() for seed in seeds for number in range(COUNT)]
TOLERANCE = 0.03


def drawn(seed) -> list[dict]:
    """Random settings: the rate, 1 - β₁, 1 - β₂ and the weight decay, each even in its decades."""
    u = np.random.default_rng(seed).random((COUNT, 4))
    return [{"lr": 10 ** (4 * a - 4), "beta1": 1 - 10 ** (-2 * b), "beta2": 1 - 10 ** (-3 * c),
             "weight_decay": 10 ** (4 * d - 4)} for a, b, c, d in u]


CHECK = SETTINGS.index({"schedule": "linear", "seed": 0, "number": 0})


def run(schedule, seed, number) -> dict:
    """The mean losses of the last `RUNGS[0]` batches before each rung, and of held-out text at the
    end."""
    model, examples, _, report = data()
    fit = train(model, "adamw", examples, steps=RUNGS[-1], batch_size=BATCH, schedule=schedule,
                every=RUNGS[0], seed=seed, **drawn(seed)[number])
    met = dict(zip(fit.steps.tolist(), fit.train_losses.tolist(), strict=True))
    return {"losses": [met.get(step, np.nan) for step in RUNGS],
            "report": float(model.loss(fit.p, *report))}


# --- searches over what was recorded ---------------------------------------------------------

def successive_halving(train_to, settings, rungs):
    """Successive halving (Jamieson and Talwalkar 2016), its rungs written out.

    `train_to(setting, steps)` trains on until there are so many steps in all, and returns the
    loss. On each rung (count, steps) that is done to the best `count` so far; whatever is left
    out stays where it is. Returns the best of the last rung.
    """
    for count, steps in rungs:
        settings = settings[:count]
        losses = [train_to(setting, steps) for setting in settings]
        settings = [settings[i] for i in np.argsort(losses, kind="stable")]  # nan comes last
    return settings[0]


def search(losses, rungs) -> tuple[int, dict]:
    """Halving on one seed's losses (COUNT, rungs): the number of the setting that is chosen, and
    how many steps each was trained, {number: steps}."""
    trained = {}

    def train_to(number, steps):
        trained[number] = steps
        return losses[number, RUNGS.index(steps)]

    return successive_halving(train_to, range(COUNT), rungs), trained


def curves(schedule) -> tuple[np.ndarray, np.ndarray]:
    """The recorded losses on the way (seeds, COUNT, rungs), and of held-out text (seeds, COUNT)."""
    rows = [row for row in recorded("halving") if row["schedule"] == schedule]
    losses, ends = (np.array([row[name] for row in rows], float) for name in ("losses", "report"))
    return losses.reshape(-1, COUNT, len(RUNGS)), ends.reshape(-1, COUNT)


def standings(searches) -> dict:
    """For {name: rungs}: {(schedule, name): the held-out losses (seeds,) of what each search has
    trained in the end, and the steps that it has trained in all}."""
    found = {}
    for schedule in SEEDS:
        losses, ends = curves(schedule)
        for name, rungs in searches.items():
            chosen, trained = zip(*(search(seed, rungs) for seed in losses), strict=True)
            found[schedule, name] = ends[range(len(ends)), chosen], sum(trained[0].values())
    return found
