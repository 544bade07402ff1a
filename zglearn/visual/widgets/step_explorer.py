"""The step explorer: the gradient of a matrix, and what each method makes of it."""

from __future__ import annotations

import numpy as np

from ...gradient_methods import NEWTON_SCHULZ, newton_schulz, polar_factor, rms
from .. import panels as draw
from ..widget import Widget, choice, part, slider

ROUNDS = 10
COEFFICIENTS = {"Jordan's, steep": NEWTON_SCHULZ, "Björck's, exact": (15 / 8, -5 / 4, 3 / 8)}


def step_explorer(gradients, *, alt=""):
    """A widget: a gradient matrix, the step that a method without memory makes of it, the singular
    values of both, what a rotation of the axes changes, and Newton-Schulz round by round.

    Parameters
    ----------
    gradients : {name: array (m, n)}
        None of them zero.
    """
    gradients = {name: np.asarray(G, dtype=float) for name, G in gradients.items()}
    for name, G in gradients.items():
        if G.ndim != 2 or not np.isfinite(G).all() or not G.any():
            raise ValueError(f"the gradient {name!r} must be a matrix of finite numbers, not all "
                             f"of them zero: it has shape {G.shape}")

    def step(gradient, method, coefficients, rounds, angle):
        G = mixed(gradients[gradient], angle)
        return G, STEPS[method](G, rounds, COEFFICIENTS[coefficients])

    def pictures(gradient, method, coefficients, rounds, angle):
        G, U = step(gradient, method, coefficients, rounds, angle)
        return [_heat("gradient", G / rms(G)), _heat("step", U / rms(U))]

    def spectra(gradient, method, coefficients, rounds, angle):
        G, U = step(gradient, method, coefficients, rounds, angle)
        still = STEPS[method](gradients[gradient], rounds, COEFFICIENTS[coefficients])
        back = mixed(U, -angle)
        apart = np.linalg.norm(back - still) / np.linalg.norm(still)
        layers = []
        for colour, (name, A) in enumerate({"the gradient": G, "the step": U}.items()):
            s = singular_values(A)
            layers.append(draw.line("spectrum", np.arange(1, len(s) + 1), s / s[0],
                                    colour=colour, label=name, marker=True))
        return [*layers, draw.status(
            f"Effective rank: {effective_rank(G):.1f} of the gradient, {effective_rank(U):.1f} of "
            f"the step, of {min(G.shape)}. Turning the axes by {angle}° changes the step by "
            f"{apart:.0%} (turned back, and compared).")]

    def curve(gradient, coefficients, rounds, angle):
        s = singular_values(gradients[gradient])
        s = s / np.linalg.norm(s)
        x = np.geomspace(1e-3, 1, 200)
        after = [_polynomial(values, rounds, COEFFICIENTS[coefficients]) for values in (x, s)]
        return [draw.line("curve", x, after[0], label=f"after {rounds} rounds"),
                draw.dots("curve", np.maximum(s, 1e-3), after[1], colour=1,
                          label="those of the gradient"),
                draw.rule("curve", y=1.0, label="U Vᵀ")]

    return Widget(
        "Step explorer: what a method makes of the gradient of a matrix",
        panels=[draw.Panel("gradient", "the gradient, ÷ its root mean square", "column", "row",
                           height=230),
                draw.Panel("step", "the step, ÷ its root mean square", "column", "row",
                           height=230),
                draw.Panel("spectrum", "singular values ÷ the largest", "index", height=250,
                           ylim=(0, 1.05)),
                draw.Panel("curve", "Newton–Schulz: a singular value before and after",
                           "before, ÷ the gradient's norm", log="x", height=250,
                           ylim=(0, 1.3))],
        controls=[choice("gradient", "gradient of", gradients),
                  choice("method", "method", STEPS, "Muon: Newton–Schulz"),
                  slider("angle", "turn the axes by, degrees", 0, 90, 0, whole=True, positions=31),
                  slider("rounds", "rounds of Newton–Schulz", 0, ROUNDS, 5, whole=True,
                         positions=ROUNDS + 1),
                  choice("coefficients", "with coefficients", COEFFICIENTS)],
        parts=[part(spectra), part(pictures), part(curve)],
        alt=alt or ("A gradient matrix and the step made of it, as colours; their singular values, "
                    "and the curve that Newton–Schulz takes them along."))


def mixed(A, degrees):
    """A with its rows turned: each row of the upper half is mixed with one of the lower half."""
    half, angle = len(A) // 2, np.deg2rad(degrees)
    B = A.copy()
    B[:half] = np.cos(angle) * A[:half] - np.sin(angle) * A[half:2 * half]
    B[half:2 * half] = np.sin(angle) * A[:half] + np.cos(angle) * A[half:2 * half]
    return B


def singular_values(A):
    return np.linalg.svd(A, compute_uv=False)


def effective_rank(A) -> float:
    """(Σ s)² / Σ s²: the number of singular values if all are equal, 1 if one outweighs all."""
    s = singular_values(A)
    return float(s.sum() ** 2 / (s @ s))


def _adafactor(G):
    rows, columns = (G * G).mean(axis=1, keepdims=True), (G * G).mean(axis=0, keepdims=True)
    return G / np.sqrt(np.maximum(rows * columns / rows.mean(), 1e-300))


def _polynomial(s, rounds, coefficients):
    a, b, c = coefficients
    for _ in range(rounds):
        s = a * s + b * s**3 + c * s**5
    return s


STEPS = {
    "gradient descent": lambda G, rounds, c: G,
    "sign descent, Lion, Adam at first": lambda G, rounds, c: np.sign(G),
    "Adafactor at first": lambda G, rounds, c: _adafactor(G),
    "Shampoo at first: U Vᵀ": lambda G, rounds, c: polar_factor(G),
    "Muon: Newton–Schulz": lambda G, rounds, c: newton_schulz(G, rounds, c),
}


def _heat(panel, A):
    m, n = A.shape
    return draw.heat(panel, A[::-1], (0, m, n, 0), ramp="diverging", low=-3, high=3, label="entry")
