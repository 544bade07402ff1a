"""What all tests share: no test writes a learner's progress, and the trials' table is printed."""

import os
import signal

import pytest

import zglearn  # noqa: F401  before numpy: it keeps BLAS to one thread

pytest_plugins = ["small_course"]

os.environ["ZGLEARN_PROGRESS"] = ":memory:"


def pytest_configure(config):
    """Ctrl-C works in tests, and the text cache stands: a notebook that built it would show a bar.

    A shell starts what it runs in the background, and so all that this starts, deaf to Ctrl-C.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # not again in each parallel worker
        from zglearn.data import build_cache

        build_cache(progress=False)


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """How parallel workers share the tests: the large pieces first, then one by one.

    All tests in a browser are one piece, so that one worker starts JupyterLab; those of the class
    of sixty are, so that it is graded once; and all tests of one notebook, so that its trials run
    once. (`--dist=loadgroup` is made for that, but
    xdist 3.8 loses its groups under pytest 9.2.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class InPieces(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            if "browser" in file:
                return "browser"
            if "test_class" in file:
                return "class"
            return test.partition("[")[2] if "[" in test and "notebooks" in file else nodeid

    return InPieces(config, log)


def pytest_terminal_summary(terminalreporter):
    """Print exercises by trials, collected from all workers."""
    reports = [r for group in terminalreporter.stats.values() for r in group]
    rows = [row for r in reports if getattr(r, "when", "") == "call"
            for name, value in r.user_properties if name == "trials" for row in value]
    if rows:
        from zglearn.authoring.trials import table

        terminalreporter.section("trials: each check, tried with wrong and right answers")
        terminalreporter.write_line(table(sorted(rows)))
