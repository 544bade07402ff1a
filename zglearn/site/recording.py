"""A widget's answers, recorded: what its page shows where no Python runs.

Recorded is every position of each control with the others at their defaults, and a coarse grid of
places for a point that can be dragged; where a part has few questions in all, every one of them;
where all this is large, every second position, or fourth.
The file is gzip of a JSON header, its length before it, and of the numbers, each rounded to 13
significant bits, as three planes of bytes: the first bytes of all, then the second, then the third.
`site.js` reads it.
"""

from __future__ import annotations

import gzip
import itertools
import json
import struct

import numpy as np

from zglearn.visual.widget import Widget

FEW = 160  # questions in all, of which every one is recorded
PLACES = 11  # along each side of the coarse grid
LARGE = 1_500_000  # bytes: a recording that is larger keeps every second position of each slider


def record(widget: Widget) -> bytes:
    """The recording of all parts. An answer that failed is not in it."""
    answers = {}
    for part in widget.parts.values():
        for settings in questions(widget, part.needs):
            try:
                with np.errstate(all="ignore"):
                    answers[part.name, json.dumps(settings)] = part.compute(**settings)
            except Exception:  # the page then has nothing to show there, as a learner would
                continue
    for every in (1, 2, 4, 8):
        data = packed(widget, answers, every)
        if len(data) <= LARGE:
            break
    return data


def packed(widget: Widget, answers: dict, every: int) -> bytes:
    """The answers to the questions that are kept, and the sliders with these positions alone."""
    arrays, layers, kept = Pool(), Pool(), []
    for part in widget.parts.values():
        for settings in questions(widget, part.needs, every):
            drawn = answers.get((part.name, json.dumps(settings)))
            if drawn is not None:
                kept.append([part.name, list(settings.values()),
                             [layers.place(as_json(layer, arrays)) for layer in drawn]])
    controls = [control | {"values": positions(widget.controls[control["name"]], every)}
                for control in widget.spec["controls"]]
    header = {"spec": widget.spec | {"controls": controls}, "settings": widget.settings,
              "answers": kept, "layers": list(layers), "arrays": arrays.shapes}
    return compressed(header, arrays.floats())


def questions(widget: Widget, needs: tuple, every: int = 1) -> list[dict]:
    """The settings at which a part is recorded, each {name: value} of what it needs.

    Of each slider's positions, and of the places along a side, only one in ``every`` counts.
    """
    start = {name: widget.settings[name] for name in needs}
    axes = [[{name: value} for value in positions(widget.controls[name], every)] for name in needs]
    for panel in widget.panels:
        if panel.drag and {*panel.drag} & {*needs}:
            axes.append([{name: place[name] for name in panel.drag if name in needs}
                         for place in places(widget, panel, every)])
    axes = [axis for axis in axes if axis]
    several = np.prod([float(len(axis)) for axis in axes]) > FEW or dragged(widget) & {*needs}
    changes = [(one,) for axis in axes for one in axis] if several else itertools.product(*axes)
    found = [start] + [start | {name: value for one in change for name, value in one.items()}
                       for change in changes]
    return list({json.dumps(settings): settings for settings in found}.values())


def positions(control, every: int) -> list:
    """The positions that are kept: the default is always one of them."""
    if control.kind != "slider":
        return list(control.values)
    return sorted({*control.values[::every], control.values[-1], control.default})


def dragged(widget: Widget) -> set[str]:
    return {name for panel in widget.panels for name in panel.drag or ()}


def places(widget: Widget, panel, every: int) -> list[dict]:
    """A coarse grid over what a panel shows, for the point that is dragged there."""
    box = widget.settings[panel.zoom] if panel.zoom else None
    sides = []
    for i, (name, limits) in enumerate(zip(panel.drag, (panel.xlim, panel.ylim), strict=True)):
        low, high = box[i::2] if box else limits or extent(widget.controls[name].values)
        sides.append([(name, float(value)) for value in np.linspace(low, high, PLACES)[::every]])
    return [dict(place) for place in itertools.product(*sides)]


def extent(values):
    return min(values), max(values)


class Pool(dict):
    """Arrays or JSON texts, each once, by its place."""

    def __init__(self):
        self.shapes, self._arrays = [], []

    def place(self, thing) -> int:
        key = thing if isinstance(thing, str) else (thing.shape, thing.tobytes())
        if key not in self:
            self[key] = len(self)
            if not isinstance(thing, str):
                self.shapes.append(thing.shape)
                self._arrays.append(thing.ravel())
        return self[key]

    def floats(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.float32), *self._arrays])


def as_json(layer: dict, pool: Pool) -> str:
    """A layer as JSON, with {"array": place} for each of its arrays."""
    return json.dumps({
        name: {"array": pool.place(rounded(value))} if isinstance(value, np.ndarray) else value
        for name, value in layer.items()}, ensure_ascii=False, allow_nan=False, default=float)


def rounded(values: np.ndarray) -> np.ndarray:
    """float32 with 13 significant bits; whole numbers keep 16."""
    values = np.ascontiguousarray(values, dtype="<f4")
    finite = values[np.isfinite(values)]
    dropped = 8 if (finite == np.round(finite)).all() else 11  # of the 23 bits behind the first
    bits = values.view("<u4").astype(np.uint64)
    near = np.where(np.isfinite(values), (bits + (1 << dropped - 1)) >> dropped << dropped, bits)
    return near.astype("<u4").view("<f4")


def compressed(header: dict, floats: np.ndarray) -> bytes:
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, default=float).encode()
    planes = np.ascontiguousarray(floats.astype("<f4").view(np.uint8).reshape(-1, 4)[:, :0:-1].T)
    return gzip.compress(struct.pack("<I", len(text)) + text + planes.tobytes(), mtime=0)
