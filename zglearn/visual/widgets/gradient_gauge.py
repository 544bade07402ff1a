"""The gradient gauge: what Adam and RMSprop make of a stream of noisy gradients."""

from __future__ import annotations

import numpy as np

from ...gradient_methods import adam, rmsprop
from ...hyperparameters import check_value
from ...objective import Objective
from .. import panels as draw
from ..widget import Widget, part, slider, toggle
from .explorer import watch


def gradient_gauge(stream=None, *, steps=200, alt=""):
    """A widget: running means of a stream of gradients, and the steps that they make.

    Parameters
    ----------
    stream : array (n,), optional
        The gradients, one a step. Without it there are sliders for signal and noise, and the
        signal changes its sign halfway.
    steps : int
        The length of the stream that is made.
    """
    check_value("steps", steps, "whole [1, inf)")
    own = [] if stream is not None else [
        slider("signal", "signal", 0, 3, 1), slider("noise", "noise", 0, 3, 1),
        slider("seed", "seed", 0, 20, 0, whole=True, positions=21)]
    controls = [
        slider("beta1", "Adam's β₁", 0, 0.999, 0.9, scale="near 1", group="memory"),
        slider("beta2", "Adam's β₂", 0, 0.9999, 0.99, scale="near 1", group="memory"),
        slider("rho", "RMSprop's ρ", 0, 0.999, 0.9, scale="near 1", group="memory"),
        slider("eps", "ε", 1e-8, 10, 1e-8, scale="log", group="ε"),
        toggle("inside", "inside the root", False, group="ε"), *own]

    def gauge(beta1, beta2, rho, eps, inside, **made):
        g = noisy_stream(steps, **made) if stream is None else np.asarray(stream, dtype=float)
        return _layers(g, beta1, beta2, rho, eps, inside)

    needs = [c.name for c in controls]
    return Widget(
        "The gradient gauge", controls=controls, timed=True,
        panels=[draw.Panel("stream", "the gradients, and their running mean", "step", span=12,
                           height=190),
                draw.Panel("size", "their size: roots of running means of g²", "step", height=190),
                draw.Panel("steps", "step ÷ learning rate", "step", height=190)],
        parts=[part(gauge, needs=needs)],
        alt=alt or ("A stream of noisy gradients with its running mean; the running root mean "
                    "square of Adam and of RMSprop; and the steps of both, which Adam keeps "
                    "near the ratio of signal to noise."))


def noisy_stream(steps, signal, noise, seed):
    """Gradients (steps,): a signal that changes its sign halfway, and Gaussian noise."""
    sign = np.where(np.arange(steps) < steps // 2, 1, -1)
    return signal * sign + noise * np.random.default_rng(seed).normal(size=steps)


def replay(method, g, **hyper):
    """Feed recorded gradients (n,) to a method of one variable; what it held, {name: (n + 1,)}.

    "step" is what it would have moved by with a learning rate of 1.
    """
    gradients = iter(g)
    f = Objective(lambda x: 0.0, lambda x: np.array([next(gradients)]))
    path, held = watch(method, f, [0.0], steps=len(g), lr=1.0, **hyper)
    return {name: v.reshape(len(v)) for name, v in held.items() if v.size == len(v)} | {
        "step": np.append(np.nan, -np.diff(path.points[:, 0]))}


def _layers(g, beta1, beta2, rho, eps, inside):
    t = np.arange(len(g) + 1)
    a = replay(adam, g, beta1=beta1, beta2=beta2, eps=eps)
    r = replay(rmsprop, g, rho=rho, eps=eps)
    steps = {"Adam": a["step"], "RMSprop": r["step"]}
    if inside:
        steps = {"Adam": a["m_hat"] / np.sqrt(a["v_hat"] + eps),
                 "RMSprop": np.append(np.nan, g) / np.sqrt(r["S"] + eps)}
    sizes = {"Adam √v̂": np.sqrt(a["v_hat"]), "RMSprop √S": np.sqrt(r["S"])}
    return [
        draw.dots("stream", t[1:], g, colour=draw.GREY, label="gradient"),
        draw.line("stream", t, a["m_hat"], label="Adam m̂", timed=True),
        *(draw.line("size", t, y, colour=i, label=name, timed=True)
          for i, (name, y) in enumerate(sizes.items())),
        *(draw.line("steps", t, y, colour=i, label=name, timed=True)
          for i, (name, y) in enumerate(steps.items())),
        draw.status(f"Last step ÷ learning rate: Adam {steps['Adam'][-1]:.3g}, RMSprop "
                    f"{steps['RMSprop'][-1]:.3g}. First: Adam {steps['Adam'][1]:.3g}, RMSprop "
                    f"{steps['RMSprop'][1]:.3g} (no bias correction).")]
