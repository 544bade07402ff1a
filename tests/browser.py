"""A real JupyterLab in a real browser, for tests.

    with JupyterLab(folder) as lab:
        notebook = lab.open("chapters/04_momentum.ipynb")
        notebook.run_all()
        assert notebook.errors() == []

The `jupyterlab` fixture in conftest.py starts one on a copy of the course's notebooks.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from zglearn.setup.launcher import SERVER

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK_FOLDERS = ("chapters", "exercises", "solutions")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)
CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update",
                    "--disable-sync"]
NO_NEWS = {"@jupyterlab/apputils-extension:notification":
           {"fetchNews": "false", "checkForUpdates": False}}
SESSIONS = ("[...jupyterapp.shell.widgets('main')].map(widget => widget.sessionContext)"
            ".filter(Boolean)")  # of the window's notebooks


def copy_notebooks(folder: Path) -> Path:
    """A copy of the course's notebooks in `folder`: a test must not change the course's own."""
    for name in NOTEBOOK_FOLDERS:
        shutil.copytree(ROOT / name, folder / name,
                        ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return folder


class JupyterLab:
    """JupyterLab of this environment on `folder`, and a Chromium that looks at it.

    It listens on 127.0.0.1 with a token of its own, and neither reads nor writes the user's
    Jupyter settings. `settings` are JupyterLab's, by plugin; `without` names extensions that it
    is to lack.
    """

    def __init__(self, folder: Path, settings: dict | None = None, without=()):
        self.folder, self.settings = Path(folder), NO_NEWS | (settings or {})
        self.without = dict.fromkeys(without, True)

    def __enter__(self):
        self.url, self.token = self._start_server()
        self._playwright = sync_playwright().start()
        self.browser = self._playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        return self

    def __exit__(self, *_):
        self.browser.close()
        self._playwright.stop()
        self._stop_server()

    def _start_server(self) -> tuple[str, str]:
        home = self.folder / ".jupyter"
        (home / "labconfig").mkdir(parents=True)
        overrides = home / "labconfig" / "default_setting_overrides.json"
        overrides.write_text(json.dumps(self.settings))
        (home / "labconfig" / "page_config.json").write_text(
            json.dumps({"disabledExtensions": self.without}))
        environ = os.environ | {
            "JUPYTER_CONFIG_DIR": str(home), "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "IPYTHONDIR": str(home / "ipython"),
            "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            "PYTHONPATH": str(ROOT)}
        token = secrets.token_hex(16)
        self.log = home / "server.log"
        with open(self.log, "w") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
                 "--ip=127.0.0.1", f"--port={free_port()}", f"--IdentityProvider.token={token}",
                 f"--ServerApp.root_dir={self.folder}", "--LabApp.expose_app_in_browser=True",
                 *SERVER],
                cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        deadline = time.monotonic() + 120
        written = []  # the file is there before its text is
        while not any(written):
            written = [f.read_text() for f in (home / "runtime").glob("jpserver-*.json")]
            if self._server.poll() is not None or time.monotonic() > deadline:
                self._stop_server()
                raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()}")
            time.sleep(0.1)
        return json.loads(written[0])["url"], token

    def _stop_server(self):
        self._server.terminate()  # it ends its kernels first
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()

    def open(self, path: str, timeout: float = 60, **page_options) -> "Notebook":
        """Open a notebook of the folder in a new window, and wait until its kernel is idle."""
        context = self.browser.new_context(viewport={"width": 1400, "height": 1000}, **page_options)
        context.set_default_timeout(timeout * 1000)
        return Notebook(context.new_page(), f"{self.url}lab/tree/{path}?token={self.token}&reset",
                        timeout)


class Notebook:
    """An open notebook. Cells are named by their id. `page` is Playwright's."""

    def __init__(self, page, url: str, timeout: float):
        self.page = page
        self.console_errors: list[str] = []
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        page.on("console", lambda message: message.type == "error"
                and self.console_errors.append(message.text))
        page.goto(url)
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext",
                               timeout=timeout * 1000)
        self.wait_until_idle(timeout)

    def wait_until_idle(self, timeout: float = 60):
        """Wait for the kernel of every notebook open in the window, whichever has the focus."""
        self.page.wait_for_function(
            "(kernels => kernels.length && kernels.every(kernel => kernel?.status === 'idle'))"
            f"({SESSIONS}.map(context => context.session?.kernel))", timeout=timeout * 1000)

    def run_all(self, timeout: float = 120):
        """Run every cell in order; like JupyterLab, stop at the first that fails."""
        self.command("notebook:run-all-cells", timeout)

    def run(self, cell: str, timeout: float = 60):
        self.select(cell)
        self.command("notebook:run-cell", timeout)

    def command(self, name: str, timeout: float):
        """Execute a command of JupyterLab and wait until it is done and the kernel idle."""
        self.page.evaluate(
            "name => {window.done = false;"
            " jupyterapp.commands.execute(name).finally(() => window.done = true);}", name)
        self.page.wait_for_function("window.done", timeout=timeout * 1000)
        self.wait_until_idle(timeout)

    def select(self, cell: str):
        """Make a cell the active one and bring it into view."""
        self.page.evaluate(
            """async id => {
                 const notebook = jupyterapp.shell.currentWidget.content;
                 const index = [...notebook.model.cells].findIndex(cell => cell.id === id);
                 if (index < 0) throw new Error('no cell ' + id);
                 notebook.deselectAll();
                 notebook.activeCellIndex = index;
                 await notebook.scrollToItem(index, 'center');
               }""", cell)

    def type(self, cell: str, source: str):
        """Replace a cell's source as a user does: click into it, select all, type."""
        self.select(cell)
        self.command("notebook:enter-edit-mode", timeout=10)
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)

    def cells(self) -> list[dict]:
        """The cells as they would be saved, with sources and outputs as plain strings."""
        return self.page.evaluate(
            "jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells")

    def outputs(self, cell: str) -> list[dict]:
        return next(c for c in self.cells() if c["id"] == cell)["outputs"]

    def text(self, cell: str) -> str:
        """What a cell printed or showed as text."""
        parts = [out.get("text") or out.get("data", {}).get("text/plain", "")
                 for out in self.outputs(cell)]
        return "".join("".join(part) for part in parts)

    def errors(self) -> list[str]:
        """The exceptions that stand in the notebook, as 'cell: Name: message'."""
        return [f"{cell['id']}: {out['ename']}: {out['evalue']}"
                for cell in self.cells() for out in cell.get("outputs", ())
                if out["output_type"] == "error"]

    def save(self):
        self.command("docmanager:save", timeout=30)

    def screenshot(self, path) -> None:
        self.page.screenshot(path=path)

    def close(self) -> None:
        """End the window's kernels and close it."""
        self.page.evaluate(f"Promise.all({SESSIONS}.map(context => context.shutdown()))")
        self.page.context.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
