"""The values that a setting may have, and how a grid of them is widened and refined."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Knob:
    """The values of a setting: first at(0), at(1), …, at(count - 1), then between and beyond."""

    count: int
    at: Callable[[float], object]
    scale: Callable[[float], float] | None  # on which they are even; None if they have no order
    bounds: tuple[float, float] = (-math.inf, math.inf)  # a best there is at no edge
    fixed: bool = False  # no values but the first


def geometric(low: float, high: float, count: int) -> Knob:
    """The same factor from one value to the next: for learning rates, epsilons, penalties."""
    return _grid(low, high, count, math.log10, lambda z: 10**z, (-math.inf, math.inf))


def near_one(low: float, high: float, count: int) -> Knob:
    """The same factor from one 1 - x to the next, and nothing below 0: for momenta and decays."""
    return _grid(low, high, count, lambda x: -math.log10(1 - x),
                 lambda z: round(1 - 10**-z, 12), (0, math.inf))  # 0 and not 6e-16, or no bound


def linear(low: float, high: float, count: int, *, bounds=(-math.inf, math.inf)) -> Knob:
    """The same distance from one value to the next; it is widened up to its ``bounds``."""
    return _grid(low, high, count, float, float, bounds)


def fixed(values: Iterable, *, bounds=(-math.inf, math.inf)) -> Knob:
    """These values and no others. Names have no order; numbers have, and so an edge."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"a setting to tune needs a grid or a list of values, not {values!r}")
    values = list(values)
    ordered = all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in values)
    return Knob(len(values), values.__getitem__, float if ordered else None, bounds, fixed=True)


def _grid(low, high, count, scale, back, bounds) -> Knob:
    try:
        step = (scale(high) - scale(low)) / (operator.index(count) - 1)
    except (ValueError, TypeError, ZeroDivisionError):  # log of a negative number; 2.5 or 1 values
        step = math.nan
    if not 0 < step < math.inf:
        raise ValueError(f"no grid of {count!r} values from {low} to {high}: it needs two or more, "
                         "from low to high; geometric ones are above 0, those near one below 1")
    floor, ceiling = bounds

    def at(i):  # six digits read well, and are the same on every processor
        return float(f"{min(max(back(scale(low) + i * step), floor), ceiling):.6g}")

    return Knob(count, at, scale, bounds)
