"""The page in a real browser, headless: nothing is fetched, everything is shown, runs are compared."""

import contextlib
import itertools
import os
import shutil

import pytest
from playwright import sync_api

from experiments.gallery import __main__ as gallery
from experiments.gallery import curves, words
from tests.experiments.gallery import made
from tests.experiments.gallery.test_page import EVIL

QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser():
    """The machine's own Chromium."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and os.environ.get("CI") != "true":
        pytest.skip("this machine has no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory, figure):
    """A gallery of three runs, one of them hostile, and a sweep."""
    runs = tmp_path_factory.mktemp("runs")
    made.run(runs, run_id="20260101-120000-a", figure=figure)
    made.run(runs, run_id="20260102-120000-b", figure=figure, seeds=1, metrics=("rmse_px", "other"),
             flags={"learning_rate": 0.02}, reference=0.2)
    made.run(runs, name="gan", run_id="20260103-120000-c", figure=figure, dataset=EVIL, metrics=(EVIL,), values=(EVIL,))
    (made.run(runs, run_id="20251231-120000-d") / "summary.json").write_text("{")
    made.sweep(runs, figure)
    made.write(runs / "certificate.json", made.CERTIFICATE)
    assert gallery.main(gallery.Options(runs, runs / "gallery" / "index.html")) == 0
    return runs / "gallery" / "index.html"


@pytest.fixture
def open_page(browser, page_file):
    """Opens the page, so wide and in such colours; at the end nothing was complained of, and nothing asked for."""
    with contextlib.ExitStack() as opened:
        said, asked = [], []

        def open_one(width=1280, scheme="light", **how):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **how)
            opened.callback(context.close)
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(page_file.as_uri())
            return page

        yield open_one
        assert said == []
        assert {url for url in asked if not url.startswith("data:")} == {page_file.as_uri()}


def test_every_image_loads_and_the_mathematics_is_laid_out(open_page):
    page = open_page()
    sizes = page.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth])")
    assert len(sizes) == 9 and all(complete and width > 100 for complete, width in sizes)
    [fraction, letter] = page.evaluate("""() => {
        const fraction = document.querySelector(".mathematics mfrac");
        const [above, below] = [...fraction.children].map(one => one.getBoundingClientRect());
        return [below.top >= above.bottom - 1, fraction.getBoundingClientRect().height > 1.5 * above.height];
    }""")
    assert fraction and letter
    assert page.locator("math").count() > 25
    assert page.locator("merror").count() == 0


@pytest.mark.parametrize("keyboard", [False, True])
def test_two_picked_runs_are_compared(open_page, keyboard):
    page = open_page()
    boxes = page.locator("section", has=page.get_by_role("heading", name="Sensor fusion")).locator(".pick input")
    assert page.locator("#tray").is_hidden()
    for k in (0, 1):
        if keyboard:
            boxes.nth(k).focus()
            page.keyboard.press("Space")
        else:
            boxes.nth(k).click()
    assert page.get_by_role("status").inner_text() == "2 runs picked"
    if keyboard:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Compare", "the very next stop"
        page.keyboard.press("Enter")
    else:
        page.get_by_role("button", name="Compare", exact=True).click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator("table", has_text="learning_rate").locator("tr").all_inner_texts()[1:] == [
        "seeds\t1\t2", "learning_rate\t0.02\t0.1"]
    assert dialog.locator("figcaption").all_inner_texts() == ["loss, nats per track", "rmse px", "other"]
    curve = dialog.locator("figure").first
    assert curve.locator("path.line:not(.thin)").count() == 2 and curve.locator("path.line.thin").count() == 2
    assert "1: 0.250 ± 0.030; reference 0.2" in dialog.locator("figure").nth(1).inner_text()
    references = dialog.locator("figure").nth(1).locator(".reference")
    assert references.count() == 2, "each run's own"
    assert len({one.get_attribute("d").split()[0] for one in references.all()}) == 2, "at its own place"
    assert page.evaluate("document.activeElement.id") == "comparison-title"
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#tray").is_hidden()
    assert page.evaluate("document.activeElement === document.querySelector('#tray').parentNode.querySelector('input')")


def test_points_of_a_sweep_are_picked_and_compared(open_page):
    page = open_page()
    for k in (0, 3):
        page.locator(".sweep .pick input").nth(k).click()
    page.locator("#compare").click()
    assert page.locator("#compared .key").inner_text().count("point learning rate") == 2
    assert page.locator("#compared table").locator("tr").all_inner_texts()[1:] == [
        "steps\t5\t6", "learning_rate\t0.1\t0.01"]


def test_numbers_and_ticks_are_the_same_as_in_python(open_page):
    page = open_page()
    numbers = [0, 1, -365.328, 0.06041, 1e-4, 9.999e-5, 9.99996, 26133.67, 1234567.8, 9999999, 1e7, -1.25e9, 3e-12]
    assert page.evaluate("numbers => numbers.map(shown)", numbers) == list(map(words.shown, numbers))
    for low, high in [(0, 100), (-0.3, 0.4), (1e-7, 3e-7), (-3.2, 14.9)]:
        assert page.evaluate("([low, high]) => ticks(low, high)", [low, high]) == pytest.approx(curves.ticks(low, high))
        assert page.evaluate("([low, high]) => decades(low, high).map(Math.log10)", [low, high]) == pytest.approx(
            curves.decades(low, high))


@pytest.mark.parametrize("width", [1280, 390])
def test_a_formula_that_is_too_wide_can_be_scrolled_by_the_keyboard(open_page, width):
    page = open_page(width=width)
    wide = page.locator(".formula[tabindex='0']")
    if width == 1280:
        assert wide.count() == 0
    else:
        wide.first.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.activeElement.scrollLeft > 0")


def test_any_runs_compare_and_hostile_names_stay_text(open_page):
    page = open_page()
    for box in page.locator(".pick input").all():
        box.click()
    page.locator("#compare").click()
    assert "alert(" in page.locator("#compared").inner_text()
    assert page.locator("#compared script, #compared img").count() == 0


def test_a_damaged_run_is_shown_as_such(open_page):
    page = open_page()
    run = page.locator(".run.other", has_text="cannot be read")
    run.locator("summary").first.click()
    assert "summary.json cannot be read" in run.inner_text()


@pytest.mark.parametrize("compared", [False, True])
def test_nothing_is_wider_than_a_phone(open_page, compared):
    page = open_page(width=360)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    if compared:
        for box in page.locator(".pick input").all():
            box.click()
        page.locator("#compare").click()
    for element in ("document.documentElement", "document.getElementById('comparison')"):
        assert page.evaluate(f"{element}.scrollWidth") <= 360


def test_colours_follow_the_system_and_then_the_button(open_page):
    def brightness(page):
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))

    dark = open_page(scheme="dark")
    assert brightness(dark) < 100
    dark.get_by_role("button", name="Change to light colours").click()
    assert brightness(dark) > 600
    assert brightness(open_page(scheme="light")) > 600


def test_headings_descend_and_the_first_stop_of_the_keyboard_skips_to_the_content(open_page):
    page = open_page()
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4, h5')].map(one => Number(one.tagName[1]))")
    assert levels.count(1) == 1 and all(later <= level + 1 for level, later in itertools.pairwise(levels))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    identifiers = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(set(identifiers)) == len(identifiers)


def test_without_javascript_all_is_there_but_comparing(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("text=Seven pieces of calculus carry modern machine learning").is_visible()
    assert page.locator(".pick").first.is_hidden() and page.locator("#theme").is_hidden()
    assert page.locator("article table").first.is_visible()
