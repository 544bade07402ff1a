"""The momentum plane (after Goh, "Why momentum really works", Distill 2017).

On a quadratic, momentum is a linear map in each direction of curvature. Its largest eigenvalue, in
modulus, is the factor by which the error shrinks in a step.
"""

from __future__ import annotations

import numpy as np

from ...gradient_methods import momentum
from ...hyperparameters import check_value
from ...landscapes import ravine
from ...trajectory import run
from .. import panels as draw
from ..widget import Widget, part, slider
from .explorer import surface


def momentum_plane(kappa=25, *, steps=150, alt=""):
    """A widget: learning rate and beta against the speed of momentum, on a ravine.

    Parameters
    ----------
    kappa : float
        The condition number that it starts with.
    steps : int
        The length of the path shown.
    """
    check_value("kappa", kappa, "[1, inf)")
    check_value("steps", steps, "whole [1, inf)")
    return Widget(
        "The momentum plane",
        panels=[draw.Panel("plane", "how fast: click or drag", "lr × L (L: largest curvature)", "β",
                           xlim=(0, 4), ylim=(0, 1), drag=("step", "beta"),
                           handle="learning rate and beta", span=6, height=300),
                draw.Panel("path", "the path", "x₁", "x₂", xlim=(-2, 2), ylim=(-2, 2), height=300),
                # The room beside the circle is for the legend of the still picture.
                draw.Panel("roots", "eigenvalues", "real part", "imaginary part", xlim=(-2.7, 2.7),
                           ylim=(-1.2, 1.2), equal=True, height=240),
                draw.Panel("loss", "the loss, and the theory's slope", "step", log="y",
                           height=240)],
        controls=[slider("step", "lr × L", 0, 4, 1, positions=81),
                  slider("beta", "β", 0, 1, 0.5, positions=81),
                  slider("kappa", "condition number κ", 1, 1000, kappa, scale="log")],
        parts=[part(plane), part(valley), part(path(steps), "path"), part(roots)],
        timed=True,
        alt=alt or (
            f"The plane of learning rate and beta for condition number {kappa:g}, coloured by the "
            "factor by which the error shrinks in a step: best at one point, slower all around, "
            "and divergent beyond a straight line. Beside it a path at one setting, its "
            "eigenvalues in the unit circle, and its loss."))


def eigenvalues(a, beta):
    """Both eigenvalues of momentum's step where the curvature times lr is ``a``; any shape.

    (error, last error) is multiplied by [[1 + beta - a, -beta], [1, 0]].
    """
    half = (1 + beta - a) / 2
    root = np.sqrt(half * half - beta + 0j)
    return np.stack([half + root, half - root])


def spectral_radius(step, beta, kappa):
    """The factor of the slowest of the directions; it is one with the least or most curvature."""
    ends = [np.abs(eigenvalues(step * h, beta)).max(axis=0) for h in (1 / kappa, 1)]
    return np.maximum(*ends)


def best_setting(kappa):
    """lr × L and beta of the fastest momentum (Polyak 1964)."""
    root = np.sqrt(kappa)
    return 4 * kappa / (1 + root) ** 2, ((root - 1) / (root + 1)) ** 2


def plane(kappa):
    step, beta = np.linspace(0, 4, 161), np.linspace(0, 1, 121)
    rho = spectral_radius(step, beta[:, None], kappa)
    best = best_setting(kappa)
    return [draw.heat("plane", np.where(rho < 1 + 1e-9, rho, np.nan), (0, 0, 4, 1), high=1,
                      label="factor per step"),
            draw.dots("plane", *np.transpose([best]), colour=draw.GREY, star=True,
                      label="fastest"),
            draw.line("plane", [0, 4], [-1, 1], colour=draw.GREY,
                      label="limit: lr × L = 2 + 2β")]


def path(steps):
    def compute(step, beta, kappa):
        f = ravine(kappa)
        trajectory = run(momentum, f.objective(), f.start, steps=steps, lr=step / kappa, beta=beta)
        t, rho = np.arange(len(trajectory) + 1), float(spectral_radius(step, beta, kappa))
        return [draw.line("path", *trajectory.points.T, timed=True, label="momentum", marker=True),
                draw.line("loss", t, trajectory.losses, timed=True, label="momentum"),
                draw.line("loss", t, trajectory.losses[0] * rho ** (2 * t), colour=draw.GREY,
                          thin=True, label=f"{rho:.3f} to the power 2t"),
                draw.status(_verdict(rho))]

    return compute


def roots(step, beta, kappa):
    angle = np.linspace(0, 2 * np.pi, 97)
    layers = [draw.line("roots", np.cos(angle), np.sin(angle), colour=draw.GREY, thin=True,
                        label="unit circle")]
    for i, (h, name) in enumerate([(1 / kappa, "flattest direction"), (1, "steepest direction")]):
        z = eigenvalues(step * h, beta)
        layers.append(draw.dots("roots", z.real, z.imag, colour=i, label=name))
    return layers


def valley(kappa):
    return [y | {"panel": "path"} for y in surface(ravine(kappa), (-2, -2, 2, 2))]


def _verdict(rho):
    if rho >= 1:
        return f"Spectral radius {rho:.3f}: it does not converge."
    return (f"Spectral radius {rho:.3f}: the error falls by a factor of ten in "
            f"{np.log(10) / -np.log(max(rho, 1e-9)):.0f} steps.")
