"""`run` drives any method on any objective and returns what happened, step by step."""

from __future__ import annotations

import inspect
import math
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from .hyperparameters import check_method, is_method, is_ours, method_name
from .objective import FORWARD_COST, GRADIENT_COST, BudgetExhausted, Objective, without_mask
from .progress_bar import progress_bar

IDLE_STEPS = 1000  # a method that asks nothing for so long will never spend its budget
LONG = 1.0  # seconds: work that took less is not worth keeping when the user asks to stop
interrupted: list[float] = []  # when a user asked to stop and a run returned what it had reached
PEEK = 2**15  # numbers in the points whose losses are looked up together after the run
# Those of the methods without a gradient that have no reason to stay where they are.
RESTLESS = {"evolution_strategy", "cma_es", "sep_cma_es", "spsa", "mezo"}


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The path of one run. Entry 0 is the start point, before any question was asked.

    Attributes
    ----------
    points : array (n + 1, d)
        The iterates, copied.
    losses : array (n + 1,)
        Their losses, which the run was not charged for.
    evaluations, gradients : int arrays (n + 1,)
        What the run had asked by then, counted from its own start.
    tried : tuple of n arrays (k, 2)
        In two dimensions, the points whose loss was asked in each step; empty otherwise.
    stopped : str
        Why the run ended: "steps", "budget", "method" (the generator ended), "diverged" or
        "interrupted".
    """

    points: np.ndarray
    losses: np.ndarray
    evaluations: np.ndarray
    gradients: np.ndarray
    tried: tuple[np.ndarray, ...] = field(repr=False)
    stopped: str

    @property
    def forward_equivalents(self) -> np.ndarray:
        """Cost by then, int array (n + 1,): 1 for an evaluation, 3 for a gradient."""
        return FORWARD_COST * self.evaluations + GRADIENT_COST * self.gradients

    @property
    def best(self) -> int:
        """The index of the lowest loss."""
        return int(np.nanargmin(self.losses))

    def steps_to(self, loss: float) -> int | None:
        """Steps until the loss first was at or below ``loss``; None if it never was."""
        below = np.flatnonzero(self.losses <= loss)
        return int(below[0]) if below.size else None

    def __len__(self) -> int:
        return len(self.points) - 1

    def __repr__(self) -> str:
        first, last = self.losses[[0, -1]]
        return (f"Trajectory({len(self)} steps, loss {first:.4g} -> {last:.4g}, "
                f"{self.forward_equivalents[-1]} forward-equivalents, stopped: {self.stopped})")


def run(method: Callable, f: Objective | Callable, x0, *, steps: int | None = None,
        budget: int | None = None, seed: int | None = None, progress: bool = False,
        **hyper) -> Trajectory:
    """Run ``method`` on ``f`` from ``x0`` for a number of steps, or until a budget is spent.

    Parameters
    ----------
    method : generator function
        ``method(f, x, *, ...)`` or, if it is random, ``method(f, x, rng, *, ...)``. It may run
        others on ``f``: what they ask is charged to this run, and they end with its budget.
    f : Objective, or a plain loss function (then it has no gradient)
    x0 : array-like (d,)
        The start point. It is copied, never changed.
    steps, budget : int
        At least one is needed. The budget is in forward-equivalents and is never exceeded: a
        step that it cannot pay in full is not taken.
    seed : int, optional
        The same seed gives the same path.
    progress : bool
        Show a bar. Bar or not, an interrupt (Ctrl-C, the notebook's stop button) ends a run that
        has lasted a second after the step at hand, and the path so far is returned.
    **hyper
        The method's own hyperparameters.

    Returns
    -------
    Trajectory
        A path that runs off to infinity ends there, with ``stopped == "diverged"``.

    Raises
    ------
    TypeError
        For a hyperparameter that the method does not have.
    ValueError
        For a start point, number of steps, budget or hyperparameter that cannot be used, an
        iterate of the wrong shape, or a loss or iterate that is nan where it should not be. What
        the objective itself raises passes through, with a note that says in which step.

    Warns
    -----
    RuntimeWarning
        If x stood still because of the numbers' range: no step moved it, or none after the
        method's own arithmetic had overflowed.
    """
    f = f if isinstance(f, Objective) else Objective(f)
    x0 = _start_point(x0)
    _check_length("steps", steps)
    _check_length("budget", budget)
    if steps is None and budget is None:
        raise ValueError("say how long to run: steps=100, or budget=300 forward-equivalents")
    iterates, name = _start(method, f, x0.copy(), seed, hyper), method_name(method)
    if np.isnan(f.peek(x0)):
        raise ValueError("the loss is nan at the start point")

    points, ledger, tried = [x0], [(0, 0)], []
    spent, first = (f.evaluations, f.gradients), f.forward_equivalents
    around = f._limit, f._watch  # those of a run in whose course this one takes place
    end = math.inf if budget is None else first + budget
    f._limit = end if f._limit is None else min(end, f._limit)
    f._watch = [] if f._watch is None and x0.size == 2 else f._watch
    watched = 0 if f._watch is None else len(f._watch)
    stopped, over, f._sloped = "steps", _Overflow(f, points), False
    try:
        with interrupts() as asked, progress_bar(steps or budget, progress) as bar:
            while steps is None or len(points) <= steps:
                f.next_batch()
                f._strange = over.invalid = False
                with np.errstate(over="call", invalid="call", call=over):
                    x = _real(next(iterates), name).astype(x0.dtype)  # a copy
                if x.shape != x0.shape:
                    raise ValueError(f"{name} yielded shape {x.shape}, "
                                     f"but the start point has {x0.shape}")
                if not np.isfinite(x).all():
                    if over.invalid and not f._strange and _fell(f, points):
                        why = (f"it overflowed {x0.dtype}" if over.steps else
                               "it divided 0 by 0, or took the root of a negative number")
                        raise ValueError(f"{name} made nan of finite losses and gradients: {why}")
                    stopped = "diverged"
                    break
                if steps is None and len(points) > IDLE_STEPS and ledger[-IDLE_STEPS] == ledger[-1]:
                    raise ValueError(f"{name} asked nothing in {IDLE_STEPS} steps, so "
                                     "its budget would last for ever: say steps= as well")
                points.append(x)
                ledger.append((f.evaluations - spent[0], f.gradients - spent[1]))
                if f._watch is not None:
                    tried.append(np.array(f._watch[watched:]).reshape(-1, 2))
                    watched = len(f._watch)
                bar.update((len(points) - 1 if steps else f.forward_equivalents - first) - bar.n)
                if asked:
                    stopped = "interrupted"
                    break
    except BudgetExhausted as exhausted:
        if exhausted.args != (f,) or f._limit < end:  # it is not the budget of this run
            raise
        stopped = "budget"
        if len(points) == 1:
            raise ValueError(f"a budget of {budget} does not pay for one step of "
                             f"{name}: give it more forward-equivalents") from None
    except StopIteration:
        stopped = "method"
    except Exception as error:
        error.add_note(f"This happened in step {len(points)} of {name}.")
        raise
    finally:
        f._limit, f._watch = around
        iterates.close()
    evaluations, gradients = np.array(ledger).T
    points = np.array(points)
    still = points[over.steps[0] - 1 if over.steps else 0:]
    if len(still) > 1 and (still[-1] == still[0]).all() and (still == still[0]).all() and (
            stopped != "diverged"):
        _warn_of_standstill(method, f, still[0], gradients[-1], over.steps, hyper)
    return Trajectory(points, _losses(f, points), evaluations, gradients, tuple(tried), stopped)


class _Overflow:
    """What numpy calls where a method's arithmetic overflows or makes nan; the user's functions
    may, for what is wrong with their answers is said elsewhere."""

    def __init__(self, f, points):
        self.f, self.points, self.steps, self.invalid = f, points, [], False

    def __call__(self, kind, _):
        if not self.f._asking and kind == "overflow":
            self.steps.append(len(self.points))
        elif not self.f._asking:
            self.invalid = True


def _fell(f, points) -> bool:
    """Whether the loss is no higher than at the start."""
    with np.errstate(over="ignore", invalid="ignore"):
        return f.peek(points[-1]) <= f.peek(points[0])


def _warn_of_standstill(method, f, x, gradients, overflows, hyper):
    """Say so where x stood still from the start, or from an overflow on, and should not have."""
    name, kind = method_name(method), x.dtype
    if overflows:
        why = (f"{name} overflowed {kind} in step {overflows[0]}, and x did not move any more: "
               "scale the loss, or start from a point in float64")
    elif not np.any(hyper.get("lr", 1)):
        return
    elif name in RESTLESS or f._sloped:
        why = (f"{name} did not move x in any step: they were zero, or too small to change x in "
               f"{kind}")
    elif is_ours(method) and not gradients and _tries_nothing_else(method, x, hyper):
        why = f"{name} tries only points that are x itself in {kind}: its steps are too small"
    else:
        return
    warnings.warn(why, RuntimeWarning, stacklevel=3)


def _tries_nothing_else(method, x, hyper) -> bool:
    asked = []
    next(_start(method, Objective(lambda y: asked.append(y) or 0.0), x.copy(), 0, hyper))
    return all((y == x).all() for y in asked)


@contextmanager
def interrupts():
    """A list that fills when the user asks to stop (Ctrl-C, the notebook's stop button).

    The step at hand can then be finished and what was reached be kept. Who asks twice is obeyed at
    once, and so is who asks in the first second: of a loop over short runs, the loop is meant.
    """
    asked, start = [], time.monotonic()

    def note(*_):
        if asked or time.monotonic() - start < LONG:
            raise KeyboardInterrupt
        asked.append(True)
        interrupted.append(time.monotonic())

    if threading.current_thread() is not threading.main_thread():  # only there can it be asked
        yield asked
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        print("Interrupted: here is what was reached. Interrupt twice to stop everything.",
              file=sys.stderr)


def _losses(f, points):
    """The losses along a path, looked up in blocks: as fast as can be, and in little memory."""
    rows = max(1, PEEK // points.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate([f.peek(points[i : i + rows]) for i in range(0, len(points), rows)])


def _start(method, f, x, seed, hyper):
    """The method's generator, with its name and hyperparameters checked first."""
    if not is_method(method):
        raise TypeError(f"{method_name(method)} is not a generator function: a method yields each "
                        "new point")
    check_method(method, hyper)
    if is_ours(method):
        hyper = {key: _on_copies(value) if callable(value) else value
                 for key, value in hyper.items()}
    takes_rng = "rng" in inspect.signature(method).parameters
    return method(f, x, *((np.random.default_rng(seed),) if takes_rng else ()), **hyper)


def _on_copies(function):
    """A user's function that may write into what it is given, and later into what it returned."""
    return lambda *args: np.array(function(*(
        a.copy() if isinstance(a, np.ndarray) else a for a in args)))


def _real(x, name) -> np.ndarray:
    x = np.asarray(without_mask(x, f"what {name} yielded"))
    if x.dtype.kind in "cUSmM":
        raise ValueError(f"{name} must yield real numbers, not {x.dtype}")
    return x


def _start_point(x0) -> np.ndarray:
    x0 = np.asarray(without_mask(x0, "the start point"))
    if x0.ndim != 1 or x0.size == 0:
        raise ValueError(f"the start point needs shape (d,): got {x0.shape}")
    if x0.dtype.kind not in "fiu":
        raise ValueError(f"the start point must hold real numbers, not {x0.dtype}")
    x0 = np.array(x0, dtype=x0.dtype if x0.dtype == np.float32 else float)
    if not np.isfinite(x0).all():
        raise ValueError("the start point holds nan or infinity")
    return x0


def _check_length(name, value) -> None:
    if value is None:
        return
    whole = isinstance(value, (int, float, np.number)) and math.isfinite(value) and value % 1 == 0
    if isinstance(value, bool) or not whole or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
