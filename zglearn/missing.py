"""A package of the course that is not installed ends in a sentence, not in a traceback."""

import sys

# What requirements.txt lists, as it is imported: as pip knows it.
PACKAGES = {name: name for name in (
    "jupyterlab", "ipywidgets", "anywidget", "nbval", "numpy", "scipy", "matplotlib", "joblib",
    "babel", "tqdm", "platformdirs", "psutil", "threadpoolctl", "mistune", "jinja2", "pygments",
    "latex2mathml")}
PACKAGES |= {"sklearn": "scikit-learn", "PIL": "pillow"}


def sentence(error: ImportError) -> str:
    """What to do about a failed import; "" if it is none of the course's packages."""
    package = PACKAGES.get((error.name or "").partition(".")[0])
    if not package:
        return ""
    return (f"The package {package}, which the course needs, is not installed in {sys.prefix}. "
            "Open the course with `python3 -m zglearn lab`, which brings all packages, or run "
            f"`{sys.executable} -m pip install -r requirements.txt` in the course's folder, then "
            "restart the kernel.")


def tell_in_notebooks() -> None:
    """From now on, cells of the notebook that is running end in the sentence."""
    shell = sys.modules["IPython"].get_ipython()
    if shell is not None:
        shell.set_custom_exc((ModuleNotFoundError,), _traceback)


def _traceback(shell, kind, error, traceback, tb_offset=None) -> list[str]:
    if said := sentence(error):
        shown = [said]
    else:
        shown = shell.InteractiveTB.structured_traceback(kind, error, traceback,
                                                         tb_offset=tb_offset)
    shell._showtraceback(kind, error, shown)
    return shown
