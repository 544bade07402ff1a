import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zglearn.setup import doctor, launcher


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An environment without a single package."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


@pytest.fixture
def jupyter(tmp_path, monkeypatch):
    """A folder that Jupyter looks into before this environment's own."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    return tmp_path


def put(path: Path, content: dict):
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


def bad(findings) -> dict[str, str]:
    """What is to be mended, and how."""
    return {finding.what: finding.mend for finding in findings if finding.state == "BAD"}


def only(findings: dict[str, str]) -> tuple[str, str]:
    (finding,) = findings.items()
    return finding


def test_this_environment_is_healthy():
    report = subprocess.run([sys.executable, "-m", "zglearn", "doctor"], cwd=launcher.ROOT,
                            capture_output=True, text=True, timeout=120)
    assert report.returncode == 0, report.stdout + report.stderr
    assert "Nothing to mend." in report.stdout


def test_a_python_without_packages_is_told_what_is_missing(bare, tmp_path):
    shutil.copytree(launcher.ROOT / "zglearn", tmp_path / "zglearn")
    for name in ("requirements.txt", "requirements.lock"):
        shutil.copy(launcher.ROOT / name, tmp_path)
    report = subprocess.run([bare / "bin/python", "-m", "zglearn", "doctor"], cwd=tmp_path,
                            capture_output=True, text=True, timeout=120)
    assert report.returncode == 1 and not report.stderr
    assert "no private environment" in report.stdout
    assert "not installed: jupyterlab" in report.stdout
    assert "-m pip install -r requirements.txt" in report.stdout


def test_half_made_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "ENV", tmp_path)
    monkeypatch.setattr(launcher, "STAMP", tmp_path / "installed.json")
    what, mend = only(bad(doctor.environment()))
    assert "half-made" in what and "zglearn lab" in mend


def test_missing_and_untested_versions(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("numpy <1\njupyterlab\n-e .\n")
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    missing, untested = bad(doctor.packages(["no-such-package"]))
    assert missing == "not installed: no-such-package"
    assert untested.startswith("not a tested version: numpy") and untested.endswith("not <1")


def test_kernel_of_another_environment(bare, jupyter):
    put(jupyter / "kernels/python3/kernel.json",
        {"argv": [str(bare / "bin/python")], "display_name": "x", "language": "x"})
    found = bad(doctor.kernel())
    assert any(f"runs in {bare}" in what and str(jupyter) in what
               and "move that folder away" in mend for what, mend in found.items())
    assert any("the kernel sees ipywidgets (none)" in what for what in found)


def test_kernel_that_does_not_start(jupyter):
    put(jupyter / "kernels/python3/kernel.json",
        {"argv": [str(jupyter / "gone")], "display_name": "x", "language": "x"})
    what, mend = only(bad(doctor.kernel()))
    assert "does not run" in what and "ipykernel install" in mend


def test_kernel_with_another_checkout_or_without_zglearn():
    seen = {"ipywidgets": doctor.metadata.version("ipywidgets"), "threads": 1,
            "anywidget": doctor.metadata.version("anywidget")}
    what, mend = only(bad(doctor.kernel_packages(seen | {"zglearn": "/x/zglearn/__init__.py"})))
    assert "another checkout" in what and "pip install -e ." in mend
    what, mend = only(bad(doctor.kernel_packages(seen | {"zglearn": None, "error": "No module"})))
    assert "cannot import zglearn: No module" in what


def test_several_threads(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "2")
    assert doctor.probe(sys.executable)["threads"] == 2
    assert any("uses 2 threads" in finding.what for finding in doctor.kernel())


def test_widget_extension_of_another_installation(jupyter):
    put(jupyter / "labextensions/anywidget/package.json", {"version": "0.1.0"})
    what, mend = only(bad(doctor.lab_extensions()))
    assert f"{jupyter}/labextensions/anywidget" in what and "move that folder away" in mend


def test_widget_extension_disabled(jupyter):
    put(jupyter / "labconfig/page_config.json", {"disabledExtensions": {"anywidget": True}})
    what, mend = only(bad(doctor.lab_extensions()))
    assert "anywidget is disabled" in what and mend.endswith("labextension enable anywidget")


def test_widget_extension_missing(monkeypatch):
    none = {"ipywidgets": ("@no/such", "jupyterlab_widgets")}
    monkeypatch.setattr(doctor, "LAB_EXTENSIONS", none)
    what, mend = only(bad(doctor.lab_extensions()))
    assert "no extension for ipywidgets" in what and mend.endswith("jupyterlab_widgets")


def test_text_cache_missing_and_corrupt(tmp_path, monkeypatch):
    from zglearn.data import cache_status

    monkeypatch.setenv("ZGLEARN_CACHE", str(tmp_path))
    assert doctor.text_cache().state == "note"
    cache_status().path.write_text("{}")
    finding = doctor.text_cache()
    assert finding.state == "BAD" and "corrupt" in finding.what and finding.mend


def test_folders_that_cannot_be_written_to_and_a_full_disk(monkeypatch):
    monkeypatch.setattr(doctor, "ROOT", Path("/proc"))  # not even root writes there
    closed, full = bad(doctor.folders())
    assert closed == "cannot be written to: /proc"
    assert full.startswith("only 0 MB are free")


def test_work_that_waits_for_an_update_to_be_finished(small_course):
    assert not list(doctor.updates())
    kept = small_course / "chapters" / "kept" / "98_fake-20260101-120000-000000.ipynb"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    (finding,) = doctor.updates()
    assert finding.state == "note" and finding.mend == "python3 -m zglearn update"


def test_with_here_it_stays_in_the_environment_that_is_active(monkeypatch):
    monkeypatch.setattr(launcher, "stands", lambda *locks: pytest.fail("it looked for another"))
    monkeypatch.setattr(launcher, "in_private_environment", lambda: False)
    assert launcher.enter_environment("doctor", ["--here"]) is None


def test_system_tools_are_named_but_not_required(monkeypatch):
    monkeypatch.setenv("PATH", "")
    findings = list(doctor.system_tools())
    assert [finding.state for finding in findings] == ["note"]
    assert "apt install chromium" in findings[0].mend
