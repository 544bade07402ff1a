"""The map of the course: which chapter leads to which, in one picture."""

from __future__ import annotations

from zglearn import paths
from zglearn.visual import COLOURS, figure, show

PARTS = {  # a row of the picture each; the names are short forms of the titles
    "matrices": {"01": "Low rank", "02": "Parts, topics"},
    "gradients": {"03": "Descent", "04": "Momentum", "05": "Adagrad", "06": "RMSprop",
                  "07": "Adam"},
    "networks": {"08": "Networks", "09": "The recipe", "10": "After Adam",
                 "11": "A fair race", "12": "Smaller"},
    "no gradient": {"13": "Its price", "14": "Search", "15": "Evolution",
                    "16": "Capstone"},
    "judgement": {"17": "Errata clinic"},
}
LEADS_TO = {  # beside the next in the row
    "01": ("03", "10"), "02": ("10",), "03": ("08",), "05": ("10",), "07": ("11",),
    "08": ("13",), "11": ("15",), "12": ("16",), "13": ("17",),
}
ALT = """A map of the chapters in five rows: matrices (01, 02), gradients (03 to 07), networks
(08 to 12), no gradient (13 to 16), judgement (17). In a row each chapter leads to the next. The
first chapter of each row leads to the first of the row below. Further arrows go down from 01, 02
and 05 to the methods for matrices, from Adam to the race, from there to evolution strategies, and
from small models to the capstone."""


def course_map() -> None:
    """Draw the chapters that are here, in rows by subject, with arrows to those that need them."""
    places = {number: (column, -row) for row, part in enumerate(PARTS.values())
              for column, number in enumerate(part) if paths.notebook("chapters", number)}
    _, ax = figure(width=7.6, height=4.2)

    boxes = {}
    for row, (part, chapters) in enumerate(PARTS.items()):
        ax.text(-0.62, -row, part, ha="right", va="center", color=COLOURS[row], weight="bold")
        for number, words in chapters.items():
            if number in places:
                boxes[number] = ax.text(
                    *places[number], f"{number}\n{words}", ha="center", va="center", fontsize=8.5,
                    bbox=dict(boxstyle="round,pad=0.35", facecolor="white", linewidth=1.4,
                              edgecolor=COLOURS[row])).get_bbox_patch()

    def arrow(start, end, **style):
        ax.annotate("", places[end], places[start], zorder=1,
                    arrowprops=dict(arrowstyle="-|>", patchA=boxes[start], patchB=boxes[end],
                                    shrinkA=1, shrinkB=2, **style))

    for number, (x, y) in places.items():
        for other, (a, b) in places.items():
            if (a, b) == (x + 1, y):
                arrow(number, other, color="#555555")
            elif other in LEADS_TO.get(number, ()):  # over two rows: not through what is between
                bend = 0.12 if y - b == 1 else 0.1 - 0.2 * (a - x)
                arrow(number, other, color="#b9b9b9", connectionstyle=f"arc3,rad={bend}")
    ax.set(xlim=(-1.5, 4.5), ylim=(-len(PARTS) + 0.45, 0.45))
    ax.set_axis_off()
    show(ax, alt=ALT)
