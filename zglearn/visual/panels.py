"""The drawing grammar of the widgets: panels, and the layers that are drawn in them.

A widget computes *layers*: plain dictionaries of arrays that say what to draw in which panel.
Nothing here knows a kernel or a browser. `draw` makes the static picture with matplotlib; the
browser (`widget.js`) draws the same layers again, in time with the learner's hand.
"""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogFormatterSciNotation

from .figures import (
    AS_IT_IS,
    COLOURS,
    DASHES,
    MARKERS,
    contour_levels,
    legend,
    named,
    plot_boxes,
)

# One ramp of colours per kind of heat map; the browser gets the same stops, and for "terrain" a
# dark set as well.
RAMPS = {
    "sequential": ("#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"),
    "diverging": ("#7f3b08", "#e08214", "#fee0b6", "#f7f7f7", "#d8daeb", "#8073ac", "#2d004b"),
    "terrain": ("#9fb4c7", "#dfe7ee", "#fbfaf7"),
    "terrain, dark": ("#10161d", "#283543", "#4a5a69"),
}
# On dark paper the two blues are too dim.
COLOURS_DARK = ("#4FA9F0", "#E8702A", "#1BB58A", "#E08ABB", "#E69F00", "#A6DCFF", "#BBBBBB")
GREY = -1  # as a colour: the foreground, for what belongs to no method
HALO = [withStroke(linewidth=3, foreground="white")]  # around words that stand among lines
NAME = "name of a point"


@dataclass(frozen=True)
class Panel:
    """A place to draw: axes, or with ``kind="text"`` a place for text and tables, or a "chart".

    ``drag`` names the two settings that a drag or click on the axes changes, and ``handle`` is
    what the dragged point is called. ``zoom`` is the setting that holds the visible box
    (left, low, right, high). ``pick`` is the group of layers shown first where the reader may
    choose among groups. With ``equal``, a unit is as long across as it is up. ``span`` is the
    width in twelfths, ``rows`` the rows of the grid that it fills, ``height`` in pixels.
    """

    name: str
    title: str = ""
    xlabel: str = ""
    ylabel: str = ""
    log: str = ""
    kind: str = "axes"
    xlim: tuple | None = None
    ylim: tuple | None = None
    drag: tuple | None = None
    handle: str = ""
    zoom: str | None = None
    pick: str | None = None
    equal: bool = False
    span: int = 6
    rows: int = 1
    height: int = 300


def line(panel, x, y, *, colour=0, label="", **look):
    """A line through x, y (n,). With ``timed=True`` entry t is drawn at time t: scrubbing cuts it.

    Look: ``marker`` (dots on the points), ``thin``, ``group``, ``timed``.
    """
    return _layer("line", panel, x=x, y=y, colour=colour, label=label, **look)


def frames(panel, x, y, *, colour=0, label="", mark="line", **look):
    """One small drawing for each time: row t of x, y (n, k), as a "line", as "dots" or "crosses".

    An "ellipse" has three columns: its centre and its two half axes. What is nan is left out.
    """
    return _layer("frames", panel, x=x, y=y, colour=colour, label=label, mark=mark, **look)


def dots(panel, x, y, *, colour=0, label="", names=None, **look):
    """Points x, y (n,), each with its name beside it if ``names`` are given."""
    return _layer("dots", panel, x=x, y=y, colour=colour, label=label, names=names, **look)


def band(panel, x, low, high, *, colour=0, **look):
    """The area between low and high (n,)."""
    return _layer("band", panel, x=x, y=low, high=high, colour=colour, **look)


def bars(panel, x, y, *, width, colour=0, label="", **look):
    """Bars of height y (n,), centred on x (n,), of one width."""
    return _layer("bars", panel, x=x, y=y, width=float(width), colour=colour, label=label, **look)


def rule(panel, *, x=None, y=None, label="", colour=GREY, **look):
    """A thin line across the panel at one x or one y, with its label beside it.

    ``below=True`` puts the label of a y under the line.
    """
    return _layer("rule", panel, at=float(y if x is None else x), along="y" if x is None else "x",
                  label=label, colour=colour, **look)


def heat(panel, z, extent, *, ramp="sequential", low=None, high=None, label="", **look):
    """A matrix z (rows, columns) as colours between ``low`` and ``high``, first row at the bottom.

    ``extent`` is (left, low, right, high), the outer edges. The ramp "terrain" draws contours; its
    z may stand for places among ``levels`` (n,), from 0 to 1. ``reads`` names what is read there.
    """
    z = np.asarray(z, dtype=np.float32)
    return _layer("heat", panel, z=z, extent=[float(e) for e in extent], ramp=ramp, label=label,
                  low=float(np.nanmin(z) if low is None else low),
                  high=float(np.nanmax(z) if high is None else high), **look)


def terrain(panel, Z, extent):
    """The contours of the losses Z (rows, columns): narrow valleys and their walls alike."""
    levels = contour_levels(Z)
    bands = np.interp(Z, levels, np.linspace(0, 1, len(levels)))
    return heat(panel, bands, extent, ramp="terrain", low=0, high=1, levels=levels, reads="loss")


def axis(panel, **style):
    """Other labels (``xlabel``, ``ylabel``) or ``log`` axes than the panel's own."""
    return _layer("axis", panel, **style)


def text(panel, text, *, label=""):
    """A paragraph in a text panel, with a heading; a list has one paragraph for each time."""
    return _layer("text", panel, text=[text] if isinstance(text, str) else list(text), label=label)


def table(panel, header, rows, *, label=""):
    """A table in a text panel; cells are shown as they are given."""
    return _layer("table", panel, header=[str(h) for h in header],
                  rows=[[str(cell) for cell in row] for row in rows], label=label)


def chart(panel, boxes, places, arrows, lit):
    """A flow chart: ``boxes`` are words at ``places`` (column, row), the lowest row 0.

    ``arrows`` are (from, to, label). At time t the box ``lit[t]`` is lit, of ``lit`` (n,).
    """
    return _layer("chart", panel, boxes=list(boxes), places=[list(p) for p in places],
                  arrows=[list(a) for a in arrows], lit=[int(i) for i in lit])


def clock(steps):
    """The step that each time stands for, where not every step is shown."""
    return _layer("clock", None, x=steps)


def pause(step):
    """Where the play through time stops for once, and the picture begins; None is the end."""
    return _layer("pause", None, at=step)


def status(text):
    """A sentence for the widget's status line, which a screen reader reads out."""
    return _layer("status", None, text=str(text))


def _layer(kind, panel, **values):
    for name in ("x", "y", "high"):
        if kind != "heat" and name in values:
            with np.errstate(over="ignore"):
                values[name] = np.asarray(values[name], dtype=np.float32)
    return {"kind": kind, "panel": panel} | values


def pack(layers) -> tuple[list[dict], bytes]:
    """Layers for the wire: each array replaced by its place in one buffer of float32."""
    chunks, at, packed = [], 0, []
    for layer in layers:
        packed.append(dict(layer))
        for name, value in layer.items():
            if isinstance(value, np.ndarray):
                packed[-1][name] = {"at": at, "shape": value.shape}
                chunks.append(np.ascontiguousarray(value, dtype="<f4").tobytes())
                at += value.size
    return packed, b"".join(chunks)


def draw(panels, layers, settings):
    """The static picture: the panels where the browser puts them, each with its layers.

    ``settings`` hold the visible boxes and dragged points that the panels name. Returns a figure.
    """
    placed = list(zip(panels, _places(panels), strict=True))
    heights = [max(_height(p, layers) / p.rows + 70 for p, (top, _) in placed
                   if top <= row < top + p.rows)
               for row in range(max(top + p.rows for p, (top, _) in placed))]
    fig = Figure(figsize=(10, 0.3 + sum(heights) / 100))
    FigureCanvasAgg(fig)
    grid = fig.add_gridspec(len(heights), 12, height_ratios=heights)
    for panel, (top, left) in placed:
        ax = fig.add_subplot(grid[top:top + panel.rows, left:left + panel.span])
        mine = [y for y in layers if y["panel"] == panel.name]
        groups = [y["group"] for y in mine if y.get("group")]
        chosen = panel.pick if panel.pick in groups else (groups or [None])[0]
        mine = [y for y in mine if y.get("group") in (None, chosen)]
        if panel.kind == "text":
            _draw_text(ax, mine, panel.span)
        elif panel.kind == "chart":
            _draw_chart(ax, mine)
        else:
            _draw_axes(ax, panel, mine, settings)
        ax.set_title(panel.title if chosen is None else f"{panel.title}: {chosen}", **AS_IT_IS)
    if any(y.get("names") for y in layers):
        _part_names(fig)
    return fig


def _places(panels):
    """(row, column) of each panel in a grid of twelve columns: the first place where it fits."""
    taken, places = set(), []
    for panel in panels:
        for place in range(12 * 100):
            top, left = divmod(place, 12)
            area = {(top + i, left + j) for i in range(panel.rows) for j in range(panel.span)}
            if left + panel.span <= 12 and not area & taken:
                break
        taken |= area
        places.append((top, left))
    return places


def _draw_axes(ax, panel, layers, settings):
    style = asdict(panel)
    for layer in layers:
        if layer["kind"] == "axis":
            style |= layer
        else:
            _DRAW[layer["kind"]](ax, layer)
    rules = [y for y in layers if y["kind"] == "rule" and y["label"]]
    ax.set_xlabel(style["xlabel"], **AS_IT_IS)
    ax.set_ylabel(style["ylabel"], **AS_IT_IS)
    for axis in style["log"]:
        getattr(ax, f"set_{axis}scale")("log")
        getattr(ax, f"{axis}axis").set_major_formatter(Decades())
        getattr(ax, f"{axis}axis").set_minor_formatter(BetweenDecades())
    if panel.drag:
        ax.plot(*(settings[name] for name in panel.drag), "o", markersize=9, zorder=4,
                markerfacecolor="white", markeredgecolor="#111111", label=named(panel.handle))
    box = settings[panel.zoom] if panel.zoom else None
    for axis, limits in (("x", box[0::2] if box else panel.xlim),
                         ("y", box[1::2] if box else panel.ylim)):
        if limits is not None:
            getattr(ax, f"set_{axis}lim")(*limits)
    if panel.equal:
        ax.set_aspect("equal", adjustable="box")
    if any(y["kind"] == "heat" for y in layers):
        ax.grid(False)
    for layer in rules:
        _name_rule(ax, layer)
    if ax.get_legend_handles_labels()[1]:
        legend(ax, fontsize=8, loc="best", frameon=True, framealpha=0.8, edgecolor="none")


class BetweenDecades(LogFormatterSciNotation):
    """Where an axis has few decades, the ticks between them as plain numbers: 20, not 2 × 10¹."""

    def __call__(self, x, pos=None):
        return super().__call__(x, pos) and f"{x:g}"


class Decades(LogFormatterSciNotation):
    """The decades themselves as plain numbers where there are few, as in the browser."""

    def __call__(self, x, pos=None):
        low, high = self.axis.get_view_interval()
        return f"{x:g}" if 0 < low and high / low < 10**2.5 else super().__call__(x, pos)


def _look(layer):
    i = layer["colour"]
    return {"color": "#333333" if i == GREY else COLOURS[i % 7],
            "label": named(layer["label"]) or None}


def _draw_line(ax, layer):
    i = layer["colour"]
    ax.plot(layer["x"], layer["y"], linestyle="solid" if i == GREY else DASHES[i % 7],
            linewidth=1 if layer.get("thin") else 1.8, marker="o" if layer.get("marker") else None,
            markersize=4, **_look(layer))


def _draw_frames(ax, layer):
    if not len(layer["x"]):
        return
    x, y, look = layer["x"][-1], layer["y"][-1], _look(layer) | {"markersize": 4}
    if layer["mark"] == "ellipse":
        angle = np.linspace(0, 2 * np.pi, 65)
        x, y = (v @ [np.ones(65), np.cos(angle), np.sin(angle)] for v in (x, y))
    if layer["mark"] in ("dots", "crosses"):
        dot = MARKERS[layer["colour"] % 7]
        look |= {"linestyle": "none", "marker": {"dots": dot, "crosses": "x"}[layer["mark"]]}
    elif layer["mark"] == "line" and layer["colour"] != GREY:
        look |= {"linestyle": DASHES[layer["colour"] % 7]}
    ax.plot(x, y, **{"linewidth": 1.2, "linestyle": "solid"} | look)


def _draw_dots(ax, layer):
    marker = "*" if layer.get("star") else MARKERS[layer["colour"] % 7]
    ax.plot(layer["x"], layer["y"], marker, markersize=11 if layer.get("star") else 5,
            **_look(layer))
    for x, y, name in zip(layer["x"], layer["y"], layer["names"] or (), strict=False):
        ax.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=8,
                    gid=NAME, path_effects=HALO, **AS_IT_IS)


def _part_names(fig):
    """Put a name to the left of its point where it would run into the next one's."""
    fig.draw_without_rendering()  # only now it is known where things stand
    for ax in fig.axes:
        taken = []
        for name in reversed([text for text in ax.texts if text.get_gid() == NAME]):
            if any(name.get_window_extent().overlaps(box) for box in taken):
                name.set(position=(-4, 3), horizontalalignment="right")
            taken.append(name.get_window_extent())


def _draw_band(ax, layer):
    ax.fill_between(layer["x"], layer["y"], layer["high"], alpha=0.2, linewidth=0,
                    color=_look(layer | {"label": ""})["color"])


def _draw_bars(ax, layer):
    ax.bar(layer["x"], layer["y"], layer["width"], alpha=0.75, **_look(layer))


def _draw_rule(ax, layer):
    {"x": ax.axvline, "y": ax.axhline}[layer["along"]](
        layer["at"], color="#333333", linewidth=1, linestyle=(0, (2, 2)))


def _name_rule(ax, layer):
    at = layer["at"]
    if layer["along"] == "y":
        ax.margins(y=0.08 if layer.get("below") else None)
        look = {"xy": (0.01, at), "xycoords": ("axes fraction", "data"),
                "xytext": (0, -3 if layer.get("below") else 2),
                "va": "top" if layer.get("below") else "bottom"}
    else:
        right = ax.transAxes.inverted().transform(ax.transData.transform((at, 1)))[0] > 0.7
        look = {"xy": (at, 1), "xycoords": ("data", "axes fraction"),
                "xytext": (-3 if right else 3, -10), "ha": "right" if right else "left"}
    ax.annotate(layer["label"], textcoords="offset points", fontsize=8, path_effects=HALO, **look,
                **AS_IT_IS)


def _draw_heat(ax, layer):
    left, low, right, high = layer["extent"]
    colours = LinearSegmentedColormap.from_list(layer["ramp"], RAMPS[layer["ramp"]])
    colours = colours.with_extremes(bad=(0.5, 0.5, 0.5, 0.35))  # what is nan, as in the browser
    if layer["ramp"] == "terrain":
        rows, columns = layer["z"].shape
        x, y = np.linspace(left, right, columns), np.linspace(low, high, rows)
        levels = np.linspace(layer["low"], layer["high"], 15)
        ax.contourf(x, y, layer["z"], levels, cmap=colours)
        ax.contour(x, y, layer["z"], levels, colors="#8294a5", linewidths=0.6, linestyles="solid")
        return
    image = ax.imshow(layer["z"], origin="lower", aspect="auto", extent=(left, right, low, high),
                      cmap=colours, vmin=layer["low"], vmax=layer["high"])
    if layer["label"]:
        ax.figure.colorbar(image, ax=ax).set_label(layer["label"], **AS_IT_IS)


def _height(panel, layers):
    """In hundredths of an inch: more than the panel's own where its words need it."""
    words = panel.kind == "text" and [y for y in layers if y["panel"] == panel.name]
    return max(panel.height, 13.5 * len(_lines(words, panel.span)) if words else 0)


def _draw_text(ax, layers, span):
    ax.set_axis_off()
    ax.text(0, 1, "\n".join(_lines(layers, span)), va="top", family="monospace", fontsize=8,
            transform=ax.transAxes, in_layout=False, **AS_IT_IS)  # it takes no room from the others


def _lines(layers, span):
    """The lines of a text panel, wrapped to its width; of a table, the last column is."""
    written, room = [], 10 * span  # letters that fit into a line
    for layer in layers:
        written += [layer["label"]] * bool(layer["label"])
        if layer["kind"] == "table":
            cells = [layer["header"], *layer["rows"]]
            widths = [max(len(row[j]) for row in cells) for j in range(len(layer["header"]))]
            before = sum(widths[:-1]) + 2 * len(widths[:-1])
            for row in cells:
                line = "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
                first, *more = textwrap.wrap(line[before:], max(room - before, 12)) or [""]
                written += [line[:before] + first, *(" " * before + rest for rest in more)]
        elif layer["kind"] == "text":
            written += textwrap.wrap(layer["text"][-1], room)
        written.append("")
    return written[:-1]


def _draw_chart(ax, layers):
    for layer in layers:
        boxes = layer["boxes"]
        plot_boxes(dict(zip(boxes, layer["places"], strict=True)),
                   [(boxes[i], boxes[j], label) for i, j, label in layer["arrows"]],
                   ax=ax, lit=boxes[layer["lit"][-1]])


_DRAW = {"line": _draw_line, "frames": _draw_frames, "dots": _draw_dots, "band": _draw_band,
         "bars": _draw_bars, "rule": _draw_rule, "heat": _draw_heat}
