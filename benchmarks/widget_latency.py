"""How long after a key press does the picture change? Measured in JupyterLab, in Chromium.

    python benchmarks/widget_latency.py [--moves 60] [--updates 1000]

One notebook shows the same thing three times: the path of momentum on Rosenbrock's valley beside
its loss, with sliders for lr and beta. `explorer` is zglearn's; `interact` draws a matplotlib
figure anew at each move; `ipympl` keeps one and updates its lines. The clock starts at the key's
own event and stops in the first frame whose pixels differ. Absolute times depend on the machine
and its load, which is printed; the contenders take turns, so that the ratios suffer less.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from browser import JupyterLab  # noqa: E402

SETUP = """
import numpy as np, ipywidgets as widgets
from zglearn import run
from zglearn.gradient_methods import momentum
from zglearn.landscapes import rosenbrock
valley = rosenbrock()
x, y = np.linspace(-2, 3, 120), np.linspace(-2, 3, 90)
Z = np.log1p(valley.f(np.stack(np.meshgrid(x, y), axis=-1)))

def path(lr, beta):
    return run(momentum, valley.objective(), valley.start, steps=200, lr=lr, beta=beta)

def sliders():
    return dict(lr=widgets.FloatLogSlider(1e-3, min=-5, max=-2, step=0.05),
                beta=widgets.FloatSlider(0.9, min=0, max=0.999, step=0.016))

def figure():
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    left.contourf(x, y, Z, 14)
    right.set_yscale("log")
    return fig, left, right
"""
EXPLORER = """
from zglearn.visual import explorer
explorer(valley, {momentum: dict(lr=1e-3, beta=0.9)})
"""
INTERACT = """
%matplotlib inline
import matplotlib.pyplot as plt
@widgets.interact(**sliders())
def draw(lr, beta):
    run_ = path(lr, beta)
    fig, left, right = figure()
    left.plot(*run_.points.T)
    right.plot(run_.forward_equivalents, run_.losses)
    plt.show()
"""
IPYMPL = """
%matplotlib widget
import matplotlib.pyplot as plt
fig, left, right = figure()
run_ = path(1e-3, 0.9)
on_map, = left.plot(*run_.points.T)
on_loss, = right.plot(run_.forward_equivalents, run_.losses)
@widgets.interact(**sliders())
def update(lr, beta):
    run_ = path(lr, beta)
    on_map.set_data(*run_.points.T)
    on_loss.set_data(run_.forward_equivalents, run_.losses)
    fig.canvas.draw_idle()
"""

# `watch(cell)` looks at the cell's pixels once a frame, after the frame's own drawing, and notes
# when that was done if they have changed. Looking takes milliseconds itself, which do not count.
WATCH = """() => { window.watch = (cell) => {
  const small = new OffscreenCanvas(96, 54).getContext("2d", { willReadFrequently: true });
  const seen = { changes: [], key: 0, move: 0 };
  const signature = () => {
    const image = [...cell.querySelectorAll(".jp-RenderedImage img")]
      .find((i) => i.complete && i.offsetParent);
    if (image) return image.src.length + image.src.slice(2000, 4000);
    const canvas = [...cell.querySelectorAll("canvas")].find((c) => c.width > 100);
    if (!canvas) return null;
    small.drawImage(canvas, 0, 0, 96, 54);
    return small.getImageData(0, 0, 96, 54).data.reduce((h, v) => (31 * h + v) | 0, 7);
  };
  let last = signature();
  const { port1, port2 } = new MessageChannel();
  port2.onmessage = () => {
    if (window.seen !== seen) return;
    const drawn = performance.now(), now = signature();
    if (now !== null && now !== last) { last = now; seen.changes.push(drawn); }
    nextFrame();
  };
  const nextFrame = () => requestAnimationFrame(() => port1.postMessage(0));
  for (const kind of ["keydown", "pointerdown", "dblclick"]) {
    cell.addEventListener(kind, (event) => { seen.key = event.timeStamp; }, true);
  }
  for (const kind of ["pointermove", "input"]) {
    cell.addEventListener(kind, (event) => { seen.move = event.timeStamp; }, true);
  }
  window.seen = seen;
  nextFrame();
}; }"""
# The bytes of all pictures that the page still holds: no other gauge counts them.
CANVASES = """() => {
  const made = [], create = document.createElement.bind(document);
  document.createElement = (name, ...more) => {
    const element = create(name, ...more);
    if (name === "canvas") made.push(new WeakRef(element));
    return element;
  };
  window.canvasBytes = () => made.map((canvas) => canvas.deref())
    .reduce((sum, canvas) => sum + (canvas ? 4 * canvas.width * canvas.height : 0), 0);
}"""
CELL = "document.querySelectorAll('.jp-CodeCell')[{}]"


def notebook(folder: Path) -> str:
    cells = [nbformat.v4.new_code_cell(source.strip())
             for source in (SETUP, EXPLORER, INTERACT, IPYMPL)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}),
                   folder / "latency.ipynb")
    return "latency.ipynb"


class Contender:
    """One cell of the notebook, and the element in it that takes the keys.

    ``grip`` is where on that element the mouse takes hold, as a share of its width.
    """

    keys = ["ArrowLeft"] * 5 + ["ArrowRight"] * 5
    turn = False

    def __init__(self, page, cell: int, slider: str, grip: float = 0.5):
        self.page, self.cell, self.grip = page, CELL.format(cell), grip
        self.slider = page.locator(".jp-CodeCell").nth(cell).locator(slider).first

    def watch(self):
        self.slider.scroll_into_view_if_needed()
        self.slider.focus()
        self.page.evaluate(f"watch({self.cell})")
        time.sleep(1.5)  # the slider in focus gets its line of positions

    def press(self, key: str):
        self.page.keyboard.press(key)

    def elsewhere(self, *ranges) -> float:
        """A number from one range, then from the other: not where the last one was."""
        self.turn = not self.turn
        return random.uniform(*ranges[self.turn])

    def move(self, key: str, timeout=10.0) -> float:
        """Milliseconds from a key press or click to the first changed frame; nan if none comes."""
        self.page.wait_for_function("performance.now() - (seen.changes.at(-1) ?? 0) > 250")
        before = self.page.evaluate("seen.changes.length")
        self.press(key)
        try:
            self.page.wait_for_function(f"seen.changes.length > {before}", timeout=timeout * 1000)
        except Exception:
            return float("nan")
        return self.page.evaluate(f"seen.changes[{before}] - seen.key")

    def moves(self, n: int) -> list[float]:
        self.watch()
        return [self.move(self.keys[i % len(self.keys)]) for i in range(n + 1)][1:]

    def drag(self, seconds=4.0) -> tuple[float, float]:
        """(pictures a second, milliseconds that the last picture comes after the last move)."""
        self.watch()
        box = self.slider.bounding_box()
        x, y = box["x"] + self.grip * box["width"], box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        start, before = time.monotonic(), self.page.evaluate("seen.changes.length")
        while (t := time.monotonic() - start) < seconds:
            self.page.mouse.move(x - 25 + 50 * abs((t / 2) % 1 - 0.5), y)  # to and fro, to the left
            time.sleep(0.01)
        self.page.mouse.up()
        pictures = self.page.evaluate("seen.changes.length") - before
        time.sleep(2.5)
        return pictures / seconds, max(0, self.page.evaluate(
            "(seen.changes.at(-1) ?? seen.move) - seen.move"))


class StartPoint(Contender):
    """The handle on the map, which never comes to the same place twice."""

    keys = ["ArrowRight", "ArrowUp", "ArrowRight", "ArrowDown"]


class AnotherPlace(StartPoint):
    """A double click somewhere else on the map, where the path does not diverge.

    Python was not asked about it before.

    Without a ``pause`` between press and release no hand can do it, and Python starts with the
    second click; a hand's pauses are enough for it to answer after the first.
    """

    pause = 0  # milliseconds

    def press(self, _):
        canvas = self.page.locator(".zg canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        x, y = self.elsewhere((0.3, 0.38), (0.42, 0.5)), random.uniform(0.2, 0.8)
        self.page.mouse.dblclick(box["x"] + x * box["width"], box["y"] + y * box["height"],
                                 delay=self.pause)


class ByHand(AnotherPlace):
    """The same at the pace of a hand."""

    pause = 40


class Click(Contender):
    """The mouse comes to a slider that has not got the focus, and presses somewhere on it.

    It is beta's: with most of the range of lr the path diverges, and looks the same.
    """

    def press(self, _):
        box = self.page.locator(".zg-control input[type=range]").nth(1).bounding_box()
        x = box["x"] + self.elsewhere((0.1, 0.4), (0.6, 0.9)) * box["width"]
        y = box["y"] + box["height"] / 2
        self.page.evaluate("document.activeElement.blur()")
        self.page.mouse.move(x, y - 40)
        self.page.mouse.move(x, y)
        time.sleep(0.2)
        self.page.mouse.click(x, y)


def frames_per_second(page, cell: int, seconds=3.0) -> tuple[float, float]:
    """Changed frames a second while the explorer plays, and while a hand scrubs through time.

    The hand is a script that moves the slider in every frame: Playwright's own mouse waits for an
    acknowledgement of every move and cannot keep up.
    """
    explorer = page.locator(".jp-CodeCell").nth(cell)
    player, scrub = explorer.get_by_role("button", name="play"), explorer.get_by_label("time").first
    player.scroll_into_view_if_needed()
    page.evaluate(f"watch({CELL.format(cell)})")

    def rate(act):
        before = page.evaluate("[performance.now(), seen.changes.length]")
        act()
        after = page.evaluate("[performance.now(), seen.changes.length]")
        return 1000 * (after[1] - before[1]) / (after[0] - before[0])

    player.click()
    time.sleep(0.3)
    playing = rate(lambda: time.sleep(seconds))
    scrubbing = rate(lambda: scrub.evaluate("""async (slider, frames) => {
        for (let i = 0; i < frames; i++) {
            await new Promise(requestAnimationFrame);
            slider.value = i;
            slider.dispatchEvent(new Event("input"));
        }
    }""", round(60 * seconds)))
    return playing, scrubbing


def growth(page, contender, updates: int) -> tuple[float, float]:
    """Megabytes by which kernel and page grow over so many updates, after a first hundred.

    Python has to be asked for each of them: other start points, and other parts of the map. The
    size of the page's process would not do: it also holds what Playwright lets it remember.
    """
    contender.watch()
    devtools = page.context.new_cdp_session(page)
    canvas = page.locator(".zg canvas").first

    def megabytes():
        devtools.send("HeapProfiler.collectGarbage")
        kernel = next(p for p in psutil.Process().children(recursive=True)
                      if "ipykernel_launcher" in " ".join(p.cmdline()))
        heap = devtools.send("Runtime.getHeapUsage")
        held = heap["usedSize"] + heap["backingStorageSize"] + page.evaluate("canvasBytes()")
        return kernel.memory_info().rss / 1e6, held / 1e6

    def press(n):
        for _ in range(n // 2):
            contender.press(None)
            time.sleep(0.02)
            canvas.press(random.choice(["+", "-", "ArrowLeft", "ArrowRight"]))
            time.sleep(0.02)
        canvas.press("0")  # the whole map
        time.sleep(1)

    press(100)
    before = megabytes()
    press(updates)
    after = megabytes()
    return after[0] - before[0], after[1] - before[1]


def p95(times):
    return sorted(times)[int(0.95 * (len(times) - 1))]


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--moves", type=int, default=60)
    options.add_argument("--updates", type=int, default=1000)
    options = options.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder, JupyterLab(Path(folder)) as lab:
        book = lab.open(notebook(Path(folder)))
        book.page.evaluate(CANVASES)
        book.run_all()
        page = book.page
        time.sleep(3)
        page.evaluate(WATCH)
        contenders = {
            "explorer, slider in focus": Contender(page, 1, ".zg-control input[type=range]", 0.2),
            "explorer, start point by key": StartPoint(page, 1, ".zg-handle"),
            "explorer, slider clicked": Click(page, 1, ".zg-control input[type=range]"),
            "explorer, double click by hand": ByHand(page, 1, ".zg-handle"),
            "explorer, kernel asked": AnotherPlace(page, 1, ".zg-handle"),
            "interact + matplotlib": Contender(page, 2, ".noUi-handle"),
            "ipympl, lines updated": Contender(page, 3, ".noUi-handle"),
        }
        rates = frames_per_second(page, 1)
        print("frames a second: {:.0f} playing, {:.0f} scrubbing".format(*rates))
        times = {name: [] for name in contenders}
        for _ in range(2):  # in turns: a busy moment of the machine meets them all
            for name, contender in contenders.items():
                times[name] += contender.moves(options.moves // 2)
        for name in times:
            seen = [t for t in times[name] if t == t]
            if none := len(times[name]) - len(seen):
                print(f"{name}: {none} moves changed no picture within 10 s")
            times[name] = seen
        print(f"{'':40}{'median ms':>10}{'p95 ms':>8}{'pictures/s':>12}{'catches up, ms':>16}")
        for name, contender in contenders.items():
            rate, late = contender.drag()
            print(f"{name:40}{statistics.median(times[name]):10.0f}{p95(times[name]):8.0f}"
                  f"{rate:12.0f}{late:16.0f}")
        *ours, interact, ipympl = (statistics.median(t) for t in times.values())
        for name, own in zip(contenders, ours, strict=False):
            print(f"{name}: {interact / own:.1f} times faster than interact, "
                  f"{ipympl / own:.1f} times faster than ipympl")
        kernel, heap = growth(page, contenders["explorer, kernel asked"], options.updates)
        print(f"after {options.updates} updates the kernel has grown by {kernel:.1f} MB, "
              f"the page by {heap:.1f} MB")
        print(f"console errors: {book.console_errors or 'none'}")
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
