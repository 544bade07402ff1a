"""Where the modules of 0.1.0 are now: what an instructor wrote for it, a bank of exercises or a
script, goes on working.

`import zglearn` installs the finder below, and Python asks it only for names that it does not find.
"""

import importlib
import importlib.machinery
import sys

# new place: the modules of the old `zglearn.course` that lie there
ROOMS = {
    "exercises": "exercise answer limits originals bank",
    "authoring": "notebooks derive trials release",
    "grading": "sandbox",
    "setup": "versions doctor",
}
MOVED = {"zglearn.course." + name: "zglearn." + room + "." + name
         for room, names in ROOMS.items() for name in names.split()}
MOVED.update(("zglearn.course.grade_" + name, "zglearn.grading." + name)
             for name in ("engine inputs notebook process referee reports rows similarity store "
                          "student wire workers").split())
MOVED.update({
    "zglearn.launcher": "zglearn.setup.launcher",
    "zglearn.course.paths": "zglearn.paths",
    "zglearn.course.errata": "zglearn.exercises.cards",
    "zglearn.course.reviews": "zglearn.course.mock_interview.reviews",
    "zglearn.course.grade": "zglearn.grading.command",
    "zglearn.course.grade_course": "zglearn.grading.checks",
    "zglearn.course.grade_hidden": "zglearn.exercises.hidden",
    "zglearn.course.grade_manual": "zglearn.grading.marks",
    "zglearn.course.grade_nbval": "zglearn.grading.nbval_run",
})


class Forwarding:
    """Finds an old name and hands out the module under its new one."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in MOVED:
            return importlib.machinery.ModuleSpec(name, Forwarding)

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        sys.modules[module.__name__] = importlib.import_module(MOVED[module.__name__])


def forward():
    """From now on the old names are found."""
    if Forwarding not in sys.meta_path:
        sys.meta_path.append(Forwarding)
