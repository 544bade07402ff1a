"""The objective: a loss that counts and remembers the questions it is asked.

Every comparison in the course is a comparison of cost, so every method asks its questions here.
The unit is the *forward-equivalent*: one evaluation of the loss costs 1, one gradient costs 3
(a forward and a backward pass; the chapters measure 2.4 to 2.9, so 3 slightly favours the
methods that use no gradient).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

FORWARD_COST = 1
GRADIENT_COST = 3


class GradientForbidden(RuntimeError):
    """Raised when a method asks an objective without a gradient for its gradient."""


class BudgetExhausted(BaseException):
    """Raised inside `run` by the question that would have cost more than is left, with the
    objective that was asked. Not an Exception, so that methods do not catch it."""


class Objective:
    """A function to minimise, with a ledger of what was asked.

    Parameters
    ----------
    loss : callable
        ``loss(x)`` for a point of shape (d,) returns a number. With ``batched=True`` it also takes
        points of shape (population, d) and returns losses of shape (population,).
    grad : callable, optional
        ``grad(x)`` returns the gradient, shape (d,). Without it the objective is a black box.
    batched : bool
        Whether ``loss`` answers a whole population in one call. If not, it is asked row by row.
    batches : iterator of tuples of arrays, optional
        For training: each step draws the next batch, and ``loss(x, *batch)`` and
        ``grad(x, *batch)`` are asked about it. All questions of one step share the batch, so
        that the two probes of a difference see the same data.

    Attributes
    ----------
    evaluations, gradients : int
        Points at which the loss, or the gradient, was asked. A population of p counts p.
    examples : int
        Training examples that these questions read (0 without ``batches``).
    forward_equivalents : int
        ``evaluations + 3 * gradients``.
    """

    def __init__(
        self,
        loss: Callable,
        grad: Callable | None = None,
        *,
        batched: bool = False,
        batches: Iterator[tuple] | None = None,
    ):
        if not callable(loss):
            raise TypeError(f"loss must be a function of a point, not {type(loss).__name__}")
        if grad is not None and not callable(grad):
            raise TypeError(f"grad must be a function of a point, not {type(grad).__name__}")
        self._loss, self._grad, self._batched = loss, grad, batched
        if batches is not None and not isinstance(batches, Iterator):
            raise TypeError("batches must be an iterator that never ends, such as "
                            "itertools.cycle(batches)")
        self._batches, self._batch = batches, ()
        self._limit: int | None = None  # what `run` sets while it lasts: the budget's end,
        self._watch: list | None = None  # the points asked,
        self._asking = False  # whether it is the user's function that computes,
        self._strange = False  # whether an answer was not finite,
        self._sloped = False  # and whether a gradient was not zero
        self.evaluations = self.gradients = self.examples = 0
        if batches is not None:
            self.next_batch()

    @property
    def forward_equivalents(self) -> int:
        return FORWARD_COST * self.evaluations + GRADIENT_COST * self.gradients

    @property
    def has_gradient(self) -> bool:
        return self._grad is not None

    def __call__(self, x):
        """The loss at ``x``: a float for shape (d,), an array (population,) for (population, d)."""
        x = _checked(x)
        points = 1 if x.ndim == 1 else len(x)
        self._charge(points, FORWARD_COST)
        self.evaluations += points
        if self._watch is not None:
            self._watch.extend(np.array(row) for row in np.atleast_2d(x))
        loss = self._losses(x.copy())
        if not _all_finite(loss):
            self._strange = True
            if np.isnan(loss).any() and np.isfinite(x).all():
                raise ValueError("the loss is nan at a finite point: look for 0/0, log of a "
                                 "negative number or inf - inf in it")
        return loss

    def grad(self, x) -> np.ndarray:
        """The gradient at ``x``, shape (d,). Raises GradientForbidden if there is none."""
        if self._grad is None:
            raise GradientForbidden(
                "this objective has no gradient: it only answers f(x). "
                "Use a method from zglearn.gradient_free_methods."
            )
        x = _checked(x)
        if x.ndim != 1:
            raise ValueError(f"ask for the gradient one point at a time: got shape {x.shape}")
        self._charge(1, GRADIENT_COST)
        self.gradients += 1
        g = _answer(self._ask(self._grad, x.copy()), "gradient", x.dtype, x.shape)
        self._sloped = self._sloped or bool(g.any())
        if not _all_finite(g):
            self._strange = True
            if np.isnan(g).any() and np.isfinite(x).all() and np.isfinite(self.peek(x)):
                raise ValueError("the gradient is nan where the loss is finite: look for 0/0, the "
                                 "root of 0 or inf - inf in it")
        return g

    def peek(self, x):
        """The loss at ``x`` without counting it: for plots and reports, never for a method.

        Where the loss is nan, this says nan: a report can show a hole.
        """
        return self._losses(_checked(x).copy())

    def next_batch(self) -> None:
        """Draw the batch that the next step's questions share. `run` calls it once a step."""
        if self._batches is not None:
            self._batch = next(self._batches, None)
            if self._batch is None:
                raise ValueError("the batches ran out: give an iterator that never ends")
            if not isinstance(self._batch, tuple):
                raise TypeError("each batch must be a tuple of arrays, such as (X, y), not "
                                f"{type(self._batch).__name__}")

    def _losses(self, x):
        """The losses at x, which belongs to the user's function: it may write into it."""
        if x.ndim == 2 and not self._batched:
            return np.array([self._losses(row) for row in x])
        loss = _answer(self._ask(self._loss, x), "loss", float, x.shape[:-1])
        return float(loss) if loss.ndim == 0 else loss

    def _ask(self, function, x):
        self._asking = True
        try:
            return function(x, *self._batch)
        except StopIteration as error:  # a method is a generator, which it would seem to end
            raise RuntimeError("the objective's function raised StopIteration") from error
        finally:
            self._asking = False

    def _charge(self, points: int, cost: int) -> None:
        if self._limit is not None and self.forward_equivalents + points * cost > self._limit:
            raise BudgetExhausted(self)
        if self._batch:
            self.examples += points * np.shape(self._batch[0])[0]  # sparse arrays have no len


def _all_finite(values) -> bool:
    return math.isfinite(values) if isinstance(values, float) else np.isfinite(values).all()


def without_mask(x, name: str):
    """x; ValueError if it is a masked array of which something is masked: `np.asarray` would take
    what lies under the mask for data."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(f"{name} has masked entries: fill them first, with x.filled(value)")
    return x


def _checked(x) -> np.ndarray:
    x = np.asarray(without_mask(x, "a point"))
    if x.ndim not in (1, 2) or x.shape[-1] == 0:
        raise ValueError(f"a point has shape (d,), a population (population, d): got {x.shape}")
    if x.dtype.kind not in "fiu":
        raise TypeError(f"a point holds real numbers, not {x.dtype}")
    return x if x.dtype.kind == "f" else x.astype(float)


def _answer(value, name, dtype, shape) -> np.ndarray:
    """What the user's function returned, as an array of our own: of the precision and shape it
    must have, and no place that the function may write to later."""
    if value is None:
        raise TypeError(f"the {name} function returned None: is its `return` missing?")
    value = np.array(without_mask(value, f"the {name}"))
    if value.dtype.kind in "cUSmM":
        raise TypeError(f"the {name} must be a real number, not {value.dtype}")
    value = value.astype(dtype, copy=False)
    if value.shape != shape:
        raise ValueError(f"the {name} must have shape {shape} here, but has {value.shape}")
    return value
