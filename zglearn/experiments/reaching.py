"""What it costs to reach a level: the price, with its spread and with those who never paid it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..trajectory import Trajectory
from .tuning import AtTheEdge, Trial, Tuned, best, edges, told


@dataclass(frozen=True, eq=False, repr=False)
class Reached:
    """What a loss of ``level`` cost: ``costs`` (seeds,) are inf where it was not reached for what
    was ``spent`` (seeds,). ``settings`` are those that `earliest` found."""

    level: float
    costs: np.ndarray
    spent: np.ndarray
    settings: dict = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Over all seeds: inf unless more than half of them arrived."""
        return float(np.median(self.costs))

    def __repr__(self) -> str:
        there = self.costs[self.costs < math.inf]
        spread = f", at {there.min():,g} to {there.max():,g}" if len(there) else ""
        return (f"loss {self.level:.4g} at a median cost "
                + (f"of {self.median:,g}" if self.median < math.inf else "that was not reached")
                + f" (by {len(there)} of {len(self.costs)} seeds{spread})"
                + (f", with {told(self.settings)}" if self.settings else ""))


def reach(curves, level: float) -> Reached:
    """The lowest cost at which the loss is at or below ``level``, for each seed.

    Parameters
    ----------
    curves : sequence
        For each seed a `Trajectory`, whose costs are forward-equivalents, or two arrays (n,),
        costs and losses. A loss that is nan is no loss.
    level : float
        The same for all rivals. Of what rises, such as an accuracy, give the negative.

    Raises
    ------
    ValueError
        For no curves, unequal lengths, costs that fall, or a level that is not finite.
    """
    if not len(curves) or not math.isfinite(level):
        raise ValueError(f"give one curve or more and a finite level: got {len(curves)}, {level}")
    costs, spent = [], []
    for curve in curves:
        if isinstance(curve, Trajectory):
            curve = curve.forward_equivalents, curve.losses
        cost, losses = (np.asarray(part, dtype=float) for part in curve)
        fits = cost.ndim == 1 and cost.size and cost.shape == losses.shape
        if not fits or (np.diff(cost) < 0).any():
            raise ValueError("a curve is two arrays (n,): costs, which never fall, and losses")
        there = losses <= level
        costs.append(cost[there.argmax()] if there.any() else math.inf)
        spent.append(cost[-1])
    return Reached(float(level), np.array(costs), np.array(spent))


def earliest(tuned: Tuned, level: float) -> Reached:
    """`reach` with those of all settings tried that arrive first, in the median over the seeds.

    It is chosen on what is reported, so it flatters; all rivals alike, if their trials were as
    many. The trials need curves: see `Scored`. An edge is refused as in `tune`.
    """
    if not all(len(trial.curves) for trial in tuned.trials):
        raise ValueError("no curves: let the validation loss return Scored(losses, cost, curves)")
    found = [replace(reach(t.curves, level), settings=t.settings) for t in tuned.trials]
    trials = [Trial(reached.settings, reached.costs) for reached in found]
    first = best(trials, tuned.knobs)
    if first.loss < math.inf and (there := edges(first, trials, tuned.knobs)):
        raise AtTheEdge(f"the earliest lies at the edge of what was tried: {', '.join(there)}. "
                        "Tune for it: let the validation loss return reach(…).costs")
    return found[trials.index(first)]
