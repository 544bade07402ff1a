"""The course around the package: checks, hints, progress, interviews, grading.

In a notebook: ``from zglearn.course import check, hint, predict, reveal, solution``.
"""

import sys

_HOME = {
    "check": "learner",
    "hint": "learner",
    "solution": "learner",
    "predict": "learner",
    "reveal": "learner",
    "score": "learner",
    "guess": "guesses",
    "outcome": "guesses",
    "course_map": "map",
    "dashboard": "overview",
    "divergence": "divergence",
    "interview": "mock_interview.panel",
    "show_code": "reading",
    "clinic": "clinic_panel",
    "scoreboard": "clinic_panel",
    "ward": "clinic_panel",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _in_notebook():
    """The IPython shell that is running, without importing IPython."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


if (_shell := _in_notebook()) is not None:
    from .learner import begin

    begin(_shell)
