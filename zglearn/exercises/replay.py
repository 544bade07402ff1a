"""How an answer that is a method is walked along a landscape, so that its path can be laid beside
another: a class with a `step`, a function that returns a whole path, a generator of iterates.

An author says it with the exercise:

    @exercise("04.3", ..., replay=by_steps("Momentum", {"lr": 0.01, "beta": 0.9},
                                           {"velocity": ("velocity", "v")}))

`holds` names what the method carries along, in the order in which it is computed, and what it may
be called; the first name is the solution's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

MOST = 8  # the numbers that one quantity may have


@dataclass(frozen=True)
class Replay:
    """The learner's name for the method, its hyperparameters, what it holds, and how it is driven.

    ``drive(made, f, x, **hyper)`` yields, step by step, the point and {name: what is held there}.
    """

    name: str
    hyper: Mapping[str, float]
    holds: Mapping[str, tuple[str, ...]]
    drive: Callable[..., Iterator[tuple[np.ndarray, dict]]] = field(repr=False)


def by_steps(name, hyper, holds, *, shape=(-1,)) -> Replay:
    """A class: ``Momentum(lr, beta)``, and ``step(weights, gradient)`` returns the new weights.

    Both come in `shape`.
    """
    def drive(made, f, x, **hyper):
        optimizer = made(*hyper.values())
        while True:
            weights, gradient = x.reshape(shape).copy(), f.grad(x).reshape(shape)
            x = _point(optimizer.step(weights, gradient))
            yield x, _numbers(_attributes(optimizer))

    return Replay(name, hyper, holds, drive)


def _attributes(made) -> dict:
    """What an object keeps, in slots or not."""
    slots = [name for kind in type(made).__mro__ for name in getattr(kind, "__slots__", ())]
    return {name: getattr(made, name) for name in [*slots, *getattr(made, "__dict__", ())]
            if hasattr(made, name)}


def by_path(name, hyper, holds, call) -> Replay:
    """A function that returns all points, the start included.

    ``call(made, gradient, gradients, x0, steps, **hyper)`` calls it: with the gradient as a
    function, or with the gradients met so far, (steps, d). It is called anew for each step, and
    what it holds is what its local variables are when it returns.
    """
    def drive(made, f, x, **hyper):
        x0, gradients = x, []
        while True:
            gradients.append(f.grad(x))
            points, held = _watched(made, lambda: call(
                made, f.grad, np.array(gradients), x0.copy(), len(gradients), **hyper))
            x = _point(points[len(gradients)])
            yield x, _numbers(held)

    return Replay(name, hyper, holds, drive)


def by_iterates(name, hyper, holds) -> Replay:
    """A generator of iterates, ``method(f, x, *, ...)``."""
    def drive(made, f, x, **hyper):
        iterates = made(f, x.copy(), **hyper)
        for point in iterates:
            yield _point(point), _numbers(iterates.gi_frame.f_locals)

    return Replay(name, hyper, holds, drive)


class NoPoint(Exception):
    """What came is no point."""


def _point(x) -> np.ndarray:
    if x is None:
        raise NoPoint("nothing came back (None)")
    return np.array(x, dtype=float).ravel()


def _numbers(held: Mapping) -> dict:
    """The numbers and small arrays among some variables, copied; those in a dict, too."""
    found = {}
    for name, value in held.items():
        inside = value.items() if isinstance(value, dict) else [("", value)]
        for key, number in inside:
            if isinstance(number, int | float | np.ndarray | np.generic) and (
                    np.asarray(number).dtype.kind in "fiu" and np.size(number) <= MOST):
                found[f"{name}[{key!r}]" if key != "" else name] = np.ravel(number).astype(float)
    return found


def _watched(function, work):
    """What ``work()`` returns, and the local variables with which `function` returned in it."""
    held, before = {}, sys.getprofile()

    def look(frame, event, _):
        if event == "return" and frame.f_code is getattr(function, "__code__", None):
            held.update(frame.f_locals)

    sys.setprofile(look)
    try:
        return work(), held
    finally:
        sys.setprofile(before)
