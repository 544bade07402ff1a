"""How the site is made: what a widget's cell needs, what a recording keeps, what a page says."""

import ast
import json

import numpy as np
import pytest

from zglearn.site import command, making, pages
from zglearn.site.markdown import Converter
from zglearn.site.recording import FEW, PLACES, positions, questions, rounded
from zglearn.site.slicing import needed
from zglearn.visual.panels import Panel
from zglearn.visual.widget import Widget, choice, hidden, part, slider


def sliced(*sources):
    return [ast.unparse(statement) for statement in needed(list(sources))]


def test_a_cell_needs_what_makes_and_changes_its_names():
    assert sliced("import numpy as np\nimport os", "x = np.zeros(3)\ny = 2", "x[1] = 5",
                  "losses = []\nfor i in range(3):\n    losses.append(i)", "print(x, y)",
                  "np.add.at(x, 0, 1)", "draw(x, losses)") == [
        "import numpy as np", "x = np.zeros(3)", "x[1] = 5", "losses = []",
        "for i in range(3):\n    losses.append(i)", "np.add.at(x, 0, 1)", "draw(x, losses)"]


def test_a_name_in_a_comprehension_is_not_the_notebooks_own():
    assert sliced("start = 1", "ends = [start for start in (2, 3)]", "draw(start, ends)") == [
        "start = 1", "ends = [start for start in (2, 3)]", "draw(start, ends)"]


def test_a_function_needs_what_it_reads_when_it_is_called():
    assert sliced("def f(): return g()", "def g(): return a", "a = 1", "b = 2", "draw(f())") == [
        "def f():\n    return g()", "def g():\n    return a", "a = 1", "draw(f())"]


def test_a_random_generator_is_changed_by_every_draw():
    assert "noise = rng.normal()" in sliced("rng = np.random.default_rng(0)",
                                            "noise = rng.normal()", "draw(rng)")


def example(**part_needs):
    """A widget with a dragged point, two sliders and a choice."""
    def nothing(**_):
        return []

    return Widget("t", panels=[Panel("map", drag=("x0", "y0"), zoom="box")], alt="", controls=[
        hidden("x0", 0.0), hidden("y0", 1.0), hidden("box", [-1.0, -2.0, 1.0, 2.0]),
        slider("lr", "lr", 1e-3, 1, 0.1, scale="log"), slider("k", "k", 1, 5, 2, whole=True),
        choice("rule", "rule", ("a", "b"))],
        parts=[part(nothing, name, needs=needs) for name, needs in part_needs.items()])


def test_each_slider_is_recorded_in_all_its_positions_and_the_point_on_a_grid():
    widget = example(path=["x0", "y0", "lr", "k"], few=["k", "rule"], box=["box"])
    asked = questions(widget, widget.parts["path"].needs)
    lrs = {q["lr"] for q in asked}
    assert lrs == set(widget.controls["lr"].values)
    assert all(sum(q[n] != widget.settings[n] for n in ("lr", "k")) <= 1 for q in asked)
    places = {(q["x0"], q["y0"]) for q in asked}
    assert len(places) == PLACES**2 + 1 and (-1.0, 2.0) in places
    assert len(questions(widget, ("k", "rule"))) == 5 * 2 <= FEW
    assert questions(widget, ("box",)) == [{"box": [-1.0, -2.0, 1.0, 2.0]}]


def test_a_large_recording_keeps_fewer_positions_but_the_default_and_both_ends():
    widget = example(path=["x0", "y0", "lr", "rule"])
    control = widget.controls["lr"]
    few = positions(control, 4)
    assert {control.values[0], control.values[-1], control.default} <= set(few)
    assert len(few) < len(control.values) / 3
    whole, some = (questions(widget, ("x0", "y0", "lr", "rule"), every) for every in (1, 4))
    assert len(some) < len(whole) / 3 and all(question in whole for question in some)
    assert {q["rule"] for q in some} == {"a", "b"}


def test_numbers_keep_thirteen_bits_and_whole_ones_sixteen():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=999) * 10.0 ** rng.integers(-20, 20, 999)).astype(np.float32)
    values[:3] = np.nan, np.inf, -np.inf
    kept = rounded(values)
    np.testing.assert_allclose(kept, values, rtol=2**-13)
    assert (kept.view("<u4") & 0xFF == 0).all()  # three bytes hold it
    assert (rounded(np.arange(65536)) == np.arange(65536)).all()


def test_mathematics_is_left_to_mathml_and_code_is_left_alone():
    convert = Converter(lambda url: url)
    page = convert("# The $\\beta$ of `a$b`\n\nFrom $a|b$ to\n\n$$\\sqrt{x} \\\\ y$$\n\n"
                   "| a |\n|---|\n| $|x|$ |\n\n```python\ncost = '$5'\n```\n")
    assert page.count("<math ") == 4 and "$5" in page and "a$b" in page
    assert page.count('<math tabindex="0" ') == 1  # the one that stands by itself may scroll
    assert '<th scope="col">' in page and 'alttext="\\beta"' in page
    assert convert.headings[0].id == "The-…-of-a$b"


def test_two_headings_of_one_name_have_two_ids():
    convert = Converter(lambda url: url)
    convert("## Play\n\n## Play")
    assert [heading.id for heading in convert.headings] == ["Play", "Play-2"]


def test_printed_rows_stay_whole_and_printed_prose_may_wrap():
    table = pages._plain("method   loss\nAdam     0.10 <b>\nand a sentence about it, longer\n")
    assert table == ('<pre class="printed rows" style="--longest: 17" tabindex="0">method   loss\n'
                     "Adam     0.10 &lt;b&gt;\nand a sentence about it, longer</pre>")
    assert 'class="printed" ' in pages._plain("one sentence.\n  another, moved in.")
    assert pages._plain("\x1b[31m\x1b[0m \n") == ""


def test_links_lead_to_pages_or_nowhere():
    page = pages.Page("chapters/04_momentum.html", "chapters", "04", "Momentum")
    site = {"chapters/03_gradient_descent.html", "exercises/04_momentum.html"}
    assert pages.place("03_gradient_descent.ipynb#Play", page, site) == \
        "03_gradient_descent.html#Play"
    assert pages.place("../exercises/04_momentum.ipynb", page, site) == \
        "../exercises/04_momentum.html"
    assert pages.place("../solutions/04_momentum.ipynb", page, site) is None
    assert page.lost == ["../solutions/04_momentum.ipynb"]


def test_no_link_of_the_whole_course_leads_nowhere():
    notebooks = command.course()
    made = [pages.read(path) for path in notebooks]
    site = {page.path for page in made}
    for page, path in zip(made, notebooks, strict=True):
        pages.fill(page, path, site, set())
        assert page.lost == [], page.path
        assert page.title and (page.question or page.kind == "exercises" or page.number == "00")


def test_every_widget_of_the_course_can_be_found(tmp_path):
    """Each chapter's cells with a widget's hint are jobs, and their code ends with the widget."""
    jobs = making.jobs(command.course())
    assert {job.notebook.stem[:2] for job in jobs} >= {"00", "03", "04", "07", "13", "16"}
    for job in jobs:
        assert isinstance(ast.parse(job.code).body[-1], ast.Expr), job.name


def test_a_folder_of_somebody_elses_is_not_emptied(tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("all of it")
    assert command.main(["--out", str(mine), "--still"]) == 1
    assert "Nothing was written" in capsys.readouterr().err
    assert (mine / "thesis.txt").read_text() == "all of it"


def test_a_chapter_that_is_not_there_is_named(capsys, tmp_path):
    assert command.main(["--out", str(tmp_path / "out"), "--chapters", "99"]) == 1
    assert "no chapter 99" in capsys.readouterr().err


def test_a_recording_that_shows_something_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("zglearn.paths.private", lambda: tmp_path)
    job = next(j for j in making.jobs(command.course(["13"])) if j.cell == "fd-gauge")
    assert making.make_one(job).endswith("kB")
    assert json.loads(json.dumps(job.kept.name)).startswith("13_no_gradient-fd-gauge-")
    job.kept.unlink()
    other = making.Job(job.notebook, job.cell, "from zglearn.visual import compass\ncompass()",
                       job.kept)
    assert "stays a picture" in making.make_one(other) and not job.kept.exists()


def test_the_widgets_module_becomes_a_plain_script():
    assert command.as_script("export default { a };\n").startswith("(() => {\nzglearn.widget = {")
    with pytest.raises(ValueError, match="one default"):
        command.as_script("import x from 'y';\nexport default { x };\n")
