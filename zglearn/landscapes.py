"""Losses with a shape that is known: to watch a method on, and to measure it.

Each function here makes a `Landscape`. Those with an argument `d` exist in any dimension; d = 2 is
the default, because it can be drawn.

    valley = rosenbrock()
    path = run(adam, valley.objective(), valley.start, steps=200, lr=0.1)

Methods are compared on `.shifted(...)` and `.rotated(...)` copies, so that none of them profits
from a minimum at the origin, in the centre of the box, or from valleys along the axes.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .hyperparameters import check_value
from .objective import Objective, without_mask


@dataclass(frozen=True, eq=False)
class Landscape:
    """A loss surface and what is known about it.

    Attributes
    ----------
    name : str
    f : callable
        The loss, vectorised: points (..., d) give losses (...,). ValueError for other points.
    grad : callable
        Its gradient: points (..., d) give gradients (..., d).
    minima : array (k, d)
        The global minima (one of them where they fill a line); `best` is their loss.
    bounds : array (2, d)
        The lowest and highest corner of the box worth looking at.
    start : array (d,)
        The customary start point.
    """

    name: str
    f: Callable = field(repr=False)
    grad: Callable = field(repr=False)
    minima: np.ndarray
    bounds: np.ndarray
    start: np.ndarray

    def __post_init__(self):
        for name in ("minima", "bounds", "start"):
            value = np.array(getattr(self, name), dtype=float)
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        for name in ("f", "grad"):
            object.__setattr__(self, name, _at_points(getattr(self, name), self.dimension))

    @property
    def dimension(self) -> int:
        return self.start.size

    @property
    def best(self) -> float:
        """The lowest loss there is."""
        return float(self.f(self.minima[0]))

    def objective(self) -> Objective:
        """A fresh objective on this landscape, its ledger at zero."""
        return Objective(self.f, self.grad, batched=True)

    def shifted(self, by) -> "Landscape":
        """The same surface moved by ``by`` (a number or (d,)), with its start point.

        The box stays where it is, and grows if a minimum or the start would leave it.
        """
        return replace(
            self,
            name=f"{self.name}, shifted",
            f=lambda x: self.f(x - by),
            grad=lambda x: self.grad(x - by),
            minima=self.minima + by,
            bounds=_around(self.bounds, self.minima + by, self.start + by),
            start=self.start + by,
        )

    def rotated(self, seed: int = 0) -> "Landscape":
        """The same surface turned about the centre of its box, in a direction drawn by ``seed``."""
        R, centre = rotation(self.dimension, seed), self.bounds.mean(axis=0)

        def turn(x):
            return (x - centre) @ R.T + centre

        def back(x):
            return (x - centre) @ R + centre

        return replace(
            self,
            name=f"{self.name}, rotated",
            f=lambda x: self.f(back(x)),
            grad=lambda x: self.grad(back(x)) @ R.T,
            minima=turn(self.minima),
            bounds=_around(self.bounds, turn(self.minima), turn(self.start)),
            start=turn(self.start),
        )


def _at_points(function, d):
    """The function, asked about floats of shape (..., d) only, whatever form they come in."""
    @functools.wraps(function)
    def asked(x):
        x = np.asarray(without_mask(x, "a point"))
        x = x if x.dtype.kind == "f" else x.astype(float)  # small whole numbers would overflow
        if not x.ndim or x.shape[-1] != d:
            raise ValueError(f"this landscape has points of shape (..., {d}), not {x.shape}")
        return function(x)

    return asked


def bowl(d: int = 2) -> Landscape:
    """The sphere function ||x||^2 / 2: every direction is equally steep."""
    return replace(ravine(1, d), name="bowl", start=np.ones(d))


def ravine(kappa: float = 100, d: int = 2) -> Landscape:
    """A quadratic whose curvatures run from 1 to ``kappa``, the condition number, axis by axis.

    Loss sum_i h_i x_i^2 / 2 with h_i = kappa^(i/(d-1)).
    """
    check_value("d", d, "whole [1, inf)")
    check_value("the condition number kappa", kappa, "[1, inf)")
    h = np.geomspace(1, kappa, d)
    return Landscape(
        name=f"ravine, condition {kappa:g}",
        f=lambda x: 0.5 * (h * x * x).sum(axis=-1),
        grad=lambda x: h * x,
        minima=np.zeros((1, d)),
        bounds=_box(-2, 2, d),
        start=np.r_[-1.5, np.ones(d - 1)],
    )


def ellipsoid(d: int = 10, kappa: float = 1e6, seed: int = 0) -> Landscape:
    """A `ravine` that is aligned with no axis: turned and moved off the origin."""
    return replace(ravine(kappa, d).rotated(seed).shifted(0.5), name=f"ellipsoid in {d} dimensions")


def rosenbrock(d: int = 2) -> Landscape:
    """Rosenbrock's banana valley (1960), chained over neighbouring coordinates: curved and flat.

    Loss sum_i 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2. From d = 4 on it also has a local minimum.
    """
    check_value("d", d, "whole [2, inf)")

    def f(x):
        a, b = x[..., :-1], x[..., 1:]
        return (100 * (b - a * a) ** 2 + (1 - a) ** 2).sum(axis=-1)

    def grad(x):
        a, b = x[..., :-1], x[..., 1:]
        g = np.zeros_like(x)
        g[..., :-1] = -400 * a * (b - a * a) - 2 * (1 - a)
        g[..., 1:] += 200 * (b - a * a)
        return g

    start = np.where(np.arange(d) % 2, 1.0, -1.2)
    return Landscape("Rosenbrock's valley", f, grad, np.ones((1, d)), _box(-2, 3, d), start)


def rastrigin(d: int = 2) -> Landscape:
    """Rastrigin's function (1974): a bowl under an egg box, about 10^d local minima in the box.

    Loss 10 d + sum_i x_i^2 - 10 cos(2 pi x_i).
    """
    check_value("d", d, "whole [1, inf)")
    return Landscape(
        name="Rastrigin's egg box",
        f=lambda x: 10 * d + (x * x - 10 * np.cos(2 * np.pi * x)).sum(axis=-1),
        grad=lambda x: 2 * x + 20 * np.pi * np.sin(2 * np.pi * x),
        minima=np.zeros((1, d)),
        bounds=_box(-5.12, 5.12, d),
        start=np.where(np.arange(d) % 2, 2.2, -3.3),
    )


def ackley(d: int = 2) -> Landscape:
    """Ackley's function (1987): nearly flat far out, a deep funnel in the middle, ripples all over.

    At the minimum it has a kink; `grad` answers 0 there.
    """
    check_value("d", d, "whole [1, inf)")
    c = 2 * np.pi

    def f(x):
        r = np.sqrt((x * x).mean(axis=-1))
        return 20 + np.e - 20 * np.exp(-0.2 * r) - np.exp(np.cos(c * x).mean(axis=-1))

    def grad(x):
        r = np.sqrt((x * x).mean(axis=-1, keepdims=True))
        r = np.where(r == 0, 1, r)
        ripple = np.exp(np.cos(c * x).mean(axis=-1, keepdims=True))
        return (4 * np.exp(-0.2 * r) * x / r + c * ripple * np.sin(c * x)) / d

    start = np.where(np.arange(d) % 2, 3.4, -2.7)
    return Landscape("Ackley's funnel", f, grad, np.zeros((1, d)), _box(-5, 5, d), start)


def himmelblau() -> Landscape:
    """Himmelblau's function (1972): four equally good minima; the start decides which is found."""

    def f(x):
        a, b = x[..., 0], x[..., 1]
        return (a * a + b - 11) ** 2 + (a + b * b - 7) ** 2

    def grad(x):
        a, b = x[..., 0], x[..., 1]
        p, q = a * a + b - 11, a + b * b - 7
        return np.stack([4 * a * p + 2 * q, 2 * p + 4 * b * q], axis=-1)

    minima = [[3, 2], [-2.805118086952745, 3.131312518250573],
              [-3.779310253377747, -3.283185991286170], [3.584428340330492, -1.848126526964404]]
    return Landscape("Himmelblau's four minima", f, grad, minima, _box(-5, 5, 2), [-0.5, -1])


def beale() -> Landscape:
    """Beale's function (1958): a plateau with steep walls; its gradients span many sizes."""

    def residuals(x):
        a, b = x[..., 0], x[..., 1]
        return a, b, [c - a + a * b**k for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))]

    def f(x):
        return sum(r * r for r in residuals(x)[2])

    def grad(x):
        a, b, r = residuals(x)
        da = sum(2 * r_k * (b**k - 1) for k, r_k in enumerate(r, start=1))
        db = sum(2 * r_k * a * k * b ** (k - 1) for k, r_k in enumerate(r, start=1))
        return np.stack([da, db], axis=-1)

    return Landscape("Beale's plateau", f, grad, [[3, 0.5]], _box(-4.5, 4.5, 2), [1, 1.5])


def double_well(tilt: float = 0.3) -> Landscape:
    """Two wells with a saddle between them: (a^2 - 1)^2 + b^2 + tilt a; the left one is deeper.

    With a = 1 in sight, a method that only goes downhill ends in the shallow well.
    """
    check_value("tilt", tilt, "(0, 1.5)")  # beyond that, one of the wells is gone

    def f(x):
        a, b = x[..., 0], x[..., 1]
        return (a * a - 1) ** 2 + b * b + tilt * a

    def grad(x):
        a, b = x[..., 0], x[..., 1]
        return np.stack([4 * a * (a * a - 1) + tilt, 2 * b], axis=-1)

    deep = np.roots([4, 0, -4, tilt]).real.min()
    return Landscape("tilted double well", f, grad, [[deep, 0]], _box(-2, 2, 2), [1.5, 1])


LANDSCAPES = {make.__name__: make for make in (
    bowl, ravine, ellipsoid, rosenbrock, rastrigin, ackley, himmelblau, beale, double_well)}


def rotation(d: int, seed: int = 0) -> np.ndarray:
    """A rotation or reflection of d-dimensional space (d, d), drawn uniformly (Mezzadri 2007)."""
    Q, R = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))
    return Q * np.sign(np.diag(R))


def _box(low: float, high: float, d: int) -> np.ndarray:
    return np.array([np.full(d, low), np.full(d, high)])


def _around(bounds, *points) -> np.ndarray:
    """The smallest box that holds ``bounds`` and all the points."""
    everything = np.vstack([bounds, *points])
    return np.array([everything.min(axis=0), everything.max(axis=0)])
