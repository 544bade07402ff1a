"""The cards of the errata clinic, one module or a few for each theme: see `cards.py`."""

from zglearn.exercises import sealed

sealed.install()
