"""Where an answer and the solution part: `divergence("04.3")`, or a button under a failed check.

Both walk side by side with the same settings, and the play through time stops where they part. A
copy of the course without solutions, such as a hand-out, has nothing to compare with, and says so.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import ipywidgets
import numpy as np

from zglearn.exercises.exercise import TIME_LIMIT, TOO_LONG, Verdict
from zglearn.exercises.limits import TimeIsUp, bounded
from zglearn.hyperparameters import hyperparameter_title
from zglearn.visual import panels as draw
from zglearn.visual.widget import Widget, hidden, part, slider
from zglearn.visual.widgets.explorer import RANGES, surface

from .marked import Marked
from .panel import Keys, button
from .said import CourseError, Said
from .solutions import find_exercise, solution_source
from .two_paths import LANDSCAPE, SOLUTION, STARTS, STEPS, YOURS, compared, solution_of

COLOURS = {YOURS: 1, SOLUTION: 0}


def divergence(id: str, names: dict | None = None):
    """Your answer and the solution side by side, up to the first step that differs: a widget.

    Raises CourseError where there is nothing to compare, saying why.
    """
    exercise = find_exercise(id)
    names = sys._getframe(1).f_globals if names is None else names
    if exercise.replay is None:
        raise CourseError(f"{id} is no method that walks step by step: there are no two paths to "
                          "lay side by side. The message of its check, and `hint`, say more.")
    made = names.get(exercise.replay.name)
    if not callable(made):
        raise CourseError(f"There is no `{exercise.replay.name}` yet: run the answer cell first.")
    solution = solution_of(exercise)
    if solution is None:
        return Said(f"The solution of {id} is not in this copy of the course, so there is nothing "
                    "to lay your path beside: your instructor has it. The message of the check, "
                    "and `hint`, still help.")
    def differs(start):
        return compared(exercise, made, solution, start, **exercise.replay.hyper).step is not None

    try:
        start = bounded(lambda: next(filter(differs, STARTS), STARTS[0]), TIME_LIMIT)
    except TimeIsUp:
        return Said(TOO_LONG.format(TIME_LIMIT))
    return view(exercise, made, solution, start)


# --- under a failed check ---------------------------------------------------------------------


def offered(verdict: Verdict, names: dict) -> Verdict:
    """The verdict on a wrong method, with a button under it where there is a solution to compare
    with; any other as it is."""
    e = verdict.exercise
    comparable = verdict.status == "incorrect" and e.replay and solution_source(e)
    return Offered(**vars(verdict), names=names) if comparable else verdict


@dataclass(frozen=True)
class Offered(Marked):
    """A verdict that shows a button under it: where does it diverge?"""

    names: dict = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"""{super().__repr__()}
To see where it parts from the solution: from zglearn.course import divergence; \
divergence("{self.exercise.id}")"""

    def _ipython_display_(self):
        from IPython.display import display

        display({"text/plain": repr(self), "text/html": self._repr_html_()}, raw=True)
        display(Offer(self.exercise.id, self.names))


class Offer(ipywidgets.VBox):
    """A button under a failed check; pressed, it shows where answer and solution part."""

    def __init__(self, id: str, names: dict):
        self.id, self.names = id, names
        self.show_me, self.keyboard = button("Show me where I diverge", Offer.show), Keys()
        self.show_me.panel = self
        self.show_me.layout.align_self = "flex-start"
        super().__init__([self.show_me, self.keyboard])
        self.add_class("zg-below")
        self.add_class("zg-course")

    def show(self) -> None:
        """Compare, anew at each press: the answer may have changed."""
        try:
            found = divergence(self.id, self.names)
        except CourseError as error:
            found = Said(str(error))
        if not isinstance(found, ipywidgets.DOMWidget):
            found = ipywidgets.HTML(found._repr_html_())
        self.children = [self.show_me, found, self.keyboard]

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return data | {"text/plain": f'divergence("{self.id}")'}


# --- the widget -------------------------------------------------------------------------------


def view(exercise, made, solution, start) -> Widget:
    """The widget: both paths, how far they are apart, and what both hold inside."""
    home = [float(v) for v in LANDSCAPE.bounds.ravel()]
    holds = exercise.replay.holds

    def paths(x0, y0, steps, **hyper):
        found = compared(exercise, made, solution, (x0, y0), steps, **hyper)
        said = found.said.replace("`", "")
        return [*_layers(found, holds), draw.pause(found.step), draw.text("said", said),
                draw.status(said.partition(":")[0] + ".")]

    controls = [hidden("x0", float(start[0])), hidden("y0", float(start[1])), hidden("box", home),
                *(_slider(name, value) for name, value in exercise.replay.hyper.items()),
                slider("steps", "steps", 5, 2 * STEPS, STEPS, whole=True)]
    inside = [draw.Panel("inside", "inside", "step", span=5, height=170)] if holds else []
    return Widget(
        f"{exercise.id} {exercise.title}: your path and the solution's",
        panels=[draw.Panel("said", kind="text", span=12, height=40),
                draw.Panel("map", "paths", "x₁", "x₂", zoom="box", span=7, rows=1 + bool(holds),
                           height=430),
                draw.Panel("apart", "how far the two are apart", "step", span=5,
                           height=200 if holds else 430), *inside],
        controls=controls, timed=True,
        parts=[part(lambda box: surface(LANDSCAPE, box), "surface"),
               part(paths, needs=["x0", "y0", "steps", *exercise.replay.hyper])],
        alt="Your path and the solution's on the contours of a ravine, how far they are apart in "
            "each step, and what both hold inside.", seconds=15.0)


def _layers(found, holds):
    layers = []
    walks = {SOLUTION: found.solution, YOURS: found.yours}
    for name, walk in walks.items():
        x, y = np.where(np.isfinite(walk.points), walk.points, np.nan).T
        layers.append(draw.line("map", x, y, colour=COLOURS[name], label=name, timed=True,
                                marker=True))
        for title, names in holds.items():
            values = [_of(held, name, names, found) for held in walk.held[1:]]
            layers += _inside(values, name, title)
    n = min(len(walk.points) for walk in walks.values())
    with np.errstate(invalid="ignore"):
        apart = np.linalg.norm(found.yours.points[:n] - found.solution.points[:n], axis=1)
    layers.append(draw.line("apart", np.arange(n), apart, colour=COLOURS[YOURS], label="distance",
                            timed=True))
    if found.step is not None:
        layers.append(draw.rule("apart", x=found.step, label=f"step {found.step}"))
    return layers


def _of(held, walk, names, found):
    """A quantity as the solution holds it, or as the learner does under one of its names."""
    known = names[:1] if walk == SOLUTION else names
    return next((held[name] for name in known if name in held), np.array([np.nan]))


def _inside(values, name, title):
    """A line for each coordinate of a quantity; nothing where it is not held."""
    wide = max((len(v) for v in values), default=0)
    values = np.array([np.full(wide, np.nan), *(np.resize(v, wide) for v in values)])
    if not np.isfinite(values).any():
        return []
    return [draw.line("inside", np.arange(len(values)), v, colour=COLOURS[name], timed=True,
                      label=f"{name}, {i + 1}" if wide > 1 else name, group=title, thin=i > 0)
            for i, v in enumerate(values.T)]


def _slider(name, value):
    low, high, scale = RANGES.get(name, (0, 2 * value, "linear"))
    return slider(name, hyperparameter_title(name), min(low, value), max(high, value), value,
                  scale=scale)
