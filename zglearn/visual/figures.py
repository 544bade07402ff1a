"""The figures of the course: one style, and the few kinds of picture that the chapters need.

Every helper draws on matplotlib axes (new ones, unless `ax=` gives some) and returns them, so a
chapter may add to a picture before it shows it:

    ax = plot_paths(ravine, {"gradient descent": a, "momentum": b})
    show(ax, alt="Two paths in a ravine: gradient descent zigzags, momentum rounds the bend.")

The card behind a figure is opaque and light, so that it reads in a dark JupyterLab as well. Lines
differ in colour (Okabe and Ito's palette, safe for the colour-blind), in dash and in marker.
"""

from __future__ import annotations

import io
import re

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

# Okabe and Ito (2008) without the yellow, which a light card swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
DASHES = ("solid", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1)),
          "solid")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
TERRAIN = LinearSegmentedColormap.from_list("terrain_of_loss", ("#9fb4c7", "#dfe7ee", "#fbfaf7"))

STYLE = {
    "figure.facecolor": "#ffffff", "figure.dpi": 110, "figure.constrained_layout.use": True,
    "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#555555",
    "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.8, "axes.axisbelow": True,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS, linestyle=DASHES),
    "lines.linewidth": 1.8, "legend.frameon": False, "image.cmap": "cividis",
    "image.interpolation": "nearest",
}
matplotlib.rcParams.update(STYLE)
UNSEEN = "\u200b"  # a space of no width
AS_IT_IS = {"parse_math": False}  # for names: a "$" in them is a dollar, not a formula


def figure(rows=1, columns=1, *, width=7.0, height=None, **subplots):
    """A new figure and its axes: one Axes, or an array of them. Sizes are in inches."""
    fig = Figure(figsize=(width, height or 3.6 * rows))
    FigureCanvasAgg(fig)
    return fig, fig.subplots(rows, columns, **subplots)


def png(fig) -> bytes:
    """The figure as PNG bytes."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    return buffer.getvalue()


def show(fig, alt: str) -> None:
    """Display a figure (or the figure of some axes) with its description in words.

    The description stands under the picture for everybody: JupyterLab gives a screen reader no
    other place to find it. It is in the metadata too, for exporters that make it the alt text.

    Raises ValueError if the description is empty.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("describe the figure in a sentence or two: show(fig, alt='...')")
    fig = fig.figure if isinstance(fig, Axes) else fig
    alt = " ".join(alt.split())
    display({"image/png": png(fig), "text/plain": alt}, metadata={"image/png": {"alt": alt}},
            raw=True)
    words = re.sub(r"([\\`*$<\[\]|~]|(?<!\w)_|_(?!\w))", r"\\\1", alt)  # what Markdown would take
    display({"text/markdown": f"*{words}*", "text/plain": alt}, raw=True)


def plot_landscape(landscape, ax=None, *, bounds=None, resolution=160, minima=True):
    """Contours of a loss of two variables, darker where it is lower.

    ``bounds`` are the lowest and highest corner, as in `Landscape`.
    """
    ax = ax or figure(width=5.6, height=4.4)[1]
    (left, low), (right, high) = landscape.bounds if bounds is None else bounds
    x, y = np.linspace(left, right, resolution), np.linspace(low, high, resolution)
    Z = landscape.f(np.stack(np.meshgrid(x, y), axis=-1))
    levels = contour_levels(Z)
    ax.contourf(x, y, Z, levels, colors=TERRAIN(np.linspace(0, 1, len(levels) - 1)))
    ax.contour(x, y, Z, levels, colors="#8294a5", linewidths=0.6, linestyles="solid")
    if minima:
        for point in landscape.minima:
            ax.plot(*point, marker="*", markersize=13, color="#111111", markeredgecolor="white",
                    linestyle="none", zorder=3)
    ax.set(xlim=(left, right), ylim=(low, high), xlabel="$x_1$", ylabel="$x_2$")
    ax.set_title(landscape.name, **AS_IT_IS)
    ax.grid(False)
    return ax


def contour_levels(Z, n=15):
    """Levels that cut the visible area into bands of growing size, the smallest at the bottom.

    Unlike equal steps of the loss, they show a narrow valley and its walls alike.
    """
    if not np.isfinite(Z).any():
        raise ValueError("no loss in this box is finite: there is nothing to draw")
    levels = np.quantile(Z[np.isfinite(Z)], np.linspace(0, 1, n) ** 2)
    return np.unique(levels) if np.ptp(levels) > 0 else levels[0] + np.arange(2)


def plot_paths(landscape, trajectories, labels=None, *, ax=None, bounds=None, markers=12):
    """The paths of several runs on the contours of their landscape.

    ``trajectories`` is {label: Trajectory}, or a list with ``labels`` beside it. About ``markers``
    of each path's points are marked, evenly in steps: wide gaps mean long steps.
    """
    ax = plot_landscape(landscape, ax, bounds=bounds)
    for i, (label, run) in enumerate(_labelled(trajectories, labels)):
        x, y = run.points.T
        ax.plot(x, y, label=named(label), marker=MARKERS[i % 7], markersize=4.5,
                markeredgecolor="white", markeredgewidth=0.6,
                markevery=max(1, len(run) // markers), **_line(i))
    ax.plot(*run.points[0], marker="o", markersize=8, markerfacecolor="white",
            markeredgecolor="#111111", linestyle="none", label="start")
    legend(ax, loc="best", frameon=True, framealpha=0.85, edgecolor="none")
    return ax


def plot_losses(trajectories, labels=None, *, against="cost", floor=0.0, ax=None, log=True):
    """The loss of several runs against ``"cost"`` (forward-equivalents) or ``"steps"``.

    ``floor`` is the lowest possible loss; what is drawn is the loss above it, on a log axis.
    """
    if against not in ("cost", "steps"):
        raise ValueError(f"against must be 'cost' or 'steps', not {against!r}")
    ax = ax or figure(width=6.4, height=3.8)[1]
    for i, (label, run) in enumerate(_labelled(trajectories, labels)):
        x = run.forward_equivalents if against == "cost" else np.arange(len(run) + 1)
        excess = run.losses - floor
        ax.plot(x, np.where(excess > 0, excess, np.nan) if log else excess,
                label=named(label), marker=MARKERS[i % 7], markersize=4.5, markevery=0.12,
                **_line(i))
    ax.set(xlabel="cost (forward-equivalents)" if against == "cost" else "steps",
           ylabel="loss above the minimum" if floor else "loss", yscale="log" if log else "linear")
    legend(ax, loc="best")
    return ax


def plot_lines(x, lines, *, ax=None, xlabel="", ylabel="", title="", log=""):
    """Lines over a shared ``x`` (n,): {label: y}, with y (n,), or (runs, n) for median and range.

    ``log`` names the logarithmic axes: "", "x", "y" or "xy".
    """
    ax = ax or figure(width=6.4, height=3.8)[1]
    for i, (label, y) in enumerate(lines.items()):
        runs = np.atleast_2d(_filled(y))
        marker = MARKERS[i % 7] if len(x) <= 60 else None
        ax.plot(x, np.median(runs, axis=0), label=named(label), marker=marker, markersize=4.5,
                **_line(i))
        if len(runs) > 1:
            ax.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=COLOURS[i % 7], alpha=0.2,
                            linewidth=0)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, xscale="log" if "x" in log else "linear",
           yscale="log" if "y" in log else "linear")
    if len(lines) > 1:
        legend(ax, loc="best")
    return ax


def plot_bars(values, *, ax=None, xlabel="", ylabel="", title="", decimals=3):
    """Horizontal bars of {label: value}, the first on top, each with its number."""
    ax = ax or figure(width=6.4, height=0.8 + 0.36 * len(values))[1]
    bars = ax.barh(range(len(values)), list(values.values()), color=COLOURS[0])
    ax.set_yticks(range(len(values)), [str(name) for name in values], **AS_IT_IS)
    ax.bar_label(bars, fmt=f"%.{decimals}f", padding=3)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.grid(False)
    return ax


def heatmap(A, *, ax=None, rows=None, columns=None, title="", label="", numbers=None):
    """A matrix as colours, with names for its rows and columns if given.

    Values on both sides of zero get a diverging map centred on zero. ``numbers`` (a format such
    as ".2f") writes the values into the cells.
    """
    A = _filled(A)
    ax = ax or figure(width=6.4, height=min(6.0, 1.4 + 6.0 * len(A) / max(A.shape[1], 8)))[1]
    top = np.nanmax(np.abs(A), initial=0.0)
    signed = np.nanmin(A) < 0 < np.nanmax(A)
    colours = {"cmap": "PuOr", "vmin": -top, "vmax": top} if signed else {}
    image = ax.imshow(A, aspect="auto", **colours)
    ax.figure.colorbar(image, ax=ax, label=label)
    if rows is not None:
        ax.set_yticks(range(len(A)), rows, **AS_IT_IS)
    if columns is not None:
        ax.set_xticks(range(A.shape[1]), columns, rotation=45, ha="right", **AS_IT_IS)
    for (i, j), a in np.ndenumerate(A) if numbers else ():
        light = np.dot(image.cmap(image.norm(a))[:3], (0.299, 0.587, 0.114)) > 0.5
        ax.text(j, i, format(a, numbers), ha="center", va="center", color="k" if light else "w")
    ax.set_title(title)
    ax.grid(False)
    return ax


def plot_differences(found, *, ax=None, xlabel="", up=0.0, label=None):
    """The intervals of {name: Comparison}, the first on top, and a line at zero.

    ``up`` moves them up by so much of a row, so that a second call can set others beside them.
    """
    ax = ax or figure(width=6.4, height=0.8 + 0.36 * len(found))[1]
    ax.errorbar([c.difference for c in found.values()], np.arange(len(found)) - up,
                xerr=[c.high - c.difference for c in found.values()], label=label,
                fmt=MARKERS[len(ax.containers) % 7])
    ax.axvline(0, color="#555555", linewidth=1)
    ax.set(xlabel=xlabel, ylim=(len(found) - 0.5, -0.5))
    ax.set_yticks(range(len(found)), [str(name) for name in found], **AS_IT_IS)
    return ax


def plot_boxes(places, arrows, *, ax=None, lit=None):
    """Boxes with words and arrows between them: {words: (x, y)} and [(from, to, label)].

    The words of ``lit``, if given, are those of the box that stands out.
    """
    ax = ax or figure(width=9.5, height=4.5)[1]
    ax.set_axis_off()
    x, y = np.array(list(places.values()), dtype=float).T
    ax.set(xlim=(x.min() - 0.6, x.max() + 0.6), ylim=(y.min() - 0.4, y.max() + 0.4))
    boxes = {words: ax.text(*place, words, ha="center", va="center", fontsize=9, zorder=3, bbox={
                 "boxstyle": "round,pad=0.5", "edgecolor": "#333333",
                 "facecolor": "#ffd9b8" if words == lit else "#ffffff",
                 "linewidth": 2.5 if words == lit else 1}, **AS_IT_IS)
             for words, place in places.items()}
    for start, end, label in arrows:
        ax.annotate("", places[end], places[start], arrowprops={
            "arrowstyle": "->", "patchA": boxes[start].get_bbox_patch(),
            "patchB": boxes[end].get_bbox_patch(), "shrinkA": 2, "shrinkB": 2})
        ax.text(*np.add(places[start], places[end]) / 2, label, ha="center", va="center",
                fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
                **AS_IT_IS)
    return ax


def _filled(values) -> np.ndarray:
    """An array, in which what was masked is nan: a hole in the picture."""
    values = values.toarray() if hasattr(values, "toarray") else values
    return np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)


def named(label) -> str:
    """A label that reaches the legend: matplotlib would leave out one that begins with "_"."""
    return f"{UNSEEN}{label}" if str(label).startswith("_") else str(label)


def legend(ax, **look) -> None:
    """A legend in which the names stand as they are."""
    for text in ax.legend(**look).get_texts():
        text.set(text=text.get_text().removeprefix(UNSEEN), **AS_IT_IS)


def _line(i):
    return {"color": COLOURS[i % 7], "linestyle": DASHES[i % 7]}


def _labelled(trajectories, labels):
    """(label, trajectory) pairs from a mapping, or from two lists of the same length."""
    if labels is None and not isinstance(trajectories, dict):
        raise ValueError("name the paths: a mapping {label: trajectory}, or labels=[...]")
    pairs = trajectories.items() if labels is None else zip(labels, trajectories, strict=True)
    return list(pairs)
