"""The landscape explorer: methods race on a loss surface, and show what they hold inside.

    explorer(rosenbrock(), {momentum: dict(lr=0.001, beta=0.9), my_method: dict(lr=0.001)})

Any generator of iterates can race, a learner's own among them. What it holds inside is read from
its local variables between two steps, so a method needs nothing added to be watched.
"""

from __future__ import annotations

import functools
import inspect
import time

import numpy as np

from ...hyperparameters import (
    check_method,
    check_value,
    hyperparameter_title,
    is_method,
    is_number,
    method_name,
    method_title,
)
from ...trajectory import run
from .. import panels as draw
from ..widget import Widget, choice, hidden, part, slider

SECONDS = 2.0  # a path that takes longer is shown as far as it came
TRIED = 60  # of the points tried in one step, so many are drawn
GRID = 120, 160
ARRIVED = 1e-16  # a loss nearer to the minimum is not drawn: the axis would show nothing else

LOGARITHMIC = {"effective learning rate", "√v", "temperature T", "step size σ"}

# The sliders' ranges by the hyperparameter's name: low, high, scale.
RANGES = {
    "lr": (1e-4, 10, "log"), "beta": (0, 0.999, "near 1"), "beta1": (0, 0.999, "near 1"),
    "beta2": (0, 0.9999, "near 1"), "rho": (0, 0.999, "near 1"), "eps": (1e-10, 1, "log"),
    "sigma": (1e-3, 3, "log"), "temperature": (1e-3, 100, "log"),
    "cooling": (0.8, 0.9999, "near 1"), "radius": (0.1, 5, "log"), "size": (0.01, 3, "log"),
    "spread": (0.01, 5, "log"), "population": (4, 60, "linear"), "weight_decay": (0, 1, "linear"),
    "a": (1.01, 3, "linear"),
}


def explorer(landscape, methods, *, start=None, steps=200, seed=0, alt=""):
    """A widget in which methods race on a landscape of two variables.

    Parameters
    ----------
    landscape : Landscape
        With d = 2.
    methods : {method: hyperparameters}, or a list of methods
        Generator functions (f, x, *, ...) or (f, x, rng, *, ...). Every hyperparameter given here
        gets a slider, which starts there; a method without any gets one for each numeric default.
    start : array-like (2,)
        Where they all start; the landscape's own point by default.
    steps : int
        How many steps a path has at first.
    alt : str
        The still picture in words; a plain description by default.
    """
    if landscape.dimension != 2:
        raise ValueError(f"only a landscape of two variables can be drawn: {landscape.name} has "
                         f"{landscape.dimension}")
    check_value("steps", steps, "whole [1, inf)")
    methods = _with_hyperparameters(methods)
    names = [method_name(m) for m in methods]
    if len(set(names)) < len(names):
        raise ValueError("two methods have the same name: rename one of them")
    titles = [method_title(m) for m in methods]
    if len(set(titles)) < len(titles):  # a learner's own may be called as ours are titled
        titles = names
    start = landscape.start if start is None else np.asarray(start, dtype=float)
    if start.shape != (2,) or not np.isfinite(start).all():
        raise ValueError(f"start must be two finite numbers, not {start}")
    x0, y0 = start
    home = [float(v) for v in landscape.bounds.ravel()]
    controls, parts = [hidden("x0", float(x0)), hidden("y0", float(y0)), hidden("box", home)], []
    parts.append(part(functools.partial(surface, landscape), "surface", needs=["box"]))
    for i, (method, hyper) in enumerate(methods.items()):
        own = [_slider(names[i], titles[i], name, value) for name, value in hyper.items()]
        controls += own
        parts.append(part(_racer(landscape, method, titles[i], i), names[i], needs=[
            "x0", "y0", "steps", "seed", "against", *(c.name for c in own)]))
    controls += [slider("steps", "steps", 10, 1000, steps, scale="log", whole=True),
                 slider("seed", "seed", 0, 20, seed, whole=True, positions=21),
                 choice("against", "loss against", ("cost", "steps"))]
    holding = [method_name(m) for m in methods if _may_hold(m)]
    inside = [draw.Panel("inside", "inside", "step", span=5, height=160)] if holding else []
    return Widget(
        f"{' and '.join(titles) if len(titles) < 3 else 'Methods'} on {landscape.name}",
        panels=[draw.Panel("map", "paths", "x₁", "x₂", drag=("x0", "y0"), handle="start point",
                           zoom="box", span=7, rows=2 if holding else 1, height=430),
                draw.Panel("loss", "loss above the minimum", log="y", span=5,
                           height=210 if holding else 430), *inside],
        controls=controls, parts=parts, timed=True,
        groups={title: i for i, title in enumerate(titles)},
        alt=alt or _in_words(names, holding, landscape))


def _in_words(names, holding, landscape):
    """The still picture in words; it names the methods as the code above it does."""
    seen = [f"Paths of {', '.join(names)} on the contours of {landscape.name}",
            "their loss against cost on a logarithmic axis"]
    if holding:
        holder = "the first of them" if holding[0] == names[0] else holding[0]
        seen.append(f"and a quantity that {holder} holds inside")
    return ", ".join(seen) + "."


def surface(landscape, box):
    """The landscape's contours in the visible box, and its minima."""
    left, low, right, high = box
    rows, columns = GRID
    x, y = np.linspace(left, right, columns), np.linspace(low, high, rows)
    Z = landscape.f(np.stack(np.meshgrid(x, y), axis=-1))
    return [draw.terrain("map", Z, box),
            draw.dots("map", *landscape.minima.T, colour=draw.GREY, star=True)]


def watch(method, f, x0, *, steps, seed=None, **hyper):
    """Run a method on an objective and read its local variables after each step.

    Returns the trajectory, and {name: array (steps + 1, ...)} of what the generator held in its
    numeric variables, nan at time 0. A path that takes longer than SECONDS ends early.
    """
    if not is_method(method):
        raise TypeError("a method yields each new point, and this one has no yield")
    names, held = [], []

    @functools.wraps(method)
    def watched(*args, **kwargs):
        iterates, end = method(*args, **kwargs), time.monotonic() + SECONDS
        for x in iterates:
            inside = iterates.gi_frame.f_locals
            names[:] = names or [name for name in inside if _is_numeric(inside[name])]
            held.append([np.array(inside[name]) for name in names])
            yield x
            if time.monotonic() > end:
                return

    watched.__name__ = method_name(method)
    path = run(watched, f, x0, steps=steps, seed=seed, **hyper)
    columns = zip(names, zip(*held[:len(path)], strict=True), strict=False)
    return path, {name: _stacked(values) for name, values in columns
                  if len({v.shape for v in values}) == 1}


def inner_state(held):
    """What changes inside a method, under the names that its paper gives it: {title: (k, n)}.

    Known quantities come first, then every other variable of one or two numbers that is not x
    and does not just count the steps.
    """
    moving = {name: v for name, v in held.items() if len(v) > 2 and np.ptp(v[1:], axis=0).any()}
    shown = {}
    second = next((moving.pop(name) for name in ("v_hat", "S", "G") if name in moving), None)
    if second is not None and "lr" in held:
        root = np.sqrt(second)
        shown["effective learning rate"] = held["lr"][-1] / (root + held.get("eps", [0])[-1])
        shown["√v"] = root
        moving.pop("v", None)
    names = {"velocity v": "v", "mean gradient m̂": "m_hat", "temperature T": "T",
             "step size σ": "sigma"}
    shown |= {title: moving.pop(name) for title, name in names.items() if name in moving}
    shown |= {name: values for name, values in moving.items()
              if values.ndim <= 2 and name != "x" and (np.diff(values[1:], axis=0) != 1).any()}
    return {title: values.reshape(len(values), -1).T for title, values in shown.items()}


def moves(path):
    """For each step the points tried, split into those the path moved to and those it refused.

    Two arrays (n + 1, k, 2), padded with nan; row 0 is empty.
    """
    counts = [min(len(tried), TRIED) for tried in path.tried]
    taken, refused = np.full((2, len(path) + 1, max(counts, default=0), 2), np.nan)
    if any(counts):
        tried = np.concatenate([tried[-TRIED:] for tried in path.tried])
        step = np.repeat(range(1, len(path) + 1), counts)
        place = np.concatenate([range(count) for count in counts]).astype(int)
        moved = (tried == path.points[step]).all(axis=1)
        moved &= (path.points[step] != path.points[step - 1]).any(axis=1)
        taken[step[moved], place[moved]] = tried[moved]
        refused[step[~moved], place[~moved]] = tried[~moved]
    return taken, refused


def ellipses(centre, C):
    """Centre and half axes of the ellipse of one standard deviation: x and y, (n, 3) each."""
    D2, B = np.linalg.eigh(np.where(np.isfinite(C), C, 0))
    axes = B * np.sqrt(np.maximum(D2, 0))[:, None]
    return np.moveaxis(np.concatenate([centre[:, :, None], axes], axis=2), 1, 0)


def _racer(landscape, method, name, colour):
    """The part that runs one method and lays out its path, its loss and its inner state."""

    def compute(x0, y0, steps, seed, against, **own):
        hyper = {setting.split(":")[1]: value for setting, value in own.items()}
        path, held = watch(method, landscape.objective(), np.array([x0, y0]), steps=steps,
                           seed=seed, **hyper)
        x = path.forward_equivalents if against == "cost" else np.arange(len(path) + 1)
        excess = path.losses - landscape.best
        layers = [
            draw.axis("loss", xlabel="cost (forward-equivalents)" if against == "cost" else "step"),
            draw.line("map", *path.points.T, colour=colour, label=name, timed=True),
            draw.line("loss", x, np.where(excess > ARRIVED, excess, np.nan), colour=colour,
                      label=name, timed=True),
            *_probes(path, colour), *_spread(path, held, colour)]
        for title, values in inner_state(held).items():
            group = f"{name}: {title}"
            if title in LOGARITHMIC:
                layers.append(draw.axis("inside", log="y", group=group))
            layers += [draw.line("inside", np.arange(len(v)), v, colour=(colour, draw.GREY)[i],
                                 label=f"coordinate {i + 1}" if len(values) > 1 else title,
                                 group=group, timed=True) for i, v in enumerate(values)]
        return [*layers, draw.status(_verdict(name, path, landscape))]

    return compute


def _probes(path, colour):
    """The questions of each step on the map: dots where the path went on, crosses elsewhere."""
    taken, refused = moves(path)
    if not taken.size:
        return []
    return [draw.frames("map", *np.moveaxis(points, 2, 0), colour=colour, mark=mark)
            for points, mark in ((taken, "dots"), (refused, "crosses"))]


def _spread(path, held, colour):
    """The ellipse of one standard deviation, for a method that holds C or sigma."""
    if "sigma" not in held or held["sigma"].ndim > 1:
        return []
    C = held.get("C", np.broadcast_to(np.eye(2), (len(path) + 1, 2, 2)))
    x, y = ellipses(path.points, held["sigma"][:, None, None] ** 2 * C)
    return [draw.frames("map", x, y, colour=colour, mark="ellipse")]


def _verdict(name, path, landscape):
    end = {"diverged": "diverged", "method": "ended early"}.get(path.stopped, "")
    return (f"{name}: {path.losses[path.best] - landscape.best:.3g} above the minimum at best, "
            f"{len(path)} steps, cost {path.forward_equivalents[-1]}{end and ', ' + end}.")


def _is_numeric(value):
    return isinstance(value, int | float | np.ndarray | np.generic) and np.size(value) <= 4 \
        and np.asarray(value).dtype.kind in "fiub"


def _stacked(values):
    """One array of a variable's values; at time 0, before it existed, it is nan."""
    return np.stack([np.full(values[0].shape, np.nan), *values])


def _may_hold(method):
    """Whether a method has a variable of its own that it might hold something in."""
    while isinstance(method, functools.partial):
        method = method.func
    code = getattr(inspect.unwrap(method), "__code__", None) or type(method).__call__.__code__
    return not {*code.co_varnames, *code.co_cellvars} <= {*inspect.signature(method).parameters}


def _with_hyperparameters(methods):
    """{method: its hyperparameters}, with the numeric defaults where none are given."""
    given = methods if isinstance(methods, dict) else dict.fromkeys(methods)
    for method, hyper in given.items():
        if is_method(method) and hyper:
            check_method(method, hyper)
    return {method: hyper or _defaults(method) for method, hyper in given.items()}


def _defaults(method):
    return {p.name: p.default for p in inspect.signature(method).parameters.values()
            if is_number(p.default)}


def _slider(method, title, name, value):
    check_value(name, value, "(-inf, inf)")  # anything else can be fixed by functools.partial
    low, high, scale = RANGES.get(name, (0, 2 * value or 1, "linear"))
    if scale == "log" and value <= 0 or scale == "near 1" and value >= 1:
        scale = "linear"
    whole = isinstance(value, int) and name == "population"
    return slider(f"{method}:{name}", hyperparameter_title(name), min(low, value),
                  max(high, value), value, scale=scale, whole=whole, group=title)
