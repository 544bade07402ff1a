"""What all tests share: no test writes a learner's progress, and the trials' table is printed."""

import os

import pytest

import zglearn  # noqa: F401  before numpy: it keeps BLAS to one thread

pytest_plugins = ["small_course"]

os.environ["ZGLEARN_PROGRESS"] = ":memory:"


@pytest.fixture(scope="module")  # not longer: Playwright leaves an event loop running in its thread
def jupyterlab(tmp_path_factory):
    """JupyterLab on a copy of the course's notebooks, in a headless Chromium: see browser.py."""
    from browser import CHROMIUM, JupyterLab, copy_notebooks

    if CHROMIUM is None:
        missing = "chromium is not installed (Debian: apt install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with JupyterLab(copy_notebooks(tmp_path_factory.mktemp("course"))) as lab:
        yield lab


@pytest.fixture(autouse=True)
def no_memories():
    """No test sees what another recorded as progress."""
    from zglearn.course import progress

    progress._memory.clear()


def pytest_collection_modifyitems(items):
    """Of parallel workers, one starts JupyterLab, and all that use it run there."""
    for item in items:
        if "jupyterlab" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("browser"))


def pytest_terminal_summary(terminalreporter):
    """Print exercises by trials, collected from all workers."""
    reports = [r for group in terminalreporter.stats.values() for r in group]
    rows = [row for r in reports if getattr(r, "when", "") == "call"
            for name, value in r.user_properties if name == "trials" for row in value]
    if rows:
        from zglearn.course.trials import table

        terminalreporter.section("trials: each check, tried with wrong and right answers")
        terminalreporter.write_line(table(sorted(rows)))
