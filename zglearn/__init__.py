"""zglearn: optimization for language models, with and without gradients.

Start with `objective.py` (what may be asked of a loss, and what it costs), then read
`gradient_methods.py` and `gradient_free_methods.py` (one short generator a method), then
`trajectory.py` (`run` drives any of them). Around this mathematics there is a room for each of
those who live here, and none imports from a room below it in this list:

    experiments/              tuning and comparing fairly
    models/  data/  visual/   networks, the text tasks, figures and widgets
    exercises/                what an exercise is; the bank of checks, the cards of the clinic
    course/                   what a learner types: check, hint, predict, dashboard, interview
    authoring/                what an author runs: notebooks, trials, the hand-out
    site/                     what whoever publishes it runs: pages without a kernel, the book
    grading/                  what an instructor runs: from submissions to a gradebook
    setup/                    the machine: environment, doctor, new versions

Conventions that every method here keeps (chapter 07 shows what each changes):

=====================  =============================================================
epsilon                outside the square root, after bias correction
learning rate          multiplies the finished velocity: v = beta v + g; x = x - lr v
first velocity         equals the first gradient
rmsprop                no bias correction
adagrad                the *sum* of squared gradients, from zero
weight_decay           L2 (added to the gradient) in adam and amsgrad; decoupled in adamw,
                       lion, adafactor, soap and muon: times lr, before the step
momentum of a mean     m = beta m + (1 - beta) g in adam, lion, soap and muon
=====================  =============================================================

These are PyTorch's conventions; `tests/test_gradient_methods.py` holds each method against it.
"""

# This module stays importable by any Python 3 with nothing installed: `python3 -m zglearn lab`
# starts here, before numpy exists. Hence the lazy exports below.
import importlib
import os
import sys

from . import moved

moved.forward()

# One BLAS thread: on small matrices more threads cost time, up to 47-fold on a busy machine.
# The variables have to be set before numpy loads; where it is loaded already, threadpoolctl (which
# scikit-learn brings) limits it afterwards. A learner who sets a variable keeps their own value.
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
if "numpy" in sys.modules and not any(name in os.environ for name in _THREADS):
    try:
        import threadpoolctl

        threadpoolctl.threadpool_limits(1)
    except ImportError:
        pass
for _name in _THREADS:
    os.environ.setdefault(_name, "1")

# glibc gives a large array's memory back to the system as soon as it is freed, and the next one
# gets fresh pages, zeroed one by one: a fifth of chapter 05's time. So it is told to keep 128 MB.
try:
    import ctypes

    _libc = ctypes.CDLL(None)
    _libc.mallopt(-3, 1 << 25)  # M_MMAP_THRESHOLD
    _libc.mallopt(-1, 1 << 27)  # M_TRIM_THRESHOLD
except (ImportError, AttributeError, OSError, TypeError):  # another C library
    pass

if "IPython" in sys.modules:
    from . import missing

    missing.tell_in_notebooks()

__version__ = "0.1.0"

_HOME = {
    "Objective": "objective",
    "GradientForbidden": "objective",
    "run": "trajectory",
    "Trajectory": "trajectory",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(importlib.import_module("zglearn." + _HOME[name]), name)
    raise AttributeError("module 'zglearn' has no attribute %r" % name)


def __dir__():
    return sorted(list(globals()) + __all__)
