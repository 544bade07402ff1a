"""The site in headless Chromium, from file://, with no kernel and no network anywhere near."""

import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import CHROMIUM, CHROMIUM_OPTIONS
from nbconvert import HTMLExporter
from playwright.sync_api import expect, sync_playwright

from zglearn.site import book, command, making, pages
from zglearn.site.recording import questions

CHAPTERS = ["03", "13"]
HANG = 60_000  # ms: a busy machine may be slow, but not that slow
PICTURES = """widget => [...widget.querySelectorAll("canvas")].map(
    canvas => canvas.width && canvas.toDataURL()).join()"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site of two chapters, their widgets recorded anew in this process: (folder, pages)."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zglearn.paths.private", lambda: folder / "private")
        notebooks = command.course(CHAPTERS)
        jobs = making.jobs(notebooks)
        assert {job.name: making.make_one(job) for job in jobs}.keys() == {
            "03_gradient_descent-explorer", "03_gradient_descent-loop-widget",
            "13_no_gradient-compass", "13_no_gradient-fd-gauge"}
        assert all(job.kept.exists() for job in jobs)
        pages = command.build(notebooks, folder / "out")
    return folder / "out", pages


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        missing = "chromium is not installed (Debian: apt install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visit(site, chromium):
    """`visit("chapters/x.html")`: a page, of which every fault is one of the test."""
    contexts, faults = [], []

    def open_page(path, **options):
        context = chromium.new_context(**{"viewport": {"width": 1400, "height": 900}} | options)
        context.set_default_timeout(HANG)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and faults.append(message.text))
        page.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:"))
                or faults.append(f"asked for {request.url}"))
        page.on("requestfailed", lambda request: faults.append(f"did not get {request.url}"))
        page.goto((site[0] / path).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def alive(page, name):
    """The living widget of a recording, once it is there."""
    place = page.locator(f"[data-recording='{name}']")
    place.scroll_into_view_if_needed()
    expect(place.locator(".zg-panel").first).to_be_visible(timeout=HANG)
    return place


class Links(HTMLParser):
    """The ids of a page, and where its links and pictures lead."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        self.targets += [attrs[name] for name in ("href", "src") if name in attrs]


def test_every_link_inside_the_site_arrives(site):
    out, pages = site
    found = {path: Links(path.read_text()) for path in out.rglob("*.html")}
    assert len(found) == len(pages) + 1 == 2 * len(CHAPTERS) + 1
    astray = []
    for path, links in found.items():
        for target in links.targets:
            if re.match(r"[a-z]+:", target):
                continue
            file, _, fragment = target.partition("#")
            goal = (path.parent / file).resolve() if file else path
            if not goal.is_file() or fragment and fragment not in found[goal].ids:
                astray.append((path.name, target))
    assert astray == []


def test_every_page_shows_its_mathematics_and_fits(site, visit):
    formulas = 0
    for file in sorted(site[0].rglob("*.html")):
        page = visit(file.relative_to(site[0]), viewport={"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, file
        flat = page.evaluate("[...document.querySelectorAll('main math')].filter("
                             "m => m.checkVisibility() && !(m.getBoundingClientRect().width > 3))"
                             ".map(m => m.getAttribute('alttext'))")
        assert flat == [], file
        formulas += page.locator("main math").count()
    assert formulas > 60


def test_printed_rows_scroll_on_a_screen_and_fit_on_paper(visit):
    """A table of 130 letters in a row, on a telephone and on A4: no row is broken."""
    page = visit("chapters/03_gradient_descent.html", viewport={"width": 400, "height": 800})
    page.evaluate("""html => document.querySelector("main").insertAdjacentHTML("afterbegin", html)
        """, pages._plain("\n".join(["x" * 60 + "  " + "1" * 68] * 3)))
    rows = page.locator("pre.rows").first
    lines = "e => (e.clientHeight - 2 * parseFloat(getComputedStyle(e).paddingTop)) " \
        "/ parseFloat(getComputedStyle(e).lineHeight)"
    assert rows.evaluate(lines) == pytest.approx(3, abs=0.5)  # below it is a bar to scroll with
    assert rows.evaluate("e => e.scrollWidth > e.clientWidth")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 658, "height": 971})  # what A4 leaves, 174 mm wide
    assert rows.evaluate(lines) == pytest.approx(3, abs=0.1)
    assert rows.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert rows.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") > 7


def test_nbconverts_page_shows_code_in_letters_of_one_width(chromium, tmp_path):
    page = chromium.new_page()
    page.route(re.compile("^https?:"), lambda route: route.abort())  # it asks for MathJax
    path = tmp_path / "page.html"
    path.write_text(HTMLExporter().from_filename(str(command.course(["03"])[0]))[0])
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    shown = page.locator(".jp-OutputArea-output .highlight pre")
    expect(shown.first).to_contain_text("def gradient_descent")
    expect(page.locator(".jp-OutputArea-output.jp-RenderedText pre").first).to_be_attached()
    widths = page.locator(".jp-OutputArea-output pre").evaluate_all("""all => all.map(pre => {
        const width = (text) => {
            const span = Object.assign(document.createElement("span"), { textContent: text });
            pre.append(span);
            const { width } = span.getBoundingClientRect();
            span.remove();
            return width;
        };
        return [width("iiiiiiii"), width("MMMMMMMM")];
    })""")
    assert len(widths) > 5 and all(narrow == wide for narrow, wide in widths)
    page.close()


def test_a_slider_moves_the_picture_and_play_plays(visit):
    widget = alive(visit("chapters/03_gradient_descent.html"), "03_gradient_descent-explorer")
    before = widget.evaluate(PICTURES)
    slider = widget.get_by_role("slider", name="lr").first
    value = slider.get_attribute("aria-valuetext")
    slider.focus()
    slider.press("ArrowRight")
    expect(slider).not_to_have_attribute("aria-valuetext", value)
    widget.page.wait_for_function(
        f"before => ({PICTURES})(document.querySelector('[data-recording]')) !== before",
        arg=before)
    widget.get_by_role("button", name="to the start").click()
    widget.get_by_role("button", name="play").click()
    expect(widget.get_by_role("button", name="pause")).to_be_visible()
    clock = widget.locator(".zg-player .zg-value")
    expect(clock).not_to_have_text(re.compile("^step 0 of"))


def test_two_things_moved_at_once_go_back_to_what_is_recorded_and_it_is_said(visit):
    page = visit("chapters/03_gradient_descent.html")
    widget = alive(page, "03_gradient_descent-explorer")
    first, steps = (widget.get_by_role("slider", name=name, exact=True)
                    for name in ("learning rate (lr)", "steps"))
    begun = first.get_attribute("aria-valuetext")
    first.press("End")
    expect(widget.locator(".recorded")).not_to_have_class(re.compile("now"))
    steps.press("Home")
    expect(widget.locator(".recorded")).to_contain_text("learning rate (lr) went back to the start")
    expect(first).to_have_attribute("aria-valuetext", begun)
    assert steps.input_value() == "0"
    widget.get_by_role("button", name="reset").click()
    expect(steps).not_to_have_value("0")
    expect(widget.locator(".recorded")).not_to_have_class(re.compile("now"))


def test_the_page_shows_what_python_computed(site, visit):
    """Every recorded answer, unpacked by the page, beside the part's own."""
    page = visit("exercises/13_no_gradient.html")  # where no widget takes it
    shown = page.evaluate("""async () => {
        await load("recordings/13_no_gradient-compass.js");
        const { answers, layers, arrays } = await unpacked(
            zglearn.recordings["13_no_gradient-compass"]);
        const plain = (value) =>
            value?.array === undefined ? value : [...arrays[value.array].values];
        return answers.map(([part, values, drawn]) => [part, values, drawn.map((i) =>
            Object.fromEntries(Object.entries(layers[i]).map(([k, v]) => [k, plain(v)])))]);
    }""")
    notebook = command.course(["13"])[0]
    widget = making.run(next(j for j in making.jobs([notebook]) if j.cell == "compass").code)
    assert len(shown) == sum(len(questions(widget, p.needs)) for p in widget.parts.values())
    for part, values, layers in shown[::7]:
        needs = widget.parts[part].needs
        for seen, own in zip(layers, widget.layers(part, **dict(zip(needs, values, strict=True))),
                             strict=True):
            assert seen.keys() == own.keys()
            for name, value in own.items():
                if isinstance(value, np.ndarray):
                    seen[name] = np.array([np.nan if v is None else v for v in seen[name]], float)
                    np.testing.assert_allclose(seen[name], value.ravel(), rtol=2**-12)
                else:
                    assert seen[name] == value


def test_an_answer_stays_in_the_browser_and_hints_open(visit):
    page = visit("exercises/03_gradient_descent.html")
    box = page.locator("textarea").nth(1)
    begun = box.input_value()
    box.fill("def mine(): ...")
    page.reload()
    expect(box).to_have_value("def mine(): ...")
    box.fill(begun)
    page.reload()
    expect(box).to_have_value(begun)
    assert page.evaluate("localStorage.length") == 0
    hint = page.locator(".hints details").first
    hint.locator("summary").click()
    expect(hint.locator("p")).to_be_visible()


def test_search_finds_a_heading_by_the_keyboard_and_the_theme_turns(visit):
    page = visit("index.html", color_scheme="dark")
    light, dark = "rgb(255, 255, 255)", "rgb(20, 24, 29)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
    page.keyboard.press("/")
    page.keyboard.type("exercises referen")
    expect(page.locator(".found")).to_contain_text("No heading")
    page.locator("input[type=search]").fill("gradient descent play")
    page.locator(".found a").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/chapters/03_gradient_descent.html#*")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_without_scripts_all_of_it_can_be_read(visit):
    page = visit("chapters/03_gradient_descent.html", java_script_enabled=False)
    expect(page.locator("[data-recording] img").first).to_be_visible()
    expect(page.get_by_role("navigation", name="Contents")).to_be_visible()
    folded = page.locator("details.folded").first
    folded.locator("summary").click()
    expect(folded.locator("pre, figure, table").first).to_be_visible()


def test_every_picture_has_words(site):
    for file in site[0].rglob("*.html"):
        for image in re.findall(r"<img [^>]*>", file.read_text()):
            assert re.search(r'alt="[^"]{20,}"', image), (file.name, image)


def test_the_books_contents_know_where_a_section_begins(tmp_path, chromium):
    sections = {"one": 1, "two": 2, "long-3": 60}  # with their paragraphs
    page = tmp_path / "book.html"
    page.write_text(f"<style>{book.STYLE}</style><main class=book>" + "".join(
        f"<a href='#{name}'>{name}</a>" for name in sections) + "".join(
        f"<section id='{name}'>" + "<p>words</p>" * n + "</section>"
        for name, n in (sections | {"last": 1}).items()) + "<a href='#last'>on</a></main>")
    begins = book.first_pages(book.print_page(CHROMIUM, page, tmp_path).read_bytes())
    assert begins == {"one": 2, "two": 3, "long-3": 4, "last": begins["last"]}
    assert begins["last"] > 5
    assert book.first_pages(b"%PDF-1.4 of another browser") == {}
