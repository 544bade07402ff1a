"""The figures, and the pure parts of the widgets. `test_widgets_browser.py` has a browser."""

import copy
import dataclasses
import functools
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import legible
import matplotlib.text
import nbformat
import numpy as np
import pytest
import scipy.sparse as sp
from nbconvert import HTMLExporter
from widget_examples import EXAMPLES

import zglearn.visual as visual
from zglearn import run
from zglearn.data import load_byte_pairs
from zglearn.experiments import compare
from zglearn.factorization import truncated_svd
from zglearn.gradient_free_methods import (
    cma_es,
    one_plus_one_es,
    random_search,
    simulated_annealing,
    spsa,
)
from zglearn.gradient_methods import adam, gradient_descent, momentum
from zglearn.landscapes import himmelblau, ravine, rosenbrock
from zglearn.models import pretrained
from zglearn.objective import Objective
from zglearn.runs import recorded
from zglearn.visual import figures, panels
from zglearn.visual.widget import slider
from zglearn.visual.widgets import (
    budget_explorer,
    compass,
    descent_loop,
    difference_gauge,
    frequency_race,
    gradient_gauge,
    momentum_plane,
    rank_explorer,
    rate_strip,
    real_landscape,
    recipe_explorer,
    sweep_explorer,
    topics_explorer,
)
from zglearn.visual.widgets.explorer import ellipses, explorer, inner_state, moves, surface, watch
from zglearn.visual.worker import Bounded, Stale, Stopped, Worker


@pytest.fixture(scope="module")
def widgets():
    return {name: make() for name, make in EXAMPLES.items()}


@pytest.fixture
def displayed(monkeypatch):
    """What is displayed: a list of (data, metadata)."""
    shown = []
    monkeypatch.setattr("IPython.display.display",
                        lambda data, metadata=None, raw=False: shown.append((data, metadata)))
    return shown


def kind(layers, wanted, panel=None):
    return [y for y in layers if y["kind"] == wanted and panel in (None, y["panel"])]


# --- figures

def test_the_package_is_lazy():
    code = ("import sys, zglearn.visual; "
            "assert not {'matplotlib', 'numpy', 'ipywidgets'} & set(sys.modules); "
            "zglearn.visual.show; assert 'ipywidgets' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", visual.__all__)
def test_every_name_is_there(name):
    assert getattr(visual, name) is not None
    assert name in dir(visual)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'plot_cake'"):
        visual.plot_cake  # noqa: B018


def test_show_gives_picture_and_words(displayed):
    ax = visual.plot_lines([1, 2, 3], {"a": [1, 2, 3]})
    visual.show(ax, alt="A line\n   that rises.")
    (picture, metadata), (caption, _) = displayed
    assert picture["image/png"].startswith(b"\x89PNG")
    assert picture["text/plain"] == "A line that rises." == metadata["image/png"]["alt"]
    assert caption["text/markdown"] == "*A line that rises.*"


def test_show_wants_words():
    with pytest.raises(ValueError, match="describe the figure"):
        visual.show(visual.figure()[0], alt=" ")


def test_paths_and_losses():
    valley = rosenbrock()
    paths = {m.__name__: run(m, valley.objective(), valley.start, steps=30, lr=0.001)
             for m in (gradient_descent, momentum)}
    ax = visual.plot_paths(valley, paths)
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    np.testing.assert_array_equal(drawn["momentum"], paths["momentum"].points)
    ax = visual.plot_losses(list(paths.values()), list(paths), against="steps")
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), paths["momentum"].losses)
    cost = visual.plot_losses(paths).lines[0].get_xdata()
    np.testing.assert_array_equal(cost, paths["momentum"].forward_equivalents)


NAMES = ["_mine", "__init__", "costs $5 and $6", "$\\nonsense{", "50 % {} \\$", "a_b", "<b>&amp;",
         "*a* `b` [c]"]


PATH = run(gradient_descent, rosenbrock().objective(), [0.0, 0.0], steps=3, lr=1e-3)


def drawn_texts(fig):
    fig.canvas.draw()  # a formula that is none would raise here
    return [text.get_text() for text in fig.findobj(matplotlib.text.Text)
            if not text.get_parse_math() or "$" not in text.get_text()]


@pytest.mark.parametrize("draw", [
    lambda names: visual.plot_lines([1, 2], {name: [1, 2] for name in names}),
    lambda names: visual.plot_bars(dict.fromkeys(names, 1.0)),
    lambda names: visual.heatmap(np.eye(len(names)), rows=names, columns=names),
    lambda names: visual.plot_losses(dict.fromkeys(names, PATH)),
    lambda names: visual.plot_paths(rosenbrock(), dict.fromkeys(names, PATH))])
def test_names_are_shown_as_they_are(draw):
    assert set(NAMES) <= set(drawn_texts(draw(NAMES).figure))


def test_a_landscape_may_have_any_name():
    for name in NAMES:
        valley = dataclasses.replace(rosenbrock(), name=name)
        assert name in drawn_texts(visual.plot_landscape(valley).figure)


def test_a_widget_shows_names_as_they_are():
    layers = [panels.line("a", [1, 2], [1, 2], label=name) for name in NAMES]
    layers += [panels.rule("a", x=1, label=name) for name in NAMES]
    layers += [panels.dots("b", [1], [1], names=[name]) for name in NAMES]
    layers += [panels.table("t", NAMES, [NAMES]), panels.text("t", "$x_$ and $", label="$_$")]
    layers += [panels.chart("c", NAMES[:2], [(0, 0), (0, 1)], [(0, 1, NAMES[2])], [0])]
    places = [panels.Panel(n, NAMES[2], NAMES[0], NAMES[3]) for n in "ab"]
    fig = panels.draw([*places, panels.Panel("t", kind="text"), panels.Panel("c", kind="chart")],
                      layers, {})
    texts = drawn_texts(fig)
    assert set(NAMES) <= set(texts) and all(texts.count(name) >= 2 for name in NAMES)

    def broken(f, x, *, lr=0.1):
        raise ValueError("neither $x_ nor $y^ is right")
        yield x

    still = explorer(himmelblau(), [broken]).still()
    assert any("neither $x_ nor $y^" in text for text in drawn_texts(still))


def test_what_is_masked_is_a_hole():
    A = np.ma.masked_equal([[1.0, 2.0], [3.0, 999.0]], 999)
    shown = visual.heatmap(A).images[0]
    assert np.isnan(shown.get_array().filled(np.nan)[1, 1]) and shown.norm.vmax == 3
    line = visual.plot_lines([1, 2], {"a": A[1]}).lines[0].get_ydata()
    np.testing.assert_array_equal(line, [3, np.nan])
    assert visual.heatmap(sp.csr_array([[0.0, 5.0]])).images[0].norm.vmax == 5


def test_a_box_without_a_finite_loss_cannot_be_drawn():
    with pytest.raises(ValueError, match="no loss in this box is finite"):
        figures.contour_levels(np.full((3, 3), np.inf))


def test_the_words_of_a_picture_are_no_markdown(displayed):
    visual.show(visual.figure()[0], alt="Paths of _a, b_c and $d$ * <e>")
    (_, _), (caption, _) = displayed
    assert caption["text/markdown"] == r"*Paths of \_a, b_c and \$d\$ \* \<e>*"
    assert caption["text/plain"] == "Paths of _a, b_c and $d$ * <e>"


def test_losses_want_an_axis_and_names():
    with pytest.raises(ValueError, match="'cost' or 'steps', not 'time'"):
        visual.plot_losses({}, against="time")
    with pytest.raises(ValueError, match="name the paths"):
        visual.plot_paths(ravine(), [])


def test_lines_bars_and_heat_maps():
    ax = visual.plot_lines([1, 2], {"three runs": [[1, 5], [2, 6], [9, 7]], "one": [1, 1]}, log="y")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [2, 6])  # the median
    assert len(ax.collections) == 1 and ax.get_yscale() == "log"
    ax = visual.plot_bars({"adam": 0.5, "sgd": 0.25})
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.25]
    ax = visual.heatmap([[1, -2], [0, 1]], rows="ab", columns="cd", numbers=".0f")
    assert ax.images[0].get_clim() == (-2, 2)  # centred on zero
    assert [t.get_text() for t in ax.texts] == ["1", "-2", "0", "1"]


def test_differences_are_drawn_with_their_intervals():
    found = {"adam": compare([1.0, 2.0, 3.0], [0.0, 1.5, 2.0], test_share=0),
             "muon": compare([1.0, 2.0, 3.0], [2.0, 2.0, 2.5], test_share=0)}
    ax = visual.plot_differences(found)
    (bars,) = ax.collections
    low_high = [segment[:, 0] for segment in bars.get_segments()]
    np.testing.assert_allclose(low_high, [(c.low, c.high) for c in found.values()])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["adam", "muon"]
    above = visual.plot_differences(found, ax=ax, up=0.2).lines[-2]
    np.testing.assert_allclose(above.get_ydata(), [-0.2, 0.8])  # the axis points down


def test_contour_levels_rise():
    Z = np.random.default_rng(0).normal(size=(20, 20))
    assert (np.diff(figures.contour_levels(Z)) > 0).all()
    assert len(figures.contour_levels(np.full((5, 5), 3.0))) == 2  # nothing to see, but no error


# --- panels

LAYERS = [
    panels.line("p", [1, 2], [3, np.nan], label="line", marker=True),
    panels.frames("p", [[1, 2, 3]], [[1, 2, 3]], mark="ellipse"),
    panels.frames("p", [[1, 2]], [[3, 4]], mark="crosses"),
    panels.dots("p", [1], [2], names=["here"]), panels.dots("p", [1], [2], star=True),
    panels.band("p", [1, 2], [0, 0], [1, 1]),
    panels.bars("p", [1, 2], [3, 4], width=0.5),
    panels.rule("p", x=1, label="x"), panels.rule("p", y=2, label="y"),
    panels.heat("p", [[1, 2], [3, 4]], (0, 0, 2, 2), label="value"),
    panels.heat("p", np.arange(9.0).reshape(3, 3), (0, 0, 2, 2), ramp="terrain"),
    panels.axis("p", xlabel="new", log="y"),
    panels.text("words", ["early", "late"], label="heading"),
    panels.table("words", ("a", "b"), [(1, "two")]),
    panels.status("fine"),
    panels.chart("loop", ["ask", "stop?"], [(0, 0), (1, 0)], [(0, 1, ""), (1, 0, "no")], [0, 1]),
]


def test_every_layer_can_be_drawn():
    fig = panels.draw([panels.Panel("p", drag=("x", "y"), handle="start", equal=True),
                       panels.Panel("words", kind="text"), panels.Panel("loop", kind="chart")],
                      LAYERS, {"x": 1, "y": 2})
    assert figures.png(fig).startswith(b"\x89PNG")
    axes, words, loop = (ax for ax in fig.axes if ax.get_label() != "<colorbar>")
    assert axes.get_xlabel() == "new"
    assert "late" in words.texts[0].get_text()  # the last moment
    ask, stop = (text.get_bbox_patch() for text in loop.texts[:2])
    assert stop.get_linewidth() > ask.get_linewidth()  # the last one is lit


def test_ticks_between_decades_are_plain_numbers():
    fig = panels.draw([panels.Panel("p", log="y")], [panels.line("p", [0, 1], [11, 22])], {})
    figures.png(fig)
    ticks = [tick.get_text() for tick in fig.axes[0].get_yticklabels(which="minor")]
    assert "20" in ticks and not [text for text in ticks if "times" in text]


def test_decades_are_plain_numbers_where_they_are_few():
    def ticks(high):
        fig = panels.draw([panels.Panel("p", log="y")], [panels.line("p", [0, 1], [0.2, high])], {})
        figures.png(fig)
        return [tick.get_text() for tick in fig.axes[0].get_yticklabels()]

    assert "1" in ticks(5) and not any("times" in text or "10^" in text for text in ticks(5))
    assert any("10^" in text for text in ticks(1e5))


def test_words_of_a_still_run_into_nothing():
    """A long table beside a plot, a line's name at the right edge, points whose names meet."""
    wide = [["1", ", ".join(["estimator"] * 12)]]
    places = [panels.Panel("words", kind="text", height=60), panels.Panel("p", "title", height=60)]
    layers = [panels.table("words", ["topic", "words"], wide * 3),
              panels.text("words", "a text drawn word by word " * 8),
              panels.line("p", [0, 100], [0, 0]), panels.rule("p", x=95, label="the break-even"),
              panels.dots("p", [40, 44], [0.01, 0.012], names=["values", "optional"])]
    fig = panels.draw(places, layers, {})
    assert figures.png(fig) and not legible.troubles(fig)
    widths = [ax.get_position().width for ax in fig.axes]
    assert widths[1] > 0.35  # the words took no room from the plot


def test_what_cannot_be_read_is_found():
    fig, (left, right) = figures.figure(1, 2)
    left.plot([0, 1], [0, 1])
    left.text(0.4, 0.5, "on the line")
    right.text(0.2, 0.5, "one")
    right.text(0.22, 0.51, "other")
    right.text(0.9, 0.9, "far beyond the edge", in_layout=False)
    figures.png(fig)
    assert sorted(legible.troubles(fig)) == [
        "'far beyond the edge' is cut off", "'on the line' has a line through it",
        "'one' runs into 'other'"]


def test_a_kernel_that_is_watched_shows_no_figure_that_cannot_be_read(tmp_path):
    code = ("from zglearn.visual import figure, show; _, ax = figure(); ax.text(0.4, 0.5, 'here');"
            "ax.text({}, 0.5, 'there'); show(ax, alt='Two words.')")
    for place, message in ((0.41, "'here' runs into 'there'"), (0.8, "Two words")):
        command = [sys.executable, "-m", "IPython", "-c", code.format(place)]
        environ = os.environ | legible.watch(tmp_path / str(place))
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300)
        assert message in done.stdout and "WARNING" not in done.stderr


def test_a_still_shows_one_group():
    layers = [panels.line("p", [0, 1], [0, 1], group=g) for g in ("a", "b")]
    fig = panels.draw([panels.Panel("p", "title", pick="b")], layers, {})
    assert fig.axes[0].get_title(loc="left") == "title: b"
    assert len(fig.axes[0].lines) == 1


def test_pack_and_unpack():
    packed, buffer = panels.pack(LAYERS)
    floats = np.frombuffer(buffer, "<f4")
    for layer, sent in zip(LAYERS, packed, strict=True):
        for name, value in layer.items():
            if isinstance(value, np.ndarray):
                at, shape = sent[name]["at"], sent[name]["shape"]
                back = floats[at:at + value.size].reshape(shape)
                np.testing.assert_array_equal(back, value)
            else:
                assert sent[name] == value


# --- bounded work, and the newest question

def test_bounded_returns_and_raises():
    bounded = Bounded(5)
    assert bounded(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 / 0)


def test_an_endless_loop_is_given_up_and_ends():
    alive = threading.Event()

    def forever():
        try:
            while True:
                pass
        finally:
            alive.set()

    with pytest.raises(TimeoutError, match="longer than 0.2 seconds"):
        Bounded(0.2)(forever)
    assert alive.wait(10)  # the thread was interrupted, not left behind


def test_a_loop_that_catches_everything_ends_too():
    threads = []

    def deaf():
        threads.append(threading.current_thread())
        while True:
            try:
                for _ in range(5):
                    pass
            except BaseException:
                pass

    with pytest.raises(TimeoutError):
        Bounded(0.2)(deaf)
    threads[0].join(30)
    assert not threads[0].is_alive()


def test_stop_ends_the_wait():
    bounded = Bounded(60)
    threading.Timer(0.2, bounded.stop).start()
    with pytest.raises(Stopped):
        bounded(lambda: time.sleep(30))


def test_stale_work_is_given_up():
    bounded, stale, interrupted = Bounded(60), threading.Event(), threading.Event()

    def forever():
        try:
            while True:
                pass
        finally:
            interrupted.set()

    threading.Timer(0.1, stale.set).start()
    with pytest.raises(Stale):
        bounded(forever, stale.is_set)
    assert interrupted.wait(10)


def test_what_is_asked_ahead_gives_way_to_what_is_waited_for():
    bounded, sent, done = Bounded(60), [], threading.Event()
    begun = threading.Event()

    def answer(question):
        if question == "ahead":
            begun.set()
            try:
                bounded(lambda: time.sleep(30), worker.stale)
            except Stale:
                return None
        return question

    worker = Worker(answer, lambda answers: (sent.extend(answers), done.set()))
    worker.ask([], ["ahead"])
    assert begun.wait(10)
    worker.ask(["now"], [])
    assert done.wait(10)
    assert sent == ["now"]


def test_a_quick_answer_does_not_wait_for_a_slow_one():
    release, first = threading.Event(), threading.Event()

    def answer(question):
        if question[1] == "slow":
            release.wait(10)
        return question[1]

    sent = []
    worker = Worker(answer, lambda answers: (sent.append(list(answers)), first.set()))
    worker.ask([["key", "quick"], ["key", "slow"]], [])
    assert first.wait(10)
    assert sent == [["quick"]]
    release.set()


def test_the_newest_question_wins():
    sent, done = [], threading.Event()
    release = threading.Event()

    def answer(question):
        release.wait(10)
        if question == ["now", 9]:
            done.set()
        return question

    worker = Worker(answer, sent.extend)
    worker.ask([["now", 0]], [["line", i] for i in range(50)])
    time.sleep(0.1)  # the first is being answered while the others arrive
    for i in range(1, 10):
        worker.ask([["now", i]], [])
    release.set()
    assert done.wait(10)
    assert [q for q in sent if q[0] == "line"] == []
    assert len(sent) <= 2


def test_the_line_is_answered_when_nothing_is_newer():
    sent, done = [], threading.Event()
    worker = Worker(lambda q: q, lambda answers: (sent.append(answers),
                                                  sum(map(len, sent)) == 22 and done.set()))
    worker.ask([["now", 0]], [["line", i] for i in range(20)], soon=[["soon", 0]])
    assert done.wait(10)
    assert sent[:2] == [[["now", 0]], [["soon", 0]]]  # neither waits for the line
    assert sum(sent[2:], []) == [["line", i] for i in range(20)]


# --- all widgets

@pytest.mark.parametrize("scale, high", [("linear", 7), ("log", 7), ("near 1", 0.9999)])
def test_a_slider_holds_its_ends_and_its_default(scale, high):
    control = slider("lr", "lr", 1e-4, high, 0.01234, scale=scale)
    assert control.values[0] == 1e-4 and control.values[-1] == high and 0.01234 in control.values
    assert list(control.values) == sorted(set(control.values))
    assert len(control.values) > 55


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_control_at_its_ends(widgets, name):
    widget = widgets[name]
    for control in widget.controls.values():
        for value in control.values and (control.values[0], control.values[-1], control.default):
            layers = widget.layers(**{control.name: value})
            assert layers, f"{control.name} = {value} draws nothing"
            known = {p.name for p in widget.panels} | {None}
            assert {y["panel"] for y in layers} <= known
            panels.pack(layers)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_still_picture(widgets, name, displayed):
    widgets[name]._ipython_display_()
    (picture, metadata), (caption, _), (hint, _), (view, _) = displayed
    assert picture["image/png"].startswith(b"\x89PNG")
    assert picture["text/plain"] == caption["text/plain"] == metadata["image/png"]["alt"]
    assert len(caption["text/plain"]) > 60
    still = widgets[name].still()
    assert figures.png(still) and not legible.troubles(still)
    assert "Run this cell" in hint["text/html"] and "Run this cell" in hint["text/plain"]
    (only,) = view.values()  # a front end without ipywidgets has nothing to show for it
    assert only["model_id"] == widgets[name].model_id
    assert all("error" not in widgets[name]._answer([None, p.name, [
        widgets[name].settings[n] for n in p.needs]]) for p in widgets[name].parts.values())


def test_the_browser_half_uses_no_sign_that_a_font_may_lack():
    source = Path(visual.__file__).with_name("widget.js").read_text(encoding="utf-8")
    code = re.sub(r"//.*|/\*[\s\S]*?\*/", "", source)
    assert not set(re.findall(r"[^\x00-\xff]", code)) - set("…−⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def saved_widgets():
    """(chapter, picture, caption) of every widget that the chapters' saved outputs show."""
    for path in sorted((Path(__file__).parents[1] / "chapters").glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            outputs = cell.get("outputs", [])
            for i, output in enumerate(outputs):
                if "to move what the picture shows" in output.get("data", {}).get("text/plain", ""):
                    yield path, *outputs[i - 2:i]


def test_every_widget_of_the_chapters_left_its_picture_and_words():
    names = []
    for path, picture, caption in saved_widgets():
        names.append(path.stem)
        assert picture.data["image/png"], path
        assert picture.metadata["image/png"]["alt"] == caption.data["text/plain"] != "", path
    assert len(names) >= 19 and len(set(names)) >= 14


def test_a_page_made_without_a_kernel_shows_picture_and_words():
    path, picture, caption = next(saved_widgets())
    page, _ = HTMLExporter().from_filename(str(path))
    assert picture.data["image/png"].replace("\n", "")[:200] in page
    assert caption.data["text/plain"][:30] in page
    assert "Error displaying widget" not in page


def test_the_transformer_explorer_shows_what_the_model_computes(widgets):
    widget = widgets["transformer_explorer"]
    (bars, *_), text = kind(widget.layers("surprise"), "bars"), widget.settings["text"]
    model, p = pretrained("mini")
    codes = np.append(0, load_byte_pairs().encode(text)).astype(int)
    X, y = codes[None, :-1], codes[None, 1:]
    assert bars["y"].mean() == pytest.approx(model.loss(p, X, y), rel=1e-5)
    cold = kind(widget.layers("following", temperature=0.1), "table")[0]["rows"]
    warm = kind(widget.layers("following"), "table")[0]["rows"]
    assert [row[0] for row in cold] == [row[0] for row in warm]  # the ranking stays
    assert float(cold[0][2]) > float(warm[0][2]) == float(warm[0][1])
    assert widget.layers(text="") and widget.layers(text="x " * 400)


def test_a_field_takes_text_and_not_too_much(widgets):
    widget = widgets["transformer_explorer"]
    before = widget.settings
    for wrong in (7, "x" * 1001):
        with pytest.raises(ValueError, match="a text of at most 1000 characters"):
            widget.settings |= {"text": wrong}
    assert widget.settings == before
    odd = ["key", "following", ["\u00e9", 1.0]]
    assert "for ASCII text; there is none for" in widget._answer(odd)["error"]


def test_settings_are_checked(widgets):
    with pytest.raises(ValueError, match="no setting 'speed'"):
        widgets["momentum_plane"].layers(speed=1)
    with pytest.raises(ValueError, match="beta1 cannot be 7: its nearest position is 0.999"):
        widgets["gradient_gauge"].layers(beta1=7)
    assert widgets["momentum_plane"].layers(beta=0.123)  # it can be dragged there
    with pytest.raises(ValueError, match="precision cannot be 'quadruple': it is one of .'double'"):
        widgets["difference_gauge"].layers(precision="quadruple")


def test_settings_are_set_from_python():
    widget, told = visual.gradient_gauge(), []
    before = widget.settings
    widget.observe(lambda change: told.append(change["new"]), "settings")
    widget.settings |= {"beta1": 0}
    assert told == [before | {"beta1": 0}] and widget.settings == told[0]
    widget.settings = {"inside": True}  # what is not named stays
    assert widget.settings == before | {"beta1": 0, "inside": True}
    widget._hear(widget, {"settings": {"rho": 0}}, [])  # as the page tells it
    assert widget.settings == before | {"beta1": 0, "inside": True, "rho": 0}
    widget.settings |= {"rho": before["rho"]}
    for change in (lambda: widget.settings.update(beta1=0.5),
                   lambda: widget.settings.__setitem__("beta1", 0.5)):
        with pytest.raises(TypeError, match="write widget.settings |= "):
            change()
    copied = copy.deepcopy(widget.settings)
    copied["beta1"] = 0.5
    with pytest.raises(ValueError, match="no setting 'speed'"):
        widget.settings |= {"speed": 1}
    assert widget.settings == before | {"beta1": 0, "inside": True}


# --- the landscape explorer

def test_watching_changes_nothing():
    valley = rosenbrock()
    watched, _ = watch(cma_es, valley.objective(), valley.start, steps=40, seed=3, sigma=0.3)
    plain = run(cma_es, valley.objective(), valley.start, steps=40, seed=3, sigma=0.3)
    np.testing.assert_array_equal(watched.points, plain.points)
    np.testing.assert_array_equal(watched.evaluations, plain.evaluations)


def test_the_inside_is_the_methods_own():
    valley = rosenbrock()
    path, held = watch(momentum, valley.objective(), valley.start, steps=30, lr=0.001, beta=0.9)
    np.testing.assert_allclose(held["v"][1:], -np.diff(path.points, axis=0) / 0.001, rtol=1e-6)
    assert np.isnan(held["v"][0]).all()
    np.testing.assert_allclose(inner_state(held)["velocity v"], held["v"].T)


def test_effective_learning_rate():
    valley = rosenbrock()
    path, held = watch(adam, valley.objective(), valley.start, steps=30, lr=0.1, eps=0.01)
    inside = inner_state(held)
    rate, mean = inside["effective learning rate"], inside["mean gradient m̂"]
    np.testing.assert_allclose(-np.diff(path.points, axis=0).T, (rate * mean)[:, 1:], rtol=1e-9)


def test_a_learners_own_variables_are_shown():
    def mine(f, x, *, lr=0.01):
        tiredness, t = 1.0, 0
        while True:
            tiredness, t = 0.9 * tiredness, t + 1
            x = x - lr * tiredness * f.grad(x)
            yield x

    valley = himmelblau()
    _, held = watch(mine, valley.objective(), valley.start, steps=5, lr=0.01)
    inside = inner_state(held)
    assert set(inside) == {"tiredness"}
    np.testing.assert_allclose(inside["tiredness"][0, 1:], 0.9 ** np.arange(1, 6))


def test_accepted_and_refused_moves():
    valley = himmelblau()
    path = run(simulated_annealing, valley.objective(), valley.start, steps=60, seed=1,
               temperature=5.0, sigma=0.5)
    taken, refused = moves(path)
    moved = (path.points[1:] != path.points[:-1]).any(axis=1)
    assert 0 < moved.sum() < 60
    np.testing.assert_array_equal(np.isfinite(taken[1:]).any(axis=(1, 2)), moved)
    np.testing.assert_array_equal(np.isfinite(refused[2:]).any(axis=(1, 2)), ~moved[1:])
    assert (refused[1, 0] == valley.start).all()  # the first step also asks about the start


def test_a_pair_of_probes_lies_about_the_point():
    valley = himmelblau()
    path = run(spsa, valley.objective(), valley.start, steps=10, seed=0, lr=0.001)
    _, refused = moves(path)
    np.testing.assert_allclose(refused[1:].mean(axis=1), path.points[:-1])


def test_ellipses():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    C = turn @ np.diag([4, 9]) @ turn.T
    x, y = ellipses(np.array([[1.0, 2.0]]), C[None])
    assert x[0, 0] == 1 and y[0, 0] == 2
    axes = np.stack([x[0, 1:], y[0, 1:]])
    np.testing.assert_allclose(axes @ axes.T, C)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=0), [2, 3])


def test_the_explorer_draws_what_run_returns():
    valley = rosenbrock()
    widget = explorer(valley, {momentum: {"lr": 0.001, "beta": 0.9}}, steps=100)
    layers = widget.layers("momentum", steps=10)
    path_line, loss_line = kind(layers, "line", "map")[0], kind(layers, "line", "loss")[0]
    path = run(momentum, valley.objective(), valley.start, steps=10, lr=0.001, beta=0.9)
    np.testing.assert_allclose(path_line["y"], path.points[:, 1], rtol=1e-6)
    np.testing.assert_allclose(loss_line["x"], path.forward_equivalents)
    np.testing.assert_allclose(loss_line["y"], path.losses - valley.best, rtol=1e-6)


def test_the_surface_shows_the_visible_box():
    heat, minima = surface(himmelblau(), (-1, -2, 4, 4))
    rows, columns = heat["z"].shape
    lowest = np.unravel_index(heat["z"].argmin(), heat["z"].shape)
    x = -1 + 5 * lowest[1] / (columns - 1)
    y = -2 + 6 * lowest[0] / (rows - 1)
    assert np.abs(himmelblau().minima - [x, y]).max(axis=1).min() < 0.1
    assert len(minima["x"]) == 4


def raises(f, x, *, lr=0.1):
    while True:
        x = x - lr * f.gard(x)
        yield x


def wrong_shape(f, x, *, lr=0.1):
    while True:
        yield np.zeros(3)


def never_yields(f, x, *, lr=0.1):
    while lr:
        pass
    yield x


def no_yield(f, x, *, lr=0.1):
    return x


def diverges(f, x, *, lr=1.0):
    while True:
        x = x - lr * f.grad(x)
        yield x


def asks_for_a_gradient(f, x, rng, *, lr=0.1):
    raise RuntimeError
    yield x


@pytest.mark.parametrize("method, message", [
    (raises, "AttributeError: 'Objective' object has no attribute 'gard' (line "),
    (wrong_shape, "wrong_shape yielded shape (3,)"),
    (never_yields, "took longer than 0.3 seconds"),
    (no_yield, "this one has no yield"),
    (asks_for_a_gradient, "RuntimeError"),
])
def test_a_broken_method_shows_its_error_and_leaves_the_widget_alive(method, message):
    widget = explorer(himmelblau(), [method, momentum])
    patience = 0.3 if method is never_yields else 60  # others may take their time
    widget._bounded.seconds = patience
    values = [widget.settings[n] for n in widget.parts[method.__name__].needs]
    assert message in widget._answer(["key", method.__name__, values])["error"]
    widget._bounded.seconds = 60
    values = [widget.settings[n] for n in widget.parts["momentum"].needs]
    assert widget._answer(["key", "momentum", values])["layers"]
    widget._bounded.seconds = patience
    assert figures.png(widget.still())


def test_a_divergent_path_ends_where_it_was_finite():
    widget = explorer(himmelblau(), [diverges])
    layers = widget.layers("diverges")
    assert "diverged" in kind(layers, "status")[0]["text"]
    assert 1 < len(kind(layers, "line", "map")[0]["x"]) < 30


def test_a_slow_method_is_shown_as_far_as_it_came():
    def slow(f, x, *, lr=0.01):
        while True:
            time.sleep(0.2)
            x = x - lr * f.grad(x)
            yield x

    layers = explorer(himmelblau(), [slow]).layers("slow")
    assert "ended early" in kind(layers, "status")[0]["text"]
    assert 2 <= len(kind(layers, "line", "map")[0]["x"]) <= 12


def test_the_explorer_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="two variables"):
        explorer(ravine(10, d=3), [momentum])
    with pytest.raises(ValueError, match="same name"):
        explorer(ravine(10), [momentum, lambda: None, lambda: None])


def test_only_a_method_with_something_inside_gets_a_panel_for_it():
    bare = explorer(ravine(10), [gradient_descent])
    assert [panel.name for panel in bare.panels] == ["map", "loss"] and "inside" not in bare.alt
    second = explorer(ravine(10), [gradient_descent, momentum])
    assert second.panels[-1].name == "inside" and "momentum holds inside" in second.alt


@pytest.mark.parametrize("make", [
    lambda: explorer(ravine(10), {momentum: {"beta": 1.5}}),
    lambda: explorer(ravine(10), {momentum: {"beta": "0.9"}}),
    lambda: explorer(ravine(10), {cma_es: {"population": 2.5}}),
    lambda: explorer(ravine(10), {cma_es: {"sigma": 0}}),
    lambda: explorer(ravine(10), [momentum], steps=0),
    lambda: explorer(ravine(10), [momentum], steps="many"),
    lambda: explorer(ravine(10), [momentum], seed="x"),
    lambda: explorer(ravine(10), [momentum], start=[1.0]),
    lambda: explorer(ravine(10), [momentum], start=[1.0, np.nan]),
    lambda: visual.annealing_explorer(len, str, np.ones(3), None, cooling=1.5),
    lambda: visual.annealing_explorer(len, str, np.ones(3), None, temperature=-1),
    lambda: visual.annealing_explorer(len, str, np.ones(3), "swap"),
    lambda: visual.descent_loop(0), lambda: visual.descent_loop(lr=-1),
    lambda: visual.momentum_plane(0.5), lambda: visual.momentum_plane(steps=0),
    lambda: visual.compass(dimension=0), lambda: visual.compass(probes=1.5),
    lambda: visual.difference_gauge(length=0.123), lambda: visual.gradient_gauge(steps=-1),
    lambda: visual.rank_explorer(np.eye(3), k=0), lambda: visual.rank_explorer(np.eye(3), k="2"),
    lambda: visual.frequency_race({"a": None}, np.ones(2), {adam: -1}, ["a", "b"]),
    lambda: visual.step_explorer({"W": np.zeros((2, 3))}), lambda: visual.step_explorer({"b": [1]}),
    lambda: visual.step_explorer({"W": [[np.nan, 1]]}),
    lambda: visual.recipe_explorer([]), lambda: visual.recipe_explorer(recorded("recipe_grid")[1:]),
    lambda: visual.real_landscape(None, {"a": np.ones((2, 3))}, shapes=[(3,)], resolution=1)])
def test_a_widget_refuses_what_is_out_of_its_domain(make):
    with pytest.raises(ValueError, match=r"(must|cannot) (be|start)"):
        make()


def test_a_widget_knows_methods_without_a_name():
    class Mine:
        def __call__(self, f, x, *, lr=0.1):
            while True:
                x = x - lr * f.grad(x)
                yield x

    widget = explorer(ravine(10), [functools.partial(adam, lr=0.3, beta1=0.5), Mine()])
    assert list(widget.parts) == ["surface", "adam", "Mine"]
    assert widget.settings["adam:lr"] == 0.3 and widget.settings["Mine:lr"] == 0.1
    assert {y.get("label") for y in widget.layers()} >= {"Adam", "Mine"}


@pytest.mark.parametrize("name, wrong", [
    ("x0", "left"), ("x0", np.nan), ("y0", None), ("x0", [1.0]), ("box", [0, 1]),
    ("box", [0, 0, 1, np.inf]), ("box", "all"), ("seed", np.array([1, 2])), ("seed", [1]),
    ("seed", np.nan), ("against", ["cost"]), ("momentum:lr", np.ones(2))])
def test_a_setting_of_the_wrong_form_is_refused(name, wrong):
    widget = explorer(ravine(10), [momentum])
    with pytest.raises(ValueError, match=f"{name} cannot be"):
        widget.settings |= {name: wrong}


def test_a_method_has_the_fields_name_and_a_learners_own_the_one_it_was_given():
    def adam(f, x, *, lr=0.1):
        yield x

    widget = explorer(ravine(10), {one_plus_one_es: {"sigma": 0.3}, adam: {"lr": 0.1}})
    assert [widget.controls[name].group for name in ("one_plus_one_es:sigma", "adam:lr")] == [
        "(1+1)-ES", "adam"]
    assert widget.title == f"(1+1)-ES and adam on {ravine(10).name}"


def test_a_learners_own_may_be_called_as_ours_is_titled():
    def Adam(f, x, *, lr=0.1):
        yield x

    widget = explorer(ravine(10), [adam, Adam])
    assert {widget.controls[name].group for name in ("adam:lr", "Adam:lr")} == {"adam", "Adam"}


def test_a_setting_is_put_behind_the_call():
    widget = explorer(ravine(10), [momentum]).at({"steps": 100, "against": "steps"})
    assert (widget.settings["steps"], widget.settings["against"]) == (100, "steps")
    with pytest.raises(ValueError, match="there is no setting 'lr'"):
        widget.at({"lr": 1})


def test_hyperparameters_become_sliders():
    widget = explorer(ravine(10), {momentum: {"lr": 0.02}, random_search: {}})
    names = list(widget.controls)
    assert "momentum:lr" in names and "momentum:beta" not in names
    assert "random_search:radius" in names and "random_search:population" in names
    assert widget.controls["momentum:lr"].default == 0.02

    def mine(f, x, *, lr=0.1, beta=0.9):
        yield x

    odd = explorer(ravine(10), {mine: {"lr": 0, "beta": 1.0}})
    assert odd.controls["mine:lr"].values[0] == 0
    assert odd.controls["mine:beta"].values[-1] == 1


# --- the momentum plane

def test_eigenvalues_are_those_of_the_step():
    for a, beta in [(0.3, 0.9), (1.5, 0.1), (3.0, 0.5)]:
        step = np.array([[1 + beta - a, -beta], [1, 0]])
        want = np.sort_complex(np.linalg.eigvals(step))
        np.testing.assert_allclose(np.sort_complex(momentum_plane.eigenvalues(a, beta)), want,
                                   atol=1e-12)


@pytest.mark.parametrize("kappa", [4, 25, 400])
def test_the_best_setting_is_the_best(kappa):
    step, beta = momentum_plane.best_setting(kappa)
    best = momentum_plane.spectral_radius(step, beta, kappa)
    assert best == pytest.approx((np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1), abs=1e-6)
    grid = momentum_plane.spectral_radius(*np.meshgrid(np.linspace(0, 4, 101),
                                                       np.linspace(0, 1, 101)), kappa)
    assert best <= grid.min() + 1e-9


def test_the_radius_is_the_rate_that_is_measured():
    kappa, step, beta = 25, 1.0, 0.5
    f = ravine(kappa)
    path = run(momentum, f.objective(), f.start, steps=300, lr=step / kappa, beta=beta)
    rate = (path.losses[300] / path.losses[100]) ** (1 / 400)
    assert rate == pytest.approx(momentum_plane.spectral_radius(step, beta, kappa), abs=2e-3)


# --- the loop of gradient descent

def test_the_loop_lights_its_boxes_in_order():
    x, boxes, says = descent_loop.walk(lr=0.5, start=2.0, small=0.3)
    round_ = [descent_loop.ASK, descent_loop.STEP, descent_loop.DONE]
    assert boxes == [descent_loop.START] + 3 * round_ + [descent_loop.END]
    assert x[::3] == [2.0, 1.0, 0.5, 0.25] and x[-1] == 0.25
    assert "2 − 0.5 · 2 = 1" in says[2]
    assert "no, go on" in says[3] and "after 3 steps, because the gradient is small" in says[-1]


@pytest.mark.parametrize("lr, reason", [(0.1, "small enough"), (2.0, "40 steps are enough"),
                                        (2.5, "runs away")])
def test_the_loop_says_why_it_stops(lr, reason):
    assert reason in descent_loop.walk(lr, start=3.0, small=0.1)[2][-1]


def test_the_slope_is_the_gradient(widgets):
    slope = kind(widgets["descent_loop"].layers(lr=0.5, start=2.0), "frames", "bowl")[0]
    asked = np.isfinite(slope["x"]).all(axis=1)
    lit = np.array(kind(widgets["descent_loop"].layers(lr=0.5, start=2.0), "chart")[0]["lit"])
    assert (asked == np.isin(lit, (descent_loop.ASK, descent_loop.STEP))).all()
    rise = np.diff(slope["y"], axis=1) / np.diff(slope["x"], axis=1)
    np.testing.assert_allclose(rise[[1, 2], 0], 2.0)  # at x = 2, before and at the first step


# --- frequent and rare

def test_the_rates_are_adagrads_and_rmsprops():
    squares = np.array([[1.0, 0.0], [1.0, 4.0], [1.0, 0.0]])
    np.testing.assert_array_equal(rate_strip.own_sum(squares), [[1, 0], [2, 4], [3, 4]])
    np.testing.assert_array_equal(rate_strip.common_sum(squares), [[1, 1], [6, 6], [7, 7]])
    np.testing.assert_allclose(rate_strip.fading_mean(squares, rho=0.5),
                               [[0.5, 0], [0.75, 2], [0.875, 1]])


def test_a_rare_word_keeps_a_high_rate(widgets):
    strip = widgets["rate_strip"]
    for rule in strip.controls["rule"].values:
        rate = kind(strip.layers("strip", rule=rule), "frames")[0]["y"]
        falls = (np.diff(rate, axis=0) <= 0) | np.isnan(np.diff(rate, axis=0))
        assert falls.all() == ("RMSprop" not in rule)  # a mean forgets
        assert (rate[-1, -1] > 3 * rate[-1, 0]) == ("norm" not in rule)
    assert np.isnan(kind(strip.layers("strip"), "frames")[0]["y"][0]).any()  # not seen yet


def test_the_colours_of_the_strip_have_a_scale(widgets):
    assert "rate" in kind(widgets["rate_strip"].layers("strip"), "heat")[0]["label"]


def test_a_word_without_a_gradient_is_left_out():
    strip = visual.rate_strip([[1.0, 0.0, 4.0]], [3, 2, 1], ["often", "never", "once"])
    assert len(strip.controls["word"].values) == 2
    assert kind(strip.layers("one", word=2), "line")[0]["label"] == "“once”, in 1"
    assert kind(strip.layers("one", word=2), "line")[0]["y"] == 0.5


def test_adam_learns_the_rare_as_fast_as_the_frequent(widgets):
    race = widgets["frequency_race"]

    def ratio(method, **settings):
        left = kind(race.layers(method, **settings), "frames", "profile")[0]["y"]
        return left[30, -1] / left[30, 0]

    assert ratio("gradient_descent") > 10
    assert ratio("adam") == pytest.approx(1, rel=0.01)
    assert ratio("gradient_descent", problem="equally frequent") == pytest.approx(1)


def test_a_race_ends_where_it_was_finite():
    held = frequency_race.learned(iter([np.ones(2), np.full(2, np.inf), np.ones(2)]),
                                  lambda x: x, np.zeros(2), 10)
    np.testing.assert_array_equal(held, [[0, 0], [1, 1]])


# --- the others

def test_rank_explorer_shows_the_best_approximation(widgets):
    layers = widgets["rank_explorer"].layers(k=3)
    before, after = kind(layers, "heat", "before")[0]["z"], kind(layers, "heat", "after")[0]["z"]
    U, s, Vt = truncated_svd(before[::-1].astype(float), 3)
    np.testing.assert_allclose(after[::-1], (U * s) @ Vt, atol=1e-5)
    kept = 1 - ((before - after) ** 2).sum() / (before**2).sum()
    assert f"{kept:.1%}" in kind(layers, "status")[0]["text"]
    dot = kind(layers, "dots", "stored")[0]
    assert dot["y"][0] == 3 * (30 + 20)  # two factors: the singular values are in one of them


def test_rank_explorer_shows_what_is_below_zero(widgets):
    layers = widgets["rank_explorer"].layers(k=3)
    before, after = (kind(layers, "heat", panel)[0] for panel in ("before", "after"))
    assert before["z"].min() == 0 > after["z"].min()  # no entry is negative; approximations are
    for heat in (before, after):
        assert heat["low"] == -heat["high"] and heat["ramp"] == "diverging"
    assert f"{np.mean(after['z'] < 0):.0%} of its entries" in kind(layers, "status")[0]["text"]


def test_the_step_explorer_shows_what_a_method_makes_of_the_gradient(widgets):
    widget, tall = widgets["step_explorer"], {"gradient": "Wᵀ"}
    for method, flat in (("Shampoo at first: U Vᵀ", 1e-6), ("Muon: Newton–Schulz", 0.5)):
        layers = widget.layers(method=method, **tall)
        gradient, step = (y["y"] for y in kind(layers, "line", "spectrum"))
        assert gradient[0] == step[0] == 1 and gradient.min() < 0.1
        assert np.ptp(step) <= flat
    turned = {method: float(re.search(r"by (\d+)% \(turned", kind(widget.layers(
        "spectra", angle=45, method=method), "status")[0]["text"])[1])
        for method in widget.controls["method"].values}
    known = {name for name, percent in turned.items() if percent == 0}
    assert known == {"gradient descent", "Shampoo at first: U Vᵀ", "Muon: Newton–Schulz"}
    assert min(percent for name, percent in turned.items() if name not in known) > 10


def test_the_step_explorers_curve_is_newton_schulz(widgets):
    layers = widgets["step_explorer"].layers("curve", coefficients="Björck's, exact", rounds=10)
    dots = kind(layers, "dots", "curve")[0]
    np.testing.assert_allclose(dots["y"][dots["x"] > 0.1], 1, atol=1e-6)
    untouched = kind(widgets["step_explorer"].layers("curve", rounds=0), "line", "curve")[0]
    np.testing.assert_allclose(untouched["x"], untouched["y"])


def test_the_recipe_explorer_shows_the_run_of_its_setting(widgets):
    widget = widgets["recipe_explorer"]
    for made in recorded("recipe_grid")[::37]:
        knobs = {name: made[name] for name in recipe_explorer.KNOBS}
        layers = widget.layers("transformer", **knobs)
        point, average = (y["y"] for y in kind(layers, "line", "loss"))
        np.testing.assert_allclose(point, made["losses"], rtol=1e-6)
        np.testing.assert_allclose(average, made["averages"], rtol=1e-6)
        assert len(kind(layers, "rule")) == made["clip"]
    straight = [y["y"] for y in kind(widget.layers("bowl", schedule="constant", warmup=False),
                                     "line", "bowl")]
    drawn = [y["y"] for y in kind(widget.layers("bowl", drawn=True), "line", "bowl")]
    np.testing.assert_array_equal(straight, drawn)
    together, _, start, noise = straight
    np.testing.assert_allclose(together, start + noise, rtol=1e-6)


def test_the_recipe_explorers_bowl_is_the_mean_of_many_descents():
    rng, h, walkers = np.random.default_rng(0), np.array([0.1, 1.0]), 4000
    rates = 0.5 * recipe_explorer.by_hand([1, 0.5, 0, 1], 60)
    assert rates[0] == rates[-1] == 0.5 and rates.min() < 0.02
    x = np.ones((walkers, 2)) / np.sqrt(h)
    average, losses = np.zeros_like(x), []
    for t, rate in enumerate(rates, 1):
        x = x - rate * (h * x + np.sqrt(3 / 4) * rng.normal(size=x.shape))
        average += max(1 / t, 0.1) * (x - average)
        losses.append([np.mean(h * y**2 / 2) for y in (x, average)])
    exact = recipe_explorer.excess(rates, batch=4, start=1, noise=3, h=h)
    np.testing.assert_allclose(np.transpose(losses), exact, rtol=0.08)


def test_neighbours():
    X = np.array([[1, 0], [2, 0.1], [0, 1], [-1, 0], [0, 0]])
    near, cosine = rank_explorer.neighbours(X, 0, 2)
    assert near[0] == 1 and cosine[0] == pytest.approx(2 / np.hypot(2, 0.1))
    assert near[1] in (2, 4)


def test_next_word_is_a_distribution():
    unigram = np.array([0.5, 0.25, 0.25])
    P, negative = topics_explorer.next_word(np.array([[1, -1, 1], [0, 0, 0], [2, 1, 1.0]]), unigram)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_allclose(P[1], unigram)
    assert negative == pytest.approx(1 / 9)
    assert (P > 0).all()


def test_perplexity():
    counts = np.array([[3, 1], [2, 2]])
    assert topics_explorer.perplexity(np.full((2, 2), 0.5), counts) == pytest.approx(2)
    P = np.array([[0.75, 0.25], [0.5, 0.5]])
    nats = -(3 * np.log(0.75) + np.log(0.25) + 4 * np.log(0.5)) / 8
    assert topics_explorer.perplexity(P, counts) == pytest.approx(np.exp(nats))


def test_a_cold_generator_takes_the_likeliest_word():
    P = np.array([[0.1, 0.9, 0], [0, 0.2, 0.8], [0.7, 0.2, 0.1]])
    words = topics_explorer.generate(P, 0, 0.01, 7, np.random.default_rng(0))
    assert words == [0, 1, 2, 0, 1, 2, 0]
    hot = topics_explorer.generate(P, 0, 100, 300, np.random.default_rng(0))
    assert len(set(hot)) == 3


def test_negative_cells_are_the_svds(widgets):
    layers = widgets["topics_explorer"].layers("quality")
    negative = {y["label"]: y["y"] for y in kind(layers, "line", "negative")}
    assert (negative["NMF"] == 0).all() and negative["SVD"][-1] > 0


def test_the_gauge_replays_the_real_adam():
    g = np.random.default_rng(0).normal(size=20)
    held = gradient_gauge.replay(adam, g, beta1=0.8, beta2=0.95, eps=1e-8)
    m = v = 0.0
    for t, g_t in enumerate(g, start=1):
        m, v = 0.8 * m + 0.2 * g_t, 0.95 * v + 0.05 * g_t**2
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.95**t)
        assert held["m_hat"][t] == pytest.approx(m_hat)
        assert held["step"][t] == pytest.approx(m_hat / (np.sqrt(v_hat) + 1e-8))


def test_epsilon_inside_the_root_differs(widgets):
    def last(**changes):
        layers = widgets["gradient_gauge"].layers(**changes)
        return kind(layers, "line", "steps")[0]["y"][-1]

    biggest = widgets["gradient_gauge"].controls["eps"].values[-1]
    assert last(inside=True) == pytest.approx(last(inside=False), rel=1e-4)  # ε tiny
    assert abs(last(inside=True, eps=biggest)) > 2 * abs(last(inside=False, eps=biggest))


def test_the_stream_changes_its_sign():
    g = gradient_gauge.noisy_stream(100, signal=2.0, noise=0.0, seed=0)
    assert (g[:50] == 2).all() and (g[50:] == -2).all()


def test_a_given_stream_is_used():
    widget = visual.gradient_gauge([1.0, 2.0, 4.0])
    assert "signal" not in widget.controls
    np.testing.assert_array_equal(kind(widget.layers(), "dots")[0]["y"], [1, 2, 4])


def test_the_best_learning_rate():
    lrs = np.array([0.01, 0.1, 1, 10])
    runs = np.array([[4, 1, 1.5, np.inf], [4, 1, 1.9, np.inf], [4, 9, 1.5, 3]])
    assert sweep_explorer.best(lrs, runs, lower=True) == ("1", "0.1", "2 of 4")
    accuracy = np.array([[0.5, 0.9, 0.96, 0.94]])
    assert sweep_explorer.best(lrs, accuracy, lower=False) == ("0.96", "1", "2 of 4")


def test_each_seed_has_a_line(widgets):
    widget = widgets["sweep_explorer"]
    assert len(kind(widget.layers("basins", single=True), "line")) == 2 * (1 + 3)
    assert len(kind(widget.layers("basins"), "line")) == 2
    assert len(kind(widget.layers("basins", **{"show adam": False}), "line")) == 1


@pytest.mark.parametrize("d, q", [(16, 1), (16, 8), (200, 1), (64, 64)])
def test_the_cosine_follows_the_theory(d, q):
    G = compass.estimates(d, q, np.random.default_rng(0))
    cosine = G[:, 0] / np.linalg.norm(G, axis=1)
    # The line is a ratio of means, not the mean of a ratio: near, not equal.
    rms = np.sqrt((cosine**2).mean())
    assert rms == pytest.approx(compass.expected_cosine(d, q), rel=0.15)
    error = G.mean(axis=0) - np.eye(d)[0]
    spread = np.sqrt((d + 1) / q / len(G))  # of the mean's length, about
    assert np.linalg.norm(error) < 2 * spread


@pytest.mark.parametrize("dtype", difference_gauge.PRECISIONS.values())
@pytest.mark.parametrize("central", [True, False])
def test_the_error_of_a_difference_is_rounding_and_curvature(dtype, central):
    lengths, truth = difference_gauge.LENGTHS, difference_gauge.true_slope(difference_gauge.X)
    found = difference_gauge.slope(lengths, dtype, central)
    share = np.abs(found / truth - 1) / difference_gauge.expected_error(lengths, dtype, central)
    assert (share < 1.01).all()  # roundings may cancel
    assert found[0] == 0  # rounded away: both losses are the same number
    if dtype != np.float16:  # where it is all curvature, the estimate is exact
        assert share[(0.09 < lengths) & (lengths < 0.3)] == pytest.approx(1, abs=0.1)


def test_a_compression_is_evaluated_once():
    asked = []

    def evaluate(rank, sparsity, bits):
        asked.append((rank, sparsity, bits))
        return rank * bits, 1.0 / rank, "text"

    widget = visual.compression_explorer(evaluate, ranks=[4, 2], sparsities=[0, 0.5], bits=[32, 8])
    for _ in range(3):
        widget.layers(rank=2)
    assert sorted(asked) == sorted(set(asked))
    assert (4, 0, 32) in asked and (2, 0, 32) in asked


def test_annealing_decodes(widgets):
    layers = widgets["annealing_explorer"].layers()
    text, clock = kind(layers, "text")[0]["text"], kind(layers, "clock")[0]["x"]
    loss = kind(layers, "line", "loss")[0]["y"]
    assert len(text) == len(clock) == len(loss)
    assert clock[0] == 0 and (np.diff(clock) > 0).all()
    assert loss[-1] < 0.8 * loss[0]
    share = kind(layers, "line", "moves")[0]["y"]
    assert share[10:40].mean() > share[-30:].mean()  # colder, fewer moves


def test_the_cap_changes_the_answer(widgets):
    widget = widgets["budget_explorer"]
    low = next(v for v in widget.controls["cap"].values if v > 1)  # MB: Adam needs 5
    assert "Adam" in kind(widget.layers(), "status")[0]["text"]
    assert "MeZO" in kind(widget.layers(cap=low), "status")[0]["text"]
    assert "no method fits" in kind(widget.layers(cap=widget.controls["cap"].values[0]),
                                    "status")[0]["text"]


def test_best_within_a_budget():
    curve = {"cost": np.array([0, 10, 20]), "loss": np.array([[3, 2, 1], [3, 2, 5], [3, 2, 4.0]])}
    assert budget_explorer.best_within(curve, 15) == 2
    assert budget_explorer.best_within(curve, 20) == 2  # the median rose again
    assert budget_explorer.best_within(curve, -1) == np.inf


def test_the_principal_plane_of_a_plane():
    rng = np.random.default_rng(0)
    D = rng.normal(size=(20, 2)) @ rng.normal(size=(2, 50))
    (a, b), share = real_landscape.principal_plane(D)
    assert share == pytest.approx(1)
    assert abs(a @ b) < 1e-6 and np.linalg.norm(a) == pytest.approx(1)
    np.testing.assert_allclose(real_landscape.project(D, a, b) @ [a, b], D, atol=1e-8)


def test_random_directions_are_filter_normalised():
    rng = np.random.default_rng(0)
    centre = rng.normal(size=4 * 3 + 3)
    directions = real_landscape.random_plane(centre, [(4, 3), (3,)], rng)
    W = centre[:12].reshape(4, 3)
    for direction in directions:
        np.testing.assert_allclose(np.linalg.norm(direction[:12].reshape(4, 3), axis=0),
                                   np.linalg.norm(W, axis=0))
        assert (direction[12:] == 0).all()


def test_a_slice_holds_the_losses():
    f = Objective(lambda p: (p**2).sum(axis=-1), batched=True)
    a, b = np.eye(3)[:2]
    Z = real_landscape.loss_on_plane(f, np.array([1.0, 0, 2]), a, b, (-1, 0, 1, 4), 5)
    assert Z[0, 2] == 5 and Z[0, 0] == 4 and Z[-1, 2] == 5 + 16
    assert f.evaluations == 0
