"""The random-direction compass: how well random probes point at the gradient."""

from __future__ import annotations

import numpy as np

from ...hyperparameters import check_value
from .. import panels as draw
from ..widget import Widget, part, slider

NUMBERS = 4_000_000  # random numbers drawn for one setting, at most
DIMENSIONS = 2, 1024


def compass(*, dimension=64, probes=1, alt=""):
    """A widget: dimension d and number of probes q against the estimate's angle to the gradient.

    An estimate is the mean of q probes (g · z) z along Gaussian directions z: what a two-point
    difference gives on a linear function, or anywhere for a small step. Its product with g is a
    mean of squares, so none points away from g, and nothing is drawn below or left of 0.
    """
    check_value("dimension", dimension, "whole [1, inf)")
    check_value("probes", probes, "whole [1, inf)")
    return Widget(
        "Random-direction compass",
        panels=[draw.Panel("arrows", "the gradient points up; each line is an estimate",
                           "off the gradient", "along the gradient", xlim=(-1.1, 1.1),
                           ylim=(-0.05, 1.1), equal=True, height=300),
                draw.Panel("cosines", "cosine between estimate and gradient", "cosine",
                           "estimates", xlim=(0, 1), height=300),
                draw.Panel("theory", "cosine (root mean square) against the number of probes",
                           "probes q", log="x", ylim=(0, 1), span=12, height=190)],
        controls=[slider("dimension", "dimension d", *DIMENSIONS, dimension, scale="log",
                         whole=True),
                  slider("probes", "probes q", 1, 256, probes, scale="log", whole=True),
                  slider("seed", "seed", 0, 20, 0, whole=True, positions=21)],
        parts=[part(needle), part(theory)],
        alt=alt or (f"Estimates of a gradient from {probes} random probe(s) in {dimension} "
                    "dimensions: most point almost sideways. Their cosines with the gradient, and "
                    "the theory's line: about the root of q over q + d + 1."))


def estimates(dimension, probes, rng):
    """Estimates (n, d) of the gradient g = e₁, each the mean of ``probes`` of (g · z) z."""
    n = int(np.clip(NUMBERS // (dimension * probes), 20, 500))
    Z = rng.standard_normal((n, probes, dimension), dtype=np.float32)
    return np.einsum("nq,nqd->nd", Z[:, :, 0], Z) / probes


def expected_cosine(dimension, probes):
    """√(q / (q + d + 1)), from E[ĝ] = g and E‖ĝ‖² = (1 + (d + 1) / q) ‖g‖².

    A ratio of means: close to the root mean square of the cosine from about d = 10 on.
    """
    return np.sqrt(probes / (probes + dimension + 1))


def needle(dimension, probes, seed):
    G = estimates(dimension, probes, np.random.default_rng(seed))
    cosine = G[:, 0] / np.linalg.norm(G, axis=1)
    # Turned about the gradient into the plane of the page, each to its own side.
    sideways = np.sqrt(1 - cosine**2) * np.sign(G[:, 1])
    some = slice(0, 40)
    x, y = np.full((2, 3 * len(cosine[some])), np.nan)
    x[0::3], x[1::3], y[0::3], y[1::3] = 0, sideways[some], 0, cosine[some]
    counts, edges = np.histogram(cosine, bins=40, range=(0, 1))
    rms, line = float(np.sqrt((cosine**2).mean())), float(expected_cosine(dimension, probes))
    return [
        draw.line("arrows", x, y, thin=True, label="estimates, scaled to length 1"),
        draw.line("arrows", [0, 0], [0, 1], colour=1, label="gradient"),
        draw.bars("cosines", (edges[1:] + edges[:-1]) / 2, counts, width=1 / 40),
        draw.rule("cosines", x=line, label=f"theory {line:.2f}", colour=1),
        draw.dots("theory", [probes], [rms], label="measured"),
        draw.status(f"Root mean square cosine {rms:.3f} over {len(cosine)} estimates; "
                    f"√(q / (q + d + 1)) = {line:.3f}.")]


def theory(dimension):
    q = np.geomspace(1, 4096, 80)
    return [draw.line("theory", q, expected_cosine(dimension, q), colour=1,
                      label=f"√(q / (q + d + 1)), d = {dimension}"),
            draw.rule("theory", x=dimension, label="q = d")]
