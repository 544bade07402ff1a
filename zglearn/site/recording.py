"""A widget's answers, recorded: what its page shows where no Python runs.

Recorded is every position of each control with the others at their defaults, and a coarse grid of
places for a point that can be dragged; where a part has few questions in all, every one of them.
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


def record(widget: Widget) -> bytes:
    """The recording of all parts. An answer that failed is not in it."""
    pool, layers, answers = Pool(), Pool(), []
    for part in widget.parts.values():
        for settings in questions(widget, part.needs):
            try:
                with np.errstate(all="ignore"):
                    answer = part.compute(**settings)
            except Exception:  # as a learner would see it: there the page has nothing
                continue
            drawn = [layers.place(packed(layer, pool)) for layer in answer]
            answers.append([part.name, list(settings.values()), drawn])
    header = {"spec": widget.spec, "settings": widget.settings, "answers": answers,
              "layers": list(layers), "arrays": pool.shapes}
    return compressed(header, pool.floats())


def questions(widget: Widget, needs: tuple) -> list[dict]:
    """The settings at which a part is recorded, each {name: value} of what it needs."""
    start = {name: widget.settings[name] for name in needs}
    axes = [[{name: value} for value in widget.controls[name].values] for name in needs
            if widget.controls[name].values and name not in dragged(widget)]
    for panel in widget.panels:
        if panel.drag and {*panel.drag} & {*needs}:
            axes.append([{name: place[name] for name in panel.drag if name in needs}
                         for place in places(widget, panel)])
            axes += [[{name: value} for value in widget.controls[name].values]
                     for name in panel.drag if name in needs and widget.controls[name].values]
    every = np.prod([float(len(axis)) for axis in axes]) <= FEW and not dragged(widget) & {*needs}
    changes = itertools.product(*axes) if every else [(change,) for axis in axes for change in axis]
    found = [start] + [start | {k: v for one in change for k, v in one.items()}
                       for change in changes]
    return list({json.dumps(settings): settings for settings in found}.values())


def dragged(widget: Widget) -> set[str]:
    return {name for panel in widget.panels for name in panel.drag or ()}


def places(widget: Widget, panel) -> list[dict]:
    """A coarse grid over what a panel shows, for the point that is dragged there."""
    box = widget.settings[panel.zoom] if panel.zoom else None
    sides = []
    for i, (name, limits) in enumerate(zip(panel.drag, (panel.xlim, panel.ylim), strict=True)):
        low, high = box[i::2] if box else limits or extent(widget.controls[name].values)
        sides.append([(name, float(value)) for value in np.linspace(low, high, PLACES)])
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


def packed(layer: dict, pool: Pool) -> str:
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
