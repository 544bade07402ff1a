"""The budget explorer: which method is best depends on what is scarce."""

from __future__ import annotations

import numpy as np

from .. import panels as draw
from ..widget import Widget, choice, part, slider

AXES = {"forward-equivalents": "cost", "steps": "steps", "bytes of memory": "memory"}


def budget_explorer(curves, *, ylabel="held-out loss", alt=""):
    """A widget: held-out loss up to a budget, against steps, cost or memory, under a memory cap.

    Parameters
    ----------
    curves : {method: {"steps": (n,), "cost": (n,), "loss": (n,), "memory": bytes}}
        The cost in forward-equivalents; the memory is what training needed at its peak. A loss of
        shape (seeds, n) is shown as its median and range.
    """
    curves = {name: c | {"loss": np.atleast_2d(c["loss"])} for name, c in curves.items()}
    costs = np.concatenate([c["cost"] for c in curves.values()])
    memory = [c["memory"] for c in curves.values()]
    controls = [
        slider("budget", "budget (forward-equivalents)", float(costs[costs > 0].min()),
               float(costs.max()), float(costs.max()), scale="log"),
        slider("cap", "memory cap (MB)", min(memory) / 2e6, max(memory) * 1.2e-6,
               max(memory) * 1.2e-6, scale="log"),
        choice("axis", "horizontal axis", AXES)]

    def race(budget, cap, axis):
        standing = {name: best_within(c, budget) for name, c in curves.items()}
        allowed = [name for name, c in curves.items() if c["memory"] <= cap * 1e6]
        layers = [draw.axis("curves", xlabel=axis, log="x" if axis != "steps" else "")]
        for i, (name, c) in enumerate(curves.items()):
            fits = name in allowed
            label = name if fits else f"{name} (needs too much memory)"
            if axis == "bytes of memory":
                layers.append(draw.dots("curves", [c["memory"]], [standing[name]], colour=i,
                                        label=label, star=fits))
            else:
                layers += _curve(c, budget, AXES[axis], i, label, fits)
        if axis == "forward-equivalents":
            layers.append(draw.rule("curves", x=budget, label="budget"))
        if axis == "bytes of memory":
            layers.append(draw.rule("curves", x=cap * 1e6, label="cap"))
        return [*layers, _table(curves, standing, allowed), draw.status(
            _verdict(standing, allowed, budget, cap))]

    return Widget(
        "Budget explorer: which would you deploy?", controls=controls,
        panels=[draw.Panel("curves", f"{ylabel} within the budget", ylabel=ylabel, span=7,
                           height=320),
                draw.Panel("table", "best within budget and cap", kind="text", span=5,
                           height=320)],
        parts=[part(race)],
        alt=alt or (f"{ylabel.capitalize()} against cost in forward-equivalents for "
                    f"{', '.join(curves)}, with a table of the best that each reaches and the "
                    "memory that it needs."))


def best_within(curve, budget):
    """The lowest median loss among the points that cost no more than the budget; inf if none."""
    paid = np.asarray(curve["cost"]) <= budget
    return float(np.median(curve["loss"], axis=0)[paid].min(initial=np.inf))


def _curve(c, budget, axis, colour, label, fits):
    paid = np.asarray(c["cost"]) <= budget
    x, runs = np.asarray(c[axis], dtype=float)[paid], c["loss"][:, paid]
    layers = [draw.line("curves", np.where(x > 0, x, np.nan) if axis == "cost" else x,
                        np.median(runs, axis=0), colour=colour, label=label, thin=not fits,
                        marker=fits)]
    if fits and len(runs) > 1:
        layers.append(draw.band("curves", x, runs.min(axis=0), runs.max(axis=0), colour=colour))
    return layers


def _table(curves, standing, allowed):
    order = sorted(curves, key=lambda name: (name not in allowed, standing[name]))
    return draw.table("table", ("method", "best loss", "memory, MB", "fits"), [
        (name, f"{standing[name]:.3f}", f"{curves[name]['memory'] / 1e6:.2f}",
         "yes" if name in allowed else "no") for name in order])


def _verdict(standing, allowed, budget, cap):
    within = f"Within {budget:,.0f} forward-equivalents and {cap:.3g} MB"
    if not allowed:
        return f"{within} no method fits."
    winner = min(allowed, key=standing.get)
    if not np.isfinite(standing[winner]):
        return f"{within} no method takes a step."
    return f"{within}: {winner}, {standing[winner]:.3f}."
