"""The keyboard, and how one page follows another."""

import pytest
from playwright.sync_api import Page, expect

from tests.gallery_pages import pages
from tests.webapp.browser.hub import ENV, Cable, fulfil

pytestmark = pytest.mark.browser


def test_keys_lead_to_the_composer_and_through_lists(page: Page, address: str, cable: Cable) -> None:
    page.keyboard.press("r")
    expect(page.locator("#composer-text")).to_be_focused()
    page.keyboard.type("jj")
    expect(page.locator("#composer-text")).to_have_value("jj")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("dialog.keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.keys")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()


def test_no_single_key_ever_decides(page: Page, address: str) -> None:
    page.goto(f"{address}/approvals.html")
    page.keyboard.press("j")
    expect(page.locator("#approval-3")).to_be_focused()
    page.goto(f"{address}/topic.html")
    page.keyboard.press("j")
    expect(page.locator("#approval-4")).to_be_focused()
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Allow", exact=True)).to_be_focused()
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="Deny")).to_be_focused()
    assert page.url.endswith("/topic.html")


def test_a_form_sent_to_a_hub_that_is_away_keeps_the_page(page: Page, address: str) -> None:
    page.goto(f"{address}/form.html")
    page.route("**/gateways", lambda route: route.abort())
    page.fill("#field-name", "typed by hand")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#live-bar")).to_contain_text("The hub did not answer.")
    expect(page.locator("#field-name")).to_have_value("typed by hand")


def test_a_theme_chosen_in_settings_holds_on_the_next_page_without_a_reload(page: Page, address: str) -> None:
    template, context = pages()["now.html"]
    dark = ENV.get_template(template).render(**{**context, "theme": "dark"})
    page.goto(f"{address}/agents.html")
    page.evaluate("window.stays = true")
    page.route("**/now.html", lambda route: fulfil(route, dark))
    page.click(".nav >> text=Now")
    page.wait_for_selector("h1:text('Now')")
    assert page.evaluate("[window.stays, document.documentElement.dataset.theme]") == [True, "dark"]


def test_the_field_that_a_refusal_is_about_is_in_sight(page: Page, address: str) -> None:
    template, context = pages()["form.html"]
    refused = ENV.get_template(template).render(**context)
    page.set_viewport_size({"width": 1280, "height": 320})
    page.goto(f"{address}/form.html")
    page.evaluate("window.stays = true")
    page.route("**/gateways", lambda route: fulfil(route, refused.replace("office", "attic"), status=422))
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#field-name")).to_have_value("attic")
    expect(page.locator("#field-url")).to_be_focused()
    expect(page.locator("#field-url")).to_be_in_viewport()
    assert page.evaluate("window.stays && scrollY > 0")
