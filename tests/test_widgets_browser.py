"""The widgets in a real JupyterLab: CI drives the explorer, `-m browser_all` drives them all."""

import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
import pytest
from playwright.sync_api import expect
from widget_examples import EXAMPLES

from zglearn.course.learner import solution_source
from zglearn.exercises.exercise import find
from zglearn.landscapes import rosenbrock

HANG = 60  # seconds: a busy machine may be slow, but not that slow
expect.set_options(timeout=HANG * 1000)

SETUP = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from widget_examples import EXAMPLES
"""
SETTINGS = "import json; print(json.dumps(widget.settings))"
MISFITS = """
import numpy as np
import zglearn.visual as visual
from zglearn.landscapes import himmelblau
from zglearn.gradient_methods import momentum

def typo(f, x, *, lr=0.1):
    while True:
        x = x - lr * f.gard(x)
        yield x

def diverges(f, x, *, lr=1.0):
    while True:
        x = x - lr * f.grad(x)
        yield x

def wrong_shape(f, x, *, lr=0.1):
    while True:
        yield np.zeros(3)

def returns(f, x, *, lr=0.1):
    return x

def loops(f, x, *, lr=0.1):
    while True:
        x = x - lr * f.grad(x)
    yield x
"""
COMPLAINTS = {"typo": "'Objective' object has no attribute 'gard' (line 8: x = x - lr * f.gard(x))",
              "wrong_shape": "yielded shape (3,)", "returns": "this one has no yield",
              "loops": "took longer than 4 seconds and was stopped"}
ENDLESS = """
def endless(f, x, *, lr=0.1):
    while lr > 0.05:
        pass
    while True:
        yield x

lazy = visual.explorer(himmelblau(), {endless: {"lr": 0.01}})
lazy
"""
# What a widget has computed, as one string: the pixels of its canvases and its texts. Where the
# mouse and the handle are does not count.
SHOWN = """widget => [...widget.querySelectorAll(".zg-frame canvas, .zg-page")].map(
    shown => shown.toDataURL ? shown.width && shown.toDataURL() : shown.innerText).join()"""


# It takes the interpreter's lock and waits for a byte: no thread of this kernel answers any more.
HOLD = """
import ctypes, os, pathlib
gate = os.open("gate", os.O_RDWR)
pathlib.Path("held").touch()
ctypes.PyDLL(None).read(gate, ctypes.create_string_buffer(1), 1)
{then}
os.close(gate)
pathlib.Path("held").unlink()
"""


def soon(holds) -> bool:
    """Whether something comes to hold, in a time that a busy machine has too."""
    deadline = time.monotonic() + HANG
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def execute(notebook, code, wait=True):
    """Run code in the notebook's kernel, but in no cell."""
    notebook.page.evaluate("""([code, wait]) => {
        const { done } = jupyterapp.shell.currentWidget.sessionContext.session.kernel
            .requestExecute({ code });
        return wait ? done.then(() => {}) : null;
    }""", [code, wait])


@contextmanager
def deaf(notebook, folder, then=""):
    """While the kernel neither answers nor hears. When it does again, it first runs ``then``."""
    gate, held = folder / "gate", folder / "held"
    os.mkfifo(gate)
    execute(notebook, HOLD.format(then=then), wait=False)
    assert soon(held.exists)
    time.sleep(0.2)
    try:
        yield
    finally:
        gate.write_bytes(b"1")
        assert soon(lambda: not held.exists())
        gate.unlink()


def point_on(locator, share=0.5):
    """x and y on the page, a share of the element's width and height from its corner."""
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return box["x"] + share * box["width"], box["y"] + share * box["height"]


def write_notebook(path, **cells):
    """A notebook of code cells, {id: source}."""
    made = [nbformat.v4.new_code_cell(source.strip(), id=name) for name, source in cells.items()]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel}), path)


class WidgetOnPage:
    """The widget in a notebook's cell."""

    def __init__(self, notebook, cell):
        self.notebook, self.page, self.cell = notebook, notebook.page, cell
        notebook.select(cell)
        index = [c["id"] for c in notebook.cells()].index(cell)
        self.root = self.page.locator(".jp-CodeCell").nth(index).locator(".zg")
        self.root.wait_for()
        self.settle()

    def shown(self) -> str:
        return self.root.evaluate(SHOWN)

    def settle(self):
        """Wait until the picture stands still."""
        deadline, last, since = time.monotonic() + HANG, self.shown(), time.monotonic()
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if (now := self.shown()) != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 0.6:
                return
        raise AssertionError("the picture never stands still")

    def changes(self, act) -> bool:
        """Whether the picture is another one after the act."""
        before = self.shown()
        act()
        return soon(lambda: self.shown() != before)

    def slider(self, label):
        """A slider by its label, or by the keyword that stands after it."""
        return self.root.get_by_label(re.compile(rf"(^|\(){label}\)?$")).first

    def alert(self) -> str:
        return self.root.get_by_role("alert").inner_text()


@pytest.fixture(scope="module")
def notebook(jupyterlab):
    write_notebook(jupyterlab.folder / "explorer.ipynb", setup=SETUP,
                   widget="widget = EXAMPLES['explorer'](); widget", misfits=MISFITS,
                   endless=ENDLESS, settings=SETTINGS,
                   **{name: f"visual.explorer(himmelblau(), [momentum, {name}])"
                      for name in ("diverges", *COMPLAINTS)})
    notebook = jupyterlab.open("explorer.ipynb")
    notebook.run_all()
    assert notebook.errors() == []
    yield notebook
    notebook.close()


@pytest.fixture
def explorer(notebook):
    notebook.console_errors.clear()
    widget = WidgetOnPage(notebook, "widget")
    yield widget
    assert notebook.console_errors == []


def setting(notebook, name):
    """A setting as Python knows it: it hears of what the hand does when the hand rests."""
    notebook.run("settings")
    return json.loads(notebook.text("settings"))[name]


def place_of(handle) -> float:
    """Where the start point is, as its label says: its first coordinate."""
    label = handle.get_attribute("aria-label")
    return float(re.match("start point: x₁ (.*?), ", label)[1].replace("−", "-"))


def test_a_key_on_a_slider_moves_the_picture(explorer, notebook):
    slider = explorer.slider("lr")
    slider.focus()
    assert explorer.changes(lambda: explorer.page.keyboard.press("ArrowRight"))
    assert explorer.changes(lambda: explorer.page.keyboard.press("End"))
    assert soon(lambda: setting(notebook, "momentum:lr") == 10)
    expect(explorer.root.get_by_role("status")).to_contain_text("momentum")
    slider.focus()
    assert explorer.changes(lambda: explorer.page.keyboard.press("Home"))


def test_dragging_the_start_point(explorer, notebook):
    handle = explorer.root.get_by_role("button", name="start point")
    before, (x, y) = place_of(handle), point_on(handle)

    def drag():
        explorer.page.mouse.move(x, y)
        explorer.page.mouse.down()
        explorer.page.mouse.move(x + 60, y - 30, steps=6)
        explorer.page.mouse.up()

    assert explorer.changes(drag)
    explorer.settle()
    assert (after := place_of(handle)) > before + 0.2
    assert soon(lambda: setting(notebook, "x0") == pytest.approx(after, rel=0.01))
    handle.focus()
    assert explorer.changes(lambda: explorer.page.keyboard.press("ArrowDown"))


def test_what_the_hand_comes_to_is_fetched_ahead(jupyterlab, explorer, notebook):
    """A slider under it, or in focus, or a place that was clicked once: the next picture needs no
    kernel."""
    mouse, keyboard = explorer.page.mouse, explorer.page.keyboard
    explorer.page.evaluate("""() => {
        document.activeElement.blur();
        window.heard = 0;
        const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
        kernel.iopubMessage.connect((_, message) => {
            heard += message.header.msg_type === "comm_msg";
        });
    }""")

    def heard() -> int:
        return explorer.page.evaluate("heard")

    def changes_while_the_kernel_is_deaf(come, act):
        """Whether the act changes the picture, once all that coming there asked for is there."""
        explorer.page.evaluate("heard = 0")
        come()
        assert soon(heard)
        count = 0
        while count < heard():  # until two seconds bring nothing more
            count = heard()
            time.sleep(2)
        with deaf(notebook, jupyterlab.folder):
            return explorer.changes(act)

    there = point_on(explorer.slider("lr"))
    assert changes_while_the_kernel_is_deaf(lambda: mouse.move(*there),
                                            lambda: (mouse.down(), mouse.up()))
    there = point_on(explorer.root.locator("canvas[tabindex]"), 0.7)
    assert changes_while_the_kernel_is_deaf(lambda: mouse.click(*there),
                                            lambda: mouse.dblclick(*there))
    assert changes_while_the_kernel_is_deaf(explorer.slider("lr").focus,
                                            lambda: keyboard.press("ArrowRight"))


def test_a_reading_has_names_and_the_loss(explorer):
    """For the mouse below the map, for the keyboard in what the start point is called."""
    explorer.root.get_by_role("button", name="reset").click()
    explorer.settle()
    explorer.page.mouse.move(*point_on(explorer.root.locator("canvas").first, 0.4))
    reading = explorer.root.locator(".zg-readout").first
    named = re.compile(r"x₁ (\S+), x₂ (\S+), loss ([^\s.]+(\.\d+)?)")
    expect(reading).to_have_text(named)
    handle = explorer.root.get_by_role("button", name="start point")
    for said in (reading.inner_text(), handle.get_attribute("aria-label")):
        x1, x2, loss = (float(n.replace("−", "-")) for n in named.search(said).groups()[:3])
        assert loss == pytest.approx(rosenbrock().f(np.array([x1, x2])), rel=0.05, abs=1)


def test_a_setting_is_shared_as_code(explorer):
    root = explorer.root
    root.get_by_role("button", name="reset").click()
    root.get_by_role("button", name="share").click()
    code = root.get_by_role("textbox", name="this setting as code")
    expect(code).to_have_value(".at({})")
    explorer.slider("lr").focus()
    explorer.page.keyboard.press("End")
    expect(code).to_have_value('.at({"momentum:lr": 10})')
    root.get_by_role("button", name="reset").click()
    root.get_by_role("button", name="share").click()
    expect(code).to_be_hidden()
    explorer.settle()


def test_one_legend_is_enough(explorer):
    """A method that has sliders is marked there, and not below each picture again."""
    assert "momentum" in explorer.root.locator("legend").all_inner_texts()
    below = explorer.root.locator(".zg-legend").all_inner_texts()
    assert not any("momentum" in text for text in below)


def test_touching_the_start_point(explorer, notebook):
    handle = explorer.root.get_by_role("button", name="start point")
    handle.scroll_into_view_if_needed()
    explorer.settle()
    x, y = point_on(handle)
    devtools = explorer.page.context.new_cdp_session(explorer.page)

    def touch(kind, *points):
        devtools.send("Input.dispatchTouchEvent",
                      {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})

    def drag():
        touch("touchStart", (x, y))
        for i in range(1, 6):
            touch("touchMove", (x - 8 * i, y + 4 * i))
        touch("touchEnd")

    before = place_of(handle)
    assert explorer.changes(drag)
    assert soon(lambda: setting(notebook, "x0") < before - 0.1)


def test_time_can_be_played_and_stepped(explorer):
    clock = explorer.root.locator(".zg-player .zg-value")
    explorer.root.get_by_role("button", name="to the start").click()
    expect(clock).to_have_text("step 0 of 100")
    explorer.root.get_by_role("button", name="one step on").click()
    expect(clock).to_have_text("step 1 of 100")
    explorer.root.get_by_role("button", name="one step back").click()
    expect(clock).to_have_text("step 0 of 100")
    assert explorer.changes(lambda: explorer.slider("time").press("End"))
    expect(clock).to_have_text("step 100 of 100")


def stops(widget, act) -> bool:
    """Whether an act on the button that plays stops it before the end. (A busy machine may come
    too late.)"""
    play, clock = (widget.root.locator(f".zg-player {part}") for part in (
        "button:nth-of-type(3)", ".zg-value"))
    widget.root.get_by_role("button", name="to the start").click()
    assert widget.changes(lambda: play.press("Space"))
    act(play)
    expect(play).to_have_accessible_name("play")
    _, now, _, end = clock.inner_text().split()
    return int(now) < int(end)


def test_the_signs_on_the_buttons_are_drawn(explorer):
    """A font may lack them: so there is no text on the buttons, but a path for each state."""
    play = explorer.root.locator(".zg-player button:nth-of-type(3)")
    drawn = "button => [button.textContent, button.querySelector('path').getAttribute('d')]"
    explorer.root.get_by_role("button", name="to the start").click()
    (text, triangle), _ = play.evaluate(drawn), play.press("Space")
    expect(play).to_have_accessible_name("pause")
    assert text == "" and play.evaluate(drawn) not in (["", triangle], ["", None])
    play.press("Escape")
    expect(play).to_have_accessible_name("play")
    assert play.evaluate(drawn) == ["", triangle]
    for name in ("to the start", "one step back", "one step on", "show the whole landscape"):
        assert explorer.root.get_by_role("button", name=name).evaluate(drawn)[0] == ""


def test_playing_stops_at_the_end_or_when_it_is_told_to(explorer):
    assert not stops(explorer, lambda play: None)
    assert soon(lambda: stops(explorer, lambda play: play.click()))
    assert soon(lambda: stops(explorer, lambda play: play.press("Escape")))
    explorer.slider("time").press("End")


def test_zooming_and_choosing_what_is_inside(explorer):
    assert explorer.changes(lambda: explorer.root.get_by_role("button", name="zoom in").click())
    assert explorer.changes(
        lambda: explorer.root.get_by_role("button", name="show the whole landscape").click())
    inside = explorer.root.get_by_label("inside: what to show")
    assert explorer.changes(lambda: inside.select_option("Adam: effective learning rate"))
    assert explorer.changes(lambda: inside.select_option("simulated annealing: temperature T"))


def test_the_map_under_the_mouse_is_zoomed_and_moved(explorer, notebook):
    explorer.root.get_by_role("button", name="show the whole landscape").click()
    explorer.settle()
    canvas, mouse = explorer.root.locator("canvas[tabindex]"), explorer.page.mouse
    mouse.move(*point_on(canvas))
    explorer.page.keyboard.down("Control")  # without it, the wheel scrolls the page
    assert explorer.changes(lambda: mouse.wheel(0, -100))
    explorer.page.keyboard.up("Control")
    whole = EXAMPLES["explorer"]().settings["box"]
    assert soon(lambda: setting(notebook, "box")[2] < whole[2])
    left, low, right, high = setting(notebook, "box")
    assert whole[0] < left and whole[1] < low and high < whole[3]

    def pull():
        x, y = point_on(canvas)
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + 40, y + 30, steps=4)
        mouse.up()

    notebook.select("widget")
    assert explorer.changes(pull)
    assert soon(lambda: setting(notebook, "box")[2] < right)
    moved = setting(notebook, "box")
    assert moved[0] < left and moved[1] > low
    assert moved[2] - moved[0] == pytest.approx(right - left)
    explorer.root.get_by_role("button", name="show the whole landscape").click()
    assert soon(lambda: setting(notebook, "box") == whole)


def test_the_page_does_not_grow_with_every_part_of_the_map(explorer):
    """A canvas of the map's size is a megabyte: one that was left behind is not used again."""
    explorer.page.evaluate("""() => {
        window.canvases = 0;
        const create = window.create = document.createElement;
        document.createElement = function (name, ...more) {
            window.canvases += name === "canvas";
            return create.call(document, name, ...more);
        };
    }""")
    try:
        for zoom in ["zoom in", "zoom in", "show the whole landscape"]:
            button = explorer.root.get_by_role("button", name=zoom)
            assert explorer.changes(button.click)
            explorer.settle()
        assert explorer.page.evaluate("canvases") == 0
    finally:
        explorer.page.evaluate("() => { document.createElement = create; }")


def test_the_page_stands_still_while_the_picture_moves(explorer):
    place = """() => [document.querySelector(".jp-WindowedPanel-outer").scrollTop,
                      document.querySelector(".zg").getBoundingClientRect().height]"""
    slider = explorer.slider("beta")
    slider.focus()
    explorer.settle()
    before = explorer.page.evaluate(place)
    for _ in range(8):
        explorer.page.keyboard.press("ArrowLeft")
        explorer.page.wait_for_timeout(40)
        assert explorer.page.evaluate(place) == before


def test_python_moves_it_too(explorer, notebook):
    steps = explorer.slider("steps")
    for value in ("200", "100"):
        code = f"widget.settings |= {{'steps': {value}}}"
        assert explorer.changes(lambda code=code: execute(notebook, code))
        expect(steps).to_have_attribute("aria-valuetext", value)
        expect(steps.locator("xpath=following-sibling::span")).to_have_text(value)


def test_neither_python_nor_the_hand_undoes_what_the_other_did(jupyterlab, explorer, notebook):
    """Python changes one setting, and only then hears that the hand has changed another."""
    with deaf(notebook, jupyterlab.folder, then="widget.settings |= {'steps': 200}"):
        explorer.slider("seed").press("End")
        time.sleep(1.5)  # until the hand rests
    assert soon(lambda: setting(notebook, "seed") == 20)
    assert setting(notebook, "steps") == 200
    expect(explorer.slider("steps")).to_have_attribute("aria-valuetext", "200")
    expect(explorer.slider("seed")).to_have_attribute("aria-valuetext", "20")
    explorer.slider("seed").press("Home")


def test_a_question_that_was_lost_is_put_again(explorer, notebook):
    execute(notebook, "import threading; worker = widget._worker; worker.ask = lambda *_: None\n"
                      "threading.Timer(3, delattr, [worker, 'ask']).start()")
    against = explorer.root.get_by_label("loss against")
    assert explorer.changes(lambda: against.select_option("steps"))
    against.select_option("cost")


def test_it_wears_the_theme_of_the_page(explorer):
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        assert explorer.changes(lambda theme=theme: explorer.page.evaluate(
            "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme))
        explorer.settle()


def test_it_fits_a_narrow_page(explorer):
    inside = "widget => [widget.scrollWidth, widget.clientWidth]"
    for width in (1000, 1400):
        assert explorer.changes(
            lambda width=width: explorer.page.set_viewport_size({"width": width, "height": 1000}))
        explorer.settle()
        content, room = explorer.root.evaluate(inside)
        assert content <= room


def test_everything_has_a_name_for_a_screen_reader(explorer):
    nameless = explorer.root.evaluate("""widget =>
        [...widget.querySelectorAll("input, select, button, canvas")]
        .filter(e => !(e.ariaLabel || e.labels?.[0]?.textContent || e.textContent.trim()))
        .map(e => e.outerHTML)""")
    assert nameless == []


@pytest.mark.parametrize("name", COMPLAINTS)
def test_a_learners_mistake_is_shown_and_the_widget_lives(notebook, name):
    widget = WidgetOnPage(notebook, name)
    alert = widget.root.get_by_role("alert")
    expect(alert).to_contain_text(f"{name}: ")
    expect(alert).to_contain_text(COMPLAINTS[name])
    widget.slider("lr").focus()  # momentum's
    assert widget.changes(lambda: widget.page.keyboard.press("ArrowRight"))
    assert COMPLAINTS[name] in alert.inner_text()


def test_a_path_to_infinity_is_shown_and_the_widget_lives(notebook):
    widget = WidgetOnPage(notebook, "diverges")
    status = widget.root.get_by_role("status")
    expect(status).to_have_text(re.compile("diverges: .* diverged"))
    assert widget.alert() == ""
    widget.root.get_by_role("group", name="diverges").get_by_label("lr").press("Home")
    expect(status).not_to_contain_text("diverged")


def test_the_page_moves_on_while_a_method_loops(notebook):
    widget = WidgetOnPage(notebook, "loops")
    gaps = """() => { window.gap = 0; let last = performance.now();
        (function look() { const now = performance.now(); gap = Math.max(gap, now - last);
                           last = now; requestAnimationFrame(look); })() }"""
    slider = widget.root.get_by_role("group", name="loops").get_by_label("lr")
    slider.focus()
    widget.page.evaluate(gaps)
    widget.page.keyboard.press("ArrowRight")  # it loops again, for four seconds
    expect(widget.root.get_by_role("button", name="stop")).to_be_visible()
    widget.root.get_by_role("button", name="play").press("Space")
    assert widget.changes(lambda: None)
    expect(widget.root.get_by_role("button", name="stop")).to_be_hidden()
    assert widget.page.evaluate("gap") < 3500  # two seconds are a busy machine, four are a freeze


def test_escape_stops_what_computes(notebook):
    widget = WidgetOnPage(notebook, "loops")
    widget.root.get_by_role("group", name="loops").get_by_label("lr").press("End")
    expect(widget.root.get_by_role("button", name="stop")).to_be_visible()
    widget.page.keyboard.press("Escape")
    expect(widget.root.get_by_role("alert")).to_contain_text("loops: stopped")


def test_the_keyboard_alone_reaches_everything(explorer):
    """From the first slider, Tab comes by every control in the order in which they are seen."""
    seen = explorer.root.evaluate("""widget =>
        [...widget.querySelectorAll("input, select, button, canvas[tabindex]")]
        .filter(e => e.checkVisibility()).map((e, i) => { e.dataset.place = i; return i; })""")
    explorer.root.locator("[data-place='0']").focus()
    met = []
    for _ in seen:
        met.append(explorer.page.evaluate("+document.activeElement.dataset.place"))
        explorer.page.keyboard.press("Tab")
    assert met == seen
    canvas = explorer.root.locator("canvas[tabindex]")
    canvas.focus()
    assert explorer.changes(lambda: explorer.page.keyboard.press("+"))
    assert explorer.changes(lambda: explorer.page.keyboard.press("ArrowLeft"))
    assert explorer.changes(lambda: explorer.page.keyboard.press("0"))


def test_endless_work_can_be_stopped(notebook):
    widget = WidgetOnPage(notebook, "endless")
    assert widget.alert() == ""
    slider = widget.slider("lr")
    slider.focus()
    widget.page.keyboard.press("End")
    widget.root.get_by_role("button", name="stop").click()
    alert = widget.root.get_by_role("alert")
    expect(alert).to_contain_text("stopped")
    slider.focus()
    widget.page.keyboard.press("Home")
    expect(alert).not_to_contain_text("stopped")


def test_the_still_picture_is_saved_and_hidden_while_the_widget_lives(jupyterlab, notebook):
    picture, caption, hint, view = notebook.outputs("widget")
    assert "text/html" in hint["data"]
    assert picture["data"]["image/png"]
    assert picture["metadata"]["image/png"]["alt"] == picture["data"]["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in view["data"]
    notebook.select("widget")
    images = notebook.page.locator(".jp-CodeCell").nth(1).locator(".jp-RenderedImage img")
    expect(images).to_have_count(1)
    expect(images).to_be_hidden()
    notebook.save()
    shutil.copy(jupyterlab.folder / "explorer.ipynb", jupyterlab.folder / "again.ipynb")
    again = jupyterlab.open("again.ipynb")  # its kernel knows no widget
    images = again.page.locator(".jp-CodeCell").nth(1).locator(".jp-RenderedImage img")
    expect(images).to_be_visible()
    shows_the_picture_and_one_sentence(again)
    again.close()


def test_after_a_restart_of_the_kernel_it_says_what_to_do(jupyterlab):
    write_notebook(jupyterlab.folder / "restart.ipynb", setup=SETUP,
                   widget="EXAMPLES['explorer']()")
    notebook = jupyterlab.open("restart.ipynb")
    notebook.run_all()
    widget = WidgetOnPage(notebook, "widget")
    notebook.page.evaluate(
        "jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    lost = widget.root.locator(".zg-lost")
    expect(lost).to_be_visible()  # before anything is touched
    notebook.wait_until_idle()
    widget.slider("lr").press("End")
    widget.slider("lr").press("Home")
    expect(lost).to_contain_text("Run All Above Selected Cell")
    notebook.run_all()
    widget = WidgetOnPage(notebook, "widget")
    expect(widget.root.locator(".zg-lost")).to_be_hidden()
    assert widget.changes(lambda: widget.slider("lr").press("End"))
    assert notebook.console_errors == []
    notebook.close()


def shows_the_picture_and_one_sentence(notebook):
    notebook.select("widget")
    outputs = notebook.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea")
    expect(outputs.locator("img")).to_be_visible()
    expect(outputs.get_by_text("to move what the picture shows")).to_be_visible()
    notebook.page.wait_for_timeout(2000)  # in which an error would come
    lines = [line for line in outputs.inner_text().splitlines() if line.strip()]
    assert len(lines) == 2, lines  # the caption and the sentence
    assert not any(box.is_visible() for box in outputs.locator(".jupyter-widgets").all())


def test_a_wrong_method_is_shown_where_it_diverges(jupyterlab):
    """The button under the check: the picture stands at the step that differs, and plays on."""
    write_notebook(jupyterlab.folder / "diverge.ipynb", answer="""
from zglearn.course import check

class Momentum:
    def __init__(self, lr, beta):
        self.lr = lr

    def step(self, weights, gradient):
        return weights - self.lr * gradient
""", check='check("04.3")')
    notebook = jupyterlab.open("diverge.ipynb")
    notebook.run_all()
    page = notebook.page
    page.get_by_role("button", name="Show me where I diverge").click()
    widget = WidgetOnPage(notebook, "check")
    expect(widget.root).to_contain_text("Step 2 is the first that differs")
    expect(page.get_by_text("Not yet", exact=True)).to_be_visible()  # the verdict stays
    expect(widget.root.get_by_text("step 2 of 40")).to_be_visible()
    widget.root.get_by_role("button", name="to the start").click()
    widget.root.get_by_role("button", name="play").click()
    expect(widget.root.get_by_role("button", name="play")).to_be_visible()  # it has stopped
    expect(widget.root.get_by_text("step 2 of 40")).to_be_visible()
    widget.root.get_by_role("button", name="play").click()
    expect(widget.root.get_by_text("step 40 of 40")).to_be_visible()
    assert notebook.console_errors == []
    notebook.close()


def test_an_interview_by_keyboard(jupyterlab):
    """Tab indents in code, Escape leaves it, Ctrl + Enter presses the blue button; an answer and
    a good one stand side by side."""
    write_notebook(jupyterlab.folder / "interview.ipynb", setup="""
from zglearn.course import interview
from zglearn.course.mock_interview import talk
from zglearn.exercises.exercise import find

talk.draw = lambda *_: [find("04.3")]
""", panel="interview()")
    notebook = jupyterlab.open("interview.ipynb")
    notebook.run_all()
    page, count = notebook.page, len(notebook.cells())
    page.get_by_role("button", name="Start", exact=True).press("Enter")
    code = page.locator(".zg-code textarea")
    expect(code).to_be_focused()
    for key in ("ControlOrMeta+a", "i", "f", "Space", "1", ":", "Enter", "a", "=", "1", "Enter",
                "Shift+Tab", "b", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(code).to_have_value("if 1:\n    a=1\nb   \n")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Check my code")).to_be_focused()
    code.fill("print(40 + 2)")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("42", exact=True)).to_be_visible()
    code.fill(solution_source(find("04.3")))
    code.press("ControlOrMeta+Enter")
    words = page.get_by_placeholder("Your answer, in words")
    yes = page.get_by_role("button", name="yes", exact=True)
    for _ in find("04.3").followups:
        expect(words).to_be_focused()
        page.keyboard.insert_text("As many again as the model has.")
        page.keyboard.press("ControlOrMeta+Enter")
        expect(page.get_by_text("A good answer", exact=True)).to_be_visible()
        boxes = [page.get_by_text(part, exact=True).bounding_box()
                 for part in ("The question", "Your answer", "A good answer")]
        assert len({box["y"] for box in boxes}) == 1
        assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"]
        expect(page.get_by_role("button", name="no", exact=True)).to_be_focused()
        yes.press("Enter")
        yes.press("ControlOrMeta+Enter")
    expect(page.get_by_text("100% in")).to_be_visible()
    expect(page.get_by_role("button", name="Another interview")).to_be_focused()
    assert len(notebook.cells()) == count and notebook.console_errors == []
    notebook.close()


def test_a_text_of_ones_own(jupyterlab):
    """Every key changes the picture, and none of them is taken for a command of JupyterLab."""
    write_notebook(jupyterlab.folder / "field.ipynb", setup=SETUP,
                   widget="widget = EXAMPLES['transformer_explorer'](); widget", settings=SETTINGS)
    notebook = jupyterlab.open("field.ipynb")
    notebook.run_all()
    widget = WidgetOnPage(notebook, "widget")
    count, text = len(notebook.cells()), widget.root.get_by_label("text", exact=True)
    text.focus()
    for key in ("End", "a", "d", "Enter", "d"):  # in a cell, a and d d are commands
        widget.page.keyboard.press(key)
    expect(text).to_have_value(re.compile(r"ad\nd$"))
    widget.settle()
    assert soon(lambda: setting(notebook, "text").endswith("ad\nd"))
    assert len(notebook.cells()) == count
    assert widget.changes(lambda: text.fill("\u00e9"))
    expect(widget.root.get_by_role("alert")).to_contain_text("for ASCII text")
    text.fill("")
    expect(widget.root.get_by_role("status")).to_contain_text("Type something.")
    text.fill("the array of the array")
    widget.settle()
    assert widget.changes(lambda: widget.slider("attention of").select_option("layer 2, head 1"))
    assert notebook.console_errors == []
    notebook.close()


@pytest.mark.browser_all
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_widget_answers(jupyterlab, name):
    write_notebook(jupyterlab.folder / f"{name}.ipynb", setup=SETUP,
                   widget=f"widget = EXAMPLES[{name!r}](); widget", settings=SETTINGS)
    notebook = jupyterlab.open(f"{name}.ipynb")
    notebook.run_all()
    assert notebook.errors() == []
    widget = WidgetOnPage(notebook, "widget")
    for slider in widget.root.locator(".zg-control input[type=range]").all():
        slider.focus()
        for key in ("Home", "End"):
            widget.page.keyboard.press(key)
            widget.settle()
    assert widget.alert() == ""
    first = widget.root.locator(".zg-control input[type=range]").first
    first.focus()
    assert widget.changes(lambda: widget.page.keyboard.press("Home"))
    control = next(c for c in EXAMPLES[name]().controls.values() if c.kind == "slider")
    assert soon(lambda: setting(notebook, control.name) == control.values[0])
    assert notebook.console_errors == []
    notebook.close()
