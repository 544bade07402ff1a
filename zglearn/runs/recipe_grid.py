"""The runs behind chapter 09's recipe explorer: each choice of schedule, rate, batch, warm-up and
clipping, with and without one bad batch, from one seed."""

import itertools

from ..models import train
from .recipe import BATCH, MEMORY, SHAPE, STEPS, Watched, data

RECORDS = 20
SETTINGS = [
    {"schedule": schedule, "lr": lr, "batch": batch, "warmup": warmup, "clip": clip, "bad": bad}
    for schedule, lr, batch, warmup, clip, bad in itertools.product(
        ("constant", "linear", "cosine", "wsd"), (0.006, 0.012, 0.024), (8, 32), (False, True),
        (False, True), (False, True))]
CHECK = SETTINGS.index({"schedule": "linear", "lr": 0.006, "batch": 8, "warmup": True, "clip": True,
                        "bad": False})
TOLERANCE = 0.05


def run(schedule, lr, batch, warmup, clip, bad) -> dict:
    """Adam on as many symbols whatever the batch; held-out losses at the point and at its running
    average, and the longest gradient since the record before."""
    _, examples, (X, y), _ = data()
    steps = STEPS * BATCH // batch
    model = Watched(steps // 2 if bad else 0, **SHAPE)
    fit = train(model, "adam", examples, lr=lr, steps=steps, batch_size=batch, schedule=schedule,
                warmup=steps // 10 if warmup else 0, clip=1.0 if clip else None,
                average=1 - 6 / steps, validation=(X[:100], y[:100]), every=-(-steps // RECORDS),
                **MEMORY["adam"])
    ends = fit.steps
    longest = [max(model.norms[i:j]) for i, j in zip([0, *ends[:-1]], ends, strict=True)]
    return {name: [float(f"{value:.4g}") for value in values] for name, values in
            {"losses": fit.validation_losses, "averages": fit.average_losses,
             "norms": longest}.items()} | {"steps": ends}
