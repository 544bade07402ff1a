"""The machine: the environment, its doctor, and new versions of the course.

`launcher` and `doctor` use the standard library alone: they run before anything is installed.
"""
