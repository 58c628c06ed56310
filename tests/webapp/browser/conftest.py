"""Chromium, the gallery on a local port, and an open topic page whose hub the test plays."""

import pathlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import browser as chromium
from tests import gallery
from tests.webapp.browser.hub import Cable


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.for_tests() as found:
        yield found


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: pathlib.Path = tmp_path_factory.mktemp("gallery")
    gallery.render(folder)
    with gallery.serving(folder) as url:
        yield url


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 700})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.route("**/topics/5/route?*", lambda route: route.fulfill(json={"html": "Will go to scout"}))
    page.route("**/topics/5/read", lambda route: route.fulfill(status=204))
    return page


@pytest.fixture
def cable(page: Page, address: str) -> Cable:
    cable = Cable(page)
    page.goto(f"{address}/topic-live.html")
    expect(page.locator("#live-bar")).to_be_hidden()
    chromium.until(page, lambda: any(asked["command"] == "subscribe" for asked in cable.asked))
    return cable
