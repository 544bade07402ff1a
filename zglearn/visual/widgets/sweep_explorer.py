"""The learning-rate sweep: how good each method is at each learning rate, and how choosy."""

from __future__ import annotations

import numpy as np

from .. import panels as draw
from ..widget import Widget, choice, part, slider, toggle

GOOD = 2.0  # a loss within this factor of the best counts as good


def sweep_explorer(lrs, results, *, log=("loss",), lower=("loss",), alt=""):
    """A widget: basins of the learning rate for several methods, with seeds as a band.

    Parameters
    ----------
    lrs : array (n,)
        The learning rates that every method was given.
    results : {metric: {method: array (seeds, n, epochs)}}
        What came out after each epoch.
    log, lower : metrics
        Those drawn on a logarithmic axis, and those of which less is better, by their names or
        the ends of them ("test loss" ends in "loss").
    """
    lrs = np.asarray(lrs, dtype=float)
    metrics, methods = tuple(results), tuple(next(iter(results.values())))
    epochs = np.asarray(results[metrics[0]][methods[0]]).shape[2]

    def basins(metric, epoch, single, **shown):
        chosen = [name for name in methods if shown[f"show {name}"]]
        layers = [draw.axis("basins", ylabel=metric, log="xy" if metric.endswith(tuple(log))
                            else "x")]
        for name in chosen:
            i, runs = methods.index(name), np.asarray(results[metric][name])[:, :, epoch - 1]
            layers += basin(lrs, runs, i, name, single, metric.endswith(tuple(lower)))
        return layers

    def verdict(metric, epoch):
        rows = [(name, *best(lrs, np.asarray(results[metric][name])[:, :, epoch - 1],
                             metric.endswith(tuple(lower)))) for name in methods]
        return [draw.table("verdict", ("method", "best median", "at learning rate",
                                       "rates nearly as good"), rows)]

    controls = [choice("metric", "metric", metrics),
                slider("epoch", "epoch", 1, epochs, epochs, whole=True, positions=epochs),
                toggle("single", "each seed", False),
                *(toggle(f"show {name}", name, True, group="methods") for name in methods)]
    return Widget(
        "Learning-rate sweep", controls=controls,
        panels=[draw.Panel("basins", "after training, against the learning rate", "learning rate",
                           log="x", span=12, height=330),
                draw.Panel("verdict", "best of each", kind="text", span=12, height=60)],
        parts=[part(basins, needs=[c.name for c in controls]), part(verdict)],
        alt=alt or (f"{metrics[0]} after {epochs} epochs against the learning rate, a basin for "
                    f"each of {', '.join(methods)}: the median of the seeds, and their range as a "
                    "band."))


def basin(lrs, runs, colour, name, single, lower):
    """The layers of one method; ``runs`` are (seeds, n)."""
    median = np.median(runs, axis=0)
    at = np.nanargmin(median) if lower else np.nanargmax(median)
    lines = [draw.line("basins", lrs, median, colour=colour, label=name, marker=True),
             draw.dots("basins", lrs[[at]], median[[at]], colour=colour, star=True)]
    if single:
        return lines + [draw.line("basins", lrs, run, colour=colour, thin=True) for run in runs]
    return [draw.band("basins", lrs, runs.min(axis=0), runs.max(axis=0), colour=colour), *lines]


def best(lrs, runs, lower):
    """(best median, its learning rate, how many rates are nearly as good), as strings.

    Nearly as good: within a factor of two of the lowest loss, or of the error 1 - value of what
    is better when higher, such as an accuracy.
    """
    median = np.median(runs, axis=0)
    median = np.where(np.isfinite(median), median, np.inf if lower else -np.inf)
    at = median.argmin() if lower else median.argmax()
    error = median if lower else 1 - median
    good = int((error <= GOOD * error[at]).sum())
    return f"{median[at]:.4g}", f"{lrs[at]:.3g}", f"{good} of {len(lrs)}"
