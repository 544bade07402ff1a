"""The difference gauge: a slope from two losses, along a probe that is too long or too short."""

from __future__ import annotations

import numpy as np

from .. import panels as draw
from ..widget import Widget, choice, part, positions

X = np.float64(1)  # where the slope is asked for
PRECISIONS = {"double": np.float64, "single": np.float32, "half": np.float16}
LENGTHS = np.array([float(f"{digit}e{k}") for k in range(-16, 1) for digit in (1, 2, 5)] + [10.0])
AROUND = np.linspace(-2, 2, 401)  # places shown, in lengths of the probe


def difference_gauge(*, length=1.0, alt=""):
    """A widget: length of the probe ε and precision against the error of a difference of losses.

    The loss is a logistic one, ln(1 + eˣ), at x = 1. The left panel shows it as it is computed, at
    the scale of the probe: the two probes are always one unit from the middle.
    """
    return Widget(
        "The difference gauge",
        panels=[draw.Panel("loss", "the loss around x, as computed", "distance from x, in ε",
                           "change of the loss, in ε", xlim=(-2, 2), ylim=(-2.5, 2.5)),
                draw.Panel("error", "error of the slope", "length of the probe, ε",
                           "relative error", log="xy", xlim=(LENGTHS[0], LENGTHS[-1]),
                           ylim=(1e-13, 1e3))],
        controls=[positions("length", "length of the probe, ε", LENGTHS.tolist(), length),
                  choice("precision", "precision", tuple(PRECISIONS)),
                  choice("difference", "difference", ("central", "forward"))],
        parts=[part(probes), part(errors)],
        alt=alt or (f"A loss at the scale of a probe of length {length:g}, with the secant through "
                    "the two probes and the true tangent. Beside it the error of the secant's "
                    "slope against the length: rounding makes it grow to the left, curvature to "
                    "the right."))


def loss(x):
    """ln(1 + eˣ), in the precision of x."""
    return np.logaddexp(x.dtype.type(0), x)


def true_slope(x):
    return 1 / (1 + np.exp(-x))


def change(distance, dtype):
    """How far the loss is from that at X, computed in the precision ``dtype``; as doubles."""
    x = dtype(X)
    return (loss(x + np.asarray(distance, dtype)) - loss(x)).astype(float)


def slope(length, dtype, central):
    """The slope at X by a central or a forward difference of losses."""
    return ((change(length, dtype) - change(-length, dtype)) / (2 * length) if central
            else change(length, dtype) / length)


def expected_error(length, dtype, central):
    """Rounding and curvature: about u f/ε + ε² f'''/6, or 2 u f/ε + ε f''/2, over the slope.

    u is half the distance from 1 to the next number.
    """
    s, u = true_slope(X), np.finfo(dtype).eps / 2
    second = s * (1 - s)
    third = second * (1 - 2 * s)
    if central:
        return (u * loss(X) / length + length**2 * abs(third) / 6) / s
    return (2 * u * loss(X) / length + length * second / 2) / s


def probes(length, precision, difference):
    dtype, central = PRECISIONS[precision], difference == "central"
    ends = np.array([-1.0, 1.0] if central else [0.0, 1.0])
    heights = change(ends * length, dtype) / length
    found, truth = slope(length, dtype, central), true_slope(X)
    best = LENGTHS[np.argmin(expected_error(LENGTHS, dtype, central))]
    return [
        draw.line("loss", AROUND, truth * AROUND, colour=draw.GREY, thin=True, label="tangent"),
        draw.line("loss", AROUND, change(AROUND * length, dtype) / length, label="loss"),
        draw.line("loss", AROUND, heights[1] + found * (AROUND - 1), colour=1, label="secant"),
        draw.dots("loss", ends, heights, colour=1, label="probes"),
        draw.rule("error", x=length, label="ε"),
        draw.status(f"ε = {length:g}: the slope is {found:.6g}, in truth {truth:.6g}; relative "
                    f"error {abs(found / truth - 1):.1g}. By the estimate, ε is best near "
                    f"{best:g}.")]


def errors(precision, difference):
    dtype, central = PRECISIONS[precision], difference == "central"
    error = np.abs(slope(LENGTHS, dtype, central) / true_slope(X) - 1)
    return [draw.line("error", LENGTHS, expected_error(LENGTHS, dtype, central), thin=True,
                      colour=draw.GREY, label="estimate: rounding and curvature"),
            draw.line("error", LENGTHS, np.where(error > 0, error, np.nan), colour=1,
                      label=f"{difference} difference, {precision} precision")]
