"""Annealing on text: a key is searched, and the text decodes itself as the temperature falls."""

from __future__ import annotations

import numpy as np

from ...gradient_free_methods import simulated_annealing
from ...hyperparameters import check_method, check_value, is_method, method_title
from ...objective import Objective
from .. import panels as draw
from ..widget import Widget, part, slider
from .explorer import watch

PICTURES = 150  # of a run, so many moments are shown


def annealing_explorer(loss, decode, start, neighbour, *, temperature=1.0, cooling=0.999,
                       steps=4000, method=simulated_annealing, alt=""):
    """A widget: temperature and cooling against the search for a key, and the text that it gives.

    Parameters
    ----------
    loss, decode : callables
        Of a key, an array (d,): how bad it is, and the text that it decodes.
    start : array (d,)
        The key that the search starts from.
    neighbour : callable
        ``neighbour(key, rng)`` returns a key nearby, such as one with two letters exchanged.
    method : generator function (f, x, rng, *, temperature, cooling, neighbour)
        A learner's own annealing, for one. Its temperature is read from a variable T.
    """
    if is_method(method):
        check_method(method, dict(temperature=temperature, cooling=cooling, neighbour=neighbour))
    check_value("temperature", temperature, "(0, inf)")  # its slider is logarithmic
    check_value("steps", steps, "whole [10, inf)")

    def anneal(temperature, cooling, steps, seed):
        path, held = watch(method, Objective(loss), start, steps=steps, seed=seed,
                           temperature=temperature, cooling=cooling, neighbour=neighbour)
        some = np.unique(np.linspace(0, len(path), PICTURES).astype(int))
        moved = (path.points[1:] != path.points[:-1]).any(axis=1)
        window = max(1, len(path) // 40)
        share = np.convolve(np.append(0, moved), np.ones(window) / window)[:len(path) + 1]
        layers = [
            draw.clock(some),
            draw.text("text", [decode(path.points[i]) for i in some]),
            draw.line("loss", some, path.losses[some], label="loss", timed=True),
            draw.line("moves", some, share[some], label="share of moves accepted", colour=1,
                      timed=True),
            draw.status(f"{method_title(method)}: lowest loss {path.losses[path.best]:.4g} after "
                        f"{path.evaluations[-1]} evaluations.")]
        if "T" in held:
            layers.append(draw.line("cold", some, held["T"][some], label="temperature T", colour=2,
                                    timed=True))
        return layers

    return Widget(
        "Annealing on text", timed=True, seconds=10,
        panels=[draw.Panel("text", "the text under the present key", kind="text", span=6, rows=2,
                           height=330),
                draw.Panel("loss", "loss", "step", span=6, height=150),
                draw.Panel("moves", "moves accepted", "step", ylim=(0, 1), span=3, height=130),
                draw.Panel("cold", "temperature", "step", log="y", span=3, height=130)],
        controls=[slider("temperature", "first temperature", temperature / 100, temperature * 100,
                         temperature, scale="log"),
                  slider("cooling", "cooling per step", min(0.9, cooling), max(0.99999, cooling),
                         cooling, scale="near 1"),
                  slider("steps", "steps", steps // 10, steps * 2, steps, scale="log", whole=True,
                         positions=13),
                  slider("seed", "seed", 0, 20, 0, whole=True, positions=21)],
        parts=[part(anneal)],
        alt=alt or ("A text in cipher becomes readable as the key is searched: the loss falls, and "
                    "with the temperature falls the share of worse moves that are accepted."))
