"""The frequency race: what methods have learned of frequent and of rare classes, step by step."""

from __future__ import annotations

import itertools

import numpy as np

from ...hyperparameters import check_value, method_name, method_title
from .. import panels as draw
from ..widget import Widget, choice, part, slider


def frequency_race(problems, x0, methods, groups, *, steps=100, alt=""):
    """A widget: the loss on frequent against rare classes, for several methods.

    Parameters
    ----------
    problems : {name: (f, losses)}
        An objective, and ``losses(x)``, the loss of each group (k,) at a point, above its minimum.
    x0 : array (d,)
        Where all methods start.
    methods : {method: lr}
        Generator functions (f, x, *, lr, ...), each with the learning rate that it starts with.
    groups : list of k names
        The classes in groups, the most frequent first.
    """
    problems = dict(problems)
    middle = (np.arange(len(groups)) + 0.5) / len(groups)

    def racer(method, colour):
        def race(problem, **rate):
            f, losses = problems[problem]
            (lr,) = rate.values()
            held = learned(method(f, np.array(x0), lr=lr), losses, x0, steps)
            t = np.arange(len(held))
            held = np.where(held > 0, held, np.nan)  # for the logarithm
            look = dict(colour=colour, label=method_title(method))
            return [
                draw.frames("profile", np.broadcast_to(middle, held.shape), held, mark="dots",
                            **look),
                draw.line("frequent", t, held[:, 0], timed=True, **look),
                draw.line("rare", t, held[:, -1], timed=True, **look),
                draw.status(f"{method_title(method)}: {held[-1, 0]:.2g} left on the most frequent, "
                            f"{held[-1, -1]:.2g} on the rarest after {len(held) - 1} gradients.")]

        return race

    controls, parts = [choice("problem", "words", problems)], []
    for i, (method, lr) in enumerate(methods.items()):
        name = method_name(method)
        check_value("lr", lr, "(0, inf)")
        controls.append(slider(f"{name}:lr", "lr", lr / 100, 10 * lr, lr, scale="log",
                               positions=31, group=method_title(method)))
        parts.append(part(racer(method, i), name, needs=["problem", f"{name}:lr"]))
    what = "loss above the minimum"
    return Widget(
        "Frequent and rare words", timed=True, controls=controls, parts=parts,
        groups={method_title(method): i for i, method in enumerate(methods)},
        panels=[draw.Panel("profile", "what is left to learn of each group, now",
                           f"from {groups[0]} (0) to {groups[-1]} (1)", what, log="y", xlim=(0, 1),
                           span=12, height=240),
                draw.Panel("frequent", groups[0], "gradients", what, log="y", height=220),
                draw.Panel("rare", groups[-1], "gradients", what, log="y", height=220)],
        alt=alt or (f"The loss above its minimum for each group of classes, from {groups[0]} to "
                    f"{groups[-1]}, and against the number of gradients for the first and the "
                    f"last group, a line for each of {', '.join(map(method_name, methods))}."))


def learned(iterates, losses, x0, steps):
    """The losses of each group at the start and after each step, (steps + 1, k).

    They end early where they are no longer finite.
    """
    held = [losses(x0)]
    for x in itertools.islice(iterates, steps):
        now = losses(x)
        if not np.isfinite(now).all():
            break
        held.append(now)
    return np.array(held)
