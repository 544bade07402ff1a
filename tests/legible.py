"""Whether every text of a figure can be read, wherever a notebook shows one.

`watch(folder)` gives the environment of a kernel in which `show` raises ValueError where texts of
a figure run into each other, over a line, or out of the picture. What a rendering measures costs
nothing beside the rendering.
"""

import itertools
from pathlib import Path

CLEAR = 1.0  # pixels that two texts may share, since the box of a text has air around it


def watch(folder: Path) -> dict:
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "watch.py").write_text(
        f"import sys; sys.path.append({str(Path(__file__).parent)!r})\n"
        "import legible; legible.patch(); del sys, legible\n")
    return {"IPYTHONDIR": str(folder)}


def patch():
    from zglearn.visual import figures

    drawn = figures.png

    def png(fig):
        picture = drawn(fig)
        if found := troubles(fig):
            raise ValueError("\n".join(["texts that cannot be read:", *found]))
        return picture

    figures.png = png


def troubles(fig) -> list[str]:
    """What is wrong with the texts of a figure that has been drawn, in words."""
    found, boxes = [], {}
    for text in texts(fig):
        box = text.get_window_extent()
        if text.get_rotation() % 90 == 0:
            boxes[text] = box.padded(-CLEAR)
        if not (fig.bbox.x0 <= box.x0 + CLEAR and box.x1 <= fig.bbox.x1 + CLEAR and
                fig.bbox.y0 <= box.y0 + CLEAR and box.y1 <= fig.bbox.y1 + CLEAR):
            found.append(f"{text.get_text()!r} is cut off")
    found += [f"{a.get_text()!r} runs into {b.get_text()!r}"
              for (a, one), (b, other) in itertools.combinations(boxes.items(), 2)
              if one.overlaps(other)]
    for ax in fig.axes:
        for text in ax.texts + legend_of(ax):
            found += [f"{text.get_text()!r} has a line through it" for line in ax.lines
                      if text in boxes and not text.get_path_effects() and line.get_visible()
                      and through(line, boxes[text])]
    return found


def texts(fig):
    """The texts that are drawn."""
    written = [*fig.texts, *([fig._suptitle] if fig._suptitle else [])]
    for ax in fig.axes:
        written += [*ax.texts, ax.title, ax._left_title, ax._right_title, *legend_of(ax)]
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            low, high = sorted(axis.get_view_interval())
            written += [axis.label, *(
                tick.label1 for tick in axis.get_major_ticks() + axis.get_minor_ticks()
                if tick.label1.get_visible() and low <= tick.get_loc() <= high)]
    return list(dict.fromkeys(t for t in written if t.get_visible() and t.get_text().strip()))


def legend_of(ax):
    legend = ax.get_legend()
    return list(legend.get_texts()) if legend is not None and legend.get_visible() else []


def through(line, box):
    """Whether a line that is drawn crosses a box."""
    if line.get_linestyle() == "None":
        return any(box.contains(x, y) for x, y in line.get_transform().transform(line.get_xydata()))
    return line.get_path().transformed(line.get_transform()).intersects_bbox(box, filled=False)
