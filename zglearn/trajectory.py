"""`run` drives any method on any objective and returns what happened, step by step."""

from __future__ import annotations

import difflib
import inspect
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from .objective import FORWARD_COST, GRADIENT_COST, BudgetExhausted, Objective
from .progress_bar import progress_bar

IDLE_STEPS = 1000  # a method that asks nothing for so long will never spend its budget
LONG = 1.0  # seconds: work that took less is not worth keeping when the user asks to stop
interrupted: list[float] = []  # when a user asked to stop and a run returned what it had reached
PEEK = 2**15  # numbers in the points whose losses are looked up together after the run


@dataclass(frozen=True)
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
        ``method(f, x, *, ...)`` or, if it is random, ``method(f, x, rng, *, ...)``.
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
        iterate of the wrong shape, or a loss that is nan where it should not be. What the
        objective itself raises passes through, with a note that says in which step.
    """
    f = f if isinstance(f, Objective) else Objective(f)
    x0 = _start_point(x0)
    _check_length("steps", steps)
    _check_length("budget", budget)
    if steps is None and budget is None:
        raise ValueError("say how long to run: steps=100, or budget=300 forward-equivalents")
    iterates = _start(method, f, x0.copy(), seed, hyper)
    if np.isnan(f.peek(x0)):
        raise ValueError("the loss is nan at the start point")

    points, ledger, tried = [x0], [(0, 0)], []
    spent, first = (f.evaluations, f.gradients), f.forward_equivalents
    before = f._limit, f._watch
    f._limit = None if budget is None else f.forward_equivalents + budget
    f._watch = [] if x0.size == 2 else None
    stopped = "steps"
    try:
        with interrupts() as asked, progress_bar(steps or budget, progress) as bar:
            while steps is None or len(points) <= steps:
                f.next_batch()
                with np.errstate(over="ignore", invalid="ignore"):  # said once, by `stopped`
                    x = np.array(next(iterates), dtype=x0.dtype)
                if x.shape != x0.shape:
                    raise ValueError(f"{method.__name__} yielded shape {x.shape}, "
                                     f"but the start point has {x0.shape}")
                if not np.isfinite(x).all():
                    stopped = "diverged"
                    break
                if steps is None and len(points) > IDLE_STEPS and ledger[-IDLE_STEPS] == ledger[-1]:
                    raise ValueError(f"{method.__name__} asked nothing in {IDLE_STEPS} steps, so "
                                     "its budget would last for ever: say steps= as well")
                points.append(x)
                ledger.append((f.evaluations - spent[0], f.gradients - spent[1]))
                if f._watch is not None:
                    tried.append(np.array(f._watch).reshape(-1, 2))
                    f._watch = []
                bar.update((len(points) - 1 if steps else f.forward_equivalents - first) - bar.n)
                if asked:
                    stopped = "interrupted"
                    break
    except BudgetExhausted:
        stopped = "budget"
        if len(points) == 1:
            raise ValueError(f"a budget of {budget} does not pay for one step of "
                             f"{method.__name__}: give it more forward-equivalents") from None
    except StopIteration:
        stopped = "method"
    except Exception as error:
        error.add_note(f"This happened in step {len(points)} of {method.__name__}.")
        raise
    finally:
        f._limit, f._watch = before
        iterates.close()
    evaluations, gradients = np.array(ledger).T
    points = np.array(points)
    return Trajectory(points, _losses(f, points), evaluations, gradients, tuple(tried), stopped)


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
    if not inspect.isgeneratorfunction(method):
        name = getattr(method, "__name__", repr(method))
        raise TypeError(f"{name} is not a generator function: a method yields each new point")
    parameters = inspect.signature(method).parameters
    takes_rng = "rng" in parameters
    known = [p for p in list(parameters)[2:] if p != "rng"]
    for name, value in hyper.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise TypeError(f"{method.__name__} has no hyperparameter {name!r}: it has "
                            f"{', '.join(known) or 'none'}.{hint}")
        if isinstance(parameters[name].default, float) and not _is_finite(value):
            raise ValueError(f"{name} must be a finite number, not {value!r}")
    rng = (np.random.default_rng(seed),) if takes_rng else ()
    return method(f, x, *rng, **hyper)


def _is_finite(value) -> bool:
    try:
        return bool(np.isfinite(np.asarray(value, dtype=float)).all())
    except (TypeError, ValueError):
        return False


def _start_point(x0) -> np.ndarray:
    x0 = np.asarray(x0)
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
