"""Equal tuning: as many trials for every contender, and no best at the edge of its grid."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .. import trajectory
from ..progress_bar import track
from .grids import Knob, fixed

SAME = 1e-3  # losses that differ by less than this share count as the same
FINEST = 2**-8  # of a step of the first grid: closer than that, nobody looks


class Scored(NamedTuple):
    """What a validation loss may return: with the losses, what they cost, and their curves."""

    losses: float | Sequence[float]
    cost: float = math.nan  # forward-equivalents
    curves: Sequence = ()  # one for each seed, for `earliest`


@dataclass(frozen=True, eq=False)
class Trial:
    """Settings that were tried. ``losses`` (seeds,) are inf where the run diverged."""

    settings: dict
    losses: np.ndarray
    cost: float = math.nan
    curves: Sequence = field(default=(), repr=False)

    @property
    def loss(self) -> float:
        """The median over the seeds."""
        return float(np.median(self.losses))


@dataclass(frozen=True, eq=False, repr=False)
class Tuned:
    """A contender's ``trials`` and the ``best`` of them, whose loss flatters, being the lowest of
    many: what is reported comes from other data."""

    best: Trial
    trials: list[Trial]
    knobs: dict[str, Knob]

    @property
    def settings(self) -> dict:
        return self.best.settings

    @property
    def cost(self) -> float:
        """Forward-equivalents of all trials; nan if they were not told."""
        return sum(trial.cost for trial in self.trials)

    def good(self, knob: str, within: float = 0.1) -> tuple[float, float]:
        """The range of ``knob`` around the best in which the loss, with the other knobs as they
        suit each value, is higher by no more than this share. It is at least so wide: it ends with
        a value that was tried."""
        if self.knobs[knob].scale is None:
            raise ValueError(f"the values of {knob} have no order, and so no range")
        lowest = {}
        for trial in self.trials:
            x = trial.settings[knob]
            lowest[x] = min(trial.loss, lowest.get(x, math.inf))
        values, limit = sorted(lowest), self.best.loss + within * abs(self.best.loss)
        i = values.index(self.settings[knob])
        is_good = [lowest[x] <= limit for x in values]
        below = itertools.takewhile(is_good.__getitem__, range(i, -1, -1))
        above = itertools.takewhile(is_good.__getitem__, range(i, len(values)))
        return values[min(below)], values[max(above)]

    def width(self, knob: str, within: float = 0.1) -> float:
        """Of the `good` range: in decades of x (`geometric`), of 1 - x (`near_one`), or in x."""
        low, high = map(self.knobs[knob].scale, self.good(knob, within))
        return high - low

    def __repr__(self) -> str:
        told_good = []
        for name, knob in self.knobs.items():
            good = " (good: {:.3g} to {:.3g})".format(*self.good(name)) if knob.scale else ""
            told_good.append(told({name: self.settings[name]}) + good)
        cost = "" if math.isnan(self.cost) else f" for {self.cost:,.0f} forward-equivalents"
        return (f"loss {self.best.loss:.4g} with {', '.join(told_good)}; {len(self.trials)} trials"
                f"{cost}")


class Tuning(dict):
    """``{contender: Tuned}``, which prints one line for each."""

    def __repr__(self) -> str:
        return "\n".join(f"{_name(contender):17} {tuned!r}" for contender, tuned in self.items())


class AtTheEdge(ValueError):
    """The best lies at the edge of what was tried. ``tuning`` holds all results."""

    tuning: Tuning | None = None


def tune(validation_loss: Callable, contenders: dict, *, trials: int,
         kept: dict | None = None) -> Tuning:
    """Tune every contender with the same number of trials, and return no best at an edge.

    Each tries its grid first, then what is nearest to its best and not yet tried: one step of the
    grid away, which widens the grid where the best lies at its edge; then half a step; and so on.
    So whoever has one knob gets a finer grid than whoever has two.

    Parameters
    ----------
    validation_loss : callable
        ``validation_loss(contender, **settings)``, on validation data, lower is better: a number,
        or one for each seed (the same in every trial; the median counts), or `Scored`. What is
        not finite loses: it diverged, or did not arrive.
    contenders : dict
        ``{contender: {knob: values}}``. The values are `geometric`, `near_one`, `linear` or a list
        (`fixed`). A contender is a method, or a name that ``validation_loss`` understands.
    trials : int
        Of each contender: at least as many as its grid has points.
    kept : dict, optional
        Takes every result as it comes, and what it holds is not tried again: after an interrupt,
        or to give more trials, call again with the same dict and the same validation loss.

    Raises
    ------
    AtTheEdge
        If the best value of a knob is still the lowest or highest that was tried, is no bound, and
        none inside is as good to a thousandth.
    ValueError
        For knobs, trials or losses that cannot be used, or a whole grid without a finite loss.
    """
    kept = {} if kept is None else kept
    knobs = {one: _checked(one, given, trials) for one, given in contenders.items()}
    if not knobs:
        raise ValueError("no contenders: give {contender: {knob: values}}")
    tried = {one: [] for one in knobs}
    searches = {one: _search(one, knobs[one], tried[one]) for one in knobs}
    for _ in track(range(trials), "trials of each"):  # in step, so that nobody can have more
        for one, search in searches.items():
            settings = next(search, None)
            if settings is None:
                raise ValueError(f"{_name(one)} has no more than {len(tried[one])} settings, so "
                                 f"trials={trials} cannot be equal for all: choose fewer")
            key = (one, *settings.items())
            if key not in kept:
                kept[key] = _try(validation_loss, one, settings)
            tried[one].append(kept[key])
            if len(kept[key].losses) != len(tried[one][0].losses):
                raise ValueError(f"{_name(one)} had {len(tried[one][0].losses)} losses at first "
                                 f"and {len(kept[key].losses)} now: use the same seeds every time")
    tuning = Tuning({one: Tuned(best(tried[one], knobs[one]), tried[one], knobs[one])
                     for one in knobs})
    found = [f"{_name(one)} with {', '.join(there)}" for one, tuned in tuning.items()
             if (there := edges(tuned.best, tuned.trials, tuned.knobs))]
    if found:
        error = AtTheEdge(f"the best lies at the edge of what was tried: {'; '.join(found)}. Move "
                          f"that grid, or give every contender more trials than {trials}")
        error.tuning = tuning
        raise error
    return tuning


def _search(contender, knobs, trials) -> Iterator[dict]:
    """What to try next, again and again; ``trials`` holds what came of it so far."""
    seen = {}  # {values: position}

    def news(positions):
        for position in positions:
            values = tuple(knob.at(i) for knob, i in zip(knobs.values(), position, strict=True))
            if values not in seen:
                seen[values] = position
                yield dict(zip(knobs, values, strict=True))

    yield from news(itertools.product(*(range(knob.count) for knob in knobs.values())))
    step = 1.0
    while step >= FINEST:
        centre = best(trials, knobs)
        if centre.loss == math.inf:
            raise ValueError(f"no finite loss in the whole grid of {_name(contender)}: move it "
                             "(down, if runs diverged), or make it finer")
        centre, moves = seen[tuple(centre.settings.values())], np.arange(-1, 1 + step, step)
        around = itertools.product(*([i] if knob.fixed else i + moves
                                     for knob, i in zip(knobs.values(), centre, strict=True)))
        settings = next(news(sorted(around, key=lambda p: math.dist(p, centre))), None)
        if settings:
            yield settings
        else:
            step /= 2


def best(trials, knobs) -> Trial:
    """The first with the lowest loss, and rather one inside of what was tried. What is the same to
    a thousandth is the same, so that no rounding, and no processor, decides."""
    lowest = min(trial.loss for trial in trials)
    same = [trial for trial in trials if trial.loss <= lowest + SAME * abs(lowest)]
    inside = [trial for trial in same if not edges(trial, trials, knobs)]
    return (inside or same)[0]


def edges(trial, trials, knobs) -> list[str]:
    """Those of its values that are the lowest or the highest tried, and no bound."""
    found = []
    for name, knob in knobs.items():
        x, values = trial.settings[name], [t.settings[name] for t in trials]
        if knob.scale and x in (min(values), max(values)) and x not in knob.bounds:
            found.append(f"{name} = {x:.4g}")
    return found


def _try(validation_loss, contender, settings) -> Trial:
    stops = len(trajectory.interrupted)
    answer = validation_loss(contender, **settings)
    if len(trajectory.interrupted) > stops:
        raise KeyboardInterrupt  # what a run that was cut short has reached is no result
    answer = answer if isinstance(answer, Scored) else Scored(answer)
    losses = np.atleast_1d(np.asarray(answer.losses, dtype=float))
    if losses.ndim != 1 or not losses.size:
        raise ValueError(f"{_name(contender)} with {told(settings)}: a validation loss is a number "
                         f"or one for each seed, not of shape {losses.shape}")
    return Trial(settings, np.where(np.isfinite(losses), losses, math.inf), *answer[1:])


def _checked(contender, knobs, trials) -> dict[str, Knob]:
    if not knobs:
        raise ValueError(f"{_name(contender)} has no knob: give it one, or run it apart and say "
                         "that it is not tuned")
    knobs = {name: knob if isinstance(knob, Knob) else fixed(knob) for name, knob in knobs.items()}
    points = math.prod(knob.count for knob in knobs.values())
    if not points:
        raise ValueError(f"{_name(contender)} has a knob without values")
    if not isinstance(trials, numbers.Integral) or trials < points:
        raise ValueError(f"{_name(contender)} has a grid of {points} points, so trials must be a "
                         f"whole number from there on, not {trials!r}")
    return knobs


def _name(contender) -> str:
    return getattr(contender, "__name__", str(contender))


def told(settings) -> str:
    """Settings as a sentence has them."""
    return ", ".join(f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}"
                     for name, value in settings.items())
