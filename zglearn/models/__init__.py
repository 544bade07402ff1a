"""Models over one flat parameter vector."""

import importlib

_HOME = {
    "SoftmaxRegression": "linear",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module(f"zglearn.models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'zglearn.models' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
