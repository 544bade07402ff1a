import os

import pytest

import zglearn  # noqa: F401  before numpy: it keeps BLAS to one thread


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory):
    """JupyterLab on a copy of the course's notebooks, in a headless Chromium: see browser.py."""
    from browser import CHROMIUM, JupyterLab, copy_notebooks

    if CHROMIUM is None:
        missing = "chromium is not installed (Debian: apt install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with JupyterLab(copy_notebooks(tmp_path_factory.mktemp("course"))) as lab:
        yield lab
