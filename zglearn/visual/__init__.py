"""What the chapters draw: figures (`figures.py`) and widgets (`widgets/`, one file for each).

    from zglearn.visual import explorer, plot_paths, show

Everything is loaded when it is first asked for: a chapter pays only for what it shows.
"""

import importlib

_HOME = dict.fromkeys(
    ("COLOURS", "DASHES", "MARKERS", "figure", "heatmap", "plot_bars", "plot_boxes",
     "plot_differences", "plot_landscape", "plot_lines", "plot_losses", "plot_paths", "png",
     "show"), "figures")
_HOME |= {name: f"widgets.{name}" for name in (
    "annealing_explorer", "budget_explorer", "compass", "compression_explorer", "descent_loop",
    "difference_gauge", "explorer", "frequency_race", "gradient_gauge", "momentum_plane",
    "rank_explorer", "rate_strip", "real_landscape", "recipe_explorer", "step_explorer",
    "sweep_explorer", "topics_explorer", "transformer_explorer")}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module(f"zglearn.visual.{_HOME[name]}"), name)
    raise AttributeError(f"module 'zglearn.visual' has no attribute {name!r}")


def __dir__():
    return sorted(list(globals()) + __all__)
