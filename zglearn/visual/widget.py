"""The thin layer between a learner's hand and Python: controls, questions and answers.

A widget is a list of panels, a list of controls, and *parts*: pure functions from the few settings
they need to layers to draw (`panels.py`). The browser asks for the parts that it does not have;
`widget.js` is the other half.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from ..hyperparameters import check_value, is_number
from . import figures, panels
from .worker import Bounded, Stale, Stopped, Worker

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
HINT = "Run this cell in JupyterLab (with anywidget) to move what the picture shows."
# What stands below the hint if there is no widget: the error of ipywidgets, or a panel with
# nothing in it but "Loading widget..." or "model not found".
NO_ERROR = ("<style>.jp-OutputArea-child:has(.zg-hint) + .jp-OutputArea-child "
            ":is(.jupyter-widgets-error-widget, .lm-Panel:not(:has(*))) "
            "{ display: none }</style>")


@dataclass(frozen=True)
class Control:
    """Something that the learner may change. ``values`` are all the positions it can take."""

    name: str
    label: str
    kind: str
    default: object
    values: tuple = ()
    group: str = ""
    most: int | None = None  # the characters that a text may have


def slider(name, label, low, high, default, *, scale="linear", whole=False, positions=61, group=""):
    """A slider over ``positions`` values from low to high; the default is always one of them.

    The scale is "linear", "log", or "near 1": even in the logarithm of 1 - value, for what
    remembers 1 / (1 - value) steps.
    """
    check_value(label, default, "whole (-inf, inf)" if whole else "(-inf, inf)")
    if scale == "near 1":
        values = 1 - np.geomspace(1 - low, 1 - high, positions)
        values = {round(1 - float(f"{1 - v:.3g}"), 12) for v in values}
    else:
        values = {"linear": np.linspace, "log": np.geomspace}[scale](low, high, positions)
        values = {float(f"{v:.3g}") for v in values}
    values = {v for v in values if low < v < high} | {low, high, default}
    values = {round(v) for v in values} if whole else values
    return Control(name, label, "slider", default, tuple(sorted(values)), group)


def positions(name, label, values, default=None, *, group=""):
    """A slider over given values; it starts at the first unless a default is given."""
    values = tuple(values)
    _check_default(label, values, default)
    return Control(name, label, "slider", values[0] if default is None else default, values, group)


def choice(name, label, options, default=None, *, group=""):
    """One of several words; the first one unless a default is given."""
    options = tuple(options)
    _check_default(label, options, default)
    return Control(name, label, "choice", options[0] if default is None else default, options,
                   group)


def _check_default(label, values, default):
    if default is not None and default not in values:
        raise ValueError(f"{label} cannot start at {default!r}: it is one of {values}")


def toggle(name, label, default, *, group=""):
    """On or off."""
    return Control(name, label, "toggle", bool(default), (False, True), group)


def field(name, label, default, *, most=1000, group=""):
    """A text of the learner's own, of at most ``most`` characters."""
    return Control(name, label, "field", str(default), (), group, most)


def hidden(name, default):
    """A setting without a control of its own: a dragged point, or the visible box."""
    return Control(name, name, "hidden", default)


@dataclass(frozen=True)
class Part:
    """``compute(**settings)`` returns layers, and needs only the settings named."""

    name: str
    compute: Callable
    needs: tuple


def part(compute, name=None, *, needs=None):
    """A part that needs what is named, or what the function's parameters are called."""
    needs = inspect.signature(compute).parameters if needs is None else needs
    return Part(name or compute.__name__, compute, tuple(needs))


class Settings(dict):
    """Settings by name. They are replaced, never changed: else the page would not hear of it."""

    def _refuse(self, *_, **__):
        raise TypeError("write widget.settings |= {name: value}, so that the page hears of it")

    __setitem__ = __delitem__ = update = setdefault = pop = popitem = clear = _refuse

    def __ior__(self, changes):
        return self | changes

    def __reduce__(self):
        return dict, (dict(self),)  # a copy may be changed


class Widget(anywidget.AnyWidget):
    """Panels, controls and parts, alive in JupyterLab and still everywhere else.

    ``alt`` describes the still picture in words. ``groups`` gives the colour that a group of
    controls is marked with; ``timed`` adds the buttons that play and scrub through time, and may
    say what is counted ("step" if it is just True). A part may take ``seconds`` before it is given
    up. ``settings`` may be read and set from Python: ``widget.settings |= {"lr": 0.1}``. Raises
    ValueError as `layers` does.
    """

    _esm = Path(__file__).with_name("widget.js")
    _css = Path(__file__).with_name("widget.css")
    spec = traitlets.Dict().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)

    def __init__(self, title, *, panels, controls, parts, alt, groups=None, timed=False,
                 seconds=4.0):
        self.title, self.alt = title, alt
        self.panels, self.controls = list(panels), {c.name: c for c in controls}
        self.parts = {p.name: p for p in parts}
        self._bounded = Bounded(seconds)
        self._worker = Worker(self._answer, self._deliver)
        super().__init__(
            spec={
                "title": title, "timed": "step" if timed is True else timed, "groups": groups or {},
                "panels": [asdict(p) for p in self.panels],
                "controls": [asdict(c) for c in self.controls.values()],
                "parts": [{"name": p.name, "needs": p.needs} for p in self.parts.values()],
                **_look(),
            },
            settings={c.name: c.default for c in self.controls.values()},
        )
        self.on_msg(self._hear)

    @traitlets.validate("settings")
    def _complete(self, proposal):
        return Settings(self.settings | self._checked(proposal["value"]))

    def at(self, settings: dict):
        """The widget itself, with some settings changed: what its button "share" writes.

        Raises ValueError as `layers` does.
        """
        self.settings |= settings
        return self

    def layers(self, part=None, **changes) -> list[dict]:
        """What the widget draws at its settings, with some changed: all parts, or one.

        Raises ValueError for a setting that does not exist, or a value that its control lacks.
        """
        settings = self.settings | self._checked(changes)
        chosen = self.parts.values() if part is None else [self.parts[part]]
        return [y for p in chosen for y in p.compute(**{n: settings[n] for n in p.needs})]

    def still(self):
        """The static picture at the present settings, as a matplotlib figure."""
        answers = [self._answer([None, p.name, [self.settings[n] for n in p.needs]])
                   for p in self.parts.values()]
        layers = [y for answer in answers for y in answer.get("layers", ())]
        fig = panels.draw(self.panels, layers, self.settings)
        fig.suptitle("\n".join([self.title, *(a["error"] for a in answers if "error" in a)]),
                     fontsize=12, **figures.AS_IT_IS)
        return fig

    def _ipython_display_(self):
        """The still picture, its words and a hint, then the living widget, which hides all three.

        They are outputs of their own: a front end that has ipywidgets but not anywidget, and any
        that opens a saved notebook again, shows an error in the widget's place, which the hint
        hides, and no picture from the same bundle.
        """
        from IPython.display import display

        figures.show(self.still(), self.alt)
        display({"text/html": f"<small class='zg-hint'>{HINT}</small>{NO_ERROR}",
                 "text/plain": HINT}, raw=True)
        data, metadata = self._repr_mimebundle_()
        display({WIDGET_VIEW: data[WIDGET_VIEW]}, metadata=metadata, raw=True)

    def _checked(self, changes):
        # What can be dragged as well can be between its slider's positions.
        dragged = {name for panel in self.panels for name in panel.drag or ()}
        for name, value in changes.items():
            if name not in self.controls:
                raise ValueError(f"there is no setting {name!r}: there are "
                                 f"{', '.join(self.controls)}")
            control = self.controls[name]
            numeric = control.kind == "slider" and is_number(value)
            if control.kind == "hidden":
                if not _is_like(control.default, value):
                    raise ValueError(f"{name} cannot be {value!r}: its form is {control.default}")
                continue
            if numeric and name in dragged:
                continue
            if control.kind == "field":
                if not isinstance(value, str) or len(value) > control.most:
                    raise ValueError(f"{name} must be a text of at most {control.most} characters")
                continue
            if isinstance(value, Hashable) and value in control.values:
                continue
            if numeric:
                nearest = min(control.values, key=lambda v: abs(v - value))
                raise ValueError(f"{name} cannot be {value}: its nearest position is {nearest}")
            raise ValueError(f"{name} cannot be {value!r}: it is one of {control.values}")
        return changes

    def _hear(self, _, message, buffers):
        if "settings" in message:
            self.settings |= message["settings"]
        elif "stop" in message:
            self._bounded.stop()
        else:
            self._worker.ask(message["now"], message["line"], message["soon"])

    def _answer(self, question):
        key, name, values = question
        settings = dict(zip(self.parts[name].needs, values, strict=True))
        try:
            layers = self._bounded(lambda: self._compute(name, settings), self._worker.stale)
            return {"key": key, "layers": layers}
        except Stale:
            return None
        except Stopped as error:  # it may be asked again
            return {"key": key, "error": f"{name}: {error}", "stopped": True}
        except TimeoutError as error:
            return {"key": key, "error": f"{name}: {error}"}
        except BaseException as error:  # the learner's method may raise anything
            return {"key": key, "error": f"{name}: {explain(error)}"}

    def _compute(self, name, settings):
        with np.errstate(all="ignore"):
            return self.parts[name].compute(**settings)

    def _deliver(self, answers):
        posted, buffers, at = [], [], 0
        for answer in answers:
            layers, buffer = panels.pack(answer.get("layers", ()))
            posted.append(answer | {"layers": layers, "span": [at, at + len(buffer) // 4]})
            buffers.append(buffer)
            at += len(buffer) // 4
        self.send({"answers": posted}, buffers=[b"".join(buffers)])


def _is_like(default, value) -> bool:
    """Whether a value is a finite number, or as many of them as the default has."""
    if not isinstance(default, list):
        return is_number(value)
    return (isinstance(value, list | tuple) and len(value) == len(default)
            and all(map(is_number, value)))


def explain(error) -> str:
    """What went wrong, and in which line of the learner's own code if it was there."""
    package, library = str(Path(__file__).parents[1]), str(Path(np.__file__).parents[1])
    own = [frame for frame in traceback.extract_tb(error.__traceback__)
           if not frame.filename.startswith((package, library, "<"))]
    where = f" (line {own[-1].lineno}: {own[-1].line})" if own and own[-1].line else ""
    return f"{type(error).__name__}: {error}{where}"


def _look():
    dashes = [[] if d == "solid" else [2 * n for n in d[1]] for d in figures.DASHES]
    return {"colours": figures.COLOURS, "colours_dark": panels.COLOURS_DARK, "dashes": dashes,
            "ramps": panels.RAMPS}
