"""The look, held in Chromium: axe in both themes and widths, nothing sideways, a visible focus, a silent console."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests import gallery
from tests.gallery_pages import pages
from tests.gallery_shell import NOW

pytestmark = pytest.mark.browser
AXE = (gallery.ROOT / "tests" / "vendor" / "axe.min.js").read_text(encoding="utf-8")
NAMES = list(pages())
VIEWS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize(("theme", "width"), VIEWS)
def test_axe_finds_nothing_on_any_page(page: Page, address: str, theme: Any, width: int) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 844})
    found = {}
    for name in NAMES:
        page.goto(f"{address}/{name}")
        page.evaluate(AXE)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        violations = [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in result["violations"]]
        if violations:
            found[name] = violations
    assert found == {}


def test_no_page_scrolls_sideways(page: Page, address: str) -> None:
    wide = {}
    for name in NAMES:
        page.goto(f"{address}/{name}")
        for width in (320, 390, 699, 700, 1099, 1100):
            page.set_viewport_size({"width": width, "height": 700})
            if sideways(page) > 0:
                wide[name, width] = sideways(page)
    assert wide == {}


def test_the_console_stays_silent_under_our_policy(page: Page, address: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.route("**/topics/5/route?*", lambda route: route.fulfill(json={"html": "Will go to scout"}))
    for name in NAMES:
        if name == "topic-live.html":  # the gallery has no cable to follow
            continue
        page.goto(f"{address}/{name}")
        page.wait_for_load_state("load")
    assert said == []


def test_turning_pages_keeps_the_console_silent_too(page: Page, address: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.goto(f"{address}/now.html")
    page.click(".nav >> text=Approvals")
    page.wait_for_selector("h1:text('Approvals')")
    page.go_back()
    page.wait_for_selector("h1:text('Now')")
    assert said == []


@pytest.mark.parametrize("width", [1280, 390])
def test_every_control_that_takes_the_focus_shows_it(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{address}/topic.html")
    hidden = []
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate(
            """() => {
              const element = document.activeElement
              if (element === document.body) return null
              const ring = [element, element.closest(".composer-box")].filter(Boolean)
              const shown = ring.some(one => getComputedStyle(one).outlineStyle === "solid")
              const box = element.getBoundingClientRect()
              const top = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 20))
              const covered = top && !element.contains(top) && !top.contains(element)
              const seen = box.bottom > 0 && box.top < innerHeight
              return {what: element.outerHTML.slice(0, 120), shown, covered, seen}
            }"""
        )
        if here and not (here["shown"] and here["seen"] and not here["covered"]):
            hidden.append(here)
    assert hidden == []


def test_a_phones_buttons_can_be_hit_with_a_thumb(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    small = {}
    for name in ("topic.html", "now.html", "form.html", "approvals.html", "sign-in.html"):
        page.goto(f"{address}/{name}")
        heights = page.evaluate(
            """() => [...document.querySelectorAll("main .button, .composer .button, nav.bottom a, main .input")]
              .filter(one => one.offsetParent && !one.closest(".answering"))
              .map(one => [one.textContent.trim() || one.name, Math.round(one.getBoundingClientRect().height)])
              .filter(([, height]) => height < 40)"""
        )
        if heights:
            small[name] = heights
    assert small == {}


def test_the_composer_stands_above_the_bottom_bar_on_a_phone(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/topic-more.html")
    for place in (0, 600):
        page.evaluate("top => scrollTo(0, top)", place)
        boxes = page.evaluate(
            """() => ["#composer", "nav.bottom"].map(selector => {
              const box = document.querySelector(selector).getBoundingClientRect()
              return [Math.round(box.top), Math.round(box.bottom)]
            })"""
        )
        assert boxes[0][1] == boxes[1][0]
        assert boxes[1][1] == 844


@pytest.mark.parametrize("width", [390, 900])
def test_the_navigation_opens_without_script(browser: Browser, address: str, width: int) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(f"{address}/now.html")
    assert not page.locator(".nav").is_visible()
    page.click(".menu > summary")
    assert page.locator(".nav >> text=Gateways").is_visible()
    context.close()


def test_the_theme_a_person_chose_wins_over_the_device(page: Page, address: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/now.html")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(15, 17, 21)"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert page.evaluate(ground) == "rgb(250, 250, 247)"


def test_nothing_moves_for_those_who_asked_for_stillness(page: Page, address: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{address}/topic.html")
    moving = page.evaluate("document.getAnimations().filter(one => one.playState === 'running').length")
    assert moving == 0


def test_the_browser_says_times_in_the_same_words_as_the_server(page: Page, address: str) -> None:
    page.goto(f"{address}/now.html")
    steps = [0, 3, 9, 10, 59, 60, 3599, 3600, 20000, 52000, 86400, 90000, 200000, 520000, 700000, 40000000]
    moments = [sign * seconds for seconds in steps for sign in (1, -1)]
    for zone in ("UTC", "Europe/Berlin", "America/Los_Angeles"):
        said = page.evaluate(
            """async ([now, moments, zone]) => {
              const words = await import("/static/words.js")
              return moments.map(seconds => now - 1000 * seconds).map(at => [words.ago(now, at, zone),
                words.moment(now, at, zone), words.day(now, at, zone), words.seen(now, at), words.left(now, at),
                words.deadline(now, at, zone), words.clock(at, zone, true)])
            }""",
            [NOW.timestamp() * 1000, moments, zone],
        )
        assert said == [gallery.in_words(NOW, seconds, zone) for seconds in moments]
