"""What a learner does, in a real JupyterLab: run a chapter, solve an exercise, find it again."""

import nbformat
import pytest
from browser import ROOT, copy_notebooks
from playwright.sync_api import expect

from zglearn.course.learner import solution_source
from zglearn.exercises.exercise import LABEL, find

expect.set_options(timeout=60_000)  # a busy machine may be slow, but not that slow
CHAPTER, EXERCISES = "chapters/04_momentum.ipynb", "exercises/04_momentum.ipynb"


@pytest.fixture
def notebook(jupyterlab, request):
    opened = jupyterlab.open(request.param)
    yield opened
    opened.close()


@pytest.mark.parametrize("notebook", [CHAPTER], indirect=True)
def test_chapter_runs_to_its_end(notebook):
    notebook.run_all(timeout=300)
    assert notebook.errors() == []
    assert all(cell["execution_count"] for cell in notebook.cells() if cell["cell_type"] == "code")
    assert notebook.console_errors == []


@pytest.mark.parametrize("notebook", [CHAPTER, EXERCISES], indirect=True)
def test_a_notebook_that_was_only_opened_is_saved(notebook, jupyterlab):
    """Nothing to save: no dot on its tab, and no copy kept by the next update."""
    notebook.page.wait_for_timeout(2000)
    assert notebook.page.evaluate("jupyterapp.shell.currentWidget.context.model.dirty") is False


@pytest.mark.parametrize("notebook", [CHAPTER], indirect=True)
def test_an_answer_is_folded_until_its_cell_runs(notebook):
    notebook.select("race")
    cell = notebook.page.locator(".jp-Cell.jp-mod-active")
    expect(cell.locator(".jp-OutputPlaceholder")).to_be_visible()
    assert cell.locator(".jp-OutputPlaceholder").inner_text().strip() == ""
    expect(cell.locator(".jp-OutputArea")).to_be_hidden()
    for above in ("setup", "components", "spectral-radius"):
        notebook.run(above)
    notebook.type("guess", 'guess("04-race", {"gradient descent": 1000, "momentum": 400})')
    notebook.run("guess")
    notebook.run("race")
    notebook.select("race")
    expect(cell.locator(".jp-OutputArea")).to_be_visible()
    rows = [line.split() for line in notebook.text("race").splitlines()]
    assert ["momentum", "400", "315", "right"] in rows
    assert any(row[:3] == ["gradient", "descent", "1000"] and row[-1] == "no" for row in rows)


@pytest.mark.parametrize("notebook", [EXERCISES], indirect=True)
def test_run_all_in_untouched_exercises_goes_to_the_end(notebook):
    notebook.run_all()
    assert notebook.errors() == []
    assert all(cell["execution_count"] for cell in notebook.cells() if cell["cell_type"] == "code")
    expect(output(notebook, "run-04-7")).to_contain_text("Predict first")
    expect(output(notebook, "run-04-7")).not_to_contain_text("steps")
    expect(output(notebook, "chk-04-8")).to_contain_text(LABEL["not_attempted"])


@pytest.mark.parametrize("notebook", [EXERCISES], indirect=True)
def test_a_check_after_a_syntax_error_says_so(notebook):
    answer = solution_source(find("04.2"))
    notebook.run("setup")
    notebook.type("ans-04-2", answer)
    notebook.run("ans-04-2")
    notebook.type("ans-04-2", answer.replace("):", ":", 1))
    notebook.run("ans-04-2")
    notebook.run("chk-04-2")
    expect(output(notebook, "chk-04-2")).to_contain_text("SyntaxError")
    expect(output(notebook, "chk-04-2")).not_to_contain_text(LABEL["correct"])


@pytest.mark.parametrize("notebook", [EXERCISES], indirect=True)
def test_exercise_is_attempted_solved_and_saved(notebook, jupyterlab):
    notebook.run("setup")
    notebook.run("chk-04-2")
    expect(output(notebook, "chk-04-2")).to_contain_text(LABEL["not_attempted"])

    answer = solution_source(find("04.2"))
    notebook.type("ans-04-2", answer.replace("return", "return 2 *"))
    notebook.run("ans-04-2")
    notebook.run("chk-04-2")
    expect(output(notebook, "chk-04-2")).to_contain_text(LABEL["incorrect"])

    notebook.type("ans-04-2", answer)
    notebook.run("ans-04-2")
    notebook.run("chk-04-2")
    expect(output(notebook, "chk-04-2")).to_contain_text(LABEL["correct"])
    assert notebook.errors() == [] and notebook.console_errors == []

    notebook.save()
    saved = nbformat.read(jupyterlab.folder / EXERCISES, as_version=4)
    assert next(cell.source for cell in saved.cells if cell.id == "ans-04-2") == answer


@pytest.mark.parametrize("notebook", [CHAPTER], indirect=True)
def test_tabs_tell_a_chapter_from_its_exercises(notebook, jupyterlab):
    """Also with unsaved changes, when the file moves, in the editor, and after a reload."""
    name, marked = "04_momentum.ipynb", "exercises · 04_momentum.ipynb"
    open_file(notebook, EXERCISES)
    notebook.wait_until_idle()
    shows_tabs(notebook, name, marked)
    notebook.type("ans-04-1", "changed = True")
    shows_tabs(notebook, name, marked)
    notebook.save()
    shows_tabs(notebook, name, marked)
    move_file(notebook, EXERCISES, "momentum.ipynb")
    shows_tabs(notebook, name, "momentum.ipynb")
    move_file(notebook, "momentum.ipynb", EXERCISES)
    shows_tabs(notebook, name, marked)
    with notebook.page.expect_response(saves_the_workspace):
        open_file(notebook, EXERCISES, factory="Editor")
        shows_tabs(notebook, name, marked, marked)
    notebook.page.reload()
    shows_tabs(notebook, name, marked, marked)
    notebook.wait_until_idle()
    assert notebook.console_errors == []
    for folder in ("chapters", "exercises"):
        ours, theirs = ({path.name for path in (root / folder).glob("*.ipynb")}
                        for root in (ROOT, jupyterlab.folder))
        assert ours == theirs  # no file got the name of its tab


@pytest.mark.parametrize("notebook", [CHAPTER], indirect=True)
def test_tabs_in_whatever_order_plugins_start_and_without_what_is_needed(notebook):
    assert notebook.page.evaluate(
        """async () => {
             const plugin = (await _JUPYTERLAB['zglearn-tabs'].get('./extension'))();
             for (const docRegistry of [undefined, {}]) plugin.activate({docRegistry});
             const extended = [];
             plugin.activate({docRegistry: {
               widgetFactories: () => [{name: 'before'}],
               addWidgetExtension: name => extended.push(name),
               changed: {connect: slot => {
                 for (const change of ['added', 'removed'])
                   slot(null, {type: 'widgetFactory', name: change, change});
               }}}});
             return extended;
           }""") == ["before", "added"]
    assert notebook.console_errors == []


@pytest.mark.parametrize("notebook", [CHAPTER], indirect=True)
def test_printed_rows_are_not_broken_and_shown_code_is_monospace(notebook):
    notebook.page.set_viewport_size({"width": 700, "height": 900})
    notebook.type("setup", "from zglearn.course import show_code\n"
                  "from zglearn.gradient_methods import momentum\n"
                  "print('\\n'.join(['x' * 60 + '  ' + '1' * 70] * 3))\n"
                  "print('word ' * 60)\n"
                  "show_code(momentum)")
    notebook.run("setup")
    printed = output(notebook, "setup").locator(".jp-RenderedText pre").first
    expect(printed).to_contain_text("word")
    rows, prose = (printed.evaluate("""(pre, from) => {
        const range = document.createRange(), text = pre.firstChild;
        range.setStart(text, from);
        range.setEnd(text, from + (from ? 299 : 132));
        return new Set([...range.getClientRects()].map(r => r.top)).size;
    }""", start) for start in (0, 3 * 133))
    assert rows == 1
    assert prose > 1
    expect(output(notebook, "setup").locator("code")).to_contain_text("def momentum")
    assert output(notebook, "setup").locator("code").evaluate("""code => {
        const width = text => {
            const span = Object.assign(document.createElement("span"), { textContent: text });
            code.append(span);
            const { width } = span.getBoundingClientRect();
            span.remove();
            return width;
        };
        return width("iiiiiiii") === width("MMMMMMMM");
    }""")


def open_file(notebook, path: str, **options):
    notebook.page.evaluate("async options => {await jupyterapp.restored;"
                           "await jupyterapp.commands.execute('docmanager:open', options);}",
                           {"path": path, **options})


def move_file(notebook, old: str, new: str):
    notebook.page.evaluate(
        "paths => jupyterapp.serviceManager.contents.rename(...paths).then(() => {})", [old, new])


def shows_tabs(notebook, *labels: str):
    """Wait until the open files' tabs read so, in order; fail if they do not come to."""
    notebook.page.wait_for_function(
        """labels => {
             const tabs = document.querySelectorAll('#jp-main-dock-panel .lm-TabBar-tabLabel');
             const before = tab => getComputedStyle(tab, '::before').content.match(/^"(.*)"$/);
             const shown = [...tabs].map(tab => (before(tab)?.[1] ?? '') + tab.textContent);
             return JSON.stringify(shown) === JSON.stringify(labels);
           }""", arg=labels)


def saves_the_workspace(response) -> bool:
    """Whether JupyterLab has just stored that two notebooks and an editor are open."""
    stored = response.request.post_data or ""
    return response.request.method == "PUT" and "/api/workspaces/" in response.url and all(
        f'"{opened}"' in stored for opened in (
            f"notebook:{CHAPTER}", f"notebook:{EXERCISES}", f"editor:{EXERCISES}"))


def output(notebook, cell: str):
    """A cell's output on the page."""
    notebook.select(cell)
    return notebook.page.locator(".jp-Cell.jp-mod-active .jp-OutputArea")


def test_copies_leave_the_course_alone(tmp_path):
    copy = copy_notebooks(tmp_path) / CHAPTER
    assert copy.read_bytes() == (ROOT / CHAPTER).read_bytes()
    assert not copy.samefile(ROOT / CHAPTER)
