"""The exercises' metadata, hints and checks: one module a chapter, `chNN_name.py`.

The bank ships to learners. The tasks and solutions are in the notebooks; here is what is asked of
an answer, never the answer's text.
"""

from zglearn.exercises import sealed

sealed.install()
