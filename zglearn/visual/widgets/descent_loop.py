"""The loop of gradient descent, step by step: a chart lights the box that is being worked on."""

from __future__ import annotations

import numpy as np

from ...gradient_methods import gradient_descent
from ...hyperparameters import check_value
from ...objective import Objective
from ...trajectory import run
from .. import panels as draw
from ..widget import Widget, part, slider

LIMIT = 40  # steps, after which the loop stops in any case
START, ASK, STEP, DONE, END = range(5)
BOXES = ["choose a start", "ask for the gradient", "take a step", "stop?", "return the point"]
PLACES = [(0, 2), (0, 1), (1, 1), (1, 0), (0, 0)]
ARROWS = [(START, ASK, ""), (ASK, STEP, ""), (STEP, DONE, ""), (DONE, ASK, "no"),
          (DONE, END, "yes")]


def descent_loop(curvature=1.0, *, lr=0.3, alt=""):
    """A widget: the loop of gradient descent on ½ L x², one box at a time.

    Parameters
    ----------
    curvature : float
        L. The longest stable step is 2 / L.
    lr : float
        The learning rate at first.
    """
    check_value("curvature", curvature, "(0, inf)")
    check_value("lr", lr, "[0, inf)")
    limit = 2 / curvature

    def f(x):
        return curvature * x**2 / 2

    def loop(lr, start, small):
        path, boxes, says = walk(lr, start, small, curvature)
        x = np.array(path)
        tangent = np.full((len(x), 2), np.nan)
        tangent[np.isin(boxes, (ASK, STEP))] = -1, 1
        at = np.where(np.array(boxes) == STEP, np.roll(x, 1), x)  # where the gradient was asked
        along = at[:, None] + tangent
        return [
            draw.chart("chart", BOXES, PLACES, ARROWS, boxes),
            draw.text("says", says),
            draw.frames("bowl", along, f(at)[:, None] + curvature * at[:, None] * tangent,
                        colour=1, label="slope"),
            draw.line("bowl", x, f(x), label="x", timed=True, marker=True),
            draw.status(says[-1])]

    def bowl():
        x = np.linspace(-4, 4, 81)
        return [draw.line("bowl", x, f(x), colour=draw.GREY, thin=True, label="loss")]

    def factor(lr):
        rates = np.linspace(0, 1.25 * limit, 101)
        return [draw.line("factor", rates, np.abs(1 - rates * curvature), colour=draw.GREY,
                          label="|1 − lr L|"),
                draw.rule("factor", x=limit, label="2/L"),
                draw.dots("factor", [lr], [abs(1 - lr * curvature)], label="now", star=True)]

    return Widget(
        "The loop, one box at a time", timed="box",
        panels=[draw.Panel("chart", "the loop", kind="chart", height=230),
                draw.Panel("bowl", "the loss", "x", xlim=(-4, 4), ylim=(0, 8 * curvature),
                           height=230),
                draw.Panel("says", "what happens", kind="text", height=110),
                draw.Panel("factor", "a step multiplies the distance by", "lr",
                           xlim=(0, 1.25 * limit), ylim=(0, 1.5), height=170)],
        controls=[slider("lr", "learning rate (lr)", 0.025 * limit, 1.25 * limit, lr,
                         positions=50),
                  slider("start", "start", -3, 3, 3, positions=25),
                  slider("small", "stop below", 1e-4, 1, 0.01, scale="log",
                         positions=13)],
        parts=[part(bowl), part(loop), part(factor)],
        alt=alt or ("A chart of the loop (choose a start, ask for the gradient, take a step, stop? "
                    "If not, ask again), its present box lit; the path on a bowl; and the factor "
                    "by which a step changes the distance from the minimum, which is below one "
                    "until the learning rate reaches 2/L."))


def walk(lr, start, small, curvature=1.0):
    """The loop as it runs: x (n,), the box that is lit and a sentence for each moment."""
    f = Objective(lambda x: curvature * float(x @ x) / 2, lambda x: curvature * x)
    points = run(gradient_descent, f, [start], steps=LIMIT, lr=lr).points[:, 0]
    x, boxes, says = [start], [START], [f"Start at x = {start:.4g}."]

    def note(box, at, sentence):
        x.append(at)
        boxes.append(box)
        says.append(sentence)

    for t, (here, there) in enumerate(zip(points, points[1:], strict=False), start=1):
        slope = curvature * here
        note(ASK, here, f"Step {t}. At x = {here:.4g} the gradient is {slope:.4g}.")
        note(STEP, there, f"Step {t}. x ← {here:.4g} − {lr:g} · {slope:.4g} = {there:.4g}.")
        slope = abs(curvature * there)
        reason = ("the gradient is small enough" if slope < small else
                  "it runs away"
                  if abs(there) > 100 * abs(start) else
                  f"{LIMIT} steps are enough" if t == LIMIT else "")
        note(DONE, there, f"Step {t}. |gradient| = {slope:.4g}, the limit is {small:g}: "
                          f"{'yes, ' + reason if reason else 'no, go on'}.")
        if reason:
            break
    note(END, x[-1], f"Return x = {x[-1]:.4g} after {t} steps, because {reason}.")
    return x, boxes, says
