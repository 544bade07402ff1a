"""The recipe explorer: one training run as an instrument, and any schedule on a noisy bowl."""

from __future__ import annotations

import itertools

import numpy as np

from ...models.training import SCHEDULES, scheduled
from .. import panels as draw
from ..widget import Widget, choice, part, positions, slider, toggle

KNOBS = ("schedule", "lr", "batch", "warmup", "clip", "bad")
KNOTS = 5                                # of a schedule drawn by hand, evenly over the run
CURVATURES = np.geomspace(0.01, 1, 12)   # of the bowl: one direction each
NOISE = 4.0                              # variance of one example's gradient, in each direction


def recipe_explorer(runs, *, alt=""):
    """A widget: recorded training runs, one for each setting, and what a schedule, chosen or drawn
    by hand, does on a noisy quadratic: exactly, without a random number.

    Parameters
    ----------
    runs : list of dicts
        As ``recorded("recipe_grid")`` has them: one for every combination of the values of
        "schedule", "lr", "batch", "warmup", "clip" and "bad", with its lists "steps", "losses",
        "averages" and "norms".
    """
    table = {tuple(run[name] for name in KNOBS): run for run in runs}
    values = {name: list(dict.fromkeys(run[name] for run in runs)) for name in KNOBS}
    for setting in itertools.product(*values.values()):
        if setting not in table:
            raise ValueError(f"there must be a run for each setting; there is none with "
                             f"{dict(zip(KNOBS, setting, strict=True))}")
    if not table or not set(values["schedule"]) <= set(SCHEDULES):
        raise ValueError(f"there must be runs, with schedules among {', '.join(SCHEDULES)}")
    last = max(run["steps"][-1] * run["batch"] for run in runs)

    def transformer(schedule, lr, batch, warmup, clip, bad):
        run = table[schedule, lr, batch, warmup, clip, bad]
        read = np.array(run["steps"]) * batch
        layers = [draw.line("loss", read, run["losses"], label="at the point", marker=True),
                  draw.line("loss", read, run["averages"], colour=1, label="at the average"),
                  draw.line("norm", read, run["norms"], marker=True,
                            label="the longest since the point before")]
        if clip:
            layers.append(draw.rule("norm", y=1.0, label="clipped to this"))
        return [*layers, draw.status(
            f"The transformer ends at {run['losses'][-1]:.2f} nats, its average at "
            f"{run['averages'][-1]:.2f}; its longest gradient was {max(run['norms']):.2g}.")]

    def bowl(schedule, batch, warmup, rate, drawn, **knots):
        steps = last // batch
        chosen = scheduled(schedule, steps // 10 if warmup else 0, steps)
        factor = (by_hand(knots.values(), steps) if drawn else
                  np.array([chosen(step) for step in range(1, steps + 1)]))
        start, noise = (excess(rate * factor, batch, *given) for given in ((1, 0), (0, NOISE)))
        read = batch * np.arange(1, steps + 1)
        layers = [draw.line("rate", read, rate * factor, label="the rate")]
        for colour, (label, y) in enumerate({
                "together": (start + noise)[0], "together, at the average": (start + noise)[1],
                "left of the start": start[0], "made by the noise": noise[0]}.items()):
            y = np.where((y > 0) & (y < 1e6), y, np.nan)  # for the logarithm
            layers.append(draw.line("bowl", read, y, colour=colour, label=label))
        end = [start[0, -1], noise[0, -1], (start + noise)[1, -1]]
        return [*layers, draw.status(
            f"The bowl ends at {end[0] + end[1]:.2g}, {end[1]:.2g} of it made by the noise; the "
            f"average at {end[2]:.2g}.")]

    shown, own = "the transformer", "the bowl"
    names = [f"rate_{i}" for i in range(KNOTS)]
    return Widget(
        "Recipe explorer: one training run, and a schedule on a noisy bowl",
        panels=[draw.Panel("loss", "the transformer: held-out nats per symbol", "sequences read",
                           height=260),
                draw.Panel("norm", "its gradient's length", "sequences read", log="y", height=260),
                draw.Panel("bowl", "the bowl: mean loss above the minimum", "examples read",
                           log="y", height=260, ylim=(1e-3, 1)),
                draw.Panel("rate", "the bowl: the learning rate", "examples read", height=260)],
        groups={shown: 0, own: 2},
        controls=[choice("schedule", "schedule", values["schedule"]),
                  positions("batch", "batch", sorted(values["batch"])),
                  toggle("warmup", "warm-up", max(values["warmup"])),
                  positions("lr", "learning rate", sorted(values["lr"]),
                            sorted(values["lr"])[len(values["lr"]) // 2], group=shown),
                  toggle("clip", "clipping to a length of 1", False, group=shown),
                  toggle("bad", "one bad batch, in the middle", False, group=shown),
                  slider("rate", "learning rate on the bowl", 0.02, 1.9, 0.3, scale="log",
                         positions=31, group=own),
                  toggle("drawn", "draw the schedule by hand", False, group=own),
                  *(slider(name, f"at {i / (KNOTS - 1):.0%} of the run, rate ×", 0, 1, 1,
                           positions=21, group=own) for i, name in enumerate(names))],
        parts=[part(transformer),
               part(bowl, needs=["schedule", "batch", "warmup", "rate", "drawn", *names])],
        alt=alt or ("A recorded training run: held-out loss at the point and at its average, and "
                    "the length of the gradient. Below, a noisy bowl: its mean loss, split into "
                    "what is left of the start and what the noise makes, and the rate."))


def by_hand(knots, steps):
    """A rate that is drawn as a line through knots, which lie evenly over the run, (steps,)."""
    knots = list(knots)
    return np.interp(np.linspace(0, len(knots) - 1, steps), np.arange(len(knots)), knots)


def excess(rates, batch, start, noise, h=CURVATURES):
    """The mean loss of gradient descent on noisy bowls h x² / 2 after each step: (2, steps).

    The first row is at the point, the second at its running average, which forgets a sixth of the
    run. ``noise`` is the variance of one example's gradient, and every bowl starts at a loss of
    ``start`` / 2. Nothing is drawn: what is followed are the means of x², x a and a², exact for
    any noise that is independent from step to step.
    """
    xx = xa = aa = np.full(h.shape, start) / h
    losses = np.empty((2, len(rates)))
    for t, rate in enumerate(rates, 1):
        keep, w = 1 - rate * h, max(1 / t, 6 / len(rates))
        new = keep**2 * xx + rate**2 * noise / batch
        aa = (1 - w) ** 2 * aa + 2 * w * (1 - w) * keep * xa + w**2 * new
        xa = (1 - w) * keep * xa + w * new
        xx = new
        losses[:, t - 1] = h @ xx / 2 / h.size, h @ aa / 2 / h.size
    return losses
